// SPDX-License-Identifier: GPL-2.0
/* kmk syscall: the operations of /dev/syscall_ext, one at a time or in batches. */
#include "kmk.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kmodkit/syscall_ext.h>

#define MODULE	"kmk_syscall"
#define NODE	"/dev/syscall_ext"

static const struct operation {
	const char *name;
	uint64_t number;
	size_t parameters;
} operations[] = {
	{ "add", CUSTOM_SYSCALL_ADD, 2 },
	{ "mul", CUSTOM_SYSCALL_MULTIPLY, 2 },
	{ "id", CUSTOM_SYSCALL_IDENTIFIER, 0 },
	{ "uptime", CUSTOM_SYSCALL_UPTIME, 0 },
	{ "sleep", CUSTOM_SYSCALL_SLEEP, 1 },
};

static void print_result(const struct custom_syscall_data *call)
{
	if (call->operation == CUSTOM_SYSCALL_IDENTIFIER)
		printf("%#llx\n", call->result);
	else
		printf("%lld\n", call->result);
}

/* --- one at a time --- */

static struct custom_syscall_data make_call(uint64_t operation, const struct request *request)
{
	uint64_t parameters[2] = { 0 };
	struct custom_syscall_data call;
	size_t i;
	int fd;

	for (i = 0; i < request->nargs; i++)
		if (!parse_number(request->args[i], &parameters[i]))
			errx(KMK_USAGE, "not a number: %s", request->args[i]);
	call = (struct custom_syscall_data) {
		.operation = operation,
		.parameter1 = parameters[0],
		.parameter2 = parameters[1],
	};

	fd = device_open(NODE, MODULE, O_RDONLY);
	while (custom_syscall(fd, &call)) {
		if (errno != EINTR)
			err(KMK_FAILED, NODE);
		call.parameter1 = call.result;	/* the rest of a sleep */
	}
	close(fd);

	if (request->json) {
		json_object(NULL);
		json_signed("result", call.result);
		json_end();
	}
	return call;
}

static int call_and_print(uint64_t operation, const struct request *request)
{
	const struct custom_syscall_data done = make_call(operation, request);

	if (!request->json)
		print_result(&done);
	return 0;
}

int kmk_syscall_add(const struct request *request)
{
	return call_and_print(CUSTOM_SYSCALL_ADD, request);
}

int kmk_syscall_mul(const struct request *request)
{
	return call_and_print(CUSTOM_SYSCALL_MULTIPLY, request);
}

int kmk_syscall_id(const struct request *request)
{
	return call_and_print(CUSTOM_SYSCALL_IDENTIFIER, request);
}

int kmk_syscall_uptime(const struct request *request)
{
	return call_and_print(CUSTOM_SYSCALL_UPTIME, request);
}

int kmk_syscall_sleep(const struct request *request)
{
	make_call(CUSTOM_SYSCALL_SLEEP, request);
	return 0;
}

/* --- in batches --- */

struct batch {
	const char *name;	/* of the file */
	size_t count, room;
	struct custom_syscall_data *calls;
	int32_t *errors;
	size_t *lines;		/* where in the file each call is */
};

static void make_room(struct batch *batch)
{
	if (batch->count < batch->room)
		return;
	batch->room = batch->room ? 2 * batch->room : 64;
	batch->calls = reallocarray(batch->calls, batch->room, sizeof(*batch->calls));
	batch->errors = reallocarray(batch->errors, batch->room, sizeof(*batch->errors));
	batch->lines = reallocarray(batch->lines, batch->room, sizeof(*batch->lines));
	if (!batch->calls || !batch->errors || !batch->lines)
		err(KMK_FAILED, "%s", batch->name);
}

static const struct operation *find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(operations); i++)
		if (!strcmp(operations[i].name, name))
			return &operations[i];
	return NULL;
}

