/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kmk_ramfs - a file system in RAM, type "cramfs", with limits
 *
 * As in ramfs, the VFS caches are the data: a name is a pinned dentry, a
 * file's contents are its page cache. What is added:
 *
 * - limits: every page and every inode is taken from a cramfs_limit before it
 *   is used and given back after it is gone (super.c);
 * - pages come into a file only through file.c, whole, uptodate and dirty, and
 *   leave it only by truncation, so mapping->nrpages is what the file costs;
 * - a directory keeps an index from stable offsets to its dentries (dir.c);
 * - extended attributes and ACLs (xattr.c, acl.c), charged in pages to i_blocks,
 *   as long symbolic links are.
 *
 * Locks, outermost first; none is our own but a small one in export.c:
 *   s_umount (write)      changes of the limits (remount)
 *   i_rwsem of directory  its index; its names
 *   i_rwsem of file       size; pages added by write; all removal of pages;
 *                         attributes, which RCU lets others read
 *   invalidate_lock       read: pages added by a fault, or mapped to be written;
 *                         write: their removal, and a sync
 * With both of the last held for writing nobody adds pages, so the difference
 * in nrpages around a truncation is exactly what it freed.
 *
 * Everything runs in process context and may sleep, but for cramfs_free_inode(),
 * which RCU calls.
 */
#ifndef _CRAMFS_H
#define _CRAMFS_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/pagemap.h>
#include <linux/xarray.h>

#include <kmk/compat.h>

/* No limit: more than can be used. */
#define CRAMFS_UNLIMITED	S64_MAX

/* A symbolic link shorter than this is stored in its inode, which is no larger than tmpfs's. */
#define CRAMFS_INLINE_LINK	(BITS_PER_LONG == 64 ? 56 : 48)

/* i_blocks counts in these, whatever the device */
#define CRAMFS_SECTORS_PER_PAGE	(PAGE_SIZE / 512)

/* What is left is one number, so that taking is exact among any takers. */
struct cramfs_limit {
	atomic64_t left;
	s64 max;		/* changed under s_umount, read without */
	bool track;		/* option debug: keep the high-water mark */
	atomic64_t high;
};

void cramfs_note_high(struct cramfs_limit *limit, s64 used);

static inline s64 cramfs_used(const struct cramfs_limit *limit)
{
	return READ_ONCE(limit->max) - atomic64_read(&limit->left);
}

/* Make what is left @n less, if there is as much; @left is what it was. */
static inline bool __must_check cramfs_reduce(struct cramfs_limit *limit, s64 n, s64 *left)
{
	*left = atomic64_read(&limit->left);
	do {
		if (*left < n)
			return false;
	} while (!atomic64_try_cmpxchg(&limit->left, left, *left - n));
	return true;
}

static inline bool __must_check cramfs_take(struct cramfs_limit *limit, s64 n)
{
	s64 left;

	if (!cramfs_reduce(limit, n, &left))
		return false;
	if (unlikely(limit->track))
		cramfs_note_high(limit, READ_ONCE(limit->max) - (left - n));
	return true;
}

static inline void cramfs_give(struct cramfs_limit *limit, s64 n)
{
	atomic64_add(n, &limit->left);
}

struct cramfs_options {
	kuid_t uid;
	kgid_t gid;
	umode_t mode;
	s64 pages;
	s64 inodes;
	bool debug;
	unsigned long given;	/* bit per enum cramfs_param */
};

struct cramfs_sb {
	struct cramfs_limit pages;
	struct cramfs_limit inodes;
	atomic64_t last_ino;
	u32 generation;		/* tells our file handles from another mount's */
	struct dentry *debug;	/* directory in debugfs */
	struct cramfs_options options;
	struct cramfs_options defaults;
};

struct cramfs_chunk;

struct cramfs_dir {
	struct xarray chunks;		/* by offset / CRAMFS_CHUNK_SLOTS */
	struct cramfs_chunk *tail;	/* where the next entry goes */
	unsigned long last;		/* the highest offset ever used; open() takes no lock */
	unsigned long entries;
};

struct cramfs_inode {
	union {
		struct cramfs_dir dir __guarded_by(&vfs_inode.i_rwsem);
		char link[CRAMFS_INLINE_LINK];
		struct {		/* a file's */
			/* the end of the file, or NULL: see file.c */
			struct folio *straddling __guarded_by(&vfs_inode.i_rwsem);
			KMK_INVALIDATE_LOCK
		};
	};
	struct hlist_head xattrs;	/* changed under i_rwsem, read under RCU */
	size_t xattr_bytes __guarded_by(&vfs_inode.i_rwsem);	/* with those of the ACLs */
	struct timespec64 btime;
	struct inode vfs_inode;
};

static inline struct cramfs_inode *CRAMFS_I(const struct inode *inode)
{
	return container_of(inode, struct cramfs_inode, vfs_inode);
}

/*
 * Whoever changes the attributes of an inode holds its i_rwsem, or has a new one: no dentry
 * leads to it yet.
 */
static inline void cramfs_assert_changeable(const struct inode *inode)
{
	lockdep_assert(lockdep_is_held(&inode->i_rwsem) || hlist_empty(&inode->i_dentry));
}

static inline struct cramfs_sb *CRAMFS_SB(const struct super_block *sb)
{
	return sb->s_fs_info;
}

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
int cramfs_init_inode_cache(void);
void cramfs_destroy_inode_cache(void);

/* file.c */
void cramfs_truncate(struct inode *inode, loff_t size) __must_hold(&inode->i_rwsem);
extern const struct address_space_operations cramfs_aops;
extern const struct file_operations cramfs_file_operations;
extern const struct inode_operations cramfs_file_inode_operations;

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
