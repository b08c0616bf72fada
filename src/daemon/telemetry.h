/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A server that speaks DPDK's telemetry, version 2: unix packets, a greeting, a request
 * "/command,params" and its answer {"/command":value}. It knows nothing of what the commands
 * do.
 *
 * An answer may carry a descriptor, as DPDK's never do.
 *
 * A client who does not read its answers is not read from, and so waits for itself alone; one
 * who has asked to be told of events and does not read them is dropped.
 */
#ifndef DAEMON_TELEMETRY_H
#define DAEMON_TELEMETRY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

/* The longest answer, in bytes, which a socket takes in one piece; told in the greeting. */
#define TELEMETRY_OUTPUT_MAX 131072u
/* The longest request, without the zero that DPDK's server puts behind it. */
#define TELEMETRY_INPUT_MAX   1023u
#define TELEMETRY_CLIENTS_MAX 10u
/* Of these, at most as many who may only look: root finds a place whatever they do. */
#define TELEMETRY_READERS_MAX 8u
/* The longest name of a command. */
#define TELEMETRY_NAME_MAX 55u

/* One request while it is served. */
struct telemetry_call {
	void *owner;
	const char *by;	     /* who asks, for the log */
	const char *params;  /* what follows the comma, NULL: nothing */
	unsigned int client; /* a number that no other connection ever has */
	bool subscribe;	     /* set it: this client gets what telemetry_publish sends */
	int fd;		     /* set it: goes with the answer, borrowed until then; -1 at first */
	char *error;	     /* one line why there is no value; "" at first */
	size_t size;
};

struct telemetry_command {
	const char *name; /* "/ethdev/stats" */
	const char *help;
	bool change; /* refused to all but root and the user that we run as */
	/* The answer's value, which passes to the caller; NULL (null): there is none. */
	json_t *(*run)(struct telemetry_call *call);
};

struct telemetry;

struct telemetry_config {
	int listen_fd;	     /* borrowed: of SOCK_SEQPACKET, not blocking */
	const char *tag;     /* of log lines */
	const char *version; /* of this program, with its name */
	/* in the order of their names; must outlive the server, as all of this */
	const struct telemetry_command *commands;
	size_t ncommands;
	void (*left)(void *owner, unsigned int client); /* a connection ended; or NULL */
	void *owner;
};

/* 0 or -errno. */
int telemetry_open(struct telemetry **out, sd_event *event, const struct telemetry_config *config);
void telemetry_close(struct telemetry *t); /* NULL-safe; all connections end */

/* Is there anyone to publish for? */
bool telemetry_has_subscribers(const struct telemetry *t);
/* Sends {"name":value} to each who has subscribed; takes @value over. */
void telemetry_publish(struct telemetry *t, const char *name, json_t *value);

#endif
