// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_ramfs: what the option debug shows in debugfs. See cramfs.h.
 *
 * A directory for each such mount, named by its device number as in
 * /proc/self/mountinfo; a file for each counter.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>

#include "cramfs.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static struct dentry *debug_root;

static int cramfs_used_get(void *data, u64 *value)
{
	*value = cramfs_used(data);
	return 0;
}

static int cramfs_high_get(void *data, u64 *value)
{
	struct cramfs_limit *limit = data;

	spin_lock(&limit->lock);
	*value = limit->high;
	spin_unlock(&limit->lock);
	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(used_fops, cramfs_used_get, NULL, "%llu\n");
DEFINE_DEBUGFS_ATTRIBUTE(high_fops, cramfs_high_get, NULL, "%llu\n");

static void cramfs_show_limit(struct dentry *dir, struct cramfs_limit *limit, const char *used,
			      const char *high)
{
	/* its credits never open, so that high is exact */
	limit->plenty = S64_MAX;
	debugfs_create_file_unsafe(used, 0400, dir, limit, &used_fops);
	debugfs_create_file_unsafe(high, 0400, dir, limit, &high_fops);
}

/* Before the first page and inode is taken. A failure of debugfs does not fail the mount. */
void cramfs_debug_mount(struct super_block *sb)
{
	struct cramfs_sb *csb = CRAMFS_SB(sb);
	char name[24];

	snprintf(name, sizeof(name), "%u:%u", MAJOR(sb->s_dev), MINOR(sb->s_dev));
	csb->debug = debugfs_create_dir(name, debug_root);
	cramfs_show_limit(csb->debug, &csb->pages, "pages", "pages_high");
	cramfs_show_limit(csb->debug, &csb->inodes, "inodes", "inodes_high");
}

void cramfs_debug_umount(struct cramfs_sb *csb)
{
	debugfs_remove_recursive(csb->debug);
}

void cramfs_debug_init(void)
{
	debug_root = debugfs_create_dir(KBUILD_MODNAME, NULL);
}

void cramfs_debug_exit(void)
{
	debugfs_remove_recursive(debug_root);
}
