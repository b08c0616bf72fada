/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ring that is none ← fd_to_vq ← socketpair ← outside, with both ways to pass frames. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/util.h"
#include "lane_rig.h"

static void to_vq_in_order(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_SPACE, FAKE_TOKENS);
	unsigned int expect, kicks = 0;
	int came, got = 0;

	lane_rig_put(b, 0, 150);
	for (expect = 1; got < 127; expect = MIN(expect * 2, 64u)) {
		came = fd_to_vq_run(&b->lane);
		assert_int_equal(came, expect); /* 1, 2, 4, … 64 */
		got += came;
		assert_int_equal(b->lane.counters.kicks, ++kicks);
	}
	assert_int_equal(fd_to_vq_run(&b->lane), 150 - 127);
	assert_int_equal(b->q.untaken, 64 - (150 - 127));
	assert_int_equal(fd_to_vq_run(&b->lane), 0);
	assert_false(b->lane.starved);
	assert_int_equal(b->q.ngiven, 150);
	lane_rig_assert_ring(b, 0, 0, 150);
	assert_int_equal(b->lane.counters.frames, 150);
	assert_int_equal(b->lane.counters.bytes, lane_rig_bytes(0, 150));
	assert_int_equal(b->q.flushes, kicks + 1);
	lane_rig_assert_sound(b);
}

static void to_vq_pieces(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_SPACE, FAKE_TOKENS);
	int r, moved;

	b->q.pieces = FRAME_IOV_MAX - 1;
	lane_rig_put(b, 0, 100);
	for (moved = 0; (r = fd_to_vq_run(&b->lane)) > 0; moved += r)
		assert_in_range(r, 1, LANE_IOVS / FRAME_IOV_MAX);
	assert_int_equal(r, 0);
	assert_int_equal(moved, 100);
	lane_rig_assert_ring(b, 0, 0, 100);
	lane_rig_assert_sound(b);
}

static void to_vq_nothing(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_SPACE, 10);

	b->lane.starved = true; /* by an earlier run */
	assert_int_equal(fd_to_vq_run(&b->lane), 0);
	assert_false(b->lane.starved);
	assert_int_equal(b->q.untaken, 1);
	assert_int_equal(b->q.flushes, 0);
	assert_int_equal(b->q.ngiven, 0);
	lane_rig_assert_sound(b);
}

/* Without room the fd is left alone; with room again, all comes. */
static void to_vq_starved(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_SPACE, 0);

	lane_rig_put(b, 0, 10);
	assert_int_equal(fd_to_vq_run(&b->lane), 0);
	assert_true(b->lane.starved);
	b->q.ready = 1;
	assert_int_equal(fd_to_vq_run(&b->lane), 1);
	assert_false(b->lane.starved);
	assert_int_equal(fd_to_vq_run(&b->lane), 0);
	assert_true(b->lane.starved);
	b->q.ready = 20;
	while (fd_to_vq_run(&b->lane) > 0)
		;
	assert_false(b->lane.starved);
	assert_int_equal(b->q.ngiven, 10);
	lane_rig_assert_ring(b, 0, 0, 10);
	lane_rig_assert_sound(b);
}

/* It asks for more when all came, for less when not, and a full ring is no reason for less. */
static void to_vq_follows_traffic(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_SPACE, 0);
	unsigned int before, runs;

	b->lane.reads = 64;
	b->q.ready = 3;
	lane_rig_put(b, 0, 10);
	assert_int_equal(fd_to_vq_run(&b->lane), 3);
	assert_int_equal(b->lane.reads, 64);
	b->q.ready = FAKE_TOKENS;
	assert_int_equal(fd_to_vq_run(&b->lane), 7);
	for (runs = 0; b->lane.reads > 1; runs++) {
		before = b->lane.reads;
		assert_true(runs < 10);
		assert_int_equal(fd_to_vq_run(&b->lane), 0);
		assert_true(b->lane.reads < before);
	}
	assert_int_equal(fd_to_vq_run(&b->lane), 0);
	assert_int_equal(b->lane.reads, 1);
	lane_rig_assert_ring(b, 0, 0, 10);
	lane_rig_assert_sound(b);
}

static void to_vq_broken(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_SPACE, 10);

	lane_rig_put(b, 0, 5);
	b->lane.reads = 8;
	b->q.breaks_at = 2;
	assert_int_equal(fd_to_vq_run(&b->lane), 2);
	assert_int_equal(fd_to_vq_run(&b->lane), -EPROTO);
	lane_rig_assert_ring(b, 0, 0, 2);
	lane_rig_assert_sound(b);
}

/* The fd fails: what came before counts, then its errno is the result. */
static void to_vq_fd_fails(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_SPACE, 10);

	b->lane.reads = 8;
	b->port.receive_error = EBADFD;
	lane_rig_put(b, 0, 5);
	assert_int_equal(fd_to_vq_run(&b->lane), 5);
	assert_int_equal(fd_to_vq_run(&b->lane), -EBADFD);
	assert_int_equal(b->q.ngiven, 5);
	assert_int_equal(b->lane.counters.frames, 5);
	assert_int_equal(b->q.flushes, 1);
	lane_rig_assert_sound(b);
}

