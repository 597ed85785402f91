// SPDX-License-Identifier: GPL-2.0
/* kmk_ramfs: the module, mounting, options, remount, limits. */
#define _GNU_SOURCE
#include "ramfs.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>

static bool registered(const char *name)
{
	char line[64];

	snprintf(line, sizeof(line), "nodev\t%s\n", name);
	return file_has("/proc/filesystems", line);
}

/* The options that /proc/mounts shows, after "rw,relatime". */
static const char *shown(void)
{
	static char options[256];
	char *mounts = slurp("/proc/mounts"), *line, *end;

	line = strstr(mounts, "none " MNT " cramfs rw");
	ck_assert_msg(line, "%s", mounts);
	line = strchr(line + sizeof("none " MNT " cramfs rw") - 1, ' ') ?
	       line + sizeof("none " MNT " cramfs rw") - 1 : line;
	end = strchr(line, ' ');
	snprintf(options, sizeof(options), "%.*s", (int)(end - line), line);
	free(mounts);
	if (!strncmp(options, ",relatime", 9))
		memmove(options, options + 9, strlen(options + 9) + 1);
	return options;
}

START_TEST(load_and_unload_twice)
{
	int i;

	for (i = 0; i < 2; i++) {
		log_mark();
		ck_assert_int_eq(module_load("kmk_ramfs", ""), 0);
		ck_assert(registered("cramfs"));
		ck_assert_int_eq(log_count("kmk_ramfs: loaded, file system type \"cramfs\""), 1);
		ck_assert_int_eq(module_unload("kmk_ramfs"), 0);
		ck_assert(!registered("cramfs"));
		ck_assert_int_eq(log_count("kmk_ramfs: unloaded"), 1);
		/* and no more than these, but for what the kernel says once of any module */
		if (i)
			ck_assert_int_eq(log_count("kmk_ramfs: "), 2);
	}
}
END_TEST

START_TEST(other_type_name)
{
	ck_assert_int_eq(module_load("kmk_ramfs", "fstype=kmk-ram_2"), 0);
	ck_assert(registered("kmk-ram_2"));
	ck_assert(!registered("cramfs"));
	mkdir(MNT, 0755);
	ck_ok(mount("none", MNT, "kmk-ram_2", 0, NULL));
	ck_assert(file_has("/proc/mounts", "none " MNT " kmk-ram_2 rw"));
	ck_ok(umount2(MNT, 0));
	ck_errno(mount("none", MNT, "cramfs", 0, NULL), ENODEV);
	ck_assert_int_eq(module_unload("kmk_ramfs"), 0);
}
END_TEST

static const char *const bad_types[] = {
	"fstype=", "fstype=a.b", "fstype=a/b", "fstype=.", "fstype=\xc3\xa4",
	"fstype=\"a b\"", "fstype=12345678901234567890123456789012",
};

START_TEST(bad_type_name)
{
	log_mark();
	ck_assert_int_eq(module_load("kmk_ramfs", bad_types[_i]), -EINVAL);
	ck_assert_int_eq(log_count("kmk_ramfs: fstype= wants"), 1);
	ck_assert(!module_loaded("kmk_ramfs"));
	ck_assert(!file_has("/proc/slabinfo", "kmk_ramfs"));
}
END_TEST

/* Another file system has the name: "tmpfs" is registered in every kernel. */
START_TEST(name_collision)
{
	log_mark();
	ck_assert_int_eq(module_load("kmk_ramfs", "fstype=tmpfs"), -EBUSY);
	ck_assert_int_eq(log_count("kmk_ramfs: "), 1);
	ck_assert_int_eq(log_count("kmk_ramfs: file system type \"tmpfs\" exists already"), 1);
	ck_assert_int_eq(log_count("fstype=NAME"), 1);
	ck_assert(!module_loaded("kmk_ramfs"));
	ck_assert(!file_has("/proc/slabinfo", "kmk_ramfs"));
	ck_assert_int_eq(module_load("kmk_ramfs", ""), 0);
	ck_assert_int_eq(module_unload("kmk_ramfs"), 0);
}
END_TEST

/* "mount -t cramfs" loads the in-tree module by alias: ours must have none. */
START_TEST(no_alias)
{
	struct stat st = stat_of("/lib/kmodkit/kmk_ramfs.ko");
	int fd = ck_ok(open("/lib/kmodkit/kmk_ramfs.ko", O_RDONLY));
	char *ko = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

	ck_assert_ptr_ne(ko, MAP_FAILED);
	ck_assert_ptr_nonnull(memmem(ko, st.st_size, "license=GPL", 11));
	ck_assert_ptr_null(memmem(ko, st.st_size, "alias=", 6));
}
END_TEST

START_TEST(storage_refused)
{
	int fd;
	char text[512] = "";

	/* no driver need be behind the node: the user wants a device */
	ck_ok(mknod("/tmp/blockdev", S_IFBLK | 0600, makedev(7, 0)));
	ck_ok(symlink("/tmp/blockdev", "/tmp/blocklink"));
	mkdir(MNT, 0755);
	ck_errno(mount("/tmp/blockdev", MNT, "cramfs", 0, NULL), EINVAL);
	ck_errno(mount("/tmp/blocklink", MNT, "cramfs", MS_RDONLY, NULL), EINVAL);
	ck_assert(!file_has("/proc/mounts", MNT));

	fd = ck_ok(syscall(SYS_fsopen, "cramfs", 0));
	ck_ok(syscall(SYS_fsconfig, fd, FSCONFIG_SET_STRING, "source", "/tmp/blockdev", 0));
	ck_errno(syscall(SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0), EINVAL);
	ck_ok(read(fd, text, sizeof(text) - 1));
	ck_assert_msg(strstr(text, "/tmp/blockdev is a storage device"), "%s", text);
	close(fd);

	/* nor MTD, which the compressed cramfs mounts by these names */
	ck_errno(mount("mtd0", MNT, "cramfs", 0, NULL), EINVAL);
	ck_errno(mount("mtd:rootfs", MNT, "cramfs", 0, NULL), EINVAL);

	/* anything else is only a name */
	ck_ok(mount("/tmp", MNT, "cramfs", 0, NULL));
	ck_ok(umount2(MNT, 0));
	ck_ok(mount("mtdata", MNT, "cramfs", 0, NULL));
	ck_ok(umount2(MNT, 0));
	ck_ok(unlink("/tmp/blockdev"));
	ck_ok(unlink("/tmp/blocklink"));
}
END_TEST

START_TEST(defaults)
{
	unsigned long long ram;
	struct statvfs st;
	struct statfs fs;
	struct stat root;
	struct sysinfo si;

	ck_ok(sysinfo(&si));
	ram = (unsigned long long)si.totalram * si.mem_unit / PAGE;
	ck_assert_int_eq(cramfs_mount(NULL), 0);
	st = cramfs_df();
	ck_assert_uint_eq(st.f_bsize, PAGE);
	ck_assert_uint_eq(st.f_blocks, ram / 2);
	ck_assert_uint_eq(st.f_bfree, ram / 2);
	ck_assert_uint_eq(st.f_files, ram / 2);
	ck_assert_uint_eq(st.f_ffree, ram / 2 - 1);
	ck_assert_uint_eq(st.f_namemax, 255);
	ck_assert_uint_ne(st.f_fsid, 0);
	ck_ok(statfs(MNT, &fs));
	ck_assert_uint_eq((__u32)fs.f_type, 0x858458f6);
	root = stat_of(MNT);
	ck_assert_int_eq(root.st_mode, S_IFDIR | 0755);
	ck_assert_int_eq(root.st_uid, 0);
	ck_assert_int_eq(root.st_gid, 0);
	ck_assert_int_eq(root.st_nlink, 2);
	ck_assert_str_eq(shown(), "");
	ck_assert_int_eq(cramfs_umount(), 0);
}
END_TEST

