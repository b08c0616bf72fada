/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which counters there are is the daemon's to know: they are shown in the order in which they
 * come, under the names that they have there.
 */
#include "ctl/stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "ctl/output.h"

/* In a live view a total from here on is told in units; it has 14 places. */
#define TOTAL_MAX 100000000000000

/* ---- reading ---- */

json_t *stats_read(struct client *c)
{
	json_t *stats = client_ask(c, "/vubridge/stats", NULL), *queues = json_array(), *queue;
	json_int_t i, n = output_integer(stats, "queues");
	char number[32];

	for (i = 0; i < n; i++) {
		snprintf(number, sizeof(number), "%lld", i);
		queue = client_ask(c, "/vubridge/stats", number);
		if (!queue)
			break;
		json_array_append_new(queues, queue);
	}
	if (!stats || i < n) {
		json_decref(queues);
		json_decref(stats);
		return NULL;
	}
	json_object_set_new(stats, "queues", queues);
	return stats;
}

/* Adds the numbers of @b to those of @a, of the objects in them too. */
static void add_up(json_t *a, json_t *b)
{
	json_t *value, *sum;
	const char *key;

	json_object_foreach(b, key, value)
	{
		sum = json_object_get(a, key);
		if (json_is_object(value) && !sum)
			json_object_set_new(a, key, json_deep_copy(value));
		else if (json_is_object(value))
			add_up(sum, value);
		else if (json_is_integer(value))
			json_object_set_new(
				a, key,
				json_integer(json_integer_value(sum) + json_integer_value(value)));
	}
}

/* {"rx":{…}, "tx":{…}} of all queues together */
static json_t *total(const json_t *stats)
{
	json_t *sum = json_object(), *queue;
	size_t i;

	json_array_foreach(json_object_get(stats, "queues"), i, queue)
	{
		json_t *lanes = json_copy(queue);

		json_object_del(lanes, "queue");
		add_up(sum, lanes);
		json_decref(lanes);
	}
	return sum;
}

/* ---- text ---- */

/* What two lanes of a pair, or of all, have to show, now and before. */
struct pair {
	const struct stats_look *look;
	const json_t *rx, *tx, *rx_before, *tx_before;
};

static bool is_live(const struct stats_look *look)
{
	return look->columns > 0;
}

static bool is_narrow(const struct stats_look *look)
{
	return is_live(look) && look->columns < STATS_COLUMNS;
}

static void print_value(const struct stats_look *look, const json_t *now)
{
	char text[OUTPUT_SCALED];
	int width = is_live(look) ? 14 : 20;

	if (is_narrow(look))
		return;
	if (!json_is_integer(now))
		fprintf(look->out, " %*s", width, json_is_null(now) ? "unknown" : "-");
	else if (is_live(look) && json_integer_value(now) >= TOTAL_MAX)
		fprintf(look->out, " %*s", width,
			output_scaled(text, (double)json_integer_value(now)));
	else
		fprintf(look->out, " %*lld", width, json_integer_value(now));
}

static void print_rate(const struct stats_look *look, const json_t *now, const json_t *before)
{
	char text[OUTPUT_SCALED];
	int width = is_live(look) ? 9 : 12;
	double rate;

	if (look->seconds <= 0 && !is_live(look))
		return;
	if (look->seconds <= 0 || !json_is_integer(now) || !json_is_integer(before)) {
		fprintf(look->out, " %*s", width + 2, "");
		return;
	}
	rate = (double)(json_integer_value(now) - json_integer_value(before)) / look->seconds;
	if (is_live(look))
		fprintf(look->out, " %*s/s", width, output_scaled(text, rate));
	else
		fprintf(look->out, " %*.0f/s", width, rate);
}

static void print_row(const struct pair *p, const char *label, const char *key)
{
	const json_t *rx = json_object_get(p->rx, key), *tx = json_object_get(p->tx, key);

	fprintf(p->look->out, "    %-18s", label);
	print_value(p->look, rx);
	print_rate(p->look, rx, json_object_get(p->rx_before, key));
	print_value(p->look, tx);
	print_rate(p->look, tx, json_object_get(p->tx_before, key));
	fputc('\n', p->look->out);
}

static struct pair drops_of(const struct pair *p)
{
	return (struct pair){
		.look = p->look,
		.rx = json_object_get(p->rx, "drops"),
		.tx = json_object_get(p->tx, "drops"),
		.rx_before = json_object_get(p->rx_before, "drops"),
		.tx_before = json_object_get(p->tx_before, "drops"),
	};
}

/* A live view has no room for what has never happened. */
static bool is_shown(const struct stats_look *look, const json_t *value)
{
	if (!value || json_is_object(value))
		return false;
	return !is_live(look) || !json_is_integer(value) || json_integer_value(value);
}

