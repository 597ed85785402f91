/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the test programs: modules, the kernel log, hostile buffers,
 * waiting for a condition, and TAP with skips on top of libcheck.
 *
 * The programs run as root in the test machine of rig/vm/, where $KMK_MODULES
 * (default /lib/kmodkit) holds the modules.
 */
#ifndef KMKTEST_H
#define KMKTEST_H

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/*
 * libcheck writes its place to a file at each assertion. Done in a loop, this costs
 * more than what is tested and fills /tmp: here only a place that is new is written.
 */
#undef ck_assert_msg
#define ck_assert_msg(expr, ...)					\
	((expr) ? kmk_mark_place(__FILE__, __LINE__) :			\
		  _ck_assert_failed(__FILE__, __LINE__,			\
				    "Assertion '" #expr "' failed", __VA_ARGS__))
void kmk_mark_place(const char *file, int line);

/* Wait until @cond holds; fails the test when it does not within kmk_patience(). */
#define wait_until(cond)						\
	do {								\
		struct timespec deadline_ = kmk_deadline(kmk_patience()); \
		while (!(cond)) {					\
			if (kmk_expired(&deadline_))			\
				ck_abort_msg("timed out waiting for " #cond); \
			kmk_pause();					\
		}							\
	} while (0)

/* Assert that @call fails with @err. */
#define ck_errno(call, err)						\
	do {								\
		errno = 0;						\
		long long ret_ = (long long)(call);			\
		int err_ = errno;					\
		ck_assert_msg(ret_ == -1 && err_ == (err),		\
			      "%s: returned %lld with errno %d (%s), not %s", \
			      #call, ret_, err_, strerror(err_), #err);	\
	} while (0)

/* Assert that @call succeeds; evaluates to its value. */
#define ck_ok(call)							\
	({								\
		long long ok_ = (long long)(call);			\
		ck_assert_msg(ok_ >= 0, "%s: %s", #call, strerror(errno)); \
		ok_;							\
	})

/* A number from the environment. */
unsigned long kmk_setting(const char *name, unsigned long otherwise);

/* Seconds: 20, times CK_TIMEOUT_MULTIPLIER as libcheck's own timeouts. */
int kmk_patience(void);
struct timespec kmk_deadline(int seconds);
bool kmk_expired(const struct timespec *deadline);
void kmk_pause(void);

/* A PC's line 1 is the keyboard's, and can be shared; elsewhere it is nothing of the sort. */
#if defined(__x86_64__) || defined(__i386__)
#define PC true
#else
#define PC false
#endif

/* Modules: 0, or -errno as the system call gave it. */
int module_load(const char *name, const char *params);
int module_unload(const char *name);
bool module_loaded(const char *name);

/* The kernel log: how many records with @needle came after the last mark. */
void log_mark(void);
int log_count(const char *needle);

/* Whole small files. */
char *slurp(const char *path);		/* malloc'd; fails the test if unreadable */
long long slurp_number(const char *path);
int spew(const char *path, const char *text);	/* 0 or -errno of open or write */
bool exists(const char *path);

/* With KASAN and kmemleak a kernel keeps what was freed for a while, and more beside it. */
bool keeps_freed_memory(void);
#define KEEPS_FREED_MEMORY "this kernel keeps what was freed, to find who still uses it"

bool file_has(const char *path, const char *needle);

/* Fill @buf with bytes that @seed gives, without a short period. */
void fill_pattern(char *buf, size_t size, unsigned int seed);
/* @size bytes that end where a page begins that may not be touched. */
void *buffer_before_hole(size_t size);

/* The ioctl command @cmd for a structure of @size bytes. */
unsigned int sized(unsigned int cmd, size_t size);
/*
 * Zeroed memory whose byte @at begins a page, for forget_page(): who reads from before it into
 * it takes a fault in between, in which another thread can rewrite what was read.
 */
void *buffer_across_pages(size_t size, size_t at);
void forget_page(volatile void *page);
/* Fail unless @n bytes were copied of @size before the hole; return @n. */
ssize_t ck_copied(ssize_t n, ssize_t size);
/* An address that no process may use, and that no compiler sees through. */
extern void * const bad_pointer;
#define BAD_POINTER bad_pointer

/* Whether an access to a byte of a map, a load or a store of 1, gets SIGBUS. */
bool bus(volatile char *at, bool store);

/* Wait until the thread sleeps in the kernel: state S and blocked in a call. */
void wait_asleep(pid_t tid);

/*
 * A child process: fork() that dies with its parent. Check writes down each assertion that
 * holds, and a process killed meanwhile leaves half a line of it: one that works until it is
 * killed makes none, nor do slurp() and spew().
 */
pid_t spawn(void);
/* Its exit status; fails the test if a signal killed it. */
int reap(pid_t pid);
/* Give up root, for good. */
void drop_root(void);

/* Whether this kernel accounts memory to cgroups (of version 2). */
bool has_memory_cgroups(void);

/*
 * A read or write in a thread of its own: started, and asleep in the kernel with
 * io_start_and_block(); io_finish() asserts what it returns.
 */
struct io_call {
	pthread_t thread;
	pid_t tid;
	bool is_write;
	int fd;
	void *buf;
	size_t size;
	ssize_t ret;
	int err;
	bool done;
};

void io_start(struct io_call *c, bool is_write, int fd, void *buf, size_t size);
void io_start_and_block(struct io_call *c, bool is_write, int fd, void *buf, size_t size);
bool io_done(struct io_call *c);
void io_finish(struct io_call *c, ssize_t ret);

bool has_userfaultfd(void);

/* A page whose first use takes as long as the test likes; uffd gets the userfaultfd of it. */
char *stalling_page(int *uffd);
void wait_for_fault(int uffd);
void end_stall(int uffd, char *page, char fill);

/* Let a child read or write @size bytes, and kill it while it waits for its memory. */
void kill_stalled_call(int fd, bool is_write, size_t size);

/* This process gets all capabilities in a user namespace of its own, or ends with status 1. */
void enter_user_namespace(void);

/* How often a thread slept in the kernel. */
long sleeps_of(pid_t tid);

/* A kernel with PREEMPT_RT, whose spinlocks sleep. */
bool spinlocks_sleep(void);

/* A disk of 48 MiB, in memory. */
#define RAM_DISK "/dev/ram0"
bool has_ram_disk(void);

/*
 * DEBUG_SHIRQ calls each handler of a shared line that goes, and complains that a nested line
 * has none.
 */
bool has_debug_shirq(void);

/* Make a cgroup, which its test removes; the bytes of memory that it has. */
#define CGROUP "/sys/fs/cgroup/kmk"
void make_cgroup(void);
long long charged(void);

/* Whether this kernel is of that version or newer. */
bool kernel_from(int major, int minor);

/* Whether this kernel's sendfile() reads from character devices; some never do. */
bool sendfile_reads_devices(void);

/* Whether this kernel's io_uring calls devices: URING_CMD, Linux 6.1. */
bool kernel_has_uring_cmd(void);

struct io_uring;

/* Put a command for the device @fd, with @size bytes of payload, into the ring. */
void queue_uring_cmd(struct io_uring *ring, int fd, unsigned int command, const void *payload,
		     size_t size);

/* Programs of 32 bits: whether this kernel runs them; have one use a device or a file. */
bool runs_32_bits(void);
void use_from_32_bits(const char *path);

/* A test that cannot run here: shown as "ok N - name # SKIP why". */
void skip_test(const char *name, const char *why);
/* main() of every test program: runs the suite and prints TAP. */
int run_suite(Suite *suite);

#endif /* KMKTEST_H */
