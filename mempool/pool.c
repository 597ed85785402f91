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
 * No lock guards any of it: a caller uses the list of the CPU on which it runs,
 * and should it be moved to another one meanwhile, or interrupted by a caller of
 * the same pool, the atomic operations still hold. When that list is empty the
 * others are searched, so one CPU can allocate every block.
 *
 * pools_lock guards the list of pools, for debugfs.
 *
 * Context: allocate and free in any but NMI; create, destroy and debugfs sleep.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/bitops.h>
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
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <kmk/compat.h>
#include <kmk/mempool.h>

#include "internal.h"

#define LINK_END	((u32)KMK_POOL_MAX_BLOCKS)	/* no further block */
#define LINK_TAKEN	U32_MAX

/* Blocks begin at multiples of this, which serves every type of C. */
#define BLOCK_ALIGN	8

#define RED_ZONE	16	/* bytes before a block, and at least as many after it */
#define RED_BYTE	0xbb

static DEFINE_MUTEX(pools_lock);
static struct list_head pools __guarded_by(&pools_lock) = LIST_HEAD_INIT(pools);

struct pool_list {
	atomic64_t head;
	int victim;		/* where the last search found a block */
	/* What was done on this CPU; changed by this_cpu_inc() alone. */
	unsigned long allocs;
	unsigned long frees;
	unsigned long empty;
};

struct kmk_pool {
	struct pool_list __percpu *lists;
	u32 *links;
	char *first;		/* the block with index 0 */
	unsigned long stride;
	unsigned long inverse;	/* of the stride's odd factor, modulo the word size */
	unsigned int shift;	/* the stride's power of two */
	unsigned int flags;
	unsigned long total;

	void *area;
	size_t block_size;
	atomic_long_t misuses;
	struct list_head node __guarded_by(&pools_lock);
	char name[KMK_MEMPOOL_NAME_LEN];
};

/*
 * The index of the block at this address; not less than pool->total when no
 * block begins there. Multiplying by the inverse of an odd number divides what
 * is a multiple of it, and maps everything else to numbers beyond all quotients;
 * the rotation does the same for the power of two.
 */
static unsigned long block_index(const struct kmk_pool *pool, const void *block)
{
	unsigned long offset = (unsigned long)block - (unsigned long)pool->first;

	offset *= pool->inverse;
#if BITS_PER_LONG == 64
	return ror64(offset, pool->shift);
#else
	return ror32(offset, pool->shift);
#endif
}

/* Each step doubles the number of low bits that are right; it begins with three. */
static unsigned long inverse_of(unsigned long odd)
{
	unsigned long inverse = odd;
	unsigned int right;

	for (right = 3; right < BITS_PER_LONG; right *= 2)
		inverse *= 2 - odd * inverse;
	return inverse;
}

/* The head after a change that makes @first the first block. */
static s64 next_head(u64 head, unsigned long first)
{
	return (head | LINK_END) + 1 + first;
}

/*
 * Below, what a pool never changes is read once, before the first atomic
 * operation, across which the compiler trusts no memory.
 */

static __always_inline u32 list_pop(struct pool_list *list, u32 *links)
{
	s64 head = atomic64_read(&list->head), next;
	u32 first;

	do {
		first = head & LINK_END;
		if (first == LINK_END)
			return LINK_END;
		/* No longer a link when another CPU popped first; then the tag is another too. */
		next = next_head(head, READ_ONCE(links[first]));
	} while (unlikely(!atomic64_try_cmpxchg_acquire(&list->head, &head, next)));
	WRITE_ONCE(links[first], LINK_TAKEN);
	return first;
}

/* Put the block @index, which is on no list and whose link is @link, on this CPU's. */
static __always_inline void list_push(struct pool_list __percpu *lists, u32 *link,
				      unsigned long index)
{
	struct pool_list *list = raw_cpu_ptr(lists);
	s64 head = atomic64_read(&list->head);

	do {
		WRITE_ONCE(*link, head & LINK_END);
	} while (unlikely(!atomic64_try_cmpxchg_release(&list->head, &head,
							next_head(head, index))));
	this_cpu_inc(lists->frees);
}

