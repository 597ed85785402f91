// SPDX-License-Identifier: GPL-2.0
/*
 * The pool of fixed blocks
 *
 * Data: one area of memory, cut into blocks at a fixed stride; a word for each
 * block, its link, kept apart from the blocks so that no stray write of a
 * caller can lead the pool astray; and for each CPU a list of free blocks,
 * chained by their links.
 *
 * A link says who has the block: LINK_TAKEN, a caller; any other value, the
 * pool, and then it is the index of the next free block. A free begins by
 * changing LINK_TAKEN to something else with cmpxchg(), so that of two frees of
 * one block exactly one succeeds, whatever they race with.
 *
 * A list's head is the index of its first block and, above it, a tag that every
 * change increments. A pop that read a link which has meanwhile changed finds
 * another tag in the head, and starts over; a tag comes back after 2^40 changes
 * of one list only.
 *
 * No lock guards the lists: a caller uses that of the CPU on which it runs, and
 * should it be moved to another one meanwhile, or interrupted by a caller of the
 * same pool, the atomic operations still hold.
 *
 * When that list is empty the caller steals half of another, so that one CPU can
 * allocate every block. pool->nonempty tells where to look. steal_lock, a raw
 * spinlock taken with interrupts off, lets one caller steal at a time: whoever
 * holds it and finds no block knows that none is on its way between two lists.
 * Only its holder clears a bit of nonempty; a free sets the bit of its list.
 *
 * pools_lock guards the list of pools, for debugfs.
 *
 * Context: allocate and free in any but NMI; create, destroy and debugfs sleep.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <kmk/compat.h>
#include <kmk/mempool.h>

#include "internal.h"

#define LINK_END	((u32)KMK_POOL_MAX_BLOCKS)	/* no further block */
#define LINK_TAKEN	U32_MAX

/* At most so many blocks are stolen at once, which bounds the time that it takes. */
#define MOST_STOLEN	32

/* Blocks begin at multiples of this, which serves every type of C. */
#define BLOCK_ALIGN	8

#define RED_ZONE	16	/* bytes before a block, and at least as many after it */
#define RED_BYTE	0xbb

static DEFINE_MUTEX(pools_lock);
static struct list_head pools __guarded_by(&pools_lock) = LIST_HEAD_INIT(pools);

struct pool_list {
	atomic64_t head;
	int cpu;		/* whose list it is */
	/* Calls on this CPU; changed by this_cpu_inc() alone. */
	unsigned long allocs;
	unsigned long frees;
	unsigned long empty;
} ____cacheline_aligned_in_smp;

struct kmk_pool {
	struct pool_list __percpu *lists;
	u32 *links;
	unsigned long *origins;	/* who allocated each block; NULL without KMK_POOL_RED_ZONE */
	char *first;		/* the block with index 0 */
	unsigned long stride;
	unsigned int flags;
	unsigned long total;

	void *area;
	size_t block_size;
	atomic_long_t misuses;
	struct list_head node __guarded_by(&pools_lock);
	char name[KMK_MEMPOOL_NAME_LEN];

	/* Steals and frees write the fields below; those above are constant. */
	raw_spinlock_t steal_lock ____cacheline_aligned_in_smp;
	struct cpumask nonempty;	/* the CPUs whose list may have a block */
};

/* The index of the block at this address; not less than pool->total when no block begins there. */
static unsigned long kmk_pool_index(const struct kmk_pool *pool, const void *block)
{
	unsigned long offset = (unsigned long)block - (unsigned long)pool->first;

	return likely(offset % pool->stride == 0) ? offset / pool->stride : ULONG_MAX;
}

/* The head after a change that makes @first the first block. */
static s64 kmk_pool_next_head(u64 head, unsigned long first)
{
	return (head | LINK_END) + 1 + first;
}

/*
 * Below, the fields of a pool that never change are loaded before the first
 * cmpxchg: it is a compiler barrier, and would force a reload.
 */

static __always_inline u32 kmk_pool_pop(struct pool_list *list, u32 *links)
{
	s64 head = atomic64_read(&list->head), next;
	u32 first;

	do {
		first = head & LINK_END;
		if (first == LINK_END)
			return LINK_END;
		/* No longer a link when another CPU popped first; then the tag is another too. */
		next = kmk_pool_next_head(head, READ_ONCE(links[first]));
	} while (unlikely(!atomic64_try_cmpxchg_acquire(&list->head, &head, next)));
	WRITE_ONCE(links[first], LINK_TAKEN);
	return first;
}

