// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of kmk_ramfs's limits and of how it reads its options.
 */
#include "kunit_alone.h"

#include "../../ramfs/super.c"
#ifdef CONFIG_FS_POSIX_ACL
#include "../../ramfs/acl.c"
#endif
#include "../../ramfs/dir.c"
#include "../../ramfs/export.c"
#include "../../ramfs/file.c"
#include "../../ramfs/limit.c"
#include "../../ramfs/xattr.c"
#include "../../ramfs/debug.c"	/* last: it makes the tracepoints that the others use */

#include <kunit/test.h>

#define RAM	(1000 * PAGE_SIZE)

static const struct {
	const char *text;
	u64 whole;
	bool valid;
	u64 amount;
} amounts[] = {
	{ "0", 0, true, 0 },
	{ "1", 0, true, 1 },
	{ "12k", 0, true, 12ULL << 10 },
	{ "12K", 0, true, 12ULL << 10 },
	{ "12m", 0, true, 12ULL << 20 },
	{ "12G", 0, true, 12ULL << 30 },
	{ "18446744073709551615", 0, true, U64_MAX },
	{ "18446744073709551616", 0, false },
	{ "00000000000000000000001", 0, true, 1 },
	{ "000000000000000000000001", 0, false },	/* more digits than a number has */
	{ "18014398509481983k", 0, true, U64_MAX - 1023 },
	{ "18014398509481984k", 0, false },
	{ "17592186044415m", 0, true, U64_MAX - 0xfffff },
	{ "17592186044416m", 0, false },
	{ "17179869183g", 0, true, U64_MAX - 0x3fffffff },
	{ "17179869184g", 0, false },
	{ "100%", RAM, true, RAM },
	{ "0%", RAM, true, 0 },
	{ "33%", RAM, true, 330 * PAGE_SIZE },
	{ "1%", PAGE_SIZE, true, 0 },
	{ "150%", RAM, true, 1500 * PAGE_SIZE },
	{ "18446744073709551615%", RAM, false },
	{ "5%", 0, false },		/* of what */
	{ "", RAM, false },
	{ "k", RAM, false },
	{ "%", RAM, false },
	{ "-1", RAM, false },
	{ "+1", RAM, false },
	{ " 1", RAM, false },
	{ "1 ", RAM, false },
	{ "1kk", RAM, false },
	{ "1%%", RAM, false },
	{ "1k%", RAM, false },
	{ "0x10", RAM, false },
	{ "1t", RAM, true, 1ULL << 40 },
	{ "15E", 0, true, 15ULL << 60 },
	{ "16e", 0, false },
	{ "16383p", 0, true, 16383ULL << 50 },
	{ "16384P", 0, false },
	{ "1z", RAM, false },
};

static void amount_is_parsed(struct kunit *test)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(amounts); i++) {
		u64 amount = 0;

		KUNIT_EXPECT_EQ_MSG(test, amounts[i].valid,
				    cramfs_parse_amount(amounts[i].text, amounts[i].whole,
							&amount), "'%s'", amounts[i].text);
		if (amounts[i].valid)
			KUNIT_EXPECT_EQ_MSG(test, amount, amounts[i].amount, "'%s'",
					    amounts[i].text);
	}
}

/* The messages of a mount about its options go to its own log. */
static void make_context(struct kunit *test, struct fs_context *fc)
{
	*fc = (struct fs_context) {
		.log.log = kunit_kzalloc(test, sizeof(*fc->log.log), GFP_KERNEL),
	};
	KUNIT_ASSERT_NOT_NULL(test, fc->log.log);
	fc->log.log->usage = (refcount_t)REFCOUNT_INIT(1);
}

static void free_messages(struct fs_context *fc)
{
	struct fc_log *log = fc->log.log;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(log->buffer); i++)
		if (log->need_free & BIT(i))
			kfree(log->buffer[i]);
}

