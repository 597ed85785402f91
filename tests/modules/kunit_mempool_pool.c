// SPDX-License-Identifier: GPL-2.0
/* KUnit tests of the pool's arithmetic and accounting: see kunit_mempool_device.c. */
#include <linux/export.h>

/* The module itself exports them. */
#undef EXPORT_SYMBOL_GPL
#define EXPORT_SYMBOL_GPL(symbol)

#include "../../mempool/pool.c"
#include "../../mempool/misuse.c"

#include <kunit/test.h>

static struct kmk_pool *make(struct kunit *test, size_t size, unsigned long total,
			     unsigned int flags)
{
	struct kmk_pool *pool = kmk_pool_create("kunit", size, total, flags);

	KUNIT_ASSERT_FALSE(test, IS_ERR(pool));
	return pool;
}

/* Of each stride: each block's address has its index, and no other address has one. */
static void index_of_an_address(struct kunit *test)
{
	struct kmk_pool pool = { .total = 37, .first = (char *)0x1000 };
	unsigned long at, end;
	size_t area;

	for (pool.block_size = 1; pool.block_size <= 300; pool.block_size += 7) {
		KUNIT_ASSERT_TRUE(test, lay_out(&pool, &area));
		end = pool.total * pool.stride;
		for (at = 0; at < end + pool.stride; at++) {
			unsigned long index = block_index(&pool, pool.first + at);

			if (at < end && at % pool.stride == 0)
				KUNIT_EXPECT_EQ(test, index, at / pool.stride);
			else
				KUNIT_EXPECT_GE(test, index, pool.total);
		}
		for (at = 1; at <= 2 * pool.stride; at++)
			KUNIT_EXPECT_GE(test, block_index(&pool, pool.first - at), pool.total);
		KUNIT_EXPECT_GE(test, block_index(&pool, (void *)ULONG_MAX), pool.total);
	}
}

static void inverse_is_one(struct kunit *test)
{
	unsigned long odd;

	for (odd = 1; odd < 10000; odd += 2)
		KUNIT_EXPECT_EQ(test, odd * inverse_of(odd), 1UL);
	KUNIT_EXPECT_EQ(test, ULONG_MAX * inverse_of(ULONG_MAX), 1UL);
}

static const struct {
	size_t block_size;
	unsigned long total;
	unsigned int flags;
	bool fits;
	size_t stride;
} layouts[] = {
	{ 1, 1, 0, true, 8 },
	{ 8, 1, 0, true, 8 },
	{ 9, 1, 0, true, 16 },
	{ 1, 1, KMK_POOL_RED_ZONE, true, 40 },
	{ 8, 1, KMK_POOL_RED_ZONE, true, 40 },
	{ SIZE_MAX, 1, 0, false },
	{ SIZE_MAX - 6, 1, 0, false },
	{ SIZE_MAX - 7, 1, 0, true, SIZE_MAX - 7 },
	{ SIZE_MAX - 7, 2, 0, false },
	{ SIZE_MAX - 7, 1, KMK_POOL_RED_ZONE, false },
	{ SIZE_MAX - 2 * RED_ZONE, 1, KMK_POOL_RED_ZONE, false },
	{ SIZE_MAX - 2 * RED_ZONE - 7, 1, KMK_POOL_RED_ZONE, true, SIZE_MAX - 7 },
	{ SIZE_MAX / KMK_POOL_MAX_BLOCKS + 8, KMK_POOL_MAX_BLOCKS, 0, false },
};

static void layout_never_wraps(struct kunit *test)
{
	size_t i, area;

	for (i = 0; i < ARRAY_SIZE(layouts); i++) {
		struct kmk_pool pool = {
			.block_size = layouts[i].block_size,
			.total = layouts[i].total,
			.flags = layouts[i].flags,
		};

		KUNIT_EXPECT_EQ_MSG(test, lay_out(&pool, &area), layouts[i].fits, "%zu", i);
		if (!layouts[i].fits)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, pool.stride, layouts[i].stride, "%zu", i);
		KUNIT_EXPECT_EQ_MSG(test, area, layouts[i].stride * layouts[i].total, "%zu", i);
	}
}

