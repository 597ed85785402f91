// SPDX-License-Identifier: GPL-2.0
/* kmk_ramfs: extended attributes, ACLs, file handles, user namespaces, idmapped mounts. */
#define _GNU_SOURCE
#include "ramfs.h"

#include <endian.h>
#include <pthread.h>
#include <sched.h>
#include <sys/fanotify.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define F MNT "/f"

static void up(void)
{
	cramfs_up();
	close(new_file(F));
}

START_TEST(xattr_basic)
{
	struct stat st = stat_of(F), after;
	char value[100] = "", list[200];

	ck_errno(getxattr(F, "user.a", value, sizeof(value)), ENODATA);
	ck_assert_int_eq(listxattr(F, list, sizeof(list)), 0);
	ck_ok(setxattr(F, "user.a", "hello", 5, 0));
	ck_assert_int_eq(getxattr(F, "user.a", value, sizeof(value)), 5);
	ck_assert_str_eq(value, "hello");
	ck_assert_int_eq(getxattr(F, "user.a", NULL, 0), 5);
	ck_errno(getxattr(F, "user.a", value, 4), ERANGE);
	wait_until((setxattr(F, "user.a", "bye", 3, 0), after = stat_of(F),
		    memcmp(&st.st_ctim, &after.st_ctim, sizeof(st.st_ctim))));
	ck_assert_mem_eq(&st.st_mtim, &after.st_mtim, sizeof(st.st_mtim));
	ck_assert_int_eq(getxattr(F, "user.a", value, sizeof(value)), 3);
	ck_ok(setxattr(F, "user.empty", "", 0, 0));
	ck_assert_int_eq(getxattr(F, "user.empty", value, sizeof(value)), 0);

	ck_errno(setxattr(F, "user.a", "x", 1, XATTR_CREATE), EEXIST);
	ck_errno(setxattr(F, "user.none", "x", 1, XATTR_REPLACE), ENODATA);
	ck_errno(setxattr(F, "user.none", "x", 1, 4), EINVAL);
	ck_errno(removexattr(F, "user.none"), ENODATA);
	ck_errno(setxattr(F, "user.", "x", 1, 0), EINVAL);
	ck_errno(setxattr(F, "other.a", "x", 1, 0), EOPNOTSUPP);
	ck_errno(setxattr(F, "user.a", BAD_POINTER, 10, 0), EFAULT);
	ck_ok(setxattr(F, "trusted.t", "t", 1, 0));
	ck_ok(setxattr(F, "security.s", "s", 1, 0));
	ck_ok(setxattr(F, "user.b", "b", 1, XATTR_CREATE));
	ck_ok(removexattr(F, "user.b"));
	ck_errno(getxattr(F, "user.b", value, sizeof(value)), ENODATA);

	ck_assert_int_eq(listxattr(F, NULL, 0), 7 + 11 + 10 + 11);
	ck_errno(listxattr(F, list, 38), ERANGE);
	ck_assert_int_eq(listxattr(F, list, sizeof(list)), 39);
	ck_assert_ptr_nonnull(memmem(list, 39, "user.a", 7));
	ck_assert_ptr_nonnull(memmem(list, 39, "user.empty", 11));
	ck_assert_ptr_nonnull(memmem(list, 39, "trusted.t", 10));
	ck_assert_ptr_nonnull(memmem(list, 39, "security.s", 11));

	/* user. is for files and directories, the others for all */
	ck_ok(symlink("f", MNT "/l"));
	ck_errno(lsetxattr(MNT "/l", "user.a", "x", 1, 0), EPERM);
	ck_ok(lsetxattr(MNT "/l", "trusted.a", "x", 1, 0));
	ck_assert_int_eq(lgetxattr(MNT "/l", "trusted.a", value, 100), 1);
	ck_ok(mkdir(MNT "/d", 0755));
	ck_ok(setxattr(MNT "/d", "user.a", "x", 1, 0));
	ck_ok(rename(F, MNT "/g"));
	ck_assert_int_eq(getxattr(MNT "/g", "user.a", value, 100), 3);
}
END_TEST

START_TEST(xattr_rights)
{
	pid_t pid;

	ck_ok(setxattr(F, "trusted.t", "t", 1, 0));
	ck_ok(setxattr(F, "user.u", "u", 1, 0));
	pid = spawn();
	if (!pid) {
		char list[100];

		drop_root();
		ck_assert_int_eq(listxattr(F, list, sizeof(list)), 7);
		ck_assert_str_eq(list, "user.u");
		ck_errno(getxattr(F, "trusted.t", list, 10), ENODATA);
		ck_errno(setxattr(F, "trusted.t", "x", 1, 0), EPERM);
		ck_errno(setxattr(F, "user.u", "x", 1, 0), EACCES);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
}
END_TEST

/* They count against the size: in whole pages for each inode, and all come back. */
START_TEST(xattr_limits)
{
	static char value[65537];
	char name[300] = "user.";
	int i;

	memset(value, 'v', sizeof(value));
	ck_assert_int_eq(pages_used(), 0);
	ck_ok(setxattr(F, "user.small", "x", 1, 0));
	ck_assert_int_eq(pages_used(), 1);
	ck_assert_int_eq(stat_of(F).st_blocks, 8);
	ck_ok(setxattr(F, "user.small2", "x", 1, 0));
	ck_assert_int_eq(pages_used(), 1);
	ck_ok(setxattr(F, "user.big", value, 65536, 0));
	ck_assert_int_eq(pages_used(), 17);
	ck_assert_int_eq(stat_of(F).st_blocks, 17 * 8);
	ck_errno(setxattr(F, "user.big", value, 65537, 0), E2BIG);
	memset(name + 5, 'n', 250);
	ck_ok(setxattr(F, name, "x", 1, 0));
	name[255] = 'n';
	ck_errno(setxattr(F, name, "x", 1, 0), ERANGE);

	/* at the limit: the old value stays */
	ck_ok(setxattr(F, "user.big2", value, 65536, 0));
	ck_ok(setxattr(F, "user.big3", value, 65536, 0));
	ck_errno(setxattr(F, "user.big4", value, 65536, 0), ENOSPC);
	ck_errno(setxattr(F, "user.small", value, 65536, 0), ENOSPC);
	ck_assert_int_eq(getxattr(F, "user.small", value, 10), 1);
	ck_assert_int_eq(value[0], 'x');
	ck_assert_int_eq(getxattr(F, "user.big4", NULL, 0) == -1 ? errno : 0, ENODATA);
	ck_ok(setxattr(F, "user.big", "s", 1, 0));
	ck_assert_int_eq(pages_used(), 33);
	ck_ok(removexattr(F, "user.big2"));
	ck_ok(removexattr(F, "user.big3"));
	ck_assert_int_eq(pages_used(), 1);

	for (i = 0; i < 100; i++) {
		sprintf(name, "user.%d", i);
		ck_ok(setxattr(F, name, value, 1000, 0));
	}
	ck_assert_int_ge(pages_used(), 100 * 1000 / PAGE);
	ck_ok(unlink(F));
	ck_assert_int_eq(pages_used(), 0);
}
END_TEST

/* As cramfs(5) says. */
#define MAX_XATTRS 16384

static const char *numbered(int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "user.number%d", i);
	return name;
}

