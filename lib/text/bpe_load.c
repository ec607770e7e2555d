#include "text/bpe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "text/bpe_build.h"
#include "text/bpe_seams.h"
#include "text/bpe_text.h"
#include "text/unicode.h"

static int
load_vocab(struct bpe *b, const json_t *j, struct err *e)
{
	const char *key;
	json_t *id;
	if (!json_is_object(j) || !json_object_size(j))
		return err_set(e, ERR_CONFIG, "'vocab' is not an object with tokens");
	vocab_init(&b->vocab, json_object_size(j));
	json_object_foreach((json_t *)j, key, id) {
		if (!json_is_integer(id))
			return err_set(
				e, ERR_CONFIG, "'vocab': the id of '%.64s' is not a whole number", key);
		if (vocab_add(&b->vocab, key, strlen(key), json_integer_value(id), e) < 0)
			return err_prefix(e, "'vocab': ");
	}
	return 0;
}

/* The two halves of a merge: "a b", or ["a", "b"]. */
struct halves {
	const char *left, *right;
	size_t left_n, right_n;
};

static int
split_merge(const json_t *j, struct halves *h, struct err *e)
{
	if (json_is_string(j)) {
		size_t n = json_string_length(j);
		h->left = json_string_value(j);
		const char *space = memchr(h->left, ' ', n);
		if (!space || memchr(space + 1, ' ', (size_t)(h->left + n - space - 1)))
			return err_set(
				e, ERR_CONFIG, "'%.64s' is not two tokens with a space between", h->left);
		h->left_n = (size_t)(space - h->left);
		h->right = space + 1;
		h->right_n = n - h->left_n - 1;
		return 0;
	}
	const json_t *l = json_array_get(j, 0), *r = json_array_get(j, 1);
	if (json_array_size(j) != 2 || !json_is_string(l) || !json_is_string(r))
		return err_set(e, ERR_CONFIG, "it is neither a string nor a pair of strings");
	*h = (struct halves){
		json_string_value(l), json_string_value(r), json_string_length(l), json_string_length(r)};
	return 0;
}

static int
known(const struct bpe *b, const char *s, size_t n, int32_t *id, struct err *e)
{
	*id = vocab_id(&b->vocab, s, n);
	if (*id < 0)
		return err_set(e, ERR_CONFIG, "token '%.*s' is not in the vocabulary", (int)(n < 64 ? n : 64), s);
	return 0;
}

static int
add_merge(const struct bpe *b, const struct halves *h, struct bpe_rules *rules, uint32_t rank, struct buf *tmp,
	struct err *e)
{
	int32_t left, right, joined;
	size_t cut = b->prefix ? strlen(b->prefix) : 0;
	if (known(b, h->left, h->left_n, &left, e) < 0 || known(b, h->right, h->right_n, &right, e) < 0)
		return -1;
	if (h->right_n < cut)
		return err_set(e, ERR_CONFIG, "token '%.*s' does not begin with '%s'", (int)h->right_n, h->right,
			b->prefix);
	buf_clear(tmp);
	buf_append(tmp, h->left, h->left_n);
	buf_append(tmp, h->right + cut, h->right_n - cut);
	if (known(b, tmp->data, tmp->len, &joined, e) < 0)
		return -1;
	bpe_rules_add(rules, (struct bpe_rule){left, right, joined, rank});
	return 0;
}

static int
load_merges(const struct bpe *b, const json_t *list, struct bpe_rules *rules, struct err *e)
{
	const json_t *item;
	size_t i;
	uint32_t rank = 0;
	int rc = 0;
	struct buf tmp = {0};
	if (!json_is_array(list))
		return err_set(e, ERR_CONFIG, "'merges' is not a list");
	json_array_foreach(list, i, item) {
		if (json_is_string(item) && !strncmp(json_string_value(item), "#version", 8))
			continue;
		struct halves h = {0};
		rc = split_merge(item, &h, e) < 0 ? -1 : add_merge(b, &h, rules, rank++, &tmp, e);
		if (rc < 0) {
			err_prefix(e, "'merges': merge %zu: ", i);
			break;
		}
	}
	buf_release(&tmp);
	return rc;
}

static void
load_fallback(struct bpe *b, bool byte_fallback)
{
	for (int i = 0; i < 256; i++) {
		char name[8];
		snprintf(name, sizeof name, "<0x%02X>", i);
		b->fallback[i] = byte_fallback ? vocab_id(&b->vocab, name, 6) : -1;
		b->falls_back |= b->fallback[i] >= 0;
	}
}

