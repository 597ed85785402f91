// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_ramfs: the contents of files. See cramfs.h.
 *
 * A page comes into a file filled, uptodate and dirty; dirty pages of a mapping
 * that is never written back stay until they are truncated. So whoever finds a
 * page may use it at once without its lock: a reference is enough, for it keeps
 * the page from being migrated or split. A hole has no page, and there is no
 * ->read_folio that would put one there for a reader.
 */
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/sched/signal.h>
#include <linux/splice.h>
#include <linux/uio.h>

#include "cramfs.h"
#include "trace.h"

/*
 * Marks of pages in the mapping. The kernel gives them other meanings, where it
 * writes pages back; ours it never does.
 * NEW: fallocate() has just put it there, and may have to take it away again.
 * MAPPED: written through a map since the last sync.
 */
#define MARK_NEW	PAGECACHE_TAG_TOWRITE
#define MARK_MAPPED	PAGECACHE_TAG_DIRTY

/*
 * The first page at or after @index, and before @end, that is not a hole; @end if
 * none. The nearer @end is, the cheaper.
 */
static pgoff_t next_page(struct address_space *mapping, pgoff_t index, pgoff_t end)
{
	return xa_find(&mapping->i_pages, &index, end - 1, XA_PRESENT) ? index : end;
}

static void mark_page(struct address_space *mapping, pgoff_t index, xa_mark_t mark)
{
	xa_lock_irq(&mapping->i_pages);
	__xa_set_mark(&mapping->i_pages, index, mark);
	xa_unlock_irq(&mapping->i_pages);
}

static void unmark_page(struct address_space *mapping, pgoff_t index, xa_mark_t mark)
{
	xa_lock_irq(&mapping->i_pages);
	__xa_clear_mark(&mapping->i_pages, index, mark);
	xa_unlock_irq(&mapping->i_pages);
}

/* The folio that holds page @index, with a reference, or NULL: a hole. */
static struct folio *find_folio(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = filemap_get_folio(mapping, index);

	/* Linux 6.3 made NULL an error pointer */
	return IS_ERR_OR_NULL(folio) ? NULL : folio;
}

/*
 * A folio of at most @order, less when memory or the limit wants it: not in the
 * file yet, its contents undefined, its pages taken from the limit.
 */
static struct folio *alloc_folio(struct inode *inode, unsigned int order)
{
	struct cramfs_limit *pages = &CRAMFS_SB(inode->i_sb)->pages;
	gfp_t gfp = mapping_gfp_mask(inode->i_mapping);
	struct folio *folio;
	int err = -ENOSPC;

	for (;; order--) {
		/* a folio of order 1 has no room for the list of those to split */
		if (order == 1)
			order = 0;
		if (cramfs_take(pages, 1L << order)) {
			folio = folio_alloc(order ? gfp | __GFP_NORETRY | __GFP_NOWARN : gfp,
					    order);
			if (folio)
				return folio;
			cramfs_give(pages, 1L << order);
			err = -ENOMEM;
		}
		if (!order)
			return ERR_PTR(err);
	}
}

static void drop_new_folio(struct inode *inode, struct folio *folio)
{
	cramfs_give(&CRAMFS_SB(inode->i_sb)->pages, folio_nr_pages(folio));
	folio_put(folio);
}

/*
 * Put a filled folio into the file, and hold on to it, locked; on an error it is
 * gone: -EEXIST when a fault was there first, -ENOMEM.
 */
static int insert_folio(struct inode *inode, struct folio *folio, pgoff_t index)
{
	struct address_space *mapping = inode->i_mapping;
	int err;

	__folio_mark_uptodate(folio);
	err = filemap_add_folio(mapping, folio, index, mapping_gfp_mask(mapping));
	if (err) {
		drop_new_folio(inode, folio);
		return err;
	}
	/* before anybody can lock it, and take a clean folio away */
	folio_set_dirty(folio);
	trace_cramfs_insert(inode, folio);
	return 0;
}

