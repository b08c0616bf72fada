/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * If the newest unit of a frame's flow can grow by it (merge_may_join), which is seen by comparing
 * the headers in the ring with that unit's, it becomes a member. Else its headers are copied out
 * of the ring and read (headers.c), and it begins a unit of its own. The unit that the last two
 * packets are in is tried first, without a look-up: none of its flow can have begun since. Either
 * way no older unit of the flow may grow any more, so that order within the flow stays. A packet
 * whose flow cannot be told (a fragment, say) may belong to any: no unit before it may grow.
 *
 * Checksums are verified when a second member turns up, first and second then, and so not
 * at all where there is nothing to merge. What fails stays alone, as it is.
 *
 * In the end (merge_build) each unit of several members gets the private headers of its first,
 * changed to say what the superframe is, in front of the payloads, which stay in the ring.
 * Short payloads are copied together, since to the kernel an iovec costs more than they do.
 */
#include "engine/merge.h"

#include <endian.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/util.h"
#include "engine/merge_run.h"

#define NO_UNIT	   UINT16_MAX
#define VLAN_VID   0x0fff /* of a tag; its priority makes no other flow */
#define FLAGS_AT   offsetof(union tcp_word_hdr, words[3]) /* tcp_flag_word() */
#define IP_LEN_MAX 65535u /* what IPv4's total length, or IPv6's payload length, can say */

struct merge *merge_open(const struct merge_config *config)
{
	struct merge *m = alloc_lines(sizeof(*m));

	if (m)
		m->config = *config;
	return m;
}

void merge_close(struct merge *m)
{
	free(m);
}

void merge_configure(struct merge *m, const struct merge_config *config)
{
	uint8_t hdr_len = m->config.hdr_len;

	m->config = *config;
	m->config.hdr_len = hdr_len;
}

/* ---- flows ---- */

/* Bytes that bucket_of may look at: with a tag, of IPv6, up to the ports. */
#define GLANCE (ETH_HLEN + 4u + sizeof(struct ipv6hdr) + 4u)

/*
 * The bucket of a packet of which nothing is known yet: what would be the addresses and the
 * ports, if it is of TCP or UDP at all.
 */
static unsigned int bucket_of(const uint8_t *p)
{
	uint16_t type = load16(p + offsetof(struct ethhdr, h_proto));
	const uint8_t *ports = p + ETH_HLEN + sizeof(struct iphdr);
	uint64_t key = 0;

	if (type == htobe16(ETH_P_8021Q)) {
		type = load16(p + ETH_HLEN + 2);
		ports += 4;
	}
	if (type == htobe16(ETH_P_IPV6)) {
		ports += sizeof(struct ipv6hdr) - sizeof(struct iphdr);
		key = load64(ports - 24) * 3; /* of the source address; 8 is of the other one */
	}
	key ^= load64(ports - 8) ^ (uint64_t)load32(ports) << 16;
	return (unsigned int)(key * UINT64_C(0x9e3779b97f4a7c15) >> 54) % MERGE_BUCKETS;
}

/* Are they of one flow: one VLAN, protocol, and pair of addresses and ports? */
static bool same_flow(const struct headers *h, const uint8_t *p, const struct headers *rh,
		      const uint8_t *rp)
{
	const size_t addresses = h->v6 ? 2 * sizeof(struct in6_addr) : 2 * sizeof(struct in_addr);

	if (h->network != rh->network || h->v6 != rh->v6 || h->protocol != rh->protocol)
		return false;
	if (h->network > ETH_HLEN &&
	    (load16(p + ETH_HLEN) ^ load16(rp + ETH_HLEN)) & htobe16(VLAN_VID))
		return false;
	return !memcmp(p + h->transport - addresses, rp + h->transport - addresses, addresses + 4);
}

static struct run *find_newest(struct merge *m, unsigned int bucket, const struct headers *h,
			       const uint8_t *p)
{
	uint16_t u = m->newest[bucket];

	for (; u != NO_UNIT; u = m->runs[u].older)
		if (same_flow(h, p, &m->runs[u].h, m->runs[u].p))
			return &m->runs[u];
	return NULL;
}

/* ---- units ---- */

static inline void join(struct merge *m, struct run *run, uint16_t place, const uint8_t *p)
{
	const struct headers *h = &run->h;
	uint32_t payload = m->frames[place].len - h->payload;

	m->next[run->last] = place;
	m->next[place] = MERGE_END;
	run->last = place;
	run->next_id = (uint16_t)(run->next_id + run->id_step);
	if (run->members++ == 1) /* until then it was the first one's */
		run->next_id = (uint16_t)(run->next_id + run->id_step);
	run->bytes += payload;
	run->next_seq += payload;
	if (h->protocol == IPPROTO_TCP)
		run->last_flags = load32(p + h->transport + FLAGS_AT) & MERGE_TCP_LAST;
	run->open = payload == run->size && !run->last_flags && run->members < run->members_max;
}

/* A new unit, whose headers stand in their place already. */
static struct run *begin(struct merge *m, uint16_t place, bool open)
{
	struct run *run = &m->runs[m->nunits++];

