// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_ramfs: what the kernel does to the pages of a file by itself: it splits large
 * folios, finds memory broken, pins pages, puts a probe into a program.
 */
#define _GNU_SOURCE
#include "ramfs.h"

#include <liburing.h>
#include <linux/falloc.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define MIB 1048576
#define SPLIT "/sys/kernel/debug/split_huge_pages"
#define TRACEFS "/sys/kernel/tracing"
#define UPROBES TRACEFS "/uprobe_events"
#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static int fd;

static void up(void)
{
	cramfs_load();
	ck_assert_int_eq(cramfs_mount("size=128m"), 0);
	fd = new_file(MNT "/f");
}

static void down(void)
{
	close(fd);
	cramfs_down();
}

static long long pages_of(void)
{
	struct stat st;

	ck_ok(fstat(fd, &st));
	ck_assert_int_eq(st.st_blocks / (PAGE / 512), pages_used());
	return pages_used();
}

static char *map_file(size_t size)
{
	char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ck_assert_ptr_ne(map, MAP_FAILED);
	return map;
}

static long long folios_split(void)
{
	char *text = slurp("/proc/vmstat"), *at = strstr(text, "\nthp_split_page ");
	long long n;

	ck_assert_ptr_nonnull(at);
	n = atoll(at + strlen("\nthp_split_page "));
	free(text);
	return n;
}

/* Splitting: one child asks for it again and again */

/* Files have had large folios since Linux 5.18, and on kernels that were given its page cache. */
static bool large_folios(void)
{
	return exists(SPLIT) && file_has("/proc/kallsyms", " filemap_add_folio\n");
}

static pid_t start_splitter(void)
{
	pid_t pid = spawn();

	if (pid)
		return pid;
	for (;;)
		ck_assert_int_eq(spew(SPLIT, "1"), 0);
}

static void stop(pid_t pid)
{
	int status;

	ck_ok(kill(pid, SIGKILL));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
}

START_TEST(fallocate_and_splits)
{
	pid_t splitter = start_splitter();
	long long before;
	int i;

	for (i = 0; i < 8; i++) {
		before = folios_split();
		ck_ok(fallocate(fd, 0, 0, 64 * MIB - PAGE));
		wait_until(folios_split() > before);
		ck_assert_int_eq(pages_of(), 64 * MIB / PAGE - 1);
		ck_assert_int_eq(lseek(fd, 0, SEEK_HOLE), 64 * MIB - PAGE);
		ck_errno(fallocate(fd, 0, 64 * MIB, 65 * MIB), ENOSPC);
		ck_assert_int_eq(pages_of(), 64 * MIB / PAGE - 1);
		ck_ok(ftruncate(fd, 0));
		ck_assert_int_eq(pages_of(), 0);
	}
	stop(splitter);
}
END_TEST

START_TEST(truncate_and_splits)
{
	long long before = folios_split();
	int i, pipes[2];
	pid_t pid;
	char c;

	ck_ok(pipe(pipes));
	pid = spawn();
	if (!pid) {
		ck_ok(close(pipes[1]));
		while (read(pipes[0], &c, 1) == 1)
			ck_assert_int_eq(spew(SPLIT, "1"), 0);
		_exit(cancelled_writes() != 0);
	}
	ck_ok(close(pipes[0]));
	for (i = 0; i < 24; i++) {
		put(fd, 0, 't', 32 * MIB);
		ck_assert_int_eq(write(pipes[1], "x", 1), 1);
		/* ever further into what the child does */
		for (int waste = 0; waste < i * 100; waste++)
			ck_bytes(fd, 0, 't', PAGE);
		ck_ok(ftruncate(fd, i * PAGE + 1));
		ck_bytes(fd, 0, 't', i * PAGE + 1);
		/* the child may hold the folio for a moment */
		wait_until(!ftruncate(fd, i * PAGE + 1) && pages_of() == i + 1);
		ck_ok(ftruncate(fd, 0));
	}
	ck_ok(close(pipes[1]));
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_gt(folios_split(), before);
}
END_TEST

/* Truncation beside readers: the old bytes, or the end of the file */

static atomic_bool done;

static void *truncate_loop(void *arg)
{
	static char data[2 * MIB];
	int i;

	(void)arg;
	memset(data, 'a', sizeof(data));
	for (i = 0; i < 400; i++) {
		ck_ok(ftruncate(fd, 0));
		ck_assert_int_eq(pwrite(fd, data, sizeof(data), 0), sizeof(data));
		ck_ok(ftruncate(fd, PAGE + 1));
	}
	done = true;
	return NULL;
}

START_TEST(truncate_and_readers)
{
	static char data[PAGE];
	pthread_t thread;
	ssize_t n, i;

	done = false;
	ck_assert_int_eq(pthread_create(&thread, NULL, truncate_loop, NULL), 0);
	while (!done) {
		n = pread(fd, data, PAGE, 2 * MIB - 2 * PAGE);
		ck_assert_int_ge(n, 0);
		for (i = 0; i < n && data[i] == 'a'; i++)
			;
		ck_assert_int_eq(i, n);
		n = pread(fd, data, PAGE, PAGE);
		for (i = 0; i < n && data[i] == 'a'; i++)
			;
		ck_assert_int_eq(i, n);
	}
	pthread_join(thread, NULL);
}
END_TEST

