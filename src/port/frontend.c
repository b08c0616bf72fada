/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * One attempt runs from the connection to DRIVER_OK in one go, as straight code, in the
 * thread of port/errand.c: each request waits for its answer, for as long as vhost->timeout_ms
 * allows, and all of them together for ATTEMPT_NS. The loop goes on meanwhile, and can call the
 * errand back at any time. Everything is negotiated from zero each time (port/device.c), and
 * rings and memory are new, so that nothing of an old connection can reach into the next one.
 * What a device that is up has to ask of its peer is asked in the same way (port/asker.c).
 * While an errand is out the connection is the errand's: nobody listens to it then.
 *
 * As a client, an attempt that fails is repeated after a pause that doubles from 10 ms
 * to 1 s, and a socket file that appears ends the pause at once. As a server there is
 * nothing to repeat: the next attempt begins when someone connects, but after a device
 * that broke the rules not before the pause. The first failure with a given reason is
 * logged, its repetitions are not. A connection that was given up because the peer broke
 * the rules counts as an attempt that failed, unless it had lasted.
 */
#include "port/frontend.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "port/asker.h"
#include "port/errand.h"
#include "port/failure.h"
#include "port/status.h"
#include "virtio/feature.h"

#define BACKOFF_MIN_NS UINT64_C(10000000)
#define BACKOFF_MAX_NS UINT64_C(1000000000)
/* A peer that answers each request just in time would otherwise take minutes of ours. */
#define ATTEMPT_NS UINT64_C(10000000000)
#define FAREWELL_NS UINT64_C(3000000000)
/* A connection that lived that long says that the peer is sound. */
#define LASTING_NS UINT64_C(1000000000)

/*
 *   STOPPED ── start ──► WAITING ──► TRYING ── ok ──► UP
 *      ▲                  ▲  failed ──┘               │
 *      │                  └───────────────────────────┘ hang-up, broken ring
 *      └──── stop, from any
 */
enum frontend_state {
	FRONTEND_STOPPED, /* no connection, no timer */
	FRONTEND_WAITING, /* no connection, the timer runs */
	FRONTEND_TRYING,  /* an attempt is out */
	FRONTEND_UP,	  /* connected, DRIVER_OK, the rings are the owner's */
};

struct frontend {
	struct vport vport;
	struct frontend_config config;
	struct vhost *vhost;
	struct device device;
	struct errand *errand; /* out while TRYING, and while UP and something is asked */
	struct asker asker;
	enum frontend_state state;
	bool settled; /* UP, and what the owner asked at once has been answered */

	sd_event *event;
	sd_event_source *timer;
	sd_event_source *socket;  /* while UP */
	sd_event_source *channel; /* while UP, if the peer has one to speak first on */
	sd_event_source *inotify; /* client, while WAITING, if the directory is there */
	sd_event_source *listen;  /* server, but not during a pause */
	char *directory, *file;	  /* of config.path; NULL for an abstract socket */

	uint64_t backoff_ns;
	uint64_t up_since_ns;
	unsigned int refused;	/* connections beside this one */
	uint64_t last_features; /* of the last connection, 0: there was none */
	unsigned int last_pairs;
	struct failure_log failures;
};

static struct frontend *to_frontend(struct vport *vp)
{
	return container_of(vp, struct frontend, vport);
}

/* ---- the log ---- */

/* What the peer of this connection can do otherwise than that of the last one. */
static void log_differences(struct frontend *fe)
{
	uint64_t features = fe->vport.features & ~FEATURE_DEVICE_MASK;
	char gained[256], lost[256];

	if (fe->last_features && features != fe->last_features) {
		feature_format(features & ~fe->last_features, gained, sizeof(gained));
		feature_format(fe->last_features & ~features, lost, sizeof(lost));
		log_notice(fe->config.tag, "other features than last time: %s%s%s%s%s",
			   gained[0] ? "with " : "", gained, gained[0] && lost[0] ? ", " : "",
			   lost[0] ? "without " : "", lost);
	}
	if (fe->last_pairs && fe->vport.pairs != fe->last_pairs)
		log_notice(fe->config.tag, "%u queue pairs instead of %u last time",
			   fe->vport.pairs, fe->last_pairs);
	fe->last_features = features;
	fe->last_pairs = fe->vport.pairs;
}

