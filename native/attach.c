// SPDX-License-Identifier: Apache-2.0
/* The list of attachments: made, taken over, described. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

struct ln_attached *ln_attached_find(struct ln_probe *probe, uint32_t ifindex, uint32_t hook)
{
	for (uint32_t i = 0; i < probe->n_attached; i++)
		if (probe->attached[i].ifindex == ifindex && probe->attached[i].hook == hook)
			return &probe->attached[i];
	return NULL;
}

struct ln_attached *ln_attached_add(struct ln_probe *probe, uint32_t ifindex, uint32_t hook, int link_fd)
{
	struct ln_attached *list = realloc(probe->attached, (probe->n_attached + 1) * sizeof(*list));

	if (!list)
		return NULL;
	probe->attached = list;
	list += probe->n_attached++;
	*list = (struct ln_attached){.ifindex = ifindex, .hook = hook, .link_fd = link_fd};
	return list;
}

void ln_attached_remove(struct ln_probe *probe, struct ln_attached *attached)
{
	if (attached->link_fd >= 0)
		close(attached->link_fd);
	*attached = probe->attached[--probe->n_attached];
}

/* Descriptors only: what is pinned stays.  Without pins nobody could ever find the tc filters again. */
void ln_attached_close(struct ln_probe *probe)
{
	for (uint32_t i = 0; i < probe->n_attached; i++) {
		struct ln_attached *attached = &probe->attached[i];

		if (!probe->pin_dir[0] && attached->hook == LI_AT_EGRESS)
			ln_tc_detach(probe, attached, NULL, 0);
		if (attached->link_fd >= 0)
			close(attached->link_fd);
	}
	free(probe->attached);
	probe->attached = NULL;
	probe->n_attached = 0;
}

int ln_attached_describe(struct ln_probe *probe, const struct ln_attached *attached, struct ln_attachment *out)
{
	uint32_t ifindex = attached->ifindex, program_id = 0, mode = LN_ATTACH_TC;
	int ret;

	if (attached->hook == LI_AT_INGRESS) {
		ret = ln_xdp_link_info(attached->link_fd, &ifindex, &program_id);
		if (!ret && ifindex != attached->ifindex)
			ret = -ENODEV; /* the interface is gone */
		if (!ret)
			ret = ln_xdp_mode(ifindex, program_id, &mode);
	} else {
		ret = ln_tc_query(ifindex, &program_id);
		if (!ret && program_id != probe->prog_id[LI_AT_EGRESS])
			ret = -ENOENT; /* somebody replaced it */
	}
	if (ret)
		return ret;
	*out = (struct ln_attachment){
		.ifindex = ifindex,
		.hook = attached->hook,
		.mode = mode,
		.program_id = program_id,
		.taken_over = attached->taken_over,
	};
	memcpy(out->tag, probe->tag[attached->hook], sizeof(out->tag));
	return 0;
}

int ln_attach(struct ln_probe *probe, uint32_t ifindex, uint32_t hook, uint32_t mode, int replace,
	      struct ln_attachment *attachment, char *err, size_t err_len)
{
	struct ln_attached *attached = ln_attached_find(probe, ifindex, hook);
	char name[IF_NAMESIZE];
	int ret;

	if (hook > LI_AT_EGRESS || (hook == LI_AT_INGRESS && mode > LN_ATTACH_GENERIC)) {
		ln_say(err, err_len, "No such hook or mode.");
		return -EINVAL;
	}
	if (!if_indextoname(ifindex, name)) {
		ln_say(err, err_len, "There is no interface with index %u here. `ip link` lists them.", ifindex);
		return -ENODEV;
	}
	if (attached && !ln_attached_describe(probe, attached, attachment) &&
	    (hook == LI_AT_EGRESS || attachment->mode == mode))
		return 0;
	if (attached) {
		/* Gone with its interface, replaced by somebody, or wanted in the other mode. */
		ret = ln_detach(probe, ifindex, hook, err, err_len);
		if (ret)
			return ret;
	}
	if (hook == LI_AT_INGRESS)
		ret = ln_xdp_attach(probe, ifindex, mode, replace, err, err_len);
	else
		ret = ln_tc_attach(probe, ifindex, replace, err, err_len);
	if (ret)
		return ret;
	attached = ln_attached_find(probe, ifindex, hook);
	ret = attached ? ln_attached_describe(probe, attached, attachment) : -ENOENT;
	if (ret)
		ln_say(err, err_len, "The kernel does not report what was just attached: %s.", strerror(-ret));
	return ret;
}

