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

@test "generate: gpt2 greedy" { greedy gpt2; }
@test "generate: gpt_neox greedy" { greedy gpt_neox; }
@test "generate: gemma3 greedy, past its window" { greedy gemma3; }

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

@test "generate, eval: learned positions end, and a text with them" {
  for n in 250 256; do
    jq -nc --argjson n "$n" '{input_ids: [range($n) % 500]}' | "$bin/hone-generate" -m "$models/gpt2/base" --ignore-eos -n 16 --json \
      >"$T/out"
    jq -e --argjson n "$n" '.tokens == 257 - $n and .finish_reason == "length"' "$T/out"
  done
  jq -nc '{input_ids: [range(257) % 500]}' >"$T/long"
  run "$bin/hone-generate" -m "$models/gpt2/base" <"$T/long"
  [ "$status" -eq 65 ]
  [[ "$output" == *"257 tokens are too many: this gpt2 model has learned positions for 256"* ]]
  jq -c '. + {labels: .input_ids}' "$T/long" | "$bin/hone-pack" -q -o "$T/data" -
  run "$bin/hone-eval" -m "$models/gpt2/base" "$T/data"
  [ "$status" -eq 65 ]
  [[ "$output" == *"257 tokens are too many"* ]]
}

# unmerged CASE: an adapter on the base, and merged into it
unmerged() {
  base=$models/$1/base
  "$bin/hone-merge" -q -m "$base" -a "$models/$1/lora/adapter_final" -o "$T/merged"
  printf '{"input_ids": [%s]}\n' "72, 73, 74, 300" "5, 401, 260" "99, 17, 350, 42, 8, 511" >"$T/prompt"
  say() { "$bin/hone-generate" --dtype float32 -n 24 --ids --ignore-eos "$@" <"$T/prompt" | jq -c .ids; }
  a=$(say -m "$base" -a "$models/$1/lora/adapter_final")
  b=$(say -m "$T/merged")
  c=$(say -m "$base")
  [ "$a" = "$b" ]
  [ "$a" != "$c" ]
}

@test "generate: an adapter unmerged says what it says merged: qwen3" { unmerged qwen3; }
@test "generate: an adapter unmerged says what it says merged: gpt2" { unmerged gpt2; }
@test "generate: an adapter unmerged says what it says merged: gpt_neox" { unmerged gpt_neox; }
@test "generate: an adapter unmerged says what it says merged: gemma3" { unmerged gemma3; }

@test "train: tinystories and stories260k from their own JSONL" {
  printf '{"text": "Once upon a time there was a %s who liked to play."}\n' cat dog bird fox >"$T/text.jsonl"
  for m in tinystories-656k stories260k; do
    "$bin/hone-train" -q -m "$data/models/$m" -t "$T/text.jsonl" -o "$T/$m" --method full --n-epochs 3 --learning-rate 1e-3
    jq -se 'map(select(.event == "train").loss) | last < first' "$T/$m/metrics.jsonl"
    run "$bin/hone-generate" -m "$T/$m/final" -n 8 "Once upon a time there was a"
    [ "$status" -eq 0 ]
  done
}
