// SPDX-License-Identifier: GPL-2.0
/* /dev/syscall_ext beside the cheapest system call and a cheap ioctl. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <kmodkit/syscall_ext.h>

#include "bench.h"

#define BATCH 64

static int pipe_fds[2], syscall_ext;

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

static void add_run(unsigned long ops)
{
	struct custom_syscall_data add = {
		.operation = CUSTOM_SYSCALL_ADD,
		.parameter1 = 1,
		.parameter2 = 2,
	};

	while (ops--)
		must(custom_syscall(syscall_ext, &add));
}

/* An operation is one call of a batch. */
static void batch_run(unsigned long ops)
{
	struct custom_syscall_data calls[BATCH];
	__s32 errors[BATCH];
	struct custom_syscall_batch batch = {
		.calls = (uintptr_t)calls,
		.errors = (uintptr_t)errors,
		.count = BATCH,
		.size = sizeof(calls[0]),
	};
	int i;

	for (i = 0; i < BATCH; i++) {
		calls[i] = (struct custom_syscall_data){
			.operation = CUSTOM_SYSCALL_ADD,
			.parameter1 = i,
			.parameter2 = 2,
		};
	}
	for (; ops; ops -= BATCH)
		must_be(BATCH, custom_syscall_batch(syscall_ext, &batch));
}

static const struct bench_side add_sides[] = {
	{ .name = "getppid", .run = getppid_run },
	{ .name = "fionread", .run = fionread_run },
	{ .name = "custom_syscall", .run = add_run },
};

static const struct bench_side batch_sides[] = {
	{ .name = "getppid", .run = getppid_run },
	{ .name = "batch", .run = batch_run },
};

int main(void)
{
	must(pipe(pipe_fds));
	syscall_ext = must(open("/dev/syscall_ext", O_RDWR | O_CLOEXEC));

	bench_compare("add", 10000, add_sides, ARRAY_SIZE(add_sides));
	bench_compare("batch-64", 200 * BATCH, batch_sides, ARRAY_SIZE(batch_sides));
	return 0;
}
