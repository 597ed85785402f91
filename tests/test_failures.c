// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation of a slab or of a page, and most copies to or from a user, fail once.
 *
 * Fault injection lets the Nth step of a system call fail that can; N counts up
 * until the call passes with nothing to let fail. Each time the caller is either
 * told of an error, or served all the same; nothing else has changed, which the
 * test shows by use; and the machine looks for reports and leaks. Out of its reach
 * are per-CPU memory, put_user(), get_user() and unsafe_*().
 */
#define _GNU_SOURCE
#include "ramfs.h"

#include <fcntl.h>
#include <kmodkit/echo.h>
#include <kmodkit/irq_events.h>
#include <kmodkit/mempool.h>
#include <kmodkit/syscall_ext.h>
#include <liburing.h>
#include <linux/falloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof(*(array))))

/* No call has more steps that can fail. */
#define STEPS_MAX 5000

static int fail_nth = -1;
/* The file that the call at hand is made on. */
static int fd = -1;

static char text[65536];
static char got[sizeof(text)];

static void fill(void)
{
	fill_pattern(text, sizeof(text), 1);
}

static bool has_fault_injection(void)
{
	return exists("/proc/self/fail-nth") && exists("/sys/kernel/debug/failslab");
}

static const char * const kinds[] = { "failslab", "fail_page_alloc", "fail_usercopy" };

static void set_failures(const char *option, const char *value)
{
	char path[128];

	for (int i = 0; i < COUNT(kinds); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", kinds[i], option);
		ck_assert_int_eq(spew(path, value), 0);
	}
}

/* Whether a failure can be told by who calls. */
static bool can_spare(void)
{
	return exists("/sys/kernel/debug/failslab/reject-start");
}

/* Nothing fails in what this function of the kernel calls. */
static void spare(const char *function)
{
	char *symbols = slurp("/proc/kallsyms"), *found, name[64], address[32] = "0x";

	snprintf(name, sizeof(name), " T %s\n", function);
	found = strstr(symbols, name);
	ck_assert_ptr_nonnull(found);
	/* The list is in order: it ends where the next one begins. */
	memcpy(address + 2, found - 16, 16);
	set_failures("reject-start", address);
	memcpy(address + 2, found + strlen(name), 16);
	set_failures("reject-end", address);
	free(symbols);
}

/* All that can fail shall, silently: what waits for memory too, and single pages. */
static void prepare(void)
{
	set_failures("verbose", "0");
	if (can_spare()) {
		set_failures("reject-start", "0");
		set_failures("reject-end", "0");
	}
	ck_assert_int_eq(spew("/sys/kernel/debug/failslab/ignore-gfp-wait", "N"), 0);
	ck_assert_int_eq(spew("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N"), 0);
	ck_assert_int_eq(spew("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N"), 0);
	ck_assert_int_eq(spew("/sys/kernel/debug/fail_page_alloc/min-order", "0"), 0);
	fail_nth = ck_ok(open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC));
	/* So that the test itself takes no memory where a failure waits for it. */
	ck_ok(mlockall(MCL_CURRENT | MCL_FUTURE));
}

static bool armed;

/* No assertion from here to disarm(): libcheck writes down where it is, and that would fail. */
static void arm(int nth)
{
	char number[16];
	int n = snprintf(number, sizeof(number), "%d", nth);

	armed = pwrite(fail_nth, number, n, 0) == n;
}

/*
 * How many steps were left until the failure: none when it has happened. Asking copies
 * to a user, too, and the failure that was left over may strike there.
 */
static int disarm(void)
{
	char left[16] = "";
	bool failed = pread(fail_nth, left, sizeof(left) - 1, 0) < 0;

	while (pwrite(fail_nth, "0", 1, 0) != 1)
		;
	ck_assert(armed);
	return failed ? 1 : atoi(left);
}

/* Result and errno of the call, which must not be lost on the way. */
struct outcome {
	long long ret;
	int err;
	bool failed;	/* some step of it, whether the call did or not */
};

static void note(struct outcome *outcome, long long ret)
{
	outcome->ret = ret;
	outcome->err = ret == -1 ? errno : 0;
}

#define TRY(outcome, call) note(outcome, (long long)(call))

/* A call, what it needs before, and what shows whether it has been made or not. */
struct victim {
	const char *name;
	void (*before)(void);
	void (*call)(struct outcome *outcome);
	void (*after)(const struct outcome *outcome);
};

static bool told(int err)
{
	return err == ENOMEM || err == EFAULT;
}

static void fail_each_step_from(int first, const struct victim *victim)
{
	struct outcome outcome = {};
	bool failed = true;
	int nth;

	for (nth = first; failed; nth++) {
		ck_assert_msg(nth < STEPS_MAX, "%s: no end of steps that fail", victim->name);
		/* what was read is read anew */
		memset(got, 0xaa, sizeof(got));
		if (victim->before)
			victim->before();
		arm(nth);
		victim->call(&outcome);
		failed = !disarm();
		outcome.failed = failed;
		ck_assert_msg(!outcome.err || (failed && told(outcome.err)),
			      "%s: step %d %s: %s", victim->name, nth,
			      failed ? "failed" : "did not fail", strerror(outcome.err));
		if (victim->after)
			victim->after(&outcome);
	}
	ck_assert_msg(nth > first + 1, "%s: nothing failed", victim->name);
}

/*
 * Twice: what the kernel has not at hand the first time takes steps of its own, and those
 * behind it may have another number when their turn comes.
 */
static void fail_each_step(const struct victim *victim)
{
	fail_each_step_from(1, victim);
	fail_each_step_from(1, victim);
}

/* How many steps that can fail a call has. */
static int steps_of(void (*call)(struct outcome *outcome))
{
	arm(STEPS_MAX);
	call(&(struct outcome) {});
	return STEPS_MAX - disarm();
}

/* Loading, and one use of what was loaded, for not all that failed kept it from that. */

/* The kernel may have had no memory for the node: through one of our own. */
static int open_misc(const char *name)
{
	unsigned int major, minor;
	char path[64], *number;
	int fields, file;

	snprintf(path, sizeof(path), "/sys/class/misc/%s/dev", name);
	number = slurp(path);
	fields = sscanf(number, "%u:%u", &major, &minor);
	free(number);
	ck_assert_int_eq(fields, 2);
	ck_ok(mknod("/tmp/node", S_IFCHR | 0600, makedev(major, minor)));
	file = ck_ok(open("/tmp/node", O_RDWR | O_NONBLOCK | O_CLOEXEC));
	ck_ok(unlink("/tmp/node"));
	return file;
}

static void use_echo(void)
{
	int file = open_misc("echo");

	ck_assert_int_eq(pwrite(file, text, 3000, 0), 3000);
	ck_assert_int_eq(pread(file, got, sizeof(got), 0), 3000);
	ck_assert_mem_eq(got, text, 3000);
	ck_ok(close(file));
	file = open_misc("echo_fifo");
	ck_assert_int_eq(write(file, "hello", 5), 5);
	ck_assert_int_eq(read(file, got, sizeof(got)), 5);
	ck_ok(close(file));
}

static void use_proc(void)
{
	ck_assert_int_eq(spew("/proc/rust_proc", "a line\n"), 0);
	ck_assert(file_has("/proc/rust_proc", "a line\n"));
}

static void use_irq(void)
{
	int file = open_misc("irq_events");

	ck_assert(read(file, got, sizeof(got)) > 0 || errno == EAGAIN);
	ck_ok(close(file));
	ck_assert(file_has("/proc/interrupts", "kmk_irq"));
}

