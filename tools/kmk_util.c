// SPDX-License-Identifier: GPL-2.0
/* Devices, sysfs attributes and numbers. */
#include "kmk.h"

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool module_loaded(const char *module)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s", module);
	return !access(path, F_OK);
}

/* The kernel's own message, unless the module is simply not there. */
static _Noreturn void fail_on(const char *path, const char *module)
{
	int error = errno;

	if ((error == ENOENT || error == ENXIO || error == ENODEV) && !module_loaded(module))
		errx(KMK_FAILED, "%s is not loaded; load it: modprobe %s", module, module);
	errno = error;
	err(KMK_FAILED, "%s", path);
}

int device_open(const char *path, const char *module, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		fail_on(path, module);
	return fd;
}

bool file_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool got;

	if (!file)
		return false;
	got = fgets(line, size, file);
	fclose(file);
	if (got)
		line[strcspn(line, "\n")] = '\0';
	return got;
}

uint64_t sysfs_number(const char *path, const char *module)
{
	char line[32];
	uint64_t number;

	if (!file_line(path, line, sizeof(line)))
		fail_on(path, module);
	if (!parse_number(line, &number))
		errx(KMK_FAILED, "%s: not a number: %s", path, line);
	return number;
}

void sysfs_write(const char *path, const char *module, const char *text)
{
	int fd = device_open(path, module, O_WRONLY);

	if (write(fd, text, strlen(text)) < 0)
		err(KMK_FAILED, "%s", path);
	close(fd);
}

bool on_terminal(int fd)
{
	const char *terminal = getenv("TERM");

	return isatty(fd) && terminal && strcmp(terminal, "dumb");
}

double seconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) + (now.tv_nsec - start->tv_nsec) / 1e9;
}

bool parse_number(const char *text, uint64_t *number)
{
	char *end;

	if (!isdigit((unsigned char)*text))	/* strtoull() takes spaces and signs */
		return false;
	errno = 0;
	*number = strtoull(text, &end, 0);
	return !errno && !*end;
}

void print_fields(const struct field *fields, size_t n, const char *indent)
{
	size_t i;

	for (i = 0; i < n; i++)
		printf("%s%-16s %" PRIu64 "\n", indent, fields[i].name, fields[i].value);
}

void json_fields(const char *name, const struct field *fields, size_t n)
{
	size_t i;

	json_object(name);
	for (i = 0; i < n; i++)
		json_unsigned(fields[i].name, fields[i].value);
	json_end();
}
