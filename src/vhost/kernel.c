/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhost-net knows one queue pair per open device: ring 0 receives, ring 1 transmits,
 * seen from the driver. So pair i has a descriptor of its own, and rings 2i and 2i + 1
 * are its 0 and 1. Owner, features and memory must be told to each of them.
 *
 * A ring runs while it has a backend, the TAP of its pair. vhost-net reads and writes
 * packets with the header that the TAP has, and does not look at it: whatever the
 * offload bits promise to the driver is the TAP's promise, vhost-net refuses to hear of
 * them. The same holds for several queues: they are the TAP's.
 */
#include "vhost/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/util.h"

#define BIT(n) (UINT64_C(1) << (n))

/*
 * Bits among vhost-net's features that are no device features: the log of written
 * memory, and that vhost-net itself makes a header which the TAP lacks. (The latter
 * has the number of VIRTIO_F_ANY_LAYOUT.)
 */
#define TRANSPORT_FEATURES (BIT(VHOST_F_LOG_ALL) | BIT(VHOST_NET_F_VIRTIO_NET_HDR))

struct kernel {
	struct vhost vhost;
	struct vhost_kernel_config config;
	uint64_t own_features; /* offered by vhost-net, not by the TAP */
	int fds[];	       /* [config.pairs] */
};

static struct kernel *to_kernel(struct vhost *v)
{
	return container_of(v, struct kernel, vhost);
}

static int fail(struct vhost *v, const char *request, int err, const char *why)
{
	v->request = request;
	v->why = why;
	return err;
}

/* @request by its name in linux/vhost.h. */
#define tell(v, fd, request, arg) tell_named(v, fd, request, #request, arg)

static int tell_named(struct vhost *v, int fd, unsigned long request, const char *name, void *arg)
{
	if (fd < 0)
		return fail(v, name, -ENOTCONN, "");
	if (ioctl(fd, request, arg) == 0)
		return 0;
	return fail(v, name, -errno, errno == ENOTTY ? "the file is not a vhost device" : "");
}

/* The descriptor that serves ring @index, or -1. */
static int ring_fd(const struct kernel *k, unsigned int index)
{
	return index / 2 < k->config.pairs ? k->fds[index / 2] : -1;
}

static void kernel_close(struct vhost *v)
{
	struct kernel *k = to_kernel(v);
	unsigned int i;

	/* the kernel's thread has let go of rings and TAP when this returns */
	for (i = 0; i < k->config.pairs; i++)
		close_fd(&k->fds[i]);
	close_fd(&v->fd);
	v->features = 0;
	v->max_pairs = 0;
	k->own_features = 0;
}

static const char *open_why(int err)
{
	switch (err) {
	case ENODEV:
	case ENXIO:
		return "there is no driver for it; run `modprobe vhost_net`";
	case EACCES:
	case EPERM:
		return "no permission to open it; run as root, or grant read and write";
	default:
		return "";
	}
}

static int open_pair(struct kernel *k, unsigned int i, uint64_t *features)
{
	struct vhost *v = &k->vhost;
	int ret;

	k->fds[i] = open(k->config.path, O_RDWR | O_CLOEXEC);
	if (k->fds[i] < 0)
		return fail(v, "open", -errno, open_why(errno));
	ret = tell(v, k->fds[i], VHOST_SET_OWNER, NULL);
	if (ret == 0)
		ret = tell(v, k->fds[i], VHOST_GET_FEATURES, features);
	return ret;
}

static int kernel_open(struct vhost *v)
{
	struct kernel *k = to_kernel(v);
	uint64_t features = 0;
	unsigned int i;
	int ret = 0;

	kernel_close(v);
	v->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->fd < 0)
		return fail(v, "eventfd", -errno, "");
	for (i = 0; i < k->config.pairs && ret == 0; i++)
		ret = open_pair(k, i, &features);
	if (ret < 0) {
		kernel_close(v);
		return ret;
	}
	k->own_features = features & ~TRANSPORT_FEATURES;
	v->features = k->own_features | k->config.tap_offloads;
	if (k->config.pairs > 1)
		v->features |= BIT(VIRTIO_NET_F_MQ);
	v->max_pairs = k->config.pairs;
	return 0;
}

static int kernel_set_features(struct vhost *v, uint64_t features)
{
	struct kernel *k = to_kernel(v);
	uint64_t own = features & k->own_features;
	unsigned int i;
	int ret = 0;

	if (features & ~v->features)
		return fail(v, "VHOST_SET_FEATURES", -EINVAL, "features not offered");
	for (i = 0; i < k->config.pairs && ret == 0; i++)
		ret = tell(v, k->fds[i], VHOST_SET_FEATURES, &own);
	if (ret == 0) {
		ret = k->config.prepare_tap(k->config.owner, features);
		if (ret < 0)
			fail(v, "header length and offloads of the TAP", ret, "");
	}
	return ret;
}

static int kernel_set_status(struct vhost *v __attribute__((unused)),
			     uint8_t status __attribute__((unused)))
{
	return 0;
}

static int kernel_get_status(struct vhost *v __attribute__((unused)),
			     uint8_t *status __attribute__((unused)))
{
	return -EOPNOTSUPP;
}

/* vhost-net moves frames of any length; the limit is the TAP's. */
static int kernel_set_mtu(struct vhost *v, uint16_t mtu)
{
	struct kernel *k = to_kernel(v);

	k->config.set_tap_mtu(k->config.owner, mtu);
	return 0;
}

static int kernel_announce(struct vhost *v __attribute__((unused)),
			   const uint8_t mac[6] __attribute__((unused)))
{
	return -EOPNOTSUPP;
}

