// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "kmktest.h"
#include "adversary.h"

#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <liburing.h>
#include <linux/mempolicy.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#ifndef MADV_COLD
#define MADV_COLD 20
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define SPLIT_FILE "/sys/kernel/debug/split_huge_pages"
#define OFFLINE_FILE "/sys/devices/system/memory/soft_offline_page"
#define THP "/sys/kernel/mm/transparent_hugepage/"

#define MOST_OFFLINE 16		/* pages that one start takes from the machine for ever */

static const char *dir;		/* of the files */
static pid_t *target;		/* the process that maps them: shared with the children */
static unsigned int acting, acted;
static unsigned int random_state;

static unsigned int pick(unsigned int n)
{
	return rand_r(&random_state) % n;
}

/* Where the target maps files of the directory, at most. */
static struct range {
	unsigned long start, end;
} ranges[32];
static int nr_ranges;

static void find_ranges(void)
{
	char line[512], path[64];
	FILE *maps;

	nr_ranges = 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", *target);
	maps = fopen(path, "r");
	if (!maps)
		return;
	while (nr_ranges < 32 && fgets(line, sizeof(line), maps))
		if (strstr(line, dir) &&
		    sscanf(line, "%lx-%lx", &ranges[nr_ranges].start, &ranges[nr_ranges].end) == 2)
			nr_ranges++;
	fclose(maps);
}

static void each_file(void (*act)(const char *path))
{
	struct dirent *entry;
	char path[200];
	DIR *files = opendir(dir);

	while (files && (entry = readdir(files))) {
		if (entry->d_type != DT_REG)
			continue;
		snprintf(path, sizeof(path), "%s/%.100s", dir, entry->d_name);
		act(path);
	}
	if (files)
		closedir(files);
}

static void advise(int advice)
{
	int fd = syscall(SYS_pidfd_open, *target, 0), i;

	find_ranges();
	for (i = 0; i < nr_ranges; i++) {
		struct iovec v = { (void *)ranges[i].start, ranges[i].end - ranges[i].start };

		syscall(SYS_process_madvise, fd, &v, 1, advice, 0);
	}
	close(fd);
}

/* Splitting. Kernels that can split to larger folios than pages take an order. */

static const char *no_splitting(void)
{
	if (!exists(SPLIT_FILE))
		return "this kernel has no " SPLIT_FILE;
	/* Linux 5.13 added the form with a path */
	return spew(SPLIT_FILE, "/,0x0,0x1") ? "this kernel splits no files" : NULL;
}

static void split_file(const char *path)
{
	char text[300];

	snprintf(text, sizeof(text), "%s,0x0,0x1000,%u", path, pick(2) ? 0 : pick(5));
	spew(SPLIT_FILE, text);
}

static void split(void)
{
	char text[100];
	int i;

	switch (pick(8)) {
	case 0:
		spew(SPLIT_FILE, "1");
		break;
	case 1:
		find_ranges();
		for (i = 0; i < nr_ranges; i++) {
			snprintf(text, sizeof(text), "%d,0x%lx,0x%lx", *target, ranges[i].start,
				 ranges[i].end);
			spew(SPLIT_FILE, text);
		}
		break;
	default:
		each_file(split_file);
	}
}

/* Compaction */

static const char *no_compaction(void)
{
	return exists("/proc/sys/vm/compact_memory") ? NULL : "this kernel does not compact memory";
}

static void compact(void)
{
	/* all of memory: no huge page would need compaction of its own */
	if (pick(16))
		return;
	spew("/proc/sys/vm/compact_memory", "1");
}

static long long available_memory(void)
{
	char *text = slurp("/proc/meminfo"), *line = strstr(text, "MemAvailable:");
	long long kib = line ? atoll(line + strlen("MemAvailable:")) : 0;

	free(text);
	return kib << 10;
}

#define HUGE_PAGE (2L << 20)

static char *map_anonymous(size_t size, int flags)
{
	char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags,
			 -1, 0);

	if (map == MAP_FAILED)
		_exit(1);
	return map;
}

static size_t huge_size;

