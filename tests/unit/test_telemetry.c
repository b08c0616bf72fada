/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The wire of DPDK's telemetry, and clients of all kinds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdmsg.h"
#include "base/util.h"
#include "daemon/telemetry.h"

#define LONG_MS 5000
#define NOBODY	65534

struct bench {
	char dir[32], path[64];
	sd_event *event;
	int listen_fd;
	struct telemetry *t;
	unsigned int left, last_left; /* connections that ended, and the number of the last */
	unsigned int last_client;
	char reply[TELEMETRY_OUTPUT_MAX + 1];
};

/* ---- commands ---- */

static json_t *echo(struct telemetry_call *call)
{
	((struct bench *)call->owner)->last_client = call->client;
	return call->params ? json_string(call->params) : json_pack("{}");
}

static json_t *complain(struct telemetry_call *call)
{
	snprintf(call->error, call->size, "no \"%s\" here", call->params ? call->params : "");
	return NULL;
}

static json_t *big(struct telemetry_call *call)
{
	size_t len = strtoul(call->params, NULL, 10);
	char *s = malloc(len);
	json_t *value;

	memset(s, 'x', len);
	value = json_stringn(s, len);
	free(s);
	return value;
}

static json_t *subscribe(struct telemetry_call *call)
{
	call->subscribe = true;
	return json_true();
}

/* Its value comes with a descriptor of the same file as our own. */
static json_t *hand_over(struct telemetry_call *call)
{
	call->fd = ((struct bench *)call->owner)->listen_fd;
	return json_true();
}

static const struct telemetry_command commands[] = {
	{"/a/big", "as many x", false, big},	  {"/a/change", "a change", true, echo},
	{"/a/echo", "the same", false, echo},	  {"/a/fd", "a descriptor", false, hand_over},
	{"/i", "before /info", false, echo},	  {"/z/complain", "never", false, complain},
	{"/z/watch", "events", false, subscribe},
};

/* ---- the bench ---- */

