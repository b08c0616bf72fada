/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"

static int max_level = LOG_INFO;

void log_set_level(int level)
{
	__atomic_store_n(&max_level, level, __ATOMIC_RELAXED);
}

int log_get_level(void)
{
	return __atomic_load_n(&max_level, __ATOMIC_RELAXED);
}

/* systemd names device and inode of the stream it reads (systemd.exec(5)). */
static bool to_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (!stream || sscanf(stream, "%llu:%llu", &dev, &ino) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void log_line(int level, const char *tag, const char *format, ...)
{
	char line[1024];
	va_list args;
	size_t n = 0;
	int r;

	if (level > log_get_level())
		return;
	if (to_journal())
		n += (size_t)snprintf(line, sizeof(line), "<%d>", level);
	if (tag)
		n += (size_t)snprintf(line + n, sizeof(line) - n, "%.64s: ", tag);
	va_start(args, format);
	r = vsnprintf(line + n, sizeof(line) - n, format, args);
	va_end(args);
	if (r > 0)
		n = MIN(n + (size_t)r, sizeof(line) - 2);
	line[n++] = '\n';
	/* a log that cannot be written has nowhere to say so */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}