static void log_connected(struct frontend *fe)
{
	const struct device_config *config = &fe->config.device;
	struct vport *vp = &fe->vport;
	bool huge = fe->device.rings.pool.huge;
	char names[512];

	feature_format(vp->features & ~FEATURE_DEVICE_MASK, names, sizeof(names));
	log_notice(fe->config.tag, "connected to %s: %u queue pair%s of %u descriptors, %s%s",
		   fe->config.path, vp->pairs, vp->pairs == 1 ? "" : "s", config->queue_size,
		   names[0] ? names : "no features", huge ? ", in huge pages" : "");
	if (vp->pairs < config->pairs)
		log_notice(fe->config.tag, "the backend serves %u of the %u queue pairs asked for",
			   vp->pairs, config->pairs);
	if (config->hugepages && !huge)
		log_warning(fe->config.tag,
			    "--hugepages: not enough free huge pages (vm.nr_hugepages), using "
			    "ordinary ones");
	log_differences(fe);
}

/* ---- waiting ---- */

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);
static int on_directory(sd_event_source *source, const struct inotify_event *ev, void *userdata);

static void watch_directory(struct frontend *fe)
{
	if (fe->inotify || !fe->directory)
		return;
	if (sd_event_add_inotify(fe->event, &fe->inotify, fe->directory,
				 IN_CREATE | IN_MOVED_TO | IN_ONLYDIR, on_directory, fe) < 0)
		fe->inotify = NULL; /* the back-off alone will do */
}

static void set_timer(struct frontend *fe, uint64_t ns)
{
	sd_event_source_set_time_relative(fe->timer, ns / 1000);
	sd_event_source_set_enabled(fe->timer, SD_EVENT_ONESHOT);
}

/*
 * A server waits for whoever comes, at once or, after a peer that broke the rules, when
 * the pause is over. A client watches out for the socket and tries again by itself.
 */
static void wait_and_retry(struct frontend *fe, bool pause)
{
	fe->state = FRONTEND_WAITING;
	if (fe->listen) {
		sd_event_source_set_enabled(fe->listen, pause ? SD_EVENT_OFF : SD_EVENT_ON);
		if (!pause)
			return;
	} else {
		watch_directory(fe);
	}
	set_timer(fe, fe->backoff_ns);
	fe->backoff_ns = MIN(fe->backoff_ns * 2, BACKOFF_MAX_NS);
}

static void forget(struct frontend *fe)
{
	fe->settled = false;
	fe->vport.asking = false;
	asker_forget(&fe->asker);
	fe->socket = sd_event_source_disable_unref(fe->socket);
	fe->channel = sd_event_source_disable_unref(fe->channel);
	device_forget(&fe->device);
}

/* The rings come back from their owner. */
static void come_down(struct frontend *fe)
{
	fe->vport.connected = false;
	fe->vport.events->down(fe->vport.owner);
}

/* A peer that comes up and goes at once is not worth a carrier flap each time. */
static void close_and_retry(struct frontend *fe)
{
	bool lasted = now_ns() - fe->up_since_ns >= LASTING_NS;

	forget(fe);
	if (lasted) {
		fe->backoff_ns = BACKOFF_MIN_NS;
		failure_forget(&fe->failures);
		device_lasted(&fe->device);
	}
	wait_and_retry(fe, !lasted);
}

/* The connection is over, whoever ended it. */
static void disconnect(struct frontend *fe)
{
	come_down(fe);
	close_and_retry(fe);
}

/* The peer left, or did what it may not; before all is settled that is one more attempt. */
static void lose(struct frontend *fe, int error)
{
	char failure[128];

	if (!fe->settled) {
		failure_log(&fe->failures, fe->vhost, error);
	} else if (error == -ECONNRESET) {
		log_notice(fe->config.tag, "the backend at %s disconnected", fe->config.path);
	} else {
		failure_describe(&fe->failures, fe->vhost, error, failure, sizeof(failure));
		log_warning(fe->config.tag, "disconnecting from %s: %s", fe->config.path, failure);
	}
	disconnect(fe);
}

/* ---- what is asked while it is up ---- */

/* Of an errand that is out the connection is; a server then leaves others in the backlog. */
static void listen_to_peer(struct frontend *fe, bool on)
{
	sd_event_source *const sources[] = {fe->socket, fe->channel, fe->listen};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sources); i++)
		if (sources[i])
			sd_event_source_set_enabled(sources[i], on ? SD_EVENT_ON : SD_EVENT_OFF);
}

