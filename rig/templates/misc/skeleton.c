// SPDX-License-Identifier: GPL-2.0
/*
 * skeleton: /dev/skeleton keeps one message.
 *
 * Data:     the message, its length and the counters, guarded by skeleton_lock.
 * Contexts: system calls alone; each may sleep. No copy from or to user space is made with the
 *           lock held: it may wait for a disk, or for a program that handles the fault.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "skeleton.h"

#define MOST_BYTES 4096

static DEFINE_MUTEX(skeleton_lock);	/* all of the data below */
static char message[MOST_BYTES];
static size_t length;
static struct skeleton_stats stats;

static DECLARE_WAIT_QUEUE_HEAD(written);

static ssize_t skeleton_read(struct file *file, char __user *to, size_t size, loff_t *pos)
{
	ssize_t ret;
	char *copy;

	copy = kmalloc(MOST_BYTES, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	mutex_lock(&skeleton_lock);
	ret = length;
	memcpy(copy, message, length);
	stats.reads++;
	mutex_unlock(&skeleton_lock);
	/* Checks the position and the size, which are the caller's. */
	ret = simple_read_from_buffer(to, size, pos, copy, ret);
	kfree(copy);
	return ret;
}

/* Replaces the message: there is no position to write at. */
static ssize_t
skeleton_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	char *copy;

	if (size > MOST_BYTES)
		return -EMSGSIZE;
	copy = memdup_user(from, size);
	if (IS_ERR(copy))
		return PTR_ERR(copy);
	/* TODO: look at what came, which may be anything. */
	mutex_lock(&skeleton_lock);
	memcpy(message, copy, size);
	WRITE_ONCE(length, size);	/* poll() looks without the lock */
	stats.writes++;
	mutex_unlock(&skeleton_lock);
	kfree(copy);
	wake_up_interruptible(&written);
	return size;
}

/* First on the queue, then look: whoever writes in between wakes this. */
static __poll_t skeleton_poll(struct file *file, poll_table *wait)
{
	poll_wait(file, &written, wait);
	return EPOLLOUT | EPOLLWRNORM | (READ_ONCE(length) ? EPOLLIN | EPOLLRDNORM : 0);
}

/*
 * The size of the caller's structure is part of the command: of a shorter one its members are
 * filled, of a longer one the rest is cleared.
 */
static long skeleton_get_stats(void __user *to, size_t size)
{
	struct skeleton_stats copy;

	if (size < SKELETON_STATS_SIZE_0)
		return -EINVAL;
	mutex_lock(&skeleton_lock);
	copy = stats;
	mutex_unlock(&skeleton_lock);
	if (size > sizeof(copy) && clear_user(to + sizeof(copy), size - sizeof(copy)))
		return -EFAULT;
	return copy_to_user(to, &copy, min(size, sizeof(copy))) ? -EFAULT : 0;
}

static long skeleton_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	if (_IOC_TYPE(command) != SKELETON_IOC_MAGIC || _IOC_DIR(command) != _IOC_READ)
		return -ENOTTY;
	switch (_IOC_NR(command)) {
	case _IOC_NR(SKELETON_IOC_STATS):
		return skeleton_get_stats((void __user *)argument, _IOC_SIZE(command));
	/* TODO: more commands. */
	default:
		return -ENOTTY;
	}
}

/* With an owner, an open file holds the module. */
static const struct file_operations skeleton_fops = {
	.owner = THIS_MODULE,
	.read = skeleton_read,
	.write = skeleton_write,
	.poll = skeleton_poll,
	.unlocked_ioctl = skeleton_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = default_llseek,
};

static struct miscdevice skeleton_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "skeleton",
	.fops = &skeleton_fops,
	.mode = 0600,	/* TODO: who may use it */
};

/* Registers at load, when all is ready to be opened, and the opposite at unload. */
module_misc_device(skeleton_device);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("{{author}} <{{email}}>");
MODULE_DESCRIPTION("{{summary}}");
MODULE_VERSION("0.1.0");
