// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "kmktest.h"

#include <fcntl.h>
#include <grp.h>
#include <liburing.h>
#include <linux/userfaultfd.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

void kmk_mark_place(const char *file, int line)
{
	static _Thread_local const char *last_file;
	static _Thread_local int last_line;

	if (line == last_line && file == last_file)
		return;
	last_file = file;
	last_line = line;
	_mark_point(file, line);
}

unsigned long kmk_setting(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

int kmk_patience(void)
{
	return 20 * kmk_setting("CK_TIMEOUT_MULTIPLIER", 1);
}

struct timespec kmk_deadline(int seconds)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += seconds;
	return t;
}

bool kmk_expired(const struct timespec *deadline)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec > deadline->tv_sec ||
	       (t.tv_sec == deadline->tv_sec && t.tv_nsec >= deadline->tv_nsec);
}

void kmk_pause(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

int module_load(const char *name, const char *params)
{
	const char *dir = getenv("KMK_MODULES");
	char path[256];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%s.ko", dir ? dir : "/lib/kmodkit", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ret = syscall(SYS_finit_module, fd, params ? params : "", 0) ? -errno : 0;
	close(fd);
	return ret;
}

int module_unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

bool module_loaded(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/module/%s/initstate", name);
	return exists(path);
}

static char last_mark[64];

void log_mark(void)
{
	static int marks;

	/* A line without an end stays hidden until the next one comes. */
	snprintf(last_mark, sizeof(last_mark), "kmktest: mark %d.%d\n", getpid(), ++marks);
	ck_assert_int_eq(spew("/dev/kmsg", last_mark), 0);
}

int log_count(const char *needle)
{
	int fd = ck_ok(open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
	char record[8192];
	int count = 0;
	ssize_t n;

	for (;;) {
		n = read(fd, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)	/* overwritten meanwhile */
			continue;
		if (n <= 0)
			break;
		record[n] = '\0';
		if (strstr(record, last_mark))
			count = 0;
		else if (strstr(record, needle))
			count++;
	}
	close(fd);
	return count;
}

char *slurp(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t size = 0, room = 0;
	char *text = NULL;
	ssize_t n;

	/* No assertion that holds, see spawn(): main() asks too, and Check allows it none. */
	if (fd < 0)
		ck_abort_msg("%s: %s", path, strerror(errno));
	do {
		if (room - size < 4096) {
			room += 65536;
			text = realloc(text, room);
			if (!text)
				ck_abort_msg("%s: no memory for it", path);
		}
		n = read(fd, text + size, room - size - 1);
		if (n < 0)
			ck_abort_msg("read %s: %s", path, strerror(errno));
		size += n;
	} while (n);
	close(fd);
	text[size] = '\0';
	return text;
}

long long slurp_number(const char *path)
{
	char *text = slurp(path), *end;
	long long number = strtoll(text, &end, 0);

	ck_assert_msg(end != text && *end == '\n', "%s: not a number: %s", path, text);
	free(text);
	return number;
}

int spew(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t size = strlen(text);
	ssize_t n;
	int err;

	if (fd < 0)
		return -errno;
	n = write(fd, text, size);
	err = n < 0 ? -errno : 0;
	close(fd);
	if (n >= 0 && (size_t)n != size)
		ck_abort_msg("%s: short write", path);
	return err;
}

bool exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

bool keeps_freed_memory(void)
{
	return exists("/sys/kernel/debug/kmemleak") ||
		file_has("/proc/kallsyms", " kasan_report\n");
}

bool file_has(const char *path, const char *needle)
{
	char *text = slurp(path);
	bool found = strstr(text, needle);

	free(text);
	return found;
}

void fill_pattern(char *buf, size_t size, unsigned int seed)
{
	for (size_t i = 0; i < size; i++)
		buf[i] = (i * 2654435761u + seed) >> 16;
}

void *buffer_before_hole(size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);
	size_t body = (size + page - 1) / page * page;
	char *area = mmap(NULL, body + page, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(area, MAP_FAILED);
	ck_ok(mprotect(area + body, page, PROT_NONE));
	return area + body - size;
}

unsigned int sized(unsigned int cmd, size_t size)
{
	return _IOC(_IOC_DIR(cmd), _IOC_TYPE(cmd), _IOC_NR(cmd), size);
}

/* How many bytes the kernel copies at once, or none of them when one cannot be. */
#if defined(__i386__) || defined(__riscv)
#define AT_ONCE 64
#else
#define AT_ONCE 1
#endif

ssize_t ck_copied(ssize_t n, ssize_t size)
{
	ck_assert_int_le(n, size);
	ck_assert_int_gt(n, size - AT_ONCE);
	return n;
}

void *buffer_across_pages(size_t size, size_t at)
{
	long page = sysconf(_SC_PAGESIZE);
	size_t before = (at + page - 1) / page * page;
	char *map = mmap(NULL, before + size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			 -1, 0);

	ck_assert_ptr_ne(map, MAP_FAILED);
	return map + before - at;
}

void forget_page(volatile void *page)
{
	ck_ok(madvise((void *)page, sysconf(_SC_PAGESIZE), MADV_DONTNEED));
}

void * const bad_pointer = (void *)8;

static bool asleep(pid_t tid)
{
	char path[64], text[512];
	char *state;
	ssize_t n;
	int fd;

	/* "running" while it is in user space, "-1 ..." outside a system call; UML has no such */
	snprintf(path, sizeof(path), "/proc/%d/syscall", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		if (n <= 0 || text[0] == 'r' || text[0] == '-')
			return false;
	}

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	state = strrchr(text, ')');
	return state && state[2] == 'S';
}

static sigjmp_buf bus_jump;

static void on_bus(int sig)
{
	siglongjmp(bus_jump, sig);
}

bool bus(volatile char *at, bool store)
{
	struct sigaction action = { .sa_handler = on_bus }, old;
	bool got = false;

	sigaction(SIGBUS, &action, &old);
	if (sigsetjmp(bus_jump, 1))
		got = true;
	else if (store)
		*at = 1;
	else
		(void)*at;
	sigaction(SIGBUS, &old, NULL);
	return got;
}

void wait_asleep(pid_t tid)
{
	wait_until(asleep(tid));
}

pid_t spawn(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		ck_abort_msg("fork: %s", strerror(errno));
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

int reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		ck_assert_int_eq(errno, EINTR);
	ck_assert_msg(WIFEXITED(status), "child killed by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

void drop_root(void)
{
	ck_ok(setgroups(0, NULL));
	ck_ok(setresgid(65534, 65534, 65534));
	ck_ok(setresuid(65534, 65534, 65534));
}

bool has_memory_cgroups(void)
{
	char controllers[512] = "";
	int fd = open("/sys/fs/cgroup/cgroup.controllers", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (read(fd, controllers, sizeof(controllers) - 1) < 0)
		controllers[0] = '\0';
	close(fd);
	return strstr(controllers, "memory");
}

bool kernel_from(int major, int minor)
{
	struct utsname name;
	int its_major, its_minor;

	uname(&name);
	if (sscanf(name.release, "%d.%d", &its_major, &its_minor) != 2)
		ck_abort_msg("what kernel is '%s'?", name.release);
	return its_major > major || (its_major == major && its_minor >= minor);
}

/* 5.19 and 6.0 have it, but their io_uring_cmd_done() is not told in which context it runs. */
bool kernel_has_uring_cmd(void)
{
	unsigned int count = IORING_OP_URING_CMD + 1;
	struct io_uring_probe *probe = calloc(1, sizeof(*probe) + count * sizeof(probe->ops[0]));
	struct io_uring_params params = { 0 };
	int ring = syscall(SYS_io_uring_setup, 1, &params);
	struct utsname name;
	bool has;

	has = !syscall(SYS_io_uring_register, ring, IORING_REGISTER_PROBE, probe, count) &&
	      probe->ops[IORING_OP_URING_CMD].flags & IO_URING_OP_SUPPORTED;
	close(ring);
	free(probe);
	uname(&name);
	return has && strncmp(name.release, "5.19.", 5) && strncmp(name.release, "6.0.", 4);
}

void queue_uring_cmd(struct io_uring *ring, int fd, unsigned int command, const void *payload,
		     size_t size)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	ck_assert_ptr_nonnull(sqe);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	sqe->cmd_op = command;
	memcpy(sqe->cmd, payload, size);
}

void enter_user_namespace(void)
{
	if (unshare(CLONE_NEWUSER) || spew("/proc/self/uid_map", "0 0 1"))
		_exit(1);
}

static void *io_run(void *arg)
{
	struct io_call *c = arg;

	__atomic_store_n(&c->tid, gettid(), __ATOMIC_RELEASE);
	c->ret = c->is_write ? write(c->fd, c->buf, c->size) : read(c->fd, c->buf, c->size);
	c->err = errno;
	__atomic_store_n(&c->done, true, __ATOMIC_RELEASE);
	return NULL;
}

void io_start(struct io_call *c, bool is_write, int fd, void *buf, size_t size)
{
	*c = (struct io_call){ .is_write = is_write, .fd = fd, .buf = buf, .size = size };
	ck_assert_int_eq(pthread_create(&c->thread, NULL, io_run, c), 0);
	wait_until(__atomic_load_n(&c->tid, __ATOMIC_ACQUIRE));
}

bool io_done(struct io_call *c)
{
	return __atomic_load_n(&c->done, __ATOMIC_ACQUIRE);
}

void io_start_and_block(struct io_call *c, bool is_write, int fd, void *buf, size_t size)
{
	io_start(c, is_write, fd, buf, size);
	wait_asleep(c->tid);
	ck_assert(!io_done(c));
}

void io_finish(struct io_call *c, ssize_t ret)
{
	wait_until(io_done(c));
	pthread_join(c->thread, NULL);
	ck_assert_msg(c->ret == ret, "returned %zd (%s), not %zd", c->ret, strerror(c->err), ret);
}

bool has_userfaultfd(void)
{
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (uffd >= 0)
		close(uffd);
	return uffd >= 0 || errno != ENOSYS;
}

char *stalling_page(int *uffd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	char *page;

	*uffd = ck_ok(syscall(SYS_userfaultfd, O_CLOEXEC));
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_ok(ioctl(*uffd, UFFDIO_API, &api));
	range.range.start = (unsigned long)page;
	range.range.len = 4096;
	ck_ok(ioctl(*uffd, UFFDIO_REGISTER, &range));
	return page;
}

void wait_for_fault(int uffd)
{
	struct uffd_msg msg;

	ck_assert_int_eq(read(uffd, &msg, sizeof(msg)), sizeof(msg));
	ck_assert_int_eq(msg.event, UFFD_EVENT_PAGEFAULT);
}

void end_stall(int uffd, char *page, char fill)
{
	static _Alignas(4096) char source[4096];
	struct uffdio_copy copy = {
		.dst = (unsigned long)page, .src = (unsigned long)source, .len = 4096,
	};

	memset(source, fill, sizeof(source));
	ck_ok(ioctl(uffd, UFFDIO_COPY, &copy));
	close(uffd);
}

void kill_stalled_call(int fd, bool is_write, size_t size)
{
	int told[2], status;
	pid_t pid;
	char c;

	ck_ok(pipe(told));
	pid = spawn();
	if (!pid) {
		struct io_call call;
		int uffd;

		io_start(&call, is_write, fd, stalling_page(&uffd), size);
		wait_for_fault(uffd);
		ck_assert_int_eq(write(told[1], "!", 1), 1);
		pause();
	}
	ck_assert_int_eq(read(told[0], &c, 1), 1);
	ck_ok(kill(pid, SIGKILL));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
}

long sleeps_of(pid_t tid)
{
	char path[64], *status, *found;
	long n;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	status = slurp(path);
	found = strstr(status, "\nvoluntary_ctxt_switches:");
	ck_assert_ptr_nonnull(found);
	n = atol(strchr(found, ':') + 1);
	free(status);
	return n;
}

bool spinlocks_sleep(void)
{
	return file_has("/proc/version", "PREEMPT_RT");
}

bool has_ram_disk(void)
{
	return !system("modprobe brd rd_nr=1 rd_size=49152 2>/dev/null") && exists(RAM_DISK);
}

bool has_debug_shirq(void)
{
	return exists("/proc/config.gz") &&
	       !system("zcat /proc/config.gz | grep -qx CONFIG_DEBUG_SHIRQ=y");
}

void make_cgroup(void)
{
	rmdir(CGROUP);		/* of a test that failed */
	ck_assert_int_eq(spew("/sys/fs/cgroup/cgroup.subtree_control", "+memory"), 0);
	ck_ok(mkdir(CGROUP, 0755));
}

long long charged(void)
{
	return slurp_number(CGROUP "/memory.current");
}

bool sendfile_reads_devices(void)
{
	int zero = open("/dev/zero", O_RDONLY), file = memfd_create("kmktest", 0);
	bool does = sendfile(file, zero, NULL, 1) == 1;

	close(zero);
	close(file);
	return does;
}

#define PROGRAM32 "/tests/program32"

bool runs_32_bits(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		execl(PROGRAM32, PROGRAM32, NULL);
		_exit(errno == ENOEXEC || !PC);	/* it is built for a PC only */
	}
	return waitpid(pid, &status, 0) == pid && !status;
}

void use_from_32_bits(const char *path)
{
	pid_t pid = spawn();

	if (!pid) {
		execl(PROGRAM32, PROGRAM32, path, NULL);
		perror(PROGRAM32);
		_exit(1);
	}
	ck_assert_int_eq(reap(pid), 0);
}

static struct {
	const char *name, *why;
} skipped[64];
static size_t skips;

void skip_test(const char *name, const char *why)
{
	if (skips == sizeof(skipped) / sizeof(*skipped)) {
		fprintf(stderr, "too many skipped tests\n");
		exit(2);
	}
	skipped[skips].name = name;
	skipped[skips++].why = why;
}

/* libcheck's own TAP, to which the skipped tests and the plan are added. */
static int print_tap(FILE *tap)
{
	char line[16384];
	int tests = 0;
	size_t i;

	rewind(tap);
	while (fgets(line, sizeof(line), tap)) {
		if (!strncmp(line, "1..", 3))
			continue;
		if (!strncmp(line, "ok ", 3) || !strncmp(line, "not ok ", 7))
			tests++;
		fputs(line, stdout);
	}
	for (i = 0; i < skips; i++)
		printf("ok %d - %s # SKIP %s\n", ++tests, skipped[i].name, skipped[i].why);
	printf("1..%d\n", tests);
	return tests;
}

int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	char path[] = "/tmp/kmktest.XXXXXX";
	int fd = mkstemp(path), failed;
	FILE *tap;

	tap = fd < 0 ? NULL : fdopen(fd, "r");
	if (!tap) {
		perror(path);
		return 2;
	}
	srunner_set_tap(runner, path);
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	if (!print_tap(tap))
		failed = 1;		/* no test was run: that is no success */
	srunner_free(runner);
	fclose(tap);
	unlink(path);
	return failed ? 1 : 0;
}
