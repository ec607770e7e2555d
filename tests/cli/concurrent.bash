# For tests that run the same command several times at once.

# ten COMMAND...: ten of them, started together; statuses is what they ended with
ten() {
  many 10 "$@"
}

# many N COMMAND...
many() {
  local n=$1 pids=() pid
  shift
  for ((i = 0; i < n; i++)); do
    "$@" >"out$i" 2>"err$i" 3>&- &
    pids+=("$!")
  done
  statuses=()
  for pid in "${pids[@]}"; do
    local status=0
    wait "$pid" || status=$?
    statuses+=("$status")
  done
}

# hold_stdin N COMMAND...: N of them that read rows.jsonl, in two parts with a pause, so that all are at work at once
hold_stdin() {
  local n=$1
  shift
  # shellcheck disable=SC2016
  many "$n" bash -c '{ head -n 20 rows.jsonl; sleep 0.7; tail -n +21 rows.jsonl; } | "$@"' - "$@"
}

# one_wins N: of N statuses one is 0, and the others 75, or 73
one_wins() {
  printf '%s ' "${statuses[@]}"
  cat err* || :
  [ "${#statuses[@]}" -eq "$1" ]
  [ "$(printf '%s\n' "${statuses[@]}" | grep -cx 0)" -eq 1 ]
  [ "$(printf '%s\n' "${statuses[@]}" | grep -cx '75\|73')" -eq $(($1 - 1)) ]
  rm -f err* out[0-9]
}

# some_win STATUSES: of these (a pattern of grep) are all statuses, and 0 is among them
some_win() {
  printf '%s ' "${statuses[@]}"
  cat err* || :
  [ -z "$(printf '%s\n' "${statuses[@]}" | grep -vx "$1")" ]
  printf '%s\n' "${statuses[@]}" | grep -qx 0
  rm -f err* out[0-9]
}

# one_trains STEPS: of several that train `run`, those that come while it is trained end with 75, and with 0 those that find
# it finished; each step was made once
one_trains() {
  some_win '0\|75'
  diff <(jq -r 'select(.event == "train").step' run/metrics.jsonl) <(seq "$1")
  [ -e run/final/adapter_config.json ]
}

nothing_staged() {
  [ -z "$(find . -name '.*.hone-*')" ]
}

wait_for_staged() {
  for ((i = 0; i < 2000; i++)); do
    compgen -G ".$1.hone-*" >/dev/null && return
    sleep 0.02
  done
  return 1
}

# words: config/ with the demonstration's tokenizer; rows.jsonl becomes records
words() {
  mkdir -p config
  cp "$BATS_TEST_DIRNAME/../../pipelines/demo.model"/tokenizer* config
  head -n 40 "$BATS_TEST_DIRNAME/../../pipelines/demo.data/tickets.jsonl" | jq -c '{prompt: .text, completion: (" " + .label)}' >rows.jsonl
}

# small_model: model/, with weights
small_model() {
  tiny_config config
  "$hone_bin/hone-train" -q -m config -t rows.jsonl -o made --from-scratch --method full --max-steps 1 --learning-rate 1e-3
  mv made/final model
  rm -r made
}
