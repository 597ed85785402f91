// SPDX-License-Identifier: GPL-2.0
/*
 * A program of 32 bits: given the name of a device or a file, it uses what that offers
 * to programs. It is run by the tests of the module, which is just loaded.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <kmodkit/echo.h>
#include <kmodkit/irq_events.h>
#include <kmodkit/mempool.h>
#include <kmodkit/syscall_ext.h>

static_assert(sizeof(void *) == 4, "to be built with -m32");

static void use_echo(int fd)
{
	const struct iovec parts[] = { { "thirty", 6 }, { "-two", 4 } };
	struct echo_stats stats;
	char back[16];

	assert(ioctl(fd, ECHO_IOC_NOP) == 0);
	assert(writev(fd, parts, 2) == 10);
	assert(ioctl(fd, ECHO_IOC_GET_STATS, &stats) == 0);
	assert(stats.open_count == 1 && stats.open_total == 1);
	assert(stats.bytes_written == 10 && stats.bytes_read == 0);
	assert(stats.length == 10 && stats.capacity == 4096);
	lseek(fd, 0, SEEK_SET);		/* which the queue neither can nor needs */
	assert(read(fd, back, sizeof(back)) == 10 && !memcmp(back, "thirty-two", 10));
	assert(write(fd, "x", 1) == 1);
	assert(ioctl(fd, ECHO_IOC_CLEAR) == 0);
	assert(ioctl(fd, ECHO_IOC_GET_STATS, &stats) == 0);
	assert(stats.bytes_read == 10 && stats.length == 0);
	assert(ioctl(fd, ECHO_IOC_GET_STATS, 8) == -1 && errno == EFAULT);
	assert(ioctl(fd, ECHO_IOC_NOP - 1) == -1 && errno == ENOTTY);
}

/* Two events, raised with the data 0x123456789. */
static void use_irq_events(int fd)
{
	struct kmk_irq_clock boot = { .clock = CLOCK_BOOTTIME };
	struct kmk_irq_progress progress;
	struct kmk_irq_event events[3];

	assert(ioctl(fd, IRQ_EVENTS_IOC_SET_CLOCK, &boot) == 0);
	assert(ioctl(fd, IRQ_EVENTS_IOC_GET_PROGRESS, &progress) == 0);
	assert(progress.seen == 0 && progress.pending == 2 && progress.missed == 0);
	assert(read(fd, events, sizeof(events)) == 2 * sizeof(*events));
	assert(events[0].seq == 1 && events[1].seq == 2);
	/* the same where the clock goes on in ticks */
	assert(events[0].timestamp_ns && events[1].timestamp_ns >= events[0].timestamp_ns);
	assert(events[0].irq && events[1].irq == events[0].irq);
	assert(events[0].data == 0x123456789 && events[1].data == 0x123456789);
}

static void use_mempool(int fd)
{
	struct kmk_mempool_alloc block = { .size = 5000 };
	struct kmk_mempool_query query = { 0 };
	struct kmk_mempool_free gone = { 0 };
	struct kmk_mempool_stats stats;
	char *map;

	assert(ioctl(fd, MEMPOOL_IOC_ALLOC, &block) == 0);
	query.handle = block.handle;
	assert(ioctl(fd, MEMPOOL_IOC_QUERY, &query) == 0);
	assert(query.size == 5000 && query.bytes == 8192);
	assert(pwrite(fd, "bytes", 5, block.handle + 4094) == 5);
	map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, block.handle);
	assert(map != MAP_FAILED && !memcmp(map + 4094, "bytes", 5));
	assert(munmap(map, 8192) == 0);
	assert(ioctl(fd, MEMPOOL_IOC_STATS, &stats) == 0);
	assert(stats.file_blocks == 1 && stats.max_bytes == 64 << 20 && stats.refused == 0);
	gone.handle = block.handle;
	assert(ioctl(fd, MEMPOOL_IOC_FREE, &gone) == 0);
	assert(ioctl(fd, MEMPOOL_IOC_FREE, &gone) == -1 && errno == ENOENT);
	assert(ioctl(fd, MEMPOOL_IOC_ALLOC, 8) == -1 && errno == EFAULT);
	assert(ioctl(fd, _IO(MEMPOOL_IOC_MAGIC, 0)) == -1 && errno == ENOTTY);
}

static void use_syscall_ext(int fd)
{
	struct custom_syscall_data calls[] = {
		{ CUSTOM_SYSCALL_ADD, 1ULL << 62, 1, -1 },
		{ CUSTOM_SYSCALL_MULTIPLY, 1ULL << 32, 1ULL << 31, -1 },
		{ CUSTOM_SYSCALL_IDENTIFIER, 0, 0, -1 },
		{ CUSTOM_SYSCALL_UPTIME, 0, 0, -1 },
		{ CUSTOM_SYSCALL_SLEEP, 1, 0, -1 },
	};
	__s32 errors[5] = { 1, 1, 1, 1, 1 };
	const struct custom_syscall_batch batch = {
		.calls = (unsigned long)calls, .errors = (unsigned long)errors,
		.count = 5, .size = sizeof(calls[0]),
	};

	assert(custom_syscall(fd, &calls[0]) == 0 && calls[0].result == (1LL << 62) + 1);
	calls[0].result = -1;
	assert(custom_syscall(fd, &calls[1]) == -1 && errno == EOVERFLOW);
	assert(custom_syscall_batch(fd, &batch) == 4);
	assert(!errors[0] && calls[0].result == (1LL << 62) + 1);
	assert(errors[1] == -EOVERFLOW && calls[1].result == -1);
	assert(!errors[2] && calls[2].result == CUSTOM_SYSCALL_SYSTEM_ID);
	assert(!errors[3] && calls[3].result > 0);
	assert(!errors[4] && calls[4].result == 0);
	assert(custom_syscall(fd, NULL) == -1 && errno == EFAULT);
	assert(ioctl(fd, _IO(CUSTOM_SYSCALL_MAGIC, 2)) == -1 && errno == ENOTTY);
}

/* chattr(1), whose ioctls have numbers of their own here */
static void use_cramfs(int fd)
{
	int flags = FS_NODUMP_FL, back = -1;

	assert(ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0);
	assert(ioctl(fd, FS_IOC_GETFLAGS, &back) == 0 && back == flags);
	assert(ioctl(fd, FS_IOC_GETFLAGS, 8) == -1 && errno == EFAULT);
	flags = FS_COMPR_FL;
	/* the second is Linux 6.17's */
	assert(ioctl(fd, FS_IOC_SETFLAGS, &flags) == -1);
	assert(errno == EOPNOTSUPP || errno == ENOTTY);
}

static const struct {
	const char *path;
	void (*use)(int fd);
} devices[] = {
	{ "/dev/echo", use_echo },
	{ "/dev/echo_fifo", use_echo },
	{ "/dev/irq_events", use_irq_events },
	{ "/dev/mempool", use_mempool },
	{ "/dev/syscall_ext", use_syscall_ext },
	{ "/tmp/cramfs/f", use_cramfs },
};

int main(int argc, char **argv)
{
	size_t i;
	int fd;

	if (argc < 2)
		return 0;		/* there are such programs here */
	for (i = 0; strcmp(devices[i].path, argv[1]); i++)
		assert(i + 1 < sizeof(devices) / sizeof(*devices));
	fd = open(argv[1], O_RDWR);
	assert(fd >= 0);
	devices[i].use(fd);
	return close(fd);
}
