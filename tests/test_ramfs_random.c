// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_ramfs: random operations on files, compared with a model of them: each byte,
 * each hole, each page that df counts.
 *
 * A failing run names its seed. KMK_SEED=n runs it again, KMK_STEPS=n sets how
 * many operations there are, and KMK_TRACE=1 shows each of them.
 */
#define _GNU_SOURCE
#include "ramfs.h"

#include <linux/falloc.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#define FILES 2
#define PAGES 96		/* of a file, at most */
#define ROOM 128		/* of the file system at first: not enough for both */
#define BYTES (PAGES * PAGE)
#define AHEAD 16		/* pages that a fault in a hole may bring, see cramfs(5) */

/* What a file should be. */
static struct model {
	int fd;
	char *map;
	off_t size;
	bool page[PAGES];	/* is there: written or reserved */
	char bytes[BYTES];	/* zero behind the end */
} files[FILES];
static int room;
static bool trace;
static unsigned int state;

/* A generator that is the same on every machine. */
static unsigned int pick(unsigned int n)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % n;
}

/* Near the edges of pages more often than chance would have it. */
static off_t pick_place(off_t below)
{
	off_t at = pick(below);

	if (pick(3) == 0)
		at = at / PAGE * PAGE + pick(3) - 1;
	return at < 0 ? 0 : at;
}

static size_t pick_length(off_t at)
{
	static const size_t most[] = { 16, PAGE, 4 * PAGE, 32 * PAGE };
	size_t n = 1 + pick(most[pick(4)]);

	if (pick(3) == 0)
		n = (n + PAGE - 1) / PAGE * PAGE;
	return n < (size_t)(BYTES - at) ? n : (size_t)(BYTES - at);
}

/* The model */

static int pages_of(const struct model *m)
{
	int i, n = 0;

	for (i = 0; i < PAGES; i++)
		n += m->page[i];
	return n;
}

static int used(void)
{
	int i, n = 0;

	for (i = 0; i < FILES; i++)
		n += pages_of(&files[i]);
	return n;
}

/* How many pages between two bytes are holes. */
static int holes(const struct model *m, off_t from, off_t to)
{
	int i, n = 0;

	for (i = from / PAGE; i * PAGE < to; i++)
		n += !m->page[i];
	return n;
}

static void fill(struct model *m, off_t from, off_t to)
{
	int i;

	for (i = from / PAGE; i * PAGE < to; i++)
		m->page[i] = true;
}

/* How much of a write there is room for. */
static size_t fitting(const struct model *m, off_t at, size_t n)
{
	int left = room - used(), i;

	for (i = at / PAGE; i * PAGE < (off_t)(at + n); i++)
		if (!m->page[i] && left-- == 0)
			return i * PAGE > at ? i * PAGE - at : 0;
	return n;
}

/* How many pages a fault in the hole @page may bring: with luck, more than one. */
static int most_ahead(const struct model *m, int page)
{
	off_t from = (off_t)page * PAGE, span = AHEAD * PAGE;

	if (page < AHEAD || page % AHEAD || from + span > m->size ||
	    holes(m, from - span, from) || holes(m, from, from + span) < AHEAD)
		return 1;
	return AHEAD;
}

static void model_write(struct model *m, off_t at, const char *data, size_t n)
{
	fill(m, at, at + n);
	memcpy(m->bytes + at, data, n);
	if ((off_t)(at + n) > m->size)
		m->size = at + n;
}

static void model_resize(struct model *m, off_t size)
{
	int i;

	/* to the present size, too, it frees what lies beyond */
	for (i = (size + PAGE - 1) / PAGE; i < PAGES; i++)
		m->page[i] = false;
	if (size < m->size)
		memset(m->bytes + size, 0, m->size - size);
	m->size = size;
}

/* Operations: each does to the file what it does to the model, and knows what must happen. */

