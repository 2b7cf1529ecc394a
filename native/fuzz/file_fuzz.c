// SPDX-License-Identifier: Apache-2.0
/* libFuzzer harness of replay: any bytes as a capture file; every record lies inside the memory that it points to. */
#define _GNU_SOURCE /* memfd_create */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../native.h"

#define ROOM 128

static struct ln_matcher *matcher;
static volatile uint8_t sum;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct li_config config = {.kinds = LI_KIND_V4, .n_v4_lens = 1, .v4_lens = {1}};
	struct li_slot slots[2] = {{.generation = 1, .mode = LI_MODE_HEADERS, .not_after = ~0ull},
				   {.generation = 1, .mode = LI_MODE_CONTENT, .not_after = ~0ull}};
	struct li_port port = {.ingress = {.flags = LI_HOOK_ACTIVE, .sides = 3, .access_sides = 3}};
	struct li_target value = {.n_claims = 2, .claims = {1 << 12, 1 << 12 | 1}}, values[2] = {value, value};
	struct li_key_v4 keys[2] = {{{0}, 1}, {{0x80}, 1}};
	uint32_t numbers[2] = {0, 1}, zero = 0, one = 1;

	(void)argc;
	(void)argv;
	matcher = ln_matcher_new();
	if (!matcher || ln_matcher_load(matcher, LI_MAP_CONFIG, &zero, 4, &config, sizeof(config), 1) ||
	    ln_matcher_load(matcher, LI_MAP_SLOTS, numbers, 4, slots, sizeof(*slots), 2) ||
	    ln_matcher_load(matcher, LI_MAP_PORTS, &one, 4, &port, sizeof(port), 1) ||
	    ln_matcher_load(matcher, LI_MAP_V4, keys, sizeof(*keys), values, sizeof(value), 2))
		abort();
	return 0;
}

/* Reads every byte that a record promises, so that the sanitizer sees one that is not there. */
static void check_batch(const struct ln_batch *batch)
{
	for (uint32_t i = 0; i < batch->n; i++) {
		const struct li_rec *rec = &batch->recs[i];

		if ((rec->kind == LI_REC_HEADER) != !rec->cap_len || rec->cap_len > rec->wire_len ||
		    rec->cap_len > LI_MAX_FRAME)
			abort();
		for (uint32_t at = 0; at < rec->cap_len; at++)
			sum += batch->data[i][at];
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct li_rec recs[ROOM];
	static const uint8_t *frames[ROOM];
	struct ln_batch batch = {.recs = recs, .data = frames, .capacity = ROOM};
	struct ln_file *file = NULL;
	int fd = memfd_create("capture", 0), ret;
	char path[64], err[256] = "";

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = ln_file_open(path, &file, err, sizeof(err));
	if (ret) {
		if (!*err)
			abort(); /* refused without a reason */
		goto out;
	}
	while ((ret = ln_file_batch(file, matcher, 1, LI_AT_INGRESS, &batch, err, sizeof(err))) > 0) {
		if ((uint32_t)ret != batch.n)
			abort();
		check_batch(&batch);
	}
	if (ret < 0 && (!*err || batch.n))
		abort(); /* damaged, but not said where, or with records that nobody gets */
	ln_file_close(file);
out:
	close(fd);
	return 0;
}
