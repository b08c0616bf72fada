/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A lane between a ring that is none and a socketpair, for its tests. */
#ifndef LANE_RIG_H
#define LANE_RIG_H

#include "engine/lane.h"
#include "engine_rig.h"

struct lane_rig {
	struct fake_kport port;
	struct fake_vq q;
	struct io *io;
	struct lane lane;
};

/* For cmocka, whose state says which way frames pass: "plain" or "uring". */
int lane_rig_setup(void **state);
int lane_rig_teardown(void **state);
/* A lane with a ring that has @ready tokens; once a bench, or after fake_vq_close. */
struct lane_rig *lane_rig_begin(void **state, enum vq_direction direction, unsigned int ready);
/* Bytes of frames [from, to). */
uint64_t lane_rig_bytes(uint32_t from, uint32_t to);
/* Nothing in hand, nothing out of order. */
void lane_rig_assert_sound(struct lane_rig *b);
/* These frames came out of the socket, and no other before them. */
void lane_rig_assert_outside(struct lane_rig *b, uint32_t from, uint32_t to);
/* These frames were given to the ring, the first as number @at of those given. */
void lane_rig_assert_ring(struct lane_rig *b, unsigned int at, uint32_t from, uint32_t to);
/* @n frames were lost for @reason, none for another. */
void lane_rig_assert_drops(struct lane_rig *b, enum lane_drop reason, unsigned int n);
/* The outside sends frames [from, to). */
void lane_rig_put(struct lane_rig *b, uint32_t from, uint32_t to);

#define LANE_RIG_PLAIN(f)                                                                          \
	{                                                                                          \
		#f " (plain)", f, lane_rig_setup, lane_rig_teardown, "plain"                       \
	}
#define LANE_RIG_URING(f)                                                                          \
	{                                                                                          \
		#f " (uring)", f, lane_rig_setup, lane_rig_teardown, "uring"                       \
	}

#endif
