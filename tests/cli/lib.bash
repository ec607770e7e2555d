# What command-line tests share. A test file loads it with `load lib`; it may cd where it likes.

hone_bin=$(cd "${HONE_BIN:-.}" && pwd)

# fails STATUS TEXT COMMAND...: it ends with that status, says TEXT in one line on stderr (a second one points a wrong
# command line to -h), and nothing on stdout
fails() {
  local want=$1 text=$2
  shift 2
  run --separate-stderr "$@"
  echo "status $status, stdout '$output', stderr '$stderr'"
  [ "$status" -eq "$want" ]
  [[ "$stderr" == *"$text"* ]]
  [ "${#stderr_lines[@]}" -eq $((want == 64 ? 2 : 1)) ]
  [ -z "$output" ]
}

# tiny_config DIR [MEMBER...]: a config.json of a llama of 32 tokens; members ("\"hidden_size\": 8") replace its own
tiny_config() {
  local dir=$1
  shift
  mkdir -p "$dir"
  jq -n '{model_type: "llama", vocab_size: 32, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 4,
    num_key_value_heads: 4, intermediate_size: 24, max_position_embeddings: 64, rms_norm_eps: 1e-5, bos_token_id: 1,
    eos_token_id: 2, tie_word_embeddings: false}' >"$dir/config.json.new"
  jq '. + $more' --argjson more "{$(IFS=,; echo "$*")}" "$dir/config.json.new" >"$dir/config.json"
  rm "$dir/config.json.new"
}

# rows N: N examples as JSON lines, ids below 32, the first half of each a prompt
rows() {
  jq -nc --argjson n "$1" 'range($n) as $i | [range(4 + $i % 5) | (. * 7 + $i * 3) % 29 + 3] as $ids
    | {input_ids: $ids, labels: ([-100, -100] + $ids[2:]), line: ($i + 1)}'
}

# unprivileged COMMAND...: root may write where it likes, unless that right is taken from it
unprivileged() {
  if [ "$(id -u)" -eq 0 ]; then
    setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-dac_override,-dac_read_search "$@"
  else
    "$@"
  fi
}
