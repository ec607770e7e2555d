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

# replaced FILE COMMAND...: `live` is the directory 1 when the command begins; as it reads FILE, 2 is put in its place, while FILE is
# still that of 1. Leaves status, out, err.
replaced() {
  local file=$1
  shift
  rm -rf live old new
  cp -r 1 live
  cp -r 2 new
  rm "live/$file"
  mkfifo "live/$file"
  "$@" >out 2>err 3>&- &
  # shellcheck disable=SC2016
  timeout 20 bash -c 'exec 9>"live/$1" && mv live old && mv new live && cat "1/$1" >&9' - "$file"
  status=0
  wait "$!" || status=$?
  cat err
}

# of_second COMMAND...: what the command, as above, has said is what it says of 2
of_second() {
  [ "$status" -eq 0 ]
  mv out replaced
  "$@" >out
  cmp out replaced
}

@test "concurrent: a model that is replaced while it is opened is opened anew, weights and tokenizer together" {
  words
  for i in 1 2; do
    tiny_config "config$i" '"vocab_size": 2048' "\"num_attention_heads\": $((2 * i))" "\"num_key_value_heads\": $((2 * i))"
    cp config/* "config$i"
    "$hone_bin/hone-train" -q -m "config$i" -t rows.jsonl -o made --from-scratch --method full --max-steps 1 --learning-rate 1e-3 --seed "$i"
    mv made/final "$i"
    rm -r made
  done
  # the letters a and b have changed places
  jq '.model.vocab |= (.a as $a | .a = .b | .b = $a)' config/tokenizer.json >2/tokenizer.json
  tokenize() { "$hone_bin/hone-tokenize" -q --jsonl -m live rows.jsonl; }
  replaced tokenizer.json tokenize
  of_second tokenize
  continue_ids() { "$hone_bin/hone-generate" -q --json -n 6 -m live "a bad baa"; }
  for file in config.json tokenizer.json; do
    replaced "$file" continue_ids
    of_second continue_ids
  done
  # others do not begin again
  "$hone_bin/hone-train" -q -m 1 -t rows.jsonl -o run --max-steps 1 --batch-size 8 --learning-rate 1e-3
  refused() {
    [ "$status" -eq 75 ]
    [ "$(cat err)" = "hone-$1: 'live' was replaced while it was read" ]
    [ ! -s out ]
    nothing_staged
  }
  replaced config.json "$hone_bin/hone-merge" -q -m live -a run/final -o merged
  refused merge
  [ ! -e merged ]
  for file in config.json tokenizer.json; do
    replaced "$file" "$hone_bin/hone-eval" -q -m live rows.jsonl
    refused eval
  done
  replaced tokenizer.json "$hone_bin/hone-train" -q -m live -t rows.jsonl -o other --max-steps 1 --learning-rate 1e-3
  refused train
  [ ! -e other/run.json ]
}

@test "concurrent: an adapter, and a dataset, that are replaced while they are opened are opened anew" {
  small_model
  for i in 1 2; do
    "$hone_bin/hone-train" -q -m model -t rows.jsonl -o made --max-steps 2 --batch-size 8 --learning-rate 1e-1 --lora-alpha "$((8 * i))" --seed "$i"
    mv made/final "$i"
    rm -r made
  done
  merge() { "$hone_bin/hone-merge" -q -m model -a live -o merged && tail -c +9 merged/model.safetensors && rm -r merged; }
  replaced adapter_config.json merge
  of_second merge
  replaced adapter_config.json "$hone_bin/hone-eval" -q -m model -a live rows.jsonl
  [ "$status" -eq 75 ]
  rm -r 1 2
  "$hone_bin/hone-pack" -q -o 1 rows.jsonl
  tac rows.jsonl | "$hone_bin/hone-pack" -q -o 2 -
  list() { "$hone_bin/hone-pack" --cat live; }
  replaced dataset.json list
  of_second list
}
