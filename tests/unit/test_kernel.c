/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhost-net as the kernel serves it, with a driver that is scripted: the linker gives
 * this program's ioctl instead (--wrap). The real one is met in tests/guest.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "vhost/kernel.h"

#define BIT(n)	  (UINT64_C(1) << (n))
#define CALLS_MAX 64
#define PAIRS	  2

/* What vhost-net of Linux 6.1 offers. */
#define OFFERED	    UINT64_C(0x33d008000)
#define OWN	    (OFFERED & ~(BIT(VHOST_F_LOG_ALL) | BIT(VHOST_NET_F_VIRTIO_NET_HDR)))
#define OF_THE_TAP  (BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4))
#define ACKED	    (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_CSUM))
#define BASE_OF_ALL 4711

struct call {
	int fd;
	unsigned long request;
	union {
		uint64_t features;
		struct vhost_vring_state state;
		struct vhost_vring_file file;
		struct vhost_vring_addr addr;
		struct {
			uint32_t nregions, padding; /* struct vhost_memory */
			struct vhost_memory_region regions[2];
		} memory;
	} arg;
};

static struct {
	struct call calls[CALLS_MAX];
	unsigned int n;
	bool real;		  /* do not script */
	unsigned long fail;	  /* this request fails */
	unsigned int after;	  /* when it was made that many times */
	int error;		  /* with this */
	unsigned int prepared;	  /* calls when prepare_tap was called, 0: it was not */
	uint64_t prepared_for;
	int prepare_error;
	uint16_t mtu; /* that set_tap_mtu was told */
} script;

static int tap_fds[PAIRS] = { 1000, 1001 }; /* numbers that nobody opens */

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);

static size_t size_of_arg(unsigned long request, const void *arg)
{
	if (request == VHOST_SET_OWNER)
		return 0;
	if (request != VHOST_SET_MEM_TABLE)
		return _IOC_SIZE(request);
	return sizeof(struct vhost_memory) +
	       ((const struct vhost_memory *)arg)->nregions * sizeof(struct vhost_memory_region);
}

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	struct call *c = &script.calls[script.n];

	if (script.real || _IOC_TYPE(request) != VHOST_VIRTIO)
		return __real_ioctl(fd, request, arg);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	assert_true(script.n < CALLS_MAX);
	assert_true(size_of_arg(request, arg) <= sizeof(c->arg));
	if (script.fail == request && script.after-- == 0) {
		errno = script.error;
		return -1;
	}
	script.n++;
	c->fd = fd;
	c->request = request;
	if (request == VHOST_GET_FEATURES)
		*(uint64_t *)arg = OFFERED;
	else if (request == VHOST_GET_VRING_BASE)
		((struct vhost_vring_state *)arg)->num = BASE_OF_ALL;
	if (arg)
		memcpy(&c->arg, arg, size_of_arg(request, arg));
	return 0;
}

static int prepare_tap(void *owner, uint64_t features)
{
	assert_ptr_equal(owner, &script);
	script.prepared = script.n;
	script.prepared_for = features;
	return script.prepare_error;
}

static void set_tap_mtu(void *owner, uint16_t mtu)
{
	assert_ptr_equal(owner, &script);
	script.mtu = mtu;
}

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static struct vhost *make(const char *path, unsigned int pairs)
{
	const struct vhost_kernel_config config = {
		.path = path,
		.tap_fds = tap_fds,
		.pairs = pairs,
		.tap_offloads = OF_THE_TAP,
		.prepare_tap = prepare_tap,
		.set_tap_mtu = set_tap_mtu,
		.owner = &script,
	};
	struct vhost *v = vhost_kernel_new(&config);

	assert_non_null(v);
	assert_int_equal(v->fd, -1);
	assert_int_equal(v->backend_fd, -1);
	return v;
}

static int setup(void **state)
{
	memset(&script, 0, sizeof(script));
	*state = make("/dev/null", PAIRS);
	return 0;
}

static int teardown(void **state)
{
	vhost_kernel_free(*state);
	return 0;
}

/* The next call in the record; the two pairs' descriptors are found by OWNER. */
static const struct call *next(unsigned int *i, unsigned long request)
{
	const struct call *c = &script.calls[(*i)++];

	assert_true(*i <= script.n);
	assert_int_equal(c->request, request);
	return c;
}

