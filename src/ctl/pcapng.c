/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A block is its type, its length, a body, options, and its length again; everything in it
 * begins at a multiple of four bytes.
 */
#include "ctl/pcapng.h"

#include <string.h>
#include <sys/utsname.h>

#include "base/util.h"

enum {
	BLOCK_SECTION = 0x0A0D0D0A,
	BLOCK_INTERFACE = 1,
	BLOCK_STATISTICS = 5,
	BLOCK_PACKET = 6,
};

enum {
	OPT_END = 0,
	OPT_COMMENT = 1,
	SECTION_OS = 3,
	SECTION_APPLICATION = 4,
	INTERFACE_NAME = 2,
	INTERFACE_DESCRIPTION = 3,
	INTERFACE_RESOLUTION = 9,
	PACKET_FLAGS = 2,
	PACKET_LOST = 4,
	PACKET_QUEUE = 6,
	STATISTICS_START = 2,
	STATISTICS_END = 3,
	STATISTICS_RECEIVED = 4,
	STATISTICS_DROPPED = 5,
};

#define BYTE_ORDER_MAGIC    0x1A2B3C4Du
#define LINKTYPE_ETHERNET   1
#define RESOLUTION_NS	    9 /* 10^-9 s */
#define OPTIONS_MAX	    1024u
#define STRING_MAX	    255u
#define SECTION_LEN_UNKNOWN UINT64_MAX

/* ---- options ---- */

struct options {
	uint8_t buf[OPTIONS_MAX]; /* room for all that any block here has */
	uint32_t len;
};

static void put_option(struct options *o, uint16_t code, const void *value, size_t len)
{
	const uint16_t head[2] = {code, (uint16_t)len};

	memcpy(o->buf + o->len, head, sizeof(head));
	memset(o->buf + o->len + sizeof(head), 0, ALIGN_UP(len, 4));
	memcpy(o->buf + o->len + sizeof(head), value, len);
	o->len += (uint32_t)(sizeof(head) + ALIGN_UP(len, 4));
}

static void put_string(struct options *o, uint16_t code, const char *s)
{
	put_option(o, code, s, strnlen(s, STRING_MAX));
}

static void put_u32(struct options *o, uint16_t code, uint32_t value)
{
	put_option(o, code, &value, sizeof(value));
}

static void put_u64(struct options *o, uint16_t code, uint64_t value)
{
	put_option(o, code, &value, sizeof(value));
}

/* A point in time is told by its upper half first, whatever the order of bytes. */
static void put_time(struct options *o, uint16_t code, uint64_t ns)
{
	const uint32_t halves[2] = {(uint32_t)(ns >> 32), (uint32_t)ns};

	put_option(o, code, halves, sizeof(halves));
}

static void put_end(struct options *o)
{
	put_option(o, OPT_END, "", 0);
}

/* ---- blocks ---- */

struct part {
	const void *data;
	uint32_t len;
};

/* The body is in two parts, of which the second may be of any length. */
static void write_block(FILE *out, uint32_t type, struct part body, struct part data,
			const struct options *o)
{
	static const uint8_t zeros[4];
	const uint32_t pad = ALIGN_UP(data.len, 4) - data.len;
	const uint32_t head[2] = {type, 12 + body.len + data.len + pad + o->len};

	fwrite(head, sizeof(head), 1, out);
	fwrite(body.data, 1, body.len, out);
	fwrite(data.data, 1, data.len, out);
	fwrite(zeros, 1, pad, out);
	fwrite(o->buf, 1, o->len, out);
	fwrite(&head[1], sizeof(head[1]), 1, out);
}

void pcapng_begin(FILE *out, const char *application)
{
	const struct {
		uint32_t magic;
		uint16_t major, minor;
		uint64_t len;
	} body = {BYTE_ORDER_MAGIC, 1, 0, SECTION_LEN_UNKNOWN};
	struct options o = {.len = 0};
	struct utsname system;
	char os[STRING_MAX];

	if (uname(&system) == 0) {
		snprintf(os, sizeof(os), "%.100s %.100s", system.sysname, system.release);
		put_string(&o, SECTION_OS, os);
	}
	put_string(&o, SECTION_APPLICATION, application);
	put_end(&o);
	write_block(out, BLOCK_SECTION, (struct part){&body, sizeof(body)}, (struct part){"", 0},
		    &o);
}

void pcapng_interface(FILE *out, const char *name, const char *description, uint32_t snaplen)
{
	const struct {
		uint16_t link_type, reserved;
		uint32_t snaplen;
	} body = {LINKTYPE_ETHERNET, 0, snaplen};
	const uint8_t resolution = RESOLUTION_NS;
	struct options o = {.len = 0};

	put_string(&o, INTERFACE_NAME, name);
	put_string(&o, INTERFACE_DESCRIPTION, description);
	put_option(&o, INTERFACE_RESOLUTION, &resolution, sizeof(resolution));
	put_end(&o);
	write_block(out, BLOCK_INTERFACE, (struct part){&body, sizeof(body)}, (struct part){"", 0},
		    &o);
}

void pcapng_packet(FILE *out, const struct pcapng_packet *p)
{
	const struct {
		uint32_t interface, time[2], captured, len;
	} body = {
		p->interface,
		{(uint32_t)(p->time_ns >> 32), (uint32_t)p->time_ns},
		p->captured,
		p->len,
	};
	struct options o = {.len = 0};

	put_u32(&o, PACKET_FLAGS, p->direction);
	if (p->lost)
		put_u64(&o, PACKET_LOST, p->lost);
	put_u32(&o, PACKET_QUEUE, p->queue);
	if (p->comment)
		put_string(&o, OPT_COMMENT, p->comment);
	put_end(&o);
	write_block(out, BLOCK_PACKET, (struct part){&body, sizeof(body)},
		    (struct part){p->data, p->captured}, &o);
}

void pcapng_statistics(FILE *out, const struct pcapng_statistics *s)
{
	const struct {
		uint32_t interface, time[2];
	} body = {s->interface, {(uint32_t)(s->end_ns >> 32), (uint32_t)s->end_ns}};
	struct options o = {.len = 0};

	put_time(&o, STATISTICS_START, s->start_ns);
	put_time(&o, STATISTICS_END, s->end_ns);
	put_u64(&o, STATISTICS_RECEIVED, s->received);
	put_u64(&o, STATISTICS_DROPPED, s->dropped);
	put_end(&o);
	write_block(out, BLOCK_STATISTICS, (struct part){&body, sizeof(body)}, (struct part){"", 0},
		    &o);
}
