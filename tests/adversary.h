/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Child processes that do to the pages of files, while a test runs, everything that the
 * kernel may do at any moment.
 *
 * The children act on the files in one directory, and on the process that started
 * them where it maps such files. None of them reads a page or faults one in, so
 * holes stay holes. KMK_ADVERSARY=n masks the kinds; 0 turns all of them off.
 */
#ifndef TESTS_ADVERSARY_H
#define TESTS_ADVERSARY_H

#include <stdbool.h>
#include <stddef.h>

enum {
	ADVERSARY_SPLIT		= 1,	/* large folios */
	ADVERSARY_COMPACT	= 2,	/* by sysctl, and by an unprivileged user of huge pages */
	ADVERSARY_MIGRATE	= 4,	/* between NUMA nodes, see numa=fake= in rig/run-one */
	ADVERSARY_OFFLINE	= 8,	/* pages softly, a few of them */
	ADVERSARY_RECLAIM	= 16,	/* drop_caches, POSIX_FADV_DONTNEED, MADV_PAGEOUT */
	ADVERSARY_COLLAPSE	= 32,	/* khugepaged, MADV_COLLAPSE */
	ADVERSARY_HOTPLUG	= 64,	/* the last processor */
	ADVERSARY_PIN		= 128,	/* see adversary_pin() */
	ADVERSARY_ALL		= 255,
};

/*
 * Begin what this kernel has of @kinds, before any file there is open or mapped: children
 * inherit both. Says once what the kernel lacks, and why.
 */
void adversary_start(unsigned int kinds, const char *directory);
/* Act on the calling process from now on, which may be a child of the one that started it. */
void adversary_aim(void);
/* Whether any kind of it acts. */
bool adversary_acts(void);
/* Pin pages of the caller for some milliseconds, or until the next call or one of those below. */
void adversary_pin(void *page, size_t size);
/* End long-term pins: what is left ends after some milliseconds. */
void adversary_unpin(void);
/* End it. Nothing of it refers to a page any longer. */
void adversary_stop(void);
/* Fail unless /proc/vmstat shows what the kinds that acted did since the first start. */
void ck_adversary_acted(void);

#endif /* TESTS_ADVERSARY_H */
