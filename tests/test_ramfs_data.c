// SPDX-License-Identifier: GPL-2.0
/* kmk_ramfs: the contents of files: read, write, holes, fallocate, mmap, splice. */
#define _GNU_SOURCE
#include "ramfs.h"
#include "adversary.h"

#include <linux/falloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/xattr.h>

static int fd;

static void up(void)
{
	cramfs_up();
	fd = new_file(MNT "/f");
}

static void down(void)
{
	close(fd);
	cramfs_down();
}

static off_t size_of(void)
{
	struct stat st;

	ck_ok(fstat(fd, &st));
	return st.st_size;
}

/* The pages that the file takes, as it says itself and as df says. */
static long long pages_of(void)
{
	struct stat st;

	ck_ok(fstat(fd, &st));
	ck_assert_int_eq(st.st_blocks % (PAGE / 512), 0);
	ck_assert_int_eq(st.st_blocks / (PAGE / 512), pages_used());
	return pages_used();
}

START_TEST(read_and_write)
{
	char data[100], text[100] = "";
	int other;

	ck_assert_int_eq(read(fd, data, 10), 0);
	ck_assert_int_eq(write(fd, "hello, ", 7), 7);
	ck_assert_int_eq(write(fd, "world", 5), 5);
	ck_assert_int_eq(pread(fd, text, 100, 0), 12);
	ck_assert_str_eq(text, "hello, world");
	ck_assert_int_eq(pread(fd, text, 3, 10), 2);
	ck_assert_int_eq(pread(fd, text, 3, 12), 0);
	ck_assert_int_eq(pread(fd, text, 3, 1000000), 0);
	ck_errno(pread(fd, text, 3, -1), EINVAL);
	ck_assert_int_eq(pwrite(fd, "J", 1, 0), 1);
	other = ck_ok(open(MNT "/f", O_WRONLY | O_APPEND));
	ck_assert_int_eq(pwrite(other, "!", 1, 0), 1);
	memset(text, 0, sizeof(text));
	ck_assert_int_eq(pread(fd, text, 100, 0), 13);
	ck_assert_str_eq(text, "Jello, world!");
	ck_errno(read(other, text, 1), EBADF);
	close(other);
	other = ck_ok(open(MNT "/f", O_WRONLY | O_TRUNC));
	close(other);
	ck_assert_int_eq(size_of(), 0);
	ck_assert_int_eq(pages_of(), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 0);
	ck_errno(lseek(fd, -1, SEEK_SET), EINVAL);
	ck_ok(fsync(fd));
	ck_ok(fdatasync(fd));
}
END_TEST

/* All sizes and places around the edges of pages and of folios of any order. */
START_TEST(edges)
{
	static const size_t sizes[] = {
		1, 511, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 3 * PAGE - 1, 4 * PAGE, 5 * PAGE + 7,
		8 * PAGE, 16 * PAGE + 1, 32 * PAGE,
	};
	static const off_t places[] = {
		0, 1, PAGE - 1, PAGE, PAGE + 1, 4 * PAGE, 7 * PAGE, 16 * PAGE,
	};
	unsigned int i, k;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		for (k = 0; k < sizeof(places) / sizeof(*places); k++) {
			off_t at = places[k], end = at + sizes[i];

			put(fd, at, 'e', sizes[i]);
			ck_assert_int_eq(size_of(), end);
			ck_assert_int_eq(pages_of(), (end - 1) / PAGE - at / PAGE + 1);
			if (at)
				ck_bytes(fd, 0, 0, at);
			ck_bytes(fd, at, 'e', sizes[i]);
			/* a second layer: written over, partly */
			put(fd, at + sizes[i] / 2, 'f', sizes[i]);
			ck_bytes(fd, at, 'e', sizes[i] / 2);
			ck_bytes(fd, at + sizes[i] / 2, 'f', sizes[i]);
			ck_ok(ftruncate(fd, 0));
			ck_assert_int_eq(pages_of(), 0);
		}
}
END_TEST

START_TEST(vectors_and_faults)
{
	char a[PAGE], b[3 * PAGE], *hole = buffer_before_hole(100), *far;
	struct iovec v[3] = { { a, 1 }, { b, sizeof(b) }, { a, sizeof(a) } };
	ssize_t n;

	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	ck_assert_int_eq(writev(fd, v, 3), 4 * PAGE + 1);
	ck_bytes(fd, 0, 'a', 1);
	ck_bytes(fd, 1, 'b', 3 * PAGE);
	ck_bytes(fd, 1 + 3 * PAGE, 'a', PAGE);
	ck_ok(ftruncate(fd, 0));

	/* a buffer that ends too soon: the bytes before the end, or EFAULT and nothing */
	memset(hole, 'h', 100);
	ck_errno(pwrite(fd, BAD_POINTER, 10, 0), EFAULT);
	ck_assert_int_eq(size_of(), 0);
	ck_assert_int_eq(pages_of(), 0);
	n = ck_copied(pwrite(fd, hole, 200, 0), 100);
	ck_assert_int_eq(size_of(), n);
	ck_bytes(fd, 0, 'h', n);
	ck_errno(pread(fd, BAD_POINTER, 10, 0), EFAULT);
	put(fd, 0, 'x', 200);
	n = ck_copied(pread(fd, hole, 200, 0), 100);
	ck_assert_int_eq(hole[n - 1], 'x');
	ck_ok(ftruncate(fd, 0));

	/* the same where a large folio would have been filled: no page too many */
	far = buffer_before_hole(10 * PAGE + 100);
	memset(far, 'l', 10 * PAGE + 100);
	n = ck_copied(pwrite(fd, far, 32 * PAGE, 0), 10 * PAGE + 100);
	ck_assert_int_eq(size_of(), n);
	ck_assert_int_eq(pages_of(), 11);
	ck_bytes(fd, 0, 'l', n);
	ck_copied(pread(fd, far, 32 * PAGE, 0), n);
}
END_TEST

/* The end of the largest file whose last page is not whole. */
#define MOST (sizeof(long) == 8 ? 0x7fffffffffffffffLL : (0xffffffffLL << 12) - 1)

