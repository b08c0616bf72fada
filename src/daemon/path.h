/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the value of --path names. */
#ifndef DAEMON_PATH_H
#define DAEMON_PATH_H

#include <stdbool.h>
#include <stddef.h>

enum path_kind {
	PATH_SOCKET,    /* a vhost-user backend's socket, there already or to be waited for */
	PATH_VHOST_NET, /* the kernel's vhost-net device */
};

/*
 * Looks at @path without opening it. Returns 0 and *kind, or -errno and in @error
 * one line that names the option, the path and what is wrong with it. A socket
 * that is not there yet is fine, its directory must be: otherwise a misspelt
 * path would be waited for in vain. With @listen a socket that is there need not let
 * us connect: we would take its place. "@name" is an abstract socket, never a file.
 */
int path_classify(const char *path, bool listen, enum path_kind *kind, char *error, size_t size);

#endif
