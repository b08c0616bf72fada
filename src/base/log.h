/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log: one line a decision, on standard error, each with the tag of the object it speaks
 * of. Where systemd reads it, lines go to the journal with fields; a terminal gets colours.
 *
 * A line that says the same as one within the last second is held back, and how often is told
 * afterwards. What is kept for that, the level and the fields are the only state of this
 * process that is not passed along. Thread-safe.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>
#include <syslog.h>

/* The tag of lines that are of no interface. */
#define LOG_PROGRAM "vubridge"

/* Beside a level: someone asked for this line, so it is never held back. */
#define LOG_ASKED 0x100

/* Looks where standard error goes; done by the first line, if not before. */
void log_open(void);
/* The journal's field SOCKET= of each line from now on; @path must stay. NULL: none. */
void log_set_socket(const char *path);

/* Lines above @level (LOG_ERR … LOG_DEBUG) are left out. */
void log_set_level(int level);
int log_get_level(void);

/*
 * Writes "TAG: text". @tag may be NULL; else it is the journal's field INTERFACE=, if it is
 * not LOG_PROGRAM.
 */
void log_line(int level, const char *tag, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Writes "TAG: rxq0: text" of receive queue 0, with the field QUEUE=; @direction: 'r' or 't'. */
void log_queue(int level, const char *tag, char direction, unsigned int index, const char *format,
	       ...) __attribute__((format(printf, 5, 6)));

/*
 * Tells how often lines were held back whose second is over. Returns the nanoseconds until
 * there is more to tell, 0: there is nothing.
 */
uint64_t log_settle(void);
/* The same, without waiting for the second: there will be no later. */
void log_finish(void);

#define log_error(tag, ...) log_line(LOG_ERR, tag, __VA_ARGS__)
#define log_warning(tag, ...) log_line(LOG_WARNING, tag, __VA_ARGS__)
#define log_notice(tag, ...) log_line(LOG_NOTICE, tag, __VA_ARGS__)
#define log_info(tag, ...) log_line(LOG_INFO, tag, __VA_ARGS__)
#define log_debug(tag, ...) log_line(LOG_DEBUG, tag, __VA_ARGS__)

#endif
