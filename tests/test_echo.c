// SPDX-License-Identifier: GPL-2.0
/* kmk_echo: the parameters, /dev/echo, ioctls, sysfs, load and unload. */
#define _GNU_SOURCE
#include "kmktest.h"

#include <fcntl.h>
#include <kmodkit/echo.h>
#include <liburing.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define DEV "/dev/echo"
#define SYS "/sys/class/misc/echo/"

static void load(const char *params)
{
	if (module_loaded("kmk_echo"))		/* left by a test that failed */
		module_unload("kmk_echo");
	ck_assert_int_eq(module_load("kmk_echo", params), 0);
}

static void unload(void)
{
	ck_assert_int_eq(module_unload("kmk_echo"), 0);
}

static void load_default(void)
{
	load("");
}

static void check_nothing_left(void)
{
	ck_assert(!module_loaded("kmk_echo"));
	ck_assert(!exists("/dev/echo"));
	ck_assert(!exists("/dev/echo_fifo"));
	ck_assert(!exists("/sys/class/misc/echo"));
	ck_assert(!exists("/sys/class/misc/echo_fifo"));
	ck_assert(!exists("/sys/kernel/tracing/events/kmk_echo"));
	ck_assert(!file_has("/proc/misc", "echo"));
}

/* /dev/echo holds exactly @text. */
static void check_message(const char *text, size_t size)
{
	int fd = ck_ok(open(DEV, O_RDONLY));
	char *held = malloc(size + 1);

	ck_assert_int_eq(read(fd, held, size + 1), size);
	ck_assert_mem_eq(held, text, size);
	ck_assert_int_eq(read(fd, held, size + 1), 0);
	ck_assert_int_eq(slurp_number(SYS "length"), size);
	free(held);
	close(fd);
}

static void put_message(const char *text)
{
	ck_assert_int_eq(spew(DEV, text), 0);
}

/* Parameters, load and unload */

START_TEST(load_and_unload)
{
	load("");		/* the first also tells that the kernel is tainted */
	unload();
	log_mark();
	for (int i = 0; i < 2; i++) {
		load("");
		ck_assert(exists("/dev/echo"));
		ck_assert(exists("/dev/echo_fifo"));
		ck_assert_int_eq(module_load("kmk_echo", ""), -EEXIST);
		unload();
		check_nothing_left();
	}
	ck_assert_int_eq(log_count("kmk_echo: "), 4);
	ck_assert_int_eq(log_count("kmk_echo: loaded, capacity=4096"), 2);
	ck_assert_int_eq(log_count("kmk_echo: unloaded"), 2);
}
END_TEST

static const struct {
	const char *params;
	int err;
	const char *said;
} refused[] = {
	{ "capacity=0", -EINVAL, "capacity=0 refused" },
	{ "capacity=16777217", -EINVAL, "capacity=16777217 refused" },
	{ "capacity=4294967295", -EINVAL, "capacity=4294967295 refused" },
	{ "capacity=-1", -EINVAL, NULL },
	{ "capacity=4294967296", -ERANGE, NULL },
	{ "capacity=many", -EINVAL, NULL },
	{ "mode=01000", -EINVAL, "invalid for parameter `mode'" },
	{ "mode=1666", -EINVAL, "invalid for parameter `mode'" },
	{ "mode=688", -EINVAL, NULL },
	{ "mode=0x1ff", -EINVAL, NULL },
	{ "mode=200000", -EINVAL, NULL },
	{ "mode=rw", -EINVAL, NULL },
	{ "capacity=4 greeting=hello", -EINVAL, "greeting refused" },
};

START_TEST(bad_parameters)
{
	log_mark();
	ck_assert_int_eq(module_load("kmk_echo", refused[_i].params), refused[_i].err);
	check_nothing_left();
	if (refused[_i].said) {
		ck_assert_int_eq(log_count("kmk_echo: "), 1);
		ck_assert_int_eq(log_count(refused[_i].said), 1);
	}
	load("");
	unload();
}
END_TEST

static const size_t capacities[] = { 1, 2, 4095, 4096, 4097, 65536, 16777216 };

START_TEST(capacity_parameter)
{
	size_t capacity = capacities[_i];
	char *in = malloc(capacity + 1), *out = malloc(capacity + 1), params[32];
	int fd;

	snprintf(params, sizeof(params), "capacity=%zu", capacity);
	load(params);
	ck_assert_int_eq(slurp_number(SYS "capacity"), capacity);
	ck_assert_int_eq(slurp_number("/sys/class/misc/echo_fifo/capacity"), capacity);
	ck_assert_int_eq(slurp_number("/sys/module/kmk_echo/parameters/capacity"), capacity);
	fill_pattern(in, capacity + 1, 1);

	fd = ck_ok(open(DEV, O_RDWR));
	ck_assert_int_eq(write(fd, in, capacity + 1), capacity);
	ck_errno(write(fd, in, 1), ENOSPC);
	ck_assert_int_eq(pread(fd, out, capacity + 1, 0), capacity);
	ck_assert(!memcmp(in, out, capacity));
	close(fd);

	fd = ck_ok(open("/dev/echo_fifo", O_RDWR | O_NONBLOCK));
	/* more than PIPE_BUF is written as far as it fits, less as one piece */
	if (capacity >= 4096)
		ck_assert_int_eq(write(fd, in, capacity + 1), capacity);
	else
		ck_assert_int_eq(write(fd, in, capacity), capacity);
	ck_errno(write(fd, in, 1), EAGAIN);
	ck_assert_int_eq(read(fd, out, capacity + 1), capacity);
	ck_assert(!memcmp(in, out, capacity));
	ck_errno(read(fd, out, 1), EAGAIN);
	close(fd);
	unload();
}
END_TEST

START_TEST(mode_parameter)
{
	static const struct {
		const char *params;
		unsigned int mode;
	} modes[] = {
		{ "", 0666 }, { "mode=0600", 0600 }, { "mode=0", 0 },
		{ "mode=0777", 0777 }, { "mode=0444", 0444 }, { "mode=440", 0440 },
	};
	char shown[8];
	struct stat st;

	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		load(modes[i].params);
		ck_ok(stat("/dev/echo", &st));
		ck_assert_uint_eq(st.st_mode, S_IFCHR | modes[i].mode);
		ck_ok(stat("/dev/echo_fifo", &st));
		ck_assert_uint_eq(st.st_mode, S_IFCHR | modes[i].mode);
		snprintf(shown, sizeof(shown), "%04o\n", modes[i].mode);
		ck_assert(file_has("/sys/module/kmk_echo/parameters/mode", shown));
		unload();
	}
}
END_TEST

START_TEST(mode_keeps_others_out)
{
	pid_t pid;

	load("mode=0640");
	pid = spawn();
	if (!pid) {
		drop_root();
		ck_errno(open(DEV, O_RDONLY), EACCES);
		ck_errno(open("/dev/echo_fifo", O_RDWR), EACCES);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	unload();
	load("");
	pid = spawn();
	if (!pid) {
		drop_root();
		put_message("anyone");
		check_message("anyone", 6);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	unload();
}
END_TEST

START_TEST(greeting_parameter)
{
	load("greeting=hello");
	check_message("hello", 5);
	ck_assert_int_eq(slurp_number("/sys/class/misc/echo_fifo/length"), 0);
	unload();
	load("");
	check_message("", 0);
	unload();
	load("capacity=5 greeting=hello");	/* as long as may be */
	check_message("hello", 5);
	unload();
}
END_TEST

START_TEST(no_unload_in_use)
{
	static const char *const nodes[] = { "/dev/echo", "/dev/echo_fifo" };

	for (int i = 0; i < 2; i++) {
		int fd, err;

		load("");
		fd = ck_ok(open(nodes[i], O_RDONLY));
		err = module_unload("kmk_echo");
		ck_assert_msg(err == -EAGAIN || err == -EBUSY, "unload: %d", err);
		ck_assert(exists(nodes[i]));
		close(fd);
		unload();
		check_nothing_left();
	}
}
END_TEST

static void *keep_using(void *stop)
{
	char buf[256];

	while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED)) {
		int fd = open("/dev/echo", O_RDWR);

		if (fd >= 0) {
			ck_assert_int_eq(pwrite(fd, buf, sizeof(buf), 0), sizeof(buf));
			ck_ok(pread(fd, buf, sizeof(buf), 0));
			close(fd);
		}
		fd = open("/dev/echo_fifo", O_RDWR | O_NONBLOCK);
		if (fd >= 0) {
			ck_assert_int_eq(write(fd, buf, 10), 10);
			ck_ok(read(fd, buf, sizeof(buf)));
			close(fd);
		}
	}
	return NULL;
}

