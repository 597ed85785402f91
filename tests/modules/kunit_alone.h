/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The KUnit tests of a module's insides have its data to themselves: its own init and
 * exit are not run. KUnit runs the tests before that init on Linux 6.1, and after it on 7.3.
 * To be included first.
 */
#include <linux/module.h>

#undef pr_fmt	/* that is for the module to define */
#undef module_init
#undef module_exit
#define module_init(fn)	static initcall_t not_run_##fn __maybe_unused = fn
#define module_exit(fn)	static exitcall_t not_run_##fn __maybe_unused = fn
