// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_ramfs: the contents of files. See cramfs.h.
 *
 * The folios in the page cache are the contents; a hole has none. Each folio is
 * dirty and never written back, so nothing reclaims it: it leaves the file by
 * truncation or memory failure only.
 *
 * Everything here follows from one rule: a large folio that reaches past i_size is
 * locked, or referenced by the code that put it there. A folio that nobody else
 * references can be split at any moment. The kernel then drops its pages past
 * i_size, and subtracts them from the dirty count of the backing device, in which
 * they were never counted. Hence
 * - write unlocks a new folio after i_size covers it;
 * - fallocate holds a reference to each new large folio until i_size covers it;
 * - truncate splits the folio at the new end before i_size ends there. A folio that
 *   is pinned cannot be split: it becomes the tail of the inode, which holds a
 *   reference to it, and each later change tries to split it again.
 *
 * While the tail is split, i_size is larger than the file. Readers, faults and stat
 * use eof, the size that users see.
 *
 * A holder of i_rwsem for writing needs no folio lock to store to an uptodate folio
 * that it has a reference to: cramfs_migrate_folio() takes i_rwsem, too.
 *
 * A folio is inserted first, locked and not uptodate, then charged to the limit, and
 * only then uptodate; without room it is removed. So a folio that is not uptodate is
 * - locked: just inserted, or being migrated; or
 * - part of an fallocate() that has not succeeded yet. It is dirty and all zeros.
 */
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pipe_fs_i.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/splice.h>
#include <linux/uio.h>
#include <linux/userfaultfd_k.h>

#include "cramfs.h"
#include "trace.h"

/* The file's size in pages, as users see it. */
static pgoff_t cramfs_eof_page(const struct inode *inode)
{
	return DIV_ROUND_UP_ULL(cramfs_eof(inode), PAGE_SIZE);
}

static void cramfs_grow(struct inode *inode, loff_t size)
{
	i_size_write(inode, size);
	/* a reader that sees the size finds the folios */
	atomic64_set_release(&CRAMFS_I(inode)->eof, size);
}

/* Finding pages */

/* Whether memory failure took one of pages @index to @end. Call after the lookup failed. */
static bool cramfs_lost(struct inode *inode, pgoff_t index, pgoff_t end)
{
	struct xarray *lost = &CRAMFS_I(inode)->lost;

	smp_rmb();	/* cramfs_error_remove_folio() stores the index, then removes the page */
	return unlikely(!xa_empty(lost)) && xa_find(lost, &index, end - 1, XA_PRESENT);
}

/* Forget what was lost of pages @index to @end. */
static void cramfs_forget_lost(struct inode *inode, pgoff_t index, pgoff_t end)
{
	struct xarray *lost = &CRAMFS_I(inode)->lost;
	void *entry;

	if (likely(xa_empty(lost)) || index >= end)
		return;
	xa_for_each_range(lost, index, entry, index, end - 1)
		xa_erase(lost, index);
}

/* The first page from @index on, but before @end, that is no hole; @end if all are. */
static pgoff_t cramfs_next_page(struct inode *inode, pgoff_t index, pgoff_t end)
{
	struct xarray *pages = &inode->i_mapping->i_pages, *lost = &CRAMFS_I(inode)->lost;
	unsigned long found = index;

	if (index >= end)
		return end;
	if (xa_find(pages, &found, end - 1, XA_PRESENT))
		end = found;
	if (unlikely(!xa_empty(lost)) && index < end && xa_find(lost, &index, end - 1, XA_PRESENT))
		end = index;
	return end;
}

/* The folio that holds page @index, with a reference; NULL: there is no such page. */
static struct folio *cramfs_find_folio(struct inode *inode, pgoff_t index)
{
	struct folio *folio = filemap_get_folio(inode->i_mapping, index);

	/* Linux 6.3 made NULL an error pointer */
	return IS_ERR_OR_NULL(folio) ? NULL : folio;
}

/*
 * As above, but if the folio is locked and not uptodate, wait: it may be removed. One that
 * is not uptodate afterwards belongs to an fallocate() under way.
 */
static struct folio *cramfs_stable_folio(struct inode *inode, pgoff_t index)
{
	struct folio *folio;
	bool stable;

	for (;;) {
		folio = cramfs_find_folio(inode, index);
		if (!folio || folio_test_uptodate(folio))
			return folio;
		folio_lock(folio);
		stable = folio->mapping == inode->i_mapping;
		folio_unlock(folio);
		if (stable)
			return folio;
		folio_put(folio);
	}
}

/* The folio with the contents of page @index, with a reference; NULL: zeros. */
static struct folio *cramfs_get_folio(struct inode *inode, pgoff_t index)
{
	struct folio *folio = cramfs_stable_folio(inode, index);

	if (!folio || folio_test_uptodate(folio))
		return folio;
	folio_put(folio);
	return NULL;
}

/* How many bytes of a folio can be used from @pos on; 0: a poisoned page, still in the file. */
static size_t cramfs_usable(struct folio *folio, loff_t pos)
{
	bool large = folio_test_large(folio);

	if (likely(!folio_test_hwpoison(folio) && !(large && folio_test_has_hwpoisoned(folio))))
		return folio_size(folio) - offset_in_folio(folio, pos);
	if (PageHWPoison(folio_file_page(folio, pos >> PAGE_SHIFT)))
		return 0;
	return PAGE_SIZE - offset_in_page(pos);
}

/* Adding and removing pages */

/*
 * Count @added pages, which are charged, and uncharge those that left the file since
 * the last call. A page enters the mapping before it is counted here, so that this never
 * uncharges too many. It may uncharge too few while such a page is not counted yet: the
 * call that counts it makes up for them.
 */
static void cramfs_account(struct inode *inode, long added)
{
	struct cramfs_inode *ci = CRAMFS_I(inode);
	long removed;

	spin_lock(&inode->i_lock);
	ci->charged += added;
	removed = ci->charged - READ_ONCE(inode->i_mapping->nrpages);
	if (removed > 0)
		ci->charged -= removed;
	spin_unlock(&inode->i_lock);
	if (removed > 0) {
		cramfs_uncharge(&CRAMFS_SB(inode->i_sb)->pages, removed);
		trace_cramfs_remove(inode, removed);
	}
}

static void cramfs_remove_folio(struct inode *inode, struct folio *folio)
{
	generic_error_remove_folio(inode->i_mapping, folio);
	cramfs_account(inode, 0);
}

