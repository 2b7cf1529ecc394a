/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Python may call.  Every function returns 0 or a count, or a negative
 * errno; where it takes `err`, it then holds one sentence that says what is
 * wrong and what to do.  None of them needs the GIL.
 * The cffi cdef is made from the text between the two CDEF marks.
 */
#ifndef LICTL_NATIVE_H
#define LICTL_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#include "../kernel/abi.h"

/* CDEF-BEGIN */

/* ---- loader.c: the BPF object, its maps and its attachments ---- */

struct ln_probe; /* opaque */

struct ln_options {
	const char *object_path;
	const char *pin_dir; /* folder on a bpffs; NULL: nothing is pinned */
	uint32_t ring_bytes; /* of each CPU's ring; a power of two, >= 4096 */
	uint32_t fresh;	     /* 1: never take over, remove what is pinned */
};

/* Opens and loads.  Takes over pinned maps and links when ABI version, map shapes
 * and program tags match; else fails with -ESTALE and says so. *took_over is 0 or 1. */
int ln_open(const struct ln_options *options, struct ln_probe **probe, int *took_over, char *err, size_t err_len);
/* Closes the descriptors; pinned maps and attachments stay. */
void ln_close(struct ln_probe *probe);
/* Detaches everything and removes the pins. */
int ln_destroy(struct ln_probe *probe, char *err, size_t err_len);

#define LN_ATTACH_NATIVE 0
#define LN_ATTACH_GENERIC 1
#define LN_ATTACH_OFFLOAD 2 /* only reported */
#define LN_ATTACH_TC 3	    /* only reported, for hook LI_AT_EGRESS */

struct ln_attachment {
	uint32_t ifindex;
	uint32_t hook; /* LI_AT_* */
	uint32_t mode; /* LN_ATTACH_*: what the kernel reports, not what was asked */
	uint32_t program_id;
	uint8_t tag[8];
	uint32_t taken_over; /* 1: it was attached before this process started */
};

/* hook LI_AT_INGRESS: an XDP link in `mode`; LI_AT_EGRESS: a tc (clsact) filter.
 * -EBUSY when another program holds the interface and `replace` is 0. */
int ln_attach(struct ln_probe *probe, uint32_t ifindex, uint32_t hook, uint32_t mode, int replace,
	      struct ln_attachment *attachment, char *err, size_t err_len);
int ln_detach(struct ln_probe *probe, uint32_t ifindex, uint32_t hook, char *err, size_t err_len);
/* What is attached now, asked from the kernel. Returns the count, at most `max`. */
int ln_attachments(struct ln_probe *probe, struct ln_attachment *out, int max);

/* The descriptor of a map by its LI_MAP_* name; -ENOENT. */
int ln_map_fd(struct ln_probe *probe, const char *name);
/* The descriptor of a program by its LI_PROG_* name, for BPF_PROG_TEST_RUN. */
int ln_prog_fd(struct ln_probe *probe, const char *name);

/* n entries at once; keys and values are packed arrays. Returns how many were done;
 * *first_error is 0 or the negative errno that stopped it. */
int ln_map_update(int fd, const void *keys, uint32_t key_size, const void *values, uint32_t value_size, uint32_t n,
		  int *first_error);
int ln_map_delete(int fd, const void *keys, uint32_t key_size, uint32_t n,
		  int *first_error); /* absent is not an error */
/* Every entry of a hash map, at most `max`. Returns the count. */
int ln_map_dump(int fd, void *keys, uint32_t key_size, void *values, uint32_t value_size, uint32_t max);
/* One value; for a per-CPU map `value` holds ln_possible_cpus() values of value_size rounded up to 8. -ENOENT. */
int ln_map_lookup(int fd, const void *key, void *value);
int ln_possible_cpus(void);
/* LI_MAP_CONFIG and LI_MAP_FILTER, mapped: aligned words are written at once. Valid until ln_close. */
struct li_config *ln_config(struct ln_probe *probe);
struct li_filter *ln_filter(struct ln_probe *probe);
/* Writes one slot, its state word at once: a change of mode and flags is one store; with a change of window too the slot
 * is off in between. A generation of 0 revokes, and leaves the window as it is. A packet in work may have read the old state and read the new window
 * next: whoever gives a slot another window calls ln_grace between switching it off and writing it. */
