/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one place that knows kernel versions.
 *
 * The modules are written to the newest kernel's API; each entry here teaches
 * that API to older kernels, and says which kernel changed what. Dropping an
 * old kernel deletes entries and changes no module.
 */
#ifndef _KMK_COMPAT_H
#define _KMK_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 10, 0)
#error "kmodkit needs Linux 5.10 or newer"
#endif

/*
 * 6.9: a kernel that gcc built finds per-CPU data by named address spaces, and
 * clang leaves the segment out where such data is an operand of assembly: what it
 * builds for that kernel writes to wild addresses.
 */
#if defined(__clang__) && defined(CONFIG_CC_IS_GCC) && defined(CONFIG_CC_HAS_NAMED_AS)
#error "this kernel was built with gcc, and clang cannot build modules for it: leave LLVM=1 out"
#endif

/* Interrupts */

#include <linux/irq_work.h>

/* 5.11 added initialisers by kind. */
#ifndef IRQ_WORK_INIT_HARD
#define IRQ_WORK_INIT_HARD(_func) ((struct irq_work) {	\
	.flags = ATOMIC_INIT(IRQ_WORK_HARD_IRQ),	\
	.func = (_func),				\
})
#endif

/* Locks */

#include <linux/lockdep.h>

/* 5.15 added lockdep_assert(). */
#ifndef lockdep_assert
#define lockdep_assert(cond) do { } while (0)
#endif

/*
 * 7.0 added these, which clang 22 checks where CONFIG_WARN_CONTEXT_ANALYSIS is set; before,
 * what a lock guards is only said, and sparse knows __must_hold(), of one lock.
 */
#ifndef __guarded_by
#define __guarded_by(...)
#define __pt_guarded_by(...)
#define __must_hold_shared(lock) __must_hold(lock)
#endif

/* Library functions */

/* 7.0 took hex_byte_pack() out of linux/kernel.h; linux/hex.h is older than 6.12. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#include <linux/hex.h>
#else
#include <linux/kernel.h>
#endif

/* Splice */

#include <linux/fs.h>

/* 6.5 replaced generic_file_splice_read() by copy_splice_read(). */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define copy_splice_read generic_file_splice_read
#endif

/* User memory through an iov_iter */

#include <linux/uio.h>

/* 6.0 added user_backed_iter(), and a second kind of such. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 0, 0)
#define user_backed_iter iter_is_iovec
#endif

/*
 * 5.16 added fault_in_iov_iter_readable() and fault_in_iov_iter_writeable(),
 * which return how many bytes cannot be had. These shadow any backport.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 16, 0)
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

static inline bool kmk_fault_in_page(unsigned long addr, bool write)
{
	bool unlocked = false;
	char c;
	int err;

	if (!write) {
		err = get_user(c, (const char __user *)addr);
		(void)c;
		return !err;
	}
	mmap_read_lock(current->mm);
	err = fixup_user_fault(current->mm, addr, FAULT_FLAG_WRITE, &unlocked);
	mmap_read_unlock(current->mm);
	return !err;
}

static inline size_t kmk_fault_in(const struct iov_iter *i, size_t n, bool write)
{
	const struct iovec *iov = i->iov;
	size_t skip = i->iov_offset, step;
	unsigned long addr;

	if (!iter_is_iovec(i))
		return 0;
	for (n = min(n, i->count); n; n -= step, skip += step) {
		for (; skip == iov->iov_len; iov++)
			skip = 0;
		addr = (unsigned long)iov->iov_base + skip;
		step = min3(n, iov->iov_len - skip, PAGE_SIZE - offset_in_page(addr));
		if (!kmk_fault_in_page(addr, write))
			break;
	}
	return n;
}

#define fault_in_iov_iter_readable(iter, n)	kmk_fault_in(iter, n, false)
#define fault_in_iov_iter_writeable(iter, n)	kmk_fault_in(iter, n, true)
#endif

/* Memory maps */

/* 6.3 made the flags of a VMA read-only to all but vm_flags_set(); this shadows any backport. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#include <linux/mm.h>

#define vm_flags_set(vma, flags) ((vma)->vm_flags |= (flags))
#endif

/* Timers */

