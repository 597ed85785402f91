// SPDX-License-Identifier: GPL-2.0
/* The size of a buffer wraps around, what is copied into it does not. */
#include "planted.h"

static ssize_t planted_write(struct file *file, const char __user *from, size_t size,
			     loff_t *offset)
{
#if FAULT
	u16 length = size + 16;
#else
	size_t length = size + 16;
#endif
	char *buffer;

	if (size > 65535)
		return -EMSGSIZE;
	buffer = kmalloc(length, GFP_KERNEL);
	if (!buffer)
		return -ENOMEM;
	memset(buffer, 0, 16);
	for (size_t i = 0; i < size; i++) {
		if (get_user(buffer[16 + i], from + i)) {
			kfree(buffer);
			return -EFAULT;
		}
	}
	kfree(buffer);
	return size;
}

static const struct file_operations planted_operations = {
	.owner = THIS_MODULE,
	.write = planted_write,
};

module_misc_device(planted_device);