static int
load_options(struct bpe *b, const json_t *j, bool *byte_fallback, struct err *e)
{
	const char *unk = NULL, *prefix = NULL, *suffix = NULL;
	double dropout = 0;
	if (json_get_double(j, "dropout", &dropout, e) < 0 || json_get_string(j, "unk_token", &unk, e) < 0 ||
		json_get_string(j, "continuing_subword_prefix", &prefix, e) < 0 ||
		json_get_string(j, "end_of_word_suffix", &suffix, e) < 0 ||
		json_get_bool(j, "fuse_unk", &b->fuse_unk, e) < 0 ||
		json_get_bool(j, "byte_fallback", byte_fallback, e) < 0 ||
		json_get_bool(j, "ignore_merges", &b->ignore_merges, e) < 0)
		return -1;
	if (dropout != 0)
		return err_set(
			e, ERR_CONFIG, "'dropout' is %g: ids would be random; set it to null", dropout);
	b->unk_token = unk ? xstrdup(unk) : NULL;
	b->prefix = prefix && *prefix ? xstrdup(prefix) : NULL;
	b->suffix = suffix && *suffix ? xstrdup(suffix) : NULL;
	return 0;
}

static int
check_type(const json_t *j, struct err *e)
{
	const char *type = NULL;
	if (!json_is_object(j))
		return err_set(e, ERR_CONFIG, "it is not an object");
	if (json_get_string(j, "type", &type, e) < 0)
		return -1;
	/* Files of before 2020 name no type; a BPE is known by its merges. */
	if (!type && !json_object_get(j, "merges"))
		return err_set(e, ERR_CONFIG, "it has no 'type'");
	if (type && strcmp(type, "BPE"))
		return err_set(e, ERR_CONFIG, "type '%.64s' is not supported; only BPE is", type);
	return 0;
}

static void
index_specials(struct bpe *b, bool byte_fallback)
{
	load_fallback(b, byte_fallback);
	b->unk = b->unk_token ? vocab_id(&b->vocab, b->unk_token, strlen(b->unk_token)) : -1;
}

static int
load(struct bpe *b, const json_t *j, struct bpe_text *text, struct err *e)
{
	bool byte_fallback = false;
	int rc;
	if (check_type(j, e) < 0 || load_options(b, j, &byte_fallback, e) < 0)
		return -1;
	struct bpe_rules rules = {0};
	if (text && b->prefix)
		return err_set(e, ERR_CONFIG, "'merges' are to be read with 'continuing_subword_prefix'");
	if (text) {
		b->vocab = text->vocab;
		rules = text->rules;
		*text = (struct bpe_text){0};
		rc = 0;
	} else if ((rc = load_vocab(b, json_object_get(j, "vocab"), e)) == 0)
		rc = load_merges(b, json_object_get(j, "merges"), &rules, e);
	if (rc == 0) {
		index_specials(b, byte_fallback);
		rc = bpe_build(b, &rules, e);
	}
	bpe_rules_release(&rules);
	return rc;
}

int
bpe_load(struct bpe *b, const json_t *model, struct bpe_text *text, struct err *e)
{
	*b = (struct bpe){0};
	if (load(b, model, text, e) == 0)
		return 0;
	bpe_release(b);
	return err_prefix(e, "'model': ");
}

void
bpe_release(struct bpe *b)
{
	vocab_release(&b->vocab);
	if (b->merge)
		mem_unmap(b->merge, (size_t)1 << (64 - b->merge_shift), sizeof *b->merge);
	free(b->merge_filter);
	free(b->unk_token);
	free(b->prefix);
	free(b->suffix);
	free(b->char_id);
	free(b->joins);
	free(b->byte_pair);
	free(b->seams);
	*b = (struct bpe){0};
}

/* The pairs that words begin with: a small table for them spares most looks into the large one. */
static void
index_byte_pairs(struct bpe *b)
{
	for (int i = 0; i < 256; i++)
		b->bytes_vanish |= b->byte_id[i] < 0;
	b->byte_pair = xcalloc(256 * 256, sizeof *b->byte_pair);
	for (int i = 0; i < 256; i++)
		for (int k = 0; k < 256; k++) {
			const struct bpe_merge *m = bpe_find_merge(b, b->byte_id[i], b->byte_id[k]);
			b->byte_pair[i * 256 + k] = m ? (struct bpe_joined){m->rank, m->id} :
							(struct bpe_joined){BPE_NO_RANK, -1};
		}
	b->seams = bpe_seams_new(b);
}

bool
bpe_use_bytes(struct bpe *b)
{
	if (b->prefix || b->suffix)
		return false;
	for (int i = 0; i < 256; i++) {
		b->byte_id[i] = b->char_id[uni_from_byte((uint8_t)i)] - 1;
		if (b->byte_id[i] < 0 && (b->unk_token || b->falls_back))
			return false;
	}
	for (int i = 0; i < 256; i++) {
		char u[4];
		size_t n = uni_encode(uni_from_byte((uint8_t)i), u);
		memcpy(b->spelling[i], u, n);
	}
	index_byte_pairs(b);
	b->byte_level = true;
	free(b->char_id);
	free(b->joins);
	b->char_id = NULL;
	b->joins = NULL;
	return true;
}
