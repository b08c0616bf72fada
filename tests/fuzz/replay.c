/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The main of a fuzz target without libFuzzer: runs it over the files named, or over its
 * seeds, tests/fuzz/corpus/TARGET/ of the tree in $top_srcdir. None at all is a failure.
 */
#include <dirent.h>
#include <errno.h>

#include "fuzz.h"

#define INPUT_MAX (1u << 20)

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(INPUT_MAX), *exact;
	size_t size;

	MUST(data);
	if (!file) {
		perror(path);
		free(data);
		return 1;
	}
	/* said first: the input may crash the target */
	printf("%s\n", path);
	fflush(stdout);
	size = fread(data, 1, INPUT_MAX, file);
	fclose(file);
	/* a byte read beyond the input is one beyond the memory, which AddressSanitizer sees */
	exact = realloc(data, size ? size : 1);
	MUST(exact);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 0;
}

static int is_seed(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* How many seeds there were, -1 if one could not be read. */
static int replay_corpus(const char *dir)
{
	struct dirent **entries;
	int n = scandir(dir, &entries, is_seed, alphasort), i, failed = 0;
	char path[4096];

	if (n < 0) {
		perror(dir);
		return -1;
	}
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		failed |= replay_file(path);
		free(entries[i]);
	}
	free(entries);
	return failed ? -1 : n;
}

static int replay_seeds(void)
{
	const char *top = getenv("top_srcdir");
	char dir[2048];

	if (!top) {
		fprintf(stderr, "name input files, or set top_srcdir\n");
		return -1;
	}
	snprintf(dir, sizeof(dir), "%s/tests/fuzz/corpus/%s", top, program_invocation_short_name);
	return replay_corpus(dir);
}

int main(int argc, char **argv)
{
	int n = argc - 1, i, failed = 0;

	for (i = 1; i < argc; i++)
		failed |= replay_file(argv[i]);
	if (argc < 2)
		n = replay_seeds();
	if (failed || n < 0)
		return 1;
	printf("%d inputs replayed\n", n);
	return n == 0;
}
