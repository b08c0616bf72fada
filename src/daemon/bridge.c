/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/bridge.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <vubridge/vport.h>

#include "base/log.h"
#include "base/util.h"
#include "daemon/carrier.h"
#include "daemon/counters.h"
#include "daemon/isolate.h"
#include "daemon/path.h"
#include "daemon/watch.h"
#include "engine/worker.h"
#include "net/netns.h"
#include "net/rtnl.h"
#include "net/tap.h"
#include "port/frontend.h"
#include "vhost/user.h"

/* For one answer of the backend, some of which reconfigure a whole switch first. */
#define ANSWER_TIMEOUT_MS 3000

/* One queue pair in this version; everything below counts to bridge->pairs. */
#define PAIRS 1

struct bridge {
	const struct options *options;
	sd_event *event;
	unsigned int pairs;

	struct kport *kport;
	struct watch *watch;
	struct linkmon_state link; /* as last told by the kernel */

	struct worker **workers;          /* [pairs] */
	sd_event_source **worker_sources; /* [pairs] */

	struct vhost *vhost;
	struct vport *vport;

	bool forwarding; /* workers run, carrier is on */
};

/* ---- carrier ---- */

static const char *tag(const struct bridge *b)
{
	return b->kport->name;
}

static void set_carrier(struct bridge *b, bool on)
{
	int r = b->kport->ops->set_carrier(b->kport, on);

	if (r && r != -EBADFD) /* a deleted interface is the watch's news */
		log_error(tag(b), "cannot turn the carrier %s: %s", on ? "on" : "off",
			  strerror(-r));
}

/* Frames first have somewhere to go, then the kernel is told. */
static void begin_forwarding(struct bridge *b)
{
	unsigned int i;

	for (i = 0; i < b->vport->pairs; i++)
		worker_start(b->workers[i], b->vport->vqs[2 * i], b->vport->vqs[2 * i + 1]);
	b->forwarding = true;
	set_carrier(b, true);
	log_notice(tag(b), "carrier on");
}

static void end_forwarding(struct bridge *b, const char *reason)
{
	unsigned int i;

	set_carrier(b, false);
	b->forwarding = false;
	for (i = 0; i < b->pairs; i++)
		worker_stop(b->workers[i]);
	log_notice(tag(b), "carrier off: %s", reason);
}

/* Makes forwarding and carrier what the device's state asks for. */
static void follow_device(struct bridge *b)
{
	const struct vport *vp = b->vport;
	const struct carrier_inputs in = {
		.connected = vp->connected,
		.device_status = vp->device_status,
		.rings_enabled = vp->rings_enabled,
		.net_status = vp->net_status,
	};
	const char *reason = carrier_reason(&in);

	if (!reason && !b->forwarding)
		begin_forwarding(b);
	else if (reason && b->forwarding)
		end_forwarding(b, reason);
	else if (reason && vp->connected)
		log_notice(tag(b), "carrier stays off: %s", reason);
}

/* ---- what the device tells ---- */

static int on_device_up(void *owner)
{
	struct bridge *b = owner;
	int r = b->kport->ops->set_offload(b->kport, b->vport->features);

	if (r) {
		log_error(tag(b), "cannot set the interface's offloads: %s", strerror(-r));
		return r;
	}
	follow_device(b);
	return 0;
}

static void on_device_change(void *owner)
{
	follow_device(owner);
}

static const struct vport_events device_events = {
	.up = on_device_up,
	.down = on_device_change,
	.link = on_device_change,
};

/* ---- what the worker tells ---- */

static int on_worker(sd_event_source *source __attribute__((unused)), int fd,
		     uint32_t revents __attribute__((unused)), void *userdata)
{
	struct bridge *b = userdata;
	struct worker_failure failure = { 0 };
	unsigned int i;

	for (i = 0; i < b->pairs; i++)
		if (worker_event_fd(b->workers[i]) == fd)
			failure = worker_take_failure(b->workers[i]);
	if (failure.vq)
		b->vport->ops->broken(b->vport, failure.vq);
	else if (failure.fd_error == -EBADFD) /* deleted: the watch's news, in a moment */
		log_debug(tag(b), "the interface's file descriptor is dead");
	else if (failure.fd_error) {
		log_error(tag(b), "cannot read the interface: %s", strerror(-failure.fd_error));
		sd_event_exit(b->event, OPTIONS_EXIT_SYSTEM);
	}
	return 0;
}

/* ---- what the kernel tells ---- */

static void on_link_changed(void *owner, const struct linkmon_state *state)
{
	struct bridge *b = owner;

	b->link = *state;
}

/*
 * Anyone with the right may set the carrier (ip link set … carrier): it is put back.
 * News may be older than our own last change, so the same value is set again then.
 */
static void on_link_settled(void *owner, bool seen)
{
	struct bridge *b = owner;

	if (seen && b->link.carrier == b->forwarding)
		return;
	if (seen)
		log_debug(tag(b), "the carrier was not as it should be, setting it again");
	set_carrier(b, b->forwarding);
}

