// SPDX-License-Identifier: GPL-2.0
/*
 * greeter - an exercise: greets in the log, as often as a parameter says
 *
 * Data: times, which nobody changes after the load.
 * Context: init and exit run in process context.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>

static int times = 1;
module_param(times, int, 0444);
MODULE_PARM_DESC(times, "how often to greet, 1 to 3 (default 1)");

static int __init greeter_init(void)
{
	int i;

	if (times < 1 || times > 3) {
		pr_err("times=%d refused: give 1 to 3\n", times);
		return EINVAL;
	}
	for (i = 0; i < times; i++)
		pr_info("hello\n");
	return 0;
}

static void __exit greeter_exit(void)
{
	pr_info("unloaded\n");
}

module_init(greeter_init);
module_exit(greeter_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("An exercise: greets in the log, as often as a parameter says");
