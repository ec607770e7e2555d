#!/usr/bin/env bats
# Loss, logits and every gradient of the reference models, against what transformers and torch computed.

setup() {
  modelref=${HONE_HELPERS:-build/release/tests/helpers}/modelref
  cases=../shared/reference/models
}

@test "model: llama2" { "$modelref" "$cases/llama2"; }
@test "model: llama3, tied, with its rope scaling" { "$modelref" "$cases/llama3"; }
@test "model: mistral, with a sliding window" { "$modelref" "$cases/mistral"; }
@test "model: qwen2, with biases" { "$modelref" "$cases/qwen2"; }
@test "model: qwen3, with norms of queries and keys" { "$modelref" "$cases/qwen3"; }

@test "model: gpt2, with learned positions and matrices stored [in,out]" { "$modelref" "$cases/gpt2"; }
@test "model: gpt_neox, with a parallel residual and heads interleaved" { "$modelref" "$cases/gpt_neox"; }
@test "model: gemma3, with four norms a layer and two ropes" { "$modelref" "$cases/gemma3"; }

# spelled FILTER: gemma3 with the members of its config.json that the filter makes of them
spelled() {
  mkdir "$BATS_TEST_TMPDIR/base"
  ln -s "$PWD/$cases/gemma3/base/model.safetensors" "$BATS_TEST_TMPDIR/base"
  jq "$1" "$cases/gemma3/base/config.json" >"$BATS_TEST_TMPDIR/base/config.json"
  "$modelref" "$cases/gemma3" 0 "$BATS_TEST_TMPDIR/base"
}

@test "model: gemma3 as old files spell it" {
  spelled 'del(.rope_parameters, .layer_types) + {rope_theta: 1000000.0, rope_local_base_freq: 10000.0,
    sliding_window_pattern: 2, rope_scaling: null}'
}

@test "model: gemma3 with another pattern of sliding layers is another model" {
  run spelled 'del(.layer_types) + {sliding_window_pattern: 1}'
  [ "$status" -eq 1 ]
}

@test "modelref: tells another model apart" {
  cp -rL "$cases/llama2" "$BATS_TEST_TMPDIR/case"
  chmod -R u+w "$BATS_TEST_TMPDIR/case"
  sed -i 's/"rope_theta": 10000.0/"rope_theta": 9000.0/' "$BATS_TEST_TMPDIR/case/base/config.json"
  run "$modelref" "$BATS_TEST_TMPDIR/case"
  [ "$status" -eq 1 ]
}

@test "model: on instruction sets below the processor's" {
  for isa in avx2 blas; do
    for case in llama3 mistral gemma3; do
      HONE_ISA=$isa "$modelref" "$cases/$case"
    done
  done
}

# The band is what rounding to 8 bits leaves: 2^-8 a number, and the errors of some hundred numbers on the way.
@test "model: the same in bf16, on every instruction set" {
  for isa in best avx512bf16 avx512 avx2 blas; do
    for case in llama2 llama3 mistral qwen2 qwen3 gpt2 gpt_neox gemma3; do
      HONE_ISA=$isa "$modelref" "$cases/$case" 0.05
    done
  done
}
