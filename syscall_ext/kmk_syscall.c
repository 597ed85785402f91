// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_syscall - new calls for user space, without a new system call
 *
 * A module cannot add an entry to the system-call table: the table is fixed
 * when the kernel is built, it is read-only, its numbers are an ABI that only
 * the kernel itself hands out, and code that patches it races with every call
 * under way and cannot be unloaded safely. The supported way is a device whose
 * ioctl is the call: the VFS finds the code, holds the module while a file is
 * open, and answers callers on kernels that do not have it.
 *
 * Data: none that changes, so there is no lock. Each call works on its caller's
 * memory, every field of which is fetched once.
 *
 * Context: process context, from ioctl or from io_uring, which may also call
 * from one of its worker threads.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/time_namespace.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include <kmk/compat.h>
#include <kmk/version.h>
#include <kmodkit/syscall_ext.h>

static_assert(sizeof(struct custom_syscall_data) == CUSTOM_SYSCALL_DATA_SIZE_VER0);
static_assert(offsetof(struct custom_syscall_data, operation) == 0);
static_assert(offsetof(struct custom_syscall_data, parameter1) == 8);
static_assert(offsetof(struct custom_syscall_data, parameter2) == 16);
static_assert(offsetof(struct custom_syscall_data, result) == 24);
static_assert(sizeof(struct custom_syscall_batch) == CUSTOM_SYSCALL_BATCH_SIZE_VER0);
static_assert(offsetof(struct custom_syscall_batch, errors) == 8);
static_assert(offsetof(struct custom_syscall_batch, count) == 16);
static_assert(offsetof(struct custom_syscall_batch, size) == 20);
static_assert(sizeof(struct custom_syscall_uring) == 16);

/* Operations that neither sleep nor call a function. */
static __always_inline bool computes(u64 operation)
{
	return operation >= CUSTOM_SYSCALL_ADD && operation <= CUSTOM_SYSCALL_IDENTIFIER;
}

static __always_inline int compute(struct custom_syscall_data *data)
{
	u64 value = CUSTOM_SYSCALL_SYSTEM_ID;
	bool overflow = false;

	if (data->operation == CUSTOM_SYSCALL_ADD)
		overflow = check_add_overflow(data->parameter1, data->parameter2, &value);
	else if (data->operation == CUSTOM_SYSCALL_MULTIPLY)
		overflow = check_mul_overflow(data->parameter1, data->parameter2, &value);
	if (overflow || value > S64_MAX)
		return -EOVERFLOW;
	data->result = value;
	return 0;
}

/* -EINTR with the rest in @rest, and -EAGAIN where @nonblock forbids to sleep. */
static int sleep_ms(u64 ms, s64 *rest, bool nonblock)
{
	ktime_t end;
	s64 left;

	if (ms > CUSTOM_SYSCALL_SLEEP_MAX)
		return -EINVAL;
	*rest = 0;
	if (!ms)
		return 0;
	if (nonblock)
		return -EAGAIN;

	end = ktime_add_ms(ktime_get(), ms);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
		if (signal_pending(current))
			break;
		if (!schedule_hrtimeout(&end, HRTIMER_MODE_ABS))
			return 0;
	}
	__set_current_state(TASK_RUNNING);

	left = ktime_to_ns(ktime_sub(end, ktime_get()));
	if (left <= 0)
		return 0;
	*rest = DIV_ROUND_UP_ULL(left, NSEC_PER_MSEC);
	return -EINTR;
}

/* As /proc/uptime has it, in the caller's time namespace. */
static s64 uptime_ms(void)
{
	struct timespec64 t;

	ktime_get_boottime_ts64(&t);
	timens_add_boottime(&t);
	return t.tv_sec * MSEC_PER_SEC + t.tv_nsec / NSEC_PER_MSEC;
}

static int perform(struct custom_syscall_data *data, bool nonblock)
{
	if (computes(data->operation))
		return compute(data);

	switch (data->operation) {
	case CUSTOM_SYSCALL_UPTIME:
		data->result = uptime_ms();
		return 0;
	case CUSTOM_SYSCALL_SLEEP:
		return sleep_ms(data->parameter1, &data->result, nonblock);
	default:
		return -EINVAL;
	}
}

/* The hot path knows the size; fetching the fields that count is all it takes. */
static int fetch(struct custom_syscall_data *data,
		 const struct custom_syscall_data __user *from)
{
	if (!user_read_access_begin(from, sizeof(*from)))
		return -EFAULT;
	unsafe_get_user(data->operation, &from->operation, fault);
	unsafe_get_user(data->parameter1, &from->parameter1, fault);
	unsafe_get_user(data->parameter2, &from->parameter2, fault);
	user_read_access_end();
	return 0;

fault:
	user_read_access_end();
	return -EFAULT;
}

/* The same for a structure of another version than ours. */
static int fetch_other(void *to, size_t known, size_t least,
		       const void __user *from, size_t size)
{
	if (size < least)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(to, known, from, size);
}

static int call(struct custom_syscall_data __user *from, size_t size, bool nonblock)
{
	struct custom_syscall_data data;
	int ret;

	if (likely(size == sizeof(data)))
		ret = fetch(&data, from);
	else
		ret = fetch_other(&data, sizeof(data), CUSTOM_SYSCALL_DATA_SIZE_VER0, from, size);
	if (ret)
		return ret;
	ret = perform(&data, nonblock);
	if ((!ret || ret == -EINTR) && put_user(data.result, &from->result))
		return -EFAULT;
	return ret;
}

