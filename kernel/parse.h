/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The one header parser, compiled for BPF and for native.
 *
 * It reads only what a match or a header record needs, proves every field
 * before it is set, and guesses nothing: what is not proven stays absent and is
 * counted by class.  Sources: IEEE 802.3, 802.1Q/ad; RFC 2516, 1661 (PPPoE,
 * PPP); 3032 (MPLS); 791, 8200, 6275, 4302 (IP); 9293, 768, 3828, 9260, 4340
 * (transport); 792, 4443 (ICMP).
 */
#ifndef LICTL_PARSE_H
#define LICTL_PARSE_H

#include "words.h"

#define li_inline static inline __attribute__((always_inline))
#define LI_MIN_FRAME 14	   /* an Ethernet header */
#define LI_MAX_HEADERS 512 /* no header field is read beyond this offset */

#define LI_ETH_IPV4 0x0800
#define LI_ETH_IPV6 0x86DD
#define LI_ETH_VLAN 0x8100
#define LI_ETH_QINQ 0x88A8
#define LI_ETH_QINQ_OLD 0x9100
#define LI_ETH_PPPOE_DISCOVERY 0x8863
#define LI_ETH_PPPOE 0x8864
#define LI_ETH_MPLS 0x8847
#define LI_ETH_MPLS_MULTICAST 0x8848
#define LI_ETH_MIN_TYPE 0x0600

#define LI_PPP_IPV4 0x0021
#define LI_PPP_IPV6 0x0057

#define LI_IP_ICMP 1
#define LI_IP_TCP 6
#define LI_IP_UDP 17
#define LI_IP_DCCP 33
#define LI_IP_ICMPV6 58
#define LI_IP_SCTP 132
#define LI_IP_UDPLITE 136

#define LI_EXT_HOP_BY_HOP 0
#define LI_EXT_ROUTING 43
#define LI_EXT_FRAGMENT 44
#define LI_EXT_AUTH 51
#define LI_EXT_NONE 59
#define LI_EXT_DESTINATION 60
#define LI_EXT_MOBILITY 135
#define LI_EXT_HIP 139
#define LI_EXT_SHIM6 140

/*
 * Where the bytes of a frame are.  `copy` set: they stand in a buffer of
 * LI_MAX_HEADERS bytes that `data` points to (a frame whose headers are not
 * linear); else between data and data_end.
 */
struct li_cursor {
	const uint8_t *data;
	const uint8_t *data_end;
	uint32_t available; /* readable bytes, used with `copy` */
	uint32_t frame_len; /* bytes of the frame on the wire */
	uint8_t copy;
};

/* What is proven of a frame. */
struct li_parsed {
	uint8_t dst_mac[6];
	uint8_t src_mac[6];
	uint16_t vlan[2]; /* the two outermost tags */
	uint16_t session; /* PPPoE */
	uint16_t l3_off;
	uint8_t n_vlans;
	uint8_t has_mac;
	uint8_t has_session;
	uint8_t l4; /* LI_L4_* */
	/* From here to dst_port as in struct li_rec: copied in whole words. */
	uint8_t ip_version;
	uint8_t proto;
	uint8_t tcp_flags;
	uint8_t present; /* LI_HAS_* */
	uint8_t icmp_type;
	uint8_t icmp_code;
	uint8_t frag;
	uint8_t parse; /* LI_PARSE_* */
	uint16_t src_port;
	uint16_t dst_port;
	uint32_t l3_len;
	uint32_t end;	 /* first byte behind the link payload: the frame's end, or PPPoE's */
	uint32_t at;	 /* work: offset of the header in hand */
	uint32_t l3_end; /* work: first byte behind the IP packet */
	uint8_t expect;	 /* work: IP version that the link layer announces */
	uint8_t zero[3];
	uint8_t src[16];
	uint8_t dst[16];
};

/* Keeps the compiler from deciding twice, on other registers, whether a pointer is NULL: the
 * verifier would not see that both decisions agree. */
#ifdef __bpf__
#define li_opaque(p) asm volatile("" : "+r"(p))
#else
#define li_opaque(p)
#endif

