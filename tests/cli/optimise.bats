#!/usr/bin/env bats
# hone-train: optimisers, schedules, steps that stand out, early stopping, and what is kept when.

bats_require_minimum_version 1.5.0
load lib

setup() {
  train=$hone_bin/hone-train pack=$hone_bin/hone-pack
  cd "$BATS_TEST_TMPDIR" || return 1
  tiny_config config
  rows 12 | "$pack" -q -o data -
  "$train" -q -m config -t data -o made --from-scratch --method full --max-steps 1 --learning-rate 1e-3
  mv made/final model
  export OMP_NUM_THREADS=1
}

# go RUN OPTION...: 30 steps by default
go() {
  "$train" -q -m model -t data -o "$1" --batch-size 4 --n-epochs 10 --learning-rate 1e-2 "${@:2}"
}

# figure RUN KEY: of all train events, a list
figure() {
  jq -cs "map(select(.event == \"train\") | .$2)" "$1/metrics.jsonl"
}

# near A B: two lists of numbers, to 1e-6 relative
near() {
  jq -ne --argjson a "$1" --argjson b "$2" \
    '($a | length) == ($b | length) and ([range($a | length) | ($a[.] - $b[.] | fabs) <= 1e-6 * ($b[.] | fabs) + 1e-12] | all)' ||
    { echo "$1"; echo "$2"; return 1; }
}

# ---- schedules ----

@test "schedule: each by its formula" {
  local w=3 T=30
  declare -A formulas=([linear]="(30 - .) / 27" [constant_with_warmup]=1
    [cosine]="0.5 * (1 + ((. - 3) / 27 * 3.141592653589793 | cos))")
  for name in "${!formulas[@]}"; do
    go "$name" --lr-scheduler-type "$name" --warmup-steps "$w"
    formula=${formulas[$name]}
    near "$(figure "$name" learning_rate)" "$(jq -nc "[range($T) | if . < $w then . / $w else ($formula) end | . * 0.01]")"
  done
  # as in transformers, plain constant has no warm-up
  go constant --lr-scheduler-type constant --warmup-ratio 0.5
  near "$(figure constant learning_rate)" "$(jq -nc '[range(30) | 0.01]')"
}

@test "schedule: a cosine that ends at a floor, by its share or its rate" {
  want=$(jq -nc '[range(30) | if . < 3 then . / 3 else 0.5 * (1 + ((. - 3) / 27 * 3.141592653589793 | cos)) * 0.9 + 0.1 end | . * 0.01]')
  go one --lr-scheduler-type cosine_with_min_lr --min-lr-rate 0.1 --warmup-steps 3
  go two --lr-scheduler-type cosine-with-min-lr --min_lr 1e-3 --warmup-steps 3
  go three --min-lr-rate 0.1 --warmup-steps 3
  for run in one two three; do
    near "$(figure "$run" learning_rate)" "$want"
  done
  jq -e '.settings."min-lr-rate" == 0.1' two/run.json
  fails 64 "needs --min-lr-rate" "$train" -m model -t data -o run --lr-scheduler-type cosine_with_min_lr
  fails 64 "does not fall" "$train" -m model -t data -o run --lr-scheduler-type constant --min-lr-rate 0.1
  fails 64 "exclude each other" "$train" -m model -t data -o run --min-lr 1e-5 --min-lr-rate 0.1
}

# ---- optimisers ----

@test "optimizer: each learns; 8-bit moments lead close to where fp32 moments do" {
  rm -r made model
  tiny_config wide '"hidden_size": 64' '"intermediate_size": 96'
  "$train" -q -m wide -t data -o made --from-scratch --method full --max-steps 1 --learning-rate 1e-3
  mv made/final model
  go adamw --method full --n-epochs 20 --learning-rate 3e-3
  go adamw8bit --method full --n-epochs 20 --learning-rate 3e-3 --optimizer adamw8bit
  go sgd --method full --n-epochs 20 --learning-rate 0.3 --optimizer sgd --momentum 0.9
  for run in adamw adamw8bit sgd; do
    figure "$run" loss | jq -e '.[0] > 3 and .[-1] < 1.5'
  done
  jq -ne --argjson a "$(figure adamw loss)" --argjson b "$(figure adamw8bit loss)" \
    '[range($a | length) | ($a[.] - $b[.] | fabs)] | max < 0.05'
  # they are not the same, which they would be if the moments were fp32
  [ "$(figure adamw loss)" != "$(figure adamw8bit loss)" ]
  # a quarter, and the largest magnitudes, of what fp32 takes for what is not small
  size=$(stat -c %s adamw/checkpoint-60/optimizer.safetensors)
  size8=$(stat -c %s adamw8bit/checkpoint-60/optimizer.safetensors)
  [ "$size8" -lt $((size / 2)) ]
}

