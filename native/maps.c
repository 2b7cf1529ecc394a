// SPDX-License-Identifier: Apache-2.0
/* Reading and writing of maps, many entries a call. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

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
