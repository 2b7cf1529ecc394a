/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The contract between the capture program and user space: every struct that
 * crosses the boundary, every map name and every limit.  The cffi cdef is made
 * from this file and the numpy dtypes are tested against it, so it holds plain
 * C declarations only between the two CDEF marks: no attributes, no bit fields.
 */
#ifndef LICTL_ABI_H
#define LICTL_ABI_H

#ifdef __bpf__
#include "bpf_types.h"
#else
#include <stdint.h>
#endif

/* CDEF-BEGIN */
#define LI_ABI_VERSION 1

/* Limits. */
#define LI_MAX_SLOTS 4096     /* orders live at once: 12 bits of a claim */
#define LI_MAX_TARGETS 131072 /* entries in one target map */
#define LI_MAX_CLAIMS 16      /* orders on one target */
#define LI_MAX_MATCHES 32     /* orders that one packet can match */
#define LI_MAX_IFINDEX 16384
#define LI_MAX_V4_LENS 32   /* distinct active IPv4 prefix lengths */
#define LI_MAX_V6_LENS 32   /* distinct active IPv6 prefix lengths */
#define LI_MAX_PORT_LENS 16 /* distinct active port prefix lengths */
#define LI_MAX_CPUS 256
#define LI_FILTER_BITS 1048576
#define LI_FILTER_WORDS 16384
#define LI_MAX_VLANS 3
#define LI_MAX_LABELS 4
#define LI_MAX_EXT_HEADERS 8
#define LI_MAX_FRAME 65600 /* longest frame that a packet record holds */

/* A claim names an order in a target entry and in a record. */
#define LI_CLAIM_SLOT_BITS 12
#define LI_CLAIM_SLOT_MASK 4095 /* low 12 bits: slot; high 20 bits: generation */
#define LI_GENERATION_MAX 1048575

/* struct li_slot.mode */
#define LI_MODE_OFF 0
#define LI_MODE_HEADERS 1
#define LI_MODE_CONTENT 2

/* struct li_slot.flags */
#define LI_SLOT_ACCESS_ONLY 1 /* has a link-layer target: both directions are taken at access ports */
#define LI_SLOT_NO_PORTS 2    /* header records carry no ports */
#define LI_SLOT_NO_LENGTH 4   /* header records carry no IP length */

/* struct li_hook.sides: which end of a packet may name the target */
#define LI_SIDE_SRC 1
#define LI_SIDE_DST 2

/* Direction of travel, as seen from the target. */
#define LI_DIR_UNKNOWN 0
#define LI_DIR_FROM 1
#define LI_DIR_TO 2
#define LI_DIR_BOTH 3 /* both ends of the packet are targets of this order */

/* struct li_hook.flags */
#define LI_HOOK_ACTIVE 1
#define LI_HOOK_DROP 2 /* mirror port: the copy is of no further use, drop it here */

/* struct li_port.role */
#define LI_ROLE_NONE 0
#define LI_ROLE_ACCESS 1
#define LI_ROLE_CORE 2
#define LI_ROLE_MIRROR 3

/* struct li_config.kinds: target kinds in use; a kind not in use costs nothing */
#define LI_KIND_V4 1
#define LI_KIND_V6 2
#define LI_KIND_PORT 4
#define LI_KIND_FLOW 8
#define LI_KIND_MAC 16
#define LI_KIND_VLAN 32
#define LI_KIND_PPPOE 64

/* struct li_target.flags */
#define LI_TARGET_HAS_PORTS 1 /* the port map has entries for this address: look there too */

#define LI_VLAN_NONE 65535 /* li_key_vlan.inner of a single-tagged frame */

/* struct li_rec.kind */
#define LI_REC_HEADER 1
#define LI_REC_PACKET 2

/* struct li_rec.hook */
#define LI_AT_INGRESS 0
#define LI_AT_EGRESS 1

/* struct li_rec.clock */
#define LI_CLOCK_KERNEL 1   /* CLOCK_MONOTONIC at the hook plus li_config.utc_offset_ns */
#define LI_CLOCK_HARDWARE 2 /* receive time stamped by the network card */
#define LI_CLOCK_FILE 3	    /* time stamp of a capture file */

