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
 * Data:   none that changes once it is loaded, so there is no lock. Each call works on its
 *         caller's memory, which may change meanwhile: each decision rests on one fetch.
 *         struct kmk_syscall_sleeper, a sleep through io_uring: it belongs to its timer while
 *         that is pending, and then to the task work that the timer leaves behind.
 * Context: process context, from ioctl or from io_uring, which may also call from one of
 *         its worker threads; the timer's function runs in interrupt context.
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
#include <linux/sched/rt.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/stat.h>
#include <linux/time_namespace.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include <kmk/compat.h>
#include <kmk/mode.h>
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

static umode_t mode = 0666;
module_param(mode, kmk_mode, 0444);
MODULE_PARM_DESC(mode, "permissions of /dev/syscall_ext, octal (default 0666)");

/* kmk_syscall_compute() returns this for an operation that is not for it. */
#define NOT_COMPUTED	1

/* The operations that neither sleep nor call a function. */
static __always_inline int kmk_syscall_compute(u64 operation, u64 parameter1, u64 parameter2,
					       s64 *result)
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

/*
 * Fetch the call and compute it; NOT_COMPUTED: the arguments of kmk_syscall_perform()
 * were fetched. User access is open, so no function may be called here.
 */
static __always_inline int kmk_syscall_in_place(struct custom_syscall_data __user *call,
						u64 *operation, u64 *parameter1)
{
	u64 parameter2;
	s64 result;
	int ret;

	unsafe_get_user(*operation, &call->operation, fault);
	unsafe_get_user(*parameter1, &call->parameter1, fault);
	unsafe_get_user(parameter2, &call->parameter2, fault);
	ret = kmk_syscall_compute(*operation, *parameter1, parameter2, &result);
	if (!ret)
		unsafe_put_user(result, &call->result, fault);
	return ret;

fault:
	return -EFAULT;
}

/* As /proc/uptime has it, in the caller's time namespace. */
static s64 kmk_syscall_uptime_ms(void)
{
	struct timespec64 t;

	ktime_get_boottime_ts64(&t);
	timens_add_boottime(&t);
	return t.tv_sec * MSEC_PER_SEC + t.tv_nsec / NSEC_PER_MSEC;
}

/* The other operations; a sleep is left to the caller, and its milliseconds are returned. */
static int kmk_syscall_perform(u64 operation, u64 parameter1, s64 __user *result)
{
	s64 value = 0;

	switch (operation) {
	case CUSTOM_SYSCALL_UPTIME:
		value = kmk_syscall_uptime_ms();
		break;
	case CUSTOM_SYSCALL_SLEEP:
		if (parameter1 > CUSTOM_SYSCALL_SLEEP_MAX)
			return -EINVAL;
		if (parameter1)
			return parameter1;
		break;
	default:
		return -EINVAL;
	}
	return put_user(value, result) ? -EFAULT : 0;
}

/* Make a call of the version that this module knows; more than 0: milliseconds to sleep. */
static __always_inline int kmk_syscall_call_known(struct custom_syscall_data __user *call)
{
	u64 operation, parameter1;
	int ret;

	if (!user_access_begin(call, sizeof(*call)))
		return -EFAULT;
	ret = kmk_syscall_in_place(call, &operation, &parameter1);
	user_access_end();
	return ret == NOT_COMPUTED ? kmk_syscall_perform(operation, parameter1, &call->result) :
				     ret;
}

static int kmk_syscall_check_size(size_t size, size_t least)
{
	if (size < least)
		return -EINVAL;
	return size > CUSTOM_SYSCALL_SIZE_MAX ? -E2BIG : 0;
}

/* The same of any version, whose structure has @size bytes. */
static int kmk_syscall_call(struct custom_syscall_data __user *call, size_t size)
{
	int ret = kmk_syscall_check_size(size, sizeof(*call));

	if (ret)
		return ret;
	/* Fields that this module does not know must be 0. */
	ret = check_zeroed_user(call + 1, size - sizeof(*call));
	if (ret <= 0)
		return ret ? ret : -E2BIG;
	return kmk_syscall_call_known(call);
}

/* The caller's timer slack, as nanosleep(2) takes it. */
static u64 kmk_syscall_slack(void)
{
	return rt_task(current) ? 0 : current->timer_slack_ns;
}

