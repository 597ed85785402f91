/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the test programs of kmk_ramfs: a cramfs at a place of its own. */
#ifndef TESTS_RAMFS_H
#define TESTS_RAMFS_H

#include "kmktest.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* <sys/mount.h> of newer C libraries and <linux/mount.h> do not go together. */
int mount(const char *source, const char *target, const char *type, unsigned long flags,
	  const void *data);
int umount2(const char *target, int flags);

#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif

#define MNT "/tmp/cramfs"
#define PAGE 4096

/* 0, or -errno. */
static inline int cramfs_mount_at(const char *where, const char *options)
{
	mkdir(where, 0755);
	return mount("none", where, "cramfs", 0, options) ? -errno : 0;
}

static inline int cramfs_mount(const char *options)
{
	return cramfs_mount_at(MNT, options);
}

static inline int cramfs_remount(const char *options)
{
	return mount("none", MNT, "cramfs", MS_REMOUNT, options) ? -errno : 0;
}

static inline int cramfs_umount(void)
{
	return umount2(MNT, 0) ? -errno : 0;
}

/* Fixture: the module, and a cramfs with room for 64 pages and 32 inodes. */
#define TEST_OPTIONS "size=256k,nr_inodes=32"

static inline void cramfs_down(void)
{
	umount2(MNT, MNT_DETACH);
	wait_until(module_unload("kmk_ramfs") == 0);
}

/* A test that failed has left all as it was. */
static inline void cramfs_load(void)
{
	if (module_loaded("kmk_ramfs"))
		cramfs_down();
	ck_assert_int_eq(module_load("kmk_ramfs", ""), 0);
}

static inline void cramfs_up(void)
{
	cramfs_load();
	ck_assert_int_eq(cramfs_mount(TEST_OPTIONS), 0);
}

static inline struct statvfs cramfs_df(void)
{
	struct statvfs st;

	ck_ok(statvfs(MNT, &st));
	return st;
}

static inline long long pages_used(void)
{
	struct statvfs st = cramfs_df();

	ck_assert_uint_eq(st.f_bfree, st.f_bavail);
	return st.f_blocks - st.f_bfree;
}

static inline long long inodes_used(void)
{
	struct statvfs st = cramfs_df();

	return st.f_files - st.f_ffree;
}

static inline struct stat stat_of(const char *path)
{
	struct stat st;

	ck_assert_msg(!lstat(path, &st), "%s: %s", path, strerror(errno));
	return st;
}

static inline int new_file(const char *path)
{
	return ck_ok(open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644));
}

/* Of @n bytes at @at, each is @byte. */
static inline void ck_bytes(int fd, off_t at, char byte, size_t n)
{
	char *data = malloc(n);
	size_t i;

	ck_assert_int_eq(pread(fd, data, n, at), n);
	for (i = 0; i < n && data[i] == byte; i++)
		;
	ck_assert_msg(i == n, "byte %lld is %#x, not %#x", (long long)(at + i), data[i], byte);
	free(data);
}

static inline void put(int fd, off_t at, char byte, size_t n)
{
	char *data = malloc(n);

	memset(data, byte, n);
	ck_assert_int_eq(pwrite(fd, data, n, at), n);
	free(data);
}

/* Become root of a user namespace, and of a mount namespace. */
static inline void enter_userns(void)
{
	uid_t uid = getuid();
	gid_t gid = getgid();
	char map[64];

	/* whose files in /proc are root's again, since it was root itself */
	ck_ok(prctl(PR_SET_DUMPABLE, 1));
	ck_ok(unshare(CLONE_NEWUSER | CLONE_NEWNS));
	spew("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	ck_assert_int_eq(spew("/proc/self/uid_map", map), 0);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	ck_assert_int_eq(spew("/proc/self/gid_map", map), 0);
}

/* Bytes that this process dirtied and the kernel dropped before writeback. */
static inline long long cancelled_writes(void)
{
	static const char name[] = "\ncancelled_write_bytes: ";
	char *io, *found;
	long long bytes;

	if (!exists("/proc/self/io"))
		return 0;
	io = slurp("/proc/self/io");
	found = strstr(io, name);
	ck_assert_ptr_nonnull(found);
	bytes = atoll(found + strlen(name));
	free(io);
	return bytes;
}

/* A pipe that has a reference to the first page of @fd. */
static inline void hold_first_page(int fd, int pipes[2])
{
	struct iovec page = { .iov_len = PAGE };

	page.iov_base = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(page.iov_base, MAP_FAILED);
	ck_ok(pipe(pipes));
	ck_assert_int_eq(vmsplice(pipes[1], &page, 1, 0), PAGE);
	ck_ok(munmap(page.iov_base, PAGE));
}

static inline void let_go(int pipes[2])
{
	ck_ok(close(pipes[0]));
	ck_ok(close(pipes[1]));
}

#endif /* TESTS_RAMFS_H */
