#!/usr/bin/env bats
# hone-train on a model of a few thousand random weights: what it leaves, and what it says to bad input.

bats_require_minimum_version 1.5.0
load lib

setup() {
  train=$hone_bin/hone-train pack=$hone_bin/hone-pack
  cd "$BATS_TEST_TMPDIR" || return 1
  tiny_config config
  rows 12 | "$pack" -q -o data -
}

# A checkpoint made of the configuration: in model/
make_model() {
  "$train" -q -m config -t data -o made --from-scratch --method full --max-steps 1 --learning-rate 1e-3
  mv made/final model
  rm -r made
}

# refused STATUS TEXT OPTION...: hone-train ends with it, and leaves no run behind that anyone could take for one
refused() {
  fails "$1" "$2" "$train" -q -o run "${@:3}"
  [ ! -e run/final ]
  [ ! -e run/run.json ]
  [ ! -e run/metrics.jsonl ]
  rm -rf run
}

@test "train: from scratch, full, and an adapter on it" {
  make_model
  [ "$(ls model | tr '\n' ' ')" = "config.json model.safetensors " ]
  "$train" -q -m model -t data -v data -o run --n-epochs 2 --batch-size 4 --learning-rate 1e-2
  jq -es 'map(select(.event == "train") | .step) == [1, 2, 3, 4, 5, 6]' run/metrics.jsonl
  jq -es 'map(select(.event == "eval") | .step) == [3, 6]' run/metrics.jsonl
  jq -e '.settings."n-epochs" == 2 and .plan.total_steps == 6' run/run.json
  [ "$(wc -l <run/results.csv)" -eq 7 ]
  jq -e '.r == 16 and .peft_type == "LORA"' run/final/adapter_config.json
  [ -e run/best/adapter_model.safetensors ]
}

@test "train: every family from scratch, and an adapter on it" {
  for f in gemma gemma3_text gpt2 gpt_neox llama mistral phi3 qwen2 qwen3 smollm3; do
    tiny_config config "\"model_type\": \"$f\", \"head_dim\": 4, \"rotary_pct\": 0.5, \"n_embd\": 16, \"n_layer\": 2,
      \"n_head\": 4, \"n_positions\": 64"
    make_model
    "$train" -q -m model -t data -o run --max-steps 2 --batch-size 4 --learning-rate 1e-2
    jq -r '[.fan_in_fan_out] + (.target_modules | sort) | join(" ")' run/final/adapter_config.json >>targets
    rm -r model run
  done
  split='false down_proj gate_proj k_proj o_proj q_proj up_proj v_proj'
  printf '%s\n' "$split" "$split" 'true c_attn c_fc c_proj' 'false dense dense_4h_to_h dense_h_to_4h query_key_value' \
    "$split" "$split" 'false down_proj gate_up_proj o_proj qkv_proj' "$split" "$split" "$split" | diff targets -
}

@test "train: an example longer than learned positions is 65; a rope goes on" {
  tiny_config config '"model_type": "gpt2", "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 6'
  refused 65 "the longest example" -m config -t data --from-scratch --method full
  refused 65 "8 tokens are too many: this gpt2 model has learned positions for 6" -m config -t data --from-scratch --method full
  tiny_config config '"max_position_embeddings": 6'
  run "$train" -q -m config -t data -o goes --from-scratch --method full --max-steps 1
  [ "$status" -eq 0 ]
}

@test "train: it learns" {
  make_model
  "$train" -q -m model -t data -o run --method full --n-epochs 30 --batch-size 4 --learning-rate 1e-2 --micro-tokens 16
  jq -es '.[0].loss > 3 and .[-1].loss < 0.5' run/metrics.jsonl
}

@test "train: seeds differ, and a seed is a run" {
  for run in one two other; do
    seed=7
    [ "$run" = other ] && seed=8
    "$train" -q -m config -t data -o "$run" --from-scratch --method full --n-epochs 1 --batch-size 4 --learning-rate 1e-3 \
      --seed "$seed"
  done
  cmp one/final/model.safetensors two/final/model.safetensors
  run cmp one/final/model.safetensors other/final/model.safetensors
  [ "$status" -eq 1 ]
}

@test "train: settings from a file" {
  make_model
  echo '{"batch_size": 6, "n-epochs": 1, "learning-rate": 0.01}' >settings.json
  "$train" -q -m model -t data -o run --config settings.json
  jq -e '.settings."batch-size" == 6 and .plan.total_steps == 2' run/run.json
}

