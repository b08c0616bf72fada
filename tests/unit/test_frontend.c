/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A frontend on its loop, before a scripted peer: what its owner asks of it while it is up, and
 * what comes of that when the peer fails; and a server that has no descriptor left.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "log_capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/fdmsg.h"
#include "base/listener.h"
#include "base/util.h"
#include "port/frontend.h"
#include "scripted_peer.h"
#include "virtio/feature.h"

#define PATIENCE_NS (60 * UINT64_C(1000000000))

struct bench {
	struct peer *peer; /* first: it is the state of scripted_peer_setup */
	sd_event *event;
	struct vport *vp;
	struct listener *listen;
	struct log_capture log;
	unsigned int ups, downs, changes, answers;
	int refuse; /* what up returns */
};

static int on_up(void *owner)
{
	struct bench *b = owner;

	b->ups++;
	return b->refuse;
}

static void on_down(void *owner)
{
	((struct bench *)owner)->downs++;
}

static void on_changed(void *owner, unsigned int changes)
{
	((struct bench *)owner)->changes |= changes;
}

static void on_answered(void *owner)
{
	((struct bench *)owner)->answers++;
}

static const struct vport_events events = {
	.answered = on_answered,
	.up = on_up,
	.down = on_down,
	.changed = on_changed,
};

static void open_frontend(struct bench *b, const char *path)
{
	const struct frontend_config config = {
		.vhost = b->peer->v,
		.listen = b->listen,
		.path = path,
		.tag = "v0",
		.device = {
			.pairs = 1,
			.queue_size = 64,
			.features = FEATURE_RING_MASK | FEATURE_SHARED_MASK | FEATURE_DEVICE_MASK,
		},
	};

	assert_true(sd_event_new(&b->event) >= 0);
	assert_int_equal(frontend_open(&b->vp, b->event, &config, &events, b), 0);
	log_capture_begin(&b->log);
	assert_int_equal(b->vp->ops->start(b->vp), 0);
}

static void close_frontend(struct bench *b)
{
	b->vp->ops->close(b->vp);
	log_capture_end(&b->log);
	sd_event_unref(b->event);
}

/* Runs the loop until *counter is @value. */
static void run_until(struct bench *b, const unsigned int *counter, unsigned int value)
{
	uint64_t deadline = now_ns() + PATIENCE_NS;

	while (*counter < value) {
		assert_true(now_ns() < deadline);
		assert_true(sd_event_run(b->event, 10000) >= 0);
	}
}

static void come_up(struct bench *b)
{
	b->peer->status = 15; /* whatever was told, it agrees */
	scripted_peer_start(b->peer);
	open_frontend(b, b->peer->path);
	run_until(b, &b->ups, 1);
}

/* What the peer does at the next message. */
static void fail_next(struct bench *b, enum fault fault)
{
	b->peer->fault = fault;
	b->peer->fault_at = scripted_peer_got(b->peer);
}

static void test_write_config(void **state)
{
	struct bench b = { .peer = *state };

	come_up(&b);
	assert_int_equal(b.vp->ops->write_config(b.vp, 0, "\2\0\0\0\0\1", 6), 0);
	assert_memory_equal(b.vp->mac, "\2\0\0\0\0\1", 6);
	assert_int_equal(log_capture_lines(&b.log, "refused"), 0);
	assert_int_equal(b.vp->ops->write_config(b.vp, 6, "\1\0", 2), -EPERM);
	assert_int_equal(log_capture_lines(&b.log, "v0: refused a write of 2 bytes at 6"), 1);
	close_frontend(&b);
	scripted_peer_stop(b.peer);
	assert_int_equal(b.downs, 1);
}

/* Whoever asks goes on; how it went comes from the loop. */
static void test_request_fails(void **state)
{
	struct bench b = { .peer = *state };

	come_up(&b);
	fail_next(&b, NACK);
	assert_int_equal(b.vp->ops->set_mtu(b.vp, 1400), 0);
	assert_true(b.vp->asking);
	run_until(&b, &b.answers, 1);
	assert_false(b.vp->asking);
	assert_int_equal(b.downs, 0); /* a refusal is an answer */
	assert_int_equal(log_capture_lines(&b.log, "v0: the backend does not take mtu 1400"), 1);
	b.peer->v->timeout_ms = 50;
	fail_next(&b, HANG);
	assert_int_equal(b.vp->ops->announce(b.vp), 0);
	assert_int_equal(b.downs, 0);
	run_until(&b, &b.downs, 1);
	assert_int_equal(b.answers, 1);
	assert_int_equal(log_capture_lines(&b.log, "SEND_RARP: no answer in time"), 1);
	assert_int_equal(b.vp->ops->announce(b.vp), -ENOTCONN);
	assert_int_equal(b.vp->ops->set_mtu(b.vp, 1400), -ENOTCONN);
	close_frontend(&b);
	scripted_peer_stop(b.peer);
}

