/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fdmsg.h"
#include "base/util.h"

/* A daemon may be waiting for an answer of its backend, up to 3 seconds each. */
#define ANSWER_MS    10000
#define GREETING_MAX 1024u
#define REQUEST_MAX  1023u

static void __attribute__((format(printf, 2, 3)))
set_error(struct client *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->error, sizeof(c->error), format, args);
	va_end(args);
}

/* A packet, and the descriptor that comes with it, if one does. */
static ssize_t receive_packet(struct client *c)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = c->buf, .iov_len = c->size};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *cmsg = n < 0 ? NULL : CMSG_FIRSTHDR(&msg);

	close_fd(&c->passed);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(&c->passed, CMSG_DATA(cmsg), sizeof(int));
	return n;
}

/* One packet, as JSON. */
static json_t *receive(struct client *c, int timeout_ms)
{
	struct fdmsg_wait wait = fdmsg_wait_ms((unsigned int)timeout_ms, c->cancel_fd);
	json_t *json;
	ssize_t n;
	int r;

	if (timeout_ms < 0)
		wait.deadline_ns = UINT64_MAX;
	r = fdmsg_await(c->fd, -1, &wait);
	if (r) {
		set_error(c, "no answer");
		c->canceled = r == -ECANCELED;
		return NULL;
	}
	n = receive_packet(c);
	if (n <= 0) {
		set_error(c, "the connection has ended");
		return NULL;
	}
	json = json_loadb(c->buf, (size_t)n, 0, NULL);
	if (!json)
		set_error(c, "the answer is not understood");
	return json;
}

static int read_greeting(struct client *c)
{
	json_t *greeting = receive(c, ANSWER_MS);
	json_int_t size = json_integer_value(json_object_get(greeting, "max_output_len"));
	char *buf = size > 0 && size < INT_MAX ? realloc(c->buf, (size_t)size) : NULL;
	bool none = !greeting;

	json_decref(greeting);
	if (c->canceled)
		return -ECANCELED;
	if (none) {
		set_error(c, "the connection was closed: too many clients?");
		return -ECONNRESET;
	}
	if (!buf) {
		set_error(c, "it does not greet as DPDK's telemetry does");
		return -EPROTO;
	}
	c->buf = buf;
	c->size = (size_t)size;
	return 0;
}

int client_open(struct client *c, const struct find_entry *entry, int cancel_fd)
{
	const struct fdmsg_wait wait = fdmsg_wait_ms(ANSWER_MS, cancel_fd);

	*c = (struct client){
		.name = entry->name,
		.passed = -1,
		.size = GREETING_MAX,
		.cancel_fd = cancel_fd,
	};
	c->buf = malloc(c->size);
	c->fd = c->buf ? fdmsg_connect(entry->path, SOCK_SEQPACKET, &wait) : -ENOMEM;
	if (c->fd < 0) {
		c->canceled = c->fd == -ECANCELED;
		set_error(c, "%s",
			  c->fd == -ENOENT || c->fd == -ECONNREFUSED ? "no vubridge runs there"
			  : c->fd == -EACCES
				  ? "no permission; be root, or in the group of --control-group"
				  : strerror(-c->fd));
		return c->fd;
	}
	return read_greeting(c);
}

void client_close(struct client *c)
{
	close_fd(&c->fd);
	close_fd(&c->passed);
	free(c->buf);
	c->buf = NULL;
}

json_t *client_ask(struct client *c, const char *command, const char *params)
{
	char request[REQUEST_MAX + 1];
	int len = snprintf(request, sizeof(request), "%s%s%s", command, params ? "," : "",
			   params ? params : "");
	json_t *answer, *value;

	if (len > (int)REQUEST_MAX) {
		set_error(c, "that is more than a request can hold");
		return NULL;
	}
	if (send(c->fd, request, (size_t)len, MSG_NOSIGNAL) < 0) {
		set_error(c, "the connection has ended");
		return NULL;
	}
	answer = receive(c, ANSWER_MS);
	if (!answer)
		return NULL;
	value = json_object_get(answer, command);
	if (json_is_null(value)) {
		const char *why = json_string_value(json_object_get(answer, "error"));

		set_error(c, "%s", why ? why : "refused");
		value = NULL;
	} else if (!value) {
		set_error(c, "the answer is to something else");
	}
	json_incref(value);
	json_decref(answer);
	return value;
}

json_t *client_next(struct client *c, const char *command)
{
	json_t *answer = receive(c, -1), *value = json_object_get(answer, command);

	json_incref(value);
	json_decref(answer);
	return value;
}

const char *client_title(const char *name, const char *interface)
{
	size_t len = strlen(interface);

	return !strncmp(name, interface, len) && (!name[len] || name[len] == ':') ? name
										  : interface;
}

int client_fail(const struct client *c)
{
	return c->canceled ? CTL_CANCELED : ctl_fail("%s: %s", c->name, c->error);
}

int client_each(struct ctl *ctl, int (*visit)(struct ctl *ctl, struct client *c, void *data),
		void *data)
{
	int status = CTL_OK;
	struct client c;
	size_t i;

	if (!ctl->found.n)
		return ctl->name ? ctl_fail("%s: no vubridge runs for it", ctl->name)
				 : ctl_fail("no vubridge with a control socket runs here");
	for (i = 0; i < ctl->found.n; i++) {
		int one = client_open(&c, &ctl->found.entries[i], ctl->cancel_fd)
				  ? client_fail(&c)
				  : visit(ctl, &c, data);

		status = status ? status : one;
		client_close(&c);
	}
	return status;
}

int client_one(struct ctl *ctl, int (*visit)(struct ctl *ctl, struct client *c, void *data),
	       void *data)
{
	if (ctl->found.n > 1)
		return ctl_misuse("several run (%s, %s%s): say which by -i",
				  ctl->found.entries[0].name, ctl->found.entries[1].name,
				  ctl->found.n > 2 ? ", …" : "");
	return client_each(ctl, visit, data);
}