/* An ordinary user, who has every other page of nearly all memory. */
static void fragment(void)
{
	size_t size = available_memory() / 8 * 7, i;
	char *map;

	drop_root();
	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* that has cleared it */
	map = map_anonymous(size, MAP_POPULATE);
	for (i = 0; i < size; i += 8192)
		madvise(map + i, 4096, MADV_DONTNEED);
	huge_size = size / 4 / HUGE_PAGE * HUGE_PAGE;
}

/* He asks for huge pages, for which the kernel has to compact the rest. */
static void press(void)
{
	char *map = map_anonymous(huge_size, 0);
	size_t i;

	madvise(map, huge_size, MADV_HUGEPAGE);
	for (i = 0; i < huge_size; i += HUGE_PAGE)
		map[i] = 1;
	munmap(map, huge_size);
}

/* Migration */

static const char *no_migration(void)
{
	return exists("/sys/devices/system/node/node1") ? NULL : "this machine has one node";
}

/* Where a node has no room for what comes to it, the kernel logs a trace. */
static bool has_room(int node)
{
	char path[64], *text, *free_kib;
	bool room;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
	text = slurp(path);
	free_kib = strstr(text, "MemFree:");
	room = free_kib && strtol(free_kib + strlen("MemFree:"), NULL, 10) > 64 * 1024;
	free(text);
	return room;
}

static void move_range(const struct range *range)
{
	void *pages[256];
	int nodes[256], status[256], n = 0;
	unsigned long at, page = sysconf(_SC_PAGESIZE);

	for (at = range->start; at < range->end; at += page) {
		pages[n] = (void *)at;
		nodes[n++] = pick(2);
		if (n < 256 && at + page < range->end)
			continue;
		syscall(SYS_move_pages, *target, n, pages, nodes, status, MPOL_MF_MOVE_ALL);
		n = 0;
	}
}

static void migrate(void)
{
	static unsigned int node;
	unsigned long from, to;
	int i;

	if (!has_room(0) || !has_room(1))
		return;
	node = !node;
	from = 1UL << !node;
	to = 1UL << node;
	if (pick(8) == 0) {
		syscall(SYS_migrate_pages, *target, 8 * sizeof(long), &from, &to);
		return;
	}
	find_ranges();
	for (i = 0; i < nr_ranges; i++)
		move_range(&ranges[i]);
}

/* Soft offlining */

static const char *no_offlining(void)
{
	return exists(OFFLINE_FILE) ? NULL : "this kernel has no " OFFLINE_FILE;
}

static void offline(void)
{
	static int left = MOST_OFFLINE;
	unsigned long page = sysconf(_SC_PAGESIZE);
	struct range *range;
	uint64_t entry = 0;
	char text[64];
	off_t at;
	int fd;

	find_ranges();
	if (!left || !nr_ranges)
		return;
	range = &ranges[pick(nr_ranges)];
	at = range->start / page + pick((range->end - range->start) / page);
	snprintf(text, sizeof(text), "/proc/%d/pagemap", *target);
	fd = open(text, O_RDONLY);
	if (pread(fd, &entry, sizeof(entry), at * sizeof(entry)) == sizeof(entry) && entry >> 63) {
		snprintf(text, sizeof(text), "0x%llx",
			 (entry & ((1ULL << 55) - 1)) * (unsigned long long)page);
		if (!spew(OFFLINE_FILE, text))
			left--;
	}
	close(fd);
}

/* Reclaim */

static void forget_file(const char *path)
{
	int fd = open(path, O_RDONLY);

	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static void reclaim(void)
{
	switch (pick(8)) {
	case 0:
		/* 4: it logs none of them from then on */
		spew("/proc/sys/vm/drop_caches", "4");
		spew("/proc/sys/vm/drop_caches", pick(2) ? "1" : "2");
		break;
	case 1:
		advise(MADV_COLD);
		break;
	case 2:
		advise(MADV_PAGEOUT);
		break;
	default:
		each_file(forget_file);
	}
}

/* Collapsing */

static const char *no_collapsing(void)
{
	return exists(THP "khugepaged") ? NULL : "this kernel has no khugepaged";
}

static void collapse(void)
{
	/* the default; khugepaged looks for work when it is written */
	spew(THP "khugepaged/scan_sleep_millisecs", "10000");
	advise(MADV_COLLAPSE);
}

/* A processor that comes and goes */

static char *last_processor(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%ld/online",
		 sysconf(_SC_NPROCESSORS_CONF) - 1);
	return path;
}

