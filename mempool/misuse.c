// SPDX-License-Identifier: GPL-2.0
/*
 * Reports of misuse and of leaks: a tracepoint for each misuse, and in the log at most ten
 * lines of each kind in five seconds, as a caller that goes wrong goes wrong often.
 *
 * Context: any but NMI; __ratelimit() only tries its lock.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>

#include <kmk/compat.h>

#include "internal.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static DEFINE_RATELIMIT_STATE(misuse_limit, 5 * HZ, 10);
static DEFINE_RATELIMIT_STATE(leak_limit, 5 * HZ, 10);
static DEFINE_RATELIMIT_STATE(leaked_block_limit, 5 * HZ, 10);

static const struct {
	const char *text;
	int err;
} misuses[] = {
	[KMK_MISUSE_FREE] = { "already free", -ENOENT },
	[KMK_MISUSE_FOREIGN] = { "not of this pool", -EINVAL },
	[KMK_MISUSE_ALIGN] = { "misaligned", -EINVAL },
	[KMK_MISUSE_OVERRUN] = { "overrun", -EOVERFLOW },
};

/* Report a misuse; returns the error for the caller. */
int mempool_misuse(const char *name, const void *block, enum kmk_misuse what,
		   unsigned long caller)
{
	trace_kmk_mempool_misuse(name, block, what, caller);
	if (__ratelimit(&misuse_limit))
		pr_warn("%s: free of %p by %pS: %s\n", name, block, (void *)caller,
			misuses[what].text);
	return misuses[what].err;
}

void mempool_leak(const char *name, unsigned long blocks, unsigned long caller)
{
	if (__ratelimit(&leak_limit))
		pr_warn("%s: destroyed by %pS while %lu blocks were allocated\n", name,
			(void *)caller, blocks);
}

void mempool_leaked_block(const char *name, const void *block, unsigned long origin)
{
	if (__ratelimit(&leaked_block_limit))
		pr_warn("%s: %p was allocated by %pS\n", name, block, (void *)origin);
}
