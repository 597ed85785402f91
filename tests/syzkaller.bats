#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The description of the ABI for syzkaller is that of the headers.

cd "$BATS_TEST_DIRNAME/.." || exit

described=tests/fuzz/syzkaller/kmodkit.txt
headers=(include/uapi/kmodkit/*.h)

compiles() {
	{
		printf '#include <%s>\n' assert.h stdint.h "${headers[@]#include/uapi/}"
		cat
	} | gcc -x c -fsyntax-only -Iinclude/uapi -
}

@test "each of its names is the headers', and each command and operation is in it" {
	grep -v '^#' $described | grep -oE '\b(ECHO_IOC|IRQ_EVENTS_IOC|MEMPOOL_IOC|CUSTOM_SYSCALL)(_[A-Z0-9]+)*\b' | sort -u \
		> "$BATS_TEST_TMPDIR/described"
	sed 's/.*/static const uint64_t the_&_ = &;/' "$BATS_TEST_TMPDIR/described" | compiles
	sed -nE 's/^#define (\w+)\s+(_IO[WR]*\(|0x1001$).*/\1/p; s/^\t(CUSTOM_SYSCALL_\w+)\s+= .*/\1/p' "${headers[@]}" |
		sort > "$BATS_TEST_TMPDIR/commands"
	[ "$(wc -l < "$BATS_TEST_TMPDIR/commands")" -gt 10 ]
	[ -z "$(comm -13 "$BATS_TEST_TMPDIR/described" "$BATS_TEST_TMPDIR/commands" | tee /dev/stderr)" ]
}

@test "each structure of the headers is in it, and has its size" {
	sed -n 's/^struct \(\w*\) {$/\1/p' "${headers[@]}" | sort > "$BATS_TEST_TMPDIR/structures"
	[ "$(wc -l < "$BATS_TEST_TMPDIR/structures")" -gt 5 ]
	# The last width on a line is that of its field.
	awk '
	{ sub(/^type /, "") }
	/^[a-z_]+(\[[A-Z]+\])? \{$/ { name = $1; sub(/\[.*/, "", name); size = 0; next }
	/^}/ { if (name) print name, size; name = ""; next }
	!name { next }
	{
		gsub(/ptr64\[.*|kmk_mempool_handle/, "int64")
		times = match($0, /array\[int64, [0-9]+/) ? substr($0, RSTART + 13, RLENGTH - 13) : 1
		if (match($0, /int(8|16|32|64)[^0-9]*[0-9]*[^0-9]*$/))
			size += times * substr($0, RSTART + 3) / 8
	}' $described | sort > "$BATS_TEST_TMPDIR/described"
	join "$BATS_TEST_TMPDIR/structures" "$BATS_TEST_TMPDIR/described" > "$BATS_TEST_TMPDIR/both"
	cat "$BATS_TEST_TMPDIR/both" >&2
	cut -d ' ' -f 1 "$BATS_TEST_TMPDIR/both" | diff "$BATS_TEST_TMPDIR/structures" -
	sed 's/\(.*\) \(.*\)/static_assert(sizeof(struct \1) == \2, "\1");/' "$BATS_TEST_TMPDIR/both" | compiles
}
