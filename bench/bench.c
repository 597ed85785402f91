// SPDX-License-Identifier: GPL-2.0
#include <stdbool.h>
#include <time.h>

#include "bench.h"
#include "bench_mark.h"

#define mark(which) ({ asm volatile("nopl %c0(%%rax)" : : "i"(which)); })

void bench_die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(EXIT_FAILURE);
}

unsigned long long bench_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* Marks only where somebody profiles, so that they cost nothing elsewhere. */
static bool profiled(int round)
{
	return round >= 0 && getenv("BENCH_PROFILE");
}

unsigned long long bench_begin(int round)
{
	if (profiled(round))
		mark(BENCH_MARK_BEGIN);
	return bench_clock();
}

static void emit(const char *work, const char *side, int round, unsigned long ops,
		 const char *unit, unsigned long long cost)
{
	if (round < 0)
		return;
	printf("{\"work\": \"%s\", \"side\": \"%s\", \"round\": %d, \"ops\": %lu, \"%s\": %llu}\n",
	       work, side, round, ops, unit, cost);
	fflush(stdout);
}

/* Without marks there is no profile: what is shown of it would be another measurement's. */
void bench_emit(const char *work, const char *side, int round, unsigned long ops,
		const char *unit, unsigned long long cost)
{
	if (!profiled(round))
		emit(work, side, round, ops, unit, cost);
}

void bench_end(const char *work, const char *side, int round, unsigned long ops,
	       unsigned long long begin)
{
	unsigned long long ns = bench_clock() - begin;

	if (profiled(round))
		mark(BENCH_MARK_END);
	emit(work, side, round, ops, "ns", ns);
}

/* Each contender has its turn, then each the next; the first round only warms up. */
void bench_compare(const char *work, unsigned long ops, const struct bench_side *sides, size_t nr)
{
	unsigned long long begin;
	int round;
	size_t i;

	for (round = -1; round < BENCH_ROUNDS; round++) {
		for (i = 0; i < nr; i++) {
			if (sides[i].prepare)
				sides[i].prepare(ops);
			begin = bench_begin(round);
			sides[i].run(ops);
			bench_end(work, sides[i].name, round, ops, begin);
		}
	}
}

/* Rounds that a kernel module measures: each read of @path is one, a line a contender. */
void bench_relay(const char *path)
{
	char work[32], side[32];
	unsigned long long ns;
	unsigned long ops;
	FILE *file;
	int round;

	for (round = -1; round < BENCH_ROUNDS; round++) {
		file = fopen(path, "re");
		if (!file)
			bench_die(path);
		while (fscanf(file, "%31s %31s %lu %llu", work, side, &ops, &ns) == 4)
			bench_emit(work, side, round, ops, "ns", ns);
		if (ferror(file))
			bench_die(path);
		fclose(file);
	}
}
