/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The interface of the module to programs. It may only grow: a program that was built with an
 * older version of this file goes on working, and so does one with a newer version.
 */
#ifndef SKELETON_H
#define SKELETON_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct skeleton_stats - what the device has done since it was loaded
 * @reads: calls of read()
 * @writes: calls of write()
 *
 * New members come at the end, of fixed width and without padding.
 */
struct skeleton_stats {
	__u64 reads;
	__u64 writes;
};

/* The size of the first version, which every caller has. */
#define SKELETON_STATS_SIZE_0	16

#define SKELETON_IOC_MAGIC	'k'
#define SKELETON_IOC_STATS	_IOR(SKELETON_IOC_MAGIC, 0, struct skeleton_stats)

#endif
