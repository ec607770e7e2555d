#!/bin/bash
# usage: tests/fuzz/seeds.sh OUT [FILES]
#
# Small whole files of every format, one folder a target under OUT, for fuzzing to begin with. Made with the programs in
# $HONE_BIN (.). FILES gets some of the files by themselves.
set -eu
out=$1
mkdir -p "$out"
out=$(cd "$out" && pwd)
if [ -n "${2:-}" ]; then
  mkdir -p "$2"
  work=$(cd "$2" && pwd)
else
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi
cd "$(dirname "$0")/../.."
bin=$(cd "${HONE_BIN:-.}" && pwd)
model=pipelines/demo.model

# seed TARGET NAME PART...: the parts with lines "=====" between them; a part is text, or @FILE
seed() {
  local file=$out/$1/$2 first=1 part
  mkdir -p "$out/$1"
  shift 2
  : >"$file"
  for part; do
    [ -n "$first" ] || printf '\n=====\n' >>"$file"
    first=
    case $part in
      @*) cat "${part#@}" >>"$file" ;;
      *) printf '%s' "$part" >>"$file" ;;
    esac
  done
}

# hex N...: so many bytes
hex() {
  local n
  for n; do printf '%b' "\\x$(printf %02x "$n")"; done
}

# byte N FILE: the file with a byte before it
byte() { { hex "$1"; cat "$2"; } >"$work/with-byte"; echo "@$work/with-byte"; }

# ---- records ----

records=(
  '{"text":"hello"}'
  '{"text":"hello","label":"pos"}'
  '{"text":"hello","label":3}'
  '{"prompt":"hello ->","completion":" help"}'
  '{"input":"a","target":"b"}'
  '{"instruction":"Say hello","input":"to me","output":"hello you","system":"s","history":[["q","a"]]}'
  '{"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"},{"role":"assistant","content":"hello","weight":1},{"role":"user","content":"a"},{"role":"assistant","content":"b","weight":0.5}]}'
  '{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]},{"role":"assistant","content":"","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]}],"tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"chat_template_kwargs":{"x":true}}'
  '{"conversations":[{"from":"human","value":"hi"},{"from":"gpt","value":"hello"},{"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{\"a\":1}}"},{"from":"observation","value":"3"}],"system":"s","tools":"[{\"name\":\"f\"}]"}'
  '{"text":"h\u00e9\ud83d\ude00\u0000llo \" \\ \n"}'
)
i=0
for r in "${records[@]}"; do
  i=$((i + 1))
  printf '%s' "$r" >"$work/r"
  { printf '\0\0'; cat "$work/r"; } >"$work/r2"
  seed record "$i" "@$work/r2"
  { printf '\7\100'; cat "$work/r"; } >"$work/r2"
  seed record "$i-all" "@$work/r2"
  seed fields "$i" "@$work/r"
done
printf '%s\n' "${records[@]:0:3}" >"$work/lines.jsonl"
printf '%s\r\n\n' '{"prompt":"a","completion":"b"}' '{"prompt":"c","completion":"d"}' >"$work/crlf.jsonl"
printf '\xef\xbb\xbf%s' "$(printf '%s\n' "${records[@]:3:2}" | jq -s .)" >"$work/list.json"
for f in lines.jsonl crlf.jsonl list.json; do
  seed source "$f" "@$work/$f"
  gzip -nc "$work/$f" >"$work/gz"
  zstd -qc --no-check "$work/$f" >"$work/zst"
  seed source "$f.gz" "@$work/gz"
  seed source "$f.zst" "@$work/zst"
  seed ingest "$f" "@$work/$f"
done
printf '%s\n' '{"text":"hello","label":"pos"}' '{"text":"help","label":"neg"}' '{"text":"he","label":"pos"}' '{"text":"x","label":"neg"}' >"$work/class.jsonl"
seed ingest labels "@$work/class.jsonl" '[" pos"," neg","other"]'
seed ingest label-lines "@$work/class.jsonl" $'pos\nneg\n'

# ---- separated values, and what hone-prepare reads ----

