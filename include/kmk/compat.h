/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one place that knows kernel versions.
 *
 * The modules are written to the newest kernel's API; each entry here teaches
 * that API to older kernels, and says which kernel changed what. Dropping an
 * old kernel deletes entries and changes no module.
 */
#ifndef _KMK_COMPAT_H
#define _KMK_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 10, 0)
#error "kmodkit needs Linux 5.10 or newer"
#endif

/* Interrupts */

#include <linux/irq_work.h>

/* 5.11 added initialisers by kind. */
#ifndef IRQ_WORK_INIT_HARD
#define IRQ_WORK_INIT_HARD(_func) ((struct irq_work) {	\
	.flags = ATOMIC_INIT(IRQ_WORK_HARD_IRQ),	\
	.func = (_func),				\
})
#endif

/* Library functions */

/* 7.0 took hex_byte_pack() out of linux/kernel.h; linux/hex.h is older than 6.12. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#include <linux/hex.h>
#else
#include <linux/kernel.h>
#endif

/* Splice */

#include <linux/fs.h>

/* 6.5 replaced generic_file_splice_read() by copy_splice_read(). */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define copy_splice_read generic_file_splice_read
#endif

/* User memory through an iov_iter */

#include <linux/uio.h>

/* 6.0 added user_backed_iter(), and a second kind of such. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 0, 0)
#define user_backed_iter iter_is_iovec
#endif

/*
 * 5.16 added fault_in_iov_iter_readable() and fault_in_iov_iter_writeable(),
 * which return how many bytes cannot be had. These shadow any backport.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 16, 0)
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

static inline bool kmk_fault_in_page(unsigned long addr, bool write)
{
	bool unlocked = false;
	char c;
	int err;

	if (!write)
		return !get_user(c, (const char __user *)addr);
	mmap_read_lock(current->mm);
	err = fixup_user_fault(current->mm, addr, FAULT_FLAG_WRITE, &unlocked);
	mmap_read_unlock(current->mm);
	return !err;
}

static inline size_t kmk_fault_in(const struct iov_iter *i, size_t n, bool write)
{
	const struct iovec *iov = i->iov;
	size_t skip = i->iov_offset, step;
	unsigned long addr;

	if (!iter_is_iovec(i))
		return 0;
	for (n = min(n, i->count); n; n -= step, skip += step) {
		for (; skip == iov->iov_len; iov++)
			skip = 0;
		addr = (unsigned long)iov->iov_base + skip;
		step = min3(n, iov->iov_len - skip, PAGE_SIZE - offset_in_page(addr));
		if (!kmk_fault_in_page(addr, write))
			break;
	}
	return n;
}

#define fault_in_iov_iter_readable(iter, n)	kmk_fault_in(iter, n, false)
#define fault_in_iov_iter_writeable(iter, n)	kmk_fault_in(iter, n, true)
#endif

/* Timers */

/* 6.13 added hrtimer_setup(), which takes the function too; 6.15 ended hrtimer_init(). */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#include <linux/hrtimer.h>

static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

/* Scheduling */

#include <linux/sched.h>

/* 6.1 added it; the freezer of older kernels wakes a sleeper with a signal. */
#ifndef TASK_FREEZABLE
#define TASK_FREEZABLE 0
#endif

/* io_uring */

/* 5.19 added ->uring_cmd(), 6.1 is the first that opens it to all. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0)
#define KMK_HAVE_URING_CMD

/* 6.8 split struct io_uring_cmd off linux/io_uring.h. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
#include <linux/io_uring/cmd.h>
#else
#include <linux/io_uring.h>
#endif

/* 6.5 replaced the pointer to the payload by one to the whole entry. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#define kmk_uring_cmd_payload(ioucmd) ((const void *)(ioucmd)->sqe->cmd)
#else
#define kmk_uring_cmd_payload(ioucmd) ((ioucmd)->cmd)
#endif

/* 6.18 dropped the second result. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
#define io_uring_cmd_done(ioucmd, ret, issue_flags) \
	io_uring_cmd_done(ioucmd, ret, 0, issue_flags)
#endif
#endif

#endif /* _KMK_COMPAT_H */
