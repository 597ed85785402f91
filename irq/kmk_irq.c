// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_irq - counts the interrupts of a line and keeps the last ones
 *
 * Joins the handlers of a real interrupt line as an observer, or makes a simulated
 * line that is raised by writing to sysfs. Each interrupt becomes an event in a
 * ring; every open file of /dev/irq_events reads the ring with its own cursor.
 *
 * Data:   ring, the events and the counts;
 *         struct kmk_irq_reader, the cursor of one open file;
 *         line, the line and what the handler says of it: constant once requested;
 *         sim, the simulated line.
 * Locks:  ring.lock (raw; readers turn irqs off) guards the events, the counts and the
 *         cursors. A reader copies at most BATCH events under it to its stack, and
 *         from there to user memory with no lock held.
 *         sim.lock (raw) lets one CPU raise the simulated line at a time; the
 *         handler takes ring.lock inside it.
 * Context: the handler runs in hard-IRQ context, also with threadirqs and on
 *         PREEMPT_RT; only on a line that the kernel handles in the thread of
 *         another one (a GPIO expander behind a slow bus) it runs in that thread.
 *         Readers are woken from an irq_work, which may take the wait queue's
 *         lock on PREEMPT_RT too. All else is process context.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/build_bug.h>
#include <linux/capability.h>
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
#include <linux/time.h>
#include <linux/time_namespace.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/wait.h>

#include <kmk/compat.h>
#include <kmk/mode.h>
#include <kmk/version.h>
#include <kmodkit/irq_events.h>

#define CREATE_TRACE_POINTS
#include "trace.h"

#define RING_SIZE_MAX	1048576U
#define TRIGGER_MAX	1000000U
#define BATCH		8U

static_assert(sizeof(struct kmk_irq_event) == 40);
static_assert(offsetof(struct kmk_irq_event, data) == 24);
static_assert(sizeof(struct kmk_irq_clock) == KMK_IRQ_CLOCK_SIZE_VER0);
static_assert(sizeof(struct kmk_irq_progress) == KMK_IRQ_PROGRESS_SIZE_VER0);

static int irq_param = -1;
module_param_named(irq, irq_param, int, 0444);
MODULE_PARM_DESC(irq, "line to share, which must have a handler; -1: a simulated line (default)");

static unsigned int ring_size = 100;
module_param(ring_size, uint, 0444);
MODULE_PARM_DESC(ring_size, "events kept (default 100, 1 to 1048576)");

static bool claim;
module_param(claim, bool, 0444);
MODULE_PARM_DESC(claim, "answer for the interrupts of a real line (default 0: observe only)");

static umode_t mode = 0600;
module_param(mode, kmk_mode, 0444);
MODULE_PARM_DESC(mode, "octal permissions of /dev/irq_events (default 0600)");

enum kmk_irq_clocks { MONOTONIC, REAL, BOOT, CLOCKS };

struct kmk_irq_slot {
	u64 time[CLOCKS];
	u64 data;
	u64 consumers;	/* open files that consumed it; 1 in an unused slot */
	u64 consumers_before;	/* of the event that was here before */
	u32 cpu;
};

/* The event with seq == count is the newest; the newest size events are kept. */
static struct {
	raw_spinlock_t lock;
	/* slots and size are set once, before there are interrupts */
	struct kmk_irq_slot *slots __pt_guarded_by(&lock);
	u32 size;
	u32 next __guarded_by(&lock);	/* the slot of the next event */
	u64 count __guarded_by(&lock);
	u64 dropped __guarded_by(&lock);	/* overwritten before anybody consumed them */
	wait_queue_head_t wait;
	struct fasync_struct *fasync;
} ring = {
	.lock = __RAW_SPIN_LOCK_UNLOCKED(ring.lock),
	.wait = __WAIT_QUEUE_HEAD_INITIALIZER(ring.wait),
};

static DEFINE_PER_CPU(u64, cpu_count) __guarded_by(&ring.lock);

struct kmk_irq_reader {
	u64 seen __guarded_by(&ring.lock);	/* seq of the last event consumed or missed */
	u64 missed __guarded_by(&ring.lock);
	enum kmk_irq_clocks clock __guarded_by(&ring.lock);
	u64 shift __guarded_by(&ring.lock);	/* of the clock, by a time namespace */
};

