/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file named for the interface, as a unit's instance is, need not repeat its name: vnet0.conf
 * is about vnet0, unless something else is said.
 */
#include "daemon/options_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ini.h"
#include "daemon/options_table.h"

#define SUFFIX	   ".conf"
#define PATH_SHOWN 160

/* ---- where ---- */

/* Of a long path the end tells more. */
static void where(const char *path, unsigned int line, const char *key, char *buf, size_t size)
{
	size_t len = strlen(path);
	bool cut = len > PATH_SHOWN;

	snprintf(buf, size, "%s%s:%u: %.64s", cut ? "..." : "",
		 cut ? path + len - PATH_SHOWN : path, line, key);
}

void options_file_where(const struct options_file *file, unsigned int i, char *buf, size_t size)
{
	where(file->path, file->of[i].line, options_rows[i].name, buf, size);
}

void options_tell_where(const struct options *o, char *error, size_t size)
{
	char name[64], word[OPTIONS_WHERE_MAX], rest[OPTIONS_ERROR_MAX];
	int i, end = 0;

	if (!o->file || sscanf(error, "--%63[a-z-]%n", name, &end) != 1 || !end)
		return;
	i = options_number(name);
	if (i < 0 || !o->file->of[i].line || o->on_command_line >> i & 1)
		return;
	options_file_where(o->file, (unsigned int)i, word, sizeof(word));
	snprintf(rest, sizeof(rest), "%s", error + end);
	snprintf(error, size, "%s%s", word, rest);
}

/* ---- reading ---- */

struct reader {
	struct options_file *file;
	struct ini ini;
	bool ask;
	char *error;
	size_t size;
};

static int refuse(struct reader *r, const char *key, const char *value, const char *why)
{
	char word[OPTIONS_WHERE_MAX];

	where(r->file->path, r->ini.line, key, word, sizeof(word));
	return options_say(r->error, r->size, word, value, why);
}

static void allowed_words(const struct option_row *row, char *buf, size_t size)
{
	int n = snprintf(buf, size, "must be ");

	if (row->type)
		row->type->allowed(row, buf + n, size - (size_t)n);
	else
		snprintf(buf + n, size - (size_t)n, "0 or 1");
}

static bool is_key(const struct option_row *row)
{
	return !row->print && !row->no_key;
}

static int take(struct reader *r, const struct ini_entry *entry)
{
	int i = options_number(entry->key);
	const struct option_row *row = i < 0 ? NULL : &options_rows[i];
	const char *value = entry->value;
	char allowed[256];
	struct options scratch;

	if (!row || !is_key(row))
		return refuse(r, entry->key, NULL, "unknown key, see vubridge.conf(5)");
	if (!value)
		value = row->type ? row->type->bare : "1";
	if (!value)
		return refuse(r, entry->key, NULL, "needs a value");
	if (r->file->of[i].value)
		return refuse(r, entry->key, value, "was given before; give it once");
	r->file->of[i].value = value;
	r->file->of[i].line = r->ini.line;
	if (row->type && row->type->asks && !r->ask)
		return 0;
	if (options_set(&scratch, row, value))
		return 0;
	allowed_words(row, allowed, sizeof(allowed));
	return refuse(r, entry->key, value, allowed);
}

static int read_entries(struct reader *r)
{
	struct ini_entry entry;
	const char *why;
	int n;

	while ((n = ini_next(&r->ini, &entry, &why)) > 0) {
		n = take(r, &entry);
		if (n)
			return n;
	}
	return n ? refuse(r, entry.key, NULL, why) : 0;
}

static int name_interface(struct options_file *file)
{
	const char *slash = strrchr(file->path, '/'), *name = slash ? slash + 1 : file->path;
	size_t len = strlen(name), end = strlen(SUFFIX);
	int i = options_number("iface");

	if (file->of[i].value || len <= end || strcmp(name + len - end, SUFFIX) != 0)
		return 0;
	file->iface = strndup(name, len - end);
	if (!file->iface)
		return -ENOMEM;
	file->of[i].value = file->iface;
	return 0;
}

int options_file_open(struct options_file **out, const char *path, bool ask, char *error,
		      size_t size)
{
	struct options_file *file = calloc(1, sizeof(*file));
	struct reader reader = {
		.file = file,
		.ask = ask,
		.error = error,
		.size = size,
	};
	const char *why = strerror(ENOMEM);
	int r;

	*out = NULL;
	if (!file)
		return options_refuse(error, size, "config", path, "%s", why);
	file->path = path;
	r = ini_load(&file->text, path, &why);
	if (r) {
		options_file_close(file);
		return options_refuse(error, size, "config", path, "%s", why);
	}
	reader.ini.rest = file->text;
	r = read_entries(&reader);
	if (!r && name_interface(file))
		r = options_refuse(error, size, "config", path, "%s", why);
	if (r) {
		options_file_close(file);
		return r;
	}
	*out = file;
	return 0;
}

void options_file_close(struct options_file *file)
{
	if (!file)
		return;
	free(file->iface);
	free(file->text);
	free(file);
}

/* ---- for the parser ---- */

int options_take_file(struct parse *p)
{
	const struct option_row *row;
	struct options_file *file;
	char allowed[256];
	unsigned int i;
	int r = options_file_open(&file, p->out->config, true, p->error, p->size);

	if (r)
		return r;
	p->out->file = file;
	for (i = 0; (row = &options_rows[i])->name; i++) {
		if (!file->of[i].value || p->seen >> i & 1)
			continue;
		p->seen |= UINT64_C(1) << i;
		if (options_set(p->out, row, file->of[i].value))
			continue;
		/* the rest was checked when it was read */
		row->type->allowed(row, allowed, sizeof(allowed));
		return options_refuse(p->error, p->size, "config", file->path,
				      "its name is none for an interface (%s); give it by "
				      "iface = NAME",
				      allowed);
	}
	return 0;
}