static void use_syscall(void)
{
	struct custom_syscall_data data = {
		.operation = CUSTOM_SYSCALL_ADD, .parameter1 = 2, .parameter2 = 3,
	};
	int file = open_misc("syscall_ext");

	ck_ok(custom_syscall(file, &data));
	ck_assert_int_eq(data.result, 5);
	ck_ok(close(file));
}

static void use_mempool(void)
{
	struct kmk_mempool_alloc arg = { .size = PAGE };
	int file = open_misc("mempool");

	ck_ok(ioctl(file, MEMPOOL_IOC_ALLOC, &arg));
	ck_assert_int_eq(pwrite(file, text, PAGE, arg.handle), PAGE);
	ck_ok(close(file));
}

static void use_kept_pool(void)
{
	ck_assert(file_has("/sys/kernel/debug/kmk_mempool/pools", "kept\\040pool"));
}

static void use_cramfs(void)
{
	ck_assert_int_eq(cramfs_mount(TEST_OPTIONS), 0);
	ck_ok(symlink("hello", MNT "/link"));
	ck_assert_int_eq(readlink(MNT "/link", got, sizeof(got)), 5);
	ck_assert_int_eq(cramfs_umount(), 0);
}

/*
 * Each beside a parameter that its init refuses first of all. Behind a failure in some
 * functions the kernel itself leaves something that it complains of: those are spared, where
 * failures can be told by who calls, and else these loads, which come last.
 */
static const struct {
	const char *module, *params, *refused;
	void (*use)(void);
	const char *node;	/* what can be opened as soon as it is there */
	const char *needs;
	const char *spared;
} loads[] = {
	/* Not kmk_minimal: nothing of its own can fail. */
	{ "kmk_echo", "", "capacity=0", use_echo, .node = "/dev/echo" },
	{ "kmk_echo", "capacity=1048576 mode=0600 greeting=hello", "capacity=0", use_echo,
	  .node = "/dev/echo" },
	{ "kmk_proc", "", "max_entries=0", use_proc, .node = "/proc/rust_proc" },
	{ "kmk_proc", "greeting=", "max_entries=0", use_proc, .node = "/proc/rust_proc" },
	{ "kmk_proc", "max_entries=10 greeting=hello", "max_entries=0", use_proc,
	  .node = "/proc/rust_proc" },
	{ "kmk_irq", "irq=1", "ring_size=0", use_irq, .node = "/dev/irq_events" },
	{ "kmk_irq", "irq=1 ring_size=16", "ring_size=0", use_irq, .node = "/dev/irq_events" },
	{ "kmk_irq", "irq=1 ring_size=100000 claim=1 mode=0644", "ring_size=0", use_irq,
	  .node = "/dev/irq_events" },
	{ "kmk_syscall", "", "mode=01000", use_syscall, .node = "/dev/syscall_ext" },
	{ "kmk_syscall", "mode=0600", "mode=01000", use_syscall, .node = "/dev/syscall_ext" },
	{ "kmk_mempool", "", "max_bytes=0", use_mempool, .node = "/dev/mempool" },
	{ "kmk_mempool", "max_bytes=1048576 mode=0666", "max_bytes=0", use_mempool,
	  .node = "/dev/mempool" },
	/* which makes a pool and a manager */
	{ "kmk_mempool_test", "keep=1", "refuse=1", use_kept_pool, .needs = "kmk_mempool" },
	/* When the line goes the kernel removes what it had no memory to put into /proc/irq. */
	{ "kmk_irq", "irq=-1", "ring_size=0", use_irq, .node = "/dev/irq_events",
	  .spared = "register_irq_proc" },
	{ "kmk_irq", "irq=-1 ring_size=100000", "ring_size=0", use_irq, .node = "/dev/irq_events",
	  .spared = "register_irq_proc" },
	/* The kernel shows a trace where it could not make a cache, and may leak its name. */
	{ "kmk_ramfs", "", "fstype=", use_cramfs, .spared = "__kmem_cache_create_args" },
	{ "kmk_ramfs", "fstype=cramfs", "fstype=", use_cramfs,
	  .spared = "__kmem_cache_create_args" },
};

static int load_count(void)
{
	int count = COUNT(loads);

	while (!can_spare() && loads[count - 1].spared)
		count--;
	return count;
}

/*
 * Which step is which differs from time to time, as what the kernel has at hand takes none:
 * for coverage each load is tried more often (rig/coverage), which takes long.
 */
static int passes(void)
{
	return kmk_setting("KMK_PASSES", 1);
}

static int loading;

/* Read already: where the kernel cannot read a file, it says so in the log. */
static void *image;
static size_t image_size;

static void load_call(struct outcome *outcome)
{
	TRY(outcome, syscall(SYS_init_module, image, image_size, loads[loading].params));
}

static void load_refused(struct outcome *outcome)
{
	TRY(outcome, syscall(SYS_init_module, image, image_size, loads[loading].refused));
}

/*
 * The last of the hundreds of steps before the module has its turn, which are not ours: what
 * fails after it makes no difference to a refusal. Where the kernel calls its notifiers, some
 * of which complain when they get no memory, lies far before it.
 */
static int last_foreign_step(void)
{
	struct outcome refused, outcome;
	int step = steps_of(load_refused) + 1;

	load_refused(&refused);
	ck_assert_int_ne(refused.err, 0);
	do {
		arm(--step);
		load_refused(&outcome);
		disarm();
		ck_assert_int_ne(outcome.err, 0);
	} while (step > 1 && outcome.err == refused.err);
	return step;
}

/* By so many steps a load may be shorter than the one before it. */
#define SLACK 5

/*
 * Somebody opens the node as soon as it is there. A load that fails does not wait for
 * open files, so there must be none.
 */
static struct {
	pthread_t thread;
	atomic_bool loaded;
	int fd;
} opener;

