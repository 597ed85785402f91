// SPDX-License-Identifier: GPL-2.0
/* kmk_ramfs: files of every kind, links, rename, O_TMPFILE, directories. */
#define _GNU_SOURCE
#include "ramfs.h"

#include <dirent.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

static int exchange(const char *a, const char *b, unsigned int flags)
{
	return syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, flags);
}

static void make(const char *path, const char *text)
{
	int fd = new_file(path);

	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
	ck_ok(close(fd));
}

/* Times */

static struct timespec before;

static bool later(struct timespec t)
{
	return t.tv_sec > before.tv_sec ||
	       (t.tv_sec == before.tv_sec && t.tv_nsec > before.tv_nsec);
}

/* Stamps till now, of either clock, are not later than that; further ones are. */
static void now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &before);
	do
		clock_gettime(CLOCK_REALTIME_COARSE, &t);
	while (!later(t));
}

/* That c and m and nothing else of the times of @path has changed since now(). */
static void ck_times(const char *path, bool a, bool m, bool c)
{
	struct stat st = stat_of(path);

	ck_assert_msg(later(st.st_atim) == a, "%s: atime %s", path, a ? "stays" : "changes");
	ck_assert_msg(later(st.st_mtim) == m, "%s: mtime %s", path, m ? "stays" : "changes");
	ck_assert_msg(later(st.st_ctim) == c, "%s: ctime %s", path, c ? "stays" : "changes");
}

START_TEST(kinds)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = MNT "/socket" };
	struct stat st;
	int fd;

	umask(022);
	ck_ok(mkdir(MNT "/dir", 01777));
	ck_ok(mknod(MNT "/fifo", S_IFIFO | 0640, 0));
	ck_ok(mknod(MNT "/null", S_IFCHR | 0666, makedev(1, 3)));
	ck_ok(mknod(MNT "/block", S_IFBLK | 0600, makedev(300, 70000)));
	ck_ok(mknod(MNT "/plain", S_IFREG | 0600, 0));
	ck_ok(symlink("plain", MNT "/link"));
	fd = ck_ok(socket(AF_UNIX, SOCK_STREAM, 0));
	ck_ok(bind(fd, (struct sockaddr *)&address, sizeof(address)));

	st = stat_of(MNT "/dir");
	ck_assert_int_eq(st.st_mode, S_IFDIR | 01755);
	ck_assert_int_eq(st.st_nlink, 2);
	ck_assert_int_eq(stat_of(MNT).st_nlink, 3);
	st = stat_of(MNT "/fifo");
	ck_assert_int_eq(st.st_mode, S_IFIFO | 0640);
	st = stat_of(MNT "/null");
	ck_assert_int_eq(st.st_mode, S_IFCHR | 0644);
	ck_assert_int_eq(st.st_rdev, makedev(1, 3));
	st = stat_of(MNT "/block");
	ck_assert_int_eq(st.st_rdev, makedev(300, 70000));
	st = stat_of(MNT "/plain");
	ck_assert_int_eq(st.st_mode, S_IFREG | 0600);
	ck_assert_int_eq(st.st_blksize, PAGE);
	ck_assert_int_eq(st.st_blocks, 0);
	ck_assert_int_eq(st.st_nlink, 1);
	st = stat_of(MNT "/link");
	ck_assert_int_eq(st.st_mode, S_IFLNK | 0777);
	ck_assert_int_eq(stat_of(MNT "/socket").st_mode & S_IFMT, S_IFSOCK);
	ck_ok(connect(ck_ok(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&address,
		      sizeof(address)) == -1 && errno == ECONNREFUSED ? 0 : -1);
	close(fd);

	fd = ck_ok(open(MNT "/null", O_RDWR));
	ck_assert_int_eq(write(fd, "x", 1), 1);
	ck_assert_int_eq(read(fd, &st, 1), 0);
	close(fd);
	fd = ck_ok(open(MNT "/link", O_RDONLY));
	close(fd);
	ck_assert_int_eq(pages_used(), 0);
}
END_TEST

START_TEST(errors)
{
	char name[300], path[400];
	int fd;

	make(MNT "/file", "x");
	ck_ok(mkdir(MNT "/dir", 0755));
	make(MNT "/dir/in", "x");
	ck_errno(open(MNT "/none", O_RDONLY), ENOENT);
	ck_errno(open(MNT "/file", O_CREAT | O_EXCL, 0644), EEXIST);
	ck_errno(mkdir(MNT "/file", 0755), EEXIST);
	ck_errno(symlink("x", MNT "/file"), EEXIST);
	ck_errno(link(MNT "/file", MNT "/dir"), EEXIST);
	ck_errno(link(MNT "/dir", MNT "/dir2"), EPERM);
	ck_errno(open(MNT "/file/x", O_RDONLY), ENOTDIR);
	ck_errno(rmdir(MNT "/dir"), ENOTEMPTY);
	ck_errno(rmdir(MNT "/file"), ENOTDIR);
	ck_errno(unlink(MNT "/dir"), EISDIR);
	ck_errno(rename(MNT "/file", MNT "/dir"), EISDIR);
	ck_errno(rename(MNT "/dir", MNT "/file"), ENOTDIR);
	ck_errno(rename(MNT "/dir", MNT "/dir/sub"), EINVAL);
	ck_errno(rename(MNT "/none", MNT "/x"), ENOENT);
	ck_errno(truncate(MNT "/dir", 0), EISDIR);
	ck_errno(open(MNT "/dir", O_RDWR), EISDIR);
	fd = ck_ok(open(MNT "/dir", O_RDONLY));
	ck_errno(read(fd, path, 1), EISDIR);
	ck_ok(close(fd));

	/* 255 bytes are a name, 256 are not */
	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	snprintf(path, sizeof(path), MNT "/%s", name);
	make(path, "long");
	ck_ok(unlink(path));
	name[255] = 'n';
	name[256] = '\0';
	snprintf(path, sizeof(path), MNT "/%s", name);
	ck_errno(open(path, O_CREAT | O_RDWR, 0644), ENAMETOOLONG);
	ck_errno(open(path, O_RDONLY), ENAMETOOLONG);
	ck_assert(file_has(MNT "/file", "x"));
	ck_assert_int_eq(inodes_used(), 4);
}
END_TEST

