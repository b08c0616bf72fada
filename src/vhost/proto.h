/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vhost-user wire format, in the specification's own names. All integers are
 * in the byte order of the host: both ends run on one machine.
 */
#ifndef VHOST_PROTO_H
#define VHOST_PROTO_H

#include <linux/vhost_types.h>
#include <stdbool.h>
#include <stdint.h>

#define VHOST_USER_F_PROTOCOL_FEATURES 30 /* a bit among the device features */

#define VHOST_USER_MAX_MEM_REGIONS 8 /* of one SET_MEM_TABLE, and so of file descriptors */
#define VHOST_USER_MAX_FDS	   8
#define VHOST_USER_MAX_CONFIG_SIZE 256
#define VHOST_USER_MAX_PAIRS	   128 /* KICK, CALL and ERR have 8 bits for a ring's index */

/* Front-end to back-end. */
enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_LOG_BASE = 6,
	VHOST_USER_SET_LOG_FD = 7,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SEND_RARP = 19,
	VHOST_USER_NET_SET_MTU = 20,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_IOTLB_MSG = 22,
	VHOST_USER_SET_VRING_ENDIAN = 23,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_CREATE_CRYPTO_SESSION = 26,
	VHOST_USER_CLOSE_CRYPTO_SESSION = 27,
	VHOST_USER_POSTCOPY_ADVISE = 28,
	VHOST_USER_POSTCOPY_LISTEN = 29,
	VHOST_USER_POSTCOPY_END = 30,
	VHOST_USER_GET_INFLIGHT_FD = 31,
	VHOST_USER_SET_INFLIGHT_FD = 32,
	VHOST_USER_GPU_SET_SOCKET = 33,
	VHOST_USER_RESET_DEVICE = 34,
	VHOST_USER_VRING_KICK = 35,
	VHOST_USER_GET_MAX_MEM_SLOTS = 36,
	VHOST_USER_ADD_MEM_REG = 37,
	VHOST_USER_REM_MEM_REG = 38,
	VHOST_USER_SET_STATUS = 39,
	VHOST_USER_GET_STATUS = 40,
	VHOST_USER_GET_SHARED_OBJECT = 41,
	VHOST_USER_SET_DEVICE_STATE_FD = 42,
	VHOST_USER_CHECK_DEVICE_STATE = 43,
	VHOST_USER_GET_SHMEM_CONFIG = 44,
	VHOST_USER_REQUEST_END /* one more than the last */
};

/* Back-end to front-end, over the socket of SET_BACKEND_REQ_FD. */
enum vhost_user_backend_request {
	VHOST_USER_BACKEND_IOTLB_MSG = 1,
	VHOST_USER_BACKEND_CONFIG_CHANGE_MSG = 2,
	VHOST_USER_BACKEND_VRING_HOST_NOTIFIER_MSG = 3,
	VHOST_USER_BACKEND_VRING_CALL = 4,
	VHOST_USER_BACKEND_VRING_ERR = 5,
	VHOST_USER_BACKEND_SHARED_OBJECT_ADD = 6,
	VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE = 7,
	VHOST_USER_BACKEND_SHARED_OBJECT_LOOKUP = 8,
	VHOST_USER_BACKEND_SHMEM_MAP = 9,
	VHOST_USER_BACKEND_SHMEM_UNMAP = 10,
	VHOST_USER_BACKEND_REQUEST_END
};

enum vhost_user_protocol_feature {
	VHOST_USER_PROTOCOL_F_MQ = 0,
	VHOST_USER_PROTOCOL_F_LOG_SHMFD = 1,
	VHOST_USER_PROTOCOL_F_RARP = 2,
	VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
	VHOST_USER_PROTOCOL_F_NET_MTU = 4,
	VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,
	VHOST_USER_PROTOCOL_F_CROSS_ENDIAN = 6,
	VHOST_USER_PROTOCOL_F_CRYPTO_SESSION = 7,
	VHOST_USER_PROTOCOL_F_PAGEFAULT = 8,
	VHOST_USER_PROTOCOL_F_CONFIG = 9,
	VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD = 10,
	VHOST_USER_PROTOCOL_F_HOST_NOTIFIER = 11,
	VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12,
	VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13,
	VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS = 14,
	VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	VHOST_USER_PROTOCOL_F_STATUS = 16,
	VHOST_USER_PROTOCOL_F_XEN_MMAP = 17,
	VHOST_USER_PROTOCOL_F_SHARED_OBJECT = 18,
	VHOST_USER_PROTOCOL_F_DEVICE_STATE = 19,
	VHOST_USER_PROTOCOL_F_GET_VRING_BASE_INFLIGHT = 20,
	VHOST_USER_PROTOCOL_F_SHMEM = 21,
};

