#!/usr/bin/env bats
# The long form of tests/cli/faults.bats: every kind of fault at HONE_FAULTS calls of each kind (the first from each stack of
# callers, then some spread evenly), for every program and output.

bats_require_minimum_version 1.5.0
load ../cli/lib
load ../cli/faults

setup_file() {
  (cd "$BATS_FILE_TMPDIR" && make_inputs)
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  mkdir empty
  in=$BATS_FILE_TMPDIR/in
  export OMP_NUM_THREADS=1
}

# each MOST NAME...
each() {
  local what
  faults_options=(-m "${HONE_FAULTS:-$1}")
  for what in "${@:2}"; do
    run "faults_$what"
    echo "$output"
    echo "# $what: ${lines[-1]}" >&3
    [ "$status" -eq 0 ]
  done
}

@test "slow: faults of hone-tokenize" {
  each 200 tokenize tokenize_stdout tokenize_force
}

@test "slow: faults of hone-prepare" {
  each 200 prepare
}

@test "slow: faults of hone-pack" {
  each 300 pack pack_force pack_verify pack_cat
}

@test "slow: faults of hone-eval, hone-report, hone-generate" {
  each 100 eval eval_metrics report generate
}

@test "slow: faults of hone-merge" {
  each 100 merge merge_force
}

@test "slow: faults of hone-train, an adapter" {
  each 60 train_lora
}

@test "slow: faults of hone-train, all weights, of records, the best at the end" {
  each 60 train_full
}
