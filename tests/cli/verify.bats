#!/usr/bin/env bats
# hone-verify: what each output tells of itself, and that a byte that was changed anywhere in it is found; and the refusals that
# rest on it: an adapter on another base, data of another tokenizer.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
  export OMP_NUM_THREADS=1
  (cd "$BATS_FILE_TMPDIR" && make_everything)
}

# make_everything: one of each
make_everything() {
  set -e
  local demo=$BATS_TEST_DIRNAME/../../pipelines
  mkdir config
  cp "$demo"/demo.model/tokenizer* config
  tiny_config config '"vocab_size": 2048'
  head -n 40 "$demo/demo.data/tickets.jsonl" >tickets.jsonl
  jq -c '{prompt: .text, completion: (" " + .label)}' tickets.jsonl >t.jsonl
  "$hone_bin/hone-tokenize" -q -m config -o x.tok t.jsonl
  "$hone_bin/hone-pack" -q -o data x.tok
  "$hone_bin/hone-train" -q -m config -t data -o scratch --from-scratch --method full --max-steps 2 --learning-rate 1e-3
  cp -r scratch/final base
  rm base/manifest.xxh128 base/provenance.json
  "$hone_bin/hone-train" -q -m base -t t.jsonl -v t.jsonl -o run --max-steps 3 --batch-size 16 --learning-rate 1e-3 --lora-r 2 \
    --compute-classification-metrics --classification-n-classes 4
  "$hone_bin/hone-eval" -q -m base -a run/final --predictions p.jsonl --json data >figures.json
  "$hone_bin/hone-eval" -q -m base -a run/final --generate -n 2 --max-samples 4 --predictions g.jsonl --json data >/dev/null
  "$hone_bin/hone-merge" -q -m base -a run/final -o merged
  "$hone_bin/hone-report" -o page.html run
  "$hone_bin/hone-prepare" -q --report report.json -o out tickets.jsonl
}

setup() {
  verify=$hone_bin/hone-verify made=$BATS_FILE_TMPDIR
  export OMP_NUM_THREADS=1
  cd "$made" || return 1
}

# damaged PATH TEXT: it is told so in one line, with 65
damaged() {
  run --separate-stderr "$verify" -q "$1"
  echo "$status: $output $stderr"
  [ "$status" -eq 65 ]
  [[ "$output" == *": damaged: "*"$2"* ]]
  [ "${#lines[@]}" -eq 1 ]
}

# flip FILE OFFSET: another value for that byte
flip() {
  byte=$(od -An -tu1 -j "$2" -N 1 "$1")
  # shellcheck disable=SC2059
  printf "\\x$(printf %02x $(((byte + 1) % 256)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# every_byte THING FILE STEP: each STEPth byte of FILE, changed, is found by a check of THING
every_byte() {
  size=$(stat -c %s "$2")
  cp "$2" "$BATS_TEST_TMPDIR/whole"
  for ((at = 0; at < size; at += $3)); do
    flip "$2" "$at"
    if "$verify" -q "$1" >/dev/null 2>&1; then
      echo "byte $at of $2 was changed, and $1 is ok"
      cp "$BATS_TEST_TMPDIR/whole" "$2"
      return 1
    fi
    cp "$BATS_TEST_TMPDIR/whole" "$2"
  done
  "$verify" -q "$1"
}

@test "verify: everything that was made is whole, and is told what it is" {
  run --separate-stderr "$verify" .
  echo "$output"
  [ "$status" -eq 0 ]
  [ -z "$stderr" ]
  for line in 'x.tok: ok: token stream, 40 records (1 hash)' 'data: ok: dataset, 40 examples (2 hashes)' \
    'scratch/final: ok: model, 21 tensors (5 hashes)' 'run: ok: run, finished, step 3 of 3 (4 hashes)' \
    'run/best: ok: adapter, r 2, 14 modules, of base ' 'run/checkpoint-3: ok: checkpoint (7 hashes)' \
    'run/data-train: ok: dataset' 'run/final: ok: adapter' 'merged: ok: model, 21 tensors (5 hashes)' \
    'p.jsonl: ok: predictions, 40 rows (1 hash)' 'g.jsonl: ok: generated texts, 4 rows (1 hash)' \
    'figures.json: ok: figures (1 hash)' 'page.html: ok: page of hone-report (1 hash)' \
    'report.json: ok: report of hone-prepare (2 hashes)' 'config: ok: model, without weights (structure only' \
    'base: ok: model, 21 tensors (structure only: it carries no hashes of hone)'; do
    grep -qF "./$line" <<<"$output"
  done
  run "$verify" -q .
  [ "$status" -eq 0 ]
  [ -z "$output" ]
  "$verify" - <x.tok
  [ "$(cd run/final && xxh128sum -c manifest.xxh128 | grep -c ': OK')" -eq 5 ]
}

@test "verify: each tells what made it, and out of what" {
  "$verify" --json . >all
  base=$(jq -r .base.fingerprint run/run.json)
  tokenizer=$(jq -r .tokenizer run/run.json)
  [ "${#base}" -eq 32 ]
  [ "${#tokenizer}" -eq 32 ]
  # of: what an input of a path is: "of PATH WHAT" is its fingerprint
  of() { jq -er --arg p "./$1" --arg w "$2" 'select(.path == $p).provenance.inputs[] | select(.what == $w).fingerprint' all; }
  for path in run run/final run/best run/checkpoint-3 merged p.jsonl g.jsonl figures.json; do
    [ "$(of "$path" base)" = "$base" ]
  done
  for path in run run/final p.jsonl x.tok run/data-train; do
    [ "$(of "$path" tokenizer)" = "$tokenizer" ]
  done
  [ "$(of x.tok records)" = "$(xxh128sum <t.jsonl | cut -d' ' -f1)" ]
  [ "$(of report.json records)" = "$(xxh128sum <tickets.jsonl | cut -d' ' -f1)" ]
  [ "$(of data tokens)" = "$(tail -c 16 x.tok | od -An -tx1 | tr -d ' \n')" ]
  [ "$(of merged adapter)" = "$(xxh128sum <run/final/adapter_model.safetensors | cut -d' ' -f1)" ]
  [ "$(of p.jsonl data)" = "$(jq -r .fingerprint data/dataset.json)" ]
  [ "$(of run data)" = "$(jq -r .fingerprint run/data-train/dataset.json)" ]
  version=$("$verify" --version | sed -n '1s/.* \([0-9.]*\) .*/\1/p')
  jq -se --arg v "$version" 'map(select(.provenance)) | length >= 15 and all(.[].provenance; .version == $v and (.tool | startswith("hone-")) and
    (.commit | length) > 0)' all
  jq -se 'map(select(.path == "./run/final").provenance.settings)[0] | ."lora-r" == 2 and (has("output") | not)' all
  jq -se 'map(select(.path == "./data").provenance.inputs[0].provenance.tool)[0] == "hone-tokenize"' all
  "$verify" --show merged | grep -qF "of adapter $(xxh128sum <run/final/adapter_model.safetensors | cut -d' ' -f1) run/final"
}