START_TEST(unload_under_load)
{
	bool stop = false;
	pthread_t thread;
	int unloaded = 0;

	load("");
	pthread_create(&thread, NULL, keep_using, &stop);
	for (int i = 0; i < 2000 && unloaded < 20; i++) {
		int err = module_unload("kmk_echo");

		if (!err) {
			unloaded++;
			load("");
		} else {
			ck_assert_msg(err == -EAGAIN || err == -EBUSY, "unload: %d", err);
			kmk_pause();
		}
	}
	ck_assert_int_gt(unloaded, 0);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	unload();
	check_nothing_left();
}
END_TEST

static void *open_early(void *result)
{
	int *fd = result;

	do {
		*fd = open(DEV, O_RDWR | O_CLOEXEC);
		ck_assert(*fd >= 0 || errno == ENOENT || errno == ENODEV);
	} while (*fd < 0);
	return NULL;
}

/* An open that comes too early fails; any other has all of the device. */
START_TEST(open_while_loading)
{
	char text[10];
	pthread_t thread;
	int fd;

	for (int i = 0; i < 10; i++) {
		pthread_create(&thread, NULL, open_early, &fd);
		load("greeting=hello");
		pthread_join(thread, NULL);
		ck_assert_int_eq(read(fd, text, sizeof(text)), 5);
		ck_assert_mem_eq(text, "hello", 5);
		ck_ok(close(fd));
		unload();
	}
}
END_TEST

/* The message */

START_TEST(holds_last_message)
{
	put_message("first, and long");
	put_message("second");
	check_message("second", 6);
	check_message("second", 6);	/* reading takes nothing away */
}
END_TEST

START_TEST(follows_on)
{
	int fd = ck_ok(open(DEV, O_WRONLY));

	ck_assert_int_eq(write(fd, "one ", 4), 4);
	ck_assert_int_eq(write(fd, "two ", 4), 4);
	ck_assert_int_eq(write(fd, "three", 5), 5);
	close(fd);
	check_message("one two three", 13);
	fd = ck_ok(open(DEV, O_WRONLY));	/* another file begins anew */
	ck_assert_int_eq(write(fd, "new", 3), 3);
	close(fd);
	check_message("new", 3);
}
END_TEST

START_TEST(offset_zero_replaces)
{
	int fd = ck_ok(open(DEV, O_RDWR));

	ck_assert_int_eq(write(fd, "a long message", 14), 14);
	ck_assert_int_eq(pwrite(fd, "short", 5, 0), 5);
	check_message("short", 5);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	check_message("x", 1);
	ck_assert_int_eq(write(fd, "", 0), 0);
	ck_assert_int_eq(pwrite(fd, "", 0, 0), 0);	/* nothing replaces nothing */
	check_message("x", 1);
	close(fd);
}
END_TEST

START_TEST(shell_redirections)
{
	ck_assert_int_eq(system("echo one > /dev/echo"), 0);
	ck_assert_int_eq(system("echo more >> /dev/echo"), 0);
	check_message("one\nmore\n", 9);
	ck_assert_int_eq(system("test \"$(cat /dev/echo)\" = \"$(printf 'one\\nmore')\""), 0);
	ck_assert_int_eq(system("(echo a; echo b; echo c) > /dev/echo"), 0);
	check_message("a\nb\nc\n", 6);
	ck_assert_int_eq(system("head -c 4096 /proc/kallsyms > /tmp/in"), 0);
	ck_assert_int_eq(system("dd if=/tmp/in of=/dev/echo bs=100 2>/dev/null"), 0);
	ck_assert_int_eq(system("cat /dev/echo | cmp - /tmp/in"), 0);
	ck_assert_int_eq(system(": > /dev/echo"), 0);
	check_message("", 0);
}
END_TEST

START_TEST(append)
{
	int a = ck_ok(open(DEV, O_WRONLY | O_APPEND));
	int b = ck_ok(open(DEV, O_RDWR | O_APPEND));
	char buf[16];

	ck_assert_int_eq(write(a, "1", 1), 1);
	ck_assert_int_eq(write(b, "2", 1), 1);
	ck_assert_int_eq(write(a, "3", 1), 1);
	check_message("123", 3);
	ck_assert_int_eq(lseek(b, 0, SEEK_CUR), 2);
	ck_assert_int_eq(read(b, buf, sizeof(buf)), 1);
	ck_assert_int_eq(buf[0], '3');
	ck_assert_int_eq(pwrite(b, "4", 1, 0), 1);	/* as on a file */
	check_message("1234", 4);
	close(a);
	close(b);
}
END_TEST

START_TEST(append_flag_of_one_write)
{
	struct iovec iov = { "!", 1 };
	int fd = ck_ok(open(DEV, O_WRONLY));

	put_message("hello");
	ck_assert_int_eq(pwritev2(fd, &iov, 1, 0, RWF_APPEND), 1);
	check_message("hello!", 6);
	close(fd);
}
END_TEST

START_TEST(truncate_on_open)
{
	put_message("gone");
	close(ck_ok(open(DEV, O_WRONLY)));
	check_message("gone", 4);
	close(ck_ok(open(DEV, O_WRONLY | O_TRUNC)));
	check_message("", 0);
}
END_TEST

START_TEST(beyond_capacity)
{
	char in[5000], out[5000];
	int fd = ck_ok(open(DEV, O_RDWR));

	fill_pattern(in, sizeof(in), 3);
	ck_assert_int_eq(write(fd, in, 4000), 4000);
	ck_assert_int_eq(write(fd, in + 4000, 1000), 96);
	ck_errno(write(fd, in, 1), ENOSPC);
	ck_errno(pwrite(fd, in, 1, 4096), ENOSPC);
	ck_errno(pwrite(fd, in, 1, 1ll << 40), ENOSPC);
	ck_errno(pwrite(fd, in, 1, INT64_MAX - 1), ENOSPC);
	ck_assert_int_eq(pread(fd, out, sizeof(out), 0), 4096);
	ck_assert_mem_eq(in, out, 4096);
	ck_assert_int_eq(pwrite(fd, "z", 1, 4095), 1);	/* the last byte there is */
	ck_assert_int_eq(pread(fd, out, 2, 4095), 1);
	ck_assert_int_eq(out[0], 'z');
	close(fd);
	fd = ck_ok(open(DEV, O_WRONLY | O_APPEND));
	ck_errno(write(fd, in, 1), ENOSPC);
	ck_assert_int_eq(slurp_number(SYS "length"), 4096);
	close(fd);
}
END_TEST

