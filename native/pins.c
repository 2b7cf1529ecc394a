// SPDX-License-Identifier: Apache-2.0
/*
 * What stays in the kernel while no daemon runs: pinned maps, rings, programs
 * and links.  The pin of li_config is made last, so a folder without it is
 * unfinished and is made anew.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "internal.h"

#define PINS_BPF_FS_MAGIC 0xcafe4a11
#define PINS_FRESH "Start once with --fresh: the records that wait in the rings are then lost."

static const char *const pins_folders[] = {"maps", "progs", "links"};
static const char *const pins_programs[] = {LI_PROG_INGRESS, LI_PROG_EGRESS};

int ln_pin_path(const struct ln_probe *probe, char *path, const char *folder, const char *name)
{
	int n = snprintf(path, LN_PATH_MAX, "%s/%s%s%s", probe->pin_dir, folder, name[0] ? "/" : "", name);

	return n < 0 || n >= LN_PATH_MAX ? -ENAMETOOLONG : 0;
}

static int pins_folder(const char *path)
{
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

int ln_pins_prepare(struct ln_probe *probe, char *err, size_t err_len)
{
	char path[LN_PATH_MAX];
	struct statfs fs;
	int ret = pins_folder(probe->pin_dir);

	if (!ret && statfs(probe->pin_dir, &fs))
		ret = -errno;
	if (!ret && (uint32_t)fs.f_type != PINS_BPF_FS_MAGIC) {
		ln_say(err, err_len, "%s is not on a bpffs. Mount one there: mount -t bpf bpf %s.", probe->pin_dir,
		       probe->pin_dir);
		return -ENODEV;
	}
	for (size_t i = 0; !ret && i < sizeof(pins_folders) / sizeof(pins_folders[0]); i++) {
		ret = ln_pin_path(probe, path, pins_folders[i], "");
		if (!ret)
			ret = pins_folder(path);
	}
	if (ret)
		ln_say(err, err_len, "The folder for pinned maps, %s, cannot be used: %s.", probe->pin_dir,
		       strerror(-ret));
	return ret;
}

bool ln_pins_present(const struct ln_probe *probe)
{
	char path[LN_PATH_MAX];

	return !ln_pin_path(probe, path, "maps", LI_MAP_CONFIG) && !access(path, F_OK);
}

int ln_pins_each(const struct ln_probe *probe, const char *folder, int (*visit)(void *context, const char *name),
		 void *context)
{
	char path[LN_PATH_MAX];
	struct dirent **names = NULL;
	int n, ret = ln_pin_path(probe, path, folder, "");

	if (ret)
		return ret;
	n = scandir(path, &names, NULL, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		if (!ret && names[i]->d_name[0] != '.')
			ret = visit(context, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return ret;
}

/* ---- taking over ---- */

static int pins_differ(const char *map, const char *what, uint32_t pinned, uint32_t wanted, char *err, size_t err_len)
{
	ln_say(err, err_len, "The pinned map %s has %s %u, this version needs %u. " PINS_FRESH, map, what, pinned,
	       wanted);
	return -ESTALE;
}

static int pins_same_shape(const struct bpf_map *map, const struct bpf_map_info *pinned, char *err, size_t err_len)
{
	const char *name = bpf_map__name(map);

	if (pinned->type != bpf_map__type(map))
		return pins_differ(name, "type", pinned->type, bpf_map__type(map), err, err_len);
	if (pinned->key_size != bpf_map__key_size(map))
		return pins_differ(name, "key size", pinned->key_size, bpf_map__key_size(map), err, err_len);
	if (pinned->value_size != bpf_map__value_size(map))
		return pins_differ(name, "value size", pinned->value_size, bpf_map__value_size(map), err, err_len);
	if (pinned->max_entries != bpf_map__max_entries(map))
		return pins_differ(name, "capacity", pinned->max_entries, bpf_map__max_entries(map), err, err_len);
	if (pinned->map_flags != bpf_map__map_flags(map))
		return pins_differ(name, "flags", pinned->map_flags, bpf_map__map_flags(map), err, err_len);
	return 0;
}

static int pins_abi_version(int fd, char *err, size_t err_len)
{
	struct li_config config;
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(fd, &zero, &config))
		return -errno;
	if (config.abi_version != LI_ABI_VERSION)
		return pins_differ(LI_MAP_CONFIG, "ABI version", config.abi_version, LI_ABI_VERSION, err, err_len);
	return 0;
}

