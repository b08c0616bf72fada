/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs that change something: set, link, reconnect. */
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "ctl/client.h"
#include "ctl/output.h"

/* What there is to be set; the limits of the values are the daemon's to know. */
static const struct {
	const char *name, *command;
} settings[] = {
	{"mac", "/vubridge/set/mac"},	      {"mtu", "/vubridge/set/mtu"},
	{"queues", "/vubridge/set/queues"},   {"poll", "/vubridge/set/poll"},
	{"offload", "/vubridge/set/offload"}, {"merge", "/vubridge/set/merge"},
	{"idle-us", "/vubridge/set/idle-us"}, {"log-level", "/vubridge/set/log-level"},
};

static const char *find_setting(const char *word)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(settings); i++)
		if (ctl_matches(word, settings[i].name))
			return settings[i].command;
	return NULL;
}

struct words {
	int argc;
	char **argv;
};

static int change(struct client *c, const char *command, const char *params)
{
	json_t *answer = client_ask(c, command, params);

	json_decref(answer);
	return answer ? CTL_OK : client_fail(c);
}

static int set_all(struct ctl *ctl __attribute__((unused)), struct client *c, void *data)
{
	const struct words *w = data;
	int i, status = CTL_OK;

	for (i = 0; i < w->argc && !status; i += 2)
		status = change(c, find_setting(w->argv[i]), w->argv[i + 1]);
	return status;
}

int verb_set(struct ctl *ctl, int argc, char **argv)
{
	struct words words = {argc, argv};
	int i;

	if (!argc)
		return ctl_misuse("set: takes what to set and its value, see help");
	for (i = 0; i < argc; i += 2) {
		if (!find_setting(argv[i]))
			return ctl_misuse("set '%s': must be one of mac, mtu, queues, "
					  "offload, merge, poll, idle-us, log-level",
					  argv[i]);
		if (i + 1 == argc)
			return ctl_misuse("set %s: needs a value", argv[i]);
	}
	return client_one(ctl, set_all, &words);
}

static int set_link(struct ctl *ctl __attribute__((unused)), struct client *c, void *data)
{
	return change(c, "/vubridge/link", data);
}

int verb_link(struct ctl *ctl, int argc, char **argv)
{
	if (argc != 1 || (strcmp(argv[0], "up") && strcmp(argv[0], "down")))
		return ctl_misuse("link: takes up or down");
	return client_one(ctl, set_link, argv[0]);
}

static int reconnect(struct ctl *ctl __attribute__((unused)), struct client *c,
		     void *data __attribute__((unused)))
{
	return change(c, "/vubridge/reconnect", NULL);
}

int verb_reconnect(struct ctl *ctl, int argc, char **argv)
{
	if (argc)
		return ctl_misuse("reconnect '%s': takes nothing", argv[0]);
	return client_one(ctl, reconnect, NULL);
}