seed csv plain $'\x04a,b\n1,2\n'
seed csv quotes $' prompt,completion\r\n"a ""b"", c",d\n"line\nbreak",\n'
seed csv tabs $'\x01a\tb\n"1"\t2'
seed prepare csv $'\x01\x01prompt,completion\nhello,"a, b"\nhello,b\nhelp,b\n'
seed prepare tsv $'\x02\x04text\tlabel\none\tpos\ntwo\tneg\n'
seed prepare jsonl "@$(printf '\x06\x0c' >"$work/p"; cat "$work/lines.jsonl" >>"$work/p"; echo "$work/p")"
seed prepare json "@$(printf '\x03\x0e' >"$work/p"; cat "$work/list.json" >>"$work/p"; echo "$work/p")"
seed prepare chat "@$(printf '\x04\x06' >"$work/p"; printf '%s\n' "${records[6]}" "${records[7]}" >>"$work/p"; echo "$work/p")"
seed prepare sharegpt "@$(printf '\x04\x06' >"$work/p"; printf '%s\n' "${records[8]}" "${records[8]}" >>"$work/p"; echo "$work/p")"
seed prepare text $'\x05\x05one line\nand another\n'

# ---- tokenizers ----

special='{"id":0,"content":"<s>","special":true,"single_word":false,"lstrip":true,"rstrip":false,"normalized":false}'
base='{"model":{"type":"BPE","unk_token":"<s>","vocab":{"<s>":0,"h":1,"e":2,"l":3,"he":4,"hel":5,"o":6,"\u0120":7,"\u2581":8,"<0x41>":9},"merges":["h e",["he","l"]]},"added_tokens":['$special']}'
while IFS= read -r more; do
  i=$((i + 1))
  jq -nc "$base * $more" >"$work/t"
  seed tokenizer_json "$i" "@$work/t" 'hello  hel <s>lo'
done <<'END'
{"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true},"decoder":{"type":"ByteLevel"}}
{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|\\s+(?!\\S)|\\s+"},"behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]}}
{"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"\u2581"},{"type":"Replace","pattern":{"String":" "},"content":"\u2581"}]},"model":{"byte_fallback":true,"fuse_unk":true},"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"\u2581"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}}
{"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Metaspace","replacement":"\u2581","prepend_scheme":"first","split":true},"decoder":{"type":"Metaspace","replacement":"\u2581","prepend_scheme":"always","split":true}}
{"normalizer":{"type":"NFKD"},"pre_tokenizer":{"type":"Digits","individual_digits":true},"decoder":{"type":"BPEDecoder","suffix":"</w>"}}
{"normalizer":{"type":"Lowercase"},"pre_tokenizer":{"type":"Whitespace"},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"<s>":{"id":"<s>","ids":[0],"tokens":["<s>"]}}}}
{"pre_tokenizer":{"type":"Punctuation","behavior":"Contiguous"},"model":{"ignore_merges":true,"continuing_subword_prefix":"","end_of_word_suffix":"","dropout":null}}
{"pre_tokenizer":{"type":"Split","pattern":{"String":"e"},"behavior":"MergedWithPrevious","invert":true},"truncation":{"max_length":3},"padding":{}}
END
jq -c '.model.merges |= .[:20] | .model.vocab |= with_entries(select(.value < 300)) | .model.merges |= map(select(type == "string"))' \
  $model/tokenizer.json >"$work/t"
sed -n '1,/^=====$/{/^=====$/!p;}' "$out/tokenizer_json/$i" >"$work/tokenizer.json"
seed tokenizer_json demo "@$work/t" 'The quick brown fox'