	m->next[place] = MERGE_END;
	run->first = run->last = place;
	run->members = 1;
	run->open = open;
	return run;
}

/* How many payloads as long as the first one a packet, and a superframe of its kind, may have. */
static uint16_t members_max(const struct merge *m, const struct run *run)
{
	uint32_t headers = run->h.payload - (run->h.v6 ? run->h.transport : run->h.network);
	uint32_t max = run->size ? (IP_LEN_MAX - headers) / run->size : 1;

	return (uint16_t)(run->h.protocol == IPPROTO_UDP ? MIN(max, m->config.udp_max) : max);
}

static void begin_flow(struct merge *m, uint16_t place, const struct headers *h,
		       unsigned int bucket, bool alone)
{
	const struct frame *f = &m->frames[place];
	uint16_t unit = (uint16_t)m->nunits;
	uint8_t *p = merge_headers(m, unit);
	struct run *run = begin(m, place, !alone && merge_may_begin(m, f, h, p));

	run->h = *h;
	run->p = p;
	run->verified = false;
	run->size = (uint16_t)(f->len - h->payload);
	run->members_max = members_max(m, run);
	run->bytes = run->size;
	run->last_flags = 0;
	run->next_seq = be32toh(headers_tcp(h, p)->seq) + run->size;
	run->next_id = be16toh(headers_ipv4(h, p)->id);
	run->older = m->newest[bucket];
	m->newest[bucket] = unit;
}

/* A packet that does not go on where @head ends, the newest unit in its bucket. */
static __attribute__((noinline)) void add_slowly(struct merge *m, uint16_t place,
						 unsigned int bucket, const struct run *head)
{
	const struct frame *f = &m->frames[place];
	uint8_t *p = merge_headers(m, m->nunits);
	enum headers_kind kind;
	struct headers h;
	struct run *run;

	merge_copy(p, f->iov[1].iov_base, MIN(f->len, HEADERS_MAX));
	kind = headers_read(&h, p, f->len);
	if (kind != HEADERS_PLAIN && kind != HEADERS_APART) {
		begin(m, place, false);
		if (kind == HEADERS_HIDDEN)
			m->barrier = m->runs + m->nunits;
		return;
	}
	run = kind == HEADERS_PLAIN ? find_newest(m, bucket, &h, p) : NULL;
	if (run && run != head && merge_may_join(m, run, f, p))
		join(m, run, place, p);
	else
		begin_flow(m, place, &h, bucket, kind == HEADERS_APART);
}

/*
 * Packets shorter than what bucket_of looks at are read from a copy with room behind it; what
 * stands there does not matter.
 */
static const uint8_t *first_bytes(struct merge *m, const struct frame *f)
{
	uint8_t *p = merge_headers(m, m->nunits);

	if (likely(f->len >= GLANCE))
		return f->iov[1].iov_base;
	merge_copy(p, f->iov[1].iov_base, f->len);
	return p;
}

static void add(struct merge *m, uint16_t place)
{
	const struct frame *f = &m->frames[place];
	unsigned int bucket;
	const uint8_t *p;
	struct run *head;

	/* headers in several pieces */
	if (unlikely(f->iovcnt < 2 || f->iov[1].iov_len < MIN(f->len, HEADERS_MAX))) {
		begin(m, place, false);
		m->barrier = m->runs + m->nunits;
		m->latest = NULL;
		return;
	}
	p = first_bytes(m, f);
	if (m->latest && merge_may_join(m, m->latest, f, p)) {
		join(m, m->latest, place, p);
		return;
	}
	bucket = bucket_of(p);
	head = m->newest[bucket] == NO_UNIT ? NULL : &m->runs[m->newest[bucket]];
	if (likely(head) && head != m->latest && merge_may_join(m, head, f, p)) {
		m->latest = head->last == place - 1 ? head : NULL;
		join(m, head, place, p);
	} else {
		m->latest = NULL;
		add_slowly(m, place, bucket, head);
	}
}

unsigned int merge_batch(struct merge *m, struct frame *frames, unsigned int n,
			 struct frame **units)
{
	unsigned int i;

	m->frames = frames;
	m->nunits = 0;
	m->barrier = m->runs;
	m->latest = NULL;
	if (n == 1) {
		begin(m, 0, false);
		*units = frames;
		return n;
	}
	memset(m->newest, 0xff, sizeof(m->newest));
	for (i = 0; i < n; i++)
		add(m, (uint16_t)i);
	if (m->nunits == n) { /* as they were */
		*units = frames;
		return n;
	}
	merge_build(m);
	*units = m->units;
	return m->nunits;
}

uint16_t merge_first(const struct merge *m, unsigned int unit)
{
	return m->runs[unit].first;
}

uint16_t merge_members(const struct merge *m, unsigned int unit)
{
	return m->runs[unit].members;
}

const uint16_t *merge_next(const struct merge *m)
{
	return m->next;
}

uint32_t merge_bytes(const struct merge *m, unsigned int unit)
{
	const struct run *run = &m->runs[unit];

	return run->bytes + (uint32_t)run->members * run->h.payload;
}
