/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/irq_events: the interrupts of one line, as kmk_irq saw them. 32-bit and
 * 64-bit programs see the same layout.
 */
#ifndef _UAPI_KMODKIT_IRQ_EVENTS_H
#define _UAPI_KMODKIT_IRQ_EVENTS_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct kmk_irq_event - one interrupt
 * @timestamp_ns: when it was handled: nanoseconds of the clock that the reader
 *	chose, by default CLOCK_MONOTONIC, in the reader's time namespace
 * @seq: its number: 1 for the first one after the module was loaded, and one
 *	more for each; a gap between two records shows what the reader missed
 * @irq: the line, as in /proc/interrupts
 * @cpu: the processor that handled it
 * @data: the number given when the simulated line was raised; 0 on a real line
 * @flags: KMK_IRQ_EVENT_*; ignore unknown ones
 * @reserved: 0
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
	__u32 flags;
	__u32 reserved;
};

/* Handled in a thread: several interrupts may have become this one event. */
#define KMK_IRQ_EVENT_THREADED	(1 << 0)

/**
 * struct kmk_irq_clock - the clock of an open file's timestamps
 * @clock: CLOCK_MONOTONIC, CLOCK_REALTIME or CLOCK_BOOTTIME
 * @reserved: 0
 */
struct kmk_irq_clock {
	__u32 clock;
	__u32 reserved;
};

#define KMK_IRQ_CLOCK_SIZE_VER0		8	/* sizeof the first version */

/**
 * struct kmk_irq_progress - how far the reader of an open file has come
 * @seen: seq of the last event that was read or missed
 * @pending: events that wait to be read
 * @missed: events that were overwritten before this reader came to them
 */
struct kmk_irq_progress {
	__u64 seen;
	__u64 pending;
	__u64 missed;
};

#define KMK_IRQ_PROGRESS_SIZE_VER0	24

/*
 * The structures are extensible: the size travels in the command's number, new
 * fields come at the end, and zero in them means what their absence meant. A
 * smaller structure than the first version is refused with EINVAL.
 */
#define IRQ_EVENTS_IOC_MAGIC	0xDB

/*
 * Choose the clock, also for events that are kept already.
 * EINVAL: no such clock, or reserved is not 0. E2BIG: a field that the module does
 * not know is not 0.
 */
#define IRQ_EVENTS_IOC_SET_CLOCK	_IOW(IRQ_EVENTS_IOC_MAGIC, 0, struct kmk_irq_clock)

/* Tell what this reader has seen and missed. Fields that the module does not know become 0. */
#define IRQ_EVENTS_IOC_GET_PROGRESS	_IOR(IRQ_EVENTS_IOC_MAGIC, 1, struct kmk_irq_progress)

#endif /* _UAPI_KMODKIT_IRQ_EVENTS_H */
