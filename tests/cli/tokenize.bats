#!/usr/bin/env bats
# hone-tokenize: forms, outputs, errors and every exit status, with a tokenizer of one token a character.

bats_require_minimum_version 1.5.0

setup() {
	tokenize="$(cd "${HONE_BIN:-.}" && pwd)/hone-tokenize"
	cd "$BATS_TEST_TMPDIR" || return 1
	mkdir -p model
	jq -n '
		["<s>", "</s>", "<|im_start|>", "<|im_end|>"] as $special
		| {added_tokens: [$special | to_entries[] | {id: .key, content: .value, special: true, single_word: false,
			lstrip: false, rstrip: false, normalized: false}], normalizer: null,
		pre_tokenizer: {type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false},
		decoder: {type: "ByteLevel"}, post_processor: {type: "TemplateProcessing",
			single: [{SpecialToken: {id: "<s>", type_id: 0}}, {Sequence: {id: "A", type_id: 0}}],
			pair: [{Sequence: {id: "A", type_id: 0}}, {Sequence: {id: "B", type_id: 1}}],
			special_tokens: {"<s>": {id: "<s>", ids: [0], tokens: ["<s>"]}}},
		model: {type: "BPE", merges: [], vocab: ([$special | to_entries[] | {key: .value, value: .key}]
			+ [range(33; 127) | {key: ([.] | implode), value: .}]
			+ [{key: "\u0120", value: 32}, {key: "\u010a", value: 10}] | from_entries)}}' > model/tokenizer.json
	echo '{"bos_token": "<s>", "eos_token": "</s>"}' > model/tokenizer_config.json
	printf '%s\n' '{"prompt":"ab","completion":"c"}' '{"prompt":"d","completion":"e"}' > pairs.jsonl
}

# Runs a command that must end with the status $1, print nothing and say $2 in one line.
fails() {
	local want=$1 text=$2
	shift 2
	run --separate-stderr "$@"
	[ "$status" -eq "$want" ] || { echo "status $status, stderr: $stderr" >&2; return 1; }
	[[ $stderr == hone-*:*"$text"* ]] || { echo "stderr: $stderr" >&2; return 1; }
	[ -z "$output" ]
}

@test "pairs: ids, labels, label, line, and a header on the first line" {
	run --separate-stderr "$tokenize" -m model --jsonl pairs.jsonl
	[ "$status" -eq 0 ]
	[ "$(jq -c .input_ids <<< "${lines[0]}")" = '[0,97,98,99,1]' ]
	[ "$(jq -c .labels <<< "${lines[0]}")" = '[-100,-100,-100,99,1]' ]
	[ "$(jq -c '[.label, .line, .completion]' <<< "${lines[1]}")" = '["e",2,2]' ]
	[ "$(jq -c '.header | [.vocab_size, .eos_token_id, .source, .template, .format, .options.eos]' <<< "${lines[0]}")" = \
		'[127,1,["pairs.jsonl"],null,"completion",true]' ]
	[ "$stderr" = "hone-tokenize: 2 records, 9 tokens, 4 targets" ]
}

@test "standard input, several files, and -o" {
	"$tokenize" -q -m model --jsonl < pairs.jsonl > one
	"$tokenize" -q -m model --jsonl - pairs.jsonl < pairs.jsonl > two
	[ "$(jq -c .input_ids one one | cat)" = "$(jq -c .input_ids two)" ]
	"$tokenize" -q -m model -o out.tok pairs.jsonl
	[ "$(head -c 8 out.tok)" = HONETOK1 ]
	fails 73 "out.tok" "$tokenize" -q -m model -o out.tok pairs.jsonl
	"$tokenize" -q -m model -o out.tok --force pairs.jsonl
}

@test "the binary stream does not depend on the number of threads" {
	for i in $(seq 3000); do echo "{\"text\":\"$i\"}"; done > many.jsonl
	"$tokenize" -q -j1 -m model many.jsonl > one
	"$tokenize" -q -j4 -m model many.jsonl > four
	cmp one four
}

