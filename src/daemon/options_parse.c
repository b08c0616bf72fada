/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line.
 *
 * getopt_long accepts any unambiguous beginning of a name, which would turn each
 * new option into a possible break of someone's script. Therefore the matched
 * word is compared with the row's full name afterwards.
 */
#include "daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "daemon/options_file.h"
#include "daemon/options_table.h"

/* A key of --devargs that is no option: there are no packed rings to ask for. */
#define PACKED_VQ     "packed_vq"
#define PACKED_VQ_BIT (UINT64_C(1) << (OPTIONS_MAX - 1))

static int refuse_value(struct parse *p, const struct option_row *row, const char *value)
{
	char allowed[256];

	row->type->allowed(row, allowed, sizeof(allowed));
	return options_refuse(p->error, p->size, row->name, value, "must be %s", allowed);
}

/*
 * The row whose full name is in @word ("--name" or "--name=value"), or NULL.
 * *value is what follows the equals sign, or NULL.
 */
static const struct option_row *find_row(const char *word, const char **value)
{
	const struct option_row *row;
	const char *equals;
	size_t len;

	if (strncmp(word, "--", 2))
		return NULL;
	word += 2;
	equals = strchr(word, '=');
	len = equals ? (size_t)(equals - word) : strlen(word);
	*value = equals ? equals + 1 : NULL;
	for (row = options_rows; row->name; row++)
		if (strlen(row->name) == len && !memcmp(row->name, word, len))
			return row;
	return NULL;
}

/* Keys have _ where options have -. */
static bool is_devarg(const struct option_row *row, const char *key)
{
	const char *name = row->name;

	for (; *name && *key; name++, key++)
		if (*key != (*name == '-' ? '_' : *name))
			return false;
	return row->devarg && !*name && !*key;
}

/* @word is PACKED_VQ=VALUE: lists that say what is so anyway are common. */
static int parse_packed_vq(struct parse *p, const char *word)
{
	if (p->seen & PACKED_VQ_BIT)
		return options_refuse(p->error, p->size, "devargs", word,
				      "was given before; give it once");
	p->seen |= PACKED_VQ_BIT;
	if (strcmp(word, PACKED_VQ "=0"))
		return options_refuse(p->error, p->size, "devargs", word,
				      "must be 0, packed rings are not served");
	return 0;
}

/* Those that are served, with commas between. */
static void list_devargs(char *buf, size_t size)
{
	const struct option_row *row;
	size_t n = 0;

	for (row = options_rows; row->name; row++)
		if (row->devarg)
			n += (size_t)snprintf(buf + n, size - n, "%s, ", row->name);
	snprintf(buf + n, size - n, PACKED_VQ);
	for (; *buf; buf++)
		if (*buf == '-')
			*buf = '_';
}

/* One KEY=VALUE of --devargs; @word is cut at the equals sign. */
static int parse_devarg(struct parse *p, char *word)
{
	char *equals = strchr(word, '='), allowed[256];
	const struct option_row *row = options_rows;

	if (!strncmp(word, PACKED_VQ "=", strlen(PACKED_VQ "=")))
		return parse_packed_vq(p, word);
	if (equals)
		*equals = '\0';
	while (row->name && !is_devarg(row, word))
		row++;
	if (!row->name) {
		list_devargs(allowed, sizeof(allowed));
		return options_refuse(p->error, p->size, "devargs", word,
				      "is not a key that is served here, which are %s", allowed);
	}
	if (!equals)
		return options_refuse(p->error, p->size, "devargs", word, "needs a value");
	*equals = '=';
	if (p->seen & UINT64_C(1) << (row - options_rows))
		return options_refuse(p->error, p->size, "devargs", word,
				      "was given before; give it once");
	p->seen |= UINT64_C(1) << (row - options_rows);
	if (options_set(p->out, row, equals + 1))
		return 0;
	row->type->allowed(row, allowed, sizeof(allowed));
	return options_refuse(p->error, p->size, "devargs", word, "must be %s", allowed);
}

