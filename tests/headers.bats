#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Kernels that nobody here has: their headers, made from those of Debian's kernels. All
# modules build for each without a warning, and need nothing that it does not export.

bats_require_minimum_version 1.5.0

setup_file() {
	mkdir -p "$BATS_TEST_DIRNAME/../build"
	make -s -C "$BATS_TEST_DIRNAME/.." dkms-source DESTDIR="$BATS_FILE_TMPDIR/src"
}

# Where the toolchain's root sees it.
setup() {
	. "$BATS_TEST_DIRNAME/../rig/kernels/common"
	here=$BATS_TEST_DIRNAME/../rig/kernels
	lookup 5.10	# with whose tools all are built
	variables=()
	choose_tools 2>&3
	dir=$(mktemp -d "$top/build/headers.XXXXXX")
}

teardown() {
	rm -rf "$dir"
}

# The headers of a kernel of the list. A file that sed -i or awk changes is no longer linked.
headers_of() {
	local kernel

	kernel=$("$here/fetch" "$1" 2>&3)
	cp -al "$kernel/usr" "$dir/"
	build=$(echo "$dir"/usr/src/linux-headers-*-amd64)
	include=$(echo "$dir"/usr/src/linux-headers-*-common/include)
	cp "$build/Module.symvers" "$dir/symvers"
	mv "$dir/symvers" "$build/Module.symvers"
}

# The kernel has no functions of these names.
without() {
	local name

	for name; do
		grep -rlw "$name" "$include" | xargs sed -i "s/\<$name\>/no_$name/g"
		sed -i "/\t$name\t/d" "$build/Module.symvers"
	done
}

exported() {
	printf '0x00000000\t%s\tvmlinux\tEXPORT_SYMBOL_GPL\t\n' "$@" >> "$build/Module.symvers"
}

# Declare in a header what stands in the standard input.
declare_in() {
	local header=$include/linux/$1

	cat > "$dir/declarations"
	awk -v last="$(grep -n '^#endif' "$header" | tail -n 1 | cut -d: -f1)" -v file="$dir/declarations" '
		NR == last { while ((getline line < file) > 0) print line }
		{ print }' "$header" > "$dir/header"
	mv "$dir/header" "$header"
}

# Change a declaration in a header; that it was changed is part of the test.
change() {
	local header=$include/linux/$1

	cp "$header" "$dir/before"
	sed -i -z -E "$2" "$header"
	run ! cmp -s "$dir/before" "$header"
}

# The symbols that a kernel without an option does not export.
declare -gA exports_of=(
	[TRANSPARENT_HUGEPAGE]='split_huge_|thp_|(vmf_insert_pfn|vmf_insert_folio)_p[mu]d'
	[MIGRATION]='(filemap_|buffer_)?migrate_(folio|page)|folio_migrate_'
	[FS_POSIX_ACL]='_*posix_acl_|nop_posix_acl_|set_posix_acl|get_(inode_)?acl$|(get|set|forget)(_all)?_cached_acl'
	[IO_URING]='_*io_uring_'
	[KALLSYMS]='kallsyms_|sprint_symbol'
	[DEBUG_FS]='debugfs_'
	[TRACEPOINTS]='_*tracepoint_|__traceiter_|__SC[TK]__tp_func_|_*trace_(event|raw|print|handle)|(perf|bpf)_trace_'
	[COMPAT]='compat_'
	[NLS]='utf(8|16|32)|_*(un)?(load|register)_nls'
)

# The kernel was configured without these options; the first of them is one that it has.
off() {
	local option

	grep -q "^CONFIG_$1=" "$build/include/config/auto.conf"
	for option; do
		sed -i "/^CONFIG_$option=/d" "$build/include/config/auto.conf"
		sed -i "/^#define CONFIG_$option\(_MODULE\)\? /d" "$build/include/generated/autoconf.h"
		[ -z "${exports_of[$option]:-}" ] ||
			sed -i -E "/^[^\t]*\t(${exports_of[$option]})/d" "$build/Module.symvers"
	done
}

