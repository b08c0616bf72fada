/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last stage: the system calls that are used once all runs. Any other one is nobody's
 * intention, so it ends the process. What takes a right that was given up anyway (entering a
 * network namespace) fails as it would without the filter.
 *
 * No file is made, nor opened for writing (but /dev/vhost-net, by those that serve it), nothing
 * is executed, no memory becomes code, no thread or process begins.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <linux/vhost.h>
#include <seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/uapi.h"
#include "base/util.h"
#include "daemon/isolate.h"

enum check {
	ANY,
	NO_EXEC, /* mmap, mprotect: no PROT_EXEC */
	TO_READ, /* openat: of files that are there, for reading (refused_flags) */
};

/* clang-format off */
static const struct {
	int number;
	unsigned int uses; /* of enum isolate_use; 0: always */
	enum check check;
} calls[] = {
	/* descriptors */
	{ SCMP_SYS(read), 0, ANY },		{ SCMP_SYS(write), 0, ANY },
	{ SCMP_SYS(readv), 0, ANY },		{ SCMP_SYS(writev), 0, ANY },
	{ SCMP_SYS(close), 0, ANY },		{ SCMP_SYS(fcntl), 0, ANY },
	{ SCMP_SYS(fcntl64), 0, ANY },		{ SCMP_SYS(lseek), 0, ANY },
	{ SCMP_SYS(poll), 0, ANY },		{ SCMP_SYS(ppoll), 0, ANY },
	{ SCMP_SYS(ppoll_time64), 0, ANY },
	{ SCMP_SYS(epoll_create1), 0, ANY },	{ SCMP_SYS(epoll_ctl), 0, ANY },
	{ SCMP_SYS(epoll_wait), 0, ANY },	{ SCMP_SYS(epoll_pwait), 0, ANY },
	{ SCMP_SYS(epoll_pwait2), 0, ANY },
	{ SCMP_SYS(eventfd2), 0, ANY },		{ SCMP_SYS(signalfd4), 0, ANY },
	{ SCMP_SYS(timerfd_create), 0, ANY },	{ SCMP_SYS(timerfd_settime), 0, ANY },
	{ SCMP_SYS(timerfd_settime64), 0, ANY },
	{ SCMP_SYS(inotify_init1), 0, ANY },	{ SCMP_SYS(inotify_add_watch), 0, ANY },
	{ SCMP_SYS(inotify_rm_watch), 0, ANY },
	{ SCMP_SYS(io_uring_enter), ISOLATE_URING, ANY },
	{ SCMP_SYS(io_uring_register), ISOLATE_URING, ANY },

	/* sockets: of the backend, the control socket, netlink, systemd */
	{ SCMP_SYS(socketpair), 0, ANY },	{ SCMP_SYS(connect), 0, ANY },
	{ SCMP_SYS(bind), 0, ANY },		{ SCMP_SYS(accept4), 0, ANY },
	{ SCMP_SYS(getsockname), 0, ANY },	{ SCMP_SYS(shutdown), 0, ANY },
	{ SCMP_SYS(getsockopt), 0, ANY },	{ SCMP_SYS(setsockopt), 0, ANY },
	{ SCMP_SYS(sendto), 0, ANY },		{ SCMP_SYS(recvfrom), 0, ANY },
	{ SCMP_SYS(sendmsg), 0, ANY },		{ SCMP_SYS(recvmsg), 0, ANY },
	{ SCMP_SYS(send), 0, ANY },		{ SCMP_SYS(recv), 0, ANY },
	{ SCMP_SYS(sendmmsg), ISOLATE_VETH, ANY },
	{ SCMP_SYS(recvmmsg), ISOLATE_VETH, ANY },
	{ SCMP_SYS(recvmmsg_time64), ISOLATE_VETH, ANY },

	/* files: to look at paths and namespaces, to remove our own sockets */
	{ SCMP_SYS(openat), 0, TO_READ },	{ SCMP_SYS(open), 0, TO_READ },
	{ SCMP_SYS(stat), 0, ANY },		{ SCMP_SYS(stat64), 0, ANY },
	{ SCMP_SYS(lstat), 0, ANY },		{ SCMP_SYS(lstat64), 0, ANY },
	{ SCMP_SYS(fstat), 0, ANY },		{ SCMP_SYS(fstat64), 0, ANY },
	{ SCMP_SYS(newfstatat), 0, ANY },	{ SCMP_SYS(fstatat64), 0, ANY },
	{ SCMP_SYS(statx), 0, ANY },		{ SCMP_SYS(fstatfs), 0, ANY },
	{ SCMP_SYS(fstatfs64), 0, ANY },	{ SCMP_SYS(getdents64), 0, ANY },
	{ SCMP_SYS(readlink), 0, ANY },		{ SCMP_SYS(readlinkat), 0, ANY },
	{ SCMP_SYS(unlink), 0, ANY },		{ SCMP_SYS(unlinkat), 0, ANY },
	{ SCMP_SYS(rmdir), 0, ANY },		{ SCMP_SYS(flock), 0, ANY },

	/* memory, of rings too */
	{ SCMP_SYS(mmap), 0, NO_EXEC },		{ SCMP_SYS(mmap2), 0, NO_EXEC },
	{ SCMP_SYS(mprotect), 0, NO_EXEC },	{ SCMP_SYS(munmap), 0, ANY },
	{ SCMP_SYS(mremap), 0, ANY },		{ SCMP_SYS(madvise), 0, ANY },
	{ SCMP_SYS(brk), 0, ANY },		{ SCMP_SYS(memfd_create), 0, ANY },
	{ SCMP_SYS(ftruncate), 0, ANY },	{ SCMP_SYS(ftruncate64), 0, ANY },
	{ SCMP_SYS(fallocate), 0, ANY },

	/* threads, signals, time */
	{ SCMP_SYS(futex), 0, ANY },		{ SCMP_SYS(futex_time64), 0, ANY },
	{ SCMP_SYS(rt_sigprocmask), 0, ANY },	{ SCMP_SYS(rt_sigaction), 0, ANY },
	{ SCMP_SYS(rt_sigreturn), 0, ANY },	{ SCMP_SYS(sigreturn), 0, ANY },
	{ SCMP_SYS(tgkill), 0, ANY },		{ SCMP_SYS(restart_syscall), 0, ANY },
	{ SCMP_SYS(sched_yield), 0, ANY },	{ SCMP_SYS(sched_getaffinity), 0, ANY },
	{ SCMP_SYS(nanosleep), 0, ANY },	{ SCMP_SYS(clock_nanosleep), 0, ANY },
	{ SCMP_SYS(clock_nanosleep_time64), 0, ANY },
	{ SCMP_SYS(clock_gettime), 0, ANY },	{ SCMP_SYS(clock_gettime64), 0, ANY },
	{ SCMP_SYS(clock_getres), 0, ANY },	{ SCMP_SYS(gettimeofday), 0, ANY },
	{ SCMP_SYS(time), 0, ANY },		{ SCMP_SYS(getrandom), 0, ANY },
	{ SCMP_SYS(exit), 0, ANY },		{ SCMP_SYS(exit_group), 0, ANY },

	/* who we are */
	{ SCMP_SYS(getpid), 0, ANY },		{ SCMP_SYS(gettid), 0, ANY },
	{ SCMP_SYS(getuid), 0, ANY },		{ SCMP_SYS(geteuid), 0, ANY },
	{ SCMP_SYS(getuid32), 0, ANY },		{ SCMP_SYS(geteuid32), 0, ANY },
	{ SCMP_SYS(getgid), 0, ANY },		{ SCMP_SYS(getegid), 0, ANY },
	{ SCMP_SYS(getgid32), 0, ANY },		{ SCMP_SYS(getegid32), 0, ANY },
	{ SCMP_SYS(uname), 0, ANY },
	{ SCMP_SYS(setns), ISOLATE_NAMESPACES, ANY },
};