/*
 * Give back what has left the file since it had @before pages. With i_rwsem and
 * the invalidate lock nobody adds any, so the difference is exact.
 */
static void give_removed(struct inode *inode, unsigned long before)
	__must_hold(&inode->i_rwsem)
	__must_hold(kmk_invalidate_lock(inode->i_mapping))
{
	unsigned long removed = before - READ_ONCE(inode->i_mapping->nrpages);

	lockdep_assert_held_write(&inode->i_rwsem);
	lockdep_assert_held_write(kmk_invalidate_lock(inode->i_mapping));
	if (!removed)
		return;
	cramfs_give(&CRAMFS_SB(inode->i_sb)->pages, removed);
	trace_cramfs_remove(inode, removed);
}

/* Zero what lies behind the end of the file in its last page: it grows, or a map wrote there. */
static void zero_tail(struct inode *inode)
	__must_hold(&inode->i_rwsem)
{
	loff_t size = inode->i_size;
	struct folio *folio;
	size_t offset;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (!offset_in_page(size))
		return;
	folio = find_folio(inode->i_mapping, size >> PAGE_SHIFT);
	if (!folio)
		return;
	offset = offset_in_folio(folio, size);
	folio_zero_segment(folio, offset, round_up(offset, PAGE_SIZE));
	flush_dcache_folio(folio);
	folio_put(folio);
}

/*
 * Splitting a folio while whole pages of it lie beyond the end of the file, the
 * kernel counts these off the dirty pages of a device, among which ours never were.
 * So a folio is cut at the new end before the file ends there. If that fails, as
 * somebody else has a reference, the file has one of its own for as long as the folio
 * straddles its end: with that nobody can split it.
 */

/* The folio that straddles the end of a file of @size, with a reference, or NULL. */
static struct folio *straddling_folio(struct address_space *mapping, loff_t size)
	__must_hold(&mapping->host->i_rwsem)
	__must_hold(kmk_invalidate_lock(mapping))
{
	struct folio *folio = find_folio(mapping, size >> PAGE_SHIFT);

	lockdep_assert_held_write(&mapping->host->i_rwsem);
	lockdep_assert_held_write(kmk_invalidate_lock(mapping));
	if (!folio)
		return NULL;
	if (folio_test_large(folio) && folio_next_index(folio) > DIV_ROUND_UP_ULL(size, PAGE_SIZE))
		return folio;
	folio_put(folio);
	return NULL;
}

/* Returns the folio as straddling_folio() does, if it could not be cut. */
static struct folio *cut_folio(struct address_space *mapping, loff_t size)
	__must_hold(&mapping->host->i_rwsem)
	__must_hold(kmk_invalidate_lock(mapping))
{
	struct folio *folio = straddling_folio(mapping, size);
	loff_t end;

	if (!folio)
		return NULL;
	end = folio_pos(folio) + folio_size(folio);
	folio_put(folio);
	truncate_pagecache_range(mapping->host, size, end - 1);
	return straddling_folio(mapping, size);
}

static void hold_straddling(struct inode *inode, struct folio *folio)
	__must_hold(&inode->i_rwsem)
{
	struct folio *held = CRAMFS_I(inode)->straddling;

	lockdep_assert_held_write(&inode->i_rwsem);
	CRAMFS_I(inode)->straddling = folio;
	if (held)
		folio_put(held);
}

/* What was held may lie within the file by now, or have left it. */
static void review_straddling(struct inode *inode)
	__must_hold(&inode->i_rwsem)
	__must_hold(kmk_invalidate_lock(inode->i_mapping))
{
	lockdep_assert_held_write(&inode->i_rwsem);
	lockdep_assert_held_write(kmk_invalidate_lock(inode->i_mapping));
	if (CRAMFS_I(inode)->straddling)
		hold_straddling(inode, straddling_folio(inode->i_mapping, inode->i_size));
}

