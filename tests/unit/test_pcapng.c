/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The writer of pcapng, read by a reader that believes nothing; and a header in words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/uapi.h"
#include "base/util.h"
#include "ctl/capture_ring.h"
#include "ctl/pcapng.h"

struct file {
	char *data;
	size_t size;
	FILE *out;
	size_t at; /* of the next block */
};

struct block {
	uint32_t type, len;
	const uint8_t *body; /* without type and lengths */
};

static void begin(struct file *f)
{
	*f = (struct file){0};
	f->out = open_memstream(&f->data, &f->size);
	assert_non_null(f->out);
}

static void finish(struct file *f)
{
	fclose(f->out);
	free(f->data);
}

static uint32_t u32(const uint8_t *p)
{
	uint32_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static uint16_t u16(const uint8_t *p)
{
	uint16_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

/* The next block, which is of @type. */
static struct block next(struct file *f, uint32_t type)
{
	const uint8_t *p;
	struct block b;

	fflush(f->out);
	assert_true(f->at + 12 <= f->size);
	p = (const uint8_t *)f->data + f->at;
	b = (struct block){u32(p), u32(p + 4), p + 8};
	assert_int_equal(b.type, type);
	assert_int_equal(b.len % 4, 0);
	assert_true(b.len >= 12 && f->at + b.len <= f->size);
	assert_int_equal(u32(p + b.len - 4), b.len);
	f->at += b.len;
	b.len -= 12;
	return b;
}

static void assert_end(struct file *f)
{
	fflush(f->out);
	assert_int_equal(f->at, f->size);
}

/* Option @code among those that begin at @at, *len bytes; NULL: it is not there. They end. */
static const uint8_t *option(const struct block *b, uint32_t at, uint16_t code, uint16_t *len)
{
	const uint8_t *found = NULL;

	for (;;) {
		uint16_t n;

		assert_true(at + 4 <= b->len);
		n = u16(b->body + at + 2);
		if (u16(b->body + at) == 0)
			break;
		if (u16(b->body + at) == code) {
			assert_null(found);
			found = b->body + at + 4;
			*len = n;
		}
		at += 4 + ALIGN_UP((uint32_t)n, 4);
	}
	assert_int_equal(at + 4, b->len);
	return found;
}

static void assert_string(const struct block *b, uint32_t at, uint16_t code, const char *expected)
{
	uint16_t len = 0;
	const uint8_t *value = option(b, at, code, &len);

	assert_non_null(value);
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(value, expected, len);
}

static void assert_number(const struct block *b, uint32_t at, uint16_t code, uint64_t expected,
			  size_t size)
{
	uint16_t len = 0;
	const uint8_t *value = option(b, at, code, &len);

	assert_non_null(value);
	assert_int_equal(len, size);
	if (size == 1)
		assert_int_equal(value[0], expected);
	else if (size == 4)
		assert_int_equal(u32(value), expected);
	else
		assert_int_equal(u32(value) | (uint64_t)u32(value + 4) << 32, expected);
}

/* ---- tests ---- */

static void test_begin(void **state)
{
	struct file f;
	struct block b;
	uint16_t len;

	(void)state;
	begin(&f);
	pcapng_begin(f.out, "test 1");
	b = next(&f, 0x0A0D0D0A);
	assert_int_equal(u32(b.body), 0x1A2B3C4D);
	assert_int_equal(u16(b.body + 4), 1);
	assert_int_equal(u16(b.body + 6), 0);
	assert_int_equal(u32(b.body + 8), UINT32_MAX); /* its length is not known */
	assert_int_equal(u32(b.body + 12), UINT32_MAX);
	assert_string(&b, 16, 4, "test 1");
	assert_non_null(option(&b, 16, 3, &len));
	assert_end(&f);
	finish(&f);
}

static void test_interface(void **state)
{
	struct file f;
	struct block b;

	(void)state;
	begin(&f);
	pcapng_interface(f.out, "vnet0:rxq0", "a ring", 65600);
	b = next(&f, 1);
	assert_int_equal(u16(b.body), 1); /* Ethernet */
	assert_int_equal(u16(b.body + 2), 0);
	assert_int_equal(u32(b.body + 4), 65600);
	assert_string(&b, 8, 2, "vnet0:rxq0");
	assert_string(&b, 8, 3, "a ring");
	assert_number(&b, 8, 9, 9, 1); /* nanoseconds */
	assert_end(&f);
	finish(&f);
}

/* Each length, so each padding. */
static void test_packet(void **state)
{
	static const uint8_t data[] = "0123456789abcdef";
	struct pcapng_packet p = {
		.interface = 3,
		.time_ns = UINT64_C(0x1122334455667788),
		.direction = PCAPNG_OUTBOUND,
		.queue = 1,
		.comment = "xyz",
		.data = data,
		.len = 2000,
	};
	struct file f;
	struct block b;
	uint32_t options, i;
	uint16_t len;

	(void)state;
	begin(&f);
	for (p.captured = 0; p.captured < sizeof(data); p.captured++) {
		p.lost = p.captured % 2 ? UINT64_C(0x100000002) : 0;
		pcapng_packet(f.out, &p);
		b = next(&f, 6);
		assert_int_equal(u32(b.body), 3);
		assert_int_equal(u32(b.body + 4), 0x11223344);
		assert_int_equal(u32(b.body + 8), 0x55667788);
		assert_int_equal(u32(b.body + 12), p.captured);
		assert_int_equal(u32(b.body + 16), 2000);
		assert_memory_equal(b.body + 20, data, p.captured);
		options = 20 + ALIGN_UP(p.captured, 4);
		for (i = 20 + p.captured; i < options; i++)
			assert_int_equal(b.body[i], 0);
		assert_number(&b, options, 2, 2, 4);
		assert_number(&b, options, 6, 1, 4);
		assert_string(&b, options, 1, "xyz");
		if (p.lost)
			assert_number(&b, options, 4, p.lost, 8);
		else
			assert_null(option(&b, options, 4, &len));
	}
	p.comment = NULL;
	pcapng_packet(f.out, &p);
	b = next(&f, 6);
	assert_null(option(&b, 20 + ALIGN_UP(p.captured, 4), 1, &len));
	assert_end(&f);
	finish(&f);
}

static void test_statistics(void **state)
{
	static const struct pcapng_statistics s = {
		.interface = 1,
		.start_ns = UINT64_C(0x100000002),
		.end_ns = UINT64_C(0x300000004),
		.received = UINT64_C(0x500000006),
		.dropped = 7,
	};
	struct file f;
	struct block b;

	(void)state;
	begin(&f);
	pcapng_statistics(f.out, &s);
	b = next(&f, 5);
	assert_int_equal(u32(b.body), 1);
	assert_int_equal(u32(b.body + 4), 3);
	assert_int_equal(u32(b.body + 8), 4);
	/* points in time have the upper half first */
	assert_number(&b, 12, 2, UINT64_C(0x200000001), 8);
	assert_number(&b, 12, 3, UINT64_C(0x400000003), 8);
	assert_number(&b, 12, 4, s.received, 8);
	assert_number(&b, 12, 5, 7, 8);
	assert_end(&f);
	finish(&f);
}

/* No string breaks a block, however long. */
static void test_long_strings(void **state)
{
	char text[5000];
	struct file f;
	struct block b;
	uint16_t len = 0;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	begin(&f);
	pcapng_begin(f.out, text);
	b = next(&f, 0x0A0D0D0A);
	assert_non_null(option(&b, 16, 4, &len));
	assert_int_equal(len, 255);
	pcapng_interface(f.out, text, text, 1);
	b = next(&f, 1);
	pcapng_packet(f.out,
		      &(const struct pcapng_packet){.comment = text, .data = text, .lost = 1});
	b = next(&f, 6);
	assert_end(&f);
	finish(&f);
}

static void test_errors(void **state)
{
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	pcapng_begin(full, "test");
	assert_true(fflush(full) || ferror(full));
	fclose(full);
}

static void test_header_text(void **state)
{
	static const struct {
		struct virtio_net_hdr_v1 hdr;
		const char *text;
	} cases[] = {
		{{.num_buffers = 1},
		 "flags=0 gso_type=NONE hdr_len=0 gso_size=0 csum_start=0 csum_offset=0 "
		 "num_buffers=1"},
		{{.flags = 1,
		  .gso_type = 1,
		  .hdr_len = 54,
		  .gso_size = 1448,
		  .csum_start = 34,
		  .csum_offset = 16,
		  .num_buffers = 5},
		 "flags=NEEDS_CSUM gso_type=TCPV4 hdr_len=54 gso_size=1448 csum_start=34 "
		 "csum_offset=16 num_buffers=5"},
		{{.flags = 0x47,
		  .gso_type = 0x84,
		  .hdr_len = 65535,
		  .gso_size = 65535,
		  .csum_start = 65535,
		  .csum_offset = 65535,
		  .num_buffers = 65535},
		 "flags=NEEDS_CSUM|DATA_VALID|RSC_INFO|0x40 gso_type=TCPV6|ECN hdr_len=65535 "
		 "gso_size=65535 csum_start=65535 csum_offset=65535 num_buffers=65535"},
		{{.flags = 0x80, .gso_type = VIRTIO_NET_HDR_GSO_UDP_L4},
		 "flags=0x80 gso_type=UDP_L4 hdr_len=0 gso_size=0 csum_start=0 csum_offset=0 "
		 "num_buffers=0"},
		{{.gso_type = 0xc2},
		 "flags=0 gso_type=0x42|ECN hdr_len=0 gso_size=0 csum_start=0 csum_offset=0 "
		 "num_buffers=0"},
	};
	char text[CAPTURE_HEADER_TEXT];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct virtio_net_hdr_v1 hdr = cases[i].hdr;

		hdr.hdr_len = htole16(hdr.hdr_len);
		hdr.gso_size = htole16(hdr.gso_size);
		hdr.csum_start = htole16(hdr.csum_start);
		hdr.csum_offset = htole16(hdr.csum_offset);
		hdr.num_buffers = htole16(hdr.num_buffers);
		capture_header_text(text, &hdr);
		assert_memory_equal(text, "virtio-net ", 11);
		assert_string_equal(text + 11, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begin),	     cmocka_unit_test(test_interface),
		cmocka_unit_test(test_packet),	     cmocka_unit_test(test_statistics),
		cmocka_unit_test(test_long_strings), cmocka_unit_test(test_errors),
		cmocka_unit_test(test_header_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
