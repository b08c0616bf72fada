/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/uapi.h"
#include "replay.h"

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a pcap file (libpcap's pcap-savefile(5)), little-endian as frames.py writes it. */
struct pcap_file {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t reserved[2], snaplen, linktype;
};

struct pcap_record {
	uint32_t seconds, fraction, captured, length;
};

#define PCAP_MAGIC     0xa1b2c3d4u
#define DLT_EN10MB     1u
#define DLT_USER0      147u /* an Ethernet frame behind its virtio-net header */
#define RECORD_LEN_MAX 70000u

/* The whole file; NULL when it cannot be read. */
static uint8_t *slurp(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	long end;

	if (!f)
		return NULL;
	if (fseek(f, 0, SEEK_END) == 0 && (end = ftell(f)) >= 0) {
		rewind(f);
		*size = (size_t)end;
		data = malloc(*size + 1);
		if (data && fread(data, 1, *size, f) != *size) {
			free(data);
			data = NULL;
			errno = EIO;
		}
	}
	fclose(f);
	return data;
}

/* Length of the record at @at, or 0 when the file ends or is cut there. */
static uint32_t record_len(const uint8_t *data, size_t size, size_t at)
{
	struct pcap_record record;

	if (size - at < sizeof(record))
		return 0;
	memcpy(&record, data + at, sizeof(record));
	if (record.captured > RECORD_LEN_MAX || record.captured > size - at - sizeof(record))
		return 0;
	return record.captured;
}

/* Copies the records behind @at into r, with @missing bytes of empty header for each. */
static int copy_records(struct replay *r, const uint8_t *data, size_t size, size_t missing)
{
	size_t at = sizeof(struct pcap_file);
	uint8_t *to;
	uint32_t len;

	for (; (len = record_len(data, size, at)) > 0; at += sizeof(struct pcap_record) + len) {
		r->count++;
		r->size += missing + len;
	}
	if (r->count == 0)
		return -EINVAL;
	r->memory = to = calloc(1, r->size);
	r->frames = calloc(r->count, sizeof(*r->frames));
	if (!r->memory || !r->frames)
		return -ENOMEM;
	r->count = 0;
	for (at = sizeof(struct pcap_file); (len = record_len(data, size, at)) > 0; at += len) {
		at += sizeof(struct pcap_record);
		memcpy(to + missing, data + at, len);
		r->frames[r->count++] = (struct iovec){to, missing + len};
		to += missing + len;
	}
	return 0;
}

int replay_load(struct replay *r, const char *path)
{
	struct pcap_file file;
	size_t size = 0;
	uint8_t *data = slurp(path, &size);
	int err = -EINVAL;

	*r = (struct replay){0};
	if (!data)
		return -errno;
	if (size >= sizeof(file)) {
		memcpy(&file, data, sizeof(file));
		if (file.magic == PCAP_MAGIC && file.linktype == DLT_EN10MB)
			err = copy_records(r, data, size, REPLAY_HDR_LEN);
		else if (file.magic == PCAP_MAGIC && file.linktype == DLT_USER0)
			err = copy_records(r, data, size, 0);
	}
	free(data);
	if (err)
		replay_free(r);
	return err;
}

void replay_free(struct replay *r)
{
	free(r->memory);
	free(r->frames);
	*r = (struct replay){0};
}

/* Bytes of virtio-net header, headers and all, before the payload of a superframe. */
static size_t headers_len(const uint8_t *frame, size_t len, const struct virtio_net_hdr *hdr)
{
	/* hdr_len is a hint, which the kernel makes longer than the headers are */
	size_t transport = sizeof(*hdr) + le16toh(hdr->csum_start);

	if (hdr->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4)
		return transport + 8;
	return transport + 12 < len ? transport + 4 * (size_t)(frame[transport + 12] >> 4) : len;
}

unsigned int replay_segments(const void *frame, size_t len)
{
	struct virtio_net_hdr hdr;
	size_t headers, size;

	memcpy(&hdr, frame, sizeof(hdr));
	size = le16toh(hdr.gso_size);
	if (hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE || size == 0)
		return 1;
	headers = headers_len(frame, len, &hdr);
	return len > headers ? (unsigned int)((len - headers + size - 1) / size) : 1;
}
