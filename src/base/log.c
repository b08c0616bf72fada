/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "base/util.h"

#define TEXT_MAX   1000u
#define QUEUE_MAX  16u
#define OTHERS_MAX 32u
/* As many different lines as may come in turn within a second and still be known: some of each
 * lane of 128 pairs. */
#define RECENT	  1024u
#define BUCKETS	  RECENT /* a power of two */
#define REPEAT_NS UINT64_C(1000000000)

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

enum destination {
	UNKNOWN,
	PLAIN,
	TERMINAL,
	STREAM,	 /* that the journal reads, line by line */
	JOURNAL, /* its own socket, which takes fields */
};

struct line {
	int level;
	char tag[65];
	char queue[QUEUE_MAX]; /* "rxq0", or "" */
	char text[TEXT_MAX];
};

/* A line that was written not long ago. */
struct recent {
	struct line line;
	uint32_t hash;
	uint64_t written;
	unsigned int others; /* as often it was held back since */
	LIST_ENTRY(recent) bucket;
	TAILQ_ENTRY(recent) age;  /* in the order in which they were written */
	TAILQ_ENTRY(recent) held; /* with others: in the order in which those came last */
};

static int max_level = LOG_INFO;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	enum destination destination;
	const char *socket;
	struct recent recent[RECENT];
	unsigned int used; /* of them */
	LIST_HEAD(, recent) buckets[BUCKETS];
	TAILQ_HEAD(ages, recent) ages;
	TAILQ_HEAD(helds, recent) held;
	uint64_t due; /* before this time none of the held is to be told */
} state = {
	.ages = TAILQ_HEAD_INITIALIZER(state.ages),
	.held = TAILQ_HEAD_INITIALIZER(state.held),
}; /* under the lock */

void log_set_level(int level)
{
	__atomic_store_n(&max_level, level, __ATOMIC_RELAXED);
}

int log_get_level(void)
{
	return __atomic_load_n(&max_level, __ATOMIC_RELAXED);
}

void log_set_socket(const char *path)
{
	pthread_mutex_lock(&lock);
	state.socket = path;
	pthread_mutex_unlock(&lock);
}

/* ---- where it goes ---- */

