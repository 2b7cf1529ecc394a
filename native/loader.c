// SPDX-License-Identifier: Apache-2.0
/* The BPF object: opening, loading or taking over, and its descriptors. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "internal.h"

#define LOADER_LOG_BYTES (1u << 20)
#define LOADER_WATERMARK_SHIFT 2 /* a quarter of a ring */

static int loader_check(const struct ln_options *options, char *err, size_t err_len)
{
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE), bytes = options->ring_bytes;

	if (bytes < page || (bytes & (bytes - 1)) || bytes > 1u << 30) {
		ln_say(err, err_len, "A ring of %u bytes cannot be: choose a power of two from %u to %u.", bytes, page,
		       1u << 30);
		return -EINVAL;
	}
	if (options->pin_dir && strlen(options->pin_dir) > LN_PATH_MAX - 64) {
		ln_say(err, err_len, "The path of the folder for pinned maps is too long.");
		return -ENAMETOOLONG;
	}
	return 0;
}

/* The verifier's log ends with its statistics; the line before says why. */
static const char *loader_reason(char *log)
{
	char *last = "", *rest = log, *line;

	while ((line = strsep(&rest, "\n")))
		if (line[0] && strncmp(line, "processed ", 10) && strncmp(line, "verification time", 17) &&
		    strncmp(line, "stack depth", 11))
			last = line;
	return last;
}

static void loader_explain(int ret, char *log, char *err, size_t err_len)
{
	const char *reason = log ? loader_reason(log) : "";

	if (ret == -EPERM && !reason[0])
		ln_say(err, err_len,
		       "The kernel does not allow to load the capture program. Run as root, or with CAP_BPF, "
		       "CAP_NET_ADMIN and CAP_PERFMON.");
	else if (reason[0])
		ln_say(err, err_len, "The kernel refused the capture program: %s (%s). See lictl doctor.", reason,
		       strerror(-ret));
	else
		ln_say(err, err_len, "The capture program cannot be loaded: %s. See lictl doctor.", strerror(-ret));
}

static int loader_load(struct ln_probe *probe, const struct ln_options *options, bool take_over, char *err,
		       size_t err_len)
{
	char *log = calloc(1, LOADER_LOG_BYTES);
	LIBBPF_OPTS(bpf_object_open_opts, opts, .kernel_log_buf = log, .kernel_log_size = log ? LOADER_LOG_BYTES : 0);
	int ret = 0;

	probe->object = bpf_object__open_file(options->object_path, &opts);
	if (!probe->object) {
		ret = -errno;
		ln_say(err, err_len, "%s cannot be read as a BPF object: %s.", options->object_path, strerror(-ret));
		goto out;
	}
	if (take_over)
		ret = ln_pins_reuse(probe, options->ring_bytes, err, err_len);
	if (ret)
		goto out;
	ret = bpf_object__load(probe->object);
	if (ret)
		loader_explain(ret, log, err, err_len);
out:
	/* libbpf keeps the pointer but writes there during load only. */
	free(log);
	return ret;
}

static int loader_map(struct ln_probe *probe, const char *name, size_t bytes, void **memory, size_t *size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int fd = ln_map_fd(probe, name);

	if (fd < 0)
		return fd;
	*size = (bytes + page - 1) & ~(page - 1);
	*memory = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*memory == MAP_FAILED) {
		*memory = NULL;
		return -errno;
	}
	return 0;
}

static int loader_map_words(struct ln_probe *probe, char *err, size_t err_len)
{
	const struct {
		const char *name;
		size_t bytes;
		void **memory;
		size_t *size;
	} maps[] = {
		{LI_MAP_CONFIG, sizeof(struct li_config), (void **)&probe->config, &probe->config_size},
		{LI_MAP_SLEEP, LI_MAX_CPUS * sizeof(uint64_t), (void **)&probe->sleep, &probe->sleep_size},
		{LI_MAP_SLOTS, LI_MAX_SLOTS * sizeof(struct li_slot), (void **)&probe->slots, &probe->slots_size},
		{LI_MAP_FILTER, sizeof(struct li_filter), (void **)&probe->filter, &probe->filter_size},
	};
	int ret = 0;

	for (size_t i = 0; !ret && i < sizeof(maps) / sizeof(*maps); i++)
		ret = loader_map(probe, maps[i].name, maps[i].bytes, maps[i].memory, maps[i].size);
	if (ret)
		ln_say(err, err_len, "The maps cannot be mapped into memory: %s.", strerror(-ret));
	return ret;
}

/* A new set of maps: numbered, so that a spool can tell its records from those of an earlier set. */
static int loader_begin(struct ln_probe *probe, uint32_t ring_bytes)
{
	struct ln_clock clock;
	uint64_t incarnation = 0;

	if (getrandom(&incarnation, sizeof(incarnation), 0) != sizeof(incarnation))
		return -EIO;
	if (ln_clock_read(&clock))
		return -EIO;
	probe->config->incarnation = incarnation | 1;
	probe->config->watermark = ring_bytes >> LOADER_WATERMARK_SHIFT;
	probe->config->utc_offset_ns = (uint64_t)clock.utc_offset_ns;
	probe->config->abi_version = LI_ABI_VERSION;
	return 0;
}