/* n bytes at offset off, or NULL where they are not all there. */
li_inline const uint8_t *li_at(const struct li_cursor *c, uint32_t off, uint32_t n)
{
	const uint8_t *p;

	if (off > LI_MAX_HEADERS - n)
		return 0;
	p = c->data + off;
	if (c->copy ? off + n > c->available : p + n > c->data_end)
		p = 0;
	li_opaque(p);
	return p;
}

/*
 * Reads and writes of a work field go through memory: the verifier then forgets
 * how the value came about, and the paths to this point count once, not each.
 */
#define li_get(field) (*(volatile __typeof__(field) *)&(field))
#define li_set(field, value) (*(volatile __typeof__(field) *)&(field) = (value))

/* 16 bits in network order. */
li_inline uint16_t li_u16(const uint8_t *p)
{
	return __builtin_bswap16(li_read(16, p));
}

/* Neither end on the stack. */
li_inline void li_copy16(uint8_t *to, const uint8_t *from)
{
	li_move(64, to, from);
	li_move(64, to + 8, from + 8);
}

/* Ports of a transport header of `need` bytes; what `room` holds is proven by the IP length. */
li_inline int li_parse_ports(const struct li_cursor *c, struct li_parsed *out, uint32_t off, uint32_t room,
			     uint32_t need)
{
	const uint8_t *h = li_at(c, off, 4);

	if (room < need || !h || (uint64_t)off + need > c->frame_len)
		return out->frag == LI_FRAG_FIRST ? LI_L4_TINY_FRAGMENT : LI_L4_SHORT;
	out->src_port = li_u16(h);
	out->dst_port = li_u16(h + 2);
	out->present |= LI_HAS_PORTS;
	return LI_L4_OK;
}

li_inline int li_parse_tcp(const struct li_cursor *c, struct li_parsed *out, uint32_t off, uint32_t room)
{
	const uint8_t *h = li_at(c, off, 20);
	uint32_t header;

	if (room < 20 || !h)
		return out->frag == LI_FRAG_FIRST ? LI_L4_TINY_FRAGMENT : LI_L4_SHORT;
	header = (uint32_t)(h[12] >> 4) * 4;
	if (header > room && out->frag == LI_FRAG_FIRST)
		return LI_L4_TINY_FRAGMENT;
	if (header < 20 || header > room)
		return LI_L4_BAD_TCP_OFFSET;
	out->src_port = li_u16(h);
	out->dst_port = li_u16(h + 2);
	out->tcp_flags = h[13];
	out->present |= LI_HAS_PORTS | LI_HAS_TCP_FLAGS;
	return LI_L4_OK;
}

li_inline int li_parse_udp(const struct li_cursor *c, struct li_parsed *out, uint32_t off, uint32_t room)
{
	const uint8_t *h = li_at(c, off, 8);
	uint32_t length;

	if (room < 8 || !h)
		return out->frag == LI_FRAG_FIRST ? LI_L4_TINY_FRAGMENT : LI_L4_SHORT;
	length = li_u16(h + 4);
	/* The length is that of the whole datagram, so a first fragment may hold less. */
	if (length < 8 || (length > room && out->frag != LI_FRAG_FIRST))
		return LI_L4_BAD_UDP_LENGTH;
	out->src_port = li_u16(h);
	out->dst_port = li_u16(h + 2);
	out->present |= LI_HAS_PORTS;
	return LI_L4_OK;
}

/* Type and code only: what an ICMP error quotes is content (RFC 792, 4443, 4884). */
li_inline int li_parse_icmp(const struct li_cursor *c, struct li_parsed *out, uint32_t off, uint32_t room)
{
	const uint8_t *h = li_at(c, off, 4);

	if (room < 4 || !h)
		return out->frag == LI_FRAG_FIRST ? LI_L4_TINY_FRAGMENT : LI_L4_SHORT;
	out->icmp_type = h[0];
	out->icmp_code = h[1];
	out->present |= LI_HAS_ICMP;
	return LI_L4_OK;
}

