/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Those who connect to a server: asked at once, taken in the order of their answers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdmsg.h"
#include "base/util.h"
#include "port/greeter.h"
#include "vhost/proto.h"
#include "vhost/user.h"

#define GUESTS	    64u /* that it has room for */
#define PATIENCE_NS (60 * UINT64_C(1000000000))

struct bench {
	sd_event *event;
	struct vhost *v;
	struct greeter *g;
	unsigned int answers, drops;
	int error;
	const char *why;
};

static void on_answered(void *owner)
{
	((struct bench *)owner)->answers++;
}

static void on_dropped(void *owner, int error, const char *why)
{
	struct bench *b = owner;

	b->drops++;
	b->error = error;
	b->why = why;
}

static const struct greeter_events events = {.answered = on_answered, .dropped = on_dropped};

static void begin(struct bench *b)
{
	*b = (struct bench){.v = vhost_user_new("@nobody", 1000, -1)};
	assert_non_null(b->v);
	assert_true(sd_event_new(&b->event) >= 0);
	assert_int_equal(greeter_open(&b->g, b->event, b->v, &events, b), 0);
}

static void end(struct bench *b)
{
	greeter_close(b->g);
	sd_event_unref(b->event);
	vhost_user_free(b->v);
}

/* Someone connects; the guest's end of it. */
static int come(struct bench *b)
{
	int fds[2];

	assert_int_equal(fdmsg_pair(fds), 0);
	greeter_add(b->g, fds[0]);
	return fds[1];
}

static void say(int fd, char word)
{
	assert_int_equal(send(fd, &word, 1, MSG_NOSIGNAL), 1);
}

static void run_until(struct bench *b, const unsigned int *counter, unsigned int value)
{
	uint64_t deadline = now_ns() + PATIENCE_NS;

	while (*counter < value) {
		assert_true(now_ns() < deadline);
		assert_true(sd_event_run(b->event, 10000) >= 0);
	}
}

/* Which guest it is that is taken, by what it said. */
static char take(struct bench *b)
{
	int fd = greeter_take(b->g);
	char word = 0;

	if (fd < 0)
		return 0;
	assert_int_equal(recv(fd, &word, 1, 0), 1);
	close(fd);
	return word;
}

static bool is_gone(int fd)
{
	char buf[64];
	ssize_t n;

	do
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	while (n > 0);
	return n == 0 || errno == ECONNRESET; /* if it left words of ours unread */
}

/* Owner and features: what a backend is asked first, before it is known to be one. */
static void test_first_words(void **state __attribute__((unused)))
{
	struct vhost_user_header words[2];
	struct bench b;
	int fd;

	begin(&b);
	fd = come(&b);
	assert_int_equal(recv(fd, words, sizeof(words), MSG_DONTWAIT), sizeof(words));
	assert_int_equal(words[0].request, VHOST_USER_SET_OWNER);
	assert_int_equal(words[1].request, VHOST_USER_GET_FEATURES);
	assert_int_equal(words[0].flags, VHOST_USER_VERSION);
	assert_int_equal(words[0].size + words[1].size, 0);
	assert_int_equal(greeter_take(b.g), -1); /* silent */
	assert_int_equal(greeter_clear(b.g), 0);
	assert_true(is_gone(fd));
	close(fd);
	end(&b);
}

static void test_order_of_answers(void **state __attribute__((unused)))
{
	struct bench b;
	int fd[4];
	unsigned int i;

	begin(&b);
	for (i = 0; i < 4; i++)
		fd[i] = come(&b);
	say(fd[2], 'c');
	run_until(&b, &b.answers, 1);
	say(fd[0], 'a');
	run_until(&b, &b.answers, 2);
	say(fd[3], 'd');
	run_until(&b, &b.answers, 3);
	assert_int_equal(take(&b), 'c');
	assert_int_equal(take(&b), 'a');
	assert_int_equal(greeter_clear(b.g), 1);
	assert_int_equal(take(&b), 0);
	assert_true(is_gone(fd[1]) && is_gone(fd[3]));
	assert_int_equal(b.drops, 0);
	for (i = 0; i < 4; i++)
		close(fd[i]);
	end(&b);
}

/* One who has left before a word could be said to it. */
static void test_left(void **state __attribute__((unused)))
{
	struct bench b;
	int fds[2];

	begin(&b);
	assert_int_equal(fdmsg_pair(fds), 0);
	close(fds[1]);
	greeter_add(b.g, fds[0]);
	assert_int_equal(b.drops, 1);
	assert_int_equal(b.error, -ECONNRESET);
	assert_string_equal(b.why, "the peer hung up");
	end(&b);
}

static void test_dropped(void **state __attribute__((unused)))
{
	uint64_t since = now_ns();
	struct bench b;
	int silent, leaving;

	begin(&b);
	silent = come(&b);
	leaving = come(&b);
	close(leaving);
	run_until(&b, &b.drops, 1);
	assert_int_equal(b.error, -ECONNRESET);
	assert_string_equal(b.why, "the peer hung up instead of answering");
	run_until(&b, &b.drops, 2);
	assert_int_equal(b.error, -ETIMEDOUT);
	assert_string_equal(b.why, "no answer in time");
	assert_true(now_ns() - since >= UINT64_C(1000000000));
	assert_true(is_gone(silent));
	close(silent);
	end(&b);
}

/* Who has answered stays; of the others the one who came first makes room. */
static void test_crowd(void **state __attribute__((unused)))
{
	int fd[GUESTS + 2];
	struct bench b;
	unsigned int i;

	begin(&b);
	for (i = 0; i < GUESTS; i++)
		fd[i] = come(&b);
	say(fd[0], 'a');
	run_until(&b, &b.answers, 1);
	for (; i < GUESTS + 2; i++)
		fd[i] = come(&b);
	assert_false(is_gone(fd[0]));
	assert_true(is_gone(fd[1]) && is_gone(fd[2]));
	for (i = 3; i < GUESTS + 2; i++)
		assert_false(is_gone(fd[i]));
	assert_int_equal(b.drops, 0);
	say(fd[GUESTS + 1], 'z');
	run_until(&b, &b.answers, 2);
	assert_int_equal(take(&b), 'a');
	assert_int_equal(take(&b), 'z');
	for (i = 0; i < GUESTS + 2; i++)
		close(fd[i]);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_words), cmocka_unit_test(test_order_of_answers),
		cmocka_unit_test(test_left),	    cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
