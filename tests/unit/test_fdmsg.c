/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/fdmsg.h"
#include "base/util.h"

#define SOON_MS	 50
#define LONG_MS	 5000
#define DEEP_DIR "a-directory-whose-name-alone-is-longer-than-one-half-of-the-room-for-a-path"

/* A temporary directory, a connected pair, and how many descriptors were open before. */
struct fixture {
	char dir[64];
	int pair[2];
	unsigned int open_fds;
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

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->open_fds = count_fds();
	strcpy(f->dir, "/tmp/test_fdmsg.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->pair), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close_fd(&f->pair[0]);
	close_fd(&f->pair[1]);
	assert_int_equal(rmdir(f->dir), 0);
	assert_int_equal(count_fds(), f->open_fds);
	free(f);
	return 0;
}

static struct fdmsg_wait within(unsigned int ms)
{
	return fdmsg_wait_ms(ms, -1);
}

static void path_in(char *path, const struct fixture *f, const char *name)
{
	snprintf(path, PATH_MAX, "%s/%s", f->dir, name);
}

static int connect_to(const char *path)
{
	struct fdmsg_wait wait = within(SOON_MS);

	return fdmsg_connect(path, SOCK_STREAM, &wait);
}

/* Connects to a listener at @path, says a byte, and tidies up. */
static void check_round_trip(const char *path)
{
	struct fdmsg_wait wait = within(LONG_MS);
	int listener = fdmsg_listen(path, SOCK_STREAM, 1), client, server;
	char byte = 'x';
	struct iovec iov = {&byte, 1};

	assert_true(listener >= 0);
	client = fdmsg_connect(path, SOCK_STREAM, &wait);
	assert_true(client >= 0);
	server = fdmsg_accept(listener, &wait);
	assert_true(server >= 0);
	assert_true(fcntl(client, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(server, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fdmsg_send(client, &iov, 1, NULL, 0, &wait), 0);
	byte = 0;
	assert_int_equal(fdmsg_receive(server, &byte, 1, NULL, &wait), 0);
	assert_int_equal(byte, 'x');
	close(client);
	close(server);
	close(listener);
}

static void test_short_path(void **state)
{
	char path[PATH_MAX];

	path_in(path, *state, "sock");
	check_round_trip(path);
	assert_int_equal(unlink(path), 0);
}

static void test_long_path(void **state)
{
	char dir[PATH_MAX], path[PATH_MAX + 64];

	path_in(dir, *state, DEEP_DIR);
	assert_int_equal(mkdir(dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/a-socket-with-quite-a-name-of-its-own", dir);
	assert_true(strlen(path) > sizeof(((struct sockaddr_un *)0)->sun_path));
	assert_int_equal(connect_to(path), -ENOENT);
	check_round_trip(path);
	assert_int_equal(connect_to(path), -ECONNREFUSED);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void test_abstract(void **state)
{
	char name[200];

	(void)state;
	snprintf(name, sizeof(name), "@test_fdmsg.%d", getpid());
	check_round_trip(name);
	assert_int_equal(connect_to(name), -ECONNREFUSED);
	memset(name, '@', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(connect_to(name), -ENAMETOOLONG);
	assert_int_equal(fdmsg_listen(name, SOCK_STREAM, 1), -ENAMETOOLONG);
}

static void test_nothing_to_connect_to(void **state)
{
	char path[PATH_MAX];

	assert_int_equal(connect_to(""), -EINVAL);
	assert_int_equal(fdmsg_listen("", SOCK_STREAM, 1), -EINVAL);
	path_in(path, *state, "missing");
	assert_int_equal(connect_to(path), -ENOENT);
	path_in(path, *state, "missing/sock");
	assert_int_equal(connect_to(path), -ENOENT);
	assert_int_equal(fdmsg_listen(path, SOCK_STREAM, 1), -ENOENT);
	assert_int_equal(connect_to(((struct fixture *)*state)->dir), -ENOTSOCK);
	path_in(path, *state, "file");
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(connect_to(path), -ENOTSOCK);
	assert_int_equal(fdmsg_listen(path, SOCK_STREAM, 1), -EADDRINUSE);
	assert_int_equal(unlink(path), 0);
}

static void check_other_type(void **state, int type)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	char path[PATH_MAX];
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	path_in(path, *state, "other");
	strcpy(sun.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(connect_to(path), -EPROTOTYPE);
	close(fd);
	assert_int_equal(unlink(path), 0);
}

static void test_other_type(void **state)
{
	check_other_type(state, SOCK_DGRAM);
	check_other_type(state, SOCK_SEQPACKET);
}

static void test_nobody_accepts(void **state)
{
	struct fdmsg_wait wait;
	int listener, fds[16], cancel = eventfd(1, EFD_CLOEXEC);
	char path[PATH_MAX];
	unsigned int n = 0;

	path_in(path, *state, "sock");
	listener = fdmsg_listen(path, SOCK_STREAM, 0);
	assert_true(listener >= 0);
	do
		fds[n] = connect_to(path);
	while (fds[n] >= 0 && ++n < ARRAY_SIZE(fds));
	assert_true(n < ARRAY_SIZE(fds));
	assert_int_equal(fds[n], -ETIMEDOUT);
	wait = fdmsg_wait_ms(LONG_MS, cancel);
	assert_int_equal(fdmsg_connect(path, SOCK_STREAM, &wait), -ECANCELED);
	while (n)
		close(fds[--n]);
	close(cancel);
	close(listener);
	assert_int_equal(unlink(path), 0);
}

static void test_accept_waits(void **state)
{
	struct fdmsg_wait wait = within(SOON_MS);
	char path[PATH_MAX];
	int listener;

	path_in(path, *state, "sock");
	listener = fdmsg_listen(path, SOCK_STREAM, 1);
	assert_int_equal(fdmsg_accept(listener, &wait), -ETIMEDOUT);
	close(listener);
	assert_int_equal(unlink(path), 0);
}

/* Sends "message" in two pieces with @n descriptors that are all copies of one. */
static void send_fds(struct fixture *f, int fd, unsigned int n)
{
	char text[] = "message";
	struct iovec iov[2] = {{text, 3}, {text + 3, 5}};
	struct fdmsg_wait wait = within(LONG_MS);
	int fds[FDMSG_FDS_MAX];
	unsigned int i;

	for (i = 0; i < n; i++)
		fds[i] = fd;
	assert_int_equal(fdmsg_send(f->pair[0], iov, 2, fds, n, &wait), 0);
}

static void test_descriptors(void **state)
{
	struct fdmsg_wait wait = within(LONG_MS);
	int fd = eventfd(7, EFD_CLOEXEC);
	struct fixture *f = *state;
	struct fdmsg_fds fds;
	uint64_t value = 0;
	char text[8];
	unsigned int n, i;

	for (n = 0; n <= FDMSG_FDS_MAX; n++) {
		send_fds(f, fd, n);
		assert_int_equal(fdmsg_receive(f->pair[1], text, sizeof(text), &fds, &wait), 0);
		assert_string_equal(text, "message");
		assert_int_equal(fds.n, n);
		for (i = 0; i < n; i++)
			assert_true(fcntl(fds.fd[i], F_GETFD) & FD_CLOEXEC);
		if (n == 1)
			assert_int_equal(read(fds.fd[0], &value, 8), 8);
		fdmsg_close_fds(&fds);
		fdmsg_close_fds(&fds);
		assert_int_equal(fds.n, 0);
	}
	assert_int_equal(value, 7);
	close(fd);
}

/* More descriptors than a message may have, as only another program would send. */
static void send_surplus(int fd, unsigned int n)
{
	char control[CMSG_SPACE(sizeof(int) * 64)] = {0};
	struct iovec iov = {(char[]){"message"}, 8};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};
	struct cmsghdr *cmsg;
	unsigned int i;

	msg.msg_controllen = CMSG_SPACE(sizeof(int) * n);
	cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n);
	for (i = 0; i < n; i++)
		memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &fd, sizeof(int));
	assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), 8);
}

static void test_surplus_descriptors(void **state)
{
	static const unsigned int numbers[] = {9, 10, 64};
	struct fdmsg_wait wait = within(LONG_MS);
	struct fixture *f = *state;
	unsigned int before = count_fds(), i;
	struct fdmsg_fds fds;
	char text[8];

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		send_surplus(f->pair[0], numbers[i]);
		assert_int_equal(fdmsg_receive(f->pair[1], text, 8, &fds, &wait), -EBADMSG);
		assert_int_equal(fds.n, 0);
		assert_int_equal(count_fds(), before);
		/* what was refused has been consumed all the same */
		assert_int_equal(fdmsg_pending(f->pair[1]), 0);
	}
	/* several in one message, each allowed, too many in all */
	send_surplus(f->pair[0], 5);
	send_surplus(f->pair[0], 5);
	assert_int_equal(fdmsg_receive(f->pair[1], (char[16]){0}, 16, &fds, &wait), -EBADMSG);
	assert_int_equal(count_fds(), before);
}

static void test_unwanted_descriptor(void **state)
{
	struct fdmsg_wait wait = within(LONG_MS);
	struct fixture *f = *state;
	unsigned int before = count_fds();
	char text[8];

	send_fds(f, f->pair[0], 1);
	assert_int_equal(fdmsg_receive(f->pair[1], text, 8, NULL, &wait), -EBADMSG);
	assert_int_equal(count_fds(), before);
}

static void test_ends(void **state)
{
	struct fdmsg_wait wait = within(LONG_MS);
	struct fixture *f = *state;
	struct fdmsg_fds fds;
	char text[16];

	assert_int_equal(fdmsg_pending(f->pair[1]), 0);
	send_fds(f, STDERR_FILENO, 2);
	assert_int_equal(fdmsg_pending(f->pair[1]), 1);
	close_fd(&f->pair[0]);
	/* the descriptors of half a message are closed with it: teardown counts */
	assert_int_equal(fdmsg_receive(f->pair[1], text, sizeof(text), &fds, &wait), -EPROTO);
	assert_int_equal(fds.n, 0);
	assert_int_equal(fdmsg_receive(f->pair[1], text, 1, &fds, &wait), -ECONNRESET);
	assert_int_equal(fdmsg_pending(f->pair[1]), -ECONNRESET);
	assert_int_equal(fdmsg_send(f->pair[1], &(struct iovec){text, 1}, 1, NULL, 0, &wait),
			 -ECONNRESET);
}

static void test_deadline_and_cancel(void **state)
{
	struct fdmsg_wait wait = within(SOON_MS);
	int cancel = eventfd(0, EFD_CLOEXEC);
	struct fixture *f = *state;
	uint64_t start = now_ns();
	char text[8];

	assert_int_equal(fdmsg_receive(f->pair[1], text, 1, NULL, &wait), -ETIMEDOUT);
	assert_true(now_ns() - start >= SOON_MS * UINT64_C(1000000));
	wait = fdmsg_wait_ms(SOON_MS, cancel);
	assert_int_equal(fdmsg_receive(f->pair[1], text, 1, NULL, &wait), -ETIMEDOUT);
	assert_int_equal(eventfd_write(cancel, 1), 0);
	wait = (struct fdmsg_wait){UINT64_MAX, cancel};
	assert_int_equal(fdmsg_receive(f->pair[1], text, 1, NULL, &wait), -ECANCELED);
	/* what is there already is taken without waiting */
	send_fds(f, -1, 0);
	assert_int_equal(fdmsg_receive(f->pair[1], text, 8, NULL, &wait), 0);
	assert_string_equal(text, "message");
	close(cancel);
}

#define BULK (4u << 20)

struct bulk {
	int fd;
	unsigned char *data;
	struct fdmsg_fds fds;
	int result;
};

static void *receive_bulk(void *arg)
{
	struct fdmsg_wait wait = within(LONG_MS);
	struct bulk *b = arg;

	b->result = fdmsg_receive(b->fd, b->data, BULK, &b->fds, &wait);
	return NULL;
}

/* More than the socket holds, in uneven pieces: sent in parts, none lost or repeated. */
static void test_partial_send(void **state)
{
	struct fdmsg_wait wait = within(LONG_MS);
	struct fixture *f = *state;
	struct bulk b = {.fd = f->pair[1], .data = malloc(BULK), .result = -1};
	unsigned char *out = malloc(BULK);
	struct iovec iov[3] = {{out, 12}, {out + 12, 99999}, {out + 100011, BULK - 100011}};
	pthread_t thread;
	size_t i;

	assert_non_null(out);
	assert_non_null(b.data);
	for (i = 0; i < BULK; i++)
		out[i] = (unsigned char)(i * 7 + i / 251);
	assert_int_equal(pthread_create(&thread, NULL, receive_bulk, &b), 0);
	assert_int_equal(fdmsg_send(f->pair[0], iov, 3, f->pair, 1, &wait), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(b.result, 0);
	assert_memory_equal(b.data, out, BULK);
	/* the descriptor came once */
	assert_int_equal(b.fds.n, 1);
	fdmsg_close_fds(&b.fds);
	/* and nobody reads: the deadline holds */
	wait = within(SOON_MS);
	assert_int_equal(fdmsg_send(f->pair[0], iov, 3, NULL, 0, &wait), -ETIMEDOUT);
	free(b.data);
	free(out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_short_path),
		TEST(test_long_path),
		TEST(test_abstract),
		TEST(test_nothing_to_connect_to),
		TEST(test_other_type),
		TEST(test_nobody_accepts),
		TEST(test_accept_waits),
		TEST(test_descriptors),
		TEST(test_surplus_descriptors),
		TEST(test_unwanted_descriptor),
		TEST(test_ends),
		TEST(test_deadline_and_cancel),
		TEST(test_partial_send),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