static const char *no_hotplug(void)
{
	/* RCU's last wake-up from there may start a timer of the scheduler's (mended in 6.12) */
	if (spinlocks_sleep() && !kernel_from(6, 12))
		return "this kernel warns of its own timer on a processor that is gone";
	return exists(last_processor()) ? NULL : "no processor of this machine can be turned off";
}

static void hotplug(void)
{
	/* which takes some hundred times longer than what the other kinds do */
	if (pick(64))
		return;
	spew(last_processor(), "0");
	spew(last_processor(), "1");
}

static const char *never_missing(void)
{
	return NULL;
}

enum {
	HUGE,		/* goes on till the test ends: begins slowly, and has no page of a file */
	FIRST,
	SECOND,
	PINS,		/* holds the pins */
	CHILDREN
};

/* Kinds of one @child take turns. */
static const struct kind {
	unsigned int bit, child;
	const char *name;
	const char *(*missing)(void);
	void (*act)(void);
} kinds[] = {
	{ ADVERSARY_SPLIT, FIRST, "splitting", no_splitting, split },
	{ ADVERSARY_RECLAIM, FIRST, "reclaim", never_missing, reclaim },
	{ ADVERSARY_COLLAPSE, FIRST, "collapsing", no_collapsing, collapse },
	{ ADVERSARY_HOTPLUG, FIRST, "processor hotplug", no_hotplug, hotplug },
	{ ADVERSARY_MIGRATE, SECOND, "migration", no_migration, migrate },
	{ ADVERSARY_OFFLINE, SECOND, "soft offlining", no_offlining, offline },
	{ ADVERSARY_COMPACT, SECOND, "compaction", no_compaction, compact },
	{ ADVERSARY_COMPACT, HUGE, "huge pages", no_compaction, press },
};

#define KINDS (sizeof(kinds) / sizeof(*kinds))
static pid_t children[CHILDREN];
static int pins[2];
static struct io_uring ring;		/* its registered buffers are long-term pins */
static bool has_ring;

/* Returns when memory is such that huge pages want compaction. */
static pid_t spawn_huge(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	ck_ok(pipe(ready));
	pid = spawn();
	if (!pid) {
		fragment();
		close(ready[0]);
		close(ready[1]);
		return 0;
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 0);
	close(ready[0]);
	return pid;
}

static void act_on(unsigned int child)
{
	bool any = true;
	size_t i;

	random_state = child + 1;
	while (any)
		for (any = false, i = 0; i < KINDS; i++)
			if (kinds[i].child == child && acting & kinds[i].bit) {
				kinds[i].act();
				any = true;
			}
	_exit(0);
}

/* Whose pipe has pages, and lets go of each after a while. */
static void unpin_for_ever(void)
{
	char page[4096];
	int n;

	do {
		for (n = pick(16); n; n--)
			kmk_pause();
	} while (read(pins[0], page, sizeof(page)) > 0);
	_exit(0);
}

/*
 * The kernel counts no page of the process or its threads as dirtied and then dropped
 * before writeback: nothing here is ever written back.
 */
static void ck_cancelled_nothing(pid_t pid)
{
	static const char name[] = "\ncancelled_write_bytes: ";
	char path[64], *io, *found;

	snprintf(path, sizeof(path), "/proc/%d/io", pid);
	if (!exists(path))
		return;
	io = slurp(path);
	found = strstr(io, name);
	ck_assert_ptr_nonnull(found);
	ck_assert_int_eq(atoll(found + strlen(name)), 0);
	free(io);
}

/* The counters that show what was done */

static long long counter(const char *name)
{
	char *text = slurp("/proc/vmstat"), *line = text;
	size_t length = strlen(name);
	long long n = 0;

	for (; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, length) && line[length] == ' ')
			n = atoll(line + length);
	}
	free(text);
	return n;
}

/* Linux 6.12 counts only huge pages in thp_split_page, and all orders in files of their own. */
static long long splits(void)
{
	long long n = counter("thp_split_page");
	glob_t files;
	size_t i;

	if (!glob(THP "hugepages-*/stats/split", 0, NULL, &files)) {
		for (i = 0; i < files.gl_pathc; i++)
			n += slurp_number(files.gl_pathv[i]);
		globfree(&files);
	}
	return n;
}

