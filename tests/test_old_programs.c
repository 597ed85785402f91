// SPDX-License-Identifier: GPL-2.0
/*
 * Programs that were built for version 0.1.0: their structures and commands are here as
 * that version's headers had them, so that none of today's is included.
 * debian/changelog says what changed since.
 */
#define _GNU_SOURCE
#include "kmktest.h"

#include <fcntl.h>
#include <liburing.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

struct old_echo_stats {
	uint64_t open_count, open_total, bytes_written, bytes_read, length, capacity;
};

struct old_irq_event {
	uint64_t timestamp_ns, seq;
	uint32_t irq, cpu;
	uint64_t data;
};

struct old_call {
	uint64_t operation, parameter1, parameter2;
	int64_t result;
};

struct old_batch {
	uint64_t calls, errors;
	uint32_t count, size;
};

struct old_uring {
	uint64_t argument, reserved;
};

struct old_alloc {
	uint64_t size, flags, handle;
};

struct old_free {
	uint64_t handle, flags;
};

struct old_query {
	uint64_t handle, flags, size, bytes;
};

struct old_mempool_stats {
	uint64_t file_blocks, file_bytes, blocks, bytes, max_bytes, allocs, frees, refused;
};

#define OLD_NOP		0x1001
#define OLD_CLEAR	_IO(0xEB, 0)
#define OLD_GET_STATS	_IOR(0xEB, 1, struct old_echo_stats)
#define OLD_CALL	_IOWR(0xDA, 0, struct old_call)
#define OLD_BATCH	_IOW(0xDA, 1, struct old_batch)
#define OLD_ALLOC	_IOWR(0xde, 0, struct old_alloc)
#define OLD_FREE	_IOW(0xde, 1, struct old_free)
#define OLD_QUERY	_IOWR(0xde, 2, struct old_query)
#define OLD_STATS	_IOR(0xde, 3, struct old_mempool_stats)

static void clean(void)
{
	static const char * const modules[] = {
		"kmk_echo", "kmk_proc", "kmk_irq", "kmk_syscall", "kmk_mempool",
	};

	for (int i = 0; i < 5; i++)
		module_unload(modules[i]);
}

/* Its ioctls are as they were. */
START_TEST(echo)
{
	const char *node = _i ? "/dev/echo_fifo" : "/dev/echo";
	struct old_echo_stats guarded[2], *stats = guarded;
	int fd;

	ck_assert_int_eq(module_load("kmk_echo", "capacity=5000"), 0);
	fd = ck_ok(open(node, O_RDWR));
	ck_assert_int_eq(write(fd, "hello", 5), 5);
	memset(guarded, 0xaa, sizeof(guarded));
	ck_assert_int_eq(ioctl(fd, OLD_GET_STATS, stats), 0);
	ck_assert_uint_eq(stats->open_count, 1);
	ck_assert_uint_eq(stats->open_total, 1);
	ck_assert_uint_eq(stats->bytes_written, 5);
	ck_assert_uint_eq(stats->bytes_read, 0);
	ck_assert_uint_eq(stats->length, 5);
	ck_assert_uint_eq(stats->capacity, 5000);
	ck_assert_uint_eq(guarded[1].open_count, 0xaaaaaaaaaaaaaaaa);
	ck_assert_int_eq(ioctl(fd, OLD_NOP), 0);
	ck_assert_int_eq(ioctl(fd, OLD_CLEAR), 0);
	ck_assert_int_eq(ioctl(fd, OLD_GET_STATS, stats), 0);
	ck_assert_uint_eq(stats->length, 0);
	close(fd);
	ck_assert_int_eq(module_unload("kmk_echo"), 0);
}
END_TEST

/* It moved bytes into the queue and out of it by splice() and sendfile(), which lost some. */
START_TEST(fifo_splice)
{
	int fd, file, p[2];
	off_t at = 0;

	ck_assert_int_eq(module_load("kmk_echo", ""), 0);
	fd = ck_ok(open("/dev/echo_fifo", O_RDWR));
	file = ck_ok(memfd_create("file", 0));
	ck_ok(pipe(p));
	ck_assert_int_eq(write(fd, "queue", 5), 5);
	ck_assert_int_eq(write(file, "file", 4), 4);
	ck_assert_int_eq(write(p[1], "pipe", 4), 4);
	ck_errno(splice(fd, NULL, p[1], NULL, 5, 0), EINVAL);
	ck_errno(splice(p[0], NULL, fd, NULL, 4, 0), EINVAL);
	ck_errno(sendfile(file, fd, NULL, 5), EINVAL);
	ck_errno(sendfile(fd, file, &at, 4), EINVAL);
	ck_assert_int_eq(slurp_number("/sys/class/misc/echo_fifo/length"), 5);
	close(p[0]);
	close(p[1]);
	close(file);
	close(fd);
	ck_assert_int_eq(module_unload("kmk_echo"), 0);
}
END_TEST

