# Damaged files, for the fast test and the slow one: tests/fuzz/damage.c counts what a reader says of each.

# small_files DIR: a small file of every format
small_files() {
  HONE_BIN=$hone_bin "$top/tests/fuzz/seeds.sh" "$1/seeds" "$1" >/dev/null
  rm -r "$1/seeds"
}

# damaged WANT [-a] KIND PATH [FILE]: WANT is a pattern of the line that damage prints, behind the number of bytes; counts of
# 0 and 1 are written out, N is any number.
damaged() {
  local want=$1 line
  shift
  line=$("$damage" "$@") || return 1
  [ -z "${loud-}" ] || echo "# $line" >&3
  echo "$line" | awk '{ for (i = 1; i < NF; i++) if ($(i + 1) ~ /^(refused|same|other)[,;]?$/) print $(i + 1), $i }' >>"$counts"
  want="^[a-z]+ [^ ]+: [0-9]+ bytes; ${want//N/[0-9]+}\$"
  [[ $line =~ $want ]] || {
    echo "$line"
    echo "is not: $want"
    return 1
  }
}

# each_damage [-a]: in the present directory, where small_files were made
each_damage() {
  # What a hash of ours covers: nothing is read as something else. Of a shard, a bit that zstd does not look at may turn
  # and the examples stay the same; --verify sees it.
  damaged 'cuts: N refused, 0 same, 0 other; changes: N refused, 0 same, 0 other; statuses 65' "$@" tokens tokens
  damaged 'cuts: N refused, 1 same, 0 other; changes: N refused, N same, 0 other; statuses 65' "$@" dataset data dataset.json
  damaged 'cuts: N refused, 0 same, 0 other; changes: N refused, N same, 0 other; statuses 65' "$@" dataset data shard-00000.hone.zst
  damaged 'cuts: N refused, 1 same, 0 other; changes: N refused, N same, 0 other; statuses 1' "$@" verify data dataset.json
  damaged 'cuts: N refused, 0 same, 0 other; changes: N refused, 0 same, 0 other; statuses 1' "$@" verify data shard-00000.hone.zst
  damaged 'cuts: N refused, 0 same, 0 other; changes: N refused, 0 same, 0 other; statuses 65' "$@" checkpoint checkpoint state.json
  damaged 'cuts: N refused, 0 same, 0 other; changes: N refused, 0 same, 0 other; statuses 65' \
    "$@" checkpoint checkpoint adapter_model.safetensors
  damaged 'cuts: N refused, 1 same, 0 other; changes: N refused, N same, 0 other; statuses 65' \
    "$@" checkpoint checkpoint manifest.xxh128

  # What has a size of its own: a cut is seen, a change within the content is not.
  damaged 'cuts: N refused, 0 same, 0 other; changes: N refused, 0 same, N other; statuses 65 78' "$@" safetensors st
  damaged 'cuts: N refused, 0 same, 0 other; changes: N refused, N same, N other; statuses 65 78' \
    "$@" weights weights model-00001-of-00002.safetensors
  damaged 'cuts: N refused, 0 same, 0 other; changes: N refused, N same, N other; statuses 65( 78)?' \
    "$@" adapter adapter adapter_model.safetensors
  damaged 'cuts: N refused, 1 same, 0 other; changes: N refused, N same, N other; statuses 65 66' \
    "$@" weights weights model.safetensors.index.json
  damaged 'cuts: N refused, 1 same, 0 other; changes: N refused, N same, N other; statuses 65 78' "$@" config config config.json
  damaged 'cuts: N refused, 1 same, 0 other; changes: N refused, N same, N other; statuses 65 78' \
    "$@" adapter adapter adapter_config.json
  damaged 'cuts: N refused, [12] same, 0 other; changes: N refused, N same, N other; statuses 65 78' "$@" tokenizer tokenizer.json
  # gzip and zstd, of which less than the magic number is left, are text to us, and no records; of nothing, none.
  damaged 'cuts: N refused, 0 same, 1 other; changes: N refused, N same, 0 other; statuses 65' "$@" records lines.jsonl.gz
  damaged 'cuts: N refused, 0 same, 1 other; changes: N refused, N same, 0 other; statuses 65' "$@" records lines.jsonl.zst

  # What may end anywhere, or at the end of a line.
  local any='cuts: N refused, N same, N other; changes: N refused, N same, N other; statuses'
  damaged "$any 65" "$@" tokens tokens.jsonl
  damaged "$any 65" "$@" predictions predictions.jsonl
  damaged "$any 65" "$@" generations generations.jsonl
  damaged "$any 65" "$@" records lines.jsonl
  damaged "$any 65 78" "$@" template chat.jinja
  damaged "$any( 65)? 78" "$@" tokenizer bpe.model
  damaged "$any( 65)? 78" "$@" tokenizer unigram.model
}
