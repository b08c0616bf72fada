/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which counters there are is the daemon's to know: they are shown in the order in which they
 * come, under the names that they have there.
 */
#include "ctl/stats.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "ctl/output.h"

#define INTERVAL_MAX 3600
#define SCREEN_MAX   65536

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
	const json_t *rx, *tx, *rx_before, *tx_before;
	double seconds; /* 0: without rates */
};

static void print_value(const json_t *now, const json_t *before, double seconds)
{
	double rate;

	if (!json_is_integer(now))
		printf(" %20s", json_is_null(now) ? "unknown" : "-");
	else
		printf(" %20lld", json_integer_value(now));
	if (seconds <= 0)
		return;
	if (!json_is_integer(now) || !json_is_integer(before)) {
		printf(" %14s", "");
		return;
	}
	rate = (double)(json_integer_value(now) - json_integer_value(before)) / seconds;
	printf(" %12.0f/s", rate);
}

static void print_row(const struct pair *p, const char *label, const char *key)
{
	printf("    %-18s", label);
	print_value(json_object_get(p->rx, key), json_object_get(p->rx_before, key), p->seconds);
	print_value(json_object_get(p->tx, key), json_object_get(p->tx_before, key), p->seconds);
	putchar('\n');
}

static struct pair drops_of(const struct pair *p)
{
	return (struct pair){
		.rx = json_object_get(p->rx, "drops"),
		.tx = json_object_get(p->tx, "drops"),
		.rx_before = json_object_get(p->rx_before, "drops"),
		.tx_before = json_object_get(p->tx_before, "drops"),
		.seconds = p->seconds,
	};
}

/* A row for each key that either lane has. */
static void print_rows(const struct pair *p, const char *prefix)
{
	const json_t *value;
	const char *key;
	char label[64];

	json_object_foreach((json_t *)p->rx, key, value)
	{
		snprintf(label, sizeof(label), "%s%s", prefix, key);
		if (!json_is_object(value))
			print_row(p, label, key);
	}
	json_object_foreach((json_t *)p->tx, key, value)
	{
		snprintf(label, sizeof(label), "%s%s", prefix, key);
		if (!json_is_object(value) && !json_object_get(p->rx, key))
			print_row(p, label, key);
	}
}

static void print_pair(const char *title, const json_t *now, const json_t *before, double seconds)
{
	const struct pair p = {
		.rx = json_object_get(now, "rx"),
		.tx = json_object_get(now, "tx"),
		.rx_before = json_object_get(before, "rx"),
		.tx_before = json_object_get(before, "tx"),
		.seconds = seconds,
	};
	const struct pair drops = drops_of(&p);

	printf("  %-20s %20s%*s %20s\n", title, "rx", seconds > 0 ? 15 : 0, "", "tx");
	print_rows(&p, "");
	print_rows(&drops, "drop ");
}

/* Those that there is one of, or one of each worker: name and value on a line. */
static void print_others(const json_t *object, const char *prefix)
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
			print_others(value, "drop ");
		else if (json_is_null(value))
			printf("  %-20s %20s\n", label, "unknown");
		else
			printf("  %-20s %20lld\n", label, json_integer_value(value));
	}
}

void stats_print(const json_t *stats, const json_t *before, double seconds)
{
	json_t *queues = json_object_get(stats, "queues"), *queue, *worker, *all = total(stats);
	json_t *queues_before = json_object_get(before, "queues"), *all_before = total(before);
	char title[64];
	size_t i;

	printf("%s\n", output_string(stats, "interface"));
	if (json_array_size(queues) > 1)
		print_pair("all queues", all, all_before, seconds);
	json_array_foreach(queues, i, queue)
	{
		snprintf(title, sizeof(title), "queue %zu", i);
		print_pair(title, queue, json_array_get(queues_before, i), seconds);
	}
	json_array_foreach(json_object_get(stats, "workers"), i, worker)
	{
		snprintf(title, sizeof(title), "worker %zu ", i);
		print_others(worker, title);
	}
	print_others(json_object_get(stats, "bridge"), "");
	json_decref(all);
	json_decref(all_before);
}

