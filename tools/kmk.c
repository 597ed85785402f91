// SPDX-License-Identifier: GPL-2.0
/*
 * kmk - the command-line front of the kmodkit modules
 *
 * A command is one or two words with options and arguments of its own; the table
 * below is all of them, and what `kmk help` shows. Each lives in the file of its
 * module and speaks to it through the public ABI only: the device nodes, the
 * headers in include/uapi/kmodkit/, and sysfs.
 */
#include "kmk.h"

#include <argp.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <kmk/version.h>

#define JSON	{ "json", 'j', NULL, 0, "Print JSON, for programs", 0 }

static const struct argp_option json_options[] = { JSON, { 0 } };

static const struct argp_option no_options[] = { { 0 } };

static const struct argp_option watch_options[] = {
	{ "events", 'n', "N", 0, "End after N events", 0 },
	JSON,
	{ 0 }
};

static const struct argp_option trigger_options[] = {
	{ "data", 'd', "DATA", 0, "Number to put into the events (default 0)", 0 },
	{ 0 }
};

static const struct argp_option exercise_options[] = {
	{ "blocks", 'n', "N", 0, "Use N blocks (default 256)", 0 },
	{ "size", 's', "BYTES", 0, "Size of a block (default 4096)", 0 },
	JSON,
	{ 0 }
};

static const struct command {
	const char *group;		/* NULL: a command of one word */
	const char *name;
	const char *args;
	const char *doc;
	const struct argp_option *options;
	size_t min, max;		/* how many arguments */
	int (*run)(const struct request *request);
} commands[] = {
	{ NULL, "status", NULL, "Show modules, their versions and nodes.",
	  json_options, 0, 0, kmk_status },
	{ "echo", "stat", "[echo|echo_fifo]", "Show what the devices hold and have done.",
	  json_options, 0, 1, kmk_echo_stat },
	{ "echo", "clear", "[echo|echo_fifo]", "Empty the devices.",
	  no_options, 0, 1, kmk_echo_clear },
	{ "irq", "count", NULL, "Show how many interrupts came.",
	  json_options, 0, 0, kmk_irq_count },
	{ "irq", "trigger", "[N]", "Raise the simulated line N times, or once.",
	  trigger_options, 0, 1, kmk_irq_trigger },
	{ "irq", "watch", NULL, "Show interrupts as they come.",
	  watch_options, 0, 0, kmk_irq_watch },
	{ "mempool", "stat", NULL, "Show what /dev/mempool holds.",
	  json_options, 0, 0, kmk_mempool_stat },
	{ "mempool", "exercise", NULL, "Allocate, fill, check and free blocks.",
	  exercise_options, 0, 0, kmk_mempool_exercise },
	{ "syscall", "add", "A B", "Have the kernel add A and B.",
	  json_options, 2, 2, kmk_syscall_add },
	{ "syscall", "mul", "A B", "Have the kernel multiply A and B.",
	  json_options, 2, 2, kmk_syscall_mul },
	{ "syscall", "id", NULL, "Ask the kernel for its identifier.",
	  json_options, 0, 0, kmk_syscall_id },
	{ "syscall", "uptime", NULL, "Ask the kernel for the ms since boot.",
	  json_options, 0, 0, kmk_syscall_uptime },
	{ "syscall", "sleep", "MS", "Sleep MS milliseconds in the kernel.",
	  json_options, 1, 1, kmk_syscall_sleep },
	{ "syscall", "batch", "FILE",
	  "Do each line of FILE (-: stdin), in one call.",
	  json_options, 1, 1, kmk_syscall_batch },
};

const char *argp_program_version = "kmk (kmodkit) " KMK_VERSION;

static uint64_t number_option(const char *text, const char *what, uint64_t least,
			      struct argp_state *state)
{
	uint64_t number;

	if (!parse_number(text, &number) || number < least)
		argp_error(state, "%s cannot be '%s'", what, text);
	return number;
}

