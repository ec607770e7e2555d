#!/usr/bin/env bats
# hone-retrain: a week of nights, and what a night does in other cases, on a model of 200 thousand weights.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
  local d=$BATS_FILE_TMPDIR
  cp -r "$BATS_TEST_DIRNAME/../../pipelines" "$d"
  (cd "$d/pipelines/example" && rm -rf base ./*.jsonl &&
    make -s HONE="$hone_bin/" base/config.json train.jsonl valid.jsonl && mv base train.jsonl valid.jsonl "$d")
}

setup() {
  retrain=$BATS_TEST_DIRNAME/../../pipelines/hone-retrain
  rows=$BATS_FILE_TMPDIR/train.jsonl
  export HONE_BIN=$hone_bin
  cd "$BATS_TEST_TMPDIR" || return 1
  mkdir "in box" state
  cat >conf <<END
# what the nights go by
model      = $BATS_FILE_TMPDIR/base
data       = $PWD/in box
validation = $BATS_FILE_TMPDIR/valid.jsonl
state      = $PWD/state
train      = --n-epochs 1 --batch-size 8 --learning-rate 2e-3 -j 2
replay     = 100
rule       = none
END
}

teardown() {
  [ ! -e mounted ] || umount state
}

# some FROM N FILE: N rows from row FROM arrive, under another name until they are whole
some() {
  tail -n "+$1" "$rows" | head -n "$2" >"in box/.new"
  mv "in box/.new" "in box/$3"
}

current() {
  readlink state/current
}

# killed_in_training: programs of which hone-train is killed as soon as there is a checkpoint
killing_bin() {
  mkdir kill
  ln -s "$hone_bin"/hone-* kill
  rm kill/hone-train
  cat >kill/hone-train <<END
#!/bin/sh
"$hone_bin/hone-train" "\$@" &
while ! ls -d "$PWD"/state/nights/*/run/checkpoint-* >/dev/null 2>&1; do sleep 0.01; done
kill -KILL \$!
kill -KILL \$\$
END
  chmod +x kill/hone-train
}

# full KIB COMMAND...: with so much room on the disk; without the right to mount, with that limit on the size of files
full() {
  local kib=$1
  shift
  if [ -e mounted ]; then
    dd if=/dev/zero of=state/filler bs=4k status=none 2>/dev/null || :
    truncate -s "-${kib}K" state/filler
    status=0
    "$@" || status=$?
    rm state/filler
    return "$status"
  else
    (trap '' XFSZ; ulimit -f "$kib"; "$@")
  fi
}

# night NAME WHAT STATUS COMMAND...: runs one, and prints its row of the table
night() {
  local name=$1 what=$2 want=$3
  shift 3
  status=0
  "$@" >out 2>err 3>&- || status=$?
  link=$(current) || link=none
  names[$link]=${names[$link]:-$name}
  printf '# %-4s %-34s %4s  %-8s %s\n' "$name" "$what" "$status" "${names[$link]}" "$(head -n 1 err | cut -c 1-110)" >&3
  [ "$status" -eq "$want" ] || { cat err state/log; return 1; }
  [ ! -s out ] || { cat out; return 1; }
  case $want in
    0) [ ! -s err ] ;;
    *) [ -s err ] ;;
  esac
}

# Old rows are drawn at random each night, and an unlucky draw may well not pass the gate: the same ones each time.
same_draws() {
  mkdir same
  seq 50000 | zstd -qc >same/random
  printf '#!/bin/sh\nexec %s --random-source=%s "$@"\n' "$(command -v shuf)" "$PWD/same/random" >same/shuf
  chmod +x same/shuf
  PATH=$PWD/same:$PATH
}

