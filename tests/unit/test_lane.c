/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 *   ring that is none → vq_to_fd → socketpair → outside
 *   ring that is none ← fd_to_vq ← socketpair ← outside
 *
 * with both ways to pass frames, and with a third that fails on command.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "engine/lane.h"
#include "engine_rig.h"

struct bench {
	struct fake_kport port;
	struct fake_vq q;
	struct io *io;
	struct lane lane;
};

static int setup(void **state)
{
	int (*open)(struct io **, struct kport *, unsigned int) =
		strcmp(*state, "uring") ? io_plain_open : uring_open;
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	fake_kport_open(&b->port);
	assert_int_equal(open(&b->io, &b->port.kport, 0), 0);
	assert_string_equal(b->io->name, *state);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	io_close(b->io);
	fake_kport_close(&b->port);
	fake_vq_close(&b->q);
	free(b);
	return 0;
}

static struct bench *begin(void **state, enum vq_direction direction, unsigned int ready)
{
	struct bench *b = *state;

	fake_vq_open(&b->q, direction, ready);
	lane_start(&b->lane, &b->q.vq, b->io, b->port.kport.hdr_len);
	return b;
}

static uint64_t bytes_of(uint32_t from, uint32_t to)
{
	uint64_t bytes = 0;

	for (; from < to; from++)
		bytes += rig_frame_len(from);
	return bytes;
}

/* Nothing in hand, nothing out of order. */
static void assert_sound(struct bench *b)
{
	if (b->q.violation)
		fail_msg("%s", b->q.violation);
	assert_int_equal(vq_quiesce(&b->q.vq), 0);
	assert_int_equal(b->q.ngiven, b->q.flushed);
}

static void assert_outside_got(struct bench *b, uint32_t from, uint32_t to)
{
	struct virtio_net_hdr_v1 hdr;

	for (; from < to; from++) {
		assert_int_equal(fake_kport_get(&b->port, 0, &hdr), from);
		assert_int_equal(hdr.gso_size, from);
	}
}

static void assert_ring_got(struct bench *b, unsigned int at, uint32_t from, uint32_t to)
{
	for (; from < to; from++, at++) {
		const struct fake_token *t = &b->q.tokens[b->q.given[at]];

		assert_true(at < b->q.ngiven);
		assert_int_equal(rig_frame_number(t->data, t->len), from);
		assert_int_equal(t->hdr.gso_size, from);
		assert_int_equal(t->hdr.num_buffers, 0);
	}
}

static void assert_drops(struct bench *b, enum lane_drop reason, unsigned int n)
{
	int i;

	for (i = 0; i < LANE_DROPS; i++)
		assert_int_equal(b->lane.counters.drops[i], i == (int)reason ? n : 0);
}

/* ---- ring → fd ---- */

static void to_fd_in_order(void **state)
{
	struct bench *b = begin(state, VQ_CONTENT, 150);
	unsigned int i;

	assert_int_equal(vq_to_fd_run(&b->lane), 64);
	assert_int_equal(vq_to_fd_run(&b->lane), 64);
	assert_int_equal(vq_to_fd_run(&b->lane), 22);
	assert_false(b->lane.blocked);
	assert_sound(b);
	for (i = 0; i < 150; i++)
		assert_int_equal(b->q.given[i], i);
	assert_outside_got(b, 0, 150);
	assert_int_equal(fake_kport_get(&b->port, 0, NULL), -1);
	assert_int_equal(b->q.flushes, 3);
	assert_int_equal(b->lane.counters.kicks, 3);
	assert_int_equal(b->lane.counters.frames, 150);
	assert_int_equal(b->lane.counters.bytes, bytes_of(0, 150));
	assert_drops(b, LANE_DROP_OTHER, 0);
}

