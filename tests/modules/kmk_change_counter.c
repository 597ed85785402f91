// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_change_counter - the change counter of an inode, which only NFS's server sees
 *
 * The parameter path reads as the counter of the inode at the path last written to it,
 * or fails with EOPNOTSUPP where the file system has none. sysfs serialises the two.
 */
#include <linux/fs.h>
#include <linux/iversion.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/string.h>

#include <kmk/version.h>

static char path_of_inode[PATH_MAX];

static int set_path(const char *text, const struct kernel_param *param)
{
	if (strlen(text) >= sizeof(path_of_inode))
		return -ENAMETOOLONG;
	strcpy(path_of_inode, text);
	return 0;
}

static int get_counter(char *buffer, const struct kernel_param *param)
{
	struct inode *inode;
	struct path path;
	int ret;

	ret = kern_path(path_of_inode, 0, &path);
	if (ret)
		return ret;
	inode = d_backing_inode(path.dentry);
	if (IS_I_VERSION(inode))
		ret = sprintf(buffer, "%llu\n", inode_query_iversion(inode));
	else
		ret = -EOPNOTSUPP;
	path_put(&path);
	return ret;
}

static const struct kernel_param_ops path_ops = {
	.set = set_path,
	.get = get_counter,
};

module_param_cb(path, &path_ops, NULL, 0600);
MODULE_PARM_DESC(path, "write a path, then read the change counter of its inode");

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("Shows the change counter of an inode to tests");
MODULE_VERSION(KMK_VERSION);
