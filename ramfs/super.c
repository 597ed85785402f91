// SPDX-License-Identifier: GPL-2.0
/* kmk_ramfs: mounting, options, limits, and the module itself. See cramfs.h. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ctype.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/highmem.h>
#include <linux/init.h>
#include <linux/magic.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/overflow.h>
#include <linux/random.h>
#include <linux/ratelimit.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/uuid.h>

#include <kmk/version.h>

#include "cramfs.h"

#define CRAMFS_DEFAULT_MODE	0755
/* i_nlink has 32 bits, and the VFS counts up before anybody could refuse. */
#define CRAMFS_LINK_MAX		S32_MAX

static char *fstype = "cramfs";
module_param(fstype, charp, 0444);
MODULE_PARM_DESC(fstype, "name of the file system type (default cramfs)");

/* Options */

enum cramfs_param {
	OPT_MODE,
	OPT_UID,
	OPT_GID,
	OPT_SIZE,
	OPT_NR_BLOCKS,
	OPT_NR_INODES,
	OPT_INODE32,
	OPT_INODE64,
	OPT_NOSWAP,
	OPT_HUGE,
	OPT_MPOL,
	OPT_DEBUG,
};

static const struct fs_parameter_spec cramfs_parameters[] = {
	fsparam_u32oct("mode",		OPT_MODE),
	fsparam_u32("uid",		OPT_UID),
	fsparam_u32("gid",		OPT_GID),
	fsparam_string("size",		OPT_SIZE),
	fsparam_string("nr_blocks",	OPT_NR_BLOCKS),
	fsparam_string("nr_inodes",	OPT_NR_INODES),
	/* tmpfs's */
	fsparam_flag("inode32",		OPT_INODE32),
	fsparam_flag("inode64",		OPT_INODE64),
	fsparam_flag("noswap",		OPT_NOSWAP),
	fsparam_string("huge",		OPT_HUGE),
	fsparam_string("mpol",		OPT_MPOL),
	fsparam_flag("debug",		OPT_DEBUG),
	{}
};

/* A decimal number with an optional suffix: 1024 to the power of its place; '%' is of @whole. */
static bool cramfs_parse_amount(const char *text, u64 whole, u64 *amount)
{
	static const char suffixes[] = "kmgtpe";
	size_t digits = strspn(text, "0123456789");
	const char *suffix;
	unsigned int shift;
	char number[24];
	u64 n;

	if (!digits || digits >= sizeof(number))
		return false;
	strscpy(number, text, digits + 1);
	if (kstrtou64(number, 10, &n))
		return false;
	text += digits;

	if (whole && !strcmp(text, "%")) {
		if (check_mul_overflow(n, whole, &n))
			return false;
		*amount = round_down(div_u64(n, 100), PAGE_SIZE);
		return true;
	}
	if (*text) {
		suffix = strchr(suffixes, tolower(*text));
		if (!suffix || text[1])
			return false;
		shift = 10 * (suffix - suffixes + 1);
		if (n > U64_MAX >> shift)
			return false;
		n <<= shift;
	}
	*amount = n;
	return true;
}

/*
 * Without a log of its own, which fsopen(2) makes, a mount writes to the kernel's; and any
 * user can create a user namespace.
 */
static bool cramfs_may_log(const struct fs_context *fc)
{
	static DEFINE_RATELIMIT_STATE(limit, 5 * HZ, 10);

	return fc->log.log || fc->user_ns == &init_user_ns || __ratelimit(&limit);
}

