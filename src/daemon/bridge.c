/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/bridge.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <vubridge/vport.h>

#include "base/listener.h"
#include "base/log.h"
#include "base/util.h"
#include "daemon/activation.h"
#include "daemon/announce.h"
#include "daemon/backend.h"
#include "daemon/carrier.h"
#include "daemon/interface.h"
#include "daemon/path.h"
#include "daemon/recording.h"
#include "daemon/workers.h"
#include "port/frontend.h"
#include "virtio/feature.h"

struct bridge {
	const struct options *options;
	sd_event *event;
	unsigned int pairs;

	struct interface iface;
	struct workers *workers;
	struct listener *listen; /* server mode */
	struct backend *backend;
	struct vport *vport;

	sd_event_source *renegotiate;
	const char *ending; /* why, when that is not the backend's doing */
	bool lost;          /* an interface was, of which the log has all that there is to say */
	bool forwarding;    /* workers run */
	bool carrier;       /* is on: they do, and the backend has answered all that it was asked */

	/* what the user wants, through all connections */
	bool link_down;
	unsigned int wanted_pairs;
	int offload, merge; /* enum options_offload, options_merge */

	struct recording recording;

	/* of struct bridge_view */
	enum path_kind kind;
	uint64_t started, connected_since, carrier_since;
	const char *no_carrier;
};

/* ---- carrier ---- */

static const char *tag(const struct bridge *b)
{
	return b->iface.kport->name;
}

static void set_carrier(struct bridge *b, bool on)
{
	b->carrier = on;
	b->carrier_since = realtime_ns();
	interface_set_carrier(&b->iface, on);
}

/* Has the network learn where our address is: by the backend, or else by a frame of ours. */
static void announce(struct bridge *b)
{
	uint8_t packet[ANNOUNCE_LEN];
	int r = b->vport->ops->announce(b->vport);

	if (r == -EOPNOTSUPP) {
		announce_packet(packet, b->iface.kport->mac);
		r = workers_send(b->workers, 0, packet, sizeof(packet));
		if (r)
			log_warning(tag(b), "cannot announce the address: %s", strerror(-r));
	}
	b->vport->ops->control(b->vport, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK,
			       NULL, 0);
}

static void run_workers(struct bridge *b, unsigned int pairs)
{
	workers_run(b->workers, b->vport->vqs, pairs, b->vport->features);
}

/* Frames first have somewhere to go, then network and kernel are told. */
static void begin_forwarding(struct bridge *b)
{
	run_workers(b, b->vport->active_pairs);
	b->forwarding = true;
	announce(b);
}

/* A backend that does not answer what it was asked at first is not worth a carrier. */
static void show_carrier(struct bridge *b)
{
	if (b->carrier || b->vport->asking)
		return;
	set_carrier(b, true);
	log_notice(tag(b), "carrier on");
}

static void end_forwarding(struct bridge *b, const char *reason)
{
	bool on = b->carrier;

	if (on)
		set_carrier(b, false);
	b->forwarding = false;
	run_workers(b, 0);
	if (!b->lost)
		log_notice(tag(b), on ? "carrier off: %s" : "carrier stays off: %s", reason);
}

/* Makes forwarding and carrier what the device's state asks for. */
static void follow_device(struct bridge *b)
{
	const struct vport *vp = b->vport;
	const uint16_t net_status = backend_link_up(b->backend) ?
					    vp->net_status :
					    vp->net_status & (uint16_t)~VIRTIO_NET_S_LINK_UP;
	const struct carrier_inputs in = {
		.wanted = !b->link_down,
		.connected = vp->connected,
		.device_status = vp->device_status,
		.rings_enabled = vp->rings_enabled,
		.net_status = net_status,
	};
	const char *reason = carrier_reason(&in);

	if (!reason && !b->forwarding)
		begin_forwarding(b);
	if (!reason)
		show_carrier(b);
	else if (b->forwarding)
		end_forwarding(b, b->ending ? b->ending : reason);
	else if (vp->connected)
		log_notice(tag(b), "carrier stays off: %s", reason);
	b->no_carrier = reason || b->carrier ? reason : "backend has yet to answer";
}

/*
 * As many pairs as the user wants, or as there are. 0, also while there is no device: it is
 * asked when it comes up.
 */
static int ask_for_pairs(struct bridge *b)
{
	struct vport *vp = b->vport;
	unsigned int pairs = MIN(b->wanted_pairs, vp->pairs);
	const uint16_t wire = htole16((uint16_t)pairs);

	if (!vp->connected || vp->pairs == 1)
		return 0;
	return vp->ops->control(vp, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &wire,
				sizeof(wire)) == VIRTIO_NET_OK ?
		       0 :
		       -EREMOTEIO;
}

/* Not at once: whoever found out is at work with the device that would go. */
static bool renegotiate_if_outdated(struct bridge *b)
{
	bool outdated = mirror_is_outdated(&b->iface.mirror);

	if (b->vport)
		b->vport->least_mtu = mirror_least_mtu(&b->iface.mirror);
	if (outdated)
		sd_event_source_set_enabled(b->renegotiate, SD_EVENT_ONESHOT);
	return outdated;
}