/*
 * Put blocks that are on no list on this CPU's: @first, and those that are chained
 * to it, down to the one with the link @last.
 */
static __always_inline void kmk_pool_push(struct kmk_pool *pool,
					  struct pool_list __percpu *lists,
					  unsigned long first, u32 *last)
{
	struct pool_list *list = raw_cpu_ptr(lists);
	s64 head = atomic64_read(&list->head);

	do {
		WRITE_ONCE(*last, head & LINK_END);
	} while (unlikely(!atomic64_try_cmpxchg(&list->head, &head,
						kmk_pool_next_head(head, first))));
	/* The cmpxchg orders the push before this test; see kmk_pool_steal(). */
	if (unlikely(!cpumask_test_cpu(list->cpu, &pool->nonempty)))
		cpumask_set_cpu(list->cpu, &pool->nonempty);
}

/*
 * Take the first half of a list, at most MOST_STOLEN blocks, down to @last: the
 * first of them, or LINK_END if there is none.
 */
static u32 kmk_pool_cut(const struct kmk_pool *pool, struct pool_list *list, u32 *last)
{
	s64 head = atomic64_read(&list->head);
	const u32 *links = pool->links;
	u32 first, ahead, next;
	unsigned int n;

	do {
		first = head & LINK_END;
		if (first == LINK_END)
			return LINK_END;
		/* Two steps of ahead for one of last; next follows last. */
		*last = first;
		next = READ_ONCE(links[first]);
		ahead = next;
		for (n = 1; n < MOST_STOLEN && ahead < pool->total && next < pool->total; n++) {
			ahead = READ_ONCE(links[ahead]);
			if (ahead >= pool->total)
				break;
			ahead = READ_ONCE(links[ahead]);
			*last = next;
			next = READ_ONCE(links[next]);
		}
		/* Where a link was no longer one, the tag has changed, as in kmk_pool_pop(). */
	} while (!atomic64_try_cmpxchg_acquire(&list->head, &head,
					       kmk_pool_next_head(head, next)));
	return first;
}

/*
 * Take a block from a CPU that has one, and put those stolen with it on this CPU's list.
 *
 * A bit of nonempty is cleared before its list is looked at, and a free looks at the
 * bit after it changed the list: either the block is seen here, or the free sets the
 * bit again.
 */
static u32 kmk_pool_steal(struct kmk_pool *pool)
{
	u32 first = LINK_END, last, rest;
	unsigned long flags;
	int cpu;

	raw_spin_lock_irqsave(&pool->steal_lock, flags);
	for_each_cpu_wrap(cpu, &pool->nonempty, smp_processor_id()) {
		cpumask_clear_cpu(cpu, &pool->nonempty);
		smp_mb__after_atomic();	/* pairs with the cmpxchg in kmk_pool_push() */
		first = kmk_pool_cut(pool, per_cpu_ptr(pool->lists, cpu), &last);
		if (first == LINK_END)
			continue;
		cpumask_set_cpu(cpu, &pool->nonempty);
		rest = READ_ONCE(pool->links[first]);
		WRITE_ONCE(pool->links[first], LINK_TAKEN);
		if (first != last)
			kmk_pool_push(pool, pool->lists, rest, &pool->links[last]);
		break;
	}
	raw_spin_unlock_irqrestore(&pool->steal_lock, flags);
	return first;
}

static __always_inline void *kmk_pool_hand_out(struct kmk_pool *pool,
					       struct pool_list __percpu *lists,
					       unsigned long index)
{
	this_cpu_inc(lists->allocs);
	return pool->first + index * pool->stride;
}

/* An allocation that finds no block on this CPU's list, or whose caller is noted. */
static noinline void *kmk_pool_alloc_slowly(struct kmk_pool *pool, unsigned long caller)
{
	u32 index = kmk_pool_pop(raw_cpu_ptr(pool->lists), pool->links);

	if (index == LINK_END)
		index = kmk_pool_steal(pool);
	if (index == LINK_END) {
		this_cpu_inc(pool->lists->empty);
		return NULL;
	}
	if (pool->origins)
		pool->origins[index] = caller;
	return kmk_pool_hand_out(pool, pool->lists, index);
}

