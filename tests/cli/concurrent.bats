#!/usr/bin/env bats
# Several runs at once with one output: one wins, the others end with 75, or with 73 where the winner was done before they
# looked, and what is there is whole. tests/slow/concurrent.bats does the same many times.

bats_require_minimum_version 1.5.0
load lib
load concurrent

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  export OMP_NUM_THREADS=1
  rows 40 >rows.jsonl
}

@test "concurrent: ten packs of one dataset" {
  hold_stdin 10 "$hone_bin/hone-pack" -q -o data -
  one_wins 10
  "$hone_bin/hone-pack" --verify data
  nothing_staged
}

@test "concurrent: ten token streams into one file" {
  words
  hold_stdin 10 "$hone_bin/hone-tokenize" -q -m config -o x.tok -
  one_wins 10
  "$hone_bin/hone-pack" -q -o data x.tok
  nothing_staged
}

@test "concurrent: with --force, too, the second is turned away while the first is at work, and replaces it after" {
  "$hone_bin/hone-pack" -q -o data rows.jsonl
  hold_stdin 3 "$hone_bin/hone-pack" -q --force -o data -
  one_wins 3
  "$hone_bin/hone-pack" -q --force -o data rows.jsonl
  "$hone_bin/hone-pack" --verify data
  nothing_staged
}

@test "concurrent: who was killed holds nothing, and who merely has its number neither" {
  mkfifo pipe
  "$hone_bin/hone-pack" -q -o data pipe 2>/dev/null &
  pid=$!
  exec 9>pipe
  wait_for_staged data
  fails 75 "'data' is being written by another process; try again when that is done" "$hone_bin/hone-pack" -o data rows.jsonl
  kill -9 "$pid"
  wait "$pid" || [ $? -eq 137 ]
  exec 9>&-
  mkdir ".data.hone-$$"
  "$hone_bin/hone-pack" -q -o data rows.jsonl
  "$hone_bin/hone-pack" --verify data
  [ ! -e ".data.hone-$$" ]  # it was left by one of that number, as its lock tells
  nothing_staged
}

@test "concurrent: a directory that somebody has locked is no obstacle" {
  flock . "$hone_bin/hone-pack" -q -o data rows.jsonl
  "$hone_bin/hone-pack" --verify data
}

@test "concurrent: hone-prepare leaves the data alone while another one writes its report" {
  words
  prepare() { "$hone_bin/hone-prepare" -q --format jsonl --validation 0.25 -o parts --report report.json rows.jsonl; }
  exec 9>.report.json.hone-1
  flock 9
  fails 75 "'report.json' is being written by another process" prepare
  [ ! -e parts.train.jsonl ]
  exec 9>&-
  prepare
  "$hone_bin/hone-verify" -q report.json
  nothing_staged
}

@test "concurrent: ten trainings, evaluations, merges and reports" {
  small_model
  ten "$hone_bin/hone-train" -q -m model -t rows.jsonl -o run --max-steps 3 --batch-size 8 --learning-rate 1e-3 -v rows.jsonl
  one_trains 3
  ten "$hone_bin/hone-merge" -q -m model -a run/final -o merged
  one_wins 10
  "$hone_bin/hone-merge" -q -m model -a run/final -o merged --verify
  ten "$hone_bin/hone-report" -q -o page.html run
  one_wins 10
  tail -n 1 page.html | grep -q '</html>\|^<!-- '
  nothing_staged
}
