// SPDX-License-Identifier: GPL-2.0
/*
 * A fuzzer of what a user can call in the modules: it makes programs of a few
 * system calls each (calls.h), runs them, and keeps, changes and combines those
 * that reach code that none reached before, as KCOV tells. On a kernel without
 * KCOV it goes on blindly.
 *
 * Usage: fuzz [CORPUS...]     look for faults: KMK_FUZZ_SECONDS (60), KMK_SEED;
 *                             KMK_FUZZ_GROUP=irq keeps to the calls of one group;
 *                             KMK_FUZZ_KEEP=1 prints what reached code that CORPUS does not
 *        fuzz -r FILE [N]     run the programs in FILE N times (1)
 *        fuzz -c FILE         print the first program in FILE as C
 *        fuzz -g [CORPUS...]  print the names of the groups, if CORPUS can be read
 *
 * Each program is written to KMK_FUZZ_PROGRAM, a file, before it runs. One in which
 * nothing happens for KMK_FUZZ_PATIENCE seconds (120) hangs.
 *
 * A program is text: a line for each call, with the slot that gets its file, the
 * numbers of its arguments, and behind a colon those of the fields that an
 * argument points to; "race" runs it once more in two threads at once.
 *
 * A worker does it all, in memory that it shares with the process that watches it,
 * which so knows the program that killed the worker or in which it hangs. A fault
 * is what the kernel's log says. Its program is then made as short as it can be
 * with the fault still there, by workers that may be killed, too, and printed, as
 * text and as C. A program in which the worker hangs is printed as it is, and one that
 * makes the kernel panic is known from KMK_FUZZ_PROGRAM: rig/fuzz/in-vm makes both
 * short, in a machine for each try.
 *
 * Not called: 32-bit calls but ioctl; io_uring with more than one entry, and with registered
 * files or buffers; memory that userfaultfd or FUSE fills; namespaces, but for a fixed
 * program in a mount there; exec, and swap files; another user than root.
 */
#define _GNU_SOURCE
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcov.h>
#include <pthread.h>
#include <regex.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_OPS	24
#define ARGS		6
#define WORDS		16
#define SLOTS		8	/* of files; then come those that are always there */
#define FDS		(SLOTS + PIPE_IN_FD + 1 - ZERO_FD)
#define MAPS		4
#define KEPT		4096	/* programs */
#define TRACE_SIZE	(64 << 10)
#define SEEN_BITS	18
#define TEXT_SIZE	512
#define STRUCT_SIZE	256
#define PROGRAM_SIZE	(16 << 10)	/* as text */

#define FILE_AS_TEXT(name, path)				\
	asm(".pushsection .rodata\n"				\
	    #name ":\n\t.incbin \"" path "\"\n\t.byte 0\n"	\
	    ".popsection");					\
	extern const char name[]

struct op {
	unsigned int call, slot;
	uint64_t args[ARGS];
	uint64_t words[WORDS];
};

struct program {
	unsigned int count;
	bool race;
	struct op ops[MOST_OPS];
};

/* Shared by the worker and its watcher. */
static struct shared {
	struct program now;		/* what runs */
	unsigned long runs, steps, calls, edges, kept, kept_given;
	unsigned long opened[GROUPS];	/* times */
	unsigned int given_done;
	pid_t second;			/* the thread that races with the worker, if any */
	uint64_t random;
	unsigned char seen[1 << SEEN_BITS];
	struct program corpus[KEPT];
} *shared;

/* From files. */
static struct program given[KEPT];
static unsigned int given_count;

static int files[SLOTS];
static unsigned long *trace;	/* of KCOV; NULL without */
static int log_fd;
static int told_fd = -1;	/* of KMK_FUZZ_PROGRAM */
static time_t end, patience;

/* Random numbers, the same for the same seed. */