/* Set the size, and free what lies beyond it. */
void cramfs_truncate(struct inode *inode, loff_t size)
{
	struct address_space *mapping = inode->i_mapping;
	struct folio *uncut;
	unsigned long before;

	lockdep_assert_held_write(&inode->i_rwsem);
	filemap_invalidate_lock(mapping);
	review_straddling(inode);
	if (size > inode->i_size)
		zero_tail(inode);
	before = READ_ONCE(mapping->nrpages);
	if (size < inode->i_size) {
		uncut = cut_folio(mapping, size);
		truncate_setsize(inode, size);
		hold_straddling(inode, uncut);
	} else {
		truncate_setsize(inode, size);
	}
	give_removed(inode, before);
	filemap_invalidate_unlock(mapping);
}

/* Reading */

static ssize_t cramfs_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct file *file = iocb->ki_filp;
	struct address_space *mapping = file->f_mapping;
	struct inode *inode = mapping->host;
	ssize_t done = 0;

	/* and that is no access */
	if (!iov_iter_count(to))
		return 0;
	do {
		pgoff_t index = iocb->ki_pos >> PAGE_SHIFT;
		struct folio *folio = find_folio(mapping, index);
		/* after the folio was found: what it holds was there at this size */
		loff_t left = i_size_read(inode) - iocb->ki_pos;
		size_t want, got;

		if (left <= 0) {
			if (folio)
				folio_put(folio);
			break;
		}
		want = min_t(u64, left, iov_iter_count(to));
		if (folio) {
			size_t offset = offset_in_folio(folio, iocb->ki_pos);

			want = min(want, folio_size(folio) - offset);
			if (mapping_writably_mapped(mapping))
				flush_dcache_folio(folio);
			got = copy_folio_to_iter(folio, offset, want, to);
			folio_put(folio);
		} else {
			want = min_t(u64, want, PAGE_SIZE - offset_in_page(iocb->ki_pos));
			got = iov_iter_zero(want, to);
		}
		iocb->ki_pos += got;
		done += got;
		if (got < want) {
			if (!done)
				done = -EFAULT;
			break;
		}
		cond_resched();
	} while (iov_iter_count(to));
	file_accessed(file);
	return done;
}

/* Writing */

/* The largest folio that can begin at @index and has at most @pages. */
static unsigned int folio_order_for(struct address_space *mapping, pgoff_t index,
				    unsigned long pages)
{
	unsigned int order;

	if (pages < 2 || !mapping_large_folio_support(mapping))
		return 0;
	order = min_t(unsigned int, ilog2(pages), MAX_PAGECACHE_ORDER);
	return index ? min_t(unsigned int, order, __ffs(index)) : order;
}

/* The folio to ask for: no page of it may be only partly written, or be there already. */
static unsigned int write_order(struct address_space *mapping, loff_t pos, size_t count)
{
	pgoff_t index = pos >> PAGE_SHIFT;
	unsigned long pages = count >> PAGE_SHIFT;

	if (pages < 2 || offset_in_page(pos))
		return 0;
	return folio_order_for(mapping, index, next_page(mapping, index, index + pages) - index);
}

static ssize_t write_folio(struct address_space *mapping, struct folio *folio, size_t offset,
			   struct iov_iter *from)
{
	size_t want = min(folio_size(folio) - offset, iov_iter_count(from));
	size_t got;

	if (mapping_writably_mapped(mapping))
		flush_dcache_folio(folio);
	/* in one piece, where that needs no map of each page */
	if (folio_test_large(folio) && !IS_ENABLED(CONFIG_HIGHMEM))
		got = copy_from_iter(folio_address(folio) + offset, want, from);
	else
		got = copy_folio_from_iter(folio, offset, want, from);
	flush_dcache_folio(folio);
	return got ?: -EFAULT;
}

/*
 * Fill a new folio from @from, and put it into the file. -EAGAIN: the world has
 * changed meanwhile and @from has not; look again, and with @order 0.
 */
