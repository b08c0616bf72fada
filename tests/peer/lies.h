/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What misbehave.c and ring_lies.c share: the lies, and a ring as it is written to by hand. */
#ifndef LIES_H
#define LIES_H

#include "peer.h"
#include "virtio/ring.h"

enum lie_kind {
	/* around an answer; the argument is the request */
	LIE_HANG_AT,
	LIE_CLOSE_AT,
	LIE_TRUNCATE_REPLY,
	LIE_OVERSIZE_REPLY,
	LIE_WRONG_REPLY,
	LIE_DOUBLE_REPLY,
	LIE_REPLY_FD,
	LIE_NACK,
	LIE_SLOW_AT,
	LIE_ASK_FIRST,
	/* anywhere on the socket */
	LIE_GARBAGE,
	LIE_TRUNCATE_MEMORY,
	LIE_COUNT_RINGS,
	LIE_USED_DISABLED,
	LIE_USED_SWITCHED_OFF,
	/* the argument is a number */
	LIE_QUEUE_NUM,
	LIE_SLOW,
	LIE_NUM_BUFFERS,
	/* in the rings, once frames have passed */
	LIE_FIRST_IN_RINGS,
};

struct raw;

struct lie {
	const char *name;
	enum lie_kind kind;
	void (*in_rings)(struct device *d, struct raw *raw);
};

/* One of the driver's rings as the peer has it mapped. */
struct raw {
	struct vring vr;
	const struct device *device;
	uint16_t avail; /* next available entry */
	uint16_t used;  /* next used entry */
	uint8_t hdr_len;
};

/* Those of LIE_FIRST_IN_RINGS; a row without a name is the last one. */
extern const struct lie ring_lies[];

/* Ring @index, of which the peer has taken @avail entries. */
void raw_open(struct raw *raw, const struct device *d, unsigned int index, uint16_t avail);
/* Where the peer has what the driver calls @addr, by its guest's addresses or its own. */
void *raw_mapped(const struct device *d, uint64_t addr, bool guest);
uint32_t raw_next_head(struct raw *raw);
void raw_used_jump(struct device *d, struct raw *raw);

#endif
