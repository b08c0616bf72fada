/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network namespaces: found by name or path, and entered for a while by one thread.
 *
 * A descriptor of a namespace keeps it alive, as does every socket made in it, also
 * after its name is gone.
 */
#ifndef NET_NETNS_H
#define NET_NETNS_H

#include <stdbool.h>
#include <stddef.h>

#define NETNS_DIR "/run/netns" /* where "ip netns" keeps the names */

/* The file that @name stands for: @name itself when it holds a '/', else one in NETNS_DIR. */
int netns_path(const char *name, char *path, size_t size);

/*
 * Opens the network namespace @name, a name or a path. Returns a descriptor, or -errno
 * and *why: one English phrase with the remedy (static), "" when the errno says all.
 */
int netns_open(const char *name, const char **why);

/*
 * Takes the calling thread into the namespace @fd. *home is the way back for
 * netns_leave, which closes it and does nothing when *home is -1. 0 or -errno.
 */
int netns_enter(int fd, int *home);
int netns_leave(int *home);

/* Is @fd the namespace that the calling thread is in? */
bool netns_is_own(int fd);

/* The name in NETNS_DIR of the namespace @fd; -ENOENT when it has none there. */
int netns_find_name(int fd, char *name, size_t size);

#endif