static void tell(const struct model *m, const char *what, long long a, long long b)
{
	if (trace)
		fprintf(stderr, "# %td: %s %#llx %#llx, %d of %d pages\n", m - files, what, a, b,
			used(), room);
}

static const char *noise(size_t n)
{
	static char data[BYTES];

	fill_pattern(data, n, pick(1000));
	return data;
}

/* What write(), sendfile() and copy_file_range() of @data return. */
static void ck_stored(ssize_t got, struct model *m, off_t at, const char *data, size_t n)
{
	size_t fits = fitting(m, at, n);
	int err = errno;

	if (!fits) {
		ck_assert_int_eq(got, -1);
		ck_assert_int_eq(err, ENOSPC);
		return;
	}
	ck_assert_int_eq(got, fits);
	model_write(m, at, data, fits);
}

static void do_write(struct model *m)
{
	off_t at = pick(8) ? pick_place(BYTES) : m->size;
	size_t n;
	const char *data;

	if (at >= BYTES)
		return;
	n = pick_length(at);
	data = noise(n);
	tell(m, "write", at, n);
	ck_stored(pwrite(m->fd, data, n, at), m, at, data, n);
}

static void do_append(struct model *m)
{
	char path[64];
	const char *data;
	size_t n;
	int fd;

	if (m->size == BYTES)
		return;
	n = pick_length(m->size);
	data = noise(n);
	tell(m, "append", m->size, n);
	snprintf(path, sizeof(path), MNT "/%td", m - files);
	fd = ck_ok(open(path, O_WRONLY | O_APPEND | (pick(2) ? O_DIRECT : 0)));
	ck_stored(write(fd, data, n), m, m->size, data, n);
	close(fd);
}

static void do_read(struct model *m)
{
	static char data[BYTES];
	off_t at = pick_place(BYTES);
	size_t n = pick_length(at), want = 0;

	if (at < m->size)
		want = (off_t)(at + n) < m->size ? n : (size_t)(m->size - at);
	tell(m, "read", at, n);
	ck_assert_int_eq(pread(m->fd, data, n, at), want);
	ck_assert(!memcmp(data, m->bytes + at, want));
}

static void do_truncate(struct model *m)
{
	off_t size = pick(6) ? pick_place(BYTES) : m->size;

	tell(m, "truncate", size, 0);
	ck_ok(ftruncate(m->fd, size));
	model_resize(m, size);
}

static void do_punch(struct model *m)
{
	off_t at = pick_place(BYTES), end, i;

	if (at >= BYTES)
		return;
	end = at + pick_length(at);
	tell(m, "punch", at, end - at);
	ck_ok(fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, end - at));
	memset(m->bytes + at, 0, end - at);
	for (i = (at + PAGE - 1) / PAGE; (i + 1) * PAGE <= end; i++)
		m->page[i] = false;
}

static void do_allocate(struct model *m)
{
	int mode = (pick(2) ? FALLOC_FL_KEEP_SIZE : 0) | (pick(2) ? FALLOC_FL_ZERO_RANGE : 0);
	off_t at = pick_place(BYTES), end;

	if (at >= BYTES)
		return;
	end = at + pick_length(at);
	tell(m, mode & FALLOC_FL_ZERO_RANGE ? "zero" : "allocate", at, end - at);
	if (holes(m, at, end) > room - used()) {
		ck_errno(fallocate(m->fd, mode, at, end - at), ENOSPC);
		return;
	}
	ck_ok(fallocate(m->fd, mode, at, end - at));
	fill(m, at, end);
	if (mode & FALLOC_FL_ZERO_RANGE)
		memset(m->bytes + at, 0, end - at);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > m->size)
		m->size = end;
}

static sigjmp_buf jump;

static void on_bus(int sig)
{
	siglongjmp(jump, sig);
}

/* Touch a page of the map; false: SIGBUS. */
static bool touch(volatile char *at, bool write, char byte)
{
	if (sigsetjmp(jump, 1))
		return false;
	if (write)
		*at = byte;
	else
		(void)*at;
	return true;
}

