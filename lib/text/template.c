#include "text/template.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

enum { CONFIG_BYTES_MAX = 64 << 20, TEMPLATE_FILE_MAX = 1 << 20 };

/* The directory that a model's path is, or the one its tokenizer.json is in. */
static char *
directory_of(const char *model)
{
	if (path_is_dir(model))
		return xstrdup(model);
	const char *slash = strrchr(model, '/');
	return slash ? xstrndup(model, slash == model ? 1 : (size_t)(slash - model)) : xstrdup(".");
}

/* An object from a file that may be missing: *o is NULL then. */
static int
read_config(const char *dir, const char *file, json_t **o, struct err *e)
{
	char *path = path_join(dir, file);
	*o = NULL;
	int rc = 0;
	if (path_exists(path)) {
		*o = json_read_file(path, CONFIG_BYTES_MAX, e);
		if (*o && !json_is_object(*o)) {
			json_decref(*o);
			*o = NULL;
			rc = err_set(e, ERR_CONFIG, "'%s' is not a JSON object", path);
		} else if (!*o) {
			rc = -1;
		}
	}
	free(path);
	return rc;
}

/* Every NAME_token of a configuration that is not known yet: its text, or the "content" of an added token. */
static void
collect_tokens(json_t *tokens, json_t *config)
{
	static const char end[] = "_token";
	const char *key;
	json_t *v;
	json_object_foreach(config, key, v) {
		size_t n = strlen(key), m = sizeof end - 1;
		if (json_is_object(v))
			v = json_object_get(v, "content");
		if (n > m && strcmp(key + n - m, end) == 0 && json_is_string(v) &&
			!json_object_get(tokens, key))
			json_object_set(tokens, key, v);
	}
}

static struct jinja *
compile(struct template *t, const char *name, const char *text, size_t n, struct err *e)
{
	struct jinja *j = jinja_compile(name, text, n, e);
	if (j && !t->name)
		t->name = xstrdup(name);
	return j;
}

static int
use_text(struct template *t, const char *name, const char *text, size_t n, struct err *e)
{
	t->jinja = compile(t, name, text, n, e);
	return t->jinja ? 0 : -1;
}

static int
use_file(struct template *t, const char *path, const char *name, struct err *e)
{
	struct buf b = {0};
	int rc = file_read(path, TEMPLATE_FILE_MAX, &b, e);
	if (rc == 0)
		rc = use_text(t, name, b.data, b.len, e);
	buf_release(&b);
	return rc;
}

/* One of a list [{"name", "template"}, ...]. */
static const json_t *
named(const json_t *list, const char *name)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		const char *s = json_string_value(json_object_get(one, "name"));
		if (s && strcmp(s, name) == 0 && json_is_string(json_object_get(one, "template")))
			return json_object_get(one, "template");
	}
	return NULL;
}

/* "chat_template" of a configuration: its default, or the one that is asked for. */
static int
use_config(struct template *t, const char *file, const json_t *config, const char *name, struct err *e)
{
	const json_t *v = json_object_get(config, "chat_template");
	const json_t *text = json_is_string(v) && !name ? v : named(v, name ? name : "default");
	const json_t *tools = name ? NULL : named(v, "tool_use");
	if (text && use_text(t, name ? name : file, json_string_value(text), json_string_length(text), e) < 0)
		return -1;
	if (text && tools) {
		t->jinja_tools = compile(t, file, json_string_value(tools), json_string_length(tools), e);
		if (!t->jinja_tools)
			return -1;
	}
	return 0;
}

static int
use_model(struct template *t, const char *dir, const json_t *config, struct err *e)
{
	char *path = path_join(dir, "chat_template.jinja");
	int rc = 0;
	if (path_exists(path))
		rc = use_file(t, path, "chat_template.jinja", e);
	free(path);
	if (rc == 0 && !t->jinja)
		rc = use_config(t, "tokenizer_config.json", config, NULL, e);
	if (rc == 0 && !t->jinja) {
		json_t *legacy;
		rc = read_config(dir, "chat_template.json", &legacy, e);
		if (rc == 0)
			rc = use_config(t, "chat_template.json", legacy, NULL, e);
		json_decref(legacy);
	}
	return rc;
}

static int
unknown_name(const char *name, struct err *e)
{
	struct near near;
	near_init(&near, name);
	template_builtin_near(&near);
	return err_set(e, ERR_CONFIG, "template '%s'%s%s%s is neither a file, nor one of the model's, nor built in (%s)", name,
		*near.best ? " (did you mean '" : "", near.best, *near.best ? "'?)" : "", template_builtin_names());
}

static int
use_name(struct template *t, const char *name, const json_t *config, struct err *e)
{
	char *text = template_builtin(name);
	int rc = text ? use_text(t, name, text, strlen(text), e) : use_config(t, name, config, name, e);
	free(text);
	if (rc == 0 && !t->jinja && path_exists(name))
		rc = use_file(t, name, name, e);
	return rc == 0 && !t->jinja ? unknown_name(name, e) : rc;
}

int
template_open(struct template *t, const char *model, const char *name, struct err *e)
{
	char *dir = directory_of(model);
	json_t *config = NULL, *map = NULL;
	*t = (struct template){.tokens = json_object()};
	int rc = read_config(dir, "tokenizer_config.json", &config, e);
	if (rc == 0)
		rc = read_config(dir, "special_tokens_map.json", &map, e);
	collect_tokens(t->tokens, config);
	collect_tokens(t->tokens, map);
	if (rc == 0)
		rc = name ? use_name(t, name, config, e) : use_model(t, dir, config, e);
	json_decref(config);
	json_decref(map);
	free(dir);
	if (rc < 0)
		template_close(t);
	return rc;
}

void
template_close(struct template *t)
{
	jinja_free(t->jinja);
	jinja_free(t->jinja_tools);
	free(t->name);
	json_decref(t->tokens);
	*t = (struct template){0};
}

int
template_render(const struct template *t, const struct conversation *c, struct buf *out, struct err *e)
{
	if (!t->jinja)
		return err_set(e, ERR_CONFIG, "the model has no chat template; name one with --template (%s)",
			template_builtin_names());
	size_t cap = 4 + json_object_size(t->tokens) + json_object_size(c->variables), n = 0;
	struct jinja_var *v = xcalloc(cap, sizeof *v);
	json_t *const sets[] = {t->tokens, (json_t *)c->variables};
	const char *key;
	json_t *value;
	for (int i = 0; i < 2; i++)
		json_object_foreach(sets[i], key, value)
			v[n++] = (struct jinja_var){key, value};
	v[n++] = (struct jinja_var){"messages", c->messages};
	v[n++] = (struct jinja_var){"tools", c->tools ? c->tools : json_null()};
	v[n++] = (struct jinja_var){"documents", json_null()};
	v[n++] = (struct jinja_var){"add_generation_prompt", json_boolean(c->generate)};
	bool tools = c->tools && json_array_size(c->tools) && t->jinja_tools;
	int rc = jinja_render(tools ? t->jinja_tools : t->jinja, v, n, out, e);
	free(v);
	return rc;
}