static void *open_at_once(void *node)
{
	do
		opener.fd = open(node, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	while (opener.fd < 0 && !opener.loaded);
	return NULL;
}

static void load_before(void)
{
	opener.fd = -1;
	opener.loaded = false;
	if (loads[loading].node)
		ck_assert_int_eq(pthread_create(&opener.thread, NULL, open_at_once,
						(void *)loads[loading].node), 0);
}

/* It is there, can be used and be taken away, or it is not there. */
static void load_after(const struct outcome *outcome)
{
	opener.loaded = true;
	if (loads[loading].node)
		ck_assert_int_eq(pthread_join(opener.thread, NULL), 0);
	ck_assert(module_loaded(loads[loading].module) == !outcome->err);
	if (outcome->err) {
		ck_assert_int_lt(opener.fd, 0);
		return;
	}
	if (opener.fd >= 0)
		ck_ok(close(opener.fd));
	loads[loading].use();
	ck_assert_int_eq(module_unload(loads[loading].module), 0);
}

START_TEST(load)
{
	static const struct victim victim = {
		.name = "init_module", .before = load_before, .call = load_call,
		.after = load_after,
	};

	struct stat st;
	char path[128];
	int first;

	loading = _i % load_count();
	if (loads[loading].spared)
		spare(loads[loading].spared);
	if (loads[loading].needs)
		ck_assert_int_eq(module_load(loads[loading].needs, ""), 0);
	snprintf(path, sizeof(path), "%s/%s.ko", getenv("KMK_MODULES"), loads[loading].module);
	fd = ck_ok(open(path, O_RDONLY | O_CLOEXEC));
	ck_ok(fstat(fd, &st));
	image_size = st.st_size;
	image = mmap(NULL, image_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	ck_assert_ptr_ne(image, MAP_FAILED);
	ck_ok(close(fd));
	first = last_foreign_step() - SLACK;
	fail_each_step_from(first > 1 ? first : 1, &victim);
	ck_ok(munmap(image, image_size));
	if (loads[loading].needs)
		ck_assert_int_eq(module_unload(loads[loading].needs), 0);
}
END_TEST

/* Open files of any device */

static const char *node;

static void open_call(struct outcome *outcome)
{
	TRY(outcome, open(node, O_RDWR | O_CLOEXEC | O_NONBLOCK));
	fd = outcome->ret;
}

static void open_after(const struct outcome *outcome)
{
	if (!outcome->err)
		ck_ok(close(fd));
}

static void open_each_step(const char *path)
{
	static const struct victim victim = {
		.name = "open", .call = open_call, .after = open_after,
	};

	node = path;
	fail_each_step(&victim);
}

/* Open the node, and make each call on the open file. */
static void fail_each_call(const char *path, int flags, const struct victim *victims, int count)
{
	open_each_step(path);
	fd = ck_ok(open(path, flags));
	for (int i = 0; i < count; i++)
		fail_each_step(&victims[i]);
	ck_ok(close(fd));
}

/* kmk_echo */

#define MESSAGE 3000

static void message_before(void)
{
	ck_assert_int_eq(pwrite(fd, "the message before", 18, 0), 18);
}

static void message_write(struct outcome *outcome)
{
	TRY(outcome, pwrite(fd, text, MESSAGE, 0));
}

/* The new message, or a part of it where the copying stopped, or the old one. */
static void message_after(const struct outcome *outcome)
{
	const char *expected = outcome->err ? "the message before" : text;
	long long length = outcome->err ? 18 : outcome->ret;

	ck_assert_int_eq(pread(fd, got, sizeof(got), 0), length);
	ck_assert_mem_eq(got, expected, length);
}

static void message_read(struct outcome *outcome)
{
	TRY(outcome, pread(fd, got, sizeof(got), 0));
}

static void message_read_after(const struct outcome *outcome)
{
	if (!outcome->err) {
		ck_assert_int_gt(outcome->ret, 0);
		ck_assert_mem_eq(got, "the message before", outcome->ret);
	}
	ck_assert_int_eq(pread(fd, got, sizeof(got), 0), 18);
	ck_assert_mem_eq(got, "the message before", 18);
}

static struct echo_stats stats;

static void echo_stats(struct outcome *outcome)
{
	TRY(outcome, ioctl(fd, ECHO_IOC_GET_STATS, &stats));
}

static void echo_stats_after(const struct outcome *outcome)
{
	if (!outcome->err)
		ck_assert_uint_eq(stats.length, 18);
	memset(&stats, 0, sizeof(stats));
}

static void fifo_before(void)
{
	ck_ok(ioctl(fd, ECHO_IOC_CLEAR));
	ck_assert_int_eq(write(fd, text, 100), 100);
}

static void fifo_write(struct outcome *outcome)
{
	TRY(outcome, write(fd, text + 100, 2000));
}

/* The queue holds the bytes from before, and as many as the writer was told. */
static void fifo_after(const struct outcome *outcome)
{
	long long length = 100 + (outcome->err ? 0 : outcome->ret);

	ck_assert_int_eq(read(fd, got, sizeof(got)), length);
	ck_assert_mem_eq(got, text, length);
}

static void fifo_read(struct outcome *outcome)
{
	TRY(outcome, read(fd, got, 100));
}

static void fifo_read_after(const struct outcome *outcome)
{
	long long done = outcome->err ? 0 : outcome->ret;

	ck_assert_int_eq(write(fd, text + 100, 1), 1);
	ck_assert_int_eq(read(fd, got + done, sizeof(got) - done), 101 - done);
	ck_assert_mem_eq(got, text, 101);
}

static void fifo_async(struct outcome *outcome)
{
	TRY(outcome, fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC));
}

static void fifo_async_after(const struct outcome *outcome)
{
	ck_assert(!!(fcntl(fd, F_GETFL) & O_ASYNC) == !outcome->err);
	ck_ok(fcntl(fd, F_SETFL, O_NONBLOCK));
}

/* Two pages and a bit, of which a pipe gets as many as there is memory for. */
#define SPLICED (2 * PAGE + 100)

static int pipes[2];

static void splice_before(void)
{
	ck_assert_int_eq(pwrite(fd, text, SPLICED, 0), SPLICED);
	ck_ok(lseek(fd, 0, SEEK_SET));
}

static void splice_call(struct outcome *outcome)
{
	TRY(outcome, splice(fd, NULL, pipes[1], NULL, SPLICED, SPLICE_F_NONBLOCK));
	if (outcome->err == EAGAIN)	/* so Linux before 6.5 calls that a pipe gets no page */
		outcome->err = ENOMEM;
}

static void splice_after(const struct outcome *outcome)
{
	if (!outcome->err) {
		ck_assert_int_gt(outcome->ret, 0);
		ck_assert_int_eq(read(pipes[0], got, sizeof(got)), outcome->ret);
		ck_assert_mem_eq(got, text, outcome->ret);
	}
	ck_errno(read(pipes[0], got, 1), EAGAIN);
	ck_assert_int_eq(pread(fd, got, sizeof(got), 0), SPLICED);
	ck_assert_mem_eq(got, text, SPLICED);
}

START_TEST(echo)
{
	static const struct victim message[] = {
		{ "write", message_before, message_write, message_after },
		{ "read", message_before, message_read, message_read_after },
		{ "GET_STATS", message_before, echo_stats, echo_stats_after },
		{ "splice", splice_before, splice_call, splice_after },
	};
	static const struct victim fifo[] = {
		{ "write", fifo_before, fifo_write, fifo_after },
		{ "read", fifo_before, fifo_read, fifo_read_after },
		{ "O_ASYNC", NULL, fifo_async, fifo_async_after },
	};

	ck_assert_int_eq(module_load("kmk_echo", "capacity=16384"), 0);
	ck_ok(pipe2(pipes, O_NONBLOCK | O_CLOEXEC));
	fail_each_call("/dev/echo", O_RDWR, message, COUNT(message));
	fail_each_call("/dev/echo_fifo", O_RDWR | O_NONBLOCK, fifo, COUNT(fifo));
	ck_assert_int_eq(module_unload("kmk_echo"), 0);
}
END_TEST

/* kmk_proc, which greets nobody, and keeps one entry */

static void proc_before(void)
{
	ck_assert_int_eq(pwrite(fd, "before\n", 7, 0), 7);
}

static void proc_write(struct outcome *outcome)
{
	TRY(outcome, pwrite(fd, "after\n", 6, 0));
}

static void proc_after(const struct outcome *outcome)
{
	const char *expected = outcome->err ? "before\n" : "after\n";

	ck_assert_int_eq(pread(fd, got, sizeof(got), 0), strlen(expected));
	ck_assert_mem_eq(got, expected, strlen(expected));
}

static void proc_read(struct outcome *outcome)
{
	TRY(outcome, pread(fd, got, sizeof(got), 0));
}

static void proc_read_after(const struct outcome *outcome)
{
	if (!outcome->err) {
		ck_assert_int_gt(outcome->ret, 0);
		ck_assert_mem_eq(got, "before\n", outcome->ret);
	}
	ck_assert_int_eq(pread(fd, got, sizeof(got), 0), 7);
	ck_assert_mem_eq(got, "before\n", 7);
}

static void poll_call(struct outcome *outcome)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN | POLLOUT };

	TRY(outcome, poll(&poller, 1, 0));
}

START_TEST(proc)
{
	static const struct victim victims[] = {
		{ "write", proc_before, proc_write, proc_after },
		{ "read", proc_before, proc_read, proc_read_after },
		{ "poll", NULL, poll_call, NULL },
	};

	ck_assert_int_eq(module_load("kmk_proc", "greeting= max_entries=1"), 0);
	fail_each_call("/proc/rust_proc", O_RDWR, victims, COUNT(victims));
	ck_assert_int_eq(module_unload("kmk_proc"), 0);
}
END_TEST

