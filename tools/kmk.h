/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the files of kmk, the command-line front of kmodkit. */
#ifndef KMK_H
#define KMK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Exit status: 0 done, and: */
enum {
	KMK_FAILED = 1,
	KMK_USAGE = 2,
};

/* The request of the command line. */
struct request {
	bool json;
	uint64_t count;		/* -n, or 0 */
	uint64_t size;		/* -s, or 0 */
	uint64_t data;		/* -d, or 0 */
	size_t nargs;
	char **args;
};

/* One command each; the return value is kmk's exit status. */
int kmk_status(const struct request *request);
int kmk_echo_stat(const struct request *request);
int kmk_echo_clear(const struct request *request);
int kmk_irq_count(const struct request *request);
int kmk_irq_trigger(const struct request *request);
int kmk_irq_watch(const struct request *request);
int kmk_mempool_stat(const struct request *request);
int kmk_mempool_exercise(const struct request *request);
int kmk_syscall_add(const struct request *request);
int kmk_syscall_mul(const struct request *request);
int kmk_syscall_id(const struct request *request);
int kmk_syscall_uptime(const struct request *request);
int kmk_syscall_sleep(const struct request *request);
int kmk_syscall_batch(const struct request *request);

/* Modules and what they offer; all but module_loaded() end kmk on an error. */
bool module_loaded(const char *module);
int device_open(const char *path, const char *module, int flags);
bool file_line(const char *path, char *line, size_t size);
uint64_t sysfs_number(const char *path, const char *module);
void sysfs_write(const char *path, const char *module, const char *text);

/* Whether @fd is a terminal that can erase and move. */
bool on_terminal(int fd);

/* Seconds from @start, of CLOCK_MONOTONIC, to now. */
double seconds_since(const struct timespec *start);

/* A number from 0 to 2^64-1: decimal, 0x or 0 for hexadecimal and octal. */
bool parse_number(const char *text, uint64_t *number);

/* Named numbers: one a line, or one JSON object. */
struct field {
	const char *name;
	uint64_t value;
};

void print_fields(const struct field *fields, size_t n, const char *indent);
void json_fields(const char *name, const struct field *fields, size_t n);

/* JSON on stdout; @name is NULL at the top and in an array. */
void json_object(const char *name);
void json_array(const char *name);
void json_end(void);
void json_string(const char *name, const char *value);
void json_signed(const char *name, int64_t value);
void json_unsigned(const char *name, uint64_t value);
void json_decimal(const char *name, double value);
void json_bool(const char *name, bool value);
void json_null(const char *name);

#endif /* KMK_H */