static const struct {
	const char *given, *shown;
	unsigned long long blocks, files;
} good_options[] = {
	{ "size=1", ",size=4k", 1, 0 },
	{ "size=4096", ",size=4k", 1, 0 },
	{ "size=4097", ",size=8k", 2, 0 },
	{ "size=12k", ",size=12k", 3, 0 },
	{ "size=2M", ",size=2048k", 512, 0 },
	{ "size=1g", ",size=1048576k", 262144, 0 },
	{ "size=0", ",size=0", -1ULL, 0 },
	{ "size=50%", "", 0, 0 },
	{ "size=8k,size=16k", ",size=16k", 4, 0 },
	{ "size=2T", ",size=2147483648k", 1ULL << 29, 0 },
	{ "size=2p", ",size=2199023255552k", 1ULL << 39, 0 },
	{ "size=7e", ",size=7881299347898368k", 7ULL << 48, 0 },
	{ "nr_blocks=3", ",size=12k", 3, 0 },
	{ "nr_blocks=2k", ",size=8192k", 2048, 0 },
	{ "nr_blocks=0", ",size=0", -1ULL, 0 },
	{ "nr_blocks=2251799813685247", ",size=9007199254740988k", (1ULL << 51) - 1, 0 },
	{ "size=8k,nr_blocks=4", ",size=16k", 4, 0 },
	{ "nr_blocks=4,size=8k", ",size=8k", 2, 0 },
	{ "nr_inodes=7", ",nr_inodes=7", 0, 7 },
	{ "nr_inodes=2k", ",nr_inodes=2048", 0, 2048 },
	{ "nr_inodes=3t", ",nr_inodes=3298534883328", 0, 3ULL << 40 },
	{ "nr_inodes=0", ",nr_inodes=0", 0, -1ULL },
	{ "mode=1777", ",mode=1777", 0, 0 },
	{ "mode=755", "", 0, 0 },
	{ "mode=0", ",mode=0", 0, 0 },
	{ "uid=12,gid=34", ",uid=12,gid=34", 0, 0 },
	{ "uid=0,gid=0", "", 0, 0 },
	{ "debug", ",debug", 0, 0 },
	{ "noswap", "", 0, 0 },
	{ "mpol=default", "", 0, 0 },
	{ "huge=never", ",huge=never", 0, 0 },
	{ "rw,nr_blocks=1g,nr_inodes=1m,mode=1777,huge=never,mpol=default,noswap",
	  ",size=4294967296k,nr_inodes=1048576,mode=1777,huge=never", 1 << 30, 1 << 20 },
	{ "size=1m,nr_inodes=9,mode=700,uid=1,gid=2,debug",
	  ",size=1024k,nr_inodes=9,mode=700,uid=1,gid=2,debug", 256, 9 },
};

START_TEST(options)
{
	unsigned int mode = 0755, uid = 0, gid = 0;
	const char *word;
	struct statvfs st;
	struct stat root;

	ck_assert_int_eq(cramfs_mount(good_options[_i].given), 0);
	ck_assert_str_eq(shown(), good_options[_i].shown);
	st = cramfs_df();
	if (good_options[_i].blocks)
		ck_assert_uint_eq(st.f_blocks, good_options[_i].blocks == -1ULL ? 0 :
				  good_options[_i].blocks);
	if (good_options[_i].files)
		ck_assert_uint_eq(st.f_files, good_options[_i].files == -1ULL ? 0 :
				  good_options[_i].files);
	root = stat_of(MNT);
	word = strstr(good_options[_i].given, "mode=");
	if (word)
		sscanf(word, "mode=%o", &mode);
	word = strstr(good_options[_i].given, "uid=");
	if (word)
		sscanf(word, "uid=%u", &uid);
	word = strstr(good_options[_i].given, "gid=");
	if (word)
		sscanf(word, "gid=%u", &gid);
	ck_assert_uint_eq(root.st_mode, S_IFDIR | mode);
	ck_assert_uint_eq(root.st_uid, uid);
	ck_assert_uint_eq(root.st_gid, gid);

	/* what is shown can be given back: mount(8) does so in a remount */
	ck_assert_int_eq(cramfs_remount(shown()[0] ? shown() + 1 : NULL), 0);
	ck_assert_str_eq(shown(), good_options[_i].shown);
	ck_assert_int_eq(cramfs_umount(), 0);
}
END_TEST

static const struct {
	const char *key, *value, *says;
} bad_options[] = {
	{ "size", "", "size" },
	{ "size", "x", "size=x: not a size" },
	{ "size", "-1", "size=-1: not a size" },
	{ "size", "+1", "size=+1: not a size" },
	{ "size", " 1", "size= 1: not a size" },
	{ "size", "1 ", "size=1 : not a size" },
	{ "size", "0x10", "size=0x10: not a size" },
	{ "size", "1z", "size=1z: not a size" },
	{ "size", "8e", "size=8e: not a size" },
	{ "size", "16777216t", "size=16777216t: not a size" },
	{ "size", "1tb", "size=1tb: not a size" },
	{ "size", "1kk", "size=1kk: not a size" },
	{ "size", "1.5m", "size=1.5m: not a size" },
	{ "size", "%", "size=%: not a size" },
	{ "size", "5%k", "size=5%k: not a size" },
	{ "size", "k", "size=k: not a size" },
	{ "size", "18446744073709551616", "size=18446744073709551616: not a size" },
	{ "size", "18446744073709551615", "size=18446744073709551615: not a size" },
	{ "size", "9223372036854775807", "size=9223372036854775807: not a size" },
	{ "size", "99999999999g", "size=99999999999g: not a size" },
	{ "size", "99999999999999%", "size=99999999999999%: not a size" },
	{ "size", "00000000000000000000000000000001", "not a size" },
	{ "size", NULL, "size" },
	{ "nr_blocks", "", "nr_blocks" },
	{ "nr_blocks", "x", "nr_blocks=x: not a number" },
	{ "nr_blocks", "50%", "nr_blocks=50%: not a number" },
	{ "nr_blocks", "2251799813685248", "nr_blocks=2251799813685248: not a number" },
	{ "nr_inodes", "", "nr_inodes" },
	{ "nr_inodes", "-1", "nr_inodes=-1: not a number" },
	{ "nr_inodes", "10%", "nr_inodes=10%: not a number" },
	{ "nr_inodes", "9223372036854775807", "nr_inodes=9223372036854775807: not a number" },
	{ "mode", "10000", "mode=10000: not a mode" },
	{ "mode", "8", "mode" },
	{ "mode", "", "mode" },
	{ "mode", "rwx", "mode" },
	{ "uid", "-1", "uid" },
	{ "uid", "4294967295", "uid=4294967295: no such user" },
	{ "uid", "root", "uid" },
	{ "gid", "4294967295", "gid=4294967295: no such group" },
	{ "gid", "4294967296", "gid" },
	{ "debug", "1", "debug" },
	{ "inode32", "1", "inode32" },
	{ "inode64", "1", "inode64" },
	{ "noswap", "1", "noswap" },
	{ "huge", "", "huge" },
	{ "huge", NULL, "huge" },
	{ "huge", "always", "huge=always: not supported, only huge=never" },
	{ "huge", "within_size", "huge=within_size: not supported" },
	{ "huge", "advise", "huge=advise: not supported" },
	{ "mpol", "", "mpol" },
	{ "mpol", "local", "mpol=local: not supported, only mpol=default" },
	{ "mpol", "bind:0", "mpol=bind:0: not supported" },
	{ "nonsense", "1", "nonsense" },
	{ "Size", "1", "Size" },
	{ "quota", NULL, "quota" },
};

