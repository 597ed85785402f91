// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of kmk_proc: what is escaped, byte by byte and character by character beside
 * the rule in its plainest form, and what the log keeps.
 */
#include "kunit_alone.h"

#include "../../procfs/kmk_proc.c"

#include <kunit/test.h>

/* kmk_proc_all_plain() looks at a whole word: each byte at each place in it, among plain ones. */
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
			KUNIT_EXPECT_EQ_MSG(test, kmk_proc_all_plain(word),
					    kmk_proc_plain(c),
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
	static struct kmk_proc_entry entry;
	char shown[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		kmk_proc_set(&entry, texts[i].raw, strlen(texts[i].raw));
		KUNIT_ASSERT_LT(test, (size_t)entry.shown, sizeof(shown));
		*kmk_proc_show(shown, &entry) = '\0';
		KUNIT_EXPECT_EQ(test, strlen(shown), (size_t)entry.shown);
		KUNIT_EXPECT_EQ(test, shown[entry.shown - 1], '\n');
		shown[entry.shown - 1] = '\0';
		KUNIT_EXPECT_STREQ(test, (char *)shown, texts[i].shown);
	}
}

static bool is_shown(u32 c)
{
	static const struct {
		u32 first, last;
	} escaped[] = {
		{ 0x80, 0x9f }, { 0x61c, 0x61c }, { 0x200e, 0x200f }, { 0x2028, 0x202e },
		{ 0x2066, 0x2069 }, { 0xd800, 0xdfff }, { 0x110000, U32_MAX },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(escaped); i++)
		if (c >= escaped[i].first && c <= escaped[i].last)
			return false;
	return true;
}

/* Each number that two, three or four bytes can hold, in each of these lengths, and cut short. */
static void every_character(struct kunit *test)
{
	static const u32 least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	static const u8 lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t size, i, expected;
	u8 bytes[4];
	u32 c, rest;

	for (size = 2; size <= 4; size++) {
		for (c = 0; c < BIT(5 * size + 1); c++) {
			for (i = size - 1, rest = c; i; i--, rest >>= 6)
				bytes[i] = 0x80 | (rest & 0x3f);
			bytes[0] = lead[size] | rest;
			expected = c >= least[size] && is_shown(c) ? size : 0;
			if (kmk_proc_printable(bytes, size) != expected ||
			    kmk_proc_printable(bytes, size - 1))
				KUNIT_FAIL(test, "U+%04x of %zu bytes", c, size);
		}
	}
}

/* A byte that does not go on, at each place but the first. */
static void broken_character(struct kunit *test)
{
	static const u8 whole[] = { 0xf0, 0x9f, 0x90, 0xa7 };
	u8 bytes[sizeof(whole)];
	unsigned int c;
	size_t place;

	for (place = 1; place < sizeof(bytes); place++) {
		for (c = 0; c <= U8_MAX; c++) {
			memcpy(bytes, whole, sizeof(bytes));
			bytes[place] = c;
			if (kmk_proc_printable(bytes, sizeof(bytes)) !=
			    (c >= (place == 1 ? 0x90 : 0x80) && c <= 0xbf ? 4 : 0))
				KUNIT_FAIL(test, "byte %#x at %zu", c, place);
		}
	}
}

