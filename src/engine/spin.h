/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long a worker with nothing to do goes on looking before it sleeps. Looking is worth it
 * only if work tends to come soon: so the pauses of late are kept in mind, and where they are
 * longer than the user lets us look, it is not tried at all.
 */
#ifndef ENGINE_SPIN_H
#define ENGINE_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

struct spin {
	uint64_t since;    /* the first look that found nothing; 0: the last one found work */
	uint64_t expected; /* nanoseconds that a pause takes, on average */
};

/*
 * Nothing was found at @now, in nanoseconds. Is it time to sleep, given that @most are to be
 * spent on looking?
 */
static inline bool spin_is_over(struct spin *s, uint64_t now, uint64_t most)
{
	if (!s->since)
		s->since = now;
	return s->expected > most || now - s->since >= most;
}

/*
 * Work was found at @now. One pause counts for an eighth, and no more than twice @most: flows
 * whose packets come in bursts have some long ones.
 */
static inline void spin_ends(struct spin *s, uint64_t now, uint64_t most)
{
	uint64_t pause = MIN(now - s->since, 2 * most);

	s->expected = s->expected - s->expected / 8 + pause / 8;
	s->since = 0;
}

#endif
