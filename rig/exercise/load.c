// SPDX-License-Identifier: GPL-2.0
/* Load a module again and again, with another allocation of its init failing each time. */
#define _GNU_SOURCE
#include "exercise.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The name that /proc/modules has for a file. */
static void module_name(const char *file, char *name, size_t size)
{
	const char *base = strrchr(file, '/');

	snprintf(name, size, "%s", base ? base + 1 : file);
	name[strcspn(name, ".")] = '\0';
	for (; *name; name++)
		if (*name == '-')
			*name = '_';
}

int load_failing(const char *file, const char *parameters)
{
	unsigned int nth, failures = 0, loads = 0;
	char name[128];
	bool failed;
	long result;
	int fd;

	module_name(file, name, sizeof(name));
	for (nth = 1; nth < 400 && time_is_left(); nth++) {
		fd = open(file, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || !failing_begins(nth))
			return 4;
		result = syscall(SYS_finit_module, fd, parameters, 0);
		failed = failing_ends();
		close(fd);
		if (result) {
			failures++;
		} else {
			loads++;
			if (syscall(SYS_delete_module, name, O_NONBLOCK)) {
				report("stuck", "%s stays after its allocation %u failed: %s",
				       name, nth, strerror(errno));
				return 3;
			}
		}
		if (!failed)
			break;
	}
	printf("@failed-loads\t%u\t%u\n", failures, loads);
	return 0;
}