static int kernel_get_config(struct vhost *v, void *buf __attribute__((unused)),
			     uint32_t offset __attribute__((unused)),
			     uint32_t len __attribute__((unused)))
{
	return fail(v, "configuration space", -EOPNOTSUPP, "");
}

static int kernel_set_mem_table(struct vhost *v, const struct vhost_region *regions, unsigned int n)
{
	struct kernel *k = to_kernel(v);
	struct vhost_memory *memory = calloc(1, sizeof(*memory) + n * sizeof(memory->regions[0]));
	unsigned int i;
	int ret = 0;

	if (!memory)
		return fail(v, "VHOST_SET_MEM_TABLE", -ENOMEM, "");
	memory->nregions = n;
	for (i = 0; i < n; i++)
		memory->regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = regions[i].guest_phys_addr,
			.memory_size = regions[i].memory_size,
			.userspace_addr = regions[i].userspace_addr,
		};
	for (i = 0; i < k->config.pairs && ret == 0; i++)
		ret = tell(v, k->fds[i], VHOST_SET_MEM_TABLE, memory);
	free(memory);
	return ret;
}

static int kernel_set_vring_call(struct vhost *v, unsigned int index, int call_fd)
{
	struct vhost_vring_file file = {.index = index % 2, .fd = call_fd};

	return tell(v, ring_fd(to_kernel(v), index), VHOST_SET_VRING_CALL, &file);
}

static int set_vring_addr(struct vhost *v, int fd, const struct vhost_ring *ring)
{
	struct vhost_vring_addr addr = {
		.index = ring->index % 2,
		.desc_user_addr = ring->desc,
		.used_user_addr = ring->used,
		.avail_user_addr = ring->avail,
	};

	return tell(v, fd, VHOST_SET_VRING_ADDR, &addr);
}

/* The addresses follow the size, by which the kernel checks them. */
static int kernel_set_vring(struct vhost *v, const struct vhost_ring *ring)
{
	struct vhost_vring_state num = {.index = ring->index % 2, .num = ring->num};
	struct vhost_vring_state base = {.index = ring->index % 2, .num = ring->base};
	struct vhost_vring_file kick = {.index = ring->index % 2, .fd = ring->kick_fd};
	struct vhost_vring_file err = {.index = ring->index % 2, .fd = v->fd};
	int fd = ring_fd(to_kernel(v), ring->index);
	int ret = tell(v, fd, VHOST_SET_VRING_NUM, &num);

	if (ret == 0)
		ret = tell(v, fd, VHOST_SET_VRING_BASE, &base);
	if (ret == 0)
		ret = set_vring_addr(v, fd, ring);
	if (ret == 0)
		ret = tell(v, fd, VHOST_SET_VRING_ERR, &err);
	if (ret == 0)
		ret = tell(v, fd, VHOST_SET_VRING_KICK, &kick);
	return ret;
}

static int kernel_set_vring_enable(struct vhost *v, unsigned int index, bool on)
{
	struct kernel *k = to_kernel(v);
	int fd = ring_fd(k, index);
	struct vhost_vring_file backend = {
		.index = index % 2,
		.fd = on && fd >= 0 ? k->config.tap_fds[index / 2] : -1,
	};

	return tell(v, fd, VHOST_NET_SET_BACKEND, &backend);
}

/* The base of a ring that runs is not settled yet. */
static int kernel_get_vring_base(struct vhost *v, unsigned int index, uint16_t *base)
{
	struct vhost_vring_state state = {.index = index % 2};
	int ret = kernel_set_vring_enable(v, index, false);

	if (ret == 0)
		ret = tell(v, ring_fd(to_kernel(v), index), VHOST_GET_VRING_BASE, &state);
	if (ret == 0)
		*base = (uint16_t)state.num;
	return ret;
}

static int kernel_hear(struct vhost *v, enum vhost_news *news)
{
	uint64_t count;

	*news = VHOST_NEWS_NONE;
	v->request = "ring";
	v->why = "";
	if (v->fd < 0)
		return -ENOTCONN;
	if (read(v->fd, &count, sizeof(count)) < 0)
		return errno == EAGAIN ? 0 : -errno;
	v->why = "vhost-net cannot go on with it";
	return -EPROTO;
}

static const struct vhost_ops kernel_ops = {
	.open = kernel_open,
	.set_features = kernel_set_features,
	.set_status = kernel_set_status,
	.get_status = kernel_get_status,
	.set_mtu = kernel_set_mtu,
	.announce = kernel_announce,
	.get_config = kernel_get_config,
	.set_mem_table = kernel_set_mem_table,
	.set_vring_call = kernel_set_vring_call,
	.set_vring = kernel_set_vring,
	.set_vring_enable = kernel_set_vring_enable,
	.get_vring_base = kernel_get_vring_base,
	.hear = kernel_hear,
	.close = kernel_close,
};

struct vhost *vhost_kernel_new(const struct vhost_kernel_config *config)
{
	struct kernel *k = calloc(1, sizeof(*k) + config->pairs * sizeof(k->fds[0]));
	unsigned int i;

	if (!k)
		return NULL;
	k->vhost = (struct vhost){
		.ops = &kernel_ops,
		.cancel_fd = -1, /* none of its requests has to wait */
		.accepted_fd = -1,
		.fd = -1,
		.backend_fd = -1,
		.request = "",
		.why = "",
	};
	k->config = *config;
	for (i = 0; i < config->pairs; i++)
		k->fds[i] = -1;
	return &k->vhost;
}

void vhost_kernel_free(struct vhost *v)
{
	if (!v)
		return;
	kernel_close(v);
	free(to_kernel(v));
}
