#!/usr/bin/env bats
# The pages of docs/ and both READMEs: commands have options that exist, links lead somewhere, both READMEs say the same.

bats_require_minimum_version 1.5.0
load lib

setup() {
  cd "$BATS_TEST_DIRNAME/../.." || return 1
  pages=(README.md README.zh.md CONTRIBUTING.md docs/*.md docs/howto/*.md)
  T=$BATS_TEST_TMPDIR PATH=$PWD/pipelines:$PATH  # for builds other than the one at the top
}

# commands PAGE: the lines of its sh blocks that run hone, continued ones joined, a command a line, from `hone` on
commands() {
  awk '/^ *```sh$/ { on = 1; next } /^ *```/ { on = 0 } on { if (sub(/\\$/, "")) printf "%s", $0; else print }' "$1" |
    sed 's/ #.*//' | grep -oE '\bhone[- ][a-z]+[^|;&<>]*' | sed 's/^hone /hone-/'
}

# options_of TOOL: its long options, and for hone-train and hone-finetune also what other programs call them
options_of() {
  "$hone_bin/hone" "${1#hone-}" -h | sed -nE 's/^ +(-[A-Za-z], )?--([a-z][a-z0-9-]*).*/\2/p'
  case $1 in
  hone-finetune) options_of hone-train ;;
  hone-train) sed -n '/^static const struct opt_alias/,/^};/s/^\t{"\([a-z0-9-]*\)".*/\1/p' tools/train/options.c ;;
  esac
}

# check_commands PAGE: prints what is not known
check_commands() {
  commands "$1" | while read -r tool rest; do
    "$hone_bin/hone" "${tool#hone-}" -h >"$T/help" 2>&1 || { echo "$1: $tool"; continue; }
    [ -e "$T/$tool" ] || options_of "$tool" >"$T/$tool"
    grep -oE '(^| )--[a-z][a-z0-9_-]*' <<<"$rest" | sed 's/^ *--//' | tr _ - | while read -r option; do
      grep -qx -e "$option" -e "${option#no-}" "$T/$tool" || echo "$1: $tool --$option"
    done
  done
}

@test "docs: every command and option of the pages exists" {
  local page n=0
  for page in "${pages[@]}"; do
    n=$((n + $(commands "$page" | wc -l)))
    check_commands "$page"
  done >"$T/unknown"
  cat "$T/unknown"
  [ ! -s "$T/unknown" ]
  for page in "${pages[@]}"; do commands "$page"; done >"$T/all"
  [ "$(wc -l <"$T/all")" -gt 60 ]
}

@test "docs: a command that does not exist, or an option, is told" {
  printf '```sh\nhone train -m x \\\n  --no-such 1 | hone-pack --contxt 3\nhone frobnicate x\n```\n' >"$T/page.md"
  run check_commands "$T/page.md"
  [ "${lines[0]}" = "$T/page.md: hone-train --no-such" ]
  [ "${lines[1]}" = "$T/page.md: hone-pack --contxt" ]
  [ "${lines[2]}" = "$T/page.md: hone-frobnicate" ]
}

# links PAGE: targets of its links within the tree
links() {
  grep -oE '\]\([^)# ]+' "$1" | sed 's/^](//' | grep -v '^https*:'
}

@test "docs: links lead to files, and to headings" {
  local page target missing=0 heading
  for page in "${pages[@]}"; do
    for target in $(links "$page"); do
      [ -e "$(dirname "$page")/$target" ] || { echo "$page: $target"; missing=1; }
    done
    for target in $(grep -oE '\]\([^)# ]*#[^) ]+' "$page" | sed 's/^](//'); do
      heading=${target#*#}
      target=${target%%#*}
      sed -n 's/^#* //p' "$(dirname "$page")/${target:-$(basename "$page")}" | tr '[:upper:] ' '[:lower:]-' |
        tr -cd 'a-z0-9\n-' | grep -qx -- "$heading" || { echo "$page: #$heading"; missing=1; }
    done
  done
  [ "$missing" -eq 0 ]
}

@test "docs: every page is reached from the README" {
  local page
  for page in docs/*.md docs/howto/*.md; do
    grep -qF "](${page})" README.md || grep -qF "](${page#docs/})" docs/tutorial.md || { echo "$page"; return 1; }
  done
}

@test "docs: the READMEs in English and in Chinese have the same commands, tables and links" {
  local what
  for page in README.md README.zh.md; do
    awk '/^ *```/ { on = !on } on' "$page" | sed 's/ *#.*//' >"$T/$page.commands"
    grep -oE '\]\([^)]+\)' "$page" | grep -v 'README' | sed 's/#.*//' | sort -u >"$T/$page.links"
    grep -oE '`[^`]+`' "$page" | sort -u >"$T/$page.names"
    grep -c '^ *|' "$page" >"$T/$page.rows"
    grep -c '^## ' "$page" >"$T/$page.sections"
    grep -oE '[0-9]\.[0-9]e-[0-9]' "$page" >"$T/$page.figures" || true
  done
  for what in commands links names rows sections figures; do
    diff "$T/README.md.$what" "$T/README.zh.md.$what"
  done
}
