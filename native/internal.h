/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the native core share and Python does not see. */
#ifndef LICTL_INTERNAL_H
#define LICTL_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "native.h"

#define LN_PATH_MAX 512
#define LN_MAX_MAPS 32
#define LN_NOT_ONLINE_RING (1u << 20) /* largest ring of a CPU that is possible but not running */

/* A ring buffer as the kernel maps it: our page, then its page, then the data twice. */
struct ln_ring {
	uint32_t cpu;
	uint32_t size; /* bytes of data, a power of two */
	int fd;
	uint64_t *consumer;	  /* the only page that is writable */
	const uint64_t *producer; /* written by the kernel */
	const uint8_t *data;
	uint64_t read;	  /* private: how far ln_drain has come */
	uint64_t pending; /* records handed out since the last release */
	uint64_t consumed;
	uint64_t damaged; /* records that contradict their own lengths: skipped */
};

/* One attachment that this process made or took over. */
struct ln_attached {
	uint32_t ifindex;
	uint32_t hook;
	int link_fd; /* of an XDP link; -1 for tc */
	bool made_qdisc;
	bool taken_over;
};

struct ln_probe {
	struct bpf_object *object;
	char pin_dir[LN_PATH_MAX]; /* empty: nothing is pinned */
	int prog_fd[2];		   /* by LI_AT_*: what is, or will be, attached */
	uint32_t prog_id[2];
	uint8_t tag[2][8];

	struct li_config *config; /* mapped */
	size_t config_size;
	uint32_t *sleep; /* mapped */
	size_t sleep_size;
	struct li_slot *slots; /* mapped */
	size_t slots_size;
	struct li_filter *filter; /* mapped */
	size_t filter_size;

	struct ln_ring *rings;
	uint32_t n_rings;
	int epoll_fd;
	int wake_fd;

	struct ln_attached *attached;
	uint32_t n_attached;
};

/* text.c */
void ln_say(char *err, size_t err_len, const char *format, ...) __attribute__((format(printf, 3, 4)));
void ln_quiet(void);

/* maps.c */
int ln_possible(void);
bool ln_cpu_online(uint32_t cpu);

/* pins.c */
int ln_pin_path(const struct ln_probe *probe, char *path, const char *folder, const char *name);
int ln_pins_prepare(struct ln_probe *probe, char *err, size_t err_len);
bool ln_pins_present(const struct ln_probe *probe);
int ln_pins_reuse(struct ln_probe *probe, uint32_t ring_bytes, char *err, size_t err_len);
int ln_pins_adopt(struct ln_probe *probe, char *err, size_t err_len);
int ln_pins_write(struct ln_probe *probe, char *err, size_t err_len);
int ln_pins_remove(struct ln_probe *probe, char *err, size_t err_len);
int ln_pins_each(const struct ln_probe *probe, const char *folder, int (*visit)(void *context, const char *name),
		 void *context);

/* rings.c */
int ln_rings_make(struct ln_probe *probe, uint32_t ring_bytes, char *err, size_t err_len);
int ln_rings_open(struct ln_probe *probe, char *err, size_t err_len);
void ln_rings_close(struct ln_probe *probe);
uint32_t ln_ring_bytes_for(uint32_t cpu, uint32_t ring_bytes);

/* attach.c */
int ln_attached_adopt(struct ln_probe *probe, char *err, size_t err_len);
struct ln_attached *ln_attached_find(struct ln_probe *probe, uint32_t ifindex, uint32_t hook);
struct ln_attached *ln_attached_add(struct ln_probe *probe, uint32_t ifindex, uint32_t hook, int link_fd);
void ln_attached_remove(struct ln_probe *probe, struct ln_attached *attached);
int ln_attached_describe(struct ln_probe *probe, const struct ln_attached *attached, struct ln_attachment *out);
void ln_attached_close(struct ln_probe *probe);

/* attach_xdp.c */
int ln_xdp_attach(struct ln_probe *probe, uint32_t ifindex, uint32_t mode, int replace, char *err, size_t err_len);
int ln_xdp_detach(struct ln_probe *probe, struct ln_attached *attached, char *err, size_t err_len);
int ln_xdp_link_info(int link_fd, uint32_t *ifindex, uint32_t *program_id);
int ln_xdp_mode(uint32_t ifindex, uint32_t program_id, uint32_t *mode);

/* attach_tc.c */
int ln_tc_attach(struct ln_probe *probe, uint32_t ifindex, int replace, char *err, size_t err_len);
int ln_tc_detach(struct ln_probe *probe, struct ln_attached *attached, char *err, size_t err_len);
int ln_tc_query(uint32_t ifindex, uint32_t *program_id);

#endif