/* The next smaller order. A folio of order 1 cannot be split. */
static unsigned int cramfs_smaller(unsigned int order)
{
	return order > 2 ? order - 1 : 0;
}

/* A folio of at most @order, its contents undefined; NULL without memory. */
static struct folio *cramfs_alloc_folio(struct inode *inode, unsigned int order)
{
	gfp_t gfp = mapping_gfp_mask(inode->i_mapping);
	struct folio *folio;

	/* an optimisation is worth no reclaim and no compaction */
	for (; order; order = cramfs_smaller(order)) {
		folio = folio_alloc((gfp & ~__GFP_RECLAIM) | __GFP_NOWARN, order);
		if (folio)
			return folio;
	}
	return folio_alloc(gfp, 0);
}

static void cramfs_zero_folio(struct folio *folio)
{
	long i;

	for (i = 0; i < folio_nr_pages(folio); i++)
		clear_highpage(folio_page(folio, i));
	flush_dcache_folio(folio);
}

/* An fallocate() of pages first to end. */
struct cramfs_range {
	pgoff_t first, end;
	pgoff_t zero_first, zero_end;	/* the pages that it zeroes as a whole */
	pgoff_t eof;			/* where the file ended before, in pages */
	bool grows;			/* the file will end at the end of the range */
	unsigned int most;		/* the order to ask for */
	s64 reserved;			/* charged for the holes that are left; under i_lock */
};

/* Charge pages that are in the file to what the fallocate() under way has reserved for them. */
static bool cramfs_charge_reserved(struct inode *inode, pgoff_t index, long pages)
{
	struct cramfs_range *range;
	bool reserved;

	spin_lock(&inode->i_lock);
	range = CRAMFS_I(inode)->filling;
	reserved = range && index >= range->first && index + pages <= range->end &&
		   range->reserved >= pages;
	if (reserved)
		range->reserved -= pages;
	spin_unlock(&inode->i_lock);
	return reserved;
}

/*
 * Nothing was free: take from the reservation of the fallocate() under way, or try once more,
 * for one may have ended since.
 */
static noinline bool cramfs_charge_scarce(struct inode *inode, pgoff_t index, long pages)
{
	return cramfs_charge_reserved(inode, index, pages) ||
	       cramfs_charge(&CRAMFS_SB(inode->i_sb)->pages, pages);
}

/* Free pages first, so that a fault or a read by the kernel leaves a reservation whole. */
static bool cramfs_charge_any(struct inode *inode, pgoff_t index, long pages)
{
	return cramfs_charge(&CRAMFS_SB(inode->i_sb)->pages, pages) ||
	       cramfs_charge_scarce(inode, index, pages);
}

/*
 * Insert a folio, which is then locked, and charge it, to the reservation alone if @reserved;
 * the caller keeps its reference. -EEXIST: a page is there already. -ENOMEM, -ENOSPC: there
 * may be room for a smaller folio.
 */
static int cramfs_insert_folio(struct inode *inode, struct folio *folio, pgoff_t index,
			       bool reserved)
{
	struct address_space *mapping = inode->i_mapping;
	gfp_t gfp = mapping_gfp_mask(mapping);
	long pages = folio_nr_pages(folio);
	int err;

	if (pages > 1)
		gfp |= __GFP_NORETRY | __GFP_NOWARN;
	err = filemap_add_folio(mapping, folio, index, gfp);
	if (err)
		return err;
	/* before it is unlocked: a clean folio may be reclaimed */
	folio_set_dirty(folio);
	if (reserved ? !cramfs_charge_reserved(inode, index, pages) :
		       !cramfs_charge_any(inode, index, pages)) {
		cramfs_remove_folio(inode, folio);
		folio_unlock(folio);
		return -ENOSPC;
	}
	cramfs_account(inode, pages);
	trace_cramfs_insert(inode, folio);
	return 0;
}

/* After a folio of @order was too large: try one of a quarter. */
static unsigned int cramfs_next_try(unsigned int order)
{
	return cramfs_smaller(cramfs_smaller(order));
}

/* The largest folio that can begin at @index and has at most @pages. */
static unsigned int cramfs_order(struct inode *inode, pgoff_t index, unsigned long pages)
{
	unsigned int order;

	/* the end of the very last page is no loff_t, or no pgoff_t */
	if (pages < 2 || pages > (MAX_LFS_FILESIZE >> PAGE_SHIFT) - index ||
	    !mapping_large_folio_support(inode->i_mapping))
		return 0;
	order = min_t(unsigned int, ilog2(pages), MAX_PAGECACHE_ORDER);
	if (index)
		order = min_t(unsigned int, order, __ffs(index));
	return order == 1 ? 0 : order;
}

/* Zero what the last page, or the tail, has behind the end of the file. */
static void cramfs_zero_past_eof(struct inode *inode)
	__must_hold(&inode->i_rwsem)
{
	loff_t size = inode->i_size;
	struct folio *folio;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (!offset_in_page(size) && !CRAMFS_I(inode)->tail)
		return;
	folio = cramfs_get_folio(inode, size >> PAGE_SHIFT);
	if (!folio)
		return;
	folio_zero_segment(folio, offset_in_folio(folio, size), folio_size(folio));
	flush_dcache_folio(folio);
	folio_put(folio);
}

/* Before the file grows: only stores through a shared map leave anything past its end. */
static void cramfs_prepare_to_grow(struct inode *inode)
	__must_hold(&inode->i_rwsem)
{
	if (READ_ONCE(CRAMFS_I(inode)->mapped))
		cramfs_zero_past_eof(inode);
}

/* Truncation */

/* The large folio that would reach past the end of a file of @size, with a reference; or NULL. */
static struct folio *cramfs_straddler(struct inode *inode, loff_t size)
{
	pgoff_t end = DIV_ROUND_UP_ULL(size, PAGE_SIZE);
	struct folio *folio = end ? cramfs_find_folio(inode, end - 1) : NULL;

	if (!folio)
		return NULL;
	if (folio_next_index(folio) > end)
		return folio;
	folio_put(folio);
	return NULL;
}

static loff_t cramfs_folio_end(struct folio *folio)
{
	return folio_pos(folio) + folio_size(folio);
}

/*
 * Drop the reference to a folio, which i_size covers by now. A split that read i_size
 * before holds the folio lock, and fails as long as there is the reference.
 */
static void cramfs_unhold(struct folio *folio)
{
	folio_lock(folio);
	folio_unlock(folio);
	folio_put(folio);
}

/*
 * Remove what is there from @size to @last, and set i_size to @size, which is eof
 * already. i_size covers the pages until they are gone. A large folio that reaches
 * past @size is split; if it is pinned, it becomes the tail.
 */
