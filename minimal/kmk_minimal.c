// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_minimal - the smallest correct module
 *
 * The parts that every module has, and no other: metadata that modinfo shows, one
 * parameter, and a line in the log on load and on unload. Start from it when
 * writing a module of your own.
 *
 * Data: my_param, which root may change at any time through sysfs. It needs no
 * lock: READ_ONCE() reads an int whole.
 * Context: init and exit run in process context and may sleep.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>

#include <kmk/compat.h>
#include <kmk/version.h>

static int my_param = 42;
module_param(my_param, int, 0644);
MODULE_PARM_DESC(my_param, "a number to show in the log (default 42)");

/* Not in init: before Linux 5.11, dyndbg= enables no message of an __init function. */
static noinline void minimal_show_debug(void)
{
	pr_debug("dynamic debug is on\n");
}

static int __init minimal_init(void)
{
	pr_info("loaded, my_param=%d\n", READ_ONCE(my_param));
	minimal_show_debug();
	return 0;
}

static void __exit minimal_exit(void)
{
	pr_info("unloaded, my_param=%d\n", READ_ONCE(my_param));
}

module_init(minimal_init);
module_exit(minimal_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("The smallest correct module: metadata, one parameter, two log lines");
MODULE_VERSION(KMK_VERSION);
