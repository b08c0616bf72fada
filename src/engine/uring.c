/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * io_uring serves here as a way to make many system calls in one. A TAP's read and
 * write finish while they are submitted, so every submission waits for all of its
 * completions: nothing is left in the kernel between two calls, and the order of
 * frames is the order of submission.
 *
 * All carry RWF_NOWAIT: without it a read of an empty TAP, or a write to a full one,
 * would stay armed, O_NONBLOCK or not, and the submission would wait for it. Kernels
 * whose TAP does not know it (before 6.4 or so) are read by plain readv through the
 * port, which is found out when the ring is opened. There a write that stays armed is
 * cancelled, which is as good as EAGAIN.
 *
 * A batch does not end at its first EAGAIN, as a loop of readv would: a frame may come,
 * or room may, while the rest is under way. A gap among the reads is closed by copying.
 * A frame refused before one that went counts as lost: it cannot go behind it.
 */
#include <errno.h>
#include <limits.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "engine/io.h"

struct uring {
	struct io io;
	struct kport *kp;
	unsigned int pair;
	struct io_uring ring;
	int rw_flags;	     /* RWF_NOWAIT, or 0 where the fd does not know it */
	unsigned int failed; /* reads that failed and were not told yet, all with error */
	int error;
	int results[IO_BATCH];
};

static void prepare(struct io_uring_sqe *sqe, unsigned int i)
{
	io_uring_sqe_set_data64(sqe, i);
	sqe->flags |= IOSQE_FIXED_FILE;
}

/* The result of an entry that the kernel still has. */
#define PENDING INT_MIN

/* Submits what is prepared and collects results until @n have come in all. */
static int collect(struct uring *u, unsigned int n)
{
	unsigned int reaped = 0;
	int r;

	do {
		struct io_uring_cqe *cqe;
		unsigned int head, seen = 0;

		r = io_uring_submit_and_wait(&u->ring, n > reaped ? n - reaped : 0);
		if (r < 0 && r != -EINTR && r != -EAGAIN && r != -EBUSY) {
			u->io.broken = r;
			return r;
		}
		io_uring_for_each_cqe(&u->ring, head, cqe)
		{
			if (cqe->user_data < IO_BATCH)
				u->results[cqe->user_data] = cqe->res;
			seen++;
		}
		io_uring_cq_advance(&u->ring, seen);
		reaped += seen;
	} while (reaped < n || io_uring_sq_ready(&u->ring));
	return 0;
}

/* Cancels those of @n entries that the kernel still has, and collects them. */
static int cancel_pending(struct uring *u, unsigned int n)
{
	unsigned int i, pending = 0;
	int r;

	for (i = 0; i < n; i++) {
		struct io_uring_sqe *sqe;

		if (likely(u->results[i] != PENDING))
			continue;
		sqe = io_uring_get_sqe(&u->ring);
		io_uring_prep_cancel64(sqe, i, 0);
		io_uring_sqe_set_data64(sqe, IO_BATCH);
		pending++;
	}
	r = pending ? collect(u, 2 * pending) : 0; /* each with its cancellation */
	for (i = 0; i < n; i++)
		if (u->results[i] == -ECANCELED)
			u->results[i] = -EAGAIN;
	return r;
}

/* Submits @n prepared entries and collects all their results. */
static int submit(struct uring *u, unsigned int n)
{
	unsigned int i;
	int r;

	if (likely(u->rw_flags & RWF_NOWAIT))
		return collect(u, n);
	for (i = 0; i < n; i++)
		u->results[i] = PENDING;
	r = collect(u, 0);
	return r ? r : cancel_pending(u, n);
}

static int send_frames(struct io *io, struct frame *frames, unsigned int n, int *errors)
{
	struct uring *u = container_of(io, struct uring, io);
	unsigned int i;
	int r;

	for (i = 0; i < n && !u->io.broken; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

		io_uring_prep_writev2(sqe, 0, frames[i].iov, frames[i].iovcnt, 0, u->rw_flags);
		prepare(sqe, i);
	}
	r = u->io.broken ? u->io.broken : submit(u, n);
	if (r)
		return r;
	while (n > 0 && u->results[n - 1] == -EAGAIN)
		n--;
	for (i = 0; i < n; i++)
		errors[i] = u->results[i] < 0 ? -u->results[i] : 0;
	return (int)n;
}

/* Copies a frame of @len bytes to a place that was left empty. */
static void move_frame(struct frame *to, const struct frame *from, size_t len)
{
	const struct iovec *in = from->iov + 1;
	const struct iovec *out = to->iov + 1;
	size_t in_at = 0, out_at = 0;

	to->hdr = from->hdr;
	while (len > 0) {
		size_t n = MIN(in->iov_len - in_at, out->iov_len - out_at);

		n = MIN(n, len);
		memcpy((char *)out->iov_base + out_at, (const char *)in->iov_base + in_at, n);
		len -= n;
		in_at += n;
		out_at += n;
		if (in_at == in->iov_len) {
			in++;
			in_at = 0;
		}
		if (out_at == out->iov_len) {
			out++;
			out_at = 0;
		}
	}
}

