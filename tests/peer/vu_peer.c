/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "peer.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/virtio_net.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/util.h"
#include "virtio/feature.h"

#define SPIN_NS 20000u
/* Of epoll events: the number of a device, or this. */
#define WAKE_SIGNAL UINT32_MAX
#define WAKE_COMMAND (UINT32_MAX - 1)

struct peer {
	struct peer_config config;
	const char *paths[PEER_MAX_DEVICES];
	struct device devices[PEER_MAX_DEVICES];
	unsigned int n;
	int epoll_fd, signal_fd;
	bool commands; /* on standard input */
	bool ending;
};

static const struct peer_config defaults = {
	.mode = MODE_CROSS,
	.features = FEATURE_RING_MASK | (FEATURE_OFFLOAD_MASK & ~(FEATURE_NET(GUEST_USO4) |
		    FEATURE_NET(GUEST_USO6) | FEATURE_NET(HOST_USO) | FEATURE_NET(GUEST_UFO) |
		    FEATURE_NET(HOST_UFO))) | FEATURE_NET(STATUS) |
		    FEATURE_NET(MQ) | UINT64_C(1) << VHOST_USER_F_PROTOCOL_FEATURES,
	.protocol_features = 1u << VHOST_USER_PROTOCOL_F_MQ |
			     1u << VHOST_USER_PROTOCOL_F_REPLY_ACK |
			     1u << VHOST_USER_PROTOCOL_F_RARP |
			     1u << VHOST_USER_PROTOCOL_F_NET_MTU |
			     1u << VHOST_USER_PROTOCOL_F_BACKEND_REQ |
			     1u << VHOST_USER_PROTOCOL_F_CONFIG |
			     1u << VHOST_USER_PROTOCOL_F_STATUS,
	.pairs = 1,
	.queue_size = 32768,
	.mtu = 1500,
	.net_status = VIRTIO_NET_S_LINK_UP,
	.mac = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 },
	.size = 64,
	.flows = 1,
	.lie = { .after = 10, .times = UINT32_MAX },
};

static const char help[] =
	"usage: vu_peer --socket PATH [--socket PATH]… [options]\n"
	"A vhost-user backend for tests: listens at each PATH.\n"
	"  --mode cross|reflect|sink|generate   default cross: sockets 1 and 2, 3 and 4, …\n"
	"  --client                 connect to the sockets instead\n"
	"  --swap-mac               reflect: swap source and destination\n"
	"  --dump                   print the first bytes of each frame from a driver\n"
	"  --features HEX           device features to offer\n"
	"  --no-feature NAME        not this one (may be repeated)\n"
	"  --protocol-features HEX  protocol features to offer\n"
	"  --queues N               queue pairs, default 1\n"
	"  --queue-size N           the largest ring that is taken, default 32768\n"
	"  --mtu N, --mac MAC, --link up|down   configuration space\n"
	"  --size N, --flows N, --rate PPS, --count N   generate\n"
	"  --misbehave WHAT[:ARG]   one of the list below; NTH: not each such request on a\n"
	"                           connection, but this one\n"
	"  --after N                frames before a lie in the rings, default 10\n"
	"  --misbehave-ring N       the ring that a lie in the rings is in, default 0: the first\n"
	"                           receive ring of the driver; 1: its first transmit ring, …\n"
	"  --misbehave-times N      connections that see it, default all\n"
	"  --misbehave-late         not before all rings of a connection run\n"
	"  --commands               read lines from standard input and tell the drivers:\n"
	"                           link up|down, mtu N, mac MAC, announce, needs-reset\n"
	"SIGUSR1 prints counters; SIGTERM ends. WHAT is one of:\n";

static void usage_error(const char *option, const char *value)
{
	fprintf(stderr, "vu_peer: --%s '%s' is wrong, see --help\n", option, value);
	exit(2);
}

static void remove_feature(struct peer_config *c, const char *name)
{
	unsigned int bit;

	for (bit = 0; bit < 64; bit++) {
		if (feature_name(bit) && !strcmp(feature_name(bit), name)) {
			c->features &= ~(UINT64_C(1) << bit);
			return;
		}
	}
	if (strcmp(name, "PROTOCOL_FEATURES"))
		usage_error("no-feature", name);
	c->features &= ~(UINT64_C(1) << VHOST_USER_F_PROTOCOL_FEATURES);
	c->protocol_features = 0;
}

static uint64_t number(const char *option, const char *value, uint64_t max)
{
	char *end;
	uint64_t n = strtoull(value, &end, 0);

	if (!*value || *end || n > max)
		usage_error(option, value);
	return n;
}

static enum peer_mode mode_named(const char *value)
{
	static const char *const names[] = { "cross", "reflect", "sink", "generate" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], value))
			return (enum peer_mode)i;
	usage_error("mode", value);
	return MODE_CROSS;
}

