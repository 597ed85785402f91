// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of kmk_echo's buffers: each place in the ring of echo_fifo at which
 * a piece of each size can begin, the edges of a message, and how long texts live.
 */
#include "kunit_alone.h"

/* Tests may run when what the kernel calls once is gone already. */
#undef __init
#define __init

#include "../../chardev/kmk_echo.c"

#include <kunit/test.h>

#define SMALL	7

static struct {
	unsigned char next;	/* to write, so that no byte can be taken for another */
	unsigned char expected;	/* to be read */
} series;

static int small_init(struct kunit *test)
{
	memset(&series, 0, sizeof(series));
	capacity = SMALL;
	return echo_alloc_buffers();
}

static void small_exit(struct kunit *test)
{
	echo_message_clear(&echo_message.dev, true);
	echo_queue_clear(&echo_queue.dev, true);
	echo_queue.head = 0;
	echo_queue.tail = 0;
	echo_queue.dev.bytes_read = 0;
	echo_queue.dev.bytes_written = 0;
	echo_free_buffers();
}

/* A call at @pos on a file of @dev that must not wait. */
static struct kiocb *call(struct echo_device *dev, loff_t pos)
{
	static struct file file;
	static struct kiocb iocb;

	file.private_data = dev;
	iocb = (struct kiocb){ .ki_filp = &file, .ki_pos = pos, .ki_flags = IOCB_NOWAIT };
	return &iocb;
}

/* Offer @n bytes; what is taken continues the series. */
static ssize_t put(size_t n)
{
	unsigned char bytes[2 * SMALL];
	struct kvec vec = { .iov_base = bytes, .iov_len = n };
	struct iov_iter from;
	ssize_t ret;
	size_t i;

	for (i = 0; i < n; i++)
		bytes[i] = series.next + i;
	iov_iter_kvec(&from, ITER_SOURCE, &vec, 1, n);
	ret = echo_queue_write_iter(call(&echo_queue.dev, 0), &from);
	if (ret > 0)
		series.next += ret;
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
	ret = echo_queue_read_iter(call(&echo_queue.dev, 0), &to);
	for (i = 0; i < ret; i++)
		KUNIT_EXPECT_EQ(test, bytes[i], series.expected++);
	return ret;
}

/* Keep @kept bytes in the queue, so that its head goes round, and put @n beside them. */
static void queue_wraps(struct kunit *test)
{
	ssize_t kept, n, i;

	for (kept = 0; kept < SMALL; kept++) {
		for (n = 1; n <= SMALL - kept; n++) {
			if (kept)
				KUNIT_EXPECT_EQ(test, put(kept), kept);
			for (i = 0; i < 2 * SMALL; i++) {
				KUNIT_EXPECT_EQ(test, put(n), n);
				KUNIT_EXPECT_EQ(test, echo_queue.dev.length, (size_t)(kept + n));
				KUNIT_EXPECT_EQ(test, get(test, n), n);
				KUNIT_EXPECT_LT(test, echo_queue.head, (size_t)SMALL);
				KUNIT_EXPECT_LT(test, echo_queue.tail, (size_t)SMALL);
			}
			if (kept)
				KUNIT_EXPECT_EQ(test, get(test, 2 * SMALL), kept);
			KUNIT_EXPECT_EQ(test, echo_queue.head, echo_queue.tail);
		}
	}
}

static void queue_full_and_empty(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, get(test, 1), (ssize_t)-EAGAIN);
	KUNIT_EXPECT_EQ(test, put(SMALL + 1), (ssize_t)SMALL);
	KUNIT_EXPECT_EQ(test, put(1), (ssize_t)-EAGAIN);
	KUNIT_EXPECT_EQ(test, get(test, 2), (ssize_t)2);
	/* A piece goes in whole or not at all. */
	KUNIT_EXPECT_EQ(test, put(3), (ssize_t)-EAGAIN);
	KUNIT_EXPECT_EQ(test, put(2), (ssize_t)2);
	KUNIT_EXPECT_EQ(test, get(test, SMALL), (ssize_t)SMALL);
	KUNIT_EXPECT_EQ(test, echo_queue.dev.bytes_read, echo_queue.dev.bytes_written);
}

static ssize_t message_write(const char *text, size_t pos)
{
	struct kvec vec = { .iov_base = (void *)text, .iov_len = strlen(text) };
	struct iov_iter from;

	iov_iter_kvec(&from, ITER_SOURCE, &vec, 1, vec.iov_len);
	return echo_message_write_iter(call(&echo_message.dev, pos), &from);
}

