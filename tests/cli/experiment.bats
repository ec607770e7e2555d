#!/usr/bin/env bats
# pipelines/experiment.mk: what a change of each kind of input remakes, and what it does not.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
  cd "$BATS_TEST_DIRNAME/../.." || return 1
  local d=$BATS_FILE_TMPDIR bin=${HONE_BIN:-.}
  mkdir -p "$d/shape" "$d/project"
  cp pipelines/demo.model/tokenizer* "$d/shape"
  jq '.hidden_size = 32 | .intermediate_size = 64 | .num_hidden_layers = 1 | .num_attention_heads = 1
    | .num_key_value_heads = 1' pipelines/demo.model/config.json >"$d/shape/config.json"
  jq -c '{prompt: (.text + "\n\n###\n\n"), completion: (" " + .label)}' pipelines/demo.data/tickets.jsonl >"$d/all.jsonl"
  head -n 60 "$d/all.jsonl" >"$d/project/train.jsonl"
  tail -n 20 "$d/all.jsonl" >"$d/project/valid.jsonl"
  "$bin/hone-train" -q -j 1 -m "$d/shape" --from-scratch --method full -t "$d/all.jsonl" -o "$d/base" --max-steps 2
  mv "$d/base/final" "$d/project/base"
  cat >"$d/project/Makefile" <<END
GRID     = lora-r:2:4
TRAINING = --max-steps 2 --batch-size 8
THREADS  = 1
EVALUATE = --bootstrap 0
HONE     = bin/
include $PWD/pipelines/experiment.mk
END
}

# Programs that note that they were called, unless they are asked for their version; VERSION-hone-x there is added to it.
setup() {
  cp -r "$BATS_FILE_TMPDIR/project" "$BATS_TEST_TMPDIR"
  cd "$BATS_TEST_TMPDIR/project" || return 1
  mkdir bin
  for tool in tokenize pack train eval merge report; do
    cat >"bin/hone-$tool" <<END
#!/bin/sh
if [ "\$1" = --version ]; then cat bin/version-$tool 2>/dev/null; else echo $tool >>called; fi
[ ! -e bin/more-$tool ] || set -- "\$@" \$(cat bin/more-$tool)
exec "$hone_bin/hone-$tool" "\$@"
END
    chmod +x "bin/hone-$tool"
  done
}

# remakes "TOKENIZE PACK TRAIN EVAL MERGE" [MAKE ARGUMENT...]: how often each program is called. The second make of the
# same thing calls none.
remakes() {
  local want=$1 have tool
  shift
  : >called
  make "$@" >made 2>&1 || { cat made; return 1; }
  have=$(for tool in tokenize pack train eval merge; do grep -c "^$tool\$" called; done | paste -sd ' ')
  [ "$have" = "$want" ] || { cat made; echo "called: $have, not $want"; return 1; }
  : >called
  make "$@" >made 2>&1
  [ ! -s called ] || { echo "again:"; cat made; return 1; }
}

@test "experiment: all of it, and then nothing" {
  remakes "2 2 2 2 1"
  [ "$(wc -l <work/metrics.tsv)" -eq 3 ]
  [ "$(head -n 1 work/best)" = "$(sed -n '2s/\t.*//p' work/metrics.tsv)" ]
  "$hone_bin/hone-merge" -q -m base -a "work/runs/$(head -n 1 work/best)/final" -o work/model --verify
  run make -s compare
  [[ $output == *"work/runs/lora-r-4"*"p "* ]]
}

@test "experiment: the report is a page of all runs, and needs no figures and no model" {
  remakes "2 2 2 0 0" report
  for run in lora-r-2 lora-r-4; do
    grep -q "$run" work/report.html
    # the loss of its last evaluation stands in it
    loss=$(jq -rs 'map(select(.event == "eval"))[-1].loss * 1e3 | floor / 1e3' "work/runs/$run/metrics.jsonl")
    grep -qF "$loss" work/report.html
  done
  # a setting more is a run more on the page
  remakes "0 0 1 0 0" report GRID=lora-r:2:4:8
  grep -q lora-r-8 work/report.html
  # and fewer are fewer
  remakes "0 0 0 0 0" report GRID=lora-r:2
  if grep -q lora-r-8 work/report.html; then return 1; fi
}

