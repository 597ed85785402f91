// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_fault - deliberate faults, for testing the test machine
 *
 * Loading it commits the fault that the parameter names. Never load it
 * anywhere else.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

#include <kmk/version.h>

static char *fault = "";
module_param(fault, charp, 0);
MODULE_PARM_DESC(fault, "warn: a WARNING; pin: never unload");

static void fault_warn(void)
{
	WARN(1, "deliberate\n");
}

static void fault_pin(void)
{
	__module_get(THIS_MODULE);
}

static const struct {
	const char *name;
	void (*commit)(void);
} faults[] = {
	{ "warn", fault_warn },
	{ "pin", fault_pin },
};

static int __init fault_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		if (!strcmp(fault, faults[i].name)) {
			faults[i].commit();
			return 0;
		}
	}
	pr_err("no such fault: '%s'\n", fault);
	return -EINVAL;
}

static void __exit fault_exit(void)
{
}

module_init(fault_init);
module_exit(fault_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("Deliberate faults, for testing the test machine");
MODULE_VERSION(KMK_VERSION);
