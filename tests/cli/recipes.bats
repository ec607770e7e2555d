#!/usr/bin/env bats
# docs/recipes.md: the blocks marked `sh` run, in their order, in one directory.

bats_require_minimum_version 1.5.0
load lib

setup() {
  top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
  page=$top/docs/recipes.md
  export HONE_EXAMPLES=$BATS_TEST_TMPDIR/pipelines PATH="$hone_bin:$PATH" HONE=
  cp -r "$top/pipelines" "$BATS_TEST_TMPDIR"
  (cd "$HONE_EXAMPLES/example" && rm -rf base work ./*.jsonl)
  mkdir "$BATS_TEST_TMPDIR/run"
  cd "$BATS_TEST_TMPDIR/run" || return 1
}

# blocks PAGE: its sh blocks, in files block-01 and so on
blocks() {
  awk '/^```sh$/ { on = 1; name = sprintf("../block-%02d", ++n); next } /^```$/ { on = 0 } on { print >name }' "$1"
}

# follow PAGE: runs them; one that needs a program that is not here is left out, and said
follow() {
  local block
  blocks "$1"
  for block in ../block-*; do
    if grep -q '^mlr ' "$block" && ! command -v mlr >/dev/null; then
      echo "# no mlr: only the table of $(basename "$block") is made" >&3
      sed -i '/^mlr /,$d' "$block"
    fi
    bash -eu "$block" >"$block.out" 2>&1 || { cat "$block" "$block.out"; return 1; }
  done
}

@test "recipes: every block runs, and does what is said of it" {
  follow "$page"
  hone-pack --verify three
  [ "$(hone-pack --info three --json | jq -c '[.labels[].name]')" = '["account","billing","delivery"]' ]
  [ "$(hone-pack --info train --json | jq .examples)" -eq 300 ]
  [ "$(jq -s length balanced.jsonl)" -eq 160 ]
  [ -e run/final/adapter_model.safetensors ]
  grep -l "McNemar" ../block-*.out
  [ "$(wc -l <project/work/metrics.tsv)" -eq 4 ]
}

@test "recipes: a block that fails is noticed" {
  printf '```sh\ntrue\n```\n```shell\nfalse\n```\n' >good.md
  run -0 follow "$PWD/good.md"
  printf '```sh\nhone-pack --info none\ntrue\n```\n' >bad.md
  run -1 follow "$PWD/bad.md"
}
