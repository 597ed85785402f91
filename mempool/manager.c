// SPDX-License-Identifier: GPL-2.0
/*
 * The memory manager
 *
 * Data: for each manager, a tree of its blocks by address, each with its size,
 * its kind and its caller; and the addresses of the last few blocks that were
 * freed, to tell a double free from an address that was never the manager's.
 *
 * mem->lock guards both. It is taken with interrupts off, so that blocks can be
 * allocated and freed wherever kmalloc() and kfree() can be called; these are
 * called without it. managers_lock guards the list of managers, for debugfs.
 *
 * Context: as each kind says; create, destroy and debugfs sleep.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <kmk/compat.h>
#include <kmk/mempool.h>

#include "internal.h"

#define FREED_KEPT	64

struct mem_block {
	struct rb_node node;
	void *start;
	unsigned long origin;	/* who allocated it, for the report of a leak */
	struct kmk_mem_info info;
};

static DEFINE_MUTEX(managers_lock);
static struct list_head managers __guarded_by(&managers_lock) = LIST_HEAD_INIT(managers);

struct kmk_mem {
	spinlock_t lock;	/* guards what follows, down to freed */
	struct rb_root blocks __guarded_by(&lock);
	unsigned long count __guarded_by(&lock);
	size_t bytes __guarded_by(&lock);
	unsigned long allocs __guarded_by(&lock);
	unsigned long misuses __guarded_by(&lock);
	unsigned int freed_next __guarded_by(&lock);
	const void *freed[FREED_KEPT] __guarded_by(&lock);

	struct list_head node __guarded_by(&managers_lock);
	char name[KMK_MEMPOOL_NAME_LEN];
};

static gfp_t kmk_mem_gfp(enum kmk_mem_kind kind)
{
	switch (kind) {
	case KMK_MEM_ATOMIC:
		return GFP_ATOMIC | __GFP_NOWARN;
	case KMK_MEM_DMA:
		return GFP_KERNEL | GFP_DMA | __GFP_NOWARN;
	case KMK_MEM_KERNEL:
	case KMK_MEM_VMALLOC:
	case KMK_MEM_PAGE:
		break;
	}
	return GFP_KERNEL | __GFP_NOWARN;
}

static void *kmk_mem_get(const struct kmk_mem_info *info)
{
	gfp_t gfp = kmk_mem_gfp(info->kind);

	switch (info->kind) {
	case KMK_MEM_KERNEL:
	case KMK_MEM_ATOMIC:
	case KMK_MEM_DMA:
		return info->size <= KMALLOC_MAX_SIZE ? kmalloc(info->size, gfp) : NULL;
	case KMK_MEM_VMALLOC:
		return __vmalloc(info->size, gfp);
	case KMK_MEM_PAGE:
		return info->size <= PAGE_SIZE ? (void *)get_zeroed_page(gfp) : NULL;
	}
	return NULL;
}

static void kmk_mem_put(const struct mem_block *block)
{
	switch (block->info.kind) {
	case KMK_MEM_KERNEL:
	case KMK_MEM_ATOMIC:
	case KMK_MEM_DMA:
		kfree(block->start);
		break;
	case KMK_MEM_VMALLOC:
		vfree(block->start);
		break;
	case KMK_MEM_PAGE:
		free_page((unsigned long)block->start);
		break;
	}
}

static void kmk_mem_insert(struct kmk_mem *mem, struct mem_block *new)
	__must_hold(&mem->lock)
{
	struct rb_node **link = &mem->blocks.rb_node, *parent = NULL;

	lockdep_assert_held(&mem->lock);
	while (*link) {
		parent = *link;
		if (new->start < rb_entry(parent, struct mem_block, node)->start)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&new->node, parent, link);
	rb_insert_color(&new->node, &mem->blocks);
}

/* The block that @address is in, at its start or further on. */
static struct mem_block *kmk_mem_find(struct kmk_mem *mem, const void *address)
	__must_hold(&mem->lock)
{
	struct rb_node *node = mem->blocks.rb_node;
	struct mem_block *block;

	lockdep_assert_held(&mem->lock);
	while (node) {
		block = rb_entry(node, struct mem_block, node);
		if (address < block->start)
			node = node->rb_left;
		else if (address - block->start >= block->info.size)
			node = node->rb_right;
		else
			return block;
	}
	return NULL;
}

/* Why no block begins at @address. */
static enum kmk_misuse kmk_mem_why_none(struct kmk_mem *mem, const struct mem_block *found,
					const void *address)
	__must_hold(&mem->lock)
{
	unsigned int i;

	lockdep_assert_held(&mem->lock);
	if (found)
		return KMK_MISUSE_ALIGN;
	for (i = 0; address && i < FREED_KEPT; i++)
		if (mem->freed[i] == address)
			return KMK_MISUSE_FREE;
	return KMK_MISUSE_FOREIGN;
}

/**
 * kmk_mem_alloc() - allocate memory and keep track of it
 * @mem: the manager
 * @size: bytes, at least 1
 * @kind: where from
 *
 * A failure is not logged: the caller knows what it means.
 *
 * Context: as &enum kmk_mem_kind says.
 * Return: the block, or NULL when there is no memory, or @size is 0 or more than
 * that kind can serve, or @kind is none.
 */
