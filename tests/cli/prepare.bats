#!/usr/bin/env bats
# hone-prepare: what is read, checked, repaired and split, and every exit status.

bats_require_minimum_version 1.5.0
load lib

setup() {
  prepare=$hone_bin/hone-prepare
  cd "$BATS_TEST_TMPDIR"
}

# finding NAME: level, count and lines of a check in report.json
finding() {
  jq -c --arg name "$1" '.checks[] | select(.name == $name) | [.level, .count, .lines]' report.json
}

# prepared FILE [OPTION...]: the rows that come out, on standard output
prepared() {
  "$prepare" -q --report report.json -o - "$@"
}

# pairs N: N different prompts in three classes
pairs() {
  jq -nc --argjson n "$1" 'range($n) | {prompt: "item \(.) ->", completion: (["a", "b", "c"][. % 3])}'
}

# tokenizer DIR: a tokenizer of one token a byte, with <s> before texts and </s> as the end of text
tokenizer() {
  mkdir -p "$1"
  jq -n '["<s>", "</s>", "<|im_start|>", "<|im_end|>"] as $special
    | {added_tokens: [$special | to_entries[] | {id: .key, content: .value, special: true, single_word: false,
      lstrip: false, rstrip: false, normalized: false}], normalizer: null,
      pre_tokenizer: {type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false},
      decoder: {type: "ByteLevel"}, post_processor: {type: "TemplateProcessing",
        single: [{SpecialToken: {id: "<s>", type_id: 0}}, {Sequence: {id: "A", type_id: 0}}],
        pair: [{Sequence: {id: "A", type_id: 0}}, {Sequence: {id: "B", type_id: 1}}],
        special_tokens: {"<s>": {id: "<s>", ids: [0], tokens: ["<s>"]}}},
      model: {type: "BPE", merges: [], vocab: ([$special | to_entries[] | {key: .value, value: .key}]
        + [range(33; 127) | {key: ([.] | implode), value: .}]
        + [{key: "\u0120", value: 32}, {key: "\u010a", value: 10}] | from_entries)}}' >"$1/tokenizer.json"
  echo '{"bos_token": "<s>", "eos_token": "</s>"}' >"$1/tokenizer_config.json"
}

@test "alpaca: what was said before stays; gzip and zstd" {
  jq -nc '{instruction: "a", output: "b", history: [["c", "d"]], system: "s", source: "x"}' >a.jsonl
  [ "$(prepared a.jsonl | jq -cS .)" = "$(jq -cS '{history, input: "", instruction, output, system}' a.jsonl)" ]
  gzip -k a.jsonl
  zstd -q a.jsonl
  "$prepare" -q a.jsonl.gz
  prepared a.jsonl.zst | cmp - a.prepared.jsonl
}

@test "csv: quotes, line breaks in them, CR LF, a byte order mark, headers in another case, other columns" {
  printf '\xef\xbb\xbfText,ID,Label\r\n"one, ""two""\r\nthree",7, x \r\nfour,8,y\r\n' >a.csv
  prepared a.csv >out
  diff out - <<'EOF'
{"text": "one, \"two\"\nthree", "label": "x"}
{"text": "four", "label": "y"}
EOF
  [ "$(finding "byte order mark")" = '["repaired",0,[]]' ]
  [ "$(finding "line ends")" = '["repaired",0,[]]' ]
  [ "$(finding "columns")" = '["repaired",0,[]]' ]
  [ "$(finding "extra columns")" = '["repaired",0,[]]' ]
  [ "$(finding "label space")" = '["repaired",1,[2]]' ]
}

@test "tsv: quotes enclose fields if that makes sense of all of the file, and are characters otherwise" {
  printf 'text\tlabel\n"a\nb"\tx\n' >a.tsv
  [ "$(prepared a.tsv)" = '{"text": "a\nb", "label": "x"}' ]
  printf 'text\tlabel\n"a" b\tx\n"c\ty\n' >b.tsv
  [ "$(prepared b.tsv | jq -c .text)" = $'"\\"a\\" b"\n"\\"c"' ]
  fails 65 "goes on behind its closing quote; --quotes no" "$prepare" --quotes yes b.tsv
  cp b.tsv b.csv
  fails 65 "'b.csv': line 2: field 1 goes on behind its closing quote" "$prepare" --quotes auto b.csv
}