/* The processor time of the calling thread, in nanoseconds. */
static long long time_used(void)
{
	struct timespec now;

	ck_ok(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now));
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void set_numbered(int from, int to)
{
	int i;

	for (i = from; i < to; i++)
		ck_ok(setxattr(F, numbered(i), "v", 1, XATTR_CREATE));
}

/*
 * How often 100 attributes, over the whole range of their numbers, are set and read in 50 ms of
 * the caller's time: where the kernel counts that time in ticks, a single turn takes none.
 */
static int turns_of_100(const char *path, int step)
{
	long long end = time_used() + 50000000;
	int turns = 0, i;
	char value;

	do {
		for (i = 0; i < 100; i++) {
			ck_ok(setxattr(path, numbered(i * step), "v", 1, 0));
			ck_assert_int_eq(getxattr(path, numbered(i * step), &value, 1), 1);
		}
		turns++;
	} while (time_used() < end);
	return turns;
}

/*
 * An attribute of F, which has MAX_XATTRS, takes not much longer than one of a file that has 100.
 * The fastest of alternating rounds count: each file has one that no busy host disturbed.
 */
static void compare_speed(void)
{
	int round, turns, few = 0, many = 0;

	close(new_file(MNT "/few"));
	for (round = 0; round < 10; round++) {
		turns = turns_of_100(MNT "/few", 1);
		if (turns > few)
			few = turns;
		turns = turns_of_100(F, MAX_XATTRS / 100);
		if (turns > many)
			many = turns;
	}
	ck_assert_msg(few < 8 * many, "%d turns among 100, %d among %d", few, many, MAX_XATTRS);
	ck_ok(unlink(MNT "/few"));
}

/* Many attributes are no slower than few; beyond the limit nothing changes. */
START_TEST(xattr_many)
{
	static char list[65536];
	struct stat before, after;
	long long pages;
	ssize_t size = 0, left;
	int i;

	ck_assert_int_eq(cramfs_remount("size=16m"), 0);
	set_numbered(0, MAX_XATTRS);
	compare_speed();
	ck_assert_int_eq(pages_used(), stat_of(F).st_blocks / (PAGE / 512));
	for (i = 0; i < MAX_XATTRS; i++)
		size += strlen(numbered(i)) + 1;
	ck_assert_int_ge(pages_used(), (size + MAX_XATTRS) / PAGE);
	ck_assert_int_eq(listxattr(F, NULL, 0), size);
	ck_errno(listxattr(F, list, sizeof(list)), E2BIG);
	ck_errno(listxattr(F, list, 1000), ERANGE);

	before = stat_of(F);
	pages = pages_used();
	ck_errno(setxattr(F, "user.more", "v", 1, 0), ENOSPC);
	ck_errno(setxattr(F, "trusted.more", "v", 1, 0), ENOSPC);
	ck_errno(getxattr(F, "user.more", NULL, 0), ENODATA);
	after = stat_of(F);
	ck_assert_mem_eq(&before.st_ctim, &after.st_ctim, sizeof(before.st_ctim));
	ck_assert_int_eq(before.st_blocks, after.st_blocks);
	ck_assert_int_eq(pages_used(), pages);
	ck_assert_int_eq(listxattr(F, NULL, 0), size);

	/* the limit is on their number alone */
	ck_ok(setxattr(F, numbered(5), "longer", 6, XATTR_REPLACE));
	ck_assert_int_eq(getxattr(F, numbered(5), list, sizeof(list)), 6);
	ck_ok(removexattr(F, numbered(7)));
	ck_ok(setxattr(F, "user.more", "v", 1, 0));
	ck_errno(setxattr(F, numbered(7), "v", 1, 0), ENOSPC);
	ck_ok(removexattr(F, "user.more"));

	/* each is there once, and only those */
	for (i = 0; i < MAX_XATTRS; i += 8)
		ck_ok(removexattr(F, numbered(i)));
	for (i = 0; i < MAX_XATTRS; i++) {
		if (i % 8 && i != 7)
			ck_assert_int_eq(getxattr(F, numbered(i), list, 6), i == 5 ? 6 : 1);
		else
			ck_errno(getxattr(F, numbered(i), list, 6), ENODATA);
	}
	for (i = 0; i < MAX_XATTRS; i++)
		if (i % 8 && i % 8 != 3 && i != 7)
			ck_ok(removexattr(F, numbered(i)));
	size = listxattr(F, list, sizeof(list));
	ck_assert_int_eq(size, listxattr(F, NULL, 0));
	left = size;
	for (i = 3; i < MAX_XATTRS; i += 8) {
		ck_assert_msg(memmem(list, size, numbered(i), strlen(numbered(i)) + 1),
			      "%s is not listed", numbered(i));
		ck_ok(removexattr(F, numbered(i)));
		left -= strlen(numbered(i)) + 1;
	}
	ck_assert_int_eq(left, 0);
	ck_assert_int_eq(listxattr(F, list, sizeof(list)), 0);
	ck_assert_int_eq(pages_used(), 0);
	ck_assert_int_eq(stat_of(F).st_blocks, 0);

	set_numbered(0, 10000);
	ck_assert_int_gt(pages_used(), 0);
	ck_ok(unlink(F));
	ck_assert_int_eq(pages_used(), 0);
}
END_TEST