START_TEST(sparse)
{
	off_t far = MOST - PAGE;

	ck_ok(ftruncate(fd, far));
	ck_assert_int_eq(size_of(), far);
	ck_assert_int_eq(pages_of(), 0);
	ck_bytes(fd, far / 2, 0, 3 * PAGE);
	ck_assert_int_eq(pages_of(), 0);		/* reading costs nothing */
	put(fd, far - 10, 'z', 10);
	put(fd, 1LL << 40, 'y', 1);
	ck_assert_int_eq(pages_of(), 2);
	ck_bytes(fd, far - 10, 'z', 10);
	ck_bytes(fd, 1LL << 40, 'y', 1);
	ck_bytes(fd, (1LL << 40) + 1, 0, 10);
	ck_assert_int_eq(lseek(fd, 0, SEEK_DATA), 1LL << 40);
	ck_assert_int_eq(lseek(fd, 1LL << 40, SEEK_HOLE), (1LL << 40) + PAGE);
	ck_errno(pwrite(fd, "x", 1, 0x7fffffffffffffffLL), EINVAL);
	ck_errno(ftruncate(fd, -1), EINVAL);
	ck_ok(ftruncate(fd, 0));
	ck_assert_int_eq(pages_of(), 0);
}
END_TEST

/* Pages that are there already can be written again when none is left, also behind a hole. */
START_TEST(rewrite_at_the_limit)
{
	char mixed[3 * PAGE];

	ck_assert_int_eq(cramfs_remount("size=8k"), 0);
	put(fd, PAGE, 'a', PAGE);
	put(fd, 2 * PAGE, 'b', PAGE);
	put(fd, PAGE, 'c', PAGE);
	put(fd, 2 * PAGE, 'd', PAGE);
	put(fd, 2 * PAGE + 10, 'e', 10);
	ck_bytes(fd, 0, 0, PAGE);
	ck_bytes(fd, PAGE, 'c', PAGE);
	ck_bytes(fd, 2 * PAGE, 'd', 10);
	ck_bytes(fd, 2 * PAGE + 10, 'e', 10);
	ck_bytes(fd, 2 * PAGE + 20, 'd', PAGE - 20);
	memset(mixed, 'f', sizeof(mixed));
	ck_assert_int_eq(pwrite(fd, mixed, sizeof(mixed), PAGE), 2 * PAGE);
	ck_errno(pwrite(fd, mixed, PAGE, 0), ENOSPC);
	ck_errno(pwrite(fd, BAD_POINTER, PAGE, 2 * PAGE), EFAULT);
	ck_bytes(fd, PAGE, 'f', 2 * PAGE);
	ck_assert_int_eq(pages_of(), 2);
}
END_TEST

/* The last pages that a file can have, where an end no longer fits into a loff_t. */
START_TEST(largest)
{
	off_t most = MOST, last = most / PAGE * PAGE;
	int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	char *map;

	ck_ok(ftruncate(fd, most));
	ck_assert_int_eq(size_of(), most);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), most);
	ck_errno(lseek(fd, 0, SEEK_DATA), ENXIO);
	put(fd, last - 31 * PAGE, 'l', 32 * PAGE - 1);
	ck_assert_int_eq(pages_of(), 32);
	ck_bytes(fd, last - 31 * PAGE, 'l', 32 * PAGE - 1);
	ck_assert_int_eq(lseek(fd, 0, SEEK_DATA), last - 31 * PAGE);
	ck_assert_int_eq(lseek(fd, last, SEEK_HOLE), most);

	/* the last page that the kernel lets anybody map */
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, last - PAGE);
	ck_assert_ptr_ne(map, MAP_FAILED);
	map[0] = 'm';
	ck_bytes(fd, last - PAGE, 'm', 1);
	ck_ok(munmap(map, PAGE));
	ck_ok(fallocate(fd, punch, last - PAGE, most - last + PAGE));
	ck_assert_int_eq(pages_of(), 31);	/* the last page is not whole */
	ck_bytes(fd, last - PAGE, 0, 2 * PAGE - 1);
	ck_ok(fallocate(fd, FALLOC_FL_ZERO_RANGE, last - PAGE, most - last + PAGE));
	ck_assert_int_eq(pages_of(), 32);
	ck_bytes(fd, last - 2 * PAGE, 'l', PAGE);
	ck_bytes(fd, last - PAGE, 0, 2 * PAGE - 1);
	ck_ok(ftruncate(fd, last - 16 * PAGE + 1));
	ck_assert_int_eq(pages_of(), 16);
	ck_ok(ftruncate(fd, 0));
	ck_assert_int_eq(pages_of(), 0);
}
END_TEST

START_TEST(seek)
{
	int i;

	put(fd, 2 * PAGE, 'd', 2 * PAGE);
	put(fd, 8 * PAGE + 10, 'd', 1);
	ck_ok(ftruncate(fd, 12 * PAGE + 5));
	for (i = 0; i < 2 * PAGE; i += PAGE - 1)
		ck_assert_int_eq(lseek(fd, i, SEEK_DATA), 2 * PAGE);
	ck_assert_int_eq(lseek(fd, 0, SEEK_HOLE), 0);
	ck_assert_int_eq(lseek(fd, 2 * PAGE + 1, SEEK_DATA), 2 * PAGE + 1);
	ck_assert_int_eq(lseek(fd, 2 * PAGE, SEEK_HOLE), 4 * PAGE);
	ck_assert_int_eq(lseek(fd, 3 * PAGE + 7, SEEK_HOLE), 4 * PAGE);
	ck_assert_int_eq(lseek(fd, 5 * PAGE + 7, SEEK_HOLE), 5 * PAGE + 7);
	ck_assert_int_eq(lseek(fd, 4 * PAGE, SEEK_DATA), 8 * PAGE);
	ck_assert_int_eq(lseek(fd, 8 * PAGE, SEEK_HOLE), 9 * PAGE);
	ck_errno(lseek(fd, 9 * PAGE, SEEK_DATA), ENXIO);
	ck_assert_int_eq(lseek(fd, 12 * PAGE + 4, SEEK_HOLE), 12 * PAGE + 4);
	ck_errno(lseek(fd, 12 * PAGE + 5, SEEK_HOLE), ENXIO);
	ck_errno(lseek(fd, 12 * PAGE + 5, SEEK_DATA), ENXIO);
	ck_errno(lseek(fd, -1, SEEK_DATA), ENXIO);
	put(fd, 12 * PAGE, 'd', 5);
	ck_assert_int_eq(lseek(fd, 12 * PAGE, SEEK_HOLE), 12 * PAGE + 5);
	ck_ok(ftruncate(fd, 0));
	ck_errno(lseek(fd, 0, SEEK_DATA), ENXIO);
	ck_errno(lseek(fd, 0, SEEK_HOLE), ENXIO);
}
END_TEST

