// SPDX-License-Identifier: GPL-2.0
/* An attribute shows more than a page. */
#include <linux/device.h>
#include "planted.h"

static ssize_t entries_show(struct device *device, struct device_attribute *attribute, char *to)
{
	ssize_t n = 0;

	for (int i = 0; i < 300; i++) {
#if FAULT
		n += sprintf(to + n, "entry number %d\n", i);
#else
		n += sysfs_emit_at(to, n, "entry number %d\n", i);
#endif
	}
	return n;
}
static DEVICE_ATTR_RO(entries);

static struct attribute *planted_attrs[] = { &dev_attr_entries.attr, NULL };
ATTRIBUTE_GROUPS(planted);

static const struct file_operations planted_operations = { .owner = THIS_MODULE };

static int __init planted_init(void)
{
	planted_device.groups = planted_groups;
	return misc_register(&planted_device);
}

static void __exit planted_exit(void)
{
	misc_deregister(&planted_device);
}

module_init(planted_init);
module_exit(planted_exit);
