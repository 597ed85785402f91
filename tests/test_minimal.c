// SPDX-License-Identifier: GPL-2.0
/* kmk_minimal: metadata, the parameter, the two log lines. */
#include "kmktest.h"

#define PARAM "/sys/module/kmk_minimal/parameters/my_param"

START_TEST(default_value)
{
	log_mark();
	ck_assert_int_eq(module_load("kmk_minimal", ""), 0);
	ck_assert_int_eq(slurp_number(PARAM), 42);
	ck_assert_int_eq(log_count("kmk_minimal: loaded, my_param=42"), 1);
	ck_assert_int_eq(module_unload("kmk_minimal"), 0);
	ck_assert_int_eq(log_count("kmk_minimal: unloaded, my_param=42"), 1);
}
END_TEST

static const struct {
	const char *given;
	int err;
	const char *shown;
} values[] = {
	{ "my_param=7", 0, "7\n" },
	{ "my_param=-2147483648", 0, "-2147483648\n" },
	{ "my_param=2147483647", 0, "2147483647\n" },
	{ "my_param=0x10", 0, "16\n" },
	{ "my_param=2147483648", -ERANGE, NULL },
	{ "my_param=seven", -EINVAL, NULL },
	{ "my_param=", -EINVAL, NULL },
	{ "my_param", -EINVAL, NULL },
};

START_TEST(given_value)
{
	ck_assert_int_eq(module_load("kmk_minimal", values[_i].given), values[_i].err);
	ck_assert(module_loaded("kmk_minimal") == !values[_i].err);
	if (!values[_i].err) {
		ck_assert_str_eq(slurp(PARAM), values[_i].shown);
		ck_assert_int_eq(module_unload("kmk_minimal"), 0);
	}
}
END_TEST

START_TEST(change_while_loaded)
{
	ck_assert_int_eq(module_load("kmk_minimal", ""), 0);
	ck_assert_int_eq(spew(PARAM, "99"), 0);
	ck_assert_int_eq(slurp_number(PARAM), 99);
	ck_assert_int_eq(spew(PARAM, "x"), -EINVAL);
	ck_assert_int_eq(slurp_number(PARAM), 99);
	log_mark();
	ck_assert_int_eq(module_unload("kmk_minimal"), 0);
	ck_assert_int_eq(log_count("kmk_minimal: unloaded, my_param=99"), 1);
}
END_TEST

START_TEST(only_root_changes)
{
	pid_t pid;

	ck_assert_int_eq(module_load("kmk_minimal", ""), 0);
	pid = spawn();
	if (!pid) {
		drop_root();
		_exit(spew(PARAM, "1") == -EACCES && slurp_number(PARAM) == 42 ? 0 : 1);
	}
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_eq(module_unload("kmk_minimal"), 0);
}
END_TEST

START_TEST(dynamic_debug)
{
	log_mark();
	ck_assert_int_eq(module_load("kmk_minimal", "dyndbg=+p"), 0);
	ck_assert_int_eq(log_count("kmk_minimal: dynamic debug is on"), 1);
	ck_assert_int_eq(module_unload("kmk_minimal"), 0);
}
END_TEST

START_TEST(loads_once_at_a_time)
{
	ck_assert_int_eq(module_load("kmk_minimal", ""), 0);
	ck_assert_int_eq(module_load("kmk_minimal", ""), -EEXIST);
	ck_assert_int_eq(module_unload("kmk_minimal"), 0);
	ck_assert_int_eq(module_unload("kmk_minimal"), -ENOENT);
	ck_assert_int_eq(module_load("kmk_minimal", ""), 0);
	ck_assert_int_eq(module_unload("kmk_minimal"), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("minimal");
	TCase *tc = tcase_create("kmk_minimal");

	tcase_add_test(tc, default_value);
	tcase_add_loop_test(tc, given_value, 0, sizeof(values) / sizeof(*values));
	tcase_add_test(tc, change_while_loaded);
	tcase_add_test(tc, only_root_changes);
	tcase_add_test(tc, dynamic_debug);
	tcase_add_test(tc, loads_once_at_a_time);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
