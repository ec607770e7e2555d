#!/usr/bin/env bats
# Families and settings that ../shared/reference lacks, against what transformers and PEFT computed
# (tests/reference/families/make.py).

setup() {
  pack="${HONE_BIN:-.}/hone-pack"
  train="${HONE_BIN:-.}/hone-train"
  helpers="${HONE_HELPERS:-build/release/tests/helpers}"
  cases=tests/reference/families
  T=$BATS_TEST_TMPDIR
}

# agrees CASE: loss, logits, every gradient, greedy continuations, and the log of six steps of full training
agrees() {
  "$helpers/modelref" "$cases/$1"
  follows "$1" full --method full
}

# follows CASE METHOD OPTION...
follows() {
  local dir=$cases/$1
  jq -c '.[]' "$dir/docs.json" | "$pack" -q -o "$T/data" -
  "$train" -q -m "$dir/base" -t "$T/data" -o "$T/$2" --no-shuffle --batch-size 2 --max-steps 6 --learning-rate 2e-3 \
    --lr-scheduler-type constant --warmup-steps 0 --weight-decay 0 --max-grad-norm 0 --dtype float32 "${@:3}"
  [ "$(jq length "$dir/$2/log.json")" -eq 6 ]
  "$helpers/logdiff" step=0 loss=1e-4 grad_norm=1e-4 learning_rate=1e-8 targets=0 "$T/$2/metrics.jsonl" "$dir/$2/log.json"
}

# adapts CASE: the same with an adapter, whose values afterwards are theirs
adapts() {
  local dir=$cases/$1/lora
  follows "$1" lora --init-adapter "$dir/adapter_init"
  "$helpers/stdiff" 1e-3 "$T/lora/final/adapter_model.safetensors" "$dir/adapter_final/adapter_model.safetensors"
}

@test "families: phi3, fused projections, part of a head turned, a window" { agrees phi3; }
@test "families: phi3, longrope by the length of each document" { agrees phi3-longrope; }
@test "families: phi3, lora on fused projections" { adapts phi3; }
@test "families: linear rope" { agrees llama-linear; }
@test "families: dynamic rope by the length of each document" { agrees llama-dynamic; }
@test "families: yarn" { agrees llama-yarn; }
@test "families: yarn with an mscale and bounds of its own" { agrees llama-yarn-mscale; }
@test "families: gpt_neox, one residual after the other, tied" { agrees neox-sequential; }
@test "families: gpt_neox, one residual after the other, lora" { adapts neox-sequential; }
@test "families: gpt2 without transformer., relu, scores scaled by layer" { agrees gpt2-bare; }
@test "families: gpt2 without transformer., lora" { adapts gpt2-bare; }
@test "families: gemma3 with a scaled rope in full layers" { agrees gemma3-scaled; }
@test "families: gemma" { agrees gemma; }
@test "families: smollm3, layers without rope" { agrees smollm3; }

# names FILE: of its tensors
names() {
  local n
  n=$(od -An -tu8 -N8 "$1")
  tail -c +9 "$1" | head -c "$n" | jq -r 'keys - ["__metadata__"] | .[]'
}

@test "families: weights are written by the names they were read by" {
  for c in gpt2-bare neox-sequential phi3; do
    follows "$c" full --method full
    names "$T/full/final/model.safetensors" >"$T/ours"
    names "$cases/$c/base/model.safetensors" | diff "$T/ours" -
    rm -r "$T/full" "$T/data"
  done
}
