// SPDX-License-Identifier: GPL-2.0
/* kmk_proc: /proc/rust_proc, its limits, snapshots, escaping, poll, unloading. */
#define _GNU_SOURCE
#include "kmktest.h"

#include <fcntl.h>
#include <linux/capability.h>
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

/* A line ends at its newline, however many writes bring it, or when the file is closed. */
START_TEST(line_in_pieces)
{
	struct iovec parts[] = { { "he", 2 }, { "llo\nyou\nth", 10 }, { "ere", 3 } };
	int fd, other, copy;

	load_quiet();
	fd = open_file(O_WRONLY);
	other = open_file(O_WRONLY);
	ck_assert_int_eq(writev(fd, parts, 3), 15);
	ck_file("hello\nyou\n");
	/* each open file has its own unfinished line */
	ck_assert_int_eq(write(other, "other", 5), 5);
	ck_assert_int_eq(write(fd, ".\nlast", 6), 6);
	ck_file("hello\nyou\nthere.\n");
	/* a failed write leaves it as it was */
	ck_errno(write(fd, BAD_POINTER, 5), EFAULT);
	ck_errno(write(fd, BAD_POINTER, WRITE_LIMIT + 1), E2BIG);
	copy = ck_ok(dup(fd));
	close(fd);
	ck_file("hello\nyou\nthere.\n");
	close(copy);
	ck_file("hello\nyou\nthere.\nlast\n");
	close(other);
	ck_file("hello\nyou\nthere.\nlast\nother\n");
	unload();
}
END_TEST

START_TEST(line_too_long_in_pieces)
{
	char *text = filled(LINE_LIMIT + 8, 'x');
	struct iovec parts[] = { { "good\n", 5 }, { text, LINE_LIMIT }, { "y", 1 } };
	int fd;

	load_quiet();
	fd = open_file(O_WRONLY);
	ck_assert_int_eq(write(fd, text, LINE_LIMIT), LINE_LIMIT);
	ck_assert_int_eq(write(fd, "\n", 1), 1);	/* as much as a line may be */
	ck_assert_int_eq(write(fd, text, LINE_LIMIT), LINE_LIMIT);
	/* one byte too much: that write is refused, and the unfinished line is gone */
	ck_errno(write(fd, "z\nrefused\n", 10), EMSGSIZE);
	ck_assert_int_eq(write(fd, "anew\n", 5), 5);
	/* writev() is a write for each part: what came before the one that failed, counts */
	ck_assert_int_eq(writev(fd, parts, 3), 5 + LINE_LIMIT);
	close(fd);
	text[LINE_LIMIT] = '\0';
	char *seen = slurp(FILE_PATH);

	ck_assert(!strncmp(seen, text, LINE_LIMIT));
	ck_assert_str_eq(seen + LINE_LIMIT, "\nanew\ngood\n");
	free(seen);
	free(text);
	unload();
}
END_TEST

/* stdio writes whenever its buffer, of 1024 bytes for a file in /proc, is full. */
START_TEST(stdio_tears_no_line)
{
	char expected[100 * 80] = "";
	FILE *file;
	int i;

	load_quiet();
	file = fopen(FILE_PATH, "w");
	ck_assert_ptr_nonnull(file);
	for (i = 0; i < 100; i++) {
		char line[80];

		snprintf(line, sizeof(line), "line %d, which is of some sixty bytes, no more\n", i);
		strcat(expected, line);
		ck_assert_int_ge(fputs(line, file), 0);
	}
	ck_assert_int_eq(fclose(file), 0);
	ck_file(expected);
	unload();
}
END_TEST

