// SPDX-License-Identifier: GPL-2.0
/*
 * Exercise a file: a device node, an attribute, or what lies in /proc or debugfs.
 * First each kind of call by itself, then calls at random from several threads, which
 * share the open files.
 */
#define _GNU_SOURCE
#include "exercise.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SLOTS	6

static const char *path;
static bool is_text;
static int slots[SLOTS];	/* open files, shared between threads on purpose */
static __thread unsigned char *buffer;
static __thread unsigned char block[BUFFER_SIZE + 64];	/* for ioctl: never written to a file */

static const size_t sizes[] = {
	0, 1, 2, 3, 4, 7, 8, 15, 16, 24, 32, 63, 64, 65, 127, 128, 255, 256, 511, 512, 1000, 1023,
	1024, 4095, 4096, 4097, 8192, 65535, BUFFER_SIZE,
};

static const int modes[] = {
	O_RDWR, O_RDONLY, O_WRONLY, O_RDWR | O_NONBLOCK, O_RDONLY | O_NONBLOCK, O_RDWR | O_APPEND,
	O_WRONLY | O_TRUNC, O_RDWR | O_SYNC, O_RDONLY | O_DIRECT, O_PATH, O_RDWR | O_EXCL,
	O_RDONLY | O_NOCTTY, 3,
};

static void get_buffer(void)
{
	if (!buffer)
		buffer = malloc(BUFFER_SIZE + 4096);
}

/* Bytes that inspect() does not take for the kernel's, wherever they lie: none is 0xff. */
static void fill(unsigned char *memory, size_t size)
{
	uint32_t word = 0;

	if (below(2)) {
		any_text((char *)memory, size > 4096 ? 4096 : size + 2);
		return;
	}
	for (size_t i = 0; i < size; i += sizeof(word)) {
		word = odd_number() & 0x3ffefe3f;
		memcpy(memory + i, &word, sizeof(word));
	}
}

static void say_doing(const char *what)
{
	snprintf(shared->doing, sizeof(shared->doing), "%s %s", what, path);
}

static int open_any(int flags)
{
	return CALL(open(path, flags | O_CLOEXEC | O_NOCTTY));
}

/* --- memory that is mapped --- */

static __thread sigjmp_buf after_fault;
static __thread bool may_fault;

static void on_fault(int signal)
{
	if (may_fault)
		siglongjmp(after_fault, 1);
	_exit(128 + signal);
}

static void touch(unsigned char *memory, size_t size, bool write)
{
	may_fault = true;
	if (!sigsetjmp(after_fault, 1)) {
		for (size_t i = 0; i < size; i += 4096) {
			inspect(memory + i, 64, "mmap");
			if (write)
				memory[i] = i;
		}
	}
	may_fault = false;
}

static void map(int fd)
{
	static const size_t lengths[] = { 4096, 1, 8192, 65536, 1 << 20, 4097 };
	size_t length = lengths[below(sizeof(lengths) / sizeof(*lengths))];
	int protection = PROT_READ | (below(3) ? PROT_WRITE : below(2) ? PROT_EXEC : 0);
	off_t offset = below(3) ? 0 : (off_t)odd_number() & ~4095L;
	unsigned char *memory;

	memory = mmap(NULL, length, protection, below(3) ? MAP_SHARED : MAP_PRIVATE, fd, offset);
	if (CALL(memory == MAP_FAILED ? -1 : 0) < 0)
		return;
	touch(memory, length, protection & PROT_WRITE);
	if (!below(4))
		CALL(mprotect(memory, length, PROT_READ));
	if (!below(4))
		CALL(madvise(memory, length, MADV_DONTNEED));
	if (!below(4) && length > 4096)
		CALL(munmap(memory + 4096, 4096));
	munmap(memory, length);
}

/* --- ioctl --- */

