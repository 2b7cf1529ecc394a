// SPDX-License-Identifier: Apache-2.0
/* Descriptive text: one line of TAG=value pairs a record. Grammar: docs/formats/descriptive-text.md. */
#include <errno.h>

#include "encode.h"

#define LINE_BOUND 640 /* all tags but LIID, LINK and DATA, every number at its longest */
#define NS_PER_S 1000000000ull
#define TIME_LEN 30 /* 2026-03-01T12:00:00.123456789Z */

static const char hex_digits[16] = "0123456789abcdef";

/* A line's time down to the second, kept while the second lasts. */
struct text_second {
	uint64_t second;
	uint8_t text[20]; /* up to the decimal point */
	int known;
};

#define put_text(at, literal) put_bytes(at, literal, sizeof(literal) - 1)

static inline uint8_t *put_two(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)('0' + value / 10 % 10);
	at[1] = (uint8_t)('0' + value % 10);
	return at + 2;
}

/* Days since 1970 to a date of the proleptic Gregorian calendar (years 1970 to 2554). */
static void civil_date(uint64_t days, uint32_t *year, uint32_t *month, uint32_t *day)
{
	uint64_t shifted = days + 719468; /* days since 0000-03-01 */
	uint64_t era = shifted / 146097;
	uint32_t of_era = (uint32_t)(shifted - era * 146097);
	uint32_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint32_t of_year = of_era - (365 * y + y / 4 - y / 100);
	uint32_t m = (5 * of_year + 2) / 153;

	*day = of_year - (153 * m + 2) / 5 + 1;
	*month = m < 10 ? m + 3 : m - 9;
	*year = (uint32_t)(y + era * 400) + (*month <= 2);
}

static void set_second(struct text_second *cache, uint64_t second)
{
	uint32_t year, month, day, of_day = (uint32_t)(second % 86400);
	uint8_t *at = cache->text;

	civil_date(second / 86400, &year, &month, &day);
	at = put_two(at, year / 100);
	at = put_two(at, year % 100);
	*at++ = '-';
	at = put_two(at, month);
	*at++ = '-';
	at = put_two(at, day);
	*at++ = 'T';
	at = put_two(at, of_day / 3600);
	*at++ = ':';
	at = put_two(at, of_day / 60 % 60);
	*at++ = ':';
	at = put_two(at, of_day % 60);
	*at = '.';
	cache->second = second;
	cache->known = 1;
}

static inline uint8_t *put_time(uint8_t *at, struct text_second *cache, uint64_t utc_ns)
{
	uint64_t second = utc_ns / NS_PER_S;
	uint32_t fraction = (uint32_t)(utc_ns - second * NS_PER_S);

	if (!cache->known || cache->second != second)
		set_second(cache, second);
	at = put_bytes(at, cache->text, sizeof(cache->text));
	for (int digit = 8; digit >= 0; digit--) {
		at[digit] = (uint8_t)('0' + fraction % 10);
		fraction /= 10;
	}
	at[9] = 'Z';
	return at + TIME_LEN - sizeof(cache->text);
}

static uint8_t *put_ipv4_text(uint8_t *at, const uint8_t *address)
{
	for (int i = 0; i < 4; i++) {
		at = put_decimal(at, address[i]);
		*at++ = '.';
	}
	return at - 1;
}

