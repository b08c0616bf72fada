/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the table works: a row names an option, the type of its value and where in
 * struct options it goes. A type is two functions: one stores a value that is
 * allowed, one says in words what is. Everything else (the array for getopt_long,
 * --help, every error line) is made from the rows.
 *
 * getopt_long accepts any unambiguous beginning of a name, which would turn each
 * new option into a possible break of someone's script. Therefore the matched
 * word is compared with the row's full name afterwards.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "daemon/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <linux/if.h>
#include <pwd.h>
#include <stdarg.h>
#include <string.h>
#include <syslog.h>

#include "base/util.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

#define QUOTED_MAX 160u

struct option_choice {
	const char *name;
	int value;
};

struct option_row;

struct option_type {
	/* false: not allowed. @field is where the row's offset points. */
	bool (*store)(const struct option_row *row, const char *value, void *field);
	/* "must be …" */
	void (*allowed)(const struct option_row *row, char *buf, size_t size);
};

struct option_row {
	const char *name;
	const struct option_type *type; /* NULL: takes no value */
	const char *metavar;
	const char *fallback; /* the default, as one would type it; NULL: none */
	bool mandatory;
	size_t offset;                       /* in struct options */
	unsigned int min, max;               /* numbers */
	const struct option_choice *choices; /* ends with a NULL name */
	void (*print)(FILE *text);           /* prints and ends the program */
	const char *help;
};

static void print_help(FILE *text);
static void print_version(FILE *text);

/* Types */

static bool has_control(const char *s)
{
	for (; *s; s++)
		if (iscntrl((unsigned char)*s))
			return true;
	return false;
}

static bool store_path(const struct option_row *row, const char *value, void *field)
{
	(void)row;
	if (strlen(value) >= PATH_MAX || has_control(value))
		return false;
	*(const char **)field = value;
	return true;
}

static void allowed_path(const struct option_row *row, char *buf, size_t size)
{
	(void)row;
	snprintf(buf, size, "a path of 1 to %d bytes without control characters", PATH_MAX - 1);
}

/* What the kernel's dev_valid_name and dev_alloc_name accept. */
static bool store_iface(const struct option_row *row, const char *value, void *field)
{
	const char *percent = strchr(value, '%');

	(void)row;
	if (strlen(value) >= IFNAMSIZ || !strcmp(value, ".") || !strcmp(value, ".."))
		return false;
	if (strpbrk(value, "/: ") || has_control(value))
		return false;
	if (percent && (percent[1] != 'd' || strchr(percent + 1, '%')))
		return false;
	*(const char **)field = value;
	return true;
}

