/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The card's own receive time: when it is believed, and what it is in UTC. */
#ifndef LICTL_HWTIME_H
#define LICTL_HWTIME_H

#include "scratch.h"

/* Judges a stamp of the card's clock against the kernel's time of the same packet; *utc_ns is its time where it is
 * believed (LI_HW_USED). All differences wrap, so no clock value is out of range. Returns LI_HW_*. */
li_inline int li_hwtime_judge(uint64_t card_ns, uint64_t card_offset_ns, uint64_t kernel_utc_ns, uint64_t behind_ns,
			      uint64_t ahead_ns, uint64_t *utc_ns)
{
	uint64_t utc = card_ns + card_offset_ns, behind = kernel_utc_ns - utc;

	if (!card_ns)
		return LI_HW_ABSENT;
	if ((int64_t)behind >= 0 ? behind > behind_ns : -behind > ahead_ns)
		return LI_HW_IMPLAUSIBLE;
	*utc_ns = utc;
	return LI_HW_USED;
}

#ifdef LI_HARDWARE_TIME
#include "match.h"

#ifndef LI_RX_TIMESTAMP /* tests stamp with given values */
extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *timestamp) __ksym;
#define LI_RX_TIMESTAMP(ctx, timestamp) bpf_xdp_metadata_rx_timestamp(ctx, timestamp)
#endif

/* Stamps a packet that may be a target's: the kernel's time, and the card's in its place where that is believed.
 * Called from the program itself, as a kfunc takes its own context only. */
li_inline void li_stamp_card(struct xdp_md *ctx, struct li_scratch *s, const struct li_config *config)
{
	uint32_t ifindex = s->ifindex, number;
	const struct li_hwtime *port = bpf_map_lookup_elem(&li_hwtime, &ifindex);
	struct li_hw_count *count;
	uint64_t card_ns = 0;
	int class = LI_HW_STALE;

	li_stamp(s, config);
	if (!port)
		return;
	if (s->ktime_ns < *(const volatile uint64_t *)&port->until_ns) {
		if (LI_RX_TIMESTAMP(ctx, &card_ns))
			card_ns = 0;
		class = li_hwtime_judge(card_ns, *(const volatile uint64_t *)&port->utc_offset_ns, s->utc_ns,
					port->behind_ns, port->ahead_ns, &s->utc_ns);
	}
	if (class == LI_HW_USED)
		s->clock = LI_CLOCK_HARDWARE;
	number = port->number;
	count = bpf_map_lookup_elem(&li_hw_count, &number);
	if (count && class < LI_HW_CLASSES)
		count->packets[class]++;
}
#else
#define li_stamp_card(ctx, s, config) /* the kernel's time, when the first target is found */
#endif

#endif
