// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_echo - two character devices that give back what was written
 *
 * /dev/echo holds the last message, as a small file does: a write at offset 0
 * replaces it, a write further on continues it, a read ends at its end.
 * /dev/echo_fifo is a queue of bytes: what one process writes another reads,
 * once; an empty queue blocks readers, a full one blocks writers.
 *
 * Data: a struct echo_device each. The bytes of a message lie in a struct
 * echo_text, which its users keep alive; those of the queue lie in a ring.
 *
 * Locks: the spinlock of the device guards everything but the bytes. Bytes are
 * copied without it, since userfaultfd or FUSE can block an access to user
 * memory indefinitely:
 * - /dev/echo: bytes that a reader may see never change. A reader uses the text
 *   and copies from it, a writer copies into a text of its own, both without a
 *   lock. patch_lock, for writes that need the bytes of the message before, is
 *   taken when the user's bytes are here already.
 * - /dev/echo_fifo: readers wait in line, and so do writers. The first in line
 *   has the reading end, or the writing end, to itself while it copies. It
 *   delays those in the same line, whom a signal ends, and nobody else.
 *
 * Context: process context only.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/build_bug.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/splice.h>
#include <linux/stat.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/termios.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/wait.h>

#include <kmk/compat.h>
#include <kmk/mode.h>
#include <kmk/version.h>
#include <kmodkit/echo.h>

#define CREATE_TRACE_POINTS
#include "trace.h"

#define ECHO_CAPACITY_MAX	SZ_16M

/* Replaced messages that stalled readers may keep, at the cost of their writers. */
#define ECHO_KEPT_MAX		8

static_assert(sizeof(struct echo_stats) == ECHO_STATS_SIZE_VER0);

static unsigned int capacity = 4096;
module_param(capacity, uint, 0444);
MODULE_PARM_DESC(capacity, "bytes that each device holds, 1 to 16777216 (default 4096)");

static umode_t mode = 0666;
module_param(mode, kmk_mode, 0444);
MODULE_PARM_DESC(mode, "permissions of the device nodes, octal (default 0666)");

static char *greeting = "";
module_param(greeting, charp, 0444);
MODULE_PARM_DESC(greeting, "what /dev/echo holds after load (default nothing)");

/*
 * struct echo_device - what both devices have
 * @misc: the node and its sysfs directory
 * @length: bytes held
 * @bytes_read: bytes handed to readers, ever
 * @bytes_written: bytes stored, ever
 * @open_count: files open now
 * @open_total: files opened, ever
 * @clear: forget what is held
 */
struct echo_device {
	struct miscdevice misc;
	spinlock_t lock;	/* never held over a copy */
	size_t length __guarded_by(&lock);
	u64 bytes_read __guarded_by(&lock);
	u64 bytes_written __guarded_by(&lock);
	u64 open_count __guarded_by(&lock);
	u64 open_total __guarded_by(&lock);
	int (*clear)(struct echo_device *dev, bool nowait);
};

/*
 * struct echo_text - room for the bytes of a message
 * @users: those who have a pointer to it; the message itself is one
 * @stock: allocated at load: never freed, unused while @users is 0
 * @kept: replaced, and counted by echo_message.kept until its users are gone
 * @size: bytes at @data
 *
 * The device's lock guards @users and @kept. The caller that allocated a text writes
 * its bytes. Once a text is published, only bytes behind the message's length are
 * written, with patch_lock held.
 */
struct echo_text {
	unsigned int users;
	bool stock;
	bool kept;
	size_t size;
	char *data;
};

/*
 * struct echo_message - /dev/echo
 * @dev: the message is @dev.length bytes of @text
 * @text: NULL: the message is empty
 * @kept: texts that were replaced, and still have users
 * @stock: texts of @capacity bytes, which serve while nobody stalls
 * @patch_lock: makes writes wait for one another that need the message before
 */
struct echo_message {
	struct echo_device dev;
	struct echo_text *text __guarded_by(&dev.lock);
	unsigned int kept __guarded_by(&dev.lock);
	struct echo_text *stock[2];
	struct mutex patch_lock;	/* bytes of the text behind the length */
};

/*
 * struct echo_side - the reading end or the writing end of the queue
 * @busy: a caller is copying, and has the side to itself
 * @line: those who wait for that, or for bytes or room; served in this order
 * @missed: pollers were not woken for bytes or room, as callers in line came first
 * @news: for pollers, who are told after the lock is released
 * @pollers: wait in poll()
 * @async: files that want SIGIO
 */
struct echo_side {
	bool busy;
	struct list_head line;
	bool missed;
	bool news;
	wait_queue_head_t pollers;
	struct fasync_struct *async;
};