@test "verify: a changed byte is found wherever a hash covers it" {
  every_byte x.tok x.tok 397
  every_byte data data/dataset.json 211
  every_byte data data/shard-00000.hone.zst 211
  for file in adapter_config.json adapter_model.safetensors manifest.xxh128 provenance.json tokenizer.json; do
    every_byte run/final "run/final/$file" $(($(stat -c %s "run/final/$file") / 4))
  done
  every_byte merged merged/model.safetensors 20011
  every_byte run/checkpoint-3 run/checkpoint-3/optimizer.safetensors 9001
  every_byte run/checkpoint-3 run/checkpoint-3/state.json 101
  for file in run.json metrics.jsonl results.csv predictions.jsonl; do
    every_byte run "run/$file" $(($(stat -c %s "run/$file") / 4))
  done
  every_byte p.jsonl p.jsonl 97
  every_byte figures.json figures.json 61
  every_byte page.html page.html 3001
  every_byte report.json out.prepared.jsonl 997
}

@test "verify: what is missing, cut off or put elsewhere is found" {
  cp -r run merged data "$BATS_TEST_TMPDIR"
  cd "$BATS_TEST_TMPDIR"
  mv merged/config.json config.json
  damaged merged "'merged/config.json'"
  mv config.json merged
  rm merged/manifest.xxh128
  damaged merged "manifest.xxh128 is missing"
  rm data/shard-00000.hone.zst
  damaged data "shard-00000.hone.zst"
  truncate -s -1 run/final/adapter_model.safetensors
  damaged run "'run/final/adapter_model.safetensors' is damaged"
  rm -r run/final
  cp -r "$made/run/final" run/final
  echo '{"event"' >>run/metrics.jsonl
  damaged run "metrics.jsonl"
  rm -r run/final  # as of a run that was killed
  "$verify" -q run
  head -c 300 "$made/p.jsonl" >p.jsonl
  damaged p.jsonl "line 1"
  head -n 7 "$made/p.jsonl" >p.jsonl
  damaged p.jsonl "the hash of its rows"
  head -n 4 "$made/page.html" >page.html
  damaged page.html "was cut off"
  head -c 200 "$made/x.tok" >x.tok
  damaged x.tok "truncated after record"
}

