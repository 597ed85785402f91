// SPDX-License-Identifier: GPL-2.0
/* kmk_proc: /proc/rust_proc, its limits, snapshots, escaping, poll, unloading. */
#define _GNU_SOURCE
#include "kmktest.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define FILE_PATH "/proc/rust_proc"
#define LINE_LIMIT 1023
#define WRITE_LIMIT (64 * 1024)

/* Most tests want to see their entries and nothing else. */
static void load_quiet(void)
{
	ck_assert_int_eq(module_load("kmk_proc", "greeting=\"\""), 0);
}

static void unload(void)
{
	ck_assert_int_eq(module_unload("kmk_proc"), 0);
	ck_assert(!exists(FILE_PATH));
	ck_assert(!module_loaded("kmk_proc"));
}

/* A test that failed leaves the module behind; the next one must not suffer. */
static void clean_start(void)
{
	if (module_loaded("kmk_proc"))
		unload();
}

static void ck_file(const char *expected)
{
	char *text = slurp(FILE_PATH);

	ck_assert_str_eq(text, expected);
	free(text);
}

static int open_file(int flags)
{
	return ck_ok(open(FILE_PATH, flags | O_CLOEXEC));
}

/* One write of @size bytes: the bytes written, or -errno. */
static ssize_t write_once(const void *text, size_t size)
{
	int fd = open_file(O_WRONLY);
	ssize_t n = write(fd, text, size);

	if (n < 0)
		n = -errno;
	close(fd);
	return n;
}

static char *filled(size_t size, char c)
{
	char *text = malloc(size + 1);

	ck_assert_ptr_nonnull(text);
	memset(text, c, size);
	text[size] = '\0';
	return text;
}

/* ---- loading, parameters ---- */

START_TEST(default_state)
{
	struct stat st;
	char *text;

	/* the kernel itself speaks of the first out-of-tree module, once */
	load_quiet();
	unload();
	log_mark();
	ck_assert_int_eq(module_load("kmk_proc", ""), 0);
	ck_assert_int_eq(log_count("kmk_proc: loaded"), 1);
	ck_ok(stat(FILE_PATH, &st));
	ck_assert_int_eq(st.st_mode, S_IFREG | 0644);
	ck_assert_int_eq(st.st_uid, 0);
	ck_assert_int_eq(slurp_number("/sys/module/kmk_proc/parameters/max_entries"), 100);

	text = slurp(FILE_PATH);	/* the greeting, one line */
	ck_assert_uint_gt(strlen(text), 1);
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
	free(text);
	unload();
	ck_assert_int_eq(log_count("kmk_proc: unloaded"), 1);
	ck_assert_int_eq(log_count("kmk_proc:"), 2);
}
END_TEST

START_TEST(loads_twice)
{
	load_quiet();
	ck_assert_int_eq(spew(FILE_PATH, "old\n"), 0);
	ck_assert_int_eq(module_load("kmk_proc", ""), -EEXIST);
	ck_file("old\n");
	unload();
	ck_assert_int_eq(module_unload("kmk_proc"), -ENOENT);
	load_quiet();
	ck_file("");
	unload();
}
END_TEST

static const struct {
	const char *params;
	int err;
	const char *says;
} params[] = {
	{ "max_entries=1", 0, NULL },
	{ "max_entries=10000", 0, NULL },
	{ "max_entries=0", -EINVAL, "kmk_proc: max_entries=0: give a number from 1 to 10000" },
	{ "max_entries=10001", -EINVAL, "kmk_proc: max_entries=10001: give a number" },
	{ "max_entries=4294967295", -EINVAL, "kmk_proc: max_entries=4294967295" },
	{ "max_entries=-1", -EINVAL, NULL },
	{ "max_entries=4294967296", -ERANGE, NULL },
	{ "max_entries=many", -EINVAL, NULL },
	{ "max_entries=", -EINVAL, NULL },
};

START_TEST(parameter)
{
	log_mark();
	ck_assert_int_eq(module_load("kmk_proc", params[_i].params), params[_i].err);
	ck_assert(exists(FILE_PATH) == !params[_i].err);
	ck_assert(exists("/sys/module/kmk_proc") == !params[_i].err);
	if (params[_i].says)
		ck_assert_int_eq(log_count(params[_i].says), 1);
	if (!params[_i].err)
		unload();
}
END_TEST

START_TEST(greeting)
{
	char parameter[2048], *text;

	ck_assert_int_eq(module_load("kmk_proc", "greeting=\"good day\""), 0);
	ck_file("good day\n");
	ck_assert_int_eq(spew(FILE_PATH, "one\ntwo"), 0);
	ck_file("good day\none\ntwo\n");
	unload();

	/* It cannot forge an entry either. */
	ck_assert_int_eq(module_load("kmk_proc", "greeting=\"a\nb\x1b\\\""), 0);
	ck_file("a\\x0ab\\x1b\\x5c\n");
	unload();

	text = filled(LINE_LIMIT, 'g');
	snprintf(parameter, sizeof(parameter), "greeting=%s", text);
	ck_assert_int_eq(module_load("kmk_proc", parameter), 0);
	strcat(text, "\n");
	ck_file(text);
	unload();

	log_mark();
	strcat(parameter, "g");
	ck_assert_int_eq(module_load("kmk_proc", parameter), -EINVAL);
	ck_assert_int_eq(log_count("kmk_proc: greeting: give at most 1023 bytes"), 1);
	ck_assert(!exists(FILE_PATH));
	ck_assert_int_lt(module_load("kmk_proc", "greeting"), 0);
	free(text);
}
END_TEST