/* kmk_irq */

#define TRIGGER "/sys/class/misc/irq_events/trigger"

static int trigger = -1;
static uint64_t raised, taken;

static void events_before(void)
{
	ck_assert_int_eq(write(trigger, "5", 1), 1);
	raised += 5;
}

static void events_read(struct outcome *outcome)
{
	TRY(outcome, read(fd, got, 3 * sizeof(struct kmk_irq_event)));
}

static void take(const struct kmk_irq_event *events, long long bytes)
{
	for (; bytes > 0; bytes -= sizeof(*events), events++)
		ck_assert_uint_eq(events->seq, ++taken);
}

/* No event is lost to this reader, whatever became of the call. */
static void events_after(const struct outcome *outcome)
{
	if (!outcome->err)
		take((void *)got, outcome->ret);
	take((void *)got, ck_ok(read(fd, got, sizeof(got))));
	ck_assert_uint_eq(taken, raised);
}

static void clock_call(struct outcome *outcome)
{
	struct kmk_irq_clock choice = { .clock = CLOCK_BOOTTIME };

	TRY(outcome, ioctl(fd, IRQ_EVENTS_IOC_SET_CLOCK, &choice));
}

static void progress_call(struct outcome *outcome)
{
	struct kmk_irq_progress progress;

	TRY(outcome, ioctl(fd, IRQ_EVENTS_IOC_GET_PROGRESS, &progress));
	if (!outcome->err)
		ck_assert_uint_eq(progress.seen, taken);
}

static void trigger_call(struct outcome *outcome)
{
	TRY(outcome, write(trigger, "3", 1));
	raised += outcome->err ? 0 : 3;
}

static void trigger_after(const struct outcome *outcome)
{
	ck_assert(!outcome->err || outcome->ret == -1);
	ck_assert_int_eq(slurp_number("/sys/class/misc/irq_events/count"), raised);
}

START_TEST(irq)
{
	static const struct victim victims[] = {
		{ "read", events_before, events_read, events_after },
		{ "clock", NULL, clock_call, NULL },
		{ "progress", NULL, progress_call, NULL },
		{ "trigger", NULL, trigger_call, trigger_after },
		{ "poll", NULL, poll_call, NULL },
		{ "O_ASYNC", NULL, fifo_async, fifo_async_after },
	};

	ck_assert_int_eq(module_load("kmk_irq", "irq=-1"), 0);
	trigger = ck_ok(open(TRIGGER, O_WRONLY));
	fail_each_call("/dev/irq_events", O_RDONLY | O_NONBLOCK, victims, COUNT(victims));
	ck_ok(close(trigger));
	ck_assert_int_eq(module_unload("kmk_irq"), 0);
}
END_TEST

/* kmk_syscall */

static struct custom_syscall_data sum;
static struct custom_syscall_data sums[3];
static int32_t errors[3];

static void sums_before(void)
{
	sum = (struct custom_syscall_data) {
		.operation = CUSTOM_SYSCALL_ADD, .parameter1 = 2, .parameter2 = 3, .result = -1,
	};
	for (int i = 0; i < COUNT(sums); i++) {
		sums[i] = sum;
		errors[i] = 1;
	}
}

/* A call by itself has only copies that are not made to fail. */
static void uptime_before(void)
{
	sums_before();
	sum.operation = CUSTOM_SYSCALL_UPTIME;
}

static void uptime_after(const struct outcome *outcome)
{
	ck_assert((sum.result == -1) == !!outcome->err);
}

static struct io_uring ring;

static void uring_before(void)
{
	struct custom_syscall_uring argument = { .argument = (uintptr_t)&sum };

	uptime_before();
	ck_assert_int_eq(io_uring_queue_init(4, &ring, 0), 0);
	queue_uring_cmd(&ring, fd, CUSTOM_SYSCALL, &argument, sizeof(argument));
}

/* The timer of a sleep takes memory of its own: how often there was none. */
static int timers_refused;

static void uring_sleep_before(void)
{
	uring_before();
	sum.operation = CUSTOM_SYSCALL_SLEEP;
	sum.parameter1 = 1;
}

static void uring_call(struct outcome *outcome)
{
	struct io_uring_cqe *cqe;
	int ret;

	ret = io_uring_submit(&ring);
	if (ret == 1) {
		/* It was taken, so there is an end of it to wait for; only the waiting may fail. */
		do
			ret = io_uring_wait_cqe(&ring, &cqe);
		while (ret == -ENOMEM || ret == -EFAULT || ret == -EINTR);
		ret = ret ?: cqe->res;
		timers_refused += sum.operation == CUSTOM_SYSCALL_SLEEP && ret == -ENOMEM;
	}
	if (ret == -EAGAIN)	/* so it calls that it has no memory for a request */
		ret = -ENOMEM;
	*outcome = (struct outcome) { .ret = ret, .err = ret < 0 ? -ret : 0 };
}

static void uring_after(const struct outcome *outcome)
{
	io_uring_queue_exit(&ring);
	uptime_after(outcome);
}

/* The second is made apart from the others. */
static void batch_before(void)
{
	sums_before();
	sums[1].operation = CUSTOM_SYSCALL_SLEEP;
}

static void batch_call(struct outcome *outcome)
{
	struct custom_syscall_batch batch = {
		.calls = (uintptr_t)sums, .errors = (uintptr_t)errors,
		.count = COUNT(sums), .size = sizeof(*sums),
	};

	TRY(outcome, custom_syscall_batch(fd, &batch));
}

static void batch_after(const struct outcome *outcome)
{
	int good = 0;

	for (int i = 0; i < COUNT(sums); i++) {
		ck_assert(errors[i] == (outcome->err ? 1 : 0) || (i == 1 && errors[i] == -EFAULT));
		ck_assert_int_eq(sums[i].result, errors[i] ? -1 : i == 1 ? 0 : 5);
		good += !errors[i];
	}
	ck_assert(outcome->err || outcome->ret == good);
}

START_TEST(syscall_ext)
{
	static const struct victim victims[] = {
		{ "batch", batch_before, batch_call, batch_after },
		{ "io_uring", uring_before, uring_call, uring_after },
		{ "sleep by io_uring", uring_sleep_before, uring_call, uring_after },
	};

	ck_assert_int_eq(module_load("kmk_syscall", ""), 0);
	fail_each_call("/dev/syscall_ext", O_RDWR, victims, COUNT(victims));
	ck_assert_int_gt(timers_refused, 0);
	ck_assert_int_eq(module_unload("kmk_syscall"), 0);
}
END_TEST

/* kmk_mempool */

static uint64_t block;
static void *map;

static struct kmk_mempool_stats pool_stats(void)
{
	struct kmk_mempool_stats stats;

	ck_ok(ioctl(fd, MEMPOOL_IOC_STATS, &stats));
	return stats;
}

static void alloc_call(struct outcome *outcome)
{
	struct kmk_mempool_alloc arg = { .size = 5 * PAGE };

	TRY(outcome, ioctl(fd, MEMPOOL_IOC_ALLOC, &arg));
	block = outcome->err ? 0 : arg.handle;
}

static void block_before(void)
{
	struct outcome outcome;

	alloc_call(&outcome);
	ck_assert_int_eq(outcome.err, 0);
	ck_assert_int_eq(pwrite(fd, text, 5 * PAGE, block), 5 * PAGE);
}

static void block_free(struct outcome *outcome)
{
	struct kmk_mempool_free arg = { .handle = block };

	TRY(outcome, ioctl(fd, MEMPOOL_IOC_FREE, &arg));
}

