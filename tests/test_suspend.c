// SPDX-License-Identifier: GPL-2.0
/*
 * The machine suspends beside blocked callers of each device: /sys/power/pm_test goes as
 * far as a level says and back. A call that was blocked before is blocked afterwards, and
 * gets what comes then; what was stored is there still.
 */
#define _GNU_SOURCE
#include "kmktest.h"

#include <fcntl.h>
#include <kmodkit/echo.h>
#include <kmodkit/irq_events.h>
#include <kmodkit/mempool.h>
#include <kmodkit/syscall_ext.h>
#include <liburing.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define POWER(name) "/sys/power/" name
#define DELAY "/sys/module/suspend/parameters/pm_test_delay"
#define IRQ(name) "/sys/class/misc/irq_events/" name
#define LINE(name) "/sys/module/kmk_line/parameters/" name
#define RECORD sizeof(struct kmk_irq_event)
#define PAGE 4096
#define CAPACITY 4096
#define SHARED 0x80
#define NO_SUSPEND 0x4000

/* Each goes farther than the one before it. */
enum { FREEZER, DEVICES, PLATFORM, CORE, LEVELS };

static const char * const levels[] = {
	[FREEZER] = "freezer",
	[DEVICES] = "devices",
	[PLATFORM] = "platform",	/* interrupts are off that need not be on */
	[CORE] = "core",		/* one processor is left; for a suspend not just to idle */
};

/* The first level that this machine does not go to. */
static int levels_here(void)
{
	if (!exists(POWER("pm_test")) || !file_has(POWER("state"), "mem"))
		return 0;
	if (file_has("/proc/version", "Linux version 7.")) {
		fprintf(stderr, "# only freezer: behind the others 7.3's virtio console hangs\n");
		return DEVICES;
	}
	return exists(POWER("mem_sleep")) && file_has(POWER("mem_sleep"), "[deep]") ? LEVELS : CORE;
}

/* Stay there for so many seconds. */
static void suspend_for(const char *seconds, const char *level)
{
	int err;

	if (exists(DELAY))
		spew(DELAY, seconds);
	log_mark();
	ck_assert_int_eq(spew(POWER("pm_test"), level), 0);
	err = spew(POWER("state"), "mem");
	spew(POWER("pm_test"), "none");
	ck_assert_msg(!err, "suspend as far as %s: %s", level, strerror(-err));
	ck_assert_int_eq(log_count("PM: suspend entry"), 1);
	ck_assert_int_eq(log_count("PM: suspend exit"), 1);
}

static void suspend(const char *level)
{
	suspend_for("0", level);
}

static const char * const modules[] = {
	"kmk_echo", "kmk_proc", "kmk_irq", "kmk_line", "kmk_syscall", "kmk_mempool",
};

static void clean(void)
{
	for (int i = 0; i < 6; i++)
		module_unload(modules[i]);
}

static void unload(const char *name)
{
	ck_assert_int_eq(module_unload(name), 0);
}

/* The queue: one waits for bytes, then one for room. */
START_TEST(fifo)
{
	static char full[CAPACITY];
	struct io_call c;
	char got[16];
	int fd;

	ck_assert_int_eq(module_load("kmk_echo", ""), 0);
	fd = ck_ok(open("/dev/echo_fifo", O_RDWR));
	io_start_and_block(&c, false, fd, got, sizeof(got));
	suspend(levels[_i]);
	wait_asleep(c.tid);
	ck_assert(!io_done(&c));
	ck_assert_int_eq(write(fd, "awake", 5), 5);
	io_finish(&c, 5);
	ck_assert_mem_eq(got, "awake", 5);

	fill_pattern(full, sizeof(full), 1);
	ck_assert_int_eq(write(fd, full, sizeof(full)), sizeof(full));
	io_start_and_block(&c, true, fd, "later", 5);
	suspend(levels[_i]);
	wait_asleep(c.tid);
	ck_assert(!io_done(&c));
	for (int i = 0; i < CAPACITY; i += 16) {
		ck_assert_int_eq(read(fd, got, 16), 16);
		ck_assert_mem_eq(got, full + i, 16);
	}
	io_finish(&c, 5);
	ck_assert_int_eq(read(fd, got, sizeof(got)), 5);
	ck_assert_mem_eq(got, "later", 5);
	close(fd);
	unload("kmk_echo");
}
END_TEST

