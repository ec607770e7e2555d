#!/usr/bin/env bats
# hone-train against torch, transformers and PEFT: 20 steps from the same start, step by step; and what must not
# change a run: how it is packed, on how many threads, and whether it was stopped on the way.

setup() {
  pack="${HONE_BIN:-.}/hone-pack"
  train="${HONE_BIN:-.}/hone-train"
  helpers="${HONE_HELPERS:-build/release/tests/helpers}"
  cases=../shared/reference/models
  T=$BATS_TEST_TMPDIR
}

# dataset CASE: $T/data
dataset() {
  jq -c '.[]' "$cases/$1/docs.json" | "$pack" -q -o "$T/data" -
}

# train CASE RUN OPTION...: with the settings of the reference runs
run_train() {
  local case=$1 out=$2
  shift 2
  "$train" -q -m "$cases/$case/base" -t "$T/data" -o "$T/$out" --no-shuffle --batch-size 4 --n-epochs 5 \
    --learning-rate 2e-3 --warmup-steps 3 --lr-scheduler-type cosine --weight-decay 0.1 --max-grad-norm 1 \
    --dtype float32 "$@"
}

# follows CASE METHOD: our log and our weights are theirs
follows() {
  local case=$1 method=$2 dir="$cases/$1/$2"
  dataset "$case"
  if [ "$method" = full ]; then
    run_train "$case" run --method full
    final=$dir/final
  else
    run_train "$case" run --init-adapter "$dir/adapter_init"
    final=$dir/adapter_final/adapter_model.safetensors
  fi
  [ "$(jq length "$dir/log.json")" -eq 20 ]
  "$helpers/logdiff" step=0 loss=1e-4 grad_norm=1e-4 learning_rate=1e-8 targets=0 "$T/run/metrics.jsonl" "$dir/log.json"
  if [ "$method" = full ]; then
    "$helpers/stdiff" 1e-3 "$T/run/final" "$final"
  else
    "$helpers/stdiff" 1e-3 "$T/run/final/adapter_model.safetensors" "$final"
    "${HONE_BIN:-.}/hone-merge" -q -m "$cases/$case/base" -a "$T/run/final" -o "$T/merged"
    "$helpers/stdiff" 1e-5 "$T/merged" "$dir/merged"
  fi
}

@test "train: llama2 full" { follows llama2 full; }
@test "train: llama2 lora" { follows llama2 lora; }
@test "train: llama2 rslora" { follows llama2 rslora; }
@test "train: llama2 dora" { follows llama2 dora; }
@test "train: llama2 lora and modules_to_save" { follows llama2 lora_head; }
@test "train: llama3 full" { follows llama3 full; }
@test "train: llama3 lora" { follows llama3 lora; }
@test "train: llama3 lora on q and v" { follows llama3 lora_qv; }
@test "train: mistral full" { follows mistral full; }
@test "train: mistral lora" { follows mistral lora; }
@test "train: qwen2 full" { follows qwen2 full; }
@test "train: qwen2 lora" { follows qwen2 lora; }
@test "train: qwen3 full" { follows qwen3 full; }
@test "train: qwen3 lora" { follows qwen3 lora; }

@test "train: gpt2 full" { follows gpt2 full; }
@test "train: gpt2 lora, fan_in_fan_out" { follows gpt2 lora; }
@test "train: gpt_neox full" { follows gpt_neox full; }
@test "train: gpt_neox lora" { follows gpt_neox lora; }
@test "train: gemma3 full" { follows gemma3 full; }
@test "train: gemma3 lora" { follows gemma3 lora; }

# Measured: 1.7e-4 at most; fp32 moments come to 3e-7.
@test "train: 8-bit moments follow the log of fp32 ones" {
  for case in llama2 llama3 mistral qwen2 qwen3; do
    rm -rf "$T/data" "$T/run"
    dataset "$case"
    run_train "$case" run --method full --optimizer adamw8bit
    "$helpers/logdiff" step=0 loss=5e-4 learning_rate=1e-8 targets=0 "$T/run/metrics.jsonl" "$cases/$case/full/log.json"
    run "$helpers/logdiff" loss=1e-6 "$T/run/metrics.jsonl" "$cases/$case/full/log.json"
    [ "$status" -eq 1 ]
  done
}

@test "train: a log of another run is told apart" {
  run "$helpers/logdiff" loss=1e-4 "$cases/llama2/full/log.json" "$cases/llama2/lora/log.json"
  [ "$status" -eq 1 ]
  run "$helpers/logdiff" no_such_key=1 "$cases/llama2/full/log.json" "$cases/llama2/full/log.json"
  [ "$status" -eq 1 ]
}

