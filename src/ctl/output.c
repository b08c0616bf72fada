/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/output.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

const char *output_colour(const struct ctl *ctl, enum output_colour colour)
{
	static const char *const sequences[] = {
		[OUTPUT_PLAIN] = "\033[0m",
		[OUTPUT_NAME] = "\033[1;36m",
		[OUTPUT_GOOD] = "\033[32m",
		[OUTPUT_BAD] = "\033[1;31m",
	};

	return ctl->colour ? sequences[colour] : "";
}

void output_json(const struct ctl *ctl, json_t *json)
{
	json_dumpf(json, stdout,
		   JSON_REAL_PRECISION(13) | JSON_ENCODE_ANY |
			   (ctl->pretty ? JSON_INDENT(4) : JSON_COMPACT));
	putchar('\n');
	json_decref(json);
}

void output_json_line(json_t *json)
{
	json_dumpf(json, stdout, JSON_REAL_PRECISION(13) | JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(json);
}

void output_time(char text[OUTPUT_TIME], double time)
{
	time_t seconds = (time_t)time;
	struct tm tm;

	localtime_r(&seconds, &tm);
	strftime(text, OUTPUT_TIME, "%F %T", &tm);
}

void output_age(char text[OUTPUT_TIME], double since)
{
	static const struct {
		long seconds;
		char unit;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	long age = (long)(time(NULL) - (time_t)since);
	unsigned int i = 0;

	if (age < 0)
		age = 0;
	while (i < 3 && age < units[i].seconds)
		i++;
	if (i == 3)
		snprintf(text, OUTPUT_TIME, "%lds", age);
	else
		snprintf(text, OUTPUT_TIME, "%ld%c %ld%c", age / units[i].seconds, units[i].unit,
			 age % units[i].seconds / units[i + 1].seconds, units[i + 1].unit);
}

const char *output_scaled(char text[OUTPUT_SCALED], double value)
{
	static const char units[] = "KMGTPE";
	const char *unit = "";
	char letter[2] = "";
	size_t i;

	/* what rounds to a thousand is one of the next unit */
	for (i = 0; (value >= 999.5 || value <= -999.5) && i < sizeof(units) - 1; i++) {
		value /= 1000;
		letter[0] = units[i];
		unit = letter;
	}
	if (unit[0] && value < 9.995 && value > -9.995)
		snprintf(text, OUTPUT_SCALED, "%.2f%s", value, unit);
	else if (unit[0] && value < 99.95 && value > -99.95)
		snprintf(text, OUTPUT_SCALED, "%.1f%s", value, unit);
	else
		snprintf(text, OUTPUT_SCALED, "%.0f%s", value, unit);
	return text;
}

const char *output_string(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

json_int_t output_integer(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

void output_words(const json_t *array)
{
	const json_t *word;
	size_t i;

	json_array_foreach(array, i, word)
		printf(" %s", json_string_value(word) ? json_string_value(word) : "?");
}
