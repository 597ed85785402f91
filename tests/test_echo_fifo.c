// SPDX-License-Identifier: GPL-2.0
/* kmk_echo: /dev/echo_fifo. */
#define _GNU_SOURCE
#include "kmktest.h"

#include <fcntl.h>
#include <kmodkit/echo.h>
#include <liburing.h>
#include <limits.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
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

static void block(struct io_call *c, bool is_write, void *buf, size_t size)
{
	io_start_and_block(c, is_write, fd, buf, size);
}

static void on_signal(int sig)
{
	(void)sig;
}

static void catch(int sig, int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };

	ck_ok(sigaction(sig, &sa, NULL));
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

/* The ring lies in pages: bytes come out as they went in over every edge of it and of them. */
static const unsigned int ring_sizes[] = { 1, 4095, 4097, 10001, 3 * 4096 };

static unsigned char stream_byte(unsigned int at)
{
	return at * 31 / 7;
}

START_TEST(rings)
{
	static unsigned char bytes[3 * 4096];
	const unsigned int size = ring_sizes[_i];
	unsigned int in = 0, out = 0, n, i;
	char params[32];

	snprintf(params, sizeof(params), "capacity=%u", size);
	load(params);
	srand(1);
	for (int round = 0; round < 1000; round++) {
		n = 1 + rand() % size;
		n = MIN(n, size - (in - out));
		for (i = 0; i < n; i++)
			bytes[i] = stream_byte(in + i);
		if (n)
			ck_assert_int_eq(write(nb, bytes, n), n);
		in += n;
		n = 1 + rand() % size;
		n = MIN(n, in - out);
		memset(bytes, 0, n);
		ck_assert_int_eq(read(nb, bytes, n), n);
		for (i = 0; i < n; i++)
			ck_assert_uint_eq(bytes[i], stream_byte(out + i));
		out += n;
	}
	unload();
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
	ck_assert_int_eq(poll(p, 2, 0), 1);
	ck_assert_int_eq(p[1].revents, POLLOUT);
	ck_assert_int_eq(write(w, &c, 1), 1);
	ck_assert_int_eq(poll(p, 2, 0), 1);
	ck_assert_int_eq(p[0].revents, POLLIN);
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
	struct io_call c;
	char buf[16];

	block(&c, false, buf, sizeof(buf));
	ck_assert_int_eq(write(fd, "wake", 4), 4);
	io_finish(&c, 4);
	ck_assert_mem_eq(buf, "wake", 4);
	ck_assert_uint_eq(held(), 0);
}
END_TEST

START_TEST(writer_waits)
{
	struct io_call c;
	char buf[16];

	put(CAPACITY);
	block(&c, true, "later", 5);
	take(4);				/* not room enough yet */
	wait_asleep(c.tid);
	ck_assert_uint_eq(held(), CAPACITY - 4);
	take(1);
	io_finish(&c, 5);
	take(CAPACITY - 5);
	ck_assert_int_eq(read(nb, buf, sizeof(buf)), 5);
	ck_assert_mem_eq(buf, "later", 5);
}
END_TEST

START_TEST(clear_wakes_writer)
{
	struct io_call c;

	put(CAPACITY);
	block(&c, true, "later", 5);
	ck_assert_int_eq(ioctl(nb, ECHO_IOC_CLEAR), 0);
	io_finish(&c, 5);
	ck_assert_uint_eq(held(), 5);
}
END_TEST

/*
 * In turn: a piece waits for room for all of it, and writers of single bytes behind it, or
 * it would never get that. One that gives up lets those behind it go on.
 */
