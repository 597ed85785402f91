// SPDX-License-Identifier: GPL-2.0
/* A read copies to the user, which may sleep, under a spinlock. */
#include "planted.h"

#if FAULT
static DEFINE_SPINLOCK(lock);
#define take	spin_lock
#define give	spin_unlock
#else
static DEFINE_MUTEX(lock);
#define take	mutex_lock
#define give	mutex_unlock
#endif

static ssize_t planted_read(struct file *file, char __user *to, size_t size, loff_t *offset)
{
	ssize_t n;

	take(&lock);
	n = simple_read_from_buffer(to, size, offset, "hello\n", 6);
	give(&lock);
	return n;
}

static const struct file_operations planted_operations = {
	.owner = THIS_MODULE,
	.read = planted_read,
};

module_misc_device(planted_device);
