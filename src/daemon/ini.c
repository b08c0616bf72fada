/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/ini.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"

/* Nobody writes as much by hand. */
#define FILE_MAX 65536u

#define BLANKS " \t\r"

static int fail(const char **why, int r, const char *text)
{
	*why = text;
	return r;
}

/* ---- the file ---- */

/* Up to @size bytes, which is more than there may be. Their number, or -errno. */
static ssize_t read_all(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size) {
		n = read(fd, text + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* Anything but a regular file could keep the reader waiting, or end nowhere. */
static int load_fd(char **text, int fd, const char **why)
{
	struct stat st;
	ssize_t len;

	if (fstat(fd, &st) < 0)
		return fail(why, -errno, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(why, -EINVAL, "is no regular file");
	*text = malloc(FILE_MAX + 1);
	if (!*text)
		return fail(why, -ENOMEM, "out of memory");
	len = read_all(fd, *text, FILE_MAX + 1);
	if (len < 0)
		return fail(why, (int)len, strerror((int)-len));
	if (len > (ssize_t)FILE_MAX)
		return fail(why, -EFBIG, "is longer than 65536 bytes");
	if (memchr(*text, '\0', (size_t)len))
		return fail(why, -EINVAL, "is no text: there is a zero byte in it");
	(*text)[len] = '\0';
	return 0;
}

int ini_load(char **text, const char *path, const char **why)
{
	/* without O_NONBLOCK, to open a FIFO would wait for a writer */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r;

	*text = NULL;
	if (fd < 0)
		return fail(why, -errno, strerror(errno));
	r = load_fd(text, fd, why);
	close_fd(&fd);
	if (r) {
		free(*text);
		*text = NULL;
	}
	return r;
}

/* ---- its lines ---- */

static char *trim(char *s)
{
	size_t len;

	s += strspn(s, BLANKS);
	len = strlen(s);
	while (len && strchr(BLANKS, s[len - 1]))
		len--;
	s[len] = '\0';
	return s;
}

/* The next line that says something, without the blanks around; NULL: none. */
static char *next_line(struct ini *ini)
{
	char *line;

	while ((line = strsep(&ini->rest, "\n"))) {
		ini->line++;
		line = trim(line);
		if (*line && *line != '#' && *line != ';')
			return line;
	}
	return NULL;
}

/* Behind a value it would be part of it, which nobody means who writes one there. */
static bool has_comment(const char *value)
{
	const char *s;

	for (s = value; *s; s++)
		if ((*s == '#' || *s == ';') && (s == value || strchr(BLANKS, s[-1])))
			return true;
	return false;
}

/* They would be part of the value. */
static bool has_quotes(const char *value)
{
	size_t len = strlen(value);

	return len > 1 && (*value == '"' || *value == '\'') && value[len - 1] == *value;
}

static int split(char *line, struct ini_entry *entry, const char **why)
{
	char *equals = strchr(line, '=');

	if (equals == line)
		return fail(why, -EINVAL, "there is no key before the =");
	entry->value = NULL;
	if (equals) {
		*equals = '\0';
		entry->value = trim(equals + 1);
	}
	entry->key = trim(line);
	if (has_comment(entry->value ? entry->value : entry->key))
		return fail(why, -EINVAL, "a comment needs a line of its own");
	if (entry->value && has_quotes(entry->value))
		return fail(why, -EINVAL, "values have no quotes");
	return 1;
}

int ini_next(struct ini *ini, struct ini_entry *entry, const char **why)
{
	char *line;

	while ((line = next_line(ini))) {
		entry->key = line;
		if (*line != '[')
			return split(line, entry, why);
		if (strcmp(line, "[" INI_SECTION "]") != 0)
			return fail(why, -EINVAL, "the only section is [" INI_SECTION "]");
		if (ini->begun)
			return fail(why, -EINVAL, "began before; begin it once");
		ini->begun = true;
	}
	return 0;
}