/*
 * struct echo_turn - a caller that waits
 * @node: in echo_side.line
 * @task: whom to wake
 * @wanted: how many bytes, or how much room, it waits for
 */
struct echo_turn {
	struct list_head node;
	struct task_struct *task;
	size_t wanted;
};

/*
 * struct echo_queue - /dev/echo_fifo
 * @dev: the lock guards both sides and those in line, too
 * @pages: the ring of @capacity bytes, of which @dev.length are in use
 * @head: where the oldest byte is; used by the caller that made @readers busy
 * @tail: where the next byte goes; used by the caller that made @writers busy
 * @readers: they wait for bytes
 * @writers: they wait for room
 */
struct echo_queue {
	struct echo_device dev;
	struct page **pages;
	size_t head;
	size_t tail;
	struct echo_side readers;
	struct echo_side writers;
};

static struct echo_message *echo_to_message(struct echo_device *dev)
{
	return container_of(dev, struct echo_message, dev);
}

static struct echo_queue *echo_to_queue(struct echo_device *dev)
{
	return container_of(dev, struct echo_queue, dev);
}

static size_t echo_length(struct echo_device *dev)
{
	size_t length;

	spin_lock(&dev->lock);
	length = dev->length;
	spin_unlock(&dev->lock);
	return length;
}

/* /dev/echo */

static void echo_text_free(struct echo_text *text)
{
	if (!text)
		return;
	kvfree(text->data);
	kfree(text);
}

/* A text with one user, or an ERR_PTR(). */
static struct echo_text *echo_text_alloc(size_t size, gfp_t gfp)
{
	struct echo_text *text = kzalloc(sizeof(*text), gfp);

	if (text)
		text->data = kvmalloc(size, gfp);
	if (!text || !text->data) {
		kfree(text);
		return ERR_PTR(gfpflags_allow_blocking(gfp) ? -ENOMEM : -EAGAIN);
	}
	text->users = 1;
	text->size = size;
	return text;
}

/* The same, charged to the caller's memory cgroup; fails rather than call the OOM killer. */
static struct echo_text *echo_text_charge(size_t size, bool nowait)
{
	return echo_text_alloc(size, __GFP_ACCOUNT | __GFP_NOWARN |
			       (nowait ? GFP_NOWAIT : GFP_KERNEL | __GFP_RETRY_MAYFAIL));
}

/* A text of at least @size bytes, from the stock if one is unused. */
static struct echo_text *echo_text_get(struct echo_message *msg, size_t size, bool nowait)
{
	struct echo_text *text;
	int i;

	spin_lock(&msg->dev.lock);
	for (i = 0; i < ARRAY_SIZE(msg->stock); i++) {
		text = msg->stock[i];
		if (!text->users) {
			text->users = 1;
			spin_unlock(&msg->dev.lock);
			return text;
		}
	}
	spin_unlock(&msg->dev.lock);
	return echo_text_charge(size, nowait);
}

/* End a use of @text, which may be NULL. Returns what to echo_text_free() without the lock. */
static struct echo_text *echo_text_drop(struct echo_message *msg, struct echo_text *text)
	__must_hold(&msg->dev.lock)
{
	lockdep_assert_held(&msg->dev.lock);
	if (!text || --text->users)
		return NULL;
	if (text->kept)
		msg->kept--;
	text->kept = false;
	return text->stock ? NULL : text;
}

static void echo_text_put(struct echo_message *msg, struct echo_text *text)
{
	spin_lock(&msg->dev.lock);
	text = echo_text_drop(msg, text);
	spin_unlock(&msg->dev.lock);
	echo_text_free(text);
}

/*
 * Make @length bytes of @text the message, which takes over the caller's use.
 * Returns what to echo_text_free() without the lock.
 */
static struct echo_text *echo_publish(struct echo_message *msg, struct echo_text *text,
				      size_t length)
	__must_hold(&msg->dev.lock)
{
	struct echo_text *old = msg->text;

	lockdep_assert_held(&msg->dev.lock);
	msg->text = text;
	msg->dev.length = length;
	if (old && old->users > 1) {
		old->kept = true;
		msg->kept++;
	}
	return echo_text_drop(msg, old);
}

static int echo_message_clear(struct echo_device *dev, bool nowait)
{
	struct echo_message *msg = echo_to_message(dev);
	struct echo_text *old;

	spin_lock(&dev->lock);
	old = echo_publish(msg, NULL, 0);
	spin_unlock(&dev->lock);
	echo_text_free(old);
	return 0;
}

