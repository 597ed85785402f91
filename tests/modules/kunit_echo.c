// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of kmk_echo's buffers: each place in the ring of echo_fifo at which
 * a piece of each size can begin, and the edges of a message.
 */
#include "kunit_alone.h"

#include "../../chardev/kmk_echo.c"

#include <kunit/test.h>

#define SMALL	7

static struct {
	struct echo_message message;
	struct echo_queue queue;
	unsigned char next;	/* to write, so that no byte can be taken for another */
	unsigned char expected;	/* to be read */
} small;

static char *zeroed(struct kunit *test)
{
	char *bytes = kunit_kzalloc(test, SMALL, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, bytes);
	return bytes;
}

static int small_init(struct kunit *test)
{
	memset(&small, 0, sizeof(small));
	capacity = SMALL;
	small.message.dev.data = zeroed(test);
	small.message.spare = zeroed(test);
	mutex_init(&small.message.dev.lock);
	small.queue.dev.data = zeroed(test);
	mutex_init(&small.queue.dev.lock);
	init_waitqueue_head(&small.queue.readers);
	init_waitqueue_head(&small.queue.writers);
	return 0;
}

/* Offer @n bytes; what is taken continues the series. */
static ssize_t put(size_t n, size_t wanted)
{
	unsigned char bytes[2 * SMALL];
	struct kvec vec = { .iov_base = bytes, .iov_len = n };
	struct iov_iter from;
	ssize_t ret;
	size_t i;

	for (i = 0; i < n; i++)
		bytes[i] = small.next + i;
	iov_iter_kvec(&from, ITER_SOURCE, &vec, 1, n);
	ret = queue_put(&small.queue, &from, wanted, &n);
	if (ret > 0)
		small.next += ret;
	return ret;
}

/* Ask for @n bytes; those that come are the next ones. */
static ssize_t get(struct kunit *test, size_t n)
{
	unsigned char bytes[2 * SMALL];
	struct kvec vec = { .iov_base = bytes, .iov_len = n };
	struct iov_iter to;
	ssize_t ret, i;

	iov_iter_kvec(&to, ITER_DEST, &vec, 1, n);
	ret = queue_get(&small.queue, &to, &n);
	for (i = 0; i < ret; i++)
		KUNIT_EXPECT_EQ(test, bytes[i], small.expected++);
	return ret;
}

/* Keep @kept bytes in the queue, so that its head goes round, and put @n beside them. */
static void queue_wraps(struct kunit *test)
{
	ssize_t kept, n, i;

	for (kept = 0; kept < SMALL; kept++) {
		for (n = 1; n <= SMALL; n++) {
			ssize_t taken = min(n, SMALL - kept);

			if (kept)
				KUNIT_EXPECT_EQ(test, put(kept, kept), kept);
			for (i = 0; i < 2 * SMALL; i++) {
				KUNIT_EXPECT_EQ(test, put(n, 1), taken);
				KUNIT_EXPECT_EQ(test, small.queue.dev.length,
						(size_t)(kept + taken));
				KUNIT_EXPECT_EQ(test, get(test, taken), taken);
				KUNIT_EXPECT_LT(test, small.queue.head, (size_t)SMALL);
			}
			if (kept)
				KUNIT_EXPECT_EQ(test, get(test, 2 * SMALL), kept);
			KUNIT_EXPECT_EQ(test, small.queue.head, (size_t)0);
		}
	}
}

static void queue_full_and_empty(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, get(test, 1), (ssize_t)-EAGAIN);
	KUNIT_EXPECT_EQ(test, put(SMALL + 1, SMALL), (ssize_t)SMALL);
	KUNIT_EXPECT_EQ(test, put(1, 1), (ssize_t)-EAGAIN);
	KUNIT_EXPECT_EQ(test, get(test, 2), (ssize_t)2);
	/* A piece goes in whole or not at all. */
	KUNIT_EXPECT_EQ(test, put(3, 3), (ssize_t)-EAGAIN);
	KUNIT_EXPECT_EQ(test, put(2, 2), (ssize_t)2);
	KUNIT_EXPECT_EQ(test, get(test, SMALL), (ssize_t)SMALL);
	KUNIT_EXPECT_EQ(test, small.queue.dev.bytes_read, small.queue.dev.bytes_written);
}

static void message_write(const char *text, size_t pos)
{
	memcpy(small.message.spare, text, strlen(text));
	mutex_lock(&small.message.dev.lock);
	message_commit(&small.message, pos, strlen(text));
	mutex_unlock(&small.message.dev.lock);
}

static void expect_message(struct kunit *test, const char *bytes, size_t length)
{
	KUNIT_ASSERT_EQ(test, small.message.dev.length, length);
	KUNIT_EXPECT_FALSE(test, memcmp(small.message.dev.data, bytes, length));
}

static void message_has_edges(struct kunit *test)
{
	message_write("1234567", 0);
	expect_message(test, "1234567", SMALL);
	message_write("x", SMALL - 1);
	expect_message(test, "123456x", SMALL);
	message_write("ab", 0);
	expect_message(test, "ab", 2);
	/* Nothing of a longer message before shows in a gap. */
	message_write("z", SMALL - 1);
	expect_message(test, "ab\0\0\0\0z", SMALL);
	message_write("c", 1);
	expect_message(test, "ac\0\0\0\0z", SMALL);
}

static struct kunit_case echo_cases[] = {
	KUNIT_CASE(queue_wraps),
	KUNIT_CASE(queue_full_and_empty),
	KUNIT_CASE(message_has_edges),
	{}
};

static struct kunit_suite echo_suite = {
	.name = "kmk_echo",
	.init = small_init,
	.test_cases = echo_cases,
};
kunit_test_suite(echo_suite);
