/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the control sockets of running vubridges. */
#ifndef CTL_FIND_H
#define CTL_FIND_H

#include <limits.h>
#include <stddef.h>

/* IFACE, or IFACE:N for one of several of that name (from 0); or the path that was asked for. */
struct find_entry {
	char name[PATH_MAX];
	char path[PATH_MAX];
};

struct find_list {
	struct find_entry *entries; /* [n], sorted by name */
	size_t n;
};

/*
 * Those of all that run, at the usual places; with @name those of the interface of that name,
 * or of IFACE:N, or whatever is at a path (with a / in it). 0 or -errno.
 */
int find_sockets(struct find_list *list, const char *name);
void find_free(struct find_list *list);

#endif
