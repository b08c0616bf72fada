/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/lane.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/util.h"

void lane_start(struct lane *lane, struct vq *vq, struct io *io, uint8_t hdr_len)
{
	lane->vq = vq;
	lane->io = io;
	lane->hdr_len = hdr_len;
	lane->reads = 1;
	lane->starved = false;
	lane->blocked = false;
	lane->failures = 0;
	lane->nunits = lane->sent = 0;
	lane->gathers = false;
	lane->batch = LANE_MERGE_LEAST;
	lane->batch_pause = 0;
	lane->absences = 0;
	lane->took_ns = lane->period_ns = now_ns();
	/* a ring that comes back has kicks that were counted already */
	lane->kicks_before = lane->counters.kicks - vq->counters.kicks;
}

/* Plain frames behind the @n there are, with iovecs from *iov on and before @last. */
static unsigned int add_plain(struct lane *lane, unsigned int n, unsigned int want,
			      struct iovec **iov, const struct iovec *last)
{
	unsigned int room = MIN(want - n, (unsigned int)(last - *iov) / 2), taken;

	taken = vq_take_plain(lane->vq, lane->frames + n, room, *iov, lane->hdr_len);
	*iov += (size_t)taken * 2;
	return n + taken;
}

unsigned int lane_take(struct lane *lane, unsigned int have, unsigned int want, uint32_t min_bytes,
		       int *error)
{
	struct iovec *last = lane->iovs + LANE_IOVS - FRAME_IOV_MAX;
	struct iovec *iov = lane->iovs;
	unsigned int n = have;

	*error = 0;
	if (n)
		iov = lane->frames[n - 1].iov + lane->frames[n - 1].iovcnt;
	while (n < want && iov <= last) {
		struct frame *f;
		int r;

		n = add_plain(lane, n, want, &iov, last);
		if (n == want)
			break;
		f = &lane->frames[n];
		frame_init(f, iov, FRAME_IOV_MAX, lane->hdr_len);
		r = vq_take(lane->vq, min_bytes, f);
		if (r <= 0) {
			*error = r;
			break;
		}
		iov += f->iovcnt;
		n++;
	}
	return n;
}

void lane_fill(const struct frame *f, const uint8_t *packet, uint32_t len)
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

void lane_untake(struct lane *lane, unsigned int from, unsigned int to)
{
	while (to > from)
		vq_untake(lane->vq, lane->frames[--to].span);
}

void lane_flush(struct lane *lane)
{
	vq_flush(lane->vq);
	count_set(&lane->counters.kicks, lane->kicks_before + lane->vq->counters.kicks);
}

void lane_stop(struct lane *lane)
{
	unsigned int held =
		lane->vq->direction == VQ_CONTENT ? vq_to_fd_stop(lane) : fd_to_vq_stop(lane);

	count_add(&lane->counters.drops[LANE_DROP_STOPPED], held);
	assert(vq_quiesce(lane->vq) == 0);
	lane->vq = NULL;
}

void lane_count_drops(struct lane *lane, int error, unsigned int n)
{
	enum lane_drop reason = LANE_DROP_OTHER;

	if (error == EINVAL)
		reason = LANE_DROP_REFUSED;
	else if (error == EIO)
		reason = LANE_DROP_IFACE_DOWN;
	else if (error == ENOMEM || error == ENOBUFS || error == EAGAIN)
		reason = LANE_DROP_NO_MEMORY;
	count_add(&lane->counters.drops[reason], n);
}