@test "train: usage is 64" {
  unset HONE_MODEL HONE_MODEL_PATH
  fails 64 "-m MODEL is missing" "$train" -t data -o run
  fails 64 "-t DATA is missing" "$train" -m config -o run
  fails 64 "batch-size" "$train" -m config -t data -o run --batch-sise 4
  fails 64 "learning-rate" "$train" -m config -t data -o run --learning-rate fast
  fails 64 "--n-epochs" "$train" -m config -t data -o run --n-epochs 0
  fails 64 "--method" "$train" -m config -t data -o run --method half
  fails 64 "goes with --method full" "$train" -m config -t data -o run --from-scratch
  fails 64 "has no adapter to start from" "$train" -m config -t data -o run --method full --init-adapter a
  fails 64 "needs validation data" "$train" -m config -t data -o run --compute-classification-metrics
  fails 64 "exclude each other" "$train" -m config -t data -o run --learning-rate 1 --learning-rate-multiplier 1
  fails 64 "neither a time to go" "$train" -m config -t data -o run --deadline soon
  [ ! -e run ]
}

@test "train: no model is 66" {
  refused 66 "none" -m none -t data
  refused 66 "config" -m config -t data
  mkdir empty
  refused 66 "config.json" -m empty -t data
}

@test "train: a configuration that is not supported is 78, and named" {
  tiny_config a '"model_type": "mamba"'
  refused 78 "'mamba'" -m a -t data --from-scratch --method full
  tiny_config a '"hidden_act": "mish"'
  refused 78 "'mish'" -m a -t data --from-scratch --method full
  tiny_config a '"num_key_value_heads": 3'
  refused 78 "num_key_value_heads" -m a -t data --from-scratch --method full
  tiny_config a '"hidden_size": -16'
  refused 78 "hidden_size" -m a -t data --from-scratch --method full
  tiny_config a '"rope_scaling": {"rope_type": "mrope"}'
  refused 78 "'mrope'" -m a -t data --from-scratch --method full
  tiny_config a '"quantization_config": {"bits": 4}'
  refused 78 "quantis" -m a -t data --from-scratch --method full
  echo '{"model_type": ' >a/config.json
  refused 65 "a/config.json" -m a -t data --from-scratch --method full
}

@test "train: damaged weights are 65, weights that do not fit 78" {
  make_model
  cp -r model cut
  truncate -s -1 cut/model.safetensors
  refused 65 "cut/model.safetensors" -m cut -t data
  truncate -s 100 cut/model.safetensors
  refused 65 "cut/model.safetensors" -m cut -t data
  : >cut/model.safetensors
  refused 65 "cut/model.safetensors" -m cut -t data
  tiny_config model '"intermediate_size": 25'
  refused 78 "config.json wants 25 x 16" -m model -t data
  tiny_config model '"num_hidden_layers": 3'
  refused 78 "'model.layers.2.self_attn.q_proj.weight' is missing" -m model -t data
  tiny_config model '"num_hidden_layers": 1'
  refused 78 "has no place" -m model -t data
}

@test "train: no data is 66, damaged data 65" {
  make_model
  refused 66 "none" -m model -t none
  cp -r data cut
  truncate -s -1 cut/shard-00000.hone.zst
  refused 65 "cut" -m model -t cut
  rm cut/shard-00000.hone.zst
  refused 66 "cut/shard-00000.hone.zst" -m model -t cut
  echo '{' >cut/dataset.json
  refused 65 "cut/dataset.json" -m model -t cut
  refused 66 "none" -m model -t data -v none
}

@test "train: data of another vocabulary are 65" {
  make_model
  echo '{"input_ids": [1, 31, 32], "labels": [1, 31, 32]}' | "$pack" -q -o other -
  fails 65 "token 32, the model's vocabulary ends at 31" "$train" -q -m model -t other -o run
  [ ! -e run/final ]
}

@test "train: data without a target are 65" {
  make_model
  echo '{"input_ids": [1, 2, 3], "labels": [-100, -100, -100]}' | "$pack" -q -o other -
  refused 65 "no targets" -m model -t other
}

@test "train: an adapter that is missing is 66, damaged 65, of another model 78" {
  make_model
  "$train" -q -m model -t data -o first --lora-r 4 --n-epochs 1 --batch-size 4 --learning-rate 1e-2
  "$train" -q -m model -t data -o second --init-adapter first/final --n-epochs 1 --batch-size 4 --learning-rate 1e-2
  refused 66 "none" -m model -t data --init-adapter none
  cp -r first/final cut
  truncate -s -1 cut/adapter_model.safetensors
  refused 65 "cut/adapter_model.safetensors" -m model -t data --init-adapter cut
  tiny_config wide '"intermediate_size": 40'
  "$train" -q -m wide -t data -o made --from-scratch --method full --max-steps 1 --learning-rate 1e-3
  refused 78 "does not fit this model" -m made/final -t data --init-adapter first/final
  refused 78 "'c_attn', which this model does not have" -m model -t data --target-modules c_attn
  # a rank beyond the matrix's own is wasteful, not wrong: PEFT takes it, too
  "$train" -q -m model -t data -o wide-rank --lora-r 17 --max-steps 1 --learning-rate 1e-3
  refused 78 "'wte'" -m model -t data --modules-to-save wte
}

