// SPDX-License-Identifier: GPL-2.0
/*
 * cramfs beside tmpfs and ramfs, phase by phase: what a tree of small files
 * costs, then what the pages of a big one cost, then what single calls cost.
 *
 * bench_ramfs [GROUP...] runs these groups of phases only: see groups[].
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
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
#define CALLS		10000
#define TREES		4000
#define LEAVES		4	/* files in each */
#define ROUNDS		3
#define PIPEFUL		65536
#define PUNCH_HOLE	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
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
#define for_each_call(i) for (unsigned int i = 0; i < CALLS; i++)

/* Whether the file system does such work; a call that fails in another way ends the program. */
static bool supported(int ret)
{
	if (ret < 0 && errno != EOPNOTSUPP)
		bench_die(type);
	return ret == 0;
}

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
 * The kernel keeps the pages that a truncation frees for the processor, or until
 * nobody reads them any more. Have all of them given back, or the next phase pays
 * for that, and they count as memory that this one took.
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
	phase("stat-enoent-again", FILES)
		for_each_file(i)
			must_be(-1, stat(others[0], &st));
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

#define for_each_page(at) for (size_t at = 0; at < BIG; at += PAGE)

static volatile char *map_big(int fd, int prot, int flags)
{
	void *map = mmap(NULL, BIG, prot, flags, fd, 0);

	if (map == MAP_FAILED)
		bench_die("mmap");
	return map;
}

/* Map the file and touch each page, to read it, to write it, or to read and then write it. */
static void touch(int fd, int prot, int flags)
{
	volatile char *map = map_big(fd, prot, flags);

	for_each_page(at) {
		if (prot & PROT_READ)
			map[at];
		if (prot & PROT_WRITE)
			map[at] = 1;
	}
	must(munmap((void *)map, BIG));
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
		touch(fd, PROT_READ, MAP_SHARED);
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
		touch(fd, PROT_READ, MAP_SHARED);
	remove_big_file(fd);

	fd = big_file();
	must(ftruncate(fd, BIG));
	phase("mmap-write", PAGES)
		touch(fd, PROT_WRITE, MAP_SHARED);
	remove_big_file(fd);
}

/* A mapped page is stored to and synced: what is timed takes no first fault. */
static void sync_phase(int fd, const char *work)
{
	volatile char *map = map_big(fd, PROT_WRITE, MAP_SHARED);

	for_each_page(at)
		map[at] = 1;
	phase(work, PAGES) {
		for_each_page(at) {
			map[at] = 2;
			must(msync((void *)(map + at), PAGE, MS_SYNC));
		}
	}
	must(munmap((void *)map, BIG));
}

static void splice_all(int fd, int sink)
{
	off_t at = 0;
	int ends[2];

	must(pipe(ends));
	while (at < (off_t)BIG) {
		must_be(PIPEFUL, splice(fd, &at, ends[1], NULL, PIPEFUL, 0));
		must_be(PIPEFUL, splice(ends[0], NULL, sink, NULL, PIPEFUL, 0));
	}
	close(ends[0]);
	close(ends[1]);
}

static void send_all(int fd, int sink)
{
	off_t at = 0;

	while (at < (off_t)BIG)
		must_be(PIPEFUL, sendfile(sink, fd, &at, PIPEFUL));
}

