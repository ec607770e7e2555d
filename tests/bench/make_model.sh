#!/bin/sh
# A model of a known shape with random weights in bf16, to measure with: config.json, model.safetensors, and the demo's
# tokenizer, whose ids are in any such vocabulary. Nothing is done when DIR holds it already.
set -eu
usage='usage: tests/bench/make_model.sh [-o OBJECTS] smollm2-135m|qwen2.5-0.5b|tinyllama-1.1b DIR'
objects=build/release
while getopts o: c; do
	case $c in
	o) objects=$OPTARG ;;
	*) echo "$usage" >&2; exit 64 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -eq 2 ] || { echo "$usage" >&2; exit 64; }
shape=$1 dir=$2

# config TYPE HIDDEN LAYERS HEADS KV_HEADS FFN VOCABULARY TIED
config() {
	jq -n --arg type "$1" --argjson c "$2" --argjson l "$3" --argjson h "$4" --argjson k "$5" --argjson f "$6" \
		--argjson v "$7" --argjson tied "$8" '{model_type: $type, hidden_size: $c, num_hidden_layers: $l,
		num_attention_heads: $h, num_key_value_heads: $k, intermediate_size: $f, vocab_size: $v,
		tie_word_embeddings: $tied, max_position_embeddings: 8192, rms_norm_eps: 1e-6, rope_theta: 100000,
		bos_token_id: 1, eos_token_id: 2, hidden_act: "silu", initializer_range: 0.02, dtype: "bfloat16"}'
}

[ ! -e "$dir/model.safetensors" ] || exit 0
mkdir -p "$dir"
case $shape in
smollm2-135m) config llama 576 30 9 3 1536 49152 true ;;
qwen2.5-0.5b) config qwen2 896 24 14 2 4864 151936 true ;;
tinyllama-1.1b) config llama 2048 22 32 4 5632 32000 false ;;
*) echo "$usage" >&2; exit 64 ;;
esac >"$dir/config.json"
cp pipelines/demo.model/tokenizer.json pipelines/demo.model/tokenizer_config.json "$dir"
"$objects/tests/bench/make_model" "$dir"