/* Where a fault may bring more than its page, if there is such a place. */
static off_t place_ahead(const struct model *m)
{
	int page;

	for (page = AHEAD; page < PAGES; page += AHEAD)
		if (most_ahead(m, page) == AHEAD)
			return page * PAGE;
	return pick_place(BYTES);
}

/* A fault brings its page, and as many behind it as it likes of those that it may. */
static void ck_faulted(struct model *m, int page)
{
	int most = most_ahead(m, page), came;
	struct stat st;

	if (m->page[page])
		return;
	ck_ok(fstat(m->fd, &st));
	came = st.st_blocks / (PAGE / 512) - pages_of(m);
	ck_assert_int_ge(came, 1);
	ck_assert_int_le(came, most);
	ck_assert_int_le(came, room - used());
	fill(m, page * PAGE, (page + came) * PAGE);
}

/* What a map writes behind the end in the last page is there, and never in the file. */
static void do_map(struct model *m)
{
	off_t at = pick(4) ? pick_place(BYTES) : place_ahead(m);
	bool write = pick(2), there;
	int page = at / PAGE;

	if (at >= BYTES)
		return;
	there = (off_t)page * PAGE < m->size && (m->page[page] || used() < room);
	tell(m, write ? "map write" : "map read", at, there);
	ck_assert_int_eq(touch(m->map + at, write, 'm'), there);
	if (!there)
		return;
	ck_faulted(m, page);
	if (write && at < m->size)
		m->bytes[at] = 'm';
	if (at < m->size)
		ck_assert_int_eq(m->map[at], m->bytes[at]);
}

static void do_copy(struct model *m)
{
	struct model *from = &files[pick(FILES)];
	bool send = pick(2);
	loff_t in = pick_place(BYTES), out = pick_place(BYTES);
	size_t n, want;
	ssize_t got;

	if (in >= from->size || out >= BYTES)
		return;
	n = pick_length(out);
	want = (off_t)(in + n) < from->size ? n : (size_t)(from->size - in);
	tell(m, send ? "sendfile" : "copy", in, out);
	/* from its own end a file would read on what it has just been sent */
	if (from == m && send && want < n)
		return;
	if (from == m && in < (off_t)(out + n) && out < (off_t)(in + n)) {
		if (!send && in < (off_t)(out + want) && out < (off_t)(in + want))
			ck_errno(copy_file_range(from->fd, &in, m->fd, &out, n, 0), EINVAL);
		return;
	}
	errno = 0;
	if (send) {
		ck_ok(lseek(m->fd, out, SEEK_SET));
		got = sendfile(m->fd, from->fd, &in, n);
	} else {
		loff_t to = out, start = in;

		got = copy_file_range(from->fd, &start, m->fd, &to, n, 0);
	}
	ck_stored(got, m, out, from->bytes + (send && got > 0 ? in - got : in), want);
}

static void do_limit(struct model *m)
{
	int wanted = ROOM / 4 + pick(ROOM * 3 / 2);
	char options[32];

	tell(m, "limit", wanted, 0);
	snprintf(options, sizeof(options), "size=%dk", wanted * PAGE / 1024);
	if (wanted < used()) {
		ck_assert_int_eq(cramfs_remount(options), -EINVAL);
		return;
	}
	ck_assert_int_eq(cramfs_remount(options), 0);
	room = wanted;
}

static void do_sync(struct model *m)
{
	tell(m, "sync", 0, 0);
	if (pick(2))
		ck_ok(fsync(m->fd));
	else
		ck_ok(msync(m->map, m->size, MS_SYNC));
}

static void new_model(struct model *m)
{
	char path[64];

	snprintf(path, sizeof(path), MNT "/%td", m - files);
	memset(m, 0, sizeof(*m));
	m->fd = new_file(path);
	m->map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	ck_assert_ptr_ne(m->map, MAP_FAILED);
}