@test "verify: a run's data and adapters are held against its run.json" {
  cp -r run "$BATS_TEST_TMPDIR"
  cd "$BATS_TEST_TMPDIR"
  head -n 30 "$made/t.jsonl" >other.jsonl
  "$hone_bin/hone-tokenize" -q -m "$made/config" other.jsonl | "$hone_bin/hone-pack" -q -o other
  rm -r run/data-train
  mv other run/data-train
  damaged run "'run/data-train' is not the data of the run"
  rm -r run/data-train
  "$hone_bin/hone-train" -q -m "$made/config" -t other.jsonl -o scratch --from-scratch --method full --max-steps 1 --learning-rate 1e-3
  "$hone_bin/hone-train" -q -m scratch/final -t other.jsonl -o two --max-steps 1 --learning-rate 1e-3
  rm -r run/best
  cp -r two/final run/best
  damaged run "'run/best' is not of the run: its base is"
}

@test "verify: what is nothing of ours, and what is not there" {
  cd "$BATS_TEST_TMPDIR"
  echo text >text
  mkdir empty
  fails 65 "'text' is, or holds, nothing that hone writes or reads" "$verify" text
  fails 65 "'empty' is, or holds" "$verify" empty
  fails 66 "'gone' does not exist" "$verify" gone
  fails 64 "PATH... is missing" "$verify"
  mkdir loop
  ln -s . loop/loop
  fails 65 "nothing that hone writes" "$verify" loop
  # what cannot be looked into is not taken for empty
  mkdir -m 0 shut
  fails 66 "cannot look at 'shut/dataset.json': Permission denied" unprivileged "$verify" shut
  fails 66 "cannot look at 'shut/x': Permission denied" unprivileged "$verify" shut/x
  # what cannot be read is no damage, and is told of as by others; the rest is looked at
  cp -r "$made/data" data
  chmod 0 data/shard-*
  run --separate-stderr unprivileged "$verify" data "$made/x.tok"
  [ "$status" -eq 66 ]
  [[ "$stderr" == *"cannot open 'data/shard-00000.hone.zst': Permission denied" ]]
  [[ "$output" == "$made/x.tok: ok: "* ]]
  # a report of hone-prepare that names what has no end
  jq -n '{checks: [], outputs: [{file: "/dev/zero", rows: 1, xxh128: "0"}]}' >endless.json
  timeout 20 "$verify" endless.json
  # an adapter of PEFT has a structure only
  mkdir peft
  cp "$made"/run/final/adapter_* peft
  run "$verify" peft
  [ "$status" -eq 0 ]
  [[ "$output" == *"structure only"* ]]
}

@test "verify: an adapter is taken with its own base only, or when one insists" {
  cd "$BATS_TEST_TMPDIR"
  cp -r "$made/base" elsewhere
  "$hone_bin/hone-merge" -q -m elsewhere -a "$made/run/final" -o merged
  cp -r "$made/base" other
  # another base: one bit of one weight
  size=$(stat -c %s other/model.safetensors)
  flip other/model.safetensors $((size / 2))
  for command in "hone-eval -q -m other -a $made/run/final $made/data" "hone-generate -q -m other -a $made/run/final hello" \
    "hone-merge -m other -a $made/run/final -o out" "hone-train -m other -t $made/t.jsonl --init-adapter $made/run/final -o run \
      --max-steps 1 --learning-rate 1e-3"; do
    # shellcheck disable=SC2086
    fails 78 "insist with --allow-other-base" "$hone_bin"/$command
    # shellcheck disable=SC2086
    "$hone_bin"/$command --allow-other-base >/dev/null 2>&1
  done
}

@test "verify: data of another tokenizer are taken only when one insists" {
  cd "$BATS_TEST_TMPDIR"
  cp -r "$made/base" other
  jq '.added_tokens[0].special = (.added_tokens[0].special | not)' "$made/base/tokenizer.json" >other/tokenizer.json
  options=(-m other -o run --max-steps 1 --learning-rate 1e-3 --batch-size 8)
  fails 65 "insist with --allow-other-tokenizer" "$hone_bin/hone-train" "${options[@]}" -t "$made/data"
  fails 65 "insist with --allow-other-tokenizer" "$hone_bin/hone-train" "${options[@]}" -t "$made/x.tok"
  fails 65 "insist with --allow-other-tokenizer" "$hone_bin/hone-eval" -q -m other "$made/data"
  "$hone_bin/hone-eval" -q -m other "$made/data" --allow-other-tokenizer >/dev/null
  "$hone_bin/hone-train" -q "${options[@]}" -t "$made/data" --allow-other-tokenizer
  # a run does not go on with other data, or with another tokenizer
  head -n 39 "$made/t.jsonl" >less.jsonl
  "$hone_bin/hone-tokenize" -q -m other less.jsonl | "$hone_bin/hone-pack" -q -o less
  fails 73 "other training data ($(jq -r .fingerprint "$made/data/dataset.json"), now $(jq -r .fingerprint less/dataset.json))" \
    "$hone_bin/hone-train" -q "${options[@]}" -t less
  cp "$made/base/tokenizer.json" other
  fails 73 "another tokenizer" "$hone_bin/hone-train" -q "${options[@]}" -t "$made/data"
}
