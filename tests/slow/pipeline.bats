#!/usr/bin/env bats
# The short pipeline under valgrind: not a byte read before it was written, not one lost.

bats_require_minimum_version 1.5.0
load ../cli/lib

setup() {
  command -v valgrind >/dev/null || skip "no valgrind (make lint-deps)"
  cd "$BATS_TEST_TMPDIR" || return 1
  tiny_config config
  rows 12 >rows.jsonl
}

# checked TOOL ARGUMENT...: on one thread, as threads of OpenMP look like a leak
checked() {
  valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite "$hone_bin/$1" "${@:2}" -j 1
}

@test "slow: pack, train, resume and merge under valgrind" {
  checked hone-pack -q -o data rows.jsonl
  checked hone-pack --verify data
  checked hone-pack --cat data >/dev/null
  checked hone-train -q -m config -t data -v data -o made --from-scratch --method full --n-epochs 2 --batch-size 4 \
    --learning-rate 1e-2
  rm -r made/final
  checked hone-train -q -m config -t data -v data -o made --from-scratch --method full --n-epochs 2 --batch-size 4 \
    --learning-rate 1e-2
  checked hone-train -q -m made/final -t data -o run --lora-dropout 0.1 --n-epochs 2 --batch-size 4 --micro-tokens 16 \
    --gradient-checkpointing --learning-rate 1e-2
  checked hone-merge -q -m made/final -a run/final -o merged
  checked hone-merge -q -m made/final -a run/final -o merged --verify
}

@test "slow: damaged input under valgrind" {
  "$hone_bin/hone-pack" -q -o data rows.jsonl
  size=$(stat -c %s data/shard-00000.hone.zst)
  for ((at = 0; at < size; at += 37)); do
    cp -r data bad
    printf '\xff' | dd of=bad/shard-00000.hone.zst bs=1 seek="$at" conv=notrunc status=none
    run -1 checked hone-pack --verify bad
    rm -r bad
  done
}
