/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two things of packet sockets need care.
 *
 * Errors wait at the socket: when its interface goes down, or when a batch ends early,
 * the errno is left for whoever calls next, in whichever direction. So an errno that may
 * be someone else's is looked at only when it comes twice.
 *
 * VLAN tags never are in the frame: the kernel takes them out on arrival and tells them
 * beside (PACKET_AUXDATA). Offsets in the header count without them.
 */
#include "net/packet_io.h"

#include "base/uapi.h"
#include "base/util.h"
#include "net/iov.h"

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define PACKET_BATCH 64u

#define PACKET_FEATURE(name) (UINT64_C(1) << VIRTIO_NET_F_##name)
#define PACKET_MACS	     (2 * ETH_ALEN) /* bytes before a tag */
#define PACKET_TAG	     4u

union packet_control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
};

struct packet_batch {
	struct mmsghdr msgs[PACKET_BATCH];
	union packet_control control[PACKET_BATCH];
};

/* Frames are little-endian, packet sockets native: swaps, or swaps back. */
static void packet_io_swap(struct virtio_net_hdr_v1 *hdr)
{
	hdr->hdr_len = le16toh(hdr->hdr_len);
	hdr->gso_size = le16toh(hdr->gso_size);
	hdr->csum_start = le16toh(hdr->csum_start);
	hdr->csum_offset = le16toh(hdr->csum_offset);
}

static void packet_io_swap_all(struct frame *frames, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		packet_io_swap(&frames[i].hdr);
}

/* --- towards the kernel ------------------------------------------------- */

/* Is the hidden end up, and the user's end too? */
static bool packet_io_running(const struct packet *p)
{
	struct ifreq ifr = { .ifr_ifindex = (int)p->kport.hidden_ifindex };

	return !ioctl(p->fd, SIOCGIFNAME, &ifr) && !ioctl(p->fd, SIOCGIFFLAGS, &ifr) &&
	       (ifr.ifr_flags & IFF_RUNNING);
}

/* The contract's name for what the kernel said of a frame. */
static int packet_io_errno(const struct packet *p, int error)
{
	switch (error) {
	case ENETDOWN:
		return EIO;
	case ENOBUFS: /* also said when the user's end is down */
		return packet_io_running(p) ? ENOBUFS : EIO;
	case EMSGSIZE:
		return EINVAL;
	default:
		return error;
	}
}

static int packet_io_try(int fd, struct mmsghdr *msgs, unsigned int n)
{
	int r = sendmmsg(fd, msgs, n, MSG_DONTWAIT);

	return r < 0 ? -errno : r;
}

int packet_io_send(struct kport *kp, unsigned int pair, struct frame *frames, unsigned int n)
{
	struct packet *p = container_of(kp, struct packet, kport);
	struct mmsghdr msgs[PACKET_BATCH];
	unsigned int i;
	int r;

	n = MIN(n, PACKET_BATCH);
	for (i = 0; i < n; i++)
		msgs[i].msg_hdr = (struct msghdr){
			.msg_iov = frames[i].iov, .msg_iovlen = frames[i].iovcnt,
		};
	packet_io_swap_all(frames, n);
	r = packet_io_try(kp->fds[pair], msgs, n);
	if (r == -ENETDOWN || r == -EINVAL) /* perhaps a receive's */
		r = packet_io_try(kp->fds[pair], msgs, n);
	packet_io_swap_all(frames, n);
	return r < 0 ? -packet_io_errno(p, -r) : r;
}

/* --- from the kernel ---------------------------------------------------- */

static size_t packet_io_room(const struct frame *f)
{
	size_t room = 0;
	unsigned int i;

	for (i = 1; i < f->iovcnt; i++)
		room += f->iov[i].iov_len;
	return room;
}

