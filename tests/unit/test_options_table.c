/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every option that takes a value, with good and bad ones: a bad one is refused by a line that
 * names option, value and what is allowed, as an option, after an equals sign, and as a key
 * of --devargs or of a file. The table is complete: what --help lists is here.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/util.h"
#include "options_rig.h"

#define VALUES_MAX 24

struct case_ {
	const char *name;
	const char *key; /* of --devargs, or NULL */
	const char *allowed;
	const char *beside; /* another option that this one needs, or NULL */
	const char *good[VALUES_MAX], *bad[VALUES_MAX];
};

/* What is no whole number for anyone, and what a cast to 16, 32 or 64 bits would make 1. */
#define NO_NUMBER                                                                                  \
	"", "abc", "12x", "x12", "-1", "+1", " 1", "1 ", "1.0", "0x1", "1e0", "65537",             \
		"4294967297", "18446744073709551617", "99999999999999999999999"
#define NAMES "1 to 15 bytes, not . or .., no / : space, % in one %d"
#define GOOD_NAMES { "v", "vnet0", "tap%d", "a%db", "123456789012345", "...", "-" }
#define BAD_NAMES                                                                                  \
	{ "", ".", "..", "1234567890123456", "a/b", "a:b", "a b", "%", "%s", "%d%d", "%%d", "%2d" }