/* ---- writing ---- */

START_TEST(lines_become_entries)
{
	load_quiet();
	ck_file("");
	ck_assert_int_eq(spew(FILE_PATH, "one\n"), 0);
	ck_assert_int_eq(spew(FILE_PATH, "two"), 0);
	ck_assert_int_eq(spew(FILE_PATH, "\n\nthree\n\n\nfour\n five\n\n"), 0);
	ck_file("one\ntwo\nthree\nfour\n five\n");
	/* these add nothing */
	ck_assert_int_eq(write_once("\n", 1), 1);
	ck_assert_int_eq(write_once("\n\n\n", 3), 3);
	ck_assert_int_eq(write_once("", 0), 0);
	ck_file("one\ntwo\nthree\nfour\n five\n");
	unload();
}
END_TEST

START_TEST(shell_redirections)
{
	load_quiet();
	/* as "echo >" and "echo >>" open it: neither loses what is there */
	int fd = open_file(O_WRONLY | O_CREAT | O_TRUNC);

	ck_assert_int_eq(write(fd, "a\n", 2), 2);
	close(fd);
	fd = open_file(O_WRONLY | O_CREAT | O_APPEND);
	ck_assert_int_eq(write(fd, "b\n", 2), 2);
	ck_assert_int_eq(write(fd, "c\n", 2), 2);
	close(fd);
	fd = open_file(O_RDWR | O_TRUNC);
	ck_assert_int_eq(pwrite(fd, "d\n", 2, 1000), 2);
	close(fd);
	ck_file("a\nb\nc\nd\n");
	unload();
}
END_TEST

START_TEST(line_limit)
{
	char *text = filled(LINE_LIMIT + 8, 'x');

	load_quiet();
	ck_assert_int_eq(spew(FILE_PATH, "kept\n"), 0);
	ck_assert_int_eq(write_once(text, LINE_LIMIT), LINE_LIMIT);
	ck_assert_int_eq(write_once(text, LINE_LIMIT + 1), -EMSGSIZE);
	text[LINE_LIMIT] = '\n';
	ck_assert_int_eq(write_once(text, LINE_LIMIT + 1), LINE_LIMIT + 1);

	/* the whole write is refused, wherever the long line is in it */
	memset(text, 'y', LINE_LIMIT + 8);
	memcpy(text, "ok\n", 3);
	ck_assert_int_eq(write_once(text, LINE_LIMIT + 8), -EMSGSIZE);
	memset(text, 'y', LINE_LIMIT + 8);
	memcpy(text + LINE_LIMIT + 1, "\nok\n", 4);
	ck_assert_int_eq(write_once(text, LINE_LIMIT + 5), -EMSGSIZE);

	/* bytes as written count, not what escaping makes of them */
	memset(text, '\x1b', LINE_LIMIT);
	ck_assert_int_eq(write_once(text, LINE_LIMIT), LINE_LIMIT);
	free(text);

	text = slurp(FILE_PATH);
	ck_assert_uint_eq(strlen(text), 5 + 2 * (LINE_LIMIT + 1) + 4 * LINE_LIMIT + 1);
	ck_assert(!strncmp(text, "kept\nxxx", 8));
	ck_assert_ptr_null(strchr(text, 'y'));
	ck_assert_ptr_null(strstr(text, "ok"));
	free(text);
	unload();
}
END_TEST

START_TEST(write_limit)
{
	char *text = filled(WRITE_LIMIT + 1, '\n'), *seen;
	int i;

	load_quiet();
	ck_assert_int_eq(spew(FILE_PATH, "kept\n"), 0);
	for (i = 0; i < 64; i++)
		memset(text + i * 1024, 'a' + i % 26, LINE_LIMIT);
	ck_assert_int_eq(write_once(text, WRITE_LIMIT + 1), -E2BIG);
	ck_file("kept\n");
	ck_assert_int_eq(write_once(text, WRITE_LIMIT - 1), WRITE_LIMIT - 1);
	ck_assert_int_eq(write_once(text, WRITE_LIMIT), WRITE_LIMIT);
	/* a size says enough: nothing is read */
	ck_assert_int_eq(write_once(BAD_POINTER, WRITE_LIMIT + 1), -E2BIG);
	ck_assert_int_eq(write_once(BAD_POINTER, 0x7ffff000), -E2BIG);
	seen = slurp(FILE_PATH);
	/* 1 + 64 + 64 lines, of which 100 are kept */
	ck_assert_uint_eq(strlen(seen), 100 * 1024);
	ck_assert(!memcmp(seen, text + 28 * 1024, 36 * 1024));
	ck_assert(!memcmp(seen + 36 * 1024, text, 64 * 1024));
	free(seen);
	free(text);
	unload();
}
END_TEST

START_TEST(bad_buffers)
{
	char *edge;

	load_quiet();
	ck_assert_int_eq(spew(FILE_PATH, "kept\n"), 0);
	ck_assert_int_eq(write_once(BAD_POINTER, 10), -EFAULT);
	ck_assert_int_eq(write_once(NULL, 10), -EFAULT);
	edge = buffer_before_hole(8);
	memcpy(edge, "aa\nbb\ncc", 8);
	ck_assert_int_eq(write_once(edge, 9), -EFAULT);
	ck_file("kept\n");
	ck_assert_int_eq(write_once(edge, 8), 8);
	ck_file("kept\naa\nbb\ncc\n");
	unload();
}
END_TEST

