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
	[ "$(jq -c '.header | [.vocab_size, .eos_token_id, .source, .template, .format, .provenance.settings.eos]' <<< "${lines[0]}")" = \
		'[127,1,["pairs.jsonl"],null,"completion",true]' ]
	[ "$stderr" = "hone-tokenize: read as --format completion, by 'prompt' and 'completion' in the first record
hone-tokenize: 2 records, 9 tokens, 4 targets" ]
}

@test "standard input, several files, and -o" {
	"$tokenize" -q -m model --jsonl < pairs.jsonl > one
	"$tokenize" -q -m model --jsonl - pairs.jsonl < <(cat pairs.jsonl) > two
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
	[[ $stderr == *"warning: skipped: 'pairs.jsonl': line 3: 'completion' is missing"*", 1 skipped" ]]
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

# Bare ids as text, a token a character, of the records in the files; special tokens as their ids in brackets.
texts() {
	"$tokenize" -q -m model --jsonl "$@" | jq -r '.input_ids | map(if . < 4 then "[\(.)]" elif . == 10 then "/" else [.] | implode end) | add'
}

@test "forms: input and target, Alpaca with history and system, ShareGPT" {
	echo '{"input":"q","target":"a"}' > it.jsonl
	[ "$(texts it.jsonl)" = '[0]qa[1]' ]
	echo '{"instruction":"c","output":"d","system":"S","history":[["a","b"]]}' > alpaca.jsonl
	[ "$(texts alpaca.jsonl)" = '[0]S//### Instruction:/a//### Response:b[1]//### Instruction:/c//### Response:d[1]' ]
	targets() { "$tokenize" -q -m model --jsonl "$@" | jq -c '[.labels[] | select(. >= 0)]'; }
	[ "$(targets alpaca.jsonl)" = '[98,1,100,1]' ]
	[ "$(targets --train-on completion alpaca.jsonl)" = '[100,1]' ]
	echo '{"system":"S","conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}]}' > share.jsonl
	[ "$(texts --template chatml share.jsonl)" = '[2]system/S[3]/[2]user/q[3]/[2]assistant/a[3]/' ]
	run --separate-stderr "$tokenize" -m model --template chatml --jsonl share.jsonl
	[[ $stderr == *"read as --format sharegpt, by 'conversations' in the first record"* ]]
	echo '{"conversations":[{"from":"martian","value":"q"}]}' > bad.jsonl
	fails 65 "'bad.jsonl': line 1: message 1 has no 'from' that is known" "$tokenize" -m model --template chatml --jsonl bad.jsonl
	printf 'text\nabc\n' > table.csv
	fails 65 "'table.csv': line 1: not a JSON object: records are JSON lines, or one JSON list; tables and other texts go through hone-prepare" \
		"$tokenize" -m model --jsonl table.csv
}

@test "a JSON list of records, in any layout; errors name the line a record starts on" {
	"$tokenize" -q -m model --jsonl pairs.jsonl | jq -c .input_ids > want
	jq -s . pairs.jsonl > list.json
	"$tokenize" -q -m model --jsonl list.json | jq -c .input_ids > got
	cmp want got
	[ "$("$tokenize" -q -m model --jsonl list.json | jq -c .line | xargs)" = '2 6' ]
	{ printf '\357\273\277 \n'; jq -cs . pairs.jsonl | tr -d '\n'; } > list.json
	"$tokenize" -q -m model --jsonl - < list.json | jq -c .input_ids > got
	cmp want got
	echo '[]' > list.json
	run --separate-stderr "$tokenize" -m model --jsonl list.json
	[[ $stderr == *"0 records"* ]]
	for bad in '[{"prompt":"a","completion":"b"}|does not end' '[{"prompt":"a","completion":"b"},]|missing from' '[,]|missing' \
		'[{"prompt":"a","completion":"b"}] x|behind the list' '[{"prompt":"a","completion":"b"} {}]|between two records' '[|does not end' \
		'[{"prompt":"a","completion":"b}]|does not end' '[{"prompt":"a","completion":"b"]]|column' '[1]|not a JSON object' '[}]|missing'; do
		printf '\n%s' "${bad%|*}" > list.json
		fails 65 "'list.json': line 2: " "$tokenize" -m model -o none list.json
		[[ $stderr == *"${bad#*|}"* ]]
	done
	printf '[{"prompt":"a",\n"completion":"b"},\n3, "x",\n{"prompt":"c","completion":"d"}]' > list.json
	run --separate-stderr "$tokenize" -m model --jsonl --on-error skip list.json
	[ "${#lines[@]}" -eq 2 ]
	[[ $stderr == *"'list.json': line 3: not a JSON object"*"2 skipped"* ]]
}

@test "gzip and zstd, of several members, on standard input, damaged, cut short" {
	"$tokenize" -q -m model --jsonl pairs.jsonl pairs.jsonl | jq -c .input_ids > want
	gzip -c pairs.jsonl > one.gz
	cat one.gz one.gz > two.gz
	zstd -qc pairs.jsonl > one.zst
	cat one.zst one.zst > two.zst
	for f in two.gz two.zst; do
		"$tokenize" -q -m model --jsonl $f | jq -c .input_ids | cmp want
		"$tokenize" -q -m model --jsonl - < $f | jq -c .input_ids | cmp want
	done
	for n in 2 5 9 17 20; do
		head -c "$n" one.gz > cut.gz
		fails 65 "'cut.gz': the gzip data end too early" "$tokenize" -m model -o none cut.gz
	done
	for n in 4 8 12 20; do
		head -c "$n" one.zst > cut.zst
		fails 65 "'cut.zst': the zstd data end too early" "$tokenize" -m model -o none cut.zst
	done
	{ head -c 30 one.gz; printf 'xxxx'; tail -c +35 one.gz; } > bad.gz
	fails 65 "'bad.gz': damaged gzip data" "$tokenize" -m model -o none bad.gz
	{ cat one.gz; echo x; } > bad.gz
	fails 65 "'bad.gz': damaged gzip data" "$tokenize" -m model -o none bad.gz
	{ head -c 8 one.zst; printf 'xxxx'; tail -c +13 one.zst; } > bad.zst
	fails 65 "'bad.zst': damaged zstd data" "$tokenize" -m model -o none bad.zst
}

@test "a record without end is refused, or passed over, in bounded memory" {
	{ echo '{"prompt":"a","completion":"b"}'; head -c 80000000 /dev/zero | tr '\0' x; echo; cat pairs.jsonl; } | gzip -1 > bomb.gz
	fails 65 "'bomb.gz': line 2: the record is longer than 64 MiB" "$tokenize" -m model -o none bomb.gz
	run --separate-stderr "$tokenize" -m model --jsonl --on-error skip bomb.gz
	[ "${#lines[@]}" -eq 3 ]
	[ "$(jq -c .line <<< "${lines[2]}")" = 4 ]
	[[ $stderr == *"3 records, 13 tokens, 6 targets, 1 skipped" ]]
}

@test "skipped records are listed up to twenty, and counted" {
	for i in $(seq 30); do echo '{"prompt":1,"completion":"b"}'; done >> pairs.jsonl
	run --separate-stderr "$tokenize" -m model --jsonl --on-error skip pairs.jsonl
	[ "$(grep -c "warning: skipped:" <<< "$stderr")" -eq 20 ]
	[[ $stderr == *"only counted"*"2 records, 9 tokens, 4 targets, 30 skipped" ]]
	run --separate-stderr "$tokenize" -v -m model --jsonl --on-error skip pairs.jsonl
	[ "$(grep -c "warning: skipped:" <<< "$stderr")" -eq 30 ]
}

@test "what is odd is told: no target, BOS given or doubled, a turn without an end" {
	odd() { run --separate-stderr "$tokenize" -m model --jsonl "$@"; [ "$status" -eq 0 ]; }
	echo '{"prompt":"<s>a","completion":"b"}' > odd.jsonl
	odd odd.jsonl pairs.jsonl
	[[ $stderr == *"warning: 1 text begins with BOS itself, so none was added ('odd.jsonl': line 1)"* ]]
	[ "$(jq -c .input_ids <<< "${lines[0]}")" = '[0,97,98,1]' ]
	for w in 0 1 0 0 0; do echo '{"messages":[{"role":"user","content":"<s>q"},{"role":"assistant","content":"a","weight":'$w'}]}'; done > odd.jsonl
	echo '{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}' > model/chat_template.jinja
	odd odd.jsonl
	[[ $stderr == *"warning: 1 conversation has two BOS tokens in a row ('odd.jsonl': line 2)"* ]]
	[[ $stderr == *"warning: 1 conversation has a turn that is learned without an end: no special token closes it ('odd.jsonl': line 2)"* ]]
	[[ $stderr == *"warning: 4 records have no target and were left out ('odd.jsonl': line 1, 'odd.jsonl': line 3, 'odd.jsonl': line 4, ...)"* ]]
	[[ $stderr == *"1 records, 4 tokens, 1 targets, 4 left out without a target" ]]
	odd --template chatml odd.jsonl
	[[ $stderr != *"two BOS"* && $stderr != *"without an end"* ]]
}

@test "--show: borders, targets, weights, line feeds, colours; --head" {
	run --separate-stderr "$tokenize" -m model --show --prompt-loss-weight 0.5 -n 2 pairs.jsonl pairs.jsonl
	[ "$output" = "1. 'pairs.jsonl', line 1: 5 tokens, 4 targets of weight 3, label 'c'
<s>⟦×0.5 a│b⟧⟦c│</s>⟧

2. 'pairs.jsonl', line 2: 4 tokens, 3 targets of weight 2.5, label 'e'
<s>⟦×0.5 d⟧⟦e│</s>⟧" ]
	[[ $stderr == *"2 records, 9 tokens, 7 targets" ]]
	printf '%s\n' '{"text":"a\n\nb <s>"}' > lines.jsonl
	run --separate-stderr "$tokenize" -q -m model --show lines.jsonl
	[ "$output" = "1. 'lines.jsonl', line 1: 8 tokens, 7 targets
<s>⟦a│↵
│↵
│b│ │<s>│</s>⟧" ]
	fails 64 "exclude each other" "$tokenize" -m model --show --jsonl pairs.jsonl
	[ "$("$tokenize" -q -m model --jsonl --head 1 pairs.jsonl pairs.jsonl | wc -l)" -eq 1 ]
	if command -v script > /dev/null; then
		shown() { script -qec "env TERM=xterm $* '$tokenize' -q -m model --show pairs.jsonl" /dev/null; }
		[[ $(shown) == *$'\033[30;42m'* ]]
		[[ $(shown NO_COLOR=1) != *$'\033'* ]]
		[[ $(shown TERM=dumb) == *'⟦c│</s>⟧'* ]]
	fi
}

@test "truncation and padding of a tokenizer.json are ignored, and that is said" {
	printf '%s' '{"truncation":{"max_length":1},"padding":{"strategy":{"Fixed":9}},"model":{"type":"BPE",
		"vocab":{"a":0,"b":1},"merges":[]}}' >"$BATS_TEST_TMPDIR/tokenizer.json"
	run --separate-stderr "$tokenize" -m "$BATS_TEST_TMPDIR/tokenizer.json" --no-special --jsonl --format text - <<<'{"text":"ab"}'
	[ "$status" -eq 0 ]
	[[ "$output" == *'"input_ids":[0,1]'* ]]
	[[ "$stderr" == *"truncation and padding of tokenizer.json: ignored"* ]]
}