static ssize_t echo_message_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct echo_device *dev = iocb->ki_filp->private_data;
	struct echo_message *msg = echo_to_message(dev);
	size_t n = iov_iter_count(to), length, copied;
	loff_t pos = iocb->ki_pos;
	struct echo_text *text, *own = NULL;

	spin_lock(&dev->lock);
	if (unlikely(msg->kept >= ECHO_KEPT_MAX) && n && pos < dev->length) {
		spin_unlock(&dev->lock);
		/* From here on a caller that stalls keeps memory of its own, and no message. */
		own = echo_text_charge(min_t(size_t, n, capacity - pos),
				       iocb->ki_flags & IOCB_NOWAIT);
		if (IS_ERR(own))
			return PTR_ERR(own);
		spin_lock(&dev->lock);
	}
	length = dev->length;
	if (!n || pos >= length) {
		spin_unlock(&dev->lock);
		echo_text_free(own);
		return 0;
	}
	text = msg->text;
	text->users++;
	spin_unlock(&dev->lock);

	n = min_t(size_t, n, length - pos);
	if (own) {
		memcpy(own->data, text->data + pos, n);
		echo_text_put(msg, text);
		text = own;
		pos = 0;
	}
	copied = copy_to_iter(text->data + pos, n, to);

	spin_lock(&dev->lock);
	dev->bytes_read += copied;
	text = echo_text_drop(msg, text);
	spin_unlock(&dev->lock);
	echo_text_free(text);
	if (!copied)
		return -EFAULT;
	trace_kmk_echo_read(false, copied, length);
	iocb->ki_pos += copied;
	return copied;
}

/* A write at offset 0: the @n bytes of @text become the message. */
static ssize_t echo_replace(struct echo_message *msg, struct kiocb *iocb,
			    struct echo_text *text, size_t n)
{
	struct echo_text *old;

	spin_lock(&msg->dev.lock);
	old = echo_publish(msg, text, n);
	msg->dev.bytes_written += n;
	spin_unlock(&msg->dev.lock);
	echo_text_free(old);
	trace_kmk_echo_write(false, n, n);
	iocb->ki_pos = n;
	return n;
}

/*
 * Up to @n bytes at @piece go to their place in the message. If that is replaced or
 * emptied meanwhile, this write came before, and no more shows of it. Where the bytes do
 * not fit in behind the message they go to *@spare, with what is there already: 0 if that
 * has less than *@room bytes, which are set.
 */
static ssize_t echo_patch_locked(struct echo_message *msg, struct kiocb *iocb, const char *piece,
				 size_t n, struct echo_text **spare, size_t *room)
	__must_hold(&msg->patch_lock)
{
	struct echo_text *base, *next, *unused = NULL;
	size_t length, pos, end;
	ssize_t ret;

	lockdep_assert_held(&msg->patch_lock);
	spin_lock(&msg->dev.lock);
	base = msg->text;
	if (base)
		base->users++;
	length = msg->dev.length;
	spin_unlock(&msg->dev.lock);

	pos = iocb->ki_flags & IOCB_APPEND ? length : iocb->ki_pos;
	ret = -ENOSPC;
	if (pos >= capacity)
		goto put;
	ret = min(n, capacity - pos);
	end = pos + ret;
	next = base;
	if (!base || pos != length || end > base->size) {
		*room = max(length, end);
		next = *spare;
		if (!next || next->size < *room) {
			ret = 0;
			goto put;
		}
		*spare = NULL;
		if (base)
			memcpy(next->data, base->data, length);
		if (pos > length)
			memset(next->data + length, 0, pos - length);
	}
	memcpy(next->data + pos, piece, ret);
	length = max(length, end);
	iocb->ki_pos = end;

	spin_lock(&msg->dev.lock);
	if (msg->text != base) {
		if (next != base)
			unused = echo_text_drop(msg, next);
	} else if (next != base) {
		unused = echo_publish(msg, next, length);
	} else {
		msg->dev.length = length;
	}
	msg->dev.bytes_written += ret;
	spin_unlock(&msg->dev.lock);
	echo_text_free(unused);
	trace_kmk_echo_write(false, ret, length);
put:
	echo_text_put(msg, base);
	return ret;
}

/* Any write but one at offset 0; see above. */
static ssize_t echo_patch(struct echo_message *msg, struct kiocb *iocb,
			  const char *piece, size_t n)
{
	bool nowait = iocb->ki_flags & IOCB_NOWAIT;
	struct echo_text *spare = NULL;
	size_t room;
	ssize_t ret;

	for (;;) {
		ret = nowait ? -EAGAIN : -EINTR;
		if (nowait ? !mutex_trylock(&msg->patch_lock) :
			     mutex_lock_killable(&msg->patch_lock))
			break;
		ret = echo_patch_locked(msg, iocb, piece, n, &spare, &room);
		mutex_unlock(&msg->patch_lock);
		if (ret)
			break;
		/*
		 * Allocate without the lock: memory.high can make a caller wait for minutes.
		 * Twice as much as is needed, for the appends to come, and if the message grows.
		 */
		echo_text_put(msg, spare);
		spare = echo_text_get(msg, min_t(size_t, 2 * room, capacity), nowait);
		if (IS_ERR(spare))
			return PTR_ERR(spare);
	}
	echo_text_put(msg, spare);
	return ret;
}

