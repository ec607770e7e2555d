#!/usr/bin/env bats
# Every long work shows how far it is on a terminal, and nothing where there is none.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
  cd "$BATS_TEST_DIRNAME/../.." || return 1
  local d=$BATS_FILE_TMPDIR bin=${HONE_BIN:-.}
  cp -r pipelines/demo.model "$d/shape"
  jq -c '{prompt: .text, completion: .label}' pipelines/demo.data/tickets.jsonl >"$d/rows.jsonl"
  jq '.hidden_size = 32 | .intermediate_size = 64 | .num_hidden_layers = 1 | .num_attention_heads = 1
    | .num_key_value_heads = 1' pipelines/demo.model/config.json >"$d/shape/config.json"
  "$bin/hone-train" -q -j 1 -m "$d/shape" --from-scratch --method full -t "$d/rows.jsonl" -o "$d/full" --max-steps 1
  mv "$d/full/final" "$d/base"
  "$bin/hone-train" -q -j 1 -m "$d/base" -t "$d/rows.jsonl" -o "$d/lora" --max-steps 1
  "$bin/hone-tokenize" -q -m "$d/base" -o "$d/rows.tokens" "$d/rows.jsonl"
}

setup() {
  cp -r "$BATS_FILE_TMPDIR/." "$BATS_TEST_TMPDIR"
  cd "$BATS_TEST_TMPDIR" || return 1
  PATH=$hone_bin:$PATH
}

# on_terminal COMMAND: what it writes to a terminal, in `screen`
on_terminal() {
  TERM=xterm script -qefc "$1" -E never /dev/null </dev/null >screen
}

# nowhere PATTERN FILE: a shell goes on behind a "!" that fails
nowhere() {
  if grep -aE "$1" "$2"; then return 1; fi
}

# shows WORK COMMAND: on a terminal, a line with how much, of how much or how long, at which rate; elsewhere and with -q
# nothing of the kind
shows() {
  local line="$1 ([0-9]|[0-9.]+ [kMG]?B)[^,]*, [0-9.]+ ([kMG] )?[A-Za-z]+/s"
  on_terminal "$2"
  grep -aEq "$line" screen || { cat -v screen; return 1; }
  [ -z "${3-}" ] || grep -aEq "$line, [0-9]+ s left" screen || { cat -v screen; return 1; }
  # taken away again: nothing stands on the line when the program ends
  tr '\r' '\n' <screen | grep -a . | tail -n 1 >last
  nowhere "$1 [0-9]" last
  rm -rf out*
  $2 >silent 2>&1
  nowhere "$line" silent
  nowhere $'\033' silent
  rm -rf out*
  on_terminal "$2 -q"
  nowhere "$line" screen
  rm -rf out*
}

@test "progress: reading, tokenizing, packing, verifying" {
  shows reading "hone-prepare rows.jsonl -o out" left
  shows writing "hone-prepare rows.jsonl -o out" left
  shows tokenizing "hone-prepare -m base rows.jsonl -o out"
  shows tokenizing "hone-tokenize -m base -o out rows.jsonl" left
  gzip -k rows.jsonl
  shows tokenizing "hone-tokenize -m base -o out rows.jsonl.gz" left
  shows packing "hone-pack -o out rows.tokens" left
  hone-pack -q -o packed rows.tokens
  shows verifying "hone-pack --verify packed" left
}

@test "progress: loading, training, saving, evaluating, merging" {
  shows reading "hone-train -m base -t rows.jsonl -o out --max-steps 1" left
  shows loading "hone-train -m base --load-in-bits 8 -t rows.jsonl -o out --max-steps 1" left
  shows loading "hone-train -m base --method full -t rows.jsonl -o out --max-steps 1" left
  shows loading "hone-train -m shape --from-scratch --method full -t rows.jsonl -o out --max-steps 1"
  shows saving "hone-train -m base --method full -t rows.jsonl -o out --max-steps 1" left
  shows loading "hone-eval -m base --load-in-bits 4 rows.jsonl" left
  shows evaluating "hone-eval -m base rows.jsonl"
  shows merging "hone-merge -m base -a lora/final -o out" left
  hone-merge -q -m base -a lora/final -o merged
  shows verifying "hone-merge -m base -a lora/final -o merged --verify" left
  on_terminal "hone-train -m base -t rows.jsonl -o out --max-steps 3 --batch-size 4"
  grep -aEq "step 1 of 3, epoch 0.01 of 4, loss [0-9.]+, [0-9]+ tokens/s, [0-9]+ s left" screen
}

@test "progress: generating" {
  head -n 2 rows.jsonl >prompts
  on_terminal "hone-generate -m base -n 2 <prompts -o out"
  grep -aEq "generating 1 records, [0-9.]+ records/s, [0-9]+ s left" screen
  on_terminal "hone-generate -m base --load-in-bits 4 -n 2 <prompts -o out2"
  grep -aEq "loading [0-9.]+ [kM]B of [0-9.]+ [kM]B, [0-9.]+ [kMG]B/s, 0 s left" screen
}

@test "progress: of a pipeline, one program has the line" {
  [ -z "${HONE_EMULATED:-}" ] || skip "the second works on for long enough to have it when the first is done"
  for i in $(seq 60); do cat rows.jsonl; done >many.jsonl
  on_terminal "hone-tokenize -j 1 -m base many.jsonl | hone-pack -o out"
  grep -aEq "tokenizing [0-9]+ records" screen
  nowhere "packing [0-9]+ rows" screen
  # the other has it when nobody else has
  on_terminal "cat rows.tokens | hone-pack -o out2"
  grep -aEq "packing [0-9]+ rows" screen
}

@test "progress: a dumb terminal shows none" {
  TERM=dumb script -qefc "hone-tokenize -m base -o out rows.jsonl" -E never /dev/null </dev/null >screen
  grep -aq "384 records" screen
  nowhere "tokenizing [0-9]" screen
}
