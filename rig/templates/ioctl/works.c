// SPDX-License-Identifier: GPL-2.0
/* Run in the virtual machine, with the module loaded; "not ok" or another exit status fails. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "../skeleton.h"

static int number;

static void says(int good, const char *what)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++number, what);
}

int main(void)
{
	struct skeleton_call call = { .operation = SKELETON_ADD, .a = 40, .b = 2 };
	struct {
		struct skeleton_call call;
		__u64 unknown;
	} newer = { .call = call };
	int fd = open("/dev/skeleton", O_RDWR);

	says(fd >= 0, "the device opens");
	says(!ioctl(fd, SKELETON_IOC_CALL, &call) && call.result == 42, "40 and 2 are 42");
	call = (struct skeleton_call){ .operation = SKELETON_MULTIPLY, .a = 1LL << 62, .b = 4 };
	says(ioctl(fd, SKELETON_IOC_CALL, &call) && errno == EOVERFLOW, "an overflow is told");
	call = (struct skeleton_call){ .flags = 1 };
	says(ioctl(fd, SKELETON_IOC_CALL, &call) && errno == EINVAL, "an unknown flag is refused");
	says(!ioctl(fd, _IOWR(SKELETON_IOC_MAGIC, 0, newer), &newer) && newer.call.result == 42,
	     "a newer program is served");
	newer.unknown = 1;
	says(ioctl(fd, _IOWR(SKELETON_IOC_MAGIC, 0, newer), &newer) && errno == E2BIG,
	     "what it wants and is not there is refused");
	return 0;
}
