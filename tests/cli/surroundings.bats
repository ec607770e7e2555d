#!/usr/bin/env bats
# What is odd around a program, and not in its input: descriptors that are closed, readers that leave, directories that may
# not be written, a small disk, another umask, another locale, a clock that leaps, strange names.

bats_require_minimum_version 1.5.0
load lib
load faults

setup_file() {
  (cd "$BATS_FILE_TMPDIR" && make_inputs)
}

setup() {
  in=$BATS_FILE_TMPDIR/in
  cd "$BATS_TEST_TMPDIR" || return 1
  export OMP_NUM_THREADS=1
}

tool() {
  "$hone_bin/hone-$1" "${@:2}"
}

# all OUT: every program makes its output in OUT, with its notes on stderr
all() (
  cd "$1"
  tool tokenize -m "$in/model" -o tokens "$in/tickets.jsonl"
  tool prepare -o made --validation 0.3 "$in/tickets.csv"
  tool pack -o data "$in/rows.jsonl"
  tool train -m "$in/model" -t "$in/data" -v "$in/data" -o run --n-epochs 1 --batch-size 4 --learning-rate 1e-2 --save-steps 1
  tool merge -m "$in/model" -a "$in/run/final" -o merged
  tool eval -m "$in/model" --predictions predictions "$in/tickets" >figures
  tool report -o report.html "$in/run"
  tool generate -m "$in/model" -n 3 -o text "what"
)

# steps FILE: of metrics.jsonl, what the clock and the memory do not change
steps() {
  jq -c 'del(.tokens_per_second, .peak_rss_bytes, .seconds, .elapsed_seconds)' "$1"
}

# made_from FILE: dataset.json without the paths of what it was made of
made_from() {
  jq 'del(.checksum, .provenance.inputs[]?.path)' "$1"
}

# same A B: the same names and contents
same() {
  local f
  diff <(cd "$1" && find . | sort) <(cd "$2" && find . | sort)
  while read -r f; do
    case $f in
      */metrics.jsonl) cmp <(steps "$1/$f") <(steps "$2/$f") ;;
      */run/manifest.xxh128) cmp <(grep -v metrics.jsonl "$1/$f") <(grep -v metrics.jsonl "$2/$f") ;;
      *) cmp "$1/$f" "$2/$f" ;;
    esac
  done < <(cd "$1" && find . -type f)
}

@test "surroundings: a file that is cut short while it is mapped" {
  [ -z "${HONE_SANITIZER:-}" ] || skip "a sanitizer has a handler of its own"
  mkfifo prompts
  cp -r "$in/model" model
  "$hone_bin/hone-generate" -m model -n 3 <prompts >out 2>err 3>&- &
  exec 9>prompts
  for ((i = 0; i < 5000; i++)); do
    ! grep -q model.safetensors "/proc/$!/maps" || break
    sleep 0.02
  done
  truncate -s "$(getconf PAGESIZE)" model/model.safetensors
  echo '{"prompt": "what"}' >&9
  exec 9>&-
  wait "$!" || status=$?
  cat out err
  [ "$status" -eq 74 ]
  [ "$(cat err)" = "hone-generate: cannot read 'model/model.safetensors' any more: it was cut short while it was in use, or its disk failed" ]
}

@test "surroundings: standard input, output, error, or all of them closed" {
  mkdir plain in out err every
  all plain >/dev/null 2>&1
  all in <&- >/dev/null 2>&1
  same plain in
  all err >/dev/null 2>&-
  same plain err
  all out >&- 2>/dev/null
  same plain out
  all every <&- >&- 2>&-
  same plain every
  # nothing that was said has ended in a file
  run grep -r "^hone-" in out err every
  [ "$status" -eq 1 ]
  fails 74 "cannot read 'standard input': Bad file descriptor" bash -c 'exec "$0" -o other - <&-' "$hone_bin/hone-pack"
  fails 74 "cannot write 'standard output': Bad file descriptor" bash -c 'exec "$0" --cat "$1" >&-' "$hone_bin/hone-pack" "$in/data"
  fails 74 "cannot write 'standard output': Bad file descriptor" bash -c 'exec "$0" -q -m "$1" "$2" >&-' "$hone_bin/hone-tokenize" "$in/model" "$in/tickets.jsonl"
}