/* One truncate after the other, of the last byte: calls elsewhere in the file end all the same. */
START_TEST(truncates_and_readers_elsewhere)
{
	char *data = malloc(2 * MIB);
	pid_t pid;
	int i;

	for (i = 0; i < 1024; i++)
		put(fd, i * PAGE, 'e', PAGE);
	put(fd, 4 * MIB, 'l', 2 * MIB);
	put(fd, 6 * MIB, 'l', 1);
	pid = spawn();
	while (!pid) {
		if (ftruncate(fd, 6 * MIB) || ftruncate(fd, 6 * MIB + 1))
			_exit(1);
	}
	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(pread(fd, data, 2 * MIB, 4 * MIB), 2 * MIB);
		ck_assert_int_eq(data[2 * MIB - 1], 'l');
		ck_assert_int_ge(ck_ok(lseek(fd, 0, SEEK_HOLE)), 6 * MIB);
	}
	ck_ok(kill(pid, SIGKILL));
	ck_ok(waitpid(pid, NULL, 0));
	free(data);
}
END_TEST

/* Each change after the pin is gone gives back what the truncate could not. */
START_TEST(truncate_and_pin)
{
	static const struct {
		off_t size;
		const char *what;
	} changes[] = { { 100, "same" }, { 50, "less" }, { 600, "more" }, { 100, "write" },
			{ 100, "punch" }, { 600, "fallocate" } };
	int pipes[2];
	size_t i;

	for (i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		put(fd, 0, 'p', 2 * MIB);
		hold_first_page(fd, pipes);
		ck_ok(ftruncate(fd, 100 * PAGE));
		ck_assert_int_ge(pages_of(), 100);
		ck_assert_int_le(pages_of(), 512);
		if (large_folios())
			spew(SPLIT, "1");	/* nor may others split it now */
		ck_ok(ftruncate(fd, 100 * PAGE));
		let_go(pipes);
		switch (changes[i].what[0]) {
		case 'w':
			put(fd, 0, 'p', 1);
			break;
		case 'p':
			ck_ok(fallocate(fd, PUNCH, 10 * PAGE, PAGE));
			ck_assert_int_eq(pages_of(), 99);
			put(fd, 10 * PAGE, 'p', PAGE);
			break;
		case 'f':
			ck_ok(fallocate(fd, 0, 600 * PAGE - 1, 1));
			ck_assert_int_eq(pages_of(), 101);
			ck_bytes(fd, 100 * PAGE, 0, 500 * PAGE);
			ck_ok(ftruncate(fd, 100 * PAGE));
			break;
		default:
			ck_ok(ftruncate(fd, changes[i].size * PAGE));
		}
		ck_assert_int_eq(pages_of(), changes[i].size < 100 ? changes[i].size : 100);
		ck_bytes(fd, 0, 'p', pages_of() * PAGE);
		ck_ok(ftruncate(fd, 0));
		ck_assert_int_eq(pages_of(), 0);
	}
	ck_assert_int_eq(cancelled_writes(), 0);
}
END_TEST

/* While the pin lasts, the file may grow, shrink and go: the pages of the pin stay, zeroed. */
START_TEST(changes_beside_pin)
{
	int pipes[2];
	char *map;

	put(fd, 0, 'p', 4 * MIB);
	hold_first_page(fd, pipes);
	ck_ok(ftruncate(fd, 100 * PAGE));
	put(fd, 100 * PAGE, 'q', PAGE);
	ck_ok(ftruncate(fd, 300 * PAGE));
	ck_bytes(fd, 101 * PAGE, 0, 199 * PAGE);
	ck_ok(ftruncate(fd, 200 * PAGE + 7));
	map = map_file(2 * MIB);
	map[200 * PAGE + 8] = 'x';
	ck_ok(ftruncate(fd, 1024 * PAGE));
	ck_bytes(fd, 101 * PAGE, 0, 923 * PAGE);
	ck_bytes(fd, 100 * PAGE, 'q', PAGE);
	ck_ok(ftruncate(fd, 100 * PAGE));
	ck_ok(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4 * MIB));
	ck_assert_int_eq(pages_of(), 1024);
	ck_ok(munmap(map, 2 * MIB));
	ck_ok(ftruncate(fd, 1));
	let_go(pipes);
	ck_ok(ftruncate(fd, 1));
	ck_assert_int_eq(pages_of(), 1);
	ck_bytes(fd, 0, 'p', 1);
	ck_assert_int_eq(cancelled_writes(), 0);
}
END_TEST

/* The last page of the largest file, beside a tail: its end is no loff_t. */
START_TEST(pin_and_largest)
{
	int pipes[2];

	put(fd, 0, 'p', 2 * MIB);
	hold_first_page(fd, pipes);
	ck_ok(ftruncate(fd, MIB));
	ck_assert_int_eq(pwrite(fd, "z", 1, INT64_MAX - 1), 1);
	ck_assert_int_eq(pwrite(fd, "y", 1, 0), 1);
	ck_bytes(fd, MIB, 0, 2 * MIB);
	ck_bytes(fd, INT64_MAX - 1, 'z', 1);
	let_go(pipes);
	ck_ok(ftruncate(fd, MIB));
	ck_assert_int_eq(pages_of(), MIB / PAGE);
}
END_TEST

/* The kernel would map all of the folio that a pin keeps whole. */
START_TEST(pin_and_map)
{
	int pipes[2];
	char *map;

	put(fd, 0, 'p', 2 * MIB);
	map = map_file(4 * MIB);
	hold_first_page(fd, pipes);
	ck_ok(ftruncate(fd, 100 * PAGE));
	ck_assert(bus(map + 300 * PAGE, false));
	ck_assert(bus(map + 300 * PAGE, true));
	ck_assert(!bus(map + 99 * PAGE, true));
	ck_ok(ftruncate(fd, 400 * PAGE));
	ck_bytes(fd, 100 * PAGE, 0, 300 * PAGE);
	let_go(pipes);
	ck_ok(munmap(map, 4 * MIB));
}
END_TEST

