// SPDX-License-Identifier: GPL-2.0
/*
 * pulse - an exercise: each read of /proc/pulse raises an interrupt, and shows how many there were
 *
 * Data: pulse_count, guarded by pulse_lock. With pulse_turn held, the line is raised: while it
 * handles one interrupt, it ignores another.
 * Context: pulse_raise() and the handler run in the hard interrupt, all else in process context.
 */
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>

static DEFINE_RAW_SPINLOCK(pulse_lock);	/* pulse_count */
static unsigned int pulse_count;
static DEFINE_MUTEX(pulse_turn);	/* raising the line */
static int pulse_line;	/* simulated */

static irqreturn_t pulse_handler(int line, void *cookie)
{
	raw_spin_lock_irq(&pulse_lock);
	pulse_count++;
	raw_spin_unlock_irq(&pulse_lock);
	return IRQ_HANDLED;
}

static void pulse_raise(struct irq_work *work)
{
	generic_handle_irq(pulse_line);
}

static int pulse_show(struct seq_file *to, void *unused)
{
	struct irq_work work = IRQ_WORK_INIT_HARD(pulse_raise);
	unsigned int count;

	mutex_lock(&pulse_turn);
	irq_work_queue(&work);
	irq_work_sync(&work);
	mutex_unlock(&pulse_turn);
	raw_spin_lock_irq(&pulse_lock);
	count = pulse_count;
	raw_spin_unlock_irq(&pulse_lock);
	seq_printf(to, "%u\n", count);
	return 0;
}

static int __init pulse_init(void)
{
	int err;

	pulse_line = __irq_alloc_descs(-1, 1, 1, NUMA_NO_NODE, NULL, NULL);
	if (pulse_line < 0)
		return pulse_line;
	irq_set_chip_and_handler(pulse_line, &dummy_irq_chip, handle_simple_irq);
	irq_modify_status(pulse_line, IRQ_NOREQUEST, IRQ_NOPROBE);
	err = request_irq(pulse_line, pulse_handler, IRQF_NO_THREAD, "pulse", NULL);
	if (err)
		goto free_line;
	if (proc_create_single("pulse", 0444, NULL, pulse_show))
		return 0;
	err = -ENOMEM;
	free_irq(pulse_line, NULL);
free_line:
	irq_free_descs(pulse_line, 1);
	return err;
}

static void __exit pulse_exit(void)
{
	remove_proc_entry("pulse", NULL);
	free_irq(pulse_line, NULL);
	irq_free_descs(pulse_line, 1);
}

module_init(pulse_init);
module_exit(pulse_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("An exercise: each read of /proc/pulse raises an interrupt");