static uint64_t next_random(void)
{
	uint64_t z = shared->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static unsigned int below(unsigned int n)
{
	return next_random() % n;
}

static bool one_in(unsigned int n)
{
	return !below(n);
}

/* A size or an address that someone might have forgotten. */
static uint64_t random_number(void)
{
	uint64_t n = 1ULL << below(64);

	switch (below(8)) {
	case 0:
		return next_random();
	case 1:
		return n + below(3) - 1;
	case 2:
		return -n + below(3) - 1;
	case 3:
		return below(10) * 4096 + below(3) - 1;
	default:
		return below(300);
	}
}

/* Memory */

static void map_at(unsigned long address, size_t size, int protection)
{
	if (mmap((void *)address, size, protection,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED) {
		perror("fuzz: mmap");
		exit(2);
	}
}

static void prepare_memory(void)
{
	map_at(MEMORY, MEMORY_SIZE, PROT_READ | PROT_WRITE);
	map_at(READ_ONLY, 4096, PROT_READ);
	map_at(TEXTS, MOST_OPS * ARGS * TEXT_SIZE, PROT_READ | PROT_WRITE);
	map_at(STRUCTS, MOST_OPS * STRUCT_SIZE, PROT_READ | PROT_WRITE);
}

static void fill_memory(void)
{
	uint64_t *words = (uint64_t *)MEMORY;

	for (size_t i = 0; i < 0x4000 / sizeof(*words); i++)
		words[i] = i % 4 ? i * 3 % 250 : 1 + i / 4 % 5;
	*(uint64_t *)FILE_HANDLE = 128;
	*(uint64_t *)EMPTY_TEXT = 0;
}

/* A list only grows at its end: what is in range means the same for ever. */
static uint64_t in_range(const struct value *value, uint64_t n)
{
	switch (value->kind) {
	case NONE:
	case CONST:
		return 0;
	case ONE:
		return n % value->list->count;
	case FLAGS:
		return n & ((1ULL << value->list->count) - 1);
	case FD:
		return n % FDS;
	case STRING:
		return (n & ~0xffULL) | (n & 0xff) % value->list->count;
	case MAPPING:
		return n % MAPS;
	default:
		return n;
	}
}

static struct op op_in_range(struct op op)
{
	const struct value *args = calls[op.call].args;
	struct op ranged = { .call = op.call, .slot = op.slot % SLOTS };

	for (unsigned int i = 0; i < ARGS; i++) {
		ranged.args[i] = in_range(&args[i], op.args[i]);
		for (size_t f = 0; args[i].kind == STRUCT && args[i].fields[f].bytes; f++)
			ranged.words[f] = in_range(&args[i].fields[f].value, op.words[f]);
	}
	return ranged;
}

/* Turning a number of a program into an argument. */

static uint64_t buffer_at(uint64_t n)
{
	switch (n % 16) {
	case 0:
		return 0;
	case 1:
		return 8;
	case 2:
		return READ_ONLY + n / 16 % 4096;
	case 3:
	case 4:
		return MEMORY + MEMORY_SIZE - n / 16 % 64;
	case 5:
		return MEMORY + MEMORY_SIZE - n / 16 % 8192;
	case 6:
		return n | 1ULL << 63;
	default:
		return MEMORY + n / 16 % 4096;
	}
}

static const char *text_of(const struct list *list, uint64_t n, char *text)
{
	size_t length, at = n >> 16 & 0x3f;

	snprintf(text, TEXT_SIZE, "%s", list->strings[n & 0xff]);
	length = strlen(text);
	if (n & 0x8000 && at < length)
		text[at] = n >> 24;
	return text;
}

static uint64_t resolve(const struct value *value, uint64_t n)
{
	const struct list *list = value->list;
	uint64_t flags = 0;

	switch (value->kind) {
	case CONST:
		return value->constant;
	case ONE:
		return list->numbers[n];
	case FLAGS:
		for (size_t i = 0; i < list->count; i++)
			if (n >> i & 1)
				flags |= list->numbers[i];
		return flags;
	case FD:
		return n < SLOTS ? (uint64_t)(int64_t)files[n] : n;
	case BUFFER:
		return buffer_at(n);
	case MAPPING:
		return MAPPINGS + n * MAPPING_SIZE;
	default:
		return n;
	}
}

/* One in 32 pointers to a structure or a text leads nowhere. */
static bool astray(uint64_t n)
{
	return n >> 59 == 1;
}

static uint64_t text_at(unsigned int op, unsigned int arg)
{
	return TEXTS + (op * ARGS + arg) * TEXT_SIZE;
}

static uint64_t struct_at(unsigned int op)
{
	return STRUCTS + op * STRUCT_SIZE;
}

static uint64_t place(const struct program *program, unsigned int i, unsigned int arg)
{
	const struct op *op = &program->ops[i];
	const struct value *value = &calls[op->call].args[arg];
	uint64_t at, n = op->args[arg];

	if ((value->kind == STRING || value->kind == STRUCT) && astray(n))
		return 8;
	if (value->kind == STRING) {
		at = text_at(i, arg);
		text_of(value->list, n, (char *)at);
		return at;
	}
	if (value->kind == STRUCT) {
		at = struct_at(i);
		for (size_t f = 0; value->fields[f].bytes; f++) {
			uint64_t word = resolve(&value->fields[f].value, op->words[f]);

			memcpy((void *)at, &word, value->fields[f].bytes);
			at += value->fields[f].bytes;
		}
		return struct_at(i);
	}
	return resolve(value, n);
}

/* Text */

static void print_program(FILE *to, const struct program *program)
{
	if (program->race)
		fputs("race\n", to);
	for (unsigned int i = 0; i < program->count; i++) {
		const struct op *op = &program->ops[i];
		const struct call *call = &calls[op->call];
		const struct field *fields = NULL;
		unsigned int arg;

		fprintf(to, "%s %u", call->name, op->slot);
		for (arg = 0; arg < ARGS && call->args[arg].kind; arg++) {
			fprintf(to, " %lx", op->args[arg]);
			if (call->args[arg].kind == STRUCT)
				fields = call->args[arg].fields;
		}
		for (size_t f = 0; fields && fields[f].bytes; f++)
			fprintf(to, "%s %lx", f ? "" : " :", op->words[f]);
		putc('\n', to);
	}
	putc('\n', to);
}

static const char blanks[] = { ' ', '\n', '\0' };

static bool parse_line(char *line, struct program *program)
{
	struct op ranged, *op = &program->ops[program->count];
	char *word = strtok(line, blanks);
	unsigned int arg = 0, field = 0;
	bool fields = false;

	if (!strcmp(word, "race")) {
		program->race = true;
		return true;
	}
	*op = (struct op) {};
	while (op->call < CALLS && strcmp(calls[op->call].name, word))
		op->call++;
	word = strtok(NULL, blanks);
	if (op->call == CALLS || program->count == MOST_OPS || !word)
		return false;
	op->slot = atoi(word);
	while ((word = strtok(NULL, blanks))) {
		if (*word == ':')
			fields = true;
		else if (fields && field < WORDS)
			op->words[field++] = strtoull(word, NULL, 16);
		else if (!fields && arg < ARGS)
			op->args[arg++] = strtoull(word, NULL, 16);
		else
			return false;
	}
	program->count++;
	ranged = op_in_range(*op);
	return !memcmp(&ranged, op, sizeof(ranged));
}

/* The next program of a file; false at its end. An empty line ends each. */
static bool read_program(FILE *file, struct program *program)
{
	char line[1024];

	*program = (struct program) {};
	while (fgets(line, sizeof(line), file)) {
		if (*line == '#')
			continue;
		if (*line == '\n') {
			if (program->count)
				return true;
		} else if (!parse_line(line, program)) {
			fprintf(stderr, "fuzz: no call of calls.h, or a number too big: %s\n",
				line);
			exit(2);
		}
	}
	return program->count;
}

/* Write the program that runs next to the host's file, which has even the last one. */
static void tell_host(const struct program *program)
{
	char text[PROGRAM_SIZE];
	FILE *file;
	long size;

	if (told_fd < 0)
		return;
	file = fmemopen(text, sizeof(text), "w");
	print_program(file, program);
	size = ftell(file);
	fclose(file);
	while (write(told_fd, text, size) < 0 && errno == EINTR)
		;
}

/* Running */

static void ignore(int signal)
{
	(void)signal;
}

/* Where one call ends and the next begins is no edge. */
static void end_trace_of_call(void)
{
	unsigned long n = __atomic_load_n(&trace[0], __ATOMIC_RELAXED);

	if (n + 1 < TRACE_SIZE) {
		trace[n + 1] = 0;
		__atomic_store_n(&trace[0], n + 1, __ATOMIC_RELAXED);
	}
}

/* Whether it is the first of its group. */
static bool opens_group(unsigned int call)
{
	return calls[call].group != ANY && (!call || calls[call - 1].group != calls[call].group);
}

static void run_op(const struct program *program, unsigned int i)
{
	const struct op *op = &program->ops[i];
	const struct call *call = &calls[op->call];
	uint64_t args[ARGS];
	long ret;

	for (unsigned int arg = 0; arg < ARGS; arg++)
		args[arg] = place(program, i, arg);
	__atomic_add_fetch(&shared->steps, 1, __ATOMIC_RELAXED);
	ret = enter(call->number, args[0], args[1], args[2], args[3], args[4], args[5]);
	if (call->returns_file && ret >= 0)
		files[op->slot] = ret;
	if (ret >= 0 && opens_group(op->call))
		__atomic_add_fetch(&shared->opened[call->group], 1, __ATOMIC_RELAXED);
}

static void run_ops(const struct program *program)
{
	for (unsigned int i = 0; i < program->count; i++) {
		run_op(program, i);
		if (trace)
			end_trace_of_call();
	}
}

static void *run_second_half_first(void *argument)
{
	const struct program *program = argument;

	shared->second = gettid();
	for (unsigned int i = 0; i < program->count; i++)
		run_op(program, (i + program->count / 2) % program->count);
	shared->second = 0;
	return NULL;
}

static void open_standing_files(void)
{
	int pipes[2];

	if (fcntl(ZERO_FD, F_GETFD) < 0)
		dup2(open("/dev/zero", O_RDWR), ZERO_FD);
	if (fcntl(MEMORY_FD, F_GETFD) < 0)
		dup2(memfd_create("fuzz", 0), MEMORY_FD);
	if (fcntl(PIPE_OUT_FD, F_GETFD) < 0 || fcntl(PIPE_IN_FD, F_GETFD) < 0) {
		if (pipe2(pipes, O_NONBLOCK) || dup2(pipes[0], PIPE_OUT_FD) < 0 ||
		    dup2(pipes[1], PIPE_IN_FD) < 0)
			perror("fuzz: pipe");
	}
}

#define FIRST_OWN_FD	200	/* of the fuzzer itself */

static void clean_up(void)
{
	close_range(PIPE_IN_FD + 1, FIRST_OWN_FD - 1, 0);
	close_range(3, ZERO_FD - 1, 0);
	for (unsigned int i = 0; i < SLOTS; i++)
		files[i] = -1;
	munmap((void *)MAPPINGS, MAPS * MAPPING_SIZE);
	while (!umount2(MOUNT_POINT, MNT_DETACH))
		;
}

#define MODULE_COUNT	(sizeof(modules) / sizeof(*modules))

static unsigned long code_of[MODULE_COUNT + 1];

static unsigned long read_address(const char *module)
{
	unsigned long address = 0;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/module/%s/sections/.text", module);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%lx", &address) != 1)
		address = 0;
	fclose(file);
	return address;
}

