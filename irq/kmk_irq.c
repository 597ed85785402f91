// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_irq - counts the interrupts of a line and keeps the last ones
 *
 * Shares a real interrupt line with its drivers, or makes a simulated one that
 * is raised by writing to sysfs. Each interrupt becomes an event in a ring;
 * every open file of /dev/irq_events reads the ring with a cursor of its own.
 *
 * Data:   ring, the events, the counts, and how far the readers have come;
 *         struct reader, the cursor of one open file;
 *         sim, the simulated line.
 * Locks:  ring.lock (raw, irqs off) guards the events, the counts and the
 *         cursors; never held over user memory.
 *         sim.lock (raw) lets one CPU raise the simulated line at a time; the
 *         handler takes ring.lock inside it.
 * Context: the handler of a real line runs where the kernel runs the line's
 *         other handlers: in hard-IRQ context, or in a thread (PREEMPT_RT,
 *         threadirqs). That of the simulated line runs in hard-IRQ context,
 *         always. Readers are woken from an irq_work, which may take the wait
 *         queue's lock on PREEMPT_RT too. All else is process context.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/build_bug.h>
#include <linux/cpumask.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irq_work.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/stat.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/uio.h>
#include <linux/wait.h>

#include <kmk/compat.h>
#include <kmk/version.h>
#include <kmodkit/irq_events.h>

#define CREATE_TRACE_POINTS
#include "trace.h"

#define RING_SIZE_MAX	1048576U
#define TRIGGER_MAX	1000000U

static_assert(sizeof(struct kmk_irq_event) == 32);
static_assert(offsetof(struct kmk_irq_event, data) == 24);

static int irq_param = 1;
module_param_named(irq, irq_param, int, 0444);
MODULE_PARM_DESC(irq, "line to share (default 1, a PC's keyboard); -1: a simulated line");

static unsigned int ring_size = 100;
module_param(ring_size, uint, 0444);
MODULE_PARM_DESC(ring_size, "events kept (default 100, 1 to 1048576)");

static bool claim;
module_param(claim, bool, 0444);
MODULE_PARM_DESC(claim, "answer for the interrupts of a real line (default 0: observe only)");

static ushort mode = 0600;
module_param(mode, ushort, 0444);
MODULE_PARM_DESC(mode, "octal permissions of /dev/irq_events (default 0600)");

/*
 * The event numbered count is the newest; the size newest are kept. A reader
 * skips only what is no longer kept, so of the events up to frontier, the
 * newest one that any reader had, all but lost were had by some reader.
 */
static struct {
	raw_spinlock_t lock;
	/* Where the slots are, and how many, is set once, before there are interrupts. */
	struct kmk_irq_event *slots __pt_guarded_by(&lock);
	u32 size;
	u32 next __guarded_by(&lock);	/* the slot of the next event */
	u64 count __guarded_by(&lock);
	u64 frontier __guarded_by(&lock);
	u64 lost __guarded_by(&lock);
	wait_queue_head_t wait;
	struct fasync_struct *fasync;
} ring = {
	.lock = __RAW_SPIN_LOCK_UNLOCKED(ring.lock),
	.wait = __WAIT_QUEUE_HEAD_INITIALIZER(ring.wait),
};

static DEFINE_PER_CPU(u64, cpu_count) __guarded_by(&ring.lock);

struct reader {
	u64 seen __guarded_by(&ring.lock);	/* the last event taken or missed */
	u64 missed __guarded_by(&ring.lock);
};

static struct {
	raw_spinlock_t lock;
	/* For the handler that the lock's holder runs; that of a real line finds 0, always. */
	u64 data __guarded_by(&lock);
} sim = {
	.lock = __RAW_SPIN_LOCK_UNLOCKED(sim.lock),
};

static unsigned int line;
static irqreturn_t answer;
static bool unloading;

static bool simulated(void)
{
	return irq_param == -1;
}

/* The ring */

/* How many events are no longer kept, which is the number of the last such. */
static u64 ring_gone(void)
	__must_hold(&ring.lock)
{
	lockdep_assert_held(&ring.lock);
	return ring.count > ring.size ? ring.count - ring.size : 0;
}

static void ring_push(u32 irq, u64 data)
{
	struct kmk_irq_event *slot;
	unsigned long flags;

	raw_spin_lock_irqsave(&ring.lock, flags);
	slot = &ring.slots[ring.next];
	if (++ring.next == ring.size)
		ring.next = 0;
	slot->timestamp_ns = ktime_get_ns();
	slot->seq = ++ring.count;
	slot->irq = irq;
	slot->cpu = smp_processor_id();
	slot->data = data;
	__this_cpu_inc(cpu_count);
	trace_kmk_irq_event(slot);
	raw_spin_unlock_irqrestore(&ring.lock, flags);
}

