// SPDX-License-Identifier: GPL-2.0
/*
 * How cramfs, tmpfs and ramfs scale: two processors write two files against one
 * that writes one. Each round is short, for the machine may have to share its
 * processors: the best of many is what counts.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <unistd.h>

#include "bench.h"

#define PAGE	4096
#define PAGES	64
#define ROUNDS	300
#define POINT	"/mnt"

struct writer {
	pthread_t thread;
	int cpu;
	int fd;
	unsigned long long begin;
	unsigned long long end;
};

static atomic_int missing;

static void *write_file(void *data)
{
	static char page[PAGE];
	struct writer *writer = data;
	cpu_set_t cpus;
	int i;

	CPU_ZERO(&cpus);
	CPU_SET(writer->cpu, &cpus);
	must(sched_setaffinity(0, sizeof(cpus), &cpus));
	atomic_fetch_sub(&missing, 1);
	while (atomic_load(&missing))
		;
	writer->begin = bench_clock();
	for (i = 0; i < PAGES; i++)
		must_be(PAGE, write(writer->fd, page, PAGE));
	writer->end = bench_clock();
	return NULL;
}

/* @nr writers at once, each to a new file; from the first's begin to the last's end. */
static unsigned long long write_files(int nr)
{
	static const char * const names[] = { POINT "/a", POINT "/b" };
	unsigned long long begin, end;
	struct writer writers[2];
	int i;

	atomic_store(&missing, nr);
	for (i = 0; i < nr; i++) {
		writers[i].cpu = i;
		writers[i].fd = must(open(names[i], O_CREAT | O_EXCL | O_WRONLY, 0644));
		must(-pthread_create(&writers[i].thread, NULL, write_file, &writers[i]));
	}
	for (i = 0; i < nr; i++) {
		pthread_join(writers[i].thread, NULL);
		close(writers[i].fd);
		must(unlink(names[i]));
	}
	begin = writers[0].begin;
	end = writers[0].end;
	if (nr == 2 && writers[1].begin < begin)
		begin = writers[1].begin;
	if (nr == 2 && writers[1].end > end)
		end = writers[1].end;
	return end - begin;
}

int main(void)
{
	static const char * const types[] = { "tmpfs", "ramfs", "cramfs" };
	int round;
	size_t i;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < ARRAY_SIZE(types); i++) {
			must(mount("none", POINT, types[i], 0, "mode=0755"));
			bench_emit("write-on-1", types[i], round, PAGES, "ns", write_files(1));
			bench_emit("write-on-2", types[i], round, 2 * PAGES, "ns", write_files(2));
			must(umount(POINT));
		}
	}
	return 0;
}
