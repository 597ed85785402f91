// SPDX-License-Identifier: GPL-2.0
/* An ioctl indexes a table with the user's number. */
#include "planted.h"

static u64 table[16];
static DEFINE_MUTEX(table_lock);

static long planted_ioctl(struct file *file, unsigned int command, unsigned long index)
{
	long value;

	if (command != 0x1001)
		return -ENOTTY;
#if !FAULT
	if (index >= ARRAY_SIZE(table))
		return -EINVAL;
#endif
	mutex_lock(&table_lock);
	value = ++table[index] & 0xff;
	mutex_unlock(&table_lock);
	return value;
}

static const struct file_operations planted_operations = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = planted_ioctl,
};

module_misc_device(planted_device);
