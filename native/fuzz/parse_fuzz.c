// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer harness of kernel/parse.h, match.h and record.h through the native
 * build.  Input: one byte of choices, two bytes that the wire holds more than
 * the capture, then the frame.  Every broken promise is an abort.
 */
#include "../matcher.c"
#include "check.h"

#include <stdio.h>

#define LINK_RAW 101
#define IFINDEX 1

static struct ln_matcher *matcher;

/* Two prefixes of length 1 cover all addresses of a version: every packet is a target's, of orders of each kind. */
static void name_everybody(const char *map, uint32_t key_size)
{
	struct li_target value = {.n_claims = 3, .claims = {1 << 12 | 1, 1 << 12 | 2, 1 << 12 | 3}};
	struct li_target values[2] = {value, value};
	uint8_t keys[2 * sizeof(struct li_key_v6)] = {0};
	uint32_t length = 1;

	keys[key_size] = 0x80;
	memcpy(keys + key_size - 4, &length, 4);
	memcpy(keys + 2 * key_size - 4, &length, 4);
	CHECK(!ln_matcher_load(matcher, map, keys, key_size, values, sizeof(value), 2));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct li_config config = {.abi_version = LI_ABI_VERSION, .kinds = LI_KIND_V4 | LI_KIND_V6, .n_v4_lens = 1};
	struct li_slot slots[3] = {
		{.generation = 1, .mode = LI_MODE_HEADERS, .not_after = ~0ull},
		{.generation = 1, .mode = LI_MODE_CONTENT, .not_after = ~0ull},
		{.generation = 1,
		 .mode = LI_MODE_HEADERS,
		 .flags = LI_SLOT_NO_PORTS | LI_SLOT_NO_LENGTH,
		 .not_after = ~0ull},
	};
	struct li_port port = {.ingress = {.flags = LI_HOOK_ACTIVE, .sides = 3, .access_sides = 3, .vlan_dir = 1}};
	uint32_t numbers[3] = {1, 2, 3}, zero = 0, ifindex = IFINDEX;

	(void)argc;
	(void)argv;
	config.n_v6_lens = 1;
	config.v4_lens[0] = config.v6_lens[0] = 1;
	matcher = ln_matcher_new();
	CHECK(matcher);
	CHECK(!ln_matcher_load(matcher, LI_MAP_CONFIG, &zero, 4, &config, sizeof(config), 1));
	CHECK(!ln_matcher_load(matcher, LI_MAP_SLOTS, numbers, 4, slots, sizeof(*slots), 3));
	CHECK(!ln_matcher_load(matcher, LI_MAP_PORTS, &ifindex, 4, &port, sizeof(port), 1));
	name_everybody(LI_MAP_V4, sizeof(struct li_key_v4));
	name_everybody(LI_MAP_V6, sizeof(struct li_key_v6));
	return 0;
}

/* What the parser may say at all. */
static void check_parsed(const struct li_parsed *p, uint32_t wire_len)
{
	CHECK(p->parse < LI_PARSE_CLASSES && p->l4 < LI_L4_CLASSES);
	if (p->parse == LI_PARSE_JUMBOGRAM) {
		CHECK(p->present == LI_HAS_IP && p->ip_version == 6 && !p->l3_len);
		return;
	}
	if (p->parse != LI_PARSE_OK) {
		CHECK(!p->present && !p->ip_version && !p->l3_len && !p->src_port && !p->dst_port && !p->tcp_flags);
		return;
	}
	CHECK((p->present & (LI_HAS_IP | LI_HAS_LENGTH)) == (LI_HAS_IP | LI_HAS_LENGTH));
	CHECK(p->ip_version == 4 || p->ip_version == 6);
	CHECK(p->end <= wire_len && (uint64_t)p->l3_off + p->l3_len <= p->end);
	CHECK(p->present & LI_HAS_PORTS || !(p->src_port | p->dst_port));
	CHECK(p->present & LI_HAS_TCP_FLAGS || !p->tcp_flags);
	CHECK(p->present & LI_HAS_ICMP || !(p->icmp_type | p->icmp_code));
	CHECK(p->frag != LI_FRAG_LATER || !(p->present & (LI_HAS_PORTS | LI_HAS_TCP_FLAGS | LI_HAS_ICMP)));
	CHECK(p->l4 == LI_L4_OK || !(p->present & (LI_HAS_PORTS | LI_HAS_TCP_FLAGS | LI_HAS_ICMP)));
}

static void allow(uint8_t *mask, uint32_t len, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to && i < len; i++)
		mask[i] = 1;
}

/* Marks the bytes of extension headers that a walk reads; returns where it ends. Written without parse.h. */
static uint32_t allow_extensions(const uint8_t *frame, uint32_t len, uint8_t *mask, uint32_t at, uint8_t *next)
{
	for (int i = 0; i < LI_MAX_EXT_HEADERS && at + 8 <= len; i++) {
		uint32_t units = frame[at + 1];
		uint8_t type = *next;

		if (type == 44)
			allow(mask, len, at + 2, at + 4);
		else if (type != 0 && type != 43 && type != 51 && type != 60 && type != 135 && type != 139 &&
			 type != 140)
			break;
		allow(mask, len, at, at + 2);
		*next = frame[at];
		at += type == 44 ? 8 : type == 51 ? (units + 2) * 4 : (units + 1) * 8;
	}
	return at;
}

