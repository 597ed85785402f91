// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_ramfs: file handles, for open_by_handle_at() and NFS. See cramfs.h.
 *
 * A handle is i_ino and i_generation, which together no other inode of the mount ever
 * has, and which start at random in each mount. An inode enters the VFS's hash table when
 * its first handle is made.
 */
#include <linux/exportfs.h>
#include <linux/fs.h>
#include <linux/spinlock.h>

#include "cramfs.h"

/* 64 bits of inode number, 32 of generation: the type that other file systems use for this */
#define CRAMFS_HANDLE_TYPE	0x81
#define CRAMFS_HANDLE_WORDS	3

static int cramfs_encode_fh(struct inode *inode, u32 *fh, int *words, struct inode *parent)
{
	static DEFINE_SPINLOCK(hashing);	/* guards the decision to hash an inode */
	u64 ino = inode->i_ino;

	if (*words < CRAMFS_HANDLE_WORDS) {
		*words = CRAMFS_HANDLE_WORDS;
		return FILEID_INVALID;
	}
	*words = CRAMFS_HANDLE_WORDS;

	if (inode_unhashed(inode)) {
		/* insert_inode_hash() must not run twice */
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

static u64 cramfs_fh_ino(const u32 *fh)
{
	return (u64)fh[1] << 32 | fh[0];
}

static int cramfs_match_fh(struct inode *inode, void *fh)
{
	return inode->i_ino == cramfs_fh_ino(fh) && inode->i_generation == ((u32 *)fh)[2];
}

/* Also of an inode without a name: one that is open, or an O_TMPFILE. */
static struct dentry *cramfs_fh_to_dentry(struct super_block *sb, struct fid *fid, int words,
					  int type)
{
	struct inode *inode;

	if (type != CRAMFS_HANDLE_TYPE || words < CRAMFS_HANDLE_WORDS)
		return NULL;
	inode = ilookup5(sb, cramfs_fh_ino(fid->raw), cramfs_match_fh, fid->raw);
	return inode ? d_obtain_alias(inode) : ERR_PTR(-ESTALE);
}

/* Directories are never disconnected: each is reached from the root. */
static struct dentry *cramfs_get_parent(struct dentry *dentry)
{
	return ERR_PTR(-ESTALE);
}

const struct export_operations cramfs_export_operations = {
	.encode_fh	= cramfs_encode_fh,
	.fh_to_dentry	= cramfs_fh_to_dentry,
	.get_parent	= cramfs_get_parent,
};