static ssize_t echo_message_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct echo_message *msg = echo_to_message(iocb->ki_filp->private_data);
	loff_t pos = iocb->ki_flags & IOCB_APPEND ? 0 : iocb->ki_pos;
	size_t n = iov_iter_count(from), copied;
	struct echo_text *text;
	ssize_t ret;

	if (!n)
		return 0;
	if (pos >= capacity)
		return -ENOSPC;
	n = min_t(size_t, n, capacity - pos);
	text = echo_text_get(msg, n, iocb->ki_flags & IOCB_NOWAIT);
	if (IS_ERR(text))
		return PTR_ERR(text);
	copied = copy_from_iter(text->data, n, from);
	if (copied && !iocb->ki_pos && !(iocb->ki_flags & IOCB_APPEND))
		return echo_replace(msg, iocb, text, copied);

	ret = copied ? echo_patch(msg, iocb, text->data, copied) : -EFAULT;
	echo_text_put(msg, text);
	/* Bytes that were not stored are still the caller's. */
	iov_iter_revert(from, copied - max_t(ssize_t, ret, 0));
	return ret;
}

static loff_t echo_message_llseek(struct file *file, loff_t offset, int whence)
{
	return generic_file_llseek_size(file, offset, whence, MAX_LFS_FILESIZE,
					echo_length(file->private_data));
}

/* /dev/echo_fifo */

/* How many bytes are written as one piece, however many write at once. */
static size_t echo_piece(void)
{
	return min_t(size_t, PIPE_BUF, capacity);
}

/* Bytes to be read, or of room. */
static size_t echo_available(struct echo_queue *queue, struct echo_side *side)
	__must_hold(&queue->dev.lock)
{
	lockdep_assert_held(&queue->dev.lock);
	return side == &queue->readers ? queue->dev.length : capacity - queue->dev.length;
}

/* Whether a call on this side that must not wait would get something done. */
static bool echo_side_ready(struct echo_queue *queue, struct echo_side *side)
	__must_hold(&queue->dev.lock)
{
	return !side->busy && list_empty(&side->line) &&
	       echo_available(queue, side) >= (side == &queue->readers ? 1 : echo_piece());
}

/*
 * There are more bytes, there is more room, or the side is no longer busy: wake
 * the first in line if it can go on. Pollers are told when nobody is before them.
 */
static void echo_side_wake(struct echo_queue *queue, struct echo_side *side)
	__must_hold(&queue->dev.lock)
{
	struct echo_turn *first = list_first_entry_or_null(&side->line, struct echo_turn, node);

	if (first && !side->busy && echo_available(queue, side) >= first->wanted)
		wake_up_process(first->task);
	side->missed = first || side->busy;
	/* poll() takes the lock after it has queued, so this cannot miss it. */
	if (waitqueue_active(&side->pollers) || READ_ONCE(side->async))
		side->news = echo_side_ready(queue, side);
}

/* Take the events that pollers are to be told of, behind the lock: see echo_tell(). */
static __poll_t echo_take_news(struct echo_queue *queue)
	__must_hold(&queue->dev.lock)
{
	__poll_t events = 0;

	if (queue->readers.news)
		events |= EPOLLIN | EPOLLRDNORM;
	if (queue->writers.news)
		events |= EPOLLOUT | EPOLLWRNORM;
	queue->readers.news = false;
	queue->writers.news = false;
	return events;
}

/* Users choose how many pollers there are: no caller holds the lock while they are told. */
static void echo_tell(struct echo_queue *queue, __poll_t events)
{
	if (events & EPOLLIN) {
		wake_up_interruptible_poll(&queue->readers.pollers, EPOLLIN | EPOLLRDNORM);
		kill_fasync(&queue->readers.async, SIGIO, POLL_IN);
	}
	if (events & EPOLLOUT) {
		wake_up_interruptible_poll(&queue->writers.pollers, EPOLLOUT | EPOLLWRNORM);
		kill_fasync(&queue->writers.async, SIGIO, POLL_OUT);
	}
}

/*
 * Wait in line until the side is the caller's, to echo_turn_end(), and @wanted bytes are
 * available. Returns how many are. With @wanted 0, wait only for a caller that copies.
 */
