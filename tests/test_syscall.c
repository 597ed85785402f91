// SPDX-License-Identifier: GPL-2.0
/* kmk_syscall: /dev/syscall_ext: single calls, batches, io_uring, 32-bit callers. */
#define _GNU_SOURCE
#include "kmktest.h"

#include <fcntl.h>
#include <kmodkit/syscall_ext.h>
#include <limits.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define NODE "/dev/syscall_ext"
#define UNTOUCHED 0x5ca1ab1e5ca1ab1eLL

static int fd = -1;

static void load(void)
{
	ck_assert_int_eq(module_load("kmk_syscall", ""), 0);
	wait_until(exists(NODE));
	fd = ck_ok(open(NODE, O_RDWR | O_CLOEXEC));
}

static void unload(void)
{
	close(fd);
	ck_assert_int_eq(module_unload("kmk_syscall"), 0);
	ck_assert(!module_loaded("kmk_syscall"));
	wait_until(!exists(NODE));
}

/* A test that failed leaves the module behind; the next one must not suffer. */
static void clean_start(void)
{
	wait_until(!module_loaded("kmk_syscall") || !module_unload("kmk_syscall"));
}

static struct custom_syscall_data call_of(uint64_t operation, uint64_t p1, uint64_t p2)
{
	return (struct custom_syscall_data){ operation, p1, p2, UNTOUCHED };
}

/* The ways to make one call: each returns 0 or -errno. */
typedef int (*way)(struct custom_syscall_data *data);

static int by_ioctl(struct custom_syscall_data *data)
{
	return custom_syscall(fd, data) ? -errno : 0;
}

static int by_batch(struct custom_syscall_data *data)
{
	int32_t error = 12345;
	struct custom_syscall_batch batch = {
		.calls = (uintptr_t)data, .errors = (uintptr_t)&error,
		.count = 1, .size = sizeof(*data),
	};
	int good = ck_ok(custom_syscall_batch(fd, &batch));

	ck_assert_int_eq(good, !error);
	return error;
}

/* ---- io_uring, without a library ---- */

struct ring {
	int fd;
	unsigned int *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	char *area;
	size_t area_size, sqes_size;
};

static void ring_set_up(struct ring *ring, unsigned int flags)
{
	struct io_uring_params p = { .flags = flags };

	ring->fd = ck_ok(syscall(SYS_io_uring_setup, 128, &p));
	ck_assert(p.features & IORING_FEAT_SINGLE_MMAP);
	ring->area_size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	if (ring->area_size < p.sq_off.array + p.sq_entries * sizeof(unsigned int))
		ring->area_size = p.sq_off.array + p.sq_entries * sizeof(unsigned int);
	ring->area = mmap(NULL, ring->area_size, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQ_RING);
	ck_assert_ptr_ne(ring->area, MAP_FAILED);
	ring->sqes_size = p.sq_entries * sizeof(struct io_uring_sqe);
	ring->sqes = mmap(NULL, ring->sqes_size, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES);
	ck_assert_ptr_ne(ring->sqes, MAP_FAILED);
	ring->sq_tail = (void *)(ring->area + p.sq_off.tail);
	ring->sq_mask = (void *)(ring->area + p.sq_off.ring_mask);
	ring->sq_array = (void *)(ring->area + p.sq_off.array);
	ring->cq_head = (void *)(ring->area + p.cq_off.head);
	ring->cq_tail = (void *)(ring->area + p.cq_off.tail);
	ring->cq_mask = (void *)(ring->area + p.cq_off.ring_mask);
	ring->cqes = (void *)(ring->area + p.cq_off.cqes);
}

static void ring_open(struct ring *ring)
{
	ring_set_up(ring, 0);
}

static void ring_close(struct ring *ring)
{
	munmap(ring->area, ring->area_size);
	munmap(ring->sqes, ring->sqes_size);
	close(ring->fd);
}

/* The next free entry, zeroed; ring_submit() hands over all since the last. */
static struct io_uring_sqe *ring_entry(struct ring *ring)
{
	unsigned int tail = *ring->sq_tail, index = tail & *ring->sq_mask;

	ring->sq_array[index] = index;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
	memset(&ring->sqes[index], 0, sizeof(ring->sqes[index]));
	return &ring->sqes[index];
}

static void ring_command(struct ring *ring, uint32_t cmd, const void *argument,
			 uint64_t reserved, uint64_t user_data)
{
	struct io_uring_sqe *sqe = ring_entry(ring);
	struct custom_syscall_uring uring = { (uintptr_t)argument, reserved };

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	sqe->cmd_op = cmd;
	sqe->user_data = user_data;
	memcpy(sqe->cmd, &uring, sizeof(uring));
}

static void ring_submit(struct ring *ring, unsigned int count, unsigned int wait)
{
	ck_assert_int_eq(syscall(SYS_io_uring_enter, ring->fd, count, wait,
				 wait ? IORING_ENTER_GETEVENTS : 0, NULL, 0), count);
}

static bool ring_next(struct ring *ring, struct io_uring_cqe *cqe)
{
	unsigned int head = *ring->cq_head;

	if (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE))
		return false;
	*cqe = ring->cqes[head & *ring->cq_mask];
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	return true;
}

static int ring_run(uint32_t cmd, const void *argument, uint64_t reserved)
{
	struct io_uring_cqe cqe;
	struct ring ring;

	ring_open(&ring);
	ring_command(&ring, cmd, argument, reserved, 77);
	ring_submit(&ring, 1, 1);
	ck_assert(ring_next(&ring, &cqe));
	ck_assert_uint_eq(cqe.user_data, 77);
	ck_assert_uint_eq(cqe.flags, 0);
	ck_assert(!ring_next(&ring, &cqe));
	ring_close(&ring);
	return cqe.res;
}

static int by_uring(struct custom_syscall_data *data)
{
	return ring_run(CUSTOM_SYSCALL, data, 0);
}

/* Linux 6.7, and RHEL 9.6, lets a driver cancel its commands. */
static bool sleeps_are_cancelled;

/* The threads of this process, of which the workers of io_uring are some. */
static int threads(void)
{
	struct stat st;

	ck_ok(stat("/proc/self/task", &st));
	return st.st_nlink - 2;
}

/* ---- loading ---- */

START_TEST(default_state)
{
	struct stat st;
	pid_t pid;

	load();
	unload();
	log_mark();
	load();
	ck_assert_int_eq(log_count("kmk_syscall: loaded"), 1);
	ck_ok(stat(NODE, &st));
	ck_assert_int_eq(st.st_mode, S_IFCHR | 0666);
	ck_errno(lseek(fd, 0, SEEK_SET), ESPIPE);
	ck_errno(read(fd, &st, 1), EINVAL);
	ck_errno(write(fd, &st, 1), EINVAL);

	pid = spawn();
	if (!pid) {
		struct custom_syscall_data data = call_of(CUSTOM_SYSCALL_ADD, 2, 3);

		drop_root();
		fd = open(NODE, O_RDONLY);
		_exit(fd >= 0 && !custom_syscall(fd, &data) && data.result == 5 ? 0 : 1);
	}
	ck_assert_int_eq(reap(pid), 0);
	unload();
	ck_assert_int_eq(log_count("kmk_syscall: unloaded"), 1);
	ck_assert_int_eq(log_count("kmk_syscall:"), 2);
	ck_assert_int_eq(module_unload("kmk_syscall"), -ENOENT);
}
END_TEST

START_TEST(in_use)
{
	struct custom_syscall_data data = call_of(CUSTOM_SYSCALL_ADD, 1, 1);

	load();
	ck_assert_int_eq(module_load("kmk_syscall", ""), -EEXIST);
	ck_assert_int_eq(module_unload("kmk_syscall"), -EWOULDBLOCK);
	ck_assert_int_eq(by_ioctl(&data), 0);
	unload();
	load();
	unload();
}
END_TEST

static const struct {
	const char *params;
	int err;
	unsigned int mode;	/* of the node, when loaded */
	const char *said;
} modes[] = {
	{ "mode=0600", 0, 0600, NULL },
	{ "mode=0777", 0, 0777, NULL },
	{ "mode=0", 0, 0, NULL },
	{ "mode=440", 0, 0440, NULL },
	{ "mode=01000", -EINVAL, 0, "kmk_syscall: `01000' invalid for parameter `mode'" },
	{ "mode=0x1ff", -EINVAL, 0, "kmk_syscall: `0x1ff' invalid for parameter `mode'" },
	{ "mode=rw", -EINVAL, 0, NULL },
	{ "mode=-1", -EINVAL, 0, NULL },
	{ "mode=200000", -EINVAL, 0, NULL },
};

START_TEST(mode_parameter)
{
	struct stat st;
	char shown[8];

	log_mark();
	ck_assert_int_eq(module_load("kmk_syscall", modes[_i].params), modes[_i].err);
	if (modes[_i].said)
		ck_assert_int_eq(log_count(modes[_i].said), 1);
	ck_assert(exists(NODE) == !modes[_i].err);
	if (modes[_i].err)
		return;
	ck_ok(stat(NODE, &st));
	ck_assert_uint_eq(st.st_mode, S_IFCHR | modes[_i].mode);
	snprintf(shown, sizeof(shown), "%04o\n", modes[_i].mode);
	ck_assert(file_has("/sys/module/kmk_syscall/parameters/mode", shown));
	ck_assert_int_eq(module_unload("kmk_syscall"), 0);
}
END_TEST

