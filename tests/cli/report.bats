#!/usr/bin/env bats
# hone-report: one page that is whole by itself, text that cannot act, curves in the terminal.

bats_require_minimum_version 1.5.0
load lib

setup() {
  report=$hone_bin/hone-report
  cd "$BATS_TEST_TMPDIR" || return 1
}

# make_run DIR [STEPS [NAME]]: a run directory as hone-train leaves it; NAME stands where names of others do
make_run() {
  local dir=$1 steps=${2:-40} name=${3:-plain}
  mkdir -p "$dir/final"
  jq -n --arg name "$name" --argjson steps "$steps" '{format: "hone-run", version: 1,
    settings: {model: $name, method: "lora", "lora-r": 8, "learning-rate": 0.001, seed: 42, ($name): $name},
    base: {path: ("/models/" + $name), parameters: 7540992, fingerprint: "abc"},
    data: {train: {path: $name, examples: 10}, validation: {path: $name, fingerprint: "abc"}},
    plan: {steps_per_epoch: 10, total_steps: $steps}, hone: {version: "0", commit: $name}, machine: {threads: 2}}' >"$dir/run.json"
  jq -nc --argjson steps "$steps" 'range(1; $steps + 1) as $s | ({event: "train", step: $s, epoch: ($s / 10),
      loss: (3 / $s + 0.1), grad_norm: (2 / $s), learning_rate: 0.001, tokens: 500, tokens_per_second: 1000,
      peak_rss_bytes: 250000000},
    (select($s % 10 == 0) | {event: "eval", step: $s, epoch: ($s / 10), loss: (2 / $s + 0.2), token_accuracy: 0.5,
      "classification/accuracy": ($s / 50), "classification/intervals": {accuracy: [0.7, 0.9]}}))' >"$dir/metrics.jsonl"
  jq -nc --arg name "$name" --argjson steps "$steps" 'range(1; 31) as $i | ["a", $name] as $n
    | {step: $steps, line: $i, label: $n[$i % 2], prediction: $n[if $i % 5 == 0 then 1 - $i % 2 else $i % 2 end],
       scores: {a: 0.3, ($name): 0.7}}' >"$dir/predictions.jsonl"
}

# well_formed FILE: every element is closed in the order in which it was opened
well_formed() {
  grep -o '<[^>]*>' "$1" | sed -E 's/^<(\/?)([a-zA-Z0-9!]+).*(\/?)>$/\1\2/; ' >tags
  paste -d' ' tags <(grep -o '<[^>]*>' "$1") | awk '
    /^!/ || $1 ~ /^(meta|br|img)$/ || /\/>$/ { next }
    $1 ~ /^\// { if (stack[n--] != substr($1, 2)) { print "closes " $0 " after " stack[n + 1]; exit 1 }; next }
    { if (n > 0 || !seen++) ; stack[++n] = $1 }
    END { if (n != 0) { print n " left open: " stack[n]; exit 1 } }'
}

@test "report: a page of one run has its figures, curves, classes, mistakes and settings" {
  make_run run
  "$report" run >page.html
  head -c 15 page.html | grep -q '<!doctype html>'
  for text in '<h1>run</h1>' 'LoRA, r 8 · 40 steps' '<h3>Loss</h3>' '<h3>Accuracy</h3>' '<h3>Confusion</h3>' \
    '<h3>Calibration</h3>' 'Most confident mistakes' '6 of 6 mistakes' '95 %: 0.700–0.900' '7,540,992' '250 MB' \
    '20.0 s' '1,000</b><span>tokens per second' 'learning-rate'; do
    grep -qF "$text" page.html || { echo "lacks '$text'"; return 1; }
  done
  well_formed page.html
  [ "$(grep -c '<svg' page.html)" -ge 10 ]
}

@test "report: it loads nothing and runs nothing" {
  make_run run
  "$report" run >page.html
  run grep -niE '<script|<link|<img|<iframe|@import|url\(|src=|href=|https?:|javascript:| on[a-z]+=' page.html
  echo "$output"
  [ "$status" -eq 1 ]
  grep -q "default-src 'none'" page.html
}

@test "report: several runs are overlaid, with what differs between them" {
  make_run one
  make_run two 60
  jq '.settings."learning-rate" = 0.5' two/run.json >new && mv new two/run.json
  "$report" one two --title 'A & B' >page.html
  well_formed page.html
  grep -qF '<h1>A &amp; B</h1>' page.html
  [ "$(grep -c 'class="line c1"' page.html)" -ge 4 ]
  grep -qF '<td class="dim">learning-rate</td><td>0.001</td><td>0.5</td>' page.html
  run grep -F '<td class="dim">seed</td>' page.html
  [ "$status" -eq 1 ]
}

@test "report: text of others is text, wherever it stands" {
  evil='</title></style><script>alert(1)</script>"'"'"' onload=x &amp;'
  make_run run 40 "$evil"
  mv run "e<i>vil"
  "$report" "e<i>vil" >page.html
  well_formed page.html
  run grep -oiE '<script|<i>|onload=x [^&]' page.html
  echo "$output"
  [ "$status" -eq 1 ]
  grep -qF '&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39; onload=x &amp;amp;' page.html
  grep -qF '<h1>e&lt;i&gt;vil</h1>' page.html
  # what turns the direction of text or steers a terminal is not passed on
  make_run turn 40 "$(printf 'a\xe2\x80\xaeb\x1b[31mc')"
  "$report" turn >page.html
  LC_ALL=C.UTF-8 run grep -cP '\x{202e}|\x1b' page.html
  [ "$output" = 0 ]
  "$report" --text turn >text
  run grep -c "$(printf '\x1b')" text
  [ "$output" = 0 ]
}

