/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What both lanes share, and a way to pass frames that fails on command. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "lane_rig.h"

/* Counters go on with the same ring, whose own count goes on too, and with a new one. */
static void counters_go_on(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_CONTENT, 5);

	assert_int_equal(vq_to_fd_run(&b->lane), 5);
	b->q.ready = 8;
	assert_int_equal(vq_to_fd_run(&b->lane), 3);
	assert_int_equal(b->lane.counters.kicks, 2);

	lane_start(&b->lane, &b->q.vq, b->io, b->port.kport.hdr_len);
	lane_flush(&b->lane);
	assert_int_equal(b->lane.counters.kicks, 2);
	b->q.ready = 10;
	assert_int_equal(vq_to_fd_run(&b->lane), 2);
	assert_int_equal(b->lane.counters.kicks, 3);
	fake_vq_close(&b->q);

	lane_rig_begin(state, VQ_CONTENT, 1);
	assert_int_equal(vq_to_fd_run(&b->lane), 1);
	assert_int_equal(b->lane.counters.kicks, 4);
	assert_int_equal(b->lane.counters.frames, 11);
	assert_int_equal(b->lane.counters.bytes, lane_rig_bytes(0, 10) + rig_frame_len(0));
}

static void assert_taken(struct lane *lane, unsigned int n)
{
	const struct iovec *iov = lane->iovs;
	unsigned int i;

	for (i = 0; i < n; i++) {
		const struct frame *f = &lane->frames[i];

		assert_int_equal(rig_frame_number(f->iov[1].iov_base, f->len), i);
		assert_ptr_equal(f->iov, iov);
		iov += f->iovcnt;
	}
	assert_true(iov <= lane->iovs + LANE_IOVS);
}

/* Plain frames and others, one after the other, also behind some that are there already. */
static void takes_plain_ones(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_CONTENT, 100);
	struct lane *lane = &b->lane;
	int error;

	assert_int_equal(lane_take(lane, 0, 5, 0, &error), 5);
	assert_int_equal(b->q.plain, 3); /* 1, 2, and 4 */
	assert_taken(lane, 5);
	assert_int_equal(lane_take(lane, 5, 10, 0, &error), 10);
	assert_int_equal(b->q.plain, 6);
	b->q.pieces = 3;
	assert_int_equal(lane_take(lane, 10, 12, 0, &error), 12);
	assert_int_equal(b->q.plain, 6);
	b->q.pieces = 1;
	b->q.breaks_at = 20;
	assert_int_equal(lane_take(lane, 12, 64, 0, &error), 20);
	assert_int_equal(error, -EPROTO);
	assert_taken(lane, 20);
	lane_untake(lane, 0, 20);
	lane_rig_assert_sound(b);
}

static void start_forgets(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_SPACE, 10);

	b->lane.blocked = b->lane.starved = true;
	b->lane.reads = 64;
	lane_start(&b->lane, &b->q.vq, b->io, 10);
	assert_false(b->lane.blocked);
	assert_false(b->lane.starved);
	assert_int_equal(b->lane.reads, 1);
	assert_int_equal(b->lane.hdr_len, 10);
}

/* ---- a way to pass frames that fails, or never ends ---- */

struct bad_io {
	struct io io;
	int result;
	unsigned int calls;
};

static int bad_send(struct io *io, struct frame *frames, unsigned int n, int *errors)
{
	struct bad_io *bad = container_of(io, struct bad_io, io);

	(void)frames;
	(void)n;
	(void)errors;
	bad->calls++;
	return bad->result;
}

static int bad_receive(struct io *io, struct frame *frames, unsigned int n)
{
	struct bad_io *bad = container_of(io, struct bad_io, io);
	unsigned int i;

	bad->calls++;
	for (i = 0; i < n; i++)
		frames[i].len = 60;
	return bad->result ? bad->result : (int)n;
}

static const struct io_ops bad_ops = {.send = bad_send, .receive = bad_receive};

static void io_dies(void **state)
{
	struct bad_io bad = {
		.io = {.ops = &bad_ops, .broken = -EOPNOTSUPP}, .result = -EOPNOTSUPP,
	};
	struct lane_rig *b = lane_rig_begin(state, VQ_CONTENT, 10);

	b->lane.io = &bad.io;
	assert_int_equal(vq_to_fd_run(&b->lane), -EOPNOTSUPP);
	assert_int_equal(bad.calls, 1);
	assert_int_equal(b->q.ngiven, 0);
	assert_int_equal(b->q.flushes, 0);
	assert_int_equal(vq_quiesce(&b->q.vq), 10);
	lane_stop(&b->lane);
	assert_int_equal(vq_quiesce(&b->q.vq), 0);
	lane_rig_assert_drops(b, LANE_DROP_STOPPED, 10);
	memset(&b->lane.counters, 0, sizeof(b->lane.counters));
	fake_vq_close(&b->q);

	lane_rig_begin(state, VQ_SPACE, 10);
	b->lane.io = &bad.io;
	b->lane.reads = 4;
	assert_int_equal(fd_to_vq_run(&b->lane), -EOPNOTSUPP);
	assert_int_equal(bad.calls, 2);
	assert_int_equal(b->q.untaken, 4);
	assert_int_equal(b->q.ngiven, 0);
	lane_rig_assert_sound(b);
	fd_to_vq_drain(&b->lane);
	assert_int_equal(bad.calls, 3);
	lane_rig_assert_drops(b, LANE_DROP_STALE, 0);
	lane_rig_assert_sound(b);
}

/* Someone sends faster than we read: the drain ends all the same. */
static void drain_ends(void **state)
{
	struct bad_io flood = {.io.ops = &bad_ops};
	struct lane_rig *b = lane_rig_begin(state, VQ_SPACE, 64);

	b->lane.io = &flood.io;
	fd_to_vq_drain(&b->lane);
	assert_in_range(b->lane.counters.drops[LANE_DROP_STALE], 4096, 1 << 20);
	assert_int_equal(b->lane.counters.drops[LANE_DROP_STALE], flood.calls * 64);
	lane_rig_assert_sound(b);
}

int main(void)
{
	static const struct CMUnitTest plain[] = {
		LANE_RIG_PLAIN(counters_go_on),
		LANE_RIG_PLAIN(takes_plain_ones),
		LANE_RIG_PLAIN(start_forgets),
		LANE_RIG_PLAIN(io_dies),
		LANE_RIG_PLAIN(drain_ends),
	};
	static const struct CMUnitTest uring[] = {
		LANE_RIG_URING(counters_go_on),
	};
	int r = cmocka_run_group_tests(plain, NULL, NULL);

	if (!r)
		r = rig_uring_unavailable();
	return r ? r : cmocka_run_group_tests(uring, NULL, NULL);
}
