// SPDX-License-Identifier: GPL-2.0
/* kmk_echo: /dev/echo_fifo. */
#define _GNU_SOURCE
#include "kmktest.h"

#include <fcntl.h>
#include <kmodkit/echo.h>
#include <liburing.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define DEV "/dev/echo_fifo"
#define SYS "/sys/class/misc/echo_fifo/"
#define CAPACITY 4096

static int fd;			/* O_RDWR */
static int nb;			/* O_RDWR | O_NONBLOCK */

static void load(const char *params)
{
	if (module_loaded("kmk_echo"))		/* left by a test that failed */
		module_unload("kmk_echo");
	ck_assert_int_eq(module_load("kmk_echo", params), 0);
	fd = ck_ok(open(DEV, O_RDWR | O_CLOEXEC));
	nb = ck_ok(open(DEV, O_RDWR | O_NONBLOCK | O_CLOEXEC));
}

static void load_default(void)
{
	load("");
}

static void unload(void)
{
	close(fd);
	close(nb);
	ck_assert_int_eq(module_unload("kmk_echo"), 0);
}

static size_t held(void)
{
	return slurp_number(SYS "length");
}

static void put(size_t size)
{
	char buf[CAPACITY];

	fill_pattern(buf, size, size);
	ck_assert_int_eq(write(nb, buf, size), size);
}

static void take(size_t size)
{
	char buf[CAPACITY];

	ck_assert_int_eq(read(nb, buf, size), size);
}

/* A read or write in a thread of its own */

struct call {
	pthread_t thread;
	pid_t tid;
	bool is_write;
	int fd;
	char *buf;
	size_t size;
	ssize_t ret;
	int err;
	bool done;
};

