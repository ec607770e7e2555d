#!/usr/bin/env bats
# Man pages: they are well formed, name every option that -h names and no other, and refer to pages that are there.

setup() {
  bin=${HONE_BIN:-.}
  pages=(tools/*/*.1 pipelines/*.1 docs/man/*.[157])
  T=$BATS_TEST_TMPDIR
}

# The long options in a program's -h, one a line.
options_of_help() {
  "$1" -h | sed -nE 's/^ +(-[A-Za-z], )?--([a-z][a-z-]*).*/\2/p' | sort -u
}

# The long options among what a page marks up as options; --no-NAME counts as NAME where the list of -h ($1) has that.
long_options() {
  grep -o 'class="Fl"[^>]*>--[a-z][a-z-]*' | sed 's/.*>--//' | while read -r name; do
    if ! grep -qx -e "$name" "$1" && grep -qx -e "${name#no-}" "$1"; then
      name=${name#no-}
    fi
    echo "$name"
  done | sort -u
}

# Only the terms of a page's lists: there an option is explained.
terms() {
  tr '\n' ' ' | sed 's|</dt>|\n|g' | sed -n 's|.*<dt||p'
}

# same_options PROGRAM PAGE
same_options() {
  options_of_help "$1" >"$T/help"
  mandoc -Thtml "$2" >"$T/html"
  terms <"$T/html" | long_options "$T/help" >"$T/explained"
  long_options "$T/help" <"$T/html" >"$T/mentioned"
  [ "$(wc -l <"$T/help")" -ge 4 ] || return 2
  diff -u --label "$1 -h" --label "$2" "$T/help" "$T/explained" || return 1
  # Scripts hand options on to the programs, and may mention those.
  [[ $2 == pipelines/* ]] || diff -u --label "explained in $2" --label "mentioned" "$T/explained" "$T/mentioned"
}

@test "manuals: mandoc finds nothing to warn of" {
  [ "${#pages[@]}" -ge 8 ]
  run mandoc -Tlint -Wwarning "${pages[@]}"
  echo "$output"
  [ "$status" -eq 0 ]
  [ -z "$output" ]
}

@test "manuals: every option of -h, and no other" {
  local page tool failed=0 compared=0
  for page in tools/*/hone-*.1; do
    tool=$(basename "$page" .1)
    same_options "$bin/$tool" "$page" || failed=1
    compared=$((compared + 1))
  done
  for page in pipelines/hone-*.1; do
    same_options "${page%.1}" "$page" || failed=1
  done
  [ "$compared" -ge 5 ]
  [ "$failed" -eq 0 ]
}

@test "manuals: a page that lacks an option, or has one too many, is told apart" {
  grep -v '^\.It Fl -seed' tools/train/hone-train.1 >"$T/less.1"
  run same_options "$bin/hone-train" "$T/less.1"
  [ "$status" -eq 1 ]
  [[ $output == *$'\n'"-seed"* ]]
  sed 's/^\.It Fl -seed .*/&\n.It Fl -seeds/' tools/train/hone-train.1 >"$T/more.1"
  run same_options "$bin/hone-train" "$T/more.1"
  [ "$status" -eq 1 ]
  [[ $output == *$'\n'"+seeds"* ]]
}

@test "manuals: pages of hone that are referred to are there" {
  local name section missing=0
  sed -nE 's/^\.Xr (hone[a-z-]*) ([157]).*/\1 \2/p' "${pages[@]}" | sort -u >"$T/references"
  [ -s "$T/references" ]
  while read -r name section; do
    printf '%s\n' "${pages[@]}" | grep -q "/$name\.$section\$" || { echo "$name($section) is missing"; missing=1; }
  done <"$T/references"
  [ "$missing" -eq 0 ]
}
