#include "text/added.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "text/unicode.h"

/* A trie over bytes; the children of a node are a list, those of the root a table. */
struct node {
	uint32_t child, sibling;  /* 0: none */
	uint32_t token;           /* index + 1 of the token that ends here; 0: none */
	uint8_t byte;
};

struct added_set {
	const struct added_token *token;
	struct node *node;  /* node[0] is not used, so that 0 is "none" */
	size_t n, cap;
	uint32_t root[256];
	int first;          /* the byte that all tokens start with, or -1 */
	bool empty;
};

struct added {
	struct added_token *token;  /* in the order of the file */
	size_t n, cap;
	struct vocab names;         /* contents and ids */
	uint32_t *by_id;            /* [names.size] index + 1 into token */
	struct added_set raw, normalized;
};

/* ---- loading ---- */

static uint32_t
add_node(struct added_set *s, uint8_t byte)
{
	GROW(s->node, s->cap, s->n + 2);
	if (!s->n)
		s->node[s->n++] = (struct node){0};
	s->node[s->n] = (struct node){.byte = byte};
	return (uint32_t)s->n++;
}

static uint32_t
child_of(const struct added_set *s, uint32_t node, uint8_t byte)
{
	uint32_t c = s->node[node].child;
	while (c && s->node[c].byte != byte)
		c = s->node[c].sibling;
	return c;
}

/* Of two tokens with one spelling (which the normalizer can make) the first is found. */
static void
insert(struct added_set *s, const char *text, size_t n, size_t token)
{
	const uint8_t *p = (const uint8_t *)text;
	if (!n)
		return;
	s->first = s->empty || s->first == p[0] ? p[0] : -1;
	s->empty = false;
	if (!s->root[p[0]])
		s->root[p[0]] = add_node(s, p[0]);
	uint32_t at = s->root[p[0]];
	for (size_t i = 1; i < n; i++) {
		uint32_t c = child_of(s, at, p[i]);
		if (!c) {
			c = add_node(s, p[i]);
			s->node[c].sibling = s->node[at].child;
			s->node[at].child = c;
		}
		at = c;
	}
	if (!s->node[at].token)
		s->node[at].token = (uint32_t)token + 1;
}

static char *
keep(const char *s, size_t n)
{
	char *p = xmalloc(n + 1);
	memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

static int
insert_normalized(struct added *a, size_t i, const struct normalizer *nz, struct normal_work *w,
	struct matcher *m, struct err *e)
{
	const char *text;
	size_t n;
	bool shifted;
	if (normalizer_apply(nz, w, m, a->token[i].content, a->token[i].n, &text, &n, &shifted, e) < 0)
		return -1;
	free(a->token[i].normal);
	a->token[i].normal = keep(text, n);
	a->token[i].normal_n = n;
	insert(&a->normalized, text, n, i);
	return 0;
}

static int
build_sets(struct added *a, const struct normalizer *nz, struct err *e)
{
	struct normal_work w = {0};
	struct matcher *m = matcher_new();
	int rc = 0;
	for (int special = 1; special >= 0 && rc == 0; special--)
		for (size_t i = 0; i < a->n && rc == 0; i++) {
			const struct added_token *t = &a->token[i];
			if (t->special != (bool)special)
				continue;
			if (t->normalized)
				rc = insert_normalized(a, i, nz, &w, m, e);
			else
				insert(&a->raw, t->content, t->n, i);
		}
	normal_work_release(&w);
	matcher_free(m);
	return rc;
}

static int32_t
next_id(const struct added *a, const struct vocab *model)
{
	int32_t max = (int32_t)a->names.size - 1, count = (int32_t)model->count;
	return max >= count || (count == 0 && max >= 0) ? max + 1 : count;
}

/* The id of a new token whose "id" is `declared`, or -1. */
static int
choose_id(const struct added *a, const struct vocab *model, const char *content, size_t n, int64_t declared,
	bool as_told, int32_t *id, struct err *e)
{
	*id = vocab_id(model, content, n);
	if (*id < 0)
		*id = as_told && declared >= 0 ? (int32_t)declared : next_id(a, model);
	if (declared != *id && !(as_told && declared < 0))
		return err_set(e, ERR_CONFIG, "'%.64s' has id %lld, and would be numbered %d", content,
			(long long)declared, *id);
	const struct vocab_token *taken = vocab_token(model, *id);
	if (as_told && taken && vocab_id(model, content, n) < 0)
		return err_set(e, ERR_CONFIG, "'%.64s' has id %d, which is '%.64s' already", content, *id,
			taken->text);
	return 0;
}

static int
read_flags(struct added_token *t, const json_t *j, struct err *e)
{
	if (json_get_bool(j, "single_word", &t->single_word, e) < 0 ||
		json_get_bool(j, "lstrip", &t->lstrip, e) < 0 || json_get_bool(j, "rstrip", &t->rstrip, e) < 0 ||
		json_get_bool(j, "normalized", &t->normalized, e) < 0 ||
		json_get_bool(j, "special", &t->special, e) < 0)
		return -1;
	return 0;
}

static int
load_token(struct added *a, const json_t *j, const struct vocab *model, bool as_told, struct err *e)
{
	const json_t *content = json_object_get(j, "content");
	size_t n = json_string_length(content);
	int64_t declared = -1;
	struct added_token t = {.normalized = true};
	if (!json_is_string(content))
		return err_set(e, ERR_CONFIG, "it has no 'content'");
	if (!n)
		return 0;  /* it would be found everywhere: the library passes it over, too */
	if (json_get_int(j, "id", 0, VOCAB_MAX_ID - 1, &declared, e) < 0 || read_flags(&t, j, e) < 0)
		return -1;
	if (vocab_id(&a->names, json_string_value(content), n) >= 0)
		return err_set(e, ERR_CONFIG, "'%.64s' is there twice", json_string_value(content));
	if (choose_id(a, model, json_string_value(content), n, declared, as_told, &t.id, e) < 0)
		return -1;
	if (vocab_add(&a->names, json_string_value(content), n, t.id, e) < 0)
		return -1;
	t.n = t.normal_n = n;
	t.content = keep(json_string_value(content), n);
	t.normal = keep(t.content, n);
	GROW(a->token, a->cap, a->n + 1);
	a->token[a->n++] = t;
	return 0;
}

static void
index_ids(struct added *a)
{
	a->by_id = xcalloc(a->names.size, sizeof *a->by_id);
	for (size_t i = 0; i < a->n; i++)
		a->by_id[a->token[i].id] = (uint32_t)i + 1;
	a->raw.token = a->normalized.token = a->token;
}

struct added *
added_load(const json_t *list, const struct vocab *model, const struct normalizer *nz, bool as_told,
	struct err *e)
{
	struct added *a = xcalloc(1, sizeof *a);
	const json_t *item;
	size_t i;
	a->raw.empty = a->normalized.empty = true;
	vocab_init(&a->names, json_array_size(list));
	if (list && !json_is_null(list) && !json_is_array(list)) {
		err_set(e, ERR_CONFIG, "'added_tokens' is not a list");
		goto fail;
	}
	json_array_foreach(list, i, item)
		if (load_token(a, item, model, as_told, e) < 0) {
			err_prefix(e, "'added_tokens': token %zu: ", i);
			goto fail;
		}
	index_ids(a);
	if (build_sets(a, nz, e) < 0)
		goto fail;
	return a;
fail:
	added_free(a);
	return NULL;
}

void
added_free(struct added *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n; i++) {
		free(a->token[i].content);
		free(a->token[i].normal);
	}
	free(a->token);
	free(a->by_id);
	vocab_release(&a->names);
	free(a->raw.node);
	free(a->normalized.node);
	free(a);
}

