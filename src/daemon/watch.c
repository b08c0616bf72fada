/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Link events tell of the interface while it is in the namespace of linkmon's socket.
 * When they say that it is gone, the port knows by its descriptors what became of it:
 *
 *   SEEN ── moved to a namespace that may be entered ──► SEEN, by new sockets there
 *     │ ▲
 *     │ └─ moved back, or to where it can be followed ──────┐
 *     ├─── moved to one that may not be entered ─────────► UNSEEN
 *     └─── deleted ──► lost ◄───────────────────────────────┘
 *
 * Frames and carrier pass through descriptors and work in both states. Unseen, it is
 * looked for each second, which also tells whether it lives and what its name is.
 *
 * A socket keeps its namespace alive. Where a namespace has a name, this is watched:
 * when it goes, so do we. Where it has none nobody could tell that it shall go, so
 * sockets are not put there: it is left unseen and dies, with the interface, in its time.
 *
 * Port, owner and watch must look at the same namespace. So all that can fail (descriptors
 * may run out) is opened in the new one before anything takes the place of the old.
 */
#include "daemon/watch.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#include "base/log.h"
#include "base/util.h"
#include "net/netns.h"

#define UNSEEN_INTERVAL_US UINT64_C(1000000)

/* The eyes in one namespace. */
struct place {
	struct linkmon *linkmon;
	sd_event_source *source;
	sd_event_source *inotify; /* of the namespace's name */
	char netns[PATH_MAX];     /* its file; "" where nobody can delete it before we end */
};

struct watch {
	sd_event *event;
	struct kport *kp;
	const struct watch_events *events;
	void *owner;

	struct place here;
	sd_event_source *timer; /* on while unseen */
	bool seen;
	bool gone;            /* as told by the dispatch under way */
	char name[IFNAMSIZ];  /* as last logged */
};

/* ---- its name ---- */

static void follow_name(struct watch *w, const char *name)
{
	if (!name[0] || !strcmp(w->name, name))
		return;
	log_notice(w->name, "the interface was renamed to %s", name);
	snprintf(w->name, sizeof(w->name), "%s", name);
	if (w->kp->name != name)
		snprintf(w->kp->name, sizeof(w->kp->name), "%s", name);
}

/* ---- the name of its namespace ---- */

static void lose(struct watch *w, const char *why)
{
	log_error(w->name, "%s", why);
	sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
	w->events->lost(w->owner);
}

static int on_directory(sd_event_source *source __attribute__((unused)),
			const struct inotify_event *ev, void *userdata)
{
	struct watch *w = userdata;
	const char *file = strrchr(w->here.netns, '/') + 1;

	if (!w->seen || !ev->len || strcmp(ev->name, file) != 0)
		return 0;
	w->here.inotify = sd_event_source_disable_unref(w->here.inotify);
	log_debug(w->name, "%s was deleted", w->here.netns);
	lose(w, "the network namespace of the interface was deleted");
	return 0;
}

/* @name as netns_open takes it, NULL: our own namespace, whose end is ours too. */
static int watch_netns(struct watch *w, struct place *p, const char *name)
{
	char directory[PATH_MAX];
	int r;

	if (!name)
		return 0;
	r = netns_path(name, p->netns, sizeof(p->netns));
	if (r)
		return r;
	strcpy(directory, p->netns);
	r = sd_event_add_inotify(w->event, &p->inotify, dirname(directory),
				 IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR, on_directory, w);
	return r < 0 ? r : 0;
}

/* ---- events ---- */

static void on_changed(void *owner, const struct linkmon_state *state)
{
	struct watch *w = owner;

	if (w->gone) /* someone else's, or asked for again in see_again */
		return;
	follow_name(w, state->name);
	w->events->changed(w->owner, state);
}

static void on_gone(void *owner)
{
	struct watch *w = owner;

	w->gone = true;
}

static const struct linkmon_events link_events = {
	.changed = on_changed,
	.gone = on_gone,
};

static int on_linkmon(sd_event_source *source, int fd, uint32_t revents, void *userdata);

static void place_close(struct place *p)
{
	sd_event_source_disable_unref(p->inotify);
	sd_event_source_disable_unref(p->source);
	linkmon_close(p->linkmon);
}

/* In the calling thread's namespace, which is called @name (watch_netns). */
static int place_open(struct watch *w, struct place *p, const char *name)
{
	int r;

	*p = (struct place){0};
	r = watch_netns(w, p, name);
	if (!r)
		r = linkmon_open(&p->linkmon, w->kp->ifindex, &link_events, w);
	if (!r)
		r = sd_event_add_io(w->event, &p->source, linkmon_fd(p->linkmon), EPOLLIN,
				    on_linkmon, w);
	if (r >= 0)
		return 0;
	place_close(p);
	return r;
}

/* ---- where it went ---- */

static void set_seen(struct watch *w)
{
	w->seen = true;
	sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
}