/* Frames in many pieces fill the lane's iovecs before its frames. */
static void to_fd_pieces(void **state)
{
	static const struct {
		unsigned int pieces;
		int batch;
	} cases[] = { { 2, 43 }, { 3, 33 }, { 63, 20 } };
	size_t i;
	int r, moved;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bench *b = begin(state, VQ_CONTENT, 100);

		b->q.pieces = cases[i].pieces;
		for (moved = 0; (r = vq_to_fd_run(&b->lane)) > 0; moved += r)
			assert_in_range(r, 1, cases[i].batch);
		assert_int_equal(r, 0);
		assert_int_equal(moved, 100);
		assert_outside_got(b, 0, 100);
		assert_sound(b);
		fake_vq_close(&b->q);
	}
}

static void to_fd_nothing(void **state)
{
	struct bench *b = begin(state, VQ_CONTENT, 0);

	b->lane.blocked = true; /* by an earlier run */
	assert_int_equal(vq_to_fd_run(&b->lane), 0);
	assert_false(b->lane.blocked);
	assert_int_equal(b->q.flushes, 0);
	assert_int_equal(fake_kport_get(&b->port, 0, NULL), -1);
	assert_sound(b);
}

/* Room in the socket for a few frames. */
static void make_narrow(struct bench *b)
{
	int size = 1; /* the kernel makes it the smallest */

	assert_int_equal(setsockopt(b->port.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
}

/* What the fd does not take now stays in the ring, and goes later: once and in order. */
static void to_fd_full(void **state)
{
	struct bench *b = begin(state, VQ_CONTENT, 100);
	unsigned int went, flushes;
	uint32_t got = 0;
	int rounds;

	make_narrow(b);
	went = (unsigned int)vq_to_fd_run(&b->lane);
	assert_in_range(went, 1, 63);
	assert_true(b->lane.blocked);
	assert_sound(b);
	assert_int_equal(b->q.ngiven, went);
	assert_int_equal(b->q.untaken, 64 - went);

	flushes = b->q.flushes;
	assert_int_equal(vq_to_fd_run(&b->lane), 0);
	assert_true(b->lane.blocked);
	assert_int_equal(b->q.flushes, flushes);
	assert_int_equal(b->q.ngiven, went);

	for (rounds = 0; got < 100 && rounds < 100; rounds++) {
		assert_outside_got(b, got, b->q.ngiven);
		got = b->q.ngiven;
		assert_true(vq_to_fd_run(&b->lane) >= 0);
	}
	assert_int_equal(got, 100);
	assert_false(b->lane.blocked);
	assert_int_equal(fake_kport_get(&b->port, 0, NULL), -1);
	assert_int_equal(b->lane.counters.frames, 100);
	assert_drops(b, LANE_DROP_OTHER, 0);
	assert_sound(b);
}

static void to_fd_broken(void **state)
{
	struct bench *b = begin(state, VQ_CONTENT, 10);

	b->q.breaks_at = 3;
	assert_int_equal(vq_to_fd_run(&b->lane), 3); /* the good ones before it go */
	assert_int_equal(vq_to_fd_run(&b->lane), -EPROTO);
	assert_int_equal(vq_to_fd_run(&b->lane), -EPROTO);
	assert_outside_got(b, 0, 3);
	assert_int_equal(fake_kport_get(&b->port, 0, NULL), -1);
	assert_int_equal(b->lane.counters.frames, 3);
	assert_sound(b);
}

/* One frame in four is refused: the others go, in order, and each errno has its counter. */
static void drop_some(struct bench *b, int error, enum lane_drop reason)
{
	int script[20] = { 0 };
	unsigned int i;

	for (i = 0; i < 20; i += 4)
		script[i] = error;
	b->port.script = script;
	b->port.scripted = 20;
	assert_int_equal(vq_to_fd_run(&b->lane), 20);
	assert_int_equal(b->port.scripted, 0);
	assert_sound(b);
	assert_int_equal(b->q.ngiven, 20);
	for (i = 0; i < 20; i++)
		if (i % 4)
			assert_outside_got(b, i, i + 1);
	assert_int_equal(fake_kport_get(&b->port, 0, NULL), -1);
	assert_drops(b, reason, 5);
	assert_int_equal(b->lane.counters.frames, 15);
	assert_int_equal(b->lane.counters.bytes,
			 bytes_of(0, 20) - rig_frame_len(0) - rig_frame_len(4) -
				 rig_frame_len(8) - rig_frame_len(12) - rig_frame_len(16));
}

static const struct {
	int error;
	enum lane_drop reason;
	const char *name;
} reasons[] = {
	{ EINVAL, LANE_DROP_REFUSED, "refused" },
	{ EIO, LANE_DROP_IFACE_DOWN, "iface_down" },
	{ ENOMEM, LANE_DROP_NO_MEMORY, "no_memory" },
	{ ENOBUFS, LANE_DROP_NO_MEMORY, "no_memory" },
	{ EPERM, LANE_DROP_OTHER, "other_error" },
	{ EMSGSIZE, LANE_DROP_OTHER, "other_error" },
	{ EBADFD, LANE_DROP_OTHER, "other_error" },
};

static void to_fd_drops(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++) {
		struct bench *b = begin(state, VQ_CONTENT, 20);

		memset(&b->lane.counters, 0, sizeof(b->lane.counters));
		drop_some(b, reasons[i].error, reasons[i].reason);
		assert_string_equal(lane_drop_name(reasons[i].reason), reasons[i].name);
		fake_vq_close(&b->q);
	}
	assert_string_equal(lane_drop_name(LANE_DROP_STALE), "stale");
}

/* ---- fd → ring ---- */

static void put(struct bench *b, uint32_t from, uint32_t to)
{
	for (; from < to; from++)
		assert_true(fake_kport_put(&b->port, from, true));
}

static void to_vq_in_order(void **state)
{
	struct bench *b = begin(state, VQ_SPACE, FAKE_TOKENS);
	unsigned int expect, kicks = 0;
	int came, got = 0;

	put(b, 0, 150);
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
	assert_ring_got(b, 0, 0, 150);
	assert_int_equal(b->lane.counters.frames, 150);
	assert_int_equal(b->lane.counters.bytes, bytes_of(0, 150));
	assert_int_equal(b->q.flushes, kicks + 1);
	assert_sound(b);
}

static void to_vq_pieces(void **state)
{
	struct bench *b = begin(state, VQ_SPACE, FAKE_TOKENS);
	int r, moved;

	b->q.pieces = FRAME_IOV_MAX - 1;
	put(b, 0, 100);
	for (moved = 0; (r = fd_to_vq_run(&b->lane)) > 0; moved += r)
		assert_in_range(r, 1, 3);
	assert_int_equal(r, 0);
	assert_int_equal(moved, 100);
	assert_ring_got(b, 0, 0, 100);
	assert_sound(b);
}

static void to_vq_nothing(void **state)
{
	struct bench *b = begin(state, VQ_SPACE, 10);

	b->lane.starved = true; /* by an earlier run */
	assert_int_equal(fd_to_vq_run(&b->lane), 0);
	assert_false(b->lane.starved);
	assert_int_equal(b->q.untaken, 1);
	assert_int_equal(b->q.flushes, 0);
	assert_int_equal(b->q.ngiven, 0);
	assert_sound(b);
}

/* Without room the fd is left alone; with room again, all comes. */
static void to_vq_starved(void **state)
{
	struct bench *b = begin(state, VQ_SPACE, 0);

	put(b, 0, 10);
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
	assert_ring_got(b, 0, 0, 10);
	assert_sound(b);
}

/* It asks for more when all came, for less when not, and a full ring is no reason for less. */
static void to_vq_follows_traffic(void **state)
{
	struct bench *b = begin(state, VQ_SPACE, 0);
	unsigned int before, runs;

	b->lane.reads = 64;
	b->q.ready = 3;
	put(b, 0, 10);
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
	assert_ring_got(b, 0, 0, 10);
	assert_sound(b);
}

static void to_vq_broken(void **state)
{
	struct bench *b = begin(state, VQ_SPACE, 10);

	put(b, 0, 5);
	b->lane.reads = 8;
	b->q.breaks_at = 2;
	assert_int_equal(fd_to_vq_run(&b->lane), 2);
	assert_int_equal(fd_to_vq_run(&b->lane), -EPROTO);
	assert_ring_got(b, 0, 0, 2);
	assert_sound(b);
}

/* The fd fails: what came before counts, then its errno is the result. */
static void to_vq_fd_fails(void **state)
{
	struct bench *b = begin(state, VQ_SPACE, 10);

	b->lane.reads = 8;
	b->port.receive_error = EBADFD;
	put(b, 0, 5);
	assert_int_equal(fd_to_vq_run(&b->lane), 5);
	assert_int_equal(fd_to_vq_run(&b->lane), -EBADFD);
	assert_int_equal(b->q.ngiven, 5);
	assert_int_equal(b->lane.counters.frames, 5);
	assert_int_equal(b->q.flushes, 1);
	assert_sound(b);
}

/* ---- start ---- */

/* A ring smaller than a batch is enough to read all away; what comes next is forwarded. */
static void drain_with(struct bench *b, unsigned int stale)
{
	put(b, 0, stale);
	fd_to_vq_drain(&b->lane);
	assert_drops(b, LANE_DROP_STALE, stale);
	assert_int_equal(b->lane.counters.frames, 0);
	assert_int_equal(b->q.ngiven, 0);
	assert_int_equal(b->q.flushes, 0);
	assert_sound(b);
	put(b, 1000, 1001);
	assert_int_equal(fd_to_vq_run(&b->lane), 1);
	assert_ring_got(b, 0, 1000, 1001);
	assert_drops(b, LANE_DROP_STALE, stale);
}

static void drain_small_ring(void **state)
{
	drain_with(begin(state, VQ_SPACE, 16), 100);
}

static void drain_large_ring(void **state)
{
	drain_with(begin(state, VQ_SPACE, 200), 150);
}

static void drain_nothing(void **state)
{
	drain_with(begin(state, VQ_SPACE, 16), 0);
}

static void drain_without_room(void **state)
{
	struct bench *b = begin(state, VQ_SPACE, 0);

	put(b, 0, 3);
	fd_to_vq_drain(&b->lane);
	assert_drops(b, LANE_DROP_STALE, 0);
	b->q.ready = 10;
	b->q.vq.broken = -EPROTO;
	fd_to_vq_drain(&b->lane);
	assert_drops(b, LANE_DROP_STALE, 0);
	assert_sound(b);
}

/* Counters go on with the same ring, whose own count goes on too, and with a new one. */
static void counters_go_on(void **state)
{
	struct bench *b = begin(state, VQ_CONTENT, 5);

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

	begin(state, VQ_CONTENT, 1);
	assert_int_equal(vq_to_fd_run(&b->lane), 1);
	assert_int_equal(b->lane.counters.kicks, 4);
	assert_int_equal(b->lane.counters.frames, 11);
	assert_int_equal(b->lane.counters.bytes, bytes_of(0, 10) + rig_frame_len(0));
}

static void start_forgets(void **state)
{
	struct bench *b = begin(state, VQ_SPACE, 10);

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

static const struct io_ops bad_ops = { .send = bad_send, .receive = bad_receive };

static void io_dies(void **state)
{
	struct bad_io bad = { .io.ops = &bad_ops, .result = -EOPNOTSUPP };
	struct bench *b = begin(state, VQ_CONTENT, 10);

	b->lane.io = &bad.io;
	assert_int_equal(vq_to_fd_run(&b->lane), -EOPNOTSUPP);
	assert_int_equal(bad.calls, 1);
	assert_int_equal(b->q.untaken, 10);
	assert_int_equal(b->q.ngiven, 0);
	assert_int_equal(b->q.flushes, 0);
	assert_sound(b);
	fake_vq_close(&b->q);

	begin(state, VQ_SPACE, 10);
	b->lane.io = &bad.io;
	b->lane.reads = 4;
	assert_int_equal(fd_to_vq_run(&b->lane), -EOPNOTSUPP);
	assert_int_equal(bad.calls, 2);
	assert_int_equal(b->q.untaken, 4);
	assert_int_equal(b->q.ngiven, 0);
	assert_sound(b);
	fd_to_vq_drain(&b->lane);
	assert_int_equal(bad.calls, 3);
	assert_drops(b, LANE_DROP_STALE, 0);
	assert_sound(b);
}

/* Someone sends faster than we read: the drain ends all the same. */
static void drain_ends(void **state)
{
	struct bad_io flood = { .io.ops = &bad_ops };
	struct bench *b = begin(state, VQ_SPACE, 64);

	b->lane.io = &flood.io;
	fd_to_vq_drain(&b->lane);
	assert_in_range(b->lane.counters.drops[LANE_DROP_STALE], 4096, 1 << 20);
	assert_int_equal(b->lane.counters.drops[LANE_DROP_STALE], flood.calls * 64);
	assert_sound(b);
}

#define PLAIN(f)                                                                                   \
	{                                                                                          \
		#f " (plain)", f, setup, teardown, "plain"                                         \
	}
#define URING(f)                                                                                   \
	{                                                                                          \
		#f " (uring)", f, setup, teardown, "uring"                                         \
	}

static int uring_unavailable(void)
{
	struct fake_kport port;
	struct io *io;
	int r;

	fake_kport_open(&port);
	r = uring_open(&io, &port.kport, 0);
	io_close(io);
	fake_kport_close(&port);
	return r;
}

int main(void)
{
	static const struct CMUnitTest plain[] = {
		PLAIN(to_fd_in_order),	   PLAIN(to_fd_nothing),
		PLAIN(to_fd_full),	   PLAIN(to_fd_broken),
		PLAIN(to_fd_drops),	   PLAIN(to_vq_in_order),
		PLAIN(to_vq_nothing),	   PLAIN(to_vq_starved),
		PLAIN(to_vq_follows_traffic), PLAIN(to_vq_broken),
		PLAIN(to_vq_fd_fails),	   PLAIN(drain_small_ring),
		PLAIN(drain_large_ring),   PLAIN(drain_nothing),
		PLAIN(drain_without_room), PLAIN(counters_go_on),
		PLAIN(start_forgets),	   PLAIN(io_dies),
		PLAIN(drain_ends),	   PLAIN(to_fd_pieces),
		PLAIN(to_vq_pieces),
	};
	static const struct CMUnitTest uring[] = {
		URING(to_fd_in_order),	   URING(to_fd_nothing),
		URING(to_fd_full),	   URING(to_fd_broken),
		URING(to_vq_in_order),	   URING(to_vq_nothing),
		URING(to_vq_starved),	   URING(to_vq_follows_traffic),
		URING(to_vq_broken),	   URING(drain_small_ring),
		URING(drain_large_ring),   URING(drain_nothing),
		URING(drain_without_room), URING(counters_go_on),
		URING(to_fd_pieces),	   URING(to_vq_pieces),
	};
	const char *ci = getenv("CI");
	int r = uring_unavailable();

	if (cmocka_run_group_tests(plain, NULL, NULL))
		return 1;
	if (!r)
		return cmocka_run_group_tests(uring, NULL, NULL);
	fprintf(stderr, "skipped: io_uring is refused here (%s)\n", strerror(-r));
	return ci && !strcmp(ci, "true") ? 1 : 77;
}
