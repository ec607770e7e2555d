#!/usr/bin/env bats
# The long form of tests/cli/damage.bats: every bit, and every byte made 0x00 and 0xff; also of a checkpoint as hone-train
# makes it, and of a larger dataset.

bats_require_minimum_version 1.5.0
load ../cli/lib
load ../cli/damage

setup() {
  top=$PWD damage=$PWD/${HONE_BUILD:-build/release}/tests/fuzz/damage
  cd "$BATS_TEST_TMPDIR" || return 1
  counts=$BATS_TEST_TMPDIR/counts loud=1
  : >counts
}

teardown() {
  awk '{ n[$1] += $2 } END { for (k in n) printf "# %d %s\n", n[k], k }' "$BATS_TEST_TMPDIR/counts" >&3
}

@test "slow: damage: every cut and every bit of a small file of each format" {
  small_files files
  cd files
  each_damage -a
}

@test "slow: damage: every cut and every bit of each file of a checkpoint" {
  tiny_config model
  rows 12 | "$hone_bin/hone-pack" -q -o data -
  "$hone_bin/hone-train" -q -m model -t data -o run --from-scratch --method full --max-steps 2 --learning-rate 1e-3 --outlier-zscore 3 \
    --outlier-window 8
  cd run
  for file in checkpoint-2/*; do
    bits=(-a)
    [ "$(stat -c %s "$file")" -le 20000 ] || bits=()
    damaged 'cuts: N refused, [01] same, 0 other; changes: N refused, N same, 0 other; statuses 65' \
      "${bits[@]}" checkpoint checkpoint-2 "${file##*/}"
  done
}

@test "slow: damage: every cut and every bit of a dataset of several frames" {
  rows 4000 | "$hone_bin/hone-pack" -q -o data -
  damaged 'cuts: N refused, 1 same, 0 other; changes: N refused, N same, 0 other; statuses 65' -a dataset data dataset.json
  damaged 'cuts: N refused, 0 same, 0 other; changes: N refused, N same, 0 other; statuses 65' dataset data shard-00000.hone.zst
  damaged 'cuts: N refused, 0 same, 0 other; changes: N refused, 0 same, 0 other; statuses 1' verify data shard-00000.hone.zst
}
