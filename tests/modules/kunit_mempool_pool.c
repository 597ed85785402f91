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
		KUNIT_ASSERT_TRUE(test, kmk_pool_lay_out(&pool, &area));
		end = pool.total * pool.stride;
		for (at = 0; at < end + pool.stride; at++) {
			unsigned long index = kmk_pool_index(&pool, pool.first + at);

			if (at < end && at % pool.stride == 0)
				KUNIT_EXPECT_EQ(test, index, at / pool.stride);
			else
				KUNIT_EXPECT_GE(test, index, pool.total);
		}
		for (at = 1; at <= 2 * pool.stride; at++)
			KUNIT_EXPECT_GE(test, kmk_pool_index(&pool, pool.first - at), pool.total);
		KUNIT_EXPECT_GE(test, kmk_pool_index(&pool, (void *)ULONG_MAX), pool.total);
	}
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

		KUNIT_EXPECT_EQ_MSG(test, kmk_pool_lay_out(&pool, &area), layouts[i].fits,
				    "%zu", i);
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
		u64 next = kmk_pool_next_head(head, i);

		KUNIT_EXPECT_EQ(test, next & LINK_END, (u64)i);
		KUNIT_EXPECT_EQ(test, next >> 24, ((head >> 24) + 1) & (BIT_ULL(40) - 1));
		head = next;
	}
	KUNIT_EXPECT_EQ(test, (u64)kmk_pool_next_head(head, LINK_END) & LINK_END, (u64)LINK_END);
}

/* Allocated and free blocks and the counters agree, through empty and full. */
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
			KUNIT_EXPECT_EQ(test, pool->links[kmk_pool_index(pool, blocks[i])],
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

/* How many blocks are on this list, by its links. */
static unsigned long length(const struct kmk_pool *pool, int cpu)
{
	u32 at = atomic64_read(&per_cpu_ptr(pool->lists, cpu)->head) & LINK_END;
	unsigned long n;

	for (n = 0; at < pool->total && n <= pool->total; n++)
		at = pool->links[at];
	return n;
}

/* Each block is on one CPU's list, none on two, fewer blocks than CPUs or more. */
static void blocks_are_dealt_out(struct kunit *test)
{
	unsigned long total, seen;
	struct kmk_pool *pool;
	int cpu;

	for (total = 1; total <= 3 * num_possible_cpus() + 1; total++) {
		pool = make(test, 8, total, 0);
		seen = 0;
		for_each_possible_cpu(cpu) {
			seen += length(pool, cpu);
			KUNIT_EXPECT_EQ(test, !!length(pool, cpu),
					cpumask_test_cpu(cpu, &pool->nonempty));
		}
		KUNIT_EXPECT_EQ(test, seen, total);
		kmk_pool_destroy(pool);
	}
}

/* A list is cut in the middle, and at MOST_STOLEN; what was cut off is a chain down to last. */
static void half_is_cut(struct kunit *test)
{
	struct kmk_pool *pool;
	unsigned long total, half, n, left;
	struct pool_list *list;
	u32 at, last;
	int cpu;

	for (total = 1; total <= 2 * MOST_STOLEN + 3; total++) {
		pool = make(test, 8, total, 0);
		/* All of them on the first CPU's list. */
		for_each_possible_cpu(cpu)
			atomic64_set(&per_cpu_ptr(pool->lists, cpu)->head, LINK_END);
		for (n = 0; n < total; n++)
			pool->links[n] = n + 1 < total ? n + 1 : LINK_END;
		list = per_cpu_ptr(pool->lists, cpumask_first(cpu_possible_mask));
		atomic64_set(&list->head, 0);
		for (left = total; left; left -= half) {
			half = min_t(unsigned long, (left + 1) / 2, MOST_STOLEN);
			at = kmk_pool_cut(pool, list, &last);
			KUNIT_EXPECT_EQ(test, (unsigned long)at, total - left);
			for (n = 1; n < half; n++)
				at = pool->links[at];
			KUNIT_EXPECT_EQ(test, at, last);
			KUNIT_EXPECT_EQ(test, length(pool, list->cpu), left - half);
		}
		KUNIT_EXPECT_EQ(test, kmk_pool_cut(pool, list, &last), (u32)LINK_END);
		kmk_pool_destroy(pool);
	}
}

/* All blocks on another CPU's list: what is stolen is half of them, the rest of it is ours. */
static void rest_is_kept(struct kunit *test)
{
	struct kmk_pool *pool = make(test, 8, 10, 0);
	int here = get_cpu(), there, cpu;
	unsigned long n;

	there = cpumask_any_but(cpu_possible_mask, here);
	for_each_possible_cpu(cpu)
		atomic64_set(&per_cpu_ptr(pool->lists, cpu)->head, LINK_END);
	if (there < nr_cpu_ids) {
		for (n = 0; n < 10; n++)
			pool->links[n] = n + 1 < 10 ? n + 1 : LINK_END;
		atomic64_set(&per_cpu_ptr(pool->lists, there)->head, 0);
		cpumask_clear(&pool->nonempty);
		cpumask_set_cpu(there, &pool->nonempty);
		KUNIT_EXPECT_NOT_NULL(test, kmk_pool_alloc(pool));
		KUNIT_EXPECT_EQ(test, length(pool, here), 4UL);
		KUNIT_EXPECT_EQ(test, length(pool, there), 5UL);
		KUNIT_EXPECT_TRUE(test, cpumask_test_cpu(here, &pool->nonempty));
		for (n = 0; n < 9; n++)
			KUNIT_EXPECT_NOT_NULL(test, kmk_pool_alloc(pool));
	}
	KUNIT_EXPECT_NULL(test, kmk_pool_alloc(pool));
	KUNIT_EXPECT_TRUE(test, cpumask_empty(&pool->nonempty));
	put_cpu();
	kmk_pool_destroy(pool);
}

static struct kunit_case pool_cases[] = {
	KUNIT_CASE(index_of_an_address),
	KUNIT_CASE(layout_never_wraps),
	KUNIT_CASE(tag_wraps),
	KUNIT_CASE(pool_accounts),
	KUNIT_CASE(counters_wrap),
	KUNIT_CASE(blocks_are_dealt_out),
	KUNIT_CASE(half_is_cut),
	KUNIT_CASE(rest_is_kept),
	{}
};

static struct kunit_suite pool_suite = {
	.name = "kmk_mempool_pool",
	.test_cases = pool_cases,
};
kunit_test_suite(pool_suite);
