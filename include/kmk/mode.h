/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The type of a module parameter that holds permissions:
 *
 *	static umode_t mode = 0666;
 *	module_param(mode, kmk_mode, 0444);
 *
 * It is octal, 0 to 0777, with or without a leading 0, and is shown with one.
 */
#ifndef _KMK_MODE_H
#define _KMK_MODE_H

#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/types.h>

static int kmk_mode_set(const char *value, const struct kernel_param *kp)
{
	u16 mode;

	if (kstrtou16(value, 8, &mode) || mode > 0777)
		return -EINVAL;		/* the kernel logs the parameter and the value */
	*(umode_t *)kp->arg = mode;
	return 0;
}

static int kmk_mode_get(char *buffer, const struct kernel_param *kp)
{
	return scnprintf(buffer, PAGE_SIZE, "%04o\n", *(umode_t *)kp->arg);
}

static const struct kernel_param_ops param_ops_kmk_mode = {
	.set = kmk_mode_set,
	.get = kmk_mode_get,
};

#define param_check_kmk_mode(name, p) __param_check(name, p, umode_t)

#endif /* _KMK_MODE_H */
