#!/bin/sh
# How fast text becomes tokens: hone-tokenize as a whole on one and two threads, and each of its stages by itself.
# The text is English, Chinese and C in line records. MB/s count its bytes against processor time (one thread) or
# elapsed time (-j 2); a machine that does other things besides makes the latter worse.
set -eu
usage='usage: tests/bench/tokenize.sh [-b PROGRAMS] [-o OBJECTS] [-s SHARED] [TOKENIZER...]'
bin=. objects=build/release shared=../shared
while getopts b:o:s: c; do
	case $c in
	b) bin=$OPTARG ;;
	o) objects=$OPTARG ;;
	s) shared=$OPTARG ;;
	*) echo "$usage" >&2; exit 64 ;;
	esac
done
shift $((OPTIND - 1))
data=$shared/data
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT INT TERM

english_and_chinese() {
	if [ -d "$data/chat" ]; then
		jq -r '.[] | .instruction, .input, .output' "$data"/chat/alpaca_en_demo.json "$data"/chat/alpaca_zh_demo.json
		jq -r '.[].conversations[].value' "$data"/chat/glaive_toolcall_en_demo.json
		jq -r '.prompt + .completion' "$data"/tasks/*/train.jsonl
		cat "$data"/raw/*
		return
	fi
	# Words of 2 to 9 letters and phrases of 4 to 15 characters, each kind drawn by the same rule every time.
	awk 'function draw(n) { seed = (seed * 16807) % 2147483647; return seed % n }
	function word(  n, w) { for (n = 2 + draw(8); n; n--) w = w substr("etaoinshrdlucmfw", 1 + draw(16), 1); return w }
	function phrase(  n, w) { for (n = 4 + draw(12); n; n--) w = w han[draw(512)]; return w }
	BEGIN {
		seed = 1
		for (i = 0; i < 512; i++) han[i] = sprintf("%c%c%c", 228 + int(i / 128), 184 + int(i / 64) % 8, 128 + i % 64)
		for (i = 0; i < 4096; i++) { en[i] = word(); zh[i] = phrase() }
		for (line = 0; line < 24000; line++) {
			s = ""
			for (n = 4 + draw(20); n; n--)
				s = s (line % 2 ? zh[int(draw(4096) * draw(4096) / 4096)] "，" : en[int(draw(4096) * draw(4096) / 4096)] " ")
			print s
		}
	}' | LC_ALL=C cat
}

# Lines with words or phrases in them: any tokenizer makes more than one token of each.
lines() {
	{
		LC_ALL=C english_and_chinese
		cat lib/*/*.c lib/*/*.h tools/*/*.c tests/*/*.c
	} | jq -Rc 'select(length > 12 and test("[A-Za-z]{2}.* .*[a-z]|[一-龥]{2}")) | {text: .}'
}

# Seconds that a run takes: "PROCESSOR ELAPSED", the least of three.
run() {
	for _ in 1 2 3; do
		{ time -p "$bin/hone-tokenize" -q --no-eos --format text "$@" >/dev/null; } 2>&1 |
			awk '$1 == "real" { r = $2 } $1 == "user" || $1 == "sys" { p += $2 } END { print p, r }'
	done | awk 'NR == 1 || $1 < p { p = $1 } NR == 1 || $2 < r { r = $2 } END { print p, r }'
}

lines >"$tmp/text.jsonl"
words=0
for word in a ' ' 中; do  # one word of 1 MB each
	words=$((words + 1))
	yes "$word" | head -n 1000000 | tr -d '\n' | head -c 1000000 | iconv -c -f utf8 -t utf8 | jq -Rsc '{text: .}' \
		>"$tmp/word-$words.jsonl"
done
if [ $# -eq 0 ]; then
	for t in gpt2 llama3.1 qwen3 smollm2 llama2 mistral-v0.3; do
		[ ! -d "$data/tokenizers/$t" ] || set -- "$@" "$data/tokenizers/$t"
	done
fi
[ $# -gt 0 ] || { echo "$usage" >&2; echo "tests/bench/tokenize.sh: no '$data/tokenizers': name a tokenizer" >&2; exit 64; }

printf '%-14s %9s %9s %9s   %-35s %s\n' tokenizer 'MB/s -j1' 'MB/s -j2' 'load, s' 'share of load, JSON, encode, write' \
	'1 MB of a, spaces, 中, s'
for t do
	name=$(basename "$t")
	one=$(run -j 1 -m "$t" "$tmp/text.jsonl")
	two=$(run -j 2 -m "$t" "$tmp/text.jsonl")
	words=
	for w in 1 2 3; do
		words="$words $(run -j 1 -m "$t" "$tmp/word-$w.jsonl" | cut -d ' ' -f 1)"
	done
	"$objects/tests/bench/tokenize_stages" "$t" "$tmp/text.jsonl" 2>&1 >/dev/null |
		jq -c --arg name "$name" --arg one "${one% *}" --arg two "${two#* }" --arg words "${words# }" '{tokenizer: $name} + . + {
			words: $words,
			mb_s_1: (.text_bytes / 1e6 / ($one | tonumber)), mb_s_2: (.text_bytes / 1e6 / ([$two | tonumber, 0.01] | max))}' \
			>>"$tmp/results.jsonl"
	tail -n 1 "$tmp/results.jsonl" | jq -r '(.load + .json + .encode + .write) as $all |
		[.tokenizer, .mb_s_1, .mb_s_2, .load, (.load, .json, .encode, .write | 100 * . / $all), .words] | @tsv' |
		awk -F '\t' '{
			share = sprintf("%.0f %%, %.0f %%, %.0f %%, %.0f %%", $5, $6, $7, $8)
			printf "%-14s %9.1f %9.1f %9.3f   %-35s %s\n", $1, $2, $3, $4, share, $9
		}'
done
jq -cs '{bench: "tokenize", results: map(map_values(if type == "number" then . * 1000 | round / 1000 else . end))}' \
	"$tmp/results.jsonl"