@test "retrain: a week of nights" {
  local -A names=([none]=none)
  local deployed
  same_draws
  sed -i 's/--n-epochs 1/--n-epochs 4/; s/^rule.*/require = classification\/accuracy>=0.4/' conf
  if mount -t tmpfs -o size=16m tmpfs state 2>/dev/null; then touch mounted; fi
  killing_bin
  printf '# %-4s %-34s %4s  %-8s %s\n' night "what happens" exit current "first line of the mail" >&3

  night mon1 "nothing has come yet" 0 "$retrain" conf
  some 1 120 mon.jsonl
  night tue1 "120 rows" 0 "$retrain" conf
  deployed=$(current)
  [ -e state/current/model/model.safetensors ]

  some 121 40 tue.jsonl
  HONE_BIN=$PWD/kill night wed1 "40 rows; training is killed" 70 "$retrain" conf
  [ "$(current)" = "$deployed" ]
  ls -d state/tonight/run/checkpoint-*
  touch state/tonight/run/here
  night thu1 "the night before goes on" 0 "$retrain" conf
  [ "$(current)" != "$deployed" ]
  [ -e state/current/run/here ]
  [ "$(cat state/current/previous)" = "$deployed" ]
  deployed=$(current)

  some 161 40 thu.jsonl
  printf '{"prompt": "cut of' >"in box/bad.jsonl"
  night fri1 "40 rows, and a file that is cut off" 65 "$retrain" conf
  grep -q "bad.jsonl" err
  [ "$(current)" = "$deployed" ]
  night sat1 "the bad file is still there" 0 "$retrain" conf
  [ "$(current)" != "$deployed" ]
  deployed=$(current)

  some 201 40 sat.jsonl
  night sun1 "40 rows; the disk is full" 74 full 4 "$retrain" conf
  [ "$(current)" = "$deployed" ]
  night mon2 "the disk is full in training" 74 full 200 "$retrain" conf
  [ "$(current)" = "$deployed" ]
  [ -e state/tonight ]
  night tue2 "there is room again" 0 "$retrain" conf
  [ "$(current)" != "$deployed" ]
  deployed=$(current)

  jq -c '.completion = {" account": " billing", " billing": " delivery", " delivery": " technical",
    " technical": " account"}[.completion] | .prompt |= ("well, ", "so, ", "") + .' "$rows" >"in box/wrong.jsonl"
  night wed2 "900 rows with wrong labels" 1 "$retrain" conf
  grep -q "not passed" err
  [ "$(current)" = "$deployed" ]
  night thu2 "nothing new" 0 "$retrain" conf
  some 241 60 wed.jsonl
  night fri2 "60 rows" 0 "$retrain" conf
  [ "$(current)" != "$deployed" ]

  # Every row that a promoted night took was learned, and no other.
  cat "in box"/{mon,tue,thu,sat,wed}.jsonl | jq -cS . | sort | diff - <(jq -cS . state/learned | sort)
  [ "$(grep -c event=promoted state/log)" -eq 5 ]
  [ ! -e state/tonight ]
}

@test "retrain: rollback goes to the model before and forgets what was learned" {
  some 1 100 a.jsonl
  "$retrain" conf
  first=$(current)
  some 101 50 b.jsonl
  "$retrain" conf
  run -0 "$retrain" --rollback conf
  [ "$(current)" = "$first" ]
  [ "$(wc -l <state/learned)" -eq 100 ]
  run -0 "$retrain" conf
  [ -z "$output" ]
  run -66 "$retrain" --rollback conf
  some 151 50 c.jsonl
  "$retrain" conf
  [ "$(cat state/current/previous)" = "$first" ]
  [ "$(wc -l <state/learned)" -eq 150 ]
}

@test "retrain: as many models as keep says stay, and those that nothing came of" {
  echo "keep = 2" >>conf
  for i in 1 51 101 151; do
    some "$i" 50 "$i.jsonl"
    "$retrain" conf
  done
  [ "$(find state/nights -mindepth 1 -maxdepth 1 | wc -l)" -eq 2 ]
  [ -d "state/$(cat state/current/previous)" ]
  echo "require = loss<0" >>conf
  some 201 50 last.jsonl
  run -1 "$retrain" conf
  [[ $output == *"'loss<0'"* ]]
  [ "$(find state/nights -mindepth 1 -maxdepth 1 | wc -l)" -eq 3 ]
}

@test "retrain: rejected = again takes the rows with the next ones" {
  printf '%s\n' "rejected = again" "require = loss<0" >>conf
  some 1 50 a.jsonl
  run -1 "$retrain" conf
  run -0 "$retrain" conf
  [ -z "$output" ]
  some 51 10 b.jsonl
  sed -i '/loss<0/d' conf
  "$retrain" conf
  [ "$(wc -l <state/learned)" -eq 60 ]
}

@test "retrain: a training that fails loses no rows; a mended configuration takes them" {
  some 1 50 a.jsonl
  sed -i 's/^train .*/& --max-length 10/' conf
  run -1 "$retrain" conf
  [[ $output == *"failed"*"status 65"* ]]
  run -0 "$retrain" conf
  [ -z "$output" ]
  [ ! -e state/current ]
  sed -i 's/ --max-length 10//' conf
  run -0 "$retrain" conf
  [ "$(wc -l <state/learned)" -eq 50 ]
}

