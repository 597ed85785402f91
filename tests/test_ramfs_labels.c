// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_ramfs: the label that a security module gives each new file.
 *
 * Smack gives every file the label of the process that makes it, and forgets
 * nothing on its way; it needs a kernel that has it, booted with lsm=smack.
 */
#define _GNU_SOURCE
#include "ramfs.h"

#include <sys/xattr.h>

#define ATTRIBUTE "security.SMACK64"
#define LABEL "Kmodkit"
#define FILE_ MNT "/file"

static void label_up(void)
{
	cramfs_up();
	ck_assert_int_eq(spew("/proc/self/attr/current", LABEL), 0);
}

static void ck_labelled(const char *path)
{
	char label[64];

	ck_assert_int_eq(lgetxattr(path, ATTRIBUTE, label, sizeof(label)), strlen(LABEL));
	ck_assert_mem_eq(label, LABEL, strlen(LABEL));
}

/* Each way to make a file. */

static void make_file(void)
{
	ck_ok(close(new_file(FILE_)));
}

static void make_directory(void)
{
	ck_ok(mkdir(FILE_, 0755));
}

static void make_link(void)
{
	ck_ok(symlink("target", FILE_));
}

static void make_fifo(void)
{
	ck_ok(mkfifo(FILE_, 0644));
}

static void make_unnamed(void)
{
	int fd = ck_ok(open(MNT, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644));
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ck_ok(linkat(AT_FDCWD, path, AT_FDCWD, FILE_, AT_SYMLINK_FOLLOW));
	ck_ok(close(fd));
}

static void (* const makers[])(void) = {
	make_file, make_directory, make_link, make_fifo, make_unnamed,
};

START_TEST(each_kind)
{
	long long pages = pages_used();

	makers[_i]();
	ck_labelled(FILE_);
	/* a label is an attribute: charged as one, and given back with the file */
	ck_assert_int_eq(stat_of(FILE_).st_blocks, PAGE / 512);
	ck_assert_int_eq(pages_used(), pages + 1);
	ck_ok(remove(FILE_));
	wait_until(pages_used() == pages);
}
END_TEST

START_TEST(listed)
{
	char names[64];

	make_file();
	ck_assert_int_eq(listxattr(FILE_, names, sizeof(names)), sizeof(ATTRIBUTE));
	ck_assert_str_eq(names, ATTRIBUTE);
}
END_TEST

START_TEST(renamed)
{
	make_file();
	ck_ok(rename(FILE_, MNT "/other"));
	ck_labelled(MNT "/other");
}
END_TEST

/* Without room for its label there is no file, rather than one that has none. */
START_TEST(no_room)
{
	long long inodes;

	ck_assert_int_eq(cramfs_remount("size=4k"), 0);
	make_file();
	inodes = inodes_used();
	ck_errno(mkdir(MNT "/second", 0755), ENOSPC);
	ck_errno(symlink("target", MNT "/second"), ENOSPC);
	ck_errno(open(MNT "/second", O_CREAT | O_WRONLY | O_CLOEXEC, 0644), ENOSPC);
	ck_errno(open(MNT, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644), ENOSPC);
	ck_assert(!exists(MNT "/second"));
	ck_assert_int_eq(inodes_used(), inodes);
	ck_ok(remove(FILE_));
	wait_until(pages_used() == 0);
	makers[0]();
	ck_labelled(FILE_);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ramfs_labels");
	TCase *tc = tcase_create("labels");

	tcase_add_checked_fixture(tc, label_up, cramfs_down);
	tcase_set_timeout(tc, 60);
	if (exists("/sys/fs/smackfs")) {
		tcase_add_loop_test(tc, each_kind, 0, sizeof(makers) / sizeof(*makers));
		tcase_add_test(tc, listed);
		tcase_add_test(tc, renamed);
		tcase_add_test(tc, no_room);
	} else {
		skip_test("labels", "this kernel has no Smack");
	}
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
