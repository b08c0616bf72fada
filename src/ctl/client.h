/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One connection to a control socket. */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include <jansson.h>
#include <stddef.h>

#include "ctl/ctl.h"

#define CLIENT_ERROR_MAX 1100u

struct client {
	const char *name; /* of the daemon, for what is told; borrowed */
	int fd;
	int passed; /* the descriptor that came with the last answer, or -1 */
	char *buf;  /* [size] */
	size_t size;
	char error[CLIENT_ERROR_MAX]; /* of what failed last */
	int cancel_fd;		      /* borrowed */
	bool canceled;		      /* by which it failed */
};

/* 0 or -errno, with a line in @c->error; client_close either way. @cancel_fd ends any wait. */
int client_open(struct client *c, const struct find_entry *entry, int cancel_fd);
void client_close(struct client *c);

/*
 * Sends a command, with @params if they are not NULL, and returns the answer's value, which
 * is the caller's. NULL: it was refused or nobody answered; why stands in @c->error.
 */
json_t *client_ask(struct client *c, const char *command, const char *params);
/*
 * The value of the next message of that name, NULL at the connection's end. Waits for ever.
 */
json_t *client_next(struct client *c, const char *command);

/*
 * What heads the block of daemon @name: the name that -i takes, with its number where several
 * have it; @interface when that is another name, or @name a path.
 */
const char *client_title(const char *name, const char *interface);

/*
 * Calls @visit for each daemon that was found, with a connection. Returns an exit status: the
 * first that was not CTL_OK. That there is none is an error.
 */
int client_each(struct ctl *ctl, int (*visit)(struct ctl *ctl, struct client *c, void *data),
		void *data);
/* The same for a verb that changes something: there must be one, and no more. */
int client_one(struct ctl *ctl, int (*visit)(struct ctl *ctl, struct client *c, void *data),
	       void *data);
/* Tells what is in @c->error. Returns CTL_FAILED; CTL_CANCELED when that is why, untold. */
int client_fail(const struct client *c);

#endif