START_TEST(writev_is_a_write_per_part)
{
	struct iovec parts[] = { { "he", 2 }, { "llo\nyou\n", 8 } };

	load_quiet();
	int fd = open_file(O_WRONLY);

	ck_assert_int_eq(writev(fd, parts, 2), 10);
	close(fd);
	ck_file("he\nllo\nyou\n");
	unload();
}
END_TEST

START_TEST(only_root_writes)
{
	pid_t pid;

	load_quiet();
	ck_assert_int_eq(spew(FILE_PATH, "seen\n"), 0);
	pid = spawn();
	if (!pid) {
		drop_root();
		_exit(open(FILE_PATH, O_WRONLY) == -1 && errno == EACCES &&
		      open(FILE_PATH, O_RDWR) == -1 && errno == EACCES &&
		      file_has(FILE_PATH, "seen\n") ? 0 : 1);
	}
	ck_assert_int_eq(reap(pid), 0);
	unload();
}
END_TEST

/* ---- how many are kept ---- */

START_TEST(oldest_dropped)
{
	ck_assert_int_eq(module_load("kmk_proc", "greeting=\"\" max_entries=3"), 0);
	ck_assert_int_eq(spew(FILE_PATH, "1\n2\n"), 0);
	ck_file("1\n2\n");
	ck_assert_int_eq(spew(FILE_PATH, "3\n"), 0);
	ck_file("1\n2\n3\n");
	ck_assert_int_eq(spew(FILE_PATH, "4\n"), 0);	/* drops half a write */
	ck_file("2\n3\n4\n");
	ck_assert_int_eq(spew(FILE_PATH, "5\n6\n"), 0);	/* the other half, and one more */
	ck_file("4\n5\n6\n");
	ck_assert_int_eq(spew(FILE_PATH, "7\n8\n9\n10\n11"), 0); /* more than fit */
	ck_file("9\n10\n11\n");
	/* a refused write drops nothing */
	char *text = filled(LINE_LIMIT + 1, 'x');

	ck_assert_int_eq(spew(FILE_PATH, text), -EMSGSIZE);
	ck_file("9\n10\n11\n");
	free(text);
	unload();

	ck_assert_int_eq(module_load("kmk_proc", "greeting=hi max_entries=1"), 0);
	ck_assert_int_eq(spew(FILE_PATH, "1\n"), 0);
	ck_assert_int_eq(spew(FILE_PATH, "2\n3\n"), 0);
	ck_file("hi\n3\n");
	unload();
}
END_TEST

START_TEST(ten_thousand)
{
	const int limit = 10000, extra = 1234;
	char *text, *at;
	int i, fd;

	ck_assert_int_eq(module_load("kmk_proc", "greeting=\"\" max_entries=10000"), 0);
	fd = open_file(O_WRONLY);
	for (i = 0; i < limit + extra; i++) {
		char line[32];

		ck_assert_int_gt(write(fd, line, snprintf(line, sizeof(line), "entry %d\n", i)), 0);
		if (i == limit - 1)
			ck_assert(file_has(FILE_PATH, "entry 0\n"));
	}
	close(fd);
	text = slurp(FILE_PATH);
	at = text;
	for (i = extra; i < limit + extra; i++) {
		char line[32];
		int n = snprintf(line, sizeof(line), "entry %d\n", i);

		ck_assert_msg(!strncmp(at, line, n), "not %s", line);
		at += n;
	}
	ck_assert_int_eq(*at, '\0');
	free(text);
	unload();
}
END_TEST

/* 10,000 entries of the greatest size, escaped: 41 MB, and gone afterwards. */
START_TEST(ten_thousand_long)
{
	const size_t per_write = 64, escaped = 4 * LINE_LIMIT + 1;
	char *text = filled(per_write * 1024, '\n'), *chunk;
	size_t i, total = 0;
	int fd;

	ck_assert_int_eq(module_load("kmk_proc", "greeting=\"\" max_entries=10000"), 0);
	for (i = 0; i < per_write; i++)
		memset(text + i * 1024, 1 + i % 9, LINE_LIMIT);
	fd = open_file(O_RDWR);
	for (i = 0; i < 10000 / per_write + 2; i++)
		ck_assert_int_eq(write(fd, text, per_write * 1024), per_write * 1024);
	chunk = malloc(escaped);
	ck_assert_ptr_nonnull(chunk);
	for (;; total++) {
		ssize_t n = read(fd, chunk, escaped);

		if (!n)
			break;
		ck_assert_int_eq(n, escaped);
		ck_assert_int_eq(chunk[escaped - 1], '\n');
		ck_assert(!memcmp(chunk, "\\x0", 3));
		ck_assert(!memcmp(chunk, chunk + 4, escaped - 5));
	}
	ck_assert_uint_eq(total, 10000);
	close(fd);
	free(chunk);
	free(text);
	unload();
}
END_TEST

/* ---- escaping ---- */

/* Every byte, at every place of a word and of the words beside it. */
START_TEST(every_byte)
{
	const int size = 25;
	int c, i;

	load_quiet();
	for (c = 0; c < 256; c++) {
		char written[25 * 26], shown[25 * 32], one[8], *seen;
		size_t n = 0, used = 0;

		if (c == '\n')
			continue;
		snprintf(one, sizeof(one), c >= ' ' && c < 0x7f && c != '\\' ? "%c" : "\\x%02x", c);
		for (i = 0; i < size; i++) {
			memset(written + used, '~' - i % 2 * ('~' - ' '), size);
			written[used + i] = c;
			n += snprintf(shown + n, sizeof(shown) - n, "%.*s%s%.*s\n",
				      i, written + used, one,
				      size - i - 1, written + used + i + 1);
			used += size;
			written[used++] = '\n';
		}
		ck_assert_int_eq(write_once(written, used), used);
		seen = slurp(FILE_PATH);
		ck_assert_uint_ge(strlen(seen), n);
		ck_assert_msg(!strcmp(seen + strlen(seen) - n, shown), "byte %#x", c);
		free(seen);
	}
	unload();
}
END_TEST