START_TEST(offsets)
{
	int fd = ck_ok(open(DEV, O_RDWR));
	char buf[16];

	ck_assert_int_eq(write(fd, "0123456789", 10), 10);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 10);
	ck_assert_int_eq(read(fd, buf, 4), 0);
	ck_assert_int_eq(lseek(fd, -3, SEEK_END), 7);
	ck_assert_int_eq(read(fd, buf, sizeof(buf)), 3);
	ck_assert_mem_eq(buf, "789", 3);
	ck_assert_int_eq(lseek(fd, 2, SEEK_SET), 2);
	ck_assert_int_eq(read(fd, buf, 2), 2);
	ck_assert_mem_eq(buf, "23", 2);
	ck_assert_int_eq(lseek(fd, 1, SEEK_CUR), 5);
	ck_errno(lseek(fd, -1, SEEK_SET), EINVAL);
	ck_errno(lseek(fd, 0, 99), EINVAL);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 5);
	ck_assert_int_eq(pread(fd, buf, 3, 4), 3);
	ck_assert_mem_eq(buf, "456", 3);
	ck_assert_int_eq(pread(fd, buf, 3, 9), 1);
	ck_assert_int_eq(pread(fd, buf, 3, 10), 0);
	ck_assert_int_eq(pread(fd, buf, 3, 1ll << 40), 0);
	ck_assert_int_eq(pread(fd, buf, 0, 0), 0);
	ck_errno(pread(fd, buf, 1, -1), EINVAL);
	ck_errno(pwrite(fd, buf, 1, -1), EINVAL);
	ck_assert_int_eq(pwrite(fd, "AB", 2, 4), 2);	/* in the middle */
	check_message("0123AB6789", 10);
	ck_assert_int_eq(pwrite(fd, "CD", 2, 9), 2);	/* over the end */
	check_message("0123AB678CD", 11);
	close(fd);
}
END_TEST

START_TEST(gap_is_zero)
{
	char junk[4096];
	int fd = ck_ok(open(DEV, O_RDWR));

	/* both buffers hold something else where the gap will be */
	memset(junk, 'j', sizeof(junk));
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pwrite(fd, junk, sizeof(junk), 0), sizeof(junk));
	ck_assert_int_eq(pwrite(fd, "ab", 2, 0), 2);
	ck_assert_int_eq(pwrite(fd, "z", 1, 6), 1);
	check_message("ab\0\0\0\0z", 7);
	ck_ok(ioctl(fd, ECHO_IOC_CLEAR));
	ck_assert_int_eq(pwrite(fd, "y", 1, 3), 1);
	check_message("\0\0\0y", 4);
	close(fd);
}
END_TEST

START_TEST(vectors)
{
	struct iovec in[] = { { "ab", 2 }, { NULL, 0 }, { "cde", 3 }, { "f", 1 } };
	char x[3], y[8];
	struct iovec out[] = { { x, 3 }, { NULL, 0 }, { y, 8 } };
	int fd = ck_ok(open(DEV, O_RDWR));

	ck_assert_int_eq(writev(fd, in, 4), 6);
	check_message("abcdef", 6);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(readv(fd, out, 3), 6);
	ck_assert_mem_eq(x, "abc", 3);
	ck_assert_mem_eq(y, "def", 3);
	ck_assert_int_eq(preadv(fd, out, 3, 4), 2);
	ck_assert_mem_eq(x, "ef", 2);
	ck_assert_int_eq(pwritev(fd, in, 4, 6), 6);
	check_message("abcdefabcdef", 12);
	close(fd);
}
END_TEST

START_TEST(access_modes)
{
	int r = ck_ok(open(DEV, O_RDONLY)), w = ck_ok(open(DEV, O_WRONLY));
	char c;

	ck_errno(write(r, "x", 1), EBADF);
	ck_errno(read(w, &c, 1), EBADF);
	ck_errno(ioctl(r, ECHO_IOC_CLEAR), EBADF);
	close(r);
	close(w);
}
END_TEST

START_TEST(always_ready)
{
	struct pollfd p = { .events = POLLIN | POLLOUT };
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = ck_ok(epoll_create1(0));

	p.fd = ck_ok(open(DEV, O_RDWR));
	ck_assert_int_eq(poll(&p, 1, 0), 1);
	ck_assert_int_eq(p.revents, POLLIN | POLLOUT);
	ck_errno(epoll_ctl(ep, EPOLL_CTL_ADD, p.fd, &ev), EPERM);	/* as a file */
	close(ep);
	close(p.fd);
}
END_TEST

/* Faults */

START_TEST(bad_pointers)
{
	int fd = ck_ok(open(DEV, O_RDWR));

	put_message("kept");
	ck_errno(pwrite(fd, BAD_POINTER, 4, 0), EFAULT);
	ck_errno(pwrite(fd, BAD_POINTER, 4, 2), EFAULT);
	ck_errno(pread(fd, BAD_POINTER, 4, 0), EFAULT);
	ck_errno(write(fd, buffer_before_hole(0), 4), EFAULT);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 0);
	check_message("kept", 4);
	close(fd);
}
END_TEST

START_TEST(fault_half_way)
{
	struct iovec hole[] = { { "vector", 6 }, { BAD_POINTER, 4 } };
	char *buf = buffer_before_hole(10);
	int fd = ck_ok(open(DEV, O_RDWR));
	ssize_t n;

	memcpy(buf, "0123456789", 10);
	ck_assert_int_eq(write(fd, buf, 20), 10);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 10);
	check_message("0123456789", 10);
	ck_assert_int_eq(write(fd, buf + 8, 20), 2);
	check_message("012345678989", 12);

	memset(buf, 0, 10);
	n = pread(fd, buf + 3, 12, 0);		/* the processor decides how many come */
	ck_assert_int_gt(n, 0);
	ck_assert_int_le(n, 7);
	ck_assert_mem_eq(buf + 3, "0123456", n);
	for (int i = 3 + n; i < 10; i++)	/* and each of them is told */
		ck_assert_int_eq(buf[i], 0);
	ck_assert_int_eq(pread(fd, buf + 3, 7, 5), 7);	/* no fault: it just fits */
	ck_assert_mem_eq(buf + 3, "5678989", 7);

	ck_assert_int_eq(pwritev(fd, hole, 2, 0), 6);
	check_message("vector", 6);
	close(fd);
}
END_TEST

/* Memory that is not there yet is no fault, and the copy is whole. */
START_TEST(untouched_memory)
{
	size_t size = 16 << 20;
	char *in, *out;
	int fd;

	load("capacity=16777216");
	in = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	out = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	in[0] = 'a';
	in[size / 2] = 'm';
	in[size - 1] = 'z';
	fd = ck_ok(open(DEV, O_RDWR));
	ck_assert_int_eq(pwrite(fd, in, size, 0), size);
	ck_assert_int_eq(pread(fd, out, size, 0), size);
	ck_assert(!memcmp(in, out, size));
	close(fd);
	unload();
}
END_TEST

/*
 * Memory that goes while it is copied: what a small memory cgroup does to a large buffer.
 * Each call ends.
 */
#define LARGE (16 << 20)

static const struct {
	const char *node;
	bool is_write;
} large_calls[] = {
	{ "/dev/echo", true }, { "/dev/echo", false },
	{ "/dev/echo_fifo", true }, { "/dev/echo_fifo", false },
};

static char *large;
static bool vanish_no_more;

static void *keep_vanishing(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; !__atomic_load_n(&vanish_no_more, __ATOMIC_RELAXED); i++)
		madvise(large + LARGE - 4096 - (i * 37 % 2048) * 4096, 4096, MADV_DONTNEED);
	return NULL;
}