all_build() {
	rm -rf "$dir/src"
	cp -r "$BATS_FILE_TMPDIR"/src/usr/src/kmodkit-* "$dir/src"
	run kbuild "$build" "$dir/src"
	echo "$output"
	[ "$status" -eq 0 ]
	run ! grep -E 'warning:|WARNING' <<< "$output"
	[ "$(find "$dir/src" -name 'kmk_*.ko' | wc -l)" -eq 7 ]
}

# Functions that came between 6.2 and 7.3, as a distribution's 6.1 may have them.
newer_functions() {
	declare_in hrtimer.h <<-'END'
	void hrtimer_setup(struct hrtimer *timer, enum hrtimer_restart (*function)(struct hrtimer *),
			   clockid_t clock, enum hrtimer_mode mode);
	END
	declare_in uio.h <<-'END'
	static inline size_t copy_folio_from_iter(struct folio *folio, size_t offset, size_t bytes,
						  struct iov_iter *i)
	{
		return copy_page_from_iter((struct page *)folio, offset, bytes, i);
	}
	END
	declare_in mm.h <<-'END'
	static inline void vm_flags_mod(struct vm_area_struct *vma, unsigned long set,
					unsigned long clear)
	{
		vma->vm_flags = (vma->vm_flags | set) & ~clear;
	}
	END
	declare_in uaccess.h <<-'END'
	static inline int copy_struct_to_user(void __user *to, size_t usize, const void *from, size_t ksize,
					      bool *ignored)
	{
		return copy_to_user(to, from, usize < ksize ? usize : ksize) ? -EFAULT : 0;
	}
	END
	declare_in dcache.h <<-'END'
	struct inode;
	extern void d_make_persistent(struct dentry *dentry, struct inode *inode);
	extern void d_make_discardable(struct dentry *dentry);
	END
	declare_in fs.h <<-'END'
	int inode_just_drop(struct inode *inode);
	struct timespec64 simple_inode_init_ts(struct inode *inode);
	ssize_t copy_splice_read(struct file *in, loff_t *ppos, struct pipe_inode_info *pipe,
				 size_t len, unsigned int flags);
	static inline void super_set_uuid(struct super_block *sb, const u8 *uuid, unsigned int len)
	{
		memcpy(&sb->s_uuid, uuid, len);
	}
	static inline struct timespec64 inode_set_mtime_to_ts(struct inode *inode, struct timespec64 ts)
	{
		return inode->i_mtime = ts;
	}
	END
}

@test "a macro of two lines in front of a structure, and what is exported to some modules only" {
	probe() { sh "$BATS_TEST_DIRNAME/../include/kmk/probe" "${include%/include}" "$build"; }
	headers_of 6.1
	before=$(probe)
	change fs.h 's/\nstruct inode \{/\n#define call(x) \\\n\tcalled(x)&/'
	change mm_types.h 's/\nstruct folio \{/\n#define call(x) \\\n\tcalled(x)&/'
	[ "$(probe)" = "$before" ]

	declare_in hrtimer.h <<< 'extern void hrtimer_setup(void);'
	printf '0x00000000\thrtimer_setup\tvmlinux\tEXPORT_SYMBOL_GPL\tmodule:kvm\n' >> "$build/Module.symvers"
	[ "$(probe)" = "$before" ]
	exported hrtimer_setup
	[[ $(probe) == *"-DKMK_HAS_hrtimer_setup "* ]]
}

@test "the newer functions, beside an older kernel's tables" {
	headers_of 6.1
	newer_functions
	exported hrtimer_setup d_make_persistent d_make_discardable \
		inode_just_drop simple_inode_init_ts copy_splice_read
	all_build
}

@test "the newer functions, but for the kernel itself alone" {
	headers_of 6.1
	newer_functions
	all_build
}

