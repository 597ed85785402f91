// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_echo - two character devices that give back what was written
 *
 * /dev/echo holds the last message, as a small file does: a write at offset 0
 * replaces it, a write further on continues it, a read ends at its end.
 * /dev/echo_fifo is a queue of bytes: what one process writes another reads,
 * once; an empty queue blocks readers, a full one blocks writers.
 *
 * Data: one struct echo_device for each, with a buffer of `capacity` bytes.
 * Locks: its mutex guards all of it but the counters of open files, which are
 * atomic; length may also be read without (poll, wait conditions).
 * Context: process context only.
 *
 * Nobody waits for user space with the mutex held, or one process could stop
 * all others: its buffer may lie on userfaultfd or FUSE, whose faults may last
 * for ever, and open() takes the mutex under the one of all misc devices. Hence
 * bytes are copied with page faults off. A copy that falls short is undone, the
 * pages are brought in without the mutex, and all of it is tried again; nothing
 * is ever half read or half written.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/build_bug.h>
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/poll.h>
#include <linux/printk.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/stat.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/wait.h>

#include <kmk/compat.h>
#include <kmk/version.h>
#include <kmodkit/echo.h>

#define CREATE_TRACE_POINTS
#include "trace.h"

#define CAPACITY_MAX	SZ_16M

static_assert(sizeof(struct echo_stats) == 48);

static unsigned int capacity = 4096;
module_param(capacity, uint, 0444);
MODULE_PARM_DESC(capacity, "bytes that each device holds, 1 to 16777216 (default 4096)");

static unsigned short mode = 0666;
module_param(mode, ushort, 0444);
MODULE_PARM_DESC(mode, "permissions of the device nodes, octal (default 0666)");

static char *greeting = "";
module_param(greeting, charp, 0444);
MODULE_PARM_DESC(greeting, "what /dev/echo holds after load (default nothing)");

/*
 * struct echo_device - what both devices have
 * @misc: the node and its sysfs directory
 * @lock: guards what says so
 * @data: @capacity bytes, of which @length are in use
 * @length: bytes held; written under @lock, may be read without
 * @bytes_read: bytes handed to readers, ever
 * @bytes_written: bytes stored, ever
 * @open_count: files open now
 * @open_total: files opened, ever
 * @clear: forget what is held
 */
struct echo_device {
	struct miscdevice misc;
	struct mutex lock;	/* length may be read without */
	char *data __guarded_by(&lock);
	size_t length __guarded_by(&lock);
	u64 bytes_read __guarded_by(&lock);
	u64 bytes_written __guarded_by(&lock);
	atomic_t open_count;
	atomic64_t open_total;
	void (*clear)(struct echo_device *dev);
};

/*
 * struct echo_message - /dev/echo
 * @dev: the message is @dev.length bytes at @dev.data
 * @spare: where a write is collected before it takes effect; as large as @dev.data
 */
struct echo_message {
	struct echo_device dev;
	char *spare __guarded_by(&dev.lock);
};

/*
 * struct echo_queue - /dev/echo_fifo
 * @dev: @dev.data is a ring
 * @head: where in it the oldest byte is
 * @readers: wait for bytes
 * @writers: wait for room
 * @readers_async: files that want SIGIO when there are bytes
 * @writers_async: files that want SIGIO when there is room
 */
struct echo_queue {
	struct echo_device dev;
	size_t head __guarded_by(&dev.lock);
	wait_queue_head_t readers;
	wait_queue_head_t writers;
	struct fasync_struct *readers_async;
	struct fasync_struct *writers_async;
};

/*
 * struct echo_file - an open file of either
 * @dev: the device
 * @room_wanted: how much room makes it ready for writing: one byte, or what its
 *               last write found missing, so that poll() and a write that gets
 *               EAGAIN do not contradict each other for ever
 */
struct echo_file {
	struct echo_device *dev;
	size_t room_wanted;
};

static struct echo_device *to_device(struct file *file)
{
	struct echo_file *ef = file->private_data;

	return ef->dev;
}

static struct echo_message *to_message(struct echo_device *dev)
{
	return container_of(dev, struct echo_message, dev);
}

static struct echo_queue *to_queue(struct echo_device *dev)
{
	return container_of(dev, struct echo_queue, dev);
}

/* Copying, the same for both devices */

