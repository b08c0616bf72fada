/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Values are compared as they are written. What could not be set stays as it was remembered, so
 * that the next time says it again.
 */
#include "daemon/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/control.h"
#include "daemon/options_file.h"
#include "daemon/options_table.h"

struct reload {
	struct bridge *bridge;
	const struct options *options;
	char *running[OPTIONS_MAX]; /* by row, as the file said it; NULL: it did not */
};

/* What an option is like when the file says @value, NULL: nothing; NULL: found at the start. */
static const char *effective(const struct option_row *row, const char *value)
{
	return value ? value : row->type ? row->fallback : "0";
}

static bool is_same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void remember(struct reload *r, unsigned int i, const char *value)
{
	free(r->running[i]);
	/* out of memory: it would be set once more the next time */
	r->running[i] = value ? strdup(value) : NULL;
}

/* Row @i of the new file. Where it stands, and what was done, is logged. */
static void follow(struct reload *r, const struct options_file *file, unsigned int i)
{
	const struct option_row *row = &options_rows[i];
	const char *value = effective(row, file->of[i].value), *tag = bridge_name(r->bridge);
	char where[OPTIONS_WHERE_MAX], error[OPTIONS_ERROR_MAX];
	int done = -ENOENT;

	if (file->of[i].line)
		options_file_where(file, i, where, sizeof(where));
	else
		snprintf(where, sizeof(where), "%s (not in the file any more)", row->name);
	if (r->options->on_command_line >> i & 1) {
		log_notice(tag, "%s: the command line says otherwise", where);
		return;
	}
	if (value)
		done = control_set(r->bridge, row->name, value, file->path, error, sizeof(error));
	if (!done)
		remember(r, i, file->of[i].value);
	else if (done == -ENOENT)
		log_warning(tag, "%s: takes a restart", where);
	else /* which begins with the name, as does where it stands */
		log_warning(tag, "%s%s; it takes a restart", where, error + strlen(row->name));
}

void reload_run(struct reload *r)
{
	const char *path = r->options->config, *tag = bridge_name(r->bridge);
	struct options_file *file;
	char error[OPTIONS_ERROR_MAX];
	unsigned int i, changes = 0;

	if (options_file_open(&file, path, false, error, sizeof(error))) {
		log_error(tag, "%s; nothing was changed", error);
		return;
	}
	log_notice(tag, "read %s again", path);
	for (i = 0; options_rows[i].name; i++) {
		if (is_same(effective(&options_rows[i], r->running[i]),
			    effective(&options_rows[i], file->of[i].value)))
			continue;
		follow(r, file, i);
		changes++;
	}
	if (!changes)
		log_info(tag, "it says what it said before");
	options_file_close(file);
}

int reload_open(struct reload **out, struct bridge *bridge)
{
	const struct options *o = bridge_view(bridge).options;
	struct reload *r = calloc(1, sizeof(*r));
	unsigned int i;

	*out = NULL;
	if (!r)
		return -ENOMEM;
	r->bridge = bridge;
	r->options = o;
	for (i = 0; options_rows[i].name; i++)
		remember(r, i, o->file->of[i].value);
	*out = r;
	return 0;
}

void reload_close(struct reload *r)
{
	unsigned int i;

	if (!r)
		return;
	for (i = 0; options_rows[i].name; i++)
		free(r->running[i]);
	free(r);
}
