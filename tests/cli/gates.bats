#!/usr/bin/env bats
# hone-eval decides: --require, --baseline and --compare, on files of predictions and figures.

bats_require_minimum_version 1.5.0
load lib

setup() {
  eval=$hone_bin/hone-eval
  cd "$BATS_TEST_TMPDIR" || return 1
}

# answers N WRONG...: N rows of labels "no" and "yes" in turn, all right but for the rows named
answers() {
  local n=$1
  shift
  jq -nc --argjson n "$n" --argjson wrong "[$(IFS=,; echo "$*")]" 'range(1; $n + 1) as $i | ["yes", "no"] as $name
    | ($wrong | index($i) != null) as $miss | ($i % 2) as $k | (if $miss then 1 - $k else $k end) as $said
    | {line: $i, label: $name[$k], prediction: $name[$said],
       scores: {($name[$said]): (0.7 + ($i % 13) / 100), ($name[1 - $said]): (0.3 - ($i % 13) / 100)}}'
}

# gate STATUS OPTION...: hone-eval --metrics p.jsonl ends with it; what it says is in $stderr, its JSON in $output
gate() {
  local want=$1
  shift
  run --separate-stderr "$eval" --json --metrics p.jsonl "$@"
  echo "status $status, stderr '$stderr'"
  [ "$status" -eq "$want" ]
}

@test "gates: every operator, passed and not" {
  answers 20 3 7 >p.jsonl   # accuracy 0.9
  local key=classification/accuracy
  gate 0 --require "$key>=0.9" --require "$key<=0.9" --require "$key==0.9" --require "$key!=0.8" --require "$key>0.89" \
    --require "$key < 0.91" --require "classification/macro_f1_score>=0.85"
  [ -z "$stderr" ]
  jq -e '.gates | length == 7 and all(.[]; .passed)' <<<"$output"
  for no in ">=0.91" "<=0.89" "==0.8" "!=0.9" ">0.9" "<0.9"; do
    gate 1 --require "$key$no"
    [[ "$stderr" == *"not passed: '$key$no': it is 0.9"* ]]
    jq -e '.gates == [{require: "'"$key$no"'", value: 0.9, passed: false}]' <<<"$output"
  done
}

@test "gates: each that is not passed is told, and the figures are printed" {
  answers 20 3 7 >p.jsonl
  gate 1 --require "classification/accuracy>=0.95" --require "classification/recall>0.5" --require "classification/mcc>0.99"
  [ "${#stderr_lines[@]}" -eq 2 ]
  jq -e '."classification/accuracy" == 0.9 and (.gates | map(.passed)) == [false, true, false]' <<<"$output"
}

@test "gates: what has no value is not passed" {
  printf '%s\n' '{"label":"a","prediction":"a"}' '{"label":"b","prediction":"a"}' >p.jsonl
  gate 1 --require "classification/auroc!=0.5"
  [[ "$stderr" == *"it has no value"* ]]
  gate 1 --require "generation/rouge_l>=0"
  [[ "$stderr" == *"no value in this evaluation"* ]]
}

@test "gates: an unknown figure is told with the nearest, before anything is read" {
  fails 64 "the nearest is 'classification/macro_f1_score'" "$eval" --metrics none --require "classification/macro_f1score>=1"
  fails 64 "the nearest is 'classification/macro_f1_score'" "$eval" --metrics none --require "macro_f1>=1"
  fails 64 "the nearest is 'classification/f0.5'" "$eval" --metrics none --classification-betas 0.5 --require "f0.5>=1"
  fails 64 "there is no figure 'loss'" "$eval" --metrics none --require "loss<1"
  fails 64 "is not KEY" "$eval" --metrics none --require "classification/accuracy"
  fails 64 "is not KEY" "$eval" --metrics none --require ">=1"
  fails 64 "'0,9' is not a number" "$eval" --metrics none --require "classification/accuracy>=0,9"
  fails 64 "'nan' is not a number" "$eval" --metrics none --require "classification/accuracy>=nan"
  fails 64 "the nearest" "$eval" --metrics none --baseline b --baseline-figure accurracy
}

@test "baseline: McNemar's exact test on the same rows" {
  answers 100 1 2 3 4 5 6 7 8 9 10 >old.jsonl
  answers 100 1 >p.jsonl              # 9 rows better, none worse: p = 2 / 2^9
  gate 0 --baseline old.jsonl
  [[ "$stderr" == *"passed: 'classification/accuracy' is 0.99, and 0.9 in 'old.jsonl' (McNemar, exact: p 0.00391"* ]]
  jq -e '.baseline | .test == "McNemar, exact" and (.p - 2 / 512 | fabs) < 1e-12 and .passed and .rows == 100
    and (.difference - 0.09 | fabs) < 1e-12 and .interval[0] > 0' <<<"$output"
  gate 1 --baseline old.jsonl --significance 0.003
  [[ "$stderr" == *"not passed: it is better, but not significantly"* ]]
  # 5 better, 1 worse: p = 2 (1 + 6) / 64
  answers 100 1 2 3 4 5 50 >p.jsonl
  gate 1 --baseline old.jsonl
  jq -e '.baseline.p - 14 / 64 | fabs < 1e-12' <<<"$output"
  gate 0 --baseline old.jsonl --significance 0.25
}

@test "baseline: no better is not better, and not worse may be enough" {
  answers 100 1 2 3 >p.jsonl
  gate 1 --baseline p.jsonl
  [[ "$stderr" == *"it is no better"* ]]
  gate 0 --baseline p.jsonl --baseline-rule not-worse
  answers 100 1 >old.jsonl
  gate 0 --baseline old.jsonl --baseline-rule not-worse     # worse by two rows: p 0.5
  answers 100 1 2 3 4 5 6 7 8 9 10 >p.jsonl
  gate 1 --baseline old.jsonl --baseline-rule not-worse
  [[ "$stderr" == *"it is worse"* ]]
}

