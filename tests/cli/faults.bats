#!/usr/bin/env bats
# Faults at some of the calls of every program: the short form of tests/slow/faults.bats, which takes more of them.

bats_require_minimum_version 1.5.0
load lib
load faults

setup_file() {
  (cd "$BATS_FILE_TMPDIR" && faults_programs && make_inputs) || true
}

setup() {
  faults_programs || skip "built with a sanitizer, and there is no other build"
  faults_begin
}

# The driver is held against programs that do wrong; `put x` writes a file.
fault() {
  local script='put() { dd status=none if="$0" of="$1" 2>/dev/null; }'
  run "$HONE_HELPERS/faults" -l "$HONE_HELPERS/interpose.so" "${@:1:$#-1}" empty -- bash -c "$script; ${*: -1}" "$BATS_TEST_FILENAME"
  echo "$output"
  [ "$status" -eq 1 ]
}

@test "faults: the driver sees what is half there, left over, or different" {
  fault -o x -f kill-one 'put x; : >>x; mv x y; put x'
  [[ "$output" == *"neither old nor new: 'x'"* ]]
  fault -f write-EIO 'put x; true'
  [[ "$output" == *"survived with another result: 'x'"* ]]
  fault -f kill 'n=.x.hone-$$; put $n; mv $n x'
  [[ "$output" == *"the same command again ends otherwise: '.x.hone-"* ]]
  fault -f write-EIO 'put /dev/stdout; true'
  [[ "$output" == *"another standard output"* ]]
}

@test "faults: the driver sees a wrong end, and a message that is wrong, missing or too much" {
  fault -f write-EIO 'put x || exit 74'
  [[ "$output" == *"no message"* ]]
  fault -f write-EIO 'put x || kill -SEGV $$'
  [[ "$output" == *"ended by a signal"* ]]
  fault -f write-EIO 'put x || { echo "cannot write" >&2; echo "x" >&2; exit 74; }'
  [[ "$output" == *"more than one line"* ]]
  fault -f write-EIO 'put x || { echo "cannot write" >&2; exit 74; }'
  [[ "$output" == *"the message does not name the file"* ]]
  fault -f write-EIO 'put x || { echo "cannot write x" >&2; exit 70; }'
  [[ "$output" == *"the wrong exit status"* ]]
}

for_each() {
  local what
  for what; do
    run "faults_$what"
    echo "$what: $output"
    [ "$status" -eq 0 ]
    [[ "${lines[-1]}" == *" 0 did not hold" ]]
  done
}

# Every kind of fault where it costs least, some of them elsewhere.
some=memory,create-EACCES,read-short-,write-ENOSPC-,write-short-,sync-EIO,rename-EIO,list-EIO,kill,powercut

@test "faults: hone-pack" {
  faults_options=(-m 4)
  for_each pack_force
  faults_options=(-m 2 -f "$some")
  for_each pack pack_verify pack_cat
}

@test "faults: hone-tokenize, hone-prepare" {
  faults_options=(-m 2 -f "$some")
  for_each tokenize tokenize_force prepare
}

@test "faults: hone-eval, hone-report, hone-generate" {
  faults_options=(-m 1 -f "$some")
  for_each eval eval_metrics report generate
}

@test "faults: hone-merge" {
  faults_options=(-m 2 -f "$some")
  for_each merge merge_force
}

@test "faults: hone-verify" {
  faults_options=(-m 2)
  for_each verify verify_data verify_report verify_run
}

@test "faults: hone-train" {
  faults_options=(-m 1 -f "$some")
  for_each train_lora train_full
}
