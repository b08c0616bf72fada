/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "port/history.h"

#include "base/log.h"
#include "virtio/feature.h"

/* What the peer of this connection can do otherwise than that of the last one. */
static void log_differences(struct history *h, const struct vport *vp)
{
	uint64_t features = vp->features & ~FEATURE_DEVICE_MASK;
	char gained[256], lost[256];

	if (h->features && features != h->features) {
		feature_format(features & ~h->features, gained, sizeof(gained));
		feature_format(h->features & ~features, lost, sizeof(lost));
		log_notice(h->tag, "other features than last time: %s%s%s%s%s",
			   gained[0] ? "with " : "", gained, gained[0] && lost[0] ? ", " : "",
			   lost[0] ? "without " : "", lost);
	}
	if (h->pairs && vp->pairs != h->pairs)
		log_notice(h->tag, "%u queue pairs instead of %u last time", vp->pairs, h->pairs);
	h->features = features;
	h->pairs = vp->pairs;
}

void history_connected(struct history *h, const struct device *d)
{
	const struct device_config *config = &d->config;
	const struct vport *vp = d->vport;
	bool huge = d->rings.pool.huge;
	char names[512];

	feature_format(vp->features & ~FEATURE_DEVICE_MASK, names, sizeof(names));
	log_notice(h->tag, "connected to %s: %u queue pair%s of %u descriptors, %s%s", h->path,
		   vp->pairs, vp->pairs == 1 ? "" : "s", vp->queue_size,
		   names[0] ? names : "no features", huge ? ", in huge pages" : "");
	if (vp->pairs < config->pairs)
		log_notice(h->tag, "the backend serves %u of the %u queue pairs asked for",
			   vp->pairs, config->pairs);
	if (config->hugepages && !huge)
		log_warning(h->tag,
			    "--hugepages: not enough free huge pages (vm.nr_hugepages), using "
			    "ordinary ones");
	log_differences(h, vp);
}