static struct {
	unsigned int irq;
	irqreturn_t answer;
	u32 flags;	/* of each event */
} line;

static struct {
	raw_spinlock_t lock;
	/* for the handler, which the holder of the lock runs; 0 on a real line */
	u64 data __guarded_by(&lock);
} sim = {
	.lock = __RAW_SPIN_LOCK_UNLOCKED(sim.lock),
};

static bool unloading;

static bool kmk_irq_simulated(void)
{
	return irq_param == -1;
}

/* The ring */

/* How many events are no longer kept: also the seq of the last of them. */
static u64 kmk_irq_gone(void)
	__must_hold(&ring.lock)
{
	lockdep_assert_held(&ring.lock);
	return ring.count > ring.size ? ring.count - ring.size : 0;
}

/* The slot of the event @seq, which is kept or the next to come. */
static struct kmk_irq_slot *kmk_irq_slot(u64 seq)
	__must_hold(&ring.lock)
{
	u32 behind = ring.count + 1 - seq;

	return &ring.slots[ring.next >= behind ? ring.next - behind :
						 ring.next + ring.size - behind];
}

static void kmk_irq_push(u64 data)
{
	struct kmk_irq_slot *slot;
	ktime_t now;

	/* Interrupts are off, or the line's thread runs this, and no interrupt takes the lock. */
	raw_spin_lock(&ring.lock);
	slot = &ring.slots[ring.next];
	if (++ring.next == ring.size)
		ring.next = 0;
	ring.count++;
	ring.dropped += !slot->consumers;
	now = ktime_get();
	/* Convert now: a set clock or a suspend changes the offsets between them. */
	slot->time[MONOTONIC] = ktime_to_ns(now);
	slot->time[REAL] = ktime_to_ns(ktime_mono_to_any(now, TK_OFFS_REAL));
	slot->time[BOOT] = ktime_to_ns(ktime_mono_to_any(now, TK_OFFS_BOOT));
	slot->data = data;
	slot->consumers_before = slot->consumers;
	slot->consumers = 0;
	slot->cpu = smp_processor_id();
	__this_cpu_inc(cpu_count);
	trace_kmk_irq_event(line.irq, ring.count, data);
	raw_spin_unlock(&ring.lock);
}

/*
 * Consume the next events, at most @most, for @reader; returns how many. Copying to
 * user memory comes after this, so what cannot be delivered is put back.
 */
static u32 kmk_irq_take(struct kmk_irq_reader *reader, struct kmk_irq_event *events, u32 most)
{
	struct kmk_irq_slot *slot;
	u64 gone, seq;
	u32 n, i;

	raw_spin_lock_irq(&ring.lock);
	gone = kmk_irq_gone();
	if (reader->seen < gone) {
		reader->missed += gone - reader->seen;
		reader->seen = gone;
	}
	seq = reader->seen + 1;
	n = min_t(u64, most, ring.count + 1 - seq);
	slot = kmk_irq_slot(seq);
	for (i = 0; i < n; i++) {
		if (i && ++slot == ring.slots + ring.size)
			slot = ring.slots;
		events[i].timestamp_ns = slot->time[reader->clock] + reader->shift;
		events[i].seq = seq++;
		events[i].irq = line.irq;
		events[i].cpu = slot->cpu;
		events[i].data = slot->data;
		events[i].flags = line.flags;
		events[i].reserved = 0;
		slot->consumers++;
	}
	reader->seen += n;
	raw_spin_unlock_irq(&ring.lock);
	return n;
}

static void kmk_irq_wake(struct irq_work *work)
{
	wake_up_interruptible_poll(&ring.wait, EPOLLIN | EPOLLRDNORM);
	kill_fasync(&ring.fasync, SIGIO, POLL_IN);
}

static struct irq_work wake_work;

/*
 * The @n events from @seq on could not be delivered. The next read of the open file gets them,
 * or counts them as missed if another thread has read past them. An event that was overwritten
 * is dropped when the last open file that consumed it puts it back; once its slot was overwritten
 * again nobody knows which file that is, and each one counts it.
 */
