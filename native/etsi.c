// SPDX-License-Identifier: Apache-2.0
/*
 * ETSI TS 102 232-1 and -3: PS-PDUs with content (IPCC) and header reports (iPIRIPacketReport, iPIRIOnly), BER.
 * What the elements say, and where the standard says it, is in docs/formats/etsi-102232.md.
 */
#include <errno.h>

#include "ber.h"
#include "packet.h"
#include "synthetic.h"

#define NS 1000000000ull
#define GENERALIZED_LEN 22 /* YYYYMMDDhhmmss.ffffffZ */
#define QUALIFIER_SIZE 3
#define ENVELOPE_MAX 192   /* all of a PS-PDU but the constant elements and the octets it carries */
#define SHORT_CONTENT 106  /* up to here every length inside the payload is one octet */
#define MEDIUM_CONTENT 256 /* from here on each takes three */
#define LONG_CONTENT 65000
#define PREFIX_SHORT 23
#define PREFIX_LONG 37
#define REPORT_MAX 128

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

static inline uint32_t number_of(const struct ln_etsi *stream, const struct ln_sequenced *selection, uint32_t i)
{
	return (uint32_t)(selection->sequence[i] - 1 + stream->before);
}

/* ---- content: IPCC (TS 102 232-3) ---- */

/* Lengths of the elements around `len` octets, innermost first; each size_n is that of the whole element. */
struct nest {
	uint32_t contents, ipcc, choice, payload, sequence, outer;
};

static inline uint32_t nest_of(struct nest *nest, uint32_t len)
{
	nest->contents = ber_size(len);
	nest->ipcc = 6 + ber_size(nest->contents);
	nest->choice = ber_size(nest->ipcc);
	nest->payload = 3 + ber_size(nest->choice);
	nest->sequence = ber_size(nest->payload);
	nest->outer = ber_size(nest->sequence);
	return ber_size(nest->outer);
}

static inline uint32_t content_size(uint32_t len)
{
	struct nest nest;

	if (len <= SHORT_CONTENT)
		return PREFIX_SHORT + len;
	if (len >= MEDIUM_CONTENT && len <= LONG_CONTENT)
		return PREFIX_LONG + len;
	return nest_of(&nest, len);
}

static uint8_t *put_content_any(uint8_t *at, uint32_t len, uint8_t direction)
{
	struct nest nest;

	nest_of(&nest, len);
	at = ber_head(at, 0xa2, nest.outer);
	at = ber_head(at, 0xa1, nest.sequence);
	at = ber_head(at, 0x30, nest.payload);
	at = ber_octet(at, 0x80, direction);
	at = ber_head(at, 0xa2, nest.choice);
	at = ber_head(at, 0xa2, nest.ipcc);
	at = put_bytes(at, "\x80\x04\x05\x03\x14\x02", 6);
	at = ber_head(at, 0xa1, nest.contents);
	return ber_head(at, 0x80, len);
}

/* Stores 24 octets: every length is that of the innermost plus a constant, and none carries into its neighbour. */
static inline uint8_t *put_content_short(uint8_t *at, uint32_t len, uint8_t direction)
{
	static const uint8_t base[24] = {0xa2, 21,   0xa1, 19, 0x30, 17, 0x80, 1,    0, 0xa2, 12, 0xa2,
					 10,   0x80, 4,	   5,  3,    20, 2,    0xa1, 2, 0x80, 0};
	static const uint8_t ones[24] = {0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0};
	uint64_t words[3], by[3];

	memcpy(words, base, sizeof(words));
	memcpy(by, ones, sizeof(by));
	for (int i = 0; i < 3; i++)
		put_u64(at + 8 * i, words[i] + by[i] * len);
	at[8] = direction;
	return at + PREFIX_SHORT;
}

static inline uint8_t *put_content_long(uint8_t *at, uint32_t len, uint8_t direction)
{
	static const uint8_t base[48] = {0xa2, 0x82, 0, 0,    0xa1, 0x82, 0,	0,    0x30, 0x82, 0,   0,
					 0x80, 1,    0, 0xa2, 0x82, 0,	  0,	0xa2, 0x82, 0,	  0,   0x80,
					 4,    5,    3, 20,   2,    0xa1, 0x82, 0,    0,    0x80, 0x82};

	memcpy(at, base, sizeof(base));
	put_be16(at + 2, (uint16_t)(len + 33));
	put_be16(at + 6, (uint16_t)(len + 29));
	put_be16(at + 10, (uint16_t)(len + 25));
	at[14] = direction;
	put_be16(at + 17, (uint16_t)(len + 18));
	put_be16(at + 21, (uint16_t)(len + 14));
	put_be16(at + 31, (uint16_t)(len + 4));
	put_be16(at + 35, (uint16_t)len);
	return at + PREFIX_LONG;
}

static inline uint8_t *put_content(uint8_t *at, uint32_t len, uint8_t direction)
{
	if (len <= SHORT_CONTENT)
		return put_content_short(at, len, direction);
	if (len >= MEDIUM_CONTENT && len <= LONG_CONTENT)
		return put_content_long(at, len, direction);
	return put_content_any(at, len, direction);
}

static inline void prefetch_frame(const struct li_rec *recs, const uint8_t *const *data,
				  const struct ln_sequenced *selection, uint32_t i)
{
	if (i + 3 < selection->n) {
		uint32_t next = selection->order[i + 3];

		__builtin_prefetch(data[next] + recs[next].l3_off);
		__builtin_prefetch(data[next] + recs[next].l3_off + 64);
	}
}

