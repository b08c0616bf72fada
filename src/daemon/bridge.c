/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/bridge.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-daemon.h>
#include <vubridge/vport.h>

#include "base/log.h"
#include "base/util.h"
#include "daemon/announce.h"
#include "daemon/backend.h"
#include "daemon/carrier.h"
#include "daemon/counters.h"
#include "daemon/interface.h"
#include "daemon/isolate.h"
#include "daemon/path.h"
#include "engine/worker.h"
#include "port/frontend.h"
#include "vhost/listen.h"
#include "virtio/feature.h"

struct bridge {
	const struct options *options;
	sd_event *event;
	unsigned int pairs, nworkers;

	struct interface iface;

	struct worker **workers;          /* [nworkers] */
	sd_event_source **worker_sources; /* [nworkers] */

	struct vhost_listen *listen; /* server mode */
	struct backend *backend;
	struct vport *vport;

	const char *ending;   /* why, when that is not the backend's doing */
	bool forwarding;      /* workers run, carrier is on */
	unsigned int running; /* pairs that workers forward for */
};

/* ---- carrier ---- */

static const char *tag(const struct bridge *b)
{
	return b->iface.kport->name;
}

static void set_carrier(struct bridge *b, bool on)
{
	int r = b->iface.kport->ops->set_carrier(b->iface.kport, on);

	if (r && r != -EBADFD) /* a deleted interface is the watch's news */
		log_error(tag(b), "cannot turn the carrier %s: %s", on ? "on" : "off",
			  strerror(-r));
}

static struct worker *worker_of(const struct bridge *b, unsigned int pair)
{
	return b->workers[pair % b->nworkers];
}

static void attach_pairs(struct bridge *b, unsigned int n)
{
	int r = b->iface.kport->ops->set_pairs(b->iface.kport, n);

	if (r && r != -EBADFD)
		log_error(tag(b), "cannot use %u queues of the interface: %s", n, strerror(-r));
}

/*
 * Forwards for the first @n pairs. The kernel hands frames to a queue only while someone
 * reads it: a queue is attached before its worker starts and detached after it stopped.
 */
static void run_pairs(struct bridge *b, unsigned int n)
{
	struct vq **vqs = b->vport->vqs;

	while (b->running > n) {
		b->running--;
		worker_stop(worker_of(b, b->running), b->running);
	}
	if (n)
		attach_pairs(b, n);
	for (; b->running < n; b->running++)
		worker_start(worker_of(b, b->running), b->running, vqs[2 * b->running],
			     vqs[2 * b->running + 1]);
}

/*
 * Has the network learn where our address is: by the backend, or else by a frame of ours.
 * 0, or -errno when the connection is of no use any more.
 */
static int announce(struct bridge *b)
{
	uint8_t packet[ANNOUNCE_LEN];
	int r = b->vport->ops->announce(b->vport);

	if (r == -EOPNOTSUPP) {
		announce_packet(packet, b->iface.kport->mac);
		r = worker_send(worker_of(b, 0), 0, packet, sizeof(packet));
		if (r)
			log_warning(tag(b), "cannot announce the address: %s", strerror(-r));
		r = 0;
	}
	if (r && r != -EREMOTEIO)
		return r;
	b->vport->ops->control(b->vport, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK,
			       NULL, 0);
	return 0;
}

/* Frames first have somewhere to go, then network and kernel are told. */
static int begin_forwarding(struct bridge *b)
{
	int r;

	run_pairs(b, b->vport->active_pairs);
	r = announce(b);
	if (r) {
		run_pairs(b, 0);
		return r;
	}
	b->forwarding = true;
	set_carrier(b, true);
	log_notice(tag(b), "carrier on");
	return 0;
}

static void end_forwarding(struct bridge *b, const char *reason)
{
	set_carrier(b, false);
	b->forwarding = false;
	run_pairs(b, 0);
	log_notice(tag(b), "carrier off: %s", reason);
}