/* The tag goes round without touching the index, and each change gives another one. */
static void tag_wraps(struct kunit *test)
{
	u64 head = ~0ULL - LINK_END - 1;	/* the last tag but one, block 0xfffffe */
	unsigned int i;

	for (i = 0; i < 4; i++) {
		u64 next = next_head(head, i);

		KUNIT_EXPECT_EQ(test, next & LINK_END, (u64)i);
		KUNIT_EXPECT_EQ(test, next >> 24, ((head >> 24) + 1) & (BIT_ULL(40) - 1));
		head = next;
	}
	KUNIT_EXPECT_EQ(test, (u64)next_head(head, LINK_END) & LINK_END, (u64)LINK_END);
}

/* What is out, what is free and what was counted agree, through empty and full. */
static void pool_accounts(struct kunit *test)
{
	enum { BLOCKS = 9 };
	struct kmk_pool *pool = make(test, 24, BLOCKS, 0);
	struct kmk_pool_stats stats;
	void *blocks[BLOCKS];
	unsigned int round, i;

	for (round = 1; round <= 3; round++) {
		for (i = 0; i < BLOCKS; i++) {
			blocks[i] = kmk_pool_alloc(pool);
			KUNIT_ASSERT_NOT_NULL(test, blocks[i]);
			KUNIT_EXPECT_EQ(test, pool->links[block_index(pool, blocks[i])],
					LINK_TAKEN);
		}
		KUNIT_EXPECT_NULL(test, kmk_pool_alloc(pool));
		kmk_pool_get_stats(pool, &stats);
		KUNIT_EXPECT_EQ(test, stats.allocated, (unsigned long)BLOCKS);
		KUNIT_EXPECT_EQ(test, stats.free, 0UL);
		KUNIT_EXPECT_EQ(test, stats.empty, (unsigned long)round);
		for (i = 0; i < BLOCKS; i++)
			KUNIT_EXPECT_EQ(test, kmk_pool_free(pool, blocks[(i * 4) % BLOCKS]), 0);
		kmk_pool_get_stats(pool, &stats);
		KUNIT_EXPECT_EQ(test, stats.allocated, 0UL);
		KUNIT_EXPECT_EQ(test, stats.frees, (unsigned long)(round * BLOCKS));
	}
	KUNIT_EXPECT_EQ(test, kmk_pool_destroy(pool), 0UL);
}

/* The counters may wrap: what is allocated is their difference. */
static void counters_wrap(struct kunit *test)
{
	struct kmk_pool *pool = make(test, 8, 4, 0);
	struct kmk_pool_stats stats;
	void *block;

	this_cpu_write(pool->lists->allocs, ULONG_MAX);
	this_cpu_write(pool->lists->frees, ULONG_MAX);
	block = kmk_pool_alloc(pool);
	KUNIT_ASSERT_NOT_NULL(test, block);
	kmk_pool_get_stats(pool, &stats);
	KUNIT_EXPECT_EQ(test, stats.allocated, 1UL);
	KUNIT_EXPECT_EQ(test, stats.free, 3UL);
	KUNIT_EXPECT_EQ(test, kmk_pool_free(pool, block), 0);
	kmk_pool_get_stats(pool, &stats);
	KUNIT_EXPECT_EQ(test, stats.allocated, 0UL);
	kmk_pool_destroy(pool);
}

/* Each block is on one CPU's list, none on two, fewer blocks than CPUs or more. */
static void blocks_are_dealt_out(struct kunit *test)
{
	unsigned long total, seen;
	struct kmk_pool *pool;
	u32 at;
	int cpu;

	for (total = 1; total <= 3 * num_possible_cpus() + 1; total++) {
		pool = make(test, 8, total, 0);
		seen = 0;
		for_each_possible_cpu(cpu) {
			at = atomic64_read(&per_cpu_ptr(pool->lists, cpu)->head) & LINK_END;
			for (; at != LINK_END && seen <= total; at = pool->links[at], seen++)
				KUNIT_ASSERT_LT(test, (unsigned long)at, total);
		}
		KUNIT_EXPECT_EQ(test, seen, total);
		kmk_pool_destroy(pool);
	}
}

static struct kunit_case pool_cases[] = {
	KUNIT_CASE(index_of_an_address),
	KUNIT_CASE(inverse_is_one),
	KUNIT_CASE(layout_never_wraps),
	KUNIT_CASE(tag_wraps),
	KUNIT_CASE(pool_accounts),
	KUNIT_CASE(counters_wrap),
	KUNIT_CASE(blocks_are_dealt_out),
	{}
};

static struct kunit_suite pool_suite = {
	.name = "kmk_mempool_pool",
	.test_cases = pool_cases,
};
kunit_test_suite(pool_suite);
