/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_sink PORT: receives datagrams at that port, IPv4 and IPv6, superframes in one piece,
 * looks at none of them, and prints at its end (SIGTERM) how many came.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define BATCH	   64u
#define RECV_BYTES (16 << 20)

static volatile sig_atomic_t ended;

static void on_signal(int signal __attribute__((unused)))
{
	ended = 1;
}

static int open_socket(uint16_t port)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	const int on = 1, off = 0, bytes = RECV_BYTES;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 ||
	    setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -1;
	return fd;
}

/* Datagrams in what was received: several when it came with their size. */
static uint64_t datagrams(struct msghdr *message, unsigned int len)
{
	struct cmsghdr *c;
	int size;

	for (c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO)
			continue;
		memcpy(&size, CMSG_DATA(c), sizeof(size));
		if (size > 0)
			return (len + (unsigned int)size - 1) / (unsigned int)size;
	}
	return 1;
}

static uint64_t receive_batch(int fd)
{
	char control[BATCH][CMSG_SPACE(sizeof(int))];
	struct mmsghdr messages[BATCH] = {0};
	uint64_t count = 0;
	int i, n;

	for (i = 0; i < (int)BATCH; i++) {
		messages[i].msg_hdr.msg_control = control[i];
		messages[i].msg_hdr.msg_controllen = sizeof(control[i]);
	}
	/* no room for their bytes, only their true length is told */
	n = recvmmsg(fd, messages, BATCH, MSG_TRUNC | MSG_WAITFORONE, NULL);
	for (i = 0; i < n; i++)
		count += datagrams(&messages[i].msg_hdr, messages[i].msg_len);
	return count;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	uint64_t count = 0;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: udp_sink PORT\n");
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	fd = open_socket((uint16_t)strtoul(argv[1], NULL, 10));
	if (fd < 0) {
		fprintf(stderr, "udp_sink: %s\n", strerror(errno));
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	while (!ended)
		count += receive_batch(fd);
	printf("datagrams %" PRIu64 "\n", count);
	return 0;
}