/* Refused by name, when it is given alone, and nothing is mounted. */
START_TEST(options_refused)
{
	const char *key = bad_options[_i].key, *value = bad_options[_i].value;
	int mfd, fd = ck_ok(syscall(SYS_fsopen, "cramfs", FSOPEN_CLOEXEC));
	char text[512] = "", all[256];

	ck_errno(syscall(SYS_fsconfig, fd, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG,
			 key, value, 0), EINVAL);
	ck_ok(read(fd, text, sizeof(text) - 1));
	ck_assert_msg(text[0] == 'e' && strstr(text, bad_options[_i].says), "%s", text);

	/* whoever goes on gets the defaults */
	mkdir(MNT, 0755);
	ck_ok(syscall(SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	mfd = ck_ok(syscall(SYS_fsmount, fd, 0, 0));
	ck_ok(syscall(SYS_move_mount, mfd, "", AT_FDCWD, MNT, MOVE_MOUNT_F_EMPTY_PATH));
	ck_assert_str_eq(shown(), "");
	close(mfd);
	close(fd);
	ck_assert_int_eq(cramfs_umount(), 0);

	snprintf(all, sizeof(all), "size=8k,%s%s%s,nr_inodes=4", key, value ? "=" : "",
		 value ?: "");
	ck_assert_int_eq(cramfs_mount(all), -EINVAL);
	ck_assert(!file_has("/proc/mounts", MNT));

	/* a remount refuses it just as well, and changes nothing */
	ck_assert_int_eq(cramfs_mount("size=16k"), 0);
	ck_assert_int_eq(cramfs_remount(all), -EINVAL);
	ck_assert_str_eq(shown(), ",size=16k");
	ck_assert_uint_eq(cramfs_df().f_blocks, 4);
	ck_assert_int_eq(cramfs_umount(), 0);
}
END_TEST

/* Where the kernel's numbers have 32 bits, inode32 is the default, and inode64 refused. */
START_TEST(inode_numbers)
{
	bool wide = sizeof(long) > 4;

	ck_assert_int_eq(cramfs_mount("inode64"), wide ? 0 : -EINVAL);
	if (wide) {
		ck_assert_str_eq(shown(), "");
		ck_assert_int_eq(cramfs_remount("inode64"), 0);
		ck_assert_int_eq(cramfs_remount("inode32"), -EINVAL);
		ck_assert_int_eq(cramfs_umount(), 0);
	}
	ck_assert_int_eq(cramfs_mount("inode64,inode32"), wide ? 0 : -EINVAL);
	if (!wide)
		ck_assert_int_eq(cramfs_mount("inode32"), 0);
	ck_assert_str_eq(shown(), wide ? ",inode32" : "");
	ck_assert_int_eq(cramfs_remount("inode32"), 0);
	ck_assert_int_eq(cramfs_remount("inode64"), -EINVAL);
	ck_assert_int_eq(cramfs_remount("size=8k"), 0);
	ck_assert_str_eq(shown(), wide ? ",size=8k,inode32" : ",size=8k");
	ck_assert_int_eq(cramfs_umount(), 0);
}
END_TEST

#define TRACEFS "/sys/kernel/tracing"

static void trace(const char *enable)
{
	mkdir(TRACEFS, 0700);
	mount("none", TRACEFS, "tracefs", 0, NULL);
	ck_assert_int_eq(spew(TRACEFS "/events/kmk_ramfs/enable", enable), 0);
}

/* However many pages are written at once, each is a folio of its own. */
START_TEST(huge_never)
{
	char data[32 * PAGE] = "", *text, *line;
	int fd, folios = 0;

	ck_assert_int_eq(cramfs_mount("huge=never"), 0);
	trace("1");
	fd = new_file(MNT "/f");
	ck_assert_int_eq(write(fd, data, sizeof(data)), sizeof(data));
	ck_ok(fallocate(fd, 0, sizeof(data), sizeof(data)));
	ck_ok(close(fd));
	trace("0");
	text = slurp(TRACEFS "/trace");
	for (line = text; (line = strstr(line, "cramfs_insert: ")); line++)
		folios++;
	free(text);
	ck_assert_int_eq(folios, 64);
	ck_assert_int_eq(spew(TRACEFS "/trace", " "), 0);
	ck_ok(umount2(TRACEFS, MNT_DETACH));
	ck_assert_int_eq(cramfs_umount(), 0);
}
END_TEST

/* Remount with key=value by fspick + fsconfig: 0 or -errno, and the messages in @text. */
static int try_remount(const char *key, const char *value, char *text, size_t size)
{
	int fd = ck_ok(syscall(SYS_fspick, AT_FDCWD, MNT, FSPICK_CLOEXEC));
	int err = 0;
	ssize_t n;

	if (syscall(SYS_fsconfig, fd, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value,
		    0) || syscall(SYS_fsconfig, fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0))
		err = -errno;
	n = read(fd, text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	close(fd);
	return err;
}

START_TEST(remount)
{
	char text[512], data[5 * PAGE] = "data";
	int fd, i;

	ck_assert_int_eq(cramfs_mount("size=40k,nr_inodes=10,mode=750"), 0);
	fd = new_file(MNT "/f");
	ck_assert_int_eq(write(fd, data, sizeof(data)), sizeof(data));
	for (i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), MNT "/%d", i);
		close(new_file(text));
	}
	ck_assert_int_eq(pages_used(), 5);
	ck_assert_int_eq(inodes_used(), 5);

	/* to what is used, and no further down */
	ck_assert_int_eq(try_remount("size", "20k", text, sizeof(text)), 0);
	ck_assert_uint_eq(cramfs_df().f_blocks, 5);
	ck_assert_uint_eq(cramfs_df().f_bfree, 0);
	ck_assert_int_eq(try_remount("size", "16k", text, sizeof(text)), -EINVAL);
	ck_assert_msg(strstr(text, "size= is below the 20 KiB in use"), "%s", text);
	ck_assert_int_eq(try_remount("nr_inodes", "5", text, sizeof(text)), 0);
	ck_assert_uint_eq(cramfs_df().f_ffree, 0);
	ck_assert_int_eq(try_remount("nr_inodes", "4", text, sizeof(text)), -EINVAL);
	ck_assert_msg(strstr(text, "nr_inodes= is below the 5 in use"), "%s", text);
	ck_assert_str_eq(shown(), ",size=20k,nr_inodes=5,mode=750");
	ck_errno(open(MNT "/more", O_CREAT | O_RDWR, 0644), ENOSPC);

	/* one of two refused: neither is changed */
	ck_assert_int_eq(cramfs_remount("size=80k,nr_inodes=4"), -EINVAL);
	ck_assert_int_eq(cramfs_remount("size=16k,nr_inodes=8"), -EINVAL);
	ck_assert_str_eq(shown(), ",size=20k,nr_inodes=5,mode=750");
	ck_assert_int_eq(cramfs_remount("size=40k"), 0);
	ck_assert_int_eq(cramfs_remount("size=24k,nr_inodes=4"), -EINVAL);
	ck_assert_str_eq(shown(), ",size=40k,nr_inodes=5,mode=750");
	ck_assert_int_eq(pages_used(), 5);

	/* up, without a limit, and back */
	ck_assert_int_eq(cramfs_remount("size=0,nr_inodes=0"), 0);
	ck_assert_str_eq(shown(), ",size=0,nr_inodes=0,mode=750");
	ck_assert_uint_eq(cramfs_df().f_blocks, 0);
	ck_assert_int_eq(pwrite(fd, data, sizeof(data), 40 * PAGE), sizeof(data));
	ck_assert_int_eq(cramfs_remount("size=36k"), -EINVAL);
	ck_assert_int_eq(cramfs_remount("size=40k,nr_inodes=6"), 0);
	ck_assert_int_eq(pages_used(), 10);
	ck_assert_int_eq(inodes_used(), 5);

	/* what a remount cannot change, it refuses by name */
	ck_assert_int_eq(try_remount("mode", "700", text, sizeof(text)), -EINVAL);
	ck_assert_msg(strstr(text, "mode="), "%s", text);
	ck_assert_int_eq(try_remount("uid", "1", text, sizeof(text)), -EINVAL);
	ck_assert_msg(strstr(text, "uid="), "%s", text);
	ck_assert_int_eq(try_remount("gid", "1", text, sizeof(text)), -EINVAL);
	ck_assert_msg(strstr(text, "gid="), "%s", text);
	ck_assert_int_eq(try_remount("debug", NULL, text, sizeof(text)), -EINVAL);
	ck_assert_msg(strstr(text, "debug"), "%s", text);
	ck_assert_int_eq(try_remount("huge", "never", text, sizeof(text)), -EINVAL);
	ck_assert_msg(strstr(text, "huge="), "%s", text);
	ck_assert_int_eq(try_remount("nr_blocks", "9", text, sizeof(text)), -EINVAL);
	ck_assert_msg(strstr(text, "size= is below"), "%s", text);
	ck_assert_int_eq(try_remount("nr_blocks", "10", text, sizeof(text)), 0);
	ck_assert_int_eq(try_remount("mode", "750", text, sizeof(text)), 0);
	ck_assert_int_eq(try_remount("noswap", NULL, text, sizeof(text)), 0);
	ck_assert_str_eq(shown(), ",size=40k,nr_inodes=6,mode=750");

	/* read-only and back */
	ck_ok(close(fd));
	ck_ok(mount("none", MNT, "cramfs", MS_REMOUNT | MS_RDONLY, NULL));
	ck_errno(open(MNT "/more", O_CREAT | O_RDWR, 0644), EROFS);
	ck_ok(mount("none", MNT, "cramfs", MS_REMOUNT, NULL));
	close(new_file(MNT "/more"));
	ck_assert_int_eq(cramfs_umount(), 0);
}
END_TEST

START_TEST(two_mounts)
{
	ck_assert_int_eq(cramfs_mount("size=8k"), 0);
	ck_assert_int_eq(cramfs_mount_at("/tmp/second", "size=16k"), 0);
	ck_assert_int_eq(spew(MNT "/x", ""), -ENOENT);
	close(new_file(MNT "/x"));
	ck_assert_int_eq(spew(MNT "/x", "one"), 0);
	ck_assert(!exists("/tmp/second/x"));
	close(new_file("/tmp/second/x"));
	ck_assert_int_eq(spew("/tmp/second/x", "two"), 0);
	ck_assert(file_has(MNT "/x", "one"));
	ck_assert_uint_eq(cramfs_df().f_blocks, 2);
	ck_assert_uint_ne(stat_of(MNT).st_dev, stat_of("/tmp/second").st_dev);
	ck_errno(link(MNT "/x", "/tmp/second/y"), EXDEV);
	ck_assert_int_eq(module_unload("kmk_ramfs"), -EAGAIN);
	ck_ok(umount2("/tmp/second", 0));
	ck_assert_int_eq(module_unload("kmk_ramfs"), -EAGAIN);
	ck_assert_int_eq(cramfs_umount(), 0);

	/* and each mount begins empty */
	ck_assert_int_eq(cramfs_mount("size=8k"), 0);
	ck_assert(!exists(MNT "/x"));
	ck_assert_int_eq(pages_used(), 0);
	ck_assert_int_eq(cramfs_umount(), 0);
}
END_TEST

START_TEST(unmount_while_open)
{
	char text[8] = "";
	int fd;

	ck_assert_int_eq(cramfs_mount(TEST_OPTIONS), 0);
	fd = new_file(MNT "/open");
	ck_assert_int_eq(write(fd, "hello", 5), 5);
	ck_assert_int_eq(cramfs_umount(), -EBUSY);
	ck_assert_int_eq(module_unload("kmk_ramfs"), -EAGAIN);

	/* lazily: gone from the tree, alive until the last close */
	ck_ok(umount2(MNT, MNT_DETACH));
	ck_assert(!file_has("/proc/mounts", MNT));
	ck_assert(!exists(MNT "/open"));
	ck_assert_int_eq(module_unload("kmk_ramfs"), -EAGAIN);
	ck_assert_int_eq(pwrite(fd, "J", 1, 0), 1);
	ck_assert_int_eq(pread(fd, text, sizeof(text), 0), 5);
	ck_assert_str_eq(text, "Jello");
	ck_ok(close(fd));
	wait_until(module_unload("kmk_ramfs") == 0);
	ck_assert(!file_has("/proc/slabinfo", "kmk_ramfs"));
	ck_assert_int_eq(module_load("kmk_ramfs", ""), 0);
}
END_TEST

/* A context that was opened and never mounted holds the module, and frees what it has. */
START_TEST(abandoned_context)
{
	int fd = ck_ok(syscall(SYS_fsopen, "cramfs", FSOPEN_CLOEXEC));

	ck_ok(syscall(SYS_fsconfig, fd, FSCONFIG_SET_STRING, "size", "1m", 0));
	ck_assert_int_eq(module_unload("kmk_ramfs"), -EAGAIN);
	ck_ok(close(fd));
	ck_assert_int_eq(module_unload("kmk_ramfs"), 0);
	ck_assert_int_eq(module_load("kmk_ramfs", ""), 0);
}
END_TEST

/* Limits */

START_TEST(size_limit)
{
	char data[70 * PAGE];
	struct stat st;
	int fd;

	memset(data, 'x', sizeof(data));
	fd = new_file(MNT "/f");
	/* one write beyond the limit stores what fits, the next says why */
	ck_assert_int_eq(write(fd, data, sizeof(data)), 64 * PAGE);
	ck_errno(write(fd, data, 1), ENOSPC);
	ck_assert_int_eq(pages_used(), 64);
	ck_ok(fstat(fd, &st));
	ck_assert_int_eq(st.st_size, 64 * PAGE);
	ck_assert_int_eq(st.st_blocks, 64 * PAGE / 512);

	/* what was written stays, and can be overwritten */
	memset(data, 0, sizeof(data));
	ck_assert_int_eq(pread(fd, data, sizeof(data), 0), 64 * PAGE);
	ck_assert_ptr_null(memchr(data, 0, 64 * PAGE));
	ck_assert_int_eq(pwrite(fd, "y", 1, 5), 1);
	ck_errno(pwrite(fd, "y", 1, 100 * PAGE), ENOSPC);
	ck_ok(fstat(fd, &st));
	ck_assert_int_eq(st.st_size, 64 * PAGE);

	/* a page freed is a page to use, exactly one */
	ck_ok(ftruncate(fd, 63 * PAGE + 1));
	ck_errno(pwrite(fd, "y", 1, 64 * PAGE), ENOSPC);
	ck_ok(ftruncate(fd, 63 * PAGE));
	ck_assert_int_eq(pages_used(), 63);
	ck_assert_int_eq(pwrite(fd, data, 2 * PAGE, 100 * PAGE - 1), 1);
	ck_assert_int_eq(pages_used(), 64);
	ck_ok(close(fd));
	ck_ok(unlink(MNT "/f"));
	ck_assert_int_eq(pages_used(), 0);
}
END_TEST

START_TEST(inode_limit)
{
	struct statvfs before = cramfs_df();
	char path[64];
	int i;

	ck_assert_uint_eq(before.f_files - before.f_ffree, 1);
	for (i = 0; i < 31; i++) {
		snprintf(path, sizeof(path), MNT "/%d", i);
		close(new_file(path));
	}
	ck_assert_uint_eq(cramfs_df().f_ffree, 0);
	ck_errno(open(MNT "/more", O_CREAT | O_RDWR, 0644), ENOSPC);
	ck_errno(mkdir(MNT "/more", 0755), ENOSPC);
	ck_errno(symlink("x", MNT "/more"), ENOSPC);
	ck_errno(mknod(MNT "/more", S_IFIFO, 0), ENOSPC);
	ck_errno(link(MNT "/0", MNT "/more"), ENOSPC);
	ck_errno(open(MNT, O_TMPFILE | O_RDWR, 0644), ENOSPC);
	ck_assert(!exists(MNT "/more"));

	/* a second name costs as much as an inode; removing either gives it back */
	ck_ok(unlink(MNT "/1"));
	ck_ok(link(MNT "/0", MNT "/more"));
	ck_assert_uint_eq(cramfs_df().f_ffree, 0);
	ck_ok(unlink(MNT "/0"));
	ck_assert_uint_eq(cramfs_df().f_ffree, 1);
	ck_ok(rename(MNT "/2", MNT "/more"));
	ck_assert_uint_eq(cramfs_df().f_ffree, 2);
	ck_ok(unlink(MNT "/more"));
	for (i = 3; i < 31; i++) {
		snprintf(path, sizeof(path), MNT "/%d", i);
		ck_ok(unlink(path));
	}
	ck_assert_uint_eq(cramfs_df().f_ffree, before.f_ffree);
}
END_TEST

static long memory_of(const char *field)
{
	char *text = slurp("/proc/meminfo"), *line = strstr(text, field);
	long kib;

	ck_assert_ptr_nonnull(line);
	kib = strtol(line + strlen(field), NULL, 10);
	free(text);
	return kib;
}

/* Names pin their inodes: what these take is not to be had by reclaim. */
START_TEST(inodes_are_unreclaimable)
{
	const int files = 20000;
	long long reclaimable, unreclaimable, names;
	char path[64];
	int i;

	/* a name is a dentry, whose slab all file systems share; some of it lies idle */
	names = files * slurp_number("/sys/kernel/slab/dentry/slab_size") * 3 / 2;
	ck_assert_int_eq(cramfs_remount("nr_inodes=0"), 0);
	ck_assert_int_eq(spew("/proc/sys/vm/drop_caches", "2"), 0);
	reclaimable = memory_of("SReclaimable:");
	unreclaimable = memory_of("SUnreclaim:");
	for (i = 0; i < files; i++) {
		sprintf(path, MNT "/%d", i);
		close(new_file(path));
	}
	ck_assert_int_eq(spew("/proc/sys/vm/drop_caches", "2"), 0);
	reclaimable = memory_of("SReclaimable:") - reclaimable;
	unreclaimable = memory_of("SUnreclaim:") - unreclaimable;
	ck_assert_int_lt(reclaimable, names / 1024);
	ck_assert_int_gt(unreclaimable, files * 400 / 1024);
}
END_TEST

START_TEST(symlink_accounting)
{
	char target[4096], got[4096];
	size_t in_inode = sizeof(long) == 8 ? 56 : 48;
	size_t lengths[] = { 1, 30, in_inode - 1, in_inode, 57, 255, 1000, 4095 }, i;

	memset(target, 't', sizeof(target));
	for (i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		target[lengths[i]] = '\0';
		ck_ok(symlink(target, MNT "/l"));
		ck_assert_int_eq(readlink(MNT "/l", got, sizeof(got)), lengths[i]);
		ck_assert_mem_eq(got, target, lengths[i]);
		ck_assert_int_eq(stat_of(MNT "/l").st_size, lengths[i]);
		ck_assert_int_eq(stat_of(MNT "/l").st_blocks * 512, pages_used() * PAGE);
		ck_assert_int_eq(pages_used(), lengths[i] < in_inode ? 0 : 1);
		ck_ok(unlink(MNT "/l"));
		ck_assert_int_eq(pages_used(), 0);
		target[lengths[i]] = 't';
	}
	ck_assert_int_eq(cramfs_remount("size=4k"), 0);
	target[100] = '\0';
	ck_ok(symlink(target, MNT "/l"));
	ck_errno(symlink(target, MNT "/m"), ENOSPC);
	ck_assert_int_eq(inodes_used(), 2);
	ck_ok(symlink("short", MNT "/m"));
}
END_TEST

/* Writers race to the limit: all pages are used, not one more, and each byte is whose it was. */
#define WRITERS 4

static void *fill(void *arg)
{
	long id = (long)arg, n = 0;
	char path[64], page[PAGE];
	int fd, files = 0;
	ssize_t got;

	memset(page, 'a' + id, sizeof(page));
	for (;;) {
		snprintf(path, sizeof(path), MNT "/w%ld.%d", id, files++);
		fd = open(path, O_CREAT | O_WRONLY, 0644);
		ck_assert_int_ge(fd, 0);
		do {
			/* of sizes from 1 page to 8 */
			struct iovec { void *p; size_t n; } v[8];
			int k, parts = 1 + (n % 8);

			for (k = 0; k < parts; k++) {
				v[k].p = page;
				v[k].n = PAGE;
			}
			got = syscall(SYS_writev, fd, v, parts);
			if (got > 0)
				n += got / PAGE;
		} while (got > 0 && n % 37);
		close(fd);
		if (got < 0)
			return errno == ENOSPC ? (void *)n : (void *)-1L;
	}
}

START_TEST(writers_race_to_the_limit)
{
	pthread_t threads[WRITERS];
	long long total = 0, on_disk = 0;
	char path[64], page[PAGE], want[PAGE];
	long id, n;
	void *wrote;
	int round, i, fd;

	ck_assert_int_eq(cramfs_remount("size=4000k,nr_inodes=0"), 0);
	for (round = 0; round < 3; round++) {
		total = 0;
		on_disk = 0;
		for (id = 0; id < WRITERS; id++)
			ck_assert_int_eq(pthread_create(&threads[id], NULL, fill, (void *)id), 0);
		for (id = 0; id < WRITERS; id++) {
			pthread_join(threads[id], &wrote);
			ck_assert_int_ge((long)wrote, 0);
			total += (long)wrote;
		}
		ck_assert_int_eq(total, 1000);
		ck_assert_int_eq(pages_used(), 1000);

		for (id = 0; id < WRITERS; id++) {
			for (i = 0;; i++) {
				snprintf(path, sizeof(path), MNT "/w%ld.%d", id, i);
				fd = open(path, O_RDONLY);
				if (fd < 0)
					break;
				while ((n = read(fd, page, sizeof(page))) > 0) {
					ck_assert_int_eq(n, PAGE);
					memset(want, 'a' + id, sizeof(want));
					ck_assert(!memcmp(page, want, sizeof(want)));
					on_disk++;
				}
				close(fd);
				ck_ok(unlink(path));
			}
		}
		ck_assert_int_eq(on_disk, 1000);
		ck_assert_int_eq(pages_used(), 0);
	}
}
END_TEST

/*
 * The same by all that takes pages, in one file each: fallocate(), a map, attributes,
 * and long symbolic links. Each stops when there is nothing left for it.
 */
static void *reserve(void *arg)
{
	int fd = new_file(MNT "/reserved");
	off_t at = 0;

	(void)arg;
	while (!fallocate(fd, FALLOC_FL_KEEP_SIZE, at, 3 * PAGE))
		at += 3 * PAGE;
	ck_assert_int_eq(errno, ENOSPC);
	while (!fallocate(fd, 0, at, PAGE))
		at += PAGE;
	ck_assert_int_eq(errno, ENOSPC);
	close(fd);
	return NULL;
}

static void *map(void *arg)
{
	int fd = new_file(MNT "/mapped"), i;
	char *page;

	(void)arg;
	ck_ok(ftruncate(fd, 2000 * PAGE));
	page = mmap(NULL, 2000 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	/* by the kernel, which answers EFAULT where a touch would be SIGBUS */
	for (i = 0; pread(fd, page + i * PAGE, 1, 2000 * PAGE - 1) == 1; i++)
		;
	ck_assert_int_eq(errno, EFAULT);
	ck_ok(munmap(page, 2000 * PAGE));
	close(fd);
	return NULL;
}

static void *attribute(void *arg)
{
	static char value[20 * PAGE];
	char name[64];
	int i, k;

	(void)arg;
	for (i = 0;; i++) {
		snprintf(name, sizeof(name), MNT "/attributes%d", i);
		close(new_file(name));
		for (k = 1; k < 16; k++)
			if (setxattr(name, "user.x", value, k * PAGE, 0)) {
				ck_assert_int_eq(errno, ENOSPC);
				return NULL;
			}
	}
}

static void *link_far(void *arg)
{
	char target[200], name[64];
	int i;

	(void)arg;
	memset(target, 't', sizeof(target));
	target[sizeof(target) - 1] = '\0';
	for (i = 0;; i++) {
		snprintf(name, sizeof(name), MNT "/link%d", i);
		if (symlink(target, name)) {
			ck_assert_int_eq(errno, ENOSPC);
			return NULL;
		}
	}
}

START_TEST(all_race_to_the_limit)
{
	static void *(*const takers[])(void *arg) = { reserve, map, attribute, link_far };
	struct statvfs before;
	pthread_t threads[4];
	unsigned int i, round;
	long long blocks;
	struct dirent *d;
	char path[300];
	DIR *dir;

	ck_assert_int_eq(cramfs_remount("size=4000k,nr_inodes=0"), 0);
	before = cramfs_df();
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 4; i++)
			ck_assert_int_eq(pthread_create(&threads[i], NULL, takers[i], NULL), 0);
		for (i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		ck_assert_int_eq(pages_used(), 1000);
		blocks = 0;
		dir = opendir(MNT);
		ck_assert_ptr_nonnull(dir);
		while ((d = readdir(dir))) {
			if (d->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), MNT "/%s", d->d_name);
			blocks += stat_of(path).st_blocks;
			ck_ok(unlink(path));
		}
		closedir(dir);
		ck_assert_int_eq(blocks, 1000 * PAGE / 512);
		ck_assert_uint_eq(cramfs_df().f_bfree, before.f_bfree);
	}
}
END_TEST

