// SPDX-License-Identifier: GPL-2.0
/* kmk_ramfs: inodes of every kind, symbolic links and attributes. See cramfs.h. */
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/posix_acl.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "cramfs.h"
#include "trace.h"

static struct kmem_cache *cramfs_inode_cache;

struct inode *cramfs_alloc_inode(struct super_block *sb)
{
	struct cramfs_inode *ci = alloc_inode_sb(sb, cramfs_inode_cache, GFP_KERNEL);

	return ci ? &ci->vfs_inode : NULL;
}

/* Called after a grace period: until then an RCU path walk may follow the link. */
void cramfs_free_inode(struct inode *inode)
{
	struct cramfs_inode *ci = CRAMFS_I(inode);

	if (S_ISLNK(inode->i_mode) && inode->i_link != ci->link)
		kfree(inode->i_link);
	kmem_cache_free(cramfs_inode_cache, ci);
}

void cramfs_evict_inode(struct inode *inode)
{
	struct cramfs_sb *csb = CRAMFS_SB(inode->i_sb);
	/* i_blocks counts the pages outside of the page cache */
	unsigned long pages = inode->i_blocks / CRAMFS_SECTORS_PER_PAGE;

	trace_cramfs_evict_inode(inode);
	if (S_ISREG(inode->i_mode))
		cramfs_free_pages(inode);
	clear_inode(inode);
	if (pages)
		cramfs_uncharge(&csb->pages, pages);
	if (S_ISDIR(inode->i_mode))
		cramfs_destroy_dir(inode);
	if (!RB_EMPTY_ROOT(&CRAMFS_I(inode)->xattrs))
		cramfs_free_xattrs(inode);
	cramfs_uncharge(&csb->inodes, 1);
}

int cramfs_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int err;

	err = setattr_prepare(idmap, dentry, attr);
	if (err)
		return err;
	/*
	 * First the only step that can fail. It sets the permissions alone, and must not show
	 * the new ones beside setuid, setgid and sticky bits that will go.
	 */
	if (attr->ia_valid & ATTR_MODE) {
		umode_t mode = inode->i_mode;

		inode->i_mode &= attr->ia_mode | ~(S_ISUID | S_ISGID | S_ISVTX);
		err = posix_acl_chmod(idmap, dentry, attr->ia_mode);
		if (err) {
			inode->i_mode = mode;
			return err;
		}
	}
	if (attr->ia_valid & ATTR_SIZE) {
		/* truncate(2), unlike ftruncate(2), updates the times only if the size changes */
		if (attr->ia_size != inode->i_size)
			attr->ia_valid |= ATTR_MTIME | ATTR_CTIME;
		/* also to the present size: fallocate() may have reserved pages beyond it */
		cramfs_truncate(inode, attr->ia_size);
	}
	setattr_copy(idmap, inode, attr);
	if (attr->ia_valid & (ATTR_CTIME | ATTR_MODE))
		inode_maybe_inc_iversion(inode, false);
	return 0;
}

#define CRAMFS_ATTRIBUTES	(STATX_ATTR_APPEND | STATX_ATTR_IMMUTABLE | STATX_ATTR_NODUMP)
static_assert(CRAMFS_ATTRIBUTES == (FS_APPEND_FL | FS_IMMUTABLE_FL | FS_NODUMP_FL));

int cramfs_getattr(struct mnt_idmap *idmap, const struct path *path, struct kstat *stat,
		   u32 mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	u32 fsflags = READ_ONCE(CRAMFS_I(inode)->fsflags);

	generic_fillattr(idmap, mask, inode, stat);
	if (S_ISREG(inode->i_mode)) {
		stat->size = cramfs_eof(inode);
		stat->blocks += (u64)READ_ONCE(CRAMFS_I(inode)->charged) *
				CRAMFS_SECTORS_PER_PAGE;
	}
	/* these flags have the same bits there */
	stat->attributes |= fsflags & CRAMFS_ATTRIBUTES;
	stat->attributes_mask |= CRAMFS_ATTRIBUTES;
	if (mask & STATX_BTIME) {
		stat->btime = CRAMFS_I(inode)->btime;
		stat->result_mask |= STATX_BTIME;
	}
	return 0;
}