static int kmk_syscall_sleep(s64 __user *result, int ms)
{
	ktime_t end = ktime_add_ms(ktime_get(), ms);
	s64 left;

	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
		if (signal_pending(current))
			break;
		if (!schedule_hrtimeout_range(&end, kmk_syscall_slack(), HRTIMER_MODE_ABS))
			break;
	}
	__set_current_state(TASK_RUNNING);

	left = max(ktime_to_ns(ktime_sub(end, ktime_get())), 0LL);
	if (put_user(DIV_ROUND_UP_ULL(left, NSEC_PER_MSEC), result))
		return -EFAULT;
	return left ? -EINTR : 0;
}

/* Batches */

struct kmk_syscall_batch {
	void __user *calls;
	s32 __user *errors;
	u32 size;	/* of a call */
	u32 count;
	u32 next;	/* the first call that was not made */
	u32 failed;
	bool in_place;
};

static struct custom_syscall_data __user *kmk_syscall_next(const struct kmk_syscall_batch *batch)
{
	return batch->calls + batch->next * batch->size;
}

static int kmk_syscall_fetch_batch(struct kmk_syscall_batch *batch,
				   const struct custom_syscall_batch __user *from, size_t size)
{
	struct custom_syscall_batch data;
	int ret;

	ret = kmk_syscall_check_size(size, sizeof(data));
	if (!ret)
		ret = copy_struct_from_user(&data, sizeof(data), from, size);
	if (ret)
		return ret;
	if (data.count > CUSTOM_SYSCALL_BATCH_MAX)
		return -EINVAL;
	ret = kmk_syscall_check_size(data.size, CUSTOM_SYSCALL_DATA_SIZE_VER0);
	if (ret)
		return ret;
	*batch = (struct kmk_syscall_batch) {
		.calls = u64_to_user_ptr(data.calls),
		.errors = u64_to_user_ptr(data.errors),
		.size = data.size,
		.count = data.count,
	};
	if (!access_ok(batch->errors, array_size(batch->count, sizeof(*batch->errors))))
		return -EFAULT;
	batch->in_place = batch->size == sizeof(struct custom_syscall_data) &&
			  access_ok(batch->calls, array_size(batch->count, batch->size));
	return 0;
}

/* Note how the next call ended. */
static int kmk_syscall_note(struct kmk_syscall_batch *batch, int error)
{
	if (put_user(error, &batch->errors[batch->next]))
		return -EFAULT;
	batch->next++;
	batch->failed += !!error;
	return 0;
}

/*
 * Make the calls that can be computed and the first that cannot, whose end is returned and
 * not noted. With user access opened once, a computed call costs a tenth of a system call.
 */
static int kmk_syscall_compute_batch(struct kmk_syscall_batch *batch)
{
	struct custom_syscall_data __user *calls = batch->calls;
	const u32 count = batch->count;
	s32 __user *errors = batch->errors;
	u32 i = batch->next, failed = 0;
	int ret = -EFAULT;

	if (!user_access_begin(calls, array_size(count, sizeof(*calls))))
		return ret;
	for (; i < count; i++) {
		u64 operation, parameter1;
		int error = kmk_syscall_in_place(&calls[i], &operation, &parameter1);

		if (likely(!error)) {
			unsafe_put_user(0, &errors[i], end);
		} else if (error == NOT_COMPUTED) {
			user_access_end();
			ret = kmk_syscall_perform(operation, parameter1, &calls[i].result);
			goto stop;
		} else {
			unsafe_put_user(error, &errors[i], end);
			failed++;
		}
	}
end:	/* if errors[i] cannot be written, kmk_syscall_note() will report it */
	user_access_end();
stop:
	batch->next = i;
	batch->failed += failed;
	return ret;
}

/* Make calls, until the end or a sleep, of which the milliseconds are returned. */
static int kmk_syscall_run(struct kmk_syscall_batch *batch)
{
	int ret;

	while (batch->next < batch->count) {
		if (batch->in_place) {
			ret = kmk_syscall_compute_batch(batch);
			if (batch->next == batch->count)
				break;
		} else {
			ret = kmk_syscall_call(kmk_syscall_next(batch), batch->size);
		}
		if (ret > 0)
			return ret;
		if (kmk_syscall_note(batch, ret))
			return -EFAULT;
		cond_resched();
	}
	return 0;
}

