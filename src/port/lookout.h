/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sees the peer's socket file come, so that nobody has to try for it all the time. */
#ifndef PORT_LOOKOUT_H
#define PORT_LOOKOUT_H

#include <systemd/sd-event.h>

struct lookout {
	sd_event *event; /* borrowed */
	void (*seen)(void *owner);
	void *owner;
	char *directory, *file;	  /* NULL for an abstract socket, which nobody sees come */
	sd_event_source *inotify; /* NULL: not watching */
};

/* 0 or -errno; to be closed also then. */
int lookout_open(struct lookout *l, sd_event *event, const char *path, void (*seen)(void *owner),
		 void *owner);
void lookout_close(struct lookout *l); /* safe on a zeroed object */

/* Begins to watch, if the directory is there and it has not begun yet. */
void lookout_begin(struct lookout *l);
void lookout_end(struct lookout *l);

#endif
