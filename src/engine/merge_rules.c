/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What may be merged, by the rules of generic receive offload. A packet that goes on where a
 * unit ends has the headers of the unit's first member, bit by bit, but for a few fields: so
 * it need not be parsed, but only compared with that one, and the fields looked at. That is
 * done in the ring itself: of such a packet nothing but the payload goes on, wherever its
 * peer may write meanwhile.
 */
#include <endian.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>

#include "base/checksum.h"
#include "base/util.h"
#include "engine/merge_run.h"

#define SHORT 128u /* bytes whose sum takes no call */

/* The TCP flags that no member may have. */
#define TCP_ALONE (TCP_FLAG_SYN | TCP_FLAG_RST | TCP_FLAG_URG | TCP_FLAG_CWR)

/* ---- checksums ---- */

/* Of what follows the first @skip bytes, in whatever pieces it lies. */
static __attribute__((noinline)) uint32_t sum_pieces(uint32_t sum, const struct frame *f,
						     size_t skip)
{
	bool odd = false;
	unsigned int i;

	for (i = 1; i < f->iovcnt; i++) {
		size_t len = f->iov[i].iov_len - skip;
		uint32_t piece = checksum_add(0, (const uint8_t *)f->iov[i].iov_base + skip, len);

		sum = checksum_join(sum, odd ? checksum_shift(piece) : piece);
		odd ^= len & 1;
		skip = 0;
	}
	return sum;
}

/* The same; a few bytes in one piece do not even need a call. */
static inline __attribute__((always_inline)) uint32_t sum_behind(uint32_t sum,
								 const struct frame *f, size_t skip)
{
	const uint8_t *p = (const uint8_t *)f->iov[1].iov_base + skip;
	size_t len = f->len - skip;

	if (unlikely(f->iovcnt != 2 || len < sizeof(uint64_t)))
		return sum_pieces(sum, f, skip);
	return len < SHORT ? checksum_short(sum, p, len) : checksum_add(sum, p, len);
}

/* Does the header leave the very checksum to whoever comes next that we would leave, too? */
static bool leaves_checksum(const struct frame *f, const struct headers *h)
{
	size_t offset = h->protocol == IPPROTO_TCP ? offsetof(struct tcphdr, check)
						   : offsetof(struct udphdr, check);

	return le16toh(f->hdr.csum_start) == h->transport && le16toh(f->hdr.csum_offset) == offset;
}

/* Of a packet whose header says something of its checksum. */
static bool said_right(const struct frame *f, const struct headers *h)
{
	return f->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM
		       ? leaves_checksum(f, h)
		       : f->hdr.flags & VIRTIO_NET_HDR_F_DATA_VALID;
}

/* The sum of those fields of an IPv4 header that differ among the members of a unit. */
static uint16_t differing_sum(const uint8_t *ip)
{
	return checksum_fold((uint32_t)load16(ip + offsetof(struct iphdr, tot_len)) +
			     load16(ip + offsetof(struct iphdr, id)) +
			     load16(ip + offsetof(struct iphdr, check)));
}

/* All ones are no checksum that TCP, or IPv4, would have computed: it would come out as 0. */
#define NO_CHECKSUM 0xffff

/* The IPv4 header's, of the first member. */
static bool network_right(struct run *run, const uint8_t *ip)
{
	if (run->h.v6)
		return true;
	run->network_sum = differing_sum(ip);
	return load16(ip + offsetof(struct iphdr, check)) != NO_CHECKSUM &&
	       checksum_fold(checksum_words(0, ip, sizeof(struct iphdr) / 4)) == 0xffff;
}

/* The first member's checksums, and what they tell of the others'. */
static bool verify_first(struct merge *m, struct run *run)
{
	const struct headers *h = &run->h;
	const struct frame *f = &m->frames[run->first];
	const uint8_t *p = run->p;
	size_t len = (size_t)(h->payload - h->transport);
	uint32_t sum;

	run->pseudo = headers_pseudo_sum(h, p, 0);
	if (!network_right(run, p + h->network))
		return false;
	if (f->hdr.flags)
		return said_right(f, h);
	if (h->protocol == IPPROTO_TCP &&
	    load16(p + h->transport + offsetof(struct tcphdr, check)) == NO_CHECKSUM)
		return false;
	sum = checksum_join(run->pseudo, htobe16((uint16_t)(f->len - h->transport)));
	sum = checksum_short(sum, p + h->transport, len);
	return checksum_fold(sum_behind(sum, f, h->payload)) == 0xffff;
}

/* ---- a packet beside the first member ---- */

/* The bits in which some bytes at two places differ, so that 0 stands for none. */
static inline uint64_t differ64(const uint8_t *a, const uint8_t *b)
{
	return load64(a) ^ load64(b);
}

static inline uint64_t differ32(const uint8_t *a, const uint8_t *b)
{
	return load32(a) ^ load32(b);
}

/* The same of the bits that are 1 in @mask, whose first byte is the upper one. */
#define DIFFER64(a, b, mask) (differ64(a, b) & htobe64(UINT64_C(mask)))

/* A number of two bytes that should be @n. */
static inline uint64_t differ_from16(const uint8_t *a, uint32_t n)
{
	return load16(a) ^ htobe16((uint16_t)n);
}

/* All but id and checksum; @len: bytes from here to the end of the packet. */
static inline uint64_t differ_ipv4(const uint8_t *a, const uint8_t *b, uint32_t len)
{
	return DIFFER64(a, b, 0xffff00000000ffff) | DIFFER64(a + 8, b + 8, 0xffff0000ffffffff) |
	       differ32(a + 16, b + 16) | differ_from16(a + 2, len);
}