static void on_link_lost(void *owner)
{
	struct bridge *b = owner;

	sd_event_exit(b->event, OPTIONS_EXIT_SYSTEM);
}

static const struct watch_events link_events = {
	.changed = on_link_changed,
	.settled = on_link_settled,
	.lost = on_link_lost,
};

/* ---- life ---- */

static int open_kport(struct bridge *b, char *error, size_t size)
{
	const struct tap_config config = { .name = b->options->iface, .pairs = b->pairs };
	const char *why = "";
	int r = tap_open(&config, &b->kport, &why);

	if (r && why[0] && r != -EINVAL) /* of which the phrase says all */
		options_refuse(error, size, "iface", b->options->iface, "%s (%s)", why,
			       strerror(-r));
	else if (r)
		options_refuse(error, size, "iface", b->options->iface, "%s",
			       why[0] ? why : strerror(-r));
	return r;
}

/* A setting that is there already takes no capability. */
static int set_mac(struct bridge *b, struct rtnl *rt, const struct rtnl_info *is)
{
	const uint8_t *mac = b->options->mac.addr;
	int r = 0;

	if (!b->options->mac.given || !memcmp(is->mac, mac, ETH_ALEN))
		return 0;
	r = rtnl_set_mac(rt, b->kport->ifindex, mac);
	if (!r)
		memcpy(b->kport->mac, mac, ETH_ALEN);
	return r;
}

static int set_mtu(struct bridge *b, struct rtnl *rt, const struct rtnl_info *is)
{
	unsigned int mtu = b->options->mtu;

	return mtu && is->mtu != mtu ? rtnl_set_mtu(rt, b->kport->ifindex, mtu) : 0;
}

static void refuse_setting(char *error, size_t size, const char *setting, int r)
{
	snprintf(error, size, "%s: the kernel refuses it: %s%s", setting, strerror(-r),
		 r == -EPERM ? "; run with CAP_NET_ADMIN, or set it beforehand (ip link set)" : "");
}

/* Address and MTU, as far as they were asked for. */
static int configure(struct bridge *b, char *error, size_t size)
{
	struct rtnl_info is;
	char setting[32];
	struct rtnl *rt;
	int r = rtnl_open(&rt);

	if (!r)
		r = rtnl_get(rt, b->kport->ifindex, &is);
	if (r) {
		snprintf(error, size, "cannot look at the interface: %s", strerror(-r));
		rtnl_close(rt);
		return r;
	}
	r = set_mac(b, rt, &is);
	if (r) {
		refuse_setting(error, size, "--mac", r);
	} else {
		r = set_mtu(b, rt, &is);
		snprintf(setting, sizeof(setting), "--mtu '%u'", b->options->mtu);
		if (r)
			refuse_setting(error, size, setting, r);
	}
	rtnl_close(rt);
	return r;
}

static int open_interface(struct bridge *b, char *error, size_t size)
{
	int r = open_kport(b, error, size);

	if (!r)
		r = configure(b, error, size);
	if (r)
		return r;
	r = watch_open(&b->watch, b->event, b->kport, b->options->netns, &link_events, b);
	if (r)
		snprintf(error, size, "cannot watch the interface: %s", strerror(-r));
	return r;
}

/* All that --netns is about is opened there; abstract sockets, say, are looked for here. */
static int open_interface_there(struct bridge *b, char *error, size_t size)
{
	const char *name = b->options->netns, *why = "";
	int home, fd, r, left;

	fd = netns_open(name, &why);
	r = fd < 0 ? fd : netns_enter(fd, &home);
	if (r) {
		options_refuse(error, size, "netns", name, "%s%s",
			       why[0] ? why : strerror(-r),
			       fd >= 0 && r == -EPERM ? "; run with CAP_SYS_ADMIN" : "");
		close_fd(&fd);
		return r;
	}
	close_fd(&fd);
	r = open_interface(b, error, size);
	left = netns_leave(&home);
	if (!left)
		return r;
	options_refuse(error, size, "netns", name, "cannot leave it again: %s", strerror(-left));
	return left;
}

/*
 * Before any thread is made. What is left is said: nobody who looks for the reason why
 * an address does not change shall have to guess.
 */
static int drop_privileges(struct bridge *b, char *error, size_t size)
{
	const struct options *o = b->options;
	unsigned int keep = o->keep_caps ? ISOLATE_NET_ADMIN | ISOLATE_SYS_ADMIN :
			    b->kport->needs_net_admin ? ISOLATE_NET_ADMIN : 0;
	enum path_kind kind;
	const char *why;
	int r = isolate_drop(&o->user, keep, &why);

	if (r && o->user.name) {
		options_refuse(error, size, "user", o->user.name, "%s (%s)", why, strerror(-r));
		return r;
	}
	if (r) {
		snprintf(error, size, "%s: %s", why, strerror(-r));
		return r;
	}
	isolate_log(tag(b), o->user.name);
	/* what root may connect to, this user perhaps may not */
	return path_classify(o->path, &kind, error, size);
}

