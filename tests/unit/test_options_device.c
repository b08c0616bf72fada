/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of the device, those that the seed had included; and what may not go together. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/util.h"
#include "options_rig.h"

static void test_onoff(void **state)
{
	struct run run;

	(void)state;
	assert_taken(&run, "--path=s", "--mrg-rxbuf", "0");
	assert_false(run.o.mrg_rxbuf);
	assert_taken(&run, "--path=s", "--mrg-rxbuf=1");
	assert_true(run.o.mrg_rxbuf);
	assert_refused("--mrg-rxbuf: needs a value", "--path=s", "--mrg-rxbuf");
}

/* May stand bare. */
static void test_switch(void **state)
{
	struct run run;

	(void)state;
	assert_taken(&run, "--path=s");
	assert_false(run.o.server);
	assert_taken(&run, "--server", "--path=s");
	assert_true(run.o.server);
	assert_taken(&run, "--path=s", "--server");
	assert_true(run.o.server);
	assert_taken(&run, "--server", "0", "--path=s");
	assert_false(run.o.server);
	assert_taken(&run, "--server=1", "--path=s");
	assert_true(run.o.server);
	assert_refused("--server 'x': must be 0 or 1", "--server", "x", "--path=s");
	assert_refused("--server '': must be 0 or 1", "--server=", "--path=s");
	assert_refused("--server '2': must be 0 or 1", "--server=2", "--path=s");
	assert_refused("--server: was given before; give it once", "--server", "--server");
}

