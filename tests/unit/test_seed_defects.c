/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device that this one does the work of, DPDK's virtio_user of 2018, had defects that have
 * been found since. Each that can occur here has a test that holds it: in this file, or where
 * the list says.
 *
 * a missing path is reported as another argument .................. test_missing_path
 * device status and link status in one variable: announcements at
 *   connect, link down clears ACKNOWLEDGE ......................... test_status_is_two_things,
 *                                                                   test_carrier
 * O_NONBLOCK switched on a socket that others use, unchecked ...... test_socket_flags
 * a TAP without O_NONBLOCK ........................................ test_tap: test_open
 * RESET_OWNER and SET_OWNER at every start ........................ test_user: test_all_offered,
 *                                                                   test_kernel: test_open
 * features of the front-end lost for ever at a weak reconnect ..... test_features_anew
 * features assumed before a peer has connected, in server mode .... test_features_anew,
 *                                                                   net/server
 * a second stop complains ......................................... test_stop_twice
 * EVENT_IDX offered, not done ..................................... test_vq_driver_flow
 * packed rings although not asked for ............................. test_no_packed_ring
 * a TAP for each queue when no name was given ..................... test_one_tap
 * commands of the control queue refused ........................... test_ctrl
 * a pair that is disabled takes the TAP with it ................... test_disabled_pair
 * close(-1); descriptor 0 closed, or taken for another ............ test_standard_input,
 *                                                                   net/signals
 * rings not as new after a reconnect .............................. test_rings_anew, net/reconnect
 * integers unchecked .............................................. test_options_table
 * SET_FEATURES without the transport's bit ........................ test_user: test_payloads
 * a missing socket taken for a kernel device ...................... test_path: test_absent
 * the status not told again at a reconnect, or read wrongly ....... test_status_again,
 *                                                                   test_user_faults
 * refusals and failures of the peer ignored ....................... test_device, net/handshake
 * a second client, and the listening socket wakes for ever ........ net/server
 * only the first descriptor of vhost-net told ..................... test_kernel: test_features,
 *                                                                   test_mem_table, test_vring
 * a TAP of one queue taken for several ............................ test_tap:
 *                                                                   test_existing_is_unfit
 * the receive queue waits on another queue's eventfd .............. test_eventfds
 * ring 256 is ring 0 .............................................. test_eventfds, test_user:
 *                                                                   test_own_mistakes
 * descriptors and names left over when opening fails .............. test_user_faults, test_tap,
 *                                                                   test_device
 * vhost-net not to be started ..................................... guest/vhost_net
 * data of a control command read beyond its end ................... test_ctrl
 * the used ring at a wrong address ................................ test_vq_driver_layout
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "log_capture.h"
#include "netns.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/fdmsg.h"
#include "base/listener.h"
#include "base/util.h"
#include "fake_vhost.h"
#include "net/tap.h"
#include "options_rig.h"
#include "port/frontend.h"
#include "port/status.h"
#include "scripted_peer.h"
#include "vhost/user.h"
#include "virtio/feature.h"
#include "virtio/ring.h"

static void test_missing_path(void **state)
{
	char list[] = "queue_size=512,queues=2";
	struct run run;

	(void)state;
	PARSE(&run, "--devargs", list);
	assert_int_equal(run.r, -EINVAL);
	assert_ptr_equal(strstr(run.error, "--path: must be given"), run.error);
	free(run.text);
}

static void test_status_is_two_things(void **state)
{
	struct fake_vhost *b = *state;
	unsigned int changes;

	b->vhost.has_config = b->keeps_status = true;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	assert_int_equal(b->vport.device_status, STATUS_DRIVER_OK);
	assert_int_equal(b->vport.net_status, VIRTIO_NET_S_LINK_UP);
	assert_int_equal(fake_vhost_refresh(b, &changes), 0);
	assert_int_equal(changes, 0); /* DRIVER is no announcement */
	b->config.status = 0;
	assert_int_equal(fake_vhost_refresh(b, &changes), 0);
	assert_int_equal(changes, VPORT_LINK);
	assert_int_equal(b->vport.net_status, 0);
	assert_int_equal(b->vport.device_status, STATUS_DRIVER_OK);
	assert_int_equal(b->status, STATUS_DRIVER_OK);
	assert_true(b->vport.rings_enabled);
}