static int told;
static bool locked;

static int be_told(struct wait_queue_entry *entry, unsigned int mode, int flags, void *key)
{
	told++;
	if (spin_trylock(&echo_queue.dev.lock))
		spin_unlock(&echo_queue.dev.lock);
	else
		locked = true;
	return 0;
}

/* However many pollers there are, nobody spins while they are woken. */
static void pollers_are_told_without_the_lock(struct kunit *test)
{
	struct wait_queue_entry reader, writer;

	init_waitqueue_func_entry(&reader, be_told);
	init_waitqueue_func_entry(&writer, be_told);
	add_wait_queue(&echo_queue.readers.pollers, &reader);
	add_wait_queue(&echo_queue.writers.pollers, &writer);
	told = 0;
	locked = false;
	KUNIT_EXPECT_EQ(test, put(SMALL), (ssize_t)SMALL);
	KUNIT_EXPECT_EQ(test, told, 1);
	KUNIT_EXPECT_EQ(test, get(test, SMALL), (ssize_t)SMALL);
	KUNIT_EXPECT_EQ(test, told, 2);
	KUNIT_EXPECT_FALSE(test, locked);
	remove_wait_queue(&echo_queue.readers.pollers, &reader);
	remove_wait_queue(&echo_queue.writers.pollers, &writer);
}

static void expect_message(struct kunit *test, const char *bytes, size_t length)
{
	KUNIT_ASSERT_EQ(test, echo_message.dev.length, length);
	KUNIT_EXPECT_FALSE(test, memcmp(echo_message.text->data, bytes, length));
}

static void message_has_edges(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, message_write("1234567", 0), (ssize_t)SMALL);
	expect_message(test, "1234567", SMALL);
	KUNIT_EXPECT_EQ(test, message_write("xyz", SMALL - 1), (ssize_t)1);
	expect_message(test, "123456x", SMALL);
	KUNIT_EXPECT_EQ(test, message_write("z", SMALL), (ssize_t)-ENOSPC);
	KUNIT_EXPECT_EQ(test, message_write("ab", 0), (ssize_t)2);
	expect_message(test, "ab", 2);
	/* Nothing of a longer message before shows in a gap. */
	KUNIT_EXPECT_EQ(test, message_write("z", SMALL - 1), (ssize_t)1);
	expect_message(test, "ab\0\0\0\0z", SMALL);
	KUNIT_EXPECT_EQ(test, message_write("c", 1), (ssize_t)1);
	expect_message(test, "ac\0\0\0\0z", SMALL);
}

/* A text that a reader uses does not change when others write; its last user frees it. */
static void texts_are_kept(struct kunit *test)
{
	struct echo_text *used[ECHO_KEPT_MAX];
	int i;

	for (i = 0; i < ECHO_KEPT_MAX; i++) {
		char text[2] = { 'a' + i };

		KUNIT_EXPECT_EQ(test, message_write(text, 0), (ssize_t)1);
		used[i] = echo_message.text;
		used[i]->users++;
		/* An append goes behind what is seen of it, or elsewhere. */
		KUNIT_EXPECT_EQ(test, message_write("+", 1), (ssize_t)1);
	}
	KUNIT_EXPECT_EQ(test, message_write("last", 0), (ssize_t)4);
	KUNIT_EXPECT_EQ(test, echo_message.kept, (unsigned int)ECHO_KEPT_MAX);
	for (i = 0; i < ECHO_KEPT_MAX; i++) {
		KUNIT_EXPECT_EQ(test, used[i]->data[0], (char)('a' + i));
		echo_text_put(&echo_message, used[i]);
	}
	KUNIT_EXPECT_EQ(test, echo_message.kept, 0U);
	expect_message(test, "last", 4);
}

static struct kunit_case echo_cases[] = {
	KUNIT_CASE(queue_wraps),
	KUNIT_CASE(queue_full_and_empty),
	KUNIT_CASE(pollers_are_told_without_the_lock),
	KUNIT_CASE(message_has_edges),
	KUNIT_CASE(texts_are_kept),
	{}
};

static struct kunit_suite echo_suite = {
	.name = "kmk_echo",
	.init = small_init,
	.exit = small_exit,
	.test_cases = echo_cases,
};
kunit_test_suite(echo_suite);
