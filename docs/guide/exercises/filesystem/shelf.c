// SPDX-License-Identifier: GPL-2.0
/*
 * shelf - an exercise: a file system in memory, one directory with at most 64 files
 *
 * Data: names, the number of files of a mount, guarded by the lock of its one directory. A name is
 * pinned from ->create to ->unlink. The VFS has all the rest.
 * Context: system calls, which may sleep.
 */
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#define SHELF_MAGIC	0x73686c66
#define SHELF_MAX	64

struct shelf {
	unsigned int names;
};

static const struct file_operations shelf_file_operations = {
	.read_iter	= generic_file_read_iter,
	.write_iter	= generic_file_write_iter,
	.mmap		= generic_file_mmap,
	.fsync		= noop_fsync,
	.llseek		= generic_file_llseek,
};

static struct inode *shelf_new_inode(struct super_block *sb, struct inode *dir, umode_t mode)
{
	struct inode *inode = new_inode(sb);

	if (!inode)
		return NULL;
	inode->i_ino = get_next_ino();
	inode_init_owner(&init_user_ns, inode, dir, mode);
	inode->i_mtime = inode_set_ctime_current(inode);
	inode->i_atime = inode->i_mtime;
	/* As in ramfs: pages of the page cache, which stay there. */
	inode->i_mapping->a_ops = &ram_aops;
	mapping_set_unevictable(inode->i_mapping);
	inode->i_fop = &shelf_file_operations;
	return inode;
}

static int shelf_create(struct user_namespace *ns, struct inode *dir, struct dentry *dentry,
			umode_t mode, bool excl)
{
	struct shelf *shelf = dir->i_sb->s_fs_info;
	struct inode *inode;

	if (shelf->names == SHELF_MAX)
		return -ENOSPC;
	inode = shelf_new_inode(dir->i_sb, dir, mode);
	if (!inode)
		return -ENOMEM;
	shelf->names++;
	dir->i_mtime = inode_set_ctime_current(dir);
	d_instantiate(dentry, inode);
	dget(dentry);	/* the pin */
	return 0;
}

static int shelf_unlink(struct inode *dir, struct dentry *dentry)
{
	struct shelf *shelf = dir->i_sb->s_fs_info;

	shelf->names--;
	dir->i_mtime = inode_set_ctime_current(dir);
	inode_set_ctime_current(d_inode(dentry));
	drop_nlink(d_inode(dentry));
	return 0;
}

static const struct inode_operations shelf_dir_operations = {
	.lookup	= simple_lookup,
	.create	= shelf_create,
	.unlink	= shelf_unlink,
};

static const struct super_operations shelf_super_operations = {
	.statfs		= simple_statfs,
	.drop_inode	= generic_delete_inode,
};

static int shelf_fill_super(struct super_block *sb, struct fs_context *context)
{
	struct shelf *shelf = kzalloc(sizeof(*shelf), GFP_KERNEL_ACCOUNT);
	struct inode *root;

	if (!shelf)
		return -ENOMEM;
	sb->s_fs_info = shelf;
	sb->s_magic = SHELF_MAGIC;
	sb->s_op = &shelf_super_operations;
	sb->s_time_gran = 1;
	root = shelf_new_inode(sb, NULL, S_IFDIR | 0755);
	if (root) {
		root->i_op = &shelf_dir_operations;
		root->i_fop = &simple_dir_operations;
		inc_nlink(root);	/* its "." */
	}
	sb->s_root = d_make_root(root);
	return sb->s_root ? 0 : -ENOMEM;
}

static int shelf_get_tree(struct fs_context *context)
{
	return get_tree_nodev(context, shelf_fill_super);
}

static const struct fs_context_operations shelf_context_operations = {
	.get_tree	= shelf_get_tree,
};

static int shelf_init_fs_context(struct fs_context *context)
{
	context->ops = &shelf_context_operations;
	return 0;
}

static void shelf_kill_sb(struct super_block *sb)
{
	struct shelf *shelf = sb->s_fs_info;

	kill_litter_super(sb);
	kfree(shelf);
}

static struct file_system_type shelf_type = {
	.owner			= THIS_MODULE,
	.name			= "shelf",
	.init_fs_context	= shelf_init_fs_context,
	.kill_sb		= shelf_kill_sb,
};

static int __init shelf_init(void)
{
	return register_filesystem(&shelf_type);
}

static void __exit shelf_exit(void)
{
	unregister_filesystem(&shelf_type);
}

module_init(shelf_init);
module_exit(shelf_exit);

MODULE_ALIAS_FS("shelf");
MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("An exercise: a file system in memory, one directory with at most 64 files");
