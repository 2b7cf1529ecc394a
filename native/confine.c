// SPDX-License-Identifier: Apache-2.0
/* A process confined for good: to some folders (Landlock, landlock(7)), and to system calls that delivering needs
 * (seccomp(2)). Needs no privilege. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

/* linux/landlock.h; older headers lack the later ones. */
#define CONFINE_VERSION 1u /* LANDLOCK_CREATE_RULESET_VERSION */
#define CONFINE_BENEATH 1  /* LANDLOCK_RULE_PATH_BENEATH */
#define CONFINE_EXECUTE (1ull << 0)
#define CONFINE_WRITE_FILE (1ull << 1)
#define CONFINE_READ_FILE (1ull << 2)
#define CONFINE_READ_DIR (1ull << 3)
#define CONFINE_REMOVE_DIR (1ull << 4)
#define CONFINE_REMOVE_FILE (1ull << 5)
#define CONFINE_MAKE_DIR (1ull << 7)
#define CONFINE_MAKE_REG (1ull << 8)
#define CONFINE_REFER (1ull << 13)
#define CONFINE_TRUNCATE (1ull << 14)
#define CONFINE_BIND_TCP (1ull << 0)
#define CONFINE_SCOPES 3ull /* abstract UNIX sockets and signals of other processes */

#define CONFINE_READ (CONFINE_READ_FILE | CONFINE_READ_DIR)
#define CONFINE_ALL                                                                                                    \
	(CONFINE_READ | CONFINE_WRITE_FILE | CONFINE_REMOVE_DIR | CONFINE_REMOVE_FILE | CONFINE_MAKE_DIR |             \
	 CONFINE_MAKE_REG | CONFINE_REFER | CONFINE_TRUNCATE)

struct confine_ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

struct confine_beneath {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));

int ln_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, CONFINE_VERSION);

	return abi < 0 ? 0 : (int)abi;
}

/* Every right to files that this ABI can take away. */
static uint64_t confine_handled(int abi)
{
	static const int rights[] = {0, 13, 14, 15, 15, 16};
	size_t last = sizeof(rights) / sizeof(*rights) - 1;

	return (1ull << rights[(size_t)abi < last ? (size_t)abi : last]) - 1;
}

static int confine_allow(int ruleset, const int *folders, uint32_t n, uint64_t rights)
{
	for (uint32_t i = 0; i < n; i++) {
		struct confine_beneath rule = {.allowed = rights, .parent = folders[i]};

		if (syscall(SYS_landlock_add_rule, ruleset, CONFINE_BENEATH, &rule, 0u))
			return -errno;
	}
	return 0;
}

static int confine_files(int abi, const int *folders, uint32_t writable, uint32_t n)
{
	struct confine_ruleset rules = {.fs = confine_handled(abi), .net = CONFINE_BIND_TCP, .scoped = CONFINE_SCOPES};
	size_t size = abi >= 6 ? sizeof(rules) : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
	int ret, ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0u);

	if (ruleset < 0)
		return -errno;
	ret = confine_allow(ruleset, folders, writable, CONFINE_ALL & rules.fs);
	if (!ret)
		ret = confine_allow(ruleset, folders + writable, n - writable, CONFINE_READ);
	if (!ret && syscall(SYS_landlock_restrict_self, ruleset, 0u))
		ret = -errno;
	close(ruleset);
	return ret;
}

#if defined(__x86_64__)
#define CONFINE_ARCH AUDIT_ARCH_X86_64
#define CONFINE_FOREIGN 0x40000000 /* x32: the same calls under other numbers */
#elif defined(__aarch64__)
#define CONFINE_ARCH AUDIT_ARCH_AARCH64
#define CONFINE_FOREIGN 0x40000000
#endif

/* What delivering never does: other programs, other processes' memory, mounts, the kernel, clocks, namespaces. */
static const int confine_never[] = {
	SYS_execve,
	SYS_execveat,
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_pidfd_getfd,
	SYS_kcmp,
	SYS_mount,
	SYS_umount2,
	SYS_move_mount,
	SYS_open_tree,
	SYS_fsopen,
	SYS_fsmount,
	SYS_fsconfig,
	SYS_fspick,
	SYS_mount_setattr,
	SYS_pivot_root,
	SYS_chroot,
	SYS_setns,
	SYS_unshare,
	SYS_bpf,
	SYS_perf_event_open,
	SYS_open_by_handle_at,
	SYS_mknodat,
	SYS_init_module,
	SYS_finit_module,
	SYS_delete_module,
	SYS_kexec_load,
	SYS_reboot,
	SYS_swapon,
	SYS_swapoff,
	SYS_acct,
	SYS_quotactl,
	SYS_sethostname,
	SYS_setdomainname,
	SYS_settimeofday,
	SYS_clock_settime,
	SYS_clock_adjtime,
	SYS_adjtimex,
	SYS_keyctl,
	SYS_add_key,
	SYS_request_key,
	SYS_userfaultfd,
	SYS_io_uring_setup,
	SYS_fanotify_init,
};
#define CONFINE_NEVER (sizeof(confine_never) / sizeof(*confine_never))

static const int confine_families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
#define CONFINE_FAMILIES (sizeof(confine_families) / sizeof(*confine_families))

#ifdef CONFINE_ARCH
static int confine_calls(void)
{
	struct sock_filter code[16 + CONFINE_NEVER * 2 + CONFINE_FAMILIES * 2];
	struct sock_fprog program = {.filter = code};
	unsigned short n = 0;

#define LOAD(field) (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value, skip) (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, skip)
#define RETURN(what) (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, what)
	code[n++] = LOAD(arch);
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CONFINE_ARCH, 1, 0);
	code[n++] = RETURN(SECCOMP_RET_KILL_PROCESS);
	code[n++] = LOAD(nr);
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, CONFINE_FOREIGN, 0, 1);
	code[n++] = RETURN(SECCOMP_RET_KILL_PROCESS);
	for (size_t i = 0; i < CONFINE_NEVER; i++) {
		code[n++] = UNLESS(confine_never[i], 1);
		code[n++] = RETURN(SECCOMP_RET_KILL_PROCESS);
	}
	code[n++] = UNLESS(SYS_socket, CONFINE_FAMILIES * 2 + 2);
	code[n++] = LOAD(args[0]);
	for (size_t i = 0; i < CONFINE_FAMILIES; i++) {
		code[n++] = UNLESS(confine_families[i], 1);
		code[n++] = RETURN(SECCOMP_RET_ALLOW);
	}
	code[n++] = RETURN(SECCOMP_RET_ERRNO | EAFNOSUPPORT);
	code[n++] = RETURN(SECCOMP_RET_ALLOW);
#undef LOAD
#undef UNLESS
#undef RETURN
	program.len = n;
	/* Threads that run already are taken along. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program))
		return -errno;
	return 0;
}
#else
static int confine_calls(void)
{
	return 0; /* the numbers of this machine's system calls are not known here */
}
#endif

int ln_confine(const int *folders, uint32_t writable, uint32_t n, char *err, size_t err_len)
{
	int abi = ln_landlock_abi();
	int ret = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;

	if (!ret && abi > 0)
		ret = confine_files(abi, folders, writable, n);
	if (ret) {
		ln_say(err, err_len, "The process cannot be confined to its folder (%s).", strerror(-ret));
		return ret;
	}
	ret = confine_calls();
	if (ret) {
		ln_say(err, err_len, "The system calls cannot be restricted (%s).", strerror(-ret));
		return ret;
	}
	return abi;
}
