// SPDX-License-Identifier: Apache-2.0
/* tc egress attachments: our filter in the clsact queueing discipline, known by its own handle and priority. */
#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"

#define TC_HANDLE 0x4c49 /* "LI" */
#define TC_PRIORITY 1	 /* before every filter that could end the walk */

static struct bpf_tc_hook tc_hook(uint32_t ifindex)
{
	return (struct bpf_tc_hook){
		.sz = sizeof(struct bpf_tc_hook), .ifindex = (int)ifindex, .attach_point = BPF_TC_EGRESS};
}

static struct bpf_tc_opts tc_opts(void)
{
	return (struct bpf_tc_opts){.sz = sizeof(struct bpf_tc_opts), .handle = TC_HANDLE, .priority = TC_PRIORITY};
}

int ln_tc_query(uint32_t ifindex, uint32_t *program_id)
{
	struct bpf_tc_hook hook = tc_hook(ifindex);
	struct bpf_tc_opts opts = tc_opts();
	int ret = bpf_tc_query(&hook, &opts);

	if (!ret)
		*program_id = opts.prog_id;
	return ret;
}

/* True where the dump of filters below `parent` names one. Doubt counts as one. */
static bool tc_dump_has_filter(int fd, uint32_t ifindex, uint32_t parent)
{
	struct {
		struct nlmsghdr header;
		struct tcmsg body;
	} request = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct tcmsg)),
			   .nlmsg_type = RTM_GETTFILTER,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.body = {.tcm_family = AF_UNSPEC, .tcm_ifindex = (int)ifindex, .tcm_parent = parent},
	};
	_Alignas(struct nlmsghdr) char answer[16384];

	if (send(fd, &request, sizeof(request), 0) < 0)
		return true;
	for (;;) {
		ssize_t got = recv(fd, answer, sizeof(answer), 0);
		unsigned int left = got > 0 ? (unsigned int)got : 0;

		if (got <= 0)
			return true;
		for (struct nlmsghdr *message = (struct nlmsghdr *)answer; NLMSG_OK(message, left);
		     message = NLMSG_NEXT(message, left)) {
			if (message->nlmsg_type == NLMSG_DONE)
				return false;
			return true;
		}
	}
}

static bool tc_in_use(uint32_t ifindex)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	bool used;

	if (fd < 0)
		return true;
	used = tc_dump_has_filter(fd, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)) ||
	       tc_dump_has_filter(fd, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS));
	close(fd);
	return used;
}

/* The queueing discipline goes too where we made it and nobody else uses it. */
static void tc_drop_qdisc(uint32_t ifindex)
{
	struct bpf_tc_hook hook = tc_hook(ifindex);

	if (tc_in_use(ifindex))
		return;
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	bpf_tc_hook_destroy(&hook);
}

static int tc_path(const struct ln_probe *probe, uint32_t ifindex, bool made_qdisc, char *path)
{
	char name[32];

	snprintf(name, sizeof(name), "tc-%u%s", ifindex, made_qdisc ? "-q" : "");
	return ln_pin_path(probe, path, "links", name);
}

static int tc_unpin(const struct ln_probe *probe, uint32_t ifindex)
{
	char path[LN_PATH_MAX];
	int ret = 0;

	for (int made = 0; !ret && made < 2; made++) {
		ret = tc_path(probe, ifindex, made, path);
		if (!ret && unlink(path) && errno != ENOENT)
			ret = -errno;
	}
	return ret;
}

/* A pin of the program with the interface in its name: so a later daemon knows where to look. */
static int tc_pin(const struct ln_probe *probe, uint32_t ifindex, bool made_qdisc)
{
	char path[LN_PATH_MAX];
	int ret;

	if (!probe->pin_dir[0])
		return 0;
	ret = tc_unpin(probe, ifindex);
	if (!ret)
		ret = tc_path(probe, ifindex, made_qdisc, path);
	if (!ret && bpf_obj_pin(probe->prog_fd[LI_AT_EGRESS], path))
		ret = -errno;
	return ret;
}

static void tc_explain(int ret, uint32_t ifindex, uint32_t other_id, char *err, size_t err_len)
{
	char name[IF_NAMESIZE] = "of that index";

	if_indextoname(ifindex, name);
	if (ret == -EBUSY)
		ln_say(err, err_len,
		       "Another program (id %u) holds our place in the tc egress filters of %s (handle %#x, priority "
		       "%u). "
		       "Remove it, or ask for replacement.",
		       other_id, name, TC_HANDLE, TC_PRIORITY);
	else if (ret == -EPERM)
		ln_say(err, err_len, "Attaching to %s is not allowed. Run as root, or with CAP_BPF and CAP_NET_ADMIN.",
		       name);
	else
		ln_say(err, err_len,
		       "The tc egress filter cannot be attached to %s: %s. A filter of another kind with priority %u "
		       "must be moved.",
		       name, strerror(-ret), TC_PRIORITY);
}

int ln_tc_attach(struct ln_probe *probe, uint32_t ifindex, int replace, char *err, size_t err_len)
{
	struct bpf_tc_hook hook = tc_hook(ifindex);
	struct bpf_tc_opts opts = tc_opts();
	struct ln_attached *attached;
	uint32_t other_id = 0;
	bool made_qdisc;
	int ret = bpf_tc_hook_create(&hook);

	made_qdisc = ret == 0;
	if (ret == -EEXIST)
		ret = 0;
	if (ret)
		goto out;
	if (!ln_tc_query(ifindex, &other_id) && !replace) {
		ret = -EBUSY;
		goto out;
	}
	opts.prog_fd = probe->prog_fd[LI_AT_EGRESS];
	opts.flags = replace ? BPF_TC_F_REPLACE : 0;
	ret = bpf_tc_attach(&hook, &opts);
	if (ret)
		goto out;
	ret = tc_pin(probe, ifindex, made_qdisc);
	if (!ret) {
		attached = ln_attached_add(probe, ifindex, LI_AT_EGRESS, -1);
		if (attached)
			attached->made_qdisc = made_qdisc;
		else
			ret = -ENOMEM;
	}
	if (ret) {
		struct bpf_tc_opts own = tc_opts();

		bpf_tc_detach(&hook, &own);
	}
out:
	if (ret) {
		tc_explain(ret, ifindex, other_id, err, err_len);
		if (made_qdisc)
			tc_drop_qdisc(ifindex);
	}
	return ret;
}

int ln_tc_detach(struct ln_probe *probe, struct ln_attached *attached, char *err, size_t err_len)
{
	struct bpf_tc_hook hook = tc_hook(attached->ifindex);
	struct bpf_tc_opts opts = tc_opts();
	uint32_t program_id = 0;
	int ret = ln_tc_query(attached->ifindex, &program_id);

	/* Gone with its interface, or replaced by somebody: nothing of ours is left there. */
	if (!ret && (!probe->prog_id[LI_AT_EGRESS] || program_id == probe->prog_id[LI_AT_EGRESS]))
		ret = bpf_tc_detach(&hook, &opts);
	else
		ret = 0;
	if (ret && ret != -ENOENT && ret != -ENODEV) {
		ln_say(err, err_len, "The tc egress filter cannot be detached: %s.", strerror(-ret));
		return ret;
	}
	if (attached->made_qdisc)
		tc_drop_qdisc(attached->ifindex);
	ret = probe->pin_dir[0] ? tc_unpin(probe, attached->ifindex) : 0;
	if (ret)
		ln_say(err, err_len, "The pin of the tc filter cannot be removed: %s.", strerror(-ret));
	return ret;
}
