// SPDX-License-Identifier: GPL-2.0
/* kmk echo: the counters and contents of /dev/echo and /dev/echo_fifo. */
#include "kmk.h"

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <kmodkit/echo.h>

#define MODULE "kmk_echo"

static const struct {
	const char *name, *path;
} devices[] = {
	{ "echo", "/dev/echo" },
	{ "echo_fifo", "/dev/echo_fifo" },
};

/* Whether the command is for this device: the one that is named, else each. */
static bool wanted(const struct request *request, size_t i)
{
	return !request->nargs || !strcmp(request->args[0], devices[i].name);
}

static void check_name(const struct request *request)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(devices); i++)
		if (wanted(request, i))
			return;
	errx(KMK_USAGE, "no device '%s': it is echo or echo_fifo", request->args[0]);
}

static struct echo_stats read_stats(size_t i)
{
	int fd = device_open(devices[i].path, MODULE, O_RDONLY | O_NONBLOCK);
	struct echo_stats stats;

	if (ioctl(fd, ECHO_IOC_GET_STATS, &stats))
		err(KMK_FAILED, "%s", devices[i].path);
	close(fd);
	return stats;
}

static void print_stats(size_t i, const struct echo_stats *stats, bool json)
{
	const struct field fields[] = {
		{ "length", stats->length },
		{ "capacity", stats->capacity },
		{ "bytes_written", stats->bytes_written },
		{ "bytes_read", stats->bytes_read },
		{ "open_count", stats->open_count },
		{ "open_total", stats->open_total },
	};

	if (json) {
		json_fields(devices[i].name, fields, ARRAY_SIZE(fields));
	} else {
		printf("%s\n", devices[i].path);
		print_fields(fields, ARRAY_SIZE(fields), "  ");
	}
}

int kmk_echo_stat(const struct request *request)
{
	struct echo_stats stats[ARRAY_SIZE(devices)];
	size_t i;

	check_name(request);
	for (i = 0; i < ARRAY_SIZE(devices); i++)
		if (wanted(request, i))
			stats[i] = read_stats(i);
	if (request->json)
		json_object(NULL);
	for (i = 0; i < ARRAY_SIZE(devices); i++)
		if (wanted(request, i))
			print_stats(i, &stats[i], request->json);
	if (request->json)
		json_end();
	return 0;
}

int kmk_echo_clear(const struct request *request)
{
	size_t i;
	int fd;

	check_name(request);
	for (i = 0; i < ARRAY_SIZE(devices); i++) {
		if (!wanted(request, i))
			continue;
		fd = device_open(devices[i].path, MODULE, O_WRONLY | O_NONBLOCK);
		if (ioctl(fd, ECHO_IOC_CLEAR))
			err(KMK_FAILED, "%s", devices[i].path);
		close(fd);
	}
	return 0;
}