static int pins_reuse_map(struct ln_probe *probe, struct bpf_map *map, char *err, size_t err_len)
{
	struct bpf_map_info info = {};
	uint32_t info_len = sizeof(info);
	char path[LN_PATH_MAX];
	int fd, ret = ln_pin_path(probe, path, "maps", bpf_map__name(map));

	if (ret)
		return ret;
	fd = bpf_obj_get(path);
	if (fd < 0) {
		if (errno != ENOENT)
			return -errno;
		ln_say(err, err_len, "The pinned maps lack %s: another version made them. " PINS_FRESH,
		       bpf_map__name(map));
		return -ESTALE;
	}
	ret = bpf_obj_get_info_by_fd(fd, &info, &info_len) ? -errno : 0;
	if (!ret)
		ret = pins_same_shape(map, &info, err, err_len);
	if (!ret && !strcmp(bpf_map__name(map), LI_MAP_CONFIG))
		ret = pins_abi_version(fd, err, err_len);
	if (!ret)
		ret = bpf_map__reuse_fd(map, fd); /* keeps a duplicate */
	close(fd);
	return ret;
}

static int pins_ring_size(struct ln_probe *probe, uint32_t cpu, uint32_t wanted, char *err, size_t err_len)
{
	struct bpf_map_info info = {};
	uint32_t info_len = sizeof(info);
	char path[LN_PATH_MAX], name[24];
	int fd, ret;

	snprintf(name, sizeof(name), "li_ring_%u", cpu);
	ret = ln_pin_path(probe, path, "maps", name);
	if (ret)
		return ret;
	fd = bpf_obj_get(path);
	if (fd < 0) {
		ln_say(err, err_len, "The ring of CPU %u is not pinned. " PINS_FRESH, cpu);
		return -ESTALE;
	}
	ret = bpf_obj_get_info_by_fd(fd, &info, &info_len) ? -errno : 0;
	close(fd);
	/* A CPU that was started or stopped since then keeps the ring that it had. */
	if (!ret && info.max_entries != wanted && info.max_entries != LN_NOT_ONLINE_RING &&
	    ln_ring_bytes_for(cpu, wanted) == wanted) {
		ln_say(err, err_len,
		       "The pinned ring of CPU %u has %u bytes, %u are asked for. Keep the old size, or: " PINS_FRESH,
		       cpu, info.max_entries, wanted);
		return -ESTALE;
	}
	return ret;
}

int ln_pins_reuse(struct ln_probe *probe, uint32_t ring_bytes, char *err, size_t err_len)
{
	int cpus = ln_possible(), ret = cpus < 0 ? cpus : 0;
	struct bpf_map *map;

	bpf_object__for_each_map(map, probe->object)
	{
		if (ret)
			return ret;
		if (!bpf_map__is_internal(map))
			ret = pins_reuse_map(probe, map, err, err_len);
	}
	for (int cpu = 0; !ret && cpu < cpus; cpu++)
		ret = pins_ring_size(probe, (uint32_t)cpu, ring_bytes, err, err_len);
	return ret;
}

static int pins_program(int fd, uint32_t *id, uint8_t *tag)
{
	struct bpf_prog_info info = {};
	uint32_t info_len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &info_len))
		return -errno;
	*id = info.id;
	memcpy(tag, info.tag, 8);
	return 0;
}

/* The program that is pinned goes on, if it is the one that this version would load. */
static int pins_adopt_program(struct ln_probe *probe, int hook, char *err, size_t err_len)
{
	const char *name = pins_programs[hook];
	struct bpf_program *loaded = bpf_object__find_program_by_name(probe->object, name);
	uint8_t tag[8];
	uint32_t id;
	char path[LN_PATH_MAX];
	int ret = ln_pin_path(probe, path, "progs", name);

	if (ret)
		return ret;
	ret = pins_program(bpf_program__fd(loaded), &id, tag);
	if (ret)
		return ret;
	probe->prog_fd[hook] = bpf_obj_get(path);
	if (probe->prog_fd[hook] < 0) {
		ln_say(err, err_len, "The program %s is not pinned. " PINS_FRESH, name);
		return -ESTALE;
	}
	ret = pins_program(probe->prog_fd[hook], &probe->prog_id[hook], probe->tag[hook]);
	if (!ret && memcmp(tag, probe->tag[hook], sizeof(tag))) {
		ln_say(err, err_len, "The running program %s is another version's (its tag differs). " PINS_FRESH,
		       name);
		return -ESTALE;
	}
	/* Loaded to be compared; left behind it would be a second program on the same maps. */
	bpf_program__unload(loaded);
	return ret;
}

