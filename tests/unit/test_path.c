/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/options.h"
#include "daemon/path.h"

#define REMEDY "; give the socket of a vhost-user backend"

/* Each test runs in a fresh directory, which is the current one. */
static char top[] = "/tmp/vubridge-path-XXXXXX";

static void assert_kind(const char *path, enum path_kind want)
{
	enum path_kind kind = !want;
	char error[OPTIONS_ERROR_MAX] = "";

	assert_int_equal(path_classify(path, false, &kind, error, sizeof(error)), 0);
	assert_string_equal(error, "");
	assert_int_equal(kind, want);
}

static void assert_refused(const char *path, int r, const char *why)
{
	enum path_kind kind;
	char error[OPTIONS_ERROR_MAX] = "", want[OPTIONS_ERROR_MAX];

	assert_int_equal(path_classify(path, false, &kind, error, sizeof(error)), r);
	snprintf(want, sizeof(want), "--path '%s': %s", path, why);
	assert_string_equal(error, want);
}

/* What this process may not try is skipped, but never where CI counts on it. */
static void cannot_run(const char *why)
{
	const char *ci = getenv("CI");

	print_message("%s\n", why);
	if (ci && !strcmp(ci, "true"))
		fail();
	skip();
}

static void make_socket(const char *name)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", name);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
}