static error_t parse_command(int key, char *arg, struct argp_state *state)
{
	struct request *request = state->input;

	switch (key) {
	case 'j':
		request->json = true;
		return 0;
	case 'n':
		request->count = number_option(arg, "N", 1, state);
		return 0;
	case 's':
		request->size = number_option(arg, "BYTES", 1, state);
		return 0;
	case 'd':
		request->data = number_option(arg, "DATA", 0, state);
		return 0;
	case ARGP_KEY_ARGS:
		request->args = state->argv + state->next;
		request->nargs = state->argc - state->next;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const char *full_name(const struct command *command)
{
	static char name[32];

	snprintf(name, sizeof(name), "kmk %s%s%s", command->group ?: "",
		 command->group ? " " : "", command->name);
	return name;
}

/* Parse what follows the command's name, argv[0] standing for that name, and run it. */
static int run(const struct command *command, bool json, int argc, char **argv)
{
	const struct argp argp = {
		.options = command->options,
		.parser = parse_command,
		.args_doc = command->args,
		.doc = command->doc,
	};
	struct request request = { .json = json };
	char *name = strdup(full_name(command));

	if (!name)
		err(KMK_FAILED, NULL);
	argv[0] = name;
	argp_parse(&argp, argc, argv, 0, NULL, &request);
	if (request.nargs < command->min || request.nargs > command->max) {
		fprintf(stderr, "%s: %s argument\n", name,
			request.nargs < command->min ? "missing" : "unexpected");
		argp_help(&argp, stderr, ARGP_HELP_USAGE | ARGP_HELP_SEE, name);
		return KMK_USAGE;
	}
	return command->run(&request);
}

static const struct command *find(const char *group, const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *command = &commands[i];

		if (!group != !command->group || strcmp(name, command->name))
			continue;
		if (!group || !strcmp(group, command->group))
			return command;
	}
	return NULL;
}

static bool is_group(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].group && !strcmp(name, commands[i].group))
			return true;
	return false;
}

static void list(FILE *to, const char *group)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *command = &commands[i];
		char synopsis[64];

		if (group && (!command->group || strcmp(group, command->group)))
			continue;
		snprintf(synopsis, sizeof(synopsis), "%s %s", full_name(command),
			 command->args ?: "");
		fprintf(to, "  %-33s%s\n", synopsis, command->doc);
	}
}

static int show_help(int argc, char **argv)
{
	char *words[3] = { NULL, (char []){ "--help" } };
	const struct command *command;

	if (argc < 2) {
		puts("Usage: kmk COMMAND [OPTION...] [ARGUMENT...]\n"
		     "Drive the devices of the kmodkit kernel modules.\n");
		list(stdout, NULL);
		puts("\nMost take --json. 'kmk help COMMAND' and kmk(1) tell more.");
		return 0;
	}
	if (argc == 2 && is_group(argv[1])) {
		list(stdout, argv[1]);
		return 0;
	}
	command = argc == 2 ? find(NULL, argv[1]) : argc == 3 ? find(argv[1], argv[2]) : NULL;
	if (!command) {
		warnx("no such command; 'kmk help' lists them");
		return KMK_USAGE;
	}
	return run(command, false, 2, words);
}

/* Find the command in the words that are left, and run it. */
static int dispatch(bool json, int argc, char **argv)
{
	const struct command *command;

	if (!strcmp(argv[0], "help"))
		return show_help(argc, argv);
	command = find(NULL, argv[0]);
	if (command)
		return run(command, json, argc, argv);
	if (!is_group(argv[0])) {
		warnx("no command '%s'; 'kmk help' lists them", argv[0]);
		return KMK_USAGE;
	}
	command = argc > 1 ? find(argv[0], argv[1]) : NULL;
	if (command)
		return run(command, json, argc - 1, argv + 1);
	if (argc > 1)
		warnx("no command '%s %s'; there is:", argv[0], argv[1]);
	else
		warnx("'%s' wants a command:", argv[0]);
	list(stderr, argv[0]);
	return KMK_USAGE;
}

/* The options before the command; what follows is the command's own. */
static error_t parse_front(int key, char *arg, struct argp_state *state)
{
	bool *json = state->input;

	(void)arg;
	switch (key) {
	case 'j':
		*json = true;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which command? 'kmk help' lists them");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	const struct argp argp = {
		.options = json_options,
		.parser = parse_front,
		.args_doc = "COMMAND [ARGUMENT...]",
		.doc = "Drive the kmodkit kernel modules. 'kmk help' lists the commands.",
	};
	bool json = false;
	int first, status;

	argp_err_exit_status = KMK_USAGE;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, &first, &json);
	status = dispatch(json, argc - first, argv + first);
	if (fflush(stdout) || ferror(stdout))
		err(KMK_FAILED, "standard output");
	return status;
}