@test "the user namespace of the mount, but no folios: as 5.12" {
	headers_of 5.10
	change fs.h 's/(\(\*(create|symlink|mkdir|mknod|rename|tmpfile|set_acl)\) ?\()struct inode/\1struct user_namespace *, struct inode/g'
	change fs.h 's/(\(\*(setattr|getattr)\) \()/\1struct user_namespace *, /g'
	change fs.h 's/(extern [a-z]+ (inode_owner_or_capable|inode_init_owner|generic_fillattr|setattr_prepare|setattr_copy)\()/\1struct user_namespace *, /g'
	change posix_acl.h 's/(extern int posix_acl_(chmod|update_mode)\()/\1struct user_namespace *, /g'
	change xattr.h 's/(\(\*set\)\(const struct xattr_handler \*, )/\1struct user_namespace *, /'
	change mm.h 's/void (\(\*map_pages\))/vm_fault_t \1/'
	change mm.h 's/void (filemap_map_pages)/vm_fault_t \1/'
	declare_in fs.h <<-'END'
	#define FS_ALLOW_IDMAP 32
	#define file_mnt_user_ns(file) ((file)->f_cred->user_ns)
	END
	declare_in irqdesc.h <<< 'int irq_check_status_bit(unsigned int irq, unsigned int bitmask);'
	exported irq_check_status_bit
	all_build
}

@test "folios, but operations of pages: as 5.16" {
	headers_of 6.1
	without folio_maybe_dma_pinned folio_address copy_folio_to_iter filemap_lock_folio noop_dirty_folio PageHeadHuge \
		inode_set_ctime_current inode_get_ctime inode_set_ctime_to_ts alloc_inode_sb __uninitialized uring_cmd
	change fs.h 's/(\(\*read)_folio(\)\(struct file \*, struct) folio/\1page\2 page/'
	change fs.h 's/bool \(\*dirty_folio\)\(struct address_space \*, struct folio/int (*set_page_dirty)(struct page/'
	change fs.h 's/(\(\*migrate)_folio(\)\(struct address_space \*, struct) folio \*dst,[ \t\n]*struct folio/\1page\2 page *, struct page/'
	change fs.h 's/(\(\*tmpfile\) \(struct user_namespace \*, struct inode \*,[^)]*)struct file/\1struct dentry/'
	change dcache.h 's/d_tmpfile\(struct file/d_tmpfile(struct dentry/'
	declare_in migrate.h <<-'END'
	int migrate_page(struct address_space *mapping, struct page *dst, struct page *src, enum migrate_mode mode);
	END
	exported migrate_page
	all_build
}

@test "what came between 5.12 and 5.15 is not there" {
	headers_of 6.1
	without filemap_invalidate_lock fileattr_set lockdep_assert
	declare_in fs.h <<-'END'
	int vfs_ioc_setflags_prepare(struct inode *inode, unsigned int before, unsigned int now);
	END
	exported vfs_ioc_setflags_prepare
	all_build
}

@test "io_uring's commands, done without flags" {
	headers_of 6.1
	change io_uring.h 's/(io_uring_cmd_done\([^)]*),[ \t\n]*unsigned( int)? issue_flags\)/\1)/g'
	all_build
}

@test "->set_acl() of a dentry, beside the user namespace of the mount" {
	headers_of 6.1
	change fs.h 's/(\(\*set_acl\)\(struct user_namespace \*, )struct inode/\1struct dentry/'
	change posix_acl.h 's/(posix_acl_chmod\(struct user_namespace \*, )struct inode/\1struct dentry/g'
	all_build
}

@test "folios, but ->tmpfile() of a dentry, and no noop_dirty_folio()" {
	headers_of 6.1
	without noop_dirty_folio
	change fs.h 's/(\(\*tmpfile\) \(struct user_namespace \*, struct inode \*,[^)]*)struct file/\1struct dentry/'
	change dcache.h 's/d_tmpfile\(struct file/d_tmpfile(struct dentry/'
	all_build
}