int ln_slot_write(struct ln_probe *probe, uint32_t index, const struct li_slot *value);
/* Returns when no program is still running that began before the call: what was revoked then makes no record. */
int ln_grace(struct ln_probe *probe);
/* The kernel's features by index from 0: 1 there, 0 not there, -ENOENT: no such index. */
int ln_feature(int index, const char **name);

/* One packet through a program (LI_PROG_*), as if received on ifindex of the current
 * network namespace. Returns the verdict (XDP_* or TC_ACT_*) or a negative errno;
 * out/out_len receive the frame after the program. */
int ln_test_run(struct ln_probe *probe, const char *program, uint32_t ifindex, const void *frame, uint32_t frame_len,
		void *out, uint32_t *out_len, uint32_t repeat, uint32_t *duration_ns);
/* Same, for any program descriptor; live != 0: really sends `repeat` copies (BPF_F_TEST_XDP_LIVE_FRAMES). */
int ln_test_run_fd(int prog_fd, uint32_t ifindex, const void *frame, uint32_t frame_len, uint32_t repeat, int live,
		   uint32_t batch, uint32_t *duration_ns);

/* ---- filter.c: the bitmap in front of the target maps ---- */

/* Sets the bits of n keys of the target map `map` in `filter`, which may be the kernel's own, mapped.
 * A bit is set before its entry is inserted. -EINVAL: no target map, or wrong key size. */
int ln_filter_add(struct li_filter *filter, const char *map, const void *keys, uint32_t key_size, uint32_t n);

/* ---- drain.c: the rings ---- */

/* Caller-owned memory of one batch: struct of arrays that numpy views without a copy. */
struct ln_batch {
	struct li_rec *recs;  /* capacity entries: the heads, in order of ktime_ns */
	const uint8_t **data; /* capacity entries: where the frame lies (ring memory); valid until ln_release */
	uint32_t capacity;
	uint32_t n;
};

struct ln_ring_state {
	uint32_t cpu;
	uint32_t size;	   /* bytes */
	uint64_t waiting;  /* bytes not yet released */
	uint64_t consumed; /* records released since ln_open */
	uint64_t damaged;  /* records skipped since ln_open because they contradict their own lengths */
};

/* Fills the batch with what all rings hold, merged by time; never blocks. The
 * records stay in the rings until ln_release, which publishes each ring's consumer
 * position once. Calling it again before ln_release continues behind the last batch. */
int ln_drain(struct ln_probe *probe, struct ln_batch *batch);
int ln_release(struct ln_probe *probe);
/* Sleeps until a record arrives or timeout_us passes. 1: there is something to drain, 0: time-out. */
int ln_wait(struct ln_probe *probe, uint32_t timeout_us);
/* Lets records gather: sleeps timeout_us, less where a ring fills to li_config.watermark or ln_wake is called. As ln_wait.
 * ln_drain, ln_release, ln_wait and ln_nap belong to one thread. */
int ln_nap(struct ln_probe *probe, uint32_t timeout_us);
/* Ends a running ln_wait or ln_nap from another thread. */
void ln_wake(struct ln_probe *probe);
int ln_rings(struct ln_probe *probe, struct ln_ring_state *out, int max);

/* ---- clock.c: CLOCK_MONOTONIC to UTC ---- */

struct ln_clock {
	int64_t utc_offset_ns;	  /* UTC minus CLOCK_MONOTONIC, injected offset included */
	uint64_t error_ns;	  /* half the width of the narrowest bracket read */
	int32_t synchronised;	  /* adjtimex: 1 yes, 0 no, -1 not known */
	uint64_t kernel_error_ns; /* adjtimex esterror, 0 where not known */
};

