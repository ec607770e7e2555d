#!/usr/bin/env bats
# Loads of a size that nobody's test data have, and what memory they take: resident, with the pages of mapped files.
#
# HONE_LOAD_ROWS  records to tokenise and pack (10 million), HONE_LOAD_MB  megabytes of the model to merge (20000)

bats_require_minimum_version 1.5.0
load ../cli/lib

setup() {
  helpers=$(cd "${HONE_HELPERS:-build/release/tests/helpers}" && pwd)
  demo=$(cd "$BATS_TEST_DIRNAME/../../pipelines/demo.model" && pwd)
  rows=${HONE_LOAD_ROWS:-10000000} megabytes=${HONE_LOAD_MB:-20000}
  cd "$BATS_FILE_TMPDIR" || return 1
}

# peak TOOL ARGUMENT...: notes its memory and time in ./peak
peak() {
  "$helpers/peak" peak "$hone_bin/$1" "${@:2}"
}

# below MEGABYTES...: what the tools noted in ./peak took, one bound each
below() {
  awk -v bounds="$*" '
    BEGIN { n = split(bounds, bound) }
    { printf "# %s: %.0f MB (bound %d), %.1f s, %.1f s of processors\n", $1, $2 / 1e6, bound[NR], $3, $4 }
    $2 > 1e6 * bound[NR] { over = 1 }
    END { exit over || NR != n }' peak >&3
}

room() {
  [ "$(df --output=avail -m . | tail -n 1)" -gt "$1" ]
}

# confined BYTES COMMAND...: in a memory group of so many bytes, in which the pages of files that are read count as well
confined() {
  local group=/sys/fs/cgroup/memory limit=memory.limit_in_bytes status=0
  [ -d "$group" ] || group=/sys/fs/cgroup limit=memory.max
  group=$group/hone-load-$$
  mkdir "$group" && echo "$1" >"$group/$limit" || return 125
  (echo "$BASHPID" >"$group/cgroup.procs" && exec "${@:2}") || status=$?
  rmdir "$group"
  return $status
}

@test "slow: ten million records are tokenised and packed, without duplicates, in less than 500 MB" {
  room 2000
  rm -rf peak data
  "$helpers/manyrows" "$rows" | peak hone-tokenize -q -m "$demo" | peak hone-pack -q --dedup -o data
  [ "$(jq .examples data/dataset.json)" -eq "$rows" ]
  sort -r peak >peak.sorted && mv peak.sorted peak
  below 100 500
}

@test "slow: the same once more is all duplicates" {
  rm -rf peak
  { "$helpers/manyrows" 100000; "$helpers/manyrows" 100000; } | "$hone_bin/hone-tokenize" -q -m "$demo" |
    peak hone-pack -q --dedup -o once
  [ "$(jq .examples once/dataset.json)" -eq 100000 ]
  below 100
}

@test "slow: a dataset larger than memory trains" {
  local run=(-q -m "$demo" --from-scratch --method full -t data --batch-size 64 --max-steps 20 --learning-rate 1e-3)
  local raw bytes
  raw=$(jq '[.shards[].raw_bytes] | add' data/dataset.json) bytes=$(jq '[.shards[].bytes] | add' data/dataset.json)
  echo "# dataset: $bytes bytes, $raw of records" >&3
  rm -rf peak run1 run2
  peak hone-train "${run[@]}" -o run1
  below 250
  # All of the address space, with libraries and what OpenBLAS keeps for itself, is less than half of the records.
  [ "$raw" -gt $((2 * 1000000 * 1024)) ]
  (ulimit -v 1000000 && "$hone_bin/hone-train" "${run[@]}" -j 1 -o run2)
  cmp run1/final/model.safetensors run2/final/model.safetensors
}

@test "slow: a dataset larger than all the memory that its files may use trains" {
  local run=(-q -m "$demo" --from-scratch --method full -t data --batch-size 64 --max-steps 20 --learning-rate 1e-3)
  local limit=$((220 << 20))
  confined $limit true || skip "no memory group can be made here (root, with the memory controller)"
  [ "$(jq '[.shards[].bytes] | add' data/dataset.json)" -gt $limit ]
  rm -rf run3
  confined $limit "$hone_bin/hone-train" "${run[@]}" -o run3
  cmp run1/final/model.safetensors run3/final/model.safetensors
}

# merged FORM: a model of that form, and room for what comes out
merged() {
  rm -rf peak big merged
  room $((megabytes * 11 / 10)) || megabytes=$(($(df --output=avail -m . | tail -n 1) / 2))
  echo "# $megabytes MB" >&3
  "$helpers/bigmodel" big "$megabytes" "$1"
  peak hone-merge -q -m big/base -a big/adapter -o merged
  [ "$(du -m --apparent-size merged | cut -f 1)" -gt $((megabytes * 9 / 10 * 95 / 100)) ]
  for file in merged/*.safetensors; do
    [ "$(tail -c 4 "$file" | od -An -tx1)" = " 00 3e 00 3e" ]
  done
  rm -rf big merged
  below 1000
}

@test "slow: a model of 20 GB in shards merges in less than 1 GB" {
  merged layers
}

@test "slow: a model of 20 GB that is one tensor merges in less than 1 GB" {
  merged one
}

@test "slow: a million predictions are measured in less than 500 MB" {
  rm -f peak
  "$helpers/manyrows" 1000000 predictions >predictions.jsonl
  peak hone-eval -q --metrics predictions.jsonl --json >figures.json
  [ "$(jq '."classification/examples" // .examples' figures.json)" -eq 1000000 ]
  below 500
}

@test "slow: a million records are prepared in less than three times their size" {
  rm -f peak
  "$helpers/manyrows" 1000000 >rows.jsonl
  peak hone-prepare -q --validation 0.1 -o prepared rows.jsonl
  [ "$(cat prepared.* | wc -l)" -eq 1000000 ]
  below $((3 * $(stat -c %s rows.jsonl) / 1000000))
}

@test "slow: an address space that OpenBLAS does not fit into ends a program before it begins" {
  (ulimit -v 250000 && OMP_NUM_THREADS=1 "$hone_bin/hone-train" --version >/dev/null)
  (ulimit -v 250000 && OMP_NUM_THREADS=64 fails 71 "OpenBLAS waits for" timeout 60 "$hone_bin/hone-train" --version)
}
