// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_ramfs: names and directories. See cramfs.h.
 *
 * A name is a pinned dentry, so looking one up is the dcache's work; it remembers
 * no name that is not there. Reading a directory is ours: each entry has an offset
 * that it keeps while it lives and that no later entry of the directory gets
 * again, so a reader that goes on from an offset misses nothing that stayed and
 * sees nothing twice.
 *
 * Offsets 0 and 1 are "." and "..". The others lie in chunks, which an xarray
 * finds; the dentry knows its chunk and its offset (d_fsdata and d_time, which
 * the VFS leaves to the file system), so adding and removing a name is a store.
 * The chunk that the next entry goes to stays even when it is empty.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/namei.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "cramfs.h"

#define CRAMFS_CHUNK_SLOTS	32

/* The count stands in slot 0: no entry has an offset that would lie there. */
struct cramfs_chunk {
	unsigned long used;
	struct dentry *slot[CRAMFS_CHUNK_SLOTS - 1];
};

static struct dentry **chunk_slot(struct cramfs_chunk *chunk, unsigned long offset)
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

static struct inode *dir_inode(struct cramfs_dir *dir)
{
	return &container_of(dir, struct cramfs_inode, dir)->vfs_inode;
}

static void free_chunk(struct cramfs_dir *dir, struct cramfs_chunk *chunk, unsigned long index)
	__must_hold(&dir_inode(dir)->i_rwsem)
{
	lockdep_assert_held_write(&dir_inode(dir)->i_rwsem);
	xa_erase(&dir->chunks, index);
	kfree(chunk);
}

static noinline int add_chunk(struct cramfs_dir *dir)
	__must_hold(&dir_inode(dir)->i_rwsem)
{
	unsigned long next = dir->last + 1, index = next / CRAMFS_CHUNK_SLOTS;
	struct cramfs_chunk *chunk;
	int err;

	lockdep_assert_held_write(&dir_inode(dir)->i_rwsem);
	if (next > LONG_MAX - CRAMFS_CHUNK_SLOTS)
		return -ENOSPC;

	chunk = kzalloc(sizeof(*chunk), GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return -ENOMEM;
	err = xa_err(xa_store(&dir->chunks, index, chunk, GFP_KERNEL_ACCOUNT));
	if (err) {
		kfree(chunk);
		return err;
	}
	if (dir->tail) {
		if (!dir->tail->used)
			free_chunk(dir, dir->tail, index - 1);
		/* no entry has an offset of slot 0; open() reads it without the lock */
		WRITE_ONCE(dir->last, next);
	}
	dir->tail = chunk;
	return 0;
}

/* Make sure that the next dir_add() has a slot; keep i_rwsem between the two. */
static int __must_check dir_reserve(struct inode *inode)
	__must_hold(&inode->i_rwsem)
{
	struct cramfs_dir *dir = &CRAMFS_I(inode)->dir;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (likely(dir->tail && (dir->last + 1) % CRAMFS_CHUNK_SLOTS))
		return 0;
	return add_chunk(dir);
}

static void dir_add(struct inode *inode, struct dentry *dentry)
	__must_hold(&inode->i_rwsem)
{
	struct cramfs_dir *dir = &CRAMFS_I(inode)->dir;

	lockdep_assert_held_write(&inode->i_rwsem);
	/* open() reads it without the lock */
	WRITE_ONCE(dir->last, dir->last + 1);
	dentry->d_time = dir->last;
	dentry->d_fsdata = dir->tail;
	*chunk_slot(dir->tail, dir->last) = dentry;
	dir->tail->used++;
	dir->entries++;
}

static void dir_remove(struct inode *inode, struct dentry *dentry)
	__must_hold(&inode->i_rwsem)
{
	struct cramfs_dir *dir = &CRAMFS_I(inode)->dir;
	struct cramfs_chunk *chunk = dentry->d_fsdata;

	lockdep_assert_held_write(&inode->i_rwsem);
	*chunk_slot(chunk, dentry->d_time) = NULL;
	if (!--chunk->used && chunk != dir->tail)
		free_chunk(dir, chunk, dentry->d_time / CRAMFS_CHUNK_SLOTS);
	dir->entries--;
}

/* @dentry takes over the place of @old, whose name it is going to have. */
static void dir_replace(struct dentry *old, struct dentry *dentry)
	__must_hold(&d_inode(old->d_parent)->i_rwsem)
{
	struct cramfs_chunk *chunk = old->d_fsdata;

	lockdep_assert_held_write(&d_inode(old->d_parent)->i_rwsem);
	dentry->d_time = old->d_time;
	dentry->d_fsdata = chunk;
	*chunk_slot(chunk, dentry->d_time) = dentry;
}

static void dir_exchange(struct dentry *a, struct dentry *b)
	__must_hold(&d_inode(a->d_parent)->i_rwsem)
	__must_hold(&d_inode(b->d_parent)->i_rwsem)
{
	lockdep_assert_held_write(&d_inode(a->d_parent)->i_rwsem);
	lockdep_assert_held_write(&d_inode(b->d_parent)->i_rwsem);
	swap(a->d_time, b->d_time);
	swap(a->d_fsdata, b->d_fsdata);
	*chunk_slot(a->d_fsdata, a->d_time) = a;
	*chunk_slot(b->d_fsdata, b->d_time) = b;
}

static bool dir_empty(const struct inode *inode)
	__must_hold(&inode->i_rwsem)
{
	lockdep_assert_held_write(&inode->i_rwsem);
	return !CRAMFS_I(inode)->dir.entries;
}

/* Reading */

/*
 * A pass ends at the last entry that there was when it began: whoever renames
 * all that he reads would else meet his own new names for ever.
 */
static void set_end(struct file *file)
{
	file->private_data = (void *)READ_ONCE(CRAMFS_I(file_inode(file))->dir.last);
}

static int cramfs_dir_open(struct inode *inode, struct file *file)
{
	set_end(file);
	return 0;
}

static bool emit(struct dir_context *ctx, const struct dentry *dentry)
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
		set_end(file);
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
			struct dentry *dentry = *chunk_slot(chunk, slot);

			if (!dentry)
				continue;
			ctx->pos = first + slot;
			if (!emit(ctx, dentry))
				return 0;
			ctx->pos++;
		}
	}
	return 0;
}