/*
 * _copy_to_iter() and _copy_from_iter() are copy_to_iter() and copy_from_iter()
 * less hardened usercopy's search for the object that the bytes lie in. It finds
 * nothing wrong where @n was clipped to the buffer in the line before, as here
 * always, and costs more than all else that these devices do for a short message.
 */
static size_t copy_to_iter_nofault(const void *data, size_t n, struct iov_iter *to)
{
	pagefault_disable();
	n = _copy_to_iter(data, n, to);
	pagefault_enable();
	return n;
}

static size_t copy_from_iter_nofault(void *data, size_t n, struct iov_iter *from)
{
	pagefault_disable();
	n = _copy_from_iter(data, n, from);
	pagefault_enable();
	return n;
}

/*
 * The outcome of copying @n bytes with page faults off. From and to user memory
 * it is all or nothing: -EFAULT, and the iterator is where it was.
 */
static ssize_t all_or_fault(struct iov_iter *iter, size_t copied, size_t n)
{
	if (likely(copied == n))
		return n;
	if (user_backed_iter(iter)) {
		iov_iter_revert(iter, copied);
		return -EFAULT;
	}
	return copied ?: -ENOMEM;	/* a pipe that got no page for the rest */
}

/*
 * After -EFAULT, and with no lock held: bring in the user's next @n bytes.
 * Returns how many of them there are to be had; -EFAULT: none.
 */
static ssize_t fault_in_source(const struct iov_iter *from, size_t n)
{
	if (fatal_signal_pending(current))
		return -EINTR;
	n -= fault_in_iov_iter_readable(from, n);
	return n ?: -EFAULT;
}

static ssize_t fault_in_target(const struct iov_iter *to, size_t n)
{
	if (fatal_signal_pending(current))
		return -EINTR;
	n -= fault_in_iov_iter_writeable(to, n);
	return n ?: -EFAULT;
}

/* /dev/echo */

static void message_clear(struct echo_device *dev)
{
	guard(mutex)(&dev->lock);
	WRITE_ONCE(dev->length, 0);
}

/*
 * Copy out up to *@n bytes from @pos on. On -EFAULT, *@n says how many bytes of
 * the user's buffer were wanted.
 */
static ssize_t message_get(struct echo_device *dev, loff_t pos,
			   struct iov_iter *to, size_t *n)
{
	ssize_t ret;

	guard(mutex)(&dev->lock);
	if (pos >= dev->length)
		return 0;
	*n = min_t(size_t, *n, dev->length - pos);
	ret = all_or_fault(to, copy_to_iter_nofault(dev->data + pos, *n, to), *n);
	if (ret > 0) {
		dev->bytes_read += ret;
		trace_kmk_echo_read(false, ret, dev->length);
	}
	return ret;
}

static ssize_t message_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct echo_device *dev = to_device(iocb->ki_filp);
	size_t n = iov_iter_count(to);
	ssize_t ret;

	if (!n)
		return 0;
	while ((ret = message_get(dev, iocb->ki_pos, to, &n)) == -EFAULT) {
		ret = fault_in_target(to, n);
		if (ret < 0)
			return ret;
		n = ret;
	}
	if (ret > 0)
		iocb->ki_pos += ret;
	return ret;
}

/* The @n bytes in the spare buffer become those from @pos on. */
static void message_commit(struct echo_message *msg, size_t pos, size_t n)
	__must_hold(&msg->dev.lock)
{
	struct echo_device *dev = &msg->dev;

	lockdep_assert_held(&dev->lock);
	if (!pos) {
		swap(dev->data, msg->spare);
		WRITE_ONCE(dev->length, n);
		return;
	}
	if (pos > dev->length)
		memset(dev->data + dev->length, 0, pos - dev->length);
	memcpy(dev->data + pos, msg->spare, n);
	WRITE_ONCE(dev->length, max(dev->length, pos + n));
}

/* Take up to *@n bytes; on -EFAULT, *@n says how many were wanted. */
static ssize_t message_put(struct echo_message *msg, struct kiocb *iocb,
			   struct iov_iter *from, size_t *n)
{
	struct echo_device *dev = &msg->dev;
	loff_t pos = iocb->ki_pos;
	ssize_t ret;

