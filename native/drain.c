// SPDX-License-Identifier: Apache-2.0
/*
 * The reader of the rings.  Records are handed out in order of time over all
 * CPUs; nothing is copied but the record heads, and each ring's consumer
 * position is written once a batch.  A record that contradicts its own
 * lengths is counted and skipped, never trusted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define RING_HEADER 8		/* u32 length and flags, u32 page offset */
#define RING_BUSY (1u << 31)	/* reserved, not yet submitted */
#define RING_DISCARD (1u << 30) /* given up by the program */
#define RING_LENGTH (RING_DISCARD - 1)
#define SLEEP_STRIDE 2 /* an array map gives each u32 eight bytes */
#define WAIT_EVENTS 16
#define WAIT_SPINS 64

/* The head of a ring in the merge: the ring with the oldest record is on top. */
struct drain_head {
	uint64_t ktime_ns;
	struct ln_ring *ring;
	const uint8_t *record;
	uint64_t next; /* read position behind it */
};

static bool drain_sound(const uint8_t *record, uint32_t len)
{
	struct li_rec head;

	if (len < sizeof(head))
		return false;
	memcpy(&head, record, sizeof(head));
	return head.cap_len <= len - sizeof(head);
}

/* Finds the next record of a ring, past the discarded ones. False: none is ready. */
static bool drain_peek(struct ln_ring *ring, struct drain_head *head)
{
	uint64_t producer = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);

	while (ring->read < producer) {
		const uint8_t *at = ring->data + (ring->read & (ring->size - 1));
		uint32_t word = __atomic_load_n((const uint32_t *)at, __ATOMIC_ACQUIRE);
		uint32_t len = word & RING_LENGTH;
		uint64_t room = ((uint64_t)len + RING_HEADER + 7) & ~7ull;

		if (word & RING_BUSY)
			return false;
		if (room > producer - ring->read || room > ring->size) {
			/* Cannot be: what follows has no known start. Give up all that is there. */
			ring->damaged++;
			ring->read = producer;
			return false;
		}
		if (word & RING_DISCARD) {
			ring->read += room;
			continue;
		}
		if (!drain_sound(at + RING_HEADER, len)) {
			ring->damaged++;
			ring->read += room;
			continue;
		}
		head->ring = ring;
		head->record = at + RING_HEADER;
		head->next = ring->read + room;
		memcpy(&head->ktime_ns, head->record + offsetof(struct li_rec, ktime_ns), sizeof(head->ktime_ns));
		return true;
	}
	return false;
}

static bool drain_before(const struct drain_head *a, const struct drain_head *b)
{
	if (a->ktime_ns != b->ktime_ns)
		return a->ktime_ns < b->ktime_ns;
	return a->ring->cpu < b->ring->cpu;
}

/* Restores the heap below `at`. */
static void drain_sift(struct drain_head *heap, uint32_t n, uint32_t at)
{
	struct drain_head moving = heap[at];

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= n)
			break;
		if (child + 1 < n && drain_before(&heap[child + 1], &heap[child]))
			child++;
		if (!drain_before(&heap[child], &moving))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = moving;
}

static void drain_take(struct drain_head *head, struct ln_batch *batch)
{
	memcpy(&batch->recs[batch->n], head->record, sizeof(struct li_rec));
	batch->data[batch->n] = head->record + sizeof(struct li_rec);
	batch->n++;
	head->ring->read = head->next;
	head->ring->pending++;
}

int ln_drain(struct ln_probe *probe, struct ln_batch *batch)
{
	struct drain_head heap[LI_MAX_CPUS];
	uint32_t n = 0;

	batch->n = 0;
	for (uint32_t i = 0; i < probe->n_rings; i++)
		if (drain_peek(&probe->rings[i], &heap[n]))
			n++;
	for (uint32_t i = n / 2; i-- > 0;)
		drain_sift(heap, n, i);
	while (n && batch->n < batch->capacity) {
		drain_take(&heap[0], batch);
		if (!drain_peek(heap[0].ring, &heap[0]))
			heap[0] = heap[--n];
		if (n > 1)
			drain_sift(heap, n, 0);
	}
	return (int)batch->n;
}

int ln_release(struct ln_probe *probe)
{
	for (uint32_t i = 0; i < probe->n_rings; i++) {
		struct ln_ring *ring = &probe->rings[i];

		if (*ring->consumer == ring->read)
			continue;
		__atomic_store_n(ring->consumer, ring->read, __ATOMIC_RELEASE);
		__atomic_store_n(&ring->consumed, ring->consumed + ring->pending, __ATOMIC_RELAXED);
		ring->pending = 0;
	}
	return 0;
}

static void wait_ask(struct ln_probe *probe, uint32_t wish)
{
	for (uint32_t i = 0; i < probe->n_rings; i++)
		__atomic_store_n(&probe->sleep[i * SLEEP_STRIDE], wish, __ATOMIC_RELAXED);
	/* The wish must be seen before we look at the rings, or a record's wake-up is missed. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* 1: a record is ready; 0: nothing; -EAGAIN: one is being written. */
static int wait_look(struct ln_probe *probe)
{
	struct drain_head head;
	int ret = 0;

	for (uint32_t i = 0; i < probe->n_rings; i++) {
		struct ln_ring *ring = &probe->rings[i];

		if (drain_peek(ring, &head))
			return 1;
		if (ring->read < __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE))
			ret = -EAGAIN;
	}
	return ret;
}

static int64_t wait_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Sleeps in the kernel. 1: ln_wake was called, 0: a ring's wake-up or the time is over. */
static int wait_sleep(struct ln_probe *probe, int64_t ns)
{
	struct timespec timeout = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
	struct epoll_event events[WAIT_EVENTS];
	uint64_t count;
	long n = syscall(SYS_epoll_pwait2, probe->epoll_fd, events, WAIT_EVENTS, &timeout, NULL, 0);

	if (n < 0)
		return errno == EINTR ? 1 : -errno; /* a signal: the caller decides */
	for (long i = 0; i < n; i++)
		if (events[i].data.fd == probe->wake_fd && read(probe->wake_fd, &count, sizeof(count)) > 0)
			return 1;
	return 0;
}

int ln_wait(struct ln_probe *probe, uint32_t timeout_us)
{
	int64_t end = wait_now() + (int64_t)timeout_us * 1000, left = end;
	int ret, spins = 0;

	for (;;) {
		wait_ask(probe, LI_WAKE_ANY);
		ret = wait_look(probe);
		if (ret > 0)
			break;
		left = end - wait_now();
		if (left <= 0) {
			ret = 0;
			break;
		}
		if (ret == -EAGAIN) {
			/* A program may have read the wish before we wrote it, and is about to submit. */
			if (++spins < WAIT_SPINS) {
				sched_yield();
				continue;
			}
			left = left < 50000 ? left : 50000;
		}
		ret = wait_sleep(probe, left);
		if (ret) {
			ret = ret < 0 ? ret : wait_look(probe) > 0;
			break;
		}
	}
	wait_ask(probe, LI_WAKE_NEVER);
	return ret;
}

int ln_nap(struct ln_probe *probe, uint32_t timeout_us)
{
	int ret;

	wait_ask(probe, LI_WAKE_WATERMARK);
	ret = wait_sleep(probe, (int64_t)timeout_us * 1000);
	wait_ask(probe, LI_WAKE_NEVER);
	if (ret < 0)
		return ret;
	return wait_look(probe) > 0;
}

void ln_wake(struct ln_probe *probe)
{
	uint64_t one = 1;
	ssize_t written = write(probe->wake_fd, &one, sizeof(one));

	(void)written; /* a full counter wakes as well */
}
