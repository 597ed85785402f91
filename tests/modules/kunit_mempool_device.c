// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of kmk_mempool, in three files as some names are in more than one of
 * its own: here those of /dev/mempool, its limit and the offsets in an open file.
 */
#include "kunit_alone.h"

#include "../../mempool/device.c"

#include <kunit/test.h>

static int device_test_init(struct kunit *test)
{
	max_bytes = 3 * PAGE_SIZE + 1;
	return 0;
}

static void device_test_exit(struct kunit *test)
{
	usage.blocks = 0;
	usage.bytes = 0;
	usage.allocs = 0;
	usage.frees = 0;
	usage.refused = 0;
}

static void limit_is_never_passed(struct kunit *test)
{
	struct kmk_mempool_stats stats;

	KUNIT_EXPECT_TRUE(test, mempool_dev_reserve(2));
	KUNIT_EXPECT_FALSE(test, mempool_dev_reserve(2));
	KUNIT_EXPECT_FALSE(test, mempool_dev_reserve(U64_MAX >> PAGE_SHIFT));
	KUNIT_EXPECT_FALSE(test, mempool_dev_reserve(U64_MAX));
	KUNIT_EXPECT_TRUE(test, mempool_dev_reserve(1));
	KUNIT_EXPECT_FALSE(test, mempool_dev_reserve(1));
	mempool_dev_get_stats(&stats);
	KUNIT_EXPECT_EQ(test, stats.bytes, (u64)3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, stats.blocks, 2ULL);
	KUNIT_EXPECT_EQ(test, stats.refused, 4ULL);

	mempool_dev_cancel(1, -ENOMEM);
	mempool_dev_unreserve(2);
	mempool_dev_get_stats(&stats);
	KUNIT_EXPECT_EQ(test, stats.bytes, 0ULL);
	KUNIT_EXPECT_EQ(test, stats.blocks, 0ULL);
	KUNIT_EXPECT_EQ(test, stats.allocs, 1ULL);
	KUNIT_EXPECT_EQ(test, stats.frees, 1ULL);
	KUNIT_EXPECT_EQ(test, stats.refused, 5ULL);

	/* Only what lacked memory was refused. */
	KUNIT_EXPECT_TRUE(test, mempool_dev_reserve(1));
	mempool_dev_cancel(1, -EFAULT);
	mempool_dev_get_stats(&stats);
	KUNIT_EXPECT_EQ(test, stats.bytes, 0ULL);
	KUNIT_EXPECT_EQ(test, stats.refused, 5ULL);
}

/* An open file's offsets end some day, and do not begin again. */
static void offsets_end(struct kunit *test)
{
	static struct inode inode;
	struct pool_file pf = { .inode = &inode, .blocks = RB_ROOT, .next = LAST_PAGE - 4 };
	struct pool_block block = { .npages = 4 };

	spin_lock_init(&pf.lock);
	KUNIT_EXPECT_EQ(test, mempool_dev_assign_offset(&pf, &block), -ENOMEM);
	block.npages = 3;
	KUNIT_EXPECT_EQ(test, mempool_dev_assign_offset(&pf, &block), 0);
	KUNIT_EXPECT_EQ(test, block.start, LAST_PAGE - 4);
	KUNIT_EXPECT_EQ(test, pf.next, LAST_PAGE);
	KUNIT_EXPECT_EQ(test, i_size_read(&inode), (loff_t)(LAST_PAGE - 1) << PAGE_SHIFT);
	block.npages = 1;
	KUNIT_EXPECT_EQ(test, mempool_dev_assign_offset(&pf, &block), -ENOMEM);
}

static void handle_is_a_beginning(struct kunit *test)
{
	struct pool_block first = { .start = 1, .npages = 2 };
	struct pool_block last = { .start = LAST_PAGE - 4, .npages = 3 };
	struct pool_file pf = { .blocks = RB_ROOT };
	u64 handle = (u64)first.start << PAGE_SHIFT, far = (u64)last.start << PAGE_SHIFT;

	spin_lock_init(&pf.lock);
	mempool_dev_insert(&pf, &last);
	mempool_dev_insert(&pf, &first);
	KUNIT_EXPECT_EQ(test, pf.bytes, (u64)5 * PAGE_SIZE);
	spin_lock(&pf.lock);
	KUNIT_EXPECT_PTR_EQ(test, mempool_dev_find_handle(&pf, handle), &first);
	KUNIT_EXPECT_NULL(test, mempool_dev_find_handle(&pf, 0));
	KUNIT_EXPECT_NULL(test, mempool_dev_find_handle(&pf, handle + 1));
	KUNIT_EXPECT_NULL(test, mempool_dev_find_handle(&pf, handle + PAGE_SIZE));
	KUNIT_EXPECT_NULL(test, mempool_dev_find_handle(&pf, U64_MAX));
	KUNIT_EXPECT_PTR_EQ(test, mempool_dev_find_handle(&pf, far), &last);
	/* Just behind its end a block is still found, to say ENOSPC and not ENOENT; not beyond. */
	KUNIT_EXPECT_PTR_EQ(test, mempool_dev_find(&pf, 3), &first);
	KUNIT_EXPECT_NULL(test, mempool_dev_find(&pf, 4));
	KUNIT_EXPECT_NULL(test, mempool_dev_find(&pf, 0));
	KUNIT_EXPECT_PTR_EQ(test, mempool_dev_find(&pf, LAST_PAGE - 1), &last);
	KUNIT_EXPECT_NULL(test, mempool_dev_find(&pf, LAST_PAGE));
	mempool_dev_remove(&pf, &first);
	KUNIT_EXPECT_NULL(test, mempool_dev_find_handle(&pf, handle));
	KUNIT_EXPECT_EQ(test, pf.count, 1ULL);
	KUNIT_EXPECT_EQ(test, pf.bytes, (u64)3 * PAGE_SIZE);
	spin_unlock(&pf.lock);
}

static struct kunit_case device_cases[] = {
	KUNIT_CASE(limit_is_never_passed),
	KUNIT_CASE(offsets_end),
	KUNIT_CASE(handle_is_a_beginning),
	{}
};

static struct kunit_suite device_suite = {
	.name = "kmk_mempool_device",
	.init = device_test_init,
	.exit = device_test_exit,
	.test_cases = device_cases,
};
kunit_test_suite(device_suite);
