// SPDX-License-Identifier: GPL-2.0
/* kmk_mempool: the in-kernel API through its test module, and /dev/mempool. */
#define _GNU_SOURCE
#include "kmktest.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/futex.h>

#include <kmodkit/mempool.h>

#define NODE		"/dev/mempool"
#define DEBUGFS		"/sys/kernel/debug/kmk_mempool"
#define TESTS		"/sys/kernel/debug/kmk_mempool_test"
#define TRACING		"/sys/kernel/tracing"
#define CPU1_ONLINE	"/sys/devices/system/cpu/cpu1/online"
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

/* Unload the modules that a failed test left. */
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
	"pool_overrun_leak", "pool_most_blocks", "pool_atomic", "pool_hardirq", "pool_stress",
	"pool_double_free_race", "pool_other_cpu", "pool_never_short", "mem_kinds",
	"mem_arguments", "mem_misuse", "mem_leak", "mem_misuse_and_leak", "mem_many",
	"mem_atomic", "mem_double_free_race",
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
	ck_assert_uint_eq(found, KERNEL_TESTS + 2);	/* those of processor_goes_and_comes */
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
	{ "pool_leak", " was allocated by ", 0 },
	{ "pool_overrun_leak", " while 2 blocks were allocated", 1 },
	{ "pool_overrun_leak", " was allocated by pool_overrun_leak+", 2 },
	{ "mem_leak", "kmk_mempool: test manager: destroyed by ", 1 },
	{ "mem_leak", " was allocated by mem_leak+", 10 },
	{ "mem_misuse_and_leak", ": destroyed by ", 1 },
	{ "mem_misuse_and_leak", " was allocated by mem_misuse_and_leak+", 1 },
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

/* Blocks go on being all there for the processors that are left, and for one that comes back. */
START_TEST(processor_goes_and_comes)
{
	load_both();
	run_in_kernel("pool_fill_cpu1");
	ck_assert_int_eq(spew(CPU1_ONLINE, "0"), 0);
	run_in_kernel("pool_take_and_free");
	ck_assert_int_eq(spew(CPU1_ONLINE, "1"), 0);
	run_in_kernel("pool_take_and_free");
	run_in_kernel("pool_fill_cpu1");
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
	int fd, fd2, fd3;

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
	/* A file that is open for reading only has no blocks. */
	fd3 = ck_ok(open(NODE, O_RDONLY | O_CLOEXEC));
	ck_errno(alloc(fd3, 1, &(__u64){ 0 }), EBADF);
	ck_errno(free_handle(fd3, handle), ENOENT);
	ck_assert_uint_eq(stats_of(fd3).file_blocks, 0);
	ck_ok(close(fd3));
	ck_errno(ioctl(fd, _IO(MEMPOOL_IOC_MAGIC, 0), 0), ENOTTY);
	ck_errno(ioctl(fd, _IO(MEMPOOL_IOC_MAGIC, 4), 0), ENOTTY);
	ck_errno(ioctl(fd, 0x1001, 0), ENOTTY);
	ck_errno(ioctl(fd, TIOCGWINSZ, &a), ENOTTY);

	/* The blocks from before are there. */
	ck_ok(query(fd, handle, &q));
	ck_ok(query(fd2, other, &q));
	ck_assert_uint_eq(stats_of(fd).file_blocks, 2);
	ck_assert_uint_eq(stats_of(fd).blocks, 3);
	ck_ok(close(fd));
	ck_ok(close(fd2));
	unload();
}
END_TEST