static uint8_t *put_group(uint8_t *at, uint16_t group)
{
	int shift = 12;

	while (shift && !(group >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*at++ = (uint8_t)hex_digits[group >> shift & 15];
	return at;
}

/* RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as "::". */
static uint8_t *put_ipv6_text(uint8_t *at, const uint8_t *address)
{
	int best = -1, best_len = 1;
	uint16_t groups[8];

	for (int i = 0; i < 8; i++)
		groups[i] = (uint16_t)(address[2 * i] << 8 | address[2 * i + 1]);
	for (int i = 0, run = 0; i < 8; i++) {
		run = groups[i] ? 0 : run + 1;
		if (run > best_len) {
			best_len = run;
			best = i - run + 1;
		}
	}
	for (int i = 0; i < 8; i++) {
		if (i == best) {
			at = put_text(at, "::");
			i += best_len - 1;
			continue;
		}
		if (i && i != best + best_len)
			*at++ = ':';
		at = put_group(at, groups[i]);
	}
	return at;
}

static inline uint8_t *put_address(uint8_t *at, uint8_t version, const uint8_t *address)
{
	return version == 4 ? put_ipv4_text(at, address) : put_ipv6_text(at, address);
}

static uint8_t *put_tcp_flags(uint8_t *at, uint8_t flags)
{
	static const char names[8][4] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};

	if (!flags)
		return put_text(at, "NONE");
	for (int bit = 0; bit < 8; bit++) {
		if (flags & 1 << bit) {
			at = put_bytes(at, names[bit], 3);
			*at++ = ',';
		}
	}
	return at - 1;
}

static inline uint8_t *put_direction(uint8_t *at, uint8_t dir)
{
	switch (dir) {
	case LI_DIR_FROM:
		return put_text(at, "FROM");
	case LI_DIR_TO:
		return put_text(at, "TO");
	case LI_DIR_BOTH:
		return put_text(at, "BOTH");
	default:
		return put_text(at, "UNKNOWN");
	}
}

static inline uint8_t *put_clock(uint8_t *at, uint8_t clock)
{
	switch (clock) {
	case LI_CLOCK_HARDWARE:
		return put_text(at, "HARDWARE");
	case LI_CLOCK_FILE:
		return put_text(at, "FILE");
	default:
		return put_text(at, "KERNEL");
	}
}

/* What the record proves of the packet, whatever the mode. */
static uint8_t *put_fields(uint8_t *at, const struct li_rec *rec)
{
	if (rec->present & LI_HAS_IP && (rec->ip_version == 4 || rec->ip_version == 6)) {
		at = put_text(at, " IP=");
		at = put_decimal(at, rec->ip_version);
		at = put_text(at, " PROTO=");
		at = put_decimal(at, rec->proto);
		at = put_text(at, " SRC=");
		at = put_address(at, rec->ip_version, rec->src);
		at = put_text(at, " DST=");
		at = put_address(at, rec->ip_version, rec->dst);
	}
	if (rec->present & LI_HAS_PORTS) {
		at = put_text(at, " SPORT=");
		at = put_decimal(at, rec->src_port);
		at = put_text(at, " DPORT=");
		at = put_decimal(at, rec->dst_port);
	}
	if (rec->present & LI_HAS_LENGTH) {
		at = put_text(at, " LENGTH=");
		at = put_decimal(at, rec->l3_len);
	}
	if (rec->present & LI_HAS_TCP_FLAGS) {
		at = put_text(at, " FLAGS=");
		at = put_tcp_flags(at, rec->tcp_flags);
	}
	if (rec->present & LI_HAS_ICMP) {
		at = put_text(at, " TYPE=");
		at = put_decimal(at, rec->icmp_type);
		at = put_text(at, " CODE=");
		at = put_decimal(at, rec->icmp_code);
	}
	if (rec->frag == LI_FRAG_FIRST)
		at = put_text(at, " FRAG=FIRST");
	if (rec->frag == LI_FRAG_LATER)
		at = put_text(at, " FRAG=LATER");
	return at;
}

struct line {
	const char *liid;
	size_t liid_len;
	struct text_second second;
};

static int line_init(struct line *line, const char *liid)
{
	line->liid = liid;
	line->liid_len = strlen(liid);
	line->second.known = 0;
	return line->liid_len > LN_LIID_MAX ? -EINVAL : 0;
}

/* From the tag that follows the line's kind up to the record's fields. */
static uint8_t *put_line_head(uint8_t *at, struct line *line, const struct li_rec *rec, int32_t interface,
			      uint64_t sequence, uint32_t lost)
{
	at = put_text(at, " LIID=");
	at = put_bytes(at, line->liid, line->liid_len);
	at = put_text(at, " SEQ=");
	at = put_decimal(at, sequence);
	at = put_text(at, " TIME=");
	at = put_time(at, &line->second, rec->utc_ns);
	at = put_text(at, " LOST=");
	at = put_decimal(at, lost);
	at = put_text(at, " IF=");
	at = put_decimal(at, (uint32_t)interface);
	at = put_text(at, " DIR=");
	at = put_direction(at, rec->dir);
	at = put_text(at, " CLOCK=");
	at = put_clock(at, rec->clock);
	return put_fields(at, rec);
}

static uint8_t *put_hex(uint8_t *at, const uint8_t *from, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		at[2 * i] = (uint8_t)hex_digits[from[i] >> 4];
		at[2 * i + 1] = (uint8_t)hex_digits[from[i] & 15];
	}
	return at + 2 * len;
}

