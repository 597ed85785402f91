/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The ABI of /dev/mempool: blocks of memory by handle.
 *
 * A block belongs to the open file that allocated it, and is freed with it. Its
 * handle is the offset of its bytes in that file, so pread(2), pwrite(2) and
 * mmap(2) of the file at handle + n reach byte n of the block. A handle is a
 * multiple of the page size, is never 0, and is never used again by its file.
 *
 * The structures can grow. A command carries the size of the structure that the
 * program was built with: fields that the program does not know read as 0 to the
 * module, and fields that the module does not know have to be 0, or are set to 0.
 */
#ifndef _UAPI_KMODKIT_MEMPOOL_H
#define _UAPI_KMODKIT_MEMPOOL_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct kmk_mempool_alloc - allocate a block
 * @size: bytes, at least 1; the memory held is that many rounded up to whole
 *	pages, and is zeroed
 * @flags: 0
 * @handle: is set
 */
struct kmk_mempool_alloc {
	__u64 size;
	__u64 flags;
	__u64 handle;
};

/**
 * struct kmk_mempool_free - free a block
 * @handle: from an allocation
 * @flags: 0
 *
 * An access to a mapping of the block gets SIGBUS from then on, as behind the end
 * of a file.
 */
struct kmk_mempool_free {
	__u64 handle;
	__u64 flags;
};

/**
 * struct kmk_mempool_query - ask what a block is
 * @handle: from an allocation
 * @flags: 0
 * @size: is set: bytes, as they were asked for
 * @bytes: is set: bytes of memory held, which count towards the limit
 */
struct kmk_mempool_query {
	__u64 handle;
	__u64 flags;
	__u64 size;
	__u64 bytes;
};

/**
 * struct kmk_mempool_stats - count
 * @file_blocks: blocks of this open file
 * @file_bytes: bytes of memory that they hold
 * @blocks: blocks of all files
 * @bytes: bytes of memory that they hold
 * @max_bytes: the limit of @bytes, from the module's parameter
 * @allocs: successful allocations since the module was loaded
 * @frees: blocks whose memory was given back since then
 * @refused: allocations since then that failed for lack of memory or for the limit
 */
struct kmk_mempool_stats {
	__u64 file_blocks;
	__u64 file_bytes;
	__u64 blocks;
	__u64 bytes;
	__u64 max_bytes;
	__u64 allocs;
	__u64 frees;
	__u64 refused;
};

/* The sizes of the structures in their first version. */
#define KMK_MEMPOOL_ALLOC_SIZE_VER0	24
#define KMK_MEMPOOL_FREE_SIZE_VER0	16
#define KMK_MEMPOOL_QUERY_SIZE_VER0	32
#define KMK_MEMPOOL_STATS_SIZE_VER0	64

#define MEMPOOL_IOC_MAGIC	0xde

/*
 * MEMPOOL_IOC_ALLOC: EINVAL size 0 or unknown flags; EBADF the file is not open
 * for writing; ENOMEM no memory, the limit of the device or of the memory cgroup,
 * or no offsets left in this open file.
 * MEMPOOL_IOC_FREE and _QUERY: EINVAL unknown flags; ENOENT no block has this
 * handle. All: EFAULT bad pointer; EINVAL a structure smaller than the first
 * version's; E2BIG a field that the module does not know is not 0. Any other
 * request: ENOTTY.
 */
#define MEMPOOL_IOC_ALLOC	_IOWR(MEMPOOL_IOC_MAGIC, 0, struct kmk_mempool_alloc)
#define MEMPOOL_IOC_FREE	_IOW(MEMPOOL_IOC_MAGIC, 1, struct kmk_mempool_free)
#define MEMPOOL_IOC_QUERY	_IOWR(MEMPOOL_IOC_MAGIC, 2, struct kmk_mempool_query)
#define MEMPOOL_IOC_STATS	_IOR(MEMPOOL_IOC_MAGIC, 3, struct kmk_mempool_stats)

#endif /* _UAPI_KMODKIT_MEMPOOL_H */
