/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/syscall_ext: calls to the kernel that a module can add.
 *
 * Each structure is extensible, as those of openat2(2) and clone3(2) are: its
 * size travels in the command's number, so a program that was built with this
 * header always passes the right one. New fields are added at the end, and
 * zero in them means what their absence meant. A kernel that does not know a
 * field which is not zero answers E2BIG.
 *
 * All fields have the same size and place for 32-bit and 64-bit programs.
 */
#ifndef _UAPI_KMODKIT_SYSCALL_EXT_H
#define _UAPI_KMODKIT_SYSCALL_EXT_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * enum custom_syscall_operation - what a call does
 * @CUSTOM_SYSCALL_ADD: result = parameter1 + parameter2
 * @CUSTOM_SYSCALL_MULTIPLY: result = parameter1 * parameter2
 * @CUSTOM_SYSCALL_IDENTIFIER: result = CUSTOM_SYSCALL_SYSTEM_ID
 * @CUSTOM_SYSCALL_UPTIME: result = milliseconds since the system was booted,
 *	with the time that it was suspended, as in /proc/uptime
 * @CUSTOM_SYSCALL_SLEEP: sleep for parameter1 milliseconds, at most
 *	CUSTOM_SYSCALL_SLEEP_MAX. result = 0, or when a signal interrupted it
 *	(EINTR) the milliseconds that were left, rounded up
 *
 * The parameters are unsigned and the result is signed: a result beyond
 * 2^63 - 1 is an error, EOVERFLOW. Parameters that are not named are ignored.
 */
enum custom_syscall_operation {
	CUSTOM_SYSCALL_ADD		= 1,
	CUSTOM_SYSCALL_MULTIPLY		= 2,
	CUSTOM_SYSCALL_IDENTIFIER	= 3,
	CUSTOM_SYSCALL_UPTIME		= 4,
	CUSTOM_SYSCALL_SLEEP		= 5,
};

#define CUSTOM_SYSCALL_SYSTEM_ID	0x12345678
#define CUSTOM_SYSCALL_SLEEP_MAX	10000	/* milliseconds */
#define CUSTOM_SYSCALL_BATCH_MAX	4096	/* calls */
#define CUSTOM_SYSCALL_SIZE_MAX		4096	/* bytes of a structure, whatever its version */

/**
 * struct custom_syscall_data - one call
 * @operation: one of enum custom_syscall_operation
 * @parameter1: first parameter
 * @parameter2: second parameter
 * @result: written when the call succeeds, and when a sleep is interrupted;
 *	on every other error it is left as it was
 */
struct custom_syscall_data {
	__u64 operation;
	__u64 parameter1;
	__u64 parameter2;
	__s64 result;
};

#define CUSTOM_SYSCALL_DATA_SIZE_VER0	32	/* sizeof the first version */

/**
 * struct custom_syscall_batch - many calls in one entry to the kernel
 * @calls: address of an array of struct custom_syscall_data
 * @errors: address of an array of __s32, one for each call: 0, or the
 *	negative error number of that call
 * @count: calls in each array, at most CUSTOM_SYSCALL_BATCH_MAX
 * @size: bytes of one element of @calls: sizeof(struct custom_syscall_data)
 *
 * The calls are made in order, and one that fails does not stop those after
 * it; but when a signal interrupts a sleep (-EINTR, the rest in its result),
 * the calls after it are not made: their error is -ECANCELED.
 */
struct custom_syscall_batch {
	__u64 calls;
	__u64 errors;
	__u32 count;
	__u32 size;
};

#define CUSTOM_SYSCALL_BATCH_SIZE_VER0	24

/**
 * struct custom_syscall_uring - io_uring's way to the same calls
 * @argument: address of what the ioctl of this command takes
 * @reserved: 0
 *
 * These are the 16 bytes of sqe->cmd of an IORING_OP_URING_CMD (Linux 6.1 on)
 * whose sqe->cmd_op is CUSTOM_SYSCALL or CUSTOM_SYSCALL_BATCH. The completion's
 * res is what the ioctl returns, or the negative error number. ENOMEM: no memory
 * for the timer of a sleep.
 *
 * A sleep holds up nothing else of the ring, and no signal or IORING_OP_ASYNC_CANCEL
 * ends it. From Linux 6.7 on it ends with the ring, or at its task's execve(): res is
 * -ECANCELED. Otherwise it ends by itself, with -ECANCELED if its task has ended.
 * Before 6.7, when the ring or the task goes, a batch makes no call from its next sleep
 * on: res is -ECANCELED.
 */
struct custom_syscall_uring {
	__u64 argument;
	__u64 reserved;
};

#define CUSTOM_SYSCALL_MAGIC	0xDA

/*
 * CUSTOM_SYSCALL: make one call. Returns 0.
 *
 * EINVAL: no such operation, a sleep that is too long, or a structure smaller
 * than its first version. EOVERFLOW, EINTR: see above. EFAULT: a bad address.
 * E2BIG: a field that this kernel does not know, or more bytes than
 * CUSTOM_SYSCALL_SIZE_MAX.
 */
#define CUSTOM_SYSCALL		_IOWR(CUSTOM_SYSCALL_MAGIC, 0, struct custom_syscall_data)

/*
 * CUSTOM_SYSCALL_BATCH: make many calls. Returns how many of them succeeded.
 *
 * EINVAL: too many calls, or a structure smaller than its first version.
 * EFAULT: a bad address of the structure or of @errors, in which case some
 * calls may have been made; a bad element of @calls is that call's own error.
 * E2BIG: as above.
 */
#define CUSTOM_SYSCALL_BATCH	_IOW(CUSTOM_SYSCALL_MAGIC, 1, struct custom_syscall_batch)

#ifndef __KERNEL__

#include <sys/ioctl.h>

/**
 * custom_syscall() - make one call
 * @fd: an open /dev/syscall_ext
 * @data: the call; its result is written to it
 *
 * Return: 0, or -1 with errno.
 */
static inline int custom_syscall(int fd, struct custom_syscall_data *data)
{
	return ioctl(fd, CUSTOM_SYSCALL, data);
}

/**
 * custom_syscall_batch() - make many calls
 * @fd: an open /dev/syscall_ext
 * @batch: the calls, and where their errors go
 *
 * Return: how many calls succeeded, or -1 with errno.
 */
static inline int custom_syscall_batch(int fd, const struct custom_syscall_batch *batch)
{
	return ioctl(fd, CUSTOM_SYSCALL_BATCH, batch);
}

#endif /* !__KERNEL__ */

#endif /* _UAPI_KMODKIT_SYSCALL_EXT_H */