static void load_modules(void)
{
	char path[128];
	int fd;

	for (size_t i = 0; i < MODULE_COUNT; i++) {
		snprintf(path, sizeof(path), "/sys/module/%s/initstate", modules[i].name);
		if (code_of[i] && !access(path, F_OK)) {
			code_of[i] = read_address(modules[i].name);
			continue;
		}
		snprintf(path, sizeof(path), MODULES "%s.ko", modules[i].name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, modules[i].parameters, 0) &&
			       errno != EEXIST)) {
			printf("# fuzz: cannot load %s: %s\n", path, strerror(errno));
			exit(2);
		}
		close(fd);
		code_of[i] = read_address(modules[i].name);
	}
	code_of[MODULE_COUNT] = read_address(FAULT_MODULE);
}

static bool loads(const struct program *program)
{
	for (unsigned int i = 0; i < program->count; i++)
		if (calls[program->ops[i].call].group == LOAD)
			return true;
	return false;
}

static void run(const struct program *program)
{
	pthread_t thread;

	shared->now = *program;
	tell_host(program);
	shared->runs++;
	shared->calls += program->count;
	open_standing_files();
	fill_memory();
	if (trace)
		__atomic_store_n(&trace[0], 0, __ATOMIC_RELAXED);
	run_ops(program);
	if (program->race &&
	    !pthread_create(&thread, NULL, run_second_half_first, (void *)program)) {
		run_ops(program);
		pthread_join(thread, NULL);
	}
	clean_up();
	if (loads(program))
		load_modules();
}

