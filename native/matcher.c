/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel/match.h over tables of this process: the capture program's decisions
 * without a kernel, for capture files and for tests that compare the two.
 */
#define _GNU_SOURCE /* qsort_r */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "native.h"

/* The target maps, by their names in match.h. */
enum ln_table_id { LN_li_v4, LN_li_v6, LN_li_port, LN_li_flow, LN_li_mac, LN_li_vlan, LN_li_pppoe, LN_TABLES };

/* Entries [key | value], sorted by the key's bytes. */
struct ln_table {
	uint8_t *entries;
	uint32_t key_size;
	uint32_t n;
};

struct ln_matcher {
	struct li_config config;
	struct li_totals totals;
	struct li_slot slots[LI_MAX_SLOTS];
	struct li_slot_count counts[LI_MAX_SLOTS];
	struct li_port ports[LI_MAX_IFINDEX];
	struct li_filter filter;
	struct ln_table tables[LN_TABLES];
};

/* match.h finds its maps through this; one matcher works in one thread at a time. */
static _Thread_local struct ln_matcher *current;

static size_t entry_size(const struct ln_table *table)
{
	return table->key_size + sizeof(struct li_target);
}

static void *find_target(enum ln_table_id id, const void *key)
{
	struct ln_table *table = &current->tables[id];
	uint32_t low = 0, high = table->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		uint8_t *entry = table->entries + (size_t)middle * entry_size(table);
		int order = memcmp(key, entry, table->key_size);

		if (!order)
			return entry + table->key_size;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static void *find_li_slots(const uint32_t *index)
{
	return *index < LI_MAX_SLOTS ? &current->slots[*index] : NULL;
}

static void *find_li_slot_count(const uint32_t *index)
{
	return *index < LI_MAX_SLOTS ? &current->counts[*index] : NULL;
}

static void *find_li_filter(const uint32_t *zero)
{
	(void)zero;
	return &current->filter;
}

#define find_li_v4(key) find_target(LN_li_v4, key)
#define find_li_v6(key) find_target(LN_li_v6, key)
#define find_li_port(key) find_target(LN_li_port, key)
#define find_li_flow(key) find_target(LN_li_flow, key)
#define find_li_mac(key) find_target(LN_li_mac, key)
#define find_li_vlan(key) find_target(LN_li_vlan, key)
#define find_li_pppoe(key) find_target(LN_li_pppoe, key)
#define LI_FIND(map, key) find_##map(key)

#include "../kernel/match.h"
#include "../kernel/record.h"

#define LINK_ETHERNET 1

struct ln_matcher *ln_matcher_new(void)
{
	static const uint32_t key_sizes[LN_TABLES] = {
		sizeof(struct li_key_v4),    sizeof(struct li_key_v6),	sizeof(struct li_key_port),
		sizeof(struct li_key_flow),  sizeof(struct li_key_mac), sizeof(struct li_key_vlan),
		sizeof(struct li_key_pppoe),
	};
	struct ln_matcher *matcher = calloc(1, sizeof(*matcher));

	for (int i = 0; matcher && i < LN_TABLES; i++)
		matcher->tables[i].key_size = key_sizes[i];
	return matcher;
}

void ln_matcher_free(struct ln_matcher *matcher)
{
	if (!matcher)
		return;
	for (int i = 0; i < LN_TABLES; i++)
		free(matcher->tables[i].entries);
	free(matcher);
}

static int by_key(const void *a, const void *b, void *key_size)
{
	return memcmp(a, b, *(uint32_t *)key_size);
}

static int load_table(struct ln_table *table, const uint8_t *keys, const uint8_t *values, uint32_t n)
{
	size_t size = entry_size(table);
	uint8_t *entries = calloc(n ? n : 1, size);

	if (!entries)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		memcpy(entries + i * size, keys + (size_t)i * table->key_size, table->key_size);
		memcpy(entries + i * size + table->key_size, values + i * sizeof(struct li_target),
		       sizeof(struct li_target));
	}
	qsort_r(entries, n, size, by_key, &table->key_size);
	free(table->entries);
	table->entries = entries;
	table->n = n;
	return 0;
}

/* An array map: absent entries become zero. */
static int load_array(void *array, uint32_t length, uint32_t item, const uint32_t *keys, const uint8_t *values,
		      uint32_t n)
{
	memset(array, 0, (size_t)length * item);
	for (uint32_t i = 0; i < n; i++) {
		if (keys[i] >= length)
			return -EINVAL;
		memcpy((uint8_t *)array + (size_t)keys[i] * item, values + (size_t)i * item, item);
	}
	return 0;
}

static int table_of(const char *map)
{
	static const char *const names[LN_TABLES] = {LI_MAP_V4,	 LI_MAP_V6,   LI_MAP_PORT, LI_MAP_FLOW,
						     LI_MAP_MAC, LI_MAP_VLAN, LI_MAP_PPPOE};

	for (int i = 0; i < LN_TABLES; i++)
		if (!strcmp(map, names[i]))
			return i;
	return -EINVAL;
}

int ln_matcher_load(struct ln_matcher *matcher, const char *map, const void *keys, uint32_t key_size,
		    const void *values, uint32_t value_size, uint32_t n)
{
	struct {
		const char *name;
		void *array;
		uint32_t length, item;
	} arrays[] = {
		{LI_MAP_CONFIG, &matcher->config, 1, sizeof(struct li_config)},
		{LI_MAP_SLOTS, matcher->slots, LI_MAX_SLOTS, sizeof(struct li_slot)},
		{LI_MAP_PORTS, matcher->ports, LI_MAX_IFINDEX, sizeof(struct li_port)},
	};
	int id;

	for (size_t i = 0; i < sizeof(arrays) / sizeof(*arrays); i++) {
		if (strcmp(map, arrays[i].name))
			continue;
		if (key_size != sizeof(uint32_t) || value_size != arrays[i].item)
			return -EINVAL;
		return load_array(arrays[i].array, arrays[i].length, arrays[i].item, keys, values, n);
	}
	id = table_of(map);
	if (id < 0 || key_size != matcher->tables[id].key_size || value_size != sizeof(struct li_target))
		return -EINVAL;
	ln_filter_add(&matcher->filter, map, keys, key_size,
		      n); /* bits of earlier entries may stay: they prove nothing */
	return load_table(&matcher->tables[id], keys, values, n);
}

