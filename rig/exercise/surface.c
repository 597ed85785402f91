// SPDX-License-Identifier: GPL-2.0
/*
 * Print what a user can see of a running kernel, a line each: the kind of thing,
 * a tab, its name. What a module brings, and what it leaves behind, is the
 * difference between two such lists; the lines are in no order.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define __aligned(n)	__attribute__((aligned(n)))

static void show(const char *kind, const char *name)
{
	printf("%s\t%s\n", kind, name);
}

static bool below(const char *path, const char *dir)
{
	size_t length = strlen(dir);

	return !strncmp(path, dir, length) && (path[length] == '/' || !path[length]);
}

/* Directories with a kind of their own, and those that change by themselves. */
static const char *const left_out[] = {
	"/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/fd",
	"/proc/sys", "/proc/self", "/proc/thread-self", "/proc/irq",
	"/sys/fs/cgroup", "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/slab",
	"/sys/module", "/sys/kernel/debug/tracing", "/sys/kernel/debug/slab",
	"/sys/kernel/notes", "/sys/kernel/debug/pinctrl-handles",
	"/sys/kernel/debug/gcov",	/* the kernel's, of modules that count */
};

static const char *root, *files;

static int visit(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)where;
	for (size_t i = 0; i < sizeof(left_out) / sizeof(*left_out); i++)
		if (strcmp(left_out[i], root) && below(path, left_out[i]))
			return FTW_SKIP_SUBTREE;
	/* A process has a number for a name. */
	if (!strcmp(root, "/proc") && isdigit(path[strlen("/proc/")]))
		return FTW_SKIP_SUBTREE;
	if (type == FTW_NS || type == FTW_DNR)
		return FTW_CONTINUE;
	switch (status->st_mode & S_IFMT) {
	case S_IFCHR:
		show("dev", path);
		break;
	case S_IFBLK:
		show("blockdev", path);
		break;
	case S_IFREG:
		show(files, path);
		break;
	case S_IFDIR:
		/* An empty directory would show in no other way. */
		printf("%s-dir\t%s\n", files, path);
		break;
	}
	return FTW_CONTINUE;
}

static void walk(const char *dir, const char *kind)
{
	root = dir;
	files = kind;
	nftw(dir, visit, 32, FTW_PHYS | FTW_ACTIONRETVAL);
}

/* The names in a directory; with @inner, those in each one's directory of that name. */
static void list(const char *dir, const char *kind, const char *inner)
{
	DIR *names = opendir(dir);
	struct dirent *entry;
	char path[PATH_MAX];

	while (names && (entry = readdir(names))) {
		if (*entry->d_name == '.')
			continue;
		/* of a cache that was merged with another; the kernel leaves it there */
		if (!strcmp(kind, "slab") && entry->d_type == DT_LNK)
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", dir, entry->d_name, inner ? inner : "");
		if (inner)
			list(path, kind, NULL);
		else if (!strcmp(kind, "driver") || !strcmp(kind, "param"))
			printf("%s\t%s/%s\n", kind, dir, entry->d_name);
		else
			show(kind, entry->d_name);
	}
	if (names)
		closedir(names);
}

/* The @column'th word of each line of a file; 0 is the last, -1 the whole line. */
static void column(const char *path, const char *kind, int column)
{
	char line[4096], *word, *found, *rest;
	FILE *file = fopen(path, "r");

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		found = NULL;
		if (column < 0) {
			found = line;
		} else {
			word = strtok_r(line, " \t", &rest);
			for (int i = 1; word; i++, word = strtok_r(NULL, " \t", &rest))
				if (i == column || !column)
					found = word;
		}
		if (found && *found)
			show(kind, found);
	}
	if (file)
		fclose(file);
}

/* Lines like "driver       : cbc-aes". */
static void show_crypto(void)
{
	FILE *file = fopen("/proc/crypto", "r");
	char line[512], name[256], driver[256], type[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "name : %255[^\n]", name) == 1 ||
		    sscanf(line, "driver : %255s", driver) == 1)
			continue;
		if (sscanf(line, "type : %255s", type) == 1)
			printf("crypto\t%s %s %s\n", type, name, driver);
	}
	if (file)
		fclose(file);
}

/* The major numbers, in two parts of a file. */
static void show_majors(void)
{
	FILE *file = fopen("/proc/devices", "r");
	const char *kind = "major";
	char line[256], name[128];
	int number;

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "Block", strlen("Block")))
			kind = "blockmajor";
		if (sscanf(line, "%d %127[^\n]", &number, name) == 2)
			printf("%s\t%d %s\n", kind, number, name);
	}
	if (file)
		fclose(file);
}

