// SPDX-License-Identifier: GPL-2.0
/* A timer goes on after the module. */
#include <linux/module.h>
#include <linux/timer.h>

static struct timer_list timer;

static void planted_tick(struct timer_list *unused)
{
	mod_timer(&timer, jiffies + HZ / 4);
}

static int __init planted_init(void)
{
	timer_setup(&timer, planted_tick, 0);
	mod_timer(&timer, jiffies + HZ / 4);
	return 0;
}

static void __exit planted_exit(void)
{
#if !FAULT
	timer_shutdown_sync(&timer);
#endif
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");
