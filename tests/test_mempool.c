// SPDX-License-Identifier: GPL-2.0
/* kmk_mempool: the in-kernel API through its test module, and /dev/mempool. */
#define _GNU_SOURCE
#include "kmktest.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <kmodkit/mempool.h>

#define NODE		"/dev/mempool"
#define DEBUGFS		"/sys/kernel/debug/kmk_mempool"
#define TESTS		"/sys/kernel/debug/kmk_mempool_test"
#define TRACING		"/sys/kernel/tracing"
#define PAGE		((size_t)4096)
#define MIB		((size_t)1 << 20)

#if __SIZEOF_LONG__ == 8
#define MOST_BYTES	"9223372036854775807"
#define ONE_BYTE_MORE	"9223372036854775808"
#define NO_LONG_HOLDS	"18446744073709551616"
#else
#define MOST_BYTES	"2147483647"
#define ONE_BYTE_MORE	"2147483648"
#define NO_LONG_HOLDS	"4294967296"
#endif

/* What a failed test left loaded. */
static void clean_up(void)
{
	module_unload("kmk_mempool_test");
	module_unload("kmk_mempool");
}

static void load(const char *params)
{
	ck_assert_int_eq(module_load("kmk_mempool", params), 0);
}

static void unload(void)
{
	ck_assert_int_eq(module_unload("kmk_mempool"), 0);
}

/* ---- inside the kernel ---- */

static const char *const kernel_tests[] = {
	"pool_arguments", "pool_kmalloc", "pool_vmalloc", "pool_options", "pool_addresses",
	"pool_already_free", "pool_foreign", "pool_misaligned", "pool_overrun", "pool_leak",
	"pool_most_blocks", "pool_atomic", "pool_hardirq", "pool_stress",
	"pool_double_free_race", "pool_other_cpu", "mem_kinds", "mem_arguments", "mem_misuse",
	"mem_leak", "mem_many", "mem_atomic", "mem_double_free_race",
};
#define KERNEL_TESTS (sizeof(kernel_tests) / sizeof(*kernel_tests))

static void load_both(void)
{
	load("");
	ck_assert_int_eq(module_load("kmk_mempool_test", ""), 0);
}

static void unload_both(void)
{
	ck_assert_int_eq(module_unload("kmk_mempool_test"), 0);
	unload();
}

static void run_in_kernel(const char *name)
{
	char path[256], *result;

	snprintf(path, sizeof(path), TESTS "/%s", name);
	result = slurp(path);
	ck_assert_msg(!strcmp(result, "ok\n"), "%s: %s", name, result);
	free(result);
}

START_TEST(in_kernel)
{
	load_both();
	run_in_kernel(kernel_tests[_i]);
	unload_both();
}
END_TEST

START_TEST(in_kernel_all_are_run)
{
	unsigned int found = 0;
	struct dirent *entry;
	DIR *dir;

	load_both();
	dir = opendir(TESTS);
	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)))
		found += entry->d_name[0] != '.';
	closedir(dir);
	ck_assert_uint_eq(found, KERNEL_TESTS);
	unload_both();
}
END_TEST

static const struct {
	const char *test, *said;
	int times;
} misuses[] = {
	{ "pool_already_free", "kmk_mempool: test pool: free of ", 5 },
	{ "pool_already_free", ": already free", 4 },
	{ "pool_already_free", "kmk_mempool: test pool: destroyed by ", 1 },
	{ "pool_foreign", ": not of this pool", 5 },
	{ "pool_misaligned", ": misaligned", 10 },
	{ "pool_overrun", ": overrun", 4 },
	{ "pool_leak", " while 3 blocks were allocated", 1 },
	{ "mem_misuse", ": already free", 1 },
	{ "mem_misuse", ": not of this pool", 3 },
	{ "mem_misuse", ": misaligned", 2 },
	{ "mem_leak", "kmk_mempool: test manager: destroyed by ", 1 },
	{ "pool_kmalloc", ": free of ", 0 },
	{ "mem_kinds", ": free of ", 0 },
};

/* Each misuse is named, with the pool and the caller; no right use is. */
START_TEST(misuse_in_the_log)
{
	load_both();
	log_mark();
	run_in_kernel(misuses[_i].test);
	ck_assert_int_eq(log_count(misuses[_i].said), misuses[_i].times);
	if (misuses[_i].times)
		ck_assert_int_ge(log_count("[kmk_mempool_test]"), misuses[_i].times);
	unload_both();
}
END_TEST

/* Nearly a million misuses are a few lines. */
START_TEST(misuse_does_not_flood)
{
	load_both();
	log_mark();
	run_in_kernel("pool_addresses");
	ck_assert_int_ge(log_count("kmk_mempool: "), 10);
	ck_assert_int_le(log_count("kmk_mempool: "), 100);
	unload_both();
}
END_TEST

START_TEST(misuse_is_traced)
{
	load_both();
	ck_assert_int_eq(spew(TRACING "/trace", ""), 0);
	ck_assert_int_eq(spew(TRACING "/events/kmk_mempool/kmk_mempool_misuse/enable", "1"), 0);
	run_in_kernel("pool_overrun");
	run_in_kernel("pool_foreign");
	run_in_kernel("mem_misuse");
	ck_assert(file_has(TRACING "/trace", "kmk_mempool_misuse: name=test pool block="));
	ck_assert(file_has(TRACING "/trace", "what=\"overrun\" caller=pool_overrun+"));
	ck_assert(file_has(TRACING "/trace", "what=\"not of this pool\" caller=pool_foreign+"));
	ck_assert(file_has(TRACING "/trace", "name=test manager block="));
	ck_assert(file_has(TRACING "/trace", "what=\"already free\" caller=mem_misuse+"));
	ck_assert(file_has(TRACING "/trace", "what=\"misaligned\" caller=mem_misuse+"));
	ck_assert_int_eq(spew(TRACING "/events/kmk_mempool/kmk_mempool_misuse/enable", "0"), 0);
	unload_both();
	ck_assert(!exists(TRACING "/events/kmk_mempool"));
}
END_TEST

