// SPDX-License-Identifier: GPL-2.0
/*
 * guests - an exercise: /proc/guests names the programs that have it open
 *
 * Data: guests, one for each open file, guarded by guests_lock. An open file's guest is freed when
 * the file is closed.
 * Context: system calls and exit, which may sleep.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

struct guest {
	struct list_head node;
	char name[TASK_COMM_LEN];
};

static DEFINE_MUTEX(guests_lock);	/* the list */
static LIST_HEAD(guests);

static int guests_show(struct seq_file *to, void *unused)
{
	struct guest *guest;

	mutex_lock(&guests_lock);
	list_for_each_entry(guest, &guests, node) {
		seq_escape(to, guest->name, "\n\\");
		seq_putc(to, '\n');
	}
	mutex_unlock(&guests_lock);
	return 0;
}

static int guests_open(struct inode *inode, struct file *file)
{
	struct guest *guest = kzalloc(sizeof(*guest), GFP_KERNEL);
	int err;

	if (!guest)
		return -ENOMEM;
	get_task_comm(guest->name, current);
	err = single_open(file, guests_show, guest);
	if (err) {
		kfree(guest);
		return err;
	}
	mutex_lock(&guests_lock);
	list_add_tail(&guest->node, &guests);
	mutex_unlock(&guests_lock);
	return 0;
}

static int guests_release(struct inode *inode, struct file *file)
{
	struct seq_file *seq = file->private_data;
	struct guest *guest = seq->private;

	mutex_lock(&guests_lock);
	list_del(&guest->node);
	mutex_unlock(&guests_lock);
	kfree(guest);
	return single_release(inode, file);
}

static const struct proc_ops guests_ops = {
	.proc_open	= guests_open,
	.proc_read	= seq_read,
	.proc_lseek	= seq_lseek,
	.proc_release	= guests_release,
};

static int __init guests_init(void)
{
	return proc_create("guests", 0444, NULL, &guests_ops) ? 0 : -ENOMEM;
}

static void __exit guests_exit(void)
{
	struct guest *guest, *next;

	list_for_each_entry_safe(guest, next, &guests, node)
		kfree(guest);
	remove_proc_entry("guests", NULL);
	pr_info("unloaded\n");
}

module_init(guests_init);
module_exit(guests_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("An exercise: /proc/guests names the programs that have it open");