/* Programs of later versions, and what no version has. */
START_TEST(structures_can_grow)
{
	static const struct {
		unsigned long cmd;
		size_t size;
	} commands[] = {
		{ MEMPOOL_IOC_ALLOC, sizeof(struct kmk_mempool_alloc) },
		{ MEMPOOL_IOC_FREE, sizeof(struct kmk_mempool_free) },
		{ MEMPOOL_IOC_QUERY, sizeof(struct kmk_mempool_query) },
		{ MEMPOOL_IOC_STATS, sizeof(struct kmk_mempool_stats) },
	};
	const size_t most = (1 << _IOC_SIZEBITS) - 1;
	unsigned char *longer = calloc(1, most + 1);
	struct kmk_mempool_stats *stats = (void *)longer;
	struct kmk_mempool_query *q = (void *)longer;
	struct kmk_mempool_alloc *a = (void *)longer;
	struct kmk_mempool_free *f = (void *)longer;
	__u64 handle;
	size_t i, n;
	int fd;

	load("");
	fd = open_node();
	for (i = 0; i < 4; i++)
		for (n = 0; n < commands[i].size; n++)
			ck_errno(ioctl(fd, sized(commands[i].cmd, n), longer), EINVAL);

	a->size = 100;
	ck_ok(ioctl(fd, sized(MEMPOOL_IOC_ALLOC, most), a));
	handle = a->handle;
	memset(longer, 0, most);
	q->handle = handle;
	ck_ok(ioctl(fd, sized(MEMPOOL_IOC_QUERY, most), q));
	ck_assert_uint_eq(q->size, 100);

	/* A field that is not known has to be 0. */
	for (i = 0; i < 3; i++) {
		memset(longer, 0, most);
		q->handle = handle;
		longer[commands[i].size] = 1;
		ck_errno(ioctl(fd, sized(commands[i].cmd, commands[i].size + 1), q), E2BIG);
		ck_errno(ioctl(fd, sized(commands[i].cmd, most), q), E2BIG);
		longer[commands[i].size] = 0;
		longer[most - 1] = 1;
		ck_errno(ioctl(fd, sized(commands[i].cmd, most), q), E2BIG);
	}
	ck_assert_uint_eq(stats_of(fd).file_blocks, 1);

	/* A count that is not known is 0, and nothing behind the structure is written. */
	memset(longer, 0xff, most + 1);
	ck_ok(ioctl(fd, sized(MEMPOOL_IOC_STATS, most), stats));
	ck_assert_uint_eq(stats->file_blocks, 1);
	for (n = sizeof(*stats); n < most; n++)
		ck_assert_uint_eq(longer[n], 0);
	ck_assert_uint_eq(longer[most], 0xff);

	memset(longer, 0, most);
	f->handle = handle;
	ck_ok(ioctl(fd, sized(MEMPOOL_IOC_FREE, most), f));
	ck_assert_uint_eq(stats_of(fd).file_blocks, 0);
	free(longer);
	ck_ok(close(fd));
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
	{ "mode=440", 0, 0440 },
	{ "mode=0777", 0, 0777 },
	{ "mode=0", 0, 0 },
	{ "max_bytes=1", 0, 0600 },
	{ "max_bytes=" MOST_BYTES, 0, 0600 },
	{ "mode=01000", -EINVAL, 0 },
	{ "mode=0100600", -EINVAL, 0 },
	{ "mode=200000", -EINVAL, 0 },
	{ "mode=0x1ff", -EINVAL, 0 },
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
	char shown[8];

	log_mark();
	ck_assert_int_eq(module_load("kmk_mempool", params[_i].params), params[_i].err);
	ck_assert(module_loaded("kmk_mempool") == !params[_i].err);
	if (!params[_i].err) {
		ck_ok(stat(NODE, &st));
		ck_assert(S_ISCHR(st.st_mode));
		ck_assert_uint_eq(st.st_mode & 07777, params[_i].mode);
		snprintf(shown, sizeof(shown), "%04o\n", params[_i].mode);
		ck_assert(file_has("/sys/module/kmk_mempool/parameters/mode", shown));
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
	ck_assert_int_eq(log_count("kmk_mempool: `07777' invalid for parameter `mode'"), 1);
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
	/* The end is that of the last block. */
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), next + 2 * PAGE);

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

/* Programs that append look for the end first; what they write has no block to go to. */
START_TEST(programs_that_append)
{
	char text[6] = "";
	__u64 handle;
	FILE *file;

	load("");
	file = fopen(NODE, "a+");
	ck_assert_ptr_nonnull(file);
	handle = alloc_ok(fileno(file), 100);
	ck_assert_int_eq(pwrite(fileno(file), "block", 5, handle), 5);
	ck_assert_int_eq(fseeko(file, handle, SEEK_SET), 0);
	ck_assert_uint_eq(fread(text, 1, 5, file), 5);
	ck_assert_str_eq(text, "block");
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(system("exec tee -a " NODE " < /dev/null"), 0);
	ck_assert_int_ne(system("echo x | tee -a " NODE " > /tmp/copy"), 0);
	ck_assert_str_eq(slurp("/tmp/copy"), "x\n");
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

/* A line of /proc/meminfo, in bytes. */
static long long kernel_bytes(const char *line)
{
	char *text = slurp("/proc/meminfo"), *at = strstr(text, line);
	long long kib;

	ck_assert_ptr_nonnull(at);
	kib = strtoll(at + strlen(line), NULL, 10);
	free(text);
	return kib * 1024;
}

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

	/* Nor does it become code. */
	ck_no_map(try_map(fd, PAGE, PROT_EXEC, MAP_SHARED, handle), EPERM);
	ck_no_map(try_map(fd, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, handle), EPERM);
	map = map_block(fd, handle, PAGE);
	ck_errno(mprotect(map, PAGE, PROT_READ | PROT_EXEC), EACCES);
	ck_ok(munmap(map, PAGE));

	readonly = ck_ok(open(NODE, O_RDONLY | O_CLOEXEC));
	ck_no_map(try_map(readonly, PAGE, PROT_READ, MAP_SHARED, handle), ENOENT);
	ck_no_map(try_map(readonly, PAGE, PROT_WRITE, MAP_SHARED, handle), EACCES);
	ck_errno(pwrite(readonly, "x", 1, handle), EBADF);
	ck_ok(close(readonly));
	ck_ok(close(fd));
	unload();
}
END_TEST