static void cramfs_cut(struct inode *inode, loff_t size, loff_t last)
	__must_hold(&inode->i_rwsem)
{
	struct folio *folio = cramfs_straddler(inode, size);
	struct cramfs_inode *ci = CRAMFS_I(inode);
	loff_t covered = inode->i_size, next = round_up(size, PAGE_SIZE);

	lockdep_assert_held_write(&inode->i_rwsem);
	if (folio) {
		covered = max(covered, cramfs_folio_end(folio));
		folio_put(folio);
	}
	if (unlikely(ci->tail))
		covered = max(covered, cramfs_folio_end(ci->tail));
	if (covered != inode->i_size)
		i_size_write(inode, covered);
	if (unlikely(ci->tail))
		cramfs_unhold(ci->tail);
	truncate_pagecache_range(inode, size, last);
	ci->tail = cramfs_straddler(inode, size);
	/* truncation may have stopped at a folio that it could not split: remove the rest */
	if (unlikely(ci->tail))
		next = cramfs_folio_end(ci->tail);
	if (last == -1 || next < last)
		truncate_pagecache_range(inode, next, last);
	i_size_write(inode, size);
	if (unlikely(ci->tail)) {
		/* a fault that read the old i_size maps the folio while it has it locked */
		folio_lock(ci->tail);
		folio_unlock(ci->tail);
		unmap_mapping_range(inode->i_mapping, round_up(size, PAGE_SIZE), 0, 0);
	}
}

/* Each change of a file begins and ends with this: the tail may have lost its pin. */
static void cramfs_settle(struct inode *inode)
	__must_hold(&inode->i_rwsem)
{
	struct folio *folio = CRAMFS_I(inode)->tail;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (unlikely(folio)) {
		if (folio->mapping != inode->i_mapping ||
		    folio_next_index(folio) <= cramfs_eof_page(inode)) {
			CRAMFS_I(inode)->tail = NULL;
			cramfs_unhold(folio);
		} else if (!folio_maybe_dma_pinned(folio)) {
			cramfs_cut(inode, inode->i_size, cramfs_folio_end(folio) - 1);
			cramfs_account(inode, 0);
		}
	}
	if (IS_ENABLED(CONFIG_KMK_DEBUG)) {
		folio = cramfs_straddler(inode, inode->i_size);
		WARN_ON_ONCE(folio && folio != CRAMFS_I(inode)->tail &&
			     !folio_test_locked(folio) && folio->mapping);
		if (folio)
			folio_put(folio);
	}
}

/* Set the size, and remove what lies beyond it. */
void cramfs_truncate(struct inode *inode, loff_t size)
{
	struct address_space *mapping = inode->i_mapping;
	struct cramfs_inode *ci = CRAMFS_I(inode);
	pgoff_t end = DIV_ROUND_UP_ULL(size, PAGE_SIZE);
	bool shrinks = size < inode->i_size, beyond;

	lockdep_assert_held_write(&inode->i_rwsem);
	cramfs_settle(inode);
	if (shrinks) {
		atomic64_set(&ci->eof, size);
		smp_wmb();	/* see cramfs_begin_read() */
		WRITE_ONCE(ci->shrinks, ci->shrinks + 1);
		smp_mb();	/* see cramfs_begin_read() and cramfs_may_stay() */
	} else if (size > inode->i_size) {
		cramfs_prepare_to_grow(inode);
		cramfs_grow(inode, size);
	}
	/* also where the file grows: KEEP_SIZE reserves pages past the end, maps have copies */
	beyond = mapping_mapped(mapping) || cramfs_next_page(inode, end, ULONG_MAX) != ULONG_MAX;
	if (beyond) {
		cramfs_cut(inode, size, -1);
		unmap_mapping_range(mapping, round_up(size, PAGE_SIZE), 0, 1);
		cramfs_account(inode, 0);
	} else if (shrinks) {
		i_size_write(inode, size);
		cramfs_zero_past_eof(inode);
	}
	cramfs_forget_lost(inode, end, ULONG_MAX);
	cramfs_settle(inode);
}

/* The inode is being evicted. */
void cramfs_free_pages(struct inode *inode)
{
	struct cramfs_inode *ci = CRAMFS_I(inode);

	/* of an inode that goes, memory failure takes pages without telling */
	if (IS_ENABLED(CONFIG_KMK_DEBUG))
		WARN_ON_ONCE(ci->charged != inode->i_data.nrpages && xa_empty(&ci->lost));
	if (inode->i_data.nrpages)
		truncate_inode_pages_final(&inode->i_data);
	if (ci->charged)
		cramfs_uncharge(&CRAMFS_SB(inode->i_sb)->pages, ci->charged);
	if (unlikely(ci->tail))
		folio_put(ci->tail);
	if (!xa_empty(&ci->lost))
		xa_destroy(&ci->lost);
}

/* Reading */

/* How much of a hole is read at once, between two looks for signals and the scheduler. */
#define CRAMFS_HOLE_BYTES	SZ_1M

/*
 * A reader looks at shrinks first, then at eof, then at the pages, and then at
 * shrinks again: a truncate changes eof, then shrinks, then the pages. What was read
 * meanwhile may be zeros that nobody wrote.
 */
static unsigned int cramfs_begin_read(struct inode *inode)
{
	/* before eof */
	return smp_load_acquire(&CRAMFS_I(inode)->shrinks);
}

static bool cramfs_retry_read(struct inode *inode, unsigned int shrinks)
{
	/* the pages first */
	smp_rmb();
	return unlikely(READ_ONCE(CRAMFS_I(inode)->shrinks) != shrinks);
}

