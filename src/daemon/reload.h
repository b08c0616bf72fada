/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading the file of --config again while the daemon runs. What has changed in it since it
 * was read last is set as `vubctl set` would, or named as taking a restart.
 */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include "daemon/bridge.h"

struct reload;

/* 0 or -errno. @bridge must outlive it, and its options have a file. */
int reload_open(struct reload **out, struct bridge *bridge);
void reload_close(struct reload *r); /* NULL-safe */

/* What becomes of each change is logged. A file with an error changes nothing. */
void reload_run(struct reload *r);

#endif
