#!/usr/bin/env bats
# The long form of the test that kills: hundreds of times, an adapter's run and full training. HONE_KILLS sets how often.

bats_require_minimum_version 1.5.0
load ../cli/lib
load ../cli/kill

setup() {
  train=$hone_bin/hone-train
  cd "$BATS_TEST_TMPDIR" || return 1
  tiny_config config
  rows 12 | "$hone_bin/hone-pack" -q -o data -
  "$train" -q -m config -t data -o made --from-scratch --method full --max-steps 1 --learning-rate 1e-3
  mv made/final model
  export OMP_NUM_THREADS=1
}

# killed OPTION...
killed() {
  local run_options=(-q -m model -t data -v data --batch-size 4 --learning-rate 1e-2 --n-epochs 8 "$@")
  "$train" "${run_options[@]}" -o straight
  run killed_runs "${HONE_KILLS:-250}" 500 "$train" "${run_options[@]}" -o killed
  echo "# $output" >&3
  [ "$status" -eq 0 ]
}

@test "slow: an adapter's run, killed, a checkpoint every step" {
  killed --save-steps 1 --eval-steps 2 --lora-dropout 0.1 --outlier-zscore 3 --outlier-window 8
}

@test "slow: full training, killed, a checkpoint every epoch" {
  killed --method full --optimizer adamw8bit --load-best-model-at-end
}

@test "slow: from records that are tokenised on the way, split, killed" {
  command -v jq >/dev/null
  cp "$BATS_TEST_DIRNAME"/../../pipelines/demo.model/tokenizer* model
  jq '.vocab_size = 2048' config/config.json >config/config.json.new
  mv config/config.json.new config/config.json
  cp model/tokenizer* config
  rm -r made
  "$train" -q -m config -t <(echo '{"text": "a"}') -o made --from-scratch --method full --max-steps 1 --learning-rate 1e-3
  rm -r model
  mv made/final model
  head -n 40 "$BATS_TEST_DIRNAME/../../pipelines/demo.data/tickets.jsonl" >rows.jsonl
  local run_options=(-q -m model -t rows.jsonl --validation-split 0.2 --batch-size 8 --learning-rate 1e-2 --n-epochs 4)
  "$train" "${run_options[@]}" -o straight
  run killed_runs "${HONE_KILLS:-60}" 500 "$train" "${run_options[@]}" -o killed
  echo "# $output" >&3
  [ "$status" -eq 0 ]
}
