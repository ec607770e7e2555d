#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "text/added.h"
#include "text/bpe.h"
#include "text/decode.h"
#include "text/normalize.h"
#include "text/postprocess.h"
#include "text/pretokenize.h"
#include "text/unicode.h"

enum { MAX_FILE = 256 << 20 };

struct tokenizer {
	struct bpe bpe;
	struct normalizer *normalizer;
	struct pretokenizer *pretokenizer;
	struct added *added;
	struct postprocessor post;
	struct decoder *decoder;
	size_t vocab_size;
	int32_t bos, eos;
	char fingerprint[HASH_HEX];
};

struct encoder {
	const struct tokenizer *t;
	struct bpe_work bpe;
	struct normal_work normal;
	struct pre_work pre;
	struct matcher *matcher;
};

/* ---- loading ---- */

static int
load_components(struct tokenizer *t, const json_t *j, struct err *e)
{
	const char *version = "1.0";
	if (!json_is_object(j))
		return err_set(e, ERR_CONFIG, "it is not an object");
	if (json_get_string(j, "version", &version, e) < 0)
		return -1;
	if (strcmp(version, "1.0"))
		return err_set(e, ERR_CONFIG, "version '%.64s' is not supported; only 1.0 is", version);
	if (bpe_load(&t->bpe, json_object_get(j, "model"), e) < 0 ||
		!(t->normalizer = normalizer_load(json_object_get(j, "normalizer"), e)) ||
		!(t->pretokenizer = pretokenizer_load(json_object_get(j, "pre_tokenizer"), e)) ||
		!(t->decoder = decoder_load(json_object_get(j, "decoder"), e)) ||
		!(t->added = added_load(json_object_get(j, "added_tokens"), &t->bpe.vocab, t->normalizer, e)))
		return -1;
	if (pretokenizer_byte_level(t->pretokenizer) && !bpe_use_bytes(&t->bpe))
		pretokenizer_spell(t->pretokenizer, true);
	t->vocab_size = t->bpe.vocab.size;
	if (added_max_id(t->added) >= (int32_t)t->vocab_size)
		t->vocab_size = (size_t)added_max_id(t->added) + 1;
	return postprocessor_load(&t->post, json_object_get(j, "post_processor"), t->vocab_size, e);
}

static int
load_file(struct tokenizer *t, const char *path, struct err *e)
{
	struct buf b = {0};
	if (file_read(path, MAX_FILE, &b, e) < 0)
		return -1;
	hash_bytes(b.data, b.len, t->fingerprint);
	json_t *j = json_read(path, b.data, b.len, e);
	buf_release(&b);
	if (!j)
		return -1;
	int rc = load_components(t, j, e);
	json_decref(j);
	return rc < 0 ? err_prefix(e, "'%s': ", path) : 0;
}

/* bos_token and eos_token are strings, or objects with their "content". */
static int
read_special(const struct tokenizer *t, const json_t *config, const char *key, int32_t *id, struct err *e)
{
	const json_t *v = json_object_get(config, key),
		     *text = json_is_object(v) ? json_object_get(v, "content") : v;
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_string(text))
		return err_set(e, ERR_CONFIG, "'%s' is neither a string nor an object with a 'content'", key);
	*id = tokenizer_id(t, json_string_value(text));
	if (*id < 0)
		return err_set(e, ERR_CONFIG, "'%s' is '%.64s', which tokenizer.json does not have", key,
			json_string_value(text));
	return 0;
}

/* Reads a file of the model directory that need not be there; NULL and no error when it is not. */
static int
read_optional(const char *dir, const char *name, json_t **out, struct err *e)
{
	char *path = path_join(dir, name);
	int rc = 0;
	*out = NULL;
	if (path_exists(path)) {
		*out = json_read_file(path, MAX_FILE, e);
		rc = *out ? 0 : -1;
	}
	free(path);
	return rc;
}

