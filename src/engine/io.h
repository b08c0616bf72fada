/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How batches of frames pass the kernel's file descriptor. Two ways: one system call
 * a frame (io_plain.c, works everywhere) and one a batch (uring.c).
 *
 * Both are synchronous: when a call returns, the kernel holds none of its frames any
 * more. So stopping a lane needs nothing but to stop calling.
 */
#ifndef ENGINE_IO_H
#define ENGINE_IO_H

#include <vubridge/kport.h>

/* Frames passed at most in one call. */
#define IO_BATCH 64u

struct io;

struct io_ops {
	/*
	 * Writes frames[0..n) in order and puts 0 or an errno into errors[0..n). Returns
	 * how many were tried: fewer than @n when the kernel cannot take more now; the fd is
	 * ready for EPOLLOUT when it can. Or io->broken.
	 */
	int (*send)(struct io *io, struct frame *frames, unsigned int n, int *errors);
	/*
	 * Reads up to @n frames into their room, which is FRAME_LEN_MAX of each. Returns how
	 * many came: they are the first ones, with hdr and len set; less than @n means that
	 * the fd was found empty, or that a read failed: then the next call returns its
	 * -errno, at once. Or -EBADFD when the fd is of no use any more, or io->broken.
	 */
	int (*receive)(struct io *io, struct frame *frames, unsigned int n);
	void (*close)(struct io *io);
};

struct io {
	const struct io_ops *ops;
	const char *name; /* "plain" or "uring" */
	int broken; /* 0, or -errno since this way to pass frames failed, whatever the fd does */
};

/* Both serve queue pair @pair of @kp, for one thread: the one that opens. 0 or -errno. */
int io_plain_open(struct io **out, struct kport *kp, unsigned int pair);
/* -EOPNOTSUPP where the port's frames do not pass by readv and writev. */
int uring_open(struct io **out, struct kport *kp, unsigned int pair);

static inline void io_close(struct io *io)
{
	if (io)
		io->ops->close(io);
}

#endif
