/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of --config: its lines, and what becomes of them beside a command line. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/options_file.h"
#include "options_rig.h"

static char directory[] = "/tmp/vubridge-file.XXXXXX";

static void make(const char *name, const void *text, size_t len)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

#define MAKE(name, text) make(name, text, strlen(text))

/* In a directory of its own, so that lines in error name files as they were given. */
static int enter(void **state)
{
	(void)state;
	return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	static const char *const names[] = {
		"a.conf", "vnet7.conf", "plain", "fifo", "muchtoolongforone.conf",
		".conf",  "x.conf"};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(names); i++)
		unlink(names[i]);
	return chdir("/") == 0 ? rmdir(directory) : -1;
}

/* The text, as a.conf, is refused with this line. */
#define assert_bad(text, line)                                                                     \
	do {                                                                                       \
		MAKE("a.conf", text);                                                              \
		assert_refused(line, "--config", "a.conf");                                        \
	} while (0)

static void test_all_kinds(void **state)
{
	struct run run;

	(void)state;
	MAKE("a.conf", "# how it is\n"
		       "  ; said\n"
		       "\n"
		       "[vubridge]\r\n"
		       "path=/run/a b\r\n"
		       "\tqueues = 4 \n"
		       "server\n"
		       "persist\n"
		       "keep-caps = 0\n"
		       "hugepages = 1\n"
		       "iface = v%d\n"
		       "netns = a=b#c\n"
		       "log-level = debug");
	assert_taken(&run, "--config", "a.conf");
	assert_string_equal(run.o.path, "/run/a b");
	assert_int_equal(run.o.queues, 4);
	assert_true(run.o.cq);
	assert_true(run.o.server);
	assert_true(run.o.persist);
	assert_false(run.o.keep_caps);
	assert_true(run.o.hugepages);
	assert_string_equal(run.o.iface, "v%d");
	assert_string_equal(run.o.netns, "a=b#c");
	assert_int_equal(run.o.log_level, LOG_DEBUG);
	options_close(&run.o);
	options_close(&run.o); /* once more does no harm */
}

static void test_no_section(void **state)
{
	struct run run;

	(void)state;
	MAKE("a.conf", "mtu = 9000\npath = s\n");
	assert_taken(&run, "--config=a.conf");
	assert_int_equal(run.o.mtu, 9000);
	options_close(&run.o);
	MAKE("a.conf", "path = s\n[vubridge]\nmtu = 9000\n");
	assert_taken(&run, "--config=a.conf");
	assert_int_equal(run.o.mtu, 9000);
	options_close(&run.o);
}

static void test_command_line_wins(void **state)
{
	char devargs[] = "--devargs=queues=3"; /* taken apart in place */
	struct run run;

	(void)state;
	MAKE("a.conf", "path = s\nmtu = 9000\nserver\nqueues = 2\n");
	assert_taken(&run, "--mtu=1500", "--config=a.conf", "--path", "t", "--server=0");
	assert_string_equal(run.o.path, "t");
	assert_int_equal(run.o.mtu, 1500);
	assert_int_equal(run.o.queues, 2);
	assert_false(run.o.server);
	options_close(&run.o);
	/* also by --devargs, but what the file says must be right all the same */
	assert_taken(&run, "--config=a.conf", devargs);
	assert_int_equal(run.o.queues, 3);
	options_close(&run.o);
	MAKE("a.conf", "path = s\nmtu = 1\n");
	assert_refused("a.conf:2: mtu '1': must be a whole number from 68 to 65521",
		       "--config=a.conf", "--mtu=1500");
}

static void test_name_of_interface(void **state)
{
	struct run run;

	(void)state;
	MAKE("vnet7.conf", "path = s\n");
	assert_taken(&run, "--config", "vnet7.conf");
	assert_string_equal(run.o.iface, "vnet7");
	options_close(&run.o);
	assert_taken(&run, "--config", "./vnet7.conf", "--iface=x");
	assert_string_equal(run.o.iface, "x");
	options_close(&run.o);
	MAKE("plain", "path = s\n");
	assert_taken(&run, "--config", "plain");
	assert_string_equal(run.o.iface, "vnet%d");
	options_close(&run.o);
	MAKE(".conf", "path = s\n");
	assert_taken(&run, "--config", ".conf");
	assert_string_equal(run.o.iface, "vnet%d");
	options_close(&run.o);
	MAKE("muchtoolongforone.conf", "path = s\n");
	assert_refused("--config 'muchtoolongforone.conf': its name is none for an interface (1 to "
		       "15 bytes, not . or .., no / : space, % in one %d); give it by iface = NAME",
		       "--config=muchtoolongforone.conf");
	assert_taken(&run, "--config", "muchtoolongforone.conf", "--iface=x");
	options_close(&run.o);
}

