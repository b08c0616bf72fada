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

/* What is given back is not flushed yet, so the peer cannot keep us here. */
void vq_to_fd_drain(struct lane *lane)
{
	unsigned int taken, i;
	int error;

	do {
		taken = take(lane, &error);
		for (i = 0; i < taken; i++)
			vq_give(lane->vq, lane->frames[i].span, 0, NULL);
		count_add(&lane->counters.drops[LANE_DROP_STALE], taken);
	} while (taken > 0);
}

int vq_to_fd_run(struct lane *lane)
{
	int errors[IO_BATCH];
	uint64_t bytes = 0, frames = 0;
	unsigned int taken;
	int error, tried, i;

	taken = take(lane, &error);
	lane->blocked = false;
	if (taken == 0)
		return error;
	tried = lane->io->ops->send(lane->io, lane->frames, taken, errors);
	lane->blocked = tried < (int)taken;
	/* the next run takes and tries these again, in the same order */
	lane_untake(lane, (unsigned int)MAX(tried, 0), taken);
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
	if (tried > 0)
		lane_flush(lane);
	count_add(&lane->counters.frames, frames);
	count_add(&lane->counters.bytes, bytes);
	return tried;
}
