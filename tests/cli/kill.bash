# Runs that are killed on the way. Loaded by the short and the long form of the test; $train and a model are the caller's.

# log RUN: its metrics without what the clock says
log() {
  jq -c 'del(.tokens_per_second, .peak_rss_bytes, .seconds, .elapsed_seconds)' "$1/metrics.jsonl"
}

# same_end A B: the same final files, logs and best; says what differs
same_end() {
  local f differs=0
  diff <(log "$1") <(log "$2") || differs=1
  cmp "$1/results.csv" "$2/results.csv" || differs=1
  for f in "$1"/final/* "$1"/best/*; do
    cmp "$f" "$2/${f#"$1/"}" || differs=1
  done
  diff <(cd "$1" && find . | grep -v /checkpoint- | sort) <(cd "$2" && find . | grep -v /checkpoint- | sort) || differs=1
  return "$differs"
}

# whole RUN: what of checkpoints there is, is whole; nothing staged is older than the process that is gone
whole() {
  local c
  for c in "$1"/checkpoint-*; do
    [ ! -e "$c" ] || (cd "$c" && xxh128sum --status -c manifest.xxh128) || { echo "$c is not whole"; return 1; }
  done
}

# after SECONDS COMMAND...: SIGKILL after a time, unless it ends before; its status. It is gone when this returns.
after() {
  local pid sleeper status=0
  "${@:2}" 2>"$BATS_TEST_TMPDIR/stderr" 3>&- &
  pid=$!
  (sleep "$1" && kill -KILL "$pid") 2>/dev/null 3>&- &
  sleeper=$!
  { wait "$pid"; } 2>/dev/null || status=$?
  { kill "$sleeper" && wait "$sleeper"; } 2>/dev/null
  return "$status"
}

# killed_runs N LONGEST COMMAND... -o RUN: kills the run N times, each after a random time of up to LONGEST milliseconds
# (a run that finished begins anew), then lets it end; as often as it ended, it ended like `straight`. Prints how often it
# was killed, and how often in the midst of writing a checkpoint.
killed_runs() {
  local n=$1 longest=$2 kills=0 writing=0 ends=0 status ms
  shift 2
  local dir="${*: -1}"
  while [ "$kills" -lt "$n" ]; do
    ms=$((RANDOM % longest + 1))
    status=0
    after "$(printf '0.%03d' "$ms")" "$@" || status=$?
    if [ "$status" -eq 0 ]; then
      same_end "$dir" straight || return 1
      ends=$((ends + 1))
      rm -r "$dir"
      continue
    fi
    [ "$status" -eq 137 ] || { cat "$BATS_TEST_TMPDIR/stderr"; echo "status $status"; return 1; }
    kills=$((kills + 1))
    if compgen -G "$dir/.checkpoint-*" >/dev/null; then
      writing=$((writing + 1))
    fi
    whole "$dir" || return 1
  done
  "$@" || return 1
  same_end "$dir" straight || return 1
  echo "killed $kills times, of these $writing while a checkpoint was written or removed; ended $((ends + 1)) times"
}
