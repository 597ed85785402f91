// SPDX-License-Identifier: GPL-2.0
/* A sysctl stays. */
#include <linux/module.h>
#include <linux/sysctl.h>

#ifndef register_sysctl	/* a macro since Linux 6.6 */
#define register_sysctl_sz(path, table, size) register_sysctl(path, table)
#endif

static int value;
static struct ctl_table table[] = {
	{ .procname = "planted", .data = &value, .maxlen = sizeof(value), .mode = 0644,
	  .proc_handler = proc_dointvec },
	{}
};

static struct ctl_table_header *header;

static int __init planted_init(void)
{
	header = register_sysctl_sz("kernel", table, 1);
	return header ? 0 : -ENOMEM;
}

static void __exit planted_exit(void)
{
#if !FAULT
	unregister_sysctl_table(header);
#endif
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");
