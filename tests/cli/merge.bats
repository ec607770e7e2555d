# hone-merge on a model of four tensors and adapters of ones.

setup() {
  merge="$(cd "${HONE_BIN:-.}" && pwd)/hone-merge"
  helpers="$(cd "${HONE_HELPERS:-build/release/tests/helpers}" && pwd)"
  cd "$BATS_TEST_TMPDIR"
  mkdir in out
  make_base in/base
  make_adapter in/adapter
}

# le64 N: N as eight little-endian bytes
le64() {
  local i n=$1
  for i in 1 2 3 4 5 6 7 8; do
    printf "\\x$(printf %02x $((n & 255)))"
    n=$((n >> 8))
  done
}

# floats N BYTES: N times the four bytes of one number
floats() {
  local i
  for ((i = 0; i < $1; i++)); do printf "$2"; done
}
one='\x00\x00\x80\x3f'
two='\x00\x00\x00\x40'
nan='\x00\x00\xc0\x7f'

# tensors FILE HEADER < DATA
tensors() {
  { le64 ${#2}; printf %s "$2"; cat; } > "$1"
}

# q is [2, 3] of ones, embedding and head [2, 2] of twos, counts [2] of I64
make_base() {
  mkdir "$1"
  echo '{"model_type": "llama", "torch_dtype": "float32", "tie_word_embeddings": false}' > "$1/config.json"
  echo '{"version": "1.0"}' > "$1/tokenizer.json"
  { floats 6 "$one"; floats 8 "$two"; floats 4 "$one"; } | tensors "$1/model.safetensors" '{
    "model.q.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "model.embed_tokens.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [24, 40]},
    "lm_head.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [40, 56]},
    "model.counts": {"dtype": "I64", "shape": [2], "data_offsets": [56, 72]}}'
}

# adapter_header MODULE: A [2, 3] and B [2, 2]
adapter_header() {
  echo '{
    "base_model.model.'"$1"'.lora_A.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "base_model.model.'"$1"'.lora_B.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [24, 40]}}'
}

# rank 2, alpha 2: every element of the delta is 2
make_adapter() {
  mkdir "$1"
  echo '{"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["q"]}' > "$1/adapter_config.json"
  floats 10 "$one" | tensors "$1/adapter_model.safetensors" "$(adapter_header model.q)"
}

# an adapter of ones on a [2, 2] module
make_square_adapter() {
  mkdir "$1"
  echo '{"peft_type": "LORA", "r": 2, "lora_alpha": 2}' > "$1/adapter_config.json"
  floats 8 "$one" | tensors "$1/adapter_model.safetensors" '{
    "base_model.model.'"$2"'.lora_A.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
    "base_model.model.'"$2"'.lora_B.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [16, 32]}}'
}

tie_base() {
  echo '{"model_type": "llama", "tie_word_embeddings": true}' > in/base/config.json
  floats 10 "$two" | tensors in/base/model.safetensors '{
    "model.embed_tokens.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
    "model.q.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [16, 40]}}'
}

# The numbers of an output file's data, first tensor first
numbers() {
  local n
  n=$(od -An -tu8 -N8 "$1")
  tail -c +$((n + 9)) "$1" | od -An -v -tf4 -w4 | tr -d ' ' | paste -sd' '
}

header() {
  head -c $(($(od -An -tu8 -N8 "$1") + 8)) "$1" | tail -c +9
}

# fails STATUS TEXT ARG...: ends with that status and text, in one line, and leaves nothing behind
fails() {
  local want=$1 text=$2
  shift 2
  run "$merge" "$@"
  echo "$status: $output"
  [ "$status" -eq "$want" ]
  [[ "$output" == *"$text"* ]]
  [ "${#lines[@]}" -le 2 ]
  [ -z "$(ls -A out)" ]
}

default=(-m in/base -a in/adapter -o out/merged)

@test "merge: numbers, order, untouched tensors and files beside" {
  echo weights > in/base/pytorch_model.bin
  echo text > in/base/LICENSE
  run "$merge" "${default[@]}"
  [ "$status" -eq 0 ]
  [[ "$output" == *"4 tensors, 1 merged, 0 replaced"* ]]
  numbers out/merged/model.safetensors | grep -q '^3 3 3 3 3 3 2 2 2 2 2 2 2 2 '
  cmp <(tail -c 16 out/merged/model.safetensors) <(tail -c 16 in/base/model.safetensors)
  cmp out/merged/config.json in/base/config.json
  cmp out/merged/tokenizer.json in/base/tokenizer.json
  [ "$(ls out/merged | tr '\n' ' ')" = "LICENSE config.json manifest.xxh128 model.safetensors provenance.json tokenizer.json " ]
  header out/merged/model.safetensors | jq -e '.__metadata__.format == "pt"'
  [ "$(ls -A out)" = merged ]
}