static void kmk_irq_put_back(struct kmk_irq_reader *reader, u64 seq, u32 n)
{
	u64 end = seq + n, gone;

	raw_spin_lock_irq(&ring.lock);
	gone = kmk_irq_gone();
	if (reader->seen == end - 1)
		reader->seen = seq - 1;
	else
		reader->missed += n;
	for (; seq < end; seq++) {
		if (seq > gone)
			kmk_irq_slot(seq)->consumers--;
		else if (seq + ring.size <= gone ||
			 !--kmk_irq_slot(seq + ring.size)->consumers_before)
			ring.dropped++;
	}
	raw_spin_unlock_irq(&ring.lock);
	/* Another thread with this open file may have found nothing meanwhile. */
	irq_work_queue(&wake_work);
}

static bool kmk_irq_has_news(const struct kmk_irq_reader *reader)
{
	bool news;

	raw_spin_lock_irq(&ring.lock);
	news = ring.count > reader->seen;
	raw_spin_unlock_irq(&ring.lock);
	return news;
}

static struct kmk_irq_progress kmk_irq_progress(const struct kmk_irq_reader *reader)
{
	struct kmk_irq_progress progress;
	u64 oldest;

	raw_spin_lock_irq(&ring.lock);
	oldest = max(reader->seen, kmk_irq_gone());
	progress.seen = reader->seen;
	progress.pending = ring.count - oldest;
	progress.missed = reader->missed + oldest - reader->seen;
	raw_spin_unlock_irq(&ring.lock);
	return progress;
}

static u64 kmk_irq_count(void)
{
	u64 count;

	raw_spin_lock_irq(&ring.lock);
	count = ring.count;
	raw_spin_unlock_irq(&ring.lock);
	return count;
}

/* The interrupt */

static irqreturn_t kmk_irq_handler(int irq, void *dev_id)
{
	kmk_irq_push(READ_ONCE(sim.data));
	/* The barrier in wq_has_sleeper() pairs with the sleepers' own. */
	if (wq_has_sleeper(&ring.wait) || READ_ONCE(ring.fasync))
		irq_work_queue(&wake_work);
	return line.answer;
}

/* The simulated line */

struct kmk_irq_raise {
	struct irq_work work;
	u64 data;
};

/*
 * Hard-IRQ context, interrupts off. The flow handler ignores an interrupt that
 * comes while another CPU handles one: each CPU waits for its turn.
 */
static void kmk_irq_sim_raise(struct irq_work *work)
{
	struct kmk_irq_raise *raise = container_of(work, struct kmk_irq_raise, work);

	raw_spin_lock(&sim.lock);
	WRITE_ONCE(sim.data, raise->data);
	generic_handle_irq(line.irq);
	raw_spin_unlock(&sim.lock);
}