START_TEST(killed_writer_ends_its_line)
{
	pid_t pid;
	int status;

	load_quiet();
	pid = spawn();
	if (!pid) {
		if (write(open_file(O_WRONLY), "unfinished", 10) == 10)
			raise(SIGKILL);
		_exit(1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	ck_file("unfinished\n");
	unload();
}
END_TEST

/* Each way to append: most of these seek to the end first. */
static void append_with(const char *mode)
{
	FILE *file = fopen(FILE_PATH, mode);

	ck_assert_msg(file, "fopen(\"%s\"): %s", mode, strerror(errno));
	ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
	ck_assert_int_gt(fprintf(file, "by fopen %s\n", mode), 0);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(programs_append)
{
	static const char * const modes[] = { "a", "a+", "r+", "w", "w+" };
	static const char * const commands[] = {
		"echo by tee | tee -a " FILE_PATH " > /dev/null",
		"echo | awk '{ print \"by awk\" >> \"" FILE_PATH "\" }'",
		"echo by sh >> " FILE_PATH,
		"echo by dd | dd of=" FILE_PATH " oflag=append conv=notrunc 2> /dev/null",
		"echo by cp > /tmp/entry; cp /tmp/entry " FILE_PATH,
		"printf 'in ' > /tmp/entry; (cat /tmp/entry; echo pieces) >> " FILE_PATH,
	};
	size_t i;

	load_quiet();
	for (i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		append_with(modes[i]);
	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		ck_assert_msg(!system(commands[i]), "failed: %s", commands[i]);
	ck_file("by fopen a\nby fopen a+\nby fopen r+\nby fopen w\nby fopen w+\n"
		"by tee\nby awk\nby sh\nby dd\nby cp\nin pieces\n");
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

/* Give CAP_SYS_ADMIN up, as root of a container has, or take it back. */
static void set_admin(bool has)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	ck_ok(syscall(SYS_capget, &header, data));
	data[0].effective &= ~(1u << CAP_SYS_ADMIN);
	if (has)
		data[0].effective |= 1u << CAP_SYS_ADMIN;
	ck_ok(syscall(SYS_capset, &header, data));
}

static bool refused(int fd)
{
	/* before a size or a pointer is looked at */
	return write(fd, "forged\n", 7) == -1 && errno == EPERM &&
	       write(fd, BAD_POINTER, WRITE_LIMIT + 1) == -1 && errno == EPERM &&
	       write(fd, "", 0) == -1 && errno == EPERM;
}

/* Root of a container is root to the file's mode. */
START_TEST(root_of_a_container_does_not_write)
{
	pid_t pid;

	load_quiet();
	pid = spawn();
	if (!pid) {
		set_admin(false);
		_exit(refused(open_file(O_WRONLY)) ? 0 : 1);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_file("");
	unload();
}
END_TEST

START_TEST(root_of_a_user_namespace_does_not_write)
{
	pid_t pid;

	load_quiet();
	pid = spawn();
	if (!pid) {
		enter_user_namespace();
		_exit(refused(open_file(O_RDWR)) ? 0 : 2);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_file("");
	unload();
}
END_TEST

/* The opener's right counts, not that of a process which was brought to write to the file. */
START_TEST(opener_counts)
{
	pid_t pid;
	int fd;

	load_quiet();
	fd = open_file(O_WRONLY);
	pid = spawn();
	if (!pid) {
		drop_root();
		_exit(write(fd, "as told\n", 8) == 8 ? 0 : 1);
	}
	ck_assert_int_eq(reap(pid), 0);
	close(fd);
	pid = spawn();
	if (!pid) {
		set_admin(false);
		fd = open_file(O_WRONLY);
		set_admin(true);
		_exit(refused(fd) ? 0 : 1);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_file("as told\n");
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
	{ "a\u2028b\u2029c", "a\\xe2\\x80\\xa8b\\xe2\\x80\\xa9c\n" },	/* lines, paragraphs */
	{ "\u202a\u202b\u202c", "\\xe2\\x80\\xaa\\xe2\\x80\\xab\\xe2\\x80\\xac\n" },
	{ "x\u202etxt.exe\u202d", "x\\xe2\\x80\\xaetxt.exe\\xe2\\x80\\xad\n" },	/* overrides */
	{ "\u2066\u2067\u2068\u2069",				/* isolates */
	  "\\xe2\\x81\\xa6\\xe2\\x81\\xa7\\xe2\\x81\\xa8\\xe2\\x81\\xa9\n" },
	{ "\u061c\u200e\u200f", "\\xd8\\x9c\\xe2\\x80\\x8e\\xe2\\x80\\x8f\n" },	/* marks */
	/* their neighbours, and what is needed to write some languages */
	{ "\u061b\u061d\u200b\u200d\u2010\u2027\u202f\u2065\u206a",
	  "\u061b\u061d\u200b\u200d\u2010\u2027\u202f\u2065\u206a\n" },
	{ "\u05e9\u05dc\u05d5\u05dd \u0633\u0644\u0627\u0645",
	  "\u05e9\u05dc\u05d5\u05dd \u0633\u0644\u0627\u0645\n" },
	{ "\xc0\x8a", "\\xc0\\x8a\n" },			/* overlong newline */
	{ "\xe0\x80\x9b", "\\xe0\\x80\\x9b\n" },	/* overlong ESC */
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80\n" },	/* surrogate */
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80\n" }, /* beyond U+10FFFF */
	{ "\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80\n" },
	{ "\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf\n" },	/* overlong U+FFFF */
	{ "\xe0\x9f\xbf", "\\xe0\\x9f\\xbf\n" },	/* overlong U+07FF */
	{ "\xed\xbf\xbf", "\\xed\\xbf\\xbf\n" },	/* the last surrogate */
	/* the first and the last of each length, and beside the surrogates */
	{ "\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
	  "\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\n" },
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
	/* another file, and another pass, see it all */
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

/* Behind the end of a pass, which a read of 0 bytes tells, a reader goes on with what is new. */
START_TEST(reading_on)
{
	char text[64], *rest;
	int fd;

	ck_assert_int_eq(module_load("kmk_proc", "greeting=hello max_entries=3"), 0);
	ck_assert_int_eq(spew(FILE_PATH, "one\n"), 0);
	fd = open_file(O_RDONLY);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 10);
	ck_assert(!memcmp(text, "hello\none\n", 10));
	/* so that cat ends, although there is more by now */
	ck_assert_int_eq(spew(FILE_PATH, "two\nthree\n"), 0);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 0);
	ck_assert_int_eq(read(fd, text, 5), 5);
	ck_assert(!memcmp(text, "two\nt", 5));
	/* that is a snapshot too */
	ck_assert_int_eq(spew(FILE_PATH, "four\n"), 0);
	ck_assert_int_eq(pread(fd, text, 4, 10), 4);
	ck_assert(!memcmp(text, "two\n", 4));
	rest = read_steps(fd, 2);
	ck_assert_str_eq(rest, "hree\n");
	free(rest);
	rest = read_steps(fd, 100);
	ck_assert_str_eq(rest, "four\n");
	free(rest);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 0);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 0);
	/* of more than are kept, the newest */
	ck_assert_int_eq(spew(FILE_PATH, "5\n6\n7\n8\n9\n"), 0);
	rest = read_steps(fd, 100);
	ck_assert_str_eq(rest, "7\n8\n9\n");
	free(rest);
	/* from before these, and from the beginning: all, as it is now */
	ck_assert_int_eq(pread(fd, text, sizeof(text), 2), 10);
	ck_assert(!memcmp(text, "llo\n7\n8\n9\n", 10));
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	rest = read_steps(fd, 100);
	ck_assert_str_eq(rest, "hello\n7\n8\n9\n");
	free(rest);
	close(fd);
	unload();
}
END_TEST

/* An empty list has an end too. */
START_TEST(reading_on_from_nothing)
{
	char text[64];
	int fd;

	load_quiet();
	fd = open_file(O_RDONLY);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 0);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 0);
	ck_assert_int_eq(spew(FILE_PATH, "first\n"), 0);
	/* a read of nothing is no read */
	ck_assert_int_eq(read(fd, text, 0), 0);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 6);
	ck_assert_int_eq(read(fd, text, 0), 0);
	ck_assert_int_eq(spew(FILE_PATH, "second\n"), 0);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 0);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 7);
	close(fd);
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
	/* as stat() has it, its size is 0 */
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 0);
	ck_assert_int_eq(read(fd, text, 32), 10);
	ck_errno(lseek(fd, -1, SEEK_END), EINVAL);
	ck_errno(lseek(fd, -1, SEEK_SET), EINVAL);
	ck_errno(lseek(fd, 0, 77), EINVAL);
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

