#!/usr/bin/env bats
# hone-generate and hone-eval against transformers, and against each other: the key-value cache, an adapter unmerged and
# merged, and the trainer's own last evaluation.

setup() {
  bin=${HONE_BIN:-.}
  models=../shared/reference/models
  data=../shared/data
  T=$BATS_TEST_TMPDIR
  [ -d ../shared ] || skip "../shared is not there"
}

# greedy CASE: the continuations of generate.json
greedy() {
  jq -c '.[] | {input_ids: .prompt}' "$models/$1/generate.json" |
    "$bin/hone-generate" -m "$models/$1/base" --dtype float32 --ignore-eos -n 16 --ids | jq -c '.prompt_ids + .ids' >"$T/ours"
  jq -c '.[].greedy' "$models/$1/generate.json" | diff "$T/ours" -
  [ -s "$T/ours" ]
}

@test "generate: llama2 greedy" { greedy llama2; }
@test "generate: llama3 greedy" { greedy llama3; }
@test "generate: mistral greedy, past its window" { greedy mistral; }
@test "generate: qwen2 greedy" { greedy qwen2; }
@test "generate: qwen3 greedy" { greedy qwen3; }

@test "generate: models that store little load and tell a story" {
  for m in tinystories-656k stories260k; do
    run "$bin/hone-generate" -m "$data/models/$m" -n 30 "Once upon a time"
    [ "$status" -eq 0 ]
    [[ "$output" == *" a "* ]]
  done
}

@test "generate: a seed gives the same text again, another gives another" {
  sample() { "$bin/hone-generate" -m "$data/models/stories260k" -n 40 --temperature 1 --top-p 0.95 --seed "$1" "One day"; }
  [ "$(sample 1)" = "$(sample 1)" ]
  [ "$(sample 1)" != "$(sample 2)" ]
}

@test "eval: base, adapter and merged model agree; so does the trainer" {
  base=$models/llama3/base
  jq -c '.[]' "$models/llama3/docs.json" | "$bin/hone-pack" -q -o "$T/data" -
  "$bin/hone-train" -q -m "$base" -t "$T/data" -v "$T/data" -o "$T/run" --init-adapter "$models/llama3/lora/adapter_init" \
    --max-steps 5 --learning-rate 1e-2 --dtype float32
  "$bin/hone-merge" -q -m "$base" -a "$T/run/final" -o "$T/merged"
  adapter=$("$bin/hone-eval" --json --dtype float32 -m "$base" -a "$T/run/final" "$T/data" | jq .loss)
  merged=$("$bin/hone-eval" --json --dtype float32 -m "$T/merged" "$T/data" | jq .loss)
  before=$("$bin/hone-eval" --json --dtype float32 -m "$base" "$T/data" | jq .loss)
  trainer=$(tail -n 1 "$T/run/metrics.jsonl" | jq .loss)
  jq -ne "[$adapter, $merged, $trainer] | (max - min) / min < 1e-6"
  jq -ne "$before - $merged > 0.1"
}

@test "generate: an adapter unmerged says what it says merged" {
  base=$models/qwen3/base
  "$bin/hone-merge" -q -m "$base" -a "$models/qwen3/lora/adapter_final" -o "$T/merged"
  echo '{"input_ids": [72, 73, 74, 300]}' >"$T/prompt"
  a=$("$bin/hone-generate" -m "$base" -a "$models/qwen3/lora/adapter_final" -n 24 --ids --ignore-eos <"$T/prompt" | jq -c .ids)
  b=$("$bin/hone-generate" -m "$T/merged" -n 24 --ids --ignore-eos <"$T/prompt" | jq -c .ids)
  c=$("$bin/hone-generate" -m "$base" -n 24 --ids --ignore-eos <"$T/prompt" | jq -c .ids)
  [ "$a" = "$b" ]
  [ "$a" != "$c" ]
}

@test "train: tinystories and stories260k from their own JSONL" {
  printf '{"text": "Once upon a time there was a %s who liked to play."}\n' cat dog bird fox >"$T/text.jsonl"
  for m in tinystories-656k stories260k; do
    "$bin/hone-train" -q -m "$data/models/$m" -t "$T/text.jsonl" -o "$T/$m" --method full --n-epochs 3 --learning-rate 1e-3
    jq -se 'map(select(.event == "train").loss) | last < first' "$T/$m/metrics.jsonl"
    run "$bin/hone-generate" -m "$T/$m/final" -n 8 "Once upon a time there was a"
    [ "$status" -eq 0 ]
  done
}
