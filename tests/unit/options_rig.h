/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs the parser of options as main() does, for the tests. */
#ifndef OPTIONS_RIG_H
#define OPTIONS_RIG_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/options.h"

#define WORDS_MAX 32

struct run {
	int r;
	struct options o;
	char error[OPTIONS_ERROR_MAX];
	char *text; /* what --help or --version printed */
};

/* Runs the parser over @words, which end with NULL. */
static inline void parse(struct run *run, const char *const *words)
{
	char *argv[WORDS_MAX + 2] = { (char *)"vubridge" };
	size_t len;
	FILE *text = open_memstream(&run->text, &len);
	int argc = 1;

	assert_non_null(text);
	while (words[argc - 1]) {
		assert_true(argc <= WORDS_MAX);
		argv[argc] = (char *)words[argc - 1];
		argc++;
	}
	run->error[0] = '\0';
	run->r = options_parse(argc, argv, text, &run->o, run->error, sizeof(run->error));
	fclose(text);
}

#define PARSE(run, ...) parse(run, (const char *const[]){ __VA_ARGS__, NULL })

/* The words are refused, with exactly this line. */
#define assert_refused(line, ...)                              \
	do {                                                   \
		struct run run_;                               \
		PARSE(&run_, __VA_ARGS__);                     \
		assert_int_equal(run_.r, -EINVAL);             \
		assert_string_equal(run_.error, line);         \
		assert_string_equal(run_.text, "");            \
		free(run_.text);                               \
	} while (0)

/* The words are taken; the caller looks at run->o. */
#define assert_taken(run, ...)                                 \
	do {                                                   \
		PARSE(run, __VA_ARGS__);                       \
		assert_string_equal((run)->error, "");         \
		assert_int_equal((run)->r, 0);                 \
		assert_string_equal((run)->text, "");          \
		free((run)->text);                             \
	} while (0)

#endif
