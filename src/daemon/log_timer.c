/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/log_timer.h"

#include <stdbool.h>

#include "base/log.h"

static int on_timer(sd_event_source *source __attribute__((unused)),
		    uint64_t usec __attribute__((unused)), void *userdata __attribute__((unused)))
{
	return 0; /* what is to be done is done after every turn */
}

/* After each turn of the loop, in which lines may have been held back. */
static int on_post(sd_event_source *source __attribute__((unused)), void *userdata)
{
	uint64_t next = log_settle();

	if (!next)
		return 0;
	sd_event_source_set_time_relative(userdata, next / 1000 + 1);
	return sd_event_source_set_enabled(userdata, SD_EVENT_ONESHOT);
}

int log_timer_add(sd_event *event)
{
	sd_event_source *timer = NULL, *post = NULL;
	int r = sd_event_add_time_relative(event, &timer, CLOCK_MONOTONIC, 0, 0, on_timer, NULL);

	if (r >= 0)
		r = sd_event_source_set_enabled(timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_post(event, &post, on_post, timer);
	/* the loop owns them from here on */
	if (r >= 0)
		r = sd_event_source_set_floating(timer, true);
	if (r >= 0)
		r = sd_event_source_set_floating(post, true);
	sd_event_source_unref(timer);
	sd_event_source_unref(post);
	return r < 0 ? r : 0;
}
