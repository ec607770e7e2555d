/* tokenizer_config.json, special_tokens_map.json and added_tokens.json, as the tokenizers that transformers has in
 * Python read them. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "text/tokenizer_int.h"

/* Reads a file of the directory that need not be there: *out is NULL when it is not. */
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
	if (rc == 0 && *out && !json_is_object(*out)) {
		json_decref(*out);
		*out = NULL;
		rc = err_set(e, ERR_CONFIG, "'%s': it is not an object", path);
	}
	free(path);
	return rc;
}

/* The text of a token: a string, or an object with its "content". NULL when it is neither. */
static json_t *
content_of(json_t *v)
{
	json_t *text = json_is_object(v) ? json_object_get(v, "content") : v;
	return json_is_string(text) && json_string_length(text) ? text : NULL;
}

/* Whether the list has a token of this content already. */
static json_t *
find(json_t *list, const json_t *content)
{
	json_t *item;
	size_t i;
	json_array_foreach(list, i, item)
		if (json_equal(json_object_get(item, "content"), content))
			return item;
	return NULL;
}

static void
add(struct tokenizer_config *c, json_t *content, json_t *flags, const json_t *id, bool special)
{
	json_t *item = find(c->added, content);
	if (!item) {
		item = json_is_object(flags) ? json_copy(flags) : json_object();
		json_object_set(item, "content", content);
		json_object_set_new(item, "normalized", json_false());  /* they look at the raw text only */
		json_object_set_new(item, "special", json_boolean(special));
		json_array_append_new(c->added, item);
	}
	if (special)
		json_object_set_new(item, "special", json_true());
	if (id)
		json_object_set(item, "id", (json_t *)id);
}

/* {"32000": {"content": ..., flags}} */
static int
read_decoder(struct tokenizer_config *c, struct err *e)
{
	json_t *all = json_object_get(c->config, "added_tokens_decoder"), *v;
	const char *key;
	if (all && !json_is_null(all) && !json_is_object(all))
		return err_set(e, ERR_CONFIG, "'added_tokens_decoder' is not an object");
	json_object_foreach(all, key, v) {
		char *end;
		long id = strtol(key, &end, 10);
		if (!*key || *end || id < 0 || id >= VOCAB_MAX_ID || !json_is_object(v) || !content_of(v))
			return err_set(e, ERR_CONFIG, "'added_tokens_decoder': '%.64s' is not an id with its token",
				key);
		json_t *n = json_integer(id);
		add(c, content_of(v), v, n, json_is_true(json_object_get(v, "special")));
		json_decref(n);
	}
	return 0;
}

/* {"<pad>": 32000} */
static int
read_added(struct tokenizer_config *c, const json_t *file, struct err *e)
{
	const char *key;
	json_t *id;
	json_object_foreach((json_t *)file, key, id) {
		if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= VOCAB_MAX_ID)
			return err_set(e, ERR_CONFIG, "the id of '%.64s' is not a whole number below %d", key,
				VOCAB_MAX_ID);
		json_t *content = json_string(key);
		if (json_string_length(content) && !find(c->added, content))
			add(c, content, NULL, id, false);
		json_decref(content);
	}
	return 0;
}

static int
read_specials(struct tokenizer_config *c, const json_t *o, struct err *e)
{
	static const char *const keys[] = {
		"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
	json_t *more = json_object_get(o, "additional_special_tokens"), *v;
	size_t i;
	for (i = 0; i < sizeof keys / sizeof *keys; i++) {
		v = json_object_get(o, keys[i]);
		if (!v || json_is_null(v) || json_is_false(v))
			continue;
		if (!content_of(v))
			return err_set(e, ERR_CONFIG, "'%s' is neither a string nor an object with a 'content'",
				keys[i]);
		add(c, content_of(v), v, NULL, true);
		if (i == 0 && !c->bos)
			c->bos = json_incref(content_of(v));
		if (i == 1 && !c->eos)
			c->eos = json_incref(content_of(v));
	}
	json_array_foreach(more, i, v)
		if (content_of(v))
			add(c, content_of(v), v, NULL, true);
	return 0;
}

static int
by_id(const void *a, const void *b)
{
	const json_t *x = json_object_get(*(json_t *const *)a, "id"), *y = json_object_get(*(json_t *const *)b, "id");
	json_int_t i = x ? json_integer_value(x) : VOCAB_MAX_ID, k = y ? json_integer_value(y) : VOCAB_MAX_ID;
	return (i > k) - (i < k);
}

/* Those without an id come last, in the order in which they were found. */
static void
sort(struct tokenizer_config *c)
{
	size_t n = json_array_size(c->added), with_id = 0;
	json_t **v = xcalloc(n + 1, sizeof(json_t *)), *sorted = json_array();
	for (int id = 1; id >= 0; id--)
		for (size_t i = 0; i < n; i++) {
			json_t *item = json_array_get(c->added, i);
			if ((json_object_get(item, "id") != NULL) == (id == 1))
				v[with_id++] = item;
		}
	for (with_id = 0; with_id < n && json_object_get(v[with_id], "id"); with_id++)
		;
	if (with_id)
		qsort(v, with_id, sizeof(json_t *), by_id);
	for (size_t i = 0; i < n; i++)
		json_array_append(sorted, v[i]);
	json_decref(c->added);
	c->added = sorted;
	free(v);
}

static const char *
class_of(json_t *config)
{
	json_t *v = json_object_get(config, "tokenizer_class");
	const char *s = json_string_value(v);
	size_t n = json_string_length(v);
	if (n <= 4 || strcmp(s + n - 4, "Fast"))
		return s;
	char *cut = xstrndup(s, n - 4);
	json_string_set(v, cut);
	free(cut);
	return json_string_value(v);
}

int
tokenizer_config_read(struct tokenizer_config *c, const char *dir, struct err *e)
{
	json_t *map = NULL, *added = NULL;
	int rc = 0;
	*c = (struct tokenizer_config){.added = json_array()};
	if (!dir)
		return 0;
	if (read_optional(dir, "tokenizer_config.json", &c->config, e) < 0 ||
		read_optional(dir, "special_tokens_map.json", &map, e) < 0 ||
		read_optional(dir, "added_tokens.json", &added, e) < 0)
		rc = -1;
	if (rc == 0 && read_decoder(c, e) < 0)
		rc = err_prefix(e, "'%s/tokenizer_config.json': ", dir);
	if (rc == 0 && read_added(c, added, e) < 0)
		rc = err_prefix(e, "'%s/added_tokens.json': ", dir);
	if (rc == 0 && read_specials(c, c->config, e) < 0)
		rc = err_prefix(e, "'%s/tokenizer_config.json': ", dir);
	if (rc == 0 && read_specials(c, map, e) < 0)
		rc = err_prefix(e, "'%s/special_tokens_map.json': ", dir);
	json_decref(map);
	json_decref(added);
	if (rc < 0) {
		tokenizer_config_release(c);
		return -1;
	}
	sort(c);
	c->class = class_of(c->config);
	return 0;
}

void
tokenizer_config_release(struct tokenizer_config *c)
{
	json_decref(c->config);
	json_decref(c->added);
	json_decref(c->bos);
	json_decref(c->eos);
	*c = (struct tokenizer_config){0};
}
