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
 * Data: none that changes once it is loaded, so there is no lock. Each call works on its caller's
 * memory, which may change meanwhile: each decision rests on one copy. What compute_in_place() does
 * not handle, call() fetches again, and judges by that copy alone.
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
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/stat.h>
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

static unsigned short mode = 0666;
module_param(mode, ushort, 0444);
MODULE_PARM_DESC(mode, "permissions of /dev/syscall_ext, octal (default 0666)");

/* What compute() and compute_in_place() say of a call that is not for them. */
#define NOT_COMPUTED 1

/* The operations that neither sleep nor call a function. */
static __always_inline int compute(u64 operation, u64 parameter1, u64 parameter2, s64 *result)
{
	u64 value;

	switch (operation) {
	case CUSTOM_SYSCALL_ADD:
		if (check_add_overflow(parameter1, parameter2, &value))
			return -EOVERFLOW;
		break;
	case CUSTOM_SYSCALL_MULTIPLY:
		if (check_mul_overflow(parameter1, parameter2, &value))
			return -EOVERFLOW;
		break;
	case CUSTOM_SYSCALL_IDENTIFIER:
		value = CUSTOM_SYSCALL_SYSTEM_ID;
		break;
	default:
		return NOT_COMPUTED;
	}
	if (value > S64_MAX)
		return -EOVERFLOW;
	*result = value;
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
	int ret = compute(data->operation, data->parameter1, data->parameter2, &data->result);

	if (ret != NOT_COMPUTED)
		return ret;

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

/* A structure of which this module knows @known bytes and a program @size. */
static int fetch(void *to, size_t known, size_t least, const void __user *from, size_t size)
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

	ret = fetch(&data, sizeof(data), CUSTOM_SYSCALL_DATA_SIZE_VER0, from, size);
	if (ret)
		return ret;
	ret = perform(&data, nonblock);
	if ((!ret || ret == -EINTR) && put_user(data.result, &from->result))
		return -EFAULT;
	return ret;
}

/*
 * The hot path: a call of our own version that only computes, made where it
 * lies. User access is open, so nothing may be called here. What faults is left
 * to call(), too, which finds the fault again and reports it.
 */
static __always_inline int compute_in_place(struct custom_syscall_data __user *call)
{
	u64 operation, parameter1, parameter2;
	s64 result;
	int ret;

	unsafe_get_user(operation, &call->operation, fault);
	unsafe_get_user(parameter1, &call->parameter1, fault);
	unsafe_get_user(parameter2, &call->parameter2, fault);
	ret = compute(operation, parameter1, parameter2, &result);
	if (!ret)
		unsafe_put_user(result, &call->result, fault);
	return ret;

fault:
	return NOT_COMPUTED;
}

static int call_ours(struct custom_syscall_data __user *from, bool nonblock)
{
	int ret = NOT_COMPUTED;

	if (user_access_begin(from, sizeof(*from))) {
		ret = compute_in_place(from);
		user_access_end();
	}
	return ret == NOT_COMPUTED ? call(from, sizeof(*from), nonblock) : ret;
}

/* As many calls as can be computed in place, from the first one on: how many. */
static u32 batch_in_place(struct custom_syscall_data __user *calls, s32 __user *errors,
			  u32 count, u32 *failed)
{
	u32 i = 0, bad = 0;

	if (!user_access_begin(calls, array_size(count, sizeof(*calls))))
		return 0;
	for (; i < count; i++) {
		int error = compute_in_place(&calls[i]);

		if (error == NOT_COMPUTED)
			break;
		if (likely(!error)) {
			unsafe_put_user(0, &errors[i], fault);
		} else {
			unsafe_put_user(error, &errors[i], fault);
			bad++;
		}
	}
fault:
	user_access_end();
	*failed += bad;
	return i;
}

/*
 * @nonblock: -EAGAIN when a call would sleep. No call before it has had any
 * effect but on its own result, so the whole batch can be made again.
 */
static int batch(const struct custom_syscall_batch __user *from, size_t size, bool nonblock)
{
	struct custom_syscall_batch batch;
	void __user *calls;
	s32 __user *errors;
	u32 i = 0, failed = 0;
	int ret;

	ret = fetch(&batch, sizeof(batch), CUSTOM_SYSCALL_BATCH_SIZE_VER0, from, size);
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

	ret = 0;
	while (i < batch.count && ret != -EINTR) {
		if (batch.size == sizeof(struct custom_syscall_data))
			i += batch_in_place(calls + i * batch.size, errors + i,
					    batch.count - i, &failed);
		if (i == batch.count)
			break;
		ret = call(calls + i * batch.size, batch.size, nonblock);
		if (ret == -EAGAIN)
			return ret;
		if (put_user(ret, &errors[i++]))
			return -EFAULT;
		if (ret)
			failed++;
		cond_resched();
	}
	for (; i < batch.count; i++, failed++)
		if (put_user(-ECANCELED, &errors[i]))
			return -EFAULT;
	return batch.count - failed;
}

static int command(unsigned int cmd, void __user *argument, bool nonblock)
{
	if (likely(cmd == CUSTOM_SYSCALL))
		return call_ours(argument, nonblock);

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
};

static int __init syscall_ext_init(void)
{
	int ret;

	if (mode & ~0777) {
		pr_err("mode=0%o refused: give octal permissions, 0 to 0777\n", mode);
		return -EINVAL;
	}
	syscall_ext_device.mode = S_IFCHR | mode;	/* mode=0 shall not mean the default */
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
