/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "fake_vhost.h"
#include "virtio/feature.h"

static int note(struct vhost *v, enum call call, unsigned int value)
{
	struct fake_vhost *b = container_of(v, struct fake_vhost, vhost);

	assert_in_range(b->n, 0, CALLS_MAX - 1);
	b->calls[b->n] = call;
	b->values[b->n] = value;
	return b->n++ == b->fail_at ? b->error : 0;
}

static int set_features(struct vhost *v, uint64_t features)
{
	container_of(v, struct fake_vhost, vhost)->acked = features;
	return note(v, SET_FEATURES, 0);
}

static int set_status(struct vhost *v, uint8_t status)
{
	container_of(v, struct fake_vhost, vhost)->status = status;
	return note(v, SET_STATUS, status);
}

static int get_status(struct vhost *v, uint8_t *status)
{
	struct fake_vhost *b = container_of(v, struct fake_vhost, vhost);

	if (!b->keeps_status)
		return -EOPNOTSUPP;
	*status = b->status & (uint8_t)~b->hides;
	return note(v, GET_STATUS, 0);
}

static int get_config(struct vhost *v, void *buf, uint32_t offset, uint32_t len)
{
	struct fake_vhost *b = container_of(v, struct fake_vhost, vhost);
	int r = note(v, GET_CONFIG, len);

	if (r)
		return r;
	if (offset + len > b->config_len)
		return -EREMOTEIO;
	memcpy(buf, (char *)&b->config + offset, len);
	return 0;
}

static int set_mem_table(struct vhost *v, const struct vhost_region *regions, unsigned int n)
{
	assert_int_equal(n, 1);
	assert_true(regions[0].fd >= 0);
	return note(v, SET_MEM_TABLE, n);
}

static int set_vring_call(struct vhost *v, unsigned int index, int call_fd)
{
	assert_true(call_fd >= 0);
	assert_in_range(index, 0, RINGS_MAX - 1);
	container_of(v, struct fake_vhost, vhost)->call_fds[index] = call_fd;
	v->request = "SET_VRING_CALL";
	return note(v, SET_VRING_CALL, index);
}

static int set_vring(struct vhost *v, const struct vhost_ring *ring)
{
	struct fake_vhost *b = container_of(v, struct fake_vhost, vhost);

	assert_in_range(ring->index, 0, RINGS_MAX - 1);
	assert_int_equal(ring->call_fd, b->call_fds[ring->index]);
	b->rings[ring->index] = *ring;
	return note(v, SET_VRING, ring->index);
}

static int set_vring_enable(struct vhost *v, unsigned int index, bool on)
{
	return note(v, on ? ENABLE : DISABLE, index);
}

static int get_vring_base(struct vhost *v, unsigned int index, uint16_t *base)
{
	*base = 0;
	return note(v, GET_VRING_BASE, index);
}

static void close_vhost(struct vhost *v)
{
	note(v, CLOSE_IT, 0);
}

static const struct vhost_ops ops = {
	.set_features = set_features,
	.set_status = set_status,
	.get_status = get_status,
	.get_config = get_config,
	.set_mem_table = set_mem_table,
	.set_vring_call = set_vring_call,
	.set_vring = set_vring,
	.set_vring_enable = set_vring_enable,
	.get_vring_base = get_vring_base,
	.close = close_vhost,
};

static void on_pairs(void *owner)
{
	struct fake_vhost *b = owner;

	b->told_pairs = b->n;
	b->active_when_told = b->vport.active_pairs;
}

static const struct vport_events events = {.pairs = on_pairs};

int fake_vhost_setup(void **state)
{
	struct fake_vhost *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->vhost.ops = &ops;
	b->vhost.features = FEATURE_RING_MASK | FEATURE_NET(MQ) | FEATURE_NET(MTU) |
			    FEATURE_NET(STATUS) | FEATURE_NET(MAC);
	b->vhost.max_pairs = 4;
	b->vhost.cancel_fd = -1;
	b->vport.events = &events;
	b->vport.owner = b;
	b->device.vport = &b->vport;
	b->device.vhost = &b->vhost;
	b->device.rings.pool.fd = -1;
	b->device.config = (struct device_config){
		.pairs = 1,
		.queue_size = 64,
		.features = FEATURE_RING_MASK | FEATURE_SHARED_MASK | FEATURE_DEVICE_MASK,
	};
	b->fail_at = b->told_pairs = -1;
	b->error = -EREMOTEIO;
	b->config = (struct virtio_net_config){
		.mac = {0x52, 0x54, 0, 1, 2, 3},
		.status = htole16(VIRTIO_NET_S_LINK_UP),
		.max_virtqueue_pairs = htole16(3),
		.mtu = htole16(1400),
	};
	b->config_len = sizeof(b->config);
	*state = b;
	return 0;
}

int fake_vhost_teardown(void **state)
{
	struct fake_vhost *b = *state;

	b->fail_at = -1;
	b->n = 0;
	device_forget(&b->device);
	free(b);
	return 0;
}

void fake_vhost_assert_calls(const struct fake_vhost *b, int from, const enum call *calls,
			     const unsigned int *values, int n)
{
	int i;

	assert_int_equal(b->n - from, n);
	for (i = 0; i < n; i++) {
		assert_int_equal(b->calls[from + i], calls[i]);
		assert_int_equal(b->values[from + i], values[i]);
	}
}

uint8_t fake_vhost_control(struct fake_vhost *b, uint8_t class, uint8_t command, const void *data,
			   size_t len)
{
	return device_control(&b->device, class, command, data, len, &b->wanted_pairs);
}

int fake_vhost_bring_up(struct fake_vhost *b)
{
	int r = device_bring_up(&b->device);

	if (!r)
		device_show(&b->device);
	return r;
}

int fake_vhost_refresh(struct fake_vhost *b, unsigned int *changes)
{
	int r = device_read(&b->device);

	*changes = r ? 0 : device_show_config(&b->device);
	return r;
}
