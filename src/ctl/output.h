/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How things look: JSON as it was asked for, colours, times. */
#ifndef CTL_OUTPUT_H
#define CTL_OUTPUT_H

#include <jansson.h>
#include <stdint.h>

#include "ctl/ctl.h"

enum output_colour {
	OUTPUT_PLAIN,
	OUTPUT_NAME, /* of an interface */
	OUTPUT_GOOD,
	OUTPUT_BAD,
};

/* The sequence that begins a colour, "" when there are none. */
const char *output_colour(const struct ctl *ctl, enum output_colour colour);

/* The whole answer of a verb, on a line of its own; takes @json over. */
void output_json(const struct ctl *ctl, json_t *json);
/* One of many, on one line, and out at once; takes @json over. */
void output_json_line(json_t *json);

/* "2026-11-27 00:06:25", local time; @time is in seconds since 1970. */
#define OUTPUT_TIME 48u /* numbers of any size */
void output_time(char text[OUTPUT_TIME], double time);
/* "1h 2m" since then, until now. */
void output_age(char text[OUTPUT_TIME], double time);

/* "123", "12.3K", "1.23G": three places and a unit of a thousand, written to @text. */
#define OUTPUT_SCALED 32u
const char *output_scaled(char text[OUTPUT_SCALED], double value);

/* What stands in @object under @key; "" and 0 when that is nothing of the kind. */
const char *output_string(const json_t *object, const char *key);
json_int_t output_integer(const json_t *object, const char *key);

/* Prints the strings of an array, each with a space before it. */
void output_words(const json_t *array);

#endif