@test "merge: adapters add, by weight" {
  cp -r in/adapter in/second=3
  run "$merge" -q -m in/base -a in/adapter=0.5 -a in/second=3 -a in/adapter=-0.25 -o out/merged
  [ "$status" -eq 0 ]
  [ -z "$output" ]
  numbers out/merged/model.safetensors | grep -q '^3.5 3.5 3.5 3.5 3.5 3.5 2 '
}

@test "merge: --dtype converts floating tensors and says so in config.json" {
  "$merge" -q "${default[@]}" --dtype bfloat16
  header out/merged/model.safetensors | jq -e '."model.q.weight".dtype == "BF16" and ."model.counts".dtype == "I64"'
  jq -e '.torch_dtype == "bfloat16" and .model_type == "llama" and (has("dtype") | not)' out/merged/config.json
  [ "$(tail -c 44 out/merged/model.safetensors | head -c 2 | od -An -tx1)" = " 40 40" ]
}

@test "merge: a sharded base stays sharded; links are followed" {
  mv in/base/model.safetensors in/blob
  ln -s ../blob in/base/model-00001-of-00001.safetensors
  echo '{"metadata": {"total_size": 1}, "weight_map": {
    "model.q.weight": "model-00001-of-00001.safetensors",
    "lm_head.weight": "model-00001-of-00001.safetensors"}}' > in/base/model.safetensors.index.json
  "$merge" -q "${default[@]}"
  [ ! -L out/merged/model-00001-of-00001.safetensors ]
  jq -e '.metadata.total_size == 40 and (.weight_map | length) == 2' out/merged/model.safetensors.index.json
  [ "$(numbers out/merged/model-00001-of-00001.safetensors)" = "3 3 3 3 3 3 2 2 2 2" ]
  "$merge" -q "${default[@]}" --verify
}

@test "merge: names with and without the model's prefix" {
  floats 10 "$one" | tensors in/adapter/adapter_model.safetensors "$(adapter_header transformer.model.q)"
  "$merge" -q "${default[@]}"
  numbers out/merged/model.safetensors | grep -q '^3 3 3 3 3 3 2 '
  floats 10 "$one" | tensors in/adapter/adapter_model.safetensors "$(adapter_header q)"
  "$merge" -q "${default[@]}" --verify
}

@test "merge: DoRA scales outputs, which are columns with fan_in_fan_out" {
  echo '{"peft_type": "LORA", "r": 2, "lora_alpha": 2, "use_dora": true, "fan_in_fan_out": true}' \
    > in/adapter/adapter_config.json
  { floats 10 "$one"; floats 1 "$one"; floats 1 "$two"; floats 1 "$one"; } |
    tensors in/adapter/adapter_model.safetensors '{
      "base_model.model.q.lora_A.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
      "base_model.model.q.lora_B.weight": {"dtype": "F32", "shape": [3, 2], "data_offsets": [16, 40]},
      "base_model.model.q.lora_magnitude_vector": {"dtype": "F32", "shape": [3], "data_offsets": [40, 52]}}'
  "$merge" -q "${default[@]}"
  numbers out/merged/model.safetensors | grep -q '^0.70710[0-9]* 1.41421[0-9]* 0.70710[0-9]* 0.70710[0-9]* 1.41421'
  rm -r out/merged
  fails 78 "DoRA cannot be weighted" -m in/base -a in/adapter=2 -o out/merged
  fails 78 "DoRA cannot be added" -m in/base -a in/adapter -a in/adapter -o out/merged
}

@test "merge: an embedding's halves are the other way round" {
  tie_base
  echo '{"tie_word_embeddings": false}' > in/base/config.json
  { floats 2 "$one"; floats 2 "$two"; floats 1 "$one"; floats 1 "$two"; } | tensors in/base/model.safetensors '{
    "model.embed_tokens.weight": {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]}}'
  echo '{"peft_type": "LORA", "r": 1, "lora_alpha": 1}' > in/adapter/adapter_config.json
  { floats 2 "$one"; floats 1 "$two"; floats 1 "$one"; floats 1 "$two"; } |
    tensors in/adapter/adapter_model.safetensors '{
      "base_model.model.model.embed_tokens.lora_embedding_A":
        {"dtype": "F32", "shape": [1, 3], "data_offsets": [0, 12]},
      "base_model.model.model.embed_tokens.lora_embedding_B":
        {"dtype": "F32", "shape": [2, 1], "data_offsets": [12, 20]}}'
  "$merge" -q "${default[@]}"
  [ "$(numbers out/merged/model.safetensors)" = "2 3 3 4 3 6" ]
}

