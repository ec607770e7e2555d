/* The forms of a tokenizer: tokenizer.json, a SentencePiece model, vocab.json with merges.txt, tiktoken ranks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "text/bpe_text.h"
#include "text/tiktoken.h"
#include "text/tokenizer_int.h"

/* ---- tokenizer.json ---- */

int
tokenizer_load_components(struct tokenizer *t, const json_t *j, bool as_told, struct err *e)
{
	if (!(t->normalizer = normalizer_load(json_object_get(j, "normalizer"), e)) ||
		!(t->pretokenizer = pretokenizer_load(json_object_get(j, "pre_tokenizer"), e)) ||
		!(t->decoder = decoder_load(json_object_get(j, "decoder"), e)) ||
		!(t->added = added_load(
			  json_object_get(j, "added_tokens"), t->vocab, t->normalizer, as_told, e)))
		return -1;
	if (pretokenizer_byte_level(t->pretokenizer) && !bpe_use_bytes(&t->bpe))
		pretokenizer_spell(t->pretokenizer, true);
	t->vocab_size = t->vocab->size;
	if (added_max_id(t->added) >= (int32_t)t->vocab_size)
		t->vocab_size = (size_t)added_max_id(t->added) + 1;
	return postprocessor_load(&t->post, json_object_get(j, "post_processor"), t->vocab_size, e);
}

static int
load_parsed(struct tokenizer *t, const json_t *j, struct bpe_text *x, struct err *e)
{
	const char *version = "1.0";
	if (!json_is_object(j))
		return err_set(e, ERR_CONFIG, "it is not an object");
	if (json_get_string(j, "version", &version, e) < 0)
		return -1;
	if (strcmp(version, "1.0"))
		return err_set(e, ERR_CONFIG, "version '%.64s' is not supported; only 1.0 is", version);
	bool truncation = json_is_object(json_object_get(j, "truncation")),
	     padding = json_is_object(json_object_get(j, "padding"));
	t->ignored = truncation && padding ? "truncation and padding" : truncation ? "truncation" :
		padding ? "padding" : NULL;
	if (bpe_load(&t->bpe, json_object_get(j, "model"), x, e) < 0)
		return -1;
	return tokenizer_load_components(t, j, false, e);
}

static int
load_text(struct tokenizer *t, const char *path, const char *text, size_t n, struct bpe_text *x, struct err *e)
{
	json_t *j = json_read(path, text, n, e);
	if (!j)
		return -1;
	int rc = load_parsed(t, j, x, e);
	json_decref(j);
	return rc < 0 ? err_prefix(e, "'%s': ", path) : 0;
}

int
tokenizer_load_json(struct tokenizer *t, const char *path, const char *text, size_t n, struct err *e)
{
	struct bpe_text x;
	struct buf rest = {0};
	struct err unused;
	int rc = 0;
	hash_bytes(text, n, t->fingerprint);
	snprintf(t->origin, sizeof t->origin, "tokenizer.json");
	/* Lines and columns in errors are those of the whole text, so what fails on the fast way is read again. */
	bool fast = bpe_text_read(&x, text, n, &rest);
	if (fast) {
		fast = load_text(t, path, rest.data, rest.len, &x, &unused) == 0;
		bpe_text_release(&x);
	}
	buf_release(&rest);
	if (!fast) {
		tokenizer_release_parts(t);
		rc = load_text(t, path, text, n, NULL, e);
	}
	return rc;
}

/* ---- what the other forms have in common ---- */

/* The hash of the files, and of what stands beside them if that is anything. */
static void
fingerprint(struct tokenizer *t, const struct buf *const *file, size_t n, const json_t *rest)
{
	XXH3_state_t *state = hash_state_new();
	for (size_t i = 0; i < n; i++)
		XXH3_128bits_update(state, file[i]->data, file[i]->len);
	if (json_array_size(json_object_get(rest, "added_tokens"))) {
		char *text = json_dumps(rest, JSON_COMPACT | JSON_SORT_KEYS);
		XXH3_128bits_update(state, text, strlen(text));
		free(text);
	}
	hash_hex(XXH3_128bits_digest(state), t->fingerprint);
	free(state);
}

static int32_t
id_of(const struct tokenizer *t, const json_t *token)
{
	return token ? tokenizer_id(t, json_string_value(token)) : -1;
}

