// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_ramfs: names and directories. See cramfs.h.
 *
 * Every name is a pinned dentry, so the dcache looks names up. This file adds what
 * readdir needs: an entry keeps its offset while it exists, so a reader that
 * continues from an offset misses no entry that stayed.
 *
 * Offsets 0 and 1 are "." and "..". The others are grouped in chunks, indexed by an
 * xarray. A dentry stores its chunk in d_fsdata and its offset in d_time, which the
 * VFS leaves to the file system, so adding and removing a name is one store. New
 * entries go to the end of the tail chunk, which stays even when it is empty. Chunk
 * numbers increase; after the last one they start again with the lowest free one.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/namei.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "cramfs.h"

#define CRAMFS_CHUNK_SLOTS	32
/* telldir() returns a long */
#define CRAMFS_CHUNKS		(LONG_MAX / CRAMFS_CHUNK_SLOTS)

/* The count takes the place of slot 0, which no entry uses. */
struct cramfs_chunk {
	unsigned long used;
	struct dentry *slot[CRAMFS_CHUNK_SLOTS - 1];
};

static struct dentry **cramfs_slot(struct cramfs_chunk *chunk, unsigned long offset)
{
	return &chunk->slot[offset % CRAMFS_CHUNK_SLOTS - 1];
}

void cramfs_init_dir(struct inode *inode)
{
	struct cramfs_dir *dir = &CRAMFS_I(inode)->dir;

	xa_init_flags(&dir->chunks, XA_FLAGS_ACCOUNT);
	dir->tail = NULL;
	dir->last = 1;
	dir->entries = 0;
}

void cramfs_destroy_dir(struct inode *inode)
{
	struct cramfs_dir *dir = &CRAMFS_I(inode)->dir;
	struct cramfs_chunk *chunk;
	unsigned long index;

	if (!dir->tail)
		return;
	xa_for_each(&dir->chunks, index, chunk)
		kfree(chunk);
	xa_destroy(&dir->chunks);
}

static struct inode *cramfs_dir_inode(struct cramfs_dir *dir)
{
	return &container_of(dir, struct cramfs_inode, dir)->vfs_inode;
}

static void cramfs_free_chunk(struct cramfs_dir *dir, struct cramfs_chunk *chunk,
			      unsigned long index)
	__must_hold(&cramfs_dir_inode(dir)->i_rwsem)
{
	lockdep_assert_held_write(&cramfs_dir_inode(dir)->i_rwsem);
	xa_erase(&dir->chunks, index);
	kfree(chunk);
}