static int open_worker(struct bridge *b, unsigned int i, int *io_error)
{
	const struct worker_config config = {
		.kp = b->kport,
		.pair = i,
		.io = b->options->io == OPTIONS_IO_URING ? WORKER_IO_URING :
		      b->options->io == OPTIONS_IO_PLAIN ? WORKER_IO_PLAIN :
							   WORKER_IO_AUTO,
		.busy = b->options->poll == OPTIONS_POLL_BUSY,
		.idle_us = b->options->idle_us,
	};
	int r = worker_open(&b->workers[i], &config, io_error);

	if (r)
		return r;
	r = sd_event_add_io(b->event, &b->worker_sources[i], worker_event_fd(b->workers[i]),
			    EPOLLIN, on_worker, b);
	return r < 0 ? r : 0;
}

static int open_workers(struct bridge *b, char *error, size_t size)
{
	unsigned int i;
	int io_error = 0, r = 0;

	b->workers = calloc(b->pairs, sizeof(struct worker *));
	b->worker_sources = calloc(b->pairs, sizeof(sd_event_source *));
	if (!b->workers || !b->worker_sources)
		r = -ENOMEM;
	for (i = 0; i < b->pairs && !r; i++)
		r = open_worker(b, i, &io_error);
	if (r && b->options->io == OPTIONS_IO_URING)
		options_refuse(error, size, "io", "uring",
			       "io_uring is refused here (%s), use --io plain", strerror(-r));
	else if (r)
		snprintf(error, size, "cannot start a worker: %s", strerror(-r));
	else if (io_error)
		log_notice(tag(b), "io_uring is refused here (%s): using readv and writev",
			   strerror(-io_error));
	return r;
}

static int open_vport(struct bridge *b, int cancel_fd, char *error, size_t size)
{
	struct frontend_config config = {
		.path = b->options->path,
		.tag = tag(b),
		.pairs = b->pairs,
		.queue_size = b->options->queue_size,
		.offloads = b->kport->offloads,
		.hugepages = b->options->hugepages,
	};
	int r;

	b->vhost = vhost_user_new(b->options->path, ANSWER_TIMEOUT_MS, cancel_fd);
	config.vhost = b->vhost;
	r = b->vhost ? frontend_open(&b->vport, b->event, &config, &device_events, b) : -ENOMEM;
	if (!r)
		r = b->vport->ops->start(b->vport);
	if (r)
		snprintf(error, size, "cannot make the device: %s", strerror(-r));
	return r;
}

/* Last of all: a start that fails leaves nothing behind. */
static int persist(struct bridge *b, char *error, size_t size)
{
	int r = b->options->persist ? b->kport->ops->persist(b->kport) : 0;

	if (r)
		snprintf(error, size, "--persist: the kernel refuses it: %s", strerror(-r));
	return r;
}

int bridge_open(struct bridge **out, sd_event *event, const struct options *options,
		int cancel_fd, char *error, size_t size)
{
	struct bridge *b = calloc(1, sizeof(*b));
	int r;

	*out = NULL;
	error[0] = '\0';
	if (!b) {
		snprintf(error, size, "out of memory");
		return -ENOMEM;
	}
	b->options = options;
	b->event = sd_event_ref(event);
	b->pairs = PAIRS;
	r = options->netns ? open_interface_there(b, error, size) : open_interface(b, error, size);
	if (!r)
		r = drop_privileges(b, error, size);
	if (!r)
		r = open_workers(b, error, size);
	if (!r)
		r = open_vport(b, cancel_fd, error, size);
	if (!r)
		r = persist(b, error, size);
	if (r) {
		bridge_close(b);
		return r;
	}
	*out = b;
	return 0;
}

/* The mirror of bridge_open. */
void bridge_close(struct bridge *b)
{
	unsigned int i;

	if (!b)
		return;
	if (b->vport)
		b->vport->ops->close(b->vport);
	vhost_user_free(b->vhost);
	for (i = 0; i < b->pairs; i++) {
		if (b->worker_sources)
			sd_event_source_disable_unref(b->worker_sources[i]);
		if (b->workers)
			worker_close(b->workers[i]);
	}
	free(b->worker_sources);
	free(b->workers);
	watch_close(b->watch);
	if (b->kport)
		b->kport->ops->close(b->kport);
	sd_event_unref(b->event);
	free(b);
}

const char *bridge_name(const struct bridge *b)
{
	return tag(b);
}

void bridge_log_counters(const struct bridge *b)
{
	unsigned int i;

	for (i = 0; i < b->pairs; i++)
		counters_log_pair(tag(b), i, worker_counters(b->workers[i]));
	counters_log_port(tag(b), b->kport, b->vport);
}
