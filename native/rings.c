// SPDX-License-Identifier: Apache-2.0
/* One ring buffer a CPU: making, finding after a restart, mapping. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

/* A virtual machine may name many CPUs that it will never start: those get a small ring. */
uint32_t ln_ring_bytes_for(uint32_t cpu, uint32_t ring_bytes)
{
	if (!ln_cpu_online(cpu) && ring_bytes > LN_NOT_ONLINE_RING)
		return LN_NOT_ONLINE_RING;
	return ring_bytes;
}

static int rings_reserve(struct ln_probe *probe)
{
	int n = ln_possible();

	if (n < 0)
		return n;
	if (n > LI_MAX_CPUS)
		return -E2BIG;
	probe->rings = calloc((size_t)n, sizeof(*probe->rings));
	if (!probe->rings)
		return -ENOMEM;
	probe->n_rings = (uint32_t)n;
	for (int i = 0; i < n; i++) {
		probe->rings[i].cpu = (uint32_t)i;
		probe->rings[i].fd = -1;
		probe->rings[i].consumer = MAP_FAILED;
		probe->rings[i].producer = MAP_FAILED;
	}
	return 0;
}

static int ring_make(struct ln_probe *probe, struct ln_ring *ring, uint32_t ring_bytes)
{
	int outer = ln_map_fd(probe, LI_MAP_RINGS);
	char name[24];

	if (outer < 0)
		return outer;
	snprintf(name, sizeof(name), "li_ring_%u", ring->cpu);
	ring->fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, name, 0, 0, ln_ring_bytes_for(ring->cpu, ring_bytes), NULL);
	if (ring->fd < 0)
		return -errno;
	return bpf_map_update_elem(outer, &ring->cpu, &ring->fd, BPF_ANY) ? -errno : 0;
}

int ln_rings_make(struct ln_probe *probe, uint32_t ring_bytes, char *err, size_t err_len)
{
	int ret = rings_reserve(probe);

	for (uint32_t i = 0; !ret && i < probe->n_rings; i++)
		ret = ring_make(probe, &probe->rings[i], ring_bytes);
	if (ret)
		ln_say(err, err_len,
		       "The rings (%u bytes for each of %u CPUs) cannot be made: %s. Try a smaller ring size.",
		       ring_bytes, probe->n_rings, strerror(-ret));
	return ret;
}

/* Pinned beside the outer map: asking the kernel for a map by its id would need CAP_SYS_ADMIN. */
static int ring_find(struct ln_probe *probe, struct ln_ring *ring)
{
	char path[LN_PATH_MAX], name[24];
	int ret;

	snprintf(name, sizeof(name), "li_ring_%u", ring->cpu);
	ret = ln_pin_path(probe, path, "maps", name);
	if (ret)
		return ret;
	ring->fd = bpf_obj_get(path);
	return ring->fd < 0 ? -errno : 0;
}

static int ring_map(struct ln_ring *ring)
{
	struct bpf_map_info info = {};
	uint32_t info_len = sizeof(info);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *memory;

	if (bpf_obj_get_info_by_fd(ring->fd, &info, &info_len))
		return -errno;
	if (info.type != BPF_MAP_TYPE_RINGBUF)
		return -EINVAL;
	ring->size = info.max_entries;
	ring->consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
	if (ring->consumer == MAP_FAILED)
		return -errno;
	memory = mmap(NULL, page + 2 * (size_t)ring->size, PROT_READ, MAP_SHARED, ring->fd, (off_t)page);
	if (memory == MAP_FAILED)
		return -errno;
	ring->producer = (const uint64_t *)memory;
	ring->data = memory + page;
	/* What an earlier daemon did not release is read again. */
	ring->read = __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
	return 0;
}

static int ring_poll(struct ln_probe *probe, int fd)
{
	/* Edge-triggered: a ring whose records are drained but not yet released must not wake anybody. */
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = fd};

	return epoll_ctl(probe->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int ln_rings_open(struct ln_probe *probe, char *err, size_t err_len)
{
	int ret = 0;

	if (!probe->rings) {
		ret = rings_reserve(probe);
		for (uint32_t i = 0; !ret && i < probe->n_rings; i++)
			ret = ring_find(probe, &probe->rings[i]);
	}
	for (uint32_t i = 0; !ret && i < probe->n_rings; i++)
		ret = ring_map(&probe->rings[i]);
	if (ret)
		goto out;
	probe->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	probe->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (probe->epoll_fd < 0 || probe->wake_fd < 0) {
		ret = -errno;
		goto out;
	}
	ret = ring_poll(probe, probe->wake_fd);
	for (uint32_t i = 0; !ret && i < probe->n_rings; i++)
		ret = ring_poll(probe, probe->rings[i].fd);
out:
	if (ret)
		ln_say(err, err_len, "The rings cannot be mapped: %s.", strerror(-ret));
	return ret;
}

void ln_rings_close(struct ln_probe *probe)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (uint32_t i = 0; i < probe->n_rings; i++) {
		struct ln_ring *ring = &probe->rings[i];

		if (ring->producer != MAP_FAILED)
			munmap((void *)(uintptr_t)ring->producer, page + 2 * (size_t)ring->size);
		if (ring->consumer != MAP_FAILED)
			munmap(ring->consumer, page);
		if (ring->fd >= 0)
			close(ring->fd);
	}
	free(probe->rings);
	probe->rings = NULL;
	probe->n_rings = 0;
	if (probe->epoll_fd >= 0)
		close(probe->epoll_fd);
	if (probe->wake_fd >= 0)
		close(probe->wake_fd);
	probe->epoll_fd = -1;
	probe->wake_fd = -1;
}

int ln_rings(struct ln_probe *probe, struct ln_ring_state *out, int max)
{
	int n = 0;

	for (uint32_t i = 0; i < probe->n_rings && n < max; i++, n++) {
		const struct ln_ring *ring = &probe->rings[i];
		uint64_t consumer = __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);

		out[n] = (struct ln_ring_state){
			.cpu = ring->cpu,
			.size = ring->size,
			.waiting = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE) - consumer,
			.consumed = __atomic_load_n(&ring->consumed, __ATOMIC_RELAXED),
			.damaged = __atomic_load_n(&ring->damaged, __ATOMIC_RELAXED),
		};
	}
	return n;
}