/* frames[i] was filled by a read of @res bytes; it becomes number @to of those that came. */
static void came_in(const struct uring *u, struct frame *frames, unsigned int i, unsigned int to,
		    int res)
{
	uint32_t len = (uint32_t)res - u->kp->hdr_len;

	if (unlikely(i != to))
		move_frame(&frames[to], &frames[i], len);
	frames[to].len = len;
	frames[to].hdr.num_buffers = 0; /* kernels up to 6.12 leave it unwritten */
}

/* -errno of a read that failed, each once; 0 when all are told. */
static int next_failure(struct uring *u)
{
	if (likely(!u->failed))
		return 0;
	u->failed--;
	return u->error;
}

static int receive_frames(struct io *io, struct frame *frames, unsigned int n)
{
	struct uring *u = container_of(io, struct uring, io);
	unsigned int i, came = 0;
	int r = next_failure(u);

	if (unlikely(r))
		return r;
	for (i = 0; i < n && !u->io.broken; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

		io_uring_prep_readv2(sqe, 0, frames[i].iov, frames[i].iovcnt, 0, u->rw_flags);
		prepare(sqe, i);
	}
	r = u->io.broken ? u->io.broken : submit(u, n);
	if (r)
		return r;
	for (i = 0; i < n; i++) {
		int res = u->results[i];

		if (res > u->kp->hdr_len) {
			came_in(u, frames, i, came++, res);
		} else if (unlikely(res < 0 && res != -EAGAIN)) {
			u->error = res;
			u->failed++;
		}
	}
	return came ? (int)came : next_failure(u);
}

/* Kernels without RWF_NOWAIT on a TAP: one readv a frame. */
static int receive_plainly(struct io *io, struct frame *frames, unsigned int n)
{
	struct uring *u = container_of(io, struct uring, io);

	return u->io.broken ? u->io.broken : kport_receive(u->kp, u->pair, frames, n);
}

static void close_uring(struct io *io)
{
	struct uring *u = container_of(io, struct uring, io);

	/* the ring itself is torn down later; until then the interface would stay in use */
	io_uring_unregister_files(&u->ring);
	io_uring_queue_exit(&u->ring);
	free(u);
}

static const struct io_ops ops = {
	.send = send_frames,
	.receive = receive_frames,
	.close = close_uring,
};

static const struct io_ops ops_without_nowait = {
	.send = send_frames,
	.receive = receive_plainly,
	.close = close_uring,
};

/* The port carries no frame yet (its carrier is off), so a read finds nothing to lose. */
static bool reads_without_waiting(struct uring *u)
{
	struct virtio_net_hdr_v1 hdr;
	struct iovec iov = {.iov_base = &hdr, .iov_len = sizeof(hdr)};
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	io_uring_prep_readv2(sqe, 0, &iov, 1, 0, RWF_NOWAIT);
	prepare(sqe, 0);
	return submit(u, 1) == 0 && (u->results[0] >= 0 || u->results[0] == -EAGAIN);
}

/* The newest set-up first: completions run when this thread asks, and only then. */
static int set_up(struct io_uring *ring)
{
	static const unsigned int flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		0,
	};
	int r = -EINVAL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags) && r == -EINVAL; i++)
		r = io_uring_queue_init(IO_BATCH, ring, flags[i] | IORING_SETUP_R_DISABLED);
	return r;
}

/*
 * A filter of system calls does not see what a ring is asked to do, and it could open and
 * connect whatever it likes: so it is bound to what is done here, for good.
 */
static int restrict_ring(struct io_uring *ring)
{
	struct io_uring_restriction allowed[] = {
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READV},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITEV},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_ASYNC_CANCEL},
		{.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_FIXED_FILE},
		{.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_UNREGISTER_FILES},
	};
	/* liburing 2.3 does not export its functions for these */
	unsigned int fd = (unsigned int)ring->ring_fd;
	int r = io_uring_register(fd, IORING_REGISTER_RESTRICTIONS, allowed, ARRAY_SIZE(allowed));

	return r ? r : io_uring_register(fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

int uring_open(struct io **out, struct kport *kp, unsigned int pair)
{
	struct uring *u;
	int r;

	*out = NULL;
	if (!kp->vectored)
		return -EOPNOTSUPP;
	u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->io.name = "uring";
	u->kp = kp;
	u->pair = pair;
	r = set_up(&u->ring);
	if (r) {
		free(u);
		return r;
	}
	r = io_uring_register_files(&u->ring, &kp->fds[pair], 1);
	if (!r)
		r = restrict_ring(&u->ring);
	if (r) {
		close_uring(&u->io);
		return r;
	}
	if (reads_without_waiting(u))
		u->rw_flags = RWF_NOWAIT;
	u->io.ops = u->rw_flags ? &ops : &ops_without_nowait;
	*out = &u->io;
	return 0;
}
