/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "flow_rig.h"

#include <string.h>

#include "base/util.h"

unsigned int flow_rig_roll(struct flow_rig *r, unsigned int n)
{
	r->random = r->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned int)(r->random >> 33) % n;
}

/* A flow that begins, of any kind. */
static void begin_flow(struct flow_rig *r, unsigned int i)
{
	static const uint16_t sizes[] = {1, 21, 22, 255, 256, 257, 1000, 1447, 1448};

	r->named = (uint8_t)(r->named % (FLOW_RIG_NONE - 1) + 1);
	r->names[i] = r->named;
	r->flows[i] = (struct packet_spec){
		.v6 = flow_rig_roll(r, 2),
		.vlan = !flow_rig_roll(r, 3),
		.udp = flow_rig_roll(r, 2),
		.flow = (uint16_t)(1000 + i),
		.seq = flow_rig_roll(r, 1u << 31) * 2u,
		.ack = flow_rig_roll(r, 9),
		.id = (uint16_t)flow_rig_roll(r, 65536),
		.may_fragment = flow_rig_roll(r, 2),
		.timestamp = (uint8_t)(flow_rig_roll(r, 2) * 5),
		.ttl = 64,
		.payload = sizes[flow_rig_roll(r, ARRAY_SIZE(sizes))],
	};
}

/* Something goes wrong with a packet, now and then. */
static void spoil(struct flow_rig *r, struct packet_spec *s)
{
	static const uint8_t flags[] = {0x01, 0x02, 0x04, 0x08, 0x20, 0x40, 0x80, 0x09};
	enum packet_fault faults[] = {
		PACKET_BAD_SUM,
		PACKET_PADDED,
		PACKET_NO_IP,
		s->v6 ? PACKET_EXTENSION : PACKET_BAD_IP_SUM,
		s->v6 ? PACKET_SOUND : PACKET_FRAGMENT,
		s->v6 ? PACKET_SOUND : PACKET_IP_OPTIONS,
		s->udp ? PACKET_NO_SUM : PACKET_SOUND,
	};

	switch (flow_rig_roll(r, 8)) {
	case 0:
		s->fault = faults[flow_rig_roll(r, ARRAY_SIZE(faults))];
		break;
	case 1:
		s->tcp_flags = flags[flow_rig_roll(r, ARRAY_SIZE(flags))];
		break;
	case 2:
		s->payload = (uint16_t)flow_rig_roll(r, s->payload + 2u);
		break;
	case 3:
		s->seq += flow_rig_roll(r, 3) - 1; /* a gap, or again */
		break;
	case 4:
		s->id += (uint16_t)flow_rig_roll(r, 3);
		break;
	case 5:
		s->ack++;
		break;
	case 6:
		s->ttl--;
		break;
	default:
		s->tos ^= 1;
	}
}

void flow_rig_init(struct flow_rig *r, uint64_t seed)
{
	unsigned int i;

	memset(r, 0, sizeof(*r));
	r->random = seed;
	for (i = 0; i < FLOW_RIG_FLOWS; i++)
		begin_flow(r, i);
}

uint8_t flow_rig_next(struct flow_rig *r, unsigned int i, struct packet_spec *out)
{
	struct packet_spec *next = &r->flows[i];
	uint8_t name = r->names[i];

	*out = *next;
	if (!flow_rig_roll(r, 12))
		spoil(r, out);
	next->seq = out->seq + out->payload;
	/* the ids of one flow in four stay the same */
	next->id = (uint16_t)(out->id + (i % 4 != 0));
	if (!flow_rig_roll(r, 300))
		begin_flow(r, i);
	return out->fault == PACKET_NO_IP ? FLOW_RIG_NONE : name;
}

void flow_rig_forget_id(uint8_t *packet, bool any)
{
	unsigned int ip = packet[12] == 0x81 ? 18 : 14;

	if (packet[ip] >> 4 == 4 && (any || packet[ip + 6] & 0x40)) {
		memset(packet + ip + 4, 0, 2);
		memset(packet + ip + 10, 0, 2);
	}
}
