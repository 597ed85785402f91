// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_mempool - pools of memory, for the kernel and for user space
 *
 * The exported API is in manager.c and pool.c; here are the module's init and exit, and
 * /dev/mempool.
 *
 * Data: each open file has an inode of its own, on a pseudo file system of the module. The
 * page cache of that inode holds the bytes of the file's blocks, so that what the kernel does
 * to shared memory (futexes, ptrace, pins, splice) works on a mapping of a block. Beside it
 * is a tree of the blocks by their offset. ALLOC fills the page cache, FREE truncates it, and
 * no other call adds a page or takes one away: where no block is, there is none. The pages
 * are dirty and unevictable, as ramfs's, so reclaim keeps them.
 *
 * pool_file->lock guards the tree and the counts beside it; usage.lock guards the counts of
 * the whole device. Neither nests inside the other, and nothing sleeps under them. A read, a
 * write or a fault holds no lock of ours: it works on one page at a time, by a reference or
 * under the page's lock, and finds out that a block is gone by a page that is not there.
 *
 * Context: process context, which may sleep.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/build_bug.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/splice.h>
#include <linux/stat.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include <kmk/compat.h>
#include <kmk/mode.h>
#include <kmk/version.h>
#include <kmodkit/mempool.h>

#include "internal.h"

/* The same on every architecture, and no hidden padding. */
static_assert(sizeof(struct kmk_mempool_alloc) == KMK_MEMPOOL_ALLOC_SIZE_VER0);
static_assert(sizeof(struct kmk_mempool_free) == KMK_MEMPOOL_FREE_SIZE_VER0);
static_assert(sizeof(struct kmk_mempool_query) == KMK_MEMPOOL_QUERY_SIZE_VER0);
static_assert(sizeof(struct kmk_mempool_stats) == KMK_MEMPOOL_STATS_SIZE_VER0);

#define MEMPOOL_DEV_MAGIC	0x6d656d70

/*
 * Charged to the caller's memory cgroup, pages by the page cache and the rest by
 * __GFP_ACCOUNT; at its limit, an error rather than a visit of the OOM killer.
 */
#define CHARGED_GFP	(__GFP_RETRY_MAYFAIL | __GFP_NOWARN)
#define BLOCK_GFP	(GFP_KERNEL_ACCOUNT | CHARGED_GFP)
#define PAGE_GFP	(GFP_HIGHUSER | CHARGED_GFP)

/* The last page that a file offset and a VMA can name. */
#define LAST_PAGE	((unsigned long)min_t(u64, ULONG_MAX, LLONG_MAX >> PAGE_SHIFT))

static unsigned long max_bytes = 64 << 20;
module_param(max_bytes, ulong, 0444);
MODULE_PARM_DESC(max_bytes, "memory that all blocks of /dev/mempool may hold (default 64 MiB)");

static umode_t mode = 0600;
module_param(mode, kmk_mode, 0444);
MODULE_PARM_DESC(mode, "permissions of /dev/mempool, in octal (default 0600)");

struct pool_block {
	struct rb_node node;	/* of the file's tree, under the file's lock */
	unsigned long start;	/* the page of the file where it begins */
	unsigned long npages;
	size_t size;
};

struct pool_file {
	struct inode *inode;	/* its page cache holds the bytes of the blocks */
	spinlock_t lock;	/* guards what follows, and the inode's size */
	struct rb_root blocks __guarded_by(&lock);
	unsigned long next __guarded_by(&lock);	/* the page where the next block begins */
	u64 count __guarded_by(&lock);
	u64 bytes __guarded_by(&lock);
};

/* The whole device. */
static struct {
	spinlock_t lock;	/* guards all of it */
	u64 blocks __guarded_by(&lock);
	u64 bytes __guarded_by(&lock);
	u64 allocs __guarded_by(&lock);
	u64 frees __guarded_by(&lock);
	u64 refused __guarded_by(&lock);
} usage = {
	.lock = __SPIN_LOCK_UNLOCKED(usage.lock),
};

