/* SPDX-License-Identifier: GPL-2.0 */
/* For older kernels: functions and types of newer ones that this module uses. */
#ifndef SKELETON_COMPAT_H
#define SKELETON_COMPAT_H

#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/version.h>

/* Linux 6.7 made shrinkers itself; its header has this flag. */
#ifndef SHRINKER_ALLOCATED
static inline struct shrinker *skeleton_shrinker_alloc(unsigned int flags, const char *name)
{
	struct shrinker *shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);

	if (shrinker) {
		shrinker->seeks = DEFAULT_SEEKS;
		shrinker->flags = flags;
	}
	return shrinker;
}

static inline int skeleton_register_shrinker(struct shrinker *shrinker, const char *name)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 0, 0)
	return register_shrinker(shrinker, "%s", name);
#else
	return register_shrinker(shrinker);
#endif
}

static inline void skeleton_shrinker_free(struct shrinker *shrinker)
{
	unregister_shrinker(shrinker);	/* does nothing where it is not registered */
	kfree(shrinker);
}

#define shrinker_alloc skeleton_shrinker_alloc
#define shrinker_free skeleton_shrinker_free
#else
/* Which cannot fail: what might was done by shrinker_alloc(). */
static inline int skeleton_register_shrinker(struct shrinker *shrinker, const char *name)
{
	shrinker_register(shrinker);
	return 0;
}
#endif

#endif
