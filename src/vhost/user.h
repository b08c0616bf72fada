/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The front-end side of vhost-user: a vhost peer behind a socket that it listens on. */
#ifndef VHOST_USER_H
#define VHOST_USER_H

#include <vubridge/vhost.h>

/*
 * A closed vhost for the socket at @path (see base/fdmsg.h for what a path may be),
 * ready for its open operation as often as wanted. NULL: no memory.
 */
struct vhost *vhost_user_new(const char *path, unsigned int timeout_ms, int cancel_fd);

/* Closes and frees it; NULL-safe. */
void vhost_user_free(struct vhost *v);

#endif