static struct vfsmount *mempool_dev_mnt;
static struct dentry *debugfs_dir;

static u64 mempool_dev_bytes(const struct pool_block *block)
{
	return (u64)block->npages << PAGE_SHIFT;
}

static bool __must_check mempool_dev_reserve(u64 npages)
{
	bool fits;

	spin_lock(&usage.lock);
	fits = npages <= (max_bytes - usage.bytes) >> PAGE_SHIFT;
	if (fits) {
		usage.blocks++;
		usage.bytes += npages << PAGE_SHIFT;
		usage.allocs++;
	} else {
		usage.refused++;
	}
	spin_unlock(&usage.lock);
	return fits;
}

static void mempool_dev_unreserve(u64 npages)
{
	spin_lock(&usage.lock);
	usage.blocks--;
	usage.bytes -= npages << PAGE_SHIFT;
	usage.frees++;
	spin_unlock(&usage.lock);
}

/* Give back a reserve that did not become a block, for the reason @err. */
static void mempool_dev_cancel(u64 npages, int err)
{
	spin_lock(&usage.lock);
	usage.blocks--;
	usage.bytes -= npages << PAGE_SHIFT;
	usage.allocs--;
	usage.refused += err == -ENOMEM;
	spin_unlock(&usage.lock);
}

/* Give the block an offset. The page behind it stays unused, so that two blocks never touch. */
static int mempool_dev_assign_offset(struct pool_file *pf, struct pool_block *block)
{
	int err = 0;

	spin_lock(&pf->lock);
	if (block->npages >= LAST_PAGE - pf->next) {
		err = -ENOMEM;
	} else {
		block->start = pf->next;
		pf->next += block->npages + 1;
		i_size_write(pf->inode, (loff_t)(pf->next - 1) << PAGE_SHIFT);
	}
	spin_unlock(&pf->lock);
	return err;
}

/* All of the block's memory, so that no access to it can fail later. */
static int mempool_dev_fill(struct pool_file *pf, const struct pool_block *block)
{
	struct folio *folio;
	unsigned long i;
	int err = 0;

	for (i = 0; !err && i < block->npages; i++) {
		if (fatal_signal_pending(current))
			return -EINTR;
		folio = folio_alloc(PAGE_GFP | __GFP_ZERO, 0);
		if (!folio)
			return -ENOMEM;
		flush_dcache_folio(folio);
		err = filemap_add_folio(pf->inode->i_mapping, folio, block->start + i, PAGE_GFP);
		if (!err) {
			folio_mark_uptodate(folio);
			folio_set_dirty(folio);
			folio_unlock(folio);
		}
		folio_put(folio);
		cond_resched();
	}
	return err;
}

/* Also unmaps the pages, wherever they are mapped. */
static void mempool_dev_truncate(struct pool_file *pf, const struct pool_block *block)
{
	loff_t start = (loff_t)block->start << PAGE_SHIFT;

	truncate_pagecache_range(pf->inode, start, start + mempool_dev_bytes(block) - 1);
}

static void mempool_dev_insert(struct pool_file *pf, struct pool_block *new)
{
	struct rb_node **link, *parent = NULL;

	spin_lock(&pf->lock);
	link = &pf->blocks.rb_node;
	while (*link) {
		parent = *link;
		if (new->start < rb_entry(parent, struct pool_block, node)->start)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&new->node, parent, link);
	rb_insert_color(&new->node, &pf->blocks);
	pf->count++;
	pf->bytes += mempool_dev_bytes(new);
	spin_unlock(&pf->lock);
}

static void mempool_dev_remove(struct pool_file *pf, struct pool_block *block)
	__must_hold(&pf->lock)
{
	lockdep_assert_held(&pf->lock);
	rb_erase(&block->node, &pf->blocks);
	pf->count--;
	pf->bytes -= mempool_dev_bytes(block);
}