/* Marks every byte of a proven IP packet that a header record may depend on. */
static void allow_headers(const uint8_t *frame, uint32_t len, const struct li_parsed *p, uint8_t *mask)
{
	uint32_t ip = p->l3_off, at;
	uint8_t proto;

	allow(mask, len, 0, ip + 1);
	if (p->ip_version == 4) {
		allow(mask, len, ip + 2, ip + 4);
		allow(mask, len, ip + 6, ip + 8);
		allow(mask, len, ip + 9, ip + 10);
		allow(mask, len, ip + 12, ip + 20);
		proto = frame[ip + 9];
		at = ip + (frame[ip] & 15) * 4u;
	} else {
		allow(mask, len, ip + 4, ip + 7);
		allow(mask, len, ip + 8, ip + 40);
		proto = frame[ip + 6];
		at = allow_extensions(frame, len, mask, ip + 40, &proto);
	}
	if (p->frag == LI_FRAG_LATER)
		return;
	if (proto == 6)
		allow(mask, len, at + 12, at + 14);
	if (proto == 17)
		allow(mask, len, at + 4, at + 6);
	if (proto == 6 || proto == 17 || proto == 33 || proto == 132 || proto == 136)
		allow(mask, len, at, at + 4);
	if (proto == 1 || proto == 58)
		allow(mask, len, at, at + 2);
}

/* Whatever else in the frame is changed, what is known of it stays the same: no byte of payload can be in a record. */
static void check_payload_does_not_matter(const uint8_t *frame, uint32_t len, uint32_t wire_len, uint16_t link,
					  const struct li_parsed *p, uint8_t flip)
{
	uint8_t *mask = calloc(1, len + 1), *other = malloc(len + 1);
	struct li_parsed again = {0};

	CHECK(mask && other);
	allow_headers(frame, len, p, mask);
	for (uint32_t i = 0; i < len; i++)
		other[i] = mask[i] ? frame[i] : frame[i] ^ (uint8_t)(flip | 1);
	parse_into(&again, other, len, wire_len, link);
	CHECK(!memcmp(p, &again, sizeof(again)));
	free(mask);
	free(other);
}

/* The program parses in place or from a copy of the first bytes: both say the same. */
static void check_copy(const uint8_t *frame, uint32_t len, const struct li_parsed *p)
{
	uint32_t available = least(len, LI_MAX_HEADERS);
	uint8_t *headers = malloc(available + 1);
	struct li_cursor c = {.data = headers, .available = available, .frame_len = len, .copy = 1};
	struct li_parsed again = {0};

	CHECK(headers);
	memcpy(headers, frame, available);
	again.parse = (uint8_t)li_parse_ethernet(&c, &again);
	CHECK(!memcmp(p, &again, sizeof(again)));
	free(headers);
}

static void check_header(const struct li_rec *header, const struct li_rec *packet, uint8_t flags)
{
	struct li_rec stripped;

	CHECK(header->kind == LI_REC_HEADER && !header->cap_len && !header->wire_len && !header->l3_off);
	CHECK(!(flags & LI_SLOT_NO_PORTS) || !(header->present & LI_HAS_PORTS || header->src_port || header->dst_port));
	CHECK(!(flags & LI_SLOT_NO_LENGTH) || !(header->present & LI_HAS_LENGTH || header->l3_len));
	CHECK(!ln_strip(packet, flags, &stripped));
	stripped.claim = header->claim;
	stripped.slot_seq = header->slot_seq;
	CHECK(!memcmp(&stripped, header, sizeof(stripped)));
}

/* All three orders name every proven IP packet, and no other. */
static void check_match(const uint8_t *frame, uint32_t len, uint32_t wire_len, uint16_t link, const struct li_parsed *p)
{
	struct li_rec recs[LI_MAX_MATCHES];
	int n = ln_match_frame(matcher, frame, len, wire_len, link, 1, IFINDEX, LI_AT_INGRESS, recs);

	if (!(p->present & LI_HAS_IP)) {
		CHECK(n <= 0 && n == -(int)p->parse);
		return;
	}
	CHECK(n == 3);
	CHECK(recs[1].kind == LI_REC_PACKET && recs[1].cap_len <= len && recs[1].wire_len == wire_len);
	CHECK(!(recs[1].present & LI_HAS_LENGTH) || recs[1].cap_len <= (uint32_t)recs[1].l3_off + recs[1].l3_len);
	check_header(&recs[0], &recs[1], 0);
	check_header(&recs[2], &recs[1], LI_SLOT_NO_PORTS | LI_SLOT_NO_LENGTH);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint16_t link = size && data[0] & 1 ? LINK_RAW : LINK_ETHERNET;
	struct li_parsed parsed = {0};
	uint32_t len, wire_len;
	const uint8_t *frame;

	if (size < 3)
		return -1;
	frame = data + 3;
	len = (uint32_t)size - 3;
	wire_len = len + (data[0] & 2 ? li_u16(data + 1) : 0);
	parse_into(&parsed, frame, len, wire_len, link);
	check_parsed(&parsed, wire_len);
	if (parsed.parse == LI_PARSE_OK)
		check_payload_does_not_matter(frame, len, wire_len, link, &parsed, data[0]);
	if (link == LINK_ETHERNET && wire_len == len)
		check_copy(frame, len, &parsed);
	check_match(frame, len, wire_len, link, &parsed);
	return 0;
}