/* There is the block or there is none; in the end there is none. */
static void alloc_after(const struct outcome *outcome)
{
	struct outcome freed;

	ck_assert_uint_eq(pool_stats().file_blocks, !outcome->err);
	ck_assert_uint_eq(pool_stats().bytes, outcome->err ? 0 : 5 * PAGE);
	if (!outcome->err) {
		ck_assert_int_eq(pwrite(fd, text, 5 * PAGE, block), 5 * PAGE);
		block_free(&freed);
		ck_assert_int_eq(freed.err, 0);
	}
	ck_assert_uint_eq(pool_stats().bytes, 0);
}

static void free_after(const struct outcome *outcome)
{
	struct outcome freed;

	ck_assert_uint_eq(pool_stats().bytes, outcome->err ? 5 * PAGE : 0);
	block_free(&freed);
	ck_assert_int_eq(freed.err, outcome->err ? 0 : ENOENT);
}

static void free_always(const struct outcome *outcome)
{
	struct outcome freed;

	ck_assert(outcome->ret >= -1);
	block_free(&freed);
	ck_assert_int_eq(freed.err, 0);
	ck_assert_uint_eq(pool_stats().bytes, 0);
}

static struct kmk_mempool_query query;

static void query_call(struct outcome *outcome)
{
	query = (struct kmk_mempool_query) { .handle = block };
	TRY(outcome, ioctl(fd, MEMPOOL_IOC_QUERY, &query));
}

static void query_after(const struct outcome *outcome)
{
	ck_assert_uint_eq(query.size, outcome->err ? 0 : 5 * PAGE);
	free_always(outcome);
}

static struct kmk_mempool_stats told_stats;

static void stats_call(struct outcome *outcome)
{
	told_stats = (struct kmk_mempool_stats) {};
	TRY(outcome, ioctl(fd, MEMPOOL_IOC_STATS, &told_stats));
}

static void stats_after(const struct outcome *outcome)
{
	ck_assert_uint_eq(told_stats.file_bytes, outcome->err ? 0 : 5 * PAGE);
	free_always(outcome);
}

static void block_write(struct outcome *outcome)
{
	TRY(outcome, pwrite(fd, text + PAGE, 3 * PAGE, block));
}

/* As much as the writer was told is new; the rest is as before. */
static void block_write_after(const struct outcome *outcome)
{
	long long done = outcome->err ? 0 : outcome->ret;

	ck_assert(outcome->err || done > 0);
	ck_assert_int_eq(pread(fd, got, 5 * PAGE, block), 5 * PAGE);
	ck_assert_mem_eq(got, text + PAGE, done);
	ck_assert_mem_eq(got + done, text + done, 5 * PAGE - done);
	free_always(outcome);
}

static void block_read(struct outcome *outcome)
{
	TRY(outcome, pread(fd, got, 3 * PAGE, block));
}

static void block_read_after(const struct outcome *outcome)
{
	if (!outcome->err) {
		ck_assert_int_gt(outcome->ret, 0);
		ck_assert_mem_eq(got, text, outcome->ret);
	}
	free_always(outcome);
}

/* Where nothing else is mapped, so that a fault needs page tables. */
#define APART ((void *)0x200000000000)

static void block_map(struct outcome *outcome)
{
	map = mmap(APART, 5 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, block);
	TRY(outcome, (intptr_t)map);
}

static void block_map_after(const struct outcome *outcome)
{
	if (!outcome->err) {
		ck_assert_mem_eq(map, text, 5 * PAGE);
		ck_ok(munmap(map, 5 * PAGE));
	}
	free_always(outcome);
}

/* Faults that the kernel takes on our behalf, when it copies the second page to the first. */
static void touch_before(void)
{
	struct outcome outcome;

	block_before();
	block_map(&outcome);
	ck_assert_int_eq(outcome.err, 0);
}

static void touch_call(struct outcome *outcome)
{
	TRY(outcome, pread(fd, map, PAGE, block + PAGE));
}

static void touch_after(const struct outcome *outcome)
{
	long long done = outcome->err ? 0 : outcome->ret;

	ck_assert(outcome->err || done > 0);
	ck_assert_mem_eq(map, text + PAGE, done);
	ck_assert_mem_eq((char *)map + done, text + done, 5 * PAGE - done);
	ck_ok(munmap(map, 5 * PAGE));
	free_always(outcome);
}

START_TEST(mempool)
{
	static const struct victim victims[] = {
		{ "ALLOC", NULL, alloc_call, alloc_after },
		{ "FREE", block_before, block_free, free_after },
		{ "QUERY", block_before, query_call, query_after },
		{ "STATS", block_before, stats_call, stats_after },
		{ "write", block_before, block_write, block_write_after },
		{ "read", block_before, block_read, block_read_after },
		{ "mmap", block_before, block_map, block_map_after },
		{ "fault", touch_before, touch_call, touch_after },
	};

	ck_assert_int_eq(module_load("kmk_mempool", ""), 0);
	fail_each_call("/dev/mempool", O_RDWR, victims, COUNT(victims));
	ck_assert_int_eq(module_unload("kmk_mempool"), 0);
}
END_TEST

/* kmk_ramfs: mounting */

static void mount_call(struct outcome *outcome)
{
	TRY(outcome, mount("none", MNT, "cramfs", 0,
			   "size=1m,nr_inodes=1k,mode=700,uid=1,gid=2,debug"));
}

static void mount_after(const struct outcome *outcome)
{
	ck_assert(file_has("/proc/mounts", " " MNT " cramfs ") == !outcome->err);
	if (!outcome->err)
		ck_assert_int_eq(cramfs_umount(), 0);
}

static void remount_call(struct outcome *outcome)
{
	TRY(outcome, mount("none", MNT, "cramfs", MS_REMOUNT, "size=2m,nr_inodes=2k"));
}

static void remount_after(const struct outcome *outcome)
{
	struct statvfs st = cramfs_df();

	ck_assert_uint_eq(st.f_blocks, outcome->err ? 64 : 512);
	ck_assert_uint_eq(st.f_files, outcome->err ? 32 : 2048);
	ck_assert_int_eq(cramfs_remount(TEST_OPTIONS), 0);
}

/* kmk_ramfs: names. One inode more than the root and what the test has made itself. */

#define NAME MNT "/name"
#define OTHER MNT "/other"
#define LONG_TARGET "/a/target/that/is/too/long/to/be/kept/in/the/inode/of/the/link/itself"

static void names_before(void)
{
	ck_assert_int_eq(inodes_used(), 1);
	ck_assert_int_eq(pages_used(), 0);
}

/* That the name is there when the call says so; takes it away. */
static void name_after(const struct outcome *outcome)
{
	ck_assert(exists(NAME) == !outcome->err);
	ck_assert_int_eq(inodes_used(), outcome->err ? 1 : 2);
	if (outcome->err)
		ck_assert_int_eq(pages_used(), 0);
	else
		ck_ok(remove(NAME));
	names_before();
}

static void create_call(struct outcome *outcome)
{
	TRY(outcome, open(NAME, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644));
	fd = outcome->ret;
}

/* When there is no memory for the open file its name stays, as everywhere. */
static void create_after(const struct outcome *outcome)
{
	struct outcome made = *outcome;

	if (!outcome->err)
		ck_ok(close(fd));
	else if (exists(NAME))
		made.err = 0;
	name_after(&made);
}

static void mkdir_call(struct outcome *outcome)
{
	TRY(outcome, mkdir(NAME, 0755));
}

static void symlink_call(struct outcome *outcome)
{
	TRY(outcome, symlink(LONG_TARGET, NAME));
}

static void mknod_call(struct outcome *outcome)
{
	TRY(outcome, mknod(NAME, S_IFIFO | 0600, 0));
}

static void tmpfile_call(struct outcome *outcome)
{
	TRY(outcome, open(MNT, O_TMPFILE | O_RDWR, 0600));
	fd = outcome->ret;
}

