// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_ramfs: threads that change and read one file, beside the adversary of adversary.h.
 * Each byte that one of them reads, and each end of the file that it sees, must come from
 * some order of the calls.
 *
 * Each change is an event with the times at which its call began and returned. A cell of
 * 8 bytes names the event and the place it was written to, in bytes that are never zero.
 * The cells that were read are compared with the events after all threads have ended.
 * KMK_STORM_SECONDS=n sets how long each test goes on.
 */
#define _GNU_SOURCE
#include "ramfs.h"
#include "adversary.h"

#include <limits.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/wait.h>

#define THREADS 4
#define OPERATIONS 60		/* of a thread in a round */
#define PAGES 64		/* of the file, at most */
#define BYTES (PAGES * PAGE)
#define CELL 8			/* each offset and size is a multiple of it */
#define EVERYTHING ((off_t)1 << 40)

struct event {
	long start, end;	/* ticks */
	off_t from, to;		/* the bytes that it writes or zeroes */
	off_t size;		/* of the file after it, at least if it @grows; -1: any */
	bool zeroes, cuts, grows;
	bool uncertain;		/* it may have happened, or not */
};

struct sight {
	long start, end;
	off_t at;
	size_t n;
	off_t least, most;	/* of the file's size; no most: the end was not reached */
	bool loose;		/* zeros past the end of the file count as read */
	char *data;
};

enum mode {
	FIXED,			/* nothing changes the size */
	SHRINKING,		/* written only from the first byte on, so that there is no hole */
	FREE,
};

static struct event events[THREADS * OPERATIONS * 4];
static struct sight sights[THREADS * OPERATIONS * 4];
static atomic_int nr_events, nr_sights;
static atomic_long ticks;
static int fd, round_;
static enum mode mode;
static char *map;

/* Events, and what they write */

static struct event *begin(off_t from, off_t to)
{
	int i = atomic_fetch_add(&nr_events, 1);

	ck_assert_uint_lt(i, sizeof(events) / sizeof(*events));
	events[i] = (struct event) { .from = from, .to = to, .size = -1, .end = LONG_MAX };
	events[i].start = atomic_fetch_add(&ticks, 1);
	return &events[i];
}

static void end(struct event *event)
{
	event->end = atomic_fetch_add(&ticks, 1);
}

static void encode(char *cell, const struct event *event, off_t at)
{
	uint64_t name = (at / CELL) | (uint64_t)(event - events) << 20 | (uint64_t)round_ << 36;
	int i;

	for (i = 0; i < CELL; i++)
		cell[i] = 0x80 | (name >> 7 * i & 0x7f);
}

static struct sight *look(off_t at)
{
	int i = atomic_fetch_add(&nr_sights, 1);

	ck_assert_uint_lt(i, sizeof(sights) / sizeof(*sights));
	sights[i] = (struct sight) { .at = at, .most = -1 };
	sights[i].start = atomic_fetch_add(&ticks, 1);
	return &sights[i];
}

static void looked(struct sight *sight, char *data, size_t n)
{
	sight->end = atomic_fetch_add(&ticks, 1);
	sight->data = data;
	sight->n = n;
}

/* Operations */

static _Thread_local unsigned int state;
static _Thread_local sigjmp_buf jump;

static unsigned int pick(unsigned int n)
{
	return rand_r(&state) % n;
}

static off_t pick_place(void)
{
	off_t at = pick(BYTES / CELL) * CELL;

	return pick(3) ? at : at / PAGE * PAGE;
}

static size_t pick_size(off_t at)
{
	static const size_t most[] = { 16, PAGE, 3 * PAGE, 32 * PAGE };
	size_t n = (1 + pick(most[pick(4)] / CELL)) * CELL;

	if (pick(3) == 0)
		n = (n + PAGE - 1) / PAGE * PAGE;
	return n < (size_t)(BYTES - at) ? n : (size_t)(BYTES - at);
}

static void write_at(off_t at, size_t n)
{
	struct event *event = begin(at, at + n);
	char *data = malloc(n);
	ssize_t got;
	size_t i;

	for (i = 0; i < n; i += CELL)
		encode(data + i, event, at + i);
	got = pwrite(fd, data, n, at);
	if (got < 0) {
		ck_assert_int_eq(errno, ENOSPC);
		got = 0;
	}
	event->to = at + got;
	event->size = got ? event->to : -1;
	event->grows = true;
	end(event);
	free(data);
}