/* Makes forwarding and carrier what the device's state asks for. 0, or -errno when the
 * connection turned out to be of no use. */
static int follow_device(struct bridge *b)
{
	const struct vport *vp = b->vport;
	const uint16_t net_status = backend_link_up(b->backend) ?
					    vp->net_status :
					    vp->net_status & (uint16_t)~VIRTIO_NET_S_LINK_UP;
	const struct carrier_inputs in = {
		.connected = vp->connected,
		.device_status = vp->device_status,
		.rings_enabled = vp->rings_enabled,
		.net_status = net_status,
	};
	const char *reason = carrier_reason(&in);

	if (!reason && !b->forwarding)
		return begin_forwarding(b);
	if (reason && b->forwarding)
		end_forwarding(b, b->ending ? b->ending : reason);
	else if (reason && vp->connected)
		log_notice(tag(b), "carrier stays off: %s", reason);
	return 0;
}

/* ---- what the device tells ---- */

static int on_device_up(void *owner)
{
	struct bridge *b = owner;
	int r = b->iface.kport->ops->set_offload(b->iface.kport, b->vport->features);

	if (r) {
		log_error(tag(b), "cannot set the interface's offloads: %s", strerror(-r));
		return r;
	}
	r = mirror_up(&b->iface.mirror);
	if (r)
		return r;
	backend_follow(b->backend, b->vport->active_pairs);
	return follow_device(b);
}

static void on_device_down(void *owner)
{
	struct bridge *b = owner;

	follow_device(b);
	backend_follow(b->backend, 0);
}

static void on_device_changed(void *owner, unsigned int changes)
{
	struct bridge *b = owner;

	mirror_device(&b->iface.mirror, changes);
	follow_device(b);
	if (changes & VPORT_ANNOUNCE && b->forwarding)
		announce(b);
}

static void on_device_pairs(void *owner)
{
	struct bridge *b = owner;

	log_notice(tag(b), "%u of %u queue pairs active", b->vport->active_pairs, b->vport->pairs);
	backend_follow(b->backend, b->vport->active_pairs);
	if (b->forwarding)
		run_pairs(b, b->vport->active_pairs);
}

static const struct vport_events device_events = {
	.up = on_device_up,
	.down = on_device_down,
	.changed = on_device_changed,
	.pairs = on_device_pairs,
};

/* ---- what the backend's own interface tells, with vhost-net ---- */

static void on_backend_link(void *owner)
{
	follow_device(owner);
}

/* Nobody but the one who deleted it knows whether it shall come back: that is not for us. */
static void on_backend_lost(void *owner)
{
	struct bridge *b = owner;

	b->vport->ops->stop(b->vport);
	sd_event_exit(b->event, OPTIONS_EXIT_SYSTEM);
}

static const struct backend_events backend_events = {
	.link = on_backend_link,
	.lost = on_backend_lost,
};

/* ---- what the worker tells ---- */

static void on_failure(struct bridge *b, struct worker_failure failure)
{
	if (failure.vq)
		b->vport->ops->broken(b->vport, failure.vq);
	else if (failure.fd_error == -EBADFD) /* deleted: the watch's news, in a moment */
		log_debug(tag(b), "the interface's file descriptor is dead");
	else if (failure.fd_error) {
		log_error(tag(b), "cannot go on forwarding: %s", strerror(-failure.fd_error));
		sd_event_exit(b->event, OPTIONS_EXIT_SYSTEM);
	}
}

static int on_worker(sd_event_source *source __attribute__((unused)), int fd,
		     uint32_t revents __attribute__((unused)), void *userdata)
{
	struct bridge *b = userdata;
	struct worker_failure failure;
	unsigned int i;

	for (i = 0; i < b->nworkers; i++) {
		if (worker_event_fd(b->workers[i]) != fd)
			continue;
		failure = worker_take_failure(b->workers[i]);
		while (failure.vq || failure.fd_error) {
			on_failure(b, failure);
			failure = worker_take_failure(b->workers[i]);
		}
	}
	return 0;
}

