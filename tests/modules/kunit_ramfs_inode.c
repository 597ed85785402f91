// SPDX-License-Identifier: GPL-2.0
/* The one file of kmk_ramfs that shares names with another one: see kunit_ramfs_super.c. */
#include "../../ramfs/inode.c"
