/* SPDX-License-Identifier: GPL-2.0 */
/* For older kernels: functions and types of newer ones that this module uses. */
#ifndef SKELETON_COMPAT_H
#define SKELETON_COMPAT_H

#include <linux/irq_work.h>

/* Linux 5.11 */
#ifndef IRQ_WORK_INIT_HARD
#define IRQ_WORK_INIT_HARD(_func) ((struct irq_work) {	\
	.flags = ATOMIC_INIT(IRQ_WORK_HARD_IRQ),	\
	.func = (_func),				\
})
#endif

#endif
