/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/carrier.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <stddef.h>

const char *carrier_reason(const struct carrier_inputs *in)
{
	if (!in->wanted)
		return "link set down";
	if (!in->connected)
		return "backend not connected";
	if (!(in->device_status & VIRTIO_CONFIG_S_DRIVER_OK))
		return "device not ready";
	if (!in->rings_enabled)
		return "rings not enabled";
	if (!(in->net_status & VIRTIO_NET_S_LINK_UP))
		return "link down by the backend";
	return NULL;
}

bool carrier_is_on(const struct carrier_inputs *in)
{
	return !carrier_reason(in);
}
