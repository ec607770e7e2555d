#!/usr/bin/env bats
# hone-pack: from token streams to datasets and back, and every exit status.

setup() {
	pack="${HONE_BIN:-.}/hone-pack"
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	T=$BATS_TEST_TMPDIR
}

# N JSON lines of a two-class task: a prompt of two tokens, a label token, EOS 2. The first has the header.
rows() {
	jq -nc --argjson n "$1" '
		{tokenizer: "t0", vocab_size: 50000, eos_token_id: 2, source: ["made.jsonl"], options: {eos: true}} as $h
		| range($n) | (if . % 2 == 0 then ["neg", 11] else ["pos", 12] end) as [$name, $id]
		| {input_ids: [1, . + 100, $id, 2], labels: [-100, -100, $id, 2], label: $name, line: (. + 1), completion: 2}
		+ (if . == 0 then {header: $h} else {} end)'
}

# Runs a command that must end with the status $1 and one line on stderr that holds $2, and print nothing.
fails() {
	local want=$1 text=$2
	shift 2
	run --separate-stderr "$@"
	[ "$status" -eq "$want" ] || { echo "status $status, stderr: $stderr" >&2; return 1; }
	[[ $stderr == hone-pack:*"$text"* ]] || { echo "stderr: $stderr" >&2; return 1; }
	[ -z "$output" ]
}

bats_require_minimum_version 1.5.0

@test "JSON lines go in and come out the same" {
	rows 100 > "$T/in"
	"$pack" -q -o "$T/d" "$T/in"
	"$pack" --cat "$T/d" > "$T/out"
	cmp <(jq -cS . "$T/in") <(jq -cS . "$T/out")
	"$pack" --verify "$T/d"
}

@test "--cat makes the same dataset again, to the byte" {
	rows 100 | "$pack" -q -o "$T/a"
	"$pack" --cat "$T/a" | "$pack" -q -o "$T/b" -
	diff -r "$T/a" "$T/b"
}

