/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any header before any packet: what is not refused is cut into as many pieces as were
 * announced, none longer than announced, nothing is read or written beside the bytes there
 * are, and all payload comes out, in order.
 */
#include <vubridge/frame.h>

#include "engine/segment.h"
#include "fuzz.h"

static void cut(struct segment *s, const struct virtio_net_hdr_v1 *hdr, const uint8_t *packet,
		uint32_t len)
{
	uint32_t room = segment_room(s), done = s->payload;
	unsigned int i, pieces = s->pieces;
	bool super = s->gso_type != VIRTIO_NET_HDR_GSO_NONE;

	MUST(pieces >= 1 && pieces <= len + 1);
	for (i = 0; i < pieces && i < 4096; i++) {
		uint8_t *to = malloc(room ? room : 1); /* the sanitizer knows where it ends */
		struct virtio_net_hdr_v1 h = *hdr;
		uint32_t n;

		MUST(to);
		n = segment_write(s, to, &h);
		MUST(n <= room);
		MUST(h.gso_type == VIRTIO_NET_HDR_GSO_NONE || !super);
		if (super) {
			MUST(n > s->payload);
			MUST(!memcmp(to + s->payload, packet + done, n - s->payload));
			done += n - s->payload;
		} else {
			MUST(n == len);
		}
		free(to);
	}
	MUST(!super || i < pieces || done == len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	bool complete = input8(&in) & 1;
	struct virtio_net_hdr_v1 hdr;
	struct segment s;
	uint8_t *packet;
	uint32_t len;

	input_bytes(&in, &hdr, sizeof(hdr));
	len = (uint32_t)(in.left > FRAME_LEN_MAX ? FRAME_LEN_MAX : in.left);
	packet = malloc(len ? len : 1);
	MUST(packet);
	input_bytes(&in, packet, len);
	if (!segment_open(&s, packet, len, &hdr, complete))
		cut(&s, &hdr, packet, len);
	free(packet);
	return 0;
}
