#!/usr/bin/env bats
# hone-train stopped in every way: what is left is whole, and the same command goes on to the same end.

bats_require_minimum_version 1.5.0
load lib
load kill

setup() {
  train=$hone_bin/hone-train pack=$hone_bin/hone-pack
  cd "$BATS_TEST_TMPDIR" || return 1
  tiny_config config
  rows 12 | "$pack" -q -o data -
  "$train" -q -m config -t data -o made --from-scratch --method full --max-steps 1 --learning-rate 1e-3
  mv made/final model
  export OMP_NUM_THREADS=1
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

common=(-q -m model -t data -v data --batch-size 4 --learning-rate 1e-2 --save-steps 1)

@test "resume: killed at random, an adapter's run ends with the same bytes" {
  run_options=("${common[@]}" --n-epochs 8 --lora-dropout 0.1 --outlier-zscore 3 --outlier-window 8 \
    --early-stopping-patience 50 --eval-steps 2)
  "$train" "${run_options[@]}" -o straight
  killed_runs 16 400 "$train" "${run_options[@]}" -o killed
}

@test "resume: killed at random, full training with 8-bit moments ends with the same bytes" {
  run_options=("${common[@]}" --n-epochs 8 --method full --optimizer adamw8bit --save-strategy best --save-steps 0)
  "$train" "${run_options[@]}" -o straight
  killed_runs 10 300 "$train" "${run_options[@]}" -o killed
}

@test "resume: with another optimiser" {
  local n=0 options
  for options in "--optimizer=sgd --momentum=0.9" --optimizer=sgd --optimizer=adamw8bit --loraplus-lr-ratio=16; do
    n=$((n + 1))
    read -ra more <<<"$options"
    run_options=("${common[@]}" --n-epochs 3 "${more[@]}")
    "$train" "${run_options[@]}" -o "straight$n"
    cp -r "straight$n" "again$n"
    rm -r "again$n/final" "again$n"/checkpoint-9
    "$train" "${run_options[@]}" -o "again$n"
    same_end "again$n" "straight$n"
  done
}

@test "resume: killed before it had its lock, an empty directory is taken" {
  mkdir run
  "$train" "${common[@]}" --n-epochs 1 -o run
  [ -e run/final ]
}

@test "resume: a checkpoint tells its files' hashes, and that of each is looked at" {
  "$train" "${common[@]}" --n-epochs 1 -o run
  [ "$(cd run/checkpoint-3 && xxh128sum -c manifest.xxh128 | grep -c OK)" -eq "$(($(ls run/checkpoint-3 | wc -l) - 1))" ]
  for file in run/checkpoint-3/*; do
    rm -rf bad
    cp -r run bad
    rm -r bad/final
    printf 'x' | dd of="bad/checkpoint-3/${file##*/}" bs=1 conv=notrunc status=none seek=5
    fails 65 "checkpoint-3" "$train" "${common[@]}" --n-epochs 1 -o bad
    rm "bad/checkpoint-3/${file##*/}"
    run "$train" "${common[@]}" --n-epochs 1 -o bad
    [ "$status" -eq 65 ] || [ "$status" -eq 66 ]
  done
}

# A run that takes long enough to be met on its way.
long=(-q -m model -t data --batch-size 1 --learning-rate 1e-3 --n-epochs 4000 --save-strategy no)

@test "resume: SIGINT and SIGTERM are 75, with a checkpoint of the last step" {
  for signal in INT TERM; do
    "$train" "${long[@]}" -o "run$signal" 2>stderr 3>&- &
    wait_for "run$signal/metrics.jsonl" '"step":5,'
    kill -"$signal" $!
    status=0
    wait $! || status=$?
    [ "$status" -eq 75 ]
    grep -q "stopped by SIG$signal after step" stderr
    last=$(tail -n 1 "run$signal/metrics.jsonl" | jq .step)
    [ -e "run$signal/checkpoint-$last/manifest.xxh128" ]
    [ ! -e "run$signal/final" ]
  done
}

@test "resume: --deadline is 75, and another one goes on" {
  fails 75 "stopped by the deadline" "$train" "${long[@]}" -o run --deadline 1s
  first=$(tail -n 1 run/metrics.jsonl | jq .step)
  fails 75 "stopped by the deadline" "$train" "${long[@]}" -o run --deadline 1s
  [ "$(tail -n 1 run/metrics.jsonl | jq .step)" -gt "$first" ]
  # the clock goes on, too
  jq -es 'map(.elapsed_seconds) | . == sort and .[-1] > 1.5' run/metrics.jsonl
}

