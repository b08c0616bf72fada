/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Has the log tell in time what it held back, by the loop. */
#ifndef DAEMON_LOG_TIMER_H
#define DAEMON_LOG_TIMER_H

#include <systemd/sd-event.h>

/* For as long as the loop @event lives. 0 or -errno. */
int log_timer_add(sd_event *event);

#endif