static noinline int cramfs_add_chunk(struct cramfs_dir *dir)
	__must_hold(&cramfs_dir_inode(dir)->i_rwsem)
{
	unsigned long old = dir->last / CRAMFS_CHUNK_SLOTS, index = old;
	struct cramfs_chunk *chunk;
	int err;

	lockdep_assert_held_write(&cramfs_dir_inode(dir)->i_rwsem);
	chunk = kzalloc(sizeof(*chunk), GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return -ENOMEM;
	/* the tail has the number @old; memory ends long before the numbers do */
	while ((err = xa_insert(&dir->chunks, index, chunk, GFP_KERNEL_ACCOUNT)) == -EBUSY)
		index = (index + 1) % CRAMFS_CHUNKS;
	if (err) {
		kfree(chunk);
		return err;
	}
	if (dir->tail && !dir->tail->used)
		cramfs_free_chunk(dir, dir->tail, old);
	dir->tail = chunk;
	/* slot 0 has no entry, nor has the offset of ".."; open() reads without the lock */
	WRITE_ONCE(dir->last, max(index * CRAMFS_CHUNK_SLOTS, 1UL));
	return 0;
}

/* Ensure a free slot for the next cramfs_add_entry(), under the same hold of i_rwsem. */
static int __must_check cramfs_reserve_entry(struct inode *inode)
	__must_hold(&inode->i_rwsem)
{
	struct cramfs_dir *dir = &CRAMFS_I(inode)->dir;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (likely(dir->tail && (dir->last + 1) % CRAMFS_CHUNK_SLOTS))
		return 0;
	return cramfs_add_chunk(dir);
}

static void cramfs_add_entry(struct inode *inode, struct dentry *dentry)
	__must_hold(&inode->i_rwsem)
{
	struct cramfs_dir *dir = &CRAMFS_I(inode)->dir;
	unsigned long offset = dir->last + 1;
	struct cramfs_chunk *chunk = dir->tail;

	lockdep_assert_held_write(&inode->i_rwsem);
	dentry->d_time = offset;
	dentry->d_fsdata = chunk;
	*cramfs_slot(chunk, offset) = dentry;
	chunk->used++;
	dir->entries++;
	/* open() reads without the lock */
	WRITE_ONCE(dir->last, offset);
}

static void cramfs_remove_entry(struct inode *inode, struct dentry *dentry)
	__must_hold(&inode->i_rwsem)
{
	struct cramfs_dir *dir = &CRAMFS_I(inode)->dir;
	struct cramfs_chunk *chunk = dentry->d_fsdata;

	lockdep_assert_held_write(&inode->i_rwsem);
	*cramfs_slot(chunk, dentry->d_time) = NULL;
	if (!--chunk->used && chunk != dir->tail)
		cramfs_free_chunk(dir, chunk, dentry->d_time / CRAMFS_CHUNK_SLOTS);
	dir->entries--;
}

/* @dentry gets the offset of @old. */
static void cramfs_replace_entry(struct dentry *old, struct dentry *dentry)
	__must_hold(&d_inode(old->d_parent)->i_rwsem)
{
	struct cramfs_chunk *chunk = old->d_fsdata;

	lockdep_assert_held_write(&d_inode(old->d_parent)->i_rwsem);
	dentry->d_time = old->d_time;
	dentry->d_fsdata = chunk;
	*cramfs_slot(chunk, dentry->d_time) = dentry;
}

static void cramfs_exchange_entries(struct dentry *a, struct dentry *b)
	__must_hold(&d_inode(a->d_parent)->i_rwsem)
	__must_hold(&d_inode(b->d_parent)->i_rwsem)
{
	lockdep_assert_held_write(&d_inode(a->d_parent)->i_rwsem);
	lockdep_assert_held_write(&d_inode(b->d_parent)->i_rwsem);
	swap(a->d_time, b->d_time);
	swap(a->d_fsdata, b->d_fsdata);
	*cramfs_slot(a->d_fsdata, a->d_time) = a;
	*cramfs_slot(b->d_fsdata, b->d_time) = b;
}

static bool cramfs_dir_empty(const struct inode *inode)
	__must_hold(&inode->i_rwsem)
{
	lockdep_assert_held_write(&inode->i_rwsem);
	return !CRAMFS_I(inode)->dir.entries;
}

/* Reading */

/*
 * The highest offset in use. It is that of the tail, unless chunk numbers have started
 * again. open() does not lock: an entry that comes or goes meanwhile may count or not.
 */
static unsigned long cramfs_dir_end(struct cramfs_dir *dir)
{
	unsigned long last = READ_ONCE(dir->last), index = last / CRAMFS_CHUNK_SLOTS + 1;
	unsigned long low, middle, high = CRAMFS_CHUNKS - 1;

	if (likely(!xa_find(&dir->chunks, &index, high, XA_PRESENT)))
		return last;
	for (low = index; low < high; ) {
		middle = low + (high - low + 1) / 2;
		index = middle;
		if (xa_find(&dir->chunks, &index, high, XA_PRESENT))
			low = index;
		else
			high = middle - 1;
	}
	return (low + 1) * CRAMFS_CHUNK_SLOTS - 1;
}

/*
 * A pass ends at the highest offset in use when it began: a reader that renames every
 * entry it reads would otherwise meet the new names, and never reach the end.
 */
static void cramfs_begin_pass(struct file *file)
{
	file->private_data = (void *)cramfs_dir_end(&CRAMFS_I(file_inode(file))->dir);
}

static int cramfs_dir_open(struct inode *inode, struct file *file)
{
	cramfs_begin_pass(file);
	return 0;
}

static bool cramfs_emit(struct dir_context *ctx, const struct dentry *dentry)
{
	const struct inode *inode = d_inode(dentry);

	return dir_emit(ctx, dentry->d_name.name, dentry->d_name.len, inode->i_ino,
			fs_umode_to_dtype(inode->i_mode));
}

static int cramfs_readdir(struct file *file, struct dir_context *ctx)
	__must_hold_shared(&file_inode(file)->i_rwsem)
{
	struct cramfs_dir *dir = &CRAMFS_I(file_inode(file))->dir;
	struct cramfs_chunk *chunk;
	unsigned long index, end;

	lockdep_assert_held(&file_inode(file)->i_rwsem);
	if (!ctx->pos)
		cramfs_begin_pass(file);
	if (!dir_emit_dots(file, ctx))
		return 0;
	end = (unsigned long)file->private_data;
	if (ctx->pos > end)
		return 0;

	xa_for_each_range(&dir->chunks, index, chunk, (unsigned long)ctx->pos / CRAMFS_CHUNK_SLOTS,
			  end / CRAMFS_CHUNK_SLOTS) {
		unsigned long first = index * CRAMFS_CHUNK_SLOTS, slot = 1;

		if (ctx->pos > first + slot)
			slot = ctx->pos - first;
		for (; slot < CRAMFS_CHUNK_SLOTS && first + slot <= end; slot++) {
			struct dentry *dentry = *cramfs_slot(chunk, slot);

			if (!dentry)
				continue;
			ctx->pos = first + slot;
			if (!cramfs_emit(ctx, dentry))
				return 0;
			ctx->pos++;
		}
	}
	return 0;
}

KMK_INODE_OP(fileattr_ioctl, cramfs_fileattr);

const struct file_operations cramfs_dir_operations = {
	.open		= cramfs_dir_open,
	.read		= generic_read_dir,
	.iterate_shared	= cramfs_readdir,
	.llseek		= generic_file_llseek,
	.fsync		= noop_fsync,
	.unlocked_ioctl	= kmk_op(fileattr_ioctl, cramfs_fileattr),
	.compat_ioctl	= compat_ptr_ioctl,
	.setlease	= generic_setlease,
};

/* Names */

/*
 * ->lookup() is called only for names that do not exist: every existing name is a
 * pinned dentry. The negative dentry makes further lookups of the name cheap, until
 * memory reclaim frees it. A create instantiates the dentry itself; nobody looked the
 * name up before, so unlink() is to free the dentry rather than keep it as a negative one.
 */
static struct dentry *cramfs_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)
{
	if (dentry->d_name.len > NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	if (flags & (LOOKUP_CREATE | LOOKUP_RENAME_TARGET))
		dentry->d_flags |= DCACHE_DONTCACHE;
	else
		d_add(dentry, NULL);
	return NULL;
}

/*
 * After a change of an entry: a reader that sees the new times and counter sees the change.
 * @inode has just been touched: without multigrain times its ctime serves, too.
 */
static void cramfs_touch_dir(struct inode *dir, const struct inode *inode)
{
	if (FS_MGTIME)
		inode_set_ctime_current(dir);
	else
		inode_set_ctime_to_ts(dir, inode_get_ctime(inode));
	inode_set_mtime_to_ts(dir, inode_get_ctime(dir));
	inode_maybe_inc_iversion(dir, false);
}

/* Give the new @inode its first name. Consumes the reference, also on failure. */
static int cramfs_add_name(struct inode *dir, struct dentry *dentry, struct inode *inode)
	__must_hold(&dir->i_rwsem)
{
	int err = cramfs_reserve_entry(dir);

	if (err) {
		iput(inode);
		return err;
	}
	cramfs_add_entry(dir, dentry);
	d_make_persistent(dentry, inode);
	if (S_ISDIR(inode->i_mode))
		inc_nlink(dir);
	cramfs_touch_dir(dir, inode);
	return 0;
}

static int cramfs_mknod(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			umode_t mode, dev_t dev)
{
	struct inode *inode;

	inode = cramfs_new_inode(idmap, dir->i_sb, dir, &dentry->d_name, mode, dev);
	return IS_ERR(inode) ? PTR_ERR(inode) : cramfs_add_name(dir, dentry, inode);
}

static int cramfs_create(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			 umode_t mode)
{
	return cramfs_mknod(idmap, dir, dentry, mode | S_IFREG, 0);
}

static struct dentry *cramfs_mkdir(struct mnt_idmap *idmap, struct inode *dir,
				   struct dentry *dentry, umode_t mode)
{
	return ERR_PTR(cramfs_mknod(idmap, dir, dentry, mode | S_IFDIR, 0));
}

static int cramfs_symlink(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			  const char *target)
{
	struct inode *inode = cramfs_new_link(idmap, dir, &dentry->d_name, target);

	return IS_ERR(inode) ? PTR_ERR(inode) : cramfs_add_name(dir, dentry, inode);
}

static int cramfs_tmpfile(struct mnt_idmap *idmap, struct inode *dir, struct file *file,
			  umode_t mode)
{
	struct inode *inode = cramfs_new_inode(idmap, dir->i_sb, dir, NULL, mode, 0);

	if (IS_ERR(inode))
		return finish_open_simple(file, PTR_ERR(inode));
	d_tmpfile(file, inode);
	return finish_open_simple(file, 0);
}

/*
 * Each further name of an inode is charged as an inode, as it takes as much memory. An
 * O_TMPFILE gets its first name here.
 */
static int cramfs_link(struct dentry *old_dentry, struct inode *dir, struct dentry *dentry)
{
	struct cramfs_sb *csb = CRAMFS_SB(dir->i_sb);
	struct inode *inode = d_inode(old_dentry);
	bool first = !inode->i_nlink;
	int err;

	if (!first && !cramfs_charge(&csb->inodes, 1))
		return -ENOSPC;
	err = cramfs_reserve_entry(dir);
	if (err) {
		if (!first)
			cramfs_uncharge(&csb->inodes, 1);
		return err;
	}
	cramfs_add_entry(dir, dentry);
	inc_nlink(inode);
	ihold(inode);
	d_make_persistent(dentry, inode);
	cramfs_touch(inode);
	cramfs_touch_dir(dir, inode);
	return 0;
}

/* Drop the inode's link and the pin of @dentry, which is no longer in the index. */
static void cramfs_drop_name(struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);