/* A large folio that is cut gives back what it no longer holds, and loses nothing else. */
START_TEST(truncate_)
{
	int cut, keep;

	for (cut = 0; cut <= 32; cut += 5) {
		put(fd, 0, 't', 32 * PAGE);
		ck_ok(ftruncate(fd, cut * PAGE + 100));
		keep = cut < 32 ? cut + 1 : 33;
		ck_assert_int_eq(pages_of(), cut < 32 ? keep : 32);
		ck_bytes(fd, 0, 't', cut < 32 ? cut * PAGE + 100 : 32 * PAGE);
		/* what was cut off does not come back */
		ck_ok(ftruncate(fd, 40 * PAGE));
		if (cut < 32)
			ck_bytes(fd, cut * PAGE + 100, 0, (40 - cut) * PAGE - 100);
		ck_ok(ftruncate(fd, 0));
		ck_assert_int_eq(pages_of(), 0);
	}
	put(fd, 0, 't', 100);
	ck_ok(ftruncate(fd, 50));
	put(fd, 200, 'u', 1);
	ck_bytes(fd, 50, 0, 150);
}
END_TEST

/* The kernel cannot split a folio while somebody has a page of it. */
START_TEST(truncate_held)
{
	char *map;
	int pipes[2], mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	put(fd, 0, 't', 32 * PAGE);
	hold_first_page(fd, pipes);
	ck_ok(ftruncate(fd, 7 * PAGE + 100));
	let_go(pipes);

	/* nor may it later, with the end of the file in the folio: it would miscount */
	ck_ok(ftruncate(fd, 7 * PAGE + 100));
	map = mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_assert_int_eq(map[PAGE], 't');
	madvise(map, PAGE, MADV_COLD);
	ck_ok(munmap(map, 8 * PAGE));
	ck_ok(fallocate(fd, mode, 2 * PAGE, PAGE));
	ck_ok(ftruncate(fd, 5 * PAGE));
	ck_assert_int_eq(cancelled_writes(), 0);
	ck_bytes(fd, 0, 't', 2 * PAGE);
	ck_bytes(fd, 2 * PAGE, 0, PAGE);
	ck_bytes(fd, 3 * PAGE, 't', 2 * PAGE);

	/* when the file has grown over it, it can be split again */
	ck_ok(ftruncate(fd, 40 * PAGE));
	ck_bytes(fd, 5 * PAGE, 0, 35 * PAGE);
	ck_ok(ftruncate(fd, 6 * PAGE));
	ck_assert_int_le(pages_of(), 6);
	ck_ok(ftruncate(fd, 0));
	ck_assert_int_eq(pages_of(), 0);

	/* and when it has gone, by a hole or a shorter file, all its memory has */
	for (int hole = 0; hole < 2; hole++) {
		put(fd, 0, 't', 32 * PAGE);
		hold_first_page(fd, pipes);
		ck_ok(ftruncate(fd, 7 * PAGE));
		let_go(pipes);
		if (hole)
			ck_ok(fallocate(fd, mode, 0, 32 * PAGE));
		else
			ck_ok(ftruncate(fd, 0));
		ck_assert_int_eq(pages_of(), 0);
		ck_ok(ftruncate(fd, 0));
	}
	put(fd, 0, 't', 32 * PAGE);
	hold_first_page(fd, pipes);
	ck_ok(ftruncate(fd, 7 * PAGE));
	let_go(pipes);
	ck_assert_int_eq(cancelled_writes(), 0);
}
END_TEST

START_TEST(fallocate_plain)
{
	ck_ok(fallocate(fd, 0, 0, 10 * PAGE + 1));
	ck_assert_int_eq(size_of(), 10 * PAGE + 1);
	ck_assert_int_eq(pages_of(), 11);
	ck_bytes(fd, 0, 0, 10 * PAGE + 1);
	ck_assert_int_eq(lseek(fd, 0, SEEK_DATA), 0);
	put(fd, 3 * PAGE, 'p', PAGE);
	ck_ok(fallocate(fd, 0, 0, 5 * PAGE));
	ck_assert_int_eq(size_of(), 10 * PAGE + 1);
	ck_bytes(fd, 3 * PAGE, 'p', PAGE);
	ck_assert_int_eq(pages_of(), 11);

	ck_ok(fallocate(fd, FALLOC_FL_KEEP_SIZE, 20 * PAGE - 1, 2));
	ck_assert_int_eq(size_of(), 10 * PAGE + 1);
	ck_assert_int_eq(pages_of(), 13);
	put(fd, 20 * PAGE, 'q', 1);
	ck_assert_int_eq(pages_of(), 13);
	ck_bytes(fd, 10 * PAGE, 0, 10 * PAGE);
	ck_bytes(fd, 20 * PAGE, 'q', 1);
	ck_ok(fallocate(fd, FALLOC_FL_KEEP_SIZE, 30 * PAGE, 16 * PAGE));
	ck_assert_int_eq(pages_of(), 29);
	ck_ok(ftruncate(fd, 20 * PAGE));
	ck_assert_int_eq(pages_of(), 12);
	/* to the size that the file has, as well */
	ck_ok(fallocate(fd, FALLOC_FL_KEEP_SIZE, 30 * PAGE, 16 * PAGE));
	ck_assert_int_eq(pages_of(), 28);
	ck_ok(ftruncate(fd, 20 * PAGE));
	ck_assert_int_eq(pages_of(), 12);

	ck_errno(fallocate(fd, 0, 0, 0), EINVAL);
	ck_errno(fallocate(fd, 0, -1, 1), EINVAL);
	ck_errno(fallocate(fd, 0, 0x7fffffffffffffffLL, 1), EFBIG);
	ck_errno(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE), EOPNOTSUPP);
	ck_errno(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, PAGE), EOPNOTSUPP);
	ck_errno(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, PAGE), EOPNOTSUPP);
}
END_TEST

/* More than there is: nothing is taken, nothing is changed. */
START_TEST(fallocate_all_or_nothing)
{
	const struct timespec early[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	struct stat before, after;

	put(fd, 0, 'a', PAGE);
	put(fd, 5 * PAGE, 'b', 3 * PAGE);
	put(fd, 20 * PAGE, 'c', 1);
	ck_assert_int_eq(pages_of(), 5);
	ck_ok(fchmod(fd, 04755));
	ck_ok(futimens(fd, early));
	ck_ok(fstat(fd, &before));
	ck_errno(fallocate(fd, 0, 0, 65 * PAGE), ENOSPC);
	ck_errno(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 65 * PAGE), ENOSPC);
	ck_errno(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 65 * PAGE), ENOSPC);
	ck_errno(fallocate(fd, FALLOC_FL_KEEP_SIZE, PAGE, 1LL << 40), ENOSPC);
	ck_ok(fstat(fd, &after));
	ck_assert_int_eq(after.st_mode, before.st_mode);
	ck_assert_int_eq(after.st_mtim.tv_sec, 1);
	ck_assert_int_eq(after.st_ctim.tv_sec, before.st_ctim.tv_sec);
	ck_assert_int_eq(after.st_ctim.tv_nsec, before.st_ctim.tv_nsec);
	ck_assert_int_eq(pages_of(), 5);
	ck_assert_int_eq(size_of(), 20 * PAGE + 1);
	ck_bytes(fd, 0, 'a', PAGE);
	ck_bytes(fd, PAGE, 0, 4 * PAGE);
	ck_bytes(fd, 5 * PAGE, 'b', 3 * PAGE);
	ck_assert_int_eq(lseek(fd, PAGE, SEEK_DATA), 5 * PAGE);
	ck_ok(fallocate(fd, 0, 0, 64 * PAGE));
	ck_assert_int_eq(pages_of(), 64);
	ck_errno(fallocate(fd, 0, 64 * PAGE, 1), ENOSPC);
}
END_TEST

