/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the parser share: the table is in options.c, the command line in
 * options_parse.c, the file of --config in options_file.c, and what may not go together in
 * options_check.c.
 */
#ifndef DAEMON_OPTIONS_TABLE_H
#define DAEMON_OPTIONS_TABLE_H

#include <stdint.h>
#include <stdio.h>

#include "daemon/option_type.h"

struct options;

/* One run of the parser. */
struct parse {
	struct options *out;
	FILE *text;
	uint64_t seen; /* bit i: row i was given, on the command line or in the file */
	char *error;
	size_t size;
};

/* The table; ends with a NULL name. */
extern const struct option_row options_rows[];
/* The number of the row of that name, or -1. */
int options_number(const char *name);

/* Stores @value (NULL of a flag: it was given) where it belongs; false: it is not allowed. */
bool options_set(struct options *out, const struct option_row *row, const char *value);

/* Writes "WORD 'VALUE': WHY", or without a value, as options_refuse does. Returns -EINVAL. */
int options_say(char *error, size_t size, const char *word, const char *value, const char *why);

/* options_file.c: takes what the file of --config gives and the command line does not. */
int options_take_file(struct parse *p);

/* options_check.c: is all there, and does it go together? */
int options_check(struct parse *p);

#endif
