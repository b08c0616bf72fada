/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vubctl: shows and changes running vubridges by their control sockets. What it knows of
 * them is the protocol; counters, settings and their limits it learns from the daemon.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/find.h"

/* Exit statuses, as the manual page has them. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1, /* refused, or nobody there */
	CTL_USAGE = 2,
	CTL_CANCELED = -1, /* none, but a wait that ended by cancel_fd: nothing was told */
};

/* What the options say, and whom a verb is for. */
struct ctl {
	bool json, pretty;
	bool statistics;
	bool colour;
	const char *name; /* of -i, or NULL */
	struct find_list found;
	int cancel_fd; /* readable: wait for no answer any longer; or -1 */
};

struct verb {
	const char *name;
	const char *synopsis; /* of what follows the name */
	const char *help;
	/* @argv are the words behind the verb. Returns an exit status, with errors told. */
	int (*run)(struct ctl *ctl, int argc, char **argv);
};

int verb_capture(struct ctl *ctl, int argc, char **argv);
int verb_link(struct ctl *ctl, int argc, char **argv);
int verb_metrics(struct ctl *ctl, int argc, char **argv);
int verb_monitor(struct ctl *ctl, int argc, char **argv);
int verb_reconnect(struct ctl *ctl, int argc, char **argv);
int verb_set(struct ctl *ctl, int argc, char **argv);
int verb_show(struct ctl *ctl, int argc, char **argv);
int verb_stats(struct ctl *ctl, int argc, char **argv);
int verb_version(struct ctl *ctl, int argc, char **argv);

/* "vubctl: …" on the standard error output. Return CTL_FAILED and CTL_USAGE. */
int ctl_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int ctl_misuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Is @word the beginning of @name, or all of it? */
bool ctl_matches(const char *word, const char *name);

#endif
