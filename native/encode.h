/* SPDX-License-Identifier: Apache-2.0 */
/* Small writers that the encoders share. Room is checked once a record, against its upper bound. */
#ifndef LICTL_ENCODE_H
#define LICTL_ENCODE_H

#include <stdint.h>
#include <string.h>

#include "native.h"

#define LN_LIID_MAX 255 /* octets; ETSI allows 25 */
#define LN_PREFETCH 6	/* records ahead */

static inline uint8_t *put_bytes(uint8_t *at, const void *from, size_t len)
{
	memcpy(at, from, len);
	return at + len;
}

static inline uint8_t *put_u16(uint8_t *at, uint16_t value)
{
	return put_bytes(at, &value, sizeof(value));
}

static inline uint8_t *put_u32(uint8_t *at, uint32_t value)
{
	return put_bytes(at, &value, sizeof(value));
}

static inline uint8_t *put_u64(uint8_t *at, uint64_t value)
{
	return put_bytes(at, &value, sizeof(value));
}

static inline uint8_t *put_be16(uint8_t *at, uint16_t value)
{
	return put_u16(at, __builtin_bswap16(value));
}

static inline uint8_t *put_be32(uint8_t *at, uint32_t value)
{
	return put_u32(at, __builtin_bswap32(value));
}

static inline uint8_t *put_be64(uint8_t *at, uint64_t value)
{
	return put_u64(at, __builtin_bswap64(value));
}

/* At most 20 octets. */
static inline uint8_t *put_decimal(uint8_t *at, uint64_t value)
{
	static const char pairs[201] =
		"00010203040506070809101112131415161718192021222324252627282930313233343536373839"
		"40414243444546474849505152535455565758596061626364656667686970717273747576777879"
		"8081828384858687888990919293949596979899";
	uint8_t digits[20];
	unsigned int from = sizeof(digits);

	while (value >= 100) {
		from -= 2;
		memcpy(digits + from, pairs + value % 100 * 2, 2);
		value /= 100;
	}
	if (value >= 10) {
		from -= 2;
		memcpy(digits + from, pairs + value * 2, 2);
	} else {
		digits[--from] = (uint8_t)('0' + value);
	}
	return put_bytes(at, digits + from, sizeof(digits) - from);
}

/* The number that the stream gave the record's interface and hook, or -1. */
static inline int32_t interface_of(const struct li_rec *rec, const int32_t *interface_ids, uint32_t n_interface_ids)
{
	uint64_t key = (uint64_t)rec->ifindex * 2 + rec->hook;

	return rec->hook <= LI_AT_EGRESS && key < n_interface_ids ? interface_ids[key] : -1;
}

/* The frame's length without what link layers add behind the IP packet: padding is not content. */
static inline uint32_t original_length(const struct li_rec *rec)
{
	uint32_t len = rec->wire_len;

	if (rec->present & LI_HAS_LENGTH && (uint64_t)rec->l3_off + rec->l3_len < len)
		len = rec->l3_off + rec->l3_len;
	return len > rec->cap_len ? len : rec->cap_len;
}

static inline void prefetch_record(const struct li_rec *recs, const struct ln_sequenced *selection, uint32_t i)
{
	if (i + LN_PREFETCH < selection->n) {
		const uint8_t *rec = (const uint8_t *)&recs[selection->order[i + LN_PREFETCH]];

		__builtin_prefetch(rec);
		__builtin_prefetch(rec + 64);
	}
}

#endif