/*
 * Take the next event for @reader out; false if none is new. It counts as had
 * from here on: copying to user memory cannot be done under the lock.
 */
static bool ring_take(struct reader *reader, struct kmk_irq_event *event)
{
	u32 behind, slot;
	u64 gone;

	raw_spin_lock_irq(&ring.lock);
	gone = ring_gone();
	if (reader->seen < gone) {
		reader->missed += gone - reader->seen;
		reader->seen = gone;
	}
	behind = ring.count - reader->seen;
	if (behind) {
		slot = ring.next >= behind ? ring.next - behind :
					     ring.next + ring.size - behind;
		*event = ring.slots[slot];
		reader->seen++;
		if (ring.frontier < reader->seen) {
			ring.lost += reader->seen - ring.frontier - 1;
			ring.frontier = reader->seen;
		}
	}
	raw_spin_unlock_irq(&ring.lock);
	return behind;
}

/*
 * The event @seq could not be delivered: the next read of the file gets it, or
 * misses it if another one has gone past it meanwhile.
 */
static void ring_put_back(struct reader *reader, u64 seq)
{
	raw_spin_lock_irq(&ring.lock);
	if (reader->seen == seq)
		reader->seen--;
	else
		reader->missed++;
	raw_spin_unlock_irq(&ring.lock);
}

static bool ring_has_news(const struct reader *reader)
{
	bool news;

	raw_spin_lock_irq(&ring.lock);
	news = ring.count > reader->seen;
	raw_spin_unlock_irq(&ring.lock);
	return news;
}

static u64 ring_count(void)
{
	u64 count;

	raw_spin_lock_irq(&ring.lock);
	count = ring.count;
	raw_spin_unlock_irq(&ring.lock);
	return count;
}

/* How many were overwritten before any reader had them. */
static u64 ring_dropped(void)
{
	u64 dropped, gone;

	raw_spin_lock_irq(&ring.lock);
	gone = ring_gone();
	dropped = ring.lost;
	if (gone > ring.frontier)
		dropped += gone - ring.frontier;
	raw_spin_unlock_irq(&ring.lock);
	return dropped;
}

/* The interrupt */

static void wake_readers(struct irq_work *work)
{
	wake_up_interruptible_poll(&ring.wait, EPOLLIN | EPOLLRDNORM);
	kill_fasync(&ring.fasync, SIGIO, POLL_IN);
}

static struct irq_work wake_work;

static irqreturn_t irq_events_handler(int irq, void *dev_id)
{
	ring_push(irq, READ_ONCE(sim.data));
	/* The barrier in wq_has_sleeper() pairs with the sleepers' own. */
	if (wq_has_sleeper(&ring.wait) || READ_ONCE(ring.fasync))
		irq_work_queue(&wake_work);
	return answer;
}

/* The simulated line */

struct raise {
	struct irq_work work;
	u64 data;
};

/*
 * Hard-IRQ context, interrupts off. The flow handler ignores an interrupt that
 * comes while another CPU handles one: each CPU waits for its turn.
 */
static void sim_raise(struct irq_work *work)
{
	struct raise *raise = container_of(work, struct raise, work);

	raw_spin_lock(&sim.lock);
	WRITE_ONCE(sim.data, raise->data);
	generic_handle_irq(line);
	raw_spin_unlock(&sim.lock);
}

static int sim_trigger(u32 times, u64 data)
{
	struct raise raise = {
		.work = IRQ_WORK_INIT_HARD(sim_raise),
		.data = data,
	};

	while (times--) {
		/* Not restarted: that would raise the first ones again. */
		if (signal_pending(current))
			return -EINTR;
		if (READ_ONCE(unloading))
			return -ENODEV;
		irq_work_queue(&raise.work);
		irq_work_sync(&raise.work);
		cond_resched();
	}
	return 0;
}

static int sim_create(void)
{
	/* Owned by nobody: an owner is pinned for as long as the line is in use. */
	int irq = __irq_alloc_descs(-1, 1, 1, NUMA_NO_NODE, NULL, NULL);

	if (irq < 0)
		return irq;
	irq_set_chip_and_handler_name(irq, &dummy_irq_chip, handle_simple_irq,
				      "simulated");
	irq_modify_status(irq, IRQ_NOREQUEST, IRQ_NOPROBE);
	return irq;
}

/* /dev/irq_events */