/* Edges that were reached: pairs of places in the modules' code, one after the other. */

static uint64_t place_in_code(unsigned long address)
{
	for (size_t i = 0; i <= MODULE_COUNT; i++)
		if (code_of[i] && address - code_of[i] < 1 << 20)
			return (i + 1) << 20 | (address - code_of[i]);
	return 0;
}

/* Call @visit with each edge of the last run. */
static unsigned long each_edge(unsigned long (*visit)(uint32_t edge))
{
	unsigned long n = trace ? __atomic_load_n(&trace[0], __ATOMIC_RELAXED) : 0, sum = 0;
	uint64_t before = 0, at;

	for (unsigned long i = 1; i <= n && i < TRACE_SIZE; i++) {
		at = place_in_code(trace[i]);
		if (at)
			sum += visit(((before * 31 ^ at) * 0x9e3779b97f4a7c15) >> (64 - SEEN_BITS));
		before = at;
	}
	return sum;
}

/* Each edge that was seen is 1, and until forget_new() a new one is 2. */
static unsigned long note_new(uint32_t edge)
{
	if (shared->seen[edge])
		return 0;
	shared->seen[edge] = 2;
	return 1;
}

static unsigned char hit_again[1 << SEEN_BITS];

static unsigned long hits_new(uint32_t edge)
{
	if (shared->seen[edge] != 2 || hit_again[edge])
		return 0;
	hit_again[edge] = 1;
	return 1;
}

static void forget_new(void)
{
	for (size_t i = 0; i < sizeof(shared->seen); i++)
		if (shared->seen[i] == 2)
			shared->seen[i] = 1;
}

/* Faults */

/* Extended regular expressions, one a line, that rig/vm/run looks for, too; -Wa,-I finds them. */
FILE_AS_TEXT(complaints, "vm/complaints");
static regex_t any_complaint;

static void prepare_complaints(void)
{
	char *all = strdup(complaints), *end = all;

	while ((end = strchr(end, '\n')))
		*end = end[1] ? '|' : '\0';
	if (regcomp(&any_complaint, all, REG_EXTENDED | REG_NOSUB)) {
		fputs("fuzz: rig/vm/complaints: no regular expressions\n", stderr);
		exit(2);
	}
	free(all);
}

static int open_log(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	lseek(fd, 0, SEEK_END);
	return fd;
}

