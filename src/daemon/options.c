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
#include <stdarg.h>
#include <string.h>
#include <syslog.h>

#include "base/util.h"
#include "daemon/option_type.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

#define QUOTED_MAX 160u

static void print_help(FILE *text);
static void print_version(FILE *text);

/* The table */

static const struct option_choice choices_iface_type[] = {
	{ "tap", OPTIONS_IFACE_TAP },
	{ "veth", OPTIONS_IFACE_VETH },
	{ NULL, 0 },
};

static const struct option_choice choices_io[] = {
	{ "auto", OPTIONS_IO_AUTO },
	{ "uring", OPTIONS_IO_URING },
	{ "plain", OPTIONS_IO_PLAIN },
	{ NULL, 0 },
};

static const struct option_choice choices_offload[] = {
	{ "auto", OPTIONS_OFFLOAD_AUTO },
	{ "on", OPTIONS_OFFLOAD_ON },
	{ "off", OPTIONS_OFFLOAD_OFF },
	{ NULL, 0 },
};

static const struct option_choice choices_merge[] = {
	{ "on", OPTIONS_MERGE_ON },
	{ "strict", OPTIONS_MERGE_STRICT },
	{ "off", OPTIONS_MERGE_OFF },
	{ NULL, 0 },
};

static const struct option_choice choices_poll[] = {
	{ "adaptive", OPTIONS_POLL_ADAPTIVE },
	{ "busy", OPTIONS_POLL_BUSY },
	{ NULL, 0 },
};

static const struct option_choice choices_seccomp[] = {
	{ "on", OPTIONS_SECCOMP_ON },
	{ "off", OPTIONS_SECCOMP_OFF },
	{ NULL, 0 },
};

static const struct option_choice choices_log_level[] = {
	{ "error", LOG_ERR },	{ "warning", LOG_WARNING }, { "notice", LOG_NOTICE },
	{ "info", LOG_INFO },	{ "debug", LOG_DEBUG },	    { NULL, 0 },
};

#define FIELD(member) .offset = offsetof(struct options, member)