START_TEST(mode_keeps_others_out)
{
	pid_t pid;

	ck_assert_int_eq(module_load("kmk_syscall", "mode=0600"), 0);
	pid = spawn();
	if (!pid) {
		drop_root();
		ck_errno(open(NODE, O_RDWR), EACCES);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_eq(module_unload("kmk_syscall"), 0);
}
END_TEST

START_TEST(unknown_parameter)
{
	log_mark();
	ck_assert_int_eq(module_load("kmk_syscall", "nonsense=1"), 0);
	ck_assert_int_eq(log_count("kmk_syscall: unknown parameter 'nonsense' ignored"), 1);
	ck_assert_int_eq(module_unload("kmk_syscall"), 0);
}
END_TEST

/* ---- what the operations do, by every way ---- */

#define MAX ((uint64_t)INT64_MAX)

static const struct {
	uint64_t operation, p1, p2;
	int err;
	int64_t result;
} calls[] = {
	{ CUSTOM_SYSCALL_ADD, 0, 0, 0, 0 },
	{ CUSTOM_SYSCALL_ADD, 40, 2, 0, 42 },
	{ CUSTOM_SYSCALL_ADD, MAX, 0, 0, INT64_MAX },
	{ CUSTOM_SYSCALL_ADD, 0, MAX, 0, INT64_MAX },
	{ CUSTOM_SYSCALL_ADD, MAX - 1, 1, 0, INT64_MAX },
	{ CUSTOM_SYSCALL_ADD, MAX, 1, -EOVERFLOW, 0 },
	{ CUSTOM_SYSCALL_ADD, 1, MAX, -EOVERFLOW, 0 },
	{ CUSTOM_SYSCALL_ADD, MAX + 1, 0, -EOVERFLOW, 0 },
	{ CUSTOM_SYSCALL_ADD, UINT64_MAX, 0, -EOVERFLOW, 0 },
	{ CUSTOM_SYSCALL_ADD, UINT64_MAX, 1, -EOVERFLOW, 0 },	/* 0 modulo 2^64 */
	{ CUSTOM_SYSCALL_ADD, UINT64_MAX, UINT64_MAX, -EOVERFLOW, 0 },
	{ CUSTOM_SYSCALL_MULTIPLY, 0, 0, 0, 0 },
	{ CUSTOM_SYSCALL_MULTIPLY, 6, 7, 0, 42 },
	{ CUSTOM_SYSCALL_MULTIPLY, 0, UINT64_MAX, 0, 0 },
	{ CUSTOM_SYSCALL_MULTIPLY, UINT64_MAX, 0, 0, 0 },
	{ CUSTOM_SYSCALL_MULTIPLY, MAX, 1, 0, INT64_MAX },
	{ CUSTOM_SYSCALL_MULTIPLY, 3037000499, 3037000499, 0, 9223372030926249001 },
	{ CUSTOM_SYSCALL_MULTIPLY, 3037000500, 3037000500, -EOVERFLOW, 0 },
	{ CUSTOM_SYSCALL_MULTIPLY, 1ULL << 32, 1ULL << 31, -EOVERFLOW, 0 },
	{ CUSTOM_SYSCALL_MULTIPLY, 1ULL << 32, 1ULL << 32, -EOVERFLOW, 0 },	/* 0 modulo 2^64 */
	{ CUSTOM_SYSCALL_MULTIPLY, 1ULL << 31, 1ULL << 31, 0, 1LL << 62 },
	{ CUSTOM_SYSCALL_MULTIPLY, MAX + 1, 1, -EOVERFLOW, 0 },
	{ CUSTOM_SYSCALL_MULTIPLY, UINT64_MAX, UINT64_MAX, -EOVERFLOW, 0 },
	{ CUSTOM_SYSCALL_IDENTIFIER, 0, 0, 0, 0x12345678 },
	{ CUSTOM_SYSCALL_IDENTIFIER, UINT64_MAX, UINT64_MAX, 0, 0x12345678 },
	{ CUSTOM_SYSCALL_SLEEP, 0, 0, 0, 0 },
	{ CUSTOM_SYSCALL_SLEEP, 1, UINT64_MAX, 0, 0 },
	{ CUSTOM_SYSCALL_SLEEP, 10001, 0, -EINVAL, 0 },
	{ CUSTOM_SYSCALL_SLEEP, MAX, 0, -EINVAL, 0 },
	{ CUSTOM_SYSCALL_SLEEP, UINT64_MAX, 0, -EINVAL, 0 },
	{ 0, 1, 1, -EINVAL, 0 },
	{ 6, 1, 1, -EINVAL, 0 },
	{ 1ULL << 32 | CUSTOM_SYSCALL_ADD, 1, 1, -EINVAL, 0 },
	{ UINT64_MAX, 1, 1, -EINVAL, 0 },
};

static void check_calls(way make)
{
	size_t i;

	load();
	for (i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		struct custom_syscall_data data =
			call_of(calls[i].operation, calls[i].p1, calls[i].p2);
		int err = make(&data);

		ck_assert_msg(err == calls[i].err, "row %zu: %d", i, err);
		ck_assert_msg(data.result == (err ? UNTOUCHED : calls[i].result),
			      "row %zu: result %lld", i, (long long)data.result);
		ck_assert_uint_eq(data.operation, calls[i].operation);
		ck_assert_uint_eq(data.parameter1, calls[i].p1);
		ck_assert_uint_eq(data.parameter2, calls[i].p2);
	}
	unload();
}

START_TEST(operations) { check_calls(by_ioctl); } END_TEST
START_TEST(operations_in_a_batch) { check_calls(by_batch); } END_TEST
START_TEST(operations_by_io_uring) { check_calls(by_uring); } END_TEST

static int64_t clock_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void check_uptime(void)
{
	struct custom_syscall_data data = call_of(CUSTOM_SYSCALL_UPTIME, 1, 2);
	int64_t before = clock_ms(CLOCK_BOOTTIME);

	ck_assert_int_eq(by_ioctl(&data), 0);
	ck_assert_int_ge(data.result, before);
	ck_assert_int_le(data.result, clock_ms(CLOCK_BOOTTIME));
}

START_TEST(uptime)
{
	load();
	check_uptime();
	unload();
}
END_TEST

START_TEST(uptime_of_a_time_namespace)
{
	pid_t pid;

	load();
	ck_ok(unshare(CLONE_NEWTIME));
	ck_assert_int_eq(spew("/proc/self/timens_offsets", "boottime 86400 0\n"), 0);
	pid = spawn();
	if (!pid) {
		struct custom_syscall_data data = call_of(CUSTOM_SYSCALL_UPTIME, 0, 0);

		check_uptime();
		_exit(!by_ioctl(&data) && data.result >= 86400000 ? 0 : 1);
	}
	ck_assert_int_eq(reap(pid), 0);
	unload();
}
END_TEST

START_TEST(sleeps_as_long_as_told)
{
	struct custom_syscall_data data = call_of(CUSTOM_SYSCALL_SLEEP, 120, 0);
	int64_t before = clock_ms(CLOCK_MONOTONIC);

	load();
	before = clock_ms(CLOCK_MONOTONIC);
	ck_assert_int_eq(by_ioctl(&data), 0);
	ck_assert_int_ge(clock_ms(CLOCK_MONOTONIC) - before, 119);
	ck_assert_int_eq(data.result, 0);
	unload();
}
END_TEST

/* ---- the timer slack of the task ---- */

#define SLACK 123456789

/* Is there a timer that may fire so much later than it should? */
static bool timer_with_slack(void)
{
	char *text = slurp("/proc/timer_list"), *at = text;
	unsigned long long soft, hard;
	bool found = false;

	while (!found && (at = strstr(at, "# expires at "))) {
		at += strlen("# expires at ");
		found = sscanf(at, "%llu-%llu", &soft, &hard) == 2 && hard - soft == SLACK;
	}
	free(text);
	return found;
}

static void check_slack(way make)
{
	pid_t pid;

	load();
	pid = spawn();
	if (!pid) {
		struct custom_syscall_data data = call_of(CUSTOM_SYSCALL_SLEEP, 9000, 0);

		ck_ok(prctl(PR_SET_TIMERSLACK, SLACK));
		_exit(make(&data) != 0);
	}
	wait_until(timer_with_slack());
	ck_ok(kill(pid, SIGKILL));
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	close(fd);
	wait_until(!timer_with_slack());
	wait_until(module_unload("kmk_syscall") == 0);
}

START_TEST(timer_slack) { check_slack(by_ioctl); } END_TEST
START_TEST(timer_slack_by_io_uring) { check_slack(by_uring); } END_TEST

/* ---- signals ---- */

static void on_signal(int number)
{
	(void)number;
}

static void catch_signal(int flags)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };

	ck_ok(sigaction(SIGUSR1, &action, NULL));
}

struct sleeper {
	way make;
	struct custom_syscall_data data;
	atomic_int tid;
	int err;
};

