// SPDX-License-Identifier: Apache-2.0
/*
 * CRC-32C (Castagnoli, polynomial 0x1EDC6F41 reflected; RFC 3720 appendix B.4).
 * The processor's instruction where it has one, else slicing by eight.
 */
#include <string.h>

#include "native.h"

#define CRC32C_POLY 0x82f63b78u

static uint32_t crc_table[8][256];

/* Before main and before any thread: the tables are read-only from then on. */
__attribute__((constructor)) static void crc_table_fill(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ CRC32C_POLY : crc >> 1;
		crc_table[0][i] = crc;
	}
	for (int slice = 1; slice < 8; slice++)
		for (uint32_t i = 0; i < 256; i++)
			crc_table[slice][i] =
				crc_table[slice - 1][i] >> 8 ^ crc_table[0][crc_table[slice - 1][i] & 0xff];
}

uint32_t ln_crc32c_software(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *at = data;

	crc = ~crc;
	for (; len >= 8; at += 8, len -= 8) {
		uint32_t low =
			crc ^ ((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);

		crc = crc_table[7][low & 0xff] ^ crc_table[6][low >> 8 & 0xff] ^ crc_table[5][low >> 16 & 0xff] ^
		      crc_table[4][low >> 24] ^ crc_table[3][at[4]] ^ crc_table[2][at[5]] ^ crc_table[1][at[6]] ^
		      crc_table[0][at[7]];
	}
	while (len--)
		crc = crc >> 8 ^ crc_table[0][(crc ^ *at++) & 0xff];
	return ~crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *at = data;
	uint64_t wide = (uint32_t)~crc;

	for (; len >= 8; at += 8, len -= 8) {
		uint64_t word;

		memcpy(&word, at, sizeof(word));
		wide = __builtin_ia32_crc32di(wide, word);
	}
	crc = (uint32_t)wide;
	while (len--)
		crc = __builtin_ia32_crc32qi(crc, *at++);
	return ~crc;
}
#endif

uint32_t ln_crc32c(uint32_t crc, const void *data, size_t len)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_sse42(crc, data, len);
#endif
	return ln_crc32c_software(crc, data, len);
}
