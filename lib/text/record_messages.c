/* Conversations as data have them, brought to what templates read: "messages" of "role" and "content".
 *
 * Done to all: the texts of a content that is a list of parts are joined; "tools" and the arguments of calls that are
 * strings of JSON become what they say, since templates print them as JSON themselves; weights are taken out.
 * ShareGPT's names are translated (text/sharegpt.h). */
#include <math.h>
#include <string.h>

#include "text/record_int.h"
#include "text/sharegpt.h"

/* ---- JSON within strings ---- */

static void
unwrap_arguments(const json_t *calls)
{
	for (size_t i = 0; i < json_array_size(calls); i++) {
		json_t *call = json_array_get(calls, i), *function = json_object_get(call, "function");
		messages_unwrap(function ? function : call, "arguments", JSON_OBJECT);
	}
}

/* ---- tools ---- */

static int
prepare_tools(struct record_maker *m, struct err *e)
{
	json_t *tools = json_object_get(m->record, "tools");
	bool none = !tools || json_is_null(tools) || (json_is_string(tools) && json_string_length(tools) == 0);
	if (!none && !json_is_array(tools) && !messages_unwrap(m->record, "tools", JSON_ARRAY))
		return err_set(e, ERR_DATA, "'tools' is neither a list nor the JSON text of one");
	tools = json_object_get(m->record, "tools");
	if (none || json_array_size(tools) == 0)
		json_object_del(m->record, "tools");
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
	if (m->format == RECORD_SHAREGPT && sharegpt_translate(m->record, true, e) < 0)
		return -1;
	const json_t *all = record_messages(m);
	GROW(m->weights, m->weights_cap, json_array_size(all));
	for (size_t i = 0; i < json_array_size(all); i++)
		if (prepare_message(m, json_array_get(all, i), i, e) < 0)
			return -1;
	return prepare_tools(m, e);
}