/* 6.13 added hrtimer_setup(), which takes the function too; 6.15 ended hrtimer_init(). */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#include <linux/hrtimer.h>

static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

/* Scheduling */

#include <linux/sched.h>

/* 6.1 added it; the freezer of older kernels wakes a sleeper with a signal. */
#ifndef TASK_FREEZABLE
#define TASK_FREEZABLE 0
#endif

/* io_uring */

/* 5.19 added ->uring_cmd(); 6.3, and 6.1.22, gave io_uring_cmd_done() the flags. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 22)
#define KMK_HAVE_URING_CMD

/* 6.8 split struct io_uring_cmd off linux/io_uring.h. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
#include <linux/io_uring/cmd.h>
#else
#include <linux/io_uring.h>
#endif

/* 6.4 replaced the pointer to the payload by one to the whole entry. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#define kmk_uring_cmd_payload(ioucmd) ((const void *)(ioucmd)->sqe->cmd)
#else
#define kmk_uring_cmd_payload(ioucmd) ((ioucmd)->cmd)
#endif

/* 6.18 dropped the second result. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
#define io_uring_cmd_done(ioucmd, ret, issue_flags) \
	io_uring_cmd_done(ioucmd, ret, 0, issue_flags)
#endif
#endif

/* File systems */

#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/pagemap.h>
#include <linux/posix_acl.h>
#include <linux/uio.h>

/* 6.3: leases left linux/fs.h. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
#include <linux/filelock.h>
#endif

/* 5.12 gave the operations the user namespace of the mount, 6.3 a type of its own. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 12, 0)
struct mnt_idmap;
#define nop_mnt_idmap (*(struct mnt_idmap *)NULL)
#define FS_ALLOW_IDMAP 0
#define inode_init_owner(idmap, inode, dir, mode) inode_init_owner(inode, dir, mode)
#define setattr_prepare(idmap, dentry, attr) setattr_prepare(dentry, attr)
#define setattr_copy(idmap, inode, attr) setattr_copy(inode, attr)
#define posix_acl_update_mode(idmap, inode, mode, acl) posix_acl_update_mode(inode, mode, acl)
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define mnt_idmap user_namespace
#define nop_mnt_idmap init_user_ns
#endif

/* 6.6: generic_fillattr() takes the request mask. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 12, 0)
#define generic_fillattr(idmap, mask, inode, stat) generic_fillattr(inode, stat)
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define generic_fillattr(idmap, mask, inode, stat) generic_fillattr(idmap, inode, stat)
#endif

/* 5.18: inodes are allocated for a list_lru. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 18, 0)
#define alloc_inode_sb(sb, cache, gfp) kmem_cache_alloc(cache, gfp)
#endif

/* 6.2: ACLs have system calls of their own inside the kernel, and need no xattr handler. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 12, 0)
#define posix_acl_chmod(idmap, dentry, mode) posix_acl_chmod(d_inode(dentry), mode)
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define posix_acl_chmod(idmap, dentry, mode) posix_acl_chmod(idmap, d_inode(dentry), mode)
#endif
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0) && defined(CONFIG_FS_POSIX_ACL)
#define KMK_POSIX_ACL_XATTR_HANDLERS	\
	&posix_acl_access_xattr_handler,	\
	&posix_acl_default_xattr_handler,
#else
#define KMK_POSIX_ACL_XATTR_HANDLERS
#endif

/* 6.7: the times of an inode are set by functions. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
static inline void inode_set_mtime_to_ts(struct inode *inode, struct timespec64 ts)
{
	inode->i_mtime = ts;
}

static inline struct timespec64 simple_inode_init_ts(struct inode *inode)
{
	inode->i_mtime = inode_set_ctime_current(inode);
	inode->i_atime = inode->i_mtime;
	return inode->i_mtime;
}
#endif

/* 6.18: generic_delete_inode() got a new name. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
#define inode_just_drop generic_delete_inode
#endif

/*
 * 6.19: a dentry that lives without a user is marked so; before, it had one
 * reference too many, which kill_litter_super() dropped in the end.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0)
static inline struct dentry *d_make_persistent(struct dentry *dentry, struct inode *inode)
{
	if (d_unhashed(dentry))
		d_add(dentry, inode);
	else
		d_instantiate(dentry, inode);
	return dget(dentry);
}

/* Whoever makes it discardable has a reference too: there is no need to look for the last. */
static inline void d_make_discardable(struct dentry *dentry)
{
	if (lockref_put_return(&dentry->d_lockref) < 0)
		dput(dentry);
}

