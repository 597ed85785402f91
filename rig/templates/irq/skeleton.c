// SPDX-License-Identifier: GPL-2.0
/*
 * skeleton: counts the interrupts of a line, which is simulated.
 *
 * Data:     count, an atomic; for each open file, the count that its reader has seen.
 * Locks:    none in the handler. raise_lock lets one writer at a time raise the line; seen is an
 *           atomic, as threads may share an open file.
 * Contexts: the handler runs in hard-IRQ context and may not sleep; all else are system calls.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irq_work.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "compat.h"

static int line;
static atomic64_t count = ATOMIC64_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(counted);

static irqreturn_t skeleton_handler(int irq, void *data)
{
	/*
	 * TODO: of a shared line, ask the hardware first whether it was the one that called, and
	 * return IRQ_NONE if not. What takes long or sleeps belongs into a threaded handler.
	 */
	atomic64_inc(&count);
	wake_up_interruptible(&counted);
	return IRQ_HANDLED;
}

/* The simulated line. TODO: of hardware, a driver gets the line's number from its bus. */

static DEFINE_MUTEX(raise_lock);

static void skeleton_raise(struct irq_work *work)
{
	generic_handle_irq(line);
}

static int __init skeleton_create_line(void)
{
	/* Without an owner: a handler on it would hold this module for ever. */
	int irq = __irq_alloc_descs(-1, 1, 1, NUMA_NO_NODE, NULL, NULL);

	if (irq < 0)
		return irq;
	irq_set_chip_and_handler_name(irq, &dummy_irq_chip, handle_simple_irq, "simulated");
	irq_modify_status(irq, IRQ_NOREQUEST, IRQ_NOPROBE);
	return irq;
}

/* /dev/skeleton */

static int skeleton_open(struct inode *inode, struct file *file)
{
	atomic64_t *seen = kzalloc(sizeof(*seen), GFP_KERNEL);

	if (!seen)
		return -ENOMEM;
	file->private_data = seen;
	return 0;
}

static int skeleton_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

/* At offset 0 the count; behind it the file ends, so that cat does. */
static ssize_t skeleton_read(struct file *file, char __user *to, size_t size, loff_t *pos)
{
	atomic64_t *seen = file->private_data;
	s64 now = atomic64_read(&count);
	char text[24];
	int n;

	if (*pos)
		return 0;
	n = scnprintf(text, sizeof(text), "%lld\n", now);
	if (size < n)
		return -EINVAL;
	atomic64_set(seen, now);
	return simple_read_from_buffer(to, size, pos, text, n);
}

static ssize_t
skeleton_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	struct irq_work work = IRQ_WORK_INIT_HARD(skeleton_raise);

	/* TODO: what is written means nothing yet. */
	if (mutex_lock_interruptible(&raise_lock))
		return -ERESTARTSYS;
	irq_work_queue(&work);
	irq_work_sync(&work);
	mutex_unlock(&raise_lock);
	return size;
}

/* First on the queue, then look: an interrupt in between wakes this. */
static __poll_t skeleton_poll(struct file *file, poll_table *wait)
{
	atomic64_t *seen = file->private_data;

	poll_wait(file, &counted, wait);
	return EPOLLOUT | EPOLLWRNORM |
		(atomic64_read(&count) != atomic64_read(seen) ? EPOLLIN | EPOLLRDNORM : 0);
}

/* With an owner, an open file holds the module. */
static const struct file_operations skeleton_fops = {
	.owner = THIS_MODULE,
	.open = skeleton_open,
	.release = skeleton_release,
	.read = skeleton_read,
	.write = skeleton_write,
	.poll = skeleton_poll,
	.llseek = default_llseek,
};

static struct miscdevice skeleton_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "skeleton",
	.fops = &skeleton_fops,
	.mode = 0600,	/* TODO: who may use it */
};

/* A step that fails undoes the steps before it, in the opposite order. */
static int __init skeleton_init(void)
{
	int err;

	line = skeleton_create_line();
	if (line < 0)
		return line;
	err = request_irq(line, skeleton_handler, 0, KBUILD_MODNAME, &count);
	if (err)
		goto free_line;
	/* Last: from here on it may be opened. */
	err = misc_register(&skeleton_device);
	if (err)
		goto free_handler;
	return 0;

free_handler:
	free_irq(line, &count);
free_line:
	irq_free_descs(line, 1);
	return err;
}
module_init(skeleton_init);

static void __exit skeleton_exit(void)
{
	misc_deregister(&skeleton_device);
	free_irq(line, &count);		/* waits for a handler that runs */
	irq_free_descs(line, 1);
}
module_exit(skeleton_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("{{author}} <{{email}}>");
MODULE_DESCRIPTION("{{summary}}");
MODULE_VERSION("0.1.0");