START_TEST(vanishing_memory)
{
	pthread_t thread;
	int fd;

	load("capacity=16777216");
	fd = ck_ok(open(large_calls[_i].node, O_RDWR | O_NONBLOCK));
	large = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(large, 1, LARGE);
	if (!large_calls[_i].is_write) {
		ck_assert_int_eq(write(fd, large, LARGE), LARGE);
		lseek(fd, 0, SEEK_SET);
	}
	pthread_create(&thread, NULL, keep_vanishing, NULL);
	if (large_calls[_i].is_write)
		ck_assert_int_eq(write(fd, large, LARGE), LARGE);
	else
		ck_assert_int_eq(read(fd, large, LARGE), LARGE);
	__atomic_store_n(&vanish_no_more, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	close(fd);
	unload();
}
END_TEST

/* A RAM disk writes at once: a reclaimer that waits for writeback may be killed instead. */
static bool has_swap(void)
{
	return has_ram_disk() && !system("mkswap " RAM_DISK " >/dev/null");
}

/* A buffer of twice the memory that its cgroup may have; the rest is swapped out. */
START_TEST(memory_smaller_than_the_buffer)
{
	pid_t pid;

	load("capacity=16777216");
	ck_assert_int_eq(system("swapon " RAM_DISK), 0);
	make_cgroup();
	ck_assert_int_eq(spew(CGROUP "/memory.max", "8388608"), 0);
	pid = spawn();
	if (!pid) {
		int fd = ck_ok(open(large_calls[_i].node, O_RDWR | O_NONBLOCK));

		ck_assert_int_eq(spew(CGROUP "/cgroup.procs", "0"), 0);
		large = malloc(LARGE);
		memset(large, 1, LARGE);
		ck_assert_int_eq(write(fd, large, LARGE), LARGE);
		lseek(fd, 0, SEEK_SET);
		ck_assert_int_eq(read(fd, large, LARGE), LARGE);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_eq(system("swapoff " RAM_DISK), 0);
	wait_until(!rmdir(CGROUP));
	unload();
}
END_TEST

/* Stalled memory: userfaultfd holds a page back as long as the test likes. */

START_TEST(stalled_reader_and_writer)
{
	int r = ck_ok(open(DEV, O_RDWR)), w = ck_ok(open(DEV, O_WRONLY));
	struct io_call reader, writer;
	char *page[2], buf[16];
	int uffd[2];

	for (int i = 0; i < 2; i++)
		page[i] = stalling_page(&uffd[i]);
	ck_assert_int_eq(pwrite(r, "one", 3, 0), 3);
	io_start(&reader, false, r, page[0], 4096);
	wait_for_fault(uffd[0]);
	io_start(&writer, true, w, page[1], 5);
	wait_for_fault(uffd[1]);

	ck_assert_int_eq(pread(r, buf, sizeof(buf), 0), 3);
	ck_assert_int_eq(pwrite(r, "ly", 2, 3), 2);	/* behind what the reader may see */
	ck_assert_int_eq(pwrite(r, "O", 1, 0), 1);
	close(ck_ok(open(DEV, O_WRONLY | O_TRUNC)));
	check_message("", 0);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(pwrite(r, "two", 3, 0), 3);
	end_stall(uffd[0], page[0], 'r');
	io_finish(&reader, 3);
	ck_assert_mem_eq(page[0], "onerrr", 6);
	check_message("two", 3);
	end_stall(uffd[1], page[1], 'w');
	io_finish(&writer, 5);
	check_message("wwwww", 5);
	close(r);
	close(w);
}
END_TEST

/* A stalled append has its place when its bytes are there, and holds no other write up. */
START_TEST(stalled_append)
{
	int a = ck_ok(open(DEV, O_WRONLY | O_APPEND));
	struct io_call writer;
	char *page;
	int uffd;

	page = stalling_page(&uffd);
	put_message("first");
	io_start(&writer, true, a, page, 3);
	wait_for_fault(uffd);
	ck_assert_int_eq(system("printf , >> /dev/echo"), 0);
	ck_assert_int_eq(pwrite(a, " ", 1, 0), 1);
	check_message("first, ", 7);
	end_stall(uffd, page, 'a');
	io_finish(&writer, 3);
	check_message("first, aaa", 10);
	close(a);
}
END_TEST

START_TEST(stalled_and_killed)
{
	int fd = ck_ok(open(DEV, O_RDWR));

	put_message("kept");
	kill_stalled_call(fd, _i, 4);
	check_message("kept", 4);
	close(fd);
}
END_TEST

#define MIB 1048576
#define STALLED 40

/*
 * Readers that stall, each on another message: those who wrote these pay for a few of them,
 * and the readers for the rest. All of them get their message whole.
 */
START_TEST(stalled_readers_pay)
{
	static struct io_call readers[STALLED];
	static char *buf[STALLED];
	int uffd[STALLED], fd, ends[2];
	char letter, answer;
	long long paid;
	pid_t writer;

	load("capacity=1048576");
	make_cgroup();
	fd = ck_ok(open(DEV, O_RDONLY));
	ck_ok(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	writer = spawn();
	if (!writer) {
		int w = ck_ok(open(DEV, O_WRONLY));

		close(ends[0]);
		ck_assert_int_eq(spew(CGROUP "/cgroup.procs", "0"), 0);
		large = malloc(MIB);
		while (read(ends[1], &letter, 1) == 1) {
			memset(large, letter, MIB);
			ck_assert_int_eq(pwrite(w, large, MIB, 0), MIB);
			ck_assert_int_eq(write(ends[1], &letter, 1), 1);
		}
		_exit(0);
	}
	close(ends[1]);
	for (int i = 0; i < STALLED; i++) {
		struct uffdio_api api = { .api = UFFD_API };
		struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

		letter = 'A' + i;
		ck_assert_int_eq(write(ends[0], &letter, 1), 1);
		ck_assert_int_eq(read(ends[0], &answer, 1), 1);
		buf[i] = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			      -1, 0);
		uffd[i] = ck_ok(syscall(SYS_userfaultfd, O_CLOEXEC));
		ck_ok(ioctl(uffd[i], UFFDIO_API, &api));
		range.range.start = (unsigned long)buf[i];
		range.range.len = 4096;
		ck_ok(ioctl(uffd[i], UFFDIO_REGISTER, &range));
		lseek(fd, 0, SEEK_SET);
		io_start(&readers[i], false, ck_ok(open(DEV, O_RDONLY)), buf[i], MIB);
		wait_for_fault(uffd[i]);
	}
	paid = charged();
	ck_assert_msg(paid < 14 * MIB, "the writer pays for %lld bytes", paid);
	ck_assert_msg(paid > 2 * MIB, "the writer pays for %lld bytes", paid);
	for (int i = 0; i < STALLED; i++) {
		end_stall(uffd[i], buf[i], 0);
		io_finish(&readers[i], MIB);
		ck_assert_int_eq(buf[i][0], 'A' + i);
		ck_assert(!memcmp(buf[i], buf[i] + 1, MIB - 1));
		close(readers[i].fd);
	}
	close(ends[0]);
	ck_assert_int_eq(reap(writer), 0);
	close(fd);
	unload();
	wait_until(!rmdir(CGROUP));
}
END_TEST

/*
 * Let no later page fault of this process want memory: Linux 7.3 has a worker give back what
 * a failed vmalloc() got, and until then the memory cgroup has none.
 */
static void lock_memory(void)
{
	volatile char stack[65536];
	size_t i;

	for (i = 0; i < sizeof(stack); i += 4096)
		stack[i] = 1;
	ck_ok(mlockall(MCL_CURRENT));
}

/* A text that the stock has no room for is charged; a charge that fails kills nobody. */
START_TEST(no_memory)
{
	struct io_call stalled;
	int uffd, fd;
	char *page;
	pid_t pid;

	load("capacity=16777216");
	make_cgroup();
	ck_assert_int_eq(spew(CGROUP "/memory.max", "4194304"), 0);
	large = calloc(1, LARGE);
	memset(large, 1, LARGE);
	fd = ck_ok(open(DEV, O_RDWR));
	ck_assert_int_eq(pwrite(fd, "kept", 4, 0), 4);
	page = stalling_page(&uffd);
	io_start(&stalled, true, ck_ok(open(DEV, O_WRONLY)), page, 5);
	wait_for_fault(uffd);
	pid = spawn();
	if (!pid) {
		lock_memory();
		ck_assert_int_eq(spew(CGROUP "/cgroup.procs", "0"), 0);
		ck_errno(pwrite(fd, large, LARGE, 0), ENOMEM);
		ck_errno(pwrite(fd, large, LARGE - 5, 5), ENOMEM);
		wait_until(pwrite(fd, large, 10, 4) == 10);	/* as lock_memory() */
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_eq(slurp_number(SYS "length"), 14);
	end_stall(uffd, page, 'w');
	io_finish(&stalled, 5);
	close(stalled.fd);
	close(fd);
	unload();
	wait_until(!rmdir(CGROUP));
}
END_TEST

/* A writer whose cgroup makes it wait for memory makes no other writer wait. */
START_TEST(throttled_writer_stops_nobody)
{
	bool ended = false;
	int status, fd;
	pid_t pid;

	load("capacity=16777216");
	make_cgroup();
	ck_assert_int_eq(spew(CGROUP "/memory.high", "262144"), 0);
	large = calloc(1, LARGE);
	fd = ck_ok(open(DEV, O_RDWR));
	ck_assert_int_eq(pwrite(fd, large, LARGE, 0), LARGE);
	pid = spawn();
	if (!pid) {
		ck_assert_int_eq(spew(CGROUP "/cgroup.procs", "0"), 0);
		ck_assert_int_eq(pwrite(fd, "1", 1, 1), 1);
		_exit(0);
	}
	/* Before Linux 5.18 it only waits when its call is done. */
	wait_until(charged() > 4 * MIB || (ended = waitpid(pid, &status, WNOHANG) == pid));
	if (!ended) {
		ck_assert_int_eq(pwrite(fd, "2", 1, 2), 1);
		ck_assert_msg(!waitpid(pid, &status, WNOHANG), "the other write came first");
		ck_ok(kill(pid, SIGKILL));
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	}
	close(fd);
	unload();
	wait_until(!rmdir(CGROUP));
}
END_TEST

/* Calls that must not wait, beside writes that keep the message's locks as long as any can. */

static bool patch_no_more;

static void *keep_patching(void *arg)
{
	int fd = ck_ok(open(DEV, O_WRONLY));

	(void)arg;
	while (!__atomic_load_n(&patch_no_more, __ATOMIC_RELAXED))
		ck_assert_int_eq(pwrite(fd, large, LARGE - 1, 1), LARGE - 1);
	close(fd);
	return NULL;
}

#define PATCHERS 3

static void start_patching(pthread_t *threads)
{
	load("capacity=16777216");
	large = calloc(1, LARGE);
	for (int i = 0; i < PATCHERS; i++)
		pthread_create(&threads[i], NULL, keep_patching, NULL);
	wait_until(slurp_number(SYS "bytes_written") > LARGE);
}

static void stop_patching(pthread_t *threads)
{
	__atomic_store_n(&patch_no_more, true, __ATOMIC_RELAXED);
	for (int i = 0; i < PATCHERS; i++)
		pthread_join(threads[i], NULL);
}

/* open() has the lock of all misc devices meanwhile. */
START_TEST(truncate_waits_for_no_copy)
{
	pthread_t threads[PATCHERS];
	long before, slept;
	int fd;

	start_patching(threads);
	before = sleeps_of(gettid());
	for (int i = 0; i < 300; i++) {
		fd = ck_ok(open(DEV, O_WRONLY | O_TRUNC));
		close(fd);
	}
	slept = sleeps_of(gettid()) - before;
	stop_patching(threads);
	ck_assert_msg(slept < 30, "slept %ld times in 300 calls", slept);
	unload();
}
END_TEST

START_TEST(nowait_never_waits)
{
	int fd, refused = 0, read_back = 0, calls = 0;
	pthread_t threads[PATCHERS];
	struct iovec iov;
	long before, slept;
	char c = 'c';

	start_patching(threads);
	fd = ck_ok(open(DEV, O_RDWR));
	iov = (struct iovec){ &c, 1 };
	before = sleeps_of(gettid());
	for (; calls < 300 || (calls < 300000 && (!refused || !read_back)); calls++) {
		if (pwritev2(fd, &iov, 1, 1, RWF_NOWAIT) < 0) {
			ck_assert_int_eq(errno, EAGAIN);
			refused++;
		}
		if (preadv2(fd, &iov, 1, 0, RWF_NOWAIT) == 1)
			read_back++;
	}
	slept = sleeps_of(gettid()) - before;
	stop_patching(threads);
	ck_assert_int_gt(refused, 0);
	ck_assert_int_gt(read_back, 0);
	/* the patchers may have left the lock to one another; a large message may want memory */
	ck_ok(ioctl(fd, ECHO_IOC_CLEAR));
	ck_assert_int_eq(pwritev2(fd, &iov, 1, 1, RWF_NOWAIT), 1);
	close(fd);
	ck_assert_msg(slept < calls / 10, "slept %ld times in %d calls", slept, calls);
	unload();
}
END_TEST

START_TEST(nowait)
{
	struct iovec iov = { "one", 3 };
	int fd = ck_ok(open(DEV, O_RDWR));
	char buf[8];

	ck_assert_int_eq(pwritev2(fd, &iov, 1, 0, RWF_NOWAIT), 3);
	iov = (struct iovec){ " two", 4 };
	ck_assert_int_eq(pwritev2(fd, &iov, 1, 3, RWF_NOWAIT), 4);
	ck_assert_int_eq(pwritev2(fd, &iov, 1, 0, RWF_NOWAIT | RWF_APPEND), 4);
	check_message("one two two", 11);
	iov = (struct iovec){ buf, sizeof(buf) };
	ck_assert_int_eq(preadv2(fd, &iov, 1, 4, RWF_NOWAIT), 7);
	ck_assert_mem_eq(buf, "two two", 7);
	close(fd);
}
END_TEST

START_TEST(sync_is_nothing)
{
	int fd = ck_ok(open(DEV, O_RDWR)), fifo = ck_ok(open("/dev/echo_fifo", O_RDWR));

	ck_assert_int_eq(write(fd, "kept", 4), 4);
	ck_ok(fsync(fd));
	ck_ok(fdatasync(fd));
	check_message("kept", 4);
	ck_assert_int_eq(system("dd if=/dev/zero of=/dev/echo count=1 conv=fsync 2>/dev/null"), 0);
	ck_errno(fsync(fifo), EINVAL);		/* as a pipe */
	close(fd);
	close(fifo);
}
END_TEST

static bool has_loop(void)
{
	return !system("modprobe loop 2>/dev/null || test -e /dev/loop-control");
}

/* It wants a regular file or a block device. */
START_TEST(no_loop_device)
{
	int loop = ck_ok(open("/dev/loop0", O_RDWR)), fd = ck_ok(open(DEV, O_RDWR));

	put_message("kept");
	ck_errno(ioctl(loop, LOOP_SET_FD, fd), EINVAL);
	check_message("kept", 4);
	close(fd);
	close(loop);
}
END_TEST

/* Copying without a system call of user space's own */

START_TEST(splice_both_ways)
{
	int fd = ck_ok(open(DEV, O_RDWR)), p[2];
	char buf[64];
	loff_t off;

	ck_ok(pipe(p));
	ck_assert_int_eq(write(p[1], "through a pipe", 14), 14);
	ck_assert_int_eq(splice(p[0], NULL, fd, NULL, 64, 0), 14);
	check_message("through a pipe", 14);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(splice(fd, NULL, p[1], NULL, 64, 0), 14);
	ck_assert_int_eq(read(p[0], buf, sizeof(buf)), 14);
	ck_assert_mem_eq(buf, "through a pipe", 14);
	ck_assert_int_eq(splice(fd, NULL, p[1], NULL, 64, 0), 0);	/* its end */
	off = 8;
	ck_assert_int_eq(splice(fd, &off, p[1], NULL, 64, 0), 6);
	ck_assert_int_eq(off, 14);
	ck_assert_int_eq(read(p[0], buf, sizeof(buf)), 6);
	ck_assert_mem_eq(buf, "a pipe", 6);
	close(fd);
}
END_TEST

START_TEST(sendfile_in)
{
	int fd = ck_ok(open(DEV, O_RDWR)), file = ck_ok(memfd_create("in", 0));
	char in[5000], out[5000];

	fill_pattern(in, sizeof(in), 5);
	ck_assert_int_eq(write(file, in, 4000), 4000);
	ck_assert_int_eq(lseek(file, 0, SEEK_SET), 0);
	ck_assert_int_eq(sendfile(fd, file, NULL, 5000), 4000);
	ck_assert_int_eq(pread(fd, out, sizeof(out), 0), 4000);
	ck_assert_mem_eq(in, out, 4000);
	close(file);
	close(fd);
}
END_TEST

START_TEST(sendfile_out)
{
	int fd = ck_ok(open(DEV, O_RDWR)), file = ck_ok(memfd_create("out", 0));
	char in[4096], out[5000];

	fill_pattern(in, sizeof(in), 7);
	ck_assert_int_eq(pwrite(fd, in, sizeof(in), 0), sizeof(in));
	ck_assert_int_eq(sendfile(file, fd, NULL, 1 << 20), sizeof(in));
	ck_assert_int_eq(pread(file, out, sizeof(out), 0), sizeof(in));
	ck_assert_mem_eq(in, out, sizeof(in));
	close(file);
	close(fd);
}
END_TEST

static int by_io_uring(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int ret;

	ck_assert_int_eq(io_uring_submit_and_wait(ring, 1), 1);
	ck_assert_int_eq(io_uring_peek_cqe(ring, &cqe), 0);
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

START_TEST(io_uring)
{
	int fd = ck_ok(open(DEV, O_RDWR));
	struct io_uring ring;
	char buf[16];

	ck_assert_int_eq(io_uring_queue_init(2, &ring, 0), 0);
	io_uring_prep_write(io_uring_get_sqe(&ring), fd, "through a ring", 14, -1);
	ck_assert_int_eq(by_io_uring(&ring), 14);
	io_uring_prep_write(io_uring_get_sqe(&ring), fd, "R", 1, 10);
	ck_assert_int_eq(by_io_uring(&ring), 1);
	check_message("through a Ring", 14);
	io_uring_prep_read(io_uring_get_sqe(&ring), fd, buf, sizeof(buf), 8);
	ck_assert_int_eq(by_io_uring(&ring), 6);
	ck_assert_mem_eq(buf, "a Ring", 6);
	io_uring_prep_read(io_uring_get_sqe(&ring), fd, buf, sizeof(buf), -1);
	ck_assert_int_eq(by_io_uring(&ring), 0);	/* its end */
	io_uring_prep_write(io_uring_get_sqe(&ring), fd, "x", 1, 4096);
	ck_assert_int_eq(by_io_uring(&ring), -ENOSPC);
	io_uring_queue_exit(&ring);
	close(fd);
}
END_TEST

/* Many at once */

#define WHOLE 3000

static void *write_letters(void *letter)
{
	int fd = open(DEV, O_WRONLY);
	char text[WHOLE];

	memset(text, *(char *)letter, sizeof(text));
	for (int i = 0; i < 300; i++)
		ck_assert_int_eq(pwrite(fd, text, sizeof(text), 0), sizeof(text));
	close(fd);
	return NULL;
}

static void *read_letters(void *fresh)
{
	int fd = open(DEV, O_RDONLY);

	for (int i = 0; i < 300; i++) {
		/* memory that is not there yet makes the read wait half-way */
		char *text = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		char *at = text + (fresh ? 4096 - WHOLE / 2 : 0);

		if (fresh)
			text[0] = 1;	/* ... of its second page */
		ck_assert_int_eq(pread(fd, at, WHOLE + 1, 0), WHOLE);
		/* each byte is as the one before it */
		ck_assert(!memcmp(at, at + 1, WHOLE - 1));
		munmap(text, 8192);
	}
	close(fd);
	return NULL;
}

START_TEST(writes_never_mix)
{
	pthread_t threads[7];
	char first[WHOLE];
	int fd = ck_ok(open(DEV, O_WRONLY));

	memset(first, 'f', sizeof(first));
	ck_assert_int_eq(write(fd, first, sizeof(first)), sizeof(first));
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, write_letters, &"abcd"[i]);
	for (int i = 4; i < 7; i++)
		pthread_create(&threads[i], NULL, read_letters, i == 6 ? NULL : "fresh");
	for (int i = 0; i < 7; i++)
		pthread_join(threads[i], NULL);
	close(fd);
}
END_TEST

static void *append_line(void *fd)
{
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(write(*(int *)fd, "0123456\n", 8), 8);
	return NULL;
}

/* Threads that share one file each get a place of their own. */
START_TEST(shared_offset)
{
	int fd = ck_ok(open(DEV, O_RDWR | (_i ? O_APPEND : 0)));
	pthread_t threads[4];
	char text[4096];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, append_line, &fd);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(pread(fd, text, sizeof(text), 0), 4 * 50 * 8);
	for (int i = 0; i < 200; i++)
		ck_assert_mem_eq(text + 8 * i, "0123456\n", 8);
	close(fd);
}
END_TEST

/* Each of its own open file: no append is lost, and none is torn. */
static void *append_lines(void *letter)
{
	int fd = ck_ok(open(DEV, O_WRONLY | O_APPEND));
	char line[8];

	memset(line, *(char *)letter, sizeof(line));
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(write(fd, line, sizeof(line)), sizeof(line));
	close(fd);
	return NULL;
}

START_TEST(appends_of_many)
{
	int fd = ck_ok(open(DEV, O_RDONLY)), count[4] = { 0 };
	pthread_t threads[4];
	char text[4096];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, append_lines, &"abcd"[i]);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(pread(fd, text, sizeof(text), 0), 4 * 100 * 8);
	for (int i = 0; i < 400; i++) {
		ck_assert(!memcmp(text + 8 * i, text + 8 * i + 1, 7));
		count[text[8 * i] - 'a']++;
	}
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(count[i], 100);
	close(fd);
}
END_TEST

static void *patch_own_part(void *part)
{
	int fd = ck_ok(open(DEV, O_WRONLY));
	long at = 1 + 900 * (long)part;
	char text[900];

	for (int i = 0; i < 200; i++) {
		memset(text, 'A' + i % 50, sizeof(text));
		ck_assert_int_eq(pwrite(fd, text, sizeof(text), at), sizeof(text));
	}
	close(fd);
	return NULL;
}

/* Each read sees all of each part as one write made it, and none is undone. */
START_TEST(patches_of_many)
{
	int fd = ck_ok(open(DEV, O_RDWR));
	pthread_t threads[4];
	char text[4096];

	memset(text, 'A', sizeof(text));
	ck_assert_int_eq(pwrite(fd, text, 3601, 0), 3601);
	for (long i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, patch_own_part, (void *)i);
	for (int i = 0; i < 500; i++) {
		ck_assert_int_eq(pread(fd, text, sizeof(text), 0), 3601);
		for (int part = 0; part < 4; part++)
			ck_assert(!memcmp(text + 1 + 900 * part, text + 2 + 900 * part, 899));
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(pread(fd, text, sizeof(text), 1), 3600);
	for (int i = 0; i < 3600; i++)
		ck_assert_int_eq(text[i], 'A' + 199 % 50);
	close(fd);
}
END_TEST

/* ioctl and sysfs, on both devices */

static const char *const nodes[] = { "echo", "echo_fifo" };

static char *attribute_path(int node, const char *attribute)
{
	static char path[128];

	snprintf(path, sizeof(path), "/sys/class/misc/%s/%s", nodes[node], attribute);
	return path;
}

static int open_node(int node, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/%s", nodes[node]);
	return ck_ok(open(path, flags));
}

START_TEST(ioctls)
{
	int fd = open_node(_i, O_RDWR | O_NONBLOCK), other;
	struct echo_stats stats;
	char buf[32];

	ck_assert_int_eq(ioctl(fd, 0x1001), 0);
	ck_assert_int_eq(ioctl(fd, 0x1001, ~0ul), 0);
	ck_assert_int_eq(write(fd, "twelve bytes", 12), 12);
	other = open_node(_i, O_RDONLY | O_NONBLOCK);
	ck_assert_int_eq(read(other, buf, 7), 7);
	memset(&stats, 0xff, sizeof(stats));
	ck_assert_int_eq(ioctl(other, ECHO_IOC_GET_STATS, &stats), 0);
	ck_assert_uint_eq(stats.open_count, 2);
	ck_assert_uint_eq(stats.open_total, 2);
	ck_assert_uint_eq(stats.bytes_written, 12);
	ck_assert_uint_eq(stats.bytes_read, 7);
	ck_assert_uint_eq(stats.length, _i ? 5 : 12);
	ck_assert_uint_eq(stats.capacity, 4096);
	close(other);
	ck_assert_int_eq(ioctl(fd, ECHO_IOC_CLEAR), 0);
	ck_assert_int_eq(ioctl(fd, ECHO_IOC_GET_STATS, &stats), 0);
	ck_assert_uint_eq(stats.open_count, 1);
	ck_assert_uint_eq(stats.open_total, 2);
	ck_assert_uint_eq(stats.bytes_written, 12);
	ck_assert_uint_eq(stats.length, 0);
	close(fd);
}
END_TEST

#ifdef __aarch64__
/* A page; the tag of its bytes from the 64th on is not that of the pointer. */
static char *tagged_buffer(void)
{
	unsigned long next;
	char *buf;

	ck_ok(prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC |
		    0xfffeul << PR_MTE_TAG_SHIFT, 0, 0, 0));
	buf = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	ck_assert_ptr_ne(buf, MAP_FAILED);
	memset(buf, 'w', 4096);
	next = (unsigned long)(buf + 64) | 5ul << 56;
	asm volatile(".arch armv8.5-a+memtag\n\tstg %0, [%0]" : : "r"(next) : "memory");
	return buf;
}

/* The same call on a file; it may fail, too. */
static ssize_t of_file(bool is_write, char *buf, size_t n)
{
	int fd = ck_ok(open("/tmp/file", O_RDWR | O_CREAT | O_TRUNC, 0600));
	static char data[128];
	ssize_t ret;

	if (!is_write)
		ck_assert_int_eq(pwrite(fd, data, n, 0), n);
	ret = is_write ? write(fd, buf, n) : read(fd, buf, n);
	close(fd);
	return ret;
}

/* Memory that cannot be used from the middle of a page on: the call ends, as a file's. */
START_TEST(fault_in_a_page)
{
	char *buf = tagged_buffer(), got[128];
	int fd = open_node(_i, O_RDWR | O_NONBLOCK);
	ssize_t n = of_file(true, buf, 100);

	ck_assert_int_le(n, 64);
	ck_assert_int_eq(write(fd, buf, 100), n);
	n = n < 0 ? 0 : n;
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), _i ? -1 : 0);
	ck_assert_int_eq(read(fd, got, sizeof(got)), n || !_i ? n : -1);
	ck_assert(!memcmp(got, buf, n));

	fill_pattern(got, 100, 1);
	lseek(fd, 0, SEEK_SET);
	ck_assert_int_eq(write(fd, got, 100), 100);
	lseek(fd, 0, SEEK_SET);
	n = of_file(false, buf, 100);
	ck_assert_int_le(n, 64);
	ck_assert_int_eq(read(fd, buf, 100), n);
	n = n < 0 ? 0 : n;
	ck_assert(!memcmp(got, buf, n));
	/* what did not reach the buffer is there still */
	ck_assert_int_eq(read(fd, got + 100, 16), 16);
	ck_assert(!memcmp(got + n, got + 100, 16));
	close(fd);
}
END_TEST
#endif

