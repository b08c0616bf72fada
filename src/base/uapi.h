/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel UAPI constants that the oldest supported kernel headers (5.14, EL 9)
 * lack. Whether the running kernel knows them is found out by asking it.
 */
#ifndef BASE_UAPI_H
#define BASE_UAPI_H

#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

/* linux/if_link.h: enumerators, so nothing can tell whether the headers have them */
#define IFLA_ALLMULTI	       61 /* 6.0 */
#define IFLA_GSO_IPV4_MAX_SIZE 63 /* 6.3 */

/* linux/if_packet.h */
#ifndef PACKET_VNET_HDR_SZ
#define PACKET_VNET_HDR_SZ 24 /* 6.4 */
#endif

/* linux/if_tun.h */
#ifndef IFF_NO_CARRIER
#define IFF_NO_CARRIER 0x0040 /* 6.0 */
#endif
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20 /* 6.2 */
#endif
#ifndef TUN_F_USO6
#define TUN_F_USO6 0x40 /* 6.2 */
#endif

/* linux/virtio_config.h */
#ifndef VIRTIO_F_IN_ORDER
#define VIRTIO_F_IN_ORDER 35 /* 5.18 */
#endif

/* linux/virtio_net.h */
#ifndef VIRTIO_NET_F_GUEST_USO4
#define VIRTIO_NET_F_GUEST_USO4 54 /* 6.2 */
#endif
#ifndef VIRTIO_NET_F_GUEST_USO6
#define VIRTIO_NET_F_GUEST_USO6 55 /* 6.2 */
#endif
#ifndef VIRTIO_NET_F_HOST_USO
#define VIRTIO_NET_F_HOST_USO 56 /* 6.2 */
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* 6.2 */
#endif

#endif