static void drop_model(struct model *m)
{
	ck_ok(munmap(m->map, BYTES));
	ck_ok(close(m->fd));
	memset(m, 0, sizeof(*m));
}

/* Unlinked while it is open and mapped: the pages go with the last of both. */
static void do_unlink(struct model *m)
{
	char path[64];

	tell(m, "unlink", 0, 0);
	snprintf(path, sizeof(path), MNT "/%td", m - files);
	ck_ok(unlink(path));
	ck_assert_int_eq(pages_used(), used());
	drop_model(m);
	new_model(m);
}

/* Comparing */

static void ck_holes(const struct model *m)
{
	off_t at = 0, want;
	bool data;

	while (at < m->size) {
		data = m->page[at / PAGE];
		for (want = at; want < m->size && m->page[want / PAGE] == data; want += PAGE)
			;
		if (want >= m->size && !data) {
			ck_errno(lseek(m->fd, at, SEEK_DATA), ENXIO);
			break;
		}
		want = want < m->size ? want : m->size;
		ck_assert_int_eq(lseek(m->fd, at, data ? SEEK_HOLE : SEEK_DATA), want);
		ck_assert_int_eq(lseek(m->fd, at, data ? SEEK_DATA : SEEK_HOLE), at);
		at = want;
	}
}

static void ck_bytes(const struct model *m)
{
	static char data[BYTES + 1];
	off_t i;

	ck_assert_int_eq(pread(m->fd, data, sizeof(data), 0), m->size);
	if (!memcmp(data, m->bytes, m->size))
		return;
	for (i = 0; data[i] == m->bytes[i]; i++)
		;
	ck_abort_msg("file %td differs from byte %#llx on: %#x, not %#x", m - files, (long long)i,
		     (unsigned char)data[i], (unsigned char)m->bytes[i]);
}

static void ck_same(bool whole)
{
	struct stat st;
	int i;

	for (i = 0; i < FILES; i++) {
		ck_ok(fstat(files[i].fd, &st));
		ck_assert_int_eq(st.st_size, files[i].size);
		ck_assert_int_eq(st.st_blocks / (PAGE / 512), pages_of(&files[i]));
		if (whole) {
			ck_bytes(&files[i]);
			ck_holes(&files[i]);
		}
	}
	ck_assert_int_eq(pages_used(), used());
}

static void (* const operations[])(struct model *m) = {
	do_write, do_write, do_write, do_append, do_read, do_truncate, do_punch, do_allocate,
	do_map, do_map, do_map, do_copy, do_copy, do_limit, do_sync, do_unlink,
};

static void run(void)
{
	unsigned long steps = kmk_setting("KMK_STEPS", 4000), i;
	struct sigaction bus = { .sa_handler = on_bus };

	sigaction(SIGBUS, &bus, NULL);
	room = ROOM;
	for (i = 0; i < FILES; i++)
		new_model(&files[i]);
	for (i = 0; i < steps; i++) {
		operations[pick(sizeof(operations) / sizeof(*operations))](&files[pick(FILES)]);
		ck_same(i % 8 == 7);
	}
	ck_same(true);
	for (i = 0; i < FILES; i++)
		do_unlink(&files[i]);
	ck_assert_int_eq(pages_used(), 0);
}

START_TEST(random_operations)
{
	unsigned int seed = kmk_setting("KMK_SEED", time(NULL) ^ getpid() << 16) ?: 1;
	pid_t pid;
	int failed;

	trace = kmk_setting("KMK_TRACE", 0);
	ck_assert_int_eq(cramfs_remount("size=512k"), 0);
	pid = spawn();
	if (!pid) {
		state = seed;
		run();
		_exit(0);
	}
	failed = reap(pid);
	if (failed)
		fprintf(stderr, "# KMK_SEED=%u does it again\n", seed);
	ck_assert_int_eq(failed, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ramfs_random");
	TCase *tc = tcase_create("random");

	tcase_add_checked_fixture(tc, cramfs_up, cramfs_down);
	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, random_operations);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
