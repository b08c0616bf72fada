/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device status (virtio 1.3, 2.1): its values and the moves between them. */
#ifndef PORT_STATUS_H
#define PORT_STATUS_H

#include <linux/virtio_config.h>
#include <stdbool.h>
#include <stdint.h>

#define STATUS_RESET	   0u
#define STATUS_ACKNOWLEDGE VIRTIO_CONFIG_S_ACKNOWLEDGE
#define STATUS_DRIVER	   (STATUS_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define STATUS_FEATURES_OK (STATUS_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define STATUS_DRIVER_OK   (STATUS_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK)

/*
 * May a driver that left @from in the device write @to? Besides the way up (3.1.1)
 * there are two moves from everywhere: to reset, and to FAILED.
 */
bool status_may_follow(uint8_t from, uint8_t to);

#endif