/* A reader that polls before each read gets the news from it, and no end of the file. */
START_TEST(poll_and_read_follow)
{
	char text[64];
	int fd, i;

	load_quiet();
	ck_assert_int_eq(spew(FILE_PATH, "old\n"), 0);
	fd = open_file(O_RDONLY);
	ck_assert_int_eq(poll_now(fd, NEWS), NEWS);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 4);
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(poll_now(fd, NEWS), 0);
		ck_assert_int_eq(spew(FILE_PATH, "news\nmore\n"), 0);
		ck_assert_int_eq(poll_now(fd, NEWS), NEWS);
		ck_assert_int_eq(read(fd, text, 7), 7);
		ck_assert(!memcmp(text, "news\nmo", 7));
		ck_assert_int_eq(poll_now(fd, NEWS), NEWS);
		ck_assert_int_eq(read(fd, text, 7), 3);
	}
	/* one that reads to the end as well */
	ck_assert_int_eq(read(fd, text, sizeof(text)), 0);
	ck_assert_int_eq(poll_now(fd, NEWS), 0);
	ck_assert_int_eq(spew(FILE_PATH, "last\n"), 0);
	ck_assert_int_eq(poll_now(fd, NEWS), NEWS);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 5);
	ck_assert_int_eq(poll_now(fd, NEWS), 0);
	/* what was told in one pass makes it go on once, and not for ever */
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(read(fd, text, 1), 1);
	ck_assert_int_eq(poll_now(fd, NEWS), NEWS);
	ck_assert_int_eq(spew(FILE_PATH, "x\n"), 0);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 38);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 2);
	ck_assert_int_eq(spew(FILE_PATH, "y\n"), 0);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 0);
	close(fd);
	unload();
}
END_TEST

