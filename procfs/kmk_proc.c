// SPDX-License-Identifier: GPL-2.0
/*
 * kmk_proc - a short list of text entries in /proc/rust_proc
 *
 * What it is: each line that root writes becomes an entry, the newest
 * max_entries of them are kept, and anybody reads them, one a line.
 *
 * Data: all entries of one write make one record, which is escaped once, when
 * it is written, and never changes afterwards. The log is the list of records.
 * A pass of a reader goes over a snapshot: an array of references to records.
 * Readers share the snapshot as long as the log does not change, so that an
 * open file costs next to nothing, however much the log holds.
 *
 * Locks: log_lock guards the log and the snapshot of its present state. It is
 * never held while user memory is touched or memory is allocated, so a reader
 * waits for a writer no longer than it takes to link a record. A reader's own
 * lock serialises the calls on one open file, as seq_file's does. It is taken
 * before log_lock. poll() takes neither.
 *
 * Context: process context only.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ctype.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/nls.h>
#include <linux/overflow.h>
#include <linux/poll.h>
#include <linux/printk.h>
#include <linux/proc_fs.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/wait.h>

#include <kmk/compat.h>
#include <kmk/version.h>

#define NAME		"rust_proc"
#define LINE_MAX	1023		/* bytes of an entry, as written */
#define WRITE_MAX	(64 * 1024)	/* bytes of a write */
#define ENTRIES_MAX	10000
#define ESCAPED		4		/* bytes that one byte becomes: \xHH */

static unsigned int max_entries = 100;
module_param(max_entries, uint, 0444);
MODULE_PARM_DESC(max_entries, "how many entries are kept, 1 to 10000 (default 100)");

static char *greeting = "kmk_proc " KMK_VERSION ": write lines here, read them back";
module_param(greeting, charp, 0444);
MODULE_PARM_DESC(greeting, "the first line when read, at most 1023 bytes; empty: none");

static DEFINE_MUTEX(log_lock);

/* Entries, escaped, each with its newline. The text never changes. */
struct record {
	refcount_t refs;	/* the log's, and one of each snapshot */
	/* Once the record is in the log: */
	struct list_head node __guarded_by(&log_lock);
	u32 lines __guarded_by(&log_lock);	/* that are still in the log */
	u32 skip __guarded_by(&log_lock);	/* bytes of lines that are not */
	u32 size;
	char text[];
};

struct slice {
	struct record *record;
	u32 skip;		/* bytes of the record that are not part of it */
	u32 end;		/* file offset behind it */
};

/* What one pass shows. Never changes once readers can see it. */
struct snapshot {
	refcount_t refs;	/* log_snapshot's, and one of each reader */
	unsigned long added;	/* log_added at that moment */
	u32 room;
	u32 count;
	struct slice slices[];
};

/* An open file. */
struct reader {
	struct mutex lock;		/* one call at a time */
	struct snapshot *snapshot __guarded_by(&lock);	/* of the pass under way */
	/* log_added of the last pass read to its end; poll() reads it without the lock */
	unsigned long seen __guarded_by(&lock);
};

/* oldest first */
static struct list_head log_records __guarded_by(&log_lock) = LIST_HEAD_INIT(log_records);
static u32 log_nr_records __guarded_by(&log_lock);
static u32 log_nr_lines __guarded_by(&log_lock);
/* lines, since the module was loaded; poll() reads it without the lock */
static unsigned long log_added __guarded_by(&log_lock);
static struct snapshot *log_snapshot __guarded_by(&log_lock);	/* of the present state, or NULL */
static struct record *log_greeting;	/* or NULL; set once */

static DECLARE_WAIT_QUEUE_HEAD(log_wait);
static bool log_gone;			/* the module is being unloaded */

static struct record *record_alloc(size_t size)
{
	struct record *record;

	record = kvmalloc(struct_size(record, text, size), GFP_KERNEL_ACCOUNT);
	if (!record)
		return NULL;
	refcount_set(&record->refs, 1);
	record->lines = 0;
	record->skip = 0;
	record->size = size;
	return record;
}

static void record_put(struct record *record)
{
	if (refcount_dec_and_test(&record->refs))
		kvfree(record);
}

static void snapshot_put(struct snapshot *snapshot)
{
	u32 i;

	if (!snapshot || !refcount_dec_and_test(&snapshot->refs))
		return;
	for (i = 0; i < snapshot->count; i++)
		record_put(snapshot->slices[i].record);
	kvfree(snapshot);
}

static u32 snapshot_size(const struct snapshot *snapshot)
{
	return snapshot->count ? snapshot->slices[snapshot->count - 1].end : 0;
}

