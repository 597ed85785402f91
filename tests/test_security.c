// SPDX-License-Identifier: GPL-2.0
/*
 * No user, whatever he does, gets an address of the kernel, or memory that was
 * somebody else's, out of any module; none fills the log, or memory without end;
 * and each file lets in only those whom it should.
 */
#define _GNU_SOURCE
#include "ramfs.h"

#include <fnmatch.h>
#include <ftw.h>
#include <glob.h>
#include <kmodkit/echo.h>
#include <kmodkit/irq_events.h>
#include <kmodkit/mempool.h>
#include <kmodkit/syscall_ext.h>
#include <linux/falloc.h>
#include <regex.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define TRACING "/sys/kernel/tracing"
#define EVENTS TRACING "/events/kmk_"
#define MEMPOOL_DEBUGFS "/sys/kernel/debug/kmk_mempool"
#define KPTR_RESTRICT "/proc/sys/kernel/kptr_restrict"

static const struct {
	const char *name, *params, *params_for_users;
} modules[] = {
	{ "kmk_minimal", "", "" },
	{ "kmk_echo", "", "mode=0666" },
	{ "kmk_proc", "", "" },
	{ "kmk_irq", "irq=-1", "irq=-1 mode=0666" },
	{ "kmk_syscall", "", "" },
	{ "kmk_mempool", "", "mode=0666" },
	{ "kmk_ramfs", "", "" },
};

#define MODULES (sizeof(modules) / sizeof(*modules))

/* A test that failed has left them. */
static void unload_leftovers(void)
{
	umount2(MNT, MNT_DETACH);
	module_unload("kmk_mempool_test");
	for (size_t i = 0; i < MODULES; i++)
		if (module_loaded(modules[i].name))
			wait_until(!module_unload(modules[i].name));
}

static void load_all(void)
{
	unload_leftovers();
	for (size_t i = 0; i < MODULES; i++)
		ck_assert_int_eq(module_load(modules[i].name, modules[i].params_for_users), 0);
	ck_assert_int_eq(cramfs_mount("mode=1777,debug"), 0);
}

static void unload_all(void)
{
	ck_ok(umount2(MNT, 0));
	for (size_t i = 0; i < MODULES; i++)
		ck_assert_int_eq(module_unload(modules[i].name), 0);
}

static __u64 new_block(int fd, size_t size)
{
	struct kmk_mempool_alloc arg = { .size = size };

	ck_ok(ioctl(fd, MEMPOOL_IOC_ALLOC, &arg));
	return arg.handle;
}

/* Something of everything, so that every output has something to show. */
static void use_all(void)
{
	struct custom_syscall_data call = { CUSTOM_SYSCALL_ADD, 1, 2, 0 };
	int echo, fifo, irq, syscall, mempool, file;
	char bytes[7];

	echo = ck_ok(open("/dev/echo", O_RDWR | O_CLOEXEC));
	ck_assert_int_eq(pwrite(echo, "message", 7, 0), 7);
	ck_assert_int_eq(pread(echo, bytes, 7, 0), 7);
	fifo = ck_ok(open("/dev/echo_fifo", O_RDWR | O_CLOEXEC));
	ck_assert_int_eq(write(fifo, "bytes", 5), 5);
	ck_assert_int_eq(spew("/proc/rust_proc", "an entry\n"), 0);
	irq = ck_ok(open("/dev/irq_events", O_RDONLY | O_CLOEXEC));
	ck_assert_int_eq(spew("/sys/class/misc/irq_events/trigger", "3"), 0);
	syscall = ck_ok(open("/dev/syscall_ext", O_RDWR | O_CLOEXEC));
	ck_ok(custom_syscall(syscall, &call));
	mempool = ck_ok(open("/dev/mempool", O_RDWR | O_CLOEXEC));
	new_block(mempool, PAGE);
	/* a pool and a manager that stay, and misuses of others */
	ck_assert_int_eq(module_load("kmk_mempool_test", "keep=1"), 0);
	ck_assert(file_has("/sys/kernel/debug/kmk_mempool_test/pool_overrun", "ok\n"));
	ck_assert(file_has("/sys/kernel/debug/kmk_mempool_test/mem_misuse", "ok\n"));
	file = new_file(MNT "/file");
	ck_assert_int_eq(write(file, "bytes", 5), 5);
	ck_ok(ftruncate(file, 0));
	close(file);
	ck_ok(unlink(MNT "/file"));
	/* the files stay open: their fdinfo is an output too */
	(void)irq;
}

/* ---- addresses ---- */

static regex_t address;		/* as %px prints one, and %016lx */
static int files_read;

static void check_text(const char *path, const char *text)
{
	regmatch_t match;

	if (regexec(&address, text, 1, &match, 0))
		return;
	ck_abort_msg("%s: shows %.*s", path, (int)(match.rm_eo - match.rm_so),
		     text + match.rm_so);
}