static inline uint64_t differ_ipv6(const uint8_t *a, const uint8_t *b, uint32_t len)
{
	return DIFFER64(a, b, 0xffffffff0000ffff) | differ64(a + 8, b + 8) |
	       differ64(a + 16, b + 16) | differ64(a + 24, b + 24) | differ64(a + 32, b + 32) |
	       differ_from16(a + 4, len - (uint32_t)sizeof(struct ipv6hdr));
}

/* All but checksum, PSH and FIN, with sequence number @seq; @len: bytes of header. */
static inline uint64_t differ_tcp(const uint8_t *a, const uint8_t *b, uint32_t seq, size_t len)
{
	uint64_t bits = differ32(a, b) | DIFFER64(a + 8, b + 8, 0xfffffffffff6ffff) |
			(uint64_t)(load16(a + 18) ^ load16(b + 18)) |
			(load32(a + 4) ^ htobe32(seq));
	size_t at;

	for (at = sizeof(struct tcphdr); at < len; at += 4)
		bits |= differ32(a + at, b + at);
	return bits;
}

/* All but the checksum, which must be there; @len: bytes from here to the end of the packet. */
static inline uint64_t differ_udp(const uint8_t *a, const uint8_t *b, uint32_t len)
{
	return differ32(a, b) | differ_from16(a + 4, len) |
	       !load16(a + offsetof(struct udphdr, check));
}

/* Is the IPv4 id the one that cutting the superframe would give it? Sets the rule. */
static inline bool id_goes_on(const struct merge *m, struct run *run, const uint8_t *ip)
{
	uint16_t id = be16toh(load16(ip + offsetof(struct iphdr, id)));

	if (likely(run->members > 1))
		return id == run->next_id;
	run->id_step = id != run->next_id;
	return run->id_step ? id == (uint16_t)(run->next_id + 1)
			    : load16(ip + offsetof(struct iphdr, frag_off)) & htobe16(0x4000) &&
				      !m->config.strict;
}

/* Are a member's checksums right, given that the first one's are? */
static inline __attribute__((always_inline)) bool
checksums_right(const struct run *run, const struct frame *f, const uint8_t *ip,
		const uint8_t *transport, bool v6, bool tcp)
{
	uint32_t sum;

	if (!v6 && (load16(ip + offsetof(struct iphdr, check)) == NO_CHECKSUM ||
		    differing_sum(ip) != run->network_sum))
		return false;
	if (unlikely(f->hdr.flags))
		return said_right(f, &run->h);
	if (tcp && load16(transport + offsetof(struct tcphdr, check)) == NO_CHECKSUM)
		return false;
	sum = checksum_join(run->pseudo, htobe16((uint16_t)(f->len - run->h.transport)));
	return checksum_fold(sum_behind(sum, f, run->h.transport)) == 0xffff;
}

/* One for each kind of packet, so that the compiler knows where fields are. */
static inline __attribute__((always_inline)) bool goes_on(struct merge *m, struct run *run,
							  const struct frame *f, const uint8_t *p,
							  bool v6, bool tcp)
{
	const size_t ip_len = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const uint8_t *first = run->p;
	const uint8_t *a = p + run->h.network, *b = first + run->h.network;
	uint32_t len = f->len - run->h.network;
	/* the Ethernet header and a tag, in three pieces that overlap */
	uint64_t bits = differ64(p, first) | differ64(p + 6, first + 6) | differ64(a - 8, b - 8);

	bits |= v6 ? differ_ipv6(a, b, len) : differ_ipv4(a, b, len);
	if (tcp)
		bits |= differ_tcp(a + ip_len, b + ip_len, run->next_seq,
				   (size_t)(run->h.payload - run->h.transport));
	else
		bits |= differ_udp(a + ip_len, b + ip_len, len - (uint32_t)ip_len);
	if (bits || !(v6 || id_goes_on(m, run, a)))
		return false;
	if (unlikely(!run->verified))
		run->verified = verify_first(m, run);
	return run->verified && checksums_right(run, f, a, a + ip_len, v6, tcp);
}

bool merge_may_join(struct merge *m, struct run *run, const struct frame *f, const uint8_t *p)
{
	const bool tcp = run->h.protocol == IPPROTO_TCP;

	/* of payload there must be something, and no more than the first one has */
	if (!run->open || run < m->barrier || f->hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE ||
	    f->len - run->h.payload - 1u >= run->size)
		return false;
	if (run->h.v6)
		return tcp ? goes_on(m, run, f, p, true, true) : goes_on(m, run, f, p, true, false);
	return tcp ? goes_on(m, run, f, p, false, true) : goes_on(m, run, f, p, false, false);
}

/* ---- the first member ---- */

bool merge_may_begin(const struct merge *m, const struct frame *f, const struct headers *h,
		     uint8_t *p)
{
	uint32_t flags;

	if (f->hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE || f->len == h->payload)
		return false;
	if (h->protocol == IPPROTO_UDP)
		return m->config.udp_max > 1 && headers_udp(h, p)->check &&
		       be16toh(headers_udp(h, p)->len) == f->len - h->transport;
	flags = tcp_flag_word(headers_tcp(h, p));
	return m->config.tcp && flags & TCP_FLAG_ACK && !(flags & (TCP_ALONE | MERGE_TCP_LAST));
}
