/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where lines go, what they look like there, and that none is repeated without end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

#define SECOND UINT64_C(1000000000)

/* What the linker puts in the place of the clock and the journal. */
static uint64_t now;
static struct {
	unsigned int entries;
	char text[4096]; /* of the last: its fields, a line each */
	int result;
	bool missing; /* its socket */
} journal;

int __wrap_access(const char *path, int mode);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_sd_journal_sendv(const struct iovec *iov, int n);

int __wrap_access(const char *path, int mode)
{
	assert_string_equal(path, "/run/systemd/journal/socket");
	assert_int_equal(mode, W_OK);
	return journal.missing ? -1 : 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	(void)clock;
	ts->tv_sec = (time_t)(now / SECOND);
	ts->tv_nsec = (long)(now % SECOND);
	return 0;
}

int __wrap_sd_journal_sendv(const struct iovec *iov, int n)
{
	size_t used = 0;
	int i;

	journal.entries++;
	for (i = 0; i < n; i++)
		used += (size_t)snprintf(journal.text + used, sizeof(journal.text) - used, "%.*s\n",
					 (int)iov[i].iov_len, (const char *)iov[i].iov_base);
	return journal.result;
}

struct bench {
	int saved, file;
	char path[64];
	char text[8192];
};

/* Standard error is a file. */
static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	strcpy(b->path, "/tmp/test_log.XXXXXX");
	b->file = mkstemp(b->path);
	assert_true(b->file >= 0);
	fflush(stderr);
	b->saved = dup(STDERR_FILENO);
	assert_true(dup2(b->file, STDERR_FILENO) >= 0);
	unsetenv("JOURNAL_STREAM");
	memset(&journal, 0, sizeof(journal));
	log_set_level(LOG_INFO);
	log_set_socket(NULL);
	now += 100 * SECOND; /* nothing of the last test counts any more */
	log_finish();
	log_open();
	assert_int_equal(ftruncate(b->file, 0), 0);
	lseek(b->file, 0, SEEK_SET);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	dup2(b->saved, STDERR_FILENO);
	close(b->saved);
	close(b->file);
	unlink(b->path);
	free(b);
	return 0;
}

/* What was written since the last call. */
static const char *written(struct bench *b)
{
	ssize_t n = pread(b->file, b->text, sizeof(b->text) - 1, 0);

	b->text[MAX(n, 0)] = '\0';
	assert_int_equal(ftruncate(b->file, 0), 0);
	lseek(b->file, 0, SEEK_SET);
	return b->text;
}

static void test_plain(void **state)
{
	struct bench *b = *state;

	log_notice("vnet0", "carrier %s", "on");
	assert_string_equal(written(b), "vnet0: carrier on\n");
	log_error(NULL, "no tag");
	assert_string_equal(written(b), "no tag\n");
	log_queue(LOG_WARNING, "vnet0", 'r', 3, "broken (%d)", 7);
	assert_string_equal(written(b), "vnet0: rxq3: broken (7)\n");
	assert_int_equal(journal.entries, 0);
}

static void test_level(void **state)
{
	struct bench *b = *state;

	log_debug("t", "left out");
	assert_string_equal(written(b), "");
	log_set_level(LOG_DEBUG);
	log_debug("t", "now");
	assert_string_equal(written(b), "t: now\n");
	log_set_level(LOG_ERR);
	log_warning("t", "left out");
	log_line(LOG_NOTICE | LOG_ASKED, "t", "asked, but left out");
	log_error("t", "still");
	assert_string_equal(written(b), "t: still\n");
	assert_int_equal(log_get_level(), LOG_ERR);
}