static int loader_programs(struct ln_probe *probe)
{
	static const char *const names[] = {LI_PROG_INGRESS, LI_PROG_EGRESS};

	for (int hook = 0; hook < 2; hook++) {
		struct bpf_program *program = bpf_object__find_program_by_name(probe->object, names[hook]);
		struct bpf_prog_info info = {};
		uint32_t info_len = sizeof(info);

		if (!program)
			return -ENOENT;
		/* Our own descriptor: a program that is taken over has one, too. */
		probe->prog_fd[hook] = dup(bpf_program__fd(program));
		if (probe->prog_fd[hook] < 0 || bpf_obj_get_info_by_fd(probe->prog_fd[hook], &info, &info_len))
			return -errno;
		probe->prog_id[hook] = info.id;
		memcpy(probe->tag[hook], info.tag, sizeof(info.tag));
	}
	return 0;
}

static int loader_make(struct ln_probe *probe, uint32_t ring_bytes, char *err, size_t err_len)
{
	int ret = loader_programs(probe);

	if (ret) {
		ln_say(err, err_len, "The BPF object lacks a program of this version.");
		return ret;
	}
	ret = loader_begin(probe, ring_bytes);
	if (ret) {
		ln_say(err, err_len, "No random number or no clock can be read.");
		return ret;
	}
	ret = ln_rings_make(probe, ring_bytes, err, err_len);
	if (!ret && probe->pin_dir[0]) {
		ret = ln_pins_write(probe, err, err_len);
		if (ret)
			ln_pins_remove(probe, NULL, 0);
	}
	return ret;
}

static struct ln_probe *loader_new(const struct ln_options *options)
{
	struct ln_probe *probe = calloc(1, sizeof(*probe));

	if (!probe)
		return NULL;
	probe->prog_fd[0] = -1;
	probe->prog_fd[1] = -1;
	probe->epoll_fd = -1;
	probe->wake_fd = -1;
	if (options->pin_dir)
		snprintf(probe->pin_dir, sizeof(probe->pin_dir), "%s", options->pin_dir);
	return probe;
}

int ln_open(const struct ln_options *options, struct ln_probe **out, int *took_over, char *err, size_t err_len)
{
	struct ln_probe *probe;
	bool take_over = false;
	int ret;

	ln_quiet();
	*out = NULL;
	*took_over = 0;
	ln_say(err, err_len, "Not enough memory.");
	ret = loader_check(options, err, err_len);
	if (ret)
		return ret;
	probe = loader_new(options);
	if (!probe)
		return -ENOMEM;
	if (probe->pin_dir[0]) {
		ret = ln_pins_prepare(probe, err, err_len);
		if (ret)
			goto out;
		take_over = ln_pins_present(probe) && !options->fresh;
	}
	ln_say(err, err_len, "The pinned maps cannot be read.");
	ret = loader_load(probe, options, take_over, err, err_len);
	if (ret)
		goto out;
	ret = loader_map_words(probe, err, err_len);
	if (ret)
		goto out;
	/* What was pinned is removed only now that its successor is known to load. */
	if (probe->pin_dir[0] && !take_over)
		ret = ln_pins_remove(probe, err, err_len);
	if (!ret)
		ret = take_over ? ln_pins_adopt(probe, err, err_len)
				: loader_make(probe, options->ring_bytes, err, err_len);
	if (!ret)
		ret = ln_rings_open(probe, err, err_len);
	if (!ret && take_over)
		ret = ln_attached_adopt(probe, err, err_len);
	if (ret)
		goto out;
	*took_over = take_over;
	*out = probe;
	err[0] = '\0';
	return 0;
out:
	ln_close(probe);
	return ret;
}

void ln_close(struct ln_probe *probe)
{
	if (!probe)
		return;
	ln_attached_close(probe);
	ln_rings_close(probe);
	if (probe->config)
		munmap(probe->config, probe->config_size);
	if (probe->sleep)
		munmap(probe->sleep, probe->sleep_size);
	if (probe->slots)
		munmap(probe->slots, probe->slots_size);
	if (probe->filter)
		munmap(probe->filter, probe->filter_size);
	for (int hook = 0; hook < 2; hook++)
		if (probe->prog_fd[hook] >= 0)
			close(probe->prog_fd[hook]);
	bpf_object__close(probe->object);
	free(probe);
}

int ln_destroy(struct ln_probe *probe, char *err, size_t err_len)
{
	int ret = 0;

	while (probe->n_attached && !ret)
		ret = ln_detach(probe, probe->attached[0].ifindex, probe->attached[0].hook, err, err_len);
	if (!ret && probe->pin_dir[0])
		ret = ln_pins_remove(probe, err, err_len);
	return ret;
}

int ln_map_fd(struct ln_probe *probe, const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(probe->object, name);

	return fd < 0 ? -ENOENT : fd;
}

int ln_prog_fd(struct ln_probe *probe, const char *name)
{
	if (!strcmp(name, LI_PROG_INGRESS))
		return probe->prog_fd[LI_AT_INGRESS];
	if (!strcmp(name, LI_PROG_EGRESS))
		return probe->prog_fd[LI_AT_EGRESS];
	return -ENOENT;
}
