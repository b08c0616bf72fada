/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What goes in at one outside comes out there again. The states of a pair, the sleep of
 * the worker, and what it does when a ring or the fd breaks.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <unistd.h>

#include "base/util.h"
#include "virtio/feature.h"
#include "worker_rig.h"

static void both_pairs(struct worker_rig *b, const struct worker_config *config)
{
	struct worker_counters c;
	unsigned int i;

	open_worker(b, config);
	for (i = 0; i < WORKER_RIG_PAIRS; i++) {
		worker_rig_start(b, i);
		worker_rig_reflect(b, i);
	}
	for (i = 0; i < 20; i++)
		worker_rig_round_trips(b, i % WORKER_RIG_PAIRS, i * 100, i * 100 + 100);
	for (i = 0; i < WORKER_RIG_PAIRS; i++) {
		worker_rig_stop(b, i);
		c = worker_counters(b->w, i);
		assert_int_equal(c.to_fd->frames, 1000);
		assert_int_equal(c.to_vq->frames, 1000);
		assert_int_equal(c.to_fd->bytes, c.to_vq->bytes);
		reflector_stop(&b->reflectors[i]);
		assert_int_equal(b->reflectors[i].wrong, 0);
	}
}

static void test_plain(void **state)
{
	struct worker_config config = config_for(*state, WORKER_IO_PLAIN);

	both_pairs(*state, &b->config);
	assert_string_equal(worker_io_name(((struct worker_rig *)*state)->w), "plain");
}

static void test_uring(void **state)
{
	struct worker_config config = config_for(*state, WORKER_IO_URING);

	both_pairs(*state, &b->config);
	assert_string_equal(worker_io_name(((struct worker_rig *)*state)->w), "uring");
}

static void test_busy(void **state)
{
	struct worker_config config = config_for(*state, WORKER_IO_PLAIN);

	config.busy = true;
	both_pairs(*state, &b->config);
	assert_int_equal(*worker_counters(((struct worker_rig *)*state)->w, 0).sleeps, 0);
}

/* Each pair has a worker of its own. */
static void test_two_workers(void **state)
{
	struct worker_config config = config_for(*state, WORKER_IO_PLAIN);
	struct worker_rig *b = *state;
	struct worker *other;
	int io_error;

	b->config.step = WORKER_RIG_PAIRS;
	worker_rig_open(b);
	b->config.first = 1;
	assert_int_equal(worker_open(&other, &b->config, &io_error), 0);
	worker_rig_start(b, 0);
	worker_start(other, 1, b->rings[1].driver[0], b->rings[1].driver[1]);
	worker_rig_reflect(b, 0);
	worker_rig_reflect(b, 1);
	worker_rig_round_trips(b, 0, 0, 200);
	worker_rig_round_trips(b, 1, 200, 400);
	assert_int_equal(worker_counters(b->w, 0).to_vq->frames, 200);
	assert_int_equal(worker_counters(other, 1).to_vq->frames, 200);
	worker_close(other); /* stops first */
	worker_rig_round_trips(b, 0, 0, 10);
}

/* The race of going to sleep: single frames, each of which finds the worker asleep, or not. */
static void test_sleeps(void **state)
{
	struct worker_rig *b = *state;
	uint32_t i;

	b->config.idle_us = 0;
	worker_rig_open(b);
	worker_rig_start(b, 0);
	worker_rig_start(b, 1);
	worker_rig_reflect(b, 0);
	worker_rig_reflect(b, 1);
	for (i = 0; i < 2000; i++)
		worker_rig_round_trips(b, i % WORKER_RIG_PAIRS, i, i + 1);
	assert_true(*worker_counters(b->w, 0).sleeps > 0);
}

/* Stops and starts amid traffic: nothing corrupt, nothing in hand, and it goes on. */
static void test_stop_and_start(void **state)
{
	struct worker_rig *b = *state;
	uint64_t before = 0;
	int64_t number;
	uint32_t i, k;

	worker_rig_open(b);
	worker_rig_reflect(b, 0);
	for (i = 0; i < 200; i++) {
		const struct lane_counters *c = worker_counters(b->w, 0).to_vq;

		worker_rig_start(b, 0);
		for (k = 0; k < 20; k++)
			assert_true(fake_kport_put(&b->ports[0], k, false));
		if (i % 3)
			fake_kport_get(&b->ports[0], 1, NULL);
		worker_rig_stop(b, 0);
		assert_true(c->frames + c->drops[LANE_DROP_STALE] >= before);
		before = c->frames + c->drops[LANE_DROP_STALE];
		while ((number = fake_kport_get(&b->ports[0], 0, NULL)) != -1)
			assert_in_range(number, 0, 19);
	}
	worker_stop(b->w, 0); /* harmless */
	worker_rig_start(b, 0);
	/* what is left in the rings comes first */
	assert_true(fake_kport_put(&b->ports[0], 77, false));
	do {
		number = fake_kport_get(&b->ports[0], WORKER_RIG_PATIENCE_MS, NULL);
		assert_in_range(number, 0, 77);
	} while (number != 77);
	worker_rig_stop(b, 0);
	assert_int_equal(b->reflectors[0].wrong, 0);
}

static void test_stale(void **state)
{
	struct worker_rig *b = *state;
	uint32_t i;

	worker_rig_open(b);
	for (i = 0; i < 30; i++)
		assert_true(fake_kport_put(&b->ports[0], i, false));
	worker_rig_start(b, 0);
	worker_rig_reflect(b, 0);
	assert_int_equal(worker_counters(b->w, 0).to_vq->drops[LANE_DROP_STALE], 30);
	worker_rig_round_trips(b, 0, 100, 110);
}

