#!/bin/sh
# usage: tests/fuzz/dicts.sh OUT
#
# A dictionary for each fuzz target, OUT/TARGET.dict: the strings that the sources behind it know, and what lies
# between the parts of an input.
set -eu
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."

# words TARGET SOURCE...
words() {
  name=$1
  shift
  {
    printf '%s\n' '"\x0a=====\x0a"'
    grep -hv '^#include' "$@" | grep -oE '"[][A-Za-z0-9_.:<>{}|%@&()!?,+*/=~^$ -]{2,40}"' | grep -v '%[a-z*.0-9]' | sort -u
  } >"$out/$name.dict"
}

json='"{" "}" "[" "]" ":" "," "null" "true" "false" "-1" "1e999" "9223372036854775807" "18446744073709551616" "\\u0000" "\\ud800"'
add_json() {
  for name; do
    for word in $json; do
      echo "$word" | sed 's/\\u/\\\\u/'
    done >>"$out/$name.dict"
  done
}

words adapter lib/fmt/adapter*.c lib/fmt/safetensors.c
words checkpoint tools/train/state.c tools/train/outliers.c lib/fmt/manifest.c
words config lib/model/config*.c lib/model/family.c
words dataset lib/fmt/dataset*.c
words shard lib/fmt/dataset*.c
words generations lib/eval/generations.c
words ingest lib/text/record*.c lib/text/ingest*.c
words model lib/model/config*.c lib/model/family.c lib/fmt/safetensors.c
words predictions lib/eval/predictions*.c
words prepare tools/prepare/columns.c tools/prepare/chat.c lib/text/sharegpt.c
words merge lib/fmt/adapter*.c lib/fmt/safetensors.c tools/merge/*.c lib/model/config*.c
words lora lib/fmt/adapter*.c lib/fmt/safetensors.c lib/model/lora*.c
words subject tools/eval/subject.c lib/eval/metrics*.c lib/eval/predictions_read.c lib/eval/generations.c
words record lib/text/record*.c lib/text/sharegpt.c
words report tools/report/run.c tools/report/curves.c tools/report/summary.c tools/report/settings.c
words results lib/eval/results_csv.c lib/eval/metrics*.c
words safetensors lib/fmt/safetensors.c
words template lib/text/jinja*.c
words tokenizer_dir lib/text/tokenizer*.c lib/text/template.c lib/text/spm*.c
words tokenizer_json lib/text/tokenizer*.c lib/text/bpe_load.c lib/text/normalize.c lib/text/pretokenize.c lib/text/decode.c \
  lib/text/postprocess.c lib/text/added.c lib/text/component.c
words tokens lib/fmt/tokens*.c
words weights lib/fmt/weights.c lib/fmt/safetensors.c
words verify tools/verify/*.c lib/fmt/adapter*.c lib/fmt/manifest.c lib/eval/row_seal.c
words options tests/fuzz/fuzz_options.c
add_json verify adapter lora merge subject checkpoint config dataset shard generations ingest model predictions prepare record report safetensors \
  tokenizer_dir tokenizer_json tokens weights options fields source
for word in '{%' '%}' '{{' '}}' '{#' '#}' '{%-' '-%}' ' | ' ' is ' ' in ' 'if ' 'elif ' 'else' 'endif' 'for ' 'endfor' 'set ' \
  'endset' 'macro ' 'endmacro' 'call ' 'endcall' 'filter ' 'endfilter' 'with ' 'endwith' 'raw' 'endraw' 'break' 'continue' \
  'recursive' 'loop.' 'not ' ' and ' ' or ' 'namespace(' 'range(' '[::-1]' '**' '//' '~'; do
  echo "\"$word\""
done >>"$out/template.dict"
for word in '(?:' '(?=' '(?!' '(?<=' '(?<!' '(?>' '(?i)' '(?<n>' '\\p{L}' '\\P{N}' '\\p{Han}' '\\s' '\\S' '\\w' '\\h' '\\b' '\\B' \
  '[^' '&&' '[:alpha:]' '{2,3}' '{,3}' '*?' '++' '\\x{41}' '\\u4e00' '\\1' '\\G' '\\K' '\\R' '\\X' '(?~' '\\k<n>'; do
  printf '"%s"\n' "$word"
done >"$out/regex.dict"