int ln_detach(struct ln_probe *probe, uint32_t ifindex, uint32_t hook, char *err, size_t err_len)
{
	struct ln_attached *attached = ln_attached_find(probe, ifindex, hook);
	int ret;

	if (!attached) {
		ln_say(err, err_len, "Nothing of ours is attached there.");
		return -ENOENT;
	}
	if (hook == LI_AT_INGRESS)
		ret = ln_xdp_detach(probe, attached, err, err_len);
	else
		ret = ln_tc_detach(probe, attached, err, err_len);
	if (!ret)
		ln_attached_remove(probe, attached);
	return ret;
}

int ln_attachments(struct ln_probe *probe, struct ln_attachment *out, int max)
{
	int n = 0;

	for (uint32_t i = 0; i < probe->n_attached && n < max; i++)
		if (!ln_attached_describe(probe, &probe->attached[i], &out[n]))
			n++;
	return n;
}

/* ---- taking over ---- */

static int attached_adopt_link(struct ln_probe *probe, const char *path)
{
	uint32_t ifindex = 0, program_id = 0;
	struct ln_attached *attached;
	int ret, fd = bpf_obj_get(path);

	if (fd < 0)
		return -errno;
	ret = ln_xdp_link_info(fd, &ifindex, &program_id);
	if (ret || !ifindex) {
		close(fd);
		return unlink(path) ? -errno : ret; /* its interface is gone */
	}
	if (program_id != probe->prog_id[LI_AT_INGRESS]) {
		close(fd);
		return -ESTALE;
	}
	attached = ln_attached_add(probe, ifindex, LI_AT_INGRESS, fd);
	if (!attached) {
		close(fd);
		return -ENOMEM;
	}
	attached->taken_over = true;
	return 0;
}

static int attached_adopt_filter(struct ln_probe *probe, const char *name, const char *path, uint32_t ifindex)
{
	struct ln_attached *attached;
	uint32_t program_id = 0;

	if (ln_tc_query(ifindex, &program_id) || program_id != probe->prog_id[LI_AT_EGRESS])
		return unlink(path) ? -errno : 0; /* gone, or no longer ours */
	attached = ln_attached_add(probe, ifindex, LI_AT_EGRESS, -1);
	if (!attached)
		return -ENOMEM;
	attached->taken_over = true;
	attached->made_qdisc = strstr(name, "-q") != NULL;
	return 0;
}

static int attached_adopt(void *context, const char *name)
{
	struct ln_probe *probe = context;
	char path[LN_PATH_MAX];
	uint32_t ifindex;
	int ret = ln_pin_path(probe, path, "links", name);

	if (ret)
		return ret;
	if (sscanf(name, "xdp-%u", &ifindex) == 1)
		return attached_adopt_link(probe, path);
	if (sscanf(name, "tc-%u", &ifindex) == 1)
		return attached_adopt_filter(probe, name, path, ifindex);
	return 0;
}

int ln_attached_adopt(struct ln_probe *probe, char *err, size_t err_len)
{
	int ret = ln_pins_each(probe, "links", attached_adopt, probe);

	if (ret)
		ln_say(err, err_len,
		       "The attachments pinned under %s cannot be taken over: %s. Start once with --fresh.",
		       probe->pin_dir, strerror(-ret));
	return ret;
}
