/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel port: the network interface that the rest of the system sees, and one
 * file descriptor a queue pair that carries its frames.
 *
 * All operations but send and receive are the control thread's. Functions return
 * 0 or a count, or -errno; they log nothing.
 */
#ifndef VUBRIDGE_KPORT_H
#define VUBRIDGE_KPORT_H

#include <vubridge/frame.h>

#include <linux/if.h>
#include <linux/if_ether.h>
#include <stdbool.h>

struct kport;

struct kport_ops {
	/*
	 * Writes frames[0..n) to pair's fd, in order, and returns how many were
	 * accepted. Stops at the first error: 0 accepted and -errno when it was the
	 * first frame's. -EAGAIN ends a batch, nothing was written.
	 */
	int (*send)(struct kport *kp, unsigned int pair, struct frame *frames, unsigned int n);
	/*
	 * Reads up to @n frames into the room that they describe and sets their len
	 * (bytes after the header) and hdr. Returns how many came, 0 for none. Stops at the
	 * first read that fails, which cost a frame: -errno, told by the next call when others
	 * came before it. -EBADFD: there will be no more.
	 */
	int (*receive)(struct kport *kp, unsigned int pair, struct frame *frames, unsigned int n);

	/* Turns the carrier on or off; idempotent. */
	int (*set_carrier)(struct kport *kp, bool on);
	/*
	 * Tells the kernel which offloads frames given to us may need: VIRTIO_NET_F_ bits of a
	 * device (HOST side). Sets kp->offered. Returns 0 or -errno.
	 */
	int (*set_offload)(struct kport *kp, uint64_t host_features);
	/*
	 * Lets the first @n pairs alone carry frames: the kernel hands none to the fds of
	 * the others, which cannot be read meanwhile (-EBADFD). All of them at first.
	 */
	int (*set_pairs)(struct kport *kp, unsigned int n);
	/* The kernel's own count of frames it dropped since the interface was made because our
	 * queue was full (tx_dropped). */
	int (*get_overflows)(struct kport *kp, uint64_t *count);
	/* Changes the interface's address; NULL: that is for rtnetlink alone. 0 or -errno. */
	int (*set_mac)(struct kport *kp, const uint8_t mac[ETH_ALEN]);
	/* From now on close leaves the interface behind, without carrier. */
	int (*persist)(struct kport *kp);
	/*
	 * The interface is not where it was: brings name up to date and says what became of
	 * it. 0: it is in the namespace of this port's netlink socket, ifindex is right. 1: it
	 * is in *netns, a descriptor that is the caller's to close. -EBADFD: it was deleted.
	 * Other errors: it lives, but where it is cannot be asked; ifindex is 0. NULL: a port
	 * that cannot follow its interface.
	 */
	int (*find)(struct kport *kp, int *netns);
	/* Makes the calling thread's namespace the port's, where the interface must be. */
	int (*settle)(struct kport *kp);
	/* Removes an interface that open created, closes what open opened. NULL-safe. */
	void (*close)(struct kport *kp);
};

struct kport {
	const struct kport_ops *ops;
	char name[IFNAMSIZ];
	unsigned int ifindex; /* 0: in another network namespace since before open */
	/*
	 * Of a pair of interfaces the end that is the port's own, or 0. It stays in its
	 * network namespace, wherever the other end (above, the user's) may be moved to; it
	 * goes when that is deleted, and while it is IFF_UP the other may have carrier.
	 */
	unsigned int hidden_ifindex;
	bool hidden_apart; /* it is in another namespace than that of open, which is the user's */
	uint8_t mac[ETH_ALEN];
	uint8_t hdr_len;  /* bytes of virtio-net header before each frame on the fds */
	bool needs_net_admin; /* set_carrier takes CAP_NET_ADMIN, for as long as it runs */
	bool vectored;    /* frames pass by plain readv and writev (so io_uring may do it too) */
	bool created;     /* by open; the interface did not exist before */
	unsigned int pairs;
	unsigned int txqlen; /* packets that the kernel queues for each pair, at open; 0: it
			      * counts bytes instead */
	int *fds; /* [pairs], O_NONBLOCK, owned by the port */
	/* VIRTIO_NET_F_ bits of a driver (GUEST side) and device (HOST side) that the
	 * kernel can do on this interface, found by probing */
	uint64_t offloads;
	uint64_t offered; /* HOST side bits that frames from the kernel may need now */
};

static inline int kport_send(struct kport *kp, unsigned int pair, struct frame *frames,
			     unsigned int n)
{
	return kp->ops->send(kp, pair, frames, n);
}

static inline int kport_receive(struct kport *kp, unsigned int pair, struct frame *frames,
				unsigned int n)
{
	return kp->ops->receive(kp, pair, frames, n);
}

#endif