static void *go_to_sleep(void *p)
{
	struct sleeper *sleeper = p;

	sleeper->tid = syscall(SYS_gettid);
	sleeper->err = sleeper->make(&sleeper->data);
	return NULL;
}

static void check_interrupted(way make, int flags)
{
	struct sleeper sleeper = {
		.make = make,
		.data = call_of(CUSTOM_SYSCALL_SLEEP, CUSTOM_SYSCALL_SLEEP_MAX, 0),
	};
	int64_t before, slept;
	pthread_t thread;

	load();
	catch_signal(flags);
	before = clock_ms(CLOCK_MONOTONIC);
	ck_assert_int_eq(pthread_create(&thread, NULL, go_to_sleep, &sleeper), 0);
	wait_until(sleeper.tid);
	wait_asleep(sleeper.tid);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	slept = clock_ms(CLOCK_MONOTONIC) - before;
	ck_assert_int_eq(sleeper.err, -EINTR);
	ck_assert_int_gt(sleeper.data.result, 0);
	ck_assert_int_le(sleeper.data.result, CUSTOM_SYSCALL_SLEEP_MAX);
	/* what was slept and the rest are the whole */
	ck_assert_int_ge(sleeper.data.result + slept, CUSTOM_SYSCALL_SLEEP_MAX - 1);
	unload();
}

START_TEST(interrupted_sleep)
{
	check_interrupted(by_ioctl, 0);
}
END_TEST

START_TEST(interrupted_sleep_is_not_restarted)
{
	check_interrupted(by_ioctl, SA_RESTART);
}
END_TEST

START_TEST(interrupted_sleep_in_a_batch)
{
	check_interrupted(by_batch, 0);
}
END_TEST

START_TEST(killed_sleep)
{
	pid_t pid;
	int status;

	load();
	pid = spawn();
	if (!pid) {
		struct custom_syscall_data data = call_of(CUSTOM_SYSCALL_SLEEP, 10000, 0);

		_exit(custom_syscall(fd, &data) ? 1 : 2);
	}
	wait_asleep(pid);
	ck_ok(kill(pid, SIGKILL));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	unload();
}
END_TEST

/* ---- addresses, commands, sizes ---- */

START_TEST(bad_addresses)
{
	struct custom_syscall_data *data;
	char *edge;

	load();
	ck_errno(custom_syscall(fd, NULL), EFAULT);
	ck_errno(custom_syscall(fd, BAD_POINTER), EFAULT);
	ck_errno(custom_syscall(fd, (void *)-1L), EFAULT);
	ck_errno(custom_syscall(fd, (void *)-4096L), EFAULT);
	ck_errno(custom_syscall(fd, (void *)LONG_MIN), EFAULT);	/* of 64 bits: the kernel's half */
	/* just enough, one byte less, and a result that cannot be written */
	edge = buffer_before_hole(sizeof(*data));
	data = (void *)edge;
	*data = call_of(CUSTOM_SYSCALL_ADD, 1, 2);
	ck_assert_int_eq(by_ioctl(data), 0);
	ck_assert_int_eq(data->result, 3);
	memmove(edge + 1, edge, sizeof(*data) - 1);
	ck_errno(custom_syscall(fd, (void *)(edge + 1)), EFAULT);
	memmove(edge + 8, edge + 1, sizeof(*data) - 8);
	ck_errno(custom_syscall(fd, (void *)(edge + 8)), EFAULT);

	data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(data, MAP_FAILED);
	*data = call_of(CUSTOM_SYSCALL_ADD, 1, 2);
	ck_ok(mprotect(data, 4096, PROT_READ));
	ck_errno(custom_syscall(fd, data), EFAULT);
	ck_assert_int_eq(data->result, UNTOUCHED);
	/* an error that writes nothing needs no writable memory */
	ck_ok(mprotect(data, 4096, PROT_READ | PROT_WRITE));
	*data = call_of(99, 1, 2);
	ck_ok(mprotect(data, 4096, PROT_READ));
	ck_errno(custom_syscall(fd, data), EINVAL);
	unload();
}
END_TEST

START_TEST(misaligned_is_fine)
{
	struct custom_syscall_data data = call_of(CUSTOM_SYSCALL_MULTIPLY, 3, 5);
	char raw[sizeof(data) + 1];

	load();
	memcpy(raw + 1, &data, sizeof(data));
	ck_ok(custom_syscall(fd, (void *)(raw + 1)));
	memcpy(&data, raw + 1, sizeof(data));
	ck_assert_int_eq(data.result, 15);
	unload();
}
END_TEST

START_TEST(unknown_commands)
{
	static const unsigned int commands[] = {
		0, 1, 0x1001, 0x5401, UINT_MAX,
		_IO(CUSTOM_SYSCALL_MAGIC, 0),
		_IOR(CUSTOM_SYSCALL_MAGIC, 0, struct custom_syscall_data),
		_IOW(CUSTOM_SYSCALL_MAGIC, 0, struct custom_syscall_data),
		_IOWR(CUSTOM_SYSCALL_MAGIC, 1, struct custom_syscall_batch),
		_IOWR(CUSTOM_SYSCALL_MAGIC, 2, struct custom_syscall_data),
		_IOWR(CUSTOM_SYSCALL_MAGIC + 1, 0, struct custom_syscall_data),
	};
	struct custom_syscall_data data = call_of(CUSTOM_SYSCALL_ADD, 1, 2);
	size_t i;

	load();
	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		ck_errno(ioctl(fd, commands[i], &data), ENOTTY);
	ck_assert_int_eq(data.result, UNTOUCHED);
	unload();
}
END_TEST

/* Programs that were built for other versions of the structure. */
START_TEST(extensible)
{
	struct {
		struct custom_syscall_data data;
		unsigned char tail[8192];
	} big = { .data = call_of(CUSTOM_SYSCALL_ADD, 1, 2) };
	const unsigned int known = sizeof(big.data);
	unsigned int size;
	char *edge;

	load();
	for (size = 0; size < known; size++)
		ck_errno(ioctl(fd, sized(CUSTOM_SYSCALL, size), &big), EINVAL);
	ck_assert_int_eq(big.data.result, UNTOUCHED);
	for (size = known; size <= 4096; size += size < 64 ? 1 : 509) {
		big.data.result = UNTOUCHED;
		ck_assert_int_eq(ioctl(fd, sized(CUSTOM_SYSCALL, size), &big), 0);
		ck_assert_int_eq(big.data.result, 3);
	}
	ck_assert_int_eq(ioctl(fd, sized(CUSTOM_SYSCALL, 4096), &big), 0);
	ck_errno(ioctl(fd, sized(CUSTOM_SYSCALL, 4097), &big), E2BIG);
	ck_errno(ioctl(fd, sized(CUSTOM_SYSCALL, 8191), &big), E2BIG);

	/* a field that this kernel does not know, first and last byte of the tail */
	big.data.result = UNTOUCHED;
	big.tail[0] = 1;
	ck_errno(ioctl(fd, sized(CUSTOM_SYSCALL, known + 1), &big), E2BIG);
	ck_errno(ioctl(fd, sized(CUSTOM_SYSCALL, known + 8), &big), E2BIG);
	ck_assert_int_eq(ioctl(fd, CUSTOM_SYSCALL, &big), 0);
	big.data.result = UNTOUCHED;
	big.tail[0] = 0;
	big.tail[99] = 0x80;
	ck_errno(ioctl(fd, sized(CUSTOM_SYSCALL, known + 100), &big), E2BIG);
	ck_assert_int_eq(big.data.result, UNTOUCHED);
	ck_assert_int_eq(ioctl(fd, sized(CUSTOM_SYSCALL, known + 99), &big), 0);

	/* a tail that is not there */
	edge = buffer_before_hole(known + 8);
	memset(edge, 0, known + 8);
	memcpy(edge, &big.data, known);
	ck_assert_int_eq(ioctl(fd, sized(CUSTOM_SYSCALL, known + 8), edge), 0);
	ck_errno(ioctl(fd, sized(CUSTOM_SYSCALL, known + 9), edge), EFAULT);
	unload();
}
END_TEST

/* ---- batches ---- */

struct load {
	struct custom_syscall_data calls[CUSTOM_SYSCALL_BATCH_MAX + 1];
	int32_t errors[CUSTOM_SYSCALL_BATCH_MAX + 1];
};

static struct custom_syscall_batch batch_of(struct load *load, uint32_t count)
{
	return (struct custom_syscall_batch){
		.calls = (uintptr_t)load->calls, .errors = (uintptr_t)load->errors,
		.count = count, .size = sizeof(load->calls[0]),
	};
}

static int by_batch_ioctl(const struct custom_syscall_batch *batch)
{
	int ret = custom_syscall_batch(fd, batch);

	return ret < 0 ? -errno : ret;
}

static int by_batch_uring(const struct custom_syscall_batch *batch)
{
	return ring_run(CUSTOM_SYSCALL_BATCH, batch, 0);
}

typedef int (*batch_way)(const struct custom_syscall_batch *batch);