/* The transport header at `off`; `room` is what the IP length leaves for it. */
li_inline int li_parse_l4(const struct li_cursor *c, struct li_parsed *out, uint32_t off, uint32_t room)
{
	if (out->frag == LI_FRAG_LATER)
		return LI_L4_LATER_FRAGMENT;
	switch (out->proto) {
	case LI_IP_TCP:
		return li_parse_tcp(c, out, off, room);
	case LI_IP_UDP:
		return li_parse_udp(c, out, off, room);
	case LI_IP_UDPLITE:
		return li_parse_ports(c, out, off, room, 8);
	case LI_IP_SCTP:
	case LI_IP_DCCP:
		return li_parse_ports(c, out, off, room, 12);
	case LI_IP_ICMP:
		return out->ip_version == 4 ? li_parse_icmp(c, out, off, room) : LI_L4_OK;
	case LI_IP_ICMPV6:
		return out->ip_version == 6 ? li_parse_icmp(c, out, off, room) : LI_L4_OK;
	default:
		return LI_L4_OK;
	}
}

li_inline int li_parse_ipv4(const struct li_cursor *c, struct li_parsed *out)
{
	uint32_t off = li_get(out->at), header, total, fragment;
	const uint8_t *h = li_at(c, off, 20);

	if (!h)
		return LI_PARSE_SHORT_IP;
	if (h[0] >> 4 != 4)
		return LI_PARSE_BAD_VERSION;
	header = (uint32_t)(h[0] & 15) * 4;
	total = li_u16(h + 2);
	if (total < 20)
		return LI_PARSE_BAD_LENGTH;
	if (header < 20 || header > total)
		return LI_PARSE_BAD_IHL;
	if (off + total > out->end)
		return LI_PARSE_TRUNCATED;
	fragment = li_u16(h + 6);
	if (fragment & 0x1fff)
		out->frag = LI_FRAG_LATER;
	else if (fragment & 0x2000)
		out->frag = LI_FRAG_FIRST;
	out->ip_version = 4;
	out->proto = h[9];
	out->l3_off = (uint16_t)off;
	out->l3_len = total;
	out->present = LI_HAS_IP | LI_HAS_LENGTH;
	li_move(32, out->src, h + 12);
	li_move(32, out->dst, h + 16);
	li_set(out->l3_end, off + total);
	li_set(out->at, off + header);
	return LI_PARSE_OK;
}

/* Length of the extension header `type` whose first bytes are h; 0: not one that can be walked. */
li_inline uint32_t li_ext_len(uint8_t type, const uint8_t *h)
{
	switch (type) {
	case LI_EXT_HOP_BY_HOP:
	case LI_EXT_ROUTING:
	case LI_EXT_DESTINATION:
	case LI_EXT_MOBILITY:
	case LI_EXT_HIP:
	case LI_EXT_SHIM6:
		return ((uint32_t)h[1] + 1) * 8;
	case LI_EXT_FRAGMENT:
		return 8;
	case LI_EXT_AUTH:
		return ((uint32_t)h[1] + 2) * 4;
	default:
		return 0;
	}
}

li_inline int li_is_ext(uint8_t type)
{
	const uint8_t unit[2] = {0, 0};

	return li_ext_len(type, unit) != 0;
}

/* One extension header: LI_L4_OK to go on with the next one. */
li_inline int li_step_ext(const struct li_cursor *c, struct li_parsed *out, uint8_t type)
{
	uint32_t off = li_get(out->at), len;
	const uint8_t *h = li_at(c, off, 8);

	if (!h)
		return LI_L4_EXT_SHORT;
	len = li_ext_len(type, h);
	if (off + len > li_get(out->l3_end))
		return LI_L4_EXT_SHORT;
	if (type == LI_EXT_FRAGMENT) {
		uint16_t fragment = li_u16(h + 2);

		if (fragment & 0xfff8)
			out->frag = LI_FRAG_LATER;
		else if (fragment & 1)
			out->frag = LI_FRAG_FIRST;
	}
	li_set(out->proto, h[0]);
	li_set(out->at, off + len);
	return li_get(out->frag) == LI_FRAG_LATER ? LI_L4_LATER_FRAGMENT : LI_L4_OK;
}