/* The ioctls */

static noinline int kmk_syscall_make_batch(const struct custom_syscall_batch __user *from,
					   size_t size)
{
	struct kmk_syscall_batch batch;
	int ret;

	ret = kmk_syscall_fetch_batch(&batch, from, size);
	if (ret)
		return ret;
	while ((ret = kmk_syscall_run(&batch)) > 0) {
		ret = kmk_syscall_sleep(&kmk_syscall_next(&batch)->result, ret);
		if (kmk_syscall_note(&batch, ret))
			return -EFAULT;
		if (ret != -EINTR)
			continue;
		while (batch.next < batch.count)
			if (kmk_syscall_note(&batch, -ECANCELED))
				return -EFAULT;
	}
	return ret ? ret : batch.count - batch.failed;
}

static long kmk_syscall_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct custom_syscall_data __user *call = (void __user *)arg;
	int ret;

	if (likely(cmd == CUSTOM_SYSCALL)) {
		ret = kmk_syscall_call_known(call);
	} else {
		/* All but the size makes the command; the size tells the structure's version. */
		switch (cmd & ~IOCSIZE_MASK) {
		case CUSTOM_SYSCALL & ~IOCSIZE_MASK:
			ret = kmk_syscall_call(call, _IOC_SIZE(cmd));
			break;
		case CUSTOM_SYSCALL_BATCH & ~IOCSIZE_MASK:
			return kmk_syscall_make_batch((void __user *)arg, _IOC_SIZE(cmd));
		default:
			return -ENOTTY;
		}
	}
	return ret > 0 ? kmk_syscall_sleep(&call->result, ret) : ret;
}

#ifdef KMK_HAVE_URING_CMD
/* io_uring */

struct kmk_syscall_sleeper {
	struct hrtimer timer;
	struct io_uring_cmd *ioucmd;
	struct custom_syscall_data __user *call;	/* that sleeps */
	struct kmk_syscall_batch batch;		/* that the call is in, if count is not 0 */
};

/* For kmk_syscall_cancel() to find it. */
struct kmk_syscall_pdu {
	struct kmk_syscall_sleeper *sleeper;
};

static void kmk_syscall_start_timer(struct kmk_syscall_sleeper *sleeper, int ms)
{
	hrtimer_start_range_ns(&sleeper->timer, ms_to_ktime(ms), kmk_syscall_slack(),
			       HRTIMER_MODE_REL);
	/* From here on, the sleeper may be freed. */
}

/* The sleep is over: in the context of the task that asked for it. */
static void kmk_syscall_slept(struct io_uring_cmd *ioucmd, unsigned int issue_flags)
{
	struct kmk_syscall_sleeper *sleeper =
		io_uring_cmd_to_pdu(ioucmd, struct kmk_syscall_pdu)->sleeper;
	struct kmk_syscall_batch *batch = &sleeper->batch;
	int ret;

	if (current->flags & (PF_EXITING | PF_KTHREAD)) {
		/* The task is gone, and its memory is not here. */
		ret = -ECANCELED;
	} else {
		ret = put_user(0, &sleeper->call->result) ? -EFAULT : 0;
		if (batch->count)
			ret = kmk_syscall_note(batch, ret) ? -EFAULT : kmk_syscall_run(batch);
		if (ret > 0 && kmk_uring_cmd_abandoned(ioucmd))
			ret = -ECANCELED;
	}
	if (ret > 0) {
		sleeper->call = kmk_syscall_next(batch);
		kmk_syscall_start_timer(sleeper, ret);
		return;
	}
	if (!ret)
		ret = batch->count - batch->failed;
	/* The timer's function may not have returned yet. */
	hrtimer_cancel(&sleeper->timer);
	/* Until the command is done, it can be cancelled. */
	io_uring_cmd_done(ioucmd, ret, issue_flags);
	kfree(sleeper);
}

KMK_URING_TASK_WORK(kmk_syscall_slept);

static enum hrtimer_restart kmk_syscall_timer(struct hrtimer *timer)
{
	struct kmk_syscall_sleeper *sleeper = container_of(timer, struct kmk_syscall_sleeper,
							   timer);

	io_uring_cmd_complete_in_task(sleeper->ioucmd, kmk_uring_task_work(kmk_syscall_slept));
	return HRTIMER_NORESTART;
}

