// SPDX-License-Identifier: GPL-2.0
/* A class and its device: the node stays. */
#include <linux/cdev.h>
#include <linux/device.h>
#include "planted.h"

static struct class planted_class = { .name = "planted" };
static struct cdev cdev;
static dev_t number;

static ssize_t planted_read(struct file *file, char __user *to, size_t size, loff_t *offset)
{
	return simple_read_from_buffer(to, size, offset, "hello\n", 6);
}

static const struct file_operations planted_operations = {
	.owner = THIS_MODULE,
	.read = planted_read,
};

static int __init planted_init(void)
{
	struct device *device;
	int error;

	error = alloc_chrdev_region(&number, 0, 1, planted_device.name);
	if (error)
		return error;
	cdev_init(&cdev, &planted_operations);
	cdev.owner = THIS_MODULE;
	error = cdev_add(&cdev, number, 1);
	if (error)
		goto unregister_number;
	error = class_register(&planted_class);
	if (error)
		goto delete_cdev;
	device = device_create(&planted_class, NULL, number, NULL, "planted");
	if (!IS_ERR(device))
		return 0;
	error = PTR_ERR(device);
	class_unregister(&planted_class);
delete_cdev:
	cdev_del(&cdev);
unregister_number:
	unregister_chrdev_region(number, 1);
	return error;
}

static void __exit planted_exit(void)
{
#if !FAULT
	device_destroy(&planted_class, number);
	class_unregister(&planted_class);
#endif
	cdev_del(&cdev);
	unregister_chrdev_region(number, 1);
}

module_init(planted_init);
module_exit(planted_exit);