static const struct case_ cases[] = {
	{ "path", "path", "a path of 1 to 4095 bytes without control characters", NULL,
	  { "/tmp/sock", "sock", "@name", "a=b", "/dev/vhost-net" }, { "" } },
	{ "iface", "iface", NAMES, NULL, GOOD_NAMES, BAD_NAMES },
	{ "iface-type", NULL, "one of tap, veth", NULL, { "tap", "veth" },
	  { "", "TAP", "tun", "ta", "tap " } },
	{ "veth-peer", NULL, NAMES, "--iface-type=veth", GOOD_NAMES, BAD_NAMES },
	{ "vhost-iface", NULL, NAMES, NULL, GOOD_NAMES, BAD_NAMES },
	{ "mac", "mac", "a unicast address like 02:00:00:00:00:01", NULL,
	  { "02:00:00:00:00:01", "fe:ff:ff:ff:ff:ff", "02:Ab:cD:00:00:00" },
	  { "", "0", "00:00:00:00:00:00", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff",
	    "02:00:00:00:00", "02:00:00:00:00:01:02", "02:00:00:00:00:1g", "02-00-00-00-00-01",
	    "2:0:0:0:0:1", "020000000001" } },
	{ "mtu", NULL, "a whole number from 68 to 65521", NULL, { "68", "1500", "65521", "01500" },
	  { NO_NUMBER, "0", "67", "65522", "65536", "4294967364" } },
	{ "netns", NULL, "a name as in \"ip netns\", or a path with a / in it", NULL,
	  { "blue", "/proc/1/ns/net", "./x" }, { "", ".", "..", "a\tb" } },
	{ "speed", "speed", "a whole number from 1 to 2147483647", NULL,
	  { "1", "1000", "65537", "2147483647" },
	  { "", "abc", "12x", "-1", "0", "2147483648", "4294967297", "18446744073709551617" } },
	{ "queues", "queues", "a whole number from 1 to 128", NULL, { "1", "2", "128" },
	  { NO_NUMBER, "0", "129", "257", "65536", "70000" } },
	{ "cq", "cq", "0 or 1", NULL, { "0", "1" },
	  { "", "2", "-1", "01", "00", "on", "true", "abc", "12x", "65536", "65537", " 1" } },
	{ "queue-size", "queue_size", "a power of two from 64 to 32768", NULL,
	  { "64", "128", "256", "1024", "32768" },
	  { NO_NUMBER, "0", "1", "32", "63", "100", "65535", "65536", "65792" } },
	{ "mrg-rxbuf", "mrg_rxbuf", "0 or 1", NULL, { "0", "1" },
	  { "", "2", "-1", "01", "off", "abc", "12x", "65536", "65537" } },
	{ "in-order", "in_order", "0 or 1", NULL, { "0", "1" },
	  { "", "2", "-1", "01", "off", "abc", "12x", "65536", "65537" } },
	{ "server", "server", "0 or 1", NULL, { "0", "1" },
	  { "", "2", "01", "yes", "abc", "12x", "65536", "65537" } },
	{ "socket-mode", NULL, "permission bits in octal from 0 to 0777", "--server",
	  { "0", "660", "0660", "777" },
	  { "", "8", "0o7", "rw", "1000", "00660", "-1", "1777" } },
	{ "socket-group", NULL, "the name or number of a group", "--server",
	  { "root", "0", "4242" }, { "", "no such group", "-1", "2147483648", "0x0" } },
	{ "workers", NULL, "a whole number from 1 to 128", "--queues=128", { "1", "2", "128" },
	  { NO_NUMBER, "0", "129", "65536" } },
	{ "cpus", NULL, "a list of up to 128 processors like 0,2-3", NULL,
	  { "0", "1023", "0,2-3", "1-1", "0-127" },
	  { "", ",", "1,", ",1", "1,,2", "a", "1-", "-1", "3-2", "1-2-3", "1024", "0-128",
	    "1 2" } },
	{ "offload", NULL, "one of auto, on, off", NULL, { "auto", "on", "off" },
	  { "", "yes", "0", "1", "Auto", "auto,on", "tso" } },
	{ "merge", NULL, "one of on, strict, off", NULL, { "on", "strict", "off" },
	  { "", "yes", "0", "1", "On", "auto" } },
	{ "io", NULL, "one of auto, uring, plain", NULL, { "auto", "uring", "plain" },
	  { "", "Auto", "ur", "epoll" } },
	{ "poll", NULL, "one of adaptive, busy", NULL, { "adaptive", "busy" },
	  { "", "never", "bus", "1" } },
	{ "idle-us", NULL, "a whole number from 0 to 1000000", NULL, { "0", "50", "1000000" },
	  { "", "abc", "12x", "-1", "1000001", "4294967296", "18446744073709551616" } },
	{ "config", NULL, "a path of 1 to 4095 bytes without control characters", NULL, { NULL },
	  { "" } },
	{ "devargs", NULL, "a list of KEY=VALUE like path=/tmp/sock,queues=2", NULL, { NULL },
	  { "" } },
	{ "user", NULL, "the name of a user of this system", NULL, { "root" },
	  { "", "no-such-user", "0", " root", "root:root" } },
	{ "seccomp", NULL, "one of on, off", NULL, { "on", "off" }, { "", "0", "1", "On", "yes" } },
	{ "control", NULL, "a path of 1 to 4095 bytes without control characters", NULL,
	  { "none", "/run/c", "c" }, { "" } },
	{ "control-group", NULL, "the name or number of a group", NULL,
	  { "root", "0", "4242" }, { "", "no such group", "-1", "2147483648", "0x0" } },
	{ "log-level", NULL, "one of error, warning, notice, info, debug", NULL,
	  { "error", "warning", "notice", "info", "debug" }, { "", "7", "inf", "INFO" } },
};

/* Those without a value. */
static const char *const flags[] = { "persist", "hugepages", "keep-caps", "help", "version" };

/* The line in which a bad value is named, without what would break it. */
static void expected(char *line, size_t size, const char *word, const char *value,
		     const char *allowed)
{
	snprintf(line, size, "--%s '%s': must be %s", word, value, allowed);
	for (; *line; line++)
		if (*line == '\t')
			*line = '?';
}