static ssize_t write_new_folio(struct inode *inode, loff_t pos, struct iov_iter *from,
			       unsigned int order)
	__must_hold(&inode->i_rwsem)
{
	struct folio *folio = alloc_folio(inode, order);
	size_t offset = offset_in_page(pos);
	ssize_t got;
	int err;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (IS_ERR(folio))
		return PTR_ERR(folio);

	/* nobody else knows the folio, so a fault here may sleep, even on this file */
	got = write_folio(inode->i_mapping, folio, offset, from);
	if (got < 0) {
		drop_new_folio(inode, folio);
		return got;
	}
	if (folio_test_large(folio)) {
		if (got < folio_size(folio)) {
			drop_new_folio(inode, folio);
			iov_iter_revert(from, got);
			return -EAGAIN;
		}
	} else if (got < PAGE_SIZE) {
		folio_zero_segments(folio, 0, offset, offset + got, PAGE_SIZE);
	}

	err = insert_folio(inode, folio, pos >> PAGE_SHIFT);
	if (err) {
		iov_iter_revert(from, got);
		return err == -EEXIST ? -EAGAIN : err;
	}
	folio_unlock(folio);
	folio_put(folio);
	return got;
}

static ssize_t write_some(struct inode *inode, loff_t pos, struct iov_iter *from, bool single)
	__must_hold(&inode->i_rwsem)
{
	struct address_space *mapping = inode->i_mapping;
	pgoff_t index = pos >> PAGE_SHIFT;
	struct folio *folio = NULL;
	ssize_t got;

	lockdep_assert_held_write(&inode->i_rwsem);
	/* behind so many pages there is none, unless there are holes */
	if (single || index != READ_ONCE(mapping->nrpages))
		folio = find_folio(mapping, index);
	if (!folio) {
		got = write_new_folio(inode, pos, from,
				      single ? 0 : write_order(mapping, pos,
							       iov_iter_count(from)));
		/* what is there can be written to, also without room for anything new */
		if (got < 0 && next_page(mapping, index, index + 1) == index)
			got = -EAGAIN;
		return got;
	}
	got = write_folio(mapping, folio, offset_in_folio(folio, pos), from);
	folio_put(folio);
	return got;
}

/* @from is not empty. */
static ssize_t write_all(struct kiocb *iocb, struct iov_iter *from)
	__must_hold(&file_inode(iocb->ki_filp)->i_rwsem)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	bool single = false;
	ssize_t done = 0, got;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (iocb->ki_pos > inode->i_size)
		zero_tail(inode);
	for (;;) {
		got = write_some(inode, iocb->ki_pos, from, single);
		if (got == -EAGAIN) {
			single = true;
			continue;
		}
		if (got < 0)
			return done ?: got;
		iocb->ki_pos += got;
		done += got;
		if (iocb->ki_pos > inode->i_size)
			i_size_write(inode, iocb->ki_pos);
		if (!iov_iter_count(from) || fatal_signal_pending(current))
			return done;
		cond_resched();
	}
}

static ssize_t cramfs_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t ret;

	inode_lock(inode);
	ret = generic_write_checks(iocb, from);
	if (ret > 0) {
		ret = file_modified(iocb->ki_filp);
		if (!ret)
			ret = write_all(iocb, from);
	}
	inode_unlock(inode);
	return ret;
}

/* Holes: fallocate, lseek */

/*
 * Put zeros at @index, which is a hole, in a folio of at most @order, and return
 * it locked; -EEXIST when a fault was there first, -ENOSPC, -ENOMEM.
 */
static struct folio *add_zeros(struct inode *inode, pgoff_t index, unsigned int order)
	__must_hold_shared(kmk_invalidate_lock(inode->i_mapping))
{
	struct folio *folio = alloc_folio(inode, order);
	long i;
	int err;

	lockdep_assert_held(kmk_invalidate_lock(inode->i_mapping));
	if (IS_ERR(folio))
		return folio;
	for (i = 0; i < folio_nr_pages(folio); i++)
		clear_highpage(folio_page(folio, i));
	flush_dcache_folio(folio);
	err = insert_folio(inode, folio, index);
	return err ? ERR_PTR(err) : folio;
}

