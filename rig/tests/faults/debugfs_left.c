// SPDX-License-Identifier: GPL-2.0
/* A directory of debugfs stays. */
#include <linux/debugfs.h>
#include <linux/module.h>

static struct dentry *dir;
static u32 value;

static int __init planted_init(void)
{
	dir = debugfs_create_dir("planted", NULL);
	debugfs_create_u32("value", 0600, dir, &value);
	return 0;
}

static void __exit planted_exit(void)
{
#if FAULT
	debugfs_lookup_and_remove("value", dir);
#else
	debugfs_remove_recursive(dir);
#endif
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");
