/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "port/device.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <string.h>

#include "base/util.h"
#include "port/status.h"
#include "virtio/feature.h"

#define MTU_MIN 68u
/* After that many signs a peer's number of queues is taken for one of rings; then for good. */
#define RING_SIGNS 2u
#define RING_PROOF 3u
/* A peer that lied once is not worth more when it is told so. */
#define LAST_WORD_TIMEOUT_MS 50

/* A failure that the peer did not answer for. */
static int fail(struct device *d, int err, const char *request, const char *why)
{
	d->vhost->request = request;
	d->vhost->why = why;
	return err;
}

/* ---- status ---- */

static int set_status(struct device *d, uint8_t status)
{
	int r;

	if (!status_may_follow(d->draft.device_status, status))
		return fail(d, -EINVAL, "device status", "no move from here");
	r = d->vhost->ops->set_status(d->vhost, status);
	if (!r)
		d->draft.device_status = status;
	return r;
}

/* After FEATURES_OK the device has the last word (3.1.1, step 6). */
static int check_features_ok(struct device *d)
{
	uint8_t status;
	int r = d->vhost->ops->get_status(d->vhost, &status);

	if (r == -EOPNOTSUPP)
		return 0;
	if (!r && !(status & VIRTIO_CONFIG_S_FEATURES_OK))
		return fail(d, -EPROTO, "GET_STATUS", "the peer does not agree to the features");
	return r;
}

static int check_needs_reset(struct device *d)
{
	uint8_t status;
	int r = d->vhost->ops->get_status(d->vhost, &status);

	if (r == -EOPNOTSUPP)
		return 0;
	if (r || !(status & VIRTIO_CONFIG_S_NEEDS_RESET))
		return r;
	d->draft.device_status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	return fail(d, -ENODEV, "GET_STATUS", "the device needs a reset");
}

/* ---- configuration space ---- */

/* Reads as much of the configuration as the peer serves; *len is 0 when it serves none. */
static int read_space(struct device *d, struct virtio_net_config *space, size_t *len)
{
	static const size_t ends[] = {
		offsetof(struct virtio_net_config, mtu) + sizeof(space->mtu),
		offsetof(struct virtio_net_config, status) + sizeof(space->status),
		offsetof(struct virtio_net_config, mac) + sizeof(space->mac),
	};
	struct vhost *v = d->vhost;
	size_t i;

	*len = 0;
	for (i = 0; v->has_config && i < ARRAY_SIZE(ends); i++) {
		int r = v->ops->get_config(v, space, 0, (uint32_t)ends[i]);

		if (!r)
			*len = ends[i];
		/* a refusal: it has a configuration, but not that much of it */
		if (r != -EREMOTEIO && r != -EOPNOTSUPP)
			return r;
	}
	return 0;
}

/* Does the peer serve this field, which depends on feature @bit? */
#define SERVES(d, len, field, bit)                                                                 \
	((len) >= offsetof(struct virtio_net_config, field) +                                      \
			  sizeof(((struct virtio_net_config *)0)->field) &&                        \
	 feature_has((d)->vhost->features, bit))

static bool mac_usable(const uint8_t mac[ETH_ALEN])
{
	static const uint8_t zero[ETH_ALEN];

	return !(mac[0] & 1) && memcmp(mac, zero, ETH_ALEN);
}

static void forget_refusal(struct device *d)
{
	d->refused_pairs = 0;
	d->refusal_trial = d->refusal_proven = false;
}

/*
 * GET_QUEUE_NUM is a number of pairs to some peers, of rings to others, and merely wrong of
 * some. They refuse the first ring that they do not have or hang up, and may even end when they
 * hear of it. So what was learned is kept, for as long as the peer says the same number. It is
 * tried once more, though, after a connection that lasted: another peer may have come in between,
 * and a refusal or hang-up may have had another reason.
 */
static unsigned int count_served_pairs(struct device *d)
{
	unsigned int said = d->vhost->max_pairs, served = said;

	if (said != d->said) {
		forget_refusal(d);
		d->ring_signs = 0;
		d->ring_trial = false;
	}
	d->said = said;
	if (d->ring_signs >= RING_SIGNS && !d->ring_trial)
		served = MAX(said / 2, 1u);
	return d->refused_pairs && !d->refusal_trial ? MIN(served, d->refused_pairs) : served;
}

