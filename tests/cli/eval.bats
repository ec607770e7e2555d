#!/usr/bin/env bats
# hone-eval and hone-generate: labels, predictions, outputs, and what they say of bad input.

bats_require_minimum_version 1.5.0
load lib

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  tiny_config model
  rows 8 >rows.jsonl
  "$hone_bin/hone-pack" -q -o text rows.jsonl
  "$hone_bin/hone-train" -q -m model -t text -o run --method full --from-scratch --max-steps 1 --n-epochs 1
  rm -rf model && mv run/final model
}

# labelled N: prompts of two tokens, labels "x" (token 5) and "y" (tokens 6 7), EOS 2
labelled() {
  jq -nc --argjson n "$1" 'range($n) as $i | ([8 + $i % 9, 20 - $i % 7] + (if $i % 3 == 0 then [6, 7] else [5] end) + [2]) as $ids
    | {input_ids: $ids, labels: ([-100, -100] + $ids[2:]), completion: 2, label: (if $i % 3 == 0 then "y" else "x" end),
       line: ($i + 1)}'
}

@test "eval: loss and perplexity as a table and as JSON" {
  run --separate-stderr "$hone_bin/hone-eval" -m model text
  [ "$status" -eq 0 ]
  [[ "$output" == *"perplexity"* ]]
  "$hone_bin/hone-eval" --json -m model text | jq -e '.examples == 8 and .loss > 0 and (.perplexity | log) - .loss < 1e-6'
}

@test "eval: probabilities of the labels add up, and --metrics reads what --predictions wrote" {
  labelled 24 | "$hone_bin/hone-pack" -q -o data -
  "$hone_bin/hone-eval" --json -m model data --predictions p.jsonl >figures.json
  [ "$(wc -l <p.jsonl)" -eq 24 ]
  jq -se 'all(.[]; (.scores | add - 1 | fabs) < 1e-9 and (.scores | length) == 2) and .[0].line == 1 and .[0].label == "y"' p.jsonl
  jq -se 'all(.[]; .prediction == (.scores | to_entries | max_by(.value).key))' p.jsonl
  "$hone_bin/hone-eval" --json --metrics p.jsonl >again.json
  jq -se 'def same($k): (.[0][$k] - .[1][$k] | fabs) < 1e-9;
    same("classification/accuracy") and same("classification/macro_f1_score") and same("classification/log_loss")' \
    figures.json again.json
}

@test "eval: a label of two tokens scores the product of their probabilities" {
  labelled 12 | "$hone_bin/hone-pack" -q -o data -
  "$hone_bin/hone-eval" -q -m model data --predictions full.jsonl >/dev/null
  "$hone_bin/hone-eval" -q -m model data --label-score first-token --predictions first.jsonl >/dev/null
  # the label of one token keeps its odds against the first token of the other: full adds the second token's factor
  jq -se '.[0].scores.y < .[12].scores.y' full.jsonl first.jsonl
}

# choices EOS LABEL...: an example for each label (its tokens, as "5,6,7") behind one and the same prompt, twice, so that
# the data are a classification; with EOS 1 the end of text follows, a target as well
choices() {
  local eos=$1
  shift
  printf '%s\n' "$@" "$@" | jq -Rc --argjson eos "$eos" '. as $name | ("[" + . + "]" | fromjson) as $answer
    | ([$answer, if $eos == 1 then [2] else [] end] | add) as $answer
    | {input_ids: ([8, 9, 11, 13] + $answer), labels: ([-100, -100, -100, -100] + $answer), completion: 4, label: $name}'
}

# trie END LABEL...: the scores of labels are the softmax of their log-probabilities, each computed by itself as the loss of
# a dataset that has no other; with END 1 the end of text counts, as it must where a label begins another
trie() {
  local eos=$1 label n=0
  shift
  choices 0 "$@" | "$hone_bin/hone-pack" -q -o all -
  "$hone_bin/hone-eval" -q --dtype float32 -m model all --predictions all.jsonl >/dev/null
  for label; do
    n=$((n + 1))
    choices "$eos" "$label" | head -n 1 | "$hone_bin/hone-pack" -q -o "one$n" -
    "$hone_bin/hone-eval" -q --json --dtype float32 --no-compute-classification-metrics -m model "one$n" |
      jq -c --arg name "$label" '{label: $name, log_p: -(.loss * .targets)}'
  done >alone.jsonl
  jq -e -n --slurpfile all all.jsonl --slurpfile alone alone.jsonl '
    ($alone | map({key: .label, value: (.log_p | exp)}) | from_entries) as $p | ($p | add) as $sum
    | ($all | length) == 2 * ($alone | length)
    and all($all[]; . as $row | ([.scores | keys[]] | length) == ($alone | length)
      and ((.outside - (1 - $sum)) | fabs) < 1e-5
      and all($alone[]; ($row.scores[.label] - $p[.label] / $sum | fabs) < 1e-5 * $p[.label] / $sum + 1e-9))'
}

@test "eval: labels that share tokens have the scores that each has alone" {
  trie 0 5,6,7 5,6,8,10 5,6,8,11 5,9 10 14,6,7
}

@test "eval: labels that begin others have the scores that each has alone" {
  trie 1 5,6,7 5,6 5,6,8,11 5,6,8,12 5 10
}

