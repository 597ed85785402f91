// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_mempool - pools of memory, for the kernel and for user space
 *
 * The exported API is in manager.c and pool.c; here are the module's own parts
 * and /dev/mempool.
 *
 * Data: each open file has a tree of its blocks by their place in the file. A
 * block is a set of pages, held by references: one of the tree while the block
 * has a handle, one of each VMA that maps it, one of each call that uses it. A
 * VMA pins its open file, and that the module.
 *
 * pool_file->lock guards the tree and the counts beside it; usage.lock guards
 * the counts of the whole device. Neither is taken inside the other, and nothing
 * sleeps under them. A block's pages are set before anybody else sees it, and
 * its bytes are its users' own, as those of shared memory are.
 *
 * Context: process context, which may sleep.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/build_bug.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/stat.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include <kmk/compat.h>
#include <kmk/version.h>
#include <kmodkit/mempool.h>

#include "internal.h"

/* The same on every architecture, and no hidden padding. */
static_assert(sizeof(struct kmk_mempool_alloc) == 24);
static_assert(sizeof(struct kmk_mempool_free) == 16);
static_assert(sizeof(struct kmk_mempool_query) == 32);
static_assert(sizeof(struct kmk_mempool_stats) == 64);

/*
 * Charged to the caller's memory cgroup; at its limit, an error rather than a
 * visit of the OOM killer.
 */
#define BLOCK_GFP	(GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/* The last page of a file that has an offset, and that a VMA can name. */
#define LAST_PAGE	((unsigned long)min_t(u64, ULONG_MAX, LLONG_MAX >> PAGE_SHIFT))

static unsigned long max_bytes = 64 << 20;
module_param(max_bytes, ulong, 0444);
MODULE_PARM_DESC(max_bytes, "memory that all blocks of /dev/mempool may hold (default 64 MiB)");

static unsigned short mode = 0600;
module_param(mode, ushort, 0444);
MODULE_PARM_DESC(mode, "permissions of /dev/mempool, in octal (default 0600)");

struct pool_block {
	struct kref ref;
	struct rb_node node;	/* of the file's tree, under the file's lock */
	unsigned long start;	/* the page of the file where it begins */
	unsigned long npages;
	size_t size;
	struct page *pages[];
};

struct pool_file {
	spinlock_t lock;	/* guards all of it */
	struct rb_root blocks __guarded_by(&lock);
	unsigned long next __guarded_by(&lock);	/* the page where the next block will begin */
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

static struct dentry *debugfs_dir;

static u64 block_bytes(const struct pool_block *block)
{
	return (u64)block->npages << PAGE_SHIFT;
}

static bool __must_check usage_reserve(u64 bytes)
{
	bool fits;

	spin_lock(&usage.lock);
	fits = bytes <= max_bytes - usage.bytes;
	if (fits) {
		usage.blocks++;
		usage.bytes += bytes;
		usage.allocs++;
	} else {
		usage.refused++;
	}
	spin_unlock(&usage.lock);
	return fits;
}

static void usage_release(u64 bytes)
{
	spin_lock(&usage.lock);
	usage.blocks--;
	usage.bytes -= bytes;
	usage.frees++;
	spin_unlock(&usage.lock);
}

/* What was reserved never became a block. */
static void usage_refuse(u64 bytes)
{
	spin_lock(&usage.lock);
	usage.blocks--;
	usage.bytes -= bytes;
	usage.allocs--;
	usage.refused++;
	spin_unlock(&usage.lock);
}

static void free_pages_of(struct pool_block *block)
{
	unsigned long i;

	for (i = 0; i < block->npages && block->pages[i]; i++)
		__free_page(block->pages[i]);
	kvfree(block);
}

static int fill_pages(struct pool_block *block)
{
	unsigned long i;

	for (i = 0; i < block->npages; i++) {
		if (fatal_signal_pending(current))
			return -EINTR;
		block->pages[i] = alloc_page(BLOCK_GFP);
		if (!block->pages[i])
			return -ENOMEM;
		cond_resched();
	}
	return 0;
}

static struct pool_block *block_create(size_t size)
{
	unsigned long npages = (size - 1) / PAGE_SIZE + 1;
	u64 bytes = (u64)npages << PAGE_SHIFT;
	struct pool_block *block;
	int err = -ENOMEM;