@test "retrain: another base model begins anew, and is compared with the deployed one" {
  some 1 100 a.jsonl
  "$retrain" conf
  cp -r "$BATS_FILE_TMPDIR/base" other
  jq '.model.merges = .model.merges[:800]' other/tokenizer.json >new
  mv new other/tokenizer.json
  sed -i "s|^model .*|model = $PWD/other|; s/^rule.*/rule = not-worse/" conf
  some 101 50 b.jsonl
  run "$retrain" conf
  [ "$status" -le 1 ]
  # by the names of the nights: two within a second are NAME and NAME+, which with a slash behind sort the other way
  mapfile -t nights < <(find state/nights -mindepth 1 -maxdepth 1 -printf '%f\n' | LC_ALL=C sort)
  [ "${#nights[@]}" -eq 2 ]
  [ -s "state/nights/${nights[1]}/deployed.jsonl" ]
  [ "$(jq '."classification/accuracy"' "state/nights/${nights[1]}/deployed.json")" = \
    "$(jq '."classification/accuracy"' "state/nights/${nights[0]}/model.json")" ]
}

@test "retrain: one night at a time; the whole night killed; SIGTERM; a deadline" {
  some 1 100 a.jsonl
  sed -i 's/--n-epochs 1/--n-epochs 400/' conf
  setsid "$retrain" conf 3>&- &
  pid=$!
  for _ in $(seq 2000); do ls -d state/tonight/run/checkpoint-* >/dev/null 2>&1 && break; sleep 0.05; done
  run -75 "$retrain" conf
  [[ $output == *"still under way"*"$pid"* ]]
  kill -KILL -- "-$pid"
  wait "$pid" || :
  flock state/lock true
  before=$(sed -n '$p' state/tonight/run/metrics.jsonl | jq .step)
  "$retrain" conf 2>err 3>&- &
  pid=$!
  for _ in $(seq 2000); do [ "$(sed -n '$p' state/tonight/run/metrics.jsonl | jq .step)" -gt "$((before + 20))" ] && break; sleep 0.05; done
  kill -TERM "$pid"
  status=0
  wait "$pid" || status=$?
  [ "$status" -eq 75 ]
  [ ! -s err ]
  tail -n 1 state/log | grep -q "event=stopped program=hone-train"
  echo "deadline = 1s" >>conf
  run -75 "$retrain" conf
  [ -z "$output" ]
  [ ! -e state/current ]
  # Other settings begin the training anew, on the same rows.
  sed -i 's/--n-epochs 400/--n-epochs 1/; /deadline/d' conf
  "$retrain" conf
  jq -es 'map(select(.event == "train"))[-1].epoch == 1' state/current/run/metrics.jsonl
}

@test "retrain: full training goes on from the deployed model; figures without labels" {
  jq -c '{text: .prompt}' "$rows" >rows
  rows=$PWD/rows
  sed 's/^rule.*/rule = better/; s/--n-epochs 1/& --method full/' conf >full
  sed -i "s|^validation.*|validation = $PWD/valid.jsonl|" full
  tail -n 50 rows >valid.jsonl
  some 1 100 a.jsonl
  "$retrain" full
  some 101 100 b.jsonl
  "$retrain" full
  [ "$(jq -r .base.path state/current/run/run.json)" = "$PWD/state/$(cat state/current/previous)/run/final" ]
  jq -e '.baseline' state/current/model.json
}

@test "retrain: after promotion the command runs; when it fails, that is told" {
  some 1 50 a.jsonl
  printf '%s\n' 'after = readlink current >../told' 'require = loss>0' >>conf
  "$retrain" conf
  [ "$(cat told)" = "$(current)" ]
  sed -i 's/^after.*/after = false/' conf
  some 51 50 b.jsonl
  run -69 "$retrain" conf
  [ "$(cat told)" != "$(current)" ]
  [[ $output == *"but this failed: false"* ]]
  run -69 "$retrain" conf
  sed -i 's|^after.*|after = readlink current >../told|' conf
  run -0 "$retrain" conf
  [ "$(cat told)" = "$(current)" ]
  run -0 "$retrain" --rollback conf
  [ "$(cat told)" = "$(current)" ]
}

@test "retrain: rows of the validation data are never learned; equal rows are no new ones" {
  cat "$BATS_FILE_TMPDIR/valid.jsonl" >"in box/a.jsonl"
  run -0 "$retrain" conf
  [ ! -e state/current ]
  some 1 50 b.jsonl
  cp "in box/b.jsonl" "in box/c.jsonl"
  "$retrain" conf
  [ "$(wc -l <state/learned)" -eq 50 ]
  tac "in box/b.jsonl" >"in box/d.jsonl"
  run -0 "$retrain" -v conf
  [[ $output == *"event=nothing"* ]]
  echo "minimum = 20" >>conf
  some 51 19 e.jsonl
  run -0 "$retrain" -v conf
  [[ $output == *"19 new rows, fewer than 20"* ]]
}

