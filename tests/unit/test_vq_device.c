/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device side of a ring against a driver that lies: each lie breaks the ring, once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "device_rig.h"

static void assert_broken(struct device_rig *rig, int error, const char *why, uint32_t value)
{
	assert_int_equal(device_rig_take(rig, 0, 60), error);
	assert_int_equal(rig->vq->broken, error);
	if (!strstr(rig->vq->why, why))
		fail_msg("\"%s\" does not say \"%s\"", rig->vq->why, why);
	assert_int_equal(rig->vq->why_value, value);
	assert_int_equal(vq_quiesce(rig->vq), 0);
	/* sticky */
	device_rig_offer_one(rig, 7, 100, rig->vq->direction == VQ_SPACE ? WRITE : 0);
	assert_int_equal(device_rig_take(rig, 1, 60), error);
	assert_int_equal(rig->vq->why_value, value);
	vq_flush(rig->vq);
	assert_int_equal(device_rig_used_idx(rig), 0);
}

/* ---- open ---- */

static void test_open_refuses_wrong_sizes(void **state)
{
	static const uint16_t wrong[] = { 0, 1, 3, 100, 32769, 65535 };
	struct device_rig *rig = *state;
	struct vq_device_config c = device_rig_config(rig, VQ_CONTENT, V1);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		c.num = wrong[i];
		assert_int_equal(vq_device_open(&rig->vq, &rig->memory, &c), -EINVAL);
		assert_null(rig->vq);
	}
}

static void refuses_addrs(struct device_rig *rig, uint64_t d, uint64_t avail, uint64_t used)
{
	struct vq_device_config c = device_rig_config(rig, VQ_CONTENT, V1);

	c.desc = d ? d : c.desc;
	c.avail = avail ? avail : c.avail;
	c.used = used ? used : c.used;
	assert_int_equal(vq_device_open(&rig->vq, &rig->memory, &c), -EFAULT);
	assert_null(rig->vq);
}

static void test_open_refuses_rings_outside_the_memory(void **state)
{
	const uint64_t end = USER + REGION;
	struct device_rig *rig = *state;

	refuses_addrs(rig, LOW, 0, 0); /* a guest address is none of the process */
	refuses_addrs(rig, end, 0, 0);
	refuses_addrs(rig, end - NUM * 16 + 16, 0, 0);
	refuses_addrs(rig, 0, end - 4 - NUM * 2, 0); /* no room for used_event */
	refuses_addrs(rig, 0, 0, end - 4 - NUM * 8);
	refuses_addrs(rig, USER - 16, 0, 0);
	refuses_addrs(rig, UINT64_MAX - 15, 0, 0);
}

static void test_open_refuses_unaligned_rings(void **state)
{
	struct device_rig *rig = *state;

	refuses_addrs(rig, USER + 8, 0, 0);
	refuses_addrs(rig, 0, USER + 0x801, 0);
	refuses_addrs(rig, 0, 0, USER + 0x1002);
	/* aligned by its own account alone */
	rig->memory.regions[0].userspace_addr += 1;
	refuses_addrs(rig, USER + 16, USER + 0x800, USER + 0x1000);
}

/* ---- a dishonest driver ---- */

static void test_available_index_jumps(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1);

	rig->ring.vr.avail->idx = ring16(&rig->ring, NUM + 1);
	assert_broken(rig, -EPROTO, "index jumped", NUM + 1);
}

static void test_head_out_of_range(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1);

	device_rig_offer(rig, NUM);
	assert_broken(rig, -EPROTO, "head out of range", NUM);
}

static void test_head_twice(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1);

	device_rig_offer_one(rig, 3, 72, 0);
	device_rig_offer(rig, 3);
	assert_int_equal(device_rig_take(rig, 2, 0), 1);
	assert_int_equal(device_rig_take(rig, 3, 0), -EPROTO);
	assert_int_equal(rig->vq->why_value, 3);
	vq_untake(rig->vq, rig->frames[2].span);
	assert_broken(rig, -EPROTO, "offered twice", 3);
}

static void test_head_twice_in_one_frame(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_SPACE, MRG);

	device_rig_offer_one(rig, 3, 20, WRITE);
	device_rig_offer(rig, 3);
	assert_broken(rig, -EPROTO, "offered twice", 3);
}

static void test_chain_loops(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1);

	device_rig_desc(rig, 0, BUFFERS, 12, NEXT, 1);
	device_rig_desc(rig, 1, BUFFERS + 12, 10, NEXT, 2);
	device_rig_desc(rig, 2, BUFFERS + 22, 10, NEXT, 1);
	device_rig_offer(rig, 0);
	assert_broken(rig, -ELOOP, "without end", 0);
}

static void test_chain_of_itself(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_SPACE, V1);

	device_rig_desc(rig, 5, BUFFERS, 100, WRITE | NEXT, 5);
	device_rig_offer(rig, 5);
	assert_broken(rig, -ELOOP, "without end", 5);
}

static void test_next_out_of_range(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1);

	device_rig_desc(rig, 0, BUFFERS, 100, NEXT, NUM);
	device_rig_offer(rig, 0);
	assert_broken(rig, -EPROTO, "descriptor out of range", NUM);
}

static void test_writable_descriptor_to_read(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1);

	device_rig_offer_one(rig, 1, 100, WRITE);
	assert_broken(rig, -EPROTO, "wrong direction", 1);
}

static void test_readable_descriptor_to_write(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_SPACE, MRG);

	device_rig_desc(rig, 1, BUFFERS, 100, WRITE | NEXT, 2);
	device_rig_desc(rig, 2, BUFFERS, 100, 0, 0);
	device_rig_offer(rig, 1);
	assert_broken(rig, -EPROTO, "wrong direction", 2);
}

