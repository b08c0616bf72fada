/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/util.h"
#include "daemon/options.h"
#include "options_rig.h"

static void test_defaults(void **state)
{
	struct run run;

	(void)state;
	assert_taken(&run, "--path", "/tmp/sock");
	assert_string_equal(run.o.path, "/tmp/sock");
	assert_string_equal(run.o.iface, "vnet%d");
	assert_int_equal(run.o.iface_type, OPTIONS_IFACE_TAP);
	assert_null(run.o.veth_peer);
	assert_false(run.o.mac.given);
	assert_int_equal(run.o.mtu, 0);
	assert_int_equal(run.o.queue_size, 4096);
	assert_int_equal(run.o.io, OPTIONS_IO_AUTO);
	assert_int_equal(run.o.poll, OPTIONS_POLL_ADAPTIVE);
	assert_int_equal(run.o.idle_us, 50);
	assert_false(run.o.hugepages);
	assert_null(run.o.netns);
	assert_false(run.o.persist);
	assert_null(run.o.user.name);
	assert_false(run.o.keep_caps);
	assert_int_equal(run.o.log_level, LOG_INFO);
}

static void test_all_given(void **state)
{
	static const uint8_t mac[] = { 0x02, 0xab, 0xCD, 0, 0, 0xff };
	struct run run;

	(void)state;
	assert_taken(&run, "--log-level=debug", "--hugepages", "--idle-us", "0", "--poll=busy",
		     "--io", "plain", "--queue-size=1024", "--persist", "--netns=blue", "--user",
		     "root", "--keep-caps", "--mtu", "9000", "--mac",
		     "02:aB:cd:00:00:FF", "--iface=tap-%d", "--path=@name", "--");
	assert_string_equal(run.o.path, "@name");
	assert_string_equal(run.o.iface, "tap-%d");
	assert_true(run.o.mac.given);
	assert_memory_equal(run.o.mac.addr, mac, sizeof(mac));
	assert_int_equal(run.o.mtu, 9000);
	assert_int_equal(run.o.queue_size, 1024);
	assert_int_equal(run.o.io, OPTIONS_IO_PLAIN);
	assert_int_equal(run.o.poll, OPTIONS_POLL_BUSY);
	assert_int_equal(run.o.idle_us, 0);
	assert_true(run.o.hugepages);
	assert_string_equal(run.o.netns, "blue");
	assert_true(run.o.persist);
	assert_string_equal(run.o.user.name, "root");
	assert_int_equal(run.o.user.uid, 0);
	assert_int_equal(run.o.user.gid, 0);
	assert_true(run.o.keep_caps);
	assert_int_equal(run.o.log_level, LOG_DEBUG);
}

static void test_choices(void **state)
{
	static const struct {
		const char *word;
		int level;
	} levels[] = {
		{ "--log-level=error", LOG_ERR },     { "--log-level=warning", LOG_WARNING },
		{ "--log-level=notice", LOG_NOTICE }, { "--log-level=info", LOG_INFO },
		{ "--log-level=debug", LOG_DEBUG },
	};
	struct run run;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(levels); i++) {
		assert_taken(&run, "--path=s", levels[i].word);
		assert_int_equal(run.o.log_level, levels[i].level);
	}
	assert_taken(&run, "--path=s", "--io=uring", "--poll=adaptive");
	assert_int_equal(run.o.io, OPTIONS_IO_URING);
	assert_taken(&run, "--path=s", "--io=auto");
	assert_int_equal(run.o.io, OPTIONS_IO_AUTO);
	assert_refused("--io 'Auto': must be one of auto, uring, plain", "--io=Auto");
	assert_refused("--io 'ur': must be one of auto, uring, plain", "--io=ur");
	assert_refused("--poll 'never': must be one of adaptive, busy", "--poll", "never");
	assert_refused("--log-level '7': must be one of error, warning, notice, info, debug",
		       "--log-level=7");
}