@test "retrain: configurations that are wrong" {
  run -64 "$retrain"
  run -66 "$retrain" none
  for line in 'nonsense' 'modle = x' 'replay = many' 'keep = 0' 'rule = worse'; do
    { cat conf; echo "$line"; } >bad
    run -64 "$retrain" bad
    [[ $output == *"'bad'"* ]]
  done
  sed '/^data/d' conf >bad
  run -64 "$retrain" bad
  [[ $output == *"data is missing"* ]]
  sed "s|^model.*|model = $PWD/none|" conf >bad
  some 1 50 a.jsonl
  run -66 "$retrain" bad
  [ ! -e state/current ]
  "$retrain" conf
}

@test "retrain: the manual names the keys and options of -h" {
  cd "$BATS_TEST_DIRNAME/../../pipelines" || return 1
  ./hone-retrain -h | sed -nE 's/^ +(-[a-z], )?(--[a-z]+|[a-z]+ =).*/\2/p' | sed 's/ =//' | sort >"$BATS_TEST_TMPDIR/help"
  sed -nE 's/^\.It (Ic|Fl v ,) ([a-z]+|-verbose).*/\2/p; s/^\.It Fl (-[a-z]+)$/\1/p; s/^\.It Fl [a-z] , (-[a-z]+)$/\1/p' hone-retrain.1 |
    sed 's/^-/--/' | sort -u >"$BATS_TEST_TMPDIR/page"
  [ "$(wc -l <"$BATS_TEST_TMPDIR/help")" -gt 15 ]
  diff "$BATS_TEST_TMPDIR/help" "$BATS_TEST_TMPDIR/page"
}

@test "retrain: the systemd units are right, and shut in" {
  command -v systemd-analyze >/dev/null || skip "no systemd-analyze"
  local units=$BATS_TEST_DIRNAME/../../pipelines/systemd
  sed "s|^ExecStart=[^ ]*|ExecStart=/bin/true|; s|^User=.*|User=daemon|" "$units/hone-retrain@.service" >"hone-retrain@.service"
  cp "$units/hone-retrain@.timer" .
  cp "hone-retrain@.service" "hone-retrain@x.service"
  cp "hone-retrain@.timer" "hone-retrain@x.timer"
  run -0 systemd-analyze verify --man=no ./hone-retrain@x.service ./hone-retrain@x.timer
  [ -z "$output" ]
  systemd-analyze security --offline=yes --threshold=25 ./hone-retrain@x.service >exposure || { tail -n 3 exposure; return 1; }
  systemd-analyze calendar "$(sed -n 's/^OnCalendar=//p' "$units/hone-retrain@.timer")" >/dev/null
}

@test "retrain: the configuration that comes along has no key that is not known" {
  sed "s|/srv/models/.*|$BATS_FILE_TMPDIR/base|; s|/srv/tickets/incoming|$PWD/in box|; s|/srv/tickets/valid.jsonl|$BATS_FILE_TMPDIR/valid.jsonl|
    s|/var/lib/hone/tickets|$PWD/state|" "$BATS_TEST_DIRNAME/../../pipelines/retrain.conf" >conf
  run -0 "$retrain" -v conf
  [[ $output == *"event=nothing"* ]]
}

# broken_cat CONDITION: a cat that cannot read what came before a night while the condition holds
broken_cat() {
  mkdir -p fake
  printf '%s\n' '#!/bin/sh' "case \$1 in */previous) if $1; then exit 1; fi ;; esac" "exec $(command -v cat) \"\$@\"" >fake/cat
  chmod +x fake/cat
}

@test "retrain: what came before a night is known, or the night fails and nothing is removed" {
  local i was
  for i in 1 2; do
    some "$((i * 30))" 30 "$i.jsonl"
    "$retrain" conf
  done
  some 90 30 3.jsonl
  was=$(current)
  broken_cat true
  PATH=$PWD/fake:$PATH run "$retrain" conf
  [ "$status" -eq 74 ]
  [ "$(current)" = "$was" ]
  [ "$(find state/nights -mindepth 1 -maxdepth 1 | wc -l)" -eq 3 ]
  # now only when it has been promoted, and old nights are looked for
  broken_cat "[ \"\$(readlink state/current)\" != '$was' ]"
  PATH=$PWD/fake:$PATH "$retrain" conf
  [ "$(current)" != "$was" ]
  [ "$(find state/nights -mindepth 1 -maxdepth 1 | wc -l)" -eq 3 ]
}