/* ---- /dev/mempool ---- */

static int open_node(void)
{
	return ck_ok(open(NODE, O_RDWR | O_CLOEXEC));
}

static int alloc(int fd, __u64 size, __u64 *handle)
{
	struct kmk_mempool_alloc arg = { .size = size, .handle = 0xbad };
	int ret = ioctl(fd, MEMPOOL_IOC_ALLOC, &arg);

	*handle = arg.handle;
	return ret;
}

static __u64 alloc_ok(int fd, __u64 size)
{
	__u64 handle;

	ck_ok(alloc(fd, size, &handle));
	return handle;
}

static int free_handle(int fd, __u64 handle)
{
	struct kmk_mempool_free arg = { .handle = handle };

	return ioctl(fd, MEMPOOL_IOC_FREE, &arg);
}

static int query(int fd, __u64 handle, struct kmk_mempool_query *arg)
{
	*arg = (struct kmk_mempool_query){ .handle = handle };
	return ioctl(fd, MEMPOOL_IOC_QUERY, arg);
}

static struct kmk_mempool_stats stats_of(int fd)
{
	struct kmk_mempool_stats stats;

	memset(&stats, 0xff, sizeof(stats));
	ck_ok(ioctl(fd, MEMPOOL_IOC_STATS, &stats));
	return stats;
}

START_TEST(allocate_query_free)
{
	static const __u64 sizes[] = { 1, 100, PAGE - 1, PAGE, PAGE + 1, 3 * MIB };
	__u64 handles[6], pages, bytes = 0;
	struct kmk_mempool_stats stats;
	struct kmk_mempool_query q;
	int fd, i, j;

	load("");	/* the first also tells that the kernel is tainted */
	unload();
	log_mark();
	load("");
	ck_assert_int_eq(log_count("kmk_mempool: loaded, max_bytes=67108864"), 1);
	fd = open_node();
	for (i = 0; i < 6; i++) {
		handles[i] = alloc_ok(fd, sizes[i]);
		ck_assert_uint_ne(handles[i], 0);
		ck_assert_uint_eq(handles[i] % PAGE, 0);
		for (j = 0; j < i; j++)
			ck_assert_uint_ne(handles[i], handles[j]);
		pages = (sizes[i] + PAGE - 1) / PAGE;
		bytes += pages * PAGE;
		ck_ok(query(fd, handles[i], &q));
		ck_assert_uint_eq(q.size, sizes[i]);
		ck_assert_uint_eq(q.bytes, pages * PAGE);
		stats = stats_of(fd);
		ck_assert_uint_eq(stats.file_blocks, i + 1);
		ck_assert_uint_eq(stats.file_bytes, bytes);
		ck_assert_uint_eq(stats.blocks, i + 1);
		ck_assert_uint_eq(stats.bytes, bytes);
		ck_assert_uint_eq(stats.max_bytes, 64 * MIB);
		ck_assert_uint_eq(stats.allocs, i + 1);
		ck_assert_uint_eq(stats.frees, 0);
		ck_assert_uint_eq(stats.refused, 0);
	}
	for (i = 0; i < 6; i++) {
		ck_ok(free_handle(fd, handles[i]));
		ck_errno(query(fd, handles[i], &q), ENOENT);
		ck_errno(free_handle(fd, handles[i]), ENOENT);
	}
	stats = stats_of(fd);
	ck_assert_uint_eq(stats.file_blocks + stats.file_bytes + stats.blocks + stats.bytes, 0);
	ck_assert_uint_eq(stats.frees, 6);
	ck_ok(close(fd));
	unload();
	ck_assert_int_eq(log_count("kmk_mempool: "), 2);
	ck_assert_int_eq(log_count("kmk_mempool: unloaded"), 1);
}
END_TEST