void device_lasted(struct device *d)
{
	d->ring_trial = d->ring_signs >= RING_SIGNS && d->ring_signs < RING_PROOF;
	d->refusal_trial = d->refused_pairs && !d->refusal_proven;
}

/* The largest rings that QEMU has, and those of most devices. */
#define QEMU_QUEUE_SIZE	 1024u
#define USUAL_QUEUE_SIZE 256u

/* Where each receive buffer has to hold any frame at all, a long ring would take much memory. */
static unsigned int select_queue_size(const struct device *d)
{
	unsigned int size = d->queue_size ? d->queue_size : d->config.queue_size;

	if (d->config.any_queue_size && !feature_has(d->draft.features, VIRTIO_NET_F_MRG_RXBUF))
		size = MIN(size, QEMU_QUEUE_SIZE);
	return size;
}

/* Some peers refuse rings that are larger than their own, the first one: smaller ones may do. */
static void learn_queue_size(struct device *d, int error)
{
	unsigned int refused = d->draft.queue_size;

	if (d->config.any_queue_size && error == -EREMOTEIO && d->rings.at == 0 &&
	    !strcmp(d->vhost->request, "SET_VRING_NUM"))
		d->queue_size = refused > QEMU_QUEUE_SIZE ? QEMU_QUEUE_SIZE :
							    MIN(refused, USUAL_QUEUE_SIZE);
}

/* The ring is beyond what the peer says, if it means pairs. */
static bool is_beyond(const struct device *d)
{
	return d->rings.at >= d->vhost->max_pairs;
}

/* It has the pairs before the one whose ring it refuses, and one in any case. */
static void learn_from_refusal(struct device *d)
{
	if (!is_beyond(d) && (d->rings.at < 2 || !d->rings.at_call))
		return;
	if (d->refusal_trial)
		d->refusal_proven = true;
	d->refusal_trial = false;
	d->refused_pairs = MAX(d->rings.at / 2, 1u);
	d->vhost->why = is_beyond(d) ?
				"no such ring: the peer counts rings, not queue pairs" :
				"no such ring: the peer has fewer queue pairs than it says";
}

/* Who hangs up may have had another reason, once. */
static void learn_from_hang_up(struct device *d)
{
	if (!is_beyond(d))
		return;
	d->ring_signs++;
	d->ring_trial = false;
	if (d->ring_signs >= RING_SIGNS)
		d->vhost->why = "no such ring: the peer counts rings, not queue pairs";
}

/* It serves what it once refused, or who hung up has had another reason. */
static void learn_from_success(struct device *d)
{
	if (d->refusal_trial && d->draft.pairs > d->refused_pairs)
		forget_refusal(d);
	if (d->ring_signs < RING_SIGNS || d->ring_trial)
		d->ring_signs = 0;
	d->ring_trial = false;
}

static void learn_from_failure(struct device *d, int error)
{
	learn_queue_size(d, error);
	if (d->draft.pairs < 2)
		return;
	if (error == -EREMOTEIO)
		learn_from_refusal(d);
	else if (error == -ECONNRESET)
		learn_from_hang_up(d);
}

/* Where the peer serves no net status the link is assumed to be up (5.1.4.2). */
static int read_config(struct device *d)
{
	struct virtio_net_config space = {0};
	struct vport *vp = &d->draft;
	size_t len;
	int r = read_space(d, &space, &len);

	if (r)
		return r;
	vp->net_status = VIRTIO_NET_S_LINK_UP;
	vp->max_pairs = count_served_pairs(d);
	vp->mtu = 0;
	vp->has_mac = false;
	if (SERVES(d, len, mac, VIRTIO_NET_F_MAC) && mac_usable(space.mac)) {
		vp->has_mac = true;
		memcpy(vp->peer_mac, space.mac, ETH_ALEN);
	}
	if (SERVES(d, len, status, VIRTIO_NET_F_STATUS))
		vp->net_status = le16toh(space.status);
	if (SERVES(d, len, max_virtqueue_pairs, VIRTIO_NET_F_MQ) && space.max_virtqueue_pairs)
		vp->max_pairs = MIN(vp->max_pairs, le16toh(space.max_virtqueue_pairs));
	if (SERVES(d, len, mtu, VIRTIO_NET_F_MTU))
		vp->mtu = le16toh(space.mtu);
	if (vp->mtu && vp->mtu < MTU_MIN)
		return fail(d, -EPROTO, "GET_CONFIG", "an MTU below 68");
	return 0;
}