static void *make_files(void *arg)
{
	long id = (long)arg, n;
	char path[64];
	int fd;

	for (n = 0;; n++) {
		snprintf(path, sizeof(path), MNT "/%ld.%ld", id, n);
		fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0644);
		if (fd < 0)
			return errno == ENOSPC ? (void *)n : (void *)-1L;
		close(fd);
	}
}

START_TEST(creators_race_to_the_limit)
{
	pthread_t threads[WRITERS];
	long id, n, total = 0;
	char path[64];
	void *made;

	ck_assert_int_eq(cramfs_remount("nr_inodes=1001"), 0);
	for (id = 0; id < WRITERS; id++)
		ck_assert_int_eq(pthread_create(&threads[id], NULL, make_files, (void *)id), 0);
	for (id = 0; id < WRITERS; id++) {
		pthread_join(threads[id], &made);
		ck_assert_int_ge((long)made, 0);
		total += (long)made;
		for (n = 0; n < (long)made; n++) {
			snprintf(path, sizeof(path), MNT "/%ld.%ld", id, n);
			ck_assert(exists(path));
		}
	}
	ck_assert_int_eq(total, 1000);
	ck_assert_uint_eq(cramfs_df().f_ffree, 0);
	for (id = 0; id < WRITERS; id++)
		for (n = 0;; n++) {
			snprintf(path, sizeof(path), MNT "/%ld.%ld", id, n);
			if (unlink(path))
				break;
		}
	ck_assert_int_eq(inodes_used(), 1);
}
END_TEST