START_TEST(ioctl_errors)
{
	int fd = open_node(_i, O_RDWR), ro = open_node(_i, O_RDONLY);
	struct echo_stats stats;
	int n;

	ck_assert_int_eq(write(fd, "kept", 4), 4);
	ck_errno(ioctl(fd, ECHO_IOC_GET_STATS, NULL), EFAULT);
	ck_errno(ioctl(fd, ECHO_IOC_GET_STATS, buffer_before_hole(sizeof(stats) - 1)), EFAULT);
	ck_errno(ioctl(ro, ECHO_IOC_CLEAR), EBADF);
	ck_errno(ioctl(fd, 0), ENOTTY);
	ck_errno(ioctl(fd, 0x1000), ENOTTY);
	ck_errno(ioctl(fd, 0x1002), ENOTTY);
	if (!_i)
		ck_errno(ioctl(fd, FIONREAD, &n), ENOTTY);
	ck_errno(ioctl(fd, _IO(ECHO_IOC_MAGIC, 2)), ENOTTY);
	ck_errno(ioctl(fd, _IOW(ECHO_IOC_MAGIC, 0, int), &n), ENOTTY);
	ck_errno(ioctl(fd, _IOW(ECHO_IOC_MAGIC, 1, struct echo_stats), &stats), ENOTTY);
	ck_assert_int_eq(slurp_number(attribute_path(_i, "length")), 4);
	close(fd);
	close(ro);
}
END_TEST