/* Asks the next thing that is wanted, or says that all has been answered. */
static void ask(struct frontend *fe)
{
	if (fe->state != FRONTEND_UP || errand_is_out(fe->errand))
		return;
	if (asker_send(&fe->asker)) {
		fe->vport.asking = true;
		listen_to_peer(fe, false);
		return;
	}
	fe->settled = true;
	listen_to_peer(fe, true);
	if (fe->vport.asking) {
		fe->vport.asking = false;
		fe->vport.events->answered(fe->vport.owner);
	}
	/* last: the kernel takes up to 15 ms to close it, which no carrier shall wait for */
	if (fe->state == FRONTEND_UP)
		fe->inotify = sd_event_source_disable_unref(fe->inotify);
}

static void on_answer(struct frontend *fe, int result)
{
	unsigned int changes;
	int r = asker_home(&fe->asker, result, &changes);

	if (fe->vhost->backend_fd < 0)
		fe->channel = sd_event_source_disable_unref(fe->channel);
	if (!r && changes)
		fe->vport.events->changed(fe->vport.owner, changes);
	if (r)
		lose(fe, r);
	else
		ask(fe);
}

/* ---- what the peer says by itself ---- */

static void hear_peer(struct frontend *fe)
{
	enum vhost_news news;
	int r = fe->vhost->ops->hear(fe->vhost, &news);

	if (fe->vhost->backend_fd < 0)
		fe->channel = sd_event_source_disable_unref(fe->channel);
	if (r) {
		lose(fe, r);
	} else if (news == VHOST_NEWS_CONFIG) {
		asker_want(&fe->asker, ASKER_CONFIG);
		ask(fe);
	}
}

/* The socket, or the channel on which the peer speaks first. */
static int on_socket(sd_event_source *source __attribute__((unused)),
		     int fd __attribute__((unused)), uint32_t revents __attribute__((unused)),
		     void *userdata)
{
	hear_peer(userdata);
	return 0;
}

static int watch_peer(struct frontend *fe)
{
	int r = sd_event_add_io(fe->event, &fe->socket, fe->vhost->fd, EPOLLIN | EPOLLRDHUP,
				on_socket, fe);

	if (r >= 0 && fe->vhost->backend_fd >= 0)
		r = sd_event_add_io(fe->event, &fe->channel, fe->vhost->backend_fd, EPOLLIN,
				    on_socket, fe);
	return r < 0 ? r : 0;
}

/* ---- an attempt ---- */

/* In the errand's thread. */
static int attempt(void *arg)
{
	struct frontend *fe = arg;
	int r = fe->vhost->ops->open(fe->vhost);

	return r ? r : device_bring_up(&fe->device);
}

static void try_to_connect(struct frontend *fe)
{
	fe->state = FRONTEND_TRYING;
	sd_event_source_set_enabled(fe->timer, SD_EVENT_OFF);
	listen_to_peer(fe, false);
	fe->vhost->deadline_ns = now_ns() + ATTEMPT_NS;
	errand_send(fe->errand, attempt, fe, !fe->vhost->waits);
}

static void come_up(struct frontend *fe)
{
	int r;

	device_show(&fe->device);
	log_connected(fe);
	fe->up_since_ns = now_ns();
	fe->refused = 0;
	fe->state = FRONTEND_UP;
	fe->vport.connects++;
	r = fe->vport.events->up(fe->vport.owner);
	if (r) {
		errand_call_back(fe->errand);
		fe->vhost->request = fe->vhost->why = "";
		failure_log(&fe->failures, fe->vhost, r);
		disconnect(fe);
		return;
	}
	if (fe->vhost->news != VHOST_NEWS_NONE)
		asker_want(&fe->asker, ASKER_CONFIG);
	ask(fe);
}

static void on_attempt(struct frontend *fe, int r)
{
	fe->vhost->deadline_ns = 0;
	if (!r)
		r = watch_peer(fe);
	if (!r) {
		come_up(fe);
		return;
	}
	failure_log(&fe->failures, fe->vhost, r);
	forget(fe);
	wait_and_retry(fe, false);
}

static void on_home(void *owner, int result)
{
	struct frontend *fe = owner;

	if (fe->state == FRONTEND_TRYING)
		on_attempt(fe, result);
	else if (fe->state == FRONTEND_UP)
		on_answer(fe, result);
}