static void *run_call(void *arg)
{
	struct call *c = arg;

	__atomic_store_n(&c->tid, gettid(), __ATOMIC_RELEASE);
	c->ret = c->is_write ? write(c->fd, c->buf, c->size) : read(c->fd, c->buf, c->size);
	c->err = errno;
	__atomic_store_n(&c->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void start(struct call *c, bool is_write, int on, void *buf, size_t size)
{
	*c = (struct call){ .is_write = is_write, .fd = on, .buf = buf, .size = size };
	ck_assert_int_eq(pthread_create(&c->thread, NULL, run_call, c), 0);
	wait_until(__atomic_load_n(&c->tid, __ATOMIC_ACQUIRE));
}

static void start_and_block(struct call *c, bool is_write, void *buf, size_t size)
{
	start(c, is_write, fd, buf, size);
	wait_asleep(c->tid);
	ck_assert(!__atomic_load_n(&c->done, __ATOMIC_ACQUIRE));
}

static void finish(struct call *c, ssize_t ret)
{
	wait_until(__atomic_load_n(&c->done, __ATOMIC_ACQUIRE));
	pthread_join(c->thread, NULL);
	ck_assert_msg(c->ret == ret, "returned %zd (%s), not %zd", c->ret,
		      strerror(c->err), ret);
}

/* The queue */

START_TEST(each_byte_once)
{
	char buf[16];

	ck_assert_int_eq(write(fd, "hello ", 6), 6);
	ck_assert_int_eq(write(nb, "world", 5), 5);
	ck_assert_uint_eq(held(), 11);
	ck_assert_int_eq(read(fd, buf, 3), 3);
	ck_assert_mem_eq(buf, "hel", 3);
	ck_assert_int_eq(read(nb, buf, sizeof(buf)), 8);	/* what there is */
	ck_assert_mem_eq(buf, "lo world", 8);
	ck_errno(read(nb, buf, sizeof(buf)), EAGAIN);
	ck_assert_uint_eq(held(), 0);
}
END_TEST

START_TEST(from_one_process_to_another)
{
	pid_t pid = spawn();
	char buf[8];

	if (!pid) {
		ck_assert_int_eq(system("printf across > /dev/echo_fifo"), 0);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);		/* bytes outlive their writer */
	ck_assert_int_eq(read(fd, buf, sizeof(buf)), 6);
	ck_assert_mem_eq(buf, "across", 6);
}
END_TEST

START_TEST(round_and_round)
{
	char in[CAPACITY], out[CAPACITY];
	static const size_t sizes[] = { 1, 700, 4095, 4096, 2049 };
	size_t size, rest;

	for (int i = 0; i < 400; i++) {
		size = sizes[i % 5];
		fill_pattern(in, size, i);
		/* leave one byte to begin at another place each time */
		rest = i % 3 ? 0 : 1;
		if (size + rest > CAPACITY)
			rest = 0;
		if (rest)
			ck_assert_int_eq(write(nb, "x", 1), 1);
		ck_assert_int_eq(write(nb, in, size), size);
		if (rest)
			ck_assert_int_eq(read(nb, out, 1), 1);
		ck_assert_int_eq(read(nb, out, size / 2), size / 2);
		ck_assert_int_eq(read(nb, out + size / 2, CAPACITY), size - size / 2);
		ck_assert_mem_eq(in, out, size);
	}
}
END_TEST

START_TEST(never_blocks_when_told)
{
	struct iovec iov;
	char buf[2 * CAPACITY];

	ck_errno(read(nb, buf, 1), EAGAIN);
	fill_pattern(buf, sizeof(buf), 1);
	ck_assert_int_eq(write(nb, buf, sizeof(buf)), CAPACITY);	/* what fits */
	ck_errno(write(nb, buf, 1), EAGAIN);
	ck_errno(write(nb, buf, sizeof(buf)), EAGAIN);
	iov = (struct iovec){ buf, 1 };
	ck_errno(pwritev2(fd, &iov, 1, -1, RWF_NOWAIT), EAGAIN);
	ck_assert_int_eq(read(nb, buf, sizeof(buf)), CAPACITY);
	iov = (struct iovec){ buf, 1 };
	ck_errno(preadv2(fd, &iov, 1, -1, RWF_NOWAIT), EAGAIN);
	/* also when the flag is set later */
	ck_ok(fcntl(fd, F_SETFL, O_NONBLOCK));
	ck_errno(read(fd, buf, 1), EAGAIN);
}
END_TEST

START_TEST(nothing_is_nothing)
{
	char c;

	ck_assert_int_eq(read(fd, &c, 0), 0);	/* blocks not */
	put(CAPACITY);
	ck_assert_int_eq(write(fd, &c, 0), 0);
	ck_assert_uint_eq(held(), CAPACITY);
}
END_TEST

START_TEST(not_seekable)
{
	char c = 'c';

	ck_errno(lseek(fd, 0, SEEK_SET), ESPIPE);
	ck_errno(lseek(fd, 0, SEEK_CUR), ESPIPE);
	ck_errno(lseek(fd, 0, SEEK_END), ESPIPE);
	ck_errno(pread(fd, &c, 1, 0), ESPIPE);
	ck_errno(pwrite(fd, &c, 1, 0), ESPIPE);
	ck_assert_uint_eq(held(), 0);
}
END_TEST

START_TEST(access_modes)
{
	int r = ck_ok(open(DEV, O_RDONLY | O_NONBLOCK));
	int w = ck_ok(open(DEV, O_WRONLY | O_NONBLOCK | O_TRUNC | O_APPEND));
	struct pollfd p[] = { { r, POLLIN | POLLOUT, 0 }, { w, POLLIN | POLLOUT, 0 } };
	char c = 'c';

	ck_errno(write(r, &c, 1), EBADF);
	ck_errno(read(w, &c, 1), EBADF);
	ck_assert_int_eq(write(w, &c, 1), 1);
	ck_assert_int_eq(poll(p, 2, 0), 2);
	ck_assert_int_eq(p[0].revents, POLLIN);
	ck_assert_int_eq(p[1].revents, POLLOUT);
	/* a queue is not emptied by those who come or go */
	close(w);
	close(ck_ok(open(DEV, O_WRONLY | O_TRUNC)));
	ck_assert_int_eq(read(r, &c, 1), 1);
	close(r);
}
END_TEST

START_TEST(vectors)
{
	struct iovec in[] = { { "ab", 2 }, { NULL, 0 }, { "cde", 3 } };
	char x[3], y[8];
	struct iovec out[] = { { x, 3 }, { NULL, 0 }, { y, 8 } };

	ck_assert_int_eq(writev(fd, in, 3), 5);
	ck_assert_int_eq(readv(fd, out, 3), 5);
	ck_assert_mem_eq(x, "abc", 3);
	ck_assert_mem_eq(y, "de", 2);
}
END_TEST

START_TEST(clear_empties)
{
	ck_assert_int_eq(ioctl(fd, ECHO_IOC_CLEAR), 0);
	put(100);
	take(1);
	ck_assert_int_eq(ioctl(fd, ECHO_IOC_CLEAR), 0);
	ck_assert_uint_eq(held(), 0);
	put(CAPACITY);
}
END_TEST

/* Waiting */

START_TEST(reader_waits)
{
	struct call c;
	char buf[16];

	start_and_block(&c, false, buf, sizeof(buf));
	ck_assert_int_eq(write(fd, "wake", 4), 4);
	finish(&c, 4);
	ck_assert_mem_eq(buf, "wake", 4);
	ck_assert_uint_eq(held(), 0);
}
END_TEST

START_TEST(writer_waits)
{
	struct call c;
	char buf[16];

	put(CAPACITY);
	start_and_block(&c, true, "later", 5);
	take(4);				/* not room enough yet */
	wait_asleep(c.tid);
	ck_assert_uint_eq(held(), CAPACITY - 4);
	take(1);
	finish(&c, 5);
	take(CAPACITY - 5);
	ck_assert_int_eq(read(nb, buf, sizeof(buf)), 5);
	ck_assert_mem_eq(buf, "later", 5);
}
END_TEST

START_TEST(clear_wakes_writer)
{
	struct call c;

	put(CAPACITY);
	start_and_block(&c, true, "later", 5);
	ck_assert_int_eq(ioctl(nb, ECHO_IOC_CLEAR), 0);
	finish(&c, 5);
	ck_assert_uint_eq(held(), 5);
}
END_TEST

/* A writer that needs little is not held up by one that needs much. */
START_TEST(writers_of_different_needs)
{
	struct call big, small;
	char buf[3000] = "";

	put(CAPACITY);
	start_and_block(&big, true, buf, sizeof(buf));
	start_and_block(&small, true, "s", 1);
	take(1);
	finish(&small, 1);
	wait_asleep(big.tid);
	take(3000);
	finish(&big, 3000);
}
END_TEST

START_TEST(all_readers_get_some)
{
	struct call calls[4];
	char buf[4][2];

	for (int i = 0; i < 4; i++)
		start_and_block(&calls[i], false, buf[i], 1);
	put(4);
	for (int i = 0; i < 4; i++)
		finish(&calls[i], 1);
	ck_assert_uint_eq(held(), 0);
}
END_TEST

START_TEST(more_than_fits)
{
	size_t size = 300007, got = 0;
	char *in = malloc(size), *out = malloc(size);
	struct call c;

	fill_pattern(in, size, 9);
	start(&c, true, fd, in, size);
	while (got < size)
		got += ck_ok(read(fd, out + got, 10000));
	finish(&c, size);
	ck_assert(!memcmp(in, out, size));
	ck_assert_uint_eq(held(), 0);
}
END_TEST

/* At most PIPE_BUF bytes go in as one piece or not at all. */
START_TEST(all_or_nothing)
{
	char buf[CAPACITY + 1];

	fill_pattern(buf, sizeof(buf), 1);
	put(1);
	ck_errno(write(nb, buf, CAPACITY), EAGAIN);
	ck_assert_uint_eq(held(), 1);
	ck_assert_int_eq(write(nb, buf, CAPACITY - 1), CAPACITY - 1);
	take(CAPACITY);
	put(1);
	ck_assert_int_eq(write(nb, buf, CAPACITY + 1), CAPACITY - 1);	/* more may be split */
}
END_TEST

/* Signals */

static void on_signal(int sig)
{
	(void)sig;
}

static void catch(int sig, int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };

	ck_ok(sigaction(sig, &sa, NULL));
}

START_TEST(signal_interrupts)
{
	char buf[2 * CAPACITY] = "";
	struct call c;

	catch(SIGUSR1, 0);
	start_and_block(&c, false, buf, 1);
	pthread_kill(c.thread, SIGUSR1);
	finish(&c, -1);
	ck_assert_int_eq(c.err, EINTR);

	put(CAPACITY);
	start_and_block(&c, true, "x", 1);
	pthread_kill(c.thread, SIGUSR1);
	finish(&c, -1);
	ck_assert_int_eq(c.err, EINTR);
	ck_assert_uint_eq(held(), CAPACITY);

	/* what was written before the signal counts */
	take(1000);
	start_and_block(&c, true, buf, sizeof(buf));
	pthread_kill(c.thread, SIGUSR1);
	finish(&c, 1000);
	ck_assert_uint_eq(held(), CAPACITY);
}
END_TEST

START_TEST(signal_restarts)
{
	struct call c;
	char buf[8];

	catch(SIGUSR1, SA_RESTART);
	start_and_block(&c, false, buf, sizeof(buf));
	pthread_kill(c.thread, SIGUSR1);
	kmk_pause();
	wait_asleep(c.tid);
	ck_assert_int_eq(write(fd, "on", 2), 2);
	finish(&c, 2);

	put(CAPACITY);
	start_and_block(&c, true, "x", 1);
	pthread_kill(c.thread, SIGUSR1);
	kmk_pause();
	wait_asleep(c.tid);
	take(1);
	finish(&c, 1);
}
END_TEST

START_TEST(kill_ends_a_wait)
{
	pid_t pid = spawn();
	int status;

	if (!pid) {
		char c;

		read(fd, &c, 1);
		_exit(0);
	}
	wait_asleep(pid);
	ck_ok(kill(pid, SIGKILL));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(write(nb, "x", 1), 1);
	ck_assert_uint_eq(held(), 1);
}
END_TEST

START_TEST(no_unload_while_one_waits)
{
	struct call c;
	char buf[8];
	int err;

	ck_assert_int_eq(module_load("kmk_echo", ""), 0);
	fd = ck_ok(open(DEV, O_RDWR));
	start_and_block(&c, false, buf, sizeof(buf));
	err = module_unload("kmk_echo");
	ck_assert_msg(err == -EAGAIN || err == -EBUSY, "unload: %d", err);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	finish(&c, 1);
	close(fd);
	ck_assert_int_eq(module_unload("kmk_echo"), 0);
}
END_TEST

/* poll, select, epoll */

static int ready(int on)
{
	struct pollfd p = { .fd = on, .events = POLLIN | POLLOUT | POLLPRI };

	ck_ok(poll(&p, 1, 0));
	return p.revents;
}

START_TEST(poll_tells_the_truth)
{
	ck_assert_int_eq(ready(fd), POLLOUT);
	put(1);
	ck_assert_int_eq(ready(fd), POLLIN | POLLOUT);
	put(CAPACITY - 2);
	ck_assert_int_eq(ready(fd), POLLIN | POLLOUT);
	put(1);
	ck_assert_int_eq(ready(fd), POLLIN);
	take(1);
	ck_assert_int_eq(ready(fd), POLLIN | POLLOUT);
	take(CAPACITY - 1);
	ck_assert_int_eq(ready(fd), POLLOUT);
}
END_TEST

/* A write that was refused is not said to be possible until it is. */
START_TEST(poll_after_refusal)
{
	char buf[100] = "";

	put(CAPACITY - 50);
	ck_assert_int_eq(ready(nb), POLLIN | POLLOUT);
	ck_errno(write(nb, buf, 100), EAGAIN);
	ck_assert_int_eq(ready(nb), POLLIN);
	ck_assert_int_eq(ready(fd), POLLIN | POLLOUT);	/* another file's need */
	take(49);
	ck_assert_int_eq(ready(nb), POLLIN);
	take(1);
	ck_assert_int_eq(ready(nb), POLLIN | POLLOUT);
	ck_assert_int_eq(write(nb, buf, 100), 100);
	take(1);
	ck_assert_int_eq(ready(nb), POLLIN | POLLOUT);	/* forgotten */
}
END_TEST

START_TEST(poll_wakes)
{
	struct pollfd p = { .fd = fd, .events = _i ? POLLOUT : POLLIN };
	pid_t pid;

	if (_i)
		put(CAPACITY);
	pid = spawn();
	if (!pid)
		_exit(poll(&p, 1, 20000) != 1 || p.revents != p.events);
	wait_asleep(pid);
	if (_i)
		take(1);
	else
		put(1);
	ck_assert_int_eq(reap(pid), 0);
}
END_TEST

START_TEST(select_and_epoll)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
	struct timeval now = { 0 };
	int ep = ck_ok(epoll_create1(0));
	fd_set r, w;

	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(fd, &r);
	FD_SET(fd, &w);
	ck_assert_int_eq(select(fd + 1, &r, &w, NULL, &now), 1);
	ck_assert(!FD_ISSET(fd, &r) && FD_ISSET(fd, &w));

	ck_ok(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	ck_assert_int_eq(epoll_wait(ep, &ev, 1, 0), 1);
	ck_assert_uint_eq(ev.events, EPOLLOUT);
	ck_assert_int_eq(epoll_wait(ep, &ev, 1, 0), 0);	/* an edge, once */
	put(1);
	ck_assert_int_eq(epoll_wait(ep, &ev, 1, 0), 1);
	ck_assert_uint_eq(ev.events, EPOLLIN | EPOLLOUT);
	put(1);						/* each write is one */
	ck_assert_int_eq(epoll_wait(ep, &ev, 1, 0), 1);
	take(2);
	ck_assert_int_eq(epoll_wait(ep, &ev, 1, 0), 1);
	ck_assert_uint_eq(ev.events, EPOLLOUT);
	close(ep);
}
END_TEST

/* SIGIO */

static volatile sig_atomic_t in_signals, out_signals;

static void on_io(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	if (info->si_code == POLL_IN)
		in_signals++;
	if (info->si_code == POLL_OUT)
		out_signals++;
}

static void want_signals(int on)
{
	struct sigaction sa = { .sa_sigaction = on_io, .sa_flags = SA_SIGINFO };

	ck_ok(sigaction(SIGRTMIN, &sa, NULL));
	ck_ok(fcntl(on, F_SETOWN, getpid()));
	ck_ok(fcntl(on, F_SETSIG, SIGRTMIN));
	ck_ok(fcntl(on, F_SETFL, fcntl(on, F_GETFL) | O_ASYNC));
}

START_TEST(sigio)
{
	int r = ck_ok(open(DEV, O_RDONLY));
	int w = ck_ok(open(DEV, O_WRONLY));
	int gone = ck_ok(open(DEV, O_RDWR));

	want_signals(r);
	put(5);
	ck_assert_int_eq(in_signals, 1);
	take(5);
	ck_assert_int_eq(in_signals, 1);
	ck_assert_int_eq(out_signals, 0);	/* of no use to a reader */

	want_signals(w);
	put(3);
	ck_assert_int_eq(in_signals, 2);
	ck_assert_int_eq(out_signals, 0);
	take(3);
	ck_assert_int_eq(out_signals, 1);
	put(3);
	ck_ok(ioctl(nb, ECHO_IOC_CLEAR));
	ck_assert_int_eq(out_signals, 2);
	ck_assert_int_eq(in_signals, 3);

	ck_ok(fcntl(r, F_SETFL, 0));
	ck_ok(fcntl(w, F_SETFL, 0));
	want_signals(gone);
	close(gone);				/* must leave both lists */
	put(1);
	take(1);
	ck_assert_int_eq(in_signals, 3);
	ck_assert_int_eq(out_signals, 2);

	want_signals(fd);			/* reader and writer in one */
	put(1);
	ck_assert_int_eq(in_signals, 4);
	take(1);
	ck_assert_int_eq(out_signals, 3);
	close(r);
	close(w);
}
END_TEST

/* Faults */

START_TEST(bad_pointers)
{
	char buf[8];

	ck_errno(write(fd, BAD_POINTER, 4), EFAULT);
	ck_errno(write(fd, BAD_POINTER, 2 * CAPACITY), EFAULT);
	ck_assert_uint_eq(held(), 0);
	put(4);
	ck_errno(read(fd, BAD_POINTER, 4), EFAULT);
	ck_assert_uint_eq(held(), 4);		/* nothing is lost */
	ck_assert_int_eq(read(fd, buf, sizeof(buf)), 4);
}
END_TEST

START_TEST(fault_half_way)
{
	char *small = buffer_before_hole(10), *big = buffer_before_hole(3000);
	char buf[CAPACITY];

	/* a write of at most PIPE_BUF bytes is one piece, or none */
	memset(small, 's', 10);
	ck_errno(write(fd, small, 20), EFAULT);
	ck_assert_uint_eq(held(), 0);
	/* of a longer one what can be had is taken */
	fill_pattern(big, 3000, 1);
	ck_assert_int_eq(write(fd, big, CAPACITY + 1), 3000);
	ck_assert_int_eq(read(fd, buf, sizeof(buf)), 3000);
	ck_assert_mem_eq(buf, big, 3000);

	/* a read takes what fits before the hole, the rest stays */
	put(100);
	fill_pattern(buf, 100, 100);
	ck_assert_int_eq(read(fd, small, 50), 10);
	ck_assert_mem_eq(small, buf, 10);
	ck_assert_uint_eq(held(), 90);
	ck_assert_int_eq(read(fd, buf + 10, 100), 90);

	/* without waiting for room for what cannot be had */
	put(CAPACITY - 3001);
	ck_assert_int_eq(write(fd, big, 2 * CAPACITY), 3000);
	ck_assert_uint_eq(held(), CAPACITY - 1);
}
END_TEST

START_TEST(untouched_memory)
{
	size_t size = 1 << 20;
	char *in, *out;

	load("capacity=1048576");
	in = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	out = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	in[0] = 'a';
	in[size / 2] = 'm';
	in[size - 1] = 'z';
	ck_assert_int_eq(write(nb, in, size), size);
	ck_assert_int_eq(read(nb, out, size), size);
	ck_assert(!memcmp(in, out, size));
	unload();
}
END_TEST

/* A page whose first use takes as long as the test likes. */
static char *stalling_page(int *uffd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	char *page;

	*uffd = ck_ok(syscall(SYS_userfaultfd, O_CLOEXEC));
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_ok(ioctl(*uffd, UFFDIO_API, &api));
	range.range.start = (unsigned long)page;
	range.range.len = 4096;
	ck_ok(ioctl(*uffd, UFFDIO_REGISTER, &range));
	return page;
}

static void end_stall(int uffd, char *page, char fill)
{
	static _Alignas(4096) char source[4096];
	struct uffdio_copy copy = {
		.dst = (unsigned long)page, .src = (unsigned long)source, .len = 4096,
	};

	memset(source, fill, sizeof(source));
	ck_ok(ioctl(uffd, UFFDIO_COPY, &copy));
}

static void wait_for_fault(int uffd)
{
	struct uffd_msg msg;

	ck_assert_int_eq(read(uffd, &msg, sizeof(msg)), sizeof(msg));
	ck_assert_int_eq(msg.event, UFFD_EVENT_PAGEFAULT);
}

/* One whose memory stalls stops nobody else, and in the end gets its own, whole. */
START_TEST(stalled_reader_and_writer)
{
	struct call reader, writer;
	char *page[2], buf[CAPACITY];
	int uffd[2];

	for (int i = 0; i < 2; i++)
		page[i] = stalling_page(&uffd[i]);
	put(10);
	start(&reader, false, fd, page[0], 4096);
	wait_for_fault(uffd[0]);
	start(&writer, true, fd, page[1], 20);
	wait_for_fault(uffd[1]);

	ck_assert_uint_eq(held(), 10);
	ck_assert_int_eq(ready(nb), POLLIN | POLLOUT);
	put(5);
	take(13);
	ck_ok(ioctl(nb, ECHO_IOC_CLEAR));
	put(3);

	end_stall(uffd[1], page[1], 'w');
	finish(&writer, 20);
	end_stall(uffd[0], page[0], 'r');
	/* it asks for no more than there was when it stalled */
	finish(&reader, 10);
	fill_pattern(buf, 3, 3);
	memset(buf + 3, 'w', 7);
	ck_assert_mem_eq(page[0], buf, 10);
	take(13);
	ck_errno(read(nb, buf, 1), EAGAIN);
}
END_TEST

START_TEST(stalled_on_the_message)
{
	int r = ck_ok(open("/dev/echo", O_RDWR)), w = ck_ok(open("/dev/echo", O_WRONLY));
	struct call reader, writer;
	char *page[2], buf[16];
	int uffd[2];

	for (int i = 0; i < 2; i++)
		page[i] = stalling_page(&uffd[i]);
	ck_assert_int_eq(pwrite(r, "one", 3, 0), 3);
	start(&reader, false, r, page[0], 4096);
	wait_for_fault(uffd[0]);
	start(&writer, true, w, page[1], 5);
	wait_for_fault(uffd[1]);

	ck_assert_int_eq(pread(r, buf, sizeof(buf), 0), 3);
	close(ck_ok(open("/dev/echo", O_WRONLY | O_TRUNC)));
	ck_assert_int_eq(pwrite(r, "two", 3, 0), 3);
	end_stall(uffd[0], page[0], 'r');
	finish(&reader, 3);
	ck_assert_mem_eq(page[0], "tworrr", 6);
	end_stall(uffd[1], page[1], 'w');
	finish(&writer, 5);
	ck_assert_int_eq(pread(r, buf, sizeof(buf), 0), 5);
	ck_assert_mem_eq(buf, "wwwww", 5);
	close(r);
	close(w);
}
END_TEST

START_TEST(stalled_and_killed)
{
	int told[2], status;
	pid_t pid;
	char c;

	put(10);
	ck_ok(pipe(told));
	pid = spawn();
	if (!pid) {
		struct call c;
		int uffd;

		start(&c, false, fd, stalling_page(&uffd), 4096);
		wait_for_fault(uffd);
		ck_assert_int_eq(write(told[1], "!", 1), 1);
		pause();
	}
	ck_assert_int_eq(read(told[0], &c, 1), 1);
	ck_ok(kill(pid, SIGKILL));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	take(10);
}
END_TEST

/* Copying without a system call of user space's own */

START_TEST(splice_both_ways)
{
	char buf[64];
	int p[2];

	ck_ok(pipe(p));
	ck_assert_int_eq(write(p[1], "through a pipe", 14), 14);
	ck_assert_int_eq(splice(p[0], NULL, fd, NULL, 64, 0), 14);
	ck_assert_uint_eq(held(), 14);
	ck_assert_int_eq(splice(fd, NULL, p[1], NULL, 7, 0), 7);
	ck_assert_int_eq(splice(fd, NULL, p[1], NULL, 64, 0), 7);
	ck_assert_int_eq(read(p[0], buf, sizeof(buf)), 14);
	ck_assert_mem_eq(buf, "through a pipe", 14);
	ck_errno(splice(nb, NULL, p[1], NULL, 64, 0), EAGAIN);
	ck_errno(splice(nb, &(loff_t){ 0 }, p[1], NULL, 64, 0), EINVAL);
	put(CAPACITY);
	ck_assert_int_eq(write(p[1], "x", 1), 1);
	ck_errno(splice(p[0], NULL, nb, NULL, 64, 0), EAGAIN);
	ck_assert_int_eq(read(p[0], buf, sizeof(buf)), 1);	/* still there */
}
END_TEST

#define SENT 100000

START_TEST(sendfile_in)
{
	int file = ck_ok(memfd_create("in", 0));
	char *in = malloc(SENT), *out = malloc(SENT);
	size_t got = 0;
	pid_t pid;

	fill_pattern(in, SENT, 11);
	ck_assert_int_eq(write(file, in, SENT), SENT);
	ck_assert_int_eq(lseek(file, 0, SEEK_SET), 0);
	pid = spawn();
	if (!pid) {
		ck_assert_int_eq(sendfile(fd, file, NULL, SENT), SENT);
		_exit(0);
	}
	while (got < SENT)
		got += ck_ok(read(fd, out + got, SENT - got));
	ck_assert_int_eq(reap(pid), 0);
	ck_assert(!memcmp(in, out, SENT));
	ck_assert_uint_eq(held(), 0);
}
END_TEST

START_TEST(sendfile_out)
{
	int file = ck_ok(memfd_create("out", 0)), empty = ck_ok(memfd_create("", 0));
	char *in = malloc(SENT), *out = malloc(SENT);
	struct call c;

	fill_pattern(in, SENT, 12);
	start(&c, true, fd, in, SENT);
	ck_assert_int_eq(sendfile(file, fd, NULL, SENT), SENT);
	finish(&c, SENT);
	ck_assert_int_eq(pread(file, out, SENT, 0), SENT);
	ck_assert(!memcmp(in, out, SENT));
	ck_errno(sendfile(empty, nb, NULL, 1), EAGAIN);
	ck_errno(sendfile(empty, nb, &(off_t){ 0 }, 1), ESPIPE);
}
END_TEST

static void queue_sqe(struct io_uring *ring, bool is_write, void *buf, size_t size)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (is_write)
		io_uring_prep_write(sqe, fd, buf, size, -1);
	else
		io_uring_prep_read(sqe, fd, buf, size, -1);
	io_uring_sqe_set_data64(sqe, is_write);
	ck_assert_int_eq(io_uring_submit(ring), 1);
}

