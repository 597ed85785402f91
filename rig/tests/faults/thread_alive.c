// SPDX-License-Identifier: GPL-2.0
/* A kernel thread goes on after the module. */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>

static struct task_struct *thread;

static int planted_run(void *unused)
{
	while (!kthread_should_stop())
		msleep_interruptible(300);
	return 0;
}

static int __init planted_init(void)
{
	thread = kthread_run(planted_run, NULL, "planted");
	return PTR_ERR_OR_ZERO(thread);
}

static void __exit planted_exit(void)
{
#if !FAULT
	kthread_stop(thread);
#endif
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");
