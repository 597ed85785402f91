// SPDX-License-Identifier: GPL-2.0
/*
 * Users come and go while modules are loaded and unloaded, for KMK_STORM_SECONDS
 * each (default 2); and descriptors outlive those who opened them. What is asked
 * is that nothing breaks, which the machine looks for, that users and unloading
 * both get through, and that the module is whole afterwards.
 */
#define _GNU_SOURCE
#include "ramfs.h"

#include <fcntl.h>
#include <kmodkit/echo.h>
#include <kmodkit/irq_events.h>
#include <kmodkit/mempool.h>
#include <kmodkit/syscall_ext.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof(*(array))))
#define USERS 4
#define WORKERS_MAX 8

static int storm_seconds(void)
{
	return kmk_setting("KMK_STORM_SECONDS", 2);
}

/* How often each got through, and whether nobody shall begin anew; seen by all processes. */
static struct {
	unsigned long used, unloaded;
	bool calm;
} *score;

static void share_score(void)
{
	score = mmap(NULL, sizeof(*score), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	ck_assert_ptr_ne(score, MAP_FAILED);
}

static void count(unsigned long *what)
{
	__atomic_fetch_add(what, 1, __ATOMIC_RELAXED);
}

static bool calm(void)
{
	return __atomic_load_n(&score->calm, __ATOMIC_RELAXED);
}

static void pause_some(unsigned int *seed)
{
	nanosleep(&(struct timespec){ .tv_nsec = rand_r(seed) % 2000000 }, NULL);
}

/* Do something to an open file of any kind; some refuse most of it. */
static void use(int fd, unsigned int *seed)
{
	static __thread char buf[5000];
	struct custom_syscall_data call = { .operation = CUSTOM_SYSCALL_ADD };
	struct kmk_mempool_alloc block = { .size = 3 * PAGE };
	struct echo_stats stats;
	char path[64];
	void *map;

	switch (rand_r(seed) % 8) {
	case 0:
		(void)!read(fd, buf, rand_r(seed) % sizeof(buf));
		break;
	case 1:
		(void)!write(fd, buf, rand_r(seed) % sizeof(buf));
		break;
	case 2:
		poll(&(struct pollfd){ .fd = fd, .events = POLLIN | POLLOUT }, 1, 1);
		break;
	case 3:
		lseek(fd, rand_r(seed) % 100, SEEK_SET);
		break;
	case 4:
		ioctl(fd, ECHO_IOC_GET_STATS, &stats);
		ioctl(fd, CUSTOM_SYSCALL, &call);
		break;
	case 5:
		if (ioctl(fd, MEMPOOL_IOC_ALLOC, &block))
			break;
		map = mmap(NULL, block.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			   block.handle);
		if (map != MAP_FAILED) {
			memset(map, 1, block.size);
			munmap(map, block.size);
		}
		ioctl(fd, MEMPOOL_IOC_FREE, &(struct kmk_mempool_free){ .handle = block.handle });
		break;
	case 6:
		fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC);
		break;
	case 7:
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		free(slurp(path));
		break;
	}
}

static void send_fd(int socket, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (sendmsg(socket, &msg, 0) != 1)
		ck_abort_msg("sendmsg: %s", strerror(errno));
}

/* -1 when the other end is closed. */
static int receive_fd(int socket)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control;
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	int fd;

	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

/* The storm */

static const struct target {
	const char *module, *params;
	const char * const nodes[4];
} targets[] = {
	{ "kmk_echo", "", { "/dev/echo", "/dev/echo_fifo", "/sys/class/misc/echo/length" } },
	{ "kmk_proc", "", { "/proc/rust_proc" } },
	{ "kmk_irq", "irq=-1", { "/dev/irq_events", "/sys/class/misc/irq_events/count",
				 "/proc/interrupts" } },
	{ "kmk_syscall", "", { "/dev/syscall_ext" } },
	{ "kmk_mempool", "mode=0666", { "/dev/mempool", "/sys/kernel/debug/kmk_mempool/pools",
					"/sys/kernel/debug/kmk_mempool/device" } },
};

static const struct target *target;

/*
 * An open of a file in debugfs holds the device meanwhile. debugfs warns of any module whose last
 * reference is gone and which is not going yet, and try_stop_module() does one after the other.
 */
