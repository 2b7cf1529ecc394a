// SPDX-License-Identifier: Apache-2.0
/* ETSI TS 103 221-2, X2 and X3. What the fields say, and why, is in docs/formats/etsi-103221-2.md. */
#include <errno.h>

#include "packet.h"

/* Where a record's values stand in a PDU. */
#define AT_HEADER_LENGTH 4
#define AT_PAYLOAD_LENGTH 8
#define AT_FORMAT_DIRECTION 12
#define AT_SEQUENCE 44
#define AT_TIME 52

#define FORMAT_IPV4 5
#define FORMAT_IPV6 6
#define FORMAT_ETHERNET 7

#define ATTRIBUTE_PROPRIETARY 4
#define ATTRIBUTE_SOURCE_IPV4 10
#define ATTRIBUTE_SOURCE_IPV6 12
#define ATTRIBUTE_SOURCE_PORT 14
#define ATTRIBUTE_DESTINATION_PORT 15
#define ATTRIBUTE_PROTOCOL 16

#define ATTRIBUTES_MAX 80 /* two IPv6 addresses, ports, protocol, what the standard has no attribute for */
#define NS_IN_S 1000000000u

static inline uint32_t direction(const struct li_rec *rec)
{
	static const uint8_t codes[4] = {
		[LI_DIR_UNKNOWN] = 1,
		[LI_DIR_FROM] = 3,
		[LI_DIR_TO] = 2,
		[LI_DIR_BOTH] = 4,
	};

	return codes[rec->dir <= LI_DIR_BOTH ? rec->dir : LI_DIR_UNKNOWN];
}

/* The whole head in two fixed copies; what is too much of it is overwritten. */
static inline uint8_t *put_head(uint8_t *at, const struct ln_x2x3 *stream, const struct li_rec *rec, uint64_t sequence)
{
	uint64_t seconds = rec->utc_ns / NS_IN_S;
	uint32_t ns = (uint32_t)(rec->utc_ns - seconds * NS_IN_S);

	memcpy(at, stream->head, 64);
	memcpy(at + 64, stream->head + 64, sizeof(stream->head) - 64);
	put_be32(at + AT_SEQUENCE, (uint32_t)(sequence - 1)); /* from 0 */
	if (stream->time_len == 8) {
		put_be32(at + AT_TIME, (uint32_t)seconds);
		put_be32(at + AT_TIME + 4, ns);
	} else {
		put_be64(at + AT_TIME, seconds);
		put_be64(at + AT_TIME + 8, stream->time_len == 12 ? (uint64_t)ns << 32 : ns);
	}
	return at + AT_TIME + stream->time_len;
}

size_t ln_x2x3_bound(uint32_t cap_len)
{
	return sizeof(((struct ln_x2x3 *)0)->head) + (cap_len > ATTRIBUTES_MAX ? cap_len : ATTRIBUTES_MAX);
}

int64_t ln_x3_packets(const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
		      uint32_t from, const struct ln_x2x3 *stream, uint8_t *out, size_t room, uint32_t *done)
{
	uint8_t *at = out;

	*done = 0;
	for (uint32_t i = from; i < selection->n; i++) {
		const struct li_rec *rec = &recs[selection->order[i]];
		const uint8_t *frame = data[selection->order[i]];
		uint32_t ip = is_ip(rec), len = ip ? ip_length(rec) : rec->cap_len;
		/* In a capture of raw IP only addresses can be matched, so what is no IP packet is an Ethernet frame. */
		uint32_t format = !ip ? FORMAT_ETHERNET : rec->ip_version == 4 ? FORMAT_IPV4 : FORMAT_IPV6;
		uint8_t *pdu = at;

		prefetch_record(recs, selection, i);
		prefetch_payload(data, selection, i);
		if (rec->kind != LI_REC_PACKET)
			return -EPERM;
		if (ln_x2x3_bound(len) > room - (size_t)(at - out))
			break;
		at = put_head(pdu, stream, rec, selection->sequence[i]);
		put_be32(pdu + AT_PAYLOAD_LENGTH, len);
		put_be32(pdu + AT_FORMAT_DIRECTION, format << 16 | direction(rec));
		at = put_payload(at, ip && len ? frame + rec->l3_off : frame, len);
		++*done;
	}
	return at - out;
}

static inline uint8_t *put_attribute(uint8_t *at, uint16_t type, uint16_t len)
{
	return put_be32(at, (uint32_t)type << 16 | len);
}

static inline uint8_t *put_addresses(uint8_t *at, const struct li_rec *rec)
{
	uint16_t len = rec->ip_version == 4 ? 4 : 16;
	uint16_t type = rec->ip_version == 4 ? ATTRIBUTE_SOURCE_IPV4 : ATTRIBUTE_SOURCE_IPV6;

	at = put_bytes(put_attribute(at, type, len), rec->src, len);
	return put_bytes(put_attribute(at, type + 1, len), rec->dst, len);
}

/* What no attribute of the standard says: lictl's own, docs/formats/etsi-103221-2.md. */
static inline uint8_t *put_rest(uint8_t *at, const struct li_rec *rec)
{
	uint8_t present = rec->present & (LI_HAS_LENGTH | LI_HAS_TCP_FLAGS | LI_HAS_ICMP);

	at = put_bytes(put_attribute(at, ATTRIBUTE_PROPRIETARY, 14), "lctl\x01", 5);
	*at++ = present;
	at = put_be32(at, present & LI_HAS_LENGTH ? rec->l3_len : 0);
	*at++ = present & LI_HAS_TCP_FLAGS ? rec->tcp_flags : 0;
	*at++ = present & LI_HAS_ICMP ? rec->icmp_type : 0;
	*at++ = present & LI_HAS_ICMP ? rec->icmp_code : 0;
	*at++ = rec->frag <= LI_FRAG_LATER ? rec->frag : LI_FRAG_NONE;
	return at;
}

static inline uint8_t *put_fields(uint8_t *at, const struct li_rec *rec)
{
	if (is_ip(rec))
		at = put_addresses(at, rec);
	if (rec->present & LI_HAS_PORTS) {
		at = put_be16(put_attribute(at, ATTRIBUTE_SOURCE_PORT, 2), rec->src_port);
		at = put_be16(put_attribute(at, ATTRIBUTE_DESTINATION_PORT, 2), rec->dst_port);
	}
	if (is_ip(rec)) {
		at = put_attribute(at, ATTRIBUTE_PROTOCOL, 1);
		*at++ = rec->proto;
	}
	return at;
}

int64_t ln_x2_headers(const struct li_rec *recs, const struct ln_sequenced *selection, uint32_t from,
		      const struct ln_x2x3 *stream, uint8_t *out, size_t room, uint32_t *done)
{
	uint8_t *at = out;

	*done = 0;
	for (uint32_t i = from; i < selection->n; i++) {
		const struct li_rec *rec = &recs[selection->order[i]];
		uint8_t *pdu = at;

		prefetch_record(recs, selection, i);
		if (rec->kind != LI_REC_HEADER)
			return -EPERM;
		if (ln_x2x3_bound(0) > room - (size_t)(at - out))
			break;
		at = put_fields(put_head(pdu, stream, rec, selection->sequence[i]), rec);
		if (stream->all_fields)
			at = put_rest(at, rec);
		put_be32(pdu + AT_HEADER_LENGTH, (uint32_t)(at - pdu));
		put_be16(pdu + AT_FORMAT_DIRECTION + 2, (uint16_t)direction(rec));
		++*done;
	}
	return at - out;
}