/* A write ended its line, the end was the end, U+2028 stayed as it was, any root might write. */
START_TEST(proc)
{
	char text[64];
	int fd;
	pid_t pid;

	ck_assert_int_eq(module_load("kmk_proc", "greeting="), 0);
	fd = ck_ok(open("/proc/rust_proc", O_RDWR));
	ck_assert_int_eq(write(fd, "first", 5), 5);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 0);
	ck_assert_int_eq(write(fd, " and second\n", 12), 12);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 17);
	ck_assert_mem_eq(text, "first and second\n", 17);
	ck_assert_int_eq(write(fd, "a\u2028b", 5), 5);
	/* An open file kept nobody from unloading. */
	ck_assert_int_eq(module_unload("kmk_proc"), -EWOULDBLOCK);
	close(fd);
	ck_assert(file_has("/proc/rust_proc", "first and second\na\\xe2\\x80\\xa8b\n"));
	pid = spawn();
	if (!pid) {
		enter_user_namespace();
		_exit(spew("/proc/rust_proc", "third\n") != -EPERM);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_eq(module_unload("kmk_proc"), 0);
}
END_TEST

/* One record is refused; in a larger buffer the records, which grew, lie elsewhere. */
START_TEST(irq_events)
{
	struct old_irq_event events[4];
	int fd;

	ck_assert_int_eq(module_load("kmk_irq", "irq=-1"), 0);
	fd = ck_ok(open("/dev/irq_events", O_RDONLY));
	ck_assert_int_eq(spew("/sys/class/misc/irq_events/trigger", "4 7"), 0);
	ck_errno(read(fd, events, sizeof(*events)), EINVAL);
	ck_assert_int_eq(read(fd, events, sizeof(events)), 3 * 40);
	ck_assert_uint_eq(events[0].seq, 1);
	ck_assert_uint_eq(events[0].data, 7);
	/* the flags and the reserved field of the first, then the second one's time */
	ck_assert_uint_eq(events[1].timestamp_ns, 0);
	ck_assert_uint_ge(events[1].seq, events[0].timestamp_ns);
	/* the refused read took nothing: one is left */
	ck_assert_int_eq(read(fd, events, sizeof(events)), 40);
	ck_assert_uint_eq(events[0].seq, 4);
	close(fd);
	ck_assert_int_eq(module_unload("kmk_irq"), 0);
}
END_TEST

static const struct {
	struct old_call call;
	int err;
	int64_t result;
} calls[] = {
	{ { 1, 2, 3, -1 }, 0, 5 },
	{ { 2, 6, 7, -1 }, 0, 42 },
	{ { 3, 0, 0, -1 }, 0, 0x12345678 },
	{ { 5, 1, 0, -1 }, 0, 0 },
	{ { 5, 10001, 0, -1 }, EINVAL, -1 },
	{ { 2, 1ULL << 62, 2, -1 }, EOVERFLOW, -1 },
	{ { 6, 1, 1, -1 }, EINVAL, -1 },
};

#define CALLS ((int)(sizeof(calls) / sizeof(*calls)))

static int uring_result(int fd, unsigned int command, const void *argument)
{
	struct old_uring payload = { .argument = (uintptr_t)argument };
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int res;

	ck_assert_int_eq(io_uring_queue_init(4, &ring, 0), 0);
	queue_uring_cmd(&ring, fd, command, &payload, sizeof(payload));
	ck_assert_int_eq(io_uring_submit(&ring), 1);
	ck_assert_int_eq(io_uring_wait_cqe(&ring, &cqe), 0);
	res = cqe->res;
	io_uring_queue_exit(&ring);
	return res;
}