/* struct li_rec.present: which fields below it are proven to be there */
#define LI_HAS_IP 1
#define LI_HAS_PORTS 2
#define LI_HAS_TCP_FLAGS 4
#define LI_HAS_ICMP 8
#define LI_HAS_LENGTH 16

/* struct li_rec.frag */
#define LI_FRAG_NONE 0
#define LI_FRAG_FIRST 1
#define LI_FRAG_LATER 2

/* li_sleep: what the reader of the rings wants. */
#define LI_WAKE_NEVER 0	    /* it is awake */
#define LI_WAKE_ANY 1	    /* it sleeps: the next record wakes it, and sets LI_WAKE_NEVER */
#define LI_WAKE_WATERMARK 2 /* it naps: a ring with more than li_config.watermark bytes wakes it */

/* Why a frame has no (or only a partial) parse.  Index into li_totals.parse. */
#define LI_PARSE_OK 0
#define LI_PARSE_SHORT_ETH 1	/* ends inside the Ethernet header */
#define LI_PARSE_SHORT_VLAN 2	/* ends inside a VLAN tag */
#define LI_PARSE_DEEP_VLAN 3	/* more tags than LI_MAX_VLANS */
#define LI_PARSE_SHORT_PPPOE 4	/* ends inside the PPPoE or PPP header */
#define LI_PARSE_BAD_PPPOE 5	/* wrong version, type, code or length */
#define LI_PARSE_PPP_CONTROL 6	/* LCP, PAP, CHAP, IPCP ... and PPPoE discovery: not IP */
#define LI_PARSE_SHORT_MPLS 7	/* ends inside a label */
#define LI_PARSE_DEEP_MPLS 8	/* more labels than LI_MAX_LABELS */
#define LI_PARSE_MPLS_NOT_IP 9	/* pseudowire control word or other payload */
#define LI_PARSE_NOT_IP 10	/* EtherType that is not IP (ARP, LLDP ...) */
#define LI_PARSE_LLC 11		/* 802.3 length field: LLC/SNAP */
#define LI_PARSE_SHORT_IP 12	/* ends inside the IP base header */
#define LI_PARSE_BAD_VERSION 13 /* IP version contradicts the EtherType */
#define LI_PARSE_BAD_IHL 14	/* IPv4 header length < 20 or beyond the total length */
#define LI_PARSE_BAD_LENGTH 15	/* total length smaller than the header, or zero */
#define LI_PARSE_TRUNCATED 16	/* total length beyond the end of the frame */
#define LI_PARSE_JUMBOGRAM 17	/* IPv6 length 0 and hop-by-hop options: addresses hold, length and ports are absent */
#define LI_PARSE_CLASSES 18
/* Classes from here on still are good IP packets: addresses hold, ports are absent. */
#define LI_L4_OK 0
#define LI_L4_SHORT 1	       /* ends inside the transport header */
#define LI_L4_BAD_TCP_OFFSET 2 /* data offset < 5 or beyond the packet */
#define LI_L4_BAD_UDP_LENGTH 3 /* UDP length < 8 or beyond the packet */
#define LI_L4_EXT_CHAIN 4      /* IPv6 extension header chain too long */
#define LI_L4_EXT_SHORT 5      /* extension header beyond the packet */
#define LI_L4_LATER_FRAGMENT 6 /* fragment offset > 0: those bytes are payload */
#define LI_L4_TINY_FRAGMENT 7  /* first fragment too short for its transport header */
#define LI_L4_NO_NEXT 8	       /* IPv6 next header 59 */
#define LI_L4_CLASSES 9

/* Keys of the target maps.  Addresses in network order, numbers in host order,
 * every unused byte zero. */
struct li_key_v4 {
	uint8_t addr[4];
	uint32_t prefix_len;
};

struct li_key_v6 {
	uint8_t addr[16];
	uint32_t prefix_len;
};

