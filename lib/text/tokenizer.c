#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/dir_read.h"
#include "base/file.h"
#include "base/json.h"
#include "text/tiktoken.h"
#include "text/tokenizer_int.h"
#include "text/unicode.h"

struct encoder {
	const struct tokenizer *t;
	struct bpe_work bpe;
	struct normal_work normal;
	struct pre_work pre;
	struct matcher *matcher;
	struct spm_work *spm;
};

/* ---- loading ---- */

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
		*out = json_read_file(path, TOKENIZER_MAX_FILE, e);
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

/* A file by what is in it; `dir` is where the files beside it are, or NULL for it alone. */
static int
load_file(struct tokenizer *t, const char *path, const char *dir, struct err *e)
{
	struct buf b = {0};
	size_t i = 0;
	int rc;
	if (file_read(path, TOKENIZER_MAX_FILE, &b, e) < 0)
		return -1;
	i += b.len >= 3 && !memcmp(b.data, "\xef\xbb\xbf", 3) ? 3 : 0;
	while (i < b.len && strchr(" \t\r\n", b.data[i]) && b.data[i])
		i++;
	if (i == b.len || b.data[i] == '{' || b.data[i] == '[')
		rc = tokenizer_load_json(t, path, b.data, b.len, e);
	else {
		rc = tiktoken_looks_like(b.data, b.len) ? tokenizer_load_tiktoken(t, &b, dir, e) :
							  tokenizer_load_spm(t, &b, dir, e);
		if (rc < 0)
			err_prefix(e, "'%s': ", path);
	}
	buf_release(&b);
	return rc;
}

/* The one file NAME.tiktoken of a directory, or NULL. */
static char *
find_ranks(const char *dir)
{
	char *found = NULL;
	struct err ignored;
	char **names = dir_names(dir, NULL, &ignored);
	for (size_t i = 0; names && names[i]; i++) {
		size_t n = strlen(names[i]);
		if (n <= 9 || strcmp(names[i] + n - 9, ".tiktoken") || names[i][0] == '.')
			continue;
		char *path = path_join(dir, names[i]);
		if (found && strcmp(found, path) < 0) {
			free(path);
			continue;
		}
		free(found);
		found = path;
	}
	names_free(names);
	return found;
}

static int
load_directory(struct tokenizer *t, const char *dir, struct err *e)
{
	char *json = path_join(dir, "tokenizer.json"), *model = path_join(dir, "tokenizer.model"),
	     *vocab = path_join(dir, "vocab.json"), *merges = path_join(dir, "merges.txt"), *ranks = NULL;
	int rc;
	if (path_exists(json)) {
		rc = load_file(t, json, dir, e);
		if (rc == 0)
			rc = load_specials(t, dir, e);
	} else if (path_exists(model))
		rc = load_file(t, model, dir, e);
	else if (path_exists(vocab) && path_exists(merges))
		rc = tokenizer_load_vocab(t, dir, e);
	else if ((ranks = find_ranks(dir)))
		rc = load_file(t, ranks, dir, e);
	else
		rc = err_set(e, ERR_NOINPUT,
			"'%s': there is no tokenizer.json in it, nor a tokenizer.model, vocab.json with merges.txt or "
			"*.tiktoken", dir);
	free(json);
	free(model);
	free(vocab);
	free(merges);
	free(ranks);
	return rc;
}

/* What cannot be looked at is not taken for a file. */
static int
load(struct tokenizer *t, const char *path, struct err *e)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return err_sys(e, ERR_NOINPUT, "cannot open '%s'", path);
	return S_ISDIR(st.st_mode) ? load_directory(t, path, e) : load_file(t, path, NULL, e);
}

struct opening {
	struct tokenizer *t;
	const char *path;
};

static int
open_files(void *ctx, struct err *e)
{
	struct opening *o = ctx;
	struct tokenizer *t = o->t = xcalloc(1, sizeof *t);
	t->vocab = &t->bpe.vocab;
	t->bos = t->eos = -1;
	if (load(t, o->path, e) == 0)
		return 0;
	tokenizer_free(t);
	return -1;
}

static void
close_files(void *ctx)
{
	tokenizer_free(((struct opening *)ctx)->t);
}

struct tokenizer *
tokenizer_open(const char *path, struct err *e)
{
	struct opening o = {.path = path};
	uni_init();
	return dir_read(path, open_files, close_files, &o, e) == 0 ? o.t : NULL;
}