static void open_it(struct vhost *v, int fds[PAIRS])
{
	unsigned int i, at = 0;

	assert_int_equal(v->ops->open(v), 0);
	for (i = 0; i < PAIRS; i++) {
		fds[i] = next(&at, VHOST_SET_OWNER)->fd;
		assert_int_equal(next(&at, VHOST_GET_FEATURES)->fd, fds[i]);
	}
	assert_int_equal(at, script.n);
	assert_int_not_equal(fds[0], fds[1]);
	script.n = 0;
}

static void test_open(void **state)
{
	struct vhost *v = *state, *one = make("/dev/null", 1);
	unsigned int before = count_fds();
	int fds[PAIRS];

	open_it(v, fds);
	assert_true(v->fd >= 0);
	assert_int_equal(count_fds(), before + PAIRS + 1);
	assert_int_equal(v->features, OWN | OF_THE_TAP | BIT(VIRTIO_NET_F_MQ));
	assert_int_equal(v->max_pairs, PAIRS);
	assert_false(v->has_status);
	assert_false(v->has_config);
	v->ops->close(v);
	assert_int_equal(v->fd, -1);
	assert_int_equal(v->features, 0);
	assert_int_equal(count_fds(), before);
	v->ops->close(v);
	/* and once more, without a close in between */
	open_it(v, fds);
	open_it(v, fds);
	v->ops->close(v);
	assert_int_equal(count_fds(), before);
	/* one pair is no multiqueue */
	assert_int_equal(one->ops->open(one), 0);
	assert_int_equal(one->features, OWN | OF_THE_TAP);
	vhost_kernel_free(one);
	assert_int_equal(count_fds(), before);
	vhost_kernel_free(NULL);
}

/* vhost-net hears of its own bits only, the TAP of all, and each pair is told. */
static void test_features(void **state)
{
	struct vhost *v = *state;
	unsigned int i, at = 0;
	int fds[PAIRS];

	open_it(v, fds);
	assert_int_equal(v->ops->set_features(v, ACKED | BIT(VIRTIO_NET_F_MQ)), 0);
	for (i = 0; i < PAIRS; i++) {
		const struct call *c = next(&at, VHOST_SET_FEATURES);

		assert_int_equal(c->fd, fds[i]);
		assert_int_equal(c->arg.features,
				 BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF));
	}
	assert_int_equal(at, script.n);
	assert_int_equal(script.prepared, PAIRS);
	assert_int_equal(script.prepared_for, ACKED | BIT(VIRTIO_NET_F_MQ));
	/* not offered: the transport's own bits too */
	assert_int_equal(v->ops->set_features(v, BIT(VHOST_F_LOG_ALL)), -EINVAL);
	assert_int_equal(v->ops->set_features(v, BIT(VHOST_NET_F_VIRTIO_NET_HDR)), -EINVAL);
	assert_int_equal(v->ops->set_features(v, BIT(VIRTIO_NET_F_HOST_TSO4)), -EINVAL);
	assert_int_equal(script.n, PAIRS);
	script.prepare_error = -EBUSY;
	assert_int_equal(v->ops->set_features(v, ACKED), -EBUSY);
	assert_string_equal(v->request, "header length and offloads of the TAP");
}

static void test_mem_table(void **state)
{
	static const struct vhost_region regions[] = {
		{ .guest_phys_addr = 0x1000, .memory_size = 0x2000, .userspace_addr = 0x3000 },
		{ .guest_phys_addr = 0x9000, .memory_size = 0x1000, .userspace_addr = 0xf000,
		  .mmap_offset = 0x7000, .fd = 5 },
	};
	struct vhost *v = *state;
	unsigned int i, at = 0;
	int fds[PAIRS];

	open_it(v, fds);
	assert_int_equal(v->ops->set_mem_table(v, regions, 2), 0);
	for (i = 0; i < PAIRS; i++) {
		const struct call *c = next(&at, VHOST_SET_MEM_TABLE);

		assert_int_equal(c->fd, fds[i]);
		assert_int_equal(c->arg.memory.nregions, 2);
		assert_int_equal(c->arg.memory.padding, 0);
		assert_int_equal(c->arg.memory.regions[0].guest_phys_addr, 0x1000);
		assert_int_equal(c->arg.memory.regions[0].memory_size, 0x2000);
		assert_int_equal(c->arg.memory.regions[0].userspace_addr, 0x3000);
		assert_int_equal(c->arg.memory.regions[1].userspace_addr, 0xf000);
		assert_int_equal(c->arg.memory.regions[1].flags_padding, 0);
	}
	assert_int_equal(at, script.n);
}