#define refuse(fc, fmt, ...)							\
	(cramfs_may_log(fc) ? invalfc(fc, fmt, ## __VA_ARGS__) : -EINVAL)

static int cramfs_parse_size(struct fs_context *fc, const char *text, s64 *pages)
{
	u64 ram = (u64)totalram_pages() << PAGE_SHIFT;
	u64 bytes;

	if (!cramfs_parse_amount(text, ram, &bytes) || bytes > round_down((u64)S64_MAX, PAGE_SIZE))
		return refuse(fc, "size=%s: not a size (a number, with k, m, g, t, p, e or %%)",
			      text);
	*pages = bytes ? DIV_ROUND_UP_ULL(bytes, PAGE_SIZE) : CRAMFS_UNLIMITED;
	return 0;
}

static int cramfs_parse_count(struct fs_context *fc, const struct fs_parameter *param, u64 max,
			      s64 *count)
{
	u64 n;

	if (!cramfs_parse_amount(param->string, 0, &n) || n > max)
		return refuse(fc, "%s=%s: not a number (with k, m, g, t, p or e)", param->key,
			      param->string);
	*count = n ?: CRAMFS_UNLIMITED;
	return 0;
}

static int cramfs_require_value(struct fs_context *fc, const struct fs_parameter *param,
				const char *value)
{
	if (strcmp(param->string, value))
		return refuse(fc, "%s=%s: not supported, only %s=%s", param->key, param->string,
			      param->key, value);
	return 0;
}

/* Some kernels' inode numbers have no more, so inode32 is the default there. */
#define CRAMFS_ONLY_INO32	(sizeof_field(struct inode, i_ino) < sizeof(u64))

/* After an option that is refused fsconfig(2) may go on, so it changes nothing. */
static int cramfs_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct cramfs_options *options = fc->fs_private;
	struct fs_parse_result result;
	kuid_t uid;
	kgid_t gid;
	int opt, err;

	opt = fs_parse(fc, cramfs_parameters, param, &result);
	if (opt < 0)
		return opt;

	switch (opt) {
	case OPT_MODE:
		if (result.uint_32 & ~S_IALLUGO)
			return refuse(fc, "mode=%o: not a mode (0 to 7777)", result.uint_32);
		options->mode = result.uint_32;
		break;
	case OPT_UID:
		uid = make_kuid(current_user_ns(), result.uint_32);
		if (!kuid_has_mapping(fc->user_ns, uid))
			return refuse(fc, "uid=%u: no such user in this user namespace",
				       result.uint_32);
		options->uid = uid;
		break;
	case OPT_GID:
		gid = make_kgid(current_user_ns(), result.uint_32);
		if (!kgid_has_mapping(fc->user_ns, gid))
			return refuse(fc, "gid=%u: no such group in this user namespace",
				       result.uint_32);
		options->gid = gid;
		break;
	case OPT_SIZE:
		return cramfs_parse_size(fc, param->string, &options->pages);
	case OPT_NR_BLOCKS:
		return cramfs_parse_count(fc, param, S64_MAX / PAGE_SIZE, &options->pages);
	case OPT_NR_INODES:
		return cramfs_parse_count(fc, param, CRAMFS_UNLIMITED - 1, &options->inodes);
	case OPT_INODE32:
		options->ino32 = true;
		break;
	case OPT_INODE64:
		if (CRAMFS_ONLY_INO32)
			return refuse(fc, "inode64: inode numbers of this kernel have 32 bits");
		options->ino32 = false;
		break;
	case OPT_NOSWAP:	/* it never swaps */
		break;
	case OPT_HUGE:
		err = cramfs_require_value(fc, param, "never");
		if (err)
			return err;
		options->large_folios = false;
		break;
	case OPT_MPOL:
		return cramfs_require_value(fc, param, "default");
	case OPT_DEBUG:
		if (fc->user_ns != &init_user_ns)
			return refuse(fc, "debug is not for mounts in a user namespace");
		options->debug = true;
		break;
	}
	return 0;
}

static void cramfs_default_options(struct cramfs_options *options)
{
	unsigned long ram = totalram_pages();

	options->uid = current_fsuid();
	options->gid = current_fsgid();
	options->mode = CRAMFS_DEFAULT_MODE;
	options->pages = ram / 2;
	options->inodes = min(ram - totalhigh_pages(), ram / 2);
	options->large_folios = true;
	options->ino32 = CRAMFS_ONLY_INO32;
}

static int cramfs_show_options(struct seq_file *m, struct dentry *root)
{
	struct cramfs_sb *csb = CRAMFS_SB(root->d_sb);
	const struct cramfs_options *is = &csb->options, *was = &csb->defaults;
	s64 pages = READ_ONCE(csb->pages.max), inodes = READ_ONCE(csb->inodes.max);

	if (pages == CRAMFS_UNLIMITED)
		seq_puts(m, ",size=0");
	else if (pages != was->pages)
		seq_printf(m, ",size=%lluk", (u64)pages << (PAGE_SHIFT - 10));
	if (inodes == CRAMFS_UNLIMITED)
		seq_puts(m, ",nr_inodes=0");
	else if (inodes != was->inodes)
		seq_printf(m, ",nr_inodes=%lld", inodes);
	if (is->mode != was->mode)
		seq_printf(m, ",mode=%o", is->mode);
	if (!uid_eq(is->uid, was->uid))
		seq_printf(m, ",uid=%u", from_kuid_munged(seq_user_ns(m), is->uid));
	if (!gid_eq(is->gid, was->gid))
		seq_printf(m, ",gid=%u", from_kgid_munged(seq_user_ns(m), is->gid));
	if (is->ino32 != was->ino32)
		seq_puts(m, ",inode32");
	if (!is->large_folios)
		seq_puts(m, ",huge=never");
	if (is->debug)
		seq_puts(m, ",debug");
	return 0;
}

/* Superblock */

static int cramfs_statfs(struct dentry *dentry, struct kstatfs *st)
{
	struct cramfs_sb *csb = CRAMFS_SB(dentry->d_sb);
	s64 pages = READ_ONCE(csb->pages.max), inodes = READ_ONCE(csb->inodes.max);

	st->f_type = RAMFS_MAGIC;
	st->f_bsize = PAGE_SIZE;
	st->f_namelen = NAME_MAX;
	st->f_fsid = u64_to_fsid(huge_encode_dev(dentry->d_sb->s_dev));
	/* without a limit, all zero: neither total nor free has a value */
	if (pages != CRAMFS_UNLIMITED) {
		st->f_blocks = pages;
		st->f_bfree = pages - min(pages, cramfs_used(&csb->pages));
		st->f_bavail = st->f_bfree;
	}
	if (inodes != CRAMFS_UNLIMITED) {
		st->f_files = inodes;
		st->f_ffree = inodes - min(inodes, cramfs_used(&csb->inodes));
	}
	return 0;
}

static const struct super_operations cramfs_super_operations = {
	.alloc_inode	= cramfs_alloc_inode,
	.free_inode	= cramfs_free_inode,
	.drop_inode	= inode_just_drop,
	.evict_inode	= cramfs_evict_inode,
	.statfs		= cramfs_statfs,
	.show_options	= cramfs_show_options,
};

static int cramfs_fill_super(struct super_block *sb, struct fs_context *fc)
{
	const struct cramfs_options *options = fc->fs_private;
	struct cramfs_sb *csb;
	struct inode *root;
	uuid_t uuid;

	csb = kzalloc(sizeof(*csb), GFP_KERNEL);
	if (!csb)
		return -ENOMEM;
	sb->s_fs_info = csb;
	csb->options = *options;
	cramfs_default_options(&csb->defaults);
	csb->ino32 = options->ino32;
	csb->large_folios = options->large_folios;
	csb->cpus = alloc_percpu_gfp(struct cramfs_cpu, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!csb->cpus)
		return -ENOMEM;
	cramfs_init_limit(&csb->pages, options->pages, &csb->cpus->pages);
	cramfs_init_limit(&csb->inodes, options->inodes, &csb->cpus->inodes);
	csb->generation = get_random_u32();
	if (options->debug)
		cramfs_debug_mount(sb);

	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_max_links = CRAMFS_LINK_MAX;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	/* to user space it is what ramfs is: a file system that a reboot empties */
	sb->s_magic = RAMFS_MAGIC;
	sb->s_op = &cramfs_super_operations;
	sb->s_time_gran = 1;
	sb->s_export_op = &cramfs_export_operations;
	sb->s_xattr = cramfs_xattr_handlers;
	sb->s_flags |= SB_NOSEC;
	uuid_gen(&uuid);
	super_set_uuid(sb, uuid.b, sizeof(uuid));
	if (IS_ENABLED(CONFIG_FS_POSIX_ACL))
		sb->s_flags |= SB_POSIXACL;

	root = cramfs_new_inode(&nop_mnt_idmap, sb, NULL, NULL, S_IFDIR | options->mode, 0);
	if (IS_ERR(root))
		return PTR_ERR(root);
	root->i_uid = options->uid;
	root->i_gid = options->gid;
	sb->s_root = d_make_root(root);
	return sb->s_root ? 0 : -ENOMEM;
}

/* Whether @name is that of an MTD device ("mtd0", "mtd:name") or the path of a block device. */
static bool cramfs_is_device(const char *name)
{
	struct path path;
	bool is;

	if (!name)
		return false;
	if (!strncmp(name, "mtd", 3) && (isdigit(name[3]) || name[3] == ':'))
		return true;
	if (kern_path(name, LOOKUP_FOLLOW, &path))
		return false;
	is = S_ISBLK(d_backing_inode(path.dentry)->i_mode);
	path_put(&path);
	return is;
}

static int cramfs_get_tree(struct fs_context *fc)
{
	if (cramfs_is_device(fc->source))
		return refuse(fc, "%s is a storage device, and this %s keeps its files in RAM; "
			      "for the compressed read-only cramfs, unload " KBUILD_MODNAME,
			       fc->source, fc->fs_type->name);
	return get_tree_nodev(fc, cramfs_fill_super);
}

/* All checks first; from the first change on nothing can fail. */
static int cramfs_reconfigure(struct fs_context *fc)
	__must_hold(&fc->root->d_sb->s_umount)
{
	const struct cramfs_options *new = fc->fs_private;
	struct cramfs_sb *csb = CRAMFS_SB(fc->root->d_sb);
	const struct cramfs_options *old = &csb->options;
	const struct cramfs_limit *refused;

	lockdep_assert_held_write(&fc->root->d_sb->s_umount);
	if (new->mode != old->mode)
		return refuse(fc, "mode= cannot change in a remount; use chmod");
	if (!uid_eq(new->uid, old->uid))
		return refuse(fc, "uid= cannot change in a remount; use chown");
	if (!gid_eq(new->gid, old->gid))
		return refuse(fc, "gid= cannot change in a remount; use chgrp");
	if (new->ino32 != old->ino32)
		return refuse(fc, "inode32 and inode64 cannot change in a remount");
	if (new->large_folios != old->large_folios)
		return refuse(fc, "huge= cannot change in a remount");
	if (new->debug != old->debug)
		return refuse(fc, "debug cannot be turned on in a remount");

	refused = cramfs_change_limits(csb, new->pages ?: csb->pages.max,
				       new->inodes ?: csb->inodes.max);
	if (refused == &csb->pages)
		return refuse(fc, "size= is below the %lld KiB in use",
			       cramfs_used(&csb->pages) << (PAGE_SHIFT - 10));
	if (refused)
		return refuse(fc, "nr_inodes= is below the %lld in use",
			       cramfs_used(&csb->inodes));
	return 0;
}

static void cramfs_free_fc(struct fs_context *fc)
{
	kfree(fc->fs_private);
}

static const struct fs_context_operations cramfs_context_operations = {
	.free		= cramfs_free_fc,
	.parse_param	= cramfs_parse_param,
	.get_tree	= cramfs_get_tree,
	.reconfigure	= cramfs_reconfigure,
};

static int cramfs_init_fs_context(struct fs_context *fc)
{
	struct cramfs_options *options;

	options = kzalloc(sizeof(*options), GFP_KERNEL);
	if (!options)
		return -ENOMEM;
	if (fc->purpose == FS_CONTEXT_FOR_RECONFIGURE) {
		*options = CRAMFS_SB(fc->root->d_sb)->options;
		/* no change, unless they are given */
		options->pages = 0;
		options->inodes = 0;
	} else {
		cramfs_default_options(options);
	}
	fc->fs_private = options;
	fc->ops = &cramfs_context_operations;
	/* not in fill_super: a remount takes this flag from the context */
	fc->sb_flags |= SB_I_VERSION;
	return 0;
}

static void cramfs_kill_sb(struct super_block *sb)
{
	struct cramfs_sb *csb = CRAMFS_SB(sb);

	/* while the device number, by which debugfs knows the mount, is still ours */
	if (csb)
		cramfs_debug_umount(csb);
	kmk_kill_persistent_super(sb);
	if (csb)
		free_percpu(csb->cpus);
	kfree(csb);
}

/* No MODULE_ALIAS_FS: mount -t cramfs must go on loading the in-tree cramfs. */
static struct file_system_type cramfs_type = {
	.owner		= THIS_MODULE,
	.init_fs_context = cramfs_init_fs_context,
	.parameters	= cramfs_parameters,
	.kill_sb	= cramfs_kill_sb,
	.fs_flags	= FS_USERNS_MOUNT | FS_ALLOW_IDMAP | FS_MGTIME,
};

/* The kernel itself takes any name, and stops with a BUG at one that has a dot. */
static bool cramfs_valid_type_name(const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++)
		if (!isascii(name[i]) || (!isalnum(name[i]) && name[i] != '_' && name[i] != '-'))
			return false;
	return i > 0 && i < 32;
}