static void *fallocate_all(void *unused)
{
	(void)unused;
	return (void *)(long)(fallocate(fd, 0, 0, 64 * PAGE) ? errno : 0);
}

/* The last pages that are free are for the file's holes, whatever comes first. */
START_TEST(fallocate_beside_stores)
{
	pthread_t thread;
	void *err;
	char *map;
	int i, k;

	map = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	for (i = 0; i < 200; i++) {
		ck_ok(ftruncate(fd, 0));
		ck_ok(ftruncate(fd, 64 * PAGE));
		ck_assert_int_eq(pthread_create(&thread, NULL, fallocate_all, NULL), 0);
		for (k = 63; k >= 0; k--)
			ck_assert_msg(!bus(map + k * PAGE, true), "round %d, page %d", i, k);
		pthread_join(thread, &err);
		ck_assert_msg(!err, "round %d: %s", i, strerror((long)err));
		ck_assert_int_eq(pages_of(), 64);
	}
	munmap(map, 64 * PAGE);
}
END_TEST

START_TEST(punch)
{
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	put(fd, 0, 'p', 32 * PAGE);
	ck_ok(fallocate(fd, mode, 10, 20));
	ck_assert_int_eq(pages_of(), 32);
	ck_bytes(fd, 0, 'p', 10);
	ck_bytes(fd, 10, 0, 20);
	ck_bytes(fd, 30, 'p', PAGE);
	ck_ok(fallocate(fd, mode, 5 * PAGE, PAGE));
	ck_assert_int_eq(pages_of(), 31);
	ck_ok(fallocate(fd, mode, 10 * PAGE - 1, 2 * PAGE + 2));
	ck_assert_int_eq(pages_of(), 29);
	ck_bytes(fd, 10 * PAGE - 2, 'p', 1);
	ck_bytes(fd, 10 * PAGE - 1, 0, 2 * PAGE + 2);
	ck_bytes(fd, 12 * PAGE + 1, 'p', PAGE);
	ck_assert_int_eq(lseek(fd, 0, SEEK_HOLE), 5 * PAGE);
	ck_assert_int_eq(lseek(fd, 5 * PAGE, SEEK_DATA), 6 * PAGE);
	ck_ok(fallocate(fd, mode, 31 * PAGE, 100 * PAGE));
	ck_assert_int_eq(pages_of(), 28);
	ck_assert_int_eq(size_of(), 32 * PAGE);
	ck_ok(fallocate(fd, mode, 0, MOST));
	ck_assert_int_eq(pages_of(), 0);
	ck_assert_int_eq(size_of(), 32 * PAGE);
	ck_bytes(fd, 0, 0, 32 * PAGE);
}
END_TEST

START_TEST(zero_range)
{
	put(fd, 0, 'z', 8 * PAGE);
	ck_ok(fallocate(fd, FALLOC_FL_ZERO_RANGE, PAGE + 10, 2 * PAGE));
	ck_assert_int_eq(pages_of(), 8);
	ck_bytes(fd, 0, 'z', PAGE + 10);
	ck_bytes(fd, PAGE + 10, 0, 2 * PAGE);
	ck_bytes(fd, 3 * PAGE + 10, 'z', 5 * PAGE - 10);
	ck_ok(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 8 * PAGE - 5, PAGE));
	ck_assert_int_eq(size_of(), 8 * PAGE);
	ck_assert_int_eq(pages_of(), 9);
	ck_bytes(fd, 8 * PAGE - 6, 'z', 1);
	ck_bytes(fd, 8 * PAGE - 5, 0, 5);
	ck_ok(fallocate(fd, FALLOC_FL_ZERO_RANGE, 10 * PAGE, 1));
	ck_assert_int_eq(size_of(), 10 * PAGE + 1);
	ck_assert_int_eq(pages_of(), 10);
	ck_bytes(fd, 8 * PAGE, 0, 2 * PAGE);
}
END_TEST

/* Mapping */

START_TEST(map_shared)
{
	char *map;
	pid_t pid;

	put(fd, 0, 'm', 2 * PAGE);
	ck_ok(ftruncate(fd, 8 * PAGE + 1));
	map = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_assert_int_eq(map[2 * PAGE - 1], 'm');
	map[5 * PAGE] = 'w';
	ck_bytes(fd, 5 * PAGE, 'w', 1);
	ck_bytes(fd, 5 * PAGE + 1, 0, PAGE - 1);
	ck_assert_int_eq(pages_of(), 3);
	put(fd, PAGE, 'n', 1);
	ck_assert_int_eq(map[PAGE], 'n');

	/* beyond the end of the file */
	ck_assert(!bus(map + 8 * PAGE, false));
	ck_assert(bus(map + 9 * PAGE, false));
	ck_assert(bus(map + 9 * PAGE, true));
	map[8 * PAGE + 100] = 'g';
	ck_ok(ftruncate(fd, 9 * PAGE + 1));
	ck_bytes(fd, 8 * PAGE, 0, PAGE);			/* no garbage comes in */
	ck_assert(!bus(map + 9 * PAGE, true));
	ck_ok(ftruncate(fd, PAGE));
	ck_assert(bus(map + PAGE, false));
	ck_assert_int_eq(pages_of(), 1);

	pid = spawn();
	if (!pid) {
		map[1] = 'c';
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_bytes(fd, 1, 'c', 1);
	ck_ok(msync(map, PAGE, MS_SYNC));
	ck_ok(munmap(map, 16 * PAGE));
}
END_TEST

START_TEST(map_limit)
{
	char *map;
	int i;

	ck_ok(ftruncate(fd, 100 * PAGE));
	map = mmap(NULL, 100 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	for (i = 0; i < 64; i++)
		ck_assert(!bus(map + i * PAGE, true));
	ck_assert_int_eq(pages_of(), 64);
	ck_assert(bus(map + 64 * PAGE, true));
	ck_assert(bus(map + 99 * PAGE, false));
	ck_assert(!bus(map + 63 * PAGE, true));
	ck_ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE));
	ck_assert_int_eq(pages_of(), 63);
	ck_assert(!bus(map + 64 * PAGE, true));
	ck_assert(bus(map, true));
	ck_ok(munmap(map, 100 * PAGE));
	ck_ok(ftruncate(fd, 0));
	ck_assert_int_eq(pages_of(), 0);
}
END_TEST

