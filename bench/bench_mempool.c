// SPDX-License-Identifier: GPL-2.0
/* The rounds that kmk_mempool_bench measures in the kernel: FILE is one of its debugfs files. */
#include "bench.h"

int main(int argc, char **argv)
{
	char path[128];

	if (argc != 2) {
		fprintf(stderr, "usage: bench_mempool FILE\n");
		return EXIT_FAILURE;
	}
	snprintf(path, sizeof(path), "/sys/kernel/debug/kmk_mempool_bench/%s", argv[1]);
	bench_relay(path);
	return 0;
}