/* Someone connects to us: the peer, or one too many. */
static int on_listen(sd_event_source *source __attribute__((unused)),
		     int fd __attribute__((unused)), uint32_t revents __attribute__((unused)),
		     void *userdata)
{
	struct frontend *fe = userdata;
	int peer = listener_accept(fe->config.listen);

	if (peer == -EAGAIN)
		return 0;
	if (peer < 0) { /* out of descriptors or memory: not at once again */
		fe->vhost->request = "accept";
		fe->vhost->why = "";
		failure_log(&fe->failures, fe->vhost, peer);
		sd_event_source_set_enabled(fe->listen, SD_EVENT_OFF);
		set_timer(fe, BACKOFF_MAX_NS);
		return 0;
	}
	if (fe->state == FRONTEND_UP)
		hear_peer(fe); /* the last one may have left just before this one came */
	if (fe->state != FRONTEND_UP && !sd_event_source_get_enabled(fe->listen, NULL)) {
		close(peer); /* the last one was lost just now, and was worth a pause */
		return 0;
	}
	if (fe->state == FRONTEND_UP) {
		if (!fe->refused++)
			log_warning(fe->config.tag,
				    "refused a second backend at %s: one is connected",
				    fe->config.path);
		close(peer);
		return 0;
	}
	fe->vhost->accepted_fd = peer;
	try_to_connect(fe);
	return 0;
}

static int on_timer(sd_event_source *source __attribute__((unused)),
		    uint64_t usec __attribute__((unused)), void *userdata)
{
	struct frontend *fe = userdata;

	if (fe->listen)
		return errand_is_out(fe->errand) ? 0 : sd_event_source_set_enabled(fe->listen, SD_EVENT_ON);
	if (fe->state == FRONTEND_WAITING)
		try_to_connect(fe);
	return 0;
}

static int on_directory(sd_event_source *source __attribute__((unused)),
			const struct inotify_event *ev, void *userdata)
{
	struct frontend *fe = userdata;

	if (ev->mask & IN_IGNORED) /* the directory is gone; looked for again with each try */
		fe->inotify = sd_event_source_disable_unref(fe->inotify);
	else if (ev->len && !strcmp(ev->name, fe->file)) {
		/* bound but perhaps not listening yet: begin anew with short pauses */
		fe->backoff_ns = BACKOFF_MIN_NS;
		if (fe->state == FRONTEND_WAITING)
			set_timer(fe, BACKOFF_MIN_NS / 10);
	}
	return 0;
}

/* ---- the port's operations ---- */

static int start(struct vport *vp)
{
	struct frontend *fe = to_frontend(vp);
	int r;

	fe->state = FRONTEND_WAITING;
	fe->backoff_ns = BACKOFF_MIN_NS;
	if (fe->config.listen) {
		log_notice(fe->config.tag, "listening for the backend at %s", fe->config.path);
		r = sd_event_add_io(fe->event, &fe->listen, listener_fd(fe->config.listen),
				    EPOLLIN, on_listen, fe);
		return r < 0 ? r : 0;
	}
	watch_directory(fe);
	set_timer(fe, 0);
	return 0;
}

/* Device clean-up, virtio 1.3, 3.3.1, as far as the peer still hears. */
static void stop(struct vport *vp)
{
	struct frontend *fe = to_frontend(vp);

	if (fe->timer)
		sd_event_source_set_enabled(fe->timer, SD_EVENT_OFF);
	fe->inotify = sd_event_source_disable_unref(fe->inotify);
	fe->listen = sd_event_source_disable_unref(fe->listen);
	if (fe->errand)
		errand_call_back(fe->errand);
	if (fe->state == FRONTEND_UP) {
		come_down(fe);
		fe->vhost->deadline_ns = now_ns() + FAREWELL_NS;
		device_shut_down(&fe->device);
		fe->vhost->deadline_ns = 0;
	}
	if (fe->state == FRONTEND_UP || fe->state == FRONTEND_TRYING)
		forget(fe);
	fe->state = FRONTEND_STOPPED;
}