@test "a model may be a tokenizer.json, a Hub name in the cache, or a name under HONE_MODEL_PATH" {
	"$tokenize" -q -m model pairs.jsonl > want
	"$tokenize" -q -m model/tokenizer.json --no-eos --jsonl pairs.jsonl > /dev/null
	mkdir -p hub/models--org--name/refs hub/models--org--name/snapshots
	printf 0123456789abcdef > hub/models--org--name/refs/main
	cp -r model hub/models--org--name/snapshots/0123456789abcdef
	HF_HUB_CACHE=$PWD/hub "$tokenize" -q -m org/name --jsonl pairs.jsonl > cached
	HF_HOME='' HF_HUB_CACHE='' HONE_MODEL_PATH=/nowhere:$PWD "$tokenize" -q -m model --jsonl pairs.jsonl > path
	cmp <(jq -c .input_ids cached) <(jq -c .input_ids path)
	HF_HUB_CACHE=$PWD/hub fails 66 "model 'org/other' is not found; looked at 'org/other', '$PWD/hub/models--org--other" \
		"$tokenize" -m org/other pairs.jsonl
	printf ../../../evil > hub/models--org--name/refs/main
	HF_HUB_CACHE=$PWD/hub fails 66 "not found" "$tokenize" -m org/name pairs.jsonl
}

@test "templates: none, built in, of the model, from a file, a wrong name" {
	echo '{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}' > chat.jsonl
	fails 78 "the model has no chat template; name one with --template" "$tokenize" -m model --jsonl chat.jsonl
	ids() { "$tokenize" -q -m model --jsonl --no-special "$@" chat.jsonl | jq -c .input_ids; }
	[ "$(ids --template chatml)" = "[2,$(printf %s $'user\nq' | od -An -v -tu1 | xargs | tr ' ' ,),3,10,2,$(printf %s $'assistant\na' |
		od -An -v -tu1 | xargs | tr ' ' ,),3,10]" ]
	echo '{% for m in messages %}{{ m.content }}{% endfor %}' > my.jinja
	[ "$(ids --template my.jinja)" = '[113,97]' ]
	echo '{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}' > model/chat_template.jinja
	[ "$(ids)" = '[0,113,97]' ]
	fails 78 "template 'nope' is neither a file, nor one of the model's, nor built in (chatml" \
		"$tokenize" -m model --jsonl --template nope chat.jsonl
	echo '{% if %}' > my.jinja
	fails 78 "'my.jinja': line 1" "$tokenize" -m model --jsonl --template my.jinja chat.jsonl
}

@test "wrong records: named by file and line, or skipped" {
	echo '{"prompt":"x"}' >> pairs.jsonl
	fails 65 "'pairs.jsonl': line 3: 'completion' is missing" "$tokenize" -m model --jsonl -o none pairs.jsonl
	[ ! -e none ]
	run --separate-stderr "$tokenize" -m model --jsonl --on-error skip pairs.jsonl
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 2 ]
	[[ $stderr == *"warning: skipped: line 3: 'completion' is missing"*", 1 skipped" ]]
	echo '{"prompt":"a","completion":"b"' > broken.jsonl
	echo '{"foo":1}' > unknown.jsonl
	fails 65 "'unknown.jsonl': line 1: no known form" "$tokenize" -m model --jsonl -o none unknown.jsonl
	fails 65 "'broken.jsonl': line 1: column" "$tokenize" -m model --jsonl -o none broken.jsonl
}

@test "a failed run leaves a stream without its end, which a reader refuses" {
	echo '{"prompt":"x"}' >> pairs.jsonl
	"$tokenize" -q -m model pairs.jsonl > part 2> why || status=$?
	[ "$status" -eq 65 ]
	fails 65 "" "${tokenize%tokenize}pack" -o set part
	[ ! -e set ]
}

@test "length: drop, truncate, split" {
	echo '{"text":"abcdefgh"}' > long.jsonl
	run --separate-stderr "$tokenize" -m model --jsonl --max-length 4 --overlong split long.jsonl
	[ "$(jq -c .input_ids <<< "$output" | tr -d '\n')" = '[0,97,98,99][100,101,102,103][104,1]' ]
	[[ $stderr == *", 1 split" ]]
	run --separate-stderr "$tokenize" -m model --jsonl --max-length 4 --overlong drop long.jsonl
	[ "$status" -eq 0 ]
	[[ $stderr == *"0 records, 0 tokens, 0 targets, 1 dropped" ]]
	fails 65 "has 10 tokens, more than 4" "$tokenize" -m model -o none --max-length 4 long.jsonl
	fails 64 "split is for --format text only" "$tokenize" -m model -o none --overlong split --format chat long.jsonl
}

@test "usage errors" {
	fails 64 "--model is missing" "$tokenize" pairs.jsonl
	fails 66 "cannot open 'nothing.jsonl'" "$tokenize" -m model --jsonl nothing.jsonl
	fails 64 "is not one of" "$tokenize" -m model --format nope pairs.jsonl
	if command -v script > /dev/null; then
		run script -qec "'$tokenize' -m model pairs.jsonl" /dev/null
		[ "$status" -eq 64 ]
		[[ $output == *"stdout is a terminal"* ]]
	fi
}