/* Names that mean something else, and symlinks that lead nowhere. */
START_TEST(tricks)
{
	struct stat above = stat_of("/tmp");
	char path[PATH_MAX + 2], name[64];

	ck_ok(mkdir(MNT "/dir", 0755));
	make(MNT "/file", "x");
	ck_errno(mkdir(MNT "/dir/..", 0755), EEXIST);
	ck_errno(mkdir(MNT "/dir/.", 0755), EEXIST);
	ck_errno(rmdir(MNT "/dir/."), EINVAL);
	ck_errno(rmdir(MNT "/dir/.."), ENOTEMPTY);
	ck_errno(unlink(MNT "/dir/.."), EISDIR);
	ck_errno(rename(MNT "/dir/..", MNT "/x"), EBUSY);
	ck_errno(rename(MNT "/file", MNT "/dir/.."), EBUSY);
	ck_errno(link(MNT "/file", MNT "/dir/."), EEXIST);
	ck_errno(open(MNT "/file/..", O_RDONLY), ENOTDIR);
	ck_errno(open(MNT "/", O_CREAT | O_RDWR, 0644), EISDIR);
	ck_errno(open("", O_CREAT | O_RDWR, 0644), ENOENT);
	ck_assert_uint_eq(stat_of(MNT "/dir/../..").st_ino, above.st_ino);
	ck_assert_uint_eq(stat_of(MNT "/dir/../..").st_dev, above.st_dev);

	ck_ok(symlink("itself", MNT "/itself"));
	ck_ok(symlink("second", MNT "/first"));
	ck_ok(symlink("dir/../first", MNT "/second"));
	ck_errno(open(MNT "/itself", O_RDONLY), ELOOP);
	ck_errno(open(MNT "/itself/x", O_CREAT | O_RDWR, 0644), ELOOP);
	ck_errno(open(MNT "/first", O_CREAT | O_RDWR, 0644), ELOOP);
	ck_errno(truncate(MNT "/second", 0), ELOOP);
	ck_ok(symlink("file", MNT "/to_file"));
	ck_errno(open(MNT "/to_file", O_RDONLY | O_NOFOLLOW), ELOOP);

	/* a path of PATH_MAX bytes, with its end, is none */
	memset(path, '/', sizeof(path));
	memcpy(path, MNT, strlen(MNT));
	strcpy(path + PATH_MAX - 5, "file");
	close(ck_ok(open(path, O_RDONLY)));
	strcpy(path + PATH_MAX - 4, "file");
	ck_errno(open(path, O_RDONLY), ENAMETOOLONG);
	ck_assert_int_eq(readlink(MNT "/second", name, sizeof(name)), 12);
	ck_assert_int_eq(inodes_used(), 7);
}
END_TEST

START_TEST(links)
{
	int fd;

	make(MNT "/a", "text");
	ck_ok(mkdir(MNT "/d", 0755));
	now();
	ck_ok(link(MNT "/a", MNT "/d/b"));
	ck_times(MNT "/a", false, false, true);
	ck_times(MNT "/d", false, true, true);
	ck_times(MNT, false, false, false);
	ck_assert_int_eq(stat_of(MNT "/a").st_nlink, 2);
	ck_assert_uint_eq(stat_of(MNT "/a").st_ino, stat_of(MNT "/d/b").st_ino);
	ck_assert_int_eq(spew(MNT "/d/b", "TEXT"), 0);
	ck_assert(file_has(MNT "/a", "TEXT"));
	now();
	fd = ck_ok(open(MNT "/a", O_RDONLY));
	ck_ok(unlink(MNT "/a"));
	ck_times(MNT, false, true, true);
	ck_times(MNT "/d/b", false, false, true);
	ck_ok(unlink(MNT "/d/b"));
	ck_assert_int_eq(pages_used(), 1);
	ck_assert_int_eq(inodes_used(), 3);
	ck_ok(close(fd));
	ck_assert_int_eq(pages_used(), 0);
	ck_assert_int_eq(inodes_used(), 2);
}
END_TEST

