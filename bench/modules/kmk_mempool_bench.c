// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_mempool_bench - a pool of kmk_mempool beside the kernel's allocators
 *
 * Each read of debugfs' kmk_mempool_bench/{allocators,cpus,across} runs one round and
 * says "WORK SIDE OPERATIONS NANOSECONDS" for each contender: an operation is
 * one allocation and its free.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/mempool.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <kmk/compat.h>
#include <kmk/mempool.h>
#include <kmk/version.h>

#define BLOCK_BYTES	256
#define BLOCKS		1024
#define PAIRS		10000
#define BURST		64
#define BURSTS		200
/* Short and often, as other work on the host lengthens many. */
#define CPU_PAIRS	20000
#define CPU_TRIES	100
/* Blocks on their way from the CPU that allocates to the one that frees: at most so many. */
#define RING		256
#define ACROSS_BLOCKS	2000
#define ACROSS_TRIES	20

static struct kmem_cache *cache;
static mempool_t *mempool;
static struct kmk_pool *pool;
static struct dentry *dir;

/* Macros, so that no contender is called through a pointer. */
#define time_pairs(m, side, alloc, free)				\
	do {								\
		u64 start_ = ktime_get_raw_ns();			\
		void *block_;						\
		int i_;							\
		for (i_ = 0; i_ < PAIRS; i_++) {			\
			block_ = alloc;					\
			free(block_);					\
		}							\
		seq_printf(m, "pair %s %d %llu\n", side, PAIRS,		\
			   ktime_get_raw_ns() - start_);		\
	} while (0)

#define time_bursts(m, side, alloc, free)				\
	do {								\
		u64 start_ = ktime_get_raw_ns();			\
		void *blocks_[BURST];					\
		int i_, j_;						\
		for (i_ = 0; i_ < BURSTS; i_++) {			\
			for (j_ = 0; j_ < BURST; j_++)			\
				blocks_[j_] = alloc;			\
			for (j_ = 0; j_ < BURST; j_++)			\
				free(blocks_[j_]);			\
		}							\
		seq_printf(m, "burst %s %d %llu\n", side, BURSTS * BURST, \
			   ktime_get_raw_ns() - start_);		\
	} while (0)

#define free_to_cache(block)	kmem_cache_free(cache, block)
#define free_to_mempool(block)	mempool_free(block, mempool)
#define free_to_pool(block)	kmk_pool_free(pool, block)

/* GFP_ATOMIC, as the pool never sleeps either. */
#define time_all(m, time)						\
	do {								\
		time(m, "kmem_cache", kmem_cache_alloc(cache, GFP_ATOMIC), free_to_cache); \
		time(m, "mempool_t", mempool_alloc(mempool, GFP_ATOMIC), free_to_mempool); \
		time(m, "kmalloc", kmalloc(BLOCK_BYTES, GFP_ATOMIC), kfree); \
		time(m, "pool", kmk_pool_alloc(pool), free_to_pool);	\
	} while (0)

