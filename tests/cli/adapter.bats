#!/usr/bin/env bats
# Adapters of every kind through the programs: what the options make, what is refused, and that training, evaluation,
# generation and merging mean the same by them. tests/reference/adapter.bats holds the numbers against PEFT.

bats_require_minimum_version 1.5.0
load lib

setup() {
  train=$hone_bin/hone-train pack=$hone_bin/hone-pack eval=$hone_bin/hone-eval merge=$hone_bin/hone-merge
  cd "$BATS_TEST_TMPDIR" || return 1
  tiny_config config '"attention_bias": true'
  rows 12 | "$pack" -q -o data -
  make_model
}

# A checkpoint made of the configuration: in model/
make_model() {
  rm -rf model
  "$train" -q -m config -t data -o made --from-scratch --method full --max-steps 1 --learning-rate 1e-3 \
    --dtype float32
  mv made/final model
  rm -r made
}

tie() {
  tiny_config config '"attention_bias": true' '"tie_word_embeddings": true'
  make_model
}

# adapt RUN OPTION...: a short run; what it leaves is the adapter RUN/final
adapt() {
  "$train" -q -m model -t data -o "$1" --n-epochs 2 --batch-size 4 --learning-rate 1e-2 --dtype float32 \
    --lora-r 2 --lora-alpha 4 "${@:2}"
}

# refused STATUS TEXT OPTION...
refused() {
  fails "$1" "$2" "$train" -q -m model -t data -o bad "${@:3}"
  [ ! -e bad ]
}

# tensors RUN: the names in its adapter, sorted, without what all begin with
tensors() {
  local f=$1/final/adapter_model.safetensors
  head -c $(($(od -An -tu8 -N8 "$f") + 8)) "$f" | tail -c +9 |
    jq -r 'keys[] | select(. != "__metadata__") | sub("base_model.model."; "") | sub("model.layers"; "layers")'
}

# config RUN FILTER: of its adapter_config.json
config() {
  jq -e "$2" "$1/final/adapter_config.json"
}

@test "adapter: names, suffixes, exclusions and layers" {
  adapt run --target-modules q_proj,mlp.down_proj,model.layers.1.self_attn.v_proj --exclude-modules layers.0.self_attn.q_proj
  [ "$(tensors run | grep -c lora_A)" -eq 4 ]
  config run '.target_modules == ["q_proj", "mlp.down_proj", "model.layers.1.self_attn.v_proj"]'
  config run '.exclude_modules == ["layers.0.self_attn.q_proj"]'
  adapt layers --layers-to-transform 1
  [ "$(tensors layers | grep -c lora_A)" -eq 7 ]
  [ "$(tensors layers | grep -c 'layers\.0')" -eq 0 ]
  config layers '.layers_to_transform == [1] and (.target_modules | length) == 7'
  adapt range --layers-to-transform 0-1
  config range '.layers_to_transform == [0, 1]'
}

@test "adapter: a regular expression matches whole names" {
  adapt run --target-modules '.*\.[01]\..*\.(q|k)_proj' --exclude-modules '.*\.0\..*k_proj'
  [ "$(tensors run | grep -c lora_A)" -eq 3 ]
  config run '.target_modules == ".*\\.[01]\\..*\\.(q|k)_proj"'
  refused 78 "chooses no layer" --target-modules '(q|k)_proj'
  refused 78 "is not a regular expression" --target-modules '(q_proj'
}

@test "adapter: ranks and alphas by pattern" {
  adapt run --rank-pattern 'q_proj=3,layers.1.mlp.down_proj=1' --alpha-pattern '.*k_proj=0.5'
  config run '.rank_pattern == {"q_proj": 3, "layers.1.mlp.down_proj": 1} and .alpha_pattern == {".*k_proj": 0.5}'
  f=run/final/adapter_model.safetensors
  head -c $(($(od -An -tu8 -N8 "$f") + 8)) "$f" | tail -c +9 >header
  jq -e '."base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight".shape == [3, 16]' header
  jq -e '."base_model.model.model.layers.1.mlp.down_proj.lora_B.weight".shape == [16, 1]' header
  jq -e '."base_model.model.model.layers.0.mlp.down_proj.lora_B.weight".shape == [16, 2]' header
}

@test "adapter: what is written says what was asked for" {
  adapt run --use-rslora --use-dora --lora-bias all --init-lora-weights gaussian --lora-dropout 0.25
  config run '.use_rslora and .use_dora and .bias == "all" and .init_lora_weights == "gaussian" and .lora_dropout == 0.25'
  tensors run | grep -q 'layers.0.self_attn.q_proj.lora_magnitude_vector'
  tensors run | grep -q 'layers.0.self_attn.q_proj.base_layer.bias'
  adapt plain
  config plain '(.use_dora or .use_rslora | not) and .bias == "none" and .init_lora_weights == true'
  [ "$(tensors plain | wc -l)" -eq 28 ]
}

