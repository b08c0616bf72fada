/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "port/asker.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"

/* ---- in the errand's thread ---- */

static int ask_mtu(void *arg)
{
	struct asker *a = arg;
	struct vhost *v = a->device->vhost;

	return v->ops->set_mtu(v, a->asked_mtu);
}

static int ask_pairs(void *arg)
{
	struct asker *a = arg;

	return device_enable(a->device, a->asked_pairs);
}

static int ask_announce(void *arg)
{
	struct asker *a = arg;
	struct vhost *v = a->device->vhost;

	return v->ops->announce(v, a->asked_mac);
}

static int ask_config(void *arg)
{
	struct asker *a = arg;

	return device_read(a->device);
}

static int (*const asks[ASKER_KINDS])(void *arg) = {
	[ASKER_MTU] = ask_mtu,
	[ASKER_PAIRS] = ask_pairs,
	[ASKER_ANNOUNCE] = ask_announce,
	[ASKER_CONFIG] = ask_config,
};

/* ---- in the control thread ---- */

void asker_want(struct asker *a, enum asker_what what)
{
	a->wanted |= 1u << what;
}

void asker_want_mtu(struct asker *a, uint16_t mtu)
{
	a->mtu = mtu;
	asker_want(a, ASKER_MTU);
}

void asker_want_pairs(struct asker *a, unsigned int pairs)
{
	a->pairs = pairs;
	asker_want(a, ASKER_PAIRS);
	if (pairs < a->device->vport->active_pairs)
		device_show_pairs(a->device, pairs);
}

bool asker_send(struct asker *a)
{
	unsigned int what = 0;

	/* what the peer has anyway need not be asked for */
	if (a->wanted & 1u << ASKER_PAIRS && a->pairs == a->device->draft.active_pairs) {
		a->wanted &= ~(1u << ASKER_PAIRS);
		device_show_pairs(a->device, a->pairs);
	}
	if (!a->wanted)
		return false;
	while (!(a->wanted & 1u << what))
		what++;
	a->wanted &= ~(1u << what);
	a->what = (enum asker_what)what;
	a->asked_mtu = a->mtu;
	a->asked_pairs = a->pairs;
	memcpy(a->asked_mac, a->device->vport->mac, ETH_ALEN);
	errand_send(a->errand, asks[what], a, !a->device->vhost->waits);
	return true;
}

/* Some of the pairs may be on and some off: nobody uses more than were before. */
static void pairs_refused(struct asker *a)
{
	log_warning(a->tag, "the backend refuses to make %u queue pairs active", a->asked_pairs);
	if (a->pairs == a->asked_pairs)
		a->wanted &= ~(1u << ASKER_PAIRS);
}

/* What was asked for, unless fewer have come to be wanted since. */
static void pairs_enabled(struct asker *a)
{
	if (a->pairs == a->asked_pairs)
		device_show_pairs(a->device, a->pairs);
	else
		asker_want(a, ASKER_PAIRS);
}

static void refused(struct asker *a)
{
	if (a->what == ASKER_MTU)
		log_warning(a->tag, "the backend does not take mtu %u", a->asked_mtu);
	if (a->what == ASKER_PAIRS)
		pairs_refused(a);
}

int asker_home(struct asker *a, int result, unsigned int *changes)
{
	struct vhost *v = a->device->vhost;

	*changes = 0;
	/* what it told in between may be newer than its answer */
	if (v->news != VHOST_NEWS_NONE)
		asker_want(a, ASKER_CONFIG);
	v->news = VHOST_NEWS_NONE;
	if (result == -EREMOTEIO && a->what != ASKER_CONFIG) {
		refused(a);
		return 0;
	}
	if (result)
		return result;
	if (a->what == ASKER_PAIRS)
		pairs_enabled(a);
	if (a->what == ASKER_CONFIG)
		*changes = device_show_config(a->device);
	return 0;
}

void asker_forget(struct asker *a)
{
	a->wanted = 0;
}
