/* SPDX-License-Identifier: Apache-2.0 */
/* What encode_fuzz.c reads an input as: the constants of a stream, and a batch of records with their frames. */
#ifndef LICTL_FUZZ_SCENE_H
#define LICTL_FUZZ_SCENE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../native.h"
#include "check.h"

#define MOST_RECORDS 12
#define MOST_IDS 64
#define NS 1000000000u

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

/* Of any length from one bit to 64; nought, or 2^63 and more, about one time in fifty. */
static uint64_t take_any(struct input *in)
{
	return take(in, 8) >> take(in, 1) % 64;
}

/* Bits of which each is set one time in eight: a batch in which everything is odd ends at its first record. */
static uint8_t take_few(struct input *in)
{
	uint32_t bits = (uint32_t)take(in, 3);

	return (uint8_t)(bits & bits >> 8 & bits >> 16);
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
	struct ln_etsi_summary summary;
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
	uint8_t odd = take_few(in), some = (uint8_t)take(in, 1);

	for (uint32_t at = 0; at < sizeof(*rec); at++)
		((uint8_t *)rec)[at] = odd & 1 ? (uint8_t)take(in, 1) : (uint8_t)(some + at);
	rec->kind = odd & 128 && !(some & 7) ? rec->kind : kind;
	rec->cap_len = kind == LI_REC_HEADER ? 0 : length(in);
	rec->wire_len = odd & 2 ? rec->wire_len : rec->cap_len;
	rec->l3_len = odd & 4 ? rec->l3_len : length(in);
	rec->l3_off = odd & 8 ? rec->l3_off : 14;
	rec->present = (uint8_t)take(in, 1);
	rec->utc_ns = take(in, odd & 4 ? 8 : 2) * (odd & 4 ? 1 : NS);
	s->data[i] = noise(in, rec->cap_len);
	if (odd & 16)
		return;
	rec->ip_version = rec->present & 128 ? 6 : 4;
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
	uint64_t last = take_any(in) & ~(1ull << 40); /* numbers never turn over */
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
	s->n_ids = MOST_IDS - (take(in, 1) & 3 ? 0 : (uint32_t)take(in, 1) % (MOST_IDS + 1));
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
	s->atis.digits = take(in, 1) & 15 ? (uint32_t)take(in, 1) % 9 + 1 : (uint32_t)take(in, 1) % 11;
	s->atis.most = take(in, 1) & 1 ? (uint32_t)take(in, 1) + (take(in, 1) & 1 ? LN_DATAGRAM_MAX - 255 : 0) : 0;
}

static void make_flows(struct input *in, struct scene *s)
{
	s->summary.utc_ns = take(in, 8);
	s->summary.number = (uint32_t)take(in, 4);
	s->summary.trigger = (uint32_t)take(in, 1) % 128;
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
		flow->packets = take_any(in);
		flow->bytes = take_any(in);
		flow->unsized = rec->present & LI_HAS_LENGTH ? 0 : flow->packets;
		flow->first_ns = rec->ktime_ns;
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

#endif