/* An attribute that a writer sets has a value of one letter, whose length the letter tells. */
#define STORM_XATTRS 26
#define STORM_LENGTH(letter) (1 + 77 * ((letter) - 'a'))

static const char *storm_name(int i)
{
	static __thread char name[] = "user.x";

	name[5] = 'a' + i;
	return name;
}

static void *xattr_writer(void *stop)
{
	char value[2000];
	unsigned int seed = gettid();
	int i, letter;

	while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED)) {
		i = rand_r(&seed) % STORM_XATTRS;
		letter = 'a' + rand_r(&seed) % STORM_XATTRS;
		memset(value, letter, sizeof(value));
		if (rand_r(&seed) % 3)
			ck_ok(setxattr(F, storm_name(i), value, STORM_LENGTH(letter), 0));
		else
			ck_assert(!removexattr(F, storm_name(i)) || errno == ENODATA);
	}
	return NULL;
}

/* Readers see the old value or the new one, whole; and what nobody touches, always. */
START_TEST(xattr_under_load)
{
	char value[2000], list[1000];
	pthread_t threads[2];
	int stop = 0, i, seen, at;
	ssize_t n, k;

	ck_ok(setxattr(F, "user.j+", "stays", 5, 0));
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, xattr_writer, &stop), 0);
	for (i = 0; i < 5000; i++) {
		n = getxattr(F, storm_name(i % STORM_XATTRS), value, sizeof(value));
		ck_assert(n > 0 || errno == ENODATA);
		if (n > 0)
			ck_assert_int_eq(n, STORM_LENGTH(value[0]));
		for (k = 1; k < n; k++)
			ck_assert_msg(value[k] == value[0], "torn");
		ck_assert_int_eq(getxattr(F, "user.j+", value, sizeof(value)), 5);
		n = ck_ok(listxattr(F, list, sizeof(list)));
		for (at = 0, seen = 0; at < n; at += strlen(list + at) + 1) {
			if (!strcmp(list + at, "user.j+")) {
				ck_assert(!(seen & 1 << STORM_XATTRS));
				seen |= 1 << STORM_XATTRS;
				continue;
			}
			ck_assert_int_eq(strlen(list + at), 6);
			k = list[at + 5] - 'a';
			ck_assert_str_eq(list + at, storm_name(k));
			ck_assert_msg(!(seen & 1 << k), "%s is listed twice", list + at);
			seen |= 1 << k;
		}
		ck_assert(seen & 1 << STORM_XATTRS);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < STORM_XATTRS; i++)
		removexattr(F, storm_name(i));
	ck_assert_int_eq(pages_used(), 1);
	ck_ok(removexattr(F, "user.j+"));
	ck_assert_int_eq(pages_used(), 0);
}
END_TEST

/* ACLs, in the form that the system call takes */

struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};

struct acl {
	uint32_t version;
	struct acl_entry entries[8];
};

/* Little-endian on every machine. */
#define ACL_VERSION(version) htole32(version)
#define ACL_ENTRY(tag, perm, id) { htole16(tag), htole16(perm), htole32(id) }

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

static struct acl acl_of(int user, int named, uint32_t id, int group, int mask, int other)
{
	return (struct acl){ ACL_VERSION(2), {
		ACL_ENTRY(1, user, -1), ACL_ENTRY(2, named, id), ACL_ENTRY(4, group, -1),
		ACL_ENTRY(16, mask, -1), ACL_ENTRY(32, other, -1),
	} };
}

#define ACL_BYTES (4 + 5 * 8)

