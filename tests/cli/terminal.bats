#!/usr/bin/env bats
# Names and strings in files of others reach messages and listings; nothing of them may act on the terminal, or begin a line of
# its own that looks like one of ours.

bats_require_minimum_version 1.5.0
load lib

# As JSON: an escape, a bell, a carriage return, a line feed, and a control sequence introducer of one character.
evil='\u001b[2J\u0007\r\nok\u009b1m\u007f'

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  demo=$BATS_TEST_DIRNAME/../../pipelines
  name=$(jq -nr "\"$evil\"")
  shown='\x1b[2J\x07'
}

# harmless COMMAND...: the outputs have the evil name, readable, and no control character but the ends of lines
harmless() {
  "$@" >out 2>&1 || true
  cat -v out
  grep -qF "$shown" out
  run ! env LC_ALL=C grep -qP '[^\n\x20-\x7e\x80-\xff]|\xc2[\x80-\x9f]' out
}

# model: a model of random weights
model() {
  mkdir config
  cp "$demo"/demo.model/tokenizer* config
  tiny_config config '"vocab_size": 2048'
  rows 4 | "$hone_bin/hone-pack" -q -o rows -
  "$hone_bin/hone-train" -q -m config -t rows -o scratch --from-scratch --method full --max-steps 1 --learning-rate 1e-3
  mv scratch/final model
}

# stranger FILE: a tensor of that name and no known type in the header of a safetensors file, whose length is in the first bytes
stranger() {
  local n header size
  n=$(od -An -tu2 -N 2 "$1" | tr -d ' ')
  header=$(tail -c +9 "$1" | head -c "$n" | jq -c --arg name "$name" '.[$name] = {dtype: "X9", shape: [1], data_offsets: [0, 4]}')
  size=$(printf %s "$header" | wc -c)
  # shellcheck disable=SC2059
  { printf "\\x$(printf %02x $((size & 255)))\\x$(printf %02x $((size >> 8)))\\0\\0\\0\\0\\0\\0"
    printf %s "$header"; tail -c +$((9 + n)) "$1"; } >"$1.new"
  mv "$1.new" "$1"
}

@test "terminal: a name of a tensor, in a model and in an adapter" {
  model
  "$hone_bin/hone-train" -q -m model -t rows -o run --max-steps 1 --learning-rate 1e-3
  cp -r model evil
  stranger evil/model.safetensors
  harmless "$hone_bin/hone-eval" -m evil rows
  harmless "$hone_bin/hone-merge" -m evil -a run/final -o merged
  stranger run/final/adapter_model.safetensors
  harmless "$hone_bin/hone-eval" -m model -a run/final rows
  rm run/final/manifest.xxh128 run/final/provenance.json
  harmless "$hone_bin/hone-verify" run/final
}

@test "terminal: a label" {
  evil='\u001b[2J\u0007\u009b1m\u007f' # labels are of one line
  model
  jq -nc "range(4) | {prompt: \"a\", completion: \"$evil\", label: \"$evil\"}, {prompt: \"b\", completion: \"c\", label: \"c\"}" >labels.jsonl
  jq -nr "range(4) | [\"a\", \"$evil\"] | @csv" | sed '1i text,label' >labels.csv
  harmless "$hone_bin/hone-prepare" labels.csv
  shown='␛' harmless "$hone_bin/hone-tokenize" -m model --show labels.jsonl
  "$hone_bin/hone-tokenize" -q -m model -o tokens labels.jsonl
  harmless "$hone_bin/hone-pack" -o data tokens
  harmless "$hone_bin/hone-pack" --info data
  harmless "$hone_bin/hone-eval" -m model data
  "$hone_bin/hone-eval" -q -m model --predictions predictions.jsonl data >/dev/null
  harmless "$hone_bin/hone-eval" --metrics predictions.jsonl
}

@test "terminal: a provenance, what it names, and a file that is damaged" {
  tiny_config model
  jq -n "{tool: \"$evil\", version: \"$evil\", commit: \"$evil\", settings: {\"$evil\": \"x\", a: \"$evil\"},
    inputs: [{what: \"$evil\", fingerprint: \"$evil\", path: \"$evil\"}]}" >model/provenance.json
  (cd model && xxh128sum ./*.json | sed 's|\./||' >manifest.xxh128)
  harmless "$hone_bin/hone-verify" --show model
  [ "$(grep -oF "$shown" out | wc -l)" -eq 7 ] # a value of a setting is JSON
  echo >>model/config.json
  mv model "$name"
  harmless "$hone_bin/hone-verify" "$name"
  grep -q damaged out
  printf 'x' >"$(printf 'no utf-8 \xff\x9b')"
  "$hone_bin/hone-verify" --json "$(printf 'no utf-8 \xff\x9b').safetensors" "$name" >out || true
  jq -s -e '.[0].path | contains("ok")' out
}

@test "terminal: paths, keys, types and values in messages" {
  model
  harmless "$hone_bin/hone-eval" -m "$name" rows
  harmless "$hone_bin/hone-train" -m model -t rows -o run --dtype "$name"
  echo "--learning-rate x" >"$name"
  harmless "$hone_bin/hone-train" "@$name"
  "$hone_bin/hone-train" -q -m model -t rows -o run --max-steps 1 --learning-rate 1e-3
  jq ".[\"$evil\"] = true" run/final/adapter_config.json >x
  mv x run/final/adapter_config.json
  harmless "$hone_bin/hone-eval" -m model -a run/final rows
  jq ".pre_tokenizer = {type: \"$evil\"}" model/tokenizer.json >x
  mv x model/tokenizer.json
  harmless "$hone_bin/hone-tokenize" -m model /dev/null
  jq ".model_type = \"$evil\"" model/config.json >x
  mv x model/config.json
  harmless "$hone_bin/hone-eval" -m model rows
  jq -n "{\"classification/accuracy\": 0.5, \"examples\": 3, \"$evil\": 3}" >a.json
  harmless "$hone_bin/hone-eval" --compare a.json a.json
}
