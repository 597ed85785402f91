// SPDX-License-Identifier: GPL-2.0
/* kmk, the command-line front: what it prints, to whom, and its exit status. */
#define _GNU_SOURCE
#include "kmktest.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <kmk/version.h>

/* --- running it ----------------------------------------------------------- */

struct outcome {
	int status;
	char out[32768];
	char err[4096];
};

static void fill(int fd, char *text, size_t size)
{
	ssize_t n;

	n = pread(fd, text, size - 1, 0);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	close(fd);
}

/* Start kmk with these words, at most 15; its stdin is @in, and so on. */
static pid_t start(const char *words, int in, int out, int err)
{
	char *copy = strdup(words), *argv[17] = { "kmk" };
	size_t n = 1;
	pid_t pid;

	for (argv[n] = strtok(copy, " "); argv[n]; argv[n] = strtok(NULL, " "))
		ck_assert_uint_lt(++n, 16);
	pid = spawn();
	if (!pid) {
		dup2(in, STDIN_FILENO);
		dup2(out, STDOUT_FILENO);
		dup2(err, STDERR_FILENO);
		execvp("kmk", argv);
		_exit(127);
	}
	free(copy);
	return pid;
}

static int scratch(void)
{
	return ck_ok(open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
}

/* Run kmk with these words to its end. */
static const struct outcome *kmk(const char *words)
{
	static struct outcome outcome;
	int in = ck_ok(open("/dev/null", O_RDONLY | O_CLOEXEC));
	int out = scratch(), err = scratch();

	outcome.status = reap(start(words, in, out, err));
	close(in);
	fill(out, outcome.out, sizeof(outcome.out));
	fill(err, outcome.err, sizeof(outcome.err));
	return &outcome;
}

/* The output of a command that succeeds. */
static const char *kmk_ok(const char *words)
{
	const struct outcome *done = kmk(words);

	ck_assert_msg(!done->status, "kmk %s: exit status %d: %s", words, done->status, done->err);
	ck_assert_str_eq(done->err, "");
	return done->out;
}

/* The one line it complains with, and it prints nothing else. */
static void kmk_fails(const char *words, int status, const char *line)
{
	const struct outcome *done = kmk(words);

	ck_assert_msg(done->status == status, "kmk %s: exit status %d, not %d",
		      words, done->status, status);
	ck_assert_str_eq(done->out, "");
	ck_assert_str_eq(done->err, line);
}

static void load(const char *module, const char *params)
{
	ck_assert_int_eq(module_load(module, params), 0);
}

static void unload(const char *module)
{
	ck_assert_int_eq(module_unload(module), 0);
}

/* --- JSON ------------------------------------------------------------------ */

/* A reader that is strict, and picks out the value at one path ("a.b[0].c"). */
struct json {
	const char *at;
	const char *wanted;
	char path[128];
	char value[256];
	bool found;
};

static void json_space(struct json *json)
{
	json->at += strspn(json->at, " \t\r\n");
}

static void json_expect(struct json *json, char c)
{
	json_space(json);
	ck_assert_msg(*json->at == c, "JSON: '%c' expected at: %s", c, json->at);
	json->at++;
}

static bool json_next(struct json *json, char c)
{
	json_space(json);
	if (*json->at != c)
		return false;
	json->at++;
	return true;
}

/* Strings without escapes are all that the tests meet, and they say so. */
static void json_text(struct json *json, char *text, size_t size)
{
	size_t n;

	json_expect(json, '"');
	n = strcspn(json->at, "\"\\");
	ck_assert_msg(json->at[n] == '"' && n < size, "JSON: string: %s", json->at);
	memcpy(text, json->at, n);
	text[n] = '\0';
	json->at += n + 1;
}

static void json_number(struct json *json, char *text, size_t size)
{
	size_t n = strspn(json->at, "0123456789-.");
	char *end;

	ck_assert_msg(n && n < size, "JSON: value: %s", json->at);
	memcpy(text, json->at, n);
	text[n] = '\0';
	strtod(text, &end);
	ck_assert_msg(!*end, "JSON: number: %s", text);
	json->at += n;
}

static void json_any(struct json *json);

static void json_member(struct json *json, const char *format, ...)
{
	size_t length = strlen(json->path);
	va_list args;

	va_start(args, format);
	vsnprintf(json->path + length, sizeof(json->path) - length, format, args);
	va_end(args);
	json_any(json);
	json->path[length] = '\0';
}

static void json_object(struct json *json)
{
	char name[64];

	if (json_next(json, '}'))
		return;
	do {
		json_space(json);
		json_text(json, name, sizeof(name));
		json_expect(json, ':');
		json_member(json, "%s%s", json->path[0] ? "." : "", name);
	} while (json_next(json, ','));
	json_expect(json, '}');
}

static void json_array(struct json *json)
{
	int i = 0;

	if (json_next(json, ']'))
		return;
	do
		json_member(json, "[%d]", i++);
	while (json_next(json, ','));
	json_expect(json, ']');
}

static void json_any(struct json *json)
{
	static const char * const literals[] = { "true", "false", "null" };
	char value[256] = "";
	size_t i;

	if (json_next(json, '{')) {
		json_object(json);
		return;
	}
	if (json_next(json, '[')) {
		json_array(json);
		return;
	}
	for (i = 0; i < 3 && !value[0]; i++) {
		if (strncmp(json->at, literals[i], strlen(literals[i])))
			continue;
		strcpy(value, literals[i]);
		json->at += strlen(value);
	}
	if (*json->at == '"' && !value[0])
		json_text(json, value, sizeof(value));
	else if (!value[0])
		json_number(json, value, sizeof(value));
	if (!strcmp(json->path, json->wanted)) {
		strcpy(json->value, value);
		json->found = true;
	}
}

/* The value at @path in the one JSON text that begins at @text. */
static const char *json_value(const char *text, const char *path)
{
	static struct json json;

	json = (struct json) { .at = text, .wanted = path };
	json_any(&json);
	ck_assert_msg(*json.at == '\n', "JSON: no newline after it: %s", text);
	ck_assert_msg(json.found, "JSON: no %s in: %s", path, text);
	return json.value;
}

static void ck_json(const char *text, const char *path, const char *value)
{
	ck_assert_str_eq(json_value(text, path), value);
}

static long long json_integer(const char *text, const char *path)
{
	return strtoll(json_value(text, path), NULL, 10);
}

/* --- the front -------------------------------------------------------------- */

static const char * const all_commands[] = {
	"status", "echo stat", "echo clear", "irq count", "irq trigger", "irq watch",
	"mempool stat", "mempool exercise", "syscall add", "syscall mul", "syscall id",
	"syscall uptime", "syscall sleep", "syscall batch",
};

#define ALL_COMMANDS (sizeof(all_commands) / sizeof(*all_commands))

START_TEST(help_lists_every_command)
{
	const char *text = kmk_ok("help");
	char line[64];
	size_t i;

	for (i = 0; i < ALL_COMMANDS; i++) {
		snprintf(line, sizeof(line), "\n  kmk %s", all_commands[i]);
		ck_assert_msg(strstr(text, line), "kmk help does not list '%s'", all_commands[i]);
	}
	/* It fits on every terminal. */
	for (; *text; text += i + 1) {
		i = strcspn(text, "\n");
		ck_assert_uint_le(i, 80);
	}
}
END_TEST

START_TEST(help_of_a_group)
{
	const char *text = kmk_ok("help irq");

	ck_assert_ptr_nonnull(strstr(text, "kmk irq watch"));
	ck_assert_ptr_null(strstr(text, "kmk echo"));
}
END_TEST

START_TEST(help_of_a_command)
{
	char words[64], usage[64];
	const char *text;

	snprintf(words, sizeof(words), "help %s", all_commands[_i]);
	snprintf(usage, sizeof(usage), "Usage: kmk %s ", all_commands[_i]);
	text = kmk_ok(words);
	ck_assert_ptr_eq(strstr(text, usage), text);

	/* The same as the command's own --help. */
	char *same = strdup(text);

	snprintf(words, sizeof(words), "%s --help", all_commands[_i]);
	ck_assert_str_eq(kmk_ok(words), same);
	free(same);
}
END_TEST

START_TEST(version)
{
	ck_assert_str_eq(kmk_ok("--version"), "kmk (kmodkit) " KMK_VERSION "\n");
}
END_TEST

static const struct {
	const char *words, *complaint;
} misuses[] = {
	{ "", "kmk: which command? 'kmk help' lists them\n" },
	{ "--frobnicate", "unrecognized option '--frobnicate'\n" },
	{ "frobnicate", "kmk: no command 'frobnicate'; 'kmk help' lists them\n" },
	{ "help frobnicate", "kmk: no such command; 'kmk help' lists them\n" },
	{ "help irq frobnicate", "kmk: no such command; 'kmk help' lists them\n" },
	{ "irq", "kmk: 'irq' wants a command:\n  kmk irq count" },
	{ "irq frobnicate", "kmk: no command 'irq frobnicate'; there is:\n  kmk irq count" },
	{ "status --frobnicate", "kmk status: unrecognized option '--frobnicate'\n" },
	{ "status extra", "kmk status: unexpected argument\nUsage: kmk status " },
	{ "syscall add 1", "kmk syscall add: missing argument\nUsage: kmk syscall add " },
	{ "syscall add 1 2 3", "kmk syscall add: unexpected argument\n" },
	{ "syscall add 1 two", "kmk: not a number: two\n" },
	{ "syscall add 1 2x", "kmk: not a number: 2x\n" },
	{ "syscall add 1 0x", "kmk: not a number: 0x\n" },
	{ "syscall add 1 +2", "kmk: not a number: +2\n" },
	{ "syscall add -- 1 -2", "kmk: not a number: -2\n" },
	{ "syscall add 0 18446744073709551616", "not a number: 18446744073709551616\n" },
	{ "syscall sleep forever", "kmk: not a number: forever\n" },
	{ "echo stat nothing", "kmk: no device 'nothing': it is echo or echo_fifo\n" },
	{ "echo clear nothing", "kmk: no device 'nothing': it is echo or echo_fifo\n" },
	{ "irq trigger many", "kmk: not a number: many\n" },
	{ "irq watch -n 0", "kmk irq watch: N cannot be '0'\n" },
	{ "irq watch -n -1", "kmk irq watch: N cannot be '-1'\n" },
	{ "irq watch -n", "kmk irq watch: option requires an argument -- 'n'\n" },
	{ "mempool exercise -s big", "kmk mempool exercise: BYTES cannot be 'big'\n" },
};

/* Misuse is found before any device is looked for: no module is loaded here. */
START_TEST(misuse)
{
	const struct outcome *done = kmk(misuses[_i].words);

	ck_assert_msg(done->status == 2, "kmk %s: exit status %d", misuses[_i].words, done->status);
	ck_assert_str_eq(done->out, "");
	ck_assert_msg(strstr(done->err, misuses[_i].complaint), "kmk %s: %s",
		      misuses[_i].words, done->err);
}
END_TEST

static const struct {
	const char *words, *module;
} needs[] = {
	{ "echo stat", "kmk_echo" },
	{ "echo stat --json", "kmk_echo" },
	{ "echo stat echo_fifo", "kmk_echo" },
	{ "echo clear", "kmk_echo" },
	{ "irq count", "kmk_irq" },
	{ "irq count --json", "kmk_irq" },
	{ "irq trigger", "kmk_irq" },
	{ "irq watch", "kmk_irq" },
	{ "mempool stat", "kmk_mempool" },
	{ "mempool exercise --json", "kmk_mempool" },
	{ "syscall add 2 3", "kmk_syscall" },
	{ "syscall id --json", "kmk_syscall" },
	{ "syscall batch /dev/null", "kmk_syscall" },
};

START_TEST(missing_module)
{
	char line[128];

	snprintf(line, sizeof(line), "kmk: %s is not loaded; load it: modprobe %s\n",
		 needs[_i].module, needs[_i].module);
	kmk_fails(needs[_i].words, 1, line);
}
END_TEST

START_TEST(output_that_cannot_be_written)
{
	int full = ck_ok(open("/dev/full", O_WRONLY | O_CLOEXEC));
	int err = scratch();
	char text[256];

	ck_assert_int_eq(reap(start("status", full, full, err)), 1);
	fill(err, text, sizeof(text));
	ck_assert_str_eq(text, "kmk: standard output: No space left on device\n");
	close(full);
}
END_TEST

START_TEST(json_before_the_command)
{
	ck_json(kmk_ok("--json status"), "kmk", KMK_VERSION);
}
END_TEST

/* --- status ----------------------------------------------------------------- */

START_TEST(status_with_nothing_loaded)
{
	const char *text = kmk_ok("status");
	size_t lines = 0;

	ck_assert_ptr_eq(strstr(text, "kmk " KMK_VERSION " on Linux "), text);
	while ((text = strstr(text, "not loaded"))) {
		lines++;
		text++;
	}
	ck_assert_uint_eq(lines, 7);
	ck_json(kmk_ok("status --json"), "modules[0].loaded", "false");
	ck_json(kmk_ok("status --json"), "modules[0].version", "null");
}
END_TEST

START_TEST(status_of_a_loaded_module)
{
	const char *text;

	load("kmk_echo", "mode=0640");
	text = kmk_ok("status");
	text = strstr(text, "kmk_echo     loaded     " KMK_VERSION " ");
	ck_assert_ptr_nonnull(text);
	text = strstr(text, "  /dev/echo rw-r----- 0:0  /dev/echo_fifo rw-r----- 0:0\n");
	ck_assert_ptr_nonnull(text);
	ck_assert_ptr_nonnull(strstr(text, "kmk_irq      not loaded -"));

	text = kmk_ok("status --json");
	ck_json(text, "modules[1].name", "kmk_echo");
	ck_json(text, "modules[1].loaded", "true");
	ck_json(text, "modules[1].version", KMK_VERSION);
	ck_json(text, "modules[1].nodes[1].path", "/dev/echo_fifo");
	ck_json(text, "modules[1].nodes[1].mode", "0640");
	ck_json(text, "modules[1].nodes[1].uid", "0");
	unload("kmk_echo");
}
END_TEST

START_TEST(status_warns_of_another_version)
{
	const char *version = "/sys/module/kmk_minimal/version";
	const struct outcome *done;

	load("kmk_minimal", "");
	ck_assert_str_eq(kmk("status")->err, "");
	close(ck_ok(open("/tmp/version", O_WRONLY | O_CREAT | O_TRUNC, 0644)));
	ck_assert_int_eq(spew("/tmp/version", "0.0.9\n"), 0);
	ck_ok(mount("/tmp/version", version, NULL, MS_BIND, NULL));
	done = kmk("status");
	ck_ok(umount(version));
	ck_assert_int_eq(done->status, 0);
	ck_assert_ptr_nonnull(strstr(done->out, "kmk_minimal  loaded     0.0.9"));
	ck_assert_str_eq(done->err, "kmk: kmk_minimal is version 0.0.9, this is kmk " KMK_VERSION
			 ": use both of one release\n");
	unload("kmk_minimal");
}
END_TEST

/* --- echo -------------------------------------------------------------------- */

START_TEST(echo_stat)
{
	const char *text;

	load("kmk_echo", "capacity=100");
	ck_assert_int_eq(spew("/dev/echo", "hello\n"), 0);
	ck_assert(file_has("/dev/echo", "hello"));
	ck_assert_int_eq(spew("/dev/echo_fifo", "abc"), 0);

	text = kmk_ok("echo stat --json");
	ck_assert_int_eq(json_integer(text, "echo.length"), 6);
	ck_assert_int_eq(json_integer(text, "echo.capacity"), 100);
	ck_assert_int_eq(json_integer(text, "echo.bytes_written"), 6);
	ck_assert_int_eq(json_integer(text, "echo.bytes_read"), 6);
	ck_assert_int_eq(json_integer(text, "echo.open_count"), 1);
	ck_assert_int_eq(json_integer(text, "echo.open_total"), 3);
	ck_assert_int_eq(json_integer(text, "echo_fifo.length"), 3);

	text = kmk_ok("echo stat");
	ck_assert_ptr_eq(strstr(text, "/dev/echo\n  length           6\n  capacity         100\n"),
			 text);
	ck_assert_ptr_nonnull(strstr(text, "/dev/echo_fifo\n  length           3\n"));
	ck_assert_ptr_null(strstr(kmk_ok("echo stat echo"), "/dev/echo_fifo"));
	ck_assert_ptr_null(strstr(kmk_ok("echo stat echo_fifo"), "/dev/echo\n"));
	unload("kmk_echo");
}
END_TEST

START_TEST(echo_clear)
{
	load("kmk_echo", "greeting=hello");
	ck_assert_int_eq(spew("/dev/echo_fifo", "abc"), 0);
	ck_assert_str_eq(kmk_ok("echo clear echo"), "");
	ck_json(kmk_ok("echo stat --json"), "echo.length", "0");
	ck_json(kmk_ok("echo stat --json"), "echo_fifo.length", "3");

	ck_assert_int_eq(spew("/dev/echo", "hello"), 0);
	ck_assert_str_eq(kmk_ok("echo clear"), "");
	ck_json(kmk_ok("echo stat --json"), "echo.length", "0");
	ck_json(kmk_ok("echo stat --json"), "echo_fifo.length", "0");
	unload("kmk_echo");
}
END_TEST

/* --- irq --------------------------------------------------------------------- */

#define TRIGGER "/sys/class/misc/irq_events/trigger"

START_TEST(irq_count)
{
	char text[128];
	long long irq;

	load("kmk_irq", "irq=-1");
	irq = slurp_number("/sys/class/misc/irq_events/irq");
	ck_assert_str_eq(kmk_ok("irq trigger"), "");
	ck_assert_str_eq(kmk_ok("irq trigger 4"), "");
	snprintf(text, sizeof(text), "irq              %lld\ncount            5\n"
		 "dropped          0\n", irq);
	ck_assert_str_eq(kmk_ok("irq count"), text);
	snprintf(text, sizeof(text), "{\"irq\":%lld,\"count\":5,\"dropped\":0}\n", irq);
	ck_assert_str_eq(kmk_ok("irq count --json"), text);
	unload("kmk_irq");
}
END_TEST

START_TEST(irq_trigger_on_a_real_line)
{
	load("kmk_irq", "irq=1");
	kmk_fails("irq trigger", 1, "kmk: " TRIGGER ": Operation not supported\n");
	unload("kmk_irq");
}
END_TEST

START_TEST(irq_watch_lines)
{
	const char *text;
	unsigned int irq, cpu;
	double time, before = 0;
	int i, n, fields;

	load("kmk_irq", "irq=-1");
	kmk_ok("irq trigger -d 77 3");
	text = kmk_ok("irq watch -n 3");
	for (i = 1; i <= 3; i++, text += n) {
		unsigned long long seq, data;

		fields = sscanf(text, "%lf seq %llu irq %u cpu %u data %llu\n%n",
				&time, &seq, &irq, &cpu, &data, &n);
		ck_assert_int_eq(fields, 5);
		ck_assert_uint_eq(seq, i);
		ck_assert_uint_eq(data, 77);
		ck_assert_int_eq(irq, slurp_number("/sys/class/misc/irq_events/irq"));
		ck_assert_uint_lt(cpu, 64);
		ck_assert(time >= before);
		before = time;
	}
	ck_assert_str_eq(text, "");
	unload("kmk_irq");
}
END_TEST

/* One JSON text a line, so that a program can read them as they come. */
START_TEST(irq_watch_json)
{
	const char *text;

	load("kmk_irq", "irq=-1");
	kmk_ok("irq trigger -d 5 2");
	text = kmk_ok("irq watch --events=2 --json");
	ck_assert_int_eq(json_integer(text, "seq"), 1);
	ck_assert_int_eq(json_integer(text, "data"), 5);
	ck_assert_int_eq(json_integer(text, "flags"), 0);
	ck_assert_int_eq(json_integer(text, "missed"), 0);
	text = strchr(text, '\n') + 1;
	ck_assert_int_eq(json_integer(text, "seq"), 2);
	ck_assert_int_gt(json_integer(text, "timestamp_ns"), 0);
	ck_assert_str_eq(strchr(text, '\n'), "\n");
	unload("kmk_irq");
}
END_TEST

#define LINE(name) "/sys/module/kmk_line/parameters/" name

/* Events whose flags say that the line is handled in a thread; those above say no such thing. */
START_TEST(irq_watch_shows_flags)
{
	const char *text;
	char params[32];

	load("kmk_line", "nested=1 flags=0x2080");	/* SHARED | ONESHOT */
	ck_assert_int_eq(spew(LINE("ask"), "1"), 0);
	snprintf(params, sizeof(params), "irq=%lld", slurp_number(LINE("line")));
	load("kmk_irq", params);
	ck_assert_int_eq(spew(LINE("raise"), "2"), 0);
	text = kmk_ok("irq watch -n 2");
	text = strstr(text, " data 0 threaded\n");
	ck_assert_ptr_nonnull(text);
	ck_assert_ptr_nonnull(strstr(text + 1, " data 0 threaded\n"));
	ck_assert_int_eq(json_integer(kmk_ok("irq watch -j -n 1"), "flags"), 1);
	unload("kmk_irq");
	unload("kmk_line");
}
END_TEST

static ssize_t read_line(int fd, char *line, size_t size)
{
	size_t n = 0;

	while (n < size - 1 && read(fd, &line[n], 1) == 1)
		if (line[n++] == '\n')
			break;
	line[n] = '\0';
	return n;
}

START_TEST(irq_watch_shows_each_event_as_it_comes)
{
	int ends[2], err = scratch(), null = open("/dev/null", O_RDONLY);
	char line[256], want[32];
	pid_t pid;
	int i;

	load("kmk_irq", "irq=-1");
	ck_ok(pipe2(ends, O_CLOEXEC));
	pid = start("irq watch", null, ends[1], err);
	close(ends[1]);
	for (i = 1; i <= 3; i++) {
		wait_asleep(pid);
		kmk_ok("irq trigger");
		ck_assert_int_gt(read_line(ends[0], line, sizeof(line)), 0);
		snprintf(want, sizeof(want), " seq %d ", i);
		ck_assert_ptr_nonnull(strstr(line, want));
	}
	/* Without a reader it ends, as a filter does. */
	close(ends[0]);
	kmk_ok("irq trigger");
	ck_assert_int_eq(waitpid(pid, &i, 0), pid);
	ck_assert(WIFSIGNALED(i) && WTERMSIG(i) == SIGPIPE);
	close(err);
	close(null);
	unload("kmk_irq");
}
END_TEST

/* A watcher that is stopped while more come than the ring holds. */
START_TEST(irq_watch_tells_what_it_missed)
{
	int ends[2], err = scratch(), null = open("/dev/null", O_RDONLY);
	char line[256];
	pid_t pid;

	load("kmk_irq", "irq=-1 ring_size=4");
	ck_ok(pipe2(ends, O_CLOEXEC));
	pid = start("irq watch -n 2", null, ends[1], err);
	wait_asleep(pid);
	kmk_ok("irq trigger");
	ck_assert_int_gt(read_line(ends[0], line, sizeof(line)), 0);
	wait_asleep(pid);
	ck_ok(kill(pid, SIGSTOP));
	ck_ok(waitpid(pid, NULL, WUNTRACED));
	kmk_ok("irq trigger 10");
	ck_ok(kill(pid, SIGCONT));
	ck_assert_int_gt(read_line(ends[0], line, sizeof(line)), 0);
	ck_assert_ptr_nonnull(strstr(line, " seq 8 "));
	ck_assert_ptr_nonnull(strstr(line, " missed 6\n"));
	ck_assert_int_eq(reap(pid), 0);
	close(ends[0]);
	close(ends[1]);
	close(err);
	close(null);
	unload("kmk_irq");
}
END_TEST

START_TEST(irq_watch_is_for_those_who_may)
{
	int err = scratch(), null = open("/dev/null", O_RDWR);
	char text[256];
	pid_t pid;

	load("kmk_irq", "irq=-1");
	pid = spawn();
	if (!pid) {
		drop_root();
		dup2(null, STDOUT_FILENO);
		dup2(err, STDERR_FILENO);
		execlp("kmk", "kmk", "irq", "watch", NULL);
		_exit(127);
	}
	ck_assert_int_eq(reap(pid), 1);
	fill(err, text, sizeof(text));
	ck_assert_str_eq(text, "kmk: /dev/irq_events: Permission denied\n");
	close(null);
	unload("kmk_irq");
}
END_TEST

/* --- syscall ------------------------------------------------------------------ */

START_TEST(syscall_results)
{
	load("kmk_syscall", "");
	ck_assert_str_eq(kmk_ok("syscall add 2 3"), "5\n");
	ck_assert_str_eq(kmk_ok("syscall add 0x10 010"), "24\n");
	ck_assert_str_eq(kmk_ok("syscall add 9223372036854775806 1"), "9223372036854775807\n");
	ck_assert_str_eq(kmk_ok("syscall mul 6 7"), "42\n");
	ck_assert_str_eq(kmk_ok("syscall id"), "0x12345678\n");
	ck_assert_str_eq(kmk_ok("syscall sleep 1"), "");
	ck_assert_str_eq(kmk_ok("syscall add 2 3 --json"), "{\"result\":5}\n");
	ck_assert_str_eq(kmk_ok("syscall id --json"), "{\"result\":305419896}\n");
	ck_assert_str_eq(kmk_ok("syscall sleep 1 --json"), "{\"result\":0}\n");
	unload("kmk_syscall");
}
END_TEST

static long long boot_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

START_TEST(syscall_uptime)
{
	long long before, uptime;

	load("kmk_syscall", "");
	before = boot_ms();
	uptime = strtoll(kmk_ok("syscall uptime"), NULL, 10);
	ck_assert_int_le(before, uptime);
	ck_assert_int_le(uptime, boot_ms());
	unload("kmk_syscall");
}
END_TEST

START_TEST(syscall_errors)
{
	load("kmk_syscall", "");
	kmk_fails("syscall add 9223372036854775807 1", 1,
		  "kmk: /dev/syscall_ext: Value too large for defined data type\n");
	kmk_fails("syscall mul 0x100000000 0x80000000", 1,
		  "kmk: /dev/syscall_ext: Value too large for defined data type\n");
	kmk_fails("syscall sleep 10001", 1, "kmk: /dev/syscall_ext: Invalid argument\n");
	unload("kmk_syscall");
}
END_TEST

/* SIGSTOP and SIGCONT interrupt the call; kmk still sleeps as long as asked. */
START_TEST(syscall_sleep_goes_on)
{
	int err = scratch(), null = open("/dev/null", O_RDWR);
	long long begin;
	pid_t pid;

	load("kmk_syscall", "");
	begin = boot_ms();
	pid = start("syscall sleep 1500", null, null, err);
	wait_asleep(pid);
	ck_ok(kill(pid, SIGSTOP));
	ck_ok(waitpid(pid, NULL, WUNTRACED));
	ck_ok(kill(pid, SIGCONT));
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_ge(boot_ms() - begin, 1500);
	close(null);
	close(err);
	unload("kmk_syscall");
}
END_TEST

#define BATCH_FILE "/tmp/batch"

static void batch_file(const char *text)
{
	int fd = ck_ok(open(BATCH_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));

	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

START_TEST(batch_results)
{
	const char *text;

	load("kmk_syscall", "");
	batch_file("# a comment\nadd 2 3\n\n  mul\t6 7   # and another\nid\nsleep 1\n");
	ck_assert_str_eq(kmk_ok("syscall batch " BATCH_FILE), "5\n42\n0x12345678\n0\n");
	text = kmk_ok("syscall batch " BATCH_FILE " --json");
	ck_json(text, "[0].line", "2");
	ck_json(text, "[0].result", "5");
	ck_json(text, "[0].error", "null");
	ck_json(text, "[3].line", "6");

	batch_file("uptime");			/* no newline at the end */
	ck_assert_int_le(strtoll(kmk_ok("syscall batch " BATCH_FILE), NULL, 10), boot_ms());
	batch_file("");
	ck_assert_str_eq(kmk_ok("syscall batch " BATCH_FILE), "");
	ck_assert_str_eq(kmk_ok("syscall batch -j " BATCH_FILE), "[]\n");
	unload("kmk_syscall");
}
END_TEST

START_TEST(batch_from_standard_input)
{
	int in, out = scratch(), err = scratch();
	char text[64];

	load("kmk_syscall", "");
	batch_file("add 40 2\n");
	in = ck_ok(open(BATCH_FILE, O_RDONLY | O_CLOEXEC));
	ck_assert_int_eq(reap(start("syscall batch -", in, out, err)), 0);
	fill(out, text, sizeof(text));
	ck_assert_str_eq(text, "42\n");
	close(in);
	close(err);
	unload("kmk_syscall");
}
END_TEST

/* The others are done; the failed one keeps its place. */
START_TEST(batch_with_errors)
{
	const struct outcome *done;

	load("kmk_syscall", "");
	batch_file("add 1 1\nadd 9223372036854775807 1\nsleep 10001\nadd 2 2\n");
	done = kmk("syscall batch " BATCH_FILE);
	ck_assert_int_eq(done->status, 1);
	ck_assert_str_eq(done->out, "2\n\n\n4\n");
	ck_assert_str_eq(done->err,
			 "kmk: " BATCH_FILE ":2: Value too large for defined data type\n"
			 "kmk: " BATCH_FILE ":3: Invalid argument\n");

	done = kmk("syscall batch --json " BATCH_FILE);
	ck_assert_int_eq(done->status, 1);
	ck_json(done->out, "[1].result", "null");
	ck_json(done->out, "[1].error", "Value too large for defined data type");
	ck_json(done->out, "[3].result", "4");
	unload("kmk_syscall");
}
END_TEST

static const char * const bad_lines[] = {
	"div 6 3", "add", "add 1", "add 1 2 3", "add 1 two", "add 1 -2", "id 0", "sleep",
};

START_TEST(batch_that_cannot_be_understood)
{
	char text[64];

	load("kmk_syscall", "");
	snprintf(text, sizeof(text), "add 1 1\n%s\n", bad_lines[_i]);
	batch_file(text);
	kmk_fails("syscall batch " BATCH_FILE, 2,
		  "kmk: " BATCH_FILE ":2: no operation that 'kmk help syscall' lists\n");
	unload("kmk_syscall");
}
END_TEST

START_TEST(batch_that_cannot_be_read)
{
	load("kmk_syscall", "");
	kmk_fails("syscall batch /tmp/none", 1, "kmk: /tmp/none: No such file or directory\n");
	kmk_fails("syscall batch /tmp", 1, "kmk: /tmp: Is a directory\n");
	unload("kmk_syscall");
}
END_TEST

/* More than one call of the kernel takes. */
START_TEST(batch_of_many)
{
	FILE *file = fopen(BATCH_FILE, "w");
	const char *text;
	int i;

	ck_assert_ptr_nonnull(file);
	for (i = 0; i < 5000; i++)
		fprintf(file, "add %d 1\n", i);
	fclose(file);
	load("kmk_syscall", "");
	text = kmk_ok("syscall batch " BATCH_FILE);
	for (i = 0; i < 5000; i++) {
		char *end;

		ck_assert_int_eq(strtol(text, &end, 10), i + 1);
		text = end + 1;
	}
	ck_assert_str_eq(text, "");
	unload("kmk_syscall");
}
END_TEST

START_TEST(batch_sleep_goes_on)
{
	int out = scratch(), err = scratch(), null = open("/dev/null", O_RDONLY);
	long long begin;
	char text[64];
	pid_t pid;

	load("kmk_syscall", "");
	batch_file("add 1 1\nsleep 1500\nadd 2 2\n");
	begin = boot_ms();
	pid = start("syscall batch " BATCH_FILE, null, out, err);
	wait_asleep(pid);
	ck_ok(kill(pid, SIGSTOP));
	ck_ok(waitpid(pid, NULL, WUNTRACED));
	ck_ok(kill(pid, SIGCONT));
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_ge(boot_ms() - begin, 1500);
	fill(out, text, sizeof(text));
	ck_assert_str_eq(text, "2\n0\n4\n");
	close(null);
	close(err);
	unload("kmk_syscall");
}
END_TEST

/* --- mempool ------------------------------------------------------------------ */

START_TEST(mempool_stat)
{
	const char *text;

	load("kmk_mempool", "max_bytes=1048576");
	text = kmk_ok("mempool stat --json");
	ck_json(text, "blocks", "0");
	ck_json(text, "max_bytes", "1048576");
	ck_json(text, "allocs", "0");
	text = kmk_ok("mempool stat");
	ck_assert_ptr_nonnull(strstr(text, "max_bytes        1048576\n"));
	unload("kmk_mempool");
}
END_TEST

START_TEST(mempool_exercise)
{
	const char *text;

	load("kmk_mempool", "");
	text = kmk_ok("mempool exercise");
	ck_assert_ptr_eq(strstr(text, "256 blocks of 4096 bytes used "), text);
	text = kmk_ok("mempool exercise -n 10 --size=100000 --json");
	ck_json(text, "blocks", "10");
	ck_json(text, "size", "100000");
	ck_assert(strtod(json_value(text, "seconds"), NULL) > 0);
	kmk_ok("mempool exercise -n 1 -s 1");

	/* It did what it says, and left nothing behind. */
	text = kmk_ok("mempool stat --json");
	ck_json(text, "allocs", "267");
	ck_json(text, "frees", "267");
	ck_json(text, "blocks", "0");
	ck_json(text, "bytes", "0");
	unload("kmk_mempool");
}
END_TEST

START_TEST(mempool_exercise_without_room)
{
	load("kmk_mempool", "max_bytes=65536");
	kmk_ok("mempool exercise -n 50 -s 20000");	/* three have room at once */
	ck_json(kmk_ok("mempool stat --json"), "allocs", "50");
	kmk_fails("mempool exercise -s 65537", 1,
		  "kmk: /dev/mempool: allocate 65537 bytes: Cannot allocate memory\n");
	ck_json(kmk_ok("mempool stat --json"), "bytes", "0");
	unload("kmk_mempool");
}
END_TEST

/* --- on a terminal ------------------------------------------------------------ */

static int open_terminal(int *ours)
{
	*ours = ck_ok(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
	ck_ok(grantpt(*ours));
	ck_ok(unlockpt(*ours));
	return ck_ok(open(ptsname(*ours), O_RDWR | O_NOCTTY | O_CLOEXEC));
}

/* All that it shows until nobody else has it open. */
static char *screen(int ours)
{
	static char text[262144];
	size_t n = 0;
	ssize_t got;

	while ((got = read(ours, text + n, sizeof(text) - 1 - n)) > 0)
		n += got;
	ck_assert(!got || errno == EIO);
	text[n] = '\0';
	close(ours);
	return text;
}

START_TEST(irq_watch_on_a_terminal)
{
	int ours, terminal, null = open("/dev/null", O_RDONLY);
	char *text, *last;
	pid_t pid;

	setenv("TERM", "vt100", 1);
	load("kmk_irq", "irq=-1");
	kmk_ok("irq trigger -d 9 20");
	terminal = open_terminal(&ours);
	pid = start("irq watch -n 20", null, terminal, terminal);
	close(terminal);
	text = screen(ours);
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_ptr_nonnull(strstr(text, "  count 20  "));
	ck_assert_ptr_nonnull(strstr(text, "\033[1A\033[J"));
	last = text;
	while ((text = strstr(text, "\033[J")))
		last = text++;
	ck_assert_ptr_nonnull(strstr(last, " seq 20 "));
	ck_assert_ptr_null(strstr(last, " seq 4 "));	/* only the latest are shown */
	unload("kmk_irq");
	close(null);
}
END_TEST

START_TEST(irq_watch_on_a_dumb_terminal)
{
	int ours, terminal, null = open("/dev/null", O_RDONLY);
	char *text;
	pid_t pid;

	setenv("TERM", "dumb", 1);
	load("kmk_irq", "irq=-1");
	kmk_ok("irq trigger 2");
	terminal = open_terminal(&ours);
	pid = start("irq watch -n 2", null, terminal, terminal);
	close(terminal);
	text = screen(ours);
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_ptr_null(strchr(text, '\033'));
	ck_assert_ptr_nonnull(strstr(text, " seq 2 "));
	unload("kmk_irq");
	close(null);
}
END_TEST

/*
 * A bar on standard error, that is gone at the end; none for what is quick. It
 * is stopped while at work, so that it takes long enough on every machine.
 */
START_TEST(mempool_exercise_on_a_terminal)
{
	int ours, terminal, null = open("/dev/null", O_RDWR);
	char *text;
	pid_t pid;

	setenv("TERM", "vt100", 1);
	load("kmk_mempool", "");
	terminal = open_terminal(&ours);
	pid = start("mempool exercise -n 300 -s 500000", null, null, terminal);
	close(terminal);
	wait_until(json_integer(kmk_ok("mempool stat --json"), "allocs"));
	ck_ok(kill(pid, SIGSTOP));
	sleep(1);
	ck_ok(kill(pid, SIGCONT));
	text = screen(ours);
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_ptr_eq(strstr(text, "\r["), text);
	ck_assert_ptr_nonnull(strstr(text, "% "));
	ck_assert_ptr_nonnull(strstr(text, " of 300"));
	ck_assert_str_eq(strrchr(text, '\r'), "\r\033[K");

	terminal = open_terminal(&ours);
	pid = start("mempool exercise -n 1", null, null, terminal);
	close(terminal);
	ck_assert_str_eq(screen(ours), "");
	ck_assert_int_eq(reap(pid), 0);
	close(null);
	unload("kmk_mempool");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kmk");
	TCase *front = tcase_create("front");
	TCase *status = tcase_create("status");
	TCase *echo = tcase_create("echo");
	TCase *irq = tcase_create("irq");
	TCase *syscall = tcase_create("syscall");
	TCase *mempool = tcase_create("mempool");

	tcase_add_test(front, help_lists_every_command);
	tcase_add_test(front, help_of_a_group);
	tcase_add_loop_test(front, help_of_a_command, 0, ALL_COMMANDS);
	tcase_add_test(front, version);
	tcase_add_loop_test(front, misuse, 0, sizeof(misuses) / sizeof(*misuses));
	tcase_add_loop_test(front, missing_module, 0, sizeof(needs) / sizeof(*needs));
	tcase_add_test(front, output_that_cannot_be_written);
	tcase_add_test(front, json_before_the_command);
	suite_add_tcase(suite, front);

	tcase_add_test(status, status_with_nothing_loaded);
	tcase_add_test(status, status_of_a_loaded_module);
	tcase_add_test(status, status_warns_of_another_version);
	suite_add_tcase(suite, status);

	tcase_add_test(echo, echo_stat);
	tcase_add_test(echo, echo_clear);
	suite_add_tcase(suite, echo);

	tcase_add_test(irq, irq_count);
	if (PC)
		tcase_add_test(irq, irq_trigger_on_a_real_line);
	else
		skip_test("irq_trigger_on_a_real_line", "line 1 of this machine cannot be shared");
	tcase_add_test(irq, irq_watch_lines);
	tcase_add_test(irq, irq_watch_json);
	if (has_debug_shirq())
		skip_test("irq_watch_shows_flags", "DEBUG_SHIRQ complains of any nested line");
	else
		tcase_add_test(irq, irq_watch_shows_flags);
	tcase_add_test(irq, irq_watch_shows_each_event_as_it_comes);
	tcase_add_test(irq, irq_watch_tells_what_it_missed);
	tcase_add_test(irq, irq_watch_is_for_those_who_may);
	tcase_add_test(irq, irq_watch_on_a_terminal);
	tcase_add_test(irq, irq_watch_on_a_dumb_terminal);
	suite_add_tcase(suite, irq);

	tcase_add_test(syscall, syscall_results);
	tcase_add_test(syscall, syscall_uptime);
	tcase_add_test(syscall, syscall_errors);
	tcase_add_test(syscall, syscall_sleep_goes_on);
	tcase_add_test(syscall, batch_results);
	tcase_add_test(syscall, batch_from_standard_input);
	tcase_add_test(syscall, batch_with_errors);
	tcase_add_loop_test(syscall, batch_that_cannot_be_understood, 0,
			    sizeof(bad_lines) / sizeof(*bad_lines));
	tcase_add_test(syscall, batch_that_cannot_be_read);
	tcase_add_test(syscall, batch_of_many);
	tcase_add_test(syscall, batch_sleep_goes_on);
	suite_add_tcase(suite, syscall);

	tcase_add_test(mempool, mempool_stat);
	tcase_add_test(mempool, mempool_exercise);
	tcase_add_test(mempool, mempool_exercise_without_room);
	tcase_add_test(mempool, mempool_exercise_on_a_terminal);
	suite_add_tcase(suite, mempool);
	return run_suite(suite);
}