START_TEST(acl_access)
{
	struct acl acl = acl_of(7, 6, 65534, 0, 7, 0), got, trivial = { ACL_VERSION(2), {
		ACL_ENTRY(1, 6, -1), ACL_ENTRY(4, 4, -1), ACL_ENTRY(32, 4, -1) } };
	char list[100];
	mode_t mode;
	pid_t pid;
	int fd;

	ck_ok(chmod(F, 0600));
	ck_errno(getxattr(F, ACCESS, &got, sizeof(got)), ENODATA);
	ck_ok(setxattr(F, ACCESS, &acl, ACL_BYTES, 0));
	ck_assert_int_eq(stat_of(F).st_mode & 0777, 0770);
	ck_assert_int_eq(getxattr(F, ACCESS, &got, sizeof(got)), ACL_BYTES);
	ck_assert_mem_eq(&got, &acl, ACL_BYTES);
	ck_assert_int_eq(listxattr(F, list, sizeof(list)), sizeof(ACCESS));
	ck_assert_str_eq(list, ACCESS);
	ck_assert_int_eq(pages_used(), 1);

	pid = spawn();
	if (!pid) {
		drop_root();
		ck_assert_int_eq(access(F, R_OK | W_OK), 0);
		ck_assert_int_eq(access(F, X_OK), -1);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);

	/* chmod changes the mask */
	ck_ok(chmod(F, 0640));
	ck_assert_int_eq(getxattr(F, ACCESS, &got, sizeof(got)), ACL_BYTES);
	ck_assert_int_eq(le16toh(got.entries[3].perm), 4);
	ck_assert_int_eq(le16toh(got.entries[0].perm), 6);
	pid = spawn();
	if (!pid) {
		drop_root();
		_exit(access(F, R_OK) == 0 && access(F, W_OK) == -1 ? 0 : 1);
	}
	ck_assert_int_eq(reap(pid), 0);

	/* one that says no more than the mode is none */
	ck_ok(setxattr(F, ACCESS, &trivial, 4 + 3 * 8, 0));
	ck_assert_int_eq(stat_of(F).st_mode & 0777, 0644);
	ck_errno(getxattr(F, ACCESS, &got, sizeof(got)), ENODATA);
	ck_assert_int_eq(pages_used(), 0);
	ck_ok(setxattr(F, ACCESS, &acl, ACL_BYTES, 0));
	ck_ok(removexattr(F, ACCESS));
	ck_assert_int_eq(pages_used(), 0);
	ck_errno(setxattr(F, DEFAULT, &acl, ACL_BYTES, 0), EACCES);

	/* without room the file stays as it was */
	ck_assert_int_eq(cramfs_remount("size=4k"), 0);
	mode = stat_of(F).st_mode;
	fd = ck_ok(open(F, O_WRONLY | O_CLOEXEC));
	ck_assert_int_eq(write(fd, "x", 1), 1);
	ck_ok(close(fd));
	ck_errno(setxattr(F, ACCESS, &acl, ACL_BYTES, 0), ENOSPC);
	ck_assert_uint_eq(stat_of(F).st_mode, mode);
	ck_errno(getxattr(F, ACCESS, &got, sizeof(got)), ENODATA);
	acl.version = ACL_VERSION(3);
	ck_errno(setxattr(F, ACCESS, &acl, ACL_BYTES, 0), EOPNOTSUPP);
}
END_TEST

START_TEST(acl_default)
{
	struct acl acl = acl_of(7, 7, 65534, 5, 7, 0), got;
	char list[100];

	umask(077);
	ck_ok(mkdir(MNT "/d", 0755));
	ck_assert_int_eq(stat_of(MNT "/d").st_mode & 0777, 0700);
	ck_ok(setxattr(MNT "/d", DEFAULT, &acl, ACL_BYTES, 0));

	/* with a default ACL the umask has no say */
	close(ck_ok(open(MNT "/d/f", O_CREAT | O_RDWR, 0666)));
	ck_assert_int_eq(stat_of(MNT "/d/f").st_mode & 0777, 0660);
	ck_assert_int_eq(getxattr(MNT "/d/f", ACCESS, &got, sizeof(got)), ACL_BYTES);
	ck_assert_int_eq(le16toh(got.entries[3].perm), 6);
	ck_assert_int_eq(le16toh(got.entries[1].perm), 7);
	ck_errno(getxattr(MNT "/d/f", DEFAULT, &got, sizeof(got)), ENODATA);
	ck_ok(mkdir(MNT "/d/sub", 0777));
	ck_assert_int_eq(getxattr(MNT "/d/sub", DEFAULT, &got, sizeof(got)), ACL_BYTES);
	ck_assert_mem_eq(&got, &acl, ACL_BYTES);
	ck_assert_int_eq(getxattr(MNT "/d/sub", ACCESS, &got, sizeof(got)), ACL_BYTES);
	ck_assert_int_eq(listxattr(MNT "/d/sub", list, sizeof(list)),
			 sizeof(ACCESS) + sizeof(DEFAULT));
	ck_assert_str_eq(list, ACCESS);
	ck_assert_str_eq(list + sizeof(ACCESS), DEFAULT);
	ck_ok(setxattr(MNT "/d/sub", "user.x", "x", 1, 0));
	ck_errno(listxattr(MNT "/d/sub", list, sizeof(ACCESS) - 1), ERANGE);
	ck_errno(listxattr(MNT "/d/sub", list, sizeof(ACCESS)), ERANGE);
	ck_ok(removexattr(MNT "/d/sub", "user.x"));
	ck_ok(mknod(MNT "/d/fifo", S_IFIFO | 0600, 0));
	ck_assert_int_eq(stat_of(MNT "/d/fifo").st_mode & 0777, 0600);
	ck_ok(symlink("f", MNT "/d/l"));
	close(ck_ok(open(MNT "/d", O_TMPFILE | O_RDWR, 0666)));

	/* the limit holds for inherited ones too, and leaves nothing behind */
	ck_assert_int_eq(cramfs_remount("size=16k"), 0);
	ck_assert_int_eq(pages_used(), 4);
	ck_errno(open(MNT "/d/g", O_CREAT | O_RDWR, 0666), ENOSPC);
	ck_assert(!exists(MNT "/d/g"));
	ck_assert_int_eq(pages_used(), 4);
	ck_ok(removexattr(MNT "/d", DEFAULT));
	close(ck_ok(open(MNT "/d/g", O_CREAT | O_RDWR, 0666)));
	ck_assert_int_eq(stat_of(MNT "/d/g").st_mode & 0777, 0600);
}
END_TEST

/* File handles */

struct handle {
	struct file_handle fh;
	unsigned char room[128];
};

static int handle_of(const char *path, struct handle *h)
{
	int mount_id;

	h->fh.handle_bytes = sizeof(h->room);
	return name_to_handle_at(AT_FDCWD, path, &h->fh, &mount_id, 0);
}

