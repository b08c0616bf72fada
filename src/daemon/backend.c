/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/interface.h"
#include "daemon/mac.h"
#include "daemon/watch.h"
#include "net/rtnl.h"
#include "net/tap.h"
#include "vhost/kernel.h"
#include "vhost/user.h"
#include "virtio/feature.h"

/* For one answer of the backend, some of which reconfigure a whole switch first. */
#define ANSWER_TIMEOUT_MS 3000

#define VHOST_IFACE_DEFAULT "vhost%d"

struct backend {
	struct backend_config config;
	struct vhost *vhost;

	/* of vhost-net; NULL with a socket */
	struct kport *tap; /* that the kernel reads and writes, never we */
	struct rtnl *rtnl; /* of the TAP's network namespace */
	struct watch *watch;
	struct linkmon_state link; /* of the TAP, as last told */
	bool owner_knows_up;	   /* of it, what the owner was told last */
	bool carrier;		   /* as it should be */
};

/* ---- the TAP ---- */

static bool is_up(const struct linkmon_state *link)
{
	return link->flags & IFF_UP;
}

static void set_carrier(struct backend *bk, bool on)
{
	int r = bk->tap->ops->set_carrier(bk->tap, on);

	if (r && r != -EBADFD) /* deleted: the watch's news */
		log_error(bk->config.tag, "cannot turn the carrier of %s %s: %s", bk->tap->name,
			  on ? "on" : "off", strerror(-r));
}

static void on_tap_changed(void *owner, const struct linkmon_state *state)
{
	struct backend *bk = owner;

	bk->link = *state;
}

/*
 * A TAP that is deleted goes down first, which is no news of its own: to set the carrier, to
 * what it is, waits until the kernel is done with that.
 */
static void tell_link(struct backend *bk)
{
	bool up = is_up(&bk->link);

	if (up == bk->owner_knows_up)
		return;
	if (!up && bk->tap->ops->set_carrier(bk->tap, bk->carrier) == -EBADFD)
		return;
	bk->owner_knows_up = up;
	bk->config.events->link(bk->config.owner);
}

/* Where link events do not reach us the TAP itself tells, each second, whether it is up. */
static struct linkmon_state look_at_tap(const struct backend *bk)
{
	struct linkmon_state link = bk->link;

	link.flags = tap_is_up(bk->tap) ? IFF_UP : 0;
	return link;
}

/* As with the other interface, a carrier that someone else has set is put back. */
static void on_tap_settled(void *owner, bool seen)
{
	struct backend *bk = owner;

	if (!seen)
		bk->link = look_at_tap(bk);
	tell_link(bk);
	if (!seen || bk->link.carrier != bk->carrier)
		set_carrier(bk, bk->carrier);
}

static void on_tap_moved(void *owner, struct rtnl *rtnl)
{
	struct backend *bk = owner;

	rtnl_close(bk->rtnl);
	bk->rtnl = rtnl;
}

static void on_tap_lost(void *owner)
{
	struct backend *bk = owner;

	bk->link.flags = 0;
	bk->config.events->lost(bk->config.owner);
}

static const struct watch_events tap_events = {
	.changed = on_tap_changed,
	.settled = on_tap_settled,
	.moved = on_tap_moved,
	.lost = on_tap_lost,
};

/* Called when features are acked: the TAP hands out, and takes, what was agreed. */
static int prepare_tap(void *owner, uint64_t features)
{
	struct kport *tap = ((struct backend *)owner)->tap;
	int r = tap_set_hdr_len(tap, feature_hdr_len(features));

	return r ? r : tap->ops->set_offload(tap, feature_mirror(features));
}

/* Two ends of one link have one MTU. What has it already may be left alone by anyone. */
static int set_mtu(struct backend *bk, unsigned int mtu)
{
	struct rtnl_info info;
	int r;

	if (!bk->tap->ifindex) /* out of sight */
		return -ENODEV;
	r = rtnl_get(bk->rtnl, bk->tap->ifindex, &info);
	if (r || info.mtu == mtu)
		return r;
	return rtnl_set_mtu(bk->rtnl, bk->tap->ifindex, mtu);
}

/* Called when the device has come up, and when the MTU of the other interface changed. */
static void follow_mtu(void *owner, uint16_t mtu)
{
	struct backend *bk = owner;
	int r = set_mtu(bk, mtu);

	if (r)
		log_warning(bk->tap->name, "cannot take over mtu %u from %s: %s%s", mtu,
			    bk->config.tag, strerror(-r),
			    r == -EPERM ? "; set it here too (ip link set), or run with --keep-caps"
					: "");
}

/* ---- vhost-net ---- */

static int refuse(char *error, size_t size, const char *option, const char *value, int r,
		  const char *why)
{
	if (why[0] && r != -EINVAL) /* of which the phrase says all */
		options_refuse(error, size, option, value, "%s (%s)", why, strerror(-r));
	else
		options_refuse(error, size, option, value, "%s", why[0] ? why : strerror(-r));
	return r;
}

