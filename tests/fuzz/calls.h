/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fuzzer's table: each system call that enters a module, and what its
 * arguments may be, as data. A new call is a line of calls[]. A list may grow only at
 * its end: the stored programs have the numbers of what is in it.
 */
#ifndef CALLS_H
#define CALLS_H

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/mount.h>
#include <linux/stat.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <kmodkit/echo.h>
#include <kmodkit/mempool.h>
#include <kmodkit/irq_events.h>
#include <kmodkit/syscall_ext.h>

#include "call.h"

/* Programs keep to one group, and what is for every file. */
enum group {
	ECHO, FIFO, IRQ, MEMPOOL, PROC, SYSCALL_EXT, RAMFS, LOAD, FAULT, GROUPS,
	ANY,
};

static const char * const group_names[GROUPS] = {
	"echo", "fifo", "irq", "mempool", "proc", "syscall_ext", "ramfs", "load", "fault",
};

/* The modules, each with the same parameters whatever a program gave them. */
static const struct {
	const char *name, *parameters;
} modules[] = {
	{ "kmk_echo", "capacity=5000" }, { "kmk_irq", "irq=-1 ring_size=10" },
	{ "kmk_mempool", "" }, { "kmk_minimal", "" }, { "kmk_proc", "max_entries=5" },
	{ "kmk_ramfs", "" }, { "kmk_syscall", "" },
};

/* The one with the planted fault, if it is there. */
#define FAULT_MODULE	"kmk_fault"

NUMBERS(open_flags, O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_NONBLOCK, O_RDWR | O_NONBLOCK,
	O_RDWR | O_APPEND | O_NONBLOCK, O_RDWR | O_TRUNC, O_PATH, 3);
NUMBERS(file_flags, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_NONBLOCK, O_DIRECTORY, O_NOFOLLOW,
	O_DIRECT, O_SYNC, O_TMPFILE, O_PATH, O_NOATIME);
NUMBERS(modes, 0, 0644, 0777, 07777, S_IFIFO | 0600, S_IFCHR | 0600, S_IFBLK | 0600,
	S_IFSOCK | 0600, S_IFREG | 0600, S_IFDIR | 0700);
NUMBERS(at_flags, AT_SYMLINK_NOFOLLOW, AT_REMOVEDIR, AT_EMPTY_PATH, AT_SYMLINK_FOLLOW);
NUMBERS(whence, SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE, 5);
NUMBERS(rwf, 1, 2, 4, 8, 0x10, 0x20, 0x40);
NUMBERS(prots, PROT_READ, PROT_WRITE, PROT_EXEC);
NUMBERS(map_flags, MAP_SHARED | MAP_FIXED, MAP_SHARED | MAP_FIXED, MAP_PRIVATE | MAP_FIXED,
	MAP_SHARED_VALIDATE | MAP_FIXED, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
	MAP_SHARED | MAP_FIXED | MAP_LOCKED);
NUMBERS(map_sizes, 0, 1, 0x1000, 0x2000, 0x3000, 0x10000, 0x200000);
NUMBERS(sizes, 0, 1, 2, 3, 16, 24, 31, 32, 33, 63, 64, 100, 255, 256, 1023, 1024, 1025, 4095, 4096,
	4097, 8192, 16384, 65535, 65536);
NUMBERS(offsets, 0, 0, 1, 100, 4095, 4096, 4097, 8192, 12288, 16384, 65536, 1 << 20, 1ULL << 31,
	1ULL << 32, INT64_MAX - 4096, INT64_MAX, -1, -4096);
NUMBERS(advice, 0, 1, 2, 3, 4, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23);
NUMBERS(fallocate_modes, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, 4, 8, FALLOC_FL_ZERO_RANGE,
	0x20, 0x40);
NUMBERS(setfl, 0, O_NONBLOCK, O_APPEND, O_ASYNC, O_NONBLOCK | O_ASYNC, O_DIRECT);
NUMBERS(poll_events, POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP, POLLRDNORM, POLLWRNORM);
NUMBERS(epoll_ops, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, 4);
NUMBERS(epoll_events, EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE);
NUMBERS(timeouts, 0, 0, 1, 5);
NUMBERS(ioctls, ECHO_IOC_NOP, ECHO_IOC_CLEAR, ECHO_IOC_GET_STATS, MEMPOOL_IOC_ALLOC,
	MEMPOOL_IOC_FREE, MEMPOOL_IOC_QUERY, MEMPOOL_IOC_STATS, CUSTOM_SYSCALL,
	CUSTOM_SYSCALL_BATCH, FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_GETVERSION, FIBMAP,
	0x5421 /* FIONBIO */, 0x541b /* FIONREAD */, 0x5452 /* FIOASYNC */, 0, -1);
