/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one place that knows how kernels differ.
 *
 * The modules are written to the newest kernel's API; each entry here teaches
 * that API to older kernels, and says which kernel changed what. Dropping an
 * old kernel deletes entries and changes no module.
 *
 * The headers tell which of these this kernel has: by #ifdef where that will do, and else by
 * KMK_HAS_name from include/kmk/probe. The version does not, as stable kernels and
 * distributions bring newer parts to older kernels. For the same reason a function
 * here has a name of its own, and the kernel's name is a #define.
 */
#ifndef _KMK_COMPAT_H
#define _KMK_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 10, 0)
#error "kmodkit needs Linux 5.10 or newer"
#endif

#ifndef KMK_PROBED
#error "what the kernel has is not known: include kmk/flags.mk in the Kbuild"
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

#include <linux/interrupt.h>
#include <linux/irq_work.h>

/* 6.9: a handler without a thread that agrees to IRQF_ONESHOT; before, it asks for that itself. */
#ifndef IRQF_COND_ONESHOT
#define IRQF_COND_ONESHOT IRQF_ONESHOT
#endif

/* 6.14, and the newest of the stable kernels. Without it a compiler may clear the variable. */
#ifndef __uninitialized
#define __uninitialized
#endif

/* 5.11 added irq_check_status_bit(), and keeps irq_to_desc() from modules. */
#ifndef KMK_HAS_irq_check_status_bit
#define irq_check_status_bit(irq, mask) (irq_to_desc(irq)->status_use_accessors & (mask))
#endif

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

/* 6.4 added linux/hex.h, 7.0 took hex_byte_pack() out of linux/kernel.h. */
#ifdef KMK_HAS_linux_hex_h
#include <linux/hex.h>
#else
#include <linux/kernel.h>
#endif

/* Splice */

#include <linux/fs.h>

/* 6.5 replaced generic_file_splice_read() by copy_splice_read(). */
#ifndef KMK_HAS_copy_splice_read
#define copy_splice_read generic_file_splice_read
#endif

/* User memory */

/* 6.13 added copy_struct_to_user(). */
#ifndef KMK_HAS_copy_struct_to_user
#include <linux/uaccess.h>

static inline int kmk_copy_struct_to_user(void __user *to, size_t usize, const void *from,
					  size_t ksize)
{
	if (usize > ksize && clear_user(to + ksize, usize - ksize))
		return -EFAULT;
	return copy_to_user(to, from, min(usize, ksize)) ? -EFAULT : 0;
}

#define copy_struct_to_user(to, usize, from, ksize, ignored) \
	kmk_copy_struct_to_user(to, usize, from, ksize)
#endif

/* Memory maps */

/* 6.3 made the flags of a VMA read-only to all but vm_flags_mod() and its kind. */
#ifndef KMK_HAS_vm_flags_mod
#include <linux/mm.h>

#define vm_flags_mod(vma, set, clear) \
	((vma)->vm_flags = ((vma)->vm_flags | (set)) & ~(clear))
#endif

/* Timers */

/* 6.13 added hrtimer_setup(), which takes the function too; 6.15 ended hrtimer_init(). */
#ifndef KMK_HAS_hrtimer_setup
#include <linux/hrtimer.h>

static inline void kmk_hrtimer_setup(struct hrtimer *timer,
				     enum hrtimer_restart (*function)(struct hrtimer *),
				     clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}

#define hrtimer_setup kmk_hrtimer_setup
#endif

/* Scheduling */

#include <linux/sched.h>

/* 6.1 added it; the freezer of older kernels wakes a sleeper with a signal. */
#ifndef TASK_FREEZABLE
#define TASK_FREEZABLE 0
#endif

/* io_uring */

/* 5.19 added ->uring_cmd(); 6.3, and 6.1.22, gave io_uring_cmd_done() the flags. */
#if defined(KMK_HAS_uring_cmd) && defined(KMK_HAS_uring_done_flags)
#define KMK_HAVE_URING_CMD