/* The call that the words of a line ask for; false: none. */
static bool compose(struct custom_syscall_data *call, char **words, size_t n)
{
	const struct operation *operation = find(words[0]);
	uint64_t parameters[2] = { 0 };
	size_t i;

	if (!operation || n != 1 + operation->parameters)
		return false;
	for (i = 1; i < n; i++)
		if (!parse_number(words[i], &parameters[i - 1]))
			return false;
	*call = (struct custom_syscall_data) {
		.operation = operation->number,
		.parameter1 = parameters[0],
		.parameter2 = parameters[1],
	};
	return true;
}

static void read_line(struct batch *batch, size_t number, char *line)
{
	char *words[4], *rest = line;
	size_t n = 0;

	line[strcspn(line, "#\n")] = '\0';
	while (n < ARRAY_SIZE(words) && (words[n] = strtok_r(NULL, " \t", &rest)))
		n++;
	if (!n)
		return;
	make_room(batch);
	if (!compose(&batch->calls[batch->count], words, n))
		errx(KMK_USAGE, "%s:%zu: no operation that 'kmk help syscall' lists",
		     batch->name, number);
	batch->lines[batch->count++] = number;
}

static void read_file(struct batch *batch)
{
	bool standard = !strcmp(batch->name, "-");
	FILE *file = standard ? stdin : fopen(batch->name, "re");
	size_t number = 0, size = 0;
	char *line = NULL;

	if (!file)
		err(KMK_FAILED, "%s", batch->name);
	while (getline(&line, &size, file) >= 0)
		read_line(batch, ++number, line);
	if (ferror(file))
		err(KMK_FAILED, "%s", batch->name);
	free(line);
	if (!standard)
		fclose(file);
}

/* The first call from @i to before @end that a signal interrupted, or @end. */
static size_t interrupted(const struct batch *batch, size_t i, size_t end)
{
	while (i < end && batch->errors[i] != -EINTR)
		i++;
	return i;
}

static void do_calls(int fd, struct batch *batch)
{
	size_t i = 0, end;

	while (i < batch->count) {
		struct custom_syscall_batch part = {
			.calls = (uintptr_t)&batch->calls[i],
			.errors = (uintptr_t)&batch->errors[i],
			.size = sizeof(*batch->calls),
		};

		end = batch->count;
		if (end - i > CUSTOM_SYSCALL_BATCH_MAX)
			end = i + CUSTOM_SYSCALL_BATCH_MAX;
		part.count = end - i;
		if (custom_syscall_batch(fd, &part) < 0)
			err(KMK_FAILED, NODE);
		i = interrupted(batch, i, end);
		if (i < end)
			batch->calls[i].parameter1 = batch->calls[i].result;
	}
}

static void json_result(const struct batch *batch, size_t i)
{
	json_object(NULL);
	json_unsigned("line", batch->lines[i]);
	if (batch->errors[i]) {
		json_null("result");
		json_string("error", strerror(-batch->errors[i]));
	} else {
		json_signed("result", batch->calls[i].result);
		json_null("error");
	}
	json_end();
}

static void text_result(const struct batch *batch, size_t i)
{
	if (batch->errors[i]) {
		putchar('\n');
		warnx("%s:%zu: %s", batch->name, batch->lines[i], strerror(-batch->errors[i]));
	} else {
		print_result(&batch->calls[i]);
	}
}

int kmk_syscall_batch(const struct request *request)
{
	struct batch batch = { .name = request->args[0] };
	int status = 0, fd;
	size_t i;

	read_file(&batch);
	fd = device_open(NODE, MODULE, O_RDONLY);
	do_calls(fd, &batch);
	close(fd);

	if (request->json)
		json_array(NULL);
	for (i = 0; i < batch.count; i++) {
		if (batch.errors[i])
			status = KMK_FAILED;
		if (request->json)
			json_result(&batch, i);
		else
			text_result(&batch, i);
	}
	if (request->json)
		json_end();
	free(batch.calls);
	free(batch.errors);
	free(batch.lines);
	return status;
}