struct poller {
	pthread_t thread;
	pid_t tid;
	struct pollfd poll;
	int ret;
};

static void *wait_in_poll(void *arg)
{
	struct poller *p = arg;

	__atomic_store_n(&p->tid, gettid(), __ATOMIC_RELEASE);
	p->ret = poll(&p->poll, 1, -1);
	return NULL;
}

static void poll_and_block(struct poller *p, int fd)
{
	*p = (struct poller){ .poll = { .fd = fd, .events = POLLIN } };
	ck_assert_int_eq(pthread_create(&p->thread, NULL, wait_in_poll, p), 0);
	wait_until(__atomic_load_n(&p->tid, __ATOMIC_ACQUIRE));
	wait_asleep(p->tid);
}

/* /dev/echo and /proc/rust_proc: nobody waits in a read, but a poller does in the latter. */
START_TEST(messages)
{
	static char message[CAPACITY], got[2 * CAPACITY];
	struct poller p;
	int echo, proc;

	ck_assert_int_eq(module_load("kmk_echo", ""), 0);
	ck_assert_int_eq(module_load("kmk_proc", "greeting="), 0);
	echo = ck_ok(open("/dev/echo", O_RDWR));
	fill_pattern(message, sizeof(message), 2);
	ck_assert_int_eq(write(echo, message, sizeof(message)), sizeof(message));
	ck_assert_int_eq(pread(echo, got, 100, 0), 100);
	ck_assert_int_eq(spew("/proc/rust_proc", "before\n"), 0);
	proc = ck_ok(open("/proc/rust_proc", O_RDONLY));
	while (ck_ok(read(proc, got, sizeof(got))))
		;
	poll_and_block(&p, proc);
	suspend(levels[_i]);
	wait_asleep(p.tid);
	ck_assert_int_eq(spew("/proc/rust_proc", "after\n"), 0);
	ck_assert_int_eq(pthread_join(p.thread, NULL), 0);
	ck_assert_int_eq(p.ret, 1);
	ck_assert(p.poll.revents & POLLIN);
	ck_assert_int_eq(read(proc, got, sizeof(got)), 6);
	ck_assert_mem_eq(got, "after\n", 6);
	ck_assert(file_has("/proc/rust_proc", "before\nafter\n"));
	ck_assert_int_eq(pread(echo, got, sizeof(got), 0), sizeof(message));
	ck_assert_mem_eq(got, message, sizeof(message));
	close(echo);
	close(proc);
	unload("kmk_echo");
	unload("kmk_proc");
}
END_TEST

/* The simulated line: a reader waits; what was counted on each processor stays. */
START_TEST(irq_events)
{
	struct kmk_irq_event events[4];
	struct io_call c;
	char *counts;
	int fd;

	ck_assert_int_eq(module_load("kmk_irq", "irq=-1"), 0);
	fd = ck_ok(open("/dev/irq_events", O_RDONLY));
	ck_assert_int_eq(spew(IRQ("trigger"), "3 5"), 0);
	ck_assert_int_eq(read(fd, events, sizeof(events)), 3 * RECORD);
	counts = slurp(IRQ("per_cpu_count"));
	io_start_and_block(&c, false, fd, events, sizeof(events));
	suspend(levels[_i]);
	wait_asleep(c.tid);
	ck_assert(!io_done(&c));
	ck_assert_str_eq(slurp(IRQ("per_cpu_count")), counts);
	ck_assert_int_eq(spew(IRQ("trigger"), "1 77"), 0);
	io_finish(&c, RECORD);
	ck_assert_uint_eq(events[0].seq, 4);
	ck_assert_uint_eq(events[0].data, 77);
	ck_assert_int_eq(slurp_number(IRQ("count")), 4);
	free(counts);
	close(fd);
	unload("kmk_irq");
}
END_TEST

struct times {
	unsigned long long ns[2];
};

