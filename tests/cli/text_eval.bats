#!/usr/bin/env bats
# hone-eval with a tokenizer: lists of labels, warnings before the work, --generate; and that trainer, adapter and merged
# model agree.

bats_require_minimum_version 1.5.0
load lib

# A small model with the demonstration's tokenizer, trained on its tickets for a few steps.
setup_file() {
  export here=$PWD work=$BATS_FILE_TMPDIR
  cp -r pipelines/demo.model "$work/config"
  jq '. + {hidden_size: 32, intermediate_size: 48, num_hidden_layers: 2, num_attention_heads: 2, num_key_value_heads: 2,
    head_dim: 16, tie_word_embeddings: false}' pipelines/demo.model/config.json >"$work/config/config.json"
  jq -c '{prompt: .text, completion: (" " + .label)}' pipelines/demo.data/tickets.jsonl >"$work/rows.jsonl"
  head -n 48 "$work/rows.jsonl" >"$work/train.jsonl"
  tail -n 24 "$work/rows.jsonl" >"$work/valid.jsonl"
  "${HONE_BIN:-.}/hone-train" -q -m "$work/config" -t "$work/train.jsonl" -o "$work/base" --from-scratch --method full \
    --batch-size 8 --n-epochs 1 --learning-rate 2e-3
  "${HONE_BIN:-.}/hone-train" -q -m "$work/base/final" -t "$work/train.jsonl" -v "$work/valid.jsonl" -o "$work/run" \
    --batch-size 8 --n-epochs 3 --learning-rate 1e-2 --dtype float32 --compute-classification-metrics --classification-n-classes 4
}

setup() {
  eval=$hone_bin/hone-eval
  cd "$BATS_TEST_TMPDIR" || return 1
  model=$work/base/final valid=$work/valid.jsonl
}

@test "trainer, base with adapter, and merged model agree to 1e-6" {
  jq -c 'select(.event == "eval")' "$work/run/metrics.jsonl" | tail -n 1 >trainer.json
  "$eval" -q --json --dtype float32 -m "$model" -a "$work/run/final" --labels "$work/run/data-train" "$valid" >adapter.json
  "$hone_bin/hone-merge" -q -m "$model" -a "$work/run/final" -o merged --dtype float32
  "$eval" -q --json --dtype float32 -m merged --labels "$work/run/data-train" "$valid" >merged.json
  jq -se '. as $all | ["loss", "token_accuracy", "sequence_accuracy", "classification/accuracy", "classification/macro_f1_score",
    "classification/weighted_f1_score", "classification/mcc", "classification/log_loss", "classification/mass_outside_labels",
    "classification/expected_calibration_error"]
    | all(.[]; . as $key | ($all | map(.[$key])) as $v | ($v | all(.[]; type == "number"))
      and (($v | max) - ($v | min)) <= 1e-6 * (1 + ($v[0] | fabs)))' trainer.json adapter.json merged.json
}

@test "predictions of a run are those of hone-eval, and --metrics takes the last epoch's" {
  [ "$(wc -l <"$work/run/predictions.jsonl")" -eq 72 ]
  jq -se 'map(.step) | unique == [6, 12, 18]' "$work/run/predictions.jsonl"
  "$eval" -q --json --dtype float32 -m "$model" -a "$work/run/final" --labels "$work/run/data-train" "$valid" --predictions p.jsonl >whole.json
  "$eval" --json --metrics "$work/run/predictions.jsonl" >from_run.json
  "$eval" --json --metrics p.jsonl >from_file.json
  jq -se '.[0].examples == 24 and all(.[]; ."classification/accuracy" == $x[0]."classification/accuracy"
    and (."classification/log_loss" - $x[0]."classification/log_loss" | fabs) < 1e-6)' --slurpfile x from_run.json \
    whole.json from_file.json
}

@test "labels come from a list, one a line or as JSON; those of the data keep their tokens" {
  head -n 3 "$valid" >few.jsonl   # too few to have a table of labels themselves
  fails 65 "no labels" "$eval" -q -m "$model" few.jsonl --compute-classification-metrics
  printf ' billing\n account\r\n delivery\n technical\n another\n\n' >labels.txt
  echo '[" billing", " account", " delivery", " technical", " another"]' >labels.json
  for list in labels.txt labels.json; do
    "$eval" -q -m "$model" few.jsonl --labels $list --predictions $list.jsonl >/dev/null
    jq -se 'length == 3 and all(.[]; (.scores | keys) == ["account", "another", "billing", "delivery", "technical"])' $list.jsonl
  done
  cmp <(jq -c "del(.provenance)" labels.txt.jsonl) <(jq -c "del(.provenance)" labels.json.jsonl)
  # in the data " billing" has its space, and so it has in the list without
  sed 's/^ //' labels.txt >bare.txt
  "$eval" -q -m "$model" "$valid" --labels labels.txt --predictions a.jsonl >/dev/null
  "$eval" -q -m "$model" "$valid" --labels bare.txt --predictions b.jsonl >/dev/null
  jq -s 'map(.scores | del(.another) | map_values(. * 1e12 | round)) | map((to_entries | max_by(.value).key))' a.jsonl >a
  jq -s 'map(.scores | del(.another) | map_values(. * 1e12 | round)) | map((to_entries | max_by(.value).key))' b.jsonl >b
  cmp a b
}

