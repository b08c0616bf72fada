/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vhost/proto.h"

#include "base/util.h"

#define ROW(id, ...)	     [VHOST_USER_##id] = {.name = #id, __VA_ARGS__}
#define BACKEND_ROW(id, ...) [VHOST_USER_BACKEND_##id] = {.name = #id, __VA_ARGS__}

#define SIZE(min, max)	.size_min = (min), .size_max = (max)
#define SIZE_OF(type)	SIZE(sizeof(type), sizeof(type))
#define FDS(min, max)	.fds_min = (min), .fds_max = (max)
#define REPLY(min, max) .reply = true, .reply_min = (min), .reply_max = (max)
#define REPLY_OF(type)	REPLY(sizeof(type), sizeof(type))
#define REPLY_FD	.reply_fds_max = 1

#define ALWAYS	       .needs = PROTO_NEEDS_NOTHING
#define NEEDS(feature) .needs = VHOST_USER_PROTOCOL_F_##feature
#define NEEDS_BIT_30   .needs = PROTO_NEEDS_PROTOCOL_FEATURES
#define NEEDS_IOMMU    .needs = PROTO_NEEDS_ACCESS_PLATFORM

#define U64    uint64_t
#define STATE  struct vhost_vring_state
#define MEMREG struct vhost_user_single_memory_region

#define CONFIG_SIZE SIZE(VHOST_USER_CONFIG_HDR_SIZE, sizeof(struct vhost_user_config))
/* one region at least, of eight */
#define MEM_TABLE_SIZE                                                                             \
	SIZE(8 + sizeof(struct vhost_user_memory_region), sizeof(struct vhost_user_memory))
/* without LOG_SHMFD a bare number */
#define LOG_SIZE SIZE(sizeof(uint64_t), sizeof(struct vhost_user_log))
/* some peers send it without the padding at its end */
#define INFLIGHT_MIN 20u
#define INFLIGHT_MAX sizeof(struct vhost_user_inflight)
#define UUID_SIZE    16u
#define AREA_SIZE    24u
#define MMAP_SIZE    40u
#define SHMEM_MIN    8u
#define SHMEM_MAX    (8u + 256u * 8u)
/* layouts of other device types, which no one here reads */
#define OPAQUE_MAX sizeof(union vhost_user_payload)

