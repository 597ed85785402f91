// SPDX-License-Identifier: GPL-2.0
/* A handler of an interrupt stays; the line is one of the module's own. */
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/module.h>

static int line;
static int cookie;

static irqreturn_t planted_handle(int irq, void *data)
{
	return IRQ_HANDLED;
}

static int __init planted_init(void)
{
	int error;

	line = __irq_alloc_descs(-1, 0, 1, NUMA_NO_NODE, NULL, NULL);
	if (line < 0)
		return line;
	irq_set_chip_and_handler(line, &dummy_irq_chip, handle_simple_irq);
	irq_modify_status(line, IRQ_NOREQUEST, 0);
	error = request_irq(line, planted_handle, IRQF_SHARED, "planted", &cookie);
	if (error)
		irq_free_descs(line, 1);
	return error;
}

static void __exit planted_exit(void)
{
#if !FAULT
	free_irq(line, &cookie);
	irq_free_descs(line, 1);
#endif
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_LICENSE("GPL");
