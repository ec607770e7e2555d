#!/usr/bin/env bats
# tests/slow/faults.bats for hone-train, which takes longer.

bats_require_minimum_version 1.5.0
load ../cli/lib
load ../cli/faults

setup_file() {
  (cd "$BATS_FILE_TMPDIR" && make_inputs)
}

setup() {
  faults_begin
}

@test "slow: faults of hone-train, an adapter" {
  each 40 train_lora
}

@test "slow: faults of hone-train, all weights, of records, the best at the end" {
  each 40 train_full
}

@test "slow: hone-train killed, or without power, at every call that changes a file" {
  only=kill,powercut
  each 100000 train_lora train_full
}
