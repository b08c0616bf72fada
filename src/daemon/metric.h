/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that is counted or measured, in one table: name, unit, help text, and where the value
 * is. Every output (the log, telemetry, vubctl, OpenMetrics) is made of its rows, so that a
 * new counter is one row, and an item in man/vubridge.8 (tests/net/signals.sh compares).
 */
#ifndef DAEMON_METRIC_H
#define DAEMON_METRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/bridge.h"

enum metric_type {
	METRIC_COUNTER, /* since the start of the program */
	METRIC_GAUGE,
};

/* What there is one value of. */
enum metric_scope {
	METRIC_LANE,   /* each queue pair and direction */
	METRIC_WORKER, /* each worker */
	METRIC_BRIDGE, /* all */
};

enum metric_direction {
	METRIC_RX, /* from the backend to the kernel */
	METRIC_TX, /* from the kernel to the backend */
	METRIC_BOTH,
};

struct metric {
	const char *name; /* of a drop: the reason */
	const char *unit; /* as OpenMetrics has it, "": none */
	const char *help; /* one phrase, without a full stop */
	enum metric_type type;
	enum metric_scope scope;
	/* the lanes that have it; of a bridge's drop the direction that is meant */
	enum metric_direction direction;
	bool drop;     /* frames that did not arrive, by reason */
	size_t offset; /* METRIC_LANE: of the counter in struct lane_counters */
	/* any other scope: 0, or -errno when the value is not known */
	int (*read)(const struct bridge_view *v, unsigned int index, uint64_t *value);
};

extern const struct metric metrics[];
extern const size_t metrics_count;

/* Has a lane of this direction this metric? */
static inline bool metric_of_lane(const struct metric *m, enum metric_direction direction)
{
	return m->scope == METRIC_LANE &&
	       (m->direction == METRIC_BOTH || m->direction == direction);
}

/* "rx", "tx" or "both" */
const char *metric_direction_name(enum metric_direction direction);

/* The value of one lane's metric. */
uint64_t metric_read_lane(const struct metric *m, const struct bridge_view *v, unsigned int pair,
			  enum metric_direction direction);
/* That of worker @index, or with METRIC_BRIDGE of all. -errno: it is not known. */
int metric_read(const struct metric *m, const struct bridge_view *v, unsigned int index,
		uint64_t *value);

#endif
