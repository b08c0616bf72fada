/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Superframes that no merging makes: what is cut off them has the checksum it must have. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <string.h>

#include "base/util.h"
#include "engine/segment.h"
#include "packet_rig.h"

#define NETWORK	 14u
#define OPTIONS	 4u
#define PAYLOAD	 3000u
#define SIZE	 1000u
#define TCP_LEN	 20u
#define CHECK_AT 16u

/* Where the packets go in the end, which is not what their IP header says. */
static const uint8_t final[16] = {0x20, 0x01, 0x0d, 0xb8, 7, 7, 7, 7};

/* By the letter of RFC 1071. */
static uint32_t sum(uint32_t total, const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		total += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return total;
}

static uint16_t fold(uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return (uint16_t)total;
}

static uint32_t pseudo(const uint8_t *packet, bool v6, uint32_t len)
{
	size_t address = v6 ? 16 : 4;

	return sum(sum(IPPROTO_TCP + len, packet + NETWORK + (v6 ? 8 : 12), address), final,
		   address);
}

/* Makes room for @n bytes at @at. */
static uint32_t insert(uint8_t *packet, uint32_t len, uint32_t at, uint32_t n)
{
	memmove(packet + at + n, packet + at, len - at);
	memset(packet + at, 0, n);
	return len + n;
}

/*
 * A superframe whose source routes it: with IPv4 options, or IPv6's routing header. Its
 * checksum field has the sum of the pseudo-header with the final destination (RFC 8200, 8.1).
 */
static uint32_t build(uint8_t *packet, bool v6, struct virtio_net_hdr_v1 *hdr)
{
	const struct packet_spec spec = {.v6 = v6,
					 .flow = 1,
					 .ttl = 64,
					 .payload = PAYLOAD,
					 .fault = v6 ? PACKET_SOUND : PACKET_IP_OPTIONS};
	uint32_t len = packet_rig_build(&spec, packet), start = NETWORK + (v6 ? 40 : 20 + OPTIONS);
	uint16_t part;

	if (v6) {
		static const uint8_t routing[] = {IPPROTO_TCP, 2, 2, 1};

		len = insert(packet, len, start, 24);
		packet[NETWORK + 6] = IPPROTO_ROUTING;
		memcpy(packet + start, routing, sizeof(routing));
		memcpy(packet + start + 8, final, sizeof(final));
		start += 24;
	}
	part = htobe16(fold(pseudo(packet, v6, len - start)));
	memcpy(packet + start + CHECK_AT, &part, sizeof(part));
	*hdr = (struct virtio_net_hdr_v1){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
		.gso_size = htole16(SIZE),
		.csum_start = htole16((uint16_t)start),
		.csum_offset = htole16(CHECK_AT),
	};
	return len;
}

static void test_source_routes(void **state)
{
	uint8_t packet[NETWORK + 40 + 24 + 60 + PAYLOAD], piece[2048];
	struct virtio_net_hdr_v1 hdr, out;
	unsigned int v6, complete, i;
	struct segment s;
	uint32_t len, start, got;

	(void)state;
	for (v6 = 0; v6 < 2; v6++) {
		for (complete = 0; complete < 2; complete++) {
			len = build(packet, v6, &hdr);
			start = le16toh(hdr.csum_start);
			assert_int_equal(segment_open(&s, packet, len, &hdr, complete), 0);
			assert_int_equal(s.pieces, PAYLOAD / SIZE);
			for (i = 0; i < s.pieces; i++) {
				out = hdr;
				got = segment_write(&s, piece, &out);
				assert_int_equal(got, start + TCP_LEN + SIZE);
				if (complete)
					got = sum(pseudo(piece, v6, got - start), piece + start,
						  got - start);
				else /* the part is the pseudo-header's own sum */
					got = ~fold(pseudo(piece, v6, got - start)) +
					      sum(0, piece + start + CHECK_AT, 2);
				assert_int_equal(fold(got), 0xffff);
				assert_int_equal(!out.flags, complete);
			}
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_source_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