static __always_inline void *hand_out(struct kmk_pool *pool, struct pool_list __percpu *lists,
				      unsigned long index)
{
	this_cpu_inc(lists->allocs);
	return pool->first + index * pool->stride;
}

/* Take a block from whichever CPU has one, beginning where the last one was found. */
static noinline void *alloc_elsewhere(struct kmk_pool *pool)
{
	struct pool_list *own = raw_cpu_ptr(pool->lists);
	int start = READ_ONCE(own->victim), cpu;
	u32 index;

	for_each_cpu_wrap(cpu, cpu_possible_mask, start) {
		index = list_pop(per_cpu_ptr(pool->lists, cpu), pool->links);
		if (index != LINK_END) {
			WRITE_ONCE(own->victim, cpu);
			return hand_out(pool, pool->lists, index);
		}
	}
	this_cpu_inc(pool->lists->empty);
	return NULL;
}

/**
 * kmk_pool_alloc() - take a block from a pool
 * @pool: the pool
 *
 * Never sleeps and takes no lock. The time does not depend on the number of
 * blocks; a CPU that has run out of its own visits the others.
 *
 * The block holds what its last user left there; zeros, if it has had none or
 * the pool was made with %KMK_POOL_INIT_ON_FREE.
 *
 * Context: any but NMI.
 * Return: the block, aligned to 8 bytes, or NULL when the pool is empty: the
 *	list of every CPU was seen without a block.
 */
void *kmk_pool_alloc(struct kmk_pool *pool)
{
	struct pool_list __percpu *lists = pool->lists;
	u32 index = list_pop(raw_cpu_ptr(lists), pool->links);

	if (unlikely(index == LINK_END))
		return alloc_elsewhere(pool);
	return hand_out(pool, lists, index);
}
EXPORT_SYMBOL_GPL(kmk_pool_alloc);

static noinline int pool_misuse(struct kmk_pool *pool, const void *block,
				enum kmk_misuse what, unsigned long caller)
{
	atomic_long_inc(&pool->misuses);
	return mempool_misuse(pool->name, block, what, caller);
}

/* No block begins at this address. */
static noinline int bad_address(struct kmk_pool *pool, const void *block, unsigned long caller)
{
	unsigned long offset = (unsigned long)block - (unsigned long)pool->area;

	if (!block)
		return 0;
	return pool_misuse(pool, block, offset < pool->total * pool->stride ?
			   KMK_MISUSE_ALIGN : KMK_MISUSE_FOREIGN, caller);
}

static size_t rear_zone(const struct kmk_pool *pool)
{
	return pool->stride - RED_ZONE - pool->block_size;
}

static void paint_red_zones(struct kmk_pool *pool, char *block)
{
	memset(block - RED_ZONE, RED_BYTE, RED_ZONE);
	memset(block + pool->block_size, RED_BYTE, rear_zone(pool));
}

/* The rest of a free in a pool whose flags ask for work on the block's bytes. */
static noinline int scrub_and_push(struct kmk_pool *pool, char *block, unsigned long index,
				   unsigned long caller)
{
	int err = 0;

	if ((pool->flags & KMK_POOL_RED_ZONE) &&
	    (memchr_inv(block - RED_ZONE, RED_BYTE, RED_ZONE) ||
	     memchr_inv(block + pool->block_size, RED_BYTE, rear_zone(pool)))) {
		err = pool_misuse(pool, block, KMK_MISUSE_OVERRUN, caller);
		paint_red_zones(pool, block);
	}
	if (pool->flags & KMK_POOL_INIT_ON_FREE)
		memset(block, 0, pool->block_size);
	list_push(pool->lists, &pool->links[index], index);
	return err;
}

