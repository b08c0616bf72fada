/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/telemetry.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

/* Answers and events that wait for one client: about what a monitor's pipe may lag behind. */
#define QUEUE_MAX 64u
/* Without descriptors or memory for one more client: not at once again. */
#define ACCEPT_PAUSE_US 1000000u
#define ERROR_MAX	1024u

struct message {
	struct message *next;
	int fd; /* that goes with it, or -1 */
	size_t len;
	char text[];
};

struct client {
	struct telemetry *t;
	int fd; /* -1: a free place */
	unsigned int number;
	bool may_change;
	bool subscribed;
	sd_event_source *source;
	struct message *first, **last; /* not sent yet */
	unsigned int queued;
};

struct telemetry {
	struct telemetry_config config;
	sd_event *event;
	sd_event_source *listen, *pause;
	unsigned int connections; /* so far */
	struct client clients[TELEMETRY_CLIENTS_MAX];
};

/* ---- sending ---- */

static void free_message(struct message *m)
{
	close_fd(&m->fd);
	free(m);
}

static ssize_t send_message(int fd, struct message *m)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {.iov_base = m->text, .iov_len = m->len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *cmsg;

	if (m->fd >= 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &m->fd, sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void end(struct client *c)
{
	struct telemetry *t = c->t;

	c->source = sd_event_source_disable_unref(c->source);
	close_fd(&c->fd);
	while (c->first) {
		struct message *m = c->first;

		c->first = m->next;
		free_message(m);
	}
	if (t->config.left)
		t->config.left(t->config.owner, c->number);
}

/* Sends what waits, as far as the client takes it; it is heard again when nothing does. */
static void flush(struct client *c)
{
	while (c->first) {
		struct message *m = c->first;

		if (send_message(c->fd, m) < 0) {
			if (errno == EINTR)
				continue;
			if (errno != EAGAIN)
				end(c);
			break;
		}
		c->first = m->next;
		c->queued--;
		free_message(m);
	}
	if (c->fd >= 0)
		sd_event_source_set_io_events(c->source, c->first ? EPOLLOUT : EPOLLIN);
}

static void enqueue(struct client *c, struct message *m)
{
	if (!c->first)
		c->last = &c->first;
	m->next = NULL;
	*c->last = m;
	c->last = &m->next;
	c->queued++;
	flush(c);
}

/* As text; -EMSGSIZE when it is longer than a client expects. */
static int to_message(struct message **out, const json_t *json)
{
	/* times are in seconds, to the millisecond */
	const size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(13);
	size_t len = json_dumpb(json, NULL, 0, flags);

	*out = NULL;
	if (len > TELEMETRY_OUTPUT_MAX)
		return -EMSGSIZE;
	if (len)
		*out = malloc(sizeof(**out) + len);
	if (!*out)
		return -ENOMEM;
	(*out)->fd = -1;
	(*out)->len = json_dumpb(json, (*out)->text, len, flags);
	return 0;
}

/* {"name":value} or, with the reason beside it, {"name":null,"error":"…"} */
static json_t *wrap(const char *name, json_t *value, const char *error)
{
	json_t *answer = json_object();

	json_object_set_new(answer, name, value ? value : json_null());
	if (error && error[0])
		json_object_set_new(answer, "error", json_string(error));
	return answer;
}

/* Takes @value over, and keeps a descriptor of its own of @fd, unless that is -1. */
static void answer(struct client *c, const char *name, json_t *value, const char *error, int fd)
{
	json_t *json = wrap(name, value, error);
	struct message *m;
	int r = to_message(&m, json);

	json_decref(json);
	if (r == -EMSGSIZE) {
		json = wrap(name, NULL, "the answer would be longer than max_output_len");
		r = to_message(&m, json);
		json_decref(json);
	}
	if (!r && fd >= 0) {
		m->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		r = m->fd < 0 ? -errno : 0;
	}
	if (r) {
		free(m);
		end(c);
	} else {
		enqueue(c, m);
	}
}

/* ---- the commands that every server has ---- */

static json_t *list_commands(const struct telemetry *t)
{
	static const char *const own[] = {"/", "/help", "/info"};
	json_t *names = json_array();
	size_t i, k = 0;

	/* DPDK's are sorted too */
	for (i = 0; i < t->config.ncommands; i++) {
		const char *name = t->config.commands[i].name;

		while (k < ARRAY_SIZE(own) && strcmp(own[k], name) < 0)
			json_array_append_new(names, json_string(own[k++]));
		json_array_append_new(names, json_string(name));
	}
	while (k < ARRAY_SIZE(own))
		json_array_append_new(names, json_string(own[k++]));
	return names;
}

static json_t *info(const struct telemetry *t)
{
	return json_pack("{s:s, s:i, s:i}", "version", t->config.version, "pid", (int)getpid(),
			 "max_output_len", (int)TELEMETRY_OUTPUT_MAX);
}

static const struct telemetry_command *find(const struct telemetry *t, const char *name)
{
	size_t i;

	for (i = 0; i < t->config.ncommands; i++)
		if (!strcmp(t->config.commands[i].name, name))
			return &t->config.commands[i];
	return NULL;
}

static json_t *help(const struct telemetry *t, const char *name)
{
	static const struct {
		const char *name, *help;
	} own[] = {
		{"/", "Returns the names of all commands"},
		{"/info", "Returns version, process id and the longest answer in bytes"},
		{"/help", "Returns what a command does. Parameter: its name"},
	};
	const struct telemetry_command *command = find(t, name);
	size_t i;

	if (command)
		return json_pack("{s:s}", name, command->help);
	for (i = 0; i < ARRAY_SIZE(own); i++)
		if (!strcmp(own[i].name, name))
			return json_pack("{s:s}", name, own[i].help);
	return NULL;
}

/* ---- requests ---- */

static json_t *run(struct client *c, const char *name, struct telemetry_call *call)
{
	struct telemetry *t = c->t;
	const struct telemetry_command *command = find(t, name);
	json_t *value;

	if (!strcmp(name, "/"))
		return list_commands(t);
	if (!strcmp(name, "/info"))
		return info(t);
	if (!strcmp(name, "/help"))
		return help(t, call->params ? call->params : name);
	if (!command) {
		snprintf(call->error, call->size, "there is no such command");
		return NULL;
	}
	if (command->change && !c->may_change) {
		snprintf(call->error, call->size,
			 "no permission: only root and the user that vubridge runs as may do that");
		return NULL;
	}
	value = command->run(call);
	if (call->subscribe && value)
		c->subscribed = true;
	return value;
}

/* What may stand in an answer as the name of the command. */
static bool is_name(const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++)
		if (!isgraph((unsigned char)name[i]) || (signed char)name[i] < 0)
			return false;
	return name[0] == '/' && i <= TELEMETRY_NAME_MAX;
}

static void serve(struct client *c, char *request, size_t len)
{
	char error[ERROR_MAX] = "";
	char *comma = strchr(request, ',');
	struct telemetry_call call = {
		.owner = c->t->config.owner,
		.by = "the control socket",
		.params = comma && comma[1] ? comma + 1 : NULL,
		.client = c->number,
		.fd = -1,
		.error = error,
		.size = sizeof(error),
	};
	json_t *value = NULL;

	if (comma)
		*comma = '\0';
	if (!is_name(request))
		request = (char *)"none"; /* as DPDK's answer has it */
	if (len > TELEMETRY_INPUT_MAX)
		snprintf(error, sizeof(error), "the request is longer than %u bytes",
			 TELEMETRY_INPUT_MAX);
	else
		value = run(c, request, &call);
	answer(c, request, value, error, call.fd);
}

static int on_client(sd_event_source *source __attribute__((unused)), int fd, uint32_t revents,
		     void *userdata)
{
	struct client *c = userdata;
	char request[TELEMETRY_INPUT_MAX + 1];
	ssize_t n;

	if (revents & EPOLLOUT) {
		flush(c);
		return 0;
	}
	n = recv(fd, request, sizeof(request) - 1, MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		end(c);
		return 0;
	}
	request[MIN((size_t)n, sizeof(request) - 1)] = '\0';
	serve(c, request, (size_t)n);
	return 0;
}

/* ---- clients ---- */

/* Whoever may connect may ask; who asks for a change must be one who could kill us as well. */
static bool is_trusted(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static int begin(struct telemetry *t, struct client *c, int fd, bool may_change)
{
	struct message *m;
	json_t *greeting;
	int r;

	*c = (struct client){
		.t = t,
		.fd = fd,
		.number = ++t->connections,
		.may_change = may_change,
	};
	r = sd_event_add_io(t->event, &c->source, fd, EPOLLIN, on_client, c);
	if (r < 0) {
		close_fd(&c->fd);
		return r;
	}
	greeting = info(t);
	r = to_message(&m, greeting);
	json_decref(greeting);
	if (r)
		end(c);
	else
		enqueue(c, m);
	return r;
}

static int pause_listening(struct telemetry *t, int error)
{
	log_warning(t->config.tag, "cannot accept a client of the control socket: %s",
		    strerror(-error));
	sd_event_source_set_enabled(t->listen, SD_EVENT_OFF);
	sd_event_source_set_time_relative(t->pause, ACCEPT_PAUSE_US);
	return sd_event_source_set_enabled(t->pause, SD_EVENT_ONESHOT);
}

static int on_pause(sd_event_source *source __attribute__((unused)),
		    uint64_t usec __attribute__((unused)), void *userdata)
{
	struct telemetry *t = userdata;

	return sd_event_source_set_enabled(t->listen, SD_EVENT_ON);
}

/* A free place, or NULL: who only looks leaves the last ones to those who may change things. */
static struct client *find_place(struct telemetry *t, bool may_change)
{
	struct client *place = NULL;
	unsigned int i, readers = 0;

	for (i = 0; i < TELEMETRY_CLIENTS_MAX; i++) {
		if (t->clients[i].fd < 0)
			place = place ? place : &t->clients[i];
		else if (!t->clients[i].may_change)
			readers++;
	}
	return may_change || readers < TELEMETRY_READERS_MAX ? place : NULL;
}

static int on_listen(sd_event_source *source __attribute__((unused)), int listen_fd,
		     uint32_t revents __attribute__((unused)), void *userdata)
{
	struct telemetry *t = userdata;
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), r;
	struct client *place;
	bool change;

	if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
		return 0;
	if (fd < 0)
		return pause_listening(t, -errno);
	change = is_trusted(fd);
	place = find_place(t, change);
	if (!place) {
		log_warning(t->config.tag, "closed a connection to the control socket: %u are open",
			    change ? TELEMETRY_CLIENTS_MAX : TELEMETRY_READERS_MAX);
		close_fd(&fd);
		return 0;
	}
	r = begin(t, place, fd, change);
	return r ? pause_listening(t, r) : 0;
}

/* ---- events ---- */

bool telemetry_has_subscribers(const struct telemetry *t)
{
	unsigned int i;

	for (i = 0; i < TELEMETRY_CLIENTS_MAX; i++)
		if (t->clients[i].fd >= 0 && t->clients[i].subscribed)
			return true;
	return false;
}

static void publish(struct client *c, const char *name, json_t *value)
{
	if (c->queued < QUEUE_MAX) {
		answer(c, name, json_incref(value), NULL, -1);
		return;
	}
	log_warning(c->t->config.tag, "dropped a client of the control socket: it does not read");
	end(c);
}

void telemetry_publish(struct telemetry *t, const char *name, json_t *value)
{
	unsigned int i;

	for (i = 0; i < TELEMETRY_CLIENTS_MAX; i++)
		if (t->clients[i].fd >= 0 && t->clients[i].subscribed)
			publish(&t->clients[i], name, value);
	json_decref(value);
}

/* ---- life ---- */

int telemetry_open(struct telemetry **out, sd_event *event, const struct telemetry_config *config)
{
	struct telemetry *t = calloc(1, sizeof(*t));
	unsigned int i;
	int r;

	*out = NULL;
	if (!t)
		return -ENOMEM;
	t->config = *config;
	t->event = sd_event_ref(event);
	for (i = 0; i < TELEMETRY_CLIENTS_MAX; i++)
		t->clients[i].fd = -1;
	r = sd_event_add_io(event, &t->listen, config->listen_fd, EPOLLIN, on_listen, t);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &t->pause, CLOCK_MONOTONIC, 0, 0, on_pause,
					       t);
	if (r >= 0)
		r = sd_event_source_set_enabled(t->pause, SD_EVENT_OFF);
	if (r < 0) {
		telemetry_close(t);
		return r;
	}
	*out = t;
	return 0;
}

void telemetry_close(struct telemetry *t)
{
	unsigned int i;

	if (!t)
		return;
	sd_event_source_disable_unref(t->listen);
	sd_event_source_disable_unref(t->pause);
	for (i = 0; i < TELEMETRY_CLIENTS_MAX; i++)
		if (t->clients[i].fd >= 0)
			end(&t->clients[i]);
	sd_event_unref(t->event);
	free(t);
}
