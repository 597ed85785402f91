// SPDX-License-Identifier: GPL-2.0
/* Each open takes a reference to the module that nobody gives back. */
#include "planted.h"

static int planted_open(struct inode *inode, struct file *file)
{
	__module_get(THIS_MODULE);
	return 0;
}

static int planted_release(struct inode *inode, struct file *file)
{
#if !FAULT
	module_put(THIS_MODULE);
#endif
	return 0;
}

static const struct file_operations planted_operations = {
	.owner = THIS_MODULE,
	.open = planted_open,
	.release = planted_release,
};

module_misc_device(planted_device);
