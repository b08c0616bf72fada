/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture: what passes the rings, into a file. The daemon writes into memory that it hands
 * over (<vubridge/capture.h>); it waits for nobody, and wakes nobody, so this side looks again
 * and again.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vubridge/frame.h>

#include "base/util.h"
#include "ctl/capture_ring.h"
#include "ctl/client.h"
#include "ctl/output.h"
#include "ctl/pcapng.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

#define COMMAND "/vubridge/capture"

/* A ring lasts longer than that under any load that there is. */
#define LOOK_MS	   1
#define FILE_BUF   (1u << 20)
#define PARAMS_MAX 512u

/* A lane, which is an interface of the file. */
struct lane {
	struct capture_ring ring;
	struct capture_record head; /* the oldest record, while there is one */
	bool has_head;
	bool rx;
	uint32_t queue;
	uint64_t captured;
};

struct capture {
	/* as it was asked for */
	const char *path;
	char params[PARAMS_MAX];
	unsigned long long count; /* 0: until it is ended */

	struct client *client;
	int signal_fd;
	bool gone; /* the daemon */
	uint8_t *memory;
	size_t size;
	struct lane *lanes; /* [n] */
	size_t n;
	FILE *out;
	uint64_t start_ns;
	unsigned long long captured, dropped;
	uint8_t packet[FRAME_LEN_MAX];
};

/* ---- reading ---- */

/* The next record of all lanes, in the order of time; NULL: there is none. */
static struct lane *next(struct capture *c)
{
	struct lane *first = NULL;
	size_t i;

	for (i = 0; i < c->n; i++) {
		struct lane *lane = &c->lanes[i];

		if (lane->has_head && (!first || lane->head.time_ns < first->head.time_ns))
			first = lane;
	}
	return first;
}

static int peek(struct lane *lane)
{
	int r = capture_ring_peek(&lane->ring, &lane->head);

	lane->has_head = r > 0;
	return r > 0 && lane->head.captured > FRAME_LEN_MAX ? -EPROTO : MIN(r, 0);
}

static void write_record(struct capture *c, struct lane *lane)
{
	const struct capture_record *record = &lane->head;
	char header[CAPTURE_HEADER_TEXT];

	capture_ring_take(&lane->ring, record, c->packet);
	capture_header_text(header, &record->hdr);
	pcapng_packet(c->out, &(const struct pcapng_packet){
				      .interface = (unsigned int)(lane - c->lanes),
				      .time_ns = record->time_ns,
				      .direction = lane->rx ? PCAPNG_INBOUND : PCAPNG_OUTBOUND,
				      .queue = lane->queue,
				      .lost = record->lost,
				      .comment = header,
				      .data = c->packet,
				      .captured = record->captured,
				      .len = record->len,
			      });
	lane->captured++;
	c->captured++;
}

static bool is_complete(const struct capture *c)
{
	return c->count && c->captured == c->count;
}

/* Writes what is there now. Returns whether there was anything, or -EPROTO. */
static int drain(struct capture *c)
{
	unsigned long long before = c->captured;
	struct lane *lane;
	size_t i;
	int r = 0;

	for (i = 0; i < c->n && !r; i++) {
		r = capture_ring_look(&c->lanes[i].ring);
		if (!r)
			r = peek(&c->lanes[i]);
	}
	while (!r && !is_complete(c) && (lane = next(c))) {
		write_record(c, lane);
		r = peek(lane);
	}
	return r ? r : c->captured > before;
}

/* Whether it shall go on, after at most @timeout_ms. */
static bool wait_for_end(struct capture *c, int timeout_ms)
{
	struct pollfd fds[] = {
		{.fd = c->signal_fd, .events = POLLIN},
		{.fd = c->client->fd, .events = POLLIN}, /* it has nothing more to say */
	};

	if (poll(fds, ARRAY_SIZE(fds), timeout_ms) <= 0)
		return true;
	c->gone = fds[1].revents;
	return false;
}

/* Until the count is reached, someone ends it, or the daemon has gone. 0 or -errno. */
static int record(struct capture *c)
{
	bool go_on = true;
	int r;

	while (!is_complete(c)) {
		r = drain(c);
		if (r < 0)
			return r;
		/* whoever reads a pipe sees all that has come so far */
		if (!r && fflush(c->out))
			return -errno;
		if (ferror(c->out))
			return -EIO;
		if (!go_on)
			break;
		go_on = wait_for_end(c, r ? 0 : LOOK_MS);
	}
	return 0;
}

