/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "port/status.h"

#include <stddef.h>

#include "base/util.h"

/*
 *   RESET → ACKNOWLEDGE → DRIVER → FEATURES_OK → DRIVER_OK
 *     ▲         any of them → FAILED, NEEDS_RESET (the device's word)
 *     └──────── from each
 */
static const struct move {
	uint8_t from, to;
} way_up[] = {
	{STATUS_RESET, STATUS_ACKNOWLEDGE},
	{STATUS_ACKNOWLEDGE, STATUS_DRIVER},
	{STATUS_DRIVER, STATUS_FEATURES_OK},
	{STATUS_FEATURES_OK, STATUS_DRIVER_OK},
};

bool status_may_follow(uint8_t from, uint8_t to)
{
	size_t i;

	if (to == STATUS_RESET)
		return true;
	if (from & (VIRTIO_CONFIG_S_FAILED | VIRTIO_CONFIG_S_NEEDS_RESET))
		return false; /* only a reset leads out */
	if (to == (from | VIRTIO_CONFIG_S_FAILED))
		return from != STATUS_RESET;
	for (i = 0; i < ARRAY_SIZE(way_up); i++)
		if (way_up[i].from == from && way_up[i].to == to)
			return true;
	return false;
}
