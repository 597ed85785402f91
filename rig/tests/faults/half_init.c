// SPDX-License-Identifier: GPL-2.0
/* An init that fails leaves its entry in /proc. */
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

static int size = 10;
module_param(size, int, 0444);

static int planted_show(struct seq_file *to, void *unused)
{
	seq_printf(to, "%d\n", size);
	return 0;
}

static int __init planted_init(void)
{
#if !FAULT
	if (size < 1 || size > 1000)
		return -EINVAL;
#endif
	if (!proc_create_single("planted", 0444, NULL, planted_show))
		return -ENOMEM;
#if FAULT
	if (size < 1 || size > 1000)
		return -EINVAL;
#endif
	return 0;
}

static void __exit planted_exit(void)
{
	remove_proc_entry("planted", NULL);
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");