static const struct {
	const char *written, *shown;
} texts[] = {
	{ "na\u00efve caf\u00e9 \u20ac \U0001f427", "na\u00efve caf\u00e9 \u20ac \U0001f427\n" },
	{ "\u00a0", "\u00a0\n" },			/* the first after the controls */
	{ "\xc2\x9b;2J", "\\xc2\\x9b;2J\n" },		/* U+009B: CSI of 8-bit terminals */
	{ "\xc2\x80\xc2\x9f", "\\xc2\\x80\\xc2\\x9f\n" },
	{ "\x9b;2J", "\\x9b;2J\n" },
	{ "\xc0\x8a", "\\xc0\\x8a\n" },			/* overlong newline */
	{ "\xe0\x80\x9b", "\\xe0\\x80\\x9b\n" },	/* overlong ESC */
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80\n" },	/* surrogate */
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80\n" }, /* beyond U+10FFFF */
	{ "\xe2\x82", "\\xe2\\x82\n" },			/* cut off at the end */
	{ "\xe2\x82\n\xac", "\\xe2\\x82\n\\xac\n" },	/* cut in two by a newline */
	{ "\xe2\x82Z", "\\xe2\\x82Z\n" },
	{ "\x1b[31mred\x1b[0m\x07", "\\x1b[31mred\\x1b[0m\\x07\n" },
	{ "a\rb", "a\\x0db\n" },
	{ "a\tb", "a\\x09b\n" },
	{ "C:\\new", "C:\\x5cnew\n" },
	{ "fake\\x0aline", "fake\\x5cx0aline\n" },
};

START_TEST(escaped)
{
	load_quiet();
	ck_assert_int_eq(spew(FILE_PATH, texts[_i].written), 0);
	ck_file(texts[_i].shown);
	unload();
}
END_TEST

/* ---- reading ---- */

/* Read @fd to its end in steps of @step bytes. */
static char *read_steps(int fd, size_t step)
{
	size_t size = 0, room = 1 << 20;
	char *text = malloc(room);
	ssize_t n;

	ck_assert_ptr_nonnull(text);
	do {
		ck_assert_uint_lt(size + step, room);
		n = ck_ok(read(fd, text + size, step));
		ck_assert_uint_le(n, step);
		size += n;
	} while (n);
	text[size] = '\0';
	return text;
}

START_TEST(any_read_size)
{
	char *all, *text;
	size_t step;
	int i, fd;

	ck_assert_int_eq(module_load("kmk_proc", "greeting=hello"), 0);
	for (i = 0; i < 30; i++) {
		char line[80];

		snprintf(line, sizeof(line), "%.*s%d\nsecond\n",
			 i, "abcdefghijklmnopqrstuvwxyzabcdefgh", i);
		ck_assert_int_eq(spew(FILE_PATH, line), 0);
	}
	all = slurp(FILE_PATH);
	fd = open_file(O_RDONLY);
	for (step = 1; step < 64; step += 3) {
		ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
		text = read_steps(fd, step);
		ck_assert_str_eq(text, all);
		free(text);
	}
	close(fd);
	free(all);
	unload();
}
END_TEST

START_TEST(one_pass_is_one_snapshot)
{
	char part[8] = "", *rest;
	int fd, other;

	load_quiet();
	ck_assert_int_eq(spew(FILE_PATH, "one\ntwo\nthree\n"), 0);
	fd = open_file(O_RDONLY);
	other = open_file(O_RDONLY);
	ck_assert_int_eq(read(fd, part, 6), 6);
	ck_assert_str_eq(part, "one\ntw");

	ck_assert_int_eq(spew(FILE_PATH, "four\n"), 0);
	rest = read_steps(fd, 3);
	ck_assert_str_eq(rest, "o\nthree\n");
	free(rest);
	/* the end stays the end; another file, and another pass, see it all */
	ck_assert_int_eq(read(fd, part, 1), 0);
	rest = read_steps(other, 100);
	ck_assert_str_eq(rest, "one\ntwo\nthree\nfour\n");
	free(rest);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	rest = read_steps(fd, 7);
	ck_assert_str_eq(rest, "one\ntwo\nthree\nfour\n");
	free(rest);
	close(fd);
	close(other);
	unload();
}
END_TEST

START_TEST(snapshot_outlives_dropped_entries)
{
	char part[8] = "", *rest;
	int fd, i;

	ck_assert_int_eq(module_load("kmk_proc", "greeting=\"\" max_entries=4"), 0);
	ck_assert_int_eq(spew(FILE_PATH, "one\ntwo\nthree\nfour\n"), 0);
	fd = open_file(O_RDONLY);
	ck_assert_int_eq(read(fd, part, 2), 2);
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(spew(FILE_PATH, "new\n"), 0);
	rest = read_steps(fd, 5);
	ck_assert_str_eq(rest, "e\ntwo\nthree\nfour\n");
	free(rest);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	rest = read_steps(fd, 5);
	ck_assert_str_eq(rest, "new\nnew\nnew\nnew\n");
	free(rest);
	close(fd);
	unload();
}
END_TEST

