// SPDX-License-Identifier: GPL-2.0
/*
 * skeleton: values that take long to compute, kept in a slab cache while there is memory.
 *
 * Data:     entries, found by number in a hash table, and listed in the order of their last use.
 * Locks:    skeleton_lock, for both and for the count. No memory is asked for while it is held:
 *           the shrinker takes it when some other caller wants memory.
 * Contexts: system calls, and the shrinker: whoever needs memory, in any call.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "compat.h"

#define RECORDS		1048576U
#define RECORD_BYTES	32

struct skeleton_entry {
	struct hlist_node by_number;
	struct list_head by_use;
	u32 number;
	u64 value;
};

static DEFINE_SPINLOCK(skeleton_lock);		/* all of these */
static DEFINE_HASHTABLE(entries, 10);
static LIST_HEAD(used);				/* the last one at the end */
static unsigned long kept;

static struct kmem_cache *skeleton_cache;
static struct shrinker *shrinker;

static u64 skeleton_compute(u32 number)
{
	u64 value = number;
	int i;

	/* TODO: what is worth keeping. */
	for (i = 0; i < 10000; i++)
		value = value * 6364136223846793005ULL + 1442695040888963407ULL;
	return value;
}

/* skeleton_lock is held. */
static struct skeleton_entry *skeleton_find(u32 number)
{
	struct skeleton_entry *entry;

	hash_for_each_possible(entries, entry, by_number, number)
		if (entry->number == number)
			return entry;
	return NULL;
}

static u64 skeleton_value(u32 number)
{
	struct skeleton_entry *entry, *new;
	u64 value;

	spin_lock(&skeleton_lock);
	entry = skeleton_find(number);
	if (entry) {
		value = entry->value;
		list_move_tail(&entry->by_use, &used);
	}
	spin_unlock(&skeleton_lock);
	if (entry)
		return value;
	value = skeleton_compute(number);
	new = kmem_cache_alloc(skeleton_cache, GFP_KERNEL | __GFP_NOWARN);
	if (!new)
		return value;		/* it only costs more the next time */
	new->number = number;
	new->value = value;
	spin_lock(&skeleton_lock);
	if (skeleton_find(number)) {	/* another was faster */
		kmem_cache_free(skeleton_cache, new);
	} else {
		hash_add(entries, &new->by_number, number);
		list_add_tail(&new->by_use, &used);
		WRITE_ONCE(kept, kept + 1);
	}
	spin_unlock(&skeleton_lock);
	return value;
}

/* Gives back those that were not used for the longest time, at most @most. */
static unsigned long skeleton_drop(unsigned long most)
{
	struct skeleton_entry *entry;
	unsigned long dropped = 0;

	spin_lock(&skeleton_lock);
	while (dropped < most && !list_empty(&used)) {
		entry = list_first_entry(&used, struct skeleton_entry, by_use);
		hash_del(&entry->by_number);
		list_del(&entry->by_use);
		kmem_cache_free(skeleton_cache, entry);
		dropped++;
	}
	WRITE_ONCE(kept, kept - dropped);
	spin_unlock(&skeleton_lock);
	return dropped;
}

static unsigned long skeleton_count(struct shrinker *shrinker, struct shrink_control *control)
{
	return READ_ONCE(kept) ?: SHRINK_EMPTY;
}

static unsigned long skeleton_scan(struct shrinker *shrinker, struct shrink_control *control)
{
	return skeleton_drop(control->nr_to_scan) ?: SHRINK_STOP;
}

static ssize_t skeleton_read(struct file *file, char __user *to, size_t size, loff_t *pos)
{
	u64 number = (u64)*pos / RECORD_BYTES;
	loff_t within = *pos % RECORD_BYTES;
	char text[RECORD_BYTES + 1];
	ssize_t ret;

	if (number >= RECORDS)
		return 0;
	snprintf(text, sizeof(text), "%-14llu %016llx\n", number, skeleton_value(number));
	ret = simple_read_from_buffer(to, size, &within, text, RECORD_BYTES);
	if (ret > 0)
		*pos += ret;
	return ret;
}

/* With an owner, an open file holds the module. */
static const struct file_operations skeleton_fops = {
	.owner = THIS_MODULE,
	.read = skeleton_read,
	.llseek = default_llseek,
};

static ssize_t kept_show(struct device *device, struct device_attribute *attribute, char *text)
{
	return sysfs_emit(text, "%lu\n", READ_ONCE(kept));
}
static DEVICE_ATTR_RO(kept);
static struct attribute *skeleton_attrs[] = { &dev_attr_kept.attr, NULL };
ATTRIBUTE_GROUPS(skeleton);

static struct miscdevice skeleton_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "skeleton",
	.fops = &skeleton_fops,
	.groups = skeleton_groups,
	.mode = 0400,	/* TODO: who may use it */
};

/* A step that fails undoes the steps before it, in the opposite order. */
static int __init skeleton_init(void)
{
	int err = -ENOMEM;

	skeleton_cache = KMEM_CACHE(skeleton_entry, SLAB_RECLAIM_ACCOUNT);
	if (!skeleton_cache)
		return err;
	shrinker = shrinker_alloc(0, "skeleton");
	if (!shrinker)
		goto destroy_cache;
	shrinker->count_objects = skeleton_count;
	shrinker->scan_objects = skeleton_scan;
	/* The device last: from then on it may be opened. */
	err = skeleton_register_shrinker(shrinker, "skeleton") ?: misc_register(&skeleton_device);
	if (!err)
		return 0;
	shrinker_free(shrinker);
destroy_cache:
	kmem_cache_destroy(skeleton_cache);
	return err;
}
module_init(skeleton_init);

static void __exit skeleton_exit(void)
{
	misc_deregister(&skeleton_device);
	shrinker_free(shrinker);		/* waits for a scan that runs */
	while (skeleton_drop(1000))
		cond_resched();
	kmem_cache_destroy(skeleton_cache);	/* warns of an entry that is left */
}
module_exit(skeleton_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("{{author}} <{{email}}>");
MODULE_DESCRIPTION("{{summary}}");
MODULE_VERSION("0.1.0");