static ssize_t echo_turn_begin(struct echo_queue *queue, struct echo_side *side,
			       size_t wanted, bool nowait)
{
	struct echo_turn turn = { .task = current, .wanted = wanted };
	__poll_t events = 0;
	ssize_t ret = 0;

	spin_lock(&queue->dev.lock);
	if (side->busy || (wanted && !list_empty(&side->line)) ||
	    echo_available(queue, side) < wanted) {
		if (wanted)
			list_add_tail(&turn.node, &side->line);
		else
			list_add(&turn.node, &side->line);
		while (side->busy || !list_is_first(&turn.node, &side->line) ||
		       echo_available(queue, side) < wanted) {
			if (nowait)
				ret = -EAGAIN;
			else if (signal_pending(current))
				ret = -ERESTARTSYS;
			if (ret)
				break;
			set_current_state(TASK_INTERRUPTIBLE);
			spin_unlock(&queue->dev.lock);
			schedule();
			spin_lock(&queue->dev.lock);
		}
		list_del(&turn.node);
	}
	if (ret) {
		/* The callers behind may go on; or pollers are woken when there is enough. */
		echo_side_wake(queue, side);
		events = echo_take_news(queue);
	} else {
		side->busy = true;
		ret = echo_available(queue, side);
	}
	spin_unlock(&queue->dev.lock);
	echo_tell(queue, events);
	return ret;
}

/* Returns what echo_tell() needs. */
static __poll_t echo_turn_end(struct echo_queue *queue, struct echo_side *side)
	__must_hold(&queue->dev.lock)
{
	side->busy = false;
	if (side->missed || !list_empty(&side->line))
		echo_side_wake(queue, side);
	return echo_take_news(queue);
}

/* Remove the oldest @n bytes, when the readers' side is the caller's. */
static void echo_queue_remove(struct echo_queue *queue, size_t n)
	__must_hold(&queue->dev.lock)
{
	lockdep_assert_held(&queue->dev.lock);
	if (!n)
		return;
	queue->head = (queue->head + n) % capacity;
	queue->dev.length -= n;
	echo_side_wake(queue, &queue->writers);
}

static int echo_queue_clear(struct echo_device *dev, bool nowait)
{
	struct echo_queue *queue = echo_to_queue(dev);
	__poll_t events;
	ssize_t ret;

	ret = echo_turn_begin(queue, &queue->readers, 0, nowait);
	if (ret < 0)
		return ret;
	spin_lock(&queue->dev.lock);
	echo_queue_remove(queue, dev->length);
	events = echo_turn_end(queue, &queue->readers);
	spin_unlock(&queue->dev.lock);
	echo_tell(queue, events);
	return 0;
}

/*
 * Copy @n bytes out of the ring or into it, as @iter says, from place @at on. Hardened
 * usercopy checks objects of a slab, and not whole pages as these and a pipe's.
 */
static size_t echo_copy(struct echo_queue *queue, size_t at, size_t n, struct iov_iter *iter)
{
	size_t done = 0, part, copied;

	while (done < n) {
		struct page *page = queue->pages[at / PAGE_SIZE];
		size_t offset = offset_in_page(at);

		part = min3(n - done, (size_t)PAGE_SIZE - offset, capacity - at);
		if (iov_iter_rw(iter) == READ)
			copied = copy_page_to_iter(page, offset, part, iter);
		else
			copied = copy_page_from_iter(page, offset, part, iter);
		done += copied;
		if (copied < part)
			break;
		at = (at + part) % capacity;
	}
	return done;
}

static bool echo_queue_nowait(const struct kiocb *iocb)
{
	return (iocb->ki_flags & IOCB_NOWAIT) || (iocb->ki_filp->f_flags & O_NONBLOCK);
}

static ssize_t echo_queue_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct echo_queue *queue = echo_to_queue(iocb->ki_filp->private_data);
	size_t copied, length;
	__poll_t events;
	ssize_t ret;

	if (!iov_iter_count(to))
		return 0;
	ret = echo_turn_begin(queue, &queue->readers, 1, echo_queue_nowait(iocb));
	if (ret < 0)
		return ret;
	copied = echo_copy(queue, queue->head, min_t(size_t, iov_iter_count(to), ret), to);

	spin_lock(&queue->dev.lock);
	echo_queue_remove(queue, copied);
	queue->dev.bytes_read += copied;
	length = queue->dev.length;
	events = echo_turn_end(queue, &queue->readers);
	spin_unlock(&queue->dev.lock);
	echo_tell(queue, events);
	if (!copied)
		return -EFAULT;
	trace_kmk_echo_read(true, copied, length);
	return copied;
}

