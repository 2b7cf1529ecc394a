// SPDX-License-Identifier: Apache-2.0
/*
 * pcapng (draft-ietf-opsawg-pcapng), little-endian sections, nanosecond times.
 * What the blocks say, and why, is in docs/formats/pcapng.md.
 */
#include <errno.h>

#include "encode.h"
#include "synthetic.h"

#define BLOCK_SECTION 0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_PACKET 6u

#define OPT_END 0
#define OPT_COMMENT 1
#define OPT_SHB_USERAPPL 4
#define OPT_IF_NAME 2
#define OPT_IF_DESCRIPTION 3
#define OPT_IF_TSRESOL 9
#define OPT_EPB_FLAGS 2
#define OPT_EPB_DROPCOUNT 4

#define EPB_INBOUND 1u	/* towards the target */
#define EPB_OUTBOUND 2u /* from the target */

#define EPB_FIXED 28	 /* up to the packet bytes */
#define EPB_OPTIONS 28	 /* flags, drop count, end of options, closing length */
#define COMMENT_FIXED 34 /* "LIID=" " seq=", 20 digits, option head */
#define TEXT_MAX 4096	 /* of one option */

static inline size_t pad4(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

/* ---- section and interface blocks ---- */

static size_t option_size(const char *text)
{
	return text && *text ? 4 + pad4(strlen(text)) : 0;
}

static uint8_t *put_option(uint8_t *at, uint16_t code, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	if (!len)
		return at;
	at = put_u16(at, code);
	at = put_u16(at, (uint16_t)len);
	at = put_bytes(at, text, len);
	memset(at, 0, pad4(len) - len);
	return at + pad4(len) - len;
}

static int text_too_long(const char *text)
{
	return text && strlen(text) > TEXT_MAX;
}

int ln_pcapng_section(const char *application, const char *comment, uint8_t *out, size_t room)
{
	size_t size = 24 + option_size(application) + option_size(comment) + 4 + 4;
	uint8_t *at = out;

	if (text_too_long(application) || text_too_long(comment))
		return -EINVAL;
	if (size > room)
		return -ENOSPC;
	at = put_u32(at, BLOCK_SECTION);
	at = put_u32(at, (uint32_t)size);
	at = put_u32(at, 0x1a2b3c4d);
	at = put_u16(at, 1);
	at = put_u16(at, 0);
	at = put_u64(at, UINT64_MAX); /* section length not given */
	at = put_option(at, OPT_COMMENT, comment);
	at = put_option(at, OPT_SHB_USERAPPL, application);
	at = put_u32(at, OPT_END);
	at = put_u32(at, (uint32_t)size);
	return (int)(at - out);
}

int ln_pcapng_interface(const char *name, const char *description, uint16_t link_type, uint8_t *out, size_t room)
{
	size_t size = 16 + option_size(name) + option_size(description) + 8 + 4 + 4;
	uint8_t *at = out;

	if (text_too_long(name) || text_too_long(description))
		return -EINVAL;
	if (size > room)
		return -ENOSPC;
	at = put_u32(at, BLOCK_INTERFACE);
	at = put_u32(at, (uint32_t)size);
	at = put_u16(at, link_type);
	at = put_u16(at, 0);
	at = put_u32(at, 0); /* no snap length: nothing is ever cut to one */
	at = put_option(at, OPT_IF_NAME, name);
	at = put_option(at, OPT_IF_DESCRIPTION, description);
	at = put_u16(at, OPT_IF_TSRESOL);
	at = put_u16(at, 1);
	at = put_u32(at, 9); /* 10^-9 s; padding included */
	at = put_u32(at, OPT_END);
	at = put_u32(at, (uint32_t)size);
	return (int)(at - out);
}

/* ---- packet blocks ---- */

struct comment {
	uint8_t head[LN_LIID_MAX + 16]; /* option code, length (filled per packet), "LIID=<liid> seq=" */
	size_t len;
};

static int comment_init(struct comment *comment, const char *liid)
{
	size_t len = strlen(liid);
	uint8_t *at = comment->head;

	if (len > LN_LIID_MAX)
		return -EINVAL;
	at = put_u16(at, OPT_COMMENT);
	at = put_u16(at, 0);
	at = put_bytes(at, "LIID=", 5);
	at = put_bytes(at, liid, len);
	at = put_bytes(at, " seq=", 5);
	comment->len = (size_t)(at - comment->head);
	return 0;
}

static inline uint8_t *put_comment(uint8_t *at, const struct comment *comment, uint64_t sequence)
{
	uint8_t *start = at;
	size_t len;

	at = put_bytes(at, comment->head, comment->len);
	at = put_decimal(at, sequence);
	len = (size_t)(at - start) - 4;
	put_u16(start + 2, (uint16_t)len);
	put_u32(at, 0); /* padding; what it is too much of is overwritten */
	return start + 4 + pad4(len);
}

static inline uint32_t direction_flags(const struct li_rec *rec)
{
	switch (rec->dir) {
	case LI_DIR_TO:
		return EPB_INBOUND;
	case LI_DIR_FROM:
		return EPB_OUTBOUND;
	default:
		return 0; /* not known, or both ends are targets */
	}
}

static inline uint8_t *put_packet_head(uint8_t *at, const struct li_rec *rec, int32_t interface, uint32_t captured,
				       uint32_t original)
{
	at = put_u32(at, BLOCK_PACKET);
	at = put_u32(at, 0); /* the block's length, when it is known */
	at = put_u32(at, (uint32_t)interface);
	at = put_u32(at, (uint32_t)(rec->utc_ns >> 32));
	at = put_u32(at, (uint32_t)rec->utc_ns);
	at = put_u32(at, captured);
	return put_u32(at, original);
}

static inline uint8_t *put_packet_tail(uint8_t *at, uint8_t *block, const struct li_rec *rec,
				       const struct comment *comment, uint64_t sequence, uint32_t lost)
{
	uint32_t size;

	at = put_comment(at, comment, sequence);
	at = put_u32(at, OPT_EPB_FLAGS | 4u << 16);
	at = put_u32(at, direction_flags(rec));
	at = put_u32(at, OPT_EPB_DROPCOUNT | 8u << 16);
	at = put_u64(at, lost);
	at = put_u32(at, OPT_END);
	size = (uint32_t)(at - block) + 4;
	put_u32(block + 4, size);
	return put_u32(at, size);
}

static inline size_t packet_bound(uint32_t cap_len, size_t liid_len)
{
	return EPB_FIXED + pad4(cap_len) + pad4(COMMENT_FIXED + liid_len) + EPB_OPTIONS + 4;
}

size_t ln_pcapng_bound(uint32_t cap_len, size_t liid_len)
{
	return packet_bound(cap_len < SYNTHETIC_MAX ? SYNTHETIC_MAX : cap_len, liid_len);
}

int64_t ln_pcapng_packets(const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
			  uint32_t from, const char *liid, const int32_t *interface_ids, uint32_t n_interface_ids,
			  uint8_t *out, size_t room, uint32_t *done)
{
	size_t liid_len = strlen(liid);
	struct comment comment;
	uint8_t *at = out;

	*done = 0;
	if (comment_init(&comment, liid))
		return -EINVAL;
	for (uint32_t i = from; i < selection->n; i++) {
		const struct li_rec *rec = &recs[selection->order[i]];
		int32_t interface = interface_of(rec, interface_ids, n_interface_ids);
		uint8_t *block = at;

		prefetch_record(recs, selection, i);
		if (rec->kind != LI_REC_PACKET)
			return -EPERM;
		if (interface < 0 || packet_bound(rec->cap_len, liid_len) > room - (size_t)(at - out))
			break;
		if (i + 2 < selection->n)
			__builtin_prefetch(data[selection->order[i + 2]]);
		at = put_packet_head(at, rec, interface, rec->cap_len, original_length(rec));
		put_u32(at + (rec->cap_len & ~3u), 0);
		if (rec->cap_len)
			memcpy(at, data[selection->order[i]], rec->cap_len);
		at += pad4(rec->cap_len);
		at = put_packet_tail(at, block, rec, &comment, selection->sequence[i], selection->lost_before[i]);
		++*done;
	}
	return at - out;
}

/* ---- synthesised headers ---- */

int64_t ln_pcapng_headers(const struct li_rec *recs, const struct ln_sequenced *selection, uint32_t from,
			  const char *liid, const int32_t *interface_ids, uint32_t n_interface_ids, uint8_t *out,
			  size_t room, uint32_t *done)
{
	size_t bound = packet_bound(SYNTHETIC_MAX, strlen(liid));
	struct comment comment;
	uint8_t *at = out;

	*done = 0;
	if (comment_init(&comment, liid))
		return -EINVAL;
	for (uint32_t i = from; i < selection->n; i++) {
		const struct li_rec *rec = &recs[selection->order[i]];
		int32_t interface = interface_of(rec, interface_ids, n_interface_ids);
		uint8_t *block = at;
		uint32_t captured, original;

		prefetch_record(recs, selection, i);
		if (rec->kind != LI_REC_HEADER)
			return -EPERM;
		if (interface < 0 || bound > room - (size_t)(at - out))
			break;
		captured = synthesise(at + EPB_FIXED, rec);
		original = rec->present & LI_HAS_LENGTH && rec->l3_len > captured ? rec->l3_len : captured;
		at = put_packet_head(at, rec, interface, captured, original) + captured;
		put_u32(at, 0);
		at += pad4(captured) - captured;
		at = put_packet_tail(at, block, rec, &comment, selection->sequence[i], selection->lost_before[i]);
		++*done;
	}
	return at - out;
}