/* 6.8 split struct io_uring_cmd off linux/io_uring.h. */
#ifdef KMK_HAS_linux_io_uring_cmd_h
#include <linux/io_uring/cmd.h>
#else
#include <linux/io_uring.h>
#endif

/* 6.4 replaced the pointer to the payload by one to the whole entry. */
#ifdef KMK_HAS_uring_cmd_sqe
#define kmk_uring_cmd_payload(ioucmd) ((const void *)(ioucmd)->sqe->cmd)
#else
#define kmk_uring_cmd_payload(ioucmd) ((ioucmd)->cmd)
#endif

/*
 * 6.7 lets a driver cancel commands when their ring or task goes. Before, a command that
 * waits asks each time that it has waited: the ring may be closed, the task may be in
 * execve(), or be the kernel's thread that polls the ring of a process which ends.
 */
#ifdef KMK_HAS_io_uring_cmd_mark_cancelable
#define kmk_uring_cmd_abandoned(ioucmd) false
#else
#include <linux/io_uring_types.h>
#include <linux/percpu-refcount.h>
#include <linux/sched/signal.h>

#define IO_URING_F_CANCEL 0
#define io_uring_cmd_mark_cancelable(ioucmd, issue_flags) do { } while (0)
#define kmk_uring_cmd_abandoned(ioucmd)						\
	(percpu_ref_is_dying(&cmd_to_io_kiocb(ioucmd)->ctx->refs) ||		\
	 current->in_execve || (current->signal->flags & SIGNAL_GROUP_EXIT))
#endif

/* 6.8: what a driver keeps in a command has a type. */
#ifndef io_uring_cmd_to_pdu
#define io_uring_cmd_to_pdu(ioucmd, type) ((type *)&(ioucmd)->pdu)
#endif

/*
 * 6.19 gave task work another type: KMK_URING_TASK_WORK(fn) after the function, which takes
 * the command and the issue flags, and kmk_uring_task_work(fn) where it is passed.
 */
#ifdef KMK_HAS_io_uring_cmd_from_tw
#define KMK_URING_TASK_WORK(fn)							\
	static void kmk_tw_##fn(struct io_tw_req req, io_tw_token_t token)	\
	{ fn(io_uring_cmd_from_tw(req), IO_URING_CMD_TASK_WORK_ISSUE_FLAGS); }	\
	static_assert(1)
#define kmk_uring_task_work(fn) kmk_tw_##fn
#else
#define KMK_URING_TASK_WORK(fn) static_assert(1)
#define kmk_uring_task_work(fn) fn
#endif

/* 6.18 dropped the second result. */
#ifdef KMK_HAS_uring_done_res2
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
#ifdef KMK_HAS_linux_filelock_h
#include <linux/filelock.h>
#endif

/* 6.14: readlink() takes the target and its length from the inode. */
#ifndef IOP_CACHED_LINK
#define inode_set_cached_link(inode, link, length) ((inode)->i_link = (link))
#endif

/* 5.12 gave the operations the user namespace of the mount, 6.3 a type of its own. */
#if !defined(KMK_HAS_idmap_ops) && !defined(KMK_HAS_user_ns_ops)
#define KMK_NO_MOUNT_OPS
struct mnt_idmap;
#define nop_mnt_idmap (*(struct mnt_idmap *)NULL)
#define FS_ALLOW_IDMAP 0
#define inode_init_owner(idmap, inode, dir, mode) inode_init_owner(inode, dir, mode)
#define setattr_prepare(idmap, dentry, attr) setattr_prepare(dentry, attr)
#define setattr_copy(idmap, inode, attr) setattr_copy(inode, attr)
#define posix_acl_update_mode(idmap, inode, mode, acl) posix_acl_update_mode(inode, mode, acl)
#define inode_owner_or_capable(idmap, inode) inode_owner_or_capable(inode)
#elif !defined(KMK_HAS_idmap_ops)
#define mnt_idmap user_namespace
#define nop_mnt_idmap init_user_ns
#endif

/* 6.6: generic_fillattr() takes the request mask. */
#ifdef KMK_NO_MOUNT_OPS
#define generic_fillattr(idmap, mask, inode, stat) generic_fillattr(inode, stat)
#elif !defined(KMK_HAS_fillattr_mask)
#define generic_fillattr(idmap, mask, inode, stat) generic_fillattr(idmap, inode, stat)
#endif

