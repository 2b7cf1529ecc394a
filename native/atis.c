// SPDX-License-Identifier: Apache-2.0
/*
 * ATIS-1000013 (T1.IAS): CmC content, and the CmII packet data header and summary reports.
 * What the messages say, and why, is in docs/formats/atis-1000013.md.
 */
#include <errno.h>

#include "ber.h"
#include "packet.h"

#define TAG_SEQUENCE 0x30
#define TAG_HEADER_REPORT 0xaa	/* [10] */
#define TAG_SUMMARY_REPORT 0xab /* [11] */

#define CONSTANT_MAX 400 /* octets of each of a stream's constants */
#define HEAD_MAX 512	 /* of a content message, from the delivery header to its time's tag */
#define REPORT_BOUND 256 /* all that is not constant, and what wide stores write beyond the end */
#define NS_PER_S 1000000000u

/* ---- GeneralizedTime (X.680 46, UTC, with a fraction) ---- */

/* The second written last: most records share it with the one before. */
struct second {
	uint64_t second;
	uint8_t text[16]; /* "YYYYMMDDhhmmss." */
};

static void put_two(uint8_t *at, unsigned int value)
{
	at[0] = (uint8_t)('0' + value / 10);
	at[1] = (uint8_t)('0' + value % 10);
}

/* The civil date of a day number; proleptic Gregorian, years of the era from March on. 64 bits of nanoseconds end in
 * the year 2554, those of a window in 2262: a year has four digits. */
static void write_second(struct second *cache, uint64_t second)
{
	uint64_t days = second / 86400 + 719468, era = days / 146097;
	unsigned int rest = (unsigned int)(second % 86400), day_of_era = (unsigned int)(days % 146097);
	unsigned int year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	unsigned int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned int month = (5 * day_of_year + 2) / 153, day = day_of_year - (153 * month + 2) / 5 + 1;
	unsigned int year = year_of_era + (unsigned int)era * 400 + (month > 9);

	put_two(cache->text, year / 100);
	put_two(cache->text + 2, year % 100);
	put_two(cache->text + 4, month > 9 ? month - 9 : month + 3);
	put_two(cache->text + 6, day);
	put_two(cache->text + 8, rest / 3600);
	put_two(cache->text + 10, rest / 60 % 60);
	put_two(cache->text + 12, rest % 60);
	cache->text[14] = '.';
	cache->second = second;
}

/* The eight decimal digits of a number, the first one in the lowest octet: halves, pairs and digits side by side. */
static inline uint64_t eight_digits(uint32_t value)
{
	uint64_t fours = value / 10000 | (uint64_t)(value % 10000) << 32;
	uint64_t hundreds = (fours * 10486 >> 20) & 0x0000007f0000007f;
	uint64_t twos = hundreds | (fours - hundreds * 100) << 16;
	uint64_t tens = (twos * 103 >> 10) & 0x000f000f000f000f;

	return (tens | (twos - tens * 10) << 8) + 0x3030303030303030;
}

/* Length and text; writes up to 26 octets. */
static inline uint8_t *put_time(uint8_t *at, struct second *cache, uint64_t utc_ns, uint32_t digits)
{
	uint64_t second = utc_ns / NS_PER_S;
	uint32_t ns = (uint32_t)(utc_ns - second * NS_PER_S);

	if (second != cache->second)
		write_second(cache, second);
	*at++ = (uint8_t)(16 + digits);
	at = put_bytes(at, cache->text, 16) - 1;
	put_u64(at, eight_digits(ns / 10));
	at[8] = (uint8_t)('0' + ns % 10);
	at[digits] = 'Z';
	return at + digits + 1;
}

/* ---- what is the same in all messages of a stream ---- */

static int unfit(const struct ln_atis *atis, const struct ln_sequenced *selection)
{
	if (atis->names_len > CONSTANT_MAX || atis->content_len > CONSTANT_MAX || !atis->digits || atis->digits > 9)
		return -EINVAL;
	if (selection && selection->n && selection->sequence[selection->n - 1] >> 63)
		return -ERANGE;
	return 0;
}

/* ---- CmC: IAS-CC-APDU ---- */

/* The beginning of a delivery header, which depends on the length of what follows in it. */
struct head {
	uint32_t key; /* octets of the sequence number, direction there or not */
	uint32_t len;
	uint32_t inner; /* octets of the whole delivery header */
	uint8_t bytes[HEAD_MAX];
};

