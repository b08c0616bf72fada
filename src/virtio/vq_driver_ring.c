/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio/vq_driver_ring.h"

#include <unistd.h>

int vq_driver_broken(struct vq_driver *d, int error, const char *why, uint32_t value)
{
	if (!d->vq.broken) {
		d->vq.why = why;
		d->vq.why_value = value;
		d->vq.broken = error;
	}
	return d->vq.broken;
}

static bool peer_wants_kick(const struct vq_driver *d, uint16_t old)
{
	const struct ring *r = &d->ring;

	if (r->event_idx)
		return vring_need_event(ring16(r, load_once16(ring_avail_event(r))), d->avail_idx,
					old);
	return !(ring16(r, load_once16(&r->vr.used->flags)) & VRING_USED_F_NO_NOTIFY);
}

void vq_driver_flush(struct vq *vq)
{
	struct vq_driver *d = to_driver(vq);
	const uint64_t one = 1;
	uint16_t old = d->avail_flushed;

	d->reclaimed = false;
	if (d->avail_idx == old)
		return;
	store_release16(&d->ring.vr.avail->idx, ring16(&d->ring, d->avail_idx)); /* A */
	d->avail_flushed = d->avail_idx;
	full_barrier(); /* C */
	if (!peer_wants_kick(d, old)) {
		count_add(&vq->counters.suppressed, 1);
		return;
	}
	/* EAGAIN: the counter is full, so the peer is being woken as it is */
	if (write(vq->notify_fd, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN)
		count_add(&vq->counters.kicks, 1);
}

int vq_driver_quiesce(struct vq *vq)
{
	return to_driver(vq)->taken;
}
