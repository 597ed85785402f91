// SPDX-License-Identifier: GPL-2.0
/* kmk mempool: what /dev/mempool holds, and a work-out for it. */
#include "kmk.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <kmodkit/mempool.h>

#define MODULE	"kmk_mempool"
#define NODE	"/dev/mempool"

static struct kmk_mempool_stats read_stats(int fd)
{
	struct kmk_mempool_stats stats;

	if (ioctl(fd, MEMPOOL_IOC_STATS, &stats))
		err(KMK_FAILED, NODE);
	return stats;
}

int kmk_mempool_stat(const struct request *request)
{
	int fd = device_open(NODE, MODULE, O_RDONLY);
	const struct kmk_mempool_stats stats = read_stats(fd);
	const struct field fields[] = {
		{ "blocks", stats.blocks },
		{ "bytes", stats.bytes },
		{ "max_bytes", stats.max_bytes },
		{ "allocs", stats.allocs },
		{ "frees", stats.frees },
		{ "refused", stats.refused },
	};

	close(fd);
	if (request->json)
		json_fields(NULL, fields, ARRAY_SIZE(fields));
	else
		print_fields(fields, ARRAY_SIZE(fields), "");
	return 0;
}

/* A bar on the terminal, for what takes longer than a second. */
static struct {
	struct timespec start;
	double shown;		/* at this many seconds; 0: not yet */
} progress;

static void progress_show(uint64_t done, uint64_t all)
{
	static const char full[] = "########################################";
	const int width = sizeof(full) - 1;
	double now = seconds_since(&progress.start);
	double part = (double)done / all;
	int filled = part * width;

	if (now < 1 || now < progress.shown + 0.1 || !on_terminal(STDERR_FILENO))
		return;
	fprintf(stderr, "\r[%-*.*s] %3.0f%% %" PRIu64 " of %" PRIu64, width, filled, full,
		part * 100, done, all);
	progress.shown = now;
}

static void progress_end(void)
{
	if (progress.shown)
		fputs("\r\033[K", stderr);
}

/* End kmk; @error is an errno, or 0 when the text says it all. */
static _Noreturn void __attribute__((format(printf, 2, 3)))
give_up(int error, const char *format, ...)
{
	va_list args;

	progress_end();
	va_start(args, format);
	errno = error;
	if (error)
		verr(KMK_FAILED, format, args);
	verrx(KMK_FAILED, format, args);
}

/* The contents of a block: 64-bit words that depend on the handle and the place. */
static void pattern(uint64_t *words, size_t n, uint64_t handle)
{
	size_t i;

	for (i = 0; i < n; i++)
		words[i] = (handle + i) * 0x9e3779b97f4a7c15;
}

#define WINDOW 64			/* blocks in use at once, if there is room */

struct exercise {
	int fd;
	size_t size;
	uint64_t *expected, *found;	/* a block's worth each */
	uint64_t handles[WINDOW];	/* a ring, in order of allocation */
};

/* The handle of a new block; 0 if there is no room beside the others in use. */
static uint64_t take_block(const struct exercise *exercise, bool others)
{
	struct kmk_mempool_alloc alloc = { .size = exercise->size };
	struct kmk_mempool_query query = { 0 };

	if (ioctl(exercise->fd, MEMPOOL_IOC_ALLOC, &alloc)) {
		if (errno == ENOMEM && others)
			return 0;
		give_up(errno, NODE ": allocate %zu bytes", exercise->size);
	}
	query.handle = alloc.handle;
	if (ioctl(exercise->fd, MEMPOOL_IOC_QUERY, &query))
		give_up(errno, NODE ": query");
	if (query.size != exercise->size)
		give_up(0, NODE ": a block of %zu bytes says that it has %llu",
			exercise->size, query.size);
	return alloc.handle;
}

static void fill_block(const struct exercise *exercise, uint64_t handle)
{
	ssize_t n;

	pattern(exercise->expected, exercise->size / 8 + 1, handle);
	n = pwrite(exercise->fd, exercise->expected, exercise->size, handle);
	if (n < 0)
		give_up(errno, NODE ": write");
	if ((size_t)n != exercise->size)
		give_up(0, NODE ": wrote %zd bytes of %zu", n, exercise->size);
}

static void check_block(const struct exercise *exercise, uint64_t handle)
{
	ssize_t n = pread(exercise->fd, exercise->found, exercise->size, handle);

	if (n < 0)
		give_up(errno, NODE ": read");
	pattern(exercise->expected, exercise->size / 8 + 1, handle);
	if ((size_t)n != exercise->size || memcmp(exercise->found, exercise->expected, n))
		give_up(0, NODE ": a block does not hold what was written to it");
}

static void free_block(const struct exercise *exercise, uint64_t handle)
{
	struct kmk_mempool_free block = { .handle = handle };

	if (ioctl(exercise->fd, MEMPOOL_IOC_FREE, &block))
		give_up(errno, NODE ": free");
}

static void work_out(struct exercise *exercise, uint64_t blocks)
{
	uint64_t taken = 0, freed = 0, handle;

	while (freed < blocks) {
		handle = 0;
		if (taken < blocks && taken - freed < WINDOW)
			handle = take_block(exercise, taken > freed);
		if (handle) {
			fill_block(exercise, handle);
			exercise->handles[taken++ % WINDOW] = handle;
		} else {
			handle = exercise->handles[freed++ % WINDOW];
			check_block(exercise, handle);
			free_block(exercise, handle);
			progress_show(freed, blocks);
		}
	}
}

int kmk_mempool_exercise(const struct request *request)
{
	const uint64_t blocks = request->count ?: 256;
	struct exercise exercise = { .size = request->size ?: 4096 };
	double seconds;

	exercise.fd = device_open(NODE, MODULE, O_RDWR);
	exercise.expected = calloc(exercise.size / 8 + 1, 8);
	exercise.found = calloc(exercise.size / 8 + 1, 8);
	if (!exercise.expected || !exercise.found)
		err(KMK_FAILED, "blocks of %zu bytes", exercise.size);

	clock_gettime(CLOCK_MONOTONIC, &progress.start);
	work_out(&exercise, blocks);
	seconds = seconds_since(&progress.start);
	progress_end();
	if (read_stats(exercise.fd).file_blocks)
		give_up(0, NODE ": counts blocks that were freed");

	if (request->json) {
		json_object(NULL);
		json_unsigned("blocks", blocks);
		json_unsigned("size", exercise.size);
		json_decimal("seconds", seconds);
		json_end();
	} else {
		printf("%" PRIu64 " blocks of %zu bytes used and freed in %.3f s\n",
		       blocks, exercise.size, seconds);
	}
	free(exercise.expected);
	free(exercise.found);
	close(exercise.fd);
	return 0;
}
