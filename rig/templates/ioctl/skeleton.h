/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The interface of the module to programs. It may only grow: a program that was built with an
 * older version of this file goes on working, and so does one with a newer version.
 */
#ifndef SKELETON_H
#define SKELETON_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define SKELETON_ADD		0
#define SKELETON_MULTIPLY	1

/**
 * struct skeleton_call - an operation, and what comes of it
 * @operation: SKELETON_...
 * @flags: 0
 * @a: an operand
 * @b: another
 * @result: for the module to fill in
 *
 * New members come at the end, of fixed width and without padding; 0 means what the older
 * version did.
 */
struct skeleton_call {
	__u32 operation;
	__u32 flags;
	__s64 a;
	__s64 b;
	__s64 result;
};

/* The size of the first version, which every caller has. */
#define SKELETON_CALL_SIZE_0	32

#define SKELETON_IOC_MAGIC	'k'
#define SKELETON_IOC_CALL	_IOWR(SKELETON_IOC_MAGIC, 0, struct skeleton_call)

#endif
