// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_line - an interrupt line with a driver, for kmk_irq to join
 *
 * The parameters in sysfs are its controls: ask makes the driver's request with the
 * flags, drop frees it, raise raises the line so many times at once; type is the
 * trigger type that the driver's request programmed, handled how often the driver's
 * own handler or thread ran.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irq_work.h>
#include <linux/module.h>

#include <kmk/compat.h>
#include <kmk/version.h>

static int line = -1;
module_param(line, int, 0444);
MODULE_PARM_DESC(line, "the number of the line");

static ulong flags;
module_param(flags, ulong, 0444);
MODULE_PARM_DESC(flags, "IRQF_* of the driver's request");

static bool threaded;
module_param(threaded, bool, 0444);
MODULE_PARM_DESC(threaded, "the driver has a thread, and no handler");

static bool nested;
module_param(nested, bool, 0444);
MODULE_PARM_DESC(nested, "the line is handled in the thread of another one");

static uint type;
module_param(type, uint, 0444);
MODULE_PARM_DESC(type, "the trigger type that was programmed last");

static uint handled;
module_param(handled, uint, 0444);
MODULE_PARM_DESC(handled, "how often the driver handled the line");

static bool asked;

static irqreturn_t line_handler(int irq, void *dev_id)
{
	WRITE_ONCE(handled, handled + 1);
	return IRQ_HANDLED;
}

static int line_ask(const char *value, const struct kernel_param *param)
{
	const bool thread = threaded || nested;
	int err;

	if (asked)
		return -EALREADY;
	err = request_threaded_irq(line, thread ? NULL : line_handler,
				   thread ? line_handler : NULL, flags, KBUILD_MODNAME, &line);
	asked = !err;
	return err;
}

static const struct kernel_param_ops ask_ops = { .set = line_ask };
module_param_cb(ask, &ask_ops, NULL, 0200);
MODULE_PARM_DESC(ask, "request the line");

static int line_drop(const char *value, const struct kernel_param *param)
{
	if (!asked)
		return -EALREADY;
	free_irq(line, &line);
	asked = false;
	return 0;
}

static const struct kernel_param_ops drop_ops = { .set = line_drop };
module_param_cb(drop, &drop_ops, NULL, 0200);
MODULE_PARM_DESC(drop, "free the line");

static uint raise_times;

/* Hard-IRQ context, interrupts off. */
static void line_raise_now(struct irq_work *work)
{
	uint i;

	for (i = 0; i < raise_times; i++)
		generic_handle_irq(line);
}

static int line_raise(const char *value, const struct kernel_param *param)
{
	struct irq_work work = IRQ_WORK_INIT_HARD(line_raise_now);
	int err = kstrtouint(value, 0, &raise_times);
	uint i;

	if (err)
		return err;
	if (nested) {
		for (i = 0; i < raise_times; i++)
			handle_nested_irq(line);
	} else {
		irq_work_queue(&work);
		irq_work_sync(&work);
	}
	return 0;
}

static const struct kernel_param_ops raise_ops = { .set = line_raise };
module_param_cb(raise, &raise_ops, NULL, 0200);
MODULE_PARM_DESC(raise, "raise the line so many times");

static int line_set_type(struct irq_data *data, unsigned int wanted)
{
	type = wanted;
	return 0;
}

static void line_nothing(struct irq_data *data)
{
}

static struct irq_chip line_chip = {
	.name = KBUILD_MODNAME,
	.irq_set_type = line_set_type,
	.irq_mask = line_nothing,
	.irq_unmask = line_nothing,
	.irq_ack = line_nothing,
	.flags = IRQCHIP_SKIP_SET_WAKE,
};

static int __init line_init(void)
{
	/* Without an owner: request_irq() would pin the module. */
	line = __irq_alloc_descs(-1, 1, 1, NUMA_NO_NODE, NULL, NULL);
	if (line < 0)
		return line;
	irq_set_chip_and_handler_name(line, &line_chip, handle_simple_irq, "test");
	irq_set_nested_thread(line, nested);
	irq_modify_status(line, IRQ_NOREQUEST, IRQ_NOPROBE);
	return 0;
}

static void __exit line_exit(void)
{
	if (asked)
		free_irq(line, &line);
	irq_free_descs(line, 1);
}

module_init(line_init);
module_exit(line_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("An interrupt line with a driver, for kmk_irq to join");
MODULE_VERSION(KMK_VERSION);