static void allowed_iface(const struct option_row *row, char *buf, size_t size)
{
	(void)row;
	snprintf(buf, size, "1 to %d bytes, not . or .., no / : or space, %% in one %%d",
		 IFNAMSIZ - 1);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool store_mac(const struct option_row *row, const char *value, void *field)
{
	static const uint8_t zero[ETH_ALEN];
	struct options_mac mac = { .given = true };
	unsigned int i;

	(void)row;
	if (strlen(value) != ETH_ALEN * 3 - 1)
		return false;
	for (i = 0; i < ETH_ALEN; i++) {
		int high = hex_digit(value[3 * i]), low = hex_digit(value[3 * i + 1]);

		if (high < 0 || low < 0 || (i < ETH_ALEN - 1 && value[3 * i + 2] != ':'))
			return false;
		mac.addr[i] = (uint8_t)(high << 4 | low);
	}
	if ((mac.addr[0] & 1) || !memcmp(mac.addr, zero, ETH_ALEN))
		return false;
	*(struct options_mac *)field = mac;
	return true;
}

static void allowed_mac(const struct option_row *row, char *buf, size_t size)
{
	(void)row;
	snprintf(buf, size, "a unicast address like 02:00:00:00:00:01");
}

/* Decimal digits and nothing else: strtoul takes spaces and signs, too. */
static bool read_number(const struct option_row *row, const char *value, unsigned int *n)
{
	uint64_t sum = 0;

	for (; *value; value++) {
		if (*value < '0' || *value > '9')
			return false;
		sum = sum * 10 + (unsigned int)(*value - '0');
		if (sum > row->max)
			return false;
	}
	*n = (unsigned int)sum;
	return *n >= row->min;
}

static bool store_number(const struct option_row *row, const char *value, void *field)
{
	return read_number(row, value, field);
}

static void allowed_number(const struct option_row *row, char *buf, size_t size)
{
	snprintf(buf, size, "a whole number from %u to %u", row->min, row->max);
}

static bool store_power(const struct option_row *row, const char *value, void *field)
{
	unsigned int n;

	if (!read_number(row, value, &n) || (n & (n - 1)))
		return false;
	*(unsigned int *)field = n;
	return true;
}

static void allowed_power(const struct option_row *row, char *buf, size_t size)
{
	snprintf(buf, size, "a power of two from %u to %u", row->min, row->max);
}

static bool store_choice(const struct option_row *row, const char *value, void *field)
{
	const struct option_choice *c;

	for (c = row->choices; c->name; c++) {
		if (!strcmp(c->name, value)) {
			*(int *)field = c->value;
			return true;
		}
	}
	return false;
}

static void allowed_choice(const struct option_row *row, char *buf, size_t size)
{
	const struct option_choice *c;
	size_t n = (size_t)snprintf(buf, size, "one of");

	for (c = row->choices; c->name && n < size; c++)
		n += (size_t)snprintf(buf + n, size - n, "%s %s", c == row->choices ? "" : ",",
				      c->name);
}

/* A name in the directory of "ip netns", or a path. */
static bool store_netns(const struct option_row *row, const char *value, void *field)
{
	if (!strcmp(value, ".") || !strcmp(value, ".."))
		return false;
	if (!strchr(value, '/') && strlen(value) > NAME_MAX)
		return false;
	return store_path(row, value, field);
}

static void allowed_netns(const struct option_row *row, char *buf, size_t size)
{
	(void)row;
	snprintf(buf, size, "a name as in \"ip netns\", or a path with a / in it");
}

static bool store_user(const struct option_row *row, const char *value, void *field)
{
	const struct passwd *pw = getpwnam(value);

	(void)row;
	if (!pw)
		return false;
	*(struct options_user *)field =
		(struct options_user){ .name = value, .uid = pw->pw_uid, .gid = pw->pw_gid };
	return true;
}

static void allowed_user(const struct option_row *row, char *buf, size_t size)
{
	(void)row;
	snprintf(buf, size, "the name of a user of this system");
}

static const struct option_type type_path = { store_path, allowed_path };
static const struct option_type type_iface = { store_iface, allowed_iface };
static const struct option_type type_mac = { store_mac, allowed_mac };
static const struct option_type type_number = { store_number, allowed_number };
static const struct option_type type_power = { store_power, allowed_power };
static const struct option_type type_choice = { store_choice, allowed_choice };
static const struct option_type type_netns = { store_netns, allowed_netns };
static const struct option_type type_user = { store_user, allowed_user };

/* The table */

static const struct option_choice choices_io[] = {
	{ "auto", OPTIONS_IO_AUTO },
	{ "uring", OPTIONS_IO_URING },
	{ "plain", OPTIONS_IO_PLAIN },
	{ NULL, 0 },
};

static const struct option_choice choices_poll[] = {
	{ "adaptive", OPTIONS_POLL_ADAPTIVE },
	{ "busy", OPTIONS_POLL_BUSY },
	{ NULL, 0 },
};

static const struct option_choice choices_log_level[] = {
	{ "error", LOG_ERR },	{ "warning", LOG_WARNING }, { "notice", LOG_NOTICE },
	{ "info", LOG_INFO },	{ "debug", LOG_DEBUG },	    { NULL, 0 },
};

#define FIELD(member) .offset = offsetof(struct options, member)

/* clang-format off */
static const struct option_row rows[] = {
	{ .name = "path", .type = &type_path, .metavar = "PATH", .mandatory = true,
	  FIELD(path), .help = "socket of the vhost-user backend, @NAME if abstract" },
	{ .name = "iface", .type = &type_iface, .metavar = "NAME", .fallback = "vnet%d",
	  FIELD(iface), .help = "network interface; %d becomes a free number" },
	{ .name = "mac", .type = &type_mac, .metavar = "MAC",
	  FIELD(mac), .help = "hardware address of the interface" },
	{ .name = "mtu", .type = &type_number, .metavar = "N", .min = 68, .max = 65521,
	  FIELD(mtu), .help = "largest packet of the interface, in bytes" },
	{ .name = "netns", .type = &type_netns, .metavar = "NAME",
	  FIELD(netns), .help = "network namespace of the interface" },
	{ .name = "persist",
	  FIELD(persist), .help = "leave the interface behind at the end" },
	{ .name = "queue-size", .type = &type_power, .metavar = "N", .fallback = "256",
	  .min = 64, .max = 32768,
	  FIELD(queue_size), .help = "descriptors in each ring" },
	{ .name = "io", .type = &type_choice, .metavar = "HOW", .fallback = "auto",
	  .choices = choices_io,
	  FIELD(io), .help = "how frames are read and written" },
	{ .name = "poll", .type = &type_choice, .metavar = "HOW", .fallback = "adaptive",
	  .choices = choices_poll,
	  FIELD(poll), .help = "whether an idle worker sleeps" },
	{ .name = "idle-us", .type = &type_number, .metavar = "N", .fallback = "50",
	  .min = 0, .max = 1000000,
	  FIELD(idle_us), .help = "microseconds without work before a worker sleeps" },
	{ .name = "hugepages",
	  FIELD(hugepages), .help = "use huge pages for ring memory if there are any" },
	{ .name = "user", .type = &type_user, .metavar = "NAME",
	  FIELD(user), .help = "run as this user once the interface is open" },
	{ .name = "keep-caps",
	  FIELD(keep_caps), .help = "keep CAP_NET_ADMIN and CAP_SYS_ADMIN" },
	{ .name = "log-level", .type = &type_choice, .metavar = "LEVEL", .fallback = "info",
	  .choices = choices_log_level,
	  FIELD(log_level), .help = "least important lines to log" },
	{ .name = "help", .print = print_help, .help = "print this text and exit" },
	{ .name = "version", .print = print_version, .help = "print the version and exit" },
};
/* clang-format on */

_Static_assert(ARRAY_SIZE(rows) <= 64, "the options seen are kept in 64 bits");

/* Text */

static void print_row(FILE *text, const struct option_row *row)
{
	char left[64], allowed[256];

	snprintf(left, sizeof(left), "--%s%s%s", row->name, row->metavar ? " " : "",
		 row->metavar ? row->metavar : "");
	fprintf(text, "  %-17s  %s\n", left, row->help);
	if (!row->type)
		return;
	row->type->allowed(row, allowed, sizeof(allowed));
	fprintf(text, "  %-17s    %s\n", "", allowed);
	if (row->fallback)
		fprintf(text, "  %-17s    default: %s\n", "", row->fallback);
	if (row->mandatory)
		fprintf(text, "  %-17s    mandatory\n", "");
}

static void print_help(FILE *text)
{
	size_t i;

	fputs("Usage: vubridge --path PATH [OPTION]...\n"
	      "Connects a vhost-user backend to a network interface of the kernel.\n\n",
	      text);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		print_row(text, &rows[i]);
	fputs("\nExit status: 0 ended by a signal, 1 system error, 2 wrong usage.\n", text);
}

static void print_version(FILE *text)
{
	fprintf(text, "vubridge %s\n", PACKAGE_VERSION);
}

/* Copies @s without what could break a log line, and no longer than QUOTED_MAX. */
static void quote(char *buf, size_t size, const char *s)
{
	size_t i;

	for (i = 0; s[i] && i + 4 < size; i++)
		buf[i] = iscntrl((unsigned char)s[i]) ? '?' : s[i];
	snprintf(buf + i, size - i, "%s", s[i] ? "..." : "");
}

/* The line about @word, "--NAME" or whatever stood there, with its value if there is one. */
static int refuse(char *error, size_t size, const char *word, const char *value, const char *why)
{
	char name[QUOTED_MAX], text[QUOTED_MAX];

	quote(name, sizeof(name), word);
	if (!value) {
		snprintf(error, size, "%s: %s", name, why);
		return -EINVAL;
	}
	quote(text, sizeof(text), value);
	snprintf(error, size, "%s '%s': %s", name, text, why);
	return -EINVAL;
}

int options_refuse(char *error, size_t size, const char *name, const char *value,
		   const char *format, ...)
{
	char word[QUOTED_MAX], why[OPTIONS_ERROR_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	snprintf(word, sizeof(word), "--%s", name);
	return refuse(error, size, word, value, why);
}

/* Parsing */

struct parse {
	struct options *out;
	FILE *text;
	uint64_t seen; /* bit i: rows[i] was given */
	char *error;
	size_t size;
};

static bool set_value(struct options *out, const struct option_row *row, const char *value)
{
	void *field = (char *)out + row->offset;

	if (!row->type) {
		*(bool *)field = true;
		return true;
	}
	return *value && row->type->store(row, value, field);
}

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
	const char *equals;
	size_t i, len;

	if (strncmp(word, "--", 2))
		return NULL;
	word += 2;
	equals = strchr(word, '=');
	len = equals ? (size_t)(equals - word) : strlen(word);
	*value = equals ? equals + 1 : NULL;
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (strlen(rows[i].name) == len && !memcmp(rows[i].name, word, len))
			return &rows[i];
	return NULL;
}

/* One option that getopt_long met in @word and gave @code to; @value as it read it. */
static int parse_one(struct parse *p, const char *word, int code, const char *value)
{
	const char *inlined;
	const struct option_row *row = find_row(word, &inlined);
	uint64_t bit;

	if (!row)
		return refuse(p->error, p->size, word, NULL,
			      "unknown option (names may not be shortened), see --help");
	bit = UINT64_C(1) << (row - rows);
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
	return set_value(p->out, row, value) ? 0 : refuse_value(p, row, value);
}

static void fill_getopt(struct option *options)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		options[i] = (struct option){
			.name = rows[i].name,
			.has_arg = rows[i].type ? required_argument : no_argument,
			.val = 1,
		};
	options[i] = (struct option){ 0 };
}

