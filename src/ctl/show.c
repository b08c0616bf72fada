/* SPDX-License-Identifier: GPL-2.0-or-later */
/* show and version */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <string.h>

#include "ctl/client.h"
#include "ctl/output.h"
#include "ctl/stats.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

/* " since DATE TIME (AGE)" */
static void print_since(const json_t *object)
{
	double since = json_number_value(json_object_get(object, "since"));
	char time[OUTPUT_TIME], age[OUTPUT_TIME];

	output_time(time, since);
	output_age(age, since);
	printf(" since %s (%s)", time, age);
}

static void print_state(const struct ctl *ctl, bool good, const char *text)
{
	printf("%s%s%s", output_colour(ctl, good ? OUTPUT_GOOD : OUTPUT_BAD), text,
	       output_colour(ctl, OUTPUT_PLAIN));
}

static void print_carrier(const struct ctl *ctl, const json_t *carrier)
{
	bool on = json_is_true(json_object_get(carrier, "on"));

	printf("    carrier ");
	print_state(ctl, on, on ? "on" : "off");
	print_since(carrier);
	if (!on)
		printf(": %s", output_string(carrier, "reason"));
	putchar('\n');
}

static void print_backend(const struct ctl *ctl, const json_t *backend, const char *state)
{
	bool connected = json_is_true(json_object_get(backend, "connected"));

	printf("    backend %s %s ", output_string(backend, "path"),
	       output_string(backend, "type"));
	print_state(ctl, connected, state);
	print_since(backend);
	printf(" connects %lld\n", output_integer(backend, "connects"));
}

static void print_queues(const json_t *queues, const json_t *workers)
{
	printf("    queues %lld of %lld", output_integer(queues, "active"),
	       output_integer(queues, "configured"));
	if (output_integer(queues, "backend"))
		printf(", %lld by the backend", output_integer(queues, "backend"));
	printf(", size %lld\n", output_integer(queues, "size"));
	printf("    workers %lld io %s poll %s idle-us %lld\n", output_integer(workers, "count"),
	       output_string(workers, "io"), output_string(workers, "poll"),
	       output_integer(workers, "idle_us"));
}

static void print_offloads(const json_t *offloads)
{
	printf("    offloads rx");
	output_words(json_object_get(offloads, "rx"));
	printf("\n             tx");
	output_words(json_object_get(offloads, "tx"));
	putchar('\n');
}

static void print_show(const struct ctl *ctl, const char *name, const json_t *state)
{
	const char *netns = output_string(state, "netns");
	bool up = json_is_true(json_object_get(state, "up"));

	printf("%lld: %s%s%s: <%s> %s %s mtu %lld", output_integer(state, "ifindex"),
	       output_colour(ctl, OUTPUT_NAME),
	       client_title(name, output_string(state, "interface")),
	       output_colour(ctl, OUTPUT_PLAIN), up ? "UP" : "DOWN", output_string(state, "kind"),
	       output_string(state, "mac"), output_integer(state, "mtu"));
	if (output_integer(state, "backend_mtu"))
		printf(" backend-mtu %lld", output_integer(state, "backend_mtu"));
	if (json_is_true(json_object_get(state, "promisc")))
		printf(" promisc");
	if (json_is_true(json_object_get(state, "allmulti")))
		printf(" allmulti");
	if (netns[0])
		printf(" netns %s", netns);
	putchar('\n');
	print_carrier(ctl, json_object_get(state, "carrier"));
	print_backend(ctl, json_object_get(state, "backend"), output_string(state, "state"));
	print_queues(json_object_get(state, "queues"), json_object_get(state, "workers"));
	print_offloads(json_object_get(state, "offloads"));
	printf("    features");
	output_words(json_object_get(state, "features"));
	printf("\n    offload %s merge %s log-level %s\n", output_string(state, "offload"),
	       output_string(state, "merge"), output_string(state, "log_level"));
}

/* @data: the array of a JSON answer */
static int show(struct ctl *ctl, struct client *c, void *data)
{
	json_t *state = client_ask(c, "/vubridge/show", NULL), *stats = NULL;

	if (state && ctl->statistics)
		stats = stats_read(c);
	if (!state || (ctl->statistics && !stats)) {
		json_decref(state);
		return client_fail(c);
	}
	if (ctl->json) {
		if (stats)
			json_object_set(state, "stats", stats);
		json_array_append(data, state);
	} else {
		print_show(ctl, c->name, state);
		if (stats)
			stats_print(c->name, stats, NULL, 0);
	}
	json_decref(stats);
	json_decref(state);
	return CTL_OK;
}

int verb_show(struct ctl *ctl, int argc, char **argv)
{
	json_t *all = json_array();
	int status;

	if (argc) {
		json_decref(all);
		return ctl_misuse("show '%s': takes nothing; say which by -i", argv[0]);
	}
	status = client_each(ctl, show, all);
	if (ctl->json)
		output_json(ctl, all);
	else
		json_decref(all);
	return status;
}

/* ---- version ---- */

static int version(struct ctl *ctl, struct client *c, void *data)
{
	json_t *answer = client_ask(c, "/vubridge/version", NULL);

	if (!answer)
		return client_fail(c);
	if (ctl->json) {
		json_object_set_new(answer, "interface", json_string(c->name));
		json_array_append(data, answer);
	} else {
		printf("%s: vubridge %s, process %lld\n", c->name, output_string(answer, "version"),
		       output_integer(answer, "pid"));
	}
	json_decref(answer);
	return CTL_OK;
}

/* Ours is told also where nothing runs. */
int verb_version(struct ctl *ctl, int argc, char **argv)
{
	json_t *daemons = json_array();
	int status = CTL_OK;

	if (argc) {
		json_decref(daemons);
		return ctl_misuse("version '%s': takes nothing", argv[0]);
	}
	if (!ctl->json)
		printf("vubctl %s\n", PACKAGE_VERSION);
	if (ctl->found.n || ctl->name)
		status = client_each(ctl, version, daemons);
	if (ctl->json)
		output_json(ctl, json_pack("{s:s, s:o}", "vubctl", PACKAGE_VERSION, "vubridge",
					   daemons));
	else
		json_decref(daemons);
	return status;
}
