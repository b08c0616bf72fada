/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lane from the kernel to the ring. */
#include <errno.h>

#include "base/util.h"
#include "engine/lane.h"

/* Takes room for up to @want frames of any length. */
static unsigned int take(struct lane *lane, unsigned int want, int *error)
{
	struct iovec *iov = lane->iovs;
	struct iovec *last = lane->iovs + LANE_IOVS - FRAME_IOV_MAX;
	unsigned int n = 0;

	*error = 0;
	while (n < want && iov <= last) {
		struct frame *f = &lane->frames[n];
		int r;

		frame_init(f, iov, FRAME_IOV_MAX, lane->hdr_len);
		r = vq_take(lane->vq, FRAME_LEN_MAX, f);
		if (r <= 0) {
			*error = r;
			break;
		}
		iov += f->iovcnt;
		n++;
	}
	return n;
}

/* Room that nothing came for goes back, newest first. */
static void untake_empty(struct lane *lane, unsigned int n)
{
	while (n-- > 0)
		if (lane->frames[n].len == 0)
			vq_untake(lane->vq, lane->frames[n].span);
}

/* Asks for twice of what came when all of it came, and slowly for less otherwise. */
static void follow_traffic(struct lane *lane, unsigned int asked, unsigned int came)
{
	if (came == asked)
		lane->reads = MIN(asked * 2, IO_BATCH);
	else
		lane->reads = MAX((lane->reads + came) / 2, 1u);
}

int fd_to_vq_run(struct lane *lane)
{
	uint64_t bytes = 0;
	unsigned int i, taken;
	int came, error;

	taken = take(lane, lane->reads, &error);
	lane->starved = taken == 0;
	if (taken == 0)
		return error;
	came = lane->io->ops->receive(lane->io, lane->frames, taken);
	follow_traffic(lane, taken, came > 0 ? (unsigned int)came : 0);
	untake_empty(lane, taken);
	if (came <= 0)
		return came;
	for (i = 0; i < taken; i++) {
		const struct frame *f = &lane->frames[i];

		if (f->len == 0)
			continue;
		bytes += f->len;
		vq_give(lane->vq, f->span, f->len, &f->hdr);
	}
	vq_flush(lane->vq);
	count_add(&lane->counters.frames, (uint64_t)came);
	count_add(&lane->counters.bytes, bytes);
	count_set(&lane->counters.kicks, lane->kicks_before + lane->vq->counters.kicks);
	return came;
}

void fd_to_vq_drain(struct lane *lane)
{
	int error, came = 0;

	do {
		unsigned int taken = take(lane, IO_BATCH, &error);
		unsigned int i;

		if (taken == 0)
			return;
		came = lane->io->ops->receive(lane->io, lane->frames, taken);
		for (i = taken; i-- > 0;)
			vq_untake(lane->vq, lane->frames[i].span);
		if (came > 0)
			count_add(&lane->counters.drops[LANE_DROP_STALE], (uint64_t)came);
	} while (came == (int)IO_BATCH);
}
