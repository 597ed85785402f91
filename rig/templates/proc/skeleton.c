// SPDX-License-Identifier: GPL-2.0
/*
 * skeleton: /proc/skeleton is a list of lines. Each write() adds one, a reader gets them all.
 *
 * Data:     the list, its length, and each line on it, guarded by skeleton_lock.
 * Contexts: system calls alone; each may sleep. A reader holds the lock while its buffer is
 *           filled, and not while that is copied to user space: seq_file sees to it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#define MOST_LINES 100
#define MOST_BYTES 200

struct skeleton_line {
	struct list_head list;
	char text[];
};

static DEFINE_MUTEX(skeleton_lock);	/* the list and the count */
static LIST_HEAD(skeleton_lines);
static unsigned int skeleton_count;

/* seq_file comes back for more with the position: lines may have been added since. */
static void *skeleton_start(struct seq_file *m, loff_t *pos)
{
	mutex_lock(&skeleton_lock);
	return seq_list_start(&skeleton_lines, *pos);
}

static void *skeleton_next(struct seq_file *m, void *line, loff_t *pos)
{
	return seq_list_next(line, &skeleton_lines, pos);
}

static void skeleton_stop(struct seq_file *m, void *line)
{
	mutex_unlock(&skeleton_lock);
}

static int skeleton_show(struct seq_file *m, void *line)
{
	seq_puts(m, list_entry(line, struct skeleton_line, list)->text);
	seq_putc(m, '\n');
	return 0;
}

static const struct seq_operations skeleton_seq_ops = {
	.start = skeleton_start,
	.next = skeleton_next,
	.stop = skeleton_stop,
	.show = skeleton_show,
};

static int skeleton_open(struct inode *inode, struct file *file)
{
	return seq_open(file, &skeleton_seq_ops);
}

/* Another character could do things to the terminal of a reader. */
static bool skeleton_is_printable(const char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}

static ssize_t
skeleton_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	struct skeleton_line *line;
	ssize_t ret = size;

	if (size > MOST_BYTES)
		return -EMSGSIZE;
	line = kzalloc(sizeof(*line) + size + 1, GFP_KERNEL_ACCOUNT);
	if (!line)
		return -ENOMEM;
	if (copy_from_user(line->text, from, size)) {
		kfree(line);
		return -EFAULT;
	}
	if (size && line->text[size - 1] == '\n')
		line->text[size - 1] = '\0';
	if (!skeleton_is_printable(line->text)) {
		kfree(line);
		return -EINVAL;
	}
	/* TODO: what a line means. */
	mutex_lock(&skeleton_lock);
	if (skeleton_count < MOST_LINES) {
		list_add_tail(&line->list, &skeleton_lines);
		skeleton_count++;
		line = NULL;
	} else {
		ret = -ENOSPC;
	}
	mutex_unlock(&skeleton_lock);
	kfree(line);
	return ret;
}

/* It has no owner: proc_remove() waits for the calls that run, and lets no more begin. */
static const struct proc_ops skeleton_proc_ops = {
	.proc_open = skeleton_open,
	.proc_read = seq_read,
	.proc_write = skeleton_write,
	.proc_lseek = seq_lseek,
	.proc_release = seq_release,
};

static struct proc_dir_entry *skeleton_entry;

static int __init skeleton_init(void)
{
	skeleton_entry = proc_create("skeleton", 0600, NULL, &skeleton_proc_ops);
	return skeleton_entry ? 0 : -ENOMEM;
}
module_init(skeleton_init);

static void __exit skeleton_exit(void)
{
	struct skeleton_line *line, *next;

	proc_remove(skeleton_entry);
	/* Nobody is left who could see the list: no lock is needed. */
	list_for_each_entry_safe(line, next, &skeleton_lines, list)
		kfree(line);
}
module_exit(skeleton_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("{{author}} <{{email}}>");
MODULE_DESCRIPTION("{{summary}}");
MODULE_VERSION("0.1.0");
