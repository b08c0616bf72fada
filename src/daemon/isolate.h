/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The privileges that the daemon was started with, given up as soon as they have served. */
#ifndef DAEMON_ISOLATE_H
#define DAEMON_ISOLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/options.h"

/*
 * The user and the capabilities, once all is open that takes them and before any thread is
 * made: becomes the user of --user, gives up every capability that --keep-caps or the
 * interface (@needs_net_admin) does not ask for, for good, and can gain none by executing a
 * program. What is left is logged: nobody who looks for the reason why an address does not
 * change shall have to guess. On error returns -errno with one line in @error.
 */
int isolate_privileges(const struct options *o, const char *tag, bool needs_net_admin, char *error,
		       size_t size);

#endif