/* Put zeros at @index, in a folio that ends before @end and before the next page there. */
static int fill_hole(struct inode *inode, pgoff_t index, pgoff_t end)
	__must_hold(&inode->i_rwsem)
	__must_hold(kmk_invalidate_lock(inode->i_mapping))
{
	struct address_space *mapping = inode->i_mapping;
	struct folio *folio;

	lockdep_assert_held_write(&inode->i_rwsem);
	lockdep_assert_held_write(kmk_invalidate_lock(mapping));
	end = next_page(mapping, index, end);
	folio = add_zeros(inode, index, folio_order_for(mapping, index, end - index));
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	mark_page(mapping, index, MARK_NEW);
	folio_unlock(folio);
	folio_put(folio);
	return 0;
}

static void forget_new_pages(struct address_space *mapping)
	__must_hold(&mapping->host->i_rwsem)
	__must_hold(kmk_invalidate_lock(mapping))
{
	unsigned long index = 0;

	lockdep_assert_held_write(&mapping->host->i_rwsem);
	lockdep_assert_held_write(kmk_invalidate_lock(mapping));
	while (xa_find(&mapping->i_pages, &index, ULONG_MAX, MARK_NEW))
		unmark_page(mapping, index, MARK_NEW);
}

static void remove_new_pages(struct inode *inode)
	__must_hold(&inode->i_rwsem)
	__must_hold(kmk_invalidate_lock(inode->i_mapping))
{
	struct address_space *mapping = inode->i_mapping;
	unsigned long index = 0, before = READ_ONCE(mapping->nrpages);
	struct folio *folio;
	loff_t start, end;

	lockdep_assert_held_write(&inode->i_rwsem);
	lockdep_assert_held_write(kmk_invalidate_lock(mapping));
	while (xa_find(&mapping->i_pages, &index, ULONG_MAX, MARK_NEW)) {
		folio = find_folio(mapping, index);
		start = folio_pos(folio);
		end = start + folio_size(folio);
		folio_put(folio);
		truncate_pagecache_range(inode, start, end - 1);
	}
	give_removed(inode, before);
}

/*
 * Fill the holes between pages @index and @end: all of them, or none and an error.
 * What lies beyond @size, the end of the file, is in single pages: see straddling_folio().
 */
