/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The privileges that the daemon was started with, and what is left of them. */
#ifndef DAEMON_ISOLATE_H
#define DAEMON_ISOLATE_H

#include <stdbool.h>

#include "daemon/options.h"

/* Capabilities that may be kept, as far as they are there. */
enum isolate_keep {
	ISOLATE_NET_ADMIN = 1, /* change interfaces */
	ISOLATE_SYS_ADMIN = 2, /* enter another network namespace */
};

/*
 * Becomes @user, with its groups (with an empty name: stays who it is), gives up every
 * capability that is not in @keep (of enum isolate_keep) for good, in the bounding and
 * the ambient set too, and can gain none by executing a program. Of this thread and
 * those that it makes later, so it comes before the workers.
 *
 * On error returns -errno and *why: one English phrase (static).
 */
int isolate_drop(const struct options_user *user, unsigned int keep, const char **why);

/* Says in one line who we are now (@user, or NULL: who we were), and what cannot be done. */
void isolate_log(const char *tag, const char *user);

#endif
