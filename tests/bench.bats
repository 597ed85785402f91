#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The judge of the benchmarks, on measurements made up for the purpose.

setup() {
	cp -r "$BATS_TEST_DIRNAME/../bench" "$BATS_TEST_TMPDIR/bench"
	results=$BATS_TEST_TMPDIR/build/bench/6.1
	mkdir -p "$results" "$BATS_TEST_TMPDIR/bin"
	echo 6.1.0-test > "$results/release"
	printf '#!/bin/sh\ncat > /dev/null\n' > "$BATS_TEST_TMPDIR/bin/gnuplot"
	chmod +x "$BATS_TEST_TMPDIR/bin/gnuplot"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH
	cat > "$BATS_TEST_TMPDIR/bench/rows" <<-END
	proc/append | kmsg | proc | 0.50 x, 6.12: 0.25 x | append
	irq/interrupt | handled | kmk_irq | + 150 | interrupt
	ramfs/create | tmpfs, ramfs | cramfs | 1.00 x ~ | create
	pool-smp/cpus | on-1 | on-2 | 0.56 x | scale
	END
	: > "$BATS_TEST_TMPDIR/bench/explained"
}

# measured BENCHMARK WORK SIDE COST...: one round for each cost
measured() {
	local benchmark=$1 work=$2 side=$3 cost
	shift 3
	for cost; do
		echo "{\"work\": \"$work\", \"side\": \"$side\", \"round\": 0, \"ops\": 10, \"ns\": ${cost}0}"
	done >> "$results/$benchmark.jsonl"
}

report() {
	run "$BATS_TEST_TMPDIR/bench/report" "$@"
	echo "$output"
}

@test "at its bound is ok, the median counts" {
	measured proc append kmsg 100 100 100
	measured proc append proc 50 99 10
	report 6.1 proc
	[ "$status" -eq 0 ]
	[[ $output == *"| append | kmsg |   100 | 50.00 |  0.50 |"*"| ok "* ]]
}

@test "over its bound fails" {
	measured proc append kmsg 100
	measured proc append proc 51
	report 6.1 proc
	[ "$status" -eq 1 ]
	[[ $output == *"| OVER"* ]]
}

@test "a bound may change with the kernel" {
	mv "$results" "$BATS_TEST_TMPDIR/build/bench/6.12-rt"
	results=$BATS_TEST_TMPDIR/build/bench/6.12-rt
	measured proc append kmsg 100
	measured proc append proc 50
	report 6.12-rt proc
	[ "$status" -eq 1 ]
	[[ $output == *"| 0.25 x"*"| OVER"* ]]
}

@test "explained is let through, and held to what was explained" {
	measured proc append kmsg 100
	measured proc append proc 60
	echo 'proc/append | kmsg | 0.60 x | because' > "$BATS_TEST_TMPDIR/bench/explained"
	report 6.1 proc
	[ "$status" -eq 0 ]
	[[ $output == *"| explained |"*"proc/append: because"* ]]
	echo 'proc/append | kmsg | 0.59 x | because' > "$BATS_TEST_TMPDIR/bench/explained"
	report 6.1 proc
	[ "$status" -eq 1 ]
}

@test "a row that was not measured fails" {
	measured proc append kmsg 100
	report 6.1 proc
	[ "$status" -eq 1 ]
	[[ $output == *"| not measured |"* ]]
}

@test "a bound in instructions" {
	measured irq interrupt handled 300
	measured irq interrupt kmk_irq 450
	report 6.1 irq
	[ "$status" -eq 0 ]
	measured irq interrupt kmk_irq 451 451
	report 6.1 irq
	[ "$status" -eq 1 ]
}

@test "of several peers the cheapest counts; the spread is allowed where the bound says so" {
	measured ramfs create tmpfs 200 200
	measured ramfs create ramfs 100 100
	measured ramfs create cramfs 100 104
	report 6.1 ramfs
	[ "$status" -eq 0 ]
	[[ $output == *"| create | ramfs |   100 |  102 |  1.02 |   2.0% |"* ]]
	measured ramfs create ramfs 100 100
	measured ramfs create cramfs 103 103
	report 6.1 ramfs
	[ "$status" -eq 1 ]
}

@test "where processors run free the best round counts" {
	measured pool-smp cpus on-1 100 1000 1000
	measured pool-smp cpus on-2 800 55 900
	report 6.1 pool-smp
	[ "$status" -eq 0 ]
}

@test "results.json keeps what other runs measured" {
	measured proc append kmsg 100
	measured proc append proc 50
	measured irq interrupt handled 300
	measured irq interrupt kmk_irq 450
	report 6.1 proc
	report 6.1 irq
	rm "$BATS_TEST_TMPDIR/build/bench/6.1/proc.jsonl"
	report 6.1 proc
	run python3 -c 'import json, sys
rows = json.load(open(sys.argv[1]))["6.1"]["rows"]
print(*(name + ": " + str(row["ratio"]) for name, row in rows.items()), sep=", ")' \
		"$BATS_TEST_TMPDIR/build/bench/results.json"
	[ "$output" = "proc/append | kmsg: 0.5, irq/interrupt | handled: 1.5" ]
}

@test "the tables are filled in from results.json, but for what was not measured" {
	measured proc append kmsg 100
	measured proc append proc 50
	measured irq interrupt handled 300
	measured irq interrupt kmk_irq 420
	report 6.1 proc irq
	mkdir "$BATS_TEST_TMPDIR/docs"
	cat > "$BATS_TEST_TMPDIR/docs/performance.md" <<-END
	before
	<!-- bench/rows: proc/ irq/ -->
	old
	<!-- end -->
	<!-- bench/rows: ramfs/ -->
	kept
	<!-- end -->
	END
	"$BATS_TEST_TMPDIR/bench/report" --tables
	diff - "$BATS_TEST_TMPDIR/docs/performance.md" <<-END
	before
	<!-- bench/rows: proc/ irq/ -->
	| work | beside | at most | Linux 6.1 |
	| --- | --- | --- | ---: |
	| append | kmsg | 0.50 x, 6.12: 0.25 x | 0.50 x |
	| interrupt | handled | + 150 | +120 |
	<!-- end -->
	<!-- bench/rows: ramfs/ -->
	kept
	<!-- end -->
	END
}

@test "the tables name rows that there are" {
	cd "$BATS_TEST_DIRNAME/.."
	names=$(sed -n 's/^<!-- bench.rows: \(.*\) -->$/\1/p' docs/performance.md)
	[ -n "$names" ]
	for name in $names; do
		grep -q "^$name" bench/rows
	done
}

@test "the plots show what the tables say" {
	"$BATS_TEST_DIRNAME/plots.py" "$BATS_TEST_DIRNAME/../docs"
	cp -r "$BATS_TEST_DIRNAME/../docs" "$BATS_TEST_TMPDIR"
	sed -i -E -e '/^\| rename /s/[0-9.]+ x \|/1.90 x |/' -e '/^\| mkdir /s/\| [0-9.]+ x/| 1.90 x/' \
		"$BATS_TEST_TMPDIR/docs/performance.md"
	run "$BATS_TEST_DIRNAME/plots.py" "$BATS_TEST_TMPDIR/docs"
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *"-dark.svg: rename, tmpfs, ramfs: Linux "*" is drawn at "*", and 1.90 x in the table"* ]]
	[[ $output == *"-light.svg: mkdir, tmpfs, ramfs: the bound for "*" is drawn at "*", and 1.90 x in the table"* ]]
	[[ $output != *devices* ]]
}
