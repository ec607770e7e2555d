#!/usr/bin/env bats
# The tutorial with a few steps of the long training; tests/slow has all of it.

bats_require_minimum_version 1.5.0
load lib
load tutorial

@test "tutorial: every command runs, and prints what the page shows" {
  follow 's/--max-steps 200/--max-steps 3/; s/--n-epochs 6/--n-epochs 1/; s/timeout --preserve-status -s INT 2/timeout --preserve-status -s INT 0.3/'
  # What it learned in three steps is another matter.
  sed -i 's/"completion":"[^"]*","tokens":[0-9]*,"finish_reason":"[a-z]*"/"completion":"delivery","tokens":4,"finish_reason":"stop"/' output
  output_is_as_shown
  [ -s tutorial/report.html ]
}

@test "tutorial: a command that fails, and output that is not as shown, are noticed" {
  run follow 's/--validation 0.2/--validation 2/'
  [ "$status" -ne 0 ]
  cd "$BATS_TEST_TMPDIR"
  shown >output
  output_is_as_shown
  sed -i '/rows written/d' output
  run output_is_as_shown
  [ "$status" -ne 0 ]
}
