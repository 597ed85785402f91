// SPDX-License-Identifier: GPL-2.0
/* A reader gets bytes that nobody has written. */
#include "planted.h"

struct answer {
	u32 version, flags;
	u64 reserved[4];
};

static ssize_t planted_read(struct file *file, char __user *to, size_t size, loff_t *offset)
{
	struct answer *answer = FAULT ? kmalloc(sizeof(*answer), GFP_KERNEL) :
		kzalloc(sizeof(*answer), GFP_KERNEL);
	ssize_t n;

	if (!answer)
		return -ENOMEM;
	answer->version = 1;
	answer->flags = 0;
	n = simple_read_from_buffer(to, size, offset, answer, sizeof(*answer));
	kfree(answer);
	return n;
}

static const struct file_operations planted_operations = {
	.owner = THIS_MODULE,
	.read = planted_read,
	.llseek = default_llseek,
};

module_misc_device(planted_device);