static int kmk_irq_sim_trigger(u32 times, u64 data)
{
	struct kmk_irq_raise raise = {
		.work = IRQ_WORK_INIT_HARD(kmk_irq_sim_raise),
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

static int kmk_irq_sim_create(void)
{
	/* Without an owner: request_irq() would pin the module. */
	int irq = __irq_alloc_descs(-1, 1, 1, NUMA_NO_NODE, NULL, NULL);

	if (irq < 0)
		return irq;
	irq_set_chip_and_handler_name(irq, &dummy_irq_chip, handle_simple_irq,
				      "simulated");
	irq_modify_status(irq, IRQ_NOREQUEST, IRQ_NOPROBE);
	return irq;
}

/* /dev/irq_events */

/* Also the shift by the caller's time namespace: each read would pay for looking that up. */
static void kmk_irq_set_clock(struct kmk_irq_reader *reader, enum kmk_irq_clocks clock)
{
	struct timespec64 shift = { };

	if (clock == MONOTONIC)
		timens_add_monotonic(&shift);
	else if (clock == BOOT)
		timens_add_boottime(&shift);
	raw_spin_lock_irq(&ring.lock);
	reader->clock = clock;
	reader->shift = timespec64_to_ns(&shift);
	raw_spin_unlock_irq(&ring.lock);
}

static int kmk_irq_open(struct inode *inode, struct file *file)
{
	struct kmk_irq_reader *reader = kzalloc(sizeof(*reader), GFP_KERNEL_ACCOUNT);

	if (!reader)
		return -ENOMEM;
	kmk_irq_set_clock(reader, MONOTONIC);
	raw_spin_lock_irq(&ring.lock);
	reader->seen = kmk_irq_gone();
	raw_spin_unlock_irq(&ring.lock);
	file->private_data = reader;
	file->f_mode |= FMODE_NOWAIT;
	return stream_open(inode, file);
}

static int kmk_irq_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

/* Returns how many were delivered. */
static u32 kmk_irq_deliver(const struct kmk_irq_event *events, u32 n, struct iov_iter *to)
{
	/* Hardened usercopy spends more time on a size that the compiler does not know. */
	if (n == 1)
		return copy_to_iter(events, sizeof(*events), to) == sizeof(*events);
	return copy_to_iter(events, n * sizeof(*events), to) / sizeof(*events);
}

/* Deliver the new events that fit; 0 if there are none. */
static __always_inline ssize_t kmk_irq_read_events(struct kmk_irq_reader *reader,
						   struct iov_iter *to)
{
	/* kmk_irq_take() fills what is delivered. */
	struct kmk_irq_event events[BATCH] __uninitialized;
	u32 room, n, delivered;
	ssize_t done = 0;

	/* At most the whole ring: the call ends, however fast events come. */
	room = min_t(size_t, iov_iter_count(to) / sizeof(events[0]), ring.size);
	for (; room; room -= n) {
		n = kmk_irq_take(reader, events, min(room, BATCH));
		if (!n)
			break;
		delivered = kmk_irq_deliver(events, n, to);
		done += delivered * sizeof(events[0]);
		if (delivered < n) {
			kmk_irq_put_back(reader, events[delivered].seq, n - delivered);
			return done ? done : -EFAULT;
		}
	}
	return done;
}

static ssize_t kmk_irq_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct file *file = iocb->ki_filp;
	struct kmk_irq_reader *reader = file->private_data;
	ssize_t ret;

	if (iov_iter_count(to) < sizeof(struct kmk_irq_event))
		return -EINVAL;
	for (;;) {
		ret = kmk_irq_read_events(reader, to);
		if (ret)
			return ret;
		if (file->f_flags & O_NONBLOCK || iocb->ki_flags & IOCB_NOWAIT)
			return -EAGAIN;
		ret = wait_event_interruptible(ring.wait, kmk_irq_has_news(reader));
		if (ret)
			return ret;
	}
}

static __poll_t kmk_irq_poll(struct file *file, poll_table *wait)
{
	poll_wait(file, &ring.wait, wait);
	/* On the queue first, then look: see kmk_irq_handler(). */
	smp_mb();
	return kmk_irq_has_news(file->private_data) ? EPOLLIN | EPOLLRDNORM : 0;
}

static int kmk_irq_fasync(int fd, struct file *file, int on)
{
	return fasync_helper(fd, file, on, &ring.fasync);
}

static long kmk_irq_choose_clock(struct kmk_irq_reader *reader, const void __user *from,
				 size_t size)
{
	struct kmk_irq_clock choice;
	int err;

	if (size < KMK_IRQ_CLOCK_SIZE_VER0)
		return -EINVAL;
	err = copy_struct_from_user(&choice, sizeof(choice), from, size);
	if (err)
		return err;
	if (choice.reserved)
		return -EINVAL;
	switch (choice.clock) {
	case CLOCK_MONOTONIC:
		kmk_irq_set_clock(reader, MONOTONIC);
		return 0;
	case CLOCK_REALTIME:
		kmk_irq_set_clock(reader, REAL);
		return 0;
	case CLOCK_BOOTTIME:
		kmk_irq_set_clock(reader, BOOT);
		return 0;
	default:
		return -EINVAL;
	}
}

static long kmk_irq_get_progress(const struct kmk_irq_reader *reader, void __user *to, size_t size)
{
	struct kmk_irq_progress progress;

	if (size < KMK_IRQ_PROGRESS_SIZE_VER0)
		return -EINVAL;
	progress = kmk_irq_progress(reader);
	return copy_struct_to_user(to, size, &progress, sizeof(progress), NULL);
}

static long kmk_irq_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *argument = (void __user *)arg;

	/* All but the size makes the command; the size tells the structure's version. */
	switch (cmd & ~IOCSIZE_MASK) {
	case IRQ_EVENTS_IOC_SET_CLOCK & ~IOCSIZE_MASK:
		return kmk_irq_choose_clock(file->private_data, argument, _IOC_SIZE(cmd));
	case IRQ_EVENTS_IOC_GET_PROGRESS & ~IOCSIZE_MASK:
		return kmk_irq_get_progress(file->private_data, argument, _IOC_SIZE(cmd));
	default:
		return -ENOTTY;
	}
}

