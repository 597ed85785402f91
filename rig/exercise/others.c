// SPDX-License-Identifier: GPL-2.0
/* Exercise what is no file: file systems, network devices, netlink families, ciphers. */
#define _GNU_SOURCE
#include "exercise.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/if_alg.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static unsigned char buffer[BUFFER_SIZE];

/* --- file systems --- */

static char where[64];

static void name_at(char *name, size_t size)
{
	snprintf(name, size, "%s/%c%s", where, 'a' + below(6), below(4) ? "" : "/x");
}

static void any_file_call(void)
{
	char one[96], other[96], text[64];
	struct stat status;
	struct statfs statfs_buffer;
	int fd;

	name_at(one, sizeof(one));
	name_at(other, sizeof(other));
	switch (below(18)) {
	case 0:
		CALL(mkdir(one, 0755));
		break;
	case 1:
		CALL(rmdir(one));
		break;
	case 2:
		CALL(unlink(one));
		break;
	case 3:
		CALL(rename(one, other));
		break;
	case 4:
		CALL(link(one, other));
		break;
	case 5:
		CALL(symlink(other, one));
		break;
	case 6:
		CALL(mknod(one, S_IFIFO | 0644, 0));
		break;
	case 7:
		CALL(stat(one, &status));
		CALL(statfs(where, &statfs_buffer));
		break;
	case 8:
		CALL(truncate(one, odd_number() >> 20));
		break;
	case 9:
		CALL(setxattr(one, "user.a", any_text(text, sizeof(text)), below(64), 0));
		CALL(listxattr(one, (char *)buffer, sizeof(buffer)));
		break;
	case 10:
		CALL(chmod(one, below(07777)));
		break;
	case 11:
		fd = CALL(open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		if (fd >= 0) {
			CALL(syncfs(fd));
			close(fd);
		}
		break;
	default:
		fd = CALL(open(one, O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0644));
		if (fd < 0)
			return;
		CALL(pwrite(fd, buffer + below(64), below(8192), below(1 << 16)));
		if (CALL(pread(fd, buffer, below(8192), below(1 << 16))) < 0)
			errno = 0;
		CALL(lseek(fd, odd_number(), below(5)));
		CALL(fallocate(fd, below(4), below(1 << 16), 1 + below(1 << 16)));
		if (!below(4))
			CALL(fsync(fd));
		close(fd);
	}
}

static const char *make_image(char *loop, size_t size)
{
	int fd = open("/tmp/image", O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || ftruncate(fd, 16 << 20))
		return NULL;
	close(fd);
	snprintf(loop, size, "%s", "/tmp/image");
	return loop;
}

void exercise_filesystem(const char *type, int user)
{
	char options[128], source[64];
	const char *const sources[] = {
		"none", make_image(source, sizeof(source)), "/dev/loop0", "",
	};
	unsigned int mounted = 0;

	/* no mount stays behind when this process is killed */
	unshare(CLONE_NEWNS);
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	snprintf(where, sizeof(where), "/tmp/mount.%d", getpid());
	mkdir(where, 0755);
	snprintf(shared->doing, sizeof(shared->doing), "mount -t %s", type);
	/* mounting is root's */
	for (unsigned int i = 0; i < 4 && !user; i++) {
		EACH_FAILURE({
			if (!CALL(mount(sources[i], where, type, 0, "")))
				umount2(where, MNT_DETACH);
		});
		for (unsigned int j = 0; j < 40 && time_is_left(); j++) {
			any_text(options, sizeof(options));
			options[strcspn(options, "\n")] = '\0';
			if (below(2) && strlen(options) < 60)
				snprintf(options + strlen(options), 32, "%s%lu",
					 below(2) ? "=" : "", odd_number());
			if (CALL(mount(sources[i], where, type, below(4) ? 0 : MS_RDONLY,
				       j ? options : "")))
				continue;
			mounted++;
			for (unsigned int k = 0; k < 30; k++)
				any_file_call();
			CALL(mount(NULL, where, NULL, MS_REMOUNT, options));
			CALL(umount2(where, 0));
		}
	}
	for (unsigned int i = 0; i < 4; i++) {
		if (mount(sources[i], where, type, 0, ""))
			continue;
		mounted++;
		chmod(where, 0777);
		become(user);
		snprintf(shared->doing, sizeof(shared->doing), "files on %s", type);
		in_threads(any_file_call);
		break;
	}
	umount2(where, MNT_DETACH);
	rmdir(where);
	if (!mounted)
		printf("@note\tno %s could be mounted: %s\n", type, strerror(errno));
}

/* --- network devices --- */

static char netdev[IFNAMSIZ];

static void any_netdev_call(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), packets;
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET, .sll_protocol = htons(0x0800), .sll_halen = 6,
	};
	struct ifreq request = {};
	struct sockaddr_in *internet = (void *)&request.ifr_addr;
	unsigned int size;

	memcpy(request.ifr_name, netdev, IFNAMSIZ);
	switch (below(12)) {
	case 0:
		request.ifr_flags = below(4) ? IFF_UP : 0;
		CALL(ioctl(fd, SIOCSIFFLAGS, &request));
		break;
	case 1:
		request.ifr_flags = IFF_UP | (below(2) ? IFF_PROMISC : 0) |
			(below(2) ? IFF_ALLMULTI : 0);
		CALL(ioctl(fd, SIOCSIFFLAGS, &request));
		break;
	case 2:
		request.ifr_mtu = odd_number();
		CALL(ioctl(fd, SIOCSIFMTU, &request));
		break;
	case 3:
		request.ifr_hwaddr.sa_family = 1;
		request.ifr_hwaddr.sa_data[0] = 2 * below(128);
		CALL(ioctl(fd, SIOCSIFHWADDR, &request));
		break;
	case 4:
		CALL(ioctl(fd, SIOCDEVPRIVATE + below(16), &request));
		break;
	case 5:
		request.ifr_data = (void *)buffer;
		*(uint32_t *)buffer = below(0x60);
		CALL(ioctl(fd, SIOCETHTOOL, &request));
		break;
	case 6:
		internet->sin_family = AF_INET;
		internet->sin_addr.s_addr = htonl(0x0a090000 + below(65536));
		CALL(ioctl(fd, SIOCSIFADDR, &request));
		break;
	default:
		packets = socket(AF_PACKET, (below(2) ? SOCK_RAW : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
		address.sll_ifindex = if_nametoindex(netdev);
		size = below(4) ? 14 + below(1500) : below(20000);
		for (unsigned int i = 0; i < 64; i++)
			buffer[i] = below(256);
		CALL(sendto(packets, buffer, size, MSG_DONTWAIT, (void *)&address,
			    sizeof(address)));
		close(packets);
	}
	close(fd);
}

/* Move the device to the network namespace of a process. */
static long move_netdev(pid_t pid)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
		struct nlattr attribute;
		uint32_t pid;
	} request = {
		.header.nlmsg_len = sizeof(request),
		.header.nlmsg_type = RTM_NEWLINK,
		.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		.link.ifi_index = if_nametoindex(netdev),
		.attribute.nla_len = NLA_HDRLEN + sizeof(request.pid),
		.attribute.nla_type = IFLA_NET_NS_PID,
		.pid = pid,
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[256];
	} answer = {};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (send(fd, &request, sizeof(request), 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0)
		answer.error.error = -errno;
	close(fd);
	return answer.error.error;
}

