/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls that are no single system call of 64 bits. This text is also part of
 * each program that the fuzzer prints as C.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the place of a system call's number. */
#define IOCTL32		-1
#define URING		-2
#define USER_MOUNT	-3
#define IDMAP		-4

static long ioctl32(unsigned long fd, unsigned long command, unsigned long argument)
{
	long ret = -ENOSYS;

#ifdef __x86_64__
	asm volatile("int $0x80" : "=a" (ret) : "a" (54), "b" (fd), "c" (command), "d" (argument) :
		     "memory", "r8", "r9", "r10", "r11");
#endif
	return ret;
}

/* One entry through a ring of its own, which fits in a page; a signal ends the wait. */
#define RING_SIZE	4096

static long uring(const void *entry)
{
	struct io_uring_params p = {};
	int fd;
	long ret = -1;
	char *ring;
	void *sqes;

	if ((unsigned long)entry < RING_SIZE)	/* which leads nowhere */
		return -1;
	fd = syscall(SYS_io_uring_setup, 1, &p);
	if (fd < 0)
		return -1;
	ring = mmap(NULL, RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	sqes = mmap(NULL, RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
	if (ring != MAP_FAILED && sqes != MAP_FAILED) {
		memcpy(sqes, entry, 64);
		*(unsigned int *)(ring + p.sq_off.array) = 0;
		__atomic_store_n((unsigned int *)(ring + p.sq_off.tail), 1, __ATOMIC_RELEASE);
		ret = syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	}
	munmap(ring, RING_SIZE);
	munmap(sqes, RING_SIZE);
	close(fd);
	return ret;
}

static int child_in_namespaces(unsigned long flags)
{
	int parent = getpid();
	int child = syscall(SYS_clone, flags | CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	/* It dies with its parent, who may be dead by now. */
	if (!child && (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent))
		_exit(1);
	return child;
}

static long end_of(int child)
{
	int status = -1;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	/* A failure here shows in the calls after it. */
	syscall(SYS_write, fd, text, strlen(text));
	close(fd);
}

/* By root of a user namespace: a mount, and in it a directory, a node, a file. */
static long user_mount(const char *source, const char *where, const char *type,
		       unsigned long flags, const char *options)
{
	int fd, child = child_in_namespaces(CLONE_NEWNS);

	if (child)
		return child < 0 ? -1 : end_of(child);
	write_file("/proc/self/setgroups", "deny");
	write_file("/proc/self/uid_map", "0 0 1");
	write_file("/proc/self/gid_map", "0 0 1");
	if (syscall(SYS_mount, source, where, type, flags, options) || chdir(where))
		_exit(1);
	syscall(SYS_mkdir, "d", 0777);
	syscall(SYS_mknod, "n", 020600, 0x103);
	fd = open("f", O_CREAT | O_RDWR, 04777);
	syscall(SYS_setxattr, "f", "trusted.a", "b", 1, 0);
	syscall(SYS_setxattr, "f", "user.a", "b", 1, 0);
	write_file("f", "text");
	syscall(SYS_fchown, fd, 1, 0);
	syscall(SYS_mount, source, where, type, flags | 0x20, options);	/* MS_REMOUNT */
	_exit(0);
}

/* Give a mount the ids of another user namespace. */
static long idmap(long mount)
{
	int child = child_in_namespaces(0), ns;
	uint64_t attr[4] = { 0x100000 }; /* MOUNT_ATTR_IDMAP */
	char path[64];
	long ret;

	while (!child)
		pause();
	if (child < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/uid_map", child);
	write_file(path, "0 0 1\n1 1000 65535");
	snprintf(path, sizeof(path), "/proc/%d/gid_map", child);
	write_file(path, "0 0 1\n1 1000 65535");
	snprintf(path, sizeof(path), "/proc/%d/ns/user", child);
	ns = open(path, O_RDONLY);
	attr[3] = ns;
	ret = syscall(SYS_mount_setattr, mount, "", 0x1000 /* AT_EMPTY_PATH */, attr, sizeof(attr));
	close(ns);
	kill(child, SIGKILL);
	end_of(child);
	return ret;
}

static long enter(long number, unsigned long a, unsigned long b, unsigned long c, unsigned long d,
		  unsigned long e, unsigned long f)
{
	switch (number) {
	case IOCTL32:
		return ioctl32(a, b, c);
	case URING:
		return uring((const void *)a);
	case USER_MOUNT:
		return user_mount((const char *)a, (const char *)b, (const char *)c, d,
				  (const char *)e);
	case IDMAP:
		return idmap(a);
	default:
		return syscall(number, a, b, c, d, e, f);
	}
}