/* A record that no PS-PDU carries: it keeps its number, and whoever calls tells the agency. */
static inline void leave_out(struct ln_etsi *stream, uint32_t i)
{
	if (!stream->unfit)
		stream->unfit_first = i;
	stream->unfit_last = i;
	stream->unfit++;
}

int64_t ln_etsi_packets(const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
			uint32_t from, struct ln_etsi *stream, uint8_t *out, size_t room, uint32_t *done)
{
	uint32_t end = selection->n - from > stream->limit ? from + stream->limit : selection->n;
	uint8_t *at = out;

	*done = stream->unfit = 0;
	for (uint32_t i = from; i < end; i++) {
		const struct li_rec *rec = &recs[selection->order[i]];
		uint32_t len = ip_octets(rec), number = number_of(stream, selection, i);

		prefetch_record(recs, selection, i);
		prefetch_frame(recs, data, selection, i);
		if (rec->kind != LI_REC_PACKET)
			return -EPERM;
		if (!len) {
			leave_out(stream, i);
			++*done;
			continue;
		}
		if (ln_etsi_bound(len, stream->head_len) > room - (size_t)(at - out))
			break;
		at = put_header(at, stream, number, rec->utc_ns, content_size(len));
		at = put_content(at, len, direction_of(rec));
		at = put_bytes(at, data[selection->order[i]] + rec->l3_off, len);
		if (stream->numbers)
			stream->numbers[*done - stream->unfit] = number;
		++*done;
	}
	return at - out;
}

size_t ln_etsi_bound(uint32_t len, uint32_t head_len)
{
	return ENVELOPE_MAX + (size_t)head_len + (len < REPORT_MAX ? REPORT_MAX : len);
}

/* ---- header reports: iPIRIPacketReport and iPIRIOnly (TS 102 232-3) ---- */

/* A synthesised header; returns its length. Everything is shorter than 128 octets. */
static uint32_t put_packet_report(uint8_t *start, const struct li_rec *rec)
{
	uint8_t *at = start + 16;
	uint32_t len = synthesise(at, rec);
	const uint8_t head[16] = {0xb4, (uint8_t)(len + 12), 0x80, 4,		5, 3, 20, 4, 0xa1, (uint8_t)(len + 4),
				  0xa1, (uint8_t)(len + 2),  0x81, (uint8_t)len};

	memmove(start + 14, at, len);
	memcpy(start, head, 14);
	return 14 + len;
}

static uint8_t *put_ip_information(uint8_t *start, const struct li_rec *rec)
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

static uint8_t *put_protocol_information(uint8_t *start, const struct li_rec *rec)
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

static uint32_t put_iri_only(uint8_t *start, const struct li_rec *rec)
{
	uint8_t *information, *at;

	memcpy(start, "\xa3\x00\x80\x04\x05\x03\x14\x03\xa1", 9);
	at = put_ip_information(start + 10, rec);
	start[9] = (uint8_t)(at - start - 10);
	information = at;
	at = put_protocol_information(at + 2, rec);
	information[0] = 0xa2;
	information[1] = (uint8_t)(at - information - 2);
	start[1] = (uint8_t)(at - start - 2);
	return (uint32_t)(at - start);
}

/* payload [2], iRIPayloadSequence [0], one IRIPayload of type report around `len` octets. */
static inline uint8_t *put_report(uint8_t *at, const uint8_t *report, uint32_t len, uint8_t direction)
{
	at = ber_head(at, 0xa2, len + 12);
	at = ber_head(at, 0xa0, len + 10);
	at = ber_head(at, 0x30, len + 8);
	at = ber_octet(at, 0x80, 4);
	at = ber_octets(at, 0xa2, report, len);
	return ber_octet(at, 0x86, direction);
}

int64_t ln_etsi_headers(const struct li_rec *recs, const struct ln_sequenced *selection, uint32_t from,
			struct ln_etsi *stream, uint8_t *out, size_t room, uint32_t *done)
{
	uint32_t end = selection->n - from > stream->limit ? from + stream->limit : selection->n;
	uint8_t report[REPORT_MAX];
	uint8_t *at = out;

	*done = stream->unfit = 0;
	for (uint32_t i = from; i < end; i++) {
		const struct li_rec *rec = &recs[selection->order[i]];
		uint32_t number = number_of(stream, selection, i), len;

		prefetch_record(recs, selection, i);
		if (rec->kind != LI_REC_HEADER)
			return -EPERM;
		if (!(rec->present & LI_HAS_IP) || (rec->ip_version != 4 && rec->ip_version != 6)) {
			leave_out(stream, i);
			++*done;
			continue;
		}
		if (ln_etsi_bound(0, stream->head_len) > room - (size_t)(at - out))
			break;
		len = stream->iri_only ? put_iri_only(report, rec) : put_packet_report(report, rec);
		at = put_header(at, stream, number, rec->utc_ns, len + 14);
		at = put_report(at, report, len, direction_of(rec));
		if (stream->numbers)
			stream->numbers[*done - stream->unfit] = number;
		++*done;
	}
	return at - out;
}

/* ---- includedSequenceNumbers of an IntegrityCheck ---- */

size_t ln_etsi_numbers(const uint32_t *numbers, uint32_t n, uint8_t *out)
{
	uint8_t *at = out;

	for (uint32_t i = 0; i < n; i++)
		at = ber_uint(at, 0x02, numbers[i]);
	return (size_t)(at - out);
}