	guard(mutex)(&dev->lock);
	if (iocb->ki_flags & IOCB_APPEND)
		pos = dev->length;
	if (pos >= capacity)
		return -ENOSPC;
	*n = min_t(size_t, *n, capacity - pos);
	ret = all_or_fault(from, copy_from_iter_nofault(msg->spare, *n, from), *n);
	if (ret > 0) {
		message_commit(msg, pos, ret);
		iocb->ki_pos = pos + ret;
		dev->bytes_written += ret;
		trace_kmk_echo_write(false, ret, dev->length);
	}
	return ret;
}

static ssize_t message_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct echo_message *msg = to_message(to_device(iocb->ki_filp));
	size_t n = iov_iter_count(from);
	ssize_t ret;

	if (!n)
		return 0;
	while ((ret = message_put(msg, iocb, from, &n)) == -EFAULT) {
		ret = fault_in_source(from, n);
		if (ret < 0)
			return ret;
		n = ret;
	}
	return ret;
}

static loff_t message_llseek(struct file *file, loff_t offset, int whence)
{
	return generic_file_llseek_size(file, offset, whence, MAX_LFS_FILESIZE,
					READ_ONCE(to_device(file)->length));
}

/* /dev/echo_fifo */

/* How many bytes are written as one piece, however many write at once. */
static size_t queue_piece(void)
{
	return min_t(size_t, PIPE_BUF, capacity);
}

static size_t queue_room(const struct echo_queue *queue)
{
	return capacity - READ_ONCE(queue->dev.length);
}

static void queue_wake_readers(struct echo_queue *queue)
{
	if (wq_has_sleeper(&queue->readers))
		wake_up_interruptible_poll(&queue->readers, EPOLLIN | EPOLLRDNORM);
	kill_fasync(&queue->readers_async, SIGIO, POLL_IN);
}

static void queue_wake_writers(struct echo_queue *queue)
{
	if (wq_has_sleeper(&queue->writers))
		wake_up_interruptible_poll(&queue->writers, EPOLLOUT | EPOLLWRNORM);
	kill_fasync(&queue->writers_async, SIGIO, POLL_OUT);
}

static void queue_clear(struct echo_device *dev)
{
	struct echo_queue *queue = to_queue(dev);

	mutex_lock(&dev->lock);
	queue->head = 0;
	WRITE_ONCE(dev->length, 0);
	mutex_unlock(&dev->lock);
	queue_wake_writers(queue);
}

/* The first @n bytes of the queue, which stay in it. */
static size_t queue_copy_out(struct echo_queue *queue, size_t n, struct iov_iter *to)
	__must_hold(&queue->dev.lock)
{
	size_t first = min(n, capacity - queue->head);
	size_t copied;

	lockdep_assert_held(&queue->dev.lock);
	copied = copy_to_iter_nofault(queue->dev.data + queue->head, first, to);
	if (copied == first && n > first)
		copied += copy_to_iter_nofault(queue->dev.data, n - first, to);
	return copied;
}

/* @n bytes to where the queue's free room begins. */
static size_t queue_copy_in(struct echo_queue *queue, size_t n, struct iov_iter *from)
	__must_hold(&queue->dev.lock)
{
	size_t tail = queue->head + queue->dev.length;
	size_t first, copied;

	lockdep_assert_held(&queue->dev.lock);
	if (tail >= capacity)
		tail -= capacity;
	first = min(n, capacity - tail);
	copied = copy_from_iter_nofault(queue->dev.data + tail, first, from);
	if (copied == first && n > first)
		copied += copy_from_iter_nofault(queue->dev.data, n - first, from);
	return copied;
}

/*
 * Move up to *@n bytes out of the queue. -EAGAIN: it is empty. On -EFAULT, *@n
 * says how many bytes of the user's buffer were wanted.
 */
static ssize_t queue_get(struct echo_queue *queue, struct iov_iter *to, size_t *n)
{
	struct echo_device *dev = &queue->dev;
	ssize_t ret;

	guard(mutex)(&dev->lock);
	if (!dev->length)
		return -EAGAIN;
	*n = min(*n, dev->length);
	ret = all_or_fault(to, queue_copy_out(queue, *n, to), *n);
	if (ret > 0) {
		WRITE_ONCE(dev->length, dev->length - ret);
		queue->head += ret;
		/* An empty queue starts afresh, to copy in one go. */
		if (queue->head >= capacity)
			queue->head -= capacity;
		if (!dev->length)
			queue->head = 0;
		dev->bytes_read += ret;
		trace_kmk_echo_read(true, ret, dev->length);
	}
	return ret;
}