static int fill_holes(struct inode *inode, pgoff_t index, pgoff_t end, loff_t size)
	__must_hold(&inode->i_rwsem)
	__must_hold(kmk_invalidate_lock(inode->i_mapping))
{
	struct address_space *mapping = inode->i_mapping;
	pgoff_t inside = min_t(pgoff_t, end, DIV_ROUND_UP_ULL(size, PAGE_SIZE));
	struct folio *folio;
	int err = 0;

	lockdep_assert_held_write(&inode->i_rwsem);
	lockdep_assert_held_write(kmk_invalidate_lock(mapping));
	while (index < end && !err) {
		folio = find_folio(mapping, index);
		if (folio) {
			index = folio_next_index(folio);
			folio_put(folio);
		} else {
			err = fill_hole(inode, index, index < inside ? inside : index + 1);
		}
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	if (err)
		remove_new_pages(inode);
	else
		forget_new_pages(mapping);
	return err;
}

/* Zero what is there between @start and @end; holes stay holes. */
static void zero_range(struct inode *inode, loff_t start, loff_t end)
	__must_hold(&inode->i_rwsem)
	__must_hold(kmk_invalidate_lock(inode->i_mapping))
{
	struct address_space *mapping = inode->i_mapping;
	struct folio *folio;
	size_t offset, size;
	pgoff_t index, last = (end - 1) >> PAGE_SHIFT;

	lockdep_assert_held_write(&inode->i_rwsem);
	lockdep_assert_held_write(kmk_invalidate_lock(mapping));
	while (start < end) {
		index = next_page(mapping, start >> PAGE_SHIFT, last + 1);
		if (index > last)
			break;
		start = max(start, (loff_t)index << PAGE_SHIFT);
		folio = find_folio(mapping, index);
		offset = offset_in_folio(folio, start);
		size = min_t(u64, folio_size(folio) - offset, end - start);
		folio_zero_range(folio, offset, size);
		flush_dcache_folio(folio);
		folio_put(folio);
		start += size;
		cond_resched();
	}
}

static void punch_hole(struct inode *inode, loff_t start, loff_t end)
	__must_hold(&inode->i_rwsem)
	__must_hold(kmk_invalidate_lock(inode->i_mapping))
{
	unsigned long before = READ_ONCE(inode->i_mapping->nrpages);

	lockdep_assert_held_write(&inode->i_rwsem);
	lockdep_assert_held_write(kmk_invalidate_lock(inode->i_mapping));
	review_straddling(inode);
	truncate_pagecache_range(inode, start, end - 1);
	review_straddling(inode);
	give_removed(inode, before);
}

/* Everything that can fail comes first. */
static int allocate(struct inode *inode, int mode, loff_t start, loff_t end)
	__must_hold(&inode->i_rwsem)
	__must_hold(kmk_invalidate_lock(inode->i_mapping))
{
	bool grows = !(mode & FALLOC_FL_KEEP_SIZE) && end > inode->i_size;
	int err;

	lockdep_assert_held_write(&inode->i_rwsem);
	lockdep_assert_held_write(kmk_invalidate_lock(inode->i_mapping));
	if (grows) {
		err = inode_newsize_ok(inode, end);
		if (err)
			return err;
	}
	err = fill_holes(inode, start >> PAGE_SHIFT, DIV_ROUND_UP_ULL(end, PAGE_SIZE),
			 grows ? end : inode->i_size);
	if (err)
		return err;
	if (mode & FALLOC_FL_ZERO_RANGE)
		zero_range(inode, start, end);
	if (grows) {
		zero_tail(inode);
		i_size_write(inode, end);
	}
	return 0;
}

static long cramfs_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct inode *inode = file_inode(file);
	int err;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;

	inode_lock(inode);
	err = file_modified(file);
	if (!err) {
		filemap_invalidate_lock(inode->i_mapping);
		if (mode & FALLOC_FL_PUNCH_HOLE)
			punch_hole(inode, offset, offset + len);
		else
			err = allocate(inode, mode, offset, offset + len);
		filemap_invalidate_unlock(inode->i_mapping);
	}
	inode_unlock(inode);
	return err;
}

/* The first hole at or after page @index, which may be the end of the file. */
static pgoff_t next_hole(struct address_space *mapping, pgoff_t index, pgoff_t end)
{
	struct folio *folio;

	while (index < end) {
		folio = find_folio(mapping, index);
		if (!folio)
			break;
		index = folio_next_index(folio);
		folio_put(folio);
		cond_resched();
	}
	return index;
}

/* A page is data, also one that fallocate() reserved. */
static loff_t seek_hole_data(struct file *file, loff_t offset, int whence)
{
	struct address_space *mapping = file->f_mapping;
	struct inode *inode = mapping->host;
	loff_t size, found;

	inode_lock_shared(inode);
	size = i_size_read(inode);
	if (offset < 0 || offset >= size) {
		found = -ENXIO;
	} else if (whence == SEEK_DATA) {
		pgoff_t last = (size - 1) >> PAGE_SHIFT;
		pgoff_t index = next_page(mapping, offset >> PAGE_SHIFT, last + 1);

		if (index > last)
			found = -ENXIO;
		else
			found = max(offset, (loff_t)index << PAGE_SHIFT);
	} else {
		pgoff_t index = next_hole(mapping, offset >> PAGE_SHIFT,
					  DIV_ROUND_UP_ULL(size, PAGE_SIZE));

		/* the end of the last page that a file can have is no loff_t */
		found = min_t(u64, size, max_t(u64, offset, (u64)index << PAGE_SHIFT));
	}
	inode_unlock_shared(inode);
	return found < 0 ? found : vfs_setpos(file, found, inode->i_sb->s_maxbytes);
}

