/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * From a parsed frame to the orders that name it.  Compiled for BPF over its
 * maps and for native over in-process tables: the includer defines
 * LI_FIND(map, key), which returns the entry or NULL.
 */
#ifndef LICTL_MATCH_H
#define LICTL_MATCH_H

#include "filter.h"
#include "scratch.h"

#ifdef __bpf__
#define li_noinline static __attribute__((noinline))
#else
#define li_noinline static
#endif

#ifdef __bpf__
#include "maps.h"
#define LI_FIND(map, key) bpf_map_lookup_elem(&map, key)
#endif

/* True where the filter's bit is set, so that the target map is worth asking. */
li_inline int li_may_hit(uint32_t bit)
{
	uint32_t zero = 0;
	const struct li_filter *filter = LI_FIND(li_filter, &zero);

	return filter && li_filter_has(filter, bit);
}

/* The packet's time and CPU, taken when its first target is found: a miss does not pay for them. */
li_inline void li_stamp(struct li_scratch *s, const struct li_config *config)
{
#ifdef __bpf__
	if (s->ktime_ns)
		return;
	s->ktime_ns = bpf_ktime_get_ns();
	s->utc_ns = s->ktime_ns + config->utc_offset_ns;
	s->cpu = (uint16_t)bpf_get_smp_processor_id();
	s->clock = LI_CLOCK_KERNEL;
#else
	(void)s; /* a file's frame brings its time along */
	(void)config;
#endif
}

/* The first word of a slot, as of one instant. */
struct li_state {
	uint32_t generation;
	uint8_t mode;
	uint8_t flags;
	uint8_t zero[2];
};

typedef uint64_t __attribute__((may_alias)) li_word;

/* Read once: an order that is revoked or changed while its packet is judged must not be seen half old, half new
 * (a headers order whose mode is gone at a second look is none, and no content order either). */
li_inline struct li_state li_state_of(const struct li_slot *slot)
{
	li_word word = *(const volatile li_word *)slot;
	struct li_state state;

	__builtin_memcpy(&state, &word, sizeof(state));
	return state;
}

/* True where the order may take this packet here; counts what is seen, withheld and matched. */
li_inline int li_admit(struct li_scratch *s, const struct li_slot *slot, uint8_t mode, struct li_slot_count *count)
{
	count->seen++;
	if (s->utc_ns < slot->not_before || s->utc_ns >= slot->not_after)
		return 0;
	if (mode != LI_MODE_CONTENT && !(s->parsed.present & LI_HAS_IP)) {
		/* Doubt fails closed: no header field is proven, so nothing leaves. */
		count->withheld++;
		return 0;
	}
	count->matched++;
	count->bytes += s->frame_len;
	return 1;
}

/* One order of a target entry: adds it to the list, or its direction where it is there already. */
li_inline void li_take_claim(struct li_scratch *s, struct li_totals *totals, uint32_t claim, uint8_t side, uint8_t dir)
{
	uint32_t index = claim & LI_CLAIM_SLOT_MASK;
	const struct li_slot *slot = LI_FIND(li_slots, &index);
	struct li_slot_count *count = LI_FIND(li_slot_count, &index);
	struct li_state state;
	uint8_t sides;

	if (!slot || !count) {
		totals->impossible++;
		return;
	}
	state = li_state_of(slot);
	if (state.generation != claim >> LI_CLAIM_SLOT_BITS || state.mode == LI_MODE_OFF) {
		totals->stale_claim++;
		return;
	}
	sides = state.flags & LI_SLOT_ACCESS_ONLY ? s->access_sides : s->sides;
	if (!(sides & side))
		return;
	if (count->last_packet == s->cpu_seq) {
		/* Named a second time, by another key or by the other end. */
		uint64_t at = count->last_index;

		if (at < LI_MAX_MATCHES)
			s->dirs[at] |= dir;
		return;
	}
	count->last_packet = s->cpu_seq;
	count->last_index = LI_MAX_MATCHES;
	if (!li_admit(s, slot, state.mode, count))
		return;
	if (s->n >= LI_MAX_MATCHES) {
		count->lost_matches++;
		return;
	}
	count->last_index = s->n;
	s->claims[s->n] = claim;
	s->dirs[s->n] = dir;
	s->modes[s->n] = state.mode;
	s->flags[s->n] = state.flags;
	s->n++;
}