static bool complained(void)
{
	bool found = false;
	char record[8192];
	ssize_t n;

	for (;;) {
		n = read(log_fd, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return found;
		record[n] = '\0';
		if (!found && !regexec(&any_complaint, record, 0, NULL, 0)) {
			found = true;
			printf("# fuzz: the kernel says: %s", strchr(record, ';') + 1);
		}
	}
}

/* A program as C, that needs neither this program nor its tables. */

static void print_c_text(const char *text)
{
	putchar('"');
	for (; *text; text++)
		printf("\\%03o", (unsigned char)*text);
	putchar('"');
}

static void print_c_number(const struct value *value, uint64_t n)
{
	if (value->kind == FD && n < SLOTS)
		printf("files[%lu]", n);
	else
		printf("%#lxL", resolve(value, n));
}

static void print_c_arguments(const struct program *program, unsigned int i)
{
	const struct op *op = &program->ops[i];
	const struct call *call = &calls[op->call];
	char text[TEXT_SIZE];

	for (unsigned int arg = 0; arg < ARGS; arg++) {
		const struct value *value = &call->args[arg];
		uint64_t at = struct_at(i);

		if (astray(op->args[arg]))
			continue;
		if (value->kind == STRING) {
			printf("\t\tstrcpy((char *)%#lx, ", text_at(i, arg));
			print_c_text(text_of(value->list, op->args[arg], text));
			puts(");");
		}
		for (size_t f = 0; value->kind == STRUCT && value->fields[f].bytes; f++) {
			printf("\t\tset(%#lx, %u, ", at, value->fields[f].bytes);
			print_c_number(&value->fields[f].value, op->words[f]);
			puts(");");
			at += value->fields[f].bytes;
		}
	}
}

static void print_c_op(const struct program *program, unsigned int i)
{
	const struct op *op = &program->ops[i];
	const struct call *call = &calls[op->call];

	printf("\tcase %u: /* %s */\n", i, call->name);
	print_c_arguments(program, i);
	printf("\t\tret = enter(%ld", call->number);
	for (unsigned int arg = 0; arg < ARGS; arg++) {
		const struct value *value = &call->args[arg];
		bool pointer = value->kind == STRING || value->kind == STRUCT;

		printf(", ");
		if (pointer && astray(op->args[arg]))
			printf("8L");
		else if (pointer)
			printf("%#lxL", value->kind == STRING ? text_at(i, arg) : struct_at(i));
		else
			print_c_number(value, op->args[arg]);
	}
	puts(");");
	if (call->returns_file)
		printf("\t\tif (ret >= 0)\n\t\t\tfiles[%u] = ret;\n", op->slot);
	puts("\t\tbreak;");
}

FILE_AS_TEXT(helpers_text, "fuzz/helpers.h");

static const char c_begin[] =
"#include <pthread.h>\n#include <sys/stat.h>\n#include <sys/time.h>\n\n"
"static int files[8] = { -1, -1, -1, -1, -1, -1, -1, -1 };\n\n"
"static void set(unsigned long at, int bytes, long value)\n"
"{\n\tmemcpy((void *)at, &value, bytes);\n}\n\n"
"static void ignore(int signal)\n{\n}\n\n"
"static void map(unsigned long at, unsigned long size, int protection)\n"
"{\n\tmmap((void *)at, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);\n}\n\n"
"static void step(int i)\n{\n\tlong ret;\n\n\tswitch (i) {\n";

static void print_c(const struct program *program)
{
	puts("/* Build: gcc -static -pthread. The modules must be loaded:");
	for (size_t i = 0; i < MODULE_COUNT; i++)
		printf(" * insmod %s.ko%s%s\n", modules[i].name, *modules[i].parameters ? " " : "",
		       modules[i].parameters);
	printf(" */\n#define _GNU_SOURCE\n%s\n%s", helpers_text, c_begin);
	for (unsigned int i = 0; i < program->count; i++)
		print_c_op(program, i);
	printf("\t}\n}\n\n#define STEPS %u\n\n", program->count);
	puts("static void *second_half_first(void *unused)\n{\n"
	     "\tfor (int i = 0; i < STEPS; i++)\n\t\tstep((i + STEPS / 2) % STEPS);\n"
	     "\treturn NULL;\n}\n");
	puts("int main(void)\n{\n"
	     "\tstruct itimerval often = { { 0, 50000 }, { 0, 50000 } };\n"
	     "\tstruct sigaction action = { .sa_handler = ignore };\n"
	     "\tunsigned long *words;\n\tpthread_t thread;\n\tint pipes[2];\n\n"
	     "\tsigaction(SIGALRM, &action, NULL);\n\tsignal(SIGIO, SIG_IGN);\n"
	     "\tsignal(SIGPIPE, SIG_IGN);\n\tsetitimer(ITIMER_REAL, &often, NULL);");
	printf("\tmkdir(\"%s\", 0755);\n", MOUNT_POINT);
	printf("\tmap(%#lx, %#lx, PROT_READ | PROT_WRITE);\n", MEMORY, MEMORY_SIZE);
	printf("\tmap(%#lx, 4096, PROT_READ);\n", READ_ONLY);
	printf("\tmap(%#lx, %#x, PROT_READ | PROT_WRITE);\n", TEXTS, MOST_OPS * ARGS * TEXT_SIZE);
	printf("\tmap(%#lx, %#x, PROT_READ | PROT_WRITE);\n", STRUCTS, MOST_OPS * STRUCT_SIZE);
	printf("\twords = (unsigned long *)%#lx;\n"
	       "\tfor (int i = 0; i < 0x800; i++)\n"
	       "\t\twords[i] = i %% 4 ? i * 3 %% 250 : 1 + i / 4 %% 5;\n"
	       "\t*(unsigned long *)%#lx = 128;\n\t*(unsigned long *)%#lx = 0;\n",
	       MEMORY, FILE_HANDLE, EMPTY_TEXT);
	printf("\tdup2(open(\"/dev/zero\", O_RDWR), %d);\n\tdup2(memfd_create(\"fuzz\", 0), %d);\n"
	       "\tpipe2(pipes, O_NONBLOCK);\n\tdup2(pipes[0], %d);\n\tdup2(pipes[1], %d);\n",
	       ZERO_FD, MEMORY_FD, PIPE_OUT_FD, PIPE_IN_FD);
	puts("\tfor (int i = 0; i < STEPS; i++)\n\t\tstep(i);");
	if (program->race)
		puts("\tfor (int round = 0; round < 1000; round++) {\n"
		     "\t\tpthread_create(&thread, NULL, second_half_first, NULL);\n"
		     "\t\tfor (int i = 0; i < STEPS; i++)\n\t\t\tstep(i);\n"
		     "\t\tpthread_join(thread, NULL);\n\t}");
	else
		puts("\t(void)thread;\n\t(void)second_half_first;");
	puts("\treturn 0;\n}");
}

/* Making programs */

static void random_values(struct op *op)
{
	for (unsigned int i = 0; i < ARGS; i++)
		op->args[i] = calls[op->call].args[i].kind == NUM ? random_number() : next_random();
	for (unsigned int i = 0; i < WORDS; i++)
		op->words[i] = one_in(2) ? random_number() : next_random();
}

static struct op random_op(enum group group)
{
	struct op op = { .slot = below(3) };

	do {
		op.call = below(CALLS);
	} while (calls[op.call].group != group && (calls[op.call].group != ANY || one_in(2)));
	random_values(&op);
	/* Mostly files that the program has opened, and texts as they are. */
	for (unsigned int i = 0; i < ARGS; i++) {
		if (calls[op.call].args[i].kind == FD && !one_in(8))
			op.args[i] = below(3);
		if (calls[op.call].args[i].kind == STRING && !one_in(16))
			op.args[i] &= 0xff;
	}
	return op;
}

static void add_op(struct program *program, unsigned int at, struct op op)
{
	if (program->count == MOST_OPS)
		return;
	memmove(&program->ops[at + 1], &program->ops[at], (program->count - at) * sizeof(op));
	program->ops[at] = op;
	program->count++;
}

static void remove_op(struct program *program, unsigned int at)
{
	program->count--;
	memmove(&program->ops[at], &program->ops[at + 1],
		(program->count - at) * sizeof(program->ops[0]));
}

static enum group only_group = ANY;

static enum group any_group(void)
{
	return only_group == ANY ? below(GROUPS) : only_group;
}

static enum group group_of(const struct program *program)
{
	for (unsigned int i = 0; i < program->count; i++)
		if (calls[program->ops[i].call].group != ANY)
			return calls[program->ops[i].call].group;
	return any_group();
}

static void random_program(struct program *program)
{
	enum group group = any_group();
	unsigned int wanted = 3 + below(10);
	struct op first = {};

	*program = (struct program) { .race = one_in(4) };
	while (calls[first.call].group != group)
		first.call++;
	first.args[2] = below(4);
	add_op(program, 0, first);
	while (program->count < wanted)
		add_op(program, program->count, random_op(group));
}

static void mutate_number(uint64_t *n)
{
	switch (below(8)) {
	case 0:
		*n = random_number();
		break;
	case 1:
		*n = next_random();
		break;
	case 2:
		*n ^= 1ULL << below(one_in(2) ? 8 : 64);
		break;
	case 3:
		*n += below(33) - 16;
		break;
	default:	/* of what a list is indexed with, and of most flags, all that counts */
		*n = (*n & ~0xffULL) | below(256);
	}
}

static bool matters(const struct value *value)
{
	return value->kind != NONE && value->kind != CONST;
}

/* Any of the call's numbers that means something. */
static uint64_t *any_number(struct op *op)
{
	uint64_t *numbers[ARGS + WORDS] = { &op->args[0] };
	unsigned int n = 0;

	for (unsigned int arg = 0; arg < ARGS; arg++) {
		const struct value *value = &calls[op->call].args[arg];

		if (matters(value))
			numbers[n++] = &op->args[arg];
		for (size_t f = 0; value->kind == STRUCT && value->fields[f].bytes; f++)
			if (matters(&value->fields[f].value))
				numbers[n++] = &op->words[f];
	}
	return numbers[n ? below(n) : 0];
}

/* Rather a later one: what it reaches, the earlier ones have prepared. */
static struct op *op_to_mutate(struct program *program)
{
	unsigned int i = below(program->count), j = below(program->count);

	return &program->ops[i > j ? i : j];
}

static void mutate(struct program *program)
{
	struct op *op = op_to_mutate(program);
	const struct program *other = &shared->corpus[below(shared->kept)];

	switch (below(16)) {
	case 0:
		if (program->count > 1)
			remove_op(program, op - program->ops);
		break;
	case 1:
	case 2:
		add_op(program, below(program->count + 1), random_op(group_of(program)));
		break;
	case 3:
		add_op(program, below(program->count + 1), *op);
		break;
	case 4:
		for (unsigned int i = below(8); i < other->count; i++)
			add_op(program, program->count, other->ops[i]);
		break;
	case 5:
		program->race = !program->race;
		break;
	case 6:
		op->slot = below(SLOTS);
		break;
	default:
		mutate_number(any_number(op));
	}
}

static void change_kept(struct program *program)
{
	/* The later one was kept, the more is likely to be left behind it. */
	unsigned long latest = one_in(2) ? 1 : one_in(2) ? shared->kept / 8 + 1 : shared->kept;

	*program = shared->corpus[shared->kept - 1 - below(latest)];
	do {
		mutate(program);
	} while (!one_in(2));
}

static void make_program(struct program *program)
{
	if (!shared->kept || one_in(8))
		random_program(program);
	else
		change_kept(program);
	for (unsigned int i = 0; i < program->count; i++)
		program->ops[i] = op_in_range(program->ops[i]);
}

/* Drop the calls that have no part in reaching the new code. */
static void shorten(struct program *program, unsigned long edges)
{
	for (unsigned int i = program->count; i-- > 1;) {
		struct program shorter = *program;

		remove_op(&shorter, i);
		run(&shorter);
		memset(hit_again, 0, sizeof(hit_again));
		if (each_edge(hits_new) == edges)
			*program = shorter;
	}
}

/* Keep what reached new code; a given program is short already. */
static void keep_if_new(struct program *program, bool given)
{
	unsigned long edges;

	/* Where the modules lay that it loaded and unloaded, nobody knows any more. */
	if (loads(program))
		return;
	edges = each_edge(note_new);
	if (!edges)
		return;
	shared->edges += edges;
	if (!given)
		shorten(program, edges);
	forget_new();
	if (shared->kept < KEPT)
		shared->corpus[shared->kept++] = *program;
}

static void report(const struct program *program)
{
	print_program(stdout, program);
	puts("/* -- reproducer -- */");
	print_c(program);
	puts("/* -- end -- */");
	fflush(stdout);
}

/* The worker */

static int own_fd(int fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_OWN_FD);

	close(fd);
	return own;
}