@test "columns by name, by number, without a header" {
  printf 'x,first\ny,second\n' >a.csv
  fails 65 "tells them, by number where it is no header (prompt=1,completion=2)" "$prepare" -q a.csv
  prepared a.csv --columns prompt=2,completion=1 | diff - <(printf '%s\n' \
    '{"prompt": "first", "completion": "x"}' '{"prompt": "second", "completion": "y"}')
  prepared a.csv --header yes --columns prompt=first --columns completion=x | diff - \
    <(echo '{"prompt": "second", "completion": "y"}')
  fails 64 "has no column 'z'" "$prepare" -q a.csv --columns prompt=z,completion=1
  fails 64 "'label' is not a field of completion records" "$prepare" -q a.csv --columns prompt=1,completion=2,label=2
  fails 64 "wanted are prompt= and completion=" "$prepare" -q a.csv --columns prompt=1
  printf 'q,a\n1,2\n' >b.csv
  fails 65 "no known columns among 'q', 'a'" "$prepare" -q b.csv --header yes
}

@test "json: a list, an object of objects, of columns, with a list in it; one record" {
  want='{"prompt": "p", "completion": "1"}'
  for text in '[{"prompt": "p", "completion": 1}]' '{"a": {"prompt": "p", "completion": 1}}' \
    '{"prompt": ["p"], "completion": [1]}' '{"prompt": {"0": "p"}, "completion": {"0": 1}}' \
    '{"version": 1, "data": [{"prompt": "p", "completion": 1}]}' '{"prompt": "p", "completion": 1}'; do
    echo "$text" >a.json
    [ "$(prepared a.json)" = "$want" ]
    [ "$(finding "values" | jq -c '.[:2]')" = '["repaired",1]' ]
  done
}

@test "json and jsonl under each other's names; lines of a list's records" {
  printf '{"text": "a"}\n{"text": "b"}\n' >a.json
  [ "$(prepared a.json | wc -l)" -eq 2 ]
  printf '[\n{"prompt": "a", "completion": "b"},\n\n{"prompt":\n"c", "completion": ""}, {"prompt": "c"}]\n' >a.jsonl
  [ "$(prepared a.jsonl)" = '{"prompt": "a", "completion": "b"}' ]
  [ "$(finding "empty completions")" = '["repaired",2,[4,5]]' ]
}

@test "txt: a line is a text; standard input" {
  printf 'one\r\n\n  \ntwo' | "$prepare" -q --format txt - -o - | diff - <(printf '{"text": "one"}\n{"text": "two"}\n')
  fails 64 "the name does not tell the format" "$prepare" -
}

@test "encodings: lines that are not UTF-8 are named; --encoding converts; UTF-16 is recognised" {
  printf 'prompt,completion\na,b\nc\xe9,d\n' >a.csv
  fails 65 "1 lines are not UTF-8" "$prepare" -q --report report.json a.csv
  [ ! -e a.prepared.jsonl ]
  [ "$(finding "encoding")" = '["error",1,[3]]' ]
  [ "$(prepared --on-error skip a.csv)" = '{"prompt": "a", "completion": "b"}' ]
  [ "$(prepared --encoding ISO-8859-1 a.csv | tail -n 1)" = '{"prompt": "cé", "completion": "d"}' ]
  printf '\xff\xfea\0\n\0' >a.txt
  fails 65 "--encoding UTF-16" "$prepare" a.txt
  [ "$(prepared --encoding UTF-16 a.txt)" = '{"text": "a"}' ]
  fails 64 "'nonesuch' is not known" "$prepare" --encoding nonesuch a.txt
}

