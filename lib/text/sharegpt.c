#include "text/sharegpt.h"

#include <string.h>

bool
messages_unwrap(json_t *object, const char *key, json_type want)
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
	if (!messages_unwrap(message, "content", JSON_ARRAY) && !messages_unwrap(message, "content", JSON_OBJECT))
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
translate(json_t *message, size_t i, size_t *calls, size_t *results, bool strict, struct err *e)
{
	rename_member(message, "from", "role");
	rename_member(message, "value", "content");
	const char *from = json_string_value(json_object_get(message, "role"));
	size_t k = 0;
	while (from && k < N_ROLES && strcmp(roles[k].from, from) != 0)
		k++;
	if (from && k == N_ROLES && !strict)
		return 0;
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

int
sharegpt_translate(json_t *record, bool strict, struct err *e)
{
	json_t *all = json_object_get(record, "conversations"), *system = json_object_get(record, "system");
	size_t calls = 0, results = 0;
	for (size_t i = 0; i < json_array_size(all); i++)
		if (translate(json_array_get(all, i), i, &calls, &results, strict, e) < 0)
			return -1;
	const char *first = json_string_value(json_object_get(json_array_get(all, 0), "role"));
	if (json_string_length(system) > 0 && first && strcmp(first, "system") != 0)
		json_array_insert_new(all, 0, json_pack("{s:s, s:O}", "role", "system", "content", system));
	rename_member(record, "conversations", "messages");
	messages_unwrap(record, "tools", JSON_ARRAY);
	wrap_tools(json_object_get(record, "tools"));
	return 0;
}
