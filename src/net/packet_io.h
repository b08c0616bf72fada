/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The frames of a packet socket with virtio-net headers: packet.c's other half. */
#ifndef NET_PACKET_IO_H
#define NET_PACKET_IO_H

#include <vubridge/kport.h>

#include "net/veth.h"

/* What a user's end that was there before was. */
struct packet_user_before {
	bool known;
	uint32_t features; /* wanted: bits by their place in packet_user.c's table */
	uint32_t gso_max_size, gso_ipv4_max_size;
};

struct packet {
	struct kport kport;
	struct rtnl *rtnl; /* of the hidden end's namespace, which calls the user's user_netnsid */
	struct rtnl *user_rtnl;
	int user_netnsid;
	int fd;
	int lock_fd;
	int ethfeat_fd; /* sets features, in the user's namespace */
	/* the two ends of a pair that was there before */
	struct veth_before before;
	struct packet_user_before user_before;
	/* VIRTIO_NET_F_ bits (HOST side) that the user's end was last told of in its namespace */
	uint64_t told;
	uint64_t overflows; /* the kernel's count, which begins anew when it is read */
	uint64_t unfit;     /* frames of the kernel that cannot be passed on; by the worker */
	int failed;         /* -errno of a read behind frames, not told yet; the worker's */
};

int packet_io_send(struct kport *kp, unsigned int pair, struct frame *frames, unsigned int n);
int packet_io_receive(struct kport *kp, unsigned int pair, struct frame *frames, unsigned int n);

#endif
