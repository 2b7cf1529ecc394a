// SPDX-License-Identifier: Apache-2.0
/*
 * TZSP and the Call Content Connection of PacketCable: one UDP datagram a packet, each behind its length, which is not
 * sent. What the fields say, and why, is in docs/formats/tzsp.md and docs/formats/ccc.md.
 */
#include <errno.h>

#include "packet.h"

#define LENGTH_OCTETS 4
#define NS_IN_S 1000000000u
#define NTP_EPOCH 2208988800u /* seconds from 1900 to 1970 */

#define TZSP_AT_SEQUENCE 6 /* behind version, type, encapsulation, tag and length */
#define TZSP_AT_TIME 12

size_t ln_mirror_bound(uint32_t cap_len)
{
	return LENGTH_OCTETS + sizeof(((struct ln_mirror *)0)->head) + cap_len;
}

/* The head in one fixed copy; what is too much of it is overwritten. */
static inline uint8_t *put_mirror_head(uint8_t *at, const struct ln_mirror *stream, uint32_t len)
{
	at = put_be32(at, stream->head_len + len);
	memcpy(at, stream->head, sizeof(stream->head));
	return at;
}

static inline void put_tags(uint8_t *head, const struct li_rec *rec, uint64_t sequence)
{
	uint64_t seconds = rec->utc_ns / NS_IN_S;

	put_be32(head + TZSP_AT_SEQUENCE, (uint32_t)sequence);
	put_be32(head + TZSP_AT_TIME, (uint32_t)seconds);
	put_be32(head + TZSP_AT_TIME + 4, (uint32_t)(rec->utc_ns - seconds * NS_IN_S));
}

static inline void put_ntp(uint8_t *at, uint64_t utc_ns)
{
	uint64_t seconds = utc_ns / NS_IN_S, ns = utc_ns - seconds * NS_IN_S;

	put_be32(at, (uint32_t)(seconds + NTP_EPOCH));
	/* rounded up, so that a reader that cuts gets the same nanosecond */
	put_be32(at + 4, (uint32_t)(((ns << 32) + NS_IN_S - 1) / NS_IN_S));
}

/* Both protocols: TZSP carries the frame, CCC the IP packet. `ccc` is a constant wherever this is called. */
static inline __attribute__((always_inline)) int64_t
mirror(int ccc, const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
       uint32_t from, struct ln_mirror *stream, uint8_t *out, size_t room, uint32_t *done)
{
	uint8_t *at = out;

	*done = stream->unfit = stream->too_long = 0;
	for (uint32_t i = from; i < selection->n; i++) {
		const struct li_rec *rec = &recs[selection->order[i]];
		uint32_t len = !ccc ? rec->cap_len : is_ip(rec) ? ip_length(rec) : 0, none = ccc && !len;
		uint8_t *head;

		prefetch_record(recs, selection, i);
		prefetch_payload(data, selection, i);
		if (rec->kind != LI_REC_PACKET)
			return -EPERM;
		if (ln_mirror_bound(len) > room - (size_t)(at - out))
			break;
		++*done;
		if (none || stream->head_len + len > LN_DATAGRAM_MAX) {
			stream->unfit++;
			stream->too_long += !none;
			continue;
		}
		head = put_mirror_head(at, stream, len);
		if (stream->timed && ccc)
			put_ntp(head + 4, rec->utc_ns);
		else if (stream->timed)
			put_tags(head, rec, selection->sequence[i]);
		at = put_payload(head + stream->head_len, data[selection->order[i]] + (ccc ? rec->l3_off : 0), len);
	}
	return at - out;
}

int64_t ln_tzsp_packets(const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
			uint32_t from, struct ln_mirror *stream, uint8_t *out, size_t room, uint32_t *done)
{
	return mirror(0, recs, data, selection, from, stream, out, room, done);
}

int64_t ln_ccc_packets(const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
		       uint32_t from, struct ln_mirror *stream, uint8_t *out, size_t room, uint32_t *done)
{
	return mirror(1, recs, data, selection, from, stream, out, room, done);
}