# alike: a classification with labels "x" (5), "y" (5 7) and "z" (6), EOS 2, of prompts that share nothing, something and
# everything, of which one begins another; the prompt's tokens are targets as well in a third of the records, and twelve are
# the same twice
alike() {
  jq -nc '[8, 9, 11, 13, 17, 19, 23, 29] as $many
    | (range(12) | [$many[:3 + . % 5][], 3 + ., 10 + . % 3]), (range(4) | $many[:. + 4]), (range(8) | [3 + ., 21, 22, 24]),
      (range(12) | [$many[:3 + . % 5][], 3 + ., 10 + . % 3])' |
    jq -c '(input_line_number % 3) as $k | ([[5], [5, 7], [6]][$k] + [2]) as $answer | (. | length) as $n
      | {input_ids: (. + $answer), labels: ((if $k == 1 then [-100] + .[1:] else map(-100) end) + $answer), completion: $n,
         label: ["x", "y", "z"][$k], line: input_line_number}'
}

# agree DTYPE TOLERANCE: evaluated together and one by one, the examples have the same figures and scores, in the same order
agree() {
  local dtype=$1 n
  for n in 1 2048; do
    "$hone_bin/hone-eval" -q --json --dtype "$dtype" --micro-tokens $n -m model data -f --predictions "$dtype$n.jsonl" >"$dtype$n.json"
  done
  jq -se '.[0] as $a | .[1] as $b | all("loss", "perplexity", "token_accuracy", "sequence_accuracy", "examples", "tokens", "targets",
    "classification/log_loss"; ($a[.] - $b[.] | fabs) <= $near * (1 + $a[.]))' --argjson near "$2" "${dtype}1.json" "${dtype}2048.json"
  jq -ne --slurpfile a "${dtype}1.jsonl" --slurpfile b "${dtype}2048.jsonl" --argjson near "$2" '($a | length) == 36
    and ($b | length) == 36 and all(range(36); $a[.] as $x | $b[.] as $y | $x.label == $y.label and $x.line == $y.line
      and ($x.outside - $y.outside | fabs) <= $near and all($x.scores | keys[]; ($x.scores[.] - $y.scores[.] | fabs) <= $near))'
}

@test "eval: examples that begin alike have the figures that each has alone" {
  local more
  alike | "$hone_bin/hone-pack" -q -o data -
  # a window, learned positions, and what an example's length has a part in; weights so large that attention is not even
  for more in '"num_key_value_heads": 2' '"model_type": "mistral", "sliding_window": 3' \
    '"model_type": "gpt2", "n_layer": 2, "n_head": 4, "n_embd": 16, "n_positions": 64' \
    '"max_position_embeddings": 6, "rope_scaling": {"type": "dynamic", "factor": 2}'; do
    tiny_config config "$more" '"initializer_range": 0.5'
    rm -rf model run
    "$hone_bin/hone-train" -q -m config -t text -o run --method full --from-scratch --max-steps 1 --n-epochs 1
    mv run/final model
    agree float32 1e-5
    agree bfloat16 2e-2
  done
}

@test "eval: a predictions file needs no model" {
  printf '%s\n' '{"line":1,"label":"a","prediction":"a"}' '{"line":2,"label":"b","prediction":"a"}' |
    "$hone_bin/hone-eval" --metrics - --json | jq -e '."classification/accuracy" == 0.5'
}

@test "eval: bad command lines and bad input" {
  fails 64 "DATASET is missing" "$hone_bin/hone-eval" -m model
  fails 64 "-m MODEL is missing" "$hone_bin/hone-eval" text
  fails 66 "nowhere" "$hone_bin/hone-eval" -m nowhere text
  fails 66 "no-such" "$hone_bin/hone-eval" -m model no-such
  fails 65 "no labels" "$hone_bin/hone-eval" -m model text --compute-classification-metrics
  labelled 12 | "$hone_bin/hone-pack" -q -o data -
  fails 65 "2 classes" "$hone_bin/hone-eval" -m model data --classification-n-classes 3
  fails 65 "'z'" "$hone_bin/hone-eval" -m model data --classification-positive-class z
  fails 66 "nothing" "$hone_bin/hone-eval" -m model -a nothing text
}

@test "eval: labels of another vocabulary are refused, also beyond the samples" {
  { labelled 12; echo '{"input_ids": [8, 9, 5000, 2], "labels": [-100, -100, 5000, 2], "completion": 2, "label": "z"}';
    echo '{"input_ids": [8, 9, 5000, 2], "labels": [-100, -100, 5000, 2], "completion": 2, "label": "z"}'; } |
    "$hone_bin/hone-pack" -q -o far -
  fails 65 "5000" "$hone_bin/hone-eval" -m model far --max-samples 4
}

@test "eval: a model of NaN has no figures" {
  labelled 12 | "$hone_bin/hone-pack" -q -o data -
  size=$(stat -c %s model/model.safetensors)
  cp -r model nan
  # the last tensor of the file is the head: all of its bytes 0xff are NaN
  head -c 2048 /dev/zero | tr '\0' '\377' | dd of=nan/model.safetensors bs=1 seek=$((size - 2048)) conv=notrunc status=none
  fails 65 "not numbers" "$hone_bin/hone-eval" -m nan data
}

@test "eval: predictions replace nothing, and are refused before the work" {
  labelled 12 | "$hone_bin/hone-pack" -q -o data -
  cp model/model.safetensors before
  fails 73 "exists" "$hone_bin/hone-eval" -m model data --predictions model/model.safetensors
  cmp before model/model.safetensors
  fails 65 "no labels" "$hone_bin/hone-eval" -m model text --predictions p.jsonl
  [ ! -e p.jsonl ]
}

@test "generate: a model without a tokenizer is refused" {
  fails 66 "tokenizer" "$hone_bin/hone-generate" -m model hello
}

@test "generate: bad command lines and bad input" {
  fails 64 "-m MODEL is missing" "$hone_bin/hone-generate" hello
  fails 66 "nowhere" "$hone_bin/hone-generate" -m nowhere hello
}