static int irq_events_open(struct inode *inode, struct file *file)
{
	struct reader *reader = kzalloc(sizeof(*reader), GFP_KERNEL_ACCOUNT);

	if (!reader)
		return -ENOMEM;
	raw_spin_lock_irq(&ring.lock);
	reader->seen = ring_gone();
	raw_spin_unlock_irq(&ring.lock);
	file->private_data = reader;
	file->f_mode |= FMODE_NOWAIT;
	return stream_open(inode, file);
}

static int irq_events_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

/* Hand over what is new and fits; 0 if nothing is new. */
static ssize_t read_events(struct reader *reader, struct iov_iter *to)
{
	size_t room = min_t(size_t, iov_iter_count(to) / sizeof(struct kmk_irq_event),
			    ring.size);
	struct kmk_irq_event event;
	ssize_t done;

	for (done = 0; room--; done += sizeof(event)) {
		if (!ring_take(reader, &event))
			break;
		if (copy_to_iter(&event, sizeof(event), to) != sizeof(event)) {
			ring_put_back(reader, event.seq);
			return done ? done : -EFAULT;
		}
	}
	return done;
}

static ssize_t irq_events_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct file *file = iocb->ki_filp;
	struct reader *reader = file->private_data;
	ssize_t ret;

	if (iov_iter_count(to) < sizeof(struct kmk_irq_event))
		return -EINVAL;
	for (;;) {
		ret = read_events(reader, to);
		if (ret)
			return ret;
		if (file->f_flags & O_NONBLOCK || iocb->ki_flags & IOCB_NOWAIT)
			return -EAGAIN;
		ret = wait_event_interruptible(ring.wait, ring_has_news(reader));
		if (ret)
			return ret;
	}
}

static __poll_t irq_events_poll(struct file *file, poll_table *wait)
{
	poll_wait(file, &ring.wait, wait);
	/* On the queue first, then look: see irq_events_handler(). */
	smp_mb();
	return ring_has_news(file->private_data) ? EPOLLIN | EPOLLRDNORM : 0;
}

static int irq_events_fasync(int fd, struct file *file, int on)
{
	return fasync_helper(fd, file, on, &ring.fasync);
}

static void irq_events_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct reader *reader = file->private_data;
	u64 seen, missed, pending, oldest;

	raw_spin_lock_irq(&ring.lock);
	seen = reader->seen;
	oldest = max(seen, ring_gone());
	missed = reader->missed + oldest - seen;
	pending = ring.count - oldest;
	raw_spin_unlock_irq(&ring.lock);
	seq_printf(m, "seen:\t%llu\npending:\t%llu\nmissed:\t%llu\n",
		   seen, pending, missed);
}

static const struct file_operations irq_events_fops = {
	.owner = THIS_MODULE,
	.open = irq_events_open,
	.release = irq_events_release,
	.read_iter = irq_events_read_iter,
	.poll = irq_events_poll,
	.fasync = irq_events_fasync,
	.show_fdinfo = irq_events_show_fdinfo,
};

/* /sys/class/misc/irq_events/ */

static ssize_t irq_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", line);
}
static DEVICE_ATTR_RO(irq);

static ssize_t count_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", ring_count());
}
static DEVICE_ATTR_RO(count);

/* As /sys/kernel/irq/N/per_cpu_count: one number for each possible CPU. */
static ssize_t per_cpu_count_show(struct device *dev, struct device_attribute *attr,
				  char *buf)
{
	const char *separator = "";
	ssize_t len = 0;
	u64 count;
	int cpu;

	for_each_possible_cpu(cpu) {
		raw_spin_lock_irq(&ring.lock);
		count = *per_cpu_ptr(&cpu_count, cpu);
		raw_spin_unlock_irq(&ring.lock);
		len += sysfs_emit_at(buf, len, "%s%llu", separator, count);
		separator = ",";
	}
	len += sysfs_emit_at(buf, len, "\n");
	return len;
}
static DEVICE_ATTR_RO(per_cpu_count);

static ssize_t dropped_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", ring_dropped());
}
static DEVICE_ATTR_RO(dropped);

/* "N" or "N DATA": EINVAL if it is neither, ERANGE if a number is too big. */
static int parse_trigger(const char *buf, u32 *times, u64 *data)
{
	char text[64], *rest, *word;
	int err;

	if (strscpy(text, buf, sizeof(text)) < 0)
		return -EINVAL;
	rest = strim(text);
	word = strsep(&rest, " ");
	err = kstrtou32(word, 0, times);
	if (err)
		return err;
	if (!*times || *times > TRIGGER_MAX)
		return -ERANGE;
	*data = 0;
	return rest ? kstrtou64(rest, 0, data) : 0;
}