/* LICTL_CLOCK_OFFSET_NS in the environment shifts UTC: for tests, as the machine's clock is never stepped. */
int ln_clock_read(struct ln_clock *out);
/* Shifts this process's idea of UTC (tests; added to the environment's). */
void ln_clock_inject(int64_t offset_ns);
/* Waits until the system clock is stepped (1) or timeout_ms passes (0). */
int ln_clock_wait_step(uint32_t timeout_ms);

/* ---- group.c: fan-out and sequencing, once a batch ---- */

struct ln_group {
	uint32_t claim;
	uint32_t start; /* into order */
	uint32_t count;
};

/* Stable counting sort of a batch by claim: order[start..start+count) are record
 * indexes of one claim in time order; groups stand in order of first appearance. Returns
 * the number of groups, or -ENOSPC beyond max_groups or 12288 of them. */
int ln_group(const struct li_rec *recs, uint32_t n, uint32_t *order, struct ln_group *groups, uint32_t max_groups);

/* Where one delivery stream stands. Persisted by the spool; zeroed for a new claim or incarnation. */
struct ln_position {
	uint64_t next_sequence;	     /* the last number given, to a delivered or a lost packet; 0: none yet */
	uint64_t last_slot_seq[256]; /* by CPU: highest li_rec.slot_seq taken */
};

/* Drops records already taken (slot_seq not above last_slot_seq) and records outside
 * [not_before, not_after) by utc_ns or of the wrong kind; gives each remaining record its sequence number and
 * the losses before it. Arrays have room for n. Returns how many remain.
 * Every jump of slot_seq on a CPU beyond last_slot_seq + 1 is that many lost packets; each takes a number, so
 *   sequence[0] = old next_sequence + lost_before[0] + 1, sequence[i] = sequence[i-1] + lost_before[i] + 1,
 *   new next_sequence = the last sequence[] + lost_after = old next_sequence + n + lost + lost_after.
 * A record that is refused moves last_slot_seq and takes no number; losses seen at it stand before the next
 * record that remains, or in lost_after. A record already taken changes nothing. */
struct ln_sequenced {
	uint32_t *order;
	uint64_t *sequence;
	uint32_t *lost_before;
	uint32_t n;
	uint64_t lost; /* sum of the losses before the remaining records (lost_before itself stops at 2^32-1) */
	uint64_t
		lost_after; /* losses seen behind the last remaining record: already numbered, the caller writes a GAP */
	uint32_t duplicates; /* already taken */
	uint32_t refused;    /* outside the window or of a kind that the order may not have; counts as withheld */
};
int ln_sequence(const struct li_rec *recs, const uint32_t *order, uint32_t n, uint64_t not_before, uint64_t not_after,
		uint8_t kind, struct ln_position *position, struct ln_sequenced *out);

/* ---- pcapng.c: encoders (draft-ietf-opsawg-pcapng) ---- */

/* Section header plus nothing else; returns bytes written or -ENOSPC. */
int ln_pcapng_section(const char *application, const char *comment, uint8_t *out, size_t room);
/* Interface description: link_type 1 Ethernet or 101 raw IP, nanosecond resolution. */
int ln_pcapng_interface(const char *name, const char *description, uint16_t link_type, uint8_t *out, size_t room);
/* An enhanced packet block for each selected packet record, with flags (direction), drop count
 * and the comment "LIID=<liid> seq=<n>". interface_ids maps ifindex*2+hook (capacity entries) to the section's
 * interface number, or to -1. Stops when out is full or at a record whose interface has no number yet: *done
 * tells how many records were written. Returns bytes written, or -EPERM at a record of the other kind. */
int64_t ln_pcapng_packets(const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
			  uint32_t from, const char *liid, const int32_t *interface_ids, uint32_t n_interface_ids,
			  uint8_t *out, size_t room, uint32_t *done);
/* The same for header records: an IP header and transport header synthesised from the
 * record's fields, checksums zero, link type raw; never touches `data`. */
