/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A capture: the frames of some lanes are copied beside their way into memory that is shared
 * with a reader (<vubridge/capture.h>). A reader that is too slow loses records; no frame
 * waits for it. While there is no capture a lane has no tap, which costs it one look a batch.
 */
#ifndef ENGINE_CAPTURE_H
#define ENGINE_CAPTURE_H

#include <vubridge/frame.h>

#include <stdbool.h>

struct capture_config {
	uint32_t snaplen;   /* bytes of a packet that are kept, at most FRAME_LEN_MAX */
	unsigned int first; /* queue pairs [first, first + pairs) */
	unsigned int pairs;
	bool rx, tx; /* from the backend, and to it; at least one of them */
};

struct capture;
struct capture_tap; /* of one lane, for its worker alone */

/* Memory for all of its rings, all there at once: a lack of it shows here. 0 or -errno. */
int capture_open(struct capture **out, const struct capture_config *config);
/* NULL-safe. No worker may have a tap of it any more. */
void capture_close(struct capture *c);

/* What the reader has to know: the memory's descriptor (borrowed) and size of a ring. */
int capture_fd(const struct capture *c);
uint32_t capture_ring_size(const struct capture *c);
const struct capture_config *capture_config(const struct capture *c);

/* The tap of a lane, NULL: that one is not captured. Rings are in the order of pairs, rx first. */
struct capture_tap *capture_tap(struct capture *c, unsigned int pair, bool rx);

/* Records @frames[0..n): hdr, len, and the packet at iov[1] and on. */
void capture_frames(struct capture_tap *tap, const struct frame *frames, unsigned int n);

#endif