@test "report: runs that cannot be right are refused with file and line" {
  make_run good
  reject() { rm -rf run; cp -r good run; }
  reject; sed -i '3s/.*/{"event": "train"/' run/metrics.jsonl
  fails 65 "'run/metrics.jsonl': line 3: column" "$report" run
  reject; sed -i '3s/.*/{"event": "train"}/' run/metrics.jsonl
  fails 65 "line 3: an event without" "$report" run
  reject; sed -i '5p' run/metrics.jsonl
  fails 65 "line 6: step 5 does not follow step 5" "$report" run
  reject; echo '[1]' >run/run.json
  fails 65 "'format' is not" "$report" run
  reject; echo '{"format": "other"}' >run/run.json
  fails 65 "'format' is not" "$report" run
  reject; echo '{"label": 1}' >>run/predictions.jsonl
  fails 65 "'run/predictions.jsonl': line 31" "$report" run
  reject; rm run/metrics.jsonl
  fails 66 "metrics.jsonl" "$report" run
  reject; rm run/metrics.jsonl; mkfifo run/metrics.jsonl
  fails 65 "not a regular file" "$report" run
  reject; rm run/run.json
  fails 66 "run.json" "$report" run
  fails 66 "does not exist; a run of hone-train is wanted" "$report" nothing
  fails 64 "RUN" "$report"
}

@test "report: odd numbers, and members of another kind, are left out" {
  make_run run
  jq '.settings = 3 | .base = [] | .plan = {steps_per_epoch: -1} | .data = "x" | .hone = null' run/run.json >new && mv new run/run.json
  jq -c 'if .step == 7 then .loss = 1e300 | .grad_norm = "x" | .tokens_per_second = -1 elif .step == 8 then .loss = -1e14
    elif .event == "eval" then .["classification/intervals"] = {accuracy: [null, "x"]} | .token_accuracy = {} else . end' \
    run/metrics.jsonl >new && mv new run/metrics.jsonl
  "$report" run >page.html
  well_formed page.html
  run grep -cE '[^a-z](nan|inf)[^a-z]' page.html
  [ "$output" = 0 ]
}

@test "report: a run without evaluations, and one that has not begun" {
  make_run run
  rm run/predictions.jsonl
  grep -v '"eval"' run/metrics.jsonl >new && mv new run/metrics.jsonl
  rm -r run/final
  "$report" run >page.html
  well_formed page.html
  grep -q 'not finished: step 40 of 40' page.html
  : >run/metrics.jsonl
  "$report" run >page.html
  well_formed page.html
  printf '{"event":"train","step":1,"lo' >run/metrics.jsonl
  "$report" run --text
}

@test "report: the text of the mistakes, out of the validation data" {
  cp -r "$BATS_TEST_DIRNAME/../../pipelines/demo.model" config
  jq '. + {hidden_size: 16, intermediate_size: 24, num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 2,
    head_dim: 8}' "$BATS_TEST_DIRNAME/../../pipelines/demo.model/config.json" >config/config.json
  head -n 40 "$BATS_TEST_DIRNAME/../../pipelines/demo.data/tickets.jsonl" | jq -c '{"text": .text, "label": .label}' >rows.jsonl
  "$hone_bin/hone-train" -q -m config -t rows.jsonl -v rows.jsonl -o run --from-scratch --method full --n-epochs 1 \
    --batch-size 10 --learning-rate 1e-3 --compute-classification-metrics --classification-n-classes 4
  "$report" run --mistakes 3 >page.html
  [ "$(grep -c 'td class="text"' page.html)" -eq 3 ]
  line=$(grep -o '<td class="n dim">[0-9]*</td>' page.html | head -n 1 | tr -dc 0-9)
  text=$(sed -n "${line}p" rows.jsonl | jq -r .text)
  grep 'td class="text"' page.html | head -n 1 | grep -qF ">$text</td>"
  # other data than those that the run was validated on are not shown
  jq '.data.validation.fingerprint = "0"' run/run.json >new && mv new run/run.json
  "$report" run >page.html
  grep -q 'Their text is not shown' page.html
}

@test "report: curves in the terminal, in braille or in letters" {
  make_run one
  make_run two 60
  LC_ALL=C.UTF-8 "$report" --text one two >utf8
  LC_ALL=C "$report" --text one two >ascii
  grep -q 'Training loss   a 0.175 b\|Training loss   a ' utf8
  [ "$(LC_ALL=C.UTF-8 grep -cP '[\x{2801}-\x{28ff}]' utf8)" -gt 20 ]
  LC_ALL=C run grep -cP '[^\x00-\x7f]' ascii
  [ "$output" = 0 ]
  grep -q '|.*aa' ascii && grep -q '|.*bb' ascii
  LC_ALL=C.UTF-8 "$report" --text --width 60 one >narrow
  [ "$(LC_ALL=C.UTF-8 wc -L <narrow)" -eq 60 ]
}

@test "report: output replaces nothing unless told to" {
  make_run run
  echo mine >page.html
  fails 73 "exists" "$report" run -o page.html
  [ "$(cat page.html)" = mine ]
  "$report" run -f -o page.html
  grep -q doctype page.html
}
