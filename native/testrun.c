// SPDX-License-Identifier: Apache-2.0
/* BPF_PROG_TEST_RUN: one frame through a program, or many really sent. */
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#include "internal.h"

#define TESTRUN_LIVE (1u << 1) /* BPF_F_TEST_XDP_LIVE_FRAMES */

static int testrun_type(int prog_fd, uint32_t *type)
{
	struct bpf_prog_info info = {};
	uint32_t info_len = sizeof(info);

	if (bpf_obj_get_info_by_fd(prog_fd, &info, &info_len))
		return -errno;
	*type = info.type;
	return 0;
}

static int testrun(int prog_fd, uint32_t ifindex, struct bpf_test_run_opts *opts)
{
	struct xdp_md xdp = {.data_end = opts->data_size_in, .ingress_ifindex = ifindex};
	struct __sk_buff skb = {.ifindex = ifindex};
	uint32_t type = 0;
	int ret = testrun_type(prog_fd, &type);

	if (ret)
		return ret;
	if (ifindex) {
		opts->ctx_in = type == BPF_PROG_TYPE_XDP ? (void *)&xdp : (void *)&skb;
		opts->ctx_size_in = type == BPF_PROG_TYPE_XDP ? sizeof(xdp) : sizeof(skb);
	}
	ret = bpf_prog_test_run_opts(prog_fd, opts);
	return ret < 0 ? ret : (int)opts->retval;
}

int ln_test_run(struct ln_probe *probe, const char *program, uint32_t ifindex, const void *frame, uint32_t frame_len,
		void *out, uint32_t *out_len, uint32_t repeat, uint32_t *duration_ns)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = frame_len, .repeat = (int)repeat);
	int ret, fd = ln_prog_fd(probe, program);

	if (fd < 0)
		return fd;
	if (out && out_len) {
		opts.data_out = out;
		opts.data_size_out = *out_len;
	}
	ret = testrun(fd, ifindex, &opts);
	if (out_len)
		*out_len = opts.data_size_out;
	if (duration_ns)
		*duration_ns = opts.duration;
	return ret;
}

int ln_test_run_fd(int prog_fd, uint32_t ifindex, const void *frame, uint32_t frame_len, uint32_t repeat, int live,
		   uint32_t batch, uint32_t *duration_ns)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = frame_len, .repeat = (int)repeat);
	int ret;

	if (live) {
		opts.flags = TESTRUN_LIVE;
		opts.batch_size = batch;
	}
	ret = testrun(prog_fd, ifindex, &opts);
	if (duration_ns)
		*duration_ns = opts.duration;
	return ret;
}