/* All as it was: one call, a batch, and both through io_uring where that was to be had. */
START_TEST(syscall_ext)
{
	const bool uring = _i;
	struct old_call made[CALLS];
	int32_t errors[CALLS];
	struct old_batch batch = {
		.calls = (uintptr_t)made, .errors = (uintptr_t)errors,
		.count = CALLS, .size = sizeof(*made),
	};
	int fd, i;

	ck_assert_int_eq(module_load("kmk_syscall", ""), 0);
	fd = ck_ok(open("/dev/syscall_ext", O_RDWR));
	for (i = 0; i < CALLS; i++) {
		made[i] = calls[i].call;
		if (uring)
			ck_assert_int_eq(uring_result(fd, OLD_CALL, &made[i]), -calls[i].err);
		else if (calls[i].err)
			ck_errno(ioctl(fd, OLD_CALL, &made[i]), calls[i].err);
		else
			ck_assert_int_eq(ioctl(fd, OLD_CALL, &made[i]), 0);
		ck_assert_int_eq(made[i].result, calls[i].result);
		made[i] = calls[i].call;
		errors[i] = 1;
	}
	ck_assert_int_eq(uring ? uring_result(fd, OLD_BATCH, &batch) :
				 ioctl(fd, OLD_BATCH, &batch), 4);
	for (i = 0; i < CALLS; i++) {
		ck_assert_int_eq(errors[i], -calls[i].err);
		ck_assert_int_eq(made[i].result, calls[i].result);
	}
	close(fd);
	ck_assert_int_eq(module_unload("kmk_syscall"), 0);
}
END_TEST

/* The structures are as they were; what the changelog names is not. */
START_TEST(mempool)
{
	struct old_alloc alloc = { .size = 5000 };
	struct old_query query[2];
	struct old_mempool_stats stats[2];
	struct old_free freed = {};
	int fd, readonly;
	char text[8];
	char *map;

	ck_assert_int_eq(module_load("kmk_mempool", ""), 0);
	fd = ck_ok(open("/dev/mempool", O_RDWR));
	ck_assert_int_eq(ioctl(fd, OLD_ALLOC, &alloc), 0);
	ck_assert_uint_ne(alloc.handle, 0);
	memset(query, 0xaa, sizeof(query));
	query[0].handle = alloc.handle;
	query[0].flags = 0;
	ck_assert_int_eq(ioctl(fd, OLD_QUERY, query), 0);
	ck_assert_uint_eq(query[0].size, 5000);
	ck_assert_uint_ge(query[0].bytes, 5000);
	ck_assert_uint_eq(query[1].handle, 0xaaaaaaaaaaaaaaaa);
	ck_assert_int_eq(pwrite(fd, "hello", 5, alloc.handle), 5);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, alloc.handle);
	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_assert_mem_eq(map, "hello", 5);
	ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, alloc.handle),
			 MAP_FAILED);
	freed.handle = alloc.handle;
	ck_assert_int_eq(ioctl(fd, OLD_FREE, &freed), 0);
	ck_errno(ioctl(fd, OLD_FREE, &freed), ENOENT);
	ck_errno(pread(fd, text, 5, alloc.handle), ENOENT);
	ck_assert(bus(map, false));
	memset(stats, 0xaa, sizeof(stats));
	ck_assert_int_eq(ioctl(fd, OLD_STATS, stats), 0);
	ck_assert_uint_eq(stats->file_blocks, 0);
	ck_assert_uint_eq(stats->bytes, 0);
	ck_assert_uint_eq(stats->max_bytes, 64 << 20);
	ck_assert_uint_eq(stats->allocs, 1);
	ck_assert_uint_eq(stats->frees, 1);
	ck_assert_uint_eq(stats[1].file_blocks, 0xaaaaaaaaaaaaaaaa);
	readonly = ck_ok(open("/dev/mempool", O_RDONLY));
	ck_errno(ioctl(readonly, OLD_ALLOC, &alloc), EBADF);
	ck_ok(munmap(map, 4096));
	close(readonly);
	close(fd);
	ck_assert_int_eq(module_unload("kmk_mempool"), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("old_programs");
	TCase *tc = tcase_create("0.1.0");

	tcase_add_checked_fixture(tc, clean, NULL);
	tcase_add_loop_test(tc, echo, 0, 2);
	tcase_add_test(tc, fifo_splice);
	tcase_add_test(tc, proc);
	tcase_add_test(tc, irq_events);
	tcase_add_loop_test(tc, syscall_ext, 0, kernel_has_uring_cmd() ? 2 : 1);
	tcase_add_test(tc, mempool);
	suite_add_tcase(suite, tc);
	if (!kernel_has_uring_cmd())
		skip_test("syscall_ext", "by io_uring: this kernel has no URING_CMD");
	return run_suite(suite);
}
