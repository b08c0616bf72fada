/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "ctl/ctl.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

#define PROGRAM "vubctl"

/* In this order a shortened verb is looked for. */
static const struct verb verbs[] = {
	{"show", "", "state of each vubridge", verb_show},
	{"stats", "[-w [SECONDS] [-n COUNT]]", "counters, with -w again and again", verb_stats},
	{"set", "{ mac | mtu | queues | offload | merge | poll | idle-us | log-level } VALUE ...",
	 "change what can change at run time", verb_set},
	{"link", "{ up | down }", "give the interface its carrier, or none", verb_link},
	{"monitor", "", "events as they come", verb_monitor},
	{"reconnect", "", "leave the backend and connect anew", verb_reconnect},
	{"metrics", "", "counters as OpenMetrics text", verb_metrics},
	{"capture", "FILE [--snaplen N] [--count N] [--queue N] [--direction { rx | tx }]",
	 "frames at the rings, as pcapng; - is the standard output", verb_capture},
	{"version", "", "of this program and each vubridge", verb_version},
};

#define SHORT_OPTIONS "+:i:jpsc::hV"
static const struct option options[] = {
	{"interface", required_argument, NULL, 'i'}, {"json", no_argument, NULL, 'j'},
	{"pretty", no_argument, NULL, 'p'},	     {"statistics", no_argument, NULL, 's'},
	{"color", optional_argument, NULL, 'c'},     {"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},	     {NULL, 0, NULL, 0},
};

static void complain(const char *format, va_list args)
{
	fflush(stdout);
	fprintf(stderr, PROGRAM ": ");
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

int ctl_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(format, args);
	va_end(args);
	return CTL_FAILED;
}

int ctl_misuse(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(format, args);
	va_end(args);
	return CTL_USAGE;
}

bool ctl_matches(const char *word, const char *name)
{
	return *word && !strncmp(name, word, strlen(word));
}

static const struct verb *find_verb(const char *word)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(verbs); i++)
		if (ctl_matches(word, verbs[i].name))
			return &verbs[i];
	return NULL;
}

static void print_verb(const struct verb *verb)
{
	printf("  %s%s%s\n      %s\n", verb->name, verb->synopsis[0] ? " " : "", verb->synopsis,
	       verb->help);
}

static int print_help(const char *word)
{
	const struct verb *verb = word ? find_verb(word) : NULL;
	size_t i;

	if (word && !verb)
		return ctl_misuse("help '%s': no such verb", word);
	if (verb) {
		printf("Usage: " PROGRAM " [OPTION]...\n");
		print_verb(verb);
		return CTL_OK;
	}
	printf("Usage: " PROGRAM " [OPTION]... [VERB [ARGUMENT]...]\n"
	       "Shows and changes running vubridges. VERB may be shortened; it is one of\n\n");
	for (i = 0; i < ARRAY_SIZE(verbs); i++)
		print_verb(&verbs[i]);
	printf("  help [VERB]\n\n");
	printf("  -i, --interface NAME  that of this interface alone, or of this socket (with a "
	       "/)\n"
	       "  -j, --json            JSON instead of text\n"
	       "  -p, --pretty          JSON for people\n"
	       "  -s, --statistics      counters too\n"
	       "  -c, --color[=WHEN]    always (the same as no WHEN), never, or auto: on a "
	       "terminal\n"
	       "  -h, --help\n"
	       "  -V, --version\n\n"
	       "Exit status: 0 done, 1 refused or nobody there, 2 wrong usage.\n");
	return CTL_OK;
}

/* NULL (-c alone, as in ip(8)) or "always", "never", "auto": then NO_COLOR is heeded. */
static int set_colour(struct ctl *ctl, const char *when)
{
	const char *off = getenv("NO_COLOR"), *term = getenv("TERM");
	bool terminal = isatty(STDOUT_FILENO) && term && strcmp(term, "dumb");

	if (!when || !strcmp(when, "always"))
		ctl->colour = true;
	else if (!strcmp(when, "never"))
		ctl->colour = false;
	else if (!strcmp(when, "auto"))
		ctl->colour = terminal && !(off && off[0]);
	else
		return ctl_misuse("-c '%s': must be always, never or auto", when);
	return CTL_OK;
}

/* Is @c the letter of an option? SHORT_OPTIONS has other characters too. */
static bool is_letter(int c)
{
	size_t i;

	for (i = 0; options[i].name; i++)
		if (options[i].val == c)
			return true;
	return false;
}

/* getopt leaves the letter of what it did not like, if that is one, in optopt. */
static int refuse_option(int code, char **argv)
{
	const char *word = argv[optind - 1];

	if (code == ':')
		return ctl_misuse("-%c: needs a value", optopt);
	if (!optopt)
		return ctl_misuse("%s: unknown option, see help", word);
	if (is_letter(optopt))
		return ctl_misuse("%s: takes no value", word);
	return ctl_misuse("-%c: unknown option, see help", optopt);
}

/* -1: go on; else an exit status */
static int take_option(struct ctl *ctl, int code, char **argv)
{
	int r;

	switch (code) {
	case 'i':
		if (!optarg[0])
			return ctl_misuse("-i: needs a name");
		ctl->name = optarg;
		break;
	case 'j':
		ctl->json = true;
		break;
	case 'p':
		ctl->pretty = true;
		break;
	case 's':
		ctl->statistics = true;
		break;
	case 'c':
		/* -c=never, as iproute2 has it */
		r = set_colour(ctl, optarg && optarg[0] == '=' ? optarg + 1 : optarg);
		return r ? r : -1;
	case 'h':
		return print_help(NULL);
	case 'V':
		printf(PROGRAM " %s\n", PACKAGE_VERSION);
		return CTL_OK;
	default:
		return refuse_option(code, argv);
	}
	return -1;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *word = argc ? argv[0] : "show";
	const struct verb *verb = find_verb(word);
	int status;

	if (!strcmp(word, "help") || (!verb && ctl_matches(word, "help")))
		return print_help(argc > 1 ? argv[1] : NULL);
	if (!verb)
		return ctl_misuse("'%s': no such verb, see help", word);
	if (find_sockets(&ctl->found, ctl->name))
		return ctl_fail("out of memory");
	status = verb->run(ctl, argc ? argc - 1 : 0, argv + 1);
	find_free(&ctl->found);
	return status;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {.cancel_fd = -1};
	int code, status = -1;

	opterr = 0;
	while (status < 0 && (code = getopt_long(argc, argv, SHORT_OPTIONS, options, NULL)) != -1)
		status = take_option(&ctl, code, argv);
	if (status < 0)
		status = run(&ctl, argc - optind, argv + optind);
	if (fflush(stdout) && status == CTL_OK)
		status = ctl_fail("cannot write the answer");
	return status;
}
