/* SPDX-License-Identifier: GPL-2.0 */
/* For older kernels: functions and types of newer ones that this module uses. */
#ifndef SKELETON_COMPAT_H
#define SKELETON_COMPAT_H

#include <linux/fs.h>
#include <linux/version.h>

/* Inode operations were given a user namespace (5.12), then the mount's map of owners (6.3). */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
#define IDMAP_PARAMETER struct mnt_idmap *idmap,
#define IDMAP idmap,
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(5, 12, 0)
#define IDMAP_PARAMETER struct user_namespace *idmap,
#define IDMAP idmap,
#else
#define IDMAP_PARAMETER
#define IDMAP
#endif

/* Which nobody used. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)
#define EXCL_PARAMETER
#else
#define EXCL_PARAMETER , bool excl
#endif

/* The times of a file became hidden in two steps. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
static inline void skeleton_changed(struct inode *inode)
{
	inode_set_mtime_to_ts(inode, inode_set_ctime_current(inode));
}
#else
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define inode_set_ctime_current(inode) ((inode)->i_ctime = current_time(inode))
#endif
static inline void skeleton_changed(struct inode *inode)
{
	inode->i_mtime = inode_set_ctime_current(inode);
}

static inline void skeleton_init_times(struct inode *inode)
{
	skeleton_changed(inode);
	inode->i_atime = inode->i_mtime;
}

#define simple_inode_init_ts skeleton_init_times
#endif

/* A name that stays without a user was one with a reference too many. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0)
static inline void skeleton_make_persistent(struct dentry *dentry, struct inode *inode)
{
	d_instantiate(dentry, inode);
	dget(dentry);
}

#define d_make_persistent skeleton_make_persistent
#define skeleton_kill_super kill_litter_super
#else
#define skeleton_kill_super kill_anon_super
#endif

#endif