struct li_key_mac {
	uint8_t mac[6];
	uint8_t zero[2];
};

struct li_key_vlan {
	uint16_t outer;
	uint16_t inner; /* LI_VLAN_NONE: exactly one tag */
};

struct li_key_pppoe {
	uint8_t mac[6];
	uint16_t session;
};

/* An address with ports: a range is a set of port prefixes, like CIDR. */
struct li_key_port {
	uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port;	  /* masked to prefix_len bits */
	uint8_t prefix_len;
	uint8_t zero;
};

/* One flow, named from the target's end. */
struct li_key_flow {
	uint8_t local[16];
	uint8_t remote[16];
	uint16_t local_port;
	uint16_t remote_port;
	uint8_t proto;
	uint8_t zero[3];
};

/* Value of every target map: the orders on this target and on all targets that cover it. */
struct li_target {
	uint32_t n_claims;
	uint32_t flags;
	uint32_t claims[16];
};

/* The bitmap in front of the target maps (filter.h). */
struct li_filter {
	uint64_t words[16384];
};

/* One order.  `generation`, `mode`, `flags` share one aligned word, so a single
 * write revokes; generation 0 or mode OFF is an empty slot. */
struct li_slot {
	uint32_t generation;
	uint8_t mode;
	uint8_t flags;
	uint8_t zero[2];
	uint64_t not_before; /* UTC ns, first instant inside */
	uint64_t not_after;  /* UTC ns, first instant outside */
};

/* What one hook (XDP ingress or tc egress) of an interface may take. */
struct li_hook {
	uint8_t flags;
	uint8_t sides;	      /* LI_SIDE_* for orders with IP targets only */
	uint8_t access_sides; /* LI_SIDE_* for LI_SLOT_ACCESS_ONLY orders */
	uint8_t vlan_dir;     /* LI_DIR_* that a VLAN target's frame travels here; needs the matching side bit */
};

struct li_port {
	struct li_hook ingress;
	struct li_hook egress;
	uint8_t role;
	uint8_t zero[7];
};

struct li_config {
	uint32_t abi_version;
	uint32_t kinds;
	uint64_t utc_offset_ns; /* UTC minus CLOCK_MONOTONIC */
	uint64_t incarnation;	/* random, chosen when the maps were made */
	uint32_t watermark;	/* bytes waiting in a ring that force a wake-up */
	uint8_t n_v4_lens;
	uint8_t n_v6_lens;
	uint8_t n_port_lens;
	uint8_t zero;
	uint8_t v4_lens[32];   /* longest first */
	uint8_t v6_lens[32];   /* longest first */
	uint8_t port_lens[16]; /* longest first */
};

/* Per CPU and slot.  seen = target named; matched = also inside window, mode and
 * generation; matched = emitted + lost_ring + lost_matches + lost_frame. */
struct li_slot_count {
	uint64_t seen;
	uint64_t matched;
	uint64_t emitted;
	uint64_t lost_ring;    /* ring full */
	uint64_t lost_matches; /* packet matched more than LI_MAX_MATCHES orders */
	uint64_t lost_frame;   /* frame longer than LI_MAX_FRAME or unreadable */
	uint64_t withheld;     /* header order, but no header field is proven: nothing leaves */
	uint64_t bytes;	       /* frame bytes of matched packets */
	uint64_t last_packet;  /* private to the program: number of the packet matched last */
	uint64_t last_index;   /* private to the program: where it stands in the match list */
};

/* Per CPU. */
struct li_totals {
	uint64_t packets;
	uint64_t bytes;
	uint64_t records; /* emitted on this CPU */
	uint64_t lost_ring;
	uint64_t no_port;	       /* hook not configured or not active */
	uint64_t stale_claim;	       /* target entry names a generation that is gone */
	uint64_t later_fragment_ports; /* later fragment on an address with port targets: cannot be attributed */
	uint64_t impossible;	       /* never anything but 0 */
	uint64_t parse[18];
	uint64_t l4[9];
};