li_inline int li_take(struct li_scratch *s, struct li_totals *totals, const struct li_config *config,
		      const struct li_target *target, uint32_t how)
{
	uint8_t side = how & 0xff, dir = how >> 8 & 0xff;

	li_stamp(s, config);
	for (int i = 0; i < LI_MAX_CLAIMS; i++) {
		if (i >= (int)target->n_claims)
			break;
		li_take_claim(s, totals, target->claims[i], side, dir);
	}
	return 0;
}

#define LI_HOW(side, dir) ((uint32_t)(side) | (uint32_t)(dir) << 8)

/* IPv4 as ::ffff:a.b.c.d, the form of the port and flow keys. */
li_inline void li_mapped(uint8_t *to, const uint8_t *address, uint8_t version)
{
	__builtin_memset(to, 0, 16);
	if (version == 6) {
		__builtin_memcpy(to, address, 16);
		return;
	}
	to[10] = 0xff;
	to[11] = 0xff;
	__builtin_memcpy(to + 12, address, 4);
}

/* The ports of an address that is shared: the longest active port prefix that has an entry. */
li_noinline int li_match_ports(struct li_scratch *s, struct li_totals *totals, const struct li_config *config,
			       uint32_t how)
{
	int from = how & LI_SIDE_SRC;
	uint16_t port = from ? s->parsed.src_port : s->parsed.dst_port;
	struct li_key_port key = {};

	if (!(s->parsed.present & LI_HAS_PORTS)) {
		if (s->parsed.frag == LI_FRAG_LATER)
			totals->later_fragment_ports++;
		return 0;
	}
	li_mapped(key.addr, from ? s->parsed.src : s->parsed.dst, s->parsed.ip_version);
	for (int i = 0; i < LI_MAX_PORT_LENS; i++) {
		const struct li_target *target;
		uint32_t len;

		if (i >= config->n_port_lens)
			break;
		len = config->port_lens[i] & 31;
		key.prefix_len = (uint8_t)len;
		key.port = (uint16_t)(port & (0xffff0000u >> len));
		target = LI_FIND(li_port, &key);
		if (target)
			return li_take(s, totals, config, target, how);
	}
	return 0;
}

li_inline void li_take_address(struct li_scratch *s, struct li_totals *totals, const struct li_config *config,
			       const struct li_target *target, uint32_t how)
{
	li_take(s, totals, config, target, how);
	if (target->flags & LI_TARGET_HAS_PORTS)
		li_match_ports(s, totals, config, how);
}

/* `address` as it stands in memory, masked to `len` bits. */
li_inline void li_mask_v4(struct li_key_v4 *key, uint32_t address, uint32_t len)
{
	address &= __builtin_bswap32((uint32_t)(0xffffffff00000000ull >> (len & 63)));
	__builtin_memcpy(key->addr, &address, 4);
	key->prefix_len = len;
}

li_inline int li_match_v4(struct li_scratch *s, struct li_totals *totals, const struct li_config *config, uint32_t how)
{
	const uint8_t *address = how & LI_SIDE_SRC ? s->parsed.src : s->parsed.dst;
	uint32_t host = li_read(32, address);
	struct li_key_v4 key;

	for (int i = 0; i < LI_MAX_V4_LENS; i++) {
		const struct li_target *target;

		if (i >= config->n_v4_lens)
			break;
		li_mask_v4(&key, host, config->v4_lens[i]);
		target = li_may_hit(li_bit_v4(&key)) ? LI_FIND(li_v4, &key) : 0;
		if (target) {
			li_take_address(s, totals, config, target, how);
			break;
		}
	}
	return 0;
}