# same_numbers TOLERANCE A B: the logs and the final adapters of two runs
same_numbers() {
  "$helpers/logdiff" step=0 epoch=0 loss="$1" grad_norm="$1" learning_rate=0 targets=0 tokens=0 \
    "$T/$2/metrics.jsonl" "$T/$3/metrics.jsonl"
  "$helpers/stdiff" "${4:-1e-3}" "$T/$2/final/adapter_model.safetensors" "$T/$3/final/adapter_model.safetensors"
}

# log RUN: its metrics without what the clock says
log() {
  jq -c 'del(.tokens_per_second, .peak_rss_bytes, .seconds, .elapsed_seconds)' "$T/$1/metrics.jsonl"
}

# same_bytes A B: all that two runs leave is the same, but for times
same_bytes() {
  local f
  cmp <(log "$1") <(log "$2")
  cmp "$T/$1/results.csv" "$T/$2/results.csv"
  for f in "$T/$1"/final/* "$T/$1"/checkpoint-*/*; do
    cmp "$f" "$T/$2/${f#"$T/$1/"}"
  done
  [ "$(cd "$T/$1" && find . | sort)" = "$(cd "$T/$2" && find . | sort)" ]
}

@test "train: micro-batches, gradient checkpointing and threads do not change the numbers" {
  dataset llama2
  lora=(--init-adapter "$cases/llama2/lora/adapter_init")
  run_train llama2 whole "${lora[@]}" --micro-tokens 0
  run_train llama2 m256 "${lora[@]}" --micro-tokens 256
  run_train llama2 m64 "${lora[@]}" --micro-tokens 64
  run_train llama2 m1 "${lora[@]}" --micro-tokens 1
  run_train llama2 j1 "${lora[@]}" -j 1
  run_train llama2 j2 "${lora[@]}" -j 2
  run_train llama2 checkpointing "${lora[@]}" --gradient-checkpointing
  for other in m256 m64 m1 j1 j2 checkpointing; do
    same_numbers 1e-5 "$other" whole
  done
}

@test "train: the same run twice gives the same bytes" {
  dataset qwen3
  run_train qwen3 one --lora-dropout 0.1 --shuffle
  run_train qwen3 two --lora-dropout 0.1 --shuffle
  same_bytes one two
  run_train qwen3 other --lora-dropout 0.1 --shuffle --seed 43
  run cmp "$T/one/final/adapter_model.safetensors" "$T/other/final/adapter_model.safetensors"
  [ "$status" -eq 1 ]
}

# wait_for FILE PATTERN: until a line of FILE matches
wait_for() {
  local i
  for ((i = 0; i < 4000; i++)); do
    grep -qs -e "$2" "$1" && return
    sleep 0.02
  done
  return 1
}

# interrupted METHOD...: a run that is stopped by SIGTERM, twice, ends as one that was not
interrupted() {
  local signal status
  dataset llama2
  run_train llama2 straight -j 1 --n-epochs 60 --save-steps 90 --save-total-limit 1 -v "$T/data" "$@"
  for signal in 5 120; do
    "$train" -q -m "$cases/llama2/base" -t "$T/data" -v "$T/data" -o "$T/stopped" --no-shuffle --batch-size 4 \
      -j 1 --n-epochs 60 --learning-rate 2e-3 --warmup-steps 3 --weight-decay 0.1 --dtype float32 \
      --save-steps 90 --save-total-limit 1 "$@" 2>"$T/stderr" 3>&- &
    wait_for "$T/stopped/metrics.jsonl" "\"step\":$signal,"
    kill -TERM $!
    status=0
    wait $! || status=$?
    cat "$T/stderr"
    [ "$status" -eq 75 ]
    grep -q "stopped by SIGTERM after step" "$T/stderr"
    [ ! -e "$T/stopped/final" ]
  done
  run_train llama2 stopped -j 1 --n-epochs 60 --save-steps 90 --save-total-limit 1 -v "$T/data" "$@"
  same_bytes stopped straight
}

@test "train: stopped and resumed, an adapter with dropout is the same to the bit" { interrupted --lora-dropout 0.1; }
@test "train: stopped and resumed, full training is the same to the bit" { interrupted --method full; }

