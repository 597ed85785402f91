// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_ramfs: the limits on pages and inodes, and inode numbers. See cramfs.h.
 *
 * A charge and an uncharge use the credit of the CPU that they run on, so CPUs
 * write to no common cache line. If the credit does not suffice, the pool serves
 * the call, and refills the credit to one batch.
 *
 * A charge fails only after all credits were closed and given back to the pool.
 * Only the holder of the lock opens and closes credits, and moves units between
 * them and the pool. Credits that open leave more in the pool than they can hold;
 * so a small limit has none.
 */
#include <linux/kernel.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>

#include "cramfs.h"

/* Set all credits to 0, open, or to CRAMFS_CLOSED; what was in them goes to the pool. */
static void cramfs_set_credits(struct cramfs_limit *limit, s64 value)
	__must_hold(&limit->lock)
{
	s64 credit;
	int cpu;

	for_each_possible_cpu(cpu) {
		credit = atomic64_xchg(per_cpu_ptr(limit->credit, cpu), value);
		if (credit != CRAMFS_CLOSED)
			limit->pool += credit;
	}
	limit->open = value != CRAMFS_CLOSED;
}

/* Make the credit of this CPU one batch again, whether it had less or more. */
static void cramfs_level_credit(struct cramfs_limit *limit)
	__must_hold(&limit->lock)
{
	if (limit->open && limit->pool >= CRAMFS_BATCH)
		limit->pool += atomic64_xchg(raw_cpu_ptr(limit->credit), CRAMFS_BATCH) -
			       CRAMFS_BATCH;
}

bool cramfs_charge_pool(struct cramfs_limit *limit, s64 n)
{
	bool enough;

	spin_lock(&limit->lock);
	if (limit->open && limit->pool < n)
		cramfs_set_credits(limit, CRAMFS_CLOSED);
	else if (!limit->open && limit->pool - n > limit->plenty)
		cramfs_set_credits(limit, 0);
	enough = limit->pool >= n;
	if (enough) {
		limit->pool -= n;
		limit->high = max(limit->high, limit->max - limit->pool);
		cramfs_level_credit(limit);
	}
	spin_unlock(&limit->lock);
	return enough;
}

void cramfs_uncharge_pool(struct cramfs_limit *limit, s64 n)
{
	spin_lock(&limit->lock);
	limit->pool += n;
	cramfs_level_credit(limit);
	spin_unlock(&limit->lock);
}

/* Within 0 and the maximum, and exact when nobody charges or uncharges meanwhile. */
s64 cramfs_used(struct cramfs_limit *limit)
{
	s64 used;
	int cpu;

	spin_lock(&limit->lock);
	used = limit->max - limit->pool;
	if (limit->open)
		for_each_possible_cpu(cpu)
			used -= atomic64_read(per_cpu_ptr(limit->credit, cpu));
	spin_unlock(&limit->lock);
	/* credits are read one by one: a unit that moves meanwhile may count as free twice */
	return max(used, 0LL);
}

/* @limit is zeroed. */
void cramfs_init_limit(struct cramfs_limit *limit, s64 max, atomic64_t __percpu *credit)
{
	int cpu;

	spin_lock_init(&limit->lock);
	limit->max = max;
	limit->pool = max;
	limit->plenty = 4LL * CRAMFS_BATCH * num_possible_cpus();
	limit->credit = credit;
	for_each_possible_cpu(cpu)
		atomic64_set(per_cpu_ptr(credit, cpu), CRAMFS_CLOSED);
}

/* Whether no more than @max is in use. */
static bool cramfs_allows(struct cramfs_limit *limit, s64 max)
	__must_hold(&limit->lock)
{
	if (limit->open && max < limit->max)
		cramfs_set_credits(limit, CRAMFS_CLOSED);
	return limit->pool >= limit->max - max;
}

static void cramfs_set_limit(struct cramfs_limit *limit, s64 max)
	__must_hold(&limit->lock)
{
	limit->pool += max - limit->max;
	WRITE_ONCE(limit->max, max);
}

/*
 * Change both limits, or, when more than that is in use of one of them, neither, and
 * return that one. The caller holds s_umount.
 */
struct cramfs_limit *cramfs_change_limits(struct cramfs_sb *csb, s64 pages, s64 inodes)
{
	struct cramfs_limit *refused = NULL;

	spin_lock(&csb->pages.lock);
	spin_lock_nested(&csb->inodes.lock, SINGLE_DEPTH_NESTING);
	if (!cramfs_allows(&csb->pages, pages)) {
		refused = &csb->pages;
	} else if (!cramfs_allows(&csb->inodes, inodes)) {
		refused = &csb->inodes;
	} else {
		cramfs_set_limit(&csb->pages, pages);
		cramfs_set_limit(&csb->inodes, inodes);
	}
	spin_unlock(&csb->inodes.lock);
	spin_unlock(&csb->pages.lock);
	return refused;
}

/*
 * A number that no inode of the mount had before, from this CPU's batch; its lower 32 bits,
 * which the option inode32 and some kernels show, are never 0.
 */
u64 cramfs_next_ino(struct cramfs_sb *csb)
{
	u64 *next = &get_cpu_ptr(csb->cpus)->next_ino, ino;

	if (!(*next % CRAMFS_BATCH)) {
		*next = atomic64_fetch_add(CRAMFS_BATCH, &csb->next_ino);
		if (!lower_32_bits(*next))
			++*next;
	}
	ino = (*next)++;
	put_cpu_ptr(csb->cpus);
	return ino;
}
