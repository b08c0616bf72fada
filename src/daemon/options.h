/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line: one table in options.c gives the parser, the checks, the
 * help text and the error messages. A new option is a field here, a row there and
 * an item in man/vubridge.8 (tests/net/options_doc.sh compares them).
 */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <linux/if_ether.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Enough for any line that options_parse, options_refuse or path_classify writes. */
#define OPTIONS_ERROR_MAX 768u

/* Exit statuses of the program, as the manual page has them. */
enum options_exit {
	OPTIONS_EXIT_OK = 0,
	OPTIONS_EXIT_SYSTEM = 1,
	OPTIONS_EXIT_USAGE = 2,
};

enum options_io {
	OPTIONS_IO_AUTO,
	OPTIONS_IO_URING,
	OPTIONS_IO_PLAIN,
};

enum options_poll {
	OPTIONS_POLL_ADAPTIVE,
	OPTIONS_POLL_BUSY,
};

struct options_mac {
	bool given; /* else the kernel chooses an address */
	uint8_t addr[ETH_ALEN];
};

struct options_user {
	const char *name; /* NULL: whoever we are */
	uid_t uid;
	gid_t gid;
};

/* Strings are argv's own or static. */
struct options {
	const char *path;
	const char *iface;
	struct options_mac mac;
	unsigned int mtu; /* 0: not given */
	bool persist;
	const char *netns; /* NULL: ours */
	unsigned int queue_size;
	int io;   /* enum options_io */
	int poll; /* enum options_poll */
	unsigned int idle_us;
	bool hugepages;
	struct options_user user;
	bool keep_caps;
	int log_level; /* LOG_ERR to LOG_DEBUG, for log_set_level */
};

/*
 * Reads argv into *out. Returns 0 to go on, 1 when --help or --version was asked
 * for and its text is written to @text, or -EINVAL with one line, without newline
 * or program name, in @error.
 */
int options_parse(int argc, char **argv, FILE *text, struct options *out, char *error, size_t size);

/*
 * Writes "--NAME 'VALUE': " and the formatted reason to @error, on one line and
 * with a long value shortened. Returns -EINVAL.
 */
int options_refuse(char *error, size_t size, const char *name, const char *value,
		   const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
