/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a capture file in the format pcapng (draft-ietf-opsawg-pcapng): a section, its
 * interfaces, packets of Ethernet, and what was counted. In the order of this machine's bytes,
 * which the file tells. Errors are the stream's: ask ferror when all is written.
 */
#ifndef CTL_PCAPNG_H
#define CTL_PCAPNG_H

#include <stdint.h>
#include <stdio.h>

/* @application made the file. */
void pcapng_begin(FILE *out, const char *application);

/* Interfaces are numbered in the order in which they are described, from 0. */
void pcapng_interface(FILE *out, const char *name, const char *description, uint32_t snaplen);

enum pcapng_direction { PCAPNG_INBOUND = 1, PCAPNG_OUTBOUND = 2 };

struct pcapng_packet {
	unsigned int interface;
	uint64_t time_ns; /* since 1970 */
	enum pcapng_direction direction;
	uint32_t queue;
	uint64_t lost; /* packets of the interface that are missing right before */
	const char *comment;
	const void *data; /* [captured] */
	uint32_t captured, len;
};

void pcapng_packet(FILE *out, const struct pcapng_packet *packet);

struct pcapng_statistics {
	unsigned int interface;
	uint64_t start_ns, end_ns; /* of the capture */
	uint64_t received;	   /* in all, those that were dropped too */
	uint64_t dropped;
};

void pcapng_statistics(FILE *out, const struct pcapng_statistics *statistics);

#endif
