// SPDX-License-Identifier: Apache-2.0
/* Reading and writing of maps, many entries a call. */
#include <errno.h>
#include <stdio.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

int ln_possible(void)
{
	return libbpf_num_possible_cpus();
}

int ln_possible_cpus(void)
{
	ln_quiet();
	return ln_possible();
}

bool ln_cpu_online(uint32_t cpu)
{
	char path[96];
	FILE *file;
	int online = 1;

	/* CPU 0 often has no such file: it cannot be switched off. */
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", cpu);
	file = fopen(path, "re");
	if (!file) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u", cpu);
		file = fopen(path, "re");
		if (!file)
			return false;
	} else if (fscanf(file, "%d", &online) != 1) {
		online = 1;
	}
	fclose(file);
	return online != 0;
}

int ln_map_update(int fd, const void *keys, uint32_t key_size, const void *values, uint32_t value_size, uint32_t n,
		  int *first_error)
{
	const uint8_t *key = keys, *value = values;

	*first_error = 0;
	for (uint32_t i = 0; i < n; i++, key += key_size, value += value_size) {
		if (bpf_map_update_elem(fd, key, value, BPF_ANY)) {
			*first_error = -errno;
			return (int)i;
		}
	}
	return (int)n;
}

int ln_map_delete(int fd, const void *keys, uint32_t key_size, uint32_t n, int *first_error)
{
	const uint8_t *key = keys;

	*first_error = 0;
	for (uint32_t i = 0; i < n; i++, key += key_size) {
		if (bpf_map_delete_elem(fd, key) && errno != ENOENT) {
			*first_error = -errno;
			return (int)i;
		}
	}
	return (int)n;
}

int ln_map_dump(int fd, void *keys, uint32_t key_size, void *values, uint32_t value_size, uint32_t max)
{
	uint8_t *key = keys, *value = values;
	const void *previous = NULL;
	uint32_t n = 0;

	while (n < max) {
		if (bpf_map_get_next_key(fd, previous, key))
			return errno == ENOENT ? (int)n : -errno;
		if (bpf_map_lookup_elem(fd, key, value)) {
			if (errno != ENOENT)
				return -errno;
			/* Removed between the two calls: start again, the walk has lost its place. */
			previous = NULL;
			n = 0;
			key = keys;
			value = values;
			continue;
		}
		previous = key;
		key += key_size;
		value += value_size;
		n++;
	}
	return (int)n;
}

int ln_map_lookup(int fd, const void *key, void *value)
{
	return bpf_map_lookup_elem(fd, key, value) ? -errno : 0;
}

struct li_config *ln_config(struct ln_probe *probe)
{
	return probe->config;
}

struct li_filter *ln_filter(struct ln_probe *probe)
{
	return probe->filter;
}

static uint64_t slot_state(uint32_t generation, uint8_t mode, uint8_t flags)
{
	struct li_slot slot = {.generation = generation, .mode = mode, .flags = flags};
	uint64_t state;

	memcpy(&state, &slot, sizeof(state));
	return state;
}

int ln_slot_write(struct ln_probe *probe, uint32_t index, const struct li_slot *value)
{
	struct li_slot *slot;
	uint64_t *state, wanted;

	if (index >= LI_MAX_SLOTS)
		return -EINVAL;
	slot = &probe->slots[index];
	state = (uint64_t *)slot; /* generation, mode and flags, aligned */
	wanted = slot_state(value->generation, value->mode, value->flags);
	/* A revoked slot keeps its window: a packet in work may be about to read it. */
	if (value->generation && (slot->not_before != value->not_before || slot->not_after != value->not_after)) {
		/* The generation stays where the owner stays: whoever finds the slot after a crash knows it. */
		if (__atomic_load_n(state, __ATOMIC_RELAXED) != wanted)
			__atomic_store_n(state,
					 slot_state(slot->generation == value->generation ? value->generation : 0,
						    LI_MODE_OFF, 0),
					 __ATOMIC_SEQ_CST);
		__atomic_store_n(&slot->not_before, value->not_before, __ATOMIC_RELEASE);
		__atomic_store_n(&slot->not_after, value->not_after, __ATOMIC_RELEASE);
	}
	__atomic_store_n(state, wanted, __ATOMIC_SEQ_CST);
	return 0;
}

int ln_grace(struct ln_probe *probe)
{
	int outer;

	/* Waits for a grace period of RCU, under which every XDP and tc program runs. */
	if (!syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		return 0;
	/* Not with nohz_full CPUs. A write to an array of maps waits for one as well: the same ring again. */
	outer = ln_map_fd(probe, LI_MAP_RINGS);
	if (outer < 0)
		return outer;
	return bpf_map_update_elem(outer, &probe->rings[0].cpu, &probe->rings[0].fd, BPF_ANY) ? -errno : 0;
}
