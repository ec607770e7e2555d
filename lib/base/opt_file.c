/* Options out of files: @FILE, whose words stand for as many on the command line, and --config FILE.json. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/opt_int.h"

enum { OPTION_FILE_MAX = 1 << 20 };

/* ---- @FILE ---- */

/* The words of an @FILE: separated by white space, quoted with ' or ", # to the end of the line ignored. */
static void
split_words(const char *path, char *text, struct opt_list *words)
{
	char *p = text;
	for (;;) {
		p += strspn(p, " \t\r\n");
		if (!*p)
			return;
		if (*p == '#') {
			p += strcspn(p, "\n");
			continue;
		}
		char *w = p, *to = p, quote = 0;
		for (; *p && (quote || !strchr(" \t\r\n", *p)); p++) {
			if (quote ? *p == quote : *p == '\'' || *p == '"')
				quote = quote ? 0 : *p;
			else
				*to++ = *p;
		}
		if (quote)
			die_usage("'%s': a quote is not closed", path);
		bool more = *p;
		*to = '\0';
		p += more;
		opt_list_add(words, w);
	}
}

struct opt_list
opt_read_words(const char *path)
{
	struct buf b = {0};
	struct err e;
	struct opt_list words = {0};
	if (file_read(path, OPTION_FILE_MAX, &b, &e) < 0)
		die(&e);
	split_words(path, b.data, &words);  /* b is kept: the words point into it */
	return words;
}

/* ---- --config FILE.json ---- */

/* A value as it would stand on the command line, new; NULL when it could not. */
static char *
text_of(const json_t *v)
{
	if (json_is_string(v))
		return xstrdup(json_string_value(v));
	if (json_is_boolean(v))
		return xstrdup(json_is_true(v) ? "true" : "false");
	return json_is_number(v) ? xasprintf("%.17g", json_number_value(v)) : NULL;
}

/* A list of values for an option that takes one text, as "a,b,c"; NULL when it holds anything else. */
static char *
join(const json_t *list)
{
	struct buf b = {0};
	size_t i;
	json_t *item;
	buf_puts(&b, "");
	json_array_foreach(list, i, item) {
		char *text = text_of(item);
		if (!text) {
			buf_release(&b);
			return NULL;
		}
		buf_printf(&b, "%s%s", i ? "," : "", text);
		free(text);
	}
	return b.data;
}

/* Whether a name is that of an option which takes several values, or another name of one. */
static bool
takes_list(const struct opt_spec *spec, const char *name)
{
	const struct opt *o = opt_find_any(spec, name, 0);
	const struct opt_alias *a = o ? NULL : opt_find_alias(name);
	if (a && a->option)
		o = opt_find_any(spec, a->option, 0);
	return o && o->type == OPT_LIST;
}

static void
set_member(const struct opt_spec *spec, const char *key, const json_t *v)
{
	char name[OPT_NAME_MAX];
	size_t i;
	json_t *item;
	opt_normal_name(key, strlen(key), name);
	if (json_is_array(v) && takes_list(spec, name)) {
		json_array_foreach(v, i, item)
			set_member(spec, key, item);
		return;
	}
	char *text = json_is_array(v) ? join(v) : text_of(v);
	if (!text)
		die_usage("'%s' cannot be %s", key, json_is_array(v) ? "a list of lists" : "an object");
	char *arg = xasprintf("--%s=%s", name, text);
	opt_keep(arg);
	free(text);
	opt_parse_one(spec, arg);
}

void
opt_read_config(const struct opt_spec *spec, const char *path)
{
	struct err e;
	json_t *root = json_read_file(path, OPTION_FILE_MAX, &e), *v;
	const char *key;
	if (!root)
		die(&e);
	const char *from = usage_file;
	usage_file = path;
	if (!json_is_object(root))
		die_usage("not a JSON object of options");
	json_object_foreach(root, key, v)
		if (!json_is_null(v))
			set_member(spec, key, v);
	usage_file = from;
	json_decref(root);
}
