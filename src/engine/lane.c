/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/lane.h"

#include <errno.h>

#include "base/util.h"

void lane_start(struct lane *lane, struct vq *vq, struct io *io, uint8_t hdr_len)
{
	lane->vq = vq;
	lane->io = io;
	lane->hdr_len = hdr_len;
	lane->reads = 1;
	lane->starved = false;
	lane->blocked = false;
	/* a ring that comes back has kicks that were counted already */
	lane->kicks_before = lane->counters.kicks - vq->counters.kicks;
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

void lane_count_drop(struct lane *lane, int error)
{
	enum lane_drop reason = LANE_DROP_OTHER;

	if (error == EINVAL)
		reason = LANE_DROP_REFUSED;
	else if (error == EIO)
		reason = LANE_DROP_IFACE_DOWN;
	else if (error == ENOMEM || error == ENOBUFS || error == EAGAIN)
		reason = LANE_DROP_NO_MEMORY;
	count_add(&lane->counters.drops[reason], 1);
}