static ssize_t echo_queue_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct echo_queue *queue = echo_to_queue(iocb->ki_filp->private_data);
	size_t left = iov_iter_count(from), done = 0, n, copied, length;
	size_t wanted = left <= echo_piece() ? left : 1;
	__poll_t events;
	ssize_t ret;

	if (!left)
		return 0;
	do {
		ret = echo_turn_begin(queue, &queue->writers, wanted, echo_queue_nowait(iocb));
		if (ret < 0)
			break;
		n = min_t(size_t, left, ret);
		copied = echo_copy(queue, queue->tail, n, from);
		if (copied < wanted) {
			iov_iter_revert(from, copied);
			copied = 0;
		}
		queue->tail = (queue->tail + copied) % capacity;

		spin_lock(&queue->dev.lock);
		queue->dev.length += copied;
		queue->dev.bytes_written += copied;
		length = queue->dev.length;
		if (copied)
			echo_side_wake(queue, &queue->readers);
		events = echo_turn_end(queue, &queue->writers);
		spin_unlock(&queue->dev.lock);
		echo_tell(queue, events);
		if (copied)
			trace_kmk_echo_write(true, copied, length);
		done += copied;
		left -= copied;
		ret = -EFAULT;
	} while (left && copied == n);
	return done ?: ret;
}

static __poll_t echo_queue_poll(struct file *file, poll_table *wait)
{
	struct echo_queue *queue = echo_to_queue(file->private_data);
	__poll_t events = 0;

	if (file->f_mode & FMODE_READ)
		poll_wait(file, &queue->readers.pollers, wait);
	if (file->f_mode & FMODE_WRITE)
		poll_wait(file, &queue->writers.pollers, wait);

	spin_lock(&queue->dev.lock);
	if (echo_side_ready(queue, &queue->readers))
		events |= EPOLLIN | EPOLLRDNORM;
	if (echo_side_ready(queue, &queue->writers))
		events |= EPOLLOUT | EPOLLWRNORM;
	queue->readers.missed |= queue->readers.busy || !list_empty(&queue->readers.line);
	queue->writers.missed |= queue->writers.busy || !list_empty(&queue->writers.line);
	spin_unlock(&queue->dev.lock);

	if (!(file->f_mode & FMODE_READ))
		events &= ~(EPOLLIN | EPOLLRDNORM);
	if (!(file->f_mode & FMODE_WRITE))
		events &= ~(EPOLLOUT | EPOLLWRNORM);
	return events;
}

static int echo_queue_fasync(int fd, struct file *file, int on)
{
	struct echo_queue *queue = echo_to_queue(file->private_data);
	int ret = 0;

	if (file->f_mode & FMODE_READ)
		ret = fasync_helper(fd, file, on, &queue->readers.async);
	if (ret >= 0 && (file->f_mode & FMODE_WRITE)) {
		ret = fasync_helper(fd, file, on, &queue->writers.async);
		if (ret < 0)
			fasync_helper(-1, file, 0, &queue->readers.async);
	}
	return ret;
}

/* Both devices */

/*
 * Between the registrations of the two devices the module may still fail to load,
 * and the kernel frees it then even if a file is open.
 */
static bool echo_both_registered;

static int echo_open(struct inode *inode, struct file *file)
{
	struct echo_device *dev = container_of(file->private_data, struct echo_device, misc);

	if (!READ_ONCE(echo_both_registered))
		return -ENODEV;
	file->private_data = dev;
	file->f_mode |= FMODE_NOWAIT;
	spin_lock(&dev->lock);
	dev->open_count++;
	dev->open_total++;
	spin_unlock(&dev->lock);
	return 0;
}

/* Called under the lock of all misc devices, so nothing here waits for a copy. */
static int echo_message_open(struct inode *inode, struct file *file)
{
	int err = echo_open(inode, file);

	if (err)
		return err;
	/* Threads that share the file take turns at its offset, as on a regular file. */
	file->f_mode |= FMODE_ATOMIC_POS;
	if (file->f_flags & O_TRUNC)
		echo_message_clear(file->private_data, true);
	return 0;
}

static int echo_queue_open(struct inode *inode, struct file *file)
{
	return echo_open(inode, file) ?: stream_open(inode, file);
}

static int echo_release(struct inode *inode, struct file *file)
{
	struct echo_device *dev = file->private_data;

	spin_lock(&dev->lock);
	dev->open_count--;
	spin_unlock(&dev->lock);
	return 0;
}

static struct echo_stats echo_get_stats(struct echo_device *dev)
{
	struct echo_stats stats;