@test "adapter: biases are all, or those beside an adapter" {
  adapt all --lora-bias all --target-modules q_proj
  [ "$(tensors all | grep -c 'base_layer.bias')" -eq 2 ]
  [ "$(tensors all | grep -c 'bias')" -eq 8 ]
  adapt only --lora-bias lora_only --target-modules q_proj,down_proj
  [ "$(tensors only | grep -c bias)" -eq 2 ]
}

@test "adapter: embeddings and head, tied or not; a tied head keeps the table" {
  adapt run --target-modules embed_tokens,lm_head,q_proj
  tensors run | grep -q '^model.embed_tokens.lora_embedding_A$'
  tensors run | grep -q '^lm_head.lora_B.weight$'
  tie
  adapt tied --target-modules embed_tokens
  [ "$(tensors tied | wc -l)" -eq 2 ]
  adapt saved --target-modules q_proj --modules-to-save embed_tokens,lm_head
  tensors saved | grep -q '^lm_head.weight$'
  tensors saved | grep -q '^model.embed_tokens.weight$'
}

@test "adapter: modules_to_save are those whose names end so, and what is within" {
  adapt run --target-modules q_proj,up_proj --modules-to-save norm,layers.1.mlp
  [ "$(tensors run | grep -c norm)" -eq 5 ]
  [ "$(tensors run | grep -c 'layers.1.mlp')" -eq 3 ]
  [ "$(tensors run | grep -c 'layers.1.*lora_A')" -eq 1 ]
}

@test "adapter: a name that means nothing is told, with the nearest and the others" {
  refused 78 "target_modules has 'q_porj', which this model does not have: did you mean 'q_proj'?" --target-modules v_proj,q_porj
  refused 78 "it has embed_tokens, q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, lm_head" --target-modules q_proj,c_attn
  refused 78 "exclude_modules has 'mlp.donw_proj'" --exclude-modules mlp.donw_proj
  refused 78 "modules_to_save has 'lm_hea', which this model does not have: did you mean 'lm_head'?" --modules-to-save lm_hea
  refused 78 "layers_to_transform has 2, this model's layers are 0 to 1" --layers-to-transform 0-2
  refused 78 "chooses 'model.norm', which is neither" --target-modules q_proj,model.norm
}

@test "adapter: options that cannot be are 64" {
  refused 64 "--layers-to-transform: '1-' is not" --layers-to-transform 1-
  refused 64 "--layers-to-transform: 'a' is not" --layers-to-transform a
  refused 64 "--layers-to-transform: '3-1' is not" --layers-to-transform 3-1
  refused 64 "--layers-to-transform: '1,' is not" --layers-to-transform 1,
  refused 64 "--layers-to-transform goes with names" --layers-to-transform 1 --target-modules '.*q_proj'
  refused 64 "--rank-pattern: 'q_proj' is not" --rank-pattern q_proj
  refused 64 "--rank-pattern: 'q_proj=1.5' is not" --rank-pattern q_proj=1.5
  refused 64 "--rank-pattern: 'q_proj=0' is not" --rank-pattern q_proj=0
  refused 64 "--alpha-pattern: '=3' is not" --alpha-pattern =3
  refused 64 "--use-dora is not for --init-adapter" --use-dora --init-adapter none
  refused 64 "--lora-bias is for an adapter" --lora-bias all --method full
  refused 64 "--lora-bias" --lora-bias some
  refused 64 "--init-lora-weights" --init-lora-weights pissa
  refused 64 "--neftune-noise-alpha" --neftune-noise-alpha -1
}

@test "adapter: of a file, what was not made for this model or changes the base is 78" {
  adapt run --target-modules embed_tokens,q_proj --use-dora
  try() {
    rm -rf other
    cp -r run/final other
    jq "$1" run/final/adapter_config.json >other/adapter_config.json
  }
  for init in pissa olora loftq corda; do
    try ".init_lora_weights = \"$init\""
    refused 78 "'$init', which changes the base model" --init-adapter other
  done
  try '.use_dora = false'
  refused 65 "'use_dora' is not set" --init-adapter other
  try '.target_modules = ["q_proj"]'
  refused 78 "which its target_modules does not choose" --init-adapter other
  try '.ensure_weight_tying = true'
  adapt untied --init-adapter other
  tie
  refused 78 "'ensure_weight_tying'" --init-adapter other
}

