# Programs under faults (tests/helpers/faults.c), each output by itself. Loaded by the short and the long form of the
# test; both begin in an empty directory.

: "${HONE_HELPERS:=$BATS_TEST_DIRNAME/../../build/release/tests/helpers}"
HONE_HELPERS=$(cd "$HONE_HELPERS" && pwd)

# faults_programs: sets hone_bin, and HONE_HELPERS, to programs that the interposer can be loaded into: not those with a
# sanitizer's allocator, but the ordinary build beside them; fails where there is none
faults_programs() {
  nm -D "$hone_bin/hone-pack" | grep -q __asan_init || return 0
  local top
  top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
  [ -x "$top/hone-pack" ] && [ -x "$top/build/release/tests/helpers/faults" ] || return 1
  hone_bin=$top HONE_HELPERS=$top/build/release/tests/helpers
}

# make_inputs: in/: a model, its adapter, data in every form, a run, predictions
make_inputs() {
  local demo=$BATS_TEST_DIRNAME/../../pipelines/demo.model
  mkdir -p in empty
  tiny_config config '"vocab_size": 2048' '"max_position_embeddings": 256'
  cp "$demo"/tokenizer* config
  rows 12 >in/rows.jsonl
  head -n 8 "$demo/../demo.data/tickets.jsonl" >in/tickets.jsonl
  jq -r '[.text, .label] | @csv' in/tickets.jsonl | sed '1i text,label' >in/tickets.csv
  echo '{"input_ids": [3, 4, 5], "labels": [3, 4, 5]}' | "$hone_bin/hone-pack" -q -o any -
  "$hone_bin/hone-train" -q -m config -t any -o made --from-scratch --method full --max-steps 1 --learning-rate 1e-3
  mv made/final in/model
  rm -r made any config
  "$hone_bin/hone-tokenize" -q -m in/model -o in/tokens in/tickets.jsonl
  "$hone_bin/hone-pack" -q -o in/tickets in/tokens
  rows 12 | "$hone_bin/hone-pack" -q -o in/data -
  "$hone_bin/hone-train" -q -m in/model -t in/data -o in/run --n-epochs 1 --batch-size 4 --learning-rate 1e-2
  "$hone_bin/hone-eval" -q -m in/model --predictions in/predictions.jsonl in/tickets >in/figures
  in=$PWD/in
  export OMP_NUM_THREADS=1
}

# faults_begin: where a test works, with an empty directory, and the inputs that setup_file made
faults_begin() {
  cd "$BATS_TEST_TMPDIR" || return 1
  mkdir empty
  in=$BATS_FILE_TMPDIR/in
  export OMP_NUM_THREADS=1
}

# faulty BEFORE OPTION... -- TOOL...: what came of it, to stdout
faulty() {
  local options=()
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  faulty_script "${options[@]}" -- "$hone_bin/$2" -q "${@:3}"
}

# faulty_script BEFORE OPTION... -- COMMAND...: the same of any command
faulty_script() {
  local before=$1 options=()
  shift
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  "$HONE_HELPERS/faults" -l "$HONE_HELPERS/interpose.so" "${faults_options[@]}" "${options[@]}" "$before" "$@"
}

# each MOST NAME...; $only, where it is set, says which faults
each() {
  local what
  faults_options=(-m "${HONE_FAULTS:-$1}" ${only:+-f "$only"})
  for what in "${@:2}"; do
    run "faults_$what"
    echo "$output"
    echo "# $what: ${lines[-1]}" >&3
    [ "$status" -eq 0 ]
  done
}

# old NAME COMMAND...: before-NAME/, in which an output stands that the command has made; its last argument names it
old() {
  mkdir "before-$1"
  (cd "before-$1" && "${@:2}")
}

faults_tokenize() {
  faulty empty -o tokens -- hone-tokenize -j 1 -m "$in/model" -o tokens "$in/tickets.jsonl"
}

faults_tokenize_stdout() {
  faulty empty -- hone-tokenize -j 1 --jsonl -m "$in/model" "$in/tickets.jsonl"
}

faults_tokenize_force() {
  old tokens "$hone_bin/hone-tokenize" -q -m "$in/model" -o tokens --no-eos "$in/tickets.jsonl"
  faulty before-tokens -o tokens -- hone-tokenize -j 1 -m "$in/model" --force -o tokens "$in/tickets.jsonl"
}

faults_prepare() {
  faulty empty -o made.train.jsonl -o made.valid.jsonl -- hone-prepare -o made --validation 0.3 "$in/tickets.csv"
}

faults_pack() {
  faulty empty -o data -- hone-pack -o data "$in/rows.jsonl"
}

faults_pack_force() {
  old data "$hone_bin/hone-pack" -q -o data --context 6 --overlong truncate "$in/rows.jsonl"
  faulty before-data -o data -- hone-pack --force -o data "$in/tokens"
}

faults_pack_verify() {
  faulty empty -- hone-pack --verify "$in/data"
}

faults_pack_cat() {
  faulty empty -- hone-pack --cat "$in/data"
}

