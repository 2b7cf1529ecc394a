// SPDX-License-Identifier: Apache-2.0
/* XDP attachments: BPF links, pinned, in the mode that was asked for and no other. */
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

static const char *xdp_name(uint32_t ifindex, char *name)
{
	return if_indextoname(ifindex, name) ? name : "that is gone";
}

int ln_xdp_link_info(int link_fd, uint32_t *ifindex, uint32_t *program_id)
{
	struct bpf_link_info info = {};
	uint32_t info_len = sizeof(info);

	if (bpf_obj_get_info_by_fd(link_fd, &info, &info_len))
		return -errno;
	if (info.type != BPF_LINK_TYPE_XDP)
		return -EINVAL;
	*ifindex = info.xdp.ifindex;
	*program_id = info.prog_id;
	return 0;
}

int ln_xdp_mode(uint32_t ifindex, uint32_t program_id, uint32_t *mode)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	int ret = bpf_xdp_query((int)ifindex, 0, &query);

	if (ret)
		return ret;
	if (query.drv_prog_id == program_id)
		*mode = LN_ATTACH_NATIVE;
	else if (query.skb_prog_id == program_id)
		*mode = LN_ATTACH_GENERIC;
	else if (query.hw_prog_id == program_id)
		*mode = LN_ATTACH_OFFLOAD;
	else
		return -ENOENT;
	return 0;
}

/* Makes room where another program is attached, if that is wanted and possible. */
static int xdp_clear(uint32_t ifindex, int replace, char *err, size_t err_len)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	char name[IF_NAMESIZE];
	uint32_t id, flags;
	int ret = bpf_xdp_query((int)ifindex, 0, &query);

	if (ret) {
		ln_say(err, err_len, "The interface %u cannot be asked for its XDP program: %s.", ifindex,
		       strerror(-ret));
		return ret;
	}
	id = query.drv_prog_id ? query.drv_prog_id : query.skb_prog_id ? query.skb_prog_id : query.hw_prog_id;
	if (!id)
		return 0;
	if (!replace) {
		ln_say(err, err_len,
		       "Another XDP program (id %u) is attached to the interface %s. Remove it, or ask for "
		       "replacement.",
		       id, xdp_name(ifindex, name));
		return -EBUSY;
	}
	flags = query.drv_prog_id ? XDP_FLAGS_DRV_MODE : query.skb_prog_id ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_HW_MODE;
	ret = bpf_xdp_detach((int)ifindex, flags, NULL);
	if (ret == -EBUSY)
		ln_say(err, err_len,
		       "The XDP program (id %u) on the interface %s is held by a BPF link, which only its owner can "
		       "end: stop the process that owns it, or remove its pin.",
		       id, xdp_name(ifindex, name));
	else if (ret)
		ln_say(err, err_len, "The XDP program (id %u) on the interface %s cannot be removed: %s.", id,
		       xdp_name(ifindex, name), strerror(-ret));
	return ret;
}

static void xdp_explain(int ret, uint32_t ifindex, uint32_t mode, char *err, size_t err_len)
{
	char name[IF_NAMESIZE];

	if (ret == -EPERM)
		ln_say(err, err_len, "Attaching to %s is not allowed. Run as root, or with CAP_BPF and CAP_NET_ADMIN.",
		       xdp_name(ifindex, name));
	else if (ret == -EBUSY || ret == -EEXIST)
		ln_say(err, err_len, "Another XDP program was attached to %s at the same moment.",
		       xdp_name(ifindex, name));
	else if (mode == LN_ATTACH_NATIVE)
		ln_say(err, err_len,
		       "The driver of %s does not take the program in native mode (%s): check its MTU, queues and "
		       "LRO, or ask for generic mode, which is slower.",
		       xdp_name(ifindex, name), strerror(-ret));
	else
		ln_say(err, err_len, "The program cannot be attached to %s in generic mode: %s.",
		       xdp_name(ifindex, name), strerror(-ret));
}

static int xdp_pin(struct ln_probe *probe, uint32_t ifindex, int link_fd)
{
	char path[LN_PATH_MAX], name[32];
	int ret;

	if (!probe->pin_dir[0])
		return 0;
	snprintf(name, sizeof(name), "xdp-%u", ifindex);
	ret = ln_pin_path(probe, path, "links", name);
	if (ret)
		return ret;
	/* A left-over of an interface that is gone and whose index came back. */
	if (unlink(path) && errno != ENOENT)
		return -errno;
	return bpf_obj_pin(link_fd, path) ? -errno : 0;
}

int ln_xdp_attach(struct ln_probe *probe, uint32_t ifindex, uint32_t mode, int replace, char *err, size_t err_len)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	int fd, ret = xdp_clear(ifindex, replace, err, err_len);

	if (ret)
		return ret;
	opts.flags = mode == LN_ATTACH_GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	fd = bpf_link_create(probe->prog_fd[LI_AT_INGRESS], (int)ifindex, BPF_XDP, &opts);
	if (fd < 0) {
		ret = -errno;
		xdp_explain(ret, ifindex, mode, err, err_len);
		return ret;
	}
	ret = xdp_pin(probe, ifindex, fd);
	if (!ret && !ln_attached_add(probe, ifindex, LI_AT_INGRESS, fd))
		ret = -ENOMEM;
	if (ret) {
		ln_say(err, err_len, "The attachment cannot be kept under %s: %s.", probe->pin_dir, strerror(-ret));
		bpf_link_detach(fd);
		close(fd);
	}
	return ret;
}

int ln_xdp_detach(struct ln_probe *probe, struct ln_attached *attached, char *err, size_t err_len)
{
	char path[LN_PATH_MAX], name[32];
	int ret = 0;

	if (bpf_link_detach(attached->link_fd) && errno != ENOLINK) {
		ret = -errno;
		ln_say(err, err_len, "The XDP program cannot be detached: %s.", strerror(-ret));
		return ret;
	}
	if (probe->pin_dir[0]) {
		snprintf(name, sizeof(name), "xdp-%u", attached->ifindex);
		ret = ln_pin_path(probe, path, "links", name);
		if (!ret && unlink(path) && errno != ENOENT)
			ret = -errno;
	}
	if (ret)
		ln_say(err, err_len, "The pin of the XDP link cannot be removed: %s.", strerror(-ret));
	return ret;
}
