// SPDX-License-Identifier: GPL-2.0
/* kmk_ramfs: a cramfs below overlayfs, as the layer that is read and the one written. */
#define _GNU_SOURCE
#include "ramfs.h"

#include <ftw.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define MERGED "/tmp/merged"
#define LOWER MNT "/lower"
#define UPPER MNT "/upper"
#define OVERLAY_OPTIONS "redirect_dir=on,lowerdir=" LOWER ",upperdir=" UPPER ",workdir=" MNT "/work"

static void overlay_mount(void)
{
	ck_ok(mount("overlay", MERGED, "overlay", 0, OVERLAY_OPTIONS));
}

static void up(void)
{
	/* that of a test that failed */
	umount2(MERGED, MNT_DETACH);
	cramfs_up();
	ck_assert_int_eq(cramfs_remount("size=1m,nr_inodes=1000"), 0);
	ck_ok(mkdir(LOWER, 0755));
	ck_ok(mkdir(UPPER, 0755));
	ck_ok(mkdir(MNT "/work", 0755));
	mkdir(MERGED, 0755);

	close(new_file(LOWER "/file"));
	ck_assert_int_eq(spew(LOWER "/file", "below"), 0);
	ck_ok(chmod(LOWER "/file", 0640));
	ck_ok(setxattr(LOWER "/file", "user.a", "value", 5, 0));
	ck_ok(mkdir(LOWER "/dir", 0750));
	close(new_file(LOWER "/dir/inside"));
	overlay_mount();
}

static int remove_one(const char *path, const struct stat *, int, struct FTW *ftw)
{
	return ftw->level ? remove(path) : 0;
}

/* Nothing of what overlayfs made, and hid, stays behind. */
static void down(void)
{
	ck_ok(umount2(MERGED, 0));
	ck_ok(nftw(MNT, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT));
	wait_until(inodes_used() == 1 && pages_used() == 0);
	cramfs_down();
}

static bool is_whiteout(const char *path)
{
	struct stat st = stat_of(path);

	return S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0);
}