int64_t ln_pcapng_headers(const struct li_rec *recs, const struct ln_sequenced *selection, uint32_t from,
			  const char *liid, const int32_t *interface_ids, uint32_t n_interface_ids, uint8_t *out,
			  size_t room, uint32_t *done);
/* Upper bound of the output of one record whose frame has cap_len bytes. */
size_t ln_pcapng_bound(uint32_t cap_len, size_t liid_len);

/* ---- describe.c: descriptive text, one line a record (docs/formats/descriptive-text.md) ---- */

/* As ln_pcapng_packets and ln_pcapng_headers; ascii != 0: content as ASCII with escapes, else as hex. */
int64_t ln_text_packets(const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
			uint32_t from, const char *liid, const int32_t *interface_ids, uint32_t n_interface_ids,
			int ascii, uint8_t *out, size_t room, uint32_t *done);
int64_t ln_text_headers(const struct li_rec *recs, const struct ln_sequenced *selection, uint32_t from,
			const char *liid, const int32_t *interface_ids, uint32_t n_interface_ids, uint8_t *out,
			size_t room, uint32_t *done);
size_t ln_text_bound(uint32_t cap_len, size_t liid_len);

/* ---- msgpack.c: one array a record (docs/formats/msgpack.md) ---- */

int64_t ln_msgpack_packets(const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
			   uint32_t from, const int32_t *interface_ids, uint32_t n_interface_ids, uint8_t *out,
			   size_t room, uint32_t *done);
int64_t ln_msgpack_headers(const struct li_rec *recs, const struct ln_sequenced *selection, uint32_t from,
			   const int32_t *interface_ids, uint32_t n_interface_ids, uint8_t *out, size_t room,
			   uint32_t *done);
size_t ln_msgpack_bound(uint32_t cap_len);

/* ---- what formats with summaries of flows are made from ---- */

/* One flow of lictl/handover/flows.py. */
struct ln_flow {
	uint8_t ip_version;
	uint8_t proto;
	uint8_t has_ports;
	uint8_t dir;
	uint16_t src_port;
	uint16_t dst_port;
	uint8_t src[16];
	uint8_t dst[16];
	uint64_t packets;
	uint64_t bytes;
	uint64_t unsized;
	uint64_t first_ns;
	uint64_t last_ns;
};

/* ---- flows.c: the open flows of an order ---- */

#define LN_FLOW_WORDS 5 /* of 64 bits, up to `packets`: what tells flows apart */

/* A flow as it was before the newest addition. */
struct ln_flow_note {
	uint32_t at;
	struct ln_flow flow;
};

/* The caller gives the arrays, zeroed: of `flows`, `noted` and `notes` as many as there can be flows behind the next
 * addition, of `places` mask + 1, a power of two and more than that. */
struct ln_flows {
	struct ln_flow *flows; /* in order of their first packets */
	uint32_t *noted;
	struct ln_flow_note *notes;
	uint32_t *places; /* number of a flow from 1 on, 0: free */
	uint32_t mask;
	uint32_t n;
	uint32_t most; /* flows that are told apart */
	uint32_t n_before;
	uint32_t n_notes;
	uint64_t overflow; /* packets of further flows */
	uint64_t overflow_before;
	uint64_t factors[LN_FLOW_WORDS]; /* odd, secret */
};

/* Counts n records, of either kind; only proven fields count. */
void ln_flows_add(struct ln_flows *all, const struct li_rec *recs, uint32_t n);
/* Takes the newest addition back, once; nothing behind ln_flows_index. */
void ln_flows_undo(struct ln_flows *all);
/* Finds the places of `n` flows anew, where the arrays are others. */
void ln_flows_index(struct ln_flows *all);

/* ---- etsi.c, etsi_summary.c: PS-PDUs of ETSI TS 102 232-1/-3 (docs/formats/etsi-102232.md) ---- */