static int on_renegotiate(sd_event_source *source __attribute__((unused)), void *userdata)
{
	struct bridge *b = userdata;
	int r;

	if (!mirror_is_outdated(&b->iface.mirror))
		return 0;
	b->ending = "the MTU has to be agreed on anew";
	r = bridge_reconnect(b);
	b->ending = NULL;
	return r;
}

/* ---- what the device tells ---- */

static int on_device_up(void *owner)
{
	struct bridge *b = owner;
	int r;

	b->connected_since = realtime_ns();
	r = mirror_offload(&b->iface.mirror, b->offload != OPTIONS_OFFLOAD_OFF);
	if (!r)
		r = mirror_up(&b->iface.mirror);
	if (r || renegotiate_if_outdated(b)) /* not worth a carrier then */
		return r;
	r = ask_for_pairs(b);
	if (r)
		return r;
	backend_follow(b->backend, b->vport->active_pairs);
	follow_device(b);
	return 0;
}

static void on_device_down(void *owner)
{
	struct bridge *b = owner;

	b->connected_since = realtime_ns();
	follow_device(b);
	backend_follow(b->backend, 0);
}

static void on_device_changed(void *owner, unsigned int changes)
{
	struct bridge *b = owner;

	mirror_device(&b->iface.mirror, changes);
	renegotiate_if_outdated(b);
	follow_device(b);
	if (changes & VPORT_ANNOUNCE && b->forwarding)
		announce(b);
}

static void on_device_answered(void *owner)
{
	struct bridge *b = owner;

	if (b->forwarding)
		follow_device(b);
}

static void on_device_pairs(void *owner)
{
	struct bridge *b = owner;

	log_notice(tag(b), "%u of %u queue pairs active", b->vport->active_pairs, b->vport->pairs);
	backend_follow(b->backend, b->vport->active_pairs);
	if (b->forwarding)
		run_workers(b, b->vport->active_pairs);
}

static const struct vport_events device_events = {
	.up = on_device_up,
	.down = on_device_down,
	.changed = on_device_changed,
	.pairs = on_device_pairs,
	.answered = on_device_answered,
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

	b->lost = true;
	b->vport->ops->stop(b->vport);
	sd_event_exit(b->event, OPTIONS_EXIT_SYSTEM);
}

static const struct backend_events backend_events = {
	.link = on_backend_link,
	.lost = on_backend_lost,
};

/* ---- what the workers tell ---- */

static void on_broken(void *owner, const struct vq *vq)
{
	struct bridge *b = owner;

	b->vport->ops->broken(b->vport, vq);
}

static void on_unreadable(void *owner)
{
	struct bridge *b = owner;

	sd_event_exit(b->event, OPTIONS_EXIT_SYSTEM);
}

static const struct workers_events workers_events = {
	.broken = on_broken,
	.unreadable = on_unreadable,
};

/* ---- what the kernel tells ---- */

/*
 * Anyone with the right may set the carrier (ip link set … carrier): it is put back.
 * News may be older than our own last change, so the same value is set again then.
 */
static void on_link_settled(void *owner)
{
	struct bridge *b = owner;

	renegotiate_if_outdated(b);
	if (interface_carrier_is(&b->iface, b->carrier))
		return;
	log_debug(tag(b), "the carrier may not be as it should be, setting it again");
	interface_set_carrier(&b->iface, b->carrier);
}

static void on_link_lost(void *owner)
{
	struct bridge *b = owner;

	b->lost = true;
	sd_event_exit(b->event, OPTIONS_EXIT_SYSTEM);
}

static const struct interface_events interface_events = {
	.settled = on_link_settled,
	.lost = on_link_lost,
};

/* ---- life ---- */

/* What may be negotiated: all that rings and interface can do and no option forbids. */
static uint64_t usable_features(const struct bridge *b)
{
	uint64_t features = FEATURE_RING_MASK | FEATURE_SHARED_MASK | FEATURE_DEVICE_MASK;

	if (b->offload != OPTIONS_OFFLOAD_OFF)
		features |= b->iface.kport->offloads & FEATURE_OFFLOAD_MASK;
	if (!b->options->cq)
		features &= ~FEATURE_NET(CTRL_VQ);
	if (!b->options->mrg_rxbuf)
		features &= ~FEATURE_NET(MRG_RXBUF);
	if (!b->options->in_order)
		features &= ~FEATURE(F_IN_ORDER);
	return features;
}

static int add_renegotiate(struct bridge *b, char *error, size_t size)
{
	int r = sd_event_add_defer(b->event, &b->renegotiate, on_renegotiate, b);

	if (r >= 0)
		r = sd_event_source_set_enabled(b->renegotiate, SD_EVENT_OFF);
	if (r >= 0)
		return 0;
	snprintf(error, size, "cannot set up the event loop: %s", strerror(-r));
	return r;
}

