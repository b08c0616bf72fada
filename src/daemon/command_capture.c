/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command that shows frames: its answer brings the memory of <vubridge/capture.h>, and
 * says what is in it. The capture lasts as long as the connection that asked for it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vubridge/capture.h>

#include "base/util.h"
#include "daemon/command.h"

/* All of @text as a number from @min to @max; false: it is none. */
static bool to_number(const char *text, unsigned long min, unsigned long max, unsigned long *number)
{
	char *end;

	errno = 0;
	*number = strtoul(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && !*end && !errno && *number >= min &&
	       *number <= max;
}

/* One KEY=VALUE. False with a line in call->error. */
static bool take_parameter(struct telemetry_call *call, const char *parameter,
			   struct capture_config *config)
{
	unsigned int pairs = bridge_view(call->owner).kport->pairs;
	const char *equals = strchr(parameter, '='), *value = equals ? equals + 1 : "";
	size_t len = equals ? (size_t)(equals - parameter) : strlen(parameter);
	unsigned long number;

	if (len == 7 && !strncmp(parameter, "snaplen", len)) {
		if (to_number(value, 1, FRAME_LEN_MAX, &number)) {
			config->snaplen = (uint32_t)number;
			return true;
		}
		command_refuse(call, "snaplen '%.32s': must be a whole number from 1 to %u", value,
			       FRAME_LEN_MAX);
	} else if (len == 5 && !strncmp(parameter, "queue", len)) {
		if (to_number(value, 0, pairs - 1, &number)) {
			config->first = (unsigned int)number;
			config->pairs = 1;
			return true;
		}
		command_refuse(call, "queue '%.32s': must be a number below %u", value, pairs);
	} else if (len == 9 && !strncmp(parameter, "direction", len)) {
		config->rx = !strcmp(value, "rx");
		config->tx = !strcmp(value, "tx");
		if (config->rx || config->tx)
			return true;
		command_refuse(call, "direction '%.32s': must be one of rx, tx", value);
	} else {
		command_refuse(call, "parameter '%.32s': must be one of snaplen, queue, direction",
			       parameter);
	}
	return false;
}

static bool read_parameters(struct telemetry_call *call, struct capture_config *config)
{
	char copy[TELEMETRY_INPUT_MAX + 1], *rest = copy, *parameter;

	*config = (struct capture_config){
		.snaplen = FRAME_LEN_MAX,
		.pairs = bridge_view(call->owner).kport->pairs,
		.rx = true,
		.tx = true,
	};
	if (!call->params)
		return true;
	strncpy(copy, call->params, sizeof(copy) - 1);
	copy[sizeof(copy) - 1] = '\0';
	while ((parameter = strsep(&rest, ",")))
		if (!take_parameter(call, parameter, config))
			return false;
	return true;
}

/* The rings, in the order in which they are in the memory. */
static json_t *list_rings(const struct capture_config *config)
{
	json_t *rings = json_array();
	unsigned int i;

	for (i = 0; i < 2 * config->pairs; i++) {
		bool rx = i % 2 == 0;

		if (rx ? config->rx : config->tx)
			json_array_append_new(rings, json_pack("{s:i, s:s}", "queue",
							       (int)(config->first + i / 2),
							       "direction", rx ? "rx" : "tx"));
	}
	return rings;
}

json_t *command_capture(struct telemetry_call *call)
{
	const struct capture *capture;
	struct capture_config config;
	int r;

	if (!read_parameters(call, &config))
		return NULL;
	r = bridge_capture(call->owner, &config, call->client, &capture);
	if (r == -EBUSY)
		return command_refuse(call, "there is a capture already, one at a time");
	if (r)
		return command_refuse(call, "cannot capture: %s", strerror(-r));
	call->fd = capture_fd(capture);
	return json_pack("{s:s, s:i, s:i, s:i, s:o}", "interface", bridge_name(call->owner),
			 "version", CAPTURE_VERSION, "snaplen", (int)config.snaplen, "ring_size",
			 (int)capture_ring_size(capture), "rings", list_rings(&config));
}

void command_left(void *owner, unsigned int client)
{
	bridge_end_capture(owner, client);
}
