/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A worker when a ring or the fd breaks, or when it cannot even be opened. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/util.h"
#include "virtio/feature.h"
#include "uring_rig.h"
#include "worker_rig.h"

static void await_failure(struct worker_rig *b)
{
	struct pollfd pfd = { .fd = worker_event_fd(b->w), .events = POLLIN };

	assert_int_equal(poll(&pfd, 1, WORKER_RIG_PATIENCE_MS), 1);
}

static void assert_no_failure(struct worker_rig *b)
{
	struct worker_failure f = worker_take_failure(b->w);
	struct pollfd pfd = { .fd = worker_event_fd(b->w), .events = POLLIN };

	assert_null(f.vq);
	assert_int_equal(f.fd_error, 0);
	assert_int_equal(poll(&pfd, 1, 0), 0);
}

/* Waits for a failure: it names @vq, or the fd with @fd_error, and is told once. */
static void assert_failure(struct worker_rig *b, const struct vq *vq, int fd_error)
{
	struct worker_failure f;

	await_failure(b);
	f = worker_take_failure(b->w);
	assert_ptr_equal(f.vq, vq);
	assert_int_equal(f.fd_error, fd_error);
	assert_no_failure(b);
}

/* The frame that leads to a broken transmit ring. */
#define LAST 1000

/*
 * The peer writes an index that it cannot have, and sees to it that it is read: the
 * transmit ring is looked at when there is something to send.
 */
static void break_ring(struct worker_rig *b, unsigned int i, unsigned int direction)
{
	struct vring_used *used = b->rings[i].shared[direction].used;
	const uint64_t one = 1;

	store_release16(&used->idx, htole16(0x4000));
	if (direction)
		assert_true(fake_kport_put(&b->ports[i], LAST, false));
	else
		assert_int_equal(write(b->rings[i].call_fd[0], &one, sizeof(one)), sizeof(one));
}

static void one_ring_broken(struct worker_rig *b, unsigned int direction)
{
	struct vq *vq = b->rings[0].driver[direction];
	uint64_t frames;

	worker_rig_start(b, 0);
	break_ring(b, 0, direction);
	assert_failure(b, vq, 0);
	assert_int_equal(vq->broken, -EPROTO);
	/* the other pair goes on, this one forwards nothing */
	frames = count_read(&worker_counters(b->w, 0).to_vq->frames);
	assert_true(fake_kport_put(&b->ports[0], 1001, false));
	worker_rig_round_trips(b, 1, 0, 50);
	assert_int_equal(count_read(&worker_counters(b->w, 0).to_vq->frames), frames);
	worker_rig_stop(b, 0);
	/* it is as broken when it comes back */
	worker_rig_start(b, 0);
	assert_failure(b, vq, 0);
	worker_rig_stop(b, 0);
	assert_no_failure(b);
	/* with good rings it works again */
	worker_rig_new_rings(b, 0, 64, WORKER_RIG_FEATURES);
	worker_rig_start(b, 0);
	worker_rig_reflect(b, 0);
	worker_rig_round_trips(b, 0, 0, 50);
	worker_rig_stop(b, 0);
	worker_rig_new_rings(b, 0, 64, WORKER_RIG_FEATURES);
}

static void broken_ring(void **state)
{
	struct worker_rig *b = *state;
	unsigned int i;

	worker_rig_open(b);
	worker_rig_start(b, 1);
	worker_rig_reflect(b, 1);
	assert_no_failure(b);
	for (i = 0; i < 10; i++)
		one_ring_broken(b, i % 2);
}

/* Amid traffic: what was forwarded until then was right, and nothing is left in hand. */
static void broken_amid_traffic(void **state)
{
	struct worker_rig *b = *state;
	unsigned int round, direction;
	int64_t number;
	uint32_t i;

	worker_rig_open(b);
	for (round = 0; round < 50; round++) {
		direction = round % 2;
		worker_rig_new_rings(b, 0, 64, WORKER_RIG_FEATURES);
		worker_rig_start(b, 0);
		for (i = 0; i < 40; i++) {
			assert_true(fake_kport_put(&b->ports[0], i, false));
			ring_pair_put(&b->rings[0], i);
			if (i % 8 == 0)
				ring_pair_flush(&b->rings[0]);
		}
		break_ring(b, 0, direction);
		assert_failure(b, b->rings[0].driver[direction], 0);
		worker_rig_stop(b, 0);
		for (i = 0; (number = fake_kport_get(&b->ports[0], 0, NULL)) != -1; i++)
			assert_int_equal(number, i);
		for (i = 0; (number = ring_pair_get(&b->rings[0])) != -1; i++)
			assert_true(number == i || (direction && number == LAST));
	}
}

