#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The built guide, as its readers have it: in a browser, and with the network.

setup() {
	top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	built=$top/build/docs
}

@test "the guide works in a browser" {
	"$BATS_TEST_DIRNAME/browser.py" "$built"
}

@test "a link, a script and a page that are broken are found" {
	cd "$BATS_TEST_TMPDIR"
	cp -r "$built" .
	echo '<script>no_such_function();</script>' >> docs/device.html
	echo '<div style="width: 500px">wide</div>' >> docs/locks.html
	run "$BATS_TEST_DIRNAME/browser.py" docs
	echo "$output"
	[ "$status" -eq 1 ]
	[ ${#lines[@]} -eq 2 ]
	[[ ${lines[0]} == *'/locks.html: '*' pixels wide'* ]]
	[[ ${lines[1]} == *'/device.html '*no_such_function* ]]
	sed -i 's/href="first-module.html"/href="no-such-module.html"/' docs/index.html
	run "$BATS_TEST_DIRNAME/browser.py" docs
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *'no-such-module.html: not the chapter'* ]]
}

# Many a site refuses what is no browser, or is away for a while; one that says so has lost a page.
@test "no external link leads to a page that is gone" {
	cd "$top"
	mapfile -t html < <(find "$built" -name '*.html')
	mapfile -t markdown < <(git ls-files '*.md' ':!docs/guide')
	mapfile -t links < <(docs/guide/links.py --external "${html[@]}" "${markdown[@]}")
	[ ${#links[@]} -gt 0 ]
	gone=()
	answered=0
	for link in "${links[@]}"; do
		code=$(curl --silent --location --max-time 30 --output /dev/null --write-out '%{http_code}' "$link") || true
		case $code in
		2??) answered=$((answered + 1)) ;;
		404|410) gone+=("$link") ;;
		*) echo "not known: $link: $code" ;;
		esac
	done
	printf 'gone: %s\n' "${gone[@]}"
	[ ${#gone[@]} -eq 0 ]
	[ "$answered" -gt 0 ] || skip "there is no network: ${#links[@]} links were not tried"
}
