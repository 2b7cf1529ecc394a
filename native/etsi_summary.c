// SPDX-License-Identifier: Apache-2.0
/*
 * ETSI TS 102 232-3: packet data summary reports (iPIRIPacketReport with summary, iPIRIOnly with pDSRInformation), one
 * PS-PDU a flow. What the elements say, and what lictl leaves out, is in docs/formats/etsi-102232.md.
 */
#include "etsi.h"

#define CONTENTS_MAX 256 /* of an IRIContents, and what wide stores write beyond the end */

/* PacketReportIndications: what is zero in a header for want of a value. */
#define ZEROED_IPV4 0xf000 /* total length, flags, time to live, checksum */
#define ZEROED_IPV6 0x0c00 /* payload length; extension headers are removed */
#define ZEROED_TCP 0x03e0  /* sequence and acknowledgement numbers, flags, window, checksum */
#define ZEROED_UDP 0x0018  /* length, checksum */

/* An unsigned INTEGER of any 64 bits. */
static inline uint8_t *put_count(uint8_t *at, uint8_t tag, uint64_t value)
{
	if (!(value >> 63))
		return ber_uint(at, tag, value);
	at[0] = tag;
	at[1] = 9;
	at[2] = 0;
	return put_be64(at + 3, value);
}

static inline uint8_t *put_when(uint8_t *at, uint8_t tag, uint64_t utc_ns)
{
	at[0] = tag;
	at[1] = GENERALIZED_LEN;
	return put_generalized(at + 2, utc_ns / NS, (uint32_t)(utc_ns % NS) / 1000);
}

/* packetCount, and byteCount where every packet's length is known. */
static inline uint8_t *put_counts(uint8_t *at, uint8_t first_tag, const struct ln_flow *flow)
{
	at = put_count(at, first_tag, flow->packets);
	return flow->unsized ? at : put_count(at, first_tag + 1, flow->bytes);
}

/* What a header record with the flow's key would hold. */
static inline struct li_rec record_of(const struct ln_flow *flow)
{
	struct li_rec rec = {
		.dir = flow->dir,
		.ip_version = flow->ip_version,
		.proto = flow->proto,
		.present = flow->has_ports ? LI_HAS_IP | LI_HAS_PORTS : LI_HAS_IP,
		.src_port = flow->src_port,
		.dst_port = flow->dst_port,
	};

	memcpy(rec.src, flow->src, sizeof(rec.src));
	memcpy(rec.dst, flow->dst, sizeof(rec.dst));
	return rec;
}

/* ---- iPIRIPacketReport: PacketReportSummary ---- */

/* Ports and, of TCP and UDP, the rest of the header: zero, but for TCP's data offset. Adds to the indications. */
static uint8_t *put_zeroed_transport(uint8_t *at, const struct ln_flow *flow, uint16_t *zeroed)
{
	memset(at, 0, 20);
	put_be16(at, flow->src_port);
	put_be16(at + 2, flow->dst_port);
	switch (flow->proto) {
	case IPPROTO_TCP_:
		*zeroed |= ZEROED_TCP;
		at[12] = 5 << 4;
		return at + 20;
	case IPPROTO_UDP_:
		*zeroed |= ZEROED_UDP;
		return at + 8;
	default:
		return at + 4;
	}
}

/* The header that all packets of the flow share, lengths zero; at most 60 octets. Sets the indications. */
static uint8_t *put_zeroed_header(uint8_t *at, const struct ln_flow *flow, uint16_t *zeroed)
{
	int v4 = flow->ip_version == 4;
	uint32_t len = v4 ? 4 : 16;
	uint8_t *addresses = at + (v4 ? 12 : 8);

	memset(at, 0, 12);
	at[0] = (uint8_t)(v4 ? 0x45 : 6 << 4);
	at[v4 ? 9 : 6] = flow->proto;
	memcpy(addresses, flow->src, len);
	memcpy(addresses + len, flow->dst, len);
	*zeroed = v4 ? ZEROED_IPV4 : ZEROED_IPV6;
	at = addresses + 2 * len;
	return flow->has_ports ? put_zeroed_transport(at, flow, zeroed) : at;
}

