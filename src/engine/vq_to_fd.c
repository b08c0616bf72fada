/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lane from the ring to the kernel. */
#include <errno.h>

#include "base/barrier.h"
#include "base/util.h"
#include "engine/lane.h"

/* What is given back is not flushed yet, so the peer has no more to keep us here. */
void vq_to_fd_drain(struct lane *lane)
{
	unsigned int taken, i;
	int error;

	do {
		taken = lane_take(lane, 0, IO_BATCH, 0, &error);
		for (i = 0; i < taken; i++)
			vq_give(lane->vq, lane->frames[i].span, 0, NULL);
		count_add(&lane->counters.drops[LANE_DROP_STALE], taken);
	} while (taken > 0);
}

/* ---- units: frames, or superframes made of several ---- */

static unsigned int members_of(const struct lane *lane, unsigned int unit)
{
	return lane->merge ? merge_members(lane->merge, unit) : 1;
}

/* Gives back all members of a unit. */
static void release(struct lane *lane, unsigned int unit)
{
	const uint16_t *next;
	uint16_t place;

	if (!lane->merge) {
		vq_give(lane->vq, lane->frames[unit].span, 0, NULL);
		return;
	}
	next = merge_next(lane->merge);
	for (place = merge_first(lane->merge, unit); place != MERGE_END; place = next[place])
		vq_give(lane->vq, lane->frames[place].span, 0, NULL);
}

static void count_sent(struct lane *lane, const struct frame *f)
{
	count_add(&lane->counters.frames, 1);
	count_add(&lane->counters.bytes, f->len);
}

/* Writes the members of a superframe, each by itself. */
static void send_singly(struct lane *lane, unsigned int unit)
{
	const uint16_t *next = merge_next(lane->merge);
	uint16_t place;

	for (place = merge_first(lane->merge, unit); place != MERGE_END; place = next[place]) {
		struct frame *f = &lane->frames[place];
		int error = 0, tried = lane->io->ops->send(lane->io, f, 1, &error);

		if (tried == 1 && !error)
			count_sent(lane, f);
		else
			lane_count_drop(lane, tried == 1 ? error : EAGAIN);
	}
}

static void count_superframe(struct lane *lane, unsigned int unit)
{
	unsigned int members = members_of(lane, unit);

	count_add(&lane->counters.superframes, 1);
	count_add(&lane->counters.segments, members);
	count_add(&lane->counters.frames, members);
	count_add(&lane->counters.bytes, merge_bytes(lane->merge, unit));
}

/*
 * The kernel does not take superframes of that form, as it did when the program was started:
 * nothing is merged any more. The frames go singly, unless units behind them have gone
 * already, which may be of the same flow. What is left of the batch is written unit by unit.
 */
static void refused(struct lane *lane, unsigned int unit, int error, bool last)
{
	count_add(&lane->counters.refusals, 1);
	lane->next_merge = NULL;
	lane->refused = true;
	if (last)
		send_singly(lane, unit);
	else
		lane_count_drops(lane, error, members_of(lane, unit));
}

/* The kernel said @error, or 0, of a unit, the last of those that were written or not. */
static void settle(struct lane *lane, unsigned int unit, int error, bool last)
{
	bool single = members_of(lane, unit) == 1;

	if (unlikely(!single && (error == EINVAL || error == EMSGSIZE)))
		refused(lane, unit, error, last);
	else if (unlikely(error))
		lane_count_drops(lane, error, members_of(lane, unit));
	else if (single)
		count_sent(lane, &lane->units[unit]);
	else
		count_superframe(lane, unit);
	release(lane, unit);
}

unsigned int vq_to_fd_stop(struct lane *lane)
{
	unsigned int frames = 0;

	for (; lane->sent < lane->nunits; lane->sent++) {
		frames += members_of(lane, lane->sent);
		release(lane, lane->sent);
	}
	return frames;
}

/* ---- a run ---- */

/*
 * Under load a batch that is too small makes small superframes, which take longer, and the
 * backend, whose buffers they are, waits meanwhile. So while batches are large and worth
 * merging, the next one is given a moment to become one.
 */
#define GATHER_FRAMES 128u
#define GATHER_NS     10000u
#define GATHER_BUSY   32u

/*
 * How many frames a batch has at most follows what merging makes of them: of few flows a small
 * one is enough, and stays in the processor's cache; of many a large one has more packets each,
 * if the backend keeps the ring full. Where not even that helps, a small one will do for long.
 */