START_TEST(file_handles)
{
	int dir = ck_ok(open(MNT, O_RDONLY | O_DIRECTORY)), fd, again;
	struct handle f, g, d, small = { .fh.handle_bytes = 4 };
	char text[10] = "";
	struct stat st;

	ck_assert_int_eq(spew(F, "handle"), 0);
	ck_ok(mkdir(MNT "/d", 0755));
	ck_ok(handle_of(F, &f));
	ck_ok(handle_of(F, &g));
	ck_assert_mem_eq(&f, &g, sizeof(f.fh) + f.fh.handle_bytes);
	ck_ok(handle_of(MNT "/d", &d));
	ck_errno(name_to_handle_at(AT_FDCWD, F, &small.fh, &(int){ 0 }, 0), EOVERFLOW);
	ck_assert_uint_eq(small.fh.handle_bytes, f.fh.handle_bytes);

	fd = ck_ok(open_by_handle_at(dir, &f.fh, O_RDONLY));
	ck_assert_int_eq(read(fd, text, 10), 6);
	ck_assert_str_eq(text, "handle");
	close(fd);

	/* wherever it moves */
	ck_ok(rename(F, MNT "/d/moved"));
	fd = ck_ok(open_by_handle_at(dir, &f.fh, O_RDWR));
	ck_ok(fstat(fd, &st));
	ck_assert_uint_eq(st.st_ino, stat_of(MNT "/d/moved").st_ino);
	ck_assert_int_eq(pwrite(fd, "HANDLE", 6, 0), 6);
	close(fd);
	ck_assert(file_has(MNT "/d/moved", "HANDLE"));
	ck_ok(link(MNT "/d/moved", MNT "/link"));
	ck_ok(unlink(MNT "/d/moved"));
	close(ck_ok(open_by_handle_at(dir, &f.fh, O_RDONLY)));
	fd = ck_ok(open_by_handle_at(dir, &d.fh, O_RDONLY | O_DIRECTORY));
	ck_errno(openat(fd, "moved", O_RDONLY), ENOENT);
	close(fd);

	/* without a name as long as somebody has it open */
	fd = ck_ok(open(MNT "/link", O_RDONLY));
	ck_ok(unlink(MNT "/link"));
	close(ck_ok(open_by_handle_at(dir, &f.fh, O_RDONLY)));
	close(fd);
	ck_errno(open_by_handle_at(dir, &f.fh, O_RDONLY), ESTALE);
	fd = ck_ok(open(MNT, O_TMPFILE | O_RDWR, 0600));
	ck_assert_int_eq(write(fd, "no name", 7), 7);
	f.fh.handle_bytes = sizeof(f.room);
	ck_ok(name_to_handle_at(fd, "", &f.fh, &(int){ 0 }, AT_EMPTY_PATH));
	again = ck_ok(open_by_handle_at(dir, &f.fh, O_RDONLY));
	ck_ok(close(fd));
	ck_assert_int_eq(read(again, text, 10), 7);
	ck_assert_mem_eq(text, "no name", 7);
	ck_ok(close(again));
	ck_errno(open_by_handle_at(dir, &f.fh, O_RDONLY), ESTALE);
	close(new_file(F));
	ck_errno(open_by_handle_at(dir, &f.fh, O_RDONLY), ESTALE);
	ck_ok(rmdir(MNT "/d"));
	ck_errno(open_by_handle_at(dir, &d.fh, O_RDONLY), ESTALE);

	/* one that was never given out */
	ck_ok(handle_of(F, &f));
	f.room[f.fh.handle_bytes - 1] ^= 1;
	ck_errno(open_by_handle_at(dir, &f.fh, O_RDONLY), ESTALE);
	f.room[f.fh.handle_bytes - 1] ^= 1;
	f.fh.handle_bytes -= 4;
	ck_errno(open_by_handle_at(dir, &f.fh, O_RDONLY), ESTALE);
	f.fh.handle_bytes += 4;
	f.fh.handle_type = 1;
	ck_errno(open_by_handle_at(dir, &f.fh, O_RDONLY), ESTALE);
	close(dir);
}
END_TEST

/* A handle of one mount means nothing to the next, which has the same inode numbers. */
START_TEST(handle_of_another_mount)
{
	struct handle f;
	int dir;

	ck_ok(handle_of(F, &f));
	ck_assert_int_eq(cramfs_umount(), 0);
	ck_assert_int_eq(cramfs_mount(NULL), 0);
	close(new_file(F));
	dir = ck_ok(open(MNT, O_RDONLY | O_DIRECTORY));
	ck_errno(open_by_handle_at(dir, &f.fh, O_RDONLY), ESTALE);
	close(dir);
}
END_TEST

#define WATCH (FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_NONBLOCK)

static bool has_fanotify(void)
{
	int fd = fanotify_init(WATCH, O_RDONLY);

	if (fd < 0)
		return errno != ENOSYS;
	close(fd);
	return true;
}

/* A watcher of the whole file system is told which file changed, by its handle. */
START_TEST(watched_by_handle)
{
	union {
		char bytes[512];
		struct fanotify_event_metadata meta;
	} event;
	struct fanotify_event_info_fid *fid = (void *)(event.bytes + sizeof(event.meta));
	struct file_handle *reported = (void *)fid->handle;
	struct statfs st;
	struct handle f;
	int fd;

	fd = ck_ok(fanotify_init(WATCH, O_RDONLY));
	ck_ok(fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_MODIFY, AT_FDCWD, MNT));
	ck_assert_int_eq(spew(F, "watched"), 0);
	ck_assert_int_gt(read(fd, event.bytes, sizeof(event)), (ssize_t)sizeof(event.meta));
	ck_assert_uint_eq(event.meta.mask, FAN_MODIFY);
	ck_assert_int_eq(event.meta.fd, FAN_NOFD);
	ck_assert_uint_eq(fid->hdr.info_type, FAN_EVENT_INFO_TYPE_FID);
	ck_ok(handle_of(F, &f));
	ck_assert_uint_eq(reported->handle_bytes, f.fh.handle_bytes);
	ck_assert_int_eq(reported->handle_type, f.fh.handle_type);
	ck_assert_mem_eq(reported->f_handle, f.fh.f_handle, f.fh.handle_bytes);
	ck_ok(statfs(MNT, &st));
	ck_assert_mem_eq(&fid->fsid, &st.f_fsid, sizeof(st.f_fsid));
	close(fd);
}
END_TEST