/* It is where linkmon looks, perhaps with another index. */
static int see_again(struct watch *w)
{
	bool unseen = !w->seen;
	int r = linkmon_watch(w->here.linkmon, w->kp->ifindex);

	if (r)
		return r;
	set_seen(w);
	if (unseen)
		log_notice(w->name, "the interface is back in sight");
	return 0;
}

/* To the calling thread's namespace, called @name: as a whole, or not at all. */
static int move_here(struct watch *w, const char *name)
{
	struct place place;
	struct rtnl *rtnl;
	int r = rtnl_open(&rtnl);

	if (r)
		return r;
	r = place_open(w, &place, name);
	if (r) {
		rtnl_close(rtnl);
		return r;
	}
	r = w->kp->ops->settle(w->kp);
	if (r) {
		place_close(&place);
		rtnl_close(rtnl);
		return r;
	}
	place_close(&w->here);
	w->here = place;
	w->events->moved(w->owner, rtnl);
	return linkmon_watch(w->here.linkmon, w->kp->ifindex);
}

static int enter_and_move(struct watch *w, int netns, const char *name)
{
	int home, err, r = netns_enter(netns, &home);

	if (r)
		return r;
	r = move_here(w, name);
	err = netns_leave(&home);
	return r ? r : err;
}

/* Sets up our watch in the namespace @netns; -EOWNERDEAD where it has no name. */
static int follow(struct watch *w, int netns)
{
	bool own = netns_is_own(netns);
	char name[NAME_MAX + 1];
	int r = 0;

	if (!own && netns_find_name(netns, name, sizeof(name)))
		return -EOWNERDEAD;
	r = enter_and_move(w, netns, own ? NULL : name);
	if (r)
		return r;
	set_seen(w);
	log_notice(w->name, "the interface moved to %s%s: following it",
		   own ? "our own network namespace" : "network namespace ", own ? "" : name);
	return 0;
}

static const char *unseen_text(int error)
{
	switch (error) {
	case -EOWNERDEAD:
		return "has no name";
	case -EPERM:
	case -EREMOTE:
		return "may not be entered";
	default:
		return strerror(-error);
	}
}

static void unsee(struct watch *w, int error)
{
	if (w->seen)
		log_notice(w->name,
			   "the interface moved to a network namespace that %s: forwarding and "
			   "carrier go on, its link events and its counter of overflows do not",
			   unseen_text(error));
	w->seen = false;
	w->kp->ifindex = 0;
	linkmon_watch(w->here.linkmon, 0);
	sd_event_source_set_time_relative(w->timer, UNSEEN_INTERVAL_US);
	sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
}

/* It is not where it was. */
static void search(struct watch *w)
{
	const struct kport_ops *ops = w->kp->ops;
	int netns = -1, r = ops->find ? ops->find(w->kp, &netns) : -EBADFD;

	w->gone = false;
	if (r == -EBADFD) {
		lose(w, "the interface is gone: it was deleted");
		return;
	}
	follow_name(w, w->kp->name);
	if (r == 1) {
		r = follow(w, netns);
		close_fd(&netns);
	} else if (!r) {
		r = see_again(w);
	}
	if (r)
		unsee(w, r);
	w->events->settled(w->owner, w->seen);
}

static int on_linkmon(sd_event_source *source __attribute__((unused)),
		      int fd __attribute__((unused)), uint32_t revents __attribute__((unused)),
		      void *userdata)
{
	struct watch *w = userdata;
	int r = linkmon_dispatch(w->here.linkmon);

	if (r) {
		log_error(w->name, "cannot watch the interface: %s", strerror(-r));
		w->events->lost(w->owner);
	} else if (w->gone) {
		search(w);
	} else {
		w->events->settled(w->owner, w->seen);
	}
	return 0;
}

static int on_timer(sd_event_source *source __attribute__((unused)),
		    uint64_t usec __attribute__((unused)), void *userdata)
{
	search(userdata);
	return 0;
}

/* ---- life ---- */

int watch_open(struct watch **out, sd_event *event, struct kport *kp, const char *netns,
	       const struct watch_events *events, void *owner)
{
	struct watch *w = calloc(1, sizeof(*w));
	int r;

	*out = NULL;
	if (!w)
		return -ENOMEM;
	w->event = sd_event_ref(event);
	w->kp = kp;
	w->events = events;
	w->owner = owner;
	w->seen = kp->ifindex != 0; /* a veth's end may have been elsewhere before */
	snprintf(w->name, sizeof(w->name), "%s", kp->name);
	r = sd_event_add_time_relative(event, &w->timer, CLOCK_MONOTONIC, 0, 0, on_timer, w);
	if (r >= 0)
		r = sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = place_open(w, &w->here, netns);
	if (!r && !w->seen)
		unsee(w, -EREMOTE);
	if (r) {
		watch_close(w);
		return r;
	}
	*out = w;
	return 0;
}

void watch_close(struct watch *w)
{
	if (!w)
		return;
	sd_event_source_disable_unref(w->timer);
	place_close(&w->here);
	sd_event_unref(w->event);
	free(w);
}