@test "shards are zst files: zstd -t and -d take them" {
	rows 4000 | "$pack" -q -o "$T/d" --shard-size 1K
	[ "$(ls "$T/d" | wc -l)" -gt 3 ]
	zstd -tq "$T"/d/*.zst
	raw=$(zstd -dcq "$T"/d/*.zst | wc -c)
	[ "$raw" -eq "$("$pack" --info "$T/d" --json | jq .raw_bytes)" ]
}

@test "the hashes are those of xxh128sum" {
	rows 300 | "$pack" -q -o "$T/d" --validation 0.1 --validation-output "$T/v"
	j=$T/d/dataset.json
	[ "$(xxh128sum < "$T/d/shard-00000.hone.zst" | cut -d' ' -f1)" = "$(jq -r '.shards[0].xxh128' "$j")" ]
	[ "$(jq -j '.shards[].xxh128' "$j" | xxh128sum | cut -d' ' -f1)" = "$(jq -r .fingerprint "$j")" ]
	[ "$(jq -cS 'del(.checksum)' "$j" | tr -d '\n' | xxh128sum | cut -d' ' -f1)" = "$(jq -r .checksum "$j")" ]
}

@test "--info tells the figures" {
	rows 10 | "$pack" -q -o "$T/d"
	run "$pack" --info "$T/d"
	[ "$status" -eq 0 ]
	[[ $output == *"examples     10"* && $output == *"tokens       40"* && $output == *"targets      20"* ]]
	[[ $output == *"labels       2: 'neg' 5, 'pos' 5"* && $output == *"tokenizer    t0"* ]]
	"$pack" --info "$T/d" --json | jq -e '.examples == 10 and .lengths.max == 4 and .vocab_size == 50000
		and .labels == [{name: "neg", ids: [11], count: 5}, {name: "pos", ids: [12], count: 5}]'
}

@test "a note says what was made, -q keeps silent" {
	rows 10 > "$T/in"
	run --separate-stderr "$pack" -o "$T/d" "$T/in"
	[ -z "$output" ]
	[[ $stderr == "hone-pack: '$T/d': 10 examples, 40 tokens, 20 targets, "* ]]
	run "$pack" -q -o "$T/e" "$T/in"
	[ -z "$output" ]
}

@test "the validation part is a share of each label, stays as data grow, and is lost to neither" {
	rows 2000 | "$pack" -q -o "$T/t" --validation 0.2 --validation-output "$T/v"
	rows 1000 | "$pack" -q -o "$T/t1" --validation 0.2 --validation-output "$T/v1"
	for l in neg pos; do
		n=$("$pack" --info "$T/v" --json | jq --arg l $l '.labels[] | select(.name == $l).count')
		[ "$n" -gt 150 ] && [ "$n" -lt 250 ]
	done
	"$pack" --cat "$T/v" | jq -c 'select(.line <= 1000) | .input_ids' > "$T/part"
	"$pack" --cat "$T/v1" | jq -c .input_ids | cmp - "$T/part"
	{ "$pack" --cat "$T/t"; "$pack" --cat "$T/v"; } | jq .line | sort -n | cmp - <(seq 2000)
}

@test "--dedup keeps the first of equal rows" {
	{ rows 5; rows 7 | tail -n +2; echo '{"input_ids":[1,101,12,2]}'; } > "$T/in"
	run "$pack" -o "$T/d" --dedup "$T/in"
	[[ $output == *"4 of 12 rows left out"* ]]
	"$pack" --cat "$T/d" | jq -c '[.line, .labels[1]]' | cmp - <(printf '%s\n' '[1,-100]' '[2,-100]' '[3,-100]' \
		'[4,-100]' '[5,-100]' '[6,-100]' '[7,-100]' '[null,101]')
}

long='{"input_ids":[1,2,3,4,5,6,7,8,9,10],"labels":[-100,-100,-100,-100,-100,-100,7,8,9,10],"completion":6,"label":"x","line":3}'

@test "--overlong error is the default and names the record" {
	{ echo '{"input_ids":[1,2]}'; echo "$long"; } > "$T/in"
	mkdir "$T/x"
	fails 65 "'$T/in': record 2: it has 10 tokens, and the context is 4" "$pack" -o "$T/x/d" --context 4 "$T/in"
	[ -z "$(ls -A "$T/x")" ]
}

@test "--overlong drop, truncate and split" {
	{ echo '{"input_ids":[1,2]}'; echo "$long"; } > "$T/in"
	for p in drop truncate split; do "$pack" -q -o "$T/$p" --context 6 --overlong $p "$T/in"; done
	"$pack" --cat "$T/drop" | jq -c .input_ids | cmp - <(echo '[1,2]')
	"$pack" --cat "$T/truncate" | tail -n 1 | jq -c . | cmp - <(echo \
		'{"input_ids":[5,6,7,8,9,10],"labels":[-100,-100,7,8,9,10],"label":"x","line":3,"completion":2}')
	# Its first six tokens are all prompt: nothing could be learnt from them.
	"$pack" --cat "$T/split" | tail -n +2 | jq -c . | cmp - <(echo \
		'{"input_ids":[7,8,9,10],"labels":[7,8,9,10],"line":3}')
	jq -e '.pack | .overlong_rows == 1 and .dropped_rows == 1 and .rows == 2' "$T/drop/dataset.json"
}

@test "--overlong truncate leaves a completion its first prediction, and cuts text at its end" {
	echo "$long" | "$pack" -q -o "$T/a" --context 3 --overlong truncate
	"$pack" --cat "$T/a" | jq -c '[.input_ids, .completion]' | cmp - <(echo '[[6,7,8],1]')
	echo '{"input_ids":[1,2,3,4,5]}' | "$pack" -q -o "$T/b" --context 3 --overlong truncate
	"$pack" --cat "$T/b" | jq -c .input_ids | cmp - <(echo '[1,2,3]')
}

@test "several streams, one of them stdin" {
	rows 3 > "$T/a"
	rows 5 | jq -c 'if .header then .header.source = ["more.jsonl"] else . end' > "$T/b"
	"$pack" -q -o "$T/d" "$T/a" - < "$T/b"
	jq -e '.examples == 8 and .source == ["made.jsonl", "more.jsonl"] and .tokenizer == "t0"' "$T/d/dataset.json"
}

@test "streams of different tokenizers are refused" {
	rows 3 > "$T/a"
	rows 3 | jq -c 'if .header then .header.tokenizer = "t1" else . end' > "$T/b"
	echo '{"input_ids":[1]}' > "$T/c"
	fails 65 "'$T/b': its 'tokenizer' is \"t1\"" "$pack" -o "$T/d" "$T/a" "$T/b"
	fails 65 "'$T/c': its 'tokenizer' is unknown" "$pack" -o "$T/d" "$T/a" "$T/c"
}

@test "bad input is 65 and leaves nothing" {
	printf '{"input_ids":[1]}\n{"input_ids":[1,"2"]}\n' > "$T/in"
	fails 65 "line 2: 'input_ids'[1] is not a token id" "$pack" -o "$T/d" "$T/in"
	fails 65 "truncated after record 0" "$pack" -o "$T/d" /dev/null
	echo '{"input_ids":[70000],"header":{"vocab_size":50000}}' > "$T/in"
	fails 65 "the vocabulary ends at 49999" "$pack" -o "$T/d" "$T/in"
	[ ! -e "$T/d" ]
}

@test "ids are held against a vocabulary that is told only later" {
	printf '%s\n' '{"input_ids":[70000]}' '{"input_ids":[1],"header":{"vocab_size":50000}}' > "$T/in"
	fails 65 "token id 70000" "$pack" -o "$T/d" "$T/in"
}

@test "an empty part is an error, unless it is allowed" {
	rows 1 > "$T/in"
	fails 65 "would be empty" "$pack" -o "$T/d" --validation 0.5 --validation-output "$T/v" "$T/in"
	[ ! -e "$T/d" ] && [ ! -e "$T/v" ]
	"$pack" -q -o "$T/d" --validation 0.5 --validation-output "$T/v" --allow-empty "$T/in"
	"$pack" --verify "$T/d"
	"$pack" --verify "$T/v"
}

@test "no input is 66, an output that stands is 73" {
	rows 3 > "$T/in"
	fails 66 "cannot open '$T/none'" "$pack" -o "$T/d" "$T/none"
	fails 66 "'$T/none' does not exist; a dataset of hone-pack is wanted" "$pack" --info "$T/none"
	mkdir "$T/d"
	fails 73 "'$T/d' exists" "$pack" -o "$T/d" "$T/in"
	fails 73 "only a dataset is replaced" "$pack" --force -o "$T/d" "$T/in"
	fails 73 "cannot create" "$pack" -o "$T/none/d" "$T/in"
}

@test "--force replaces a dataset, but never one that holds an input" {
	rows 3 > "$T/in"
	"$pack" -q -o "$T/d" "$T/in"
	rows 4 > "$T/in"
	"$pack" -q --force -o "$T/d" "$T/in"
	jq -e '.examples == 4' "$T/d/dataset.json"
	mv "$T/in" "$T/d/"
	fails 73 "holds the input" "$pack" --force -o "$T/d" "$T/d/in"
	[ -e "$T/d/in" ]
}

@test "--verify: 1 and what differs" {
	rows 50 | "$pack" -q -o "$T/d"
	printf 'x' | dd of="$T/d/shard-00000.hone.zst" bs=1 seek=100 conv=notrunc status=none
	fails 1 "its hash is" "$pack" --verify "$T/d"
	rows 50 | "$pack" -q --force -o "$T/d"
	truncate -s -1 "$T/d/shard-00000.hone.zst"
	fails 1 "bytes, dataset.json says" "$pack" --verify "$T/d"
	rows 50 | "$pack" -q --force -o "$T/d"
	sed -i 's/"t0"/"t1"/' "$T/d/dataset.json"
	fails 1 "changed by hand" "$pack" --verify "$T/d"
	rm "$T/d/shard-00000.hone.zst"
	fails 65 "changed by hand" "$pack" --cat "$T/d"
}

@test "usage errors are 64" {
	fails 64 "-o DATASET is missing" "$pack"
	fails 64 "exclude each other" "$pack" -o "$T/d" --info "$T/d"
	fails 64 "one argument too many" "$pack" --cat "$T/d" "$T/e"
	fails 64 "--json goes with --info" "$pack" --cat "$T/d" --json
	fails 64 "need each other" "$pack" -o "$T/d" --validation 0.1
	fails 64 "need each other" "$pack" -o "$T/d" --validation-output "$T/v"
	fails 64 "--overlong needs --context" "$pack" -o "$T/d" --overlong drop
	fails 64 "are one output" "$pack" -o "$T/d" --validation 0.1 --validation-output "$T/d"
	fails 64 "is not one of" "$pack" -o "$T/d" --context 5 --overlong fold
}

@test "output that cannot be written is 74" {
	rows 50 | "$pack" -q -o "$T/d"
	run --separate-stderr bash -c '"$1" --cat "$2" > /dev/full' - "$pack" "$T/d"
	[ "$status" -eq 74 ]
	run --separate-stderr bash -c '"$1" --info "$2" > /dev/full' - "$pack" "$T/d"
	[ "$status" -eq 74 ]
}
