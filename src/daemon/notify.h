/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the service manager is told (sd_notify(3)): that all runs, is read again, or ends; in
 * its status line what the device is doing; and, with a watchdog, that all threads live. Without
 * a service manager nothing of this does anything.
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <systemd/sd-event.h>

#include "daemon/bridge.h"

struct notify;

/* 0 or -errno. @bridge, which has been started, must outlive it. */
int notify_open(struct notify **out, sd_event *event, struct bridge *bridge);
void notify_close(struct notify *n); /* NULL-safe; says that the end has begun */

void notify_ready(struct notify *n);
void notify_reloading(void); /* notify_ready follows */

#endif