START_TEST(writers_in_turn)
{
	struct io_call piece, small[3];
	char buf[2000];

	catch(SIGUSR1, 0);
	memset(buf, 'p', sizeof(buf));
	put(CAPACITY - 100);
	block(&piece, true, buf, sizeof(buf));
	for (int i = 0; i < 3; i++)
		block(&small[i], true, "s", 1);
	ck_errno(write(nb, "n", 1), EAGAIN);
	take(1899);
	for (int i = 0; i < 3; i++)
		wait_asleep(small[i].tid);
	wait_asleep(piece.tid);
	ck_assert_uint_eq(held(), CAPACITY - 100 - 1899);
	take(1);
	io_finish(&piece, sizeof(buf));
	for (int i = 0; i < 3; i++)
		wait_asleep(small[i].tid);
	take(1);
	io_finish(&small[0], 1);
	wait_asleep(small[1].tid);
	take(2);
	io_finish(&small[1], 1);
	io_finish(&small[2], 1);
	ck_assert_uint_eq(held(), CAPACITY);

	take(100);
	block(&piece, true, buf, sizeof(buf));
	block(&small[0], true, "s", 1);
	pthread_kill(piece.thread, SIGUSR1);
	io_finish(&piece, -1);
	ck_assert_int_eq(piece.err, EINTR);
	io_finish(&small[0], 1);
}
END_TEST

/*
 * The same against a writer of single bytes that never stops: before each byte that is
 * read, it has written what it may. A piece gets in once what is before it was read.
 */