/**
 * kmk_pool_alloc() - take a block from a pool
 * @pool: the pool
 *
 * Never sleeps. The time does not depend on the number of blocks. A CPU whose own
 * list is empty steals from another one's, under a raw spinlock; else no lock is taken.
 *
 * The block holds what its last user left there; zeros, if it has had none or
 * the pool was made with %KMK_POOL_INIT_ON_FREE.
 *
 * Context: any but NMI.
 * Return: the block, aligned to 8 bytes, or NULL when the pool is empty: the list of
 * every CPU was seen without a block, and none was on its way between two lists.
 */
void *kmk_pool_alloc(struct kmk_pool *pool)
{
	struct pool_list __percpu *lists = pool->lists;
	u32 index;

	if (unlikely(pool->origins))
		return kmk_pool_alloc_slowly(pool, _RET_IP_);
	index = kmk_pool_pop(raw_cpu_ptr(lists), pool->links);
	if (unlikely(index == LINK_END))
		return kmk_pool_alloc_slowly(pool, _RET_IP_);
	return kmk_pool_hand_out(pool, lists, index);
}
EXPORT_SYMBOL_GPL(kmk_pool_alloc);

static noinline int kmk_pool_misuse(struct kmk_pool *pool, const void *block,
				    enum kmk_misuse what, unsigned long caller)
{
	atomic_long_inc(&pool->misuses);
	return mempool_misuse(pool->name, block, what, caller);
}

/* No block begins at this address. */
static noinline int kmk_pool_bad_address(struct kmk_pool *pool, const void *block,
					 unsigned long caller)
{
	unsigned long offset = (unsigned long)block - (unsigned long)pool->area;

	if (!block)
		return 0;
	return kmk_pool_misuse(pool, block, offset < pool->total * pool->stride ?
			       KMK_MISUSE_ALIGN : KMK_MISUSE_FOREIGN, caller);
}

static size_t kmk_pool_rear_zone(const struct kmk_pool *pool)
{
	return pool->stride - RED_ZONE - pool->block_size;
}

static void kmk_pool_paint(struct kmk_pool *pool, char *block)
{
	memset(block - RED_ZONE, RED_BYTE, RED_ZONE);
	memset(block + pool->block_size, RED_BYTE, kmk_pool_rear_zone(pool));
}

/* The rest of a free in a pool whose flags want the bytes checked or cleared. */
static noinline int kmk_pool_scrub_and_push(struct kmk_pool *pool, char *block,
					    unsigned long index, unsigned long caller)
{
	int err = 0;

	if ((pool->flags & KMK_POOL_RED_ZONE) &&
	    (memchr_inv(block - RED_ZONE, RED_BYTE, RED_ZONE) ||
	     memchr_inv(block + pool->block_size, RED_BYTE, kmk_pool_rear_zone(pool)))) {
		err = kmk_pool_misuse(pool, block, KMK_MISUSE_OVERRUN, caller);
		kmk_pool_paint(pool, block);
	}
	if (pool->flags & KMK_POOL_INIT_ON_FREE)
		memset(block, 0, pool->block_size);
	kmk_pool_push(pool, pool->lists, index, &pool->links[index]);
	this_cpu_inc(pool->lists->frees);
	return err;
}

/**
 * kmk_pool_free() - give a block back
 * @pool: the pool it was taken from
 * @block: the block, or NULL, which does nothing
 *
 * Never sleeps, takes no lock. The time does not depend on the number of blocks,
 * nor on their size, unless the pool's flags want the bytes checked or cleared. A
 * misuse is refused, and reported by the tracepoint kmk_mempool_misuse and in the
 * log (rate limited).
 *
 * No pool can detect the free of a block that was freed before and has since
 * been allocated again, by another caller.
 *
 * Context: any but NMI.
 * Return: 0; -ENOENT when the block is already free; -EINVAL when the address is
 * not of this pool or not where a block begins; -EOVERFLOW when the bytes
 * around the block were overwritten (%KMK_POOL_RED_ZONE): then the block is
 * free all the same.
 */
int kmk_pool_free(struct kmk_pool *pool, void *block)
{
	unsigned long index = kmk_pool_index(pool, block);
	struct pool_list __percpu *lists = pool->lists;
	u32 *link;

	if (unlikely(index >= pool->total))
		return kmk_pool_bad_address(pool, block, _RET_IP_);
	link = &pool->links[index];
	if (unlikely(cmpxchg(link, LINK_TAKEN, LINK_END) != LINK_TAKEN))
		return kmk_pool_misuse(pool, block, KMK_MISUSE_FREE, _RET_IP_);
	if (unlikely(pool->flags))
		return kmk_pool_scrub_and_push(pool, block, index, _RET_IP_);
	kmk_pool_push(pool, lists, index, link);
	this_cpu_inc(lists->frees);
	return 0;
}
EXPORT_SYMBOL_GPL(kmk_pool_free);

