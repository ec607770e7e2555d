#!/usr/bin/env bats
# What hone-train promises of a step's loss: it is that of the step as a whole, however uneven its parts, and weights
# act as stated. Each against a figure computed from parts.

bats_require_minimum_version 1.5.0
load lib

setup() {
  train=$hone_bin/hone-train pack=$hone_bin/hone-pack
  demo=$BATS_TEST_DIRNAME/../../pipelines/demo.model
  cd "$BATS_TEST_TMPDIR" || return 1
  export OMP_NUM_THREADS=1
}

# make_model [MEMBER...]: model/
make_model() {
  tiny_config config "$@"
  echo '{"input_ids": [3, 4, 5], "labels": [3, 4, 5]}' | "$pack" -q -o any -
  "$train" -q -m config -t any -o made --from-scratch --method full --max-steps 1 --learning-rate 1e-3
  mv made/final model
  [ ! -e config/tokenizer.json ] || cp config/tokenizer* model
  rm -r made any
}

# first FILE RUN OPTION...: the event of a step that takes the whole file
first() {
  "$train" -q -m model -t "$1" -o "$2" --method full --batch-size 1000 --max-steps 1 --learning-rate 1e-3 --dtype float32 "${@:3}"
  head -n 1 "$2/metrics.jsonl" >"$2.json"
}

# close A B TOLERANCE, relative
close() {
  echo "$1 $2"
  awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { d = a - b; if (d < 0) d = -d; exit !(d <= t * (b < 0 ? -b : b)) }'
}

# uneven: rows of 1 to 40 targets
uneven() {
  jq -nc '(1, 40, 2, 23, 1) as $n | [range($n + 3) | (. * 11 + $n) % 29 + 3] as $ids
    | {input_ids: $ids, labels: ([-100, -100, -100] + $ids[3:])}'
}

@test "promise: the loss is divided by the targets of the step, not of its micro-batches" {
  make_model
  uneven >all.jsonl
  local i=0
  while read -r row; do
    i=$((i + 1))
    echo "$row" >"row$i.jsonl"
    first "row$i.jsonl" "row$i"
  done <all.jsonl
  [ "$i" -eq 5 ]
  truth=$(jq -s '(map(.loss * .targets) | add) / (map(.targets) | add)' row?.json)
  means=$(jq -s 'map(.loss) | add / length' row?.json)
  run close "$means" "$truth" 1e-3
  [ "$status" -eq 1 ]  # or this test would tell nothing
  for tokens in 0 44 8 1; do
    first all.jsonl "all$tokens" --micro-tokens "$tokens"
    close "$(jq .loss "all$tokens.json")" "$truth" 1e-6
    [ "$(jq .targets "all$tokens.json")" -eq 67 ]
    close "$(jq .grad_norm "all$tokens.json")" "$(jq .grad_norm all0.json)" 1e-5
  done
}

@test "promise: a micro-batch without a target changes nothing" {
  make_model
  uneven >all.jsonl
  { sed -n 1,3p all.jsonl
    jq -nc '{input_ids: [range(30) | . % 29 + 3], labels: [range(30) | -100]}, {input_ids: [7], labels: [7]}'
    sed -n 4,5p all.jsonl; } >more.jsonl
  for tokens in 0 8; do
    first all.jsonl "all$tokens" --micro-tokens "$tokens"
    first more.jsonl "more$tokens" --micro-tokens "$tokens"
    for key in loss grad_norm targets; do
      close "$(jq ".$key" "more$tokens.json")" "$(jq ".$key" "all$tokens.json")" 1e-6
    done
  done
  # each row by itself in a micro-batch: not a bit
  cmp all8/final/model.safetensors more8/final/model.safetensors
}

@test "promise: packing, micro-tokens, checkpointing and threads stay within 1e-5 over a run" {
  make_model
  uneven >all.jsonl
  run_options=(-q -m model -t all.jsonl --method full --dtype float32 --batch-size 3 --n-epochs 20 --learning-rate 3e-3)
  "$train" "${run_options[@]}" -o whole --micro-tokens 0
  "$train" "${run_options[@]}" -o packed --micro-tokens 50
  "$train" "${run_options[@]}" -o single --micro-tokens 1
  "$train" "${run_options[@]}" -o again --gradient-checkpointing
  "$train" "${run_options[@]}" -o threads -j 3
  for run in packed single again threads; do
    jq -ne --slurpfile a whole/metrics.jsonl --slurpfile b $run/metrics.jsonl '($a | length) == 40 and
      ([range(40) | ($a[.].loss - $b[.].loss | fabs) <= 1e-5 * $a[.].loss] | all)'
  done
  # recomputing what was kept is the same computation, and so are more threads
  "$train" "${run_options[@]}" -o kept
  cmp again/final/model.safetensors kept/final/model.safetensors
  cmp threads/final/model.safetensors kept/final/model.safetensors
}