START_TEST(piece_is_not_starved)
{
	char piece[256], c;
	pid_t small, pid;

	load("capacity=256");
	memset(piece, 'p', sizeof(piece));
	small = spawn();
	while (!small)
		ck_assert_int_eq(write(fd, "s", 1), 1);
	wait_until(held() == sizeof(piece));
	wait_asleep(small);
	pid = spawn();
	if (!pid)
		_exit(write(fd, piece, sizeof(piece)) != sizeof(piece));
	wait_asleep(pid);
	/* the queue was full, and one byte waited before the piece */
	for (size_t i = 0; i < sizeof(piece) + 1; i++) {
		ck_assert_int_eq(read(nb, &c, 1), 1);
		ck_assert_int_eq(c, 's');
		wait_asleep(small);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_eq(read(nb, &c, 1), 1);
	ck_assert_int_eq(c, 'p');
	ck_ok(kill(small, SIGKILL));
	ck_assert_int_eq(waitpid(small, NULL, 0), small);
	unload();
}
END_TEST

#define CROWD 64
#define ROUNDS 200

struct member {
	pthread_t thread;
	pid_t tid;
	int fd;
	size_t size;
	bool is_write;
	unsigned long *done;
};

static void *take_part(void *arg)
{
	struct member *m = arg;
	char buf[PIPE_BUF] = "";

	__atomic_store_n(&m->tid, gettid(), __ATOMIC_RELEASE);
	for (;;) {
		ssize_t n = m->is_write ? write(m->fd, buf, m->size) :
					  read(m->fd, buf, m->size);

		ck_assert_int_eq(n, m->size);
		__atomic_fetch_add(m->done, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* How often a crowd blocked at one end sleeps while the other moves @size bytes, ROUNDS times. */
static long sleeps_of_a_crowd(int read_end, int write_end, bool is_write, size_t size)
{
	struct member crowd[CROWD];
	char buf[PIPE_BUF] = "";
	unsigned long done = 0;
	long before = 0, after = 0;

	for (int i = 0; i < CROWD; i++) {
		crowd[i] = (struct member){ .fd = is_write ? write_end : read_end, .size = size,
					    .is_write = is_write, .done = &done };
		pthread_create(&crowd[i].thread, NULL, take_part, &crowd[i]);
	}
	for (int i = 0; i < CROWD; i++) {
		wait_until(__atomic_load_n(&crowd[i].tid, __ATOMIC_ACQUIRE));
		wait_asleep(crowd[i].tid);
		before += sleeps_of(crowd[i].tid);
	}
	for (int i = 0; i < ROUNDS; i++) {
		unsigned long last = __atomic_load_n(&done, __ATOMIC_ACQUIRE);

		if (is_write)
			ck_assert_int_eq(read(read_end, buf, size), size);
		else
			ck_assert_int_eq(write(write_end, buf, size), size);
		wait_until(__atomic_load_n(&done, __ATOMIC_ACQUIRE) == last + 1);
	}
	for (int i = 0; i < CROWD; i++) {
		wait_asleep(crowd[i].tid);
		after += sleeps_of(crowd[i].tid);
	}
	for (int i = 0; i < CROWD; i++) {
		pthread_cancel(crowd[i].thread);
		pthread_join(crowd[i].thread, NULL);
	}
	return after - before;
}

/* One byte, or room for one piece, wakes one. A pipe is as large as the queue here. */
START_TEST(no_herd)
{
	long fifo, pipes;
	int p[2];

	ck_ok(pipe(p));
	ck_assert_int_eq(fcntl(p[0], F_SETPIPE_SZ, CAPACITY), CAPACITY);
	fifo = sleeps_of_a_crowd(fd, fd, _i, _i ? PIPE_BUF : 1);
	pipes = sleeps_of_a_crowd(p[0], p[1], _i, _i ? PIPE_BUF : 1);
	ck_assert_msg(fifo >= ROUNDS && fifo <= pipes * 11 / 10,
		      "%ld sleeps, and %ld at a pipe, in %d rounds", fifo, pipes, ROUNDS);
}
END_TEST

START_TEST(all_readers_get_some)
{
	struct io_call calls[4];
	char buf[4][2];

	for (int i = 0; i < 4; i++)
		block(&calls[i], false, buf[i], 1);
	put(4);
	for (int i = 0; i < 4; i++)
		io_finish(&calls[i], 1);
	ck_assert_uint_eq(held(), 0);
}
END_TEST

START_TEST(more_than_fits)
{
	size_t size = 300007, got = 0;
	char *in = malloc(size), *out = malloc(size);
	struct io_call c;

	fill_pattern(in, size, 9);
	io_start(&c, true, fd, in, size);
	while (got < size)
		got += ck_ok(read(fd, out + got, 10000));
	io_finish(&c, size);
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

START_TEST(signal_interrupts)
{
	char buf[2 * CAPACITY] = "";
	struct io_call c;

	catch(SIGUSR1, 0);
	block(&c, false, buf, 1);
	pthread_kill(c.thread, SIGUSR1);
	io_finish(&c, -1);
	ck_assert_int_eq(c.err, EINTR);

	put(CAPACITY);
	block(&c, true, "x", 1);
	pthread_kill(c.thread, SIGUSR1);
	io_finish(&c, -1);
	ck_assert_int_eq(c.err, EINTR);
	ck_assert_uint_eq(held(), CAPACITY);

	/* what was written before the signal counts */
	take(1000);
	block(&c, true, buf, sizeof(buf));
	pthread_kill(c.thread, SIGUSR1);
	io_finish(&c, 1000);
	ck_assert_uint_eq(held(), CAPACITY);
}
END_TEST

START_TEST(signal_restarts)
{
	struct io_call c;
	char buf[8];

	catch(SIGUSR1, SA_RESTART);
	block(&c, false, buf, sizeof(buf));
	pthread_kill(c.thread, SIGUSR1);
	kmk_pause();
	wait_asleep(c.tid);
	ck_assert_int_eq(write(fd, "on", 2), 2);
	io_finish(&c, 2);

	put(CAPACITY);
	block(&c, true, "x", 1);
	pthread_kill(c.thread, SIGUSR1);
	kmk_pause();
	wait_asleep(c.tid);
	take(1);
	io_finish(&c, 1);
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
	struct io_call c;
	char buf[8];
	int err;

	ck_assert_int_eq(module_load("kmk_echo", ""), 0);
	fd = ck_ok(open(DEV, O_RDWR));
	block(&c, false, buf, sizeof(buf));
	err = module_unload("kmk_echo");
	ck_assert_msg(err == -EAGAIN || err == -EBUSY, "unload: %d", err);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	io_finish(&c, 1);
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

/* Ready for writing is what has room for a piece, as with a pipe. */
START_TEST(poll_tells_the_truth)
{
	char buf[2 * CAPACITY];

	load("capacity=8192");
	ck_assert_int_eq(ready(fd), POLLOUT);
	put(1);
	ck_assert_int_eq(ready(fd), POLLIN | POLLOUT);
	put(4095);
	ck_assert_int_eq(ready(fd), POLLIN | POLLOUT);
	put(1);
	ck_assert_int_eq(ready(fd), POLLIN);
	put(4095);
	ck_assert_int_eq(ready(fd), POLLIN);
	take(4095);
	ck_assert_int_eq(ready(fd), POLLIN);
	take(1);
	ck_assert_int_eq(ready(fd), POLLIN | POLLOUT);
	/* what it promises */
	ck_assert_int_eq(write(nb, buf, PIPE_BUF), PIPE_BUF);
	ck_assert_int_eq(read(nb, buf, sizeof(buf)), sizeof(buf));
	ck_assert_int_eq(ready(fd), POLLOUT);
	unload();

	load("capacity=10");			/* less than PIPE_BUF */
	put(1);
	ck_assert_int_eq(ready(fd), POLLIN);
	take(1);
	ck_assert_int_eq(ready(fd), POLLOUT);
	unload();
}
END_TEST

/* A call that was refused changes nothing for the next ones. */
START_TEST(poll_after_refusal)
{
	char buf[PIPE_BUF] = "";
	struct io_call c;

	load("capacity=8192");
	catch(SIGUSR1, 0);
	put(4096);
	put(1);
	for (int i = 0; i < 2; i++) {
		ck_errno(write(nb, buf, PIPE_BUF), EAGAIN);
		block(&c, true, buf, PIPE_BUF);
		/* it is before everybody else */
		ck_assert_int_eq(ready(fd), POLLIN);
		ck_errno(write(nb, buf, 1), EAGAIN);
		pthread_kill(c.thread, SIGUSR1);
		io_finish(&c, -1);
		ck_assert_int_eq(c.err, EINTR);
		ck_assert_int_eq(ready(fd), POLLIN);
		ck_assert_int_eq(ready(nb), POLLIN);
		ck_assert_int_eq(write(nb, buf, 1), 1);
		take(1);
	}
	take(1);
	ck_assert_int_eq(ready(fd), POLLIN | POLLOUT);
	ck_assert_int_eq(ready(nb), POLLIN | POLLOUT);
	unload();
}
END_TEST

START_TEST(fionread)
{
	int n = -1, r = ck_ok(open(DEV, O_RDONLY));

	ck_ok(ioctl(fd, FIONREAD, &n));
	ck_assert_int_eq(n, 0);
	put(300);
	take(1);
	ck_ok(ioctl(r, FIONREAD, &n));
	ck_assert_int_eq(n, 299);
	ck_errno(ioctl(fd, FIONREAD, NULL), EFAULT);
	close(r);
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
		take(CAPACITY);
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
	ck_assert_uint_eq(ev.events, EPOLLIN);
	put(1);						/* each write is one */
	ck_assert_int_eq(epoll_wait(ep, &ev, 1, 0), 1);
	take(1);
	ck_assert_int_eq(epoll_wait(ep, &ev, 1, 0), 0);	/* no room for a piece yet */
	take(1);
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

/*
 * A reader whose memory stalls delays the readers behind it, whom a signal ends, and nobody
 * else. It gets the bytes that were its own, and the next reader those behind them.
 */
START_TEST(stalled_reader)
{
	struct pollfd p = { .fd = nb, .events = POLLIN };
	struct io_call stalled, behind;
	char *page, buf[CAPACITY], expected[CAPACITY];
	int uffd, n;
	pid_t poller;

	catch(SIGUSR1, 0);
	page = stalling_page(&uffd);
	put(10);
	fill_pattern(expected, 10, 10);
	io_start(&stalled, false, fd, page, 10);
	wait_for_fault(uffd);

	/* writers, and whoever asks, go on */
	ck_assert_int_eq(write(fd, "12345", 5), 5);
	ck_assert_uint_eq(held(), 15);
	/* readers do not: none gets a byte that is another's */
	ck_errno(read(nb, buf, 1), EAGAIN);
	ck_ok(ioctl(fd, FIONREAD, &n));
	ck_assert_int_eq(n, 15);
	ck_assert_int_eq(ready(fd), 0);
	ck_errno(ioctl(nb, ECHO_IOC_CLEAR), EAGAIN);
	block(&behind, false, buf, 1);
	pthread_kill(behind.thread, SIGUSR1);
	io_finish(&behind, -1);
	ck_assert_int_eq(behind.err, EINTR);
	block(&behind, false, buf, 3);
	poller = spawn();
	if (!poller)
		_exit(poll(&p, 1, 20000) != 1 || p.revents != POLLIN);
	wait_asleep(poller);
	ck_assert_uint_eq(held(), 15);

	end_stall(uffd, page, 'r');
	io_finish(&stalled, 10);
	ck_assert_mem_eq(page, expected, 10);
	io_finish(&behind, 3);
	ck_assert_mem_eq(buf, "123", 3);
	ck_assert_int_eq(reap(poller), 0);	/* it is told of the two bytes */
	ck_assert_int_eq(read(nb, buf, sizeof(buf)), 2);
	ck_assert_mem_eq(buf, "45", 2);
}
END_TEST

static void *clear_queue(void *err)
{
	*(int *)err = ioctl(fd, ECHO_IOC_CLEAR) ? errno : 0;
	return NULL;
}

/* ECHO_IOC_CLEAR waits for the reader that has begun, not for those that wait for bytes. */
START_TEST(stalled_reader_and_clear)
{
	struct io_call stalled, waiting;
	int uffd, left, err = -1;
	pthread_t thread;
	char *page, c;

	block(&waiting, false, &c, 1);
	ck_ok(ioctl(fd, ECHO_IOC_CLEAR));
	ck_ok(ioctl(nb, ECHO_IOC_CLEAR));
	ck_assert_int_eq(write(fd, "x", 1), 1);
	io_finish(&waiting, 1);

	page = stalling_page(&uffd);
	put(10);
	io_start(&stalled, false, fd, page, 4);
	wait_for_fault(uffd);
	pthread_create(&thread, NULL, clear_queue, &err);
	block(&waiting, false, &c, 1);
	ck_assert_int_eq(err, -1);
	end_stall(uffd, page, 'r');
	io_finish(&stalled, 4);
	pthread_join(thread, NULL);
	ck_assert_int_eq(err, 0);
	/* the rest is gone, but for one byte where the reader in line came before the CLEAR */
	ck_ok(ioctl(nb, FIONREAD, &left));
	ck_assert_int_eq(left, 0);
	if (!io_done(&waiting)) {
		ck_assert_int_eq(write(fd, "y", 1), 1);
		io_finish(&waiting, 1);
		ck_assert_int_eq(c, 'y');
	} else {
		io_finish(&waiting, 1);
	}
	ck_errno(read(nb, &c, 1), EAGAIN);
}
END_TEST

START_TEST(stalled_writer)
{
	struct pollfd p = { .fd = nb, .events = POLLOUT };
	struct io_call stalled, behind;
	char *page, buf[CAPACITY];
	pid_t poller;
	int uffd;

	load("capacity=8192");
	catch(SIGUSR1, 0);
	page = stalling_page(&uffd);
	p.fd = nb;
	put(10);
	io_start(&stalled, true, fd, page, 20);
	wait_for_fault(uffd);

	take(3);
	ck_assert_uint_eq(held(), 7);
	ck_assert_int_eq(ready(nb), POLLIN);
	ck_errno(write(nb, buf, 1), EAGAIN);
	block(&behind, true, buf, 1);
	pthread_kill(behind.thread, SIGUSR1);
	io_finish(&behind, -1);
	ck_assert_int_eq(behind.err, EINTR);
	block(&behind, true, "behind", 6);
	poller = spawn();
	if (!poller)
		_exit(poll(&p, 1, 20000) != 1 || p.revents != POLLOUT);
	wait_asleep(poller);
	ck_ok(ioctl(nb, ECHO_IOC_CLEAR));
	ck_assert_uint_eq(held(), 0);

	end_stall(uffd, page, 'w');
	io_finish(&stalled, 20);
	io_finish(&behind, 6);
	ck_assert_int_eq(reap(poller), 0);
	ck_assert_int_eq(read(nb, buf, sizeof(buf)), 26);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(buf[i], 'w');
	ck_assert_mem_eq(buf + 20, "behind", 6);
	unload();
}
END_TEST

/* Both ends at once; and what a stalled end kept SIGIO from telling is told afterwards. */
START_TEST(stalled_reader_and_writer)
{
	struct io_call reader, writer;
	char *page[2], buf[CAPACITY], expected[10];
	int uffd[2];

	for (int i = 0; i < 2; i++)
		page[i] = stalling_page(&uffd[i]);
	put(10);
	fill_pattern(expected, 10, 10);
	io_start(&reader, false, fd, page[0], 4096);
	wait_for_fault(uffd[0]);
	io_start(&writer, true, fd, page[1], 20);
	wait_for_fault(uffd[1]);
	ck_assert_uint_eq(held(), 10);
	want_signals(nb);
	end_stall(uffd[1], page[1], 'w');
	io_finish(&writer, 20);
	ck_assert_int_eq(in_signals, 0);
	end_stall(uffd[0], page[0], 'r');
	io_finish(&reader, 10);
	ck_assert_mem_eq(page[0], expected, 10);
	ck_assert_int_eq(in_signals, 1);
	take(20);
	ck_errno(read(nb, buf, 1), EAGAIN);
}
END_TEST

START_TEST(stalled_and_killed)
{
	put(10);
	kill_stalled_call(fd, false, 4096);
	take(10);
}
END_TEST

/* Copying without a system call of user space's own */

/*
 * As a pipe refuses it: splice() would wait with the lock of a pipe held, and what the other
 * end of a sendfile() did not take would be lost.
 */
START_TEST(no_splice)
{
	int file = ck_ok(memfd_create("file", 0)), sockets[2], p[2];
	char buf[64];

	ck_ok(pipe(p));
	ck_ok(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	ck_assert_int_eq(write(file, "in a file", 9), 9);
	ck_assert_int_eq(write(p[1], "in a pipe", 9), 9);
	put(10);
	for (int i = 0; i < 2; i++) {
		ck_errno(splice(fd, NULL, p[1], NULL, 64, 0), EINVAL);
		ck_errno(splice(p[0], NULL, fd, NULL, 64, 0), EINVAL);
		ck_errno(splice(fd, NULL, p[1], NULL, 64, SPLICE_F_NONBLOCK), EINVAL);
		ck_errno(sendfile(sockets[0], fd, NULL, 64), EINVAL);
		ck_errno(sendfile(file, fd, NULL, 64), EINVAL);
		ck_errno(sendfile(fd, file, &(off_t){ 0 }, 64), EINVAL);
		ck_assert_uint_eq(held(), i ? 0 : 10);
		ck_ok(ioctl(fd, ECHO_IOC_CLEAR));	/* and again of the empty queue */
	}
	ck_assert_int_eq(read(p[0], buf, sizeof(buf)), 9);
}
END_TEST

static const struct {
	const char *path, *missing;
} cats[] = {
	{ "/bin/cat", "no busybox with cat and head here" },
	{ "/tests/cat", "no cat of GNU's that runs here" },	/* not of this architecture */
};

static bool runs(const char *path)
{
	char command[64];

	snprintf(command, sizeof(command), "%s --help > /dev/null 2>&1", path);
	return !system(command);
}

/* Each byte passes cat when it comes, and head goes when it has its six. */
START_TEST(cat_in_a_pipeline)
{
	pid_t cat, head;
	int p[2], out[2];
	char text[128];

	ck_ok(pipe2(p, O_CLOEXEC));
	ck_ok(pipe2(out, O_CLOEXEC));
	cat = spawn();
	if (!cat) {
		dup2(p[1], 1);
		execl(cats[_i].path, "cat", DEV, NULL);
		_exit(127);
	}
	head = spawn();
	if (!head) {
		dup2(p[0], 0);
		dup2(out[1], 1);
		execl("/bin/head", "head", "-c", "6", NULL);
		_exit(127);
	}
	close(p[0]);
	close(p[1]);
	close(out[1]);
	wait_asleep(cat);
	wait_asleep(head);
	ck_assert_int_eq(write(fd, "abcdef", 6), 6);
	ck_assert_int_eq(reap(head), 0);
	ck_assert_int_eq(read(out[0], text, sizeof(text)), 6);
	ck_assert_mem_eq(text, "abcdef", 6);
	/* the next byte ends cat, as with any pipeline */
	wait_asleep(cat);
	ck_assert_int_eq(write(fd, "g", 1), 1);
	wait_until(waitpid(cat, NULL, WNOHANG) == cat);
	ck_assert_uint_eq(held(), 0);
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
	take(CAPACITY - 60);
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
	tcase_add_test(queue, writers_in_turn);
	tcase_add_loop_test(queue, no_herd, 0, 2);
	tcase_add_test(queue, all_readers_get_some);
	tcase_add_test(queue, more_than_fits);
	tcase_add_test(queue, all_or_nothing);
	tcase_add_test(queue, signal_interrupts);
	tcase_add_test(queue, signal_restarts);
	tcase_add_test(queue, kill_ends_a_wait);
	tcase_add_test(queue, fionread);
	tcase_add_loop_test(queue, poll_wakes, 0, 2);
	tcase_add_test(queue, select_and_epoll);
	tcase_add_test(queue, sigio);
	tcase_add_test(queue, bad_pointers);
	tcase_add_test(queue, fault_half_way);
	tcase_add_test(queue, stalled_reader);
	tcase_add_test(queue, stalled_reader_and_clear);
	tcase_add_test(queue, stalled_reader_and_writer);
	tcase_add_test(queue, stalled_and_killed);
	tcase_add_test(queue, no_splice);
	for (int i = 0; i < 2; i++) {
		if (runs(cats[i].path) && runs("/bin/head"))
			tcase_add_loop_test(queue, cat_in_a_pipeline, i, i + 1);
		else
			skip_test("cat_in_a_pipeline", cats[i].missing);
	}
	tcase_add_test(queue, io_uring);
	tcase_add_test(queue, records_stay_whole);
	tcase_add_test(queue, every_byte_once);
	suite_add_tcase(suite, queue);

	tcase_add_loop_test(module, rings, 0, sizeof(ring_sizes) / sizeof(*ring_sizes));
	tcase_add_test(module, piece_is_not_starved);
	tcase_add_test(module, no_unload_while_one_waits);
	tcase_add_test(module, poll_tells_the_truth);
	tcase_add_test(module, poll_after_refusal);
	tcase_add_test(module, stalled_writer);
	tcase_add_test(module, untouched_memory);
	suite_add_tcase(suite, module);
	return run_suite(suite);
}