/* A store comes while the file has no size any more, and its folios are still there. */
START_TEST(stores_beside_truncate)
{
	volatile int *begun = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				   -1, 0);
	char *map = map_file(16 * MIB);
	size_t at;
	int i;
	pid_t pid = spawn();

	if (!pid) {
		for (at = 0;; at = (at + 7 * 65536) % (16 * MIB)) {
			while (!*begun)
				;
			madvise(map + at + PAGE, PAGE, MADV_DONTNEED);
			bus(map + at + PAGE, true);
		}
	}
	for (i = 0; i < 40; i++) {
		for (at = 0; at < 16 * MIB; at += 65536)
			put(fd, at, 's', 65536);
		*begun = 1;
		ck_ok(ftruncate(fd, 0));
		*begun = 0;
	}
	stop(pid);
	ck_ok(munmap(map, 16 * MIB));
	ck_ok(ftruncate(fd, 0));
	ck_assert_int_eq(pages_of(), 0);
}
END_TEST

/* A call gives back what it reserved and did not use, so that others can have it. */

static void *half_a_write(void *arg)
{
	char *buffer = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	(void)arg;
	ck_assert_ptr_ne(buffer, MAP_FAILED);
	buffer += -(uintptr_t)buffer & (2 * MIB - 1);
	memset(buffer, 'h', PAGE);
	ck_ok(munmap(buffer + PAGE, 2 * MIB - PAGE));
	while (!done) {
		ck_assert_int_eq(pwrite(fd, buffer, 2 * MIB, 0), PAGE);
		ck_ok(ftruncate(fd, 0));
	}
	return NULL;
}

START_TEST(writes_beside_half_a_write)
{
	int other = new_file(MNT "/g"), i;
	pthread_t thread;

	ck_assert_int_eq(cramfs_remount("size=2m"), 0);
	done = false;
	ck_assert_int_eq(pthread_create(&thread, NULL, half_a_write, NULL), 0);
	for (i = 0; i < 5000; i++) {
		ck_assert_int_eq(pwrite(other, "x", 1, 0), 1);
		ck_ok(ftruncate(other, 0));
	}
	done = true;
	pthread_join(thread, NULL);
	close(other);
}
END_TEST

static pthread_barrier_t barrier;
static char *last_page;

static void *fault_the_last(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 1000; i++) {
		pthread_barrier_wait(&barrier);
		*(volatile char *)last_page = 'l';
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

/* Of two faults in the same hole, and one page left, the second finds it. */
START_TEST(faults_of_the_last_page)
{
	pthread_t threads[2];
	int i;

	ck_assert_int_eq(cramfs_remount("size=4k"), 0);
	ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, 3), 0);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, fault_the_last, NULL), 0);
	for (i = 0; i < 1000; i++) {
		ck_ok(ftruncate(fd, 0));
		ck_ok(ftruncate(fd, PAGE));
		last_page = map_file(PAGE);
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		ck_ok(munmap(last_page, PAGE));
	}
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(pages_of(), 1);
}
END_TEST

/* fallocate beside others */

static void *fallocate_thread(void *arg)
{
	(void)arg;
	ck_ok(fallocate(fd, FALLOC_FL_KEEP_SIZE, 4 * MIB, 120LL * MIB));
	done = true;
	return NULL;
}

/* Stores to pages that are there go on: were they to wait for the end, there would be one. */
START_TEST(faults_beside_fallocate)
{
	pthread_t thread;
	unsigned int stores = 0;
	char *map;

	put(fd, 0, 'f', 4 * MIB);
	map = map_file(4 * MIB);
	done = false;
	ck_assert_int_eq(pthread_create(&thread, NULL, fallocate_thread, NULL), 0);
	wait_until(pages_used() > 1024);
	while (!done) {
		map[stores % 1024 * PAGE] = 'g';
		ck_ok(madvise(map + stores % 1024 * PAGE, PAGE, MADV_DONTNEED));
		stores++;
	}
	pthread_join(thread, NULL);
	ck_assert_uint_ge(stores, 20);
	ck_assert_int_eq(pages_of(), 124 * MIB / PAGE);
	ck_ok(munmap(map, 4 * MIB));
}
END_TEST

START_TEST(fallocate_too_much)
{
	int other = new_file(MNT "/g"), i;
	pid_t pid;

	ck_errno(fallocate(fd, 0, 0, 1LL << 40), ENOSPC);
	pid = spawn();
	if (!pid)
		for (;;)
			ck_errno(fallocate(fd, 0, 0, 1LL << 40), ENOSPC);
	for (i = 0; i < 5000; i++) {
		ck_assert_int_eq(pwrite(other, "x", 1, 0), 1);
		ck_ok(ftruncate(other, 0));
	}
	stop(pid);
	close(other);
	ck_assert_int_eq(pages_of(), 0);
}
END_TEST

static void ignore(int sig)
{
	(void)sig;
}

