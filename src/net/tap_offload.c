/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/tap_offload.h"

#include <sys/ioctl.h>

#include "base/uapi.h"
#include "base/util.h"

#define TAP_FEATURE(name) (UINT64_C(1) << VIRTIO_NET_F_##name)

/* What every kernel takes on write, whatever TUNSETOFFLOAD said. */
#define TAP_GUEST_ALWAYS                                                                           \
	(TAP_FEATURE(GUEST_CSUM) | TAP_FEATURE(GUEST_TSO4) | TAP_FEATURE(GUEST_TSO6) |             \
	 TAP_FEATURE(GUEST_ECN) | TAP_FEATURE(GUEST_UFO))

/* All that a kernel may hand out. */
#define TAP_HOST                                                                                   \
	(TAP_FEATURE(CSUM) | TAP_FEATURE(HOST_TSO4) | TAP_FEATURE(HOST_TSO6) |                     \
	 TAP_FEATURE(HOST_ECN) | TAP_FEATURE(HOST_USO))

struct tap_offload {
	uint64_t feature;
	unsigned int tun;   /* TUN_F_ bits */
	uint64_t needs_any; /* else the kernel refuses it */
};

static const struct tap_offload tap_offloads[] = {
	{ TAP_FEATURE(CSUM), TUN_F_CSUM, 0 },
	{ TAP_FEATURE(HOST_TSO4), TUN_F_TSO4, TAP_FEATURE(CSUM) },
	{ TAP_FEATURE(HOST_TSO6), TUN_F_TSO6, TAP_FEATURE(CSUM) },
	{ TAP_FEATURE(HOST_ECN), TUN_F_TSO_ECN, TAP_FEATURE(HOST_TSO4) | TAP_FEATURE(HOST_TSO6) },
	/* the kernel takes both or none */
	{ TAP_FEATURE(HOST_USO), TUN_F_USO4 | TUN_F_USO6, TAP_FEATURE(CSUM) },
};

/* ioctl's argument is the value itself here, not a pointer. */
static int tap_offload_set_bits(struct kport *kp, unsigned int tun)
{
	return ioctl(kp->fds[0], TUNSETOFFLOAD, (unsigned long)tun) < 0 ? -errno : 0;
}

/* The TUN_F_ bits for the offloads in @features; those without what they need are left out. */
static unsigned int tap_offload_bits(uint64_t features)
{
	unsigned int tun = 0;
	uint64_t taken = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tap_offloads); i++) {
		const struct tap_offload *o = &tap_offloads[i];

		if (!(features & o->feature) || (o->needs_any && !(taken & o->needs_any)))
			continue;
		taken |= o->feature;
		tun |= o->tun;
	}
	return tun;
}

int tap_offload_set(struct kport *kp, uint64_t host_features)
{
	uint64_t features = host_features & kp->offloads & TAP_HOST;
	int err = tap_offload_set_bits(kp, tap_offload_bits(features));

	if (!err)
		kp->offered = features;
	return err;
}

/*
 * Unknown bits are refused together with known ones, so the sets are tried from the
 * largest down. What the kernel hands out it takes as well, USO included.
 */
int tap_offload_probe(struct kport *kp)
{
	static const uint64_t sets[] = {
		TAP_HOST,
		TAP_HOST & ~TAP_FEATURE(HOST_USO),
		TAP_FEATURE(CSUM) | TAP_FEATURE(HOST_TSO4) | TAP_FEATURE(HOST_TSO6),
		TAP_FEATURE(CSUM),
	};
	size_t i;

	kp->offloads = TAP_GUEST_ALWAYS;
	for (i = 0; i < ARRAY_SIZE(sets); i++) {
		if (tap_offload_set_bits(kp, tap_offload_bits(sets[i])))
			continue;
		/* datagrams to be fragmented it never hands out, so any peer can take them */
		kp->offloads |= sets[i] | TAP_FEATURE(HOST_UFO);
		break;
	}
	if (kp->offloads & TAP_FEATURE(HOST_USO))
		kp->offloads |= TAP_FEATURE(GUEST_USO4) | TAP_FEATURE(GUEST_USO6);
	/* none until the peer's features are known; an earlier user may have left some on */
	return tap_offload_set_bits(kp, 0);
}
