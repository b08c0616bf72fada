/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lane from the kernel to a ring whose peer takes less than the kernel hands out:
 * frames are read into memory of our own, and copied from there into the ring, cut and
 * checksummed as the peer needs them (segment.c).
 *
 * A superframe goes whole or waits: room for its pieces is gathered in frames[0..held) of
 * the lane, over several runs if the ring is full, and is filled when there is enough. One
 * of more pieces than that goes in several parts.
 */
#include "engine/fit.h"

#include <endian.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#include "base/uapi.h"
#include "base/util.h"
#include "engine/segment.h"

#define FIT_FEATURE(name) (UINT64_C(1) << VIRTIO_NET_F_##name)

/* What is read at once of superframes stays in the processor's cache. */
#define FIT_BYTES 262144u

#define FIT_ROOM ALIGN_UP(FRAME_LEN_MAX, (uint32_t)CACHE_LINE)

struct fit {
	uint64_t taken;	   /* HOST_ bits */
	unsigned int came; /* frames that were read */
	unsigned int next; /* of them to go to the ring */
	bool cutting;	   /* the next one is in .segment, perhaps written in part */
	bool whole;	   /* and passes as it is */
	unsigned int held; /* room for it, in the lane's frames */
	struct segment segment;
	struct frame frames[IO_BATCH];
	struct iovec iovs[IO_BATCH][2];
	uint8_t scratch[FIT_ROOM];
	uint8_t room[IO_BATCH][FIT_ROOM];
};

struct fit *fit_open(void)
{
	return aligned_alloc(CACHE_LINE, ALIGN_UP(sizeof(struct fit), (size_t)CACHE_LINE));
}

void fit_close(struct fit *fit)
{
	free(fit);
}

void fit_start(struct fit *fit, uint64_t taken)
{
	fit->taken = taken;
	fit->came = fit->next = fit->held = 0;
	fit->cutting = false;
}

unsigned int fit_stop(struct lane *lane)
{
	struct fit *fit = lane->fit;

	lane_untake(lane, 0, fit->held);
	fit->held = 0;
	return fit->came - fit->next;
}

/* ---- reading ---- */

/* Superframes are read by the few: those that wait are safe in the kernel's queue. */
static unsigned int limit_reads(const struct fit *fit, unsigned int reads)
{
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < fit->came; i++)
		bytes += fit->frames[i].len;
	if (bytes <= FIT_BYTES)
		return reads;
	return (unsigned int)MAX(FIT_BYTES * fit->came / bytes, 1u);
}

static int read_frames(struct lane *lane)
{
	struct fit *fit = lane->fit;
	unsigned int i, n = lane->reads;
	int came;

	fit->next = fit->came = 0;
	for (i = 0; i < n; i++) {
		struct frame *f = &fit->frames[i];

		frame_init(f, fit->iovs[i], 2, lane->hdr_len);
		f->iov[1] = (struct iovec){.iov_base = fit->room[i], .iov_len = FRAME_LEN_MAX};
		f->iovcnt = 2;
	}
	came = lane->io->ops->receive(lane->io, fit->frames, n);
	fd_to_vq_follow(lane, n, (unsigned int)MAX(came, 0));
	if (unlikely(came < 0))
		return fd_to_vq_failed(lane, came);
	lane->failures = 0;
	fit->came = (unsigned int)came;
	lane->reads = limit_reads(fit, lane->reads);
	return came;
}

/* ---- writing ---- */

/* Does the peer take superframes of this kind? */
static bool takes(uint64_t taken, uint8_t gso_type)
{
	if (gso_type & VIRTIO_NET_HDR_GSO_ECN && !(taken & FIT_FEATURE(HOST_ECN)))
		return false;
	switch (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return true;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return taken & FIT_FEATURE(HOST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return taken & FIT_FEATURE(HOST_TSO6);
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return taken & FIT_FEATURE(HOST_USO);
	default:
		return false;
	}
}

/* Begins with the next frame; -EINVAL when it can never go. */
static int begin(struct lane *lane)
{
	struct fit *fit = lane->fit;
	const struct frame *f = &fit->frames[fit->next];
	struct virtio_net_hdr_v1 hdr = f->hdr;
	int r;

	fit->whole = takes(fit->taken, hdr.gso_type);
	if (fit->whole)
		hdr.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	/* who takes superframes has taken CSUM before (5.1.3.1) */
	r = segment_open(&fit->segment, fit->room[fit->next], f->len, &hdr,
			 !(fit->taken & FIT_FEATURE(CSUM)));
	if (r)
		return r;
	fit->cutting = true;
	return 0;
}

/* How many of the pieces that are left go together. Of a ring a peer may keep something. */
static unsigned int part(const struct lane *lane)
{
	const struct segment *s = &lane->fit->segment;
	unsigned int most = MAX(lane->vq->capacity / 2, 1u);

	return MIN(s->pieces - s->next, MIN(most, LANE_BATCH));
}

/* Writes the next piece into @f's room, in however many pieces that lies, and gives it. */
static void give_piece(struct lane *lane, struct frame *f)
{
	struct fit *fit = lane->fit;
	bool one = likely(f->iovcnt == 2);

	f->hdr = fit->frames[fit->next].hdr;
	f->len = segment_write(&fit->segment, one ? f->iov[1].iov_base : fit->scratch, &f->hdr);
	if (!one)
		lane_fill(f, fit->scratch, f->len);
	vq_give(lane->vq, f->span, f->len, &f->hdr);
	count_add(&lane->counters.frames, 1);
	count_add(&lane->counters.bytes, f->len);
}

/* So many pieces of the frame in hand go to the ring. 1, 0: there is no room, or -errno. */
static int put_part(struct lane *lane, unsigned int pieces)
{
	struct fit *fit = lane->fit;
	unsigned int i;
	int error;

	fit->held = lane_take(lane, fit->held, pieces, segment_room(&fit->segment), &error);
	if (fit->held < pieces)
		return error;
	fit->held = 0;
	for (i = 0; i < pieces; i++)
		give_piece(lane, &lane->frames[i]);
	/* given, but the peer does not know of them before the flush */
	lane_capture(lane, lane->frames, pieces);
	return 1;
}

/* The next frame goes to the ring. 1: it is done with, 0: there is no room, or -errno. */
static int put_frame(struct lane *lane)
{
	struct fit *fit = lane->fit;
	unsigned int pieces;
	int r;

	if (!fit->cutting && begin(lane)) {
		count_add(&lane->counters.drops[LANE_DROP_UNFIT], 1);
		return 1;
	}
	while ((pieces = part(lane)) > 0) {
		r = put_part(lane, pieces);
		if (r <= 0)
			return r;
		if (part(lane) > 0) /* the peer has to make room for the rest */
			lane_flush(lane);
	}
	if (fit->segment.pieces > 1) {
		count_add(&lane->counters.superframes, 1);
		count_add(&lane->counters.segments, fit->segment.pieces);
	}
	fit->cutting = false;
	return 1;
}

int fit_run(struct lane *lane)
{
	struct fit *fit = lane->fit;
	int moved = 0, r = 0;

	if (fit->next == fit->came) {
		r = read_frames(lane);
		if (fit->came == 0)
			return r;
	}
	while (fit->next < fit->came) {
		r = put_frame(lane);
		if (r <= 0)
			break;
		fit->next++;
		moved++;
	}
	lane->starved = r == 0;
	if (moved)
		lane_flush(lane);
	return moved ? moved : r;
}
