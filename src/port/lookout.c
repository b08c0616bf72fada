/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "port/lookout.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

/* Splits @path into directory and file. */
static int split_path(struct lookout *l, const char *path)
{
	char *a, *b;

	if (path[0] == '@')
		return 0;
	a = strdup(path);
	b = strdup(path);
	if (a && b) {
		l->directory = strdup(dirname(a));
		l->file = strdup(basename(b));
	}
	free(a);
	free(b);
	return l->directory && l->file ? 0 : -ENOMEM;
}

int lookout_open(struct lookout *l, sd_event *event, const char *path, void (*seen)(void *owner),
		 void *owner)
{
	*l = (struct lookout){.event = event, .seen = seen, .owner = owner};
	return split_path(l, path);
}

void lookout_close(struct lookout *l)
{
	lookout_end(l);
	free(l->directory);
	free(l->file);
}

static int on_directory(sd_event_source *source __attribute__((unused)),
			const struct inotify_event *ev, void *userdata)
{
	struct lookout *l = userdata;

	if (ev->mask & IN_IGNORED) /* the directory is gone; looked for again with each try */
		lookout_end(l);
	else if (ev->len && !strcmp(ev->name, l->file))
		l->seen(l->owner);
	return 0;
}

void lookout_begin(struct lookout *l)
{
	if (l->inotify || !l->directory)
		return;
	if (sd_event_add_inotify(l->event, &l->inotify, l->directory,
				 IN_CREATE | IN_MOVED_TO | IN_ONLYDIR, on_directory, l) < 0)
		l->inotify = NULL; /* to try from time to time will do */
}

void lookout_end(struct lookout *l)
{
	l->inotify = sd_event_source_disable_unref(l->inotify);
}