int device_read(struct device *d)
{
	int r = check_needs_reset(d);

	return r ? r : read_config(d);
}

unsigned int device_show_config(struct device *d)
{
	const struct vport *now = &d->draft;
	struct vport *vp = d->vport;
	unsigned int changes = 0;

	if ((now->net_status ^ vp->net_status) & VIRTIO_NET_S_LINK_UP)
		changes |= VPORT_LINK;
	if (now->mtu != vp->mtu)
		changes |= VPORT_MTU;
	if (now->has_mac && memcmp(now->peer_mac, vp->peer_mac, ETH_ALEN))
		changes |= VPORT_MAC;
	if (feature_has(vp->features, VIRTIO_NET_F_GUEST_ANNOUNCE) &&
	    now->net_status & VIRTIO_NET_S_ANNOUNCE)
		changes |= VPORT_ANNOUNCE;
	vp->net_status = now->net_status;
	vp->max_pairs = now->max_pairs;
	vp->mtu = now->mtu;
	vp->has_mac = now->has_mac;
	memcpy(vp->peer_mac, now->peer_mac, ETH_ALEN);
	return changes;
}

int device_write_config(struct device *d, size_t offset, const void *data, size_t len)
{
	if (offset != offsetof(struct virtio_net_config, mac) || len != ETH_ALEN ||
	    !mac_usable(data))
		return -EPERM;
	memcpy(d->vport->mac, data, ETH_ALEN);
	return 0;
}

/* ---- pairs ---- */

int device_enable(struct device *d, unsigned int pairs)
{
	struct vport *vp = &d->draft;
	unsigned int before = vp->active_pairs;
	int r = 0;

	if (pairs > before)
		r = rings_enable(&d->rings, d->vhost, before, pairs - before, true);
	else if (pairs < before)
		r = rings_enable(&d->rings, d->vhost, pairs, before - pairs, false);
	if (!r)
		vp->active_pairs = pairs;
	return r;
}

void device_show_pairs(struct device *d, unsigned int pairs)
{
	struct vport *vp = d->vport;

	if (pairs == vp->active_pairs)
		return;
	vp->active_pairs = pairs;
	vp->events->pairs(vp->owner);
}

static void show_modes(struct device *d)
{
	d->vport->promisc = d->ctrl.promisc;
	d->vport->allmulti = d->ctrl.allmulti;
}

uint8_t device_control(struct device *d, uint8_t class, uint8_t command, const void *data,
		       size_t len, unsigned int *pairs)
{
	struct vport *vp = d->vport;

	*pairs = 0;
	if (!(vp->device_status & VIRTIO_CONFIG_S_DRIVER_OK))
		return VIRTIO_NET_ERR;
	switch (ctrl_take(&d->ctrl, vp->features, class, command, data, len)) {
	case CTRL_DONE:
		show_modes(d);
		return VIRTIO_NET_OK;
	case CTRL_MAC:
		memcpy(vp->mac, d->ctrl.mac, ETH_ALEN);
		return VIRTIO_NET_OK;
	case CTRL_PAIRS:
		if (d->ctrl.pairs > vp->pairs)
			return VIRTIO_NET_ERR;
		*pairs = d->ctrl.pairs;
		return VIRTIO_NET_OK;
	case CTRL_ANNOUNCED:
		vp->net_status &= (uint16_t)~VIRTIO_NET_S_ANNOUNCE;
		return VIRTIO_NET_OK;
	case CTRL_ERROR:
		break;
	}
	return VIRTIO_NET_ERR;
}

/* ---- life ---- */

static uint64_t select_features(const struct device *d)
{
	uint64_t offered = d->vhost->features | FEATURE_DEVICE_MASK;
	uint64_t wanted = d->config.features;

	if (d->config.pairs == 1)
		wanted &= ~FEATURE_NET(MQ);
	/* who has acked it must not send longer packets (5.1.4.2) */
	if (d->draft.mtu && d->draft.mtu < d->least_mtu)
		wanted &= ~FEATURE_NET(MTU);
	return feature_select(offered, wanted);
}

/* One pair unless both sides have said MQ (5.1.2). */
static unsigned int count_pairs(const struct device *d)
{
	const struct vport *vp = &d->draft;

	return feature_has(vp->features, VIRTIO_NET_F_MQ) ? MIN(d->config.pairs, vp->max_pairs) : 1;
}

