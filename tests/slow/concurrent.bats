#!/usr/bin/env bats
# Many rounds of ten runs at once with one output, for every program; and readers beside one that replaces what they read.

bats_require_minimum_version 1.5.0
load ../cli/lib
load ../cli/concurrent

rounds=${ROUNDS:-20}

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  export OMP_NUM_THREADS=1
  words
  cp "$BATS_TEST_DIRNAME/../../pipelines/demo.model/config.json" config
  "$hone_bin/hone-train" -q -m config -t rows.jsonl -o made --from-scratch --method full --max-steps 1 --learning-rate 1e-3
  mv made/final model
}

# The output is whole after each round, by its own hashes.
@test "concurrent: twenty rounds of ten, program by program" {
  cp rows.jsonl words.jsonl
  rows 40 >numbers.jsonl
  "$hone_bin/hone-train" -q -m model -t rows.jsonl -o ready --max-steps 2 --batch-size 8 --learning-rate 1e-3 -v rows.jsonl
  for ((round = 0; round < rounds; round++)); do
    cp numbers.jsonl rows.jsonl
    hold_stdin 10 "$hone_bin/hone-pack" -q -o data -
    one_wins 10
    cp words.jsonl rows.jsonl
    hold_stdin 10 "$hone_bin/hone-tokenize" -q -m config -o x.tok -
    one_wins 10
    # hone-prepare replaces what is there, so that later ones may win, too. Each splits in its own way.
    # shellcheck disable=SC2016
    hold_stdin 10 bash -c '"$@" --validation "0.$(($$ % 60 + 10))"' - "$hone_bin/hone-prepare" -q --format jsonl -o parts --report parts.json -
    some_win '0\|75'
    cat parts.train.jsonl parts.valid.jsonl | jq -cS . | sort | cmp - <(jq -cS . rows.jsonl | sort)
    ten "$hone_bin/hone-train" -q -m model -t rows.jsonl -o run --max-steps 3 --batch-size 8 --learning-rate 1e-3
    one_trains 3
    ten "$hone_bin/hone-merge" -q -m model -a run/final -o merged
    one_wins 10
    ten "$hone_bin/hone-eval" -q -m model --predictions predictions.jsonl rows.jsonl
    one_wins 10
    ten "$hone_bin/hone-report" -q -o page.html ready
    one_wins 10
    "$hone_bin/hone-verify" -q data x.tok run merged predictions.jsonl page.html parts.json
    nothing_staged
    rm -r data x.tok run merged predictions.jsonl page.html parts.*
  done
}

# Those that come when the winner has trained go on to what is left to do, and meet it there.
@test "concurrent: rounds of ten hone-finetune, and of ten nights of hone-retrain" {
  export HONE_BIN=$hone_bin
  pipelines=$BATS_TEST_DIRNAME/../../pipelines
  mkdir box
  printf '%s\n' "model = model" "data = box" "validation = rows.jsonl" "state = state" "rule = none" "replay = 0" \
    "train = --n-epochs 1 --batch-size 8 --learning-rate 1e-3 -j 1" >conf
  for ((round = 0; round < (rounds + 3) / 4; round++)); do
    ten "$pipelines/hone-finetune" -q -m model -t rows.jsonl -o tuned --n-epochs 1 --batch-size 8 --learning-rate 1e-3
    some_win "0\|73\|75"
    "$hone_bin/hone-merge" -q -m model -a tuned/run/final -o tuned/model --verify
    "$hone_bin/hone-verify" -q tuned/run tuned/model tuned/report.html
    jq -c --arg n "$round" '.prompt += $n' rows.jsonl >"box/$round.jsonl"
    ten "$pipelines/hone-retrain" conf
    some_win "0\|75"
    [ "$(grep -c event=promoted state/log)" -eq $((round + 1)) ]
    "$hone_bin/hone-verify" -q state/current/run state/current/model
    cmp <(cat box/* | jq -cS . | sort) <(jq -cS . state/learned | sort)
    nothing_staged
    rm -r tuned
  done
}

@test "concurrent: who reads a model while it is replaced sees the old one or the new one" {
  # Their tensors have the same shapes and another meaning: nothing but another text would tell a mixture of the two.
  for i in 1 2; do
    cp -r config "config$i"
    jq --argjson n "$((i * 2))" '.initializer_range = 0.5 | .num_attention_heads = $n | .num_key_value_heads = $n | .head_dim = 128 / $n' \
      config/config.json >"config$i/config.json"
    "$hone_bin/hone-train" -q -m "config$i" -t rows.jsonl -o "made$i" --from-scratch --method full --max-steps 1 --learning-rate 1e-3 --seed "$i"
    mv "made$i/final" "model$i"
    "$hone_bin/hone-train" -q -m "model$i" -t rows.jsonl -o "run$i" --max-steps 2 --batch-size 8 --learning-rate 0.1 --seed "$i"
    "$hone_bin/hone-merge" -q -m "model$i" -a "run$i/final" -o "$i"
    "$hone_bin/hone-generate" -q -m "$i" -n 8 "My parcel" >"text$i"
  done
  run ! cmp -s text1 text2
  for i in 1 2; do
    cp -r "$i" "mixed$i"
    cp "$((3 - i))/config.json" "mixed$i"
    "$hone_bin/hone-generate" -q -m "mixed$i" -n 8 "My parcel" >mixed
    run ! cmp -s mixed text1
    run ! cmp -s mixed text2
  done
  cp -r 1 live
  (for ((i = 1; i <= 200; i++)); do
    "$hone_bin/hone-merge" -q --force -m "model$((i % 2 + 1))" -a "run$((i % 2 + 1))/final" -o live || echo failed >>wrong
  done) 3>&- &
  writer=$!
  reads=0
  while kill -0 "$writer" 2>/dev/null; do
    "$hone_bin/hone-generate" -q -m live -n 8 "My parcel" >text 2>err || { cat err; echo failed >>wrong; }
    cmp -s text text1 || cmp -s text text2 || { cat text; echo mixed >>wrong; }
    reads=$((reads + 1))
  done
  echo "# $reads reads beside 200 replacements" >&3
  [ "$reads" -gt 20 ]
  [ ! -e wrong ]
  nothing_staged
}
