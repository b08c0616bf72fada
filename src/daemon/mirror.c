/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/mirror.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "daemon/mac.h"
#include "net/ethtool.h"
#include "virtio/feature.h"

static const char *tag(const struct mirror *m)
{
	return m->kport->name;
}

/* ---- the interface ---- */

/* By the port where it can, which takes no capability. */
static int change_mac(struct mirror *m, const uint8_t mac[ETH_ALEN])
{
	struct kport *kp = m->kport;

	if (kp->ops->set_mac)
		return kp->ops->set_mac(kp, mac);
	return kp->ifindex ? rtnl_set_mac(m->rtnl, kp->ifindex, mac) : -EREMOTE;
}

static int set_mac(struct mirror *m, const uint8_t mac[ETH_ALEN])
{
	int r = 0;

	if (memcmp(m->kport->mac, mac, ETH_ALEN))
		r = change_mac(m, mac);
	if (!r) {
		memcpy(m->kport->mac, mac, ETH_ALEN);
		memcpy(m->mac, mac, ETH_ALEN);
	}
	return r;
}

static int change_mtu(struct mirror *m, unsigned int mtu)
{
	return m->kport->ifindex ? rtnl_set_mtu(m->rtnl, m->kport->ifindex, mtu) : -EREMOTE;
}

static int set_mtu(struct mirror *m, unsigned int mtu)
{
	int r = m->link.mtu == mtu ? 0 : change_mtu(m, mtu);

	if (!r)
		m->mtu = m->link.mtu = mtu;
	return r;
}

static void refuse_setting(char *error, size_t size, const char *setting, int r)
{
	snprintf(error, size, "%s: the kernel refuses it: %s%s", setting, strerror(-r),
		 r == -EPERM ? "; run with CAP_NET_ADMIN, or set it beforehand (ip link set)" : "");
}

/* To an interface made here. */
static int give_mac(struct mirror *m)
{
	uint8_t mac[ETH_ALEN];
	int r = mac_derive_here(m->kport->name, mac);

	if (!r)
		return set_mac(m, mac);
	log_notice(tag(m),
		   "no machine-id to make an address of (%s): it is a random one, another after "
		   "each start (--mac)",
		   strerror(-r));
	return 0;
}

/*
 * The user's end of a veth that another one made before, which is now in a container perhaps.
 * It has what it was given then; a restart with the same options shall not fail for that.
 */
static void begin_elsewhere(struct mirror *m)
{
	const struct options *o = m->options;
	bool mac = o->mac.given && memcmp(o->mac.addr, m->kport->mac, ETH_ALEN) != 0;

	if (mac || o->mtu)
		log_warning(tag(m),
			    "the interface is in another network namespace, where %s%s%s cannot be "
			    "set",
			    mac ? "--mac" : "", mac && o->mtu ? " and " : "",
			    o->mtu ? "--mtu" : "");
}

int mirror_begin(struct mirror *m, char *error, size_t size)
{
	const struct options *o = m->options;
	struct rtnl_info info;
	char setting[32];
	int r;

	if (!m->kport->ifindex) {
		begin_elsewhere(m);
		return 0;
	}
	r = rtnl_get(m->rtnl, m->kport->ifindex, &info);

	if (r) {
		snprintf(error, size, "cannot look the interface up: %s", strerror(-r));
		return r;
	}
	m->link.mtu = info.mtu;
	memcpy(m->mac, m->kport->mac, ETH_ALEN);
	if (o->mac.given) {
		r = set_mac(m, o->mac.addr);
		if (r)
			refuse_setting(error, size, "--mac", r);
	} else if (m->kport->created) {
		r = give_mac(m);
		if (r)
			snprintf(error, size, "cannot set the interface's address: %s",
				 strerror(-r));
	}
	if (!r && o->mtu) {
		r = set_mtu(m, o->mtu);
		snprintf(setting, sizeof(setting), "--mtu '%u'", o->mtu);
		if (r)
			refuse_setting(error, size, setting, r);
	}
	if (!r && o->speed) {
		r = ethtool_set_speed(m->kport->name, o->speed);
		snprintf(setting, sizeof(setting), "--speed '%u'", o->speed);
		if (r)
			refuse_setting(error, size, setting, r);
	}
	return r;
}

/* ---- from the device ---- */

/* The backend's address counts unless an option or someone else has set another one. */
static void take_mac(struct mirror *m)
{
	const uint8_t *mac = m->vport->peer_mac;
	char text[MAC_TEXT];
	bool ours = !memcmp(m->kport->mac, m->mac, ETH_ALEN);
	int r;

	if (m->options->mac.given || !ours || !m->vport->has_mac ||
	    !memcmp(mac, m->kport->mac, ETH_ALEN))
		return;
	r = set_mac(m, mac);
	mac_format(text, mac);
	if (r)
		log_warning(tag(m), "cannot set the address that the backend gives: %s",
			    strerror(-r));
	else
		log_notice(tag(m), "address %s, by the backend", text);
}

/* So does its MTU, unless an option or someone else has set another one. */
static void take_mtu(struct mirror *m)
{
	unsigned int theirs = m->vport->mtu;
	bool ours = !m->mtu || m->link.mtu == m->mtu;

	m->mtu_error = 0;
	if (!theirs || theirs == m->link.mtu || m->options->mtu || !ours)
		return;
	m->mtu_error = set_mtu(m, theirs);
	if (!m->mtu_error)
		log_notice(tag(m), "mtu %u, by the backend", theirs);
}

