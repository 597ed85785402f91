/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * moment - an exercise: what programs and the module agree on
 */
#ifndef MOMENT_H
#define MOMENT_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct moment {
	__u64 monotonic_ns;
	__u64 real_ns;
};

#define MOMENT_NOW	_IOR('k', 0, struct moment)

#endif