static void test_bad_lines(void **state)
{
	(void)state;
	assert_bad("path = s\nnonsense = 1\n",
		   "a.conf:2: nonsense: unknown key, see vubridge.conf(5)");
	assert_bad("Path = s\n", "a.conf:1: Path: unknown key, see vubridge.conf(5)");
	assert_bad("--path = s\n", "a.conf:1: --path: unknown key, see vubridge.conf(5)");
	assert_bad("queue_size = 256\n", "a.conf:1: queue_size: unknown key, see vubridge.conf(5)");
	assert_bad("help\n", "a.conf:1: help: unknown key, see vubridge.conf(5)");
	assert_bad("version = 1\n", "a.conf:1: version: unknown key, see vubridge.conf(5)");
	assert_bad("config = b\n", "a.conf:1: config: unknown key, see vubridge.conf(5)");
	assert_bad("devargs = path=s\n", "a.conf:1: devargs: unknown key, see vubridge.conf(5)");
	assert_bad("\n\nmtu\n", "a.conf:3: mtu: needs a value");
	assert_bad("path =\n", "a.conf:1: path '': must be a path of 1 to 4095 bytes without "
			       "control characters");
	assert_bad("persist = yes\n", "a.conf:1: persist 'yes': must be 0 or 1");
	assert_bad("persist =\n", "a.conf:1: persist '': must be 0 or 1");
	assert_bad("persist\npersist\n", "a.conf:2: persist '1': was given before; give it once");
	assert_bad("= s\n", "a.conf:1: = s: there is no key before the =");
	assert_bad("[other]\n", "a.conf:1: [other]: the only section is [vubridge]");
	assert_bad("[vubridge\n", "a.conf:1: [vubridge: the only section is [vubridge]");
	assert_bad("[vubridge] # x\n", "a.conf:1: [vubridge] # x: the only section is [vubridge]");
	assert_bad("[vubridge]\npath = s\n[vubridge]\n",
		   "a.conf:3: [vubridge]: began before; begin it once");
	assert_bad("path = s # x\n", "a.conf:1: path: a comment needs a line of its own");
	assert_bad("path = s\t;x\n", "a.conf:1: path: a comment needs a line of its own");
	assert_bad("server # x\n", "a.conf:1: server # x: a comment needs a line of its own");
	assert_bad("\x1b[31mred\n", "a.conf:1: ?[31mred: unknown key, see vubridge.conf(5)");
}

/* What does not go together says where it stands, if that is in the file. */
static void test_together(void **state)
{
	(void)state;
	assert_bad("mtu = 1500\n", "--path: must be given: a path of 1 to 4095 bytes without "
				   "control characters");
	assert_bad("path = s\n\nworkers = 3\nqueues = 2\n",
		   "a.conf:3: workers '3': must be at most 2, the number of --queues");
	assert_bad("path = s\nsocket-mode = 660\n", "a.conf:2: socket-mode: needs --server");
	MAKE("a.conf", "path = s\nqueues = 2\n");
	assert_refused("--workers '3': must be at most 2, the number of --queues",
		       "--config=a.conf", "--workers=3");
}

static void test_bad_files(void **state)
{
	static char large[65537];

	(void)state;
	assert_refused("--config 'none.conf': No such file or directory", "--config=none.conf");
	assert_refused("--config '/': is no regular file", "--config=/");
	assert_refused("--config '/dev/null': is no regular file", "--config=/dev/null");
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_refused("--config 'fifo': is no regular file", "--config=fifo");
	make("x.conf", "path = s\0x\n", 11);
	assert_refused("--config 'x.conf': is no text: there is a zero byte in it",
		       "--config=x.conf");
	memset(large, '#', sizeof(large));
	make("x.conf", large, sizeof(large));
	assert_refused("--config 'x.conf': is longer than 65536 bytes", "--config=x.conf");
	make("x.conf", large, sizeof(large) - 1);
	assert_refused(
		"--path: must be given: a path of 1 to 4095 bytes without control characters",
		"--config=x.conf");
}

/* Of a long path the end, with line and key, is what is shown. */
static void test_long_path(void **state)
{
	char path[512], line[1024];

	(void)state;
	MAKE("x.conf", "mtu = 1\n");
	path[0] = '.';
	memset(path + 1, '/', 400);
	strcpy(path + 401, "x.conf");
	snprintf(line, sizeof(line), "...%s:1: mtu '1': must be a whole number from 68 to 65521",
		 path + strlen(path) - 160);
	assert_refused(line, "--config", path);
}

/* While it runs, no database of users is asked. */
static void test_not_asking(void **state)
{
	char error[OPTIONS_ERROR_MAX], word[OPTIONS_WHERE_MAX];
	struct options_file *file;

	(void)state;
	MAKE("a.conf", "path = s\nuser = no-such-user\ncontrol-group = no-such-group\n");
	assert_int_equal(options_file_open(&file, "a.conf", true, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, "a.conf:2: user 'no-such-user': must be the name of a user of "
				   "this system");
	assert_null(file);
	assert_int_equal(options_file_open(&file, "a.conf", false, error, sizeof(error)), 0);
	options_file_where(file, 0, word, sizeof(word));
	assert_string_equal(word, "a.conf:1: path");
	options_file_close(file);
	options_file_close(NULL);
	MAKE("a.conf", "path = s\nmtu = 1\n");
	assert_int_equal(options_file_open(&file, "a.conf", false, error, sizeof(error)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_kinds),	  cmocka_unit_test(test_no_section),
		cmocka_unit_test(test_command_line_wins), cmocka_unit_test(test_name_of_interface),
		cmocka_unit_test(test_bad_lines),	  cmocka_unit_test(test_together),
		cmocka_unit_test(test_bad_files),	  cmocka_unit_test(test_long_path),
		cmocka_unit_test(test_not_asking),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
