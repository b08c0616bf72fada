/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A socket at a path: whose it is, who may connect, and what is left at the end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdmsg.h"
#include "base/util.h"
#include "base/listener.h"

#define LONG_MS 5000
/* Of a user and a group that are not ours. */
#define OTHER_ID 4242

struct bench {
	char dir[32];
	char path[64], lock[80], lock2[80];
	unsigned int fds;
	struct listener *l;
};

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
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

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	strcpy(b->dir, "/tmp/test_listener.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/sock", b->dir);
	snprintf(b->lock, sizeof(b->lock), "%s.lock", b->path);
	snprintf(b->lock2, sizeof(b->lock2), "%s/other", b->dir);
	b->fds = count_fds();
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	listener_close(b->l);
	assert_int_equal(count_fds(), b->fds);
	unlink(b->path);
	unlink(b->lock);
	assert_int_equal(rmdir(b->dir), 0); /* nothing else was left */
	free(b);
	return 0;
}

static int open_at(struct listener **l, const char *path, const char **why)
{
	const struct listener_config config = {
		.path = path, .type = SOCK_STREAM, .gid = (gid_t)-1, .fd = -1};

	return listener_open(l, &config, why);
}

static void open_good(struct bench *b)
{
	const char *why;

	assert_int_equal(open_at(&b->l, b->path, &why), 0);
	assert_string_equal(why, "");
}

/* Someone connects, and is accepted. */
static void assert_serves(struct listener *l, const char *path)
{
	const struct fdmsg_wait wait = fdmsg_wait_ms(LONG_MS, -1);
	int theirs, ours;

	assert_int_equal(listener_accept(l), -EAGAIN);
	theirs = fdmsg_connect(path, SOCK_STREAM, &wait);
	assert_true(theirs >= 0);
	ours = listener_accept(l);
	assert_true(ours >= 0);
	assert_int_equal(listener_accept(l), -EAGAIN);
	assert_true(fcntl(ours, F_GETFD) & FD_CLOEXEC);
	close_fd(&theirs);
	assert_int_equal(fdmsg_pending(ours), -ECONNRESET);
	close_fd(&ours);
}

static void assert_refused(const char *path, int err, const char *part)
{
	struct listener *l;
	const char *why;

	assert_int_equal(open_at(&l, path, &why), err);
	assert_null(l);
	assert_non_null(strstr(why, part));
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void test_life(void **state)
{
	struct bench *b = *state;

	open_good(b);
	assert_true(exists(b->path) && exists(b->lock));
	assert_serves(b->l, b->path);
	listener_close(b->l);
	b->l = NULL;
	assert_false(exists(b->path) || exists(b->lock));
	listener_close(NULL);
}

static void test_stale(void **state)
{
	struct bench *b = *state;
	int fd = fdmsg_listen(b->path, SOCK_STREAM, 1);

	assert_true(fd >= 0);
	close_fd(&fd); /* the file stays, as after a kill */
	assert_true(exists(b->path));
	open_good(b);
	assert_serves(b->l, b->path);
}

static void test_live(void **state)
{
	struct bench *b = *state;
	struct stat before, after;
	int fd;

	open_good(b);
	assert_int_equal(lstat(b->path, &before), 0);
	assert_refused(b->path, -EADDRINUSE, "another vubridge");
	assert_int_equal(lstat(b->path, &after), 0);
	assert_true(before.st_ino == after.st_ino);
	assert_serves(b->l, b->path);
	listener_close(b->l);
	b->l = NULL;
	/* of someone who knows no lock */
	fd = fdmsg_listen(b->path, SOCK_STREAM, 1);
	assert_true(fd >= 0);
	assert_refused(b->path, -EADDRINUSE, "another process");
	assert_true(exists(b->path));
	assert_false(exists(b->lock));
	close_fd(&fd);
}

static void test_other_files(void **state)
{
	struct bench *b = *state;
	int fd = open(b->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	close_fd(&fd);
	assert_refused(b->path, -EEXIST, "no socket");
	assert_true(exists(b->path));
	assert_int_equal(unlink(b->path), 0);
	/* a link is not followed, to whatever it leads */
	assert_int_equal(symlink("/dev/null", b->path), 0);
	assert_refused(b->path, -EEXIST, "no socket");
	assert_int_equal(unlink(b->path), 0);
	assert_int_equal(symlink("/dev/null", b->lock), 0);
	assert_refused(b->path, -ELOOP, "lock file");
	assert_true(exists(b->lock));
}

/* Many start at once: one wins, and the others say so. */
static void test_race(void **state)
{
	struct bench *b = *state;
	int ready[2], status, i, winners = 0;
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	for (i = 0; i < 8; i++) {
		if (fork() == 0) {
			struct listener *l;
			const char *why;
			int r;

			close(ready[1]);
			if (read(ready[0], &byte, 1) != 0) /* until all are there */
				_exit(9);
			r = open_at(&l, b->path, &why);
			if (!r)
				sleep(1); /* outlives the others' tries */
			listener_close(l);
			_exit(r == 0 ? 1 : r == -EADDRINUSE ? 0 : 9);
		}
	}
	close_fd(&ready[0]);
	close_fd(&ready[1]);
	for (i = 0; i < 8; i++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status));
		assert_in_range(WEXITSTATUS(status), 0, 1);
		winners += WEXITSTATUS(status);
	}
	assert_int_equal(winners, 1);
	assert_false(exists(b->path) || exists(b->lock));
}