static int allocators_show(struct seq_file *m, void *unused)
{
	time_all(m, time_pairs);
	time_all(m, time_bursts);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(allocators);

/* Work for one CPU: wait for the others, then use the pool. */
struct use {
	struct work_struct work;
	atomic_t *missing;
	u64 start;
	u64 end;
};

static void use_pool(struct work_struct *work)
{
	struct use *use = container_of(work, struct use, work);
	int i;

	atomic_dec(use->missing);
	while (atomic_read(use->missing))
		cpu_relax();
	use->start = ktime_get_raw_ns();
	for (i = 0; i < CPU_PAIRS; i++)
		free_to_pool(kmk_pool_alloc(pool));
	use->end = ktime_get_raw_ns();
}

/* Each of the first @nr CPUs, 1 or 2, does the same work at once. */
static void time_cpus(struct seq_file *m, int nr)
{
	atomic_t missing = ATOMIC_INIT(nr);
	struct use uses[2];
	u64 start, end;
	int i;

	for (i = 0; i < nr; i++) {
		uses[i].missing = &missing;
		INIT_WORK_ONSTACK(&uses[i].work, use_pool);
		queue_work_on(i, system_highpri_wq, &uses[i].work);
	}
	for (i = 0; i < nr; i++) {
		flush_work(&uses[i].work);
		destroy_work_on_stack(&uses[i].work);
	}
	start = min(uses[0].start, uses[nr - 1].start);
	end = max(uses[0].end, uses[nr - 1].end);
	seq_printf(m, "cpus on-%d %d %llu\n", nr, nr * CPU_PAIRS, end - start);
}

static int cpus_show(struct seq_file *m, void *unused)
{
	int i;

	if (!cpu_online(1))
		return -ENXIO;
	for (i = 0; i < CPU_TRIES; i++) {
		time_cpus(m, 1);
		time_cpus(m, 2);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(cpus);

/*
 * One CPU allocates and hands over, the other frees. A store that releases in, or out, pairs
 * with the load on the other CPU that acquires it.
 */
static struct {
	bool from_pool;
	struct work_struct alloc;
	struct work_struct free;
	void *blocks[RING];
	unsigned int in ____cacheline_aligned_in_smp;
	unsigned int out ____cacheline_aligned_in_smp;
} ring;

static void ring_alloc(struct work_struct *work)
{
	unsigned int i;
	void *block;

	for (i = 0; i < ACROSS_BLOCKS; i++) {
		while (i - smp_load_acquire(&ring.out) == RING)	/* see ring */
			cpu_relax();
		block = ring.from_pool ? kmk_pool_alloc(pool) : kmem_cache_alloc(cache, GFP_ATOMIC);
		ring.blocks[i % RING] = block;
		smp_store_release(&ring.in, i + 1);	/* see ring */
	}
}

static void ring_free(struct work_struct *work)
{
	unsigned int i;
	void *block;

	for (i = 0; i < ACROSS_BLOCKS; i++) {
		while (smp_load_acquire(&ring.in) == i)	/* see ring */
			cpu_relax();
		block = ring.blocks[i % RING];
		if (ring.from_pool)
			free_to_pool(block);
		else
			free_to_cache(block);
		smp_store_release(&ring.out, i + 1);	/* see ring */
	}
}

static void time_across(struct seq_file *m, const char *side, bool from_pool)
{
	u64 start;

	ring.from_pool = from_pool;
	ring.in = 0;
	ring.out = 0;
	INIT_WORK(&ring.alloc, ring_alloc);
	INIT_WORK(&ring.free, ring_free);
	start = ktime_get_raw_ns();
	queue_work_on(0, system_highpri_wq, &ring.alloc);
	queue_work_on(1, system_highpri_wq, &ring.free);
	flush_work(&ring.alloc);
	flush_work(&ring.free);
	seq_printf(m, "across %s %d %llu\n", side, ACROSS_BLOCKS, ktime_get_raw_ns() - start);
}

static int across_show(struct seq_file *m, void *unused)
{
	int i;

	if (!cpu_online(1))
		return -ENXIO;
	for (i = 0; i < ACROSS_TRIES; i++) {
		time_across(m, "kmem_cache", false);
		time_across(m, "pool", true);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(across);

static void destroy_all(void)
{
	mempool_destroy(mempool);
	kmem_cache_destroy(cache);
	kmk_pool_destroy(pool);
}

static int __init mempool_bench_init(void)
{
	pool = kmk_pool_create("kmk_mempool_bench", BLOCK_BYTES, BLOCKS, 0);
	if (IS_ERR(pool))
		return PTR_ERR(pool);
	cache = kmem_cache_create("kmk_mempool_bench", BLOCK_BYTES, 0, 0, NULL);
	if (cache)
		mempool = mempool_create_slab_pool(BURST, cache);
	if (!mempool) {
		destroy_all();
		return -ENOMEM;
	}
	dir = debugfs_create_dir("kmk_mempool_bench", NULL);
	debugfs_create_file("allocators", 0400, dir, NULL, &allocators_fops);
	debugfs_create_file("cpus", 0400, dir, NULL, &cpus_fops);
	debugfs_create_file("across", 0400, dir, NULL, &across_fops);
	return 0;
}

static void __exit mempool_bench_exit(void)
{
	debugfs_remove(dir);
	destroy_all();
}

module_init(mempool_bench_init);
module_exit(mempool_bench_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("Measures a pool of kmk_mempool beside the kernel's allocators");
MODULE_VERSION(KMK_VERSION);
