// SPDX-License-Identifier: GPL-2.0
/* /dev/echo and /dev/echo_fifo beside a pipe and a memfd. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

static char buffer[65536];
static size_t size;
static int pipe_fds[2], memfd, echo, fifo;

static void pipe_run(unsigned long ops)
{
	while (ops--) {
		must_be(size, write(pipe_fds[1], buffer, size));
		must_be(size, read(pipe_fds[0], buffer, size));
	}
}

static void message_run(int fd, unsigned long ops)
{
	while (ops--) {
		must_be(size, pwrite(fd, buffer, size, 0));
		must_be(size, pread(fd, buffer, size, 0));
	}
}

static void memfd_run(unsigned long ops)
{
	message_run(memfd, ops);
}

static void echo_run(unsigned long ops)
{
	message_run(echo, ops);
}

static void fifo_run(unsigned long ops)
{
	while (ops--) {
		must_be(size, write(fifo, buffer, size));
		must_be(size, read(fifo, buffer, size));
	}
}

static const struct bench_side message_sides[] = {
	{ .name = "pipe", .run = pipe_run },
	{ .name = "memfd", .run = memfd_run },
	{ .name = "echo", .run = echo_run },
};

static const struct bench_side fifo_sides[] = {
	{ .name = "pipe", .run = pipe_run },
	{ .name = "fifo", .run = fifo_run },
};

/*
 * How often a crowd sleeps that is blocked at one end while the other moves @size bytes at a
 * time: one sleep each is what a reader or a writer cannot do without.
 */
#define CROWD 64

struct crowd {
	int fd;
	bool writes;
	unsigned long done;
};

static void *take_part(void *arg)
{
	struct crowd *crowd = arg;
	char bytes[4096] = "";

	for (;;) {
		must_be(size, crowd->writes ? write(crowd->fd, bytes, size) :
					      read(crowd->fd, bytes, size));
		__atomic_fetch_add(&crowd->done, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* The sleeps of all threads but this one, once they are blocked. */
static unsigned long sleeps_of_all(void)
{
	char path[64], line[128], state;
	unsigned long sleeps = 0, n;
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	FILE *file;

	if (!dir)
		bench_die("/proc/self/task");
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid())
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%.20s/status", entry->d_name);
		for (state = 0; state != 'S'; fclose(file)) {
			sched_yield();
			file = fopen(path, "re");
			if (!file)
				bench_die(path);
			while (fgets(line, sizeof(line), file))
				if (sscanf(line, "State: %c", &state) != 1 && state == 'S' &&
				    sscanf(line, "voluntary_ctxt_switches: %lu", &n) == 1)
					sleeps += n;
		}
	}
	closedir(dir);
	return sleeps;
}

static unsigned long sleeps_of_a_crowd(int read_end, int write_end, bool writes, unsigned long ops)
{
	struct crowd crowd = { .fd = writes ? write_end : read_end, .writes = writes };
	unsigned long before, i;
	pthread_t threads[CROWD];

	for (i = 0; i < CROWD; i++)
		pthread_create(&threads[i], NULL, take_part, &crowd);
	before = sleeps_of_all();
	crowd.done = 0;
	for (i = 0; i < ops; i++) {
		must_be(size, writes ? read(read_end, buffer, size) :
				       write(write_end, buffer, size));
		while (__atomic_load_n(&crowd.done, __ATOMIC_ACQUIRE) == i)
			sched_yield();
	}
	before = sleeps_of_all() - before;
	for (i = 0; i < CROWD; i++) {
		pthread_cancel(threads[i]);
		pthread_join(threads[i], NULL);
	}
	return before;
}

/* Both hold 64 KiB. */
static void compare_crowds(const char *work, bool writes, unsigned long ops)
{
	int round;

	for (round = 0; round < BENCH_ROUNDS; round++) {
		bench_emit(work, "pipe", round, ops, "sleeps",
			   sleeps_of_a_crowd(pipe_fds[0], pipe_fds[1], writes, ops));
		bench_emit(work, "fifo", round, ops, "sleeps",
			   sleeps_of_a_crowd(fifo, fifo, writes, ops));
	}
}

int main(void)
{
	must(pipe(pipe_fds));
	memfd = must(memfd_create("bench", MFD_CLOEXEC));
	echo = must(open("/dev/echo", O_RDWR | O_CLOEXEC));
	fifo = must(open("/dev/echo_fifo", O_RDWR | O_CLOEXEC));

	size = 64;
	bench_compare("message-64", 2000, message_sides, ARRAY_SIZE(message_sides));
	bench_compare("fifo-64", 2000, fifo_sides, ARRAY_SIZE(fifo_sides));
	size = 4096;
	bench_compare("message-4k", 1000, message_sides, ARRAY_SIZE(message_sides));
	bench_compare("fifo-4k", 1000, fifo_sides, ARRAY_SIZE(fifo_sides));
	size = 65536;
	bench_compare("fifo-64k", 200, fifo_sides, ARRAY_SIZE(fifo_sides));
	size = 1;
	compare_crowds("wakeups-readers", false, 200);
	size = 4096;
	compare_crowds("wakeups-writers", true, 200);
	return 0;
}
