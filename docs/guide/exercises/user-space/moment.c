// SPDX-License-Identifier: GPL-2.0
/*
 * moment - an exercise: MOMENT_NOW of /dev/moment tells the time of two clocks
 *
 * Data: none.
 * Context: system calls alone, which may sleep.
 */
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include "moment.h"

static_assert(sizeof(struct moment) == 16);

static long moment_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	void __user *to = (void __user *)argument;
	struct moment now;

	if (command != MOMENT_NOW)
		return -ENOTTY;
	now.monotonic_ns = ktime_get_ns();
	now.real_ns = ktime_get_real_ns();
	return __copy_to_user(to, &now, sizeof(now)) ? -EFAULT : 0;
}

static const struct file_operations moment_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= moment_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct miscdevice moment_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "moment",
	.fops	= &moment_fops,
	.mode	= 0666,
};
module_misc_device(moment_device);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("An exercise: MOMENT_NOW of /dev/moment tells the time of two clocks");