/* What is constant in a stream. */
struct ln_etsi {
	const uint8_t *head; /* elements [0] to [3] of the PSHeader; memory of a multiple of 32 octets */
	uint32_t head_len;
	uint32_t generalized; /* 1: timeStamp, 0: microSecondTimeStamp */
	uint32_t iri_only;    /* 1: header reports as iPIRIOnly, 0: as iPIRIPacketReport */
	uint32_t limit;	      /* most PDUs of one call */
	uint64_t before;      /* PDUs of the same numbering that are not records: a record's sequenceNumber is its
				 sequence, less 1, plus these, modulo 2^32 */
	uint32_t *numbers;    /* NULL, or `limit` entries: the sequenceNumber of each PDU written */
	uint32_t unfit;	      /* among *done: records without a proven IP header, which these formats cannot carry */
	uint32_t unfit_first; /* the first and the last of these in the selection; only where there are any */
	uint32_t unfit_last;
};

/* One PS-PDU for each selected record that has a place in the format, up to `limit`, or until out is full: *done tells
 * how many records that were, written or unfit. Returns bytes written, or -EPERM at a record of the other kind. */
int64_t ln_etsi_packets(const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
			uint32_t from, struct ln_etsi *stream, uint8_t *out, size_t room, uint32_t *done);
int64_t ln_etsi_headers(const struct li_rec *recs, const struct ln_sequenced *selection, uint32_t from,
			struct ln_etsi *stream, uint8_t *out, size_t room, uint32_t *done);
/* What is the same in the summaries of one report. */
struct ln_etsi_summary {
	uint64_t utc_ns;  /* of the report */
	uint32_t number;  /* sequenceNumber of flows[0]; the others follow on it, modulo 2^32 */
	uint32_t trigger; /* below 128: PacketReportTrigger, or with iri_only PDSRSummaryTrigger */
};

/* One PS-PDU with a packet data summary report for each flow from `from` on, up to `limit`, or until out is full:
 * *done tells how many. Returns bytes written. */
int64_t ln_etsi_summaries(const struct ln_flow *flows, uint32_t n, uint32_t from, const struct ln_etsi_summary *summary,
			  const struct ln_etsi *stream, uint8_t *out, size_t room, uint32_t *done);
/* Upper bound of one PS-PDU's octets; len: of the IP packet, 0 for a header report or a summary. */
size_t ln_etsi_bound(uint32_t len, uint32_t head_len);
/* n INTEGERs; out has room for 7 octets each and 8 behind them. Returns the octets written. */
size_t ln_etsi_numbers(const uint32_t *numbers, uint32_t n, uint8_t *out);

/* ---- etsi_seal.c: sealed payloads of PS-PDUs ---- */

/* Lays n PS-PDUs of ln_etsi_packets or ln_etsi_headers out as containers, the plain text in place of the cipher text,
 * padded: PDU i has blocks[i] blocks of 16 octets at offsets[i]. `since` and `*sealed`, which moves on, make byteCounter.
 * Returns bytes written, or -ENOSPC. */
int64_t ln_etsi_seal_layout(const uint8_t *pdus, uint32_t n, uint32_t since, uint32_t *sealed, uint8_t *out,
			    size_t room, uint32_t *offsets, uint32_t *blocks);
/* One round of CBC over all of them: puts the cipher text of the round before (`done`) in its place and gives the blocks
 * to be enciphered next, one behind the other. The vector of PDU i is numbers[i], big-endian, four times. Begin with
 * round 0; returns the blocks in `next` (room for n), 0 when all is done. */
uint32_t ln_cbc_step(uint8_t *out, const uint32_t *offsets, const uint32_t *blocks, const uint32_t *numbers, uint32_t n,
		     uint32_t round, const uint8_t *done, uint8_t *next);

/* ---- x2x3.c: ETSI TS 103 221-2, one PDU a record (docs/formats/etsi-103221-2.md) ---- */

/* What is constant in a stream. */
struct ln_x2x3 {
	uint8_t head[72]; /* header and the attributes sequence number and timestamp, zero where a record's values go */
	uint32_t time_len;   /* octets of a timestamp: 8, 12 or 16 */
	uint32_t all_fields; /* 1: X2 also carries what the standard has no attribute for */
};
int64_t ln_x3_packets(const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
		      uint32_t from, const struct ln_x2x3 *stream, uint8_t *out, size_t room, uint32_t *done);
