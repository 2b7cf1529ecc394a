/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The maps of the capture program.  Names are LI_MAP_* of abi.h. */
#ifndef LICTL_MAPS_H
#define LICTL_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "scratch.h"

/* Site-wide settings, one entry; mapped by the daemon, which refreshes the clock offset in it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct li_config);
} li_config SEC(".maps");

/* Role and permitted sides of each interface, by ifindex. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LI_MAX_IFINDEX);
	__type(key, uint32_t);
	__type(value, struct li_port);
} li_ports SEC(".maps");

/* The orders.  Mapped by the daemon: a slot's state word is written at once. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LI_MAX_SLOTS);
	__type(key, uint32_t);
	__type(value, struct li_slot);
} li_slots SEC(".maps");

/* Target maps.  Not preallocated: an empty one costs its bucket table only. */
#define LI_TARGET_MAP(name, key_type)                                                                                  \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_HASH);                                                                       \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                                                  \
		__uint(max_entries, LI_MAX_TARGETS);                                                                   \
		__type(key, struct key_type);                                                                          \
		__type(value, struct li_target);                                                                       \
	} name SEC(".maps")

LI_TARGET_MAP(li_v4, li_key_v4);
LI_TARGET_MAP(li_v6, li_key_v6);
LI_TARGET_MAP(li_port, li_key_port);
LI_TARGET_MAP(li_flow, li_key_flow);
LI_TARGET_MAP(li_mac, li_key_mac);
LI_TARGET_MAP(li_vlan, li_key_vlan);
LI_TARGET_MAP(li_pppoe, li_key_pppoe);

/* What proves most packets to be nobody's target before a target map is asked. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct li_filter);
} li_filter SEC(".maps");

/* Counters.  Per CPU, and the program cannot be interrupted by itself on one CPU, so no atomics. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LI_MAX_SLOTS);
	__type(key, uint32_t);
	__type(value, struct li_slot_count);
} li_slot_count SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct li_totals);
} li_totals SEC(".maps");

/* Work space of the packet in hand: too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2); /* by hook; with bottom halves off, so neither interrupts the other */
	__type(key, uint32_t);
	__type(value, struct li_scratch);
} li_scratch SEC(".maps");

/* One ring buffer a CPU, made by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, LI_MAX_CPUS);
	__type(key, uint32_t);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_RINGBUF);
			__uint(max_entries, 4096);
		});
} li_rings SEC(".maps");

/* What the reader of the rings wants: LI_WAKE_*. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LI_MAX_CPUS);
	__type(key, uint32_t);
	__type(value, uint32_t);
} li_sleep SEC(".maps");

#endif