/**
 * kmk_pool_get_stats() - count
 * @pool: the pool
 * @stats: is filled in
 *
 * Exact while nobody uses the pool; otherwise each operation under way may be
 * counted or not.
 *
 * Context: any but NMI.
 */
void kmk_pool_get_stats(struct kmk_pool *pool, struct kmk_pool_stats *stats)
{
	struct kmk_pool_stats sum = {
		.total = pool->total,
		.misuses = atomic_long_read(&pool->misuses),
	};
	int cpu;

	/* Frees first: a block allocated and freed meanwhile then counts as allocated. */
	for_each_possible_cpu(cpu)
		sum.frees += READ_ONCE(per_cpu_ptr(pool->lists, cpu)->frees);
	for_each_possible_cpu(cpu) {
		sum.allocs += READ_ONCE(per_cpu_ptr(pool->lists, cpu)->allocs);
		sum.empty += READ_ONCE(per_cpu_ptr(pool->lists, cpu)->empty);
	}
	sum.allocated = clamp_t(long, sum.allocs - sum.frees, 0, sum.total);
	sum.free = sum.total - sum.allocated;
	*stats = sum;
}
EXPORT_SYMBOL_GPL(kmk_pool_get_stats);

/* Deal the blocks out to the CPUs that are online, to each a run of neighbours. */
static void kmk_pool_fill_lists(struct kmk_pool *pool)
{
	unsigned long next = 0, end, cpus;
	struct pool_list *list;
	int cpu;

	for_each_possible_cpu(cpu) {
		list = per_cpu_ptr(pool->lists, cpu);
		atomic64_set(&list->head, LINK_END);
		list->cpu = cpu;
	}

	cpus_read_lock();
	cpus = num_online_cpus();
	for_each_online_cpu(cpu) {
		end = next + DIV_ROUND_UP(pool->total - next, cpus);
		cpus--;
		if (next == end)
			break;
		atomic64_set(&per_cpu_ptr(pool->lists, cpu)->head, next);
		cpumask_set_cpu(cpu, &pool->nonempty);
		while (++next < end)
			pool->links[next - 1] = next;
		pool->links[next - 1] = LINK_END;
	}
	cpus_read_unlock();
}

/* Set the stride and the size of the area; false if no number holds that size. */
static bool kmk_pool_lay_out(struct kmk_pool *pool, size_t *area_size)
{
	size_t stride = pool->block_size;

	if ((pool->flags & KMK_POOL_RED_ZONE) &&
	    check_add_overflow(stride, (size_t)2 * RED_ZONE, &stride))
		return false;
	if (check_add_overflow(stride, (size_t)BLOCK_ALIGN - 1, &stride))
		return false;
	stride = ALIGN_DOWN(stride, BLOCK_ALIGN);
	if (check_mul_overflow(stride, (size_t)pool->total, area_size))
		return false;
	pool->stride = stride;
	return true;
}

static void *kmk_pool_get_area(size_t size, unsigned int flags)
{
	if (flags & KMK_POOL_VMALLOC)
		return __vmalloc(size, GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN);
	if (size > KMALLOC_MAX_SIZE)
		return NULL;
	return kzalloc(size, GFP_KERNEL | __GFP_NOWARN);
}

/**
 * kmk_pool_create() - make a pool of fixed blocks
 * @name: what the log, the tracepoint and debugfs call it; copied
 * @block_size: bytes in a block, at least 1
 * @total_blocks: how many, 1 to %KMK_POOL_MAX_BLOCKS
 * @flags: %KMK_POOL_VMALLOC, %KMK_POOL_INIT_ON_FREE, %KMK_POOL_RED_ZONE
 *
 * All memory is taken here, zeroed. By kmalloc() it is contiguous, so all blocks
 * together, each rounded up to 8 bytes, have to fit into %KMALLOC_MAX_SIZE.
 *
 * Context: may sleep.
 * Return: the pool, or ERR_PTR: -EINVAL for arguments out of range or unknown
 * flags, -ENOMEM.
 */
