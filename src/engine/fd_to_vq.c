/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lane from the kernel to the ring. */
#include <errno.h>
#include <string.h>

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

/* Asks for twice of what came when all of it came, and slowly for less otherwise. */
static void follow_traffic(struct lane *lane, unsigned int asked, unsigned int came)
{
	if (came == asked)
		lane->reads = MIN(MAX(asked * 2, lane->reads), IO_BATCH);
	else
		lane->reads = MAX((lane->reads + came) / 2, 1u);
}

/* A read that fails cost a frame, as a write does that fails; others may wait behind it. */
static int read_failed(struct lane *lane, int error)
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
	taken = take(lane, lane->reads, &error);
	lane->starved = taken == 0;
	if (taken == 0)
		return error;
	came = lane->io->ops->receive(lane->io, lane->frames, taken);
	follow_traffic(lane, taken, (unsigned int)MAX(came, 0));
	lane_untake(lane, (unsigned int)MAX(came, 0), taken);
	if (unlikely(came < 0))
		return read_failed(lane, came);
	lane->failures = 0;
	if (came == 0)
		return 0;
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

/* Copies @len bytes to the room that @f describes. */
static void fill(const struct frame *f, const uint8_t *packet, uint32_t len)
{
	const struct iovec *to = f->iov + 1;

	while (len > 0) {
		size_t n = MIN(to->iov_len, (size_t)len);

		memcpy(to->iov_base, packet, n);
		packet += n;
		len -= (uint32_t)n;
		to++;
	}
}

int fd_to_vq_inject(struct lane *lane, const void *packet, uint32_t len)
{
	struct frame *f = &lane->frames[0];
	int r;

	frame_init(f, lane->iovs, FRAME_IOV_MAX, lane->hdr_len);
	r = vq_take(lane->vq, len, f);
	if (r <= 0)
		return r ? r : -ENOBUFS;
	f->hdr = (struct virtio_net_hdr_v1){ 0 };
	fill(f, packet, len);
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
		taken = take(lane, IO_BATCH, &error);
		if (taken == 0)
			break;
		came = lane->io->ops->receive(lane->io, lane->frames, taken);
		lane_untake(lane, 0, taken);
		stale += (unsigned int)MAX(came, 0);
		/* a small ring has room for less than a batch */
	} while (came == (int)taken && stale < STALE_MAX);
	count_add(&lane->counters.drops[LANE_DROP_STALE], stale);
}