/* Every kind of call, good and bad, mixed. */
static void check_batch(batch_way make, uint32_t count)
{
	const size_t rows = sizeof(calls) / sizeof(*calls);
	struct load *load = calloc(1, sizeof(*load));
	struct custom_syscall_batch batch;
	uint32_t i, good = 0;

	ck_assert_ptr_nonnull(load);
	for (i = 0; i <= CUSTOM_SYSCALL_BATCH_MAX; i++) {
		size_t row = i % rows;

		/* sleeping a thousand times would only take long */
		if (calls[row].operation == CUSTOM_SYSCALL_SLEEP && calls[row].p1 == 1 && i > 200)
			row = 0;
		load->calls[i] = call_of(calls[row].operation, calls[row].p1, calls[row].p2);
		load->errors[i] = 12345;
		if (i < count)
			good += !calls[row].err;
	}
	batch = batch_of(load, count);
	ck_assert_int_eq(make(&batch), good);
	for (i = 0; i <= CUSTOM_SYSCALL_BATCH_MAX; i++) {
		size_t row = i % rows;
		int error = i < count ? calls[row].err : 12345;

		ck_assert_msg(load->errors[i] == error, "call %u: %d", i, load->errors[i]);
		if (calls[row].operation != CUSTOM_SYSCALL_SLEEP)
			ck_assert_int_eq(load->calls[i].result,
					 error ? UNTOUCHED : calls[row].result);
	}
	free(load);
}

static const uint32_t batch_sizes[] = { 0, 1, 2, 64, 100, 4095, 4096 };

START_TEST(batches)
{
	load();
	check_batch(by_batch_ioctl, batch_sizes[_i]);
	unload();
}
END_TEST

START_TEST(batches_by_io_uring)
{
	load();
	check_batch(by_batch_uring, batch_sizes[_i]);
	unload();
}
END_TEST

START_TEST(batch_limits)
{
	struct load *load_ = calloc(1, sizeof(*load_));
	struct custom_syscall_batch batch;

	ck_assert_ptr_nonnull(load_);
	load();
	batch = batch_of(load_, CUSTOM_SYSCALL_BATCH_MAX + 1);
	ck_errno(custom_syscall_batch(fd, &batch), EINVAL);
	batch = batch_of(load_, UINT32_MAX);
	ck_errno(custom_syscall_batch(fd, &batch), EINVAL);
	batch = batch_of(load_, 1);
	batch.size = 0;
	ck_errno(custom_syscall_batch(fd, &batch), EINVAL);
	batch.size = sizeof(struct custom_syscall_data) - 1;
	ck_errno(custom_syscall_batch(fd, &batch), EINVAL);
	batch.size = 4097;
	ck_errno(custom_syscall_batch(fd, &batch), E2BIG);
	batch.size = UINT32_MAX;
	ck_errno(custom_syscall_batch(fd, &batch), E2BIG);
	/* nothing to do, nothing looked at */
	batch = (struct custom_syscall_batch){ .size = sizeof(struct custom_syscall_data) };
	ck_assert_int_eq(custom_syscall_batch(fd, &batch), 0);
	free(load_);
	unload();
}
END_TEST

START_TEST(batch_extensible)
{
	struct {
		struct custom_syscall_batch batch;
		unsigned char tail[64];
	} big = { .tail = { 0 } };
	struct {
		struct custom_syscall_data data;
		uint64_t unknown;
	} wide[3] = { 0 };
	struct custom_syscall_data one = call_of(CUSTOM_SYSCALL_ADD, 1, 2);
	int32_t errors[3] = { 1, 1, 1 };
	unsigned int size, i;

	load();
	big.batch = (struct custom_syscall_batch){
		.calls = (uintptr_t)&one, .errors = (uintptr_t)errors,
		.count = 1, .size = sizeof(one),
	};
	for (size = 0; size < sizeof(big.batch); size++)
		ck_errno(ioctl(fd, sized(CUSTOM_SYSCALL_BATCH, size), &big), EINVAL);
	ck_assert_int_eq(ioctl(fd, sized(CUSTOM_SYSCALL_BATCH, sizeof(big)), &big), 1);
	big.tail[63] = 1;
	ck_errno(ioctl(fd, sized(CUSTOM_SYSCALL_BATCH, sizeof(big)), &big), E2BIG);
	ck_errno(ioctl(fd, sized(CUSTOM_SYSCALL_BATCH, 4097), &big), E2BIG);

	/* elements with a tail; a bad one is that call's own error */
	for (i = 0; i < 3; i++)
		wide[i].data = call_of(CUSTOM_SYSCALL_MULTIPLY, i, 10);
	wide[1].unknown = 1ULL << 63;
	big.batch.calls = (uintptr_t)wide;
	big.batch.count = 3;
	big.batch.size = sizeof(wide[0]);
	ck_assert_int_eq(custom_syscall_batch(fd, &big.batch), 2);
	ck_assert_int_eq(errors[0], 0);
	ck_assert_int_eq(errors[1], -E2BIG);
	ck_assert_int_eq(errors[2], 0);
	ck_assert_int_eq(wide[1].data.result, UNTOUCHED);
	ck_assert_int_eq(wide[2].data.result, 20);
	unload();
}
END_TEST

START_TEST(batch_bad_addresses)
{
	struct custom_syscall_data *data = buffer_before_hole(3 * sizeof(*data));
	int32_t *few = buffer_before_hole(2 * sizeof(*few));
	int32_t errors[5] = { 1, 1, 1, 1, 1 };
	struct custom_syscall_batch batch = {
		.calls = (uintptr_t)data, .errors = (uintptr_t)errors,
		.count = 5, .size = sizeof(*data),
	};
	int i;

	load();
	ck_errno(custom_syscall_batch(fd, NULL), EFAULT);
	ck_errno(custom_syscall_batch(fd, BAD_POINTER), EFAULT);

	/* calls that are not there have each their own error */
	for (i = 0; i < 3; i++)
		data[i] = call_of(CUSTOM_SYSCALL_ADD, i, 1);
	ck_assert_int_eq(custom_syscall_batch(fd, &batch), 3);
	for (i = 0; i < 5; i++)
		ck_assert_int_eq(errors[i], i < 3 ? 0 : -EFAULT);
	ck_assert_int_eq(data[2].result, 3);
	batch.calls = UINT64_MAX - 100;
	ck_assert_int_eq(custom_syscall_batch(fd, &batch), 0);
	for (i = 0; i < 5; i++)
		ck_assert_int_eq(errors[i], -EFAULT);
	batch.calls = 1ULL << 63;
	ck_assert_int_eq(custom_syscall_batch(fd, &batch), 0);

	/* a place for the errors that is not there fails the batch */
	batch.calls = (uintptr_t)data;
	batch.errors = (uintptr_t)few;
	batch.count = 2;
	ck_assert_int_eq(custom_syscall_batch(fd, &batch), 2);
	batch.count = 3;
	ck_errno(custom_syscall_batch(fd, &batch), EFAULT);
	batch.errors = 0;
	ck_errno(custom_syscall_batch(fd, &batch), EFAULT);
	batch.errors = 1ULL << 63;
	ck_errno(custom_syscall_batch(fd, &batch), EFAULT);
	batch.errors = UINT64_MAX - 4;
	ck_errno(custom_syscall_batch(fd, &batch), EFAULT);
	unload();
}
END_TEST

struct batch_sleeper {
	struct load load;
	atomic_int tid;
	int ret;
};

static void *sleep_in_a_batch(void *p)
{
	struct batch_sleeper *sleeper = p;
	struct custom_syscall_batch batch = batch_of(&sleeper->load, 5);

	sleeper->tid = syscall(SYS_gettid);
	sleeper->ret = by_batch_ioctl(&batch);
	return NULL;
}

START_TEST(interrupted_batch_stops)
{
	static const int errors[5] = { 0, -EOVERFLOW, -EINTR, -ECANCELED, -ECANCELED };
	struct batch_sleeper *sleeper = calloc(1, sizeof(*sleeper));
	pthread_t thread;
	int i;

	ck_assert_ptr_nonnull(sleeper);
	load();
	catch_signal(SA_RESTART);
	sleeper->load.calls[0] = call_of(CUSTOM_SYSCALL_ADD, 1, 2);
	sleeper->load.calls[1] = call_of(CUSTOM_SYSCALL_ADD, UINT64_MAX, 2);
	sleeper->load.calls[2] = call_of(CUSTOM_SYSCALL_SLEEP, 10000, 0);
	sleeper->load.calls[3] = call_of(CUSTOM_SYSCALL_ADD, 3, 4);
	sleeper->load.calls[4] = call_of(CUSTOM_SYSCALL_SLEEP, 10000, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, sleep_in_a_batch, sleeper), 0);
	wait_until(sleeper->tid);
	wait_asleep(sleeper->tid);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	ck_assert_int_eq(sleeper->ret, 1);
	for (i = 0; i < 5; i++)
		ck_assert_int_eq(sleeper->load.errors[i], errors[i]);
	ck_assert_int_eq(sleeper->load.calls[0].result, 3);
	ck_assert_int_gt(sleeper->load.calls[2].result, 0);
	ck_assert_int_eq(sleeper->load.calls[3].result, UNTOUCHED);
	ck_assert_int_eq(sleeper->load.calls[4].result, UNTOUCHED);
	free(sleeper);
	unload();
}
END_TEST

/* ---- io_uring: what is its own ---- */

