/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "engine/io.h"

struct io_plain {
	struct io io;
	struct kport *kp;
	unsigned int pair;
};

static int send_frames(struct io *io, struct frame *frames, unsigned int n, int *errors)
{
	struct io_plain *p = container_of(io, struct io_plain, io);
	unsigned int done = 0;

	while (done < n) {
		int r = kport_send(p->kp, p->pair, frames + done, n - done);

		if (r == -EAGAIN)
			break;
		if (r <= 0) {
			errors[done++] = -r;
			continue;
		}
		for (; r > 0; r--)
			errors[done++] = 0;
	}
	return (int)done;
}

static int receive_frames(struct io *io, struct frame *frames, unsigned int n)
{
	struct io_plain *p = container_of(io, struct io_plain, io);

	return kport_receive(p->kp, p->pair, frames, n);
}

static void close_plain(struct io *io)
{
	free(container_of(io, struct io_plain, io));
}

static const struct io_ops ops = {
	.send = send_frames,
	.receive = receive_frames,
	.close = close_plain,
};

int io_plain_open(struct io **out, struct kport *kp, unsigned int pair)
{
	struct io_plain *p = alloc_lines(sizeof(*p));

	*out = NULL;
	if (!p)
		return -ENOMEM;
	p->io.ops = &ops;
	p->io.name = "plain";
	p->kp = kp;
	p->pair = pair;
	*out = &p->io;
	return 0;
}
