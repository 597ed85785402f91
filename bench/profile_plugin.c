// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU: how often each block of instructions ran between the marks
 * that bench_begin() and bench_end() leave for the profiled contender.
 *
 * At the end it writes a line a block: ADDRESS INSTRUCTIONS, the latter being
 * the times it ran multiplied by its length.
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
static const char *path;

static void ran(unsigned int cpu, void *data)
{
	struct block *block = data;

	if (counting)
		block->runs++;
}

static void begin(unsigned int cpu, void *data)
{
	counting = true;
}

static void end(unsigned int cpu, void *data)
{
	counting = false;
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

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
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
			qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, 0, NULL);
		else if (mark == BENCH_MARK_END)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, end, 0, NULL);
	}
}

static void ended(qemu_plugin_id_t id, void *data)
{
	const struct block *block;
	FILE *file = fopen(path, "w");

	if (!file)
		return;
	for (block = blocks; block; block = block->next) {
		if (block->runs)
			fprintf(file, "%llx %llu\n", block->address, block->runs * block->length);
	}
	fclose(file);
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
	if (argc != 1 || strncmp(argv[0], "counts=", 7))
		return -1;
	path = argv[0] + 7;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, ended, NULL);
	return 0;
}
