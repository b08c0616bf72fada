/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The driver side of a ring against a peer that lies: each lie breaks the ring, once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "ring_rig.h"

#define V1 FEATURE(F_VERSION_1)
#define MRG (V1 | FEATURE_NET(MRG_RXBUF))
#define BUFFER 4160u /* of a mergeable receive queue: an odd number of cache lines */

/* A receive queue whose buffers the peer has. */
static struct ring_rig *receive_queue(void **state, uint16_t num, uint64_t features)
{
	struct ring_rig *rig = *state;

	assert_int_equal(ring_rig_open(rig, VQ_CONTENT, num, features), 0);
	vq_flush(rig->vq);
	return rig;
}

/* A transmit queue with frames of 60 bytes sent in its first @sent buffers. */
static struct ring_rig *transmit_queue(void **state, uint16_t num, uint64_t features,
				       unsigned int sent)
{
	struct virtio_net_hdr_v1 hdr = { 0 };
	struct ring_rig *rig = *state;

	assert_int_equal(ring_rig_open(rig, VQ_SPACE, num, features), 0);
	while (sent-- > 0) {
		assert_int_equal(ring_rig_take(rig, 0, 60), 1);
		vq_give(rig->vq, rig->frames[0].span, 60, &hdr);
	}
	vq_flush(rig->vq);
	return rig;
}

/* The ring is broken for this reason and stays so, whatever the peer does next. */
static void assert_broken(struct ring_rig *rig, const char *why, uint32_t value)
{
	int error = ring_rig_take(rig, 0, 0);

	assert_true(error < 0);
	assert_int_equal(rig->vq->broken, error);
	assert_non_null(rig->vq->why);
	if (!strstr(rig->vq->why, why))
		fail_msg("\"%s\" does not say \"%s\"", rig->vq->why, why);
	assert_int_equal(rig->vq->why_value, value);
	assert_int_equal(vq_quiesce(rig->vq), 0);

	ring_rig_publish_at(rig, (uint16_t)(rig->used_idx + 1000));
	assert_int_equal(ring_rig_take(rig, 1, 0), error);
	ring_rig_publish_at(rig, 0);
	assert_int_equal(ring_rig_take(rig, 1, 0), error);
	assert_int_equal(rig->vq->why_value, value);
	assert_non_null(strstr(rig->vq->why, why));
}

/* ---- lies about the used ring ---- */

static void test_used_index_jumps(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);

	ring_rig_publish_at(rig, 9);
	assert_broken(rig, "jumped", 9);
}

static void test_used_index_jumps_by_half_a_turn(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);

	ring_rig_publish_at(rig, 0x8000);
	assert_broken(rig, "jumped", 0x8000);
}

/* What was given back, but not told yet, cannot have been used. */
static void test_used_index_beyond_what_was_told(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);

	assert_int_equal(ring_rig_fill(rig, 1, 60, 0), 0);
	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 0, 0), 1);
	vq_give(rig->vq, rig->frames[0].span, 0, NULL);
	ring_rig_publish_at(rig, 9);
	assert_broken(rig, "jumped", 9);
}

static void test_used_index_goes_back(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);

	assert_true(ring_rig_fill(rig, 1, 60, 1) >= 0);
	assert_true(ring_rig_fill(rig, 1, 60, 2) >= 0);
	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 2, 0), 1);
	assert_int_equal(ring_rig_take(rig, 3, 0), 1);
	vq_give(rig->vq, rig->frames[2].span, 0, NULL);
	vq_give(rig->vq, rig->frames[3].span, 0, NULL);
	ring_rig_publish_at(rig, 1);
	assert_broken(rig, "jumped", 1); /* seen from here: nearly a whole turn ahead */
}

/* Not below what was read, but below what it had said before. */
static void test_used_index_goes_back_within_what_is_unread(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);

	assert_true(ring_rig_fill(rig, 4, 60, 1) >= 0);
	assert_true(ring_rig_fill_more(rig, 60, 1) >= 0);
	assert_true(ring_rig_fill_more(rig, 60, 1) >= 0);
	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 0, 0), 0); /* 3 of 4: withheld */
	ring_rig_publish_at(rig, 2);
	assert_broken(rig, "went back", 2);
}

