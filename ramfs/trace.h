/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kmk_ramfs

#if !defined(_CRAMFS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _CRAMFS_TRACE_H

#include <linux/fs.h>
#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(cramfs_inode,
	TP_PROTO(const struct inode *inode),
	TP_ARGS(inode),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(umode_t, mode)
		__field(loff_t, size)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->mode = inode->i_mode;
		__entry->size = i_size_read(inode);
	),
	TP_printk("dev %d:%d ino %llu mode %o size %lld", MAJOR(__entry->dev),
		  MINOR(__entry->dev), __entry->ino, __entry->mode, __entry->size)
);

DEFINE_EVENT(cramfs_inode, cramfs_new_inode,
	TP_PROTO(const struct inode *inode),
	TP_ARGS(inode)
);

DEFINE_EVENT(cramfs_inode, cramfs_evict_inode,
	TP_PROTO(const struct inode *inode),
	TP_ARGS(inode)
);

/* Pages come into a file. */
TRACE_EVENT(cramfs_insert,
	TP_PROTO(const struct inode *inode, struct folio *folio),
	TP_ARGS(inode, folio),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(pgoff_t, index)
		__field(unsigned long, pages)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->index = folio->index;
		__entry->pages = folio_nr_pages(folio);
	),
	TP_printk("dev %d:%d ino %llu index %lu pages %lu", MAJOR(__entry->dev),
		  MINOR(__entry->dev), __entry->ino, __entry->index, __entry->pages)
);

/* Pages have left a file that stays. */
TRACE_EVENT(cramfs_remove,
	TP_PROTO(const struct inode *inode, unsigned long pages),
	TP_ARGS(inode, pages),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(unsigned long, pages)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->pages = pages;
	),
	TP_printk("dev %d:%d ino %llu pages %lu", MAJOR(__entry->dev), MINOR(__entry->dev),
		  __entry->ino, __entry->pages)
);

#endif /* _CRAMFS_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