static struct counters {
	long long split, compact, migrate;
} before;

static struct counters count(void)
{
	return (struct counters) {
		.split = splits(),
		/* Linux 6.1 may find each huge page elsewhere, and counts no compact_success */
		.compact = counter("compact_isolated"),
		.migrate = counter("pgmigrate_success"),
	};
}

static void say_missing(const struct kind *kind, const char *why)
{
	static unsigned int said;

	if (!(said & 1 << (kind - kinds)))
		fprintf(stderr, "# adversary: no %s: %s\n", kind->name, why);
	said |= 1 << (kind - kinds);
}

void adversary_aim(void)
{
	if (target)
		*target = getpid();
}

void adversary_start(unsigned int wanted, const char *directory)
{
	const char *why;
	unsigned int i;

	dir = directory;
	if (!target)
		target = mmap(NULL, sizeof(*target), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(target, MAP_FAILED);
	adversary_aim();
	wanted &= kmk_setting("KMK_ADVERSARY", ADVERSARY_ALL);
	acting = wanted & ADVERSARY_PIN;
	for (i = 0; i < KINDS; i++) {
		if (!(wanted & kinds[i].bit))
			continue;
		why = kinds[i].missing();
		if (why)
			say_missing(&kinds[i], why);
		else
			acting |= kinds[i].bit;
	}
	if (!acting)
		return;
	if (acting & ADVERSARY_HOTPLUG)
		spew(last_processor(), "1");
	/* never, at first, where there are less than 512 MiB */
	spew(THP "enabled", "madvise");
	spew(THP "defrag", "madvise");
	if (!acted)
		before = count();
	acted |= acting;
	ck_ok(pipe(pins));
	for (i = 0; i < CHILDREN; i++) {
		if (!children[i])
			children[i] = i == HUGE ? spawn_huge() : spawn();
		if (children[i])
			continue;
		close(pins[1]);
		if (i != PINS)
			act_on(i);
		unpin_for_ever();
	}
	close(pins[0]);
	ck_ok(fcntl(pins[1], F_SETFL, O_NONBLOCK));
	has_ring = acting & ADVERSARY_PIN && !io_uring_queue_init(1, &ring, 0);
}

bool adversary_acts(void)
{
	return acting;
}

/* As for a device that reads and writes the pages at any time; false where the kernel has none. */
static bool pin_long_term(const struct iovec *pages)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool refused;

	if (!has_ring || refused)
		return false;
	pthread_mutex_lock(&lock);
	io_uring_unregister_buffers(&ring);
	if (io_uring_register_buffers(&ring, pages, 1) == -EOPNOTSUPP) {
		fprintf(stderr, "# adversary: no long-term pins: io_uring takes shmem only\n");
		refused = true;
	}
	pthread_mutex_unlock(&lock);
	return !refused;
}

void adversary_pin(void *page, size_t size)
{
	struct iovec v = { page, size };

	if (!(acting & ADVERSARY_PIN))
		return;
	if (!pick(2) || !pin_long_term(&v))
		vmsplice(pins[1], &v, 1, SPLICE_F_NONBLOCK);
}

void adversary_unpin(void)
{
	if (has_ring)
		io_uring_unregister_buffers(&ring);
}

void adversary_stop(void)
{
	int i;

	if (!acting)
		return;
	adversary_unpin();
	if (has_ring)
		io_uring_queue_exit(&ring);
	has_ring = false;
	close(pins[1]);
	ck_cancelled_nothing(getpid());
	for (i = 0; i < CHILDREN; i++) {
		if (i == HUGE)
			continue;
		ck_cancelled_nothing(children[i]);
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
		children[i] = 0;
	}
	if (acting & ADVERSARY_HOTPLUG)
		spew(last_processor(), "1");
	acting = 0;
}

void ck_adversary_acted(void)
{
	struct counters now = count();

	if (acted & ADVERSARY_SPLIT)
		ck_assert_int_gt(now.split, before.split);
	if (acted & ADVERSARY_COMPACT)
		ck_assert_int_gt(now.compact, before.compact);
	if (acted & (ADVERSARY_COMPACT | ADVERSARY_MIGRATE))
		ck_assert_int_gt(now.migrate, before.migrate);
}