# proto_piece TEXT SCORE-BYTES TYPE: a piece of a SentencePiece model
proto_piece() {
  local body
  body=$(printf '\\x0a\\x%02x%s\\x15%s\\x18\\x%02x' "${#1}" "$1" "$2" "$3")
  hex 10 $((${#1} + 9))
  printf '%b' "$body"
}
# proto_model ALGORITHM: pieces, a trainer_spec, and a normalizer_spec
proto_model() {
  proto_piece '<unk>' '\x00\x00\x00\x00' 2
  proto_piece '<s>' '\x00\x00\x00\x00' 3
  proto_piece '</s>' '\x00\x00\x00\x00' 3
  for c in h e l o H w r d; do proto_piece "$c" '\x00\x00\x80\xc0' 1; done
  proto_piece he '\x00\x00\x00\xbf' 1
  proto_piece ll '\x00\x00\x80\xbf' 1
  proto_piece hello '\x00\x00\x00\xc0' 1
  hex 18 11 24 "$1" 192 2 0 200 2 1 208 2 2
  printf '\x1a\x0e\x0a\x08identity\x18\x01\x20\x00'
}
LC_ALL=C
proto_model 1 >"$work/unigram.model"
proto_model 2 >"$work/bpe.model"
seed spm unigram "@$work/unigram.model" 'hello Hell'
seed spm bpe "@$work/bpe.model" 'hello  hello'

seed tokenizer_dir json "$(byte 0 "$work/t")" '' '{"bos_token":"<s>","eos_token":{"content":"</s>"},"chat_template":[{"name":"default","template":"{{ bos_token }}"},{"name":"tool_use","template":"x"}]}'
seed tokenizer_dir spm "$(byte 1 "$work/bpe.model")" '' '{"add_bos_token":true,"add_eos_token":false,"tokenizer_class":"LlamaTokenizer","legacy":false,"added_tokens_decoder":{"1":{"content":"<s>","special":true}}}' '{"<x>":14}' '{"bos_token":"<s>"}' '{{ messages[0].content }}'
printf '{"h":0,"e":1,"l":2,"he":3,"hel":4,"\u0120":5,"<s>":6,"<|endoftext|>":7}' >"$work/vocab.json"
seed tokenizer_dir vocab "$(byte 2 "$work/vocab.json")" $'#version: 0.2\nh e\nhe l\n' '{"tokenizer_class":"GPT2Tokenizer","bos_token":"<s>","eos_token":"<|endoftext|>"}' '{"<x>":8}'
{
  for ((b = 0; b < 256; b++)); do hex $b | base64; done
  printf 'aGU=\naGVs\n'
} | awk '{ print $0, NR - 1 }' >"$work/ranks"
seed tokenizer_dir tiktoken "$(byte 3 "$work/ranks")" '' '{"eos_token":"<|x|>","added_tokens_decoder":{"258":{"content":"<|x|>","special":true}}}'

i=0
while IFS= read -r regex; do
  i=$((i + 1))
  seed regex "$i" "$regex" $'Hello, it\'s 123 \xe4\xbd\xa0\xe5\xa5\xbd  x\n'
done <<'END'
(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
's|'t| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
[\p{Han}&&[^\p{N}]]+|\h+|(?m).*|\w{,3}x{3}+|[[:alpha:]]|[a-c[d-f]]
(a|b)*?(?<n>c)(?<!d)(?>e)\1|\x{4e00}|\u4e00|\A\z\b\B
[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t)?
END

# ---- templates ----

while read -r t; do
  i=$((i + 1))
  base64 -d <<<"$t" >"$work/t"
  seed template "$i" "@$work/t"
done < <(jq -r 'select(.t) | .t | @base64' tests/reference/jinja.jsonl)
jq -c '.vars // empty' tests/reference/jinja.jsonl | head -n 1 >"$work/vars"
seed template vars '{% for m in messages %}<|{{ m.role }}|>{{ m.content|trim }}{% if loop.last %}{{ eos_token }}{% endif %}{% endfor %}{{ d|tojson(indent=2) }}' "@$work/vars"
seed tokenizer_dir template "$(byte 0 "$work/t")" '' '{}' '' '' '{%- for m in messages -%}{{ m["role"] }}{%- endfor -%}'

# ---- weights, models, adapters ----

# tensors HEADER BYTES: a safetensors file
tensors() {
  local header=$1 n=${#1}
  hex $((n % 256)) $((n / 256)) 0 0 0 0 0 0
  printf '%s' "$header"
  head -c "$2" /dev/zero | tr '\0' '\074'
}
tensors '{"__metadata__":{"format":"pt","b":"a"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"c":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"e":{"dtype":"I64","shape":[],"data_offsets":[32,40]}}' 40 >"$work/st"
tensors '{"x":{"dtype":"F16","shape":[1,0,2],"data_offsets":[0,0]},"y":{"dtype":"U8","shape":[5],"data_offsets":[0,5]}}' 5 >"$work/st2"
seed safetensors one "@$work/st"
seed safetensors two "@$work/st2"
mkdir -p "$work/weights" "$work/config" "$work/adapter"
cp "$work/st" "$work/weights/model-00001-of-00002.safetensors"
cp "$work/st2" "$work/weights/model-00002-of-00002.safetensors"
index='{"metadata":{"total_size":45},"weight_map":{"a":"model-00001-of-00002.safetensors","c":"model-00001-of-00002.safetensors","y":"model-00002-of-00002.safetensors"}}'
printf '%s\n' "$index" >"$work/weights/model.safetensors.index.json"
seed weights one '' "@$work/st"
seed weights index "$index" "@$work/st" "@$work/st2"

config='{"model_type":"llama","architectures":["LlamaForCausalLM"],"vocab_size":8,"hidden_size":4,"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,"intermediate_size":4,"max_position_embeddings":16,"rms_norm_eps":1e-5,"rope_theta":10000.0,"bos_token_id":1,"eos_token_id":[2,3],"tie_word_embeddings":true,"hidden_act":"silu","torch_dtype":"float32"}'
printf '%s\n' "$config" >"$work/config/config.json"
seed config llama "$config"
i=0
while IFS= read -r more; do
  i=$((i + 1))
  seed config "$i" "$(jq -c "$more" <<<"$config")"
done <<'END'
.rope_scaling = {"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8}
.rope_scaling = {"type":"yarn","factor":4.0,"beta_fast":32,"beta_slow":1,"mscale":0.7,"mscale_all_dim":1.0,"original_max_position_embeddings":8}
.rope_scaling = {"type":"longrope","short_factor":[1.0],"long_factor":[2.0],"short_mscale":1,"long_mscale":1} | .model_type = "phi3" | .original_max_position_embeddings = 8
.rope_scaling = {"type":"linear","factor":2.0} | .model_type = "qwen2" | .use_sliding_window = true | .sliding_window = 4 | .max_window_layers = 0
.rope_scaling = {"type":"dynamic","factor":2.0} | .model_type = "mistral" | .sliding_window = 4 | .head_dim = 2
.model_type = "qwen3" | .head_dim = 4 | .layer_types = ["sliding_attention"] | .sliding_window = 4 | .attention_bias = true
.model_type = "gemma3_text" | .query_pre_attn_scalar = 4 | .sliding_window_pattern = 2 | .rope_local_base_freq = 10000 | .hidden_activation = "gelu_pytorch_tanh" | .head_dim = 2
.model_type = "gpt_neox" | .rotary_pct = 0.5 | .use_parallel_residual = true | .layer_norm_eps = 1e-5 | .hidden_act = "gelu"
.model_type = "smollm3" | .no_rope_layers = [1] | .no_rope_layer_interval = 4
.model_type = "gemma" | .head_dim = 2 | .pad_token_id = 0
{"model_type":"gpt2","vocab_size":8,"n_embd":4,"n_layer":1,"n_head":2,"n_positions":16,"n_inner":null,"layer_norm_epsilon":1e-5,"activation_function":"gelu_new"}
END
# f32_tensors NAME=SHAPE...: a safetensors file of them
f32_tensors() {
  local at=0 header="" t n d shape
  for t; do
    shape=${t#*=} n=4
    for d in ${shape//,/ }; do n=$((n * d)); done
    header=$header,'"'${t%=*}'":{"dtype":"F32","shape":['$shape'],"data_offsets":['$at,$((at + n))']}'
    at=$((at + n))
  done
  tensors "{${header#,}}" $at
}
f32_tensors model.embed_tokens.weight=8,4 model.norm.weight=4 model.layers.0.input_layernorm.weight=4 \
  model.layers.0.post_attention_layernorm.weight=4 model.layers.0.self_attn.q_proj.weight=4,4 \
  model.layers.0.self_attn.k_proj.weight=2,4 model.layers.0.self_attn.v_proj.weight=2,4 \
  model.layers.0.self_attn.o_proj.weight=4,4 model.layers.0.mlp.gate_proj.weight=4,4 \
  model.layers.0.mlp.up_proj.weight=4,4 model.layers.0.mlp.down_proj.weight=4,4 >"$work/model.safetensors"
for bits in 0 1 2; do
  printf "\\x0$bits%s" "$config" >"$work/c"
  seed model "llama-$bits" "@$work/c" "@$work/model.safetensors"
done

adapter='{"peft_type":"LORA","r":2,"lora_alpha":4,"lora_dropout":0.0,"bias":"none","target_modules":["q_proj","up_proj"],"base_model_name_or_path":"x","task_type":"CAUSAL_LM","use_rslora":false,"use_dora":false,"init_lora_weights":true,"rank_pattern":{"layers.11.mlp.up_proj":4},"alpha_pattern":{},"modules_to_save":null,"layers_to_transform":null,"fan_in_fan_out":false}'
tensors '{"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight":{"dtype":"F32","shape":[3,2],"data_offsets":[24,48]}}' 48 >"$work/adapter.safetensors"
printf '%s\n' "$adapter" >"$work/adapter/adapter_config.json"
cp "$work/adapter.safetensors" "$work/adapter/adapter_model.safetensors"
seed adapter plain "$adapter" "@$work/adapter.safetensors"
tensors '{"base_model.model.lm_head.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"base_model.model.model.embed_tokens.lora_embedding_A":{"dtype":"F32","shape":[2,3],"data_offsets":[24,48]},"base_model.model.model.embed_tokens.lora_embedding_B":{"dtype":"F32","shape":[3,2],"data_offsets":[48,72]}}' 72 >"$work/adapter.safetensors"
seed adapter saved "$(jq -c '.target_modules = ".*embed_tokens" | .modules_to_save = ["lm_head"] | .use_rslora = true' <<<"$adapter")" "@$work/adapter.safetensors"
tensors '{"base_model.model.h.0.attn.c_attn.lora_A.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"base_model.model.h.0.attn.c_attn.lora_B.weight":{"dtype":"F32","shape":[3,2],"data_offsets":[24,48]},"base_model.model.h.0.attn.c_attn.lora_magnitude_vector":{"dtype":"F32","shape":[3],"data_offsets":[48,60]}}' 60 >"$work/adapter.safetensors"
seed adapter dora "$(jq -c '.target_modules = "all-linear" | .use_dora = true | .layers_to_transform = [0] | .exclude_modules = ["x"]' <<<"$adapter")" "@$work/adapter.safetensors"

q=base_model.model.model.layers.0.self_attn.q_proj
f32_tensors $q.lora_A.weight=2,4 $q.lora_B.weight=4,2 >"$work/lora.safetensors"
lora=$(jq -c '.target_modules = ["q_proj"] | .rank_pattern = {}' <<<"$adapter")
seed lora plain "$lora" "@$work/lora.safetensors"
for options in 0 3 5; do
  printf '%b%s' "\\x0$options" "$config" >"$work/c"
  seed merge "$options" "@$work/c" "@$work/model.safetensors" "$lora" "@$work/lora.safetensors"
done
m=base_model.model.model down=base_model.model.model.layers.0.mlp.down_proj
f32_tensors $m.embed_tokens.lora_embedding_A=2,8 $m.embed_tokens.lora_embedding_B=4,2 \
  base_model.model.lm_head.weight=8,4 $down.lora_A.weight=2,6 $down.lora_B.weight=4,2 $down.lora_magnitude_vector=4 \
  >"$work/lora.safetensors"
seed lora all "$(jq -c '.target_modules = ["embed_tokens", "down_proj"] | .modules_to_save = ["lm_head"] | .rank_pattern = {} | .use_dora = true' <<<"$adapter")" "@$work/lora.safetensors"

# ---- token streams and datasets ----

"$bin/hone-tokenize" -q -m $model "$work/class.jsonl" >"$work/tokens"
"$bin/hone-tokenize" -q -m $model --jsonl "$work/crlf.jsonl" >"$work/tokens.jsonl"
seed tokens binary "$(byte 1 "$work/tokens")"
cat "$work/tokens" "$work/tokens" >"$work/two"
seed tokens joined "$(byte 0 "$work/two")"
seed tokens json "$(byte 0 "$work/tokens.jsonl")"
seed tokens json2 $'\x01{"input_ids":[1,2,3],"labels":[-100,2,3],"weight":[0,0.5,1],"label":"x","line":1,"completion":1}\n'
"$bin/hone-pack" -q -o "$work/data" "$work/tokens"
seed shard whole "@$work/data/dataset.json" "@$work/data/shard-00000.hone.zst"
zstd -dqc "$work/data/shard-00000.hone.zst" >"$work/frame"
jq -c . "$work/data/dataset.json" >"$work/dataset.json"
seed dataset whole "$(byte 1 "$work/dataset.json")" '' "@$work/frame"
tail -c +$((9 + $(zstd -lv "$work/data/shard-00000.hone.zst" 2>/dev/null | sed -n 's/.*Compressed Size.*(\([0-9]*\) B).*/\1/p' | head -n 1))) "$work/data/shard-00000.hone.zst" >"$work/index" || :
seed dataset index "$(byte 0 "$work/dataset.json")" "@$work/index" "@$work/frame"
tail -c +5 "$work/frame" | head -c "$(od -An -tu4 -N4 "$work/frame" | tr -d ' ')" >"$work/body"
seed example one "$(byte 3 "$work/body")"
seed example two "$(byte 10 "$work/body")"

# ---- what evaluation and training read again ----

seed predictions plain $'{"line":1,"label":"a","prediction":"b","scores":{"a":0.25,"b":0.75},"outside":0.1}\n{"line":null,"label":null,"prediction":null}\n'
seed predictions steps $'{"step":1,"label":"a","prediction":"a"}\n{"step":2,"label":"a","prediction":"b","scores":null}\n\n{"step":2,"label":"b","prediction":"b"}\n'
seed generations plain $'{"line":3,"reference":"Paris","generated":"It is Paris."}\n{"reference":["a b c","the B"],"generated":"A, b"}\n{"reference":"\xe4\xbd\xa0\xe5\xa5\xbd","generated":"\xe4\xbd\xa0"}\n'
head=step,elapsed_tokens,elapsed_examples,training_loss,training_sequence_accuracy,training_token_accuracy,validation_loss,validation_sequence_accuracy,validation_token_accuracy
printf '\0\2%s\n1,10,2,0.5,,,,,\n2,20,4,0.25,0,1,0.3,0.5,0.5\n3,30,' $head >"$work/csv"
seed results plain "@$work/csv"
printf '\1\1%s,classification/accuracy,classification/weighted_f1_score\n1,10,2,0.5,,,,,,0.5,0.5\n' $head >"$work/csv"
seed results classes "@$work/csv"
state='{"format":"hone-checkpoint","version":2,"step":3,"optimizer_step":3,"elapsed_tokens":100,"elapsed_examples":12,"learning_rate":0.001,"best_value":0.5,"best_step":2,"evaluations_without_improvement":1,"ended":false,"due":true,"last":{"loss":1.5,"sequence_accuracy":0,"token_accuracy":0.5},"outliers":{"loss":[1.0,2.0],"grad_norm":[1.0,0.5]}}'
printf '\1%s' "$state" >"$work/state"
seed checkpoint fixed "@$work/state"
printf '\0%s' "$state" >"$work/state"
seed checkpoint manifest "@$work/state" $'0123456789abcdef0123456789abcdef  state.json\n'
run='{"format":"hone-run","version":1,"settings":{"model":"m","train":["t"],"method":"lora","n-epochs":2,"learning-rate":0.001,"lora-r":16,"suffix":null,"shuffle":true,"metric-for-best-model":"loss","classification-betas":[0.5]},"base":{"path":"m","model_type":"llama","fingerprint":"5511","parameters":5456,"trained_parameters":7936},"data":{"train":{"paths":["t"],"fingerprint":"28","examples":12,"tokens":69,"targets":45},"validation":{"path":"v","fingerprint":"29","examples":2}},"plan":{"steps_per_epoch":2,"total_steps":4},"hone":{"version":"0.1.0","commit":"9"},"machine":{"threads":2,"products":"x"}}'
metrics='{"event":"train","step":1,"epoch":0.5,"loss":2.5,"grad_norm":1.0,"learning_rate":0.001,"targets":5,"tokens":50,"tokens_per_second":1000,"peak_rss_bytes":1000000}
{"event":"train","step":2,"epoch":1.0,"loss":1.5,"grad_norm":0.5,"learning_rate":0.001,"targets":5,"tokens":50,"tokens_per_second":1000,"peak_rss_bytes":1000000}
{"event":"eval","epoch":1,"step":2,"loss":1.4,"token_accuracy":0.5,"sequence_accuracy":0.25,"classification/accuracy":0.5}
'
seed report plain "$run" "$metrics" '{"step":2,"line":1,"label":"a","prediction":"b","scores":{"a":0.25,"b":0.75}}
'
printf '\0' >"$work/s"
cat "$out/predictions/plain" >>"$work/s"
seed subject predictions "@$work/s" "@$out/predictions/plain"
printf '\0' >"$work/s"
cat "$out/generations/plain" >>"$work/s"
seed subject generations "@$work/s" "@$out/generations/plain"
printf '\1' >"$work/s"
printf '%s' "$metrics" >>"$work/s"
seed subject run "@$work/s" '{"step":2,"line":1,"label":"a","prediction":"b","scores":{"a":0.25,"b":0.75}}' '{"loss":1.5,"classification/accuracy":0.5}'
provenance='{"tool":"hone-merge","version":"0.1.0","commit":"9","settings":{"output":"x","force":true},"inputs":[{"what":"base","path":"m","fingerprint":"5511"},{"what":"tokens","path":null,"fingerprint":null,"provenance":{"tool":"hone-tokenize","version":"0.1.0","commit":"9","inputs":[]}}]}'
checks='{"checks":[],"outputs":[{"file":"/dev/null","rows":0,"xxh128":"0"},{"file":"gone","rows":1,"xxh128":"1"}],"provenance":'$provenance'}'
figures='{"examples":2,"loss":1.5,"provenance":'$provenance'}'
i=0
for object in "$checks" "$figures" "$provenance"; do
  i=$((i + 1))
  seed verify "object-$i" $'\x04'"$object"
done
printf '<!doctype html>\n<p>x</p>\n' >"$work/page"
printf '<!-- xxh128 of the lines above: %s -->\n' "$(xxh128sum <"$work/page" | cut -c1-32)" >>"$work/page"
seed verify page "$(byte 0 "$work/page")"
seed verify predictions "$(byte 0 "$out/predictions/plain")"
for right in 5 1; do
  hex $right >"$work/v"
  printf '%s' "$provenance" >>"$work/v"
  seed verify "adapter-$right" "@$work/v" "$lora" "@$work/lora.safetensors" $'0123456789abcdef0123456789abcdef  adapter_config.json\n'
done
for right in 6 2; do
  hex $right >"$work/v"
  printf '%s' "$run" >>"$work/v"
  seed verify "run-$right" "@$work/v" "$metrics" "@$out/predictions/steps" "$provenance" "$lora" "@$work/lora.safetensors"
done
seed options words $'\x02--number 3 -f\n# remark\n--string "a b" --list=x -l y --no-flag --choice two rest'
seed options config $'\x01{"number": 5, "flag": true, "list": ["a", "b"], "real": 0.5, "old_number": 3, "bytes": "4M", "choice": "one"}'
if [ -n "${2:-}" ]; then
  mkdir -p "$work/checkpoint"
  printf '%s\n' "$state" >"$work/checkpoint/state.json"
  cp "$work/adapter.safetensors" "$work/checkpoint/adapter_model.safetensors"
  (cd "$work/checkpoint" && xxh128sum adapter_model.safetensors state.json >"$work/m" && mv "$work/m" manifest.xxh128)
  cp "$out/predictions/plain" "$work/predictions.jsonl"
  cp "$out/generations/plain" "$work/generations.jsonl"
  gzip -nc "$work/lines.jsonl" >"$work/lines.jsonl.gz"
  zstd -qc "$work/lines.jsonl" >"$work/lines.jsonl.zst"
  printf '{%% for m in messages %%}<|im_start|>{{ m.role }}\n{{ m.content|trim }}<|im_end|>\n{%% endfor %%}' >"$work/chat.jinja"
fi