@test "lists of labels that are refused" {
  printf 'x\ny\nx\n' >twice
  fails 65 "label 'x' is there twice" "$eval" -q -m "$model" "$valid" --labels twice
  echo '["x", 1]' >number
  fails 65 "label 2 is not a string" "$eval" -q -m "$model" "$valid" --labels number
  echo '["x", "y"' >short
  fails 65 "'short': line" "$eval" -q -m "$model" "$valid" --labels short
  echo '[]' >empty
  fails 65 "no labels in it" "$eval" -q -m "$model" "$valid" --labels empty
  fails 66 "missing" "$eval" -q -m "$model" "$valid" --labels missing
}

@test "labels that were not trained on, or share their first token, are told before the work" {
  printf ' billing\n account\n delivery\n' >labels
  run --separate-stderr "$eval" -m "$model" "$valid" --labels labels
  [ "$status" -eq 0 ]
  [[ "$stderr" == *"never trained on: 'technical'"* ]]
  printf 'account one\naccount two\n' >labels
  run --separate-stderr "$eval" -m "$model" "$valid" --labels labels
  [[ "$stderr" == *"begin with the same token"*"'account one', 'account two'"*"told apart by all"* ]]
  run --separate-stderr "$eval" -m "$model" "$valid" --labels labels --label-score first-token
  [[ "$stderr" == *"cannot tell them apart"* ]]
  fails 65 "4 classes" "$eval" -q -m "$model" "$valid" --classification-n-classes 5
  run --separate-stderr "$hone_bin/hone-train" -m "$model" -t "$work/train.jsonl" -v "$valid" -o other --dry-run \
    --compute-classification-metrics --classification-n-classes 3
  [ "$status" -eq 65 ]
  [[ "$stderr" == *"4 classes"*"says 3"* ]]
}

@test "generate: what the model writes is compared with the completions" {
  "$eval" -q --json -m "$model" -a "$work/run/final" "$valid" --generate -n 8 --predictions g.jsonl >g.json
  [ "$(wc -l <g.jsonl)" -eq 24 ]
  jq -se 'all(.[]; (.reference | startswith(" ")) and (.generated | type == "string") and .line > 0)' g.jsonl
  jq -se --slurpfile g g.json '(map(select((.reference | ltrimstr(" ")) == (.generated | ltrimstr(" ")))) | length / 24) as $exact
    | $g[0] | (."generation/exact_match" - $exact | fabs) < 1e-12 and ."generation/examples" == 24
      and ."generation/token_f1" >= ."generation/exact_match" and ."generation/rouge_l" >= ."generation/exact_match"
      and (."generation/intervals".token_f1 | length == 2) and .loss > 0' g.jsonl
  # the texts alone give the same figures
  "$eval" --json --metrics g.jsonl >again.json
  jq -se '.[0] as $a | .[1] as $b | all($b | del(.provenance, .checksum) | keys[]; $a[.] == $b[.])' g.json again.json
  # and hone-generate writes the same
  "$hone_bin/hone-generate" -q -m "$model" -a "$work/run/final" -n 8 <"$valid" | jq -c .completion >texts
  jq -c .generated g.jsonl | cmp - texts
}

@test "generate: gates and baselines of texts" {
  printf '%s\n' '{"line":1,"reference":"a b c","generated":"a b c"}' '{"line":2,"reference":"d","generated":"e"}' >g.jsonl
  "$eval" --metrics g.jsonl --require "generation/exact_match>=0.5" >/dev/null
  run --separate-stderr "$eval" --metrics g.jsonl --require "generation/token_f1>0.5"
  [ "$status" -eq 1 ]
  run --separate-stderr "$eval" --metrics g.jsonl --baseline g.jsonl
  [ "$status" -eq 1 ]
  [[ "$stderr" == *"it is no better: 'generation/token_f1'"* ]]
}

@test "predictions of a run that was stopped and went on are those of one that was not" {
  mkdir -p a b
  for run in a b; do
    cp "$work/train.jsonl" "$work/valid.jsonl" $run/
    args=(-q -m "$model" -t "$run/train.jsonl" -v "$run/valid.jsonl" -o "$run/run" --batch-size 8 --n-epochs 3 --learning-rate 1e-2
      --compute-classification-metrics --classification-n-classes 4 --save-steps 6)
    "$hone_bin/hone-train" "${args[@]}"
  done
  # back to the checkpoint of step 12, with rows beyond it and half a line
  rm -r b/run/final b/run/checkpoint-18
  printf '{"step": 18, "line": 1, "la' >>b/run/predictions.jsonl
  "$hone_bin/hone-train" "${args[@]}"
  cmp a/run/predictions.jsonl b/run/predictions.jsonl
}
