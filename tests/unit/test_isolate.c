/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which system calls survive the last stage of the start, each tried in a process of its own. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/isolate.h"

#define NO_FILTER 99

/* What a call came to: an errno, 0, or -SIGSYS when it killed. */
static int outcome(unsigned int uses, long (*call)(void))
{
	const struct rlimit no_core = {0, 0};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		if (isolate_syscalls(uses))
			_exit(NO_FILTER);
		errno = 0;
		_exit(call() < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- what nobody means to do ---- */

static long exec(void)
{
	char *argv[] = {(char *)"/bin/true", NULL};

	return execv(argv[0], argv);
}

static long make_process(void)
{
	return fork();
}

static void *nothing(void *arg)
{
	return arg;
}

static long make_thread(void)
{
	pthread_t thread;

	return -pthread_create(&thread, NULL, nothing, NULL);
}

static long make_file(void)
{
	return open("/tmp/test_isolate", O_CREAT | O_WRONLY, 0600);
}

static long write_file(void)
{
	return open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static long change_file(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static long make_nameless_file(void)
{
	return open("/tmp", O_TMPFILE | O_RDWR, 0600);
}

/* The flag alone: who may open for writing as well is not let in by that. */
static long make_nameless_file_to_read(void)
{
	return open("/tmp", O_TMPFILE | O_RDONLY, 0600);
}

static long make_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	       MAP_FAILED;
}

static long turn_into_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static long inet_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static long packet_socket(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static long type_into_terminal(void)
{
	return ioctl(0, TIOCSTI, "x");
}

static long trace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static long change_mode(void)
{
	return chmod("/tmp/test_isolate", 0777);
}

static long become_root(void)
{
	return setuid(0);
}

static long call_uring(void)
{
	return syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0);
}

static long call_ethtool(void)
{
	return ioctl(-1, 0x8946, NULL); /* SIOCETHTOOL */
}

static long call_vhost(void)
{
	return ioctl(-1, 0xaf01, NULL); /* VHOST_SET_OWNER */
}

static void test_forbidden(void **state)
{
	static long (*const calls[])(void) = {
		exec,	    make_process,	make_thread,	    make_file,
		write_file, change_file,	make_nameless_file, make_nameless_file_to_read,
		make_code,  turn_into_code,	inet_socket,	    packet_socket,
		trace,	    type_into_terminal, change_mode,	    become_root,
		call_uring, call_vhost,		call_ethtool,
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		if (outcome(0, calls[i]) != -SIGSYS)
			fail_msg("call %zu: %d", i, outcome(0, calls[i]));
}

/* ---- what is needed ---- */

static long read_file(void)
{
	return open("/dev/null", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

static long read_folder(void)
{
	return open("/tmp", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static long look_at_path(void)
{
	return open("/tmp", O_PATH | O_CLOEXEC);
}

static long unix_socket(void)
{
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

static long netlink_socket(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0);
}

static long use_memory(void)
{
	int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, 4096) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		return -1;
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0;
}

static void test_allowed(void **state)
{
	(void)state;
	assert_int_equal(outcome(0, read_file), 0);
	assert_int_equal(outcome(0, read_folder), 0);
	assert_int_equal(outcome(0, look_at_path), 0);
	assert_int_equal(outcome(0, unix_socket), 0);
	assert_int_equal(outcome(0, netlink_socket), 0);
	assert_int_equal(outcome(0, use_memory), 0);
}

/* ---- what only some need ---- */

static long enter_namespace(void)
{
	return setns(-1, CLONE_NEWNET);
}

static void test_uses(void **state)
{
	(void)state;
	assert_int_equal(outcome(ISOLATE_URING, call_uring), EBADF);
	assert_int_equal(outcome(ISOLATE_VETH, call_ethtool), EBADF);
	assert_int_equal(outcome(ISOLATE_VETH, call_vhost), -SIGSYS);
	assert_int_equal(outcome(ISOLATE_KERNEL, call_vhost), EBADF);
	/* /dev/vhost-net is opened so for each connection */
	assert_int_equal(outcome(ISOLATE_KERNEL, change_file), 0);
	assert_int_equal(outcome(ISOLATE_KERNEL, read_file), 0);
	assert_int_equal(outcome(ISOLATE_KERNEL, write_file), -SIGSYS);
	assert_int_equal(outcome(ISOLATE_KERNEL, make_file), -SIGSYS);
	assert_int_equal(outcome(ISOLATE_KERNEL, make_nameless_file), -SIGSYS);
	/* without the capability it fails in any case, and is tried */
	assert_int_equal(outcome(0, enter_namespace), EPERM);
	assert_int_equal(outcome(ISOLATE_NAMESPACES, enter_namespace), EBADF);
}

/* ---- threads that run already ---- */

static void *kill_us(void *arg)
{
	int *go = arg;

	while (!__atomic_load_n(go, __ATOMIC_ACQUIRE))
		usleep(1000);
	inet_socket();
	return NULL;
}

static void test_threads(void **state)
{
	int go = 0, status;
	pthread_t thread;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		if (pthread_create(&thread, NULL, kill_us, &go) || isolate_syscalls(0))
			_exit(NO_FILTER);
		__atomic_store_n(&go, 1, __ATOMIC_RELEASE);
		pthread_join(thread, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

/* A build with sanitizers or for coverage calls what it likes: there is no filter in it. */
static void test_instrumented(void **state)
{
	(void)state;
	assert_int_equal(outcome(0, inet_socket), 0);
	assert_int_equal(outcome(0, change_mode), ENOENT);
}

int main(void)
{
	const struct CMUnitTest filtered[] = {
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_uses),
		cmocka_unit_test(test_threads),
	};
	const struct CMUnitTest instrumented[] = {
		cmocka_unit_test(test_instrumented),
	};

	if (IS_INSTRUMENTED)
		return cmocka_run_group_tests(instrumented, NULL, NULL);
	return cmocka_run_group_tests(filtered, NULL, NULL);
}