static void test_indirect_descriptor(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1);

	device_rig_offer_one(rig, 1, 64, VRING_DESC_F_INDIRECT);
	assert_broken(rig, -EPROTO, "indirect", 1);
}

static void outside(void **state, uint64_t addr, uint32_t len)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1);

	device_rig_desc(rig, 4, addr, len, 0, 0);
	device_rig_offer(rig, 4);
	assert_broken(rig, -EFAULT, "outside the shared memory", 4);
}

static void test_address_below_the_memory(void **state)
{
	outside(state, LOW - 1, 100);
}

static void test_address_behind_the_memory(void **state)
{
	outside(state, LOW + REGION, 100);
}

static void test_address_of_zero(void **state)
{
	outside(state, 0, 100);
}

static void test_address_of_our_own(void **state)
{
	struct device_rig *rig = *state;

	outside(state, (uintptr_t)rig->memory.regions[0].base, 100);
}

static void test_address_partly_before_the_memory(void **state)
{
	outside(state, LOW - 10, 100);
}

static void test_address_partly_behind_the_memory(void **state)
{
	outside(state, LOW + REGION - 99, 100);
}

static void test_address_wraps(void **state)
{
	outside(state, UINT64_MAX - 98, 100);
}

static void test_length_of_the_whole_address_space(void **state)
{
	outside(state, BUFFERS, UINT32_MAX);
}

static void test_length_zero(void **state)
{
	outside(state, BUFFERS, 0);
}

static void test_header_too_short(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1);

	device_rig_desc(rig, 0, BUFFERS, 11, NEXT, 1);
	device_rig_desc(rig, 1, BUFFERS + 11, 100, 0, 0);
	device_rig_offer(rig, 0);
	assert_broken(rig, -EPROTO, "too short for the header", 0);
}

static void test_header_asks_for_what_was_not_negotiated(void **state)
{
	struct virtio_net_hdr_v1 hdr = { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1 };
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1 | FEATURE_NET(GUEST_TSO4));

	memcpy(device_rig_at(rig, BUFFERS), &hdr, sizeof(hdr));
	device_rig_offer_one(rig, 0, 72, 0);
	assert_broken(rig, -EPROTO, "not negotiated", 60);
}

/* More pieces than the caller has iovecs for. */
static void test_too_many_descriptors(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1);
	struct iovec iovs[4];
	struct frame f;
	uint16_t i;

	for (i = 0; i < 5; i++)
		device_rig_desc(rig, i, BUFFERS + 0x100u * i, 100, NEXT, (uint16_t)(i + 1));
	device_rig_desc(rig, 4, BUFFERS, 100, 0, 0);
	device_rig_offer(rig, 0);
	frame_init(&f, iovs, 4, 12);
	assert_int_equal(vq_take(rig->vq, 0, &f), -E2BIG);
	assert_broken(rig, -E2BIG, "too many descriptors", 3);
}

static void test_frame_too_long(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1);

	device_rig_desc(rig, 0, BUFFERS, 12 + 0x8000, NEXT, 1);
	device_rig_desc(rig, 1, BUFFERS, FRAME_LEN_MAX - 0x8000 + 1, 0, 0);
	device_rig_offer(rig, 0);
	assert_broken(rig, -EPROTO, "longer than any", 1);
}

/* Lengths whose sum is small in 32 bits; the memory of a large guest allows each. */
static void test_frame_length_does_not_wrap(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_CONTENT, V1);

	rig->memory.regions[0].size = UINT64_C(1) << 33; /* nothing of it is touched */
	device_rig_desc(rig, 0, BUFFERS, 12, NEXT, 1);
	device_rig_desc(rig, 1, BUFFERS, UINT32_C(0x80000000), NEXT, 2);
	device_rig_desc(rig, 2, BUFFERS, UINT32_C(0x80000000), NEXT, 3);
	device_rig_desc(rig, 3, BUFFERS, 60, 0, 0);
	device_rig_offer(rig, 0);
	assert_broken(rig, -EPROTO, "longer than any", 1);
}

static void test_not_mergeable_and_too_small(void **state)
{
	struct device_rig *rig = device_rig_open(state, VQ_SPACE, V1);

	device_rig_offer_one(rig, 0, 71, WRITE); /* 59 and a header */
	assert_broken(rig, -EMSGSIZE, "too small", 59);
}

#define T(name) cmocka_unit_test_setup_teardown(name, device_rig_setup, device_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_open_refuses_wrong_sizes),
		T(test_open_refuses_rings_outside_the_memory),
		T(test_open_refuses_unaligned_rings),
		T(test_available_index_jumps),
		T(test_head_out_of_range),
		T(test_head_twice),
		T(test_head_twice_in_one_frame),
		T(test_chain_loops),
		T(test_chain_of_itself),
		T(test_next_out_of_range),
		T(test_writable_descriptor_to_read),
		T(test_readable_descriptor_to_write),
		T(test_indirect_descriptor),
		T(test_address_below_the_memory),
		T(test_address_behind_the_memory),
		T(test_address_of_zero),
		T(test_address_of_our_own),
		T(test_address_partly_before_the_memory),
		T(test_address_partly_behind_the_memory),
		T(test_address_wraps),
		T(test_length_of_the_whole_address_space),
		T(test_length_zero),
		T(test_header_too_short),
		T(test_header_asks_for_what_was_not_negotiated),
		T(test_too_many_descriptors),
		T(test_frame_too_long),
		T(test_frame_length_does_not_wrap),
		T(test_not_mergeable_and_too_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
