/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packet_send IFACE FILE BUSY-US PAUSE-US: hands the frames of FILE to IFACE again and again,
 * as the network stack would, until SIGTERM. Superframes are cut by the kernel where IFACE
 * does not take them.
 *
 * It works for BUSY-US and sleeps for PAUSE-US in turn. With the priority of a real-time
 * task it so shares a processor with a backend that polls, in slices far shorter than the
 * scheduler's own, which would let the rings run full or empty meanwhile.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/util.h"
#include "replay.h"

/* Frames in one system call: a superframe that has to be cut takes long enough. */
#define BATCH	   1u
#define SEND_BYTES (8 << 20)

static volatile sig_atomic_t ended;

static void on_signal(int signal __attribute__((unused)))
{
	ended = 1;
}

static int open_socket(const char *iface)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(iface),
	};
	const int on = 1, bytes = SEND_BYTES;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || to.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
		return -1;
	return fd;
}

/* Sends for @busy nanoseconds from frame *@at on; false when that is not possible. */
static bool send_for(int fd, struct mmsghdr *messages, unsigned int count, unsigned int *at,
		     uint64_t busy)
{
	uint64_t end = now_ns() + busy;

	do {
		int n = sendmmsg(fd, messages + *at, MIN(BATCH, count - *at), 0);

		/* the interface's queue was full: the frame is lost, as that of any sender */
		if (n < 0 && (errno == ENOBUFS || errno == EINTR))
			n = 1;
		if (n < 0)
			return false;
		*at = (*at + (unsigned int)n) % count;
	} while (!ended && now_ns() < end);
	return true;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct timespec pause = {0};
	struct mmsghdr *messages;
	struct replay replay;
	unsigned int i, at = 0;
	uint64_t busy;
	int fd, r;

	if (argc != 5) {
		fprintf(stderr, "usage: packet_send IFACE FILE BUSY-US PAUSE-US\n");
		return 2;
	}
	busy = strtoull(argv[3], NULL, 10) * 1000;
	pause.tv_nsec = strtol(argv[4], NULL, 10) * 1000;
	r = replay_load(&replay, argv[2]);
	messages = r ? NULL : calloc(replay.count, sizeof(*messages));
	fd = open_socket(argv[1]);
	if (!messages || fd < 0) {
		fprintf(stderr, "packet_send: %s: %s\n", r ? argv[2] : argv[1],
			strerror(r ? -r : errno));
		return 1;
	}
	for (i = 0; i < replay.count; i++) {
		messages[i].msg_hdr.msg_iov = &replay.frames[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	while (!ended && send_for(fd, messages, replay.count, &at, busy))
		nanosleep(&pause, NULL);
	if (!ended)
		fprintf(stderr, "packet_send: %s: %s\n", argv[1], strerror(errno));
	free(messages);
	replay_free(&replay);
	return !ended;
}
