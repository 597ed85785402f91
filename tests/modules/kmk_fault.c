// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_fault - deliberate faults, for testing the test machine
 *
 * Loading it commits the fault that the parameter names: one for each checker
 * that an instrumented kernel has, so that a checker that keeps silent shows.
 * Each is survived by a kernel that does not check, and leaves the module free
 * to be unloaded, but for pin. Who finds the way through oops_maze is killed, through
 * hang_maze is held for ever, and through panic_maze stops the machine. Never load it
 * anywhere else.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/types.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <kmk/version.h>

static char *fault = "";
module_param(fault, charp, 0);
MODULE_PARM_DESC(fault, "which, as listed in the source");

/* A number that the compiler does not know, so it cannot see what is wrong with it. */
static unsigned long hidden(unsigned long n)
{
	OPTIMIZER_HIDE_VAR(n);
	return n;
}

/* The runner */

static void fault_warn(void)
{
	WARN(1, "deliberate\n");
}

static void fault_pin(void)
{
	__module_get(THIS_MODULE);
}

/* KASAN; a read does no harm where nobody checks. */

static void fault_use_after_free(void)
{
	char *p = kmalloc(100, GFP_KERNEL), *stale = p;

	if (!p)
		return;
	OPTIMIZER_HIDE_VAR(stale);
	kfree(p);
	READ_ONCE(stale[50]);
}

static void fault_slab_bounds(void)
{
	char *p = kmalloc(100, GFP_KERNEL);

	if (!p)
		return;
	READ_ONCE(p[hidden(100)]);
	kfree(p);
}

static void fault_vmalloc_bounds(void)
{
	char *p = vmalloc(PAGE_SIZE / 2);

	if (!p)
		return;
	READ_ONCE(p[hidden(PAGE_SIZE / 2)]);
	vfree(p);
}

static void fault_stack_bounds(void)
{
	char on_stack[10] = {};
	char *p = on_stack;

	OPTIMIZER_HIDE_VAR(p);
	READ_ONCE(p[hidden(10)]);
}

/* UBSAN */

static unsigned int ubsan_sink;

static void fault_shift(void)
{
	ubsan_sink = 1U << hidden(BITS_PER_TYPE(ubsan_sink));
}

static void fault_index(void)
{
	static const struct {
		unsigned int inside[4];
		unsigned int behind;	/* is read, and harms nobody */
	} numbers;

	ubsan_sink = numbers.inside[hidden(4)];
}

static void fault_bool(void)
{
	u8 byte = hidden(2);
	bool *neither = (bool *)&byte;

	OPTIMIZER_HIDE_VAR(neither);
	ubsan_sink = *neither;
}

/* DEBUG_ATOMIC_SLEEP */

static DEFINE_SPINLOCK(spin);

static void fault_atomic_sleep(void)
{
	spin_lock(&spin);
	might_sleep();
	spin_unlock(&spin);
}

/*
 * No fault: tells how many pages come as a process left them that had filled them with
 * 0xa5. Those of the kernel's own data and those of files are taken from different lists.
 */

static unsigned int count_dirty(gfp_t gfp)
{
	static struct page *pages[4096];
	unsigned int i, dirty = 0;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_page(gfp);
		if (pages[i] && !memchr_inv(page_address(pages[i]), 0xa5, PAGE_SIZE))
			dirty++;
	}
	while (i--)
		if (pages[i])
			__free_page(pages[i]);
	return dirty;
}

static void fault_dirt(void)
{
	pr_info("dirty pages: %u of the kernel, %u of files\n", count_dirty(GFP_KERNEL),
		count_dirty(GFP_KERNEL | __GFP_MOVABLE));
}

/* Lockdep */

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);