static void resize(off_t size)
{
	struct event *event = begin(size, EVERYTHING);

	event->zeroes = true;
	event->cuts = true;
	event->size = size;
	ck_ok(ftruncate(fd, size));
	end(event);
}

static void zero(int how, off_t at, size_t n)
{
	struct event *event = begin(at, at + n);

	event->zeroes = true;
	if (fallocate(fd, how | FALLOC_FL_KEEP_SIZE, at, n)) {
		ck_assert_int_eq(errno, ENOSPC);
		event->to = event->from;
	}
	end(event);
}

static void allocate(off_t at, size_t n)
{
	struct event *event = begin(at, at);

	event->grows = true;
	if (!fallocate(fd, 0, at, n))
		event->size = at + n;
	else
		ck_assert_int_eq(errno, ENOSPC);
	end(event);
}

/* All of it, or nothing. */
static void allocate_and_die(off_t at, size_t n)
{
	struct event *event = begin(at, at);
	int how = mode == FREE && pick(2) ? 0 : FALLOC_FL_KEEP_SIZE;
	pid_t pid = spawn();

	if (!pid) {
		fallocate(fd, how, at, n);
		_exit(0);
	}
	event->grows = true;
	event->uncertain = true;
	if (!how)
		event->size = at + n;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	end(event);
}

static void read_at(off_t at, size_t n)
{
	char *data = malloc(n);
	struct sight *sight = look(at);
	ssize_t got = ck_ok(pread(fd, data, n, at));

	/* or less, by the time that the read had come so far */
	if (got < (ssize_t)n)
		sight->most = at + got;
	looked(sight, data, got);
}

static void see_size(void)
{
	struct sight *sight = look(BYTES);
	struct stat st;

	ck_ok(fstat(fd, &st));
	sight->least = st.st_size;
	sight->most = st.st_size;
	looked(sight, NULL, 0);
}

/* A pipe may have pages that are cut and zeroed while they are there. */
static void splice_at(off_t at, size_t n)
{
	char *data = malloc(n);
	struct sight *sight;
	int pipes[2];
	ssize_t got;

	n = n < 16 * PAGE - PAGE ? n : 16 * PAGE - PAGE;
	ck_ok(pipe(pipes));
	sight = look(at);
	sight->loose = true;
	got = pick(2) ? splice(fd, &at, pipes[1], NULL, n, 0) : sendfile(pipes[1], fd, &at, n);
	ck_ok(got);
	ck_assert_int_eq(got ? read(pipes[0], data, got) : 0, got);
	looked(sight, data, got);
	close(pipes[0]);
	close(pipes[1]);
}

static void load_at(off_t at)
{
	char *data = malloc(CELL);
	struct sight *sight = look(at);

	sight->loose = true;
	if (sigsetjmp(jump, 1)) {
		looked(sight, data, 0);
		return;
	}
	*(uint64_t *)data = *(volatile uint64_t *)(map + at);
	looked(sight, data, CELL);
}

static void store_at(off_t at)
{
	struct event *event = begin(at, at + CELL);
	uint64_t cell;

	encode((char *)&cell, event, at);
	/* past the end it is lost */
	event->uncertain = mode != FIXED;
	if (sigsetjmp(jump, 1))
		event->to = at;
	else
		*(volatile uint64_t *)(map + at) = cell;
	end(event);
}

static void on_bus(int sig)
{
	siglongjmp(jump, sig);
}