void ln_matcher_counts(struct ln_matcher *matcher, struct li_totals *totals, struct li_slot_count *slots)
{
	if (totals)
		*totals = matcher->totals;
	if (slots)
		memcpy(slots, matcher->counts, sizeof(matcher->counts));
}

static void parse_into(struct li_parsed *parsed, const uint8_t *frame, uint32_t frame_len, uint32_t wire_len,
		       uint16_t link_type)
{
	struct li_cursor c = {.data = frame, .data_end = frame + frame_len, .frame_len = wire_len};

	parsed->parse =
		(uint8_t)(link_type == LINK_ETHERNET ? li_parse_ethernet(&c, parsed) : li_parse_raw(&c, parsed));
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

int ln_parse_frame(const uint8_t *frame, uint32_t frame_len, uint32_t wire_len, uint16_t link_type, struct li_rec *rec,
		   int *l4_class)
{
	struct li_scratch s = {.frame_len = wire_len, .clock = LI_CLOCK_FILE};

	parse_into(&s.parsed, frame, frame_len, wire_len, link_type);
	memset(rec, 0, sizeof(*rec));
	li_fill_packet(rec, &s, 0, LI_DIR_UNKNOWN, 0, least(li_content_len(&s), frame_len));
	if (l4_class)
		*l4_class = s.parsed.l4;
	return s.parsed.parse;
}

int ln_strip(const struct li_rec *packet, uint8_t slot_flags, struct li_rec *header)
{
	uint8_t hidden = 0;

	if (!(packet->present & LI_HAS_IP))
		return -ENODATA;
	if (slot_flags & LI_SLOT_NO_PORTS)
		hidden |= LI_HAS_PORTS;
	if (slot_flags & LI_SLOT_NO_LENGTH)
		hidden |= LI_HAS_LENGTH;
	*header = *packet;
	header->kind = LI_REC_HEADER;
	header->wire_len = 0;
	header->cap_len = 0;
	header->l3_off = 0;
	header->present &= (uint8_t)~hidden;
	if (hidden & LI_HAS_LENGTH)
		header->l3_len = 0;
	if (hidden & LI_HAS_PORTS)
		header->src_port = header->dst_port = 0;
	return 0;
}

static const struct li_hook *hook_of(const struct ln_matcher *matcher, uint32_t ifindex, uint32_t hook)
{
	const struct li_hook *settings;

	if (ifindex >= LI_MAX_IFINDEX)
		return NULL;
	settings = hook == LI_AT_EGRESS ? &matcher->ports[ifindex].egress : &matcher->ports[ifindex].ingress;
	return settings->flags & LI_HOOK_ACTIVE ? settings : NULL;
}

/* One record for each order of the match list, but for frames that the program could not hold either. */
static int emit_all(struct ln_matcher *matcher, const struct li_scratch *s, uint32_t frame_len, struct li_rec *recs)
{
	uint32_t cap_len = least(li_content_len(s), frame_len);
	int n = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		struct li_slot_count *count = &matcher->counts[s->claims[i] & LI_CLAIM_SLOT_MASK];

		if (s->modes[i] == LI_MODE_CONTENT && cap_len > LI_MAX_FRAME) {
			count->lost_frame++;
			continue;
		}
		memset(&recs[n], 0, sizeof(recs[n]));
		if (s->modes[i] == LI_MODE_CONTENT)
			li_fill_packet(&recs[n], s, s->claims[i], s->dirs[i], count->matched, cap_len);
		else
			li_fill_header(&recs[n], s, s->claims[i], s->dirs[i], count->matched, s->flags[i]);
		n++;
		count->emitted++;
		matcher->totals.records++;
	}
	return n;
}

int ln_match_frame(struct ln_matcher *matcher, const uint8_t *frame, uint32_t frame_len, uint32_t wire_len,
		   uint16_t link_type, uint64_t utc_ns, uint32_t ifindex, uint32_t hook, struct li_rec *recs)
{
	const struct li_hook *settings = hook_of(matcher, ifindex, hook);
	struct li_scratch s = {.utc_ns = utc_ns, .ifindex = ifindex, .frame_len = wire_len, .clock = LI_CLOCK_FILE};

	matcher->totals.packets++;
	matcher->totals.bytes += wire_len;
	if (!settings) {
		matcher->totals.no_port++;
		return 0;
	}
	s.cpu_seq = matcher->totals.packets;
	s.hook = (uint8_t)hook;
	s.sides = settings->sides;
	s.access_sides = settings->access_sides;
	s.vlan_dir = settings->vlan_dir;
	parse_into(&s.parsed, frame, frame_len, wire_len, link_type);
	matcher->totals.parse[s.parsed.parse]++;
	if (s.parsed.parse == LI_PARSE_OK)
		matcher->totals.l4[s.parsed.l4]++;
	current = matcher;
	if (li_worth_matching(&s, &matcher->config))
		li_match(&s, &matcher->totals, &matcher->config);
	current = NULL;
	if (!s.n)
		return -(int)s.parsed.parse;
	return emit_all(matcher, &s, frame_len, recs);
}
