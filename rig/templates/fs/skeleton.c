// SPDX-License-Identifier: GPL-2.0
/*
 * skeleton: a file system for notes, in memory: one directory, files of at most 4096 bytes.
 *
 * Data:     each file's bytes, at inode->i_private; those behind its size are 0.
 * Locks:    the inode's own, as in any file system: readers share it, a caller that changes the
 *           file has it alone. The VFS holds the directory's over ->create and ->unlink.
 * Contexts: system calls alone; each may sleep. Nothing is mapped, so that no copy to user space
 *           can need a lock that is held.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "compat.h"

#define MOST_BYTES	4096
#define SKELETON_MAGIC	0x736b656c	/* TODO: one of your own, see linux/magic.h */

static ssize_t skeleton_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	size_t n = 0, copied = 0;

	inode_lock_shared(inode);
	if (iocb->ki_pos < i_size_read(inode)) {
		n = min_t(size_t, i_size_read(inode) - iocb->ki_pos, iov_iter_count(to));
		copied = copy_to_iter(inode->i_private + iocb->ki_pos, n, to);
	}
	inode_unlock_shared(inode);
	iocb->ki_pos += copied;
	return n && !copied ? -EFAULT : copied;
}

static ssize_t skeleton_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t ret;
	size_t n;

	inode_lock(inode);
	/* O_APPEND, RLIMIT_FSIZE and s_maxbytes, so that it fits: EFBIG. */
	ret = generic_write_checks(iocb, from);
	if (ret <= 0)
		goto unlock;
	ret = file_modified(iocb->ki_filp);
	if (ret)
		goto unlock;
	n = copy_from_iter(inode->i_private + iocb->ki_pos, iov_iter_count(from), from);
	iocb->ki_pos += n;
	if (iocb->ki_pos > i_size_read(inode))
		i_size_write(inode, iocb->ki_pos);
	ret = n ?: -EFAULT;
unlock:
	inode_unlock(inode);
	return ret;
}

static const struct file_operations skeleton_file_operations = {
	.read_iter = skeleton_read_iter,
	.write_iter = skeleton_write_iter,
	.llseek = generic_file_llseek,
	.fsync = noop_fsync,
};

/* Bytes that are cut off must not come back when the file grows. The VFS holds the lock. */
static int skeleton_setattr(IDMAP_PARAMETER struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	loff_t before = i_size_read(inode);
	int err = simple_setattr(IDMAP dentry, attr);

	if (!err && attr->ia_valid & ATTR_SIZE && attr->ia_size < before)
		memset(inode->i_private + attr->ia_size, 0, before - attr->ia_size);
	return err;
}

static const struct inode_operations skeleton_file_inode_operations = {
	.setattr = skeleton_setattr,
};

static struct inode *skeleton_new_inode(struct super_block *sb)
{
	struct inode *inode = new_inode(sb);

	if (inode) {
		inode->i_ino = get_next_ino();
		simple_inode_init_ts(inode);
	}
	return inode;
}

static int skeleton_create(IDMAP_PARAMETER struct inode *dir, struct dentry *dentry,
			   umode_t mode EXCL_PARAMETER)
{
	struct inode *inode = skeleton_new_inode(dir->i_sb);

	/* TODO: a bound for all files together; this charges the caller's memory cgroup. */
	if (inode)
		inode->i_private = kzalloc(MOST_BYTES, GFP_KERNEL_ACCOUNT);
	if (!inode || !inode->i_private) {
		iput(inode);
		return -ENOMEM;
	}
	inode_init_owner(IDMAP inode, dir, mode);
	inode->i_op = &skeleton_file_inode_operations;
	inode->i_fop = &skeleton_file_operations;
	skeleton_changed(dir);
	d_make_persistent(dentry, inode);
	return 0;
}

/* TODO: mkdir, rename, symlink, ... */
static const struct inode_operations skeleton_dir_inode_operations = {
	.create = skeleton_create,
	.lookup = simple_lookup,
	.unlink = simple_unlink,
};

static void skeleton_evict_inode(struct inode *inode)
{
	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	kfree(inode->i_private);
}

static const struct super_operations skeleton_super_operations = {
	.evict_inode = skeleton_evict_inode,
	.statfs = simple_statfs,
};

static int skeleton_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct inode *inode;

	sb->s_maxbytes = MOST_BYTES;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_magic = SKELETON_MAGIC;
	sb->s_op = &skeleton_super_operations;
	sb->s_time_gran = 1;

	inode = skeleton_new_inode(sb);
	if (!inode)
		return -ENOMEM;
	inode->i_mode = S_IFDIR | 0755;
	inode->i_op = &skeleton_dir_inode_operations;
	inode->i_fop = &simple_dir_operations;
	inc_nlink(inode);			/* "." */
	sb->s_root = d_make_root(inode);	/* which drops the inode where it fails */
	return sb->s_root ? 0 : -ENOMEM;
}

static int skeleton_get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, skeleton_fill_super);
}

static const struct fs_context_operations skeleton_context_operations = {
	.get_tree = skeleton_get_tree,
};

static int skeleton_init_fs_context(struct fs_context *fc)
{
	fc->ops = &skeleton_context_operations;
	return 0;
}

/* With an owner, a mount holds the module. */
static struct file_system_type skeleton_type = {
	.owner = THIS_MODULE,
	.name = "skeleton",
	.init_fs_context = skeleton_init_fs_context,
	.kill_sb = skeleton_kill_super,
};
MODULE_ALIAS_FS("skeleton");

static int __init skeleton_init(void)
{
	return register_filesystem(&skeleton_type);
}
module_init(skeleton_init);

static void __exit skeleton_exit(void)
{
	unregister_filesystem(&skeleton_type);
}
module_exit(skeleton_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("{{author}} <{{email}}>");
MODULE_DESCRIPTION("{{summary}}");
MODULE_VERSION("0.1.0");