static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME };

static struct times times_now(void)
{
	struct times times;
	struct timespec now;

	for (int i = 0; i < 2; i++) {
		ck_ok(clock_gettime(clocks[i], &now));
		times.ns[i] = now.tv_sec * 1000000000ULL + now.tv_nsec;
	}
	return times;
}

/*
 * CLOCK_BOOTTIME counts the time of a suspend, CLOCK_MONOTONIC does not: until there was one,
 * they are the same. An event keeps the times it came at, by both.
 */
START_TEST(irq_clocks)
{
	struct times before[2], after[2];
	struct kmk_irq_event events[2];
	int fd[2];

	ck_assert_int_eq(module_load("kmk_irq", "irq=-1"), 0);
	for (int i = 0; i < 2; i++) {
		struct kmk_irq_clock choice = { .clock = clocks[i] };

		fd[i] = ck_ok(open("/dev/irq_events", O_RDONLY));
		ck_ok(ioctl(fd[i], IRQ_EVENTS_IOC_SET_CLOCK, &choice));
	}
	for (int i = 0; i < 2; i++) {
		before[i] = times_now();
		ck_assert_int_eq(spew(IRQ("trigger"), "1"), 0);
		after[i] = times_now();
		if (!i)
			suspend_for("4", levels[CORE]);
	}
	ck_assert_uint_ge((before[1].ns[1] - before[1].ns[0]) - (after[0].ns[1] - after[0].ns[0]),
			  1000000000);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(read(fd[i], events, sizeof(events)), sizeof(events));
		for (int k = 0; k < 2; k++) {
			ck_assert_uint_ge(events[k].timestamp_ns, before[k].ns[i]);
			ck_assert_uint_le(events[k].timestamp_ns, after[k].ns[i]);
		}
		close(fd[i]);
	}
	unload("kmk_irq");
}
END_TEST

/* A driver's line, one that stays on and one that does not. */
START_TEST(shared_line)
{
	struct kmk_irq_event events[4];
	char params[64];
	struct io_call c;
	int fd;

	for (int stays_on = 0; stays_on < 2; stays_on++) {
		snprintf(params, sizeof(params), "flags=%d",
			 stays_on ? SHARED | NO_SUSPEND : SHARED);
		ck_assert_int_eq(module_load("kmk_line", params), 0);
		ck_assert_int_eq(spew(LINE("ask"), "1"), 0);
		snprintf(params, sizeof(params), "irq=%lld", slurp_number(LINE("line")));
		ck_assert_int_eq(module_load("kmk_irq", params), 0);
		fd = ck_ok(open("/dev/irq_events", O_RDONLY));
		io_start_and_block(&c, false, fd, events, RECORD);
		suspend(levels[_i]);
		wait_asleep(c.tid);
		ck_assert(!io_done(&c));
		ck_assert_int_eq(slurp_number(LINE("handled")), 0);
		ck_assert_int_eq(spew(LINE("raise"), "2"), 0);
		io_finish(&c, RECORD);
		ck_assert_uint_eq(events[0].seq, 1);
		ck_assert_int_eq(slurp_number(IRQ("count")), 2);
		wait_until(slurp_number(LINE("handled")) > 0);
		close(fd);
		unload("kmk_irq");
		unload("kmk_line");
	}
}
END_TEST

struct sleeper {
	pthread_t thread;
	pid_t tid;
	int fd;
	struct custom_syscall_data data;
	int err;
};

static void *sleep_in_a_call(void *arg)
{
	struct sleeper *s = arg;

	__atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
	s->err = custom_syscall(s->fd, &s->data) ? errno : 0;
	return NULL;
}

