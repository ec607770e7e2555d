#!/bin/bash
# usage: tests/fuzz/campaign.sh [-b BIN] [-s SEEDS] [-o OUT] SECONDS JOBS [TARGET...]
#
# Runs fuzz targets for about SECONDS, JOBS processes at a time: those of one target share its corpus. BIN has the
# programs fuzz_TARGET (build/fuzz/tests/fuzz) and may have dict/ (of dicts.sh) and lib/, which is searched for libraries.
# SEEDS has a folder for each target (tests/fuzz/corpus). What was found before is in OUT/corpus and is gone on from.
#
# OUT (build/fuzz/campaign) has at the end table.txt (target, minutes of processor time, executions, coverage, features,
# files of the corpus, findings), findings/ (inputs, each with the report of its process), corpus.tar.gz (minimised),
# log/. Exit status 1 when anything was found.
set -u
here=$(cd "$(dirname "$0")" && pwd)
bin=build/fuzz/tests/fuzz seeds=$here/corpus out=build/fuzz/campaign
while getopts b:s:o: option; do
  case $option in
    b) bin=$OPTARG ;;
    s) seeds=$OPTARG ;;
    o) out=$OPTARG ;;
    *) exit 64 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] || { sed -n '2s/^# //p' "$0" >&2; exit 64; }
seconds=$1 jobs=$2
shift 2
mkdir -p "$out/findings" "$out/log" "$out/corpus" || exit 73
bin=$(cd "$bin" && pwd) out=$(cd "$out" && pwd) || exit 66
dict=$bin/dict
[ ! -d "$bin/lib" ] || export LD_LIBRARY_PATH=$bin/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:allocator_may_return_null=1:handle_abort=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Leaks are found where the system lets a process look at another.
"$bin/fuzz_csv" -runs=1 >/dev/null 2>&1 || ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0
command -v llvm-symbolizer >/dev/null || ASAN_OPTIONS=$ASAN_OPTIONS:symbolize=0

if [ $# -eq 0 ]; then
  mapfile -t names < <(cd "$bin" && find . -maxdepth 1 -name "fuzz_*" ! -name "*.*" | sed 's|^\./fuzz_||' | sort)
  set -- "${names[@]}"
fi
[ $# -gt 0 ] || { echo "campaign.sh: no targets in '$bin'" >&2; exit 66; }

# The options of a target: those of all, then its own.
options_of() {
  awk -v t="$1" '$1 == "*" || $1 == t { $1 = ""; print }' "$here/options"
  [ ! -s "$dict/$1.dict" ] || echo "-dict=$dict/$1.dict"
}

# one TARGET NUMBER SECONDS: one process after the other, until the time is over
one() {
  local target=$1 number=$2 end=$((SECONDS + $3)) left code try=0 log
  while left=$((end - SECONDS)) && [ "$left" -gt 0 ] && [ "$try" -lt 2000 ]; do
    try=$((try + 1))
    log=$out/log/$target.$number.$try
    # shellcheck disable=SC2046
    "$bin/fuzz_$target" $(options_of "$target") -max_total_time="$left" -artifact_prefix="$out/findings/$target-" \
      "$out/corpus/$target" $([ ! -d "$seeds/$target" ] || echo "$seeds/$target") >"$log" 2>&1
    code=$?
    [ "$code" -ne 0 ] || continue
    grep -a 'Test unit written to' "$log" | sed 's/.*Test unit written to //' | while read -r file; do
      [ -e "$file.txt" ] || grep -av '^#' "$log" | tail -n 80 >"$file.txt"
    done
  done
  times >"$out/log/$target.$number.times"
}

# finish TARGET: its corpus minimised, and its line of the table
finish() {
  local target=$1 least=$out/least/$1 runs cov minutes
  mkdir -p "$least"
  # shellcheck disable=SC2046
  "$bin/fuzz_$target" $(options_of "$target") -artifact_prefix="$out/log/$target-" -merge=1 "$least" "$out/corpus/$target" \
    $([ ! -d "$seeds/$target" ] || echo "$seeds/$target") >"$out/log/$target.merge" 2>&1
  # shellcheck disable=SC2046
  "$bin/fuzz_$target" $(options_of "$target") -artifact_prefix="$out/log/$target-" -runs=0 "$least" >"$out/log/$target.cover" 2>&1
  cov=$(sed -n 's/.*INITED *cov: *\([0-9]*\) ft: *\([0-9]*\) .*/\1 \2/p' "$out/log/$target.cover" | tail -n 1)
  runs=$(cat "$out/log/$target".[0-9]*.[0-9]* | sed -n 's/^stat::number_of_executed_units: *//p' | awk '{ n += $1 } END { print n + 0 }')
  minutes=$(awk -F '[ms ]+' 'FNR == 2 { n += $1 + $3 + ($2 + $4) / 60 } END { printf "%.1f", n }' "$out/log/$target".*.times)
  # shellcheck disable=SC2086
  printf '%-16s %8s %12s %8s %9s %8s %9s\n' "$target" "$minutes" "$runs" ${cov:-? ?} "$(find "$least" -type f | wc -l)" \
    "$(find "$out/findings" -name "$target-*" ! -name '*.txt' | wc -l)" >"$out/log/$target.row"
}

targets=$# items=$jobs
[ "$items" -ge "$targets" ] || items=$targets
each=$((seconds * jobs / items))
for target; do
  mkdir -p "$out/corpus/$target"
done
running=0 started=$SECONDS
for ((i = 0; i < items; i++)); do
  t=$((i % targets + 1))
  one "${!t}" $((i / targets)) $each &
  running=$((running + 1))
  if [ "$running" -ge "$jobs" ]; then
    wait -n
    running=$((running - 1))
  fi
done
wait
spent=$((SECONDS - started))
running=0
for target; do
  finish "$target" &
  running=$((running + 1))
  [ "$running" -lt "$jobs" ] || { wait -n; running=$((running - 1)); }
done
wait
{
  echo "$spent seconds, $jobs processes at a time"
  printf '%-16s %8s %12s %8s %9s %8s %9s\n' target minutes executions coverage features corpus findings
  for target; do
    cat "$out/log/$target.row"
  done
  for target; do
    cat "$out/log/$target.row"
  done | awk '{ m += $2; n += $3; f += $7 } END { printf "%-16s %8.1f %12.0f %8s %9s %8s %9d\n", "all", m, n, "", "", "", f }'
} >"$out/table.txt"
tar -czf "$out/corpus.tar.gz" -C "$out/least" . && rm -rf "$out/least"
cat "$out/table.txt"
[ -z "$(find "$out/findings" -type f)" ]