START_TEST(positions)
{
	char text[32];
	int fd;

	load_quiet();
	ck_assert_int_eq(spew(FILE_PATH, "0123\n5678\n"), 0);
	fd = open_file(O_RDONLY);
	ck_assert_int_eq(lseek(fd, 3, SEEK_SET), 3);	/* a pass may begin there */
	ck_assert_int_eq(read(fd, text, 4), 4);
	ck_assert(!memcmp(text, "3\n56", 4));
	ck_assert_int_eq(lseek(fd, -2, SEEK_CUR), 5);
	ck_assert_int_eq(read(fd, text, 32), 5);
	ck_assert(!memcmp(text, "5678\n", 5));
	ck_assert_int_eq(pread(fd, text, 32, 8), 2);
	ck_assert_int_eq(pread(fd, text, 32, 9), 1);
	ck_assert_int_eq(pread(fd, text, 32, 10), 0);
	ck_assert_int_eq(pread(fd, text, 32, 11), 0);
	ck_assert_int_eq(pread(fd, text, 32, 1LL << 32), 0);
	ck_assert_int_eq(pread(fd, text, 32, INT64_MAX - 32), 0);
	ck_assert_int_eq(pread(fd, text, 0, 0), 0);
	ck_errno(lseek(fd, 0, SEEK_END), EINVAL);
	ck_errno(lseek(fd, -1, SEEK_SET), EINVAL);
	close(fd);
	unload();
}
END_TEST

START_TEST(read_faults)
{
	char *edge = buffer_before_hole(8);
	struct iovec parts[2] = { { edge, 3 }, { edge + 3, 5 } };
	int fd;

	load_quiet();
	ck_assert_int_eq(spew(FILE_PATH, "0123\n5678\n"), 0);
	fd = open_file(O_RDONLY);
	ck_errno(read(fd, BAD_POINTER, 4), EFAULT);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 0);
	ck_assert_int_eq(read(fd, edge, 64), 8);	/* what fits before the hole */
	ck_assert(!memcmp(edge, "0123\n567", 8));
	ck_assert_int_eq(read(fd, edge, 2), 2);		/* and nothing is lost */
	ck_assert(!memcmp(edge, "8\n", 2));
	ck_assert_int_eq(preadv(fd, parts, 2, 0), 8);
	ck_assert(!memcmp(edge, "0123\n567", 8));
	close(fd);
	fd = open_file(O_WRONLY);
	ck_errno(read(fd, edge, 1), EBADF);
	close(fd);
	fd = open_file(O_RDONLY);
	ck_errno(write(fd, edge, 1), EBADF);
	close(fd);
	unload();
}
END_TEST

START_TEST(sendfile_reads)
{
	char text[64] = "";
	int pipes[2], fd;

	load_quiet();
	ck_assert_int_eq(spew(FILE_PATH, "spliced\n"), 0);
	ck_ok(pipe(pipes));
	fd = open_file(O_RDONLY);
	ck_assert_int_eq(sendfile(pipes[1], fd, NULL, 64), 8);
	ck_assert_int_eq(read(pipes[0], text, 64), 8);
	ck_assert_str_eq(text, "spliced\n");
	close(fd);
	close(pipes[0]);
	close(pipes[1]);
	unload();
}
END_TEST

/* ---- many at once ---- */

#define WRITERS 4
#define READERS 3

static atomic_bool stop;
static atomic_int passes;

/* Lines whose bytes are all the same, and of every length, in ones and threes. */
static void *keep_writing(void *which)
{
	int c = 'A' + (int)(intptr_t)which, fd = open_file(O_WRONLY);
	size_t size = 1;

	while (!stop) {
		char text[3 * 128];
		size_t n = 0;
		int i;

		for (i = 0; i < (size % 2 ? 1 : 3); i++) {
			memset(text + n, c, size);
			n += size;
			text[n++] = '\n';
		}
		if (write(fd, text, n) != (ssize_t)n)
			return "short write";
		size = size % 120 + 1;
	}
	close(fd);
	return NULL;
}

/* A 7-byte buffer: many reads a pass, with writers in between. */
static void *keep_reading(void *unused)
{
	int fd = open_file(O_RDONLY);
	const char *wrong = NULL;

	(void)unused;
	while (!stop && !wrong) {
		char buffer[7], first = '\n', last = '\n';
		int lines = 0;
		ssize_t n, i;

		lseek(fd, 0, SEEK_SET);
		while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
			for (i = 0; i < n; i++) {
				if (buffer[i] == '\n') {
					lines++;
					if (last == '\n')
						wrong = "empty line";
				} else if (last == '\n') {
					first = buffer[i];
					if (first < 'A' || first >= 'A' + WRITERS)
						wrong = "foreign byte";
				} else if (buffer[i] != first) {
					wrong = "torn line";
				}
				last = buffer[i];
			}
		}
		if (n < 0)
			wrong = "read failed";
		if (last != '\n')
			wrong = "unfinished line";
		if (lines > 100)
			wrong = "too many lines";
		passes++;
	}
	close(fd);
	return (void *)wrong;
}

START_TEST(torn_lines_are_impossible)
{
	pthread_t threads[WRITERS + READERS];
	void *wrong;
	long i;

	load_quiet();
	for (i = 0; i < WRITERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, keep_writing, (void *)i), 0);
	for (; i < WRITERS + READERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, keep_reading, NULL), 0);
	wait_until(passes >= 60);
	stop = true;
	for (i = 0; i < WRITERS + READERS; i++) {
		pthread_join(threads[i], &wrong);
		ck_assert_msg(!wrong, "%s", (char *)wrong);
	}
	unload();
}
END_TEST

static int shared_fd;