const struct file_operations cramfs_dir_operations = {
	.open		= cramfs_dir_open,
	.read		= generic_read_dir,
	.iterate_shared	= cramfs_readdir,
	.llseek		= generic_file_llseek,
	.fsync		= noop_fsync,
};

/* Names */

/*
 * What is looked up here is not there. Who is going to make the name brings it into
 * the dcache, together with its inode. Others may want to find it there as long as
 * they hold it, as overlayfs does; nobody later: to ask again costs less than to
 * remember.
 */
static struct dentry *cramfs_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)
{
	if (dentry->d_name.len > NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	/* nor what once was there */
	dentry->d_flags |= DCACHE_DONTCACHE;
	if (!(flags & (LOOKUP_CREATE | LOOKUP_RENAME_TARGET)))
		d_add(dentry, NULL);
	return NULL;
}

/* The directory changed when the inode of the name did. */
static void touch_dir(struct inode *dir, struct timespec64 when)
{
	inode_set_ctime_to_ts(dir, when);
	inode_set_mtime_to_ts(dir, when);
}

/* Give the new @inode its first name; takes over the reference. */
static int add_name(struct inode *dir, struct dentry *dentry, struct inode *inode)
	__must_hold(&dir->i_rwsem)
{
	int err = dir_reserve(dir);

	if (err) {
		iput(inode);
		return err;
	}
	dir_add(dir, dentry);
	touch_dir(dir, inode_get_ctime(inode));
	d_make_persistent(dentry, inode);
	return 0;
}

static int cramfs_mknod(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			umode_t mode, dev_t dev)
{
	struct inode *inode;

	inode = cramfs_new_inode(idmap, dir->i_sb, dir, &dentry->d_name, mode, dev);
	return IS_ERR(inode) ? PTR_ERR(inode) : add_name(dir, dentry, inode);
}

static int cramfs_create(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			 umode_t mode)
{
	return cramfs_mknod(idmap, dir, dentry, mode | S_IFREG, 0);
}

static struct dentry *cramfs_mkdir(struct mnt_idmap *idmap, struct inode *dir,
				   struct dentry *dentry, umode_t mode)
{
	int err = cramfs_mknod(idmap, dir, dentry, mode | S_IFDIR, 0);