static void present_phases(void)
{
	int sink = must(open("/dev/null", O_WRONLY));
	int fd;

	fd = big_file();
	write_all(fd, PAGE);
	phase("load-store-4k", PAGES)
		touch(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	sync_phase(fd, "store-msync-4k");
	phase("private-write", PAGES)
		touch(fd, PROT_WRITE, MAP_PRIVATE);
	phase("splice-4k", PAGES)
		splice_all(fd, sink);
	phase("sendfile-4k", PAGES)
		send_all(fd, sink);
	remove_big_file(fd);

	fd = big_file();
	write_all(fd, MEGABYTE);
	phase("load-store-1m", PAGES)
		touch(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	sync_phase(fd, "store-msync-1m");
	phase("splice-1m", PAGES)
		splice_all(fd, sink);
	phase("sendfile-1m", PAGES)
		send_all(fd, sink);
	remove_big_file(fd);
	close(sink);
}

/* Make each other page of the file a hole. */
static void punch(int fd)
{
	for_each_page(at) {
		if (at % (2 * PAGE) == 0)
			must(fallocate(fd, PUNCH_HOLE, at, PAGE));
	}
}

static void seek_all(int fd)
{
	off_t data, hole = 0;

	while (hole < (off_t)BIG) {
		data = hole + PAGE;
		must_be(data, lseek(fd, hole, SEEK_DATA));
		hole = data + PAGE;
		must_be(hole, lseek(fd, data, SEEK_HOLE));
	}
}

static void hole_phases(void)
{
	int fd;

	fd = big_file();
	must(ftruncate(fd, BIG));
	phase("read-hole", PAGES)
		read_all(fd, 65536);
	remove_big_file(fd);

	fd = big_file();
	/* ramfs makes none */
	if (supported(fallocate(fd, PUNCH_HOLE, 0, PAGE))) {
		write_all(fd, PAGE);
		phase("punch-4k", PAGES / 2)
			punch(fd);
		phase("seek", PAGES / 2)
			seek_all(fd);
	}
	remove_big_file(fd);

	fd = big_file();
	if (supported(fallocate(fd, PUNCH_HOLE, 0, PAGE))) {
		write_all(fd, MEGABYTE);
		phase("punch-1m", PAGES / 2)
			punch(fd);
	}
	remove_big_file(fd);
}

static void xattr_phases(int fd)
{
	static const char * const attrs[] = { "trusted.a", "trusted.b", "trusted.c", "trusted.d" };
	static const char value[] = "a value";
	char got[sizeof(value)];
	unsigned int i;

	/* what every execve() and write() ask for */
	phase("getxattr-enodata", CALLS)
		for_each_call(i)
			must_be(-1, fgetxattr(fd, "security.capability", got, sizeof(got)));

	for (i = 0; i < ARRAY_SIZE(attrs); i++) {
		if (!supported(fsetxattr(fd, attrs[i], value, sizeof(value), 0)))
			return;		/* ramfs */
	}
	phase("setxattr", CALLS)
		for_each_call(i)
			must(fsetxattr(fd, attrs[i % ARRAY_SIZE(attrs)], value, sizeof(value), 0));
	phase("getxattr", CALLS)
		for_each_call(i)
			must_be(sizeof(value), fgetxattr(fd, attrs[i % ARRAY_SIZE(attrs)], got,
							 sizeof(got)));
}

static void truncate_phase(int fd, const char *work)
{
	phase(work, CALLS) {
		for_each_call(i) {
			must(ftruncate(fd, SMALL));
			must(ftruncate(fd, PAGE + SMALL));
		}
	}
}

static void call_phases(void)
{
	int fd = big_file();

	truncate_phase(fd, "truncate-hole");
	must_be(SMALL, write(fd, buffer, SMALL));
	truncate_phase(fd, "truncate-data");
	phase("fsync", CALLS)
		for_each_call(i)
			must(fsync(fd));
	phase("lseek", CALLS)
		for_each_call(i)
			must_be(i, lseek(fd, i, SEEK_SET));
	xattr_phases(fd);
	remove_big_file(fd);
	phase("tmpfile", CALLS)
		for_each_call(i)
			close(must(open(".", O_TMPFILE | O_RDWR, 0644)));
}

static void tree_phase(void)
{
	unsigned int i, j;

	enter("trees");
	for (i = 0; i < TREES; i++) {
		must(mkdir(names[i], 0755));
		must(chdir(names[i]));
		for (j = 0; j < LEAVES; j++)
			create(names[j]);
		must(chdir(".."));
	}
	phase("remove-trees", TREES * (LEAVES + 1)) {
		for (i = 0; i < TREES; i++) {
			must(chdir(names[i]));
			for (j = 0; j < LEAVES; j++)
				must(unlink(names[j]));
			leave(names[i]);
		}
	}
	leave("trees");
}

static const struct group {
	const char *name;
	void (*run)(void);
} groups[] = {
	{ "names", names_phases },
	{ "crowd", crowd_phases },
	{ "small", small_phase },
	{ "data", data_phases },
	{ "present", present_phases },
	{ "holes", hole_phases },
	{ "calls", call_phases },
	{ "trees", tree_phase },
};

/* Whether @name is one of the @nr names, or there are none. */
static bool chosen(const char *name, int nr, char **names)
{
	int i;

	for (i = 0; i < nr; i++) {
		if (!strcmp(names[i], name))
			return true;
	}
	return !nr;
}

static void run_groups(int nr, char **names_chosen)
{
	size_t i;

	must(mount("none", POINT, type, 0, "mode=0755"));
	must(chdir(POINT));
	for (i = 0; i < ARRAY_SIZE(groups); i++) {
		if (chosen(groups[i].name, nr, names_chosen))
			groups[i].run();
	}
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
	static const char * const types[] = { "tmpfs", "ramfs", "cramfs" };
	size_t i;

	prepare();
	for (round_now = 0; round_now < ROUNDS; round_now++) {
		for (i = 0; i < ARRAY_SIZE(types); i++) {
			type = types[i];
			run_groups(argc - 1, argv + 1);
		}
	}
	return 0;
}