@test "experiment: options remake what they are of, and a grid's new point is one run" {
  local -a o=(METRIC=loss)
  remakes "2 2 2 2 1" "${o[@]}"
  remakes "2 2 2 2 1" "${o[@]}" TOKENIZE="--max-length 100 --overlong drop"
  o+=(TOKENIZE="--max-length 100 --overlong drop")
  remakes "0 2 2 2 1" "${o[@]}" PACK="--context 40 --overlong drop"
  o+=(PACK="--context 40 --overlong drop")
  remakes "0 0 2 2 1" "${o[@]}" TRAINING="--max-steps 3 --batch-size 8"
  o+=(TRAINING="--max-steps 3 --batch-size 8")
  remakes "0 0 0 2 0" "${o[@]}" EVALUATE=--no-compute-classification-metrics
  o+=(EVALUATE=--no-compute-classification-metrics)
  remakes "0 0 0 0 1" "${o[@]}" MERGE="--dtype bfloat16"
  o+=(MERGE="--dtype bfloat16")
  remakes "0 0 0 0 0" "${o[@]}" COLUMNS=perplexity
  make "${o[@]}" GRID=lora-r:2:4:1 >made 2>&1
  [ "$(grep -c "^bin/hone-train.*lora-r-1\$" made)" -eq 1 ]
  [ "$(grep -c "^bin/hone-train" made)" -eq 1 ]
  [ "$(wc -l <work/metrics.tsv)" -eq 4 ]
  make "${o[@]}" GRID=lora-r:2 >made 2>&1
  [ "$(grep -c "^bin/hone-train" made)" -eq 0 ]
  [ "$(wc -l <work/metrics.tsv)" -eq 2 ]
}

@test "experiment: the grid is the product of its options" {
  run make -s --eval='show: ; @printf "%s\n" $(foreach r,$(RUNS),"$r $(settings_$r)")' show \
    GRID="lora-r:2:4 target-modules:q_proj,v_proj:all-linear use-rslora:true"
  [ "${#lines[@]}" -eq 4 ]
  [ "${lines[0]}" = "lora-r-2+target-modules-q_proj,v_proj+use-rslora-true --lora-r=2 --target-modules=q_proj,v_proj --use-rslora=true" ]
  run make -s --eval='show: ; @echo "$(RUNS) $(settings_run)"' show GRID=
  [ "$output" = "run " ]
}

