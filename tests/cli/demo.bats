#!/usr/bin/env bats
# The demonstration, shortened, on the rows that are used where there is no package database.

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	demo=$BATS_TEST_TMPDIR/demo
	export HONE_BIN="${HONE_BIN:-$PWD}" DEMO_QUICK=1
}

@test "the demonstration runs from data to predictions" {
	DEMO_DATA=pipelines/demo.data/tickets.jsonl run pipelines/demo "$demo"
	[ "$status" -eq 0 ] || { echo "$output" >&2; return 1; }
	[[ $output =~ accuracy\ [0-9.]+\ %\ on\ 60\ validation\ rows ]]
	[ "$(jq '."classification/classes" | length' "$demo/metrics.json")" -eq 4 ]
	[ "$(wc -l < "$demo/predictions.jsonl")" -eq 60 ]
	[ -e "$demo/run/final/adapter_model.safetensors" ]
	[ -e "$demo/model/model.safetensors" ]
	# No row is on two sides.
	[ -z "$(cut -f 2 "$demo/train.tsv" "$demo/valid.tsv" "$demo/unseen.tsv" | sort | uniq -d)" ]
	[ -z "$(cut -f 2 "$demo/text.tsv" "$demo/valid.tsv" "$demo/unseen.tsv" | sort | uniq -d)" ]
}

@test "without a package database the made-up tickets serve" {
	mkdir "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\n' > "$BATS_TEST_TMPDIR/bin/apt-cache"
	chmod +x "$BATS_TEST_TMPDIR/bin/apt-cache"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH run pipelines/demo "$demo"
	[ "$status" -eq 0 ] || { echo "$output" >&2; return 1; }
	[[ $output == *"made-up support tickets"*"on 60 validation rows"* ]]
}

@test "a directory of another kind is not replaced" {
	mkdir "$demo"
	run pipelines/demo "$demo"
	[ "$status" -eq 73 ]
}

@test "package stanzas become rows; twins are left out" {
	printf '%s\n' 'Package: foo' 'Section: net' 'Description: tool for foo' ' long text' '' 'Package: foo-doc' \
		'Section: contrib/doc' 'Description-en: tool for foo (documentation)' '' 'Package: bar' 'Section: contrib/games' \
		'Description: play bar' > "$BATS_TEST_TMPDIR/stanzas"
	run awk -f pipelines/demo.data/packages.awk "$BATS_TEST_TMPDIR/stanzas"
	[ "$output" = "$(printf 'net\ttool for foo\tfoo\ngames\tplay bar\tbar')" ]
}

@test "learn-bpe joins the most frequent pairs first" {
	printf 'abab ab\nab ab\n' | LC_ALL=C awk -v size=260 -f pipelines/learn-bpe.awk > "$BATS_TEST_TMPDIR/t.json"
	[ "$(jq -c '.model.merges' "$BATS_TEST_TMPDIR/t.json")" = '["a b","# #","## #"]' ]
	[ "$(jq '.model.vocab | length' "$BATS_TEST_TMPDIR/t.json")" -eq 260 ]
	[ "$(jq '.model.vocab["Ġ"] != null and .model.vocab["ab"] == 257' "$BATS_TEST_TMPDIR/t.json")" = true ]
}