/* 5.18: inodes are allocated for a list_lru. */
#ifndef KMK_HAS_alloc_inode_sb
#define alloc_inode_sb(sb, cache, gfp) kmem_cache_alloc(cache, gfp)
#endif

/* 6.2: ACLs have system calls of their own inside the kernel, and need no xattr handler. */
#ifdef KMK_NO_MOUNT_OPS
#define posix_acl_chmod(idmap, dentry, mode) posix_acl_chmod(d_inode(dentry), mode)
#elif !defined(KMK_HAS_set_acl_dentry)
#define posix_acl_chmod(idmap, dentry, mode) posix_acl_chmod(idmap, d_inode(dentry), mode)
#endif
#if !defined(KMK_HAS_set_acl_dentry) && defined(CONFIG_FS_POSIX_ACL)
#define KMK_POSIX_ACL_XATTR_HANDLERS	\
	&posix_acl_access_xattr_handler,	\
	&posix_acl_default_xattr_handler,
#else
#define KMK_POSIX_ACL_XATTR_HANDLERS
#endif

/* 6.6 and 6.7: the times of an inode are set by functions. */
#ifndef KMK_HAS_inode_set_ctime_current
#define inode_set_ctime_current(inode) ((inode)->i_ctime = current_time(inode))
#endif

#ifndef KMK_HAS_inode_get_ctime
#define inode_get_ctime(inode) ((inode)->i_ctime)
#endif

#ifndef KMK_HAS_inode_set_ctime_to_ts
#define inode_set_ctime_to_ts(inode, ts) ((inode)->i_ctime = (ts))
#endif

#ifndef KMK_HAS_inode_set_mtime_to_ts
#define inode_set_mtime_to_ts(inode, ts) ((inode)->i_mtime = (ts))
#endif

#ifndef KMK_HAS_simple_inode_init_ts
static inline struct timespec64 kmk_simple_inode_init_ts(struct inode *inode)
{
	inode->i_mtime = inode_set_ctime_current(inode);
	inode->i_atime = inode->i_mtime;
	return inode->i_mtime;
}

#define simple_inode_init_ts kmk_simple_inode_init_ts
#endif

/* 6.13: timestamps that become exact when somebody looks. */
#ifndef FS_MGTIME
#define FS_MGTIME 0
#endif

/* 6.9: super_set_uuid() */
#ifndef KMK_HAS_super_set_uuid
#define super_set_uuid(sb, uuid, len) memcpy(&(sb)->s_uuid, uuid, len)
#endif

/*
 * 5.13 added ->fileattr_get() and ->fileattr_set() for inodes, 6.17 renamed their struct:
 * KMK_FILEATTR_OPS(fn) are the two in the table, fn_get() and fn_set(). Before, an ioctl()
 * of the file does both: see KMK_INODE_OP(fileattr_ioctl, fn).
 */
#ifdef KMK_HAS_fileattr_ops
#include <linux/fileattr.h>

#ifndef KMK_HAS_file_kattr
#define file_kattr fileattr
#endif
#define KMK_FILEATTR_OPS(fn) .fileattr_get = fn##_get, .fileattr_set = fn##_set,
#else
#include <linux/mount.h>

struct file_kattr {
	u32 flags;
};

#define fileattr_fill_flags(fa, value)	((fa)->flags = (value))
#define fileattr_has_fsx(fa)		false
#define KMK_FILEATTR_OPS(fn)

static inline long kmk_fileattr_ioctl(struct file *file, unsigned int cmd, int __user *arg,
				      int (*get)(struct dentry *dentry, struct file_kattr *fa),
				      int (*set)(struct mnt_idmap *idmap, struct dentry *dentry,
						 struct file_kattr *fa))
{
	struct inode *inode = file_inode(file);
	struct file_kattr old, new;
	int err;

