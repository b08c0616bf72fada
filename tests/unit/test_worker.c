/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker at its work: what goes in at one side comes out at the other, right and in
 * order, whether it was asleep, stopped and started amid traffic, or had to wait for
 * either side. When it breaks: test_worker_failure.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "virtio/feature.h"
#include "worker_rig.h"

static uint32_t next_random(uint32_t *random)
{
	*random = *random * 1103515245u + 12345u;
	return *random >> 16;
}

/* Does so for both pairs, and begins to reflect. */
static void open_and_start(struct worker_rig *b)
{
	unsigned int i;

	worker_rig_open(b);
	for (i = 0; i < WORKER_RIG_PAIRS; i++) {
		worker_rig_start(b, i);
		worker_rig_reflect(b, i);
	}
}

static void echoes(void **state)
{
	struct worker_rig *b = *state;
	struct worker_counters c;
	unsigned int i;

	open_and_start(b);
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

static void busy_never_sleeps(void **state)
{
	struct worker_rig *b = *state;

	b->config.busy = true;
	echoes(state);
	assert_int_equal(count_read(worker_counters(b->w, 0).sleeps), 0);
}

static void spins_before_sleep(void **state)
{
	struct worker_rig *b = *state;

	b->config.idle_us = UINT_MAX; /* more than an hour */
	echoes(state);
	assert_int_equal(count_read(worker_counters(b->w, 0).sleeps), 0);
}

/* Two streams that know nothing of each other, the peer's by hand. */
static void streams(struct worker_rig *b, uint32_t base, uint32_t frames)
{
	uint64_t deadline = now_ns() + WORKER_RIG_PATIENCE_MS * UINT64_C(1000000);
	uint32_t put[2] = { 0 }, got[2] = { 0 };
	struct ring_pair *rp = &b->rings[0];

	while (got[0] < frames || got[1] < frames) {
		if (put[0] < MIN(frames, got[0] + 40) && ring_pair_put(rp, base + put[0]))
			put[0]++;
		if (put[1] < MIN(frames, got[1] + 40) &&
		    fake_kport_put(&b->ports[0], put[1], false))
			put[1]++;
		ring_pair_flush(rp);
		if (got[0] < put[0]) {
			int64_t number = fake_kport_get(&b->ports[0], 0, NULL);

			assert_true(number == -1 || number == base + got[0]);
			got[0] += number != -1;
		}
		if (got[1] < put[1]) {
			int64_t number = ring_pair_get(rp);

			assert_true(number == -1 || number == got[1]);
			got[1] += number != -1;
		}
		assert_true(now_ns() < deadline);
		sched_yield();
	}
}

static void both_ways(void **state)
{
	static const struct {
		uint16_t num;
		uint64_t features;
	} cases[] = {
		{ 64, WORKER_RIG_FEATURES },
		{ 16, WORKER_RIG_FEATURES },
		{ 16, WORKER_RIG_FEW_FEATURES },
		{ 256, WORKER_RIG_FEW_FEATURES },
	};
	struct worker_rig *b = *state;
	struct worker_counters c;
	size_t i;

	worker_rig_open(b);
	c = worker_counters(b->w, 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		worker_rig_new_rings(b, 0, cases[i].num, cases[i].features);
		worker_rig_start(b, 0);
		streams(b, 100000, 1000);
		worker_rig_stop(b, 0);
		assert_int_equal(c.to_fd->frames, (i + 1) * 1000);
		assert_int_equal(c.to_vq->frames, (i + 1) * 1000);
	}
}

/* Each pair has a worker of its own. */
static void two_workers(void **state)
{
	struct worker_rig *b = *state;
	struct worker *other;
	int io_error;

	b->config.step = WORKER_RIG_PAIRS;
	worker_rig_open(b);
	b->config.first = 1;
	assert_int_equal(worker_open(&other, &b->config, &io_error), 0);
	worker_rig_start(b, 0);
	worker_start(other, 1, b->rings[1].driver[0], b->rings[1].driver[1], 0);
	worker_rig_reflect(b, 0);
	worker_rig_reflect(b, 1);
	worker_rig_round_trips(b, 0, 0, 200);
	worker_rig_round_trips(b, 1, 200, 400);
	assert_int_equal(count_read(&worker_counters(b->w, 0).to_vq->frames), 200);
	assert_int_equal(count_read(&worker_counters(other, 1).to_vq->frames), 200);
	worker_close(other); /* stops first */
	worker_rig_round_trips(b, 0, 0, 10);
}

/* ---- sleep ---- */

/* Single frames: each finds the worker asleep, or about to, or awake. */
static void single_frames(struct worker_rig *b, uint64_t features)
{
	const uint64_t *sleeps;
	uint32_t i, random = 1;

	for (i = 0; i < WORKER_RIG_PAIRS; i++)
		worker_rig_new_rings(b, i, 64, features);
	open_and_start(b);
	sleeps = worker_counters(b->w, 0).sleeps;
	for (i = 0; i < 600; i++) {
		if (i % 3)
			usleep(next_random(&random) % 200);
		worker_rig_round_trips(b, i / 8 % WORKER_RIG_PAIRS, i, i + 1);
	}
	for (i = 0; i < 50; i++) {
		uint64_t before = count_read(sleeps);

		worker_rig_round_trips(b, i / 8 % WORKER_RIG_PAIRS, i, i + 1);
		worker_rig_await(sleeps, before + 1);
	}
	for (i = 0; i < WORKER_RIG_PAIRS; i++)
		worker_rig_stop(b, i);
	worker_rig_close(b);
}

static void sleeps_and_wakes(void **state)
{
	struct worker_rig *b = *state;

	b->config.idle_us = 0;
	single_frames(b, WORKER_RIG_FEATURES);
	single_frames(b, WORKER_RIG_FEW_FEATURES);
	b->config.idle_us = 30;
	single_frames(b, WORKER_RIG_FEATURES);
	single_frames(b, WORKER_RIG_FEW_FEATURES);
}

/* Notifications are asked for, given and counted, in both directions. */
static void notifications(void **state)
{
	struct worker_rig *b = *state;
	struct ring_pair *rp = &b->rings[0];
	struct pollfd kick = { .fd = rp->kick_fd[1], .events = POLLIN };
	struct worker_counters c;
	eventfd_t value;
	uint32_t i;

	b->config.idle_us = 0;
	worker_rig_open(b);
	worker_rig_start(b, 0);
	c = worker_counters(b->w, 0);
	worker_rig_await(c.sleeps, 1);
	for (i = 0; i < 50; i++) {
		uint64_t before = count_read(c.sleeps);

		assert_true(ring_pair_put(rp, i));
		ring_pair_flush(rp);
		assert_int_equal(fake_kport_get(&b->ports[0], WORKER_RIG_PATIENCE_MS, NULL), i);
		worker_rig_await(c.sleeps, before + 1);
	}
	assert_true(count_read(&c.to_fd->calls) > 25); /* few can find it awake */
	if (eventfd_read(kick.fd, &value) < 0) /* it may kick when it starts */
		assert_int_equal(errno, EAGAIN);
	for (i = 0; i < 50; i++) {
		assert_false(vq_arm(rp->device[1], true));
		assert_true(fake_kport_put(&b->ports[0], i, false));
		assert_int_equal(poll(&kick, 1, WORKER_RIG_PATIENCE_MS), 1);
		assert_int_equal(eventfd_read(kick.fd, &value), 0);
		vq_arm(rp->device[1], false);
		assert_int_equal(ring_pair_get(rp), i);
	}
	worker_rig_await(&c.to_vq->kicks, 50);
}

/* How it waits is changed while it runs: the one never sleeps, the other does at once. */
static void changes_its_wait(void **state)
{
	struct worker_rig *b = *state;
	const uint64_t *sleeps;
	uint64_t before;

	b->config.idle_us = 0;
	worker_rig_open(b);
	worker_rig_start(b, 0);
	worker_rig_reflect(b, 0);
	sleeps = worker_counters(b->w, 0).sleeps;
	worker_rig_await(sleeps, 1);
	worker_check(b->w); /* asleep, and awake below */
	worker_set_poll(b->w, true, 0);
	before = count_read(sleeps);
	worker_check(b->w);
	worker_rig_round_trips(b, 0, 0, 100);
	assert_int_equal(count_read(sleeps), before);
	worker_set_poll(b->w, false, 0);
	worker_rig_await(sleeps, before + 1);
	worker_rig_round_trips(b, 0, 100, 200);
}

/* ---- one side waits for the other ---- */

/* No room in the ring: it is woken when there is, and what waited at the fd comes. */
static void waits_for_ring(void **state)
{
	struct worker_rig *b = *state;
	struct ring_pair *rp = &b->rings[0];
	struct worker_counters c;
	uint32_t round, i;

	b->config.idle_us = 0;
	worker_rig_open(b);
	c = worker_counters(b->w, 0);
	for (round = 0; round < 20; round++) {
		uint64_t sleeps = count_read(c.sleeps), frames = count_read(&c.to_vq->frames);
		uint64_t deadline = now_ns() + WORKER_RIG_PATIENCE_MS * UINT64_C(1000000);

		worker_rig_new_rings(
			b, 0, 16, round % 2 ? WORKER_RIG_FEATURES : WORKER_RIG_FEW_FEATURES);
		worker_rig_start(b, 0);
		for (i = 0; i < 60; i++)
			assert_true(fake_kport_put(&b->ports[0], i, false));
		worker_rig_await(&c.to_vq->frames, frames + 16);
		worker_rig_await(c.sleeps, sleeps + 1);
		for (i = 0; i < 60;) {
			int64_t number = ring_pair_get(rp);

			assert_true(number == -1 || number == i);
			i += number != -1;
			/* a peer that is slow to tell, too */
			if (number == -1 || i % (round + 1) == 0)
				ring_pair_flush(rp);
			assert_true(now_ns() < deadline);
		}
		worker_rig_stop(b, 0);
	}
}

/* Buffers that were used up come back a moment after their frames went out. */
static void put_patiently(struct ring_pair *rp, uint32_t number)
{
	uint64_t deadline = now_ns() + WORKER_RIG_PATIENCE_MS * UINT64_C(1000000);

	while (!ring_pair_put(rp, number)) {
		assert_true(now_ns() < deadline);
		sched_yield();
	}
}

/*
 * The fd takes no more: the rest stays in the ring until it does. Where a batch is one
 * system call, a frame may find room that one before it did not: that one is counted.
 */
static void waits_for_fd(void **state)
{
	struct worker_rig *b = *state;
	int size = 1, round; /* as small as the kernel allows */
	struct worker_counters c;
	uint64_t lost = 0;

	assert_int_equal(setsockopt(b->fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	b->config.idle_us = 0;
	worker_rig_open(b);
	worker_rig_start(b, 0);
	c = worker_counters(b->w, 0);
	worker_rig_await(c.sleeps, 1);
	for (round = 0; round < 20; round++) {
		uint64_t sleeps = count_read(c.sleeps);
		uint32_t i, next = 0;

		for (i = 0; i < 64; i++)
			put_patiently(&b->rings[0], i);
		ring_pair_flush(&b->rings[0]);
		worker_rig_await(c.sleeps, sleeps + 1);
		while (next < 64) {
			int64_t number =
				fake_kport_get(&b->ports[0], WORKER_RIG_PATIENCE_MS, NULL);

			assert_in_range(number, next, 63); /* none twice, none late */
			lost += (uint64_t)number - next;
			next = (uint32_t)number + 1;
		}
	}
	worker_rig_stop(b, 0);
	assert_int_equal(c.to_fd->frames, 20 * 64 - lost);
	assert_int_equal(c.to_fd->drops[LANE_DROP_NO_MEMORY], lost);
	if (b->config.io == WORKER_IO_PLAIN)
		assert_int_equal(lost, 0);
}

/* ---- start, stop and close ---- */

/* More than the ring has room for. */
static void stale_frames(void **state)
{
	struct worker_rig *b = *state;
	struct worker_counters c;
	uint32_t round, i;

	worker_rig_open(b);
	worker_rig_new_rings(b, 0, 16, WORKER_RIG_FEATURES);
	worker_rig_reflect(b, 0);
	c = worker_counters(b->w, 0);
	for (round = 1; round <= 10; round++) {
		for (i = 0; i < 60; i++)
			assert_true(fake_kport_put(&b->ports[0], i, false));
		worker_rig_start(b, 0);
		assert_int_equal(count_read(&c.to_vq->drops[LANE_DROP_STALE]), round * 60);
		worker_rig_round_trips(b, 0, 100, 110);
		worker_rig_stop(b, 0);
		assert_int_equal(c.to_vq->frames, round * 10);
	}
}

/* What the backend had sent before is not sent late; what it sends now is. */
static void stale_content(void **state)
{
	struct worker_rig *b = *state;
	struct ring_pair *rp = &b->rings[0];
	struct worker_counters c;
	uint32_t round, i;

	worker_rig_open(b);
	c = worker_counters(b->w, 0);
	worker_rig_start(b, 0); /* makes the ring's buffers available */
	for (round = 1; round <= 10; round++) {
		worker_rig_stop(b, 0);
		for (i = 0; i < 40; i++)
			assert_true(ring_pair_put(rp, i));
		ring_pair_flush(rp);
		worker_rig_start(b, 0);
		assert_int_equal(count_read(&c.to_fd->drops[LANE_DROP_STALE]), round * 40);
		assert_int_equal(fake_kport_get(&b->ports[0], 0, NULL), -1);
		assert_true(ring_pair_put(rp, 100 + round));
		ring_pair_flush(rp);
		assert_int_equal(fake_kport_get(&b->ports[0], WORKER_RIG_PATIENCE_MS, NULL),
				 100 + round);
	}
	worker_rig_stop(b, 0);
	assert_int_equal(c.to_fd->frames, 10);
}

/* What came back: right, and nothing twice or out of order; how many in all. */
static uint32_t collect(struct worker_rig *b, int timeout_ms, int64_t *last)
{
	uint32_t got = 0;
	int64_t number;

	while ((number = fake_kport_get(&b->ports[0], timeout_ms, NULL)) != -1) {
		assert_true(number > *last);
		*last = number;
		got++;
	}
	return got;
}

/* Frames that were there before the worker was, on either side. */
static uint64_t count_stale(const struct worker_counters *c)
{
	return count_read(&c->to_vq->drops[LANE_DROP_STALE]) +
	       count_read(&c->to_fd->drops[LANE_DROP_STALE]);
}

/* Amid traffic, with the same rings: each frame comes back or counts as stale. */
static void restarts(void **state)
{
	uint64_t deadline = now_ns() + WORKER_RIG_PATIENCE_MS * UINT64_C(1000000);
	uint32_t round, sent = 0, got = 0, random = 1;
	struct worker_rig *b = *state;
	struct worker_counters c;
	int64_t last = -1;

	/* with room for a drain, however far the reflector lags behind */
	worker_rig_new_rings(b, 0, 256, WORKER_RIG_FEATURES);
	open_and_start(b);
	c = worker_counters(b->w, 0);
	for (round = 0; round < 400; round++) {
		uint32_t n = next_random(&random) % 30;

		while (n-- && sent - got - count_stale(&c) < 64)
			assert_true(fake_kport_put(&b->ports[0], sent++, false));
		got += collect(b, 0, &last);
		if (round % 4 == 0)
			usleep(next_random(&random) % 300);
		worker_rig_stop(b, 0);
		if (round % 8 == 0)
			worker_rig_stop(b, 0); /* harmless */
		if (round % 2)
			assert_true(fake_kport_put(&b->ports[0], sent++, false));
		worker_rig_start(b, 0);
	}
	while (got + count_stale(&c) < sent) {
		got += collect(b, 1, &last);
		assert_true(now_ns() < deadline);
	}
	worker_rig_stop(b, 0);
	reflector_stop(&b->reflectors[0]);
	assert_int_equal(b->reflectors[0].wrong, 0);
	assert_int_equal(got + count_stale(&c), sent);
	/* those sent while it was stopped, and those on their way back */
	assert_in_range(c.to_vq->drops[LANE_DROP_STALE], 200, sent - 1);
	assert_int_equal(c.to_vq->frames, sent - c.to_vq->drops[LANE_DROP_STALE]);
	assert_int_equal(c.to_fd->frames, got);
}

/* Amid traffic, with new rings each time, as when a backend comes back. */
static void new_rings(void **state)
{
	struct worker_rig *b = *state;
	uint64_t frames = 0;
	uint32_t round, i;

	worker_rig_open(b);
	for (round = 0; round < 60; round++) {
		int64_t last = -1;

		worker_rig_new_rings(b, 0, round % 2 ? 64 : 16, WORKER_RIG_FEATURES);
		worker_rig_reflect(b, 0);
		worker_rig_start(b, 0);
		worker_rig_round_trips(b, 0, 0, 20);
		for (i = 0; i < 50; i++)
			assert_true(fake_kport_put(&b->ports[0], i, false));
		worker_rig_stop(b, 0);
		frames += 20 + collect(b, 0, &last);
		assert_int_equal(worker_counters(b->w, 0).to_fd->frames, frames);
	}
}

static int lowest_fd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	close(fd);
	return fd;
}

/* Amid traffic: the rings are quiescent then too, and no descriptor stays. */
static void closes(void **state)
{
	struct worker_rig *b = *state;
	int before = lowest_fd();
	uint32_t round, i, k;
	int64_t number;

	for (round = 0; round < 50; round++) {
		open_and_start(b);
		for (k = 0; k < 30; k++)
			for (i = 0; i < WORKER_RIG_PAIRS; i++)
				assert_true(fake_kport_put(&b->ports[i], k, false));
		if (round % 4)
			fake_kport_get(&b->ports[0], WORKER_RIG_PATIENCE_MS, NULL);
		worker_rig_close(b);
		for (i = 0; i < WORKER_RIG_PAIRS; i++) {
			assert_int_equal(vq_quiesce(b->rings[i].driver[0]), 0);
			assert_int_equal(vq_quiesce(b->rings[i].driver[1]), 0);
			worker_rig_new_rings(b, i, 64, WORKER_RIG_FEATURES);
			while ((number = fake_kport_get(&b->ports[i], 0, NULL)) != -1)
				assert_in_range(number, 0, 29);
		}
		assert_int_equal(lowest_fd(), before);
	}
}

/* A packet of our own among the others; none without rings or without room. */
static void sends_own(void **state)
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
	assert_int_equal(count_read(&worker_counters(b->w, 0).to_vq->frames), 64);
	worker_rig_reflect(b, 0);
	for (i = 0; i < 64; i++)
		assert_int_equal(fake_kport_get(&b->ports[0], WORKER_RIG_PATIENCE_MS, NULL), 5);
}

int main(void)
{
	static const struct CMUnitTest plain[] = {
		WORKER_RIG_PLAIN(echoes),	     WORKER_RIG_PLAIN(busy_never_sleeps),
		WORKER_RIG_PLAIN(spins_before_sleep), WORKER_RIG_PLAIN(both_ways),
		WORKER_RIG_PLAIN(two_workers),	     WORKER_RIG_PLAIN(sleeps_and_wakes),
		WORKER_RIG_PLAIN(notifications),     WORKER_RIG_PLAIN(waits_for_ring),
		WORKER_RIG_PLAIN(changes_its_wait),
		WORKER_RIG_PLAIN(waits_for_fd),	     WORKER_RIG_PLAIN(stale_frames),
		WORKER_RIG_PLAIN(restarts),	     WORKER_RIG_PLAIN(new_rings),
		WORKER_RIG_PLAIN(stale_content),
		WORKER_RIG_PLAIN(closes),	     WORKER_RIG_TEST(sends_own),
	};
	static const struct CMUnitTest uring[] = {
		WORKER_RIG_URING(echoes),	     WORKER_RIG_URING(busy_never_sleeps),
		WORKER_RIG_URING(both_ways),	     WORKER_RIG_URING(two_workers),
		WORKER_RIG_URING(sleeps_and_wakes),  WORKER_RIG_URING(waits_for_ring),
		WORKER_RIG_URING(changes_its_wait),
		WORKER_RIG_URING(waits_for_fd),	     WORKER_RIG_URING(stale_frames),
		WORKER_RIG_URING(restarts),	     WORKER_RIG_URING(new_rings),
		WORKER_RIG_URING(stale_content),
		WORKER_RIG_URING(closes),
	};
	int r = cmocka_run_group_tests(plain, NULL, NULL);

	if (!r)
		r = rig_uring_unavailable();
	return r ? r : cmocka_run_group_tests(uring, NULL, NULL);
}