@test "merge: the delta of a 16-bit adapter is rounded before it is added" {
  echo '{"peft_type": "LORA", "r": 2, "lora_alpha": 2.02}' > in/adapter/adapter_config.json
  "$merge" -q "${default[@]}"
  numbers out/merged/model.safetensors | grep -q '^3.02 '
  for ((i = 0; i < 10; i++)); do printf '\x80\x3f'; done | tensors in/adapter/adapter_model.safetensors \
    "$(adapter_header model.q | sed 's/F32/BF16/; s/0, 24/0, 12/; s/24, 40/12, 20/')"
  "$merge" -q "${default[@]}" --force
  numbers out/merged/model.safetensors | grep -q '^3.015625 '
}

@test "merge: modules_to_save replaces" {
  echo '{"peft_type": "LORA", "r": 2, "modules_to_save": ["lm_head"]}' > in/adapter/adapter_config.json
  floats 4 "$one" | tensors in/adapter/adapter_model.safetensors '{
    "base_model.model.lm_head.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}'
  run "$merge" "${default[@]}"
  [[ "$output" == *"0 merged, 1 replaced"* ]]
  numbers out/merged/model.safetensors | grep -q '^1 1 1 1 1 1 2 2 2 2 1 1 1 1 '
  rm -r out/merged
  fails 78 "changed by another adapter" -m in/base -a in/adapter -a in/adapter -o out/merged
  fails 78 "cannot be weighted" -m in/base -a in/adapter=0.5 -o out/merged
}

@test "merge: tied embeddings are refused, or untied" {
  tie_base
  "$merge" -q "${default[@]}"
  rm -r out/merged
  make_square_adapter in/head lm_head
  make_square_adapter in/embedding model.embed_tokens
  fails 78 "--untie" -m in/base -a in/head -o out/merged
  fails 78 "--untie" -m in/base -a in/embedding -o out/merged
  "$merge" -q -m in/base -a in/head -o out/merged --untie
  [ "$(numbers out/merged/model.safetensors)" = "2 2 2 2 4 4 4 4 2 2 2 2 2 2" ]
  header out/merged/model.safetensors | jq -e '."lm_head.weight".data_offsets == [16, 32]'
  jq -e '.tie_word_embeddings == false' out/merged/config.json
  "$merge" -q -m in/base -a in/head -o out/merged --untie --verify
  "$merge" -q -m in/base -a in/embedding -o out/merged --untie --force
  [ "$(numbers out/merged/model.safetensors)" = "4 4 4 4 2 2 2 2 2 2 2 2 2 2" ]
}

@test "merge: --verify finds what differs" {
  "$merge" -q "${default[@]}"
  run "$merge" "${default[@]}" --verify
  [ "$status" -eq 0 ]
  run "$merge" -m in/base -a in/adapter=2 -o out/merged --verify
  [ "$status" -eq 1 ]
  [[ "$output" == *"tensor 'model.q.weight' differs"* ]]
  echo '{}' > out/merged/tokenizer.json
  run "$merge" "${default[@]}" --verify
  [ "$status" -eq 1 ]
  [[ "$output" == *"tokenizer.json' is missing or differs"* ]]
  cp in/base/tokenizer.json out/merged
  printf '\x01' | dd of=out/merged/model.safetensors bs=1 conv=notrunc status=none \
    seek=$(($(stat -c %s out/merged/model.safetensors) - 1))
  run "$merge" "${default[@]}" --verify
  [ "$status" -eq 1 ]
  [[ "$output" == *"tensor 'model.counts' differs"* ]]
  cp in/adapter/adapter_model.safetensors out/merged/model.safetensors
  run "$merge" "${default[@]}" --verify
  [ "$status" -eq 1 ]
  [[ "$output" == *"tensor 'model.q.weight' is missing"* ]]
}

@test "merge: an output that exists is left alone, or replaced by --force" {
  "$merge" -q "${default[@]}"
  echo keep > out/merged/file
  run "$merge" "${default[@]}"
  [ "$status" -eq 73 ]
  [ -e out/merged/file ]
  "$merge" -q "${default[@]}" --force
  [ ! -e out/merged/file ]
  [ -e out/merged/model.safetensors ]
  [ "$(ls -A out)" = merged ]
}

