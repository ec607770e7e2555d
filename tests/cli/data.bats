#!/usr/bin/env bats
# hone-train: where data come from, and what is held out of them; what -m and -o are by default.

bats_require_minimum_version 1.5.0
load lib

setup() {
  train=$hone_bin/hone-train pack=$hone_bin/hone-pack tokenize=$hone_bin/hone-tokenize
  local demo=$BATS_TEST_DIRNAME/../../pipelines
  cd "$BATS_TEST_TMPDIR" || return 1
  unset HONE_MODEL HONE_MODEL_PATH
  export OMP_NUM_THREADS=1
  tiny_config model '"vocab_size": 2048'
  cp "$demo"/demo.model/tokenizer* model
  head -n 60 "$demo/demo.data/tickets.jsonl" | jq -c '{prompt: .text, completion: (" " + .label)}' >all.jsonl
  head -n 25 all.jsonl >a.jsonl
  tail -n +26 all.jsonl >b.jsonl
}

# go RUN OPTION...: two steps from random weights
go() {
  "$train" -q -m model --from-scratch --method full --max-steps 2 --batch-size 16 --learning-rate 1e-3 -o "$@"
}

# fingerprint RUN KIND
fingerprint() {
  jq -r ".data.$2.fingerprint" "$1/run.json"
}

@test "data: several files are one, in their order, in any form" {
  go whole -t all.jsonl
  go files -t a.jsonl -t b.jsonl
  # the numbers of the lines are other ones
  want=$(fingerprint files train)
  cmp files/final/model.safetensors whole/final/model.safetensors
  "$tokenize" -q -m model a.jsonl >a.tok
  "$tokenize" -q -m model --jsonl b.jsonl >b.tokens.jsonl
  "$tokenize" -q -m model b.jsonl | "$pack" -q -o b.data
  go streams -t a.tok -t b.tokens.jsonl
  go mixed -t a.jsonl -t b.data
  go pipe -t a.tok -t <(cat b.jsonl)
  gzip -k b.jsonl
  go packed --train_file a.jsonl --train_file b.jsonl.gz
  for run in streams mixed pipe packed; do
    echo "$run"
    [ "$(fingerprint $run train)" = "$want" ]
    cmp $run/final/model.safetensors whole/final/model.safetensors
  done
  go valid -t a.jsonl -v b.jsonl -v b.data
  [ "$(jq .data.validation.examples valid/run.json)" -eq 70 ]
  jq -e '.data.validation.paths == ["b.jsonl", "b.data"]' valid/run.json
}

@test "data: standard input is records or a stream, is kept, and is not needed to go on" {
  go whole -t all.jsonl
  go records -t - <all.jsonl
  "$tokenize" -q -m model all.jsonl | go stream -t -
  for run in records stream; do
    [ "$(fingerprint $run train)" = "$(fingerprint whole train)" ]
    rm -r $run/final
    go $run -t - </dev/null
    cmp $run/final/model.safetensors whole/final/model.safetensors
  done
  fails 64 "can be named once only" go twice -t - -t - <all.jsonl
  fails 64 "can be named once only" go twice -t - -v - <all.jsonl
  fails 65 "'-': line 2: " go bad -t - < <(head -n 1 all.jsonl; echo '{"prompt": 1}')
  fails 65 "truncated" go bad -t - < <("$tokenize" -q -m model all.jsonl | head -c -20)
}

@test "data: of another tokenizer, what is joined is refused" {
  mkdir other
  jq '.model.vocab |= with_entries(.value = 2047 - .value) | .added_tokens[].id |= 2047 - .' model/tokenizer.json >other/tokenizer.json
  cp model/tokenizer_config.json other
  "$tokenize" -q -m other a.jsonl >other.tok
  fails 65 "cannot be joined" go run -t b.jsonl -t other.tok
  [ ! -e run ]
}