static void size_becomes_pages(struct kunit *test)
{
	struct fs_context fc;
	s64 pages = -1;

	make_context(test, &fc);
	KUNIT_EXPECT_EQ(test, cramfs_parse_size(&fc, "0", &pages), 0);
	KUNIT_EXPECT_EQ(test, pages, CRAMFS_UNLIMITED);
	KUNIT_EXPECT_EQ(test, cramfs_parse_size(&fc, "1", &pages), 0);
	KUNIT_EXPECT_EQ(test, pages, 1LL);
	KUNIT_EXPECT_EQ(test, cramfs_parse_size(&fc, "64k", &pages), 0);
	KUNIT_EXPECT_EQ(test, pages, (s64)(SZ_64K / PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, cramfs_parse_size(&fc, "65537", &pages), 0);
	KUNIT_EXPECT_EQ(test, pages, (s64)(SZ_64K / PAGE_SIZE + 1));
	KUNIT_EXPECT_EQ(test, cramfs_parse_size(&fc, "100%", &pages), 0);
	KUNIT_EXPECT_EQ(test, pages, (s64)totalram_pages());
	/* The last size whose pages can be counted, and the first beyond. */
	KUNIT_EXPECT_EQ(test, cramfs_parse_size(&fc, "8192p", &pages), -EINVAL);
	KUNIT_EXPECT_EQ(test, cramfs_parse_size(&fc, "9223372036854771711", &pages), 0);
	KUNIT_EXPECT_EQ(test, pages, (s64)(S64_MAX / PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, cramfs_parse_size(&fc, "9223372036854771712", &pages), 0);
	KUNIT_EXPECT_EQ(test, pages, (s64)(S64_MAX / PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, cramfs_parse_size(&fc, "9223372036854771713", &pages), -EINVAL);
	KUNIT_EXPECT_EQ(test, pages, (s64)(S64_MAX / PAGE_SIZE));
	free_messages(&fc);
}

static int count_of(struct fs_context *fc, char *text, u64 max, s64 *count)
{
	struct fs_parameter param = { .key = "nr_inodes", .string = text };

	return cramfs_parse_count(fc, &param, max, count);
}

static void counts_have_no_percents(struct kunit *test)
{
	struct fs_context fc;
	s64 count = -1;

	make_context(test, &fc);
	KUNIT_EXPECT_EQ(test, count_of(&fc, "0", 5, &count), 0);
	KUNIT_EXPECT_EQ(test, count, CRAMFS_UNLIMITED);
	KUNIT_EXPECT_EQ(test, count_of(&fc, "2k", 2048, &count), 0);
	KUNIT_EXPECT_EQ(test, count, 2048LL);
	KUNIT_EXPECT_EQ(test, count_of(&fc, "2k", 2047, &count), -EINVAL);
	KUNIT_EXPECT_EQ(test, count_of(&fc, "5%", S64_MAX, &count), -EINVAL);
	KUNIT_EXPECT_EQ(test, count, 2048LL);
	free_messages(&fc);
}

static void make_limit(struct kunit *test, struct cramfs_limit *limit, s64 max)
{
	atomic64_t __percpu *credit = alloc_percpu(atomic64_t);

	KUNIT_ASSERT_TRUE(test, credit);
	cramfs_init_limit(limit, max, credit);
}

/* The limit on the pages of a mount that has none on its inodes. */
static struct cramfs_limit *make_limits(struct kunit *test, s64 max)
{
	struct cramfs_sb *csb = kunit_kzalloc(test, sizeof(*csb), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, csb);
	make_limit(test, &csb->pages, max);
	make_limit(test, &csb->inodes, CRAMFS_UNLIMITED);
	return &csb->pages;
}

static bool change_limit(struct cramfs_limit *pages, s64 max)
{
	struct cramfs_sb *csb = container_of(pages, struct cramfs_sb, pages);

	return !cramfs_change_limits(csb, max, CRAMFS_UNLIMITED);
}

static void free_limits(struct cramfs_limit *pages)
{
	struct cramfs_sb *csb = container_of(pages, struct cramfs_sb, pages);

	free_percpu(csb->pages.credit);
	free_percpu(csb->inodes.credit);
}

static void limit_is_exact(struct kunit *test)
{
	struct cramfs_limit *limit = make_limits(test, 10);

	KUNIT_EXPECT_TRUE(test, cramfs_charge(limit, 7));
	KUNIT_EXPECT_FALSE(test, cramfs_charge(limit, 4));
	KUNIT_EXPECT_FALSE(test, cramfs_charge(limit, S64_MAX));
	KUNIT_EXPECT_EQ(test, cramfs_used(limit), 7LL);
	KUNIT_EXPECT_TRUE(test, cramfs_charge(limit, 3));
	KUNIT_EXPECT_FALSE(test, cramfs_charge(limit, 1));
	KUNIT_EXPECT_TRUE(test, cramfs_charge(limit, 0));
	cramfs_uncharge(limit, 10);
	KUNIT_EXPECT_EQ(test, cramfs_used(limit), 0LL);
	free_limits(limit);
}

static void limit_changes(struct kunit *test)
{
	struct cramfs_limit *limit = make_limits(test, 10);

	KUNIT_EXPECT_TRUE(test, cramfs_charge(limit, 7));
	KUNIT_EXPECT_FALSE(test, change_limit(limit, 6));
	KUNIT_EXPECT_EQ(test, limit->max, 10LL);
	KUNIT_EXPECT_TRUE(test, change_limit(limit, 7));
	KUNIT_EXPECT_EQ(test, limit->max, 7LL);
	KUNIT_EXPECT_EQ(test, cramfs_used(limit), 7LL);
	KUNIT_EXPECT_FALSE(test, cramfs_charge(limit, 1));
	KUNIT_EXPECT_TRUE(test, change_limit(limit, CRAMFS_UNLIMITED));
	KUNIT_EXPECT_EQ(test, cramfs_used(limit), 7LL);
	KUNIT_EXPECT_TRUE(test, cramfs_charge(limit, CRAMFS_UNLIMITED - 7));
	KUNIT_EXPECT_FALSE(test, cramfs_charge(limit, 1));
	KUNIT_EXPECT_EQ(test, cramfs_used(limit), CRAMFS_UNLIMITED);
	free_limits(limit);
}

/* As another CPU's charge of one unit does. */
static void give_credit(struct cramfs_limit *limit, int cpu)
{
	atomic64_set(per_cpu_ptr(limit->credit, cpu), CRAMFS_BATCH);
	limit->pool -= CRAMFS_BATCH;
}

static void limit_finds_all_credit(struct kunit *test)
{
	s64 max = 10LL * CRAMFS_BATCH * num_possible_cpus();
	struct cramfs_limit *limit = make_limits(test, max);
	int cpu;

	KUNIT_EXPECT_TRUE(test, cramfs_charge(limit, 1));
	KUNIT_EXPECT_TRUE(test, limit->open);
	KUNIT_EXPECT_EQ(test, cramfs_used(limit), 1LL);
	KUNIT_EXPECT_EQ(test, limit->pool, max - 1 - CRAMFS_BATCH);
	/* this one needs no pool */
	KUNIT_EXPECT_TRUE(test, cramfs_charge(limit, 1));
	KUNIT_EXPECT_EQ(test, cramfs_used(limit), 2LL);
	cramfs_uncharge(limit, 2);
	KUNIT_EXPECT_EQ(test, cramfs_used(limit), 0LL);

	KUNIT_EXPECT_TRUE(test, cramfs_charge(limit, 1));
	for_each_possible_cpu(cpu)
		if (!atomic64_read(per_cpu_ptr(limit->credit, cpu)))
			give_credit(limit, cpu);
	KUNIT_EXPECT_EQ(test, cramfs_used(limit), 1LL);
	KUNIT_EXPECT_FALSE(test, cramfs_charge(limit, max));
	KUNIT_EXPECT_FALSE(test, limit->open);
	KUNIT_EXPECT_EQ(test, limit->pool, max - 1);
	KUNIT_EXPECT_TRUE(test, cramfs_charge(limit, max - 1));
	KUNIT_EXPECT_FALSE(test, cramfs_charge(limit, 1));

	/* a credit that is given much keeps one batch, or two CPUs one each */
	cramfs_uncharge(limit, max);
	KUNIT_EXPECT_TRUE(test, cramfs_charge(limit, max / 2));
	KUNIT_EXPECT_TRUE(test, limit->open);
	cramfs_uncharge(limit, max / 2);
	KUNIT_EXPECT_GE(test, limit->pool, max - 2 * CRAMFS_BATCH);

	/* and one that shrinks is exact at once */
	KUNIT_EXPECT_TRUE(test, cramfs_charge(limit, 5));
	KUNIT_EXPECT_FALSE(test, change_limit(limit, 4));
	KUNIT_EXPECT_TRUE(test, change_limit(limit, 5));
	KUNIT_EXPECT_EQ(test, cramfs_used(limit), 5LL);
	free_limits(limit);
}

static void limit_notes_its_highest(struct kunit *test)
{
	struct cramfs_limit *limit = make_limits(test, CRAMFS_UNLIMITED);

	limit->plenty = S64_MAX;
	KUNIT_EXPECT_TRUE(test, cramfs_charge(limit, 0));
	KUNIT_EXPECT_FALSE(test, limit->open);
	KUNIT_EXPECT_TRUE(test, cramfs_charge(limit, 7));
	cramfs_uncharge(limit, 5);
	KUNIT_EXPECT_TRUE(test, cramfs_charge(limit, 1));
	/* a limit that shrinks or grows is not used more */
	KUNIT_EXPECT_TRUE(test, change_limit(limit, 3));
	KUNIT_EXPECT_TRUE(test, change_limit(limit, 1000));
	KUNIT_EXPECT_EQ(test, limit->high, 7LL);
	free_limits(limit);
}

static void ino_is_unique(struct kunit *test)
{
	struct cramfs_sb *csb = kunit_kzalloc(test, sizeof(*csb), GFP_KERNEL);
	unsigned long *seen = kunit_kzalloc(test, BITS_TO_LONGS(1024) * sizeof(long), GFP_KERNEL);
	u64 ino;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, csb);
	KUNIT_ASSERT_NOT_NULL(test, seen);
	csb->cpus = alloc_percpu(struct cramfs_cpu);
	KUNIT_ASSERT_TRUE(test, csb->cpus);
	/* the root's is that of other file systems */
	KUNIT_EXPECT_EQ(test, cramfs_next_ino(csb), 1ULL);
	for (i = 0; i < 200; i++) {
		ino = cramfs_next_ino(csb);
		KUNIT_ASSERT_LT(test, ino, 1024ULL);
		KUNIT_EXPECT_FALSE(test, __test_and_set_bit(ino, seen));
	}
	/* none is 0 in 32 bits either */
	atomic64_set(&csb->next_ino, U32_MAX + 1ULL - CRAMFS_BATCH);
	for (i = 0; i < 200; i++)
		KUNIT_EXPECT_NE(test, lower_32_bits(cramfs_next_ino(csb)), 0U);
	KUNIT_EXPECT_GT(test, cramfs_next_ino(csb), 1ULL << 32);
	free_percpu(csb->cpus);
}

static void type_name_is_safe(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, cramfs_valid_type_name("cramfs"));
	KUNIT_EXPECT_TRUE(test, cramfs_valid_type_name("0_Z-a"));
	KUNIT_EXPECT_TRUE(test, cramfs_valid_type_name("1234567890123456789012345678901"));
	KUNIT_EXPECT_FALSE(test, cramfs_valid_type_name("12345678901234567890123456789012"));
	KUNIT_EXPECT_FALSE(test, cramfs_valid_type_name(""));
	KUNIT_EXPECT_FALSE(test, cramfs_valid_type_name("a.b"));
	KUNIT_EXPECT_FALSE(test, cramfs_valid_type_name("a b"));
	KUNIT_EXPECT_FALSE(test, cramfs_valid_type_name("a\n"));
	KUNIT_EXPECT_FALSE(test, cramfs_valid_type_name("\xe4"));
}

/* A mount that user space does not see. */
static struct vfsmount *mount_inside(struct kunit *test)
{
	struct vfsmount *mnt;

	cramfs_type.name = "kunit_ramfs";
	KUNIT_ASSERT_EQ(test, cramfs_init_inode_cache(), 0);
	mnt = kern_mount(&cramfs_type);
	KUNIT_ASSERT_FALSE(test, IS_ERR(mnt));
	return mnt;
}

static void unmount_inside(struct vfsmount *mnt)
{
	kern_unmount(mnt);
	cramfs_destroy_inode_cache();
}

/* Make or remove the files of the root directory that are named by the numbers from @first on. */
static void make_names(struct kunit *test, struct dentry *root, int first, int count)
{
	struct inode *dir = d_inode(root);
	struct dentry *dentry;
	char name[16];
	int i;

	inode_lock(dir);
	for (i = first; i < first + count; i++) {
		sprintf(name, "%d", i);
		dentry = d_alloc_name(root, name);
		KUNIT_EXPECT_EQ(test, 0, cramfs_create(&nop_mnt_idmap, dir, dentry, 0644));
		dput(dentry);
	}
	inode_unlock(dir);
}

static struct dentry *find_name(struct dentry *root, int i)
{
	struct qstr name = {};
	char text[16];

	name.len = sprintf(text, "%d", i);
	name.name = text;
	name.hash = full_name_hash(root, text, name.len);
	return d_lookup(root, &name);
}

static void remove_names(struct kunit *test, struct dentry *root, int first, int count)
{
	struct inode *dir = d_inode(root);
	struct dentry *dentry;
	int i;

	inode_lock(dir);
	for (i = first; i < first + count; i++) {
		dentry = find_name(root, i);
		KUNIT_EXPECT_EQ(test, 0, cramfs_unlink(dir, dentry));
		d_drop(dentry);
		dput(dentry);
	}
	inode_unlock(dir);
}

#define NAMES	1000

struct reader {
	struct dir_context ctx;
	int left;		/* it stops after so many */
	int total;
	loff_t last;
	bool ascending;
	unsigned char seen[NAMES];
};

static bool read_name(struct dir_context *ctx, const char *name, int size, loff_t offset, u64 ino,
		      unsigned int type)
{
	struct reader *reader = container_of(ctx, struct reader, ctx);
	char text[16];
	int i;

	if (!reader->left)
		return false;
	if (name[0] == '.')
		return true;
	reader->left--;
	reader->total++;
	reader->ascending &= offset > reader->last;
	reader->last = offset;
	strscpy(text, name, size + 1);
	if (!kstrtoint(text, 10, &i) && i < NAMES)
		reader->seen[i]++;
	return true;
}

static struct file *open_reader(struct kunit *test, struct vfsmount *mnt, struct reader *reader)
{
	struct path path = { .mnt = mnt, .dentry = mnt->mnt_root };
	struct file *file = dentry_open(&path, O_RDONLY | O_DIRECTORY, current_cred());

	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	*reader = (struct reader) { .ctx.actor = read_name, .ascending = true };
	return file;
}

static void read_names(struct file *file, struct reader *reader, int count)
{
	reader->left = count;
	iterate_dir(file, &reader->ctx);
}

static void expect_seen(struct kunit *test, const struct reader *reader, int first, int count,
			int times)
{
	int i;

	for (i = first; i < first + count; i++)
		KUNIT_EXPECT_EQ_MSG(test, (int)reader->seen[i], times, "%d", i);
}

static void offsets_are_reused(struct kunit *test)
{
	struct vfsmount *mnt = mount_inside(test);
	struct dentry *root = mnt->mnt_root;
	struct cramfs_dir *dir = &CRAMFS_I(d_inode(root))->dir;
	struct reader *reader = kunit_kzalloc(test, sizeof(*reader), GFP_KERNEL);
	struct file *file;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, reader);
	make_names(test, root, 0, 40);
	remove_names(test, root, 32, 8);
	/* as if almost all offsets were used up: two chunks are left */
	dir->last = (CRAMFS_CHUNKS - 1) * CRAMFS_CHUNK_SLOTS - 1;
	make_names(test, root, 100, 62);
	KUNIT_EXPECT_EQ(test, dir->last, CRAMFS_CHUNKS * CRAMFS_CHUNK_SLOTS - 1);
	KUNIT_EXPECT_EQ(test, cramfs_dir_end(dir), dir->last);
	/* begins again behind what stayed */
	make_names(test, root, 200, 50);
	KUNIT_EXPECT_LT(test, dir->last, 4UL * CRAMFS_CHUNK_SLOTS);
	KUNIT_EXPECT_EQ(test, cramfs_dir_end(dir), CRAMFS_CHUNKS * CRAMFS_CHUNK_SLOTS - 1);

	/* each name is seen once, also when others come and go meanwhile */
	file = open_reader(test, mnt, reader);
	read_names(file, reader, 40);
	make_names(test, root, 300, 50);
	remove_names(test, root, 100, 31);
	read_names(file, reader, INT_MAX);
	KUNIT_EXPECT_TRUE(test, reader->ascending);
	expect_seen(test, reader, 0, 32, 1);
	expect_seen(test, reader, 131, 31, 1);
	expect_seen(test, reader, 200, 50, 1);
	fput(file);

	/* new names do not keep a reader from the end, unless an old one has a high offset */
	remove_names(test, root, 131, 31);
	KUNIT_EXPECT_LE(test, cramfs_dir_end(dir), dir->last);
	file = open_reader(test, mnt, reader);
	for (i = 0; reader->total == i && i < 200; i++) {
		read_names(file, reader, 1);
		make_names(test, root, 1000 + i, 1);
	}
	KUNIT_EXPECT_EQ(test, reader->total, 32 + 50 + 50);
	fput(file);
	/* this is a kernel thread, whose files are closed later */
	flush_delayed_fput();
	unmount_inside(mnt);
}

