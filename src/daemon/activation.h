/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A socket that systemd, or who acts like it, made for us and handed over (LISTEN_FDS). */
#ifndef DAEMON_ACTIVATION_H
#define DAEMON_ACTIVATION_H

#include "daemon/options.h"

/*
 * Refuses what contradicts it: options that it would make meaningless, another address than
 * that of --path, more sockets than one. 0, or -EINVAL and one line in @error.
 */
int activation_check(const struct options *o, char *error, size_t size);

/* The socket, or -1; the programs that we might start are not told of it any more. */
int activation_take(void);

#endif