static void on_left(void *owner, unsigned int client)
{
	struct bench *b = owner;

	b->left++;
	b->last_left = client;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct telemetry_config config = {
		.tag = "test",
		.version = "test 1",
		.commands = commands,
		.ncommands = ARRAY_SIZE(commands),
		.left = on_left,
		.owner = b,
	};

	assert_non_null(b);
	strcpy(b->dir, "/tmp/test_telemetry.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/sock", b->dir);
	b->listen_fd = fdmsg_listen(b->path, SOCK_SEQPACKET, 32);
	assert_true(b->listen_fd >= 0);
	assert_int_equal(sd_event_new(&b->event), 0);
	config.listen_fd = b->listen_fd;
	assert_int_equal(telemetry_open(&b->t, b->event, &config), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	telemetry_close(b->t);
	telemetry_close(NULL);
	sd_event_unref(b->event);
	close_fd(&b->listen_fd);
	unlink(b->path);
	assert_int_equal(rmdir(b->dir), 0);
	free(b);
	return 0;
}

/* Runs the loop until nothing is left to do. */
static void turn(struct bench *b)
{
	while (sd_event_run(b->event, 0) > 0)
		;
}

static const char *receive(struct bench *b, int fd)
{
	ssize_t n = recv(fd, b->reply, sizeof(b->reply) - 1, MSG_DONTWAIT);

	b->reply[MAX(n, 0)] = '\0';
	return n > 0 ? b->reply : NULL;
}

static int connect_only(struct bench *b)
{
	const struct fdmsg_wait wait = fdmsg_wait_ms(LONG_MS, -1);
	int fd = fdmsg_connect(b->path, SOCK_SEQPACKET, &wait);

	assert_true(fd >= 0);
	turn(b);
	return fd;
}

static int connect_client(struct bench *b)
{
	int fd = connect_only(b);

	assert_non_null(receive(b, fd)); /* the greeting */
	return fd;
}

static const char *ask(struct bench *b, int fd, const char *request)
{
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	turn(b);
	return receive(b, fd);
}

#define assert_answer(b, fd, request, answer) assert_string_equal(ask(b, fd, request), answer)

/* ---- tests ---- */

static void test_greeting(void **state)
{
	struct bench *b = *state;
	char greeting[128];
	int fd = connect_only(b);

	snprintf(greeting, sizeof(greeting),
		 "{\"version\":\"test 1\",\"pid\":%d,\"max_output_len\":131072}", getpid());
	assert_string_equal(receive(b, fd), greeting);
	assert_null(receive(b, fd));
	close_fd(&fd);
	turn(b);
	assert_int_equal(b->left, 1);
	assert_int_equal(b->last_left, 1);
}

static void test_own_commands(void **state)
{
	struct bench *b = *state;
	int fd = connect_client(b);

	assert_answer(b, fd, "/",
		      "{\"/\":[\"/\",\"/a/big\",\"/a/change\",\"/a/echo\",\"/a/fd\",\"/help\","
		      "\"/i\",\"/info\",\"/z/complain\",\"/z/watch\"]}");
	assert_non_null(strstr(ask(b, fd, "/info"), "{\"/info\":{\"version\":\"test 1\",\"pid\":"));
	assert_answer(b, fd, "/help,/a/echo", "{\"/help\":{\"/a/echo\":\"the same\"}}");
	assert_non_null(strstr(ask(b, fd, "/help"), "{\"/help\":{\"/help\":\""));
	assert_non_null(strstr(ask(b, fd, "/help,/"), "{\"/help\":{\"/\":\""));
	assert_answer(b, fd, "/help,/none", "{\"/help\":null}");
	close_fd(&fd);
}

static void test_requests(void **state)
{
	struct bench *b = *state;
	int fd = connect_client(b);

	assert_answer(b, fd, "/a/echo", "{\"/a/echo\":{}}");
	assert_answer(b, fd, "/a/echo,", "{\"/a/echo\":{}}");
	assert_answer(b, fd, "/a/echo,x", "{\"/a/echo\":\"x\"}");
	assert_answer(b, fd, "/a/echo,x,y=\"1\"", "{\"/a/echo\":\"x,y=\\\"1\\\"\"}");
	assert_answer(b, fd, "/z/complain,bread",
		      "{\"/z/complain\":null,\"error\":\"no \\\"bread\\\" here\"}");
	assert_answer(b, fd, "/none", "{\"/none\":null,\"error\":\"there is no such command\"}");
	close_fd(&fd);
}

/* Whatever is sent, the answer is JSON, and the connection goes on. */
static void test_bad_requests(void **state)
{
	static const char none[] = "{\"none\":null,\"error\":\"there is no such command\"}";
	struct bench *b = *state;
	int fd = connect_client(b);
	char text[2048];

	assert_answer(b, fd, "x", none);
	assert_answer(b, fd, ",", none);
	assert_answer(b, fd, "a/echo", none);
	assert_answer(b, fd, "/\xff\xfe", none);
	assert_answer(b, fd, "/a b", none);
	assert_answer(b, fd, "/\n", none);
	/* the value cannot be put into JSON, so there is none */
	assert_answer(b, fd, "/a/echo,\xff", "{\"/a/echo\":null}");
	memset(text, 'x', sizeof(text));
	text[0] = '/';
	text[TELEMETRY_NAME_MAX] = '\0';
	assert_null(strstr(ask(b, fd, text), "none"));
	text[TELEMETRY_NAME_MAX] = 'x';
	text[TELEMETRY_NAME_MAX + 1] = '\0';
	assert_answer(b, fd, text, none);
	memset(text, 'x', sizeof(text));
	memcpy(text, "/a/echo,", 8);
	text[TELEMETRY_INPUT_MAX] = '\0';
	assert_int_equal(strlen(ask(b, fd, text)), TELEMETRY_INPUT_MAX - 8 + 14);
	text[TELEMETRY_INPUT_MAX] = 'x';
	text[TELEMETRY_INPUT_MAX + 1] = '\0';
	assert_non_null(strstr(ask(b, fd, text), "{\"/a/echo\":null,\"error\":\"the request is"));
	assert_int_equal(send(fd, "/a/echo\0,x", 10, 0), 10);
	turn(b);
	assert_string_equal(receive(b, fd), "{\"/a/echo\":{}}");
	close_fd(&fd);
}

static unsigned int count_fds(void)
{
	unsigned int n = 0;
	int fd;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* A descriptor goes with the one answer that has it, and none is left when nobody takes it. */
static void test_descriptors(void **state)
{
	const struct fdmsg_wait wait = fdmsg_wait_ms(LONG_MS, -1);
	static const char answer[] = "{\"/a/fd\":true}";
	struct bench *b = *state;
	struct stat ours, theirs;
	struct fdmsg_fds fds;
	unsigned int before, i;
	int fd = connect_client(b);

	before = count_fds();
	assert_answer(b, fd, "/a/echo,1", "{\"/a/echo\":\"1\"}");
	assert_int_equal(send(fd, "/a/fd", 5, MSG_NOSIGNAL), 5);
	turn(b);
	assert_int_equal(fdmsg_receive(fd, b->reply, strlen(answer), &fds, &wait), 0);
	assert_memory_equal(b->reply, answer, strlen(answer));
	assert_int_equal(fds.n, 1);
	assert_int_equal(fstat(fds.fd[0], &theirs), 0);
	assert_int_equal(fstat(b->listen_fd, &ours), 0);
	assert_true(theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev);
	fdmsg_close_fds(&fds);
	/* plain recv, as other clients do, drops it */
	assert_answer(b, fd, "/a/fd", answer);
	assert_int_equal(count_fds(), before);
	/* answers wait, and then the client goes */
	for (i = 0; i < 1000; i++) {
		if (send(fd, "/a/fd", 5, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
		turn(b);
	}
	close_fd(&fd);
	turn(b);
	assert_int_equal(b->left, 1);
	assert_int_equal(count_fds(), before - 2);
}

static void test_long_answers(void **state)
{
	struct bench *b = *state;
	int fd = connect_client(b);
	char request[32];

	snprintf(request, sizeof(request), "/a/big,%u", TELEMETRY_OUTPUT_MAX - 13);
	assert_int_equal(strlen(ask(b, fd, request)), TELEMETRY_OUTPUT_MAX);
	snprintf(request, sizeof(request), "/a/big,%u", TELEMETRY_OUTPUT_MAX - 12);
	assert_non_null(strstr(ask(b, fd, request), "{\"/a/big\":null,\"error\":\"the answer"));
	close_fd(&fd);
}

/* Ten are served; one more is closed at once, until a place is free. */
static void test_clients(void **state)
{
	struct bench *b = *state;
	int fds[TELEMETRY_CLIENTS_MAX], one_more;
	unsigned int i;

	for (i = 0; i < TELEMETRY_CLIENTS_MAX; i++)
		fds[i] = connect_client(b);
	one_more = connect_only(b);
	assert_null(receive(b, one_more));
	assert_int_equal(fdmsg_pending(one_more), -ECONNRESET);
	close_fd(&one_more);
	for (i = 0; i < TELEMETRY_CLIENTS_MAX; i++)
		assert_answer(b, fds[i], "/a/echo,x", "{\"/a/echo\":\"x\"}");
	assert_int_equal(b->last_client, TELEMETRY_CLIENTS_MAX);
	close_fd(&fds[3]);
	turn(b);
	assert_int_equal(b->last_left, 4);
	fds[3] = connect_client(b);
	assert_answer(b, fds[3], "/a/echo,x", "{\"/a/echo\":\"x\"}");
	/* another number, though in the same place */
	assert_int_equal(b->last_client, TELEMETRY_CLIENTS_MAX + 1);
	for (i = 0; i < TELEMETRY_CLIENTS_MAX; i++)
		close_fd(&fds[i]);
}

/* As one who may look and not change. */
static int connect_reader(struct bench *b)
{
	int fd;

	assert_int_equal(chmod(b->dir, 0755), 0);
	assert_int_equal(chmod(b->path, 0666), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	fd = fdmsg_connect(b->path, SOCK_SEQPACKET, NULL);
	assert_int_equal(seteuid(0), 0);
	assert_true(fd >= 0);
	turn(b);
	return fd;
}

/* Readers who sit there idle do not keep root out. */
static void test_places_for_root(void **state)
{
	struct bench *b = *state;
	int readers[TELEMETRY_READERS_MAX + 3], root[2], fd;
	const unsigned int n = ARRAY_SIZE(readers);
	unsigned int i;

	if (geteuid())
		skip();
	for (i = 0; i < n; i++)
		readers[i] = connect_reader(b);
	for (i = 0; i < n; i++) {
		assert_int_equal(!receive(b, readers[i]), i >= TELEMETRY_READERS_MAX);
		if (i >= TELEMETRY_READERS_MAX)
			assert_int_equal(fdmsg_pending(readers[i]), -ECONNRESET);
	}
	for (i = 0; i < ARRAY_SIZE(root); i++) {
		root[i] = connect_client(b);
		assert_answer(b, root[i], "/a/change,x", "{\"/a/change\":\"x\"}");
	}
	/* all are taken now; a reader's place is free for a reader when it is, also if root is
	 * there */
	fd = connect_only(b);
	assert_int_equal(fdmsg_pending(fd), -ECONNRESET);
	close_fd(&fd);
	close_fd(&readers[0]);
	turn(b);
	readers[0] = connect_reader(b);
	assert_non_null(receive(b, readers[0]));
	/* nor may it be taken from root's: that is still refused a change */
	assert_int_equal(send(readers[0], "/a/change,x", 11, 0), 11);
	turn(b);
	assert_non_null(strstr(receive(b, readers[0]), "no permission"));
	for (i = 0; i < n; i++)
		close_fd(&readers[i]);
	for (i = 0; i < ARRAY_SIZE(root); i++)
		close_fd(&root[i]);
}

/* Who does not read its answers is not read from; nobody else notices. */
static void test_slow_client(void **state)
{
	struct bench *b = *state;
	int slow = connect_client(b), fd = connect_client(b);
	unsigned int sent = 0, got = 0;

	while (send(slow, "/a/big,30000", 12, MSG_DONTWAIT) == 12) {
		turn(b);
		sent++;
		assert_true(sent < 10000);
	}
	assert_int_equal(errno, EAGAIN);
	assert_answer(b, fd, "/a/echo,x", "{\"/a/echo\":\"x\"}");
	/* all is answered as soon as it reads */
	while (receive(b, slow)) {
		assert_int_equal(strlen(b->reply), 30013);
		got++;
		turn(b);
	}
	assert_int_equal(got, sent);
	assert_answer(b, slow, "/a/echo,y", "{\"/a/echo\":\"y\"}");
	close_fd(&slow);
	close_fd(&fd);
}

/* It goes while its answers wait. */
static void test_leaving(void **state)
{
	struct bench *b = *state;
	int slow = connect_client(b), fd;

	while (send(slow, "/a/big,60000", 12, MSG_DONTWAIT) == 12)
		turn(b);
	close_fd(&slow);
	turn(b);
	assert_int_equal(b->left, 1);
	fd = connect_client(b);
	assert_answer(b, fd, "/a/echo,x", "{\"/a/echo\":\"x\"}");
	close_fd(&fd);
}

static void test_events(void **state)
{
	struct bench *b = *state;
	int a = connect_client(b), c = connect_client(b), other = connect_client(b);

	assert_false(telemetry_has_subscribers(b->t));
	telemetry_publish(b->t, "/z/watch", json_integer(1));
	assert_answer(b, a, "/z/watch", "{\"/z/watch\":true}");
	assert_answer(b, c, "/z/watch", "{\"/z/watch\":true}");
	assert_true(telemetry_has_subscribers(b->t));
	telemetry_publish(b->t, "/z/watch", json_integer(2));
	assert_string_equal(receive(b, a), "{\"/z/watch\":2}");
	assert_string_equal(receive(b, c), "{\"/z/watch\":2}");
	assert_null(receive(b, other));
	assert_answer(b, a, "/a/echo,x", "{\"/a/echo\":\"x\"}");
	close_fd(&a);
	close_fd(&c);
	turn(b);
	assert_false(telemetry_has_subscribers(b->t));
	close_fd(&other);
}

/* Events do not wait for ever for one who does not read them. */
static void test_deaf_subscriber(void **state)
{
	struct bench *b = *state;
	int deaf = connect_client(b), good = connect_client(b);
	unsigned int sent = 0, heard = 0;

	assert_answer(b, deaf, "/z/watch", "{\"/z/watch\":true}");
	assert_answer(b, good, "/z/watch", "{\"/z/watch\":true}");
	while (!b->left) {
		telemetry_publish(b->t, "/z/watch", json_integer(sent++));
		assert_non_null(receive(b, good));
		assert_true(sent < 100000);
	}
	assert_int_equal(b->last_left, 1);
	assert_true(telemetry_has_subscribers(b->t));
	while (receive(b, deaf))
		heard++;
	assert_in_range(heard, 1, sent);
	assert_int_equal(fdmsg_pending(deaf), -ECONNRESET);
	close_fd(&deaf);
	close_fd(&good);
}

/* In a process of its own: 0 when a change was allowed and answered, 1 when it was refused. */
static int change_as(struct bench *b, uid_t uid)
{
	const struct fdmsg_wait wait = fdmsg_wait_ms(LONG_MS, -1);
	char reply[256] = "";
	pid_t pid = fork();
	int status, fd, i;

	if (pid == 0) {
		if (seteuid(0) < 0 || setresuid(uid, uid, uid) < 0)
			_exit(9);
		fd = fdmsg_connect(b->path, SOCK_SEQPACKET, &wait);
		if (fd < 0 || send(fd, "/a/change,x", 11, 0) < 0)
			_exit(8);
		for (i = 0; i < 2; i++) { /* the greeting and the answer */
			while (recv(fd, reply, sizeof(reply) - 1, 0) < 0 && errno == EAGAIN)
				usleep(1000);
		}
		_exit(strstr(reply, "no permission") ? 1 : strstr(reply, ":\"x\"") ? 0 : 7);
	}
	while (waitpid(pid, &status, WNOHANG) == 0)
		sd_event_run(b->event, 10000);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_permission(void **state)
{
	struct bench *b = *state;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(b->dir, 0755), 0);
	assert_int_equal(chmod(b->path, 0666), 0);
	assert_int_equal(change_as(b, 0), 0);
	assert_int_equal(change_as(b, NOBODY), 1);
	/* once we are nobody, he may too */
	assert_int_equal(seteuid(NOBODY), 0);
	assert_int_equal(change_as(b, NOBODY), 0);
	assert_int_equal(change_as(b, 0), 0);
	assert_int_equal(change_as(b, NOBODY - 1), 1);
	assert_int_equal(seteuid(0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_greeting),	 TEST(test_own_commands),    TEST(test_requests),
		TEST(test_bad_requests), TEST(test_descriptors),     TEST(test_long_answers),
		TEST(test_clients),	 TEST(test_places_for_root), TEST(test_slow_client),
		TEST(test_leaving),	 TEST(test_events),	     TEST(test_deaf_subscriber),
		TEST(test_permission),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
