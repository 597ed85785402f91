// SPDX-License-Identifier: GPL-2.0
/* A class without devices stays. */
#include <linux/device.h>
#include <linux/module.h>

static struct class planted_class = { .name = "planted" };

static int __init planted_init(void)
{
	return class_register(&planted_class);
}

static void __exit planted_exit(void)
{
#if !FAULT
	class_unregister(&planted_class);
#endif
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");
