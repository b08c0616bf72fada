/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * One attempt to connect runs from the socket to DRIVER_OK in one go on the control
 * thread: each request waits for its answer, for as long as vhost->timeout_ms and no
 * signal allows. Everything is negotiated from zero each time, and rings and memory
 * are new, so that nothing of an old connection can reach into the next one.
 *
 * An attempt that fails is repeated after a pause that doubles from 10 ms to 1 s; the
 * first one with a given reason is logged, its repetitions are not. A socket file
 * that appears ends the pause at once. A connection that was given up because the
 * peer broke the rules counts as an attempt that failed, unless it had lasted.
 */
#include "port/frontend.h"

#include <errno.h>
#include <libgen.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#include "base/log.h"
#include "base/util.h"
#include "port/rings.h"
#include "virtio/feature.h"

#define BACKOFF_MIN_NS UINT64_C(10000000)
#define BACKOFF_MAX_NS UINT64_C(1000000000)
/* A connection that lived that long says that the peer is sound. */
#define LASTING_NS UINT64_C(1000000000)

/*
 *   STOPPED ── start ──► WAITING ── attempt ok ──► UP
 *      ▲                  ▲  └─ attempt failed ──┐  │
 *      │                  └──────────────────────┴──┘ hang-up, broken ring
 *      └──── stop, from any
 */
enum frontend_state {
	FRONTEND_STOPPED, /* no connection, no timer */
	FRONTEND_WAITING, /* no connection, the timer runs */
	FRONTEND_UP,      /* connected, DRIVER_OK, the rings are the owner's */
};

struct frontend {
	struct vport vport;
	struct frontend_config config;
	struct vhost *vhost;
	enum frontend_state state;
	struct rings rings;

	sd_event *event;
	sd_event_source *timer;
	sd_event_source *socket;  /* while UP */
	sd_event_source *inotify; /* while WAITING, if the directory is there */
	char *directory, *file;   /* of config.path; NULL for an abstract socket */

	uint64_t backoff_ns;
	uint64_t up_since_ns;
	char last_failure[128]; /* the reason that was logged, "" after success */
};

static struct frontend *to_frontend(struct vport *vp)
{
	return container_of(vp, struct frontend, vport);
}

/* ---- one attempt ---- */

static int set_status(struct frontend *fe, uint8_t bits)
{
	uint8_t status = bits ? fe->vport.device_status | bits : 0;
	int r = fe->vhost->ops->set_status(fe->vhost, status);

	if (!r)
		fe->vport.device_status = status;
	return r;
}

/* Where the peer serves no net status the link is assumed to be up (5.1.4.2). */
static int read_net_status(struct frontend *fe)
{
	struct vhost *v = fe->vhost;
	uint16_t status = 0;
	int r;

	fe->vport.net_status = VIRTIO_NET_S_LINK_UP;
	if (!v->has_config || !feature_has(v->features, VIRTIO_NET_F_STATUS))
		return 0;
	r = v->ops->get_config(v, &status, offsetof(struct virtio_net_config, status),
			       sizeof(status));
	if (r == -EOPNOTSUPP || r == -EREMOTEIO)
		return 0; /* it has a configuration, but not of that part */
	if (!r)
		fe->vport.net_status = le16toh(status);
	return r;
}

