/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A live view: one picture after another in a terminal of any size. */
#ifndef CTL_LIVE_H
#define CTL_LIVE_H

#include <signal.h>
#include <stdint.h>
#include <stdio.h>

struct live {
	unsigned int columns, rows;
	sigset_t signals; /* that end the view, or change its size */
	sigset_t signals_before;
	int cancel_fd; /* readable while one waits for live_wait that ends or stops the view */
	int stderr_fd; /* the real one, while messages wait until the view is over */
	int messages;
};

/* What a picture is made of: lines, the important ones first. */
struct live_picture {
	FILE *totals, *details;
	char *totals_text, *details_text;
	size_t totals_len, details_len;
};

/* Takes the terminal over; whatever is written to the standard error output comes out when it
 * is given back by live_close, with the last picture. 0 or -errno. */
int live_open(struct live *l);
void live_close(struct live *l, const struct live_picture *last);

/* Looks how large the terminal is. */
void live_measure(struct live *l);

/* 0 or -errno. */
int live_picture_open(struct live_picture *p);
void live_picture_close(struct live_picture *p);

/*
 * Draws @p over what stood there. Details that do not fit are left out, from the last one on,
 * and so are totals if need be; the last line tells of it. Lines are cut at the terminal's edge.
 */
void live_draw(const struct live *l, struct live_picture *p);

enum live_event {
	LIVE_TIME,  /* the interval is over */
	LIVE_SIZE,  /* draw again */
	LIVE_LEAVE, /* end */
};

/* Waits until @until_ns (of now_ns), or for one of the others. */
enum live_event live_wait(struct live *l, uint64_t until_ns);

#endif
