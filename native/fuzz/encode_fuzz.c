// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer harness of all encoders in native/. An input is read as one scene: the constants of a stream, and a batch
 * of records with any lengths, fields and kinds; frames are made from a seed, so that a short input reaches long ones.
 * Every buffer is exactly as long as its promise, and every broken promise is an abort:
 * - what is written stays within the room, and a record's within its bound; with that room there is progress;
 * - all octets written are the encoder's own: the same whatever lay in the buffer before;
 * - pieces through small buffers are together what one large buffer gets;
 * - the output falls apart into as many elements as records were said to be in it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../native.h"

#define MOST_RECORDS 12
#define MOST_IDS 64
#define NS 1000000000u
#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: broken: %s\n", __func__, __LINE__, #condition);                        \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

/* ---- a scene from the input ---- */

struct input {
	const uint8_t *at, *end;
	uint32_t seed;
};

static uint8_t chance(struct input *in)
{
	in->seed = in->seed * 1664525 + 1013904223;
	return (uint8_t)(in->seed >> 24);
}

/* The next octets of the input as a number; behind its end chance goes on, so that a short input is a whole scene. */
static uint64_t take(struct input *in, uint32_t octets)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < octets; i++)
		value |= (uint64_t)(in->at < in->end ? *in->at++ : chance(in)) << 8 * i;
	return value;
}

static void *room_for(size_t size)
{
	void *memory = malloc(size);

	CHECK(memory);
	return memory;
}

/* Octets that look like chance; the same for the same input. */
static uint8_t *noise(struct input *in, size_t size)
{
	static uint8_t pool[1 << 18];
	uint8_t *made = room_for(size);

	for (uint32_t i = 0, value = 1; !pool[sizeof(pool) - 1] && i < sizeof(pool); i++) {
		value = value * 1664525 + 1013904223;
		pool[i] = (uint8_t)(value >> 24 | (i == sizeof(pool) - 1));
	}
	memcpy(made, pool + chance(in) * 512, size);
	return made;
}

/* Elements of BER without content, in place of names. */
static uint8_t *nulls(size_t size)
{
	uint8_t *made = room_for(size);

	for (size_t i = 0; i < size; i++)
		made[i] = i % 2 ? 0 : 5;
	return made;
}

struct scene {
	uint32_t format, n;
	struct li_rec *recs;
	uint8_t **data;
	struct ln_sequenced selection;
	char *liid;
	int32_t *ids;
	uint32_t n_ids;
	int ascii;
	struct ln_etsi etsi;
	struct ln_x2x3 x2x3;
	struct ln_mirror mirror;
	struct ln_atis atis;
	struct ln_flow *flows;
	uint64_t unfit;
};

/* 9,000 octets and more one time in eight; often about 128, 256 and 65,536, where fields of lengths grow. */
static uint32_t length(struct input *in)
{
	uint32_t kind = (uint32_t)take(in, 1);

	switch (kind % 8) {
	case 0:
		if (kind & 8)
			return LI_MAX_FRAME - kind / 16 * 8;
		return (uint32_t)(9000 + take(in, 2) % (LI_MAX_FRAME + 1 - 9000));
	case 1:
		return (uint32_t)take(in, 2) % 9001;
	case 2:
		return 100 + kind / 8;
	case 3:
		return 230 + kind / 8;
	default:
		return (uint32_t)take(in, 1);
	}
}

/* What a frame could say, unless a bit of `odd` leaves a field as it came. */
static void make_record(struct input *in, struct scene *s, uint32_t i, uint8_t kind)
{
	static const uint8_t protocols[8] = {6, 17, 1, 58, 132, 136, 44, 50};
	struct li_rec *rec = &s->recs[i];
	uint8_t odd = (uint8_t)take(in, 1), some = (uint8_t)take(in, 1);

	for (uint32_t at = 0; at < sizeof(*rec); at++)
		((uint8_t *)rec)[at] = odd & 1 ? (uint8_t)take(in, 1) : (uint8_t)(some + at);
	rec->kind = (odd & 0xc0) == 0xc0 && !(some & 7) ? rec->kind : kind;
	rec->cap_len = kind == LI_REC_HEADER ? 0 : length(in);
	rec->wire_len = odd & 2 ? rec->wire_len : rec->cap_len;
	rec->l3_len = odd & 4 ? rec->l3_len : length(in);
	rec->l3_off = odd & 8 ? rec->l3_off : 14;
	rec->present = (uint8_t)take(in, 1);
	rec->utc_ns = take(in, odd & 4 ? 8 : 2) * (odd & 4 ? 1 : NS);
	s->data[i] = noise(in, rec->cap_len);
	if (odd & 16)
		return;
	rec->ip_version = odd & 32 ? 6 : 4;
	rec->proto = protocols[some % 8];
	rec->present |= LI_HAS_IP;
	rec->frag = (some >> 3) % 4;
	rec->dir = (some >> 5) % 4;
	rec->hook = some >> 7;
	rec->ifindex = odd & 64 ? rec->ifindex : some % 8;
}