START_TEST(map_private)
{
	char *map;

	put(fd, 0, 'o', 4 * PAGE);
	map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	map[0] = 'p';
	ck_bytes(fd, 0, 'o', 1);
	put(fd, PAGE, 'q', 1);
	ck_assert_int_eq(map[PAGE], 'q');
	ck_ok(ftruncate(fd, 0));
	ck_assert(bus(map, false));
	ck_ok(munmap(map, 4 * PAGE));
}
END_TEST

/* A write whose buffer is the file itself, and a program run from it. */
START_TEST(map_and_self)
{
	char *map, *self = slurp("/proc/self/exe");
	struct stat st;
	pid_t pid;
	int exe, in;

	free(self);
	ck_ok(ftruncate(fd, 16 * PAGE));
	map = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	put(fd, 0, 's', 3 * PAGE);
	ck_assert_int_eq(pwrite(fd, map, 3 * PAGE, 8 * PAGE), 3 * PAGE);
	ck_bytes(fd, 8 * PAGE, 's', 3 * PAGE);
	/* from a hole into itself */
	ck_assert_int_eq(pwrite(fd, map + 4 * PAGE, PAGE, 4 * PAGE), PAGE);
	ck_bytes(fd, 4 * PAGE, 0, PAGE);
	ck_assert_int_eq(pread(fd, map + 12 * PAGE, 2 * PAGE, 0), 2 * PAGE);
	ck_bytes(fd, 12 * PAGE, 's', 2 * PAGE);
	ck_ok(munmap(map, 16 * PAGE));

	ck_assert_int_eq(cramfs_remount("size=16m"), 0);
	in = ck_ok(open("/bin/busybox", O_RDONLY));
	exe = new_file(MNT "/true");
	ck_ok(fstat(in, &st));
	while (sendfile(exe, in, NULL, 1 << 20) > 0)
		;
	ck_ok(fchmod(exe, 0755));
	close(exe);
	close(in);
	ck_assert_int_eq(stat_of(MNT "/true").st_size, st.st_size);
	pid = spawn();
	if (!pid) {
		execl(MNT "/true", "true", NULL);
		_exit(9);
	}
	ck_assert_int_eq(reap(pid), 0);
	exe = open(MNT "/true", O_RDONLY);
	ck_ok(exe);
	close(exe);
}
END_TEST

static void next_tick(void)
{
	struct timespec from, t;

	clock_gettime(CLOCK_REALTIME_COARSE, &from);
	do {
		clock_gettime(CLOCK_REALTIME_COARSE, &t);
	} while (!memcmp(&t, &from, sizeof(t)));
}

/* The first store to a page through a map changes the times; none waits for msync(). */
START_TEST(map_times)
{
	struct stat st, later;
	char *map;
	int i;

	put(fd, 0, 't', 2 * PAGE);
	for (i = 0; i < 4; i++) {
		map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		ck_assert_ptr_ne(map, MAP_FAILED);
		ck_ok(fstat(fd, &st));
		next_tick();
		map[i % 2 * PAGE] = 'u';
		ck_ok(fstat(fd, &later));
		ck_assert_mem_ne(&st.st_mtim, &later.st_mtim, sizeof(st.st_mtim));
		ck_assert_mem_ne(&st.st_ctim, &later.st_ctim, sizeof(st.st_ctim));
		ck_ok(msync(map, 2 * PAGE, MS_SYNC));
		ck_ok(munmap(map, 2 * PAGE));
	}
}
END_TEST

/*
 * A process that stores to one page after the other may get pages ahead of it, but
 * only when those before are there, and none that lies apart or beyond the end.
 */
START_TEST(map_ahead)
{
	struct stat st, later;
	char *map;
	int i;

	ck_ok(ftruncate(fd, 61 * PAGE + 1));
	map = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	map[40 * PAGE] = 'a';
	map[32 * PAGE] = 'a';
	ck_assert_int_eq(pages_of(), 2);
	for (i = 0; i < 16; i++) {
		map[i * PAGE] = 'a';
		ck_assert_int_eq(pages_of(), i + 3);
	}
	ck_ok(fstat(fd, &st));
	next_tick();
	map[16 * PAGE] = 'a';
	ck_ok(fstat(fd, &later));
	ck_assert_mem_ne(&st.st_mtim, &later.st_mtim, sizeof(st.st_mtim));
	ck_assert(pages_of() == 19 || pages_of() == 34);
	for (i = 17; i < 32; i++)
		map[i * PAGE] = 'a';
	ck_assert_int_eq(pages_of(), 34);
	for (i = 0; i < 48; i++)
		map[i * PAGE] = 'b';
	ck_assert_int_eq(pages_of(), 48);
	map[48 * PAGE] = 'b';
	ck_assert_int_eq(pages_of(), 49);
	for (i = 0; i < 49; i++) {
		ck_bytes(fd, i * PAGE, 'b', 1);
		ck_bytes(fd, i * PAGE + 1, 0, PAGE - 1);
	}
	ck_ok(ftruncate(fd, 20 * PAGE + 1));
	ck_assert_int_eq(pages_of(), 21);
	ck_assert(!bus(map + 20 * PAGE, true));
	ck_assert(bus(map + 21 * PAGE, true));
	ck_ok(munmap(map, 64 * PAGE));
	ck_ok(ftruncate(fd, 0));
	ck_assert_int_eq(pages_of(), 0);
}
END_TEST

/* Faults, writes, truncation and holes at once: nothing is lost, all is given back. */
static char *shared;

static void *fault_loop(void *arg)
{
	unsigned int seed = (long)arg, i;
	char byte;

	for (i = 0; i < 300; i++) {
		off_t at = (off_t)(rand_r(&seed) % 64) * PAGE;

		/* by the kernel, which answers EFAULT where a touch would be SIGBUS */
		switch (rand_r(&seed) % 6) {
		case 0:
			pread(fd, shared + at, PAGE, 0);
			break;
		case 1:
			pwrite(fd, shared + at, PAGE, rand_r(&seed) % (64 * PAGE));
			break;
		case 2:
			ftruncate(fd, rand_r(&seed) % (64 * PAGE));
			break;
		case 3:
			fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
				  1 + rand_r(&seed) % (16 * PAGE));
			break;
		case 4:
			fallocate(fd, rand_r(&seed) % 2 ? FALLOC_FL_KEEP_SIZE : 0, at,
				  1 + rand_r(&seed) % (16 * PAGE));
			break;
		default:
			pread(fd, &byte, 1, at);
		}
	}
	return NULL;
}

