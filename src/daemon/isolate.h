/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The privileges that the daemon was started with, given up as soon as they have served, in
 * stages between the steps of the start (main.c:start):
 *
 *   bridge_open, control_listen   with all that there is: interface, sockets, devices
 *   isolate_privileges            the user, the capabilities, new privileges
 *   bridge_start                  threads, io_uring, the device
 *   isolate_syscalls              every system call that is not needed any more
 *   the loop
 */
#ifndef DAEMON_ISOLATE_H
#define DAEMON_ISOLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/options.h"

/*
 * The user and the capabilities, once all is open that takes them and before any thread is made
 * but that of selftest.c, which gives up its own: becomes the user of --user, gives up every
 * capability that --keep-caps or the interface (@needs_net_admin) does not ask for, for good,
 * and can gain none by executing a program. What is left is logged: nobody who looks for the
 * reason why an MTU does not change shall have to guess. On error returns -errno with one
 * line in @error.
 */
int isolate_privileges(const struct options *o, const char *tag, bool needs_net_admin, char *error,
		       size_t size);

/* What a daemon does that others need not, for the filter of system calls. */
enum isolate_use {
	ISOLATE_URING = 1,	/* frames pass by io_uring */
	ISOLATE_NAMESPACES = 2, /* the interface is followed to other namespaces */
	ISOLATE_VETH = 4,
	ISOLATE_KERNEL = 8, /* vhost-net */
};

/* Built with sanitizers or for coverage, whose runtime calls anything? */
#ifdef INSTRUMENTED
#define IS_INSTRUMENTED true
#else
#define IS_INSTRUMENTED false
#endif

/*
 * From here on any system call kills the process but those that it needs, with @uses (of enum
 * isolate_use); of all its threads and for good. 0 or -errno. Does nothing where
 * IS_INSTRUMENTED.
 */
int isolate_syscalls(unsigned int uses);

#endif