static void tmpfile_after(const struct outcome *outcome)
{
	if (!outcome->err)
		ck_ok(close(fd));
	names_before();
}

static void two_before(void)
{
	ck_ok(close(new_file(OTHER)));
}

/* Under the one name or under the other. */
static void rename_call(struct outcome *outcome)
{
	TRY(outcome, rename(OTHER, NAME));
}

static void whiteout_call(struct outcome *outcome)
{
	TRY(outcome, syscall(SYS_renameat2, AT_FDCWD, OTHER, AT_FDCWD, NAME, 1 << 2));
}

static void rename_after(const struct outcome *outcome)
{
	ck_assert(exists(NAME) == !outcome->err);
	ck_assert(exists(OTHER) == !!outcome->err);
	ck_ok(remove(outcome->err ? OTHER : NAME));
	names_before();
}

static void whiteout_after(const struct outcome *outcome)
{
	ck_assert(exists(NAME) == !outcome->err);
	ck_assert(S_ISCHR(stat_of(OTHER).st_mode) == !outcome->err);
	ck_ok(remove(OTHER));
	if (!outcome->err)
		ck_ok(remove(NAME));
	names_before();
}

static void link_call(struct outcome *outcome)
{
	TRY(outcome, link(OTHER, NAME));
}

static void link_after(const struct outcome *outcome)
{
	ck_assert_uint_eq(stat_of(OTHER).st_nlink, outcome->err ? 1 : 2);
	ck_ok(remove(OTHER));
	if (!outcome->err)
		ck_ok(remove(NAME));
	names_before();
}

/* A directory that has no room for another name, until it takes more memory. */
#define FULL MNT "/full"
#define FULL_NAMES 30

static void full_before(void)
{
	char path[32];

	ck_ok(mkdir(FULL, 0755));
	for (int i = 0; i < FULL_NAMES; i++) {
		snprintf(path, sizeof(path), FULL "/%d", i);
		ck_ok(close(new_file(path)));
	}
	two_before();
}

static void full_mkdir(struct outcome *outcome)
{
	TRY(outcome, mkdir(FULL "/more", 0755));
}

static void full_link(struct outcome *outcome)
{
	TRY(outcome, link(OTHER, FULL "/more"));
}

static void full_rename(struct outcome *outcome)
{
	TRY(outcome, rename(OTHER, FULL "/more"));
}

/* Whether the new name is there; takes all away. */
static void full_after(const struct outcome *outcome)
{
	char path[32];

	ck_assert(exists(FULL "/more") == !outcome->err);
	if (!outcome->err)
		ck_ok(remove(FULL "/more"));
	for (int i = 0; i < FULL_NAMES; i++) {
		snprintf(path, sizeof(path), FULL "/%d", i);
		ck_ok(remove(path));
	}
	ck_ok(rmdir(FULL));
	names_before();
}

static void full_mkdir_after(const struct outcome *outcome)
{
	ck_ok(remove(OTHER));
	full_after(outcome);
}

static void full_link_after(const struct outcome *outcome)
{
	ck_assert_uint_eq(stat_of(OTHER).st_nlink, outcome->err ? 1 : 2);
	ck_ok(remove(OTHER));
	full_after(outcome);
}

static void full_rename_after(const struct outcome *outcome)
{
	ck_assert(exists(OTHER) == !!outcome->err);
	if (outcome->err)
		ck_ok(remove(OTHER));
	full_after(outcome);
}

/* A file without a name gets its first one. */
static char nameless[32];

static void nameless_before(void)
{
	full_before();
	ck_ok(remove(OTHER));
	fd = ck_ok(open(MNT, O_TMPFILE | O_RDWR, 0600));
	snprintf(nameless, sizeof(nameless), "/proc/self/fd/%d", fd);
}

static void nameless_link(struct outcome *outcome)
{
	TRY(outcome, linkat(AT_FDCWD, nameless, AT_FDCWD, FULL "/more", AT_SYMLINK_FOLLOW));
}

static void nameless_after(const struct outcome *outcome)
{
	struct stat st;

	ck_ok(fstat(fd, &st));
	ck_assert_uint_eq(st.st_nlink, !outcome->err);
	ck_ok(close(fd));
	full_after(outcome);
}

static void stat_call(struct outcome *outcome)
{
	struct stat st;

	TRY(outcome, stat(OTHER, &st));
}

static void two_after(const struct outcome *outcome)
{
	ck_assert(outcome->ret >= -1);
	ck_ok(remove(OTHER));
	names_before();
}

static void reopen_call(struct outcome *outcome)
{
	TRY(outcome, open(OTHER, O_RDWR | O_CLOEXEC));
	fd = outcome->ret;
}

static void reopen_after(const struct outcome *outcome)
{
	if (!outcome->err) {
		ck_assert_int_eq(write(fd, text, 100), 100);
		ck_ok(close(fd));
	}
	two_after(outcome);
}

static void unlink_call(struct outcome *outcome)
{
	TRY(outcome, unlink(OTHER));
}

static void unlink_after(const struct outcome *outcome)
{
	ck_assert(exists(OTHER) == !!outcome->err);
	if (outcome->err)
		ck_ok(remove(OTHER));
	names_before();
}

static void list_call(struct outcome *outcome)
{
	int dir = open(MNT, O_RDONLY | O_DIRECTORY);

	*outcome = (struct outcome) { .ret = dir, .err = dir < 0 ? errno : 0 };
	if (dir < 0)
		return;
	TRY(outcome, syscall(SYS_getdents64, dir, got, sizeof(got)));
	close(dir);
}

static void list_after(const struct outcome *outcome)
{
	if (!outcome->err)
		ck_assert_ptr_nonnull(memmem(got, outcome->ret, "other", sizeof("other")));
	two_after(outcome);
}

/* kmk_ramfs: attributes */

static const char acl[] = {
	2, 0, 0, 0,					/* version */
	1, 0, 7, 0, -1, -1, -1, -1,			/* owner */
	2, 0, 5, 0, 1, 0, 0, 0,				/* user 1 */
	4, 0, 5, 0, -1, -1, -1, -1,			/* group */
	16, 0, 5, 0, -1, -1, -1, -1,			/* mask */
	32, 0, 0, 0, -1, -1, -1, -1,			/* others */
};

static void xattr_before(void)
{
	two_before();
	ck_ok(setxattr(OTHER, "user.a", "before", 6, 0));
}

static void setxattr_call(struct outcome *outcome)
{
	TRY(outcome, setxattr(OTHER, "user.a", text, 5000, 0));
}

static void xattr_is(const struct outcome *outcome, const char *value, ssize_t size)
{
	ssize_t n = getxattr(OTHER, "user.a", got, sizeof(got));

	ck_assert_int_eq(n, outcome->err ? 6 : size);
	ck_assert_mem_eq(got, outcome->err ? "before" : value, n);
	two_after(outcome);
}

static void xattr_after(const struct outcome *outcome)
{
	xattr_is(outcome, text, 5000);
}

static void few_call(struct outcome *outcome)
{
	TRY(outcome, setxattr(OTHER, "user.a", "after", 5, 0));
}

static void few_after(const struct outcome *outcome)
{
	xattr_is(outcome, "after", 5);
}

static void getxattr_call(struct outcome *outcome)
{
	TRY(outcome, getxattr(OTHER, "user.a", got, sizeof(got)));
}

static void listxattr_call(struct outcome *outcome)
{
	TRY(outcome, listxattr(OTHER, got, sizeof(got)));
}

static void getxattr_after(const struct outcome *outcome)
{
	if (!outcome->err) {
		ck_assert_int_eq(outcome->ret, 6);
		ck_assert_mem_eq(got, "before", 6);
	}
	xattr_is(&(struct outcome) { .err = ENOMEM }, NULL, 0);
}