START_TEST(inheritance)
{
	pid_t pid;

	umask(0);
	ck_ok(mkdir(MNT "/group", 0777));
	ck_ok(chown(MNT "/group", 5, 7));
	ck_ok(chmod(MNT "/group", 02777));
	ck_ok(mkdir(MNT "/sticky", 01777));
	make(MNT "/sticky/root", "");
	pid = spawn();
	if (!pid) {
		struct stat st;

		drop_root();
		make(MNT "/group/f", "");
		ck_ok(mkdir(MNT "/group/d", 0755));
		st = stat_of(MNT "/group/f");
		ck_assert_int_eq(st.st_uid, 65534);
		ck_assert_int_eq(st.st_gid, 7);
		st = stat_of(MNT "/group/d");
		ck_assert_int_eq(st.st_gid, 7);
		ck_assert_int_eq(st.st_mode, S_IFDIR | 02755);
		/* one who is not of the group cannot make a set-group-ID program of it */
		close(ck_ok(open(MNT "/group/x", O_CREAT | O_WRONLY, 02711)));
		ck_assert_int_eq(stat_of(MNT "/group/x").st_mode, S_IFREG | 0711);

		make(MNT "/sticky/mine", "");
		ck_errno(unlink(MNT "/sticky/root"), EPERM);
		ck_errno(rename(MNT "/sticky/root", MNT "/sticky/x"), EPERM);
		ck_ok(unlink(MNT "/sticky/mine"));
		ck_errno(open(MNT "/no", O_CREAT | O_WRONLY, 0644), EACCES);
		ck_errno(chown(MNT "/group/f", 0, 0), EPERM);
		ck_errno(mknod(MNT "/group/node", S_IFCHR, makedev(1, 3)), EPERM);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
}
END_TEST

START_TEST(set_id_dropped)
{
	pid_t pid;

	umask(0);
	close(ck_ok(open(MNT "/f", O_CREAT | O_WRONLY, 0777)));
	ck_ok(chown(MNT "/f", 1, 2));
	ck_ok(chmod(MNT "/f", 06777));
	ck_ok(chown(MNT "/f", 3, 4));
	ck_assert_int_eq(stat_of(MNT "/f").st_mode & 07777, 0777);
	ck_ok(chmod(MNT "/f", 06777));
	pid = spawn();
	if (!pid) {
		drop_root();
		ck_assert_int_eq(spew(MNT "/f", "x"), 0);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_eq(stat_of(MNT "/f").st_mode & 07777, 0777);
}
END_TEST

START_TEST(rename_plain)
{
	ino_t ino;

	make(MNT "/a", "a");
	make(MNT "/b", "b");
	ck_ok(mkdir(MNT "/d", 0755));
	ck_ok(mkdir(MNT "/e", 0755));
	ck_ok(mkdir(MNT "/d/sub", 0755));
	ino = stat_of(MNT "/a").st_ino;

	now();
	ck_ok(rename(MNT "/a", MNT "/d/c"));
	ck_times(MNT, false, true, true);
	ck_times(MNT "/d", false, true, true);
	ck_times(MNT "/d/c", false, false, true);
	ck_assert(!exists(MNT "/a"));
	ck_assert_uint_eq(stat_of(MNT "/d/c").st_ino, ino);

	/* onto another: that one is gone, and its page and inode with it */
	ck_assert_int_eq(pages_used(), 2);
	ck_ok(rename(MNT "/b", MNT "/d/c"));
	ck_assert(file_has(MNT "/d/c", "b"));
	ck_assert_int_eq(pages_used(), 1);
	ck_assert_int_eq(inodes_used(), 5);

	/* onto a link of itself: both stay */
	ck_ok(link(MNT "/d/c", MNT "/same"));
	ck_ok(rename(MNT "/same", MNT "/d/c"));
	ck_assert(exists(MNT "/same"));
	ck_ok(unlink(MNT "/same"));

	/* directories: the links of ".." move along */
	ck_assert_int_eq(stat_of(MNT "/d").st_nlink, 3);
	ck_ok(rename(MNT "/d/sub", MNT "/e/sub"));
	ck_assert_int_eq(stat_of(MNT "/d").st_nlink, 2);
	ck_assert_int_eq(stat_of(MNT "/e").st_nlink, 3);
	ck_ok(mkdir(MNT "/d/other", 0755));
	ck_ok(rename(MNT "/d/other", MNT "/e/sub"));
	ck_assert_int_eq(stat_of(MNT "/d").st_nlink, 2);
	ck_assert_int_eq(stat_of(MNT "/e").st_nlink, 3);
	ck_errno(rename(MNT "/e/sub", MNT "/d"), ENOTEMPTY);
	ck_ok(rename(MNT "/e/sub", MNT "/e/bus"));
	ck_assert_int_eq(stat_of(MNT "/e").st_nlink, 3);
	ck_ok(unlink(MNT "/d/c"));
	ck_ok(rename(MNT "/e", MNT "/d"));
	ck_assert(exists(MNT "/d/bus"));
	ck_assert_int_eq(stat_of(MNT).st_nlink, 3);
	ck_ok(rmdir(MNT "/d/bus"));
	ck_ok(rmdir(MNT "/d"));
	ck_assert_int_eq(stat_of(MNT).st_nlink, 2);
	ck_assert_int_eq(inodes_used(), 1);
}
END_TEST

START_TEST(rename_flags)
{
	ino_t a, d;

	make(MNT "/a", "a");
	ck_ok(mkdir(MNT "/d", 0755));
	make(MNT "/d/b", "b");
	ck_ok(mkdir(MNT "/x", 0755));
	a = stat_of(MNT "/a").st_ino;
	d = stat_of(MNT "/d").st_ino;

	ck_errno(exchange(MNT "/a", MNT "/d/b", RENAME_NOREPLACE), EEXIST);
	ck_ok(exchange(MNT "/a", MNT "/a2", RENAME_NOREPLACE));
	ck_ok(rename(MNT "/a2", MNT "/a"));
	ck_errno(exchange(MNT "/a", MNT "/none", RENAME_EXCHANGE), ENOENT);
	ck_errno(exchange(MNT "/a", MNT "/d/b", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
	ck_errno(exchange(MNT "/a", MNT "/d/b", 8), EINVAL);

	now();
	ck_ok(exchange(MNT "/a", MNT "/d/b", RENAME_EXCHANGE));
	ck_times(MNT "/a", false, false, true);
	ck_times(MNT "/d/b", false, false, true);
	ck_times(MNT "/d", false, true, true);
	ck_assert_uint_eq(stat_of(MNT "/d/b").st_ino, a);
	ck_assert(file_has(MNT "/a", "b"));

	/* a file for a directory that is not empty */
	ck_assert_int_eq(stat_of(MNT "/x").st_nlink, 2);
	ck_ok(rename(MNT "/a", MNT "/x/a"));
	ck_ok(exchange(MNT "/d", MNT "/x/a", RENAME_EXCHANGE));
	ck_assert_uint_eq(stat_of(MNT "/x/a").st_ino, d);
	ck_assert(exists(MNT "/x/a/b"));
	ck_assert(file_has(MNT "/d", "b"));
	ck_assert_int_eq(stat_of(MNT "/x").st_nlink, 3);
	ck_assert_int_eq(stat_of(MNT).st_nlink, 3);
	ck_ok(exchange(MNT "/x/a", MNT "/d", RENAME_EXCHANGE));
	ck_assert_int_eq(stat_of(MNT "/x").st_nlink, 2);
	ck_assert_int_eq(stat_of(MNT).st_nlink, 4);
}
END_TEST

START_TEST(rename_whiteout)
{
	struct stat st;

	make(MNT "/a", "a");
	make(MNT "/b", "b");
	ck_ok(mkdir(MNT "/d", 0755));
	ck_assert_int_eq(inodes_used(), 4);
	ck_ok(exchange(MNT "/a", MNT "/d/a", RENAME_WHITEOUT));
	st = stat_of(MNT "/a");
	ck_assert_int_eq(st.st_mode & S_IFMT, S_IFCHR);
	ck_assert_int_eq(st.st_rdev, 0);
	ck_assert_int_eq(inodes_used(), 5);
	ck_assert(file_has(MNT "/d/a", "a"));
	ck_ok(exchange(MNT "/b", MNT "/d/a", RENAME_WHITEOUT));
	ck_assert(file_has(MNT "/d/a", "b"));
	ck_assert_int_eq(inodes_used(), 5);
	ck_errno(exchange(MNT "/b", MNT "/a", RENAME_WHITEOUT | RENAME_EXCHANGE), EINVAL);

	ck_assert_int_eq(cramfs_remount("nr_inodes=5"), 0);
	ck_errno(exchange(MNT "/d/a", MNT "/e", RENAME_WHITEOUT), ENOSPC);
	ck_assert(!exists(MNT "/e"));
	ck_assert(file_has(MNT "/d/a", "b"));
	ck_ok(unlink(MNT "/a"));
	ck_ok(unlink(MNT "/b"));
	ck_ok(unlink(MNT "/d/a"));
	ck_ok(rmdir(MNT "/d"));
	ck_assert_int_eq(inodes_used(), 1);
}
END_TEST

START_TEST(tmpfile_)
{
	char path[64];
	int fd = ck_ok(open(MNT, O_TMPFILE | O_RDWR, 0600));
	struct stat st;

	ck_ok(fstat(fd, &st));
	ck_assert_int_eq(st.st_nlink, 0);
	ck_assert_int_eq(st.st_mode, S_IFREG | 0600);
	ck_assert_int_eq(write(fd, "text", 4), 4);
	ck_assert_int_eq(inodes_used(), 2);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ck_ok(linkat(AT_FDCWD, path, AT_FDCWD, MNT "/named", AT_SYMLINK_FOLLOW));
	ck_assert_int_eq(inodes_used(), 2);
	ck_ok(close(fd));
	ck_assert_int_eq(stat_of(MNT "/named").st_nlink, 1);
	ck_assert(file_has(MNT "/named", "text"));
	ck_ok(unlink(MNT "/named"));
	ck_assert_int_eq(inodes_used(), 1);

	/* one that is never named, and one that may not be */
	fd = ck_ok(open(MNT, O_TMPFILE | O_RDWR, 0600));
	ck_assert_int_eq(write(fd, "text", 4), 4);
	ck_ok(close(fd));
	ck_assert_int_eq(pages_used(), 0);
	fd = ck_ok(open(MNT, O_TMPFILE | O_EXCL | O_RDWR, 0600));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ck_errno(linkat(AT_FDCWD, path, AT_FDCWD, MNT "/named", AT_SYMLINK_FOLLOW), ENOENT);
	ck_ok(close(fd));
	ck_assert_int_eq(inodes_used(), 1);
}
END_TEST

START_TEST(times_of_attributes)
{
	struct timespec times[2] = { { 1, 123456789 }, { 2, 987654321 } };
	struct statx stx;
	struct stat st;

	now();
	make(MNT "/f", "x");
	ck_times(MNT, false, true, true);
	ck_times(MNT "/f", true, true, true);
	now();
	ck_ok(chmod(MNT "/f", 0600));
	ck_times(MNT "/f", false, false, true);
	now();
	ck_ok(chown(MNT "/f", 1, 1));
	ck_times(MNT "/f", false, false, true);
	now();
	ck_ok(truncate(MNT "/f", 100));
	ck_times(MNT "/f", false, true, true);
	now();
	ck_ok(truncate(MNT "/f", 100));
	ck_times(MNT "/f", false, false, false);
	ck_ok(utimensat(AT_FDCWD, MNT "/f", times, 0));
	st = stat_of(MNT "/f");
	ck_assert_int_eq(st.st_atim.tv_nsec, 123456789);
	ck_assert_int_eq(st.st_mtim.tv_nsec, 987654321);
	ck_assert_int_eq(st.st_mtim.tv_sec, 2);
	ck_ok(statx(AT_FDCWD, MNT "/f", 0, STATX_BASIC_STATS | STATX_BTIME, &stx));
	ck_assert_uint_ne(stx.stx_mask & STATX_BTIME, 0);
	ck_assert_int_ne(stx.stx_btime.tv_sec, 0);
	ck_assert_int_le(stx.stx_btime.tv_sec, before.tv_sec);
	ck_assert_int_ge(stx.stx_btime.tv_sec, before.tv_sec - 10);
}
END_TEST

START_TEST(times_of_data)
{
	char data[100];
	DIR *dir;
	int fd;

	make(MNT "/f", "x");
	ck_ok(symlink("f", MNT "/l"));
	/* at a first access relatime behaves as POSIX says */
	ck_assert_int_eq(cramfs_remount(NULL), 0);
	ck_ok(mount("none", MNT, "cramfs", MS_REMOUNT | MS_STRICTATIME, NULL));
	fd = ck_ok(open(MNT "/f", O_RDWR));
	now();
	ck_assert_int_eq(read(fd, data, 1), 1);
	ck_times(MNT "/f", true, false, false);
	now();
	ck_assert_int_eq(readlink(MNT "/l", data, sizeof(data)), 1);
	ck_times(MNT "/l", true, false, false);
	now();
	dir = opendir(MNT);
	ck_assert_ptr_nonnull(dir);
	ck_assert_ptr_nonnull(readdir(dir));
	closedir(dir);
	ck_times(MNT, true, false, false);
	now();
	ck_assert_int_eq(write(fd, "y", 1), 1);
	ck_times(MNT "/f", false, true, true);
	now();
	ck_ok(ftruncate(fd, 2));		/* to the size that it has */
	ck_times(MNT "/f", false, true, true);
	now();
	ck_ok(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, PAGE));
	ck_times(MNT "/f", false, true, true);
	now();
	ck_ok(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, PAGE));
	ck_times(MNT "/f", false, true, true);
	now();
	close(ck_ok(open(MNT "/f", O_WRONLY | O_TRUNC)));
	ck_times(MNT "/f", false, true, true);
	now();
	ck_assert_int_eq(write(fd, "", 0), 0);
	ck_assert_int_eq(pread(fd, data, 0, 0), 0);
	ck_times(MNT "/f", false, false, false);
	close(fd);

	ck_ok(mount("none", MNT, "cramfs", MS_REMOUNT | MS_NOATIME, NULL));
	now();
	free(slurp(MNT "/f"));
	ck_times(MNT "/f", false, false, false);
}
END_TEST

/* Attributes of chattr(1) */

static int flags_of(const char *path)
{
	int fd = ck_ok(open(path, O_RDONLY)), flags;

	ck_ok(ioctl(fd, FS_IOC_GETFLAGS, &flags));
	close(fd);
	return flags;
}

static int set_flags(const char *path, int flags)
{
	int fd = ck_ok(open(path, O_RDONLY)), ret, err;

	ret = ioctl(fd, FS_IOC_SETFLAGS, &flags);
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

static uint64_t attributes(const char *path, uint64_t *mask)
{
	struct statx stx;

	ck_ok(statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &stx));
	*mask = stx.stx_attributes_mask;
	return stx.stx_attributes & stx.stx_attributes_mask;
}

START_TEST(chattr)
{
	const uint64_t all = STATX_ATTR_APPEND | STATX_ATTR_IMMUTABLE | STATX_ATTR_NODUMP;
	/* Linux 6.17 tells the caller of the ioctl otherwise than the file system told it */
	int refusal = kernel_from(6, 17) && !kernel_from(6, 18) ? ENOTTY : EOPNOTSUPP;
	uint64_t mask;
	pid_t pid;
	int fd;

	make(MNT "/f", "text");
	ck_ok(mkdir(MNT "/d", 0755));
	ck_assert_int_eq(flags_of(MNT "/f"), 0);
	ck_assert_uint_eq(attributes(MNT "/f", &mask) & all, 0);
	ck_assert_uint_eq(mask & all, all);

	now();
	ck_ok(set_flags(MNT "/f", FS_APPEND_FL));
	ck_times(MNT "/f", false, false, true);
	ck_assert_int_eq(flags_of(MNT "/f"), FS_APPEND_FL);
	ck_assert_uint_eq(attributes(MNT "/f", &mask) & all, STATX_ATTR_APPEND);
	ck_errno(open(MNT "/f", O_WRONLY), EPERM);
	ck_errno(truncate(MNT "/f", 0), EPERM);
	ck_errno(unlink(MNT "/f"), EPERM);
	fd = ck_ok(open(MNT "/f", O_WRONLY | O_APPEND));
	ck_assert_int_eq(write(fd, "+more", 5), 5);
	close(fd);
	ck_assert(file_has(MNT "/f", "text+more"));

	ck_ok(set_flags(MNT "/f", FS_IMMUTABLE_FL));
	ck_assert_uint_eq(attributes(MNT "/f", &mask) & all, STATX_ATTR_IMMUTABLE);
	ck_errno(open(MNT "/f", O_WRONLY | O_APPEND), EPERM);
	ck_errno(chmod(MNT "/f", 0600), EPERM);
	ck_errno(rename(MNT "/f", MNT "/g"), EPERM);
	ck_errno(link(MNT "/f", MNT "/g"), EPERM);
	ck_errno(unlink(MNT "/f"), EPERM);
	ck_ok(set_flags(MNT "/f", 0));
	ck_ok(unlink(MNT "/f"));

	/* a directory to which names are only added */
	ck_ok(set_flags(MNT "/d", FS_APPEND_FL));
	make(MNT "/d/f", "");
	ck_errno(unlink(MNT "/d/f"), EPERM);
	ck_ok(set_flags(MNT "/d", FS_IMMUTABLE_FL));
	ck_errno(open(MNT "/d/g", O_CREAT | O_RDWR, 0644), EPERM);

	/* two are inherited */
	ck_ok(set_flags(MNT "/d", FS_NODUMP_FL | FS_NOATIME_FL | FS_APPEND_FL));
	ck_assert_uint_eq(attributes(MNT "/d", &mask) & all,
			  STATX_ATTR_NODUMP | STATX_ATTR_APPEND);
	make(MNT "/d/g", "text");
	ck_ok(mkdir(MNT "/d/sub", 0755));
	ck_assert_int_eq(flags_of(MNT "/d/f"), 0);
	ck_assert_int_eq(flags_of(MNT "/d/g"), FS_NODUMP_FL | FS_NOATIME_FL);
	ck_assert_int_eq(flags_of(MNT "/d/sub"), FS_NODUMP_FL | FS_NOATIME_FL);
	ck_ok(mount("none", MNT, "cramfs", MS_REMOUNT | MS_STRICTATIME, NULL));
	now();
	free(slurp(MNT "/d/g"));
	ck_times(MNT "/d/g", false, false, false);
	ck_ok(set_flags(MNT "/d/g", 0));
	now();
	free(slurp(MNT "/d/g"));
	ck_times(MNT "/d/g", true, false, false);

	/* what is not there, and who may not */
	ck_errno(set_flags(MNT "/d/g", FS_COMPR_FL), refusal);
	ck_errno(set_flags(MNT "/d/g", FS_NODUMP_FL | FS_SYNC_FL), refusal);
	ck_assert_int_eq(flags_of(MNT "/d/g"), 0);
	ck_ok(chown(MNT "/d/g", 65534, 65534));
	pid = spawn();
	if (!pid) {
		drop_root();
		ck_errno(set_flags(MNT "/d/f", FS_NODUMP_FL), EPERM);
		ck_ok(set_flags(MNT "/d/g", FS_NODUMP_FL));
		ck_errno(set_flags(MNT "/d/g", FS_IMMUTABLE_FL), EPERM);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_eq(flags_of(MNT "/d/g"), FS_NODUMP_FL);
	ck_ok(mount("none", MNT, "cramfs", MS_REMOUNT | MS_RDONLY, NULL));
	ck_errno(set_flags(MNT "/d/g", 0), EROFS);
}
END_TEST

START_TEST(chattr_from_32_bits)
{
	make(MNT "/f", "");
	use_from_32_bits(MNT "/f");
	ck_assert_int_eq(flags_of(MNT "/f"), FS_NODUMP_FL);
}
END_TEST

/* The change counter, which NFS's server shows its clients */

#define COUNTER "/sys/module/kmk_change_counter/parameters/path"

static long long counter_of(const char *path)
{
	ck_assert_int_eq(spew(COUNTER, path), 0);
	return slurp_number(COUNTER);
}

static const char *const counted[] = { MNT "/f", MNT "/d", MNT };

/* That @change changes the counters of those whose letter, of "fdm", is in @which. */
#define ck_counts(which, change)						\
	do {									\
		long long was_[3];						\
										\
		for (int i_ = 0; i_ < 3; i_++)					\
			was_[i_] = counter_of(counted[i_]);			\
		ck_ok(change);							\
		for (int i_ = 0; i_ < 3; i_++)					\
			ck_assert_msg((counter_of(counted[i_]) > was_[i_]) ==	\
				      !!strchr(which, "fdm"[i_]), "%s: counter of %s", \
				      #change, counted[i_]);			\
	} while (0)

static void counter_up(void)
{
	cramfs_up();
	if (module_loaded("kmk_change_counter"))
		module_unload("kmk_change_counter");
	ck_assert_int_eq(module_load("kmk_change_counter", ""), 0);
}

static void counter_down(void)
{
	ck_assert_int_eq(module_unload("kmk_change_counter"), 0);
	cramfs_down();
}

START_TEST(change_counter)
{
	struct timespec times[2] = { { 1, 0 }, { 2, 0 } };
	char data[100];
	int fd, i;

	make(MNT "/f", "text");
	ck_ok(mkdir(MNT "/d", 0755));
	fd = ck_ok(open(MNT "/f", O_RDWR));
	/* a remount does not turn it off */
	for (i = 0; i < 2; i++) {
		ck_counts("f", pwrite(fd, "x", 1, 0));
		ck_counts("", pread(fd, data, 1, 0));
		ck_counts("f", ftruncate(fd, 100));
		ck_counts("f", truncate(MNT "/f", 50));
		ck_counts("", truncate(MNT "/f", 50));
		ck_counts("f", fallocate(fd, 0, 0, PAGE));
		ck_counts("f", chmod(MNT "/f", 0600));
		ck_counts("f", chown(MNT "/f", 1, 1));
		ck_counts("f", utimensat(AT_FDCWD, MNT "/f", times, 0));
		ck_counts("f", set_flags(MNT "/f", FS_NODUMP_FL));
		ck_counts("d", chmod(MNT "/d", 0700));

		ck_counts("m", (make(MNT "/g", "text"), 0));
		ck_counts("d", mkdir(MNT "/d/sub", 0755));
		ck_counts("d", symlink("f", MNT "/d/link"));
		ck_counts("d", mknod(MNT "/d/fifo", S_IFIFO | 0600, 0));
		ck_counts("fd", link(MNT "/f", MNT "/d/f"));
		ck_counts("fd", unlink(MNT "/d/f"));
		ck_counts("md", rename(MNT "/g", MNT "/d/g"));
		/* there and back, as the counters are found by name */
		ck_counts("fmd", exchange(MNT "/f", MNT "/d/g", RENAME_EXCHANGE) ?:
				 exchange(MNT "/d/g", MNT "/f", RENAME_EXCHANGE));
		ck_counts("d", rename(MNT "/d/g", MNT "/d/fifo"));
		ck_counts("dm", exchange(MNT "/d/fifo", MNT "/x", RENAME_WHITEOUT));
		ck_counts("m", unlink(MNT "/x"));
		ck_counts("d", unlink(MNT "/d/fifo"));
		ck_counts("d", unlink(MNT "/d/link"));
		ck_counts("d", rmdir(MNT "/d/sub"));
		ck_counts("", close(ck_ok(open(MNT "/d", O_TMPFILE | O_RDWR, 0600))));
		ck_counts("", open(MNT "/d", O_CREAT | O_RDWR, 0600) < 0 ? 0 : -1);
		ck_ok(mount("none", MNT, "cramfs", MS_REMOUNT | MS_NODIRATIME, NULL));
	}
	close(fd);
}
END_TEST

/* Multigrain times */

static bool differ(const struct stat *a, const struct stat *b)
{
	return memcmp(&a->st_mtim, &b->st_mtim, sizeof(a->st_mtim)) &&
	       memcmp(&a->st_ctim, &b->st_ctim, sizeof(a->st_ctim));
}

/* Fails unless @change changes both times of @file, right after somebody looked at them. */
#define ck_seen(file, change)							\
	do {									\
		const char *file_ = (file);					\
		struct stat old_ = stat_of(file_), new_;			\
										\
		ck_ok(change);							\
		new_ = stat_of(file_);						\
		ck_assert_msg(differ(&old_, &new_), "%s: the times stay", #change); \
	} while (0)

START_TEST(multigrain_times)
{
	char path[64];
	int fd, i;

	fd = new_file(MNT "/f");
	ck_ok(mkdir(MNT "/d", 0755));
	for (i = 0; i < 1000; i++) {
		sprintf(path, MNT "/d/%d", i);
		ck_seen(MNT "/f", pwrite(fd, "x", 1, 0));
		ck_seen(MNT "/f", ftruncate(fd, i + 2));
		ck_seen(MNT "/d", link(MNT "/f", path));
		ck_seen(MNT "/d", unlink(path));
	}
	close(fd);
}
END_TEST

/* Negative dentries */

static long negative_dentries(void)
{
	char *text = slurp("/proc/sys/fs/dentry-state"), *field = text;
	long count;

	/* the fifth of its fields */
	for (int i = 0; i < 4; i++)
		strtol(field, &field, 10);
	count = strtol(field, NULL, 10);
	free(text);
	return count;
}

/* Looking a missing name up again costs little; creating and removing files leaves nothing. */
START_TEST(missing_names)
{
	char path[64];
	struct stat st;
	long before_;
	int i;

	ck_assert_int_eq(spew("/proc/sys/vm/drop_caches", "2"), 0);
	before_ = negative_dentries();
	for (i = 0; i < 2000; i++) {
		sprintf(path, MNT "/missing%d", i);
		ck_errno(stat(path, &st), ENOENT);
	}
	ck_assert_int_ge(negative_dentries() - before_, 1900);
	ck_assert_int_eq(spew("/proc/sys/vm/drop_caches", "2"), 0);
	wait_until(negative_dentries() - before_ < 100);

	before_ = negative_dentries();
	for (i = 0; i < 2000; i++) {
		sprintf(path, MNT "/file%d", i);
		close(new_file(path));
		ck_ok(unlink(path));
	}
	ck_assert_int_lt(negative_dentries() - before_, 100);

	/* a name that was missing can be made, and moved to */
	for (i = 0; i < 20; i++) {
		sprintf(path, MNT "/missing%d", i);
		ck_errno(stat(path, &st), ENOENT);
		if (i % 2)
			ck_ok(rename(MNT "/moved", path));
		close(new_file(i % 2 ? MNT "/moved" : path));
		ck_ok(stat(path, &st));
		ck_ok(unlink(path));
		ck_errno(stat(path, &st), ENOENT);
		if (!i)
			close(new_file(MNT "/moved"));
	}
	ck_ok(unlink(MNT "/moved"));
	ck_assert_int_eq(inodes_used(), 1);
}
END_TEST

/* Directories */

static int entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

static void numbered(char *path, int i)
{
	sprintf(path, MNT "/%d", i);
}

/* Of many entries each is seen once, with its kind and its inode; telldir finds it again. */
START_TEST(readdir_)
{
	static bool seen[2000];
	static long at[2000];
	char path[64];
	struct dirent *d;
	long begin;
	DIR *dir;
	int i, n;

	ck_assert_int_eq(cramfs_remount("nr_inodes=0"), 0);
	for (i = 0; i < 2000; i++) {
		numbered(path, i);
		if (i % 3)
			close(new_file(path));
		else
			ck_ok(mkdir(path, 0755));
	}
	dir = opendir(MNT);
	ck_assert_ptr_nonnull(dir);
	for (n = 0;; n++) {
		begin = telldir(dir);
		d = readdir(dir);
		if (!d)
			break;
		if (n < 2) {
			ck_assert_str_eq(d->d_name, n ? ".." : ".");
			continue;
		}
		i = atoi(d->d_name);
		ck_assert(!seen[i]);
		seen[i] = true;
		at[i] = begin;
		ck_assert_int_eq(d->d_type, i % 3 ? DT_REG : DT_DIR);
		numbered(path, i);
		ck_assert_uint_eq(d->d_ino, stat_of(path).st_ino);
	}
	ck_assert_int_eq(n, 2002);

	/* from any place, forward and back; also when its entry is gone */
	for (i = 1999; i >= 0; i -= 7) {
		seekdir(dir, at[i]);
		ck_assert_int_eq(atoi(readdir(dir)->d_name), i);
	}
	for (i = 1; i < 1999; i += 3) {
		numbered(path, i);
		ck_ok(unlink(path));
		seekdir(dir, at[i]);
		ck_assert_int_eq(atoi(readdir(dir)->d_name), i + 1);
	}
	rewinddir(dir);
	for (n = 0; readdir(dir); n++)
		;
	ck_assert_int_eq(n, 2002 - 666);
	closedir(dir);
}
END_TEST

/* While others come and go, those that stay are each seen exactly once. */
#define STAY 500

static void *churn(void *stop)
{
	char a[64], b[64];
	unsigned int i;

	for (i = 0; !__atomic_load_n((int *)stop, __ATOMIC_RELAXED); i++) {
		sprintf(a, MNT "/x%u", i % 300);
		sprintf(b, MNT "/y%u", i % 7);
		if (i % 5 == 4)
			rename(a, b);
		else if (i % 2)
			unlink(a);
		else
			close(open(a, O_CREAT | O_WRONLY, 0644));
	}
	return NULL;
}

START_TEST(readdir_under_churn)
{
	int stop = 0, i, round, seen[STAY];
	struct dirent *d;
	pthread_t thread;
	char path[64];
	DIR *dir;

	ck_assert_int_eq(cramfs_remount("nr_inodes=0"), 0);
	for (i = 0; i < STAY; i++) {
		numbered(path, i);
		close(new_file(path));
		sprintf(path, MNT "/x%d", i % 300);
		close(open(path, O_CREAT | O_WRONLY, 0644));
	}
	ck_assert_int_eq(pthread_create(&thread, NULL, churn, &stop), 0);
	for (round = 0; round < 40; round++) {
		memset(seen, 0, sizeof(seen));
		dir = opendir(MNT);
		ck_assert_ptr_nonnull(dir);
		while ((d = readdir(dir)))
			if (d->d_name[0] >= '0' && d->d_name[0] <= '9')
				seen[atoi(d->d_name)]++;
		closedir(dir);
		for (i = 0; i < STAY; i++)
			ck_assert_msg(seen[i] == 1, "entry %d seen %d times", i, seen[i]);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}
END_TEST

/*
 * One pass, in small steps, while 100,000 names come and go, or as many as KMK_NAMES
 * says: it shows each that stays once, and no other twice.
 */
#define COME 100000
#define BESIDE 2000

static void come_and_go(int from, int to)
{
	char path[64], other[64];
	int i;

	for (i = from; i < to; i++) {
		sprintf(path, MNT "/x%d", i);
		ck_ok(link(MNT "/0", path));
		if (i % 20 == 19) {
			sprintf(other, MNT "/y%d", i);
			ck_ok(rename(path, other));
		}
		if (i < BESIDE)
			continue;
		sprintf(path, MNT "/%c%d", (i - BESIDE) % 20 == 19 ? 'y' : 'x', i - BESIDE);
		ck_ok(unlink(path));
	}
}

START_TEST(readdir_of_many_that_come_and_go)
{
	static unsigned char seen[STAY], x[COME], y[COME];
	int fd, i, done = BESIDE, come = kmk_setting("KMK_NAMES", COME), step;
	struct dirent64 *d;
	char path[64], some[1000];
	long n, at;

	ck_assert(come > 2 * BESIDE && come <= COME);
	ck_assert_int_eq(cramfs_remount("nr_inodes=0"), 0);
	close(new_file(MNT "/0"));
	come_and_go(0, BESIDE / 2);
	for (i = 1; i < STAY; i++) {
		numbered(path, i);
		close(new_file(path));
	}
	come_and_go(BESIDE / 2, BESIDE);
	fd = ck_ok(open(MNT, O_RDONLY | O_DIRECTORY));
	step = (come - BESIDE) / 40;
	while ((n = ck_ok(syscall(SYS_getdents64, fd, some, sizeof(some)))) || done < come) {
		for (at = 0; at < n; at += d->d_reclen) {
			d = (void *)(some + at);
			if (d->d_name[0] == 'x')
				ck_assert(!x[atoi(d->d_name + 1)]++);
			else if (d->d_name[0] == 'y')
				ck_assert(!y[atoi(d->d_name + 1)]++);
			else if (d->d_name[0] != '.')
				seen[atoi(d->d_name)]++;
		}
		i = done + step < come ? done + step : come;
		come_and_go(done, i);
		done = i;
	}
	ck_ok(close(fd));
	for (i = 0; i < STAY; i++)
		ck_assert_msg(seen[i] == 1, "entry %d seen %d times", i, seen[i]);
	ck_assert_int_eq(entries(MNT), STAY + BESIDE);
}
END_TEST

/* Renaming all that one reads ends. Names keep their place in an exchange, and when replaced. */
START_TEST(readdir_and_rename)
{
	char path[300], to[300];
	struct dirent *d;
	long third;
	DIR *dir;
	int i, n;

	for (i = 0; i < 20; i++) {
		numbered(path, i);
		close(new_file(path));
	}
	dir = opendir(MNT);
	ck_assert_ptr_nonnull(dir);
	for (n = 0; (d = readdir(dir)); n++) {
		if (d->d_name[0] == '.')
			continue;
		ck_assert_int_lt(n, 30);
		sprintf(path, MNT "/%s", d->d_name);
		sprintf(to, MNT "/n%s", d->d_name);
		ck_ok(rename(path, to));
	}
	closedir(dir);
	ck_assert_int_eq(entries(MNT), 20);

	for (i = 4; i < 20; i++) {
		sprintf(path, MNT "/n%d", i);
		ck_ok(unlink(path));
	}
	dir = opendir(MNT);
	for (n = 0; n < 4; n++)
		ck_assert_ptr_nonnull(readdir(dir));
	third = telldir(dir);
	ck_ok(exchange(MNT "/n0", MNT "/n2", RENAME_EXCHANGE));
	ck_ok(rename(MNT "/n1", MNT "/n3"));
	seekdir(dir, third);
	ck_assert_str_eq(readdir(dir)->d_name, "n2");
	ck_assert_str_eq(readdir(dir)->d_name, "n3");
	ck_assert_ptr_null(readdir(dir));
	rewinddir(dir);
	readdir(dir);
	readdir(dir);
	ck_assert_str_eq(readdir(dir)->d_name, "n0");
	ck_assert_str_eq(readdir(dir)->d_name, "n2");
	ck_assert_str_eq(readdir(dir)->d_name, "n3");
	ck_assert_ptr_null(readdir(dir));
	closedir(dir);
}
END_TEST

START_TEST(removed_directory)
{
	char entries[256];
	int fd;

	ck_ok(mkdir(MNT "/d", 0755));
	fd = ck_ok(open(MNT "/d", O_RDONLY | O_DIRECTORY));
	ck_ok(rmdir(MNT "/d"));
	ck_errno(openat(fd, "x", O_CREAT | O_WRONLY, 0644), ENOENT);
	ck_errno(syscall(SYS_getdents64, fd, entries, sizeof(entries)), ENOENT);
	ck_ok(close(fd));
	ck_assert_int_eq(inodes_used(), 1);
}
END_TEST

/* Many at once in one directory: each call does what it says, and all is given back. */
static void *stir(void *arg)
{
	unsigned int seed = (long)arg, i;
	char a[64], b[64];

	for (i = 0; i < 1500; i++) {
		sprintf(a, MNT "/%s%u", rand_r(&seed) % 2 ? "d/" : "", rand_r(&seed) % 9);
		sprintf(b, MNT "/%s%u", rand_r(&seed) % 2 ? "d/" : "", rand_r(&seed) % 9);
		switch (rand_r(&seed) % 9) {
		case 0:
			rename(a, b);
			break;
		case 1:
			exchange(a, b, RENAME_EXCHANGE);
			break;
		case 2:
			exchange(a, b, RENAME_WHITEOUT);
			break;
		case 3:
			link(a, b);
			break;
		case 4:
			unlink(a);
			break;
		case 5:
			mkdir(a, 0755);
			break;
		case 6:
			rmdir(a);
			break;
		case 7:
			symlink(b, a);
			break;
		default:
			close(open(a, O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_RDWR, 0644));
		}
	}
	return NULL;
}

static void remove_all(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	char child[512];

	ck_assert_ptr_nonnull(dir);
	while ((d = readdir(dir))) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, d->d_name);
		if (d->d_type == DT_DIR)
			remove_all(child);
		ck_ok(remove(child));
	}
	closedir(dir);
}

START_TEST(names_under_load)
{
	pthread_t threads[4];
	long i;

	ck_ok(mkdir(MNT "/d", 0755));
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, stir, (void *)i), 0);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	remove_all(MNT);
	ck_assert_int_eq(inodes_used(), 1);
	ck_assert_int_eq(pages_used(), 0);
	ck_assert_int_eq(stat_of(MNT).st_nlink, 2);
	ck_assert_int_eq(entries(MNT), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ramfs_names");
	TCase *tc = tcase_create("names");

	tcase_add_checked_fixture(tc, cramfs_up, cramfs_down);
	tcase_add_test(tc, kinds);
	tcase_add_test(tc, errors);
	tcase_add_test(tc, tricks);
	tcase_add_test(tc, links);
	tcase_add_test(tc, inheritance);
	tcase_add_test(tc, set_id_dropped);
	tcase_add_test(tc, rename_plain);
	tcase_add_test(tc, rename_flags);
	tcase_add_test(tc, rename_whiteout);
	tcase_add_test(tc, tmpfile_);
	tcase_add_test(tc, times_of_attributes);
	tcase_add_test(tc, times_of_data);
	if (kernel_from(6, 13))
		tcase_add_test(tc, multigrain_times);
	else
		skip_test("multigrain_times", "times have the resolution of the clock before 6.13");
	tcase_add_test(tc, chattr);
	if (runs_32_bits())
		tcase_add_test(tc, chattr_from_32_bits);
	else
		skip_test("chattr_from_32_bits", "no program of 32 bits runs here");
	tcase_add_test(tc, missing_names);
	tcase_add_test(tc, readdir_);
	tcase_add_test(tc, readdir_under_churn);
	tcase_add_test(tc, readdir_and_rename);
	tcase_add_test(tc, removed_directory);
	tcase_add_test(tc, names_under_load);
	suite_add_tcase(suite, tc);

	tc = tcase_create("counter");
	tcase_add_checked_fixture(tc, counter_up, counter_down);
	tcase_add_test(tc, change_counter);
	suite_add_tcase(suite, tc);

	tc = tcase_create("many");
	tcase_add_checked_fixture(tc, cramfs_up, cramfs_down);
	tcase_set_timeout(tc, 250);
	tcase_add_test(tc, readdir_of_many_that_come_and_go);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