START_TEST(io_uring_errors)
{
	struct custom_syscall_data data = call_of(CUSTOM_SYSCALL_ADD, 1, 2);

	load();
	ck_assert_int_eq(ring_run(CUSTOM_SYSCALL, &data, 1), -EINVAL);
	ck_assert_int_eq(ring_run(CUSTOM_SYSCALL, &data, UINT64_MAX), -EINVAL);
	ck_assert_int_eq(ring_run(0x1001, &data, 0), -ENOTTY);
	ck_assert_int_eq(ring_run(CUSTOM_SYSCALL, NULL, 0), -EFAULT);
	ck_assert_int_eq(ring_run(CUSTOM_SYSCALL, (void *)-1L, 0), -EFAULT);
	ck_assert_int_eq(ring_run(sized(CUSTOM_SYSCALL, 31), &data, 0), -EINVAL);
	ck_assert_int_eq(ring_run(CUSTOM_SYSCALL_BATCH, NULL, 0), -EFAULT);
	ck_assert_int_eq(data.result, UNTOUCHED);
	unload();
}
END_TEST

#define SLEEPERS 64

/* Sleeps hold up nothing: no worker is busy with one, and an fsync passes them all. */
START_TEST(io_uring_sleeps_together)
{
	struct custom_syscall_data sleeps[SLEEPERS];
	int64_t before = clock_ms(CLOCK_MONOTONIC);
	struct io_uring_sqe *sqe;
	struct io_uring_cqe cqe;
	struct ring ring;
	int i, file;

	load();
	file = ck_ok(open("/tmp/synced", O_RDWR | O_CREAT, 0600));
	ring_open(&ring);
	for (i = 0; i < SLEEPERS; i++) {
		sleeps[i] = call_of(CUSTOM_SYSCALL_SLEEP, 3000, 0);
		ring_command(&ring, CUSTOM_SYSCALL, &sleeps[i], 0, i);
	}
	ring_submit(&ring, SLEEPERS, 0);
	ck_assert_int_eq(threads(), 1);
	sqe = ring_entry(&ring);
	sqe->opcode = IORING_OP_FSYNC;
	sqe->fd = file;
	sqe->user_data = SLEEPERS;
	ring_submit(&ring, 1, 1);
	ck_assert(ring_next(&ring, &cqe));
	ck_assert_uint_eq(cqe.user_data, SLEEPERS);
	ck_assert_int_eq(cqe.res, 0);
	for (i = 0; i < SLEEPERS; i++) {
		ring_submit(&ring, 0, 1);
		ck_assert(ring_next(&ring, &cqe));
		ck_assert_int_eq(cqe.res, 0);
		ck_assert_int_eq(sleeps[cqe.user_data].result, 0);
	}
	ck_assert_int_ge(clock_ms(CLOCK_MONOTONIC) - before, 2999);
	ring_close(&ring);
	close(file);
	unload();
}
END_TEST

/* A batch goes on after each sleep, and occupies nobody meanwhile. */
START_TEST(io_uring_batch_sleeps)
{
	struct custom_syscall_data data[6] = {
		call_of(CUSTOM_SYSCALL_SLEEP, 100, 0), call_of(CUSTOM_SYSCALL_ADD, 1, 2),
		call_of(CUSTOM_SYSCALL_SLEEP, 10001, 0), call_of(CUSTOM_SYSCALL_SLEEP, 200, 0),
		call_of(CUSTOM_SYSCALL_UPTIME, 0, 0), call_of(CUSTOM_SYSCALL_SLEEP, 1, 0),
	};
	int32_t errors[6] = { 1, 1, 1, 1, 1, 1 };
	struct custom_syscall_batch batch = {
		.calls = (uintptr_t)data, .errors = (uintptr_t)errors,
		.count = 6, .size = sizeof(data[0]),
	};
	int64_t before = clock_ms(CLOCK_BOOTTIME);
	struct io_uring_cqe cqe;
	struct ring ring;
	int i;

	load();
	ring_open(&ring);
	ring_command(&ring, CUSTOM_SYSCALL_BATCH, &batch, 0, 0);
	ring_submit(&ring, 1, 0);
	ck_assert_int_eq(threads(), 1);
	ring_submit(&ring, 0, 1);
	ck_assert(ring_next(&ring, &cqe));
	ck_assert_int_eq(cqe.res, 5);
	for (i = 0; i < 6; i++)
		ck_assert_int_eq(errors[i], i == 2 ? -EINVAL : 0);
	ck_assert_int_eq(data[0].result, 0);
	ck_assert_int_eq(data[1].result, 3);
	ck_assert_int_eq(data[2].result, UNTOUCHED);
	ck_assert_int_eq(data[3].result, 0);
	ck_assert_int_ge(data[4].result - before, 299);
	ck_assert_int_eq(data[5].result, 0);
	ring_close(&ring);
	unload();
}
END_TEST

/* The result of a sleep that cannot be written when it is over. */
START_TEST(io_uring_sleep_faults)
{
	struct custom_syscall_data *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct io_uring_cqe cqe;
	struct ring ring;

	load();
	ck_assert_ptr_ne(data, MAP_FAILED);
	*data = call_of(CUSTOM_SYSCALL_SLEEP, 300, 0);
	ring_open(&ring);
	ring_command(&ring, CUSTOM_SYSCALL, data, 0, 1);
	ring_submit(&ring, 1, 0);
	ck_ok(munmap(data, 4096));
	ring_submit(&ring, 0, 1);
	ck_assert(ring_next(&ring, &cqe));
	ck_assert_int_eq(cqe.res, -EFAULT);
	ring_close(&ring);
	unload();
}
END_TEST

/* The task ends while its sleeps and batches go on: nothing is left, and the module can go. */
START_TEST(io_uring_task_ends)
{
	struct custom_syscall_data data[2] = {
		call_of(CUSTOM_SYSCALL_SLEEP, 10000, 0), call_of(CUSTOM_SYSCALL_SLEEP, 1500, 0),
	};
	int32_t errors[2];
	struct custom_syscall_batch batch = {
		.calls = (uintptr_t)data, .errors = (uintptr_t)errors,
		.count = 2, .size = sizeof(data[0]),
	};
	int64_t before = clock_ms(CLOCK_MONOTONIC);
	struct ring ring;
	pid_t pid;

	if (!sleeps_are_cancelled)	/* the module stays for the sleep */
		data[0].parameter1 = 500;
	load();
	pid = spawn();
	if (!pid) {
		ring_open(&ring);
		ring_command(&ring, CUSTOM_SYSCALL_BATCH, &batch, 0, 0);
		ring_command(&ring, CUSTOM_SYSCALL, &data[1], 0, 0);
		ring_submit(&ring, 2, 0);
		_exit(0);
	}
	ck_assert_int_eq(reap(pid), 0);
	close(fd);
	wait_until(module_unload("kmk_syscall") == 0);
	ck_assert_int_lt(clock_ms(CLOCK_MONOTONIC) - before, 9000);
}
END_TEST

/* A call that sleeps holds up neither the submitter nor the calls behind it. */
START_TEST(io_uring_sleeps_elsewhere)
{
	struct custom_syscall_data sleep = call_of(CUSTOM_SYSCALL_SLEEP, 300, 0);
	struct custom_syscall_data add = call_of(CUSTOM_SYSCALL_ADD, 1, 2);
	struct io_uring_cqe cqe;
	struct ring ring;

	load();
	ring_open(&ring);
	ring_command(&ring, CUSTOM_SYSCALL, &sleep, 0, 1);
	ring_command(&ring, CUSTOM_SYSCALL, &add, 0, 2);
	ring_submit(&ring, 2, 0);
	ck_assert(ring_next(&ring, &cqe));
	ck_assert_uint_eq(cqe.user_data, 2);
	ck_assert_int_eq(cqe.res, 0);
	ck_assert_int_eq(add.result, 3);
	ck_assert(!ring_next(&ring, &cqe));
	wait_until(ring_next(&ring, &cqe));
	ck_assert_uint_eq(cqe.user_data, 1);
	ck_assert_int_eq(cqe.res, 0);
	ck_assert_int_eq(sleep.result, 0);
	ring_close(&ring);
	unload();
}
END_TEST

/* A batch's success is no failure, so it does not break a chain of links. */
START_TEST(io_uring_links)
{
	struct custom_syscall_data data[2] = {
		call_of(CUSTOM_SYSCALL_ADD, 1, 2), call_of(CUSTOM_SYSCALL_ADD, 3, 4)
	};
	struct custom_syscall_data last = call_of(CUSTOM_SYSCALL_IDENTIFIER, 0, 0);
	int32_t errors[2] = { 1, 1 };
	struct custom_syscall_batch batch = {
		.calls = (uintptr_t)data, .errors = (uintptr_t)errors,
		.count = 2, .size = sizeof(data[0]),
	};
	struct io_uring_cqe cqe;
	struct ring ring;
	int i;

	load();
	ring_open(&ring);
	ring_command(&ring, CUSTOM_SYSCALL_BATCH, &batch, 0, 0);
	ring.sqes[0].flags = IOSQE_IO_LINK;
	ring_command(&ring, CUSTOM_SYSCALL, &last, 0, 1);
	ring_submit(&ring, 2, 2);
	for (i = 0; i < 2; i++) {
		ck_assert(ring_next(&ring, &cqe));
		ck_assert_uint_eq(cqe.user_data, i);
		ck_assert_int_eq(cqe.res, i ? 0 : 2);
	}
	ck_assert_int_eq(last.result, CUSTOM_SYSCALL_SYSTEM_ID);
	ring_close(&ring);
	unload();
}
END_TEST

