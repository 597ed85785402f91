// SPDX-License-Identifier: GPL-2.0
/* The second of two that close frees what the first has freed. */
#include "planted.h"

static char *shared;
static int users;
static DEFINE_MUTEX(lock);

static int planted_open(struct inode *inode, struct file *file)
{
	int error = 0;

	mutex_lock(&lock);
	if (!users) {
		shared = kzalloc(64, GFP_KERNEL);
		if (!shared)
			error = -ENOMEM;
	}
	if (!error)
		users++;
	mutex_unlock(&lock);
	return error;
}

static int planted_release(struct inode *inode, struct file *file)
{
	mutex_lock(&lock);
	users--;
#if !FAULT
	if (!users)
#endif
		kfree(shared);
	mutex_unlock(&lock);
	return 0;
}

static const struct file_operations planted_operations = {
	.owner = THIS_MODULE,
	.open = planted_open,
	.release = planted_release,
};

module_misc_device(planted_device);
