/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket of --server: one that systemd, or who acts like it, made for us and handed over
 * (LISTEN_FDS), or our own.
 */
#ifndef DAEMON_ACTIVATION_H
#define DAEMON_ACTIVATION_H

#include "base/listener.h"
#include "daemon/options.h"

/*
 * Refuses what contradicts it: options that it would make meaningless, another address than
 * that of --path, more sockets than one. 0, or -EINVAL and one line in @error.
 */
int activation_check(const struct options *o, char *error, size_t size);

/* Listens there, with --server; else does nothing. 0, or -errno and one line in @error. */
int activation_listen(const struct options *o, struct listener **listen, char *error,
		      size_t size);

#endif
