// SPDX-License-Identifier: GPL-2.0
/* /dev/syscall_ext beside the cheapest system call and a cheap ioctl. */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

static int pipe_fds[2];

static void getppid_run(unsigned long ops)
{
	while (ops--)
		syscall(SYS_getppid);
}

static void fionread_run(unsigned long ops)
{
	int n;

	while (ops--)
		must(ioctl(pipe_fds[0], FIONREAD, &n));
}

static const struct bench_side add_sides[] = {
	{ .name = "getppid", .run = getppid_run },
	{ .name = "fionread", .run = fionread_run },
};

int main(void)
{
	must(pipe(pipe_fds));

	bench_compare("add", 10000, add_sides, ARRAY_SIZE(add_sides));
	return 0;
}
