// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_ramfs: extended attributes and security labels. See cramfs.h.
 *
 * Each inode has a list of attributes that never change: setting one puts a new
 * one in its place. Writers hold the inode's i_rwsem, or have an inode that
 * nobody else knows yet; readers hold nothing but RCU. What they take is charged
 * to the size of the mount in whole pages per inode.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/rculist.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/xattr.h>

#include "cramfs.h"

struct cramfs_xattr {
	struct hlist_node node;
	struct rcu_head rcu;
	const char *name;	/* whole, behind the value */
	size_t size;
	char value[];
};

/* What an attribute is charged with. */
static size_t xattr_cost(const struct cramfs_xattr *xattr)
{
	return sizeof(*xattr) + xattr->size + strlen(xattr->name) + 1;
}

/*
 * Change what the attributes of @inode cost by @delta bytes; -ENOSPC when the
 * file system has no page left for them.
 */
int cramfs_charge_xattr(struct inode *inode, ssize_t delta)
{
	struct cramfs_inode *ci = CRAMFS_I(inode);
	struct cramfs_limit *pages = &CRAMFS_SB(inode->i_sb)->pages;
	size_t bytes = ci->xattr_bytes + delta;
	long more = (long)DIV_ROUND_UP(bytes, PAGE_SIZE) -
		    (long)DIV_ROUND_UP(ci->xattr_bytes, PAGE_SIZE);

	cramfs_assert_changeable(inode);
	if (more > 0 && !cramfs_take(pages, more))
		return -ENOSPC;
	if (more < 0)
		cramfs_give(pages, -more);
	ci->xattr_bytes = bytes;
	/* getattr reads it without the lock */
	WRITE_ONCE(inode->i_blocks, inode->i_blocks + more * (long)CRAMFS_SECTORS_PER_PAGE);
	return 0;
}

/* A new attribute; the name is @prefix and @name together. */
static struct cramfs_xattr *new_xattr(const char *prefix, const char *name, const void *value,
				      size_t size)
{
	size_t prefix_size = strlen(prefix), name_size = strlen(name) + 1;
	struct cramfs_xattr *xattr;
	char *whole;

	/* the VFS lets no more through than 64 KiB of value and 255 bytes of name */
	xattr = kvmalloc(sizeof(*xattr) + size + prefix_size + name_size, GFP_KERNEL_ACCOUNT);
	if (!xattr)
		return NULL;
	xattr->size = size;
	memcpy(xattr->value, value, size);
	whole = xattr->value + size;
	memcpy(whole, prefix, prefix_size);
	memcpy(whole + prefix_size, name, name_size);
	xattr->name = whole;
	return xattr;
}

static struct cramfs_xattr *find_xattr(const struct inode *inode, const char *prefix,
				       const char *name)
{
	size_t prefix_size = strlen(prefix);
	struct cramfs_xattr *xattr;

	hlist_for_each_entry_rcu(xattr, &CRAMFS_I(inode)->xattrs, node,
				 lockdep_is_held(&inode->i_rwsem))
		if (!strncmp(xattr->name, prefix, prefix_size) &&
		    !strcmp(xattr->name + prefix_size, name))
			return xattr;
	return NULL;
}

static int cramfs_xattr_get(const struct xattr_handler *handler, struct dentry *dentry,
			    struct inode *inode, const char *name, void *buffer, size_t size)
{
	struct cramfs_xattr *xattr;
	int ret = -ENODATA;

	rcu_read_lock();
	xattr = find_xattr(inode, handler->prefix, name);
	if (xattr) {
		ret = xattr->size;
		if (buffer && size < xattr->size)
			ret = -ERANGE;
		else if (buffer)
			memcpy(buffer, xattr->value, xattr->size);
	}
	rcu_read_unlock();
	return ret;
}

static int replace_xattr(struct inode *inode, struct cramfs_xattr *old, struct cramfs_xattr *new)
{
	ssize_t delta = (new ? xattr_cost(new) : 0) - (old ? xattr_cost(old) : 0);
	int err = cramfs_charge_xattr(inode, delta);

	if (err)
		return err;
	if (old && new)
		hlist_replace_rcu(&old->node, &new->node);
	else if (new)
		hlist_add_head_rcu(&new->node, &CRAMFS_I(inode)->xattrs);
	else if (old)
		hlist_del_rcu(&old->node);
	if (old)
		kvfree_rcu(old, rcu);
	return 0;
}