/*
 * Move up to *@n bytes into the queue. -EAGAIN: there is less room than
 * @wanted. On -EFAULT, *@n says how many of the user's bytes were wanted.
 */
static ssize_t queue_put(struct echo_queue *queue, struct iov_iter *from,
			 size_t wanted, size_t *n)
{
	struct echo_device *dev = &queue->dev;
	ssize_t ret;

	guard(mutex)(&dev->lock);
	if (queue_room(queue) < wanted)
		return -EAGAIN;
	*n = min(*n, queue_room(queue));
	ret = all_or_fault(from, queue_copy_in(queue, *n, from), *n);
	if (ret > 0) {
		WRITE_ONCE(dev->length, dev->length + ret);
		dev->bytes_written += ret;
		trace_kmk_echo_write(true, ret, dev->length);
	}
	return ret;
}

static bool may_wait(const struct kiocb *iocb)
{
	return !(iocb->ki_flags & IOCB_NOWAIT) && !(iocb->ki_filp->f_flags & O_NONBLOCK);
}

static ssize_t queue_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct echo_queue *queue = to_queue(to_device(iocb->ki_filp));
	size_t n = iov_iter_count(to);
	ssize_t ret;

	if (!n)
		return 0;
	while ((ret = queue_get(queue, to, &n)) < 0) {
		if (ret == -EFAULT) {
			ret = fault_in_target(to, n);
			if (ret > 0)
				n = ret;
		} else if (ret == -EAGAIN && may_wait(iocb)) {
			ret = wait_event_interruptible(queue->readers,
						       READ_ONCE(queue->dev.length));
		}
		if (ret < 0)
			return ret;
	}
	queue_wake_writers(queue);
	return ret;
}

static ssize_t queue_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct echo_file *ef = iocb->ki_filp->private_data;
	struct echo_queue *queue = to_queue(ef->dev);
	size_t left = iov_iter_count(from), n = left, done = 0;
	size_t wanted = left <= queue_piece() ? left : 1;
	ssize_t ret = 0;

	while (left) {
		ret = queue_put(queue, from, wanted, &n);
		if (ret > 0) {
			queue_wake_readers(queue);
			done += ret;
			left -= ret;
			n = left;
			continue;
		}
		if (ret == -EFAULT) {
			ret = fault_in_source(from, n);
			if (ret > 0 && ret < n)		/* no more to be had */
				left = ret;
			if (ret > 0 && ret < wanted)
				ret = -EFAULT;
			n = ret;
		} else if (ret == -EAGAIN) {
			WRITE_ONCE(ef->room_wanted, wanted);
			if (may_wait(iocb))
				ret = wait_event_interruptible(queue->writers,
							       queue_room(queue) >= wanted);
		}
		if (ret < 0)
			break;
	}
	if (done && READ_ONCE(ef->room_wanted) != 1)
		WRITE_ONCE(ef->room_wanted, 1);
	return done ?: ret;
}

static __poll_t queue_poll(struct file *file, poll_table *wait)
{
	struct echo_file *ef = file->private_data;
	struct echo_queue *queue = to_queue(ef->dev);
	__poll_t events = 0;

	if (file->f_mode & FMODE_READ)
		poll_wait(file, &queue->readers, wait);
	if (file->f_mode & FMODE_WRITE)
		poll_wait(file, &queue->writers, wait);
	/* Be seen as waiting before looking; pairs with wq_has_sleeper(). */
	smp_mb();

	if ((file->f_mode & FMODE_READ) && READ_ONCE(queue->dev.length))
		events |= EPOLLIN | EPOLLRDNORM;
	if ((file->f_mode & FMODE_WRITE) &&
	    queue_room(queue) >= READ_ONCE(ef->room_wanted))
		events |= EPOLLOUT | EPOLLWRNORM;
	return events;
}

static int queue_fasync(int fd, struct file *file, int on)
{
	struct echo_queue *queue = to_queue(to_device(file));
	int ret = 0;

	if (file->f_mode & FMODE_READ)
		ret = fasync_helper(fd, file, on, &queue->readers_async);
	if (ret >= 0 && (file->f_mode & FMODE_WRITE)) {
		ret = fasync_helper(fd, file, on, &queue->writers_async);
		if (ret < 0)
			fasync_helper(-1, file, 0, &queue->readers_async);
	}
	return ret;
}

static loff_t queue_llseek(struct file *file, loff_t offset, int whence)
{
	return -ESPIPE;
}

/* What both do alike */