/* However long: one line that ends. */
static void test_long(void **state)
{
	struct bench *b = *state;
	char text[5000], tag[500];
	const char *line;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	memset(tag, 't', sizeof(tag));
	tag[sizeof(tag) - 1] = '\0';
	log_queue(LOG_ERR, tag, 't', 4294967295u, "%s", text);
	line = written(b);
	assert_in_range(strlen(line), 1000, 1200);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

/* A terminal hands out its lines as it likes: all that is written, LINES of them. */
static const char *read_lines(int master, char *text, size_t size, int lines)
{
	size_t len = 0;
	ssize_t n;

	while (lines > 0) {
		n = read(master, text + len, size - 1 - len);
		assert_true(n > 0);
		for (; n; n--)
			lines -= text[len++] == '\n';
	}
	text[len] = '\0';
	return text;
}

static void test_terminal(void **state)
{
	struct bench *b = *state;
	int master = posix_openpt(O_RDWR | O_NOCTTY), terminal;
	struct termios raw;
	char text[256];

	assert_int_equal(grantpt(master) | unlockpt(master), 0);
	terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_int_equal(tcgetattr(terminal, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(terminal, TCSANOW, &raw), 0);
	assert_true(dup2(terminal, STDERR_FILENO) >= 0);
	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
	log_open();
	log_error("t", "red");
	log_notice("t", "plain");
	assert_string_equal(read_lines(master, text, sizeof(text), 2),
			    "\033[1;31mt: red\033[0m\nt: plain\n");
	setenv("NO_COLOR", "1", 1);
	log_open();
	log_error("t", "not red");
	assert_string_equal(read_lines(master, text, sizeof(text), 1), "t: not red\n");
	dup2(b->file, STDERR_FILENO);
	close(terminal);
	close(master);
}

static void test_journal(void **state)
{
	struct bench *b = *state;
	char stream[64];
	struct stat st;

	assert_int_equal(fstat(b->file, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open();
	log_set_socket("/tmp/sock");
	log_queue(LOG_WARNING, "vnet0", 't', 1, "broken");
	assert_string_equal(journal.text, "MESSAGE=vnet0: txq1: broken\nPRIORITY=4\n"
					  "SYSLOG_IDENTIFIER=vubridge\nINTERFACE=vnet0\n"
					  "SOCKET=/tmp/sock\nQUEUE=txq1\n");
	log_set_socket(NULL);
	log_error(LOG_PROGRAM, "of none");
	assert_string_equal(journal.text, "MESSAGE=vubridge: of none\nPRIORITY=3\n"
					  "SYSLOG_IDENTIFIER=vubridge\n");
	assert_int_equal(journal.entries, 2);
	assert_string_equal(written(b), "");
	/* where its socket cannot be reached the stream is read still */
	journal.result = -1;
	log_notice("vnet0", "another way");
	assert_string_equal(written(b), "<5>vnet0: another way\n");
	journal.missing = true;
	log_open();
	log_error("vnet0", "from the start");
	assert_string_equal(written(b), "<3>vnet0: from the start\n");
	/* another stream than the one named is no journal's */
	journal.result = 0;
	setenv("JOURNAL_STREAM", "1:2", 1);
	log_open();
	log_notice("vnet0", "plain");
	assert_string_equal(written(b), "vnet0: plain\n");
	assert_int_equal(journal.entries, 3);
}

/* ---- repetitions ---- */

static void test_repeated(void **state)
{
	struct bench *b = *state;
	unsigned int i;

	assert_int_equal(log_settle(), 0);
	for (i = 0; i < 100; i++)
		log_warning("t", "again");
	assert_string_equal(written(b), "t: again\n");
	now += SECOND / 4;
	assert_int_equal(log_settle(), SECOND * 3 / 4);
	assert_string_equal(written(b), "");
	now += SECOND * 3 / 4;
	assert_int_equal(log_settle(), 0);
	assert_string_equal(written(b), "t: again (99 times more)\n");
	assert_int_equal(log_settle(), 0);
	assert_string_equal(written(b), "");
}

/* For as long as it goes on there is one line a second. */
static void test_endless(void **state)
{
	struct bench *b = *state;
	unsigned int i, lines = 0;
	const char *p;

	for (i = 0; i < 1000; i++) {
		log_warning("t", "endless");
		now += SECOND / 100;
	}
	for (p = written(b); (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 10);
	assert_non_null(strstr(b->text, "t: endless\nt: endless (100 times more)\n"));
	log_finish();
	assert_string_equal(written(b), "t: endless (99 times more)\n");
}

/* Each line by itself: another text, tag, level or queue is another line. */
static void test_others_pass(void **state)
{
	struct bench *b = *state;

	log_warning("t", "a");
	log_warning("u", "a");
	log_notice("t", "a");
	log_queue(LOG_WARNING, "t", 'r', 0, "a");
	log_queue(LOG_WARNING, "t", 'r', 1, "a");
	log_warning("t", "b");
	log_warning("t", "a");
	assert_string_equal(written(b), "t: a\nu: a\nt: a\nt: rxq0: a\nt: rxq1: a\nt: b\n");
	now += SECOND;
	log_warning("t", "b");
	assert_string_equal(written(b), "t: b\n");
	log_settle();
	assert_string_equal(written(b), "t: a (once more)\n");
}

static void test_asked(void **state)
{
	struct bench *b = *state;

	log_line(LOG_NOTICE | LOG_ASKED, "t", "counters");
	log_line(LOG_NOTICE | LOG_ASKED, "t", "counters");
	assert_string_equal(written(b), "t: counters\nt: counters\n");
	assert_int_equal(log_settle(), 0);
}

/* What came last is told last, so that the log ends with what is so. */
static void test_order(void **state)
{
	struct bench *b = *state;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		now++;
		log_notice("t", "on");
		now++;
		log_notice("t", "off");
	}
	now++;
	log_notice("t", "on");
	written(b);
	now += SECOND;
	log_settle();
	assert_string_equal(written(b), "t: off (2 times more)\nt: on (3 times more)\n");
}

static unsigned int count_lines(const char *text)
{
	unsigned int n = 0;

	for (; (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

/* All that was written since the last call, which may be much; to be freed. */
static char *all_written(struct bench *b)
{
	off_t size = lseek(b->file, 0, SEEK_END);
	char *text = calloc(1, (size_t)size + 1);

	assert_non_null(text);
	assert_int_equal(pread(b->file, text, (size_t)size, 0), size);
	assert_int_equal(ftruncate(b->file, 0), 0);
	lseek(b->file, 0, SEEK_SET);
	return text;
}

static void assert_written(struct bench *b, unsigned int lines)
{
	char *text = all_written(b);

	assert_int_equal(count_lines(text), lines);
	free(text);
}

/* However many different lines come in turn, each has one line a second. */
static void in_turn(struct bench *b, unsigned int tags, unsigned int rounds, uint64_t nap)
{
	unsigned int i, k;
	char tag[16], *text;

	for (k = 0; k < rounds; k++) {
		for (i = 0; i < tags; i++) {
			snprintf(tag, sizeof(tag), "t%u", i);
			log_warning(tag, "again");
		}
		now += nap;
		assert_in_range(log_settle(), k ? 1 : 0, SECOND);
	}
	text = all_written(b);
	assert_int_equal(count_lines(text), tags);
	assert_null(strstr(text, "more)"));
	free(text);
	now += SECOND;
	assert_int_equal(log_settle(), 0);
	text = all_written(b);
	assert_int_equal(count_lines(text), tags);
	snprintf(tag, sizeof(tag), "(%u times", rounds - 1);
	for (i = 0, k = 0; text[i]; i++)
		k += !strncmp(text + i, tag, strlen(tag));
	assert_int_equal(k, tags);
	free(text);
	now += 2 * SECOND;
}

static void test_tags_in_turn(void **state)
{
	in_turn(*state, 17, 50, SECOND / 100);
	in_turn(*state, 24, 50, SECOND / 100);
	in_turn(*state, 300, 9, SECOND / 10);
	in_turn(*state, 1000, 3, SECOND / 10);
}

/* Some of each lane of as many pairs as there may be, for ten seconds. */
static void test_lanes_in_turn(void **state)
{
	struct bench *b = *state;
	unsigned int round, pair, lines = 0;
	char *text;

	for (round = 0; round < 1000; round++) {
		for (pair = 0; pair < 128; pair++) {
			log_queue(LOG_WARNING, "vnet0", 'r', pair, "broken");
			log_queue(LOG_WARNING, "vnet0", 't', pair, "broken");
			log_queue(LOG_NOTICE, "vnet0", 't', pair, "mended");
		}
		now += SECOND / 100;
		log_settle();
		if (round % 100 == 98) {
			text = all_written(b);
			lines += count_lines(text);
			assert_int_equal(lines, 128 * 3 * (round / 100 + 1));
			free(text);
		}
	}
	log_finish();
}

/* What comes later is held back for as long as its own second lasts. */
static void test_own_seconds(void **state)
{
	struct bench *b = *state;
	unsigned int i;

	log_warning("t", "a");
	now += SECOND / 2;
	log_warning("t", "b");
	for (i = 0; i < 2; i++) {
		log_warning("t", "b");
		log_warning("t", "a");
	}
	assert_string_equal(written(b), "t: a\nt: b\n");
	assert_int_equal(log_settle(), SECOND / 2);
	now += SECOND / 2;
	assert_int_equal(log_settle(), SECOND / 2);
	assert_string_equal(written(b), "t: a (2 times more)\n");
	now += SECOND / 2;
	assert_int_equal(log_settle(), 0);
	assert_string_equal(written(b), "t: b (2 times more)\n");
}

/* More different lines than are remembered: what is pushed out is told before. */
static void test_many(void **state)
{
	struct bench *b = *state;
	unsigned int i, told = 0;
	const char *p;
	char *text;

	log_warning("t", "first");
	log_warning("t", "first");
	for (i = 0; i < 5000; i++) {
		now++;
		log_warning("t", "line %u", i);
	}
	text = all_written(b);
	assert_int_equal(count_lines(text), 5002);
	for (p = text; (p = strstr(p, "t: first (once more)\n")); p++)
		told++;
	assert_int_equal(told, 1);
	assert_non_null(strstr(text, "t: line 4999\n"));
	free(text);
	assert_int_equal(log_settle(), 0);
	/* the newest of them are known */
	log_warning("t", "line 4999");
	log_warning("t", "line 4200");
	assert_written(b, 0);
	log_finish();
	assert_written(b, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_plain),	TEST(test_level),	  TEST(test_long),
		TEST(test_terminal),	TEST(test_journal),	  TEST(test_repeated),
		TEST(test_endless),	TEST(test_asked),	  TEST(test_order),
		TEST(test_many),	TEST(test_others_pass),	  TEST(test_tags_in_turn),
		TEST(test_own_seconds), TEST(test_lanes_in_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
