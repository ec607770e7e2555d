/* ShareGPT's conversations as messages. */
#include <string.h>

#include "prepare.h"

/* "function_call": {"name", "arguments"} as text of JSON; else the text is an answer. */
static void
set_call(json_t *message, const char *text, size_t n)
{
	json_t *call = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	if (json_is_string(json_object_get(call, "name"))) {
		json_object_set_new(message, "content", json_null());
		json_object_set_new(
			message, "tool_calls", json_pack("[{s:s, s:O}]", "type", "function", "function", call));
	}
	json_decref(call);
}

static json_t *
convert_turn(const json_t *turn)
{
	static const char *const roles[][2] = {{"human", "user"}, {"user", "user"}, {"gpt", "assistant"},
		{"assistant", "assistant"}, {"bing", "assistant"}, {"chatgpt", "assistant"}, {"system", "system"},
		{"function_call", "assistant"}, {"observation", "tool"}, {"tool", "tool"}};
	const char *from = json_string_value(json_object_get(turn, "from"));
	const json_t *value = json_object_get(turn, "value");
	if (!from || !json_is_string(value))
		return NULL;
	const char *role = from; /* an unknown one is told by chat_check */
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
		if (strcmp(from, roles[i][0]) == 0)
			role = roles[i][1];
	json_t *message = json_pack("{s:s, s:O}", "role", role, "content", value);
	json_t *weight = json_object_get(turn, "weight");
	if (weight)
		json_object_set(message, "weight", weight);
	if (strcmp(from, "function_call") == 0)
		set_call(message, json_string_value(value), json_string_length(value));
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
	json_t *messages = json_array(), *turn;
	size_t i;
	if (json_is_string(system) && json_string_length(system))
		json_array_append_new(messages, json_pack("{s:s, s:O}", "role", "system", "content", system));
	json_array_foreach((json_t *)turns, i, turn) {
		json_t *message = convert_turn(turn);
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