static void numbers_of_32_bits_have_generations(struct kunit *test)
{
	struct vfsmount *mnt = mount_inside(test);
	struct cramfs_sb *csb = CRAMFS_SB(mnt->mnt_sb);
	struct inode *inode[3];
	int i;

	csb->ino32 = true;
	for (i = 0; i < 3; i++) {
		unsigned int cpu;

		/* the same 32 bits each time, from a new batch */
		atomic64_set(&csb->next_ino, ((u64)i << 32) + CRAMFS_BATCH);
		for_each_possible_cpu(cpu)
			per_cpu_ptr(csb->cpus, cpu)->next_ino = 0;
		inode[i] = cramfs_new_inode(&nop_mnt_idmap, mnt->mnt_sb, NULL, NULL,
					    S_IFREG | 0644, 0);
		KUNIT_ASSERT_FALSE(test, IS_ERR(inode[i]));
	}
	for (i = 0; i < 3; i++) {
		struct fid fid;
		int words = CRAMFS_HANDLE_WORDS;
		struct dentry *dentry;

		KUNIT_EXPECT_EQ(test, (int)inode[i]->i_ino, CRAMFS_BATCH);
		KUNIT_EXPECT_EQ(test, inode[i]->i_generation, csb->generation + i);
		cramfs_encode_fh(inode[i], fid.raw, &words, NULL);
		dentry = cramfs_fh_to_dentry(mnt->mnt_sb, &fid, words, CRAMFS_HANDLE_TYPE);
		KUNIT_ASSERT_FALSE(test, IS_ERR(dentry));
		KUNIT_EXPECT_PTR_EQ(test, d_inode(dentry), inode[i]);
		dput(dentry);
	}
	for (i = 0; i < 3; i++)
		iput(inode[i]);
	unmount_inside(mnt);
}

static struct kunit_case super_cases[] = {
	KUNIT_CASE(amount_is_parsed),
	KUNIT_CASE(size_becomes_pages),
	KUNIT_CASE(counts_have_no_percents),
	KUNIT_CASE(limit_is_exact),
	KUNIT_CASE(limit_changes),
	KUNIT_CASE(limit_finds_all_credit),
	KUNIT_CASE(limit_notes_its_highest),
	KUNIT_CASE(ino_is_unique),
	KUNIT_CASE(type_name_is_safe),
	KUNIT_CASE(offsets_are_reused),
	KUNIT_CASE(numbers_of_32_bits_have_generations),
	{}
};

static struct kunit_suite super_suite = {
	.name = "kmk_ramfs",
	.test_cases = super_cases,
};
kunit_test_suite(super_suite);