static const struct {
	unsigned int request;
	unsigned int uses;
} ioctls[] = {
	{ TUNSETCARRIER, 0 },	{ TUNSETOFFLOAD, 0 },	{ TUNSETQUEUE, 0 },
	{ TUNSETPERSIST, 0 },	{ TUNGETIFF, 0 },	{ TUNGETDEVNETNS, 0 },
	{ TUNSETOWNER, 0 },	{ SIOCGIFHWADDR, 0 },	{ SIOCSIFHWADDR, 0 },
	{ NS_GET_NSTYPE, 0 },
	{ SIOCETHTOOL, ISOLATE_VETH },	{ SIOCGIFNAME, ISOLATE_VETH },
	{ SIOCGIFFLAGS, ISOLATE_VETH },
	{ TUNSETVNETHDRSZ, ISOLATE_KERNEL },
	{ VHOST_SET_OWNER, ISOLATE_KERNEL },
	{ VHOST_GET_FEATURES, ISOLATE_KERNEL },	{ VHOST_SET_FEATURES, ISOLATE_KERNEL },
	{ VHOST_SET_MEM_TABLE, ISOLATE_KERNEL },
	{ VHOST_SET_VRING_NUM, ISOLATE_KERNEL },  { VHOST_SET_VRING_ADDR, ISOLATE_KERNEL },
	{ VHOST_SET_VRING_BASE, ISOLATE_KERNEL }, { VHOST_GET_VRING_BASE, ISOLATE_KERNEL },
	{ VHOST_SET_VRING_KICK, ISOLATE_KERNEL }, { VHOST_SET_VRING_CALL, ISOLATE_KERNEL },
	{ VHOST_SET_VRING_ERR, ISOLATE_KERNEL },  { VHOST_NET_SET_BACKEND, ISOLATE_KERNEL },
};
/* clang-format on */

