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
 * As a client, an attempt that fails is repeated after a pause that doubles from 10 ms to
 * 1 s, and a socket file that appears ends the pause at once. As a server there is nothing to
 * repeat: an attempt begins when someone who connected has answered the first question
 * (port/greeter.c), but after a device that broke the rules not before the pause. The first
 * failure with a given reason is logged, its repetitions are not. A connection that was given
 * up because the peer broke the rules counts as an attempt that failed, unless it had lasted.
 */
#include "port/frontend.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "port/asker.h"
#include "port/errand.h"
#include "port/failure.h"
#include "port/greeter.h"
#include "port/history.h"
#include "port/lookout.h"

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
	struct greeter *greeter; /* server */
	enum frontend_state state;
	bool settled; /* UP, and what the owner asked at once has been answered */

	sd_event *event;
	sd_event_source *timer;
	sd_event_source *socket;  /* while UP */
	sd_event_source *channel; /* while UP, if the peer has one to speak first on */
	sd_event_source *listen;  /* server, but not during a pause */
	struct lookout lookout;	  /* client, until it is UP */

	uint64_t backoff_ns;
	uint64_t up_since_ns;
	unsigned int refused;	/* connections beside this one */
	struct history history;
	struct failure_log failures;
};

static struct frontend *to_frontend(struct vport *vp)
{
	return container_of(vp, struct frontend, vport);
}

/* ---- waiting ---- */

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);

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
		lookout_begin(&fe->lookout);
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
	if (fe->settled)
		failure_log_end(&fe->failures, fe->vhost, error);
	else
		failure_log(&fe->failures, fe->vhost, error);
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
		lookout_end(&fe->lookout);
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
	fe->vhost->deadline_ns = now_ns() + ATTEMPT_NS;
	fe->device.least_mtu = fe->vport.least_mtu;
	errand_send(fe->errand, attempt, fe, !fe->vhost->waits);
}

/* As a server: the next one who has said something. */
static void try_next_guest(struct frontend *fe)
{
	int fd = fe->greeter && fe->state == FRONTEND_WAITING ? greeter_take(fe->greeter) : -1;

	if (fd < 0)
		return;
	fe->vhost->accepted_fd = fd;
	try_to_connect(fe);
}

/* One backend is what there is a place for. */
static void refuse(struct frontend *fe, unsigned int n)
{
	if (n && !fe->refused)
		log_warning(fe->config.tag, "refused a second backend at %s: one is connected",
			    fe->config.path);
	fe->refused += n;
}

static void come_up(struct frontend *fe)
{
	int r;

	device_show(&fe->device);
	history_connected(&fe->history, &fe->device);
	fe->up_since_ns = now_ns();
	fe->refused = 0;
	if (fe->greeter)
		refuse(fe, greeter_clear(fe->greeter));
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
	fe->failures.queue_size = fe->device.draft.queue_size;
	failure_log(&fe->failures, fe->vhost, r);
	forget(fe);
	wait_and_retry(fe, false);
	try_next_guest(fe);
}

static void on_home(void *owner, int result)
{
	struct frontend *fe = owner;

	if (fe->state == FRONTEND_TRYING)
		on_attempt(fe, result);
	else if (fe->state == FRONTEND_UP)
		on_answer(fe, result);
}

static void on_guest_answered(void *owner)
{
	try_next_guest(owner);
}

static void on_guest_dropped(void *owner, int error, const char *why)
{
	const struct vhost first = {.request = "GET_FEATURES", .why = why};
	struct frontend *fe = owner;

	failure_log(&fe->failures, &first, error);
}

static const struct greeter_events guest_events = {
	.answered = on_guest_answered,
	.dropped = on_guest_dropped,
};

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
		failure_log(&fe->failures, &(struct vhost){.request = "accept"}, peer);
		sd_event_source_set_enabled(fe->listen, SD_EVENT_OFF);
		set_timer(fe, BACKOFF_MAX_NS);
		return 0;
	}
	if (fe->state == FRONTEND_UP)
		hear_peer(fe); /* the last one may have left just before this one came */
	if (fe->state == FRONTEND_UP) {
		refuse(fe, 1);
		close(peer);
	} else if (!sd_event_source_get_enabled(fe->listen, NULL)) {
		close(peer); /* the last one was lost just now, and was worth a pause */
	} else {
		greeter_add(fe->greeter, peer);
	}
	return 0;
}

static int on_timer(sd_event_source *source __attribute__((unused)),
		    uint64_t usec __attribute__((unused)), void *userdata)
{
	struct frontend *fe = userdata;

	/* what is asked meanwhile sees to that when it is answered */
	if (fe->listen && fe->state == FRONTEND_UP && errand_is_out(fe->errand))
		return 0;
	if (fe->listen)
		return sd_event_source_set_enabled(fe->listen, SD_EVENT_ON);
	if (fe->state == FRONTEND_WAITING)
		try_to_connect(fe);
	return 0;
}

/* Bound but perhaps not listening yet: begins anew with short pauses. */
static void on_seen(void *owner)
{
	struct frontend *fe = owner;

	fe->backoff_ns = BACKOFF_MIN_NS;
	if (fe->state == FRONTEND_WAITING)
		set_timer(fe, BACKOFF_MIN_NS / 10);
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
	lookout_begin(&fe->lookout);
	set_timer(fe, 0);
	return 0;
}

/* Device clean-up, virtio 1.3, 3.3.1, as far as the peer still hears. */
static void stop(struct vport *vp)
{
	struct frontend *fe = to_frontend(vp);

	if (fe->timer)
		sd_event_source_set_enabled(fe->timer, SD_EVENT_OFF);
	lookout_end(&fe->lookout);
	fe->listen = sd_event_source_disable_unref(fe->listen);
	if (fe->greeter)
		greeter_clear(fe->greeter);
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
	failure_log_ring(&fe->failures, vq);
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
		failure_log_write(&fe->failures, offset, len);
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

static void set_features(struct vport *vp, uint64_t features)
{
	to_frontend(vp)->device.config.features = features;
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
	greeter_close(fe->greeter);
	fe->vhost->cancel_fd = -1;
	sd_event_unref(fe->event);
	lookout_close(&fe->lookout);
	free(fe);
}

static const struct vport_ops ops = {
	.start = start,
	.stop = stop,
	.broken = broken,
	.control = control,
	.write_config = write_config,
	.set_mtu = set_mtu,
	.set_features = set_features,
	.announce = announce,
	.close = close_frontend,
};

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
	};
	fe->history = (struct history){.tag = config->tag, .path = config->path};
	fe->event = sd_event_ref(event);
	r = lookout_open(&fe->lookout, event, config->path, on_seen, fe);
	/* a precision of 1 ms: the loop may otherwise put timers off to save wake-ups */
	if (!r)
		r = sd_event_add_time_relative(event, &fe->timer, CLOCK_MONOTONIC, 0, 1000,
					       on_timer, fe);
	if (r >= 0)
		r = sd_event_source_set_enabled(fe->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = errand_open(&fe->errand, event, on_home, fe);
	if (r >= 0 && config->listen)
		r = greeter_open(&fe->greeter, event, config->vhost, &guest_events, fe);
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