/* Walks the extension headers; out->proto and out->at then are those of the transport header. */
li_inline int li_parse_ext(const struct li_cursor *c, struct li_parsed *out)
{
	for (int i = 0; i < LI_MAX_EXT_HEADERS; i++) {
		uint8_t type = li_get(out->proto);
		int l4;

		if (type == LI_EXT_NONE)
			return LI_L4_NO_NEXT;
		if (!li_is_ext(type))
			return LI_L4_OK;
		l4 = li_step_ext(c, out, type);
		if (l4 != LI_L4_OK)
			return l4;
	}
	if (li_get(out->proto) == LI_EXT_NONE)
		return LI_L4_NO_NEXT;
	return li_is_ext(li_get(out->proto)) ? LI_L4_EXT_CHAIN : LI_L4_OK;
}

li_inline int li_parse_ipv6(const struct li_cursor *c, struct li_parsed *out)
{
	uint32_t off = li_get(out->at), total;
	const uint8_t *h = li_at(c, off, 40);

	if (!h)
		return LI_PARSE_SHORT_IP;
	if (h[0] >> 4 != 6)
		return LI_PARSE_BAD_VERSION;
	total = 40u + li_u16(h + 4);
	if (off + total > out->end)
		return LI_PARSE_TRUNCATED;
	out->ip_version = 6;
	li_set(out->proto, h[6]);
	out->l3_off = (uint16_t)off;
	out->present = LI_HAS_IP;
	li_copy16(out->src, h + 8);
	li_copy16(out->dst, h + 24);
	/* Whether or not a jumbo option follows, hosts take such packets: a target may not hide behind it. */
	if (total == 40 && h[6] == LI_EXT_HOP_BY_HOP)
		return LI_PARSE_JUMBOGRAM;
	out->l3_len = total;
	out->present |= LI_HAS_LENGTH;
	li_set(out->l3_end, off + total);
	li_set(out->at, off + 40);
	return LI_PARSE_OK;
}

/* IP and transport, from out->at on. */
li_inline int li_parse_network(const struct li_cursor *c, struct li_parsed *out)
{
	int parse, l4 = LI_L4_OK;
	uint32_t off;

	if (li_get(out->expect) == 4) {
		parse = li_parse_ipv4(c, out);
	} else {
		parse = li_parse_ipv6(c, out);
		if (parse == LI_PARSE_OK)
			l4 = li_parse_ext(c, out);
	}
	if (parse != LI_PARSE_OK)
		return parse;
	off = li_get(out->at);
	if (l4 == LI_L4_OK)
		l4 = li_parse_l4(c, out, off, li_get(out->l3_end) - off);
	out->l4 = (uint8_t)l4;
	return LI_PARSE_OK;
}

/* RFC 3032: labels until the bottom of the stack, then IP by its version nibble;
 * a nibble of 0 is a pseudowire's control word. */
li_inline int li_link_mpls(const struct li_cursor *c, struct li_parsed *out)
{
	for (int i = 0; i < LI_MAX_LABELS; i++) {
		uint32_t off = li_get(out->at);
		const uint8_t *h = li_at(c, off, 4);

		if (!h)
			return LI_PARSE_SHORT_MPLS;
		li_set(out->at, off + 4);
		if (!(h[2] & 1))
			continue;
		h = li_at(c, off + 4, 1);
		if (!h)
			return LI_PARSE_SHORT_IP;
		out->expect = h[0] >> 4;
		return out->expect == 4 || out->expect == 6 ? LI_PARSE_OK : LI_PARSE_MPLS_NOT_IP;
	}
	return LI_PARSE_DEEP_MPLS;
}

