// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_ramfs: extended attributes and security labels. See cramfs.h.
 *
 * Each inode has a tree of attributes, sorted by name. An attribute is never
 * modified: setting one replaces it. A writer holds i_rwsem, unless the inode is
 * new and nobody else knows it, and changes the tree under i_lock; a reader holds
 * i_lock. CRAMFS_MAX_XATTRS bounds how long listxattr() holds it.
 *
 * The bytes of all attributes of an inode, ACLs included, are charged to the size
 * of the mount, rounded up to whole pages.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/xattr.h>

#include "cramfs.h"

/* Attributes of an inode; with the largest values their bytes still fit into 32 bits. */
#define CRAMFS_MAX_XATTRS	16384

struct cramfs_xattr {
	struct rb_node node;
	u32 name_size;		/* including the NUL */
	u32 size;
	char name[];		/* the full name; the value follows it */
};

static char *cramfs_xattr_value(struct cramfs_xattr *xattr)
{
	return xattr->name + xattr->name_size;
}

/* The bytes that an attribute, or none, is charged with. */
static size_t cramfs_xattr_cost(const struct cramfs_xattr *xattr)
{
	return xattr ? sizeof(*xattr) + xattr->name_size + xattr->size : 0;
}

/*
 * Charge @delta more bytes to the attributes of @inode, fewer if it is negative.
 * Returns -ENOSPC if that takes more pages than the mount has left.
 */
int cramfs_charge_xattr(struct inode *inode, ssize_t delta)
{
	struct cramfs_inode *ci = CRAMFS_I(inode);
	struct cramfs_limit *pages = &CRAMFS_SB(inode->i_sb)->pages;
	u32 bytes = ci->xattr_bytes + delta;
	long more = (long)DIV_ROUND_UP(bytes, PAGE_SIZE) -
		    (long)DIV_ROUND_UP(ci->xattr_bytes, PAGE_SIZE);

	cramfs_assert_changeable(inode);
	if (more > 0 && !cramfs_charge(pages, more))
		return -ENOSPC;
	if (more < 0)
		cramfs_uncharge(pages, -more);
	ci->xattr_bytes = bytes;
	/* getattr reads it without the lock */
	WRITE_ONCE(inode->i_blocks, inode->i_blocks + more * (long)CRAMFS_SECTORS_PER_PAGE);
	return 0;
}

/* The full name is @prefix and @name together. */
static struct cramfs_xattr *cramfs_new_xattr(const char *prefix, const char *name,
					     const void *value, size_t size)
{
	size_t prefix_size = strlen(prefix), name_size = strlen(name) + 1;
	struct cramfs_xattr *xattr;

	/* the VFS limits the value to 64 KiB and the name to 255 bytes */
	xattr = kvmalloc(sizeof(*xattr) + prefix_size + name_size + size, GFP_KERNEL_ACCOUNT);
	if (!xattr)
		return NULL;
	xattr->name_size = prefix_size + name_size;
	xattr->size = size;
	memcpy(xattr->name, prefix, prefix_size);
	memcpy(xattr->name + prefix_size, name, name_size);
	memcpy(cramfs_xattr_value(xattr), value, size);
	return xattr;
}

/*
 * The link of the tree that leads to the attribute with the full name @name, or the
 * empty one where it belongs, below @parent.
 */
static struct rb_node **cramfs_find_xattr(struct inode *inode, const char *name,
					  struct rb_node **parent)
{
	struct rb_node **link = &CRAMFS_I(inode)->xattrs.rb_node;
	int order;

	*parent = NULL;
	while (*link) {
		order = strcmp(name, rb_entry(*link, struct cramfs_xattr, node)->name);
		if (!order)
			break;
		*parent = *link;
		link = order < 0 ? &(*link)->rb_left : &(*link)->rb_right;
	}
	return link;
}

/* xattr_full_name() without its strlen(): see CRAMFS_XATTR_HANDLER(). */
static const char *cramfs_full_name(const struct xattr_handler *handler, const char *name)
{
	return name - handler->flags;
}

static int cramfs_xattr_get(const struct xattr_handler *handler, struct dentry *dentry,
			    struct inode *inode, const char *name, void *buffer, size_t size)
{
	struct cramfs_xattr *xattr;
	struct rb_node *parent;
	int ret = -ENODATA;

	/* the VFS asks most files for security.capability, and few have attributes */
	if (!READ_ONCE(CRAMFS_I(inode)->nr_xattrs))
		return ret;
	name = cramfs_full_name(handler, name);
	spin_lock(&inode->i_lock);
	xattr = rb_entry_safe(*cramfs_find_xattr(inode, name, &parent), struct cramfs_xattr, node);
	if (xattr) {
		ret = xattr->size;
		if (buffer && size < xattr->size)
			ret = -ERANGE;
		else if (buffer)
			memcpy(buffer, cramfs_xattr_value(xattr), xattr->size);
	}
	spin_unlock(&inode->i_lock);
	return ret;
}

/* Replace what @link, found below @parent, leads to: either that or @new may be NULL. */
static int cramfs_replace_xattr(struct inode *inode, struct rb_node *parent,
				struct rb_node **link, struct cramfs_xattr *new)
{
	struct cramfs_xattr *old = rb_entry_safe(*link, struct cramfs_xattr, node);
	struct cramfs_inode *ci = CRAMFS_I(inode);
	int err;