/* A program of another version has a structure of another size. */
START_TEST(stats_extensible)
{
	struct {
		struct echo_stats stats;
		unsigned char tail[80];
	} big;
	char *edge = buffer_before_hole(sizeof(big));
	int fd = open_node(_i, O_RDWR);
	size_t size, i;

	ck_assert_int_eq(write(fd, "kept", 4), 4);
	for (size = 0; size < sizeof(big.stats); size++)
		ck_errno(ioctl(fd, sized(ECHO_IOC_GET_STATS, size), &big), EINVAL);
	memset(&big, 0xa5, sizeof(big));
	ck_ok(ioctl(fd, sized(ECHO_IOC_GET_STATS, sizeof(big) - 1), &big));
	ck_assert_uint_eq(big.stats.length, 4);
	ck_assert_uint_eq(big.stats.capacity, 4096);
	for (i = 0; i < sizeof(big.tail); i++)
		ck_assert_uint_eq(big.tail[i], i == sizeof(big.tail) - 1 ? 0xa5 : 0);
	ck_ok(ioctl(fd, sized(ECHO_IOC_GET_STATS, sizeof(big)), edge));
	ck_errno(ioctl(fd, sized(ECHO_IOC_GET_STATS, sizeof(big)), edge + 1), EFAULT);
	close(fd);
}
END_TEST

