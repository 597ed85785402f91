// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_ramfs: file handles, for open_by_handle_at() and NFS. See cramfs.h.
 *
 * A handle is the inode's number, which no other inode of the mount ever gets,
 * and the mount's generation. An inode comes into the VFS's table of inodes when
 * its first handle is made.
 */
#include <linux/exportfs.h>
#include <linux/fs.h>
#include <linux/spinlock.h>

#include "cramfs.h"

/* 64 bits of inode number, 32 of generation: the number that other file systems use for it */
#define CRAMFS_HANDLE_TYPE	0x81
#define CRAMFS_HANDLE_WORDS	3

static int cramfs_encode_fh(struct inode *inode, u32 *fh, int *words, struct inode *parent)
{
	static DEFINE_SPINLOCK(hashing);	/* guards the decision to hash, below */
	u64 ino = inode->i_ino;

	if (*words < CRAMFS_HANDLE_WORDS) {
		*words = CRAMFS_HANDLE_WORDS;
		return FILEID_INVALID;
	}
	*words = CRAMFS_HANDLE_WORDS;

	if (inode_unhashed(inode)) {
		/* two at once must not add it twice */
		spin_lock(&hashing);
		if (inode_unhashed(inode))
			insert_inode_hash(inode);
		spin_unlock(&hashing);
	}
	fh[0] = lower_32_bits(ino);
	fh[1] = upper_32_bits(ino);
	fh[2] = inode->i_generation;
	return CRAMFS_HANDLE_TYPE;
}

static struct dentry *cramfs_fh_to_dentry(struct super_block *sb, struct fid *fid, int words,
					  int type)
{
	struct inode *inode;
	u64 ino;

	if (type != CRAMFS_HANDLE_TYPE || words < CRAMFS_HANDLE_WORDS)
		return NULL;
	ino = (u64)fid->raw[1] << 32 | fid->raw[0];
	if (fid->raw[2] != CRAMFS_SB(sb)->generation)
		return ERR_PTR(-ESTALE);
	inode = ilookup(sb, ino);
	if (!inode)
		return ERR_PTR(-ESTALE);
	if (!READ_ONCE(inode->i_nlink)) {
		iput(inode);
		return ERR_PTR(-ESTALE);
	}
	return d_obtain_alias(inode);
}

/* Every directory is reached from the root, so the VFS never has to ask. */
static struct dentry *cramfs_get_parent(struct dentry *dentry)
{
	return ERR_PTR(-ESTALE);
}

const struct export_operations cramfs_export_operations = {
	.encode_fh	= cramfs_encode_fh,
	.fh_to_dentry	= cramfs_fh_to_dentry,
	.get_parent	= cramfs_get_parent,
};