# keeps STATUS TEXT ARG...: ends with that status and text, and changes nothing
keeps() {
  local want=$1 text=$2 before
  shift 2
  before=$(find . -type f -exec cksum {} + | sort)
  run "$merge" "$@"
  echo "$status: $output"
  [ "$status" -eq "$want" ]
  [[ "$output" == *"$text"* ]]
  [ "$(find . -type f -exec cksum {} + | sort)" = "$before" ]
}

@test "merge: --force never replaces an input, or a directory that holds one" {
  "$merge" -q "${default[@]}"
  keeps 64 "input and output" -m out/merged -a in/adapter -o out/../out/merged --force
  cp -r in/adapter out/merged/adapter
  keeps 64 "'out/merged/adapter' lies within 'out/merged'" -m in/base -a out/merged/adapter -o out/merged -f
  keeps 64 "lies within" -m in/base -a in/adapter -o in/ -f
  ln -s out/merged link
  ln -s merged/adapter out/adapter
  keeps 64 "lies within 'link'" -m in/base -a out/adapter -o link -f
  # verifying replaces nothing, and a name that only begins alike is another
  "$merge" -q -m in/base -a out/merged/adapter -o out/merged --verify
  mv out/merged/adapter out/merged-adapter
  "$merge" -q -m in/base -a out/merged-adapter -o out/merged -f
}

@test "merge: --force replaces only a model directory" {
  mkdir out/merged
  echo keep > out/merged/file
  keeps 73 "'out/merged' is not a model directory" "${default[@]}" -f
  echo '{}' > out/merged/config.json
  mkdir out/merged/notes
  keeps 73 "'out/merged/notes' is a directory" "${default[@]}" -f
  rmdir out/merged/notes
  "$merge" -q "${default[@]}" -f
  [ ! -e out/merged/file ]
  echo keep > out/plain
  keeps 73 "'out/plain' is not a model directory" -m in/base -a in/adapter -o out/plain -f
}

@test "merge: usage" {
  fails 64 "name it with -m" -a in/adapter -o out/merged
  fails 64 "name one with -a" -m in/base -o out/merged
  fails 64 "name it with -o" -m in/base -a in/adapter
  fails 64 "not a number" -m in/base -a in/adapter=x -o out/merged
  fails 64 "not a number" -m in/base -a in/adapter= -o out/merged
  fails 64 "give one of them" "${default[@]}" --verify --force
  fails 64 "float8" "${default[@]}" --dtype float8
  fails 64 "more" "${default[@]}" more
  run "$merge" -h
  [ "$status" -eq 0 ]
}

@test "merge: a base that is missing or damaged" {
  fails 66 "in/none" -m in/none -a in/adapter -o out/merged
  truncate -s -1 in/base/model.safetensors
  fails 65 "truncated" "${default[@]}"
  truncate -s 4 in/base/model.safetensors
  fails 65 "too few" "${default[@]}"
  rm in/base/model.safetensors
  fails 66 "holds neither" "${default[@]}"
  touch in/base/pytorch_model.bin
  fails 66 "convert it to safetensors" "${default[@]}"
  fails 66 "it is an adapter, which goes to -a" -m in/adapter -a in/adapter -o out/merged
}

@test "merge: a base whose config.json is missing or wrong" {
  echo '{"model_type": ' > in/base/config.json
  fails 65 "config.json" "${default[@]}"
  echo '{"quantization_config": {"bits": 4}}' > in/base/config.json
  fails 78 "quantized" "${default[@]}"
  echo '{"tie_word_embeddings": 1}' > in/base/config.json
  fails 78 "tie_word_embeddings" "${default[@]}"
  rm in/base/config.json
  fails 66 "config.json" "${default[@]}"
}

@test "merge: an adapter that is missing or damaged" {
  fails 66 "in/none" -m in/base -a in/none -o out/merged
  truncate -s -1 in/adapter/adapter_model.safetensors
  fails 65 "truncated" "${default[@]}"
  rm in/adapter/adapter_model.safetensors
  fails 66 "adapter_model.safetensors" "${default[@]}"
  echo '{' > in/adapter/adapter_config.json
  fails 65 "adapter_config.json" "${default[@]}"
  echo '{"peft_type": "LORA", "r": 2, "init_lora_weights": "pissa"}' > in/adapter/adapter_config.json
  fails 78 "pissa" "${default[@]}"
  echo '{"peft_type": "IA3"}' > in/adapter/adapter_config.json
  fails 78 "IA3" "${default[@]}"
}

