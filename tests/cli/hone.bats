#!/usr/bin/env bats
# hone: lists the programs, starts them, and knows what was meant; --version; names of models that are nearly right.

bats_require_minimum_version 1.5.0
load lib

setup() {
  root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
  cd "$BATS_TEST_TMPDIR" || return 1
  unset HF_HUB_CACHE HF_HOME HONE_MODEL_PATH HONE_MODEL
  export HOME=$BATS_TEST_TMPDIR
}

listed() {
  "$hone_bin/hone" | sed -nE 's/^  ([a-z]+) +[^ ].*/\1/p' | grep -v '^hone$' | sort
}

@test "hone: alone it lists every program, and no other" {
  (cd "$root" && ls -d tools/*/main.c pipelines/hone-*) | sed -nE 's,^tools/([a-z]+)/main.c,\1,p; s,^pipelines/hone-([a-z]+)$,\1,p' |
    grep -v '^hone$' | sort >there
  [ "$(wc -l <there)" -ge 8 ]
  listed >listed
  diff there listed
  "$hone_bin/hone" --help >help
  "$hone_bin/hone" | diff - help
}

@test "hone: a command is the program of that name" {
  "$hone_bin/hone" pack -h >one
  "$hone_bin/hone-pack" -h >two
  diff one two
  "$hone_bin/hone" help pack | diff - two
  "$hone_bin/hone" hone-pack -h | diff - two
  fails 64 "hone-pack: unknown option '--no-such'" "$hone_bin/hone" pack --no-such
  # through a symbolic link, and with nothing on the PATH
  ln -s "$hone_bin/hone" short
  env -i ./short pack -h | diff - two
}

@test "hone: what nearly is a command or an option" {
  fails 64 "unknown command 'trian'; did you mean 'train'?" "$hone_bin/hone" trian
  fails 64 "unknown command 'eVal'; did you mean 'eval'?" "$hone_bin/hone" eVal
  fails 64 "unknown command 'xyzzy'" "$hone_bin/hone" xyzzy
  [[ $stderr != *"did you mean"* ]]
  fails 64 "unknown command '../pack'" "$hone_bin/hone" ../pack
  fails 64 "did you mean '--version'?" "$hone_bin/hone" --versoin
  fails 64 "did you mean '--learning-rate'?" "$hone_bin/hone-train" --learning_ratee 1
  fails 64 "did you mean '--gradient-accumulation-steps'?" "$hone_bin/hone-train" --gradient-acc 1
  fails 64 "unknown option '--qqq'" "$hone_bin/hone-train" --qqq
  [[ $stderr != *"did you mean"* ]]
}

@test "hone: --version names commit, compiler, libraries and kernels" {
  local name isa
  isa=$("$hone_bin/hone-train" --version | sed -n 's/^kernels: OpenBLAS [0-9.]* [A-Za-z0-9]*; fp32 on [a-z0-9]*, bf16 on //p')
  [[ $isa =~ ^(amx|avx512bf16|avx512|avx2|blas)$ ]]
  for name in hone hone-prepare hone-tokenize hone-pack hone-train hone-eval hone-report hone-merge hone-generate; do
    run "$hone_bin/$name" --version
    [ "$status" -eq 0 ]
    [[ ${lines[0]} =~ ^$name\ [0-9.]+\ \(commit\ ([0-9a-f]{12}|unknown),\ (gcc|clang\ [A-Za-z]+\ Clang)\ [0-9.]+ ]]
    [[ ${lines[1]} =~ ^libraries:\ jansson\ [0-9.]+,\ PCRE2\ [0-9.]+,\ utf8proc\ [0-9.]+,\ xxHash\ [0-9.]+,\ zlib\ [0-9.]+,\ zstd\ [0-9.]+$ ]]
    [[ ${lines[2]} =~ ^kernels:\ (OpenBLAS\ [0-9.]+\ [A-Za-z0-9]+\;\ fp32\ on\ (amx|avx512|avx2|blas),\ )?bf16\ on\ $isa$ ]]
    [ "${#lines[@]}" -eq 3 ]
    run env HONE_ISA=blas "$hone_bin/$name" --version
    [[ ${lines[2]} =~ ^kernels:\ (OpenBLAS.*\;\ fp32\ on\ blas,\ )?bf16\ on\ blas$ ]]
  done
  # a level below the processor's is taken, and one above it is not
  for name in blas avx2 avx512 avx512bf16 amx; do
    HONE_ISA=$name "$hone_bin/hone-pack" --version | sed -n 's/^kernels: bf16 on //p' | grep -qx "$name\|$isa"
    [ "$name" != "$isa" ] || break
  done
  # fp32 has kernels for these levels, and takes that of the one below for avx512bf16
  HONE_ISA=avx512bf16 "$hone_bin/hone-train" --version | grep -q 'fp32 on \(avx512\|avx2\|blas\), '
  [ "$isa" != amx ] || "$hone_bin/hone-train" --version | grep -q 'fp32 on amx, bf16 on amx$'
  # OpenBLAS is named where it is used, and only there
  "$hone_bin/hone-eval" --version | grep -q '^kernels: OpenBLAS'
  if "$hone_bin/hone-pack" --version | grep OpenBLAS; then return 1; fi
}

@test "hone: a model's name that is nearly right" {
  mkdir -p models/SmolLM2-135M hub/models--HuggingFaceTB--SmolLM2-360M/refs here/base
  fails 66 "model 'smollm2-135m' is not found (did you mean 'SmolLM2-135M'?); looked at" \
    env HONE_MODEL_PATH=models "$hone_bin/hone-tokenize" -m smollm2-135m /dev/null
  fails 66 "(did you mean 'HuggingFaceTB/SmolLM2-360M'?)" env HF_HUB_CACHE=hub "$hone_bin/hone-tokenize" -m SmolLM2-360M /dev/null
  fails 66 "(did you mean 'HuggingFaceTB/SmolLM2-360M'?)" \
    env HF_HUB_CACHE=hub "$hone_bin/hone-tokenize" -m HuggingFaceTB/SmolLM-360M /dev/null
  fails 66 "(did you mean 'here/base'?)" "$hone_bin/hone-tokenize" -m here/bass /dev/null
  fails 66 "model 'nothing-like-it' is not found; looked at 'nothing-like-it'" "$hone_bin/hone-tokenize" -m nothing-like-it /dev/null
}

@test "hone: a program that is there and cannot be started is told" {
  mkdir bin && touch bin/hone-frob
  fails 66 "cannot start 'hone-frob': Permission denied" env PATH="$PWD/bin:$PATH" "$hone_bin/hone" frob
}