static void make_head(struct head *head, const struct ln_atis *atis, uint32_t key)
{
	uint32_t time = 2 + 16 + atis->digits, rest = (key & 1 ? 3 : 0) + 2 + (key >> 1);
	uint32_t content = atis->names_len + time + rest;
	uint8_t *at = ber_head(head->bytes, 0xa0, content);

	head->inner = (uint32_t)(at - head->bytes) + content;
	at = put_bytes(at, atis->names, atis->names_len);
	*at++ = 0x81;
	head->len = (uint32_t)(at - head->bytes);
	head->key = key;
}

static inline uint8_t *put_head(uint8_t *at, const struct head *head)
{
	for (uint32_t i = 0; i < head->len; i += 32)
		memcpy(at + i, head->bytes + i, 32);
	return at + head->len;
}

size_t ln_atis_bound(uint32_t cap_len)
{
	return 2 * CONSTANT_MAX + REPORT_BOUND + (size_t)cap_len;
}

int64_t ln_atis_contents(const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
			 uint32_t from, struct ln_atis *atis, uint8_t *out, size_t room, uint32_t *done)
{
	struct second second = {.second = UINT64_MAX};
	struct head head = {.key = UINT32_MAX};
	int wrong = unfit(atis, selection);
	uint8_t *at = out;

	*done = atis->too_long = 0;
	if (wrong)
		return wrong;
	for (uint32_t i = from; i < selection->n; i++) {
		const struct li_rec *rec = &recs[selection->order[i]];
		uint8_t *begin = at;
		uint64_t sequence = selection->sequence[i];
		unsigned int sequence_len = ber_uint_len(sequence);
		uint32_t directed = rec->dir == LI_DIR_FROM || rec->dir == LI_DIR_TO, len;

		prefetch_record(recs, selection, i);
		prefetch_payload(data, selection, i);
		if (rec->kind != LI_REC_PACKET)
			return -EPERM;
		if (ln_atis_bound(rec->cap_len) > room - (size_t)(at - out))
			break;
		if (head.key != (sequence_len << 1 | directed))
			make_head(&head, atis, sequence_len << 1 | directed);
		len = ip_octets(rec);
		at = ber_head(at, TAG_SEQUENCE, head.inner + ber_size(len));
		at = put_head(at, &head);
		at = put_time(at, &second, rec->utc_ns, atis->digits);
		put_u32(at, 0x0182 | (uint32_t)(rec->dir == LI_DIR_TO) << 16); /* overwritten where it is not known */
		at += 3 * directed;
		at = ber_uint(at, 0x83, sequence);
		at = ber_head(at, 0x81, len);
		at = put_payload(at, data[selection->order[i]] + rec->l3_off, len);
		++*done;
		if (atis->most && at - begin > atis->most) {
			atis->too_long++;
			at = begin;
		}
	}
	return at - out;
}

/* ---- CmII: the two reports on headers ---- */

/* What both reports tell of a packet or of a flow. */
struct ends {
	const uint8_t *src;
	const uint8_t *dst;
	uint32_t address_len; /* 4 or 16 */
	uint16_t src_port;
	uint16_t dst_port;
	uint8_t has_ports;
	uint8_t dir;
};

static const uint8_t nowhere[16];

static inline uint32_t port_len(uint32_t port)
{
	return 1 + (port > 9) + (port > 99) + (port > 999) + (port > 9999);
}

/* A UTF8String of decimal digits; writes up to ten octets. */
static inline uint8_t *put_port(uint8_t *at, uint8_t tag, uint32_t port)
{
	uint32_t len = port_len(port);

	at[0] = tag;
	at[1] = (uint8_t)len;
	put_u64(at + 2, eight_digits(port * 1000) >> (8 * (5 - len)));
	return at + 2 + len;
}

/* IPAddress: how the target's was allocated is not known here, of the other party's it is no question. */
static inline uint8_t *put_address(uint8_t *at, uint8_t tag, const uint8_t *address, uint32_t len, int target)
{
	at[0] = tag;
	at[1] = (uint8_t)(len + 8);
	at[2] = 0xa0;
	at[3] = (uint8_t)(len + 2);
	at[4] = len == 4 ? 0x81 : 0x82;
	at[5] = (uint8_t)len;
	memcpy(at + 6, address, 16);
	at += 6 + len;
	put_u32(at, 0x000002a1u | (target ? 0x82u : 0x83u) << 16);
	return at + 4;
}

struct report {
	const struct ln_atis *atis;
	struct second second;
	uint8_t tag;
};