START_TEST(sysfs_attributes)
{
	int fd, second;
	char buf[16];

	ck_assert_int_eq(slurp_number(attribute_path(_i, "open_count")), 0);
	ck_assert_int_eq(slurp_number(attribute_path(_i, "length")), 0);
	ck_assert_int_eq(slurp_number(attribute_path(_i, "bytes_read")), 0);
	ck_assert_int_eq(slurp_number(attribute_path(_i, "bytes_written")), 0);
	ck_assert_int_eq(slurp_number(attribute_path(_i, "capacity")), 4096);
	fd = open_node(_i, O_RDWR);
	second = open_node(_i, O_RDWR);
	ck_assert_int_eq(slurp_number(attribute_path(_i, "open_count")), 2);
	close(second);
	ck_assert_int_eq(slurp_number(attribute_path(_i, "open_count")), 1);
	ck_assert_int_eq(write(fd, "0123456789", 10), 10);
	ck_assert_int_eq(slurp_number(attribute_path(_i, "bytes_written")), 10);
	ck_assert_int_eq(slurp_number(attribute_path(_i, "length")), 10);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), _i ? -1 : 0);
	ck_assert_int_eq(read(fd, buf, 4), 4);
	ck_assert_int_eq(slurp_number(attribute_path(_i, "bytes_read")), 4);
	ck_assert_int_eq(slurp_number(attribute_path(_i, "length")), _i ? 6 : 10);
	ck_errno(write(fd, BAD_POINTER, 1), EFAULT);	/* counts nothing */
	ck_errno(read(fd, BAD_POINTER, 1), EFAULT);
	ck_assert_int_eq(slurp_number(attribute_path(_i, "bytes_written")), 10);
	ck_assert_int_eq(slurp_number(attribute_path(_i, "bytes_read")), 4);
	/* the devices do not know of one another */
	ck_assert_int_eq(slurp_number(attribute_path(!_i, "bytes_written")), 0);
	ck_assert_int_eq(slurp_number(attribute_path(!_i, "open_count")), 0);
	ck_assert_int_eq(spew(attribute_path(_i, "capacity"), "1"), -EACCES);
	close(fd);
}
END_TEST

