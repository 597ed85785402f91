/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where profiling begins and ends: an instruction that does nothing, and whose
 * operand bench/profile_plugin.c knows: nopl BENCH_MARK_...(%rax).
 */
#ifndef BENCH_MARK_H
#define BENCH_MARK_H

#define BENCH_MARK_BEGIN	0x6b6d6b01
#define BENCH_MARK_END		0x6b6d6b02

#endif /* BENCH_MARK_H */