NUMBERS(handles, 0, 0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x1001, -4096, INT64_MAX, 1ULL << 63);
NUMBERS(operations, 0, 1, 2, 3, 4, 5, 6, 1ULL << 32 | 1, -1);
/* Versions of each command: its size is part of the number. */
NUMBERS(calls_of_sizes, CUSTOM_SYSCALL, _IOC(3, CUSTOM_SYSCALL_MAGIC, 0, 0),
	_IOC(3, CUSTOM_SYSCALL_MAGIC, 0, 31), _IOC(3, CUSTOM_SYSCALL_MAGIC, 0, 40),
	_IOC(3, CUSTOM_SYSCALL_MAGIC, 0, 4096), _IOC(3, CUSTOM_SYSCALL_MAGIC, 0, 4104));
NUMBERS(batches_of_sizes, CUSTOM_SYSCALL_BATCH, CUSTOM_SYSCALL_BATCH,
	_IOC(1, CUSTOM_SYSCALL_MAGIC, 1, 23), _IOC(1, CUSTOM_SYSCALL_MAGIC, 1, 32),
	_IOC(1, CUSTOM_SYSCALL_MAGIC, 1, 4104));
NUMBERS(irq_clocks_of_sizes, IRQ_EVENTS_IOC_SET_CLOCK, IRQ_EVENTS_IOC_SET_CLOCK,
	_IOC(1, IRQ_EVENTS_IOC_MAGIC, 0, 7), _IOC(1, IRQ_EVENTS_IOC_MAGIC, 0, 16));
NUMBERS(irq_progress_of_sizes, IRQ_EVENTS_IOC_GET_PROGRESS, IRQ_EVENTS_IOC_GET_PROGRESS,
	_IOC(2, IRQ_EVENTS_IOC_MAGIC, 1, 23), _IOC(2, IRQ_EVENTS_IOC_MAGIC, 1, 4096));
NUMBERS(irq_clocks, 0, 1, 7, 2, -1);
NUMBERS(counts, 0, 1, 2, 3, 10, 100, 4096, 4097, -1);
NUMBERS(elements, 0, 31, 32, 32, 32, 33, 40, 4096, 4097, -1);
NUMBERS(mount_flags, MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_SYNCHRONOUS,
	MS_DIRSYNC, MS_NOATIME, MS_SILENT, MS_LAZYTIME);
NUMBERS(remount_flags, MS_REMOUNT, MS_REMOUNT | MS_RDONLY, MS_REMOUNT | MS_BIND,
	MS_REMOUNT | MS_BIND | MS_RDONLY, MS_BIND);
NUMBERS(umount_flags, 0, MNT_FORCE, MNT_DETACH, MNT_EXPIRE);
NUMBERS(config_commands, FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_SET_STRING,
	FSCONFIG_SET_BINARY, FSCONFIG_SET_PATH, FSCONFIG_SET_FD, FSCONFIG_CMD_CREATE,
	FSCONFIG_CMD_CREATE, FSCONFIG_CMD_RECONFIGURE, 9);
NUMBERS(xattr_flags, 0, XATTR_CREATE, XATTR_REPLACE, 3);
NUMBERS(rename_flags, 0, 1, 2, 4, 5, 8);
NUMBERS(acl_tags, 1, 2, 4, 8, 0x10, 0x20, 0x40);
NUMBERS(acl_permissions, 0, 4, 6, 7, 8);
NUMBERS(handle_at, FILE_HANDLE);
NUMBERS(uring_operations, IORING_OP_READ, IORING_OP_WRITE, IORING_OP_POLL_ADD, IORING_OP_READV,
	IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE, IORING_OP_FADVISE);