/* A call that is killed has reserved nothing; what a fault has used of it stays. */
START_TEST(fallocate_killed)
{
	int i;
	pid_t pid;

	signal(SIGUSR1, ignore);
	for (i = 0; i < 8; i++) {
		ck_ok(ftruncate(fd, i % 2 * 32 * MIB));
		pid = spawn();
		if (!pid) {
			ck_ok(fallocate(fd, 0, 0, 120 * MIB));
			_exit(0);
		}
		wait_until(pages_used() > i * 100);
		if (i % 2) {
			char *map = map_file(MIB);

			map[PAGE] = 'k';
			ck_ok(munmap(map, MIB));
		}
		stop(pid);
		if (pages_of() == 120 * MIB / PAGE)
			continue;	/* it was faster */
		if (i % 2) {
			ck_assert_int_ge(pages_of(), 1);
			ck_assert_int_le(pages_of(), 512);
			ck_bytes(fd, PAGE, 'k', 1);
			ck_bytes(fd, PAGE + 1, 0, PAGE - 1);
		} else {
			ck_assert_int_eq(pages_of(), 0);
		}
		ck_ok(ftruncate(fd, 0));
	}
}
END_TEST

/* Punching beside faults */

#define DELAY "/lib/kmodkit/kmk_delay.ko"

/* Tasks of this name sleep before they enter the function. */
static void delay(const char *task, const char *function, int ms)
{
	char params[100];

	if (module_loaded("kmk_delay"))		/* by a test that failed */
		module_unload("kmk_delay");
	snprintf(params, sizeof(params), "task=%s symbol=%s ms=%d", task, function, ms);
	ck_assert_int_eq(module_load("kmk_delay", params), 0);
}

/* A fault brings 16 pages, of which two are being punched: the others stay. */
START_TEST(store_beside_punch)
{
	char *map;
	pid_t pid;
	int i;

	put(fd, 0, 'a', 16 * PAGE);
	ck_ok(ftruncate(fd, 32 * PAGE));
	map = map_file(32 * PAGE);
	delay("puncher", "find_get_entries", 20);
	pid = spawn();
	if (!pid) {
		ck_ok(prctl(PR_SET_NAME, "puncher"));
		for (;;)
			ck_ok(fallocate(fd, PUNCH, 18 * PAGE, 2 * PAGE));
	}
	for (i = 1; i < 20; i++) {
		ck_ok(fallocate(fd, PUNCH, 16 * PAGE, 16 * PAGE));
		map[16 * PAGE] = i;
		map[18 * PAGE] = 1;
		wait_until(map[18 * PAGE] == 0);
		ck_assert_int_eq(map[16 * PAGE], i);
		ck_bytes(fd, 16 * PAGE, i, 1);
	}
	stop(pid);
	ck_assert_int_eq(module_unload("kmk_delay"), 0);
	ck_ok(munmap(map, 32 * PAGE));
}
END_TEST

#define STORERS 4

/* Stores that fill the hole again wait, or the punch would find new pages for ever. */
START_TEST(punch_beside_stores)
{
	const int pages = 256;
	pid_t pids[STORERS], pid;
	int i, status;
	char *map;

	ck_ok(ftruncate(fd, pages * PAGE));
	map = map_file(pages * PAGE);
	for (i = 0; i < STORERS; i++) {
		pids[i] = spawn();
		if (!pids[i]) {
			unsigned int state = i;

			for (;;)
				map[rand_r(&state) % pages * PAGE] = 1;
		}
	}
	wait_until(pages_used() == pages);
	delay("puncher", "find_get_entries", 20);
	pid = spawn();
	if (!pid) {
		ck_ok(prctl(PR_SET_NAME, "puncher"));
		ck_ok(fallocate(fd, PUNCH, 0, pages * PAGE));
		_exit(0);
	}
	wait_until(waitpid(pid, &status, WNOHANG) == pid);
	ck_assert_int_eq(status, 0);
	for (i = 0; i < STORERS; i++)
		stop(pids[i]);
	ck_assert_int_eq(module_unload("kmk_delay"), 0);
	ck_ok(munmap(map, pages * PAGE));
}
END_TEST

/* Splicing */

/* NFS's server takes a page that comes twice in a row for one it has already. */
START_TEST(no_page_twice)
{
	const char *pages = "/sys/module/kmk_splice_pages/parameters/path";

	ck_ok(ftruncate(fd, 64 * PAGE));
	put(fd, 20 * PAGE, 's', 8 * PAGE);
	ck_assert_int_eq(module_load("kmk_splice_pages", ""), 0);
	ck_assert_int_eq(spew(pages, MNT "/f"), 0);
	ck_assert_int_eq(slurp_number(pages), 0);
	ck_assert_int_eq(module_unload("kmk_splice_pages"), 0);
}
END_TEST

/* Large writes */

