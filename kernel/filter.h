/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * A bitmap in front of the target maps: a clear bit proves that a key has no
 * entry, so the packet of somebody who is no target costs a multiplication and
 * one load instead of a hash lookup.  User space sets a key's bit before it
 * inserts the entry and clears it after it removed the last such entry.
 */
#ifndef LICTL_FILTER_H
#define LICTL_FILTER_H

#include "abi.h"

#define li_filter_inline static inline __attribute__((always_inline))

/* Number of the bit of 128 bits of key and a tag that tells kinds and lengths apart. */
li_filter_inline uint32_t li_filter_bit(uint64_t a, uint64_t b, uint32_t tag)
{
	uint64_t x = a * 0x9e3779b97f4a7c15ull + (b ^ (uint64_t)tag << 56) * 0xc2b2ae3d27d4eb4full;

	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	return (uint32_t)(x >> 40) & (LI_FILTER_BITS - 1);
}

li_filter_inline uint64_t li_load64(const uint8_t *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, 8);
	return v;
}

li_filter_inline uint32_t li_bit_v4(const struct li_key_v4 *key)
{
	uint32_t address;

	__builtin_memcpy(&address, key->addr, 4);
	return li_filter_bit(address, 0, key->prefix_len);
}

li_filter_inline uint32_t li_bit_v6(const struct li_key_v6 *key)
{
	return li_filter_bit(li_load64(key->addr), li_load64(key->addr + 8), key->prefix_len);
}

li_filter_inline uint32_t li_bit_mac(const struct li_key_mac *key)
{
	return li_filter_bit(li_load64(key->mac), 0, 201);
}

li_filter_inline uint32_t li_bit_pppoe(const struct li_key_pppoe *key)
{
	return li_filter_bit(li_load64(key->mac), 0, 202);
}

li_filter_inline uint32_t li_bit_flow(const struct li_key_flow *key)
{
	uint64_t ports = (uint64_t)key->local_port << 32 | (uint64_t)key->remote_port << 16 | key->proto;

	return li_filter_bit(li_load64(key->local + 8) ^ ports, li_load64(key->remote + 8), 203);
}

li_filter_inline int li_filter_has(const struct li_filter *filter, uint32_t bit)
{
	return (filter->words[bit >> 6 & (LI_FILTER_WORDS - 1)] >> (bit & 63)) & 1;
}

#endif