/* One whole message; `count` is 0 in a header report. */
static inline uint8_t *put_report(uint8_t *at, struct report *report, const struct ends *ends, uint64_t stream,
				  uint64_t utc_ns, uint64_t count)
{
	static const uint8_t protocol[16] = {0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x49, 0x02, 0x01, 0x01, 0, 0};
	const struct ln_atis *atis = report->atis;
	uint32_t stream_len = ber_uint_len(stream), count_len = count ? ber_uint_len(count) : 0;
	uint32_t ports = ends->has_ports ? 4 + port_len(ends->src_port) + port_len(ends->dst_port) : 0;
	uint32_t set = 4 + stream_len + 2 * (ends->address_len + 10) + (count ? 2 + count_len : 0) + ports;
	uint32_t message = atis->names_len + 2 + 16 + atis->digits + atis->content_len + 2 + set;

	at = ber_head(at, TAG_SEQUENCE, 13 + ber_size(message));
	at = put_bytes(at, protocol, 16) - 3;
	at = ber_head(at, report->tag, message);
	at = put_bytes(at, atis->names, atis->names_len);
	*at++ = 0x82;
	at = put_time(at, &report->second, utc_ns, atis->digits);
	at = put_bytes(at, atis->content, atis->content_len);
	*at++ = 0xa4;
	*at++ = (uint8_t)set;
	*at++ = 0xa0;
	*at++ = (uint8_t)(2 + stream_len);
	at = ber_uint(at, 0x82, stream);
	at = put_address(at, 0xa1, ends->src, ends->address_len, ends->dir & LI_DIR_FROM);
	at = put_address(at, 0xa2, ends->dst, ends->address_len, ends->dir & LI_DIR_TO);
	if (count)
		at = ber_uint(at, 0x83, count);
	if (ends->has_ports) {
		at = put_port(at, count ? 0x84 : 0x83, ends->src_port);
		at = put_port(at, count ? 0x85 : 0x84, ends->dst_port);
	}
	return at;
}

/* Addresses stand in every report: a record that proves none gets the unspecified one (RFC 1122 3.2.1.3 a). */
static inline void ends_of(struct ends *ends, int ip, uint8_t version, const uint8_t *src, const uint8_t *dst)
{
	ip = ip && (version == 4 || version == 6);
	ends->address_len = ip && version == 6 ? 16 : 4;
	ends->src = ip ? src : nowhere;
	ends->dst = ip ? dst : nowhere;
}

int64_t ln_atis_headers(const struct li_rec *recs, const struct ln_sequenced *selection, uint32_t from,
			const struct ln_atis *atis, uint8_t *out, size_t room, uint32_t *done)
{
	struct report report = {.atis = atis, .second = {.second = UINT64_MAX}, .tag = TAG_HEADER_REPORT};
	int wrong = unfit(atis, selection);
	uint8_t *at = out;

	*done = 0;
	if (wrong)
		return wrong;
	for (uint32_t i = from; i < selection->n; i++) {
		const struct li_rec *rec = &recs[selection->order[i]];
		struct ends ends = {.src_port = rec->src_port, .dst_port = rec->dst_port, .dir = rec->dir};

		prefetch_record(recs, selection, i);
		if (rec->kind != LI_REC_HEADER)
			return -EPERM;
		if (ln_atis_bound(0) > room - (size_t)(at - out))
			break;
		ends_of(&ends, rec->present & LI_HAS_IP, rec->ip_version, rec->src, rec->dst);
		ends.has_ports = rec->present & LI_HAS_PORTS && rec->frag != LI_FRAG_LATER;
		at = put_report(at, &report, &ends, selection->sequence[i], rec->utc_ns, 0);
		++*done;
	}
	return at - out;
}

int64_t ln_atis_summaries(const struct ln_flow *flows, uint32_t n, uint32_t from, uint64_t number,
			  const struct ln_atis *atis, uint8_t *out, size_t room, uint32_t *done)
{
	struct report report = {.atis = atis, .second = {.second = UINT64_MAX}, .tag = TAG_SUMMARY_REPORT};
	int wrong = unfit(atis, NULL);
	uint8_t *at = out;

	*done = 0;
	if (wrong)
		return wrong;
	for (uint32_t i = from; i < n && ln_atis_bound(0) <= room - (size_t)(at - out); i++) {
		const struct ln_flow *flow = &flows[i];
		struct ends ends = {.src_port = flow->src_port, .dst_port = flow->dst_port, .dir = flow->dir};

		if ((number + i) >> 63 || !flow->packets || flow->packets >> 63)
			return -ERANGE;
		ends_of(&ends, 1, flow->ip_version, flow->src, flow->dst);
		ends.has_ports = flow->has_ports;
		at = put_report(at, &report, &ends, number + i, flow->last_ns, flow->packets);
		++*done;
	}
	return at - out;
}
