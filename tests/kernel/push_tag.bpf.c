// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Puts VLAN 100 beside a frame, as a VLAN device leaves it to the card to insert. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int push_tag(struct __sk_buff *skb)
{
	bpf_skb_vlan_push(skb, __builtin_bswap16(0x8100), 100);
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