#define kmk_kill_persistent_super kill_litter_super
#else
#define kmk_kill_persistent_super kill_anon_super
#endif

/*
 * Inode operations: KMK_INODE_OP(op, fn) after the function, which has the newest
 * kernel's type, makes another of this kernel's type where that differs, and
 * kmk_op(op, fn) in the table is the one or the other. The same for ->set of an
 * xattr handler, as xattr_set.
 * 5.12, 6.3: see mnt_idmap. 6.1: ->tmpfile takes a file. 6.2: ->set_acl takes a
 * dentry. 6.15: ->mkdir returns a dentry. 7.3: ->create has no excl.
 */
#define KMK_INODE_OP(op, fn) KMK_INODE_OP_##op(fn)
#define kmk_op(op, fn) KMK_OP_##op(fn)

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 12, 0)
#define KMK_IDMAP_PARAM
#define KMK_IDMAP NULL
#else
#define KMK_IDMAP_PARAM struct mnt_idmap *idmap,
#define KMK_IDMAP idmap
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 3, 0)
#define KMK_OP_create(fn) kmk_##fn
#define KMK_INODE_OP_create(fn)							\
	static int kmk_##fn(KMK_IDMAP_PARAM struct inode *dir,			\
			    struct dentry *dentry, umode_t mode, bool excl)	\
	{ return fn(KMK_IDMAP, dir, dentry, mode); }				\
	static_assert(1)
#else
#define KMK_OP_create(fn) fn
#define KMK_INODE_OP_create(fn) static_assert(1)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)
#define KMK_OP_mkdir(fn) kmk_##fn
#define KMK_INODE_OP_mkdir(fn)							\
	static int kmk_##fn(KMK_IDMAP_PARAM struct inode *dir,			\
			    struct dentry *dentry, umode_t mode)		\
	{ return PTR_ERR(fn(KMK_IDMAP, dir, dentry, mode)); }			\
	static_assert(1)
#else
#define KMK_OP_mkdir(fn) fn
#define KMK_INODE_OP_mkdir(fn) static_assert(1)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define KMK_OP_set_acl(fn) kmk_##fn
#define KMK_INODE_OP_set_acl(fn)						\
	static int kmk_##fn(KMK_IDMAP_PARAM struct inode *inode,		\
			    struct posix_acl *acl, int type)			\
	{									\
		struct dentry *dentry = d_find_any_alias(inode);		\
		int err = fn(KMK_IDMAP, dentry, acl, type);			\
										\
		dput(dentry);							\
		return err;							\
	}									\
	static_assert(1)
#else
#define KMK_OP_set_acl(fn) fn
#define KMK_INODE_OP_set_acl(fn) static_assert(1)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
/* Of the file that is being opened, only the name counts here. */
#define d_tmpfile(file, inode) d_tmpfile((file)->f_path.dentry, inode)
#define finish_open_simple(file, err) (err)
#define KMK_OP_tmpfile(fn) kmk_##fn
#define KMK_INODE_OP_tmpfile(fn)						\
	static int kmk_##fn(KMK_IDMAP_PARAM struct inode *dir,			\
			    struct dentry *dentry, umode_t mode)		\
	{									\
		struct file file = { .f_path.dentry = dentry };			\
										\
		return fn(KMK_IDMAP, dir, &file, mode);				\
	}									\
	static_assert(1)
#else
#define KMK_OP_tmpfile(fn) fn
#define KMK_INODE_OP_tmpfile(fn) static_assert(1)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 12, 0)
#define KMK_OP_symlink(fn) kmk_##fn
#define KMK_INODE_OP_symlink(fn)						\
	static int kmk_##fn(struct inode *dir, struct dentry *dentry,		\
			    const char *target)					\
	{ return fn(NULL, dir, dentry, target); }				\
	static_assert(1)
