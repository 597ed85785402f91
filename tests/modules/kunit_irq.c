// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of kmk_irq's ring, and of its parser: wraps and counts that no
 * user brings about in the time of a test.
 */
#include "kunit_alone.h"

#include "../../irq/kmk_irq.c"

#include <kunit/test.h>

#define SLOTS	5

static int ring_test_init(struct kunit *test)
{
	ring.slots = kunit_kcalloc(test, SLOTS, sizeof(*ring.slots), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ring.slots);
	for (ring.size = 0; ring.size < SLOTS; ring.size++)
		ring.slots[ring.size].consumers = 1;
	ring.next = 0;
	ring.count = 0;
	ring.dropped = 0;
	return 0;
}

static void push(unsigned int times)
{
	while (times--)
		kmk_irq_push(ring.count + 1);
}

/* The next event that @reader gets is the one numbered @seq. */
static void expect_next(struct kunit *test, struct kmk_irq_reader *reader, u64 seq)
{
	struct kmk_irq_event event = {};

	KUNIT_EXPECT_EQ(test, kmk_irq_take(reader, &event, 1), 1U);
	KUNIT_EXPECT_EQ(test, event.seq, seq);
	KUNIT_EXPECT_EQ(test, event.data, seq);
}

static void expect_none(struct kunit *test, struct kmk_irq_reader *reader)
{
	struct kmk_irq_event event;

	KUNIT_EXPECT_FALSE(test, kmk_irq_has_news(reader));
	KUNIT_EXPECT_EQ(test, kmk_irq_take(reader, &event, 1), 0U);
}

/* However many are kept, and wherever in the ring the oldest lies. */
static void ring_keeps_the_newest(struct kunit *test)
{
	unsigned int pushed, kept, i;

	for (pushed = 1; pushed <= 3 * SLOTS; pushed++) {
		struct kmk_irq_reader reader = {};

		push(1);
		kept = min_t(unsigned int, pushed, SLOTS);
		for (i = 1; i <= kept; i++)
			expect_next(test, &reader, pushed - kept + i);
		expect_none(test, &reader);
		KUNIT_EXPECT_EQ(test, reader.missed, (u64)pushed - kept);
		KUNIT_EXPECT_EQ(test, kmk_irq_count(), (u64)pushed);
		KUNIT_EXPECT_EQ(test, ring.dropped, 0ULL);
	}
}

static void ring_counts_what_nobody_had(struct kunit *test)
{
	struct kmk_irq_reader slow = {}, fast = {};

	push(SLOTS + 2);
	KUNIT_EXPECT_EQ(test, ring.dropped, 2ULL);
	expect_next(test, &fast, 3);
	KUNIT_EXPECT_EQ(test, ring.dropped, 2ULL);
	/* 3 was had by one of the two: it is missed by the other, and not dropped. */
	push(1);
	KUNIT_EXPECT_EQ(test, ring.dropped, 2ULL);
	push(SLOTS);
	KUNIT_EXPECT_EQ(test, ring.dropped, 7ULL);
	expect_next(test, &slow, 9);
	KUNIT_EXPECT_EQ(test, slow.missed, 8ULL);
	KUNIT_EXPECT_EQ(test, ring.dropped, 7ULL);
}

/* Many at once, across the end of the ring; what is put back is there again. */
static void ring_gives_many(struct kunit *test)
{
	struct kmk_irq_event events[SLOTS + 1] = {};
	struct kmk_irq_reader reader = {}, other = {};
	unsigned int i;

	push(SLOTS + 3);
	KUNIT_EXPECT_EQ(test, kmk_irq_take(&reader, events, SLOTS + 1), (u32)SLOTS);
	for (i = 0; i < SLOTS; i++)
		KUNIT_EXPECT_EQ(test, events[i].data, 4ULL + i);
	kmk_irq_put_back(&reader, 6, 3);
	expect_next(test, &reader, 6);
	expect_next(test, &other, 4);
	KUNIT_EXPECT_EQ(test, ring.dropped, 3ULL);
	/* 7 and 8 were consumed by nobody. */
	push(SLOTS);
	KUNIT_EXPECT_EQ(test, ring.dropped, 5ULL);
	/* Taken, overwritten, and only then put back. */
	KUNIT_EXPECT_EQ(test, kmk_irq_take(&reader, events, 2), 2U);
	push(SLOTS);
	KUNIT_EXPECT_EQ(test, ring.dropped, 8ULL);
	kmk_irq_put_back(&reader, 9, 2);
	KUNIT_EXPECT_EQ(test, ring.dropped, 10ULL);
	expect_next(test, &reader, 14);
}

