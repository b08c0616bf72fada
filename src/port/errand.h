/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thread for what takes as long as someone else does: one errand at a time, whose result
 * comes home to the loop. While it is out, all that it was given is the thread's.
 */
#ifndef PORT_ERRAND_H
#define PORT_ERRAND_H

#include <stdbool.h>
#include <systemd/sd-event.h>

struct errand;

/* @home is called from the loop @event, with what the errand returned. 0 or -errno. */
int errand_open(struct errand **out, sd_event *event, void (*home)(void *owner, int result),
		void *owner);
/* NULL-safe; calls back whoever is out. */
void errand_close(struct errand *e);

/* An errand that has to wait for something watches this too: readable, it gives up. */
int errand_cancel_fd(const struct errand *e);

/*
 * Sends the thread to call @fn(@arg). With @here it is called at once, by whoever calls this,
 * because it waits for nobody; the result comes home in the same way.
 */
void errand_send(struct errand *e, int (*fn)(void *arg), void *arg, bool here);
bool errand_is_out(const struct errand *e);
/* Returns when it has given up, and nothing comes home. */
void errand_call_back(struct errand *e);

#endif