static void start_tracing(void)
{
	int fd = open("/sys/kernel/debug/kcov", O_RDWR);

	if (fd < 0)
		return;
	fd = own_fd(fd);
	if (ioctl(fd, KCOV_INIT_TRACE, TRACE_SIZE))
		return;
	trace = mmap(NULL, TRACE_SIZE * sizeof(*trace), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (trace == MAP_FAILED || ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC))
		trace = NULL;
}

static void start_worker(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The mounts of a program are seen nowhere else. */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		perror("fuzz: a mount namespace");
	signal(SIGIO, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	prepare_memory();
	mkdir(MOUNT_POINT, 0755);
	close(log_fd);
	log_fd = own_fd(open_log());
	load_modules();
	clean_up();
	start_tracing();
}

/* How a worker ended: with an exit status, or otherwise. */
enum outcome {
	CLEAN,
	FAULT_SEEN,
	CANNOT,
	OVERWRITTEN,	/* a program did it to the worker's own memory, as by a long read() */
	KILLED,
	HUNG,
};

static void check(const struct program *program)
{
	if (complained()) {
		shared->now = *program;
		exit(FAULT_SEEN);
	}
}

static void try_program(struct program *program, bool given)
{
	run(program);
	check(program);
	keep_if_new(program, given);
	check(program);
}

static void work(void)
{
	struct program program;

	start_worker();
	/* Edges that were new to the worker before this one, if it died, are so no more. */
	forget_new();
	while (shared->given_done < given_count && time(NULL) < end) {
		try_program(&given[shared->given_done++], true);
		shared->kept_given = shared->kept;
	}
	while (time(NULL) < end) {
		make_program(&program);
		try_program(&program, false);
	}
	exit(CLEAN);
}

static void replay(unsigned int times)
{
	start_worker();
	while (times--)
		for (unsigned int i = 0; i < given_count; i++) {
			run(&given[i]);
			check(&given[i]);
		}
	exit(CLEAN);
}

/* A fault may want a few tries where it races. */
static void try_again(const struct program *program)
{
	unsigned int tries = program->race ? 30 : 2;

	start_worker();
	while (tries--) {
		run(program);
		check(program);
	}
	exit(CLEAN);
}

/* The watcher */

/* A call that waits in the kernel waits no longer. */
static void interrupt(pid_t worker)
{
	pid_t second = shared->second;

	kill(worker, SIGUSR1);
	if (second > 0)
		tgkill(worker, second, SIGUSR1);
}

/* Until the worker ends; it may be hung in the kernel, or be killed by it. */
static enum outcome watch(pid_t worker, time_t longest)
{
	unsigned long steps = shared->steps;
	time_t moved = time(NULL);
	int status = 0;
	pid_t ended;

	while (!(ended = waitpid(worker, &status, WNOHANG))) {
		usleep(5000);
		if (shared->steps != steps) {
			steps = shared->steps;
			moved = time(NULL);
			continue;
		}
		interrupt(worker);
		if (time(NULL) - moved > longest) {
			kill(worker, SIGKILL);
			return HUNG;
		}
	}
	if (ended < 0) {
		perror("fuzz: waitpid");
		return CANNOT;
	}
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	printf("# fuzz: signal %d after %lu programs\n", WTERMSIG(status), shared->runs);
	if (!complained() && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS))
		return OVERWRITTEN;
	return KILLED;
}