/* A remount to below what is used never wins against a writer. */
static void *resize(void *stop)
{
	while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED)) {
		cramfs_remount("size=40k");
		cramfs_remount("size=4000k");
	}
	return NULL;
}

START_TEST(remount_under_writers)
{
	char data[64 * PAGE] = "";
	struct statvfs st;
	pthread_t thread;
	int stop = 0, i, fd = new_file(MNT "/f");

	ck_assert_int_eq(pthread_create(&thread, NULL, resize, &stop), 0);
	for (i = 0; i < 300; i++) {
		pwrite(fd, data, sizeof(data), 0);
		st = cramfs_df();
		ck_assert_uint_le(st.f_bfree, st.f_blocks);
		ck_ok(ftruncate(fd, 0));
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ck_ok(close(fd));
	ck_assert_int_eq(pages_used(), 0);
	ck_assert_uint_eq(cramfs_df().f_blocks, 1000);
}
END_TEST

static void *refuse_resizes(void *stop)
{
	while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED))
		ck_assert_int_eq(cramfs_remount("size=40k,nr_inodes=2"), -EINVAL);
	return NULL;
}

/* A remount that is refused for the inodes takes no pages, not even for a moment. */
START_TEST(writers_beside_refused_remounts)
{
	char data[64 * PAGE] = "";
	pthread_t thread;
	int stop = 0, i, fd = new_file(MNT "/f");

	ck_ok(close(new_file(MNT "/g")));
	ck_assert_int_eq(pthread_create(&thread, NULL, refuse_resizes, &stop), 0);
	for (i = 0; i < 3000; i++) {
		ck_assert_int_eq(pwrite(fd, data, sizeof(data), 0), sizeof(data));
		ck_ok(ftruncate(fd, 0));
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ck_ok(close(fd));
}
END_TEST

/*
 * Threads that use all pages and all inodes at once, again and again: no call fails while there
 * is room, whichever CPU has it, and each fails when there is none.
 */
#define SHARE 300

static pthread_barrier_t all_are_there;

static void *use_share(void *arg)
{
	long id = (long)arg;
	char path[64];
	int round, i, fd;

	snprintf(path, sizeof(path), MNT "/%ld", id);
	ck_ok(mkdir(path, 0755));
	for (round = 0; round < 10; round++) {
		for (i = 0; i < SHARE; i++) {
			snprintf(path, sizeof(path), MNT "/%ld/%d", id, i);
			fd = new_file(path);
			ck_assert_int_eq(write(fd, path, sizeof(path)), sizeof(path));
			if (i == SHARE - 1)
				break;
			ck_ok(close(fd));
		}
		pthread_barrier_wait(&all_are_there);
		ck_assert_int_eq(pages_used(), WRITERS * SHARE);
		ck_assert_uint_eq(cramfs_df().f_ffree, 0);
		ck_errno(pwrite(fd, path, 1, PAGE), ENOSPC);
		ck_errno(open(MNT, O_TMPFILE | O_RDWR, 0644), ENOSPC);
		ck_ok(close(fd));
		pthread_barrier_wait(&all_are_there);
		for (i = 0; i < SHARE; i++) {
			snprintf(path, sizeof(path), MNT "/%ld/%d", id, i);
			ck_ok(unlink(path));
		}
	}
	return NULL;
}

START_TEST(shares_add_up_to_the_limit)
{
	pthread_t threads[WRITERS];
	char options[64];
	long id;

	snprintf(options, sizeof(options), "size=%dk,nr_inodes=%d", WRITERS * SHARE * PAGE / 1024,
		 1 + WRITERS * (SHARE + 1));
	ck_assert_int_eq(cramfs_remount(options), 0);
	pthread_barrier_init(&all_are_there, NULL, WRITERS);
	for (id = 0; id < WRITERS; id++)
		ck_assert_int_eq(pthread_create(&threads[id], NULL, use_share, (void *)id), 0);
	for (id = 0; id < WRITERS; id++)
		pthread_join(threads[id], NULL);
	pthread_barrier_destroy(&all_are_there);
	ck_assert_int_eq(pages_used(), 0);
	ck_assert_int_eq(inodes_used(), 1 + WRITERS);
}
END_TEST

/* Another CPU can have the credit that one CPU took, also when that one is offline. */
#define CPU1_ONLINE "/sys/devices/system/cpu/cpu1/online"
#define NO_CPU1 "no second processor that can go offline"

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	ck_ok(sched_setaffinity(0, sizeof(set), &set));
}