	if (!usage_reserve(bytes))
		return ERR_PTR(err);
	block = kvzalloc(struct_size(block, pages, npages), BLOCK_GFP);
	if (!block)
		goto refuse;
	kref_init(&block->ref);
	block->size = size;
	block->npages = npages;
	err = fill_pages(block);
	if (err)
		goto free;
	return block;

free:
	free_pages_of(block);
refuse:
	usage_refuse(bytes);
	return ERR_PTR(err);
}

static void block_release(struct kref *ref)
{
	struct pool_block *block = container_of(ref, struct pool_block, ref);
	u64 bytes = block_bytes(block);

	free_pages_of(block);
	usage_release(bytes);
}

static void block_put(struct pool_block *block)
{
	kref_put(&block->ref, block_release);
}

/* Give the block a place in the file, behind which a page stays unused: there it ends. */
static int choose_place(struct pool_file *pf, struct pool_block *block)
{
	int err = 0;

	spin_lock(&pf->lock);
	if (block->npages >= LAST_PAGE - pf->next) {
		err = -ENOMEM;
	} else {
		block->start = pf->next;
		pf->next += block->npages + 1;
	}
	spin_unlock(&pf->lock);
	return err;
}

static void insert_block(struct pool_file *pf, struct pool_block *new)
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
	pf->bytes += block_bytes(new);
	spin_unlock(&pf->lock);
}

static void remove_block(struct pool_file *pf, struct pool_block *block)
	__must_hold(&pf->lock)
{
	lockdep_assert_held(&pf->lock);
	rb_erase(&block->node, &pf->blocks);
	pf->count--;
	pf->bytes -= block_bytes(block);
}

/* The block that @page of the file is in, or that ended just before it. */
static struct pool_block *find_block(struct pool_file *pf, unsigned long page)
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

/* The same, with a reference. */
static struct pool_block *get_block(struct pool_file *pf, unsigned long page)
{
	struct pool_block *block;

	spin_lock(&pf->lock);
	block = find_block(pf, page);
	if (block)
		kref_get(&block->ref);
	spin_unlock(&pf->lock);
	return block;
}

/* The block whose handle this is. */
static struct pool_block *find_handle(struct pool_file *pf, u64 handle)
	__must_hold(&pf->lock)
{
	struct pool_block *block;

	lockdep_assert_held(&pf->lock);
	if (handle >> PAGE_SHIFT > LAST_PAGE)
		return NULL;
	block = find_block(pf, handle >> PAGE_SHIFT);
	return block && handle == (u64)block->start << PAGE_SHIFT ? block : NULL;
}

static long ioctl_alloc(struct pool_file *pf, struct kmk_mempool_alloc __user *uarg)
{
	struct kmk_mempool_alloc arg;
	struct pool_block *block;
	int err;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.flags || !arg.size)
		return -EINVAL;
	if (arg.size > SIZE_MAX - PAGE_SIZE)
		return -ENOMEM;
	block = block_create(arg.size);
	if (IS_ERR(block))
		return PTR_ERR(block);
	err = choose_place(pf, block);
	if (err)
		goto put;
	/* First tell, then insert: a block whose handle nobody knows must not stay. */
	err = -EFAULT;
	if (put_user((u64)block->start << PAGE_SHIFT, &uarg->handle))
		goto put;
	insert_block(pf, block);
	return 0;

put:
	block_put(block);
	return err;
}

static long ioctl_free(struct pool_file *pf, struct kmk_mempool_free __user *uarg)
{
	struct kmk_mempool_free arg;
	struct pool_block *block;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.flags)
		return -EINVAL;
	spin_lock(&pf->lock);
	block = find_handle(pf, arg.handle);
	if (block)
		remove_block(pf, block);
	spin_unlock(&pf->lock);
	if (!block)
		return -ENOENT;
	block_put(block);
	return 0;
}

