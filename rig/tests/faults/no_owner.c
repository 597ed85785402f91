// SPDX-License-Identifier: GPL-2.0
/* Nothing keeps the module while its device is open. */
#include "planted.h"

static ssize_t planted_read(struct file *file, char __user *to, size_t size, loff_t *offset)
{
	return simple_read_from_buffer(to, size, offset, "hello\n", 6);
}

static const struct file_operations planted_operations = {
#if !FAULT
	.owner = THIS_MODULE,
#endif
	.read = planted_read,
};

module_misc_device(planted_device);