static void make_file(const char *name)
{
	int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void test_socket(void **state)
{
	(void)state;
	make_socket("sock");
	assert_kind("sock", PATH_SOCKET);
	assert_kind("./sock", PATH_SOCKET);
	assert_int_equal(symlink("sock", "link"), 0);
	assert_kind("link", PATH_SOCKET);
	assert_refused("sock/", -ENOTDIR, "a part before the last '/' is not a directory" REMEDY);
}

static void test_absent(void **state)
{
	(void)state;
	assert_kind("later", PATH_SOCKET);
	assert_kind("/later-at-the-root", PATH_SOCKET);
	assert_int_equal(mkdir("dir", 0700), 0);
	assert_kind("dir/later", PATH_SOCKET);
	assert_int_equal(symlink("later", "dangling"), 0);
	assert_kind("dangling", PATH_SOCKET);
	assert_refused("nodir/sock", -ENOENT,
		       "directory 'nodir' does not exist; make it or correct the path");
	assert_refused("/no such/dir/sock", -ENOENT,
		       "directory '/no such/dir' does not exist; make it or correct the path");
	assert_refused("dir/later/", -EISDIR, "names no file" REMEDY);
	assert_refused("", -EISDIR, "names no file" REMEDY);
}

static void test_other_files(void **state)
{
	(void)state;
	assert_int_equal(mkdir("dir", 0700), 0);
	assert_refused("dir", -ENOTSOCK, "is a directory" REMEDY);
	assert_refused("dir/", -ENOTSOCK, "is a directory" REMEDY);
	assert_refused("/", -ENOTSOCK, "is a directory" REMEDY);
	make_file("file");
	assert_refused("file", -ENOTSOCK, "is a regular file" REMEDY);
	assert_refused("file/sock", -ENOTDIR,
		       "a part before the last '/' is not a directory" REMEDY);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_refused("fifo", -ENOTSOCK, "is a FIFO" REMEDY);
	assert_refused("/dev/null", -ENOTSOCK,
		       "is a character device other than /dev/vhost-net" REMEDY);
	assert_int_equal(symlink("loop", "loop"), 0);
	assert_refused("loop", -ELOOP, "Too many levels of symbolic links" REMEDY);
}

/* Device nodes are made where that is allowed; they are never opened. */
static void test_devices(void **state)
{
	(void)state;
	if (mknod("vhost", S_IFCHR | 0600, makedev(10, 238)) < 0) {
		assert_int_equal(errno, EPERM);
		cannot_run("no right to make device nodes");
	}
	assert_kind("vhost", PATH_VHOST_NET);
	assert_int_equal(mknod("tun", S_IFCHR | 0600, makedev(10, 200)), 0);
	assert_refused("tun", -ENOTSOCK, "is a character device other than /dev/vhost-net" REMEDY);
	assert_int_equal(mknod("block", S_IFBLK | 0600, makedev(10, 238)), 0);
	assert_refused("block", -ENOTSOCK, "is a block device" REMEDY);
}

static void test_vhost_net(void **state)
{
	(void)state;
	if (access("/dev/vhost-net", F_OK) == 0)
		assert_kind("/dev/vhost-net", PATH_VHOST_NET);
	else
		assert_refused("/dev/vhost-net", -ENODEV,
			       "does not exist; load the vhost_net module");
}

static void test_abstract(void **state)
{
	char name[110];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[0] = '@';
	name[108] = '\0'; /* 107 characters fit after the first NUL of sun_path */
	assert_kind(name, PATH_SOCKET);
	name[108] = 'a';
	name[109] = '\0';
	assert_refused(name, -ENAMETOOLONG,
		       "is an abstract socket whose name is longer than 107 bytes");
	assert_refused("@", -EINVAL, "is an abstract socket without a name" REMEDY);
	assert_kind("@no/such/dir", PATH_SOCKET);
	make_file("@file");
	assert_refused("./@file", -ENOTSOCK, "is a regular file" REMEDY);
}

/* Longer than sun_path, as long as a path can be, and longer. */
static void test_long(void **state)
{
	char path[PATH_MAX + 16] = "", dir[201], error[OPTIONS_ERROR_MAX];
	enum path_kind kind;

	(void)state;
	memset(dir, 'd', 200);
	dir[200] = '\0';
	assert_int_equal(mkdir(dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/sock", dir);
	assert_kind(path, PATH_SOCKET);
	snprintf(path, sizeof(path), "%s%s/sock", dir, dir); /* a component above NAME_MAX */
	assert_int_equal(path_classify(path, false, &kind, error, sizeof(error)), -ENAMETOOLONG);
	assert_non_null(strstr(error, "is longer than a path may be"));
	memset(path, '/', sizeof(path) - 1);
	path[sizeof(path) - 2] = 'x';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(path_classify(path, false, &kind, error, sizeof(error)), -ENAMETOOLONG);
	assert_non_null(strstr(error, "is longer than a path may be"));
	assert_kind(path + sizeof(path) - PATH_MAX, PATH_SOCKET);
}

/* In a child, because permissions do not bind root. */
static int as_nobody(void)
{
	char error[OPTIONS_ERROR_MAX];
	enum path_kind kind;

	if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
		return 77;
	if (path_classify("closed/sock", false, &kind, error, sizeof(error)) != -EACCES ||
	    !strstr(error, "no permission to enter its directory"))
		return 1;
	if (path_classify("sock", false, &kind, error, sizeof(error)) != -EACCES ||
	    !strstr(error, "no permission to connect to this socket"))
		return 2;
	/* as a server it has nobody to connect to */
	if (path_classify("sock", true, &kind, error, sizeof(error)) != 0 || kind != PATH_SOCKET)
		return 5;
	if (path_classify("open", false, &kind, error, sizeof(error)) != 0 || kind != PATH_SOCKET)
		return 3;
	if (access("vhost", F_OK) == 0 &&
	    (path_classify("vhost", false, &kind, error, sizeof(error)) != -EACCES ||
	     !strstr(error, "no permission to open this device")))
		return 4;
	return 0;
}

static void test_no_permission(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(chmod(".", 0755), 0);
	assert_int_equal(mkdir("closed", 0), 0);
	make_socket("sock");
	assert_int_equal(chmod("sock", 0), 0);
	make_socket("open");
	assert_int_equal(chmod("open", 0666), 0);
	if (mknod("vhost", S_IFCHR | 0600, makedev(10, 238)) < 0)
		assert_int_equal(errno, EPERM); /* no right to make device nodes */
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(as_nobody());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		cannot_run("no right to become another user");
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int setup(void **state)
{
	(void)state;
	strcpy(top + sizeof(top) - 7, "XXXXXX");
	return mkdtemp(top) && chdir(top) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const names[] = { "sock", "link",  "dangling", "file", "fifo", "loop",
					     "vhost", "tun", "block",	  "@file", "open" };
	static const char *const dirs[] = { "dir", "closed" };
	char name[201];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(names[i]);
	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		rmdir(dirs[i]);
	memset(name, 'd', 200);
	name[200] = '\0';
	rmdir(name);
	/* fails, and the test with it, if anything is left */
	return chdir("/") == 0 && rmdir(top) == 0 ? 0 : -1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_socket),  TEST(test_absent),	 TEST(test_other_files),
		TEST(test_devices), TEST(test_vhost_net), TEST(test_abstract),
		TEST(test_long),    TEST(test_no_permission),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
