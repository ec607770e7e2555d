# hone-merge against PEFT: every adapter of the reference cases, merged into its base.

setup() {
  merge="${HONE_BIN:-.}/hone-merge"
  helpers="${HONE_HELPERS:-build/release/tests/helpers}"
  cases=../shared/reference/models
  out="$BATS_TEST_TMPDIR/out"
}

# agrees CASE METHOD: the merge has PEFT's numbers, and verifies
agrees() {
  local dir="$cases/$1"
  "$merge" -q -m "$dir/base" -a "$dir/$2/adapter_final" -o "$out"
  "$helpers/stdiff" 1e-6 "$out" "$dir/$2/merged"
  "$merge" -q -m "$dir/base" -a "$dir/$2/adapter_final" -o "$out" --verify
  run "$merge" -q -m "$dir/base" -a "$dir/$2/adapter_init" -o "$out" --verify
  [ "$status" -eq 1 ]
}

@test "merge: llama2 lora" { agrees llama2 lora; }
@test "merge: llama2 rslora" { agrees llama2 rslora; }
@test "merge: llama2 dora" { agrees llama2 dora; }
@test "merge: llama2 lora and modules_to_save" { agrees llama2 lora_head; }
@test "merge: llama3 lora" { agrees llama3 lora; }
@test "merge: llama3 lora on q and v" { agrees llama3 lora_qv; }
@test "merge: mistral lora" { agrees mistral lora; }
@test "merge: qwen2 lora" { agrees qwen2 lora; }
@test "merge: qwen3 lora" { agrees qwen3 lora; }
@test "merge: gpt2 lora, fan_in_fan_out" { agrees gpt2 lora; }
@test "merge: gpt_neox lora" { agrees gpt_neox lora; }
@test "merge: gemma3 lora" { agrees gemma3 lora; }

@test "merge: the head of gpt_neox, which files call embed_out" {
  base=$cases/gpt_neox/base
  jq -c '.[]' "$cases/gpt_neox/docs.json" | "${HONE_BIN:-.}/hone-pack" -q -o "$BATS_TEST_TMPDIR/data" -
  "${HONE_BIN:-.}/hone-train" -q -m "$base" -t "$BATS_TEST_TMPDIR/data" -o "$BATS_TEST_TMPDIR/run" --modules-to-save lm_head \
    --max-steps 3 --learning-rate 1e-2
  "$merge" -q -m "$base" -a "$BATS_TEST_TMPDIR/run/final" -o "$out"
  loss() { "${HONE_BIN:-.}/hone-eval" --json --dtype float32 "$@" "$BATS_TEST_TMPDIR/data" | jq .loss; }
  jq -ne "[$(loss -m "$out"), $(loss -m "$base" -a "$BATS_TEST_TMPDIR/run/final")] | (max - min) / min < 1e-6"
  jq -ne "$(loss -m "$base") - $(loss -m "$out") > 0.1"
}

@test "merge: the tokenizer and the configuration go along" {
  "$merge" -q -m "$cases/llama2/base" -a "$cases/llama2/lora/adapter_final" -o "$out"
  rm "$out/provenance.json" "$out/manifest.xxh128"
  [ "$(ls "$cases/llama2/base")" = "$(ls "$out")" ]
  for f in config.json tokenizer.json tokenizer_config.json chat_template.jinja; do
    cmp "$cases/llama2/base/$f" "$out/$f"
  done
}

@test "merge: half an adapter twice is the adapter" {
  local dir="$cases/qwen2" a="$cases/qwen2/lora/adapter_final"
  "$merge" -q -m "$dir/base" -a "$a=0.5" -a "$a=0.5" -o "$out"
  "$helpers/stdiff" 1e-6 "$out" "$dir/lora/merged"
}

@test "merge: bfloat16 is the merge rounded" {
  local dir="$cases/llama2"
  "$merge" -q -m "$dir/base" -a "$dir/lora/adapter_final" -o "$out" --dtype bfloat16
  "$helpers/stdiff" 0.003 "$out" "$dir/lora/merged"
  run "$helpers/stdiff" 0.0005 "$out" "$dir/lora/merged"
  [ "$status" -eq 1 ]
}

@test "stdiff: tells different checkpoints apart" {
  run "$helpers/stdiff" 1e-6 "$cases/llama2/base" "$cases/llama2/lora/merged"
  [ "$status" -eq 1 ]
  run "$helpers/stdiff" 1e9 "$cases/llama2/base" "$cases/qwen2/base"
  [ "$status" -eq 1 ]
  "$helpers/stdiff" 0 "$cases/llama2/base" "$cases/llama2/base/model.safetensors"
}

@test "adapter_config.json is written as PEFT writes it" {
  local n=0
  for dir in "$cases"/*/*/adapter_final; do
    run "$helpers/adaptercopy" "$dir" "$BATS_TEST_TMPDIR"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    cmp "$dir/adapter_config.json" "$BATS_TEST_TMPDIR/adapter_config.json"
    n=$((n + 1))
  done
  [ "$n" -ge 12 ]
}