static void append(const char *path, const char *text)
{
	int fd = ck_ok(open(path, O_WRONLY | O_APPEND));

	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

START_TEST(copy_up)
{
	char value[200];

	append(MERGED "/file", "+above");
	ck_assert(file_has(MERGED "/file", "below+above"));
	ck_assert(file_has(UPPER "/file", "below+above"));
	ck_assert_int_eq(stat_of(LOWER "/file").st_size, 5);
	ck_assert_int_eq(stat_of(UPPER "/file").st_mode & 0777, 0640);
	ck_assert_int_eq(getxattr(UPPER "/file", "user.a", value, sizeof(value)), 5);
	ck_assert_mem_eq(value, "value", 5);
	/* it knows by a file handle where the copy came from */
	ck_assert_int_gt(getxattr(UPPER "/file", "trusted.overlay.origin", value,
				  sizeof(value)), 0);
}
END_TEST

START_TEST(new_names)
{
	close(new_file(MERGED "/new"));
	ck_ok(setxattr(MERGED "/new", "user.b", "b", 1, 0));
	ck_ok(mkdir(MERGED "/dir/new", 0755));
	ck_ok(symlink("new", MERGED "/link"));
	ck_ok(link(MERGED "/new", MERGED "/second"));
	ck_assert_int_eq(stat_of(UPPER "/new").st_nlink, 2);
	ck_assert_int_eq(getxattr(UPPER "/second", "user.b", NULL, 0), 1);
	ck_assert(S_ISDIR(stat_of(UPPER "/dir/new").st_mode));
	ck_assert(S_ISLNK(stat_of(UPPER "/link").st_mode));
	ck_assert(!exists(LOWER "/new"));
	ck_assert(exists(MERGED "/dir/inside"));
}
END_TEST

START_TEST(whiteout)
{
	char value[2] = "";

	ck_ok(unlink(MERGED "/file"));
	ck_assert(is_whiteout(UPPER "/file"));
	ck_errno(open(MERGED "/file", O_RDONLY), ENOENT);
	ck_assert(file_has(LOWER "/file", "below"));
	close(new_file(MERGED "/file"));
	ck_assert_int_eq(stat_of(MERGED "/file").st_size, 0);
	ck_assert(S_ISREG(stat_of(UPPER "/file").st_mode));

	/* a new directory in the place of one shows nothing of that */
	ck_ok(unlink(MERGED "/dir/inside"));
	ck_ok(rmdir(MERGED "/dir"));
	ck_assert(is_whiteout(UPPER "/dir"));
	ck_ok(mkdir(MERGED "/dir", 0755));
	ck_assert_int_eq(getxattr(UPPER "/dir", "trusted.overlay.opaque", value, 1), 1);
	ck_assert_str_eq(value, "y");
	ck_assert(!exists(MERGED "/dir/inside"));
	ck_assert(exists(LOWER "/dir/inside"));
}
END_TEST

START_TEST(rename_leaves_whiteout)
{
	char value[16] = "";

	ck_ok(rename(MERGED "/file", MERGED "/moved"));
	ck_assert(is_whiteout(UPPER "/file"));
	ck_assert(file_has(UPPER "/moved", "below"));

	ck_ok(rename(MERGED "/dir", MERGED "/other"));
	ck_assert(is_whiteout(UPPER "/dir"));
	ck_assert_int_eq(getxattr(UPPER "/other", "trusted.overlay.redirect", value,
				  sizeof(value) - 1), 3);
	ck_assert_str_eq(value, "dir");
	ck_assert(exists(MERGED "/other/inside"));
	ck_assert(!exists(UPPER "/other/inside"));

	/* and all of it is there again in the next mount */
	ck_ok(umount2(MERGED, 0));
	overlay_mount();
	ck_assert(!exists(MERGED "/file"));
	ck_assert(!exists(MERGED "/dir"));
	ck_assert(file_has(MERGED "/moved", "below"));
	ck_assert(exists(MERGED "/other/inside"));
}
END_TEST

/* Two lower layers and an upper one, each a mount of @type. */
#define LAYERS "/tmp/layers"
#define JOINED "/tmp/joined"
#define LOWER_LAYERS "index=on,lowerdir=" LAYERS "/one:" LAYERS "/two"
#define UPPER_LAYER "upperdir=" LAYERS "/top/upper,workdir=" LAYERS "/top/work"

static const char *const layers[] = { LAYERS "/one", LAYERS "/two", LAYERS "/top" };

static void join(void)
{
	ck_ok(mount("overlay", JOINED, "overlay", 0, LOWER_LAYERS "," UPPER_LAYER));
}

/* How often an inode number changed: with a copy to the upper layer, or in the next mount. */
static int changed_numbers(const char *type)
{
	static const char *const files[] = {
		JOINED "/in_one", JOINED "/in_two", JOINED "/dir/in_dir"
	};
	ino_t numbers[3];
	int i, changed = 0;

	mkdir(LAYERS, 0755);
	mkdir(JOINED, 0755);
	for (i = 0; i < 3; i++) {
		mkdir(layers[i], 0755);
		ck_ok(mount("none", layers[i], type, 0, NULL));
	}
	close(new_file(LAYERS "/one/in_one"));
	close(new_file(LAYERS "/two/in_two"));
	ck_ok(mkdir(LAYERS "/two/dir", 0755));
	close(new_file(LAYERS "/two/dir/in_dir"));
	ck_ok(mkdir(LAYERS "/top/upper", 0755));
	ck_ok(mkdir(LAYERS "/top/work", 0755));

	join();
	for (i = 0; i < 3; i++) {
		numbers[i] = stat_of(files[i]).st_ino;
		append(files[i], "above");
		changed += stat_of(files[i]).st_ino != numbers[i];
	}
	ck_ok(umount2(JOINED, 0));
	join();
	for (i = 0; i < 3; i++)
		changed += stat_of(files[i]).st_ino != numbers[i];
	ck_ok(umount2(JOINED, 0));
	for (i = 0; i < 3; i++)
		ck_ok(umount2(layers[i], 0));
	return changed;
}

static void clear_layers(void)
{
	umount2(JOINED, MNT_DETACH);
	for (int i = 0; i < 3; i++)
		umount2(layers[i], MNT_DETACH);
	cramfs_load();
}

/* As over tmpfs, whatever the kernel makes of it. */
START_TEST(two_lower_layers)
{
	int on_tmpfs = changed_numbers("tmpfs");

	log_mark();
	ck_assert_int_eq(changed_numbers("cramfs"), on_tmpfs);
	ck_assert_int_eq(log_count("falling back"), 0);
}
END_TEST

static bool has_overlayfs(void)
{
	if (system("modprobe overlay 2>/dev/null"))
		return file_has("/proc/filesystems", "\toverlay\n");
	return true;
}

int main(void)
{
	Suite *suite = suite_create("ramfs_overlay");
	TCase *tc = tcase_create("overlay");

	tcase_add_checked_fixture(tc, up, down);
	if (has_overlayfs()) {
		tcase_add_test(tc, copy_up);
		tcase_add_test(tc, new_names);
		tcase_add_test(tc, whiteout);
		tcase_add_test(tc, rename_leaves_whiteout);
	} else {
		skip_test("overlay", "the kernel has no overlayfs");
	}
	suite_add_tcase(suite, tc);

	tc = tcase_create("layers");
	tcase_add_checked_fixture(tc, clear_layers, cramfs_down);
	if (has_overlayfs())
		tcase_add_test(tc, two_lower_layers);
	else
		skip_test("two_lower_layers", "the kernel has no overlayfs");
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