/*
 * As a server of NFS reads a directory: for each reply it opens the directory by its
 * handle, goes to the place where the last one ended, and closes it again.
 */
START_TEST(readdir_by_handle)
{
	struct linux_dirent {
		uint64_t ino;
		int64_t next;
		unsigned short size;
		unsigned char type;
		char name[];
	} *entry;
	int root = ck_ok(open(MNT, O_RDONLY | O_DIRECTORY)), fd, i, seen[600] = { 0 };
	char reply[200], path[64];
	struct handle h;
	long place = 0, n, at;

	ck_assert_int_eq(cramfs_remount("nr_inodes=0"), 0);
	ck_ok(mkdir(MNT "/d", 0755));
	for (i = 0; i < 500; i++) {
		sprintf(path, MNT "/d/%d", i);
		close(new_file(path));
	}
	ck_ok(handle_of(MNT "/d", &h));
	do {
		fd = ck_ok(open_by_handle_at(root, &h.fh, O_RDONLY | O_DIRECTORY));
		ck_ok(lseek(fd, place, SEEK_SET));
		n = ck_ok(syscall(SYS_getdents64, fd, reply, sizeof(reply)));
		for (at = 0; at < n; at += entry->size) {
			entry = (void *)(reply + at);
			place = entry->next;
			if (entry->name[0] == '.')
				continue;
			i = atoi(entry->name);
			seen[i]++;
			if (i >= 500)
				continue;
			/* what was read goes, and something new comes */
			sprintf(path, MNT "/d/%d", i);
			if (i % 2 == 0)
				ck_ok(unlink(path));
			sprintf(path, MNT "/d/%d", 500 + i / 5);
			close(open(path, O_CREAT | O_RDWR, 0644));
		}
		close(fd);
	} while (n);
	for (i = 0; i < 600; i++)
		ck_assert_msg(seen[i] == 1, "entry %d seen %d times", i, seen[i]);
	close(root);
}
END_TEST

static void *unlink_loop(void *stop)
{
	while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED)) {
		unlink(F);
		close(open(F, O_CREAT | O_RDWR, 0644));
	}
	return NULL;
}

