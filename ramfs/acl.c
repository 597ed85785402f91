// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_ramfs: POSIX access control lists. See cramfs.h.
 *
 * They live where other file systems cache them, in the inode; a new inode has
 * none, so the VFS never asks for one.
 */
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include "cramfs.h"

static size_t acl_cost(const struct posix_acl *acl)
{
	return acl ? posix_acl_xattr_size(acl->a_count) : 0;
}

/* Whoever changes it holds i_rwsem, or has an inode that nobody else knows yet. */
static const struct posix_acl *acl_of(const struct inode *inode, int type)
{
	if (type == ACL_TYPE_ACCESS)
		return rcu_dereference_raw(inode->i_acl);
	return rcu_dereference_raw(inode->i_default_acl);
}

bool cramfs_has_acl(const struct inode *inode, int type)
{
	return acl_of(inode, type);
}

static int replace_acl(struct inode *inode, int type, struct posix_acl *acl)
{
	ssize_t delta = acl_cost(acl) - acl_cost(acl_of(inode, type));
	int err = cramfs_charge_xattr(inode, delta);

	if (!err)
		set_cached_acl(inode, type, acl);
	return err;
}

int cramfs_set_acl(struct mnt_idmap *idmap, struct dentry *dentry, struct posix_acl *acl, int type)
{
	struct inode *inode = d_inode(dentry);
	umode_t mode = inode->i_mode;
	int err;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (acl && type == ACL_TYPE_ACCESS) {
		/* one that says no more than the mode becomes the mode */
		err = posix_acl_update_mode(idmap, inode, &mode, &acl);
		if (err)
			return err;
	}
	err = replace_acl(inode, type, acl);
	if (err)
		return err;
	inode->i_mode = mode;
	inode_set_ctime_current(inode);
	return 0;
}

/* What a new inode inherits from @dir; where that has no default ACL, the umask counts. */
static noinline int inherit_acl(struct inode *inode, struct inode *dir)
{
	struct posix_acl *default_acl, *acl;
	int err;

	err = posix_acl_create(dir, &inode->i_mode, &default_acl, &acl);
	if (err)
		return err;
	if (default_acl)
		err = replace_acl(inode, ACL_TYPE_DEFAULT, default_acl);
	if (!err && acl)
		err = replace_acl(inode, ACL_TYPE_ACCESS, acl);
	posix_acl_release(default_acl);
	posix_acl_release(acl);
	return err;
}

int cramfs_init_acl(struct inode *inode, struct inode *dir)
{
	cache_no_acl(inode);
	if (!dir || S_ISLNK(inode->i_mode))
		return 0;
	if (unlikely(cramfs_has_acl(dir, ACL_TYPE_DEFAULT)))
		return inherit_acl(inode, dir);
	inode->i_mode &= ~current_umask();
	return 0;
}