	if (S_ISDIR(inode->i_mode))
		drop_nlink(inode);
	else if (inode->i_nlink > 1)
		cramfs_uncharge(&CRAMFS_SB(inode->i_sb)->inodes, 1);
	drop_nlink(inode);
	cramfs_touch(inode);
	d_make_discardable(dentry);
}

static int cramfs_unlink(struct inode *dir, struct dentry *dentry)
{
	cramfs_remove_entry(dir, dentry);
	cramfs_drop_name(dentry);
	cramfs_touch_dir(dir, d_inode(dentry));
	return 0;
}

static int cramfs_rmdir(struct inode *dir, struct dentry *dentry)
{
	if (!cramfs_dir_empty(d_inode(dentry)))
		return -ENOTEMPTY;
	drop_nlink(dir);
	return cramfs_unlink(dir, dentry);
}

static void cramfs_exchange(struct inode *old_dir, struct dentry *old_dentry,
			    struct inode *new_dir, struct dentry *new_dentry)
{
	bool old_is_dir = d_is_dir(old_dentry), new_is_dir = d_is_dir(new_dentry);

	cramfs_exchange_entries(old_dentry, new_dentry);
	if (old_dir != new_dir && old_is_dir != new_is_dir) {
		drop_nlink(old_is_dir ? old_dir : new_dir);
		inc_nlink(old_is_dir ? new_dir : old_dir);
	}
}