static void snapshot_add(struct snapshot *snapshot, struct record *record, u32 skip)
	__must_hold(&log_lock)
{
	u32 start = snapshot_size(snapshot);
	struct slice *slice = &snapshot->slices[snapshot->count++];

	lockdep_assert_held(&log_lock);
	refcount_inc(&record->refs);
	slice->record = record;
	slice->skip = skip;
	slice->end = start + record->size - skip;
}

static void snapshot_fill(struct snapshot *snapshot)
	__must_hold(&log_lock)
{
	struct record *record;

	lockdep_assert_held(&log_lock);
	refcount_set(&snapshot->refs, 1);
	snapshot->added = log_added;
	snapshot->count = 0;
	if (log_greeting)
		snapshot_add(snapshot, log_greeting, 0);
	list_for_each_entry(record, &log_records, node)
		snapshot_add(snapshot, record, record->skip);
}

/* The log as it is now, or NULL without memory. */
static struct snapshot *snapshot_get(void)
{
	struct snapshot *spare = NULL, *snapshot;
	u32 need;

	for (;;) {
		mutex_lock(&log_lock);
		need = log_nr_records + 1;	/* and the greeting */
		if (!log_snapshot && spare && spare->room >= need) {
			snapshot_fill(spare);
			log_snapshot = spare;
			spare = NULL;
		}
		snapshot = log_snapshot;
		if (snapshot)
			refcount_inc(&snapshot->refs);
		mutex_unlock(&log_lock);

		kvfree(spare);
		if (snapshot)
			return snapshot;
		/* Allocate without the lock, and look again. */
		need += 8;	/* records that writers may add meanwhile */
		spare = kvmalloc(struct_size(spare, slices, need), GFP_KERNEL_ACCOUNT);
		if (!spare)
			return NULL;
		spare->room = need;
	}
}

/* The slice that holds offset @pos, which is below the snapshot's size. */
static const struct slice *snapshot_find(const struct snapshot *snapshot, u32 pos)
{
	u32 low = 0, high = snapshot->count - 1;

	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (snapshot->slices[middle].end <= pos)
			low = middle + 1;
		else
			high = middle;
	}
	return &snapshot->slices[low];
}

/* Drop lines that are too many, oldest first; whole records go to @dropped. */
static void log_trim(struct list_head *dropped)
	__must_hold(&log_lock)
{
	lockdep_assert_held(&log_lock);
	while (log_nr_lines > max_entries) {
		u32 excess = log_nr_lines - max_entries;
		struct record *oldest;

		oldest = list_first_entry(&log_records, struct record, node);
		if (oldest->lines <= excess) {
			list_move_tail(&oldest->node, dropped);
			log_nr_records--;
			log_nr_lines -= oldest->lines;
		} else {
			char *end = memchr(oldest->text + oldest->skip, '\n',
					   oldest->size - oldest->skip);

			oldest->skip = end + 1 - oldest->text;
			oldest->lines--;
			log_nr_lines--;
		}
	}
}

static void log_append(struct record *new)
{
	struct record *record, *next;
	struct snapshot *stale;
	LIST_HEAD(dropped);

	mutex_lock(&log_lock);
	list_add_tail(&new->node, &log_records);
	log_nr_records++;
	log_nr_lines += new->lines;
	WRITE_ONCE(log_added, log_added + new->lines);
	log_trim(&dropped);
	stale = log_snapshot;
	log_snapshot = NULL;
	mutex_unlock(&log_lock);

	wake_up_interruptible_poll(&log_wait, EPOLLIN | EPOLLRDNORM | EPOLLPRI);
	snapshot_put(stale);
	list_for_each_entry_safe(record, next, &dropped, node)
		record_put(record);
}

/* Printable ASCII but for the backslash, which begins an escape. */
static bool plain(u8 c)
{
	return c >= ' ' && c < 0x7f && c != '\\';
}

/* The same of each byte of a word: a condition that fails sets a top bit. */
static bool all_plain(unsigned long w)
{
	return !((w | (w - REPEAT_BYTE(' ')) | (w + REPEAT_BYTE(1)) |
		  ((w ^ REPEAT_BYTE('\\')) - REPEAT_BYTE(1))) & REPEAT_BYTE(0x80));
}

/*
 * Bytes at @text that may be shown as they are: plain ones, or one UTF-8
 * character that is not a control (U+0080 to U+009F drive terminals too).
 * 0: the first byte must be escaped.
 */