static int __init cramfs_init(void)
{
	int err;

	if (!cramfs_valid_type_name(fstype)) {
		pr_err("fstype= wants 1 to 31 letters, digits, '_' or '-'\n");
		return -EINVAL;
	}
	cramfs_type.name = fstype;

	err = cramfs_init_inode_cache();
	if (err) {
		pr_err("no memory for the inode cache: load again when there is\n");
		return err;
	}
	cramfs_debug_init();
	err = register_filesystem(&cramfs_type);
	if (err) {
		cramfs_debug_exit();
		cramfs_destroy_inode_cache();
		pr_err("file system type \"%s\" exists already: unload its module, or load this one with fstype=NAME\n",
		       fstype);
		return err;
	}
	pr_info("loaded, file system type \"%s\"\n", fstype);
	return 0;
}

static void __exit cramfs_exit(void)
{
	unregister_filesystem(&cramfs_type);
	/* The last mount may have ended in cramfs_error_remove_folio(), which has yet to return. */
	if (READ_ONCE(cramfs_memory_failed))
		synchronize_rcu_tasks();
	cramfs_debug_exit();
	cramfs_destroy_inode_cache();
	pr_info("unloaded\n");
}

module_init(cramfs_init);
module_exit(cramfs_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("A RAM file system with limits, type cramfs");
MODULE_VERSION(KMK_VERSION);