/* Closing the ring ends a sleep, from Linux 6.7 on; before, it ends by itself. */
START_TEST(io_uring_cancelled)
{
	struct custom_syscall_data sleep = call_of(CUSTOM_SYSCALL_SLEEP, 10000, 0);
	int64_t before = clock_ms(CLOCK_MONOTONIC), took;
	struct ring ring;

	load();
	ring_open(&ring);
	ring_command(&ring, CUSTOM_SYSCALL, &sleep, 0, 1);
	ring_submit(&ring, 1, 0);
	ck_assert_int_eq(module_unload("kmk_syscall"), -EWOULDBLOCK);
	ring_close(&ring);
	close(fd);
	wait_until(module_unload("kmk_syscall") == 0);
	took = clock_ms(CLOCK_MONOTONIC) - before;
	if (sleeps_are_cancelled)
		ck_assert_int_lt(took, 9000);
	else
		ck_assert_int_ge(took, 9999);
	ck_assert_int_eq(sleep.result, sleeps_are_cancelled ? UNTOUCHED : 0);
}
END_TEST

/*
 * Let a child submit a sleep to a ring that is this process's, too, and end, or execute a
 * program; return the sleep's result, when it is there.
 */
static int result_without_its_task(struct custom_syscall_data *sleep, bool exec)
{
	struct io_uring_cqe cqe;
	struct ring ring;
	pid_t pid;

	load();
	ring_open(&ring);
	pid = spawn();
	if (!pid) {
		ring_command(&ring, CUSTOM_SYSCALL, sleep, 0, 1);
		ring_submit(&ring, 1, 0);
		if (exec)
			execl("/bin/busybox", "true", NULL);
		_exit(exec);
	}
	ck_assert_int_eq(reap(pid), 0);
	wait_until(ring_next(&ring, &cqe));
	ck_assert_uint_eq(cqe.user_data, 1);
	ring_close(&ring);
	unload();
	return cqe.res;
}

START_TEST(io_uring_cancelled_at_exec)
{
	struct custom_syscall_data sleep = call_of(CUSTOM_SYSCALL_SLEEP, 10000, 0);

	ck_assert_int_eq(result_without_its_task(&sleep, true), -ECANCELED);
}
END_TEST

/* The kernel cancels with the ring, which is there still; but nobody can have the result. */
START_TEST(io_uring_task_ends_before_its_ring)
{
	struct custom_syscall_data sleep = call_of(CUSTOM_SYSCALL_SLEEP, 5000, 0);

	ck_assert_int_eq(result_without_its_task(&sleep, false), -ECANCELED);
}
END_TEST

/*
 * The kernel does not ask a driver when a program wants one command cancelled: it finds none,
 * and the sleep goes on. Where a kernel learns to ask, the sleep has to end.
 */
START_TEST(io_uring_async_cancel)
{
	struct custom_syscall_data sleep = call_of(CUSTOM_SYSCALL_SLEEP, 3000, 0);
	struct io_uring_cqe slept, asked;
	struct io_uring_sqe *sqe;
	int64_t before, took;
	struct ring ring;

	load();
	ring_open(&ring);
	before = clock_ms(CLOCK_MONOTONIC);
	ring_command(&ring, CUSTOM_SYSCALL, &sleep, 0, 1);
	ring_submit(&ring, 1, 0);
	sqe = ring_entry(&ring);
	sqe->opcode = IORING_OP_ASYNC_CANCEL;
	sqe->fd = -1;
	sqe->addr = 1;
	sqe->user_data = 2;
	ring_submit(&ring, 1, 2);
	took = clock_ms(CLOCK_MONOTONIC) - before;
	ck_assert(ring_next(&ring, &asked));
	ck_assert(ring_next(&ring, &slept));
	if (asked.user_data == 1) {	/* the sleep may have ended before the answer */
		struct io_uring_cqe first = asked;

		asked = slept;
		slept = first;
	}
	ck_assert_uint_eq(asked.user_data, 2);
	ck_assert_uint_eq(slept.user_data, 1);
	if (asked.res == -ENOENT) {
		ck_assert_int_eq(slept.res, 0);
		ck_assert_int_eq(sleep.result, 0);
		ck_assert_int_ge(took, 2999);
	} else {
		ck_assert_int_eq(asked.res, 0);
		ck_assert_int_eq(slept.res, -ECANCELED);
		ck_assert_int_eq(sleep.result, UNTOUCHED);
		ck_assert_int_lt(took, 2999);
	}
	ring_close(&ring);
	unload();
}
END_TEST

/*
 * A batch whose sleeps would take longer than any test waits, by the child of the test; it
 * sleeps when the child goes on.
 */
static void sleep_for_long(struct ring *ring, unsigned int flags)
{
	static struct custom_syscall_data data[CUSTOM_SYSCALL_BATCH_MAX];
	static int32_t errors[CUSTOM_SYSCALL_BATCH_MAX];
	struct custom_syscall_batch batch = {
		.calls = (uintptr_t)data, .errors = (uintptr_t)errors,
		.count = 1 + 3 * kmk_patience(), .size = sizeof(data[0]),
	};
	unsigned int i;

	data[0] = call_of(CUSTOM_SYSCALL_ADD, 1, 2);
	errors[0] = 1;
	for (i = 1; i < batch.count; i++)
		data[i] = call_of(CUSTOM_SYSCALL_SLEEP, 1000, 0);
	ring_set_up(ring, flags);
	ring_command(ring, CUSTOM_SYSCALL_BATCH, &batch, 0, 0);
	ck_assert_int_eq(syscall(SYS_io_uring_enter, ring->fd, 1, 0,
				 flags & IORING_SETUP_SQPOLL ? IORING_ENTER_SQ_WAKEUP : 0,
				 NULL, 0), 1);
	wait_until(!__atomic_load_n(&errors[0], __ATOMIC_RELAXED));
}

/* Reap the child, and unload; before the batch would have been through. */
static void ck_batch_ends(pid_t pid)
{
	int status = -1;

	close(fd);
	wait_until(waitpid(pid, &status, WNOHANG) == pid);
	ck_assert_int_eq(status, 0);
	wait_until(module_unload("kmk_syscall") == 0);
}

/* A batch is not gone through to its end for a program that another one replaced. */
START_TEST(io_uring_batch_ends_at_exec)
{
	struct ring ring;
	pid_t pid;

	load();
	pid = spawn();
	if (!pid) {
		sleep_for_long(&ring, 0);
		execl("/bin/busybox", "true", NULL);
		_exit(1);
	}
	ck_batch_ends(pid);
}
END_TEST

/* Nor for a thread of the kernel's that polls the ring, when the process ends. */
START_TEST(io_uring_batch_ends_with_its_poller)
{
	struct ring ring;
	pid_t pid;

	load();
	pid = spawn();
	if (!pid) {
		sleep_for_long(&ring, IORING_SETUP_SQPOLL);
		_exit(0);
	}
	ck_batch_ends(pid);
}
END_TEST

/* Nor when the ring is closed: the kernel warns of one that is not gone five minutes later. */
START_TEST(io_uring_batch_ends_with_its_ring)
{
	struct ring ring;

	load();
	sleep_for_long(&ring, 0);
	ring_close(&ring);
	close(fd);
	wait_until(module_unload("kmk_syscall") == 0);
}
END_TEST

/* ---- 32-bit callers ---- */

START_TEST(from_32_bits)
{
	load();
	use_from_32_bits(NODE);
	unload();
}
END_TEST

/* ---- many at once, and hostile ones ---- */

static atomic_bool stop;
static atomic_int rounds;

static void *keep_calling(void *which)
{
	uint64_t seed = (uintptr_t)which;
	int own = open(NODE, O_RDWR | O_CLOEXEC);

	if (own < 0)
		return "open failed";
	while (!stop) {
		struct custom_syscall_data data = call_of(CUSTOM_SYSCALL_ADD, seed, rounds++);

		if (custom_syscall(own, &data) ||
		    data.result != (int64_t)(data.parameter1 + data.parameter2))
			return "wrong sum";
	}
	close(own);
	return NULL;
}

START_TEST(many_callers)
{
	pthread_t threads[4];
	void *wrong;
	long i;

	load();
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, keep_calling, (void *)i), 0);
	wait_until(rounds >= 20000);
	stop = true;
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], &wrong);
		ck_assert_msg(!wrong, "%s", (char *)wrong);
	}
	unload();
}
END_TEST