static void test_iface_types(void **state)
{
	struct run run;

	(void)state;
	assert_taken(&run, "--path=s", "--iface-type=tap", "--io=uring");
	assert_int_equal(run.o.iface_type, OPTIONS_IFACE_TAP);
	assert_taken(&run, "--path=s", "--iface-type=veth");
	assert_int_equal(run.o.iface_type, OPTIONS_IFACE_VETH);
	assert_null(run.o.veth_peer);
	assert_taken(&run, "--path=s", "--veth-peer", "hid%d", "--iface-type", "veth");
	assert_string_equal(run.o.veth_peer, "hid%d");
	assert_refused("--iface-type 'tun': must be one of tap, veth", "--iface-type=tun");
	assert_refused("--veth-peer 'a/b': must be 1 to 15 bytes, not . or .., no / : space, "
		       "% in one %d", "--veth-peer", "a/b");
	assert_refused("--veth-peer 'hid0': needs --iface-type veth", "--path=s",
		       "--veth-peer=hid0");
	assert_refused("--veth-peer 'hid0': needs --iface-type veth", "--path=s",
		       "--veth-peer=hid0", "--iface-type=tap");
	assert_refused("--speed '1000': cannot be used with --iface-type veth, whose speed the "
		       "kernel says", "--path=s", "--speed=1000", "--iface-type=veth");
	assert_refused("--io 'uring': cannot be used with --iface-type veth, use --io plain",
		       "--path=s", "--io=uring", "--iface-type=veth");
}

static void test_numbers(void **state)
{
	struct run run;

	(void)state;
	assert_taken(&run, "--path=s", "--mtu=68", "--idle-us=1000000");
	assert_int_equal(run.o.mtu, 68);
	assert_int_equal(run.o.idle_us, 1000000);
	assert_taken(&run, "--path=s", "--mtu=065521");
	assert_int_equal(run.o.mtu, 65521);
	/* a number with something in it that would break the line */
	assert_refused("--mtu '7?0': must be a whole number from 68 to 65521", "--mtu", "7\t0");
}

static void test_queue_size(void **state)
{
	struct run run;
	char word[64];
	unsigned int n;

	(void)state;
	for (n = 64; n <= 32768; n *= 2) {
		snprintf(word, sizeof(word), "--queue-size=%u", n);
		assert_taken(&run, word, "--path=s");
		assert_int_equal(run.o.queue_size, n);
	}
}

static void test_iface(void **state)
{
	static const char *const good[] = { "v", "123456789012345", "%d", "\303\251", "vnet0@1" };
	struct run run;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		assert_taken(&run, "--path=s", "--iface", good[i]);
		assert_string_equal(run.o.iface, good[i]);
	}
}

static void test_netns(void **state)
{
	static const char *const good[] = { "blue", "...", "/proc/1/ns/net", "./x", "a b" };
	char name[NAME_MAX + 2], line[OPTIONS_ERROR_MAX];
	struct run run;
	size_t i;

	(void)state;
#define ALLOWED "': must be a name as in \"ip netns\", or a path with a / in it"
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		assert_taken(&run, "--path=s", "--netns", good[i]);
		assert_string_equal(run.o.netns, good[i]);
	}
	assert_refused("--netns '" ALLOWED, "--path=s", "--netns=");
	assert_refused("--netns '." ALLOWED, "--path=s", "--netns=.");
	assert_refused("--netns '.." ALLOWED, "--path=s", "--netns", "..");
	assert_refused("--netns 'a?b" ALLOWED, "--path=s", "--netns=a\nb");
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(line, sizeof(line), "--netns '%.156s...%s", name, ALLOWED);
	assert_refused(line, "--path=s", "--netns", name);
	assert_taken(&run, "--path=s", "--netns", name + 1);
#undef ALLOWED
}

static void test_path(void **state)
{
	static const char *const refused = "': must be a path of 1 to 4095 bytes without control "
					   "characters";
	char path[PATH_MAX + 1], line[OPTIONS_ERROR_MAX];
	struct run run;

	(void)state;
	memset(path, 'p', PATH_MAX);
	path[PATH_MAX] = '\0';
	snprintf(line, sizeof(line), "--path '%.156s...%s", path, refused);
	assert_refused(line, "--path", path);
	path[PATH_MAX - 1] = '\0';
	assert_taken(&run, "--path", path);
	assert_string_equal(run.o.path, path);
	snprintf(line, sizeof(line), "--path '%s", refused);
	assert_refused(line, "--path", "");
	assert_refused(line, "--path=");
	snprintf(line, sizeof(line), "--path 'a?b%s", refused);
	assert_refused(line, "--path", "a\nb");
	assert_taken(&run, "--path=a=b");
	assert_string_equal(run.o.path, "a=b");
}

