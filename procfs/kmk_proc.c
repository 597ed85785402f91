// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_proc - a short list of text entries in /proc/rust_proc
 *
 * Each line that an administrator writes becomes an entry. The newest
 * max_entries of them are kept, and everybody can read them, one a line.
 *
 * Data: the log is an array of max_entries slots, allocated at load; a new
 * entry overwrites the oldest. Entries are stored as written, and escaped when
 * they are copied for a reader. An open file has a copy of what the pass under
 * way shows, which is charged to the reader, and the line that its writers have
 * not ended yet.
 *
 * Locks: log_lock guards the log and the unfinished lines. It is never held
 * while user memory is touched or memory is allocated. The lock of an open file
 * serialises its reads, and is held while user memory is touched: a reader that
 * stalls there delays only readers of the same open file. It is taken before
 * log_lock. poll() takes neither.
 *
 * Context: process context only.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/poll.h>
#include <linux/printk.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uio.h>
#include <linux/user_namespace.h>
#include <linux/wait.h>

#include <kmk/compat.h>
#include <kmk/version.h>

#define NAME		"rust_proc"
#define LINE_MAX	1023		/* bytes of an entry, as written */
#define WRITE_MAX	(64 * 1024)	/* bytes of a write */
#define ENTRIES_MAX	10000
#define ESCAPED		4		/* bytes that one byte becomes: \xHH */
#define NEWS		(EPOLLIN | EPOLLRDNORM | EPOLLPRI)

static unsigned int max_entries = 100;
module_param(max_entries, uint, 0444);
MODULE_PARM_DESC(max_entries, "how many entries are kept, 1 to 10000 (default 100)");

static char *greeting = "kmk_proc " KMK_VERSION ": write lines here, read them back";
module_param(greeting, charp, 0444);
MODULE_PARM_DESC(greeting, "the first line when read, at most 1023 bytes; empty: none");

struct kmk_proc_entry {
	u16 size;		/* bytes of text, without a newline */
	u16 shown;		/* bytes that a reader gets: escaped, with a newline */
	char text[LINE_MAX];
};

/* An open file. */
struct kmk_proc_file {
	struct mutex lock;			/* one read at a time */
	/* The copy that the pass under way shows, NULL between two passes; and its bytes. */
	char *text __guarded_by(&lock);
	size_t size __guarded_by(&lock);
	loff_t start __guarded_by(&lock);	/* file offset of the pass */
	unsigned long added __guarded_by(&lock);	/* log_added when it began */
	/* log_added of the last pass read to its end; poll() reads it without the lock */
	unsigned long seen __guarded_by(&lock);
	bool polled;				/* poll() told of entries, since the pass began */

	u32 len __guarded_by(&log_lock);	/* of the unfinished line */
	char line[] __guarded_by(&log_lock);	/* LINE_MAX bytes, if open for writing */
};

static DEFINE_MUTEX(log_lock);
static struct kmk_proc_entry *log_entries __guarded_by(&log_lock);	/* max_entries slots */
static u32 log_next __guarded_by(&log_lock);	/* the slot of the next entry */
static u32 log_kept __guarded_by(&log_lock);	/* slots in use */
/* entries since the module was loaded; poll() reads it without the lock */
static unsigned long log_added __guarded_by(&log_lock);
static struct kmk_proc_entry log_greeting;	/* set once; of size 0 if there is none */

static DECLARE_WAIT_QUEUE_HEAD(log_wait);

/* Printable ASCII but for the backslash, which begins an escape. */
static bool kmk_proc_plain(u8 c)
{
	return c >= ' ' && c < 0x7f && c != '\\';
}

/* The same of each byte of a word: a condition that fails sets a top bit. */
static bool kmk_proc_all_plain(unsigned long w)
{
	return !((w | (w - REPEAT_BYTE(' ')) | (w + REPEAT_BYTE(1)) |
		  ((w ^ REPEAT_BYTE('\\')) - REPEAT_BYTE(1))) & REPEAT_BYTE(0x80));
}

