/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <vubridge/vport.h>

#include "daemon/options.h"

#define STATUS_MAX 512u /* a longer path is cut */

struct notify {
	struct bridge *bridge;
	sd_event_source *post, *check;
	uint64_t check_usec;
	char status[STATUS_MAX]; /* as it was told last */
};

/* ---- status ---- */

static void describe(const struct notify *n, char *buf, size_t size)
{
	const struct bridge_view v = bridge_view(n->bridge);

	if (v.no_carrier)
		snprintf(buf, size, "%s: no carrier, %s (%s)", v.kport->name, v.no_carrier,
			 v.options->path);
	else
		snprintf(buf, size, "%s: carrier on, %u of %u queue pairs (%s)", v.kport->name,
			 v.vport->active_pairs, v.options->queues, v.options->path);
}

/* After each turn of the loop, as in control.c: nothing that changes has to know of it. */
static int on_post(sd_event_source *source __attribute__((unused)), void *userdata)
{
	struct notify *n = userdata;
	char now[STATUS_MAX];

	describe(n, now, sizeof(now));
	if (strcmp(now, n->status) != 0) {
		strcpy(n->status, now);
		sd_notifyf(0, "STATUS=%s", now);
	}
	return 0;
}

/* ---- watchdog ---- */

/*
 * That the loop runs, sd-event tells. It waits here for each worker: for one that hangs, it
 * waits in vain, and the manager hears no more of either.
 */
static int on_check(sd_event_source *source, uint64_t usec __attribute__((unused)), void *userdata)
{
	struct notify *n = userdata;
	int r;

	bridge_check(n->bridge);
	r = sd_event_source_set_time_relative(source, n->check_usec);
	return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int add_watchdog(struct notify *n, sd_event *event)
{
	uint64_t limit;
	int r = sd_watchdog_enabled(0, &limit);

	if (r <= 0)
		return r;
	r = sd_event_set_watchdog(event, true);
	if (r < 0)
		return r;
	n->check_usec = limit / 4;
	return sd_event_add_time_relative(event, &n->check, CLOCK_MONOTONIC, n->check_usec, 0,
					  on_check, n);
}

/* ---- life ---- */

void notify_ready(struct notify *n)
{
	describe(n, n->status, sizeof(n->status));
	sd_notifyf(0, "READY=1\nSTATUS=%s", n->status);
}

void notify_reloading(void)
{
	struct timespec now;

	/* the time is for managers that wait until they hear of this reload */
	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
		   (unsigned long long)now.tv_sec * 1000000 +
			   (unsigned long long)now.tv_nsec / 1000);
}

int notify_open(struct notify **out, sd_event *event, struct bridge *bridge)
{
	struct notify *n = calloc(1, sizeof(*n));
	int r = 0;

	*out = NULL;
	if (!n)
		return -ENOMEM;
	n->bridge = bridge;
	if (getenv("NOTIFY_SOCKET"))
		r = sd_event_add_post(event, &n->post, on_post, n);
	if (r >= 0)
		r = add_watchdog(n, event);
	if (r < 0) {
		notify_close(n);
		return r;
	}
	*out = n;
	return 0;
}

void notify_close(struct notify *n)
{
	if (!n)
		return;
	sd_notify(0, "STOPPING=1\nSTATUS=ending");
	sd_event_source_disable_unref(n->post);
	sd_event_source_disable_unref(n->check);
	free(n);
}
