#!/usr/bin/env bats
# The reference models' documents through a dataset and back.

@test "docs.json of every reference model comes back as it was" {
	pack="${HONE_BIN:-.}/hone-pack"
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	n=0
	for docs in ../shared/reference/models/*/docs.json; do
		d=$BATS_TEST_TMPDIR/$n
		jq -c '.[]' "$docs" | "$pack" -q -o "$d" -
		"$pack" --cat "$d" | jq -cs 'map({input_ids, labels})' | cmp - <(jq -c . "$docs")
		"$pack" --verify "$d"
		targets=$(jq '[.[] | .labels[1:][] | select(. != -100)] | length' "$docs")
		[ "$targets" -eq "$("$pack" --info "$d" --json | jq .targets)" ]
		n=$((n + 1))
	done
	[ "$n" -gt 0 ]
}
