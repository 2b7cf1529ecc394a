// SPDX-License-Identifier: Apache-2.0
/*
 * The reader on rings in states that a healthy kernel shows for nanoseconds or
 * never: records being written, given up, and lengths that lie.  The rings are
 * plain memory laid out as the kernel maps them.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../native/drain.c"

#define SIZE 4096

struct memory {
	uint64_t consumer, producer;
	uint8_t data[2 * SIZE];
};

static struct memory memories[2];
static struct ln_ring rings[2];
static uint32_t sleeps[2 * SLEEP_STRIDE];
static struct ln_probe probe = {.rings = rings, .n_rings = 2, .sleep = sleeps};
static struct li_rec recs[64];
static const uint8_t *data[64];
static struct ln_batch batch = {.recs = recs, .data = data, .capacity = 64};

static void reset(uint64_t start)
{
	memset(memories, 0, sizeof(memories));
	for (int i = 0; i < 2; i++) {
		memories[i].consumer = memories[i].producer = start;
		rings[i] = (struct ln_ring){.cpu = (uint32_t)i,
					    .size = SIZE,
					    .consumer = &memories[i].consumer,
					    .producer = &memories[i].producer,
					    .data = memories[i].data,
					    .read = start};
	}
}

static void poke(struct memory *memory, uint64_t at, const void *from, size_t len)
{
	/* Both halves are the same memory in the kernel's mapping. */
	for (size_t i = 0; i < len; i++) {
		uint64_t to = (at + i) & (SIZE - 1);

		memory->data[to] = memory->data[to + SIZE] = ((const uint8_t *)from)[i];
	}
}

/* Appends a record; returns where its header stands. */
static uint64_t append(int cpu, uint64_t ktime_ns, uint32_t len, uint32_t cap_len, uint32_t flags)
{
	struct memory *memory = &memories[cpu];
	uint64_t at = memory->producer;
	struct li_rec head = {.ktime_ns = ktime_ns, .cap_len = cap_len, .cpu = (uint16_t)cpu};
	uint32_t word = len | flags;

	poke(memory, at, &word, sizeof(word));
	poke(memory, at + RING_HEADER, &head, len < sizeof(head) ? len : sizeof(head));
	memory->producer += (len + RING_HEADER + 7) & ~7u;
	return at;
}

static void commit(int cpu, uint64_t at, uint32_t word)
{
	poke(&memories[cpu], at, &word, sizeof(word));
}

static void test_busy_stops_its_ring_only(void)
{
	uint64_t busy;

	reset(0);
	append(0, 10, 104, 0, 0);
	busy = append(0, 20, 104, 0, RING_BUSY);
	append(0, 30, 104, 0, 0);
	append(1, 15, 104, 0, 0);
	append(1, 40, 104, 0, 0);
	assert(ln_drain(&probe, &batch) == 3);
	assert(recs[0].ktime_ns == 10 && recs[1].ktime_ns == 15 && recs[2].ktime_ns == 40);
	assert(ln_drain(&probe, &batch) == 0);
	ln_release(&probe);
	assert(memories[0].consumer == busy);
	commit(0, busy, 104);
	assert(ln_drain(&probe, &batch) == 2);
	assert(recs[0].ktime_ns == 20 && recs[1].ktime_ns == 30);
}

static void test_discarded_is_skipped(void)
{
	reset(0);
	append(0, 10, 104, 0, RING_DISCARD);
	append(0, 20, 104, 0, 0);
	append(0, 30, 500, 0, RING_DISCARD);
	assert(ln_drain(&probe, &batch) == 1 && recs[0].ktime_ns == 20);
	ln_release(&probe);
	assert(memories[0].consumer == memories[0].producer);
	assert(rings[0].consumed == 1 && rings[0].damaged == 0);
}

static void test_lies_are_skipped(void)
{
	reset(0);
	append(0, 10, 40, 0, 0);	   /* shorter than a record head */
	append(0, 20, 104 + 64, 65, 0);	   /* claims one byte more than it has */
	append(0, 30, 104, 0xffffffff, 0); /* claims the world */
	append(0, 40, 104 + 64, 64, 0);	   /* exactly what it has */
	append(0, 50, 104 + 64, 1, 0);	   /* size class larger than the frame */
	assert(ln_drain(&probe, &batch) == 2);
	assert(recs[0].ktime_ns == 40 && recs[1].ktime_ns == 50);
	assert(rings[0].damaged == 3);
}

static void test_length_beyond_the_producer(void)
{
	uint64_t at;

	reset(0);
	at = append(0, 10, 104, 0, 0);
	commit(0, at, 3000);
	assert(ln_drain(&probe, &batch) == 0);
	assert(rings[0].damaged == 1 && rings[0].read == memories[0].producer);
	append(0, 20, 104, 0, 0);
	assert(ln_drain(&probe, &batch) == 1 && recs[0].ktime_ns == 20);
	/* A producer that ran away from us may not take the reader with it. */
	memories[0].producer += 1ull << 40;
	commit(0, rings[0].read, RING_LENGTH);
	assert(ln_drain(&probe, &batch) == 0 && rings[0].damaged == 2);
}

static void test_wrap_and_large_positions(void)
{
	reset((1ull << 33) - 64);
	append(0, 10, 104 + 256, 256, 0);
	assert(ln_drain(&probe, &batch) == 1);
	assert(data[0] == memories[0].data + SIZE - 64 + RING_HEADER + sizeof(struct li_rec));
	ln_release(&probe);
	assert(memories[0].consumer == memories[0].producer);
}

static void test_random_rings_merge_like_a_sort(void)
{
	for (unsigned int seed = 0; seed < 2000; seed++) {
		uint64_t clock[2] = {0, 0}, last = 0;
		uint32_t sent = 0, got = 0;

		srand(seed);
		reset((uint64_t)rand());
		for (int i = 0; i < 12; i++) {
			int cpu = rand() % 2;

			clock[cpu] += (uint64_t)(rand() % 3);
			if (rand() % 5) {
				append(cpu, clock[cpu], 104 + (uint32_t)(rand() % 128), 0, 0);
				sent++;
			} else {
				append(cpu, clock[cpu], (uint32_t)(rand() % 200), 0, RING_DISCARD);
			}
		}
		batch.capacity = 1 + (uint32_t)(rand() % 16);
		for (int n; (n = ln_drain(&probe, &batch)) > 0; got += (uint32_t)n)
			for (int i = 0; i < n; i++) {
				assert(recs[i].ktime_ns >= last);
				last = recs[i].ktime_ns;
			}
		assert(got == sent);
		batch.capacity = 64;
	}
}

static void test_look_tells_writing_from_empty(void)
{
	reset(0);
	assert(wait_look(&probe) == 0);
	append(1, 10, 104, 0, RING_BUSY);
	assert(wait_look(&probe) == -EAGAIN);
	append(0, 10, 104, 0, 0);
	assert(wait_look(&probe) == 1);
	wait_ask(&probe, LI_WAKE_ANY);
	assert(sleeps[0] == LI_WAKE_ANY && sleeps[SLEEP_STRIDE] == LI_WAKE_ANY && sleeps[1] == 0);
}

int main(void)
{
	test_busy_stops_its_ring_only();
	test_discarded_is_skipped();
	test_lies_are_skipped();
	test_length_beyond_the_producer();
	test_wrap_and_large_positions();
	test_random_rings_merge_like_a_sort();
	test_look_tells_writing_from_empty();
	return 0;
}
