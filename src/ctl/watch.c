/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stats: the counters, once, or again and again. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "ctl/live.h"
#include "ctl/output.h"
#include "ctl/stats.h"

#define INTERVAL_MAX 3600
#define SCREEN_MAX   65536

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
		stats_print(c->name, stats, NULL, 0);
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
	json_t *now, *before; /* by the daemon's name, what stats_read gave */
	json_t *next;	      /* what is being read */
	double seconds;	      /* between the two; 0: there was no other before */
	uint64_t read_ns;
};

static int read_one(struct ctl *ctl, struct client *c, void *data)
{
	struct watching *w = data;
	json_t *stats = stats_read(c);

	(void)ctl;
	if (!stats)
		return client_fail(c);
	json_object_set_new(w->next, c->name, stats);
	return CTL_OK;
}

/* CTL_CANCELED: all is as it was before. */
static int read_all(struct ctl *ctl, struct watching *w)
{
	uint64_t now = now_ns();
	int status;

	w->next = json_object();
	status = client_each(ctl, read_one, w);
	if (status == CTL_CANCELED) {
		json_decref(w->next);
		return status;
	}
	w->seconds = w->read_ns ? (double)(now - w->read_ns) / 1e9 : 0;
	w->read_ns = now;
	json_decref(w->before);
	w->before = w->now;
	w->now = w->next;
	return status;
}

/* ---- one below the other, for whoever reads them ---- */

static void print(const struct ctl *ctl, const struct watching *w)
{
	const char *name;
	json_t *stats;

	json_object_foreach(w->now, name, stats)
	{
		if (ctl->json)
			output_json_line(json_incref(stats));
		else
			stats_print(name, stats, json_object_get(w->before, name), w->seconds);
	}
	if (!ctl->json)
		putchar('\n');
	fflush(stdout);
}

static int print_again(struct ctl *ctl, struct watching *w, uint64_t interval_ns, long count)
{
	int status = read_all(ctl, w);

	print(ctl, w);
	while (status == CTL_OK && --count != 0) {
		const struct timespec pause = {
			.tv_sec = (time_t)(interval_ns / UINT64_C(1000000000)),
			.tv_nsec = (long)(interval_ns % UINT64_C(1000000000)),
		};

		nanosleep(&pause, NULL);
		status = read_all(ctl, w);
		print(ctl, w);
	}
	return status;
}

/* ---- in a terminal ---- */

static int make_picture(struct live_picture *p, const struct watching *w, unsigned int columns)
{
	struct stats_look look = {.seconds = w->seconds, .columns = columns};
	const json_t *before;
	const char *name;
	json_t *stats;

	if (live_picture_open(p))
		return ctl_fail("out of memory");
	json_object_foreach(w->now, name, stats)
	{
		before = json_object_get(w->before, name);
		look.out = p->totals;
		stats_print_totals(&look, name, stats, before);
		look.out = p->details;
		if (json_object_size(w->now) > 1)
			fprintf(look.out, "%s\n", name);
		stats_print_details(&look, stats, before);
	}
	return CTL_OK;
}

/* The picture stays in @p, in the place of the one before. */
static int draw(const struct live *l, struct live_picture *p, const struct watching *w)
{
	int status;

	live_picture_close(p);
	status = make_picture(p, w, l->columns);
	if (status == CTL_OK)
		live_draw(l, p);
	return status;
}

/* Draws until it is @until_ns, or the view ends; *event: which of them. */
static int show(struct live *l, struct live_picture *p, const struct watching *w, uint64_t until_ns,
		enum live_event *event)
{
	int status;

	do {
		status = draw(l, p, w);
		*event = status == CTL_OK ? live_wait(l, until_ns) : LIVE_LEAVE;
	} while (*event == LIVE_SIZE);
	return status;
}

/* A signal ends the wait for a daemon that hangs; show learns which, and reading begins anew. */
static int watch_live(struct ctl *ctl, struct watching *w, uint64_t interval_ns, long count)
{
	struct live_picture picture = {0};
	enum live_event event = LIVE_TIME;
	struct live live;
	int status, r = live_open(&live);

	if (r)
		return ctl_fail("stats -w: %s", strerror(-r));
	ctl->cancel_fd = live.cancel_fd;
	do {
		status = read_all(ctl, w);
		if (status == CTL_CANCELED) {
			status = show(&live, &picture, w, 0, &event);
			continue;
		}
		if (status == CTL_OK && count == 1) {
			status = draw(&live, &picture, w);
			break;
		}
		if (status == CTL_OK)
			status = show(&live, &picture, w, w->read_ns + interval_ns, &event);
		count -= count > 0;
	} while (status == CTL_OK && event == LIVE_TIME);
	ctl->cancel_fd = -1;
	live_close(&live, &picture);
	live_picture_close(&picture);
	return status;
}

static int watch(struct ctl *ctl, double interval, long count)
{
	struct watching w = {.now = json_object()};
	uint64_t interval_ns = (uint64_t)(interval * 1e9);
	int status;

	/* all of a screen at once, which does not flicker */
	setvbuf(stdout, NULL, _IOFBF, SCREEN_MAX);
	if (!ctl->json && isatty(STDOUT_FILENO))
		status = watch_live(ctl, &w, interval_ns, count);
	else
		status = print_again(ctl, &w, interval_ns, count);
	json_decref(w.now);
	json_decref(w.before);
	return status;
}

/* ---- the verb ---- */

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