static ssize_t trigger_store(struct device *dev, struct device_attribute *attr,
			     const char *buf, size_t size)
{
	u32 times;
	u64 data;
	int err;

	if (!simulated())
		return -EOPNOTSUPP;
	err = parse_trigger(buf, &times, &data);
	if (!err)
		err = sim_trigger(times, data);
	return err ? err : size;
}
static DEVICE_ATTR_WO(trigger);

static struct attribute *irq_events_attrs[] = {
	&dev_attr_irq.attr,
	&dev_attr_count.attr,
	&dev_attr_per_cpu_count.attr,
	&dev_attr_dropped.attr,
	&dev_attr_trigger.attr,
	NULL,
};
ATTRIBUTE_GROUPS(irq_events);

static struct miscdevice irq_events_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "irq_events",
	.fops = &irq_events_fops,
	.groups = irq_events_groups,
};

/* Load and unload */

static int __init check_parameters(void)
{
	if (!ring_size || ring_size > RING_SIZE_MAX) {
		pr_err("ring_size=%u: give 1 to %u\n", ring_size, RING_SIZE_MAX);
		return -EINVAL;
	}
	if (mode > 0777) {
		pr_err("mode=0%o: give permissions in octal, 0 to 0777\n", mode);
		return -EINVAL;
	}
	return 0;
}

/* The kernel's own complaint about a line that cannot be shared is left to us. */
#define REQUEST_FLAGS (IRQF_SHARED | IRQF_PROBE_SHARED)

static int __init request_real_line(void)
{
	struct irq_data *data = irq_get_irq_data(irq_param);
	int err = -EINVAL;

	line = irq_param;
	answer = claim ? IRQ_HANDLED : IRQ_NONE;
	/* One that each processor has for itself is not shared: the kernel warns of a try. */
	if (!data || !irqd_is_per_cpu(data))
		err = request_irq(line, irq_events_handler, REQUEST_FLAGS, KBUILD_MODNAME, &ring);
	if (err)
		pr_err("irq=%d cannot be shared (error %d): take another line of /proc/interrupts, or irq=-1 to simulate one\n",
		       irq_param, err);
	return err;
}

static int __init request_simulated_line(void)
{
	int irq, err;

	irq = sim_create();
	if (irq < 0) {
		pr_err("no simulated line (error %d): give a real one, irq=N\n", irq);
		return irq;
	}
	line = irq;
	answer = IRQ_HANDLED;
	/* Threaded, it would run once for several interrupts. */
	err = request_irq(line, irq_events_handler, REQUEST_FLAGS | IRQF_NO_THREAD,
			  KBUILD_MODNAME, &ring);
	if (err) {
		pr_err("no handler on the simulated line (error %d): give a real one, irq=N\n",
		       err);
		irq_free_descs(line, 1);
	}
	return err;
}

static void release_line(void)
{
	free_irq(line, &ring);
	irq_work_sync(&wake_work);
	if (simulated())
		irq_free_descs(line, 1);
}

static int __init kmk_irq_init(void)
{
	int err = check_parameters();

	if (err)
		return err;

	init_irq_work(&wake_work, wake_readers);
	ring.size = ring_size;
	ring.slots = kvcalloc(ring_size, sizeof(*ring.slots), GFP_KERNEL | __GFP_NOWARN);
	if (!ring.slots) {
		pr_err("no memory for %u events: give a smaller ring_size\n", ring_size);
		return -ENOMEM;
	}

	err = simulated() ? request_simulated_line() : request_real_line();
	if (err)
		goto free_slots;

	irq_events_device.mode = S_IFCHR | mode;	/* 0 would mean "the default" */
	err = misc_register(&irq_events_device);
	if (err) {
		pr_err("/dev/irq_events cannot be made (error %d): unload what has that name\n",
		       err);
		goto free_line;
	}

	pr_info("loaded, %s line %u, ring of %u events\n",
		simulated() ? "simulated" : "shared", line, ring_size);
	return 0;

free_line:
	release_line();
free_slots:
	kvfree(ring.slots);
	return err;
}

static void __exit kmk_irq_exit(void)
{
	u64 count;

	WRITE_ONCE(unloading, true);
	misc_deregister(&irq_events_device);
	/* Before the call that DEBUG_SHIRQ makes when a handler goes: it is no interrupt. */
	count = ring_count();
	release_line();
	kvfree(ring.slots);
	pr_info("unloaded, %llu interrupts counted\n", count);
}

module_init(kmk_irq_init);
module_exit(kmk_irq_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("Counts the interrupts of a shared or simulated line and keeps the last ones");
MODULE_VERSION(KMK_VERSION);