static int next_cqe(struct io_uring *ring, bool is_write)
{
	struct __kernel_timespec limit = { .tv_sec = 20 };
	struct io_uring_cqe *cqe;
	int ret;

	ck_assert_int_eq(io_uring_wait_cqe_timeout(ring, &cqe, &limit), 0);
	ck_assert_int_eq(cqe->user_data, is_write);
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

START_TEST(io_uring)
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	char buf[CAPACITY];
	pid_t pid;

	ck_assert_int_eq(io_uring_queue_init(8, &ring, 0), 0);
	queue_sqe(&ring, true, "ring", 4);
	ck_assert_int_eq(next_cqe(&ring, true), 4);
	queue_sqe(&ring, false, buf, sizeof(buf));
	ck_assert_int_eq(next_cqe(&ring, false), 4);
	ck_assert_mem_eq(buf, "ring", 4);

	/* one that must wait holds nobody up, and ends when it can */
	queue_sqe(&ring, false, buf, sizeof(buf));
	ck_assert_int_eq(io_uring_peek_cqe(&ring, &cqe), -EAGAIN);
	put(7);
	ck_assert_int_eq(next_cqe(&ring, false), 7);
	put(CAPACITY - 10);
	queue_sqe(&ring, true, buf, 100);
	ck_assert_int_eq(io_uring_peek_cqe(&ring, &cqe), -EAGAIN);
	take(50);
	ck_assert_int_eq(io_uring_peek_cqe(&ring, &cqe), -EAGAIN);
	take(50);
	ck_assert_int_eq(next_cqe(&ring, true), 100);
	io_uring_queue_exit(&ring);

	/* one that dies while it waits leaves nothing: the kernel takes its ring apart, later */
	ck_ok(ioctl(nb, ECHO_IOC_CLEAR));
	pid = spawn();
	if (!pid) {
		fd = ck_ok(open(DEV, O_RDWR));
		ck_assert_int_eq(io_uring_queue_init(8, &ring, 0), 0);
		queue_sqe(&ring, false, buf, sizeof(buf));
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	wait_until(slurp_number("/sys/module/kmk_echo/refcnt") == 2);
	ck_assert_uint_eq(held(), 0);
	put(1);
	ck_assert_uint_eq(held(), 1);
}
END_TEST

/* Many at once */

#define RECORDS 600
#define WRITERS 4

struct record {
	unsigned short size, writer;
	unsigned int number;
};

/* Writes its records; each is filled with one byte that its number gives. */
static void *write_records(void *arg)
{
	unsigned short writer = (long)arg;
	char buf[PIPE_BUF];
	struct record *r = (void *)buf;

	for (unsigned int i = 0; i < RECORDS; i++) {
		*r = (struct record){ sizeof(*r) + (i * 37 + writer * 11) % 500, writer, i };
		if (i % 100 == 0)
			r->size = PIPE_BUF;
		memset(buf + sizeof(*r), i + writer, r->size - sizeof(*r));
		ck_assert_int_eq(write(fd, buf, r->size), r->size);
	}
	return NULL;
}

/* One reader: each record comes whole, and each writer's in order. */
START_TEST(records_stay_whole)
{
	static char buf[PIPE_BUF], expected[PIPE_BUF];
	unsigned int next[WRITERS] = { 0 };
	pthread_t threads[WRITERS];

	for (long i = 0; i < WRITERS; i++)
		pthread_create(&threads[i], NULL, write_records, (void *)i);
	for (int i = 0; i < WRITERS * RECORDS; i++) {
		struct record *r = (void *)buf;
		size_t got = 0, want = sizeof(*r);

		while (got < want) {
			got += ck_ok(read(fd, buf + got, want - got));
			if (got == sizeof(*r))
				want = r->size;
		}
		ck_assert_uint_lt(r->writer, WRITERS);
		ck_assert_uint_eq(r->number, next[r->writer]++);
		memset(expected, r->number + r->writer, r->size);
		ck_assert(!memcmp(buf + sizeof(*r), expected, r->size - sizeof(*r)));
	}
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(held(), 0);
}
END_TEST

#define WORDS 20000
static unsigned char seen[WRITERS * WORDS], once[WRITERS * WORDS];

static void *write_words(void *arg)
{
	unsigned int first = (long)arg * WORDS, buf[64];

	for (unsigned int i = 0; i < WORDS;) {
		unsigned int n = 1 + i % 64;

		if (n > WORDS - i)
			n = WORDS - i;
		for (unsigned int j = 0; j < n; j++)
			buf[j] = first + i + j;
		ck_assert_int_eq(write(fd, buf, 4 * n), 4 * n);
		i += n;
	}
	return NULL;
}

static void *read_words(void *arg)
{
	unsigned int buf[50];
	ssize_t n;

	(void)arg;
	for (;;) {
		n = ck_ok(read(fd, buf, sizeof(buf)));
		ck_assert_int_eq(n % 4, 0);
		for (int i = 0; i < n / 4; i++) {
			if (buf[i] == UINT_MAX)
				return NULL;
			if (buf[i] < WRITERS * WORDS)
				__atomic_fetch_add(&seen[buf[i]], 1, __ATOMIC_RELAXED);
			else
				ck_abort_msg("%u was never written", buf[i]);
		}
	}
}

/* Many readers: each word is read by one of them, once. */
START_TEST(every_byte_once)
{
	pthread_t writers[WRITERS], readers[3];
	unsigned int last[50];

	memset(last, 0xff, sizeof(last));	/* as long as a read */
	for (long i = 0; i < WRITERS; i++)
		pthread_create(&writers[i], NULL, write_words, (void *)i);
	for (long i = 0; i < 3; i++)
		pthread_create(&readers[i], NULL, read_words, NULL);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	wait_until(!held());
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(write(fd, last, sizeof(last)), sizeof(last));
		wait_until(!held());
	}
	for (int i = 0; i < 3; i++)
		pthread_join(readers[i], NULL);
	memset(once, 1, sizeof(once));
	ck_assert(!memcmp(seen, once, sizeof(seen)));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("echo_fifo");
	TCase *queue = tcase_create("queue");
	TCase *module = tcase_create("module");

	tcase_add_checked_fixture(queue, load_default, unload);
	tcase_add_test(queue, each_byte_once);
	tcase_add_test(queue, from_one_process_to_another);
	tcase_add_test(queue, round_and_round);
	tcase_add_test(queue, never_blocks_when_told);
	tcase_add_test(queue, nothing_is_nothing);
	tcase_add_test(queue, not_seekable);
	tcase_add_test(queue, access_modes);
	tcase_add_test(queue, vectors);
	tcase_add_test(queue, clear_empties);
	tcase_add_test(queue, reader_waits);
	tcase_add_test(queue, writer_waits);
	tcase_add_test(queue, clear_wakes_writer);
	tcase_add_test(queue, writers_of_different_needs);
	tcase_add_test(queue, all_readers_get_some);
	tcase_add_test(queue, more_than_fits);
	tcase_add_test(queue, all_or_nothing);
	tcase_add_test(queue, signal_interrupts);
	tcase_add_test(queue, signal_restarts);
	tcase_add_test(queue, kill_ends_a_wait);
	tcase_add_test(queue, poll_tells_the_truth);
	tcase_add_test(queue, poll_after_refusal);
	tcase_add_loop_test(queue, poll_wakes, 0, 2);
	tcase_add_test(queue, select_and_epoll);
	tcase_add_test(queue, sigio);
	tcase_add_test(queue, bad_pointers);
	tcase_add_test(queue, fault_half_way);
	tcase_add_test(queue, stalled_reader_and_writer);
	tcase_add_test(queue, stalled_on_the_message);
	tcase_add_test(queue, stalled_and_killed);
	tcase_add_test(queue, splice_both_ways);
	tcase_add_test(queue, sendfile_in);
	if (sendfile_reads_devices())
		tcase_add_test(queue, sendfile_out);
	else
		skip_test("sendfile_out", "sendfile() of this kernel reads no devices");
	tcase_add_test(queue, io_uring);
	tcase_add_test(queue, records_stay_whole);
	tcase_add_test(queue, every_byte_once);
	tcase_set_timeout(queue, 60);
	suite_add_tcase(suite, queue);

	tcase_add_test(module, no_unload_while_one_waits);
	tcase_add_test(module, untouched_memory);
	suite_add_tcase(suite, module);
	return run_suite(suite);
}
