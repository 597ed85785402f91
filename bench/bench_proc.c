// SPDX-License-Identifier: GPL-2.0
/* /proc/rust_proc beside /dev/kmsg, where a line goes too, and /proc/kallsyms, a list to read. */
#include <fcntl.h>
#include <unistd.h>

#include "bench.h"

#define ENTRIES 100

/* Of debug level to /dev/kmsg, so that no console prints it. */
static const char line[] = "<7>kmodkit: one line of sixty-four bytes, as a log is full of..\n";
static char buffer[65536];
static int kmsg, proc;
static size_t bytes;

static void append(int fd, unsigned long ops)
{
	while (ops--)
		must_be(sizeof(line) - 1, write(fd, line, sizeof(line) - 1));
}

static void kmsg_append(unsigned long ops)
{
	append(kmsg, ops);
}

static void proc_append(unsigned long ops)
{
	append(proc, ops);
}

/* As cat does: open, read to the end or as far as @most, close; returns the bytes. */
static size_t read_file(const char *path, size_t most)
{
	int fd = must(open(path, O_RDONLY | O_CLOEXEC));
	size_t done = 0, n;

	do {
		n = must(read(fd, buffer, most - done));
		done += n;
	} while (n && done < most);
	close(fd);
	return done;
}

/* An operation is a byte: as many passes as come to @ops bytes. */
static void kallsyms_read(unsigned long ops)
{
	for (; ops; ops -= bytes)
		must_be(bytes, read_file("/proc/kallsyms", bytes));
}

static void proc_read(unsigned long ops)
{
	for (; ops; ops -= bytes)
		must_be(bytes, read_file("/proc/rust_proc", sizeof(buffer)));
}

static const struct bench_side append_sides[] = {
	{ .name = "kmsg", .run = kmsg_append },
	{ .name = "proc", .run = proc_append },
};

static const struct bench_side read_sides[] = {
	{ .name = "kallsyms", .run = kallsyms_read },
	{ .name = "proc", .run = proc_read },
};

int main(void)
{
	kmsg = must(open("/dev/kmsg", O_WRONLY | O_CLOEXEC));
	proc = must(open("/proc/rust_proc", O_WRONLY | O_CLOEXEC));

	bench_compare("append", 500, append_sides, ARRAY_SIZE(append_sides));
	append(proc, ENTRIES);
	bytes = read_file("/proc/rust_proc", sizeof(buffer));
	bench_compare("read-100", 100 * bytes, read_sides, ARRAY_SIZE(read_sides));
	return 0;
}