/* The kernel's trace of @events while one write of @byte is made; the caller frees it. */
static char *trace_of_write(const char *events, off_t at, char byte, size_t n)
{
	char path[128];

	snprintf(path, sizeof(path), TRACEFS "/events/%s/enable", events);
	ck_ok(close(ck_ok(open(TRACEFS "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC))));
	ck_assert_int_eq(spew(path, "1"), 0);
	put(fd, at, byte, n);
	ck_assert_int_eq(spew(path, "0"), 0);
	return slurp(TRACEFS "/trace");
}

/* The folios that one write of @byte makes. */
static int folios_written(off_t at, char byte, size_t n)
{
	char *text = trace_of_write("kmk_ramfs", at, byte, n), *line;
	int folios = 0;

	for (line = text; (line = strstr(line, "cramfs_insert: ")); line++)
		folios++;
	free(text);
	return folios;
}

/* No memory is reclaimed or compacted for what a write can do without. */
START_TEST(large_write_waits_for_nothing)
{
	char *text = trace_of_write("kmem/mm_page_alloc", 0, 'w', 4 * MIB), *line, *event;
	int order, large = 0;
	char me[16];

	snprintf(me, sizeof(me), "-%d ", getpid());
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		event = strstr(line, " order=");
		/* those of slabs are smaller */
		if (!event || sscanf(event, " order=%d", &order) != 1 || order <= 3 ||
		    !strstr(line, me))
			continue;
		large++;
		/* GFP_USER and others that allow it, or the bits by themselves */
		if (strstr(event, "gfp_flags=GFP_") || strstr(event, "RECLAIM"))
			ck_abort_msg("%s", line);
	}
	free(text);
	ck_assert_int_gt(large, 0);
}
END_TEST

/*
 * The cgroup has room for 1.25 MiB. The write asks for a folio of 2 MiB, and ends at the
 * limit of the mount, so that the kernel kills no process for the limit of the cgroup.
 */
START_TEST(large_write_in_cgroup)
{
	static char data[2 * MIB];
	char max[32];
	pid_t pid;

	ck_assert_int_eq(cramfs_remount("size=1m"), 0);
	make_cgroup();
	pid = spawn();
	if (!pid) {
		ck_assert_int_eq(spew(CGROUP "/cgroup.procs", "0"), 0);
		memset(data, 'c', sizeof(data));
		snprintf(max, sizeof(max), "%lld", charged() + 5 * MIB / 4);
		ck_assert_int_eq(spew(CGROUP "/memory.max", max), 0);
		ck_assert_int_eq(pwrite(fd, data, sizeof(data), 0), MIB);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	if (large_folios())
		ck_assert(!file_has(CGROUP "/memory.events", "\nmax 0\n"));
	ck_bytes(fd, 0, 'c', MIB);
	ck_assert_int_eq(pages_of(), MIB / PAGE);
	wait_until(!rmdir(CGROUP));
}
END_TEST

/* A page inside the range, of the file or reserved past its end, makes no folio after it small. */
START_TEST(large_write_around_page)
{
	if (_i) {
		ck_ok(fallocate(fd, FALLOC_FL_KEEP_SIZE, 100 * PAGE, PAGE));
	} else {
		put(fd, 100 * PAGE, 'x', PAGE);
		ck_ok(ftruncate(fd, 4 * MIB));
	}
	/* 11 where there is memory for each */
	ck_assert_int_le(folios_written(0, 'w', 4 * MIB), 64);
	ck_bytes(fd, 0, 'w', 4 * MIB);
	ck_assert_int_eq(pages_of(), 4 * MIB / PAGE);
}
END_TEST

/* Broken memory */

/*
 * A process that has the page mapped may be killed: a child does it. A page that cannot be
 * removed is poisoned all the same.
 */
static void poison(off_t page)
{
	pid_t pid = spawn();
	int status;

	if (!pid) {
		char *map = map_file(16 * PAGE);

		signal(SIGBUS, SIG_DFL);
		(void)*(volatile char *)(map + page * PAGE);
		_exit(madvise(map + page * PAGE, PAGE, MADV_HWPOISON) && errno != EBUSY);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) ? WTERMSIG(status) == SIGBUS : WEXITSTATUS(status) == 0);
}

static bool can_poison(void)
{
	char *map = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* an address that is not aligned: EINVAL comes before anything is poisoned */
	bool can = madvise(map + 1, 0, MADV_HWPOISON) && errno == EINVAL &&
		   exists("/sys/devices/system/memory/hard_offline_page");

	munmap(map, PAGE);
	return can;
}

START_TEST(poisoned)
{
	char data[16 * PAGE], *map;
	int pipes[2], i;
	off_t at;

	put(fd, 0, 'h', 16 * PAGE);
	poison(5);
	poison(7);
	map = map_file(16 * PAGE);

	/* the others are what they were, and it is no hole that may be copied as zeros */
	ck_assert_int_eq(pread(fd, data, sizeof(data), 0), 5 * PAGE);
	ck_assert_int_eq(data[5 * PAGE - 1], 'h');
	ck_errno(pread(fd, data, 1, 5 * PAGE), EIO);
	ck_bytes(fd, 6 * PAGE, 'h', PAGE);
	ck_bytes(fd, 8 * PAGE, 'h', 8 * PAGE);
	ck_assert(bus(map + 5 * PAGE, false));
	ck_assert(!bus(map + 6 * PAGE, false));
	ck_assert_int_eq(lseek(fd, 0, SEEK_HOLE), 16 * PAGE);
	ck_assert_int_eq(lseek(fd, 5 * PAGE, SEEK_DATA), 5 * PAGE);
	ck_assert_int_eq(pages_of(), 14);
	ck_ok(pipe(pipes));
	at = 5 * PAGE;
	ck_errno(splice(fd, &at, pipes[1], NULL, PAGE, 0), EIO);
	let_go(pipes);

	/* what does not replace it as a whole fails */
	ck_errno(pwrite(fd, "x", 1, 5 * PAGE), EIO);
	ck_errno(fallocate(fd, 0, 0, 16 * PAGE), EIO);
	ck_errno(fallocate(fd, FALLOC_FL_ZERO_RANGE, 5 * PAGE + 1, PAGE), EIO);
	ck_assert_int_eq(pages_of(), 14);
	ck_errno(pread(fd, data, 1, 5 * PAGE), EIO);

	/* and what does makes it good */
	put(fd, 4 * PAGE, 'w', 2 * PAGE);
	ck_bytes(fd, 4 * PAGE, 'w', 2 * PAGE);
	ck_assert(!bus(map + 5 * PAGE, false));
	ck_ok(fallocate(fd, PUNCH, 7 * PAGE, PAGE));
	ck_bytes(fd, 7 * PAGE, 0, PAGE);
	for (i = 0; i < 3; i++) {
		put(fd, 0, 'h', 16 * PAGE);
		poison(15);
		ck_errno(pread(fd, data, 1, 15 * PAGE), EIO);
		if (i == 0)
			ck_ok(fallocate(fd, FALLOC_FL_ZERO_RANGE, 15 * PAGE, PAGE));
		else if (i == 1)
			ck_ok(ftruncate(fd, 15 * PAGE));
		ck_ok(ftruncate(fd, 16 * PAGE));
		if (i == 2)
			break;
		ck_bytes(fd, 15 * PAGE, 0, PAGE);
		ck_assert_int_eq(pages_of(), i == 0 ? 16 : 15);
	}
	ck_errno(pread(fd, data, 1, 15 * PAGE), EIO);
	ck_ok(munmap(map, 16 * PAGE));
}
END_TEST

/* A page that memory failure could not remove, as the folio it is in was pinned. */
START_TEST(poisoned_and_pinned)
{
	char data[PAGE];
	int pipes[2];

	put(fd, 0, 'h', 2 * MIB);
	hold_first_page(fd, pipes);
	poison(5);
	ck_errno(pread(fd, data, 1, 5 * PAGE), EIO);
	ck_bytes(fd, 6 * PAGE, 'h', PAGE);
	ck_errno(pwrite(fd, data, PAGE, 5 * PAGE), EIO);
	ck_errno(fallocate(fd, 0, 0, 16 * PAGE), EIO);
	ck_errno(fallocate(fd, FALLOC_FL_ZERO_RANGE, 5 * PAGE, PAGE), EIO);
	ck_errno(pread(fd, data, 1, 5 * PAGE), EIO);
	ck_ok(fallocate(fd, FALLOC_FL_ZERO_RANGE, 6 * PAGE, PAGE));
	ck_bytes(fd, 6 * PAGE, 0, PAGE);
	let_go(pipes);
	ck_ok(fallocate(fd, PUNCH, 5 * PAGE, PAGE));
	put(fd, 5 * PAGE, 'i', PAGE);
	ck_bytes(fd, 5 * PAGE, 'i', PAGE);
	ck_bytes(fd, 7 * PAGE, 'h', 2 * MIB - 7 * PAGE);
}
END_TEST

static uint64_t physical_address(const char *at)
{
	int map_of = ck_ok(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	uint64_t entry;

	(void)*(const volatile char *)at;
	ck_assert_int_eq(pread(map_of, &entry, sizeof(entry),
			       (uintptr_t)at / PAGE * sizeof(entry)), sizeof(entry));
	ck_ok(close(map_of));
	ck_assert(entry >> 63);
	return (entry & ((1ULL << 55) - 1)) * PAGE;
}

/* The mount ends while memory failure holds the last reference to the inode. */
START_TEST(poisoned_beside_umount)
{
	char text[32], *map;
	int status;
	pid_t pid;

	put(fd, 0, 'h', 1);
	map = map_file(PAGE);
	ck_assert_int_eq(*map, 'h');
	snprintf(text, sizeof(text), "%#llx", (unsigned long long)physical_address(map));
	ck_ok(munmap(map, PAGE));
	close(fd);

	/* since Linux 6.8 it takes a folio */
	delay("failure", file_has("/proc/kallsyms", "generic_error_remove_folio") ?
	      "generic_error_remove_folio" : "generic_error_remove_page", 500);
	pid = spawn();
	if (!pid) {
		ck_ok(prctl(PR_SET_NAME, "failure"));
		_exit(-spew("/sys/devices/system/memory/hard_offline_page", text));
	}
	wait_asleep(pid);
	ck_ok(umount2(MNT, 0));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(module_unload("kmk_delay"), 0);
	fd = ck_ok(open("/dev/null", O_RDONLY));
}
END_TEST

/* Pages that move */

#define SOFT_OFFLINE "/sys/devices/system/memory/soft_offline_page"

#define MOVED 32

/* 16 pages of their own, and 16 of one write. */
static char *map_what_moves(uint64_t *where)
{
	char *map;
	int i;

	for (i = 0; i < MOVED / 2; i++)
		put(fd, i * PAGE, 'a' + i, PAGE);
	put(fd, i * PAGE, 'z', MOVED / 2 * PAGE);
	map = map_file(MOVED * PAGE);
	for (i = 0; i < MOVED; i++)
		where[i] = physical_address(map + i * PAGE);
	return map;
}

static void ck_what_moved(char *map)
{
	int i;

	for (i = 0; i < MOVED; i++) {
		ck_assert_int_eq(map[i * PAGE], i < MOVED / 2 ? 'a' + i : 'z');
		ck_bytes(fd, i * PAGE, map[i * PAGE], PAGE);
	}
	ck_assert_int_eq(pages_of(), MOVED);
	ck_ok(munmap(map, MOVED * PAGE));
	ck_ok(ftruncate(fd, 0));
	ck_assert_int_eq(pages_of(), 0);
}

static bool move_all(char *map, int node)
{
	int nodes[MOVED], status[MOVED], i;
	void *pages[MOVED];

	for (i = 0; i < MOVED; i++) {
		pages[i] = map + i * PAGE;
		nodes[i] = node;
	}
	ck_ok(syscall(SYS_move_pages, 0, MOVED, pages, nodes, status, MPOL_MF_MOVE));
	for (i = 0; i < MOVED && status[i] == node; i++)
		;
	return i == MOVED;
}

/* From wherever they are to the one node, and to the other. */
START_TEST(migrated)
{
	uint64_t where[MOVED];
	char *map = map_what_moves(where);
	int i, node;

	for (node = 0; node < 2; node++)
		wait_until(move_all(map, node));
	for (i = 0; i < MOVED; i++)
		where[i] = physical_address(map + i * PAGE);
	wait_until(move_all(map, 0));
	for (i = 0; i < MOVED; i++)
		ck_assert_uint_ne(physical_address(map + i * PAGE), where[i]);
	ck_what_moved(map);
}
END_TEST

/* The kernel takes the memory of two pages out of use, and moves what they have elsewhere. */
START_TEST(soft_offlined)
{
	uint64_t where[MOVED];
	char *map = map_what_moves(where), text[32];
	int page;

	for (page = 5; page < MOVED; page += MOVED / 2) {
		snprintf(text, sizeof(text), "%#llx", (unsigned long long)where[page]);
		wait_until(!spew(SOFT_OFFLINE, text));
		ck_assert_uint_ne(physical_address(map + page * PAGE), where[page]);
	}
	ck_what_moved(map);
}
END_TEST

/* Pages that others use */

START_TEST(long_term_pin)
{
	struct io_uring ring;
	struct iovec io;
	char data[PAGE];
	int ret, other;

	put(fd, 0, 'i', 64 * PAGE);
	io = (struct iovec){ map_file(64 * PAGE), 64 * PAGE };
	ck_assert_int_eq(io_uring_queue_init(4, &ring, 0), 0);
	ret = io_uring_register_buffers(&ring, &io, 1);
	if (ret == -EOPNOTSUPP) {
		fprintf(stderr, "# long_term_pin: this kernel's io_uring lets only shmem\n");
		goto exit;
	}
	ck_assert_int_eq(ret, 0);
	/* what goes through the pin and what goes through the file are the same */
	other = ck_ok(open("/dev/zero", O_RDONLY));
	io_uring_prep_read_fixed(io_uring_get_sqe(&ring), other, io.iov_base, PAGE, 0, 0);
	ck_assert_int_eq(io_uring_submit_and_wait(&ring, 1), 1);
	ck_bytes(fd, 0, 0, PAGE);
	ck_ok(ftruncate(fd, 10 * PAGE + 1));
	ck_bytes(fd, PAGE, 'i', 9 * PAGE + 1);
	memset(data, 'j', PAGE);
	ck_assert_int_eq(pwrite(fd, data, PAGE, PAGE), PAGE);
	ck_assert_int_eq(((char *)io.iov_base)[PAGE], 'j');
	close(other);
	ck_assert_int_eq(io_uring_unregister_buffers(&ring), 0);
	/* an unregistered buffer may be let go of a moment later */
	wait_until(!ftruncate(fd, 10 * PAGE + 1) && pages_of() == 11);
exit:
	ck_ok(munmap(io.iov_base, io.iov_len));
	io_uring_queue_exit(&ring);
}
END_TEST

/* Probes, at the beginning of a page of the file */

#define PROBE TRACEFS "/events/uprobes/kmk/enable"

/* 0, or -errno of its insertion into the processes that map the page. */
static int insert_probe(int page)
{
	char event[64];

	snprintf(event, sizeof(event), "p:uprobes/kmk %s:%#x", MNT "/f", page * PAGE);
	ck_assert_int_eq(spew(UPROBES, event), 0);
	return spew(PROBE, "1");
}

static void remove_probe(void)
{
	ck_assert_int_eq(spew(PROBE, "0"), 0);
	ck_assert_int_eq(spew(UPROBES, "-:uprobes/kmk"), 0);
}

static long long probe_hits(void)
{
	char *text = slurp(TRACEFS "/uprobe_profile"), *at = strstr(text, " kmk ");
	long long n;

	ck_assert_ptr_nonnull(at);
	n = atoll(at + strlen(" kmk "));
	free(text);
	return n;
}

/* Its code runs at any address. */
static int forty_two(void)
{
	return 42;
}

/*
 * The kernel inserts a probe only into a private map that may be executed, and reads the
 * instruction at its place first; in a hole that takes ->read_folio().
 */
START_TEST(uprobe)
{
	char *map = mmap(NULL, 16 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	typeof(forty_two) *program = (void *)(map + 2 * PAGE);
	int err;

	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_ok(ftruncate(fd, 16 * PAGE));
	ck_assert_int_eq(pwrite(fd, forty_two, 64, 2 * PAGE), 64);
	ck_assert_int_eq(insert_probe(2), 0);
	ck_assert_int_eq(program(), 42);
	ck_assert_int_eq(program(), 42);
	ck_assert_int_eq(probe_hits(), 2);
	remove_probe();
	ck_assert_int_eq(program(), 42);
	ck_assert_int_eq(pages_of(), 1);

	/* without room the hole stays one */
	ck_assert_int_eq(cramfs_remount("size=4k"), 0);
	ck_assert_int_eq(insert_probe(1), -ENOSPC);
	remove_probe();
	ck_assert_int_eq(pages_of(), 1);
	ck_assert_int_eq(lseek(fd, 0, SEEK_DATA), 2 * PAGE);

	/* with room it becomes a page of zeros, an instruction that not every machine has */
	ck_assert_int_eq(cramfs_remount("size=8k"), 0);
	err = insert_probe(1);
	if (PC) {
		ck_assert_int_eq(err, 0);
		ck_assert_int_ne(map[PAGE], 0);
	}
	ck_assert_int_eq(pages_of(), 2);
	remove_probe();
	ck_assert_int_eq(map[PAGE], 0);
	ck_ok(munmap(map, 16 * PAGE));
	ck_assert_int_eq(spew("/proc/sys/vm/drop_caches", "1"), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_DATA), PAGE);
	ck_bytes(fd, 0, 0, 2 * PAGE);
	ck_ok(ftruncate(fd, 0));
	ck_assert_int_eq(pages_of(), 0);
}
END_TEST

/* A pipe gets the page itself, and zeros for a hole. */
START_TEST(splice_by_reference)
{
	char data[4 * PAGE];
	int pipes[2];
	off_t at = 0;

	put(fd, PAGE, 'a', PAGE);
	ck_ok(ftruncate(fd, 3 * PAGE + 5));
	ck_ok(pipe(pipes));
	ck_assert_int_eq(splice(fd, &at, pipes[1], NULL, 1 << 20, 0), 3 * PAGE + 5);
	ck_assert_int_eq(at, 3 * PAGE + 5);
	ck_assert_int_eq(splice(fd, &at, pipes[1], NULL, 1, 0), 0);
	put(fd, PAGE, 'b', PAGE);
	ck_assert_int_eq(read(pipes[0], data, sizeof(data)), 3 * PAGE + 5);
	ck_assert_int_eq(data[PAGE - 1], 0);
	ck_assert_int_eq(data[PAGE], 'b');
	ck_assert_int_eq(data[2 * PAGE - 1], 'b');
	ck_assert_int_eq(data[2 * PAGE], 0);

	/* as many pages as the pipe has room for, which outlive the file */
	put(fd, 0, 'c', 32 * PAGE);
	at = 3;
	ck_assert_int_eq(splice(fd, &at, pipes[1], NULL, 1 << 20, SPLICE_F_NONBLOCK),
			 16 * PAGE - 3);
	ck_errno(splice(fd, &at, pipes[1], NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
	ck_ok(ftruncate(fd, 0));
	ck_assert_int_eq(pages_of(), 0);
	ck_assert_int_eq(read(pipes[0], data, PAGE), PAGE);
	ck_assert_int_eq(data[PAGE - 1], 'c');
	let_go(pipes);
}
END_TEST

/* A file that no swap can be in, though its pages can be read in. */
START_TEST(no_swap_file)
{
	put(fd, 0, 's', 64 * PAGE);
	ck_assert_int_eq(system("mkswap " MNT "/f > /dev/null"), 0);
	ck_assert_int_ne(system("swapon " MNT "/f 2> /dev/null"), 0);
	ck_assert(!file_has("/proc/swaps", MNT));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ramfs_pages");
	TCase *tc = tcase_create("pages");

	tcase_add_checked_fixture(tc, up, down);
	if (large_folios()) {
		tcase_add_test(tc, fallocate_and_splits);
		tcase_add_test(tc, truncate_and_splits);
	} else {
		skip_test("fallocate_and_splits", "this kernel splits no folio of a file");
		skip_test("truncate_and_splits", "this kernel splits no folio of a file");
	}
	tcase_add_test(tc, truncate_and_readers);
	tcase_add_test(tc, truncates_and_readers_elsewhere);
	tcase_add_test(tc, truncate_and_pin);
	tcase_add_test(tc, changes_beside_pin);
	tcase_add_test(tc, pin_and_largest);
	tcase_add_test(tc, pin_and_map);
	tcase_add_test(tc, stores_beside_truncate);
	tcase_add_test(tc, writes_beside_half_a_write);
	tcase_add_test(tc, faults_of_the_last_page);
	tcase_add_test(tc, faults_beside_fallocate);
	tcase_add_test(tc, fallocate_too_much);
	tcase_add_test(tc, fallocate_killed);
	if (exists(DELAY)) {
		tcase_add_test(tc, store_beside_punch);
		tcase_add_test(tc, punch_beside_stores);
	} else {
		skip_test("store_beside_punch", "no kmk_delay: this kernel has no kprobes");
		skip_test("punch_beside_stores", "no kmk_delay: this kernel has no kprobes");
	}
	tcase_add_test(tc, no_page_twice);
	if (has_memory_cgroups())
		tcase_add_test(tc, large_write_in_cgroup);
	else
		skip_test("large_write_in_cgroup", "this kernel has no memory cgroups");
	if (large_folios()) {
		tcase_add_loop_test(tc, large_write_around_page, 0, 2);
		tcase_add_test(tc, large_write_waits_for_nothing);
	} else {
		skip_test("large_write_around_page", "this kernel's files have no large folios");
		skip_test("large_write_waits_for_nothing",
			  "this kernel's files have no large folios");
	}
	if (can_poison())
		tcase_add_test(tc, poisoned);
	else
		skip_test("poisoned", "this kernel knows no broken memory");
	if (can_poison() && large_folios())
		tcase_add_test(tc, poisoned_and_pinned);
	else
		skip_test("poisoned_and_pinned", "no broken memory, or no large folios");
	if (can_poison() && exists(DELAY))
		tcase_add_test(tc, poisoned_beside_umount);
	else
		skip_test("poisoned_beside_umount", "no broken memory, or no kprobes");
	if (exists("/sys/devices/system/node/node1"))
		tcase_add_test(tc, migrated);
	else
		skip_test("migrated", "this machine has one node");
	if (exists(SOFT_OFFLINE))
		tcase_add_test(tc, soft_offlined);
	else
		skip_test("soft_offlined", "this kernel has no " SOFT_OFFLINE);
	tcase_add_test(tc, long_term_pin);
	if (exists(UPROBES))
		tcase_add_test(tc, uprobe);
	else
		skip_test("uprobe", "this kernel has no uprobes");
	tcase_add_test(tc, splice_by_reference);
	if (exists("/proc/swaps"))
		tcase_add_test(tc, no_swap_file);
	else
		skip_test("no_swap_file", "this kernel has no swap");
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