/* bos and eos by the config's names, else as they are; ids around a text by add_bos_token and add_eos_token. */
static int
set_ends(struct tokenizer *t, const struct tokenizer_config *c, bool add_bos, bool add_eos, struct err *e)
{
	if (json_get_bool(c->config, "add_bos_token", &add_bos, e) < 0 ||
		json_get_bool(c->config, "add_eos_token", &add_eos, e) < 0)
		return err_prefix(e, "tokenizer_config.json: ");
	t->bos = c->bos ? id_of(t, c->bos) : t->bos;
	t->eos = c->eos ? id_of(t, c->eos) : t->eos;
	t->post = (struct postprocessor){0};
	if (add_bos && t->bos >= 0)
		t->post.item[t->post.n++] = t->bos;
	t->post.item[t->post.n++] = TEMPLATE_TEXT;
	if (add_eos && t->eos >= 0)
		t->post.item[t->post.n++] = t->eos;
	return 0;
}

static bool
is_one_of(const char *name, const char *const *names)
{
	for (; name && *names; names++)
		if (!strcmp(name, *names))
			return true;
	return false;
}

/* ---- tokenizer.model ---- */

/* A text that is no added token has all pieces to itself; so what the model calls a control piece is found in
 * text only where a file beside it names it. */
int
tokenizer_load_spm(struct tokenizer *t, struct buf *b, const char *dir, struct err *e)
{
	/* These number the pieces anew. */
	static const char *const shifted[] = {"XLMRobertaTokenizer", "CamembertTokenizer", "BarthezTokenizer",
		"MBartTokenizer", "MBart50Tokenizer", "NllbTokenizer", "PegasusTokenizer", "XLNetTokenizer",
		"XGLMTokenizer", "DebertaV2Tokenizer", NULL};
	static const char *const only_eos[] = {"T5Tokenizer", "UMT5Tokenizer", NULL};
	struct tokenizer_config c;
	const struct buf *file[] = {b};
	bool legacy = true;
	if (tokenizer_config_read(&c, dir, e) < 0)
		return -1;
	json_t *rest = json_pack("{s:O}", "added_tokens", c.added);
	fingerprint(t, file, 1, rest);
	int rc = 0;
	if (is_one_of(c.class, shifted))
		rc = err_set(e, ERR_CONFIG, "tokenizer_class '%.64s' does not keep the ids of its tokenizer.model: it "
			"needs a tokenizer.json", c.class);
	if (rc == 0 && !(t->spm = spm_new(b, e)))
		rc = -1;
	if (rc == 0) {
		t->vocab = spm_vocab(t->spm);
		t->bos = spm_model(t->spm)->bos;
		t->eos = spm_model(t->spm)->eos;
		snprintf(t->origin, sizeof t->origin, "SentencePiece model (%s)",
			spm_model(t->spm)->algorithm == SPM_BPE ? "BPE" : "unigram");
		rc = json_get_bool(c.config, "legacy", &legacy, e);
		t->prefix_once = !legacy;
	}
	bool t5 = is_one_of(c.class, only_eos);
	if (rc == 0 && (tokenizer_load_components(t, rest, true, e) < 0 || set_ends(t, &c, !t5, t5, e) < 0))
		rc = -1;
	json_decref(rest);
	tokenizer_config_release(&c);
	return rc;
}

/* ---- vocab.json and merges.txt ---- */

static json_t *
read_merges(const struct buf *b)
{
	json_t *list = json_array();
	const char *p = b->data, *end = p + b->len, *line_end;
	for (; p < end; p = line_end + 1) {
		line_end = memchr(p, '\n', (size_t)(end - p));
		line_end = line_end ? line_end : end;
		size_t n = (size_t)(line_end - p);
		n -= n && p[n - 1] == '\r';
		if (n && json_array_append_new(list, json_stringn(p, n)) < 0) {
			json_decref(list);  /* not UTF-8 */
			return NULL;
		}
	}
	return list;
}

/* The components around a vocabulary of GPT-2's kind. */
static json_t *
byte_level_parts(const struct tokenizer_config *c, const char *pattern, bool nfc, bool prefix_space)
{
	json_t *split = pattern ? json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern", "Regex", pattern,
					  "behavior", "Isolated", "invert", 0) :
				  NULL;
	json_t *bytes = json_pack(
		"{s:s, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", prefix_space, "use_regex", !pattern);
	json_t *pre = split ? json_pack("{s:s, s:[o, o]}", "type", "Sequence", "pretokenizers", split, bytes) : bytes;
	json_t *j = json_pack("{s:o, s:{s:s}, s:O}", "pre_tokenizer", pre, "decoder", "type", "ByteLevel",
		"added_tokens", c->added);
	if (nfc)
		json_object_set_new(j, "normalizer", json_pack("{s:s}", "type", "NFC"));
	return j;
}

static const char qwen_pattern[] =
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
	"|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

