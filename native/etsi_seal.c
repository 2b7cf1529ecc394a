// SPDX-License-Identifier: Apache-2.0
/*
 * Sealed payloads of ETSI TS 102 232-1: the layout of the containers, and the chaining of CBC over many PDUs at once.
 * The cipher itself is the caller's: it gets the n-th blocks of all PDUs as one run, so a library that works through
 * long runs best is called once a block of the longest PDU, not once a PDU.
 */
#include <errno.h>

#include "ber.h"

#define BLOCK 16
#define COUNTER_SIZE 10 /* byteCounter as an element of 8 octets */

/* An element that native/etsi.c wrote: where its content begins and how long it is. */
static inline const uint8_t *content_of(const uint8_t *at, uint32_t *len)
{
	uint32_t octets = at[1] & 0x80 ? at[1] & 0x7f : 0;

	*len = octets ? 0 : at[1];
	for (uint32_t i = 0; i < octets; i++)
		*len = *len << 8 | at[2 + i];
	return at + 2 + octets;
}

int64_t ln_etsi_seal_layout(const uint8_t *pdus, uint32_t n, uint32_t since, uint32_t *sealed, uint8_t *out,
			    size_t room, uint32_t *offsets, uint32_t *blocks)
{
	uint8_t *at = out;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t pdu_len, header_len;
		const uint8_t *header = content_of(pdus, &pdu_len), *end = header + pdu_len;
		const uint8_t *payload = content_of(header, &header_len) + header_len;
		uint32_t size = (uint32_t)(end - payload), inner = COUNTER_SIZE + size;
		uint32_t padded = (ber_size(inner) + BLOCK - 1) / BLOCK * BLOCK;
		uint32_t container = 3 + ber_size(padded) + 3;
		uint32_t whole = (uint32_t)(payload - header) + ber_size(ber_size(container));

		if (ber_size(whole) + BER_SLACK > room - (size_t)(at - out))
			return -ENOSPC;
		at = put_bytes(ber_head(at, 0x30, whole), header, (size_t)(payload - header));
		at = ber_head(at, 0xa2, ber_size(container));
		at = ber_head(at, 0xa4, container);
		at = ber_octet(at, 0x80, 4); /* aES-256-CBC */
		at = ber_head(at, 0x81, padded);
		offsets[i] = (uint32_t)(at - out);
		blocks[i] = padded / BLOCK;
		memset(at + padded - BLOCK, 0, BLOCK);
		at = ber_head(at, 0x30, inner);
		at[0] = 0x80;
		at[1] = 8;
		at = put_be32(put_be32(at + 2, since), *sealed);
		*sealed += (uint32_t)(end - pdus);
		put_bytes(at, payload, size);
		*at = 0xa1;					    /* payload [1] of EncryptedPayload */
		at = ber_octet(out + offsets[i] + padded, 0x82, 3); /* part3 */
		pdus = end;
	}
	return at - out;
}

uint32_t ln_cbc_step(uint8_t *out, const uint32_t *offsets, const uint32_t *blocks, const uint32_t *numbers, uint32_t n,
		     uint32_t round, const uint8_t *done, uint8_t *next)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint8_t *block = out + offsets[i] + (size_t)BLOCK * round;
		uint32_t vector = __builtin_bswap32(numbers[i]);
		uint64_t before[2], plain[2];

		if (round > 0 && blocks[i] >= round) {
			memcpy(block - BLOCK, done, BLOCK);
			done += BLOCK;
		}
		if (blocks[i] <= round)
			continue;
		before[0] = before[1] = (uint64_t)vector << 32 | vector;
		if (round > 0)
			memcpy(before, block - BLOCK, BLOCK);
		memcpy(plain, block, BLOCK);
		put_u64(next, plain[0] ^ before[0]);
		put_u64(next + 8, plain[1] ^ before[1]);
		next += BLOCK;
		count++;
	}
	return count;
}