#define KMK_OP_mknod(fn) kmk_##fn
#define KMK_INODE_OP_mknod(fn)							\
	static int kmk_##fn(struct inode *dir, struct dentry *dentry,		\
			    umode_t mode, dev_t dev)				\
	{ return fn(NULL, dir, dentry, mode, dev); }				\
	static_assert(1)
#define KMK_OP_rename(fn) kmk_##fn
#define KMK_INODE_OP_rename(fn)							\
	static int kmk_##fn(struct inode *old_dir, struct dentry *old_dentry,	\
			    struct inode *new_dir, struct dentry *new_dentry,	\
			    unsigned int flags)					\
	{ return fn(NULL, old_dir, old_dentry, new_dir, new_dentry, flags); }	\
	static_assert(1)
#define KMK_OP_setattr(fn) kmk_##fn
#define KMK_INODE_OP_setattr(fn)						\
	static int kmk_##fn(struct dentry *dentry, struct iattr *attr)		\
	{ return fn(NULL, dentry, attr); }					\
	static_assert(1)
#define KMK_OP_getattr(fn) kmk_##fn
#define KMK_INODE_OP_getattr(fn)						\
	static int kmk_##fn(const struct path *path, struct kstat *stat,	\
			    u32 mask, unsigned int flags)			\
	{ return fn(NULL, path, stat, mask, flags); }				\
	static_assert(1)
#define KMK_OP_xattr_set(fn) kmk_##fn
#define KMK_INODE_OP_xattr_set(fn)						\
	static int kmk_##fn(const struct xattr_handler *handler,		\
			    struct dentry *dentry, struct inode *inode,		\
			    const char *name, const void *value, size_t size,	\
			    int flags)						\
	{ return fn(handler, NULL, dentry, inode, name, value, size, flags); }	\
	static_assert(1)
#else
#define KMK_OP_symlink(fn) fn
#define KMK_INODE_OP_symlink(fn) static_assert(1)
#define KMK_OP_mknod(fn) fn
#define KMK_INODE_OP_mknod(fn) static_assert(1)
#define KMK_OP_rename(fn) fn
#define KMK_INODE_OP_rename(fn) static_assert(1)
#define KMK_OP_setattr(fn) fn
#define KMK_INODE_OP_setattr(fn) static_assert(1)
#define KMK_OP_getattr(fn) fn
#define KMK_INODE_OP_getattr(fn) static_assert(1)
#define KMK_OP_xattr_set(fn) fn
#define KMK_INODE_OP_xattr_set(fn) static_assert(1)
#endif

/* Page cache */

/* 5.12: ->map_pages says whether it mapped the page of the fault. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 12, 0)
#include <linux/mm.h>

#define filemap_map_pages(vmf, start, end) (filemap_map_pages(vmf, start, end), (vm_fault_t)0)
#define KMK_OP_map_pages(fn) kmk_##fn
#define KMK_INODE_OP_map_pages(fn)						\
	static void kmk_##fn(struct vm_fault *vmf, pgoff_t start, pgoff_t end)	\
	{ fn(vmf, start, end); }						\
	static_assert(1)
#else
#define KMK_OP_map_pages(fn) fn
#define KMK_INODE_OP_map_pages(fn) static_assert(1)
#endif

/* 6.9: the largest folio that the page cache takes has a name for file systems. */
#ifndef MAX_PAGECACHE_ORDER
#define MAX_PAGECACHE_ORDER HPAGE_PMD_ORDER
#endif

