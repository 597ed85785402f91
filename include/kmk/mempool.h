/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The in-kernel API of kmk_mempool: a memory manager that tracks what it gave
 * out, and a pool of fixed blocks. Both find misuse and refuse it; neither
 * trusts a pointer that it is asked to free.
 */
#ifndef _KMK_MEMPOOL_H
#define _KMK_MEMPOOL_H

#include <linux/bits.h>
#include <linux/types.h>

/* A longer name is cut. */
#define KMK_MEMPOOL_NAME_LEN	32

/**
 * enum kmk_mem_kind - where the memory of a block comes from
 * @KMK_MEM_KERNEL: kmalloc(GFP_KERNEL); allocate may sleep
 * @KMK_MEM_ATOMIC: kmalloc(GFP_ATOMIC); allocate and free wherever kmalloc() and kfree() may be
 *	called, so in hard-IRQ context too, except on PREEMPT_RT
 * @KMK_MEM_DMA: kmalloc(GFP_KERNEL | GFP_DMA); allocate may sleep
 * @KMK_MEM_VMALLOC: vmalloc(); allocate may sleep, and so may free unless in interrupt context
 * @KMK_MEM_PAGE: one zeroed page, for up to PAGE_SIZE bytes; allocate may sleep
 *
 * Only @KMK_MEM_PAGE is cleared; the others hold what vmalloc() and kmalloc() return.
 */
enum kmk_mem_kind {
	KMK_MEM_KERNEL,
	KMK_MEM_ATOMIC,
	KMK_MEM_DMA,
	KMK_MEM_VMALLOC,
	KMK_MEM_PAGE,
};

/**
 * struct kmk_mem_info - what a block of a memory manager is
 * @size: the bytes that were asked for
 * @kind: where they came from
 */
struct kmk_mem_info {
	size_t size;
	enum kmk_mem_kind kind;
};

struct kmk_mem;

struct kmk_mem * __must_check kmk_mem_create(const char *name);
unsigned long kmk_mem_destroy(struct kmk_mem *mem);
void * __must_check kmk_mem_alloc(struct kmk_mem *mem, size_t size, enum kmk_mem_kind kind);
int kmk_mem_free(struct kmk_mem *mem, const void *block);
int kmk_mem_query(struct kmk_mem *mem, const void *block, struct kmk_mem_info *info);

/* A pool has at most this many blocks. */
#define KMK_POOL_MAX_BLOCKS	(BIT(24) - 1)

/* The blocks are taken by vmalloc() rather than by kmalloc(). */
#define KMK_POOL_VMALLOC	BIT(0)
/* Every byte of a block is zero when it is allocated, as nobody wrote to it after the free. */
#define KMK_POOL_INIT_ON_FREE	BIT(1)
/*
 * For debugging: bytes around each block show at the free that somebody wrote past its ends,
 * and the report of a leak says who allocated each block.
 */
#define KMK_POOL_RED_ZONE	BIT(2)

/**
 * struct kmk_pool_stats - counts of a pool
 * @total: blocks in the pool
 * @allocated: blocks that are with callers
 * @free: blocks that can be allocated
 * @allocs: successful allocations since the pool was made, modulo the type's range
 * @frees: successful frees, likewise
 * @empty: allocations that found no free block, likewise
 * @misuses: misuses found
 */
struct kmk_pool_stats {
	unsigned long total;
	unsigned long allocated;
	unsigned long free;
	unsigned long allocs;
	unsigned long frees;
	unsigned long empty;
	unsigned long misuses;
};

struct kmk_pool;

struct kmk_pool * __must_check kmk_pool_create(const char *name, size_t block_size,
					       unsigned long total_blocks, unsigned int flags);
unsigned long kmk_pool_destroy(struct kmk_pool *pool);
void * __must_check kmk_pool_alloc(struct kmk_pool *pool);
int kmk_pool_free(struct kmk_pool *pool, void *block);
void kmk_pool_get_stats(struct kmk_pool *pool, struct kmk_pool_stats *stats);

#endif /* _KMK_MEMPOOL_H */
