// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_splice_pages - splices a file as NFS's server does, which looks at the pages
 *
 * The parameter path reads as the number of times that the same page came twice in a
 * row in the file at the path last written to it. sysfs serialises the two.
 */
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pipe_fs_i.h>
#include <linux/splice.h>
#include <linux/string.h>

#include <kmk/version.h>

static char path_of_file[PATH_MAX];

struct seen {
	struct page *last;
	unsigned int repeats;
};

static int splice_pages_set_path(const char *text, const struct kernel_param *param)
{
	if (strlen(text) >= sizeof(path_of_file))
		return -ENAMETOOLONG;
	strcpy(path_of_file, text);
	return 0;
}

static int splice_pages_look(struct pipe_inode_info *pipe, struct pipe_buffer *buf,
			     struct splice_desc *sd)
{
	struct seen *seen = sd->u.data;

	seen->repeats += buf->page == seen->last;
	/* a page that went back to the allocator may come again */
	get_page(buf->page);
	if (seen->last)
		put_page(seen->last);
	seen->last = buf->page;
	return sd->len;
}

static int splice_pages_look_all(struct pipe_inode_info *pipe, struct splice_desc *sd)
{
	return __splice_from_pipe(pipe, sd, splice_pages_look);
}

static int splice_pages_get(char *buffer, const struct kernel_param *param)
{
	struct seen seen = {};
	struct splice_desc sd = { .u.data = &seen };
	struct file *file;
	ssize_t spliced;

	file = filp_open(path_of_file, O_RDONLY, 0);
	if (IS_ERR(file))
		return PTR_ERR(file);
	sd.total_len = i_size_read(file_inode(file));
	spliced = splice_direct_to_actor(file, &sd, splice_pages_look_all);
	fput(file);
	if (seen.last)
		put_page(seen.last);
	if (spliced < 0)
		return spliced;
	return sprintf(buffer, "%u\n", seen.repeats);
}

static const struct kernel_param_ops path_ops = {
	.set = splice_pages_set_path,
	.get = splice_pages_get,
};

module_param_cb(path, &path_ops, NULL, 0600);
MODULE_PARM_DESC(path, "write a path, then read how often a page of it came twice in a row");

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("Shows to tests which pages a splice gives");
MODULE_VERSION(KMK_VERSION);