START_TEST(from_32_bits)
{
	use_from_32_bits(_i ? "/dev/echo_fifo" : "/dev/echo");
}
END_TEST

START_TEST(fdinfo)
{
	int fd = open_node(_i, O_RDWR);
	char path[64];

	ck_assert_int_eq(write(fd, "12345", 5), 5);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	ck_assert(file_has(path, "echo-length:\t5\n"));
	ck_assert(file_has(path, "echo-capacity:\t4096\n"));
	close(fd);
}
END_TEST

#define EVENTS "/sys/kernel/tracing/events/kmk_echo/"
#define TRACE "/sys/kernel/tracing/trace"

START_TEST(tracepoints)
{
	int fd = open_node(_i, O_RDWR);
	char expected[64], buf[16];

	ck_assert_int_eq(spew(TRACE, "\n"), 0);
	ck_assert_int_eq(spew(EVENTS "enable", "1"), 0);
	ck_assert_int_eq(write(fd, "12345", 5), 5);
	lseek(fd, 0, SEEK_SET);
	ck_assert_int_eq(read(fd, buf, 3), 3);
	ck_errno(write(fd, BAD_POINTER, 1), EFAULT);	/* no event */
	ck_assert_int_eq(spew(EVENTS "enable", "0"), 0);
	snprintf(expected, sizeof(expected), "kmk_echo_write: dev=%s bytes=5 length=5\n",
		 nodes[_i]);
	ck_assert(file_has(TRACE, expected));
	snprintf(expected, sizeof(expected), "kmk_echo_read: dev=%s bytes=3 length=%d\n",
		 nodes[_i], _i ? 2 : 5);
	ck_assert(file_has(TRACE, expected));
	ck_assert(!file_has(TRACE, "bytes=1"));
	ck_assert_int_eq(spew(TRACE, "\n"), 0);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("echo");
	TCase *module = tcase_create("module");
	TCase *message = tcase_create("message");
	TCase *both = tcase_create("both");

	tcase_add_test(module, load_and_unload);
	tcase_add_loop_test(module, bad_parameters, 0, sizeof(refused) / sizeof(*refused));
	tcase_add_loop_test(module, capacity_parameter, 0,
			    sizeof(capacities) / sizeof(*capacities));
	tcase_add_test(module, mode_parameter);
	tcase_add_test(module, mode_keeps_others_out);
	tcase_add_test(module, greeting_parameter);
	tcase_add_test(module, no_unload_in_use);
	tcase_add_test(module, unload_under_load);
	tcase_add_test(module, open_while_loading);
	tcase_add_test(module, untouched_memory);
	tcase_add_loop_test(module, vanishing_memory, 0, 4);
	if (has_swap() && has_memory_cgroups())
		for (int i = 0; i < 4; i += 2)
			tcase_add_loop_test(module, memory_smaller_than_the_buffer, i, i + 1);
	else
		skip_test("memory_smaller_than_the_buffer", "no memory cgroup, or no RAM disk");
	if (has_memory_cgroups()) {
		tcase_add_test(module, stalled_readers_pay);
		tcase_add_test(module, no_memory);
		tcase_add_test(module, throttled_writer_stops_nobody);
	} else {
		skip_test("stalled_readers_pay", "this kernel has no memory cgroups");
		skip_test("no_memory", "this kernel has no memory cgroups");
		skip_test("throttled_writer_stops_nobody", "this kernel has no memory cgroups");
	}
	if (spinlocks_sleep()) {
		skip_test("truncate_waits_for_no_copy", "spinlocks sleep, for a moment, here");
		skip_test("nowait_never_waits", "spinlocks sleep, for a moment, here");
	} else {
		tcase_add_test(module, truncate_waits_for_no_copy);
		tcase_add_test(module, nowait_never_waits);
	}
	suite_add_tcase(suite, module);

	tcase_add_checked_fixture(message, load_default, unload);
	tcase_add_test(message, holds_last_message);
	tcase_add_test(message, follows_on);
	tcase_add_test(message, offset_zero_replaces);
	tcase_add_test(message, shell_redirections);
	tcase_add_test(message, append);
	tcase_add_test(message, append_flag_of_one_write);
	tcase_add_test(message, truncate_on_open);
	tcase_add_test(message, beyond_capacity);
	tcase_add_test(message, offsets);
	tcase_add_test(message, gap_is_zero);
	tcase_add_test(message, vectors);
	tcase_add_test(message, access_modes);
	tcase_add_test(message, always_ready);
	tcase_add_test(message, bad_pointers);
	tcase_add_test(message, fault_half_way);
	tcase_add_test(message, stalled_reader_and_writer);
	tcase_add_test(message, stalled_append);
	tcase_add_loop_test(message, stalled_and_killed, 0, 2);
	tcase_add_test(message, nowait);
	tcase_add_test(message, sync_is_nothing);
	if (has_loop())
		tcase_add_test(message, no_loop_device);
	else
		skip_test("no_loop_device", "no loop device");
	tcase_add_test(message, splice_both_ways);
	tcase_add_test(message, sendfile_in);
	if (sendfile_reads_devices())
		tcase_add_test(message, sendfile_out);
	else
		skip_test("sendfile_out", "sendfile() of this kernel reads no devices");
	tcase_add_test(message, io_uring);
	tcase_add_test(message, writes_never_mix);
	tcase_add_loop_test(message, shared_offset, 0, 2);
	tcase_add_test(message, appends_of_many);
	tcase_add_test(message, patches_of_many);
	suite_add_tcase(suite, message);

	tcase_add_checked_fixture(both, load_default, unload);
	tcase_add_loop_test(both, ioctls, 0, 2);
	tcase_add_loop_test(both, ioctl_errors, 0, 2);
#ifdef __aarch64__
	if (getauxval(AT_HWCAP2) & HWCAP2_MTE)
		tcase_add_loop_test(both, fault_in_a_page, 0, 2);
	else
		skip_test("fault_in_a_page", "this processor has no memory tags");
#endif
	tcase_add_loop_test(both, stats_extensible, 0, 2);
	tcase_add_loop_test(both, sysfs_attributes, 0, 2);
	tcase_add_loop_test(both, fdinfo, 0, 2);
	tcase_add_loop_test(both, tracepoints, 0, 2);
	if (runs_32_bits())
		tcase_add_loop_test(both, from_32_bits, 0, 2);
	else
		skip_test("from_32_bits", "no program of 32 bits runs here");
	suite_add_tcase(suite, both);
	return run_suite(suite);
}