START_TEST(handles_under_load)
{
	int stop = 0, i, fd, dir = ck_ok(open(MNT, O_RDONLY | O_DIRECTORY));
	pthread_t thread;
	struct handle f;

	ck_assert_int_eq(pthread_create(&thread, NULL, unlink_loop, &stop), 0);
	for (i = 0; i < 1000; i++) {
		if (handle_of(F, &f))
			continue;
		fd = open_by_handle_at(dir, &f.fh, O_RDWR);
		ck_assert(fd >= 0 || errno == ESTALE);
		if (fd >= 0)
			close(fd);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	close(dir);
	unlink(F);
	ck_assert_int_eq(inodes_used(), 1);
}
END_TEST

/* User namespaces */

START_TEST(user_namespace)
{
	pid_t pid;

	mkdir("/tmp/userns", 0777);
	chmod("/tmp/userns", 0777);
	pid = spawn();
	if (!pid) {
		struct statvfs st;

		drop_root();
		enter_userns();
		ck_assert_int_eq(cramfs_mount_at("/tmp/userns", "uid=5"), -EINVAL);
		ck_assert_int_eq(cramfs_mount_at("/tmp/userns", "gid=5"), -EINVAL);
		ck_assert_int_eq(cramfs_mount_at("/tmp/userns", "debug"), -EINVAL);
		ck_assert_int_eq(cramfs_mount_at("/tmp/userns", NULL), 0);
		/* limited, though nobody said so, and owned by who mounted */
		ck_ok(statvfs("/tmp/userns", &st));
		ck_assert_uint_gt(st.f_blocks, 0);
		ck_assert_uint_gt(st.f_files, 0);
		ck_assert_int_eq(stat_of("/tmp/userns").st_uid, 0);
		close(new_file("/tmp/userns/x"));
		ck_errno(mknod("/tmp/userns/null", S_IFCHR | 0666, 0x103), EPERM);
		ck_errno(chown("/tmp/userns/x", 1, 1), EINVAL);
		ck_ok(setxattr("/tmp/userns/x", "user.a", "x", 1, 0));
		ck_errno(setxattr("/tmp/userns/x", "trusted.a", "x", 1, 0), EPERM);
		ck_ok(umount2("/tmp/userns", 0));
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	rmdir("/tmp/userns");
}
END_TEST

START_TEST(user_namespace_does_not_flood)
{
	pid_t pid;

	mkdir("/tmp/userns", 0777);
	chmod("/tmp/userns", 0777);
	log_mark();
	pid = spawn();
	if (!pid) {
		drop_root();
		enter_userns();
		for (int i = 0; i < 1000; i++)
			ck_assert_int_eq(cramfs_mount_at("/tmp/userns", "size=nonsense"), -EINVAL);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_ge(log_count("size=nonsense"), 1);
	ck_assert_int_le(log_count("size=nonsense"), 100);
}
END_TEST

/* Try calls on @type, mounted in a user namespace: 0 or errno of each. */
#define TRIES 15

static void try_all(const char *type, int *results)
{
	/* version 2 of a capability set: cap_sys_admin, effective */
	static const uint32_t capability[5] = { 0x02000001, 1 << 21, 0, 0, 0 };
	struct acl acl = acl_of(7, 7, 4711, 7, 7, 7);
	int i = 0, at, mount_id, fd;
	struct handle h;

#define TRY(call) (errno = 0, results[i++] = (call) == -1 ? errno : 0)
	TRY(mount("none", "/tmp/userns", type, 0, NULL));
	at = ck_ok(open("/tmp/userns", O_RDONLY | O_DIRECTORY));
	TRY((fd = openat(at, "f", O_CREAT | O_RDWR, 0755)));
	TRY(mknodat(at, "char", S_IFCHR | 0666, 0x103));
	TRY(mknodat(at, "block", S_IFBLK | 0666, 0x700));
	TRY(mknodat(at, "fifo", S_IFIFO | 0666, 0));
	TRY(fchown(fd, 1, 1));
	TRY(fchmod(fd, 06755));
	TRY(fsetxattr(fd, "trusted.a", "x", 1, 0));
	TRY(fsetxattr(fd, "security.a", "x", 1, 0));
	TRY(fsetxattr(fd, "security.capability", capability, sizeof(capability), 0));
	TRY(fsetxattr(fd, ACCESS, &acl, ACL_BYTES, 0));
	h.fh.handle_bytes = sizeof(h.room);
	TRY(name_to_handle_at(at, "f", &h.fh, &mount_id, 0));
	TRY(open_by_handle_at(at, &h.fh, O_RDONLY));
	TRY(mount("none", "/tmp/userns", type, MS_REMOUNT, "size=1m"));
	TRY(mount("none", "/tmp/userns", type, MS_REMOUNT, "size=0,nr_inodes=0"));
#undef TRY
	ck_assert_int_eq(i, TRIES);
	ck_assert_int_eq(results[0], 0);
}

/* Of all that only root may do, who is root there may no more than with tmpfs. */
START_TEST(user_namespace_as_tmpfs)
{
	static const char *const types[] = { "tmpfs", "cramfs" };
	int pipes[2], results[2][TRIES], i;
	pid_t pid;

	mkdir("/tmp/userns", 0777);
	ck_ok(chmod("/tmp/userns", 0777));
	ck_ok(pipe(pipes));
	for (i = 0; i < 2; i++) {
		pid = spawn();
		if (!pid) {
			drop_root();
			enter_userns();
			try_all(types[i], results[i]);
			ck_assert_int_eq(write(pipes[1], results[i], sizeof(results[i])),
					 sizeof(results[i]));
			_exit(0);
		}
		ck_assert_int_eq(reap(pid), 0);
		ck_assert_int_eq(read(pipes[0], results[i], sizeof(results[i])),
				 sizeof(results[i]));
	}
	for (i = 0; i < TRIES; i++)
		ck_assert_msg(results[0][i] == results[1][i] || results[1][i] == EPERM,
			      "try %d: %s on tmpfs, %s on cramfs", i, strerror(results[0][i]),
			      strerror(results[1][i]));
	rmdir("/tmp/userns");
}
END_TEST

/* A set-user-ID program of such a mount gives outside of the namespace nothing to anybody. */
START_TEST(user_namespace_set_id)
{
	char path[64], buffer[32768];
	int pipes[2], in, out;
	ssize_t n;
	pid_t inside, outside;

	mkdir("/tmp/userns", 0777);
	ck_ok(chmod("/tmp/userns", 0777));
	ck_ok(pipe(pipes));
	inside = spawn();
	if (!inside) {
		in = ck_ok(open("/proc/self/exe", O_RDONLY));
		drop_root();
		enter_userns();
		ck_assert_int_eq(cramfs_mount_at("/tmp/userns", NULL), 0);
		out = new_file("/tmp/userns/suid");
		while ((n = ck_ok(read(in, buffer, sizeof(buffer)))))
			ck_assert_int_eq(write(out, buffer, n), n);
		ck_ok(fchmod(out, 06755));
		ck_ok(close(out));
		ck_assert_int_eq(write(pipes[1], "x", 1), 1);
		pause();
	}
	ck_assert_int_eq(read(pipes[0], buffer, 1), 1);
	snprintf(path, sizeof(path), "/proc/%d/root/tmp/userns/suid", inside);
	ck_assert_int_eq(stat_of(path).st_uid, 65534);
	ck_assert_int_eq(stat_of(path).st_mode & 07777, 06755);
	outside = spawn();
	if (!outside) {
		ck_ok(setresgid(0, 1000, 1000));
		ck_ok(setresuid(0, 1000, 1000));
		/* by its own hand root may look through /proc/PID/root: uid 1000 may not */
		ck_ok(seteuid(0));
		in = ck_ok(open(path, O_PATH));
		ck_ok(setresuid(1000, 1000, 1000));
		snprintf(path, sizeof(path), "/proc/self/fd/%d", in);
		execl(path, "suid", "show-ids", NULL);
		_exit(8);
	}
	ck_assert_int_eq(reap(outside), 0);
	kill(inside, 9);
	waitpid(inside, NULL, 0);
	rmdir("/tmp/userns");
}
END_TEST

/* Idmapped mounts: the files of user 1000 are seen as those of 2000 */

#ifndef MOUNT_ATTR_IDMAP
#define MOUNT_ATTR_IDMAP 0x00100000
#endif
#define SYS_OPEN_TREE 428
#define SYS_MOVE_MOUNT 429
#define SYS_MOUNT_SETATTR 442

START_TEST(idmapped)
{
	struct {
		uint64_t set, clear, propagation, userns_fd;
	} attr = { .set = MOUNT_ATTR_IDMAP };
	int pipes[2], tree, err;
	char path[64];
	pid_t pid;

	ck_ok(pipe(pipes));
	pid = spawn();
	if (!pid) {
		ck_ok(unshare(CLONE_NEWUSER));
		ck_assert_int_eq(write(pipes[1], "x", 1), 1);
		pause();
	}
	ck_assert_int_eq(read(pipes[0], path, 1), 1);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	ck_assert_int_eq(spew(path, "1000 2000 1"), 0);
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	ck_assert_int_eq(spew(path, "1000 2000 1"), 0);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	attr.userns_fd = ck_ok(open(path, O_RDONLY));

	ck_ok(chown(MNT, 1000, 1000));
	ck_ok(chown(F, 1000, 1000));
	tree = ck_ok(syscall(SYS_OPEN_TREE, AT_FDCWD, MNT, 1 | O_CLOEXEC));
	err = syscall(SYS_MOUNT_SETATTR, tree, "", 0x1000, &attr, sizeof(attr)) ? errno : 0;
	kill(pid, 9);
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(err, 0);
	mkdir("/tmp/idmapped", 0755);
	ck_ok(syscall(SYS_MOVE_MOUNT, tree, "", AT_FDCWD, "/tmp/idmapped", 4));
	close(tree);

	ck_assert_int_eq(stat_of("/tmp/idmapped/f").st_uid, 2000);
	pid = spawn();
	if (!pid) {
		ck_ok(setresgid(2000, 2000, 2000));
		ck_ok(setresuid(2000, 2000, 2000));
		ck_assert_int_eq(spew("/tmp/idmapped/f", "mine"), 0);
		close(new_file("/tmp/idmapped/new"));
		ck_ok(mkdir("/tmp/idmapped/dir", 0755));
		ck_ok(symlink("x", "/tmp/idmapped/link"));
		ck_ok(chmod("/tmp/idmapped/f", 0600));
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_eq(stat_of(MNT "/new").st_uid, 1000);
	ck_assert_int_eq(stat_of(MNT "/new").st_gid, 1000);
	ck_assert_int_eq(stat_of(MNT "/dir").st_uid, 1000);
	ck_assert_int_eq(stat_of(MNT "/link").st_uid, 1000);
	/* one that has no place in the map makes nothing there */
	ck_errno(open("/tmp/idmapped/root", O_CREAT | O_RDWR, 0644), EOVERFLOW);
	close((int)attr.userns_fd);
	ck_ok(umount2("/tmp/idmapped", 0));
}
END_TEST

static bool has_idmapped(void)
{
	errno = 0;
	syscall(SYS_MOUNT_SETATTR, -1, NULL, 0, NULL, 0);
	return errno != ENOSYS;
}

static void *chmod_loop(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 20000; i++) {
		ck_ok(chmod(F, 04700));
		ck_ok(chmod(F, 0755));
	}
	return NULL;
}

/* The permissions change in the ACL, too: they never show with the bits of another mode. */
START_TEST(chmod_in_one)
{
	struct acl acl = acl_of(7, 0, 65534, 0, 7, 0);
	pthread_t thread;
	mode_t mode;

	ck_ok(chmod(F, 0700));
	ck_ok(setxattr(F, ACCESS, &acl, ACL_BYTES, 0));
	ck_assert_int_eq(pthread_create(&thread, NULL, chmod_loop, NULL), 0);
	while (pthread_tryjoin_np(thread, NULL)) {
		mode = stat_of(F).st_mode & 07777;
		ck_assert_msg(mode != 04755, "setuid for all");
	}
	ck_assert_int_eq(stat_of(F).st_mode & 07777, 0755);
}
END_TEST

/* ACLs of 64 KiB: their memory is the writer's. */
START_TEST(acl_charged)
{
	enum { ENTRIES = 8000, FILES = 64 };
	static struct {
		uint32_t version;
		struct acl_entry entries[ENTRIES];
	} acl;
	long long before;
	char path[64];
	pid_t pid;
	int i;

	acl.version = ACL_VERSION(2);
	acl.entries[0] = (struct acl_entry)ACL_ENTRY(1, 7, -1);
	for (i = 1; i < ENTRIES - 3; i++)
		acl.entries[i] = (struct acl_entry)ACL_ENTRY(2, 7, 10000 + i);
	acl.entries[i++] = (struct acl_entry)ACL_ENTRY(4, 7, -1);
	acl.entries[i++] = (struct acl_entry)ACL_ENTRY(16, 7, -1);
	acl.entries[i] = (struct acl_entry)ACL_ENTRY(32, 7, -1);
	ck_assert_int_eq(cramfs_remount("size=64m,nr_inodes=0"), 0);
	make_cgroup();
	pid = spawn();
	if (!pid) {
		ck_assert_int_eq(spew(CGROUP "/cgroup.procs", "0"), 0);
		before = charged();
		for (i = 0; i < FILES; i++) {
			snprintf(path, sizeof(path), MNT "/%d", i);
			close(new_file(path));
			ck_ok(setxattr(path, ACCESS, &acl, sizeof(acl), 0));
		}
		ck_assert_int_gt(charged() - before, FILES * 60000);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_eq(cramfs_umount(), 0);
	wait_until(!rmdir(CGROUP));
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("ramfs_xattr");
	TCase *tc = tcase_create("xattr");

	if (argc == 2 && !strcmp(argv[1], "show-ids"))	/* see user_namespace_set_id */
		return geteuid() != 1000 || getegid() != 1000;

	tcase_add_checked_fixture(tc, up, cramfs_down);
	tcase_add_test(tc, xattr_basic);
	tcase_add_test(tc, xattr_rights);
	tcase_add_test(tc, xattr_limits);
	tcase_add_test(tc, xattr_many);
	tcase_add_test(tc, xattr_under_load);
	tcase_add_test(tc, acl_access);
	tcase_add_test(tc, acl_default);
	tcase_add_test(tc, chmod_in_one);
	if (has_memory_cgroups())
		tcase_add_test(tc, acl_charged);
	else
		skip_test("acl_charged", "this kernel has no memory cgroups");
	tcase_add_test(tc, file_handles);
	tcase_add_test(tc, handle_of_another_mount);
	if (has_fanotify())
		tcase_add_test(tc, watched_by_handle);
	else
		skip_test("watched_by_handle", "this kernel has no fanotify");
	tcase_add_test(tc, readdir_by_handle);
	tcase_add_test(tc, handles_under_load);
	tcase_add_test(tc, user_namespace);
	tcase_add_test(tc, user_namespace_does_not_flood);
	tcase_add_test(tc, user_namespace_as_tmpfs);
	tcase_add_test(tc, user_namespace_set_id);
	if (has_idmapped())
		tcase_add_test(tc, idmapped);
	else
		skip_test("idmapped", "the kernel has no idmapped mounts");
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
