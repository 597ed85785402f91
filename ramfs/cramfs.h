/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kmk_ramfs - a file system in RAM, type "cramfs", with limits
 *
 * As in ramfs, the VFS caches are the data: a name is a pinned dentry, a
 * file's contents are its page cache. What is added:
 *
 * - limits: every page and every inode is charged to a cramfs_limit before it
 *   is used and uncharged after it is gone (limit.c);
 * - the pages of a file stay until they are truncated, whatever the kernel does
 *   with them meanwhile (file.c);
 * - a directory keeps an index from stable offsets to its dentries (dir.c);
 * - extended attributes and ACLs (xattr.c, acl.c), charged in pages to i_blocks,
 *   as long symbolic links are.
 *
 * Locks, outermost first; our own are the limit's and a small one in export.c:
 *   s_umount (write)      changes of the limits (remount)
 *   i_rwsem of directory  its index; its names
 *   i_rwsem of file       size; stores by system calls; removal of pages, but by memory
 *                         failure; attributes and ACLs
 *   invalidate lock       of the mapping: faults in holes against punches
 *   lock of a folio       its place in the file
 *   i_lock                how many pages of the file are charged; attributes, while they
 *                         are read or linked
 *   lock of a limit       what is free; innermost
 *
 * Everything runs in process context and may sleep, but for cramfs_free_inode(),
 * which RCU calls.
 */
#ifndef _CRAMFS_H
#define _CRAMFS_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/fs.h>
#include <linux/iversion.h>
#include <linux/limits.h>
#include <linux/pagemap.h>
#include <linux/percpu.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#include <kmk/compat.h>

/* No limit: more than can be used. */
#define CRAMFS_UNLIMITED	S64_MAX

/* A symbolic link shorter than this is stored in its inode, which is no larger than tmpfs's. */
#define CRAMFS_INLINE_LINK	(BITS_PER_LONG == 64 ? 56 : 48)

/* i_blocks counts in these, whatever the device */
#define CRAMFS_SECTORS_PER_PAGE	(PAGE_SIZE / 512)

/* A refill makes a CPU's credit this large; it holds at most twice as much. */
#define CRAMFS_BATCH		64

/*
 * Free units are in the pool or in the credits of the CPUs, whichever CPU is online: limit.c.
 * A credit that is closed holds CRAMFS_CLOSED, which no charge or uncharge below accepts.
 */
struct cramfs_limit {
	s64 max;			/* changed under s_umount and lock */
	s64 plenty;			/* credits open when the pool holds more */
	atomic64_t __percpu *credit;
	spinlock_t lock ____cacheline_aligned_in_smp;
	bool open __guarded_by(&lock);	/* the credits are */
	s64 pool __guarded_by(&lock);
	s64 high __guarded_by(&lock);	/* most units in use; option debug keeps it exact */
};

#define CRAMFS_CLOSED		S64_MIN

void cramfs_init_limit(struct cramfs_limit *limit, s64 max, atomic64_t __percpu *credit);
s64 cramfs_used(struct cramfs_limit *limit);
bool __must_check cramfs_charge_pool(struct cramfs_limit *limit, s64 n);
void cramfs_uncharge_pool(struct cramfs_limit *limit, s64 n);

static inline bool __must_check cramfs_charge(struct cramfs_limit *limit, s64 n)
{
	/* any CPU's will do, should the task migrate */
	atomic64_t *credit = raw_cpu_ptr(limit->credit);
	s64 free = atomic64_read(credit);

	return (free >= n && atomic64_try_cmpxchg(credit, &free, free - n)) ||
	       cramfs_charge_pool(limit, n);
}

static inline void cramfs_uncharge(struct cramfs_limit *limit, s64 n)
{
	atomic64_t *credit = raw_cpu_ptr(limit->credit);
	s64 free = atomic64_read(credit);

	/* unsigned, a closed credit is over the bound too */
	if ((u64)free + n > 2 * CRAMFS_BATCH || !atomic64_try_cmpxchg(credit, &free, free + n))
		cramfs_uncharge_pool(limit, n);
}

struct cramfs_options {
	kuid_t uid;
	kgid_t gid;
	umode_t mode;
	s64 pages;
	s64 inodes;
	bool ino32;
	bool large_folios;
	bool debug;
};

/* The part of a mount that each CPU has for itself. */
struct cramfs_cpu {
	atomic64_t pages;	/* credit of the limit */
	atomic64_t inodes;
	u64 next_ino;		/* in its batch, or where that ended */
};

/* Fields that no CPU writes to while it is mounted are apart from those that CPUs write. */
struct cramfs_sb {
	struct cramfs_cpu __percpu *cpus;
	bool ino32;		/* i_ino has the lower half of an inode's number */
	bool large_folios;
	u32 generation;		/* tells our file handles from another mount's */
	struct dentry *debug;	/* directory in debugfs */
	struct cramfs_options options;
	struct cramfs_options defaults;
	struct cramfs_limit pages;
	struct cramfs_limit inodes;
	atomic64_t next_ino ____cacheline_aligned_in_smp;	/* of the next batch */
};

struct cramfs_chunk;
struct cramfs_range;

struct cramfs_dir {
	struct xarray chunks;		/* by offset / CRAMFS_CHUNK_SLOTS */
	struct cramfs_chunk *tail;	/* where the next entry goes */
	unsigned long last;		/* the newest entry's offset; open() reads without lock */
	unsigned long entries;
};