@test "the mount's idmap, but generic_fillattr() without the mask, and leases in linux/fs.h" {
	headers_of 6.12
	change fs.h 's/(generic_fillattr\(struct mnt_idmap \*, )u32, /\1/'
	rm "$include/linux/filelock.h"
	declare_in fs.h <<< 'int generic_setlease(struct file *, int, void **lease, void **priv);'
	change fs.h 's/(\(\*setlease\)\(struct file \*, int, )struct file_lease/\1void/'
	grep -rl 'linux/filelock\.h' "$include" | xargs -r sed -i '/linux\/filelock\.h/d'
	all_build
}

@test "->create() without excl, and ->mkdir() that returns a dentry, on an older kernel" {
	headers_of 6.12
	change fs.h 's/(\(\*create\) \([^)]*umode_t), bool\)/\1)/'
	change fs.h 's/int \(\*mkdir\)/struct dentry *(*mkdir)/'
	all_build
}

@test "a header is missing: a line says which" {
	headers_of 6.1
	rm "$include/linux/hrtimer.h"
	cp -r "$BATS_FILE_TMPDIR"/src/usr/src/kmodkit-* "$dir/src"
	run make -C "$dir/src" KDIR="$build" CONFIG_DEBUG_INFO_BTF_MODULES=
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *"kmodkit: include/kmk/probe: no "*"/include/linux/hrtimer.h"* ]]
	[[ $output == *"probes: none"* ]]
	make -C "$dir/src" KDIR="$build" clean
}

@test "a build that fails ends with what to send" {
	headers_of 6.1
	cp -r "$BATS_FILE_TMPDIR"/src/usr/src/kmodkit-* "$dir/src"
	echo '#error "broken"' >> "$dir/src/minimal/kmk_minimal.c"
	run make -C "$dir/src" KDIR="$build" CONFIG_DEBUG_INFO_BTF_MODULES=
	echo "$output"
	[ "$status" -ne 0 ]
	report=${output##*Please report it}
	[[ $report == *"headers in $build"* ]]
	[[ $report == *"options: "*" CONFIG_TRANSPARENT_HUGEPAGE=y"* ]]
	[[ $report == *"probes: "*"-DKMK_HAS_user_ns_ops"*"-DKMK_PROBED"* ]]
}

@test "the source and what was built of it in two directories: O=" {
	headers_of 6.1
	cp -r "$BATS_FILE_TMPDIR"/src/usr/src/kmodkit-* "$dir/src"
	make -C "$dir/src" KDIR="${include%/include}" O="$build" CC=gcc CONFIG_DEBUG_INFO_BTF_MODULES=
	[ "$(find "$dir/src" -name 'kmk_*.ko' | wc -l)" -eq 7 ]

	echo '#error "broken"' >> "$dir/src/minimal/kmk_minimal.c"
	run make -C "$dir/src" KDIR="${include%/include}" O="$build" CC=gcc CONFIG_DEBUG_INFO_BTF_MODULES=
	echo "$output"
	[ "$status" -ne 0 ]
	report=${output##*Please report it}
	[[ $report == *"options: "*" CONFIG_TRANSPARENT_HUGEPAGE=y"* ]]
	[[ $report == *"compiler is gcc"* ]]
}

@test "options that are off, each in turn" {
	local option

	for option in TRANSPARENT_HUGEPAGE MIGRATION FS_POSIX_ACL IO_URING KALLSYMS DEBUG_FS TRACEPOINTS NLS \
		'COMPAT COMPAT_32 IA32_EMULATION X86_X32_ABI'; do
		headers_of 6.1
		# shellcheck disable=SC2086 # words are wanted
		off $option
		all_build
		rm -rf "${dir:?}/usr"
	done
}

@test "all those options off, on the oldest kernel and the newest" {
	local kernel

	for kernel in 5.10 7.3; do
		headers_of "$kernel"
		off TRANSPARENT_HUGEPAGE MIGRATION FS_POSIX_ACL IO_URING KALLSYMS DEBUG_FS TRACEPOINTS NLS \
			COMPAT COMPAT_32 IA32_EMULATION X86_X32_ABI
		all_build
		rm -rf "${dir:?}/usr"
	done
}
