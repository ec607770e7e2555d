#!/usr/bin/env bats
# The fuzz targets (tests/fuzz) on the inputs that fuzzing kept: files of every format, damaged in every way it found, and
# what it found wrong before it was mended.

setup_file() {
  export targets=$PWD/${HONE_BUILD:-build/release}/tests/fuzz
  zstd -dqc tests/fuzz/corpus.tar.zst | tar -x -C "$BATS_FILE_TMPDIR"
}

# replay NAME: runs a target on all its inputs, and adds to n how many there were
replay() {
  "$targets/fuzz_$1" "tests/fuzz/corpus/$1" "$BATS_FILE_TMPDIR/$1" >/dev/null 2>"$BATS_TEST_TMPDIR/err" || {
    tail -n 40 "$BATS_TEST_TMPDIR/err"
    return 1
  }
  n=$((n + $(sed -n '$s/ inputs$//p' "$BATS_TEST_TMPDIR/err")))
}

@test "fuzz: every target has inputs, and no input ends a process or takes ten seconds" {
  n=0
  for target in tests/fuzz/fuzz_*.c; do
    name=${target#tests/fuzz/fuzz_}
    replay "${name%.c}"
  done
  echo "$n inputs"
  [ "$n" -gt 10000 ]
}

@test "fuzz: an input that ends the process is told of" {
  [ -z "${HONE_EMULATED:-}" ] || skip "the limit would be the emulator's"
  local limit='ulimit -v 16000' small=max_allocation_size_mb=1:allocator_may_return_null=1
  case $HONE_BUILD in  # sanitizers leave no room for a limit
    build/asan) limit="export ASAN_OPTIONS=$small" ;;
    build/tsan) limit="export TSAN_OPTIONS=$small" ;;
  esac
  run bash -c "$limit; '$targets/fuzz_tokenizer_json' tests/fuzz/corpus/tokenizer_json"
  echo "$output"
  [ "$status" -eq 70 ]
  [[ "$output" == *"replay: 'tests/fuzz/corpus/tokenizer_json/"*"' ended the process"* ]]
}