static unsigned long any_command(void)
{
	static const char types[] = "VUTEMKfskpxwaIoz@#$!";
	static const unsigned int shapes[] = {
		_IOC_NONE, _IOC_READ, _IOC_WRITE, _IOC_READ | _IOC_WRITE,
	};

	if (command_count && below(4))
		return commands[below(command_count)];
	switch (below(4)) {
	case 0:
		return below(512);
	case 1:
		return 0x1000 + below(64);
	default:
		return _IOC(shapes[below(4)], types[below(sizeof(types) - 1)], below(64),
			    below(2) ? 1U << below(8) : below(256));
	}
}

/* Clear each word that the call left as it was: inspect() is to see what the kernel wrote. */
static void forget_own(const unsigned char *own, size_t size)
{
	for (size_t i = 0; i < size; i += sizeof(uint32_t))
		if (!memcmp(block + i, own + i, sizeof(uint32_t)))
			memset(block + i, 0, sizeof(uint32_t));
}

/* The kernel writes as much as the command's number says, or what it likes. */
static void control(int fd, unsigned long command)
{
	static __thread unsigned char own[BUFFER_SIZE + 64];
	size_t size = _IOC_SIZE(command) ? _IOC_SIZE(command) : 256;
	uint64_t argument;
	char name[40];
	long result;

	if (size > BUFFER_SIZE)
		size = BUFFER_SIZE;
	switch (below(4)) {
	case 0:
		memset(block, 0, size + 64);
		break;
	case 1:
		memset(block, 0, size + 64);
		argument = odd_number();
		memcpy(block + 4 * below(4), &argument, below(2) ? 4 : 8);
		break;
	default:
		fill(block, size + 64);
	}
	switch (below(6)) {
	case 0:
		argument = odd_number();
		break;
	case 1:
		argument = below(8);
		break;
	default:
		argument = (uintptr_t)any_pointer(block, BUFFER_SIZE / 2);
	}
	memcpy(own, block, size + 64);
	result = CALL(ioctl(fd, command, argument));
	if (result >= 0 && argument == (uintptr_t)block) {
		forget_own(own, size);
		snprintf(name, sizeof(name), "ioctl %#lx", command);
		inspect(block, size, name);
	}
}

/* --- reading and writing --- */

static void read_some(int fd, size_t size, off_t offset)
{
	void *to = any_pointer(buffer, BUFFER_SIZE / 2);
	ssize_t n;

	if (size > BUFFER_SIZE / 2 && to != buffer)
		size = BUFFER_SIZE / 2;
	if (to == buffer)
		memset(buffer, 0xee, size);
	n = CALL(offset < 0 ? read(fd, to, size) : pread(fd, to, size, offset));
	if (n > 0 && to == buffer) {
		if ((size_t)n > size)
			report("bad-return", "read of %zu bytes from %s returned %zd", size, path,
			       n);
		else
			inspect(buffer, n, "read");
	}
}

static void write_some(int fd, size_t size, off_t offset)
{
	const void *from;
	ssize_t n;

	fill(buffer, size);
	if (is_text && below(8))
		size = strnlen((char *)buffer, BUFFER_SIZE);
	from = any_pointer(buffer, BUFFER_SIZE / 2);
	if (from != buffer && size > BUFFER_SIZE / 2)
		size = BUFFER_SIZE / 2;
	n = CALL(offset < 0 ? write(fd, from, size) : pwrite(fd, from, size, offset));
	if (n > (ssize_t)size)
		report("bad-return", "write of %zu bytes to %s returned %zd", size, path, n);
}

static size_t any_size(void)
{
	return below(4) ? sizes[below(sizeof(sizes) / sizeof(*sizes))] : below(BUFFER_SIZE);
}

static void splice_some(int fd)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return;
	if (below(2)) {
		CALL(splice(fd, NULL, ends[1], NULL, any_size(), SPLICE_F_NONBLOCK));
	} else {
		fill(buffer, 512);
		if (write(ends[1], buffer, 1 + below(512)) > 0)
			CALL(splice(ends[0], NULL, fd, NULL, any_size(), SPLICE_F_NONBLOCK));
	}
	close(ends[0]);
	close(ends[1]);
}