static bool packet_io_insert_tag(struct frame *f, const struct tpacket_auxdata *aux)
{
	bool known = aux->tp_status & TP_STATUS_VLAN_TPID_VALID;
	const uint16_t tag[] = { htons(known ? aux->tp_vlan_tpid : ETH_P_8021Q),
				 htons(aux->tp_vlan_tci) };

	if (f->len < PACKET_MACS || f->len + PACKET_TAG > packet_io_room(f))
		return false;
	iov_insert4(f->iov + 1, PACKET_MACS, f->len, (const uint8_t *)tag);
	f->len += PACKET_TAG;
	if (f->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		f->hdr.csum_start = (uint16_t)(f->hdr.csum_start + PACKET_TAG);
	if (f->hdr.hdr_len)
		f->hdr.hdr_len = (uint16_t)(f->hdr.hdr_len + PACKET_TAG);
	return true;
}

static const struct tpacket_auxdata *packet_io_aux(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);

	if (!c || c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA ||
	    c->cmsg_len < CMSG_LEN(sizeof(struct tpacket_auxdata)))
		return NULL;
	return (const struct tpacket_auxdata *)CMSG_DATA(c);
}

/* Makes a frame of what was received; false: there is none. */
static bool packet_io_fit(const struct packet *p, struct frame *f, struct mmsghdr *m)
{
	const struct tpacket_auxdata *aux = packet_io_aux(&m->msg_hdr);

	if (m->msg_hdr.msg_flags & MSG_TRUNC || m->msg_len < p->kport.hdr_len)
		return false;
	f->len = m->msg_len - p->kport.hdr_len;
	/* a driver may say only this one (5.1.6.2.1), the kernel says more */
	f->hdr.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	f->hdr.num_buffers = 0;
	if (aux && aux->tp_status & TP_STATUS_VLAN_VALID && !packet_io_insert_tag(f, aux))
		return false;
	packet_io_swap(&f->hdr);
	return true;
}

/* Copies a frame to where one before it was dropped: rooms keep their order. */
static bool packet_io_move(struct frame *to, const struct frame *from)
{
	if (packet_io_room(to) < from->len)
		return false;
	iov_copy(to->iov + 1, from->iov + 1, from->len);
	to->hdr = from->hdr;
	to->len = from->len;
	return true;
}

/* Returns how many of the @n received are left, the first ones of @frames. */
static unsigned int packet_io_keep(struct packet *p, struct frame *frames, struct mmsghdr *msgs,
				   unsigned int n)
{
	unsigned int i, kept = 0;

	for (i = 0; i < n; i++) {
		if (packet_io_fit(p, &frames[i], &msgs[i]) &&
		    (kept == i || packet_io_move(&frames[kept], &frames[i])))
			kept++;
	}
	if (unlikely(kept < n))
		count_add(&p->unfit, n - kept);
	return kept;
}

static int packet_io_batch(int fd, struct packet_batch *b, struct frame *frames, unsigned int n)
{
	unsigned int i;
	int r;

	for (i = 0; i < n; i++)
		b->msgs[i].msg_hdr = (struct msghdr){
			.msg_iov = frames[i].iov,
			.msg_iovlen = frames[i].iovcnt,
			.msg_control = &b->control[i],
			.msg_controllen = sizeof(b->control[i]),
		};
	r = recvmmsg(fd, b->msgs, n, MSG_DONTWAIT, NULL);
	return r < 0 ? -errno : r;
}

/*
 * A batch may end early for an error that the next call tells, so only EAGAIN says that
 * nothing is left. EINVAL is a frame that has no virtio-net header; it is gone.
 */
int packet_io_receive(struct kport *kp, unsigned int pair, struct frame *frames, unsigned int n)
{
	struct packet *p = container_of(kp, struct packet, kport);
	int err = p->failed;
	struct packet_batch b;
	unsigned int got = 0, errors = 0;

	p->failed = 0;
	while (!err && got < n && errors < PACKET_BATCH) {
		unsigned int want = MIN(n - got, PACKET_BATCH);
		int r = packet_io_batch(kp->fds[pair], &b, frames + got, want);

		if (r >= 0) {
			got += packet_io_keep(p, frames + got, b.msgs, (unsigned int)r);
		} else if (r == -EINVAL || r == -ENETDOWN) {
			if (r == -EINVAL)
				count_add(&p->unfit, 1);
			errors++;
		} else {
			err = r;
		}
	}
	if (err == -EAGAIN)
		return (int)got;
	if (got)
		p->failed = err;
	return got ? (int)got : err;
}
