/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MEMPOOL_INTERNAL_H
#define _MEMPOOL_INTERNAL_H

#include <linux/seq_file.h>

enum kmk_misuse {
	KMK_MISUSE_FREE,	/* the block is free already */
	KMK_MISUSE_FOREIGN,	/* no address of this pool */
	KMK_MISUSE_ALIGN,	/* inside the pool, but where no block begins */
	KMK_MISUSE_OVERRUN,	/* somebody wrote past an end of the block */
};

int mempool_misuse(const char *name, const void *block, enum kmk_misuse what,
		   unsigned long caller);
void mempool_leak(const char *name, unsigned long blocks, unsigned long caller);
void mempool_leaked_block(const char *name, const void *block, unsigned long origin);

int kmk_pool_show(struct seq_file *m, void *unused);
int kmk_mem_show(struct seq_file *m, void *unused);

#endif /* _MEMPOOL_INTERNAL_H */