/* The whiteout that overlayfs asks for in place of a name that moves away. */
static struct dentry *cramfs_new_whiteout(struct mnt_idmap *idmap, struct inode *dir,
					  struct dentry *dentry, struct inode **inode)
{
	struct dentry *whiteout;

	*inode = cramfs_new_inode(idmap, dir->i_sb, dir, &dentry->d_name, S_IFCHR | WHITEOUT_MODE,
				  WHITEOUT_DEV);
	if (IS_ERR(*inode))
		return ERR_CAST(*inode);
	whiteout = d_alloc(dentry->d_parent, &dentry->d_name);
	if (!whiteout) {
		iput(*inode);
		return ERR_PTR(-ENOMEM);
	}
	whiteout->d_flags |= DCACHE_DONTCACHE;
	return whiteout;
}

static int cramfs_rename(struct mnt_idmap *idmap, struct inode *old_dir,
			 struct dentry *old_dentry, struct inode *new_dir,
			 struct dentry *new_dentry, unsigned int flags)
{
	struct inode *inode = d_inode(old_dentry), *target = d_inode(new_dentry);
	struct dentry *whiteout = NULL;
	struct inode *whiteout_inode;
	int err;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;

	if (flags & RENAME_EXCHANGE) {
		cramfs_exchange(old_dir, old_dentry, new_dir, new_dentry);
		cramfs_touch(target);
		goto moved;
	}