static long ioctl_query(struct pool_file *pf, struct kmk_mempool_query __user *uarg)
{
	struct kmk_mempool_query arg;
	struct pool_block *block;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.flags)
		return -EINVAL;
	spin_lock(&pf->lock);
	block = find_handle(pf, arg.handle);
	if (block) {
		arg.size = block->size;
		arg.bytes = block_bytes(block);
	}
	spin_unlock(&pf->lock);
	if (!block)
		return -ENOENT;
	return copy_to_user(uarg, &arg, sizeof(arg)) ? -EFAULT : 0;
}

static void get_stats(struct kmk_mempool_stats *stats)
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

static long ioctl_stats(struct pool_file *pf, struct kmk_mempool_stats __user *uarg)
{
	struct kmk_mempool_stats stats;

	get_stats(&stats);
	spin_lock(&pf->lock);
	stats.file_blocks = pf->count;
	stats.file_bytes = pf->bytes;
	spin_unlock(&pf->lock);
	return copy_to_user(uarg, &stats, sizeof(stats)) ? -EFAULT : 0;
}

static long mempool_dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct pool_file *pf = file->private_data;
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case MEMPOOL_IOC_ALLOC:
		return ioctl_alloc(pf, uarg);
	case MEMPOOL_IOC_FREE:
		return ioctl_free(pf, uarg);
	case MEMPOOL_IOC_QUERY:
		return ioctl_query(pf, uarg);
	case MEMPOOL_IOC_STATS:
		return ioctl_stats(pf, uarg);
	default:
		return -ENOTTY;
	}
}

static int mempool_dev_open(struct inode *inode, struct file *file)
{
	struct pool_file *pf = kzalloc(sizeof(*pf), GFP_KERNEL_ACCOUNT);

	if (!pf)
		return -ENOMEM;
	spin_lock_init(&pf->lock);
	pf->blocks = RB_ROOT;
	pf->next = 1;
	file->private_data = pf;
	return 0;
}

/* The last use of the file is over, so nothing of it is mapped, and nobody else looks. */
static int mempool_dev_release(struct inode *inode, struct file *file)
{
	struct pool_file *pf = file->private_data;
	struct pool_block *block, *next;

	rbtree_postorder_for_each_entry_safe(block, next, &pf->blocks, node) {
		block_put(block);
		cond_resched();
	}
	kfree(pf);
	return 0;
}

/*
 * The block that the file position is in, with a reference, and @offset within
 * it: at most a page past its end.
 */
static struct pool_block *get_block_at(struct kiocb *iocb, size_t *offset)
{
	struct pool_block *block;

	if (iocb->ki_pos >> PAGE_SHIFT > LAST_PAGE)
		return NULL;
	block = get_block(iocb->ki_filp->private_data, iocb->ki_pos >> PAGE_SHIFT);
	if (block)
		*offset = iocb->ki_pos - ((loff_t)block->start << PAGE_SHIFT);
	return block;
}

/* Copy between the block and @iter until either ends: the bytes done, or -EFAULT. */
static ssize_t copy_block(struct pool_block *block, size_t offset, struct iov_iter *iter,
			  size_t (*copy)(struct page *page, size_t offset, size_t bytes,
					 struct iov_iter *iter))
{
	size_t end = block->size, begin = offset, part, copied;

	if (iov_iter_count(iter) < end - offset)
		end = offset + iov_iter_count(iter);
	while (offset < end) {
		part = min_t(size_t, end - offset, PAGE_SIZE - offset_in_page(offset));
		copied = copy(block->pages[offset >> PAGE_SHIFT], offset_in_page(offset), part,
			      iter);
		offset += copied;
		if (copied < part)
			return offset > begin ? offset - begin : -EFAULT;
		cond_resched();
	}
	return offset - begin;
}

static ssize_t mempool_dev_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct pool_block *block;
	ssize_t ret = 0;
	size_t offset;

	block = get_block_at(iocb, &offset);
	if (!block)
		return -ENOENT;
	if (offset < block->size)
		ret = copy_block(block, offset, to, copy_page_to_iter);
	block_put(block);
	if (ret > 0)
		iocb->ki_pos += ret;
	return ret;
}

