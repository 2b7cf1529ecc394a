/* SPDX-License-Identifier: Apache-2.0 */
/* Where one element of an encoder's output ends, and that it is one: written without the encoders. */
#ifndef LICTL_FUZZ_ELEMENTS_H
#define LICTL_FUZZ_ELEMENTS_H

#include "scene.h"

static uint32_t le32(const uint8_t *at)
{
	return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint32_t be32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

static size_t pcapng_size(const uint8_t *at, size_t left)
{
	uint32_t size;

	CHECK(left >= 12 && le32(at) == 6);
	size = le32(at + 4);
	CHECK(size <= left && !(size % 4) && le32(at + size - 4) == size && 32 + le32(at + 20) <= size);
	return size;
}

static size_t text_size(const uint8_t *at, size_t left)
{
	const uint8_t *end = memchr(at, '\n', left);

	CHECK(end);
	for (const uint8_t *one = at; one < end; one++)
		CHECK(*one >= 0x20 && *one < 0x7f);
	return (size_t)(end - at) + 1;
}

/* A whole element: lengths definite and as short as they can be, and parts that fill it to the octet. */
static size_t ber_element(const uint8_t *at, size_t left)
{
	static const size_t least[4] = {0, 0x80, 0x100, 0x10000};
	size_t octets, head, len = 0;

	CHECK(left >= 2);
	octets = at[1] & 0x80 ? at[1] & 0x7f : 0;
	head = 2 + octets;
	CHECK((octets || at[1] < 0x80) && octets < 4 && left >= head);
	for (size_t i = 0; i < octets; i++)
		len = len << 8 | at[2 + i];
	len = octets ? len : at[1];
	CHECK(len >= least[octets] && len <= left - head);
	for (size_t part = 0; at[0] & 0x20 && part < len;)
		part += ber_element(at + head + part, len - part);
	return head + len;
}

static size_t x2x3_size(const uint8_t *at, size_t left)
{
	CHECK(left >= 12 && be32(at + 4) >= 60);
	return (size_t)be32(at + 4) + be32(at + 8);
}

static size_t mirror_size(const uint8_t *at, size_t left)
{
	CHECK(left >= 4 && be32(at) <= 65507);
	return 4 + (size_t)be32(at);
}

static size_t pcap_size(const uint8_t *at, size_t left)
{
	CHECK(left >= 16 && le32(at + 4) < NS && le32(at + 8) <= le32(at + 12));
	return 16 + (size_t)le32(at + 8);
}

/* Octets of one msgpack object of the kinds that are written. */
static size_t msgpack_size(const uint8_t *at, size_t left)
{
	static const uint8_t numbers[4] = {2, 3, 5, 9};
	size_t size, n;

	CHECK(left);
	if (at[0] < 0x80 || at[0] == 0xc0)
		return 1;
	if (at[0] >= 0xcc && at[0] <= 0xcf)
		return numbers[at[0] - 0xcc];
	if (at[0] == 0xc4)
		return 2 + (size_t)at[1];
	if (at[0] == 0xc5)
		return 3 + ((size_t)at[1] << 8 | at[2]);
	if (at[0] == 0xc6)
		return 5 + (size_t)be32(at + 1);
	CHECK(at[0] == 0xdc);
	n = (size_t)at[1] << 8 | at[2];
	for (size = 3; n; n--) {
		CHECK(size < left);
		size += msgpack_size(at + size, left - size);
	}
	return size;
}

#endif
