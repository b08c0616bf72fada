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

/* What of it has changed; the rest might be about to. */
static void print_workers(const json_t *workers, const json_t *before)
{
	if (strcmp(output_string(workers, "poll"), output_string(before, "poll")) != 0)
		printf(" poll %s", output_string(workers, "poll"));
	if (output_integer(workers, "idle_us") != output_integer(before, "idle_us"))
		printf(" idle-us %lld", output_integer(workers, "idle_us"));
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
	{"carrier", print_carrier},   {"backend", print_backend}, {"queues", print_queues},
	{"features", print_features}, {"offloads", NULL},	  {"state", NULL},
};

static void print_any(const char *key, const json_t *value)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

	putchar(' ');
	for (; *key; key++) /* as options and settings have it */
		putchar(*key == '_' ? '-' : *key);
	printf(" %s", json_is_string(value) ? json_string_value(value) : text ? text : "?");
	free(text);
}

static void print_change(const struct ctl *ctl, const char *name, const char *key,
			 const json_t *value, const json_t *before)
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
	else if (!strcmp(key, "workers"))
		print_workers(value, before);
	else
		print_any(key, value);
	putchar('\n');
}

/* One that is listened to. */
struct source {
	struct client client;
	json_t *state; /* all that it has told */
};

/* Takes @changes over. */
static void tell(const struct ctl *ctl, struct source *s, json_t *changes)
{
	const char *name = s->client.name, *key;
	const json_t *value;

	if (ctl->json) {
		json_object_set_new(changes, "daemon", json_string(name));
		json_object_set_new(changes, "time", json_real(realtime()));
		output_json_line(changes);
		return;
	}
	json_object_foreach(changes, key, value)
		print_change(ctl, name, key, value, json_object_get(s->state, key));
	fflush(stdout);
	json_object_update(s->state, changes);
	json_decref(changes);
}

/* ---- listening ---- */

/* In JSON the first line of each is all of its state; text begins with the first change. */
static int subscribe(const struct ctl *ctl, struct source *s, const struct find_entry *entry)
{
	struct client *c = &s->client;

	s->state = client_open(c, entry, -1) ? NULL : client_ask(c, COMMAND, NULL);
	if (!s->state)
		return client_fail(c);
	if (ctl->json)
		tell(ctl, s, json_incref(s->state));
	return CTL_OK;
}

/* Until the last of them has ended. */
static int listen_to(const struct ctl *ctl, struct source *sources, struct pollfd *fds, size_t n)
{
	size_t i, left = n;
	json_t *changes;

	while (left) {
		if (poll(fds, n, -1) < 0)
			continue;
		for (i = 0; i < n; i++) {
			if (fds[i].fd < 0 || !fds[i].revents)
				continue;
			changes = client_next(&sources[i].client, COMMAND);
			if (changes) {
				tell(ctl, &sources[i], changes);
				continue;
			}
			client_fail(&sources[i].client);
			fds[i].fd = -1;
			left--;
		}
	}
	return CTL_FAILED;
}

int verb_monitor(struct ctl *ctl, int argc, char **argv)
{
	size_t n = ctl->found.n, i, opened = 0;
	struct source *sources;
	struct pollfd *fds;
	int status = CTL_OK;

	if (argc)
		return ctl_misuse("monitor '%s': takes nothing; say which by -i", argv[0]);
	if (!n)
		return client_each(ctl, NULL, NULL);
	sources = calloc(n, sizeof(*sources));
	fds = calloc(n, sizeof(*fds));
	if (!sources || !fds)
		status = ctl_fail("out of memory");
	for (i = 0; i < n && !status; i++) {
		status = subscribe(ctl, &sources[i], &ctl->found.entries[i]);
		fds[i] = (struct pollfd){.fd = sources[i].client.fd, .events = POLLIN};
		opened++;
	}
	if (!status)
		status = listen_to(ctl, sources, fds, n);
	for (i = 0; i < opened; i++) {
		client_close(&sources[i].client);
		json_decref(sources[i].state);
	}
	free(sources);
	free(fds);
	return status;
}
