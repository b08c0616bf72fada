/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * io_uring serves here as a way to make many system calls in one. A TAP's read and
 * write finish while they are submitted, so every submission waits for all of its
 * completions: nothing is left in the kernel between two calls, and the order of
 * frames is the order of submission.
 *
 * Reads carry RWF_NOWAIT: without it a read of an empty TAP would stay armed and
 * take a buffer with it. Kernels whose TAP does not know it (before 6.4 or so) are
 * read by plain readv through the port, which is found out when the ring is opened.
 */
#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/util.h"
#include "engine/io.h"

struct uring {
	struct io io;
	struct kport *kp;
	unsigned int pair;
	struct io_uring ring;
	int dead; /* -errno: io_uring itself failed, nothing more is submitted */
	int results[IO_BATCH];
};

static void prepare(struct io_uring_sqe *sqe, unsigned int i)
{
	io_uring_sqe_set_data64(sqe, i);
	sqe->flags |= IOSQE_FIXED_FILE;
}

/* Submits @n prepared entries and collects all their results. */
static int submit(struct uring *u, unsigned int n)
{
	unsigned int reaped = 0;
	int r;

	while (reaped < n) {
		struct io_uring_cqe *cqe;
		unsigned int head, seen = 0;

		r = io_uring_submit_and_wait(&u->ring, n - reaped);
		if (r < 0 && r != -EINTR && r != -EAGAIN && r != -EBUSY) {
			u->dead = r;
			return r;
		}
		io_uring_for_each_cqe(&u->ring, head, cqe) {
			u->results[cqe->user_data] = cqe->res;
			seen++;
		}
		io_uring_cq_advance(&u->ring, seen);
		reaped += seen;
	}
	return 0;
}

static unsigned int send_frames(struct io *io, struct frame *frames, unsigned int n, int *errors)
{
	struct uring *u = container_of(io, struct uring, io);
	unsigned int i;
	int r;

	for (i = 0; i < n && !u->dead; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

		io_uring_prep_writev(sqe, 0, frames[i].iov, frames[i].iovcnt, 0);
		prepare(sqe, i);
	}
	r = u->dead ? u->dead : submit(u, n);
	for (i = 0; i < n; i++)
		errors[i] = r ? -r : u->results[i] < 0 ? -u->results[i] : 0;
	return n;
}

/* What a read of @res bytes means for the frame that it filled. */
static bool filled(const struct uring *u, struct frame *f, int res)
{
	if (res <= u->kp->hdr_len) {
		f->len = 0;
		return false;
	}
	f->len = (uint32_t)res - u->kp->hdr_len;
	f->hdr.num_buffers = 0; /* kernels up to 6.12 leave it unwritten */
	return true;
}

static int receive_frames(struct io *io, struct frame *frames, unsigned int n)
{
	struct uring *u = container_of(io, struct uring, io);
	unsigned int i;
	int came = 0, error = 0, r;

	for (i = 0; i < n && !u->dead; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

		io_uring_prep_readv2(sqe, 0, frames[i].iov, frames[i].iovcnt, 0, RWF_NOWAIT);
		prepare(sqe, i);
	}
	r = u->dead ? u->dead : submit(u, n);
	for (i = 0; i < n; i++) {
		int res = r ? r : u->results[i];

		if (filled(u, &frames[i], res))
			came++;
		else if (res < 0 && res != -EAGAIN)
			error = res;
	}
	return came ? came : error;
}

/* Kernels without RWF_NOWAIT on a TAP: one readv a frame. */
static int receive_plainly(struct io *io, struct frame *frames, unsigned int n)
{
	struct uring *u = container_of(io, struct uring, io);
	int r = kport_receive(u->kp, u->pair, frames, n);
	unsigned int i;

	for (i = r > 0 ? (unsigned int)r : 0; i < n; i++)
		frames[i].len = 0;
	return r;
}

static void close_uring(struct io *io)
{
	struct uring *u = container_of(io, struct uring, io);

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
	struct iovec iov = { .iov_base = &hdr, .iov_len = sizeof(hdr) };
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
		r = io_uring_queue_init(IO_BATCH, ring, flags[i]);
	return r;
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
	if (r) {
		close_uring(&u->io);
		return r;
	}
	u->io.ops = reads_without_waiting(u) ? &ops : &ops_without_nowait;
	*out = &u->io;
	return 0;
}
