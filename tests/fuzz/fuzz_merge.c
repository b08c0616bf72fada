/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets as the input wants them, with bytes of them changed: each is in one unit, in order
 * of its flow's, and what is cut from a superframe is what went in.
 */
#include <netinet/in.h>

#include "../unit/packet_rig.h"
#include "engine/headers.h"
#include "engine/merge.h"
#include "engine/segment.h"
#include "fuzz.h"

#define PACKETS 16u
#define PACKET_MAX 512u

struct batch {
	unsigned int n;
	uint32_t len[PACKETS];
	struct frame frames[PACKETS];
	struct iovec iovs[PACKETS][2];
	uint8_t packets[PACKETS][PACKET_MAX];
	uint8_t flat[PACKETS * PACKET_MAX], piece[PACKET_MAX];
};

/* One in two goes on where the one before it ended. */
static void next_spec(struct input *in, struct packet_spec *s)
{
	uint8_t b = input8(in);

	s->seq += s->payload;
	s->id += b >> 1 & 1;
	if (b & 1)
		return;
	s->v6 = b & 4;
	s->udp = b & 8;
	s->vlan = b & 16;
	s->timestamp = b & 32;
	s->may_fragment = b & 64;
	s->flow = input8(in) & 1;
	s->payload = input8(in);
	s->tcp_flags = input8(in);
	s->fault = input8(in) % (PACKET_NO_IP + 1);
	s->ttl = 64;
}

static void add(struct input *in, struct batch *b, struct packet_spec *s)
{
	unsigned int i = b->n++;
	uint8_t changes, h;

	next_spec(in, s);
	b->len[i] = packet_rig_build(s, b->packets[i]);
	for (changes = input8(in) % 4; changes > 0; changes--) {
		uint8_t at = input8(in);

		b->packets[i][at % b->len[i]] = input8(in);
	}
	packet_rig_frame(&b->frames[i], b->iovs[i], b->packets[i], b->len[i]);
	h = input8(in); /* sound or not, it is said to be good */
	b->frames[i].hdr.flags = h & VIRTIO_NET_HDR_F_DATA_VALID;
}

/* What need not be the same: the checksum of what was said to be good, the id of an atomic
 * datagram and, with it, the header's checksum. */
static void forget(const struct batch *b, unsigned int place, uint8_t *packet, bool strict)
{
	struct headers h;

	if (headers_read(&h, packet, b->len[place]) != HEADERS_PLAIN)
		return;
	if (b->frames[place].hdr.flags)
		memset(packet + h.transport + (h.protocol == IPPROTO_TCP ? 16 : 6), 0, 2);
	if (!strict && !h.v6 && packet[h.network + 6] & 0x40) {
		memset(packet + h.network + 4, 0, 2);
		memset(packet + h.network + 10, 0, 2);
	}
}

static void compare(struct batch *b, uint8_t *got, uint32_t len, uint16_t place, bool strict)
{
	uint8_t sent[PACKET_MAX];

	MUST(len == b->len[place]);
	memcpy(sent, b->packets[place], len);
	forget(b, place, sent, strict);
	forget(b, place, got, strict);
	MUST(!memcmp(sent, got, len));
}

static unsigned int check(struct batch *b, const struct merge *m, unsigned int unit,
			  const struct frame *f, bool strict)
{
	unsigned int members = merge_members(m, unit), i;
	uint32_t len = packet_rig_flatten(f, b->flat);
	uint16_t place = merge_first(m, unit), last = place;
	struct segment s;

	MUST(len == f->len && members >= 1);
	if (members > 1)
		MUST(!segment_open(&s, b->flat, len, &f->hdr, true) && s.pieces == members);
	for (i = 0; i < members; i++, place = merge_next(m)[place]) {
		struct virtio_net_hdr_v1 hdr = f->hdr;

		MUST(place < b->n && (!i || place > last));
		last = place;
		if (members == 1)
			compare(b, b->flat, len, place, strict);
		else
			compare(b, b->piece, segment_write(&s, b->piece, &hdr), place, strict);
	}
	MUST(place == MERGE_END);
	return members;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	bool strict = input8(&in) & 1;
	const struct merge_config config = {
		.strict = strict, .tcp = true, .udp_max = 8, .hdr_len = 12,
	};
	struct merge *m = merge_open(&config);
	struct batch *b = calloc(1, sizeof(*b));
	struct packet_spec spec = { .ttl = 64, .payload = 100 };
	unsigned int i, n, seen = 0;
	struct frame *units;

	MUST(m && b);
	while (in.left && b->n < PACKETS)
		add(&in, b, &spec);
	n = merge_batch(m, b->frames, b->n, &units);
	for (i = 0; i < n; i++)
		seen += check(b, m, i, &units[i], strict);
	MUST(seen == b->n);
	merge_close(m);
	free(b);
	return 0;
}
