/* SPDX-License-Identifier: Apache-2.0 */
/* Batches from a capture file (pcap or pcapng, through libpcap) instead of from the rings. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pcap/pcap.h>

#include "native.h"

#define LINK_ETHERNET 1
#define LINK_RAW 101
#define ARENA_BYTES (8u << 20)
#define LONGEST_FRAME 262144u	/* libpcap's own bound of a frame in a file */
#define LAST_SECOND 18446744072 /* the last whole one of 64 bits of nanoseconds */

struct ln_file {
	pcap_t *pcap;
	uint8_t *arena; /* frames of the batch in hand */
	uint64_t frames;
	uint16_t link_type;
	char failure[PCAP_ERRBUF_SIZE + 64]; /* where and why reading ended, to be told after the records before it */
};

int ln_file_open(const char *path, struct ln_file **file, char *err, size_t err_len)
{
	char reason[PCAP_ERRBUF_SIZE];
	struct ln_file *f = calloc(1, sizeof(*f));
	int link, ret = -ENOMEM;

	if (!f)
		return ret;
	f->arena = malloc(ARENA_BYTES);
	if (!f->arena)
		goto out;
	ret = -EBADMSG;
	f->pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, reason);
	if (!f->pcap) {
		snprintf(err, err_len, "%s", reason);
		goto out;
	}
	link = pcap_datalink(f->pcap);
	if (link != DLT_EN10MB && link != DLT_RAW) {
		snprintf(err, err_len, "link type %d (%s) is neither Ethernet nor raw IP", link,
			 pcap_datalink_val_to_description_or_dlt(link));
		goto out;
	}
	f->link_type = link == DLT_EN10MB ? LINK_ETHERNET : LINK_RAW;
	*file = f;
	return 0;
out:
	ln_file_close(f);
	return ret;
}

void ln_file_close(struct ln_file *file)
{
	if (!file)
		return;
	if (file->pcap)
		pcap_close(file->pcap);
	free(file->arena);
	free(file);
}

/* Keeps the matched frame in the arena and points the batch's new records at it. */
static uint32_t keep(struct ln_file *file, uint32_t used, const uint8_t *frame, uint32_t len, struct ln_batch *batch,
		     int matches)
{
	memcpy(file->arena + used, frame, len);
	for (int i = 0; i < matches; i++)
		batch->data[batch->n + (uint32_t)i] = file->arena + used;
	batch->n += (uint32_t)matches;
	return used + len;
}

static void fail(struct ln_file *file, const char *reason)
{
	snprintf(file->failure, sizeof(file->failure), "frame %llu: %s", (unsigned long long)file->frames + 1, reason);
}

/* The next frame, or NULL at the end and where the file is damaged. */
static const uint8_t *next_frame(struct ln_file *file, struct pcap_pkthdr **header)
{
	const uint8_t *frame;
	int ret = pcap_next_ex(file->pcap, header, &frame);
	const struct pcap_pkthdr *h = *header;

	if (ret == PCAP_ERROR_BREAK)
		return NULL;
	if (ret != 1) {
		fail(file, pcap_geterr(file->pcap));
		return NULL;
	}
	if (h->caplen > LONGEST_FRAME || h->len < h->caplen || h->ts.tv_sec < 0 || h->ts.tv_sec > LAST_SECOND ||
	    h->ts.tv_usec < 0 || h->ts.tv_usec > 999999999) {
		fail(file, "its lengths or its time cannot be");
		return NULL;
	}
	file->frames++;
	return frame;
}

int ln_file_batch(struct ln_file *file, struct ln_matcher *matcher, uint32_t ifindex, uint32_t hook,
		  struct ln_batch *batch, char *err, size_t err_len)
{
	uint32_t used = 0;

	batch->n = 0;
	while (!*file->failure && batch->n + LI_MAX_MATCHES <= batch->capacity && used + LONGEST_FRAME <= ARENA_BYTES) {
		struct pcap_pkthdr *header;
		const uint8_t *frame = next_frame(file, &header);
		uint64_t utc_ns;
		int ret;

		if (!frame)
			break;
		utc_ns = (uint64_t)header->ts.tv_sec * 1000000000u + (uint64_t)header->ts.tv_usec;
		ret = ln_match_frame(matcher, frame, header->caplen, header->len, file->link_type, utc_ns, ifindex,
				     hook, batch->recs + batch->n);
		if (ret > 0)
			used = keep(file, used, frame, header->caplen, batch, ret);
	}
	/* What came before the damage is matched and counted: it is handed out first. */
	if (batch->n || !*file->failure)
		return (int)batch->n;
	snprintf(err, err_len, "%s", file->failure);
	return -EBADMSG;
}
