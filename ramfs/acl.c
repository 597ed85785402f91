// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_ramfs: POSIX access control lists. See cramfs.h.
 *
 * The VFS's cache of ACLs in the inode is their only storage: it is filled for each
 * new inode, so that the VFS never has to call ->get_acl().
 */
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include "cramfs.h"

static size_t cramfs_acl_cost(const struct posix_acl *acl)
{
	return acl ? posix_acl_xattr_size(acl->a_count) : 0;
}

/* Without i_rwsem, and unless the inode is new, the result may only be compared with NULL. */
static const struct posix_acl *cramfs_acl_of(const struct inode *inode, int type)
{
	if (type == ACL_TYPE_ACCESS)
		return rcu_dereference_raw(inode->i_acl);
	return rcu_dereference_raw(inode->i_default_acl);
}

bool cramfs_has_acl(const struct inode *inode, int type)
{
	return cramfs_acl_of(inode, type);
}

/* The inode gets a copy: the VFS does not charge its own to the memory cgroup. */
static int cramfs_replace_acl(struct inode *inode, int type, const struct posix_acl *acl)
{
	ssize_t delta = cramfs_acl_cost(acl) - cramfs_acl_cost(cramfs_acl_of(inode, type));
	struct posix_acl *copy = NULL;
	int err;

	if (acl) {
		copy = posix_acl_alloc(acl->a_count, GFP_KERNEL_ACCOUNT);
		if (!copy)
			return -ENOMEM;
		memcpy(copy->a_entries, acl->a_entries, acl->a_count * sizeof(*acl->a_entries));
	}
	err = cramfs_charge_xattr(inode, delta);
	if (!err)
		set_cached_acl(inode, type, copy);
	posix_acl_release(copy);
	return err;
}

int cramfs_set_acl(struct mnt_idmap *idmap, struct dentry *dentry, struct posix_acl *acl, int type)
{
	struct inode *inode = d_inode(dentry);
	umode_t mode = inode->i_mode;
	int err;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (acl && type == ACL_TYPE_ACCESS) {
		/* sets @acl to NULL if the mode alone says the same */
		err = posix_acl_update_mode(idmap, inode, &mode, &acl);
		if (err)
			return err;
	}
	err = cramfs_replace_acl(inode, type, acl);
	if (err)
		return err;
	inode->i_mode = mode;
	cramfs_touch(inode);
	return 0;
}

/* Give @inode what it inherits from the default ACL of @dir. */
static noinline int cramfs_inherit_acl(struct inode *inode, struct inode *dir)
{
	struct posix_acl *default_acl, *acl;
	int err;

	err = posix_acl_create(dir, &inode->i_mode, &default_acl, &acl);
	if (err)
		return err;
	if (default_acl)
		err = cramfs_replace_acl(inode, ACL_TYPE_DEFAULT, default_acl);
	if (!err && acl)
		err = cramfs_replace_acl(inode, ACL_TYPE_ACCESS, acl);
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
		return cramfs_inherit_acl(inode, dir);
	inode->i_mode &= ~current_umask();
	return 0;
}