NUMBERS(uring_flags, 0, IOSQE_ASYNC, IOSQE_FIXED_FILE);
NUMBERS(uring_commands, CUSTOM_SYSCALL, CUSTOM_SYSCALL_BATCH, _IOC(3, CUSTOM_SYSCALL_MAGIC, 0, 40),
	_IOC(1, CUSTOM_SYSCALL_MAGIC, 1, 32), 0, 0xffffffff);
NUMBERS(leases, F_RDLCK, F_WRLCK, F_UNLCK);

STRINGS(echo_node, "/dev/echo");
STRINGS(fifo_node, "/dev/echo_fifo");
STRINGS(irq_node, "/dev/irq_events");
STRINGS(mempool_node, "/dev/mempool");
STRINGS(proc_node, "/proc/rust_proc");
STRINGS(syscall_node, "/dev/syscall_ext");
STRINGS(fault_node, "/dev/kmk_fault");
STRINGS(attributes, "/sys/class/misc/echo/capacity", "/sys/class/misc/echo/length",
	"/sys/class/misc/echo_fifo/open_count", "/sys/class/misc/echo_fifo/bytes_read",
	"/sys/class/misc/irq_events/irq", "/sys/class/misc/irq_events/count",
	"/sys/class/misc/irq_events/per_cpu_count", "/sys/class/misc/irq_events/dropped",
	"/sys/module/kmk_minimal/parameters/my_param", "/sys/module/kmk_irq/parameters/ring_size",
	"/sys/kernel/debug/kmk_mempool/device", "/sys/kernel/debug/kmk_mempool/pools",
	"/sys/kernel/debug/kmk_mempool/managers");
/* Of the files that a program opened: the first has the number 3. */
STRINGS(fdinfos, "/proc/self/fdinfo/3", "/proc/self/fdinfo/4", "/proc/self/fdinfo/5");
STRINGS(trigger_node, "/sys/class/misc/irq_events/trigger");
STRINGS(trigger_text, "1", "3 7", "200", "0", "0x10 0xffffffffffffffff", "1000000", "1000001", "-1",
	"1 2 3", "", "\n");
STRINGS(param_text, "7", "-1", "0x10", "99999999999", "", "x");
STRINGS(proc_text, "line\n", "one\ntwo\nthree", "\n\n", "\x1b[31m\n", "caf\xc3\xa9\n", "\xc3\n",
	"back\\slash\n", "", "a\xe2\x80\xa8-\xe2\x80\xae\n");
#define LETTERS_80 \
	"123456789.123456789.123456789.123456789.123456789.123456789.123456789.123456789."

STRINGS(paths, MOUNT_POINT, MOUNT_POINT "/a", MOUNT_POINT "/b", MOUNT_POINT "/d",
	MOUNT_POINT "/d/a", MOUNT_POINT "/d/e", MOUNT_POINT "/l", MOUNT_POINT "/d/..",
	MOUNT_POINT "/a/", MOUNT_POINT "/\xff\x01",
	MOUNT_POINT "/" LETTERS_80 LETTERS_80 LETTERS_80 "123456789.12345", "");
STRINGS(targets, "a", "d", "", "/nowhere", "l",
	"123456789.123456789.123456789.123456789.123456789.12345",
	"123456789.123456789.123456789.123456789.123456789.123456");
STRINGS(xattr_names, "user.a", "user.b", "user.", "trusted.a", "security.a", "security.capability",
	"system.posix_acl_access", "system.posix_acl_default", "system.a", "a", "");
STRINGS(file_system, "cramfs");
STRINGS(mount_point, MOUNT_POINT);
STRINGS(sources, "none", "/dev/echo", "/dev/null", "");
STRINGS(options, "size=64k", "size=1m", "size=1m,nr_inodes=10", "size=16k,nr_inodes=3", "size=5%",
	"size=1m,mode=1777,uid=1,gid=2", "size=1m,debug", "size=64k,nr_inodes=0",
	"nr_inodes=1,size=4k", "size=,", "size=99999999999999999999", "size=16777216t",
	"size=200%,mode=99999",
	"mode=8", "nr_inodes=5%", "uid=-1", "uid=4294967295", "nonsense=1", "debug=1", "size=1k",
	"nr_blocks=16,inode32,huge=never", "size=1e,inode64,noswap,mpol=default", "huge=always");