static int
load_gpt2_kind(struct tokenizer *t, const struct tokenizer_config *c, const json_t *model, const struct buf *const *file,
	struct err *e)
{
	static const char *const classes[] = {
		"GPT2Tokenizer", "GPTNeoXTokenizer", "CodeGenTokenizer", "Qwen2Tokenizer", NULL};
	static const char *const around[] = {"RobertaTokenizer", "BartTokenizer", "LongformerTokenizer", NULL};
	bool prefix_space = false, qwen = c->class && !strcmp(c->class, "Qwen2Tokenizer"),
	     both = is_one_of(c->class, around);
	if (c->class && !both && !is_one_of(c->class, classes))
		return err_set(e, ERR_CONFIG, "tokenizer_class '%.64s' with vocab.json and merges.txt is not supported: "
			"it needs a tokenizer.json", c->class);
	if (json_get_bool(c->config, "add_prefix_space", &prefix_space, e) < 0 ||
		bpe_load(&t->bpe, model, NULL, e) < 0)
		return -1;
	snprintf(t->origin, sizeof t->origin, "vocab.json and merges.txt (%s)", c->class ? c->class : "GPT2Tokenizer");
	json_t *parts = byte_level_parts(c, qwen ? qwen_pattern : NULL, qwen, prefix_space);
	if (!c->config) {  /* what GPT-2's own tokenizer takes for granted */
		const char *end = "<|endoftext|>";
		if (vocab_id(t->vocab, end, strlen(end)) >= 0 && !json_array_size(c->added))
			json_array_append_new(c->added, json_pack("{s:s, s:b, s:b}", "content", end, "special", 1,
				"normalized", 0));
		t->bos = t->eos = vocab_id(t->vocab, end, strlen(end));
	}
	fingerprint(t, file, 2, parts);
	int rc = tokenizer_load_components(t, parts, true, e);
	json_decref(parts);
	return rc < 0 ? -1 : set_ends(t, c, both, both, e);
}

int
tokenizer_load_vocab(struct tokenizer *t, const char *dir, struct err *e)
{
	char *vocab_path = path_join(dir, "vocab.json"), *merges_path = path_join(dir, "merges.txt");
	struct tokenizer_config c = {0};
	struct buf vocab = {0}, merges = {0};
	const struct buf *file[] = {&vocab, &merges};
	json_t *v = NULL, *m = NULL;
	int rc = -1;
	if (file_read(vocab_path, TOKENIZER_MAX_FILE, &vocab, e) == 0 &&
		file_read(merges_path, TOKENIZER_MAX_FILE, &merges, e) == 0 &&
		(v = json_read(vocab_path, vocab.data, vocab.len, e)) && tokenizer_config_read(&c, dir, e) == 0) {
		m = read_merges(&merges);
		if (!m)
			err_set(e, ERR_CONFIG, "'%s': it is not UTF-8", merges_path);
		else {
			json_t *model = json_pack("{s:s, s:O, s:O}", "type", "BPE", "vocab", v, "merges", m);
			rc = load_gpt2_kind(t, &c, model, file, e);
			json_decref(model);
			if (rc < 0)
				err_prefix(e, "'%s': ", dir);
		}
	}
	json_decref(v);
	json_decref(m);
	tokenizer_config_release(&c);
	buf_release(&vocab);
	buf_release(&merges);
	free(vocab_path);
	free(merges_path);
	return rc;
}

/* ---- tiktoken ---- */

int
tokenizer_load_tiktoken(struct tokenizer *t, const struct buf *b, const char *dir, struct err *e)
{
	struct tokenizer_config c;
	const struct tiktoken_pattern *p;
	if (tokenizer_config_read(&c, dir, e) < 0)
		return -1;
	const char *own = NULL, *why;
	json_t *parts = NULL;
	int rc = tiktoken_load(&t->bpe, b->data, b->len, e);
	if (rc == 0)
		rc = json_get_string(c.config, "pat_str", &own, e);
	if (rc == 0) {
		p = tiktoken_pattern(t->vocab->count);
		why = own ? "pat_str of tokenizer_config.json" : p ? p->name : NULL;
		if (!why)
			rc = err_set(e, ERR_CONFIG, "no known tiktoken vocabulary has %zu ranks: tell its pattern as "
				"'pat_str' in a tokenizer_config.json", t->vocab->count);
		else {
			snprintf(t->origin, sizeof t->origin, "tiktoken ranks (%zu; pattern: %s)", t->vocab->count, why);
			parts = byte_level_parts(&c, own ? own : p->regex, !own && p->nfc, false);
			const struct buf *file[] = {b};
			fingerprint(t, file, 1, parts);
			rc = tokenizer_load_components(t, parts, true, e);
		}
	}
	if (rc == 0)
		rc = set_ends(t, &c, c.bos != NULL, false, e);
	json_decref(parts);
	tokenizer_config_release(&c);
	return rc;
}