/* Both fail: each is told once. A failure not taken is forgotten with its rings. */
static void two_failures(void **state)
{
	struct worker_rig *b = *state;
	const struct vq *first, *second;

	worker_rig_open(b);
	worker_rig_start(b, 0);
	worker_rig_start(b, 1);
	break_ring(b, 0, 0);
	break_ring(b, 1, 0);
	await_failure(b);
	first = worker_take_failure(b->w).vq;
	assert_non_null(first);
	while (!(second = worker_take_failure(b->w).vq))
		await_failure(b);
	assert_true(first != second);
	worker_rig_stop(b, 0);
	worker_rig_stop(b, 1);
	assert_no_failure(b); /* not before: the second can be taken before its event is there */
	worker_rig_start(b, 0); /* broken from the start */
	await_failure(b);
	worker_rig_stop(b, 0);
	assert_no_failure(b);
	worker_rig_start(b, 0);
	await_failure(b);
	worker_rig_close(b); /* whatever state it is in */
}

/* Of this thread and all others. */
static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Reads that do nothing but fail: they are counted, now and then, and the rest goes on. */
static void all_reads_fail(void **state)
{
	struct worker_rig *b = *state;
	struct worker_counters c;
	uint64_t cpu;
	uint32_t i;

	worker_rig_open(b);
	worker_rig_start(b, 0);
	c = worker_counters(b->w, 0);
	__atomic_store_n(&b->ports[0].receive_error, EIO, __ATOMIC_RELAXED);
	assert_true(fake_kport_put(&b->ports[0], 0, false));
	worker_rig_await(&c.to_vq->drops[LANE_DROP_IFACE_DOWN], LANE_FAILURES_MAX);
	cpu = cpu_ns();
	worker_rig_await(&c.to_vq->drops[LANE_DROP_IFACE_DOWN], LANE_FAILURES_MAX + 10);
	assert_true(cpu_ns() - cpu < 10 * LANE_PAUSE_MS * UINT64_C(1000000) / 2);
	assert_no_failure(b);
	for (i = 0; i < 20; i++) {
		assert_true(ring_pair_put(&b->rings[0], i));
		ring_pair_flush(&b->rings[0]);
		assert_int_equal(fake_kport_get(&b->ports[0], WORKER_RIG_PATIENCE_MS, NULL), i);
	}
	assert_int_equal(ring_pair_get(&b->rings[0]), 0);
	/* what comes in the middle of a pause is read after it */
	__atomic_store_n(&b->ports[0].receive_error, 0, __ATOMIC_RELAXED);
	worker_rig_reflect(b, 0);
	worker_rig_round_trips(b, 0, 1, 50);
	worker_rig_stop(b, 0);
	assert_in_range(c.to_vq->drops[LANE_DROP_IFACE_DOWN], LANE_FAILURES_MAX + 10,
			LANE_FAILURES_MAX + 20000);
}

static void fd_error_plain(void **state)
{
	struct worker_rig *b = *state;

	worker_rig_open(b);
	worker_rig_start(b, 0);
	__atomic_store_n(&b->ports[0].receive_error, EBADFD, __ATOMIC_RELAXED);
	assert_true(fake_kport_put(&b->ports[0], 1, false));
	assert_failure(b, NULL, -EBADFD);
	worker_rig_stop(b, 0);
	assert_no_failure(b);
	__atomic_store_n(&b->ports[0].receive_error, 0, __ATOMIC_RELAXED);
	worker_rig_new_rings(b, 0, 64, WORKER_RIG_FEATURES);
	worker_rig_start(b, 0);
	worker_rig_reflect(b, 0);
	worker_rig_round_trips(b, 0, 0, 50);
}