/* The upper and lower half of an IPv6 address, masked to `len` bits. */
li_inline void li_mask_v6(struct li_key_v6 *key, uint64_t high, uint64_t low, uint32_t len)
{
	uint64_t upper = len >= 64 ? ~0ull : len ? ~0ull << (64 - len) : 0;
	uint64_t lower = len >= 128 ? ~0ull : len > 64 ? ~0ull << (128 - len) : 0;

	high = __builtin_bswap64(high & upper);
	low = __builtin_bswap64(low & lower);
	__builtin_memcpy(key->addr, &high, 8);
	__builtin_memcpy(key->addr + 8, &low, 8);
	key->prefix_len = len;
}

li_inline int li_match_v6(struct li_scratch *s, struct li_totals *totals, const struct li_config *config, uint32_t how)
{
	const uint8_t *address = how & LI_SIDE_SRC ? s->parsed.src : s->parsed.dst;
	uint64_t high = __builtin_bswap64(li_read(64, address));
	uint64_t low = __builtin_bswap64(li_read(64, address + 8));
	struct li_key_v6 key;

	for (int i = 0; i < LI_MAX_V6_LENS; i++) {
		const struct li_target *target;

		if (i >= config->n_v6_lens)
			break;
		li_mask_v6(&key, high, low, config->v6_lens[i]);
		target = li_may_hit(li_bit_v6(&key)) ? LI_FIND(li_v6, &key) : 0;
		if (target) {
			li_take_address(s, totals, config, target, how);
			break;
		}
	}
	return 0;
}

li_inline void li_match_address(struct li_scratch *s, struct li_totals *totals, const struct li_config *config,
				uint32_t how)
{
	if (s->parsed.ip_version == 4 && config->kinds & LI_KIND_V4)
		li_match_v4(s, totals, config, how);
	else if (s->parsed.ip_version == 6 && config->kinds & LI_KIND_V6)
		li_match_v6(s, totals, config, how);
}

/* An IPv6 packet may carry ::ffff:a.b.c.d, but it is not a packet of that IPv4 address. */
li_inline int li_is_mapped(const struct li_parsed *p, const uint8_t *address)
{
	if (p->ip_version != 6)
		return 0;
	return !li_read(64, address) && li_read(32, address + 8) == __builtin_bswap32(0x0000ffff);
}

/* One flow, named from the target's end: that end is the source or the destination. */
li_noinline int li_match_flow(struct li_scratch *s, struct li_totals *totals, const struct li_config *config,
			      uint32_t how)
{
	const struct li_parsed *p = &s->parsed;
	int from = how & LI_SIDE_SRC;
	const struct li_target *target;
	struct li_key_flow key = {};

	if (!(p->present & LI_HAS_PORTS)) {
		if (p->frag == LI_FRAG_LATER)
			totals->later_fragment_ports++;
		return 0;
	}
	if (li_is_mapped(p, p->src) || li_is_mapped(p, p->dst))
		return 0;
	li_mapped(key.local, from ? p->src : p->dst, p->ip_version);
	li_mapped(key.remote, from ? p->dst : p->src, p->ip_version);
	key.local_port = from ? p->src_port : p->dst_port;
	key.remote_port = from ? p->dst_port : p->src_port;
	key.proto = p->proto;
	target = li_may_hit(li_bit_flow(&key)) ? LI_FIND(li_flow, &key) : 0;
	return target ? li_take(s, totals, config, target, how) : 0;
}

li_noinline int li_match_mac(struct li_scratch *s, struct li_totals *totals, const struct li_config *config,
			     uint32_t how)
{
	const struct li_target *target;
	struct li_key_mac key = {};

	__builtin_memcpy(key.mac, how & LI_SIDE_SRC ? s->parsed.src_mac : s->parsed.dst_mac, 6);
	target = li_may_hit(li_bit_mac(&key)) ? LI_FIND(li_mac, &key) : 0;
	return target ? li_take(s, totals, config, target, how) : 0;
}

