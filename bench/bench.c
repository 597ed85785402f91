// SPDX-License-Identifier: GPL-2.0
#include <time.h>

#include "bench.h"

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

void bench_emit(const char *work, const char *side, int round, unsigned long ops,
		unsigned long long ns)
{
	printf("{\"work\": \"%s\", \"side\": \"%s\", \"round\": %d, \"ops\": %lu, \"ns\": %llu}\n",
	       work, side, round, ops, ns);
	fflush(stdout);
}

static unsigned long long turn(const struct bench_side *side, unsigned long ops)
{
	unsigned long long start;

	if (side->prepare)
		side->prepare(ops);
	start = bench_clock();
	side->run(ops);
	return bench_clock() - start;
}

/* The first turn of each only warms up. */
void bench_compare(const char *work, unsigned long ops, const struct bench_side *sides, size_t nr)
{
	int round;
	size_t i;

	for (round = -1; round < BENCH_ROUNDS; round++) {
		for (i = 0; i < nr; i++) {
			unsigned long long ns = turn(&sides[i], ops);

			if (round >= 0)
				bench_emit(work, sides[i].name, round, ops, ns);
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
		while (fscanf(file, "%31s %31s %lu %llu", work, side, &ops, &ns) == 4) {
			if (round >= 0)
				bench_emit(work, side, round, ops, ns);
		}
		if (ferror(file))
			bench_die(path);
		fclose(file);
	}
}
