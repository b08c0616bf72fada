/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lane_rig.h"

int lane_rig_setup(void **state)
{
	int (*open)(struct io **, struct kport *, unsigned int) =
		strcmp(*state, "uring") ? io_plain_open : uring_open;
	struct lane_rig *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	fake_kport_open(&b->port);
	assert_int_equal(open(&b->io, &b->port.kport, 0), 0);
	assert_string_equal(b->io->name, *state);
	*state = b;
	return 0;
}

int lane_rig_teardown(void **state)
{
	struct lane_rig *b = *state;

	io_close(b->io);
	fake_kport_close(&b->port);
	fake_vq_close(&b->q);
	free(b);
	return 0;
}

struct lane_rig *lane_rig_begin(void **state, enum vq_direction direction, unsigned int ready)
{
	struct lane_rig *b = *state;

	fake_vq_open(&b->q, direction, ready);
	lane_start(&b->lane, &b->q.vq, b->io, b->port.kport.hdr_len);
	return b;
}

uint64_t lane_rig_bytes(uint32_t from, uint32_t to)
{
	uint64_t bytes = 0;

	for (; from < to; from++)
		bytes += rig_frame_len(from);
	return bytes;
}

/* Nothing in hand, nothing out of order. */
void lane_rig_assert_sound(struct lane_rig *b)
{
	if (b->q.violation)
		fail_msg("%s", b->q.violation);
	assert_int_equal(vq_quiesce(&b->q.vq), 0);
	assert_int_equal(b->q.ngiven, b->q.flushed);
}

void lane_rig_assert_outside(struct lane_rig *b, uint32_t from, uint32_t to)
{
	struct virtio_net_hdr_v1 hdr;

	for (; from < to; from++) {
		assert_int_equal(fake_kport_get(&b->port, 0, &hdr), from);
		assert_int_equal(hdr.gso_size, from);
	}
}

void lane_rig_assert_ring(struct lane_rig *b, unsigned int at, uint32_t from, uint32_t to)
{
	for (; from < to; from++, at++) {
		const struct fake_token *t = &b->q.tokens[b->q.given[at]];

		assert_true(at < b->q.ngiven);
		assert_int_equal(rig_frame_number(t->data, t->len), from);
		assert_int_equal(t->hdr.gso_size, from);
		assert_int_equal(t->hdr.num_buffers, 0);
	}
}

void lane_rig_assert_drops(struct lane_rig *b, enum lane_drop reason, unsigned int n)
{
	int i;

	for (i = 0; i < LANE_DROPS; i++)
		assert_int_equal(b->lane.counters.drops[i], i == (int)reason ? n : 0);
}

void lane_rig_put(struct lane_rig *b, uint32_t from, uint32_t to)
{
	for (; from < to; from++)
		assert_true(fake_kport_put(&b->port, from, true));
}