/* To another network namespace, up there, and back: it may not end with that one. */
static void move_there_and_back(void)
{
	int fds[2], fd;
	pid_t pid;
	char byte;
	struct ifreq request = { .ifr_flags = IFF_UP };

	memcpy(request.ifr_name, netdev, IFNAMSIZ);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return;
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWNET) || write(fds[1], "", 1) != 1 ||
		    read(fds[1], &byte, 1) != 1)
			_exit(1);
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		CALL(ioctl(fd, SIOCSIFFLAGS, &request));
		CALL(move_netdev(getppid()));
		_exit(0);
	}
	close(fds[1]);
	if (read(fds[0], &byte, 1) == 1) {
		CALL(move_netdev(pid));
		if (write(fds[0], "", 1) != 1)
			perror("exercise: socketpair");
	}
	close(fds[0]);
	waitpid(pid, NULL, 0);
}

void exercise_netdev(const char *name)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {};

	snprintf(netdev, sizeof(netdev), "%s", name);
	snprintf(shared->doing, sizeof(shared->doing), "netdev %s", name);
	memcpy(request.ifr_name, netdev, IFNAMSIZ);
	EACH_FAILURE({
		request.ifr_flags = IFF_UP;
		CALL(ioctl(fd, SIOCSIFFLAGS, &request));
		request.ifr_flags = 0;
		CALL(ioctl(fd, SIOCSIFFLAGS, &request));
	});
	snprintf(request.ifr_newname, IFNAMSIZ, "kmodkit0");
	if (!CALL(ioctl(fd, SIOCSIFNAME, &request))) {
		memcpy(request.ifr_name, "kmodkit0", 9);
		memcpy(request.ifr_newname, netdev, IFNAMSIZ);
		CALL(ioctl(fd, SIOCSIFNAME, &request));
	}
	close(fd);
	move_there_and_back();
	in_threads(any_netdev_call);
}

/* --- generic netlink --- */

static int netlink_family;