static void *keep_sharing(void *unused)
{
	char buffer[50];

	(void)unused;
	while (!stop)
		if (pread(shared_fd, buffer, sizeof(buffer), passes++ % 100) < 0)
			return "pread failed";
	return NULL;
}

START_TEST(threads_share_an_open_file)
{
	pthread_t threads[4];
	void *wrong;
	long i;

	load_quiet();
	shared_fd = open_file(O_RDONLY);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, keep_sharing, NULL), 0);
	ck_assert_int_eq(pthread_create(&threads[i], NULL, keep_writing, (void *)0), 0);
	wait_until(passes >= 5000);
	stop = true;
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], &wrong);
		ck_assert_msg(!wrong, "%s", (char *)wrong);
	}
	close(shared_fd);
	unload();
}
END_TEST

/* A writer whose memory never comes, because userfaultfd holds it back. */
static void *held_back_page(int *uffd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(page, MAP_FAILED);
	*uffd = ck_ok(syscall(SYS_userfaultfd, O_CLOEXEC));
	ck_ok(ioctl(*uffd, UFFDIO_API, &api));
	reg.range.start = (uintptr_t)page;
	reg.range.len = 4096;
	ck_ok(ioctl(*uffd, UFFDIO_REGISTER, &reg));
	return page;
}

static atomic_int slow_result = -1;
static atomic_int slow_tid;

static void *write_slowly(void *page)
{
	slow_tid = syscall(SYS_gettid);
	slow_result = write_once(page, 5);
	return NULL;
}

START_TEST(slow_writer_stops_nobody)
{
	struct uffdio_copy copy = { .len = 4096 };
	char *content = filled(4096, 's');
	pthread_t thread;
	struct pollfd p;
	struct uffd_msg msg;
	void *page;
	int uffd;

	page = held_back_page(&uffd);
	load_quiet();
	ck_assert_int_eq(pthread_create(&thread, NULL, write_slowly, page), 0);
	p = (struct pollfd){ .fd = uffd, .events = POLLIN };
	ck_assert_int_eq(poll(&p, 1, 20000), 1);	/* it is copying now */
	ck_assert_int_eq(read(uffd, &msg, sizeof(msg)), sizeof(msg));

	ck_assert_int_eq(spew(FILE_PATH, "fast\n"), 0);
	ck_file("fast\n");
	ck_assert_int_eq(slow_result, -1);

	copy.dst = (uintptr_t)page;
	copy.src = (uintptr_t)content;
	ck_ok(ioctl(uffd, UFFDIO_COPY, &copy));
	pthread_join(thread, NULL);
	ck_assert_int_eq(slow_result, 5);
	ck_file("fast\nsssss\n");
	close(uffd);
	free(content);
	unload();
}
END_TEST

/* ---- poll ---- */

static int poll_now(int fd, int events)
{
	struct pollfd p = { .fd = fd, .events = events };

	ck_ok(poll(&p, 1, 0));
	return p.revents;
}

#define NEWS (POLLPRI | POLLIN | POLLRDNORM)

START_TEST(poll_tells_news)
{
	int fd, other;
	char *text, c;

	load_quiet();
	fd = open_file(O_RDONLY);
	ck_assert_int_eq(poll_now(fd, NEWS), 0);
	ck_assert_int_eq(poll_now(fd, NEWS | POLLOUT), POLLOUT);
	ck_assert_int_eq(spew(FILE_PATH, "one\ntwo\n"), 0);
	ck_assert_int_eq(poll_now(fd, NEWS), NEWS);
	ck_assert_int_eq(poll_now(fd, POLLPRI), POLLPRI);
	ck_assert_int_eq(poll_now(fd, POLLIN), POLLIN);

	/* half a pass: some of them are still unseen */
	ck_assert_int_eq(read(fd, &c, 1), 1);
	ck_assert_int_eq(poll_now(fd, NEWS), NEWS);
	text = read_steps(fd, 100);
	free(text);
	ck_assert_int_eq(poll_now(fd, NEWS), 0);

	/* each reader for itself; one that opens now has seen nothing */
	other = open_file(O_RDONLY);
	ck_assert_int_eq(poll_now(other, NEWS), NEWS);

	/* news during a pass are not part of it */
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(read(fd, &c, 1), 1);
	ck_assert_int_eq(spew(FILE_PATH, "three\n"), 0);
	free(read_steps(fd, 100));
	ck_assert_int_eq(poll_now(fd, NEWS), NEWS);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	text = read_steps(fd, 100);
	ck_assert_str_eq(text, "one\ntwo\nthree\n");
	free(text);
	ck_assert_int_eq(poll_now(fd, NEWS), 0);

	/* what adds nothing is no news */
	ck_assert_int_eq(spew(FILE_PATH, "\n\n"), 0);
	ck_assert_int_eq(write_once(BAD_POINTER, 10), -EFAULT);
	ck_assert_int_eq(poll_now(fd, NEWS), 0);
	close(fd);
	close(other);
	unload();
}
END_TEST

enum waiter { POLL, POLL_FOR_PRI, SELECT, EPOLL };

struct wait_arg {
	enum waiter how;
	int fd;
	atomic_int tid;
	int events;	/* what it saw */
};

