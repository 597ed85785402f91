// SPDX-License-Identifier: GPL-2.0
/*
 * skeleton: a call of your own, as an ioctl of /dev/skeleton. No module can add
 * a system call.
 *
 * Data:     none but the caller's.
 * Contexts: system calls alone; each may sleep.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/build_bug.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/uaccess.h>

#include "skeleton.h"

/* A hole in the structure would hand out memory of the kernel's. */
static_assert(sizeof(struct skeleton_call) == SKELETON_CALL_SIZE_0);

static int skeleton_do(struct skeleton_call *call)
{
	/* A flag that is let through now can never get a meaning. */
	if (call->flags)
		return -EINVAL;
	/* TODO: operations of your own. */
	switch (call->operation) {
	case SKELETON_ADD:
		return check_add_overflow(call->a, call->b, &call->result) ? -EOVERFLOW : 0;
	case SKELETON_MULTIPLY:
		return check_mul_overflow(call->a, call->b, &call->result) ? -EOVERFLOW : 0;
	default:
		return -EOPNOTSUPP;
	}
}

/*
 * The size of the caller's structure is part of the command. Of a shorter one the missing members
 * are 0; a longer one may have nothing but 0 in those that are not known here (E2BIG).
 */
static long skeleton_call(void __user *argument, size_t size)
{
	struct skeleton_call call;
	int err;

	if (size < SKELETON_CALL_SIZE_0)
		return -EINVAL;
	err = copy_struct_from_user(&call, sizeof(call), argument, size);
	if (err)
		return err;
	err = skeleton_do(&call);
	if (err)
		return err;
	return copy_to_user(argument, &call, min(size, sizeof(call))) ? -EFAULT : 0;
}

static long skeleton_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	if (_IOC_TYPE(command) != SKELETON_IOC_MAGIC ||
	    _IOC_DIR(command) != (_IOC_READ | _IOC_WRITE) ||
	    _IOC_NR(command) != _IOC_NR(SKELETON_IOC_CALL))
		return -ENOTTY;
	return skeleton_call((void __user *)argument, _IOC_SIZE(command));
}

/* With an owner, an open file holds the module. */
static const struct file_operations skeleton_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = skeleton_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice skeleton_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "skeleton",
	.fops = &skeleton_fops,
	.mode = 0600,	/* TODO: who may use it */
};

/* Registers at load, when all is ready to be opened, and the opposite at unload. */
module_misc_device(skeleton_device);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("{{author}} <{{email}}>");
MODULE_DESCRIPTION("{{summary}}");
MODULE_VERSION("0.1.0");