/* Printable ASCII as it is; backslash and all else as \xHH. */
static uint8_t *put_ascii(uint8_t *at, const uint8_t *from, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = from[i];

		if (byte >= 0x20 && byte < 0x7f && byte != '\\') {
			*at++ = byte;
			continue;
		}
		at[0] = '\\';
		at[1] = 'x';
		at[2] = (uint8_t)hex_digits[byte >> 4];
		at[3] = (uint8_t)hex_digits[byte & 15];
		at += 4;
	}
	return at;
}

/* The link headers where IP has been found behind some, then all the rest. */
static uint8_t *put_content(uint8_t *at, const struct li_rec *rec, const uint8_t *frame, int ascii)
{
	uint32_t link = rec->l3_off < rec->cap_len ? rec->l3_off : 0;

	at = put_text(at, " FRAME=");
	at = put_decimal(at, rec->cap_len);
	at = put_text(at, " WIRE=");
	at = put_decimal(at, original_length(rec));
	if (link) {
		at = put_text(at, " LINK=");
		at = put_hex(at, frame, link);
	}
	at = put_text(at, " DATA=");
	if (!rec->cap_len)
		return at;
	return ascii ? put_ascii(at, frame + link, rec->cap_len - link)
		     : put_hex(at, frame + link, rec->cap_len - link);
}

size_t ln_text_bound(uint32_t cap_len, size_t liid_len)
{
	return LINE_BOUND + liid_len + 4 * (size_t)cap_len;
}

int64_t ln_text_packets(const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
			uint32_t from, const char *liid, const int32_t *interface_ids, uint32_t n_interface_ids,
			int ascii, uint8_t *out, size_t room, uint32_t *done)
{
	struct line line;
	uint8_t *at = out;

	*done = 0;
	if (line_init(&line, liid))
		return -EINVAL;
	for (uint32_t i = from; i < selection->n; i++) {
		const struct li_rec *rec = &recs[selection->order[i]];
		int32_t interface = interface_of(rec, interface_ids, n_interface_ids);

		prefetch_record(recs, selection, i);
		if (rec->kind != LI_REC_PACKET)
			return -EPERM;
		if (interface < 0 || ln_text_bound(rec->cap_len, line.liid_len) > room - (size_t)(at - out))
			break;
		at = put_text(at, "PACKET");
		at = put_line_head(at, &line, rec, interface, selection->sequence[i], selection->lost_before[i]);
		at = put_content(at, rec, data[selection->order[i]], ascii);
		*at++ = '\n';
		++*done;
	}
	return at - out;
}

int64_t ln_text_headers(const struct li_rec *recs, const struct ln_sequenced *selection, uint32_t from,
			const char *liid, const int32_t *interface_ids, uint32_t n_interface_ids, uint8_t *out,
			size_t room, uint32_t *done)
{
	struct line line;
	uint8_t *at = out;

	*done = 0;
	if (line_init(&line, liid))
		return -EINVAL;
	for (uint32_t i = from; i < selection->n; i++) {
		const struct li_rec *rec = &recs[selection->order[i]];
		int32_t interface = interface_of(rec, interface_ids, n_interface_ids);

		prefetch_record(recs, selection, i);
		if (rec->kind != LI_REC_HEADER)
			return -EPERM;
		if (interface < 0 || LINE_BOUND + line.liid_len > room - (size_t)(at - out))
			break;
		at = put_text(at, "HEADERS");
		at = put_line_head(at, &line, rec, interface, selection->sequence[i], selection->lost_before[i]);
		*at++ = '\n';
		++*done;
	}
	return at - out;
}
