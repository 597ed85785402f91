// SPDX-License-Identifier: GPL-2.0
/*
 * jotter - an exercise: /dev/jotter keeps the last note
 *
 * Data: the note and its length, guarded by jotter_lock.
 * Context: system calls alone, which may sleep. The user's memory is never touched with the lock
 * held.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uio.h>

#define JOTTER_CAPACITY 4096

static DEFINE_MUTEX(jotter_lock);	/* the two below */
static char jotter_note[JOTTER_CAPACITY];
static size_t jotter_length;

static ssize_t jotter_read(struct file *file, char __user *to, size_t size, loff_t *pos)
{
	char *note = kmalloc(JOTTER_CAPACITY, GFP_KERNEL);
	ssize_t n;

	if (!note)
		return -ENOMEM;
	mutex_lock(&jotter_lock);
	n = jotter_length;
	memcpy(note, jotter_note, n);
	mutex_unlock(&jotter_lock);
	n = simple_read_from_buffer(to, size, pos, note, n);
	kfree(note);
	return n;
}

/* A write replaces the note, wherever in the file it is. */
static ssize_t jotter_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	size_t n = iov_iter_count(from);
	char *note;

	if (n > JOTTER_CAPACITY)
		return -ENOSPC;
	note = kmalloc(n, GFP_KERNEL);
	if (!note)
		return -ENOMEM;
	if (n && !copy_from_iter(note, n, from)) {
		kfree(note);
		return -EFAULT;
	}
	mutex_lock(&jotter_lock);
	memcpy(jotter_note, note, n);
	jotter_length = n;
	mutex_unlock(&jotter_lock);
	kfree(note);
	return n;
}

static const struct file_operations jotter_fops = {
	.owner		= THIS_MODULE,
	.read		= jotter_read,
	.write_iter	= jotter_write_iter,
	.llseek		= default_llseek,
};

static struct miscdevice jotter_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "jotter",
	.fops	= &jotter_fops,
	.mode	= 0600,
};
module_misc_device(jotter_device);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("An exercise: /dev/jotter keeps the last note");