/* The block that @page of the file is in, or that ended just before it. */
static struct pool_block *mempool_dev_find(struct pool_file *pf, unsigned long page)
	__must_hold(&pf->lock)
{
	struct rb_node *node = pf->blocks.rb_node;
	struct pool_block *block;

	lockdep_assert_held(&pf->lock);
	while (node) {
		block = rb_entry(node, struct pool_block, node);
		if (page < block->start)
			node = node->rb_left;
		else if (page > block->start + block->npages)
			node = node->rb_right;
		else
			return block;
	}
	return NULL;
}

/* The block whose handle this is. */
static struct pool_block *mempool_dev_find_handle(struct pool_file *pf, u64 handle)
	__must_hold(&pf->lock)
{
	struct pool_block *block;

	lockdep_assert_held(&pf->lock);
	if (handle >> PAGE_SHIFT > LAST_PAGE)
		return NULL;
	block = mempool_dev_find(pf, handle >> PAGE_SHIFT);
	return block && handle == (u64)block->start << PAGE_SHIFT ? block : NULL;
}

static long mempool_dev_alloc(struct file *file, struct kmk_mempool_alloc __user *uarg,
			      size_t size)
{
	struct pool_file *pf = file->private_data;
	struct kmk_mempool_alloc arg;
	struct pool_block *block;
	u64 npages;
	int err;

	if (size < KMK_MEMPOOL_ALLOC_SIZE_VER0)
		return -EINVAL;
	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	err = copy_struct_from_user(&arg, sizeof(arg), uarg, size);
	if (err)
		return err;
	if (arg.flags || !arg.size)
		return -EINVAL;
	npages = ((arg.size - 1) >> PAGE_SHIFT) + 1;
	if (!mempool_dev_reserve(npages))
		return -ENOMEM;
	err = -ENOMEM;
	block = kmalloc(sizeof(*block), BLOCK_GFP);
	if (!block)
		goto cancel;
	block->size = arg.size;
	block->npages = npages;
	err = mempool_dev_assign_offset(pf, block);
	if (err)
		goto free;
	err = mempool_dev_fill(pf, block);
	if (err)
		goto truncate;
	/* Insert it only when the caller has the handle: without, nobody could free it. */
	err = -EFAULT;
	if (put_user((u64)block->start << PAGE_SHIFT, &uarg->handle))
		goto truncate;
	mempool_dev_insert(pf, block);
	return 0;

truncate:
	mempool_dev_truncate(pf, block);
free:
	kfree(block);
cancel:
	mempool_dev_cancel(npages, err);
	return err;
}

static long mempool_dev_free(struct pool_file *pf, struct kmk_mempool_free __user *uarg,
			     size_t size)
{
	struct kmk_mempool_free arg;
	struct pool_block *block;
	int err;

	if (size < KMK_MEMPOOL_FREE_SIZE_VER0)
		return -EINVAL;
	err = copy_struct_from_user(&arg, sizeof(arg), uarg, size);
	if (err)
		return err;
	if (arg.flags)
		return -EINVAL;
	spin_lock(&pf->lock);
	block = mempool_dev_find_handle(pf, arg.handle);
	if (block)
		mempool_dev_remove(pf, block);
	spin_unlock(&pf->lock);
	if (!block)
		return -ENOENT;
	mempool_dev_truncate(pf, block);
	mempool_dev_unreserve(block->npages);
	kfree(block);
	return 0;
}

static long mempool_dev_query(struct pool_file *pf, struct kmk_mempool_query __user *uarg,
			      size_t size)
{
	struct kmk_mempool_query arg;
	struct pool_block *block;
	int err;

	if (size < KMK_MEMPOOL_QUERY_SIZE_VER0)
		return -EINVAL;
	err = copy_struct_from_user(&arg, sizeof(arg), uarg, size);
	if (err)
		return err;
	if (arg.flags)
		return -EINVAL;
	spin_lock(&pf->lock);
	block = mempool_dev_find_handle(pf, arg.handle);
	if (block) {
		arg.size = block->size;
		arg.bytes = mempool_dev_bytes(block);
	}
	spin_unlock(&pf->lock);
	if (!block)
		return -ENOENT;
	return copy_struct_to_user(uarg, size, &arg, sizeof(arg), NULL);
}