/* Read from one folio or one hole; 0 at the end of the file. */
static ssize_t cramfs_read_some(struct inode *inode, loff_t pos, struct iov_iter *to)
{
	size_t want, usable, most = iov_iter_count(to);
	pgoff_t index = pos >> PAGE_SHIFT, end;
	unsigned int shrinks;
	struct folio *folio;
	ssize_t got;
	loff_t left;

	do {
		shrinks = cramfs_begin_read(inode);
		left = cramfs_eof(inode) - pos;
		if (left <= 0)
			return 0;
		want = min_t(u64, left, most);
		folio = cramfs_get_folio(inode, index);
		usable = folio ? cramfs_usable(folio, pos) : 0;
		if (usable) {
			want = min(want, usable);
			if (mapping_writably_mapped(inode->i_mapping))
				flush_dcache_folio(folio);
			got = copy_folio_to_iter(folio, offset_in_folio(folio, pos), want, to);
		} else if (folio || cramfs_lost(inode, index, index + 1)) {
			got = -EIO;
		} else {
			want = min_t(size_t, want, CRAMFS_HOLE_BYTES);
			end = cramfs_next_page(inode, index + 1,
					       DIV_ROUND_UP_ULL(pos + want, PAGE_SIZE));
			want = min_t(u64, want, ((u64)end << PAGE_SHIFT) - pos);
			got = iov_iter_zero(want, to);
		}
		if (folio)
			folio_put(folio);
		if (!cramfs_retry_read(inode, shrinks))
			return got ?: -EFAULT;
		if (got > 0)
			iov_iter_revert(to, got);
		/* one truncate after the other leaves time for a page, if not for a large folio */
		most = min_t(size_t, most, PAGE_SIZE);
	} while (!fatal_signal_pending(current));
	return -EINTR;
}

static ssize_t cramfs_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct file *file = iocb->ki_filp;
	ssize_t done = 0, got;

	/* a read of zero bytes does not update atime */
	if (!iov_iter_count(to))
		return 0;
	do {
		got = cramfs_read_some(file_inode(file), iocb->ki_pos, to);
		if (got <= 0)
			break;
		iocb->ki_pos += got;
		done += got;
		cond_resched();
	} while (iov_iter_count(to));
	file_accessed(file);
	return done ?: got;
}

/*
 * The page at @pos, with a reference. *@folio, to which the caller has a reference, serves
 * again if it contains @pos. NULL: a truncate came in between; look again.
 */
static struct page *cramfs_get_page(struct inode *inode, loff_t pos, unsigned int shrinks,
				    struct folio **folio)
{
	pgoff_t index = pos >> PAGE_SHIFT;

	if (!*folio || !folio_contains(*folio, index)) {
		if (*folio)
			folio_put(*folio);
		*folio = cramfs_get_folio(inode, index);
	}
	if (likely(*folio)) {
		if (unlikely(!cramfs_usable(*folio, pos)))
			return ERR_PTR(-EIO);
		folio_get(*folio);
		return folio_file_page(*folio, index);
	}
	if (cramfs_lost(inode, index, index + 1))
		return ERR_PTR(-EIO);
	if (cramfs_retry_read(inode, shrinks))
		return NULL;
	/* not ZERO_PAGE(0): nfsd before Linux 6.5 skips a page that comes twice in a row */
	return alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO) ?: ERR_PTR(-ENOMEM);
}

/* The pipe, which the caller has locked, gets references to the pages, no copies. */
static ssize_t cramfs_splice_read(struct file *file, loff_t *pos, struct pipe_inode_info *pipe,
				  size_t len, unsigned int flags)
{
	struct inode *inode = file_inode(file);
	unsigned int shrinks = cramfs_begin_read(inode);
	loff_t start = *pos, end = min_t(u64, cramfs_eof(inode), (u64)start + len);
	struct folio *folio = NULL;
	struct pipe_buffer *buf;
	struct page *page;
	ssize_t err = 0;

	while (*pos < end) {
		err = -EAGAIN;
		if (pipe_full(pipe->head, pipe->tail, pipe->max_usage))
			break;
		page = cramfs_get_page(inode, *pos, shrinks, &folio);
		if (unlikely(!page)) {
			shrinks = cramfs_begin_read(inode);
			end = min_t(u64, cramfs_eof(inode), end);
			err = 0;
			continue;
		}
		err = PTR_ERR_OR_ZERO(page);
		if (err)
			break;
		buf = &pipe->bufs[pipe->head & (pipe->ring_size - 1)];
		*buf = (struct pipe_buffer){
			.ops	= &nosteal_pipe_buf_ops,
			.page	= page,
			.offset	= offset_in_page(*pos),
			.len	= min_t(u64, end - *pos, PAGE_SIZE - offset_in_page(*pos)),
		};
		*pos += buf->len;
		pipe->head++;
	}
	if (folio)
		folio_put(folio);
	if (*pos == start)
		return err;
	file_accessed(file);
	return *pos - start;
}

/* Writing */

/* Fill at most @size bytes of a folio from @offset on. */
static ssize_t cramfs_fill_folio(struct inode *inode, struct folio *folio, size_t offset,
				 size_t size, struct iov_iter *from)
{
	size_t want = min(size, iov_iter_count(from)), got;

	if (mapping_writably_mapped(inode->i_mapping))
		flush_dcache_folio(folio);
	if (folio_test_large(folio))
		got = copy_from_iter(folio_address(folio) + offset, want, from);
	else
		got = copy_folio_from_iter(folio, offset, want, from);
	flush_dcache_folio(folio);
	return got ?: -EFAULT;
}

static void cramfs_extend(struct inode *inode, loff_t end)
{
	if (end > inode->i_size)
		cramfs_grow(inode, end);
}

/* The largest order of which all pages are holes, and are written as a whole. */
static unsigned int cramfs_write_order(struct inode *inode, loff_t pos, size_t count)
{
	pgoff_t index = pos >> PAGE_SHIFT, pages = count >> PAGE_SHIFT;

	if (pages < 2 || offset_in_page(pos))
		return 0;
	return cramfs_order(inode, index, cramfs_next_page(inode, index, index + pages) - index);
}

/* Fill a new folio from @from and insert it; on an error, @from is where it was. */
static ssize_t cramfs_write_new(struct inode *inode, loff_t pos, struct iov_iter *from,
				unsigned int order)
	__must_hold(&inode->i_rwsem)
{
	struct folio *folio = cramfs_alloc_folio(inode, order);
	pgoff_t index = pos >> PAGE_SHIFT;
	size_t offset = offset_in_page(pos);
	ssize_t got;
	int err;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (!folio)
		return -ENOMEM;

	/* not in the page cache yet, so that the copy may fault, even on a map of this file */
	got = cramfs_fill_folio(inode, folio, offset, folio_size(folio) - offset, from);
	if (got < 0) {
		err = got;
		goto put;
	}
	err = 0;
	if (got < folio_size(folio)) {
		if (folio_test_large(folio))
			err = -EFAULT;
		else if (cramfs_lost(inode, index, index + 1))
			err = -EIO;
		else
			folio_zero_segments(folio, 0, offset, offset + got, PAGE_SIZE);
	}
	if (!err)
		err = cramfs_insert_folio(inode, folio, index, false);
	if (err) {
		iov_iter_revert(from, got);
		goto put;
	}
	folio_mark_uptodate(folio);
	cramfs_extend(inode, pos + got);
	cramfs_forget_lost(inode, index, folio_next_index(folio));
	folio_unlock(folio);
	err = 0;
put:
	folio_put(folio);
	return err ?: got;
}