STRINGS(option_keys, "size", "nr_inodes", "mode", "uid", "gid", "debug", "source", "ro",
	"nonsense", "nr_blocks", "inode32", "inode64", "noswap", "huge", "mpol");
STRINGS(option_values, "64k", "1m", "0", "10", "777", "5%", "18446744073709551615", "1k", "x",
	"none", "never", "default");
STRINGS(ko_files, MODULES "kmk_echo.ko", MODULES "kmk_irq.ko", MODULES "kmk_mempool.ko",
	MODULES "kmk_minimal.ko", MODULES "kmk_proc.ko", MODULES "kmk_ramfs.ko",
	MODULES "kmk_syscall.ko");
STRINGS(module_names, "kmk_echo", "kmk_irq", "kmk_mempool", "kmk_minimal", "kmk_proc", "kmk_ramfs",
	"kmk_syscall");
STRINGS(parameters, "", "capacity=1 greeting=hello", "capacity=0", "capacity=16777217",
	"capacity=16", "mode=0777", "mode=4095", "mode=65536", "irq=-1 ring_size=1",
	"irq=-1 ring_size=1048576", "irq=-1 ring_size=0", "irq=-1 ring_size=1048577", "irq=-2",
	"irq=9999", "irq=1 claim=1", "irq=1", "max_bytes=4096", "max_bytes=0",
	"max_bytes=18446744073709551615", "my_param=-2147483648", "my_param=x", "max_entries=1",
	"max_entries=0", "max_entries=10001 greeting=\x01", "greeting=", "fstype=a.b",
	"fstype=tmpfs", "fstype=", "dyndbg=+p", "nonsense=1");

static const struct field iovecs[] = {
	{ 8, BUF }, { 8, ONE_OF(sizes) }, { 8, BUF }, { 8, ONE_OF(sizes) }, { 8, BUF }, { 8, N }, {}
};
static const struct field polled[] = { { 4, F }, { 2, ANY_OF(poll_events) }, { 2, N }, {} };
static const struct field epoll_event[] = { { 4, ANY_OF(epoll_events) }, { 4, N }, { 4, N }, {} };
static const struct field at_offset[] = { { 8, ONE_OF(offsets) }, {} };
static const struct field allocation[] = { { 8, N }, { 8, IS(0) }, { 8, N }, {} };
static const struct field any_words[] = { { 8, N }, { 8, N }, { 8, N }, { 8, N }, {} };
static const struct field by_handle[] = {
	{ 8, ONE_OF(handles) }, { 8, IS(0) }, { 8, N }, { 8, N }, {}
};
static const struct field one_call[] = {
	{ 8, ONE_OF(operations) }, { 8, N }, { 8, N }, { 8, N }, { 8, N }, {}
};
static const struct field clock_choice[] = {
	{ 4, ONE_OF(irq_clocks) }, { 4, ONE_OF(timeouts) }, { 8, N }, {}
};
static const struct field sleep_call[] = {
	{ 8, IS(5) }, { 8, ONE_OF(timeouts) }, { 8, N }, { 8, N }, {}
};
static const struct field many_calls[] = {
	{ 8, BUF }, { 8, BUF }, { 4, ONE_OF(counts) }, { 4, ONE_OF(elements) }, { 8, N }, {}
};
/* An entry of io_uring: of what reads and writes, and of a command. */
static const struct field uring_entry[] = {
	{ 1, ONE_OF(uring_operations) }, { 1, ONE_OF(uring_flags) }, { 2, IS(0) }, { 4, F },
	{ 8, ONE_OF(offsets) }, { 8, BUF }, { 4, ONE_OF(sizes) }, { 4, ANY_OF(poll_events) },
	{ 8, N }, { 8, IS(0) }, { 8, IS(0) }, { 8, IS(0) }, {}
};
static const struct field uring_command[] = {
	{ 1, IS(IORING_OP_URING_CMD) }, { 1, ONE_OF(uring_flags) }, { 2, IS(0) }, { 4, F },
	{ 8, ONE_OF(uring_commands) }, { 8, IS(0) }, { 4, IS(0) }, { 4, IS(0) },
	{ 8, N }, { 8, IS(0) }, { 8, BUF }, { 8, ONE_OF(timeouts) }, {}
};
static const struct field acl[] = {
	{ 4, IS(2) },
	{ 2, ONE_OF(acl_tags) }, { 2, ONE_OF(acl_permissions) }, { 4, N },
	{ 2, ONE_OF(acl_tags) }, { 2, ONE_OF(acl_permissions) }, { 4, N },
	{ 2, ONE_OF(acl_tags) }, { 2, ONE_OF(acl_permissions) }, { 4, N },
	{ 2, ONE_OF(acl_tags) }, { 2, ONE_OF(acl_permissions) }, { 4, N }, {}
};
static const struct field plain_acl[] = {
	{ 4, IS(2) },
	{ 2, IS(1) }, { 2, ONE_OF(acl_permissions) }, { 4, IS(-1) },
	{ 2, IS(4) }, { 2, ONE_OF(acl_permissions) }, { 4, IS(-1) },
	{ 2, IS(0x20) }, { 2, ONE_OF(acl_permissions) }, { 4, IS(-1) }, {}
};
static const struct field times[] = { { 8, N }, { 8, N }, { 8, N }, { 8, N }, {} };
NUMBERS(acl_sizes, 28, 52, 4, 0, 27);
/* A path for the fault that tests plant: one right byte leads to the next. */
static const struct field maze[] = { { 1, N }, { 1, N }, { 1, N }, { 1, N }, {} };

