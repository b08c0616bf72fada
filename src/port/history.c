/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "port/history.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "virtio/feature.h"

/* ", with THESE" or ", without THESE", nothing of none. */
static void append_features(char *line, size_t size, const char *how, uint64_t features)
{
	char names[256];
	size_t len = strlen(line);

	feature_format(features, names, sizeof(names));
	if (names[0])
		snprintf(line + len, size - len, "%s%s %s", len ? ", " : "", how, names);
}

/* A header of another length comes of other features, and with them. */
static void log_features(const struct history *h, uint64_t features, unsigned int hdr_len)
{
	char line[640] = "";
	size_t len;

	append_features(line, sizeof(line), "with", features & ~h->features);
	append_features(line, sizeof(line), "without", h->features & ~features);
	len = strlen(line);
	if (hdr_len != h->hdr_len)
		snprintf(line + len, sizeof(line) - len, "; headers of %u bytes instead of %u",
			 hdr_len, h->hdr_len);
	log_notice(h->tag, "other features than last time: %s", line);
}

/* What the peer of this connection can do otherwise than that of the last one. */
static void log_differences(struct history *h, const struct vport *vp)
{
	uint64_t features = vp->features & ~FEATURE_DEVICE_MASK;

	if (h->known && features != h->features)
		log_features(h, features, vp->ring_hdr_len);
	if (h->known && vp->pairs != h->pairs)
		log_notice(h->tag, "%u queue pairs instead of %u last time", vp->pairs, h->pairs);
	h->known = true;
	h->features = features;
	h->hdr_len = vp->ring_hdr_len;
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