START_TEST(each_error)
{
	struct kmk_mempool_alloc a = { .size = 1 };
	struct kmk_mempool_query q;
	struct kmk_mempool_free f;
	__u64 handle, other;
	void *readonly;
	int fd, fd2;

	load("");
	fd = open_node();
	fd2 = open_node();
	handle = alloc_ok(fd, 1);
	other = alloc_ok(fd2, MIB);
	ck_ok(free_handle(fd2, other));
	other = alloc_ok(fd2, 1);

	a.size = 0;
	ck_errno(ioctl(fd, MEMPOOL_IOC_ALLOC, &a), EINVAL);
	a.size = 1;
	for (a.flags = 1; a.flags; a.flags <<= 1)
		ck_errno(ioctl(fd, MEMPOOL_IOC_ALLOC, &a), EINVAL);
	ck_errno(alloc(fd, UINT64_MAX, &handle), ENOMEM);
	ck_errno(alloc(fd, INT64_MAX, &handle), ENOMEM);
	ck_errno(alloc(fd, UINT64_MAX - PAGE + 1, &handle), ENOMEM);
	ck_errno(alloc(fd, 0, &handle), EINVAL);
	ck_assert_uint_eq(handle, 0xbad);
	handle = alloc_ok(fd, 1);

	ck_errno(free_handle(fd, 0), ENOENT);
	ck_errno(free_handle(fd, other), ENOENT);
	ck_errno(free_handle(fd, handle + 1), ENOENT);
	ck_errno(free_handle(fd, handle + PAGE), ENOENT);
	ck_errno(free_handle(fd, handle | 1ULL << 63), ENOENT);
	ck_errno(free_handle(fd, UINT64_MAX), ENOENT);
	ck_errno(query(fd, 0, &q), ENOENT);
	ck_errno(query(fd, other, &q), ENOENT);
	ck_errno(query(fd, handle + 1, &q), ENOENT);
	ck_errno(query(fd, UINT64_MAX, &q), ENOENT);
	for (f = (struct kmk_mempool_free){ handle, 1 }; f.flags; f.flags <<= 1)
		ck_errno(ioctl(fd, MEMPOOL_IOC_FREE, &f), EINVAL);
	q = (struct kmk_mempool_query){ .handle = handle, .flags = 1 };
	ck_errno(ioctl(fd, MEMPOOL_IOC_QUERY, &q), EINVAL);

	ck_errno(ioctl(fd, MEMPOOL_IOC_ALLOC, BAD_POINTER), EFAULT);
	ck_errno(ioctl(fd, MEMPOOL_IOC_FREE, BAD_POINTER), EFAULT);
	ck_errno(ioctl(fd, MEMPOOL_IOC_QUERY, BAD_POINTER), EFAULT);
	ck_errno(ioctl(fd, MEMPOOL_IOC_STATS, BAD_POINTER), EFAULT);
	ck_errno(ioctl(fd, MEMPOOL_IOC_STATS, buffer_before_hole(sizeof(q))), EFAULT);
	/* Readable, but the answer cannot be written: nothing is allocated. */
	readonly = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(readonly, &(struct kmk_mempool_alloc){ .size = 100 }, sizeof(a));
	ck_ok(mprotect(readonly, PAGE, PROT_READ));
	ck_errno(ioctl(fd, MEMPOOL_IOC_ALLOC, readonly), EFAULT);
	ck_errno(ioctl(fd, _IO(MEMPOOL_IOC_MAGIC, 0), 0), ENOTTY);
	ck_errno(ioctl(fd, _IO(MEMPOOL_IOC_MAGIC, 4), 0), ENOTTY);
	ck_errno(ioctl(fd, 0x1001, 0), ENOTTY);
	ck_errno(ioctl(fd, TIOCGWINSZ, &a), ENOTTY);

	/* What was there is there. */
	ck_ok(query(fd, handle, &q));
	ck_ok(query(fd2, other, &q));
	ck_assert_uint_eq(stats_of(fd).file_blocks, 2);
	ck_assert_uint_eq(stats_of(fd).blocks, 3);
	ck_ok(close(fd));
	ck_ok(close(fd2));
	unload();
}
END_TEST

START_TEST(from_32_bits)
{
	load("");
	use_from_32_bits(NODE);
	unload();
}
END_TEST

START_TEST(handles_are_not_used_again)
{
	__u64 last = 0, handle;
	int fd, i;

	load("");
	fd = open_node();
	for (i = 0; i < 10000; i++) {
		handle = alloc_ok(fd, 1 + i % 3 * PAGE);
		ck_assert_uint_gt(handle, last);
		last = handle;
		ck_ok(free_handle(fd, handle));
	}
	ck_ok(close(fd));
	unload();
}
END_TEST