/* ---- the file ---- */

static void describe(struct capture *c, const json_t *answer)
{
	uint32_t snaplen = (uint32_t)output_integer(answer, "snaplen");
	char name[64], description[128];
	size_t i;

	pcapng_begin(c->out, "vubctl " PACKAGE_VERSION);
	for (i = 0; i < c->n; i++) {
		const struct lane *lane = &c->lanes[i];

		snprintf(name, sizeof(name), "%.32s:%sq%u", output_string(answer, "interface"),
			 lane->rx ? "rx" : "tx", lane->queue);
		snprintf(description, sizeof(description),
			 "vhost-user ring %u, %s, virtio-net headers in the comments",
			 2 * lane->queue + !lane->rx,
			 lane->rx ? "from the backend" : "to the backend");
		pcapng_interface(c->out, name, description, snaplen);
	}
}

static void conclude(struct capture *c)
{
	uint64_t end = realtime_ns();
	size_t i;

	for (i = 0; i < c->n; i++) {
		uint64_t dropped = capture_ring_dropped(&c->lanes[i].ring);

		pcapng_statistics(c->out, &(const struct pcapng_statistics){
						  .interface = (unsigned int)i,
						  .start_ns = c->start_ns,
						  .end_ns = end,
						  .received = c->lanes[i].captured + dropped,
						  .dropped = dropped,
					  });
		c->dropped += dropped;
	}
}

/* What is captured others cannot open, also in a file that was there before; who has it open
 * already keeps it. */
static int make_private(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return 0;
	if (st.st_mode & 077 && fchmod(fd, 0600) < 0)
		return -errno;
	return ftruncate(fd, 0) < 0 ? -errno : 0;
}

static int open_file(struct capture *c)
{
	int fd, r;

	if (!strcmp(c->path, "-")) {
		c->out = stdout;
	} else {
		fd = open(c->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			return -errno;
		r = make_private(fd);
		c->out = r ? NULL : fdopen(fd, "w");
		if (!c->out) {
			r = r ? r : -errno;
			close(fd);
			return r;
		}
	}
	setvbuf(c->out, NULL, _IOFBF, FILE_BUF);
	return 0;
}

static int close_file(struct capture *c)
{
	int r = fflush(c->out) || ferror(c->out) ? -EIO : 0;

	if (c->out != stdout && fclose(c->out) && !r)
		r = -errno;
	return r;
}

/* ---- what the daemon hands over ---- */

static int map(struct capture *c, const json_t *answer)
{
	const json_t *rings = json_object_get(answer, "rings"), *ring;
	json_int_t ring_size = output_integer(answer, "ring_size");
	struct stat st;
	size_t i;

	c->n = json_array_size(rings);
	if (output_integer(answer, "version") != CAPTURE_VERSION || !c->n ||
	    ring_size < (json_int_t)CAPTURE_CONTROL || ring_size > INT32_MAX ||
	    ring_size & (ring_size - 1) || fstat(c->client->passed, &st) < 0)
		return -EPROTO;
	c->size = c->n * ((size_t)ring_size + CAPTURE_CONTROL);
	if ((size_t)st.st_size < c->size)
		return -EPROTO;
	c->lanes = calloc(c->n, sizeof(*c->lanes));
	c->memory = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_SHARED, c->client->passed, 0);
	if (!c->lanes || c->memory == MAP_FAILED)
		return -ENOMEM;
	json_array_foreach((json_t *)rings, i, ring)
	{
		struct lane *lane = &c->lanes[i];

		capture_ring_open(&lane->ring,
				  c->memory + i * ((size_t)ring_size + CAPTURE_CONTROL),
				  (uint32_t)ring_size);
		lane->queue = (uint32_t)output_integer(ring, "queue");
		lane->rx = !strcmp(output_string(ring, "direction"), "rx");
	}
	return 0;
}

static void unmap(struct capture *c)
{
	if (c->memory && c->memory != MAP_FAILED)
		munmap(c->memory, c->size);
	free(c->lanes);
}

/* ---- the verb ---- */