static void kmk_irq_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct kmk_irq_progress progress = kmk_irq_progress(file->private_data);

	seq_printf(m, "seen:\t%llu\npending:\t%llu\nmissed:\t%llu\n",
		   progress.seen, progress.pending, progress.missed);
}

static const struct file_operations kmk_irq_fops = {
	.owner = THIS_MODULE,
	.open = kmk_irq_open,
	.release = kmk_irq_release,
	.read_iter = kmk_irq_read_iter,
	.poll = kmk_irq_poll,
	.fasync = kmk_irq_fasync,
	.unlocked_ioctl = kmk_irq_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.show_fdinfo = kmk_irq_show_fdinfo,
};

/* /sys/class/misc/irq_events/ */

static ssize_t kmk_irq_irq_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", line.irq);
}

static ssize_t kmk_irq_count_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", kmk_irq_count());
}

/* As /sys/kernel/irq/N/per_cpu_count: one number for each possible CPU. */
static ssize_t kmk_irq_per_cpu_count_show(struct device *dev, struct device_attribute *attr,
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

static ssize_t kmk_irq_dropped_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	u64 dropped;

	raw_spin_lock_irq(&ring.lock);
	dropped = ring.dropped;
	raw_spin_unlock_irq(&ring.lock);
	return sysfs_emit(buf, "%llu\n", dropped);
}

/* "N" or "N DATA": EINVAL if it is neither, ERANGE if a number is too big. */
static int kmk_irq_parse_trigger(const char *buf, u32 *times, u64 *data)
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

static ssize_t kmk_irq_trigger_store(struct device *dev, struct device_attribute *attr,
				     const char *buf, size_t size)
{
	u32 times;
	u64 data;
	int err;

	/* The file's mode lets root of a container write, but the line is the machine's. */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!kmk_irq_simulated())
		return -EOPNOTSUPP;
	err = kmk_irq_parse_trigger(buf, &times, &data);
	if (!err)
		err = kmk_irq_sim_trigger(times, data);
	return err ? err : size;
}

/* Not DEVICE_ATTR_RO(), whose functions cannot have the module's prefix. */
static struct device_attribute kmk_irq_attr_irq = __ATTR(irq, 0444, kmk_irq_irq_show, NULL);
static struct device_attribute kmk_irq_attr_count = __ATTR(count, 0444, kmk_irq_count_show, NULL);
static struct device_attribute kmk_irq_attr_per_cpu_count =
	__ATTR(per_cpu_count, 0444, kmk_irq_per_cpu_count_show, NULL);
static struct device_attribute kmk_irq_attr_dropped =
	__ATTR(dropped, 0444, kmk_irq_dropped_show, NULL);
static struct device_attribute kmk_irq_attr_trigger =
	__ATTR(trigger, 0200, NULL, kmk_irq_trigger_store);

static struct attribute *kmk_irq_attrs[] = {
	&kmk_irq_attr_irq.attr,
	&kmk_irq_attr_count.attr,
	&kmk_irq_attr_per_cpu_count.attr,
	&kmk_irq_attr_dropped.attr,
	&kmk_irq_attr_trigger.attr,
	NULL,
};
ATTRIBUTE_GROUPS(kmk_irq);

static struct miscdevice kmk_irq_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "irq_events",
	.fops = &kmk_irq_fops,
	.groups = kmk_irq_groups,
};

/* Load and unload */

static int __init kmk_irq_check_parameters(void)
{
	if (!ring_size || ring_size > RING_SIZE_MAX) {
		pr_err("ring_size=%u: give 1 to %u\n", ring_size, RING_SIZE_MAX);
		return -EINVAL;
	}
	return 0;
}

/*
 * Agree with whatever the line's drivers asked for. COND_SUSPEND: the line may be one
 * that stays on during a suspend. No trigger: the line's own is taken. PROBE_SHARED:
 * complaining of a line that cannot be shared is left to us.
 */
#define REQUEST_FLAGS	(IRQF_SHARED | IRQF_COND_SUSPEND | IRQF_NO_THREAD | IRQF_PROBE_SHARED)