static void fault_lock_order(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static int __rcu *guarded;

static void fault_rcu(void)
{
	rcu_dereference(guarded);
}

/* DEBUG_OBJECTS; it takes the timer off the queue itself. */

struct timed {
	struct timer_list timer;
};

static void never(struct timer_list *timer)
{
}

static void fault_active_timer(void)
{
	struct timed *timed;

	if (!IS_ENABLED(CONFIG_DEBUG_OBJECTS_TIMERS))
		return;
	timed = kmalloc(sizeof(*timed), GFP_KERNEL);
	if (!timed)
		return;
	timer_setup(&timed->timer, never, 0);
	mod_timer(&timed->timer, jiffies + 3600 * HZ);
	kfree(timed);
}

/* DEBUG_LIST; it leaves the list alone. */

static void fault_list(void)
{
	LIST_HEAD(one);
	LIST_HEAD(other);
	LIST_HEAD(node);

	if (!IS_ENABLED(CONFIG_DEBUG_LIST))
		return;
	list_add(&node, &one);
	node.prev = &other;
	list_del(&node);
}

/* kmemleak */

static void fault_leak(void)
{
	void *p = kmalloc(1234, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p);
}

/* DEBUG_VM: what comes from a pool may have been used before, and is not cleared. */

static void fault_vm(void)
{
	mempool_t *pool = mempool_create_kmalloc_pool(1, 16);

	if (!pool)
		return;
	mempool_free(mempool_alloc(pool, GFP_KERNEL | __GFP_ZERO), pool);
	mempool_destroy(pool);
}

/* DEBUG_SHIRQ: the handler may be called until free_irq() returns, and is. */

static irqreturn_t use_cookie(int irq, void *cookie)
{
	READ_ONCE(*(int *)cookie);
	return IRQ_NONE;
}

static void fault_shared_irq(void)
{
	int *cookie = kzalloc(sizeof(*cookie), GFP_KERNEL), *stale = cookie;
	unsigned int irq = 5;	/* of a second parallel port, which no test machine has */
	int err;

	if (!cookie)
		return;
	OPTIMIZER_HIDE_VAR(stale);
	err = request_irq(irq, use_cookie, IRQF_SHARED, KBUILD_MODNAME, cookie);
	kfree(cookie);
	if (err)
		pr_err("no line %u to share (%d)\n", irq, err);
	else
		free_irq(irq, stale);
}

/* KCSAN */

static unsigned long raced;

static int race_thread(void *unused)
{
	while (!kthread_should_stop()) {
		raced++;
		cond_resched();
	}
	return 0;
}

static void fault_race(void)
{
	struct task_struct *threads[2];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(threads); i++)
		threads[i] = kthread_run(race_thread, NULL, "kmk_race/%u", i);
	schedule_timeout_uninterruptible(5 * HZ);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		if (!IS_ERR(threads[i]))
			kthread_stop(threads[i]);
}

/*
 * The fuzzer: behind four numbers that must be right lies a use after free. Only who
 * sees that one more of them is right finds the way before long.
 */
static void (*behind_maze)(void) = fault_use_after_free;

static bool right(u8 step, u8 wanted)
{
	return READ_ONCE(step) / 16 == wanted;
}

static ssize_t maze_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	u8 steps[4];

	if (size != sizeof(steps) || copy_from_user(steps, from, sizeof(steps)))
		return -EINVAL;
	if (!right(steps[0], 3))
		return -E2BIG;
	if (!right(steps[1], 14))
		return -EDOM;
	if (!right(steps[2], 9))
		return -ERANGE;
	if (!right(steps[3], 6))
		return -EBADMSG;
	behind_maze();
	return size;
}

static const struct file_operations maze_fops = {
	.owner = THIS_MODULE,
	.write = maze_write,
};

static struct miscdevice maze = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = KBUILD_MODNAME,
	.fops = &maze_fops,
};

static bool maze_is_there;

static void fault_maze(void)
{
	maze_is_there = !misc_register(&maze);
}

static void oops(void)
{
	WRITE_ONCE(*(int *)hidden(8), 0);
}

static void fault_oops_maze(void)
{
	behind_maze = oops;
	fault_maze();
}

static void hang(void)
{
	DECLARE_COMPLETION_ONSTACK(never_done);

	wait_for_completion(&never_done);
}

static void fault_hang_maze(void)
{
	behind_maze = hang;
	fault_maze();
}

static void stop(void)
{
	panic("deliberate\n");
}

static void fault_panic_maze(void)
{
	behind_maze = stop;
	fault_maze();
}

static const struct {
	const char *name;
	void (*commit)(void);
} faults[] = {
	{ "warn", fault_warn },
	{ "pin", fault_pin },
	{ "use_after_free", fault_use_after_free },
	{ "slab_bounds", fault_slab_bounds },
	{ "vmalloc_bounds", fault_vmalloc_bounds },
	{ "stack_bounds", fault_stack_bounds },
	{ "shift", fault_shift },
	{ "index", fault_index },
	{ "bool", fault_bool },
	{ "dirt", fault_dirt },
	{ "atomic_sleep", fault_atomic_sleep },
	{ "lock_order", fault_lock_order },
	{ "rcu", fault_rcu },
	{ "active_timer", fault_active_timer },
	{ "list", fault_list },
	{ "leak", fault_leak },
	{ "vm", fault_vm },
	{ "shared_irq", fault_shared_irq },
	{ "race", fault_race },
	{ "maze", fault_maze },
	{ "oops_maze", fault_oops_maze },
	{ "hang_maze", fault_hang_maze },
	{ "panic_maze", fault_panic_maze },
};

static int __init fault_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		if (!strcmp(fault, faults[i].name)) {
			faults[i].commit();
			return 0;
		}
	}
	pr_err("no such fault: '%s'\n", fault);
	return -EINVAL;
}

static void __exit fault_exit(void)
{
	if (maze_is_there)
		misc_deregister(&maze);
}

module_init(fault_init);
module_exit(fault_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("Deliberate faults, for testing the test machine");
MODULE_VERSION(KMK_VERSION);