/* ---- once ---- */

/* @data: the array of a JSON answer */
static int show_once(struct ctl *ctl, struct client *c, void *data)
{
	json_t *stats = stats_read(c);

	if (!stats)
		return client_fail(c);
	if (ctl->json)
		json_array_append(data, stats);
	else
		stats_print(stats, NULL, 0);
	json_decref(stats);
	return CTL_OK;
}

static int once(struct ctl *ctl)
{
	json_t *all = json_array();
	int status = client_each(ctl, show_once, all);

	if (ctl->json)
		output_json(ctl, all);
	else
		json_decref(all);
	return status;
}

/* ---- again and again ---- */

struct watching {
	json_t *last;	/* by the daemon's name, what stats_read gave */
	double seconds; /* since then */
};

static int show_again(struct ctl *ctl, struct client *c, void *data)
{
	struct watching *w = data;
	json_t *stats = stats_read(c);

	if (!stats)
		return client_fail(c);
	if (ctl->json)
		output_json_line(json_incref(stats));
	else
		stats_print(stats, json_object_get(w->last, c->name), w->seconds);
	json_object_set_new(w->last, c->name, stats);
	return CTL_OK;
}

/* From the top of the screen, over what stood there; what is left of that is cleared. */
static int redraw(struct ctl *ctl, struct watching *w)
{
	bool terminal = !ctl->json && isatty(STDOUT_FILENO);
	int status;

	if (terminal)
		printf("\033[H\033[2J");
	status = client_each(ctl, show_again, w);
	if (!ctl->json && !terminal)
		putchar('\n');
	fflush(stdout);
	return status;
}

static int watch(struct ctl *ctl, double interval, long count)
{
	const struct timespec pause = {
		.tv_sec = (time_t)interval,
		.tv_nsec = (long)((interval - (double)(time_t)interval) * 1e9),
	};
	struct watching w = {.last = json_object()};
	uint64_t before = now_ns(), now;
	int status;

	/* all of a screen at once, which does not flicker */
	setvbuf(stdout, NULL, _IOFBF, SCREEN_MAX);
	status = redraw(ctl, &w);

	while (status == CTL_OK && --count != 0) {
		nanosleep(&pause, NULL);
		now = now_ns();
		w.seconds = (double)(now - before) / 1e9;
		before = now;
		status = redraw(ctl, &w);
	}
	json_decref(w.last);
	return status;
}

/* A number from @min to @max, all of @word; -1: it is none. */
static double to_number(const char *word, double min, double max)
{
	char *end;
	double value = strtod(word, &end);

	return end == word || *end || !(value >= min && value <= max) ? -1 : value;
}

int verb_stats(struct ctl *ctl, int argc, char **argv)
{
	double interval = 0, count = 0;
	int i;

	for (i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "-w")) {
			interval = 1;
			if (i + 1 < argc && argv[i + 1][0] != '-')
				interval = to_number(argv[++i], 0.1, INTERVAL_MAX);
			if (interval < 0)
				return ctl_misuse("stats -w '%s': must be seconds from 0.1 to %d",
						  argv[i], INTERVAL_MAX);
		} else if (!strcmp(argv[i], "-n") && i + 1 < argc) {
			count = to_number(argv[++i], 1, 1e9);
			if (count < 0 || count != (double)(long)count)
				return ctl_misuse("stats -n '%s': must be a number from 1",
						  argv[i]);
		} else {
			return ctl_misuse("stats '%s': takes -w [SECONDS] and -n COUNT", argv[i]);
		}
	}
	if (count > 0 && interval <= 0)
		return ctl_misuse("stats -n: needs -w");
	return interval > 0 ? watch(ctl, interval, (long)count) : once(ctl);
}
