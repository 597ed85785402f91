// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_irq_bench - the cost of an interrupt that kmk_irq handles
 *
 * Each read of debugfs' kmk_irq_bench raises two lines RAISES times: its own,
 * whose handler does nothing, and the simulated one of kmk_irq, and says
 * "WORK SIDE OPERATIONS NANOSECONDS" for each.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irq_work.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/seq_file.h>

#include <kmk/compat.h>
#include <kmk/version.h>

#define RAISES 1000

static int irq;
module_param(irq, int, 0);
MODULE_PARM_DESC(irq, "the simulated line of kmk_irq, from /sys/class/misc/irq_events/irq");

static int own_irq;
static struct dentry *file;

static irqreturn_t own_handler(int line, void *dev_id)
{
	return IRQ_HANDLED;
}

struct raise {
	struct irq_work work;
	int irq;
	u64 ns;
};

/* Hard-IRQ context, interrupts off. */
static void raise_line(struct irq_work *work)
{
	struct raise *raise = container_of(work, struct raise, work);
	u64 start = ktime_get_raw_ns();
	int i;

	for (i = 0; i < RAISES; i++)
		generic_handle_irq(raise->irq);
	raise->ns = ktime_get_raw_ns() - start;
}

static void measure(struct seq_file *m, const char *side, int line)
{
	struct raise raise = {
		.work = IRQ_WORK_INIT_HARD(raise_line),
		.irq = line,
	};

	irq_work_queue(&raise.work);
	irq_work_sync(&raise.work);
	seq_printf(m, "interrupt %s %d %llu\n", side, RAISES, raise.ns);
}

static int irq_bench_show(struct seq_file *m, void *unused)
{
	measure(m, "handled", own_irq);
	measure(m, "kmk_irq", irq);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(irq_bench);

static int __init irq_bench_init(void)
{
	int err;

	/* As kmk_irq makes its own: nobody owns it, or it would pin this module. */
	own_irq = __irq_alloc_descs(-1, 1, 1, NUMA_NO_NODE, NULL, NULL);
	if (own_irq < 0)
		return own_irq;
	irq_set_chip_and_handler(own_irq, &dummy_irq_chip, handle_simple_irq);
	irq_modify_status(own_irq, IRQ_NOREQUEST, IRQ_NOPROBE);
	err = request_irq(own_irq, own_handler, IRQF_SHARED | IRQF_NO_THREAD, KBUILD_MODNAME,
			  &own_irq);
	if (err) {
		irq_free_descs(own_irq, 1);
		return err;
	}
	file = debugfs_create_file("kmk_irq_bench", 0400, NULL, NULL, &irq_bench_fops);
	return 0;
}

static void __exit irq_bench_exit(void)
{
	debugfs_remove(file);
	free_irq(own_irq, &own_irq);
	irq_free_descs(own_irq, 1);
}

module_init(irq_bench_init);
module_exit(irq_bench_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("Measures the cost of an interrupt that kmk_irq handles");
MODULE_VERSION(KMK_VERSION);
