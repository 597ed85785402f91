// SPDX-License-Identifier: GPL-2.0
/* An ioctl uses what only a write makes. */
#include "planted.h"

static ssize_t planted_write(struct file *file, const char __user *from, size_t size,
			     loff_t *offset)
{
	u32 *state;

	if (file->private_data)
		return size;
	state = kzalloc(64, GFP_KERNEL);
	if (!state)
		return -ENOMEM;
	if (cmpxchg(&file->private_data, NULL, state))
		kfree(state);
	return size;
}

static long planted_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	u32 *state = READ_ONCE(file->private_data);

	if (command != 0x2001)
		return -ENOTTY;
#if !FAULT
	if (!state)
		return -ENODATA;
#endif
	return READ_ONCE(*state);
}

static int planted_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

/* misc_open() leaves the device there. */
static int planted_open(struct inode *inode, struct file *file)
{
	file->private_data = NULL;
	return 0;
}

static const struct file_operations planted_operations = {
	.owner = THIS_MODULE,
	.open = planted_open,
	.write = planted_write,
	.unlocked_ioctl = planted_ioctl,
	.release = planted_release,
};

module_misc_device(planted_device);
