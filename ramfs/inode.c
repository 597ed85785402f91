// SPDX-License-Identifier: GPL-2.0
/* kmk_ramfs: inodes of every kind, symbolic links and attributes. See cramfs.h. */
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/posix_acl.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "cramfs.h"
#include "trace.h"

static struct kmem_cache *inode_cache;

struct inode *cramfs_alloc_inode(struct super_block *sb)
{
	struct cramfs_inode *ci = alloc_inode_sb(sb, inode_cache, GFP_KERNEL);

	return ci ? &ci->vfs_inode : NULL;
}

/* Not before a grace period: a path walk may still follow the link. */
void cramfs_free_inode(struct inode *inode)
{
	struct cramfs_inode *ci = CRAMFS_I(inode);

	if (S_ISLNK(inode->i_mode) && inode->i_link != ci->link)
		kfree(inode->i_link);
	kmem_cache_free(inode_cache, ci);
}

void cramfs_evict_inode(struct inode *inode)
{
	struct cramfs_sb *csb = CRAMFS_SB(inode->i_sb);
	/* i_blocks counts what is not in the page cache */
	unsigned long pages = inode->i_data.nrpages + inode->i_blocks / CRAMFS_SECTORS_PER_PAGE;

	trace_cramfs_evict_inode(inode);
	if (inode->i_data.nrpages)
		truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (pages)
		cramfs_give(&csb->pages, pages);
	if (S_ISDIR(inode->i_mode))
		cramfs_destroy_dir(inode);
	else if (S_ISREG(inode->i_mode) && CRAMFS_I(inode)->straddling)
		folio_put(CRAMFS_I(inode)->straddling);
	if (!hlist_empty(&CRAMFS_I(inode)->xattrs))
		cramfs_free_xattrs(inode);
	cramfs_give(&csb->inodes, 1);
}

int cramfs_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int err;

	err = setattr_prepare(idmap, dentry, attr);
	if (err)
		return err;
	/* the one step that can fail comes first */
	if (attr->ia_valid & ATTR_MODE) {
		err = posix_acl_chmod(idmap, dentry, attr->ia_mode);
		if (err)
			return err;
	}
	if (attr->ia_valid & ATTR_SIZE) {
		bool changes = attr->ia_size != inode->i_size;

		/* to the size that it has, too: fallocate() may have left pages beyond */
		cramfs_truncate(inode, attr->ia_size);
		/* truncate(2) leaves the times to us, ftruncate(2) gives them */
		if (changes && !(attr->ia_valid & (ATTR_MTIME | ATTR_CTIME)))
			inode_set_mtime_to_ts(inode, inode_set_ctime_current(inode));
	}
	setattr_copy(idmap, inode, attr);
	return 0;
}

int cramfs_getattr(struct mnt_idmap *idmap, const struct path *path, struct kstat *stat,
		   u32 mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);

	generic_fillattr(idmap, mask, inode, stat);
	stat->blocks += (u64)READ_ONCE(inode->i_data.nrpages) * CRAMFS_SECTORS_PER_PAGE;
	if (mask & STATX_BTIME) {
		stat->btime = CRAMFS_I(inode)->btime;
		stat->result_mask |= STATX_BTIME;
	}
	return 0;
}

KMK_INODE_OP(setattr, cramfs_setattr);
KMK_INODE_OP(getattr, cramfs_getattr);
KMK_INODE_OP(set_acl, cramfs_set_acl);

const struct inode_operations cramfs_file_inode_operations = {
	.setattr	= kmk_op(setattr, cramfs_setattr),
	.getattr	= kmk_op(getattr, cramfs_getattr),
	.set_acl	= kmk_op(set_acl, cramfs_set_acl),
	.listxattr	= cramfs_listxattr,
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
 * A new inode with one link, two if a directory, that is going to be @name in
 * @dir: -ENOSPC at a limit, -ENOMEM without memory, or what a security module
 * says. An O_TMPFILE has no name, the root no directory either; a symbolic link
 * has no target yet.
 */
struct inode *cramfs_new_inode(struct mnt_idmap *idmap, struct super_block *sb,
			       struct inode *dir, const struct qstr *name, umode_t mode,
			       dev_t dev)
{
	struct cramfs_sb *csb = CRAMFS_SB(sb);
	struct cramfs_inode *ci;
	struct inode *inode;
	int err;

	if (!cramfs_take(&csb->inodes, 1))
		return ERR_PTR(-ENOSPC);
	inode = new_inode(sb);
	if (!inode) {
		cramfs_give(&csb->inodes, 1);
		return ERR_PTR(-ENOMEM);
	}

	inode->i_ino = atomic64_inc_return(&csb->last_ino);
	inode->i_generation = csb->generation;
	inode_init_owner(idmap, inode, dir, mode);
	ci = CRAMFS_I(inode);
	ci->btime = simple_inode_init_ts(inode);
	INIT_HLIST_HEAD(&ci->xattrs);
	ci->xattr_bytes = 0;

	switch (mode & S_IFMT) {
	case S_IFREG:
		inode->i_op = &cramfs_file_inode_operations;
		inode->i_fop = &cramfs_file_operations;
		inode->i_mapping->a_ops = &cramfs_aops;
		mapping_set_unevictable(inode->i_mapping);
		mapping_set_large_folios(inode->i_mapping);
		kmk_init_invalidate_lock(inode->i_mapping, ci);
		ci->straddling = NULL;
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

/* A symbolic link to @target; a long one costs a page. */
struct inode *cramfs_new_link(struct mnt_idmap *idmap, struct inode *dir, const struct qstr *name,
			      const char *target)
{
	struct cramfs_sb *csb = CRAMFS_SB(dir->i_sb);
	size_t size = strlen(target) + 1;
	struct cramfs_inode *ci;
	struct inode *inode;

	inode = cramfs_new_inode(idmap, dir->i_sb, dir, name, S_IFLNK | 0777, 0);
	if (IS_ERR(inode))
		return inode;
	ci = CRAMFS_I(inode);

	if (size <= sizeof(ci->link)) {
		inode->i_link = memcpy(ci->link, target, size);
	} else {
		if (!cramfs_take(&csb->pages, 1)) {
			iput(inode);
			return ERR_PTR(-ENOSPC);
		}
		inode->i_blocks += CRAMFS_SECTORS_PER_PAGE;
		inode->i_link = kmemdup(target, size, GFP_KERNEL_ACCOUNT);
		if (!inode->i_link) {
			iput(inode);
			return ERR_PTR(-ENOMEM);
		}
	}
	inode->i_size = size - 1;
	return inode;
}

static void init_once(void *object)
{
	struct cramfs_inode *ci = object;

	inode_init_once(&ci->vfs_inode);
}

int cramfs_init_inode_cache(void)
{
	/* readlink() copies to the user out of the inode itself */
	inode_cache = kmem_cache_create_usercopy("kmk_ramfs_inode", sizeof(struct cramfs_inode), 0,
						 SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT,
						 offsetof(struct cramfs_inode, link),
						 sizeof_field(struct cramfs_inode, link),
						 init_once);
	return inode_cache ? 0 : -ENOMEM;
}

void cramfs_destroy_inode_cache(void)
{
	/* for the inodes that RCU has yet to free */
	rcu_barrier();
	kmem_cache_destroy(inode_cache);
}
