/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What PS-PDUs of records and of flows share (TS 102 232-1 and -3): the PSHeader, and what iPIRIOnly says of an IP
 * packet. What the elements say, and where the standard says it, is in docs/formats/etsi-102232.md.
 */
#ifndef LICTL_ETSI_H
#define LICTL_ETSI_H

#include "ber.h"
#include "synthetic.h"

#define NS 1000000000ull
#define GENERALIZED_LEN 22 /* YYYYMMDDhhmmss.ffffffZ */
#define QUALIFIER_SIZE 3

static const uint8_t directions[4] = {2 /* indeterminate */, 0 /* fromTarget */, 1 /* toTarget */, 3 /* combined */};

static inline uint8_t direction_of(const struct li_rec *rec)
{
	return directions[rec->dir & 3];
}

/* ---- PSHeader (TS 102 232-1, clause 5.2) ---- */

static __attribute__((noinline)) uint8_t *put_generalized(uint8_t *at, uint64_t seconds, uint32_t micros)
{
	/* Days to a civil date, years that begin in March (the usual arithmetic of the 400-year era). */
	uint64_t day = seconds / 86400 + 719468, era = day / 146097;
	uint32_t of_era = (uint32_t)(day % 146097), second = (uint32_t)(seconds % 86400);
	uint32_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint32_t of_year = of_era - (365 * year + year / 4 - year / 100);
	uint32_t shifted = (5 * of_year + 2) / 153, month = shifted < 10 ? shifted + 3 : shifted - 9;
	uint64_t date =
		(era * 400 + year + (month <= 2)) % 10000 * 10000 + month * 100 + of_year - (153 * shifted + 2) / 5 + 1;
	uint64_t value = (date * 100 + second / 3600) * 10000 + second / 60 % 60 * 100 + second % 60;

	for (int i = 13; i >= 0; i--, value /= 10)
		at[i] = (uint8_t)('0' + value % 10);
	at[14] = '.';
	for (int i = 20; i > 14; i--, micros /= 10)
		at[i] = (uint8_t)('0' + micros % 10);
	at[21] = 'Z';
	return at + GENERALIZED_LEN;
}

/* Everything before the payload's octets: the PS-PDU's own head and its PSHeader. */
static inline uint8_t *put_header(uint8_t *at, const struct ln_etsi *stream, uint32_t number, uint64_t utc_ns,
				  uint32_t payload_size)
{
	uint64_t seconds = utc_ns / NS;
	uint32_t micros = (uint32_t)(utc_ns % NS) / 1000;
	uint32_t number_len = ber_uint_len(number), seconds_len = ber_uint_len(seconds);
	uint32_t micros_len = ber_uint_len(micros);
	uint32_t time_len = stream->generalized ? GENERALIZED_LEN : 4 + seconds_len + micros_len;
	uint32_t header_len = stream->head_len + 2 + number_len + 2 + time_len + QUALIFIER_SIZE;

	at = ber_head(at, 0x30, ber_size(header_len) + payload_size);
	at = ber_head(at, 0xa1, header_len);
	for (uint32_t i = 0; i < stream->head_len; i += 32) /* `head` is readable up to a multiple of 32 */
		memcpy(at + i, stream->head + i, 32);
	at += stream->head_len;
	at[0] = 0x84;
	at[1] = (uint8_t)number_len;
	at = ber_uint_content(at + 2, number, number_len);
	if (stream->generalized) {
		at[0] = 0x85;
		at[1] = GENERALIZED_LEN;
		at = put_generalized(at + 2, seconds, micros);
	} else {
		at[0] = 0xa7;
		at[1] = (uint8_t)time_len;
		at[2] = 0x80;
		at[3] = (uint8_t)seconds_len;
		at = ber_uint_content(at + 4, seconds, seconds_len);
		at[0] = 0x81;
		at[1] = (uint8_t)micros_len;
		at = ber_uint_content(at + 2, micros, micros_len);
	}
	return ber_octet(at, 0x88, 1); /* timeOfInterception */
}

/* ---- iPIRIOnly (TS 102 232-3): iPIRIOnlyObjId, iPInformation, protocolInformation; all shorter than 128 octets ---- */

static inline uint8_t *put_ip_information(uint8_t *start, const struct li_rec *rec)
{
	int v4 = rec->ip_version == 4, sized = rec->present & LI_HAS_LENGTH && rec->l3_len <= LENGTH_FIELD_MAX;
	uint8_t *at = start + 2;

	if (v4 && sized)
		at = ber_be16(at, 0x82, (uint16_t)rec->l3_len);
	if (!v4 && sized && rec->l3_len >= 40) {
		at[0] = 0x82;
		at[1] = 4;
		at = put_be32(at + 2, rec->l3_len - 40);
	}
	at = ber_octet(at, v4 ? 0x86 : 0x83, rec->proto);
	at = ber_octets(at, v4 ? 0x88 : 0x85, rec->src, v4 ? 4 : 16);
	at = ber_octets(at, v4 ? 0x89 : 0x86, rec->dst, v4 ? 4 : 16);
	start[0] = v4 ? 0xa0 : 0xa1;
	start[1] = (uint8_t)(at - start - 2);
	return at;
}

static inline uint8_t *put_protocol_information(uint8_t *start, const struct li_rec *rec)
{
	int tcp = rec->proto == IPPROTO_TCP_;
	uint8_t *at = start + 2;

	if (!(rec->present & LI_HAS_PORTS) || (!tcp && rec->proto != IPPROTO_UDP_)) {
		start[0] = 0x80; /* none */
		start[1] = 0;
		return at;
	}
	at = ber_be16(at, 0x80, rec->src_port);
	at = ber_be16(at, 0x81, rec->dst_port);
	if (tcp && rec->present & LI_HAS_TCP_FLAGS) /* BIT STRING of 6: URG ACK PSH RST SYN FIN */
		at = ber_be16(at, 0x85, (uint16_t)(0x0200 | (rec->tcp_flags & 0x3f) << 2));
	start[0] = tcp ? 0xa1 : 0xa2;
	start[1] = (uint8_t)(at - start - 2);
	return at;
}

static inline uint8_t *put_information(uint8_t *start, const struct li_rec *rec)
{
	uint8_t *information, *at;

	memcpy(start, "\x80\x04\x05\x03\x14\x03\xa1", 7);
	at = put_ip_information(start + 8, rec);
	start[7] = (uint8_t)(at - start - 8);
	information = at;
	at = put_protocol_information(at + 2, rec);
	information[0] = 0xa2;
	information[1] = (uint8_t)(at - information - 2);
	return at;
}

#endif
