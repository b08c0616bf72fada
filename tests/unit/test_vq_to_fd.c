/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ring that is none → vq_to_fd → socketpair → outside, with both ways to pass frames. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"
#include "lane_rig.h"

static void to_fd_in_order(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_CONTENT, 150);
	unsigned int i;

	assert_int_equal(vq_to_fd_run(&b->lane), 64);
	assert_int_equal(vq_to_fd_run(&b->lane), 64);
	assert_int_equal(vq_to_fd_run(&b->lane), 22);
	assert_false(b->lane.blocked);
	lane_rig_assert_sound(b);
	for (i = 0; i < 150; i++)
		assert_int_equal(b->q.given[i], i);
	lane_rig_assert_outside(b, 0, 150);
	assert_int_equal(fake_kport_get(&b->port, 0, NULL), -1);
	assert_int_equal(b->q.flushes, 3);
	assert_int_equal(b->lane.counters.kicks, 3);
	assert_int_equal(b->lane.counters.frames, 150);
	assert_int_equal(b->lane.counters.bytes, lane_rig_bytes(0, 150));
	lane_rig_assert_drops(b, LANE_DROP_OTHER, 0);
}

/* Frames in many pieces fill the lane's iovecs before its frames. */
static void to_fd_pieces(void **state)
{
	static const struct {
		unsigned int pieces;
		int batch;
	} cases[] = {{2, 64}, {3, 64}, {63, LANE_IOVS / FRAME_IOV_MAX}};
	size_t i;
	int r, moved;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct lane_rig *b = lane_rig_begin(state, VQ_CONTENT, 100);

		b->q.pieces = cases[i].pieces;
		for (moved = 0; (r = vq_to_fd_run(&b->lane)) > 0; moved += r)
			assert_in_range(r, 1, cases[i].batch);
		assert_int_equal(r, 0);
		assert_int_equal(moved, 100);
		lane_rig_assert_outside(b, 0, 100);
		lane_rig_assert_sound(b);
		fake_vq_close(&b->q);
	}
}

static void to_fd_nothing(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_CONTENT, 0);

	b->lane.blocked = true; /* by an earlier run */
	assert_int_equal(vq_to_fd_run(&b->lane), 0);
	assert_false(b->lane.blocked);
	assert_int_equal(b->q.flushes, 0);
	assert_int_equal(fake_kport_get(&b->port, 0, NULL), -1);
	lane_rig_assert_sound(b);
}

/* Room in the socket for a few frames. */
static void make_narrow(struct lane_rig *b)
{
	int size = 1; /* the kernel makes it the smallest */

	assert_int_equal(setsockopt(b->port.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
}

/* What the fd does not take now stays in hand, and goes later: once and in order. */
static void to_fd_full(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_CONTENT, 100);
	unsigned int went, flushes;
	uint32_t got = 0;
	int rounds;

	make_narrow(b);
	went = (unsigned int)vq_to_fd_run(&b->lane);
	assert_in_range(went, 1, 63);
	assert_true(b->lane.blocked);
	assert_int_equal(b->q.ngiven, went);
	assert_int_equal(vq_quiesce(&b->q.vq), 64 - went);

	flushes = b->q.flushes;
	assert_int_equal(vq_to_fd_run(&b->lane), 0);
	assert_true(b->lane.blocked);
	assert_int_equal(b->q.flushes, flushes);
	assert_int_equal(b->q.ngiven, went);

	for (rounds = 0; got < 100 && rounds < 100; rounds++) {
		lane_rig_assert_outside(b, got, b->q.ngiven);
		got = b->q.ngiven;
		assert_true(vq_to_fd_run(&b->lane) >= 0);
	}
	assert_int_equal(got, 100);
	assert_false(b->lane.blocked);
	assert_int_equal(fake_kport_get(&b->port, 0, NULL), -1);
	assert_int_equal(b->lane.counters.frames, 100);
	lane_rig_assert_drops(b, LANE_DROP_OTHER, 0);
	lane_rig_assert_sound(b);
}

/* What is in hand when the pair is stopped is given back, and counted. */
static void to_fd_stopped(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_CONTENT, 100);
	unsigned int went;

	make_narrow(b);
	went = (unsigned int)vq_to_fd_run(&b->lane);
	assert_true(b->lane.blocked);
	lane_stop(&b->lane);
	assert_int_equal(vq_quiesce(&b->q.vq), 0);
	assert_int_equal(b->q.ngiven, 64);
	lane_rig_assert_drops(b, LANE_DROP_STOPPED, 64 - went);
	assert_int_equal(b->lane.counters.frames, went);
}

static void to_fd_broken(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_CONTENT, 10);

	b->q.breaks_at = 3;
	assert_int_equal(vq_to_fd_run(&b->lane), 3); /* the good ones before it go */
	assert_int_equal(vq_to_fd_run(&b->lane), -EPROTO);
	assert_int_equal(vq_to_fd_run(&b->lane), -EPROTO);
	lane_rig_assert_outside(b, 0, 3);
	assert_int_equal(fake_kport_get(&b->port, 0, NULL), -1);
	assert_int_equal(b->lane.counters.frames, 3);
	lane_rig_assert_sound(b);
}

/* One frame in four is refused: the others go, in order, and each errno has its counter. */
static void drop_some(struct lane_rig *b, int error, enum lane_drop reason)
{
	int script[20] = {0};
	unsigned int i;

	for (i = 0; i < 20; i += 4)
		script[i] = error;
	b->port.script = script;
	b->port.scripted = 20;
	assert_int_equal(vq_to_fd_run(&b->lane), 20);
	assert_int_equal(b->port.scripted, 0);
	lane_rig_assert_sound(b);
	assert_int_equal(b->q.ngiven, 20);
	for (i = 0; i < 20; i++)
		if (i % 4)
			lane_rig_assert_outside(b, i, i + 1);
	assert_int_equal(fake_kport_get(&b->port, 0, NULL), -1);
	lane_rig_assert_drops(b, reason, 5);
	assert_int_equal(b->lane.counters.frames, 15);
	assert_int_equal(b->lane.counters.bytes, lane_rig_bytes(0, 20) - rig_frame_len(0) -
							 rig_frame_len(4) - rig_frame_len(8) -
							 rig_frame_len(12) - rig_frame_len(16));
}

