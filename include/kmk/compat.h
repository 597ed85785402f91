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

#endif /* _KMK_COMPAT_H */
