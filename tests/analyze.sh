#!/bin/sh
# usage: tests/analyze.sh EXCEPTIONS "COMPILER" FILE...
#
# Compiles each file with gcc's -fanalyzer and shows what it says, but for what EXCEPTIONS explains: lines of a file, a
# warning, and why that is wrong there. Status 1 when anything is left. The analyzer does not follow what OpenMP makes of
# a loop, so COMPILER is best without -fopenmp.
set -u
exceptions=$1 compiler=$2
shift 2
said=$(mktemp) || exit 2
trap 'rm -f "$said"' EXIT

# shellcheck disable=SC2016  # expanded by the inner shell
# Each line behind the name of its file, which a warning without a place does not tell.
printf "%s\n" "$@" | xargs -P "$(nproc)" -I {} sh -c '
  said=$($1 -fanalyzer -fdiagnostics-plain-output -c -o /dev/null {} 2>&1) || { printf "%s\n" "$said"; exit 1; }
  printf "%s\n" "$said" | sed "s|^|{} |"' sh "$compiler" >"$said" || { cat "$said"; exit 1; }
awk '
  NR == FNR { if ($0 !~ /^#/) explained[$1 " " $2]; next }
  / warning: / && match($0, /-Wanalyzer-[a-z-]+/) {
    warning = substr($0, RSTART, RLENGTH)
    if (($1 " " warning) in explained) known++
    else { print; left++ }
  }
  END {
    printf "%d warnings, %d explained in %s\n", left + known, known, ARGV[1]
    exit left > 0
  }' "$exceptions" "$said"