@test "train: a checkpoint on SIGUSR1, and on it goes" {
  dataset llama2
  "$train" -q -m "$cases/llama2/base" -t "$T/data" -o "$T/run" -j 1 --batch-size 4 --n-epochs 100 --save-steps 400 \
    2>"$T/stderr" 3>&- &
  wait_for "$T/run/metrics.jsonl" '"step":5,'
  kill -USR1 $!
  wait $!
  ls "$T/run"
  [ -e "$T/run/final/adapter_model.safetensors" ]
  [ "$(find "$T/run" -maxdepth 1 -name 'checkpoint-*' | wc -l)" -eq 2 ]
}

@test "train: a finished run is left alone" {
  dataset llama2
  run_train llama2 run
  before=$(cd "$T/run" && find . -type f -printf '%p %T@ %i\n' | sort)
  run run_train llama2 run
  [ "$status" -eq 0 ]
  [ "$before" = "$(cd "$T/run" && find . -type f -printf '%p %T@ %i\n' | sort)" ]
}

@test "train: a run directory in use is 75, one of other settings 73" {
  dataset llama2
  run_train llama2 run
  before=$(cd "$T/run" && find . -type f -printf '%p %T@ %i\n' | sort)
  exec 8<"$T/run/.lock"
  flock -n 8
  run run_train llama2 run
  [ "$status" -eq 75 ]
  [[ "$output" == *"in use"* ]]
  exec 8<&-
  run run_train llama2 run --learning-rate 1e-3
  [ "$status" -eq 73 ]
  [[ "$output" == *"--learning-rate"* ]]
  run run_train llama2 run --method full
  [ "$status" -eq 73 ]
  cp -r "$cases/llama2/full/final" "$T/other"
  run "$train" -q -m "$T/other" -t "$T/data" -o "$T/run" --no-shuffle --batch-size 4 --n-epochs 5 --learning-rate 2e-3 \
    --warmup-steps 3 --lr-scheduler-type cosine --weight-decay 0.1 --max-grad-norm 1 --dtype float32
  [ "$status" -eq 73 ]
  [[ "$output" == *"other base weights"* ]]
  [ "$before" = "$(cd "$T/run" && find . -type f -printf '%p %T@ %i\n' | sort)" ]
}

@test "train: weight of a prompt, one example of one token, and --max-steps" {
  printf '%s\n' '{"input_ids":[1,7,9,2],"labels":[-100,7,9,2]}' '{"input_ids":[5],"labels":[-100]}' |
    "$pack" -q -o "$T/data" -
  run_train llama2 run --max-steps 3
  [ "$(wc -l <"$T/run/metrics.jsonl")" -eq 3 ]
  jq -es 'map(.targets) == [3, 3, 3]' "$T/run/metrics.jsonl"
}

@test "train: --dry-run writes nothing" {
  dataset llama2
  run "$train" -m "$cases/llama2/base" -t "$T/data" -o "$T/run" --dry-run
  [ "$status" -eq 0 ]
  [[ "$output" == *"memory: total"* ]]
  [ ! -e "$T/run" ]
}

# bf16 products round to 8 bits; the runs stay as near as docs/numbers.md says, here with twice that as the band. They do so
# on the processor's instructions for bf16 and on those that multiply in fp32.
# follows_bf16 CASE [ISA...]
follows_bf16() {
  local case=$1 isa
  shift
  dataset "$case"
  for isa in "${@:-best}"; do
    HONE_ISA=$isa run_train "$case" "$isa-full" --method full --dtype bfloat16
    HONE_ISA=$isa run_train "$case" "$isa-lora" --init-adapter "$cases/$case/lora/adapter_init" --dtype bfloat16
    for method in full lora; do
      "$helpers/logdiff" step=0 loss=2e-3 grad_norm=2e-2 learning_rate=1e-8 targets=0 "$T/$isa-$method/metrics.jsonl" \
        "$cases/$case/$method/log.json"
    done
  done
}

@test "train: llama3 in bf16" { follows_bf16 llama3 best avx512 avx2; }
@test "train: mistral in bf16" { follows_bf16 mistral; }
@test "train: qwen2 in bf16" { follows_bf16 qwen2; }
@test "train: qwen3 in bf16" { follows_bf16 qwen3 best avx2; }
@test "train: gpt2 in bf16" { follows_bf16 gpt2 best avx512 avx2; }
@test "train: gpt_neox in bf16" { follows_bf16 gpt_neox best avx2; }
@test "train: gemma3 in bf16" { follows_bf16 gemma3 best avx512 avx2; }