/* @list is argv's own and taken apart in place: the values stay where they are. */
static int parse_devargs(struct parse *p, char *list)
{
	char *word;
	int r = 0;

	while (list && !r) {
		word = strsep(&list, ",");
		r = parse_devarg(p, word);
	}
	return r;
}

/* One option that getopt_long met in @word and gave @code to; @value as it read it. */
static int parse_one(struct parse *p, const char *word, int code, const char *value)
{
	const char *inlined;
	const struct option_row *row = find_row(word, &inlined);
	uint64_t bit;

	if (!row)
		return options_say(p->error, p->size, word, NULL,
			      "unknown option (names may not be shortened), see --help");
	bit = UINT64_C(1) << (row - options_rows);
	if (code == '?')
		return options_refuse(p->error, p->size, row->name, inlined, "takes no value");
	if (code == ':')
		return options_refuse(p->error, p->size, row->name, NULL, "needs a value");
	/* a word that looks like an option is more likely one than a value */
	if (value && !inlined && !strncmp(value, "--", 2))
		return options_refuse(p->error, p->size, row->name, NULL,
				      "needs a value (one that begins with -- is written "
				      "--%s=VALUE)",
				      row->name);
	if (row->print) {
		row->print(p->text);
		return 1;
	}
	if (p->seen & bit)
		return options_refuse(p->error, p->size, row->name, value,
				      "was given before; give it once");
	p->seen |= bit;
	if (!value && row->type)
		value = row->type->bare;
	if (row->devargs && *value)
		return parse_devargs(p, (char *)value);
	return options_set(p->out, row, value) ? 0 : refuse_value(p, row, value);
}

/* The two that have a letter too. */
static const char *long_of(const char *word)
{
	return !strcmp(word, "-h") ? "--help" : !strcmp(word, "-V") ? "--version" : word;
}

static void fill_getopt(struct option *options)
{
	const struct option_row *row;

	for (row = options_rows; row->name; row++)
		*options++ = (struct option){
			.name = row->name,
			.has_arg = !row->type	   ? no_argument :
				   row->type->bare ? optional_argument :
						     required_argument,
			.val = 1,
		};
	*options = (struct option){ 0 };
}

/*
 * getopt_long takes an optional value only behind an equals sign. Here it may also be the
 * next word, if that is no option: nothing else could stand there.
 */
static const char *value_of(int argc, char **argv)
{
	const char *inlined;
	const struct option_row *row = find_row(argv[optind - 1], &inlined);

	if (optarg || !row || !row->type || !row->type->bare)
		return optarg;
	if (inlined || optind == argc || argv[optind][0] == '-')
		return inlined;
	return argv[optind++];
}

static int parse_all(struct parse *p, int argc, char **argv)
{
	struct option options[OPTIONS_MAX + 1];
	int code, index = 1, r;

	fill_getopt(options);
	optind = 0; /* a new run, also in a process that has called getopt before */
	opterr = 0;
	/* "+": argv keeps its order, so argv[index] is the word about to be read */
	while ((code = getopt_long(argc, argv, "+:hV", options, NULL)) != -1) {
		r = parse_one(p, long_of(argv[index]), code,
			      code == 1 ? value_of(argc, argv) : NULL);
		if (r)
			return r;
		index = optind;
	}
	if (optind < argc)
		return options_say(p->error, p->size, "unexpected word", argv[optind],
			      "only options are taken, see --help");
	return 0;
}

int options_parse(int argc, char **argv, FILE *text, struct options *out, char *error, size_t size)
{
	struct parse p = { .out = out, .text = text, .error = error, .size = size };
	const struct option_row *row;
	int r;

	memset(out, 0, sizeof(*out));
	for (row = options_rows; row->name; row++)
		if (row->fallback && !options_set(out, row, row->fallback))
			return refuse_value(&p, row, row->fallback);
	r = parse_all(&p, argc, argv);
	out->on_command_line = p.seen;
	if (!r && out->config)
		r = options_take_file(&p);
	if (!r) {
		r = options_check(&p);
		if (r)
			options_tell_where(out, error, size);
	}
	if (r)
		options_close(out);
	return r;
}

void options_close(struct options *o)
{
	options_file_close(o->file);
	o->file = NULL;
}