/* Flags of chattr(1) */

#define CRAMFS_FL_MODIFIABLE	(FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL)
#define CRAMFS_FL_INHERITED	(FS_NODUMP_FL | FS_NOATIME_FL)

static void cramfs_set_fsflags(struct inode *inode, u32 fsflags)
{
	unsigned int flags = 0;

	if (fsflags & FS_NOATIME_FL)
		flags |= S_NOATIME;
	if (fsflags & FS_APPEND_FL)
		flags |= S_APPEND;
	if (fsflags & FS_IMMUTABLE_FL)
		flags |= S_IMMUTABLE;
	inode_set_flags(inode, flags, S_NOATIME | S_APPEND | S_IMMUTABLE);
	/* getattr reads without the lock */
	WRITE_ONCE(CRAMFS_I(inode)->fsflags, fsflags);
}

int cramfs_fileattr_get(struct dentry *dentry, struct file_kattr *fa)
{
	fileattr_fill_flags(fa, READ_ONCE(CRAMFS_I(d_inode(dentry))->fsflags));
	return 0;
}

int cramfs_fileattr_set(struct mnt_idmap *idmap, struct dentry *dentry, struct file_kattr *fa)
{
	struct inode *inode = d_inode(dentry);

	lockdep_assert_held_write(&inode->i_rwsem);
	if (fileattr_has_fsx(fa) || fa->flags & ~CRAMFS_FL_MODIFIABLE)
		return -EOPNOTSUPP;
	cramfs_set_fsflags(inode, fa->flags);
	cramfs_touch(inode);
	return 0;
}

KMK_INODE_OP(setattr, cramfs_setattr);
KMK_INODE_OP(getattr, cramfs_getattr);
KMK_INODE_OP(set_acl, cramfs_set_acl);

static const struct inode_operations cramfs_file_inode_operations = {
	.setattr	= kmk_op(setattr, cramfs_setattr),
	.getattr	= kmk_op(getattr, cramfs_getattr),
	.set_acl	= kmk_op(set_acl, cramfs_set_acl),
	.listxattr	= cramfs_listxattr,
	KMK_FILEATTR_OPS(cramfs_fileattr)
};

static const struct inode_operations cramfs_special_inode_operations = {
	.setattr	= kmk_op(setattr, cramfs_setattr),
	.getattr	= kmk_op(getattr, cramfs_getattr),
	.set_acl	= kmk_op(set_acl, cramfs_set_acl),
	.listxattr	= cramfs_listxattr,
};

static const struct inode_operations cramfs_link_inode_operations = {
	.get_link	= simple_get_link,
	.setattr	= kmk_op(setattr, cramfs_setattr),
	.getattr	= kmk_op(getattr, cramfs_getattr),
	.listxattr	= cramfs_listxattr,
};

/*
 * A new inode with one link, or two if a directory, that is going to be @name in @dir. An
 * O_TMPFILE has no name, the root has no directory either, and a symbolic link has no target
 * yet. Fails with -ENOSPC at a limit, -ENOMEM, or the error of a security module.
 */