/* ---- what the kernel tells ---- */

/*
 * Anyone with the right may set the carrier (ip link set … carrier): it is put back.
 * News may be older than our own last change, so the same value is set again then.
 */
static void on_link_settled(void *owner)
{
	struct bridge *b = owner;

	if (interface_carrier_is(&b->iface, b->forwarding))
		return;
	log_debug(tag(b), "the carrier may not be as it should be, setting it again");
	set_carrier(b, b->forwarding);
}

static void on_link_lost(void *owner)
{
	struct bridge *b = owner;

	b->ending = "there is no interface any more";
	sd_event_exit(b->event, OPTIONS_EXIT_SYSTEM);
}

static const struct interface_events interface_events = {
	.settled = on_link_settled,
	.lost = on_link_lost,
};

/* ---- life ---- */

/*
 * Before any thread is made. What is left is said: nobody who looks for the reason why
 * an address does not change shall have to guess.
 */
static int drop_privileges(struct bridge *b, char *error, size_t size)
{
	const struct options *o = b->options;
	unsigned int keep = o->keep_caps                     ? ISOLATE_NET_ADMIN | ISOLATE_SYS_ADMIN
			    : b->iface.kport->needs_net_admin ? ISOLATE_NET_ADMIN
							      : 0;
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
	return o->server ? 0 : path_classify(o->path, &kind, error, size);
}

