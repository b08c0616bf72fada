/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lane from the ring to the kernel. */
#include "base/util.h"
#include "engine/lane.h"

/* Takes a batch; the frames are complete, their iovecs stand one after the other. */
static unsigned int take(struct lane *lane, int *error)
{
	struct iovec *iov = lane->iovs;
	struct iovec *last = lane->iovs + LANE_IOVS - FRAME_IOV_MAX;
	unsigned int n = 0;

	*error = 0;
	while (n < IO_BATCH && iov <= last) {
		struct frame *f = &lane->frames[n];
		int r;

		frame_init(f, iov, FRAME_IOV_MAX, lane->hdr_len);
		r = vq_take(lane->vq, 0, f);
		if (r <= 0) {
			*error = r;
			break;
		}
		iov += f->iovcnt;
		n++;
	}
	return n;
}

/* What was not tried goes back into the ring, newest first. */
static void untake(struct lane *lane, unsigned int from, unsigned int to)
{
	while (to > from)
		vq_untake(lane->vq, lane->frames[--to].span);
}

int vq_to_fd_run(struct lane *lane)
{
	int errors[IO_BATCH];
	unsigned int i, tried, taken;
	uint64_t bytes = 0, frames = 0;
	int error;

	taken = take(lane, &error);
	if (taken == 0)
		return error;
	tried = lane->io->ops->send(lane->io, lane->frames, taken, errors);
	untake(lane, tried, taken);
	for (i = 0; i < tried; i++) {
		const struct frame *f = &lane->frames[i];

		if (likely(errors[i] == 0)) {
			frames++;
			bytes += f->len;
		} else {
			lane_count_drop(lane, errors[i]);
		}
		vq_give(lane->vq, f->span, 0, NULL);
	}
	vq_flush(lane->vq);
	count_add(&lane->counters.frames, frames);
	count_add(&lane->counters.bytes, bytes);
	count_set(&lane->counters.kicks, lane->kicks_before + lane->vq->counters.kicks);
	return (int)tried;
}