/* A NULL @value removes the attribute. */
static int cramfs_xattr_set(const struct xattr_handler *handler, struct mnt_idmap *idmap,
			    struct dentry *dentry, struct inode *inode, const char *name,
			    const void *value, size_t size, int flags)
{
	struct cramfs_xattr *old, *new = NULL;
	int err;

	cramfs_assert_changeable(inode);
	old = find_xattr(inode, handler->prefix, name);
	if (old && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!old && ((flags & XATTR_REPLACE) || !value))
		return -ENODATA;
	if (value) {
		new = new_xattr(handler->prefix, name, value, size);
		if (!new)
			return -ENOMEM;
	}
	err = replace_xattr(inode, old, new);
	if (err) {
		kvfree(new);
		return err;
	}
	inode_set_ctime_current(inode);
	return 0;
}

KMK_INODE_OP(xattr_set, cramfs_xattr_set);

static const struct xattr_handler user_handler = {
	.prefix = XATTR_USER_PREFIX,
	.get = cramfs_xattr_get,
	.set = kmk_op(xattr_set, cramfs_xattr_set),
};

static const struct xattr_handler trusted_handler = {
	.prefix = XATTR_TRUSTED_PREFIX,
	.get = cramfs_xattr_get,
	.set = kmk_op(xattr_set, cramfs_xattr_set),
};

static const struct xattr_handler security_handler = {
	.prefix = XATTR_SECURITY_PREFIX,
	.get = cramfs_xattr_get,
	.set = kmk_op(xattr_set, cramfs_xattr_set),
};

const struct xattr_handler *cramfs_xattr_handlers[] = {
	KMK_POSIX_ACL_XATTR_HANDLERS
	&user_handler,
	&trusted_handler,
	&security_handler,
	NULL
};

/* Add @name to the list, which may have no buffer: then only its size counts. */
static int list_name(const char *name, char **buffer, size_t *left, ssize_t *total)
{
	size_t size = strlen(name) + 1;

	*total += size;
	if (!*buffer)
		return 0;
	if (*left < size)
		return -ERANGE;
	memcpy(*buffer, name, size);
	*buffer += size;
	*left -= size;
	return 0;
}

ssize_t cramfs_listxattr(struct dentry *dentry, char *buffer, size_t size)
{
	struct inode *inode = d_inode(dentry);
	bool trusted = capable(CAP_SYS_ADMIN);
	struct cramfs_xattr *xattr;
	ssize_t total = 0;
	int err = 0;

	if (cramfs_has_acl(inode, ACL_TYPE_ACCESS))
		err = list_name(XATTR_NAME_POSIX_ACL_ACCESS, &buffer, &size, &total);
	if (!err && cramfs_has_acl(inode, ACL_TYPE_DEFAULT))
		err = list_name(XATTR_NAME_POSIX_ACL_DEFAULT, &buffer, &size, &total);

	rcu_read_lock();
	hlist_for_each_entry_rcu(xattr, &CRAMFS_I(inode)->xattrs, node) {
		if (err)
			break;
		/* trusted ones are not even named to others */
		if (!trusted && !strncmp(xattr->name, XATTR_TRUSTED_PREFIX,
					 XATTR_TRUSTED_PREFIX_LEN))
			continue;
		err = list_name(xattr->name, &buffer, &size, &total);
	}
	rcu_read_unlock();
	return err ?: total;
}

static noinline int add_label(struct inode *inode, const struct xattr *label)
{
	struct cramfs_xattr *new;
	int err;

	new = new_xattr(XATTR_SECURITY_PREFIX, label->name, label->value, label->value_len);
	if (!new)
		return -ENOMEM;
	err = replace_xattr(inode, NULL, new);
	if (err)
		kvfree(new);
	return err;
}

/* The labels that the security modules want on a new inode. */
static int add_labels(struct inode *inode, const struct xattr *labels, void *data)
{
	int err = 0;

	for (; labels->name && !err; labels++)
		err = add_label(inode, labels);
	return err;
}

int cramfs_init_security(struct inode *inode, struct inode *dir, const struct qstr *name)
{
	int err = security_inode_init_security(inode, dir, name, add_labels, NULL);

	return err == -EOPNOTSUPP ? 0 : err;
}

/* For an inode that is being evicted: nobody can look any more. */
void cramfs_free_xattrs(struct inode *inode)
{
	struct cramfs_xattr *xattr;
	struct hlist_node *next;

	hlist_for_each_entry_safe(xattr, next, &CRAMFS_I(inode)->xattrs, node)
		kvfree(xattr);
}
