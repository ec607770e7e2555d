#!/usr/bin/env bats
# Damaged and hostile files: every reader says so, with status and file, takes no more memory than the file justifies, and
# never takes one for another where a hash covers it. In more detail in tests/slow/damage.bats; found by chance in
# tests/cli/fuzz.bats.

bats_require_minimum_version 1.5.0
load lib
load damage

setup_file() {
  export top=$PWD damage=$PWD/${HONE_BUILD:-build/release}/tests/fuzz/damage files=$BATS_FILE_TMPDIR/files
  small_files "$files"
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  counts=$BATS_TEST_TMPDIR/counts
  : >counts
}

@test "damage: every cut and a flipped bit of every byte of a small file of each format" {
  cp -r "$files" files
  cd files
  each_damage
}

@test "damage: the test tells a reader that takes one file for another" {
  cp -r "$files" files
  run damaged 'cuts: N refused, N same, 0 other; changes: N refused, N same, 0 other; statuses N' records files/lines.jsonl
  [ "$status" -ne 0 ]
}

# refused STATUS TEXT KIND PATH: within little memory (tests/fuzz/damage.c)
refused() {
  run --separate-stderr "$damage" -r "$3" "$4"
  echo "$4: $output $stderr"
  [ "$status" -eq 0 ]
  [[ "$output" == "$1 "*"'$4"*"$2"* ]]
}