/* A read beyond the end reads nothing. */
START_TEST(far_read_is_no_news)
{
	char text[64];
	int fd;

	load_quiet();
	ck_assert_int_eq(spew(FILE_PATH, "one\n"), 0);
	fd = open_file(O_RDONLY);
	ck_assert_int_eq(pread(fd, text, sizeof(text), 1 << 30), 0);
	ck_assert_int_eq(poll_now(fd, NEWS), NEWS);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 4);
	ck_assert_int_eq(poll_now(fd, NEWS), 0);
	close(fd);
	unload();
}
END_TEST

static void ck_piped(int fd, const char *expected)
{
	char text[256];
	size_t size = 0;

	while (size < strlen(expected)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		ck_assert_int_eq(poll(&p, 1, kmk_patience() * 1000), 1);
		size += ck_ok(read(fd, text + size, sizeof(text) - 1 - size));
		text[size] = '\0';
		ck_assert_msg(!strncmp(text, expected, size), "got %s", text);
	}
}

START_TEST(busybox_tail_follows)
{
	int pipes[2];
	pid_t pid;

	load_quiet();
	ck_ok(pipe(pipes));
	ck_assert_int_eq(spew(FILE_PATH, "zero\none\n"), 0);
	pid = spawn();
	if (!pid) {
		dup2(pipes[1], STDOUT_FILENO);
		execlp("busybox", "busybox", "tail", "-n", "1", "-f", FILE_PATH, NULL);
		_exit(1);
	}
	ck_piped(pipes[0], "one\n");
	ck_assert_int_eq(spew(FILE_PATH, "two\n"), 0);
	ck_piped(pipes[0], "two\n");
	ck_assert_int_eq(spew(FILE_PATH, "three\nfour\n"), 0);
	ck_piped(pipes[0], "three\nfour\n");
	ck_ok(kill(pid, SIGKILL));
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	close(pipes[0]);
	close(pipes[1]);
	unload();
}
END_TEST

/* Programs that share an open file, each of which reads to its end, get each entry once. */
START_TEST(cat_after_cat)
{
	load_quiet();
	ck_assert_int_eq(spew(FILE_PATH, "one\n"), 0);
	ck_assert_int_eq(system("( cat; echo two > " FILE_PATH "; cat; cat; echo three > " FILE_PATH
				"; cat ) < " FILE_PATH " > /tmp/followed"), 0);
	ck_assert(file_has("/tmp/followed", "one\ntwo\nthree\n"));
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
	int reader, writer;

	load_quiet();
	ck_assert_int_eq(spew(FILE_PATH, "one\ntwo\n"), 0);
	reader = open_file(O_RDONLY);
	writer = open_file(O_WRONLY);
	ck_assert_int_eq(read(reader, text, 2), 2);
	ck_assert_int_eq(module_unload("kmk_proc"), -EAGAIN);
	/* nothing has changed */
	ck_assert_int_eq(read(reader, text, sizeof(text)), 6);
	ck_assert_int_eq(write(writer, "three\n", 6), 6);
	ck_file("one\ntwo\nthree\n");
	close(writer);
	ck_assert_int_eq(module_unload("kmk_proc"), -EAGAIN);
	close(reader);
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
	ck_assert_int_eq(module_unload("kmk_proc"), -EAGAIN);
	ck_assert_int_eq(spew(FILE_PATH, "news\n"), 0);
	pthread_join(thread, NULL);
	close(arg.fd);
	unload();
}
END_TEST