/* A closed file, and a killed process's, gives back all that it had. */
START_TEST(close_frees_all)
{
	struct kmk_mempool_stats stats;
	int fd, fd2, i;
	pid_t pid;

	load("");
	fd = open_node();
	fd2 = open_node();
	for (i = 0; i < 1000; i++)
		alloc_ok(fd2, 1 + i);
	alloc_ok(fd, 1);
	ck_assert_uint_eq(stats_of(fd).blocks, 1001);
	ck_ok(close(fd2));
	ck_assert_uint_eq(stats_of(fd).blocks, 1);
	ck_assert_uint_eq(stats_of(fd).bytes, PAGE);
	pid = spawn();
	if (!pid) {
		fd2 = open_node();
		for (i = 0; i < 10; i++)
			alloc_ok(fd2, MIB);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	stats = stats_of(fd);
	ck_assert_uint_eq(stats.blocks, 1);
	ck_assert_uint_eq(stats.allocs, 1011);
	ck_assert_uint_eq(stats.frees, 1010);

	/* Killed somewhere between an allocation and a free. */
	for (i = 0; i < 20; i++) {
		pid = spawn();
		if (!pid) {
			fd2 = open_node();
			for (;;)
				free_handle(fd2, alloc_ok(fd2, 16 * MIB));
		}
		wait_until(stats_of(fd).allocs > stats.allocs);
		ck_ok(kill(pid, SIGKILL));
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		ck_assert_uint_eq(stats_of(fd).blocks, 1);
		stats.allocs = stats_of(fd).allocs;
	}
	ck_ok(close(fd));
	unload();
}
END_TEST

START_TEST(limit)
{
	__u64 handle, whole;
	struct kmk_mempool_stats stats;
	int fd, fd2;

	load("max_bytes=1048576");
	fd = open_node();
	fd2 = open_node();
	ck_assert_uint_eq(stats_of(fd).max_bytes, MIB);
	ck_errno(alloc(fd, MIB + 1, &handle), ENOMEM);
	whole = alloc_ok(fd, MIB);
	ck_errno(alloc(fd, 1, &handle), ENOMEM);
	ck_errno(alloc(fd2, 1, &handle), ENOMEM);
	stats = stats_of(fd2);
	ck_assert_uint_eq(stats.bytes, MIB);
	ck_assert_uint_eq(stats.refused, 3);
	ck_assert_uint_eq(stats.file_blocks, 0);
	ck_ok(free_handle(fd, whole));
	whole = alloc_ok(fd2, MIB - PAGE);
	ck_errno(alloc(fd, PAGE + 1, &handle), ENOMEM);
	alloc_ok(fd, PAGE);
	ck_errno(alloc(fd, 1, &handle), ENOMEM);
	ck_ok(close(fd2));
	alloc_ok(fd, MIB - PAGE);
	ck_ok(close(fd));
	unload();

	/* Where the device has no limit of its own, the memory is one. */
	load("max_bytes=" MOST_BYTES);
	fd = open_node();
	ck_errno(alloc(fd, INT64_MAX, &handle), ENOMEM);
	ck_errno(alloc(fd, 1ULL << 40, &handle), ENOMEM);
	ck_assert_uint_eq(stats_of(fd).bytes, 0);
	alloc_ok(fd, 1);
	ck_ok(close(fd));
	unload();

	/* Pages are what is held, and so what is limited. */
	load("max_bytes=4095");
	fd = open_node();
	ck_errno(alloc(fd, 1, &handle), ENOMEM);
	ck_ok(close(fd));
	unload();
}
END_TEST

static const struct {
	const char *params;
	int err;
	unsigned int mode;	/* of the node, when loaded */
} params[] = {
	{ "", 0, 0600 },
	{ "mode=0666", 0, 0666 },
	{ "mode=0440", 0, 0440 },
	{ "mode=0777", 0, 0777 },
	{ "mode=0", 0, 0 },
	{ "max_bytes=1", 0, 0600 },
	{ "max_bytes=" MOST_BYTES, 0, 0600 },
	{ "mode=01000", -EINVAL, 0 },
	{ "mode=0100600", -EINVAL, 0 },
	{ "mode=200000", -ERANGE, 0 },
	{ "mode=rw", -EINVAL, 0 },
	{ "max_bytes=0", -EINVAL, 0 },
	{ "max_bytes=-1", -EINVAL, 0 },
	{ "max_bytes=" ONE_BYTE_MORE, -EINVAL, 0 },
	{ "max_bytes=" NO_LONG_HOLDS, -ERANGE, 0 },
	{ "max_bytes=64M", -EINVAL, 0 },
};

START_TEST(parameters)
{
	struct stat st;

	log_mark();
	ck_assert_int_eq(module_load("kmk_mempool", params[_i].params), params[_i].err);
	ck_assert(module_loaded("kmk_mempool") == !params[_i].err);
	if (!params[_i].err) {
		ck_ok(stat(NODE, &st));
		ck_assert(S_ISCHR(st.st_mode));
		ck_assert_uint_eq(st.st_mode & 07777, params[_i].mode);
		ck_assert_uint_eq(st.st_uid, 0);
		unload();
	} else {
		ck_assert_int_eq(log_count("kmk_mempool: loaded"), 0);
	}
	ck_assert(!exists(NODE));
	ck_assert(!exists("/sys/class/misc/mempool"));
	ck_assert(!exists(DEBUGFS));
}
END_TEST

START_TEST(bad_parameter_is_named)
{
	log_mark();
	ck_assert_int_eq(module_load("kmk_mempool", "max_bytes=0"), -EINVAL);
	ck_assert_int_eq(log_count("kmk_mempool: max_bytes=0 is out of range: give 1 to "), 1);
	ck_assert_int_eq(module_load("kmk_mempool", "mode=07777"), -EINVAL);
	ck_assert_int_eq(log_count("kmk_mempool: mode=07777 is out of range: give "), 1);
}
END_TEST

START_TEST(only_root_opens)
{
	pid_t pid;

	load("");
	pid = spawn();
	if (!pid) {
		drop_root();
		_exit(open(NODE, O_RDWR) == -1 && errno == EACCES ? 0 : 1);
	}
	ck_assert_int_eq(reap(pid), 0);
	unload();
	load("mode=0666");
	pid = spawn();
	if (!pid) {
		int fd;

		drop_root();
		fd = open_node();
		alloc_ok(fd, 1);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	unload();
}
END_TEST

START_TEST(loads_twice)
{
	int i, fd;

	for (i = 0; i < 2; i++) {
		load("");
		ck_assert_int_eq(module_load("kmk_mempool", ""), -EEXIST);
		fd = open_node();
		alloc_ok(fd, MIB);
		ck_assert_uint_eq(stats_of(fd).allocs, 1);
		ck_ok(close(fd));
		unload();
		ck_assert(!exists(NODE));
		ck_assert(!exists(DEBUGFS));
	}
}
END_TEST

START_TEST(unload_refused_while_in_use)
{
	void *map;
	int fd;

	load("");
	fd = open_node();
	ck_assert_int_eq(module_unload("kmk_mempool"), -EAGAIN);
	map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, alloc_ok(fd, PAGE));
	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_ok(close(fd));
	ck_assert_int_eq(module_unload("kmk_mempool"), -EAGAIN);
	ck_ok(munmap(map, PAGE));
	ck_assert_int_eq(module_load("kmk_mempool_test", ""), 0);
	ck_assert_int_eq(module_unload("kmk_mempool"), -EAGAIN);
	unload_both();
}
END_TEST

/* Processes that open, allocate and close in loops, against loads and unloads. */
START_TEST(unload_under_load)
{
	struct timespec end = kmk_deadline(3);
	int i, fd, cycles = 0;
	__u64 handle;
	pid_t pids[2];

	load("");
	for (i = 0; i < 2; i++) {
		pids[i] = spawn();
		if (pids[i])
			continue;
		while (!kmk_expired(&end)) {
			fd = open(NODE, O_RDWR);
			if (fd < 0)
				continue;
			if (alloc(fd, 10 * PAGE, &handle) || pwrite(fd, "x", 1, handle) != 1)
				_exit(1);
			close(fd);
		}
		_exit(0);
	}
	while (!kmk_expired(&end)) {
		if (module_unload("kmk_mempool"))
			continue;
		cycles++;
		load("");
	}
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(reap(pids[i]), 0);
	ck_assert_int_gt(cycles, 0);
	unload();
}
END_TEST

/* ---- the bytes of a block ---- */

START_TEST(read_and_write)
{
	char in[10000], out[10001], zero[10001] = { };
	__u64 handle, next;
	struct iovec parts[2];
	int fd, i;

	load("");
	fd = open_node();
	handle = alloc_ok(fd, sizeof(in));
	next = alloc_ok(fd, 2 * PAGE);
	for (i = 0; i < (int)sizeof(in); i++)
		in[i] = i * 7 + i / 256;

	/* Fresh memory is zeroed; a read ends at the block's end. */
	ck_assert_int_eq(pread(fd, out, sizeof(out), handle), sizeof(in));
	ck_assert_mem_eq(out, zero, sizeof(in));
	ck_assert_int_eq(pwrite(fd, in, sizeof(in), handle), sizeof(in));
	ck_assert_int_eq(pread(fd, out, sizeof(out), handle), sizeof(in));
	ck_assert_mem_eq(out, in, sizeof(in));
	ck_assert_int_eq(pread(fd, out, sizeof(out), handle + 4000), 6000);
	ck_assert_mem_eq(out, in + 4000, 6000);
	ck_assert_int_eq(pread(fd, out, 1, handle + 9999), 1);
	ck_assert_int_eq(pread(fd, out, 1, handle + 10000), 0);
	ck_assert_int_eq(pread(fd, out, 1, handle + 3 * PAGE), 0);
	ck_assert_int_eq(pread(fd, out, 0, handle), 0);
	/* A write past the end: what fits, and then no space. */
	ck_assert_int_eq(pwrite(fd, "abcdef", 6, handle + 9997), 3);
	ck_errno(pwrite(fd, "x", 1, handle + 10000), ENOSPC);
	ck_assert_int_eq(pwrite(fd, "x", 0, handle + 10000), 0);
	ck_assert_int_eq(pread(fd, out, 10, handle + 9990), 10);
	ck_assert_mem_eq(out + 7, "abc", 3);
	/* The other block was not touched. */
	ck_assert_int_eq(pread(fd, out, sizeof(out), next), 2 * PAGE);
	ck_assert_mem_eq(out, zero, 2 * PAGE);

	/* The file position. */
	ck_assert_int_eq(lseek(fd, next, SEEK_SET), next);
	ck_assert_int_eq(write(fd, "one", 3), 3);
	ck_assert_int_eq(write(fd, "two", 3), 3);
	ck_assert_int_eq(lseek(fd, -6, SEEK_CUR), next);
	parts[0] = (struct iovec){ out, 2 };
	parts[1] = (struct iovec){ out + 2, 4 };
	ck_assert_int_eq(readv(fd, parts, 2), 6);
	ck_assert_mem_eq(out, "onetwo", 6);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), next + 6);
	ck_errno(lseek(fd, 0, SEEK_END), EINVAL);

	/* Where no block is. */
	ck_errno(pread(fd, out, 1, 0), ENOENT);
	ck_errno(pwrite(fd, in, 1, 0), ENOENT);
	ck_errno(pread(fd, out, 1, next + 100 * PAGE), ENOENT);
	ck_errno(pread(fd, out, 1, INT64_MAX - 1), ENOENT);
	ck_errno(pwrite(fd, out, 1, INT64_MAX - 1), ENOENT);
	ck_errno(pread(fd, out, 1, -1), EINVAL);
	ck_ok(free_handle(fd, handle));
	ck_errno(pread(fd, out, 1, handle), ENOENT);
	ck_errno(pwrite(fd, in, 1, handle), ENOENT);
	ck_ok(close(fd));
	unload();
}
END_TEST

