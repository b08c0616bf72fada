/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options, of the command line and of a file: one table in options.c gives the parser,
 * the checks, the help text and the error messages. A new option is a field here, a row there and
 * an item in man/vubridge.8 (tests/net/options_doc.sh compares them).
 */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "daemon/option_type.h"

/* Enough for any line that options_parse, options_refuse or path_classify writes. */
#define OPTIONS_ERROR_MAX 768u

/* No more options than bits in a uint64_t. */
#define OPTIONS_MAX 64u

/* Of --control, instead of a path; a file of that name is ./none. */
#define OPTIONS_CONTROL_NONE "none"

/* Exit statuses of the program, as the manual page has them. */
enum options_exit {
	OPTIONS_EXIT_OK = 0,
	OPTIONS_EXIT_SYSTEM = 1,
	OPTIONS_EXIT_USAGE = 2,
};

enum options_iface_type {
	OPTIONS_IFACE_TAP,
	OPTIONS_IFACE_VETH,
};

enum options_io {
	OPTIONS_IO_AUTO,
	OPTIONS_IO_URING,
	OPTIONS_IO_PLAIN,
};

enum options_offload {
	OPTIONS_OFFLOAD_AUTO,
	OPTIONS_OFFLOAD_ON,
	OPTIONS_OFFLOAD_OFF,
};

enum options_merge {
	OPTIONS_MERGE_ON,
	OPTIONS_MERGE_STRICT,
	OPTIONS_MERGE_OFF,
};

enum options_poll {
	OPTIONS_POLL_ADAPTIVE,
	OPTIONS_POLL_BUSY,
};

enum options_seccomp {
	OPTIONS_SECCOMP_ON,
	OPTIONS_SECCOMP_OFF,
};

struct options_file;

/* Strings are argv's own, the file's or static. */
struct options {
	const char *path;
	const char *config; /* NULL: there is no file */
	const char *iface;
	int iface_type;        /* enum options_iface_type */
	const char *veth_peer; /* NULL: not given */
	const char *vhost_iface; /* NULL: not given */
	struct options_mac mac;
	unsigned int mtu; /* 0: not given */
	unsigned int speed; /* Mbit/s, 0: not given */
	unsigned int queues;
	bool cq;
	bool persist;
	const char *netns; /* NULL: ours */
	unsigned int queue_size;
	bool queue_size_given;
	bool mrg_rxbuf;
	bool in_order;
	bool server;
	struct options_mode socket_mode;
	struct options_group socket_group;
	unsigned int workers; /* 0: one for each queue pair */
	struct options_cpus cpus;
	int offload; /* enum options_offload */
	int merge;   /* enum options_merge */
	int io;   /* enum options_io */
	int poll; /* enum options_poll */
	unsigned int idle_us;
	bool hugepages;
	struct options_user user;
	bool keep_caps;
	int seccomp; /* enum options_seccomp */
	const char *control;   /* NULL: at the usual place; OPTIONS_CONTROL_NONE: none */
	struct options_group control_group;
	int log_level; /* LOG_ERR to LOG_DEBUG, for log_set_level */

	uint64_t on_command_line;  /* bit i: row i was given there */
	struct options_file *file; /* what --config gave, NULL: nothing */
};

/*
 * Reads argv, and the file of --config, into *out. Returns 0 to go on, 1 when --help or
 * --version was asked for and its text is written to @text, or -EINVAL with one line,
 * without newline or program name, in @error. Close it when it returned 0.
 */
int options_parse(int argc, char **argv, FILE *text, struct options *out, char *error, size_t size);
/* Frees the file: what its strings were is gone. */
void options_close(struct options *o);

/*
 * Reads @value as that of the option called @name, whose row there is, into *out. -EINVAL
 * with one line in @error, "NAME 'VALUE': must be …".
 */
int options_store(struct options *out, const char *name, const char *value, char *error,
		  size_t size);
/* The word that stands for @value of an option that takes one of some words, or NULL. */
const char *options_choice(const char *name, int value);

/*
 * Refuses the options that make no sense with what the path is: vhost-net or, with
 * @vhost_net false, a socket. 0, or -EINVAL and one line in @error.
 */
int options_check_path(const struct options *o, bool vhost_net, char *error, size_t size);

/*
 * Writes "--NAME 'VALUE': " and the formatted reason to @error, on one line and
 * with a long value shortened. Returns -EINVAL.
 */
int options_refuse(char *error, size_t size, const char *name, const char *value,
		   const char *format, ...) __attribute__((format(printf, 5, 6)));

/*
 * Where @error begins with "--NAME" and that option's value is the file's, it begins with
 * "FILE:LINE: NAME" from here on.
 */
void options_tell_where(const struct options *o, char *error, size_t size);

#endif