@test "optimizer: the names of Trainer" {
  go one --optim adamw_bnb_8bit --max-steps 2
  jq -e '.settings.optimizer == "adamw8bit"' one/run.json
  go two --optim adamw_torch --max-steps 2
  jq -e '.settings.optimizer == "adamw"' two/run.json
  fails 64 "'lion' is not one of adamw|adamw8bit|sgd" "$train" -m model -t data -o run --optim lion
  fails 64 "--momentum is of --optimizer sgd" "$train" -m model -t data -o run --momentum 0.9
}

@test "optimizer: betas and epsilon matter, and a rerun with others is another run" {
  go one --max-steps 5
  go two --max-steps 5 --adam-beta1 0.5
  go three --max-steps 5 --adam-epsilon 1e-2
  [ "$(figure one loss)" != "$(figure two loss)" ]
  [ "$(figure one loss)" != "$(figure three loss)" ]
  fails 73 "--adam-beta2" "$train" -q -m model -t data -o one --batch-size 4 --n-epochs 10 --learning-rate 1e-2 \
    --max-steps 5 --adam-beta2 0.99
}

@test "optimizer: LoRA+ moves B by the ratio" {
  # the first update: B = -rate * ratio * sign, as AdamW's first step is the rate in every element
  for ratio in 1 16; do
    go "run$ratio" --max-steps 1 --lr-scheduler-type constant --loraplus-lr-ratio $ratio --learning-rate 1e-3
  done
  "${HONE_HELPERS:-$hone_bin/build/release/tests/helpers}/stdiff" 1e-3 run1/final/adapter_model.safetensors \
    run16/final/adapter_model.safetensors && return 1
  go lora --max-steps 8 --loraplus-lr-ratio 16
  go plain --max-steps 8
  [ "$(figure lora loss)" != "$(figure plain loss)" ]
  fails 64 "goes with --method lora" "$train" -m model -t data -o run --method full --loraplus-lr-ratio 4
}

# ---- what stands out ----

# Rows of one kind, and a last one of another that no row before it was like.
odd_data() {
  { for _ in $(seq 40); do echo '{"input_ids": [3, 4, 5, 6, 7, 8], "labels": [-100, 4, 5, 6, 7, 8]}'; done
    echo '{"input_ids": [9, 30, 11, 29, 13, 28], "labels": [-100, 30, 11, 29, 13, 28]}'
    echo '{"input_ids": [3, 4, 5, 6, 7, 8], "labels": [-100, 4, 5, 6, 7, 8]}'; } | "$pack" -q -o odd -
}

odd=(-q -m model -t odd --method full --no-shuffle --batch-size 1 --n-epochs 1 --learning-rate 1e-2 --outlier-zscore 6
  --outlier-window 16)

@test "outlier: skipped, the weights stay; the event and stderr tell" {
  odd_data
  run --separate-stderr "$train" "${odd[@]:1}" -o run --save-steps 1 --save-total-limit 100
  [ "$status" -eq 0 ]
  [[ $stderr == *"step 41: loss is "*"deviations above"*"skipped"* ]]
  jq -es 'map(select(.outlier) | .step) == [41]' run/metrics.jsonl
  jq -es 'map(select(.outlier))[0] | .outlier == "loss" and .skipped and .zscore > 6' run/metrics.jsonl
  cmp run/checkpoint-40/model.safetensors run/checkpoint-41/model.safetensors
  cmp run/checkpoint-40/optimizer.safetensors run/checkpoint-41/optimizer.safetensors
  run cmp -s run/checkpoint-41/model.safetensors run/checkpoint-42/model.safetensors
  [ "$status" -eq 1 ]
  # without the option the step is learned from
  "$train" "${odd[@]}" --outlier-zscore 0 -o plain --save-steps 1 --save-total-limit 100
  run cmp -s plain/checkpoint-40/model.safetensors plain/checkpoint-41/model.safetensors
  [ "$status" -eq 1 ]
}

