// SPDX-License-Identifier: Apache-2.0
/* What this kernel can do, found out by doing it on a small scale. */
#include <errno.h>
#include <string.h>

#include "internal.h"

static const struct {
	const char *name;
	int map_type;
	int prog_type;
	int helper;
} features[] = {
	{"xdp program", 0, BPF_PROG_TYPE_XDP, 0},
	{"tc program", 0, BPF_PROG_TYPE_SCHED_CLS, 0},
	{"hash map", BPF_MAP_TYPE_HASH, 0, 0},
	{"per-CPU array map", BPF_MAP_TYPE_PERCPU_ARRAY, 0, 0},
	{"array of maps", BPF_MAP_TYPE_ARRAY_OF_MAPS, 0, 0},
	{"ring buffer", BPF_MAP_TYPE_RINGBUF, 0, 0},
	{"xdp multi-buffer frames", 0, BPF_PROG_TYPE_XDP, BPF_FUNC_xdp_load_bytes},
	{"ring buffer from xdp", 0, BPF_PROG_TYPE_XDP, BPF_FUNC_ringbuf_reserve},
};

int ln_feature(int index, const char **name)
{
	int ret;

	if (index < 0 || (size_t)index >= sizeof(features) / sizeof(*features))
		return -ENOENT;
	ln_quiet();
	*name = features[index].name;
	if (features[index].map_type)
		ret = libbpf_probe_bpf_map_type(features[index].map_type, NULL);
	else
		ret = libbpf_probe_bpf_prog_type(features[index].prog_type, NULL);
	/* Asked only where programs load at all: a refusal for want of privilege would look like a helper that is there. */
	if (ret > 0 && features[index].helper)
		ret = libbpf_probe_bpf_helper(features[index].prog_type, features[index].helper, NULL);
	return ret < 0 ? 0 : ret; /* not permitted counts as not possible */
}
