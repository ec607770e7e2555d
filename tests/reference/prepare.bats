#!/usr/bin/env bats
# hone-prepare on the raw data. Counts, lines and hashes of the outputs were made with Python's csv and json modules.

setup() {
  prepare=${HONE_BIN:-.}/hone-prepare
  cd "$BATS_TEST_DIRNAME/../.." || return 1
  raw=../shared/data/raw
  chat=../shared/data/chat
  T=$BATS_TEST_TMPDIR
}

# finding NAME: level, count and lines of a check
finding() {
  jq -c --arg name "$1" '.checks[] | select(.name == $name) | [.level, .count, .lines]' "$T/report"
}

# md5 FILE [OPTION...]: of what comes out
md5() {
  "$prepare" -q --report "$T/report" -o - "$@" | md5sum | cut -d ' ' -f 1
}

@test "toutiao: line breaks within quotes, a third column, duplicates" {
  [ "$(md5 "$raw"/toutiao-dev.csv)" = 87ad715f1ac62f9ee4c6b419b73177b2 ]
  [ "$(finding duplicates)" = '["repaired",10,[444,720,1142,1196,1234]]' ]
  jq -e '.rows == 999 and .rows_left == 989 and (.classes | length) == 15 and .classes[0] ==
    {label: "news_car", rows: 113, training: 113, validation: 0} and .classes[14].rows == 2' "$T/report"
  jq -e '.checks[] | select(.name == "extra columns").text == "left out: '"'keywords'"'"' "$T/report"
}

@test "banking77: CR LF, text of several lines, 77 classes" {
  [ "$(md5 "$raw"/banking77-train.csv)" = c90591d4a0a15fea5a3fb76c53c08e96 ]
  [ "$(finding duplicates)" = '["ok",0,[]]' ]
  jq -e '.rows == 10003 and (.classes | length) == 77 and .classes[0].rows == 187 and .classes[76].rows == 35' "$T/report"
  jq -e '.checks[] | select(.name == "line ends").text == "10004 were CR LF"' "$T/report"
}

@test "sms: quotes that are characters, no header, columns by number" {
  [ "$(md5 "$raw"/sms.tsv --columns prompt=2,completion=1)" = b9dd275d96d58b15b478edf3f2e38bd3 ]
  [ "$(finding duplicates)" = '["repaired",403,[104,155,208,224,327]]' ]
  jq -e '.rows == 5574 and (.classes | map([.label, .rows])) == [["ham", 4518], ["spam", 653]]' "$T/report"
}

@test "tnews: no header" {
  [ "$(md5 "$raw"/tnews-1500.tsv --columns text=1,label=2)" = 36fe48e26121c8bc6c7b89f28b49ae47 ]
  [ "$(finding duplicates)" = '["repaired",14,[232,382,468,595,675]]' ]
  jq -e '.rows == 1500 and (.classes | length) == 15 and .classes[14].rows == 6' "$T/report"
}

@test "a split gives each class its share, rounded, and one at least" {
  for file in toutiao-dev banking77-train; do
    "$prepare" -q "$raw"/$file.csv --validation 0.1 -o "$T/x" --report "$T/report"
    jq -e '.classes | all(.validation == ([1, (.rows * 0.1 + 0.5 | floor)] | max))' "$T/report"
    jq -e '.rows_left == (.outputs | map(.rows) | add)' "$T/report"
    jq -e '.checks[] | select(.name == "labels of parts").level == "ok"' "$T/report"
    [ "$(jq -r .text "$T/x.train.jsonl" "$T/x.valid.jsonl" | wc -c)" -eq "$("$prepare" -q "$raw"/$file.csv -o - | jq -r .text | wc -c)" ]
  done
}

@test "labels that begin alike, and lengths, under a model" {
  [ -d ../shared/data/tokenizers/qwen3 ]
  "$prepare" -q "$raw"/toutiao-dev.csv -o "$T/x" --report "$T/report" -m ../shared/data/tokenizers/qwen3 --max-length 40
  jq -e '.checks[] | select(.name == "first tokens") | .level == "warning" and (.text | startswith("14 of 15 labels"))' \
    "$T/report"
  "${HONE_BIN:-.}/hone-tokenize" -q -m ../shared/data/tokenizers/qwen3 --jsonl "$T/x.prepared.jsonl" >"$T/tokens"
  jq -es 'map(.input_ids | length) as $n | $report[0].tokens == {total: ($n | add), least: ($n | min), median: ($n | sort
    | .[length / 2 | floor]), most: ($n | max)} and ([$report[0].checks[] | select(.name == "long rows").count] ==
    [$n | map(select(. > 40)) | length])' --slurpfile report "$T/report" "$T/tokens"
}

@test "chat data: what comes out is as good as what is there" {
  "$prepare" -q "$chat"/openai_chat_fluid_train.jsonl -o "$T/x" --report "$T/report"
  [ "$(finding "empty content")" = '["repaired",1,[202]]' ]
  [ "$(finding duplicates)" = '["repaired",1,[212]]' ]
  diff <(jq -c . "$T/x.prepared.jsonl") <(sed '202d;212d' "$chat"/openai_chat_fluid_train.jsonl | jq -c .)
  "$prepare" -q "$chat"/glaive_toolcall_en_demo.json -o "$T/y" --report "$T/report"
  jq -e '.rows == 300 and .rows_left == 265' "$T/report"
  jq -es '[.[].messages[] | select(.tool_calls)] | length > 0 and all(.content == "")' "$T/y.prepared.jsonl"
  "$prepare" --check -q "$T/y.prepared.jsonl"
  # hone-tokenize reads ShareGPT, too: the ids are the same
  "$prepare" -q "$chat"/glaive_toolcall_en_demo.json --no-dedup -o "$T/all"
  for file in "$chat"/glaive_toolcall_en_demo.json "$T/all.prepared.jsonl"; do
    "${HONE_BIN:-.}/hone-tokenize" -q -m ../shared/data/tokenizers/qwen3 --jsonl "$file" | jq -c '[.input_ids, .labels]' | md5sum
  done | uniq | wc -l | grep -qx 1
  "$prepare" -q "$chat"/llama-chinese-dev_sft.csv -o "$T/z" --report "$T/report"
  jq -e '.rows == 200 and .rows_left == 200 and .form == "text"' "$T/report"
}
