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
	{ "1t", RAM, false },
};

static void amount_is_parsed(struct kunit *test)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(amounts); i++) {
		u64 amount = 0;

		KUNIT_EXPECT_EQ_MSG(test, parse_amount(amounts[i].text, amounts[i].whole, &amount),
				    amounts[i].valid, "'%s'", amounts[i].text);
		if (amounts[i].valid)
			KUNIT_EXPECT_EQ_MSG(test, amount, amounts[i].amount, "'%s'",
					    amounts[i].text);
	}
}

/* What a mount tells of an option goes to its own log. */
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
	KUNIT_EXPECT_EQ(test, parse_size(&fc, "0", &pages), 0);
	KUNIT_EXPECT_EQ(test, pages, CRAMFS_UNLIMITED);
	KUNIT_EXPECT_EQ(test, parse_size(&fc, "1", &pages), 0);
	KUNIT_EXPECT_EQ(test, pages, 1LL);
	KUNIT_EXPECT_EQ(test, parse_size(&fc, "64k", &pages), 0);
	KUNIT_EXPECT_EQ(test, pages, (s64)(SZ_64K / PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, parse_size(&fc, "65537", &pages), 0);
	KUNIT_EXPECT_EQ(test, pages, (s64)(SZ_64K / PAGE_SIZE + 1));
	KUNIT_EXPECT_EQ(test, parse_size(&fc, "100%", &pages), 0);
	KUNIT_EXPECT_EQ(test, pages, (s64)totalram_pages());
	/* The last size whose pages can be counted, and the first beyond. */
	KUNIT_EXPECT_EQ(test, parse_size(&fc, "8191p", &pages), -EINVAL);
	KUNIT_EXPECT_EQ(test, parse_size(&fc, "9223372036854771711", &pages), 0);
	KUNIT_EXPECT_EQ(test, pages, (s64)(S64_MAX / PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, parse_size(&fc, "9223372036854771712", &pages), -EINVAL);
	KUNIT_EXPECT_EQ(test, pages, (s64)(S64_MAX / PAGE_SIZE));
	free_messages(&fc);
}

static void inodes_have_no_percents(struct kunit *test)
{
	struct fs_context fc;
	s64 inodes = -1;

	make_context(test, &fc);
	KUNIT_EXPECT_EQ(test, parse_inodes(&fc, "0", &inodes), 0);
	KUNIT_EXPECT_EQ(test, inodes, CRAMFS_UNLIMITED);
	KUNIT_EXPECT_EQ(test, parse_inodes(&fc, "2k", &inodes), 0);
	KUNIT_EXPECT_EQ(test, inodes, 2048LL);
	KUNIT_EXPECT_EQ(test, parse_inodes(&fc, "9223372036854775806", &inodes), 0);
	KUNIT_EXPECT_EQ(test, inodes, S64_MAX - 1);
	KUNIT_EXPECT_EQ(test, parse_inodes(&fc, "9223372036854775807", &inodes), -EINVAL);
	KUNIT_EXPECT_EQ(test, parse_inodes(&fc, "5%", &inodes), -EINVAL);
	KUNIT_EXPECT_EQ(test, inodes, S64_MAX - 1);
	free_messages(&fc);
}

static void limit_is_exact(struct kunit *test)
{
	struct cramfs_limit limit = {};

	limit_init(&limit, 10);
	KUNIT_EXPECT_TRUE(test, cramfs_take(&limit, 7));
	KUNIT_EXPECT_FALSE(test, cramfs_take(&limit, 4));
	KUNIT_EXPECT_FALSE(test, cramfs_take(&limit, S64_MAX));
	KUNIT_EXPECT_EQ(test, cramfs_used(&limit), 7LL);
	KUNIT_EXPECT_TRUE(test, cramfs_take(&limit, 3));
	KUNIT_EXPECT_FALSE(test, cramfs_take(&limit, 1));
	KUNIT_EXPECT_TRUE(test, cramfs_take(&limit, 0));
	cramfs_give(&limit, 10);
	KUNIT_EXPECT_EQ(test, cramfs_used(&limit), 0LL);
}

static void limit_changes(struct kunit *test)
{
	struct cramfs_limit limit = {};

	limit_init(&limit, 10);
	KUNIT_EXPECT_TRUE(test, cramfs_take(&limit, 7));
	KUNIT_EXPECT_FALSE(test, limit_shrink(&limit, 6));
	KUNIT_EXPECT_EQ(test, limit.max, 10LL);
	KUNIT_EXPECT_TRUE(test, limit_shrink(&limit, 7));
	KUNIT_EXPECT_EQ(test, limit.max, 7LL);
	KUNIT_EXPECT_EQ(test, cramfs_used(&limit), 7LL);
	KUNIT_EXPECT_FALSE(test, cramfs_take(&limit, 1));
	/* Each of the two goes one way only. */
	KUNIT_EXPECT_TRUE(test, limit_shrink(&limit, 20));
	limit_grow(&limit, 5);
	KUNIT_EXPECT_EQ(test, limit.max, 7LL);
	limit_grow(&limit, CRAMFS_UNLIMITED);
	KUNIT_EXPECT_EQ(test, cramfs_used(&limit), 7LL);
	KUNIT_EXPECT_TRUE(test, cramfs_take(&limit, CRAMFS_UNLIMITED - 7));
	KUNIT_EXPECT_FALSE(test, cramfs_take(&limit, 1));
	KUNIT_EXPECT_EQ(test, cramfs_used(&limit), CRAMFS_UNLIMITED);
}

static void limit_notes_its_highest(struct kunit *test)
{
	struct cramfs_limit limit = { .track = true };

	limit_init(&limit, 10);
	KUNIT_EXPECT_TRUE(test, cramfs_take(&limit, 7));
	cramfs_give(&limit, 5);
	KUNIT_EXPECT_TRUE(test, cramfs_take(&limit, 1));
	/* a limit that shrinks or grows is not used more */
	KUNIT_EXPECT_TRUE(test, limit_shrink(&limit, 3));
	limit_grow(&limit, 1000);
	KUNIT_EXPECT_EQ(test, (s64)atomic64_read(&limit.high), 7LL);
}

static void type_name_is_safe(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, valid_type_name("cramfs"));
	KUNIT_EXPECT_TRUE(test, valid_type_name("0_Z-a"));
	KUNIT_EXPECT_TRUE(test, valid_type_name("1234567890123456789012345678901"));
	KUNIT_EXPECT_FALSE(test, valid_type_name("12345678901234567890123456789012"));
	KUNIT_EXPECT_FALSE(test, valid_type_name(""));
	KUNIT_EXPECT_FALSE(test, valid_type_name("a.b"));
	KUNIT_EXPECT_FALSE(test, valid_type_name("a b"));
	KUNIT_EXPECT_FALSE(test, valid_type_name("a\n"));
	KUNIT_EXPECT_FALSE(test, valid_type_name("\xe4"));
}

static struct kunit_case super_cases[] = {
	KUNIT_CASE(amount_is_parsed),
	KUNIT_CASE(size_becomes_pages),
	KUNIT_CASE(inodes_have_no_percents),
	KUNIT_CASE(limit_is_exact),
	KUNIT_CASE(limit_changes),
	KUNIT_CASE(limit_notes_its_highest),
	KUNIT_CASE(type_name_is_safe),
	{}
};

static struct kunit_suite super_suite = {
	.name = "kmk_ramfs",
	.test_cases = super_cases,
};
kunit_test_suite(super_suite);