# What a run holds by then: its best weights change, so of them it is asked whether each file has all of its bytes (the
# sizes do not change), and of the checkpoints whether the hashes are right.
run_whole='[ ! -e run/best ] || (cd run/best && stat -c "%n %s" * | cmp -s - "SIZES") || exit 1
for c in run/checkpoint-*; do [ ! -e "$c" ] || (cd "$c" && xxh128sum --status -c manifest.xxh128) || exit 1; done'

# faulty_train TRAIN-OPTION...
faulty_train() {
  set -- -m "$in/model" -o run -j 1 --learning-rate 1e-2 --n-epochs 2 "$@"
  "$hone_bin/hone-train" -q "$@"
  (cd run/best && stat -c "%n %s" *) >"$in/best.sizes"
  rm -r run
  faulty empty -o run/final -g run -g run/.lock -g run/run.json -g run/metrics.jsonl -g run/results.csv -g run/predictions.jsonl \
    -g "run/best*" -g "run/checkpoint-*" -g "run/data-*" -c "${run_whole//SIZES/$in/best.sizes}" -- hone-train "$@"
}

faults_train_lora() {
  faulty_train -t "$in/data" -v "$in/data" --batch-size 6 --save-steps 1 --eval-steps 2 --save-total-limit 2
}

faults_train_full() {
  faulty_train -t "$in/tickets.jsonl" -v "$in/tickets.jsonl" --batch-size 4 --method full --load-best-model-at-end
}

faults_eval() {
  faulty empty -o predictions -- hone-eval -m "$in/model" -a "$in/run/final" --json --predictions predictions "$in/tickets"
}

faults_eval_metrics() {
  faulty empty -- hone-eval --metrics "$in/predictions.jsonl"
}

faults_report() {
  faulty empty -o report.html -- hone-report -o report.html "$in/run"
}

faults_merge() {
  faulty empty -o merged -- hone-merge -m "$in/model" -a "$in/run/final" -o merged
}

faults_merge_force() {
  old merged "$hone_bin/hone-merge" -q -m "$in/model" -a "$in/run/final=0.5" -o merged
  faulty before-merged -o merged -- hone-merge -m "$in/model" -a "$in/run/final" -o merged --force
}

faults_generate() {
  jq -c '{prompt: .text}' "$in/tickets.jsonl" | head -n 2 >"$in/prompts.jsonl"
  faulty empty -o out.jsonl -s "$in/prompts.jsonl" -- hone-generate -m "$in/model" -n 3 -o out.jsonl
}

# hone-verify goes on with the next thing when one cannot be read, so that a disk that fails for good is told once for each:
# of a run, which holds several, faults that come once. Without -q, so that what it says of what is good is compared.
faulty_verify() {
  faulty_script empty -f memory,map,open,read,closeread,list,stat -- "$hone_bin/hone-verify" "$1"
}

faults_verify() {
  faulty_verify "$in/run/final"
}

faults_verify_data() {
  faulty_verify "$in/data"
}

faults_verify_file() {
  faulty_verify "$in/tokens"
}

faults_verify_model() {
  faulty_verify "$in/model"
}

faults_verify_predictions() {
  faulty_verify "$in/predictions.jsonl"
}

# The files that a report names, which it checks where they are.
faults_verify_report() {
  "$hone_bin/hone-prepare" -q -o "$in/told" --validation 0.3 --report "$in/told.json" "$in/tickets.csv"
  faulty_verify "$in/told.json"
}

faults_verify_run() {
  faulty_script empty -f map,open,list,closeread,stat -- "$hone_bin/hone-verify" "$in/run"
}

# ---- the pipelines: shell, and programs of others, so killed only ----

faults_finetune() {
  HONE_BIN=$hone_bin faulty_script empty -f kill -o tuned/run/final -o tuned/model -g tuned -g "tuned/run*" -g tuned/report.html -- \
    "$BATS_TEST_DIRNAME/../../pipelines/hone-finetune" -q -m "$in/model" -t "$in/tickets.jsonl" -o tuned -j 1 --n-epochs 1 \
    --batch-size 4 --learning-rate 1e-2
}

# retrain_state: before-night/: a night has been, and rows for the next have come
retrain_state() {
  mkdir -p before-night/box
  local rows=$BATS_TEST_DIRNAME/../../pipelines/demo.data/tickets.jsonl
  sed -n 101,108p "$rows" >before-night/box/1.jsonl
  printf '%s\n' "model = $in/model" "data = box" "validation = $in/tickets.jsonl" "state = state" "rule = none" \
    "train = --n-epochs 1 --batch-size 4 --learning-rate 1e-2 -j 1" >before-night/conf
  mkdir before-night/state
  (cd before-night && HONE_BIN=$hone_bin "$BATS_TEST_DIRNAME/../../pipelines/hone-retrain" conf)
  sed -n 201,208p "$rows" >before-night/box/2.jsonl
}

faults_retrain() {
  retrain_state
  HONE_BIN=$hone_bin faulty_script before-night -f kill -g "state/*" -i state/log -i state/files -i state/lock \
    -i "state/.work*" -i "state/nights/*/printed" -i "state/nights/*/said" \
    -c "$hone_bin/hone-merge -q -m $in/model -a state/current/run/final -o state/current/model --verify" -- \
    "$BATS_TEST_DIRNAME/../../pipelines/hone-retrain" conf
}