/* Which records in which order, and their numbers: ascending, with losses between. */
static void make_selection(struct input *in, struct scene *s)
{
	uint64_t last = take(in, 1) & 1 ? take(in, 8) & ~(1ull << 40) : take(in, 1); /* numbers never turn over */
	uint32_t step = (uint32_t)take(in, 1) | 1;

	s->selection.n = s->n;
	s->selection.order = room_for(s->n * sizeof(uint32_t));
	s->selection.sequence = room_for(s->n * sizeof(uint64_t));
	s->selection.lost_before = room_for(s->n * sizeof(uint32_t));
	for (uint32_t i = 0; i < s->n; i++) {
		s->selection.order[i] = i * step % s->n;
		s->selection.lost_before[i] = (uint32_t)take(in, step & 2 ? 4 : 0);
		last += s->selection.lost_before[i] + 1;
		s->selection.sequence[i] = last;
	}
}

static void make_constants(struct input *in, struct scene *s)
{
	uint32_t liid_len = (uint32_t)take(in, 1) + (take(in, 1) % 16 ? 0 : 4);
	static const uint32_t time_lens[3] = {8, 12, 16};

	s->liid = room_for(liid_len + 1);
	memset(s->liid, 'L', liid_len);
	s->liid[liid_len] = 0;
	s->n_ids = (uint32_t)take(in, 1) % (MOST_IDS + 1);
	s->ids = room_for(s->n_ids * sizeof(*s->ids));
	for (uint32_t i = 0; i < s->n_ids; i++)
		s->ids[i] = (int32_t)(i * 7 % 31) - 1;
	s->ascii = take(in, 1) & 1;
	s->etsi.head_len = (uint32_t)take(in, 1) & ~1u;
	s->etsi.head = nulls((s->etsi.head_len + 31) / 32 * 32);
	s->etsi.generalized = take(in, 1) & 1;
	s->etsi.iri_only = take(in, 1) & 1;
	s->etsi.limit = (uint32_t)take(in, 1) + 1;
	s->etsi.before = take(in, 4);
	s->etsi.numbers = take(in, 1) & 1 ? room_for(s->etsi.limit * sizeof(uint32_t)) : NULL;
	s->x2x3.time_len = time_lens[take(in, 1) % 3];
	s->x2x3.all_fields = take(in, 1) & 1;
	memset(s->x2x3.head, 1, sizeof(s->x2x3.head));
	s->x2x3.head[4] = s->x2x3.head[5] = s->x2x3.head[6] = 0;
	s->x2x3.head[7] = (uint8_t)(52 + s->x2x3.time_len); /* the length of a head without further attributes */
	memset(s->x2x3.head + 8, 0, 4);
	s->mirror.head_len = (uint32_t)take(in, 1) % 33;
	s->mirror.timed = take(in, 1) & 1;
	memset(s->mirror.head, 2, sizeof(s->mirror.head));
	s->atis.names_len = (uint32_t)take(in, 2) % 404 & ~1u;
	s->atis.content_len = (uint32_t)take(in, 2) % 404 & ~1u;
	s->atis.names = nulls(s->atis.names_len);
	s->atis.content = nulls(s->atis.content_len);
	s->atis.digits = (uint32_t)take(in, 1) % 11;
}