/*
 * Write to one folio. Where there is none, allocate one of at most order *@most, and lower
 * *@most if that was too much.
 */
static ssize_t cramfs_write_some(struct inode *inode, loff_t pos, struct iov_iter *from,
				 unsigned int *most)
	__must_hold(&inode->i_rwsem)
{
	pgoff_t index = pos >> PAGE_SHIFT;
	struct folio *folio = NULL;
	unsigned int order;
	size_t usable;
	ssize_t got;

	lockdep_assert_held_write(&inode->i_rwsem);
	/* past the end reserved pages are rare: look up nothing, and rely on -EEXIST */
	if (index < cramfs_eof_page(inode))
		folio = cramfs_get_folio(inode, index);
	while (!folio) {
		order = min(*most, cramfs_write_order(inode, pos, iov_iter_count(from)));
		got = cramfs_write_new(inode, pos, from, order);
		if (got > 0)
			return got;
		if (order && (got == -ENOMEM || got == -ENOSPC)) {
			*most = cramfs_next_try(order);
			continue;
		}
		if (order && got == -EFAULT) {
			*most = 0;
			continue;
		}
		/* a page that is there can be written to without room for a new one */
		folio = cramfs_get_folio(inode, index);
		if (!folio && got != -EEXIST)
			return got;
	}
	usable = cramfs_usable(folio, pos);
	if (usable)
		got = cramfs_fill_folio(inode, folio, offset_in_folio(folio, pos), usable, from);
	else
		got = -EIO;
	folio_put(folio);
	if (got > 0)
		cramfs_extend(inode, pos + got);
	return got;
}

/* @from is not empty. */
static ssize_t cramfs_write_all(struct kiocb *iocb, struct iov_iter *from)
	__must_hold(&file_inode(iocb->ki_filp)->i_rwsem)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	unsigned int most = MAX_PAGECACHE_ORDER;
	ssize_t done = 0, got;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (iocb->ki_pos > inode->i_size)
		cramfs_prepare_to_grow(inode);
	do {
		got = cramfs_write_some(inode, iocb->ki_pos, from, &most);
		if (got < 0)
			break;
		iocb->ki_pos += got;
		done += got;
		cond_resched();
	} while (iov_iter_count(from) && !fatal_signal_pending(current));
	return done ?: got;
}

static ssize_t cramfs_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t ret;

	inode_lock(inode);
	ret = generic_write_checks(iocb, from);
	if (ret > 0) {
		ret = file_modified(iocb->ki_filp);
		if (!ret) {
			cramfs_settle(inode);
			ret = cramfs_write_all(iocb, from);
			cramfs_settle(inode);
		}
	}
	inode_unlock(inode);
	return ret;
}

/* Holes: fallocate, lseek */

static s64 cramfs_count_holes(struct inode *inode, const struct cramfs_range *range)
{
	pgoff_t index = range->first, next;
	struct folio *folio;
	s64 holes = 0;

	while (index < range->end && !fatal_signal_pending(current)) {
		folio = cramfs_stable_folio(inode, index);
		if (folio) {
			index = folio_next_index(folio);
			folio_put(folio);
		} else {
			next = cramfs_next_page(inode, index + 1, range->end);
			holes += next - index;
			index = next;
		}
		cond_resched();
	}
	return holes;
}

/* Reserve pages from @index on, which is a hole; 0: done, or try again. */
static int cramfs_fill_hole(struct inode *inode, struct cramfs_range *range, pgoff_t index)
	__must_hold(&inode->i_rwsem)
{
	pgoff_t end = range->end;
	struct folio *folio;
	unsigned int order;
	long pages;
	int err;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (cramfs_lost(inode, index, index + 1) &&
	    (index < range->zero_first || index >= range->zero_end))
		return -EIO;
	/* no folio lies across eof, and none past it is large if the file will not grow */
	if (index < range->eof)
		end = min(end, range->eof);
	else if (!range->grows)
		end = index + 1;
	order = cramfs_order(inode, index, cramfs_next_page(inode, index + 1, end) - index);
	folio = cramfs_alloc_folio(inode, min(order, range->most));
	if (!folio)
		return -ENOMEM;
	pages = folio_nr_pages(folio);
	cramfs_zero_folio(folio);
	/* too few are reserved only if memory failure took a page since they were counted */
	err = cramfs_insert_folio(inode, folio, index, true);
	if (err) {
		folio_put(folio);
		if (err == -ENOMEM && pages > 1) {
			range->most = cramfs_next_try(ilog2(pages));
			return 0;
		}
		return err == -EEXIST ? 0 : err;
	}
	folio_unlock(folio);
	/* a large one past i_size keeps its reference until cramfs_finish_range() */
	if (pages == 1 || index < range->eof)
		folio_put(folio);
	return 0;
}