int64_t ln_x2_headers(const struct li_rec *recs, const struct ln_sequenced *selection, uint32_t from,
		      const struct ln_x2x3 *stream, uint8_t *out, size_t room, uint32_t *done);
size_t ln_x2x3_bound(uint32_t cap_len);

/* ---- mirror.c: TZSP and PacketCable CCC, datagrams each behind a big-endian u32 of its length ---- */

/* What is constant in a stream, and what the last call left out. */
struct ln_mirror {
	uint8_t head[32];  /* zero where a record's values go */
	uint32_t head_len; /* at most 32 */
	uint32_t timed;	   /* 1: number and time (TZSP), time (CCC) stand in the head */
	uint32_t unfit;	   /* among *done: longer than a datagram, or (CCC) without an IP packet; nothing was written */
	uint32_t too_long; /* of these, the former */
};
int64_t ln_tzsp_packets(const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
			uint32_t from, struct ln_mirror *stream, uint8_t *out, size_t room, uint32_t *done);
int64_t ln_ccc_packets(const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
		       uint32_t from, struct ln_mirror *stream, uint8_t *out, size_t room, uint32_t *done);
size_t ln_mirror_bound(uint32_t cap_len);

/* ---- pcap.c: records of classic pcap (docs/formats/pcap.md) ---- */

int64_t ln_pcap_packets(const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
			uint32_t from, uint8_t *out, size_t room, uint32_t *done);
int64_t ln_pcap_headers(const struct li_rec *recs, const struct ln_sequenced *selection, uint32_t from, uint8_t *out,
			size_t room, uint32_t *done);
size_t ln_pcap_bound(uint32_t cap_len);

/* ---- atis.c: ATIS-1000013 (docs/formats/atis-1000013.md) ---- */

/* What is the same in all messages of a stream, as BER. */
struct ln_atis {
	const uint8_t *names;	/* content: correlationInfo; reports: caseId and iAPSystemId */
	const uint8_t *content; /* reports: contentIdentifier */
	uint32_t names_len;
	uint32_t content_len;
	uint32_t digits;   /* of a second's fraction, 1 to 9 */
	uint32_t most;	   /* octets of a CmC message; 0: no bound */
	uint32_t too_long; /* CmC, among *done: longer than that; nothing was written */
};

/* CmC: an IAS-CC-APDU for each selected packet record; return values as of ln_pcapng_packets. */
int64_t ln_atis_contents(const struct li_rec *recs, const uint8_t *const *data, const struct ln_sequenced *selection,
			 uint32_t from, struct ln_atis *atis, uint8_t *out, size_t room, uint32_t *done);
/* CmII: a packet data header report for each selected header record. */
int64_t ln_atis_headers(const struct li_rec *recs, const struct ln_sequenced *selection, uint32_t from,
			const struct ln_atis *atis, uint8_t *out, size_t room, uint32_t *done);
/* CmII: a packet data summary report for each flow; `number` is that of flows[0]. -ERANGE: a flow without packets. */
int64_t ln_atis_summaries(const struct ln_flow *flows, uint32_t n, uint32_t from, uint64_t number,
			  const struct ln_atis *atis, uint8_t *out, size_t room, uint32_t *done);
size_t ln_atis_bound(uint32_t cap_len);

/* ---- strip.c: packets that do not come from the kernel path ---- */

/* Parses one frame of a file with kernel/parse.h and fills the record as the capture program
 * would (kind LI_REC_PACKET, cap_len cut at the IP packet's length, addresses, ports ...).
 * link_type 1 or 101. Returns the LI_PARSE_* class. */
int ln_parse_frame(const uint8_t *frame, uint32_t frame_len, uint32_t wire_len, uint16_t link_type, struct li_rec *rec,
		   int *l4_class);
/* Makes the header record of a packet record: allow-listed fields only. 0, or -ENODATA where no header field is proven. */
int ln_strip(const struct li_rec *packet, uint8_t slot_flags, struct li_rec *header);