/*
 * While the first has its node and the second has not, the module may still fail to load,
 * and is freed then, whoever has a file open.
 */
static bool both_registered;

static int echo_open(struct inode *inode, struct file *file)
{
	struct echo_device *dev = container_of(file->private_data, struct echo_device, misc);
	struct echo_file *ef;

	if (!READ_ONCE(both_registered))
		return -ENODEV;
	ef = kmalloc(sizeof(*ef), GFP_KERNEL_ACCOUNT);
	if (!ef)
		return -ENOMEM;
	ef->dev = dev;
	ef->room_wanted = 1;
	file->private_data = ef;
	file->f_mode |= FMODE_NOWAIT;
	atomic_inc(&dev->open_count);
	atomic64_inc(&dev->open_total);
	return 0;
}

static int message_open(struct inode *inode, struct file *file)
{
	int err = echo_open(inode, file);

	if (err)
		return err;
	/* Threads that share the file take turns at its offset, as on a regular file. */
	file->f_mode |= FMODE_ATOMIC_POS;
	if (file->f_flags & O_TRUNC)
		message_clear(to_device(file));
	return 0;
}

static int queue_open(struct inode *inode, struct file *file)
{
	int err = echo_open(inode, file);

	if (err)
		return err;
	stream_open(inode, file);
	/* sendfile() reads from nothing else; lseek() gets ESPIPE all the same. */
	file->f_mode |= FMODE_LSEEK;
	return 0;
}

static int echo_release(struct inode *inode, struct file *file)
{
	struct echo_file *ef = file->private_data;

	atomic_dec(&ef->dev->open_count);
	kfree(ef);
	return 0;
}

static struct echo_stats echo_get_stats(struct echo_device *dev)
{
	guard(mutex)(&dev->lock);
	return (struct echo_stats) {
		.open_count = atomic_read(&dev->open_count),
		.open_total = atomic64_read(&dev->open_total),
		.bytes_written = dev->bytes_written,
		.bytes_read = dev->bytes_read,
		.length = dev->length,
		.capacity = capacity,
	};
}

static long echo_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct echo_device *dev = to_device(file);
	struct echo_stats stats;

	switch (cmd) {
	case ECHO_IOC_NOP:
		return 0;
	case ECHO_IOC_CLEAR:
		if (!(file->f_mode & FMODE_WRITE))
			return -EBADF;
		dev->clear(dev);
		return 0;
	case ECHO_IOC_GET_STATS:
		stats = echo_get_stats(dev);
		return copy_to_user((void __user *)arg, &stats, sizeof(stats)) ? -EFAULT : 0;
	default:
		return -ENOTTY;
	}
}

static void echo_show_fdinfo(struct seq_file *seq, struct file *file)
{
	seq_printf(seq, "echo-length:\t%zu\necho-capacity:\t%u\n",
		   READ_ONCE(to_device(file)->length), capacity);
}

/* sysfs: /sys/class/misc/echo/ and echo_fifo/ */

static struct echo_stats stats_of(struct device *device)
{
	struct miscdevice *misc = dev_get_drvdata(device);

	return echo_get_stats(container_of(misc, struct echo_device, misc));
}

static ssize_t capacity_show(struct device *device, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", stats_of(device).capacity);
}
static DEVICE_ATTR_RO(capacity);

static ssize_t length_show(struct device *device, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", stats_of(device).length);
}
static DEVICE_ATTR_RO(length);

static ssize_t open_count_show(struct device *device, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", stats_of(device).open_count);
}
static DEVICE_ATTR_RO(open_count);

static ssize_t bytes_read_show(struct device *device, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", stats_of(device).bytes_read);
}
static DEVICE_ATTR_RO(bytes_read);

static ssize_t bytes_written_show(struct device *device, struct device_attribute *attr,
				  char *buf)
{
	return sysfs_emit(buf, "%llu\n", stats_of(device).bytes_written);
}
static DEVICE_ATTR_RO(bytes_written);

static struct attribute *echo_attrs[] = {
	&dev_attr_capacity.attr,
	&dev_attr_length.attr,
	&dev_attr_open_count.attr,
	&dev_attr_bytes_read.attr,
	&dev_attr_bytes_written.attr,
	NULL
};
ATTRIBUTE_GROUPS(echo);

