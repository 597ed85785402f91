// SPDX-License-Identifier: GPL-2.0
/*
 * cramfs beside tmpfs and ramfs, phase by phase: what a tree of small files
 * costs, then what the pages of a big one cost.
 *
 * bench_ramfs [TYPE...] runs the phases on these file systems only.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#define FILES		20000
#define CROWD		100000
#define NEWCOMERS	2000
#define PAGE		4096
#define SMALL		100
#define BIG		(64UL << 20)
#define PAGES		(BIG / PAGE)
#define MEGABYTE	0x100000UL
#define ROUNDS		3
#define POINT		"/mnt"
#define TARGET		"../where/a/short/link/points"

static char names[CROWD + NEWCOMERS][8];
static char others[FILES][8];
static char buffer[4 * MEGABYTE];
static off_t shuffled[PAGES];	/* where the pages begin, in random order */
static const char *type;
static int round_now;

/* phase(work, ops) statement: time the statement, and say what it cost. */
struct timer {
	unsigned long long begin;
	bool done;
};

static void phase_end(struct timer *timer, const char *work, unsigned long ops)
{
	bench_end(work, type, round_now, ops, timer->begin);
	timer->done = true;
}

#define phase(work, ops)						\
	for (struct timer timer_ = { .begin = bench_begin(round_now) };	\
	     !timer_.done; phase_end(&timer_, work, ops))

#define for_each_file(i) for (unsigned int i = 0; i < FILES; i++)

static void create(const char *name)
{
	close(must(open(name, O_CREAT | O_EXCL | O_WRONLY, 0644)));
}

/* How many entries the current directory has. */
static unsigned int list(void)
{
	int fd = must(open(".", O_RDONLY | O_DIRECTORY));
	unsigned int entries = 0;
	long n, at;

	while ((n = must(syscall(SYS_getdents64, fd, buffer, 32768)))) {
		for (at = 0; at < n; entries++)
			at += ((struct dirent64 *)(buffer + at))->d_reclen;
	}
	close(fd);
	return entries;
}

/*
 * What a truncation frees, the kernel keeps for the processor, or until nobody
 * reads it any more. Have all of it given back, or the next phase pays for that,
 * and it counts as memory that this one took.
 */
static void settle(void)
{
	int fd = must(open("/proc/sys/vm/stat_refresh", O_WRONLY));
	unsigned int i;

	usleep(100000);
	for (i = 0; i < 64; i++)
		must(write(fd, "1", 1));
	close(fd);
}

/* In bytes. */
static unsigned long long free_memory(void)
{
	unsigned long long kilobytes;
	char line[128];
	FILE *file;

	settle();
	file = fopen("/proc/meminfo", "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "MemFree: %llu", &kilobytes) == 1) {
			fclose(file);
			return kilobytes * 1024;
		}
	}
	bench_die("/proc/meminfo");
}

static void enter(const char *dir)
{
	settle();
	must(mkdir(dir, 0755));
	must(chdir(dir));
}

static void leave(const char *dir)
{
	must(chdir(".."));
	must(rmdir(dir));
}

static void names_phases(void)
{
	char target[PAGE];
	struct stat st;

	enter("names");
	phase("create", FILES)
		for_each_file(i)
			create(names[i]);
	phase("stat", FILES)
		for_each_file(i)
			must(stat(names[i], &st));
	phase("stat-enoent", FILES)
		for_each_file(i)
			must_be(-1, stat(others[i], &st));
	phase("readdir", FILES)
		must_be(FILES + 2, list());
	phase("link", FILES)
		for_each_file(i)
			must(link(names[i], others[i]));
	for_each_file(i)
		must(unlink(others[i]));
	phase("rename", FILES)
		for_each_file(i)
			must(rename(names[i], others[i]));
	phase("unlink", FILES)
		for_each_file(i)
			must(unlink(others[i]));
	phase("symlink", FILES)
		for_each_file(i)
			must(symlink(TARGET, names[i]));
	phase("readlink", FILES)
		for_each_file(i)
			must_be(strlen(TARGET), readlink(names[i], target, sizeof(target)));
	phase("unlink-symlink", FILES)
		for_each_file(i)
			must(unlink(names[i]));
	phase("mkdir", FILES)
		for_each_file(i)
			must(mkdir(names[i], 0755));
	phase("rmdir", FILES)
		for_each_file(i)
			must(rmdir(names[i]));
	leave("names");
}

static void crowd_phases(void)
{
	unsigned long long memory;
	unsigned int i;

	enter("few");
	phase("create-few", NEWCOMERS)
		for (i = 0; i < NEWCOMERS; i++)
			create(names[i]);
	while (i--)
		must(unlink(names[i]));
	leave("few");

	enter("crowd");
	memory = free_memory();
	for (i = 0; i < CROWD; i++)
		create(names[i]);
	bench_emit("memory-empty", type, round_now, CROWD, "bytes", memory - free_memory());
	phase("readdir-100k", CROWD)
		must_be(CROWD + 2, list());
	phase("create-100k", NEWCOMERS)
		for (; i < CROWD + NEWCOMERS; i++)
			create(names[i]);
	while (i--)
		must(unlink(names[i]));
	leave("crowd");
}

