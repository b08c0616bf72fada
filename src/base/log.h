/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log: one line a decision, on standard error, each with the tag of the
 * object it speaks of. The level is the only state of this process that is not
 * passed along. Thread-safe: a line is one write().
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <syslog.h>

/* Lines above @level (LOG_ERR … LOG_DEBUG) are left out. */
void log_set_level(int level);
int log_get_level(void);

/*
 * Writes "TAG: text", with "<priority>" in front where systemd reads it
 * (JOURNAL_STREAM names standard error). @tag may be NULL.
 */
void log_line(int level, const char *tag, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(tag, ...) log_line(LOG_ERR, tag, __VA_ARGS__)
#define log_warning(tag, ...) log_line(LOG_WARNING, tag, __VA_ARGS__)
#define log_notice(tag, ...) log_line(LOG_NOTICE, tag, __VA_ARGS__)
#define log_info(tag, ...) log_line(LOG_INFO, tag, __VA_ARGS__)
#define log_debug(tag, ...) log_line(LOG_DEBUG, tag, __VA_ARGS__)

#endif