static void test_missing(void **state)
{
	(void)state;
	assert_refused("--path: must be given: a path of 1 to 4095 bytes without control "
		       "characters",
		       "--iface=vnet0");
	assert_refused("--path: needs a value", "--iface=vnet0", "--path");
	assert_refused("--iface: needs a value (one that begins with -- is written --iface=VALUE)",
		       "--iface", "--path", "/tmp/sock");
}

static void test_no_words(void **state)
{
	char *argv[] = { NULL };
	char error[OPTIONS_ERROR_MAX];
	struct options o;

	(void)state;
	assert_int_equal(options_parse(0, argv, stdout, &o, error, sizeof(error)), -EINVAL);
	assert_ptr_equal(strstr(error, "--path: must be given"), error);
}

static void test_dashes_in_value(void **state)
{
	struct run run;

	(void)state;
	assert_taken(&run, "--path=--help");
	assert_string_equal(run.o.path, "--help");
	assert_taken(&run, "--path", "-");
	assert_string_equal(run.o.path, "-");
}

static void test_unknown(void **state)
{
	(void)state;
#define UNKNOWN ": unknown option (names may not be shortened), see --help"
	assert_refused("--bogus" UNKNOWN, "--bogus");
	assert_refused("--bogus=5" UNKNOWN, "--path=s", "--bogus=5");
	assert_refused("-x" UNKNOWN, "-x");
	assert_refused("-hV" UNKNOWN, "-hV");
	assert_refused("-path" UNKNOWN, "-path", "s");
	assert_refused("--Path=s" UNKNOWN, "--Path=s");
	assert_refused("--path-=s" UNKNOWN, "--path-=s");
	assert_refused("--=s" UNKNOWN, "--=s");
	assert_refused("--a?b" UNKNOWN, "--a\nb");
	/* beginnings of one name and of two */
	assert_refused("--queue=256" UNKNOWN, "--path=s", "--queue=256");
	assert_refused("--pat" UNKNOWN, "--pat", "s");
	assert_refused("--pat" UNKNOWN, "--pat");
	assert_refused("--huge" UNKNOWN, "--path=s", "--huge");
	assert_refused("--huge=1" UNKNOWN, "--path=s", "--huge=1");
	assert_refused("--m" UNKNOWN, "--m", "1500");
	assert_refused("--hel" UNKNOWN, "--hel");
#undef UNKNOWN
}

static void test_repeated(void **state)
{
	(void)state;
	assert_refused("--path '/b': was given before; give it once", "--path=/a", "--path=/b");
	assert_refused("--path '/a': was given before; give it once", "--path=/a", "--path", "/a");
	assert_refused("--hugepages: was given before; give it once", "--path=s", "--hugepages",
		       "--hugepages");
	assert_refused("--queue-size '256': was given before; give it once", "--queue-size=256",
		       "--queue-size=256", "--path=s");
}

static void test_flag_with_value(void **state)
{
	(void)state;
	assert_refused("--hugepages '1': takes no value", "--path=s", "--hugepages=1");
	assert_refused("--hugepages '': takes no value", "--path=s", "--hugepages=");
	assert_refused("--help 'me': takes no value", "--help=me");
}

static void test_control(void **state)
{
	struct run run;

	(void)state;
	assert_taken(&run, "--path=s");
	assert_null(run.o.control);
	assert_false(run.o.control_group.given);
	assert_taken(&run, "--path=s", "--control=/run/c", "--control-group", "7");
	assert_string_equal(run.o.control, "/run/c");
	assert_int_equal(run.o.control_group.gid, 7);
	assert_taken(&run, "--path=s", "--control", "none");
	assert_string_equal(run.o.control, OPTIONS_CONTROL_NONE);
}