static int tell(struct ctl *ctl, const struct capture *c)
{
	if (ctl->json)
		output_json(ctl, json_pack("{s:s, s:s, s:I, s:I}", "interface", c->client->name,
					   "file", c->path, "captured", (json_int_t)c->captured,
					   "dropped", (json_int_t)c->dropped));
	else
		fprintf(stderr, "%s: %llu frames captured, %llu dropped\n", c->client->name,
			c->captured, c->dropped);
	return c->gone ? ctl_fail("%s: the connection has ended", c->client->name) : CTL_OK;
}

static int run(struct ctl *ctl, struct capture *c, const json_t *answer)
{
	int r = map(c, answer), closed;

	if (r == -EPROTO)
		return ctl_fail("%s: what it hands over is not understood", c->client->name);
	if (r)
		return ctl_fail("%s: %s", c->client->name, strerror(-r));
	r = open_file(c);
	if (r)
		return ctl_fail("capture '%s': %s", c->path, strerror(-r));
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "%s: capturing, until it is interrupted\n", c->client->name);
	describe(c, answer);
	r = record(c);
	conclude(c);
	closed = close_file(c);
	r = r ? r : closed;
	if (r == -EPROTO)
		return ctl_fail("%s: what it records is not understood", c->client->name);
	if (r)
		return ctl_fail("capture '%s': cannot write it: %s", c->path, strerror(-r));
	return tell(ctl, c);
}

/* The signals that end it are read, one that says that nobody reads is an error of writing. */
static int catch_signals(void)
{
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &ends, SFD_CLOEXEC);
}

static int capture(struct ctl *ctl, struct client *client, void *data)
{
	struct capture *c = data;
	json_t *answer;
	int status;

	c->client = client;
	c->signal_fd = catch_signals();
	c->start_ns = realtime_ns();
	answer = client_ask(client, COMMAND, c->params[0] ? c->params : NULL);
	status = answer ? run(ctl, c, answer) : client_fail(client);
	json_decref(answer);
	unmap(c);
	close_fd(&c->signal_fd);
	return status;
}

/* What the daemon takes is checked by the daemon. */
static bool add_parameter(struct capture *c, const char *key, const char *value)
{
	size_t len = strlen(c->params);

	return snprintf(c->params + len, sizeof(c->params) - len, "%s%s=%s", len ? "," : "", key,
			value) < (int)(sizeof(c->params) - len);
}

static int take_count(struct capture *c, const char *word)
{
	char *end;

	errno = 0;
	c->count = strtoull(word, &end, 10);
	if (word[0] < '0' || word[0] > '9' || *end || errno || !c->count)
		return ctl_misuse("capture --count '%s': must be a number from 1", word);
	return CTL_OK;
}

static int take_words(struct capture *c, int argc, char **argv)
{
	static const char *const parameters[] = {"snaplen", "queue", "direction"};
	int i, status = CTL_OK;
	size_t k;

	for (i = 0; i < argc && !status; i++) {
		const char *word = argv[i];

		if (strncmp(word, "--", 2) != 0) {
			if (c->path)
				return ctl_misuse("capture '%s': takes one file", word);
			c->path = word;
			continue;
		}
		for (k = 0; k < ARRAY_SIZE(parameters) && strcmp(word + 2, parameters[k]); k++)
			;
		if (k == ARRAY_SIZE(parameters) && strcmp(word, "--count") != 0)
			return ctl_misuse("capture %s: unknown option, see help capture", word);
		if (++i == argc)
			return ctl_misuse("capture %s: needs a value", word);
		if (k == ARRAY_SIZE(parameters))
			status = take_count(c, argv[i]);
		else if (!add_parameter(c, parameters[k], argv[i]))
			return ctl_misuse("capture %s: that is too long", word);
	}
	if (!status && !c->path)
		return ctl_misuse("capture: takes a file, or - for the standard output");
	return status;
}

int verb_capture(struct ctl *ctl, int argc, char **argv)
{
	struct capture *c = calloc(1, sizeof(*c));
	int status;

	if (!c)
		return ctl_fail("out of memory");
	status = take_words(c, argc, argv);
	if (!status && !strcmp(c->path, "-") && ctl->json)
		status = ctl_misuse("capture -: leaves no place for JSON");
	if (!status && !strcmp(c->path, "-") && isatty(STDOUT_FILENO))
		status = ctl_misuse("capture -: writes no binary data to a terminal");
	if (!status)
		status = client_one(ctl, capture, c);
	free(c);
	return status;
}