/* An outside that goes away with frames unread resets the connection: one read fails. */
static void fd_error_uring(void **state)
{
	struct worker_rig *b = *state;
	struct worker_counters c;

	worker_rig_open(b);
	worker_rig_start(b, 0);
	c = worker_counters(b->w, 0);
	assert_true(ring_pair_put(&b->rings[0], 1));
	ring_pair_flush(&b->rings[0]);
	worker_rig_await(&c.to_fd->frames, 1);
	close_fd(&b->ports[0].outside);
	worker_rig_await(&c.to_vq->drops[LANE_DROP_OTHER], 1);
	assert_no_failure(b);
	worker_rig_stop(b, 0);
	assert_int_equal(c.to_vq->drops[LANE_DROP_OTHER], 1);
}

/* io_uring itself is gone, whatever the fd can do: there is no way to go on. */
static void io_broken_uring(void **state)
{
	struct worker_rig *b = *state;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), ring, error;

	assert_true(null >= 0 && uring_rig_fd() < 0);
	worker_rig_open(b);
	worker_rig_start(b, 0);
	while ((ring = uring_rig_fd()) >= 0)
		assert_int_equal(dup2(null, ring), ring);
	assert_true(fake_kport_put(&b->ports[0], 1, false));
	await_failure(b);
	error = worker_take_failure(b->w).fd_error;
	assert_true(error < 0 && error != -EBADFD);
	worker_rig_stop(b, 0);
	assert_no_failure(b);
	close(null);
}

/* A ring whose notifications cannot be had would sleep for ever. */
static void unwatchable_ring(void **state)
{
	struct worker_rig *b = *state;
	unsigned int i;

	worker_rig_open(b);
	worker_rig_reflect(b, 0);
	for (i = 0; i < 2; i++) {
		struct vq *vq = b->rings[0].driver[i];
		int fd = vq->notified_fd;

		vq->notified_fd = -1;
		worker_rig_start(b, 0);
		assert_failure(b, NULL, -EBADF);
		worker_rig_stop(b, 0);
		vq->notified_fd = fd;
		worker_rig_start(b, 0);
		worker_rig_round_trips(b, 0, 0, 50);
		worker_rig_stop(b, 0);
	}
}

static void open_fails(void **state)
{
	struct worker_rig *b = *state;
	int io_error, fd = b->fds[1];

	b->config.io = WORKER_IO_URING;
	b->ports[0].kport.vectored = false;
	assert_int_equal(worker_open(&b->w, &b->config, &io_error), -EOPNOTSUPP);
	assert_null(b->w);
	b->config.io = WORKER_IO_AUTO;
	assert_int_equal(worker_open(&b->w, &b->config, &io_error), 0);
	assert_int_equal(io_error, -EOPNOTSUPP);
	assert_string_equal(worker_io_name(b->w), "plain");
	worker_rig_close(b);
	b->config.cpu = 1023;
	assert_int_equal(worker_open(&b->w, &b->config, &io_error), -EINVAL);
	assert_null(b->w);
	b->config.cpu = -1;
	b->fds[1] = -1;
	assert_int_equal(worker_open(&b->w, &b->config, &io_error), -EBADF);
	assert_null(b->w);
	b->fds[1] = fd;
	worker_close(NULL);
	worker_rig_open(b); /* and closes it without a start */
}

int main(void)
{
	static const struct CMUnitTest plain[] = {
		WORKER_RIG_PLAIN(broken_ring),	    WORKER_RIG_PLAIN(broken_amid_traffic),
		WORKER_RIG_PLAIN(two_failures),	    WORKER_RIG_PLAIN(fd_error_plain),
		WORKER_RIG_PLAIN(unwatchable_ring), WORKER_RIG_TEST(open_fails),
		WORKER_RIG_PLAIN(all_reads_fail),
	};
	static const struct CMUnitTest uring[] = {
		WORKER_RIG_URING(broken_ring),	WORKER_RIG_URING(broken_amid_traffic),
		WORKER_RIG_URING(two_failures), WORKER_RIG_URING(fd_error_uring),
		WORKER_RIG_URING(io_broken_uring),
	};
	int r = cmocka_run_group_tests(plain, NULL, NULL);

	if (!r)
		r = rig_uring_unavailable();
	return r ? r : cmocka_run_group_tests(uring, NULL, NULL);
}