static void vector(int fd)
{
	struct iovec parts[4];

	for (unsigned int i = 0; i < 4; i++)
		parts[i] = (struct iovec){
			any_pointer(buffer + i * 512, 512), below(3) * below(256),
		};
	if (below(2)) {
		CALL(readv(fd, parts, below(5)));
	} else {
		fill(buffer, 4096);
		CALL(writev(fd, parts, below(5)));
	}
}

static void ask(int fd)
{
	struct pollfd poll_one = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI };

	switch (below(4)) {
	case 0:
		CALL(poll(&poll_one, 1, below(2) ? 0 : 10));
		break;
	case 1:
		CALL(fcntl(fd, F_SETOWN, getpid()));
		CALL(fcntl(fd, F_SETFL, below(2) ? O_ASYNC | O_NONBLOCK : O_NONBLOCK));
		break;
	case 2:
		CALL(fsync(fd));
		break;
	default:
		CALL(fallocate(fd, below(4), odd_number(), odd_number()));
	}
}

/* --- one after the other --- */

static void open_and_close(void)
{
	int fds[8];

	say_doing("open");
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		fds[0] = open_any(modes[i]);
		fds[1] = open_any(modes[i]);
		fds[2] = fds[0] < 0 ? -1 : dup(fds[0]);
		for (unsigned int j = 0; j < 3; j++)
			if (fds[j] >= 0)
				CALL(close(fds[j]));
	}
	for (unsigned int i = 0; i < 8; i++)
		fds[i] = open_any(O_RDWR | O_NONBLOCK);
	for (unsigned int i = 0; i < 8; i++)
		if (fds[i] >= 0)
			CALL(close(fds[i]));
	EACH_FAILURE({
		fds[0] = open_any(O_RDWR | O_NONBLOCK);
		if (fds[0] >= 0)
			close(fds[0]);
	});
}

/* The widest that the file grants. */
static int open_widely(int flags)
{
	int fd = open_any(O_RDWR | flags);

	if (fd < 0)
		fd = open_any(O_RDONLY | flags);
	return fd < 0 ? open_any(O_WRONLY | flags) : fd;
}

/* The calls of a program that uses the file as intended. */
static void use_well(int fd)
{
	ssize_t n;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes) && time_is_left(); i++) {
		memset(buffer, 0xee, sizes[i]);
		n = CALL(read(fd, buffer, sizes[i]));
		if (n > 0)
			inspect(buffer, (size_t)n < sizes[i] ? (size_t)n : sizes[i], "read");
		CALL(lseek(fd, 0, SEEK_SET));
		memset(buffer, 'a', sizes[i]);
		CALL(write(fd, buffer, sizes[i]));
		CALL(lseek(fd, 0, SEEK_SET));
		memset(buffer, 0xee, BUFFER_SIZE);
		n = CALL(read(fd, buffer, BUFFER_SIZE));
		if (n > 0)
			inspect(buffer, n, "read");
		CALL(lseek(fd, 0, SEEK_SET));
	}
}

static void read_and_write(int fd)
{
	static const off_t offsets[] = {
		-1, 0, 1, 4095, 4096, 1 << 20, 0x7fffffff, 0x100000000, INT64_MAX,
	};

	say_doing("read and write");
	use_well(fd);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes) && time_is_left(); i++) {
		for (size_t j = 0; j < sizeof(offsets) / sizeof(*offsets); j++) {
			read_some(fd, sizes[i], offsets[j]);
			write_some(fd, sizes[i], offsets[j]);
		}
	}
	for (size_t j = 0; j < sizeof(offsets) / sizeof(*offsets); j++)
		for (int whence = SEEK_SET; whence <= SEEK_HOLE; whence++)
			CALL(lseek(fd, offsets[j], whence));
	CALL(lseek(fd, 0, SEEK_SET));
	EACH_FAILURE(CALL(read(fd, buffer, 512)));
	EACH_FAILURE({
		strcpy((char *)buffer, "1\n");
		CALL(write(fd, buffer, 2));
	});
}

