/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The work space of the packet in hand. */
#ifndef LICTL_SCRATCH_H
#define LICTL_SCRATCH_H

#include "parse.h"

/* The packet, where it was seen, and the orders that it matched. */
struct li_scratch {
	uint64_t utc_ns;
	uint64_t ktime_ns;
	uint64_t cpu_seq;
	uint32_t ifindex;
	uint32_t frame_len;
	uint32_t n;
	uint16_t cpu;
	uint8_t hook;
	uint8_t clock;
	uint8_t sides;
	uint8_t access_sides;
	uint8_t vlan_dir;
	uint8_t zero;
	struct li_parsed parsed;
	uint32_t claims[LI_MAX_MATCHES];
	uint8_t dirs[LI_MAX_MATCHES];
	uint8_t modes
		[LI_MAX_MATCHES]; /* as judged with the window: a change afterwards does not widen this packet's record */
	uint8_t flags[LI_MAX_MATCHES];
	uint8_t headers[LI_MAX_HEADERS]; /* copy of the headers of a frame that is not linear */
};

#endif
