#!/usr/bin/env bats
# What a newcomer does wrong, and whether the answer tells what to do instead.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
  cd "$BATS_TEST_DIRNAME/../.." || return 1
  local d=$BATS_FILE_TMPDIR bin=${HONE_BIN:-.}
  cp -r pipelines/demo.model "$d/shape"
  jq -c '{prompt: .text, completion: .label}' pipelines/demo.data/tickets.jsonl | head -n 20 >"$d/rows.jsonl"
  jq -r '["id", "message", "team"], (inputs | [1, .text, .label]) | @csv' pipelines/demo.data/tickets.jsonl >"$d/table.csv"
  jq '.hidden_size = 32 | .intermediate_size = 64 | .num_hidden_layers = 1 | .num_attention_heads = 1
    | .num_key_value_heads = 1' pipelines/demo.model/config.json >"$d/shape/config.json"
  "$bin/hone-train" -q -j 1 -m "$d/shape" --from-scratch --method full -t "$d/rows.jsonl" -o "$d/full" --max-steps 1
  cp -r "$d/full/final" "$d/base"
  "$bin/hone-train" -q -j 1 -m "$d/base" -t "$d/rows.jsonl" -o "$d/run" --max-steps 1
}

setup() {
  cd "$BATS_FILE_TMPDIR" || return 1
  PATH=$hone_bin:$PATH
  unset HF_HUB_CACHE HF_HOME HONE_MODEL_PATH HONE_MODEL
  export HOME=$BATS_TEST_TMPDIR
}

@test "hints: a directory of another kind" {
  fails 66 "'run' is not an adapter: it has no adapter_config.json; it is a run of hone-train; 'run/final' is an adapter" \
    hone-eval -m base -a run rows.jsonl
  fails 66 "'run' is not an adapter" hone-generate -m base -a run hello
  fails 66 "'run' is not an adapter" hone-merge -m base -a run -o out
  fails 66 "'base' is not an adapter: it has no adapter_config.json; it is a model's directory, which goes to -m" \
    hone-train -m base --init-adapter base -t rows.jsonl -o out
  fails 66 "'run/final' is not a model's directory: it has no config.json; it is an adapter, which goes to -a; hone-merge" \
    hone-generate -m run/final hello
  fails 66 "'run' is not a model's directory: it has no config.json; it is a run of hone-train; 'run/final' is an adapter" \
    hone-merge -m run -a run/final -o out
  fails 66 "'full' is not a model's directory: it has no config.json; it is a run of hone-train; 'full/final' is a model's" \
    hone-eval -m full rows.jsonl
  fails 66 "'run' is not a dataset of hone-pack: it has no dataset.json; it is a run of hone-train" hone-pack --info run
  fails 66 "'none' does not exist; a dataset of hone-pack is wanted" hone-pack --verify none
  fails 66 "'rows.jsonl' is no directory; a dataset of hone-pack is wanted" hone-pack --cat rows.jsonl
  fails 66 "'run/final' is not a run of hone-train: it has no run.json; it is an adapter; the run is the directory above" \
    hone-report run/final
  [ ! -e out ]
}

@test "hints: columns" {
  fails 65 "the first line ('id', 'message', 'team') names no column that is known; --columns" hone-prepare table.csv
  fails 64 "has no column 'mesage' (did you mean 'message'?); it has 'id', 'message', 'team'" \
    hone-prepare table.csv --columns text=mesage,label=team
  fails 64 "'lable' is not a field of text records, which have text=; did you mean 'label'?" \
    hone-prepare table.csv --columns text=message,lable=team
  cp table.csv table.xlsx
  fails 64 "a spreadsheet or a Parquet file is exported as one of these first" hone-prepare table.xlsx
  fails 66 "'base' is a directory, a file is wanted" hone-prepare base
}

@test "hints: the form of the data" {
  fails 65 "'input_ids' is missing: records go through hone-tokenize first" hone-pack -o out rows.jsonl
  fails 64 "-o DATASET is missing" hone-pack rows.jsonl
  echo '{"question": "a", "answer": "b"}' >qa.jsonl
  fails 65 "(hone-prepare makes one of other names)" hone-tokenize -m base --jsonl qa.jsonl
  hone-prepare -q qa.jsonl
  hone-tokenize -q -m base --jsonl qa.prepared.jsonl | grep -q input_ids
  fails 65 'line 1: not a JSON object: {"prompt": "..."} and the like are read here; a text by itself is given as PROMPT' \
    hone-generate -m base <<<hello
  fails 65 "--overlong drop, truncate or split says what becomes of such" hone-pack -o out --context 2 \
    <(hone-tokenize -q -m base --jsonl rows.jsonl)
}

@test "hints: names" {
  fails 78 "template 'chatlm' (did you mean 'chatml'?)" hone-tokenize -m base --template chatlm --jsonl rows.jsonl
  fails 66 "; a directory is wanted, or a name in the Hub's cache or under \$HONE_MODEL_PATH" hone-generate -m qwen2.5-0.5b hello
  fails 64 "unknown command 'hlep'; did you mean 'help'?" hone hlep
}

@test "hints: an option in a file" {
  echo '{"learing-rate": 1}' >c.json
  fails 64 "'c.json': unknown option '--learing-rate'; did you mean '--learning-rate'?" hone-train --config c.json
  echo '{"n-epochs": {"a": 1}}' >c.json
  fails 64 "'c.json': 'n-epochs' cannot be an object" hone-train --config c.json
  echo '--n-epochs ten' >words
  fails 64 "'words': --n-epochs: 'ten' is not a whole number" hone-train @words
  # and behind the file it is the command line's again
  echo '--n-epochs 2' >words
  fails 64 "hone-train: --batch-size: 'x' is not" hone-train @words --batch-size x
}

@test "hints: every tool answers a mistyped option with the nearest, and takes --config and @FILE" {
  local tool option
  for tool in hone-prepare:output hone-tokenize:model hone-pack:context hone-train:batch-size hone-eval:predictions \
    hone-report:title hone-merge:adapter hone-generate:temperature; do
    option=${tool#*:} tool=${tool%:*}
    fails 64 "unknown option '--${option}x'; did you mean '--$option'?" "$tool" "--${option}x" 1
    echo "--${option}x 1" >words
    fails 64 "'words': unknown option '--${option}x'; did you mean '--$option'?" "$tool" @words
    echo "{\"${option}x\": 1}" >c.json
    fails 64 "'c.json': unknown option '--${option}x'; did you mean '--$option'?" "$tool" --config c.json
  done
}

@test "hints: hone-finetune" {
  local tune=$BATS_TEST_DIRNAME/../../pipelines/hone-finetune
  export HONE_BIN=$hone_bin
  run "$tune" rows.jsonl -m base
  [ "$status" -eq 64 ]
  [ "$output" = "hone-finetune: -t FILE is missing; did you mean -t 'rows.jsonl'?" ]
  run "$tune" -t rows.jsn -m base
  [ "$status" -eq 66 ]
  [ "$output" = "hone-finetune: cannot open 'rows.jsn': there is no such file" ]
  touch file
  run "$tune" -t rows.jsonl -m base -o file/out
  [ "$status" -eq 73 ]
  [[ $output == "hone-finetune: cannot create directory"*"; name another output with -o" ]]
}
