// SPDX-License-Identifier: GPL-2.0
/*
 * meter - an exercise: /dev/meter counts the writes of each size
 *
 * Data: the counts, one for each size, guarded by meter_lock; debugfs shows them without it.
 * Context: system calls alone, which may sleep.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/printk.h>

static unsigned long sizes = 16;
module_param(sizes, ulong, 0444);
MODULE_PARM_DESC(sizes, "how many counts to keep, the last one for all larger writes (default 16)");

static DEFINE_MUTEX(meter_lock);	/* what the counts are */
static struct debugfs_u32_array meter_counts;
static struct dentry *meter_dir;

static ssize_t meter_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	u32 *count = &meter_counts.array[min_t(size_t, size, meter_counts.n_elements - 1)];

	mutex_lock(&meter_lock);
	WRITE_ONCE(*count, *count + 1);
	mutex_unlock(&meter_lock);
	return size;
}

static const struct file_operations meter_fops = {
	.owner	= THIS_MODULE,
	.write	= meter_write,
	.llseek	= noop_llseek,
};

static struct miscdevice meter_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "meter",
	.fops	= &meter_fops,
	.mode	= 0600,
};

static int __init meter_init(void)
{
	int err;

	if (!sizes) {
		pr_err("sizes=0 refused: give 1 or more\n");
		return -EINVAL;
	}
	meter_dir = debugfs_create_dir("meter", NULL);
	/* The administrator may ask for more than there is. */
	meter_counts.array = kvcalloc(sizes, sizeof(u32), GFP_KERNEL | __GFP_NOWARN);
	if (!meter_counts.array) {
		pr_err("no memory for sizes=%lu: give a smaller number\n", sizes);
		return -ENOMEM;
	}
	meter_counts.n_elements = sizes;
	debugfs_create_u32_array("counts", 0444, meter_dir, &meter_counts);
	err = misc_register(&meter_device);
	if (err)
		goto undo;
	return 0;

undo:
	debugfs_remove(meter_dir);
	kvfree(meter_counts.array);
	return err;
}

static void __exit meter_exit(void)
{
	misc_deregister(&meter_device);
	debugfs_remove(meter_dir);
	kvfree(meter_counts.array);
}

module_init(meter_init);
module_exit(meter_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("An exercise: /dev/meter counts the writes of each size");
