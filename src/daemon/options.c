/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the table works: a row names an option, the type of its value and where in
 * struct options it goes. A type is two functions: one stores a value that is
 * allowed, one says in words what is. Everything else (the array for getopt_long,
 * --help, every error line) is made from the rows.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "daemon/options.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <syslog.h>

#include "base/util.h"
#include "daemon/option_type.h"
#include "daemon/options_table.h"

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
const struct option_row options_rows[] = {
	{ .name = "path", .type = &option_path, .metavar = "PATH", .mandatory = true,
	  .devarg = true,
	  FIELD(path), .help = "vhost-user backend's socket, or /dev/vhost-net" },
	{ .name = "config", .type = &option_path, .metavar = "FILE", .no_key = true,
	  FIELD(config), .help = "read options from this file, too" },
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
	{ .name = "queue-size", .type = &option_power, .metavar = "N", .fallback = "4096",
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
	  FIELD(idle_us), .help = "microseconds without work that a worker polls at most" },
	{ .name = "devargs", .type = &option_devargs, .metavar = "LIST", .devargs = true,
	  .no_key = true,
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
	{ .name = "help", .print = print_help, .help = "print this text and exit, as does -h" },
	{ .name = "version", .print = print_version,
	  .help = "print the version and exit, as does -V" },
	{ .name = NULL },
};
/* clang-format on */

_Static_assert(ARRAY_SIZE(options_rows) <= OPTIONS_MAX, "the options seen are kept in 64 bits");

int options_number(const char *name)
{
	int i;

	for (i = 0; options_rows[i].name; i++)
		if (!strcmp(options_rows[i].name, name))
			return i;
	return -1;
}

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
	const struct option_row *row;

	fputs("Usage: vubridge --path PATH [OPTION]...\n"
	      "       vubridge --config FILE [OPTION]...\n"
	      "Connects a vhost-user backend to a network interface of the kernel.\n\n",
	      text);
	for (row = options_rows; row->name; row++)
		print_row(text, row);
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

int options_say(char *error, size_t size, const char *word, const char *value, const char *why)
{
	char name[2 * QUOTED_MAX], text[QUOTED_MAX];

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
	return options_say(error, size, word, value, why);
}

/* Values */

bool options_set(struct options *out, const struct option_row *row, const char *value)
{
	void *field = (char *)out + row->offset;

	if (!row->type) { /* in a file a flag has a value */
		if (value && strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
			return false;
		*(bool *)field = !value || *value == '1';
		return true;
	}
	return *value && row->type->store(row, value, field);
}

int options_store(struct options *out, const char *name, const char *value, char *error,
		  size_t size)
{
	const struct option_row *row = &options_rows[options_number(name)];
	char allowed[256], why[sizeof(allowed) + 16];

	if (options_set(out, row, value))
		return 0;
	row->type->allowed(row, allowed, sizeof(allowed));
	snprintf(why, sizeof(why), "must be %s", allowed);
	return options_say(error, size, name, value, why);
}

const char *options_choice(const char *name, int value)
{
	const struct option_choice *c = options_rows[options_number(name)].choices;

	while (c->name && c->value != value)
		c++;
	return c->name;
}
