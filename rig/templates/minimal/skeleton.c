// SPDX-License-Identifier: GPL-2.0
/*
 * skeleton: a module with one parameter, and nothing else.
 *
 * Data:     the parameter, which nobody can change after load: 0444.
 * Contexts: init and exit, which may sleep.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

static unsigned int level = 1;
module_param(level, uint, 0444);
MODULE_PARM_DESC(level, "how much there is to do, 1 to 10 (default 1)");

/* A function that fails leaves nothing behind, and says why: insmod shows only the number. */
static int __init skeleton_init(void)
{
	if (level < 1 || level > 10) {
		pr_err("level=%u is not within 1 to 10\n", level);
		return -EINVAL;
	}
	/* TODO: begin here; what was begun ends in skeleton_exit(), in the opposite order. */
	pr_info("loaded, level %u\n", level);
	return 0;
}
module_init(skeleton_init);

/* Nobody can be in the module any more, and nothing of it may stay. */
static void __exit skeleton_exit(void)
{
	/* TODO: undo here. */
	pr_info("unloaded\n");
}
module_exit(skeleton_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("{{author}} <{{email}}>");
MODULE_DESCRIPTION("{{summary}}");
MODULE_VERSION("0.1.0");