/* A packet of our own among the others; none without rings or without room. */
static void test_send(void **state)
{
	struct worker_rig *b = *state;
	uint8_t packet[2048];
	int i, r = 0;

	rig_frame_fill(packet, 5);
	worker_rig_open(b);
	assert_int_equal(worker_send(b->w, 0, packet, rig_frame_len(5)), -ENOTCONN);
	worker_rig_start(b, 0);
	for (i = 0; i < 64 && !r; i++)
		r = worker_send(b->w, 0, packet, rig_frame_len(5));
	assert_int_equal(r, 0);
	assert_int_equal(worker_send(b->w, 0, packet, rig_frame_len(5)), -ENOBUFS);
	assert_int_equal(worker_counters(b->w, 0).to_vq->frames, 64);
	worker_rig_reflect(b, 0);
	for (i = 0; i < 64; i++)
		assert_int_equal(fake_kport_get(&b->ports[0], WORKER_RIG_PATIENCE_MS, NULL), 5);
}

static void await_failure(struct worker_rig *b)
{
	struct pollfd pfd = {.fd = worker_event_fd(b->w), .events = POLLIN};

	assert_int_equal(poll(&pfd, 1, WORKER_RIG_PATIENCE_MS), 1);
}

static void assert_no_failure(struct worker_rig *b)
{
	struct worker_failure f = worker_take_failure(b->w);
	struct pollfd pfd = {.fd = worker_event_fd(b->w), .events = POLLIN};

	assert_null(f.vq);
	assert_int_equal(f.fd_error, 0);
	assert_int_equal(poll(&pfd, 1, 0), 0);
}

/* The peer writes an index that it cannot have; the other pair goes on. */
static void break_ring(struct worker_rig *b, unsigned int i)
{
	struct vring_used *used = b->rings[i].shared[0].used;
	const uint64_t one = 1;

	__atomic_store_n(&used->idx, htole16(0x4000), __ATOMIC_RELEASE);
	assert_int_equal(write(b->rings[i].call_fd[0], &one, sizeof(one)), sizeof(one));
}

static void test_broken_ring(void **state)
{
	struct worker_rig *b = *state;
	struct worker_failure f;

	worker_rig_open(b);
	worker_rig_start(b, 0);
	worker_rig_start(b, 1);
	worker_rig_reflect(b, 1);
	assert_no_failure(b);
	break_ring(b, 0);
	await_failure(b);
	worker_rig_round_trips(b, 1, 0, 50);
	f = worker_take_failure(b->w);
	assert_ptr_equal(f.vq, b->rings[0].driver[0]);
	assert_int_equal(f.fd_error, 0);
	assert_no_failure(b);
	worker_rig_stop(b, 0);
	/* with good rings it works again */
	worker_rig_new_rings(b, 0, 64, WORKER_RIG_FEATURES);
	worker_rig_start(b, 0);
	worker_rig_reflect(b, 0);
	worker_rig_round_trips(b, 0, 0, 50);
}

/* Both fail: each is told once. A failure not taken is forgotten with its rings. */
static void test_two_failures(void **state)
{
	struct worker_rig *b = *state;
	const struct vq *first, *second;

	worker_rig_open(b);
	worker_rig_start(b, 0);
	worker_rig_start(b, 1);
	break_ring(b, 0);
	break_ring(b, 1);
	await_failure(b);
	first = worker_take_failure(b->w).vq;
	assert_non_null(first);
	while (!(second = worker_take_failure(b->w).vq))
		await_failure(b);
	assert_true(first != second);
	assert_no_failure(b);
	worker_rig_stop(b, 0);
	worker_rig_stop(b, 1);
	worker_rig_start(b, 0); /* broken from the start */
	await_failure(b);
	worker_rig_stop(b, 0);
	assert_no_failure(b);
}

static void test_fd_error(void **state)
{
	struct worker_config config = config_for(*state, WORKER_IO_PLAIN);
	struct worker_rig *b = *state;
	struct worker_failure f;

	worker_rig_open(b);
	worker_rig_start(b, 0);
	__atomic_store_n(&b->ports[0].receive_error, EBADFD, __ATOMIC_RELAXED);
	assert_true(fake_kport_put(&b->ports[0], 1, false));
	await_failure(b);
	f = worker_take_failure(b->w);
	assert_null(f.vq);
	assert_int_equal(f.fd_error, -EBADFD);
	worker_rig_stop(b, 0);
	assert_no_failure(b);
}

static void test_open_fails(void **state)
{
	struct worker_config config = config_for(*state, WORKER_IO_URING);
	struct worker_rig *b = *state;
	int io_error;

	b->ports[0].kport.vectored = false;
	assert_int_equal(worker_open(&b->w, &b->config, &io_error), -EOPNOTSUPP);
	assert_null(b->w);
	config.io = WORKER_IO_AUTO;
	assert_int_equal(worker_open(&b->w, &b->config, &io_error), 0);
	assert_int_equal(io_error, -EOPNOTSUPP);
	assert_string_equal(worker_io_name(b->w), "plain");
	worker_close(b->w);
	b->config.cpu = 1023;
	assert_int_equal(worker_open(&b->w, &b->config, &io_error), -EINVAL);
	assert_null(b->w);
	worker_close(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest plain[] = {
		TEST(test_plain),	   TEST(test_busy),	   TEST(test_two_workers),
		TEST(test_sleeps),	   TEST(test_stale),	   TEST(test_send),
		TEST(test_stop_and_start), TEST(test_broken_ring), TEST(test_two_failures),
		TEST(test_fd_error),	   TEST(test_open_fails),
	};
	static const struct CMUnitTest uring[] = {TEST(test_uring)};
	int r = cmocka_run_group_tests(plain, NULL, NULL);

	if (!r)
		r = rig_uring_unavailable();
	return r ? r : cmocka_run_group_tests(uring, NULL, NULL);
}