/* Device initialization, virtio 1.3, 3.1.1, in the order that every peer accepts. */
static int negotiate(struct frontend *fe)
{
	struct vhost *v = fe->vhost;
	struct vport *vp = &fe->vport;
	int r;

	r = set_status(fe, 0);
	if (!r)
		r = set_status(fe, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	if (!r)
		r = set_status(fe, VIRTIO_CONFIG_S_DRIVER);
	if (r)
		return r;
	vp->features = feature_select(v->features, fe->config.offloads);
	vp->ring_hdr_len = feature_hdr_len(vp->features);
	vp->pairs = MIN(fe->config.pairs, v->max_pairs);
	r = read_net_status(fe);
	if (r)
		return r;
	r = rings_open(&fe->rings, vp->pairs, fe->config.queue_size, vp->features,
		       fe->config.hugepages);
	if (r) {
		v->request = "ring memory";
		v->why = "";
		return r;
	}
	vp->vqs = fe->rings.vqs;
	r = rings_tell_calls(&fe->rings, v);
	if (!r)
		r = v->ops->set_features(v, vp->features);
	if (!r)
		r = set_status(fe, VIRTIO_CONFIG_S_FEATURES_OK);
	return r;
}

static int start_rings(struct frontend *fe)
{
	int r = rings_tell(&fe->rings, fe->vhost);

	if (!r)
		r = rings_enable(&fe->rings, fe->vhost, true);
	if (!r)
		r = set_status(fe, VIRTIO_CONFIG_S_DRIVER_OK);
	if (r)
		return r;
	fe->vport.rings_enabled = true;
	rings_kick(&fe->rings);
	return 0;
}

/* Forgets the connection: the mirror of an attempt. */
static void forget(struct frontend *fe)
{
	struct vport *vp = &fe->vport;

	fe->socket = sd_event_source_disable_unref(fe->socket);
	fe->vhost->ops->close(fe->vhost);
	vp->connected = false;
	vp->rings_enabled = false;
	vp->device_status = 0;
	vp->net_status = 0;
	vp->features = 0;
	vp->pairs = 0;
	vp->vqs = NULL;
	rings_close(&fe->rings);
}

/* ---- the log ---- */

static void log_connected(struct frontend *fe)
{
	struct vport *vp = &fe->vport;
	char names[512];

	feature_format(vp->features, names, sizeof(names));
	log_notice(fe->config.tag, "connected to %s: %u queue pair%s of %u descriptors, %s%s",
		   fe->config.path, vp->pairs, vp->pairs == 1 ? "" : "s", fe->config.queue_size,
		   names[0] ? names : "no features",
		   fe->rings.pool.huge ? ", in huge pages" : "");
	if (fe->config.hugepages && !fe->rings.pool.huge)
		log_warning(fe->config.tag,
			    "--hugepages: not enough free huge pages (vm.nr_hugepages), using "
			    "ordinary ones");
	fe->last_failure[0] = '\0';
}

/* What went wrong, in one phrase. */
static void describe_failure(const struct frontend *fe, int error, char *buf, size_t size)
{
	const struct vhost *v = fe->vhost;

	snprintf(buf, size, "%s%s%s", v->request && v->request[0] ? v->request : "",
		 v->request && v->request[0] ? ": " : "",
		 v->why && v->why[0] ? v->why : strerror(-error));
}

/* The same reason again and again is one line. */
static void log_failure(struct frontend *fe, int error)
{
	bool absent = error == -ENOENT || error == -ECONNREFUSED;
	char failure[sizeof(fe->last_failure)];

	if (error == -ECANCELED)
		return;
	if (absent) /* no file, or one that nobody listens on: which, may change while it waits */
		strcpy(failure, "absent");
	else
		describe_failure(fe, error, failure, sizeof(failure));
	if (!strcmp(failure, fe->last_failure))
		return;
	memcpy(fe->last_failure, failure, sizeof(failure));
	if (absent)
		log_notice(fe->config.tag, "waiting for the backend at %s (%s)", fe->config.path,
			   strerror(-error));
	else
		log_warning(fe->config.tag, "cannot use the backend at %s: %s; trying again",
			    fe->config.path, failure);
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

static void wait_and_retry(struct frontend *fe)
{
	fe->state = FRONTEND_WAITING;
	watch_directory(fe);
	set_timer(fe, fe->backoff_ns);
	fe->backoff_ns = MIN(fe->backoff_ns * 2, BACKOFF_MAX_NS);
}

/* The connection is over, whoever ended it. */
static void disconnect(struct frontend *fe)
{
	if (now_ns() - fe->up_since_ns >= LASTING_NS)
		fe->backoff_ns = BACKOFF_MIN_NS;
	fe->vport.connected = false;
	fe->vport.events->down(fe->vport.owner);
	forget(fe);
	wait_and_retry(fe);
}

static int on_socket(sd_event_source *source __attribute__((unused)),
		     int fd __attribute__((unused)), uint32_t revents __attribute__((unused)),
		     void *userdata)
{
	struct frontend *fe = userdata;
	char failure[128];
	int r = fe->vhost->ops->hear(fe->vhost);

	if (!r)
		return 0;
	if (r == -ECONNRESET) {
		/* an orderly end: the next one may be there already */
		fe->backoff_ns = BACKOFF_MIN_NS;
		log_notice(fe->config.tag, "the backend at %s disconnected", fe->config.path);
	} else {
		describe_failure(fe, r, failure, sizeof(failure));
		log_warning(fe->config.tag, "disconnecting from %s: %s", fe->config.path, failure);
	}
	disconnect(fe);
	return 0;
}

static int attempt(struct frontend *fe)
{
	struct vport *vp = &fe->vport;
	int r = fe->vhost->ops->open(fe->vhost);

	if (!r) {
		vp->connected = true;
		r = negotiate(fe);
	}
	if (!r)
		r = start_rings(fe);
	if (!r)
		r = sd_event_add_io(fe->event, &fe->socket, fe->vhost->fd, EPOLLIN | EPOLLRDHUP,
				    on_socket, fe);
	return r;
}

static int try_to_connect(struct frontend *fe)
{
	int r = attempt(fe);

	if (r) {
		log_failure(fe, r);
		forget(fe);
		wait_and_retry(fe);
		return 0;
	}
	log_connected(fe);
	fe->inotify = sd_event_source_disable_unref(fe->inotify);
	fe->up_since_ns = now_ns();
	fe->state = FRONTEND_UP;
	fe->vport.connects++;
	if (fe->vport.events->up(fe->vport.owner))
		disconnect(fe);
	return 0;
}

static int on_timer(sd_event_source *source __attribute__((unused)),
		    uint64_t usec __attribute__((unused)), void *userdata)
{
	struct frontend *fe = userdata;

	return fe->state == FRONTEND_WAITING ? try_to_connect(fe) : 0;
}

static int on_directory(sd_event_source *source __attribute__((unused)),
			const struct inotify_event *ev, void *userdata)
{
	struct frontend *fe = userdata;

	if (ev->mask & IN_IGNORED) /* the directory is gone; looked for again with each try */
		fe->inotify = sd_event_source_disable_unref(fe->inotify);
	else if (ev->len && !strcmp(ev->name, fe->file) && fe->state == FRONTEND_WAITING) {
		/* bound but perhaps not listening yet: begin anew with short pauses */
		fe->backoff_ns = BACKOFF_MIN_NS;
		set_timer(fe, BACKOFF_MIN_NS / 10);
	}
	return 0;
}

/* ---- the port's operations ---- */

static int start(struct vport *vp)
{
	struct frontend *fe = to_frontend(vp);

	fe->state = FRONTEND_WAITING;
	fe->backoff_ns = BACKOFF_MIN_NS;
	watch_directory(fe);
	set_timer(fe, 0);
	return 0;
}

/* Device clean-up, virtio 1.3, 3.3.1: stop the rings, then reset, as far as it still hears. */
static void stop(struct vport *vp)
{
	struct frontend *fe = to_frontend(vp);

	if (fe->timer)
		sd_event_source_set_enabled(fe->timer, SD_EVENT_OFF);
	fe->inotify = sd_event_source_disable_unref(fe->inotify);
	if (fe->state == FRONTEND_UP) {
		vp->connected = false;
		vp->events->down(vp->owner);
		fe->vhost->cancel_fd = -1; /* what made us stop shall not cut this short */
		if (!rings_stop(&fe->rings, fe->vhost))
			set_status(fe, 0);
		forget(fe);
	}
	fe->state = FRONTEND_STOPPED;
}

static void broken(struct vport *vp, const struct vq *vq)
{
	struct frontend *fe = to_frontend(vp);

	if (fe->state != FRONTEND_UP)
		return;
	log_warning(fe->config.tag, "%cxq%u: the backend broke the rules: %s (%u); disconnecting",
		    vq->direction == VQ_CONTENT ? 'r' : 't', vq->index / 2u, vq->why,
		    vq->why_value);
	disconnect(fe);
}

static void close_frontend(struct vport *vp)
{
	struct frontend *fe;

	if (!vp)
		return;
	fe = to_frontend(vp);
	stop(vp);
	sd_event_source_disable_unref(fe->timer);
	sd_event_unref(fe->event);
	free(fe->directory);
	free(fe->file);
	free(fe);
}

static const struct vport_ops ops = {
	.start = start,
	.stop = stop,
	.broken = broken,
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
	fe->event = sd_event_ref(event);
	r = split_path(fe, config->path);
	/* a precision of 1 ms: the loop may otherwise put timers off to save wake-ups */
	if (!r)
		r = sd_event_add_time_relative(event, &fe->timer, CLOCK_MONOTONIC, 0, 1000,
					       on_timer, fe);
	if (!r)
		r = sd_event_source_set_enabled(fe->timer, SD_EVENT_OFF);
	if (r < 0) {
		close_frontend(&fe->vport);
		return r;
	}
	*out = &fe->vport;
	return 0;
}
