// SPDX-License-Identifier: GPL-2.0
/* The node can be opened before what it needs is there. */
#include "planted.h"

static u32 *state;

static int planted_open(struct inode *inode, struct file *file)
{
	WRITE_ONCE(*state, *state + 1);
	return 0;
}

static const struct file_operations planted_operations = {
	.owner = THIS_MODULE,
	.open = planted_open,
};

static int prepare(void)
{
	msleep(20);
	state = kzalloc(64, GFP_KERNEL);
	return state ? 0 : -ENOMEM;
}

static int __init planted_init(void)
{
	int error = FAULT ? misc_register(&planted_device) : prepare();

	if (error)
		return error;
	error = FAULT ? prepare() : misc_register(&planted_device);
	if (error && FAULT)
		misc_deregister(&planted_device);
	else if (error)
		kfree(state);
	return error;
}

static void __exit planted_exit(void)
{
	misc_deregister(&planted_device);
	kfree(state);
}

module_init(planted_init);
module_exit(planted_exit);