/* A read that fails is a frame lost: it is counted, and the next one is tried at once. */
static void to_vq_read_fails(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_SPACE, 10);

	b->port.receive_error = ENOMEM;
	lane_rig_put(b, 0, 1);
	assert_int_equal(fd_to_vq_run(&b->lane), 1);
	assert_int_equal(fd_to_vq_run(&b->lane), 1);
	lane_rig_assert_drops(b, LANE_DROP_NO_MEMORY, 1);
	assert_int_equal(b->lane.counters.frames, 1);
	b->port.receive_error = 0;
	assert_int_equal(fd_to_vq_run(&b->lane), 0);
	lane_rig_put(b, 1, 2);
	assert_int_equal(fd_to_vq_run(&b->lane), 1);
	lane_rig_assert_ring(b, 0, 0, 2);
	lane_rig_assert_drops(b, LANE_DROP_NO_MEMORY, 1);
	lane_rig_assert_sound(b);
}

/* If all of them fail it pauses, but never for good. */
static void to_vq_all_reads_fail(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_SPACE, 10);
	uint64_t since = now_ns();
	unsigned int i;
	int r;

	b->port.receive_error = EIO;
	for (i = 1; i < LANE_FAILURES_MAX; i++) {
		assert_int_equal(fd_to_vq_run(&b->lane), 1);
		assert_false(lane_pauses(&b->lane));
	}
	for (; i < LANE_FAILURES_MAX + 3; i++) {
		while (b->lane.counters.drops[LANE_DROP_IFACE_DOWN] < i)
			assert_int_equal(fd_to_vq_run(&b->lane), 0);
		assert_true(lane_pauses(&b->lane));
	}
	assert_true(now_ns() - since >= 2 * LANE_PAUSE_MS * UINT64_C(1000000));
	lane_rig_put(b, 0, 1);
	do
		r = fd_to_vq_run(&b->lane);
	while (r == 0);
	assert_int_equal(r, 1);
	assert_false(lane_pauses(&b->lane));
	lane_rig_assert_ring(b, 0, 0, 1);
	lane_rig_assert_drops(b, LANE_DROP_IFACE_DOWN, LANE_FAILURES_MAX + 2);
	lane_rig_assert_sound(b);
}

/* ---- what waits at the start ---- */

/* A ring smaller than a batch is enough to read all away; what comes next is forwarded. */
static void drain_with(struct lane_rig *b, unsigned int stale)
{
	lane_rig_put(b, 0, stale);
	fd_to_vq_drain(&b->lane);
	lane_rig_assert_drops(b, LANE_DROP_STALE, stale);
	assert_int_equal(b->lane.counters.frames, 0);
	assert_int_equal(b->q.ngiven, 0);
	assert_int_equal(b->q.flushes, 0);
	lane_rig_assert_sound(b);
	lane_rig_put(b, 1000, 1001);
	assert_int_equal(fd_to_vq_run(&b->lane), 1);
	lane_rig_assert_ring(b, 0, 1000, 1001);
	lane_rig_assert_drops(b, LANE_DROP_STALE, stale);
}

static void drain_small_ring(void **state)
{
	drain_with(lane_rig_begin(state, VQ_SPACE, 16), 100);
}

static void drain_large_ring(void **state)
{
	drain_with(lane_rig_begin(state, VQ_SPACE, 200), 150);
}

static void drain_nothing(void **state)
{
	drain_with(lane_rig_begin(state, VQ_SPACE, 16), 0);
}

static void drain_without_room(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_SPACE, 0);

	lane_rig_put(b, 0, 3);
	fd_to_vq_drain(&b->lane);
	lane_rig_assert_drops(b, LANE_DROP_STALE, 0);
	b->q.ready = 10;
	b->q.vq.broken = -EPROTO;
	fd_to_vq_drain(&b->lane);
	lane_rig_assert_drops(b, LANE_DROP_STALE, 0);
	lane_rig_assert_sound(b);
}

int main(void)
{
	static const struct CMUnitTest plain[] = {
		LANE_RIG_PLAIN(to_vq_in_order),	       LANE_RIG_PLAIN(to_vq_pieces),
		LANE_RIG_PLAIN(to_vq_nothing),	       LANE_RIG_PLAIN(to_vq_starved),
		LANE_RIG_PLAIN(to_vq_follows_traffic), LANE_RIG_PLAIN(to_vq_broken),
		LANE_RIG_PLAIN(to_vq_fd_fails),	       LANE_RIG_PLAIN(drain_small_ring),
		LANE_RIG_PLAIN(drain_large_ring),      LANE_RIG_PLAIN(drain_nothing),
		LANE_RIG_PLAIN(drain_without_room),    LANE_RIG_PLAIN(to_vq_read_fails),
		LANE_RIG_PLAIN(to_vq_all_reads_fail),
	};
	static const struct CMUnitTest uring[] = {
		LANE_RIG_URING(to_vq_in_order),	       LANE_RIG_URING(to_vq_pieces),
		LANE_RIG_URING(to_vq_nothing),	       LANE_RIG_URING(to_vq_starved),
		LANE_RIG_URING(to_vq_follows_traffic), LANE_RIG_URING(to_vq_broken),
		LANE_RIG_URING(drain_small_ring),      LANE_RIG_URING(drain_large_ring),
		LANE_RIG_URING(drain_nothing),	       LANE_RIG_URING(drain_without_room),
	};
	int r = cmocka_run_group_tests(plain, NULL, NULL);

	if (!r)
		r = rig_uring_unavailable();
	return r ? r : cmocka_run_group_tests(uring, NULL, NULL);
}