/* Sleeps of a call and of io_uring last as long as they should, and end with their result. */
START_TEST(sleeps)
{
	static struct custom_syscall_data ring_data;
	struct custom_syscall_uring payload = { .argument = (uintptr_t)&ring_data };
	struct sleeper s = { .data = { CUSTOM_SYSCALL_SLEEP, 5000, 0, -1 } };
	const bool uring = kernel_has_uring_cmd();
	struct timespec begun, ended;
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	ck_assert_int_eq(module_load("kmk_syscall", ""), 0);
	s.fd = ck_ok(open("/dev/syscall_ext", O_RDWR));
	clock_gettime(CLOCK_MONOTONIC, &begun);
	ck_assert_int_eq(pthread_create(&s.thread, NULL, sleep_in_a_call, &s), 0);
	wait_until(__atomic_load_n(&s.tid, __ATOMIC_ACQUIRE));
	wait_asleep(s.tid);
	if (uring) {
		ring_data = (struct custom_syscall_data){ CUSTOM_SYSCALL_SLEEP, 5000, 0, -1 };
		ck_assert_int_eq(io_uring_queue_init(4, &ring, 0), 0);
		queue_uring_cmd(&ring, s.fd, CUSTOM_SYSCALL, &payload, sizeof(payload));
		ck_assert_int_eq(io_uring_submit(&ring), 1);
	}
	suspend(levels[_i]);
	ck_assert_int_eq(pthread_join(s.thread, NULL), 0);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	if (kernel_from(6, 1)) {
		ck_assert_int_eq(s.err, 0);
		ck_assert_int_eq(s.data.result, 0);
		ck_assert_int_ge((ended.tv_sec - begun.tv_sec) * 1000 +
				 (ended.tv_nsec - begun.tv_nsec) / 1000000, 4999);
	} else {	/* the freezer interrupts it, as a signal does */
		ck_assert(!s.err || s.err == EINTR);
		ck_assert(s.err ? s.data.result > 0 : !s.data.result);
	}
	if (uring) {
		ck_assert_int_eq(io_uring_wait_cqe(&ring, &cqe), 0);
		ck_assert_int_eq(cqe->res, 0);
		ck_assert_int_eq(ring_data.result, 0);
		io_uring_queue_exit(&ring);
	}
	close(s.fd);
	wait_until(!module_unload("kmk_syscall"));
}
END_TEST

/* Blocks, and their maps. A reader of one never waits. */
START_TEST(mempool)
{
	static char pattern[4 * PAGE], got[4 * PAGE];
	struct kmk_mempool_alloc alloc = { .size = 4 * PAGE };
	char *map;
	int fd;

	ck_assert_int_eq(module_load("kmk_mempool", ""), 0);
	fd = ck_ok(open("/dev/mempool", O_RDWR));
	ck_ok(ioctl(fd, MEMPOOL_IOC_ALLOC, &alloc));
	fill_pattern(pattern, sizeof(pattern), 3);
	ck_assert_int_eq(pwrite(fd, pattern, sizeof(pattern), alloc.handle), sizeof(pattern));
	map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, alloc.handle);
	ck_assert_ptr_ne(map, MAP_FAILED);
	suspend(levels[_i]);
	ck_assert_mem_eq(map, pattern, sizeof(pattern));
	map[PAGE] = 'x';
	ck_assert_int_eq(pread(fd, got, sizeof(got), alloc.handle), sizeof(got));
	ck_assert_int_eq(got[PAGE], 'x');
	ck_assert_mem_eq(got + PAGE + 1, pattern + PAGE + 1, 3 * PAGE - 1);
	ck_ok(munmap(map, 4 * PAGE));
	close(fd);
	unload("kmk_mempool");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("suspend");
	TCase *tc = tcase_create("pm_test");
	int count = levels_here();

	tcase_add_checked_fixture(tc, clean, NULL);
	if (count) {
		tcase_add_loop_test(tc, fifo, 0, count);
		tcase_add_loop_test(tc, messages, 0, count);
		tcase_add_loop_test(tc, irq_events, 0, count);
		tcase_add_loop_test(tc, shared_line, 0, count);
		tcase_add_loop_test(tc, sleeps, 0, count);
		tcase_add_loop_test(tc, mempool, 0, count);
		if (PC && count > CORE)
			tcase_add_test(tc, irq_clocks);
		else
			skip_test("irq_clocks", "no suspend here is one that the clocks tell");
	} else {
		skip_test("suspend", "this kernel has no /sys/power/pm_test, or cannot suspend");
	}
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