# tensors HEADER [BYTES]: a safetensors file
tensors() {
  local n=${#1}
  printf "\\x$(printf %02x $((n & 255)))\\x$(printf %02x $((n >> 8 & 255)))\\x$(printf %02x $((n >> 16)))\\0\\0\\0\\0\\0%s" "$1"
  head -c "${2:-4}" /dev/zero
}

# brackets N: so many, never closed
brackets() {
  head -c "$1" /dev/zero | tr '\0' '['
}

@test "lies: safetensors, whose sizes overflow, run past the file, or stand twice" {
  printf '\0\0\0\0\0\0\0\200{}' >header
  refused 65 "a header of 9223372036854775808 bytes" safetensors header
  printf '\0\0\0\0\0\1\0\0{}' >header
  refused 65 "a header of 1099511627776 bytes" safetensors header
  printf '\377\340\365\5\0\0\0\0{}' >header
  refused 65 "a header of 99999999 bytes in a file of 10" safetensors header
  while read -r text shape offsets; do  # what the message has right behind "tensor 'a': "
    tensors '{"a":{"dtype":"F32","shape":'"$shape"',"data_offsets":'"$offsets"'}}' >lie
    refused 65 "'$text" safetensors lie
  done <<'END'
shape' [9223372036854775808] [0,4]
shape' [9223372036854775807] [0,4]
shape' [4294967296,4294967296] [0,0]
shape' [4611686018427387905] [0,4]
shape' [99999999999999999999] [0,4]
shape' [-1,-1] [0,4]
shape' [1.0] [0,4]
data_offsets [1] [9223372036854775804,9223372036854775808]
data_offsets [1] [-4,0]
END
  one='{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
  tensors "{\"a\":$one,\"a\":$one}" >lie
  refused 65 "duplicate object key" safetensors lie
  tensors "{\"a\":$one,\"b\":$one}" >lie
  refused 65 "tensor 'b' begins at byte 0, where 4 is due" safetensors lie
  tensors "{\"a\\u0000b\":$one}" >lie
  refused 65 "NUL" safetensors lie
  tensors "{\"a\\ud800\":$one}" >lie
  refused 65 "Unicode" safetensors lie
  tensors "{\"a\":$(brackets 100000)" >lie
  refused 65 "depth" safetensors lie
}

@test "lies: an index that leads out of its directory" {
  for name in ../x.safetensors /etc/passwd sub/x.safetensors a/../b . .. "" 'x\u0000y'; do
    rm -rf w
    cp -r "$files/weights" w
    cp w/model-00001-of-00002.safetensors x.safetensors
    printf '{"weight_map":{"a":"%s"}}' "$name" >w/model.safetensors.index.json
    refused 65 "not mapped to a plain file name" weights w
  done
  cp -r "$files/data" d
  jq '.shards[0].file = "../d/shard-00000.hone.zst"' "$files/data/dataset.json" >d/dataset.json
  refused 65 "its checksum is" dataset d
  sum=$(jq -cSj 'del(.checksum)' d/dataset.json | xxh128sum | cut -d ' ' -f 1)
  jq --arg sum "$sum" '.checksum = $sum' d/dataset.json >x
  mv x d/dataset.json
  refused 65 "'file' is '../d/shard-00000.hone.zst', not" dataset d
}

@test "lies: configurations and tokenizers of absurd sizes" {
  mkdir c a
  while read -r member value; do
    jq -c "del(.$member)" "$files/config/config.json" | awk -v member="$member" -v value="${value//\\/\\\\}" \
      '{ sub(/}$/, ""); print $0 ",\"" member "\":" value "}" }' >c/config.json
    refused 78 "'$member'" config c
  done <<'END'
num_hidden_layers 2147483647
vocab_size 2147483647
hidden_size 9223372036854775807
intermediate_size 99999999999999999999
model_type "ll\u0000ama"
END
  for text in "$(brackets 100000)" '{"model_type":"llama","model_type":"gpt2"}' '{"model_type":"ll\ud800ama"}'; do
    printf '%s' "$text" >c/config.json
    refused 65 "line 1, column" config c
  done
  cp "$files/adapter/adapter_model.safetensors" a
  for r in 2147483647 9223372036854775807 99999999999999999999; do
    sed "s/\"r\":2/\"r\":$r/" "$files/adapter/adapter_config.json" >a/adapter_config.json
    refused 78 "'r' is" adapter a
  done
  for id in 2147483647 200000000 99999999999999999999 -1; do
    sed "s/\"h\":1,/\"h\":$id,/" "$files/tokenizer.json" >t.json
    refused 78 "'vocab'" tokenizer t.json
  done
  { printf '{"model":'; brackets 100000; } >t.json
  refused 65 "depth" tokenizer t.json
  printf '\012\377\377\377\377\377\377\377\377\177' >x.model
  refused 78 'not a SentencePiece model' tokenizer x.model
}

@test "lies: streams, records and predictions" {
  while read -r text bytes; do
    printf "HONETOK1$bytes" >x
    refused 65 "${text//_/ }" tokens x
  done <<'END'
4294967295_bytes \377\377\377\377{}
truncated \0\0\0\4{}
END
  for kind in predictions generations records tokens; do
    brackets 100000 >x
    refused 65 "" "$kind" x
    printf '{"label":"a","label":"a"}' >x
    refused 65 "" "$kind" x
    printf '{"label":"a\\ud800"}' >x
    refused 65 "" "$kind" x
  done
  for row in '{"input_ids":[99999999999999999999]}' '{"input_ids":[1,2],"completion":9223372036854775807}' \
    '{"input_ids":[1,2],"label":"a\u0000b"}'; do
    echo "$row" >x
    refused 65 "line 1" tokens x
  done
  # a window of 2 GiB, and 200 MB of white space in 7 kB: the first is refused, the second is read through
  { printf '{"a":"'; head -c 5000000 /dev/zero | tr '\0' ' '; } | zstd -q --ultra --long=31 --zstd=wlog=31 --no-content-size >x
  refused 65 "a window above 128 MiB" records x
  head -c 200000000 /dev/zero | tr '\0' ' ' | zstd -q >x
  run "$damage" -r records x
  [ "$output" = read ]
  refused 65 "a line is longer than" predictions x
}

@test "whole tools on damaged files end with one line and the status of the kind" {
  tok=$hone_bin/hone-tokenize pack=$hone_bin/hone-pack
  head -c 700 "$files/tokens" >short
  fails 65 "'short': truncated after record" "$pack" -o out short
  cp -r "$files/data" data
  printf x | dd of=data/shard-00000.hone.zst bs=1 seek=50 conv=notrunc status=none
  fails 1 "shard-00000" "$pack" --verify data
  fails 65 "shard-00000" "$pack" --cat data
  mkdir m
  head -c 300 "$files/tokenizer.json" >m/tokenizer.json
  fails 65 "m/tokenizer.json" "$tok" -m m "$files/lines.jsonl"
  cp -r "$files/config" base
  head -c 400 "$files/model.safetensors" >base/model.safetensors
  fails 65 "base/model.safetensors" "$hone_bin/hone-merge" -m base -a "$files/adapter" -o merged
  fails 65 "base/model.safetensors" "$hone_bin/hone-train" -q -m base -t "$files/data" -o run
  echo '{"label":"a","prediction"' >p.jsonl
  fails 65 "'p.jsonl'" "$hone_bin/hone-eval" --metrics p.jsonl
  [ ! -e out ] && [ ! -e merged ]
}

@test "an input is not an output: refused, and left as it is" {
  mkdir here
  cd here
  cp "$files/lines.jsonl" in.jsonl
  cp -r "$files/config" base
  cp "$files/model.safetensors" base
  cp -r "$files/adapter" adapter
  cp "$files/tokenizer.json" base
  echo '{"label":"a","prediction":"b"}' >predictions.jsonl
  cp -r "$files/data" data
  ln -s in.jsonl link
  find . -type f | sort | xargs xxh128sum >../before
  tok=("$hone_bin/hone-tokenize" -m "$top/pipelines/demo.model")
  fails 73 "'in.jsonl' is input and output" "${tok[@]}" -o in.jsonl in.jsonl
  fails 73 "'in.jsonl' is input and output" "${tok[@]}" --force -o in.jsonl in.jsonl
  fails 73 "'link' is input and output" "${tok[@]}" --force -o link in.jsonl
  fails 73 "'./in.jsonl' is input and output" "${tok[@]}" --force -o ./in.jsonl link
  fails 73 "holds the input" "$hone_bin/hone-pack" --force -o in.jsonl in.jsonl
  for out in base adapter; do
    run "$hone_bin/hone-merge" --force -m base -a adapter -o "$out"
    [ "$status" -eq 64 ]
    [[ "$output" == *"'$out' is input and output"* ]]
  done
  fails 73 "is not a run of hone-train" "$hone_bin/hone-train" -q -m base -t "$files/data" -o base
  fails 73 "'data/dataset.json' is input and output" "$hone_bin/hone-eval" -q -m base --force --predictions data/dataset.json data
  find . -type f | sort | xargs xxh128sum | diff - ../before
}

@test "a report does not take the place of what it is made of" {
  mkdir run
  sed -n '1,/^=====$/{/^=====$/!p;}' "$top/tests/fuzz/corpus/report/plain" >run/run.json
  awk -v RS="\n=====\n" "NR == 2" "$top/tests/fuzz/corpus/report/plain" | sed "/^$/d" >run/metrics.jsonl
  for f in run.json metrics.jsonl; do
    fails 73 "'run/$f' is input and output" "$hone_bin/hone-report" --force -o "run/$f" run
  done
  "$hone_bin/hone-report" -o run/report.html run
  "$hone_bin/hone-report" --force -o run/report.html run
}

@test "a pipe in the place of a file that is mapped or read at places is refused, not waited for" {
  cp -r "$files/weights" w
  rm w/model-00001-of-00002.safetensors
  mkfifo w/model-00001-of-00002.safetensors
  refused 66 "is not a regular file" weights w
  cp -r "$files/data" d
  rm d/shard-00000.hone.zst
  mkfifo d/shard-00000.hone.zst
  refused 66 "is not a regular file" dataset d
  cp -r "$files/checkpoint" k
  rm k/adapter_model.safetensors
  mkfifo k/adapter_model.safetensors
  refused 65 "is damaged" checkpoint k
}