static void small_phase(void)
{
	unsigned long long memory;

	enter("small");
	memory = free_memory();
	for_each_file(i) {
		int fd = must(open(names[i], O_CREAT | O_EXCL | O_WRONLY, 0644));

		must_be(SMALL, write(fd, buffer, SMALL));
		close(fd);
	}
	bench_emit("memory-small", type, round_now, FILES, "bytes", memory - free_memory());
	for_each_file(i)
		must(unlink(names[i]));
	leave("small");
}

static int big_file(void)
{
	settle();
	return must(open("big", O_CREAT | O_EXCL | O_RDWR, 0644));
}

static void remove_big_file(int fd)
{
	close(fd);
	must(unlink("big"));
}

static void write_all(int fd, size_t chunk)
{
	size_t at;

	for (at = 0; at < BIG; at += chunk)
		must_be(chunk, write(fd, buffer, chunk));
}

static void read_all(int fd, size_t chunk)
{
	size_t at;

	must(lseek(fd, 0, SEEK_SET));
	for (at = 0; at < BIG; at += chunk)
		must_be(chunk, read(fd, buffer, chunk));
}

/* Touch each page of the mapping, to read it or to write it. */
static void touch(int fd, bool write)
{
	volatile char *map = mmap(NULL, BIG, write ? PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	size_t at;

	if (map == MAP_FAILED)
		bench_die("mmap");
	for (at = 0; at < BIG; at += PAGE) {
		if (write)
			map[at] = 1;
		else
			map[at];
	}
	munmap((void *)map, BIG);
}

#define for_each_shuffled(i) for (unsigned int i = 0; i < PAGES; i++)

static void random_phases(int fd)
{
	phase("rewrite-random-4k", PAGES)
		for_each_shuffled(i)
			must_be(PAGE, pwrite(fd, buffer, PAGE, shuffled[i]));
	phase("read-random-4k", PAGES)
		for_each_shuffled(i)
			must_be(PAGE, pread(fd, buffer, PAGE, shuffled[i]));
	phase("read-random-1", PAGES)
		for_each_shuffled(i)
			must_be(1, pread(fd, buffer, 1, shuffled[i]));
}

static void data_phases(void)
{
	int fd;

	fd = big_file();
	phase("write-4k", PAGES)
		write_all(fd, PAGE);
	phase("read-4k", PAGES)
		read_all(fd, PAGE);
	phase("truncate-4k", PAGES)
		must(ftruncate(fd, 0));
	remove_big_file(fd);

	fd = big_file();
	phase("write-64k", PAGES)
		write_all(fd, 65536);
	phase("read-64k", PAGES)
		read_all(fd, 65536);
	phase("truncate-64k", PAGES)
		must(ftruncate(fd, 0));
	remove_big_file(fd);

	fd = big_file();
	phase("write-1m", PAGES)
		write_all(fd, MEGABYTE);
	phase("read-1m", PAGES)
		read_all(fd, MEGABYTE);
	random_phases(fd);
	phase("mmap-read", PAGES)
		touch(fd, false);
	phase("truncate-1m", PAGES)
		must(ftruncate(fd, 0));
	remove_big_file(fd);

	fd = big_file();
	write_all(fd, MEGABYTE);
	phase("unlink-big", PAGES)
		remove_big_file(fd);

	fd = big_file();
	write_all(fd, 4 * MEGABYTE);
	phase("mmap-read-4m", PAGES)
		touch(fd, false);
	remove_big_file(fd);

	fd = big_file();
	must(ftruncate(fd, BIG));
	phase("mmap-write", PAGES)
		touch(fd, true);
	remove_big_file(fd);
}

static void all_phases(void)
{
	must(mount("none", POINT, type, 0, "mode=0755"));
	must(chdir(POINT));
	names_phases();
	crowd_phases();
	small_phase();
	data_phases();
	must(chdir("/"));
	must(umount(POINT));
}

static void prepare(void)
{
	unsigned int i, j;
	off_t swap;

	for (i = 0; i < CROWD + NEWCOMERS; i++)
		snprintf(names[i], sizeof(names[i]), "f%06u", i);
	for (i = 0; i < FILES; i++)
		snprintf(others[i], sizeof(others[i]), "g%06u", i);
	srandom(1);
	for (i = 0; i < PAGES; i++)
		shuffled[i] = (off_t)i * PAGE;
	for (i = PAGES - 1; i; i--) {
		j = random() % (i + 1);
		swap = shuffled[i];
		shuffled[i] = shuffled[j];
		shuffled[j] = swap;
	}
	memset(buffer, 'k', sizeof(buffer));
}

int main(int argc, char **argv)
{
	static const char * const all[] = { "tmpfs", "ramfs", "cramfs" };
	const char * const *types = argc > 1 ? (const char * const *)argv + 1 : all;
	int nr = argc > 1 ? argc - 1 : (int)ARRAY_SIZE(all);
	int i;

	prepare();
	for (round_now = 0; round_now < ROUNDS; round_now++) {
		for (i = 0; i < nr; i++) {
			type = types[i];
			all_phases();
		}
	}
	return 0;
}