/* ---- replay.c: the kernel's matching (kernel/match.h) on a capture file, through libpcap ---- */

struct ln_matcher; /* opaque: the same tables as the kernel's, in this process */
struct ln_file;	   /* opaque */

struct ln_matcher *ln_matcher_new(void);
void ln_matcher_free(struct ln_matcher *matcher);
/* Replaces the content of one map (LI_MAP_CONFIG, LI_MAP_SLOTS, LI_MAP_PORTS and the target maps);
 * array maps take uint32_t keys. -EINVAL: unknown name or wrong size. */
int ln_matcher_load(struct ln_matcher *matcher, const char *map, const void *keys, uint32_t key_size,
		    const void *values, uint32_t value_size, uint32_t n);
/* Parses and matches one frame as the program would at ifindex/hook; writes at most
 * LI_MAX_MATCHES records. Returns their number, or -LI_PARSE_* where nothing can match. */
int ln_match_frame(struct ln_matcher *matcher, const uint8_t *frame, uint32_t frame_len, uint32_t wire_len,
		   uint16_t link_type, uint64_t utc_ns, uint32_t ifindex, uint32_t hook, struct li_rec *recs);
/* pcap or pcapng, Ethernet or raw IP. */
int ln_file_open(const char *path, struct ln_file **file, char *err, size_t err_len);
/* Reads frames until the batch is nearly full or the file ends; the data lies in memory of `file`,
 * valid until the next call. Returns records, 0 at the end, -EBADMSG for a damaged file (err says where). */
int ln_file_batch(struct ln_file *file, struct ln_matcher *matcher, uint32_t ifindex, uint32_t hook,
		  struct ln_batch *batch, char *err, size_t err_len);
/* Counters as the capture program keeps them; slots: LI_MAX_SLOTS entries. */
void ln_matcher_counts(struct ln_matcher *matcher, struct li_totals *totals, struct li_slot_count *slots);
void ln_file_close(struct ln_file *file);

/* ---- crc.c: CRC-32C; start with 0, the result of one part is the `crc` of the next ---- */
uint32_t ln_crc32c(uint32_t crc, const void *data, size_t len);
/* The same without the processor's instruction (tests). */
uint32_t ln_crc32c_software(uint32_t crc, const void *data, size_t len);

/* ---- datagrams.c ---- */
#define LN_FRAMING_BER 1
#define LN_FRAMING_LENGTH 2
#define LN_DATAGRAM_MAX 65507 /* octets of UDP payload over IPv4 */

struct ln_datagrams {
	uint64_t consumed; /* octets of the payload that are done with */
	uint64_t sent;	   /* datagrams */
	uint64_t octets;   /* in them */
	uint64_t too_long; /* longer than LN_DATAGRAM_MAX: not sent */
};

/* Sends the parts of a payload as datagrams on a connected socket, until it is full or about `budget` octets are sent.
 * 0, or a negative errno: -ECONNREFUSED, -EBADMSG where the payload does not fall apart as `framing` says. `out` holds
 * in any case. */
int ln_datagrams_send(int fd, const uint8_t *data, size_t len, int framing, size_t budget, struct ln_datagrams *out);

/* ---- privilege.c ---- */
/* Gives up every capability, sets no_new_privs, uid and gid, and undumpable. */
int ln_drop_privileges(uint32_t uid, uint32_t gid, char *err, size_t err_len);

/* ---- confine.c ---- */
/* Version of the kernel's Landlock; 0: it has none. */
int ln_landlock_abi(void);
/* Confines this thread and those that it starts: files only below the first `writable` of the n folders (open
 * descriptors; no execution there) and, to be read, below the others; no listening on TCP; and the whole process: no
 * system call that delivering never makes. Needs no right. Returns the version of Landlock, 0 where the kernel has
 * none and only the system calls are restricted, or a negative errno. */
int ln_confine(const int *folders, uint32_t writable, uint32_t n, char *err, size_t err_len);

/* CDEF-END */

#endif