static int cramfs_fill_range(struct inode *inode, struct cramfs_range *range)
	__must_hold(&inode->i_rwsem)
{
	pgoff_t index = range->first;
	struct folio *folio;
	size_t usable;
	int err = 0;

	lockdep_assert_held_write(&inode->i_rwsem);
	while (index < range->end && !err) {
		folio = cramfs_stable_folio(inode, index);
		if (folio) {
			usable = cramfs_usable(folio, (loff_t)index << PAGE_SHIFT);
			index += usable >> PAGE_SHIFT;
			err = usable ? 0 : -EIO;
			folio_put(folio);
		} else {
			err = cramfs_fill_hole(inode, range, index);
		}
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	return err;
}

/* Mark uptodate, or remove, the folios that cramfs_fill_range() inserted and no fault has used. */
static void cramfs_finish_range(struct inode *inode, const struct cramfs_range *range, bool keep)
	__must_hold(&inode->i_rwsem)
{
	struct address_space *mapping = inode->i_mapping;
	pgoff_t index = range->first;
	struct folio *folio;

	lockdep_assert_held_write(&inode->i_rwsem);
	for (; index < range->end; index = cramfs_next_page(inode, index, range->end)) {
		folio = cramfs_stable_folio(inode, index);
		if (!folio) {
			index++;
			continue;
		}
		folio_lock(folio);
		if (folio->mapping == mapping && !folio_test_uptodate(folio)) {
			if (keep)
				folio_mark_uptodate(folio);
			else
				generic_error_remove_folio(mapping, folio);
		}
		folio_unlock(folio);
		/* drop cramfs_fill_hole()'s reference: i_size covers the folio, or it is gone */
		if (folio_test_large(folio) && folio->index >= range->eof)
			folio_put(folio);
		index = folio_next_index(folio);
		folio_put(folio);
		cond_resched();
	}
	cramfs_account(inode, 0);
}

/* Zero what is there between @start and @end; holes stay holes. */
static void cramfs_zero_range(struct inode *inode, loff_t start, loff_t end)
	__must_hold(&inode->i_rwsem)
{
	pgoff_t index, last = DIV_ROUND_UP_ULL(end, PAGE_SIZE);
	struct folio *folio;
	size_t size;

	lockdep_assert_held_write(&inode->i_rwsem);
	while (start < end) {
		index = cramfs_next_page(inode, start >> PAGE_SHIFT, last);
		start = max(start, (loff_t)index << PAGE_SHIFT);
		if (start >= end)
			break;
		folio = cramfs_find_folio(inode, index);
		size = folio ? cramfs_usable(folio, start) : 0;
		if (size) {
			size = min_t(u64, size, end - start);
			folio_zero_range(folio, offset_in_folio(folio, start), size);
			flush_dcache_folio(folio);
		} else {		/* lost */
			size = PAGE_SIZE - offset_in_page(start);
		}
		if (folio)
			folio_put(folio);
		start += size;
		cond_resched();
	}
}

/* Charge all of a range at once. A fault that finds nothing free then finds the reservation. */
static bool cramfs_reserve(struct inode *inode, struct cramfs_range *range)
{
	bool reserved;

	spin_lock(&inode->i_lock);
	reserved = !range->reserved ||
		   cramfs_charge(&CRAMFS_SB(inode->i_sb)->pages, range->reserved);
	if (reserved)
		CRAMFS_I(inode)->filling = range;
	spin_unlock(&inode->i_lock);
	return reserved;
}

static void cramfs_end_reservation(struct inode *inode, struct cramfs_range *range)
{
	spin_lock(&inode->i_lock);
	CRAMFS_I(inode)->filling = NULL;
	if (range->reserved)
		cramfs_uncharge(&CRAMFS_SB(inode->i_sb)->pages, range->reserved);
	spin_unlock(&inode->i_lock);
}

/* All of it, or nothing and an error. */
static int cramfs_allocate(struct inode *inode, int mode, loff_t start, loff_t end)
	__must_hold(&inode->i_rwsem)
{
	struct cramfs_range range = {
		.first	= start >> PAGE_SHIFT,
		.end	= DIV_ROUND_UP_ULL(end, PAGE_SIZE),
		.eof	= cramfs_eof_page(inode),
		.grows	= !(mode & FALLOC_FL_KEEP_SIZE) && end > inode->i_size,
		.most	= MAX_PAGECACHE_ORDER,
		.reserved = S64_MAX,
	};
	bool reserved;
	s64 holes;
	int err;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (range.grows) {
		err = inode_newsize_ok(inode, end);
		if (err)
			return err;
	}
	if (mode & FALLOC_FL_ZERO_RANGE) {
		range.zero_first = DIV_ROUND_UP_ULL(start, PAGE_SIZE);
		range.zero_end = end >> PAGE_SHIFT;
	}
	do {
		/* a fault fills a hole that was counted, with what was free for it: count again */
		holes = range.reserved;
		range.reserved = cramfs_count_holes(inode, &range);
		reserved = cramfs_reserve(inode, &range);
	} while (!reserved && range.reserved < holes);
	if (!reserved)
		return -ENOSPC;
	err = cramfs_fill_range(inode, &range);
	if (!err && (mode & FALLOC_FL_ZERO_RANGE)) {
		cramfs_zero_range(inode, start, end);
		cramfs_forget_lost(inode, range.zero_first, range.zero_end);
	}
	if (!err && range.grows) {
		cramfs_prepare_to_grow(inode);
		cramfs_grow(inode, end);
	}
	cramfs_finish_range(inode, &range, !err);
	cramfs_end_reservation(inode, &range);
	return err;
}

static void cramfs_punch_hole(struct inode *inode, loff_t start, loff_t end)
	__must_hold(&inode->i_rwsem)
{
	lockdep_assert_held_write(&inode->i_rwsem);
	/* faults add no pages meanwhile: see cramfs_fault_hole() */
	filemap_invalidate_lock(inode->i_mapping);
	truncate_pagecache_range(inode, start, end - 1);
	filemap_invalidate_unlock(inode->i_mapping);
	cramfs_forget_lost(inode, DIV_ROUND_UP_ULL(start, PAGE_SIZE), end >> PAGE_SHIFT);
	cramfs_account(inode, 0);
}

static long cramfs_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct inode *inode = file_inode(file);
	int err = 0;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;

	inode_lock(inode);
	cramfs_settle(inode);
	if (mode & FALLOC_FL_PUNCH_HOLE)
		cramfs_punch_hole(inode, offset, offset + len);
	else
		err = cramfs_allocate(inode, mode, offset, offset + len);
	cramfs_settle(inode);
	/* last, as on tmpfs: a call that finds no room changes neither times nor mode */
	if (!err)
		err = file_modified(file);
	inode_unlock(inode);
	return err;
}

/* The first hole from page @index on, but before @end; @end if there is none. */
static pgoff_t cramfs_next_hole(struct inode *inode, pgoff_t index, pgoff_t end)
{
	struct folio *folio;

	while (index < end) {
		folio = cramfs_find_folio(inode, index);
		if (folio) {
			index = folio_next_index(folio);
			folio_put(folio);
		} else if (cramfs_lost(inode, index, index + 1)) {
			index++;
		} else {
			return index;
		}
		cond_resched();
	}
	return end;
}

/* A page is data, also one that fallocate() reserved or that memory failure took. */
static loff_t cramfs_find_hole_data(struct inode *inode, loff_t offset, int whence)
{
	loff_t size = cramfs_eof(inode);
	pgoff_t index, end = DIV_ROUND_UP_ULL(size, PAGE_SIZE);

	if (offset < 0 || offset >= size)
		return -ENXIO;
	if (whence == SEEK_DATA) {
		index = cramfs_next_page(inode, offset >> PAGE_SHIFT, end);
		if (index == end)
			return -ENXIO;
	} else {
		index = cramfs_next_hole(inode, offset >> PAGE_SHIFT, end);
	}
	/* the end of the last page that a file can have is no loff_t */
	return min_t(u64, size, max_t(u64, offset, (u64)index << PAGE_SHIFT));
}

