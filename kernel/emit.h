/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* From the list of matched orders to records in this CPU's ring. */
#ifndef LICTL_EMIT_H
#define LICTL_EMIT_H

#include "maps.h"
#include "record.h"

/* Which context `ctx` is; a constant at each call, so the verifier sees one branch only. */
#define LI_CTX_XDP 0
#define LI_CTX_SKB 1

li_inline long li_load(void *ctx, int kind, uint32_t off, void *to, uint32_t len)
{
	if (kind == LI_CTX_SKB)
		return bpf_skb_load_bytes(ctx, off, to, len);
	return bpf_xdp_load_bytes(ctx, off, to, len);
}

/* A frame too long for one call: bpf_xdp_load_bytes takes at most 65535 bytes. */
#define LI_FIRST_PART 16384

li_inline long li_load_long(void *ctx, int kind, uint8_t *to, uint32_t len)
{
	if (li_load(ctx, kind, 0, to, LI_FIRST_PART))
		return -1;
	len -= LI_FIRST_PART + 1;
	li_opaque(len); /* the verifier needs both bounds right here: 1 to the rest of the room */
	if (len > LI_MAX_FRAME - LI_FIRST_PART - 1)
		return -1;
	return li_load(ctx, kind, LI_FIRST_PART, to + LI_FIRST_PART, len + 1);
}

/*
 * A short frame word by word, the last word over the end of the one before it where they do not come out even: never
 * a byte behind `len`. Costs less than the call does. -1: the frame is not linear that far.
 */
#define LI_SHORT 128

li_inline long li_load_short(const struct xdp_md *ctx, uint8_t *to, uint32_t len, uint32_t room)
{
	const uint8_t *data = (const uint8_t *)(long)ctx->data, *data_end = (const uint8_t *)(long)ctx->data_end;

	for (uint32_t at = 8; at <= LI_SHORT; at += 8) {
		if (at > room || at > len)
			break;
		if (data + at > data_end)
			return -1;
		li_move(64, to + at - 8, data + at - 8);
	}
	len -= 8;
	li_opaque(len);
	if (len > room - 8)
		return -1;
	data += len;
	if (data + 8 > data_end)
		return -1;
	li_move(64, to + len, data);
	return 0;
}

/* The `room` is a constant, so one of the ways is left. */
li_inline long li_load_frame(void *ctx, int kind, uint8_t *to, uint32_t len, uint32_t room)
{
	if (room > LI_FIRST_PART)
		return li_load_long(ctx, kind, to, len);
	if (room <= LI_SHORT && kind == LI_CTX_XDP && !li_load_short(ctx, to, len, room))
		return 0;
	return li_load(ctx, kind, 0, to, len);
}

/* A reader that sleeps is woken once; one that naps, past its watermark only, which is looked at now and then. */
#define LI_LOOKS 16

li_inline uint64_t li_wake_flags(void *ring, uint32_t cpu, uint64_t records)
{
	uint32_t zero = 0, *sleep = bpf_map_lookup_elem(&li_sleep, &cpu);
	const struct li_config *config;

	if (!sleep || *sleep == LI_WAKE_NEVER)
		return BPF_RB_NO_WAKEUP;
	if (*sleep == LI_WAKE_WATERMARK) {
		config = records % LI_LOOKS ? 0 : bpf_map_lookup_elem(&li_config, &zero);
		if (!config || bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) < config->watermark)
			return BPF_RB_NO_WAKEUP;
	}
	*sleep = LI_WAKE_NEVER;
	return BPF_RB_FORCE_WAKEUP;
}

li_inline void li_count_emitted(struct li_totals *totals, struct li_slot_count *count)
{
	totals->records++;
	count->emitted++;
}

li_inline void li_count_lost(struct li_totals *totals, struct li_slot_count *count)
{
	totals->lost_ring++;
	count->lost_ring++;
}

/* What emission needs to know of one order's packet. */
struct li_emission {
	struct li_scratch *s;
	struct li_totals *totals;
	struct li_slot_count *count;
	void *ring;
	uint32_t claim;
	uint32_t cap_len;
	uint8_t dir;
};

li_inline int li_emit_header(const struct li_emission *e, uint8_t flags)
{
	struct li_rec *rec = bpf_ringbuf_reserve(e->ring, sizeof(*rec), 0);

	if (!rec) {
		li_count_lost(e->totals, e->count);
		return 0;
	}
	li_fill_header(rec, e->s, e->claim, e->dir, e->count->matched, flags);
	li_count_emitted(e->totals, e->count);
	bpf_ringbuf_submit(rec, li_wake_flags(e->ring, e->s->cpu, e->totals->records));
	return 0;
}

