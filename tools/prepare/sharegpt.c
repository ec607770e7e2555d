/* ShareGPT's conversations as messages, the same that hone-tokenize makes of them, with what is written of each in one
 * order. */
#include <string.h>

#include "prepare.h"
#include "text/sharegpt.h"

/* A message with the members that are known, or NULL. */
static json_t *
tidy(json_t *message)
{
	static const char *const keys[] = {"role", "content", "tool_calls", "tool_call_id", "weight"};
	json_t *out = json_object();
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		json_t *v = json_object_get(message, keys[i]);
		if (v)
			json_object_set(out, keys[i], v);
	}
	if (json_is_string(json_object_get(out, "role")) && json_is_string(json_object_get(out, "content")))
		return out;
	json_decref(out);
	return NULL;
}

json_t *
sharegpt_convert(const json_t *record)
{
	struct err unused;
	json_t *copy = json_deep_copy(record), *out = NULL, *messages = json_array();
	bool good = json_is_array(json_object_get(copy, "conversations")) && sharegpt_translate(copy, false, &unused) == 0;
	const json_t *all = json_object_get(copy, "messages");
	json_t *tools = json_object_get(copy, "tools");
	for (size_t i = 0; i < json_array_size(all) && good; i++)
		good = json_array_append_new(messages, tidy(json_array_get(all, i))) == 0;
	if (good)
		out = json_pack("{s:O}", "messages", messages);
	if (out && json_array_size(tools) > 0)
		json_object_set(out, "tools", tools);
	json_decref(messages);
	json_decref(copy);
	return out;
}