/* What the path is has a say in what may be asked for. */
static void test_vhost_net(void **state)
{
	char error[OPTIONS_ERROR_MAX] = "";
	struct run run;

	(void)state;
	assert_taken(&run, "--path=s");
	assert_null(run.o.vhost_iface);
	assert_int_equal(options_check_path(&run.o, false, error, sizeof(error)), 0);
	assert_int_equal(options_check_path(&run.o, true, error, sizeof(error)), 0);
	assert_string_equal(error, "");
	assert_taken(&run, "--path=s", "--vhost-iface", "vh%d", "--iface=v0");
	assert_string_equal(run.o.vhost_iface, "vh%d");
	assert_string_equal(run.o.iface, "v0");
	assert_int_equal(options_check_path(&run.o, true, error, sizeof(error)), 0);
	assert_int_equal(options_check_path(&run.o, false, error, sizeof(error)), -EINVAL);
	assert_string_equal(error,
			    "--vhost-iface 'vh%d': needs --path /dev/vhost-net, not a socket");
	assert_taken(&run, "--path=s", "--vhost-iface=v0", "--iface=v0");
	assert_int_equal(options_check_path(&run.o, true, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, "--vhost-iface 'v0': must be another one than --iface");
	assert_taken(&run, "--path=s", "--vhost-iface=v%d", "--iface=v%d");
	assert_int_equal(options_check_path(&run.o, true, error, sizeof(error)), 0);
	assert_taken(&run, "--path=s", "--vhost-iface=v0", "--iface=v0", "--netns=blue");
	assert_int_equal(options_check_path(&run.o, true, error, sizeof(error)), 0);
	assert_taken(&run, "--path=s", "--server");
	assert_int_equal(options_check_path(&run.o, false, error, sizeof(error)), 0);
	assert_int_equal(options_check_path(&run.o, true, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, "--server: needs a socket, not /dev/vhost-net");
	assert_refused("--vhost-iface 'a/b': must be 1 to 15 bytes, not . or .., no / : space, % "
		       "in one %d",
		       "--path=s", "--vhost-iface=a/b");
}

static void test_control_queue(void **state)
{
	struct run run;

	(void)state;
	assert_taken(&run, "--path=s");
	assert_int_equal(run.o.queues, 1);
	assert_false(run.o.cq);
	assert_taken(&run, "--path=s", "--queues=2");
	assert_true(run.o.cq);
	assert_taken(&run, "--path=s", "--cq=1");
	assert_true(run.o.cq);
	assert_taken(&run, "--path=s", "--cq=0");
	assert_false(run.o.cq);
	assert_taken(&run, "--path=s", "--queues=128", "--cq=1");
	assert_int_equal(run.o.queues, 128);
	assert_refused("--cq '0': must be 1 with 2 queue pairs (--queues)", "--path=s", "--cq=0",
		       "--queues=2");
	assert_refused("--queues '129': must be a whole number from 1 to 128", "--path=s",
		       "--queues=129");
	assert_refused("--queues '0': must be a whole number from 1 to 128", "--path=s",
		       "--queues=0");
	/* a number that a cast to 16 bits would make 1 */
	assert_refused("--queues '65537': must be a whole number from 1 to 128", "--path=s",
		       "--queues=65537");
}

static void test_socket(void **state)
{
	struct run run;

	(void)state;
	assert_taken(&run, "--path=s", "--server", "--socket-mode=660", "--socket-group=0");
	assert_true(run.o.socket_mode.given && run.o.socket_group.given);
	assert_int_equal(run.o.socket_mode.mode, 0660);
	assert_int_equal(run.o.socket_group.gid, 0);
	assert_taken(&run, "--path=s", "--server", "--socket-mode=0777", "--socket-group=root");
	assert_int_equal(run.o.socket_mode.mode, 0777);
	assert_int_equal(run.o.socket_group.gid, 0);
	assert_refused("--socket-mode: needs --server", "--path=s", "--socket-mode=600");
	assert_refused("--socket-group: needs --server", "--path=s", "--socket-group=0");
	assert_refused("--socket-mode: cannot be used with an abstract socket, to which anyone may "
		       "connect",
		       "--path=@s", "--server", "--socket-mode=600");
	assert_refused("--socket-group: cannot be used with an abstract socket, to which anyone "
		       "may connect",
		       "--path=@s", "--server", "--socket-group=0");
	assert_taken(&run, "--path=@s", "--server");
}

static void test_workers(void **state)
{
	struct run run;

	(void)state;
	assert_taken(&run, "--path=s", "--queues=4", "--workers=2", "--cpus=1,3-5,0");
	assert_int_equal(run.o.workers, 2);
	assert_int_equal(run.o.cpus.n, 5);
	assert_int_equal(run.o.cpus.cpu[0], 1);
	assert_int_equal(run.o.cpus.cpu[3], 5);
	assert_int_equal(run.o.cpus.cpu[4], 0);
	assert_refused("--workers '3': must be at most 2, the number of --queues", "--path=s",
		       "--workers=3", "--queues=2");
	assert_refused("--workers '0': must be a whole number from 1 to 128", "--path=s",
		       "--workers=0");
}

static void test_cpus(void **state)
{
	struct run run;

	(void)state;
	assert_taken(&run, "--path=s", "--cpus=1023");
	assert_int_equal(run.o.cpus.cpu[0], 1023);
	assert_taken(&run, "--path=s", "--cpus=0-127");
	assert_int_equal(run.o.cpus.n, 128);
}

/* The list is taken apart in place, so it has to be memory of its own. */
static void parse_devargs(struct run *run, const char *list, const char *other)
{
	char *copy = strdup(list);

	if (other)
		PARSE(run, other, "--devargs", copy);
	else
		PARSE(run, "--devargs", copy);
	free(run->text);
	/* the options point into it for as long as the program runs */
	if (run->r)
		free(copy);
	else
		run->text = copy;
}

static void assert_devargs_refused(const char *line, const char *list)
{
	struct run run;

	parse_devargs(&run, list, NULL);
	assert_string_equal(run.error, line);
	assert_int_equal(run.r, -EINVAL);
}

static void test_devargs(void **state)
{
	struct run run;

	(void)state;
	parse_devargs(&run,
		      "path=/tmp/sock,iface=v0,mac=02:00:00:00:00:01,queues=2,cq=1,queue_size=512,"
		      "server=1,mrg_rxbuf=0,speed=10000",
		      NULL);
	assert_string_equal(run.error, "");
	assert_string_equal(run.o.path, "/tmp/sock");
	assert_string_equal(run.o.iface, "v0");
	assert_int_equal(run.o.mac.addr[5], 1);
	assert_int_equal(run.o.queues, 2);
	assert_int_equal(run.o.queue_size, 512);
	assert_true(run.o.cq && run.o.server && !run.o.mrg_rxbuf);
	assert_int_equal(run.o.speed, 10000);
	free(run.text);
	parse_devargs(&run, "path=/tmp/a=b", "--queues=2");
	assert_string_equal(run.o.path, "/tmp/a=b");
	assert_int_equal(run.o.queues, 2);
	free(run.text);
	assert_devargs_refused("--devargs 'queues=x': must be a whole number from 1 to 128",
			       "path=s,queues=x");
	assert_devargs_refused("--devargs 'queues=': must be a whole number from 1 to 128",
			       "path=s,queues=");
	assert_devargs_refused("--devargs 'queues': needs a value", "path=s,queues");
	assert_devargs_refused("--devargs 'queues=2': was given before; give it once",
			       "queues=1,queues=2");
#define NO_KEY                                                                                     \
	": is not a key that is served here, which are path, iface, mac, speed, queues, cq, "      \
	"queue_size, mrg_rxbuf, in_order, server, packed_vq"
	assert_devargs_refused("--devargs 'vectorized'" NO_KEY, "path=s,vectorized=1");
	assert_devargs_refused("--devargs 'packed_vq'" NO_KEY, "path=s,packed_vq");
	assert_devargs_refused("--devargs ''" NO_KEY, "path=s,");
	assert_devargs_refused("--devargs 'queue-size'" NO_KEY, "queue-size=256");
	assert_devargs_refused("--devargs 'help'" NO_KEY, "help");
	assert_devargs_refused("--devargs 'hugepages'" NO_KEY, "hugepages");
#undef NO_KEY
	/* what is so anyway may be said */
	parse_devargs(&run, "packed_vq=0,path=/tmp/a", "--queues=2");
	assert_string_equal(run.o.path, "/tmp/a");
	free(run.text);
	assert_devargs_refused("--devargs 'packed_vq=1': must be 0, packed rings are not served",
			       "path=s,packed_vq=1");
	assert_devargs_refused("--devargs 'packed_vq=': must be 0, packed rings are not served",
			       "path=s,packed_vq=");
	assert_devargs_refused("--devargs 'packed_vq=0': was given before; give it once",
			       "packed_vq=0,packed_vq=0");
	parse_devargs(&run, "path=b", "--path=a");
	assert_string_equal(run.error, "--devargs 'path=b': was given before; give it once");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_onoff),	      cmocka_unit_test(test_switch),
		cmocka_unit_test(test_vhost_net),
		cmocka_unit_test(test_control_queue), cmocka_unit_test(test_socket),
		cmocka_unit_test(test_workers),	      cmocka_unit_test(test_cpus),
		cmocka_unit_test(test_devargs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