@test "rows that cannot be read make the file unusable, or are left out" {
  printf '%s\n' '{"prompt": "a", "completion": "b"}' '{"prompt": "a"' '[1]' '{"prompt": [1], "completion": "b"}' \
    '{"prompt": "x", "prompt": "a", "completion": "b"}' >a.jsonl
  fails 65 "4 (--on-error skip leaves them out)" "$prepare" -q --report report.json a.jsonl
  [ "$(finding "malformed rows")" = '["error",4,[2,3,4,5]]' ]
  [ "$(jq .status report.json)" -eq 65 ]
  [ "$(prepared --on-error skip a.jsonl | wc -l)" -eq 1 ]
  printf 'text,label\na,b,c\nd\ne,f\n' >a.csv
  fails 65 "has more fields" "$prepare" -q --report report.json a.csv
  [ "$(finding "malformed rows")" = '["error",2,[2,3]]' ]
}

@test "duplicates, empty completions and near-empty rows" {
  printf '%s\n' '{"prompt": "aa", "completion": "b"}' '{"prompt": "aa", "completion": "b"}' \
    '{"prompt": "aa", "completion": "c"}' '{"prompt": "dd", "completion": " "}' '{"prompt": " é", "completion": "x"}' >a.jsonl
  [ "$(prepared a.jsonl | wc -l)" -eq 3 ]
  [ "$(finding "duplicates")" = '["repaired",1,[2]]' ]
  [ "$(finding "empty completions")" = '["repaired",1,[4]]' ]
  [ "$(finding "near-empty rows")" = '["warning",1,[5]]' ]
  [ "$(finding "contradictions")" = '["note",1,[3]]' ]
  [ "$(prepared a.jsonl --no-dedup --min-chars 2 | wc -l)" -eq 3 ]
  [ "$(finding "duplicates")" = '["warning",1,[2]]' ]
  [ "$(finding "near-empty rows")" = '["repaired",1,[5]]' ]
}

@test "separator, ending, space and prefixes are warned of, and changed only when asked" {
  printf '%s\n' '{"prompt": "Tell me about: x", "completion": "Sure! one"}' \
    '{"prompt": "Tell me about: y", "completion": "Sure! two"}' >a.jsonl
  prepared a.jsonl | diff - a.jsonl
  [ "$(finding "separator")" = '["warning",0,[]]' ]
  [ "$(finding "prompt prefix")" = '["warning",0,[]]' ]
  [ "$(finding "completion prefix")" = '["warning",0,[]]' ]
  [ "$(finding "completion ending")" = '["ok",0,[]]' ]
  prepared a.jsonl --strip-prefix both --separator '\n->' --completion-space --ending ' END' >b.jsonl
  diff b.jsonl <(printf '%s\n' '{"prompt": "x\n->", "completion": " one END"}' '{"prompt": "y\n->", "completion": " two END"}')
  prepared b.jsonl --separator '\n->' --completion-space --ending ' END' | diff - b.jsonl
  [ "$(finding "separator")" = '["ok",0,[]]' ]
  printf '%s\n' '{"prompt": "x -> ->", "completion": " one"}' '{"prompt": "y ->", "completion": "two"}' >c.jsonl
  prepared c.jsonl | diff - c.jsonl
  [ "$(finding "separator")" = '["warning",1,[1]]' ]
  [ "$(finding "completion space")" = '["warning",1,[1]]' ]
  fails 64 "for prompts and completions" bash -c 'echo hello | "$1" -q --format txt --ending x -' - "$prepare"
}

@test "common endings are cut between characters, not within" {
  printf '%s\n' '{"prompt": "aé", "completion": "x"}' '{"prompt": "bĩ", "completion": "y"}' >a.jsonl  # c3 a9, c4 a9
  prepared a.jsonl >out
  [ "$(finding "separator")" = '["warning",0,[]]' ]
  jq -e '.checks[] | select(.name == "separator").text | startswith("prompts end with nothing")' report.json
}

@test "upper case is warned of, and lowered when asked" {
  printf '%s\n' '{"prompt": "ÄRGER MIT Ö", "completion": "Ok"}' '{"prompt": "LAUT", "completion": "ja"}' >a.jsonl
  prepared a.jsonl | diff - a.jsonl
  [ "$(finding "upper case")" = '["warning",0,[]]' ]
  [ "$(prepared a.jsonl --lower-case prompt | head -n 1)" = '{"prompt": "ärger mit ö", "completion": "Ok"}' ]
  echo '{"text": "我用的是 USB 线"}' >b.jsonl
  prepared b.jsonl >out
  [ "$(finding "upper case")" = '["ok",0,[]]' ]
}