/* Ring 3 is ring 1 of the second descriptor. */
static void test_vring(void **state)
{
	const struct vhost_ring ring = {
		.index = 3, .num = 256, .base = 7, .desc = 0x1000, .avail = 0x2000,
		.used = 0x3000, .kick_fd = 20, .call_fd = 21,
	};
	struct vhost *v = *state;
	const struct call *c;
	unsigned int at = 0;
	int fds[PAIRS];

	open_it(v, fds);
	assert_int_equal(v->ops->set_vring_call(v, 3, 21), 0);
	c = next(&at, VHOST_SET_VRING_CALL);
	assert_int_equal(c->fd, fds[1]);
	assert_int_equal(c->arg.file.index, 1);
	assert_int_equal(c->arg.file.fd, 21);

	assert_int_equal(v->ops->set_vring(v, &ring), 0);
	c = next(&at, VHOST_SET_VRING_NUM);
	assert_int_equal(c->arg.state.index, 1);
	assert_int_equal(c->arg.state.num, 256);
	c = next(&at, VHOST_SET_VRING_BASE);
	assert_int_equal(c->arg.state.num, 7);
	c = next(&at, VHOST_SET_VRING_ADDR);
	assert_int_equal(c->arg.addr.index, 1);
	assert_int_equal(c->arg.addr.flags, 0);
	assert_int_equal(c->arg.addr.desc_user_addr, 0x1000);
	assert_int_equal(c->arg.addr.avail_user_addr, 0x2000);
	assert_int_equal(c->arg.addr.used_user_addr, 0x3000);
	c = next(&at, VHOST_SET_VRING_ERR);
	assert_int_equal(c->arg.file.fd, v->fd);
	c = next(&at, VHOST_SET_VRING_KICK);
	assert_int_equal(c->arg.file.index, 1);
	assert_int_equal(c->arg.file.fd, 20);
	assert_int_equal(at, script.n);
	for (at = 1; at < script.n; at++)
		assert_int_equal(script.calls[at].fd, fds[1]);
}

static void test_enable_and_stop(void **state)
{
	struct vhost *v = *state;
	unsigned int i, at = 0;
	const struct call *c;
	uint16_t base = 0;
	int fds[PAIRS];

	open_it(v, fds);
	for (i = 0; i < 2 * PAIRS; i++) {
		assert_int_equal(v->ops->set_vring_enable(v, i, true), 0);
		c = next(&at, VHOST_NET_SET_BACKEND);
		assert_int_equal(c->fd, fds[i / 2]);
		assert_int_equal(c->arg.file.index, i % 2);
		assert_int_equal(c->arg.file.fd, tap_fds[i / 2]);
	}
	assert_int_equal(v->ops->set_vring_enable(v, 2, false), 0);
	c = next(&at, VHOST_NET_SET_BACKEND);
	assert_int_equal(c->fd, fds[1]);
	assert_int_equal(c->arg.file.fd, -1);
	/* the ring is stopped before its base is asked for */
	assert_int_equal(v->ops->get_vring_base(v, 1, &base), 0);
	c = next(&at, VHOST_NET_SET_BACKEND);
	assert_int_equal(c->fd, fds[0]);
	assert_int_equal(c->arg.file.index, 1);
	assert_int_equal(c->arg.file.fd, -1);
	c = next(&at, VHOST_GET_VRING_BASE);
	assert_int_equal(c->fd, fds[0]);
	assert_int_equal(c->arg.state.index, 1);
	assert_int_equal(base, BASE_OF_ALL);
	assert_int_equal(at, script.n);
	/* a ring beyond the pairs is nobody's */
	assert_int_equal(v->ops->set_vring_enable(v, 2 * PAIRS, true), -ENOTCONN);
	assert_int_equal(v->ops->set_vring_call(v, 2 * PAIRS, 3), -ENOTCONN);
	assert_int_equal(at, script.n);
}