static loff_t cramfs_llseek(struct file *file, loff_t offset, int whence)
{
	if (whence == SEEK_DATA || whence == SEEK_HOLE)
		return seek_hole_data(file, offset, whence);
	return generic_file_llseek(file, offset, whence);
}

/* Mapping */

/* A fault in a hole brings so many pages, if as many before them are there already. */
#define FAULT_AHEAD_ORDER	4

/*
 * Who goes from page to page through a map gets the next ones at once. In a small
 * file, or where the pages lie apart, a fault costs one page.
 */
static unsigned int fault_order(struct inode *inode, pgoff_t index)
{
	struct address_space *mapping = inode->i_mapping;
	const unsigned long pages = 1UL << FAULT_AHEAD_ORDER;
	pgoff_t size = i_size_read(inode) >> PAGE_SHIFT;

	if (index < pages || index + pages > size ||
	    folio_order_for(mapping, index, pages) < FAULT_AHEAD_ORDER ||
	    next_page(mapping, index, index + pages) < index + pages ||
	    next_hole(mapping, index - pages, index) < index)
		return 0;
	return FAULT_AHEAD_ORDER;
}

static vm_fault_t fault_hole(struct inode *inode, struct vm_fault *vmf)
	__must_hold_shared(kmk_invalidate_lock(inode->i_mapping))
{
	unsigned int order = fault_order(inode, vmf->pgoff);
	struct folio *folio = add_zeros(inode, vmf->pgoff, order);

	lockdep_assert_held_read(kmk_invalidate_lock(inode->i_mapping));
	/* the memory cgroup may have no room for many pages, but for one */
	if (order && PTR_ERR_OR_ZERO(folio) == -ENOMEM)
		folio = add_zeros(inode, vmf->pgoff, 0);
	if (!IS_ERR(folio)) {
		vmf->page = folio_page(folio, 0);
		return VM_FAULT_LOCKED;
	}
	switch (PTR_ERR(folio)) {
	case -EEXIST:
		return VM_FAULT_NOPAGE;
	case -ENOMEM:
		return VM_FAULT_OOM;
	default:
		return VM_FAULT_SIGBUS;
	}
}

/* With the invalidate lock no page goes away, and the size does not shrink. */
static vm_fault_t cramfs_fault(struct vm_fault *vmf)
{
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;
	struct inode *inode = mapping->host;
	struct folio *folio;
	vm_fault_t ret;

	filemap_invalidate_lock_shared(mapping);
	if (vmf->pgoff >= DIV_ROUND_UP_ULL(i_size_read(inode), PAGE_SIZE)) {
		ret = VM_FAULT_SIGBUS;
		goto unlock;
	}
	folio = find_folio(mapping, vmf->pgoff);
	if (!folio) {
		ret = fault_hole(inode, vmf);
		goto unlock;
	}
	folio_lock(folio);
	if (folio->mapping != mapping || !folio_contains(folio, vmf->pgoff)) {
		/* split or migrated since we found it: have the access fault again */
		folio_unlock(folio);
		folio_put(folio);
		ret = VM_FAULT_NOPAGE;
		goto unlock;
	}
	vmf->page = folio_file_page(folio, vmf->pgoff);
	ret = VM_FAULT_LOCKED;
unlock:
	filemap_invalidate_unlock_shared(mapping);
	return ret;
}

/*
 * Map pages @start to @end, and all of @folio that the page table of the fault
 * holds: it came into the file in one piece, and is likely to be used so.
 */
static vm_fault_t map_folio(struct vm_fault *vmf, struct folio *folio, pgoff_t start, pgoff_t end)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long table = vmf->address & PMD_MASK;
	pgoff_t first = linear_page_index(vma, max(vma->vm_start, table));
	pgoff_t last = linear_page_index(vma, min(vma->vm_end, table + PMD_SIZE)) - 1;

	start = max(first, min(start, folio->index));
	end = min(last, max(end, folio_next_index(folio) - 1));
	return filemap_map_pages(vmf, start, end);
}

