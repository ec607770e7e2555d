#!/usr/bin/env bats
# Completions for bash, zsh and fish: every option of -h, and no other.

setup() {
  root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
  bin=$(cd "${HONE_BIN:-.}" && pwd)
  cd "$BATS_TEST_TMPDIR" || return 1
  programs=("$bin"/hone-*)
  "$root/tools/completions" out "$bin/hone" "${programs[@]}" "$root/pipelines/hone-finetune"
}

options_of_help() {
  "$1" -h | sed -nE 's/^ +(-[A-Za-z], )?--([a-z][a-z0-9-]*).*/\2/p' | sort -u
}

# complete_bash WORD...: what bash offers for the last word
complete_bash() {
  bash -c '
    compopt() { :; }
    . "out/bash/$1"
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    f=$(complete -p "$1" | sed "s/.*-F \([^ ]*\) .*/\1/")
    "$f"
    printf "%s\n" "${COMPREPLY[@]}"' bash "$@"
}

@test "completions: all shells know the options of -h, and no other" {
  local program name
  [ "${#programs[@]}" -ge 7 ]
  for program in "${programs[@]}"; do
    name=${program##*/}
    options_of_help "$program" >wanted
    [ "$(wc -l <wanted)" -gt 6 ]
    complete_bash "$name" -- | sed -n 's/^--//p' | sort -u | diff wanted -
    grep -oE "^\s+'\*--[a-z0-9-]+" "out/zsh/_$name" | sed 's/.*--//' | sort -u | diff wanted -
    grep -oE '^complete -c [a-z-]+ -l [a-z0-9-]+' "out/fish/$name.fish" | sed 's/.* //' | sort -u | diff wanted -
  done
}

@test "completions: values of a choice; files and directories" {
  [ "$(complete_bash hone-train --method '' | xargs)" = "lora full" ]
  [ "$(complete_bash hone-train --method l)" = lora ]
  mkdir models && touch mine.jsonl
  [ "$(complete_bash hone-train -m m)" = models ]
  [ "$(complete_bash hone-train -t mi)" = mine.jsonl ]
  [ -z "$(complete_bash hone-train --n-epochs '')" ]
  grep -q ":value:(lora full)" out/zsh/_hone-train
  grep -q -- "-l method -x -a 'lora full'" out/fish/hone-train.fish
}

@test "completions: hone-finetune has its own options and those of hone-train" {
  { options_of_help "$root/pipelines/hone-finetune"; options_of_help "$bin/hone-train"; } | sort -u >wanted
  complete_bash hone-finetune -- | sed -n 's/^--//p' | sort -u | diff wanted -
}

@test "completions: hone completes its commands, and then theirs" {
  complete_bash hone '' | grep -v '^-' | sort >offered
  "$bin/hone" | sed -nE 's/^  ([a-z]+) +[^ ].*/\1/p' | grep -v '^hone$' | sort | diff - offered
  cat out/bash/hone-pack >>out/bash/hone
  run complete_bash hone pack --inf
  [ "$output" = --info ]
}

@test "completions: each shell that is here takes them" {
  local shell file
  for shell in bash zsh fish; do
    command -v "$shell" >/dev/null || continue
    for file in out/$shell/*; do
      "$shell" -n "$file"
    done
  done
}