@test "resume: SIGUSR1 writes a checkpoint, and the run goes on" {
  "$train" "${long[@]}" -o run 2>stderr 3>&- &
  wait_for run/metrics.jsonl '"step":5,'
  kill -USR1 $!
  local i
  for ((i = 0; i < 2000; i++)); do
    compgen -G 'run/checkpoint-*' >/dev/null && break
    sleep 0.02
  done
  compgen -G 'run/checkpoint-*' >/dev/null
  kill -0 $!
  kill -TERM $!
  status=0
  wait $! || status=$?
  [ "$status" -eq 75 ]
}

@test "resume: a stop does not wait for an evaluation, which is made up for" {
  rows 24000 | "$pack" -q -o many -
  evaluating=(-q -m model -t data -v many --batch-size 4 --learning-rate 1e-2 --n-epochs 2 --micro-tokens 16)
  "$train" "${evaluating[@]}" -o straight
  "$train" "${evaluating[@]}" -o run 2>stderr 3>&- &
  wait_for run/metrics.jsonl '"step":3,'
  kill -TERM $!
  status=0
  wait $! || status=$?
  [ "$status" -eq 75 ]
  jq -e '.due' run/checkpoint-3/state.json
  [ "$(jq -s 'map(select(.event == "eval")) | length' run/metrics.jsonl)" -eq 0 ]
  # killed behind the evaluation that was due, and once more
  cp -r run twice
  "$train" "${evaluating[@]}" -o run
  same_end run straight
  grep '"eval"' straight/metrics.jsonl | head -n 1 >>twice/metrics.jsonl
  "$train" "${evaluating[@]}" -o twice
  same_end twice straight
}

@test "resume: a finished run is left as it is" {
  "$train" "${common[@]}" --n-epochs 1 -o run
  before=$(find run -type f -printf '%p %T@ %i\n' | sort)
  "$train" "${common[@]}" --n-epochs 1 -o run
  [ "$before" = "$(find run -type f -printf '%p %T@ %i\n' | sort)" ]
}

# The hashes of all checkpoints of a run.
checkpoints() {
  find "$1"/checkpoint-* -type f -exec xxh128sum {} + | sort -k 2
}

@test "resume: a file that cannot grow ends the run with 74, and the last checkpoint is whole" {
  [ "${HONE_SANITIZER:-}" != tsan ] || skip "ThreadSanitizer keeps its own memory in a file"
  run_options=("${common[@]}" --n-epochs 2 --method full)
  "$train" "${run_options[@]}" -o straight
  cp -r straight full
  rm -r full/final full/best full/checkpoint-6
  before=$(checkpoints full)
  # SIGXFSZ is ignored, so that write(2) says EFBIG as it would say ENOSPC
  run --separate-stderr bash -c 'trap "" XFSZ; ulimit -f 8; exec "$@"' sh "$train" "${run_options[@]}" -o full
  echo "$stderr"
  [ "$status" -eq 74 ]
  [ "$before" = "$(checkpoints full)" ]
  [ -z "$(find full -name '.*hone-*')" ]
  "$train" "${run_options[@]}" -o full
  same_end full straight
}

@test "resume: a disk that fills up ends the run with 74, and one without room is told before the first step" {
  mkdir disk
  mount -t tmpfs -o size=600k none disk 2>/dev/null || skip "no right to mount a tmpfs"
  trap 'umount disk' EXIT
  run_options=("${common[@]}" --n-epochs 2 --method full --save-total-limit 1)
  "$train" "${run_options[@]}" -o straight
  fails 74 "has room for" "$train" "${run_options[@]}" --save-total-limit 100 -o disk/run
  [ ! -e disk/run/metrics.jsonl ]
  rm -rf disk/run
  # room is there when it is looked at, and taken by another while the run goes on
  "$train" "${run_options[@]}" --n-epochs 400 -o disk/run 2>stderr 3>&- &
  wait_for disk/run/metrics.jsonl '"step":5,'
  head -c 10M /dev/zero >disk/ballast || true
  status=0
  wait $! || status=$?
  cat stderr
  [ "$status" -eq 74 ]
  rm disk/ballast
  [ "$(find disk/run -maxdepth 1 -name 'checkpoint-*' | wc -l)" -ge 1 ]
  whole disk/run
  fails 75 "the deadline" "$train" "${run_options[@]}" --n-epochs 400 -o disk/run --deadline 1s
  umount disk
  trap - EXIT
}
