/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writers for BER (ITU-T X.690): definite lengths, as short as they can be, so what they write is DER too.
 * Room is checked once a message, against its upper bound. Each integer stores eight octets at once: an output
 * buffer has BER_SLACK octets of room behind the bound.
 */
#ifndef LICTL_BER_H
#define LICTL_BER_H

#include "encode.h"

#define BER_HEAD_MAX 5	/* one-octet tag and the length of anything below 2^24 octets */
#define BER_UINT_MAX 10 /* tag, length and 8 octets */
#define BER_SLACK 8

/* Octets of a length field (X.690 8.1.3); below 2^24. */
static inline uint32_t ber_length_size(uint32_t len)
{
	return len < 0x80 ? 1 : len < 0x100 ? 2 : len < 0x10000 ? 3 : 4;
}

/* Octets of a whole element with a one-octet tag. */
static inline uint32_t ber_size(uint32_t len)
{
	return 1 + ber_length_size(len) + len;
}

/* Tag and length. */
static inline uint8_t *ber_head(uint8_t *at, uint8_t tag, uint32_t len)
{
	*at++ = tag;
	if (len < 0x80) {
		*at = (uint8_t)len;
		return at + 1;
	}
	if (len < 0x100) {
		at[0] = 0x81;
		at[1] = (uint8_t)len;
		return at + 2;
	}
	if (len < 0x10000) {
		*at = 0x82;
		return put_be16(at + 1, (uint16_t)len);
	}
	put_be32(at, len);
	*at = 0x83;
	return at + 4;
}

/* Content octets of an unsigned INTEGER below 2^63 (X.690 8.3): a zero octet in front where the top bit is set. */
static inline uint32_t ber_uint_len(uint64_t value)
{
	return (64 - (uint32_t)__builtin_clzll(value | 1)) / 8 + 1;
}

/* The content octets alone; stores 8 whatever the length. */
static inline uint8_t *ber_uint_content(uint8_t *at, uint64_t value, uint32_t len)
{
	put_be64(at, value << (64 - 8 * len));
	return at + len;
}

/* An unsigned INTEGER below 2^63, with its tag. */
static inline uint8_t *ber_uint(uint8_t *at, uint8_t tag, uint64_t value)
{
	uint32_t len = ber_uint_len(value);

	at[0] = tag;
	at[1] = (uint8_t)len;
	return ber_uint_content(at + 2, value, len);
}

/* A primitive of one octet (BOOLEAN, ENUMERATED below 128). */
static inline uint8_t *ber_octet(uint8_t *at, uint8_t tag, uint8_t value)
{
	at[0] = tag;
	at[1] = 1;
	at[2] = value;
	return at + 3;
}

/* OCTET STRING and whatever else is a run of octets. */
static inline uint8_t *ber_octets(uint8_t *at, uint8_t tag, const void *from, uint32_t len)
{
	return put_bytes(ber_head(at, tag, len), from, len);
}

/* A port or another 16-bit field as two octets. */
static inline uint8_t *ber_be16(uint8_t *at, uint8_t tag, uint16_t value)
{
	at[0] = tag;
	at[1] = 2;
	return put_be16(at + 2, value);
}

#endif