/* ---- use ---- */

const struct added_set *
added_raw(const struct added *a)
{
	return &a->raw;
}

const struct added_set *
added_normalized(const struct added *a)
{
	return &a->normalized;
}

/* The longest token that starts at p, and how many bytes it takes; or NULL. */
static const struct added_token *
longest_at(const struct added_set *s, const uint8_t *p, size_t n, size_t *len)
{
	uint32_t at = s->root[p[0]], token = 0;
	for (size_t i = 1; at; i++) {
		if (s->node[at].token) {
			token = s->node[at].token;
			*len = i;
		}
		at = i < n ? child_of(s, at, p[i]) : 0;
	}
	return token ? &s->token[token - 1] : NULL;
}

/* The next place from `pos` on where a token may start, or n. */
static size_t
candidate(const struct added_set *s, const uint8_t *p, size_t pos, size_t n)
{
	if (s->first >= 0) {
		const uint8_t *q = pos < n ? memchr(p + pos, s->first, n - pos) : NULL;
		return q ? (size_t)(q - p) : n;
	}
	while (pos < n && !s->root[p[pos]])
		pos++;
	return pos;
}

static bool
is_word_at(const char *p)
{
	uint32_t c;
	uni_decode(p, &c);
	return uni_class[c] & UNI_WORD;
}

static bool
stands_alone(const char *text, size_t n, size_t start, size_t end)
{
	return !(start > 0 && is_word_at(uni_before(text + start))) && !(end < n && is_word_at(text + end));
}

bool
added_find(const struct added_set *s, const char *text, size_t n, size_t *pos, size_t done,
	struct added_match *m)
{
	const uint8_t *p = (const uint8_t *)text;
	if (s->empty)
		return false;
	for (size_t i = candidate(s, p, *pos, n); i < n; i = candidate(s, p, i, n)) {
		size_t len = 1, start = i;
		const struct added_token *t = longest_at(s, p + i, n - i, &len);
		size_t end = i += len;
		if (!t)
			continue;
		if (t->single_word && !stands_alone(text, n, start, end))
			continue;
		if (t->lstrip) {
			start -= uni_trailing_space(text, start);
			start = start > done ? start : done;
		}
		if (t->rstrip)
			end += uni_leading_space(text + end, n - end);
		*m = (struct added_match){start, end > start ? end : start, t->id};
		*pos = i;
		return true;
	}
	*pos = n;
	return false;
}

const struct added_token *
added_by_id(const struct added *a, int32_t id)
{
	return id < 0 || (size_t)id >= a->names.size || !a->by_id[id] ? NULL : &a->token[a->by_id[id] - 1];
}

int32_t
added_id(const struct added *a, const char *name, size_t n)
{
	return vocab_id(&a->names, name, n);
}

bool
added_says_special(const struct added *a, const struct added_token *t)
{
	const struct added_token *named = added_by_id(a, added_id(a, t->normal, t->normal_n));
	return named && named->special;
}

int32_t
added_max_id(const struct added *a)
{
	return (int32_t)a->names.size - 1;
}
