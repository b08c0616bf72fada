/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lines of an INI file with one section, whose header may be left out:
 *
 *   # a comment, as is one that begins with ;
 *   [vubridge]
 *   key = value
 *   key
 *
 * What keys and values mean is not known here. Ours, since no library that both Debian and
 * Fedora have tells the line of each key, refuses what it does not understand, and knows a
 * key without a value: it would leave the greater part to do.
 */
#ifndef DAEMON_INI_H
#define DAEMON_INI_H

#include <stdbool.h>
#include <stddef.h>

#define INI_SECTION "vubridge"

struct ini {
	char *rest;	   /* of the text, which is taken apart in place */
	bool begun;	   /* the section's header was there */
	unsigned int line; /* of what was read last */
};

struct ini_entry {
	char *key;
	char *value; /* NULL: it stands alone */
};

/*
 * Reads the whole of the regular file at @path into *text, the caller's to free. -errno
 * with *why, one English phrase, otherwise.
 */
int ini_load(char **text, const char *path, const char **why);

/*
 * The next key: 1, or 0 when there is none any more. -EINVAL when the line cannot be
 * understood: then entry->key is what stands there and *why says what is wrong with it.
 */
int ini_next(struct ini *ini, struct ini_entry *entry, const char **why);

#endif
