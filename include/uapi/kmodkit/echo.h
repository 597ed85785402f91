/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The ioctls of /dev/echo and /dev/echo_fifo. Both devices take all of them;
 * 32-bit and 64-bit programs see the same layout.
 */
#ifndef _UAPI_KMODKIT_ECHO_H
#define _UAPI_KMODKIT_ECHO_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct echo_stats - what a device has done since its module was loaded
 * @open_count: files open now
 * @open_total: files opened ever
 * @bytes_written: bytes stored by writes
 * @bytes_read: bytes handed to readers
 * @length: bytes held now
 * @capacity: bytes it can hold
 *
 * One snapshot: on /dev/echo_fifo, if it was never cleared, @bytes_written is
 * @bytes_read plus @length.
 */
struct echo_stats {
	__u64 open_count;
	__u64 open_total;
	__u64 bytes_written;
	__u64 bytes_read;
	__u64 length;
	__u64 capacity;
};

#define ECHO_STATS_SIZE_VER0	48	/* sizeof the first version */

#define ECHO_IOC_MAGIC		0xEB

/* The classic command without an argument: does nothing, returns 0. */
#define ECHO_IOC_NOP		0x1001

/* Empty the device. EBADF: the file is not open for writing. */
#define ECHO_IOC_CLEAR		_IO(ECHO_IOC_MAGIC, 0)

/*
 * Fill in a struct echo_stats. It is extensible: the size travels in the command's
 * number, and new fields come at the end; of a larger structure than the module's
 * the rest becomes zero. EINVAL: smaller than the first version; EFAULT: bad pointer.
 */
#define ECHO_IOC_GET_STATS	_IOR(ECHO_IOC_MAGIC, 1, struct echo_stats)

#endif /* _UAPI_KMODKIT_ECHO_H */