/* clang-format off */
static const struct option_row rows[] = {
	{ .name = "path", .type = &option_path, .metavar = "PATH", .mandatory = true,
	  .devarg = true,
	  FIELD(path), .help = "vhost-user backend's socket, or /dev/vhost-net" },
	{ .name = "iface", .type = &option_iface, .metavar = "NAME", .fallback = "vnet%d",
	  .devarg = true, FIELD(iface), .help = "network interface; %d becomes a free number" },
	{ .name = "iface-type", .type = &option_choice, .metavar = "KIND", .fallback = "tap",
	  .choices = choices_iface_type,
	  FIELD(iface_type), .help = "kind of the network interface" },
	{ .name = "veth-peer", .type = &option_iface, .metavar = "NAME",
	  FIELD(veth_peer), .help = "other end of a veth, which vubridge uses" },
	{ .name = "vhost-iface", .type = &option_iface, .metavar = "NAME",
	  FIELD(vhost_iface), .help = "the TAP by which vhost-net serves the device" },
	{ .name = "mac", .type = &option_mac, .metavar = "MAC",
	  .devarg = true, FIELD(mac), .help = "hardware address of device and interface" },
	{ .name = "mtu", .type = &option_number, .metavar = "N", .min = 68, .max = 65521,
	  FIELD(mtu), .help = "largest packet of the interface, in bytes" },
	{ .name = "netns", .type = &option_netns, .metavar = "NAME",
	  FIELD(netns), .help = "network namespace of the interface" },
	{ .name = "persist",
	  FIELD(persist), .help = "leave the interface behind at the end" },
	{ .name = "speed", .type = &option_number, .metavar = "MBPS", .min = 1, .max = INT_MAX,
	  .devarg = true, FIELD(speed), .help = "speed that ethtool shows, in Mbit/s" },
	{ .name = "queues", .type = &option_number, .metavar = "N", .fallback = "1",
	  .min = 1, .max = 128,
	  .devarg = true, FIELD(queues), .help = "queue pairs" },
	{ .name = "cq", .type = &option_onoff, .metavar = "BOOL",
	  .devarg = true, FIELD(cq), .help = "control queue, on with several queue pairs" },
	{ .name = "queue-size", .type = &option_power, .metavar = "N", .fallback = "1024",
	  .min = 64, .max = 32768,
	  .devarg = true, FIELD(queue_size), .help = "descriptors in each ring" },
	{ .name = "mrg-rxbuf", .type = &option_onoff, .metavar = "BOOL", .fallback = "1",
	  .devarg = true, FIELD(mrg_rxbuf), .help = "let frames span several receive buffers" },
	{ .name = "in-order", .type = &option_onoff, .metavar = "BOOL", .fallback = "1",
	  .devarg = true, FIELD(in_order), .help = "let rings be used in order" },
	{ .name = "server", .type = &option_switch, .metavar = "[BOOL]", .fallback = "0",
	  .devarg = true, FIELD(server), .help = "listen at the path, the backend connects" },
	{ .name = "socket-mode", .type = &option_mode, .metavar = "MODE",
	  FIELD(socket_mode), .help = "permissions of the socket of --server" },
	{ .name = "socket-group", .type = &option_group, .metavar = "GROUP",
	  FIELD(socket_group), .help = "group of the socket of --server" },
	{ .name = "workers", .type = &option_number, .metavar = "N", .min = 1, .max = 128,
	  FIELD(workers), .help = "threads that forward; one a queue pair by default" },
	{ .name = "cpus", .type = &option_cpus, .metavar = "LIST",
	  FIELD(cpus), .help = "processors of the workers, in turn" },
	{ .name = "offload", .type = &option_choice, .metavar = "HOW", .fallback = "auto",
	  .choices = choices_offload,
	  FIELD(offload), .help = "checksums and superframes, in the device or here" },
	{ .name = "merge", .type = &option_choice, .metavar = "HOW", .fallback = "on",
	  .choices = choices_merge,
	  FIELD(merge), .help = "merge the backend's packets into superframes" },
	{ .name = "io", .type = &option_choice, .metavar = "HOW", .fallback = "auto",
	  .choices = choices_io,
	  FIELD(io), .help = "how frames are read and written" },
	{ .name = "poll", .type = &option_choice, .metavar = "HOW", .fallback = "adaptive",
	  .choices = choices_poll,
	  FIELD(poll), .help = "whether an idle worker sleeps" },
	{ .name = "idle-us", .type = &option_number, .metavar = "N", .fallback = "50",
	  .min = 0, .max = 1000000,
	  FIELD(idle_us), .help = "microseconds without work before a worker sleeps" },
	{ .name = "devargs", .type = &option_devargs, .metavar = "LIST", .devargs = true,
	  .help = "options named as DPDK's virtio_user names them" },
	{ .name = "hugepages",
	  FIELD(hugepages), .help = "use huge pages for ring memory if there are any" },
	{ .name = "user", .type = &option_user, .metavar = "NAME",
	  FIELD(user), .help = "run as this user once the interface is open" },
	{ .name = "keep-caps",
	  FIELD(keep_caps), .help = "keep CAP_NET_ADMIN and CAP_SYS_ADMIN" },
	{ .name = "seccomp", .type = &option_choice, .metavar = "HOW", .fallback = "on",
	  .choices = choices_seccomp,
	  FIELD(seccomp), .help = "whether other system calls than needed kill" },
	{ .name = "control", .type = &option_path, .metavar = "PATH",
	  FIELD(control), .help = "the control socket, or none" },
	{ .name = "control-group", .type = &option_group, .metavar = "GROUP",
	  FIELD(control_group), .help = "group that may read the control socket" },
	{ .name = "log-level", .type = &option_choice, .metavar = "LEVEL", .fallback = "info",
	  .choices = choices_log_level,
	  FIELD(log_level), .help = "least important lines to log" },
	{ .name = "help", .print = print_help, .help = "print this text and exit" },
	{ .name = "version", .print = print_version, .help = "print the version and exit" },
};
/* clang-format on */

/* A key of --devargs that is no option: there are no packed rings to ask for. */
#define PACKED_VQ "packed_vq"
#define PACKED_VQ_BIT (UINT64_C(1) << 63)

_Static_assert(ARRAY_SIZE(rows) <= 63, "the options seen are kept in 64 bits");

/* Text */

static void print_row(FILE *text, const struct option_row *row)
{
	char left[64], allowed[256];

	snprintf(left, sizeof(left), "--%s%s%s", row->name, row->metavar ? " " : "",
		 row->metavar ? row->metavar : "");
	fprintf(text, "  %-22s  %s\n", left, row->help);
	if (!row->type)
		return;
	row->type->allowed(row, allowed, sizeof(allowed));
	fprintf(text, "  %-22s   %s\n", "", allowed);
	if (row->fallback)
		fprintf(text, "  %-22s   default: %s\n", "", row->fallback);
	if (row->mandatory)
		fprintf(text, "  %-22s   mandatory\n", "");
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

/* One KEY=VALUE of --devargs; @word is cut at the equals sign. */
static int parse_devarg(struct parse *p, char *word)
{
	char *equals = strchr(word, '='), allowed[256];
	const struct option_row *row = NULL;
	size_t i;

	if (!strncmp(word, PACKED_VQ "=", strlen(PACKED_VQ "=")))
		return parse_packed_vq(p, word);
	if (equals)
		*equals = '\0';
	for (i = 0; i < ARRAY_SIZE(rows) && !row; i++)
		if (is_devarg(&rows[i], word))
			row = &rows[i];
	if (!row)
		return options_refuse(p->error, p->size, "devargs", word,
				      "is not a key that is served here, see --help");
	if (!equals)
		return options_refuse(p->error, p->size, "devargs", word, "needs a value");
	*equals = '=';
	if (p->seen & UINT64_C(1) << (row - rows))
		return options_refuse(p->error, p->size, "devargs", word,
				      "was given before; give it once");
	p->seen |= UINT64_C(1) << (row - rows);
	if (set_value(p->out, row, equals + 1))
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
	if (!value && row->type)
		value = row->type->bare;
	if (row->devargs && *value)
		return parse_devargs(p, (char *)value);
	return set_value(p->out, row, value) ? 0 : refuse_value(p, row, value);
}

static void fill_getopt(struct option *options)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		options[i] = (struct option){
			.name = rows[i].name,
			.has_arg = !rows[i].type     ? no_argument :
				   rows[i].type->bare ? optional_argument :
							required_argument,
			.val = 1,
		};
	options[i] = (struct option){ 0 };
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
	struct option options[ARRAY_SIZE(rows) + 1];
	int code, index = 1, r;

	fill_getopt(options);
	optind = 0; /* a new run, also in a process that has called getopt before */
	opterr = 0;
	/* "+": argv keeps its order, so argv[index] is the word about to be read */
	while ((code = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		r = parse_one(p, argv[index], code, code == 1 ? value_of(argc, argv) : NULL);
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

static bool given(const struct parse *p, const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].name, name))
			return p->seen >> i & 1;
	return false;
}

