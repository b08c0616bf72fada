/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All counters of a daemon, and how they look. */
#ifndef CTL_STATS_H
#define CTL_STATS_H

#include <jansson.h>

#include "ctl/client.h"

/*
 * {"interface":…, "bridge":{…}, "workers":[{…}], "queues":[{"queue":0, "rx":{…}, "tx":{…}}]},
 * or NULL with an error in @c.
 */
json_t *stats_read(struct client *c);

/* As text; with the counters of @before, @seconds ago, the rates beside them. */
void stats_print(const json_t *stats, const json_t *before, double seconds);

#endif