static void make_flows(struct input *in, struct scene *s)
{
	s->flows = room_for(s->n * sizeof(*s->flows));
	for (uint32_t i = 0; i < s->n; i++) {
		const struct li_rec *rec = &s->recs[i];
		struct ln_flow *flow = &s->flows[i];

		memset(flow, 0, sizeof(*flow));
		flow->ip_version = rec->ip_version;
		flow->proto = rec->proto;
		flow->has_ports = rec->present & LI_HAS_PORTS;
		flow->dir = rec->dir;
		flow->src_port = rec->src_port;
		flow->dst_port = rec->dst_port;
		memcpy(flow->src, rec->src, 16);
		memcpy(flow->dst, rec->dst, 16);
		flow->packets = take(in, rec->kind & 1 ? 8 : 1);
		flow->last_ns = rec->utc_ns;
	}
}

static void free_scene(struct scene *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		free(s->data[i]);
	free(s->data);
	free(s->recs);
	free(s->selection.order);
	free(s->selection.sequence);
	free(s->selection.lost_before);
	free(s->liid);
	free(s->ids);
	free((void *)s->etsi.head);
	free(s->etsi.numbers);
	free((void *)s->atis.names);
	free((void *)s->atis.content);
	free(s->flows);
}

/* ---- the formats ---- */

#define OF(s) (s)->recs, &(s)->selection, from
#define WITH(s) (s)->recs, (const uint8_t *const *)(s)->data, &(s)->selection, from
#define NAMED(s) (s)->liid, (s)->ids, (s)->n_ids
#define TO out, room, done
#define ENCODER(name, call)                                                                                            \
	static int64_t name(struct scene *s, uint32_t from, uint8_t *out, size_t room, uint32_t *done)                 \
	{                                                                                                              \
		return call;                                                                                           \
	}

ENCODER(pcapng_packets, ln_pcapng_packets(WITH(s), NAMED(s), TO))
ENCODER(pcapng_headers, ln_pcapng_headers(OF(s), NAMED(s), TO))
ENCODER(text_packets, ln_text_packets(WITH(s), NAMED(s), s->ascii, TO))
ENCODER(text_headers, ln_text_headers(OF(s), NAMED(s), TO))
ENCODER(msgpack_packets, ln_msgpack_packets(WITH(s), s->ids, s->n_ids, TO))
ENCODER(msgpack_headers, ln_msgpack_headers(OF(s), s->ids, s->n_ids, TO))
ENCODER(etsi_packets, ln_etsi_packets(WITH(s), &s->etsi, TO))
ENCODER(etsi_headers, ln_etsi_headers(OF(s), &s->etsi, TO))
ENCODER(x3_packets, ln_x3_packets(WITH(s), &s->x2x3, TO))
ENCODER(x2_headers, ln_x2_headers(OF(s), &s->x2x3, TO))
ENCODER(tzsp_packets, ln_tzsp_packets(WITH(s), &s->mirror, TO))
ENCODER(ccc_packets, ln_ccc_packets(WITH(s), &s->mirror, TO))
ENCODER(pcap_packets, ln_pcap_packets(WITH(s), TO))
ENCODER(pcap_headers, ln_pcap_headers(OF(s), TO))
ENCODER(atis_contents, ln_atis_contents(WITH(s), &s->atis, TO))
ENCODER(atis_headers, ln_atis_headers(OF(s), &s->atis, TO))
ENCODER(atis_summaries, ln_atis_summaries(s->flows, s->n, from, s->selection.sequence[0], &s->atis, TO))

#define BOUND(name, value)                                                                                             \
	static size_t name(const struct scene *s, uint32_t cap_len)                                                    \
	{                                                                                                              \
		(void)s;                                                                                               \
		return value;                                                                                          \
	}

BOUND(pcapng_bound, ln_pcapng_bound(cap_len, strlen(s->liid)))
BOUND(text_bound, ln_text_bound(cap_len, strlen(s->liid)))
BOUND(msgpack_bound, ln_msgpack_bound(cap_len))
BOUND(etsi_bound, ln_etsi_bound(cap_len, s->etsi.head_len))
BOUND(x2x3_bound, ln_x2x3_bound(cap_len))
BOUND(mirror_bound, ln_mirror_bound(cap_len))
BOUND(pcap_bound, ln_pcap_bound(cap_len))
BOUND(atis_bound, ln_atis_bound(cap_len))