	switch (cmd) {
	case FS_IOC_GETFLAGS:
	case FS_IOC32_GETFLAGS:
		get(file_dentry(file), &old);
		return put_user(old.flags, arg);
	case FS_IOC_SETFLAGS:
	case FS_IOC32_SETFLAGS:
		if (!inode_owner_or_capable(file_mnt_user_ns(file), inode))
			return -EPERM;
		if (get_user(new.flags, arg))
			return -EFAULT;
		err = mnt_want_write_file(file);
		if (err)
			return err;
		inode_lock(inode);
		get(file_dentry(file), &old);
		err = vfs_ioc_setflags_prepare(inode, old.flags, new.flags) ?:
		      set(NULL, file_dentry(file), &new);
		inode_unlock(inode);
		mnt_drop_write_file(file);
		return err;
	}
	return -ENOTTY;
}
#endif

/* 6.18: generic_delete_inode() got a new name. */
#ifndef KMK_HAS_inode_just_drop
#define inode_just_drop generic_delete_inode
#endif

/*
 * 6.19: a dentry that lives without a user is marked so; before, it had one
 * reference too many, which kill_litter_super() dropped in the end.
 */
#ifndef KMK_HAS_d_make_persistent
static inline struct dentry *kmk_d_make_persistent(struct dentry *dentry, struct inode *inode)
{
	if (d_unhashed(dentry))
		d_add(dentry, inode);
	else
		d_instantiate(dentry, inode);
	return dget(dentry);
}

/* The caller has another reference, so this one is never the last. */
static inline void kmk_d_make_discardable(struct dentry *dentry)
{
	if (lockref_put_return(&dentry->d_lockref) < 0)
		dput(dentry);
}

#define d_make_persistent kmk_d_make_persistent
#define d_make_discardable kmk_d_make_discardable
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

#ifdef KMK_NO_MOUNT_OPS
#define KMK_IDMAP_PARAM
#define KMK_IDMAP NULL
#else
#define KMK_IDMAP_PARAM struct mnt_idmap *idmap,
#define KMK_IDMAP idmap
#endif

#ifdef KMK_HAS_create_excl
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

#ifndef KMK_HAS_mkdir_dentry
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

#ifndef KMK_HAS_set_acl_dentry
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

#ifndef KMK_HAS_tmpfile_file
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