li_noinline int li_match_pppoe(struct li_scratch *s, struct li_totals *totals, const struct li_config *config,
			       uint32_t how)
{
	const struct li_target *target;
	struct li_key_pppoe key = {};

	__builtin_memcpy(key.mac, how & LI_SIDE_SRC ? s->parsed.src_mac : s->parsed.dst_mac, 6);
	key.session = s->parsed.session;
	target = li_may_hit(li_bit_pppoe(&key)) ? LI_FIND(li_pppoe, &key) : 0;
	return target ? li_take(s, totals, config, target, how) : 0;
}

/* A tag names a subscriber only on the access side, and there the hook says which way the frame goes. */
li_noinline int li_match_vlan(struct li_scratch *s, struct li_totals *totals, const struct li_config *config)
{
	struct li_key_vlan key = {s->parsed.vlan[0], s->parsed.n_vlans == 1 ? LI_VLAN_NONE : s->parsed.vlan[1]};
	uint32_t side = s->vlan_dir == LI_DIR_FROM ? LI_SIDE_SRC : s->vlan_dir == LI_DIR_TO ? LI_SIDE_DST : 3;
	const struct li_target *target = LI_FIND(li_vlan, &key);

	return target ? li_take(s, totals, config, target, LI_HOW(side, s->vlan_dir)) : 0;
}

li_inline void li_match_side(struct li_scratch *s, struct li_totals *totals, const struct li_config *config,
			     uint32_t how)
{
	uint32_t kinds = config->kinds;

	li_match_address(s, totals, config, how);
	if (kinds & LI_KIND_FLOW && s->parsed.ip_version)
		li_match_flow(s, totals, config, how);
	if (kinds & LI_KIND_MAC && s->parsed.has_mac)
		li_match_mac(s, totals, config, how);
	if (kinds & LI_KIND_PPPOE && s->parsed.has_session)
		li_match_pppoe(s, totals, config, how);
}

/* Fills the list of orders of the packet in s->parsed. */
li_inline void li_match(struct li_scratch *s, struct li_totals *totals, const struct li_config *config)
{
	uint32_t sides = s->sides | s->access_sides;

	if (sides & LI_SIDE_SRC)
		li_match_side(s, totals, config, LI_HOW(LI_SIDE_SRC, LI_DIR_FROM));
	if (sides & LI_SIDE_DST)
		li_match_side(s, totals, config, LI_HOW(LI_SIDE_DST, LI_DIR_TO));
	if (config->kinds & LI_KIND_VLAN && s->parsed.n_vlans && sides)
		li_match_vlan(s, totals, config);
}

/* One prefix length in use is the common case, and the one that is decided in line. The length is read before the
 * count: user space writes a second count first, so a length that has moved is never taken for the only one. */
li_inline int li_worth_v4(const struct li_config *config, const uint8_t *address)
{
	uint8_t len = li_get(config->v4_lens[0]), n = li_get(config->n_v4_lens);
	struct li_key_v4 key;

	if (n != 1)
		return n != 0;
	li_mask_v4(&key, li_read(32, address), len);
	return li_may_hit(li_bit_v4(&key));
}

li_inline int li_worth_v6(const struct li_config *config, const uint8_t *address)
{
	uint8_t len = li_get(config->v6_lens[0]), n = li_get(config->n_v6_lens);
	struct li_key_v6 key;

	if (n != 1)
		return n != 0;
	li_mask_v6(&key, __builtin_bswap64(li_read(64, address)), __builtin_bswap64(li_read(64, address + 8)), len);
	return li_may_hit(li_bit_v6(&key));
}

/* False where the filter alone proves that no order names the packet: a miss asks no hash map
 * and no clock. */
li_inline int li_worth_matching(const struct li_scratch *s, const struct li_config *config)
{
	const struct li_parsed *p = &s->parsed;
	uint32_t kinds = config->kinds;

	if (kinds & ~(uint32_t)(LI_KIND_V4 | LI_KIND_V6 | LI_KIND_PORT))
		return 1;
	if (p->ip_version == 4)
		return kinds & LI_KIND_V4 && (li_worth_v4(config, p->src) || li_worth_v4(config, p->dst));
	if (p->ip_version == 6)
		return kinds & LI_KIND_V6 && (li_worth_v6(config, p->src) || li_worth_v6(config, p->dst));
	return 0;
}

#endif
