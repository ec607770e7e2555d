/* Conversations as data have them, brought to what templates read: "messages" of "role" and "content".
 *
 * Done to all: the texts of a content that is a list of parts are joined; "tools" and the arguments of calls that are
 * strings of JSON become what they say, since templates print them as JSON themselves; weights are taken out.
 * ShareGPT's names ("from", "value", "gpt", "function_call") are translated. */
#include <math.h>
#include <string.h>

#include "text/record_int.h"

/* ---- JSON within strings ---- */

/* Replaces a string member by what its JSON says, when that is of the type `want`. */
static bool
unwrap(json_t *object, const char *key, json_type want)
{
	json_t *v = json_object_get(object, key);
	if (!json_is_string(v))
		return false;
	json_t *inner =
		json_loadb(json_string_value(v), json_string_length(v), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	bool ok = inner && json_typeof(inner) == want;
	if (ok)
		json_object_set(object, key, inner);
	json_decref(inner);
	return ok;
}

static void
unwrap_arguments(const json_t *calls)
{
	for (size_t i = 0; i < json_array_size(calls); i++) {
		json_t *call = json_array_get(calls, i), *function = json_object_get(call, "function");
		unwrap(function ? function : call, "arguments", JSON_OBJECT);
	}
}

/* ---- tools ---- */

/* A bare {"name", "parameters"} as templates know it: {"type": "function", "function": {...}}. */
static void
wrap_tools(json_t *tools)
{
	for (size_t i = 0; i < json_array_size(tools); i++) {
		json_t *tool = json_array_get(tools, i);
		if (json_object_get(tool, "name") && !json_object_get(tool, "function"))
			json_array_set_new(tools, i, json_pack("{s:s, s:O}", "type", "function", "function", tool));
	}
}

static int
prepare_tools(struct record_maker *m, struct err *e)
{
	json_t *tools = json_object_get(m->record, "tools");
	bool none = !tools || json_is_null(tools) || (json_is_string(tools) && json_string_length(tools) == 0);
	if (!none && !json_is_array(tools) && !unwrap(m->record, "tools", JSON_ARRAY))
		return err_set(e, ERR_DATA, "'tools' is neither a list nor the JSON text of one");
	tools = json_object_get(m->record, "tools");
	if (none || json_array_size(tools) == 0)
		json_object_del(m->record, "tools");
	else if (m->format == RECORD_SHAREGPT)
		wrap_tools(tools);
	return 0;
}

/* ---- ShareGPT ---- */

static const struct {
	const char *from, *role;
} roles[] = {
	{"human", "user"},
	{"user", "user"},
	{"gpt", "assistant"},
	{"assistant", "assistant"},
	{"chatgpt", "assistant"},
	{"bard", "assistant"},
	{"bing", "assistant"},
	{"model", "assistant"},
	{"bot", "assistant"},
	{"system", "system"},
	{"tool", "tool"},
	{"observation", "tool"},
	{"function_response", "tool"},
	{"tool_response", "tool"},
	{"ipython", "tool"},
	{"function_call", "assistant"},
	{"tool_call", "assistant"},
};

enum { N_ROLES = sizeof roles / sizeof *roles };

static bool
is_call(const char *from)
{
	return strcmp(from, "function_call") == 0 || strcmp(from, "tool_call") == 0;
}

static void
rename_member(json_t *o, const char *from, const char *to)
{
	json_t *v = json_object_get(o, from);
	if (!v || json_object_get(o, to))
		return;
	json_object_set(o, to, v);
	json_object_del(o, from);
}

/* What identifies the n-th call of a conversation: nine characters, as Mistral's templates insist. */
static json_t *
call_id(size_t n)
{
	return json_sprintf("call%05u", (unsigned)(n % 100000));
}

/* A message whose text is a call, or a list of calls, in JSON. *n counts calls. */
static int
make_calls(json_t *message, size_t i, size_t *n, struct err *e)
{
	if (!unwrap(message, "content", JSON_ARRAY) && !unwrap(message, "content", JSON_OBJECT))
		return err_set(e, ERR_DATA, "message %zu is a call, but its text is not JSON", i + 1);
	json_t *content = json_object_get(message, "content"), *calls = json_array();
	size_t count = json_is_array(content) ? json_array_size(content) : 1;
	for (size_t k = 0; k < count; k++) {
		json_t *function = json_is_array(content) ? json_array_get(content, k) : content;
		if (!json_is_string(json_object_get(function, "name"))) {
			json_decref(calls);
			return err_set(e, ERR_DATA, "message %zu is a call without a 'name'", i + 1);
		}
		json_array_append_new(calls,
			json_pack("{s:s, s:o, s:O}", "type", "function", "id", call_id((*n)++), "function", function));
	}
	json_object_set_new(message, "tool_calls", calls);
	json_object_set_new(message, "content", json_string(""));
	return 0;
}

static int
translate(json_t *message, size_t i, size_t *calls, size_t *results, struct err *e)
{
	rename_member(message, "from", "role");
	rename_member(message, "value", "content");
	const char *from = json_string_value(json_object_get(message, "role"));
	size_t k = 0;
	while (from && k < N_ROLES && strcmp(roles[k].from, from) != 0)
		k++;
	if (!from || k == N_ROLES)
		return err_set(e, ERR_DATA,
			"message %zu has no 'from' that is known (human, gpt, system, observation, "
			"function_call): found '%s'",
			i + 1, from ? from : "");
	if (is_call(from) && make_calls(message, i, calls, e) < 0)
		return -1;
	if (strcmp(roles[k].role, "tool") == 0 && *results < *calls)
		json_object_set_new(message, "tool_call_id", call_id((*results)++));
	json_object_set_new(message, "role", json_string(roles[k].role));
	return 0;
}

static int
translate_all(struct record_maker *m, struct err *e)
{
	json_t *all = json_object_get(m->record, "conversations"), *system = json_object_get(m->record, "system");
	size_t calls = 0, results = 0;
	for (size_t i = 0; i < json_array_size(all); i++)
		if (translate(json_array_get(all, i), i, &calls, &results, e) < 0)
			return -1;
	const char *first = json_string_value(json_object_get(json_array_get(all, 0), "role"));
	if (json_string_length(system) > 0 && first && strcmp(first, "system") != 0)
		json_array_insert_new(all, 0, json_pack("{s:s, s:O}", "role", "system", "content", system));
	rename_member(m->record, "conversations", "messages");
	return 0;
}

/* ---- one message ---- */

/* A list of parts {"type": "text", "text"} as the one text that it is. */
static int
join_parts(json_t *message, size_t i, struct err *e)
{
	const json_t *parts = json_object_get(message, "content");
	struct buf b = {0};
	int rc = 0;
	for (size_t k = 0; k < json_array_size(parts) && rc == 0; k++) {
		const json_t *part = json_array_get(parts, k), *text = json_object_get(part, "text");
		const char *type = json_string_value(json_object_get(part, "type"));
		text = text ? text : json_object_get(part, "value");
		if (json_is_string(part))
			text = part;
		if (!json_is_string(text) || (type && strcmp(type, "text") != 0))
			rc = err_set(e, ERR_DATA, "part %zu of the content of message %zu is not a text", k + 1, i + 1);
		buf_append(&b, json_string_value(text), json_string_length(text));
	}
	if (rc == 0)
		json_object_set_new(message, "content", json_stringn(b.data ? b.data : "", b.len));
	buf_release(&b);
	return rc;
}

/* "weight" (OpenAI) or "loss_weight" (LLaMA-Factory), taken out so that no template sees it. */
static int
take_weight(json_t *message, size_t i, double *weight, struct err *e)
{
	const char *key = json_object_get(message, "weight") ? "weight" : "loss_weight";
	const json_t *v = json_object_get(message, key);
	bool given = v && !json_is_null(v);
	*weight = given ? json_number_value(v) : 1;
	if (given && !(json_is_number(v) && *weight >= 0 && isfinite((float)*weight)))
		return err_set(e, ERR_DATA, "'%s' of message %zu is not a number of at least 0", key, i + 1);
	if (given && *weight > 0 && !record_is_assistant(message))
		return err_set(e, ERR_DATA, "'%s' of message %zu: only the assistant's messages can have one above 0",
			key, i + 1);
	json_object_del(message, key);
	return 0;
}

static int
prepare_message(struct record_maker *m, json_t *message, size_t i, struct err *e)
{
	if (!json_is_string(json_object_get(message, "role")))
		return err_set(e, ERR_DATA, "message %zu has no 'role'", i + 1);
	const json_t *content = json_object_get(message, "content");
	if (json_is_array(content) && join_parts(message, i, e) < 0)
		return -1;
	content = json_object_get(message, "content");
	/* OpenAI's null beside calls, which templates that look into the text stumble over. */
	if (json_is_null(content) && record_is_assistant(message))
		json_object_set_new(message, "content", json_string(""));
	else if (content && !json_is_string(content))
		return err_set(e, ERR_DATA, "'content' of message %zu is neither a text nor a list of texts", i + 1);
	unwrap_arguments(json_object_get(message, "tool_calls"));
	return take_weight(message, i, &m->weights[i], e);
}

bool
record_is_assistant(const json_t *message)
{
	const char *role = json_string_value(json_object_get(message, "role"));
	return role && strcmp(role, "assistant") == 0;
}

int
record_messages_prepare(struct record_maker *m, struct err *e)
{
	const char *key = m->format == RECORD_SHAREGPT ? "conversations" : "messages";
	const json_t *list = json_object_get(m->record, key);
	if (!record_has(m, key))
		return err_set(e, ERR_DATA, "'%s' is missing from this %s record", key, record_format_name(m->format));
	if (!json_is_array(list) || json_array_size(list) == 0)
		return err_set(e, ERR_DATA, "'%s' is not a list with messages", key);
	if (m->format == RECORD_SHAREGPT && translate_all(m, e) < 0)
		return -1;
	const json_t *all = record_messages(m);
	GROW(m->weights, m->weights_cap, json_array_size(all));
	for (size_t i = 0; i < json_array_size(all); i++)
		if (prepare_message(m, json_array_get(all, i), i, e) < 0)
			return -1;
	return prepare_tools(m, e);
}