@test "merge: an adapter that does not fit" {
  floats 10 "$one" | tensors in/adapter/adapter_model.safetensors "$(adapter_header model.x)"
  fails 65 "the base has no 'model.x.weight'" "${default[@]}"
  floats 10 "$one" | tensors in/adapter/adapter_model.safetensors "$(adapter_header lm_head)"
  fails 65 "is [2, 2] in the base" "${default[@]}"
  floats 10 "$one" | tensors in/adapter/adapter_model.safetensors "$(adapter_header model.q | sed s/lora_B.w/lora_C.w/)"
  fails 65 "lora_C.weight' is of a kind" "${default[@]}"
  echo '{"peft_type": "LORA", "r": 4}' > in/adapter/adapter_config.json
  floats 10 "$one" | tensors in/adapter/adapter_model.safetensors "$(adapter_header model.q)"
  fails 65 "rank 4" "${default[@]}"
}

@test "merge: values that are not numbers stop it before anything is written" {
  floats 10 "$nan" | tensors in/adapter/adapter_model.safetensors "$(adapter_header model.q)"
  fails 65 "the adapter is broken" "${default[@]}"
  make_adapter in/large
  echo '{"peft_type": "LORA", "r": 2, "lora_alpha": 200000}' > in/large/adapter_config.json
  fails 65 "too large for F16" -m in/base -a in/large -o out/merged --dtype float16
  "$merge" -q -m in/base -a in/large -o out/merged
}

@test "merge: values that are too large for the type that a tensor is converted to" {
  # 65536 in the head, which no adapter touches
  { floats 6 "$one"; floats 7 "$two"; floats 1 '\x00\x00\x80\x47'; floats 4 "$one"; } > data
  tensors in/base/model.safetensors "$(header in/base/model.safetensors)" < data
  fails 65 "'lm_head.weight': values are infinite, not a number or too large for F16" "${default[@]}" --dtype float16
  "$merge" -q "${default[@]}" --dtype bfloat16
  rm -r out/merged
  # the largest number of fp32 is rounded to infinity in bfloat16; 65504 is the largest half
  { floats 6 "$one"; floats 7 "$two"; floats 1 '\xff\xff\x7f\x7f'; floats 4 "$one"; } > data
  tensors in/base/model.safetensors "$(header in/base/model.safetensors)" < data
  fails 65 "too large for BF16" "${default[@]}" --dtype bfloat16
  { floats 6 "$one"; floats 7 "$two"; floats 1 '\x00\xe0\x7f\x47'; floats 4 "$one"; } > data
  tensors in/base/model.safetensors "$(header in/base/model.safetensors)" < data
  "$merge" -q "${default[@]}" --dtype float16
}

@test "merge: an adapter of another base is refused unless allowed, one that does not tell its base is not" {
  base='{"__metadata__": {"hone.base": "00000000000000000000000000000000"},'
  "$merge" -q -m in/base -a in/adapter -o out/untold
  cp -r in/adapter in/told
  floats 10 "$one" | tensors in/told/adapter_model.safetensors "$base $(adapter_header model.q | tail -n +2)"
  run "$merge" -m in/base -a in/told -o out/merged
  [ "$status" -eq 78 ]
  [[ "$output" == *"whose fingerprint is 00000000000000000000000000000000, and this one's is "*"--allow-other-base"* ]]
  [ ! -e out/merged ]
  "$merge" -q -m in/base -a in/told -o out/merged --allow-other-base
  cmp out/merged/model.safetensors out/untold/model.safetensors
}

@test "merge: one thread count gives what another gives" {
  "$merge" -q -j 1 "${default[@]}"
  "$merge" -q -j 3 -m in/base -a in/adapter -o out/other
  cmp out/merged/model.safetensors out/other/model.safetensors
}

@test "memory does not grow with a tensor" {
  [ -z "${HONE_SANITIZER:-}" ] || skip "a sanitizer has memory of its own"
  [ -z "${HONE_EMULATED:-}" ] || skip "an emulator has memory of its own"
  "$helpers/bigmodel" big 200 one
  "$helpers/peak" peak "$merge" -q -m big/base -a big/adapter -o merged
  [ "$(tail -c 4 merged/model.safetensors | od -An -tx1)" = " 00 3e 00 3e" ]
  "$helpers/peak" peak "$merge" -q -m big/base -a big/adapter -o merged --verify
  "$helpers/peak" peak "$merge" -q -m big/base -a big/adapter -o wide --dtype float32
  cat peak
  awk '$2 > 120e6 { over = 1 } END { exit over || NR != 3 }' peak
}