/* Files, each with one page, until there is no room. */
static int fill_up(const char *name)
{
	char path[64];
	int fd, n;

	for (n = 0;; n++) {
		snprintf(path, sizeof(path), MNT "/%s%d", name, n);
		fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0644);
		if (fd < 0)
			break;
		ck_assert_int_eq(write(fd, "x", 1), 1);
		ck_ok(close(fd));
	}
	ck_assert_int_eq(errno, ENOSPC);
	return n;
}

START_TEST(credit_of_other_cpus)
{
	int offline;

	for (offline = 0; offline < 2; offline++) {
		ck_assert_int_eq(cramfs_remount("size=4000k,nr_inodes=1001"), 0);
		run_on(1);
		close(new_file(MNT "/f"));
		ck_assert_int_eq(spew(MNT "/f", "x"), 0);
		run_on(0);
		if (offline)
			ck_assert_int_eq(spew(CPU1_ONLINE, "0"), 0);
		ck_assert_int_eq(pages_used(), 1);
		ck_assert_int_eq(inodes_used(), 2);
		ck_assert_int_eq(fill_up("a"), 999);
		ck_assert_uint_eq(cramfs_df().f_bfree, 0);
		ck_assert_uint_eq(cramfs_df().f_ffree, 0);
		if (offline)
			ck_assert_int_eq(spew(CPU1_ONLINE, "1"), 0);

		/* freed on one CPU */
		run_on(1);
		ck_ok(unlink(MNT "/f"));
		run_on(0);
		ck_assert_int_eq(fill_up("b"), 1);
		ck_ok(umount2(MNT, 0));
		ck_assert_int_eq(cramfs_mount(TEST_OPTIONS), 0);
	}
}
END_TEST