/*
 * The hot path of a batch: as many calls as only compute, from the first one
 * on, without leaving user memory in between. Returns how many it has done; the
 * next one sleeps, calls a function, is unknown, or faults.
 */
static u32 batch_compute(struct custom_syscall_data __user *calls, s32 __user *errors,
			 u32 count, u32 *succeeded)
{
	struct custom_syscall_data data;
	u32 good = 0, i = 0;

	if (!user_access_begin(calls, array_size(count, sizeof(*calls))))
		return 0;
	for (; i < count; i++) {
		int error;

		unsafe_get_user(data.operation, &calls[i].operation, fault);
		if (!computes(data.operation))
			break;
		unsafe_get_user(data.parameter1, &calls[i].parameter1, fault);
		unsafe_get_user(data.parameter2, &calls[i].parameter2, fault);
		error = compute(&data);
		if (!error)
			unsafe_put_user(data.result, &calls[i].result, fault);
		unsafe_put_user(error, &errors[i], fault);
		good += !error;
	}
fault:
	user_access_end();
	*succeeded += good;
	return i;
}

/*
 * @nonblock: -EAGAIN when a call would sleep. The calls before it only compute,
 * so the whole batch can be made again where it may sleep.
 */
static int batch(const struct custom_syscall_batch __user *from, size_t size, bool nonblock)
{
	struct custom_syscall_batch batch;
	void __user *calls;
	s32 __user *errors;
	u32 i = 0, succeeded = 0;
	bool stop = false;
	int ret;

	ret = fetch_other(&batch, sizeof(batch), CUSTOM_SYSCALL_BATCH_SIZE_VER0, from, size);
	if (ret)
		return ret;
	if (batch.count > CUSTOM_SYSCALL_BATCH_MAX || batch.size < CUSTOM_SYSCALL_DATA_SIZE_VER0)
		return -EINVAL;
	if (batch.size > PAGE_SIZE)
		return -E2BIG;
	calls = u64_to_user_ptr(batch.calls);
	errors = u64_to_user_ptr(batch.errors);
	if (!access_ok(errors, array_size(batch.count, sizeof(*errors))))
		return -EFAULT;

	while (i < batch.count) {
		int error = -ECANCELED;

		if (batch.size == sizeof(struct custom_syscall_data) && !stop) {
			i += batch_compute(calls + i * batch.size, errors + i,
					   batch.count - i, &succeeded);
			if (i == batch.count)
				break;
		}
		if (!stop)
			error = call(calls + i * batch.size, batch.size, nonblock);
		if (error == -EAGAIN)
			return error;
		if (put_user(error, errors + i))
			return -EFAULT;
		succeeded += !error;
		stop |= error == -EINTR;
		i++;
		cond_resched();
	}
	return succeeded;
}

static int command(unsigned int cmd, void __user *argument, bool nonblock)
{
	/* A command is known by all but its size, which tells the version. */
	switch (cmd & ~IOCSIZE_MASK) {
	case CUSTOM_SYSCALL & ~IOCSIZE_MASK:
		return call(argument, _IOC_SIZE(cmd), nonblock);
	case CUSTOM_SYSCALL_BATCH & ~IOCSIZE_MASK:
		return batch(argument, _IOC_SIZE(cmd), nonblock);
	default:
		return -ENOTTY;
	}
}

static long syscall_ext_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return command(cmd, (void __user *)arg, false);
}

#ifdef KMK_HAVE_URING_CMD
static int syscall_ext_uring_cmd(struct io_uring_cmd *ioucmd, unsigned int issue_flags)
{
	const struct custom_syscall_uring *uring = kmk_uring_cmd_payload(ioucmd);
	u64 argument = READ_ONCE(uring->argument);
	int ret;

	if (READ_ONCE(uring->reserved))
		return -EINVAL;
	ret = command(ioucmd->cmd_op, u64_to_user_ptr(argument),
		      issue_flags & IO_URING_F_NONBLOCK);
	if (ret < 0)
		return ret;	/* -EAGAIN: io_uring tries again where it may sleep */
	/* Not returned, because older kernels take more than 0 for a failure. */
	io_uring_cmd_done(ioucmd, ret, issue_flags);
	return -EIOCBQUEUED;
}
#endif

static const struct file_operations syscall_ext_fops = {
	.owner		= THIS_MODULE,
	.open		= nonseekable_open,
	.unlocked_ioctl	= syscall_ext_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
#ifdef KMK_HAVE_URING_CMD
	.uring_cmd	= syscall_ext_uring_cmd,
#endif
};

static struct miscdevice syscall_ext_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "syscall_ext",
	.fops	= &syscall_ext_fops,
	.mode	= 0666,
};

static int __init syscall_ext_init(void)
{
	int ret;

	ret = misc_register(&syscall_ext_device);
	if (ret) {
		pr_err("cannot register /dev/syscall_ext (%d): is the name or every minor taken?\n",
		       ret);
		return ret;
	}
	pr_info("loaded, calls go to /dev/syscall_ext\n");
	return 0;
}

static void __exit syscall_ext_exit(void)
{
	misc_deregister(&syscall_ext_device);
	pr_info("unloaded\n");
}

module_init(syscall_ext_init);
module_exit(syscall_ext_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("New calls for user space through the ioctl of a device");
MODULE_VERSION(KMK_VERSION);