START_TEST(unload_under_load)
{
	pid_t children[3];
	size_t i;
	int round, ret = 0;

	for (i = 0; i < 3; i++) {
		children[i] = spawn();
		if (children[i])
			continue;
		for (;;) {
			struct custom_syscall_data data = call_of(CUSTOM_SYSCALL_SLEEP, 1, 0);
			int own = open(NODE, O_RDWR);

			if (own >= 0 && custom_syscall(own, &data))
				_exit(1);
			close(own);
			kmk_pause();
		}
	}
	for (round = 0; round < 12; round++) {
		ck_assert_int_eq(module_load("kmk_syscall", ""), 0);
		wait_until(exists(NODE));
		wait_until(!(ret = module_unload("kmk_syscall")) || ret != -EWOULDBLOCK);
		ck_assert_int_eq(ret, 0);
	}
	for (i = 0; i < 3; i++) {
		int status;

		ck_ok(kill(children[i], SIGKILL));
		ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
		ck_assert_msg(WIFSIGNALED(status), "a call failed");
	}
}
END_TEST

/*
 * Another thread rewrites what a call is made of while it is made. Each decision rests on one
 * copy: the answer is that of some state in which the memory was, or an error that one gives,
 * and nothing else is written.
 */
#define CONTESTED 200
/*
 * The processor, or its emulator, may tear what it copies of 64 bits: the values that a field
 * changes between differ in one byte only.
 */

/* No user's, and in 64 bits nobody's: the kernel of a PC complains of a use without a check. */
static uint64_t not_users(volatile void *users)
{
	return (uintptr_t)users | (sizeof(long) == 8 ? 0xffULL << 56 : 0xff000000);
}

/* A bad address is known before it is used, but to the kernel of s390x. */
#ifdef __s390x__
#define REFUSED_FIRST false
#else
#define REFUSED_FIRST true
#endif
#define CANARY 0x5a

static struct {
	unsigned char before[4096];
	volatile struct custom_syscall_data calls[2 * CONTESTED];
	unsigned char between[4096];
	volatile int32_t errors[2][256];	/* their addresses differ in one byte, see below */
	unsigned char behind[65536 - offsetof(struct custom_syscall_batch, count)];
	volatile struct custom_syscall_batch batch;
} *contested;

static struct ring contested_ring;

/* The byte @at of it begins a page. */
static void contest(size_t at)
{
	contested = buffer_across_pages(sizeof(*contested), at);
	memset(contested->before, CANARY, sizeof(contested->before));
	memset(contested->between, CANARY, sizeof(contested->between));
	memset(contested->behind, CANARY, sizeof(contested->behind));
	load();
}

static bool is_canary(const unsigned char *bytes, size_t size)
{
	return bytes[0] == CANARY && !memcmp(bytes, bytes + 1, size - 1);
}

/*
 * @make calls against @change: for so long, since what is between two looks at the memory takes
 * some ten nanoseconds, and the threads run at the same time only when the host lets them.
 */
static void end_contest(void (*make)(int round), void *(*change)(void *))
{
	struct timespec deadline = kmk_deadline(2);
	pthread_t thread;
	int i;

	stop = false;
	ck_assert_int_eq(pthread_create(&thread, NULL, change, NULL), 0);
	for (i = 0; i % 64 || !kmk_expired(&deadline); i++)
		make(i);
	stop = true;
	pthread_join(thread, NULL);
	ck_assert(is_canary(contested->before, sizeof(contested->before)));
	ck_assert(is_canary(contested->between, sizeof(contested->between)));
	ck_assert(is_canary(contested->behind, sizeof(contested->behind)));
	unload();
}

/* A sum and a product of it overflow, and it is too long for a sleep. */
#define TOO_MUCH (0xfeULL << 56)

/* Nobody sleeps for 0 ms, and so there are many calls. */
static void change_call(volatile struct custom_syscall_data *call)
{
	call->operation = CUSTOM_SYSCALL_SLEEP;
	call->parameter1 = TOO_MUCH;
	call->operation = CUSTOM_SYSCALL_MULTIPLY;
	call->operation = CUSTOM_SYSCALL_ADD;
	call->parameter1 = 0;
}

static void ck_changed_call(int err, int64_t result)
{
	if (!err)	/* 0 + 5, 0 * 5, or slept */
		ck_assert_msg(result == 5 || !result, "%lld", (long long)result);
	else		/* slept for too long, or a sum that is too much */
		ck_assert_msg((err == -EINVAL || err == -EOVERFLOW) && result == UNTOUCHED,
			      "%d, %lld", err, (long long)result);
}

static void *keep_changing_call(void *unused)
{
	(void)unused;
	while (!stop)
		change_call(&contested->calls[0]);
	return NULL;
}

static void make_call(int round)
{
	/* of another version, and so not by the short way */
	unsigned int longer = sized(CUSTOM_SYSCALL, sizeof(contested->calls[0]) + 8);
	int err;

	contested->calls[0].result = UNTOUCHED;
	forget_page(&contested->calls[0].parameter2);
	err = ioctl(fd, round % 2 ? CUSTOM_SYSCALL : longer, &contested->calls[0]) ? -errno : 0;
	ck_changed_call(err, contested->calls[0].result);
	ck_assert_uint_eq(contested->calls[0].parameter2, 5);
}

START_TEST(contested_call)
{
	contest(offsetof(typeof(*contested), calls[0].parameter2));
	contested->calls[0] = call_of(CUSTOM_SYSCALL_ADD, 0, 5);
	end_contest(make_call, keep_changing_call);
}
END_TEST

static void *keep_changing_calls(void *unused)
{
	(void)unused;
	while (!stop)
		for (int i = 0; i < 8; i++)
			change_call(&contested->calls[i]);
	return NULL;
}

static void make_calls(int round)
{
	struct custom_syscall_batch batch = {
		.calls = (uintptr_t)contested->calls, .errors = (uintptr_t)contested->errors,
		.count = 8, .size = sizeof(contested->calls[0]),
	};
	int i, good = 0;

	(void)round;
	for (i = 0; i < 8; i++)
		contested->calls[i].result = UNTOUCHED;
	forget_page(&contested->calls[7].parameter2);
	i = by_batch_ioctl(&batch);
	for (int k = 0; k < 8; k++) {
		ck_changed_call(contested->errors[0][k], contested->calls[k].result);
		good += !contested->errors[0][k];
	}
	ck_assert_int_eq(i, good);
}

START_TEST(contested_calls_of_a_batch)
{
	contest(offsetof(typeof(*contested), calls[7].parameter2));
	for (int i = 0; i < 8; i++)
		contested->calls[i] = call_of(CUSTOM_SYSCALL_ADD, 0, 5);
	end_contest(make_calls, keep_changing_calls);
}
END_TEST

static void *keep_changing_batch(void *unused)
{
	volatile struct custom_syscall_batch *batch = &contested->batch;

	(void)unused;
	while (!stop) {
		batch->count = 2;
		batch->errors = (uintptr_t)contested->errors[1];
		batch->size = 2 * sizeof(contested->calls[0]);
		batch->count = CONTESTED | 0xff000000;
		batch->size = 4097;
		batch->size = sizeof(contested->calls[0]);
		batch->calls = not_users(contested->calls);
		batch->errors = not_users(contested->errors[0]);
		batch->size = 0;
		batch->count = CONTESTED;
		batch->calls = (uintptr_t)contested->calls;
		batch->size = sizeof(contested->calls[0]);
		batch->errors = (uintptr_t)contested->errors[0];
	}
	return NULL;
}

/*
 * The batch is the one that its errors tell of: one of the two arrays, to one of the two
 * counts, with calls of one size. Every second call, by the smaller size, is no operation.
 */
static void make_batch(int round)
{
	int i, which, ret, errors = 0, good = 0;
	int32_t odd, error;

	(void)round;
	for (i = 0; i < CONTESTED; i++) {
		contested->errors[0][i] = 12345;
		contested->errors[1][i] = 12345;
	}
	contested->calls[0].result = UNTOUCHED;
	forget_page(&contested->batch.count);
	ret = by_batch_ioctl((struct custom_syscall_batch *)&contested->batch);
	which = contested->errors[0][0] == 12345;
	odd = contested->errors[which][1];
	for (i = 0; i < CONTESTED; i++) {
		ck_assert_int_eq(contested->errors[!which][i], 12345);
		error = contested->errors[which][i];
		if (error == 12345)
			continue;
		ck_assert_int_eq(errors++, i);
		good += !error;
		ck_assert_int_eq(error, i % 2 ? odd : contested->errors[which][0]);
	}
	if (ret < 0) {
		ck_assert_msg(ret == -EINVAL || ret == -E2BIG || ret == -EFAULT, "%d", ret);
		ck_assert_int_eq(errors, 0);
		if (REFUSED_FIRST)
			ck_assert_int_eq(contested->calls[0].result, UNTOUCHED);
		return;
	}
	ck_assert_int_eq(ret, good);
	error = contested->errors[which][0];
	ck_assert_msg(!error || error == -EFAULT, "%d", error);
	ck_assert_int_eq(contested->calls[0].result, error ? UNTOUCHED : 3);
	ck_assert_msg(errors == 2 || errors == CONTESTED, "%d calls", errors);
	ck_assert_msg(!odd || odd == -EINVAL || odd == -EFAULT, "%d", odd);
}

