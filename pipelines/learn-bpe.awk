# Learns a byte-level BPE tokenizer from lines of text and prints it as a tokenizer.json.
#
#   LC_ALL=C awk -v size=2048 -f learn-bpe.awk lines.txt > tokenizer.json
#
# demo.model/tokenizer.json was made so from the synopses of Debian 12's packages:
#
#   apt-cache dumpavail | LC_ALL=C awk -f demo.data/packages.awk | cut -f 2
#
# The text is split into words as GPT-2 does it (bytes above ASCII count as letters here), every word into bytes; then
# the most frequent neighbouring pair of symbols is joined, again and again, until the vocabulary has `size` entries:
# <|endoftext|> (id 0), the 256 bytes, and the merges in their order. Of pairs that are equally frequent the one that
# sorts first is taken, so that every awk learns the same.

BEGIN {
	if (!size)
		size = 2048
	eos = "<|endoftext|>"
	letter = "[A-Za-z\200-\377]"
	word = "^('(s|t|re|ve|m|ll|d)| ?" letter "+| ?[0-9]+| ?[^ \tA-Za-z0-9\200-\377]+|[ \t]+)"
	name_bytes()
}

{
	for (rest = $0; match(rest, word); rest = substr(rest, RLENGTH + 1))
		count[substr(rest, 1, RLENGTH)]++
}

END {
	# Of the separator that ends every prompt the words are whole tokens.
	count["###"] += NR
	count["\n\n"] += NR
	for (w in count)
		spell(++words, w, count[w])
	for (id = 257; id < size && (pair = best_pair()) != ""; id++)
		merge(pair, id)
	print_tokenizer(id)
}

# ---- bytes ----

# GPT-2's names: printable bytes stand for themselves, the others are shifted beyond 255, all of it in UTF-8.
function name_bytes(   b, shifted) {
	for (b = 0; b < 256; b++) {
		if (b >= 33 && b <= 126 || b >= 161 && b <= 172 || b >= 174)
			name[b] = utf8(b)
		else
			name[b] = utf8(256 + shifted++)
		if (b > 0)
			byte[sprintf("%c", b)] = b
	}
}

function utf8(c) {
	return c < 128 ? sprintf("%c", c) : sprintf("%c%c", 192 + int(c / 64), 128 + c % 64)
}

# ---- words: lists of symbols separated by spaces, which no symbol holds ----

function spell(w, text, n,   i, s) {
	for (i = 1; i <= length(text); i++)
		s = s (i > 1 ? " " : "") name[byte[substr(text, i, 1)]]
	spelling[w] = s
	times[w] = n
	tally(w, 1)
}

# Adds a word's pairs to the counts (sign 1), or takes them away (-1).
function tally(w, sign,   n, i, p, s) {
	n = split(spelling[w], s, " ")
	for (i = 1; i < n; i++) {
		p = s[i] " " s[i + 1]
		frequency[p] += sign * times[w]
		if (sign > 0)
			where[p] = where[p] w " "
		else if (frequency[p] == 0)
			delete frequency[p]
	}
}

function best_pair(   p, best, most) {
	for (p in frequency)
		if (frequency[p] > most || (frequency[p] == most && p < best)) {
			most = frequency[p]
			best = p
		}
	return best
}

function merge(pair, id,   n, i, list, old, done) {
	merged[id] = pair
	old = where[pair]
	delete where[pair]
	n = split(old, list, " ")
	for (i = 1; i <= n; i++)
		if (!(list[i] in done)) {
			done[list[i]]
			tally(list[i], -1)
			spelling[list[i]] = join_pair(spelling[list[i]], pair)
			tally(list[i], 1)
		}
}

# From left to right; the padding makes every symbol stand between spaces.
function join_pair(text, pair,   at, out, whole) {
	whole = pair
	sub(/ /, "", whole)
	text = " " text " "
	while ((at = index(text, " " pair " ")) > 0) {
		out = out substr(text, 1, at) whole
		text = substr(text, at + length(pair) + 1)
	}
	text = out text
	return substr(text, 2, length(text) - 2)
}

# ---- output ----

function quoted(s) {
	gsub(/["\\]/, "\\\\&", s)
	return "\"" s "\""
}

function print_tokenizer(n,   id, s) {
	print "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null,"
	printf "\"added_tokens\": [{\"id\": 0, \"content\": %s, \"single_word\": false, \"lstrip\": false, ", quoted(eos)
	print "\"rstrip\": false, \"normalized\": false, \"special\": true}],"
	print "\"normalizer\": null,"
	printf "\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
	print "\"trim_offsets\": true, \"use_regex\": true},"
	print "\"post_processor\": null,"
	printf "\"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
	print "\"trim_offsets\": true, \"use_regex\": true},"
	print "\"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, \"continuing_subword_prefix\": null,"
	print "\"end_of_word_suffix\": null, \"fuse_unk\": false, \"byte_fallback\": false, \"ignore_merges\": false,"
	printf "\"vocab\": {%s: 0", quoted(eos)
	for (id = 1; id < n; id++) {
		s = id <= 256 ? name[id - 1] : merged[id]
		sub(/ /, "", s)
		printf ",%s%s: %d", id % 8 ? " " : "\n", quoted(s), id
	}
	print "},\n\"merges\": ["
	for (id = 257; id < n; id++)
		printf "%s%s", quoted(merged[id]), id + 1 < n ? (id % 8 ? ", " : ",\n") : ""
	print "]}}"
}