/*
 * How many bytes of @text a reader gets as they are: plain ones, or one character
 * beyond ASCII. 0 if the first byte must be escaped, as that of what is not UTF-8,
 * and of a character that drives a terminal, begins another line, or changes the
 * direction of text.
 */
static size_t kmk_proc_printable(const u8 *text, size_t len)
{
	size_t size = 0, i;
	unsigned long word;
	u32 c;

	for (; len - size >= sizeof(word); size += sizeof(word)) {
		memcpy(&word, text + size, sizeof(word));
		if (!kmk_proc_all_plain(word))
			break;
	}
	while (size < len && kmk_proc_plain(text[size]))
		size++;
	c = text[0];
	if (size || c < 0x80)
		return size;
	/* No character begins with 0x80 to 0xc1 or 0xf5 to 0xff. */
	size = c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
	if (!size || size > len)
		return 0;
	c &= 0x7f >> size;
	for (i = 1; i < size; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (text[i] & 0x3f);
	}
	/* Encodings longer than the shortest, and what is beyond Unicode. */
	if ((size == 3 && c < 0x800) || (size == 4 && c < 0x10000) || c > 0x10ffff)
		return 0;
	switch (c) {
	case 0x0080 ... 0x009f:		/* controls */
	case 0x061c:			/* marks of direction */
	case 0x200e ... 0x200f:
	case 0x2028 ... 0x2029:		/* separators of lines and of paragraphs */
	case 0x202a ... 0x202e:		/* embeddings and overrides of direction */
	case 0x2066 ... 0x2069:		/* isolates of direction */
	case 0xd800 ... 0xdfff:		/* halves of UTF-16 pairs */
		return 0;
	}
	return size;
}

static void kmk_proc_set(struct kmk_proc_entry *entry, const char *text, size_t len)
{
	size_t shown = 1, at, n;

	for (at = 0; at < len; at += n ?: 1) {
		n = kmk_proc_printable(text + at, len - at);
		shown += n ?: ESCAPED;
	}
	memcpy(entry->text, text, len);
	entry->size = len;
	entry->shown = shown;
}

/* Write @entry to @to as a reader gets it; returns the end. */
static char *kmk_proc_show(char *to, const struct kmk_proc_entry *entry)
{
	size_t at, n;

	if (entry->shown == entry->size + 1) {
		memcpy(to, entry->text, entry->size);
		to += entry->size;
	} else {
		for (at = 0; at < entry->size; at += n) {
			n = kmk_proc_printable(entry->text + at, entry->size - at);
			if (n) {
				memcpy(to, entry->text + at, n);
				to += n;
			} else {
				*to++ = '\\';
				*to++ = 'x';
				to = hex_byte_pack(to, entry->text[at]);
				n = 1;
			}
		}
	}
	*to++ = '\n';
	return to;
}

static struct kmk_proc_entry *kmk_proc_newest(u32 nth)
	__must_hold(&log_lock)
{
	return &log_entries[(log_next + max_entries - nth) % max_entries];
}

/* The unfinished line ends; true if it became an entry, false if it was empty. */
static bool kmk_proc_end_line(struct kmk_proc_file *pf)
	__must_hold(&log_lock)
{
	if (!pf->len)
		return false;
	kmk_proc_set(&log_entries[log_next], pf->line, pf->len);
	pf->len = 0;
	log_next = (log_next + 1) % max_entries;
	log_kept = min(log_kept + 1, max_entries);
	WRITE_ONCE(log_added, log_added + 1);
	return true;
}

/* Whether a line of @text is too long; @size bytes of the first line came before. */
static bool kmk_proc_too_long(const char *text, size_t len, size_t size)
{
	size_t i;

	if (size + len <= LINE_MAX)
		return false;
	for (i = 0; i < len && size <= LINE_MAX; i++)
		size = text[i] == '\n' ? 0 : size + 1;
	return size > LINE_MAX;
}

