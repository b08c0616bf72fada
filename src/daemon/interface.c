/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/interface.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/log.h"
#include "base/util.h"
#include "net/netns.h"
#include "net/packet.h"
#include "net/rtnl.h"
#include "net/tap.h"

/* ---- what the kernel tells ---- */

static void on_changed(void *owner, const struct linkmon_state *state)
{
	struct interface *i = owner;

	mirror_link(&i->mirror, state);
}

static void on_settled(void *owner, bool seen)
{
	struct interface *i = owner;

	i->seen = seen;
	i->events->settled(i->owner);
}

static void on_moved(void *owner, struct rtnl *rtnl)
{
	struct interface *i = owner;

	rtnl_close(i->rtnl);
	i->rtnl = i->mirror.rtnl = rtnl;
}

static void on_lost(void *owner)
{
	struct interface *i = owner;

	i->events->lost(i->owner);
}

static const struct watch_events watch_events = {
	.changed = on_changed,
	.settled = on_settled,
	.moved = on_moved,
	.lost = on_lost,
};

/* ---- the hidden end of a veth ---- */

static void on_hidden_changed(void *owner, const struct linkmon_state *state)
{
	struct interface *i = owner;

	i->hidden = *state;
}

static void on_hidden_gone(void *owner)
{
	struct interface *i = owner;

	log_error(i->kport->name, "the interface is gone: it was deleted");
	i->events->lost(i->owner);
}

static const struct linkmon_events hidden_events = {
	.changed = on_hidden_changed,
	.gone = on_hidden_gone,
};

static int on_hidden(sd_event_source *source __attribute__((unused)),
		     int fd __attribute__((unused)), uint32_t revents __attribute__((unused)),
		     void *userdata)
{
	struct interface *i = userdata;
	int r = linkmon_dispatch(i->hidden_linkmon);

	if (r) {
		log_error(i->kport->name, "cannot watch the interface: %s", strerror(-r));
		i->events->lost(i->owner);
	} else {
		i->events->settled(i->owner);
	}
	return 0;
}

/* ---- carrier ---- */

void interface_set_carrier(struct interface *i, bool on)
{
	int r = i->kport->ops->set_carrier(i->kport, on);

	if (r && r != -EBADFD) /* a deleted interface is the watch's news */
		log_error(i->kport->name, "cannot turn the carrier %s: %s", on ? "on" : "off",
			  strerror(-r));
}

/* A veth's carrier is its user's too; what is ours alone is whether the hidden end is up. */
bool interface_carrier_is(const struct interface *i, bool on)
{
	if (i->kport->hidden_ifindex)
		return !(i->hidden.flags & IFF_UP) == !on;
	return i->seen && i->mirror.link.carrier == on;
}

/* ---- life ---- */

/* A veth's hidden end stays in our namespace @home, or with -1 in the calling thread's. */
static int open_kport(struct interface *i, unsigned int pairs, int home, char *error, size_t size)
{
	const struct options *o = i->options;
	const struct tap_config tap = {.name = o->iface, .pairs = pairs};
	const struct packet_config veth = {.name = o->iface, .peer = o->veth_peer};
	const char *why = "";
	int r;

	if (o->iface_type == OPTIONS_IFACE_VETH)
		r = packet_open_apart(&veth, home, &i->kport, &why);
	else
		r = tap_open(&tap, &i->kport, &why);
	if (r && why[0] && r != -EINVAL) /* of which the phrase says all */
		options_refuse(error, size, "iface", o->iface, "%s (%s)", why, strerror(-r));
	else if (r)
		options_refuse(error, size, "iface", o->iface, "%s", why[0] ? why : strerror(-r));
	return r;
}

void interface_say_queue(const struct kport *kp)
{
	if (kp->txqlen && kp->txqlen < TAP_TXQLEN)
		log_notice(kp->name,
			   "the interface queues %u packets for a queue pair, of which a burst has "
			   "more; `ip link set %s txqueuelen %u` lengthens it",
			   kp->txqlen, kp->name, TAP_TXQLEN);
}

static int refuse_watch(char *error, size_t size, int r)
{
	snprintf(error, size, "cannot watch the interface: %s", strerror(-r));
	return r;
}

/* In the calling thread's network namespace. */
static int watch_hidden(struct interface *i, char *error, size_t size)
{
	int r;

	if (!i->kport->hidden_ifindex)
		return 0;
	r = linkmon_open(&i->hidden_linkmon, i->kport->hidden_ifindex, &hidden_events, i);
	if (!r)
		r = sd_event_add_io(i->event, &i->hidden_source, linkmon_fd(i->hidden_linkmon),
				    EPOLLIN, on_hidden, i);
	return r < 0 ? refuse_watch(error, size, r) : 0;
}

/* In the calling thread's network namespace, which is that of --netns; @home: ours, or -1. */
static int open_here(struct interface *i, unsigned int pairs, int home, char *error, size_t size)
{
	int r = open_kport(i, pairs, home, error, size);

	if (r)
		return r;
	interface_say_queue(i->kport);
	r = rtnl_open(&i->rtnl);
	if (r) {
		snprintf(error, size, "cannot open a netlink socket: %s", strerror(-r));
		return r;
	}
	i->mirror = (struct mirror){.options = i->options, .kport = i->kport, .rtnl = i->rtnl};
	r = mirror_begin(&i->mirror, error, size);
	if (r)
		return r;
	i->seen = i->kport->ifindex != 0;
	r = watch_open(&i->watch, i->event, i->kport, i->options->netns, &watch_events, i);
	if (r)
		return refuse_watch(error, size, r);
	return i->kport->hidden_apart ? 0 : watch_hidden(i, error, size);
}

/* All that --netns is about is opened there; abstract sockets, say, are looked for here. */
static int open_there(struct interface *i, unsigned int pairs, char *error, size_t size)
{
	const char *name = i->options->netns, *why = "";
	int home, fd, r, left;

	fd = netns_open(name, &why);
	r = fd < 0 ? fd : netns_enter(fd, &home);
	if (r) {
		options_refuse(error, size, "netns", name, "%s%s", why[0] ? why : strerror(-r),
			       fd >= 0 && r == -EPERM ? "; run with CAP_SYS_ADMIN" : "");
		close_fd(&fd);
		return r;
	}
	close_fd(&fd);
	r = open_here(i, pairs, home, error, size);
	left = netns_leave(&home);
	if (left) {
		options_refuse(error, size, "netns", name, "cannot leave it again: %s",
			       strerror(-left));
		return left;
	}
	return !r && i->kport->hidden_apart ? watch_hidden(i, error, size) : r;
}

int interface_open(struct interface *i, unsigned int pairs, char *error, size_t size)
{
	return i->options->netns ? open_there(i, pairs, error, size)
				 : open_here(i, pairs, -1, error, size);
}

void interface_close(struct interface *i)
{
	sd_event_source_disable_unref(i->hidden_source);
	linkmon_close(i->hidden_linkmon);
	watch_close(i->watch);
	rtnl_close(i->rtnl);
	if (i->kport)
		i->kport->ops->close(i->kport);
}