static void test_transmit_used_index_jumps(void **state)
{
	struct ring_rig *rig = transmit_queue(state, 8, V1, 3);

	ring_rig_publish_at(rig, 4);
	assert_broken(rig, "jumped", 4);
}

static void test_id_out_of_range(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);

	ring_rig_use(rig, 8, 72);
	ring_rig_publish(rig);
	assert_broken(rig, "out of range", 8);
}

static void test_id_far_out_of_range(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);

	ring_rig_use(rig, 0x10000, 72); /* 0 in 16 bits */
	ring_rig_publish(rig);
	assert_broken(rig, "out of range", 0x10000);
}

/* The second descriptor of a token is no head. */
static void test_id_of_the_second_descriptor(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, 0);

	ring_rig_use(rig, 3, 70);
	ring_rig_publish(rig);
	assert_broken(rig, "out of range", 3);
}

static void test_id_beyond_the_tokens_of_two_descriptors(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, 0);

	ring_rig_use(rig, 8, 70);
	ring_rig_publish(rig);
	assert_broken(rig, "out of range", 8);
}

static void test_id_repeated(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);
	int head = ring_rig_fill(rig, 1, 60, 1);

	ring_rig_use(rig, (uint32_t)head, 72);
	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 2, 0), 1);
	vq_untake(rig->vq, rig->frames[2].span);
	assert_int_equal(ring_rig_take(rig, 2, 0), 1);
	assert_int_equal(ring_rig_take(rig, 3, 0), -EPROTO);
	vq_give(rig->vq, rig->frames[2].span, 0, NULL);
	assert_broken(rig, "did not hold", (uint32_t)head);
}

static void test_id_repeated_in_one_group(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);
	int head = ring_rig_fill(rig, 2, 60, 1);

	ring_rig_use(rig, (uint32_t)head, 72);
	ring_rig_publish(rig);
	assert_broken(rig, "did not hold", (uint32_t)head);
}

/* Taken by us and not yet given: the index alone would allow one more. */
static void test_id_of_a_token_in_our_hands(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);
	int head = ring_rig_fill(rig, 1, 60, 1);

	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 2, 0), 1);
	ring_rig_use(rig, (uint32_t)head, 72);
	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 3, 0), -EPROTO);
	assert_int_equal(vq_quiesce(rig->vq), 1);
	vq_give(rig->vq, rig->frames[2].span, 0, NULL); /* still accepted: the frame was good */
	assert_broken(rig, "did not hold", (uint32_t)head);
}

static void test_transmit_id_never_sent(void **state)
{
	struct ring_rig *rig = transmit_queue(state, 8, V1, 2);

	ring_rig_use(rig, 5, 0);
	ring_rig_publish(rig);
	assert_broken(rig, "did not hold", 5);
}

static void test_transmit_id_repeated(void **state)
{
	struct ring_rig *rig = transmit_queue(state, 8, V1, 2);

	ring_rig_use(rig, 0, 0);
	ring_rig_use(rig, 0, 0);
	ring_rig_publish(rig);
	assert_broken(rig, "did not hold", 0);
}

/* ---- lies about lengths ---- */

static void use_first(struct ring_rig *rig, uint32_t len)
{
	ring_rig_use(rig, (uint32_t)ring_rig_next(rig), len);
	ring_rig_publish(rig);
}

static void test_length_zero(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);

	use_first(rig, 0);
	assert_broken(rig, "too short", 0);
}

static void test_length_short_of_the_header(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);

	use_first(rig, 11);
	assert_broken(rig, "too short", 11);
}

/* The length is looked at before the header that it says is not there. */
static void test_length_short_and_stale_header(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);

	assert_true(ring_rig_fill(rig, 5, 60, 1) >= 0);
	rig->ring.vr.used->ring[0].len = ring32(&rig->ring, 11);
	ring_rig_publish(rig);
	assert_broken(rig, "too short", 11);
}