static int parse_all(struct parse *p, int argc, char **argv)
{
	struct option options[ARRAY_SIZE(rows) + 1];
	int code, index = 1, r;

	fill_getopt(options);
	optind = 0; /* a new run, also in a process that has called getopt before */
	opterr = 0;
	/* "+": argv keeps its order, so argv[index] is the word about to be read */
	while ((code = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		r = parse_one(p, argv[index], code, code == 1 ? optarg : NULL);
		if (r)
			return r;
		index = optind;
	}
	if (optind < argc)
		return refuse(p->error, p->size, "unexpected word", argv[optind],
			      "only options are taken, see --help");
	return 0;
}

static int check_mandatory(struct parse *p)
{
	char allowed[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!rows[i].mandatory || (p->seen & UINT64_C(1) << i))
			continue;
		rows[i].type->allowed(&rows[i], allowed, sizeof(allowed));
		return options_refuse(p->error, p->size, rows[i].name, NULL,
				      "must be given: %s", allowed);
	}
	return 0;
}

int options_parse(int argc, char **argv, FILE *text, struct options *out, char *error, size_t size)
{
	struct parse p = { .out = out, .text = text, .error = error, .size = size };
	size_t i;
	int r;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].fallback && !set_value(out, &rows[i], rows[i].fallback))
			return refuse_value(&p, &rows[i], rows[i].fallback);
	r = parse_all(&p, argc, argv);
	return r ? r : check_mandatory(&p);
}