/* In the child 0 */
static pid_t fork_worker(void)
{
	pid_t worker;

	fflush(stdout);
	worker = fork();
	if (worker < 0) {
		perror("fuzz: fork");
		exit(CANNOT);
	}
	return worker;
}

/* Behind some faults all hangs, as where a lock was held. */
static bool stuck;

/* Whether the program brings a fault about, which may kill the worker that tries. */
static bool faults(const struct program *program)
{
	enum outcome outcome;
	pid_t worker;

	if (stuck)
		return false;
	lseek(log_fd, 0, SEEK_END);
	worker = fork_worker();
	if (!worker)
		try_again(program);
	outcome = watch(worker, patience / 2);
	stuck = outcome == HUNG;
	return outcome == FAULT_SEEN || outcome == KILLED;
}

static void minimise(struct program *program)
{
	struct program shorter = *program;

	if (!faults(program)) {
		puts("# fuzz: it does not come again; the program in which it came:");
		return;
	}
	shorter.race = false;
	if (program->race && faults(&shorter))
		*program = shorter;
	for (unsigned int i = program->count; i-- > 0 && program->count > 1;) {
		shorter = *program;
		remove_op(&shorter, i);
		if (faults(&shorter))
			*program = shorter;
	}
	puts(stuck ? "# fuzz: now all hangs; the shortest program until then:" :
		     "# fuzz: the shortest program that brings it about:");
}

