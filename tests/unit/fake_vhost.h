/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device before a vhost that is none: one that writes down what it is asked, and answers as
 * the test says.
 */
#ifndef FAKE_VHOST_H
#define FAKE_VHOST_H

#include <linux/virtio_net.h>

#include "port/device.h"

#define CALLS_MAX 2048
#define RINGS_MAX 256

enum call {
	SET_FEATURES,
	SET_STATUS,
	GET_STATUS,
	GET_CONFIG,
	SET_MEM_TABLE,
	SET_VRING_CALL,
	SET_VRING,
	ENABLE,
	DISABLE,
	GET_VRING_BASE,
	CLOSE_IT,
};

/* A peer, the device in front of it, and its owner. */
struct fake_vhost {
	struct vhost vhost;
	struct vport vport;
	struct device device;
	/* the peer */
	enum call calls[CALLS_MAX];
	unsigned int values[CALLS_MAX];
	int n;
	int fail_at, error; /* the call that fails */
	int call_fds[RINGS_MAX]; /* of the rings told, by their index */
	struct vhost_ring rings[RINGS_MAX];
	uint64_t acked;
	bool keeps_status;
	uint8_t status, hides; /* bits that GET_STATUS leaves out */
	struct virtio_net_config config;
	size_t config_len; /* it refuses to say more */
	/* the owner */
	int told_pairs;
	unsigned int active_when_told;
	int control_error;
	unsigned int wanted_pairs; /* by the last command */
};

/* For cmocka: a device of one pair, and a peer that has four and all features. */
int fake_vhost_setup(void **state);
int fake_vhost_teardown(void **state);

/* What was asked from call @from on is this, and no more. */
void fake_vhost_assert_calls(const struct fake_vhost *b, int from, const enum call *calls,
			     const unsigned int *values, int n);

/* device_bring_up, shown if it went well; and the same of device_read, with what changed. */
int fake_vhost_bring_up(struct fake_vhost *b);
int fake_vhost_refresh(struct fake_vhost *b, unsigned int *changes);

/* A command of the control queue; b->wanted_pairs as device_control leaves it. */
uint8_t fake_vhost_control(struct fake_vhost *b, uint8_t class, uint8_t command, const void *data,
			   size_t len);

#endif