/* Two have the same events, which are overwritten before either can be given them. */
static void ring_drops_once(struct kunit *test)
{
	struct kmk_irq_reader one = {}, two = {};
	struct kmk_irq_event events[SLOTS];

	push(SLOTS);
	KUNIT_EXPECT_EQ(test, kmk_irq_take(&one, events, SLOTS), (u32)SLOTS);
	KUNIT_EXPECT_EQ(test, kmk_irq_take(&two, events, 2), 2U);
	push(SLOTS);
	KUNIT_EXPECT_EQ(test, ring.dropped, 0ULL);
	kmk_irq_put_back(&one, 1, SLOTS);
	/* 1 and 2 are with the other one. */
	KUNIT_EXPECT_EQ(test, ring.dropped, SLOTS - 2ULL);
	kmk_irq_put_back(&two, 2, 1);
	KUNIT_EXPECT_EQ(test, ring.dropped, SLOTS - 1ULL);

	/* When the ring has turned around twice, nobody knows whether the other one has them. */
	one = (struct kmk_irq_reader){};
	two = one;
	KUNIT_EXPECT_EQ(test, kmk_irq_take(&one, events, SLOTS), (u32)SLOTS);
	KUNIT_EXPECT_EQ(test, kmk_irq_take(&two, events, SLOTS), (u32)SLOTS);
	push(2 * SLOTS);
	KUNIT_EXPECT_EQ(test, ring.dropped, 2 * SLOTS - 1ULL);
	kmk_irq_put_back(&one, SLOTS + 1, SLOTS);
	KUNIT_EXPECT_EQ(test, ring.dropped, 3 * SLOTS - 1ULL);
	kmk_irq_put_back(&two, SLOTS + 1, SLOTS);
	KUNIT_EXPECT_EQ(test, ring.dropped, 4 * SLOTS - 1ULL);
}

static void ring_gives_back(struct kunit *test)
{
	struct kmk_irq_reader reader = {};

	push(2);
	expect_next(test, &reader, 1);
	kmk_irq_put_back(&reader, 1, 1);
	expect_next(test, &reader, 1);
	/* Another read of the file went past it meanwhile. */
	expect_next(test, &reader, 2);
	kmk_irq_put_back(&reader, 1, 1);
	expect_none(test, &reader);
	KUNIT_EXPECT_EQ(test, reader.missed, 1ULL);
	/* It was put back, and is overwritten before the next read. */
	kmk_irq_put_back(&reader, 2, 1);
	push(SLOTS);
	expect_next(test, &reader, 3);
	KUNIT_EXPECT_EQ(test, reader.missed, 2ULL);
}

/* At one interrupt a microsecond, in an hour. */
static void ring_counts_beyond_32_bits(struct kunit *test)
{
	u64 before = U32_MAX - 2;
	struct kmk_irq_reader reader = { .seen = before }, late = {};
	unsigned int i;

	ring.count = before;
	push(SLOTS);
	for (i = 1; i <= SLOTS; i++)
		expect_next(test, &reader, before + i);
	expect_none(test, &reader);
	KUNIT_EXPECT_EQ(test, reader.missed, 0ULL);
	expect_next(test, &late, before + 1);
	KUNIT_EXPECT_EQ(test, late.missed, before);
	KUNIT_EXPECT_EQ(test, ring.dropped, 0ULL);
}

static const struct {
	const char *text;
	int err;
	u32 times;
	u64 data;
} triggers[] = {
	{ "1", 0, 1, 0 },
	{ " 7\n", 0, 7, 0 },
	{ "0x10 0x20", 0, 16, 32 },
	{ "1000000 18446744073709551615", 0, 1000000, U64_MAX },
	{ "1000001", -ERANGE },
	{ "0", -ERANGE },
	{ "4294967296", -ERANGE },
	{ "1 18446744073709551616", -ERANGE },
	{ "", -EINVAL },
	{ "-1", -EINVAL },
	{ "1 2 3", -EINVAL },
	{ "1  2", -EINVAL },
	{ "1 ", 0, 1, 0 },
	{ "one", -EINVAL },
	{ "0000000000000000000000000000000000000000000000000000000000000001", -EINVAL },
};

static void trigger_is_parsed(struct kunit *test)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(triggers); i++) {
		u32 times = 0;
		u64 data = 0;

		KUNIT_EXPECT_EQ_MSG(test, kmk_irq_parse_trigger(triggers[i].text, &times, &data),
				    triggers[i].err, "'%s'", triggers[i].text);
		if (triggers[i].err)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, times, triggers[i].times, "'%s'", triggers[i].text);
		KUNIT_EXPECT_EQ_MSG(test, data, triggers[i].data, "'%s'", triggers[i].text);
	}
}

static struct kunit_case ring_cases[] = {
	KUNIT_CASE(ring_keeps_the_newest),
	KUNIT_CASE(ring_counts_what_nobody_had),
	KUNIT_CASE(ring_gives_many),
	KUNIT_CASE(ring_drops_once),
	KUNIT_CASE(ring_gives_back),
	KUNIT_CASE(ring_counts_beyond_32_bits),
	KUNIT_CASE(trigger_is_parsed),
	{}
};

static struct kunit_suite ring_suite = {
	.name = "kmk_irq",
	.init = ring_test_init,
	.test_cases = ring_cases,
};
kunit_test_suite(ring_suite);