struct kmk_pool *kmk_pool_create(const char *name, size_t block_size,
				 unsigned long total_blocks, unsigned int flags)
{
	struct kmk_pool *pool;
	size_t area_size;
	unsigned long i;
	int err;

	if (!block_size || !total_blocks || total_blocks > KMK_POOL_MAX_BLOCKS ||
	    (flags & ~(KMK_POOL_VMALLOC | KMK_POOL_INIT_ON_FREE | KMK_POOL_RED_ZONE)))
		return ERR_PTR(-EINVAL);
	pool = kzalloc(sizeof(*pool), GFP_KERNEL);
	if (!pool)
		return ERR_PTR(-ENOMEM);
	strscpy(pool->name, name, sizeof(pool->name));
	pool->block_size = block_size;
	pool->total = total_blocks;
	pool->flags = flags & (KMK_POOL_INIT_ON_FREE | KMK_POOL_RED_ZONE);
	err = -EINVAL;
	if (!kmk_pool_lay_out(pool, &area_size))
		goto free_pool;
	err = -ENOMEM;
	pool->area = kmk_pool_get_area(area_size, flags);
	if (!pool->area)
		goto free_pool;
	pool->links = kvmalloc_array(total_blocks, sizeof(*pool->links), GFP_KERNEL | __GFP_NOWARN);
	if (!pool->links)
		goto free_area;
	pool->first = pool->area;
	if (flags & KMK_POOL_RED_ZONE) {
		pool->origins = kvcalloc(total_blocks, sizeof(*pool->origins),
					 GFP_KERNEL | __GFP_NOWARN);
		if (!pool->origins)
			goto free_links;
		pool->first += RED_ZONE;
		for (i = 0; i < total_blocks; i++) {
			kmk_pool_paint(pool, pool->first + i * pool->stride);
			cond_resched();
		}
	}
	pool->lists = alloc_percpu(struct pool_list);
	if (!pool->lists)
		goto free_origins;
	raw_spin_lock_init(&pool->steal_lock);
	kmk_pool_fill_lists(pool);
	mutex_lock(&pools_lock);
	list_add_tail(&pool->node, &pools);
	mutex_unlock(&pools_lock);
	return pool;

free_origins:
	kvfree(pool->origins);
free_links:
	kvfree(pool->links);
free_area:
	kvfree(pool->area);
free_pool:
	kfree(pool);
	return ERR_PTR(err);
}
EXPORT_SYMBOL_GPL(kmk_pool_create);

/**
 * kmk_pool_destroy() - give a pool's memory back
 * @pool: the pool, which nobody uses any more; an ERR_PTR or NULL does nothing
 *
 * Blocks that were not freed are reported in the log, with %KMK_POOL_RED_ZONE by whom
 * they were allocated, and are gone too.
 *
 * Context: may sleep.
 * Return: how many blocks were not freed.
 */
unsigned long kmk_pool_destroy(struct kmk_pool *pool)
{
	unsigned long leaked = 0, i;

	if (IS_ERR_OR_NULL(pool))
		return 0;
	mutex_lock(&pools_lock);
	list_del(&pool->node);
	mutex_unlock(&pools_lock);

	for (i = 0; i < pool->total; i++) {
		leaked += pool->links[i] == LINK_TAKEN;
		cond_resched();
	}
	if (leaked)
		mempool_leak(pool->name, leaked, _RET_IP_);
	for (i = 0; leaked && pool->origins && i < pool->total; i++) {
		if (pool->links[i] == LINK_TAKEN)
			mempool_leaked_block(pool->name, pool->first + i * pool->stride,
					     pool->origins[i]);
		cond_resched();
	}
	free_percpu(pool->lists);
	kvfree(pool->origins);
	kvfree(pool->links);
	kvfree(pool->area);
	kfree(pool);
	return leaked;
}
EXPORT_SYMBOL_GPL(kmk_pool_destroy);

/* debugfs: one line a pool. */
int kmk_pool_show(struct seq_file *m, void *unused)
{
	struct kmk_pool_stats stats;
	struct kmk_pool *pool;

	seq_puts(m, "# name block_size total allocated free allocs frees empty misuses\n");
	mutex_lock(&pools_lock);
	list_for_each_entry(pool, &pools, node) {
		kmk_pool_get_stats(pool, &stats);
		seq_escape(m, pool->name, " \t\n\\#");
		seq_printf(m, " %zu %lu %lu %lu %lu %lu %lu %lu\n", pool->block_size,
			   stats.total, stats.allocated, stats.free, stats.allocs,
			   stats.frees, stats.empty, stats.misuses);
	}
	mutex_unlock(&pools_lock);
	return 0;
}