static void broken(struct vport *vp, const struct vq *vq)
{
	struct frontend *fe = to_frontend(vp);

	if (fe->state != FRONTEND_UP)
		return;
	log_queue(LOG_WARNING, fe->config.tag, vq->direction == VQ_CONTENT ? 'r' : 't',
		  vq->index / 2u, "the backend broke the rules: %s (%u); disconnecting", vq->why,
		  vq->why_value);
	errand_call_back(fe->errand);
	come_down(fe);
	device_fail(&fe->device);
	close_and_retry(fe);
}

static uint8_t control(struct vport *vp, uint8_t class, uint8_t command, const void *data,
		       size_t len)
{
	struct frontend *fe = to_frontend(vp);
	unsigned int pairs;
	uint8_t ack = device_control(&fe->device, class, command, data, len, &pairs);

	if (pairs) {
		asker_want_pairs(&fe->asker, pairs);
		ask(fe);
	}
	return ack;
}

static int write_config(struct vport *vp, size_t offset, const void *data, size_t len)
{
	struct frontend *fe = to_frontend(vp);
	int r = device_write_config(&fe->device, offset, data, len);

	if (r)
		log_warning(fe->config.tag,
			    "refused a write of %zu bytes at %zu of the configuration: the MAC "
			    "alone may be written",
			    len, offset);
	return r;
}

static int set_mtu(struct vport *vp, unsigned int mtu)
{
	struct frontend *fe = to_frontend(vp);

	if (!vp->connected)
		return -ENOTCONN;
	asker_want_mtu(&fe->asker, (uint16_t)mtu);
	ask(fe);
	return 0;
}

static int announce(struct vport *vp)
{
	struct frontend *fe = to_frontend(vp);

	if (!vp->connected)
		return -ENOTCONN;
	if (!fe->vhost->has_announce)
		return -EOPNOTSUPP;
	asker_want(&fe->asker, ASKER_ANNOUNCE);
	ask(fe);
	return 0;
}

static void close_frontend(struct vport *vp)
{
	struct frontend *fe;

	if (!vp)
		return;
	fe = to_frontend(vp);
	stop(vp);
	sd_event_source_disable_unref(fe->timer);
	errand_close(fe->errand);
	fe->vhost->cancel_fd = -1;
	sd_event_unref(fe->event);
	free(fe->directory);
	free(fe->file);
	free(fe);
}

static const struct vport_ops ops = {
	.start = start,
	.stop = stop,
	.broken = broken,
	.control = control,
	.write_config = write_config,
	.set_mtu = set_mtu,
	.announce = announce,
	.close = close_frontend,
};

/* Splits @path into directory and file; an abstract socket has neither. */
static int split_path(struct frontend *fe, const char *path)
{
	char *a, *b;

	if (path[0] == '@')
		return 0;
	a = strdup(path);
	b = strdup(path);
	if (a && b) {
		fe->directory = strdup(dirname(a));
		fe->file = strdup(basename(b));
	}
	free(a);
	free(b);
	return fe->directory && fe->file ? 0 : -ENOMEM;
}

int frontend_open(struct vport **out, sd_event *event, const struct frontend_config *config,
		  const struct vport_events *events, void *owner)
{
	struct frontend *fe = calloc(1, sizeof(*fe));
	int r;

	*out = NULL;
	if (!fe)
		return -ENOMEM;
	fe->vport.ops = &ops;
	fe->vport.events = events;
	fe->vport.owner = owner;
	fe->config = *config;
	fe->vhost = config->vhost;
	fe->device = (struct device){
		.vport = &fe->vport,
		.vhost = config->vhost,
		.config = config->device,
		.rings.pool.fd = -1,
	};
	fe->failures = (struct failure_log){
		.tag = config->tag,
		.path = config->path,
		.queue_size = config->device.queue_size,
	};
	fe->event = sd_event_ref(event);
	r = split_path(fe, config->path);
	/* a precision of 1 ms: the loop may otherwise put timers off to save wake-ups */
	if (!r)
		r = sd_event_add_time_relative(event, &fe->timer, CLOCK_MONOTONIC, 0, 1000,
					       on_timer, fe);
	if (r >= 0)
		r = sd_event_source_set_enabled(fe->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = errand_open(&fe->errand, event, on_home, fe);
	if (r < 0) {
		close_frontend(&fe->vport);
		return r;
	}
	fe->vhost->cancel_fd = errand_cancel_fd(fe->errand);
	fe->asker = (struct asker){
		.device = &fe->device,
		.errand = fe->errand,
		.tag = config->tag,
	};
	*out = &fe->vport;
	return 0;
}
