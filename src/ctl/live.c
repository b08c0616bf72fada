/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/live.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"

/* of xterm, which all have followed: another screen, and the cursor out of the way */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"
#define HOME  "\033[H"
/* before the line: behind one that fills the width it would take the last character away */
#define CLEAR_LINE  "\033[K"
#define CLEAR_BELOW "\033[J"

/* ---- the terminal ---- */

void live_measure(struct live *l)
{
	struct winsize size = {0};

	l->columns = 80;
	l->rows = 24;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return;
	if (size.ws_col)
		l->columns = size.ws_col;
	if (size.ws_row)
		l->rows = size.ws_row;
}

static void say(const char *sequence)
{
	fputs(sequence, stdout);
	fflush(stdout);
}

static void close_fds(struct live *l)
{
	close_fd(&l->stderr_fd);
	close_fd(&l->messages);
	close_fd(&l->cancel_fd);
}

/* The view has these signals wait for live_wait, which takes them; cancel_fd only shows them. */
static int open_signals(struct live *l)
{
	sigemptyset(&l->signals);
	sigaddset(&l->signals, SIGINT);
	sigaddset(&l->signals, SIGTERM);
	sigaddset(&l->signals, SIGHUP);
	sigaddset(&l->signals, SIGQUIT);
	sigaddset(&l->signals, SIGTSTP);
	l->cancel_fd = signalfd(-1, &l->signals, SFD_CLOEXEC);
	sigaddset(&l->signals, SIGWINCH);
	return l->cancel_fd < 0 ? -errno : 0;
}

static int open_messages(struct live *l)
{
	l->messages = memfd_create("messages", MFD_CLOEXEC);
	if (l->messages < 0)
		return -errno;
	fflush(stderr);
	l->stderr_fd = dup(STDERR_FILENO);
	return l->stderr_fd < 0 || dup2(l->messages, STDERR_FILENO) < 0 ? -errno : 0;
}

int live_open(struct live *l)
{
	int r;

	*l = (struct live){.stderr_fd = -1, .messages = -1, .cancel_fd = -1};
	r = open_signals(l);
	if (!r)
		r = open_messages(l);
	if (r) {
		close_fds(l);
		return r;
	}
	sigprocmask(SIG_BLOCK, &l->signals, &l->signals_before);
	live_measure(l);
	say(ENTER);
	return 0;
}

static void copy_messages(struct live *l)
{
	char buf[1024];
	ssize_t n;

	lseek(l->messages, 0, SEEK_SET);
	while ((n = read(l->messages, buf, sizeof(buf))) > 0)
		if (write(STDERR_FILENO, buf, (size_t)n) != n)
			break;
}

void live_close(struct live *l, const struct live_picture *last)
{
	say(LEAVE);
	if (last && last->totals_text)
		fputs(last->totals_text, stdout);
	if (last && last->details_text)
		fputs(last->details_text, stdout);
	fflush(stdout);
	fflush(stderr);
	dup2(l->stderr_fd, STDERR_FILENO);
	copy_messages(l);
	close_fds(l);
	sigprocmask(SIG_SETMASK, &l->signals_before, NULL);
}

/* ---- pictures ---- */

int live_picture_open(struct live_picture *p)
{
	*p = (struct live_picture){0};
	p->totals = open_memstream(&p->totals_text, &p->totals_len);
	p->details = open_memstream(&p->details_text, &p->details_len);
	if (p->totals && p->details)
		return 0;
	live_picture_close(p);
	return -ENOMEM;
}

void live_picture_close(struct live_picture *p)
{
	if (p->totals)
		fclose(p->totals);
	if (p->details)
		fclose(p->details);
	free(p->totals_text);
	free(p->details_text);
	*p = (struct live_picture){0};
}

static unsigned int count_lines(const char *text)
{
	unsigned int n = 0;

	for (; (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

static void draw_line(const struct live *l, const char *text, size_t len)
{
	printf(CLEAR_LINE "%.*s\n", (int)MIN(len, (size_t)l->columns), text);
}

/* At most @rows lines of @text. Returns how many there were. */
static unsigned int draw_lines(const struct live *l, const char *text, unsigned int rows)
{
	unsigned int n = 0;

	for (; *text && n < rows; n++) {
		size_t len = strcspn(text, "\n");

		draw_line(l, text, len);
		text += len + (text[len] == '\n');
	}
	return n;
}

void live_draw(const struct live *l, struct live_picture *p)
{
	/* the line behind the last one is the cursor's */
	unsigned int rows = l->rows - 1, lines, drawn;
	char more[64];

	fflush(p->totals);
	fflush(p->details);
	lines = count_lines(p->totals_text) + count_lines(p->details_text);
	fputs(HOME, stdout);
	if (lines > rows)
		rows -= MIN(rows, 1u); /* to say so */
	drawn = draw_lines(l, p->totals_text, rows);
	drawn += draw_lines(l, p->details_text, rows - drawn);
	if (drawn < lines && l->rows > 1) {
		snprintf(more, sizeof(more), "(%u lines more: a larger terminal, -i, -j)",
			 lines - drawn);
		draw_line(l, more, strlen(more));
	}
	say(CLEAR_BELOW);
}

/* ---- time ---- */

/* Stopped by the terminal: that is left as it was meanwhile. */
static void pause_view(struct live *l)
{
	say(LEAVE);
	kill(getpid(), SIGSTOP);
	live_measure(l);
	say(ENTER);
}

enum live_event live_wait(struct live *l, uint64_t until_ns)
{
	for (;;) {
		uint64_t now = now_ns(), left = until_ns > now ? until_ns - now : 0;
		const struct timespec timeout = {
			.tv_sec = (time_t)(left / UINT64_C(1000000000)),
			.tv_nsec = (long)(left % UINT64_C(1000000000)),
		};

		switch (sigtimedwait(&l->signals, NULL, &timeout)) {
		case -1:
			if (errno == EINTR)
				continue;
			return LIVE_TIME;
		case SIGTSTP:
			pause_view(l);
			return LIVE_SIZE;
		case SIGWINCH:
			live_measure(l);
			return LIVE_SIZE;
		default:
			return LIVE_LEAVE;
		}
	}
}