static int __init kmk_irq_join(unsigned int irq)
{
	struct irq_data *data = irq_get_irq_data(irq);
	int ret;

	if (data) {
		/* A line that each CPU has for itself: the kernel warns of a try. */
		if (irqd_is_per_cpu(data))
			return -EINVAL;
		/*
		 * The first handler decides the trigger and the flags: joining before
		 * the driver would keep it from getting its own.
		 */
		if (!irq_has_action(irq))
			return -ENODEV;
		if (irq_check_status_bit(irq, IRQ_NESTED_THREAD))
			line.flags = KMK_IRQ_EVENT_THREADED;
	}
	ret = request_any_context_irq(irq, kmk_irq_handler, REQUEST_FLAGS, KBUILD_MODNAME, &ring);
	/* Perhaps the line stays masked until the driver's thread has run. */
	if (ret == -EBUSY)
		ret = request_any_context_irq(irq, kmk_irq_handler,
					      REQUEST_FLAGS | IRQF_COND_ONESHOT,
					      KBUILD_MODNAME, &ring);
	return min(ret, 0);
}

static int __init kmk_irq_request_real_line(void)
{
	int err;

	line.irq = irq_param;
	line.answer = claim ? IRQ_HANDLED : IRQ_NONE;
	err = kmk_irq_join(line.irq);
	if (err == -ENODEV)
		pr_err("irq=%d has no handler: load the line's driver first, or take another line of /proc/interrupts\n",
		       irq_param);
	else if (err)
		pr_err("irq=%d cannot be shared (error %d): take another line of /proc/interrupts, or irq=-1 to simulate one\n",
		       irq_param, err);
	return err;
}

static int __init kmk_irq_request_simulated_line(void)
{
	int irq, err;

	irq = kmk_irq_sim_create();
	if (irq < 0) {
		pr_err("no simulated line (error %d): give a real one, irq=N\n", irq);
		return irq;
	}
	line.irq = irq;
	line.answer = IRQ_HANDLED;
	err = request_irq(line.irq, kmk_irq_handler, REQUEST_FLAGS, KBUILD_MODNAME, &ring);
	if (err) {
		pr_err("no handler on the simulated line (error %d): give a real one, irq=N\n",
		       err);
		irq_free_descs(line.irq, 1);
	}
	return err;
}

static void kmk_irq_release_line(void)
{
	free_irq(line.irq, &ring);
	irq_work_sync(&wake_work);
	if (kmk_irq_simulated())
		irq_free_descs(line.irq, 1);
}

static int __init kmk_irq_init(void)
{
	int err = kmk_irq_check_parameters();

	if (err)
		return err;

	init_irq_work(&wake_work, kmk_irq_wake);
	ring.slots = kvcalloc(ring_size, sizeof(*ring.slots), GFP_KERNEL | __GFP_NOWARN);
	if (!ring.slots) {
		pr_err("no memory for %u events: give a smaller ring_size\n", ring_size);
		return -ENOMEM;
	}
	for (; ring.size < ring_size; ring.size++)
		ring.slots[ring.size].consumers = 1;

	err = kmk_irq_simulated() ? kmk_irq_request_simulated_line() :
				    kmk_irq_request_real_line();
	if (err)
		goto free_slots;

	kmk_irq_device.mode = S_IFCHR | mode;	/* the misc core takes mode 0 as "unset" */
	err = misc_register(&kmk_irq_device);
	if (err) {
		pr_err("/dev/irq_events cannot be made (error %d): unload what has that name\n",
		       err);
		goto free_line;
	}

	pr_info("loaded, %s line %u, ring of %u events%s\n",
		kmk_irq_simulated() ? "simulated" : "shared", line.irq, ring_size,
		line.flags & KMK_IRQ_EVENT_THREADED ?
		"; handled in a thread: several interrupts may become one event" : "");
	return 0;

free_line:
	kmk_irq_release_line();
free_slots:
	kvfree(ring.slots);
	return err;
}

static void __exit kmk_irq_exit(void)
{
	u64 count;

	WRITE_ONCE(unloading, true);
	misc_deregister(&kmk_irq_device);
	/* Before free_irq(): with DEBUG_SHIRQ it calls the handler once more. */
	count = kmk_irq_count();
	kmk_irq_release_line();
	kvfree(ring.slots);
	pr_info("unloaded, %llu interrupts counted\n", count);
}

module_init(kmk_irq_init);
module_exit(kmk_irq_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("Counts the interrupts of a shared or simulated line and keeps the last ones");
MODULE_VERSION(KMK_VERSION);