/**
 * kmk_pool_free() - give a block back
 * @pool: the pool it was taken from
 * @block: the block, or NULL, which does nothing
 *
 * Never sleeps, takes no lock, takes the same time for every pool unless the
 * pool's flags ask for work on the block's bytes. A misuse is refused, shows up
 * in the tracepoint kmk_mempool_misuse, and in the log (rate limited).
 *
 * What no pool can find: the free of a block that was freed before and has
 * since been allocated again, to somebody else.
 *
 * Context: any but NMI.
 * Return: 0; -ENOENT when the block is already free; -EINVAL when the address is
 *	not of this pool or not where a block begins; -EOVERFLOW when the bytes
 *	around the block were overwritten (%KMK_POOL_RED_ZONE): then the block is
 *	free all the same.
 */
int kmk_pool_free(struct kmk_pool *pool, void *block)
{
	unsigned long index = block_index(pool, block);
	struct pool_list __percpu *lists = pool->lists;
	u32 *link;

	if (unlikely(index >= pool->total))
		return bad_address(pool, block, _RET_IP_);
	link = &pool->links[index];
	if (unlikely(cmpxchg(link, LINK_TAKEN, LINK_END) != LINK_TAKEN))
		return pool_misuse(pool, block, KMK_MISUSE_FREE, _RET_IP_);
	if (unlikely(pool->flags))
		return scrub_and_push(pool, block, index, _RET_IP_);
	list_push(lists, link, index);
	return 0;
}
EXPORT_SYMBOL_GPL(kmk_pool_free);

/**
 * kmk_pool_get_stats() - count
 * @pool: the pool
 * @stats: where to
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

/* Deal the blocks out to the CPUs that are there, each a run of neighbours. */
static void fill_lists(struct kmk_pool *pool)
{
	unsigned long next = 0, end, cpus;
	int cpu;

	for_each_possible_cpu(cpu)
		atomic64_set(&per_cpu_ptr(pool->lists, cpu)->head, LINK_END);

	cpus_read_lock();
	cpus = num_online_cpus();
	for_each_online_cpu(cpu) {
		end = next + DIV_ROUND_UP(pool->total - next, cpus);
		cpus--;
		if (next == end)
			break;
		atomic64_set(&per_cpu_ptr(pool->lists, cpu)->head, next);
		while (++next < end)
			pool->links[next - 1] = next;
		pool->links[next - 1] = LINK_END;
	}
	cpus_read_unlock();
}

/* The block's place in the area; false when there is no such area. */
static bool lay_out(struct kmk_pool *pool, size_t *area_size)
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
	pool->shift = __ffs(stride);
	pool->inverse = inverse_of(stride >> pool->shift);
	return true;
}

static void *take_area(size_t size, unsigned int flags)
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
 *	flags, -ENOMEM.
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
	if (!lay_out(pool, &area_size))
		goto free_pool;
	err = -ENOMEM;
	pool->area = take_area(area_size, flags);
	if (!pool->area)
		goto free_pool;
	pool->links = kvmalloc_array(total_blocks, sizeof(*pool->links), GFP_KERNEL | __GFP_NOWARN);
	if (!pool->links)
		goto free_area;
	pool->lists = alloc_percpu(struct pool_list);
	if (!pool->lists)
		goto free_links;

	pool->first = pool->area;
	if (flags & KMK_POOL_RED_ZONE) {
		pool->first += RED_ZONE;
		for (i = 0; i < total_blocks; i++)
			paint_red_zones(pool, pool->first + i * pool->stride);
	}
	fill_lists(pool);
	mutex_lock(&pools_lock);
	list_add_tail(&pool->node, &pools);
	mutex_unlock(&pools_lock);
	return pool;

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
 * Blocks that were not freed are reported in the log, and are gone too.
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

	for (i = 0; i < pool->total; i++)
		leaked += pool->links[i] == LINK_TAKEN;
	if (leaked)
		mempool_leak(pool->name, leaked, _RET_IP_);
	free_percpu(pool->lists);
	kvfree(pool->links);
	kvfree(pool->area);
	kfree(pool);
	return leaked;
}
EXPORT_SYMBOL_GPL(kmk_pool_destroy);

/* debugfs: one line a pool. */
int pools_show(struct seq_file *m, void *unused)
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
