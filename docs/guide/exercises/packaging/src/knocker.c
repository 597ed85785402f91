// SPDX-License-Identifier: GPL-2.0
/*
 * knocker - an exercise: knocks in the log when it is loaded and when it is unloaded
 *
 * Data: knocks, which anybody may change.
 * Context: init and exit run in process context.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>

static int knocks = 3;
module_param(knocks, int, 0644);
MODULE_PARM_DESC(knocks, "how often to knock (default 3)");

static int __init knocker_init(void)
{
	pr_info("loaded, knocks=%d\n", READ_ONCE(knocks));
	return 0;
}

static void __exit knocker_exit(void)
{
	pr_info("unloaded\n");
}

module_init(knocker_init);
module_exit(knocker_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("An exercise: a module in a directory of its own, for DKMS");
MODULE_VERSION("1.0");
