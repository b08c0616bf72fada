/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long a worker with nothing to do goes on looking before it sleeps. Looking is worth it
 * only if work tends to come while it looks: after some pauses in which it looked in vain it
 * sleeps at once, and looks now and then to find out whether that has changed.
 */
#ifndef ENGINE_SPIN_H
#define ENGINE_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#define SPIN_PATIENCE 8u /* pauses in which it looks in vain */
#define SPIN_TRIAL    8u /* of so many that follow it looks in one */

struct spin {
	uint64_t since;	      /* the first look that found nothing; 0: the last one found work */
	unsigned int in_vain; /* pauses in a row */
	unsigned int untried; /* of those in which it did not look, since it last did */
	bool looks, slept;    /* in this pause */
};

static inline void spin_begins(struct spin *s, uint64_t now)
{
	s->since = now;
	s->looks = s->in_vain < SPIN_PATIENCE || ++s->untried >= SPIN_TRIAL;
	if (s->looks)
		s->untried = 0;
	s->slept = false;
}

/*
 * Nothing was found at @now, in nanoseconds. Is it time to sleep, given that @most are to be
 * spent on looking?
 */
static inline bool spin_is_over(struct spin *s, uint64_t now, uint64_t most)
{
	if (!s->since)
		spin_begins(s, now);
	return !s->looks || now - s->since >= most;
}

/* It sleeps, once or more, in this pause. */
static inline void spin_sleeps(struct spin *s)
{
	if (s->looks && !s->slept && s->in_vain < SPIN_PATIENCE)
		s->in_vain++;
	s->slept = true;
}

/* Work was found. */
static inline void spin_ends(struct spin *s)
{
	if (s->looks && !s->slept)
		s->in_vain = 0;
	s->since = 0;
}

#endif