/* A key that tokenizer_config.json has, be it null, decides; else special_tokens_map.json does. */
static int
load_specials(struct tokenizer *t, const char *dir, struct err *e)
{
	static const char *const name[2] = {"tokenizer_config.json", "special_tokens_map.json"};
	static const char *const key[2] = {"bos_token", "eos_token"};
	int32_t *const id[2] = {&t->bos, &t->eos};
	bool decided[2] = {false, false};
	for (int f = 0; f < 2; f++) {
		json_t *config;
		int rc = read_optional(dir, name[f], &config, e);
		for (int k = 0; k < 2 && rc == 0; k++)
			if (!decided[k] && json_object_get(config, key[k])) {
				rc = read_special(t, config, key[k], id[k], e);
				decided[k] = true;
				if (rc < 0)
					err_prefix(e, "'%s/%s': ", dir, name[f]);
			}
		json_decref(config);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int
load_directory(struct tokenizer *t, const char *dir, struct err *e)
{
	char *path = path_join(dir, "tokenizer.json");
	int rc;
	if (!path_exists(path))
		rc = err_set(e, ERR_NOINPUT, "'%s': there is no tokenizer.json in it", dir);
	else
		rc = load_file(t, path, e);
	free(path);
	return rc < 0 ? -1 : load_specials(t, dir, e);
}

struct tokenizer *
tokenizer_open(const char *path, struct err *e)
{
	struct tokenizer *t = xcalloc(1, sizeof *t);
	uni_init();
	t->bos = t->eos = -1;
	if ((path_is_dir(path) ? load_directory(t, path, e) : load_file(t, path, e)) < 0) {
		tokenizer_free(t);
		return NULL;
	}
	return t;
}

void
tokenizer_free(struct tokenizer *t)
{
	if (!t)
		return;
	bpe_release(&t->bpe);
	normalizer_free(t->normalizer);
	pretokenizer_free(t->pretokenizer);
	added_free(t->added);
	decoder_free(t->decoder);
	free(t);
}

/* ---- encoding ---- */

struct encoder *
encoder_new(const struct tokenizer *t)
{
	struct encoder *enc = xcalloc(1, sizeof *enc);
	enc->t = t;
	enc->matcher = matcher_new();
	bpe_work_init(&enc->bpe);
	return enc;
}

void
encoder_free(struct encoder *enc)
{
	if (!enc)
		return;
	bpe_work_release(&enc->bpe);
	normal_work_release(&enc->normal);
	pre_work_release(&enc->pre);
	matcher_free(enc->matcher);
	free(enc);
}

/* Text without added tokens: pre-tokenizer and model. */
static int
encode_words(struct encoder *enc, const char *text, size_t n, bool first, struct ids *out, struct err *e)
{
	const struct words *words;
	if (pretokenizer_apply(enc->t->pretokenizer, &enc->pre, enc->matcher, text, n, first, &words, e) < 0)
		return -1;
	for (size_t i = 0; i < words->n; i++) {
		const char *word = words->text + words->v[i].start;
		if (bpe_encode(&enc->t->bpe, &enc->bpe, word, words->v[i].n, out, e) < 0)
			return -1;
	}
	return 0;
}

typedef int encode_fn(
	struct encoder *enc, const char *text, size_t n, bool first, struct ids *out, struct err *e);

/* Finds the added tokens of one stage, and gives the text between them to the next. */
static int
encode_around(struct encoder *enc, const struct added_set *set, encode_fn *next, const char *text, size_t n,
	bool first, struct ids *out, struct err *e)
{
	struct added_match m;
	size_t pos = 0, done = 0;
	while (added_find(set, text, n, &pos, done, &m)) {
		if (done < m.start && next(enc, text + done, m.start - done, first && done == 0, out, e) < 0)
			return -1;
		ids_push(out, m.id);
		done = m.end;
	}
	return done < n ? next(enc, text + done, n - done, first && done == 0, out, e) : 0;
}

static int
encode_raw(struct encoder *enc, const char *text, size_t n, bool first, struct ids *out, struct err *e)
{
	bool shifted;
	const struct normalizer *nz = enc->t->normalizer;
	if (normalizer_apply(nz, &enc->normal, enc->matcher, text, n, &text, &n, &shifted, e) < 0)
		return -1;
	return encode_around(
		enc, added_normalized(enc->t->added), encode_words, text, n, first && !shifted, out, e);
}

int
encoder_encode(struct encoder *enc, const char *text, size_t n, bool special, struct ids *out, struct err *e)
{
	const struct postprocessor *p = &enc->t->post;
	const struct added_set *raw = added_raw(enc->t->added);
	size_t bad = uni_check(text, n), before = out->n;
	if (bad < n)
		return err_set(e, ERR_DATA, "byte %zu of the text is not UTF-8", bad);
	for (size_t i = 0; i < (special ? p->n : 1); i++) {
		if (special && p->item[i] != TEMPLATE_TEXT)
			ids_push(out, p->item[i]);
		else if (encode_around(enc, raw, encode_raw, text, n, true, out, e) < 0) {
			out->n = before;
			return -1;
		}
	}
	return 0;
}

/* ---- decoding and questions ---- */

void
tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, bool skip_special, struct buf *out)
{
	struct strings tokens = {0};
	for (size_t i = 0; i < n; i++) {
		const struct added_token *a = added_by_id(t->added, ids[i]);
		const struct vocab_token *v = vocab_token(&t->bpe.vocab, ids[i]);
		if (a && !(a->special && skip_special))
			strings_add(&tokens, a->normal, a->normal_n);
		else if (!a && v)
			strings_add(&tokens, v->text, v->n);
	}
	decoder_apply(t->decoder, &tokens, out);
	strings_release(&tokens);
}

size_t
tokenizer_vocab_size(const struct tokenizer *t)
{
	return t->vocab_size;
}

int32_t
tokenizer_bos(const struct tokenizer *t)
{
	return t->bos;
}

int32_t
tokenizer_eos(const struct tokenizer *t)
{
	return t->eos;
}

int32_t
tokenizer_id(const struct tokenizer *t, const char *token)
{
	int32_t id = added_id(t->added, token, strlen(token));
	return id >= 0 ? id : vocab_id(&t->bpe.vocab, token, strlen(token));
}

const char *
tokenizer_token(const struct tokenizer *t, int32_t id)
{
	const struct added_token *a = added_by_id(t->added, id);
	const struct vocab_token *v = vocab_token(&t->bpe.vocab, id);
	return a ? a->content : v ? v->text : NULL;
}

bool
tokenizer_is_special(const struct tokenizer *t, int32_t id)
{
	const struct added_token *a = added_by_id(t->added, id);
	return a && a->special;
}

const char *
tokenizer_fingerprint(const struct tokenizer *t)
{
	return t->fingerprint;
}

void
ids_push(struct ids *ids, int32_t id)
{
	GROW(ids->v, ids->cap, ids->n + 1);
	ids->v[ids->n++] = id;
}

void
ids_release(struct ids *ids)
{
	free(ids->v);
	*ids = (struct ids){0};
}