/* A word in shared memory that two processes wait for and wake each other by. */
static long futex(volatile __u32 *word, int op, __u32 value, const struct timespec *timeout)
{
	return syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

START_TEST(map_has_futexes)
{
	const struct timespec soon = { .tv_nsec = 1000000 };
	pthread_mutexattr_t attr;
	pthread_mutex_t *mutex;
	volatile __u32 *word;
	__u64 handle;
	pid_t pid;
	int fd;

	load("");
	fd = open_node();
	handle = alloc_ok(fd, 2 * PAGE);
	word = map_block(fd, handle, 2 * PAGE);
	ck_assert_int_eq(futex(word, FUTEX_WAIT, 0, &soon), -1);
	ck_assert_int_ne(errno, EFAULT);
	pid = spawn();
	if (!pid) {
		/* Through a mapping of its own, elsewhere. */
		volatile __u32 *mine = map_block(fd, handle, PAGE);

		while (!*mine)
			futex(mine, FUTEX_WAIT, 0, NULL);
		_exit(*mine == 7 ? 0 : 1);
	}
	wait_asleep(pid);
	*word = 7;
	ck_assert_int_eq(futex(word, FUTEX_WAKE, 1, NULL), 1);
	ck_assert_int_eq(reap(pid), 0);

	/* A lock outlives the process that held it. */
	mutex = (pthread_mutex_t *)((char *)word + PAGE);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	ck_assert_int_eq(pthread_mutex_init(mutex, &attr), 0);
	pid = spawn();
	if (!pid)
		_exit(pthread_mutex_lock(mutex));
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_ne(pthread_mutex_lock(mutex), 0);
	ck_assert_int_eq(pthread_mutex_consistent(mutex), 0);	/* it tells of its owner's end */
	ck_assert_int_eq(pthread_mutex_unlock(mutex), 0);
	ck_ok(munmap((void *)word, 2 * PAGE));
	ck_ok(close(fd));
	unload();
}
END_TEST

/* By a debugger, and by who reads another process's memory. */
START_TEST(map_is_seen_from_outside)
{
	char *map, byte = 0;
	struct iovec here = { &byte, 1 }, there;
	int fd, memory, ends[2];
	char path[32];
	__u64 handle;
	pid_t pid;

	load("");
	fd = open_node();
	handle = alloc_ok(fd, 2 * PAGE);
	map = map_block(fd, handle, 2 * PAGE);
	strcpy(map + PAGE, "seen");
	ck_ok(pipe(ends));
	pid = spawn();
	if (!pid) {
		/* The child never touched a page of it. */
		ck_ok(read(ends[0], &byte, 1));
		_exit(map[PAGE + 1] == 'E' && map[0] == 'w' ? 0 : 1);
	}
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	memory = ck_ok(open(path, O_RDWR));
	/* A kernel may be built without these calls. */
	if (!process_vm_readv(getpid(), NULL, 0, NULL, 0, 0)) {
		there = (struct iovec){ map + PAGE, 1 };
		ck_assert_int_eq(process_vm_readv(pid, &here, 1, &there, 1, 0), 1);
		ck_assert_int_eq(byte, 's');
		there.iov_base = map;
		byte = 'w';
		ck_assert_int_eq(process_vm_writev(pid, &here, 1, &there, 1, 0), 1);
	} else {
		ck_assert_int_eq(pwrite(memory, "w", 1, (uintptr_t)map), 1);
	}
	ck_assert_int_eq(pread(memory, &byte, 1, (uintptr_t)map + PAGE + 2), 1);
	ck_assert_int_eq(byte, 'e');
	ck_assert_int_eq(pwrite(memory, "E", 1, (uintptr_t)map + PAGE + 1), 1);
	ck_assert_int_eq(write(ends[1], "", 1), 1);
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_str_eq(map + PAGE, "sEen");
	ck_ok(close(memory));
	ck_ok(munmap(map, 2 * PAGE));
	ck_ok(close(fd));
	unload();
}
END_TEST

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif

/* Kilobytes of @map that are mapped. */
static int resident(const void *map)
{
	char line[256], range[32];
	FILE *file = fopen("/proc/self/smaps", "re");
	int kib = -1;

	ck_assert_ptr_nonnull(file);
	snprintf(range, sizeof(range), "%lx-", (unsigned long)map);
	while (fgets(line, sizeof(line), file) && strncmp(line, range, strlen(range)))
		;
	while (fgets(line, sizeof(line), file) && sscanf(line, "Rss: %d kB", &kib) != 1)
		;
	fclose(file);
	return kib;
}

START_TEST(map_is_populated)
{
	const size_t size = 64 * PAGE;
	char *other = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *map;
	bool has_madvise = !madvise(other, PAGE, MADV_POPULATE_READ);
	__u64 handle;
	int fd;

	load("");
	fd = open_node();
	handle = alloc_ok(fd, size);
	map = map_block(fd, handle, size);
	ck_assert_int_eq(resident(map), 0);
	ck_ok(munmap(map, size));
	map = try_map(fd, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, handle);
	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_assert_int_eq(resident(map), size / 1024);
	ck_ok(madvise(map, size, MADV_DONTNEED));
	ck_assert_int_eq(resident(map), 0);
	ck_ok(mlock(map, size));
	ck_assert_int_eq(resident(map), size / 1024);
	ck_ok(munlock(map, size));
	if (has_madvise) {
		ck_ok(madvise(map, size, MADV_DONTNEED));
		ck_ok(madvise(map, size, MADV_POPULATE_WRITE));
		ck_assert_int_eq(resident(map), size / 1024);
	}
	ck_ok(free_handle(fd, handle));
	ck_assert_int_eq(resident(map), 0);
	if (has_madvise)
		ck_errno(madvise(map, size, MADV_POPULATE_WRITE), EFAULT);
	ck_ok(munmap(map, size));
	ck_ok(close(fd));
	unload();
}
END_TEST

/* Nothing that drops, writes back or pages out what a file has loses a byte of a block. */
START_TEST(bytes_stay)
{
	static char data[64 * PAGE], out[64 * PAGE];
	__u64 handle;
	char *map;
	int fd;

	load("");
	fd = open_node();
	handle = alloc_ok(fd, sizeof(data));
	fill_pattern(data, sizeof(data), 5);
	ck_assert_int_eq(pwrite(fd, data, sizeof(data), handle), sizeof(data));
	map = map_block(fd, handle, sizeof(data));
	ck_assert_mem_eq(map, data, sizeof(data));
	ck_ok(msync(map, sizeof(data), MS_SYNC));
	ck_ok(msync(map, sizeof(data), MS_SYNC | MS_INVALIDATE));
	ck_ok(fsync(fd));
	madvise(map, sizeof(data), MADV_PAGEOUT);
	madvise(map, sizeof(data), MADV_COLD);
	ck_ok(madvise(map, sizeof(data), MADV_DONTNEED));
	ck_assert_int_eq(madvise(map, sizeof(data), MADV_REMOVE), -1);
	ck_ok(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	sync();
	ck_assert_int_eq(spew("/proc/sys/vm/drop_caches", "3"), 0);
	ck_assert_int_eq(pread(fd, out, sizeof(out), handle), sizeof(out));
	ck_assert_mem_eq(out, data, sizeof(data));
	ck_assert_mem_eq(map, data, sizeof(data));
	ck_ok(munmap(map, sizeof(data)));
	ck_ok(close(fd));
	unload();
}
END_TEST

/* Nothing that reads ahead adds a page where no block is. */
START_TEST(nothing_beside_blocks)
{
	struct kmk_mempool_stats stats;
	__u64 handle, gone;
	long long before;
	char *map;
	int fd;

	load("");
	fd = open_node();
	gone = alloc_ok(fd, 8 * MIB);
	handle = alloc_ok(fd, PAGE);
	map = map_block(fd, gone, 8 * MIB);
	ck_ok(free_handle(fd, gone));
	before = kernel_bytes("Cached:");
	posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
	readahead(fd, 0, 8 * MIB);
	madvise(map, 8 * MIB, MADV_WILLNEED);
	ck_errno(pread(fd, &stats, 1, gone), ENOENT);
	ck_assert(bus(map, false));
	ck_assert(bus(map + 4 * MIB, true));
	ck_assert_int_lt(kernel_bytes("Cached:") - before, 2 * MIB);
	ck_ok(free_handle(fd, handle));
	ck_assert_uint_eq(stats_of(fd).bytes, 0);
	ck_ok(munmap(map, 8 * MIB));
	ck_ok(close(fd));
	unload();
}
END_TEST

START_TEST(spliced)
{
	static char data[6 * PAGE], out[6 * PAGE];
	const size_t size = 5 * PAGE + 7;
	int fd, ends[2], file;
	__u64 handle, other;
	loff_t at;
	off_t pos;

	load("");
	fd = open_node();
	handle = alloc_ok(fd, size);
	other = alloc_ok(fd, size);
	fill_pattern(data, size, 9);
	ck_assert_int_eq(pwrite(fd, data, size, handle), size);
	ck_ok(pipe(ends));

	/* From a block into a pipe and from there into another block. */
	at = handle;
	ck_assert_int_eq(splice(fd, &at, ends[1], NULL, 2 * sizeof(data), 0), size);
	ck_assert_int_eq(at, handle + size);
	ck_assert_int_eq(splice(fd, &at, ends[1], NULL, PAGE, 0), 0);
	at = other;
	ck_assert_int_eq(splice(ends[0], NULL, fd, &at, 2 * sizeof(data), 0), size);
	ck_assert_int_eq(at, other + size);
	ck_assert_int_eq(pread(fd, out, sizeof(out), other), size);
	ck_assert_mem_eq(out, data, size);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	ck_errno(splice(ends[0], NULL, fd, &at, 1, 0), ENOSPC);
	at = 0;
	ck_errno(splice(fd, &at, ends[1], NULL, 1, 0), ENOENT);

	if (sendfile_reads_devices()) {
		file = ck_ok(memfd_create("copy", MFD_CLOEXEC));
		pos = handle;
		ck_assert_int_eq(sendfile(file, fd, &pos, 2 * sizeof(data)), size);
		memset(out, 0, sizeof(out));
		ck_assert_int_eq(pread(file, out, sizeof(out), 0), size);
		ck_assert_mem_eq(out, data, size);
		ck_ok(close(file));
	}
	ck_ok(close(fd));
	unload();
}
END_TEST

/*
 * A page that is in use elsewhere, as by direct I/O under way, is freed when that ends: later
 * than its block, than its file and than the module.
 */
START_TEST(map_can_be_pinned)
{
	struct iovec iov = { .iov_len = PAGE };
	char out[PAGE], zero[PAGE] = { };
	__u64 handle, other;
	int fd, ends[2], i;

	load("");
	fd = open_node();
	handle = alloc_ok(fd, PAGE);
	iov.iov_base = map_block(fd, handle, PAGE);
	memset(iov.iov_base, 'p', PAGE);
	ck_ok(pipe(ends));
	ck_assert_int_eq(vmsplice(ends[1], &iov, 1, 0), PAGE);
	ck_ok(free_handle(fd, handle));
	ck_assert_uint_eq(stats_of(fd).bytes, 0);
	/* It went to nobody else. */
	for (i = 0; i < 200; i++) {
		other = alloc_ok(fd, 16 * PAGE);
		ck_assert_int_eq(pread(fd, out, PAGE, other), PAGE);
		ck_assert_mem_eq(out, zero, PAGE);
		ck_assert_int_eq(pwrite(fd, "other", 5, other), 5);
		ck_ok(free_handle(fd, other));
	}
	ck_ok(munmap(iov.iov_base, PAGE));
	ck_ok(close(fd));
	unload();
	ck_assert_int_eq(read(ends[0], out, PAGE), PAGE);
	for (i = 0; i < (int)PAGE; i++)
		ck_assert_int_eq(out[i], 'p');
	ck_ok(close(ends[0]));
	ck_ok(close(ends[1]));
}
END_TEST

/* A disk reads into the mapping, and writes what is there, with no page cache in between. */
START_TEST(map_has_direct_io)
{
	static char pattern[16 * PAGE], got[16 * PAGE];
	char *map;
	__u64 handle;
	int fd, disk;

	load("");
	fd = open_node();
	handle = alloc_ok(fd, 16 * PAGE);
	map = map_block(fd, handle, 16 * PAGE);
	disk = ck_ok(open(RAM_DISK, O_RDWR | O_DIRECT | O_CLOEXEC));
	fill_pattern(pattern, sizeof(pattern), 1);
	memcpy(map, pattern, sizeof(pattern));
	ck_assert_int_eq(pwrite(disk, map, 16 * PAGE, 0), 16 * PAGE);
	/* Into a mapping that nothing was done to yet. */
	ck_ok(munmap(map, 16 * PAGE));
	ck_assert_int_eq(pwrite(fd, got, sizeof(got), handle), sizeof(got));
	map = map_block(fd, handle, 16 * PAGE);
	ck_assert_int_eq(pread(disk, map + PAGE, 15 * PAGE, PAGE), 15 * PAGE);
	ck_assert_int_eq(pread(disk, map + 512, 1024, 512), 1024);
	memset(pattern, 0, 512);
	memset(pattern + 1536, 0, PAGE - 1536);
	ck_assert_mem_eq(map, pattern, sizeof(pattern));
	ck_assert_int_eq(pread(fd, got, sizeof(got), handle), sizeof(got));
	ck_assert_mem_eq(got, pattern, sizeof(got));
	ck_ok(free_handle(fd, handle));
	ck_errno(pread(disk, map, PAGE, 0), EFAULT);
	ck_errno(pwrite(disk, map, PAGE, 0), EFAULT);
	ck_ok(munmap(map, 16 * PAGE));
	close(disk);
	close(fd);
	unload();
}
END_TEST

struct direct_read {
	int disk;
	struct iovec into[2];
	ssize_t ret;
};

static void *read_directly(void *arg)
{
	struct direct_read *read = arg;

	read->ret = preadv(read->disk, read->into, 2, 0);
	return NULL;
}

/*
 * A block goes while a disk's read has its pages pinned, and waits for a page behind them: what
 * is read then reaches no other block.
 */
START_TEST(free_beside_direct_io)
{
	static const char zero[PAGE];
	struct direct_read read = { .into = { { .iov_len = MIB / 2 }, { .iov_len = PAGE } } };
	char *map, *page, got[PAGE];
	pthread_t thread;
	__u64 handle;
	int fd, uffd;

	load("");
	fd = open_node();
	read.disk = ck_ok(open(RAM_DISK, O_RDWR | O_DIRECT | O_CLOEXEC));
	handle = alloc_ok(fd, MIB);
	map = map_block(fd, handle, MIB);
	memset(map, 'd', MIB);
	ck_assert_int_eq(pwrite(read.disk, map, MIB, 0), MIB);
	page = stalling_page(&uffd);
	read.into[0].iov_base = map;
	read.into[1].iov_base = page;
	ck_assert_int_eq(pthread_create(&thread, NULL, read_directly, &read), 0);
	wait_for_fault(uffd);
	ck_ok(free_handle(fd, handle));
	handle = alloc_ok(fd, MIB);
	end_stall(uffd, page, 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(read.ret, MIB / 2 + PAGE);
	ck_assert_int_eq(page[0], 'd');
	for (size_t at = 0; at < MIB; at += PAGE) {
		ck_assert_int_eq(pread(fd, got, PAGE, handle + at), PAGE);
		ck_assert_mem_eq(got, zero, PAGE);
	}
	ck_ok(munmap(map, MIB));
	close(read.disk);
	close(fd);
	unload();
}
END_TEST

/* Move @size bytes between a file and a registered buffer. */
static void move_fixed(struct io_uring *ring, bool is_write, int file, char *buf, size_t size)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;

	if (is_write)
		io_uring_prep_write_fixed(sqe, file, buf, size, 0, 0);
	else
		io_uring_prep_read_fixed(sqe, file, buf, size, 0, 0);
	ck_assert_int_eq(io_uring_submit_and_wait(ring, 1), 1);
	ck_assert_int_eq(io_uring_peek_cqe(ring, &cqe), 0);
	ck_assert_int_eq(cqe->res, size);
	io_uring_cqe_seen(ring, cqe);
}

#define PINNED (4LL << 20)

/*
 * A pin that lasts, as for a device that may use the memory at any time: it is of the pages
 * that the block has, and keeps these, and their charge, after the block is freed.
 */
START_TEST(map_pinned_for_long)
{
	static const char zero[PAGE];
	char got[PAGE];
	struct io_uring ring;
	struct iovec io = { .iov_len = PINNED };
	__u64 handle, other;
	int fd, file, ret;
	long long before;
	char text[32];
	int at;

	load("");
	make_cgroup();
	snprintf(text, sizeof(text), "%d", getpid());
	ck_assert_int_eq(spew(CGROUP "/cgroup.procs", text), 0);
	fd = open_node();
	ck_assert_int_eq(io_uring_queue_init(4, &ring, 0), 0);
	before = charged();
	handle = alloc_ok(fd, PINNED);
	io.iov_base = map_block(fd, handle, PINNED);
	memset(io.iov_base, 'p', PINNED);
	ret = io_uring_register_buffers(&ring, &io, 1);
	if (ret == -EOPNOTSUPP) {
		fprintf(stderr, "# map_pinned_for_long: this kernel's io_uring pins no file\n");
		goto exit;
	}
	ck_assert_int_eq(ret, 0);
	file = ck_ok(memfd_create("kmktest", MFD_CLOEXEC));
	ck_assert_int_eq(pwrite(file, "read", 4, 0), 4);
	ck_ok(ftruncate(file, PAGE));
	move_fixed(&ring, false, file, (char *)io.iov_base + PAGE, PAGE);
	ck_assert_str_eq((char *)io.iov_base + PAGE, "read");
	ck_assert_int_eq(pread(fd, got, PAGE, handle + PAGE), PAGE);
	ck_assert_str_eq(got, "read");

	ck_ok(free_handle(fd, handle));
	ck_assert_uint_eq(stats_of(fd).bytes, 0);
	ck_assert(bus(io.iov_base, false));
	other = alloc_ok(fd, PINNED);
	ck_assert_int_ge(charged() - before, 2 * PINNED);
	ck_assert_int_eq(pwrite(file, "late", 4, 0), 4);
	move_fixed(&ring, false, file, (char *)io.iov_base + PAGE, PAGE);
	for (at = 0; at < PINNED; at += PAGE) {
		ck_assert_int_eq(pread(fd, got, PAGE, other + at), PAGE);
		ck_assert_mem_eq(got, zero, PAGE);
	}
	move_fixed(&ring, true, file, io.iov_base, 3 * PAGE);
	ck_assert_int_eq(pread(file, got, 1, PAGE - 1), 1);
	ck_assert_int_eq(got[0], 'p');
	ck_assert_int_eq(pread(file, got, PAGE, PAGE), PAGE);
	ck_assert_str_eq(got, "late");
	ck_assert_int_eq(pread(file, got, PAGE, 2 * PAGE), PAGE);
	ck_assert_int_eq(got[0], 'p');
	close(file);
	ck_assert_int_eq(io_uring_unregister_buffers(&ring), 0);
	/* an unregistered buffer may be let go of a moment later */
	wait_until(charged() - before < 2 * PINNED);
exit:
	ck_ok(munmap(io.iov_base, PINNED));
	io_uring_queue_exit(&ring);
	close(fd);
	unload();
	ck_assert_int_eq(spew("/sys/fs/cgroup/cgroup.procs", text), 0);
	wait_until(!rmdir(CGROUP));
}
END_TEST

/* A freed block is gone, wherever it is mapped, and its memory can be had again. */
START_TEST(map_of_a_freed_block)
{
	__u64 handle, other;
	struct kmk_mempool_stats stats;
	char *map, *moved;
	int fd, i;
	pid_t pid;

	load("max_bytes=1048576");
	fd = open_node();
	handle = alloc_ok(fd, 4 * PAGE);
	map = map_block(fd, handle, 4 * PAGE);
	memset(map, 'm', 4 * PAGE);
	/* In pieces, in another place, in another process. */
	ck_ok(munmap(map + PAGE, PAGE));
	moved = mremap(map, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	ck_assert_ptr_ne(moved, MAP_FAILED);
	ck_assert_int_eq(moved[0], 'm');
	pid = spawn();
	if (!pid) {
		moved[1] = 'c';
		raise(SIGSTOP);
		_exit(bus(moved, false) && bus(moved, true) && bus(map + 2 * PAGE, true) ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &i, WUNTRACED), pid);
	ck_assert_int_eq(moved[1], 'c');
	ck_ok(free_handle(fd, handle));
	ck_ok(kill(pid, SIGCONT));
	ck_assert_int_eq(reap(pid), 0);
	ck_assert(bus(moved, true));
	ck_assert(bus(moved, false));
	ck_assert(bus(map + 2 * PAGE, false));
	ck_assert(bus(map + 3 * PAGE, true));
	ck_errno(pread(fd, map + 2 * PAGE, 1, handle), ENOENT);
	stats = stats_of(fd);
	ck_assert_uint_eq(stats.file_blocks + stats.blocks + stats.bytes, 0);

	other = alloc_ok(fd, MIB);
	for (i = 0; i < (int)(MIB / PAGE); i++)
		ck_assert_int_eq(pwrite(fd, "other", 5, other + i * PAGE), 5);
	ck_assert(bus(moved, false));
	ck_errno(pread(fd, moved, 1, other), EFAULT);
	ck_ok(close(fd));
	/* The mapping has the file still. */
	ck_assert_int_eq(module_unload("kmk_mempool"), -EAGAIN);
	ck_ok(munmap(moved, PAGE));
	ck_ok(munmap(map + 2 * PAGE, 2 * PAGE));
	unload();
}
END_TEST

static bool can_poison(void)
{
	char *map = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* an address that is not aligned: EINVAL comes before anything is poisoned */
	bool can = madvise(map + 1, 0, MADV_HWPOISON) && errno == EINVAL &&
		   exists("/sys/devices/system/memory/hard_offline_page");

	munmap(map, PAGE);
	return can;
}

/* Memory that broke costs its page: no zeros in its place, and the rest stays. */
START_TEST(poisoned)
{
	static char data[4 * PAGE], out[4 * PAGE];
	int fd, status;
	__u64 handle;
	char *map;
	pid_t pid;

	load("");
	fd = open_node();
	handle = alloc_ok(fd, sizeof(data));
	memset(data, 'h', sizeof(data));
	ck_assert_int_eq(pwrite(fd, data, sizeof(data), handle), sizeof(data));
	map = map_block(fd, handle, sizeof(data));
	/* A process that has the page mapped may be killed: a child does it. */
	pid = spawn();
	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		(void)*(volatile char *)(map + PAGE);
		_exit(madvise(map + PAGE, PAGE, MADV_HWPOISON) ? 1 : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) ? WTERMSIG(status) == SIGBUS : WEXITSTATUS(status) == 0);

	ck_assert_int_eq(pread(fd, out, sizeof(out), handle), PAGE);
	ck_errno(pread(fd, out, 1, handle + PAGE), EIO);
	ck_errno(pwrite(fd, out, 1, handle + PAGE), EIO);
	ck_assert_int_eq(pread(fd, out, sizeof(out), handle + 2 * PAGE), 2 * PAGE);
	ck_assert_mem_eq(out, data, 2 * PAGE);
	ck_assert(bus(map + PAGE, false));
	ck_assert_int_eq(map[2 * PAGE], 'h');
	ck_ok(free_handle(fd, handle));
	ck_assert_uint_eq(stats_of(fd).bytes, 0);
	ck_ok(munmap(map, sizeof(data)));
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

/* A block that is mapped may be freed by another thread. */
static __thread sigjmp_buf racer_jump;

static void racer_gets_bus(int sig)
{
	siglongjmp(racer_jump, sig);
}

static void touch_and_unmap(char *map)
{
	if (!sigsetjmp(racer_jump, 1))
		((volatile char *)map)[5]++;
	munmap(map, PAGE);
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
			if (!ret)
				touch_and_unmap(map);
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
	struct sigaction action = { .sa_handler = racer_gets_bus };
	struct kmk_mempool_stats stats;

	load("");
	race.fd = open_node();
	sigaction(SIGBUS, &action, NULL);
	run_threads(mixed_racer);
	signal(SIGBUS, SIG_DFL);
	ck_assert_uint_eq(race.wrong, 0);
	stats = stats_of(race.fd);
	ck_assert_uint_eq(stats.blocks, stats.file_blocks);
	ck_assert_uint_eq(stats.bytes, stats.file_bytes);
	ck_assert_uint_eq(stats.allocs - stats.frees, stats.blocks);
	ck_ok(close(race.fd));
	unload();
}
END_TEST

/* One thread makes and frees a block over and over, the others read it and map it. */
static void *touching_racer(void *arg)
{
	__u64 handle;
	char *map, buffer[2 * PAGE];
	ssize_t n;
	int i;

	for (i = 0; i < 2000; i++) {
		if (!arg) {
			handle = alloc_ok(race.fd, 2 * PAGE);
			if (pwrite(race.fd, "12345678", 8, handle) != 8)
				race.wrong++;
			__atomic_store_n(&race.handles[0], handle, __ATOMIC_RELEASE);
			sched_yield();
			ck_ok(free_handle(race.fd, handle));
			continue;
		}
		handle = __atomic_load_n(&race.handles[0], __ATOMIC_ACQUIRE);
		n = pread(race.fd, buffer, sizeof(buffer), handle);
		if (n < 0 ? errno != ENOENT : n % PAGE || memcmp(buffer, "12345678", 8))
			__atomic_add_fetch(&race.wrong, 1, __ATOMIC_RELAXED);
		map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, race.fd, handle);
		if (map == MAP_FAILED)
			continue;
		/* The bytes are those of the block: never another's, never zeros. */
		if (!sigsetjmp(racer_jump, 1) && memcmp(map, "12345678", 8))
			__atomic_add_fetch(&race.wrong, 1, __ATOMIC_RELAXED);
		munmap(map, PAGE);
	}
	return NULL;
}

START_TEST(racing_free_and_fault)
{
	struct sigaction action = { .sa_handler = racer_gets_bus };

	load("");
	race.fd = open_node();
	race.handles[0] = alloc_ok(race.fd, 1);
	ck_ok(free_handle(race.fd, race.handles[0]));
	race.wrong = 0;
	sigaction(SIGBUS, &action, NULL);
	run_threads(touching_racer);
	signal(SIGBUS, SIG_DFL);
	ck_assert_uint_eq(race.wrong, 0);
	ck_assert_uint_eq(stats_of(race.fd).bytes, 0);
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

/* In one byte another value than each before it, as a copy of 64 bits may be torn. */
static void *keep_changing(void *unused)
{
	(void)unused;
	for (unsigned int k = 0; !contested->stop; k++) {
		contested->words[0] = contested->values[0];
		contested->words[0] = contested->values[0] | 0xffULL << 56;
		contested->words[0] = contested->values[0];
		contested->words[0] = contested->values[1];
		/* seldom, or the call would find the page that it is to wait for */
		if (k % 1024 == 0)
			contested->words[1] = k / 1024 % 2;
	}
	return NULL;
}

/* Calls, for a second, of which some are made; the others say @err, so many times, or EINVAL. */
static unsigned int contest(int fd, unsigned long cmd, int err, void (*made)(int fd))
{
	static const __u64 untouched[16];
	struct timespec deadline = kmk_deadline(1);
	unsigned int refused = 0;
	int i, ret, count = 0;
	pthread_t thread;

	contested->stop = false;
	ck_assert_int_eq(pthread_create(&thread, NULL, keep_changing, NULL), 0);
	for (i = 0; i % 64 || !count || !kmk_expired(&deadline); i++) {
		forget_page(&contested->words[1]);
		ret = ioctl(fd, cmd, contested->words);
		ck_assert_msg(!ret || errno == err || errno == EINVAL, "%s", strerror(errno));
		refused += ret && errno == err;
		if (!ret) {
			count++;
			made(fd);
		}
	}
	contested->stop = true;
	pthread_join(thread, NULL);
	ck_assert_mem_eq(contested->before, untouched, sizeof(untouched));
	ck_assert_mem_eq(contested->behind, untouched, sizeof(untouched));
	return refused;
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
	unsigned int refused;
	int fd;

	contested = buffer_across_pages(sizeof(*contested), offsetof(typeof(*contested), words[1]));
	load("");
	fd = open_node();
	contested->values[0] = SMALL;
	contested->values[1] = BIG;
	refused = contest(fd, MEMPOOL_IOC_ALLOC, ENOMEM, allocated);
	ck_assert_uint_eq(stats_of(fd).blocks, 0);
	ck_assert_uint_eq(stats_of(fd).refused, refused);
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
	tcase_add_checked_fixture(tc, clean_up, NULL);
	tcase_add_loop_test(tc, in_kernel, 0, KERNEL_TESTS);
	tcase_add_test(tc, in_kernel_all_are_run);
	tcase_add_loop_test(tc, misuse_in_the_log, 0, sizeof(misuses) / sizeof(*misuses));
	tcase_add_test(tc, misuse_does_not_flood);
	tcase_add_test(tc, misuse_is_traced);
	if (exists(CPU1_ONLINE))
		tcase_add_test(tc, processor_goes_and_comes);
	else
		skip_test("processor_goes_and_comes", "no second processor that can be turned off");
	suite_add_tcase(suite, tc);

	tc = tcase_create("device");
	tcase_add_checked_fixture(tc, clean_up, NULL);
	tcase_add_test(tc, allocate_query_free);
	tcase_add_test(tc, each_error);
	tcase_add_test(tc, structures_can_grow);
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
	tcase_add_checked_fixture(tc, clean_up, NULL);
	tcase_add_test(tc, read_and_write);
	tcase_add_test(tc, programs_that_append);
	tcase_add_test(tc, faults);
	tcase_add_test(tc, map_is_the_block);
	tcase_add_test(tc, map_errors);
	tcase_add_test(tc, map_has_futexes);
	tcase_add_test(tc, map_is_seen_from_outside);
	tcase_add_test(tc, map_is_populated);
	tcase_add_test(tc, bytes_stay);
	tcase_add_test(tc, nothing_beside_blocks);
	tcase_add_test(tc, spliced);
	tcase_add_test(tc, map_can_be_pinned);
	tcase_add_test(tc, map_pinned_for_long);
	if (has_ram_disk())
		tcase_add_test(tc, map_has_direct_io);
	else
		skip_test("map_has_direct_io", "no RAM disk here");
	tcase_add_test(tc, map_of_a_freed_block);
	if (can_poison())
		tcase_add_test(tc, poisoned);
	else
		skip_test("poisoned", "this kernel cannot be told that memory is broken");
	suite_add_tcase(suite, tc);

	tc = tcase_create("races");
	tcase_add_checked_fixture(tc, clean_up, NULL);
	tcase_add_test(tc, racing_frees);
	tcase_add_test(tc, racing_everything);
	tcase_add_test(tc, racing_free_and_fault);
	if (has_ram_disk() && has_userfaultfd())
		tcase_add_test(tc, free_beside_direct_io);
	else
		skip_test("free_beside_direct_io", "no RAM disk here, or no userfaultfd");
	tcase_add_test(tc, contested_arguments);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
