// SPDX-License-Identifier: GPL-2.0
/*
 * motto - an exercise: /proc/motto shows a line that an administrator wrote
 *
 * Data: motto, the line without its newline, guarded by motto_lock; NULL: none yet.
 * Context: system calls alone, which may sleep. The user's memory is never touched with the lock
 * held.
 */
#include <linux/capability.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>

#define MOTTO_MAX	64

static DEFINE_MUTEX(motto_lock);	/* the one below */
static char *motto;

static int motto_show(struct seq_file *to, void *unused)
{
	mutex_lock(&motto_lock);
	if (motto) {
		seq_escape(to, motto, "\n\\");
		seq_putc(to, '\n');
	}
	mutex_unlock(&motto_lock);
	return 0;
}

static int motto_open(struct inode *inode, struct file *file)
{
	return single_open(file, motto_show, NULL);
}

/* A write replaces the line. */
static ssize_t motto_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	char *line;

	if (!file_ns_capable(file, &init_user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	if (size > MOTTO_MAX)
		return -EMSGSIZE;
	line = kmalloc(MOTTO_MAX, GFP_KERNEL_ACCOUNT);
	if (!line)
		return -ENOMEM;
	if (copy_from_user(line, from, size)) {
		kfree(line);
		return -EFAULT;
	}
	line[size] = '\0';
	*strchrnul(line, '\n') = '\0';
	mutex_lock(&motto_lock);
	swap(motto, line);
	mutex_unlock(&motto_lock);
	kfree(line);
	return size;
}

static const struct proc_ops motto_ops = {
	.proc_open	= motto_open,
	.proc_read	= seq_read,
	.proc_write	= motto_write,
	.proc_lseek	= seq_lseek,
	.proc_release	= single_release,
};

static int __init motto_init(void)
{
	return proc_create("motto", 0644, NULL, &motto_ops) ? 0 : -ENOMEM;
}

static void __exit motto_exit(void)
{
	remove_proc_entry("motto", NULL);
	kfree(motto);
}

module_init(motto_init);
module_exit(motto_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("An exercise: /proc/motto shows a line that an administrator wrote");