static void test_hear(void **state)
{
	const uint64_t one = 1;
	struct vhost *v = *state;
	enum vhost_news news;
	int fds[PAIRS];

	assert_int_equal(v->ops->hear(v, &news), -ENOTCONN);
	open_it(v, fds);
	assert_int_equal(v->ops->hear(v, &news), 0);
	assert_int_equal(news, VHOST_NEWS_NONE);
	/* as the kernel does with a ring that it finds broken */
	assert_int_equal(write(v->fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(v->ops->hear(v, &news), -EPROTO);
	assert_string_equal(v->request, "ring");
	assert_string_not_equal(v->why, "");
	assert_int_equal(v->ops->hear(v, &news), 0);
}

/* What vhost-net has no use for. */
static void test_nothing_to_do(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	struct vhost *v = *state;
	uint8_t byte;
	int fds[PAIRS];

	open_it(v, fds);
	assert_int_equal(v->ops->set_status(v, VIRTIO_CONFIG_S_DRIVER), 0);
	assert_int_equal(v->ops->get_status(v, &byte), -EOPNOTSUPP);
	assert_int_equal(v->ops->set_mtu(v, 9000), 0);
	assert_int_equal(script.mtu, 9000);
	assert_int_equal(v->ops->announce(v, mac), -EOPNOTSUPP);
	assert_int_equal(v->ops->get_config(v, &byte, 0, 1), -EOPNOTSUPP);
	assert_int_equal(script.n, 0);
}

/* Each request that fails is named, and a half-made connection leaves nothing open. */
static void test_refusals(void **state)
{
	static const struct {
		unsigned long request;
		const char *name;
	} opening[] = {
		{ VHOST_SET_OWNER, "VHOST_SET_OWNER" },
		{ VHOST_GET_FEATURES, "VHOST_GET_FEATURES" },
	};
	struct vhost *v = *state;
	unsigned int i, fds = count_fds();

	for (i = 0; i < 2 * ARRAY_SIZE(opening); i++) {
		script.n = 0;
		script.fail = opening[i / 2].request;
		script.after = i % 2; /* the first pair, the second */
		script.error = EBUSY;
		assert_int_equal(v->ops->open(v), -EBUSY);
		assert_string_equal(v->request, opening[i / 2].name);
		assert_int_equal(v->fd, -1);
		assert_int_equal(v->max_pairs, 0);
		assert_int_equal(count_fds(), fds);
	}
	script.fail = VHOST_NET_SET_BACKEND;
	script.after = 0;
	script.error = ENOTSOCK;
	assert_int_equal(v->ops->open(v), 0);
	assert_int_equal(v->ops->set_vring_enable(v, 0, true), -ENOTSOCK);
	assert_string_equal(v->request, "VHOST_NET_SET_BACKEND");
	v->ops->close(v);
	/* after which everything is refused */
	assert_int_equal(v->ops->set_vring_enable(v, 0, true), -ENOTCONN);
	assert_int_equal(v->ops->set_mem_table(v, NULL, 0), -ENOTCONN);
}

/* Not the device, with the kernel's own answers. */
static void test_other_files(void **state)
{
	struct vhost *null = *state, *absent = make("/nonexistent/vhost-net", 1);
	struct vhost *directory = make("/", 1);
	char path[] = "/tmp/vubridge-kernel-XXXXXX";
	int fd = mkstemp(path);
	struct vhost *regular = make(path, 1);
	unsigned int fds = count_fds();

	assert_true(fd >= 0);
	script.real = true;
	assert_int_equal(absent->ops->open(absent), -ENOENT);
	assert_string_equal(absent->request, "open");
	assert_int_equal(directory->ops->open(directory), -EISDIR);
	assert_int_equal(null->ops->open(null), -ENOTTY);
	assert_string_equal(null->request, "VHOST_SET_OWNER");
	assert_string_equal(null->why, "the file is not a vhost device");
	assert_int_equal(regular->ops->open(regular), -ENOTTY);
	assert_string_equal(regular->why, "the file is not a vhost device");
	assert_int_equal(count_fds(), fds);
	unlink(path);
	close(fd);
	vhost_kernel_free(absent);
	vhost_kernel_free(directory);
	vhost_kernel_free(regular);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_open),	    TEST(test_features), TEST(test_mem_table),
		TEST(test_vring),	    TEST(test_hear),	 TEST(test_enable_and_stop),
		TEST(test_nothing_to_do), TEST(test_refusals), TEST(test_other_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