/* Add what @text has, or, if a line is too long, nothing, and drop the unfinished line. */
static int kmk_proc_append(struct kmk_proc_file *pf, const char *text, size_t len)
{
	const char *end = text + len, *newline;
	bool added = false;
	size_t size;

	mutex_lock(&log_lock);
	if (kmk_proc_too_long(text, len, pf->len)) {
		pf->len = 0;
		mutex_unlock(&log_lock);
		return -EMSGSIZE;
	}
	for (; text < end; text += size + 1) {
		newline = memchr(text, '\n', end - text);
		size = (newline ?: end) - text;
		memcpy(pf->line + pf->len, text, size);
		pf->len += size;
		if (newline)
			added |= kmk_proc_end_line(pf);
	}
	mutex_unlock(&log_lock);

	if (added)
		wake_up_interruptible_poll(&log_wait, NEWS);
	return 0;
}

static ssize_t kmk_proc_write(struct file *file, const char __user *from,
			      size_t len, loff_t *pos)
{
	char *text;
	int err;

	/* The file's mode lets root of a container open it, but the log is the machine's. */
	if (!file_ns_capable(file, &init_user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	if (len > WRITE_MAX)
		return -E2BIG;
	text = vmemdup_user(from, len);
	if (IS_ERR(text))
		return PTR_ERR(text);
	err = kmk_proc_append(file->private_data, text, len);
	kvfree(text);
	return err ?: len;
}

/*
 * Copy the entries that were added since the last pass, or, from the beginning
 * of the file, the greeting and all entries.
 */
static int kmk_proc_begin_pass(struct kmk_proc_file *pf)
	__must_hold(&pf->lock)
{
	size_t size, room = 0;
	char *text = NULL, *to;
	u32 count, i;

	lockdep_assert_held(&pf->lock);
	for (;;) {
		mutex_lock(&log_lock);
		count = pf->start ? min(log_added - pf->seen, (unsigned long)log_kept) : log_kept;
		size = pf->start ? 0 : log_greeting.shown;
		for (i = count; i; i--)
			size += kmk_proc_newest(i)->shown;
		if (size <= room)
			break;
		mutex_unlock(&log_lock);
		/*
		 * Allocate without the lock, and look again: writers may have added more. The
		 * reader's cgroup pays, and no process of it is killed for that: ENOMEM.
		 */
		kvfree(text);
		text = kvmalloc(size, GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
		if (!text)
			return -ENOMEM;
		room = size;
	}
	to = text;
	if (!pf->start && log_greeting.size)
		to = kmk_proc_show(to, &log_greeting);
	for (i = count; i; i--) {
		to = kmk_proc_show(to, kmk_proc_newest(i));
		cond_resched();
	}
	pf->added = log_added;
	mutex_unlock(&log_lock);

	pf->text = text;
	pf->size = size;
	WRITE_ONCE(pf->polled, false);
	return 0;
}

static void kmk_proc_end_pass(struct kmk_proc_file *pf)
	__must_hold(&pf->lock)
{
	lockdep_assert_held(&pf->lock);
	kvfree(pf->text);
	pf->text = NULL;
	pf->start += pf->size;
	pf->size = 0;
	WRITE_ONCE(pf->seen, pf->added);
}

static ssize_t kmk_proc_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct kmk_proc_file *pf = iocb->ki_filp->private_data;
	ssize_t ret = 0;
	loff_t left;

	if (!iov_iter_count(to))
		return 0;
	if (mutex_lock_interruptible(&pf->lock))
		return -ERESTARTSYS;
	if (!iocb->ki_pos || iocb->ki_pos < pf->start) {
		/* From before what is at hand: a pass over the whole list begins. */
		kmk_proc_end_pass(pf);
		pf->start = 0;
		WRITE_ONCE(pf->seen, 0);
	} else if (iocb->ki_pos == pf->start + pf->size && READ_ONCE(pf->polled)) {
		/* The end, but poll() has told that there is more: no read of 0 bytes between. */
		kmk_proc_end_pass(pf);
	}
	if (!pf->text) {
		ret = kmk_proc_begin_pass(pf);
		if (ret)
			goto unlock;
	}
	left = pf->start + pf->size - iocb->ki_pos;
	if (left > 0) {
		ret = copy_to_iter(pf->text + pf->size - left, left, to);
		iocb->ki_pos += ret;
		if (ret == left)
			WRITE_ONCE(pf->seen, pf->added);
		else if (!ret)
			ret = -EFAULT;
	} else if (!left) {
		kmk_proc_end_pass(pf);
	}
unlock:
	mutex_unlock(&pf->lock);
	return ret;
}

static __poll_t kmk_proc_poll(struct file *file, poll_table *wait)
{
	struct kmk_proc_file *pf = file->private_data;
	__poll_t mask = EPOLLOUT | EPOLLWRNORM;	/* a write never waits for room */

	poll_wait(file, &log_wait, wait);
	if (READ_ONCE(log_added) != READ_ONCE(pf->seen)) {
		WRITE_ONCE(pf->polled, true);
		mask |= NEWS;
	}
	return mask;
}

static int kmk_proc_open(struct inode *inode, struct file *file)
{
	size_t room = file->f_mode & FMODE_WRITE ? LINE_MAX : 0;
	struct kmk_proc_file *pf;

	pf = kzalloc(struct_size(pf, line, room), GFP_KERNEL_ACCOUNT);
	if (!pf)
		return -ENOMEM;
	/*
	 * A module that pins itself is usually too late: it may be gone before it
	 * gets here, and go before it returns from module_put(). Not so in these two
	 * operations: remove_proc_entry(), in kmk_proc_exit(), waits for both.
	 */
	if (!try_module_get(THIS_MODULE)) {
		kfree(pf);
		return -ENODEV;
	}
	mutex_init(&pf->lock);
	file->private_data = pf;
	return 0;
}

static int kmk_proc_release(struct inode *inode, struct file *file)
{
	struct kmk_proc_file *pf = file->private_data;

	if (file->f_mode & FMODE_WRITE)
		kmk_proc_append(pf, "\n", 1);	/* ends a line that is unfinished */
	kvfree(pf->text);
	mutex_destroy(&pf->lock);
	kfree(pf);
	module_put(THIS_MODULE);
	return 0;
}

static const struct proc_ops kmk_proc_ops = {
	.proc_open	= kmk_proc_open,
	.proc_release	= kmk_proc_release,
	.proc_read_iter	= kmk_proc_read_iter,
	.proc_write	= kmk_proc_write,
	/* SEEK_END counts from the size, 0: programs that append seek there first. */
	.proc_lseek	= default_llseek,
	.proc_poll	= kmk_proc_poll,
};

static int __init kmk_proc_init(void)
{
	size_t len = strlen(greeting);

	if (!max_entries || max_entries > ENTRIES_MAX) {
		pr_err("max_entries=%u: give a number from 1 to %u\n", max_entries, ENTRIES_MAX);
		return -EINVAL;
	}
	if (len > LINE_MAX) {
		pr_err("greeting: give at most %u bytes\n", LINE_MAX);
		return -EINVAL;
	}
	if (len)
		kmk_proc_set(&log_greeting, greeting, len);
	log_entries = kvcalloc(max_entries, sizeof(*log_entries), GFP_KERNEL);
	if (!log_entries) {
		pr_err("no memory for %u entries: give a smaller max_entries\n", max_entries);
		return -ENOMEM;
	}
	if (!proc_create(NAME, 0644, NULL, &kmk_proc_ops)) {
		pr_err("cannot create /proc/" NAME ": is it there already?\n");
		kvfree(log_entries);
		return -ENOMEM;
	}
	pr_info("loaded, /proc/" NAME " keeps %u entries\n", max_entries);
	return 0;
}

static void __exit kmk_proc_exit(void)
{
	remove_proc_entry(NAME, NULL);
	kvfree(log_entries);
	pr_info("unloaded\n");
}

module_init(kmk_proc_init);
module_exit(kmk_proc_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("Text entries in /proc: escaped, bounded, read as snapshots");
MODULE_VERSION(KMK_VERSION);
