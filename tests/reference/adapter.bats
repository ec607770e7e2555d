#!/usr/bin/env bats
# Adapters of every kind against PEFT, on tiny models (lora/make.py made them): the logits of its adapters, ten steps of
# training from its start, and the merged model.

setup_file() {
  tar xzf "$BATS_TEST_DIRNAME/lora/cases.tar.gz" -C "$BATS_FILE_TMPDIR"
  jq -c '.[]' "$BATS_FILE_TMPDIR/docs.json" | "${HONE_BIN:-.}/hone-pack" -q -o "$BATS_FILE_TMPDIR/data" -
}

setup() {
  train="${HONE_BIN:-.}/hone-train"
  merge="${HONE_BIN:-.}/hone-merge"
  helpers="${HONE_HELPERS:-build/release/tests/helpers}"
  R=$BATS_FILE_TMPDIR
  T=$BATS_TEST_TMPDIR
}

# logits BASE_OR_MODEL CASE [ADAPTER]: they are PEFT's
logits() {
  "$helpers/adapterref" "$1" "$R/docs.json" "$R/case/$2/logits.safetensors" "${@:3}"
}

# start CASE: $base, $case, and $T/peft, the adapter that PEFT ended with
start() {
  case=$R/case/$1
  base=$R/base/$(cat "$case/base.txt")
  cp -r "$case/adapter_init" "$T/peft"
  cp "$case/adapter_final.safetensors" "$T/peft/adapter_model.safetensors"
}

# agrees CASE [OPTION_OF_MERGE...]; tensors named in $any may have other values
agrees() {
  start "$1"
  logits "$base" "$1" "$T/peft"
  "$train" -q -m "$base" -t "$R/data" -o "$T/run" --init-adapter "$case/adapter_init" --no-shuffle --batch-size 4 \
    --n-epochs 100 --max-steps 10 --learning-rate 1e-2 --warmup-steps 2 --lr-scheduler-type cosine --weight-decay 0.1 \
    --max-grad-norm 1 --dtype float32
  [ "$(jq length "$case/log.json")" -eq 10 ]
  "$helpers/logdiff" step=0 loss=1e-4 grad_norm=1e-4 learning_rate=1e-8 targets=0 "$T/run/metrics.jsonl" "$case/log.json"
  "$helpers/stdiff" 1e-3 "$T/run/final/adapter_model.safetensors" "$case/adapter_final.safetensors" "${any[@]}"
  logits "$base" "$1" "$T/run/final"
  "$merge" -q -m "$base" -a "$T/run/final" -o "$T/merged" "${@:2}"
  logits "$T/merged" "$1"
}

@test "adapter: embeddings, head, q and v" { agrees embed; }
@test "adapter: embeddings of a tied model: the head keeps the table" { agrees embed-tied --untie; }
@test "adapter: the head of a tied model" { agrees head-tied --untie; }
@test "adapter: modules_to_save with the embeddings of a tied model" { agrees save-embed-tied --untie; }
@test "adapter: modules_to_save with the head of a tied model" { agrees save-head-tied --untie; }
@test "adapter: modules_to_save with both of a tied model" { agrees save-both-tied --untie; }
@test "adapter: modules_to_save by the end of a name" { agrees save-norm; }
@test "adapter: DoRA" { agrees dora; }
@test "adapter: DoRA on embeddings and head" { agrees dora-embed; }
@test "adapter: DoRA with rsLoRA, on layers with biases, which are trained" { agrees dora-bias; }
@test "adapter: all biases" { agrees bias-all; }
@test "adapter: the biases of adapted layers" { agrees bias-lora-only; }
@test "adapter: ranks and alphas by pattern" { agrees patterns; }
@test "adapter: one layer, and not all of it" { agrees layers; }
@test "adapter: modules by regular expression" { agrees regex; }
@test "adapter: gpt2 with DoRA" { agrees gpt2-dora; }
@test "adapter: gpt2, embeddings and positions" { agrees gpt2-embed --untie; }
@test "adapter: gpt2, all biases" {
  # A third of these are biases of keys, which change no attention: their gradient is rounding, and AdamW makes steps of it.
  any=(attn.c_attn.base_layer.bias)
  agrees gpt2-bias
}
@test "adapter: gpt2, the head too, where PEFT says fan_in_fan_out false" { agrees gpt2-head --untie; }
@test "adapter: gemma3, embeddings" { agrees gemma3-embed --untie; }

@test "adapter: another adapter is told apart" {
  start dora
  run logits "$base" embed "$T/peft"
  [ "$status" -eq 1 ]
}
