/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of --config: an INI file whose keys are names of options (see options.h). */
#ifndef DAEMON_OPTIONS_FILE_H
#define DAEMON_OPTIONS_FILE_H

#include "daemon/options.h"

/* Enough for what options_where writes. */
#define OPTIONS_WHERE_MAX 256u

struct options_file {
	const char *path; /* borrowed */
	char *text;	  /* what the values are parts of */
	char *iface;	  /* of the file's name, or NULL */
	struct {
		const char *value; /* NULL: not given */
		unsigned int line; /* 0: by the file's name */
	} of[OPTIONS_MAX];	   /* by the option's row */
};

/*
 * Reads and checks the file, each value by itself. @ask: also those for which the databases of
 * users and groups are asked, which only a program may do that may still load code. -EINVAL
 * with one line in @error, which names the line of the file.
 */
int options_file_open(struct options_file **out, const char *path, bool ask, char *error,
		      size_t size);
void options_file_close(struct options_file *file); /* NULL-safe */

/* Where the value of row @i stands: "FILE:LINE: NAME". */
void options_file_where(const struct options_file *file, unsigned int i, char *buf, size_t size);

#endif
