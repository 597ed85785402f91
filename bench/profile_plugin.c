// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU: which instructions ran between the marks that bench_begin()
 * and bench_end() leave.
 *
 * At each end it writes a line for every block of instructions that ran,
 * "ADDRESS INSTRUCTIONS", the latter being the times it ran multiplied by its
 * length, and then the line "end".
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_mark.h"
#include "qemu_plugin.h"

int qemu_plugin_version = 1;

struct block {
	struct block *next;
	unsigned long long address;
	unsigned long long length;
	unsigned long long runs;
};

static struct block *blocks;
static bool counting;
static FILE *output;

static void ran(unsigned int cpu, void *data)
{
	struct block *block = data;

	if (counting)
		block->runs++;
}

static void count_begin(unsigned int cpu, void *data)
{
	counting = true;
}

static void count_end(unsigned int cpu, void *data)
{
	struct block *block;

	counting = false;
	for (block = blocks; block; block = block->next) {
		if (block->runs)
			fprintf(output, "%llx %llu\n", block->address,
				block->runs * block->length);
		block->runs = 0;
	}
	fprintf(output, "end\n");
	fflush(output);
}

/* The operand of a nopl with a 32-bit one, else 0. */
static unsigned int mark_of(const struct qemu_plugin_insn *insn)
{
	const unsigned char *bytes = qemu_plugin_insn_data(insn);
	unsigned int mark;

	if (qemu_plugin_insn_size(insn) != 7 || memcmp(bytes, "\x0f\x1f\x80", 3))
		return 0;
	memcpy(&mark, bytes + 3, sizeof(mark));
	return mark;
}

static void translated(unsigned long long id, struct qemu_plugin_tb *tb)
{
	struct block *block = calloc(1, sizeof(*block));
	struct qemu_plugin_insn *insn;
	unsigned int mark;
	size_t i;

	if (!block)
		abort();
	block->next = blocks;
	blocks = block;
	block->address = qemu_plugin_tb_vaddr(tb);
	block->length = qemu_plugin_tb_n_insns(tb);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, ran, 0, block);
	for (i = 0; i < block->length; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		mark = mark_of(insn);
		if (mark == BENCH_MARK_BEGIN)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, count_begin, 0, NULL);
		else if (mark == BENCH_MARK_END)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, count_end, 0, NULL);
	}
}

int qemu_plugin_install(unsigned long long id, const struct qemu_info *info, int argc, char **argv)
{
	if (argc != 1 || strncmp(argv[0], "counts=", 7))
		return -1;
	output = fopen(argv[0] + 7, "w");
	if (!output)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