/* One value by its option's name, as the control socket gives it. */
static void test_store(void **state)
{
	char error[OPTIONS_ERROR_MAX];
	struct options o = {0};

	(void)state;
	assert_int_equal(options_store(&o, "mtu", "9000", error, sizeof(error)), 0);
	assert_int_equal(o.mtu, 9000);
	assert_int_equal(options_store(&o, "log-level", "debug", error, sizeof(error)), 0);
	assert_int_equal(o.log_level, LOG_DEBUG);
	assert_int_equal(options_store(&o, "mtu", "67", error, sizeof(error)), -EINVAL);
	assert_string_equal(error, "mtu '67': must be a whole number from 68 to 65521");
	assert_int_equal(options_store(&o, "poll", "", error, sizeof(error)), -EINVAL);
	assert_string_equal(error, "poll '': must be one of adaptive, busy");
	assert_string_equal(options_choice("poll", OPTIONS_POLL_BUSY), "busy");
	assert_string_equal(options_choice("log-level", LOG_ERR), "error");
	assert_null(options_choice("log-level", 99));
}

static void test_other_words(void **state)
{
	(void)state;
	assert_refused("unexpected word '/tmp/sock': only options are taken, see --help",
		       "/tmp/sock");
	assert_refused("unexpected word 'x': only options are taken, see --help", "--path=s", "x",
		       "--bogus");
	assert_refused("unexpected word '': only options are taken, see --help", "--path=s", "");
	assert_refused("unexpected word '-': only options are taken, see --help", "--path=s", "-");
	assert_refused("unexpected word '--help': only options are taken, see --help", "--path=s",
		       "--", "--help");
}

static void test_help(void **state)
{
	static const char *const parts[] = {
		"Usage: vubridge --path PATH [OPTION]...\n",
		"  --path PATH             vhost-user backend's socket, or /dev/vhost-net\n",
		"   mandatory\n",
		"a power of two from 64 to 32768\n",
		"one of auto, uring, plain\n",
		"default: vnet%d\n",
		"  --hugepages             use huge pages",
	};
	struct run run;
	char *line, *rest;
	size_t i;

	(void)state;
	PARSE(&run, "--queue-size=64", "--help", "--bogus");
	assert_int_equal(run.r, 1);
	assert_string_equal(run.error, "");
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		assert_non_null(strstr(run.text, parts[i]));
	for (rest = run.text; (line = strsep(&rest, "\n"));)
		assert_true(strlen(line) <= 80);
	free(run.text);
}

static void test_version(void **state)
{
	struct run run;
	char *newline;

	(void)state;
	PARSE(&run, "--version");
	assert_int_equal(run.r, 1);
	assert_ptr_equal(strstr(run.text, "vubridge "), run.text);
	newline = strchr(run.text, '\n');
	assert_non_null(newline);
	assert_true(newline > run.text + strlen("vubridge "));
	assert_string_equal(newline, "\n");
	free(run.text);
}

/* However long and dirty the words: one line that ends inside its buffer. */
static void test_one_line(void **state)
{
	static char junk[20000];
	char *argv[] = { (char *)"vubridge", junk };
	char error[64];
	struct options o;
	int first;

	(void)state;
	for (first = 1; first < 256; first++) {
		memset(junk, first, sizeof(junk) - 1);
		if (first % 2)
			memcpy(junk, "--path=", 7);
		memset(error, '!', sizeof(error));
		options_parse(2, argv, stdout, &o, error, sizeof(error));
		assert_non_null(memchr(error, '\0', sizeof(error)));
		assert_null(strchr(error, '\n'));
	}
}

static void test_refuse(void **state)
{
	char error[OPTIONS_ERROR_MAX];

	(void)state;
	assert_int_equal(options_refuse(error, sizeof(error), "iface", "eth0", "is %s", "no TAP"),
			 -EINVAL);
	assert_string_equal(error, "--iface 'eth0': is no TAP");
	options_refuse(error, sizeof(error), "iface", NULL, "is %d", 5);
	assert_string_equal(error, "--iface: is 5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_all_given),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_iface_types),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_queue_size),
		cmocka_unit_test(test_iface),
		cmocka_unit_test(test_netns),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_no_words),
		cmocka_unit_test(test_dashes_in_value),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_repeated),
		cmocka_unit_test(test_flag_with_value),
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_store),
		cmocka_unit_test(test_other_words),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_one_line),
		cmocka_unit_test(test_refuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
