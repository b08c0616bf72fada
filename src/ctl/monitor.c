/* SPDX-License-Identifier: GPL-2.0-or-later */
/* monitor: what changes, as it comes, of one daemon or of all. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "ctl/client.h"
#include "ctl/output.h"

#define COMMAND "/vubridge/monitor"

static double realtime(void)
{
	return (double)(realtime_ns() / 1000000u) / 1000;
}

/* ---- text ---- */

static void print_carrier(const struct ctl *ctl, const json_t *carrier)
{
	bool on = json_is_true(json_object_get(carrier, "on"));

	printf(" carrier %s%s%s", output_colour(ctl, on ? OUTPUT_GOOD : OUTPUT_BAD),
	       on ? "on" : "off", output_colour(ctl, OUTPUT_PLAIN));
	if (!on)
		printf(" (%s)", output_string(carrier, "reason"));
}

static void print_backend(const struct ctl *ctl __attribute__((unused)), const json_t *backend)
{
	printf(" backend %s %s", output_string(backend, "path"),
	       json_is_true(json_object_get(backend, "connected")) ? "connected" : "disconnected");
}

static void print_queues(const struct ctl *ctl __attribute__((unused)), const json_t *queues)
{
	printf(" queues %lld of %lld", output_integer(queues, "active"),
	       output_integer(queues, "configured"));
}

static void print_workers(const struct ctl *ctl __attribute__((unused)), const json_t *workers)
{
	printf(" poll %s idle-us %lld", output_string(workers, "poll"),
	       output_integer(workers, "idle_us"));
}

static void print_features(const struct ctl *ctl __attribute__((unused)), const json_t *features)
{
	printf(" features");
	output_words(features);
}

/* Those of which the value alone does not read well; NULL: what says nothing new. */
static const struct {
	const char *key;
	void (*print)(const struct ctl *ctl, const json_t *value);
} prints[] = {
	{"carrier", print_carrier},
	{"backend", print_backend},
	{"queues", print_queues},
	{"workers", print_workers},
	{"features", print_features},
	{"offloads", NULL},
	{"state", NULL},
};

static void print_any(const char *key, const json_t *value)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

	if (json_is_string(value))
		printf(" %s %s", key, json_string_value(value));
	else
		printf(" %s %s", key, text ? text : "?");
	free(text);
}

static void print_change(const struct ctl *ctl, const char *name, const char *key,
			 const json_t *value)
{
	char time[OUTPUT_TIME];
	size_t i = 0;

	while (i < ARRAY_SIZE(prints) && strcmp(prints[i].key, key) != 0)
		i++;
	if (i < ARRAY_SIZE(prints) && !prints[i].print)
		return;
	if (json_is_array(value) && !json_array_size(value)) /* no features without a backend */
		return;
	output_time(time, realtime());
	printf("%s %s%s%s:", time, output_colour(ctl, OUTPUT_NAME), name,
	       output_colour(ctl, OUTPUT_PLAIN));
	if (i < ARRAY_SIZE(prints))
		prints[i].print(ctl, value);
	else
		print_any(key, value);
	putchar('\n');
}

/* Takes @changes over. */
static void tell(const struct ctl *ctl, const char *name, json_t *changes)
{
	const json_t *value;
	const char *key;

	if (ctl->json) {
		json_object_set_new(changes, "daemon", json_string(name));
		json_object_set_new(changes, "time", json_real(realtime()));
		output_json_line(changes);
		return;
	}
	json_object_foreach(changes, key, value) print_change(ctl, name, key, value);
	fflush(stdout);
	json_decref(changes);
}

/* ---- listening ---- */

/* In JSON the first line of each is all of its state; text begins with the first change. */
static int subscribe(const struct ctl *ctl, struct client *c, const struct find_entry *entry)
{
	json_t *state = client_open(c, entry, -1) ? NULL : client_ask(c, COMMAND, NULL);

	if (!state)
		return client_fail(c);
	if (ctl->json)
		tell(ctl, c->name, json_incref(state));
	json_decref(state);
	return CTL_OK;
}

/* Until the last of them has ended. */
static int listen_to(const struct ctl *ctl, struct client *clients, struct pollfd *fds, size_t n)
{
	size_t i, left = n;
	json_t *changes;

	while (left) {
		if (poll(fds, n, -1) < 0)
			continue;
		for (i = 0; i < n; i++) {
			if (fds[i].fd < 0 || !fds[i].revents)
				continue;
			changes = client_next(&clients[i], COMMAND);
			if (changes) {
				tell(ctl, clients[i].name, changes);
				continue;
			}
			client_fail(&clients[i]);
			fds[i].fd = -1;
			left--;
		}
	}
	return CTL_FAILED;
}

int verb_monitor(struct ctl *ctl, int argc, char **argv)
{
	size_t n = ctl->found.n, i, opened = 0;
	struct client *clients;
	struct pollfd *fds;
	int status = CTL_OK;

	if (argc)
		return ctl_misuse("monitor '%s': takes nothing; say which by -i", argv[0]);
	if (!n)
		return client_each(ctl, NULL, NULL);
	clients = calloc(n, sizeof(*clients));
	fds = calloc(n, sizeof(*fds));
	if (!clients || !fds)
		status = ctl_fail("out of memory");
	for (i = 0; i < n && !status; i++) {
		status = subscribe(ctl, &clients[i], &ctl->found.entries[i]);
		fds[i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
		opened++;
	}
	if (!status)
		status = listen_to(ctl, clients, fds, n);
	for (i = 0; i < opened; i++)
		client_close(&clients[i]);
	free(clients);
	free(fds);
	return status;
}