/* RFC 2516 session stage.  The protocol field may be one byte long (RFC 1661 section 6.5). */
li_inline int li_link_pppoe(const struct li_cursor *c, struct li_parsed *out)
{
	uint32_t off = li_get(out->at), length, protocol, header = 7;
	const uint8_t *h = li_at(c, off, 7);

	if (!h)
		return LI_PARSE_SHORT_PPPOE;
	length = li_u16(h + 4);
	if (h[0] != 0x11 || h[1] != 0 || !length)
		return LI_PARSE_BAD_PPPOE;
	out->session = li_u16(h + 2);
	out->has_session = 1;
	if (off + 6 + length > c->frame_len)
		return LI_PARSE_BAD_PPPOE;
	out->end = off + 6 + length;
	protocol = h[6];
	if (!(protocol & 1)) {
		h = li_at(c, off + 7, 1);
		if (!h || length < 2)
			return LI_PARSE_SHORT_PPPOE;
		protocol = protocol << 8 | h[0];
		header = 8;
	}
	li_set(out->at, off + header);
	out->expect = protocol == LI_PPP_IPV4 ? 4 : 6;
	return protocol == LI_PPP_IPV4 || protocol == LI_PPP_IPV6 ? LI_PARSE_OK : LI_PARSE_PPP_CONTROL;
}

/* What the EtherType announces: LI_PARSE_OK where IP stands at out->at. */
li_inline int li_link_payload(const struct li_cursor *c, struct li_parsed *out, uint32_t type)
{
	switch (type) {
	case LI_ETH_IPV4:
		out->expect = 4;
		return LI_PARSE_OK;
	case LI_ETH_IPV6:
		out->expect = 6;
		return LI_PARSE_OK;
	case LI_ETH_PPPOE:
		return li_link_pppoe(c, out);
	case LI_ETH_PPPOE_DISCOVERY:
		return LI_PARSE_PPP_CONTROL;
	case LI_ETH_MPLS:
	case LI_ETH_MPLS_MULTICAST:
		return li_link_mpls(c, out);
	default:
		return type < LI_ETH_MIN_TYPE ? LI_PARSE_LLC : LI_PARSE_NOT_IP;
	}
}

li_inline int li_is_vlan(uint32_t type)
{
	return type == LI_ETH_VLAN || type == LI_ETH_QINQ || type == LI_ETH_QINQ_OLD;
}

/* A VLAN id of 0 is a priority only (IEEE 802.1Q 9.6): it names no VLAN, and a target may not hide behind it. */
li_inline void li_add_vlan(struct li_parsed *out, uint16_t tci)
{
	if (!(tci & 0x0fff))
		return;
	if (out->n_vlans < 2)
		out->vlan[out->n_vlans] = tci & 0x0fff;
	out->n_vlans++;
}

/* Ethernet and its tags. */
li_inline int li_link(const struct li_cursor *c, struct li_parsed *out)
{
	const uint8_t *h = li_at(c, 0, 14);
	uint32_t type, off = 14;

	out->end = c->frame_len;
	if (!h)
		return LI_PARSE_SHORT_ETH;
	li_move(64, out->dst_mac, h); /* and the first two bytes of src_mac */
	li_move(32, out->src_mac + 2, h + 8);
	out->has_mac = 1;
	type = li_u16(h + 12);
	for (int i = 0; i < LI_MAX_VLANS; i++) {
		if (!li_is_vlan(type))
			break;
		h = li_at(c, off, 4);
		if (!h)
			return LI_PARSE_SHORT_VLAN;
		li_add_vlan(out, li_u16(h));
		type = li_u16(h + 2);
		off += 4;
	}
	if (li_is_vlan(type) || out->n_vlans > LI_MAX_VLANS)
		return LI_PARSE_DEEP_VLAN;
	li_set(out->at, off);
	return li_link_payload(c, out, type);
}

/* A whole Ethernet frame.  `out` must be zeroed; a tag that the card took off may be in it already. */
li_inline int li_parse_ethernet(const struct li_cursor *c, struct li_parsed *out)
{
	int parse = li_link(c, out);

	return parse == LI_PARSE_OK ? li_parse_network(c, out) : parse;
}

/* A bare IP packet (link type raw). */
li_inline int li_parse_raw(const struct li_cursor *c, struct li_parsed *out)
{
	const uint8_t *h = li_at(c, 0, 1);

	out->end = c->frame_len;
	if (!h)
		return LI_PARSE_SHORT_IP;
	out->expect = h[0] >> 4 == 6 ? 6 : 4;
	return li_parse_network(c, out);
}

#endif