static void test_length_short_of_the_legacy_header(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, FEATURE(F_ANY_LAYOUT));

	use_first(rig, 9);
	assert_broken(rig, "too short", 9);
}

static void test_length_zero_inside_a_group(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);

	assert_true(ring_rig_fill(rig, 2, 60, 1) >= 0);
	use_first(rig, 0);
	assert_broken(rig, "too short", 0);
}

static void test_length_beyond_the_buffer(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);

	assert_true(ring_rig_fill(rig, 1, 60, 1) >= 0);
	rig->ring.vr.used->ring[0].len = ring32(&rig->ring, BUFFER + 1);
	ring_rig_publish(rig);
	assert_broken(rig, "beyond the buffer", BUFFER + 1);
}

static void test_length_of_32_bits(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, V1);

	use_first(rig, UINT32_MAX);
	assert_broken(rig, "beyond the buffer", UINT32_MAX);
}

static void test_frame_too_long_in_one_buffer(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, V1);

	use_first(rig, 12 + FRAME_LEN_MAX + 1);
	assert_broken(rig, "longer than any", FRAME_LEN_MAX + 1);
}

static void test_frame_too_long_in_a_group(void **state)
{
	struct ring_rig *rig = receive_queue(state, 64, MRG);
	unsigned int i;

	assert_true(ring_rig_fill(rig, 16, BUFFER - 12, 1) >= 0);
	for (i = 1; i < 16; i++)
		assert_true(ring_rig_fill_more(rig, BUFFER, 1) >= 0);
	ring_rig_publish(rig);
	assert_broken(rig, "longer than any", 16 * BUFFER - 12);
}

/* One frame in more pieces than any writev of ours has room for. */
static void test_frame_scattered_over_too_many_buffers(void **state)
{
	struct ring_rig *rig = receive_queue(state, 128, MRG);
	unsigned int i;

	assert_true(ring_rig_fill(rig, FRAME_IOV_MAX, 14, 1) >= 0);
	for (i = 1; i < FRAME_IOV_MAX; i++)
		assert_true(ring_rig_fill_more(rig, 1, 1) >= 0);
	ring_rig_publish(rig);
	assert_broken(rig, "too many buffers", FRAME_IOV_MAX);
}

/* ---- lies in headers ---- */

static void test_num_buffers_zero(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);

	assert_true(ring_rig_fill(rig, 0, 60, 1) >= 0);
	ring_rig_publish(rig);
	assert_broken(rig, "number of buffers", 0);
}

static void test_num_buffers_more_than_the_peer_has(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);

	assert_true(ring_rig_fill(rig, 9, 60, 1) >= 0);
	ring_rig_publish(rig);
	assert_broken(rig, "number of buffers", 9);
}

/* What we hold, the peer cannot fill: such a group would be waited for in vain. */
static void test_num_buffers_counts_only_what_is_outstanding(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);

	assert_true(ring_rig_fill(rig, 1, 60, 1) >= 0);
	assert_true(ring_rig_fill(rig, 8, 60, 1) >= 0);
	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 2, 0), 1);
	assert_int_equal(ring_rig_take(rig, 3, 0), -EPROTO);
	vq_give(rig->vq, rig->frames[2].span, 0, NULL);
	assert_broken(rig, "number of buffers", 8);
}

static void broken_by_header(void **state, uint64_t features, const struct virtio_net_hdr_v1 *hdr,
			     const char *why)
{
	struct ring_rig *rig = receive_queue(state, 8, features);
	int head = ring_rig_fill(rig, 1, 60, 1);

	memcpy(ring_rig_memory(rig, (uint32_t)head, NULL), hdr, rig->ring.hdr_len);
	ring_rig_publish(rig);
	assert_broken(rig, why, 60);
}