/* What a message needs besides a protocol feature, or instead of one. */
#define PROTO_NEEDS_NOTHING	      (-1)
#define PROTO_NEEDS_PROTOCOL_FEATURES (-2) /* VHOST_USER_F_PROTOCOL_FEATURES alone */
#define PROTO_NEEDS_ACCESS_PLATFORM   (-3) /* VIRTIO_F_ACCESS_PLATFORM */

struct vhost_user_header {
	uint32_t request;
	uint32_t flags;
#define VHOST_USER_VERSION	   0x1u
#define VHOST_USER_VERSION_MASK	   0x3u
#define VHOST_USER_REPLY_MASK	   (0x1u << 2)
#define VHOST_USER_NEED_REPLY_MASK (0x1u << 3)
	uint32_t size; /* bytes of payload that follow */
};

/* u64 of SET_VRING_KICK, CALL and ERR */
#define VHOST_USER_VRING_IDX_MASK  0xffu
#define VHOST_USER_VRING_NOFD_MASK (0x1u << 8) /* no descriptor comes along: poll */

struct vhost_user_memory_region {
	uint64_t guest_phys_addr;
	uint64_t memory_size;
	uint64_t userspace_addr;
	uint64_t mmap_offset;
};

struct vhost_user_memory {
	uint32_t nregions;
	uint32_t padding;
	struct vhost_user_memory_region regions[VHOST_USER_MAX_MEM_REGIONS];
};

struct vhost_user_single_memory_region {
	uint64_t padding;
	struct vhost_user_memory_region region;
};

struct vhost_user_log {
	uint64_t mmap_size;
	uint64_t mmap_offset;
};

struct vhost_user_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t region[VHOST_USER_MAX_CONFIG_SIZE];
};

#define VHOST_USER_CONFIG_HDR_SIZE 12u /* what stands before the region */

struct vhost_user_inflight {
	uint64_t mmap_size;
	uint64_t mmap_offset;
	uint16_t num_queues;
	uint16_t queue_size;
};

/* A payload starts at byte 12, so it is kept apart from the header: aligned. */
union vhost_user_payload {
	uint64_t u64;
	struct vhost_vring_state state;
	struct vhost_vring_addr addr;
	struct vhost_user_memory memory;
	struct vhost_user_single_memory_region memreg;
	struct vhost_user_log log;
	struct vhost_iotlb_msg iotlb;
	struct vhost_user_config config;
	struct vhost_user_inflight inflight;
};

_Static_assert(sizeof(struct vhost_user_header) == 12, "header");
_Static_assert(sizeof(struct vhost_vring_state) == 8, "vring state description");
_Static_assert(sizeof(struct vhost_vring_addr) == 40, "vring address description");
_Static_assert(sizeof(struct vhost_user_memory_region) == 32, "memory region");
_Static_assert(sizeof(struct vhost_user_memory) == 264, "memory regions description");
_Static_assert(sizeof(struct vhost_user_single_memory_region) == 40, "single memory region");
_Static_assert(sizeof(struct vhost_user_log) == 16, "log description");
_Static_assert(sizeof(struct vhost_iotlb_msg) == 32, "IOTLB message");
_Static_assert(sizeof(struct vhost_user_config) == 268, "configuration space");
_Static_assert(sizeof(struct vhost_user_inflight) == 24, "inflight description");

/* A message as the specification describes it; sizes are bytes of payload. */
struct vhost_user_msg_desc {
	const char *name; /* without VHOST_USER_ or VHOST_USER_BACKEND_ */
	uint16_t size_min, size_max;
	uint8_t fds_min, fds_max;
	bool reply; /* has an answer of its own, so NEED_REPLY adds none */
	uint16_t reply_min, reply_max;
	uint8_t reply_fds_max;
	int8_t needs; /* VHOST_USER_PROTOCOL_F_* or PROTO_NEEDS_* */
};

/* The row of a message, NULL when it is unknown. */
const struct vhost_user_msg_desc *proto_request(uint32_t id);
const struct vhost_user_msg_desc *proto_backend_request(uint32_t id);

#endif