static bool row_is_shown(const struct pair *p, const char *key)
{
	return is_shown(p->look, json_object_get(p->rx, key)) ||
	       is_shown(p->look, json_object_get(p->tx, key));
}

/* A row for each key that either lane has. Returns how many are shown. */
static unsigned int print_rows(const struct pair *p, const char *prefix, bool count_only)
{
	const json_t *lanes[] = {p->rx, p->tx}, *value;
	unsigned int i, n = 0;
	const char *key;
	char label[64];

	for (i = 0; i < ARRAY_SIZE(lanes); i++) {
		json_object_foreach((json_t *)lanes[i], key, value)
		{
			if (!row_is_shown(p, key) || (i && json_object_get(p->rx, key)))
				continue;
			n++;
			snprintf(label, sizeof(label), "%s%s", prefix, key);
			if (!count_only)
				print_row(p, label, key);
		}
	}
	return n;
}

static void print_title(const struct stats_look *look, const char *title)
{
	if (is_narrow(look))
		fprintf(look->out, "  %-20s %11s %11s\n", title, "rx", "tx");
	else if (is_live(look))
		fprintf(look->out, "  %-20s %14s %11s %14s\n", title, "rx", "", "tx");
	else
		fprintf(look->out, "  %-20s %20s%*s %20s\n", title, "rx",
			look->seconds > 0 ? 15 : 0, "", "tx");
}

static void print_pair(const struct stats_look *look, const char *title, const json_t *now,
		       const json_t *before)
{
	const struct pair p = {
		.look = look,
		.rx = json_object_get(now, "rx"),
		.tx = json_object_get(now, "tx"),
		.rx_before = json_object_get(before, "rx"),
		.tx_before = json_object_get(before, "tx"),
	};
	const struct pair drops = drops_of(&p);

	if (is_live(look) && !print_rows(&p, "", true) && !print_rows(&drops, "", true))
		return;
	print_title(look, title);
	print_rows(&p, "", false);
	print_rows(&drops, "drop ", false);
}

/* Those that there is one of, or one of each worker: name and value on a line. */
static void print_others(const struct stats_look *look, const json_t *object, const char *prefix)
{
	const json_t *value;
	const char *key;
	char label[64];

	json_object_foreach((json_t *)object, key, value)
	{
		snprintf(label, sizeof(label), "%s%s", prefix, key);
		if (!strcmp(key, "gauges")) /* are what show shows */
			continue;
		if (json_is_object(value))
			print_others(look, value, "drop ");
		else if (json_is_null(value))
			fprintf(look->out, "  %-20s %*s\n", label, is_live(look) ? 14 : 20,
				"unknown");
		else if (is_shown(look, value))
			fprintf(look->out, "  %-20s %*lld\n", label, is_live(look) ? 14 : 20,
				json_integer_value(value));
	}
}

static void print_queues(const struct stats_look *look, const json_t *stats, const json_t *before)
{
	json_t *queues_before = json_object_get(before, "queues"), *queue;
	char title[64];
	size_t i;

	json_array_foreach(json_object_get(stats, "queues"), i, queue)
	{
		snprintf(title, sizeof(title), "queue %zu", i);
		print_pair(look, title, queue, json_array_get(queues_before, i));
	}
}

static bool has_several_queues(const json_t *stats)
{
	return json_array_size(json_object_get(stats, "queues")) > 1;
}

void stats_print_totals(const struct stats_look *look, const char *name, const json_t *stats,
			const json_t *before)
{
	json_t *all = total(stats), *all_before = total(before);

	fprintf(look->out, "%s\n", client_title(name, output_string(stats, "interface")));
	if (has_several_queues(stats))
		print_pair(look, "all queues", all, all_before);
	else
		print_queues(look, stats, before);
	if (is_live(look))
		print_others(look, json_object_get(stats, "bridge"), "");
	json_decref(all);
	json_decref(all_before);
}

void stats_print_details(const struct stats_look *look, const json_t *stats, const json_t *before)
{
	json_t *worker;
	char title[64];
	size_t i;

	if (has_several_queues(stats))
		print_queues(look, stats, before);
	json_array_foreach(json_object_get(stats, "workers"), i, worker)
	{
		snprintf(title, sizeof(title), "worker %zu ", i);
		print_others(look, worker, title);
	}
	if (!is_live(look))
		print_others(look, json_object_get(stats, "bridge"), "");
}

void stats_print(const char *name, const json_t *stats, const json_t *before, double seconds)
{
	const struct stats_look look = {.out = stdout, .seconds = seconds};

	stats_print_totals(&look, name, stats, before);
	stats_print_details(&look, stats, before);
}