static void listxattr_after(const struct outcome *outcome)
{
	if (!outcome->err) {
		ck_assert_int_eq(outcome->ret, sizeof("user.a"));
		ck_assert_str_eq(got, "user.a");
	}
	two_after(outcome);
}

static void removexattr_call(struct outcome *outcome)
{
	TRY(outcome, removexattr(OTHER, "user.a"));
}

static void removexattr_after(const struct outcome *outcome)
{
	ck_assert_int_eq(getxattr(OTHER, "user.a", got, sizeof(got)), outcome->err ? 6 : -1);
	two_after(outcome);
}

static void acl_call(struct outcome *outcome)
{
	TRY(outcome, setxattr(OTHER, "system.posix_acl_access", acl, sizeof(acl), 0));
}

static void acl_after(const struct outcome *outcome)
{
	ck_assert_int_eq(getxattr(OTHER, "system.posix_acl_access", got, sizeof(got)),
			 outcome->err ? -1 : (int)sizeof(acl));
	two_after(outcome);
}

static void acl_before(void)
{
	two_before();
	ck_ok(setxattr(OTHER, "system.posix_acl_access", acl, sizeof(acl), 0));
}

static void chmod_call(struct outcome *outcome)
{
	TRY(outcome, chmod(OTHER, 0700));
}

static void chmod_after(const struct outcome *outcome)
{
	ck_assert_uint_eq(stat_of(OTHER).st_mode & 0777, outcome->err ? 0750 : 0700);
	two_after(outcome);
}

/* A directory from which files inherit. */
static void inherit_before(void)
{
	names_before();
	ck_ok(setxattr(MNT, "system.posix_acl_default", acl, sizeof(acl), 0));
}

static void inherit_after(const struct outcome *outcome)
{
	ck_ok(removexattr(MNT, "system.posix_acl_default"));
	if (exists(NAME))
		ck_assert_int_eq(getxattr(NAME, "system.posix_acl_access", got, sizeof(got)),
				 sizeof(acl));
	create_after(outcome);
}

/* kmk_ramfs: contents */

static void file_before(void)
{
	fd = new_file(OTHER);
	ck_assert_int_eq(pwrite(fd, text, 100, 0), 100);
}

static void file_write(struct outcome *outcome)
{
	TRY(outcome, pwrite(fd, text, 10 * PAGE, 0));
}

/* The first hundred bytes are the same before and after. */
static void file_after(const struct outcome *outcome)
{
	long long size = outcome->err || outcome->ret < 100 ? 100 : outcome->ret;

	ck_assert_int_eq(pread(fd, got, sizeof(got), 0), size);
	ck_assert_mem_eq(got, text, size);
	ck_assert_int_eq(pages_used(), (size + PAGE - 1) / PAGE);
	ck_ok(close(fd));
	ck_ok(remove(OTHER));
	names_before();
}

/* Without memory for a large folio, or room in its memory cgroup, smaller ones do. */
static void large_before(void)
{
	fd = new_file(OTHER);
}

static void large_write(struct outcome *outcome)
{
	TRY(outcome, pwrite(fd, text, sizeof(text), 0));
}

static void large_after(const struct outcome *outcome)
{
	ck_assert_int_eq(outcome->ret, sizeof(text));
	file_after(outcome);
}

static void file_read(struct outcome *outcome)
{
	TRY(outcome, pread(fd, got, sizeof(got), 0));
}

static void file_done(const struct outcome *outcome)
{
	ck_assert(outcome->ret >= -1);
	file_after(&(struct outcome) { .ret = 100 });
}

static void file_read_after(const struct outcome *outcome)
{
	if (!outcome->err) {
		ck_assert_int_gt(outcome->ret, 0);
		ck_assert_mem_eq(got, text, outcome->ret);
	}
	file_done(outcome);
}

static void file_allocate(struct outcome *outcome)
{
	TRY(outcome, fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 20 * PAGE));
}

static void file_allocate_after(const struct outcome *outcome)
{
	ck_assert_int_eq(pages_used(), outcome->err ? 1 : 20);
	ck_ok(ftruncate(fd, 100));
	file_done(outcome);
}

static void file_zero(struct outcome *outcome)
{
	TRY(outcome, fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE, 50, 20 * PAGE - 50));
}

static void file_zero_after(const struct outcome *outcome)
{
	static const char zeros[50];

	ck_assert_int_eq(pages_used(), outcome->err ? 1 : 20);
	ck_assert_int_eq(pread(fd, got, sizeof(got), 0), 100);
	ck_assert_mem_eq(got, text, 50);
	ck_assert_mem_eq(got + 50, outcome->err ? text + 50 : zeros, 50);
	ck_assert_int_eq(pwrite(fd, text, 100, 0), 100);
	ck_ok(ftruncate(fd, 100));
	file_done(outcome);
}

/* A set-uid file with an ACL: who may not make it so changes both when he changes it. */
static void setuid_before(void)
{
	file_before();
	ck_ok(setxattr(OTHER, "system.posix_acl_access", acl, sizeof(acl), 0));
	ck_ok(chmod(OTHER, 04755));
	setfsuid(65534);
}

static void setuid_write(struct outcome *outcome)
{
	TRY(outcome, pwrite(fd, text, 200, 0));
}

static void setuid_allocate(struct outcome *outcome)
{
	TRY(outcome, fallocate(fd, 0, 0, 200));
}

static void setuid_after(const struct outcome *outcome)
{
	setfsuid(0);
	ck_assert(outcome->err || !(stat_of(OTHER).st_mode & S_ISUID));
	if (outcome->err)
		ck_assert_int_eq(stat_of(OTHER).st_size, 100);
	ck_ok(ftruncate(fd, 100));
	ck_ok(removexattr(OTHER, "system.posix_acl_access"));
	file_done(outcome);
}

/* As many pages as have to be in one folio for its split to want memory. */
#define BIG 64

static void big_before(void)
{
	fd = new_file(OTHER);
	ck_ok(ftruncate(fd, BIG * PAGE));
	ck_ok(fallocate(fd, 0, 0, BIG * PAGE));
	ck_assert_int_eq(pwrite(fd, text, sizeof(text), 0), sizeof(text));
}

static void big_punch(struct outcome *outcome)
{
	TRY(outcome, fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, PAGE, 5 * PAGE));
}

/* Zeros, whether the pages could be split off or not. */
static void big_punch_after(const struct outcome *outcome)
{
	static const char zeros[5 * PAGE];
	int pages = pages_used();

	ck_assert_int_eq(pread(fd, got, sizeof(got), 0), sizeof(got));
	if (!outcome->err)
		ck_assert_mem_eq(got + PAGE, zeros, sizeof(zeros));
	else
		ck_assert_mem_eq(got, text, 6 * PAGE);
	ck_assert_mem_eq(got, text, PAGE);
	ck_assert_mem_eq(got + 6 * PAGE, text + 6 * PAGE, sizeof(got) - 6 * PAGE);
	ck_assert(pages <= BIG && pages >= BIG - (outcome->err ? 0 : 5));
	ck_ok(ftruncate(fd, 100));
	file_done(outcome);
}

static void big_truncate(struct outcome *outcome)
{
	TRY(outcome, ftruncate(fd, 100));
}

static void big_truncate_after(const struct outcome *outcome)
{
	static const char zeros[sizeof(got)];
	int pages = pages_used();

	ck_assert_int_eq(stat_of(OTHER).st_size, outcome->err ? BIG * PAGE : 100);
	/* Where the pages could not be split off, they stay until the file has grown. */
	ck_assert(pages == BIG ? outcome->failed : pages == 1 && !outcome->err);
	ck_ok(ftruncate(fd, BIG * PAGE));
	ck_assert_int_eq(pread(fd, got, sizeof(got), 0), sizeof(got));
	if (outcome->err)
		ck_assert_mem_eq(got, text, sizeof(got));
	else
		ck_assert_mem_eq(got + 100, zeros, sizeof(got) - 100);
	ck_ok(ftruncate(fd, 100));
	file_done(outcome);
}