/* A remount counts it too. */
START_TEST(remount_finds_credit)
{
	int cpu;

	ck_assert_int_eq(cramfs_remount("size=4000k,nr_inodes=1001"), 0);
	for (cpu = 0; cpu < 2; cpu++) {
		run_on(cpu);
		ck_ok(mkdir(cpu ? MNT "/1" : MNT "/0", 0755));
		close(new_file(cpu ? MNT "/1/f" : MNT "/0/f"));
		ck_assert_int_eq(spew(cpu ? MNT "/1/f" : MNT "/0/f", "x"), 0);
	}
	ck_assert_int_eq(cramfs_remount("size=4k"), -EINVAL);
	ck_assert_int_eq(cramfs_remount("nr_inodes=4"), -EINVAL);
	ck_assert_int_eq(pages_used(), 2);
	ck_assert_int_eq(inodes_used(), 5);
	ck_assert_int_eq(cramfs_remount("size=8k,nr_inodes=5"), 0);
	ck_assert_uint_eq(cramfs_df().f_bfree, 0);
	ck_assert_uint_eq(cramfs_df().f_ffree, 0);
	ck_errno(mkdir(MNT "/2", 0755), ENOSPC);
}
END_TEST

/* Mounts, writes and unmounts on two processors while the module is asked to go. */
static void *mount_loop(void *arg)
{
	char where[64], file[80];
	long i;

	snprintf(where, sizeof(where), "/tmp/loop%ld", (long)arg);
	snprintf(file, sizeof(file), "%s/file", where);
	for (i = 0; i < 100; i++) {
		int fd, err = cramfs_mount_at(where, "size=1m");

		if (err == -ENODEV)
			continue;
		ck_assert_int_eq(err, 0);
		fd = new_file(file);
		ck_assert_int_eq(write(fd, file, sizeof(file)), sizeof(file));
		ck_ok(umount2(where, MNT_DETACH));
		close(fd);
	}
	return NULL;
}