/* Mode and group are those of a socket file of our own making. */
static int check_socket(struct parse *p)
{
	const struct options *o = p->out;
	const char *name = o->socket_mode.given	 ? "socket-mode"
			   : o->socket_group.given ? "socket-group"
						   : NULL;

	if (!name)
		return 0;
	if (!o->server)
		return options_refuse(p->error, p->size, name, NULL, "needs --server");
	if (o->path[0] == '@')
		return options_refuse(p->error, p->size, name, NULL,
				      "cannot be used with an abstract socket, to which anyone "
				      "may connect");
	return 0;
}

static int check_veth(struct parse *p)
{
	const struct options *o = p->out;
	char number[16];

	if (o->veth_peer && o->iface_type != OPTIONS_IFACE_VETH)
		return options_refuse(p->error, p->size, "veth-peer", o->veth_peer,
				      "needs --iface-type veth");
	if (o->iface_type != OPTIONS_IFACE_VETH)
		return 0;
	snprintf(number, sizeof(number), "%u", o->queues);
	if (o->queues > 1)
		return options_refuse(p->error, p->size, "queues", number,
				      "must be 1 with --iface-type veth");
	if (o->persist)
		return options_refuse(p->error, p->size, "persist", NULL,
				      "cannot be used with --iface-type veth");
	snprintf(number, sizeof(number), "%u", o->speed);
	if (o->speed)
		return options_refuse(p->error, p->size, "speed", number,
				      "cannot be used with --iface-type veth, whose speed the "
				      "kernel says");
	if (o->io == OPTIONS_IO_URING)
		return options_refuse(p->error, p->size, "io", "uring",
				      "cannot be used with --iface-type veth, use --io plain");
	return 0;
}

/* What each option allows alone may not go together. */
static int check_together(struct parse *p)
{
	struct options *o = p->out;
	char number[16];
	int r;

	if (!given(p, "cq"))
		o->cq = o->queues > 1;
	if (o->queues > 1 && !o->cq)
		return options_refuse(p->error, p->size, "cq", "0",
				      "must be 1 with %u queue pairs (--queues)", o->queues);
	snprintf(number, sizeof(number), "%u", o->workers);
	if (o->workers > o->queues)
		return options_refuse(p->error, p->size, "workers", number,
				      "must be at most %u, the number of --queues", o->queues);
	r = check_socket(p);
	return r ? r : check_veth(p);
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
	if (!r)
		r = check_mandatory(&p);
	return r ? r : check_together(&p);
}

static const struct option_row *find_name(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return NULL;
}

int options_store(struct options *out, const char *name, const char *value, char *error,
		  size_t size)
{
	const struct option_row *row = find_name(name);
	char allowed[256], why[sizeof(allowed) + 16];

	if (set_value(out, row, value))
		return 0;
	row->type->allowed(row, allowed, sizeof(allowed));
	snprintf(why, sizeof(why), "must be %s", allowed);
	return refuse(error, size, name, value, why);
}

const char *options_choice(const char *name, int value)
{
	const struct option_choice *c = find_name(name)->choices;

	while (c->name && c->value != value)
		c++;
	return c->name;
}

int options_check_path(const struct options *o, bool vhost_net, char *error, size_t size)
{
	if (!vhost_net && o->vhost_iface)
		return options_refuse(error, size, "vhost-iface", o->vhost_iface,
				      "needs --path /dev/vhost-net, not a socket");
	/* with a %d the kernel makes two of one; another namespace has its own names */
	if (vhost_net && o->vhost_iface && !o->netns && !strchr(o->iface, '%') &&
	    !strcmp(o->vhost_iface, o->iface))
		return options_refuse(error, size, "vhost-iface", o->vhost_iface,
				      "must be another one than --iface");
	if (vhost_net && o->server)
		return options_refuse(error, size, "server", NULL,
				      "needs a socket, not /dev/vhost-net");
	return 0;
}