@test "text and label stay so, and become a pair for a separator" {
  printf 'text,label\nab,x\ncd,y\n' >a.csv
  [ "$(prepared a.csv | head -n 1)" = '{"text": "ab", "label": "x"}' ]
  [ "$(prepared a.csv --separator '\n\n###\n\n' | head -n 1)" = '{"prompt": "ab\n\n###\n\n", "completion": "x"}' ]
  printf 'text,label\nab,%0101d\n' 1 >b.csv
  fails 65 "1 labels are longer than 100 bytes" "$prepare" -q b.csv
}

@test "labels: spelling, balance, one class" {
  jq -nc 'range(12) | {text: "t\(.)", label: (["Spam", "ham", "spam"][. % 3])}' >a.jsonl
  prepared a.jsonl >out
  [ "$(finding "label spelling" | jq -r '.[0]')" = warning ]
  [ "$(finding "class balance" | jq -r '.[0]')" = warning ]
  [ "$(jq -c '[.classes[] | [.label, .rows]]' report.json)" = '[["Spam",4],["ham",4],["spam",4]]' ]
}

@test "split: every class on both sides, its share of each, no prompt on two, nothing lost" {
  { pairs 300; echo '{"prompt": "rare 1 ->", "completion": "d"}'; echo '{"prompt": "rare 2 ->", "completion": "d"}'
    echo '{"prompt": "ITEM  0 ->", "completion": "b"}'; } >a.jsonl
  "$prepare" -q a.jsonl --validation 0.1 --report report.json
  # "item 0" is there with a and with b, and both are on one side
  [ "$(jq -r .completion a.valid.jsonl | sort | uniq -c | tr -s ' \n' ' ')" = " 9 a 11 b 10 c 1 d " ]
  [ "$(jq -c . a.train.jsonl a.valid.jsonl | sort)" = "$(jq -c . a.jsonl | sort)" ]
  for part in train valid; do
    jq -r '.prompt | ascii_downcase | gsub(" +"; " ")' "a.$part.jsonl" | sort -u >"$part.prompts"
  done
  [ -z "$(comm -12 train.prompts valid.prompts)" ]
  [ "$(finding "labels of parts" | jq -r '.[0]')" = ok ]
}

@test "split: the same whatever the order of rows and the number of threads" {
  pairs 200 >a.jsonl
  tac a.jsonl >b.jsonl
  "$prepare" -q a.jsonl --validation 0.2
  "$prepare" -q b.jsonl --validation 0.2
  diff <(sort a.valid.jsonl) <(sort b.valid.jsonl)
  echo '{"prompt": "x", "completion": "y"}' >c.jsonl
  fails 65 "too few different prompts" "$prepare" -q c.jsonl --validation 0.5
  [ ! -e c.train.jsonl ]
}

@test "a validation file: leaked rows leave training, missing labels are told" {
  printf '%s\n' '{"prompt": "a b", "completion": "x"}' '{"prompt": "c", "completion": "y"}' '{"prompt": "d", "completion": "z"}' \
    '{"prompt": "e", "completion": "x"}' '{"prompt": "f", "completion": "y"}' '{"prompt": "g", "completion": "x"}' \
    '{"prompt": "h", "completion": "x"}' '{"prompt": "i", "completion": "y"}' '{"prompt": "j", "completion": "y"}' >a.jsonl
  printf '%s\n' '{"prompt": "A  b", "completion": "x"}' '{"prompt": "k", "completion": "y"}' '{"prompt": "l", "completion": "x"}' >v.jsonl
  "$prepare" -q a.jsonl --validation-file v.jsonl --report report.json
  diff a.train.jsonl <(tail -n +2 a.jsonl)
  diff a.valid.jsonl v.jsonl
  [ "$(finding "leakage")" = '["repaired",1,[1]]' ]
  jq -e '.checks[] | select(.name == "labels of parts") | .level == "warning" and (.text | test("'"'z' \\\\(validation\\\\)"'"))' \
    report.json
  "$prepare" -q a.jsonl --validation-file v.jsonl --no-dedup
  diff a.train.jsonl a.jsonl
  echo '{"text": "a"}' >w.jsonl
  fails 65 "has text records, and the training file completion records" "$prepare" -q a.jsonl --validation-file w.jsonl
}

