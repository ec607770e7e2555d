/* ShareGPT's conversations as messages, the same that hone-tokenize makes of them. */
#include <string.h>

#include "prepare.h"

/* Names of the roles, as hone-tokenize has them. */
static const char *const roles[][2] = {{"human", "user"}, {"user", "user"}, {"gpt", "assistant"},
	{"assistant", "assistant"}, {"chatgpt", "assistant"}, {"bard", "assistant"}, {"bing", "assistant"},
	{"model", "assistant"}, {"bot", "assistant"}, {"system", "system"}, {"tool", "tool"}, {"observation", "tool"},
	{"function_response", "tool"}, {"tool_response", "tool"}, {"ipython", "tool"}, {"function_call", "assistant"},
	{"tool_call", "assistant"}};

/* Calls and results of one conversation, so far. */
struct counts {
	size_t calls, results;
};

static json_t *
call_id(size_t n)
{
	return json_sprintf("call%05u", (unsigned)(n % 100000));
}

/* {"name", "arguments"}, or a list of these, as text of JSON. */
static bool
set_calls(json_t *message, const json_t *value, struct counts *c)
{
	json_t *all = json_loadb(
		json_string_value(value), json_string_length(value), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	json_t *calls = json_array();
	size_t n = json_is_array(all) ? json_array_size(all) : 1;
	bool good = all != NULL;
	for (size_t i = 0; i < n && good; i++) {
		json_t *function = json_is_array(all) ? json_array_get(all, i) : all;
		good = json_is_string(json_object_get(function, "name"));
		if (good)
			json_array_append_new(calls,
				json_pack("{s:s, s:o, s:O}", "type", "function", "id", call_id(c->calls++), "function",
					function));
	}
	json_object_set_new(message, "content", json_string(""));
	json_object_set_new(message, "tool_calls", calls);
	json_decref(all);
	return good;
}

static json_t *
convert_turn(const json_t *turn, struct counts *c)
{
	const char *from = json_string_value(json_object_get(turn, "from"));
	const json_t *value = json_object_get(turn, "value");
	json_t *weight = json_object_get(turn, "weight");
	if (!from || !json_is_string(value))
		return NULL;
	const char *role = from; /* an unknown one is told by chat_check */
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
		if (strcmp(from, roles[i][0]) == 0)
			role = roles[i][1];
	json_t *message = json_pack("{s:s, s:O}", "role", role, "content", value);
	bool call = strcmp(from, "function_call") == 0 || strcmp(from, "tool_call") == 0;
	if (call && !set_calls(message, value, c)) {
		json_decref(message);
		return NULL;
	}
	if (strcmp(role, "tool") == 0 && c->results < c->calls)
		json_object_set_new(message, "tool_call_id", call_id(c->results++));
	if (weight)
		json_object_set(message, "weight", weight);
	return message;
}

/* A list of functions, or such a list as text of JSON, each as {"type": "function", "function"}. */
static json_t *
convert_tools(const json_t *tools)
{
	json_t *list = json_is_string(tools) ? json_loadb(json_string_value(tools), json_string_length(tools),
						       JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL)
					     : json_incref((json_t *)tools);
	json_t *out = json_array(), *tool;
	size_t i;
	json_array_foreach(list, i, tool)
		json_array_append_new(out,
			json_object_get(tool, "function")
				? json_incref(tool)
				: json_pack("{s:s, s:O}", "type", "function", "function", tool));
	json_decref(list);
	return out;
}

json_t *
sharegpt_convert(const json_t *record)
{
	const json_t *turns = json_object_get(record, "conversations"), *system = json_object_get(record, "system");
	const json_t *tools = json_object_get(record, "tools");
	const char *first = json_string_value(json_object_get(json_array_get(turns, 0), "from"));
	json_t *messages = json_array(), *turn;
	struct counts counts = {0, 0};
	size_t i;
	if (json_string_length(system) > 0 && first && strcmp(first, "system") != 0)
		json_array_append_new(messages, json_pack("{s:s, s:O}", "role", "system", "content", system));
	json_array_foreach((json_t *)turns, i, turn) {
		json_t *message = convert_turn(turn, &counts);
		if (!message || json_array_append_new(messages, message) < 0) {
			json_decref(messages);
			return NULL;
		}
	}
	json_t *out = json_pack("{s:o}", "messages", messages), *list = tools ? convert_tools(tools) : NULL;
	if (list && json_array_size(list) > 0)
		json_object_set(out, "tools", list);
	json_decref(list);
	return out;
}
