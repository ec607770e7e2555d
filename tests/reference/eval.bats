#!/usr/bin/env bats
# A real model and real data: the trainer's own last epoch, base with adapter, and the merged model have the same figures.

load ../cli/lib

setup() {
  data=../shared/data
  [ -d "$data/models/bilingual-7m" ] || skip "no $data/models/bilingual-7m"
  T=$BATS_TEST_TMPDIR
}

# agree TASK CLASSES: to 1e-6 in fp32, with a tenth of the data
agree() {
  local model=$data/models/bilingual-7m
  head -n 160 "$data/tasks/$1/train.jsonl" >"$T/train.jsonl"
  head -n 80 "$data/tasks/$1/valid.jsonl" >"$T/valid.jsonl"
  "$hone_bin/hone-train" -q -m "$model" -t "$T/train.jsonl" -v "$T/valid.jsonl" -o "$T/run" --n-epochs 1 --batch-size 16 \
    --learning-rate 1e-3 --dtype float32 --compute-classification-metrics --classification-n-classes "$2"
  "$hone_bin/hone-merge" -q -m "$model" -a "$T/run/final" -o "$T/merged" --dtype float32
  jq -c 'select(.event == "eval")' "$T/run/metrics.jsonl" >"$T/trainer.json"
  "$hone_bin/hone-eval" -q --json --dtype float32 -m "$model" -a "$T/run/final" --labels "$T/run/data-train" "$T/valid.jsonl" \
    >"$T/adapter.json"
  "$hone_bin/hone-eval" -q --json --dtype float32 -m "$T/merged" --labels "$T/run/data-train" "$T/valid.jsonl" >"$T/merged.json"
  jq -se '. as $all | ["loss", "token_accuracy", "sequence_accuracy", "classification/accuracy", "classification/macro_f1_score",
    "classification/log_loss", "classification/mass_outside_labels", "classification/expected_calibration_error"]
    | all(.[]; . as $key | ($all | map(.[$key])) as $v | ($v | all(.[]; type == "number"))
      and (($v | max) - ($v | min)) <= 1e-6 * (1 + ($v[0] | fabs)))' "$T/trainer.json" "$T/adapter.json" "$T/merged.json"
}

@test "trainer, adapter and merged model agree: trec" { agree trec 6; }
@test "trainer, adapter and merged model agree: chnsenticorp" { agree chnsenticorp 2; }
