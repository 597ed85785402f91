// SPDX-License-Identifier: GPL-2.0
/*
 * scratch - an exercise: an open file of /dev/scratch is memory, as much as the program asks for
 *
 * Data: a struct scratch for each open file, whose lock guards the rest of it.
 * Context: system calls alone, which may sleep. The user's memory is touched with the lock held:
 * only those wait for it who use the same open file.
 */
#include <linux/fs.h>
#include <linux/ioctl.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#define SCRATCH_RESIZE	_IO('k', 1)	/* the argument: so many times 64 KiB, all zeros */
#define SCRATCH_MAX	(SZ_16M / SZ_64K)

struct scratch {
	struct mutex lock;	/* the two below */
	size_t size;
	void *bytes;
};

static int scratch_open(struct inode *inode, struct file *file)
{
	struct scratch *scratch = kzalloc(sizeof(*scratch), GFP_KERNEL_ACCOUNT);

	if (!scratch)
		return -ENOMEM;
	mutex_init(&scratch->lock);
	file->private_data = scratch;
	return 0;
}

static int scratch_release(struct inode *inode, struct file *file)
{
	struct scratch *scratch = file->private_data;

	kfree(scratch->bytes);
	kfree(scratch);
	return 0;
}

static ssize_t scratch_read(struct file *file, char __user *to, size_t size, loff_t *pos)
{
	struct scratch *scratch = file->private_data;
	ssize_t n;

	mutex_lock(&scratch->lock);
	n = simple_read_from_buffer(to, size, pos, scratch->bytes, scratch->size);
	mutex_unlock(&scratch->lock);
	return n;
}

static ssize_t scratch_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	struct scratch *scratch = file->private_data;
	ssize_t n;

	mutex_lock(&scratch->lock);
	n = simple_write_to_buffer(scratch->bytes, scratch->size, pos, from, size);
	mutex_unlock(&scratch->lock);
	return size && !n ? -ENOSPC : n;
}

static long scratch_ioctl(struct file *file, unsigned int command, unsigned long count)
{
	struct scratch *scratch = file->private_data;
	void *bytes;

	if (command != SCRATCH_RESIZE)
		return -ENOTTY;
	if (count > SCRATCH_MAX)
		return -EINVAL;
	bytes = kvcalloc(count, SZ_64K, GFP_KERNEL_ACCOUNT);
	if (!bytes)
		return -ENOMEM;
	mutex_lock(&scratch->lock);
	swap(scratch->bytes, bytes);
	scratch->size = count * SZ_64K;
	mutex_unlock(&scratch->lock);
	kvfree(bytes);
	return 0;
}

static const struct file_operations scratch_fops = {
	.owner		= THIS_MODULE,
	.open		= scratch_open,
	.release	= scratch_release,
	.read		= scratch_read,
	.write		= scratch_write,
	.unlocked_ioctl	= scratch_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= default_llseek,
};

static struct miscdevice scratch_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "scratch",
	.fops	= &scratch_fops,
	.mode	= 0600,
};
module_misc_device(scratch_device);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("An exercise: an open file of /dev/scratch is memory");