/* What was lost to a weak peer is back with the next one. */
static void test_features_anew(void **state)
{
	struct fake_vhost *b = *state;
	uint64_t offered = b->vhost.features, all;

	assert_int_equal(fake_vhost_bring_up(b), 0);
	all = b->vport.features;
	assert_true(feature_has(all, VIRTIO_NET_F_MRG_RXBUF));
	assert_true(feature_has(all, VIRTIO_NET_F_CTRL_VQ));
	assert_int_equal(b->vport.ring_hdr_len, 12);
	device_forget(&b->device);
	b->vhost.features = 0;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	assert_int_equal(b->acked, 0);
	assert_int_equal(b->vport.features & FEATURE_RING_MASK, 0);
	assert_true(feature_has(b->vport.features, VIRTIO_NET_F_CTRL_VQ));
	assert_int_equal(b->vport.ring_hdr_len, 10);
	device_forget(&b->device);
	b->vhost.features = offered;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	assert_true(b->vport.features == all);
	assert_int_equal(b->vport.ring_hdr_len, 12);
}

static void test_no_packed_ring(void **state)
{
	struct fake_vhost *b = *state;

	b->vhost.features = UINT64_MAX;
	b->device.config.features = UINT64_MAX & (FEATURE_RING_MASK | FEATURE_OFFLOAD_MASK |
						  FEATURE_SHARED_MASK | FEATURE_DEVICE_MASK);
	assert_int_equal(fake_vhost_bring_up(b), 0);
	assert_false(feature_has(b->acked, VIRTIO_F_RING_PACKED));
}

static bool is_zero(const void *p, size_t len)
{
	const char *byte = p;

	return len == 0 || (byte[0] == 0 && !memcmp(byte, byte + 1, len - 1));
}

/* Ring @index as the peer has it, which is in this process, too. */
static struct vring ring_of(const struct fake_vhost *b, unsigned int index)
{
	const struct vhost_ring *ring = &b->rings[index];

	return (struct vring){
		.num = ring->num,
		.desc = (struct vring_desc *)(uintptr_t)ring->desc,
		.avail = (struct vring_avail *)(uintptr_t)ring->avail,
		.used = (struct vring_used *)(uintptr_t)ring->used,
	};
}

static uint8_t *buffer_of(const struct fake_vhost *b, const struct vring *vr, unsigned int i)
{
	return b->device.rings.pool.base + (le64toh(vr->desc[i].addr) - POOL_GUEST_BASE);
}

/* The peer knows of index 0, and finds nothing in rings and buffers. */
static void assert_new(const struct fake_vhost *b, unsigned int index)
{
	struct vring vr = ring_of(b, index);
	unsigned int i;

	assert_int_equal(b->rings[index].base, 0);
	assert_int_equal(vr.num, 64);
	assert_int_equal(vr.avail->flags, 0);
	assert_int_equal(vr.avail->idx, 0);
	/* with avail_event; what is to be received into is there, but not published yet */
	assert_true(is_zero(vr.used, sizeof(*vr.used) + vr.num * sizeof(vr.used->ring[0]) + 2));
	if (index % 2)
		assert_true(is_zero(vr.avail->ring, vr.num * sizeof(vr.avail->ring[0])));
	for (i = 0; i < vr.num; i++)
		assert_true(is_zero(buffer_of(b, &vr, i), le32toh(vr.desc[i].len)));
}

/* The peer uses the next buffer of ring @index, for 60 bytes and the header. */
static void use_one(const struct fake_vhost *b, unsigned int index)
{
	struct vring vr = ring_of(b, index);
	uint16_t head = le16toh(vr.avail->ring[0]);
	struct virtio_net_hdr_v1 hdr = { .num_buffers = htole16(1) };

	if (index % 2 == 0) {
		memset(buffer_of(b, &vr, head), 0xee, le32toh(vr.desc[head].len));
		memcpy(buffer_of(b, &vr, head), &hdr, sizeof(hdr));
	}
	vr.used->ring[0] = (struct vring_used_elem){
		.id = htole32(head),
		.len = htole32(index % 2 ? 0 : sizeof(hdr) + 60),
	};
	__atomic_store_n(&vr.used->idx, htole16(1), __ATOMIC_RELEASE);
}