struct cramfs_inode {
	union {
		struct cramfs_dir dir __guarded_by(&vfs_inode.i_rwsem);
		char link[CRAMFS_INLINE_LINK];
		struct {		/* a file's, see file.c */
			atomic64_t eof;		/* the size that users see; written as i_size is */
			unsigned int shrinks;	/* how often eof went down; the same */
			bool mapped;		/* shared, at any time */
			struct folio *tail __guarded_by(&vfs_inode.i_rwsem);
			unsigned long charged __guarded_by(&vfs_inode.i_lock);
			/* an fallocate() under way */
			struct cramfs_range *filling __guarded_by(&vfs_inode.i_lock);
			struct xarray lost;	/* by page: taken by memory failure */
		};
	};
	struct rb_root xattrs;		/* changed under i_rwsem and i_lock, read under either */
	u32 xattr_bytes __guarded_by(&vfs_inode.i_rwsem);	/* ACLs included */
	u32 nr_xattrs;			/* without ACLs; changed under i_rwsem, read without */
	struct timespec64 btime;
	u32 fsflags;			/* FS_*_FL; changed under i_rwsem, read without */
	struct inode vfs_inode;
};

static inline struct cramfs_inode *CRAMFS_I(const struct inode *inode)
{
	return container_of(inode, struct cramfs_inode, vfs_inode);
}

/*
 * A caller that changes the attributes of an inode holds its i_rwsem, or has a new inode, which
 * no dentry refers to.
 */
static inline void cramfs_assert_changeable(const struct inode *inode)
{
	lockdep_assert(lockdep_is_held(&inode->i_rwsem) || hlist_empty(&inode->i_dentry));
}

/* The size of a file that its users see. */
static inline loff_t cramfs_eof(const struct inode *inode)
{
	return atomic64_read_acquire(&CRAMFS_I(inode)->eof);
}

/*
 * Record a change of anything but the data, for which the VFS does so. The counter of changes
 * stays where nobody has read it since it last moved.
 */
static inline void cramfs_touch(struct inode *inode)
{
	inode_set_ctime_current(inode);
	inode_maybe_inc_iversion(inode, false);
}

static inline struct cramfs_sb *CRAMFS_SB(const struct super_block *sb)
{
	return sb->s_fs_info;
}

/* limit.c */
struct cramfs_limit * __must_check cramfs_change_limits(struct cramfs_sb *csb, s64 pages,
							s64 inodes);
u64 cramfs_next_ino(struct cramfs_sb *csb);

/* inode.c */
struct inode *cramfs_new_inode(struct mnt_idmap *idmap, struct super_block *sb,
			       struct inode *dir, const struct qstr *name, umode_t mode,
			       dev_t dev);
struct inode *cramfs_new_link(struct mnt_idmap *idmap, struct inode *dir, const struct qstr *name,
			      const char *target);
struct inode *cramfs_alloc_inode(struct super_block *sb);
void cramfs_free_inode(struct inode *inode);
void cramfs_evict_inode(struct inode *inode);
int cramfs_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr);
int cramfs_getattr(struct mnt_idmap *idmap, const struct path *path, struct kstat *stat,
		   u32 mask, unsigned int flags);
int cramfs_fileattr_get(struct dentry *dentry, struct file_kattr *fa);
int cramfs_fileattr_set(struct mnt_idmap *idmap, struct dentry *dentry, struct file_kattr *fa)
	__must_hold(&d_inode(dentry)->i_rwsem);
int cramfs_init_inode_cache(void);
void cramfs_destroy_inode_cache(void);

/* file.c */
void cramfs_init_file(struct inode *inode);
void cramfs_truncate(struct inode *inode, loff_t size) __must_hold(&inode->i_rwsem);
void cramfs_free_pages(struct inode *inode);
/* Memory failure has taken a page since the module was loaded. */
extern bool cramfs_memory_failed;

/* xattr.c */
int __must_check cramfs_charge_xattr(struct inode *inode, ssize_t delta);
ssize_t cramfs_listxattr(struct dentry *dentry, char *buffer, size_t size);
int cramfs_init_security(struct inode *inode, struct inode *dir, const struct qstr *name);
void cramfs_free_xattrs(struct inode *inode);
extern const struct xattr_handler *cramfs_xattr_handlers[];

/* acl.c */
#ifdef CONFIG_FS_POSIX_ACL
bool cramfs_has_acl(const struct inode *inode, int type);
int cramfs_set_acl(struct mnt_idmap *idmap, struct dentry *dentry, struct posix_acl *acl, int type)
	__must_hold(&d_inode(dentry)->i_rwsem);
int cramfs_init_acl(struct inode *inode, struct inode *dir);
#else
static inline int cramfs_set_acl(struct mnt_idmap *idmap, struct dentry *dentry,
				 struct posix_acl *acl, int type)
{
	return -EOPNOTSUPP;
}

static inline bool cramfs_has_acl(const struct inode *inode, int type)
{
	return false;
}

static inline int cramfs_init_acl(struct inode *inode, struct inode *dir)
{
	return 0;
}
#endif

/* export.c */
extern const struct export_operations cramfs_export_operations;

/* debug.c */
void cramfs_debug_mount(struct super_block *sb);
void cramfs_debug_umount(struct cramfs_sb *csb);
void cramfs_debug_init(void);
void cramfs_debug_exit(void);

/* dir.c */
void cramfs_init_dir(struct inode *inode);
void cramfs_destroy_dir(struct inode *inode);
extern const struct file_operations cramfs_dir_operations;
extern const struct inode_operations cramfs_dir_inode_operations;

#endif /* _CRAMFS_H */
