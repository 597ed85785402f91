// SPDX-License-Identifier: GPL-2.0
/* Common to all seven modules: loading, unloading, and leaving nothing. */
#include "kmktest.h"

#include <dirent.h>
#include <sys/stat.h>

static const char * const modules[] = {
	"kmk_minimal", "kmk_echo", "kmk_proc", "kmk_syscall", "kmk_mempool", "kmk_ramfs", "kmk_irq",
};

/* Those that can be loaded here: the last one wants a line that no driver has. */
static size_t nr_modules = sizeof(modules) / sizeof(*modules);

/* Where a module may leave something: directories by their names, files whole. */
static const char * const places[] = {
	"/dev", "/proc", "/proc/irq", "/sys/class/misc", "/sys/kernel/debug", "/sys/kernel/slab",
	"/sys/fs", "/sys/module", "/sys/kernel/tracing/events",
	"/proc/filesystems", "/proc/misc", "/proc/modules",
};

static void append(char **text, const char *more)
{
	size_t size = *text ? strlen(*text) : 0;

	*text = realloc(*text, size + strlen(more) + 2);
	ck_assert_ptr_nonnull(*text);
	strcpy(*text + size, more);
	strcat(*text, "\n");
}

static char *traces(void)
{
	char *all = NULL, path[512];
	struct dirent **names;
	struct stat st;
	int i, k, n;

	for (i = 0; i < (int)(sizeof(places) / sizeof(*places)); i++) {
		append(&all, places[i]);
		if (stat(places[i], &st))
			continue;
		if (!S_ISDIR(st.st_mode)) {
			append(&all, slurp(places[i]));
			continue;
		}
		n = ck_ok(scandir(places[i], &names, NULL, alphasort));
		for (k = 0; k < n; k++) {
			/* processes come and go */
			snprintf(path, sizeof(path), "%s", names[k]->d_name);
			if (path[strspn(path, "0123456789")])
				append(&all, path);
		}
	}
	return all;
}

/* The names of the interrupt lines' users, without their counts. */
static bool has_irq_action(void)
{
	return file_has("/proc/interrupts", "kmk_irq");
}

START_TEST(a_hundred_cycles)
{
	const char *name = modules[_i];
	char *before, *after, prefix[64];
	int i;

	before = traces();
	log_mark();
	for (i = 0; i < 100; i++) {
		ck_assert_int_eq(module_load(name, ""), 0);
		ck_assert(module_loaded(name));
		ck_assert_int_eq(module_unload(name), 0);
		ck_assert(!module_loaded(name));
	}
	after = traces();
	ck_assert_str_eq(before, after);
	ck_assert(!has_irq_action());
	/* one line on load and one on unload; what else names the module is none of its own */
	snprintf(prefix, sizeof(prefix), "%s: ", name);
	ck_assert_int_eq(log_count(prefix), 200);
}
END_TEST

START_TEST(all_together)
{
	char *before = traces();
	size_t i, round;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < nr_modules; i++)
			ck_assert_int_eq(module_load(modules[i], ""), 0);
		for (i = 0; i < nr_modules; i++)
			ck_assert_int_eq(module_load(modules[i], ""), -EEXIST);
		/* none depends on another: any order of unloading will do */
		for (i = 0; i < nr_modules; i++)
			ck_assert_int_eq(module_unload(modules[round ? nr_modules - 1 - i : i]), 0);
	}
	ck_assert_str_eq(traces(), before);
}
END_TEST

START_TEST(unknown_parameter_is_told)
{
	/* the kernel ignores it, but says so: the module loads all the same */
	log_mark();
	ck_assert_int_eq(module_load(modules[_i], "no_such_parameter=1"), 0);
	ck_assert_int_eq(log_count("unknown parameter 'no_such_parameter' ignored"), 1);
	ck_assert_int_eq(module_unload(modules[_i]), 0);
}
END_TEST

/* The first load of all taints the kernel, which it logs with the module's name. */
static void taint(void)
{
	ck_assert_int_eq(module_load("kmk_minimal", ""), 0);
	ck_assert_int_eq(module_unload("kmk_minimal"), 0);
}

int main(void)
{
	Suite *suite = suite_create("modules");
	TCase *tc = tcase_create("life");

	if (file_has("/proc/cpuinfo", "User Mode Linux")) {
		nr_modules--;
		skip_test("kmk_irq", "user-mode Linux has no interrupt line to give away");
	}
	tcase_add_unchecked_fixture(tc, taint, NULL);
	tcase_add_loop_test(tc, a_hundred_cycles, 0, nr_modules);
	tcase_add_test(tc, all_together);
	tcase_add_loop_test(tc, unknown_parameter_is_told, 0, nr_modules);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