/* A frame each way moves both indices of both rings. */
static void move(const struct fake_vhost *b)
{
	struct vq *rx = b->vport.vqs[0], *tx = b->vport.vqs[1];
	const struct virtio_net_hdr_v1 hdr = { 0 };
	struct iovec iov[FRAME_IOV_MAX];
	struct frame f;

	vq_flush(rx);
	assert_int_equal(le16toh(ring_of(b, 0).avail->idx), 64);
	use_one(b, 0);
	frame_init(&f, iov, FRAME_IOV_MAX, b->vport.ring_hdr_len);
	assert_int_equal(vq_take(rx, 0, &f), 1);
	assert_int_equal(f.len, 60);
	vq_give(rx, f.span, 0, NULL);
	vq_flush(rx);
	assert_int_equal(le16toh(ring_of(b, 0).avail->idx), 65);

	frame_init(&f, iov, FRAME_IOV_MAX, b->vport.ring_hdr_len);
	assert_int_equal(vq_take(tx, 60, &f), 1);
	memset(f.iov[1].iov_base, 0xee, 60);
	vq_give(tx, f.span, 60, &hdr);
	vq_flush(tx);
	assert_int_equal(le16toh(ring_of(b, 1).avail->idx), 1);
	use_one(b, 1);
	assert_int_equal(vq_quiesce(rx), 0);
	assert_int_equal(vq_quiesce(tx), 0);
}

/* Index 0, empty, and memory that nobody else has. */
static void test_rings_anew(void **state)
{
	struct fake_vhost *b = *state;
	ino_t inode[2];
	struct stat st;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(fake_vhost_bring_up(b), 0);
		assert_int_equal(fstat(b->device.rings.pool.fd, &st), 0);
		inode[i] = st.st_ino;
		assert_new(b, 0);
		assert_new(b, 1);
		assert_int_equal(b->vport.vqs[0]->broken, 0);
		move(b);
		b->vport.vqs[0]->broken = -EPROTO;
		device_forget(&b->device);
	}
	assert_true(inode[0] != inode[1]);
}

static void test_status_again(void **state)
{
	static const unsigned int moves[] = { STATUS_RESET, STATUS_ACKNOWLEDGE, STATUS_DRIVER,
					      STATUS_FEATURES_OK, STATUS_DRIVER_OK };
	struct fake_vhost *b = *state;
	unsigned int round, n;
	int i;

	for (round = 0; round < 2; round++) {
		b->n = 0;
		b->status = 0xff; /* left by whoever was there before */
		assert_int_equal(fake_vhost_bring_up(b), 0);
		for (i = 0, n = 0; i < b->n; i++)
			if (b->calls[i] == SET_STATUS)
				assert_int_equal(b->values[i], moves[n++]);
		assert_int_equal(n, ARRAY_SIZE(moves));
		device_forget(&b->device);
		assert_int_equal(b->vport.device_status, STATUS_RESET);
	}
}

/* As many as there can be: each ring has its own two, and waits on that of its number. */
static void test_eventfds(void **state)
{
	struct fake_vhost *b = *state;
	unsigned int i, k;

	b->device.config.pairs = b->vhost.max_pairs = 128;
	assert_int_equal(fake_vhost_bring_up(b), 0);
	assert_int_equal(b->vport.pairs, 128);
	for (i = 0; i < 256; i++) {
		const struct vq *vq = b->vport.vqs[i];

		assert_int_equal(vq->index, i);
		assert_int_equal(vq->direction, i % 2 ? VQ_SPACE : VQ_CONTENT);
		assert_int_equal(vq->notified_fd, b->call_fds[i]);
		assert_int_equal(vq->notify_fd, b->rings[i].kick_fd);
		assert_int_not_equal(b->call_fds[i], b->rings[i].kick_fd);
		for (k = 0; k < i; k++) {
			assert_int_not_equal(b->call_fds[i], b->call_fds[k]);
			assert_int_not_equal(b->rings[i].kick_fd, b->rings[k].kick_fd);
		}
	}
}

/* Whatever waits on it, the socket's flags are left as they are. */
static void test_socket_flags(void **state)
{
	const struct fdmsg_wait wait = fdmsg_wait_ms(5000, -1);
	struct peer *p = *state;
	int flags[] = { 0, O_NONBLOCK };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		int fd, copy;

		scripted_peer_start(p);
		fd = fdmsg_connect(p->path, SOCK_STREAM, &wait);
		assert_int_equal(fcntl(fd, F_SETFL, O_RDWR | flags[i]), 0);
		copy = dup(fd);
		assert_int_equal(p->v->ops->greet(fd), 0);
		p->v->accepted_fd = fd;
		assert_int_equal(scripted_peer_converse(p->v), 0);
		assert_int_equal(scripted_peer_hear(p->v), 0);
		assert_int_equal(fcntl(copy, F_GETFL) & O_NONBLOCK, flags[i]);
		close(copy);
		scripted_peer_stop(p);
	}
}