@test "adapter: each kind can be gone on with, evaluated unmerged, and merged to the same" {
  local n=0
  "$eval" -q --dtype float32 -m model --json data >base.json
  while read -r options; do
    # shellcheck disable=SC2086
    adapt "first$n" $options
    adapt "run$n" --init-adapter "first$n/final"
    [ "$(tensors "first$n")" = "$(tensors "run$n")" ]
    cmp "first$n/final/adapter_config.json" "run$n/final/adapter_config.json"
    run cmp "first$n/final/adapter_model.safetensors" "run$n/final/adapter_model.safetensors"
    [ "$status" -eq 1 ]
    "$merge" -q -m model -a "run$n/final" -o "merged$n"
    "$eval" -q --dtype float32 -m model -a "run$n/final" --json data >unmerged.json
    "$eval" -q --dtype float32 -m "merged$n" --json data >merged.json
    jq -es '(.[0].loss - .[1].loss) / .[1].loss | fabs < 1e-6' unmerged.json merged.json
    jq -es '.[0].loss < .[1].loss' unmerged.json base.json
    n=$((n + 1))
  done <<'KINDS'
--use-dora
--use-dora --lora-dropout 0.3 --use-rslora --lora-bias all
--use-dora --target-modules embed_tokens,lm_head,o_proj
--target-modules embed_tokens,q_proj --init-lora-weights gaussian
--target-modules q_proj,down_proj --lora-bias lora_only
--target-modules q_proj --modules-to-save lm_head,norm
--rank-pattern q_proj=3 --alpha-pattern v_proj=1 --layers-to-transform 1
--neftune-noise-alpha 5
KINDS
  [ "$n" -eq 8 ]
}

@test "adapter: each kind is the same to the bit when it is resumed, however it is stored" {
  for options in "--use-dora --lora-dropout 0.3 --target-modules embed_tokens,lm_head,q_proj,down_proj --lora-bias all" \
    "--neftune-noise-alpha 5 --modules-to-save embed_tokens"; do
    rm -rf run straight
    # shellcheck disable=SC2086
    for run in straight run; do
      adapt "$run" $options --save-steps 3 --save-total-limit 5
      if [ "$run" = run ]; then
        rm -r run/final run/checkpoint-6
        adapt "$run" $options --save-steps 3 --save-total-limit 5
      fi
    done
    cmp run/final/adapter_model.safetensors straight/final/adapter_model.safetensors
  done
}

# losses RUN OPTION...: the losses of a run, one a line
losses() {
  adapt "$@"
  jq -c 'select(.event == "train") | .loss' "$1/metrics.jsonl"
}

@test "adapter: packing and gradient checkpointing change neither DoRA's dropout nor the noise" {
  for options in "--use-dora --lora-dropout 0.5" "--neftune-noise-alpha 10"; do
    # shellcheck disable=SC2086
    losses small $options --micro-tokens 8 >small.txt
    # shellcheck disable=SC2086
    losses large $options --micro-tokens 64 >large.txt
    # shellcheck disable=SC2086
    losses again $options --micro-tokens 64 --gradient-checkpointing >again.txt
    paste small.txt large.txt | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > 1e-5 * $1) exit 1 }'
    cmp large.txt again.txt
    rm -r small large again
  done
}

@test "adapter: what examples begin with alike is computed once, and changes nothing" {
  jq -nc 'range(24) | . as $n | ([range(14)] + [range(4) | (. * 5 + $n) % 29]) as $ids |
    {input_ids: $ids, labels: ($ids | to_entries | map(if .key < 16 then -100 else .value end))}' | "$pack" -q -o alike -
  rm -r data && mv alike data
  # Dropout keeps examples apart, also of a probability by which nothing is dropped.
  losses once --batch-size 8 >once.txt
  losses apart --batch-size 8 --lora-dropout 1e-12 >apart.txt
  paste once.txt apart.txt | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > 1e-5 * $1) exit 1 }'
  jq -se 'map(select(.event == "train") | .tokens == 8 * 18 and .rows == 14 + 8 * 3) | all' once/metrics.jsonl
  jq -se 'map(select(.event == "train") | .tokens == 8 * 18 and .rows == 8 * 17) | all' apart/metrics.jsonl
}

@test "adapter: noise is there in training only, and is of its size" {
  losses quiet --max-steps 1 >quiet.txt
  losses none --max-steps 1 --neftune-noise-alpha 0 >none.txt
  losses noise --max-steps 1 --neftune-noise-alpha 1 >noise.txt
  cmp quiet.txt none.txt
  run cmp quiet.txt noise.txt
  [ "$status" -eq 1 ]
  "$train" -q -m model -t data -v data -o valid --dtype float32 --max-steps 1 --learning-rate 1e-12 --neftune-noise-alpha 1000
  "$eval" -q --dtype float32 -m model --json data >eval.json
  jq -es --slurpfile e eval.json 'map(select(.event == "eval"))[0].loss - $e[0].loss | fabs < 1e-6' valid/metrics.jsonl
}
