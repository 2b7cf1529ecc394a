/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IP and transport headers made from a header record, for formats that carry header reports as packets. Every
 * field that is not in the record is zero; so are checksums, which would tell payload (TCP, UDP of one or two
 * octets).
 */
#ifndef LICTL_SYNTHETIC_H
#define LICTL_SYNTHETIC_H

#include "encode.h"

#define SYNTHETIC_MAX 68 /* IPv6, fragment header, TCP */
#define LENGTH_FIELD_MAX 65535

#define IP_MORE_FRAGMENTS 0x2000
#define IPV6_MORE_FRAGMENTS 1
#define IPPROTO_ICMP_ 1
#define IPPROTO_TCP_ 6
#define IPPROTO_UDP_ 17
#define IPPROTO_FRAGMENT_ 44
#define IPPROTO_ICMPV6_ 58
#define IPPROTO_SCTP_ 132
#define IPPROTO_UDPLITE_ 136

/* The transport header without its length fields; 0 octets where no port or type is proven. */
static inline uint8_t *put_transport(uint8_t *at, const struct li_rec *rec, uint32_t network_len)
{
	uint32_t len = rec->present & LI_HAS_LENGTH && rec->l3_len > network_len ? rec->l3_len - network_len : 0;

	if (rec->frag == LI_FRAG_LATER)
		return at;
	if ((rec->proto == IPPROTO_ICMP_ || rec->proto == IPPROTO_ICMPV6_) && rec->present & LI_HAS_ICMP) {
		memset(at, 0, 8);
		at[0] = rec->icmp_type;
		at[1] = rec->icmp_code;
		return at + 8;
	}
	if (!(rec->present & LI_HAS_PORTS))
		return at;
	memset(at, 0, 20);
	put_be16(at, rec->src_port);
	put_be16(at + 2, rec->dst_port);
	switch (rec->proto) {
	case IPPROTO_TCP_:
		at[12] = 5 << 4;
		at[13] = rec->present & LI_HAS_TCP_FLAGS ? rec->tcp_flags : 0;
		return at + 20;
	case IPPROTO_UDP_:
		put_be16(at + 4, len < 8 ? 8 : len > LENGTH_FIELD_MAX ? 0 : (uint16_t)len);
		return at + 8;
	case IPPROTO_UDPLITE_:
		return at + 8;
	case IPPROTO_SCTP_:
		return at + 12;
	default:
		return at + 4;
	}
}

/* A later fragment gets the smallest offset there is and "more fragments": its true place is not in the
 * record, and no reader shall take the set for complete. */
static inline uint16_t fragment_units(const struct li_rec *rec)
{
	return rec->frag == LI_FRAG_LATER ? 1 : 0;
}

/* The packet's own length behind `skip` octets; of what is synthesised where the record does not tell, so
 * that readers still find the ports; 0 for a merged packet that is longer than the field can say. */
static inline uint16_t length_field(const struct li_rec *rec, uint32_t synthesised, uint32_t skip)
{
	uint32_t len = rec->present & LI_HAS_LENGTH ? rec->l3_len : synthesised;

	return len < skip || len - skip > LENGTH_FIELD_MAX ? 0 : (uint16_t)(len - skip);
}

static inline uint8_t *put_ipv4(uint8_t *at, const struct li_rec *rec)
{
	uint8_t *end;

	memset(at, 0, 20);
	at[0] = 0x45;
	if (rec->frag != LI_FRAG_NONE)
		put_be16(at + 6, IP_MORE_FRAGMENTS | fragment_units(rec));
	at[9] = rec->proto;
	memcpy(at + 12, rec->src, 4);
	memcpy(at + 16, rec->dst, 4);
	end = put_transport(at + 20, rec, 20);
	put_be16(at + 2, length_field(rec, (uint32_t)(end - at), 0));
	return end;
}

static inline uint8_t *put_ipv6(uint8_t *at, const struct li_rec *rec)
{
	uint32_t network_len = 40;
	uint8_t *end;

	memset(at, 0, 48);
	at[0] = 6 << 4;
	memcpy(at + 8, rec->src, 16);
	memcpy(at + 24, rec->dst, 16);
	if (rec->frag == LI_FRAG_NONE) {
		at[6] = rec->proto;
	} else {
		at[6] = IPPROTO_FRAGMENT_;
		at[40] = rec->proto;
		put_be16(at + 42, (uint16_t)(fragment_units(rec) << 3 | IPV6_MORE_FRAGMENTS));
		network_len = 48;
	}
	end = put_transport(at + network_len, rec, network_len);
	put_be16(at + 4, length_field(rec, (uint32_t)(end - at), 40));
	return end;
}

/* Returns the length; never more than the packet itself had. */
static inline uint32_t synthesise(uint8_t *at, const struct li_rec *rec)
{
	uint8_t *end = at;
	uint32_t len;

	if (rec->present & LI_HAS_IP && rec->ip_version == 4)
		end = put_ipv4(at, rec);
	else if (rec->present & LI_HAS_IP && rec->ip_version == 6)
		end = put_ipv6(at, rec);
	len = (uint32_t)(end - at);
	return rec->present & LI_HAS_LENGTH && rec->l3_len < len ? rec->l3_len : len;
}

#endif