	if (!old && ci->nr_xattrs == CRAMFS_MAX_XATTRS)
		return -ENOSPC;
	err = cramfs_charge_xattr(inode, cramfs_xattr_cost(new) - cramfs_xattr_cost(old));
	if (err)
		return err;
	/* cramfs_xattr_get() reads it without the lock */
	WRITE_ONCE(ci->nr_xattrs, ci->nr_xattrs + !!new - !!old);
	spin_lock(&inode->i_lock);
	if (!new) {
		rb_erase(&old->node, &ci->xattrs);
	} else if (old) {
		rb_replace_node(&old->node, &new->node, &ci->xattrs);
	} else {
		rb_link_node(&new->node, parent, link);
		rb_insert_color(&new->node, &ci->xattrs);
	}
	spin_unlock(&inode->i_lock);
	kvfree(old);
	return 0;
}

/* A NULL @value removes the attribute. */
static int cramfs_xattr_set(const struct xattr_handler *handler, struct mnt_idmap *idmap,
			    struct dentry *dentry, struct inode *inode, const char *name,
			    const void *value, size_t size, int flags)
{
	struct cramfs_xattr *new = NULL;
	struct rb_node *parent, **link;
	int err;

	cramfs_assert_changeable(inode);
	link = cramfs_find_xattr(inode, cramfs_full_name(handler, name), &parent);
	if (*link && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!*link && ((flags & XATTR_REPLACE) || !value))
		return -ENODATA;
	if (value) {
		new = cramfs_new_xattr(handler->prefix, name, value, size);
		if (!new)
			return -ENOMEM;
	}
	err = cramfs_replace_xattr(inode, parent, link, new);
	if (err) {
		kvfree(new);
		return err;
	}
	cramfs_touch(inode);
	return 0;
}

KMK_INODE_OP(xattr_set, cramfs_xattr_set);

#define CRAMFS_XATTR_HANDLER(class)			\
	{							\
		.prefix = (class),				\
		.flags = sizeof(class) - 1,			\
		.get = cramfs_xattr_get,			\
		.set = kmk_op(xattr_set, cramfs_xattr_set),	\
	}

static const struct xattr_handler cramfs_security_handler =
	CRAMFS_XATTR_HANDLER(XATTR_SECURITY_PREFIX);
static const struct xattr_handler cramfs_trusted_handler =
	CRAMFS_XATTR_HANDLER(XATTR_TRUSTED_PREFIX);
static const struct xattr_handler cramfs_user_handler =
	CRAMFS_XATTR_HANDLER(XATTR_USER_PREFIX);

const struct xattr_handler *cramfs_xattr_handlers[] = {
	KMK_POSIX_ACL_XATTR_HANDLERS
	&cramfs_security_handler,
	&cramfs_trusted_handler,
	&cramfs_user_handler,
	NULL
};

/* Append @name, which takes @name_size bytes; without a buffer only count them. */
static int cramfs_list_name(const char *name, size_t name_size, char **buffer, size_t *left,
			    ssize_t *total)
{
	*total += name_size;
	if (!*buffer)
		return 0;
	if (*left < name_size)
		return -ERANGE;
	memcpy(*buffer, name, name_size);
	*buffer += name_size;
	*left -= name_size;
	return 0;
}

ssize_t cramfs_listxattr(struct dentry *dentry, char *buffer, size_t size)
{
	struct inode *inode = d_inode(dentry);
	struct cramfs_xattr *xattr;
	struct rb_node *node;
	ssize_t total = 0;
	bool trusted;
	int err = 0;

	if (cramfs_has_acl(inode, ACL_TYPE_ACCESS))
		err = cramfs_list_name(XATTR_NAME_POSIX_ACL_ACCESS,
				       sizeof(XATTR_NAME_POSIX_ACL_ACCESS), &buffer, &size,
				       &total);
	if (!err && cramfs_has_acl(inode, ACL_TYPE_DEFAULT))
		err = cramfs_list_name(XATTR_NAME_POSIX_ACL_DEFAULT,
				       sizeof(XATTR_NAME_POSIX_ACL_DEFAULT), &buffer, &size,
				       &total);

	trusted = ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN);
	spin_lock(&inode->i_lock);
	for (node = rb_first(&CRAMFS_I(inode)->xattrs); node && !err; node = rb_next(node)) {
		xattr = rb_entry(node, struct cramfs_xattr, node);
		/* hide even the names of trusted ones from others */
		if (trusted || strncmp(xattr->name, XATTR_TRUSTED_PREFIX, XATTR_TRUSTED_PREFIX_LEN))
			err = cramfs_list_name(xattr->name, xattr->name_size, &buffer, &size,
					       &total);
	}
	spin_unlock(&inode->i_lock);
	return err ?: total;
}

static noinline int cramfs_add_label(struct inode *inode, const struct xattr *label)
{
	struct rb_node *parent, **link;
	struct cramfs_xattr *new;
	int err;

	new = cramfs_new_xattr(XATTR_SECURITY_PREFIX, label->name, label->value,
			       label->value_len);
	if (!new)
		return -ENOMEM;
	link = cramfs_find_xattr(inode, new->name, &parent);
	err = cramfs_replace_xattr(inode, parent, link, new);
	if (err)
		kvfree(new);
	return err;
}

/* The labels that the security modules give to a new inode. */
static int cramfs_add_labels(struct inode *inode, const struct xattr *labels, void *data)
{
	int err = 0;

	for (; labels->name && !err; labels++)
		err = cramfs_add_label(inode, labels);
	return err;
}

int cramfs_init_security(struct inode *inode, struct inode *dir, const struct qstr *name)
{
	int err = security_inode_init_security(inode, dir, name, cramfs_add_labels, NULL);

	return err == -EOPNOTSUPP ? 0 : err;
}

/* At eviction of @inode, when there are no readers left. */
void cramfs_free_xattrs(struct inode *inode)
{
	struct cramfs_xattr *xattr, *next;

	rbtree_postorder_for_each_entry_safe(xattr, next, &CRAMFS_I(inode)->xattrs, node) {
		kvfree(xattr);
		cond_resched();
	}
}