static void *wait_for_news(void *p)
{
	struct wait_arg *arg = p;
	struct pollfd pfd = { .fd = arg->fd, .events = arg->how == POLL ? POLLIN : POLLPRI };
	struct epoll_event event = { .events = EPOLLIN };
	fd_set set;
	int ep;

	arg->tid = syscall(SYS_gettid);
	switch (arg->how) {
	case POLL:
	case POLL_FOR_PRI:
		poll(&pfd, 1, -1);
		arg->events = pfd.revents;
		break;
	case SELECT:
		FD_ZERO(&set);
		FD_SET(arg->fd, &set);
		arg->events = select(arg->fd + 1, NULL, NULL, &set, NULL) == 1 ? POLLPRI : -1;
		break;
	case EPOLL:
		ep = epoll_create1(0);
		epoll_ctl(ep, EPOLL_CTL_ADD, arg->fd, &event);
		epoll_wait(ep, &event, 1, -1);
		arg->events = event.events;
		close(ep);
		break;
	}
	return NULL;
}

START_TEST(poll_wakes)
{
	static const int seen[] = { POLLIN, POLLPRI, POLLPRI, EPOLLIN };
	struct wait_arg arg = { .how = _i };
	pthread_t thread;

	load_quiet();
	arg.fd = open_file(O_RDONLY);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_news, &arg), 0);
	wait_until(arg.tid);
	wait_asleep(arg.tid);
	ck_assert_int_eq(spew(FILE_PATH, "news\n"), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(arg.events, seen[_i]);
	close(arg.fd);
	unload();
}
END_TEST

/* ---- unloading ---- */

START_TEST(unload_while_open)
{
	char text[16];
	int fd, fresh;

	load_quiet();
	ck_assert_int_eq(spew(FILE_PATH, "one\ntwo\n"), 0);
	fd = open_file(O_RDWR);
	fresh = open_file(O_RDONLY);
	ck_assert_int_eq(read(fd, text, 2), 2);
	unload();
	ck_errno(read(fd, text, 2), EIO);
	ck_errno(pread(fd, text, 2, 0), EIO);
	ck_errno(write(fd, "x\n", 2), EIO);
	ck_errno(lseek(fd, 0, SEEK_SET), EINVAL);
	ck_errno(read(fresh, text, 2), EIO);

	/* a new life does not bring the old descriptors back */
	load_quiet();
	ck_errno(read(fd, text, 2), EIO);
	ck_file("");
	close(fd);
	close(fresh);
	unload();
}
END_TEST

START_TEST(unload_while_polled)
{
	struct wait_arg arg = { .how = _i };
	pthread_t thread;

	load_quiet();
	arg.fd = open_file(O_RDONLY);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_news, &arg), 0);
	wait_until(arg.tid);
	wait_asleep(arg.tid);
	unload();
	pthread_join(thread, NULL);	/* nobody waits for ever for what is gone */
	ck_assert_int_ne(arg.events, 0);
	close(arg.fd);
}
END_TEST

/* An epoll set keeps its place in the queue even when nobody waits in it. */
START_TEST(unload_while_in_an_epoll_set)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int i, fd[8], ep = ck_ok(epoll_create1(0));

	load_quiet();
	for (i = 0; i < 8; i++) {
		fd[i] = open_file(O_RDONLY);
		ck_ok(epoll_ctl(ep, EPOLL_CTL_ADD, fd[i], &event));
	}
	unload();
	ck_ok(epoll_ctl(ep, EPOLL_CTL_DEL, fd[0], NULL));
	for (i = 0; i < 8; i++)
		close(fd[i]);
	close(ep);
	load_quiet();
	unload();
}
END_TEST

static void *keep_polling(void *unused)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLPRI };

	(void)unused;
	while (!stop) {
		int fd = open(FILE_PATH, O_RDWR | O_CLOEXEC), ep = epoll_create1(0);
		struct pollfd p = { .fd = fd, .events = POLLPRI };
		char text[64];

		if (fd >= 0) {
			epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
			poll(&p, 1, 1);
			if (write(fd, "line\n", 5) == 5 && pread(fd, text, sizeof(text), 0) == 0)
				stop = true;	/* an entry that was written is gone */
			close(fd);
			passes++;
		} else {
			kmk_pause();
		}
		close(ep);
	}
	return NULL;
}

START_TEST(unload_under_load)
{
	pthread_t threads[3];
	int i, before;

	for (i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, keep_polling, NULL), 0);
	for (i = 0; i < 12; i++) {
		before = passes;
		load_quiet();
		wait_until(passes > before + 2);
		unload();
		ck_assert(!stop);
	}
	stop = true;
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}
END_TEST

/* ---- memory ---- */

static long long free_kib(void)
{
	char *text = slurp("/proc/meminfo"), *at = strstr(text, "MemFree:");
	long long kib;

	ck_assert_ptr_nonnull(at);
	kib = atoll(at + 8);
	free(text);
	return kib;
}

/* An open file of an ordinary user shares what it shows with all others. */
START_TEST(many_open_files_cost_little)
{
	char *text = filled(64 * 1024, '\n');
	long long before, used;
	int i, fd[500];
	char c;

	ck_assert_int_eq(module_load("kmk_proc", "greeting=\"\" max_entries=2000"), 0);
	for (i = 0; i < 64; i++)
		memset(text + i * 1024, 0x1b, LINE_LIMIT);
	for (i = 0; i < 32; i++)
		ck_assert_int_eq(write_once(text, 64 * 1024), 64 * 1024);
	before = free_kib();
	for (i = 0; i < 500; i++) {
		fd[i] = open_file(O_RDONLY);
		ck_assert_int_eq(read(fd[i], &c, 1), 1);
	}
	used = before - free_kib();
	for (i = 0; i < 500; i++)
		close(fd[i]);
	/* 500 copies would be 4 GB */
	ck_assert_msg(used < 8 * 1024, "500 readers of 8 MB took %lld KiB", used);
	free(text);
	unload();
}
END_TEST

