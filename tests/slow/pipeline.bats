#!/usr/bin/env bats
# Every program under valgrind: not a byte read before it was written, not one lost. valgrind does not know AVX-512: the
# kernels are those of AVX2. tests/sanitized runs the others.

bats_require_minimum_version 1.5.0
load ../cli/lib

setup() {
  command -v valgrind >/dev/null || skip "no valgrind (make lint-deps)"
  cd "$BATS_TEST_TMPDIR" || return 1
  tiny_config config
  rows 12 >rows.jsonl
}

# checked TOOL ARGUMENT...: on one thread, as threads of OpenMP look like a leak
checked() {
  valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite "$hone_bin/$1" "${@:2}" -j 1
}

@test "slow: pack, train, resume and merge under valgrind" {
  checked hone-pack -q -o data rows.jsonl
  checked hone-pack --verify data
  checked hone-pack --cat data >/dev/null
  checked hone-train -q -m config -t data -v data -o made --from-scratch --method full --n-epochs 2 --batch-size 4 \
    --learning-rate 1e-2
  rm -r made/final
  checked hone-train -q -m config -t data -v data -o made --from-scratch --method full --n-epochs 2 --batch-size 4 \
    --learning-rate 1e-2
  checked hone-train -q -m made/final -t data -o run --lora-dropout 0.1 --n-epochs 2 --batch-size 4 --micro-tokens 16 \
    --gradient-checkpointing --learning-rate 1e-2
  checked hone-merge -q -m made/final -a run/final -o merged
  checked hone-merge -q -m made/final -a run/final -o merged --verify
}

@test "slow: damaged input under valgrind" {
  "$hone_bin/hone-pack" -q -o data rows.jsonl
  size=$(stat -c %s data/shard-00000.hone.zst)
  for ((at = 0; at < size; at += 37)); do
    cp -r data bad
    printf '\xff' | dd of=bad/shard-00000.hone.zst bs=1 seek="$at" conv=notrunc status=none
    run -1 checked hone-pack --verify bad
    rm -r bad
  done
}

# tickets N: the demonstration's data as prompts and completions
tickets() {
  jq -c '{prompt: (.text + "\n\n###\n\n"), completion: (" " + .label)}' "$BATS_TEST_DIRNAME/../../pipelines/demo.data/tickets.jsonl" |
    head -n "$1"
}

@test "slow: from records to a report under valgrind" {
  demo=$BATS_TEST_DIRNAME/../../pipelines/demo.model
  mkdir shape
  cp "$demo"/tokenizer* shape
  jq '.hidden_size = 16 | .intermediate_size = 24 | .num_hidden_layers = 1 | .num_attention_heads = 2
    | .num_key_value_heads = 1' "$demo/config.json" >shape/config.json
  tickets 40 >all.jsonl
  checked hone-prepare -q --validation 0.2 -o part all.jsonl
  checked hone-prepare -q --check part.train.jsonl -m shape || [ $? -eq 1 ]
  checked hone-tokenize -q -m shape part.train.jsonl -o stream
  checked hone-tokenize -m shape --show part.valid.jsonl >/dev/null
  checked hone-pack -q --dedup -o train stream
  checked hone-train -q -m shape --from-scratch --method full -t part.train.jsonl -o made --max-steps 2 --batch-size 8 \
    --optimizer adamw8bit --learning-rate 1e-2
  checked hone-train -q -m made/final -t train -v part.valid.jsonl -o run --max-steps 3 --batch-size 8 --learning-rate 1e-2 \
    --use-dora --compute-classification-metrics --classification-n-classes 4 --load-in-bits 4
  checked hone-eval -m made/final -a run/final --labels part.train.jsonl --predictions predictions.jsonl part.valid.jsonl
  checked hone-eval --metrics predictions.jsonl --json --bootstrap 20 >figures.json
  checked hone-eval --compare predictions.jsonl figures.json --bootstrap 20
  checked hone-eval -m made/final --generate -n 4 --max-samples 3 part.valid.jsonl
  checked hone-merge -q -m made/final -a run/final -o merged --dtype float32
  head -n 3 part.valid.jsonl | checked hone-generate -q -m merged -n 4 >/dev/null
  head -n 2 part.valid.jsonl | checked hone-generate -q -m made/final -a run/final -n 4 --temperature 0.7 --load-in-bits 8 >/dev/null
  checked hone-report -q -o report.html run
  valgrind -q --error-exitcode=99 "$hone_bin/hone" >/dev/null
}