/* ---- where one element of the output ends ---- */

static uint32_t le32(const uint8_t *at)
{
	return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint32_t be32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

static size_t pcapng_size(const uint8_t *at, size_t left)
{
	uint32_t size;

	CHECK(left >= 12 && le32(at) == 6);
	size = le32(at + 4);
	CHECK(size <= left && !(size % 4) && le32(at + size - 4) == size && 32 + le32(at + 20) <= size);
	return size;
}

static size_t text_size(const uint8_t *at, size_t left)
{
	const uint8_t *end = memchr(at, '\n', left);

	CHECK(end);
	for (const uint8_t *one = at; one < end; one++)
		CHECK(*one >= 0x20 && *one < 0x7f);
	return (size_t)(end - at) + 1;
}

/* A whole element: lengths definite and as short as they can be, and parts that fill it to the octet. */
static size_t ber_element(const uint8_t *at, size_t left)
{
	static const size_t least[4] = {0, 0x80, 0x100, 0x10000};
	size_t octets, head, len = 0;

	CHECK(left >= 2);
	octets = at[1] & 0x80 ? at[1] & 0x7f : 0;
	head = 2 + octets;
	CHECK((octets || at[1] < 0x80) && octets < 4 && left >= head);
	for (size_t i = 0; i < octets; i++)
		len = len << 8 | at[2 + i];
	len = octets ? len : at[1];
	CHECK(len >= least[octets] && len <= left - head);
	for (size_t part = 0; at[0] & 0x20 && part < len;)
		part += ber_element(at + head + part, len - part);
	return head + len;
}

static size_t x2x3_size(const uint8_t *at, size_t left)
{
	CHECK(left >= 12 && be32(at + 4) >= 60);
	return (size_t)be32(at + 4) + be32(at + 8);
}

static size_t mirror_size(const uint8_t *at, size_t left)
{
	CHECK(left >= 4 && be32(at) <= 65507);
	return 4 + (size_t)be32(at);
}

static size_t pcap_size(const uint8_t *at, size_t left)
{
	CHECK(left >= 16 && le32(at + 4) < NS && le32(at + 8) <= le32(at + 12));
	return 16 + (size_t)le32(at + 8);
}

/* Octets of one msgpack object of the kinds that are written. */
static size_t msgpack_size(const uint8_t *at, size_t left)
{
	static const uint8_t numbers[4] = {2, 3, 5, 9};
	size_t size, n;

	CHECK(left);
	if (at[0] < 0x80 || at[0] == 0xc0)
		return 1;
	if (at[0] >= 0xcc && at[0] <= 0xcf)
		return numbers[at[0] - 0xcc];
	if (at[0] == 0xc4)
		return 2 + (size_t)at[1];
	if (at[0] == 0xc5)
		return 3 + ((size_t)at[1] << 8 | at[2]);
	if (at[0] == 0xc6)
		return 5 + (size_t)be32(at + 1);
	CHECK(at[0] == 0xdc);
	n = (size_t)at[1] << 8 | at[2];
	for (size = 3; n; n--) {
		CHECK(size < left);
		size += msgpack_size(at + size, left - size);
	}
	return size;
}

static const struct {
	int64_t (*encode)(struct scene *s, uint32_t from, uint8_t *out, size_t room, uint32_t *done);
	size_t (*bound)(const struct scene *s, uint32_t cap_len);
	size_t (*size)(const uint8_t *at, size_t left);
	uint8_t kind;
	uint8_t declared; /* stops at an interface without a number */
	uint8_t ip_only;  /* stops at a record without a proven IP packet */
} formats[] = {
	{pcapng_packets, pcapng_bound, pcapng_size, LI_REC_PACKET, 1, 0},
	{pcapng_headers, pcapng_bound, pcapng_size, LI_REC_HEADER, 1, 0},
	{text_packets, text_bound, text_size, LI_REC_PACKET, 1, 0},
	{text_headers, text_bound, text_size, LI_REC_HEADER, 1, 0},
	{msgpack_packets, msgpack_bound, msgpack_size, LI_REC_PACKET, 1, 0},
	{msgpack_headers, msgpack_bound, msgpack_size, LI_REC_HEADER, 1, 0},
	{etsi_packets, etsi_bound, ber_element, LI_REC_PACKET, 0, 1},
	{etsi_headers, etsi_bound, ber_element, LI_REC_HEADER, 0, 1},
	{x3_packets, x2x3_bound, x2x3_size, LI_REC_PACKET, 0, 0},
	{x2_headers, x2x3_bound, x2x3_size, LI_REC_HEADER, 0, 0},
	{tzsp_packets, mirror_bound, mirror_size, LI_REC_PACKET, 0, 0},
	{ccc_packets, mirror_bound, mirror_size, LI_REC_PACKET, 0, 0},
	{pcap_packets, pcap_bound, pcap_size, LI_REC_PACKET, 0, 0},
	{pcap_headers, pcap_bound, pcap_size, LI_REC_HEADER, 0, 0},
	{atis_contents, atis_bound, ber_element, LI_REC_PACKET, 0, 0},
	{atis_headers, atis_bound, ber_element, LI_REC_HEADER, 0, 0},
	{atis_summaries, atis_bound, ber_element, 0, 0, 0},
};

#define N_FORMATS (sizeof(formats) / sizeof(*formats))

/* ---- encoding a whole batch ---- */

struct output {
	uint8_t *data;
	size_t len;
	uint32_t done;
	uint64_t unfit;
	int64_t status; /* 0, or what the encoder refused with */
};

static const struct li_rec *record(const struct scene *s, uint32_t i)
{
	return &s->recs[s->selection.order[i]];
}

/* The encoder has to stop there whatever the room. */
static int stops(const struct scene *s, uint32_t i)
{
	const struct li_rec *rec = record(s, i);
	uint64_t key = (uint64_t)rec->ifindex * 2 + rec->hook;

	if (formats[s->format].declared)
		return rec->hook > LI_AT_EGRESS || key >= s->n_ids || s->ids[key] < 0;
	if (!formats[s->format].ip_only)
		return 0;
	if (rec->kind == LI_REC_HEADER)
		return !(rec->present & LI_HAS_IP) || (rec->ip_version != 4 && rec->ip_version != 6);
	return !(rec->present & LI_HAS_IP) || rec->cap_len <= rec->l3_off ||
	       (rec->present & LI_HAS_LENGTH && !rec->l3_len);
}

static void append(struct output *all, const uint8_t *piece, size_t len)
{
	all->data = realloc(all->data, all->len + len + 1);
	CHECK(all->data);
	memcpy(all->data + all->len, piece, len);
	all->len += len;
}

/* One call into a buffer of `room` octets that held `before`; returns whether the batch goes on. */
static int call(struct scene *s, struct output *all, size_t room, uint8_t before)
{
	uint32_t from = all->done, done = UINT32_MAX, n = s->selection.n;
	uint8_t *out = room_for(room);
	int64_t len;

	memset(out, before, room);
	len = formats[s->format].encode(s, from, out, room, &done);
	if (len < 0) {
		CHECK(len == -EPERM || len == -EINVAL || len == -ERANGE);
		all->status = len;
		free(out);
		return 0;
	}
	CHECK((size_t)len <= room && done <= n - from);
	append(all, out, (size_t)len);
	all->done += done;
	all->unfit += s->mirror.unfit;
	free(out);
	return done > 0;
}

/* Everything, through buffers of `room` octets, or of a record's bound where that is more. */
static struct output encode(struct scene *s, size_t room, uint8_t before)
{
	struct output all = {.data = room_for(1)};

	while (all.done < s->selection.n && !all.status) {
		uint32_t at = all.done;

		s->mirror.unfit = 0;
		if (call(s, &all, room, before) || all.status)
			continue;
		if (formats[s->format].kind && stops(s, at))
			break;
		CHECK(room < formats[s->format].bound(s, record(s, at)->cap_len));
		call(s, &all, formats[s->format].bound(s, record(s, at)->cap_len), before);
		CHECK(all.done > at || all.status);
	}
	return all;
}

static void check_apart(const struct scene *s, const struct output *all)
{
	size_t at = 0;
	uint64_t count = 0;

	for (; at < all->len; count++) {
		size_t size = formats[s->format].size(all->data + at, all->len - at);

		CHECK(size && size <= all->len - at);
		at += size;
	}
	CHECK(count == all->done - all->unfit);
}

/* ---- what works on whole PDUs of TS 102 232 ---- */

static void check_sealed(struct input *in, const struct output *plain)
{
	uint32_t *offsets = room_for(plain->done * 4), *blocks = room_for(plain->done * 4), sealed = 0, n, rounds = 0;
	uint32_t *numbers = (uint32_t *)noise(in, plain->done * 4);
	size_t room = plain->len + plain->done * 64 - take(in, 1) % 64;
	uint8_t *out = room_for(room), *next = room_for(plain->done * 16), *ends = room_for(plain->done * 7 + 8);
	int64_t len = ln_etsi_seal_layout(plain->data, plain->done, 1, &sealed, out, room, offsets, blocks);

	CHECK(len == -ENOSPC || (len >= 0 && (size_t)len <= room));
	if (len >= 0) {
		CHECK(sealed == plain->len);
		while ((n = ln_cbc_step(out, offsets, blocks, numbers, plain->done, rounds, next, next)))
			CHECK(n <= plain->done && ++rounds < 1 << 16);
	}
	CHECK(ln_etsi_numbers(numbers, plain->done, ends) <= plain->done * 7);
	free(offsets);
	free(blocks);
	free(numbers);
	free(out);
	free(next);
	free(ends);
}

/* ---- blocks of pcapng that are no packets ---- */

static void check_declarations(struct input *in)
{
	size_t lens[2] = {take(in, 2) % 4200, take(in, 1)}, room = take(in, 2) % 9000;
	char *texts[2];
	uint8_t *out = room_for(room);
	int ret;

	for (int i = 0; i < 2; i++) {
		texts[i] = room_for(lens[i] + 1);
		memset(texts[i], 'x', lens[i]);
		texts[i][lens[i]] = 0;
	}
	ret = take(in, 1) & 1 ? ln_pcapng_section(texts[1], texts[0], out, room)
			      : ln_pcapng_interface(texts[1], texts[0], 1, out, room);
	CHECK(ret == -ENOSPC || ret == -EINVAL || (ret > 0 && (size_t)ret <= room && le32(out + 4) == (uint32_t)ret));
	CHECK((ret == -EINVAL) == (lens[0] > 4096));
	for (int i = 0; i < 2; i++)
		free(texts[i]);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {.at = data, .end = data + size};
	struct scene s = {0};
	struct output whole, again, pieces;
	size_t room = 1;

	s.format = (uint32_t)take(&in, 1) % (N_FORMATS + 1);
	in.seed = (uint32_t)take(&in, 4);
	if (s.format == N_FORMATS) {
		check_declarations(&in);
		return 0;
	}
	s.n = (uint32_t)take(&in, 1) % MOST_RECORDS + 1;
	s.recs = room_for(s.n * sizeof(*s.recs));
	s.data = room_for(s.n * sizeof(*s.data));
	make_constants(&in, &s);
	make_selection(&in, &s);
	for (uint32_t i = 0; i < s.n; i++)
		make_record(&in, &s, i, formats[s.format].kind ? formats[s.format].kind : LI_REC_HEADER);
	make_flows(&in, &s);
	for (uint32_t i = 0; i < s.n; i++)
		room += formats[s.format].bound(&s, record(&s, i)->cap_len);
	whole = encode(&s, room, 0xa5);
	again = encode(&s, room, 0x5a);
	pieces = encode(&s, (size_t)take(&in, 2) * (take(&in, 1) % 4), 0x5a);
	CHECK(whole.done == again.done && whole.len == again.len && whole.status == again.status);
	CHECK(!memcmp(whole.data, again.data, whole.len));
	if (!whole.status) {
		CHECK(pieces.done == whole.done && pieces.len == whole.len && !pieces.status);
		CHECK(!memcmp(whole.data, pieces.data, whole.len) && pieces.unfit == whole.unfit);
		check_apart(&s, &whole);
		if (formats[s.format].bound == etsi_bound && whole.done)
			check_sealed(&in, &whole);
	}
	free(whole.data);
	free(again.data);
	free(pieces.data);
	free_scene(&s);
	return 0;
}