static loff_t cramfs_seek_hole_data(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file_inode(file);
	unsigned int shrinks = cramfs_begin_read(inode);
	loff_t found = cramfs_find_hole_data(inode, offset, whence);

	if (cramfs_retry_read(inode, shrinks)) {
		/* A long walk: one truncate after the other would let it end never. */
		if (down_read_killable(&inode->i_rwsem))
			return -EINTR;
		found = cramfs_find_hole_data(inode, offset, whence);
		inode_unlock_shared(inode);
	}
	return found < 0 ? found : vfs_setpos(file, found, MAX_LFS_FILESIZE);
}

static loff_t cramfs_llseek(struct file *file, loff_t offset, int whence)
{
	if (likely(whence == SEEK_SET))
		return vfs_setpos(file, offset, MAX_LFS_FILESIZE);
	if (whence == SEEK_DATA || whence == SEEK_HOLE)
		return cramfs_seek_hole_data(file, offset, whence);
	return generic_file_llseek_size(file, offset, whence, MAX_LFS_FILESIZE,
					cramfs_eof(file_inode(file)));
}

/* Mapping */

/* A fault in a hole adds 2^ORDER pages, if as many before them are there already. */
#define CRAMFS_FAULT_ORDER	4

/*
 * A process that stores to one page after the other gets the next ones with it. In a
 * small file, or where the pages lie apart, a fault costs one page.
 */
static unsigned int cramfs_fault_order(struct inode *inode, pgoff_t index)
{
	const unsigned long pages = 1UL << CRAMFS_FAULT_ORDER;
	pgoff_t size = cramfs_eof(inode) >> PAGE_SHIFT;

	if (index < pages || index >= size || size - index < pages ||
	    cramfs_order(inode, index, pages) < CRAMFS_FAULT_ORDER ||
	    cramfs_next_page(inode, index, index + pages) < index + pages ||
	    cramfs_next_hole(inode, index - pages, index) < index)
		return 0;
	return CRAMFS_FAULT_ORDER;
}

/*
 * Whether a folio that was inserted without i_rwsem may stay. It is not uptodate yet,
 * so nobody uses it.
 */
static bool cramfs_may_stay(struct inode *inode, struct folio *folio)
{
	smp_mb();	/* a truncate changes eof, and then looks for pages */
	return folio_next_index(folio) <= cramfs_eof_page(inode) &&
	       !cramfs_lost(inode, folio->index, folio_next_index(folio));
}

/* Put zeros at @index, which was a hole, in a folio of at most @order: 0, or an error. */
static int cramfs_add_zeros(struct inode *inode, pgoff_t index, unsigned int order)
{
	struct folio *folio = cramfs_alloc_folio(inode, order);
	int err;

	if (!folio)
		return -ENOMEM;
	cramfs_zero_folio(folio);
	err = cramfs_insert_folio(inode, folio, index, false);
	if (err)
		goto put;
	if (cramfs_may_stay(inode, folio))
		folio_mark_uptodate(folio);
	else
		cramfs_remove_folio(inode, folio);
	folio_unlock(folio);
put:
	folio_put(folio);
	return err;
}

static vm_fault_t cramfs_fault_hole(struct inode *inode, pgoff_t index)
{
	unsigned int order = cramfs_fault_order(inode, index);
	int err;

	if (index >= cramfs_eof_page(inode) || cramfs_lost(inode, index, index + 1))
		return VM_FAULT_SIGBUS;
	/*
	 * A punch zeroes parts of folios, then removes whole ones: of a folio that comes in
	 * between, pages outside of the hole would go, too.
	 */
	filemap_invalidate_lock_shared(inode->i_mapping);
	err = cramfs_add_zeros(inode, index, order);
	/* there may be no room for many pages, but for one */
	if (order && (err == -ENOMEM || err == -ENOSPC))
		err = cramfs_add_zeros(inode, index, 0);
	filemap_invalidate_unlock_shared(inode->i_mapping);
	switch (err) {
	case 0:
	case -EEXIST:
		return 0;
	case -ENOMEM:
		return VM_FAULT_OOM;
	default:
		return VM_FAULT_SIGBUS;
	}
}

/* A store to a large folio: map the pages behind it, too, as far as the page table goes. */
static vm_fault_t cramfs_map_ahead(struct vm_fault *vmf, struct folio *folio)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long table_end = min(vma->vm_end, (vmf->address & PMD_MASK) + PMD_SIZE);
	pgoff_t end = min3(folio_next_index(folio), linear_page_index(vma, table_end),
			   cramfs_eof_page(file_inode(vma->vm_file)));
	vm_fault_t ret;

	/* a truncate may have moved eof to anywhere before */
	if (vmf->pgoff + 1 >= end)
		return 0;
	ret = filemap_map_pages(vmf, vmf->pgoff + 1, end - 1);
	/* a huge entry maps the page of the store, too: the kernel then updates no times */
	if (ret)
		file_update_time(vma->vm_file);
	return ret;
}

static vm_fault_t cramfs_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct inode *inode = file_inode(vma->vm_file);
	struct folio *folio = cramfs_find_folio(inode, vmf->pgoff);
	vm_fault_t ret = 0;

	if (!folio) {
		ret = cramfs_fault_hole(inode, vmf->pgoff);
		if (ret)
			return ret;
		folio = cramfs_find_folio(inode, vmf->pgoff);
		if (!folio)
			return VM_FAULT_NOPAGE;
	}
	if (folio_test_large(folio) && (vmf->flags & FAULT_FLAG_WRITE) &&
	    (vma->vm_flags & VM_SHARED) && !userfaultfd_wp(vma))
		ret = cramfs_map_ahead(vmf, folio);
	if (ret)
		goto put;
	folio_lock(folio);
	if (folio->mapping != inode->i_mapping || !folio_contains(folio, vmf->pgoff)) {
		/* truncated, split or migrated since: have the access fault again */
		ret = VM_FAULT_NOPAGE;
	} else if (vmf->pgoff >= cramfs_eof_page(inode)) {
		ret = VM_FAULT_SIGBUS;
	} else {
		/* zeros of an fallocate() that has not succeeded: it leaves what is used */
		if (!folio_test_uptodate(folio))
			folio_mark_uptodate(folio);
		vmf->page = folio_file_page(folio, vmf->pgoff);
		return VM_FAULT_LOCKED;
	}
	folio_unlock(folio);
put:
	folio_put(folio);
	return ret;
}

