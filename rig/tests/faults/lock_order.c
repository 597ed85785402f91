// SPDX-License-Identifier: GPL-2.0
/* A read takes two locks in one order, a write in the other. */
#include "planted.h"

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static char value = '0';

static ssize_t planted_read(struct file *file, char __user *to, size_t size, loff_t *offset)
{
	char now;

	mutex_lock(&first);
	mutex_lock(&second);
	now = value;
	mutex_unlock(&second);
	mutex_unlock(&first);
	return simple_read_from_buffer(to, size, offset, &now, 1);
}

static ssize_t planted_write(struct file *file, const char __user *from, size_t size,
			     loff_t *offset)
{
	struct mutex *outer = FAULT ? &second : &first, *inner = FAULT ? &first : &second;
	char new;

	if (!size || get_user(new, from))
		return size ? -EFAULT : 0;
	mutex_lock(outer);
	mutex_lock(inner);
	value = new;
	mutex_unlock(inner);
	mutex_unlock(outer);
	return size;
}

static const struct file_operations planted_operations = {
	.owner = THIS_MODULE,
	.read = planted_read,
	.write = planted_write,
};

module_misc_device(planted_device);
