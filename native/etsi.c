// SPDX-License-Identifier: Apache-2.0
/*
 * ETSI TS 102 232-1 and -3: PS-PDUs with content (IPCC) and header reports (iPIRIPacketReport, iPIRIOnly), BER.
 * What the elements say, and where the standard says it, is in docs/formats/etsi-102232.md.
 */
#include <errno.h>

#include "etsi.h"
#include "packet.h"

#define ENVELOPE_MAX 192   /* all of a PS-PDU but the constant elements and the octets it carries */
#define SHORT_CONTENT 106  /* up to here every length inside the payload is one octet */
#define MEDIUM_CONTENT 256 /* from here on each takes three */
#define LONG_CONTENT 65000
#define PREFIX_SHORT 23
#define PREFIX_LONG 37
#define REPORT_MAX 128

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

static uint32_t put_iri_only(uint8_t *start, const struct li_rec *rec)
{
	uint8_t *at = put_information(start + 2, rec);

	start[0] = 0xa3;
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
