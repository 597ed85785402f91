// SPDX-License-Identifier: GPL-2.0
/*
 * The KUnit tests of the modules' insides, tests/modules/kunit_*.c, on kernels that
 * have KUnit: loading such a module runs them, and debugfs has their results.
 */
#include "kmktest.h"

#define RESULTS "/sys/kernel/debug/kunit"

static const struct {
	const char *module;
	const char *suites[3];
} modules[] = {
	{ "kunit_echo", { "kmk_echo" } },
	{ "kunit_irq", { "kmk_irq" } },
	{ "kunit_mempool", {
		"kmk_mempool_device", "kmk_mempool_manager", "kmk_mempool_pool" } },
	{ "kunit_proc", { "kmk_proc" } },
	{ "kunit_ramfs", { "kmk_ramfs" } },
};

/* How many lines of the text begin, behind spaces, with @start. */
static int lines_with(const char *text, const char *start)
{
	int count = 0;

	for (; text; text = strchr(text, '\n')) {
		text += *text == '\n';
		text += strspn(text, " ");
		count += !strncmp(text, start, strlen(start));
	}
	return count;
}

/* Every case of the suite, and the suite itself, is ok. */
static void assert_passed(const char *suite)
{
	char path[128], *results;

	snprintf(path, sizeof(path), RESULTS "/%s/results", suite);
	results = slurp(path);
	ck_assert_msg(lines_with(results, "not ok ") == 0 && lines_with(results, "ok ") > 1,
		      "%s:\n%s", suite, results);
	free(results);
}

START_TEST(insides)
{
	int loaded = module_load(modules[_i].module, "");

	for (int i = 0; i < 3 && modules[_i].suites[i]; i++)
		assert_passed(modules[_i].suites[i]);
	ck_assert_int_eq(loaded, 0);
	ck_assert_int_eq(module_unload(modules[_i].module), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kunit");
	TCase *tc = tcase_create("insides");
	int count = sizeof(modules) / sizeof(*modules);

	suite_add_tcase(suite, tc);
	if (exists(RESULTS))
		tcase_add_loop_test(tc, insides, 0, count);
	else
		for (int i = 0; i < count; i++)
			skip_test(modules[i].module, "this kernel was built without KUnit");
	return run_suite(suite);
}
