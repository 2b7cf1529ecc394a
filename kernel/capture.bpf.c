/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The intercept access point: looks at every frame of an interface, copies what
 * a live order names into this CPU's ring, and passes the frame on untouched.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "emit.h"
#include "maps.h"
#include "match.h"
#include "parse.h"

/* The settings of this hook, or NULL where it is not to look. */
li_inline const struct li_hook *li_hook_of(uint32_t ifindex, int hook)
{
	const struct li_port *port = bpf_map_lookup_elem(&li_ports, &ifindex);
	const struct li_hook *settings;

	if (!port)
		return 0;
	settings = hook == LI_AT_EGRESS ? &port->egress : &port->ingress;
	return settings->flags & LI_HOOK_ACTIVE ? settings : 0;
}

/* Readies the work space for one frame. */
li_inline void li_begin(struct li_scratch *s, struct li_totals *totals, const struct li_hook *hook, uint32_t frame_len)
{
	s->ktime_ns = 0;
	s->cpu_seq = totals->packets;
	s->frame_len = frame_len;
	s->n = 0;
	s->sides = hook->sides;
	s->access_sides = hook->access_sides;
	s->vlan_dir = hook->vlan_dir;
	__builtin_memset(&s->parsed, 0, sizeof(s->parsed));
}

/* Parses in place where the headers are linear, else from a copy of them. */
li_inline int li_parse_frame(void *ctx, int kind, void *data, void *data_end, struct li_scratch *s)
{
	struct li_cursor c = {.data = data, .data_end = data_end, .frame_len = s->frame_len};
	uint32_t linear = (uint32_t)((long)data_end - (long)data), len;

	if (linear >= s->frame_len || linear >= LI_MAX_HEADERS)
		return li_parse_ethernet(&c, &s->parsed);
	len = li_get(s->frame_len); /* read anew: the verifier needs both bounds on one register */
	if (len > LI_MAX_HEADERS)
		len = LI_MAX_HEADERS;
	li_opaque(len); /* older verifiers lose a bound that is checked earlier than right here */
	if (len < LI_MIN_FRAME || len > LI_MAX_HEADERS || li_load(ctx, kind, 0, s->headers, len))
		return LI_PARSE_SHORT_ETH;
	c.data = s->headers;
	c.available = len;
	c.copy = 1;
	return li_parse_ethernet(&c, &s->parsed);
}

li_inline void li_count_parse(struct li_totals *totals, const struct li_parsed *p)
{
	if (p->parse < LI_PARSE_CLASSES)
		totals->parse[p->parse]++;
	if (p->parse == LI_PARSE_OK && p->l4 < LI_L4_CLASSES)
		totals->l4[p->l4]++;
}

SEC("xdp.frags")
int li_ingress(struct xdp_md *ctx)
{
	uint32_t zero = 0, at = LI_AT_INGRESS, frame_len = (uint32_t)bpf_xdp_get_buff_len(ctx);
	const struct li_hook *hook = li_hook_of(ctx->ingress_ifindex, LI_AT_INGRESS);
	struct li_totals *totals = bpf_map_lookup_elem(&li_totals, &zero);
	const struct li_config *config = bpf_map_lookup_elem(&li_config, &zero);
	struct li_scratch *s = bpf_map_lookup_elem(&li_scratch, &at);

	if (!totals || !config || !s)
		return XDP_PASS;
	totals->packets++;
	totals->bytes += frame_len;
	if (!hook) {
		totals->no_port++;
		return XDP_PASS;
	}
	li_begin(s, totals, hook, frame_len);
	s->ifindex = ctx->ingress_ifindex;
	s->hook = LI_AT_INGRESS;
	s->parsed.parse =
		(uint8_t)li_parse_frame(ctx, LI_CTX_XDP, (void *)(long)ctx->data, (void *)(long)ctx->data_end, s);
	li_count_parse(totals, &s->parsed);
	if (li_worth_matching(s, config))
		li_match(s, totals, config);
	if (s->n)
		li_emit(ctx, LI_CTX_XDP, s, totals);
	return hook->flags & LI_HOOK_DROP ? XDP_DROP : XDP_PASS;
}

SEC("tc")
int li_egress(struct __sk_buff *ctx)
{
	uint32_t zero = 0, at = LI_AT_EGRESS;
	const struct li_hook *hook = li_hook_of(ctx->ifindex, LI_AT_EGRESS);
	struct li_totals *totals = bpf_map_lookup_elem(&li_totals, &zero);
	const struct li_config *config = bpf_map_lookup_elem(&li_config, &zero);
	struct li_scratch *s = bpf_map_lookup_elem(&li_scratch, &at);

	if (!totals || !config || !s)
		return TC_ACT_UNSPEC;
	totals->packets++;
	totals->bytes += ctx->len;
	if (!hook) {
		totals->no_port++;
		return TC_ACT_UNSPEC;
	}
	li_begin(s, totals, hook, ctx->len);
	s->ifindex = ctx->ifindex;
	s->hook = LI_AT_EGRESS;
	if (ctx->vlan_present) /* a tag that the card will insert: not in the frame's bytes */
		li_add_vlan(&s->parsed, (uint16_t)ctx->vlan_tci);
	s->parsed.parse =
		(uint8_t)li_parse_frame(ctx, LI_CTX_SKB, (void *)(long)ctx->data, (void *)(long)ctx->data_end, s);
	li_count_parse(totals, &s->parsed);
	if (li_worth_matching(s, config))
		li_match(s, totals, config);
	if (s->n)
		li_emit(ctx, LI_CTX_SKB, s, totals);
	return TC_ACT_UNSPEC; /* the next filter decides, as without us */
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
