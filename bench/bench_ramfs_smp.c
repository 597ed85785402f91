// SPDX-License-Identifier: GPL-2.0
/*
 * cramfs, tmpfs and ramfs on two processors: two that write a file each against
 * one that writes one; and the longest fault of a page that is present while the
 * other processor allocates elsewhere in the file. Each round is short, for the
 * machine may have to share its processors: the best of many is what counts.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "bench.h"

#define PAGE		4096
#define PAGES		64
#define BYTES		(PAGES * PAGE)
#define ELSEWHERE	(64 << 20)
#define ALLOCATED	(8 << 20)
#define ROUNDS		300
#define FAULT_ROUNDS	200
#define POINT		"/mnt"

struct writer {
	pthread_t thread;
	int cpu;
	int fd;
	unsigned long long begin;
	unsigned long long end;
};

static atomic_int missing;
static atomic_bool allocated;

/* On this processor from now on, and together with the others that are awaited. */
static void start_on(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	must(sched_setaffinity(0, sizeof(cpus), &cpus));
	atomic_fetch_sub(&missing, 1);
	while (atomic_load(&missing))
		;
}

static void *write_file(void *data)
{
	static char page[PAGE];
	struct writer *writer = data;
	int i;

	start_on(writer->cpu);
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

static void *allocate(void *fd)
{
	start_on(1);
	must(fallocate(*(int *)fd, FALLOC_FL_KEEP_SIZE, ELSEWHERE, ALLOCATED));
	atomic_store(&allocated, true);
	return NULL;
}

/* The longest store to an unmapped page while another thread allocates; 0 if it was too quick. */
static unsigned long long worst_fault(int fd)
{
	volatile char *map = mmap(NULL, BYTES, PROT_WRITE, MAP_SHARED, fd, 0);
	unsigned long long begin, took, worst = 0;
	pthread_t thread;
	int i;

	if (map == MAP_FAILED)
		bench_die("mmap");
	atomic_store(&allocated, false);
	atomic_store(&missing, 2);
	must(-pthread_create(&thread, NULL, allocate, &fd));
	start_on(0);
	while (!atomic_load(&allocated)) {
		must(madvise((void *)map, BYTES, MADV_DONTNEED));
		for (i = 0; i < PAGES; i++) {
			begin = bench_clock();
			map[i * PAGE] = 1;
			took = bench_clock() - begin;
			if (took > worst)
				worst = took;
		}
	}
	pthread_join(thread, NULL);
	must(munmap((void *)map, BYTES));
	return worst;
}

static void fault_phase(const char *type, int round)
{
	static char data[BYTES];
	unsigned long long worst;
	int fd;

	fd = must(open(POINT "/a", O_CREAT | O_EXCL | O_RDWR, 0644));
	must_be(BYTES, write(fd, data, BYTES));
	/* ramfs allocates nothing in advance */
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, BYTES) == 0) {
		worst = worst_fault(fd);
		if (worst)
			bench_emit("worst-fault", type, round, 1, "ns", worst);
	} else if (errno != EOPNOTSUPP) {
		bench_die("fallocate");
	}
	close(fd);
}

static void write_phases(const char *type, int round)
{
	bench_emit("write-on-1", type, round, PAGES, "ns", write_files(1));
	bench_emit("write-on-2", type, round, 2 * PAGES, "ns", write_files(2));
}

static void run_rounds(int rounds, void (*phases)(const char *type, int round))
{
	static const char * const types[] = { "tmpfs", "ramfs", "cramfs" };
	int round;
	size_t i;

	for (round = 0; round < rounds; round++) {
		for (i = 0; i < ARRAY_SIZE(types); i++) {
			must(mount("none", POINT, types[i], 0, "mode=0755"));
			phases(types[i], round);
			must(umount(POINT));
		}
	}
}

int main(void)
{
	run_rounds(ROUNDS, write_phases);
	run_rounds(FAULT_ROUNDS, fault_phase);
	return 0;
}
