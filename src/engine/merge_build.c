/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Superframes, written out of what their members have in common. */
#include <endian.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>

#include "base/checksum.h"
#include "base/util.h"
#include "engine/merge_run.h"

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
		.gso_type = !tcp    ? VIRTIO_NET_HDR_GSO_UDP_L4
			    : h->v6 ? VIRTIO_NET_HDR_GSO_TCPV6
				    : VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = htole16(h->payload),
		.gso_size = htole16(run->size),
		.csum_start = htole16(h->transport),
		.csum_offset = htole16(tcp ? offsetof(struct tcphdr, check)
					   : offsetof(struct udphdr, check)),
	};
}

static void add_iov(struct frame *f, void *base, size_t len)
{
	f->iov[f->iovcnt++] = (struct iovec){.iov_base = base, .iov_len = len};
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

static inline uint8_t *copy_piece(uint8_t *to, const struct iovec *piece, size_t skip)
{
	const uint8_t *from = (const uint8_t *)piece->iov_base + skip;
	size_t n = piece->iov_len - skip;

	if (n <= 128)
		merge_copy(to, from, n);
	else
		memcpy(to, from, n);
	return to + n;
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

		to = copy_piece(to, &member->iov[1], run->h.payload);
		for (i = 2; unlikely(i < member->iovcnt); i++)
			to = copy_piece(to, &member->iov[i], 0);
	}
	add_iov(f, from, (size_t)(to - from));
	return to;
}

void merge_build(struct merge *m)
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
		write_headers(run, run->p);
		add_iov(f, run->p, run->h.payload);
		if (run->size <= MERGE_COPY_MAX)
			copies = copy_payloads(m, run, f, copies);
		else
			point_at_payloads(m, run, f);
		iov += f->iovcnt;
	}
}
