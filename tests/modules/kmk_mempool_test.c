// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_mempool_test - kmk_mempool's in-kernel API, tested from inside the kernel
 *
 * Each file in debugfs's kmk_mempool_test/ is a test: reading it runs the test in
 * the reader's context, and shows "ok", or the first expectation that did not hold.
 * tests/test_mempool.c reads them all.
 *
 * Data: failure, the result of the running test; run_lock lets one test run at a
 * time, and the first of its threads and interrupts that fails sets it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/hrtimer.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>

#include <kmk/compat.h>
#include <kmk/mempool.h>
#include <kmk/version.h>

static DEFINE_MUTEX(run_lock);
static const char *failure;

static bool expect(bool holds, const char *what)
{
	if (!holds)
		cmpxchg(&failure, NULL, what);
	return holds;
}

#define TEXT_(x)	#x
#define TEXT(x)		TEXT_(x)
/* Note the condition if it does not hold; evaluates to whether it does. */
#define EXPECT(condition)	expect(condition, TEXT(__LINE__) ": " #condition)

static struct kmk_pool *make_pool(size_t size, unsigned long total, unsigned int flags)
{
	struct kmk_pool *pool = kmk_pool_create("test pool", size, total, flags);

	return EXPECT(!IS_ERR(pool)) ? pool : NULL;
}

static struct kmk_pool_stats stats_of(struct kmk_pool *pool)
{
	struct kmk_pool_stats stats;

	kmk_pool_get_stats(pool, &stats);
	return stats;
}

/* Work that all CPUs do at once; each is told its number. */
#define MOST_CPUS	8

static struct {
	void (*work)(unsigned int number);
	unsigned int cpus;
	atomic_t finished;
	wait_queue_head_t all_finished;
} crew = {
	.all_finished = __WAIT_QUEUE_HEAD_INITIALIZER(crew.all_finished),
};