@test "chat: every check, and what comes of it" {
  answer='{"role": "assistant", "content": "b"}'
  printf '%s\n' "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, $answer]}" \
    '{"messages": []}' \
    "{\"messages\": [{\"content\": \"a\"}, $answer]}" \
    "{\"messages\": [{\"role\": \"user\"}, $answer]}" \
    "{\"messages\": [{\"role\": \"bot\", \"content\": \"a\"}, $answer]}" \
    '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": -1}]}' \
    '{"messages": [{"role": "user", "content": "a"}]}' \
    '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}]}' \
    '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": " "}]}' \
    '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": null}]}' \
    '{"messages": [{"role": "user", "content": "c", "mood": 1}, {"role": "assistant", "content": "b", "weight": 0.5}]}' \
    "{\"messages\": [{\"role\": \"user\", \"content\": \"d\"}, $answer, {\"role\": \"user\", \"content\": \"\"}]}" \
    '{"messages": [{"role": "user", "content": "e"}, {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}]}' >a.jsonl
  fails 65 "messages: 1 without a list of messages" "$prepare" -q --report report.json a.jsonl
  [ "$(finding "messages")" = '["error",1,[2]]' ]
  [ "$(finding "message keys")" = '["error",2,[3,4]]' ]
  [ "$(finding "roles")" = '["error",1,[5]]' ]
  [ "$(finding "weights")" = '["error",1,[6]]' ]
  [ "$(finding "assistant")" = '["repaired",2,[7,8]]' ]
  [ "$(finding "empty content")" = '["repaired",2,[9,10]]' ]
  [ "$(finding "unknown keys")" = '["warning",1,[11]]' ]
  prepared --on-error skip a.jsonl | diff - <(sed -n '1p;11,13p' a.jsonl)
  prepared --on-error skip <(sed -n '1p;11,12p' a.jsonl) --format jsonl >out
  [ "$(finding "weights")" = '["warning",1,[2]]' ]
  [ "$(finding "assistant")" = '["warning",1,[3]]' ]
  [ "$(finding "empty content")" = '["warning",1,[3]]' ]
}

@test "chat: ShareGPT becomes messages, with tools" {
  jq -nc '[{tools: "[{\"name\": \"f\"}]", system: "s", conversations: [{from: "human", value: "a"},
    {from: "function_call", value: "{\"name\": \"f\", \"arguments\": {}}"}, {from: "observation", value: "1"},
    {from: "gpt", value: "b"}]}]' >a.json
  prepared a.json | jq -c . | diff - <(jq -nc '{messages: [{role: "system", content: "s"}, {role: "user", content: "a"},
    {role: "assistant", content: "", tool_calls: [{type: "function", id: "call00000", function: {name: "f", arguments: {}}}]},
    {role: "tool", content: "1", tool_call_id: "call00000"}, {role: "assistant", content: "b"}], tools: [{type: "function", function: {name: "f"}}]}')
}

@test "tokens: lengths, long rows, labels that begin alike" {
  tokenizer model
  printf '%s\n' '{"text": "abc", "label": "x1"}' '{"text": "abcdefgh", "label": "x2"}' '{"text": "d", "label": "y"}' >a.jsonl
  prepared a.jsonl -m model --max-length 17 >out  # BOS, the text, 7 of "\n\n###\n\n", the label, EOS
  [ "$(jq -c .tokens report.json)" = '{"total":44,"least":11,"median":14,"most":19}' ]
  [ "$(finding "long rows")" = '["warning",1,[2]]' ]
  jq -e '.checks[] | select(.name == "first tokens") | .level == "warning" and (.text | startswith("2 of 3 labels"))' report.json
  [ "$(prepared a.jsonl -m model --max-length 17 --overlong drop | wc -l)" -eq 2 ]
  [ "$(finding "first tokens" | jq -r '.[0]')" = ok ]
  fails 64 "needs --model" "$prepare" --max-length 4 a.jsonl
  fails 66 "none" "$prepare" -q -m none a.jsonl
}