#define BATCH_PAUSE 256u /* batches */

static unsigned int gather(struct lane *lane, unsigned int have, int *error)
{
	const uint64_t end = now_ns() + GATHER_NS;

	do {
		cpu_relax();
		have = lane_take(lane, have, LANE_MERGE_LEAST, 0, error);
	} while (have < GATHER_FRAMES && !*error && now_ns() < end);
	return have;
}

/* @n frames have become lane->nunits units. */
static void follow_merging(struct lane *lane, unsigned int n)
{
	const unsigned int units = lane->nunits;

	if (lane->batch_pause) {
		lane->batch_pause--;
	} else if (n == MERGE_BATCH && units > n / 8 * 7) {
		lane->batch = LANE_MERGE_LEAST;
		lane->batch_pause = BATCH_PAUSE;
	} else if (n == lane->batch && units > n / 3) {
		lane->batch = MIN(2 * n, MERGE_BATCH);
	} else if (units <= n / 8) {
		lane->batch = LANE_MERGE_LEAST;
	}
}

/*
 * How many buffers the backend is offered follows how long we leave the ring alone. Few are
 * enough, and stay in the cache, for one who comes back soon; but whoever often has to wait for
 * a processor, or has to do with large batches for as long, and then finds many of them filled,
 * would have needed more.
 */
#define ABSENCE_NS     500000u
#define ABSENCE_PERIOD 250000000u
#define ABSENCE_OFTEN  5u /* in a period */
#define ABSENCE_SELDOM 1u

/* @n frames were taken. */
static void follow_absence(struct lane *lane, unsigned int n)
{
	struct vq *vq = lane->vq;
	uint64_t now = now_ns();

	if (now - lane->took_ns >= ABSENCE_NS && MAX(n, vq->waiting) > VQ_OFFERED_LEAST / 2) {
		lane->absences++;
		vq->waiting = 0; /* counted once, for all batches of a look */
	}
	lane->took_ns = now;
	if (now - lane->period_ns < ABSENCE_PERIOD)
		return;
	if (lane->absences >= ABSENCE_OFTEN)
		vq->offered = vq->capacity;
	else if (lane->absences <= ABSENCE_SELDOM)
		vq->offered = (uint16_t)MIN(vq->capacity, VQ_OFFERED_LEAST);
	lane->absences = 0;
	lane->period_ns = now;
}

/* Takes a batch of frames and makes units of them. */
static int take(struct lane *lane)
{
	unsigned int want = lane->next_merge ? lane->batch : IO_BATCH, n;
	int error;

	lane->merge = lane->next_merge;
	lane->sent = 0;
	lane->units = lane->frames;
	n = lane_take(lane, 0, want, 0, &error);
	if (n && n < GATHER_FRAMES && lane->gathers && !error)
		n = gather(lane, n, &error);
	if (n)
		follow_absence(lane, n);
	lane_capture(lane, lane->frames, n);
	lane->nunits = n;
	if (n && lane->merge)
		lane->nunits = merge_batch(lane->merge, lane->frames, n, &lane->units);
	lane->gathers = n >= GATHER_BUSY && lane->nunits <= n / 2;
	if (n && lane->merge)
		follow_merging(lane, n);
	return n ? 0 : error;
}

/* Calls a run, so that the other direction does not wait for all of a large batch. */
#define RUN_CALLS 4u

int vq_to_fd_run(struct lane *lane)
{
	int errors[IO_BATCH];
	int error = 0, tried, i, moved = 0;
	unsigned int calls;

	lane->blocked = false;
	if (lane->sent == lane->nunits)
		error = take(lane);
	for (calls = 0; calls < RUN_CALLS && lane->sent < lane->nunits && !lane->blocked; calls++) {
		bool refusing = lane->merge && !lane->next_merge;
		unsigned int n = refusing ? 1 : MIN(lane->nunits - lane->sent, IO_BATCH);

		tried = lane->io->ops->send(lane->io, lane->units + lane->sent, n, errors);
		lane->blocked = tried < (int)n;
		if (unlikely(tried < 0))
			return tried;
		for (i = 0; i < tried; i++)
			settle(lane, lane->sent + (unsigned int)i, errors[i], i == tried - 1);
		lane->sent += (unsigned int)tried;
		if (tried > 0)
			lane_flush(lane);
		moved += tried;
	}
	return moved ? moved : error;
}