/* The handlers of each line: the words behind the names of its controller and its flow. */
static void show_interrupts(void)
{
	FILE *file = fopen("/proc/interrupts", "r");
	char line[4096], *names, *number;

	while (file && fgets(line, sizeof(line), file)) {
		number = line + strspn(line, " ");
		if (!isdigit(*number))
			continue;
		line[strcspn(line, "\n")] = '\0';
		names = strrchr(line, ' ');
		while (names > line && names[-1] == ',') {
			names[-1] = '-';
			while (names > line && *--names != ' ')
				;
		}
		number[strcspn(number, ":")] = '\0';
		printf("interrupt\t%s %s\n", number, names ? names + 1 : "");
	}
	if (file)
		fclose(file);
}

/* Workers come and go; what is not of the kernel has a command line. */
static void show_threads(void)
{
	DIR *processes = opendir("/proc");
	struct dirent *entry;
	char path[300], text[64], target;
	ssize_t n;
	int fd;

	while (processes && (entry = readdir(processes))) {
		if (!isdigit(*entry->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
		fd = open(path, O_RDONLY);
		n = read(fd, text, sizeof(text));
		close(fd);
		if (n)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		fd = open(path, O_RDONLY);
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		if (n <= 0)
			continue;
		text[n - 1] = '\0';
		/* A process that has just ended has no command line, either. */
		snprintf(path, sizeof(path), "/proc/%s/exe", entry->d_name);
		if (readlink(path, &target, 1) >= 0 || !strncmp(text, "kworker", 7))
			continue;
		show("thread", text);
	}
	if (processes)
		closedir(processes);
}

static void show_netlink_families(void)
{
	struct {
		struct nlmsghdr header;
		struct genlmsghdr generic;
	} request = {
		.header.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN),
		.header.nlmsg_type = GENL_ID_CTRL,
		.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		.generic.cmd = CTRL_CMD_GETFAMILY,
		.generic.version = 1,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	char answer[32768] __aligned(8);
	struct nlmsghdr *message;
	struct nlattr *attribute;
	ssize_t n;
	int left;

	if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0)
		return;
	while ((n = recv(fd, answer, sizeof(answer), 0)) > 0) {
		left = n;
		for (message = (void *)answer; NLMSG_OK(message, left);
		     message = NLMSG_NEXT(message, left)) {
			if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
				goto out;
			attribute = (void *)((char *)NLMSG_DATA(message) + GENL_HDRLEN);
			while ((char *)attribute < (char *)message + message->nlmsg_len) {
				if (attribute->nla_type == CTRL_ATTR_FAMILY_NAME)
					show("genl", (char *)attribute + NLA_HDRLEN);
				attribute = (void *)((char *)attribute +
						     NLA_ALIGN(attribute->nla_len));
			}
		}
	}
out:
	close(fd);
}

int main(void)
{
	list("/sys/module", "module", NULL);
	walk("/dev", "devfile");
	walk("/proc", "proc");
	walk("/proc/net/", "proc");	/* a link to those of this process */
	walk("/proc/sys", "sysctl");
	walk("/sys", "sysfs");
	walk("/sys/kernel/debug", "debugfs");
	list("/sys/class", "class", NULL);
	list("/sys/bus", "bus", NULL);
	list("/sys/bus", "driver", "drivers");
	list("/sys/module", "param", "parameters");
	list("/sys/block", "block", NULL);
	list("/sys/class/net", "netdev", NULL);
	list("/sys/kernel/slab", "slab", NULL);
	column("/sys/kernel/tracing/available_events", "event", 1);
	column("/proc/filesystems", "filesystem", 0);
	column("/proc/slabinfo", "slab", 1);
	column("/proc/net/ip_tables_matches", "xt-match", 1);
	column("/proc/net/ip_tables_targets", "xt-target", 1);
	column("/proc/net/ip6_tables_matches", "xt-match6", 1);
	column("/proc/net/ip6_tables_targets", "xt-target6", 1);
	column("/proc/net/protocols", "protocol", 1);
	column("/proc/net/ptype", "packet", 0);
	column("/proc/tty/ldiscs", "ldisc", 1);
	column("/proc/tty/drivers", "ttydriver", 1);
	show_crypto();
	show_majors();
	show_interrupts();
	show_threads();
	show_netlink_families();
	return ferror(stdout) || fflush(stdout);
}