START_TEST(all_at_once)
{
	pthread_t threads[4];
	long i;

	shared = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	ck_assert_int_eq(cramfs_remount("size=160k"), 0);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, fault_loop, (void *)i), 0);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_le(pages_of(), 40);
	ck_ok(ftruncate(fd, 0));
	ck_assert_int_eq(pages_of(), 0);
	ck_ok(munmap(shared, 64 * PAGE));
}
END_TEST

/* Splice, direct I/O, limits of the process */

START_TEST(splice_)
{
	int pipes[2], other = new_file(MNT "/g");
	char data[3 * PAGE];
	off_t at = PAGE - 5, to = 0;

	put(fd, 0, 's', 2 * PAGE);
	ck_ok(ftruncate(fd, 4 * PAGE));
	ck_ok(pipe(pipes));
	ck_assert_int_eq(splice(fd, &at, pipes[1], NULL, 3 * PAGE, 0), 3 * PAGE);
	ck_assert_int_eq(read(pipes[0], data, sizeof(data)), sizeof(data));
	ck_assert_int_eq(data[PAGE + 4], 's');
	ck_assert_int_eq(data[PAGE + 5], 0);
	ck_assert_int_eq(write(pipes[1], data, sizeof(data)), sizeof(data));
	at = 10;
	ck_assert_int_eq(splice(pipes[0], NULL, fd, &at, sizeof(data), 0), sizeof(data));
	ck_bytes(fd, 10, 's', PAGE + 5);
	ck_bytes(fd, 10 + PAGE + 5, 0, PAGE);
	at = 0;
	ck_assert_int_eq(sendfile(other, fd, &at, 4 * PAGE), 4 * PAGE);
	at = 0;
	ck_assert_int_eq(copy_file_range(fd, &at, other, &to, 100, 0), 100);
	ck_assert_int_eq(stat_of(MNT "/g").st_size, 4 * PAGE);
	close(pipes[0]);
	close(pipes[1]);
	close(other);
}
END_TEST

START_TEST(direct)
{
	char *buffer = aligned_alloc(PAGE, PAGE);
	int other = ck_ok(open(MNT "/f", O_RDWR | O_DIRECT));

	memset(buffer, 'd', PAGE);
	ck_assert_int_eq(pwrite(other, buffer, PAGE, 0), PAGE);
	ck_bytes(fd, 0, 'd', PAGE);
	memset(buffer, 0, PAGE);
	ck_assert_int_eq(pread(other, buffer, PAGE, 0), PAGE);
	ck_assert_int_eq(buffer[PAGE - 1], 'd');
	ck_assert_int_eq(pwrite(other, buffer + 1, 10, 7), 10);
	close(other);
	free(buffer);
}
END_TEST

