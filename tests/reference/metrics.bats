#!/usr/bin/env bats
# Our figures against those that scikit-learn computed for the same predictions (../shared/reference/metrics.json).
# A predictions file is made of each case; classes are named c0, c1, ..., and c1 is the positive one.

setup_file() {
	export reference=../shared/reference/metrics.json
	export hone_eval=${HONE_BIN:-.}/hone-eval
	[ -f "$reference" ] || skip "no $reference"
}

predictions() {
	jq -c --arg case "$1" '.[] | select(.name == $case) | . as $d | range(.gold | length)
		| {line: (. + 1), label: "c\($d.gold[.])", prediction: "c\($d.pred[.])",
		   scores: ([$d.prob[.] | to_entries[] | {"c\(.key)": .value}] | add)}' "$reference"
}

# figures FILE POSITIVE
figures() {
	"$hone_eval" --metrics "$1" --json --classification-positive-class "$2" --classification-betas 0.5,2 --bootstrap 0
}

# The figures of $1 in the reference's own names, nested arrays flattened into numbered keys.
flatten_ours='
	(. as $m | {accuracy: "accuracy", f1_macro: "macro_f1_score", f1_weighted: "weighted_f1_score",
	   f1_micro: "micro_f1_score", mcc: "mcc", kappa: "kappa", log_loss: "log_loss", precision: "precision",
	   recall: "recall", f1: "f1.0", f05: "f0.5", f2: "f2.0", auroc: "auroc", auprc: "auprc"}
	 | map_values($m["classification/" + .]))
	+ {confusion: .["classification/confusion"],
	   precision_per_class: [.["classification/classes"][] | filled(.precision; .predicted)],
	   recall_per_class: [.["classification/classes"][] | filled(.recall; .support)]}'

compare() {
	predictions "$1" >"$BATS_TEST_TMPDIR/p.jsonl"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/p.jsonl")" -gt 30 ]
	figures "$BATS_TEST_TMPDIR/p.jsonl" c1 >"$BATS_TEST_TMPDIR/m.json"
	jq -n --arg case "$1" --slurpfile ours "$BATS_TEST_TMPDIR/m.json" --slurpfile theirs "$reference" '
		# what has no denominator is null here, and 0 by the zero_division=0 of the reference
		def filled($figure; $rows): if $figure == null and $rows == 0 then 0 else $figure end;
		def numbers_of: [paths(type == "number") as $p | {key: ($p | map(tostring) | join(".")), value: getpath($p)}] | from_entries;
		($theirs[0][] | select(.name == $case) | del(.gold, .prob, .pred, .name, .n_classes) | numbers_of) as $want
		| ($ours[0] | '"$flatten_ours"' | numbers_of) as $have
		| [$want | to_entries[] | select(($have[.key] == null) or (($have[.key] - .value) | fabs > 1e-9))
		   | "\(.key): \($have[.key]), scikit-learn \(.value)"] as $wrong
		| if ($wrong | length) == 0 and ($want | length) >= '"$2"' then "\($want | length) figures agree"
		  else ($wrong | join("\n") | halt_error(1)) end'
}

@test "two classes" { compare binary 20; }
@test "two classes, many equal scores" { compare binary_ties 20; }
@test "five classes" { compare multi 40; }
@test "a class that no example has" { compare absent_class 20; }
@test "examples of one class only" { compare one_class 12; }

@test "one class only: what has no meaning is null" {
	predictions one_class >"$BATS_TEST_TMPDIR/p.jsonl"
	run figures "$BATS_TEST_TMPDIR/p.jsonl" c0
	[ "$status" -eq 0 ]
	jq -e '.["classification/recall"] == null and .["classification/auroc"] == null
		and .["classification/auprc"] == null and .["classification/precision"] == 0' <<<"$output"
}

@test "the order of rows changes no figure beyond rounding" {
	predictions multi >"$BATS_TEST_TMPDIR/p.jsonl"
	tac "$BATS_TEST_TMPDIR/p.jsonl" >"$BATS_TEST_TMPDIR/q.jsonl"
	figures "$BATS_TEST_TMPDIR/p.jsonl" c1 >"$BATS_TEST_TMPDIR/p.json"
	figures "$BATS_TEST_TMPDIR/q.jsonl" c1 >"$BATS_TEST_TMPDIR/q.json"
	jq -e -n --slurpfile p "$BATS_TEST_TMPDIR/p.json" --slurpfile q "$BATS_TEST_TMPDIR/q.json" '
		[$p[0], $q[0]] | map([.. | numbers]) | transpose | (length > 40) and all(.[]; (.[0] - .[1] | fabs) < 1e-12)'
}
