#include <string.h>

#include "text/record_int.h"

/* ---- names ---- */

static const char *const format_names[] = {
	"auto", "chat", "sharegpt", "completion", "alpaca", "text", "classification", NULL};
static const char *const train_on_names[] = {"completion", "assistant", "all", NULL};
static const char *const overlong_names[] = {"error", "drop", "truncate", "split", NULL};

static int
find_name(const char *const *names, const char *name)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

int
record_format_named(const char *name)
{
	return find_name(format_names, name);
}

int
record_train_on_named(const char *name)
{
	return find_name(train_on_names, name);
}

int
record_overlong_named(const char *name)
{
	return find_name(overlong_names, name);
}

const char *
record_format_name(enum record_format f)
{
	return format_names[f];
}

bool
record_format_is_chat(enum record_format f)
{
	return f == RECORD_CHAT || f == RECORD_SHAREGPT;
}

/* ---- reading a line ---- */

int
record_load(struct record_maker *m, const char *line, size_t n, struct err *e)
{
	json_error_t je;
	json_decref(m->record);
	m->record = NULL;
	if (fields_read(&m->fields, line, n))
		return 0;
	m->record = json_loadb(line, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &je);
	if (json_is_object(m->record))
		return 0;
	if (m->record)
		return err_set(e, ERR_DATA, "not a JSON object");
	size_t blank = 0;
	while (blank < n && line[blank] && strchr(" \t\r\n", line[blank]))
		blank++;
	if (blank < n && line[blank] != '{' && line[blank] != '[')
		return err_set(e, ERR_DATA,
			"not a JSON object: records are JSON lines, or one JSON list; tables and other texts go "
			"through hone-prepare");
	if (je.line > 1)
		return err_set(e, ERR_DATA, "%d lines on, column %d: %s", je.line - 1, je.column, je.text);
	return err_set(e, ERR_DATA, "column %d: %s", je.column, je.text);
}

static const char *
kind_of(const json_t *v)
{
	static const char *const names[] = {
		"an object", "a list", "a string", "a number", "a number", "true", "false", "null"};
	return names[json_typeof(v)];
}

bool
record_has(const struct record_maker *m, const char *key)
{
	if (!m->record)
		return fields_get(&m->fields, key) != NULL;
	return json_object_get(m->record, key) != NULL;
}

int
record_text(const struct record_maker *m, const char *key, bool optional, struct text *t, struct err *e)
{
	const struct field *f = m->record ? NULL : fields_get(&m->fields, key);
	const json_t *v = json_object_get(m->record, key);
	*t = (struct text){"", 0};
	if (f)
		*t = (struct text){f->value, f->n};
	else if (json_is_string(v))
		*t = (struct text){json_string_value(v), json_string_length(v)};
	else if (!(optional && (!v || json_is_null(v)))) {
		if (!v)
			return err_set(
				e, ERR_DATA, "'%s' is missing from this %s record", key, record_format_name(m->format));
		return err_set(e, ERR_DATA, "'%s' is %s, a string is wanted", key, kind_of(v));
	}
	return 0;
}

int
record_label(const struct record_maker *m, struct buf *b, struct err *e)
{
	const json_t *v = json_object_get(m->record, "label");
	struct text t;
	if (json_is_integer(v)) {
		buf_printf(b, "%lld", (long long)json_integer_value(v));
		return 0;
	}
	if (record_text(m, "label", false, &t, e) < 0)
		return -1;
	buf_append(b, t.p, t.n);
	return 0;
}

/* ---- which form it is ---- */

/* A form is known by the first key of a prompt and, in training data, one of its answer. */
static const struct {
	const char *prompt, *answer; /* answer NULL: none is needed */
	enum record_format format;
	const char *keys;
} forms[] = {
	{"messages", NULL, RECORD_CHAT, "'messages'"},
	{"conversations", NULL, RECORD_SHAREGPT, "'conversations'"},
	{"prompt", "completion", RECORD_COMPLETION, "'prompt' and 'completion'"},
	{"instruction", "output", RECORD_ALPACA, "'instruction' and 'output'"},
	{"input", "target", RECORD_COMPLETION, "'input' and 'target'"},
	{"text", "label", RECORD_CLASSIFICATION, "'text' and 'label'"},
	{"text", NULL, RECORD_TEXT, "'text'"},
};

enum { N_FORMS = sizeof forms / sizeof *forms };

int
record_form(const struct record_maker *m, bool answered, const char **keys, struct err *e)
{
	struct buf known = {0};
	for (size_t i = 0; i < N_FORMS; i++) {
		bool label = forms[i].format == RECORD_CLASSIFICATION;
		if (!record_has(m, forms[i].prompt) ||
			(forms[i].answer && (answered || label) && !record_has(m, forms[i].answer)))
			continue;
		if (keys)
			*keys = forms[i].keys;
		return (int)forms[i].format;
	}
	for (size_t i = 0; i < N_FORMS; i++)
		buf_printf(&known, "%s%s", i == 0 ? "" : i + 1 == N_FORMS ? ", or " : ", ", forms[i].keys);
	err_set(e, ERR_DATA, "no known form: wanted are %s (hone-prepare makes one of other names)", known.data);
	buf_release(&known);
	return -1;
}

int
record_detect(const char *line, size_t n, enum record_format *format, const char **keys, struct err *e)
{
	struct record_maker m = {0};
	int found = record_load(&m, line, n, e) < 0 ? -1 : record_form(&m, true, keys, e);
	json_decref(m.record);
	fields_release(&m.fields);
	if (found < 0)
		return -1;
	*format = (enum record_format)found;
	return 0;
}