START_TEST(unload_under_load)
{
	pthread_t threads[2];
	int i, unloaded = 0;

	for (i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, mount_loop, (void *)(long)i), 0);
	for (i = 0; i < 200; i++) {
		int err = module_unload("kmk_ramfs");

		ck_assert(err == 0 || err == -EAGAIN || err == -EBUSY);
		if (!err) {
			unloaded++;
			ck_assert_int_eq(module_load("kmk_ramfs", ""), 0);
		}
	}
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	wait_until(module_unload("kmk_ramfs") == 0);
	ck_assert_int_eq(module_load("kmk_ramfs", ""), 0);
}
END_TEST

/* The counters of a mount with debug, of one without, and after it. */
#define DEBUGFS "/sys/kernel/debug"

START_TEST(debug_counters)
{
	char dir[100], path[200];
	struct stat st;
	int fd;

	mkdir(DEBUGFS, 0700);
	mount("none", DEBUGFS, "debugfs", 0, NULL);
	st = stat_of(MNT);
	snprintf(dir, sizeof(dir), DEBUGFS "/kmk_ramfs/%u:%u", major(st.st_dev), minor(st.st_dev));
	ck_assert(exists(DEBUGFS "/kmk_ramfs"));
	ck_assert(!exists(dir));
	ck_assert_int_eq(cramfs_umount(), 0);

	ck_assert_int_eq(cramfs_mount("debug,size=1m"), 0);
	st = stat_of(MNT);
	snprintf(dir, sizeof(dir), DEBUGFS "/kmk_ramfs/%u:%u", major(st.st_dev), minor(st.st_dev));
	fd = new_file(MNT "/f");
	ck_assert_int_eq(pwrite(fd, dir, 1, 10 * PAGE), 1);
	ck_assert_int_eq(pwrite(fd, dir, 1, 20 * PAGE), 1);
	ck_ok(ftruncate(fd, 15 * PAGE));
	ck_ok(close(fd));
	snprintf(path, sizeof(path), "%s/pages", dir);
	ck_assert_int_eq(slurp_number(path), 1);
	snprintf(path, sizeof(path), "%s/pages_high", dir);
	ck_assert_int_eq(slurp_number(path), 2);
	ck_assert_int_eq(cramfs_remount("size=20k"), 0);
	ck_assert_int_eq(slurp_number(path), 2);
	ck_ok(unlink(MNT "/f"));
	snprintf(path, sizeof(path), "%s/inodes", dir);
	ck_assert_int_eq(slurp_number(path), 1);
	fd = ck_ok(open(path, O_RDONLY));
	snprintf(path, sizeof(path), "%s/inodes_high", dir);
	ck_assert_int_eq(slurp_number(path), 2);
	ck_assert_int_eq(cramfs_umount(), 0);
	ck_assert(!exists(dir));
	ck_errno(read(fd, path, 10), EIO);
	close(fd);
	ck_assert_int_eq(module_unload("kmk_ramfs"), 0);
	ck_assert(!exists(DEBUGFS "/kmk_ramfs"));
	ck_assert_int_eq(module_load("kmk_ramfs", ""), 0);
}
END_TEST

START_TEST(tracepoints)
{
	int fd;

	trace("1");
	fd = new_file(MNT "/f");
	ck_assert_int_eq(pwrite(fd, "x", 1, 7 * PAGE), 1);
	ck_ok(ftruncate(fd, 0));
	ck_ok(close(fd));
	ck_ok(unlink(MNT "/f"));
	trace("0");
	ck_assert(file_has(TRACEFS "/trace", "cramfs_new_inode: "));
	ck_assert(file_has(TRACEFS "/trace", "index 7 pages 1"));
	ck_assert(file_has(TRACEFS "/trace", "cramfs_remove: "));
	ck_assert(file_has(TRACEFS "/trace", "cramfs_evict_inode: "));
	ck_assert_int_eq(spew(TRACEFS "/trace", " "), 0);
	ck_ok(umount2(TRACEFS, MNT_DETACH));
}
END_TEST

static void unload(void)
{
	if (module_loaded("kmk_ramfs"))
		module_unload("kmk_ramfs");
}

int main(void)
{
	Suite *suite = suite_create("ramfs");
	TCase *tc = tcase_create("module");

	tcase_add_checked_fixture(tc, unload, NULL);
	tcase_add_test(tc, load_and_unload_twice);
	tcase_add_test(tc, other_type_name);
	tcase_add_loop_test(tc, bad_type_name, 0, sizeof(bad_types) / sizeof(*bad_types));
	tcase_add_test(tc, name_collision);
	tcase_add_test(tc, no_alias);
	suite_add_tcase(suite, tc);

	tc = tcase_create("mount");
	tcase_add_checked_fixture(tc, cramfs_load, cramfs_down);
	tcase_add_test(tc, storage_refused);
	tcase_add_test(tc, defaults);
	tcase_add_loop_test(tc, options, 0, sizeof(good_options) / sizeof(*good_options));
	tcase_add_loop_test(tc, options_refused, 0, sizeof(bad_options) / sizeof(*bad_options));
	tcase_add_test(tc, inode_numbers);
	tcase_add_test(tc, huge_never);
	tcase_add_test(tc, remount);
	tcase_add_test(tc, two_mounts);
	tcase_add_test(tc, unmount_while_open);
	tcase_add_test(tc, abandoned_context);
	tcase_add_test(tc, unload_under_load);
	suite_add_tcase(suite, tc);

	tc = tcase_create("limits");
	tcase_add_checked_fixture(tc, cramfs_up, cramfs_down);
	tcase_add_test(tc, size_limit);
	tcase_add_test(tc, inode_limit);
	tcase_add_test(tc, inodes_are_unreclaimable);
	tcase_add_test(tc, symlink_accounting);
	tcase_add_test(tc, writers_race_to_the_limit);
	tcase_add_test(tc, all_race_to_the_limit);
	tcase_add_test(tc, creators_race_to_the_limit);
	tcase_add_test(tc, remount_under_writers);
	tcase_add_test(tc, writers_beside_refused_remounts);
	tcase_add_test(tc, shares_add_up_to_the_limit);
	if (!exists(CPU1_ONLINE)) {
		skip_test("credit_of_other_cpus", NO_CPU1);
		skip_test("remount_finds_credit", NO_CPU1);
	} else {
		tcase_add_test(tc, credit_of_other_cpus);
		tcase_add_test(tc, remount_finds_credit);
	}
	tcase_add_test(tc, debug_counters);
	tcase_add_test(tc, tracepoints);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
