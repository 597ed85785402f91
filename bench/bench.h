/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the benchmark programs: a clock, contenders that take turns, and
 * one line of JSON a measurement, which bench/report reads.
 *
 * They run as root in the machine of rig/vm/run -i, where a nanosecond is an
 * instruction.
 */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Evaluates to what @call returned; ends the program if that is negative. */
#define must(call)							\
	({								\
		long long ret_ = (long long)(call);			\
		if (ret_ < 0)						\
			bench_die(#call);				\
		ret_;							\
	})

/* Ends the program unless @call returns just @want, as a whole read or write does. */
#define must_be(want, call)						\
	do {								\
		if ((long long)(call) != (long long)(want))		\
			bench_die(#call);				\
	} while (0)

/**
 * struct bench_side - one contender
 * @name: as bench/rows calls it
 * @run: does the work @ops times; all of it is timed
 * @prepare: if not NULL, called before each @run, untimed
 */
struct bench_side {
	const char *name;
	void (*run)(unsigned long ops);
	void (*prepare)(unsigned long ops);
};

/* How often each contender has its turn. */
#define BENCH_ROUNDS 7

/* Say what @ops operations cost: @unit is "ns", "bytes" or "sleeps". */
void bench_emit(const char *work, const char *side, int round, unsigned long ops,
		const char *unit, unsigned long long cost);

/* In nanoseconds. */
unsigned long long bench_clock(void);

/*
 * Around what is timed: bench_begin() returns the time that bench_end() wants.
 * A round below 0 only warms up and is not told.
 */
unsigned long long bench_begin(int round);
void bench_end(const char *work, const char *side, int round, unsigned long ops,
	       unsigned long long begin);

void bench_compare(const char *work, unsigned long ops, const struct bench_side *sides, size_t nr);
void bench_relay(const char *path);
void bench_die(const char *what) __attribute__((noreturn));

#endif /* BENCH_H */