static ssize_t mempool_dev_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct pool_block *block;
	ssize_t ret = -ENOSPC;
	size_t offset;

	if (!iov_iter_count(from))
		return 0;
	block = get_block_at(iocb, &offset);
	if (!block)
		return -ENOENT;
	if (offset < block->size)
		ret = copy_block(block, offset, from, copy_page_from_iter);
	block_put(block);
	if (ret > 0)
		iocb->ki_pos += ret;
	return ret;
}

static void mempool_vma_open(struct vm_area_struct *vma)
{
	struct pool_block *block = vma->vm_private_data;

	kref_get(&block->ref);
}

static void mempool_vma_close(struct vm_area_struct *vma)
{
	block_put(vma->vm_private_data);
}

/*
 * The pages are mapped as bare frames, which the VMA's reference to the block
 * keeps, so no page can be pinned beyond the VMA's life.
 */
static vm_fault_t mempool_vma_fault(struct vm_fault *vmf)
{
	struct pool_block *block = vmf->vma->vm_private_data;
	struct page *page = block->pages[vmf->pgoff - block->start];

	return vmf_insert_pfn(vmf->vma, vmf->address, page_to_pfn(page));
}

static const struct vm_operations_struct mempool_vm_ops = {
	.open = mempool_vma_open,
	.close = mempool_vma_close,
	.fault = mempool_vma_fault,
};

static int mempool_dev_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct pool_block *block;

	/* VM_SHARED is not there when the file is open for reading only. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	block = get_block(file->private_data, vma->vm_pgoff);
	if (!block)
		return -ENOENT;
	if (vma_pages(vma) > block->npages - (vma->vm_pgoff - block->start)) {
		block_put(block);
		return -EINVAL;
	}
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = block;
	vma->vm_ops = &mempool_vm_ops;
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
	.llseek = no_seek_end_llseek,
	.read_iter = mempool_dev_read_iter,
	.write_iter = mempool_dev_write_iter,
	.mmap = mempool_dev_mmap,
	.show_fdinfo = mempool_dev_show_fdinfo,
};

static struct miscdevice mempool_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mempool",
	.fops = &mempool_dev_fops,
};

static int device_show(struct seq_file *m, void *unused)
{
	struct kmk_mempool_stats stats;

	get_stats(&stats);
	seq_printf(m, "blocks %llu\nbytes %llu\nmax_bytes %llu\nallocs %llu\nfrees %llu\nrefused %llu\n",
		   stats.blocks, stats.bytes, stats.max_bytes, stats.allocs, stats.frees,
		   stats.refused);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(device);
DEFINE_SHOW_ATTRIBUTE(managers);
DEFINE_SHOW_ATTRIBUTE(pools);

static int __init mempool_module_init(void)
{
	int err;

	if (!max_bytes || max_bytes > LONG_MAX) {
		pr_err("max_bytes=%lu is out of range: give 1 to %ld\n", max_bytes, LONG_MAX);
		return -EINVAL;
	}
	if (mode & ~0777) {
		pr_err("mode=%#o is out of range: give 0 to 0777\n", mode);
		return -EINVAL;
	}
	mempool_dev.mode = S_IFCHR | mode;	/* a misc device takes 0 for "the default" */
	/* Statistics only: nothing depends on debugfs being there. */
	debugfs_dir = debugfs_create_dir(KBUILD_MODNAME, NULL);
	debugfs_create_file("device", 0444, debugfs_dir, NULL, &device_fops);
	debugfs_create_file("managers", 0444, debugfs_dir, NULL, &managers_fops);
	debugfs_create_file("pools", 0444, debugfs_dir, NULL, &pools_fops);
	err = misc_register(&mempool_dev);
	if (err) {
		debugfs_remove(debugfs_dir);
		pr_err("cannot register /dev/mempool (%pe): is there another device of that name?\n",
		       ERR_PTR(err));
		return err;
	}
	pr_info("loaded, max_bytes=%lu\n", max_bytes);
	return 0;
}

static void __exit mempool_module_exit(void)
{
	misc_deregister(&mempool_dev);
	debugfs_remove(debugfs_dir);
	pr_info("unloaded\n");
}

module_init(mempool_module_init);
module_exit(mempool_module_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("Memory pools that detect misuse: an in-kernel API, and /dev/mempool");
MODULE_VERSION(KMK_VERSION);