/* Each difference that remains, once. */
static void name_difference(struct mirror *m)
{
	unsigned int ours = m->link.mtu, theirs = m->vport->mtu;
	char why[96] = "";

	if (!ours || !theirs) /* one is not known */
		ours = theirs = 0;
	if (ours == m->named.ours && theirs == m->named.theirs)
		return;
	m->named.ours = ours;
	m->named.theirs = theirs;
	if (m->mtu_error)
		snprintf(why, sizeof(why), ", which cannot be set (%s)", strerror(-m->mtu_error));
	if (ours > theirs)
		log_warning(tag(m),
			    "mtu %u is larger than the backend's %u%s: it may drop longer frames",
			    ours, theirs, why);
	else if (ours < theirs)
		log_notice(tag(m),
			   "mtu %u is smaller than the backend's %u%s: it may send longer frames",
			   ours, theirs, why);
}

static bool is_within_mtu(const struct mirror *m)
{
	return m->link.mtu && m->link.mtu <= m->vport->mtu;
}

void mirror_try_mtu(struct mirror *m)
{
	m->mtu_error = change_mtu(m, m->link.mtu);
}

unsigned int mirror_least_mtu(const struct mirror *m)
{
	bool ours = !m->mtu || m->link.mtu == m->mtu;

	return m->options->mtu || !ours || m->mtu_error ? m->link.mtu : 0;
}

bool mirror_is_outdated(const struct mirror *m)
{
	const struct vport *vp = m->vport;

	return vp && vp->connected && vp->mtu &&
	       is_within_mtu(m) != feature_has(vp->features, VIRTIO_NET_F_MTU);
}

/* ---- to the kernel ---- */

#define TCP_OFFLOADS (FEATURE_NET(CSUM) | FEATURE_NET(HOST_TSO4) | FEATURE_NET(HOST_TSO6))

/*
 * What the backend does not do, the workers do, but then all frames go through their hands.
 * That is worth it unless the backend takes what there is most of: superframes of TCP.
 */
int mirror_offload(const struct mirror *m, bool wanted)
{
	uint64_t offloads = wanted ? m->kport->offloads : 0, taken = m->vport->features;
	int r;

	if ((taken & TCP_OFFLOADS) == TCP_OFFLOADS)
		offloads &= taken;
	r = m->kport->ops->set_offload(m->kport, offloads);
	if (r)
		log_error(m->kport->name, "cannot set the interface's offloads: %s", strerror(-r));
	return r;
}

/* ---- to the device ---- */

/* By the control queue; where there is none, by the one field that a driver may write. */
static void tell_mac(struct mirror *m)
{
	struct vport *vp = m->vport;

	if (vp->ops->control(vp, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, m->kport->mac,
			     ETH_ALEN) != VIRTIO_NET_OK)
		vp->ops->write_config(vp, offsetof(struct virtio_net_config, mac), m->kport->mac,
				      ETH_ALEN);
}

static void tell_mode(struct mirror *m, uint8_t command, bool on)
{
	const uint8_t value = on;

	m->vport->ops->control(m->vport, VIRTIO_NET_CTRL_RX, command, &value, sizeof(value));
}

static void tell_modes(struct mirror *m)
{
	tell_mode(m, VIRTIO_NET_CTRL_RX_PROMISC, m->link.promisc);
	tell_mode(m, VIRTIO_NET_CTRL_RX_ALLMULTI, m->link.allmulti);
}

/* 0, or -errno when the connection is of no use any more. */
static int tell_mtu(struct mirror *m)
{
	int r;

	/* not known of a veth's end that has been out of sight from the start */
	if (!m->link.mtu || mirror_is_outdated(m))
		return 0;
	r = m->vport->ops->set_mtu(m->vport, m->link.mtu);
	if (r != -EREMOTEIO)
		return r;
	log_warning(tag(m), "the backend does not take mtu %u", m->link.mtu);
	return 0;
}

int mirror_up(struct mirror *m)
{
	take_mac(m);
	take_mtu(m);
	name_difference(m);
	tell_mac(m);
	tell_modes(m);
	return tell_mtu(m);
}

void mirror_device(struct mirror *m, unsigned int changes)
{
	if (changes & VPORT_MAC) {
		take_mac(m);
		tell_mac(m);
	}
	if (changes & VPORT_MTU) {
		take_mtu(m);
		name_difference(m);
		tell_mtu(m);
	}
}

/* An event may be older than our own last change: what counts is what is so now. */
static void look_again(struct mirror *m, struct linkmon_state *state)
{
	struct rtnl_info info;

	if (rtnl_get(m->rtnl, m->kport->ifindex, &info))
		return;
	state->mtu = info.mtu;
	memcpy(state->mac, info.mac, ETH_ALEN);
}

void mirror_link(struct mirror *m, const struct linkmon_state *state)
{
	const struct linkmon_state before = m->link;

	m->link = *state;
	look_again(m, &m->link);
	memcpy(m->kport->mac, m->link.mac, ETH_ALEN);
	if (!m->vport || !m->vport->connected)
		return;
	if (memcmp(m->vport->mac, m->link.mac, ETH_ALEN))
		tell_mac(m);
	if (before.promisc != m->link.promisc || before.allmulti != m->link.allmulti)
		tell_modes(m);
	if (before.mtu == m->link.mtu)
		return;
	m->mtu_error = 0;
	name_difference(m);
	tell_mtu(m);
}

/* ---- what the user wants ---- */

int mirror_set_mac(struct mirror *m, const uint8_t mac[ETH_ALEN])
{
	return change_mac(m, mac);
}

int mirror_set_mtu(struct mirror *m, unsigned int mtu)
{
	return change_mtu(m, mtu);
}
