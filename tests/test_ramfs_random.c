// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_ramfs: random operations on files, compared with a model of them: each byte,
 * each hole, each page that df counts. Beside them the adversary splits, moves and
 * pins the pages, see adversary.h.
 *
 * Each seed is named as it begins. KMK_SEED=n sets the first, KMK_SEEDS=n how many are
 * run, KMK_STEPS=n how many operations each makes, and KMK_TRACE=1 shows them.
 */
#define _GNU_SOURCE
#include "ramfs.h"
#include "adversary.h"

#include <limits.h>
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

/*
 * A page of a large folio that somebody else refers to cannot be taken out of it. It stays,
 * all zeros, when a hole is punched; when it lies past the end, the next change that finds
 * no such reference frees it.
 */
enum page {
	HOLE,
	MAYBE,		/* kept or freed by the operation that runs */
	LEFT,		/* kept past the end: each change may free it */
	THERE,		/* written or reserved */
};

/* A file as it should be. */
static struct model {
	int fd;
	char *map;
	off_t size;
	enum page page[PAGES];
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

/* Near the edges of pages, and where large folios begin, more often than chance would have it. */
static off_t pick_place(off_t below)
{
	off_t at = pick(below);

	switch (pick(6)) {
	case 0 ... 1:
		at = at / PAGE * PAGE + pick(3) - 1;
		break;
	case 2:
		at = at / (16 * PAGE) * (16 * PAGE);
	}
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

static int first_page_past(off_t size)
{
	return (size + PAGE - 1) / PAGE;
}

/* Those that MAYBE there count, unless they are @freed. */
static bool is_hole(const struct model *m, int page, bool freed)
{
	return m->page[page] == HOLE || (freed && m->page[page] == MAYBE);
}

static int pages_of(const struct model *m, bool freed)
{
	int i, n = 0;

	for (i = 0; i < PAGES; i++)
		n += !is_hole(m, i, freed);
	return n;
}

static int used(bool freed)
{
	int i, n = 0;

	for (i = 0; i < FILES; i++)
		n += pages_of(&files[i], freed);
	return n;
}

/* How many pages between two bytes are holes. */
static int holes(const struct model *m, off_t from, off_t to, bool freed)
{
	int i, n = 0;

	for (i = from / PAGE; i * PAGE < to; i++)
		n += is_hole(m, i, freed);
	return n;
}

static void fill(struct model *m, off_t from, off_t to)
{
	int i;

	for (i = from / PAGE; i * PAGE < to; i++)
		m->page[i] = THERE;
}

/*
 * Whether a folio with @page can be in two parts: one between pages @first and @end, which
 * is to go, and one outside. Folios are aligned to their size.
 */
static bool can_be_cut(const enum page *page, int at, int first, int end)
{
	int order, i;

	for (order = 2; 1 << order <= PAGES; order++) {
		int start = at >> order << order, stop = start + (1 << order);

		for (i = start; i < stop && i < PAGES && page[i] != HOLE; i++)
			;
		if (i < stop)
			return false;
		if (start < first || stop > end)
			return true;
	}
	return false;
}

/* Pages from @first on, before @end, go. */
static void drop(struct model *m, int first, int end)
{
	enum page before[PAGES];
	int i;

	memcpy(before, m->page, sizeof(before));
	for (i = first; i < end && i < PAGES; i++)
		if (before[i] != HOLE)
			m->page[i] = adversary_acts() && can_be_cut(before, i, first, end) ?
				     MAYBE : HOLE;
}

/* Before a change. */
static void doubt(struct model *m)
{
	int i;

	for (i = 0; i < PAGES; i++)
		if (m->page[i] == LEFT)
			m->page[i] = MAYBE;
}

/* After it: which of those that MAYBE are there, are? Past the end the first ones. */
static void resolve(struct model *m)
{
	int past = first_page_past(m->size), left, i;
	struct stat st;
	bool there;

	ck_ok(fstat(m->fd, &st));
	left = st.st_blocks / (PAGE / 512) - pages_of(m, true);
	ck_assert_int_ge(left, 0);
	ck_assert_int_le(left, pages_of(m, false) - pages_of(m, true));
	for (i = 0; i < PAGES; i++) {
		if (m->page[i] != MAYBE)
			continue;
		if (i < past)
			there = lseek(m->fd, i * PAGE, SEEK_DATA) == i * PAGE;
		else
			there = left > 0;
		left -= there;
		m->page[i] = !there ? HOLE : i < past ? THERE : LEFT;
	}
	ck_assert_int_eq(left, 0);
}

/* How much of a write there is room for. */
static size_t fitting(const struct model *m, off_t at, size_t n, bool freed)
{
	int left = room - used(freed), i;

	for (i = at / PAGE; i * PAGE < (off_t)(at + n); i++)
		if (is_hole(m, i, freed) && left-- == 0)
			return i * PAGE > at ? i * PAGE - at : 0;
	return n;
}

/* How many pages a fault in the hole @page may bring: with luck, more than one. */
static int most_ahead(const struct model *m, int page)
{
	off_t from = (off_t)page * PAGE, span = AHEAD * PAGE;

	if (page < AHEAD || page % AHEAD || from + span > m->size ||
	    holes(m, from - span, from, false) || holes(m, from, from + span, false) < AHEAD)
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
	/* to the present size, too, it frees what lies beyond */
	drop(m, first_page_past(size), INT_MAX);
	if (size < m->size)
		memset(m->bytes + size, 0, m->size - size);
	m->size = size;
}

/* Operations: each does to the file what it does to the model, and knows what must happen. */

static void tell(const struct model *m, const char *what, long long a, long long b)
{
	if (trace)
		fprintf(stderr, "# %td: %s %#llx %#llx, %d of %d pages\n", m - files, what, a, b,
			used(false), room);
}

static const char *noise(size_t n)
{
	static char data[BYTES];

	fill_pattern(data, n, pick(1000));
	return data;
}

/* Check @got, which write(), sendfile() or copy_file_range() of @data has returned. */
static void ck_stored(ssize_t got, struct model *m, off_t at, const char *data, size_t n)
{
	int err = errno;

	if (got < 0) {
		ck_assert_int_eq(err, ENOSPC);
		ck_assert_uint_eq(fitting(m, at, n, false), 0);
		return;
	}
	ck_assert_int_gt(got, 0);
	ck_assert_int_ge(got, fitting(m, at, n, false));
	ck_assert_int_le(got, fitting(m, at, n, true));
	model_write(m, at, data, got);
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

static void truncate_to(struct model *m, off_t size)
{
	tell(m, "truncate", size, 0);
	ck_ok(ftruncate(m->fd, size));
	model_resize(m, size);
}

static void do_truncate(struct model *m)
{
	truncate_to(m, pick(6) ? pick_place(BYTES) : m->size);
}

static bool nothing_left(struct model *m)
{
	struct stat st;

	ck_ok(ftruncate(m->fd, m->size));
	model_resize(m, m->size);
	ck_ok(fstat(m->fd, &st));
	return st.st_blocks / (PAGE / 512) == pages_of(m, true);
}

/* Every other reference to a page is short: after that a change frees all past the end. */
static void do_trim(struct model *m)
{
	tell(m, "trim", 0, 0);
	adversary_unpin();
	wait_until(nothing_left(m));
}

static void punch(struct model *m, off_t at, off_t end)
{
	tell(m, "punch", at, end - at);
	ck_ok(fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, end - at));
	memset(m->bytes + at, 0, end - at);
	drop(m, first_page_past(at), end / PAGE);
}

static void do_punch(struct model *m)
{
	off_t at = pick_place(BYTES);

	if (at < BYTES)
		punch(m, at, at + pick_length(at));
}

static void do_allocate(struct model *m)
{
	int mode = (pick(2) ? FALLOC_FL_KEEP_SIZE : 0) | (pick(2) ? FALLOC_FL_ZERO_RANGE : 0);
	off_t at = pick_place(BYTES), end;

	if (at >= BYTES)
		return;
	end = at + pick_length(at);
	tell(m, mode & FALLOC_FL_ZERO_RANGE ? "zero" : "allocate", at, end - at);
	if (fallocate(m->fd, mode, at, end - at)) {
		ck_assert_int_eq(errno, ENOSPC);
		ck_assert_int_gt(holes(m, at, end, false), room - used(false));
		return;
	}
	ck_assert_int_le(holes(m, at, end, true), room - used(true));
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
	came = st.st_blocks / (PAGE / 512) - pages_of(m, false);
	ck_assert_int_ge(came, 1);
	ck_assert_int_le(came, most);
	ck_assert_int_le(came, room - used(false));
	fill(m, page * PAGE, (page + came) * PAGE);
}

/* A byte that a map writes behind the end, in the last page, is there, and never in the file. */
static void do_map(struct model *m)
{
	off_t at = pick(4) ? pick_place(BYTES) : place_ahead(m);
	bool write = pick(2), there;
	int page = at / PAGE;

	if (at >= BYTES)
		return;
	there = (off_t)page * PAGE < m->size && (m->page[page] || used(false) < room);
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
	if (wanted < used(false)) {
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
static void remove_model(struct model *m)
{
	char path[64];

	snprintf(path, sizeof(path), MNT "/%td", m - files);
	ck_ok(unlink(path));
	ck_assert_int_eq(pages_used(), used(false));
	drop_model(m);
	/* the adversary may have it open */
	wait_until(pages_used() == used(false));
}

static void do_unlink(struct model *m)
{
	tell(m, "unlink", 0, 0);
	remove_model(m);
	new_model(m);
}

/* The first page at or after @page, and before the end, that is a hole or is not. */
static int next_that(const struct model *m, int page, bool hole)
{
	while (page < first_page_past(m->size) && (m->page[page] == HOLE) != hole)
		page++;
	return page;
}

/* Pin a page, and perhaps have what is around it go at once. */
static void do_pin(struct model *m)
{
	int from = next_that(m, pick(PAGES), false), to = next_that(m, from, true);
	off_t at;

	if (from >= to)
		return;
	at = (off_t)(from + pick(to - from)) * PAGE;
	tell(m, "pin", at, 0);
	adversary_pin(m->map + at, PAGE);
	at += pick(16 * PAGE);
	if (at >= BYTES)
		return;
	switch (pick(4)) {
	case 0:
		truncate_to(m, at);
		break;
	case 1:
		punch(m, at, at + pick_length(at));
	}
}

/* The adversary moves only pages that are mapped. */
static void do_look(struct model *m)
{
	int i;

	tell(m, "look", 0, 0);
	for (i = 0; i < first_page_past(m->size); i++)
		if (m->page[i] != HOLE)
			ck_assert(touch(m->map + i * PAGE, false, 0));
}

/* Comparing */

static void ck_holes(const struct model *m)
{
	off_t at = 0, want;
	bool data;

	while (at < m->size) {
		data = m->page[at / PAGE] != HOLE;
		want = (off_t)next_that(m, at / PAGE, data) * PAGE;
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

static void ck_model_bytes(const struct model *m)
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
		ck_assert_int_eq(st.st_blocks / (PAGE / 512), pages_of(&files[i], false));
		if (whole) {
			ck_model_bytes(&files[i]);
			ck_holes(&files[i]);
		}
	}
	ck_assert_int_eq(pages_used(), used(false));
}

static const struct {
	void (*run)(struct model *m);
	bool changes;
} operations[] = {
	{ do_write, true }, { do_write, true }, { do_write, true }, { do_append, true },
	{ do_truncate, true }, { do_punch, true }, { do_allocate, true }, { do_copy, true },
	{ do_copy, true }, { do_pin, true }, { do_pin, true }, { do_trim, true },
	{ do_unlink, true }, { do_read, false }, { do_map, false }, { do_map, false },
	{ do_map, false }, { do_look, false }, { do_limit, false }, { do_sync, false },
};

static void step(void)
{
	unsigned int i = pick(sizeof(operations) / sizeof(*operations));
	struct model *m = &files[pick(FILES)];

	if (operations[i].changes)
		doubt(m);
	operations[i].run(m);
	resolve(m);
}

static void run(unsigned int seed)
{
	unsigned long steps = kmk_setting("KMK_STEPS", 1000), i;

	fprintf(stderr, "# KMK_SEED=%u\n", seed);
	state = seed;
	room = ROOM;
	ck_assert_int_eq(cramfs_remount("size=512k"), 0);
	adversary_start(ADVERSARY_ALL, MNT);
	for (i = 0; i < FILES; i++)
		new_model(&files[i]);
	for (i = 0; i < steps; i++) {
		step();
		ck_same(i % 8 == 7);
	}
	adversary_stop();
	for (i = 0; i < FILES; i++)
		do_trim(&files[i]);
	ck_same(true);
	for (i = 0; i < FILES; i++)
		remove_model(&files[i]);
	ck_assert_int_eq(pages_used(), 0);
}

static unsigned long nr_seeds(void)
{
	return kmk_setting("KMK_SEEDS", 3);
}

START_TEST(random_operations)
{
	unsigned long seeds = nr_seeds(), i;
	unsigned int seed = kmk_setting("KMK_SEED", time(NULL) ^ getpid() << 16) ?: 1;
	struct sigaction bus = { .sa_handler = on_bus };

	trace = kmk_setting("KMK_TRACE", 0);
	sigaction(SIGBUS, &bus, NULL);
	for (i = 0; i < seeds; i++)
		run(seed + i ?: 1);
	ck_adversary_acted();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ramfs_random");
	TCase *tc = tcase_create("random");

	tcase_add_checked_fixture(tc, cramfs_up, cramfs_down);
	tcase_set_timeout(tc, 120 + 120 * nr_seeds());
	tcase_add_test(tc, random_operations);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
