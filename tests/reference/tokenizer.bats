#!/usr/bin/env bats
# Ids and decoded text are those that the tokenizers library computes.

setup() {
	tokref=${HONE_HELPERS:-build/release/tests/helpers}/tokref
	shared=../shared
	[ -x "$tokref" ]
}

@test "the tiny models' tokenizers" {
	for m in "$shared"/reference/models/*/; do
		"$tokref" "$m/base" "$m/tokenize.json"
	done
}

@test "real tokenizers" {
	for f in "$shared"/reference/tokenizers/*.jsonl; do
		name=$(basename "$f" .jsonl)
		case $name in spm-*) continue ;; esac
		"$tokref" "$shared/data/tokenizers/$name" "$f"
	done
}

@test "a tokenizer.json named itself" {
	"$tokref" "$shared/data/tokenizers/qwen3/tokenizer.json" "$shared/reference/tokenizers/qwen3.jsonl"
}

@test "another tokenizer's ids are told apart" {
	run "$tokref" "$shared/data/tokenizers/gpt2" "$shared/reference/tokenizers/minimind.jsonl"
	[ "$status" -eq 1 ]
}

@test "SentencePiece models" {
	for f in "$shared"/reference/tokenizers/spm-*.jsonl; do
		name=$(basename "$f" .jsonl)
		"$tokref" -s "$shared/data/tokenizers/${name#spm-}/tokenizer.model" "$f"
	done
}

@test "a SentencePiece model with its configuration finds special tokens and adds BOS" {
	cp "$shared"/data/tokenizers/llama2/tokenizer{.model,_config.json} "$BATS_TEST_TMPDIR"
	printf '%s\n' '{"text": "Hello<s> world</s>", "ids": [1, 15043, 1, 29871, 3186, 2],
		"ids_no_special": [15043, 1, 29871, 3186, 2], "decoded": "Hello<s>  world</s>"}' | tr -d '\n' \
		>"$BATS_TEST_TMPDIR/case.jsonl"
	"$tokref" "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/case.jsonl"
}

# The tokens that a tokenizer.json adds, as a tokenizer_config.json has them.
config_of() {  # CLASS [BOS]
	jq --arg class "$1" --arg bos "$2" '{tokenizer_class: $class,
		added_tokens_decoder: ([.added_tokens[] | {(.id | tostring): .}] | add)} +
		if $bos == "" then {} else {bos_token: $bos} end'
}

@test "a tiktoken rank file" {
	t=$shared/data/tokenizers/llama3.1 d=$BATS_TEST_TMPDIR
	"${tokref%/*}/ranks" "$t" 128000 >"$d/tokenizer.model"
	config_of PreTrainedTokenizer '<|begin_of_text|>' <"$t/tokenizer.json" >"$d/tokenizer_config.json"
	"$tokref" "$d" "$shared/reference/tokenizers/llama3.1.jsonl"
}

@test "vocab.json and merges.txt" {
	d=$BATS_TEST_TMPDIR
	for name in gpt2 qwen3; do
		t=$shared/data/tokenizers/$name/tokenizer.json
		class=GPT2Tokenizer
		[ $name = gpt2 ] || class=Qwen2Tokenizer
		jq .model.vocab "$t" >"$d/vocab.json"
		{
			echo '#version: 0.2'
			jq -r '.model.merges[] | if type == "array" then join(" ") else . end' "$t"
		} >"$d/merges.txt"
		config_of $class '' <"$t" >"$d/tokenizer_config.json"
		"$tokref" "$d" "$shared/reference/tokenizers/$name.jsonl"
	done
}

@test "every component of a tokenizer.json" {
	TMPDIR=$BATS_TEST_TMPDIR run "${tokref%/*}/tokparts" tests/reference/tokenizer-parts.jsonl.zst
	[ "$status" -eq 0 ]
	[[ "${lines[-1]}" == *"; 0 of "* ]]
	# What the library reads and hone does not, each by name.
	refused=$(printf '%s\n' "$output" | grep ': refused' | grep -v 'by the library' | sed 's/: refused.*//' | sort)
	diff <(printf '%s\n' "$refused") - <<-END
		added gap
		added twice
		added unordered
		added wrong id
		decoder ctc
		decoder raw ctc
		decoder raw wordpiece
		decoder wordpiece
		normalizer BertNormalizer
		normalizer ByteLevel
		normalizer Nmt
		pattern G
		pattern prop names
		post seq rob
		post seq two
		pre_tokenizer BertPreTokenizer
		pre_tokenizer CharDelimiterSplit
		pre_tokenizer FixedLength
		pre_tokenizer UnicodeScripts
	END
}

@test "a replay that differs is told" {
	zstd -dc tests/reference/tokenizer-parts.jsonl.zst | head -n 7 | sed '7s/"ids":\[/"ids":[1,/' >"$BATS_TEST_TMPDIR/wrong.jsonl"
	TMPDIR=$BATS_TEST_TMPDIR run "${tokref%/*}/tokparts" "$BATS_TEST_TMPDIR/wrong.jsonl"
	[ "$status" -eq 1 ]
}

# HONE_FUZZ=1000000 for a longer one.
@test "random texts come back from byte-level tokenizers" {
	for t in gpt2 llama3.1; do
		"${tokref%/*}/tokfuzz" "$shared/data/tokenizers/$t" "${HONE_FUZZ:-1000}" "${HONE_SEED:-1}"
	done
	for t in qwen3 smollm2 minimind; do  # these normalise, or lack some bytes
		"${tokref%/*}/tokfuzz" -f "$shared/data/tokenizers/$t" "${HONE_FUZZ:-1000}" "${HONE_SEED:-1}"
	done
	run "${tokref%/*}/tokfuzz" "$shared/data/tokenizers/qwen3" 1000 1  # NFC is not the identity
	[ "$status" -eq 1 ]
}
