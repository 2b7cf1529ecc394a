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

#include "elements.h"
#include "scene.h"

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
ENCODER(etsi_summaries, ln_etsi_summaries(s->flows, s->n, from, &s->summary, &s->etsi, TO))
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

static const struct {
	int64_t (*encode)(struct scene *s, uint32_t from, uint8_t *out, size_t room, uint32_t *done);
	size_t (*bound)(const struct scene *s, uint32_t cap_len);
	size_t (*size)(const uint8_t *at, size_t left);
	uint8_t kind;
	uint8_t declared; /* stops at an interface without a number */
} formats[] = {
	{pcapng_packets, pcapng_bound, pcapng_size, LI_REC_PACKET, 1},
	{pcapng_headers, pcapng_bound, pcapng_size, LI_REC_HEADER, 1},
	{text_packets, text_bound, text_size, LI_REC_PACKET, 1},
	{text_headers, text_bound, text_size, LI_REC_HEADER, 1},
	{msgpack_packets, msgpack_bound, msgpack_size, LI_REC_PACKET, 1},
	{msgpack_headers, msgpack_bound, msgpack_size, LI_REC_HEADER, 1},
	{etsi_packets, etsi_bound, ber_element, LI_REC_PACKET, 0},
	{etsi_headers, etsi_bound, ber_element, LI_REC_HEADER, 0},
	{x3_packets, x2x3_bound, x2x3_size, LI_REC_PACKET, 0},
	{x2_headers, x2x3_bound, x2x3_size, LI_REC_HEADER, 0},
	{tzsp_packets, mirror_bound, mirror_size, LI_REC_PACKET, 0},
	{ccc_packets, mirror_bound, mirror_size, LI_REC_PACKET, 0},
	{pcap_packets, pcap_bound, pcap_size, LI_REC_PACKET, 0},
	{pcap_headers, pcap_bound, pcap_size, LI_REC_HEADER, 0},
	{atis_contents, atis_bound, ber_element, LI_REC_PACKET, 0},
	{atis_headers, atis_bound, ber_element, LI_REC_HEADER, 0},
	{atis_summaries, atis_bound, ber_element, 0, 0},
	{etsi_summaries, etsi_bound, ber_element, 0, 0},
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

/* The encoder has to stop there whatever the room: its interface has no number yet. */
static int stops(const struct scene *s, uint32_t i)
{
	const struct li_rec *rec = record(s, i);
	uint64_t key = (uint64_t)rec->ifindex * 2 + rec->hook;

	return formats[s->format].declared && (rec->hook > LI_AT_EGRESS || key >= s->n_ids || s->ids[key] < 0);
}

/* What TS 102 232 has no place for. */
static int without_ip(const struct li_rec *rec)
{
	if (rec->kind == LI_REC_HEADER)
		return !(rec->present & LI_HAS_IP) || (rec->ip_version != 4 && rec->ip_version != 6);
	return !(rec->present & LI_HAS_IP) || rec->cap_len <= rec->l3_off ||
	       (rec->present & LI_HAS_LENGTH && !rec->l3_len);
}

/* How many of the records that were done have no place in the format, each in its own way. */
static uint64_t left_out(const struct scene *s, uint32_t from, uint32_t done)
{
	const struct ln_etsi *etsi = &s->etsi;

	CHECK(s->mirror.too_long <= s->mirror.unfit);
	if (etsi->unfit) {
		CHECK(etsi->unfit_first >= from && etsi->unfit_first <= etsi->unfit_last);
		CHECK(etsi->unfit_last - from < done && etsi->unfit <= etsi->unfit_last - etsi->unfit_first + 1);
		CHECK(without_ip(record(s, etsi->unfit_first)) && without_ip(record(s, etsi->unfit_last)));
	}
	return (uint64_t)s->mirror.unfit + s->atis.too_long + etsi->unfit;
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
	all->unfit += left_out(s, from, done);
	free(out);
	return done > 0;
}

/* Everything, through buffers of `room` octets, or of a record's bound where that is more. */
static struct output encode(struct scene *s, size_t room, uint8_t before)
{
	struct output all = {.data = room_for(1)};

	while (all.done < s->selection.n && !all.status) {
		uint32_t at = all.done;

		s->mirror.unfit = s->mirror.too_long = s->atis.too_long = s->etsi.unfit = 0;
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
	uint32_t n = plain->done - (uint32_t)plain->unfit;
	uint32_t *offsets = room_for(n * 4), *blocks = room_for(n * 4), sealed = 0, ready, rounds = 0;
	uint32_t *numbers = (uint32_t *)noise(in, n * 4);
	size_t room = plain->len + n * 64 - take(in, 1) % 64;
	uint8_t *out = room_for(room), *next = room_for(n * 16), *ends = room_for(n * 7 + 8);
	int64_t len = ln_etsi_seal_layout(plain->data, n, 1, &sealed, out, room, offsets, blocks);

	CHECK(len == -ENOSPC || (len >= 0 && (size_t)len <= room));
	if (len >= 0) {
		CHECK(sealed == plain->len);
		while ((ready = ln_cbc_step(out, offsets, blocks, numbers, n, rounds, next, next)))
			CHECK(ready <= n && ++rounds < 1 << 16);
	}
	CHECK(ln_etsi_numbers(numbers, n, ends) <= n * 7);
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

/* ---- in how many scenes an encoder had something to write: what it refuses says little of it ---- */

static struct {
	uint64_t scenes, encoded;
} shares[N_FORMATS];

static void print_shares(void)
{
	for (uint32_t i = 0; i < N_FORMATS; i++)
		fprintf(stderr, "format %u: %llu of %llu scenes encoded\n", i, (unsigned long long)shares[i].encoded,
			(unsigned long long)shares[i].scenes);
}

/* libFuzzer's name and arguments. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return atexit(print_shares);
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
	shares[s.format].scenes++;
	shares[s.format].encoded += !whole.status && whole.len;
	again = encode(&s, room, 0x5a);
	pieces = encode(&s, (size_t)take(&in, 2) * (take(&in, 1) % 4), 0x5a);
	CHECK(whole.done == again.done && whole.len == again.len && whole.status == again.status);
	CHECK(!memcmp(whole.data, again.data, whole.len));
	if (!whole.status) {
		CHECK(pieces.done == whole.done && pieces.len == whole.len && !pieces.status);
		CHECK(!memcmp(whole.data, pieces.data, whole.len) && pieces.unfit == whole.unfit);
		check_apart(&s, &whole);
		if (formats[s.format].bound == etsi_bound && whole.len)
			check_sealed(&in, &whole);
	}
	free(whole.data);
	free(again.data);
	free(pieces.data);
	free_scene(&s);
	return 0;
}