static size_t printable(const u8 *text, size_t len)
{
	unsigned long word;
	unicode_t c;
	size_t n = 0;
	int bytes;

	for (; len - n >= sizeof(word); n += sizeof(word)) {
		memcpy(&word, text + n, sizeof(word));
		if (!all_plain(word))
			break;
	}
	while (n < len && plain(text[n]))
		n++;
	if (n || isascii(text[0]))
		return n;
	bytes = utf8_to_utf32(text, len, &c);
	return bytes > 0 && c >= 0xa0 ? bytes : 0;
}

/*
 * Write the first bytes of @text to @*to, so that they stay on their line:
 * what is printable, or else one byte as \xHH. Returns how many they are.
 */
static size_t escape(char **to, const char *text, size_t len)
{
	size_t n = printable(text, len);

	if (n) {
		memcpy(*to, text, n);
		*to += n;
		return n;
	}
	*(*to)++ = '\\';
	*(*to)++ = 'x';
	*to = hex_byte_pack(*to, *text);
	return 1;
}

/*
 * Write the non-empty lines of @text to @to as entries; the last byte of @text
 * is a newline. Counts them in @lines and returns the end, or NULL when a line
 * is too long.
 */
static char *render(char *to, const char *text, size_t len, u32 *lines)
{
	const char *end = text + len, *line = text;

	*lines = 0;
	while (text < end) {
		if (*text != '\n') {
			text += escape(&to, text, end - text);
			if (text - line > LINE_MAX)
				return NULL;
		} else {
			if (text > line) {
				*to++ = '\n';
				++*lines;
			}
			line = ++text;
		}
	}
	return to;
}

static ssize_t kmk_proc_write(struct file *file, const char __user *from,
			      size_t len, loff_t *pos)
{
	struct record *record;
	char *text, *entries, *end;
	ssize_t ret;
	u32 lines;

	if (len > WRITE_MAX)
		return -E2BIG;

	/* The text as written and, in case the last line lacks it, a newline; its entries. */
	text = kvmalloc((len + 1) + (ESCAPED * len + 1), GFP_KERNEL);
	if (!text)
		return -ENOMEM;
	ret = -EFAULT;
	if (copy_from_user(text, from, len))
		goto free_text;
	text[len] = '\n';
	entries = text + len + 1;
	ret = -EMSGSIZE;
	end = render(entries, text, len + 1, &lines);
	if (!end)
		goto free_text;
	ret = len;
	if (!lines)
		goto free_text;

	record = record_alloc(end - entries);
	if (!record) {
		ret = -ENOMEM;
		goto free_text;
	}
	record->lines = lines;
	memcpy(record->text, entries, record->size);
	log_append(record);
free_text:
	kvfree(text);
	return ret;
}

/* Reading from the beginning, and only that, begins a new pass. */
static int reader_begin(struct reader *reader, loff_t pos)
	__must_hold(&reader->lock)
{
	struct snapshot *snapshot;

	lockdep_assert_held(&reader->lock);
	if (pos && reader->snapshot)
		return 0;
	snapshot = snapshot_get();
	if (!snapshot)
		return -ENOMEM;
	snapshot_put(reader->snapshot);
	reader->snapshot = snapshot;
	return 0;
}

/* Copy what @to has room for, from @*pos on; bytes, or -EFAULT if none. */
static ssize_t reader_copy(const struct snapshot *snapshot, loff_t *pos, struct iov_iter *to)
{
	u32 size = snapshot_size(snapshot);
	const struct slice *slice;
	size_t done = 0;

	if (*pos >= size)
		return 0;
	slice = snapshot_find(snapshot, *pos);
	while (*pos < size && iov_iter_count(to)) {
		const struct record *record = slice->record;
		size_t left = slice->end - *pos;
		size_t want = min(left, iov_iter_count(to));
		size_t n = copy_to_iter(record->text + record->size - left, want, to);

		*pos += n;
		done += n;
		if (n < want)
			return done ?: -EFAULT;
		slice++;
	}
	return done;
}

static ssize_t kmk_proc_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct reader *reader = iocb->ki_filp->private_data;
	ssize_t ret;

	mutex_lock(&reader->lock);
	ret = reader_begin(reader, iocb->ki_pos);
	if (ret)
		goto unlock;
	ret = reader_copy(reader->snapshot, &iocb->ki_pos, to);
	if (iocb->ki_pos >= snapshot_size(reader->snapshot))
		WRITE_ONCE(reader->seen, reader->snapshot->added);
unlock:
	mutex_unlock(&reader->lock);
	return ret;
}

