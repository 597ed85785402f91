/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The form of a tree's tables for the fuzzer: its file calls.h includes this, and has
 *   enum group         its own, GROUPS, ANY for calls with any file, and LOAD for those that
 *                      load and unload modules: one of its own, or, without such, behind GROUPS
 *   group_names[]      of those before GROUPS
 *   calls[], CALLS     each call, and how many there are
 *   modules[]          what to load, and with which parameters
 *   FAULT_MODULE       the one with a planted fault, that may be there, too, or ""
 */
#ifndef CALL_H
#define CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "helpers.h"

#define MOUNT_POINT	"/tmp/fuzz"
#define MODULES		"/lib/kmodkit/"

/*
 * Memory at fixed addresses, so that programs can be written down: see prepare_memory(). The
 * heap is anywhere in the gigabyte behind the fuzzer's code, and its maps are at the top.
 * 32 bits hold each address of a structure or a text.
 */
#define MEMORY		0x80000000UL
#define MEMORY_SIZE	0x10000UL	/* behind it there is none */
#define FILE_HANDLE	(MEMORY + 0x800)
#define EMPTY_TEXT	(MEMORY + 0xff8)
#define READ_ONLY	0x80020000UL
#define TEXTS		0x80100000UL
#define STRUCTS		0x80200000UL
#define MAPPINGS	0x300000000UL
#define MAPPING_SIZE	0x1000000UL

/* Files that are always there. */
#define ZERO_FD		8
#define MEMORY_FD	9
#define PIPE_OUT_FD	10
#define PIPE_IN_FD	11

/* The meaning of one 64-bit number of a program. */
enum kind {
	NONE,
	CONST,		/* itself, whatever the number */
	NUM,		/* the number */
	ONE,		/* one of a list */
	FLAGS,		/* any of a list, together */
	FD,		/* the file in a slot */
	STRING,		/* a pointer to one of a list, perhaps with a byte changed */
	BUFFER,		/* a pointer into memory, or to where there is none */
	MAPPING,	/* a pointer to where files are mapped */
	STRUCT,		/* a pointer to fields, each with a number of its own */
};

struct list {
	size_t count;
	const uint64_t *numbers;
	const char * const *strings;
};

struct value {
	enum kind kind;
	uint64_t constant;
	const struct list *list;
	const struct field *fields;
};

struct field {
	unsigned int bytes;	/* 0: no more fields */
	struct value value;
};

struct call {
	const char *name;
	unsigned int group;
	long number;
	struct value args[6];
	bool returns_file;
};

#define NUMBERS(name_, ...)						\
	static const uint64_t name_##_numbers[] = { __VA_ARGS__ };	\
	static const struct list name_ = {				\
		sizeof(name_##_numbers) / sizeof(*name_##_numbers),	\
		name_##_numbers, NULL					\
	}
#define STRINGS(name_, ...)						\
	static const char * const name_##_strings[] = { __VA_ARGS__ };	\
	static const struct list name_ = {				\
		sizeof(name_##_strings) / sizeof(*name_##_strings),	\
		NULL, name_##_strings					\
	}

#define IS(number_)	{ .kind = CONST, .constant = (uint64_t)(number_) }
#define ONE_OF(list_)	{ .kind = ONE, .list = &(list_) }
#define ANY_OF(list_)	{ .kind = FLAGS, .list = &(list_) }
#define TEXT(list_)	{ .kind = STRING, .list = &(list_) }
#define TO(fields_)	{ .kind = STRUCT, .fields = (fields_) }
#define N		{ .kind = NUM }
#define F		{ .kind = FD }
#define BUF		{ .kind = BUFFER }
#define MAP		{ .kind = MAPPING }

#endif /* CALL_H */