	spin_lock(&dev->lock);
	stats = (struct echo_stats) {
		.open_count = dev->open_count,
		.open_total = dev->open_total,
		.bytes_written = dev->bytes_written,
		.bytes_read = dev->bytes_read,
		.length = dev->length,
		.capacity = capacity,
	};
	spin_unlock(&dev->lock);
	return stats;
}

static long echo_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct echo_device *dev = file->private_data;
	struct echo_stats stats;

	switch (cmd) {
	case ECHO_IOC_NOP:
		return 0;
	case ECHO_IOC_CLEAR:
		if (!(file->f_mode & FMODE_WRITE))
			return -EBADF;
		return dev->clear(dev, file->f_flags & O_NONBLOCK);
	}
	/* Programs with another version of the structure have another size in the command. */
	if ((cmd & ~IOCSIZE_MASK) != (ECHO_IOC_GET_STATS & ~IOCSIZE_MASK))
		return -ENOTTY;
	if (_IOC_SIZE(cmd) < ECHO_STATS_SIZE_VER0)
		return -EINVAL;
	stats = echo_get_stats(dev);
	return copy_struct_to_user((void __user *)arg, _IOC_SIZE(cmd), &stats, sizeof(stats), NULL);
}

static long echo_queue_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	if (cmd == FIONREAD)
		return put_user((int)echo_length(file->private_data), (int __user *)arg);
	return echo_ioctl(file, cmd, arg);
}

static void echo_show_fdinfo(struct seq_file *seq, struct file *file)
{
	seq_printf(seq, "echo-length:\t%zu\necho-capacity:\t%u\n",
		   echo_length(file->private_data), capacity);
}

/* sysfs: in /sys/class/misc/echo/ and echo_fifo/, members of struct echo_stats */

struct echo_attribute {
	struct device_attribute attr;
	size_t offset;
};

static ssize_t echo_stat_show(struct device *device, struct device_attribute *attr, char *buf)
{
	struct miscdevice *misc = dev_get_drvdata(device);
	struct echo_stats stats = echo_get_stats(container_of(misc, struct echo_device, misc));
	size_t offset = container_of(attr, struct echo_attribute, attr)->offset;

	return sysfs_emit(buf, "%llu\n", *(u64 *)((char *)&stats + offset));
}

static struct echo_attribute echo_attributes[] = {
	{ __ATTR(capacity, 0444, echo_stat_show, NULL), offsetof(struct echo_stats, capacity) },
	{ __ATTR(length, 0444, echo_stat_show, NULL), offsetof(struct echo_stats, length) },
	{ __ATTR(open_count, 0444, echo_stat_show, NULL), offsetof(struct echo_stats, open_count) },
	{ __ATTR(bytes_read, 0444, echo_stat_show, NULL), offsetof(struct echo_stats, bytes_read) },
	{ __ATTR(bytes_written, 0444, echo_stat_show, NULL),
	  offsetof(struct echo_stats, bytes_written) },
};

static struct attribute *echo_attrs[] = {
	&echo_attributes[0].attr.attr,
	&echo_attributes[1].attr.attr,
	&echo_attributes[2].attr.attr,
	&echo_attributes[3].attr.attr,
	&echo_attributes[4].attr.attr,
	NULL
};
ATTRIBUTE_GROUPS(echo);

static const struct file_operations echo_message_fops = {
	.owner		= THIS_MODULE,
	.open		= echo_message_open,
	.release	= echo_release,
	.llseek		= echo_message_llseek,
	.read_iter	= echo_message_read_iter,
	.write_iter	= echo_message_write_iter,
	.splice_read	= copy_splice_read,
	.splice_write	= iter_file_splice_write,
	.fsync		= noop_fsync,
	.unlocked_ioctl	= echo_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.show_fdinfo	= echo_show_fdinfo,
};

/*
 * Without ->splice_read and ->splice_write: splice() and sendfile() would wait for bytes
 * or room with the lock of a pipe held, and lose what its other end did not take.
 */
static const struct file_operations echo_queue_fops = {
	.owner		= THIS_MODULE,
	.open		= echo_queue_open,
	.release	= echo_release,
	.read_iter	= echo_queue_read_iter,
	.write_iter	= echo_queue_write_iter,
	.poll		= echo_queue_poll,
	.fasync		= echo_queue_fasync,
	.unlocked_ioctl	= echo_queue_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.show_fdinfo	= echo_show_fdinfo,
};

static struct echo_message echo_message = {
	.dev = {
		.misc = {
			.minor = MISC_DYNAMIC_MINOR,
			.name = "echo",
			.fops = &echo_message_fops,
			.groups = echo_groups,
		},
		.lock = __SPIN_LOCK_UNLOCKED(echo_message.dev.lock),
		.clear = echo_message_clear,
	},
	.patch_lock = __MUTEX_INITIALIZER(echo_message.patch_lock),
};