START_TEST(file_size_limit)
{
	struct rlimit limit = { 10 * PAGE, RLIM_INFINITY };
	char data[3 * PAGE] = "";
	pid_t pid = spawn();

	if (!pid) {
		signal(SIGXFSZ, SIG_IGN);
		ck_ok(setrlimit(RLIMIT_FSIZE, &limit));
		ck_assert_int_eq(pwrite(fd, data, sizeof(data), 9 * PAGE), PAGE);
		ck_errno(pwrite(fd, data, 1, 10 * PAGE), EFBIG);
		ck_errno(ftruncate(fd, 10 * PAGE + 1), EFBIG);
		ck_errno(fallocate(fd, 0, 9 * PAGE, PAGE + 1), EFBIG);
		ck_ok(fallocate(fd, FALLOC_FL_KEEP_SIZE, 9 * PAGE, PAGE + 1));
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_eq(size_of(), 10 * PAGE);
}
END_TEST

/*
 * MADV_PAGEOUT and drop_caches lose no page, and MADV_POPULATE_READ fills holes. The kernel
 * itself ignores posix_fadvise(), readahead() and MADV_WILLNEED for files without a device.
 */
START_TEST(advice)
{
	char *map;

	put(fd, 0, 'k', 20 * PAGE);
	ck_ok(ftruncate(fd, 40 * PAGE));
	ck_ok(fallocate(fd, FALLOC_FL_KEEP_SIZE, 22 * PAGE, 2 * PAGE));
	map = mmap(NULL, 40 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_assert_int_eq(map[19 * PAGE], 'k');
	ck_ok(madvise(map, 20 * PAGE, MADV_PAGEOUT));
	ck_assert_int_eq(spew("/proc/sys/vm/drop_caches", "3"), 0);
	ck_assert_int_eq(pages_of(), 22);
	ck_bytes(fd, 0, 'k', 20 * PAGE);
	ck_bytes(fd, 20 * PAGE, 0, 20 * PAGE);
	ck_assert_int_eq(pages_of(), 22);
	if (madvise(map, 40 * PAGE, MADV_POPULATE_READ))
		ck_assert_int_eq(errno, EINVAL);	/* before Linux 5.14 */
	else
		ck_assert_int_eq(pages_of(), 40);
	ck_bytes(fd, 20 * PAGE, 0, 20 * PAGE);
	ck_ok(munmap(map, 40 * PAGE));
}
END_TEST

START_TEST(leases)
{
	int other = ck_ok(open(MNT "/f", O_RDONLY));

	close(fd);
	ck_ok(fcntl(other, F_SETLEASE, F_RDLCK));
	ck_assert_int_eq(fcntl(other, F_GETLEASE), F_RDLCK);
	signal(SIGIO, SIG_IGN);
	ck_errno(open(MNT "/f", O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
	ck_ok(fcntl(other, F_SETLEASE, F_UNLCK));
	fd = ck_ok(open(MNT "/f", O_WRONLY | O_NONBLOCK));
	close(other);
	ck_ok(fcntl(fd, F_SETLEASE, F_WRLCK));
	ck_errno(open(MNT "/f", O_RDONLY | O_NONBLOCK), EWOULDBLOCK);
	ck_ok(fcntl(fd, F_SETLEASE, F_UNLCK));
	other = ck_ok(open(MNT "/f", O_RDONLY | O_NONBLOCK));
	ck_errno(fcntl(fd, F_SETLEASE, F_WRLCK), EAGAIN);
	close(other);
}
END_TEST

#ifndef F_SETDELEG
#define F_SETDELEG 1040
#endif

START_TEST(delegations_of_directories)
{
	struct { uint32_t flags; uint16_t type, reserved; } delegation = { .type = F_RDLCK };
	int dir = ck_ok(open(MNT, O_RDONLY | O_DIRECTORY));

	ck_ok(fcntl(dir, F_SETDELEG, &delegation));
	delegation.type = F_UNLCK;
	ck_ok(fcntl(dir, F_SETDELEG, &delegation));
	close(dir);
}
END_TEST

/* Memory */

#define MIB 1048576

/*
 * Each processor keeps pages at hand that nobody uses and that do not count as
 * free, an eighth of the memory if it likes. Have it keep few, and since Linux 6.8
 * each refresh of its counters gives back some of what it has.
 */
static void free_means_free(void)
{
	const char *fraction = "/proc/sys/vm/percpu_pagelist_high_fraction";
	int i;

	/* before Linux 5.14 they were few */
	if (exists(fraction))
		ck_assert_int_eq(spew(fraction, "1000000"), 0);
	for (i = 0; i < 64; i++)
		ck_assert_int_eq(spew("/proc/sys/vm/stat_refresh", "1"), 0);
}

static long long free_memory(void)
{
	char *text = slurp("/proc/meminfo");
	long long kib = atoll(strstr(text, "MemFree:") + 8);

	free(text);
	return kib * 1024;
}

static void write_mebibytes(int n)
{
	static char data[MIB];
	int i;

	memset(data, 'M', sizeof(data));
	for (i = 0; i < n; i++)
		ck_assert_int_eq(pwrite(fd, data, sizeof(data), (off_t)i * MIB), MIB);
}

/*
 * Memory that leaves a file is free again, also where it was a part of something larger.
 * Of 64 MiB, a page of each 16 stays.
 */
START_TEST(memory_comes_back)
{
	int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	long long empty, full, part, holes;
	off_t at;

	free_means_free();
	ck_assert_int_eq(cramfs_remount("size=64m"), 0);
	empty = free_memory();
	write_mebibytes(64);
	full = free_memory();
	ck_assert_int_gt(empty - full, 63 * MIB);
	for (at = 0; at < 64 * MIB; at += 16 * PAGE)
		ck_ok(fallocate(fd, punch, at + PAGE, 15 * PAGE));
	ck_assert_int_eq(pages_of(), 64 * MIB / PAGE / 16);
	holes = free_memory();
	ck_assert_int_gt(holes - full, 56 * MIB);

	/* the same by truncation, which cuts what a write of 1 MiB made in two */
	ck_ok(ftruncate(fd, 0));
	write_mebibytes(64);
	full = free_memory();
	ck_ok(ftruncate(fd, 63 * MIB + MIB / 2 + PAGE));
	write_mebibytes(1);
	ck_ok(ftruncate(fd, PAGE));
	ck_assert_int_eq(pages_of(), 1);
	part = free_memory();
	ck_assert_int_gt(part - full, 62 * MIB);
	ck_bytes(fd, 0, 'M', PAGE);
}
END_TEST

/* In bytes for each of many files of @size bytes in a new file system. */
#define MANY 20000
/* whether slub_debug enlarges each object of tmpfs and, so, of cramfs */
#define RED_ZONE "/sys/kernel/slab/shmem_inode_cache/red_zone"

static long long memory_of_file(const char *type, size_t size)
{
	static const char byte[100];
	long long before, each;
	char path[64];
	int i, file;

	/* unloading waits for all that RCU has yet to free */
	ck_assert_int_eq(module_unload("kmk_ramfs"), 0);
	ck_assert_int_eq(module_load("kmk_ramfs", ""), 0);
	ck_ok(mkdir("/tmp/many", 0755));
	ck_ok(mount("none", "/tmp/many", type, 0, "size=100m,nr_inodes=0"));
	before = free_memory();
	for (i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "/tmp/many/%d", i);
		file = new_file(path);
		if (size)
			ck_assert_int_eq(write(file, byte, size), size);
		close(file);
	}
	each = (before - free_memory()) / MANY;
	ck_ok(umount2("/tmp/many", 0));
	ck_ok(rmdir("/tmp/many"));
	return each;
}

START_TEST(memory_of_files)
{
	long long ours, theirs;
	size_t size;

	free_means_free();
	cramfs_load();
	/* what this one leaves over in the slabs of names helps both of the others alike */
	memory_of_file("tmpfs", 0);
	for (size = 0; size <= 100; size += 100) {
		ours = memory_of_file("cramfs", size);
		theirs = memory_of_file("tmpfs", size);
		ck_assert_int_gt(ours, size ? PAGE : 0);
		/* what each processor keeps at hand differs by 1 % from run to run */
		ck_assert_int_le(ours, theirs + theirs / 50);
	}
	ck_assert_int_eq(module_unload("kmk_ramfs"), 0);
}
END_TEST

/* Contents, inodes with their names, and attributes: the writer pays, until they are gone. */
START_TEST(writer_pays)
{
	static char value[65536];
	long long before;
	char path[64];
	pid_t pid;
	int i;

	ck_assert_int_eq(cramfs_remount("size=64m,nr_inodes=0"), 0);
	make_cgroup();
	pid = spawn();
	if (!pid) {
		ck_assert_int_eq(spew(CGROUP "/cgroup.procs", "0"), 0);
		before = charged();
		write_mebibytes(16);
		ck_assert_int_gt(charged() - before, 15 * MIB);
		ck_ok(ftruncate(fd, 0));
		ck_assert_int_lt(charged() - before, 2 * MIB);

		before = charged();
		ck_ok(fallocate(fd, 0, 0, 16 * MIB));
		ck_assert_int_gt(charged() - before, 15 * MIB);
		ck_ok(ftruncate(fd, 0));

		before = charged();
		for (i = 0; i < 4000; i++) {
			snprintf(path, sizeof(path), MNT "/%d", i);
			close(new_file(path));
		}
		ck_assert_int_gt(charged() - before, 4000 * 600);

		before = charged();
		for (i = 0; i < 40; i++) {
			snprintf(path, sizeof(path), MNT "/%d", i);
			ck_ok(setxattr(path, "user.a", value, sizeof(value), 0));
		}
		ck_assert_int_gt(charged() - before, 2 * MIB);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	close(fd);
	ck_assert_int_eq(cramfs_umount(), 0);
	wait_until(!rmdir(CGROUP));
}
END_TEST

/* Readers beside a writer see whole the bytes that were there before or after. */
static void *rewrite(void *arg)
{
	char data[8 * PAGE];
	long i;

	for (i = 0; i < 400; i++) {
		memset(data, 'A' + i % 26, sizeof(data));
		ck_assert_int_eq(pwrite(fd, data, sizeof(data), 0), sizeof(data));
		if (i % 8 == 7 && arg)
			ck_ok(ftruncate(fd, 0));
	}
	return NULL;
}

START_TEST(readers_and_writer)
{
	pthread_t thread;
	char data[8 * PAGE];
	ssize_t n, i;
	int round;

	rewrite(NULL);
	ck_assert_int_eq(pthread_create(&thread, NULL, rewrite, (void *)1), 0);
	for (round = 0; round < 400; round++) {
		n = pread(fd, data, sizeof(data), 0);
		ck_assert_int_ge(n, 0);
		for (i = 0; i < n; i += 64)
			ck_assert(!data[i] || (data[i] >= 'A' && data[i] <= 'Z'));
	}
	pthread_join(thread, NULL);
}
END_TEST

/*
 * Beside the adversary: what neither cuts a large folio nor punches a hole into one, which
 * somebody's reference to the folio would put off.
 */
static void begin_adversary(void)
{
	adversary_start(ADVERSARY_ALL, MNT);
}

static void up_beside(void)
{
	up();
	adversary_aim();
}

#define USERS "/tmp/userns"
#define FILES 4		/* few: migration complains of a node that becomes full meanwhile */

/* Files of @pages each: all of them are there and count, and are given back. */
static void allocate_files(long long pages)
{
	int files[FILES], i;
	struct statvfs df;
	struct stat st;
	char path[64];

	for (i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), USERS "/%d", i);
		files[i] = new_file(path);
		ck_ok(fallocate(files[i], 0, 0, pages * PAGE));
	}
	for (i = 0; i < FILES; i++) {
		ck_ok(fstat(files[i], &st));
		ck_assert_int_eq(st.st_blocks, pages * (PAGE / 512));
		ck_assert_int_eq(lseek(files[i], 0, SEEK_HOLE), pages * PAGE);
		ck_bytes(files[i], 0, 0, pages * PAGE);
	}
	ck_ok(statvfs(USERS, &df));
	ck_assert_int_eq(df.f_blocks - df.f_bfree, FILES * pages);
	for (i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), USERS "/%d", i);
		ck_ok(unlink(path));
		ck_ok(close(files[i]));
	}
	/* drop_caches holds an inode for a moment */
	wait_until(!statvfs(USERS, &df) && df.f_bfree == df.f_blocks);
}