@test "baseline: other figures by the paired bootstrap, in either direction" {
  answers 200 $(seq 1 40) >old.jsonl
  answers 200 $(seq 1 10) >p.jsonl
  gate 0 --baseline old.jsonl --baseline-figure classification/macro_f1_score
  jq -e '.baseline | .test == "paired bootstrap" and .p < 0.01 and .interval[0] > 0.05' <<<"$output"
  gate 0 --baseline old.jsonl --baseline-figure classification/log_loss
  jq -e '.baseline | .difference < 0 and .passed' <<<"$output"
  cp p.jsonl q && cp old.jsonl p.jsonl && cp q old.jsonl
  gate 1 --baseline old.jsonl --baseline-figure classification/log_loss
  [[ "$stderr" == *"it is worse"* ]]
}

@test "baseline: rows in another order are the same rows, other rows are not" {
  answers 100 1 2 3 4 5 6 7 8 9 10 | tac >old.jsonl
  answers 100 1 >p.jsonl
  gate 0 --baseline old.jsonl
  jq -e '.baseline.p - 2 / 512 | fabs < 1e-12' <<<"$output"
  answers 99 >old.jsonl
  gate 65 --baseline old.jsonl
  [[ "$stderr" == *"99 rows"* ]]
  answers 100 | sed '7s/"label":"no"/"label":"yes"/' >old.jsonl
  gate 65 --baseline old.jsonl
  [[ "$stderr" == *"line 7"*"not of the same examples"* ]]
}

@test "baseline: a file of figures is taken as exact" {
  answers 200 $(seq 1 40) | "$eval" --metrics - --json >old.json
  answers 200 $(seq 1 10) >p.jsonl
  gate 0 --baseline old.json
  jq -e '.baseline | .test == "bootstrap against a fixed figure" and .baseline == 0.8 and .passed' <<<"$output"
  echo '{"classification/accuracy": null}' >none.json
  gate 1 --baseline none.json
  [[ "$stderr" == *"has no value"* ]]
  echo '[1]' >list.json
  gate 65 --baseline list.json
  gate 66 --baseline missing.json
}

@test "compare: two sources in one table, and as JSON" {
  answers 100 1 2 3 4 5 6 7 8 9 10 >a.jsonl
  answers 100 1 >b.jsonl
  run --separate-stderr "$eval" --compare a.jsonl b.jsonl
  [ "$status" -eq 0 ]
  [[ "$output" == *"classification/accuracy"*"0.9000"*"0.9900"*"+0.0900"*"p 0.00391 (McNemar, exact)"* ]]
  "$eval" --compare a.jsonl b.jsonl --json | jq -e '.compared == ["a.jsonl", "b.jsonl"]
    and .figures."classification/accuracy" == [0.9, 0.99] and .figures."classification/mass_outside_labels" == null
    and .differences."classification/accuracy".test == "McNemar, exact"
    and .differences."classification/auroc".test == "paired bootstrap"'
}

@test "compare: three, one of them figures alone" {
  answers 50 1 >a.jsonl
  answers 50 2 3 >b.jsonl
  "$eval" --metrics b.jsonl --json >b.json
  "$eval" --compare a.jsonl b.jsonl b.json --json |
    jq -e '.figures."classification/accuracy" == [0.98, 0.96, 0.96] and (has("differences") | not)'
  fails 64 "2 to 26" "$eval" --compare a.jsonl
  fails 64 "--compare goes with" "$eval" --compare a.jsonl b.jsonl --require "classification/accuracy>0"
}

@test "bootstrap: intervals are the same again, another seed gives others, 0 gives none" {
  answers 60 1 2 3 >p.jsonl
  "$eval" --metrics p.jsonl --json -j 1 >one
  "$eval" --metrics p.jsonl --json -j 4 >four
  cmp one four
  jq -e '."classification/intervals" | .resamples == 1000 and .level == 0.95 and .seed == 42 and .accuracy[0] < 0.95
    and .accuracy[1] > 0.95' one
  "$eval" --metrics p.jsonl --json --seed 7 >other
  jq -es '.[0]."classification/intervals".log_loss != .[1]."classification/intervals".log_loss' one other
  "$eval" --metrics p.jsonl --json --bootstrap 0 | jq -e 'has("classification/intervals") | not'
}

@test "bootstrap: ten thousand rows and a thousand resamples take less than a second" {
  answers 10000 $(seq 1 7 9000) >p.jsonl
  TIMEFORMAT=%U
  took=$( { time "$eval" --metrics p.jsonl --json -j 1 >figures; } 2>&1)
  echo "$took s of processor time"
  jq -e '."classification/intervals".auroc[0] > 0' figures
  local limit=1
  [ -z "${HONE_SANITIZER:-}${HONE_EMULATED:-}" ] || limit=20
  awk -v t="$took" -v limit=$limit 'BEGIN { exit !(t < limit) }'
}

@test "two classes: the second is the positive one by default" {
  answers 20 3 7 >p.jsonl
  "$eval" --metrics p.jsonl --json | jq -e '."classification/positive_class" == "yes" and ."classification/f1.0" > 0.8'
  "$eval" --metrics p.jsonl --json --classification-positive-class no | jq -e '."classification/positive_class" == "no"'
  gate 64 --classification-positive-class maybe
  [[ "$stderr" == *"'maybe' does not occur in 'p.jsonl'"* ]]
}