static vm_fault_t cramfs_map_pages(struct vm_fault *vmf, pgoff_t start, pgoff_t end)
{
	struct folio *folio = find_folio(vmf->vma->vm_file->f_mapping, vmf->pgoff);
	vm_fault_t ret;

	if (!folio)
		return 0;
	ret = map_folio(vmf, folio, start, end);
	folio_put(folio);
	return ret;
}

/*
 * The first write to a folio through a map since the last sync. The reference
 * that the caller has keeps the folio whole, the invalidate lock keeps it in the
 * file; and cramfs_fsync() does not come between the mark and the map.
 */
static vm_fault_t cramfs_page_mkwrite(struct vm_fault *vmf)
{
	struct file *file = vmf->vma->vm_file;
	struct address_space *mapping = file->f_mapping;
	struct folio *folio = page_folio(vmf->page);
	vm_fault_t ret = 0;

	sb_start_pagefault(mapping->host->i_sb);
	file_update_time(file);
	filemap_invalidate_lock_shared(mapping);
	if (folio->mapping != mapping) {
		ret = VM_FAULT_NOPAGE;
		goto unlock;
	}
	mark_page(mapping, vmf->pgoff, MARK_MAPPED);
	/* unless it was only mapped to be read till now */
	if (folio_test_large(folio) && !vmf->pte)
		ret = map_folio(vmf, folio, vmf->pgoff, vmf->pgoff);
	if (!ret) {
		folio_lock(folio);
		ret = VM_FAULT_LOCKED;
	}
unlock:
	filemap_invalidate_unlock_shared(mapping);
	sb_end_pagefault(mapping->host->i_sb);
	return ret;
}

KMK_INODE_OP(map_pages, cramfs_map_pages);

static const struct vm_operations_struct cramfs_vm_operations = {
	.fault		= cramfs_fault,
	.map_pages	= kmk_op(map_pages, cramfs_map_pages),
	.page_mkwrite	= cramfs_page_mkwrite,
};

static int cramfs_mmap(struct file *file, struct vm_area_struct *vma)
{
	file_accessed(file);
	vma->vm_ops = &cramfs_vm_operations;
	return 0;
}

/*
 * There is nowhere to write to, but there are the times: what a map has written
 * counts by now at the latest, and the next write to the same page counts anew.
 */
static int cramfs_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct address_space *mapping = file->f_mapping;
	unsigned long index = start >> PAGE_SHIFT, last = end >> PAGE_SHIFT;
	struct folio *folio;
	bool written = false;

	filemap_invalidate_lock(mapping);
	while (xa_find(&mapping->i_pages, &index, last, MARK_MAPPED)) {
		unmark_page(mapping, index, MARK_MAPPED);
		folio = find_folio(mapping, index);
		if (!folio)
			continue;
		folio_lock(folio);
		if (folio->mapping == mapping && folio_mkclean(folio))
			written = true;
		folio_unlock(folio);
		folio_put(folio);
		cond_resched();
	}
	filemap_invalidate_unlock(mapping);
	return written ? file_update_time(file) : 0;
}

const struct address_space_operations cramfs_aops = {
	.dirty_folio	= noop_dirty_folio,
	.migrate_folio	= filemap_migrate_folio,
	.direct_IO	= noop_direct_IO,	/* O_DIRECT is taken, and is no different */
};

const struct file_operations cramfs_file_operations = {
	.llseek		= cramfs_llseek,
	.read_iter	= cramfs_read_iter,
	.write_iter	= cramfs_write_iter,
	.mmap		= cramfs_mmap,
	.get_unmapped_area = thp_get_unmapped_area,
	.fsync		= cramfs_fsync,
	.splice_read	= copy_splice_read,
	.splice_write	= iter_file_splice_write,
	.fallocate	= cramfs_fallocate,
	.setlease	= generic_setlease,
};