static int family_id(const char *name)
{
	struct {
		struct nlmsghdr header;
		struct genlmsghdr generic;
		struct nlattr attribute;
		char name[GENL_NAMSIZ];
	} request = {
		.header.nlmsg_type = GENL_ID_CTRL,
		.header.nlmsg_flags = NLM_F_REQUEST,
		.generic.cmd = CTRL_CMD_GETFAMILY,
		.generic.version = 1,
		.attribute.nla_type = CTRL_ATTR_FAMILY_NAME,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	int id = -1, left;
	struct nlattr *attribute;
	char answer[8192];
	ssize_t n;

	snprintf(request.name, sizeof(request.name), "%s", name);
	request.attribute.nla_len = NLA_HDRLEN + strlen(request.name) + 1;
	request.header.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN) + NLA_ALIGN(request.attribute.nla_len);
	if (send(fd, &request, request.header.nlmsg_len, 0) > 0) {
		n = recv(fd, answer, sizeof(answer), 0);
		attribute = (void *)(answer + NLMSG_LENGTH(GENL_HDRLEN));
		left = n - NLMSG_LENGTH(GENL_HDRLEN);
		while (left > NLA_HDRLEN && attribute->nla_len) {
			if (attribute->nla_type == CTRL_ATTR_FAMILY_ID)
				id = *(uint16_t *)((char *)attribute + NLA_HDRLEN);
			left -= NLA_ALIGN(attribute->nla_len);
			attribute = (void *)((char *)attribute + NLA_ALIGN(attribute->nla_len));
		}
	}
	close(fd);
	return id;
}

static void any_netlink_call(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_GENERIC);
	char message[2048] __aligned(8) = "";
	struct nlmsghdr *header = (void *)message;
	struct genlmsghdr *generic = NLMSG_DATA(header);
	struct nlattr *attribute = (void *)((char *)generic + GENL_HDRLEN);
	ssize_t n;

	generic->cmd = below(32);
	generic->version = below(3);
	for (unsigned int i = below(6); i; i--) {
		uint64_t value = odd_number();
		unsigned int size = below(3) ? 1U << below(4) : below(128);

		attribute->nla_type = below(24) | (below(4) ? 0 : NLA_F_NESTED);
		attribute->nla_len = NLA_HDRLEN + size;
		if (below(3))
			memcpy((char *)attribute + NLA_HDRLEN, &value, size < 8 ? size : 8);
		else
			any_text((char *)attribute + NLA_HDRLEN, size + 2);
		attribute = (void *)((char *)attribute + NLA_ALIGN(attribute->nla_len));
	}
	header->nlmsg_len = (char *)attribute - message;
	header->nlmsg_type = netlink_family;
	header->nlmsg_flags = NLM_F_REQUEST | (below(3) ? NLM_F_ACK : NLM_F_DUMP);
	CALL(send(fd, message, header->nlmsg_len, 0));
	for (unsigned int i = 0; i < 8; i++) {
		n = recv(fd, buffer, sizeof(buffer), 0);
		if (n <= 0)
			break;
		header = (void *)buffer;
		if (CALL(header->nlmsg_type == NLMSG_ERROR ? *(int *)NLMSG_DATA(header) : 0) >= 0)
			inspect(buffer + NLMSG_HDRLEN, n - NLMSG_HDRLEN, "netlink");
	}
	close(fd);
}

void exercise_netlink(const char *family)
{
	snprintf(shared->doing, sizeof(shared->doing), "netlink family %s", family);
	netlink_family = family_id(family);
	if (netlink_family < 0)
		printf("@note\tno netlink family %s\n", family);
	else
		in_threads(any_netlink_call);
}

/* --- ciphers --- */

static struct sockaddr_alg algorithm;

static void any_cipher_call(void)
{
	int fd = socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), operation;

	if (!CALL(bind(fd, (void *)&algorithm, sizeof(algorithm)))) {
		for (unsigned int i = 0; i < 64; i++)
			buffer[i] = below(256);
		CALL(setsockopt(fd, SOL_ALG, ALG_SET_KEY, buffer,
				below(3) ? 1U << below(7) : below(200)));
		operation = CALL(accept4(fd, NULL, NULL, SOCK_NONBLOCK));
		if (operation >= 0) {
			CALL(send(operation, buffer, below(4096), below(2) ? MSG_MORE : 0));
			if (CALL(read(operation, buffer, below(4096))) < 0)
				errno = 0;
			close(operation);
		}
	}
	close(fd);
}

void exercise_crypto(const char *description)
{
	char type[32], name[64], driver[64];

	if (sscanf(description, "%31s %63s %63s", type, name, driver) != 3)
		return;
	if (!strcmp(type, "shash") || !strcmp(type, "ahash"))
		strcpy(type, "hash");
	algorithm = (struct sockaddr_alg){ .salg_family = AF_ALG };
	snprintf((char *)algorithm.salg_type, sizeof(algorithm.salg_type), "%.13s", type);
	snprintf((char *)algorithm.salg_name, sizeof(algorithm.salg_name), "%.63s", driver);
	snprintf(shared->doing, sizeof(shared->doing), "crypto %.63s", driver);
	in_threads(any_cipher_call);
}