@test "promise: gradient checkpointing changes no bit, whatever is trained and computed in" {
  make_model
  uneven >all.jsonl
  for dtype in float32 bfloat16; do
    for method in full lora; do
      for option in --no-gradient-checkpointing --gradient-checkpointing; do
        "$train" -q -m model -t all.jsonl -o "$dtype$method$option" --method "$method" --dtype "$dtype" --batch-size 3 \
          --n-epochs 10 --learning-rate 3e-3 "$option"
      done
      jq -c '[.loss, .grad_norm]' "$dtype$method--gradient-checkpointing/metrics.jsonl" >recomputed
      jq -c '[.loss, .grad_norm]' "$dtype$method--no-gradient-checkpointing/metrics.jsonl" | cmp - recomputed
    done
  done
}

# words: the demonstration's tokenizer, and a model for it that has learned which tokens there are
words() {
  mkdir -p config
  cp "$demo"/tokenizer* config
  make_model '"vocab_size": 2048'
  head -n 12 "$demo/../demo.data/tickets.jsonl" | jq -c '{prompt: .text, completion: (" " + .label)}' >all.jsonl
  "$train" -q -m model -t all.jsonl -o made --method full --max-steps 40 --batch-size 12 --n-epochs 40 --learning-rate 1e-2
  rm -r model
  mv made/final model
}

@test "promise: --prompt-loss-weight weighs the prompt's tokens, in the sum and in what it is divided by" {
  words
  first all.jsonl none
  first all.jsonl one --prompt-loss-weight 1
  first all.jsonl quarter --prompt-loss-weight 0.25
  truth=$(jq -ns --slurpfile none none.json --slurpfile one one.json '$none[0] as $c | $one[0] as $all
    | ($c.loss * $c.targets) as $s | ($all.loss * $all.targets - $s) as $p | ($all.targets - $c.targets) as $n
    | ($s + 0.25 * $p) / ($c.targets + 0.25 * $n)')
  run close "$(jq .loss none.json)" "$truth" 1e-3
  [ "$status" -eq 1 ]
  close "$(jq .loss quarter.json)" "$truth" 1e-5
  [ "$(jq .targets quarter.json)" -eq "$(jq .targets one.json)" ]
}

@test "promise: an answer of weight 0 is read and not learned" {
  words
  chat='{messages: [{role: "user", content: "one"}, {role: "assistant", content: "first answer"},
    {role: "user", content: "two"}, {role: "assistant", content: "another answer"}]}'
  jq -nc "$chat" >plain.jsonl
  jq -nc "$chat | .messages[1].weight = 0" >zero.jsonl
  jq -nc "$chat | .messages[1].weight = 1" >ones.jsonl
  first plain.jsonl plain --template chatml
  first plain.jsonl last --template chatml --train-on completion
  first zero.jsonl zero --template chatml
  first ones.jsonl ones --template chatml
  [ "$(jq .targets zero.json)" -lt "$(jq .targets plain.json)" ]
  [ "$(jq -c '[.loss, .targets, .grad_norm]' zero.json)" = "$(jq -c '[.loss, .targets, .grad_norm]' last.json)" ]
  [ "$(jq -c '[.loss, .targets]' ones.json)" = "$(jq -c '[.loss, .targets]' plain.json)" ]
}

@test "labels: --labels names classes that the data do not show" {
  words
  printf '["nowhere", "billing"]' >list
  "$train" -q -m model -t all.jsonl -o without -v all.jsonl --max-steps 1 --compute-classification-metrics \
    --classification-n-classes "$(jq -r .completion all.jsonl | sort -u | wc -l)"
  known=$(jq -r '.completion | ltrimstr(" ")' all.jsonl | sort -u)
  n=$(printf '%s\n' "$known" nowhere billing | sort -u | wc -l)
  run --separate-stderr "$train" -m model -t all.jsonl -o with -v all.jsonl --max-steps 1 --labels list \
    --compute-classification-metrics --classification-n-classes "$n"
  [ "$status" -eq 0 ]
  [[ "$stderr" == *"never trained on: "*"'nowhere'"* ]]
  jq -e '.scores | has("nowhere")' with/predictions.jsonl | sort -u | grep -qx true
  run "$train" -m model -t all.jsonl -o wrong --labels list
  [ "$status" -eq 64 ]
}
