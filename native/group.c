// SPDX-License-Identifier: Apache-2.0
/*
 * Fan-out of a batch to orders, and the numbering of a delivery stream.
 * Both are called once a batch, without allocation.
 */
#include <errno.h>
#include <string.h>

#include "native.h"

#define GROUP_TABLE 16384 /* open addressing; a power of two */
#define GROUP_LIMIT 12288 /* three times the orders that can live; keeps the table sparse */
#define GROUP_FREE 0xffff

struct group_table {
	uint16_t group[GROUP_TABLE];
	uint32_t mask;
};

static inline uint32_t group_hash(uint32_t claim)
{
	return claim * 0x9e3779b1u >> 16;
}

/* Where the claim's group stands in the table, or the free entry where it belongs. */
static inline uint16_t *group_find(struct group_table *table, const struct ln_group *groups, uint32_t claim)
{
	uint32_t at = group_hash(claim) & table->mask;

	while (table->group[at] != GROUP_FREE && groups[table->group[at]].claim != claim)
		at = (at + 1) & table->mask;
	return &table->group[at];
}

static void group_table_clear(struct group_table *table, uint32_t n)
{
	uint32_t size = 16;

	while (size < GROUP_TABLE && size < 2 * (uint64_t)n)
		size *= 2;
	table->mask = size - 1;
	memset(table->group, 0xff, size * sizeof(table->group[0]));
}

int ln_group(const struct li_rec *recs, uint32_t n, uint32_t *order, struct ln_group *groups, uint32_t max_groups)
{
	struct group_table table;
	struct ln_group *group = NULL;
	uint32_t n_groups = 0, start = 0;

	if (max_groups > GROUP_LIMIT)
		max_groups = GROUP_LIMIT;
	group_table_clear(&table, n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t claim = recs[i].claim;

		if (!group || group->claim != claim) {
			uint16_t *entry = group_find(&table, groups, claim);

			if (*entry == GROUP_FREE) {
				if (n_groups == max_groups)
					return -ENOSPC;
				groups[n_groups] = (struct ln_group){.claim = claim};
				*entry = (uint16_t)n_groups++;
			}
			group = &groups[*entry];
		}
		group->count++;
	}
	for (uint32_t g = 0; g < n_groups; g++) {
		groups[g].start = start;
		start += groups[g].count;
		groups[g].count = 0; /* the cursor of the next pass */
	}
	group = NULL;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t claim = recs[i].claim;

		if (!group || group->claim != claim)
			group = &groups[*group_find(&table, groups, claim)];
		order[group->start + group->count++] = i;
	}
	return (int)n_groups;
}

int ln_sequence(const struct li_rec *recs, const uint32_t *order, uint32_t n, uint64_t not_before, uint64_t not_after,
		uint8_t kind, struct ln_position *position, struct ln_sequenced *out)
{
	uint64_t pending = 0; /* lost packets that no remaining record has told of yet */
	uint64_t last = position->next_sequence;
	uint32_t kept = 0;

	out->lost = 0;
	out->lost_after = 0;
	out->duplicates = 0;
	out->refused = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct li_rec *rec = &recs[order[i]];
		uint64_t *taken;

		if (i + 4 < n)
			__builtin_prefetch(&recs[order[i + 4]]);
		if (rec->cpu >= LI_MAX_CPUS) {
			out->refused++;
			continue;
		}
		taken = &position->last_slot_seq[rec->cpu];
		if (rec->slot_seq <= *taken) {
			out->duplicates++;
			continue;
		}
		pending += rec->slot_seq - *taken - 1;
		*taken = rec->slot_seq;
		if (rec->kind != kind || rec->utc_ns < not_before || rec->utc_ns >= not_after) {
			out->refused++;
			continue;
		}
		last += pending + 1;
		out->order[kept] = order[i];
		out->sequence[kept] = last;
		out->lost_before[kept] = pending > UINT32_MAX ? UINT32_MAX : (uint32_t)pending;
		out->lost += pending;
		kept++;
		pending = 0;
	}
	position->next_sequence = last + pending;
	out->lost_after = pending;
	out->n = kept;
	return (int)kept;
}