/* Nor do they stay when the file has nothing more to hold them for. */
static void big_vanish_after(const struct outcome *outcome)
{
	ck_ok(ftruncate(fd, 0));
	ck_assert_int_eq(pages_used(), 0);
	ck_assert_int_eq(pwrite(fd, text, 100, 0), 100);
	file_done(outcome);
}

static void map_before(void)
{
	file_before();
	ck_ok(ftruncate(fd, 4 * PAGE));
	ck_ok(munlockall());
}

static void map_call(struct outcome *outcome)
{
	TRY(outcome, (intptr_t)mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	map = (void *)(uintptr_t)outcome->ret;
}

static void map_after(const struct outcome *outcome)
{
	if (!outcome->err)
		ck_ok(munmap(map, 4 * PAGE));
	ck_ok(mlockall(MCL_CURRENT | MCL_FUTURE));
	ck_ok(ftruncate(fd, 100));
	file_done(outcome);
}

/* Faults at holes of the map, taken by the kernel on our behalf: it can tell of a failure. */
static void fault_before(void)
{
	struct outcome outcome;

	map_before();
	map_call(&outcome);
	ck_assert_int_eq(outcome.err, 0);
}

static void fault_call(struct outcome *outcome)
{
	TRY(outcome, pread(fd, (char *)map + 2 * PAGE, PAGE, 0));
}

static void fault_after(const struct outcome *outcome)
{
	int pages = pages_used();

	ck_assert(pages == 1 || pages == 2);
	if (!outcome->err && outcome->ret >= 100)
		ck_assert_mem_eq((char *)map + 2 * PAGE, text, 100);
	map_after(&(struct outcome) {});
}

static void handle_call(struct outcome *outcome)
{
	static char bytes[sizeof(struct file_handle) + 128];
	struct file_handle *handle = (void *)bytes;
	int mount_id;

	handle->handle_bytes = 128;
	TRY(outcome, name_to_handle_at(AT_FDCWD, OTHER, handle, &mount_id, 0));
	if (outcome->err)
		return;
	TRY(outcome, open_by_handle_at(fd, handle, O_RDONLY));
	if (!outcome->err)
		close(outcome->ret);
}

/* Without a source, and in each step of its own. */
static void fsmount_call(struct outcome *outcome)
{
	int fs, mnt;

	TRY(outcome, syscall(SYS_fsopen, "cramfs", FSOPEN_CLOEXEC));
	if (outcome->err)
		return;
	fs = outcome->ret;
	TRY(outcome, syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "size", "1m", 0));
	if (!outcome->err)
		TRY(outcome, syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	if (!outcome->err)
		TRY(outcome, syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0));
	if (!outcome->err) {
		mnt = outcome->ret;
		TRY(outcome, syscall(SYS_move_mount, mnt, "", AT_FDCWD, MNT,
				     MOVE_MOUNT_F_EMPTY_PATH));
		close(mnt);
	}
	close(fs);
}

START_TEST(ramfs_mount)
{
	static const struct victim mounting = {
		.name = "mount", .call = mount_call, .after = mount_after,
	};
	static const struct victim fsmounting = {
		.name = "fsmount", .call = fsmount_call, .after = mount_after,
	};
	static const struct victim remounting = {
		.name = "remount", .call = remount_call, .after = remount_after,
	};

	cramfs_load();
	mkdir(MNT, 0755);
	fail_each_step(&mounting);
	fail_each_step(&fsmounting);
	ck_assert_int_eq(cramfs_mount(TEST_OPTIONS), 0);
	fail_each_step(&remounting);
	cramfs_down();
}
END_TEST

static const struct victim ramfs_victims[] = {
	{ "open a new file", names_before, create_call, create_after },
	{ "mkdir", names_before, mkdir_call, name_after },
	{ "symlink", names_before, symlink_call, name_after },
	{ "mknod", names_before, mknod_call, name_after },
	{ "O_TMPFILE", names_before, tmpfile_call, tmpfile_after },
	{ "rename", two_before, rename_call, rename_after },
	{ "rename with a whiteout", two_before, whiteout_call, whiteout_after },
	{ "link", two_before, link_call, link_after },
	{ "mkdir in a full directory", full_before, full_mkdir, full_mkdir_after },
	{ "link into a full directory", full_before, full_link, full_link_after },
	{ "rename into a full directory", full_before, full_rename, full_rename_after },
	{ "give a name in a full directory", nameless_before, nameless_link, nameless_after },
	{ "open a file", two_before, reopen_call, reopen_after },
	{ "stat", two_before, stat_call, two_after },
	{ "unlink", two_before, unlink_call, unlink_after },
	{ "open and list a directory", two_before, list_call, list_after },
	{ "setxattr", xattr_before, setxattr_call, xattr_after },
	{ "setxattr of few bytes", xattr_before, few_call, few_after },
	{ "getxattr", xattr_before, getxattr_call, getxattr_after },
	{ "listxattr", xattr_before, listxattr_call, listxattr_after },
	{ "removexattr", xattr_before, removexattr_call, removexattr_after },
	{ "set an ACL", two_before, acl_call, acl_after },
	{ "chmod with an ACL", acl_before, chmod_call, chmod_after },
	{ "inherit ACLs", inherit_before, create_call, inherit_after },
	{ "write", file_before, file_write, file_after },
	{ "write of a large folio", large_before, large_write, large_after },
	{ "read", file_before, file_read, file_read_after },
	{ "write to a set-uid file", setuid_before, setuid_write, setuid_after },
	{ "fallocate in a set-uid file", setuid_before, setuid_allocate, setuid_after },
	{ "fallocate", file_before, file_allocate, file_allocate_after },
	{ "zero a range", file_before, file_zero, file_zero_after },
	{ "punch a hole", big_before, big_punch, big_punch_after },
	{ "ftruncate", big_before, big_truncate, big_truncate_after },
	{ "ftruncate, and to nothing", big_before, big_truncate, big_vanish_after },
	{ "mmap", map_before, map_call, map_after },
	{ "fault", fault_before, fault_call, fault_after },
	{ "file handle", file_before, handle_call, file_done },
};

START_TEST(ramfs)
{
	cramfs_up();
	ck_assert_int_eq(cramfs_remount("nr_inodes=64"), 0);
	/* Its first file gives the root what it keeps for names. */
	two_before();
	ck_ok(remove(OTHER));
	fail_each_step(&ramfs_victims[_i]);
	cramfs_down();
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int times)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, prepare, NULL);
	tcase_add_checked_fixture(tc, fill, NULL);
	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, test, 0, times);
	suite_add_tcase(suite, tc);
}

int main(void)
{
	Suite *suite = suite_create("failures");

	if (has_fault_injection()) {
		add(suite, "load", load, passes() * load_count());
		add(suite, "echo", echo, 1);
		add(suite, "proc", proc, 1);
		add(suite, "irq", irq, 1);
		add(suite, "syscall_ext", syscall_ext, 1);
		add(suite, "mempool", mempool, 1);
		add(suite, "mount", ramfs_mount, 1);
		add(suite, "ramfs", ramfs, COUNT(ramfs_victims));
		if (!can_spare())
			skip_test("load of what the kernel does not clean up behind",
				  "failures of this kernel cannot be told by who calls");
	} else {
		skip_test("each step", "this kernel has no fault injection");
	}
	return run_suite(suite);
}