@test "surroundings: a reader that leaves after any number of bytes" {
  files=()
  for _ in $(seq 400); do files+=("$in/tickets.jsonl"); done
  tool tokenize -q -m "$in/model" --jsonl "${files[@]}" >whole
  size=$(stat -c %s whole)
  for n in 1 100 "$((size / 2))"; do
    # as a rule the signal ends it without a word; where that is ignored, 74 and a message
    run bash -c '"$0" -q --jsonl "${@:2}" 2>stderr | head -c "$1" >part; echo "${PIPESTATUS[0]}"' \
      "$hone_bin/hone-tokenize" "$n" -m "$in/model" "${files[@]}"
    [ "$output" = 141 ]
    [ ! -s stderr ]
    cmp -n "$n" whole part
    run bash -c 'trap "" PIPE; "$0" -q --jsonl "${@:2}" 2>stderr | head -c "$1" >part; echo "${PIPESTATUS[0]}"' \
      "$hone_bin/hone-tokenize" "$n" -m "$in/model" "${files[@]}"
    [ "$output" = 74 ]
    [ "$(cat stderr)" = "hone-tokenize: cannot write 'standard output': Broken pipe" ]
  done
  # the reader of a stream that was cut does not take it for whole
  run bash -c '"$0/hone-tokenize" -q -m "$1" "$2" | head -c 1000 | "$0/hone-pack" -q -o cut -' "$hone_bin" "$in/model" "$in/tickets.jsonl"
  [ "$status" -eq 65 ]
  [ ! -e cut ]
}

@test "surroundings: a full standard output" {
  for command in "pack --cat $in/data" "pack --info $in/data" "eval --metrics $in/predictions.jsonl" "report $in/run" \
    "tokenize -m $in/model $in/tickets.jsonl" "generate -m $in/model -n 2 a" "merge -h" "train --version"; do
    read -ra words <<<"$command"
    status=0
    tool "${words[@]}" >/dev/full 2>stderr || status=$?
    echo "$command: $status, $(cat stderr)"
    [ "$status" -eq 74 ]
    [[ "$(tail -n 1 stderr)" == "hone-${words[0]}: cannot write 'standard output': No space left on device" ]]
  done
}

@test "surroundings: a directory that may not be written, and one that may not be read" {
  mkdir shut dark
  chmod 555 shut
  chmod 000 dark
  refused() {
    fails "$1" "$2" unprivileged "$hone_bin/hone-$3" -q "${@:4}"
  }
  refused 73 "cannot create 'shut/x': Permission denied" tokenize -m "$in/model" -o shut/x "$in/tickets.jsonl"
  refused 73 "cannot create 'shut/" prepare -o shut/x "$in/tickets.csv"
  refused 73 "cannot create 'shut/x': Permission denied" pack -o shut/x "$in/rows.jsonl"
  refused 73 "cannot create 'shut/x': Permission denied" train -m "$in/model" -t "$in/data" -o shut/x
  refused 73 "cannot create 'shut/x': Permission denied" merge -m "$in/model" -a "$in/run/final" -o shut/x
  refused 73 "cannot create 'shut/x': Permission denied" eval -m "$in/model" --predictions shut/x "$in/tickets"
  refused 73 "cannot create 'shut/x': Permission denied" report -o shut/x "$in/run"
  refused 73 "cannot create 'shut/x': Permission denied" generate -m "$in/model" -o shut/x a
  [ -z "$(ls -A shut)" ]
  refused 66 "'dark/x'" pack -o y dark/x
  refused 73 "'dark/x'" pack -o dark/x "$in/rows.jsonl"
  chmod 755 shut dark
}

