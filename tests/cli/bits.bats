#!/usr/bin/env bats
# --load-in-bits: a base quantised while it is loaded, trained on, evaluated, merged into and refused.

bats_require_minimum_version 1.5.0
load lib

setup() {
  train=$hone_bin/hone-train eval=$hone_bin/hone-eval
  cd "$BATS_TEST_TMPDIR" || return 1
  tiny_config config
  rows 12 | "$hone_bin/hone-pack" -q -o data -
  "$train" -q -m config -t data -o made --from-scratch --method full --n-epochs 40 --batch-size 4 --learning-rate 1e-2
  mv made/final model
}

# an_adapter RUN [OPTION...]: a few steps of LoRA
an_adapter() {
  "$train" -q -m model -t data -o "$1" --dtype float32 --n-epochs 2 --batch-size 4 --learning-rate 1e-3 "${@:2}"
}

# first_loss RUN: of the first step, which is the base's
first_loss() {
  jq -s '.[0].loss' "$1/metrics.jsonl"
}

# base_of RUN: the base's fingerprint that the adapter carries
base_of() {
  local n
  n=$(head -c 8 "$1/final/adapter_model.safetensors" | od -An -tu8)
  tail -c +9 "$1/final/adapter_model.safetensors" | head -c "$((n))" | jq -e '.__metadata__ | del(.format) | add | strings'
}

@test "bits: each kind of base computes something else, and none far off" {
  for bits in 16 8 4; do
    [ $bits = 16 ] && set -- || set -- --load-in-bits $bits
    an_adapter run$bits "$@"
    "$eval" -q --json --dtype float32 -m model "$@" data >eval$bits
  done
  for got in $(first_loss run8)/$(first_loss run16) $(jq .loss eval8)/$(jq .loss eval16); do
    echo "8 bits: $got"
    jq -ne "$got | . != 1 and . > 0.98 and . < 1.02"
  done
  for got in $(first_loss run4)/$(first_loss run16) $(jq .loss eval4)/$(jq .loss eval16); do
    echo "4 bits: $got"
    jq -ne "$got | . != 1 and . > 0.7 and . < 1.4"
  done
  [ "$(first_loss run4)" != "$(first_loss run8)" ]
}

@test "bits: DoRA begins at the quantised base, too" {
  an_adapter plain --load-in-bits 4
  an_adapter dora --load-in-bits 4 --use-dora
  jq -ne "$(first_loss dora)/$(first_loss plain) | . > 0.99999 and . < 1.00001"
  run cmp <(jq -c .loss plain/metrics.jsonl) <(jq -c .loss dora/metrics.jsonl)
  [ "$status" -eq 1 ]
}

@test "bits: recorded, and repeated when a run is taken up again" {
  an_adapter run --load-in-bits 4 --max-steps 2
  jq -e '.settings."load-in-bits" == "4"' run/run.json
  rm -r run/final
  fails 73 'with --load-in-bits "4"' an_adapter run --load-in-bits 8 --max-steps 2
  fails 73 'with --load-in-bits "4"' an_adapter run --max-steps 2
  an_adapter run --load-in-bits 4 --max-steps 2
  [ -e run/final ]
}

@test "bits: the adapter belongs to the base as it was, and merges into that" {
  an_adapter run4 --load-in-bits 4
  an_adapter run16
  [ "$(base_of run4)" = "$(base_of run16)" ]
  "$hone_bin/hone-merge" -q -m model -a run4/final -o merged
  "$eval" -q --json --dtype float32 -m model -a run4/final data >apart
  "$eval" -q --json --dtype float32 -m merged data >together
  jq -es '(.[0].loss - .[1].loss) / .[0].loss | fabs < 1e-5' apart together
}

@test "bits: the same weights however many threads" {
  an_adapter one --load-in-bits 4 -j 1
  an_adapter two --load-in-bits 4 -j 3
  cmp one/final/adapter_model.safetensors two/final/adapter_model.safetensors
}

@test "bits: usage is 64" {
  fails 64 "only frozen weights can be quantised" "$train" -m model -t data -o run --method full --load-in-bits 4
  fails 64 "--from-scratch goes with --method full" "$train" -m model -t data -o run --from-scratch --load-in-bits 4
  fails 64 "only frozen weights" "$train" -m model -t data -o run --from-scratch --method full --load-in-bits 8
  fails 64 "not one of 8|4" "$train" -m model -t data -o run --load-in-bits 5
  fails 64 "not one of 8|4" "$eval" -m model data --load-in-bits 16
  fails 64 "not one of 8|4" "$hone_bin/hone-generate" -m model --load-in-bits 3 hello
  [ ! -e run ]
}
