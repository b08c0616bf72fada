/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/capture_ring.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/uapi.h"
#include "base/util.h"

/* ---- the ring ---- */

void capture_ring_open(struct capture_ring *ring, void *base, uint32_t size)
{
	*ring = (struct capture_ring){
		.control = base,
		.data = (const uint8_t *)base + CAPTURE_CONTROL,
		.size = size,
	};
}

int capture_ring_look(struct capture_ring *ring)
{
	ring->end = __atomic_load_n(&ring->control->written, __ATOMIC_ACQUIRE);
	return ring->end - ring->read <= ring->size ? 0 : -EPROTO;
}

static size_t place(const struct capture_ring *ring, uint64_t position)
{
	return (size_t)(position & (ring->size - 1));
}

int capture_ring_peek(const struct capture_ring *ring, struct capture_record *record)
{
	uint64_t there = ring->end - ring->read;

	if (!there)
		return 0;
	if (there < sizeof(*record))
		return -EPROTO;
	memcpy(record, ring->data + place(ring, ring->read), sizeof(*record));
	return capture_record_size(record->captured) <= there ? 1 : -EPROTO;
}

void capture_ring_take(struct capture_ring *ring, const struct capture_record *record, void *packet)
{
	size_t start = place(ring, ring->read + sizeof(*record));
	size_t first = MIN((size_t)record->captured, ring->size - start);

	memcpy(packet, ring->data + start, first);
	memcpy((uint8_t *)packet + first, ring->data, record->captured - first);
	ring->read += capture_record_size(record->captured);
	__atomic_store_n(&ring->control->read, ring->read, __ATOMIC_RELEASE);
}

uint64_t capture_ring_dropped(const struct capture_ring *ring)
{
	return count_read(&ring->control->dropped);
}

/* ---- the header in words ---- */

struct name {
	uint8_t value;
	const char *name;
};

static const struct name flags[] = {
	{VIRTIO_NET_HDR_F_NEEDS_CSUM, "NEEDS_CSUM"},
	{VIRTIO_NET_HDR_F_DATA_VALID, "DATA_VALID"},
	{VIRTIO_NET_HDR_F_RSC_INFO, "RSC_INFO"},
};

static const struct name gso_types[] = {
	{VIRTIO_NET_HDR_GSO_NONE, "NONE"},     {VIRTIO_NET_HDR_GSO_TCPV4, "TCPV4"},
	{VIRTIO_NET_HDR_GSO_UDP, "UDP"},       {VIRTIO_NET_HDR_GSO_TCPV6, "TCPV6"},
	{VIRTIO_NET_HDR_GSO_UDP_L4, "UDP_L4"},
};

#define FLAGS_TEXT 48u

/* "A|B", with a number for bits that have no name; "0" */
static void flags_text(char text[FLAGS_TEXT], uint8_t value)
{
	size_t i, len = 0;

	text[0] = '\0';
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		if (!(value & flags[i].value))
			continue;
		len += (size_t)snprintf(text + len, FLAGS_TEXT - len, "%s%s", len ? "|" : "",
					flags[i].name);
		value &= (uint8_t)~flags[i].value;
	}
	if (value || !len)
		snprintf(text + len, FLAGS_TEXT - len, "%s%#x", len ? "|" : "", value);
}

static void gso_type_text(char text[FLAGS_TEXT], uint8_t value)
{
	const char *ecn = value & VIRTIO_NET_HDR_GSO_ECN ? "|ECN" : "";
	uint8_t type = value & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	size_t i = 0;

	while (i < ARRAY_SIZE(gso_types) && gso_types[i].value != type)
		i++;
	if (i < ARRAY_SIZE(gso_types))
		snprintf(text, FLAGS_TEXT, "%s%s", gso_types[i].name, ecn);
	else
		snprintf(text, FLAGS_TEXT, "%#x%s", type, ecn);
}

void capture_header_text(char text[CAPTURE_HEADER_TEXT], const struct virtio_net_hdr_v1 *hdr)
{
	char flag[FLAGS_TEXT], gso[FLAGS_TEXT];

	flags_text(flag, hdr->flags);
	gso_type_text(gso, hdr->gso_type);
	snprintf(text, CAPTURE_HEADER_TEXT,
		 "virtio-net flags=%s gso_type=%s hdr_len=%u gso_size=%u csum_start=%u "
		 "csum_offset=%u num_buffers=%u",
		 flag, gso, le16toh(hdr->hdr_len), le16toh(hdr->gso_size), le16toh(hdr->csum_start),
		 le16toh(hdr->csum_offset), le16toh(hdr->num_buffers));
}