@test "data: rows held out are those of hone-pack, the same when the file grows, and are validated" {
  go split -t all.jsonl --validation-split 0.2
  "$tokenize" -q -m model all.jsonl | "$pack" -q -o t --validation 0.2 --validation-output v
  [ "$(fingerprint split train)" = "$(jq -r .fingerprint t/dataset.json)" ]
  [ "$(fingerprint split validation)" = "$(jq -r .fingerprint v/dataset.json)" ]
  jq -es 'map(select(.event == "eval")) | length == 1' split/metrics.jsonl
  "$pack" --cat split/data-validation | jq -c .input_ids | sort >all.held
  go part -t a.jsonl --validation_split 0.2
  "$pack" --cat part/data-validation | jq -c .input_ids | sort >part.held
  [ -s part.held ]
  [ -z "$(comm -23 part.held all.held)" ]
  # of a dataset, too
  "$tokenize" -q -m model all.jsonl | "$pack" -q -o d
  go dataset -t d --validation-split 0.2
  [ "$(fingerprint dataset validation)" = "$(fingerprint split validation)" ]
  fails 64 "for when there is no -v" go run -t a.jsonl -v b.jsonl --validation-split 0.2
  head -n 1 all.jsonl >one.jsonl
  run --separate-stderr "$train" -m model --from-scratch --method full --max-steps 1 -t one.jsonl --validation-split 0.001 -o one
  [ "$status" -eq 0 ]
  [[ $stderr == *"holds no row out"* ]]
}

@test "data: what was packed is used again for the same only" {
  go run -t a.jsonl -t b.jsonl
  rm -r run/final
  before=$(stat -c %Y.%i run/data-train/dataset.json)
  go run -t a.jsonl -t b.jsonl
  [ "$before" = "$(stat -c %Y.%i run/data-train/dataset.json)" ]
  fails 73 "made from another" go run -t b.jsonl -t a.jsonl
  fails 73 "made from another" go run -t a.jsonl -t b.jsonl --prompt-loss-weight 0.1
  echo >>a.jsonl
  fails 73 "made from another" go run -t a.jsonl -t b.jsonl
}

@test "data: -m and -o have defaults, and --suffix is part of the name" {
  mkdir models
  cp -r model models/default
  options=(-q --from-scratch --method full --max-steps 1 --batch-size 16)
  HONE_MODEL_PATH=/nowhere:models "$train" "${options[@]}" -t a.jsonl
  [ -e a-default.run/final ]
  HONE_MODEL=model "$train" "${options[@]}" -t "$PWD/b.jsonl" -t a.jsonl --suffix mine
  [ -e b-model-mine.run/final ]
  jq -e '.settings.output == "b-model-mine.run" and .settings.model == "model"' b-model-mine.run/run.json
  "$train" "${options[@]}" -m models/default/ -t - <a.jsonl
  [ -e stdin-default.run/final ]
  fails 64 "cannot be part of a name" "$train" -m model -t a.jsonl --suffix a/b
}

@test "data: the first so many samples, and every so many steps" {
  go run -t all.jsonl -v b.jsonl --max-steps 0 --n-epochs 3 --max-train-samples 20 --max-eval-samples 7 --batch-size 4 \
    --logging-steps 4 --eval-steps 6 --save-steps 5 --save-total-limit 2
  jq -e '.plan.steps_per_epoch == 5' run/run.json
  jq -ces 'map(select(.event == "train") | .step) == [4, 8, 12, 15]' run/metrics.jsonl
  jq -ces 'map(select(.event == "eval") | [.step, .examples]) == [[5,7],[6,7],[10,7],[12,7],[15,7]]' run/metrics.jsonl
  [ "$(find run -maxdepth 1 -name 'checkpoint-*' -printf '%f\n' | sort -V | tr '\n' ' ')" = "checkpoint-10 checkpoint-15 " ]
}

@test "data: batch size and its factor, by the names of Trainer" {
  go run -t all.jsonl --max-steps 1 --per_device_train_batch_size 4 --gradient_accumulation_steps 3
  jq -e '.settings."batch-size" == 12 and .plan.steps_per_epoch == 5' run/run.json
  go run -t all.jsonl --max-steps 1 --batch-size 12
  fails 64 "multiplies --batch-size" "$train" -m model -t all.jsonl -o none --gradient-accumulation-steps 2
}

@test "data: defaults of the legacy service" {
  jq -nc 'range(3000) | {input_ids: [3, 4 + . % 20, 5], labels: [-100, 4 + . % 20, 5]}' | "$pack" -q -o many -
  "$train" -q -m model --from-scratch --method full -t many -o run --max-steps 1
  # 0.2 % of 3000 examples; 0.05 at a batch of up to 8, times the rate of the smallest GPT-3; 4 epochs
  jq -e '.settings | ."batch-size" == 6 and ."n-epochs" == 4 and ."prompt-loss-weight" == 0' run/run.json
  jq -e '.settings."learning-rate" == 0.05 * 6e-4' run/run.json
  "$train" -q -m model --from-scratch --method full -t many -o other --max-steps 1 --batch_size 65
  jq -e '.settings."learning-rate" == 0.2 * 6e-4' other/run.json
}
