// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_delay - makes a task sleep where it calls a function, so that others run in between
 *
 * While the module is loaded, each call of the function symbol= by a task named task=
 * first sleeps for ms= milliseconds. The function may have at most six arguments, all of
 * them in registers, and must be called where that task may sleep.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/string.h>

#include <kmk/version.h>

static char *symbol = "";
module_param(symbol, charp, 0400);
MODULE_PARM_DESC(symbol, "the function");

static char *task = "";
module_param(task, charp, 0400);
MODULE_PARM_DESC(task, "the name of the task");

static unsigned int ms = 20;
module_param(ms, uint, 0400);
MODULE_PARM_DESC(ms, "milliseconds");

static struct kprobe probe;
static struct task_struct *passing;	/* has slept, and may enter */

static unsigned long delay_call(unsigned long a, unsigned long b, unsigned long c,
				unsigned long d, unsigned long e, unsigned long f)
{
	typeof(delay_call) *function = (void *)probe.addr;

	msleep_interruptible(ms);
	WRITE_ONCE(passing, current);
	return function(a, b, c, d, e, f);
}

static int delay_enter(struct kprobe *p, struct pt_regs *regs)
{
	if (strcmp(current->comm, task))
		return 0;
	if (READ_ONCE(passing) == current) {
		WRITE_ONCE(passing, NULL);
		return 0;
	}
	instruction_pointer_set(regs, (unsigned long)delay_call);
	return 1;
}

static int __init delay_init(void)
{
	probe.symbol_name = symbol;
	probe.pre_handler = delay_enter;
	return register_kprobe(&probe);
}

static void __exit delay_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(delay_init);
module_exit(delay_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("Delays a function for a task, for tests of races");
MODULE_VERSION(KMK_VERSION);
