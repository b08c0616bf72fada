/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/metric_log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "daemon/metric.h"

/* A line as it grows; what does not fit is cut. */
struct line {
	char text[896];
	size_t used;
};

static void __attribute__((format(printf, 2, 3))) add(struct line *l, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(l->text + l->used, sizeof(l->text) - l->used, format, args);
	va_end(args);
	l->used = MIN(l->used + (size_t)n, sizeof(l->text) - 1);
}

static void add_value(struct line *l, const struct metric *m, const struct bridge_view *v,
		      unsigned int index)
{
	uint64_t value;
	int r = metric_read(m, v, index, &value);

	if (r)
		add(l, " %s unknown (%s)", m->name, strerror(-r));
	else
		add(l, " %s %" PRIu64, m->name, value);
}

static void add_lane(struct line *l, const struct bridge_view *v, unsigned int pair,
		     enum metric_direction direction, bool drops)
{
	size_t i;

	for (i = 0; i < metrics_count; i++)
		if (metric_of_lane(&metrics[i], direction) && metrics[i].drop == drops)
			add(l, " %s %" PRIu64, metrics[i].name,
			    metric_read_lane(&metrics[i], v, pair, direction));
}

static void add_scope(struct line *l, const struct bridge_view *v, enum metric_scope scope,
		      unsigned int index, bool drops)
{
	size_t i;

	for (i = 0; i < metrics_count; i++)
		if (metrics[i].scope == scope && metrics[i].type == METRIC_COUNTER &&
		    metrics[i].drop == drops)
			add_value(l, &metrics[i], v, index);
}

static void log_lane(const struct bridge_view *v, unsigned int pair,
		     enum metric_direction direction)
{
	struct line l = {.used = 0};

	add_lane(&l, v, pair, direction, false);
	/* a worker sleeps for all of its lanes */
	add_scope(&l, v, METRIC_WORKER, pair % workers_count(v->workers), false);
	add(&l, " drops:");
	add_lane(&l, v, pair, direction, true);
	log_queue(LOG_NOTICE | LOG_ASKED, v->kport->name, metric_direction_name(direction)[0], pair,
		  "%s", l.text + 1);
}

void metric_log(const struct bridge_view *v)
{
	struct line l = {.used = 0};
	unsigned int pair;

	for (pair = 0; pair < v->kport->pairs; pair++) {
		log_lane(v, pair, METRIC_RX);
		log_lane(v, pair, METRIC_TX);
	}
	add_scope(&l, v, METRIC_BRIDGE, 0, true);
	add(&l, ";");
	add_scope(&l, v, METRIC_BRIDGE, 0, false);
	log_line(LOG_NOTICE | LOG_ASKED, v->kport->name, "tx: drops:%s", l.text);
}
