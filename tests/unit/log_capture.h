/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes to the log while a test looks. Include after <cmocka.h>. */
#ifndef LOG_CAPTURE_H
#define LOG_CAPTURE_H

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct log_capture {
	int log, stderr_fd;
	char text[4096];
};

static inline void log_capture_begin(struct log_capture *c)
{
	c->log = memfd_create("log", MFD_CLOEXEC);
	c->stderr_fd = dup(STDERR_FILENO);
	assert_true(c->log >= 0 && c->stderr_fd >= 0);
	assert_int_equal(dup2(c->log, STDERR_FILENO), STDERR_FILENO);
}

/* What has come so far, in c->text too. */
static inline const char *log_capture_read(struct log_capture *c)
{
	ssize_t n = pread(c->log, c->text, sizeof(c->text) - 1, 0);

	c->text[n > 0 ? n : 0] = '\0';
	return c->text;
}

static inline unsigned int log_capture_lines(struct log_capture *c, const char *with)
{
	const char *at = log_capture_read(c);
	unsigned int n = 0;

	while ((at = strstr(at, with))) {
		at += strlen(with);
		n++;
	}
	return n;
}

static inline void log_capture_end(struct log_capture *c)
{
	log_capture_read(c);
	dup2(c->stderr_fd, STDERR_FILENO);
	close(c->stderr_fd);
	close(c->log);
}

#endif