static const struct file_operations message_fops = {
	.owner		= THIS_MODULE,
	.open		= message_open,
	.release	= echo_release,
	.llseek		= message_llseek,
	.read_iter	= message_read_iter,
	.write_iter	= message_write_iter,
	.splice_read	= copy_splice_read,
	.splice_write	= iter_file_splice_write,
	.unlocked_ioctl	= echo_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.show_fdinfo	= echo_show_fdinfo,
};

static const struct file_operations queue_fops = {
	.owner		= THIS_MODULE,
	.open		= queue_open,
	.release	= echo_release,
	.llseek		= queue_llseek,
	.read_iter	= queue_read_iter,
	.write_iter	= queue_write_iter,
	.splice_read	= copy_splice_read,
	.splice_write	= iter_file_splice_write,
	.poll		= queue_poll,
	.fasync		= queue_fasync,
	.unlocked_ioctl	= echo_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.show_fdinfo	= echo_show_fdinfo,
};

static struct echo_message message = {
	.dev = {
		.misc = {
			.minor = MISC_DYNAMIC_MINOR,
			.name = "echo",
			.fops = &message_fops,
			.groups = echo_groups,
		},
		.lock = __MUTEX_INITIALIZER(message.dev.lock),
		.clear = message_clear,
	},
};

static struct echo_queue queue = {
	.dev = {
		.misc = {
			.minor = MISC_DYNAMIC_MINOR,
			.name = "echo_fifo",
			.fops = &queue_fops,
			.groups = echo_groups,
		},
		.lock = __MUTEX_INITIALIZER(queue.dev.lock),
		.clear = queue_clear,
	},
	.readers = __WAIT_QUEUE_HEAD_INITIALIZER(queue.readers),
	.writers = __WAIT_QUEUE_HEAD_INITIALIZER(queue.writers),
};

static int __init check_parameters(void)
{
	if (!capacity || capacity > CAPACITY_MAX) {
		pr_err("capacity=%u refused: give 1 to %u bytes\n", capacity, CAPACITY_MAX);
		return -EINVAL;
	}
	if (mode & ~0777) {
		pr_err("mode=0%o refused: give octal permissions, 0 to 0777\n", mode);
		return -EINVAL;
	}
	if (strlen(greeting) > capacity) {
		pr_err("greeting refused: it is longer than capacity=%u; raise that\n", capacity);
		return -EINVAL;
	}
	return 0;
}

static void free_buffers(void)
{
	kvfree(message.dev.data);
	kvfree(message.spare);
	kvfree(queue.dev.data);
}

/* Zeroed, so that no mistake can show a user what the memory held before. */
static int __init alloc_buffers(void)
{
	message.dev.data = kvzalloc(capacity, GFP_KERNEL | __GFP_NOWARN);
	message.spare = kvzalloc(capacity, GFP_KERNEL | __GFP_NOWARN);
	queue.dev.data = kvzalloc(capacity, GFP_KERNEL | __GFP_NOWARN);
	if (message.dev.data && message.spare && queue.dev.data)
		return 0;
	free_buffers();
	pr_err("no memory for three buffers: lower capacity=%u\n", capacity);
	return -ENOMEM;
}

static int __init register_device(struct echo_device *dev)
{
	int err;

	dev->misc.mode = S_IFCHR | mode;	/* mode=0 shall not mean the default */
	err = misc_register(&dev->misc);
	if (err)
		pr_err("cannot register /dev/%s: error %d; is there another such device?\n",
		       dev->misc.name, err);
	return err;
}

static int __init echo_init(void)
{
	int err;

	err = check_parameters();
	if (err)
		return err;
	err = alloc_buffers();
	if (err)
		return err;
	message.dev.length = strlen(greeting);
	memcpy(message.dev.data, greeting, message.dev.length);
	err = register_device(&message.dev);
	if (err)
		goto free;
	err = register_device(&queue.dev);
	if (err)
		goto deregister;
	WRITE_ONCE(both_registered, true);
	pr_info("loaded, capacity=%u\n", capacity);
	return 0;

deregister:
	misc_deregister(&message.dev.misc);
free:
	free_buffers();
	return err;
}

static void __exit echo_exit(void)
{
	misc_deregister(&queue.dev.misc);
	misc_deregister(&message.dev.misc);
	free_buffers();
	pr_info("unloaded\n");
}

module_init(echo_init);
module_exit(echo_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("/dev/echo and /dev/echo_fifo: character devices that give back what was written");
MODULE_VERSION(KMK_VERSION);
