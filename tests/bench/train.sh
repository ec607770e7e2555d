#!/bin/sh
# How fast models train: random weights of known shapes (tests/bench/make_model.sh), some steps of 4 documents of 512
# tokens, all of them targets, and of short prompts with one or two, which share nothing or most of their tokens; then
# evaluation of such prompts. A table, and under it a JSON object a row. Models are kept in build/bench.
set -eu
usage='usage: tests/bench/train.sh [-o OBJECTS] [-s STEPS] [SHAPE...]   (smollm2-135m, qwen2.5-0.5b, tinyllama-1.1b)'
objects=build/release steps=3
while getopts o:s: c; do
	case $c in
	o) objects=$OPTARG ;;
	s) steps=$OPTARG ;;
	*) echo "$usage" >&2; exit 64 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- smollm2-135m qwen2.5-0.5b
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT INT TERM

# row train|evaluate SHAPE NAME ARGUMENT...
row() {
	program=$1 shape=$2 name=$3
	shift 3
	"$objects/tests/bench/$program" "build/bench/$shape" "$@" | jq -c --arg shape "$shape" --arg name "$name" '{shape: $shape, run: $name} + .' >>"$rows"
	tail -n 1 "$rows" | jq -r '[.shape, .run, (.tokens_per_second | round), .peak_rss_mb, (.gflops // 0 | round), ((.share // 0) * 100 | round),
		(.products, .attention, .elements, .loss, .optimizer, .other | . * 100 | round)] | @tsv' |
		awk -F'\t' '{ printf "%-15s %-16s %8s %8s %8s %6s%% %9s %9s %8s %5s %9s %5s\n", $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 }'
}

printf '%-15s %-16s %8s %8s %8s %7s %9s %9s %8s %5s %9s %5s\n' model run tokens/s 'peak MB' GFLOP/s share products% attention% elements% loss% optimizer% other%
for shape; do
	tests/bench/make_model.sh -o "$objects" "$shape" "build/bench/$shape"
	row train "$shape" 'LoRA bf16' lora bfloat16 4 512 0 "$steps"
	row train "$shape" 'LoRA bf16 labels' lora bfloat16 32 60 2 "$steps"
	row train "$shape" 'LoRA bf16 shared' lora bfloat16 32 60 2 "$steps" 8 45
	row evaluate "$shape" 'eval bf16 labels' bfloat16 256 60 0
	row evaluate "$shape" 'eval bf16 shared' bfloat16 256 60 45
	[ "$shape" != smollm2-135m ] || row train "$shape" 'full bf16' full bfloat16 4 512 0 "$steps"
	[ "$shape" != smollm2-135m ] || row train "$shape" 'full fp32' full float32 4 512 0 1
done
echo "share: of a step, what its products take by themselves in $(jq -r '.library // empty' "$rows" | tail -n 1); 0: not measured"
cat "$rows"