	if (!err)
		inc_nlink(dir);
	return ERR_PTR(err);
}

static int cramfs_symlink(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			  const char *target)
{
	struct inode *inode = cramfs_new_link(idmap, dir, &dentry->d_name, target);

	return IS_ERR(inode) ? PTR_ERR(inode) : add_name(dir, dentry, inode);
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
 * Each name beyond an inode's first counts as an inode, for it takes as much
 * memory; an O_TMPFILE gets its first name here.
 */
static int cramfs_link(struct dentry *old_dentry, struct inode *dir, struct dentry *dentry)
{
	struct cramfs_sb *csb = CRAMFS_SB(dir->i_sb);
	struct inode *inode = d_inode(old_dentry);
	bool first = !inode->i_nlink;
	int err;

	if (!first && !cramfs_take(&csb->inodes, 1))
		return -ENOSPC;
	err = dir_reserve(dir);
	if (err) {
		if (!first)
			cramfs_give(&csb->inodes, 1);
		return err;
	}
	dir_add(dir, dentry);
	touch_dir(dir, inode_set_ctime_current(inode));
	inc_nlink(inode);
	ihold(inode);
	d_make_persistent(dentry, inode);
	return 0;
}

/* The name is gone from the index: let go of the inode. */
static void drop_name(struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);

	if (S_ISDIR(inode->i_mode))
		drop_nlink(inode);
	else if (inode->i_nlink > 1)
		cramfs_give(&CRAMFS_SB(inode->i_sb)->inodes, 1);
	drop_nlink(inode);
	d_make_discardable(dentry);
}

static int cramfs_unlink(struct inode *dir, struct dentry *dentry)
{
	dir_remove(dir, dentry);
	touch_dir(dir, inode_set_ctime_current(d_inode(dentry)));
	drop_name(dentry);
	return 0;
}

static int cramfs_rmdir(struct inode *dir, struct dentry *dentry)
{
	if (!dir_empty(d_inode(dentry)))
		return -ENOTEMPTY;
	drop_nlink(dir);
	return cramfs_unlink(dir, dentry);
}

static void rename_exchange(struct inode *old_dir, struct dentry *old_dentry,
			    struct inode *new_dir, struct dentry *new_dentry)
{
	bool old_is_dir = d_is_dir(old_dentry), new_is_dir = d_is_dir(new_dentry);

	dir_exchange(old_dentry, new_dentry);
	if (old_dir != new_dir && old_is_dir != new_is_dir) {
		drop_nlink(old_is_dir ? old_dir : new_dir);
		inc_nlink(old_is_dir ? new_dir : old_dir);
	}
}

/* What overlayfs leaves behind in place of the name that moved away. */
static struct dentry *new_whiteout(struct mnt_idmap *idmap, struct inode *dir,
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
	struct timespec64 now;
	int err;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;

	if (flags & RENAME_EXCHANGE) {
		rename_exchange(old_dir, old_dentry, new_dir, new_dentry);
		goto times;
	}

	if (!target) {
		err = dir_reserve(new_dir);
		if (err)
			return err;
	} else if (S_ISDIR(target->i_mode) && !dir_empty(target)) {
		return -ENOTEMPTY;
	}
	if (flags & RENAME_WHITEOUT) {
		whiteout = new_whiteout(idmap, old_dir, old_dentry, &whiteout_inode);
		if (IS_ERR(whiteout))
			return PTR_ERR(whiteout);
	}

	/* the old place */
	if (whiteout) {
		dir_replace(old_dentry, whiteout);
		/* beside the old dentry, which moves away when we return */
		d_make_persistent(whiteout, whiteout_inode);
		dput(whiteout);
	} else {
		dir_remove(old_dir, old_dentry);
	}
	/* the new place */
	if (target) {
		dir_replace(new_dentry, old_dentry);
		drop_name(new_dentry);
		if (S_ISDIR(inode->i_mode))
			drop_nlink(old_dir);
	} else {
		dir_add(new_dir, old_dentry);
		if (S_ISDIR(inode->i_mode) && old_dir != new_dir) {
			drop_nlink(old_dir);
			inc_nlink(new_dir);
		}
	}
times:
	now = inode_set_ctime_current(inode);
	if (target)
		inode_set_ctime_to_ts(target, now);
	touch_dir(old_dir, now);
	if (new_dir != old_dir)
		touch_dir(new_dir, now);
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
};
