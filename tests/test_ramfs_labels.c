// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_ramfs: the label that a security module gives each new file.
 *
 * Smack gives every file the label of the process that makes it; SELinux has to
 * be told by a policy, tests/selinux.conf. They need a kernel that has the one or
 * the other, booted with lsm=smack,selinux.
 */
#define _GNU_SOURCE
#include "ramfs.h"

#include <sys/xattr.h>

#define SMACK "/sys/fs/smackfs"
#define SELINUX "/sys/fs/selinux"
#define POLICY "/tests/selinux.policy"
#define FILE_ MNT "/file"

static const char *attribute;
static const char *label;
static size_t label_size;	/* as the module tells it */

static void use_smack(void)
{
	attribute = "security.SMACK64";
	label = "Kmodkit";
	label_size = strlen(label);
	ck_assert_int_eq(spew("/proc/self/attr/current", label), 0);
}

/* A policy is taken in one write. */
static void use_selinux(void)
{
	char policy[4096];
	int fd = ck_ok(open(POLICY, O_RDONLY | O_CLOEXEC));
	ssize_t size = ck_ok(read(fd, policy, sizeof(policy)));

	close(fd);
	attribute = "security.selinux";
	label = "kernel_u:object_r:kmodkit_t";
	label_size = strlen(label) + 1;
	mount("none", SELINUX, "selinuxfs", 0, NULL);
	fd = ck_ok(open(SELINUX "/load", O_WRONLY | O_CLOEXEC));
	ck_assert_int_eq(write(fd, policy, size), size);
	close(fd);
}

static void label_up(void)
{
	if (exists(SMACK))
		use_smack();
	else
		use_selinux();
	cramfs_up();
}

static void ck_labelled(const char *path)
{
	char is[64];

	ck_assert_int_eq(lgetxattr(path, attribute, is, sizeof(is)), label_size);
	ck_assert_mem_eq(is, label, label_size);
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
	ck_assert_int_eq(listxattr(FILE_, names, sizeof(names)), strlen(attribute) + 1);
	ck_assert_str_eq(names, attribute);
}
END_TEST

/*
 * listxattr() looks whether its caller may see trusted attributes, and leaves nothing in the
 * log: where the caller may not, each call would be a denial there. setxattr() is audited.
 */
START_TEST(listed_without_audit)
{
	char names[64];

	make_file();
	ck_assert_int_eq(spew("/proc/sys/kernel/printk_ratelimit", "0"), 0);
	log_mark();
	ck_ok(prctl(PR_SET_NAME, "lister"));
	ck_ok(listxattr(FILE_, names, sizeof(names)));
	ck_ok(prctl(PR_SET_NAME, "setter"));
	ck_ok(setxattr(FILE_, "trusted.a", "", 0, 0));
	/* records are logged in order, by a thread */
	wait_until(log_count("comm=\"setter\""));
	ck_assert_int_eq(log_count("comm=\"lister\""), 0);
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
	if (exists(SMACK) || exists(SELINUX)) {
		tcase_add_loop_test(tc, each_kind, 0, sizeof(makers) / sizeof(*makers));
		tcase_add_test(tc, listed);
		if (exists(SMACK))
			skip_test("listed_without_audit", "Smack audits no capability");
		else
			tcase_add_test(tc, listed_without_audit);
		tcase_add_test(tc, renamed);
		tcase_add_test(tc, no_room);
	} else {
		skip_test("labels", "this kernel has neither Smack nor SELinux");
	}
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
