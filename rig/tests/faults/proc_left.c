// SPDX-License-Identifier: GPL-2.0
/* An entry in /proc stays. */
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

static int planted_show(struct seq_file *to, void *unused)
{
	seq_puts(to, "hello\n");
	return 0;
}

static int __init planted_init(void)
{
	return proc_create_single("planted", 0444, NULL, planted_show) ? 0 : -ENOMEM;
}

static void __exit planted_exit(void)
{
#if !FAULT
	remove_proc_entry("planted", NULL);
#endif
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");