static int open_backend(struct bridge *b, enum path_kind kind, char *error, size_t size)
{
	const struct backend_config config = {
		.options = b->options,
		.tag = tag(b),
		.kind = kind,
		.mtu = b->iface.mirror.link.mtu,
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
			.any_queue_size = !b->options->queue_size_given,
			.features = usable_features(b),
			.hugepages = b->options->hugepages,
		},
	};
	int r = frontend_open(&b->vport, b->event, &config, &device_events, b);

	b->iface.mirror.vport = b->vport;
	mirror_try_mtu(&b->iface.mirror);
	if (!r) {
		b->vport->least_mtu = mirror_least_mtu(&b->iface.mirror);
		r = b->vport->ops->start(b->vport);
	}
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
		enum path_kind kind, char *error, size_t size)
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
	b->pairs = b->wanted_pairs = options->queues;
	b->offload = options->offload;
	b->merge = options->merge;
	b->kind = kind;
	b->started = b->connected_since = b->carrier_since = realtime_ns();
	b->no_carrier = carrier_reason(&(const struct carrier_inputs){.wanted = true});
	r = add_renegotiate(b, error, size);
	if (!r)
		r = activation_listen(options, &b->listen, error, size);
	if (!r)
		r = interface_open(&b->iface, b->pairs, error, size);
	if (!r)
		r = open_backend(b, kind, error, size);
	if (r) {
		bridge_close(b);
		return r;
	}
	*out = b;
	return 0;
}

int bridge_start(struct bridge *b, uint64_t distrusted, char *error, size_t size)
{
	int r;

	b->iface.kport->offloads &= ~distrusted;
	r = workers_open(&b->workers, b->event, b->options, b->iface.kport, &workers_events, b,
			 error, size);
	if (b->listen && listener_stays_behind(b->listen))
		log_notice(tag(b), "%s and its lock will stay behind: their directory is not ours",
			   b->options->path);
	if (!r)
		r = open_vport(b, error, size);
	return r ? r : persist(b, error, size);
}

/* The mirror of bridge_start and bridge_open. */
void bridge_close(struct bridge *b)
{
	if (!b)
		return;
	if (!b->ending)
		b->ending = "vubridge is ending";
	if (b->vport)
		b->vport->ops->close(b->vport);
	backend_close(b->backend);
	listener_close(b->listen);
	workers_close(b->workers);
	capture_close(b->recording.capture);
	interface_close(&b->iface);
	sd_event_source_disable_unref(b->renegotiate);
	sd_event_unref(b->event);
	free(b);
}

const char *bridge_name(const struct bridge *b)
{
	return tag(b);
}

/* ---- what the user wants ---- */

void bridge_set_link(struct bridge *b, bool up)
{
	b->link_down = !up;
	follow_device(b);
}

int bridge_set_pairs(struct bridge *b, unsigned int pairs)
{
	b->wanted_pairs = pairs;
	return ask_for_pairs(b);
}

int bridge_set_mac(struct bridge *b, const uint8_t mac[ETH_ALEN])
{
	return mirror_set_mac(&b->iface.mirror, mac);
}

int bridge_set_mtu(struct bridge *b, unsigned int mtu)
{
	return mirror_set_mtu(&b->iface.mirror, mtu);
}

void bridge_set_merge(struct bridge *b, int how)
{
	b->merge = how;
	workers_set_merge(b->workers,
			  b->offload == OPTIONS_OFFLOAD_OFF ? OPTIONS_MERGE_OFF : how);
}

/* The interface is told by on_device_up, when backend and driver have agreed. */
int bridge_set_offload(struct bridge *b, int how)
{
	const uint64_t before = usable_features(b);

	b->offload = how;
	bridge_set_merge(b, b->merge);
	if (usable_features(b) == before)
		return 0;
	b->vport->ops->set_features(b->vport, usable_features(b));
	if (!b->vport->connected)
		return 0;
	log_notice(tag(b), "reconnecting, to negotiate other offloads");
	return bridge_reconnect(b);
}

void bridge_set_poll(struct bridge *b, bool busy, unsigned int idle_us)
{
	workers_set_poll(b->workers, busy, idle_us);
}

void bridge_check(struct bridge *b)
{
	workers_check(b->workers);
}

int bridge_reconnect(struct bridge *b)
{
	b->vport->ops->stop(b->vport);
	return b->vport->ops->start(b->vport);
}

int bridge_capture(struct bridge *b, const struct capture_config *config, unsigned int client,
		   const struct capture **out)
{
	int r = recording_begin(&b->recording, b->workers, tag(b), config, client);

	*out = b->recording.capture;
	return r;
}

void bridge_end_capture(struct bridge *b, unsigned int client)
{
	recording_end(&b->recording, b->workers, tag(b), client);
}

struct bridge_view bridge_view(const struct bridge *b)
{
	return (struct bridge_view){
		.options = b->options,
		.kind = b->kind,
		.kport = b->iface.kport,
		.link = &b->iface.mirror.link,
		.vport = b->vport,
		.workers = b->workers,
		.link_down = b->link_down,
		.offload = b->offload,
		.merge = b->merge,
		.started = b->started,
		.connected_since = b->connected_since,
		.no_carrier = b->no_carrier,
		.carrier_since = b->carrier_since,
	};
}
