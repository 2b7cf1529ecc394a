// SPDX-License-Identifier: Apache-2.0
/* Records of classic pcap (draft-ietf-opsawg-pcap), little-endian, nanoseconds: docs/formats/pcap.md. */
#include <errno.h>

#include "packet.h"
#include "synthetic.h"

#define RECORD_HEAD 16
#define NS_IN_S 1000000000u

static inline uint8_t *put_record_head(uint8_t *at, const struct li_rec *rec, uint32_t captured, uint32_t original)
{
	uint64_t seconds = rec->utc_ns / NS_IN_S;

	at = put_u32(at, (uint32_t)seconds);
	at = put_u32(at, (uint32_t)(rec->utc_ns - seconds * NS_IN_S));
	at = put_u32(at, captured);
	return put_u32(at, original);
}

size_t ln_pcap_bound(uint32_t cap_len)
{
	return RECORD_HEAD + (cap_len < SYNTHETIC_MAX ? SYNTHETIC_MAX : cap_len);
}

int64_t ln_pcap_packets(const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
			uint32_t from, uint8_t *out, size_t room, uint32_t *done)
{
	uint8_t *at = out;

	*done = 0;
	for (uint32_t i = from; i < selection->n; i++) {
		const struct li_rec *rec = &recs[selection->order[i]];

		prefetch_record(recs, selection, i);
		prefetch_payload(data, selection, i);
		if (rec->kind != LI_REC_PACKET)
			return -EPERM;
		if (ln_pcap_bound(rec->cap_len) > room - (size_t)(at - out))
			break;
		at = put_record_head(at, rec, rec->cap_len, original_length(rec));
		at = put_payload(at, data[selection->order[i]], rec->cap_len);
		++*done;
	}
	return at - out;
}

int64_t ln_pcap_headers(const struct li_rec *recs, const struct ln_sequenced *selection, uint32_t from, uint8_t *out,
			size_t room, uint32_t *done)
{
	uint8_t *at = out;

	*done = 0;
	for (uint32_t i = from; i < selection->n; i++) {
		const struct li_rec *rec = &recs[selection->order[i]];
		uint32_t captured, original;

		prefetch_record(recs, selection, i);
		if (rec->kind != LI_REC_HEADER)
			return -EPERM;
		if (ln_pcap_bound(0) > room - (size_t)(at - out))
			break;
		captured = synthesise(at + RECORD_HEAD, rec);
		original = rec->present & LI_HAS_LENGTH && rec->l3_len > captured ? rec->l3_len : captured;
		at = put_record_head(at, rec, captured, original) + captured;
		++*done;
	}
	return at - out;
}