static __poll_t kmk_proc_poll(struct file *file, poll_table *wait)
{
	struct reader *reader = file->private_data;
	__poll_t mask = EPOLLOUT | EPOLLWRNORM;	/* a write never waits for room */

	/* Once log_gone is set nobody joins the queue, and every wait ends. */
	if (!READ_ONCE(log_gone))
		poll_wait(file, &log_wait, wait);
	if (READ_ONCE(log_gone))
		return EPOLLIN | EPOLLRDNORM | EPOLLPRI | EPOLLERR | EPOLLHUP;
	if (READ_ONCE(log_added) != READ_ONCE(reader->seen))
		mask |= EPOLLIN | EPOLLRDNORM | EPOLLPRI;
	return mask;
}

static int kmk_proc_open(struct inode *inode, struct file *file)
{
	struct reader *reader;

	reader = kzalloc(sizeof(*reader), GFP_KERNEL_ACCOUNT);
	if (!reader)
		return -ENOMEM;
	mutex_init(&reader->lock);
	file->private_data = reader;
	return 0;
}

static int kmk_proc_release(struct inode *inode, struct file *file)
{
	struct reader *reader = file->private_data;

	snapshot_put(reader->snapshot);
	mutex_destroy(&reader->lock);
	kfree(reader);
	return 0;
}

static const struct proc_ops kmk_proc_ops = {
	.proc_open	= kmk_proc_open,
	.proc_release	= kmk_proc_release,
	.proc_read_iter	= kmk_proc_read_iter,
	.proc_write	= kmk_proc_write,
	.proc_lseek	= no_seek_end_llseek,
	.proc_poll	= kmk_proc_poll,
};

/*
 * Nothing pins a module that has a /proc entry, so a poller may still be in
 * log_wait. At POLLFREE epoll, aio and io_uring leave by themselves; poll and
 * select do when they have been woken and have looked, which log_gone makes
 * end their wait whatever event they wait for.
 */
static void evict_pollers(void)
{
	bool empty;

	for (;;) {
		__wake_up(&log_wait, TASK_NORMAL, 0,
			  poll_to_key(EPOLLIN | EPOLLPRI | EPOLLERR | EPOLLHUP | POLLFREE));
		/* The lock, because the last one to leave may still hold it. */
		spin_lock_irq(&log_wait.lock);
		empty = list_empty(&log_wait.head);
		spin_unlock_irq(&log_wait.lock);
		if (empty)
			break;
		fsleep(1000);
	}
}

static int __init greeting_init(void)
{
	const char *from = greeting;
	size_t len = strlen(from);
	char *to;

	if (!len)
		return 0;
	log_greeting = record_alloc(ESCAPED * len + 1);
	if (!log_greeting)
		return -ENOMEM;
	to = log_greeting->text;
	while (len) {
		size_t n = escape(&to, from, len);

		from += n;
		len -= n;
	}
	*to++ = '\n';
	log_greeting->size = to - log_greeting->text;
	return 0;
}

static int __init kmk_proc_init(void)
{
	int ret;

	if (!max_entries || max_entries > ENTRIES_MAX) {
		pr_err("max_entries=%u: give a number from 1 to %u\n", max_entries, ENTRIES_MAX);
		return -EINVAL;
	}
	if (strlen(greeting) > LINE_MAX) {
		pr_err("greeting: give at most %u bytes\n", LINE_MAX);
		return -EINVAL;
	}
	ret = greeting_init();
	if (ret) {
		pr_err("no memory for the greeting: free some and try again\n");
		return ret;
	}
	if (!proc_create(NAME, 0644, NULL, &kmk_proc_ops)) {
		pr_err("cannot create /proc/" NAME ": is it there already?\n");
		ret = -ENOMEM;
		goto put_greeting;
	}
	pr_info("loaded, /proc/" NAME " keeps %u entries\n", max_entries);
	return 0;

put_greeting:
	if (log_greeting)
		record_put(log_greeting);
	return ret;
}

static void __exit kmk_proc_exit(void)
{
	struct record *record, *next;

	/*
	 * Pollers are sent away while the entry is still there to be asked,
	 * and once more after the last call has ended.
	 */
	WRITE_ONCE(log_gone, true);
	evict_pollers();
	remove_proc_entry(NAME, NULL);
	evict_pollers();
	synchronize_rcu();	/* epoll leaves a queue under RCU */

	snapshot_put(log_snapshot);
	list_for_each_entry_safe(record, next, &log_records, node)
		record_put(record);
	if (log_greeting)
		record_put(log_greeting);
	pr_info("unloaded\n");
}

module_init(kmk_proc_init);
module_exit(kmk_proc_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodkit developers");
MODULE_DESCRIPTION("Text entries in /proc: escaped, bounded, read as snapshots");
MODULE_VERSION(KMK_VERSION);