START_TEST(contested_batch)
{
	contest(offsetof(typeof(*contested), batch.count));
	ck_assert_uint_eq((uintptr_t)contested->errors[0] ^ (uintptr_t)contested->errors[1], 1024);
	for (int i = 0; i < CONTESTED; i++) {
		contested->calls[2 * i] = call_of(CUSTOM_SYSCALL_ADD, 1, 2);
		contested->calls[2 * i + 1] = (struct custom_syscall_data){ 0 };
	}
	end_contest(make_batch, keep_changing_batch);
	for (int i = 0; i < 2 * CONTESTED; i += 2) {
		int64_t result = contested->calls[i].result;

		ck_assert(result == UNTOUCHED || result == 3);
		ck_assert_int_eq(contested->calls[i + 1].result, 0);
	}
}
END_TEST

/* The entry that was taken last is the one that is read. */
static void *keep_changing_entry(void *unused)
{
	struct custom_syscall_uring uring[] = {
		{ (uintptr_t)&contested->calls[0], 0 }, { not_users(&contested->calls[0]), 1 },
		{ (uintptr_t)&contested->calls[2], 1 }, { not_users(&contested->calls[2]), 0 },
		{ (uintptr_t)&contested->calls[2], 0 },
	};
	struct io_uring_sqe *sqe;
	unsigned int tail, k;

	(void)unused;
	for (k = 0; !stop; k++) {
		tail = __atomic_load_n(contested_ring.sq_tail, __ATOMIC_ACQUIRE);
		sqe = &contested_ring.sqes[(tail - 1) & *contested_ring.sq_mask];
		memcpy(sqe->cmd, &uring[k % 5], sizeof(uring[0]));
		sqe->cmd_op = k % 7 ? CUSTOM_SYSCALL : CUSTOM_SYSCALL | 0xff;
	}
	return NULL;
}

static void make_entry(int round)
{
	volatile struct custom_syscall_data *calls = contested->calls;
	struct io_uring_cqe cqe;
	int made;

	calls[0].result = UNTOUCHED;
	calls[2].result = UNTOUCHED;
	ring_command(&contested_ring, CUSTOM_SYSCALL, (void *)&calls[round % 2 * 2], 0, round);
	ring_submit(&contested_ring, 1, 1);
	ck_assert(ring_next(&contested_ring, &cqe));
	made = (calls[0].result == 11) + (calls[2].result == 22);
	if (!cqe.res)
		ck_assert_int_eq(made, 1);
	else
		ck_assert_msg(cqe.res == -EINVAL || cqe.res == -EFAULT || cqe.res == -ENOTTY,
			      "%d", cqe.res);
	ck_assert_int_eq((calls[0].result == UNTOUCHED) + (calls[2].result == UNTOUCHED),
			 cqe.res ? 2 : 1);
}

START_TEST(contested_entry)
{
	contest(0);
	contested->calls[0] = call_of(CUSTOM_SYSCALL_ADD, 1, 10);
	contested->calls[2] = call_of(CUSTOM_SYSCALL_ADD, 2, 20);
	ring_open(&contested_ring);
	end_contest(make_entry, keep_changing_entry);
	ring_close(&contested_ring);
}
END_TEST

#define AREA 4096

/* Random bytes as calls, batches and commands: an answer, and a clean log. */
START_TEST(hostile_input)
{
	static const int allowed[] = { 0, EINVAL, EOVERFLOW, EFAULT, E2BIG, ENOTTY };
	static const uint64_t seeds[] = {
		0, 1, 2, 3, 4, 5, 6, 31, 32, 33, 4095, 4096, 4097, INT32_MAX, UINT32_MAX,
		INT64_MAX, 1ULL << 63, UINT64_MAX, UINT64_MAX - 4095,
	};
	uint64_t *area = buffer_before_hole(AREA);
	unsigned int i, word;

	load();
	srandom(_i);
	for (i = 0; i < 600; i++) {
		unsigned int cmd = random() % 2 ? CUSTOM_SYSCALL : CUSTOM_SYSCALL_BATCH;
		char *at = (char *)area + random() % (AREA + 64);
		size_t known;
		int err;

		for (word = 0; word < 16; word++) {
			uint64_t value = seeds[random() % (sizeof(seeds) / sizeof(*seeds))];

			if (random() % 8 == 0)
				value = (uint64_t)random() << 33 ^ random();
			if (random() % 4 == 0)
				value = (uintptr_t)area + random() % (AREA + 64);
			area[random() % (AREA / 8)] = value;
			if (at + 8 * word + 8 <= (char *)area + AREA)
				memcpy(at + 8 * word, &value, 8);
		}
		/* sleeps would take long, and end well */
		for (word = 0; word < AREA / 8; word++)
			if (area[word] == CUSTOM_SYSCALL_SLEEP)
				area[word] = 0;
		if (random() % 3 == 0)
			cmd = sized(cmd, random() % 8192);
		if (random() % 16 == 0)
			cmd = random();
		err = ioctl(fd, cmd, at) < 0 ? errno : 0;
		for (known = 0; known < 6 && allowed[known] != err; known++)
			;
		ck_assert_msg(known < 6, "seed %d, round %u: %s", _i, i, strerror(err));
	}
	unload();
}
END_TEST

int main(void)
{
	const int n = sizeof(batch_sizes) / sizeof(*batch_sizes);
	Suite *suite = suite_create("syscall");
	TCase *tc = tcase_create("kmk_syscall"), *gone;

	tcase_add_checked_fixture(tc, clean_start, NULL);
	tcase_add_test(tc, default_state);
	tcase_add_test(tc, in_use);
	tcase_add_loop_test(tc, mode_parameter, 0, sizeof(modes) / sizeof(*modes));
	tcase_add_test(tc, mode_keeps_others_out);
	tcase_add_test(tc, unknown_parameter);
	tcase_add_test(tc, operations);
	tcase_add_test(tc, uptime);
	if (exists("/proc/self/ns/time"))
		tcase_add_test(tc, uptime_of_a_time_namespace);
	else
		skip_test("uptime_of_a_time_namespace", "this kernel has no time namespaces");
	tcase_add_test(tc, sleeps_as_long_as_told);
	tcase_add_test(tc, timer_slack);
	tcase_add_test(tc, interrupted_sleep);
	tcase_add_test(tc, interrupted_sleep_is_not_restarted);
	tcase_add_test(tc, killed_sleep);
	tcase_add_test(tc, bad_addresses);
	tcase_add_test(tc, misaligned_is_fine);
	tcase_add_test(tc, unknown_commands);
	tcase_add_test(tc, extensible);
	tcase_add_test(tc, operations_in_a_batch);
	tcase_add_loop_test(tc, batches, 0, n);
	tcase_add_test(tc, batch_limits);
	tcase_add_test(tc, batch_extensible);
	tcase_add_test(tc, batch_bad_addresses);
	tcase_add_test(tc, interrupted_sleep_in_a_batch);
	tcase_add_test(tc, interrupted_batch_stops);
	sleeps_are_cancelled = file_has("/proc/kallsyms", " io_uring_cmd_mark_cancelable");
	if (kernel_has_uring_cmd()) {
		gone = tcase_create("gone");
		tcase_add_checked_fixture(gone, clean_start, NULL);
		tcase_set_timeout(gone, 100);
		tcase_add_test(gone, io_uring_batch_ends_at_exec);
		tcase_add_test(gone, io_uring_batch_ends_with_its_poller);
		tcase_add_test(gone, io_uring_batch_ends_with_its_ring);
		suite_add_tcase(suite, gone);
		tcase_add_test(tc, operations_by_io_uring);
		tcase_add_loop_test(tc, batches_by_io_uring, 0, n);
		tcase_add_test(tc, io_uring_errors);
		tcase_add_test(tc, timer_slack_by_io_uring);
		tcase_add_test(tc, io_uring_sleeps_elsewhere);
		tcase_add_test(tc, io_uring_sleeps_together);
		tcase_add_test(tc, io_uring_batch_sleeps);
		tcase_add_test(tc, io_uring_sleep_faults);
		tcase_add_test(tc, io_uring_task_ends);
		tcase_add_test(tc, io_uring_links);
		tcase_add_test(tc, io_uring_cancelled);
		tcase_add_test(tc, io_uring_async_cancel);
		tcase_add_test(tc, io_uring_task_ends_before_its_ring);
		if (sleeps_are_cancelled)
			tcase_add_test(tc, io_uring_cancelled_at_exec);
		else
			skip_test("io_uring_cancelled_at_exec",
				  "a driver's commands can be cancelled from Linux 6.7 on");
	} else {
		skip_test("io_uring", "io_uring's URING_CMD came with Linux 6.1");
	}
	if (runs_32_bits())
		tcase_add_test(tc, from_32_bits);
	else
		skip_test("from_32_bits", "no program of 32 bits runs here");
	tcase_add_test(tc, many_callers);
	tcase_add_test(tc, unload_under_load);
	tcase_add_loop_test(tc, hostile_input, 0, 4);
	suite_add_tcase(suite, tc);

	tc = tcase_create("contested");
	tcase_add_checked_fixture(tc, clean_start, NULL);
	tcase_add_test(tc, contested_call);
	tcase_add_test(tc, contested_calls_of_a_batch);
	tcase_add_test(tc, contested_batch);
	if (kernel_has_uring_cmd())
		tcase_add_test(tc, contested_entry);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
