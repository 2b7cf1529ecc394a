/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The peers of a measurement: the least a program can do, and a packet generator. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int bench_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

/* What the generator and the wire alone cost. */
SEC("xdp.frags")
int bench_drop(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_DROP;
}

/* Pace of the generator: nanoseconds between two frames, and when the next one is due. */
struct pace {
	__u64 gap_ns;
	__u64 due_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pace);
} bench_pace SEC(".maps");

static long is_due(__u32 round, __u64 *due_ns)
{
	(void)round;
	return bpf_ktime_get_ns() >= *due_ns;
}

/* With live frames this sends each frame out of the interface that the run names, at the map's pace. */
SEC("xdp")
int bench_send(struct xdp_md *ctx)
{
	__u32 zero = 0;
	__u64 due_ns;
	struct pace *pace = bpf_map_lookup_elem(&bench_pace, &zero);

	(void)ctx;
	if (!pace || !pace->gap_ns)
		return XDP_TX;
	due_ns = pace->due_ns;
	bpf_loop(1 << 20, is_due, &due_ns, 0);
	pace->due_ns = due_ns + pace->gap_ns;
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