static bool is_used(unsigned int row, unsigned int uses)
{
	return !row || row & uses;
}

/* Allows a call in which none of these bits of argument @arg is set. */
static int allow_without(scmp_filter_ctx ctx, int number, unsigned int arg, uint64_t bits)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, number, 1,
				SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, bits, 0));
}

/* The same with one 32-bit value of it, which may come with its sign in the upper half. */
static int allow_value(scmp_filter_ctx ctx, int number, unsigned int arg, uint32_t value)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, number, 1,
				SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, UINT32_MAX, value));
}

/*
 * With which of its flags a file is not opened: those by which one is made, or written to. A
 * filter sees no path, so where vhost-net's device is opened for each connection anew, any file
 * that its rights allow can be opened as that one is.
 */
static uint64_t refused_flags(unsigned int uses)
{
	/* O_TMPFILE has O_DIRECTORY in it, which by itself only reads */
	uint64_t flags = O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY) | O_WRONLY;

	return uses & ISOLATE_KERNEL ? flags : flags | O_RDWR;
}

static int allow_call(scmp_filter_ctx ctx, int number, enum check check, unsigned int uses)
{
	switch (check) {
	case NO_EXEC:
		return allow_without(ctx, number, 2, PROT_EXEC);
	case TO_READ:
		return allow_without(ctx, number, number == SCMP_SYS(openat) ? 2 : 1,
				     refused_flags(uses));
	case ANY:
		break;
	}
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, number, 0);
}

static int add_rules(scmp_filter_ctx ctx, unsigned int uses)
{
	size_t i;
	int r = 0;

	for (i = 0; i < ARRAY_SIZE(calls) && !r; i++)
		if (is_used(calls[i].uses, uses))
			r = allow_call(ctx, calls[i].number, calls[i].check, uses);
	for (i = 0; i < ARRAY_SIZE(ioctls) && !r; i++)
		if (is_used(ioctls[i].uses, uses))
			r = allow_value(ctx, SCMP_SYS(ioctl), 1, ioctls[i].request);
	if (!r)
		r = allow_value(ctx, SCMP_SYS(socket), 0, AF_UNIX);
	if (!r)
		r = allow_value(ctx, SCMP_SYS(socket), 0, AF_NETLINK);
	if (!r && !(uses & ISOLATE_NAMESPACES))
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(setns), 0);
	return r;
}

int isolate_syscalls(unsigned int uses)
{
	scmp_filter_ctx ctx;
	int r;

	if (IS_INSTRUMENTED)
		return 0;
	ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return -ENOMEM;
	/* the workers run already */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!r)
		r = add_rules(ctx, uses);
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}