static atomic_bool calm;

static void *keep_polling(void *unused)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLPRI };

	(void)unused;
	while (!stop) {
		int fd = calm ? -1 : open(FILE_PATH, O_RDWR | O_CLOEXEC), ep;
		struct pollfd p = { .fd = fd, .events = POLLPRI };
		char text[64];

		if (fd < 0) {
			/* not there, or going */
			if (!calm && errno != ENOENT && errno != ENODEV)
				return strerror(errno);
			kmk_pause();
			continue;
		}
		ep = epoll_create1(EPOLL_CLOEXEC);
		epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
		poll(&p, 1, 1);
		if (write(fd, "line\n", 5) != 5 || pread(fd, text, sizeof(text), 0) <= 0)
			return "an entry that was written is gone";
		close(fd);
		close(ep);
		passes++;
		kmk_pause();
	}
	return NULL;
}

START_TEST(unload_under_load)
{
	pthread_t threads[3];
	int i, before;
	void *wrong;

	for (i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, keep_polling, NULL), 0);
	for (i = 0; i < 12; i++) {
		before = passes;
		load_quiet();
		wait_until(passes > before + 2);
		/* they hold it nearly always; those that come back find it going */
		calm = module_unload("kmk_proc");
		if (calm) {
			wait_until(!module_unload("kmk_proc"));
			calm = false;
		}
	}
	stop = true;
	for (i = 0; i < 3; i++) {
		pthread_join(threads[i], &wrong);
		ck_assert_msg(!wrong, "%s", (char *)wrong);
	}
	ck_assert(!exists(FILE_PATH));
}
END_TEST

/* A reader whose page never comes: the module stays, and others of this open file can give up. */

static int slow_fd;

static void *read_slowly(void *page)
{
	slow_tid = syscall(SYS_gettid);
	slow_result = pread(slow_fd, page, 4, 0);
	return NULL;
}

static atomic_int second_tid, second_error;

static void interrupt(int signal)
{
	(void)signal;
}

static void *read_after(void *unused)
{
	struct sigaction action = { .sa_handler = interrupt };
	char text[4];

	(void)unused;
	sigaction(SIGUSR1, &action, NULL);
	second_tid = syscall(SYS_gettid);
	second_error = pread(slow_fd, text, 4, 0) == -1 ? errno : 0;
	return NULL;
}

