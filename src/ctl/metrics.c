/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * metrics: OpenMetrics text (version 1.0). A family's samples must stand together, whichever
 * daemon they are of; what there is to tell, the first daemon's table says.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <string.h>

#include "ctl/client.h"
#include "ctl/output.h"
#include "ctl/stats.h"

#define PREFIX "vubridge_"

/* @data: [{"name":…, "table":[…], "stats":{…}, "version":{…}}] */
static int gather(struct ctl *ctl __attribute__((unused)), struct client *c, void *data)
{
	json_t *table = client_ask(c, "/vubridge/metrics", NULL);
	json_t *stats = table ? stats_read(c) : NULL;
	const char *name;
	json_t *version = stats ? client_ask(c, "/vubridge/version", NULL) : NULL;

	if (!version) {
		json_decref(table);
		json_decref(stats);
		return client_fail(c);
	}
	/* names tell those apart that have interfaces of one name */
	name = strchr(c->name, '/') ? output_string(stats, "interface") : c->name;
	json_array_append_new(data, json_pack("{s:s, s:o, s:o, s:o}", "name", name, "table", table,
					      "stats", stats, "version", version));
	return CTL_OK;
}

/* A label's value, with what would end it escaped. */
static void print_escaped(const char *s)
{
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putchar('\\');
		if (*s == '\n')
			printf("\\n");
		else
			putchar(*s);
	}
}

static void begin_sample(const char *name, const char *suffix, const json_t *daemon)
{
	printf("%s%s{interface=\"", name, suffix);
	print_escaped(output_string(daemon, "name"));
	putchar('"');
}

static void end_sample(const json_t *value)
{
	printf("} %lld\n", json_integer_value(value));
}

/* The value of @row in one object that may have it, with labels that are printed already
 * when it has. */
struct place {
	const json_t *daemon, *object;
	const char *label; /* another label, "" or ",name=\"" without its value */
	size_t number;	   /* which is this */
	const char *direction;
};

static void print_sample(const json_t *row, const char *name, const struct place *p)
{
	bool drop = json_is_true(json_object_get(row, "drop"));
	bool counter = !strcmp(output_string(row, "type"), "counter");
	const char *key = output_string(row, "name");
	const json_t *from = drop      ? json_object_get(p->object, "drops")
			     : counter ? p->object
				       : json_object_get(p->object, "gauges");
	const json_t *value = json_object_get(from, key);

	if (!json_is_integer(value))
		return;
	begin_sample(name, counter ? "_total" : "", p->daemon);
	if (p->label[0])
		printf("%s%zu\"", p->label, p->number);
	if (p->direction)
		printf(",direction=\"%s\"", p->direction);
	if (drop)
		printf(",reason=\"%s\"", key);
	end_sample(value);
}

static void print_daemon(const json_t *row, const char *name, const json_t *daemon)
{
	static const char *const directions[] = {"rx", "tx"};
	const json_t *stats = json_object_get(daemon, "stats"), *item;
	const char *scope = output_string(row, "scope");
	struct place p = {.daemon = daemon, .label = ""};
	size_t i;

	if (!strcmp(scope, "bridge")) {
		p.object = json_object_get(stats, "bridge");
		if (json_is_true(json_object_get(row, "drop")))
			p.direction = output_string(row, "direction");
		print_sample(row, name, &p);
		return;
	}
	p.label = !strcmp(scope, "worker") ? ",worker=\"" : ",queue=\"";
	json_array_foreach(json_object_get(stats, !strcmp(scope, "worker") ? "workers" : "queues"),
			   p.number, item)
	{
		for (i = 0; i < 2 && !strcmp(scope, "queue"); i++) {
			p.direction = directions[i];
			p.object = json_object_get(item, directions[i]);
			print_sample(row, name, &p);
		}
		p.object = item;
		if (strcmp(scope, "queue") != 0)
			print_sample(row, name, &p);
	}
}

static void print_head(const char *name, const char *type, const char *unit, const char *help)
{
	printf("# TYPE %s %s\n", name, type);
	if (unit[0])
		printf("# UNIT %s %s\n", name, unit);
	printf("# HELP %s %s\n", name, help);
}

static void print_family(const json_t *row, const json_t *daemons)
{
	const json_t *daemon;
	char name[128];
	size_t i;

	snprintf(name, sizeof(name), PREFIX "%s", output_string(row, "name"));
	print_head(name, output_string(row, "type"), output_string(row, "unit"),
		   output_string(row, "help"));
	json_array_foreach(daemons, i, daemon) print_daemon(row, name, daemon);
}

/* All reasons are one family, whose help text names each. */
static void print_drops(const json_t *table, const json_t *daemons)
{
	const json_t *row, *daemon;
	const char *separator = "";
	size_t i, k;

	printf("# TYPE " PREFIX "drops counter\n# HELP " PREFIX "drops frames lost, by reason: ");
	json_array_foreach(table, i, row)
	{
		if (!json_is_true(json_object_get(row, "drop")))
			continue;
		printf("%s%s: %s", separator, output_string(row, "name"),
		       output_string(row, "help"));
		separator = "; ";
	}
	putchar('\n');
	json_array_foreach(daemons, k, daemon)
		json_array_foreach(table, i, row) if (json_is_true(json_object_get(row, "drop")))
			print_daemon(row, PREFIX "drops", daemon);
}

static void print_info(const json_t *daemons)
{
	const json_t *daemon;
	size_t i;

	print_head("vubridge", "info", "", "the program that runs");
	json_array_foreach(daemons, i, daemon)
	{
		begin_sample("vubridge", "_info", daemon);
		printf(",version=\"");
		print_escaped(output_string(json_object_get(daemon, "version"), "version"));
		printf("\"} 1\n");
	}
}

int verb_metrics(struct ctl *ctl, int argc, char **argv)
{
	json_t *daemons = json_array();
	const json_t *table, *row;
	int status;
	size_t i;

	if (argc || ctl->json) {
		json_decref(daemons);
		return argc ? ctl_misuse("metrics '%s': takes nothing", argv[0])
			    : ctl_misuse("metrics: has no JSON, use -j stats");
	}
	status = client_each(ctl, gather, daemons);
	table = json_object_get(json_array_get(daemons, 0), "table");
	if (table) {
		print_info(daemons);
		json_array_foreach(table, i, row) if (!json_is_true(json_object_get(row, "drop")))
			print_family(row, daemons);
		print_drops(table, daemons);
		printf("# EOF\n");
	}
	json_decref(daemons);
	return status;
}