@test "experiment: data and base are known by content" {
  remakes "2 2 2 2 1"
  touch train.jsonl valid.jsonl base/*
  remakes "0 0 0 0 0"
  tail -n 5 "$BATS_FILE_TMPDIR/all.jsonl" >>train.jsonl
  remakes "1 1 2 2 1"
  sed -i 1d valid.jsonl
  remakes "1 1 2 2 1"
  jq '. + {model_max_length: 99}' base/tokenizer_config.json >new && mv new base/tokenizer_config.json
  remakes "2 2 2 2 1"
  "$hone_bin/hone-merge" -q -m base -a work/runs/lora-r-2/final -o other
  cp other/model.safetensors base
  remakes "0 0 2 2 1"
}

@test "experiment: a tool's new version remakes what it made" {
  remakes "2 2 2 2 1"
  echo new >bin/version-merge
  remakes "0 0 0 0 1"
  echo new >bin/version-eval
  remakes "0 0 0 2 0"
  echo new >bin/version-train
  remakes "0 0 2 2 1"
  echo new >bin/version-pack
  remakes "0 2 2 2 0"
  echo new >bin/version-tokenize
  remakes "2 2 2 2 0"
}

@test "experiment: make -j2 makes the same" {
  make >/dev/null 2>&1
  mv work one
  make -j2 >/dev/null 2>&1
  cmp one/metrics.tsv work/metrics.tsv
  cmp one/best work/best
  cmp one/model/model.safetensors work/model/model.safetensors
}

@test "experiment: what fails leaves nothing that looks whole; a stopped run goes on" {
  echo "--deadline 1s --n-epochs 1000 --max-steps 0 --eval-strategy no" >bin/more-train
  run make
  [ "$status" -ne 0 ]
  [[ $output == *"Error 75"* ]]
  [ ! -e work/runs/lora-r-2.trained ]
  ls -d work/runs/lora-r-2/checkpoint-*
  rm bin/more-train
  run make TRAINING="--max-steps 2 --batch-size 8 --no-such-option"
  [ "$status" -ne 0 ]
  [ ! -e work/runs/lora-r-2 ]
  echo "--require loss<0" >bin/more-eval
  run make
  [ "$status" -ne 0 ]
  [ ! -e work/runs/lora-r-2.json ]
  rm bin/more-eval
  remakes "0 0 1 2 1"
}

@test "experiment: the example, copied elsewhere, finds what it needs by the hone on the PATH" {
  local src=$BATS_TEST_DIRNAME/../..
  # as make install lays it out, and as the source tree does
  mkdir -p "$BATS_TEST_TMPDIR"/usr/bin "$BATS_TEST_TMPDIR"/usr/share/hone "$BATS_TEST_TMPDIR"/usr/share/doc/hone/examples
  cp -r "$src"/pipelines/demo.* "$BATS_TEST_TMPDIR/usr/share/doc/hone/examples"
  cp "$src/pipelines/experiment.mk" "$BATS_TEST_TMPDIR/usr/share/hone"
  ln -s "$hone_bin"/hone* "$BATS_TEST_TMPDIR/usr/bin"
  mkdir "$BATS_TEST_TMPDIR/tree"
  cp -r "$src/pipelines" "$BATS_TEST_TMPDIR/tree"
  ln -s "$hone_bin"/hone* "$BATS_TEST_TMPDIR/tree"
  for place in usr/bin tree; do
    rm -rf "$BATS_TEST_TMPDIR/mine"
    mkdir "$BATS_TEST_TMPDIR/mine"
    cd "$BATS_TEST_TMPDIR/mine" || return 1
    cp "$src/pipelines/example/Makefile" .
    PATH="$BATS_TEST_TMPDIR/$place:$PATH" make -n work/metrics.tsv >made 2>&1 || { cat made; return 1; }
    grep -q "head -n 300 $BATS_TEST_TMPDIR/.*/demo.data/tickets.jsonl" made
  done
}

@test "experiment: the table, without programs that a small system lacks" {
  make >/dev/null 2>&1
  printf '#!/bin/sh\nexit 127\n' >bin/column
  chmod +x bin/column
  run env PATH="$PWD/bin:$PATH" make -s table
  [ "$status" -eq 0 ]
  [ "${#lines[@]}" -eq 3 ]
  [[ ${lines[0]} =~ ^run\ +classification/accuracy\ +loss\ +token_accuracy\ +classification/macro_f1_score$ ]]
  # columns stand below each other
  [ "$(expr index "${lines[1]}" .)" -eq "$(expr index "${lines[2]}" .)" ]
}

@test "experiment: the example" {
  cp -r "$BATS_TEST_DIRNAME/../../pipelines" "$BATS_TEST_TMPDIR"
  cd "$BATS_TEST_TMPDIR/pipelines/example" || return 1
  rm -rf base work ./*.jsonl
  make -j2 HONE="$hone_bin/" >made 2>&1 || { cat made; return 1; }
  [ "$(wc -l <work/metrics.tsv)" -eq 5 ]
  [ "$(awk 'NR == 2 { print ($2 > 0.7) }' work/metrics.tsv)" -eq 1 ]
  head -n 1 valid.jsonl | "$hone_bin/hone-generate" -q -m work/model -n 4 | jq -e '.completion | length > 3'
}
