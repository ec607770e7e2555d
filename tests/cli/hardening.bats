#!/usr/bin/env bats
# What the built programs are armed with, read off them; and that a program without it is told.

bats_require_minimum_version 1.5.0
load lib

# The programs themselves, where tests run them by an emulator
programs=${HONE_EMULATED:-$hone_bin}

# Whether the programs are of a build without checked copies
unoptimised() {
  [[ ${HONE_BIN:-.} == *build/@(asan|tsan|debug) ]]
}

# soft FILE: prints what it lacks
soft() {
  local headers dynamic symbols
  headers=$(readelf -hlW "$1")
  dynamic=$(readelf -dW "$1")
  symbols=$(readelf --dyn-syms -W "$1")
  grep -q 'Flags: .*PIE' <<<"$dynamic" || echo "not a position-independent executable"
  grep -q GNU_RELRO <<<"$headers" || echo "no relro"
  grep -q 'Flags: .*NOW' <<<"$dynamic" || echo "symbols bound late"
  awk '$1 == "GNU_STACK" { sane = $(NF - 1) == "RW" } END { exit !sane }' <<<"$headers" || echo "a stack that can be executed"
  ! awk '$1 == "LOAD"' <<<"$headers" | grep -q 'RWE' || echo "memory to write and execute"
  grep -q __stack_chk_fail <<<"$symbols" || echo "no stack protector"
  # Sanitizers look at all that a checked copy would.
  unoptimised || grep -q '_chk@' <<<"$symbols" || echo "no checked copies"
  first_of_main "$1" "$headers" | grep -q 'endbr64\|paciasp' || echo "main is not marked for indirect branches"
}

# first_of_main FILE HEADERS: its first instruction, as the processor that it is for has it
first_of_main() {
  local objdump=objdump
  [[ $2 == *AArch64* && $(uname -m) != aarch64 ]] && objdump=aarch64-linux-gnu-objdump
  "$objdump" -d --no-show-raw-insn "$1" | grep -A 1 '<main>:'
}

@test "hardening: every program is position-independent, bound at start, with protected stack and checked copies" {
  local all=("$programs"/hone "$programs"/hone-*) said
  [ "${#all[@]}" -ge 9 ]
  for program in "${all[@]}"; do
    said=$(soft "$program")
    echo "$program: $said"
    [ -z "$said" ]
  done
}

@test "hardening: what a program lacks is told" {
  cd "$BATS_TEST_TMPDIR"
  echo 'int main(void) { return 0; }' >plain.c
  local unmarked=-fcf-protection=none
  [ "$(uname -m)" != aarch64 ] || unmarked=-mbranch-protection=none
  gcc -no-pie -fno-stack-protector $unmarked -Wl,-z,norelro,-z,lazy,-z,execstack plain.c -o plain 2>/dev/null
  run soft plain
  echo "$output"
  for lack in position-independent relro late executed protector; do
    [[ "$output" == *"$lack"* ]]
  done
  unoptimised || [[ "$output" == *"checked copies"* ]]
  [[ "$output" == *"indirect branches"* ]]
}