@test "train: an output that is something else is 73 and left alone" {
  make_model
  mkdir run
  echo keep >run/notes
  fails 73 "not a run of hone-train" "$train" -q -m model -t data -o run
  [ "$(ls -A run)" = notes ]
  fails 73 "is a file" "$train" -q -m model -t data -o run/notes
  [ "$(cat run/notes)" = keep ]
  fails 73 "config.json" "$train" -q -m model -t data -o config/config.json/run
}

@test "train: a run that diverges is 65 and leaves the last checkpoint" {
  make_model
  fails 65 "diverged at step" "$train" -q -m model -t data -o run --method full --n-epochs 50 --learning-rate 100 \
    --weight-decay 100 --max-grad-norm 0 --lr-scheduler-type constant --warmup-steps 0 --batch-size 4
  [ ! -e run/final ]
}

@test "train: a damaged checkpoint is not resumed from" {
  make_model
  options=(-m model -t data --batch-size 4 --learning-rate 1e-2 --n-epochs 2 --save-total-limit 5)
  "$train" -q "${options[@]}" -o run
  rm -r run/final
  printf 'x' | dd of=run/checkpoint-6/adapter_model.safetensors bs=1 conv=notrunc status=none \
    seek=$(($(stat -c %s run/checkpoint-6/adapter_model.safetensors) - 2))
  fails 65 "is damaged" "$train" -q "${options[@]}" -o run
  rm -r run/checkpoint-6
  "$train" -q "${options[@]}" -o run
  "$train" -q "${options[@]}" -o straight
  cmp run/final/adapter_model.safetensors straight/final/adapter_model.safetensors
}

@test "train: -h and --version" {
  run "$train" -h
  [ "$status" -eq 0 ]
  [[ "$output" == *"--learning-rate-multiplier"* ]]
  run "$train" --version
  [ "$status" -eq 0 ]
  [[ "$output" == *"hone-train"* ]]
}

@test "train: how a step is packed changes neither dropout nor any column" {
  make_model
  for n in 8 64; do
    "$train" -q -m model -t data -o "run$n" --dtype float32 --lora-dropout 0.5 --micro-tokens $n --batch-size 6 --n-epochs 3 \
      --learning-rate 1e-2
    jq -c 'select(.event == "train") | .loss' "run$n/metrics.jsonl" >"loss$n"
    cut -d, -f 1-3,5-6 "run$n/results.csv" >"columns$n"
  done
  paste loss8 loss64 | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > 1e-5 * $1) exit 1 }'
  cmp columns8 columns64
}

@test "train: a run goes on with another --micro-tokens" {
  make_model
  "$train" -q -m model -t data -o run --n-epochs 2 --batch-size 4 --learning-rate 1e-2 --micro-tokens 64
  run --separate-stderr "$train" -m model -t data -o run --n-epochs 2 --batch-size 4 --learning-rate 1e-2 --micro-tokens 16
  [ "$status" -eq 0 ]
  [[ "$stderr" == *"finished"* ]]
}

@test "train: an example without targets is passed over" {
  make_model
  { rows 3; echo '{"input_ids": [4, 5, 6], "labels": [-100, -100, -100]}'; } | "$pack" -q -o some -
  run --separate-stderr "$train" -m model -t some -o run --batch-size 1 --n-epochs 1 --learning-rate 1e-2
  [ "$status" -eq 0 ]
  [[ "$stderr" == *"nothing is learned from it"* ]]
  [ "$(jq -s 'map(select(.event == "train")) | length' run/metrics.jsonl)" -eq 4 ]
}

@test "train: an adapter whose rank its tensors do not have is refused before memory is taken" {
  make_model
  "$train" -q -m model -t data -o run --lora-r 2 --max-steps 1 --learning-rate 1e-3
  jq '.r = 1048576' run/final/adapter_config.json >big.json
  mv big.json run/final/adapter_config.json
  [ -n "${HONE_SANITIZER:-}" ] || ulimit -v 4000000  # a sanitizer maps more than that by itself
  run --separate-stderr "$train" -m model -t data -o other --init-adapter run/final
  [ "$status" -ne 0 ] && [ "$status" -ne 71 ]
  [[ "$stderr" == *"lora_A"* ]]
}
