// SPDX-License-Identifier: GPL-2.0
/*
 * Exercise one thing that a module brought: usage().
 *
 * The work is done by a child, which may block for ever: it is killed when its time is
 * over, and what cannot even be killed is reported.
 */
#define _GNU_SOURCE
#include "exercise.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared *shared;
time_t deadline;
__thread uint64_t random_state;
__thread unsigned int self;
char *texts[1024];
unsigned int text_count;
unsigned long commands[4096];
unsigned int command_count;

static uint64_t seed = 1;
static unsigned int seconds = 5;
static int uid;

static int usage(void)
{
	fputs("Usage: exercise [-s SEED] [-t SECONDS] [-u UID] [-i HINTS] KIND NAME...\n"
	      "  file PATH         a device node or another file\n"
	      "  text PATH         an attribute, a parameter or another file of text\n"
	      "  filesystem TYPE   netdev NAME   genl FAMILY   crypto 'TYPE NAME DRIVER'\n"
	      "  hold PATH...      open them, wait for a line of input, and use what is open\n"
	      "  open PATH...      keep opening them until killed\n"
	      "  load FILE [PARAMETERS]  load a module with each of its allocations failing once\n",
	      stderr);
	return 2;
}

/* --- random numbers --- */

uint64_t next_random(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

unsigned int below(unsigned int n)
{
	return next_random() % n;
}

/* Sizes, indices and offsets that somebody may have forgotten; none looks like an address. */
uint64_t odd_number(void)
{
	uint64_t power = 1ULL << below(33);

	switch (below(8)) {
	case 0:
		return power + below(3) - 1;
	case 1:
		return (uint32_t)-power;
	case 2:
		return (uint64_t)below(10) * 4096 + below(3) - 1;
	case 3:
		return (1ULL << (32 + below(15))) + below(3);
	case 4:
		return (uint64_t)-1 - below(3);
	default:
		return below(300);
	}
}

const char *any_text(char *text, size_t size)
{
	static const char *const common[] = {
		"1", "0", "\n", "-1", "", "yes", "on", "off", "4294967296",
		"18446744073709551615", "0x7fffffff", "%s%s%s%n", "1 2 3 4 5 6 7 8 9", "a,b,c",
		"../../..", "reset", "add x", "=", "name=value", "\376\375",
	};
	const char *word;
	size_t length;

	word = text_count && below(2) ? texts[below(text_count)] :
		common[below(sizeof(common) / sizeof(*common))];
	if (below(16)) {
		snprintf(text, size, below(3) ? "%s\n" : "%s", word);
		return text;
	}
	length = below(size - 1);
	memset(text, 'A' + below(25), length);	/* no Z, for which inspect() looks */
	text[length] = '\0';
	return text;
}

/* --- reports --- */

void report(const char *class, const char *format, ...)
{
	char line[512];
	va_list list;

	if (__atomic_fetch_add(&shared->reports, 1, __ATOMIC_RELAXED) > 10)
		return;
	va_start(list, format);
	vsnprintf(line, sizeof(line), format, list);
	va_end(list);
	printf("@found\t%s\t%s\n", class, line);
	fflush(stdout);
}

long called(long result)
{
	__atomic_fetch_add(&shared->calls, 1, __ATOMIC_RELAXED);
	shared->progress[self]++;
	if (result >= 0)
		__atomic_fetch_add(&shared->successes, 1, __ATOMIC_RELAXED);
	return result;
}

/*
 * Whether all that came this way is as good as random: a generator's numbers, something
 * encrypted or compressed, of which some bytes look like anything. Counting is no exact thing here.
 */
static bool is_noise(const unsigned char *memory, size_t size, const char *by)
{
	static unsigned int counts[32][256], totals[32];
	unsigned int way = *by & 31;

	for (size_t i = 0; i < size; i++)
		counts[way][memory[i]]++;
	totals[way] += size;
	for (unsigned int i = 0; i < 256; i++)
		if (counts[way][i] <= totals[way] / 1024)
			return false;
	return totals[way] >= 4096;
}

/*
 * Look for the bytes with which SLUB poisons a freed object, which a new one holds at
 * first; and for addresses of kernel memory on x86-64 and arm64, which no caller here writes.
 */
void inspect(const unsigned char *memory, size_t size, const char *by)
{
	size_t run = 0;
	uint64_t word;

	if (is_noise(memory, size, by))
		return;
	for (size_t i = 0; i < size; i++) {
		run = (memory[i] == 0x6b || memory[i] == 0x5a) &&
			(!run || memory[i] == memory[i - 1]) ? run + 1 : 0;
		if (run == 4) {
			report("uninitialised", "%s gives away what nobody wrote: %#x at byte %zu",
			       by, memory[i], i - 3);
			return;
		}
	}
	for (size_t i = 0; i + sizeof(word) <= size; i += sizeof(word)) {
		memcpy(&word, memory + i, sizeof(word));
		if (word >= 0xffff800000000000 && word < 0xfffffe0000000000) {
			report("uninitialised", "%s gives away an address: %#lx at byte %zu",
			       by, word, i);
			return;
		}
	}
}

/* --- allocations that fail --- */

static __thread int fail_fd = -2;

bool failing_begins(unsigned int nth)
{
	char text[16];

	if (fail_fd == -2) {
		snprintf(text, sizeof(text), "%d", 0);
		fail_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	}
	if (fail_fd < 0)
		return false;
	snprintf(text, sizeof(text), "%u", nth);
	return pwrite(fail_fd, text, strlen(text), 0) > 0;
}

/* Whether one has failed. */
bool failing_ends(void)
{
	char text[16] = "";
	bool failed;

	failed = pread(fail_fd, text, sizeof(text) - 1, 0) > 0 && !atoi(text);
	if (pwrite(fail_fd, "0", 1, 0) < 0)
		return false;
	return failed;
}

/* --- memory --- */

static unsigned char *edge;	/* the last byte of a page before nothing */
static unsigned char *read_only;

static void prepare_memory(void)
{
	unsigned char *pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(pages + 4096, 4096);
	edge = pages + 4095;
	read_only = pages + 8192;
	mprotect(read_only, 4096, PROT_READ);
}

void *any_pointer(unsigned char *buffer, size_t size)
{
	switch (below(16)) {
	case 0:
		return NULL;
	case 1:
		return edge - below(64);
	case 2:
		return read_only;
	case 3:
		return (void *)(1UL << 63);
	case 4:
		return buffer + below(8);
	default:
		return buffer + (below(4) ? 0 : below(size / 2));
	}
}

/* --- threads --- */

bool time_is_left(void)
{
	return time(NULL) < deadline;
}

static void ignore(int signal)
{
	(void)signal;
}

/* A call that waits is interrupted, since there is nobody whom it could wait for. */
static void *interrupt(void *unused)
{
	unsigned long before[THREADS] = {}, now;

	(void)unused;
	for (;;) {
		usleep(30000);
		for (unsigned int i = 0; i < THREADS; i++) {
			now = shared->progress[i];
			if (shared->threads[i] && now == before[i])
				syscall(SYS_tgkill, getpid(), shared->threads[i], SIGUSR1);
			before[i] = now;
		}
	}
	return NULL;
}

struct start {
	void (*work)(void);
	unsigned int index;
	uint64_t seed;
};

static void *begin_thread(void *argument)
{
	struct start *start = argument;

	self = start->index;
	random_state = start->seed;
	shared->threads[self] = syscall(SYS_gettid);
	while (time_is_left())
		start->work();
	shared->threads[self] = 0;
	return NULL;
}

void in_threads(void (*work)(void))
{
	pthread_t threads[THREADS];
	struct start starts[THREADS];

	for (unsigned int i = 0; i < THREADS; i++) {
		starts[i] = (struct start){ .work = work, .index = i, .seed = next_random() };
		if (pthread_create(&threads[i], NULL, begin_thread, &starts[i]))
			return;
	}
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* --- the process --- */

void become(int user)
{
	if (!user)
		return;
	if (setgroups(0, NULL) || setresgid(user, user, user) || setresuid(user, user, user)) {
		perror("exercise: setresuid");
		_exit(2);
	}
	prctl(PR_SET_DUMPABLE, 1);	/* its own files in /proc */
}

static void read_hints(const char *path)
{
	char line[256];
	FILE *file = fopen(path, "r");

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (*line == '#' && command_count < sizeof(commands) / sizeof(*commands))
			commands[command_count++] = strtoul(line + 1, NULL, 0);
		else if (*line == '"' && text_count < sizeof(texts) / sizeof(*texts))
			texts[text_count++] = strdup(line + 1);
	}
	if (file)
		fclose(file);
}

static int work(const char *kind, char **names)
{
	const struct sigaction interrupted = { .sa_handler = ignore };
	const struct rlimit no_core = {};
	pthread_t interrupter;

	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &no_core);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigaction(SIGUSR1, &interrupted, NULL);
	if (strcmp(kind, "filesystem"))
		become(uid);
	prepare_memory();
	random_state = seed;
	shared->threads[0] = getpid();
	pthread_create(&interrupter, NULL, interrupt, NULL);
	if (!strcmp(kind, "file"))
		exercise_file(*names, false);
	else if (!strcmp(kind, "text"))
		exercise_file(*names, true);
	else if (!strcmp(kind, "filesystem"))
		exercise_filesystem(*names, uid);
	else if (!strcmp(kind, "netdev"))
		exercise_netdev(*names);
	else if (!strcmp(kind, "genl"))
		exercise_netlink(*names);
	else if (!strcmp(kind, "crypto"))
		exercise_crypto(*names);
	else
		return usage();
	return 0;
}

