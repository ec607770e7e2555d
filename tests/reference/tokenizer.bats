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
