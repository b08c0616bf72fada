/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vubridge/capture.h>

#include "base/util.h"

/* Of all rings together, which some milliseconds of traffic fill; but each has its least. */
#define MEMORY	 (16u << 20)
#define RING_MIN (256u << 10) /* several of the longest frames */

struct capture_tap {
	struct capture_control *control; /* shared */
	uint8_t *data;			 /* [size], shared */
	uint32_t size;
	uint32_t snaplen;
	bool rx;
	uint64_t written; /* the one that counts; control->written is for the reader */
	uint64_t dropped;
	uint32_t lost; /* of them, since the last record */
} __attribute__((aligned(CACHE_LINE)));

struct capture {
	struct capture_config config;
	int fd;
	uint8_t *memory;
	size_t size;
	uint32_t ring_size;
	unsigned int n;
	struct capture_tap *taps; /* [n] */
};

/* ---- recording ---- */

/* Bytes that may be written. A reader that has read what was never written has no more room. */
static uint64_t room(const struct capture_tap *tap)
{
	uint64_t used = tap->written - __atomic_load_n(&tap->control->read, __ATOMIC_ACQUIRE);

	return used <= tap->size ? tap->size - used : 0;
}

static uint8_t *place(const struct capture_tap *tap, uint64_t position)
{
	return tap->data + (position & (tap->size - 1));
}

static void copy(const struct capture_tap *tap, uint64_t position, const uint8_t *from, size_t len)
{
	size_t first = MIN(len, tap->size - (size_t)(position & (tap->size - 1)));

	memcpy(place(tap, position), from, first);
	memcpy(tap->data, from + first, len - first);
}

static void copy_packet(const struct capture_tap *tap, const struct frame *f, uint32_t len)
{
	uint64_t position = tap->written + sizeof(struct capture_record);
	const struct iovec *from = f->iov + 1;

	while (len > 0) {
		size_t n = MIN(from->iov_len, (size_t)len);

		copy(tap, position, from->iov_base, n);
		position += n;
		len -= (uint32_t)n;
		from++;
	}
}

/* The header as the ring has it: 5.1.6.2, a driver sends no DATA_VALID and num_buffers 0. */
static struct virtio_net_hdr_v1 header(const struct capture_tap *tap, const struct frame *f)
{
	struct virtio_net_hdr_v1 hdr = f->hdr;

	if (!tap->rx) {
		hdr.flags &= (uint8_t)~VIRTIO_NET_HDR_F_DATA_VALID;
		hdr.num_buffers = 0;
	}
	return hdr;
}

void capture_frames(struct capture_tap *tap, const struct frame *frames, unsigned int n)
{
	const uint64_t now = realtime_ns();
	uint64_t left = room(tap);
	unsigned int i;

	for (i = 0; i < n; i++) {
		const struct frame *f = &frames[i];
		struct capture_record record = {
			.time_ns = now,
			.captured = MIN(f->len, tap->snaplen),
			.len = f->len,
			.lost = tap->lost,
			.hdr = header(tap, f),
		};
		uint64_t size = capture_record_size(record.captured);

		if (size > left) {
			tap->lost++;
			tap->dropped++;
			continue;
		}
		memcpy(place(tap, tap->written), &record, sizeof(record));
		copy_packet(tap, f, record.captured);
		tap->written += size;
		tap->lost = 0;
		left -= size;
	}
	__atomic_store_n(&tap->control->dropped, tap->dropped, __ATOMIC_RELAXED);
	__atomic_store_n(&tap->control->written, tap->written, __ATOMIC_RELEASE);
}

/* ---- life ---- */

int capture_fd(const struct capture *c)
{
	return c->fd;
}

uint32_t capture_ring_size(const struct capture *c)
{
	return c->ring_size;
}

const struct capture_config *capture_config(const struct capture *c)
{
	return &c->config;
}

struct capture_tap *capture_tap(struct capture *c, unsigned int pair, bool rx)
{
	const struct capture_config *config = &c->config;
	unsigned int place;

	if (pair < config->first || pair - config->first >= config->pairs ||
	    !(rx ? config->rx : config->tx))
		return NULL;
	place = pair - config->first;
	if (config->rx && config->tx)
		place = 2 * place + !rx;
	return &c->taps[place];
}

static uint32_t choose_ring_size(unsigned int n)
{
	uint32_t size = RING_MIN;

	while (size * 2 <= MEMORY / n)
		size *= 2;
	return size;
}

/* Neither may the reader take memory away again, nor is any of it to be found on the way. */
static int open_memory(struct capture *c)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	void *memory;

	c->fd = memfd_create("vubridge-capture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (c->fd < 0 || ftruncate(c->fd, (off_t)c->size) < 0 ||
	    fallocate(c->fd, 0, 0, (off_t)c->size) < 0 || fcntl(c->fd, F_ADD_SEALS, seals) < 0)
		return -errno;
	memory = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, c->fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	c->memory = memory;
	return 0;
}

static void lay_out(struct capture *c)
{
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		uint8_t *base = c->memory + i * ((size_t)CAPTURE_CONTROL + c->ring_size);

		c->taps[i] = (struct capture_tap){
			.control = (struct capture_control *)base,
			.data = base + CAPTURE_CONTROL,
			.size = c->ring_size,
			.snaplen = c->config.snaplen,
			.rx = c->config.rx && (!c->config.tx || i % 2 == 0),
		};
	}
}

int capture_open(struct capture **out, const struct capture_config *config)
{
	struct capture *c = calloc(1, sizeof(*c));
	int r;

	*out = NULL;
	if (!c)
		return -ENOMEM;
	c->fd = -1;
	c->config = *config;
	c->n = config->pairs * (config->rx && config->tx ? 2u : 1u);
	c->ring_size = choose_ring_size(c->n);
	c->size = c->n * ((size_t)CAPTURE_CONTROL + c->ring_size);
	c->taps = aligned_alloc(CACHE_LINE, c->n * sizeof(*c->taps));
	r = c->taps ? open_memory(c) : -ENOMEM;
	if (r) {
		capture_close(c);
		return r;
	}
	lay_out(c);
	*out = c;
	return 0;
}

void capture_close(struct capture *c)
{
	if (!c)
		return;
	if (c->memory)
		munmap(c->memory, c->size);
	close_fd(&c->fd);
	free(c->taps);
	free(c);
}