static void mempool_dev_get_stats(struct kmk_mempool_stats *stats)
{
	spin_lock(&usage.lock);
	*stats = (struct kmk_mempool_stats) {
		.blocks = usage.blocks,
		.bytes = usage.bytes,
		.max_bytes = max_bytes,
		.allocs = usage.allocs,
		.frees = usage.frees,
		.refused = usage.refused,
	};
	spin_unlock(&usage.lock);
}

static long mempool_dev_stats(struct pool_file *pf, void __user *uarg, size_t size)
{
	struct kmk_mempool_stats stats;

	if (size < KMK_MEMPOOL_STATS_SIZE_VER0)
		return -EINVAL;
	mempool_dev_get_stats(&stats);
	spin_lock(&pf->lock);
	stats.file_blocks = pf->count;
	stats.file_bytes = pf->bytes;
	spin_unlock(&pf->lock);
	return copy_struct_to_user(uarg, size, &stats, sizeof(stats), NULL);
}

static long mempool_dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct pool_file *pf = file->private_data;
	void __user *uarg = (void __user *)arg;

	/* The size of the structure, which a command carries, tells its version. */
	switch (cmd & ~IOCSIZE_MASK) {
	case MEMPOOL_IOC_ALLOC & ~IOCSIZE_MASK:
		return mempool_dev_alloc(file, uarg, _IOC_SIZE(cmd));
	case MEMPOOL_IOC_FREE & ~IOCSIZE_MASK:
		return mempool_dev_free(pf, uarg, _IOC_SIZE(cmd));
	case MEMPOOL_IOC_QUERY & ~IOCSIZE_MASK:
		return mempool_dev_query(pf, uarg, _IOC_SIZE(cmd));
	case MEMPOOL_IOC_STATS & ~IOCSIZE_MASK:
		return mempool_dev_stats(pf, uarg, _IOC_SIZE(cmd));
	default:
		return -ENOTTY;
	}
}

static int mempool_dev_error_remove_folio(struct address_space *mapping, struct folio *folio)
{
	return generic_error_remove_folio(mapping, folio);
}

KMK_INODE_OP(error_remove_folio, mempool_dev_error_remove_folio);

static const struct address_space_operations mempool_dev_aops = {
	.dirty_folio = noop_dirty_folio,
	.error_remove_folio = kmk_op(error_remove_folio, mempool_dev_error_remove_folio),
};

static int mempool_dev_open(struct inode *inode, struct file *file)
{
	struct pool_file *pf = kzalloc(sizeof(*pf), GFP_KERNEL_ACCOUNT);
	int err;

	if (!pf)
		return -ENOMEM;
	pf->inode = alloc_anon_inode(mempool_dev_mnt->mnt_sb);
	if (IS_ERR(pf->inode)) {
		err = PTR_ERR(pf->inode);
		kfree(pf);
		return err;
	}
	pf->inode->i_mode |= S_IFREG;	/* as generic_error_remove_folio() wants it */
	pf->inode->i_mapping->a_ops = &mempool_dev_aops;
	mapping_set_unevictable(pf->inode->i_mapping);
	spin_lock_init(&pf->lock);
	pf->blocks = RB_ROOT;
	pf->next = 1;
	file->private_data = pf;
	file->f_mapping = pf->inode->i_mapping;
	return 0;
}

/* No call on the file is under way any more, and no VMA maps it. */
static int mempool_dev_release(struct inode *inode, struct file *file)
{
	struct pool_file *pf = file->private_data;
	struct pool_block *block, *next;

	iput(pf->inode);
	rbtree_postorder_for_each_entry_safe(block, next, &pf->blocks, node) {
		mempool_dev_unreserve(block->npages);
		kfree(block);
		cond_resched();
	}
	kfree(pf);
	return 0;
}