void
tokenizer_release_parts(struct tokenizer *t)
{
	bpe_release(&t->bpe);
	spm_free(t->spm);
	normalizer_free(t->normalizer);
	pretokenizer_free(t->pretokenizer);
	added_free(t->added);
	decoder_free(t->decoder);
	t->spm = NULL;
	t->normalizer = NULL;
	t->pretokenizer = NULL;
	t->added = NULL;
	t->decoder = NULL;
}

void
tokenizer_free(struct tokenizer *t)
{
	if (!t)
		return;
	tokenizer_release_parts(t);
	free(t);
}

/* ---- encoding ---- */

struct encoder *
encoder_new(const struct tokenizer *t)
{
	struct encoder *enc = xcalloc(1, sizeof *enc);
	enc->t = t;
	enc->matcher = matcher_new();
	if (t->spm)
		enc->spm = spm_work_new();
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
	spm_work_free(enc->spm);
	free(enc);
}

/* Text without added tokens: pre-tokenizer and model. */
static int
encode_words(struct encoder *enc, const char *text, size_t n, bool first, struct ids *out, struct err *e)
{
	const struct words *words;
	if (pretokenizer_apply(enc->t->pretokenizer, &enc->pre, enc->matcher, text, n, first, &words, e) < 0)
		return -1;
	return bpe_encode(&enc->t->bpe, &enc->bpe, words->text, words->v, words->n, out, e);
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
	const struct tokenizer *t = enc->t;
	const struct normalizer *nz = t->normalizer;
	if (t->spm)
		return spm_encode(t->spm, enc->spm, first || !t->prefix_once, text, n, out, e);
	if (normalizer_apply(nz, &enc->normal, enc->matcher, text, n, &text, &n, &shifted, e) < 0)
		return -1;
	return encode_around(
		enc, added_normalized(enc->t->added), encode_words, text, n, first && !shifted, out, e);
}

int
encoder_encode_valid(struct encoder *enc, const char *text, size_t n, bool special, struct ids *out, struct err *e)
{
	const struct postprocessor *p = &enc->t->post;
	const struct added_set *raw = added_raw(enc->t->added);
	size_t before = out->n;
	for (size_t i = 0; i < p->n; i++) {
		if (p->item[i] != TEMPLATE_TEXT) {
			if (special)
				ids_push(out, p->item[i]);
		} else if (encode_around(enc, raw, encode_raw, text, n, true, out, e) < 0) {
			out->n = before;
			return -1;
		}
	}
	return 0;
}

int
encoder_encode(struct encoder *enc, const char *text, size_t n, bool special, struct ids *out, struct err *e)
{
	size_t bad = uni_check(text, n);
	if (bad < n)
		return err_set(e, ERR_DATA, "byte %zu of the text is not UTF-8", bad);
	return encoder_encode_valid(enc, text, n, special, out, e);
}

/* ---- decoding and questions ---- */

/* Without `skip_special` special tokens are told by name; sentencepiece itself has none of them in text. */
static void
decode_spm(const struct tokenizer *t, const int32_t *ids, size_t n, bool skip_special, struct buf *out)
{
	struct spm_text text = {0};
	for (size_t i = 0; i < n; i++) {
		const struct added_token *a = added_by_id(t->added, ids[i]);
		const char *name = tokenizer_token(t, ids[i]);
		if (a && a->special && skip_special)
			continue;
		if ((a && !a->special) || (name && !skip_special && tokenizer_is_special(t, ids[i])))
			spm_decode_plain(&text, name, strlen(name), out);
		else
			spm_decode(t->spm, &text, ids[i], out);
	}
	spm_decode_end(&text, out);
}

void
tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, bool skip_special, struct buf *out)
{
	struct strings tokens = {0};
	if (t->spm) {
		decode_spm(t, ids, n, skip_special, out);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const struct added_token *a = added_by_id(t->added, ids[i]);
		const struct vocab_token *v = vocab_token(t->vocab, ids[i]);
		if (a && !(skip_special && added_says_special(t->added, a)))
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
	return id >= 0 ? id : vocab_id(t->vocab, token, strlen(token));
}

const char *
tokenizer_token(const struct tokenizer *t, int32_t id)
{
	const struct added_token *a = added_by_id(t->added, id);
	const struct vocab_token *v = vocab_token(t->vocab, id);
	return a ? a->content : v ? v->text : NULL;
}

bool
tokenizer_is_special(const struct tokenizer *t, int32_t id)
{
	const struct added_token *a = added_by_id(t->added, id);
	return (a && a->special) || (t->spm && spm_is_special(t->spm, id));
}

const char *
tokenizer_origin(const struct tokenizer *t)
{
	return t->origin;
}

const char *
tokenizer_ignored(const struct tokenizer *t)
{
	return t->ignored;
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