static void test_mode(void **state)
{
	struct bench *b = *state;
	const mode_t mask = umask(022);
	struct listener_config config = {
		.path = b->path, .type = SOCK_STREAM, .gid = (gid_t)-1, .fd = -1};
	const char *why;
	struct stat st;

	open_good(b);
	assert_int_equal(stat(b->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0755);
	listener_close(b->l);
	config.has_mode = true;
	config.mode = 0666;
	assert_int_equal(listener_open(&b->l, &config, &why), 0);
	assert_int_equal(stat(b->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	assert_int_equal(umask(mask), 022);
}

/* One that a new file of ours would not have: any for root, else of our groups. */
static gid_t other_group(void)
{
	gid_t groups[64];
	int i, n = getgroups(ARRAY_SIZE(groups), groups);

	for (i = 0; i < n; i++)
		if (groups[i] != getegid())
			return groups[i];
	return geteuid() == 0 ? OTHER_ID : (gid_t)-1;
}

static void test_group(void **state)
{
	struct bench *b = *state;
	struct listener_config config = {
		.path = b->path, .type = SOCK_STREAM, .gid = other_group(), .fd = -1};
	const char *why;
	struct stat st;

	if (config.gid == (gid_t)-1)
		cannot_run("in no other group than our own");
	assert_int_equal(listener_open(&b->l, &config, &why), 0);
	assert_int_equal(stat(b->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(st.st_gid, config.gid);
	assert_int_equal(st.st_uid, geteuid());
}

/* Socket and lock are another user's, who removes both and may take their place again. */
static void test_owner(void **state)
{
	struct bench *b = *state;
	const struct listener_config config = {
		.path = b->path,
		.type = SOCK_STREAM,
		.gid = (gid_t)-1,
		.has_uid = true,
		.uid = OTHER_ID,
		.fd = -1,
	};
	char linked[64];
	const char *why;
	struct stat st;

	if (geteuid() != 0)
		cannot_run("only root gives files away");
	assert_int_equal(listener_open(&b->l, &config, &why), 0);
	assert_int_equal(stat(b->path, &st), 0);
	assert_int_equal(st.st_uid, OTHER_ID);
	assert_int_equal(st.st_gid, getegid());
	assert_int_equal(stat(b->lock, &st), 0);
	assert_int_equal(st.st_uid, OTHER_ID);
	listener_close(b->l);
	b->l = NULL;
	/* no file is given away by its other name */
	snprintf(linked, sizeof(linked), "%s/linked", b->dir);
	close(open(linked, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(link(linked, b->lock), 0);
	assert_int_equal(listener_open(&b->l, &config, &why), 0);
	assert_int_equal(stat(linked, &st), 0);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(unlink(linked), 0);
}

/* In a process that may not, the socket is said to stay, and stays. */
static void as_other(struct bench *b, bool stays)
{
	int status;

	if (fork() == 0) {
		if (setgid(OTHER_ID) || setuid(OTHER_ID) ||
		    listener_stays_behind(b->l) != stays)
			_exit(1);
		listener_close(b->l);
		_exit(exists(b->path) != stays || exists(b->lock) != stays);
	}
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
}

static void test_stays_behind(void **state)
{
	struct bench *b = *state;
	struct listener_config config = {
		.path = b->path,
		.type = SOCK_STREAM,
		.gid = (gid_t)-1,
		.has_uid = true,
		.uid = OTHER_ID,
		.fd = -1,
	};
	const char *why;

	if (geteuid() != 0)
		cannot_run("only root gives files away");
	assert_int_equal(chmod(b->dir, 0755), 0);
	assert_int_equal(listener_open(&b->l, &config, &why), 0);
	assert_false(listener_stays_behind(b->l));
	as_other(b, true);
	/* like /tmp: own files may be removed */
	assert_int_equal(chmod(b->dir, 01777), 0);
	as_other(b, false);
	listener_close(b->l);
	config.has_uid = false;
	assert_int_equal(listener_open(&b->l, &config, &why), 0);
	assert_int_equal(chmod(b->path, 0777), 0);
	as_other(b, true);
}

/* What took its place meanwhile is not ours to remove. */
static void test_replaced(void **state)
{
	struct bench *b = *state;
	int fd;

	open_good(b);
	assert_int_equal(unlink(b->path), 0);
	fd = fdmsg_listen(b->path, SOCK_STREAM, 1);
	assert_true(fd >= 0);
	listener_close(b->l);
	b->l = NULL;
	assert_true(exists(b->path));
	close_fd(&fd);
}

static void test_long_path(void **state)
{
	struct bench *b = *state;
	char dir[200], path[400];
	const char *why;

	snprintf(dir, sizeof(dir), "%s/%0120d", b->dir, 1);
	snprintf(path, sizeof(path), "%s/%090d", dir, 2);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(open_at(&b->l, path, &why), 0);
	assert_serves(b->l, path);
	assert_refused(path, -EADDRINUSE, "another vubridge");
	listener_close(b->l);
	b->l = NULL;
	assert_false(exists(path));
	assert_int_equal(rmdir(dir), 0);
}

static void test_abstract(void **state)
{
	struct bench *b = *state;
	char name[64];
	const char *why;

	snprintf(name, sizeof(name), "@test_listener.%d", getpid());
	assert_int_equal(open_at(&b->l, name, &why), 0);
	assert_serves(b->l, name);
	assert_refused(name, -EADDRINUSE, "another process");
}

static void test_no_directory(void **state)
{
	struct bench *b = *state;
	char path[96];

	snprintf(path, sizeof(path), "%s/none/sock", b->dir);
	assert_refused(path, -ENOENT, "lock file");
}

/* Of packets, with its lock under another name. */
static void test_packets(void **state)
{
	struct bench *b = *state;
	const struct listener_config config = {
		.path = b->path,
		.type = SOCK_SEQPACKET,
		.lock_path = b->lock2,
		.gid = (gid_t)-1,
		.fd = -1,
	};
	const struct fdmsg_wait wait = fdmsg_wait_ms(LONG_MS, -1);
	const char *why;
	int theirs, ours;
	char buf[8];

	theirs = fdmsg_listen(b->path, SOCK_SEQPACKET, 1);
	assert_true(theirs >= 0);
	assert_int_equal(listener_open(&b->l, &config, &why), -EADDRINUSE);
	close_fd(&theirs); /* the file stays, as after a kill */
	assert_int_equal(listener_open(&b->l, &config, &why), 0);
	assert_true(exists(b->lock2));
	assert_false(exists(b->lock));
	assert_int_equal(fdmsg_connect(b->path, SOCK_STREAM, &wait), -EPROTOTYPE);
	theirs = fdmsg_connect(b->path, SOCK_SEQPACKET, &wait);
	assert_true(theirs >= 0);
	ours = listener_accept(b->l);
	assert_true(ours >= 0);
	assert_int_equal(send(theirs, "abc", 3, 0), 3);
	assert_int_equal(send(theirs, "de", 2, 0), 2);
	assert_int_equal(recv(ours, buf, sizeof(buf), 0), 3);
	assert_int_equal(recv(ours, buf, sizeof(buf), 0), 2);
	close_fd(&theirs);
	close_fd(&ours);
	listener_close(b->l);
	b->l = NULL;
	assert_false(exists(b->path) || exists(b->lock2));
}

static int adopt(struct bench *b, int fd)
{
	const struct listener_config config = {
		.path = "@elsewhere", .type = SOCK_STREAM, .gid = (gid_t)-1, .fd = fd};
	const char *why;
	int r = listener_open(&b->l, &config, &why);

	assert_int_equal(r == 0, why[0] == '\0');
	return r;
}

/* A socket that was handed over is served, and its file left alone. */
static void test_activation(void **state)
{
	struct bench *b = *state;
	int fd = fdmsg_listen(b->path, SOCK_STREAM, 1);

	assert_int_equal(fcntl(fd, F_SETFL, 0), 0); /* as it comes: blocking */
	assert_int_equal(adopt(b, fd), 0);
	assert_int_equal(listener_fd(b->l), fd);
	assert_serves(b->l, b->path);
	listener_close(b->l);
	b->l = NULL;
	assert_true(exists(b->path));
}

static void test_wrong_activation(void **state)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct bench *b = *state;
	int pair[2], fd;

	assert_int_equal(fdmsg_pair(pair), 0);
	assert_int_equal(adopt(b, pair[0]), -EINVAL); /* connected */
	close_fd(&pair[1]);
	close_fd(&pair[0]);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sa_family_t)), 0);
	assert_int_equal(adopt(b, fd), -EINVAL);
	close_fd(&fd);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(adopt(b, fd), -EINVAL);
	close_fd(&fd);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(adopt(b, fd), -EINVAL);
	close_fd(&fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_life),	 TEST(test_stale),	TEST(test_live),
		TEST(test_other_files),	 TEST(test_race),	TEST(test_mode),
		TEST(test_group),	 TEST(test_owner),	TEST(test_stays_behind),
		TEST(test_replaced),	 TEST(test_long_path),	TEST(test_abstract),
		TEST(test_no_directory), TEST(test_activation), TEST(test_wrong_activation),
		TEST(test_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