/* The end of the block that the file position is in, or just behind; 0 if there is none. */
static loff_t mempool_dev_end_of_block(const struct kiocb *iocb)
{
	struct pool_file *pf = iocb->ki_filp->private_data;
	struct pool_block *block;
	loff_t end = 0;

	if (iocb->ki_pos >> PAGE_SHIFT > LAST_PAGE)
		return 0;
	spin_lock(&pf->lock);
	block = mempool_dev_find(pf, iocb->ki_pos >> PAGE_SHIFT);
	if (block)
		end = ((loff_t)block->start << PAGE_SHIFT) + block->size;
	spin_unlock(&pf->lock);
	return end;
}

/* Copy between the file, up to @end, and @iter: the bytes done, or an error if none. */
static ssize_t mempool_dev_copy(struct kiocb *iocb, loff_t end, struct iov_iter *iter)
{
	struct address_space *mapping = iocb->ki_filp->f_mapping;
	loff_t begin = iocb->ki_pos;
	size_t offset, part, copied;
	struct folio *folio;
	ssize_t err = 0;

	while (iocb->ki_pos < end && iov_iter_count(iter) && !err) {
		folio = filemap_get_folio(mapping, iocb->ki_pos >> PAGE_SHIFT);
		if (IS_ERR_OR_NULL(folio)) {
			/* Memory failure took the page, or FREE has come. */
			err = mempool_dev_end_of_block(iocb) ? -EIO : -ENOENT;
			break;
		}
		offset = offset_in_page(iocb->ki_pos);
		part = min_t(u64, end - iocb->ki_pos, PAGE_SIZE - offset);
		part = min(part, iov_iter_count(iter));
		if (mapping_writably_mapped(mapping))
			flush_dcache_folio(folio);
		if (iov_iter_rw(iter) == WRITE) {
			copied = copy_folio_from_iter(folio, offset, part, iter);
			flush_dcache_folio(folio);
		} else {
			copied = copy_folio_to_iter(folio, offset, part, iter);
		}
		folio_put(folio);
		iocb->ki_pos += copied;
		if (copied < part)
			err = -EFAULT;
		cond_resched();
	}
	return iocb->ki_pos > begin ? iocb->ki_pos - begin : err;
}

static ssize_t mempool_dev_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	loff_t end = mempool_dev_end_of_block(iocb);

	return end ? mempool_dev_copy(iocb, end, to) : -ENOENT;
}

/* O_APPEND and RLIMIT_FSIZE mean nothing here, as on other devices. */
static ssize_t mempool_dev_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	loff_t end;

	if (!iov_iter_count(from))
		return 0;
	end = mempool_dev_end_of_block(iocb);
	if (!end)
		return -ENOENT;
	return iocb->ki_pos < end ? mempool_dev_copy(iocb, end, from) : -ENOSPC;
}

/* Not filemap_fault(), which adds a page where there is none, and would outside of blocks. */
static vm_fault_t mempool_dev_fault(struct vm_fault *vmf)
{
	struct folio *folio = filemap_lock_folio(vmf->vma->vm_file->f_mapping, vmf->pgoff);

	if (IS_ERR_OR_NULL(folio))
		return VM_FAULT_SIGBUS;
	vmf->page = folio_page(folio, 0);
	return VM_FAULT_LOCKED;
}

static const struct vm_operations_struct mempool_dev_vm_ops = {
	.fault = mempool_dev_fault,
	.map_pages = filemap_map_pages,
};

static int mempool_dev_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct pool_file *pf = file->private_data;
	struct pool_block *block;
	unsigned long room = 0;

	/* Not VM_SHARED, which is clear if the file is open for reading only. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	spin_lock(&pf->lock);
	block = mempool_dev_find(pf, vma->vm_pgoff);
	if (block)
		room = block->start + block->npages - vma->vm_pgoff;
	spin_unlock(&pf->lock);
	if (!block)
		return -ENOENT;
	if (vma_pages(vma) > room)
		return -EINVAL;
	vm_flags_mod(vma, VM_DONTEXPAND, VM_MAYEXEC);
	vma->vm_ops = &mempool_dev_vm_ops;
	return 0;
}

static void mempool_dev_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct pool_file *pf = file->private_data;
	u64 count, bytes;

	spin_lock(&pf->lock);
	count = pf->count;
	bytes = pf->bytes;
	spin_unlock(&pf->lock);
	seq_printf(m, "blocks:\t%llu\nbytes:\t%llu\n", count, bytes);
}

static const struct file_operations mempool_dev_fops = {
	.owner = THIS_MODULE,
	.open = mempool_dev_open,
	.release = mempool_dev_release,
	.unlocked_ioctl = mempool_dev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = generic_file_llseek,	/* which takes the size of f_mapping's inode */
	.read_iter = mempool_dev_read_iter,
	.write_iter = mempool_dev_write_iter,
	.splice_read = copy_splice_read,
	.splice_write = iter_file_splice_write,
	.mmap = mempool_dev_mmap,
	.fsync = noop_fsync,	/* for msync() */
	.show_fdinfo = mempool_dev_show_fdinfo,
};

