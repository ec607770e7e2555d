#!/usr/bin/env bats
# Nights of hone-retrain that are killed with everything they started, at random moments: `current` is always whole, and in
# the end every row was learned once. HONE_NIGHTS sets how many are killed.

bats_require_minimum_version 1.5.0
load ../cli/lib

setup() {
  export HONE_BIN=$hone_bin
  retrain=$BATS_TEST_DIRNAME/../../pipelines/hone-retrain
  cp -r "$BATS_TEST_DIRNAME/../../pipelines" "$BATS_TEST_TMPDIR"
  cd "$BATS_TEST_TMPDIR/pipelines/example" || return 1
  rm -rf base work ./*.jsonl
  make -s HONE="$hone_bin/" base/config.json train.jsonl valid.jsonl
  mkdir in
  printf '%s\n' "model = $PWD/base" "data = $PWD/in" "validation = $PWD/valid.jsonl" "state = $PWD/state" \
    "train = --n-epochs 6 --batch-size 8 --learning-rate 2e-3 -j 1" "rule = none" "keep = 3" >conf
  mkdir state
}

# whole: what `current` points to, and that it stays once it is there
whole() {
  [ ! -L state/current ] || had=yes
  [ -z "$had" ] || { [ -e state/current/run/final/adapter_model.safetensors ] &&
    "$hone_bin/hone-merge" -q -m base -a state/current/run/final -o state/current/model --verify; }
}

@test "slow: nights killed at random moments" {
  local n=0 i=0 killed=0 status had=
  while [ "$n" -lt "${HONE_NIGHTS:-60}" ]; do
    if [ "$((n % 6))" -eq 0 ] && [ "$i" -lt 10 ]; then
      tail -n "+$((i * 30 + 1))" train.jsonl | head -n 30 >in/.new
      mv in/.new "in/$i.jsonl"
      i=$((i + 1))
    fi
    setsid "$retrain" conf >/dev/null 2>err 3>&- &
    pid=$!
    sleep "$(printf '0.%03d' "$((RANDOM % 400))")"
    kill -KILL -- "-$pid" 2>/dev/null || :
    status=0
    { wait "$pid"; } 2>/dev/null || status=$?
    flock state/lock true
    [ "$status" -eq 0 ] || [ "$status" -eq 137 ] || { cat err; return 1; }
    killed=$((killed + (status == 137)))
    whole
    n=$((n + 1))
  done
  for _ in 1 2 3; do "$retrain" conf; done
  whole
  echo "# $killed of $n nights killed, $(grep -c event=promoted state/log) promoted" >&3
  [ "$killed" -gt "$((n / 4))" ]
  cmp <(head -n "$((i * 30))" train.jsonl | jq -cS . | sort) <(jq -cS . state/learned | sort)
  cmp state/learned state/seen
  [ ! -e state/tonight ]
  [ "$(find state/nights -mindepth 1 -maxdepth 1 | wc -l)" -le 3 ]
}
