// SPDX-License-Identifier: GPL-2.0
/* KUnit tests of the memory manager's books: see kunit_mempool_device.c. */
#include <linux/export.h>

/* The module itself exports them. */
#undef EXPORT_SYMBOL_GPL
#define EXPORT_SYMBOL_GPL(symbol)

#include "../../mempool/manager.c"

#include <kunit/test.h>

/* Among neighbours without a gap between them, each byte belongs to one block. */
static void block_of_an_address(struct kunit *test)
{
	static char area[64];
	static struct mem_block blocks[] = {
		{ .start = area, .info.size = 1 },
		{ .start = area + 1, .info.size = 30 },
		{ .start = area + 31, .info.size = 17 },
		/* a gap of one byte */
		{ .start = area + 49, .info.size = 8 },
	};
	static struct kmk_mem mem = { .blocks = RB_ROOT };
	size_t i, at;

	spin_lock_init(&mem.lock);
	spin_lock_irq(&mem.lock);
	for (i = 0; i < ARRAY_SIZE(blocks); i++)
		kmk_mem_insert(&mem, &blocks[(i * 3) % ARRAY_SIZE(blocks)]);
	for (at = 0; at < sizeof(area); at++) {
		struct mem_block *expected = NULL;

		for (i = 0; i < ARRAY_SIZE(blocks); i++)
			if (area + at >= (char *)blocks[i].start &&
			    area + at < (char *)blocks[i].start + blocks[i].info.size)
				expected = &blocks[i];
		KUNIT_EXPECT_PTR_EQ(test, kmk_mem_find(&mem, area + at), expected);
	}
	KUNIT_EXPECT_NULL(test, kmk_mem_find(&mem, NULL));
	KUNIT_EXPECT_NULL(test, kmk_mem_find(&mem, (void *)ULONG_MAX));
	spin_unlock_irq(&mem.lock);
}

/* The last FREED_KEPT frees are known as such, those before are anybody's. */
static void freed_are_remembered(struct kunit *test)
{
	static char fake[2 * FREED_KEPT];
	struct kmk_mem *mem = kmk_mem_create("kunit");
	unsigned int i, misuse;

	KUNIT_ASSERT_FALSE(test, IS_ERR(mem));
	spin_lock_irq(&mem->lock);
	/* Where the counter of frees wraps, too. */
	mem->freed_next = UINT_MAX - FREED_KEPT / 2;
	for (i = 0; i < ARRAY_SIZE(fake); i++)
		mem->freed[mem->freed_next++ % FREED_KEPT] = &fake[i];
	for (i = 0; i < ARRAY_SIZE(fake); i++) {
		misuse = kmk_mem_why_none(mem, NULL, &fake[i]);
		KUNIT_EXPECT_EQ(test, misuse, i < ARRAY_SIZE(fake) - FREED_KEPT ?
				(unsigned int)KMK_MISUSE_FOREIGN : (unsigned int)KMK_MISUSE_FREE);
	}
	misuse = kmk_mem_why_none(mem, NULL, NULL);
	KUNIT_EXPECT_EQ(test, misuse, (unsigned int)KMK_MISUSE_FOREIGN);
	spin_unlock_irq(&mem->lock);
	kmk_mem_destroy(mem);
}

static void manager_accounts(struct kunit *test)
{
	struct kmk_mem *mem = kmk_mem_create("kunit");
	void *one, *two;

	KUNIT_ASSERT_FALSE(test, IS_ERR(mem));
	KUNIT_EXPECT_NULL(test, kmk_mem_alloc(mem, 0, KMK_MEM_KERNEL));
	KUNIT_EXPECT_NULL(test, kmk_mem_alloc(mem, SIZE_MAX, KMK_MEM_KERNEL));
	KUNIT_EXPECT_NULL(test, kmk_mem_alloc(mem, SIZE_MAX, KMK_MEM_VMALLOC));
	KUNIT_EXPECT_NULL(test, kmk_mem_alloc(mem, PAGE_SIZE + 1, KMK_MEM_PAGE));
	KUNIT_EXPECT_EQ(test, mem->count + mem->bytes + mem->allocs, 0UL);
	one = kmk_mem_alloc(mem, 100, KMK_MEM_ATOMIC);
	two = kmk_mem_alloc(mem, PAGE_SIZE, KMK_MEM_PAGE);
	KUNIT_ASSERT_NOT_NULL(test, one);
	KUNIT_ASSERT_NOT_NULL(test, two);
	KUNIT_EXPECT_EQ(test, mem->count, 2UL);
	KUNIT_EXPECT_EQ(test, mem->bytes, (size_t)(100 + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, kmk_mem_free(mem, one), 0);
	KUNIT_EXPECT_EQ(test, mem->bytes, (size_t)PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, mem->allocs, 2UL);
	KUNIT_EXPECT_EQ(test, kmk_mem_destroy(mem), 1UL);
}

static struct kunit_case manager_cases[] = {
	KUNIT_CASE(block_of_an_address),
	KUNIT_CASE(freed_are_remembered),
	KUNIT_CASE(manager_accounts),
	{}
};

static struct kunit_suite manager_suite = {
	.name = "kmk_mempool_manager",
	.test_cases = manager_cases,
};
kunit_test_suite(manager_suite);