/* What writers store and readers hold is theirs to pay. */
START_TEST(memory_is_charged)
{
	char *text = filled(64 * 1024, '\n');
	long long before;
	int i, out;
	pid_t pid;
	char c;

	ck_assert_int_eq(module_load("kmk_proc", "greeting=\"\" max_entries=5000"), 0);
	make_cgroup();
	pid = spawn();
	if (!pid) {
		if (spew(CGROUP "/cgroup.procs", "0"))
			_exit(1);
		out = open_file(O_WRONLY);

		/* 16 writes of 64 lines, each escaped to 4 KiB: 4 MiB */
		for (i = 0; i < 64; i++)
			memset(text + i * 1024, 0x1b, LINE_LIMIT);
		before = charged();
		for (i = 0; i < 16; i++)
			if (write(out, text, 64 * 1024) != 64 * 1024)
				_exit(2);
		if (charged() - before < 3 << 20)
			_exit(3);

		/* 90 readers, each with another snapshot of 5000 records, 60 KB or more */
		for (i = 0; i < 5000; i++)
			if (write(out, "x", 1) != 1)
				_exit(4);
		before = charged();
		for (i = 0; i < 90; i++)
			if (read(open_file(O_RDONLY), &c, 1) != 1 || write(out, "y", 1) != 1)
				_exit(5);
		_exit(charged() - before < 4 << 20 ? 6 : 0);
	}
	ck_assert_int_eq(reap(pid), 0);
	unload();
	ck_ok(rmdir(CGROUP));
	free(text);
}
END_TEST

/* Who has begun to read keeps the whole log of that moment, until he reads anew or closes. */
START_TEST(old_logs_are_charged_until_closed)
{
	char *text = filled(64 * 1024, '\n');
	int i, out, in[20];
	long long before;
	pid_t pid;
	char c;

	ck_assert_int_eq(module_load("kmk_proc", "greeting=\"\" max_entries=64"), 0);
	make_cgroup();
	pid = spawn();
	if (!pid) {
		ck_assert_int_eq(spew(CGROUP "/cgroup.procs", "0"), 0);
		out = open_file(O_WRONLY);
		/* a write is a whole log, and escaped 256 KiB */
		for (i = 0; i < 64; i++)
			memset(text + i * 1024, 0x1b, LINE_LIMIT);
		before = charged();
		for (i = 0; i < 20; i++) {
			ck_assert_int_eq(write(out, text, 64 * 1024), 64 * 1024);
			in[i] = open_file(O_RDONLY);
			ck_assert_int_eq(read(in[i], &c, 1), 1);
		}
		ck_assert_int_gt(charged() - before, 4 << 20);
		for (i = 0; i < 20; i++)
			close(in[i]);
		wait_until(charged() - before < 1 << 20);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	unload();
	ck_ok(rmdir(CGROUP));
	free(text);
}
END_TEST

static bool has_userfaultfd(void)
{
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (uffd >= 0)
		close(uffd);
	return uffd >= 0 || errno != ENOSYS;
}

int main(void)
{
	Suite *suite = suite_create("proc");
	TCase *tc = tcase_create("kmk_proc");

	tcase_add_checked_fixture(tc, clean_start, NULL);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, default_state);
	tcase_add_test(tc, loads_twice);
	tcase_add_loop_test(tc, parameter, 0, sizeof(params) / sizeof(*params));
	tcase_add_test(tc, greeting);
	tcase_add_test(tc, lines_become_entries);
	tcase_add_test(tc, shell_redirections);
	tcase_add_test(tc, line_limit);
	tcase_add_test(tc, write_limit);
	tcase_add_test(tc, bad_buffers);
	tcase_add_test(tc, writev_is_a_write_per_part);
	tcase_add_test(tc, only_root_writes);
	tcase_add_test(tc, oldest_dropped);
	tcase_add_test(tc, ten_thousand);
	tcase_add_test(tc, ten_thousand_long);
	tcase_add_test(tc, every_byte);
	tcase_add_loop_test(tc, escaped, 0, sizeof(texts) / sizeof(*texts));
	tcase_add_test(tc, any_read_size);
	tcase_add_test(tc, one_pass_is_one_snapshot);
	tcase_add_test(tc, snapshot_outlives_dropped_entries);
	tcase_add_test(tc, positions);
	tcase_add_test(tc, read_faults);
	tcase_add_test(tc, sendfile_reads);
	tcase_add_test(tc, torn_lines_are_impossible);
	tcase_add_test(tc, threads_share_an_open_file);
	if (has_userfaultfd())
		tcase_add_test(tc, slow_writer_stops_nobody);
	else
		skip_test("slow_writer_stops_nobody", "this kernel has no userfaultfd");
	tcase_add_test(tc, poll_tells_news);
	tcase_add_loop_test(tc, poll_wakes, POLL, EPOLL + 1);
	tcase_add_test(tc, unload_while_open);
	tcase_add_loop_test(tc, unload_while_polled, POLL, EPOLL + 1);
	tcase_add_test(tc, unload_while_in_an_epoll_set);
	tcase_add_test(tc, unload_under_load);
	tcase_add_test(tc, many_open_files_cost_little);
	if (has_memory_cgroups()) {
		tcase_add_test(tc, memory_is_charged);
		tcase_add_test(tc, old_logs_are_charged_until_closed);
	} else {
		skip_test("memory_is_charged", "this kernel has no memory cgroups");
		skip_test("old_logs_are_charged_until_closed", "this kernel has no memory cgroups");
	}
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