	if (!target) {
		err = cramfs_reserve_entry(new_dir);
		if (err)
			return err;
	} else if (S_ISDIR(target->i_mode) && !cramfs_dir_empty(target)) {
		return -ENOTEMPTY;
	}
	if (flags & RENAME_WHITEOUT) {
		whiteout = cramfs_new_whiteout(idmap, old_dir, old_dentry, &whiteout_inode);
		if (IS_ERR(whiteout))
			return PTR_ERR(whiteout);
	}

	if (whiteout) {
		cramfs_replace_entry(old_dentry, whiteout);
		/* a second dentry of this name until the VFS moves the old one */
		d_make_persistent(whiteout, whiteout_inode);
		dput(whiteout);
	} else {
		cramfs_remove_entry(old_dir, old_dentry);
	}
	if (target) {
		cramfs_replace_entry(new_dentry, old_dentry);
		cramfs_drop_name(new_dentry);
		if (S_ISDIR(inode->i_mode))
			drop_nlink(old_dir);
	} else {
		cramfs_add_entry(new_dir, old_dentry);
		if (S_ISDIR(inode->i_mode) && old_dir != new_dir) {
			drop_nlink(old_dir);
			inc_nlink(new_dir);
		}
	}
moved:
	cramfs_touch(inode);
	cramfs_touch_dir(old_dir, inode);
	if (new_dir != old_dir)
		cramfs_touch_dir(new_dir, inode);
	return 0;
}

KMK_INODE_OP(create, cramfs_create);
KMK_INODE_OP(symlink, cramfs_symlink);
KMK_INODE_OP(mkdir, cramfs_mkdir);
KMK_INODE_OP(mknod, cramfs_mknod);
KMK_INODE_OP(rename, cramfs_rename);
KMK_INODE_OP(tmpfile, cramfs_tmpfile);
KMK_INODE_OP(setattr, cramfs_setattr);
KMK_INODE_OP(getattr, cramfs_getattr);
KMK_INODE_OP(set_acl, cramfs_set_acl);

const struct inode_operations cramfs_dir_inode_operations = {
	.create		= kmk_op(create, cramfs_create),
	.lookup		= cramfs_lookup,
	.link		= cramfs_link,
	.unlink		= cramfs_unlink,
	.symlink	= kmk_op(symlink, cramfs_symlink),
	.mkdir		= kmk_op(mkdir, cramfs_mkdir),
	.rmdir		= cramfs_rmdir,
	.mknod		= kmk_op(mknod, cramfs_mknod),
	.rename		= kmk_op(rename, cramfs_rename),
	.tmpfile	= kmk_op(tmpfile, cramfs_tmpfile),
	.setattr	= kmk_op(setattr, cramfs_setattr),
	.getattr	= kmk_op(getattr, cramfs_getattr),
	.set_acl	= kmk_op(set_acl, cramfs_set_acl),
	.listxattr	= cramfs_listxattr,
	KMK_FILEATTR_OPS(cramfs_fileattr)
};