START_TEST(faults)
{
	char *edge = buffer_before_hole(5000), out[8000];
	__u64 handle;
	ssize_t n;
	int fd;

	load("");
	fd = open_node();
	handle = alloc_ok(fd, 8000);
	memset(edge, 'e', 5000);
	ck_errno(pread(fd, BAD_POINTER, 1, handle), EFAULT);
	ck_errno(pwrite(fd, BAD_POINTER, 1, handle), EFAULT);
	/* As many bytes as there are before the hole. */
	n = ck_copied(pwrite(fd, edge, 8000, handle), 5000);
	memset(out, 'o', sizeof(out));
	ck_assert_int_eq(pread(fd, out, 8000, handle), 8000);
	ck_assert_mem_eq(out, edge, n);
	ck_assert_int_eq(out[n], 0);
	memset(edge, 0, 5000);
	n = ck_copied(pread(fd, edge, 8000, handle), 5000);
	ck_assert_mem_eq(out, edge, n);
	ck_errno(pread(fd, edge + 5000, 1, handle), EFAULT);
	ck_ok(close(fd));
	unload();
}
END_TEST

static void *map_block(int fd, __u64 handle, size_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, handle);

	ck_assert_msg(map != MAP_FAILED, "mmap: %s", strerror(errno));
	return map;
}

START_TEST(map_is_the_block)
{
	char *map, *tail, out[10];
	__u64 handle;
	int fd;

	load("");
	fd = open_node();
	handle = alloc_ok(fd, 3 * PAGE - 1);
	map = map_block(fd, handle, 3 * PAGE);
	tail = map_block(fd, handle + 2 * PAGE, PAGE);
	ck_assert_int_eq(map[0], 0);
	ck_assert_int_eq(map[3 * PAGE - 1], 0);
	strcpy(map + PAGE - 3, "mapped");
	ck_assert_int_eq(pread(fd, out, 7, handle + PAGE - 3), 7);
	ck_assert_str_eq(out, "mapped");
	ck_assert_int_eq(pwrite(fd, "written", 7, handle + 2 * PAGE), 7);
	ck_assert_mem_eq(map + 2 * PAGE, "written", 7);
	ck_assert_mem_eq(tail, "written", 7);
	/* Handed to another system call as a buffer. */
	ck_assert_int_eq(pwrite(fd, tail, 7, handle), 7);
	ck_assert_mem_eq(map, "written", 7);
	ck_ok(close(fd));
	ck_assert_mem_eq(map, "written", 7);
	ck_ok(munmap(map, 3 * PAGE));
	ck_ok(munmap(tail, PAGE));
	unload();
}
END_TEST

static void *try_map(int fd, size_t size, int prot, int flags, __u64 offset)
{
	return mmap(NULL, size, prot, flags, fd, offset);
}

#define ck_no_map(call, err)						\
	do {								\
		errno = 0;						\
		ck_assert_ptr_eq(call, MAP_FAILED);			\
		ck_assert_int_eq(errno, err);				\
	} while (0)

