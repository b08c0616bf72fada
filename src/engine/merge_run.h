/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What merging is inside: merge_batch.c (flows and units), merge_rules.c (what may join a unit),
 * merge_build.c (superframes). merge_batch.c tells how it works. */
#ifndef ENGINE_MERGE_RUN_H
#define ENGINE_MERGE_RUN_H

#include <string.h>

#include "base/uapi.h"
#include "engine/headers.h"
#include "engine/merge.h"

#define MERGE_BUCKETS  1024u /* of the flow table, a power of two */
#define MERGE_COPY_MAX 256u  /* payloads up to this are copied together */

/* The TCP flags that only a unit's last member may have. */
#define MERGE_TCP_LAST (TCP_FLAG_FIN | TCP_FLAG_PSH)

/* What is known of the packets of a unit, units[i] by its side. */
struct run {
	struct headers h;
	bool open;	      /* may grow */
	bool verified;	      /* its members' checksums are right */
	uint8_t *p;	      /* the first member's headers */
	uint8_t id_step;      /* from one IPv4 id to the next, once there are two members: 0 or 1 */
	uint16_t first, last; /* members, by place */
	uint16_t members;
	uint16_t older;	      /* unit in the same bucket */
	uint16_t size;	      /* bytes of payload in each member but the last */
	uint16_t members_max; /* for which there is room in one packet */
	uint32_t bytes;	      /* of payload in all */
	uint32_t last_flags;  /* MERGE_TCP_LAST of the last member */
	uint32_t next_seq;    /* TCP: of the next member */
	uint16_t next_id;     /* IPv4: of the next member; the first one's until there are two */

	/* of the first member, once verified */
	uint32_t pseudo;      /* sum of the pseudo-header, without the length */
	uint16_t network_sum; /* IPv4: sum of all that differs among members */
};

/* A copy of a packet's headers, aligned behind its Ethernet header. */
#define MERGE_HEADERS_SIZE (HEADERS_PAD + HEADERS_MAX)

struct merge {
	struct merge_config config;
	const struct frame *frames; /* the batch */
	unsigned int nunits;
	const struct run *barrier; /* units before it may not grow */
	struct run *latest;	   /* the unit that the last two packets are in, or NULL */
	uint16_t newest[MERGE_BUCKETS]; /* the newest unit of the flows in each bucket */
	uint16_t next[MERGE_BATCH];	/* member of the same unit, by place */
	struct run runs[MERGE_BATCH];
	struct frame units[MERGE_BATCH];
	struct iovec iovs[MERGE_PIECES + MERGE_BATCH];
	uint8_t headers[MERGE_BATCH][MERGE_HEADERS_SIZE]; /* of each unit's first member */
	uint8_t copies[MERGE_BATCH * MERGE_COPY_MAX];
};

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t load32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint16_t load16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint8_t *merge_headers(struct merge *m, unsigned int unit)
{
	return m->headers[unit] + HEADERS_PAD;
}

/*
 * Copies @len bytes, at most 128: two blocks of a size that the compiler knows, which overlap,
 * are quicker than a call.
 */
static inline void merge_copy(uint8_t *to, const uint8_t *from, size_t len)
{
	if (len >= 64) {
		memcpy(to, from, 64);
		memcpy(to + len - 64, from + len - 64, 64);
	} else if (len >= 16) {
		memcpy(to, from, 16);
		memcpy(to + len - 16, from + len - 16, 16);
		if (len > 32)
			memcpy(to + 16, from + 16, len > 48 ? 32 : 16);
	} else if (len >= 8) {
		memcpy(to, from, 8);
		memcpy(to + len - 8, from + len - 8, 8);
	} else {
		memcpy(to, from, len);
	}
}

/* Could a superframe begin with the packet @f, whose headers @h say where they are in @p? */
bool merge_may_begin(const struct merge *m, const struct frame *f, const struct headers *h,
		     uint8_t *p);

/* May the packet @f, whose first bytes are at @p, become the next member of the unit? */
bool merge_may_join(struct merge *m, struct run *run, const struct frame *f, const uint8_t *p);

/* Makes units[] of what the runs say. */
void merge_build(struct merge *m);

#endif
