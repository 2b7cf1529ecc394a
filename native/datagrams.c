// SPDX-License-Identifier: Apache-2.0
/* One PDU a datagram: payloads cut into datagrams and sent many at a time (sendmmsg(2)). */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "native.h"

#define DATAGRAMS_AT_ONCE 64

struct datagrams_part {
	size_t head; /* octets before the datagram that are not sent */
	size_t size;
};

/* BER (X.690 8.1): a whole element with a definite length is the datagram. */
static int datagrams_ber(const uint8_t *at, size_t len, struct datagrams_part *part)
{
	size_t used = 1, size, octets;

	if (!len)
		return -EBADMSG;
	if ((at[0] & 0x1f) == 0x1f) {
		do {
			if (used >= len)
				return -EBADMSG;
		} while (at[used++] & 0x80);
	}
	if (used >= len)
		return -EBADMSG;
	size = at[used++];
	if (size & 0x80) {
		octets = size & 0x7f;
		size = 0;
		if (!octets || octets > 8 || octets > len - used)
			return -EBADMSG;
		while (octets--)
			size = size << 8 | at[used++];
	}
	if (size > len - used)
		return -EBADMSG;
	*part = (struct datagrams_part){.head = 0, .size = used + size};
	return 0;
}

static int datagrams_length(const uint8_t *at, size_t len, struct datagrams_part *part)
{
	uint32_t size;

	if (len < sizeof(size))
		return -EBADMSG;
	size = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
	if (size > len - sizeof(size))
		return -EBADMSG;
	*part = (struct datagrams_part){.head = sizeof(size), .size = size};
	return 0;
}

struct datagrams_batch {
	struct mmsghdr messages[DATAGRAMS_AT_ONCE];
	struct iovec parts[DATAGRAMS_AT_ONCE];
	size_t ends[DATAGRAMS_AT_ONCE]; /* into the payload, behind each */
	unsigned int n;
};

/* Cuts as many as fit, are allowed and are short enough; *at moves behind them. */
static int datagrams_cut(const uint8_t *data, size_t len, int framing, size_t budget, size_t *at,
			 struct datagrams_batch *batch, struct ln_datagrams *out)
{
	batch->n = 0;
	while (*at < len && batch->n < DATAGRAMS_AT_ONCE && budget) {
		struct datagrams_part part;
		int ret = framing == LN_FRAMING_BER ? datagrams_ber(data + *at, len - *at, &part)
						    : datagrams_length(data + *at, len - *at, &part);

		if (ret)
			return ret;
		if (part.size > LN_DATAGRAM_MAX) {
			if (batch->n)
				break; /* what stands before it is sent first */
			*at += part.head + part.size;
			out->consumed = *at;
			out->too_long++;
			continue;
		}
		batch->parts[batch->n] = (struct iovec){(void *)(data + *at + part.head), part.size};
		batch->messages[batch->n].msg_hdr =
			(struct msghdr){.msg_iov = &batch->parts[batch->n], .msg_iovlen = 1};
		*at += part.head + part.size;
		batch->ends[batch->n++] = *at;
		budget -= part.size < budget ? part.size : budget;
	}
	return 0;
}

int ln_datagrams_send(int fd, const uint8_t *data, size_t len, int framing, size_t budget, struct ln_datagrams *out)
{
	struct datagrams_batch batch;
	size_t at = 0;

	memset(out, 0, sizeof(*out));
	while (at < len && out->octets < budget) {
		int sent, ret = datagrams_cut(data, len, framing, budget - out->octets, &at, &batch, out);

		if (ret)
			return ret;
		if (!batch.n)
			continue;
		sent = sendmmsg(fd, batch.messages, batch.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0)
			return errno == EWOULDBLOCK ? 0 : -errno;
		for (int i = 0; i < sent; i++)
			out->octets += batch.parts[i].iov_len;
		out->sent += (uint64_t)sent;
		if (sent)
			out->consumed = batch.ends[sent - 1];
		if ((unsigned int)sent < batch.n)
			return 0; /* the socket is full, or an error follows at the next call */
	}
	return 0;
}