static const struct {
	int error;
	enum lane_drop reason;
} reasons[] = {
	{EINVAL, LANE_DROP_REFUSED},   {EIO, LANE_DROP_IFACE_DOWN},
	{ENOMEM, LANE_DROP_NO_MEMORY}, {ENOBUFS, LANE_DROP_NO_MEMORY},
	{EPERM, LANE_DROP_OTHER},      {EMSGSIZE, LANE_DROP_OTHER},
	{EBADFD, LANE_DROP_OTHER},
};

static void to_fd_drops(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++) {
		struct lane_rig *b = lane_rig_begin(state, VQ_CONTENT, 20);

		memset(&b->lane.counters, 0, sizeof(b->lane.counters));
		drop_some(b, reasons[i].error, reasons[i].reason);
		fake_vq_close(&b->q);
	}
}

/* ---- what waits at the start ---- */

/* None of it is sent, all of it is given back; what comes next is forwarded. */
static void drain(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_CONTENT, 150);
	unsigned int i;

	vq_to_fd_drain(&b->lane);
	lane_rig_assert_drops(b, LANE_DROP_STALE, 150);
	assert_int_equal(fake_kport_get(&b->port, 0, NULL), -1);
	assert_int_equal(b->q.ngiven, 150);
	for (i = 0; i < 150; i++)
		assert_int_equal(b->q.given[i], i);
	assert_int_equal(b->q.flushes, 0); /* so that no more can come meanwhile */
	lane_flush(&b->lane);
	lane_rig_assert_sound(b);
	b->q.ready = 160;
	assert_int_equal(vq_to_fd_run(&b->lane), 10);
	lane_rig_assert_outside(b, 150, 160);
	lane_rig_assert_drops(b, LANE_DROP_STALE, 150);
	assert_int_equal(b->lane.counters.frames, 10);
}

static void drain_nothing(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_CONTENT, 0);

	vq_to_fd_drain(&b->lane);
	lane_rig_assert_drops(b, LANE_DROP_STALE, 0);
	lane_rig_assert_sound(b);
}

/* The next run tells that the ring is broken. */
static void drain_broken(void **state)
{
	struct lane_rig *b = lane_rig_begin(state, VQ_CONTENT, 10);

	b->q.breaks_at = 3;
	vq_to_fd_drain(&b->lane);
	lane_rig_assert_drops(b, LANE_DROP_STALE, 3);
	assert_int_equal(vq_to_fd_run(&b->lane), -EPROTO);
	lane_flush(&b->lane);
	lane_rig_assert_sound(b);
}

/* Whoever is often away for long, and then finds much in the ring, offers more buffers. */
static void offered_by_absence(void **state)
{
	const uint64_t period = 300000000;
	struct lane_rig *b = lane_rig_begin(state, VQ_CONTENT, 150);
	struct vq *vq = &b->q.vq;

	vq->capacity = 2 * VQ_OFFERED_LEAST;
	vq->offered = VQ_OFFERED_LEAST;
	vq->waiting = VQ_OFFERED_LEAST - 1;
	b->lane.absences = 4;
	b->lane.period_ns = now_ns();
	b->lane.took_ns -= 1000000;
	assert_int_equal(vq_to_fd_run(&b->lane), 64);
	assert_int_equal(b->lane.absences, 5);
	assert_int_equal(vq->waiting, 0); /* counted once, for all batches of a look */
	assert_int_equal(vq->offered, VQ_OFFERED_LEAST);
	b->lane.period_ns -= period;
	assert_int_equal(vq_to_fd_run(&b->lane), 64);
	assert_int_equal(vq->offered, vq->capacity);
	assert_int_equal(b->lane.absences, 0);
	vq->waiting = 10;
	b->lane.took_ns -= 1000000;
	b->lane.period_ns -= period;
	assert_int_equal(vq_to_fd_run(&b->lane), 22);
	assert_int_equal(vq->offered, VQ_OFFERED_LEAST);
	lane_rig_assert_sound(b);
}

int main(void)
{
	static const struct CMUnitTest plain[] = {
		LANE_RIG_PLAIN(to_fd_in_order), LANE_RIG_PLAIN(to_fd_pieces),
		LANE_RIG_PLAIN(to_fd_nothing),	LANE_RIG_PLAIN(to_fd_full),
		LANE_RIG_PLAIN(to_fd_broken),
		LANE_RIG_PLAIN(to_fd_stopped),	LANE_RIG_PLAIN(to_fd_drops),
		LANE_RIG_PLAIN(drain),		LANE_RIG_PLAIN(drain_nothing),
		LANE_RIG_PLAIN(drain_broken),	LANE_RIG_PLAIN(offered_by_absence),
	};
	static const struct CMUnitTest uring[] = {
		LANE_RIG_URING(to_fd_in_order), LANE_RIG_URING(to_fd_pieces),
		LANE_RIG_URING(to_fd_nothing),	LANE_RIG_URING(to_fd_full),
		LANE_RIG_URING(to_fd_broken),
	};
	int r = cmocka_run_group_tests(plain, NULL, NULL);

	if (!r)
		r = rig_uring_unavailable();
	return r ? r : cmocka_run_group_tests(uring, NULL, NULL);
}