static void parse_one(struct run *run, const struct case_ *c, const char *option, const char *value)
{
	const char *words[6];
	unsigned int n = 0;

	if (strcmp(c->name, "path") != 0)
		words[n++] = "--path=s";
	if (c->beside)
		words[n++] = c->beside;
	words[n++] = option;
	if (value)
		words[n++] = value;
	words[n] = NULL;
	parse(run, words);
	free(run->text);
}

static void test_good(void **state)
{
	struct run run;
	char word[160];
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (k = 0; cases[i].good[k]; k++) {
			snprintf(word, sizeof(word), "--%s=%s", cases[i].name, cases[i].good[k]);
			parse_one(&run, &cases[i], word, NULL);
			assert_string_equal(run.error, "");
			assert_int_equal(run.r, 0);
			snprintf(word, sizeof(word), "--%s", cases[i].name);
			parse_one(&run, &cases[i], word, cases[i].good[k]);
			assert_string_equal(run.error, "");
		}
	}
}

/* --server may stand bare: what does not follow an equals sign is its value all the same. */
static void test_bad(void **state)
{
	char word[160], line[OPTIONS_ERROR_MAX];
	struct run run;
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (k = 0; cases[i].bad[k]; k++) {
			expected(line, sizeof(line), cases[i].name, cases[i].bad[k],
				 cases[i].allowed);
			snprintf(word, sizeof(word), "--%s=%s", cases[i].name, cases[i].bad[k]);
			parse_one(&run, &cases[i], word, NULL);
			assert_string_equal(run.error, line);
			assert_int_equal(run.r, -EINVAL);
			snprintf(word, sizeof(word), "--%s", cases[i].name);
			parse_one(&run, &cases[i], word, cases[i].bad[k]);
			assert_string_equal(run.error, line);
		}
	}
}

static void test_twice(void **state)
{
	char word[160], line[OPTIONS_ERROR_MAX];
	const char *words[5] = { NULL };
	struct run run;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (!cases[i].good[0])
			continue;
		snprintf(word, sizeof(word), "--%s=%s", cases[i].name, cases[i].good[0]);
		snprintf(line, sizeof(line), "--%s '%s': was given before; give it once",
			 cases[i].name, cases[i].good[0]);
		words[0] = words[1] = word;
		parse(&run, words);
		assert_string_equal(run.error, line);
		free(run.text);
	}
}

/* One KEY=VALUE, or two, behind a path; a list is taken apart in place. */
static void assert_devargs(const struct case_ *c, const char *value, bool twice, const char *line)
{
	char list[512];
	struct run run;

	snprintf(list, sizeof(list), "%s%s=%s%s%s%s%s", strcmp(c->key, "path") ? "path=s," : "",
		 c->key, value, twice ? "," : "", twice ? c->key : "", twice ? "=" : "",
		 twice ? value : "");
	PARSE(&run, "--devargs", list);
	assert_string_equal(run.error, line);
	assert_int_equal(run.r, line[0] ? -EINVAL : 0);
	free(run.text);
}

static void test_devargs(void **state)
{
	char line[OPTIONS_ERROR_MAX], word[160];
	const struct case_ *c;
	size_t k;

	(void)state;
	for (c = cases; c < cases + ARRAY_SIZE(cases); c++) {
		for (k = 0; c->key && c->good[k]; k++) {
			assert_devargs(c, c->good[k], false, "");
			snprintf(line, sizeof(line),
				 "--devargs '%s=%s': was given before; give it once", c->key,
				 c->good[k]);
			assert_devargs(c, c->good[k], true, line);
		}
		for (k = 0; c->key && c->bad[k]; k++) {
			snprintf(word, sizeof(word), "%s=%s", c->key, c->bad[k]);
			expected(line, sizeof(line), "devargs", word, c->allowed);
			assert_devargs(c, c->bad[k], false, line);
		}
	}
}