/* systemd names device and inode of the stream it reads (systemd.exec(5)). */
static bool to_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (!stream || sscanf(stream, "%llu:%llu", &dev, &ino) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

static bool to_terminal(void)
{
	const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");

	return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0 &&
	       !(no_colour && no_colour[0]);
}

static enum destination find_destination(void)
{
	/* without its socket the library would lose lines and not say so */
	if (to_journal())
		return access(JOURNAL_SOCKET, W_OK) == 0 ? JOURNAL : STREAM;
	return to_terminal() ? TERMINAL : PLAIN;
}

void log_open(void)
{
	pthread_mutex_lock(&lock);
	state.destination = find_destination();
	pthread_mutex_unlock(&lock);
}

/* ---- writing ---- */

static const char *colour_of(int level)
{
	return level <= LOG_ERR	      ? "\033[1;31m"
	       : level == LOG_WARNING ? "\033[1;33m"
	       : level >= LOG_DEBUG   ? "\033[2m"
				      : "";
}

/* "TAG: QUEUE: text"; a line is one write(), which nobody else's comes between */
static size_t format_line(char *buf, size_t size, const struct line *l)
{
	int n = snprintf(buf, size, "%s%s%s%s%s", l->tag, l->tag[0] ? ": " : "", l->queue,
			 l->queue[0] ? ": " : "", l->text);

	return MIN((size_t)n, size - 1);
}

static void write_stderr(const struct line *l, enum destination destination)
{
	const char *colour = destination == TERMINAL ? colour_of(l->level) : "";
	char buf[TEXT_MAX + 128];
	size_t n = 0;

	if (destination == STREAM)
		n = (size_t)snprintf(buf, sizeof(buf), "<%d>", l->level);
	n += (size_t)snprintf(buf + n, sizeof(buf) - n, "%s", colour);
	n += format_line(buf + n, sizeof(buf) - n - 8, l);
	n += (size_t)snprintf(buf + n, sizeof(buf) - n, "%s\n", colour[0] ? "\033[0m" : "");
	/* a log that cannot be written has nowhere to say so */
	if (write(STDERR_FILENO, buf, n) < 0)
		return;
}

struct fields {
	struct iovec iov[6];
	int n;
	char text[4096 + TEXT_MAX + 512];
	size_t used;
};

/* "NAME=value", if there is one */
static void add_field(struct fields *f, const char *name, const char *value)
{
	char *at = f->text + f->used;
	size_t room = sizeof(f->text) - f->used;
	int n;

	if (!value || !value[0])
		return;
	n = snprintf(at, room, "%s=%s", name, value);
	f->iov[f->n++] = (struct iovec){.iov_base = at, .iov_len = MIN((size_t)n, room - 1)};
	f->used += MIN((size_t)n, room - 1);
}

static bool write_journal(const struct line *l)
{
	struct fields f = {.n = 0};
	char message[TEXT_MAX + 128], priority[16];

	format_line(message, sizeof(message), l);
	snprintf(priority, sizeof(priority), "%d", l->level);
	add_field(&f, "MESSAGE", message);
	add_field(&f, "PRIORITY", priority);
	add_field(&f, "SYSLOG_IDENTIFIER", LOG_PROGRAM);
	add_field(&f, "INTERFACE", strcmp(l->tag, LOG_PROGRAM) ? l->tag : NULL);
	add_field(&f, "SOCKET", state.socket);
	add_field(&f, "QUEUE", l->queue);
	return sd_journal_sendv(f.iov, f.n) == 0;
}

static void write_line(const struct line *l)
{
	if (state.destination == UNKNOWN)
		state.destination = find_destination();
	if (state.destination == JOURNAL && !write_journal(l))
		write_stderr(l, STREAM);
	else if (state.destination != JOURNAL)
		write_stderr(l, state.destination);
}

/* ---- repetitions ---- */

static void set_written(struct recent *r, uint64_t now)
{
	r->written = now;
	TAILQ_REMOVE(&state.ages, r, age);
	TAILQ_INSERT_TAIL(&state.ages, r, age);
}

static void hold(struct recent *r)
{
	if (r->others++)
		TAILQ_REMOVE(&state.held, r, held);
	else if (TAILQ_EMPTY(&state.held) || r->written + REPEAT_NS < state.due)
		state.due = r->written + REPEAT_NS;
	TAILQ_INSERT_TAIL(&state.held, r, held);
}

static void tell_others(struct recent *r, uint64_t now)
{
	struct line l = r->line;
	size_t used = strlen(l.text);

	used = MIN(used, sizeof(l.text) - OTHERS_MAX);
	if (r->others == 1)
		snprintf(l.text + used, OTHERS_MAX, " (once more)");
	else
		snprintf(l.text + used, OTHERS_MAX, " (%u times more)", r->others);
	write_line(&l);
	TAILQ_REMOVE(&state.held, r, held);
	r->others = 0;
	set_written(r, now);
}

static bool is_same(const struct line *a, const struct line *b)
{
	return a->level == b->level && !strcmp(a->text, b->text) && !strcmp(a->tag, b->tag) &&
	       !strcmp(a->queue, b->queue);
}

/* FNV-1a */
static uint32_t hash_string(uint32_t hash, const char *s)
{
	for (; *s; s++)
		hash = (hash ^ (unsigned char)*s) * 16777619u;
	return hash;
}

static uint32_t hash_line(const struct line *l)
{
	return hash_string(hash_string(hash_string(2166136261u, l->text), l->tag), l->queue);
}

static struct recent *find_recent(const struct line *l, uint32_t hash)
{
	struct recent *r;

	LIST_FOREACH(r, &state.buckets[hash % BUCKETS], bucket)
	{
		if (r->hash == hash && is_same(&r->line, l))
			return r;
	}
	return NULL;
}

/* A place for one more: the oldest one's, when all are taken. */
static struct recent *make_place(uint64_t now)
{
	struct recent *r;

	if (state.used < RECENT)
		return &state.recent[state.used++];
	r = TAILQ_FIRST(&state.ages);
	if (r->others)
		tell_others(r, now);
	TAILQ_REMOVE(&state.ages, r, age);
	LIST_REMOVE(r, bucket);
	return r;
}

static void remember(const struct line *l, uint32_t hash, uint64_t now)
{
	struct recent *r = make_place(now);

	*r = (struct recent){.line = *l, .hash = hash, .written = now};
	LIST_INSERT_HEAD(&state.buckets[hash % BUCKETS], r, bucket);
	TAILQ_INSERT_TAIL(&state.ages, r, age);
}

static void take_line(const struct line *l)
{
	uint64_t now = now_ns();
	uint32_t hash = hash_line(l);
	struct recent *r = find_recent(l, hash);

	if (!r) {
		remember(l, hash, now);
		write_line(l);
	} else if (now - r->written < REPEAT_NS) {
		hold(r);
	} else if (r->others) {
		hold(r);
		tell_others(r, now);
	} else {
		set_written(r, now);
		write_line(l);
	}
}

/* In the order in which they came last: the state that a line tells of is then the state that
 * it came to. */
static void settle(uint64_t now, bool all)
{
	struct recent *r = TAILQ_FIRST(&state.held), *next;

	state.due = now + REPEAT_NS;
	for (; r; r = next) {
		next = TAILQ_NEXT(r, held);
		if (all || now - r->written >= REPEAT_NS)
			tell_others(r, now);
		else
			state.due = MIN(state.due, r->written + REPEAT_NS);
	}
}

uint64_t log_settle(void)
{
	uint64_t left = 0, now;

	pthread_mutex_lock(&lock);
	if (!TAILQ_EMPTY(&state.held)) {
		now = now_ns();
		if (now >= state.due)
			settle(now, false);
		left = TAILQ_EMPTY(&state.held) ? 0 : state.due - now;
	}
	pthread_mutex_unlock(&lock);
	return left;
}

void log_finish(void)
{
	pthread_mutex_lock(&lock);
	settle(now_ns(), true);
	pthread_mutex_unlock(&lock);
}

/* ---- lines ---- */

static void take(int level, const char *tag, const char *queue, const char *format, va_list args)
{
	struct line l = {.level = level & ~LOG_ASKED};

	if (l.level > log_get_level())
		return;
	snprintf(l.tag, sizeof(l.tag), "%s", tag ? tag : "");
	snprintf(l.queue, sizeof(l.queue), "%s", queue);
	vsnprintf(l.text, sizeof(l.text), format, args);
	pthread_mutex_lock(&lock);
	if (level & LOG_ASKED)
		write_line(&l);
	else
		take_line(&l);
	pthread_mutex_unlock(&lock);
}

void log_line(int level, const char *tag, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	take(level, tag, "", format, args);
	va_end(args);
}

void log_queue(int level, const char *tag, char direction, unsigned int index, const char *format,
	       ...)
{
	char queue[QUEUE_MAX];
	va_list args;

	snprintf(queue, sizeof(queue), "%cxq%u", direction, index);
	va_start(args, format);
	take(level, tag, queue, format, args);
	va_end(args);
}
