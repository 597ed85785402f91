// SPDX-License-Identifier: GPL-2.0
/* kmk_irq: /dev/irq_events, its sysfs attributes, real and simulated lines. */
#define _GNU_SOURCE
#include "kmktest.h"

#include <dirent.h>
#include <fcntl.h>
#include <kmodkit/irq_events.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#if PC
#include <sys/io.h>
#else
/* No such ports, and no such keyboard: nobody calls these. */
static int ioperm(unsigned long from, unsigned long count, int on)
{
	(void)from;
	(void)count;
	(void)on;
	errno = ENOSYS;
	return -1;
}

static int inb(int port)
{
	return port;
}

static void outb(int byte, int port)
{
	(void)byte;
	(void)port;
}
#endif

#define DEV "/dev/irq_events"
#define ATTRS "/sys/class/misc/irq_events"
#define ATTR(name) ATTRS "/" name
#define TRIGGER ATTR("trigger")
#define RECORD sizeof(struct kmk_irq_event)

static void load(const char *params)
{
	ck_assert_int_eq(module_load("kmk_irq", params), 0);
}

static void unload(void)
{
	ck_assert_int_eq(module_unload("kmk_irq"), 0);
}

/* Whatever a failed test left loaded must not fail the next one. */
static void clean(void)
{
	module_unload("kmk_irq");
	module_unload("kmk_line");
}

static void load_simulated(void)
{
	clean();
	load("");
}

static void load_small(void)
{
	clean();
	load("ring_size=4");
}

static void trigger(const char *what)
{
	ck_assert_int_eq(spew(TRIGGER, what), 0);
}

static int open_events(int flags)
{
	return ck_ok(open(DEV, O_RDONLY | O_CLOEXEC | flags));
}

static long long count(void)
{
	return slurp_number(ATTR("count"));
}

static long long dropped(void)
{
	return slurp_number(ATTR("dropped"));
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		ck_abort_msg("processor %d: %s", cpu, strerror(errno));
}

/* The module and its files are gone, so that the next test loads again. */
static void assert_nothing_left(void)
{
	ck_assert(!module_loaded("kmk_irq"));
	ck_assert(!exists(DEV));
	ck_assert(!exists(ATTRS));
	ck_assert(!file_has("/proc/interrupts", "kmk_irq"));
	ck_assert(!file_has("/proc/interrupts", "simulated"));
	ck_assert(!file_has("/proc/misc", "irq_events"));
}

/* Is there a thread for the handler of @line? */
static bool has_thread(int line)
{
	char comm[32], text[32];
	struct dirent *entry;
	bool found = false;
	FILE *file;
	DIR *proc;

	snprintf(comm, sizeof(comm), "irq/%d-kmk_irq\n", line);
	proc = opendir("/proc");
	ck_assert_ptr_nonnull(proc);
	while (!found && (entry = readdir(proc))) {
		char path[300];

		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		found = fgets(text, sizeof(text), file) && !strcmp(text, comm);
		fclose(file);
	}
	closedir(proc);
	return found;
}

/* The interrupts, of all CPUs, of the line that @name is a user of. */
static long long handled_for(const char *name)
{
	char *save, *line, *at, *end;
	char *text = slurp("/proc/interrupts");
	long long sum = 0, number;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!strstr(line, name))
			continue;
		at = strchr(line, ':') + 1;
		for (;;) {
			number = strtoll(at, &end, 10);
			if (end == at || *end != ' ')
				break;
			sum += number;
			at = end;
		}
		free(text);
		return sum;
	}
	free(text);
	return -1;
}

/* Load and unload */

START_TEST(default_parameters)
{
	struct stat st;
	char says[64];

	load("");	/* the kernel says once a boot that it is tainted */
	unload();
	log_mark();
	load("");
	snprintf(says, sizeof(says), "kmk_irq: loaded, simulated line %lld, ring of 100 events",
		 slurp_number(ATTR("irq")));
	ck_assert_int_eq(log_count("kmk_irq: "), 1);
	ck_assert_int_eq(log_count(says), 1);
	ck_assert_int_eq(log_count("thread"), 0);
	ck_assert_str_eq(slurp("/sys/module/kmk_irq/parameters/irq"), "-1\n");
	ck_assert_str_eq(slurp("/sys/module/kmk_irq/parameters/ring_size"), "100\n");
	ck_assert_str_eq(slurp("/sys/module/kmk_irq/parameters/claim"), "N\n");
	ck_assert_int_eq(count(), 0);
	ck_assert_int_eq(dropped(), 0);
	ck_assert(file_has("/proc/interrupts", "kmk_irq"));
	ck_ok(stat(DEV, &st));
	ck_assert(S_ISCHR(st.st_mode));
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_ok(stat(TRIGGER, &st));
	ck_assert_uint_eq(st.st_mode & 07777, 0200);
	unload();
	ck_assert_int_eq(log_count("kmk_irq: "), 2);
	ck_assert_int_eq(log_count("kmk_irq: unloaded, 0 interrupts counted"), 1);
	assert_nothing_left();
}
END_TEST

static const struct {
	const char *params;
	int err;
	const char *says;	/* NULL: the kernel itself refuses it */
} refused[] = {
	{ "ring_size=0", -EINVAL, "ring_size=0: give 1 to 1048576" },
	{ "ring_size=1048577", -EINVAL, "ring_size=1048577: give" },
	{ "ring_size=4294967295", -EINVAL, "ring_size=4294967295: give" },
	{ "ring_size=4294967296", -ERANGE, NULL },
	{ "ring_size=-1", -EINVAL, NULL },
	{ "ring_size=many", -EINVAL, NULL },
	{ "mode=01000", -EINVAL, NULL },
	{ "mode=0177777", -EINVAL, NULL },
	{ "mode=0x1ff", -EINVAL, NULL },
	{ "mode=", -EINVAL, NULL },
	{ "mode=rw", -EINVAL, NULL },
	{ "claim=2", -EINVAL, NULL },
	{ "irq=-2", -EINVAL, "irq=-2 cannot be shared (error -22): take another" },
	{ "irq=-2147483648", -ENOTCONN, "irq=-2147483648 cannot be shared (error -107)" },
	{ "irq=2147483647", -EINVAL, "irq=2147483647 cannot be shared (error -22)" },
	{ "irq=keyboard", -EINVAL, NULL },
#if PC
	{ "irq=0", -EBUSY, "irq=0 cannot be shared (error -16): take another" },
#endif
};

START_TEST(refused_parameters)
{
	const char *says;

	log_mark();
	ck_assert_int_eq(module_load("kmk_irq", refused[_i].params), refused[_i].err);
	ck_assert_int_eq(log_count("kmk_irq: "), 1);
	says = refused[_i].says ? refused[_i].says : "invalid for parameter";
	ck_assert_int_eq(log_count(says), 1);
	ck_assert_int_eq(log_count("genirq"), 0);
	assert_nothing_left();
}
END_TEST

START_TEST(mode_of_the_node)
{
	static const unsigned int modes[] = { 0, 0444, 0777 };
	char parameters[32], shown[8];
	struct stat st;
	size_t i;

	/* with a leading 0 and without */
	for (i = 0; i < 2 * (sizeof(modes) / sizeof(*modes)); i++) {
		snprintf(parameters, sizeof(parameters), "irq=-1 mode=%s%o", i % 2 ? "0" : "",
			 modes[i / 2]);
		load(parameters);
		ck_ok(stat(DEV, &st));
		ck_assert_uint_eq(st.st_mode & 07777, modes[i / 2]);
		snprintf(shown, sizeof(shown), "%04o\n", modes[i / 2]);
		ck_assert(file_has("/sys/module/kmk_irq/parameters/mode", shown));
		unload();
	}
}
END_TEST