START_TEST(map_errors)
{
	__u64 handle, gone;
	char *map;
	int fd, readonly;

	load("");
	fd = open_node();
	handle = alloc_ok(fd, 2 * PAGE);
	alloc_ok(fd, 2 * PAGE);
	gone = alloc_ok(fd, PAGE);
	ck_ok(free_handle(fd, gone));
	ck_no_map(try_map(fd, PAGE, PROT_READ, MAP_PRIVATE, handle), EINVAL);
	ck_no_map(try_map(fd, 3 * PAGE, PROT_READ, MAP_SHARED, handle), EINVAL);
	ck_no_map(try_map(fd, 2 * PAGE, PROT_READ, MAP_SHARED, handle + PAGE), EINVAL);
	ck_no_map(try_map(fd, PAGE, PROT_READ, MAP_SHARED, handle + 2 * PAGE), EINVAL);
	ck_no_map(try_map(fd, PAGE, PROT_READ, MAP_SHARED, 0), ENOENT);
	ck_no_map(try_map(fd, PAGE, PROT_READ, MAP_SHARED, gone), ENOENT);
	ck_no_map(try_map(fd, PAGE, PROT_READ, MAP_SHARED, gone + 1000 * PAGE), ENOENT);
	ck_no_map(try_map(fd, PAGE, PROT_READ, MAP_SHARED, handle + 1), EINVAL);
	/* A mapping does not grow into what is not the block's. */
	map = map_block(fd, handle, PAGE);
	ck_no_map(mremap(map, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
	ck_ok(munmap(map, PAGE));

	readonly = ck_ok(open(NODE, O_RDONLY | O_CLOEXEC));
	handle = alloc_ok(readonly, PAGE);
	ck_no_map(try_map(readonly, PAGE, PROT_WRITE, MAP_SHARED, handle), EACCES);
	map = try_map(readonly, PAGE, PROT_READ, MAP_SHARED, handle);
	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_errno(mprotect(map, PAGE, PROT_READ | PROT_WRITE), EACCES);
	ck_errno(pwrite(readonly, "x", 1, handle), EBADF);
	ck_ok(munmap(map, PAGE));
	ck_ok(close(readonly));
	ck_ok(close(fd));
	unload();
}
END_TEST

/* Or a page could be written to when it has another user, as by direct I/O under way. */
START_TEST(map_cannot_be_pinned)
{
	struct iovec iov = { .iov_len = PAGE };
	__u64 handle;
	int fd, ends[2];

	load("");
	fd = open_node();
	handle = alloc_ok(fd, PAGE);
	iov.iov_base = map_block(fd, handle, PAGE);
	ck_ok(pipe(ends));
	ck_errno(vmsplice(ends[1], &iov, 1, 0), EFAULT);
	/* As a buffer that is copied, it is as good as any. */
	ck_assert_int_eq(write(ends[1], iov.iov_base, PAGE), PAGE);
	ck_assert_int_eq(read(ends[0], iov.iov_base, PAGE), PAGE);
	ck_ok(munmap(iov.iov_base, PAGE));
	ck_ok(close(fd));
	unload();
}
END_TEST

/* A freed block stays, and stays counted, until nothing maps it. */
START_TEST(map_outlives_the_handle)
{
	__u64 handle, other;
	struct kmk_mempool_stats stats;
	static char written[4 * PAGE];
	char *map, *moved;
	int fd, i;
	pid_t pid;

	load("max_bytes=1048576");
	fd = open_node();
	handle = alloc_ok(fd, 4 * PAGE);
	map = map_block(fd, handle, 4 * PAGE);
	memset(map, 'm', 4 * PAGE);
	ck_ok(free_handle(fd, handle));
	ck_errno(pread(fd, &other, 1, handle), ENOENT);
	stats = stats_of(fd);
	ck_assert_uint_eq(stats.file_blocks, 0);
	ck_assert_uint_eq(stats.blocks, 1);
	ck_assert_uint_eq(stats.bytes, 4 * PAGE);
	ck_errno(alloc(fd, MIB - 3 * PAGE, &other), ENOMEM);
	other = alloc_ok(fd, MIB - 4 * PAGE);
	/* All other memory was taken and written: the block is still its own. */
	for (i = 0; i < (int)(MIB / PAGE) - 4; i++)
		ck_assert_int_eq(pwrite(fd, "other", 5, other + i * PAGE), 5);
	memset(written, 'm', sizeof(written));
	ck_assert(!memcmp(map, written, sizeof(written)));

	/* In pieces, in another place, in another process. */
	ck_ok(munmap(map + PAGE, PAGE));
	moved = mremap(map, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	ck_assert_ptr_ne(moved, MAP_FAILED);
	ck_assert_int_eq(moved[0], 'm');
	pid = spawn();
	if (!pid) {
		moved[1] = 'c';
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_eq(moved[1], 'c');
	ck_ok(munmap(map + 2 * PAGE, 2 * PAGE));
	ck_assert_uint_eq(stats_of(fd).blocks, 2);
	ck_ok(munmap(moved, PAGE));
	stats = stats_of(fd);
	ck_assert_uint_eq(stats.blocks, 1);
	ck_assert_uint_eq(stats.bytes, MIB - 4 * PAGE);
	ck_ok(close(fd));
	unload();
}
END_TEST

/* ---- who pays ---- */

START_TEST(memory_cgroup_is_charged)
{
	long long before, after;
	__u64 handle, block;
	char text[32];
	int fd, i;
	pid_t pid;

	load("");
	make_cgroup();
	ck_assert_int_eq(spew(CGROUP "/memory.max", "16777216"), 0);
	pid = spawn();
	if (!pid) {
		snprintf(text, sizeof(text), "%d", getpid());
		ck_assert_int_eq(spew(CGROUP "/cgroup.procs", text), 0);
		fd = open_node();
		before = charged();
		block = alloc_ok(fd, 8 * MIB);
		after = charged();
		ck_assert_int_ge(after - before, 8 * MIB);
		ck_assert_int_lt(after - before, 9 * MIB);
		/* The device has room, the cgroup has not: an error, no OOM kill. */
		for (i = 0; i < 3; i++)
			ck_errno(alloc(fd, 12 * MIB, &handle), ENOMEM);
		ck_assert_uint_eq(stats_of(fd).bytes, 8 * MIB);
		ck_assert_int_eq(pwrite(fd, "ok", 2, block), 2);
		ck_ok(free_handle(fd, block));
		ck_assert_int_lt(charged() - before, MIB);
		alloc_ok(fd, 12 * MIB);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert(file_has(CGROUP "/memory.events", "oom_kill 0\n"));
	wait_until(!rmdir(CGROUP));
	unload();
}
END_TEST

/* ---- what root sees ---- */

START_TEST(debugfs_statistics)
{
	__u64 handle;
	char path[64];
	int fd, fd2;

	load("");
	fd = open_node();
	fd2 = open_node();
	handle = alloc_ok(fd, 2 * PAGE);
	alloc_ok(fd2, 1);
	alloc_ok(fd2, 1);
	ck_errno(alloc(fd, 65 * MIB, &handle), ENOMEM);
	ck_assert_str_eq(slurp(DEBUGFS "/device"),
			 "blocks 3\nbytes 16384\nmax_bytes 67108864\nallocs 3\nfrees 0\nrefused 1\n");
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd2);
	ck_assert(file_has(path, "blocks:\t2\nbytes:\t8192\n"));
	ck_ok(close(fd));
	ck_assert(file_has(DEBUGFS "/device", "blocks 2\nbytes 8192\n"));
	ck_assert(file_has(DEBUGFS "/device", "frees 1\n"));
	ck_ok(close(fd2));

	ck_assert_str_eq(slurp(DEBUGFS "/pools"),
			 "# name block_size total allocated free allocs frees empty misuses\n");
	ck_assert_str_eq(slurp(DEBUGFS "/managers"), "# name blocks bytes allocs misuses\n");
	ck_assert_int_eq(module_load("kmk_mempool_test", "keep=1"), 0);
	ck_assert(file_has(DEBUGFS "/pools", "\nkept\\040pool 100 10 2 8 3 1 0 1\n"));
	ck_assert(file_has(DEBUGFS "/managers", "\nkept\\040manager 1 300 2 1\n"));
	unload_both();
}
END_TEST

/* ---- many at once ---- */

#define THREADS	4

static struct {
	int fd;
	__u64 handles[64];
	unsigned int freed[THREADS];
	unsigned int wrong;
} race;

/* All threads free every handle: each was freed once. */
static void *free_racer(void *arg)
{
	unsigned int i;

	for (i = 0; i < 64; i++)
		race.freed[(uintptr_t)arg] += !free_handle(race.fd, race.handles[i]);
	return NULL;
}

/* Everybody does everything to every block; each call works or says ENOENT. */
static void *mixed_racer(void *arg)
{
	unsigned int seed = (uintptr_t)arg, i, n;
	struct kmk_mempool_query q;
	__u64 handle;
	long long ret;
	char buffer[64], *map;

	for (i = 0; i < 3000; i++) {
		n = rand_r(&seed) % 8;
		handle = __atomic_load_n(&race.handles[n], __ATOMIC_RELAXED);
		errno = 0;
		switch (rand_r(&seed) % 6) {
		case 0:
			ret = alloc(race.fd, 1 + rand_r(&seed) % 20000, &handle);
			__atomic_store_n(&race.handles[n], handle, __ATOMIC_RELAXED);
			break;
		case 1:
			ret = free_handle(race.fd, handle);
			break;
		case 2:
			ret = query(race.fd, handle, &q);
			break;
		case 3:
			ret = pread(race.fd, buffer, sizeof(buffer), handle);
			break;
		case 4:
			ret = pwrite(race.fd, buffer, 1, handle);
			break;
		default:
			map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, race.fd, handle);
			ret = map == MAP_FAILED ? -1 : 0;
			if (!ret) {
				map[5]++;
				munmap(map, PAGE);
			}
		}
		if (ret < 0 && errno != ENOENT && errno != ENOMEM)
			__atomic_add_fetch(&race.wrong, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void run_threads(void *(*work)(void *))
{
	pthread_t threads[THREADS];
	uintptr_t i;

	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)i), 0);
	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

START_TEST(racing_frees)
{
	int i, j, sum = 0;

	load("");
	race.fd = open_node();
	for (i = 0; i < 20; i++) {
		for (j = 0; j < 64; j++)
			race.handles[j] = alloc_ok(race.fd, 1);
		run_threads(free_racer);
	}
	for (i = 0; i < THREADS; i++)
		sum += race.freed[i];
	ck_assert_int_eq(sum, 20 * 64);
	ck_assert_uint_eq(stats_of(race.fd).blocks, 0);
	ck_ok(close(race.fd));
	unload();
}
END_TEST

START_TEST(racing_everything)
{
	struct kmk_mempool_stats stats;

	load("");
	race.fd = open_node();
	run_threads(mixed_racer);
	ck_assert_uint_eq(race.wrong, 0);
	stats = stats_of(race.fd);
	ck_assert_uint_eq(stats.blocks, stats.file_blocks);
	ck_assert_uint_eq(stats.bytes, stats.file_bytes);
	ck_assert_uint_eq(stats.allocs - stats.frees, stats.blocks);
	ck_ok(close(race.fd));
	unload();
}
END_TEST

/*
 * A thread rewrites the arguments while a call reads them: what is done is what one of their
 * states says, and nothing but the answer is written.
 */
#define SMALL	1
#define BIG	(3 * PAGE + 1)

static struct {
	volatile bool stop;
	volatile __u64 values[2];	/* of the first word; the second is at times a bad flag */
	__u64 before[16];
	volatile __u64 words[4];	/* from the second on in another page */
	__u64 behind[16];
} *contested;

static void *keep_changing(void *unused)
{
	(void)unused;
	for (unsigned int k = 0; !contested->stop; k++) {
		contested->words[0] = contested->values[0];
		contested->words[0] = UINT64_MAX;
		contested->words[0] = contested->values[1];
		/* seldom, or the call would find the page that it is to wait for */
		if (k % 1024 == 0)
			contested->words[1] = k / 1024 % 2;
	}
	return NULL;
}

/* Calls, for a second, of which some are made; the others say @err or EINVAL. */
static void contest(int fd, unsigned long cmd, int err, void (*made)(int fd))
{
	static const __u64 untouched[16];
	struct timespec deadline = kmk_deadline(1);
	int i, ret, count = 0;
	pthread_t thread;

	contested->stop = false;
	ck_assert_int_eq(pthread_create(&thread, NULL, keep_changing, NULL), 0);
	for (i = 0; i % 64 || !count || !kmk_expired(&deadline); i++) {
		forget_page(&contested->words[1]);
		ret = ioctl(fd, cmd, contested->words);
		ck_assert_msg(!ret || errno == err || errno == EINVAL, "%s", strerror(errno));
		if (!ret) {
			count++;
			made(fd);
		}
	}
	contested->stop = true;
	pthread_join(thread, NULL);
	ck_assert_mem_eq(contested->before, untouched, sizeof(untouched));
	ck_assert_mem_eq(contested->behind, untouched, sizeof(untouched));
}

static void ck_small_or_big(__u64 size, __u64 bytes)
{
	ck_assert_msg((size == SMALL && bytes == PAGE) || (size == BIG && bytes == 4 * PAGE),
		      "%llu in %llu", (unsigned long long)size, (unsigned long long)bytes);
}

static void allocated(int fd)
{
	__u64 handle = contested->words[2];
	struct kmk_mempool_query q;

	ck_ok(query(fd, handle, &q));
	ck_small_or_big(q.size, q.bytes);
	ck_assert_uint_eq(stats_of(fd).file_blocks, 1);
	ck_assert_uint_eq(stats_of(fd).file_bytes, q.bytes);
	ck_ok(free_handle(fd, handle));
}

static void queried(int fd)
{
	(void)fd;
	ck_small_or_big(contested->words[2], contested->words[3]);
}

static void freed(int fd)
{
	__u64 left = stats_of(fd).file_bytes;
	volatile __u64 *values = contested->values;
	struct kmk_mempool_query q;
	int gone = query(fd, values[0], &q) ? 0 : 1;

	/* one of the two, and it is made anew for the next call */
	ck_assert_uint_eq(stats_of(fd).file_blocks, 1);
	ck_assert_uint_eq(left, gone ? PAGE : 4 * PAGE);
	ck_ok(query(fd, values[!gone], &q));
	values[gone] = alloc_ok(fd, gone ? BIG : SMALL);
}

START_TEST(contested_arguments)
{
	int fd;

	contested = buffer_across_pages(sizeof(*contested), offsetof(typeof(*contested), words[1]));
	load("");
	fd = open_node();
	contested->values[0] = SMALL;
	contested->values[1] = BIG;
	contest(fd, MEMPOOL_IOC_ALLOC, ENOMEM, allocated);
	ck_assert_uint_eq(stats_of(fd).blocks, 0);
	ck_assert_uint_eq(stats_of(fd).refused, 0);	/* nobody tried to allocate too much */
	contested->values[0] = alloc_ok(fd, SMALL);
	contested->values[1] = alloc_ok(fd, BIG);
	contest(fd, MEMPOOL_IOC_QUERY, ENOENT, queried);
	contest(fd, MEMPOOL_IOC_FREE, ENOENT, freed);
	ck_assert_uint_eq(stats_of(fd).blocks, 2);
	ck_ok(close(fd));
	unload();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mempool");
	TCase *tc;

	tc = tcase_create("kernel");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, clean_up, NULL);
	tcase_add_loop_test(tc, in_kernel, 0, KERNEL_TESTS);
	tcase_add_test(tc, in_kernel_all_are_run);
	tcase_add_loop_test(tc, misuse_in_the_log, 0, sizeof(misuses) / sizeof(*misuses));
	tcase_add_test(tc, misuse_does_not_flood);
	tcase_add_test(tc, misuse_is_traced);
	suite_add_tcase(suite, tc);

	tc = tcase_create("device");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, clean_up, NULL);
	tcase_add_test(tc, allocate_query_free);
	tcase_add_test(tc, each_error);
	if (runs_32_bits())
		tcase_add_test(tc, from_32_bits);
	else
		skip_test("from_32_bits", "no program of 32 bits runs here");
	tcase_add_test(tc, handles_are_not_used_again);
	tcase_add_test(tc, close_frees_all);
	tcase_add_test(tc, limit);
	tcase_add_loop_test(tc, parameters, 0, sizeof(params) / sizeof(*params));
	tcase_add_test(tc, bad_parameter_is_named);
	tcase_add_test(tc, only_root_opens);
	tcase_add_test(tc, loads_twice);
	tcase_add_test(tc, unload_refused_while_in_use);
	tcase_add_test(tc, unload_under_load);
	tcase_add_test(tc, memory_cgroup_is_charged);
	tcase_add_test(tc, debugfs_statistics);
	suite_add_tcase(suite, tc);

	tc = tcase_create("bytes");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, clean_up, NULL);
	tcase_add_test(tc, read_and_write);
	tcase_add_test(tc, faults);
	tcase_add_test(tc, map_is_the_block);
	tcase_add_test(tc, map_errors);
	tcase_add_test(tc, map_cannot_be_pinned);
	tcase_add_test(tc, map_outlives_the_handle);
	suite_add_tcase(suite, tc);

	tc = tcase_create("races");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, clean_up, NULL);
	tcase_add_test(tc, racing_frees);
	tcase_add_test(tc, racing_everything);
	tcase_add_test(tc, contested_arguments);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