@test "outlier: stop is 65, the last checkpoint is there, and the run goes on with skip" {
  odd_data
  fails 65 "stopped at step 41: its loss is" "$train" "${odd[@]}" --outlier-action stop -o run --save-steps 10
  [ -e run/checkpoint-40/manifest.xxh128 ]
  [ ! -e run/final ]
  "$train" "${odd[@]}" --outlier-action skip -o run --save-steps 10
  [ -e run/final ]
}

@test "outlier: a loss or gradient that is no number ends the run before the weights see it" {
  fails 65 "diverged" go run --method full --n-epochs 50 --learning-rate 1000 --weight-decay 100 --max-grad-norm 0 \
    --lr-scheduler-type constant --save-steps 1 --save-total-limit 100
  [[ $stderr == *"learning"* ]]
  for c in run/checkpoint-*; do
    (cd "$c" && xxh128sum --status -c manifest.xxh128)
  done
  [ ! -e run/final ]
  ls run
}

# ---- evaluation, early stopping, best ----

@test "early stopping: after so many evaluations without improvement, and best is final" {
  rows 3 | "$pack" -q -o few -
  rows 40 | tail -n 6 | "$pack" -q -o other -
  stopping=(-t few -v other --method full --learning-rate 3e-2 --n-epochs 60 --early-stopping-patience 3)
  "$train" -q -m model -o run --batch-size 4 "${stopping[@]}" --load-best-model-at-end
  steps=$(jq -s 'map(select(.event == "eval")) | length' run/metrics.jsonl)
  best=$(jq -s 'map(select(.event == "eval")) | min_by(.loss).step' run/metrics.jsonl)
  echo "$steps evaluations, best at $best"
  [ "$steps" -lt 60 ]
  [ "$steps" -eq $((best + 3)) ]
  cmp run/final/model.safetensors run/best/model.safetensors
  "$train" -q -m model -o last --batch-size 4 "${stopping[@]}"
  run cmp -s last/final/model.safetensors last/best/model.safetensors
  [ "$status" -eq 1 ]
  # stopped early and killed before `final`: the same command does not train on
  cp -r last again
  rm -r again/final
  "$train" -q -m model -o again --batch-size 4 "${stopping[@]}"
  cmp again/metrics.jsonl last/metrics.jsonl
  cmp again/final/model.safetensors last/final/model.safetensors
  # with a threshold that no gain reaches, the first evaluation is the only one that counts
  "$train" -q -m model -o strict --batch-size 4 "${stopping[@]}" --early-stopping-threshold 100
  [ "$(jq -s 'map(select(.event == "eval")) | length' strict/metrics.jsonl)" -eq 4 ]
}

@test "best: by any figure, greater or less as its name says, or as told" {
  best_of() {
    go "$1" -v data "${@:2}" --save-strategy best --save-total-limit 20
    jq -r '.settings."metric-for-best-model" + " " + (.settings."greater-is-better" | tostring)' "$1/run.json"
  }
  [ "$(best_of loss)" = "loss false" ]
  [ "$(best_of eval --metric-for-best-model eval_loss)" = "loss false" ]
  [ "$(best_of perplexity --metric-for-best-model perplexity)" = "perplexity false" ]
  [ "$(best_of tokens --metric_for_best_model token_accuracy)" = "token_accuracy true" ]
  [ "$(best_of worst --metric-for-best-model loss --greater-is-better)" = "loss true" ]
  # a checkpoint at each new best, and at the end
  want=$(jq -s 'reduce (.[] | select(.event == "eval")) as $x ({best: 1e9, at: []};
      if $x.loss < .best then {best: $x.loss, at: (.at + [$x.step])} else . end) | .at + [30] | unique | length' loss/metrics.jsonl)
  [ "$(find loss -maxdepth 1 -name 'checkpoint-*' | wc -l)" -eq "$want" ]
  [ "$(find worst -maxdepth 1 -name 'checkpoint-*' | wc -l)" -lt "$want" ]
  run "$train" -q -m model -t data -v data -o run --metric-for-best-model f2
  [ "$status" -eq 64 ]
  [[ $output == *"no evaluation of this run has 'f2'"* ]]
  fails 64 "needs validation data" "$train" -q -m model -t data -o run --metric-for-best-model loss
}