START_TEST(slow_reader_stops_nobody)
{
	struct uffdio_zeropage zero = { .range.len = 4096 };
	pthread_t thread, second;
	struct uffd_msg msg;
	struct pollfd p;
	void *page;
	int uffd;

	page = held_back_page(&uffd);
	load_quiet();
	ck_assert_int_eq(spew(FILE_PATH, "one\n"), 0);
	slow_fd = open_file(O_RDWR);
	ck_assert_int_eq(pthread_create(&thread, NULL, read_slowly, page), 0);
	p = (struct pollfd){ .fd = uffd, .events = POLLIN };
	ck_assert_int_eq(poll(&p, 1, 20000), 1);	/* it is copying now */
	ck_assert_int_eq(read(uffd, &msg, sizeof(msg)), sizeof(msg));

	ck_assert_int_eq(module_unload("kmk_proc"), -EAGAIN);
	ck_assert_int_eq(write(slow_fd, "two\n", 4), 4);
	ck_assert_int_eq(poll_now(slow_fd, POLLIN), POLLIN);
	ck_file("one\ntwo\n");
	ck_assert_int_eq(pthread_create(&second, NULL, read_after, NULL), 0);
	wait_until(second_tid);
	wait_asleep(second_tid);
	pthread_kill(second, SIGUSR1);
	pthread_join(second, NULL);
	ck_assert_int_eq(second_error, EINTR);
	ck_assert_int_eq(slow_result, -1);

	zero.range.start = (uintptr_t)page;
	ck_ok(ioctl(uffd, UFFDIO_ZEROPAGE, &zero));
	pthread_join(thread, NULL);
	ck_assert_int_eq(slow_result, 4);
	ck_assert_mem_eq(page, "one\n", 4);
	close(uffd);
	close(slow_fd);
	unload();
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

/* Fill the log of @entries with what takes most room: a multiple of 64. */
static void fill_log(int entries)
{
	char *text = filled(64 * 1024, '\n');
	int i;

	for (i = 0; i < 64; i++)
		memset(text + i * 1024, 0x1b, LINE_LIMIT);
	for (i = 0; i < entries; i += 64)
		ck_assert_int_eq(write_once(text, 64 * 1024), 64 * 1024);
	free(text);
}

#define SHOWN (4 * LINE_LIMIT + 1)	/* bytes of such an entry */

/* Only during a pass does an open file hold more than a few bytes. */
START_TEST(many_open_files_cost_little)
{
	long long before, used;
	int i, fd[300];
	char *text;

	ck_assert_int_eq(module_load("kmk_proc", "greeting=\"\" max_entries=128"), 0);
	fill_log(128);
	before = free_kib();
	for (i = 0; i < 300; i++) {
		fd[i] = open_file(O_RDONLY);
		text = read_steps(fd[i], 1 << 19);
		ck_assert_uint_eq(strlen(text), 128 * SHOWN);
		free(text);
	}
	used = before - free_kib();
	for (i = 0; i < 300; i++)
		close(fd[i]);
	/* 300 copies would be 150 MB */
	ck_assert_msg(used < 8 * 1024, "300 readers of 512 KB took %lld KiB", used);
	unload();
}
END_TEST

/* A reader's copy is his, from the begin of a pass to its end. */
START_TEST(reader_pays)
{
	const long long copy = 1024 * SHOWN;
	int i, fd[4];
	long long before;
	pid_t pid;
	char c;

	ck_assert_int_eq(module_load("kmk_proc", "greeting=\"\" max_entries=1024"), 0);
	fill_log(1024);
	make_cgroup();
	pid = spawn();
	if (!pid) {
		ck_assert_int_eq(spew(CGROUP "/cgroup.procs", "0"), 0);
		before = charged();
		for (i = 0; i < 4; i++) {
			fd[i] = open_file(O_RDONLY);
			ck_assert_int_eq(read(fd[i], &c, 1), 1);
		}
		ck_assert_int_ge(charged() - before, 4 * copy);
		/* another pass takes the place of the first */
		ck_assert_int_eq(pread(fd[0], &c, 1, 0), 1);
		wait_until(charged() - before < 9 * copy / 2);
		ck_assert_int_eq(pread(fd[0], &c, 1, copy), 0);
		wait_until(charged() - before < 7 * copy / 2);
		for (i = 0; i < 4; i++)
			close(fd[i]);
		wait_until(charged() - before < copy / 2);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	unload();
	ck_ok(rmdir(CGROUP));
}
END_TEST

/* Where the reader's cgroup has no room its read fails, and the kernel kills nobody for it. */
START_TEST(reader_at_the_limit)
{
	const long long copy = 1024 * SHOWN;
	char limit[24];
	int i, fd[4], err = 0;
	ssize_t n;
	pid_t pid;
	char c;

	ck_assert_int_eq(module_load("kmk_proc", "greeting=\"\" max_entries=1024"), 0);
	fill_log(1024);
	make_cgroup();
	pid = spawn();
	if (!pid) {
		ck_assert_int_eq(spew(CGROUP "/cgroup.procs", "0"), 0);
		for (i = 0; i < 4; i++)
			fd[i] = open_file(O_RDONLY);
		snprintf(limit, sizeof(limit), "%lld", charged() + 5 * copy / 2);
		ck_assert_int_eq(spew(CGROUP "/memory.max", limit), 0);
		for (i = 0; i < 4; i++) {
			n = read(fd[i], &c, 1);
			err = n < 0 ? errno : 0;
			if (err)
				break;
			ck_assert_int_eq(n, 1);
		}
		ck_assert_int_eq(err, ENOMEM);
		ck_assert_int_ge(i, 1);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert(file_has(CGROUP "/memory.events", "oom_kill 0\n"));
	unload();
	ck_ok(rmdir(CGROUP));
}
END_TEST

/* However many readers hold copies of what was there: the writer has none of it to pay. */
START_TEST(writer_does_not_pay)
{
	int i, fd[20];
	pid_t pid;
	char c;

	ck_assert_int_eq(module_load("kmk_proc", "greeting=\"\" max_entries=64"), 0);
	make_cgroup();
	for (i = 0; i < 20; i++) {
		pid = spawn();
		if (!pid) {
			ck_assert_int_eq(spew(CGROUP "/cgroup.procs", "0"), 0);
			fill_log(64);
			_exit(0);
		}
		ck_assert_int_eq(reap(pid), 0);
		fd[i] = open_file(O_RDONLY);
		ck_assert_int_eq(read(fd[i], &c, 1), 1);
	}
	/* 20 logs would be 5 MB */
	wait_until(charged() < 2 << 20);
	for (i = 0; i < 20; i++)
		close(fd[i]);
	unload();
	ck_ok(rmdir(CGROUP));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("proc");
	TCase *tc = tcase_create("kmk_proc");

	tcase_add_checked_fixture(tc, clean_start, NULL);
	tcase_add_test(tc, default_state);
	tcase_add_test(tc, loads_twice);
	tcase_add_loop_test(tc, parameter, 0, sizeof(params) / sizeof(*params));
	tcase_add_test(tc, greeting);
	tcase_add_test(tc, lines_become_entries);
	tcase_add_test(tc, shell_redirections);
	tcase_add_test(tc, line_limit);
	tcase_add_test(tc, write_limit);
	tcase_add_test(tc, bad_buffers);
	tcase_add_test(tc, line_in_pieces);
	tcase_add_test(tc, line_too_long_in_pieces);
	tcase_add_test(tc, stdio_tears_no_line);
	tcase_add_test(tc, killed_writer_ends_its_line);
	tcase_add_test(tc, programs_append);
	tcase_add_test(tc, only_root_writes);
	tcase_add_test(tc, root_of_a_container_does_not_write);
	tcase_add_test(tc, root_of_a_user_namespace_does_not_write);
	tcase_add_test(tc, opener_counts);
	tcase_add_test(tc, oldest_dropped);
	tcase_add_test(tc, ten_thousand);
	tcase_add_test(tc, ten_thousand_long);
	tcase_add_test(tc, every_byte);
	tcase_add_loop_test(tc, escaped, 0, sizeof(texts) / sizeof(*texts));
	tcase_add_test(tc, any_read_size);
	tcase_add_test(tc, one_pass_is_one_snapshot);
	tcase_add_test(tc, reading_on);
	tcase_add_test(tc, reading_on_from_nothing);
	tcase_add_test(tc, snapshot_outlives_dropped_entries);
	tcase_add_test(tc, positions);
	tcase_add_test(tc, read_faults);
	tcase_add_test(tc, sendfile_reads);
	tcase_add_test(tc, torn_lines_are_impossible);
	tcase_add_test(tc, threads_share_an_open_file);
	if (has_userfaultfd()) {
		tcase_add_test(tc, slow_writer_stops_nobody);
		tcase_add_test(tc, slow_reader_stops_nobody);
	} else {
		skip_test("slow_writer_stops_nobody", "this kernel has no userfaultfd");
		skip_test("slow_reader_stops_nobody", "this kernel has no userfaultfd");
	}
	tcase_add_test(tc, poll_tells_news);
	tcase_add_test(tc, poll_and_read_follow);
	tcase_add_test(tc, far_read_is_no_news);
	tcase_add_test(tc, busybox_tail_follows);
	tcase_add_test(tc, cat_after_cat);
	tcase_add_loop_test(tc, poll_wakes, POLL, EPOLL + 1);
	tcase_add_test(tc, unload_while_open);
	tcase_add_loop_test(tc, unload_while_polled, POLL, EPOLL + 1);
	tcase_add_test(tc, unload_under_load);
	tcase_add_test(tc, many_open_files_cost_little);
	if (has_memory_cgroups()) {
		tcase_add_test(tc, reader_pays);
		tcase_add_test(tc, reader_at_the_limit);
		tcase_add_test(tc, writer_does_not_pay);
	} else {
		skip_test("reader_pays", "this kernel has no memory cgroups");
		skip_test("reader_at_the_limit", "this kernel has no memory cgroups");
		skip_test("writer_does_not_pay", "this kernel has no memory cgroups");
	}
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
