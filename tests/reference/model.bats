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

@test "modelref: tells another model apart" {
  cp -rL "$cases/llama2" "$BATS_TEST_TMPDIR/case"
  chmod -R u+w "$BATS_TEST_TMPDIR/case"
  sed -i 's/"rope_theta": 10000.0/"rope_theta": 9000.0/' "$BATS_TEST_TMPDIR/case/base/config.json"
  run "$modelref" "$BATS_TEST_TMPDIR/case"
  [ "$status" -eq 1 ]
}

# The band is what rounding to 8 bits leaves: 2^-8 a number, and the errors of some hundred numbers on the way.
@test "model: the same in bf16, on every instruction set" {
  for isa in best avx512bf16 fp32; do
    for case in llama2 llama3 mistral qwen2 qwen3; do
      HONE_ISA=$isa "$modelref" "$cases/$case" 0.05
    done
  done
}