/* Of the fault in the program that ran last. */
static void tell(enum outcome outcome)
{
	struct program program = shared->now;

	if (outcome == HUNG)
		puts("# fuzz: it hangs in this program:");
	else
		minimise(&program);
	report(&program);
}

static void read_given(const char *path)
{
	FILE *file = fopen(path, "r");

	if (!file) {
		perror(path);
		exit(2);
	}
	while (given_count < KEPT && read_program(file, &given[given_count]))
		given_count++;
	fclose(file);
}

static void open_told(const char *path)
{
	int fd;

	if (!path)
		return;
	fd = open(path, O_WRONLY);
	if (fd < 0) {
		perror(path);
		exit(2);
	}
	told_fd = own_fd(fd);
}

static long setting(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 0) : otherwise;
}

static void choose_group(const char *name)
{
	if (!name)
		return;
	for (only_group = 0; only_group < GROUPS; only_group++)
		if (!strcmp(group_names[only_group], name))
			return;
	fprintf(stderr, "fuzz: no group '%s' in calls.h\n", name);
	exit(2);
}

/* Those that were not given. */
static void print_kept(void)
{
	for (unsigned long i = shared->kept_given; i < shared->kept; i++) {
		printf("# fuzz: kept %s\n", group_names[group_of(&shared->corpus[i])]);
		print_program(stdout, &shared->corpus[i]);
	}
}

static void print_result(enum outcome outcome)
{
	printf("# fuzz: %lu programs, %lu calls, %lu edges, %lu programs kept\n", shared->runs,
	       shared->calls, shared->edges, shared->kept);
	for (enum group group = 0; group < GROUPS; group++)
		if (shared->opened[group])
			printf("# fuzz: opened %s %lu times\n", group_names[group],
			       shared->opened[group]);
	if (setting("KMK_FUZZ_KEEP", 0))
		print_kept();
	printf("%sok 1 - no program makes the kernel complain\n1..1\n",
	       outcome == CLEAN ? "" : "not ");
}

int main(int argc, char **argv)
{
	bool again = argc > 2 && !strcmp(argv[1], "-r");
	bool as_c = argc > 2 && !strcmp(argv[1], "-c");
	bool names = argc > 1 && !strcmp(argv[1], "-g");
	long seed = setting("KMK_SEED", time(NULL));
	struct sigaction action = { .sa_handler = ignore };
	enum outcome outcome;
	pid_t worker;

	sigaction(SIGUSR1, &action, NULL);
	for (int i = again || as_c || names ? 2 : 1; i < argc && !(again && i > 2); i++)
		read_given(argv[i]);
	if (as_c) {
		print_c(&given[0]);
		return 0;
	}
	if (names) {
		for (enum group group = 0; group < GROUPS; group++)
			puts(group_names[group]);
		return 0;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		perror("fuzz");
		return 2;
	}
	choose_group(getenv("KMK_FUZZ_GROUP"));
	end = time(NULL) + setting("KMK_FUZZ_SECONDS", 60);
	printf("# fuzz: seed %ld\n", seed);
	if (access("/sys/kernel/debug/kcov", F_OK))
		puts("# fuzz: blindly, as this kernel has no KCOV");
	patience = setting("KMK_FUZZ_PATIENCE", 120);
	prepare_complaints();
	log_fd = open_log();
	open_told(getenv("KMK_FUZZ_PROGRAM"));
	shared->random = seed;
	do {
		worker = fork_worker();
		if (!worker) {
			if (again)
				replay(argc > 3 ? atoi(argv[3]) : 1);
			work();
		}
		outcome = watch(worker, patience);
	} while (outcome == OVERWRITTEN && !again && time(NULL) < end);
	if (outcome == FAULT_SEEN || outcome == KILLED || outcome == HUNG)
		tell(outcome);
	if (outcome == CANNOT)
		return CANNOT;
	/* A worker that a program overwrites as the time ends did no wrong. */
	if (outcome == OVERWRITTEN && !again)
		outcome = CLEAN;
	print_result(outcome);
	return outcome;
}
