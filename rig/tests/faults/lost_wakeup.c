// SPDX-License-Identifier: GPL-2.0
/* Nobody wakes who waits for something to read. */
#include <linux/poll.h>
#include <linux/wait.h>
#include "planted.h"

static DECLARE_WAIT_QUEUE_HEAD(readers);
static unsigned int pending;
static DEFINE_MUTEX(lock);

static bool take_one(void)
{
	bool taken;

	mutex_lock(&lock);
	taken = pending;
	if (taken)
		pending--;
	mutex_unlock(&lock);
	return taken;
}

static ssize_t planted_read(struct file *file, char __user *to, size_t size, loff_t *offset)
{
	if (!size)
		return 0;
	while (!take_one()) {
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(readers, READ_ONCE(pending)))
			return -ERESTARTSYS;
	}
	return put_user('x', to) ? -EFAULT : 1;
}

static ssize_t planted_write(struct file *file, const char __user *from, size_t size,
			     loff_t *offset)
{
	mutex_lock(&lock);
	if (pending < 1000)
		pending++;
	mutex_unlock(&lock);
#if !FAULT
	wake_up_interruptible(&readers);
#endif
	return size;
}

static __poll_t planted_poll(struct file *file, poll_table *table)
{
	poll_wait(file, &readers, table);
	return EPOLLOUT | (READ_ONCE(pending) ? EPOLLIN : 0);
}

static const struct file_operations planted_operations = {
	.owner = THIS_MODULE,
	.read = planted_read,
	.write = planted_write,
	.poll = planted_poll,
};

module_misc_device(planted_device);