/* All of it: a read of some files ends at a page. Files that block or are written only are not. */
static int check_file(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	static char text[1 << 20];
	size_t size = 0;
	ssize_t n;
	int fd;

	(void)st;
	(void)walk;
	if (type != FTW_F)
		return 0;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return 0;
	while ((n = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
		size += n;
	close(fd);
	if (n < 0)
		return 0;
	ck_assert_msg(size < sizeof(text) - 1, "%s: too long", path);
	text[size] = '\0';
	check_text(path, text);
	files_read++;
	return 0;
}

static void check_tree(const char *path)
{
	int before = files_read;
	char *target = realpath(path, NULL);

	ck_assert_msg(target, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(nftw(target, check_file, 16, FTW_PHYS), 0);
	ck_assert_msg(files_read > before, "%s: nothing to read", path);
	free(target);
}

/* The kernel's own lines of other things are none of ours. */
static void check_lines(const char *path, const char *mark)
{
	char *text = slurp(path), *line, *rest = text;

	while ((line = strsep(&rest, "\n")))
		if (strstr(line, mark))
			check_text(path, line);
	free(text);
}

static void check_log(void)
{
	int fd = ck_ok(open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
	char record[8192];
	int ours = 0;
	ssize_t n;

	while ((n = read(fd, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		record[n > 0 ? n : 0] = '\0';
		if (strstr(record, "kmk_")) {
			check_text("the kernel log", record);
			ours++;
		}
	}
	close(fd);
	ck_assert_int_gt(ours, 0);
}

static void trace_all(const char *on)
{
	static const char * const events[] = { "echo", "irq", "mempool", "ramfs" };
	char path[64];

	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++) {
		snprintf(path, sizeof(path), EVENTS "%s/enable", events[i]);
		ck_assert_int_eq(spew(path, on), 0);
	}
}

/* Each file that shows pointers, or could, has something to show. */
static void check_all_is_shown(void)
{
	static const struct {
		const char *path, *text;
	} shown[] = {
		/* whose caller was the code of a module's init, which is gone by now */
		{ TRACING "/trace", "kmk_mempool_misuse: name=kept pool block=" },
		{ TRACING "/trace", "kmk_mempool_misuse: name=test pool block=" },
		{ TRACING "/trace", "kmk_mempool_misuse: name=test manager block=" },
		{ TRACING "/trace", " caller=mem_misuse+" },
		{ TRACING "/trace", "kmk_echo_write: " },
		{ TRACING "/trace", "kmk_echo_read: " },
		{ TRACING "/trace", "kmk_irq_event: " },
		{ TRACING "/trace", "cramfs_new_inode: " },
		{ TRACING "/trace", "cramfs_evict_inode: " },
		{ TRACING "/trace", "cramfs_insert: " },
		{ TRACING "/trace", "cramfs_remove: " },
		{ MEMPOOL_DEBUGFS "/pools", "\nkept\\040pool 100 " },
		{ MEMPOOL_DEBUGFS "/managers", "\nkept\\040manager 1 " },
		{ MEMPOOL_DEBUGFS "/device", "blocks 1\n" },
		{ "/proc/rust_proc", "an entry\n" },
		{ "/proc/mounts", " cramfs " },
	};

	for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++)
		ck_assert_msg(file_has(shown[i].path, shown[i].text), "%s: no %s",
			      shown[i].path, shown[i].text);
	ck_assert_int_gt(log_count("kmk_mempool: test pool: free of "), 0);
	ck_assert_int_gt(log_count("kmk_mempool: test manager: free of "), 0);
}

START_TEST(no_address_in_any_output)
{
	static const char * const trees[] = {
		"/sys/class/misc/echo", "/sys/class/misc/echo_fifo",
		"/sys/class/misc/irq_events", "/sys/class/misc/syscall_ext",
		"/sys/class/misc/mempool", MEMPOOL_DEBUGFS,
		"/sys/kernel/debug/kmk_ramfs", "/proc/self/fdinfo", "/proc/rust_proc",
		"/proc/interrupts", TRACING "/trace",
	};
	char path[64];

	ck_assert_int_eq(regcomp(&address, "[fF]{4}[0-9a-fA-F]{12}", REG_EXTENDED), 0);
	check_text("a sentence without one", "0000000012345678 ffff 123");
	ck_assert_int_eq(regexec(&address, "at ffff888012345678.", 0, NULL, 0), 0);

	ck_assert_int_eq(spew(KPTR_RESTRICT, "0"), 0);
	load_all();
	log_mark();
	ck_assert_int_eq(spew(TRACING "/trace", ""), 0);
	trace_all("1");
	use_all();
	trace_all("0");
	check_all_is_shown();
	for (size_t i = 0; i < sizeof(trees) / sizeof(*trees); i++)
		check_tree(trees[i]);
	for (size_t i = 0; i < MODULES; i++) {
		snprintf(path, sizeof(path), "/sys/module/%s/parameters", modules[i].name);
		if (exists(path))
			check_tree(path);
	}
	check_lines("/proc/mounts", "cramfs");
	check_log();
	for (int fd = 3; fd < 16; fd++)
		close(fd);
	ck_assert_int_eq(module_unload("kmk_mempool_test"), 0);
	unload_all();
}
END_TEST

/* ---- other people's memory ---- */

#define DIRT 0xa5

#define SOILED (64 << 20)
#define PIPES 32
#define PIPE (256 * PAGE)

/*
 * Have the memory that is given out next hold DIRT, as if a process with secrets had ended:
 * its own memory, and the kernel's, which comes from other lists, here what is in pipes.
 */
static void soil_memory(void)
{
	pid_t pid = spawn();
	int ends[2];

	if (!pid) {
		void *all = mmap(NULL, SOILED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				 -1, 0);

		ck_assert_ptr_ne(all, MAP_FAILED);
		memset(all, DIRT, SOILED);
		for (int i = 0; i < PIPES; i++) {
			ck_ok(pipe(ends));
			ck_ok(fcntl(ends[1], F_SETPIPE_SZ, PIPE));
			ck_assert_int_eq(write(ends[1], all, PIPE), PIPE);
		}
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
}

static void check_clean(const char *what, const void *bytes, size_t size)
{
	const char *dirty = memchr(bytes, DIRT, size);

	ck_assert_msg(!dirty, "%s: byte %td is not its own", what,
		      dirty - (const char *)bytes);
}

static void as_a_user(void (*work)(void))
{
	pid_t pid = spawn();

	if (!pid) {
		drop_root();
		work();
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
}

/* Or the tests below show nothing. */
START_TEST(memory_is_soiled)
{
	soil_memory();
	log_mark();
	ck_assert_int_eq(module_load("kmk_fault", "fault=dirt"), 0);
	ck_assert_int_eq(module_unload("kmk_fault"), 0);
	ck_assert_int_eq(log_count("kmk_fault: dirty pages: "), 1);
	ck_assert_int_eq(log_count(" 0 of the kernel"), 0);
	ck_assert_int_eq(log_count(" 0 of files"), 0);
}
END_TEST

static void look_into_files(void)
{
	static char bytes[64 * PAGE];
	int fd, i;
	char *map;

	for (i = 0; i < 200; i++) {
		fd = new_file(MNT "/file");
		/* a part of a page; a hole; a page from the middle; reserved pages */
		ck_assert_int_eq(pwrite(fd, "x", 1, 100), 1);
		ck_assert_int_eq(pwrite(fd, "x", 1, 10 * PAGE + 17), 1);
		ck_ok(fallocate(fd, 0, 20 * PAGE, 20 * PAGE));
		ck_ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 25 * PAGE + 1,
				PAGE));
		ck_ok(ftruncate(fd, sizeof(bytes) - 50));
		ck_assert_int_eq(pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes) - 50);
		check_clean("read", bytes, sizeof(bytes) - 50);
		/* the end of the last page too, which only a map shows */
		map = mmap(NULL, sizeof(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		ck_assert_ptr_ne(map, MAP_FAILED);
		map[50 * PAGE] = 'x';
		check_clean("map", map, sizeof(bytes));
		ck_ok(munmap(map, sizeof(bytes)));
		close(fd);
		ck_ok(unlink(MNT "/file"));
	}
}

START_TEST(nothing_old_in_a_file)
{
	load_all();
	soil_memory();
	as_a_user(look_into_files);
	unload_all();
}
END_TEST

static void look_into_names(void)
{
	static char bytes[65536];
	char target[300];

	memset(target, 't', sizeof(target));
	for (size_t n = 1; n < sizeof(target); n++) {
		target[n] = '\0';
		ck_ok(symlink(target, MNT "/link"));
		ck_assert_int_eq(readlink(MNT "/link", bytes, sizeof(bytes)), n);
		check_clean("readlink", bytes, n);
		ck_ok(unlink(MNT "/link"));
		target[n] = 't';
	}
	close(new_file(MNT "/file"));
	for (size_t n = 0; n < sizeof(bytes) - 300; n += 997) {
		memset(bytes, 'v', n);
		ck_ok(setxattr(MNT "/file", "user.value", bytes, n, 0));
		ck_assert_int_eq(getxattr(MNT "/file", "user.value", bytes, sizeof(bytes)), n);
		check_clean("getxattr", bytes, n);
		ck_assert_int_eq(listxattr(MNT "/file", bytes, sizeof(bytes)), 11);
		check_clean("listxattr", bytes, 11);
	}
	ck_ok(unlink(MNT "/file"));
}

START_TEST(nothing_old_in_a_name)
{
	load_all();
	soil_memory();
	as_a_user(look_into_names);
	unload_all();
}
END_TEST

static void look_into_echoes(void)
{
	static char bytes[256 * PAGE];
	struct echo_stats echo;
	int fd;

	fd = ck_ok(open("/dev/echo", O_RDWR | O_CLOEXEC));
	ck_assert_int_eq(pwrite(fd, "x", 1, 4095), 1);
	ck_assert_int_eq(pread(fd, bytes, sizeof(bytes), 0), 4096);
	check_clean("/dev/echo", bytes, 4096);
	ck_ok(ioctl(fd, ECHO_IOC_GET_STATS, &echo));
	check_clean("ECHO_IOC_GET_STATS", &echo, sizeof(echo));
	close(fd);

	fd = ck_ok(open("/dev/echo_fifo", O_RDWR | O_NONBLOCK | O_CLOEXEC));
	for (int i = 1; i < 3000; i += 7) {
		memset(bytes, 'f', i);
		ck_assert_int_eq(write(fd, bytes, i), i);
		ck_assert_int_eq(read(fd, bytes, sizeof(bytes)), i);
		check_clean("/dev/echo_fifo", bytes, i);
	}
	ck_ok(ioctl(fd, ECHO_IOC_GET_STATS, &echo));
	echo.bytes_read = 0;		/* which may be any number */
	echo.bytes_written = 0;
	check_clean("ECHO_IOC_GET_STATS of the FIFO", &echo, sizeof(echo));
	close(fd);
}

START_TEST(nothing_old_in_an_echo)
{
	soil_memory();
	ck_assert_int_eq(module_load("kmk_echo", ""), 0);
	soil_memory();
	as_a_user(look_into_echoes);
	ck_assert_int_eq(module_unload("kmk_echo"), 0);
}
END_TEST

START_TEST(nothing_old_in_an_event)
{
	struct kmk_irq_event events[100];
	int fd;

	soil_memory();
	ck_assert_int_eq(module_load("kmk_irq", "irq=-1"), 0);
	fd = ck_ok(open("/dev/irq_events", O_RDONLY | O_CLOEXEC));
	ck_assert_int_eq(spew("/sys/class/misc/irq_events/trigger", "100"), 0);
	ck_assert_int_eq(read(fd, events, sizeof(events)), sizeof(events));
	for (int i = 0; i < 100; i++) {
		events[i].timestamp_ns = 0;	/* which may be any number */
		check_clean("/dev/irq_events", &events[i], sizeof(events[i]));
		ck_assert_uint_eq(events[i].seq, i + 1);
		ck_assert_uint_eq(events[i].flags, 0);
		ck_assert_uint_eq(events[i].reserved, 0);
	}
	close(fd);
	ck_assert_int_eq(module_unload("kmk_irq"), 0);
}
END_TEST

/* In slots that hold shorter and longer entries, one after the other. */
START_TEST(nothing_old_in_an_entry)
{
	char entries[2000], *text;

	soil_memory();
	ck_assert_int_eq(module_load("kmk_proc", "max_entries=50"), 0);
	for (size_t n = 1; n < sizeof(entries); n++) {
		for (size_t i = 0; i < n; i++)
			entries[i] = i % 31 == 30 ? '\n' : 'e';
		entries[n] = '\0';
		ck_assert_int_eq(spew("/proc/rust_proc", entries), 0);
		text = slurp("/proc/rust_proc");
		check_clean("/proc/rust_proc", text, strlen(text));
		ck_assert(strstr(text, "\ne"));
		free(text);
	}
	ck_assert_int_eq(module_unload("kmk_proc"), 0);
}
END_TEST

static void look_into_blocks(void)
{
	static char bytes[256 * PAGE];
	struct kmk_mempool_stats pool;
	struct kmk_mempool_query query = { 0 };
	char *map;
	int fd;

	fd = ck_ok(open("/dev/mempool", O_RDWR | O_CLOEXEC));
	for (int i = 0; i < 32; i++) {
		query.handle = new_block(fd, sizeof(bytes) - 9);
		ck_assert_int_eq(pread(fd, bytes, sizeof(bytes), query.handle), sizeof(bytes) - 9);
		check_clean("/dev/mempool", bytes, sizeof(bytes) - 9);
		map = mmap(NULL, sizeof(bytes), PROT_READ, MAP_SHARED, fd, query.handle);
		ck_assert_ptr_ne(map, MAP_FAILED);
		check_clean("a mapping of /dev/mempool", map, sizeof(bytes));
		ck_ok(munmap(map, sizeof(bytes)));
	}
	ck_ok(ioctl(fd, MEMPOOL_IOC_QUERY, &query));
	check_clean("MEMPOOL_IOC_QUERY", &query, sizeof(query));
	ck_ok(ioctl(fd, MEMPOOL_IOC_STATS, &pool));
	check_clean("MEMPOOL_IOC_STATS", &pool, sizeof(pool));
	close(fd);
}

START_TEST(nothing_old_in_a_block)
{
	ck_assert_int_eq(module_load("kmk_mempool", "mode=0666"), 0);
	soil_memory();
	as_a_user(look_into_blocks);
	ck_assert_int_eq(module_unload("kmk_mempool"), 0);
}
END_TEST

/* ---- what an unprivileged user can fill ---- */

/* A bad call of each kind that the node has, and that the log could tell of. */
static void call_badly(int fd)
{
	unsigned char garbage[256];
	char *bad = (char *)BAD_POINTER;

	memset(garbage, 0xff, sizeof(garbage));
	for (unsigned int nr = 0; nr < 6; nr++) {
		ioctl(fd, _IOWR(ECHO_IOC_MAGIC, nr, garbage), garbage);
		ioctl(fd, _IOWR(CUSTOM_SYSCALL_MAGIC, nr, struct custom_syscall_data), garbage);
		ioctl(fd, _IOW(CUSTOM_SYSCALL_MAGIC, nr, struct custom_syscall_batch), garbage);
		ioctl(fd, _IOWR(MEMPOOL_IOC_MAGIC, nr, struct kmk_mempool_alloc), garbage);
		ioctl(fd, _IOW(MEMPOOL_IOC_MAGIC, nr, struct kmk_mempool_free), bad);
		ioctl(fd, _IOWR(MEMPOOL_IOC_MAGIC, nr, struct kmk_mempool_query), bad);
	}
	read(fd, bad, 100);
	write(fd, bad, 100);
	read(fd, garbage, 1);
	pwrite(fd, garbage, sizeof(garbage), -1);
	pwrite(fd, garbage, sizeof(garbage), INT64_MAX);
	lseek(fd, -1, SEEK_SET);
	ftruncate(fd, INT64_MAX);
	fallocate(fd, 0xff, -1, -1);
	fsetxattr(fd, "nonsense", garbage, sizeof(garbage), 0);
	mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 1ULL << 40);
}

START_TEST(nobody_floods_the_log)
{
	static const char * const nodes[] = {
		"/dev/echo", "/dev/echo_fifo", "/proc/rust_proc", "/dev/irq_events",
		"/dev/syscall_ext", "/dev/mempool", MNT "/file",
		"/sys/class/misc/irq_events/trigger", "/sys/class/misc/irq_events/count",
		MNT, MNT "/none",
	};
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	pid_t pid;

	load_all();
	close(new_file(MNT "/file"));
	ck_ok(chmod(MNT "/file", 0666));
	log_mark();
	pid = spawn();
	if (!pid) {
		int opened = 0;

		drop_root();
		for (int round = 0; round < 300; round++)
			for (size_t i = 0; i < 3 * sizeof(nodes) / sizeof(*nodes); i++) {
				int fd = open(nodes[i / 3], modes[i % 3] | O_NONBLOCK | O_CLOEXEC);

				if (fd < 0)
					continue;
				opened++;
				call_badly(fd);
				close(fd);
			}
		/* each of the nodes but the sysfs file and the two that are no files */
		ck_assert_int_ge(opened, 300 * (3 * 6 + 1));
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_le(log_count(""), 10);
	ck_ok(unlink(MNT "/file"));
	unload_all();
}
END_TEST

#define MIB (256 * PAGE)
#define USERNS "/tmp/userns"

/* Bytes that the open files of an unprivileged user cost his cgroup. */
#define FILES 90000

static long long cost_of_files(const char *node)
{
	struct rlimit limit = { FILES + 100, FILES + 100 };
	long long before;
	int ends[2];
	pid_t pid;

	ck_ok(pipe(ends));
	pid = spawn();
	if (!pid) {
		ck_ok(setrlimit(RLIMIT_NOFILE, &limit));
		ck_assert_int_eq(spew(CGROUP "/cgroup.procs", "0"), 0);
		drop_root();
		before = charged();
		for (int i = 0; i < FILES; i++)
			if (open(node, O_RDONLY) < 0)
				ck_abort_msg("%s: %s", node, strerror(errno));
		before = charged() - before;
		ck_assert_int_eq(write(ends[1], &before, sizeof(before)), sizeof(before));
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_eq(read(ends[0], &before, sizeof(before)), sizeof(before));
	close(ends[0]);
	close(ends[1]);
	/* RCU frees them, in its time, and that is not to count for the next ones */
	wait_until(charged() < MIB);
	return before;
}

/*
 * More than files that have nothing of a module's; no structure is smaller than two longs, of
 * which one is left for what each processor charges in advance: 64 pages or so.
 */
START_TEST(open_files_are_charged)
{
	static const char * const nodes[] = { "/dev/irq_events" };
	long long cost, plain;

	load_all();
	make_cgroup();
	ck_assert_int_eq(spew("/proc/sys/fs/file-max", "100000"), 0);
	plain = cost_of_files("/dev/null");
	for (size_t i = 0; i < sizeof(nodes) / sizeof(*nodes); i++) {
		cost = cost_of_files(nodes[i]);
		ck_assert_msg(cost - plain > (long long)sizeof(long) * FILES,
			      "%s: %lld bytes, and %lld of /dev/null", nodes[i], cost, plain);
	}
	wait_until(!rmdir(CGROUP));
	unload_all();
}
END_TEST

/* Each fills a cramfs that has no limit of its own. */
static void fill_with_data(void)
{
	static char bytes[MIB];
	int fd = new_file(USERNS "/file");

	while (write(fd, bytes, sizeof(bytes)) > 0)
		;
}

static void fill_with_names(void)
{
	char path[300];

	for (int i = 0; ; i++) {
		snprintf(path, sizeof(path), USERNS "/%0200d", i);
		if (mkdir(path, 0755))
			break;
	}
}

static void fill_with_attributes(void)
{
	static char value[60000];
	char name[32];

	close(new_file(USERNS "/file"));
	for (int i = 0; ; i++) {
		snprintf(name, sizeof(name), "user.%d", i);
		if (setxattr(USERNS "/file", name, value, sizeof(value), 0))
			break;
	}
}

static void fill_with_links(void)
{
	static char target[4000];
	char path[64];

	memset(target, 't', sizeof(target) - 1);
	for (int i = 0; ; i++) {
		snprintf(path, sizeof(path), USERNS "/%d", i);
		if (symlink(target, path))
			break;
	}
}

static void (*const fills[])(void) = {
	fill_with_data, fill_with_names, fill_with_attributes, fill_with_links,
};

#define HIGH (24 * MIB)

/*
 * Root of a user namespace chooses the options, so only the memory cgroup limits him. At
 * memory.high it stops him without the report of the kernel's that a kill at memory.max
 * comes with; both are limits of the same count. Nobody else is harmed, and all comes back.
 */
START_TEST(user_namespace_has_the_cgroup)
{
	int status, file;
	pid_t pid;

	load_all();
	make_cgroup();
	ck_assert_int_eq(spew(CGROUP "/memory.high", "25165824"), 0);
	file = new_file(MNT "/outside");
	mkdir(USERNS, 0777);
	ck_ok(chmod(USERNS, 0777));
	pid = spawn();
	if (!pid) {
		ck_assert_int_eq(spew(CGROUP "/cgroup.procs", "0"), 0);
		drop_root();
		enter_userns();
		ck_assert_int_eq(cramfs_mount_at(USERNS, "size=0,nr_inodes=0"), 0);
		fills[_i]();
		_exit(1);
	}
	wait_until(charged() >= HIGH && !file_has(CGROUP "/memory.events", "\nhigh 0\n"));
	ck_assert_int_eq(write(file, "alive", 5), 5);
	close(file);
	ck_assert_int_lt(charged(), HIGH + HIGH / 2);
	ck_ok(kill(pid, SIGKILL));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	wait_until(charged() < MIB);
	wait_until(!rmdir(CGROUP));
	rmdir(USERNS);
	ck_ok(unlink(MNT "/outside"));
	unload_all();
}
END_TEST

/* ---- who may open what ---- */

#define DEVICES "{echo,echo_fifo,irq_events,syscall_ext,mempool}"
#define MISC "/sys/class/misc/"
#define PARAMETERS(module) "/sys/module/kmk_" module "/parameters/"
#define DEBUGFS "/sys/kernel/debug/"

/* All of them root's, as SECURITY.md has it. */
static const struct {
	const char *pattern;
	mode_t mode;
} permissions[] = {
	{ "/dev/echo", S_IFCHR | 0666 },
	{ "/dev/echo_fifo", S_IFCHR | 0666 },
	{ "/dev/irq_events", S_IFCHR | 0600 },
	{ "/dev/syscall_ext", S_IFCHR | 0666 },
	{ "/dev/mempool", S_IFCHR | 0600 },
	{ "/proc/rust_proc", S_IFREG | 0644 },
	{ MISC "echo/capacity", S_IFREG | 0444 },
	{ MISC "echo/length", S_IFREG | 0444 },
	{ MISC "echo/open_count", S_IFREG | 0444 },
	{ MISC "echo/bytes_read", S_IFREG | 0444 },
	{ MISC "echo/bytes_written", S_IFREG | 0444 },
	{ MISC "echo_fifo/capacity", S_IFREG | 0444 },
	{ MISC "echo_fifo/length", S_IFREG | 0444 },
	{ MISC "echo_fifo/open_count", S_IFREG | 0444 },
	{ MISC "echo_fifo/bytes_read", S_IFREG | 0444 },
	{ MISC "echo_fifo/bytes_written", S_IFREG | 0444 },
	{ MISC "irq_events/irq", S_IFREG | 0444 },
	{ MISC "irq_events/count", S_IFREG | 0444 },
	{ MISC "irq_events/per_cpu_count", S_IFREG | 0444 },
	{ MISC "irq_events/dropped", S_IFREG | 0444 },
	{ MISC "irq_events/trigger", S_IFREG | 0200 },
	{ PARAMETERS("minimal") "my_param", S_IFREG | 0644 },
	{ PARAMETERS("echo") "capacity", S_IFREG | 0444 },
	{ PARAMETERS("echo") "mode", S_IFREG | 0444 },
	{ PARAMETERS("echo") "greeting", S_IFREG | 0444 },
	{ PARAMETERS("proc") "max_entries", S_IFREG | 0444 },
	{ PARAMETERS("proc") "greeting", S_IFREG | 0444 },
	{ PARAMETERS("irq") "irq", S_IFREG | 0444 },
	{ PARAMETERS("irq") "ring_size", S_IFREG | 0444 },
	{ PARAMETERS("irq") "claim", S_IFREG | 0444 },
	{ PARAMETERS("irq") "mode", S_IFREG | 0444 },
	{ PARAMETERS("syscall") "mode", S_IFREG | 0444 },
	{ PARAMETERS("mempool") "max_bytes", S_IFREG | 0444 },
	{ PARAMETERS("mempool") "mode", S_IFREG | 0444 },
	{ PARAMETERS("ramfs") "fstype", S_IFREG | 0444 },
	{ DEBUGFS "kmk_mempool", S_IFDIR | 0755 },
	{ DEBUGFS "kmk_mempool/device", S_IFREG | 0444 },
	{ DEBUGFS "kmk_mempool/managers", S_IFREG | 0444 },
	{ DEBUGFS "kmk_mempool/pools", S_IFREG | 0444 },
	{ DEBUGFS "kmk_ramfs", S_IFDIR | 0755 },
	{ DEBUGFS "kmk_ramfs/0:*", S_IFDIR | 0755 },
	{ DEBUGFS "kmk_ramfs/0:*/pages", S_IFREG | 0400 },
	{ DEBUGFS "kmk_ramfs/0:*/pages_high", S_IFREG | 0400 },
	{ DEBUGFS "kmk_ramfs/0:*/inodes", S_IFREG | 0400 },
	{ DEBUGFS "kmk_ramfs/0:*/inodes_high", S_IFREG | 0400 },
};

#define PERMISSIONS (sizeof(permissions) / sizeof(*permissions))

static void find(const char *pattern, int flags, glob_t *found)
{
	ck_assert_msg(!glob(pattern, GLOB_BRACE | flags, NULL, found), "%s: none", pattern);
}

static size_t count(const char *pattern)
{
	glob_t found;
	size_t n;

	find(pattern, 0, &found);
	n = found.gl_pathc;
	globfree(&found);
	return n;
}

/* Whether every device has that file. */
static bool is_the_kernels(const char *path)
{
	static const char * const names[] = { "dev", "uevent", "power", "subsystem" };
	const char *name = strrchr(path, '/') + 1;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return !strncmp(path, MISC, strlen(MISC));
	return false;
}

/* Which of the table it is. */
static size_t permission_of(const char *path)
{
	for (size_t i = 0; i < PERMISSIONS; i++)
		if (!fnmatch(permissions[i].pattern, path, FNM_PATHNAME))
			return i;
	ck_abort_msg("%s: of unknown permissions", path);
}

static void ck_permission(const char *path, mode_t mode)
{
	struct stat st = stat_of(path);

	ck_assert_msg(st.st_mode == mode, "%s: mode %o, not %o", path, st.st_mode, mode);
	ck_assert_msg(!st.st_uid && !st.st_gid, "%s: of %u:%u", path, st.st_uid, st.st_gid);
}

static void ck_open(const char *path, int flags, bool may)
{
	int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC), err = errno;

	ck_assert_msg(may ? fd >= 0 : fd < 0 && err == EACCES, "%s, flags %d: %s", path, flags,
		      fd < 0 ? strerror(err) : "opened");
	if (fd >= 0)
		close(fd);
}

/* Nobody but root gets into debugfs, whatever the mode of a file there. */
static void ck_user_opens(const char *path, mode_t mode)
{
	bool outside = strncmp(path, DEBUGFS, strlen(DEBUGFS));

	if (S_ISDIR(mode)) {
		ck_open(path, O_RDONLY, outside);
		return;
	}
	ck_open(path, O_RDONLY, outside && mode & 04);
	ck_open(path, O_WRONLY, outside && mode & 02);
}

/* All that the modules made, but what the kernel adds to each device. */
static void check_found(const glob_t *found, bool *seen, void (*check)(const char *, mode_t))
{
	for (size_t i = 0; i < found->gl_pathc; i++) {
		size_t which;

		if (is_the_kernels(found->gl_pathv[i]))
			continue;
		which = permission_of(found->gl_pathv[i]);
		check(found->gl_pathv[i], permissions[which].mode);
		seen[which] = true;
	}
}

START_TEST(permissions_of_all)
{
	/* a device, or a file in /proc, that the table does not know is seen by their number */
	static const char * const grows[] = { "/dev/*", "/proc/[!0-9]*" };
	size_t before[2], known[2] = { 0 }, i, k, more;
	bool seen[PERMISSIONS] = { false };
	glob_t found;
	pid_t pid;

	unload_leftovers();
	for (k = 0; k < 2; k++)
		before[k] = count(grows[k]);
	for (i = 0; i < MODULES; i++)
		ck_assert_int_eq(module_load(modules[i].name, modules[i].params), 0);
	ck_assert_int_eq(cramfs_mount("debug"), 0);

	find("/dev/" DEVICES, 0, &found);
	find("/proc/rust_proc", GLOB_APPEND, &found);
	find(MISC DEVICES "/*", GLOB_APPEND, &found);
	find(PARAMETERS("*") "*", GLOB_APPEND, &found);
	find(DEBUGFS "kmk_*{,/*,/*/*}", GLOB_APPEND, &found);
	check_found(&found, seen, ck_permission);
	for (i = 0; i < PERMISSIONS; i++) {
		ck_assert_msg(seen[i], "%s: is not there", permissions[i].pattern);
		for (k = 0; k < 2; k++)
			known[k] += !fnmatch(grows[k], permissions[i].pattern, FNM_PATHNAME);
	}
	for (k = 0; k < 2; k++) {
		more = count(grows[k]) - before[k];
		ck_assert_msg(more == known[k], "%zu more of %s, and %zu are known", more,
			      grows[k], known[k]);
	}

	pid = spawn();
	if (!pid) {
		drop_root();
		check_found(&found, seen, ck_user_opens);
		/* Linux 6.17 loses tracefs' own mode, 0700, when it is mounted: 0755 */
		if (stat_of(TRACING).st_mode & 0001)
			printf("# tracefs is open to everybody on this kernel\n");
		else
			ck_open(TRACING "/events", O_RDONLY, false);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	globfree(&found);
	unload_all();
}
END_TEST

/* Elsewhere an address of the kernel looks like any other number. */
static bool kernel_lies_high(void)
{
	struct utsname names;

	return sizeof(long) == 8 && !uname(&names) && !strstr(names.machine, "s390");
}

/* As slub_debug has it where hash_pointers=always is not known; the kernel says so. */
static bool shows_addresses(void)
{
	static char log[1 << 20];

	return klogctl(3 /* SYSLOG_ACTION_READ_ALL */, log, sizeof(log) - 1) > 0 &&
		strstr(log, "unhashed kernel memory addresses");
}

int main(void)
{
	Suite *suite = suite_create("security");
	TCase *tc = tcase_create("addresses");

	if (!kernel_lies_high())
		skip_test("no_address_in_any_output",
			  "an address of this kernel looks like any other number");
	else if (shows_addresses())
		skip_test("no_address_in_any_output",
			  "this kernel was told to show addresses, or takes slub_debug for that");
	else
		tcase_add_test(tc, no_address_in_any_output);
	suite_add_tcase(suite, tc);

	tc = tcase_create("memory");
	tcase_add_test(tc, memory_is_soiled);
	tcase_add_test(tc, nothing_old_in_a_file);
	tcase_add_test(tc, nothing_old_in_a_name);
	tcase_add_test(tc, nothing_old_in_an_echo);
	tcase_add_test(tc, nothing_old_in_an_event);
	tcase_add_test(tc, nothing_old_in_an_entry);
	tcase_add_test(tc, nothing_old_in_a_block);
	suite_add_tcase(suite, tc);

	tc = tcase_create("limits");
	tcase_add_test(tc, nobody_floods_the_log);
	if (has_memory_cgroups()) {
		if (keeps_freed_memory())
			skip_test("open_files_are_charged", KEEPS_FREED_MEMORY);
		else
			tcase_add_test(tc, open_files_are_charged);
		tcase_add_loop_test(tc, user_namespace_has_the_cgroup, 0,
				    sizeof(fills) / sizeof(*fills));
	} else {
		skip_test("open_files_are_charged", "this kernel has no memory cgroups");
		skip_test("user_namespace_has_the_cgroup", "this kernel has no memory cgroups");
	}
	suite_add_tcase(suite, tc);

	tc = tcase_create("permissions");
	tcase_add_test(tc, permissions_of_all);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
