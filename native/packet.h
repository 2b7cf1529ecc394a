/* SPDX-License-Identifier: Apache-2.0 */
/* The IP packet of a packet record, for formats that carry no link header. */
#ifndef LICTL_PACKET_H
#define LICTL_PACKET_H

#include "encode.h"

static inline int is_ip(const struct li_rec *rec)
{
	return rec->present & LI_HAS_IP && (rec->ip_version == 4 || rec->ip_version == 6);
}

/* Octets of the packet that were captured: what lies behind its own length is not content. */
static inline uint32_t ip_length(const struct li_rec *rec)
{
	uint32_t len = rec->cap_len > rec->l3_off ? rec->cap_len - rec->l3_off : 0;

	return rec->present & LI_HAS_LENGTH && rec->l3_len < len ? rec->l3_len : len;
}

/* The same where an IP packet is proven, else 0: for formats that carry nothing but IP packets. */
static inline uint32_t ip_octets(const struct li_rec *rec)
{
	return rec->present & LI_HAS_IP ? ip_length(rec) : 0;
}

/* `payload` may be NULL where `len` is 0. */
static inline uint8_t *put_payload(uint8_t *at, const uint8_t *payload, uint32_t len)
{
	return len ? put_bytes(at, payload, len) : at;
}

static inline void prefetch_payload(const uint8_t *const *data, const struct ln_sequenced *selection, uint32_t i)
{
	if (i + 2 < selection->n)
		__builtin_prefetch(data[selection->order[i + 2]]);
}

#endif
