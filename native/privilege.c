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

/* capset and prctl act on one thread: with others running, they would keep what this one gives up. */
static int privilege_alone(void)
{
	char line[128];
	FILE *status = fopen("/proc/self/status", "re");
	int threads = 0;

	if (!status)
		return -errno;
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "Threads: %d", &threads) == 1)
			break;
	fclose(status);
	return threads == 1 ? 0 : -EBUSY;
}

static int privilege_bounding(bool may)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && may)
			return -errno;
	return 0;
}

static int privilege_ids(uint32_t uid, uint32_t gid)
{
	if (geteuid() == uid && getegid() == gid && geteuid() != 0)
		return 0; /* started without privilege: there is nothing to change and no right to */
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return -errno;
	return 0;
}

static int privilege_verify(uint32_t uid, uint32_t gid)
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
	if (r != uid || e != uid || s != uid || gr != gid || ge != gid || gs != gid)
		return -EPERM;
	return 0;
}

static int privilege_drop(uint32_t uid, uint32_t gid, const char **step)
{
	struct __user_cap_data_struct data[2] = {};
	bool may;
	int ret;

	*step = "another thread runs already (call this first, and set OPENBLAS_NUM_THREADS=1)";
	ret = privilege_alone();
	if (ret)
		return ret;
	*step = "reading the capabilities";
	ret = privilege_caps(0, data);
	if (ret)
		return ret;
	may = data[0].effective & 1u << CAP_SETPCAP;
	*step = "no_new_privs";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	*step = "the ambient capabilities";
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		return -errno;
	*step = "the bounding set";
	ret = privilege_bounding(may);
	if (ret)
		return ret;
	*step = "user and group";
	/* The secure bits come after the change of user, which clears the capabilities of a thread by itself. */
	if (may && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		return -errno;
	ret = privilege_ids(uid, gid);
	if (ret)
		return ret;
	*step = "the secure bits";
	if (may) {
		memset(data, 0, sizeof(data));
		data[0].effective = data[0].permitted = 1u << CAP_SETPCAP;
		ret = privilege_caps(1, data);
		if (ret)
			return ret;
		if (prctl(PR_SET_SECUREBITS, PRIVILEGE_BITS, 0, 0, 0))
			return -errno;
	}
	*step = "the capabilities";
	memset(data, 0, sizeof(data));
	ret = privilege_caps(1, data);
	if (ret)
		return ret;
	*step = "dumpable";
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return -errno;
	*step = "verification";
	return privilege_verify(uid, gid);
}

int ln_drop_privileges(uint32_t uid, uint32_t gid, char *err, size_t err_len)
{
	const char *step;
	int ret = privilege_drop(uid, gid, &step);

	if (ret)
		ln_say(err, err_len, "The privileges cannot be given up: %s (%s).", step, strerror(-ret));
	return ret;
}
