#include "text/postprocess.h"

#include <stdbool.h>
#include <string.h>

#include "text/component.h"

struct loading {
	struct postprocessor *p;
	size_t vocab_size;
	bool adds;  /* one that adds ids has been loaded */
};

static int
push(struct loading *l, int32_t item, struct err *e)
{
	if (l->p->n == TEMPLATE_MAX)
		return err_set(e, ERR_CONFIG, "post_processor: more than %d items", TEMPLATE_MAX);
	l->p->item[l->p->n++] = item;
	return 0;
}

static int
push_id(struct loading *l, const json_t *id, struct err *e)
{
	if (!json_is_integer(id) || json_integer_value(id) < 0 ||
		(uint64_t)json_integer_value(id) >= l->vocab_size)
		return err_set(e, ERR_CONFIG, "post_processor: an id is not a whole number below %zu",
			l->vocab_size);
	return push(l, (int32_t)json_integer_value(id), e);
}

static int
load_special(struct loading *l, const json_t *item, const json_t *tokens, struct err *e)
{
	const char *name = json_string_value(json_object_get(item, "id"));
	const json_t *ids = name ? json_object_get(json_object_get(tokens, name), "ids") : NULL, *id;
	size_t i;
	if (!json_is_array(ids))
		return err_set(e, ERR_CONFIG, "post_processor: 'special_tokens' has no 'ids' for '%.64s'",
			name ? name : "");
	json_array_foreach(ids, i, id)
		if (push_id(l, id, e) < 0)
			return -1;
	return 0;
}

static int
load_template(struct loading *l, const json_t *j, struct err *e)
{
	const json_t *single = json_object_get(j, "single"), *item;
	size_t i;
	if (!json_is_array(single))
		return err_set(e, ERR_CONFIG, "post_processor TemplateProcessing has no list 'single'");
	json_array_foreach(single, i, item) {
		const json_t *special = json_object_get(item, "SpecialToken"),
			     *text = json_object_get(item, "Sequence");
		const char *id = json_string_value(json_object_get(text, "id"));
		int rc;
		if (special)
			rc = load_special(l, special, json_object_get(j, "special_tokens"), e);
		else if (id && !strcmp(id, "A"))
			rc = push(l, TEMPLATE_TEXT, e);
		else
			return err_set(e, ERR_CONFIG,
				"post_processor TemplateProcessing: item %zu of 'single' is neither a "
				"special token nor text A",
				i);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* ["</s>", 2] under `key`. */
static int
load_pair(struct loading *l, const json_t *j, const char *key, struct err *e)
{
	const json_t *pair = json_object_get(j, key);
	if (json_array_size(pair) != 2)
		return err_set(e, ERR_CONFIG, "post_processor: '%s' is not a token and its id", key);
	return push_id(l, json_array_get(pair, 1), e);
}

static int
load(void *ctx, const json_t *j, int depth, struct err *e)
{
	struct loading *l = ctx;
	const char *type = component_type(j, "post_processor", e);
	if (!type)
		return -1;
	if (!strcmp(type, "Sequence"))
		return component_each(j, "post_processor", "processors", depth, load, l, e);
	if (!strcmp(type, "ByteLevel"))
		return 0;
	bool template = !strcmp(type, "TemplateProcessing");
	if (!template && strcmp(type, "RobertaProcessing") && strcmp(type, "BertProcessing"))
		return component_unknown("post_processor", type, e);
	if (l->adds)
		return err_set(e, ERR_CONFIG,
			"post_processor: a Sequence with two that add tokens is not supported");
	l->adds = true;
	l->p->n = 0;
	if (template)
		return load_template(l, j, e);
	if (load_pair(l, j, "cls", e) < 0 || push(l, TEMPLATE_TEXT, e) < 0)
		return -1;
	return load_pair(l, j, "sep", e);
}

int
postprocessor_load(struct postprocessor *p, const json_t *j, size_t vocab_size, struct err *e)
{
	struct loading l = {.p = p, .vocab_size = vocab_size};
	*p = (struct postprocessor){.item = {TEMPLATE_TEXT}, .n = 1};
	return j && !json_is_null(j) ? load(&l, j, 0, e) : 0;
}