static void control_in_order(int fd)
{
	unsigned long count = command_count;

	say_doing("ioctl");
	for (unsigned long i = 0; i < count && time_is_left(); i++) {
		unsigned long command = commands[i];

		memset(block, 0, BUFFER_SIZE);
		if (CALL(ioctl(fd, command, block)) >= 0)
			inspect(block, _IOC_SIZE(command) ? _IOC_SIZE(command) : 256, "ioctl");
		for (unsigned int j = 0; j < 8; j++)
			control(fd, command);
		for (uint32_t number = 0; number < 4; number++)
			CALL(ioctl(fd, command, number));
		EACH_FAILURE(CALL(ioctl(fd, command, block)));
	}
	for (unsigned long number = 0; number < 64 && time_is_left(); number++)
		control(fd, number);
}

/* --- waiting --- */

static struct waiter {
	int fd;
	bool polls;
	unsigned long woken;
	bool done;
} waiter;

static void *wait_for_data(void *unused)
{
	struct pollfd one = { .fd = waiter.fd, .events = POLLIN };
	char byte[64];

	(void)unused;
	while (!waiter.done) {
		if (waiter.polls && poll(&one, 1, -1) < 0)
			break;
		if (read(waiter.fd, byte, sizeof(byte)) <= 0 && errno != EINTR)
			break;
		__atomic_add_fetch(&waiter.woken, 1, __ATOMIC_SEQ_CST);
	}
	waiter.done = true;
	return NULL;
}

static bool readable(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };

	return poll(&one, 1, 0) == 1 && one.revents & POLLIN;
}

/* Whether the waiter has got on, or ended, within some time. */
static bool gets_on(unsigned long before)
{
	for (unsigned int i = 0; i < 150; i++) {
		if (waiter.done || __atomic_load_n(&waiter.woken, __ATOMIC_SEQ_CST) != before)
			return true;
		usleep(10000);
	}
	return false;
}

/*
 * Somebody who sleeps until there is something to read must wake when somebody else
 * brings it. Asked only of a file in which nothing can be read until something is
 * written, by whoever opens it.
 */
static void wake(bool polls)
{
	int reader = open(path, O_RDONLY | O_CLOEXEC);
	int writer = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	int witness = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	pthread_t thread;
	char byte[64];
	unsigned long before;

	say_doing(polls ? "poll" : "a read that waits on");
	if (reader < 0 || writer < 0 || witness < 0)
		goto out;
	for (unsigned int i = 0; i < 64 && read(witness, byte, sizeof(byte)) > 0; i++)
		;
	if (read(witness, byte, sizeof(byte)) != -1 || errno != EAGAIN || readable(reader))
		goto out;
	waiter = (struct waiter){ .fd = reader, .polls = polls };
	if (pthread_create(&thread, NULL, wait_for_data, NULL))
		goto out;
	for (unsigned int i = 0; i < 200 && time_is_left() && !waiter.done; i++) {
		before = waiter.woken;
		/* Now before the other sleeps, now after. */
		if (i % 4 == 0)
			usleep(20000);
		else
			usleep(below(300));
		if (CALL(write(writer, "1\n", 2)) <= 0)
			break;
		if (gets_on(before))
			continue;
		if (readable(witness) || read(witness, byte, sizeof(byte)) > 0)
			report("lost-wakeup", "a %s on %s sleeps on, though there is data",
			       polls ? "poll" : "read", path);
		break;
	}
	waiter.done = true;
	while (pthread_kill(thread, SIGUSR1) == 0 && pthread_tryjoin_np(thread, NULL))
		usleep(10000);
out:
	close(reader);
	close(writer);
	close(witness);
}

/* --- at random --- */