static int crew_thread(void *number)
{
	crew.work((long)number);
	if (atomic_inc_return(&crew.finished) == crew.cpus)
		wake_up(&crew.all_finished);
	/* kthread_stop() wants to meet a thread. */
	set_current_state(TASK_INTERRUPTIBLE);
	while (!kthread_should_stop()) {
		schedule();
		set_current_state(TASK_INTERRUPTIBLE);
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static void on_each_cpu_do(void (*work)(unsigned int number))
{
	struct task_struct *threads[MOST_CPUS];
	unsigned int n = 0, i;
	bool all = true;
	int cpu;

	for_each_online_cpu(cpu) {
		if (n == MOST_CPUS)
			break;
		threads[n] = kthread_create(crew_thread, (void *)(long)n, "kmk_test/%d", cpu);
		all = EXPECT(!IS_ERR(threads[n]));
		if (!all)
			break;
		kthread_bind(threads[n++], cpu);
	}
	crew.work = work;
	crew.cpus = n;
	atomic_set(&crew.finished, 0);
	for (i = 0; all && i < n; i++)
		wake_up_process(threads[i]);
	/* Idle: on a busy host this may take long, which is no hang. */
	if (all)
		wait_event_idle(crew.all_finished, atomic_read(&crew.finished) == n);
	for (i = 0; i < n; i++)
		kthread_stop(threads[i]);
}

/* Run @work in hard-IRQ context, @times times. */
#define IRQ_PERIOD_NS	50000
static struct {
	struct hrtimer timer;
	void (*work)(void);
	unsigned int left;
	struct completion done;
} irq;

static enum hrtimer_restart irq_fires(struct hrtimer *timer)
{
	EXPECT(hardirq_count());
	irq.work();
	if (!--irq.left) {
		complete(&irq.done);
		return HRTIMER_NORESTART;
	}
	hrtimer_forward_now(timer, ns_to_ktime(IRQ_PERIOD_NS));
	return HRTIMER_RESTART;
}

static void start_irqs(void (*work)(void), unsigned int times, enum hrtimer_mode mode)
{
	irq.work = work;
	irq.left = times;
	init_completion(&irq.done);
	hrtimer_setup(&irq.timer, irq_fires, CLOCK_MONOTONIC, mode);
	hrtimer_start(&irq.timer, ns_to_ktime(IRQ_PERIOD_NS), mode);
}

static void wait_irqs(void)
{
	wait_for_completion(&irq.done);
	hrtimer_cancel(&irq.timer);
}

/* The pool of the tests that run in several contexts. */
static struct kmk_pool *shared;

static void pool_arguments(void)
{
	EXPECT(PTR_ERR(kmk_pool_create("x", 0, 1, 0)) == -EINVAL);
	EXPECT(PTR_ERR(kmk_pool_create("x", 1, 0, 0)) == -EINVAL);
	EXPECT(PTR_ERR(kmk_pool_create("x", 1, KMK_POOL_MAX_BLOCKS + 1, 0)) == -EINVAL);
	EXPECT(PTR_ERR(kmk_pool_create("x", 1, 1, BIT(3))) == -EINVAL);
	EXPECT(PTR_ERR(kmk_pool_create("x", 1, 1, BIT(31))) == -EINVAL);
	EXPECT(PTR_ERR(kmk_pool_create("x", SIZE_MAX, 1, 0)) == -EINVAL);
	EXPECT(PTR_ERR(kmk_pool_create("x", SIZE_MAX - 16, 1, KMK_POOL_RED_ZONE)) == -EINVAL);
	EXPECT(PTR_ERR(kmk_pool_create("x", SIZE_MAX / 2, 3, 0)) == -EINVAL);
	EXPECT(PTR_ERR(kmk_pool_create("x", KMALLOC_MAX_SIZE + 1, 1, 0)) == -ENOMEM);
	EXPECT(PTR_ERR(kmk_pool_create("x", SIZE_MAX / 512, 64, KMK_POOL_VMALLOC)) == -ENOMEM);
	EXPECT(kmk_pool_destroy(NULL) == 0);
	EXPECT(kmk_pool_destroy(ERR_PTR(-ENOMEM)) == 0);
}

/* Every block can be allocated from one CPU, each once, and then there is none. */
static void take_all(size_t size, unsigned long total, unsigned int flags)
{
	struct kmk_pool *pool = make_pool(size, total, flags);
	char **blocks = kcalloc(total, sizeof(*blocks), GFP_KERNEL);
	struct kmk_pool_stats stats;
	unsigned long i, round;

	for (round = 1; pool && EXPECT(blocks) && round <= 3; round++) {
		for (i = 0; i < total; i++) {
			blocks[i] = kmk_pool_alloc(pool);
			if (!EXPECT(blocks[i]))
				goto out;
			EXPECT(IS_ALIGNED((unsigned long)blocks[i], 8));
			EXPECT(is_vmalloc_addr(blocks[i]) == !!(flags & KMK_POOL_VMALLOC));
			/* Fresh or wiped: zero. Given twice: the other's mark. */
			if (round == 1 || flags & KMK_POOL_INIT_ON_FREE)
				EXPECT(!memchr_inv(blocks[i], 0, size));
			memset(blocks[i], i + round, size);
		}
		EXPECT(!kmk_pool_alloc(pool));
		EXPECT(!kmk_pool_alloc(pool));
		stats = stats_of(pool);
		EXPECT(stats.total == total && stats.allocated == total && stats.free == 0);
		EXPECT(stats.allocs == round * total && stats.frees == (round - 1) * total);
		EXPECT(stats.empty == 2 * round && stats.misuses == 0);
		for (i = 0; i < total; i++) {
			EXPECT(!memchr_inv(blocks[i], (u8)(i + round), size));
			EXPECT(kmk_pool_free(pool, blocks[i]) == 0);
		}
		stats = stats_of(pool);
		EXPECT(stats.allocated == 0 && stats.free == total && stats.misuses == 0);
	}
out:
	kfree(blocks);
	EXPECT(kmk_pool_destroy(pool) == 0);
}

static void pool_kmalloc(void)
{
	take_all(64, 1000, 0);
	take_all(1500, 100, 0);
	take_all(1, 1, 0);
	take_all(1, 2, 0);
	take_all(1, 3, 0);
	take_all(PAGE_SIZE, 7, 0);
}

static void pool_vmalloc(void)
{
	take_all(64, 1000, KMK_POOL_VMALLOC);
	take_all(5000, 500, KMK_POOL_VMALLOC);
	take_all(1 << 20, 5, KMK_POOL_VMALLOC);
}

static void pool_options(void)
{
	take_all(64, 300, KMK_POOL_INIT_ON_FREE);
	take_all(61, 300, KMK_POOL_RED_ZONE);
	take_all(61, 300, KMK_POOL_RED_ZONE | KMK_POOL_INIT_ON_FREE | KMK_POOL_VMALLOC);
}

/* Every address in and near a pool is judged rightly, for sizes of every shape. */
static void pool_addresses(void)
{
	static const size_t sizes[] = { 1, 8, 9, 24, 56, 64, 96, 120, 1000, 1024, 4096, 5001 };
	const unsigned int variants[] = { 0, KMK_POOL_RED_ZONE };
	unsigned long n, ok, wrong;
	char *blocks[5], *p;
	struct kmk_pool *pool;
	unsigned int v, s, i;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		for (v = 0; v < ARRAY_SIZE(variants); v++) {
			pool = make_pool(sizes[s], ARRAY_SIZE(blocks), variants[v]);
			if (!pool)
				return;
			for (i = 0; i < ARRAY_SIZE(blocks); i++)
				blocks[i] = kmk_pool_alloc(pool);
			n = 0;
			ok = 0;
			wrong = 0;
			for (p = blocks[0] - 6 * 5100; p < blocks[0] + 6 * 5100; p++, n++) {
				if (kmk_pool_free(pool, p) == 0)
					ok++;
				else
					wrong++;
			}
			EXPECT(ok == ARRAY_SIZE(blocks));
			EXPECT(stats_of(pool).misuses == wrong && ok + wrong == n);
			EXPECT(kmk_pool_destroy(pool) == 0);
		}
	}
}

static void pool_already_free(void)
{
	struct kmk_pool *pool = make_pool(100, 4, 0);
	void *a, *b;

	if (!pool)
		return;
	a = kmk_pool_alloc(pool);
	b = kmk_pool_alloc(pool);
	EXPECT(kmk_pool_free(pool, a) == 0);
	EXPECT(kmk_pool_free(pool, a) == -ENOENT);
	EXPECT(kmk_pool_free(pool, b) == 0);
	EXPECT(kmk_pool_free(pool, a) == -ENOENT);
	EXPECT(kmk_pool_free(pool, b) == -ENOENT);
	EXPECT(kmk_pool_free(pool, NULL) == 0);
	EXPECT(stats_of(pool).misuses == 3);
	EXPECT(stats_of(pool).free == 4);
	/* Nothing was lost or doubled. */
	a = kmk_pool_alloc(pool);
	b = kmk_pool_alloc(pool);
	EXPECT(a && b && a != b);
	EXPECT(kmk_pool_alloc(pool) && kmk_pool_alloc(pool) && !kmk_pool_alloc(pool));
	EXPECT(kmk_pool_destroy(pool) == 4);

	/* A block that was never given out is free too. */
	pool = make_pool(104, 2, 0);
	if (!pool)
		return;
	a = kmk_pool_alloc(pool);
	EXPECT(kmk_pool_free(pool, a - 104) + kmk_pool_free(pool, a + 104) == -ENOENT - EINVAL);
	EXPECT(kmk_pool_free(pool, a) == 0);
	EXPECT(kmk_pool_destroy(pool) == 0);
}

static void pool_foreign(void)
{
	struct kmk_pool *pool = make_pool(64, 4, 0), *other = make_pool(64, 4, 0);
	void *mine, *theirs;
	int on_stack;

	if (pool && other) {
		mine = kmk_pool_alloc(pool);
		theirs = kmk_pool_alloc(other);
		EXPECT(kmk_pool_free(pool, theirs) == -EINVAL);
		EXPECT(kmk_pool_free(other, mine) == -EINVAL);
		EXPECT(kmk_pool_free(pool, &on_stack) == -EINVAL);
		EXPECT(kmk_pool_free(pool, (void *)8) == -EINVAL);
		EXPECT(kmk_pool_free(pool, (void *)ULONG_MAX) == -EINVAL);
		EXPECT(stats_of(pool).misuses == 4 && stats_of(other).misuses == 1);
		EXPECT(kmk_pool_free(pool, mine) == 0);
		EXPECT(kmk_pool_free(other, theirs) == 0);
	}
	EXPECT(kmk_pool_destroy(pool) == 0);
	EXPECT(kmk_pool_destroy(other) == 0);
}

static void pool_misaligned(void)
{
	struct kmk_pool *pool = make_pool(48, 4, 0);
	char *block;
	int i;

	if (!pool)
		return;
	block = kmk_pool_alloc(pool);
	for (i = 1; i < 48; i++)
		EXPECT(kmk_pool_free(pool, block + i) == -EINVAL);
	EXPECT(stats_of(pool).misuses == 47 && stats_of(pool).allocated == 1);
	EXPECT(kmk_pool_free(pool, block) == 0);
	EXPECT(kmk_pool_destroy(pool) == 0);
}

static void pool_overrun(void)
{
	struct kmk_pool *pool = make_pool(45, 3, KMK_POOL_RED_ZONE);
	static const int outside[] = { -16, -1, 45, 60 };
	char *block;
	int i;

	if (!pool)
		return;
	for (i = 0; i < ARRAY_SIZE(outside); i++) {
		block = kmk_pool_alloc(pool);
		memset(block, 0xff, 45);
		block[outside[i]] ^= 1;
		EXPECT(kmk_pool_free(pool, block) == -EOVERFLOW);
		EXPECT(stats_of(pool).misuses == i + 1 && stats_of(pool).free == 3);
	}
	/* The red zones that were overwritten have been repaired. */
	block = kmk_pool_alloc(pool);
	EXPECT(kmk_pool_free(pool, block) == 0);
	EXPECT(kmk_pool_destroy(pool) == 0);
}

static void pool_leak(void)
{
	struct kmk_pool *pool = make_pool(64, 10, 0);

	if (!pool)
		return;
	EXPECT(kmk_pool_alloc(pool) && kmk_pool_alloc(pool) && kmk_pool_alloc(pool));
	EXPECT(kmk_pool_destroy(pool) == 3);
}

/* A pool for debugging remembers where each block was allocated. */
static void pool_overrun_leak(void)
{
	struct kmk_pool *pool = make_pool(64, 10, KMK_POOL_RED_ZONE);

	if (!pool)
		return;
	EXPECT(kmk_pool_alloc(pool) && kmk_pool_alloc(pool));
	EXPECT(kmk_pool_free(pool, kmk_pool_alloc(pool)) == 0);
	EXPECT(kmk_pool_destroy(pool) == 2);
}

static void pool_most_blocks(void)
{
	struct kmk_pool *pool = make_pool(1, KMK_POOL_MAX_BLOCKS, KMK_POOL_VMALLOC);
	void *block;

	if (!pool)
		return;
	block = kmk_pool_alloc(pool);
	EXPECT(block);
	EXPECT(stats_of(pool).free == KMK_POOL_MAX_BLOCKS - 1);
	EXPECT(kmk_pool_free(pool, block) == 0);
	EXPECT(kmk_pool_destroy(pool) == 0);
}

/* With all that forbids sleeping: interrupts off and a raw spinlock held. */
static void pool_atomic(void)
{
	struct kmk_pool *pool = make_pool(64, 2, KMK_POOL_RED_ZONE | KMK_POOL_INIT_ON_FREE);
	static DEFINE_RAW_SPINLOCK(lock);
	unsigned long flags;
	void *a, *b;

	if (!pool)
		return;
	raw_spin_lock_irqsave(&lock, flags);
	a = kmk_pool_alloc(pool);
	b = kmk_pool_alloc(pool);
	EXPECT(a && b && !kmk_pool_alloc(pool));
	EXPECT(kmk_pool_free(pool, a) == 0);
	EXPECT(kmk_pool_free(pool, a) == -ENOENT);
	EXPECT(kmk_pool_free(pool, b) == 0);
	EXPECT(stats_of(pool).free == 2);
	raw_spin_unlock_irqrestore(&lock, flags);
	EXPECT(kmk_pool_destroy(pool) == 0);
}

static void irq_work(void)
{
	char *a = kmk_pool_alloc(shared), *b = kmk_pool_alloc(shared);

	EXPECT(a && b && a != b && !kmk_pool_alloc(shared));
	EXPECT(kmk_pool_free(shared, a) == 0);
	EXPECT(kmk_pool_free(shared, a) == -ENOENT);
	EXPECT(kmk_pool_free(shared, b + 1) == -EINVAL);
	EXPECT(kmk_pool_free(shared, &a) == -EINVAL);
	b[64] = 0;
	EXPECT(kmk_pool_free(shared, b) == -EOVERFLOW);
}

static void pool_hardirq(void)
{
	shared = make_pool(64, 2, KMK_POOL_RED_ZONE | KMK_POOL_INIT_ON_FREE);
	if (!shared)
		return;
	start_irqs(irq_work, 100, HRTIMER_MODE_REL_HARD);
	wait_irqs();
	EXPECT(stats_of(shared).allocs == 200 && stats_of(shared).misuses == 400);
	EXPECT(kmk_pool_destroy(shared) == 0);
}

/* Each user marks its blocks as its own, and finds the mark when it is done. */
#define STRESS_BLOCKS	64
#define STRESS_HELD	24

static void stress_once(unsigned long mark, unsigned int held)
{
	unsigned long *blocks[STRESS_HELD];
	unsigned int n, i;

	for (n = 0; n < held; n++) {
		blocks[n] = kmk_pool_alloc(shared);
		if (!blocks[n])
			break;
		EXPECT(cmpxchg(blocks[n], 0, mark + n) == 0);
	}
	for (i = 0; i < n; i++) {
		EXPECT(xchg(blocks[i], 0) == mark + i);
		EXPECT(kmk_pool_free(shared, blocks[i]) == 0);
	}
}

static void stress_irq(void)
{
	stress_once(1UL << 30, 1 + irq.left % STRESS_HELD);
}

static void stress_thread(unsigned int number)
{
	unsigned long mark = (number + 1) << 16;
	unsigned int i;

	for (i = 0; i < 20000; i++) {
		stress_once(mark, 1 + i % STRESS_HELD);
		if (i % 64 == 0)
			cond_resched();
	}
}

/* On all CPUs and in interrupts of them: no block has two users, none gets lost. */
static void pool_stress(void)
{
	unsigned int i;

	shared = make_pool(64, STRESS_BLOCKS, 0);
	if (!shared)
		return;
	start_irqs(stress_irq, 2000, HRTIMER_MODE_REL_HARD);
	on_each_cpu_do(stress_thread);
	wait_irqs();
	EXPECT(stats_of(shared).allocs > 20000 * crew.cpus);
	EXPECT(stats_of(shared).misuses == 0 && stats_of(shared).free == STRESS_BLOCKS);
	for (i = 0; i < STRESS_BLOCKS; i++)
		EXPECT(kmk_pool_alloc(shared));
	EXPECT(!kmk_pool_alloc(shared));
	EXPECT(kmk_pool_destroy(shared) == STRESS_BLOCKS);
}

/* Several threads meet, then all do one thing at once. */
static atomic_t met, freed;
static void *prize;
static struct kmk_mem *shared_mem;

static void meet(unsigned int round)
{
	atomic_inc(&met);
	while (atomic_read(&met) < round * crew.cpus) {
		cpu_relax();
		cond_resched();
	}
}

static void race_thread(unsigned int number)
{
	unsigned int i;

	for (i = 0; i < 2000; i++) {
		if (number == 0)
			prize = shared ? kmk_pool_alloc(shared) :
				kmk_mem_alloc(shared_mem, 64, KMK_MEM_KERNEL);
		meet(2 * i + 1);
		if ((shared ? kmk_pool_free(shared, prize) :
			      kmk_mem_free(shared_mem, prize)) == 0)
			atomic_inc(&freed);
		meet(2 * i + 2);
	}
}

/* All CPUs free the same block: one of them did it, each time. */
static void pool_double_free_race(void)
{
	atomic_set(&met, 0);
	atomic_set(&freed, 0);
	shared = make_pool(64, 4, 0);
	if (!shared)
		return;
	on_each_cpu_do(race_thread);
	EXPECT(atomic_read(&freed) == 2000);
	EXPECT(stats_of(shared).frees == 2000 && stats_of(shared).free == 4);
	EXPECT(kmk_pool_destroy(shared) == 0);
	shared = NULL;
}

/* Blocks that one CPU freed another can allocate, to the last one. */
static void *passed[100];

static void pass_thread(unsigned int number)
{
	unsigned int round, i;

	for (round = 0; round < 50; round++) {
		meet(2 * round + 1);
		if (number == round % crew.cpus) {
			for (i = 0; i < ARRAY_SIZE(passed); i++)
				EXPECT(!passed[i] || kmk_pool_free(shared, passed[i]) == 0);
			for (i = 0; i < ARRAY_SIZE(passed); i++) {
				passed[i] = kmk_pool_alloc(shared);
				EXPECT(passed[i]);
			}
			EXPECT(!kmk_pool_alloc(shared));
		}
		meet(2 * round + 2);
	}
}

static void pool_other_cpu(void)
{
	atomic_set(&met, 0);
	memset(passed, 0, sizeof(passed));
	shared = make_pool(64, ARRAY_SIZE(passed), 0);
	if (!shared)
		return;
	on_each_cpu_do(pass_thread);
	EXPECT(kmk_pool_destroy(shared) == ARRAY_SIZE(passed));
	shared = NULL;
}

/* Each CPU holds at most one block of a pool that has one for each: it always gets it. */
static void short_thread(unsigned int number)
{
	unsigned int i;
	void *block;

	for (i = 0; i < 50000; i++) {
		block = kmk_pool_alloc(shared);
		if (!EXPECT(block))
			break;
		EXPECT(kmk_pool_free(shared, block) == 0);
		if (i % 64 == 0)
			cond_resched();
	}
}

/*
 * Blocks that are on their way from one CPU's list to another's are not missed: on CPU 0
 * interrupts steal, too. A pool of one block for each of its users is never empty.
 */
static void short_irq(void)
{
	void *block = kmk_pool_alloc(shared);

	EXPECT(block);
	EXPECT(kmk_pool_free(shared, block) == 0);
}

static void pool_never_short(void)
{
	shared = make_pool(64, min_t(unsigned int, num_online_cpus(), MOST_CPUS) + 1, 0);
	if (!shared)
		return;
	start_irqs(short_irq, 2000, HRTIMER_MODE_REL_HARD);
	on_each_cpu_do(short_thread);
	wait_irqs();
	EXPECT(stats_of(shared).empty == 0 && stats_of(shared).misuses == 0);
	EXPECT(kmk_pool_destroy(shared) == 0);
	shared = NULL;
}

/* A pool that stays from one test to the next, while a processor goes and comes. */
static struct kmk_pool *staying;
static void *stayed[64];

static void take_and_free_thread(unsigned int number)
{
	unsigned int i;

	if (number != crew.cpus - 1)
		return;
	for (i = 0; i < ARRAY_SIZE(stayed); i++) {
		stayed[i] = kmk_pool_alloc(staying);
		EXPECT(stayed[i]);
	}
	EXPECT(!kmk_pool_alloc(staying));
	for (i = 0; i < ARRAY_SIZE(stayed); i++)
		EXPECT(kmk_pool_free(staying, stayed[i]) == 0);
}

/* The last processor takes all blocks, and has them on its list in the end. */
static void pool_take_and_free(void)
{
	if (EXPECT(staying))
		on_each_cpu_do(take_and_free_thread);
}

/* The first time this makes the pool, the second time it ends it. */
static void pool_fill_cpu1(void)
{
	if (staying) {
		EXPECT(kmk_pool_destroy(staying) == 0);
		staying = NULL;
		return;
	}
	staying = make_pool(64, ARRAY_SIZE(stayed), 0);
	EXPECT(num_online_cpus() > 1);
	pool_take_and_free();
}

static struct kmk_mem *make_mem(void)
{
	struct kmk_mem *mem = kmk_mem_create("test manager");

	return EXPECT(!IS_ERR(mem)) ? mem : NULL;
}

static const struct {
	enum kmk_mem_kind kind;
	size_t size;
} kinds[] = {
	{ KMK_MEM_KERNEL, 1 }, { KMK_MEM_KERNEL, 100 }, { KMK_MEM_KERNEL, 1 << 20 },
	{ KMK_MEM_ATOMIC, 1 }, { KMK_MEM_ATOMIC, 5000 },
	{ KMK_MEM_DMA, 512 },
	{ KMK_MEM_VMALLOC, 1 }, { KMK_MEM_VMALLOC, 10 << 20 },
	{ KMK_MEM_PAGE, 1 }, { KMK_MEM_PAGE, PAGE_SIZE },
};

/* Each kind comes from where it says, knows itself, and is freed rightly. */
static void mem_kinds(void)
{
	struct kmk_mem *mem = make_mem();
	struct kmk_mem_info info;
	unsigned int i;
	char *block;

	for (i = 0; mem && i < ARRAY_SIZE(kinds); i++) {
		block = kmk_mem_alloc(mem, kinds[i].size, kinds[i].kind);
		if (!EXPECT(block))
			break;
		EXPECT(is_vmalloc_addr(block) == (kinds[i].kind == KMK_MEM_VMALLOC));
		if (kinds[i].kind == KMK_MEM_PAGE) {
			EXPECT(IS_ALIGNED((unsigned long)block, PAGE_SIZE));
			EXPECT(!memchr_inv(block, 0, PAGE_SIZE));
		}
		if (kinds[i].kind == KMK_MEM_DMA && IS_ENABLED(CONFIG_X86) &&
		    IS_ENABLED(CONFIG_ZONE_DMA))
			EXPECT(virt_to_phys(block) + kinds[i].size <= 16 << 20);
		memset(block, 0xff, kinds[i].size);
		EXPECT(kmk_mem_query(mem, block, &info) == 0);
		EXPECT(info.size == kinds[i].size && info.kind == kinds[i].kind);
		EXPECT(kmk_mem_free(mem, block) == 0);
		EXPECT(kmk_mem_query(mem, block, &info) == -ENOENT);
	}
	EXPECT(kmk_mem_destroy(mem) == 0);
}

static void mem_arguments(void)
{
	struct kmk_mem *mem = make_mem();
	struct kmk_mem_info info;
	int kind;

	if (!mem)
		return;
	for (kind = KMK_MEM_KERNEL; kind <= KMK_MEM_PAGE; kind++) {
		EXPECT(!kmk_mem_alloc(mem, 0, kind));
		EXPECT(!kmk_mem_alloc(mem, SIZE_MAX, kind));
	}
	EXPECT(!kmk_mem_alloc(mem, 1, KMK_MEM_PAGE + 1));
	EXPECT(!kmk_mem_alloc(mem, KMALLOC_MAX_SIZE + 1, KMK_MEM_KERNEL));
	EXPECT(!kmk_mem_alloc(mem, PAGE_SIZE + 1, KMK_MEM_PAGE));
	EXPECT(kmk_mem_free(mem, NULL) == 0);
	EXPECT(kmk_mem_query(mem, NULL, &info) == -EINVAL);
	EXPECT(kmk_mem_destroy(mem) == 0);
	EXPECT(kmk_mem_destroy(NULL) == 0);
	EXPECT(kmk_mem_destroy(ERR_PTR(-ENOMEM)) == 0);
}

static void mem_misuse(void)
{
	struct kmk_mem *mem = make_mem(), *other = make_mem();
	struct kmk_mem_info info;
	char *block, *foreign;
	int on_stack;

	if (mem && other) {
		block = kmk_mem_alloc(mem, 100, KMK_MEM_KERNEL);
		foreign = kmk_mem_alloc(other, 100, KMK_MEM_VMALLOC);
		EXPECT(block && foreign);
		EXPECT(kmk_mem_free(mem, foreign) == -EINVAL);
		EXPECT(kmk_mem_free(mem, &on_stack) == -EINVAL);
		EXPECT(kmk_mem_free(mem, (void *)8) == -EINVAL);
		EXPECT(kmk_mem_free(mem, block + 1) == -EINVAL);
		EXPECT(kmk_mem_free(mem, block + 99) == -EINVAL);
		EXPECT(kmk_mem_query(mem, block + 1, &info) == -EINVAL);
		EXPECT(kmk_mem_query(mem, block, &info) == 0 && info.size == 100);
		EXPECT(kmk_mem_free(mem, block) == 0);
		EXPECT(kmk_mem_free(mem, block) == -ENOENT);
		EXPECT(kmk_mem_query(mem, block, &info) == -ENOENT);
		EXPECT(kmk_mem_free(other, foreign) == 0);
	}
	EXPECT(kmk_mem_destroy(mem) == 0);
	EXPECT(kmk_mem_destroy(other) == 0);
}

static void mem_leak(void)
{
	struct kmk_mem *mem = make_mem();
	unsigned int i;

	for (i = 0; mem && i < ARRAY_SIZE(kinds); i++)
		EXPECT(kmk_mem_alloc(mem, kinds[i].size, kinds[i].kind));
	EXPECT(kmk_mem_destroy(mem) == ARRAY_SIZE(kinds));
}

/* However often the caller went wrong before, the leak is told of. */
static void mem_misuse_and_leak(void)
{
	struct kmk_mem *mem = make_mem();
	unsigned int i;

	for (i = 0; mem && i < 20; i++)
		EXPECT(kmk_mem_free(mem, (void *)8) == -EINVAL);
	if (mem)
		EXPECT(kmk_mem_alloc(mem, 1, KMK_MEM_KERNEL));
	EXPECT(kmk_mem_destroy(mem) == 1);
}

/* Many at once, freed in another order. */
static void mem_many(void)
{
	const unsigned int count = 4096;
	void **blocks = kcalloc(count, sizeof(*blocks), GFP_KERNEL);
	struct kmk_mem *mem = make_mem();
	struct kmk_mem_info info;
	unsigned int i, at;

	for (i = 0; EXPECT(blocks) && mem && i < count; i++) {
		blocks[i] = kmk_mem_alloc(mem, 1 + i, KMK_MEM_KERNEL);
		EXPECT(blocks[i]);
	}
	for (i = 0; blocks && mem && i < count; i++) {
		at = (i * 1237 + 5) % count;
		EXPECT(kmk_mem_query(mem, blocks[at], &info) == 0 && info.size == 1 + at);
		EXPECT(kmk_mem_free(mem, blocks[at]) == 0);
	}
	kfree(blocks);
	EXPECT(kmk_mem_destroy(mem) == 0);
}

static void mem_work(void)
{
	void *block = kmk_mem_alloc(shared_mem, 64, KMK_MEM_ATOMIC);

	EXPECT(block);
	EXPECT(kmk_mem_free(shared_mem, block) == 0);
	EXPECT(kmk_mem_free(shared_mem, block) != 0);
}

/* Where kmalloc(GFP_ATOMIC) may be called: on PREEMPT_RT not in hard-IRQ context. */
static void mem_atomic(void)
{
	static DEFINE_SPINLOCK(lock);

	shared_mem = make_mem();
	if (!shared_mem)
		return;
	spin_lock(&lock);
	mem_work();
	spin_unlock(&lock);
	if (!IS_ENABLED(CONFIG_PREEMPT_RT)) {
		start_irqs(mem_work, 100, HRTIMER_MODE_REL);
		wait_irqs();
	}
	EXPECT(kmk_mem_destroy(shared_mem) == 0);
}

static void mem_double_free_race(void)
{
	atomic_set(&met, 0);
	atomic_set(&freed, 0);
	shared = NULL;
	shared_mem = make_mem();
	if (!shared_mem)
		return;
	on_each_cpu_do(race_thread);
	EXPECT(atomic_read(&freed) == 2000);
	EXPECT(kmk_mem_destroy(shared_mem) == 0);
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
#define TEST(name) { #name, name }
	TEST(pool_arguments),
	TEST(pool_kmalloc),
	TEST(pool_vmalloc),
	TEST(pool_options),
	TEST(pool_addresses),
	TEST(pool_already_free),
	TEST(pool_foreign),
	TEST(pool_misaligned),
	TEST(pool_overrun),
	TEST(pool_leak),
	TEST(pool_overrun_leak),
	TEST(pool_most_blocks),
	TEST(pool_atomic),
	TEST(pool_hardirq),
	TEST(pool_stress),
	TEST(pool_double_free_race),
	TEST(pool_other_cpu),
	TEST(pool_never_short),
	TEST(pool_fill_cpu1),
	TEST(pool_take_and_free),
	TEST(mem_kinds),
	TEST(mem_arguments),
	TEST(mem_misuse),
	TEST(mem_leak),
	TEST(mem_misuse_and_leak),
	TEST(mem_many),
	TEST(mem_atomic),
	TEST(mem_double_free_race),
};

static int test_show(struct seq_file *m, void *unused)
{
	void (*run)(void) = m->private;

	mutex_lock(&run_lock);
	failure = NULL;
	run();
	seq_printf(m, "%s\n", failure ?: "ok");
	mutex_unlock(&run_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(test);

/* With keep=1, a pool and a manager to look at in kmk_mempool's debugfs. */
static bool keep;
module_param(keep, bool, 0444);
MODULE_PARM_DESC(keep, "keep a pool and a manager in use while loaded (default N)");

/* As other modules refuse a value: in init, where the kernel has done its part. */
static bool refuse;
module_param(refuse, bool, 0444);
MODULE_PARM_DESC(refuse, "do not load (default N)");

static struct kmk_pool *kept_pool;
static struct kmk_mem *kept_mem;
static void *kept_blocks[3];

static int keep_some(void)
{
	kept_pool = kmk_pool_create("kept pool", 100, 10, 0);
	if (IS_ERR(kept_pool))
		return PTR_ERR(kept_pool);
	kept_mem = kmk_mem_create("kept manager");
	if (IS_ERR(kept_mem)) {
		kmk_pool_destroy(kept_pool);
		return PTR_ERR(kept_mem);
	}
	kept_blocks[0] = kmk_pool_alloc(kept_pool);
	kept_blocks[1] = kmk_pool_alloc(kept_pool);
	kmk_pool_free(kept_pool, kmk_pool_alloc(kept_pool));
	kmk_pool_free(kept_pool, kept_blocks[0] + 1);
	kept_blocks[2] = kmk_mem_alloc(kept_mem, 300, KMK_MEM_KERNEL);
	kmk_mem_free(kept_mem, kmk_mem_alloc(kept_mem, 1, KMK_MEM_PAGE));
	kmk_mem_free(kept_mem, kept_blocks[0]);
	return 0;
}

static void keep_none(void)
{
	kmk_pool_free(kept_pool, kept_blocks[0]);
	kmk_pool_free(kept_pool, kept_blocks[1]);
	kmk_pool_destroy(kept_pool);
	kmk_mem_free(kept_mem, kept_blocks[2]);
	kmk_mem_destroy(kept_mem);
}

static struct dentry *dir;

static int __init mempool_test_init(void)
{
	unsigned int i;
	int err;

	if (refuse)
		return -EINVAL;
	err = keep ? keep_some() : 0;
	if (err) {
		pr_err("no memory to keep (%pe)\n", ERR_PTR(err));
		return err;
	}
	dir = debugfs_create_dir(KBUILD_MODNAME, NULL);
	for (i = 0; i < ARRAY_SIZE(tests); i++)
		debugfs_create_file(tests[i].name, 0400, dir, tests[i].run, &test_fops);
	pr_info("loaded, %zu tests\n", ARRAY_SIZE(tests));
	return 0;
}

static void __exit mempool_test_exit(void)
{
	debugfs_remove(dir);
	if (keep)
		keep_none();
	pr_info("unloaded\n");
}

module_init(mempool_test_init);
module_exit(mempool_test_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("Tests of kmk_mempool's in-kernel API");
MODULE_VERSION(KMK_VERSION);