/*
 * 5.15: a mapping has a lock against the removal of its pages. Before, who needs
 * one has it in a structure of his own, by KMK_INVALIDATE_LOCK in it and
 * kmk_init_invalidate_lock(); kmk_invalidate_lock() is that of a mapping.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 15, 0)
#define KMK_INVALIDATE_LOCK struct rw_semaphore invalidate_lock;
#define kmk_init_invalidate_lock(mapping, container)				\
	do {									\
		init_rwsem(&(container)->invalidate_lock);			\
		(mapping)->private_data = &(container)->invalidate_lock;	\
	} while (0)
#define kmk_invalidate_lock(mapping) ((struct rw_semaphore *)(mapping)->private_data)
#define filemap_invalidate_lock(mapping)		down_write(kmk_invalidate_lock(mapping))
#define filemap_invalidate_unlock(mapping)		up_write(kmk_invalidate_lock(mapping))
#define filemap_invalidate_lock_shared(mapping)		down_read(kmk_invalidate_lock(mapping))
#define filemap_invalidate_unlock_shared(mapping)	up_read(kmk_invalidate_lock(mapping))
#else
#define KMK_INVALIDATE_LOCK
#define kmk_invalidate_lock(mapping) (&(mapping)->invalidate_lock)
#define kmk_init_invalidate_lock(mapping, container) do { } while (0)
#endif

/* 5.16 to 6.0: pages became folios. Before, the page cache has them of one page only. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 16, 0)
#include <linux/highmem.h>
#include <linux/migrate.h>

struct folio {
	union {
		struct {
			unsigned long flags;
			struct list_head lru;
			struct address_space *mapping;
			pgoff_t index;
		};
		struct page page;
	};
};

static_assert(offsetof(struct folio, mapping) == offsetof(struct page, mapping));
static_assert(offsetof(struct folio, index) == offsetof(struct page, index));

static inline struct folio *filemap_get_folio(struct address_space *mapping, pgoff_t index)
{
	return (struct folio *)find_get_page(mapping, index);
}

static inline struct folio *folio_alloc(gfp_t gfp, unsigned int order)
{
	return (struct folio *)alloc_pages(gfp, order);
}

static inline int filemap_add_folio(struct address_space *mapping, struct folio *folio,
				    pgoff_t index, gfp_t gfp)
{
	return add_to_page_cache_lru(&folio->page, mapping, index, gfp);
}

static inline void folio_zero_segments(struct folio *folio, size_t start1, size_t end1,
				       size_t start2, size_t end2)
{
	zero_user_segments(&folio->page, start1, end1, start2, end2);
}

#define folio_put(folio)			put_page(&(folio)->page)
#define folio_lock(folio)			lock_page(&(folio)->page)
#define folio_unlock(folio)			unlock_page(&(folio)->page)
#define __folio_mark_uptodate(folio)		__SetPageUptodate(&(folio)->page)
#define folio_set_dirty(folio)			SetPageDirty(&(folio)->page)
#define folio_mkclean(folio)			page_mkclean(&(folio)->page)
#define folio_test_large(folio)			false
#define folio_nr_pages(folio)			1L
#define folio_size(folio)			PAGE_SIZE
#define folio_pos(folio)			page_offset(&(folio)->page)
#define folio_next_index(folio)			((folio)->index + 1)
#define folio_contains(folio, i)		((folio)->index == (i))
#define folio_page(folio, n)			(&(folio)->page + (n))
#define page_folio(page)			((struct folio *)(page))
#define folio_address(folio)			page_address(&(folio)->page)
#define folio_file_page(folio, i)		(&(folio)->page)
#define offset_in_folio(folio, pos)		offset_in_page(pos)
#define folio_zero_segment(folio, start, end)	folio_zero_segments(folio, start, end, 0, 0)
#define folio_zero_range(folio, start, size)	zero_user(&(folio)->page, start, size)
#define flush_dcache_folio(folio)		flush_dcache_page(&(folio)->page)
#define copy_folio_to_iter(folio, offset, bytes, to)	\
	copy_page_to_iter(&(folio)->page, offset, bytes, to)
#define mapping_set_large_folios(mapping)	do { } while (0)
#define mapping_large_folio_support(mapping)	false
#endif

/* 5.18 and 6.0: address space operations take folios. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 18, 0)
static inline int kmk_noop_set_page_dirty(struct page *page)
{
	return !PageDirty(page) && !TestSetPageDirty(page);
}

#define dirty_folio				set_page_dirty
#define noop_dirty_folio			kmk_noop_set_page_dirty
#endif
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 0, 0)
#define migrate_folio				migratepage
#define filemap_migrate_folio			migrate_page
#endif

/* 6.12: copy_folio_from_iter() */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
static inline size_t copy_folio_from_iter(struct folio *folio, size_t offset, size_t bytes,
					  struct iov_iter *from)
{
	return copy_page_from_iter(&folio->page, offset, bytes, from);
}
#endif

#endif /* _KMK_COMPAT_H */