/* Closing what was never opened leaves alone what a zero would be the number of. */
static void test_standard_input(void **state)
{
	int null = open("/dev/null", O_RDWR), before = dup(STDIN_FILENO);
	struct rings rings = { 0 };
	struct vhost *v;

	(void)state;
	assert_true(null >= 0);
	assert_int_equal(dup2(null, STDIN_FILENO), STDIN_FILENO);
	rings_close(&rings);
	rings_close(&rings);
	v = vhost_user_new("/nonexistent/sock", 1, -1);
	v->ops->close(v);
	vhost_user_free(v);
	listener_close(NULL);
	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
	close(null);
	if (before >= 0)
		dup2(before, STDIN_FILENO);
	close(before);
}

static int up(void *owner __attribute__((unused)))
{
	return 0;
}

static void down(void *owner __attribute__((unused)))
{
}

/* One line says that there is no backend; the stops say nothing. */
static void test_stop_twice(void **state)
{
	static const struct vport_events events = { .up = up, .down = down };
	struct frontend_config config = {
		.vhost = vhost_user_new("/nonexistent/sock", 1, -1),
		.path = "/nonexistent/sock",
		.tag = "v0",
		.device = { .pairs = 1, .queue_size = 64 },
	};
	struct log_capture log;
	struct vport *vp;
	sd_event *event;
	int i;

	(void)state;
	log_capture_begin(&log);
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(frontend_open(&vp, event, &config, &events, NULL), 0);
	for (i = 0; i < 2; i++) {
		assert_int_equal(vp->ops->start(vp), 0);
		sd_event_run(event, 10000);
		sd_event_run(event, 10000); /* the attempt's end */
		vp->ops->stop(vp);
		vp->ops->stop(vp);
	}
	vp->ops->close(vp);
	sd_event_unref(event);
	vhost_user_free(config.vhost);
	log_capture_end(&log);
	assert_string_equal(log.text, "v0: waiting for the backend at /nonexistent/sock (No such "
				      "file or directory)\n");
}

static void test_one_tap(void **state)
{
	const struct tap_config config = { .name = "vhost%d", .pairs = 4 };
	struct rtnl *rt;
	struct kport *kp;
	unsigned int i;

	(void)state;
	assert_int_equal(rtnl_open(&rt), 0);
	assert_int_equal(tap_open(&config, &kp, NULL), 0);
	assert_string_equal(kp->name, "vhost0");
	assert_int_equal(netns_ifindex(rt, "vhost1"), 0);
	for (i = 0; i < 4; i++) {
		struct ifreq ifr = { 0 };

		assert_int_equal(ioctl(kp->fds[i], TUNGETIFF, &ifr), 0);
		assert_string_equal(ifr.ifr_name, "vhost0");
	}
	kp->ops->close(kp);
	rtnl_close(rt);
}

static void test_disabled_pair(void **state)
{
	static const unsigned int pairs[] = { 4, 1, 0, 3, 2, 4, 0, 4 };
	const struct tap_config config = { .name = "vnet0", .pairs = 4 };
	struct rtnl *rt;
	struct kport *kp;
	unsigned int ifindex;
	size_t i;

	(void)state;
	assert_int_equal(rtnl_open(&rt), 0);
	assert_int_equal(tap_open(&config, &kp, NULL), 0);
	ifindex = kp->ifindex;
	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		assert_int_equal(kp->ops->set_pairs(kp, pairs[i]), 0);
		assert_int_equal(netns_ifindex(rt, "vnet0"), ifindex);
	}
	kp->ops->close(kp);
	assert_int_equal(netns_ifindex(rt, "vnet0"), 0);
	rtnl_close(rt);
}

#define DEVICE(name) cmocka_unit_test_setup_teardown(name, fake_vhost_setup, fake_vhost_teardown)
#define PEER(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, scripted_peer_setup, scripted_peer_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_missing_path),
		DEVICE(test_status_is_two_things),
		DEVICE(test_features_anew),
		DEVICE(test_no_packed_ring),
		DEVICE(test_rings_anew),
		DEVICE(test_status_again),
		DEVICE(test_eventfds),
		PEER(test_socket_flags),
		cmocka_unit_test(test_standard_input),
		cmocka_unit_test(test_stop_twice),
	};
	const struct CMUnitTest with_interfaces[] = {
		NETNS_TEST(test_one_tap),
		NETNS_TEST(test_disabled_pair),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	if (!r)
		r = netns_unavailable();
	return r ? r : cmocka_run_group_tests(with_interfaces, NULL, NULL);
}