/* One matched packet for one order.  A packet that matches several orders makes
 * one record each.  A packet record is followed by cap_len bytes of the frame:
 * link headers and the IP packet, cut at the IP packet's own length. */
struct li_rec {
	uint64_t utc_ns;   /* the packet's own time, by which its window was judged */
	uint64_t ktime_ns; /* CLOCK_MONOTONIC */
	uint64_t cpu_seq;  /* packets seen by this CPU until then */
	uint64_t slot_seq; /* matched packets of this slot on this CPU, this one included: a jump is a loss */
	uint32_t claim;
	uint32_t ifindex;
	uint32_t wire_len; /* bytes of the frame */
	uint32_t cap_len;  /* frame bytes that follow; 0 in a header record */
	uint32_t l3_len;   /* the IP packet's own length, 0 where LI_HAS_LENGTH is not set */
	uint16_t l3_off;   /* where IP starts in the frame (packet records) */
	uint16_t cpu;
	uint8_t kind;
	uint8_t hook;
	uint8_t clock;
	uint8_t dir;
	uint8_t ip_version; /* 4, 6 or 0 */
	uint8_t proto;
	uint8_t tcp_flags;
	uint8_t present;
	uint8_t icmp_type;
	uint8_t icmp_code;
	uint8_t frag;
	uint8_t parse;	   /* LI_PARSE_* (packet records) */
	uint16_t src_port; /* host order */
	uint16_t dst_port;
	uint8_t src[16]; /* IPv4 in the first four bytes, rest zero */
	uint8_t dst[16];
};
/* CDEF-END */

/* Map names: at most 15 characters. */
#define LI_MAP_CONFIG "li_config"	  /* array[1] of li_config, mmapable */
#define LI_MAP_PORTS "li_ports"		  /* array[LI_MAX_IFINDEX] of li_port */
#define LI_MAP_SLOTS "li_slots"		  /* array[LI_MAX_SLOTS] of li_slot, mmapable */
#define LI_MAP_V4 "li_v4"		  /* hash */
#define LI_MAP_V6 "li_v6"		  /* hash */
#define LI_MAP_PORT "li_port"		  /* hash */
#define LI_MAP_FLOW "li_flow"		  /* hash */
#define LI_MAP_MAC "li_mac"		  /* hash */
#define LI_MAP_VLAN "li_vlan"		  /* hash */
#define LI_MAP_PPPOE "li_pppoe"		  /* hash */
#define LI_MAP_FILTER "li_filter"	  /* array[1] of li_filter, mmapable */
#define LI_MAP_SLOT_COUNT "li_slot_count" /* per-CPU array[LI_MAX_SLOTS] of li_slot_count */
#define LI_MAP_TOTALS "li_totals"	  /* per-CPU array[1] of li_totals */
#define LI_MAP_RINGS "li_rings"		  /* array of maps, by CPU: ring buffers */
#define LI_MAP_SLEEP "li_sleep"		  /* array[LI_MAX_CPUS] of u32, mmapable: LI_WAKE_* */

#define LI_PROG_INGRESS "li_ingress" /* SEC("xdp.frags") */
#define LI_PROG_EGRESS "li_egress"   /* SEC("tc") */

#define LI_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)
LI_ASSERT_SIZE(li_key_v4, 8);
LI_ASSERT_SIZE(li_key_v6, 20);
LI_ASSERT_SIZE(li_key_mac, 8);
LI_ASSERT_SIZE(li_key_vlan, 4);
LI_ASSERT_SIZE(li_key_pppoe, 8);
LI_ASSERT_SIZE(li_key_port, 20);
LI_ASSERT_SIZE(li_key_flow, 40);
LI_ASSERT_SIZE(li_target, 72);
LI_ASSERT_SIZE(li_filter, 131072);
LI_ASSERT_SIZE(li_slot, 24);
LI_ASSERT_SIZE(li_port, 16);
LI_ASSERT_SIZE(li_config, 112);
LI_ASSERT_SIZE(li_slot_count, 80);
LI_ASSERT_SIZE(li_totals, 280);
LI_ASSERT_SIZE(li_rec, 104);

#endif