/* Neighbours of the TAP shall know it after a restart, as those of the other interface do. */
static void give_mac(struct backend *bk)
{
	uint8_t mac[ETH_ALEN];
	int r;

	if (!bk->tap->created)
		return;
	r = mac_derive_here(bk->tap->name, mac);
	if (!r)
		r = bk->tap->ops->set_mac(bk->tap, mac);
	if (r)
		log_notice(bk->tap->name,
			   "cannot make an address of the machine-id (%s): it is a random one, "
			   "another after each start",
			   strerror(-r));
}

static int open_tap(struct backend *bk, char *error, size_t size)
{
	const struct options *o = bk->config.options;
	const struct tap_config config = {
		.name = o->vhost_iface ? o->vhost_iface : VHOST_IFACE_DEFAULT,
		.pairs = o->queues,
	};
	const char *why = "";
	int r = tap_open(&config, &bk->tap, &why);

	if (r == -EBUSY && !o->netns && !strcmp(config.name, bk->config.tag))
		why = "is the name that --iface got; choose another";
	if (r)
		return refuse(error, size, "vhost-iface", config.name, r, why);
	interface_say_queue(bk->tap);
	give_mac(bk);
	/* so that the device does not begin with less */
	bk->link = look_at_tap(bk);
	bk->owner_knows_up = is_up(&bk->link);
	return 0;
}

/* While that may be changed yet; what fails without an option is tried, and told, later. */
static int begin_mtu(struct backend *bk, char *error, size_t size)
{
	int r = bk->config.mtu ? set_mtu(bk, bk->config.mtu) : 0;

	if (!r || !bk->config.options->mtu)
		return 0;
	snprintf(error, size, "--mtu '%u': the kernel refuses it for %s: %s", bk->config.mtu,
		 bk->tap->name, strerror(-r));
	return r;
}

/* In our own network namespace, where it was made. */
static int watch_tap(struct backend *bk, sd_event *event, char *error, size_t size)
{
	int r = rtnl_open(&bk->rtnl);

	if (!r)
		r = watch_open(&bk->watch, event, bk->tap, NULL, &tap_events, bk);
	if (r)
		snprintf(error, size, "cannot watch %s: %s", bk->tap->name, strerror(-r));
	return r;
}

/* It opens the device once: that it cannot be used is better said now than repeated. */
static int open_vhost(struct backend *bk, char *error, size_t size)
{
	const struct vhost_kernel_config config = {
		.path = bk->config.options->path,
		.tap_fds = bk->tap->fds,
		.pairs = bk->tap->pairs,
		.tap_offloads = feature_mirror(bk->tap->offloads),
		.prepare_tap = prepare_tap,
		.set_tap_mtu = follow_mtu,
		.owner = bk,
	};
	int r;

	bk->vhost = vhost_kernel_new(&config);
	if (!bk->vhost)
		return -ENOMEM;
	r = bk->vhost->ops->open(bk->vhost);
	if (r)
		refuse(error, size, "path", config.path, r,
		       bk->vhost->why[0] ? bk->vhost->why : bk->vhost->request);
	bk->vhost->ops->close(bk->vhost);
	return r;
}

static int open_kernel(struct backend *bk, sd_event *event, char *error, size_t size)
{
	int r = open_tap(bk, error, size);

	if (!r)
		r = open_vhost(bk, error, size);
	if (!r)
		r = watch_tap(bk, event, error, size);
	if (!r)
		r = begin_mtu(bk, error, size);
	if (!r)
		log_notice(bk->config.tag, "vhost-net serves the device by %s (--vhost-iface)",
			   bk->tap->name);
	return r;
}

/* ---- both ---- */

int backend_open(struct backend **out, sd_event *event, const struct backend_config *config,
		 char *error, size_t size)
{
	struct backend *bk = calloc(1, sizeof(*bk));
	int r;

	*out = NULL;
	if (!bk)
		return -ENOMEM;
	bk->config = *config;
	if (config->kind == PATH_VHOST_NET) {
		r = open_kernel(bk, event, error, size);
	} else {
		bk->vhost = vhost_user_new(config->options->path, ANSWER_TIMEOUT_MS, -1);
		r = bk->vhost ? 0 : -ENOMEM;
	}
	if (r) {
		backend_close(bk);
		return r;
	}
	*out = bk;
	return 0;
}

void backend_close(struct backend *bk)
{
	if (!bk)
		return;
	if (bk->config.kind == PATH_VHOST_NET)
		vhost_kernel_free(bk->vhost);
	else
		vhost_user_free(bk->vhost);
	watch_close(bk->watch);
	rtnl_close(bk->rtnl);
	if (bk->tap)
		bk->tap->ops->close(bk->tap);
	free(bk);
}

struct vhost *backend_vhost(const struct backend *bk)
{
	return bk->vhost;
}

bool backend_link_up(const struct backend *bk)
{
	return !bk->tap || is_up(&bk->link);
}

void backend_follow(struct backend *bk, unsigned int active_pairs)
{
	int r;

	if (!bk->tap)
		return;
	r = active_pairs ? bk->tap->ops->set_pairs(bk->tap, active_pairs) : 0;
	if (r && r != -EBADFD)
		log_error(bk->config.tag, "cannot use %u queues of %s: %s", active_pairs,
			  bk->tap->name, strerror(-r));
	bk->carrier = active_pairs;
	set_carrier(bk, bk->carrier);
}
