/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All counters of a daemon, and how they look. */
#ifndef CTL_STATS_H
#define CTL_STATS_H

#include <jansson.h>
#include <stdio.h>

#include "ctl/client.h"

/*
 * {"interface":…, "bridge":{…}, "workers":[{…}], "queues":[{"queue":0, "rx":{…}, "tx":{…}}]},
 * or NULL with an error in @c.
 */
json_t *stats_read(struct client *c);

/* The width that a live view needs for totals and rates. */
#define STATS_COLUMNS 80u

/* How counters look as text. */
struct stats_look {
	FILE *out;
	double seconds;	      /* since those before; 0: without rates */
	unsigned int columns; /* of a terminal: a live view, without what is 0; 0: none */
};

/* All of it, of daemon @name, on the standard output; with the counters of @before, @seconds ago,
 * the rates. */
void stats_print(const char *name, const json_t *stats, const json_t *before, double seconds);
/* In two parts, of which the first says the most. */
void stats_print_totals(const struct stats_look *look, const char *name, const json_t *stats,
			const json_t *before);
void stats_print_details(const struct stats_look *look, const json_t *stats, const json_t *before);

#endif
