// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of kmk_proc: what is escaped, byte by byte beside the rule in its
 * plainest form, and what the log keeps.
 */
#include "kunit_alone.h"

#include "../../procfs/kmk_proc.c"

#include <kunit/test.h>

/* all_plain() looks at a whole word: each byte at each place in it, among plain ones. */
static void plain_is_the_same_for_a_word(struct kunit *test)
{
	unsigned char bytes[sizeof(unsigned long)];
	unsigned long word;
	unsigned int c;
	size_t place;

	for (place = 0; place < sizeof(bytes); place++) {
		for (c = 0; c <= U8_MAX; c++) {
			memset(bytes, c % 2 ? ' ' : '~', sizeof(bytes));
			bytes[place] = c;
			memcpy(&word, bytes, sizeof(word));
			KUNIT_EXPECT_EQ_MSG(test, all_plain(word), plain(c),
					    "byte %#x at %zu", c, place);
		}
	}
}

static const struct {
	const char *raw;
	const char *shown;
} texts[] = {
	{ "plain text of more than a word", "plain text of more than a word" },
	{ "tab\there", "tab\\x09here" },
	{ "back\\slash", "back\\x5cslash" },
	{ "\x1b[31m", "\\x1b[31m" },
	{ "del\x7f", "del\\x7f" },
	{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7" },
	{ "\xc2\x85", "\\xc2\\x85" },			/* U+0085, a control */
	{ "\xc2\xa0", "\xc2\xa0" },			/* U+00A0, the first that is none */
	{ "\xc3", "\\xc3" },				/* cut off */
	{ "\xe2\x82", "\\xe2\\x82" },
	{ "\xc0\xaf", "\\xc0\\xaf" },			/* longer than it need be */
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },		/* half a pair of UTF-16 */
	{ "1234567\xff-", "1234567\\xff-" },
};

static void text_is_escaped(struct kunit *test)
{
	char shown[128], *to;
	size_t i, at, n;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		to = shown;
		for (at = 0; at < strlen(texts[i].raw); at += n) {
			n = escape(&to, texts[i].raw + at, strlen(texts[i].raw) - at);
			KUNIT_ASSERT_GT(test, n, (size_t)0);
		}
		*to = '\0';
		KUNIT_EXPECT_STREQ(test, (char *)shown, texts[i].shown);
	}
}

/* A write of the largest size, of bytes that each take the most room. */
static void lines_have_room(struct kunit *test)
{
	char *text = kunit_kmalloc(test, WRITE_MAX + 1, GFP_KERNEL);
	char *entries = kunit_kzalloc(test, ESCAPED * WRITE_MAX + 2, GFP_KERNEL), *end;
	u32 lines, i;

	KUNIT_ASSERT_NOT_NULL(test, text);
	KUNIT_ASSERT_NOT_NULL(test, entries);
	memset(text, '\x01', WRITE_MAX);
	for (i = LINE_MAX; i < WRITE_MAX; i += LINE_MAX + 1)
		text[i] = '\n';
	text[WRITE_MAX] = '\n';
	end = render(entries, text, WRITE_MAX + 1, &lines);
	KUNIT_ASSERT_NOT_NULL(test, end);
	KUNIT_EXPECT_EQ(test, lines, (u32)(WRITE_MAX / (LINE_MAX + 1)));
	KUNIT_EXPECT_LE(test, (size_t)(end - entries), (size_t)(ESCAPED * WRITE_MAX + 1));
	KUNIT_EXPECT_EQ(test, *end, '\0');

	/* One byte more in a line. */
	text[LINE_MAX] = 'x';
	KUNIT_EXPECT_NULL(test, render(entries, text, WRITE_MAX + 1, &lines));
}

static void no_line_is_empty(struct kunit *test)
{
	char entries[16] = {}, *end;
	u32 lines;

	end = render(entries, "\n\na\n\nb\n\n", 8, &lines);
	KUNIT_EXPECT_EQ(test, lines, (u32)2);
	KUNIT_EXPECT_EQ(test, (size_t)(end - entries), (size_t)4);
	KUNIT_EXPECT_STREQ(test, (char *)entries, "a\nb\n");
}

static void append(struct kunit *test, const char *text, u32 lines)
{
	struct record *record = record_alloc(strlen(text));

	KUNIT_ASSERT_NOT_NULL(test, record);
	record->lines = lines;
	memcpy(record->text, text, record->size);
	log_append(record);
}

static void expect_log(struct kunit *test, const char *expected)
{
	struct snapshot *snapshot = snapshot_get();
	char shown[64] = {};
	u32 pos = 0;

	KUNIT_ASSERT_NOT_NULL(test, snapshot);
	/* Byte by byte, so that the slice is looked for at each. */
	for (pos = 0; pos < snapshot_size(snapshot) && pos < sizeof(shown) - 1; pos++) {
		const struct slice *slice = snapshot_find(snapshot, pos);
		const struct record *record = slice->record;

		shown[pos] = record->text[record->size - (slice->end - pos)];
	}
	KUNIT_EXPECT_STREQ(test, (char *)shown, expected);
	snapshot_put(snapshot);
}

static void log_keeps_the_newest(struct kunit *test)
{
	struct snapshot *before;

	append(test, "1\n", 1);
	append(test, "2\n3\n4\n", 3);
	expect_log(test, "1\n2\n3\n4\n");
	before = snapshot_get();
	KUNIT_ASSERT_NOT_NULL(test, before);
	/* A whole record goes, and the first line of the next. */
	append(test, "5\n6\n", 2);
	expect_log(test, "3\n4\n5\n6\n");
	append(test, "7\n8\n9\n10\n11\n", 5);
	expect_log(test, "8\n9\n10\n11\n");
	KUNIT_EXPECT_EQ(test, log_nr_lines, (u32)4);
	KUNIT_EXPECT_EQ(test, log_nr_records, (u32)1);
	KUNIT_EXPECT_EQ(test, log_added, 11UL);
	/* What a reader holds does not change. */
	KUNIT_EXPECT_EQ(test, snapshot_size(before), (u32)8);
	KUNIT_EXPECT_EQ(test, before->slices[1].record->text[0], '2');
	snapshot_put(before);
}

static int log_test_init(struct kunit *test)
{
	max_entries = 4;
	return 0;
}

static void log_test_exit(struct kunit *test)
{
	struct record *record, *next;

	snapshot_put(log_snapshot);
	log_snapshot = NULL;
	list_for_each_entry_safe(record, next, &log_records, node)
		record_put(record);
	INIT_LIST_HEAD(&log_records);
	log_nr_records = 0;
	log_nr_lines = 0;
	log_added = 0;
}

static struct kunit_case log_cases[] = {
	KUNIT_CASE(plain_is_the_same_for_a_word),
	KUNIT_CASE(text_is_escaped),
	KUNIT_CASE(lines_have_room),
	KUNIT_CASE(no_line_is_empty),
	KUNIT_CASE(log_keeps_the_newest),
	{}
};

static struct kunit_suite log_suite = {
	.name = "kmk_proc",
	.init = log_test_init,
	.exit = log_test_exit,
	.test_cases = log_cases,
};
kunit_test_suite(log_suite);
