/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the parts of the exerciser. All of them work on one thing at a time, a
 * file, a file system or a network device, in a process that may be killed.
 */
#ifndef EXERCISE_H
#define EXERCISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define THREADS		3
#define BUFFER_SIZE	(64 << 10)

/* Shared by the process and its watcher. */
struct shared {
	unsigned long calls, successes;
	unsigned long progress[THREADS];	/* calls of each thread */
	pid_t threads[THREADS];
	unsigned int reports;
	char doing[256];		/* the phase, for a report of a hang */
};

#define __printf(a, b)	__attribute__((format(printf, a, b)))
#define __aligned(n)	__attribute__((aligned(n)))

extern struct shared *shared;
extern time_t deadline;

/* Of the thread: the same numbers for the same seed. */
extern __thread uint64_t random_state;
extern __thread unsigned int self;

uint64_t next_random(void);
unsigned int below(unsigned int n);
uint64_t odd_number(void);

/* Words and numbers that were found in the module: options, names, ioctl commands. */
extern char *texts[1024];
extern unsigned int text_count;
extern unsigned long commands[4096];
extern unsigned int command_count;
const char *any_text(char *text, size_t size);

/* Report what no kernel log tells of. */
void report(const char *class, const char *format, ...)
	__printf(2, 3);

/* Count a call, and hand its result on. */
long called(long result);
#define CALL(expression)	called((long)(expression))

/* Memory that the kernel filled: whether it holds what nobody meant to give away. */
void inspect(const unsigned char *memory, size_t size, const char *by);

/* Let every allocation on the way of a call fail once, where the kernel can do so. */
bool failing_begins(unsigned int nth);
bool failing_ends(void);
#define EACH_FAILURE(statement)							\
	do {									\
		for (unsigned int nth = 1; nth < 60 && failing_begins(nth); nth++) {	\
			statement;						\
			if (!failing_ends())					\
				break;						\
		}								\
	} while (0)

/* A pointer that the kernel can or cannot use. */
void *any_pointer(unsigned char *buffer, size_t size);

/* Run @work in THREADS threads until the deadline. */
void in_threads(void (*work)(void));

/* Root gives up all that it is; 0 changes nothing. */
void become(int user);
bool time_is_left(void);

void exercise_file(const char *path, bool text);
/* files as @user; mounting is root's */
void exercise_filesystem(const char *type, int user);
void exercise_netdev(const char *name);
void exercise_netlink(const char *family);
void exercise_crypto(const char *description);
int hold_files(char **paths);
int keep_opening(char **paths);
int load_failing(const char *file, const char *parameters);

#endif
