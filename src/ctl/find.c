/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/find.h"

#include <errno.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fdmsg.h"
#include "base/util.h"

#define PROBE_MS  1000
#define PATTERN	  "%s/dpdk/vubridge-*/dpdk_telemetry.v2*"
#define DIRECTORY "/vubridge-"
#define FILE_NAME "/dpdk_telemetry.v2"

/* /run/dpdk/vubridge-IFACE/dpdk_telemetry.v2[:N] to IFACE[:N] */
static bool name_of(char *name, size_t size, const char *path)
{
	const char *file = strstr(path, FILE_NAME), *dir = NULL, *p = path;
	const char *suffix;

	while (file && (p = strstr(p, DIRECTORY)) && p < file)
		dir = p++;
	if (!dir)
		return false;
	dir += strlen(DIRECTORY);
	suffix = file + strlen(FILE_NAME);
	if (*suffix && *suffix != ':')
		return false;
	snprintf(name, size, "%.*s%s", (int)(file - dir), dir, suffix);
	return true;
}

/* Are both of one interface's name, IFACE or IFACE:N? */
static bool is_namesake(const char *a, const char *b)
{
	size_t len = strcspn(a, ":");

	return len == strcspn(b, ":") && !strncmp(a, b, len);
}

/* IFACE stands for all of that name, IFACE:N for one of them. */
static bool is_wanted(const char *name, const char *wanted)
{
	bool is_first = !strchr(name, ':') && !strcmp(wanted + strcspn(wanted, ":"), ":0");

	return is_namesake(name, wanted) &&
	       (is_first || !strchr(wanted, ':') || !strcmp(name, wanted));
}

/* A dead vubridge leaves its socket behind; to a live one there is a way, if it is allowed. */
static bool is_dead(const char *path)
{
	const struct fdmsg_wait wait = fdmsg_wait_ms(PROBE_MS, -1);
	int fd = fdmsg_connect(path, SOCK_SEQPACKET, &wait);
	bool dead = fd == -ECONNREFUSED;

	close_fd(&fd);
	return dead;
}

static int add(struct find_list *list, const char *name, const char *path)
{
	struct find_entry *entries = realloc(list->entries, (list->n + 1) * sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	list->entries = entries;
	snprintf(entries[list->n].name, sizeof(entries[list->n].name), "%s", name);
	snprintf(entries[list->n].path, sizeof(entries[list->n].path), "%s", path);
	list->n++;
	return 0;
}

static int search(struct find_list *list, const char *runtime, const char *wanted)
{
	char pattern[PATH_MAX], name[PATH_MAX];
	glob_t g;
	size_t i;
	int r = 0;

	snprintf(pattern, sizeof(pattern), PATTERN, runtime);
	if (glob(pattern, 0, NULL, &g))
		return 0;
	for (i = 0; i < g.gl_pathc && !r; i++)
		if (name_of(name, sizeof(name), g.gl_pathv[i]) &&
		    (!wanted || is_namesake(name, wanted)) && !is_dead(g.gl_pathv[i]))
			r = add(list, name, g.gl_pathv[i]);
	globfree(&g);
	return r;
}

/* The first of several has no number in its path. */
static void number_first(struct find_list *list)
{
	size_t i, k, len;

	for (i = 0; i < list->n; i++) {
		len = strlen(list->entries[i].name);
		for (k = 0; k < list->n; k++)
			if (k != i && !strchr(list->entries[i].name, ':') &&
			    is_namesake(list->entries[i].name, list->entries[k].name))
				snprintf(list->entries[i].name + len,
					 sizeof(list->entries[i].name) - len, ":0");
	}
}

static void keep_wanted(struct find_list *list, const char *wanted)
{
	size_t i, n = 0;

	for (i = 0; i < list->n; i++)
		if (is_wanted(list->entries[i].name, wanted))
			list->entries[n++] = list->entries[i];
	list->n = n;
}

int find_sockets(struct find_list *list, const char *name)
{
	const char *own = getenv("XDG_RUNTIME_DIR");
	int r;

	*list = (struct find_list){0};
	if (name && strchr(name, '/'))
		return add(list, name, name);
	r = search(list, "/run", name);
	if (!r && own && own[0] == '/')
		r = search(list, own, name);
	number_first(list);
	if (name)
		keep_wanted(list, name);
	return r;
}

void find_free(struct find_list *list)
{
	free(list->entries);
	*list = (struct find_list){0};
}