/* Device initialization, virtio 1.3, 3.1.1, in the order that every peer accepts. */
static int negotiate(struct device *d)
{
	struct vhost *v = d->vhost;
	struct vport *vp = &d->draft;
	int r = set_status(d, STATUS_RESET);

	if (!r)
		r = set_status(d, STATUS_ACKNOWLEDGE);
	if (!r)
		r = set_status(d, STATUS_DRIVER);
	if (!r)
		r = read_config(d);
	if (r)
		return r;
	vp->features = select_features(d);
	vp->ring_hdr_len = feature_hdr_len(vp->features);
	vp->pairs = count_pairs(d);
	vp->queue_size = select_queue_size(d);
	r = rings_open(&d->rings, vp->pairs, vp->queue_size, vp->features,
		       d->config.hugepages);
	if (r)
		return fail(d, r, "ring memory", "");
	vp->vqs = d->rings.vqs;
	r = rings_tell_calls(&d->rings, v);
	if (!r)
		r = v->ops->set_features(v, vp->features & ~FEATURE_DEVICE_MASK);
	if (!r)
		r = set_status(d, STATUS_FEATURES_OK);
	return r ? r : check_features_ok(d);
}

/* Multiqueue begins with one pair; the control queue asks for more (5.1.6.5.5). */
static int start(struct device *d)
{
	struct vport *vp = &d->draft;
	int r = rings_tell(&d->rings, d->vhost);

	if (!r)
		r = rings_enable(&d->rings, d->vhost, 0, 1, true);
	if (!r)
		r = set_status(d, STATUS_DRIVER_OK);
	if (r)
		return r;
	vp->active_pairs = 1;
	if (vp->pairs > 1)
		r = device_enable(d, vp->pairs);
	if (!r)
		vp->rings_enabled = true;
	return r;
}

void device_fail(struct device *d)
{
	unsigned int timeout_ms = d->vhost->timeout_ms;

	d->vhost->timeout_ms = LAST_WORD_TIMEOUT_MS;
	set_status(d, d->draft.device_status | VIRTIO_CONFIG_S_FAILED);
	d->vhost->timeout_ms = timeout_ms;
}

/* Is there someone to tell that it came to nothing? */
static bool still_hears(int error)
{
	return error != -ECONNRESET && error != -ETIMEDOUT && error != -ECANCELED;
}

/* "If an irrecoverable error occurs, the driver SHOULD set FAILED" (3.1.1). */
static void give_up(struct device *d, int error)
{
	const char *request = d->vhost->request, *why = d->vhost->why;

	if (still_hears(error))
		device_fail(d);
	d->vhost->request = request;
	d->vhost->why = why;
}

int device_bring_up(struct device *d)
{
	int r;

	d->draft = (struct vport){.connected = true};
	r = negotiate(d);
	if (!r)
		r = start(d);
	if (r) {
		learn_from_failure(d, r);
		give_up(d, r);
		return r;
	}
	learn_from_success(d);
	return 0;
}

void device_show(struct device *d)
{
	const struct vport *now = &d->draft;
	struct vport *vp = d->vport;

	d->ctrl = (struct ctrl){0};
	show_modes(d);
	device_show_config(d);
	vp->connected = now->connected;
	vp->device_status = now->device_status;
	vp->features = now->features;
	vp->ring_hdr_len = now->ring_hdr_len;
	vp->pairs = now->pairs;
	vp->queue_size = now->queue_size;
	vp->active_pairs = now->active_pairs;
	vp->rings_enabled = now->rings_enabled;
	vp->vqs = now->vqs;
}

void device_shut_down(struct device *d)
{
	if (!rings_stop(&d->rings, d->vhost))
		set_status(d, STATUS_RESET);
}

void device_forget(struct device *d)
{
	struct vport *vp = d->vport;

	d->vhost->ops->close(d->vhost);
	d->draft = (struct vport){0};
	vp->connected = false;
	vp->rings_enabled = false;
	vp->device_status = STATUS_RESET;
	vp->net_status = 0;
	vp->features = 0;
	vp->max_pairs = vp->pairs = vp->active_pairs = 0;
	vp->has_mac = false;
	vp->promisc = vp->allmulti = false;
	vp->mtu = 0;
	vp->vqs = NULL;
	rings_close(&d->rings);
}