@test "surroundings: files as large as the limit allows: 74, the old output stays, and nothing else" {
  [ "${HONE_SANITIZER:-}" != tsan ] || skip "ThreadSanitizer keeps memory in a file"
  limited() {
    fails 74 "$1" bash -c 'trap "" XFSZ; ulimit -f 1; exec "$@"' sh "$hone_bin/hone-$2" -q "${@:3}"
    [ -z "$(find . -name '*.hone-*')" ]
  }
  seq 40 | while read -r _; do cat "$in/rows.jsonl"; done >rows.jsonl
  tool pack -q -o data "$in/rows.jsonl"
  cp -r data old
  limited "cannot write" pack -o data --force --level 1 rows.jsonl
  diff -r data old
  echo old >tokens
  limited "'tokens'" tokenize -m "$in/model" --force -o tokens "$in/tickets.jsonl"
  [ "$(cat tokens)" = old ]
  limited "model.safetensors" merge -m "$in/model" -a "$in/run/final" -o merged
  [ ! -e merged ]
  limited "'report.html'" report -o report.html "$in/run"
  [ ! -e report.html ]
}

@test "surroundings: a umask of 000 and one of 077" {
  mkdir open closed
  (umask 000 && all open >/dev/null 2>&1)
  (umask 077 && all closed >/dev/null 2>&1)
  same open closed
  [ -z "$(find open -mindepth 1 -type f ! -perm 666)" ]
  [ -z "$(find open -mindepth 1 -type d ! -perm 777)" ]
  [ -z "$(find closed -mindepth 1 -type f ! -perm 600)" ]
  [ -z "$(find closed -mindepth 1 -type d ! -perm 700)" ]
}

@test "surroundings: a locale whose numbers have a comma" {
  # A program that asks for no locale has none, whatever the environment says.
  for what in tokenize prepare pack train merge eval report generate; do
    run nm -D --undefined-only "$hone_bin/hone-$what"
    [ "$status" -eq 0 ]
    [[ -n "${HONE_SANITIZER:-}" || "$output" == *fopen* || "$output" == *malloc* ]]  # or within, as sanitizers have them
    [[ "$output" != *setlocale* && "$output" != *newlocale* && "$output" != *uselocale* ]]
  done
  mkdir plain comma locales
  if localedef -i de_DE -f UTF-8 locales/de_DE.UTF-8 2>/dev/null; then
    export LOCPATH=$PWD/locales
    [ "$(LC_ALL=de_DE.UTF-8 bash -c 'printf %.1f 1,5')" = 1,5 ]
  fi
  all plain >/dev/null 2>&1
  LC_ALL=de_DE.UTF-8 all comma >/dev/null 2>&1
  same plain comma
}

@test "surroundings: names with spaces, line feeds, quotes, a leading dash" {
  mkdir plain
  all plain >/dev/null 2>&1
  for name in "a b" $'line\nfeed' -dash "it's \"quoted\"" '$(x) *' .hidden; do
    mkdir "./$name"
    cp -r "$in/model" "$in/data" "$in/rows.jsonl" "./$name"
    (cd "./$name" && tool pack -q -o "$name" rows.jsonl && tool pack -q --verify "./$name" &&
      tool tokenize -q -m model --jsonl -o "$name.tokens" - <"$in/tickets.jsonl" &&
      tool train -q -m model -t data -o "$name.run" --n-epochs 1 --batch-size 12 && tool report -q -o "$name.html" -- "$name.run" &&
      tool merge -q -m model -a "$name.run/final" -o "$name.merged")
    diff -r -x dataset.json "./$name/$name" plain/data
    cmp <(made_from "./$name/$name/dataset.json") <(made_from plain/data/dataset.json)
    [ -e "./$name/$name.merged/model.safetensors" ]
    [ -e "./$name/$name.html" ]
    [ -z "$(find "./$name" -name '.*.hone-*')" ]
    run --separate-stderr tool pack -q -o other -- "$name/none"
    [ "$status" -eq 66 ]
    [[ "$stderr" == *"'${name/$'\n'/\\n}/none'"* ]]
  done
}