@test "strategies: epochs, steps, or not at all" {
  steps_of() { jq -cs 'map(select(.event == "eval") | .step)' "$1/metrics.jsonl"; }
  kept() { find "$1" -maxdepth 1 -name 'checkpoint-*' -printf '%f\n' | sort -V | tr '\n' ' '; }
  keep=(-v data --n-epochs 2 --save-total-limit 20)
  go epoch "${keep[@]}"
  [ "$(steps_of epoch)" = "[3,6]" ]
  [ "$(kept epoch)" = "checkpoint-3 checkpoint-6 " ]
  go both "${keep[@]}" --eval-steps 2
  [ "$(steps_of both)" = "[2,3,4,6]" ]
  go steps "${keep[@]}" --evaluation_strategy steps --eval-steps 4 --save-steps 5
  [ "$(steps_of steps)" = "[4,6]" ]
  [ "$(kept steps)" = "checkpoint-5 checkpoint-6 " ]
  go none "${keep[@]}" --eval-strategy no --save-strategy no
  [ "$(steps_of none)" = "[]" ]
  [ "$(kept none)" = "" ]
  [ ! -e none/best ]
  fails 64 "needs --eval-steps" "$train" -m model -t data -v data -o run --eval-strategy steps
  fails 64 "needs --save-steps" "$train" -m model -t data -o run --save-strategy steps
  fails 64 "not best" "$train" -m model -t data -v data -o run --save-strategy best --save-steps 3
  fails 64 "needs validation data" "$train" -m model -t data -o run --early-stopping-patience 3
}

# ---- what a dry run tells ----

# memory_near OPTION...: what a dry run says a run takes is within 10 % of what it then takes
memory_near() {
  local said took
  said=$("$train" -q "$@" --dry-run | sed -n 's/^memory: total *\([0-9.]*\) MB/\1/p')
  rm -rf near
  "$train" -q "$@" -o near
  took=$(jq -s 'map(.peak_rss_bytes // 0) | max / 1e6' near/metrics.jsonl)
  echo "$* : said $said MB, took $took MB"
  awk -v a="$said" -v b="$took" 'BEGIN { exit !(a > 0 && a < 1.1 * b && a > 0.9 * b) }'
}

@test "dry run: memory is within 10 % of what a run takes; weights that stay packed change no bit" {
  [ -z "${HONE_SANITIZER:-}" ] || skip "a sanitizer keeps memory that was given back"
  [ -z "${HONE_EMULATED:-}" ] || skip "an emulator has memory of its own"
  tiny_config middle '"hidden_size": 256' '"intermediate_size": 768' '"num_hidden_layers": 6' '"vocab_size": 2048'
  jq -nc 'range(64) | [range(60 + . % 9) | . * 13 % 2000 + 3] as $ids | {input_ids: $ids, labels: $ids}' | "$pack" -q -o long -
  options=(-t long --batch-size 16 --max-steps 4 --micro-tokens 512 --learning-rate 1e-3)
  memory_near -m middle --from-scratch --method full "${options[@]}"
  memory_near -m middle --from-scratch --method full "${options[@]}" --optimizer adamw8bit --gradient-checkpointing
  memory_near -m middle --from-scratch --method full "${options[@]}" -v long --dtype float32
  mv near/final trained
  memory_near -m trained "${options[@]}" --keep-packed never
  cp near/final/adapter_model.safetensors never
  memory_near -m trained "${options[@]}" --keep-packed always
  cmp near/final/adapter_model.safetensors never
  memory_near -m trained --method full "${options[@]}"
}

@test "dry run: steps, parameters, operations and time; nothing is written" {
  mkdir here
  cd here
  run --separate-stderr "$train" -m ../model -t ../data -v ../data --batch-size 4 --n-epochs 3 --dry-run
  [ "$status" -eq 0 ]
  [ -z "$(ls -A)" ]
  for line in "parameters  *5456\$" "trained  *[0-9]" "steps  *9 (3 an epoch)" "FLOPs in all  *[0-9]" "tokens a second  *[0-9]" \
    "time: training  *about [0-9]" "time: evaluation  *about [0-9]" "time: total  *about [0-9]"; do
    grep -q "^$line" <<<"$output" || { echo "no '$line' in"; echo "$output"; return 1; }
  done
}
