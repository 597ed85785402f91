// SPDX-License-Identifier: GPL-2.0
/* /dev/echo and /dev/echo_fifo beside a pipe and a memfd. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

static char buffer[65536];
static size_t size;
static int pipe_fds[2], memfd, echo, fifo;

static void pipe_run(unsigned long ops)
{
	while (ops--) {
		must_be(size, write(pipe_fds[1], buffer, size));
		must_be(size, read(pipe_fds[0], buffer, size));
	}
}

static void message_run(int fd, unsigned long ops)
{
	while (ops--) {
		must_be(size, pwrite(fd, buffer, size, 0));
		must_be(size, pread(fd, buffer, size, 0));
	}
}

static void memfd_run(unsigned long ops)
{
	message_run(memfd, ops);
}

static void echo_run(unsigned long ops)
{
	message_run(echo, ops);
}

static void fifo_run(unsigned long ops)
{
	while (ops--) {
		must_be(size, write(fifo, buffer, size));
		must_be(size, read(fifo, buffer, size));
	}
}

static const struct bench_side message_sides[] = {
	{ .name = "pipe", .run = pipe_run },
	{ .name = "memfd", .run = memfd_run },
	{ .name = "echo", .run = echo_run },
};

static const struct bench_side fifo_sides[] = {
	{ .name = "pipe", .run = pipe_run },
	{ .name = "fifo", .run = fifo_run },
};

int main(void)
{
	must(pipe(pipe_fds));
	memfd = must(memfd_create("bench", MFD_CLOEXEC));
	echo = must(open("/dev/echo", O_RDWR | O_CLOEXEC));
	fifo = must(open("/dev/echo_fifo", O_RDWR | O_CLOEXEC));

	size = 64;
	bench_compare("message-64", 2000, message_sides, ARRAY_SIZE(message_sides));
	bench_compare("fifo-64", 2000, fifo_sides, ARRAY_SIZE(fifo_sides));
	size = 4096;
	bench_compare("message-4k", 1000, message_sides, ARRAY_SIZE(message_sides));
	bench_compare("fifo-4k", 1000, fifo_sides, ARRAY_SIZE(fifo_sides));
	size = 65536;
	bench_compare("fifo-64k", 200, fifo_sides, ARRAY_SIZE(fifo_sides));
	return 0;
}