static struct miscdevice mempool_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mempool",
	.fops = &mempool_dev_fops,
};

static int mempool_dev_init_fs_context(struct fs_context *fc)
{
	return init_pseudo(fc, MEMPOOL_DEV_MAGIC) ? 0 : -ENOMEM;
}

/* No owner: the module's own mount would pin it for ever, and each open file pins it anyway. */
static struct file_system_type mempool_dev_fs = {
	.name = "kmk_mempool",
	.init_fs_context = mempool_dev_init_fs_context,
	.kill_sb = kill_anon_super,
};

static int mempool_dev_counts_show(struct seq_file *m, void *unused)
{
	struct kmk_mempool_stats stats;

	mempool_dev_get_stats(&stats);
	seq_printf(m, "blocks %llu\nbytes %llu\nmax_bytes %llu\nallocs %llu\nfrees %llu\nrefused %llu\n",
		   stats.blocks, stats.bytes, stats.max_bytes, stats.allocs, stats.frees,
		   stats.refused);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(mempool_dev_counts);
DEFINE_SHOW_ATTRIBUTE(kmk_mem);
DEFINE_SHOW_ATTRIBUTE(kmk_pool);

static int __init mempool_module_init(void)
{
	int err;

	if (!max_bytes || max_bytes > LONG_MAX) {
		pr_err("max_bytes=%lu is out of range: give 1 to %ld\n", max_bytes, LONG_MAX);
		return -EINVAL;
	}
	/* The misc core takes mode 0 for "unset"; S_IFCHR makes it explicit. */
	mempool_dev.mode = S_IFCHR | mode;
	mempool_dev_mnt = kern_mount(&mempool_dev_fs);
	if (IS_ERR(mempool_dev_mnt)) {
		pr_err("no memory to mount the file system that holds the blocks (%pe)\n",
		       mempool_dev_mnt);
		return PTR_ERR(mempool_dev_mnt);
	}
	err = misc_register(&mempool_dev);
	if (err) {
		kern_unmount(mempool_dev_mnt);
		pr_err("cannot register /dev/mempool (%pe): is there another device of that name?\n",
		       ERR_PTR(err));
		return err;
	}
	/*
	 * Statistics only: nothing depends on debugfs being there. Last, as debugfs uses the
	 * operations of a file until that is closed, also when the module failed to load.
	 */
	debugfs_dir = debugfs_create_dir(KBUILD_MODNAME, NULL);
	debugfs_create_file("device", 0444, debugfs_dir, NULL, &mempool_dev_counts_fops);
	debugfs_create_file("managers", 0444, debugfs_dir, NULL, &kmk_mem_fops);
	debugfs_create_file("pools", 0444, debugfs_dir, NULL, &kmk_pool_fops);
	pr_info("loaded, max_bytes=%lu\n", max_bytes);
	return 0;
}

static void __exit mempool_module_exit(void)
{
	misc_deregister(&mempool_dev);
	debugfs_remove(debugfs_dir);
	kern_unmount(mempool_dev_mnt);
	pr_info("unloaded\n");
}

module_init(mempool_module_init);
module_exit(mempool_module_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("Memory pools that detect misuse: an in-kernel API, and /dev/mempool");
MODULE_VERSION(KMK_VERSION);