/* Map all of a folio that the page table of the fault holds, not just what lies around. */
static vm_fault_t cramfs_map_pages(struct vm_fault *vmf, pgoff_t start, pgoff_t end)
{
	struct vm_area_struct *vma = vmf->vma;
	struct inode *inode = file_inode(vma->vm_file);
	struct folio *folio = cramfs_find_folio(inode, vmf->pgoff);
	unsigned long table = vmf->address & PMD_MASK;
	pgoff_t first, last, eof = cramfs_eof_page(inode);

	if (!folio)
		return 0;
	first = linear_page_index(vma, max(vma->vm_start, table));
	last = linear_page_index(vma, min(vma->vm_end, table + PMD_SIZE)) - 1;
	start = max(first, min(start, folio->index));
	end = min(last, max(end, folio_next_index(folio) - 1));
	folio_put(folio);
	/* i_size, which the kernel looks at, may be larger */
	return vmf->pgoff < eof ? filemap_map_pages(vmf, start, min(end, eof - 1)) : 0;
}

KMK_INODE_OP(map_pages, cramfs_map_pages);

static const struct vm_operations_struct cramfs_vm_operations = {
	.fault		= cramfs_fault,
	.map_pages	= kmk_op(map_pages, cramfs_map_pages),
};

static int cramfs_mmap(struct file *file, struct vm_area_struct *vma)
{
	file_accessed(file);
	if (vma->vm_flags & VM_SHARED)
		WRITE_ONCE(CRAMFS_I(file_inode(file))->mapped, true);
	vma->vm_ops = &cramfs_vm_operations;
	return 0;
}

/* Operations that the kernel calls by itself */

/*
 * uprobes, readahead(2) and khugepaged insert folios of their own, clean and not
 * charged, and have them read in. On an error the folio must not stay.
 */
static int cramfs_read_folio(struct file *file, struct folio *folio)
{
	struct inode *inode = folio->mapping->host;
	bool reserved = folio_test_dirty(folio);	/* by an fallocate() under way */
	long pages = folio_nr_pages(folio);
	int err = 0;

	/* the last reference may be the mapping's */
	folio_get(folio);
	if (!cramfs_may_stay(inode, folio))
		err = -EIO;
	else if (!reserved && !cramfs_charge_any(inode, folio->index, pages))
		err = -ENOSPC;
	if (!err && !reserved) {
		cramfs_zero_folio(folio);
		folio_set_dirty(folio);
		cramfs_account(inode, pages);
	} else if (!reserved) {
		cramfs_remove_folio(inode, folio);
	}
	if (!err)
		folio_mark_uptodate(folio);
	folio_unlock(folio);
	folio_put(folio);
	return err;
}

/*
 * Since Linux 6.12 migration copies a folio before it freezes the references to it: a
 * store in between would be lost. The file lock keeps writers out; the folio lock,
 * held here, comes behind it elsewhere.
 */
static int cramfs_migrate_folio(struct address_space *mapping, struct folio *dst,
				struct folio *src, enum migrate_mode mode)
{
	int ret = -EAGAIN;

	if (inode_trylock_shared(mapping->host)) {
		ret = filemap_migrate_folio(mapping, dst, src, mode);
		inode_unlock_shared(mapping->host);
	}
	return ret;
}

bool cramfs_memory_failed;

/* Memory failure took the page: it leaves the file, which remembers that. */
static int cramfs_error_remove_folio(struct address_space *mapping, struct folio *folio)
{
	struct inode *inode = mapping->host;
	struct super_block *sb = inode->i_sb;
	int err;

	/* keep the superblock: once the page is gone, nothing pins the inode */
	if (!atomic_inc_not_zero(&sb->s_active))
		return -EBUSY;
	WRITE_ONCE(cramfs_memory_failed, true);
	err = xa_err(xa_store(&CRAMFS_I(inode)->lost, folio->index, xa_mk_value(0), GFP_KERNEL));
	if (err)
		goto put_super;
	/* NULL: the inode is being evicted, which uncharges all */
	inode = igrab(inode);
	err = generic_error_remove_folio(mapping, folio);
	if (inode) {
		cramfs_account(inode, 0);
		iput(inode);
	}
put_super:
	deactivate_super(sb);
	return err;
}

KMK_INODE_OP(read_folio, cramfs_read_folio);
KMK_INODE_OP(migrate_folio, cramfs_migrate_folio);
KMK_INODE_OP(error_remove_folio, cramfs_error_remove_folio);

static const struct address_space_operations cramfs_aops = {
	.read_folio	= kmk_op(read_folio, cramfs_read_folio),
	.dirty_folio	= noop_dirty_folio,
	.migrate_folio	= kmk_op(migrate_folio, cramfs_migrate_folio),
	.error_remove_folio = kmk_op(error_remove_folio, cramfs_error_remove_folio),
	.direct_IO	= noop_direct_IO,	/* O_DIRECT is taken, and is no different */
};

KMK_INODE_OP(fileattr_ioctl, cramfs_fileattr);

static const struct file_operations cramfs_file_operations = {
	.llseek		= cramfs_llseek,
	.read_iter	= cramfs_read_iter,
	.write_iter	= cramfs_write_iter,
	.mmap		= cramfs_mmap,
	.get_unmapped_area = thp_get_unmapped_area,
	.fsync		= noop_fsync,
	.splice_read	= cramfs_splice_read,
	.splice_write	= iter_file_splice_write,
	.fallocate	= cramfs_fallocate,
	.unlocked_ioctl	= kmk_op(fileattr_ioctl, cramfs_fileattr),
	.compat_ioctl	= compat_ptr_ioctl,
	.setlease	= generic_setlease,
};

/* A new regular file, which is empty. */
void cramfs_init_file(struct inode *inode)
{
	struct address_space *mapping = inode->i_mapping;
	struct cramfs_inode *ci = CRAMFS_I(inode);

	inode->i_fop = &cramfs_file_operations;
	mapping->a_ops = &cramfs_aops;
	mapping_set_unevictable(mapping);
	/* a large folio is copied in one piece, so it has to be mapped as one */
	if (CRAMFS_SB(inode->i_sb)->large_folios && !IS_ENABLED(CONFIG_HIGHMEM))
		mapping_set_large_folios(mapping);
	/* it is new, without setuid bit and capabilities: writes need not look for them yet */
	inode_has_no_xattr(inode);
	atomic64_set(&ci->eof, 0);
	ci->shrinks = 0;
	ci->mapped = false;
	ci->tail = NULL;
	ci->charged = 0;
	ci->filling = NULL;
	xa_init(&ci->lost);
}