/* An option that is no key, by its own name or the key's, is none in a list. */
static void test_no_devargs(void **state)
{
	char list[64], line[OPTIONS_ERROR_MAX];
	struct run run;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (cases[i].key && !strchr(cases[i].name, '-'))
			continue;
		snprintf(list, sizeof(list), "path=s,%s=%s", cases[i].name,
			 cases[i].good[0] ? cases[i].good[0] : "");
		snprintf(line, sizeof(line),
			 "--devargs '%s': is not a key that is served here, which are path, iface, "
			 "mac, speed, queues, cq, queue_size, mrg_rxbuf, in_order, server, "
			 "packed_vq",
			 cases[i].name);
		PARSE(&run, "--devargs", list);
		assert_string_equal(run.error, line);
		free(run.text);
	}
}

/* ---- as a key of a file ---- */

static char file_path[] = "/tmp/vubridge-options.XXXXXX";

static bool is_file_key(const struct case_ *c)
{
	return strcmp(c->name, "config") != 0 && strcmp(c->name, "devargs") != 0;
}

/* Blanks around a value are none of it there. */
static bool is_file_value(const char *value)
{
	size_t len = strlen(value);

	return !len || (value[0] != ' ' && value[len - 1] != ' ');
}

static void write_file(const struct case_ *c, const char *value, bool twice)
{
	FILE *f = fopen(file_path, "w");

	assert_non_null(f);
	fprintf(f, "[vubridge]\n%s = %s\n", c->name, value);
	if (twice)
		fprintf(f, "%s=%s\n", c->name, value);
	if (strcmp(c->name, "path") != 0)
		fputs("path = s\n", f);
	fclose(f);
}

static void assert_file(const struct case_ *c, const char *line)
{
	const char *words[] = { "--config", file_path, c->beside, NULL };
	struct run run;

	parse(&run, words);
	assert_string_equal(run.error, line);
	assert_int_equal(run.r, line[0] ? -EINVAL : 0);
	free(run.text);
	options_close(&run.o);
}

static void test_file(void **state)
{
	char line[OPTIONS_ERROR_MAX], word[160];
	const struct case_ *c;
	size_t k;
	int fd = mkstemp(file_path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	for (c = cases; c < cases + ARRAY_SIZE(cases); c++) {
		for (k = 0; is_file_key(c) && c->good[k]; k++) {
			write_file(c, c->good[k], false);
			assert_file(c, "");
			write_file(c, c->good[k], true);
			snprintf(line, sizeof(line),
				 "%s:3: %s '%s': was given before; give it once", file_path,
				 c->name, c->good[k]);
			assert_file(c, line);
		}
		for (k = 0; is_file_key(c) && c->bad[k]; k++) {
			if (!is_file_value(c->bad[k]))
				continue;
			write_file(c, c->bad[k], false);
			expected(word, sizeof(word), c->name, c->bad[k], c->allowed);
			snprintf(line, sizeof(line), "%s:2: %s", file_path, word + 2);
			assert_file(c, line);
		}
	}
	unlink(file_path);
}

static bool is_tested(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		if (strlen(cases[i].name) == len && !strncmp(cases[i].name, name, len))
			return true;
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (strlen(flags[i]) == len && !strncmp(flags[i], name, len))
			return true;
	return false;
}

static void test_complete(void **state)
{
	unsigned int listed = 0;
	struct run run;
	char *line, *rest;

	(void)state;
	PARSE(&run, "--help");
	for (rest = run.text; (line = strsep(&rest, "\n"));) {
		if (strncmp(line, "  --", 4))
			continue;
		line += 4;
		if (!is_tested(line, strcspn(line, " ")))
			fail_msg("not in the table: --%s", line);
		listed++;
	}
	assert_int_equal(listed, ARRAY_SIZE(cases) + ARRAY_SIZE(flags));
	free(run.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	   cmocka_unit_test(test_bad),
		cmocka_unit_test(test_twice),	   cmocka_unit_test(test_devargs),
		cmocka_unit_test(test_no_devargs), cmocka_unit_test(test_complete),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
