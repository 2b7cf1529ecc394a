// SPDX-License-Identifier: Apache-2.0
/* Giving up every privilege for good: for the process that talks to agencies. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

#define PRIVILEGE_BITS                                                                                                 \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |               \
	 SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

static int privilege_caps(int write, struct __user_cap_data_struct *data)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return (int)syscall(write ? SYS_capset : SYS_capget, &header, data) ? -errno : 0;
}

struct privilege {
	uint32_t uid;
	uint32_t gid;
	bool may; /* holds CAP_SETPCAP: what is refused without it is an error with it */
};

/* capset and prctl act on one thread: with others running, they would keep what this one gives up. */
static int privilege_alone(struct privilege *self)
{
	char line[128];
	FILE *status = fopen("/proc/self/status", "re");
	int threads = 0;

	(void)self;
	if (!status)
		return -errno;
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "Threads: %d", &threads) == 1)
			break;
	fclose(status);
	return threads == 1 ? 0 : -EBUSY;
}

static int privilege_look(struct privilege *self)
{
	struct __user_cap_data_struct data[2] = {};
	int ret = privilege_caps(0, data);

	self->may = data[0].effective & 1u << CAP_SETPCAP;
	return ret;
}

static int privilege_no_new(struct privilege *self)
{
	(void)self;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}

static int privilege_ambient(struct privilege *self)
{
	(void)self;
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) ? -errno : 0;
}

static int privilege_bounding(struct privilege *self)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && self->may)
			return -errno;
	return 0;
}

static int privilege_ids(struct privilege *self)
{
	if (geteuid() == self->uid && getegid() == self->gid && geteuid() != 0)
		return 0; /* started without privilege: there is nothing to change and no right to */
	/* The change of user would take CAP_SETPCAP away, which the next step needs. */
	if (self->may && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		return -errno;
	if (setgroups(0, NULL) || setresgid(self->gid, self->gid, self->gid) ||
	    setresuid(self->uid, self->uid, self->uid))
		return -errno;
	return 0;
}

static int privilege_securebits(struct privilege *self)
{
	struct __user_cap_data_struct data[2] = {};
	int ret;

	if (!self->may)
		return 0;
	data[0].effective = data[0].permitted = 1u << CAP_SETPCAP;
	ret = privilege_caps(1, data);
	if (ret)
		return ret;
	return prctl(PR_SET_SECUREBITS, PRIVILEGE_BITS, 0, 0, 0) ? -errno : 0;
}

static int privilege_no_caps(struct privilege *self)
{
	struct __user_cap_data_struct data[2] = {};

	(void)self;
	return privilege_caps(1, data);
}

static int privilege_undumpable(struct privilege *self)
{
	(void)self;
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ? -errno : 0;
}

static int privilege_verify(struct privilege *self)
{
	struct __user_cap_data_struct data[2] = {};
	uid_t r, e, s;
	gid_t gr, ge, gs;
	int ret = privilege_caps(0, data);

	if (ret)
		return ret;
	for (int i = 0; i < 2; i++)
		if (data[i].effective || data[i].permitted || data[i].inheritable)
			return -EPERM;
	if (getresuid(&r, &e, &s) || getresgid(&gr, &ge, &gs))
		return -errno;
	if (r != self->uid || e != self->uid || s != self->uid || gr != self->gid || ge != self->gid || gs != self->gid)
		return -EPERM;
	return 0;
}

static const struct {
	int (*step)(struct privilege *self);
	const char *name;
} privilege_steps[] = {
	{privilege_alone, "another thread runs already: call this first, and set OPENBLAS_NUM_THREADS=1"},
	{privilege_look, "reading the capabilities"},
	{privilege_no_new, "no_new_privs"},
	{privilege_ambient, "the ambient capabilities"},
	{privilege_bounding, "the bounding set"},
	{privilege_ids, "user and group"},
	{privilege_securebits, "the secure bits"},
	{privilege_no_caps, "the capabilities"},
	{privilege_undumpable, "dumpable"},
	{privilege_verify, "verification"},
};

int ln_drop_privileges(uint32_t uid, uint32_t gid, char *err, size_t err_len)
{
	struct privilege self = {.uid = uid, .gid = gid};

	for (size_t i = 0; i < sizeof(privilege_steps) / sizeof(*privilege_steps); i++) {
		int ret = privilege_steps[i].step(&self);

		if (ret) {
			ln_say(err, err_len, "The privileges cannot be given up: %s (%s).", privilege_steps[i].name,
			       strerror(-ret));
			return ret;
		}
	}
	return 0;
}