/* What is wanted several times before its turn is asked once, as it was wanted last. */
static void test_wanted_often(void **state)
{
	struct bench b = { .peer = *state };
	unsigned int mtu;
	int before;

	come_up(&b);
	before = scripted_peer_got(b.peer);
	for (mtu = 1400; mtu < 1500; mtu++)
		assert_int_equal(b.vp->ops->set_mtu(b.vp, mtu), 0);
	run_until(&b, &b.answers, 1);
	assert_int_equal(scripted_peer_got(b.peer), before + 2);
	assert_int_equal(b.peer->got[before].payload.u64, 1400);
	assert_int_equal(b.peer->got[before + 1].payload.u64, 1499);
	close_frontend(&b);
	scripted_peer_stop(b.peer);
}

/* The end waits for no answer. */
static void test_end_while_asking(void **state)
{
	struct bench b = { .peer = *state };
	uint64_t since;

	come_up(&b);
	fail_next(&b, HANG);
	assert_int_equal(b.vp->ops->set_mtu(b.vp, 1400), 0);
	since = now_ns();
	close_frontend(&b);
	assert_true(now_ns() - since < UINT64_C(1000000000));
	assert_int_equal(b.downs, 1);
	scripted_peer_stop(b.peer);
}

/* Nor does the loop, from the first message on. */
static void test_loop_goes_on(void **state)
{
	struct bench b = { .peer = *state };
	uint64_t since = now_ns();

	fail_next(&b, HANG);
	b.peer->fault_at = 1; /* GET_FEATURES */
	scripted_peer_start(b.peer);
	open_frontend(&b, b.peer->path);
	while (scripted_peer_got(b.peer) < 2)
		assert_true(sd_event_run(b.event, 10000) >= 0);
	close_frontend(&b);
	assert_true(now_ns() - since < UINT64_C(1000000000)); /* of a timeout of 5 s */
	scripted_peer_stop(b.peer);
}

/* What is told while a request is under way is asked for afterwards. */
static void test_news_meanwhile(void **state)
{
	struct bench b = { .peer = *state };
	uint64_t deadline = now_ns() + PATIENCE_NS;
	int before;

	come_up(&b);
	fail_next(&b, ASK_FIRST);
	before = scripted_peer_got(b.peer);
	assert_int_equal(b.vp->ops->set_mtu(b.vp, 1400), 0);
	while (scripted_peer_got(b.peer) < before + 3) { /* NET_SET_MTU, GET_STATUS, GET_CONFIG */
		assert_true(now_ns() < deadline);
		assert_true(sd_event_run(b.event, 10000) >= 0);
	}
	assert_int_equal(b.peer->got[before + 2].hdr.request, VHOST_USER_GET_CONFIG);
	assert_int_equal(b.downs, 0);
	close_frontend(&b);
	scripted_peer_stop(b.peer);
}

/* What the owner cannot use is given up, with a line. */
static void test_owner_refuses(void **state)
{
	struct bench b = { .peer = *state, .refuse = -ENOBUFS };

	come_up(&b);
	assert_int_equal(b.downs, 1);
	/* the reason, and not the last request, which went well */
	assert_int_equal(log_capture_lines(&b.log, ": No buffer space available; trying"), 1);
	assert_int_equal(log_capture_lines(&b.log, "SET_STATUS"), 0);
	close_frontend(&b);
	scripted_peer_stop(b.peer);
}

static unsigned int lowest_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	close(fd);
	return (unsigned int)fd;
}

/* A server that cannot accept says so and pauses; it does not spin. */
static void test_out_of_descriptors(void **state)
{
	struct bench b = { .peer = *state };
	const struct listener_config config = {
		.path = b.peer->path, .type = SOCK_STREAM, .gid = (gid_t)-1, .fd = -1,
	};
	const struct fdmsg_wait wait = fdmsg_wait_ms(5000, -1);
	unsigned int rounds, failed = 0;
	struct rlimit old, none;
	const char *why;
	int fd;

	b.peer->v->timeout_ms = 50;
	assert_int_equal(listener_open(&b.listen, &config, &why), 0);
	open_frontend(&b, b.peer->path);
	fd = fdmsg_connect(b.peer->path, SOCK_STREAM, &wait);
	assert_true(fd >= 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ lowest_fd(), old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (rounds = 0; rounds < 20; rounds++)
		assert_true(sd_event_run(b.event, 10000) >= 0);
	assert_int_equal(log_capture_lines(&b.log, "accept: Too many open files"), 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	/* with descriptors again it accepts, and finds that this one says nothing */
	while (!failed) {
		assert_true(sd_event_run(b.event, 100000) >= 0);
		failed = log_capture_lines(&b.log, "GET_FEATURES: no answer in time");
	}
	close_frontend(&b);
	listener_close(b.listen);
	close(fd);
}

#define TEST(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, scripted_peer_setup, scripted_peer_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_write_config),
		TEST(test_request_fails),
		TEST(test_wanted_often),
		TEST(test_end_while_asking),
		TEST(test_loop_goes_on),
		TEST(test_news_meanwhile),
		TEST(test_owner_refuses),
		TEST(test_out_of_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
