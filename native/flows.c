// SPDX-License-Identifier: Apache-2.0
/*
 * Flows of an order's header records, counted in place: a record costs one look into a table, however many flows are open.
 * lictl/handover/flows.py owns the memory and makes room before each call.
 */
#include <string.h>

#include "native.h"

#define KEY_LEN offsetof(struct ln_flow, packets)

_Static_assert(KEY_LEN == 8 * LN_FLOW_WORDS, "the words of a key");

/* The factors are secret: nobody can send packets whose flows all stand at one place of the table. */
static inline uint32_t place_of(const struct ln_flows *all, const struct ln_flow *one)
{
	uint64_t words[LN_FLOW_WORDS], mixed = 0;

	memcpy(words, one, KEY_LEN);
	for (uint32_t i = 0; i < LN_FLOW_WORDS; i++) {
		mixed = (mixed ^ words[i]) * all->factors[i];
		mixed ^= mixed >> 32;
	}
	return (uint32_t)mixed & all->mask;
}

/* Where the flow's number stands, or the free place for it. */
static inline uint32_t *find(const struct ln_flows *all, const struct ln_flow *one)
{
	uint32_t at = place_of(all, one);

	while (all->places[at] && memcmp(&all->flows[all->places[at] - 1], one, KEY_LEN))
		at = (at + 1) & all->mask;
	return &all->places[at];
}

/* One packet; whatever the record does not prove is zero. */
static inline void flow_of(struct ln_flow *flow, const struct li_rec *rec)
{
	memset(flow, 0, sizeof(*flow));
	flow->dir = rec->dir;
	if (rec->present & LI_HAS_IP && (rec->ip_version == 4 || rec->ip_version == 6)) {
		flow->ip_version = rec->ip_version;
		flow->proto = rec->proto;
		memcpy(flow->src, rec->src, sizeof(flow->src));
		memcpy(flow->dst, rec->dst, sizeof(flow->dst));
	}
	if (rec->present & LI_HAS_PORTS) {
		flow->has_ports = 1;
		flow->src_port = rec->src_port;
		flow->dst_port = rec->dst_port;
	}
	flow->packets = 1;
	flow->bytes = rec->present & LI_HAS_LENGTH ? rec->l3_len : 0;
	flow->unsized = !(rec->present & LI_HAS_LENGTH);
	flow->first_ns = flow->last_ns = rec->utc_ns;
}

/* Remembers what a flow was before this addition, once: `noted` names its note if that note names it. */
static inline void note(struct ln_flows *all, uint32_t at)
{
	uint32_t known = all->noted[at];

	if (at >= all->n_before || (known < all->n_notes && all->notes[known].at == at))
		return;
	all->noted[at] = all->n_notes;
	all->notes[all->n_notes++] = (struct ln_flow_note){.at = at, .flow = all->flows[at]};
}

static inline void count(struct ln_flow *flow, const struct ln_flow *one)
{
	flow->packets += one->packets;
	flow->bytes += one->bytes;
	flow->unsized += one->unsized;
	flow->first_ns = one->first_ns < flow->first_ns ? one->first_ns : flow->first_ns;
	flow->last_ns = one->last_ns > flow->last_ns ? one->last_ns : flow->last_ns;
}

void ln_flows_add(struct ln_flows *all, const struct li_rec *recs, uint32_t n)
{
	all->n_before = all->n;
	all->overflow_before = all->overflow;
	all->n_notes = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct ln_flow one;
		uint32_t *place;

		flow_of(&one, &recs[i]);
		place = find(all, &one);
		if (*place) {
			note(all, *place - 1);
			count(&all->flows[*place - 1], &one);
		} else if (all->n < all->most) {
			all->flows[all->n] = one;
			*place = ++all->n;
		} else {
			all->overflow++;
		}
	}
}

void ln_flows_undo(struct ln_flows *all)
{
	/* The newest first: with open addressing the place that was taken last can be freed alone. */
	while (all->n > all->n_before) {
		all->n--;
		*find(all, &all->flows[all->n]) = 0;
	}
	for (uint32_t i = 0; i < all->n_notes; i++)
		all->flows[all->notes[i].at] = all->notes[i].flow;
	all->n_notes = 0;
	all->overflow = all->overflow_before;
}

void ln_flows_index(struct ln_flows *all)
{
	memset(all->places, 0, ((size_t)all->mask + 1) * sizeof(*all->places));
	for (uint32_t i = 0; i < all->n; i++)
		*find(all, &all->flows[i]) = i + 1;
	all->n_before = all->n;
	all->overflow_before = all->overflow;
	all->n_notes = 0;
}
