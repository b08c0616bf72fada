/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Each frame's headers are copied out of the ring and read (headers.c). If the newest unit
 * of its flow can grow by it (can_join), it becomes a member of that; else it begins a unit
 * of its own. Either way no older unit of the flow may grow any more, so that order within
 * the flow stays. A packet whose flow cannot be told (a fragment, say) may belong to any:
 * no unit before it may grow.
 *
 * Checksums are verified when a second member turns up, first and second then, and so not
 * at all where there is nothing to merge. What fails stays alone, as it is.
 *
 * In the end (build) each unit of several members gets the private headers of its first,
 * changed to say what the superframe is, in front of the payloads, which stay in the ring.
 * Short payloads are copied together, since to the kernel an iovec costs more than they do.
 */
#include "engine/merge.h"

#include <endian.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/uapi.h"
#include "base/util.h"
#include "engine/headers.h"

#define BUCKETS	  256u /* of the flow table, a power of two */
#define NO_UNIT	  UINT16_MAX
#define COPY_MAX  256u	 /* payloads up to this are copied together */
#define IP_LEN_MAX 65535u /* what IPv4's total length, or IPv6's payload length, can say */

/* How the IPv4 ids of a unit's members follow each other. */
enum id_rule { ID_RISING, ID_SAME };

/* The TCP flags that only a unit's last member may have, and those that none may have. */
#define TCP_LAST  (TCP_FLAG_FIN | TCP_FLAG_PSH)
#define TCP_ALONE (TCP_FLAG_SYN | TCP_FLAG_RST | TCP_FLAG_URG | TCP_FLAG_CWR)

/* What is known of the packets of a unit, units[i] by its side. */
struct run {
	struct headers h;
	bool open;	       /* may grow */
	bool verified;	       /* its members' checksums are right */
	uint8_t id_rule;       /* enum id_rule, once there are two members */
	uint16_t first, last;  /* members, by place */
	uint16_t members;
	uint16_t older;	       /* unit in the same bucket */
	uint16_t size;	       /* bytes of payload in each member but the last */
	uint32_t bytes;	       /* of payload in all */
	uint32_t last_flags;   /* TCP_LAST of the last member */
};

struct merge {
	struct merge_config config;
	const struct frame *frames; /* the batch */
	unsigned int nunits;
	unsigned int barrier; /* units below may not grow */
	uint16_t newest[BUCKETS]; /* unit of the flows in this bucket */
	uint16_t next[MERGE_BATCH]; /* member of the same unit, by place */
	struct run runs[MERGE_BATCH];
	struct frame units[MERGE_BATCH];
	struct iovec iovs[MERGE_PIECES + MERGE_BATCH];
	uint8_t headers[MERGE_BATCH][HEADERS_PAD + HEADERS_MAX]; /* of each unit's first member */
	uint8_t copies[MERGE_BATCH * COPY_MAX];
};

struct merge *merge_open(const struct merge_config *config)
{
	struct merge *m = aligned_alloc(CACHE_LINE, ALIGN_UP(sizeof(*m), (size_t)CACHE_LINE));