/* An ordinary user, in a namespace and a mount of his own. */
START_TEST(fallocate_of_a_user)
{
	pid_t pid;
	int i;

	mkdir(USERS, 0777);
	chmod(USERS, 0777);
	pid = spawn();
	if (!pid) {
		drop_root();
		enter_userns();
		ck_assert_int_eq(cramfs_mount_at(USERS, "size=16m"), 0);
		/* large folios lie past i_size, which is 0, until the call ends */
		for (i = 0; i < 40; i++)
			allocate_files(2 * MIB / PAGE - 1);
		ck_ok(umount2(USERS, 0));
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	rmdir(USERS);
}
END_TEST

START_TEST(adversary_acted)
{
	adversary_stop();
	ck_adversary_acted();
}
END_TEST

static TCase *beside_adversary(void)
{
	TCase *tc = tcase_create("adversary");

	tcase_add_unchecked_fixture(tc, begin_adversary, NULL);
	tcase_add_checked_fixture(tc, up_beside, down);
	tcase_add_test(tc, read_and_write);
	tcase_add_test(tc, edges);
	tcase_add_test(tc, vectors_and_faults);
	tcase_add_test(tc, rewrite_at_the_limit);
	tcase_add_test(tc, seek);
	tcase_add_test(tc, fallocate_plain);
	tcase_add_test(tc, fallocate_all_or_nothing);
	tcase_add_test(tc, fallocate_beside_stores);
	tcase_add_test(tc, zero_range);
	tcase_add_test(tc, map_shared);
	tcase_add_test(tc, map_limit);
	tcase_add_test(tc, map_private);
	tcase_add_test(tc, map_and_self);
	tcase_add_test(tc, all_at_once);
	tcase_add_test(tc, readers_and_writer);
	tcase_add_test(tc, fallocate_of_a_user);
	tcase_add_test(tc, adversary_acted);
	return tc;
}

int main(void)
{
	Suite *suite = suite_create("ramfs_data");
	TCase *tc = tcase_create("data");

	tcase_add_checked_fixture(tc, up, down);
	tcase_add_test(tc, read_and_write);
	tcase_add_test(tc, edges);
	tcase_add_test(tc, vectors_and_faults);
	tcase_add_test(tc, sparse);
	tcase_add_test(tc, rewrite_at_the_limit);
	tcase_add_test(tc, largest);
	tcase_add_test(tc, seek);
	tcase_add_test(tc, truncate_);
	tcase_add_test(tc, truncate_held);
	tcase_add_test(tc, fallocate_plain);
	tcase_add_test(tc, fallocate_all_or_nothing);
	tcase_add_test(tc, fallocate_beside_stores);
	tcase_add_test(tc, punch);
	tcase_add_test(tc, zero_range);
	tcase_add_test(tc, map_shared);
	tcase_add_test(tc, map_limit);
	tcase_add_test(tc, map_private);
	tcase_add_test(tc, map_and_self);
	tcase_add_test(tc, map_times);
	tcase_add_test(tc, map_ahead);
	tcase_add_test(tc, all_at_once);
	tcase_add_test(tc, splice_);
	tcase_add_test(tc, direct);
	tcase_add_test(tc, file_size_limit);
	tcase_add_test(tc, advice);
	tcase_add_test(tc, leases);
	if (kernel_from(6, 19))
		tcase_add_test(tc, delegations_of_directories);
	else
		skip_test("delegations_of_directories", "these came with Linux 6.19");
	tcase_add_test(tc, readers_and_writer);
	if (keeps_freed_memory())
		skip_test("memory_comes_back", KEEPS_FREED_MEMORY);
	else
		tcase_add_test(tc, memory_comes_back);
	if (has_memory_cgroups())
		tcase_add_test(tc, writer_pays);
	else
		skip_test("writer_pays", "this kernel has no memory cgroups");
	suite_add_tcase(suite, tc);

	tc = tcase_create("memory");
	if (keeps_freed_memory())
		skip_test("memory_of_files", KEEPS_FREED_MEMORY);
	else if (exists(RED_ZONE) && file_has(RED_ZONE, "1\n"))
		skip_test("memory_of_files",
			  "this kernel's slabs hold what checks their objects; make check has none of it");
	else
		tcase_add_test(tc, memory_of_files);
	suite_add_tcase(suite, tc);

	/* last: its user of huge pages goes on until the end */
	suite_add_tcase(suite, beside_adversary());
	return run_suite(suite);
}
