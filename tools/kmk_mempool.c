// SPDX-License-Identifier: GPL-2.0
/* kmk mempool: what /dev/mempool holds, and a work-out for it. */
#include "kmk.h"

#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
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
	int fd = device_open(NODE, MODULE, O_RDWR);
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
struct progress {
	struct timespec start;
	double shown;		/* at this many seconds; 0: not yet */
};

static double seconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) + (now.tv_nsec - start->tv_nsec) / 1e9;
}

static void progress_show(struct progress *progress, uint64_t done, uint64_t all)
{
	static const char full[] = "########################################";
	const int width = sizeof(full) - 1;
	double now = seconds_since(&progress->start);
	double part = (double)done / all;
	int filled = part * width;

	if (now < 1 || now < progress->shown + 0.1 || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r[%-*.*s] %3.0f%% %" PRIu64 " of %" PRIu64, width, filled, full,
		part * 100, done, all);
	progress->shown = now;
}

static void progress_end(const struct progress *progress)
{
	if (progress->shown)
		fputs("\r\033[K", stderr);
}

/* What must be in @block: 64-bit words that depend on the handle and the place. */
static void pattern(uint64_t *words, size_t n, uint64_t handle)
{
	size_t i;

	for (i = 0; i < n; i++)
		words[i] = (handle + i) * 0x9e3779b97f4a7c15;
}

/* Blocks in use at once: few enough for the smallest limit, enough to mix them up. */
#define WINDOW 64

struct exercise {
	int fd;
	size_t size;
	uint64_t *expected, *found;	/* a block's worth each */
	uint64_t handles[WINDOW];	/* a ring, in order of allocation */
};

static uint64_t take_block(const struct exercise *exercise)
{
	struct kmk_mempool_alloc alloc = { .size = exercise->size };
	struct kmk_mempool_query query = { 0 };

	if (ioctl(exercise->fd, MEMPOOL_IOC_ALLOC, &alloc))
		err(KMK_FAILED, NODE ": allocate %zu bytes", exercise->size);
	query.handle = alloc.handle;
	if (ioctl(exercise->fd, MEMPOOL_IOC_QUERY, &query))
		err(KMK_FAILED, NODE ": query");
	if (query.size != exercise->size)
		errx(KMK_FAILED, NODE ": a block of %zu bytes says that it has %llu",
		     exercise->size, query.size);
	return alloc.handle;
}

static void fill_block(const struct exercise *exercise, uint64_t handle)
{
	ssize_t n;

	pattern(exercise->expected, exercise->size / 8 + 1, handle);
	n = pwrite(exercise->fd, exercise->expected, exercise->size, handle);
	if (n < 0)
		err(KMK_FAILED, NODE ": write");
	if ((size_t)n != exercise->size)
		errx(KMK_FAILED, NODE ": wrote %zd bytes of %zu", n, exercise->size);
}

static void check_block(const struct exercise *exercise, uint64_t handle)
{
	ssize_t n = pread(exercise->fd, exercise->found, exercise->size, handle);

	if (n < 0)
		err(KMK_FAILED, NODE ": read");
	pattern(exercise->expected, exercise->size / 8 + 1, handle);
	if ((size_t)n != exercise->size || memcmp(exercise->found, exercise->expected, n))
		errx(KMK_FAILED, NODE ": a block does not hold what was written to it");
}

static void free_block(const struct exercise *exercise, uint64_t handle)
{
	struct kmk_mempool_free block = { .handle = handle };

	if (ioctl(exercise->fd, MEMPOOL_IOC_FREE, &block))
		err(KMK_FAILED, NODE ": free");
}

static void work_out(struct exercise *exercise, uint64_t blocks, struct progress *progress)
{
	uint64_t allocated = 0, freed = 0, *handle;

	while (freed < blocks) {
		if (allocated < blocks && allocated - freed < WINDOW) {
			handle = &exercise->handles[allocated++ % WINDOW];
			*handle = take_block(exercise);
			fill_block(exercise, *handle);
			continue;
		}
		handle = &exercise->handles[freed++ % WINDOW];
		check_block(exercise, *handle);
		free_block(exercise, *handle);
		progress_show(progress, freed, blocks);
	}
}

int kmk_mempool_exercise(const struct request *request)
{
	const uint64_t blocks = request->count ?: 256;
	struct exercise exercise = { .size = request->size ?: 4096 };
	struct progress progress = { .shown = 0 };
	double seconds;

	exercise.fd = device_open(NODE, MODULE, O_RDWR);
	exercise.expected = calloc(exercise.size / 8 + 1, 8);
	exercise.found = calloc(exercise.size / 8 + 1, 8);
	if (!exercise.expected || !exercise.found)
		err(KMK_FAILED, "blocks of %zu bytes", exercise.size);

	clock_gettime(CLOCK_MONOTONIC, &progress.start);
	work_out(&exercise, blocks, &progress);
	seconds = seconds_since(&progress.start);
	progress_end(&progress);
	if (read_stats(exercise.fd).file_blocks)
		errx(KMK_FAILED, NODE ": counts blocks that were freed");

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
