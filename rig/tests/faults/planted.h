/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the modules with a planted fault: a misc device with the module's name, for
 * which a module has file operations and, maybe, a state to prepare. FAULT is 0 or 1;
 * "planted" is another word in each run.
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

static const struct file_operations planted_operations;

static struct miscdevice planted_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "planted",
	.mode = 0666,
	.fops = &planted_operations,
};

MODULE_DESCRIPTION("A module of the rig's tests");
MODULE_LICENSE("GPL");
