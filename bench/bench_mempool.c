// SPDX-License-Identifier: GPL-2.0
/*
 * The rounds that kmk_mempool_bench measures in the kernel, where FILE is one of its debugfs
 * files; or "touch", which is measured here: the first store to each page of a mapping, of pages
 * that are there, and with their allocation.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <kmodkit/mempool.h>

#include "bench.h"

#define PAGE	4096UL
#define PAGES	(32 * 1024 * 1024 / PAGE)

static int fd;
static char *map;

static void map_file(int file, unsigned long pages, off_t offset)
{
	if (map) {
		must(munmap(map, pages * PAGE));
		must(close(fd));
	}
	fd = file;
	map = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
	must(map == MAP_FAILED ? -1 : 0);
}

static void prepare_memfd(unsigned long pages)
{
	int file = must(memfd_create("bench", MFD_CLOEXEC));

	must(ftruncate(file, pages * PAGE));
	map_file(file, pages, 0);
}

/* With its pages, as a block has them from the beginning. */
static void prepare_whole_memfd(unsigned long pages)
{
	prepare_memfd(pages);
	must(fallocate(fd, 0, 0, pages * PAGE));
}

static void prepare_block(unsigned long pages)
{
	int file = must(open("/dev/mempool", O_RDWR | O_CLOEXEC));
	struct kmk_mempool_alloc block = { .size = pages * PAGE };

	must(ioctl(file, MEMPOOL_IOC_ALLOC, &block));
	map_file(file, pages, block.handle);
}

static void touch(unsigned long pages)
{
	for (unsigned long i = 0; i < pages; i++)
		map[i * PAGE] = 1;
}

/* The same with the pages' allocation, which the touch of a memfd does. */
static void alloc_and_touch(unsigned long pages)
{
	prepare_block(pages);
	touch(pages);
}

static void memfd_and_touch(unsigned long pages)
{
	prepare_memfd(pages);
	touch(pages);
}

static void compare_touches(void)
{
	static const struct bench_side touches[] = {
		{ "memfd", touch, prepare_whole_memfd },
		{ "mempool", touch, prepare_block },
	};
	static const struct bench_side whole[] = {
		{ "memfd", memfd_and_touch, NULL },
		{ "mempool", alloc_and_touch, NULL },
	};

	bench_compare("touch", PAGES, touches, ARRAY_SIZE(touches));
	bench_compare("alloc-touch", PAGES, whole, ARRAY_SIZE(whole));
}

int main(int argc, char **argv)
{
	char path[128];

	if (argc != 2) {
		fprintf(stderr, "usage: bench_mempool touch|FILE\n");
		return EXIT_FAILURE;
	}
	if (!strcmp(argv[1], "touch")) {
		compare_touches();
		return 0;
	}
	snprintf(path, sizeof(path), "/sys/kernel/debug/kmk_mempool_bench/%s", argv[1]);
	bench_relay(path);
	return 0;
}
