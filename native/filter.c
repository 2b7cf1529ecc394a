/* SPDX-License-Identifier: Apache-2.0 */
/* The bits of target keys in the filter that stands in front of the target maps. */
#include <errno.h>
#include <string.h>

#include "native.h"
#include "../kernel/filter.h"

enum kind { V4, V6, MAC, PPPOE, FLOW, UNFILTERED };

static const struct {
	const char *map;
	uint32_t key_size;
	enum kind kind;
} kinds[] = {
	{LI_MAP_V4, sizeof(struct li_key_v4), V4},
	{LI_MAP_V6, sizeof(struct li_key_v6), V6},
	{LI_MAP_MAC, sizeof(struct li_key_mac), MAC},
	{LI_MAP_PPPOE, sizeof(struct li_key_pppoe), PPPOE},
	{LI_MAP_FLOW, sizeof(struct li_key_flow), FLOW},
	{LI_MAP_VLAN, sizeof(struct li_key_vlan), UNFILTERED},
	{LI_MAP_PORT, sizeof(struct li_key_port), UNFILTERED},
};

static uint32_t bit_of(enum kind kind, const uint8_t *bytes)
{
	union {
		struct li_key_v4 v4;
		struct li_key_v6 v6;
		struct li_key_mac mac;
		struct li_key_pppoe pppoe;
		struct li_key_flow flow;
	} key;

	switch (kind) {
	case V4:
		memcpy(&key.v4, bytes, sizeof(key.v4));
		return li_bit_v4(&key.v4);
	case V6:
		memcpy(&key.v6, bytes, sizeof(key.v6));
		return li_bit_v6(&key.v6);
	case MAC:
		memcpy(&key.mac, bytes, sizeof(key.mac));
		return li_bit_mac(&key.mac);
	case PPPOE:
		memcpy(&key.pppoe, bytes, sizeof(key.pppoe));
		return li_bit_pppoe(&key.pppoe);
	default:
		memcpy(&key.flow, bytes, sizeof(key.flow));
		return li_bit_flow(&key.flow);
	}
}

int ln_filter_add(struct li_filter *filter, const char *map, const void *keys, uint32_t key_size, uint32_t n)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(map, kinds[i].map))
			continue;
		if (key_size != kinds[i].key_size)
			return -EINVAL;
		for (uint32_t k = 0; k < n && kinds[i].kind != UNFILTERED; k++) {
			uint32_t bit = bit_of(kinds[i].kind, (const uint8_t *)keys + (size_t)k * key_size);

			filter->words[bit >> 6] |= 1ull << (bit & 63);
		}
		return 0;
	}
	return -EINVAL;
}
