/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lane from the kernel to the ring. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "engine/fit.h"

void fd_to_vq_follow(struct lane *lane, unsigned int asked, unsigned int came)
{
	if (came == asked)
		lane->reads = MIN(MAX(asked * 2, lane->reads), IO_BATCH);
	else
		lane->reads = MAX((lane->reads + came) / 2, 1u);
}

/* A read that fails cost a frame, as a write does that fails; others may wait behind it. */
int fd_to_vq_failed(struct lane *lane, int error)
{
	if (error == -EBADFD || lane->io->broken)
		return error;
	lane_count_drop(lane, -error);
	lane->failures++;
	lane->failed_ns = now_ns();
	return !lane_pauses(lane);
}

int fd_to_vq_run(struct lane *lane)
{
	uint64_t bytes = 0;
	unsigned int taken;
	int came, error, i;

	if (unlikely(lane_pauses(lane)) &&
	    now_ns() - lane->failed_ns < LANE_PAUSE_MS * UINT64_C(1000000))
		return 0;
	if (lane->fit)
		return fit_run(lane);
	taken = lane_take(lane, 0, lane->reads, FRAME_LEN_MAX, &error);
	lane->starved = taken == 0;
	if (taken == 0)
		return error;
	came = lane->io->ops->receive(lane->io, lane->frames, taken);
	fd_to_vq_follow(lane, taken, (unsigned int)MAX(came, 0));
	lane_untake(lane, (unsigned int)MAX(came, 0), taken);
	if (unlikely(came < 0))
		return fd_to_vq_failed(lane, came);
	lane->failures = 0;
	if (came == 0)
		return 0;
	lane_capture(lane, lane->frames, (unsigned int)came);
	for (i = 0; i < came; i++) {
		const struct frame *f = &lane->frames[i];

		bytes += f->len;
		vq_give(lane->vq, f->span, f->len, &f->hdr);
	}
	lane_flush(lane);
	count_add(&lane->counters.frames, (uint64_t)came);
	count_add(&lane->counters.bytes, bytes);
	return came;
}

unsigned int fd_to_vq_stop(struct lane *lane)
{
	return lane->fit ? fit_stop(lane) : 0;
}

int fd_to_vq_inject(struct lane *lane, const void *packet, uint32_t len)
{
	struct iovec iovs[FRAME_IOV_MAX];
	struct frame frame, *f = &frame;
	int r;

	frame_init(f, iovs, FRAME_IOV_MAX, lane->hdr_len);
	r = vq_take(lane->vq, len, f);
	if (r <= 0)
		return r ? r : -ENOBUFS;
	f->hdr = (struct virtio_net_hdr_v1){0};
	f->len = len;
	lane_fill(f, packet, len);
	lane_capture(lane, f, 1);
	vq_give(lane->vq, f->span, len, &f->hdr);
	lane_flush(lane);
	count_add(&lane->counters.frames, 1);
	count_add(&lane->counters.bytes, len);
	return 0;
}

/* Longer than any queue of the kernel: whoever keeps sending must not keep us here. */
#define STALE_MAX 65536u

void fd_to_vq_drain(struct lane *lane)
{
	unsigned int taken, stale = 0;
	int error, came;

	do {
		taken = lane_take(lane, 0, IO_BATCH, FRAME_LEN_MAX, &error);
		if (taken == 0)
			break;
		came = lane->io->ops->receive(lane->io, lane->frames, taken);
		lane_untake(lane, 0, taken);
		stale += (unsigned int)MAX(came, 0);
		/* a small ring has room for less than a batch */
	} while (came == (int)taken && stale < STALE_MAX);
	count_add(&lane->counters.drops[LANE_DROP_STALE], stale);
}
