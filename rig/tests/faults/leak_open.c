// SPDX-License-Identifier: GPL-2.0
/* Each open leaves some memory behind. */
#include "planted.h"

static int planted_open(struct inode *inode, struct file *file)
{
	file->private_data = kzalloc(100, GFP_KERNEL);
	return file->private_data ? 0 : -ENOMEM;
}

static int planted_release(struct inode *inode, struct file *file)
{
#if FAULT
	file->private_data = NULL;
#endif
	kfree(file->private_data);
	return 0;
}

static const struct file_operations planted_operations = {
	.owner = THIS_MODULE,
	.open = planted_open,
	.release = planted_release,
};

module_misc_device(planted_device);