@test "tokens: what the chat template refuses is told" {
  tokenizer model
  echo "{{ raise_exception('roles must alternate') if messages|length > 2 }}x" >strict.jinja
  printf '%s\n' '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}' >a.jsonl
  printf '%s\n' '{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}' >>a.jsonl
  "$prepare" -q a.jsonl -m model --template chatml --report report.json
  [ "$(jq .tokens.total report.json)" -gt 20 ]
  fails 65 "roles must alternate" "$prepare" -q a.jsonl -m model --template strict.jinja
}

@test "--check: 0 for what comes out, 1 for what would be changed, and nothing is written" {
  pairs 120 >a.jsonl
  "$prepare" --check a.jsonl
  { cat a.jsonl; head -n 1 a.jsonl; } >b.jsonl
  run --separate-stderr "$prepare" --check b.jsonl
  [ "$status" -eq 1 ]
  [ -z "$output" ]
  [ "$(echo *.*)" = "a.jsonl b.jsonl" ]
  "$prepare" -q b.jsonl
  "$prepare" --check b.prepared.jsonl
  fails 64 "--check writes nothing" "$prepare" --check -o x a.jsonl
}

@test "names: beside the input, in a directory, a prefix; a rerun replaces; an input is no output" {
  mkdir in out
  pairs 10 >in/a.b.jsonl
  "$prepare" -q in/a.b.jsonl
  "$prepare" -q in/a.b.jsonl -o out
  "$prepare" -q in/a.b.jsonl -o out/p --validation 0.5
  "$prepare" -q in/a.b.jsonl -o out/p --validation 0.5
  [ "$(echo in/* out/*)" = \
    "in/a.b.jsonl in/a.b.prepared.jsonl out/a.b.prepared.jsonl out/p.train.jsonl out/p.valid.jsonl" ]
  cp out/p.train.jsonl keep
  fails 73 "is an input" "$prepare" -q out/p.train.jsonl -o out/p --validation 0.5
  fails 73 "is an input" "$prepare" -q keep --format jsonl --report keep
  cmp keep out/p.train.jsonl
  fails 73 "cannot create" "$prepare" -q keep --format jsonl -o none/p
  fails 66 "cannot open 'none'" "$prepare" --format csv none
  fails 64 "exclude each other" "$prepare" keep --validation 0.1 --validation-file keep
  fails 64 "both go to standard output" "$prepare" keep -o - --report -
  run --separate-stderr bash -c '"$1" -q keep --format jsonl -o - >/dev/full' - "$prepare"
  [ "$status" -eq 74 ]
}

@test "nothing left is unusable" {
  printf 'text,label\na,\n' >a.csv
  fails 65 "no row is left" "$prepare" -q a.csv
  : >b.csv
  fails 65 "has no rows" "$prepare" -q b.csv
}

@test "the report has no control characters of the data" {
  printf 'text,label\na,\033[31mx\nb,y\n' >a.csv
  "$prepare" a.csv 2>err
  grep -qF '\x1b[31mx' err
  run ! grep -q $'\033' err
}

@test "weights: those of LLaMA-Factory, and what hone-tokenize refuses" {
  printf '%s\n' '{"messages": [{"role": "user", "content": [{"type": "text", "value": "a"}], "loss_weight": 0.0}, {"role": "assistant", "content": "b", "loss_weight": 1.0}]}' \
    '{"messages": [{"role": "user", "content": "c", "weight": 1}, {"role": "assistant", "content": "b"}]}' \
    '{"messages": [{"role": "user", "content": [{"type": "image"}]}, {"role": "assistant", "content": "b"}]}' >a.jsonl
  prepared a.jsonl --on-error skip | diff - <(head -n 1 a.jsonl)
  [ "$(finding "weights")" = '["repaired",1,[2]]' ]
  [ "$(finding "message keys")" = '["repaired",1,[3]]' ]
  [ "$(finding "unknown keys")" = '["ok",0,[]]' ]
}