static const struct vhost_user_msg_desc requests[VHOST_USER_REQUEST_END] = {
	ROW(GET_FEATURES, REPLY_OF(U64), ALWAYS),
	ROW(SET_FEATURES, SIZE_OF(U64), ALWAYS),
	ROW(SET_OWNER, ALWAYS),
	ROW(RESET_OWNER, ALWAYS),
	ROW(SET_MEM_TABLE, MEM_TABLE_SIZE, FDS(1, VHOST_USER_MAX_MEM_REGIONS), ALWAYS),
	ROW(SET_LOG_BASE, LOG_SIZE, FDS(0, 1), REPLY(0, sizeof(U64)), NEEDS(LOG_SHMFD)),
	ROW(SET_LOG_FD, SIZE(0, sizeof(U64)), FDS(1, 1), ALWAYS),
	ROW(SET_VRING_NUM, SIZE_OF(STATE), ALWAYS),
	ROW(SET_VRING_ADDR, SIZE_OF(struct vhost_vring_addr), ALWAYS),
	ROW(SET_VRING_BASE, SIZE_OF(STATE), ALWAYS),
	ROW(GET_VRING_BASE, SIZE_OF(STATE), REPLY_OF(STATE), ALWAYS),
	ROW(SET_VRING_KICK, SIZE_OF(U64), FDS(0, 1), ALWAYS),
	ROW(SET_VRING_CALL, SIZE_OF(U64), FDS(0, 1), ALWAYS),
	ROW(SET_VRING_ERR, SIZE_OF(U64), FDS(0, 1), ALWAYS),
	ROW(GET_PROTOCOL_FEATURES, REPLY_OF(U64), NEEDS_BIT_30),
	ROW(SET_PROTOCOL_FEATURES, SIZE_OF(U64), NEEDS_BIT_30),
	ROW(GET_QUEUE_NUM, REPLY_OF(U64), NEEDS(MQ)),
	ROW(SET_VRING_ENABLE, SIZE_OF(STATE), NEEDS_BIT_30),
	ROW(SEND_RARP, SIZE_OF(U64), NEEDS(RARP)),
	ROW(NET_SET_MTU, SIZE_OF(U64), NEEDS(NET_MTU)),
	ROW(SET_BACKEND_REQ_FD, FDS(1, 1), NEEDS(BACKEND_REQ)),
	ROW(IOTLB_MSG, SIZE_OF(struct vhost_iotlb_msg), NEEDS_IOMMU),
	ROW(SET_VRING_ENDIAN, SIZE_OF(STATE), NEEDS(CROSS_ENDIAN)),
	ROW(GET_CONFIG, CONFIG_SIZE, REPLY(0, sizeof(struct vhost_user_config)), NEEDS(CONFIG)),
	ROW(SET_CONFIG, CONFIG_SIZE, NEEDS(CONFIG)),
	ROW(CREATE_CRYPTO_SESSION, SIZE(0, OPAQUE_MAX), REPLY(0, OPAQUE_MAX),
	    NEEDS(CRYPTO_SESSION)),
	ROW(CLOSE_CRYPTO_SESSION, SIZE_OF(U64), NEEDS(CRYPTO_SESSION)),
	ROW(POSTCOPY_ADVISE, REPLY(0, sizeof(U64)), REPLY_FD, NEEDS(PAGEFAULT)),
	ROW(POSTCOPY_LISTEN, NEEDS(PAGEFAULT)),
	ROW(POSTCOPY_END, REPLY_OF(U64), NEEDS(PAGEFAULT)),
	ROW(GET_INFLIGHT_FD, SIZE(INFLIGHT_MIN, INFLIGHT_MAX), REPLY(INFLIGHT_MIN, INFLIGHT_MAX),
	    REPLY_FD, NEEDS(INFLIGHT_SHMFD)),
	ROW(SET_INFLIGHT_FD, SIZE(INFLIGHT_MIN, INFLIGHT_MAX), FDS(1, 1), NEEDS(INFLIGHT_SHMFD)),
	ROW(GPU_SET_SOCKET, FDS(1, 1), ALWAYS),
	ROW(RESET_DEVICE, NEEDS(RESET_DEVICE)),
	ROW(VRING_KICK, SIZE_OF(STATE), NEEDS(INBAND_NOTIFICATIONS)),
	ROW(GET_MAX_MEM_SLOTS, REPLY_OF(U64), NEEDS(CONFIGURE_MEM_SLOTS)),
	ROW(ADD_MEM_REG, SIZE_OF(MEMREG), FDS(1, 1), NEEDS(CONFIGURE_MEM_SLOTS)),
	ROW(REM_MEM_REG, SIZE_OF(MEMREG), FDS(0, 1), NEEDS(CONFIGURE_MEM_SLOTS)),
	ROW(SET_STATUS, SIZE_OF(U64), NEEDS(STATUS)),
	ROW(GET_STATUS, REPLY_OF(U64), NEEDS(STATUS)),
	ROW(GET_SHARED_OBJECT, SIZE(UUID_SIZE, UUID_SIZE), REPLY(0, UUID_SIZE), REPLY_FD,
	    NEEDS(SHARED_OBJECT)),
	ROW(SET_DEVICE_STATE_FD, SIZE(8, 8), FDS(1, 1), REPLY_OF(U64), REPLY_FD,
	    NEEDS(DEVICE_STATE)),
	ROW(CHECK_DEVICE_STATE, REPLY_OF(U64), NEEDS(DEVICE_STATE)),
	ROW(GET_SHMEM_CONFIG, REPLY(SHMEM_MIN, SHMEM_MAX), NEEDS(SHMEM)),
};

static const struct vhost_user_msg_desc backend_requests[VHOST_USER_BACKEND_REQUEST_END] = {
	BACKEND_ROW(IOTLB_MSG, SIZE_OF(struct vhost_iotlb_msg), NEEDS_IOMMU),
	BACKEND_ROW(CONFIG_CHANGE_MSG, NEEDS(CONFIG)),
	BACKEND_ROW(VRING_HOST_NOTIFIER_MSG, SIZE(AREA_SIZE, AREA_SIZE), FDS(0, 1),
		    NEEDS(HOST_NOTIFIER)),
	BACKEND_ROW(VRING_CALL, SIZE_OF(STATE), NEEDS(INBAND_NOTIFICATIONS)),
	BACKEND_ROW(VRING_ERR, SIZE_OF(STATE), NEEDS(INBAND_NOTIFICATIONS)),
	BACKEND_ROW(SHARED_OBJECT_ADD, SIZE(UUID_SIZE, UUID_SIZE), NEEDS(SHARED_OBJECT)),
	BACKEND_ROW(SHARED_OBJECT_REMOVE, SIZE(UUID_SIZE, UUID_SIZE), NEEDS(SHARED_OBJECT)),
	BACKEND_ROW(SHARED_OBJECT_LOOKUP, SIZE(UUID_SIZE, UUID_SIZE), REPLY_OF(U64), REPLY_FD,
		    NEEDS(SHARED_OBJECT)),
	BACKEND_ROW(SHMEM_MAP, SIZE(MMAP_SIZE, MMAP_SIZE), FDS(1, 1), NEEDS(SHMEM)),
	BACKEND_ROW(SHMEM_UNMAP, SIZE(MMAP_SIZE, MMAP_SIZE), NEEDS(SHMEM)),
};

static const struct vhost_user_msg_desc *row(const struct vhost_user_msg_desc *table, size_t n,
					     uint32_t id)
{
	return id < n && table[id].name ? &table[id] : NULL;
}

const struct vhost_user_msg_desc *proto_request(uint32_t id)
{
	return row(requests, ARRAY_SIZE(requests), id);
}

const struct vhost_user_msg_desc *proto_backend_request(uint32_t id)
{
	return row(backend_requests, ARRAY_SIZE(backend_requests), id);
}