struct inode *cramfs_new_inode(struct mnt_idmap *idmap, struct super_block *sb,
			       struct inode *dir, const struct qstr *name, umode_t mode,
			       dev_t dev)
{
	struct cramfs_sb *csb = CRAMFS_SB(sb);
	struct cramfs_inode *ci;
	struct inode *inode;
	u64 number;
	int err;

	if (!cramfs_charge(&csb->inodes, 1))
		return ERR_PTR(-ENOSPC);
	inode = new_inode(sb);
	if (!inode) {
		cramfs_uncharge(&csb->inodes, 1);
		return ERR_PTR(-ENOMEM);
	}

	/* i_generation tells inodes apart whose i_ino has the same lower half of the number */
	number = cramfs_next_ino(csb);
	inode->i_ino = csb->ino32 ? lower_32_bits(number) : number;
	inode->i_generation = csb->generation + upper_32_bits(number);
	inode_init_owner(idmap, inode, dir, mode);
	ci = CRAMFS_I(inode);
	ci->btime = simple_inode_init_ts(inode);
	ci->xattrs = RB_ROOT;
	ci->xattr_bytes = 0;
	ci->nr_xattrs = 0;
	ci->fsflags = dir ? READ_ONCE(CRAMFS_I(dir)->fsflags) & CRAMFS_FL_INHERITED : 0;
	if (unlikely(ci->fsflags))
		cramfs_set_fsflags(inode, ci->fsflags);

	switch (mode & S_IFMT) {
	case S_IFREG:
		inode->i_op = &cramfs_file_inode_operations;
		cramfs_init_file(inode);
		break;
	case S_IFDIR:
		inode->i_op = &cramfs_dir_inode_operations;
		inode->i_fop = &cramfs_dir_operations;
		cramfs_init_dir(inode);
		inc_nlink(inode);
		break;
	case S_IFLNK:
		inode->i_op = &cramfs_link_inode_operations;
		break;
	default:
		inode->i_op = &cramfs_special_inode_operations;
		init_special_inode(inode, mode, dev);
	}

	err = cramfs_init_acl(inode, dir);
	if (!err && dir)
		err = cramfs_init_security(inode, dir, name);
	if (err) {
		iput(inode);
		return ERR_PTR(err);
	}
	trace_cramfs_new_inode(inode);
	return inode;
}

/* A symbolic link to @target. A long target is charged as a page. */
struct inode *cramfs_new_link(struct mnt_idmap *idmap, struct inode *dir, const struct qstr *name,
			      const char *target)
{
	struct cramfs_sb *csb = CRAMFS_SB(dir->i_sb);
	size_t size = strlen(target) + 1;
	struct cramfs_inode *ci;
	struct inode *inode;
	char *link;

	inode = cramfs_new_inode(idmap, dir->i_sb, dir, name, S_IFLNK | 0777, 0);
	if (IS_ERR(inode))
		return inode;
	ci = CRAMFS_I(inode);

	if (size <= sizeof(ci->link)) {
		link = memcpy(ci->link, target, size);
	} else {
		if (!cramfs_charge(&csb->pages, 1)) {
			iput(inode);
			return ERR_PTR(-ENOSPC);
		}
		inode->i_blocks += CRAMFS_SECTORS_PER_PAGE;
		link = kmemdup(target, size, GFP_KERNEL_ACCOUNT);
		if (!link) {
			iput(inode);
			return ERR_PTR(-ENOMEM);
		}
	}
	inode->i_size = size - 1;
	inode_set_cached_link(inode, link, size - 1);
	return inode;
}

static void cramfs_init_once(void *object)
{
	struct cramfs_inode *ci = object;

	inode_init_once(&ci->vfs_inode);
}

int cramfs_init_inode_cache(void)
{
	/*
	 * readlink() copies to the user from the inode. Names pin the inodes, so they are not
	 * accounted as reclaimable.
	 */
	cramfs_inode_cache = kmem_cache_create_usercopy("kmk_ramfs_inode",
							sizeof(struct cramfs_inode), 0,
							SLAB_ACCOUNT,
							offsetof(struct cramfs_inode, link),
							sizeof_field(struct cramfs_inode, link),
							cramfs_init_once);
	return cramfs_inode_cache ? 0 : -ENOMEM;
}

void cramfs_destroy_inode_cache(void)
{
	/* RCU may still have inodes to free */
	rcu_barrier();
	kmem_cache_destroy(cramfs_inode_cache);
}
