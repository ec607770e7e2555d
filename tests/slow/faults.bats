#!/usr/bin/env bats
# The long form of tests/cli/faults.bats: every kind of fault at HONE_FAULTS calls of each kind (the first from each stack of
# callers, then some spread evenly), for every program and output but the training's (faults_train.bats).

bats_require_minimum_version 1.5.0
load ../cli/lib
load ../cli/faults

setup_file() {
  (cd "$BATS_FILE_TMPDIR" && make_inputs)
}

setup() {
  faults_begin
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

@test "slow: faults of hone-verify" {
  each 200 verify verify_data verify_file verify_model verify_predictions verify_report verify_run
}

@test "slow: hone-finetune, killed at its calls and those of all that it starts" {
  each 100 finetune
}

# on_disk SIZE: disk/ has so much room
on_disk() {
  mkdir -p disk
  mount -t tmpfs -o "size=$1" none disk 2>/dev/null || skip "no right to mount a tmpfs"
  trap 'umount disk' EXIT
}

@test "slow: a disk that is full at every size: packing, merging" {
  seq 300 | while read -r _; do cat "$in/rows.jsonl"; done >rows.jsonl
  "$hone_bin/hone-pack" -q -o whole --shard-size 4k rows.jsonl
  "$hone_bin/hone-merge" -q -m "$in/model" -a "$in/run/final" -o merged
  local full=0 done=0 size
  for size in 4k 8k 12k 16k 20k 24k 28k 32k 40k 48k 64k 128k 256k 320k 384k 1m; do
    on_disk "$size"
    for what in "pack --shard-size 4k rows.jsonl" "merge -m $in/model -a $in/run/final"; do
      read -ra words <<<"$what"
      run --separate-stderr "$hone_bin/hone-${words[0]}" -q "${words[@]:1}" -o disk/out
      if [ "$status" -eq 0 ]; then
        diff -r disk/out "$([ "${words[0]}" = pack ] && echo whole || echo merged)"
        done=$((done + 1))
      else
        echo "$size: $status $stderr"
        [ "$status" -eq 74 ]
        [[ "$stderr" == *"No space left on device" ]]
        [ "${#stderr_lines[@]}" -eq 1 ]
        full=$((full + 1))
      fi
      rm -rf disk/out
      [ -z "$(ls -A disk)" ]
    done
    umount disk
    trap - EXIT
  done
  echo "# $full times full, $done times enough" >&3
  [ "$full" -gt 5 ]
  [ "$done" -gt 5 ]
}

@test "slow: a night of hone-retrain, killed at its calls and those of all that it starts" {
  each 100 retrain
}
