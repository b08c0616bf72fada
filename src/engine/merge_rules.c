/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What may be merged, by the rules of generic receive offload. A packet that goes on where a
 * unit ends has the headers of the unit's first member, bit by bit, but for a few fields: so
 * it need not be parsed, but only compared with that one, and the fields looked at.
 */
#include <endian.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>

#include "base/checksum.h"
#include "base/util.h"
#include "engine/merge_run.h"

/* The TCP flags that no member may have. */
#define TCP_ALONE (TCP_FLAG_SYN | TCP_FLAG_RST | TCP_FLAG_URG | TCP_FLAG_CWR)

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

/* Does the header leave the very checksum to whoever comes next that we would leave, too? */
static bool leaves_checksum(const struct frame *f, const struct headers *h)
{
	size_t offset = h->protocol == IPPROTO_TCP ? offsetof(struct tcphdr, check)
						   : offsetof(struct udphdr, check);

	return le16toh(f->hdr.csum_start) == h->transport && le16toh(f->hdr.csum_offset) == offset;
}

/*
 * Is the transport checksum right, or left to whoever comes next, so that computing it
 * again gives the same? All ones are no checksum that TCP would have computed. @pseudo is
 * the sum of the pseudo-header without the length.
 */
static bool transport_right(const struct frame *f, const struct headers *h, uint8_t *p,
			    uint32_t pseudo)
{
	uint32_t len = f->len - h->transport, sum;

	if (unlikely(f->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return leaves_checksum(f, h);
	if (h->protocol == IPPROTO_TCP && transport_check(h, p) == 0xffff)
		return false;
	if (f->hdr.flags & VIRTIO_NET_HDR_F_DATA_VALID)
		return true;
	sum = checksum_join(pseudo, htobe16((uint16_t)len));
	if (f->len <= HEADERS_MAX) /* all of it is in the copy */
		return checksum_fold(checksum_short(sum, p + h->transport, len)) == 0xffff;
	sum = checksum_short(sum, p + h->transport, (size_t)(h->payload - h->transport));
	return checksum_fold(checksum_join(sum, payload_sum(f, h->payload))) == 0xffff;
}

/* The sum of those fields of an IPv4 header that differ among the members of a unit. */
static uint16_t differing_sum(const struct iphdr *ip)
{
	return checksum_fold((uint32_t)ip->tot_len + ip->id + ip->check);
}

/* The first member's checksums, and what they tell of the others'. */
static bool verify_first(struct merge *m, struct run *run)
{
	const struct headers *h = &run->h;
	uint8_t *p = merge_headers(m, (unsigned int)(run - m->runs));
	const struct iphdr *ip = headers_ipv4(h, p);

	run->pseudo = headers_pseudo_sum(h, p, 0);
	if (!h->v6) {
		run->network_sum = differing_sum(ip);
		if (ip->check == 0xffff ||
		    checksum_fold(checksum_words(0, ip, sizeof(*ip) / 4)) != 0xffff)
			return false;
	}
	return transport_right(&m->frames[run->first], h, p, run->pseudo);
}

/* Those of a packet with the headers of the first member. */
static bool checksums_right(const struct run *run, const struct frame *f, uint8_t *p)
{
	const struct iphdr *ip = headers_ipv4(&run->h, p);

	if (!run->h.v6 && (ip->check == 0xffff || differing_sum(ip) != run->network_sum))
		return false;
	return transport_right(f, &run->h, p, run->pseudo);
}

/* ---- fields ---- */

/* Are the lengths in the headers those of the packet? */
static bool lengths_right(const struct headers *h, const struct frame *f, uint8_t *p)
{
	if (h->v6 ? be16toh(headers_ipv6(h, p)->payload_len) != f->len - h->transport
		  : be16toh(headers_ipv4(h, p)->tot_len) != f->len - h->network)
		return false;
	return h->protocol == IPPROTO_TCP ||
	       (headers_udp(h, p)->check &&
		be16toh(headers_udp(h, p)->len) == f->len - h->transport);
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

static bool sequence_goes_on(const struct run *run, uint8_t *p, uint8_t *first)
{
	return run->h.protocol != IPPROTO_TCP ||
	       be32toh(headers_tcp(&run->h, p)->seq) ==
		       be32toh(headers_tcp(&run->h, first)->seq) + run->bytes;
}

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

bool merge_may_join(struct merge *m, struct run *run, const struct frame *f, uint8_t *p)
{
	unsigned int unit = (unsigned int)(run - m->runs);
	uint8_t *first = merge_headers(m, unit);

	if (!run->open || unit < m->barrier || f->hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE ||
	    f->len <= run->h.payload || f->len - run->h.payload > run->size ||
	    !headers_alike(&run->h, p, first) || !lengths_right(&run->h, f, p) ||
	    !id_goes_on(m, run, p, first) || !sequence_goes_on(run, p, first))
		return false;
	if (!run->verified)
		run->verified = verify_first(m, run);
	return run->verified && checksums_right(run, f, p);
}