static void change(void)
{
	off_t at = pick_place();
	size_t n = pick_size(at);

	if (mode == SHRINKING) {
		switch (pick(3)) {
		case 0:
			write_at(0, n);
			break;
		case 1:
			write_at(0, BYTES);
			break;
		default:
			resize(at);
		}
		return;
	}
	switch (pick(mode == FIXED ? 12 : 16)) {
	case 0 ... 3:
		write_at(at, n);
		break;
	case 4 ... 6:
		store_at(at);
		break;
	case 7:
		zero(FALLOC_FL_PUNCH_HOLE, at, n);
		break;
	case 8:
		zero(FALLOC_FL_ZERO_RANGE, at, n);
		break;
	case 9:
		ck_ok(fallocate(fd, FALLOC_FL_KEEP_SIZE, at, n) ? errno == ENOSPC ? 0 : -1 : 0);
		break;
	case 10:
		ck_errno(fallocate(fd, pick(2) ? FALLOC_FL_KEEP_SIZE : 0, at, 1L << 30), ENOSPC);
		break;
	case 11:
		if (pick(4) == 0)
			allocate_and_die(at, n);
		break;
	case 12:
		allocate(at, n);
		break;
	default:
		resize(at);
	}
}

static void *operate(void *arg)
{
	long thread = (long)arg, i;
	bool writer = mode != SHRINKING || thread == 0;

	state = time(NULL) + round_ * THREADS + thread;
	for (i = 0; i < OPERATIONS; i++) {
		off_t at = pick_place();
		size_t n = pick_size(at);

		if (writer && (pick(2) || mode == SHRINKING)) {
			change();
			continue;
		}
		switch (pick(8)) {
		case 0:
			see_size();
			break;
		case 1:
			splice_at(at, n);
			break;
		case 2:
			load_at(at);
			break;
		case 3:
			adversary_pin(map + at / PAGE * PAGE, (1 + pick(4)) * PAGE);
			break;
		default:
			read_at(at, n);
		}
	}
	return NULL;
}

/* Explanations */

/* The events that can matter to a sight, the last to begin first. */
static const struct event *near[sizeof(events) / sizeof(*events)];
static int nr_near;

static int by_start(const void *a, const void *b)
{
	long x = (*(const struct event * const *)a)->start;
	long y = (*(const struct event * const *)b)->start;

	return x < y ? 1 : x > y ? -1 : 0;
}

static void find_near(const struct sight *sight)
{
	int i;

	nr_near = 0;
	for (i = 0; i < nr_events; i++)
		if (events[i].start < sight->end)
			near[nr_near++] = &events[i];
	qsort(near, nr_near, sizeof(*near), by_start);
}

static bool covers(const struct event *event, off_t at)
{
	return event->from <= at && at < event->to;
}

/* Events before a change that had ended when the read began are overwritten for certain. */
static long last_overwrite(const struct sight *sight, off_t at)
{
	int i;

	for (i = 0; i < nr_near; i++)
		if (covers(near[i], at) && !near[i]->uncertain && near[i]->end < sight->start)
			return near[i]->start;
	return 0;
}

/* Whether the file grew over @at, after it was cut, by a call that did not write there. */
static bool grown_over(const struct event *cut, off_t at)
{
	int i;

	for (i = 0; i < nr_near; i++)
		if (near[i]->size > at && near[i]->end > cut->start &&
		    (!covers(near[i], at) || near[i]->zeroes))
			return true;
	return false;
}

/* Fill in the cell at @at as it can be after @event; false: the event does not show there. */
static bool can_be(const struct sight *sight, const struct event *event, off_t at, char *cell)
{
	memset(cell, 0, CELL);
	if (!event->zeroes)
		encode(cell, event, at);
	return !event->cuts || sight->loose || grown_over(event, at);
}

/* A cell may have bytes of several events: who reads it is not alone. */
static bool explained(const struct sight *sight, off_t at, const char *seen)
{
	long overwrite = last_overwrite(sight, at);
	unsigned int bytes = 0;
	char cell[CELL];
	int i, k;

	for (i = 0; i < nr_near; i++) {
		if (!covers(near[i], at) || near[i]->end < overwrite ||
		    !can_be(sight, near[i], at, cell))
			continue;
		for (k = 0; k < CELL; k++)
			bytes |= (seen[k] == cell[k]) << k;
		if (bytes == (1 << CELL) - 1)
			return true;
	}
	return false;
}