static int open_worker(struct bridge *b, unsigned int i, int *io_error)
{
	const struct worker_config config = {
		.kp = b->iface.kport,
		.first = i,
		.step = b->nworkers,
		.io = b->options->io == OPTIONS_IO_URING ? WORKER_IO_URING :
		      b->options->io == OPTIONS_IO_PLAIN ? WORKER_IO_PLAIN :
							   WORKER_IO_AUTO,
		.busy = b->options->poll == OPTIONS_POLL_BUSY,
		.idle_us = b->options->idle_us,
		.cpu = b->options->cpus.n ? b->options->cpus.cpu[i % b->options->cpus.n] : -1,
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

	b->workers = calloc(b->nworkers, sizeof(struct worker *));
	b->worker_sources = calloc(b->nworkers, sizeof(sd_event_source *));
	if (!b->workers || !b->worker_sources)
		r = -ENOMEM;
	for (i = 0; i < b->nworkers && !r; i++)
		r = open_worker(b, i, &io_error);
	if (r && b->options->io == OPTIONS_IO_URING)
		options_refuse(error, size, "io", "uring",
			       "io_uring is refused here (%s), use --io plain", strerror(-r));
	else if (r == -EINVAL && b->options->cpus.n)
		snprintf(error, size, "--cpus: a worker may not run on processor %d here",
			 b->options->cpus.cpu[(i - 1) % b->options->cpus.n]);
	else if (r)
		snprintf(error, size, "cannot start a worker: %s", strerror(-r));
	else if (io_error && b->iface.kport->vectored)
		log_notice(tag(b), "io_uring is refused here (%s): using readv and writev",
			   strerror(-io_error));
	else
		log_info(tag(b), "frames are read and written by %s",
			 strcmp(worker_io_name(b->workers[0]), "uring") ? "readv and writev" :
									  "io_uring");
	return r;
}

/* What may be negotiated: all that rings and interface can do and no option forbids. */
static uint64_t usable_features(const struct bridge *b)
{
	uint64_t features = FEATURE_RING_MASK | FEATURE_SHARED_MASK | FEATURE_DEVICE_MASK |
			    (b->iface.kport->offloads & FEATURE_OFFLOAD_MASK);

	if (!b->options->cq)
		features &= ~FEATURE_NET(CTRL_VQ);
	if (!b->options->mrg_rxbuf)
		features &= ~FEATURE_NET(MRG_RXBUF);
	if (!b->options->in_order)
		features &= ~FEATURE(F_IN_ORDER);
	return features;
}

static int open_listen(struct bridge *b, char *error, size_t size)
{
	const struct options *o = b->options;
	/* a socket that systemd made and handed over */
	int activated = o->server ? sd_listen_fds(1) : 0;
	const struct vhost_listen_config config = {
		.path = o->path,
		.has_mode = o->socket_mode.given,
		.mode = o->socket_mode.mode,
		.gid = o->socket_group.given ? o->socket_group.gid : (gid_t)-1,
		.fd = activated > 0 ? SD_LISTEN_FDS_START : -1,
	};
	const char *why = "";
	int r;

	if (!o->server)
		return 0;
	r = vhost_listen_open(&b->listen, &config, &why);
	if (r)
		options_refuse(error, size, "path", o->path, "%s",
			       why && why[0] ? why : strerror(-r));
	return r;
}

static int open_backend(struct bridge *b, enum path_kind kind, int cancel_fd, char *error,
			size_t size)
{
	const struct backend_config config = {
		.options = b->options,
		.tag = tag(b),
		.kind = kind,
		.cancel_fd = cancel_fd,
		.events = &backend_events,
		.owner = b,
	};

	return backend_open(&b->backend, b->event, &config, error, size);
}

static int open_vport(struct bridge *b, char *error, size_t size)
{
	const struct frontend_config config = {
		.vhost = backend_vhost(b->backend),
		.listen = b->listen,
		.path = b->options->path,
		.tag = tag(b),
		.device = {
			.pairs = b->pairs,
			.queue_size = b->options->queue_size,
			.features = usable_features(b),
			.hugepages = b->options->hugepages,
		},
	};
	int r = frontend_open(&b->vport, b->event, &config, &device_events, b);

	b->iface.mirror.vport = b->vport;
	if (!r)
		r = b->vport->ops->start(b->vport);
	if (r)
		snprintf(error, size, "cannot make the device: %s", strerror(-r));
	return r;
}

/* Last of all: a start that fails leaves nothing behind. */
static int persist(struct bridge *b, char *error, size_t size)
{
	struct kport *kp = b->iface.kport;
	int r = b->options->persist ? kp->ops->persist(kp) : 0;

	if (r)
		snprintf(error, size, "--persist: the kernel refuses it: %s", strerror(-r));
	return r;
}

int bridge_open(struct bridge **out, sd_event *event, const struct options *options,
		enum path_kind kind, int cancel_fd, char *error, size_t size)
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
	b->iface = (struct interface){
		.options = options,
		.event = event,
		.events = &interface_events,
		.owner = b,
	};
	b->pairs = options->queues;
	b->nworkers = options->workers ? MIN(options->workers, b->pairs) : b->pairs;
	r = open_listen(b, error, size);
	if (!r)
		r = interface_open(&b->iface, b->pairs, error, size);
	if (!r)
		r = open_backend(b, kind, cancel_fd, error, size);
	if (!r)
		r = drop_privileges(b, error, size);
	if (!r)
		r = open_workers(b, error, size);
	if (!r)
		r = open_vport(b, error, size);
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
	if (!b->ending)
		b->ending = "vubridge is ending";
	if (b->vport)
		b->vport->ops->close(b->vport);
	backend_close(b->backend);
	vhost_listen_close(b->listen);
	for (i = 0; i < b->nworkers; i++) {
		if (b->worker_sources)
			sd_event_source_disable_unref(b->worker_sources[i]);
		if (b->workers)
			worker_close(b->workers[i]);
	}
	free(b->worker_sources);
	free(b->workers);
	interface_close(&b->iface);
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
		counters_log_pair(tag(b), i, worker_counters(worker_of(b, i), i));
	counters_log_port(tag(b), b->iface.kport, b->vport);
}