static const struct option options[] = {
	{ "socket", 1, NULL, 's' },	       { "mode", 1, NULL, 'm' },
	{ "client", 0, NULL, 'c' },	       { "swap-mac", 0, NULL, 'w' },
	{ "features", 1, NULL, 'f' },	       { "no-feature", 1, NULL, 'n' },
	{ "protocol-features", 1, NULL, 'p' }, { "queues", 1, NULL, 'q' },
	{ "mtu", 1, NULL, 'M' },	       { "link", 1, NULL, 'l' },
	{ "mac", 1, NULL, 'A' },	       { "queue-size", 1, NULL, 'Q' },
	{ "size", 1, NULL, 'S' },	       { "flows", 1, NULL, 'F' },
	{ "rate", 1, NULL, 'r' },	       { "count", 1, NULL, 'C' },
	{ "misbehave", 1, NULL, 'b' },	       { "after", 1, NULL, 'a' },
	{ "misbehave-times", 1, NULL, 't' },   { "commands", 0, NULL, 'i' },
	{ "misbehave-late", 0, NULL, 'L' },    { "misbehave-ring", 1, NULL, 'R' },
	{ "dump", 0, NULL, 'd' },	       { "help", 0, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void set_option(struct peer *p, int code, const char *name, const char *v)
{
	struct peer_config *c = &p->config;

	switch (code) {
	case 's':
		if (p->n == PEER_MAX_DEVICES)
			usage_error(name, v);
		p->paths[p->n++] = v;
		break;
	case 'm': c->mode = mode_named(v); break;
	case 'c': c->client = true; break;
	case 'w': c->swap_mac = true; break;
	case 'd': c->dump = true; break;
	case 'i': p->commands = true; break;
	case 'f': c->features = number(name, v, UINT64_MAX); break;
	case 'n': remove_feature(c, v); break;
	case 'p': c->protocol_features = number(name, v, UINT64_MAX); break;
	case 'q': c->pairs = (unsigned int)number(name, v, PEER_MAX_PAIRS); break;
	case 'Q': c->queue_size = (unsigned int)number(name, v, 32768); break;
	case 'M':
		c->mtu = (uint16_t)number(name, v, UINT16_MAX);
		c->features |= FEATURE_NET(MTU);
		break;
	case 'A':
		if (!command_read_mac(v, c->mac))
			usage_error(name, v);
		c->features |= FEATURE_NET(MAC);
		break;
	case 'l': c->net_status = !strcmp(v, "up") ? VIRTIO_NET_S_LINK_UP : 0; break;
	case 'S': c->size = (unsigned int)number(name, v, 65000); break;
	case 'F': c->flows = (unsigned int)number(name, v, 60000); break;
	case 'r': c->rate = number(name, v, 1000000); break;
	case 'C': c->count = number(name, v, UINT64_MAX); break;
	case 'a': c->lie.after = number(name, v, UINT64_MAX); break;
	case 't': c->lie.times = (unsigned int)number(name, v, UINT32_MAX); break;
	case 'L': c->lie.once_ready = true; break;
	case 'R': c->lie.ring = (unsigned int)number(name, v, 2 * PEER_MAX_PAIRS - 1); break;
	case 'b':
		if (!misbehave_parse(v, &c->lie))
			usage_error(name, v);
		break;
	case 'h':
		fputs(help, stdout);
		misbehave_list();
		exit(0);
	default:
		exit(2);
	}
}

static void parse(struct peer *p, int argc, char **argv)
{
	int code, index;

	p->config = defaults;
	while ((code = getopt_long(argc, argv, "", options, &index)) != -1)
		set_option(p, code, code == '?' ? "" : options[index].name, optarg);
	if (optind < argc)
		usage_error("socket", argv[optind]);
	if (p->n == 0 || (p->config.mode == MODE_CROSS && p->n % 2) || p->config.pairs == 0 ||
	    p->config.flows == 0 || p->config.size < 60 || p->config.lie.times == 0) {
		fputs("vu_peer: --socket is needed (twice for cross), --queues, --flows and "
		      "--misbehave-times from 1, --size from 60\n", stderr);
		exit(2);
	}
}

static void print_counters(const struct peer *p)
{
	unsigned int i;

	for (i = 0; i < p->n; i++) {
		const struct device *d = &p->devices[i];

		printf("counters %s: from_driver %" PRIu64 " to_driver %" PRIu64
		       " dropped %" PRIu64 " mismatched %" PRIu64 " connections %u\n",
		       d->path, d->from_driver, d->to_driver, d->dropped, d->mismatched,
		       d->connections);
	}
}

static void hear_signals(struct peer *p)
{
	struct signalfd_siginfo si;

	while (read(p->signal_fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGUSR1)
			print_counters(p);
		else
			p->ending = true;
	}
}

static void hear_commands(struct peer *p)
{
	char line[128];

	/* a line at a time: what follows wakes us again */
	if (fgets(line, sizeof(line), stdin))
		command_run(&p->config, p->devices, p->n, line);
	else
		epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
}

/* A silent device only wants to know when its driver gives up. */
static void hear_device(struct peer *p, struct device *d, uint32_t events)
{
	struct epoll_event ev = { .events = EPOLLRDHUP | EPOLLET, .data.u32 = d->index };

	device_connect(d);
	if (d->fd < 0)
		return;
	if (d->silent) {
		if (events & (EPOLLRDHUP | EPOLLHUP))
			device_disconnect(d, NULL);
		return;
	}
	while (d->fd >= 0 && !d->silent && fdmsg_pending(d->fd) != 0)
		device_hear(d);
	if (d->silent)
		epoll_ctl(p->epoll_fd, EPOLL_CTL_MOD, d->fd, &ev);
}

static void wait_for_events(struct peer *p, int timeout_ms)
{
	struct epoll_event events[16];
	int n = epoll_wait(p->epoll_fd, events, ARRAY_SIZE(events), timeout_ms);
	int i;

	for (i = 0; i < n; i++) {
		if (events[i].data.u32 == WAKE_SIGNAL)
			hear_signals(p);
		else if (events[i].data.u32 == WAKE_COMMAND)
			hear_commands(p);
		else
			hear_device(p, &p->devices[events[i].data.u32], events[i].events);
	}
}

static void check_rings(struct peer *p)
{
	char why[160];
	unsigned int i, r;

	for (i = 0; i < p->n; i++) {
		misbehave_rings(&p->devices[i]);
		for (r = 0; r < 2 * p->config.pairs; r++) {
			struct vq *vq = device_ring(&p->devices[i], r);

			if (!vq || !vq->broken)
				continue;
			snprintf(why, sizeof(why), "ring %u: %s %u", r, vq->why, vq->why_value);
			device_disconnect(&p->devices[i], why);
		}
	}
}

/* Asks all rings to wake us (@on); true when one has work already. */
static bool arm_all(struct peer *p, bool on)
{
	bool work = false;
	unsigned int i, r;

	for (i = 0; i < p->n; i++)
		for (r = 0; r < 2 * p->config.pairs; r++)
			if (device_ring(&p->devices[i], r))
				work |= vq_arm(device_ring(&p->devices[i], r), on) && r % 2;
	return work;
}

static bool wants_retry(const struct peer *p)
{
	unsigned int i;

	for (i = 0; i < p->n && p->config.client; i++)
		if (p->devices[i].fd < 0)
			return true;
	return false;
}

static void run(struct peer *p)
{
	uint64_t idle_since = now_ns();
	unsigned int i, rounds = 0;

	while (!p->ending) {
		if (forward_run(p->devices, p->n, &p->config))
			idle_since = now_ns();
		check_rings(p);
		if (now_ns() - idle_since < SPIN_NS) {
			if (++rounds % 64 == 0)
				wait_for_events(p, 0);
			else
				cpu_relax();
			continue;
		}
		/* generating at a rate goes by the clock, a client's retries too */
		if (p->config.mode == MODE_GENERATE || arm_all(p, true))
			wait_for_events(p, 0);
		else
			wait_for_events(p, wants_retry(p) ? 20 : -1);
		arm_all(p, false);
		for (i = 0; i < p->n && p->config.client; i++)
			device_connect(&p->devices[i]);
		idle_since = now_ns();
	}
}

static int open_signals(struct peer *p)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = WAKE_SIGNAL };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigdelset(&set, SIGPIPE);
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (p->signal_fd < 0 || p->epoll_fd < 0)
		return -errno;
	if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->signal_fd, &ev))
		return -errno;
	ev.data.u32 = WAKE_COMMAND;
	setvbuf(stdin, NULL, _IONBF, 0);
	return p->commands && epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &ev) ? -errno : 0;
}

int main(int argc, char **argv)
{
	static struct peer p;
	unsigned int i, opened = 0;
	int r;

	parse(&p, argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0); /* tests read each line as it comes */
	r = open_signals(&p);
	for (i = 0; i < p.n && !r; i++) {
		r = device_open(&p.devices[i], &p.config, p.paths[i], i, p.epoll_fd);
		if (r)
			fprintf(stderr, "vu_peer: --socket '%s': %s\n", p.paths[i], strerror(-r));
		else
			opened++;
	}
	if (!r)
		run(&p);
	print_counters(&p);
	for (i = 0; i < opened; i++)
		device_close(&p.devices[i]);
	close_fd(&p.signal_fd);
	close_fd(&p.epoll_fd);
	return r ? 1 : 0;
}