int ln_pins_adopt(struct ln_probe *probe, char *err, size_t err_len)
{
	int ret = pins_adopt_program(probe, LI_AT_INGRESS, err, err_len);

	if (!ret)
		ret = pins_adopt_program(probe, LI_AT_EGRESS, err, err_len);
	return ret;
}

/* ---- making ---- */

static int pins_pin(struct ln_probe *probe, int fd, const char *folder, const char *name)
{
	char path[LN_PATH_MAX];
	int ret = ln_pin_path(probe, path, folder, name);

	if (!ret && bpf_obj_pin(fd, path))
		ret = -errno;
	return ret;
}

int ln_pins_write(struct ln_probe *probe, char *err, size_t err_len)
{
	struct bpf_map *map;
	char name[24];
	int ret = 0;

	for (int hook = 0; !ret && hook < 2; hook++)
		ret = pins_pin(probe, probe->prog_fd[hook], "progs", pins_programs[hook]);
	for (uint32_t i = 0; !ret && i < probe->n_rings; i++) {
		snprintf(name, sizeof(name), "li_ring_%u", probe->rings[i].cpu);
		ret = pins_pin(probe, probe->rings[i].fd, "maps", name);
	}
	bpf_object__for_each_map(map, probe->object)
	{
		if (!ret && !bpf_map__is_internal(map) && strcmp(bpf_map__name(map), LI_MAP_CONFIG))
			ret = pins_pin(probe, bpf_map__fd(map), "maps", bpf_map__name(map));
	}
	if (!ret)
		ret = pins_pin(probe, ln_map_fd(probe, LI_MAP_CONFIG), "maps", LI_MAP_CONFIG);
	if (ret)
		ln_say(err, err_len, "The maps cannot be pinned under %s: %s.", probe->pin_dir, strerror(-ret));
	return ret;
}

/* ---- removing ---- */

struct pins_walk {
	const struct ln_probe *probe;
	const char *folder;
};

static int pins_unlink(void *context, const char *name)
{
	const struct pins_walk *walk = context;
	char path[LN_PATH_MAX];
	int ret = ln_pin_path(walk->probe, path, walk->folder, name);

	if (!ret && unlink(path) && errno != ENOENT)
		ret = -errno;
	return ret;
}

/* An attachment that is pinned: ended in the kernel first, so that nothing captures on. */
static int pins_unlink_attachment(void *context, const char *name)
{
	const struct pins_walk *walk = context;
	uint32_t ifindex, id = 0, attached_id = 0;
	char path[LN_PATH_MAX];
	uint8_t tag[8];
	int fd, ret = ln_pin_path(walk->probe, path, walk->folder, name);

	if (ret)
		return ret;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return pins_unlink(context, name);
	if (sscanf(name, "xdp-%u", &ifindex) == 1) {
		if (bpf_link_detach(fd) && errno != ENOLINK && errno != EOPNOTSUPP)
			ret = -errno;
	} else if (sscanf(name, "tc-%u", &ifindex) == 1 && !pins_program(fd, &id, tag) &&
		   !ln_tc_query(ifindex, &attached_id) && id == attached_id) {
		struct ln_attached attached = {
			.ifindex = ifindex,
			.hook = LI_AT_EGRESS,
			.link_fd = -1,
			.made_qdisc = strstr(name, "-q") != NULL,
		};

		ret = ln_tc_detach((struct ln_probe *)(uintptr_t)walk->probe, &attached, NULL, 0);
	}
	close(fd);
	return ret ? ret : pins_unlink(context, name);
}

int ln_pins_remove(struct ln_probe *probe, char *err, size_t err_len)
{
	struct pins_walk walk = {.probe = probe, .folder = "links"};
	int ret = ln_pins_each(probe, "links", pins_unlink_attachment, &walk);

	/* The marker first: what is left by an interruption counts as unfinished. */
	walk.folder = "maps";
	if (!ret && ln_pins_present(probe))
		ret = pins_unlink(&walk, LI_MAP_CONFIG);
	if (!ret)
		ret = ln_pins_each(probe, "maps", pins_unlink, &walk);
	walk.folder = "progs";
	if (!ret)
		ret = ln_pins_each(probe, "progs", pins_unlink, &walk);
	if (ret)
		ln_say(err, err_len, "What is pinned under %s cannot be removed: %s.", probe->pin_dir, strerror(-ret));
	return ret;
}
