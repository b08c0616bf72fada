/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 *   outside ── socketpair ── worker ── rings ── reflector, or the test by hand
 *
 * Two pairs of it, for the tests of a worker.
 */
#ifndef WORKER_RIG_H
#define WORKER_RIG_H

#include "engine/worker.h"
#include "engine_rig.h"

#define WORKER_RIG_PAIRS       2u
#define WORKER_RIG_PATIENCE_MS 60000

#define WORKER_RIG_COUNTERS (sizeof(struct lane_counters) / sizeof(uint64_t))

struct worker_rig {
	struct fake_kport ports[WORKER_RIG_PAIRS]; /* the first is the port, with both their fds */
	int fds[WORKER_RIG_PAIRS];
	struct ring_pair rings[WORKER_RIG_PAIRS];
	struct reflector reflectors[WORKER_RIG_PAIRS];
	struct worker_config config; /* of the worker to be opened; for both pairs, short idle */
	struct worker *w;
	uint64_t noted[WORKER_RIG_PAIRS][2][WORKER_RIG_COUNTERS]; /* at the last stop */
};

/* For cmocka, whose state says which way frames pass: "plain", "uring" or NULL. */
int worker_rig_setup(void **state);
int worker_rig_teardown(void **state);

void worker_rig_open(struct worker_rig *b);
void worker_rig_close(struct worker_rig *b); /* safe to repeat */
void worker_rig_start(struct worker_rig *b, unsigned int i);
/* Stops the pair: nothing is in hand then, and no counter has gone back. */
void worker_rig_stop(struct worker_rig *b, unsigned int i);

/* Other rings for a pair that is stopped; its reflector ends with the old ones. */
void worker_rig_new_rings(struct worker_rig *b, unsigned int i, uint16_t num, uint64_t features);
void worker_rig_reflect(struct worker_rig *b, unsigned int i);

/* Frames [from, to) go in and come back in order, a few at a time. */
void worker_rig_round_trips(struct worker_rig *b, unsigned int i, uint32_t from, uint32_t to);

/* Waits until a counter has come as far. */
void worker_rig_await(const uint64_t *counter, uint64_t at_least);

/* The offered features: what any peer has, and as little as there can be. */
#define WORKER_RIG_FEATURES                                                                        \
	(FEATURE(F_VERSION_1) | FEATURE_NET(MRG_RXBUF) | FEATURE(RING_F_EVENT_IDX))
#define WORKER_RIG_FEW_FEATURES FEATURE(F_VERSION_1)

#define WORKER_RIG_TEST(f) cmocka_unit_test_setup_teardown(f, worker_rig_setup, worker_rig_teardown)
#define WORKER_RIG_PLAIN(f)                                                                        \
	{                                                                                          \
		#f " (plain)", f, worker_rig_setup, worker_rig_teardown, "plain"                   \
	}
#define WORKER_RIG_URING(f)                                                                        \
	{                                                                                          \
		#f " (uring)", f, worker_rig_setup, worker_rig_teardown, "uring"                   \
	}

#endif
