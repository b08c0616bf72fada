/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/log.h"
#include "base/util.h"
#include "net/linkmon.h"
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
	struct linkmon *linkmon;
	sd_event_source *linkmon_source;
	struct linkmon_state link; /* of the TAP, as last told by the kernel */
	bool opened;		   /* the owner may be called */
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

	if (r && r != -EBADFD) /* deleted: linkmon's news */
		log_error(bk->config.tag, "cannot turn the carrier of %s %s: %s", bk->tap->name,
			  on ? "on" : "off", strerror(-r));
}

static void on_tap_changed(void *owner, const struct linkmon_state *state)
{
	struct backend *bk = owner;
	bool was_up = is_up(&bk->link);

	bk->link = *state;
	if (bk->opened && is_up(state) != was_up)
		bk->config.events->link(bk->config.owner);
}

static void on_tap_gone(void *owner)
{
	struct backend *bk = owner;

	bk->link.flags = 0;
	log_error(bk->config.tag,
		  "%s, by which vhost-net serves the device, is gone (deleted, or "
		  "moved to another network namespace)",
		  bk->tap->name);
	if (bk->opened)
		bk->config.events->lost(bk->config.owner);
}

static const struct linkmon_events tap_events = {
	.changed = on_tap_changed,
	.gone = on_tap_gone,
};

/* As with the other interface, a carrier that someone else has set is put back. */
static int on_linkmon(sd_event_source *source __attribute__((unused)),
		      int fd __attribute__((unused)), uint32_t revents __attribute__((unused)),
		      void *userdata)
{
	struct backend *bk = userdata;
	int r = linkmon_dispatch(bk->linkmon);

	if (r) {
		log_error(bk->config.tag, "cannot watch %s: %s", bk->tap->name, strerror(-r));
		bk->config.events->lost(bk->config.owner);
		return 0;
	}
	if (bk->link.carrier != bk->carrier)
		set_carrier(bk, bk->carrier);
	return 0;
}

/* Called when features are acked: the TAP hands out, and takes, what was agreed. */
static int prepare_tap(void *owner, uint64_t features)
{
	struct kport *tap = ((struct backend *)owner)->tap;
	int r = tap_set_hdr_len(tap, feature_hdr_len(features));

	return r ? r : tap->ops->set_offload(tap, feature_mirror(features));
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

static int open_tap(struct backend *bk, char *error, size_t size)
{
	const struct options *o = bk->config.options;
	const struct tap_config config = {
		.name = o->vhost_iface ? o->vhost_iface : VHOST_IFACE_DEFAULT,
		.pairs = o->queues,
	};
	const char *why = "";
	int r = tap_open(&config, &bk->tap, &why);

	return r ? refuse(error, size, "vhost-iface", config.name, r, why) : 0;
}

/* Two ends of one link have one MTU. */
static int set_mtu(struct backend *bk, char *error, size_t size)
{
	unsigned int mtu = bk->config.options->mtu;
	struct rtnl *rt;
	int r;

	if (!mtu)
		return 0;
	r = rtnl_open(&rt);
	if (!r)
		r = rtnl_set_mtu(rt, bk->tap->ifindex, mtu);
	if (r)
		snprintf(error, size, "--mtu '%u': the kernel refuses it for %s: %s", mtu,
			 bk->tap->name, strerror(-r));
	rtnl_close(rt);
	return r;
}

static int watch_tap(struct backend *bk, sd_event *event)
{
	int r = linkmon_open(&bk->linkmon, bk->tap->ifindex, &tap_events, bk);

	/* what it is like now is told at once, so that the device does not begin with less */
	if (!r)
		r = linkmon_dispatch(bk->linkmon);
	if (r)
		return r;
	r = sd_event_add_io(event, &bk->linkmon_source, linkmon_fd(bk->linkmon), EPOLLIN,
			    on_linkmon, bk);
	return r < 0 ? r : 0;
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
		r = set_mtu(bk, error, size);
	if (!r)
		r = watch_tap(bk, event);
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
		bk->vhost =
			vhost_user_new(config->options->path, ANSWER_TIMEOUT_MS, config->cancel_fd);
		r = bk->vhost ? 0 : -ENOMEM;
	}
	if (r) {
		backend_close(bk);
		return r;
	}
	bk->opened = true;
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
	sd_event_source_disable_unref(bk->linkmon_source);
	linkmon_close(bk->linkmon);
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