START_TEST(only_root_by_default)
{
	pid_t pid;

	load_simulated();
	pid = spawn();
	if (!pid) {
		drop_root();
		_exit(!(open(DEV, O_RDONLY) < 0 && errno == EACCES &&
			spew(TRIGGER, "1") == -EACCES));
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_eq(count(), 0);
	unload();
}
END_TEST

START_TEST(load_twice)
{
	int i;

	for (i = 0; i < 2; i++) {
		load_simulated();
		ck_assert_int_eq(module_load("kmk_irq", ""), -EEXIST);
		trigger("5");
		ck_assert_int_eq(count(), 5);
		unload();
		assert_nothing_left();
	}
}
END_TEST

START_TEST(open_file_pins)
{
	int fd, copy;

	load_simulated();
	fd = open_events(0);
	ck_assert_int_eq(module_unload("kmk_irq"), -EWOULDBLOCK);
	copy = ck_ok(dup(fd));
	close(fd);
	ck_assert_int_eq(module_unload("kmk_irq"), -EWOULDBLOCK);
	close(copy);
	unload();
	assert_nothing_left();
}
END_TEST

/* An attribute's open file does not pin the module: it fails from then on. */
START_TEST(attribute_outlives_module)
{
	char text[32];
	int fd;

	load_simulated();
	fd = ck_ok(open(ATTR("count"), O_RDONLY));
	unload();
	ck_errno(read(fd, text, sizeof(text)), ENODEV);
	close(fd);
}
END_TEST

START_TEST(ring_size_limits)
{
	struct kmk_irq_event event;
	int fd;

	load("irq=-1 ring_size=1");
	trigger("3");
	fd = open_events(O_NONBLOCK);
	ck_assert_int_eq(read(fd, &event, RECORD), RECORD);
	ck_assert_uint_eq(event.seq, 3);
	ck_errno(read(fd, &event, RECORD), EAGAIN);
	close(fd);
	ck_assert_int_eq(dropped(), 2);
	unload();

	load("irq=-1 ring_size=1048576");
	trigger("3");
	fd = open_events(O_NONBLOCK);
	ck_assert_int_eq(read(fd, &event, RECORD), RECORD);
	ck_assert_uint_eq(event.seq, 1);
	close(fd);
	unload();
}
END_TEST

/* The simulated line */

START_TEST(event_fields)
{
	struct kmk_irq_event events[3];
	struct timespec before, after;
	unsigned long long last, end;
	int fd, i;

	pin(1);
	clock_gettime(CLOCK_MONOTONIC, &before);
	trigger("2 77");
	trigger("1");
	clock_gettime(CLOCK_MONOTONIC, &after);
	fd = open_events(O_NONBLOCK);
	ck_assert_int_eq(read(fd, events, sizeof(events)), sizeof(events));
	last = before.tv_sec * 1000000000ULL + before.tv_nsec;
	end = after.tv_sec * 1000000000ULL + after.tv_nsec;
	for (i = 0; i < 3; i++) {
		ck_assert_uint_ge(events[i].timestamp_ns, last);
		ck_assert_uint_le(events[i].timestamp_ns, end);
		last = events[i].timestamp_ns;
		ck_assert_uint_eq(events[i].seq, i + 1);
		ck_assert_uint_eq(events[i].irq, slurp_number(ATTR("irq")));
		ck_assert_uint_eq(events[i].cpu, 1);
		ck_assert_uint_eq(events[i].data, i < 2 ? 77 : 0);
		ck_assert_uint_eq(events[i].flags, 0);
		ck_assert_uint_eq(events[i].reserved, 0);
	}
	close(fd);
}
END_TEST

START_TEST(in_proc_interrupts)
{
	ck_assert_int_eq(handled_for("kmk_irq"), 0);
	trigger("17");
	ck_assert_int_eq(handled_for("kmk_irq"), 17);
	ck_assert_int_eq(count(), 17);
	/* In hard-IRQ context, whatever the kernel does with other lines. */
	ck_assert(!has_thread(slurp_number(ATTR("irq"))));
}
END_TEST

START_TEST(counted_per_cpu)
{
	pin(0);
	trigger("3");
	pin(1);
	trigger("5");
	ck_assert_str_eq(slurp(ATTR("per_cpu_count")), "3,5\n");
	ck_assert_int_eq(count(), 8);
}
END_TEST

#define CPU1 "/sys/devices/system/cpu/cpu1/online"

static void bring_cpu1_back(void)
{
	if (exists(CPU1))
		spew(CPU1, "1");
}

/* The count of a processor is kept while it is offline, and goes on from there. */
START_TEST(counted_across_hotplug)
{
	struct kmk_irq_event events[16];
	int fd = open_events(O_NONBLOCK);

	pin(1);
	trigger("5");
	pin(0);
	ck_assert_int_eq(spew(CPU1, "0"), 0);
	ck_assert_str_eq(slurp(ATTR("per_cpu_count")), "0,5\n");
	trigger("2");
	ck_assert_str_eq(slurp(ATTR("per_cpu_count")), "2,5\n");
	ck_assert_int_eq(spew(CPU1, "1"), 0);
	pin(1);
	trigger("1");
	ck_assert_str_eq(slurp(ATTR("per_cpu_count")), "2,6\n");
	ck_assert_int_eq(count(), 8);
	ck_assert_int_eq(read(fd, events, sizeof(events)), 8 * RECORD);
	ck_assert_uint_eq(events[4].cpu, 1);
	ck_assert_uint_eq(events[5].cpu, 0);
	ck_assert_uint_eq(events[7].cpu, 1);
	close(fd);
}
END_TEST

static const struct {
	const char *text;
	int err;
	int times;
	unsigned long long data;
} triggers[] = {
	{ "1", 0, 1, 0 },
	{ "1\n", 0, 1, 0 },
	{ " 2 ", 0, 2, 0 },
	{ "3 4\n", 0, 3, 4 },
	{ "0x10 0xff", 0, 16, 255 },
	{ "1 18446744073709551615", 0, 1, ULLONG_MAX },
	{ "1 18446744073709551616", -ERANGE, 0, 0 },
	{ "0", -ERANGE, 0, 0 },
	{ "1000001", -ERANGE, 0, 0 },
	{ "4294967296", -ERANGE, 0, 0 },
	{ "4294967297 1", -ERANGE, 0, 0 },
	{ "-1", -EINVAL, 0, 0 },
	{ "1 -1", -EINVAL, 0, 0 },
	{ "\n", -EINVAL, 0, 0 },
	{ " ", -EINVAL, 0, 0 },
	{ "x", -EINVAL, 0, 0 },
	{ "1x", -EINVAL, 0, 0 },
	{ "1 x", -EINVAL, 0, 0 },
	{ "1,2", -EINVAL, 0, 0 },
	{ "1 2 3", -EINVAL, 0, 0 },
	{ "1.5", -EINVAL, 0, 0 },
	{ "1  2", -EINVAL, 0, 0 },
	{ "000000000000000000000000000000000000000000000000000000000000000001", -EINVAL, 0, 0 },
};

START_TEST(trigger_text)
{
	struct kmk_irq_event event;
	int fd = open_events(O_NONBLOCK), i;

	ck_assert_int_eq(spew(TRIGGER, triggers[_i].text), triggers[_i].err);
	ck_assert_int_eq(count(), triggers[_i].times);
	for (i = 0; i < triggers[_i].times; i++) {
		ck_assert_int_eq(read(fd, &event, RECORD), RECORD);
		ck_assert_uint_eq(event.data, triggers[_i].data);
	}
	ck_errno(read(fd, &event, RECORD), EAGAIN);
	close(fd);
}
END_TEST

START_TEST(trigger_most)
{
	trigger("100000");
	ck_assert_int_eq(count(), 100000);
	ck_assert_int_eq(dropped(), 100000 - 100);
}
END_TEST

static volatile sig_atomic_t signals;

static void note(int sig)
{
	(void)sig;
	signals++;
}

static void handle(int sig, int flags)
{
	struct sigaction action = { .sa_handler = note, .sa_flags = flags };

	ck_ok(sigaction(sig, &action, NULL));
}

START_TEST(trigger_is_interruptible)
{
	long long raised;
	pid_t pid = spawn();

	if (!pid) {
		handle(SIGUSR1, SA_RESTART);
		_exit(spew(TRIGGER, "1000000") != -EINTR);
	}
	wait_until(count() > 100);
	ck_ok(kill(pid, SIGUSR1));
	ck_assert_int_eq(reap(pid), 0);
	raised = count();
	ck_assert_int_lt(raised, 1000000);
	trigger("1");
	ck_assert_int_eq(count(), raised + 1);
}
END_TEST

/* Root of a container is root to the permissions of the file, but what it raises all would see. */
START_TEST(root_of_a_container_raises_nothing)
{
	pid_t pid = spawn();

	if (!pid) {
		enter_user_namespace();
		_exit(spew(TRIGGER, "1") == -EPERM && spew(TRIGGER, "?") == -EPERM ? 0 : 2);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_eq(count(), 0);
}
END_TEST

/* /dev/irq_events */

START_TEST(whole_records)
{
	char buf[10 * RECORD];
	int fd = open_events(O_NONBLOCK);

	trigger("5");
	ck_errno(read(fd, buf, 0), EINVAL);
	ck_errno(read(fd, buf, 1), EINVAL);
	ck_errno(read(fd, buf, RECORD - 1), EINVAL);
	ck_assert_int_eq(read(fd, buf, RECORD), RECORD);
	memset(buf, 0xa5, sizeof(buf));
	ck_assert_int_eq(read(fd, buf, 2 * RECORD + 1), 2 * RECORD);
	ck_assert_uint_eq((unsigned char)buf[2 * RECORD], 0xa5);
	ck_assert_int_eq(read(fd, buf, sizeof(buf)), 2 * RECORD);
	ck_errno(read(fd, buf, sizeof(buf)), EAGAIN);
	ck_errno(read(fd, buf, RECORD - 1), EINVAL);
	close(fd);
}
END_TEST

START_TEST(in_several_reads)
{
	struct kmk_irq_event events[100];
	int fd = open_events(O_NONBLOCK), i;

	trigger("90");
	ck_assert_int_eq(read(fd, events, 40 * RECORD), 40 * RECORD);
	trigger("50");
	ck_assert_int_eq(read(fd, events + 40, 60 * RECORD), 60 * RECORD);
	for (i = 0; i < 100; i++)
		ck_assert_uint_eq(events[i].seq, i + 1);
	ck_assert_int_eq(read(fd, events, sizeof(events)), 40 * RECORD);
	ck_assert_uint_eq(events[39].seq, 140);
	ck_assert_int_eq(dropped(), 0);
	close(fd);
}
END_TEST

START_TEST(into_several_buffers)
{
	struct kmk_irq_event first, rest[3];
	struct iovec iov[] = {
		{ &first, 20 }, { (char *)&first + 20, RECORD - 20 }, { rest, sizeof(rest) },
	};
	int fd = open_events(0);

	trigger("3 9");
	ck_assert_int_eq(readv(fd, iov, 3), 3 * RECORD);
	ck_assert_uint_eq(first.seq, 1);
	ck_assert_uint_eq(first.data, 9);
	ck_assert_uint_eq(rest[1].seq, 3);
	close(fd);
}
END_TEST

START_TEST(not_a_file)
{
	struct kmk_irq_event event;
	int fd = ck_ok(open(DEV, O_RDWR | O_NONBLOCK));

	trigger("1");
	ck_errno(lseek(fd, 0, SEEK_SET), ESPIPE);
	ck_errno(pread(fd, &event, RECORD, 0), ESPIPE);
	ck_errno(write(fd, &event, RECORD), EINVAL);
	ck_errno(ioctl(fd, 0x1001, 0), ENOTTY);
	ck_assert_int_eq(read(fd, &event, RECORD), RECORD);
	close(fd);
}
END_TEST

START_TEST(from_32_bits)
{
	trigger("2 0x123456789");
	use_from_32_bits(DEV);
}
END_TEST

START_TEST(faults)
{
	char *tail = buffer_before_hole(2 * RECORD + 7);
	struct kmk_irq_event event;
	int fd = open_events(O_NONBLOCK);

	trigger("40");
	ck_errno(read(fd, BAD_POINTER, RECORD), EFAULT);
	ck_errno(read(fd, tail + 2 * RECORD, 30 * RECORD), EFAULT);
	/* Two records and a bit are there: two are handed over. */
	ck_assert_int_eq(read(fd, tail, 30 * RECORD), 2 * RECORD);
	ck_assert_uint_eq(((struct kmk_irq_event *)tail)[1].seq, 2);
	tail = buffer_before_hole(20 * RECORD);
	ck_assert_int_eq(read(fd, tail, 30 * RECORD), 20 * RECORD);
	ck_assert_int_eq(read(fd, &event, RECORD), RECORD);
	ck_assert_uint_eq(event.seq, 23);
	close(fd);
}
END_TEST

/*
 * Two open files have the same events when these are overwritten, and one or both cannot be
 * given them: only what neither got was dropped, and once.
 */
START_TEST(overwritten_then_fault)
{
	struct io_call calls[2];
	char *pages[2];
	int uffd[2], fd[2], i;

	trigger("4");
	for (i = 0; i < 2; i++) {
		fd[i] = open_events(O_NONBLOCK);
		pages[i] = stalling_page(&uffd[i]);
		io_start(&calls[i], false, fd[i], pages[i], 4 * RECORD);
		wait_for_fault(uffd[i]);
	}
	trigger("4");
	ck_assert_int_eq(dropped(), 0);
	for (i = 0; i < 2; i++) {
		if (i < _i) {
			end_stall(uffd[i], pages[i], 0);
			io_finish(&calls[i], 4 * RECORD);
			continue;
		}
		/* The reader, who is let go, finds no page. */
		ck_ok(munmap(pages[i], 4096));
		close(uffd[i]);
		io_finish(&calls[i], -1);
		ck_assert_int_eq(calls[i].err, EFAULT);
	}
	ck_assert_int_eq(dropped(), _i ? 0 : 4);
	close(fd[0]);
	close(fd[1]);
}
END_TEST

/* A record that could not be delivered is there again, if it is still kept. */
START_TEST(fault_then_overwritten)
{
	struct kmk_irq_event events[4];
	int fd = open_events(O_NONBLOCK), other = open_events(O_NONBLOCK);

	trigger("4");
	ck_errno(read(fd, BAD_POINTER, 4 * RECORD), EFAULT);
	ck_assert_int_eq(read(other, events, RECORD), RECORD);
	trigger("4");
	ck_assert_int_eq(read(fd, events, RECORD), RECORD);
	ck_assert_uint_eq(events[0].seq, 5);
	/* Of 1 to 4, the other one read 1. */
	ck_assert_int_eq(dropped(), 3);
	/* Two of the rest are delivered, and the last one not. */
	ck_assert_int_eq(read(fd, buffer_before_hole(2 * RECORD), 3 * RECORD), 2 * RECORD);
	trigger("4");
	ck_assert_int_eq(dropped(), 4);
	close(fd);
	close(other);
}
END_TEST

/* The clock of the timestamps */

static void set_clock(int fd, unsigned int clock)
{
	struct kmk_irq_clock choice = { .clock = clock };

	ck_ok(ioctl(fd, IRQ_EVENTS_IOC_SET_CLOCK, &choice));
}

static unsigned long long now_ns(clockid_t clock)
{
	struct timespec now;

	ck_ok(clock_gettime(clock, &now));
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME };

START_TEST(clock_of_the_reader)
{
	struct kmk_irq_event event;
	unsigned long long before, after;
	int fd = open_events(O_NONBLOCK), other = open_events(O_NONBLOCK);

	set_clock(fd, clocks[_i]);
	before = now_ns(clocks[_i]);
	trigger("1");
	after = now_ns(clocks[_i]);
	ck_assert_int_eq(read(fd, &event, RECORD), RECORD);
	ck_assert_uint_ge(event.timestamp_ns, before);
	ck_assert_uint_le(event.timestamp_ns, after);
	/* Another open file has a clock of its own. */
	ck_assert_int_eq(read(other, &event, RECORD), RECORD);
	ck_assert_uint_le(event.timestamp_ns, now_ns(CLOCK_MONOTONIC));
	close(fd);
	close(other);
}
END_TEST

/* An event's time is that of the clock when it came, whatever the clock was set to since. */
START_TEST(clock_set_meanwhile)
{
	struct kmk_irq_event event;
	struct timespec later;
	unsigned long long after;
	int fd = open_events(O_NONBLOCK);

	trigger("1");
	ck_ok(clock_gettime(CLOCK_REALTIME, &later));
	after = now_ns(CLOCK_REALTIME);
	later.tv_sec += 100000;
	ck_ok(clock_settime(CLOCK_REALTIME, &later));
	set_clock(fd, CLOCK_REALTIME);
	ck_assert_int_eq(read(fd, &event, RECORD), RECORD);
	later.tv_sec -= 100000;
	ck_ok(clock_settime(CLOCK_REALTIME, &later));
	ck_assert_uint_le(event.timestamp_ns, after);
	ck_assert_uint_ge(event.timestamp_ns, after - 60 * 1000000000ULL);
	close(fd);
}
END_TEST

START_TEST(clock_of_a_time_namespace)
{
	struct kmk_irq_event event;
	unsigned long long before;
	int fd = open_events(O_NONBLOCK);
	pid_t pid;

	ck_ok(unshare(CLONE_NEWTIME));
	ck_assert_int_eq(spew("/proc/self/timens_offsets",
			      "monotonic 200000 5\nboottime 100000 7\n"), 0);
	pid = spawn();
	if (!pid) {
		before = now_ns(clocks[_i]);
		trigger("1");
		set_clock(fd, clocks[_i]);
		ck_assert_int_eq(read(fd, &event, RECORD), RECORD);
		_exit(!(event.timestamp_ns >= before &&
			event.timestamp_ns <= now_ns(clocks[_i])));
	}
	ck_assert_int_eq(reap(pid), 0);
	close(fd);
}
END_TEST

START_TEST(clock_refused)
{
	struct {
		struct kmk_irq_clock clock;
		unsigned char tail[100];
	} big = { .clock.clock = CLOCK_REALTIME };
	struct kmk_irq_event event;
	int fd = open_events(O_NONBLOCK);
	unsigned int size;

	for (size = 0; size < sizeof(big.clock); size++)
		ck_errno(ioctl(fd, sized(IRQ_EVENTS_IOC_SET_CLOCK, size), &big), EINVAL);
	big.clock.reserved = 1;
	ck_errno(ioctl(fd, IRQ_EVENTS_IOC_SET_CLOCK, &big), EINVAL);
	big.clock.reserved = 0;
	big.tail[99] = 1;
	ck_errno(ioctl(fd, sized(IRQ_EVENTS_IOC_SET_CLOCK, sizeof(big)), &big), E2BIG);
	big.tail[99] = 0;
	for (big.clock.clock = 2; big.clock.clock < 20; big.clock.clock++)
		if (big.clock.clock != CLOCK_BOOTTIME)
			ck_errno(ioctl(fd, IRQ_EVENTS_IOC_SET_CLOCK, &big), EINVAL);
	big.clock.clock = UINT_MAX;
	ck_errno(ioctl(fd, IRQ_EVENTS_IOC_SET_CLOCK, &big), EINVAL);
	ck_errno(ioctl(fd, IRQ_EVENTS_IOC_SET_CLOCK, BAD_POINTER), EFAULT);
	ck_errno(ioctl(fd, IRQ_EVENTS_IOC_SET_CLOCK, NULL), EFAULT);
	/* None of these changed it. */
	trigger("1");
	ck_assert_int_eq(read(fd, &event, RECORD), RECORD);
	ck_assert_uint_le(event.timestamp_ns, now_ns(CLOCK_MONOTONIC));
	/* A newer program's structure, with nothing in what is not known here. */
	big.clock.clock = CLOCK_REALTIME;
	ck_ok(ioctl(fd, sized(IRQ_EVENTS_IOC_SET_CLOCK, sizeof(big)), &big));
	trigger("1");
	ck_assert_int_eq(read(fd, &event, RECORD), RECORD);
	ck_assert_uint_gt(event.timestamp_ns, now_ns(CLOCK_BOOTTIME));
	close(fd);
}
END_TEST

/* A program built for 0.1.0, whose record had 32 bytes, is told at once. */
START_TEST(record_of_an_old_program)
{
	char old[32];
	int fd = open_events(0);

	trigger("1");
	ck_errno(read(fd, old, sizeof(old)), EINVAL);
	close(fd);
}
END_TEST

START_TEST(nowait)
{
	struct kmk_irq_event event;
	struct iovec iov = { &event, RECORD };
	int fd = open_events(0);

	ck_errno(preadv2(fd, &iov, 1, -1, RWF_NOWAIT), EAGAIN);
	trigger("1");
	ck_assert_int_eq(preadv2(fd, &iov, 1, -1, RWF_NOWAIT), RECORD);
	ck_errno(preadv2(fd, &iov, 1, -1, RWF_NOWAIT), EAGAIN);
	close(fd);
}
END_TEST

START_TEST(read_waits)
{
	struct kmk_irq_event events[3];
	int fd = open_events(0);
	pid_t pid = spawn();

	if (!pid)
		_exit(!(read(fd, events, sizeof(events)) == RECORD && events[0].data == 6));
	wait_asleep(pid);
	trigger("1 6");
	ck_assert_int_eq(reap(pid), 0);
	close(fd);
}
END_TEST

START_TEST(signal_ends_wait)
{
	struct kmk_irq_event event;
	int fd = open_events(0);
	pid_t pid = spawn();

	if (!pid) {
		handle(SIGUSR1, 0);
		_exit(!(read(fd, &event, RECORD) == -1 && errno == EINTR));
	}
	wait_asleep(pid);
	ck_ok(kill(pid, SIGUSR1));
	ck_assert_int_eq(reap(pid), 0);
	close(fd);
}
END_TEST

START_TEST(wait_restarts)
{
	struct kmk_irq_event event;
	int fd = open_events(0), ready[2];
	char byte;
	pid_t pid;

	ck_ok(pipe(ready));
	pid = spawn();
	if (!pid) {
		handle(SIGUSR1, SA_RESTART);
		if (write(ready[1], "", 1) != 1)
			_exit(2);
		_exit(!(read(fd, &event, RECORD) == RECORD && signals == 1));
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	wait_asleep(pid);
	ck_ok(kill(pid, SIGUSR1));
	/* The event comes when the call waits again. */
	kmk_pause();
	wait_asleep(pid);
	trigger("1");
	ck_assert_int_eq(reap(pid), 0);
	close(fd);
}
END_TEST

START_TEST(poll_tells)
{
	struct kmk_irq_event event;
	struct pollfd p = { .events = POLLIN | POLLOUT };
	pid_t pid;

	p.fd = open_events(0);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	trigger("2");
	ck_assert_int_eq(poll(&p, 1, 0), 1);
	ck_assert_int_eq(p.revents, POLLIN);
	ck_assert_int_eq(read(p.fd, &event, RECORD), RECORD);
	ck_assert_int_eq(poll(&p, 1, 0), 1);
	ck_assert_int_eq(read(p.fd, &event, RECORD), RECORD);
	ck_assert_int_eq(poll(&p, 1, 0), 0);

	pid = spawn();
	if (!pid)
		_exit(!(poll(&p, 1, 20000) == 1 && p.revents == POLLIN));
	wait_asleep(pid);
	trigger("1");
	ck_assert_int_eq(reap(pid), 0);
	close(p.fd);
}
END_TEST

START_TEST(epoll_edges)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int fd = open_events(O_NONBLOCK), ep = ck_ok(epoll_create1(0));

	ck_ok(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
	ck_assert_int_eq(epoll_wait(ep, &event, 1, 0), 0);
	trigger("1");
	ck_assert_int_eq(epoll_wait(ep, &event, 1, 20000), 1);
	ck_assert_int_eq(epoll_wait(ep, &event, 1, 0), 0);
	trigger("1");
	ck_assert_int_eq(epoll_wait(ep, &event, 1, 20000), 1);
	close(ep);
	close(fd);
}
END_TEST

/* Cursors */

START_TEST(begins_at_the_oldest_kept)
{
	struct kmk_irq_event events[8];
	int early = open_events(O_NONBLOCK), late;

	trigger("6");
	late = open_events(O_NONBLOCK);
	ck_assert_int_eq(read(late, events, sizeof(events)), 4 * RECORD);
	ck_assert_uint_eq(events[0].seq, 3);
	ck_assert_uint_eq(events[3].seq, 6);
	/* Nothing was taken from the other one. */
	ck_assert_int_eq(read(early, events, sizeof(events)), 4 * RECORD);
	ck_assert_uint_eq(events[0].seq, 3);
	close(early);
	close(late);
}
END_TEST

START_TEST(gap_shows_misses)
{
	struct kmk_irq_event events[8];
	int fd = open_events(O_NONBLOCK);

	trigger("2");
	ck_assert_int_eq(read(fd, events, RECORD), RECORD);
	ck_assert_uint_eq(events[0].seq, 1);
	trigger("5");		/* keeps 4 to 7 */
	ck_assert_int_eq(read(fd, events, sizeof(events)), 4 * RECORD);
	ck_assert_uint_eq(events[0].seq, 4);
	ck_assert_uint_eq(events[3].seq, 7);
	ck_assert_int_eq(dropped(), 2);
	close(fd);
}
END_TEST

/* Overwritten counts as dropped unless any reader, closed or not, had it. */
START_TEST(dropped_exactly)
{
	struct kmk_irq_event events[8];
	int a = open_events(O_NONBLOCK), b = open_events(O_NONBLOCK);

	trigger("4");
	ck_assert_int_eq(dropped(), 0);
	ck_assert_int_eq(read(a, events, 2 * RECORD), 2 * RECORD);
	trigger("3");		/* keeps 4 to 7; 3 was had by nobody */
	ck_assert_int_eq(dropped(), 1);
	ck_assert_int_eq(read(b, events, 8 * RECORD), 4 * RECORD);
	ck_assert_int_eq(dropped(), 1);
	ck_assert_int_eq(read(a, events, 8 * RECORD), 4 * RECORD);
	ck_assert_uint_eq(events[0].seq, 4);
	close(a);
	close(b);
	trigger("4");		/* keeps 8 to 11; 4 to 7 were had */
	ck_assert_int_eq(dropped(), 1);
	trigger("4");
	ck_assert_int_eq(dropped(), 5);
	ck_assert_int_eq(count(), 15);
}
END_TEST

/* As many readers as like, at any speed */

/*
 * Read to the event @last, at most @most at once, pausing @pause ms between
 * reads; exit status 0 if all that was read is sound and what was read and
 * what the gaps show missing are together the whole.
 */
static void read_to(long long last, size_t most, int pause)
{
	struct kmk_irq_event events[64];
	unsigned long long seen = 0, at = 0;
	long long had = 0, gaps = 0;
	int fd = open_events(0);
	ssize_t n, i;

	while ((long long)seen < last) {
		n = ck_ok(read(fd, events, most * RECORD)) / RECORD;
		for (i = 0; i < n; i++) {
			if (events[i].seq <= seen || events[i].timestamp_ns < at)
				_exit(2);
			/* Each CPU gives its own data: a torn record would mix them. */
			if (events[i].data != (events[i].cpu ? 0x1111111111111111 : ULLONG_MAX))
				_exit(3);
			gaps += events[i].seq - seen - 1;
			seen = events[i].seq;
			at = events[i].timestamp_ns;
			had++;
		}
		while (pause && i--)
			kmk_pause();
	}
	_exit(had + gaps == last && seen == (unsigned long long)last ? 0 : 4);
}

/* Raise the line from @cpu, in a process of its own. */
static pid_t raise_on(int cpu, int times)
{
	char text[64];
	pid_t pid = spawn();

	if (!pid) {
		pin(cpu);
		snprintf(text, sizeof(text), "%d %s", times,
			 cpu ? "0x1111111111111111" : "0xffffffffffffffff");
		_exit(-spew(TRIGGER, text));
	}
	return pid;
}

#define STORM 20000

START_TEST(two_cpus_and_many_readers)
{
	static const struct {
		size_t most;
		int pause;
	} speeds[] = { { 64, 0 }, { 1, 0 }, { 17, 0 }, { 3, 1 }, { 64, 1 } };
	pid_t readers[5], raisers[2];
	char text[64];
	int i;

	for (i = 0; i < 5; i++) {
		readers[i] = spawn();
		if (!readers[i])
			read_to(2 * STORM, speeds[i].most, speeds[i].pause);
		wait_asleep(readers[i]);
	}
	for (i = 0; i < 2; i++)
		raisers[i] = raise_on(i, STORM);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(reap(raisers[i]), 0);
	ck_assert_int_eq(count(), 2 * STORM);
	ck_assert_int_eq(handled_for("kmk_irq"), 2 * STORM);
	snprintf(text, sizeof(text), "%d,%d\n", STORM, STORM);
	ck_assert_str_eq(slurp(ATTR("per_cpu_count")), text);
	for (i = 0; i < 5; i++)
		ck_assert_int_eq(reap(readers[i]), 0);
	ck_assert_int_le(dropped(), 2 * STORM - 100);
}
END_TEST

/* With one reader, each event was read, is dropped, or waits. */
START_TEST(one_reader_accounts_for_all)
{
	struct kmk_irq_event events[7];
	long long had = 0;
	int fd = open_events(O_NONBLOCK);
	pid_t raisers[2];
	ssize_t n;
	int i;

	for (i = 0; i < 2; i++)
		raisers[i] = raise_on(i, STORM);
	while (count() < 2 * STORM) {
		n = read(fd, events, sizeof(events));
		if (n > 0)
			had += n / RECORD;
	}
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(reap(raisers[i]), 0);
	while ((n = read(fd, events, sizeof(events))) > 0)
		had += n / RECORD;
	ck_assert_int_gt(had, 0);
	ck_assert_int_eq(had + dropped(), 2 * STORM);
	close(fd);
}
END_TEST

/* Readers that share an open file share its cursor: each event goes to one. */
START_TEST(one_cursor_for_an_open_file)
{
	struct kmk_irq_event event;
	int fd = open_events(O_NONBLOCK), sums[2], i;
	long long had = 0, part;
	pid_t pids[4];

	ck_ok(pipe(sums));
	trigger("100");
	for (i = 0; i < 4; i++) {
		pids[i] = spawn();
		if (!pids[i]) {
			part = 0;
			while (read(fd, &event, RECORD) == RECORD)
				part += event.seq;
			_exit(errno != EAGAIN || write(sums[1], &part, sizeof(part)) < 0);
		}
	}
	for (i = 0; i < 4; i++) {
		ck_assert_int_eq(reap(pids[i]), 0);
		ck_assert_int_eq(read(sums[0], &part, sizeof(part)), sizeof(part));
		had += part;
	}
	ck_assert_int_eq(had, 100 * 101 / 2);
	close(fd);
}
END_TEST

START_TEST(one_event_wakes_all)
{
	struct kmk_irq_event event;
	pid_t pids[8];
	int i, fd;

	for (i = 0; i < 8; i++) {
		pids[i] = spawn();
		if (!pids[i]) {
			fd = open_events(0);
			_exit(read(fd, &event, RECORD) != RECORD || event.seq != 1);
		}
	}
	for (i = 0; i < 8; i++)
		wait_asleep(pids[i]);
	trigger("1");
	for (i = 0; i < 8; i++)
		ck_assert_int_eq(reap(pids[i]), 0);
}
END_TEST

/* A reader waits for the event that another thread, with the same open file, cannot be given. */
START_TEST(fault_wakes)
{
	struct io_call stalled, waiting;
	struct kmk_irq_event event;
	int fd = open_events(0), uffd;
	char *page = stalling_page(&uffd);

	trigger("1");
	io_start(&stalled, false, fd, page, RECORD);
	wait_for_fault(uffd);
	io_start_and_block(&waiting, false, fd, &event, RECORD);
	ck_ok(munmap(page, 4096));
	close(uffd);
	io_finish(&stalled, -1);
	ck_assert_int_eq(stalled.err, EFAULT);
	io_finish(&waiting, RECORD);
	ck_assert_uint_eq(event.seq, 1);
	close(fd);
}
END_TEST

/* SIGIO, fdinfo, the tracepoint */

static volatile sig_atomic_t sigio_fd, sigio_band;

static void note_info(int sig, siginfo_t *info, void *context)
{
	(void)context;
	signals += sig == SIGIO;
	sigio_fd = info->si_fd;
	sigio_band = info->si_band;
}

static void async(int fd, bool on)
{
	int flags = ck_ok(fcntl(fd, F_GETFL));

	ck_ok(fcntl(fd, F_SETOWN, getpid()));
	ck_ok(fcntl(fd, F_SETSIG, SIGIO));
	ck_ok(fcntl(fd, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC));
}

START_TEST(sigio)
{
	struct sigaction action = { .sa_sigaction = note_info, .sa_flags = SA_SIGINFO };
	int fd = open_events(O_NONBLOCK), other = open_events(O_NONBLOCK);

	ck_ok(sigaction(SIGIO, &action, NULL));
	trigger("1");
	ck_assert_int_eq(signals, 0);
	async(fd, true);
	trigger("1");
	wait_until(signals);
	ck_assert_int_eq(sigio_fd, fd);
	ck_assert_int_eq(sigio_band & POLLIN, POLLIN);

	/* The event could not be given to the reader, and is there again. */
	signals = 0;
	ck_errno(read(fd, BAD_POINTER, RECORD), EFAULT);
	wait_until(signals);
	ck_assert_int_eq(signals, 1);

	/* Taken back, it stays silent while another one is told. */
	async(fd, false);
	async(other, true);
	signals = 0;
	trigger("1");
	wait_until(signals);
	ck_assert_int_eq(signals, 1);
	ck_assert_int_eq(sigio_fd, other);

	/* Closed with O_ASYNC on, it leaves nothing behind. */
	close(other);
	trigger("1");
	ck_assert_int_eq(signals, 1);
	close(fd);
}
END_TEST

static void assert_progress(int fd, int seen, int pending, int missed)
{
	struct kmk_irq_progress progress;
	char path[64], text[128];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	snprintf(text, sizeof(text), "seen:\t%d\npending:\t%d\nmissed:\t%d\n",
		 seen, pending, missed);
	ck_assert_msg(file_has(path, text), "not %s in %s", text, slurp(path));
	ck_ok(ioctl(fd, IRQ_EVENTS_IOC_GET_PROGRESS, &progress));
	ck_assert_uint_eq(progress.seen, seen);
	ck_assert_uint_eq(progress.pending, pending);
	ck_assert_uint_eq(progress.missed, missed);
}

START_TEST(progress)
{
	struct kmk_irq_event events[4];
	int fd = open_events(O_NONBLOCK);

	assert_progress(fd, 0, 0, 0);
	trigger("3");
	assert_progress(fd, 0, 3, 0);
	ck_assert_int_eq(read(fd, events, 2 * RECORD), 2 * RECORD);
	assert_progress(fd, 2, 1, 0);
	trigger("5");		/* keeps 5 to 8 */
	assert_progress(fd, 2, 4, 2);
	ck_assert_int_eq(read(fd, events, sizeof(events)), sizeof(events));
	assert_progress(fd, 8, 0, 2);
	close(fd);
}
END_TEST

START_TEST(progress_extensible)
{
	struct {
		struct kmk_irq_progress progress;
		unsigned char tail[104];
	} big;
	char *edge = buffer_before_hole(sizeof(big));
	int fd = open_events(O_NONBLOCK);
	unsigned int size, i;

	trigger("3");
	for (size = 0; size < sizeof(big.progress); size++)
		ck_errno(ioctl(fd, sized(IRQ_EVENTS_IOC_GET_PROGRESS, size), &big), EINVAL);
	memset(&big, 0xa5, sizeof(big));
	ck_ok(ioctl(fd, IRQ_EVENTS_IOC_GET_PROGRESS, &big));
	ck_assert_uint_eq(big.progress.pending, 3);
	ck_assert_uint_eq(big.tail[0], 0xa5);
	ck_ok(ioctl(fd, sized(IRQ_EVENTS_IOC_GET_PROGRESS, sizeof(big) - 1), &big));
	for (i = 0; i < sizeof(big.tail); i++)
		ck_assert_uint_eq(big.tail[i], i == sizeof(big.tail) - 1 ? 0xa5 : 0);
	ck_ok(ioctl(fd, sized(IRQ_EVENTS_IOC_GET_PROGRESS, sizeof(big)), edge));
	ck_errno(ioctl(fd, sized(IRQ_EVENTS_IOC_GET_PROGRESS, sizeof(big)), edge + 1), EFAULT);
	ck_errno(ioctl(fd, IRQ_EVENTS_IOC_GET_PROGRESS, edge + sizeof(big) - 23), EFAULT);
	ck_errno(ioctl(fd, IRQ_EVENTS_IOC_GET_PROGRESS, BAD_POINTER), EFAULT);
	close(fd);
}
END_TEST

START_TEST(unknown_commands)
{
	static const unsigned int commands[] = {
		0, 0x1001, UINT_MAX, _IO(IRQ_EVENTS_IOC_MAGIC, 0),
		_IOR(IRQ_EVENTS_IOC_MAGIC, 0, struct kmk_irq_clock),
		_IOW(IRQ_EVENTS_IOC_MAGIC, 1, struct kmk_irq_progress),
		_IOW(IRQ_EVENTS_IOC_MAGIC, 2, struct kmk_irq_clock),
	};
	struct kmk_irq_progress zeros = { 0 };
	int fd = open_events(0);
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		ck_errno(ioctl(fd, commands[i], &zeros), ENOTTY);
	close(fd);
}
END_TEST

#define TRACING "/sys/kernel/tracing"

START_TEST(tracepoint)
{
	char text[128];

	if (!exists(TRACING "/events/kmk_irq/kmk_irq_event"))
		ck_abort_msg("no tracepoint kmk_irq:kmk_irq_event");
	ck_assert_int_eq(spew(TRACING "/trace", ""), 0);
	ck_assert_int_eq(spew(TRACING "/events/kmk_irq/kmk_irq_event/enable", "1"), 0);
	trigger("2 42");
	ck_assert_int_eq(spew(TRACING "/events/kmk_irq/kmk_irq_event/enable", "0"), 0);
	snprintf(text, sizeof(text), "kmk_irq_event: irq=%lld seq=2 data=42",
		 slurp_number(ATTR("irq")));
	ck_assert(file_has(TRACING "/trace", text));
	trigger("1 43");
	ck_assert(!file_has(TRACING "/trace", "data=43"));
}
END_TEST

/* Unloading while the line is raised without end */

START_TEST(unload_in_a_storm)
{
	pid_t pids[3];
	int i, k, fd;

	for (i = 0; i < 3; i++) {
		pids[i] = spawn();
		if (pids[i])
			continue;
		for (;;) {
			if (i < 2) {
				pin(i);
				spew(TRIGGER, "1000000");
			} else {
				fd = open(DEV, O_RDONLY | O_NONBLOCK | O_ASYNC);
				if (fd >= 0)
					close(fd);
				kmk_pause();
			}
		}
	}
	for (k = 0; k < 10; k++) {
		load("ring_size=7");
		wait_until(count() > 50);
		wait_until(!module_unload("kmk_irq"));
	}
	for (i = 0; i < 3; i++) {
		ck_ok(kill(pids[i], SIGKILL));
		ck_assert_int_eq(waitpid(pids[i], NULL, 0), pids[i]);
	}
	assert_nothing_left();
}
END_TEST

/* A raiser whose module goes away is told; what it raised was counted. */
START_TEST(trigger_when_unloaded)
{
	pid_t pid;

	load_simulated();
	log_mark();
	pid = raise_on(0, 1000000);
	wait_until(count() > 100);
	unload();
	ck_assert_int_eq(reap(pid), ENODEV);
	ck_assert_int_eq(log_count("interrupts counted"), 1);
	ck_assert_int_eq(log_count("unloaded, 1000000 interrupts"), 0);
	assert_nothing_left();
}
END_TEST

/* Real lines */

START_TEST(no_trigger_on_a_real_line)
{
	load("irq=1");
	ck_assert_int_eq(spew(TRIGGER, "1"), -EOPNOTSUPP);
	ck_assert_int_eq(spew(TRIGGER, "x"), -EOPNOTSUPP);
	ck_assert_int_eq(count(), 0);
	unload();
}
END_TEST

/*
 * The keyboard controller takes a byte from the processor and hands it back
 * as if it came from the keyboard, with an interrupt on line 1.
 */
#define KBD_DATA 0x60
#define KBD_STATUS 0x64
#define KBD_COMMAND 0x64
#define KBD_OUTPUT_FULL 0x01
#define KBD_INPUT_FULL 0x02
#define KBD_WRITE_MODE 0x60
#define KBD_MODE_XLATE_IRQ 0x41
#define KBD_WRITE_OUTPUT 0xd2
#define KBD_RELEASE_A 0x9e

static void kbd_send(int port, int byte)
{
	wait_until(!(inb(KBD_STATUS) & KBD_INPUT_FULL));
	outb(byte, port);
}

/* The release of a key that was not pressed: nothing to its driver. */
static void raise_keyboard(void)
{
	kbd_send(KBD_COMMAND, KBD_WRITE_OUTPUT);
	kbd_send(KBD_DATA, KBD_RELEASE_A);
}

START_TEST(shared_with_the_keyboard)
{
	struct kmk_irq_event event;
	long long before;
	int fd, i;

	ck_ok(ioperm(KBD_DATA, 5, 1));
	load(_i ? "irq=1 claim=1" : "irq=1");
	ck_assert(file_has("/proc/interrupts", "i8042, kmk_irq"));
	/* In hard-IRQ context, whatever the kernel does with its driver. */
	ck_assert(!has_thread(1));
	fd = open_events(0);
	before = handled_for("i8042, kmk_irq");
	for (i = 1; i <= 50; i++) {
		raise_keyboard();
		ck_assert_int_eq(read(fd, &event, RECORD), RECORD);
		ck_assert_uint_eq(event.irq, 1);
		ck_assert_uint_eq(event.seq, i);
		ck_assert_uint_eq(event.data, 0);
		ck_assert_uint_eq(event.flags, 0);
		ck_assert_int_eq(count(), i);
		/* Its driver had the interrupt too: it took the byte. */
		wait_until(!(inb(KBD_STATUS) & KBD_OUTPUT_FULL));
	}
	ck_assert_int_eq(handled_for("i8042, kmk_irq") - before, 50);
	ck_assert_int_eq(dropped(), 0);
	close(fd);
	unload();
	ck_assert(file_has("/proc/interrupts", "i8042"));
}
END_TEST

START_TEST(unload_with_the_keyboard_at_work)
{
	pid_t pid = spawn();
	int i;

	if (!pid) {
		ck_ok(ioperm(KBD_DATA, 5, 1));
		for (;;)
			raise_keyboard();
	}
	for (i = 0; i < 20; i++) {
		load("irq=1");
		wait_until(count() > 10);
		unload();
	}
	ck_ok(kill(pid, SIGKILL));
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	assert_nothing_left();
}
END_TEST

#define I8042 "/sys/bus/platform/drivers/i8042"

static long long unhandled(int line)
{
	char path[64], *text, *at;
	long long number;

	snprintf(path, sizeof(path), "/proc/irq/%d/spurious", line);
	text = slurp(path);
	at = strstr(text, "unhandled");
	ck_assert_ptr_nonnull(at);
	number = atoll(at + strlen("unhandled"));
	free(text);
	return number;
}

/*
 * Alone on the line: the kernel learns that nobody handled the interrupt, or,
 * with claim=1, that somebody did.
 */
START_TEST(observes_unless_claimed)
{
	long long i;

	ck_ok(ioperm(KBD_DATA, 5, 1));
	load(_i ? "irq=1 claim=1" : "irq=1");
	ck_assert_int_eq(spew(I8042 "/unbind", "i8042"), 0);
	kbd_send(KBD_COMMAND, KBD_WRITE_MODE);
	kbd_send(KBD_DATA, KBD_MODE_XLATE_IRQ);
	inb(KBD_DATA);
	for (i = count() + 1; i <= 20; i++) {
		raise_keyboard();
		wait_until(count() == i);
		inb(KBD_DATA);
	}
	if (_i)
		ck_assert_int_eq(unhandled(1), 0);
	else
		ck_assert_int_gt(unhandled(1), 0);
	unload();
	ck_assert_int_eq(spew(I8042 "/bind", "i8042"), 0);
	wait_until(file_has("/proc/interrupts", "i8042"));
}
END_TEST

/* Lines of kmk_line, with what their driver asked for */

#define LINE(name) "/sys/module/kmk_line/parameters/" name
#define FALLING 0x2
#define SHARED 0x80
#define ONESHOT 0x2000
#define NO_SUSPEND 0x4000
#define NO_THREAD 0x10000

/* Load kmk_line; its line's number, for kmk_irq's parameter, goes to @irq. */
static long long line_load(const char *params, char *irq)
{
	ck_assert_int_eq(module_load("kmk_line", params), 0);
	sprintf(irq, "irq=%lld", slurp_number(LINE("line")));
	return slurp_number(LINE("line"));
}

/* The driver would not get what it asks for from a line where we were the first. */
START_TEST(waits_for_a_driver)
{
	char params[64], irq[32], says[128];

	snprintf(params, sizeof(params), "flags=%d", SHARED | FALLING);
	line_load(params, irq);
	log_mark();
	ck_assert_int_eq(module_load("kmk_irq", irq), -ENODEV);
	snprintf(says, sizeof(says), "kmk_irq: %s has no handler: load the line's driver", irq);
	ck_assert_int_eq(log_count("kmk_irq: "), 1);
	ck_assert_int_eq(log_count(says), 1);
	assert_nothing_left();
	ck_assert_int_eq(spew(LINE("ask"), "1"), 0);
	ck_assert_int_eq(slurp_number(LINE("type")), FALLING);
	load(irq);
	unload();
}
END_TEST

static const struct {
	int flags;
	const char *more;
} drivers[] = {
	{ SHARED, "" },
	{ SHARED | 1, "" },
	{ SHARED | FALLING, "" },
	{ SHARED | 4, "" },
	{ SHARED | 8, "" },
	{ SHARED | NO_THREAD, "" },
	{ SHARED | NO_SUSPEND, "" },
	{ SHARED | NO_SUSPEND | NO_THREAD, "" },
	{ SHARED | ONESHOT, " threaded=1" },
	{ SHARED | ONESHOT | FALLING, " threaded=1" },
	{ SHARED | ONESHOT | NO_SUSPEND, " threaded=1" },
};

/* Whatever the driver asked for: we join, each interrupt is an event, the driver gets its own. */
START_TEST(joins)
{
	struct kmk_irq_event event;
	char params[64], irq[32];
	long long number;
	int fd, i;

	snprintf(params, sizeof(params), "flags=%d%s", drivers[_i].flags, drivers[_i].more);
	number = line_load(params, irq);
	ck_assert_int_eq(spew(LINE("ask"), "1"), 0);
	log_mark();
	load(irq);
	ck_assert_int_eq(log_count("kmk_irq: loaded, shared line"), 1);
	ck_assert_int_eq(log_count("thread"), 0);
	ck_assert_int_eq(log_count("genirq"), 0);
	ck_assert_int_eq(slurp_number(ATTR("irq")), number);
	ck_assert(!has_thread(number));
	fd = open_events(O_NONBLOCK);
	ck_assert_int_eq(spew(LINE("raise"), "1000"), 0);
	ck_assert_int_eq(count(), 1000);
	wait_until(slurp_number(LINE("handled")) > 0);
	for (i = 901; i <= 1000; i++) {
		ck_assert_int_eq(read(fd, &event, RECORD), RECORD);
		ck_assert_uint_eq(event.seq, i);
		ck_assert_uint_eq(event.irq, number);
		ck_assert_uint_eq(event.flags, 0);
	}
	/* The driver goes and comes back, and finds its line as it was. */
	ck_assert_int_eq(spew(LINE("drop"), "1"), 0);
	ck_assert_int_eq(spew(LINE("ask"), "1"), 0);
	ck_assert_int_eq(spew(LINE("raise"), "1"), 0);
	ck_assert_int_eq(count(), 1001);
	close(fd);
	unload();
	ck_assert_int_eq(module_unload("kmk_line"), 0);
}
END_TEST

START_TEST(handled_in_a_thread)
{
	struct kmk_irq_event events[4];
	char params[64], irq[32];
	int fd;

	snprintf(params, sizeof(params), "flags=%d nested=1", SHARED | ONESHOT);
	line_load(params, irq);
	ck_assert_int_eq(spew(LINE("ask"), "1"), 0);
	log_mark();
	load(irq);
	ck_assert_int_eq(log_count("kmk_irq: "), 1);
	ck_assert_int_eq(log_count("handled in a thread: several interrupts may become one"), 1);
	fd = open_events(0);
	ck_assert_int_eq(spew(LINE("raise"), "3"), 0);
	ck_assert_int_eq(read(fd, events, sizeof(events)), 3 * RECORD);
	ck_assert_uint_eq(events[0].flags, KMK_IRQ_EVENT_THREADED);
	ck_assert_uint_eq(events[2].flags, KMK_IRQ_EVENT_THREADED);
	ck_assert_int_eq(slurp_number(LINE("handled")), 3);
	close(fd);
	unload();
}
END_TEST

START_TEST(not_shared)
{
	char irq[32], says[128];

	line_load("flags=0", irq);
	ck_assert_int_eq(spew(LINE("ask"), "1"), 0);
	log_mark();
	ck_assert_int_eq(module_load("kmk_irq", irq), -EBUSY);
	snprintf(says, sizeof(says), "kmk_irq: %s cannot be shared (error -16)", irq);
	ck_assert_int_eq(log_count(says), 1);
	ck_assert_int_eq(log_count("genirq"), 0);
	assert_nothing_left();
	ck_assert_int_eq(spew(LINE("raise"), "2"), 0);
	wait_until(slurp_number(LINE("handled")) > 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("irq");
	TCase *tc = tcase_create("load");

	tcase_add_checked_fixture(tc, clean, NULL);
	tcase_add_test(tc, default_parameters);
	tcase_add_loop_test(tc, refused_parameters, 0, sizeof(refused) / sizeof(*refused));
	tcase_add_test(tc, mode_of_the_node);
	tcase_add_test(tc, only_root_by_default);
	tcase_add_test(tc, load_twice);
	tcase_add_test(tc, open_file_pins);
	tcase_add_test(tc, attribute_outlives_module);
	tcase_add_test(tc, ring_size_limits);
	tcase_add_test(tc, unload_in_a_storm);
	tcase_add_test(tc, trigger_when_unloaded);
	suite_add_tcase(suite, tc);

	tc = tcase_create("simulated");
	tcase_add_checked_fixture(tc, load_simulated, unload);
	tcase_add_test(tc, event_fields);
	tcase_add_test(tc, in_proc_interrupts);
	tcase_add_test(tc, counted_per_cpu);
	tcase_add_loop_test(tc, trigger_text, 0, sizeof(triggers) / sizeof(*triggers));
	tcase_add_test(tc, trigger_most);
	tcase_add_test(tc, trigger_is_interruptible);
	tcase_add_test(tc, root_of_a_container_raises_nothing);
	tcase_add_test(tc, whole_records);
	tcase_add_test(tc, in_several_reads);
	tcase_add_test(tc, into_several_buffers);
	tcase_add_test(tc, not_a_file);
	if (runs_32_bits())
		tcase_add_test(tc, from_32_bits);
	else
		skip_test("from_32_bits", "no program of 32 bits runs here");
	tcase_add_test(tc, faults);
	tcase_add_test(tc, nowait);
	tcase_add_test(tc, read_waits);
	tcase_add_test(tc, signal_ends_wait);
	tcase_add_test(tc, wait_restarts);
	tcase_add_test(tc, poll_tells);
	tcase_add_test(tc, epoll_edges);
	tcase_add_test(tc, two_cpus_and_many_readers);
	tcase_add_test(tc, one_reader_accounts_for_all);
	tcase_add_test(tc, one_cursor_for_an_open_file);
	tcase_add_test(tc, one_event_wakes_all);
	if (has_userfaultfd())
		tcase_add_test(tc, fault_wakes);
	else
		skip_test("fault_wakes", "this kernel has no userfaultfd");
	tcase_add_test(tc, sigio);
	tcase_add_test(tc, tracepoint);
	suite_add_tcase(suite, tc);

	tc = tcase_create("cursors");
	tcase_add_checked_fixture(tc, load_small, unload);
	tcase_add_test(tc, begins_at_the_oldest_kept);
	tcase_add_test(tc, gap_shows_misses);
	tcase_add_test(tc, dropped_exactly);
	tcase_add_test(tc, fault_then_overwritten);
	if (has_userfaultfd())
		tcase_add_loop_test(tc, overwritten_then_fault, 0, 2);
	else
		skip_test("overwritten_then_fault", "this kernel has no userfaultfd");
	tcase_add_test(tc, progress);
	suite_add_tcase(suite, tc);

	tc = tcase_create("ioctls");
	tcase_add_checked_fixture(tc, load_simulated, unload);
	tcase_add_loop_test(tc, clock_of_the_reader, 0, 3);
	tcase_add_test(tc, clock_set_meanwhile);
	if (exists("/proc/self/ns/time"))
		tcase_add_loop_test(tc, clock_of_a_time_namespace, 0, 3);
	else
		skip_test("clock_of_a_time_namespace", "this kernel has no time namespaces");
	tcase_add_test(tc, clock_refused);
	tcase_add_test(tc, record_of_an_old_program);
	tcase_add_test(tc, progress_extensible);
	tcase_add_test(tc, unknown_commands);
	suite_add_tcase(suite, tc);

	tc = tcase_create("hotplug");
	tcase_add_checked_fixture(tc, load_simulated, unload);
	tcase_add_unchecked_fixture(tc, NULL, bring_cpu1_back);
	if (exists(CPU1))
		tcase_add_test(tc, counted_across_hotplug);
	else
		skip_test("counted_across_hotplug", "no processor here can be turned off");
	suite_add_tcase(suite, tc);

	tc = tcase_create("lines");
	tcase_add_checked_fixture(tc, clean, clean);
	tcase_add_test(tc, waits_for_a_driver);
	tcase_add_loop_test(tc, joins, 0, sizeof(drivers) / sizeof(*drivers));
	if (has_debug_shirq())
		skip_test("handled_in_a_thread", "DEBUG_SHIRQ complains of any nested line");
	else
		tcase_add_test(tc, handled_in_a_thread);
	tcase_add_test(tc, not_shared);
	suite_add_tcase(suite, tc);

	tc = tcase_create("real");
	tcase_add_checked_fixture(tc, clean, NULL);
	if (PC)
		tcase_add_test(tc, no_trigger_on_a_real_line);
	else
		skip_test("no_trigger_on_a_real_line", "line 1 of this machine cannot be shared");
	if (exists("/proc/irq/1/i8042")) {
		tcase_add_loop_test(tc, shared_with_the_keyboard, 0, 2);
		tcase_add_test(tc, unload_with_the_keyboard_at_work);
		tcase_add_loop_test(tc, observes_unless_claimed, 0, 2);
	} else {
		skip_test("real", "no keyboard controller's driver in this kernel");
	}
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