static int open_some(unsigned int *seed)
{
	int n = 0, fd, holder = -1;
	const char *node;

	while (n < COUNT(target->nodes) && target->nodes[n])
		n++;
	node = target->nodes[rand_r(seed) % n];
	if (!strncmp(node, "/sys/kernel/debug/", strlen("/sys/kernel/debug/"))) {
		holder = open(target->nodes[0], O_RDONLY | O_CLOEXEC);
		if (holder < 0)
			return -1;
	}
	fd = open(node, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		fd = open(node, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (holder >= 0)
		close(holder);
	return fd;
}

/* Opens, uses, and leaves the file now and then to the heir at the other end of the socket. */
static void user(int number, int socket)
{
	unsigned int seed = number + 1;
	int fd, i;

	signal(SIGIO, SIG_IGN);
	for (;;) {
		fd = calm() ? -1 : open_some(&seed);
		for (i = rand_r(&seed) % 6; fd >= 0 && i; i--) {
			use(fd, &seed);
			count(&score->used);
		}
		if (fd >= 0 && rand_r(&seed) % 4 == 0)
			send_fd(socket, fd);
		if (fd >= 0)
			close(fd);
		pause_some(&seed);
	}
}

static void heir(int number, int socket)
{
	unsigned int seed = 100 + number;
	int fd;

	signal(SIGIO, SIG_IGN);
	while ((fd = receive_fd(socket)) >= 0) {
		use(fd, &seed);
		close(fd);
	}
	_exit(0);
}

/* Raises the simulated line, many times a write. */
static void raiser(int number, int socket)
{
	(void)number;
	(void)socket;
	for (;;) {
		int fd = open("/sys/class/misc/irq_events/trigger", O_WRONLY | O_CLOEXEC);

		if (fd < 0)
			continue;
		if (write(fd, "100", 3) == 3)
			count(&score->used);
		close(fd);
	}
}

static pid_t workers[WORKERS_MAX];
static int nr_workers;

static void begin(void (*work)(int number, int socket), int number, int socket)
{
	pid_t pid = spawn();

	if (!pid) {
		work(number, socket);
		_exit(0);
	}
	ck_assert_int_lt(nr_workers, WORKERS_MAX);
	workers[nr_workers++] = pid;
}

static void end_all(void)
{
	while (nr_workers) {
		kill(workers[--nr_workers], SIGKILL);
		ck_ok(waitpid(workers[nr_workers], NULL, 0));
	}
}

static bool unloads(const char *module)
{
	int err = module_unload(module);

	ck_assert(!err || err == -EAGAIN);
	if (!err)
		count(&score->unloaded);
	return !err;
}

/*
 * Unload under the users' hands; where they hold the module nearly always, ask
 * them for calm, so that the next who comes finds it gone.
 */
static void reload_for_a_while(const char *module, const char *params)
{
	struct timespec end = kmk_deadline(storm_seconds());
	unsigned long used;

	while (!kmk_expired(&end)) {
		ck_assert_int_eq(module_load(module, params), 0);
		used = __atomic_load_n(&score->used, __ATOMIC_RELAXED);
		wait_until(__atomic_load_n(&score->used, __ATOMIC_RELAXED) > used);
		if (unloads(module))
			continue;
		__atomic_store_n(&score->calm, true, __ATOMIC_RELAXED);
		wait_until(unloads(module));
		__atomic_store_n(&score->calm, false, __ATOMIC_RELAXED);
	}
}

/* Nobody uses it any more; now it loads and unloads as if nothing had been. */
static void ck_whole(const char *module, const char *params)
{
	if (module_loaded(module))
		wait_until(!module_unload(module));
	ck_assert_int_eq(module_load(module, params), 0);
	ck_assert_int_eq(module_unload(module), 0);
}

START_TEST(storm)
{
	int sockets[2];

	target = &targets[_i];
	share_score();
	for (int i = 0; i < USERS / 2; i++) {
		ck_ok(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
		begin(user, i, sockets[0]);
		begin(heir, i, sockets[1]);
		ck_ok(close(sockets[0]));
		ck_ok(close(sockets[1]));
	}
	if (!strcmp(target->module, "kmk_irq"))
		begin(raiser, 0, -1);
	reload_for_a_while(target->module, target->params);
	end_all();
	ck_whole(target->module, target->params);
	ck_assert_uint_gt(score->used, 0);
	ck_assert_uint_gt(score->unloaded, 0);
}
END_TEST

/* Mounts */

static void use_mount(const char *where, unsigned int *seed)
{
	char path[64], other[64], *map;
	struct statvfs st;
	int fd;

	snprintf(path, sizeof(path), "%s/file", where);
	snprintf(other, sizeof(other), "%s/other", where);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	(void)!ftruncate(fd, rand_r(seed) % (8 * PAGE));
	(void)!pwrite(fd, path, sizeof(path), rand_r(seed) % (8 * PAGE));
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED) {
		if (!fallocate(fd, 0, 0, PAGE))
			map[0]++;
		munmap(map, PAGE);
	}
	rename(path, other);
	statvfs(where, &st);
	mount("none", where, "cramfs", MS_REMOUNT, rand_r(seed) % 2 ? "size=1m" : "size=2m");
	if (rand_r(seed) % 2)
		umount2(where, MNT_DETACH);	/* while the file is open */
	(void)!pwrite(fd, path, 1, 0);
	close(fd);
	count(&score->used);
}

static void mounter(int number, int socket)
{
	unsigned int seed = number + 1;
	char where[32];

	(void)socket;
	snprintf(where, sizeof(where), "/tmp/storm.%d", number / 2);
	for (;;) {
		if (calm()) {
			umount2(where, MNT_DETACH);
		} else {
			if (!cramfs_mount_at(where, "size=1m,debug"))
				use_mount(where, &seed);
			umount2(where, 0);
		}
		pause_some(&seed);
	}
}

START_TEST(mount_storm)
{
	share_score();
	/* two and two at the same place */
	for (int i = 0; i < USERS; i++)
		begin(mounter, i, -1);
	reload_for_a_while("kmk_ramfs", "");
	end_all();
	for (int i = 0; i < USERS; i++)
		while (!umount2(i % 2 ? "/tmp/storm.0" : "/tmp/storm.1", MNT_DETACH))
			;
	ck_whole("kmk_ramfs", "");
	ck_assert_uint_gt(score->used, 0);
	ck_assert_uint_gt(score->unloaded, 0);
}
END_TEST

/* Descriptors */

static const struct held {
	const char *module, *params, *node;
} held[] = {
	{ "kmk_echo", "", "/dev/echo" },
	{ "kmk_echo", "", "/dev/echo_fifo" },
	{ "kmk_proc", "", "/proc/rust_proc" },
	{ "kmk_irq", "irq=-1", "/dev/irq_events" },
	{ "kmk_syscall", "", "/dev/syscall_ext" },
	{ "kmk_mempool", "", "/dev/mempool" },
};

/* The opener is gone, and nobody but the socket has the file. */
static void leave_in_socket(const char *node, int socket)
{
	pid_t pid = spawn();

	if (!pid) {
		send_fd(socket, ck_ok(open(node, O_RDWR | O_NONBLOCK)));
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
}

START_TEST(descriptor_outlives_opener)
{
	const struct held *it = &held[_i];
	int sockets[2], fd;
	unsigned int seed = 1;

	ck_assert_int_eq(module_load(it->module, it->params), 0);
	ck_ok(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	leave_in_socket(it->node, sockets[0]);
	ck_assert_int_eq(module_unload(it->module), -EAGAIN);
	fd = ck_ok(receive_fd(sockets[1]));
	for (int i = 0; i < 50; i++)
		use(fd, &seed);
	ck_assert_int_eq(module_unload(it->module), -EAGAIN);
	ck_ok(close(fd));
	wait_until(!module_unload(it->module));

	/* A file that is still in a socket goes when that goes. */
	ck_assert_int_eq(module_load(it->module, it->params), 0);
	leave_in_socket(it->node, sockets[0]);
	ck_assert_int_eq(module_unload(it->module), -EAGAIN);
	ck_ok(close(sockets[0]));
	ck_ok(close(sockets[1]));
	wait_until(!module_unload(it->module));
}
END_TEST

/* A socket keeps itself alive that lies in its own queue: only the collector ends the file. */
START_TEST(descriptor_in_a_cycle)
{
	int sockets[2];

	ck_assert_int_eq(module_load("kmk_mempool", ""), 0);
	ck_ok(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	leave_in_socket("/dev/mempool", sockets[0]);
	send_fd(sockets[0], sockets[0]);
	send_fd(sockets[0], sockets[1]);
	ck_assert_int_eq(module_unload("kmk_mempool"), -EAGAIN);
	ck_ok(close(sockets[0]));
	ck_ok(close(sockets[1]));
	/* the collector looks when a socket is closed */
	wait_until(({ close(socket(AF_UNIX, SOCK_STREAM, 0)); !module_unload("kmk_mempool"); }));
}
END_TEST

static void clean(void)
{
	for (int i = 0; i < COUNT(targets); i++)
		module_unload(targets[i].module);
	module_unload("kmk_ramfs");
}

int main(void)
{
	Suite *suite = suite_create("lifetime");
	TCase *tc = tcase_create("storm");

	tcase_add_checked_fixture(tc, clean, end_all);
	tcase_set_timeout(tc, 60 + storm_seconds());
	tcase_add_loop_test(tc, storm, 0, COUNT(targets));
	tcase_add_test(tc, mount_storm);
	suite_add_tcase(suite, tc);

	tc = tcase_create("descriptors");
	tcase_add_checked_fixture(tc, clean, NULL);
	tcase_add_loop_test(tc, descriptor_outlives_opener, 0, COUNT(held));
	tcase_add_test(tc, descriptor_in_a_cycle);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
