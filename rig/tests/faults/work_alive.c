// SPDX-License-Identifier: GPL-2.0
/* Work is still to be done after the module is gone. */
#include <linux/module.h>
#include <linux/workqueue.h>

static void planted_do(struct work_struct *work);
static DECLARE_DELAYED_WORK(planted_work, planted_do);

static void planted_do(struct work_struct *work)
{
	schedule_delayed_work(&planted_work, HZ / 4);
}

static int __init planted_init(void)
{
	schedule_delayed_work(&planted_work, HZ / 4);
	return 0;
}

static void __exit planted_exit(void)
{
#if !FAULT
	cancel_delayed_work_sync(&planted_work);
#endif
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");
