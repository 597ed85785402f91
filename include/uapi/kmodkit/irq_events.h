/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/irq_events: the interrupts of one line, as kmk_irq saw them.
 */
#ifndef _UAPI_KMODKIT_IRQ_EVENTS_H
#define _UAPI_KMODKIT_IRQ_EVENTS_H

#include <linux/types.h>

/**
 * struct kmk_irq_event - one interrupt
 * @timestamp_ns: when it was handled: nanoseconds of CLOCK_MONOTONIC
 * @seq: its number: 1 for the first one after the module was loaded, and one
 *	more for each; a gap between two records read is what the reader missed
 * @irq: the line, as in /proc/interrupts
 * @cpu: the processor that handled it
 * @data: what was given when the simulated line was raised; 0 on a real line
 *
 * read(2) hands over whole records, oldest first: at least one, or it waits.
 * Errors of read: EINVAL, the buffer is smaller than one record; EAGAIN,
 * nothing new and O_NONBLOCK; EINTR, a signal came while waiting; EFAULT, bad
 * buffer (the next read of the open file gets the record again).
 */
struct kmk_irq_event {
	__u64 timestamp_ns;
	__u64 seq;
	__u32 irq;
	__u32 cpu;
	__u64 data;
};

#endif /* _UAPI_KMODKIT_IRQ_EVENTS_H */
