// SPDX-License-Identifier: Apache-2.0
/* msgpack: one array a record; its elements are listed in docs/formats/msgpack.md and in the stream's opening. */
#include <errno.h>

#include "encode.h"

#define RECORD_HEADERS 1
#define RECORD_PACKET 2

#define RECORD_BOUND 160 /* every number at its longest, two IPv6 addresses */
#define NIL 0xc0

static inline uint8_t *put_uint(uint8_t *at, uint64_t value)
{
	if (value < 0x80) {
		*at = (uint8_t)value;
		return at + 1;
	}
	if (value <= 0xff) {
		at[0] = 0xcc;
		at[1] = (uint8_t)value;
		return at + 2;
	}
	if (value <= 0xffff) {
		*at = 0xcd;
		return put_be16(at + 1, (uint16_t)value);
	}
	if (value <= 0xffffffff) {
		*at = 0xce;
		return put_be32(at + 1, (uint32_t)value);
	}
	*at = 0xcf;
	return put_be64(at + 1, value);
}

static inline uint8_t *put_optional(uint8_t *at, int there, uint64_t value)
{
	if (there)
		return put_uint(at, value);
	*at = NIL;
	return at + 1;
}

static inline uint8_t *put_bin(uint8_t *at, const uint8_t *from, uint32_t len)
{
	if (len <= 0xff) {
		at[0] = 0xc4;
		at[1] = (uint8_t)len;
		at += 2;
	} else if (len <= 0xffff) {
		*at = 0xc5;
		at = put_be16(at + 1, (uint16_t)len);
	} else {
		*at = 0xc6;
		at = put_be32(at + 1, len);
	}
	return len ? put_bytes(at, from, len) : at;
}

static inline uint8_t *put_array(uint8_t *at, uint16_t n, uint8_t type)
{
	if (n < 16) {
		*at++ = (uint8_t)(0x90 | n);
	} else {
		*at = 0xdc;
		at = put_be16(at + 1, n);
	}
	return put_uint(at, type);
}

/* The six elements that both kinds of record begin with. */
static inline uint8_t *put_common(uint8_t *at, const struct li_rec *rec, int32_t interface, uint64_t sequence,
				  uint32_t lost)
{
	at = put_uint(at, sequence);
	at = put_uint(at, rec->utc_ns);
	at = put_uint(at, lost);
	at = put_uint(at, (uint32_t)interface);
	at = put_uint(at, rec->dir <= LI_DIR_BOTH ? rec->dir : LI_DIR_UNKNOWN);
	return put_uint(at,
			rec->clock >= LI_CLOCK_KERNEL && rec->clock <= LI_CLOCK_FILE ? rec->clock : LI_CLOCK_KERNEL);
}

/* The eleven elements of parsed fields; nil where the record does not prove the field. */
static inline uint8_t *put_fields(uint8_t *at, const struct li_rec *rec)
{
	int ip = rec->present & LI_HAS_IP && (rec->ip_version == 4 || rec->ip_version == 6);
	int ports = rec->present & LI_HAS_PORTS, icmp = rec->present & LI_HAS_ICMP;
	uint32_t address_len = rec->ip_version == 4 ? 4 : 16;

	at = put_optional(at, ip, rec->ip_version);
	at = put_optional(at, ip, rec->proto);
	if (ip) {
		at = put_bin(at, rec->src, address_len);
		at = put_bin(at, rec->dst, address_len);
	} else {
		*at++ = NIL;
		*at++ = NIL;
	}
	at = put_optional(at, ports, rec->src_port);
	at = put_optional(at, ports, rec->dst_port);
	at = put_optional(at, rec->present & LI_HAS_LENGTH, rec->l3_len);
	at = put_optional(at, rec->present & LI_HAS_TCP_FLAGS, rec->tcp_flags);
	at = put_optional(at, icmp, rec->icmp_type);
	at = put_optional(at, icmp, rec->icmp_code);
	return put_uint(at, rec->frag <= LI_FRAG_LATER ? rec->frag : LI_FRAG_NONE);
}

size_t ln_msgpack_bound(uint32_t cap_len)
{
	return RECORD_BOUND + (size_t)cap_len;
}

int64_t ln_msgpack_packets(const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
			   uint32_t from, const int32_t *interface_ids, uint32_t n_interface_ids, uint8_t *out,
			   size_t room, uint32_t *done)
{
	uint8_t *at = out;

	*done = 0;
	for (uint32_t i = from; i < selection->n; i++) {
		const struct li_rec *rec = &recs[selection->order[i]];
		int32_t interface = interface_of(rec, interface_ids, n_interface_ids);

		prefetch_record(recs, selection, i);
		if (rec->kind != LI_REC_PACKET)
			return -EPERM;
		if (interface < 0 || ln_msgpack_bound(rec->cap_len) > room - (size_t)(at - out))
			break;
		at = put_array(at, 21, RECORD_PACKET);
		at = put_common(at, rec, interface, selection->sequence[i], selection->lost_before[i]);
		at = put_fields(at, rec);
		at = put_uint(at, original_length(rec));
		at = put_uint(at, rec->l3_off);
		at = put_bin(at, data[selection->order[i]], rec->cap_len);
		++*done;
	}
	return at - out;
}

int64_t ln_msgpack_headers(const struct li_rec *recs, const struct ln_sequenced *selection, uint32_t from,
			   const int32_t *interface_ids, uint32_t n_interface_ids, uint8_t *out, size_t room,
			   uint32_t *done)
{
	uint8_t *at = out;

	*done = 0;
	for (uint32_t i = from; i < selection->n; i++) {
		const struct li_rec *rec = &recs[selection->order[i]];
		int32_t interface = interface_of(rec, interface_ids, n_interface_ids);

		prefetch_record(recs, selection, i);
		if (rec->kind != LI_REC_HEADER)
			return -EPERM;
		if (interface < 0 || RECORD_BOUND > room - (size_t)(at - out))
			break;
		at = put_array(at, 18, RECORD_HEADERS);
		at = put_common(at, rec, interface, selection->sequence[i], selection->lost_before[i]);
		at = put_fields(at, rec);
		++*done;
	}
	return at - out;
}
