/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Records from parsed frames; the same code for the capture program and for replay. */
#ifndef LICTL_RECORD_H
#define LICTL_RECORD_H

#include "match.h"

/* Frame bytes that a content order gets: the IP packet cut at its own length (an
 * Ethernet trailer is not the subscriber's), or the frame where it is not IP. */
li_inline uint32_t li_content_len(const struct li_scratch *s)
{
	if (s->parsed.parse == LI_PARSE_OK)
		return s->parsed.l3_off + s->parsed.l3_len;
	return s->frame_len;
}

/* What both kinds of record hold. */
li_inline void li_fill_common(struct li_rec *rec, const struct li_scratch *s, uint32_t claim, uint8_t dir,
			      uint64_t slot_seq)
{
	rec->utc_ns = s->utc_ns;
	rec->ktime_ns = s->ktime_ns;
	rec->cpu_seq = s->cpu_seq;
	rec->slot_seq = slot_seq;
	rec->claim = claim;
	rec->ifindex = s->ifindex;
	rec->cpu = s->cpu;
	rec->hook = s->hook;
	rec->clock = s->clock;
	rec->dir = dir;
}

#define LI_SAME_PLACE(field)                                                                                           \
	_Static_assert(__builtin_offsetof(struct li_rec, field) - __builtin_offsetof(struct li_rec, ip_version) ==     \
			       __builtin_offsetof(struct li_parsed, field) -                                           \
				       __builtin_offsetof(struct li_parsed, ip_version),                               \
		       #field)
LI_SAME_PLACE(proto);
LI_SAME_PLACE(tcp_flags);
LI_SAME_PLACE(present);
LI_SAME_PLACE(icmp_type);
LI_SAME_PLACE(icmp_code);
LI_SAME_PLACE(frag);
LI_SAME_PLACE(parse);
LI_SAME_PLACE(src_port);
LI_SAME_PLACE(dst_port);

/* The allow-listed fields; `flags` are LI_SLOT_* of the order. */
li_inline void li_fill_fields(struct li_rec *rec, const struct li_parsed *p, uint8_t flags)
{
	uint8_t hidden =
		(flags & LI_SLOT_NO_PORTS ? LI_HAS_PORTS : 0) | (flags & LI_SLOT_NO_LENGTH ? LI_HAS_LENGTH : 0);
	uint8_t present = p->present & ~hidden;

	li_move(32, &rec->ip_version, &p->ip_version); /* version, protocol, TCP flags, present */
	li_move(32, &rec->icmp_type, &p->icmp_type);   /* ICMP type and code, fragment, parse */
	rec->present = present;
	rec->l3_len = present & LI_HAS_LENGTH ? p->l3_len : 0;
	rec->src_port = present & LI_HAS_PORTS ? p->src_port : 0;
	rec->dst_port = present & LI_HAS_PORTS ? p->dst_port : 0;
	li_copy16(rec->src, p->src);
	li_copy16(rec->dst, p->dst);
}

/* A header record: no packet byte, and no length but the IP packet's own where the order may have it. */
li_inline void li_fill_header(struct li_rec *rec, const struct li_scratch *s, uint32_t claim, uint8_t dir,
			      uint64_t slot_seq, uint8_t flags)
{
	li_fill_common(rec, s, claim, dir, slot_seq);
	li_fill_fields(rec, &s->parsed, flags);
	rec->kind = LI_REC_HEADER;
	rec->wire_len = 0;
	rec->cap_len = 0;
	rec->l3_off = 0;
}

li_inline void li_fill_packet(struct li_rec *rec, const struct li_scratch *s, uint32_t claim, uint8_t dir,
			      uint64_t slot_seq, uint32_t cap_len)
{
	li_fill_common(rec, s, claim, dir, slot_seq);
	li_fill_fields(rec, &s->parsed, 0);
	rec->kind = LI_REC_PACKET;
	rec->wire_len = s->frame_len;
	rec->cap_len = cap_len;
	rec->l3_off = s->parsed.l3_off;
}

#endif