static void test_header_checksum_outside_the_packet(void **state)
{
	struct virtio_net_hdr_v1 hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = htole16(50),
		.csum_offset = htole16(9),
		.num_buffers = htole16(1),
	};

	broken_by_header(state, MRG | FEATURE_NET(GUEST_CSUM), &hdr, "outside the packet");
}

static void test_header_checksum_not_negotiated(void **state)
{
	struct virtio_net_hdr_v1 hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = htole16(14),
		.num_buffers = htole16(1),
	};

	broken_by_header(state, MRG | FEATURE_NET(CSUM), &hdr, "not negotiated");
}

static void test_header_segmentation_not_negotiated(void **state)
{
	struct virtio_net_hdr_v1 hdr = {
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.gso_size = htole16(1448),
		.num_buffers = htole16(1),
	};

	broken_by_header(state, MRG | FEATURE_NET(GUEST_CSUM), &hdr, "not negotiated");
}

static void test_header_segmentation_of_nothing(void **state)
{
	struct virtio_net_hdr_v1 hdr = {
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.num_buffers = htole16(1),
	};

	broken_by_header(state, MRG | FEATURE_NET(GUEST_CSUM) | FEATURE_NET(GUEST_TSO4), &hdr,
			 "size of 0");
}

/* What is checked is a copy: later scribbling reaches neither header nor length. */
static void test_header_is_a_copy(void **state)
{
	struct ring_rig *rig = receive_queue(state, 8, MRG);
	struct frame *f = &rig->frames[0];
	int head = ring_rig_fill(rig, 1, 60, 7);

	ring_rig_publish(rig);
	assert_int_equal(ring_rig_take(rig, 0, 0), 1);
	memset(ring_rig_memory(rig, (uint32_t)head, NULL), 0xff, rig->ring.hdr_len);
	memset(rig->ring.vr.desc, 0xff, 8 * sizeof(struct vring_desc));
	memset(rig->ring.vr.used->ring, 0xff, 8 * sizeof(struct vring_used_elem));
	assert_int_equal(f->hdr.flags, 0);
	assert_int_equal(f->hdr.gso_type, 0);
	assert_int_equal(f->len, 60);
	assert_int_equal(f->iovcnt, 2);
	assert_int_equal(f->iov[1].iov_len, 60);
	assert_int_equal(((uint8_t *)f->iov[1].iov_base)[59], 7);
	vq_give(rig->vq, f->span, 0, NULL);
	assert_int_equal(vq_quiesce(rig->vq), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, ring_rig_setup, ring_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_used_index_jumps),
		T(test_used_index_jumps_by_half_a_turn),
		T(test_used_index_beyond_what_was_told),
		T(test_used_index_goes_back),
		T(test_used_index_goes_back_within_what_is_unread),
		T(test_transmit_used_index_jumps),
		T(test_id_out_of_range),
		T(test_id_far_out_of_range),
		T(test_id_of_the_second_descriptor),
		T(test_id_beyond_the_tokens_of_two_descriptors),
		T(test_id_repeated),
		T(test_id_repeated_in_one_group),
		T(test_id_of_a_token_in_our_hands),
		T(test_transmit_id_never_sent),
		T(test_transmit_id_repeated),
		T(test_length_zero),
		T(test_length_short_of_the_header),
		T(test_length_short_and_stale_header),
		T(test_length_short_of_the_legacy_header),
		T(test_length_zero_inside_a_group),
		T(test_length_beyond_the_buffer),
		T(test_length_of_32_bits),
		T(test_frame_too_long_in_one_buffer),
		T(test_frame_too_long_in_a_group),
		T(test_frame_scattered_over_too_many_buffers),
		T(test_num_buffers_zero),
		T(test_num_buffers_more_than_the_peer_has),
		T(test_num_buffers_counts_only_what_is_outstanding),
		T(test_header_checksum_outside_the_packet),
		T(test_header_checksum_not_negotiated),
		T(test_header_segmentation_not_negotiated),
		T(test_header_segmentation_of_nothing),
		T(test_header_is_a_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