static uint8_t *put_packet_report(uint8_t *start, const struct ln_flow *flow, uint8_t trigger)
{
	uint8_t summary[CONTENTS_MAX], *at;
	uint16_t zeroed;
	uint32_t len;

	at = put_zeroed_header(summary + 2, flow, &zeroed);
	summary[0] = 0x81;
	summary[1] = (uint8_t)(at - summary - 2);
	at = put_bytes(at, "\x82\x03\x03", 3); /* 13 bits: three of the last octet are not used */
	at = put_be16(at, zeroed);
	at = ber_octet(at, 0x83, trigger);
	at = put_counts(at, 0x84, flow);
	at = put_when(at, 0x86, flow->first_ns);
	at = put_when(at, 0x87, flow->last_ns);
	len = (uint32_t)(at - summary);
	at = ber_head(start, 0xb4, 6 + ber_size(ber_size(len)));
	at = put_bytes(at, "\x80\x04\x05\x03\x14\x04", 6);
	at = ber_head(at, 0xa1, ber_size(len));
	return ber_octets(at, 0xa2, summary, len);
}

/* ---- iPIRIOnly: pDSRInformation ---- */

/* byteCount is mandatory there: 0 where lengths are not known. */
static uint8_t *put_pdsr(uint8_t *start, const struct ln_flow *flow, uint8_t trigger)
{
	uint8_t *at = ber_octet(start + 2, 0x80, trigger);

	at = put_when(at, 0x81, flow->first_ns);
	at = put_when(at, 0x82, flow->last_ns);
	at = put_count(at, 0x83, flow->packets);
	at = put_count(at, 0x84, flow->unsized ? 0 : flow->bytes);
	start[0] = 0xa5;
	start[1] = (uint8_t)(at - start - 2);
	return at;
}

static uint8_t *put_iri_only(uint8_t *start, const struct ln_flow *flow, uint8_t trigger)
{
	const struct li_rec rec = record_of(flow);
	uint8_t contents[CONTENTS_MAX], *at = put_information(contents, &rec);

	at = put_counts(at, 0x83, flow);
	at = put_pdsr(at, flow, trigger);
	return ber_octets(start, 0xa3, contents, (uint32_t)(at - contents));
}

/* ---- the PS-PDU ---- */

/* payload [2], iRIPayloadSequence [0], one IRIPayload of type report around `len` octets. */
static inline uint8_t *put_payload_of(uint8_t *at, const uint8_t *contents, uint32_t len, uint8_t direction)
{
	uint32_t payload = 6 + ber_size(len);

	at = ber_head(at, 0xa2, ber_size(ber_size(payload)));
	at = ber_head(at, 0xa0, ber_size(payload));
	at = ber_head(at, 0x30, payload);
	at = ber_octet(at, 0x80, 4);
	at = ber_octets(at, 0xa2, contents, len);
	return ber_octet(at, 0x86, direction);
}

int64_t ln_etsi_summaries(const struct ln_flow *flows, uint32_t n, uint32_t from, const struct ln_etsi_summary *summary,
			  const struct ln_etsi *stream, uint8_t *out, size_t room, uint32_t *done)
{
	uint32_t end = n - from > stream->limit ? from + stream->limit : n;
	uint8_t contents[CONTENTS_MAX], *at = out, trigger = (uint8_t)summary->trigger;

	*done = 0;
	for (uint32_t i = from; i < end && ln_etsi_bound(0, stream->head_len) <= room - (size_t)(at - out); i++) {
		const struct ln_flow *flow = &flows[i];
		uint32_t number = summary->number + i, len;
		uint8_t *behind = stream->iri_only ? put_iri_only(contents, flow, trigger)
						   : put_packet_report(contents, flow, trigger);

		len = (uint32_t)(behind - contents);
		at = put_header(at, stream, number, summary->utc_ns, ber_size(ber_size(ber_size(6 + ber_size(len)))));
		at = put_payload_of(at, contents, len, directions[flow->dir & 3]);
		if (stream->numbers)
			stream->numbers[*done] = number;
		++*done;
	}
	return at - out;
}