/* A write, and a copy for a reader, of the largest size, of bytes that each take the most room. */
static void lines_have_room(struct kunit *test)
{
	char *text = kunit_kmalloc(test, WRITE_MAX, GFP_KERNEL);
	struct kmk_proc_file *pf;

	pf = kunit_kzalloc(test, struct_size(pf, line, LINE_MAX), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);
	KUNIT_ASSERT_NOT_NULL(test, pf);
	mutex_init(&pf->lock);
	memset(text, '\x01', WRITE_MAX);
	text[LINE_MAX] = '\n';
	text[2 * LINE_MAX + 1] = '\n';
	KUNIT_EXPECT_EQ(test, kmk_proc_append(pf, text, 3 * LINE_MAX + 2), 0);
	KUNIT_EXPECT_EQ(test, pf->len, (u32)LINE_MAX);
	KUNIT_EXPECT_EQ(test, log_kept, 2U);

	mutex_lock(&pf->lock);
	KUNIT_ASSERT_EQ(test, kmk_proc_begin_pass(pf), 0);
	KUNIT_EXPECT_EQ(test, pf->size, (size_t)(2 * (ESCAPED * LINE_MAX + 1)));
	KUNIT_EXPECT_EQ(test, pf->text[pf->size - 1], '\n');
	kmk_proc_end_pass(pf);
	mutex_unlock(&pf->lock);

	/* One byte more in a line. */
	KUNIT_EXPECT_EQ(test, kmk_proc_append(pf, "x", 1), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, pf->len, 0U);
	KUNIT_EXPECT_EQ(test, kmk_proc_append(pf, text, WRITE_MAX), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, log_kept, 2U);
}

static void append(struct kunit *test, struct kmk_proc_file *pf, const char *text)
{
	KUNIT_ASSERT_EQ(test, kmk_proc_append(pf, text, strlen(text)), 0);
}

static void expect_pass(struct kunit *test, struct kmk_proc_file *pf, const char *expected)
{
	char shown[64] = {};

	mutex_lock(&pf->lock);
	KUNIT_ASSERT_EQ(test, kmk_proc_begin_pass(pf), 0);
	KUNIT_ASSERT_LT(test, pf->size, sizeof(shown));
	if (pf->size)
		memcpy(shown, pf->text, pf->size);
	KUNIT_EXPECT_STREQ(test, (char *)shown, expected);
	kmk_proc_end_pass(pf);
	mutex_unlock(&pf->lock);
}

/* Also when the count of all entries, of which poll() tells news, begins anew at 0. */
static void log_keeps_the_newest(struct kunit *test)
{
	struct kmk_proc_file *writer, *reader, *follower;

	writer = kunit_kzalloc(test, struct_size(writer, line, LINE_MAX), GFP_KERNEL);
	reader = kunit_kzalloc(test, sizeof(*reader), GFP_KERNEL);
	follower = kunit_kzalloc(test, sizeof(*reader), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, writer);
	KUNIT_ASSERT_NOT_NULL(test, reader);
	KUNIT_ASSERT_NOT_NULL(test, follower);
	mutex_init(&reader->lock);
	mutex_init(&follower->lock);
	log_added = -4UL;
	append(test, writer, "\n\n1\n\n");
	append(test, writer, "2\n3\n4");
	expect_pass(test, follower, "1\n2\n3\n");
	append(test, writer, "\n5\n6\n");
	KUNIT_EXPECT_EQ(test, log_added, 2UL);
	expect_pass(test, follower, "4\n5\n6\n");
	expect_pass(test, follower, "");
	expect_pass(test, reader, "3\n4\n5\n6\n");
	append(test, writer, "7\n8\n9\n10\n11\n");
	expect_pass(test, follower, "8\n9\n10\n11\n");
	KUNIT_EXPECT_EQ(test, log_kept, 4U);
	KUNIT_EXPECT_EQ(test, log_added, 7UL);
}

static int log_test_init(struct kunit *test)
{
	max_entries = 4;
	log_entries = kunit_kcalloc(test, max_entries, sizeof(*log_entries), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, log_entries);
	log_next = 0;
	log_kept = 0;
	log_added = 0;
	return 0;
}

static struct kunit_case log_cases[] = {
	KUNIT_CASE(plain_is_the_same_for_a_word),
	KUNIT_CASE(text_is_escaped),
	KUNIT_CASE(every_character),
	KUNIT_CASE(broken_character),
	KUNIT_CASE(lines_have_room),
	KUNIT_CASE(log_keeps_the_newest),
	{}
};

static struct kunit_suite log_suite = {
	.name = "kmk_proc",
	.init = log_test_init,
	.test_cases = log_cases,
};
kunit_test_suite(log_suite);