#ifndef KMK_HAS_fileattr_ops
#define KMK_OP_fileattr_ioctl(fn) kmk_##fn
#define KMK_INODE_OP_fileattr_ioctl(fn)						\
	static long kmk_##fn(struct file *file, unsigned int cmd,		\
			     unsigned long arg)					\
	{ return kmk_fileattr_ioctl(file, cmd, (int __user *)arg,		\
				    fn##_get, fn##_set); }			\
	static_assert(1)
#else
#define KMK_OP_fileattr_ioctl(fn) NULL
#define KMK_INODE_OP_fileattr_ioctl(fn) static_assert(1)
#endif

#ifdef KMK_NO_MOUNT_OPS
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
#ifndef KMK_HAS_map_pages_result
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

/*
 * 6.9: the largest folio that the page cache takes has a name for file systems. 6.10, and some
 * stable kernels, lowered it to what xas_split_alloc() can split: with pages of 64 KiB a huge
 * page is larger. Without huge pages, older kernels have no HPAGE_PMD_ORDER either.
 */
#ifndef MAX_XAS_ORDER
#undef MAX_PAGECACHE_ORDER
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
#define MAX_PAGECACHE_ORDER min_t(unsigned int, HPAGE_PMD_ORDER, 2 * XA_CHUNK_SHIFT - 1)
#else
#define MAX_PAGECACHE_ORDER 0
#endif
#endif

/* 5.16 to 6.0: pages became folios. Before, the page cache has them of one page only. */
#ifndef KMK_HAS_folio
#include <linux/highmem.h>

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

static inline struct folio *kmk_filemap_get_folio(struct address_space *mapping, pgoff_t index)
{
	return (struct folio *)find_get_page(mapping, index);
}

static inline struct folio *kmk_filemap_lock_folio(struct address_space *mapping, pgoff_t index)
{
	return (struct folio *)find_lock_page(mapping, index);
}

static inline struct folio *kmk_folio_alloc(gfp_t gfp, unsigned int order)
{
	return (struct folio *)alloc_pages(gfp, order);
}

static inline int kmk_filemap_add_folio(struct address_space *mapping, struct folio *folio,
					pgoff_t index, gfp_t gfp)
{
	return add_to_page_cache_lru(&folio->page, mapping, index, gfp);
}

static inline void kmk_folio_zero_segments(struct folio *folio, size_t start1, size_t end1,
					   size_t start2, size_t end2)
{
	zero_user_segments(&folio->page, start1, end1, start2, end2);
}

#define filemap_get_folio			kmk_filemap_get_folio
#define filemap_lock_folio			kmk_filemap_lock_folio
#define folio_alloc				kmk_folio_alloc
#define filemap_add_folio			kmk_filemap_add_folio
#define folio_zero_segments			kmk_folio_zero_segments
#define folio_put(folio)			put_page(&(folio)->page)
#define folio_lock(folio)			lock_page(&(folio)->page)
#define folio_unlock(folio)			unlock_page(&(folio)->page)
#define folio_get(folio)			get_page(&(folio)->page)
#define folio_mark_uptodate(folio)		SetPageUptodate(&(folio)->page)
#define folio_test_uptodate(folio)		PageUptodate(&(folio)->page)
#define folio_set_dirty(folio)			SetPageDirty(&(folio)->page)
#define folio_test_dirty(folio)			PageDirty(&(folio)->page)
#define folio_test_locked(folio)		PageLocked(&(folio)->page)
#define folio_test_hwpoison(folio)		PageHWPoison(&(folio)->page)
#define folio_test_has_hwpoisoned(folio)	false
#define folio_test_large(folio)			false
#define folio_nr_pages(folio)			1L
#define folio_size(folio)			PAGE_SIZE
#define folio_pos(folio)			page_offset(&(folio)->page)
#define folio_next_index(folio)			((folio)->index + 1)
#define folio_page(folio, n)			(&(folio)->page + (n))
#define page_folio(page)			((struct folio *)(page))
#define offset_in_folio(folio, pos)		offset_in_page(pos)
#define folio_zero_segment(folio, start, end)	folio_zero_segments(folio, start, end, 0, 0)
#define folio_zero_range(folio, start, size)	zero_user(&(folio)->page, start, size)
#define flush_dcache_folio(folio)		flush_dcache_page(&(folio)->page)
#define mapping_set_large_folios(mapping)	do { } while (0)
#define mapping_large_folio_support(mapping)	false
#endif

/*
 * 5.18: the page cache takes large folios. In 5.16 and 5.17 filemap_add_folio() inserts and counts
 * the first page of a folio only. folio_maybe_dma_pinned() came in the same release.
 */
#if defined(KMK_HAS_folio) && !defined(KMK_HAS_folio_maybe_dma_pinned)
#define mapping_set_large_folios(mapping)	do { } while (0)
#endif

/* 5.18: filemap_lock_folio() */
#if defined(KMK_HAS_folio) && !defined(KMK_HAS_filemap_lock_folio)
#define filemap_lock_folio(mapping, index) __filemap_get_folio(mapping, index, FGP_LOCK, 0)
#endif

/* 5.17: folio_address() and copy_folio_to_iter() */
#ifndef KMK_HAS_folio_address
#define folio_address(folio)	page_address(&(folio)->page)
#endif

#ifndef KMK_HAS_copy_folio_to_iter
#define copy_folio_to_iter(folio, offset, bytes, to)	\
	copy_page_to_iter(&(folio)->page, offset, bytes, to)
#endif

/*
 * 5.18: folio_maybe_dma_pinned(). Before, folio_contains() and folio_file_page() call
 * PageHeadHuge(), which is not exported; only hugetlbfs has folios of that kind.
 */
#ifndef KMK_HAS_folio_maybe_dma_pinned
#define folio_maybe_dma_pinned(folio)	page_maybe_dma_pinned(&(folio)->page)
#define folio_contains(folio, i)	((i) - (folio)->index < folio_nr_pages(folio))
#define folio_file_page(folio, i)	folio_page(folio, (i) - (folio)->index)
#endif

/* 5.18, 5.19, 6.0 and 6.8: address space operations take folios. */
#ifndef KMK_HAS_dirty_folio
static inline int kmk_noop_set_page_dirty(struct page *page)
{
	return !PageDirty(page) && !TestSetPageDirty(page);
}

#define dirty_folio				set_page_dirty
#define noop_dirty_folio			kmk_noop_set_page_dirty
#elif !defined(KMK_HAS_noop_dirty_folio)
/* RHEL 9.1 has the operation alone. */
static inline bool kmk_noop_dirty_folio(struct address_space *mapping, struct folio *folio)
{
	return !folio_test_dirty(folio) && !folio_test_set_dirty(folio);
}

#define noop_dirty_folio			kmk_noop_dirty_folio
#endif

#ifndef KMK_HAS_read_folio
#define read_folio readpage
#define KMK_OP_read_folio(fn) kmk_##fn
#define KMK_INODE_OP_read_folio(fn)						\
	static int kmk_##fn(struct file *file, struct page *page)		\
	{ return fn(file, page_folio(page)); }					\
	static_assert(1)
#else
#define KMK_OP_read_folio(fn) fn
#define KMK_INODE_OP_read_folio(fn) static_assert(1)
#endif

#ifndef KMK_HAS_migrate_folio
#include <linux/migrate.h>

#define migrate_folio migratepage
#define filemap_migrate_folio(mapping, dst, src, mode)				\
	migrate_page(mapping, &(dst)->page, &(src)->page, mode)
#define KMK_OP_migrate_folio(fn) kmk_##fn
#define KMK_INODE_OP_migrate_folio(fn)						\
	static int kmk_##fn(struct address_space *mapping, struct page *dst,	\
			    struct page *src, enum migrate_mode mode)		\
	{ return fn(mapping, page_folio(dst), page_folio(src), mode); }		\
	static_assert(1)
#else
#define KMK_OP_migrate_folio(fn) fn
#define KMK_INODE_OP_migrate_folio(fn) static_assert(1)
#endif

/* A kernel that migrates no pages never calls the operation. */
#ifndef CONFIG_MIGRATION
#undef filemap_migrate_folio
#define filemap_migrate_folio(mapping, dst, src, mode) (-EAGAIN)
#endif

#ifndef KMK_HAS_error_remove_folio
#define error_remove_folio error_remove_page
#define generic_error_remove_folio(mapping, folio)				\
	generic_error_remove_page(mapping, &(folio)->page)
#define KMK_OP_error_remove_folio(fn) kmk_##fn
#define KMK_INODE_OP_error_remove_folio(fn)					\
	static int kmk_##fn(struct address_space *mapping, struct page *page)	\
	{ return fn(mapping, page_folio(page)); }				\
	static_assert(1)
#else
#define KMK_OP_error_remove_folio(fn) fn
#define KMK_INODE_OP_error_remove_folio(fn) static_assert(1)
#endif

/* 5.15: a lock of each mapping. Before, one does for all: few hold it, and for writing fewer. */
#ifndef KMK_HAS_filemap_invalidate_lock
static inline struct rw_semaphore *kmk_invalidate_lock(void)
{
	static DECLARE_RWSEM(lock);

	return &lock;
}

#define filemap_invalidate_lock(mapping)		down_write(kmk_invalidate_lock())
#define filemap_invalidate_unlock(mapping)		up_write(kmk_invalidate_lock())
#define filemap_invalidate_lock_shared(mapping)		down_read(kmk_invalidate_lock())
#define filemap_invalidate_unlock_shared(mapping)	up_read(kmk_invalidate_lock())
#endif

/* 6.12: copy_folio_from_iter() */
#ifndef KMK_HAS_copy_folio_from_iter
#define copy_folio_from_iter(folio, offset, bytes, from)	\
	copy_page_from_iter(&(folio)->page, offset, bytes, from)
#endif

#endif /* _KMK_COMPAT_H */