/* Whether the size can be what @event left, or how far it had come. */
static bool leaves(const struct sight *sight, const struct event *event)
{
	off_t size = event->size;
	int i;

	if (event->to > event->from && event->grows && event->end > sight->start &&
	    event->from < sight->most && size > sight->least)
		return true;
	if (size < 0 || size < sight->least || size > sight->most)
		return false;
	for (i = 0; i < nr_near; i++)
		if (near[i]->size >= 0 && !near[i]->uncertain && near[i]->start > event->end &&
		    near[i]->end < sight->start && (!near[i]->grows || near[i]->size > size))
			return false;
	return true;
}

static bool size_explained(const struct sight *sight)
{
	int i;

	for (i = 0; i < nr_near; i++)
		if (leaves(sight, near[i]))
			return true;
	return false;
}

static void show_events(const struct sight *sight, off_t at)
{
	int i;

	fprintf(stderr, "# seen between %ld and %ld; newest first:\n", sight->start, sight->end);
	for (i = 0; i < nr_near; i++)
		if (covers(near[i], at) || near[i]->size >= 0)
			fprintf(stderr, "# %ld to %ld: %#llx to %#llx%s%s%s, size %lld\n",
				near[i]->start, near[i]->end, (long long)near[i]->from,
				(long long)near[i]->to, near[i]->zeroes ? " zeroed" : "",
				near[i]->grows ? " grows" : "",
				near[i]->uncertain ? ", perhaps" : "", (long long)near[i]->size);
}

static void ck_explained(const struct sight *sight)
{
	size_t i;

	find_near(sight);
	for (i = 0; i < sight->n; i += CELL) {
		if (explained(sight, sight->at + i, sight->data + i))
			continue;
		show_events(sight, sight->at + i);
		ck_abort_msg("round %d: at %#llx of %#llx to %#llx: nobody wrote %#llx", round_,
			     (long long)(sight->at + i), (long long)sight->at,
			     (long long)(sight->at + sight->n),
			     (long long)*(uint64_t *)(sight->data + i));
	}
	if (sight->most >= 0 && !size_explained(sight)) {
		show_events(sight, sight->at);
		ck_abort_msg("round %d: no call made the file end at %#llx, or before", round_,
			     (long long)sight->most);
	}
}

static void play(void)
{
	pthread_t threads[THREADS];
	struct event *first;
	long i;

	nr_events = 0;
	nr_sights = 0;
	ck_ok(ftruncate(fd, 0));
	if (mode == FIXED)
		ck_ok(ftruncate(fd, BYTES));
	first = begin(0, EVERYTHING);
	first->zeroes = true;
	first->cuts = mode != FIXED;
	first->size = mode == FIXED ? BYTES : 0;
	end(first);
	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, operate, (void *)i), 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	see_size();
	read_at(0, BYTES);
	for (i = 0; i < nr_sights; i++) {
		ck_explained(&sights[i]);
		free(sights[i].data);
	}
	round_++;
}

static bool nothing_left(void)
{
	ck_ok(ftruncate(fd, 0));
	return pages_used() == 0;
}

static unsigned long storm_seconds(void)
{
	return kmk_setting("KMK_STORM_SECONDS", 15);
}

static void race(enum mode with)
{
	struct timespec deadline;
	struct sigaction bus = { .sa_handler = on_bus };

	mode = with;
	sigaction(SIGBUS, &bus, NULL);
	ck_assert_int_eq(cramfs_remount("size=320k"), 0);
	adversary_start(ADVERSARY_ALL, MNT);
	deadline = kmk_deadline(storm_seconds());
	fd = new_file(MNT "/f");
	map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	do {
		play();
	} while (!kmk_expired(&deadline));
	fprintf(stderr, "# %d rounds\n", round_);
	adversary_stop();
	wait_until(nothing_left());
	ck_adversary_acted();
	ck_ok(munmap(map, BYTES));
	ck_ok(close(fd));
}

START_TEST(fixed_size)
{
	race(FIXED);
}
END_TEST

START_TEST(shrinking)
{
	race(SHRINKING);
}
END_TEST

START_TEST(all_calls)
{
	race(FREE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ramfs_race");
	TCase *tc = tcase_create("race");

	tcase_add_checked_fixture(tc, cramfs_up, cramfs_down);
	tcase_set_timeout(tc, 240 + storm_seconds());
	tcase_add_test(tc, fixed_size);
	tcase_add_test(tc, shrinking);
	tcase_add_test(tc, all_calls);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