/* The ring goes, or its task calls execve(): called again until the command is done. */
static int kmk_syscall_cancel(struct io_uring_cmd *ioucmd, unsigned int issue_flags)
{
	struct kmk_syscall_sleeper *sleeper =
		io_uring_cmd_to_pdu(ioucmd, struct kmk_syscall_pdu)->sleeper;

	if (hrtimer_try_to_cancel(&sleeper->timer) > 0) {
		io_uring_cmd_done(ioucmd, -ECANCELED, issue_flags);
		kfree(sleeper);
	}
	return 0;
}

static int kmk_syscall_uring_sleep(struct io_uring_cmd *ioucmd, unsigned int issue_flags,
				   struct custom_syscall_data __user *call,
				   const struct kmk_syscall_batch *batch, int ms)
{
	struct kmk_syscall_sleeper *sleeper = kzalloc(sizeof(*sleeper), GFP_KERNEL_ACCOUNT);

	if (!sleeper)
		return -ENOMEM;
	hrtimer_setup(&sleeper->timer, kmk_syscall_timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	sleeper->ioucmd = ioucmd;
	sleeper->call = call;
	sleeper->batch = *batch;
	io_uring_cmd_to_pdu(ioucmd, struct kmk_syscall_pdu)->sleeper = sleeper;
	io_uring_cmd_mark_cancelable(ioucmd, issue_flags);
	kmk_syscall_start_timer(sleeper, ms);
	return -EIOCBQUEUED;
}

static int kmk_syscall_uring_cmd(struct io_uring_cmd *ioucmd, unsigned int issue_flags)
{
	const struct custom_syscall_uring *uring = kmk_uring_cmd_payload(ioucmd);
	const unsigned int cmd = ioucmd->cmd_op;
	struct custom_syscall_data __user *call;
	struct kmk_syscall_batch batch = { };
	int ret;

	if (issue_flags & IO_URING_F_CANCEL)
		return kmk_syscall_cancel(ioucmd, issue_flags);

	call = u64_to_user_ptr(READ_ONCE(uring->argument));
	if (READ_ONCE(uring->reserved))
		return -EINVAL;
	switch (cmd & ~IOCSIZE_MASK) {
	case CUSTOM_SYSCALL & ~IOCSIZE_MASK:
		ret = kmk_syscall_call(call, _IOC_SIZE(cmd));
		break;
	case CUSTOM_SYSCALL_BATCH & ~IOCSIZE_MASK:
		ret = kmk_syscall_fetch_batch(&batch, (void __user *)call, _IOC_SIZE(cmd));
		if (!ret)
			ret = kmk_syscall_run(&batch);
		call = kmk_syscall_next(&batch);
		break;
	default:
		return -ENOTTY;
	}
	if (ret > 0)
		return kmk_syscall_uring_sleep(ioucmd, issue_flags, call, &batch, ret);
	if (ret < 0)
		return ret;
	/* Not returned, because older kernels take more than 0 for a failure. */
	io_uring_cmd_done(ioucmd, batch.count - batch.failed, issue_flags);
	return -EIOCBQUEUED;
}
#endif

static const struct file_operations kmk_syscall_fops = {
	.owner		= THIS_MODULE,
	.open		= nonseekable_open,
	.unlocked_ioctl	= kmk_syscall_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
#ifdef KMK_HAVE_URING_CMD
	.uring_cmd	= kmk_syscall_uring_cmd,
#endif
};

static struct miscdevice kmk_syscall_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "syscall_ext",
	.fops	= &kmk_syscall_fops,
};

static int __init kmk_syscall_init(void)
{
	int ret;

	kmk_syscall_device.mode = S_IFCHR | mode;	/* the misc core takes mode 0 as "unset" */
	ret = misc_register(&kmk_syscall_device);
	if (ret) {
		pr_err("cannot register /dev/syscall_ext (%d): is the name or every minor taken?\n",
		       ret);
		return ret;
	}
	pr_info("loaded, calls go to /dev/syscall_ext\n");
	return 0;
}

static void __exit kmk_syscall_exit(void)
{
	misc_deregister(&kmk_syscall_device);
	pr_info("unloaded\n");
}

module_init(kmk_syscall_init);
module_exit(kmk_syscall_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("New calls for user space through the ioctl of a device");
MODULE_VERSION(KMK_VERSION);