void *kmk_mem_alloc(struct kmk_mem *mem, size_t size, enum kmk_mem_kind kind)
{
	struct mem_block *block;
	unsigned long flags;

	if (!size)
		return NULL;
	block = kmalloc(sizeof(*block), kmk_mem_gfp(kind) & ~GFP_DMA);
	if (!block)
		return NULL;
	block->info.size = size;
	block->info.kind = kind;
	block->origin = _RET_IP_;
	block->start = kmk_mem_get(&block->info);
	if (!block->start) {
		kfree(block);
		return NULL;
	}
	spin_lock_irqsave(&mem->lock, flags);
	kmk_mem_insert(mem, block);
	mem->count++;
	mem->bytes += size;
	mem->allocs++;
	spin_unlock_irqrestore(&mem->lock, flags);
	return block->start;
}
EXPORT_SYMBOL_GPL(kmk_mem_alloc);

/**
 * kmk_mem_free() - free a block, in the way that its kind wants
 * @mem: the manager it was allocated from
 * @block: what kmk_mem_alloc() returned, or NULL, which does nothing
 *
 * A misuse is refused, and reported by the tracepoint kmk_mempool_misuse and in the
 * log (rate limited).
 *
 * Context: as &enum kmk_mem_kind says.
 * Return: 0; -ENOENT when the block is already free and was among the last 64
 * that this manager freed; -EINVAL when the address is inside a block, or
 * no block's.
 */
int kmk_mem_free(struct kmk_mem *mem, const void *block)
{
	struct mem_block *found;
	enum kmk_misuse misuse;
	unsigned long flags;

	if (!block)
		return 0;
	spin_lock_irqsave(&mem->lock, flags);
	found = kmk_mem_find(mem, block);
	if (!found || found->start != block) {
		misuse = kmk_mem_why_none(mem, found, block);
		mem->misuses++;
		spin_unlock_irqrestore(&mem->lock, flags);
		return mempool_misuse(mem->name, block, misuse, _RET_IP_);
	}
	rb_erase(&found->node, &mem->blocks);
	mem->count--;
	mem->bytes -= found->info.size;
	mem->freed[mem->freed_next++ % FREED_KEPT] = block;
	spin_unlock_irqrestore(&mem->lock, flags);
	kmk_mem_put(found);
	kfree(found);
	return 0;
}
EXPORT_SYMBOL_GPL(kmk_mem_free);

/**
 * kmk_mem_query() - ask what a block is
 * @mem: the manager it was allocated from
 * @block: what kmk_mem_alloc() returned
 * @info: is filled in
 *
 * Context: any but NMI; on PREEMPT_RT, any that may take a spinlock_t.
 * Return: 0; -ENOENT or -EINVAL as kmk_mem_free() would, but nothing is reported.
 */
int kmk_mem_query(struct kmk_mem *mem, const void *block, struct kmk_mem_info *info)
{
	struct mem_block *found;
	unsigned long flags;
	int err = 0;

	spin_lock_irqsave(&mem->lock, flags);
	found = kmk_mem_find(mem, block);
	if (found && found->start == block)
		*info = found->info;
	else
		err = kmk_mem_why_none(mem, found, block) == KMK_MISUSE_FREE ? -ENOENT : -EINVAL;
	spin_unlock_irqrestore(&mem->lock, flags);
	return err;
}
EXPORT_SYMBOL_GPL(kmk_mem_query);

/**
 * kmk_mem_create() - make a memory manager
 * @name: what the log, the tracepoint and debugfs call it; copied
 *
 * Context: may sleep.
 * Return: the manager, or ERR_PTR(-ENOMEM).
 */
struct kmk_mem *kmk_mem_create(const char *name)
{
	struct kmk_mem *mem = kzalloc(sizeof(*mem), GFP_KERNEL);

	if (!mem)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&mem->lock);
	mem->blocks = RB_ROOT;
	strscpy(mem->name, name, sizeof(mem->name));
	mutex_lock(&managers_lock);
	list_add_tail(&mem->node, &managers);
	mutex_unlock(&managers_lock);
	return mem;
}
EXPORT_SYMBOL_GPL(kmk_mem_create);

/**
 * kmk_mem_destroy() - report what was not freed and where it was allocated, and free all
 * @mem: the manager, which nobody uses any more; an ERR_PTR or NULL does nothing
 *
 * Context: may sleep.
 * Return: how many blocks were not freed.
 */
unsigned long kmk_mem_destroy(struct kmk_mem *mem)
{
	struct mem_block *block, *next;
	unsigned long leaked;

	if (IS_ERR_OR_NULL(mem))
		return 0;
	mutex_lock(&managers_lock);
	list_del(&mem->node);
	mutex_unlock(&managers_lock);

	leaked = mem->count;
	if (leaked)
		mempool_leak(mem->name, leaked, _RET_IP_);
	rbtree_postorder_for_each_entry_safe(block, next, &mem->blocks, node) {
		mempool_leaked_block(mem->name, block->start, block->origin);
		kmk_mem_put(block);
		kfree(block);
		cond_resched();
	}
	kfree(mem);
	return leaked;
}
EXPORT_SYMBOL_GPL(kmk_mem_destroy);

/* debugfs: one line a manager. */
int kmk_mem_show(struct seq_file *m, void *unused)
{
	unsigned long count, allocs, misuses;
	struct kmk_mem *mem;
	size_t bytes;

	seq_puts(m, "# name blocks bytes allocs misuses\n");
	mutex_lock(&managers_lock);
	list_for_each_entry(mem, &managers, node) {
		spin_lock_irq(&mem->lock);
		count = mem->count;
		bytes = mem->bytes;
		allocs = mem->allocs;
		misuses = mem->misuses;
		spin_unlock_irq(&mem->lock);
		seq_escape(m, mem->name, " \t\n\\#");
		seq_printf(m, " %lu %zu %lu %lu\n", count, bytes, allocs, misuses);
	}
	mutex_unlock(&managers_lock);
	return 0;
}
