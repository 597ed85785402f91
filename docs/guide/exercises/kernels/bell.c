// SPDX-License-Identifier: GPL-2.0
/*
 * bell - an exercise: a write to /dev/bell rings it for a second, a read tells whether it rings
 *
 * Data: bell_rings, which anybody may set and read at any time.
 * Context: system calls, and bell_end() in a timer's interrupt.
 */
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/timer.h>

static bool bell_rings;

static void bell_end(struct timer_list *unused)
{
	WRITE_ONCE(bell_rings, false);
}

static DEFINE_TIMER(bell_timer, bell_end);

static ssize_t bell_read(struct file *file, char __user *to, size_t size, loff_t *pos)
{
	const char *state = READ_ONCE(bell_rings) ? "ringing\n" : "silent\n";

	return simple_read_from_buffer(to, size, pos, state, strlen(state));
}

static ssize_t bell_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	WRITE_ONCE(bell_rings, true);
	mod_timer(&bell_timer, jiffies + HZ);
	return size;
}

static const struct file_operations bell_fops = {
	.owner	= THIS_MODULE,
	.read	= bell_read,
	.write	= bell_write,
	.llseek	= default_llseek,
};

static struct miscdevice bell_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "bell",
	.fops	= &bell_fops,
	.mode	= 0600,
};

static int __init bell_init(void)
{
	return misc_register(&bell_device);
}

static void __exit bell_exit(void)
{
	misc_deregister(&bell_device);
	timer_shutdown_sync(&bell_timer);
}

module_init(bell_init);
module_exit(bell_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("An exercise: a write to /dev/bell rings it for a second");