static bool ends_within(pid_t pid, unsigned int patience, int *status)
{
	for (unsigned int i = 0; i < patience * 20; i++) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		usleep(50000);
	}
	return false;
}

/* Show where each thread of a process waits. */
static void show_stacks(pid_t pid)
{
	char command[128];

	snprintf(command, sizeof(command), "cat /proc/%d/task/*/stack >&2", pid);
	if (system(command))
		fputs("exercise: no stack to show\n", stderr);
}

static int watch(const char *kind, char **names)
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		status = work(kind, names);
		fflush(stdout);
		_exit(status);
	}
	if (!ends_within(pid, seconds + 10, &status)) {
		kill(pid, SIGKILL);
		if (!ends_within(pid, 20, &status)) {
			report("unkillable", "a process in a call (%s) cannot be killed",
			       shared->doing);
			show_stacks(pid);
			return 3;
		}
		printf("@slow\t%s\n", shared->doing);
	}
	printf("@did\t%lu\t%lu\n", shared->calls, shared->successes);
	/* An oops kills who came upon it. */
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		printf("@note\tended by signal %d\n", WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

int main(int argc, char **argv)
{
	const char *kind;
	int option;

	while ((option = getopt(argc, argv, "s:t:u:i:")) != -1) {
		switch (option) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 't':
			seconds = atoi(optarg);
			break;
		case 'u':
			uid = atoi(optarg);
			break;
		case 'i':
			read_hints(optarg);
			break;
		default:
			return usage();
		}
	}
	if (argc - optind < 2)
		return usage();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	deadline = time(NULL) + seconds;
	kind = argv[optind];
	argv += optind + 1;
	if (!strcmp(kind, "hold"))
		return hold_files(argv);
	if (!strcmp(kind, "open"))
		return keep_opening(argv);
	if (!strcmp(kind, "load"))
		return load_failing(argv[0], argv[1] ? argv[1] : "");
	return watch(kind, argv);
}