static void any_call(void)
{
	unsigned int slot = below(SLOTS);
	int fd = __atomic_load_n(&slots[slot], __ATOMIC_RELAXED);

	get_buffer();
	if (fd < 0 || !below(12)) {
		fd = open_any(modes[below(sizeof(modes) / sizeof(*modes))] |
			      (below(3) ? O_NONBLOCK : 0));
		fd = __atomic_exchange_n(&slots[slot], fd, __ATOMIC_RELAXED);
		if (fd >= 0)
			CALL(close(fd));
		return;
	}
	switch (below(10)) {
	case 0:
	case 1:
		read_some(fd, any_size(), below(2) ? -1 : (off_t)(odd_number() >> 1));
		break;
	case 2:
	case 3:
		write_some(fd, any_size(), below(2) ? -1 : (off_t)(odd_number() >> 1));
		break;
	case 4:
		vector(fd);
		break;
	case 5:
		CALL(lseek(fd, below(2) ? 0 : (off_t)odd_number(), below(6)));
		break;
	case 6:
		if (is_text)
			ask(fd);
		else
			map(fd);
		break;
	case 7:
		splice_some(fd);
		break;
	case 8:
		ask(fd);
		break;
	default:
		control(fd, any_command());
	}
}

void exercise_file(const char *name, bool text)
{
	const struct sigaction fault = { .sa_handler = on_fault };
	int fd;

	path = name;
	is_text = text;
	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGBUS, &fault, NULL);
	get_buffer();
	open_and_close();
	/* Before the calls that may wait in vain take the time. */
	if (!is_text) {
		wake(false);
		wake(true);
	}
	fd = open_widely(0);
	if (fd >= 0) {
		read_and_write(fd);
		if (!is_text) {
			control_in_order(fd);
			say_doing("mmap of");
			for (unsigned int i = 0; i < 20; i++)
				map(fd);
		}
		CALL(close(fd));
	}
	say_doing("calls at random on");
	for (unsigned int i = 0; i < SLOTS; i++)
		slots[i] = -1;
	in_threads(any_call);
	for (unsigned int i = 0; i < SLOTS; i++)
		if (slots[i] >= 0)
			CALL(close(slots[i]));
}

/* Have files open while somebody else unloads their module, then use them. */
int hold_files(char **paths)
{
	static const int ways[] = { O_RDWR, O_RDONLY, O_WRONLY };
	int fds[64];
	unsigned int count = 0;
	char line[16];

	get_buffer();
	signal(SIGPIPE, SIG_IGN);
	for (; *paths && count < 64; paths++) {
		for (unsigned int i = 0; i < 3; i++) {
			fds[count] = open(*paths, ways[i] | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
			if (fds[count] >= 0) {
				count++;
				break;
			}
		}
	}
	printf("@held\t%u\n", count);
	fflush(stdout);
	/* A FIFO of the caller's: it is closed, or says that it is time. */
	if (!fgets(line, sizeof(line), stdin))
		return 0;
	for (unsigned int i = 0; i < count; i++) {
		if (read(fds[i], buffer, 64) < 0)
			errno = 0;
		if (write(fds[i], "1\n", 2) < 0)
			errno = 0;
		ioctl(fds[i], 1, buffer);
		lseek(fds[i], 0, SEEK_SET);
		close(fds[i]);
	}
	return 0;
}

static void *open_for_ever(void *name)
{
	struct pollfd one = { .events = POLLIN };
	unsigned char bytes[256];
	int fd;

	for (;;) {
		fd = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			fd = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
		if (fd < 0) {
			usleep(100);
			continue;
		}
		if (read(fd, bytes, sizeof(bytes)) < 0 || write(fd, "1\n", 2) < 0)
			errno = 0;
		one.fd = fd;
		poll(&one, 1, 0);
		close(fd);
	}
	return NULL;
}

/* Keep opening what comes and goes; who is killed leaves nothing. */
int keep_opening(char **paths)
{
	pthread_t thread;

	for (unsigned int i = 0; paths[i] && i < 16; i++)
		pthread_create(&thread, NULL, open_for_ever, paths[i]);
	for (;;)
		pause();
	return 0;
}