#define OPEN(node)	{ IS(AT_FDCWD), TEXT(node), ONE_OF(open_flags) }

static const struct call calls[] = {
	/* The first of its group opens what the rest is for. */
	{ "echo", ECHO, SYS_openat, OPEN(echo_node), true },
	{ "echo_clear", ECHO, SYS_ioctl, { F, IS(ECHO_IOC_CLEAR) } },
	{ "echo_stats", ECHO, SYS_ioctl, { F, IS(ECHO_IOC_GET_STATS), BUF } },
	{ "fifo", FIFO, SYS_openat, OPEN(fifo_node), true },
	{ "fifo_clear", FIFO, SYS_ioctl, { F, IS(ECHO_IOC_CLEAR) } },
	{ "fifo_stats", FIFO, SYS_ioctl, { F, IS(ECHO_IOC_GET_STATS), BUF } },
	{ "irq", IRQ, SYS_openat, OPEN(irq_node), true },
	{ "irq_trigger", IRQ, SYS_openat, OPEN(trigger_node), true },
	{ "irq_raise", IRQ, SYS_write, { F, TEXT(trigger_text), ONE_OF(sizes) } },
	{ "irq_clock", IRQ, SYS_ioctl, { F, ONE_OF(irq_clocks_of_sizes), TO(clock_choice) } },
	{ "irq_progress", IRQ, SYS_ioctl, { F, ONE_OF(irq_progress_of_sizes), BUF } },
	{ "mempool", MEMPOOL, SYS_openat, OPEN(mempool_node), true },
	{ "mempool_alloc", MEMPOOL, SYS_ioctl, { F, IS(MEMPOOL_IOC_ALLOC), TO(allocation) } },
	{ "mempool_alloc_any", MEMPOOL, SYS_ioctl, { F, IS(MEMPOOL_IOC_ALLOC), TO(any_words) } },
	{ "mempool_free", MEMPOOL, SYS_ioctl, { F, IS(MEMPOOL_IOC_FREE), TO(by_handle) } },
	{ "mempool_query", MEMPOOL, SYS_ioctl, { F, IS(MEMPOOL_IOC_QUERY), TO(by_handle) } },
	{ "mempool_query_any", MEMPOOL, SYS_ioctl, { F, IS(MEMPOOL_IOC_QUERY), TO(any_words) } },
	{ "mempool_stats", MEMPOOL, SYS_ioctl, { F, IS(MEMPOOL_IOC_STATS), BUF } },
	{ "mempool_map", MEMPOOL, SYS_mmap,
	  { MAP, ONE_OF(map_sizes), ANY_OF(prots), ONE_OF(map_flags), F, ONE_OF(handles) } },
	{ "mempool_write", MEMPOOL, SYS_pwrite64, { F, BUF, ONE_OF(sizes), ONE_OF(handles) } },
	{ "mempool_read", MEMPOOL, SYS_pread64, { F, BUF, ONE_OF(sizes), ONE_OF(handles) } },
	{ "proc", PROC, SYS_openat, OPEN(proc_node), true },
	{ "proc_line", PROC, SYS_write, { F, TEXT(proc_text), ONE_OF(sizes) } },
	{ "syscall", SYSCALL_EXT, SYS_openat, OPEN(syscall_node), true },
	{ "syscall_one", SYSCALL_EXT, SYS_ioctl, { F, IS(CUSTOM_SYSCALL), TO(one_call) } },
	{ "syscall_sleep", SYSCALL_EXT, SYS_ioctl, { F, IS(CUSTOM_SYSCALL), TO(sleep_call) } },
	{ "syscall_sized", SYSCALL_EXT, SYS_ioctl, { F, ONE_OF(calls_of_sizes), TO(one_call) } },
	{ "syscall_in_buffer", SYSCALL_EXT, SYS_ioctl, { F, ONE_OF(calls_of_sizes), BUF } },
	{ "syscall_batch", SYSCALL_EXT, SYS_ioctl,
	  { F, ONE_OF(batches_of_sizes), TO(many_calls) } },
	{ "syscall_one32", SYSCALL_EXT, IOCTL32, { F, IS(CUSTOM_SYSCALL), TO(one_call) } },
	{ "syscall_uring", SYSCALL_EXT, URING, { TO(uring_command) } },
	{ "mount", RAMFS, SYS_mount, { TEXT(sources), TEXT(mount_point), TEXT(file_system),
				       ANY_OF(mount_flags), TEXT(options) } },
	{ "remount", RAMFS, SYS_mount, { TEXT(sources), TEXT(mount_point), TEXT(file_system),
					 ONE_OF(remount_flags), TEXT(options) } },
	{ "mount_no_source", RAMFS, SYS_mount,
	  { IS(0), TEXT(mount_point), TEXT(file_system), ANY_OF(mount_flags), TEXT(options) } },
	{ "user_mount", RAMFS, USER_MOUNT, { TEXT(sources), TEXT(mount_point), TEXT(file_system),
					     ANY_OF(mount_flags), TEXT(options) } },
	{ "idmap", RAMFS, IDMAP, { F } },
	{ "umount", RAMFS, SYS_umount2, { TEXT(mount_point), ANY_OF(umount_flags) } },
	{ "fsopen", RAMFS, SYS_fsopen, { TEXT(file_system), ONE_OF(timeouts) }, true },
	{ "fsconfig", RAMFS, SYS_fsconfig,
	  { F, ONE_OF(config_commands), TEXT(option_keys), TEXT(option_values),
	    ONE_OF(timeouts) } },
	{ "fsmount", RAMFS, SYS_fsmount, { F, IS(0), ONE_OF(timeouts) }, true },
	{ "fspick", RAMFS, SYS_fspick, { IS(AT_FDCWD), TEXT(paths), IS(0) }, true },
	{ "move_mount", RAMFS, SYS_move_mount,
	  { F, IS(EMPTY_TEXT), IS(AT_FDCWD), TEXT(mount_point), IS(4) } },
	{ "open", RAMFS, SYS_openat,
	  { IS(AT_FDCWD), TEXT(paths), ANY_OF(file_flags), ONE_OF(modes) }, true },
	{ "create", RAMFS, SYS_openat,
	  { IS(AT_FDCWD), TEXT(paths), IS(O_RDWR | O_CREAT), IS(0666) }, true },
	{ "open_dir", RAMFS, SYS_openat,
	  { IS(AT_FDCWD), TEXT(paths), IS(O_DIRECTORY), IS(0) }, true },
	{ "tmpfile", RAMFS, SYS_openat,
	  { IS(AT_FDCWD), TEXT(paths), IS(O_TMPFILE | O_RDWR), IS(0600) }, true },
	{ "linkat", RAMFS, SYS_linkat, { F, IS(EMPTY_TEXT), IS(AT_FDCWD), TEXT(paths),
					 ANY_OF(at_flags) } },
	{ "mkdir", RAMFS, SYS_mkdir, { TEXT(paths), ONE_OF(modes) } },
	{ "mknod", RAMFS, SYS_mknod, { TEXT(paths), ONE_OF(modes), ONE_OF(counts) } },
	{ "symlink", RAMFS, SYS_symlink, { TEXT(targets), TEXT(paths) } },
	{ "link", RAMFS, SYS_link, { TEXT(paths), TEXT(paths) } },
	{ "unlink", RAMFS, SYS_unlink, { TEXT(paths) } },
	{ "rmdir", RAMFS, SYS_rmdir, { TEXT(paths) } },
	{ "rename", RAMFS, SYS_renameat2,
	  { IS(AT_FDCWD), TEXT(paths), IS(AT_FDCWD), TEXT(paths), ONE_OF(rename_flags) } },
	{ "readlink", RAMFS, SYS_readlink, { TEXT(paths), BUF, ONE_OF(sizes) } },
	{ "truncate", RAMFS, SYS_truncate, { TEXT(paths), ONE_OF(offsets) } },
	{ "chmod", RAMFS, SYS_chmod, { TEXT(paths), ONE_OF(modes) } },
	{ "chown", RAMFS, SYS_lchown, { TEXT(paths), N, N } },
	{ "utimes", RAMFS, SYS_utimensat,
	  { IS(AT_FDCWD), TEXT(paths), TO(times), ANY_OF(at_flags) } },
	{ "statx", RAMFS, SYS_statx, { IS(AT_FDCWD), TEXT(paths), ANY_OF(at_flags), N, BUF } },
	{ "statfs", RAMFS, SYS_statfs, { TEXT(paths), BUF } },
	{ "getdents", RAMFS, SYS_getdents64, { F, BUF, ONE_OF(sizes) } },
	{ "setxattr", RAMFS, SYS_setxattr,
	  { TEXT(paths), TEXT(xattr_names), BUF, ONE_OF(sizes), ONE_OF(xattr_flags) } },
	{ "set_acl", RAMFS, SYS_setxattr,
	  { TEXT(paths), TEXT(xattr_names), TO(acl), ONE_OF(acl_sizes), IS(0) } },
	{ "set_plain_acl", RAMFS, SYS_setxattr,
	  { TEXT(paths), TEXT(xattr_names), TO(plain_acl), IS(28), IS(0) } },
	{ "getxattr", RAMFS, SYS_lgetxattr,
	  { TEXT(paths), TEXT(xattr_names), BUF, ONE_OF(sizes) } },
	{ "listxattr", RAMFS, SYS_listxattr, { TEXT(paths), BUF, ONE_OF(sizes) } },
	{ "removexattr", RAMFS, SYS_removexattr, { TEXT(paths), TEXT(xattr_names) } },
	{ "name_to_handle", RAMFS, SYS_name_to_handle_at,
	  { IS(AT_FDCWD), TEXT(paths), ONE_OF(handle_at), BUF, ANY_OF(at_flags) } },
	{ "open_by_handle", RAMFS, SYS_open_by_handle_at,
	  { F, ONE_OF(handle_at), ONE_OF(open_flags) }, true },
	{ "ftruncate", RAMFS, SYS_ftruncate, { F, ONE_OF(offsets) } },
	{ "fallocate", RAMFS, SYS_fallocate,
	  { F, ANY_OF(fallocate_modes), ONE_OF(offsets), ONE_OF(offsets) } },
	{ "fsync", RAMFS, SYS_fsync, { F } },
	{ "ko", LOAD, SYS_openat, { IS(AT_FDCWD), TEXT(ko_files), IS(O_RDONLY) }, true },
	{ "load", LOAD, SYS_finit_module, { F, TEXT(parameters), IS(0) } },
	{ "unload", LOAD, SYS_delete_module, { TEXT(module_names), IS(O_NONBLOCK) } },
	{ "attribute", LOAD, SYS_openat, OPEN(attributes), true },
	{ "param", LOAD, SYS_write, { F, TEXT(param_text), ONE_OF(sizes) } },
	{ "fault", FAULT, SYS_openat, OPEN(fault_node), true },
	{ "fault_write", FAULT, SYS_write, { F, TO(maze), IS(4) } },
	/* For every file; what is read from /dev/zero and written to a memfd touches a mapping. */
	{ "read", ANY, SYS_read, { F, BUF, ONE_OF(sizes) } },
	{ "write", ANY, SYS_write, { F, BUF, ONE_OF(sizes) } },
	{ "pread", ANY, SYS_pread64, { F, BUF, ONE_OF(sizes), ONE_OF(offsets) } },
	{ "pwrite", ANY, SYS_pwrite64, { F, BUF, ONE_OF(sizes), ONE_OF(offsets) } },
	{ "preadv", ANY, SYS_preadv2, { F, TO(iovecs), ONE_OF(counts), ONE_OF(offsets), IS(0),
					ANY_OF(rwf) } },
	{ "pwritev", ANY, SYS_pwritev2, { F, TO(iovecs), ONE_OF(counts), ONE_OF(offsets), IS(0),
					  ANY_OF(rwf) } },
	{ "lseek", ANY, SYS_lseek, { F, ONE_OF(offsets), ONE_OF(whence) } },
	{ "ioctl", ANY, SYS_ioctl, { F, ONE_OF(ioctls), BUF } },
	{ "ioctl32", ANY, IOCTL32, { F, ONE_OF(ioctls), BUF } },
	{ "uring", ANY, URING, { TO(uring_entry) } },
	{ "ioctl_any", ANY, SYS_ioctl, { F, N, TO(any_words) } },
	{ "mmap", ANY, SYS_mmap, { MAP, ONE_OF(map_sizes), ANY_OF(prots), ONE_OF(map_flags), F,
				   ONE_OF(offsets) } },
	{ "munmap", ANY, SYS_munmap, { MAP, ONE_OF(map_sizes) } },
	{ "mprotect", ANY, SYS_mprotect, { MAP, ONE_OF(map_sizes), ANY_OF(prots) } },
	{ "madvise", ANY, SYS_madvise, { MAP, ONE_OF(map_sizes), ONE_OF(advice) } },
	{ "msync", ANY, SYS_msync, { MAP, ONE_OF(map_sizes), ONE_OF(timeouts) } },
	{ "mremap", ANY, SYS_mremap, { MAP, ONE_OF(map_sizes), ONE_OF(map_sizes), IS(3), MAP } },
	{ "touch_read", ANY, SYS_pwrite64, { IS(MEMORY_FD), MAP, ONE_OF(map_sizes), IS(0) } },
	{ "touch_write", ANY, SYS_read, { IS(ZERO_FD), MAP, ONE_OF(map_sizes) } },
	{ "read_to_map", ANY, SYS_pread64, { F, MAP, ONE_OF(sizes), ONE_OF(offsets) } },
	{ "write_from_map", ANY, SYS_pwrite64, { F, MAP, ONE_OF(sizes), ONE_OF(offsets) } },
	{ "poll", ANY, SYS_poll, { TO(polled), IS(1), ONE_OF(timeouts) } },
	{ "epoll", ANY, SYS_epoll_create1, { IS(0) }, true },
	{ "epoll_ctl", ANY, SYS_epoll_ctl, { F, ONE_OF(epoll_ops), F, TO(epoll_event) } },
	{ "epoll_wait", ANY, SYS_epoll_wait, { F, BUF, IS(4), ONE_OF(timeouts) } },
	{ "setfl", ANY, SYS_fcntl, { F, IS(F_SETFL), ONE_OF(setfl) } },
	{ "lease", ANY, SYS_fcntl, { F, IS(F_SETLEASE), ONE_OF(leases) } },
	{ "dup", ANY, SYS_dup, { F }, true },
	{ "close", ANY, SYS_close, { F } },
	{ "fdinfo", ANY, SYS_openat, OPEN(fdinfos), true },
	{ "fstat", ANY, SYS_fstat, { F, BUF } },
	{ "sendfile", ANY, SYS_sendfile, { F, F, TO(at_offset), ONE_OF(sizes) } },
	{ "splice_in", ANY, SYS_splice, { F, IS(0), IS(PIPE_IN_FD), IS(0), ONE_OF(sizes), IS(2) } },
	{ "splice_out", ANY, SYS_splice,
	  { IS(PIPE_OUT_FD), IS(0), F, IS(0), ONE_OF(sizes), IS(2) } },
	{ "copy_range", ANY, SYS_copy_file_range,
	  { F, TO(at_offset), F, TO(at_offset), ONE_OF(sizes), IS(0) } },
};

#define CALLS	(sizeof(calls) / sizeof(*calls))

#endif /* CALLS_H */