	if (m) {
		memset(m, 0, sizeof(*m));
		m->config = *config;
	}
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

static uint8_t *headers_of(struct merge *m, unsigned int unit)
{
	return m->headers[unit] + HEADERS_PAD;
}

/* ---- flows ---- */

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t load32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The addresses, wherever the version has them, and the ports behind them. */
static const uint8_t *addresses(const struct headers *h, const uint8_t *p)
{
	return p + h->transport -
	       (h->v6 ? 2 * sizeof(struct in6_addr) : 2 * sizeof(struct in_addr));
}

static unsigned int bucket_of(const struct headers *h, const uint8_t *p)
{
	const uint8_t *a = addresses(h, p);
	uint64_t key = load64(a);

	if (h->v6)
		key ^= load64(a + 8) * 3 ^ load64(a + 16) * 5 ^ load64(a + 24) * 7;
	key = (key ^ (uint64_t)load32(p + h->transport) << 16) * UINT64_C(0x9e3779b97f4a7c15);
	return (unsigned int)(key >> 56) % BUCKETS;
}

/* Are they of one flow: one VLAN, protocol, and pair of addresses and ports? */
static bool same_flow(const struct headers *h, const uint8_t *p, const struct headers *rh,
		      const uint8_t *rp)
{
	const uint8_t *a = addresses(h, p), *b = addresses(rh, rp);

	if (h->network != rh->network || h->v6 != rh->v6 || h->protocol != rh->protocol)
		return false;
	if (load32(p + h->network - 4) != load32(rp + h->network - 4)) /* tag, or type */
		return false;
	if (load32(p + h->transport) != load32(rp + h->transport) || load64(a) != load64(b))
		return false;
	return !h->v6 || !memcmp(a + 8, b + 8, 2 * sizeof(struct in6_addr) - 8);
}

static struct run *find_newest(struct merge *m, unsigned int bucket, const struct headers *h,
			       const uint8_t *p)
{
	uint16_t u = m->newest[bucket];

	for (; u != NO_UNIT; u = m->runs[u].older)
		if (same_flow(h, p, &m->runs[u].h, headers_of(m, u)))
			return &m->runs[u];
	return NULL;
}

/* ---- checksums ---- */

static uint16_t transport_check(const struct headers *h, uint8_t *p)
{
	return h->protocol == IPPROTO_TCP ? headers_tcp(h, p)->check : headers_udp(h, p)->check;
}

/* The sum of what follows the headers, in whatever pieces it lies. */
static uint32_t payload_sum(const struct frame *f, unsigned int skip)
{
	uint32_t sum = 0;
	bool odd = false;
	unsigned int i;

	for (i = 1; i < f->iovcnt; i++) {
		const uint8_t *p = (const uint8_t *)f->iov[i].iov_base + skip;
		size_t len = f->iov[i].iov_len - skip;
		uint32_t piece = checksum_add(0, p, len);

		sum = checksum_join(sum, odd ? checksum_shift(piece) : piece);
		odd ^= len & 1;
		skip = 0;
	}
	return sum;
}

/*
 * Is the transport checksum right, or left to whoever comes next, so that computing it
 * again gives the same? All ones are no checksum that TCP would have computed.
 */
static bool transport_right(const struct frame *f, const struct headers *h, uint8_t *p)
{
	uint32_t sum;

	if (f->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		return le16toh(f->hdr.csum_start) == h->transport &&
		       le16toh(f->hdr.csum_offset) == (h->protocol == IPPROTO_TCP ?
							       offsetof(struct tcphdr, check) :
							       offsetof(struct udphdr, check));
	if (h->protocol == IPPROTO_TCP && transport_check(h, p) == 0xffff)
		return false;
	if (f->hdr.flags & VIRTIO_NET_HDR_F_DATA_VALID)
		return true;
	sum = headers_pseudo_sum(h, p, f->len - h->transport);
	if (f->len <= HEADERS_MAX) /* all of it is in the copy */
		return checksum_fold(checksum_add(sum, p + h->transport,
						  f->len - h->transport)) == 0xffff;
	sum = checksum_add(sum, p + h->transport, (size_t)(h->payload - h->transport));
	return checksum_fold(checksum_join(sum, payload_sum(f, h->payload))) == 0xffff;
}

static bool network_right(const struct headers *h, uint8_t *p)
{
	const struct iphdr *ip = headers_ipv4(h, p);

	return h->v6 || (ip->check != 0xffff &&
			 checksum_fold(checksum_words(0, ip, sizeof(*ip) / 4)) == 0xffff);
}

static bool checksums_right(const struct frame *f, const struct headers *h, uint8_t *p)
{
	return network_right(h, p) && transport_right(f, h, p);
}

/* ---- what may be merged ---- */

/* Could a superframe have this packet in it at all, at its end if @last? */
static bool may_merge(const struct merge *m, const struct frame *f, const struct headers *h,
		      uint8_t *p, bool last)
{
	uint32_t flags;

	if (f->hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE || f->len == h->payload)
		return false;
	if (h->protocol == IPPROTO_UDP)
		return m->config.udp_max > 1 && headers_udp(h, p)->check &&
		       be16toh(headers_udp(h, p)->len) == f->len - h->transport;
	flags = tcp_flag_word(headers_tcp(h, p));
	return m->config.tcp && flags & TCP_FLAG_ACK &&
	       !(flags & (last ? TCP_ALONE : TCP_ALONE | TCP_LAST));
}

/* Are the Ethernet and IP headers the same, but for length, id and checksum? */
static bool same_network(const struct headers *h, uint8_t *p, uint8_t *first)
{
	if (memcmp(p, first, h->network))
		return false;
	if (h->v6) {
		const struct ipv6hdr *a = headers_ipv6(h, p), *b = headers_ipv6(h, first);

		return load32((const uint8_t *)a) == load32((const uint8_t *)b) &&
		       a->hop_limit == b->hop_limit;
	}
	return headers_ipv4(h, p)->tos == headers_ipv4(h, first)->tos &&
	       headers_ipv4(h, p)->ttl == headers_ipv4(h, first)->ttl &&
	       headers_ipv4(h, p)->frag_off == headers_ipv4(h, first)->frag_off;
}

/* Does the packet go on where the unit ends, with the same options and state? */
static bool tcp_goes_on(const struct run *run, uint8_t *p, uint8_t *first)
{
	const struct tcphdr *a = headers_tcp(&run->h, p), *b = headers_tcp(&run->h, first);
	size_t options = (size_t)(run->h.payload - run->h.transport) - sizeof(*a);

	return be32toh(a->seq) == be32toh(b->seq) + run->bytes && a->ack_seq == b->ack_seq &&
	       !((tcp_flag_word(a) ^ tcp_flag_word(b)) & ~TCP_LAST) && a->urg_ptr == b->urg_ptr &&
	       !memcmp(a + 1, b + 1, options);
}

/* Is the packet's IPv4 id the one that cutting the superframe would give it? Sets the rule. */
static bool id_goes_on(const struct merge *m, struct run *run, uint8_t *p, uint8_t *first)
{
	const struct iphdr *a = headers_ipv4(&run->h, p), *b = headers_ipv4(&run->h, first);
	uint16_t distance = (uint16_t)(be16toh(a->id) - be16toh(b->id));

	if (run->h.v6)
		return true;
	if (run->members == 1)
		run->id_rule = distance ? ID_RISING : ID_SAME;
	if (run->id_rule == ID_RISING)
		return distance == run->members;
	return !distance && a->frag_off & htobe16(0x4000) && !m->config.strict;
}

static bool has_room(const struct merge *m, const struct run *run, uint32_t payload)
{
	uint32_t len = run->h.payload - (run->h.v6 ? run->h.transport : run->h.network) +
		       run->bytes + payload;

	return payload <= run->size && run->bytes == (uint32_t)run->members * run->size &&
	       len <= IP_LEN_MAX &&
	       (run->h.protocol == IPPROTO_TCP || run->members < m->config.udp_max);
}

/* May the packet become the next member of the unit? */
static bool can_join(struct merge *m, struct run *run, const struct frame *f,
		     const struct headers *h, uint8_t *p)
{
	unsigned int unit = (unsigned int)(run - m->runs);
	uint8_t *first = headers_of(m, unit);

	if (!run->open || unit < m->barrier || h->payload != run->h.payload ||
	    !has_room(m, run, f->len - h->payload) || !may_merge(m, f, h, p, true) ||
	    !same_network(h, p, first) || !id_goes_on(m, run, p, first))
		return false;
	if (h->protocol == IPPROTO_TCP && !tcp_goes_on(run, p, first))
		return false;
	if (!run->verified)
		run->verified = checksums_right(&m->frames[run->first], &run->h, first);
	return run->verified && checksums_right(f, h, p);
}

/* ---- units ---- */

static void join(struct merge *m, struct run *run, uint16_t place, const struct headers *h,
		 uint8_t *p)
{
	uint32_t payload = m->frames[place].len - h->payload;

	m->next[run->last] = place;
	m->next[place] = MERGE_END;
	run->last = place;
	run->members++;
	run->bytes += payload;
	if (h->protocol == IPPROTO_TCP)
		run->last_flags = tcp_flag_word(headers_tcp(h, p)) & TCP_LAST;
	run->open = payload == run->size && !run->last_flags;
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

static void begin_flow(struct merge *m, uint16_t place, const struct headers *h,
		       unsigned int bucket)
{
	const struct frame *f = &m->frames[place];
	uint16_t unit = (uint16_t)m->nunits;
	struct run *run = begin(m, place, may_merge(m, f, h, headers_of(m, unit), false));

	run->h = *h;
	run->verified = false;
	run->size = (uint16_t)(f->len - h->payload);
	run->bytes = run->size;
	run->last_flags = 0;
	run->older = m->newest[bucket];
	m->newest[bucket] = unit;
}

/*
 * Copies @len bytes, at most 128: two blocks of a size that the compiler knows, which overlap,
 * are quicker than a call.
 */
static void copy_short(uint8_t *to, const uint8_t *from, size_t len)
{
	if (len >= 64) {
		memcpy(to, from, 64);
		memcpy(to + len - 64, from + len - 64, 64);
	} else if (len >= 16) {
		memcpy(to, from, 16);
		memcpy(to + len - 16, from + len - 16, 16);
		if (len > 32)
			memcpy(to + 16, from + 16, len > 48 ? 32 : 16);
	} else {
		memcpy(to, from, len);
	}
}

/* Copies a frame's headers to @p and reads them; they must lie in one piece. */
static enum headers_kind copy_headers(struct headers *h, const struct frame *f, uint8_t *p)
{
	size_t len = MIN(f->len, HEADERS_MAX);

	if (f->iovcnt < 2 || f->iov[1].iov_len < len)
		return HEADERS_HIDDEN;
	copy_short(p, f->iov[1].iov_base, len);
	return headers_read(h, p, f->len);
}

static void add(struct merge *m, uint16_t place)
{
	const struct frame *f = &m->frames[place];
	uint8_t *p = headers_of(m, m->nunits);
	enum headers_kind kind;
	unsigned int bucket;
	struct headers h;
	struct run *run;

	kind = copy_headers(&h, f, p);
	if (kind != HEADERS_PLAIN) {
		begin(m, place, false);
		if (kind == HEADERS_HIDDEN)
			m->barrier = m->nunits;
		return;
	}
	bucket = bucket_of(&h, p);
	run = find_newest(m, bucket, &h, p);
	if (run && can_join(m, run, f, &h, p))
		join(m, run, place, &h, p);
	else
		begin_flow(m, place, &h, bucket);
}

/* ---- superframes ---- */

/* Makes the first member's headers those of a packet of all @bytes of payload. */
static void write_headers(const struct run *run, uint8_t *p)
{
	const struct headers *h = &run->h;
	uint32_t len = h->payload - h->transport + run->bytes;
	uint16_t pseudo = checksum_fold(headers_pseudo_sum(h, p, len));

	if (h->v6) {
		headers_ipv6(h, p)->payload_len = htobe16((uint16_t)len);
	} else {
		struct iphdr *ip = headers_ipv4(h, p);

		ip->tot_len = htobe16((uint16_t)(len + sizeof(*ip)));
		ip->check = 0;
		ip->check = (uint16_t)~checksum_fold(checksum_add(0, ip, sizeof(*ip)));
	}
	if (h->protocol == IPPROTO_UDP) {
		headers_udp(h, p)->len = htobe16((uint16_t)len);
		headers_udp(h, p)->check = pseudo;
	} else {
		tcp_flag_word(headers_tcp(h, p)) |= run->last_flags;
		headers_tcp(h, p)->check = pseudo;
	}
}

static struct virtio_net_hdr_v1 superframe_hdr(const struct run *run)
{
	const struct headers *h = &run->h;
	bool tcp = h->protocol == IPPROTO_TCP;

	return (struct virtio_net_hdr_v1){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = !tcp    ? VIRTIO_NET_HDR_GSO_UDP_L4 :
			    h->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 :
				    VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = htole16(h->payload),
		.gso_size = htole16(run->size),
		.csum_start = htole16(h->transport),
		.csum_offset = htole16(tcp ? offsetof(struct tcphdr, check) :
					     offsetof(struct udphdr, check)),
	};
}

static void add_iov(struct frame *f, void *base, size_t len)
{
	f->iov[f->iovcnt++] = (struct iovec){ .iov_base = base, .iov_len = len };
}

/* The payloads by where they are. */
static void point_at_payloads(const struct merge *m, const struct run *run, struct frame *f)
{
	uint16_t place;
	unsigned int i;

	for (place = run->first; place != MERGE_END; place = m->next[place]) {
		const struct frame *member = &m->frames[place];
		size_t skip = run->h.payload;

		for (i = 1; i < member->iovcnt; i++, skip = 0)
			if (member->iov[i].iov_len > skip)
				add_iov(f, (uint8_t *)member->iov[i].iov_base + skip,
					member->iov[i].iov_len - skip);
	}
}

/* The payloads one behind the other at @to; returns where the next unit's may go. */
static uint8_t *copy_payloads(const struct merge *m, const struct run *run, struct frame *f,
			      uint8_t *to)
{
	uint8_t *from = to;
	uint16_t place;
	unsigned int i;

	for (place = run->first; place != MERGE_END; place = m->next[place]) {
		const struct frame *member = &m->frames[place];
		size_t skip = run->h.payload;

		for (i = 1; i < member->iovcnt; i++, skip = 0) {
			size_t n = member->iov[i].iov_len - skip;

			if (n <= 128)
				copy_short(to, (const uint8_t *)member->iov[i].iov_base + skip, n);
			else
				memcpy(to, (const uint8_t *)member->iov[i].iov_base + skip, n);
			to += n;
		}
	}
	add_iov(f, from, (size_t)(to - from));
	return to;
}

/* Writes out what the units are. */
static void build(struct merge *m)
{
	struct iovec *iov = m->iovs;
	uint8_t *copies = m->copies;
	unsigned int u;

	for (u = 0; u < m->nunits; u++) {
		const struct run *run = &m->runs[u];
		struct frame *f = &m->units[u];

		if (likely(run->members == 1)) {
			*f = m->frames[run->first];
			continue;
		}
		frame_init(f, iov, UINT16_MAX, m->config.hdr_len);
		f->hdr = superframe_hdr(run);
		f->len = run->h.payload + run->bytes;
		write_headers(run, headers_of(m, u));
		add_iov(f, headers_of(m, u), run->h.payload);
		if (run->size <= COPY_MAX)
			copies = copy_payloads(m, run, f, copies);
		else
			point_at_payloads(m, run, f);
		iov += f->iovcnt;
	}
}

unsigned int merge_batch(struct merge *m, const struct frame *frames, unsigned int n,
			 struct frame **units)
{
	unsigned int i;

	m->frames = frames;
	m->nunits = 0;
	m->barrier = 0;
	memset(m->newest, 0xff, sizeof(m->newest));
	for (i = 0; i < n; i++)
		add(m, (uint16_t)i);
	build(m);
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

uint16_t merge_next(const struct merge *m, uint16_t place)
{
	return m->next[place];
}