/* A record of a constant size: what the verifier can follow and the ring reserves fastest. */
#define LI_EMIT_CLASS(room)                                                                                            \
	li_inline int li_emit_##room(void *ctx, int kind, const struct li_emission *e)                                 \
	{                                                                                                              \
		struct li_rec *rec = bpf_ringbuf_reserve(e->ring, sizeof(*rec) + (room), 0);                           \
		uint32_t len = e->cap_len;                                                                             \
		if (!rec) {                                                                                            \
			li_count_lost(e->totals, e->count);                                                            \
			return 0;                                                                                      \
		}                                                                                                      \
		li_fill_packet(rec, e->s, e->claim, e->dir, e->count->matched, len);                                   \
		li_opaque(len); /* the verifier needs both bounds right here */                                        \
		if (len < LI_MIN_FRAME || len > (room) || li_load_frame(ctx, kind, (uint8_t *)(rec + 1), len, room)) { \
			e->count->lost_frame++;                                                                        \
			bpf_ringbuf_discard(rec, BPF_RB_NO_WAKEUP);                                                    \
			return 0;                                                                                      \
		}                                                                                                      \
		li_count_emitted(e->totals, e->count);                                                                 \
		bpf_ringbuf_submit(rec, li_wake_flags(e->ring, e->s->cpu, e->totals->records));                        \
		return 0;                                                                                              \
	}

LI_EMIT_CLASS(64)
LI_EMIT_CLASS(128)
LI_EMIT_CLASS(256)
LI_EMIT_CLASS(512)
LI_EMIT_CLASS(1024)
LI_EMIT_CLASS(1536)
LI_EMIT_CLASS(2304)
LI_EMIT_CLASS(4608)
LI_EMIT_CLASS(9216)
LI_EMIT_CLASS(16384)
LI_EMIT_CLASS(65600)

li_inline int li_emit_packet(void *ctx, int kind, const struct li_emission *e)
{
	uint32_t len = e->cap_len;

	if (len <= 64)
		return li_emit_64(ctx, kind, e);
	if (len <= 128)
		return li_emit_128(ctx, kind, e);
	if (len <= 256)
		return li_emit_256(ctx, kind, e);
	if (len <= 512)
		return li_emit_512(ctx, kind, e);
	if (len <= 1024)
		return li_emit_1024(ctx, kind, e);
	if (len <= 1536)
		return li_emit_1536(ctx, kind, e);
	if (len <= 2304)
		return li_emit_2304(ctx, kind, e);
	if (len <= 4608)
		return li_emit_4608(ctx, kind, e);
	if (len <= 9216)
		return li_emit_9216(ctx, kind, e);
	if (len <= 16384)
		return li_emit_16384(ctx, kind, e);
	if (len <= LI_MAX_FRAME)
		return li_emit_65600(ctx, kind, e);
	e->count->lost_frame++;
	return 0;
}

/* One record for the order at `index` of the match list. */
li_inline int li_emit_one(void *ctx, int kind, struct li_scratch *s, struct li_totals *totals, uint32_t index)
{
	uint32_t slot_index, cpu = s->cpu;
	struct li_emission e = {.s = s, .totals = totals};

	if (index >= LI_MAX_MATCHES)
		return 0;
	e.claim = s->claims[index];
	e.dir = s->dirs[index];
	slot_index = e.claim & LI_CLAIM_SLOT_MASK;
	e.count = bpf_map_lookup_elem(&li_slot_count, &slot_index);
	if (!e.count)
		return 0;
	e.ring = bpf_map_lookup_elem(&li_rings, &cpu);
	if (!e.ring) {
		li_count_lost(e.totals, e.count);
		return 0;
	}
	if (s->modes[index] != LI_MODE_CONTENT) /* only the one mode gives content */
		return li_emit_header(&e, s->flags[index]);
	e.cap_len = li_content_len(s);
	return li_emit_packet(ctx, kind, &e);
}

li_inline void li_emit(void *ctx, int kind, struct li_scratch *s, struct li_totals *totals)
{
	for (uint32_t i = 0; i < LI_MAX_MATCHES; i++) {
		if (i >= li_get(s->n))
			break;
		li_emit_one(ctx, kind, s, totals, i); /* in line: a call costs a tenth of a short record */
	}
}

#endif