static struct echo_queue echo_queue = {
	.dev = {
		.misc = {
			.minor = MISC_DYNAMIC_MINOR,
			.name = "echo_fifo",
			.fops = &echo_queue_fops,
			.groups = echo_groups,
		},
		.lock = __SPIN_LOCK_UNLOCKED(echo_queue.dev.lock),
		.clear = echo_queue_clear,
	},
	.readers = {
		.line = LIST_HEAD_INIT(echo_queue.readers.line),
		.pollers = __WAIT_QUEUE_HEAD_INITIALIZER(echo_queue.readers.pollers),
	},
	.writers = {
		.line = LIST_HEAD_INIT(echo_queue.writers.line),
		.pollers = __WAIT_QUEUE_HEAD_INITIALIZER(echo_queue.writers.pollers),
	},
};

static int __init echo_check_parameters(void)
{
	if (!capacity || capacity > ECHO_CAPACITY_MAX) {
		pr_err("capacity=%u refused: give 1 to %u bytes\n", capacity, ECHO_CAPACITY_MAX);
		return -EINVAL;
	}
	if (strlen(greeting) > capacity) {
		pr_err("greeting refused: it is longer than capacity=%u; raise that\n", capacity);
		return -EINVAL;
	}
	return 0;
}

static unsigned int echo_ring_pages(void)
{
	return DIV_ROUND_UP(capacity, PAGE_SIZE);
}

static void echo_free_buffers(void)
{
	unsigned int i;

	if (echo_message.text && !echo_message.text->stock)
		echo_text_free(echo_message.text);
	for (i = 0; i < ARRAY_SIZE(echo_message.stock); i++)
		echo_text_free(echo_message.stock[i]);
	for (i = 0; echo_queue.pages && i < echo_ring_pages(); i++)
		if (echo_queue.pages[i])
			__free_page(echo_queue.pages[i]);
	kvfree(echo_queue.pages);
}

/* Zeroed, so that no mistake can show a user what the memory held before. */
static int __init echo_alloc_buffers(void)
{
	gfp_t gfp = GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN;
	struct echo_text *text;
	unsigned int i;

	echo_queue.pages = kvcalloc(echo_ring_pages(), sizeof(*echo_queue.pages), gfp);
	if (!echo_queue.pages)
		goto free;
	for (i = 0; i < echo_ring_pages(); i++) {
		echo_queue.pages[i] = alloc_page(gfp);
		if (!echo_queue.pages[i])
			goto free;
	}
	for (i = 0; i < ARRAY_SIZE(echo_message.stock); i++) {
		text = echo_text_alloc(capacity, gfp);
		if (IS_ERR(text))
			goto free;
		text->users = 0;
		text->stock = true;
		echo_message.stock[i] = text;
	}
	return 0;

free:
	echo_free_buffers();
	pr_err("no memory for three buffers: lower capacity=%u\n", capacity);
	return -ENOMEM;
}

static void __init echo_greet(void)
{
	struct echo_text *text = echo_message.stock[0];

	if (!*greeting)
		return;
	text->users = 1;
	echo_message.text = text;
	echo_message.dev.length = strlen(greeting);
	memcpy(text->data, greeting, echo_message.dev.length);
}

static int __init echo_register(struct echo_device *dev)
{
	int err;

	/* The misc core takes mode 0 as unset; S_IFCHR makes it explicit. */
	dev->misc.mode = S_IFCHR | mode;
	err = misc_register(&dev->misc);
	if (err)
		pr_err("cannot register /dev/%s: error %d; is there another such device?\n",
		       dev->misc.name, err);
	return err;
}

static int __init echo_init(void)
{
	int err;

	err = echo_check_parameters();
	if (err)
		return err;
	err = echo_alloc_buffers();
	if (err)
		return err;
	echo_greet();
	err = echo_register(&echo_message.dev);
	if (err)
		goto free;
	err = echo_register(&echo_queue.dev);
	if (err)
		goto deregister;
	WRITE_ONCE(echo_both_registered, true);
	pr_info("loaded, capacity=%u\n", capacity);
	return 0;

deregister:
	misc_deregister(&echo_message.dev.misc);
free:
	echo_free_buffers();
	return err;
}

static void __exit echo_exit(void)
{
	misc_deregister(&echo_queue.dev.misc);
	misc_deregister(&echo_message.dev.misc);
	echo_free_buffers();
	pr_info("unloaded\n");
}

module_init(echo_init);
module_exit(echo_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("/dev/echo and /dev/echo_fifo: character devices that give back what was written");
MODULE_VERSION(KMK_VERSION);
