/* ShareGPT's conversations in the words that templates know. */
#ifndef HONE_TEXT_SHAREGPT_H
#define HONE_TEXT_SHAREGPT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

/* Turns {"conversations": [{"from", "value"}, ...], "system"?, "tools"?} into {"messages": [{"role", "content"}, ...],
 * "tools"?}: roles by their usual names; "function_call" becomes "tool_calls", numbered as their results are; a system
 * text a message in front; tools, a list or its JSON text, {"type": "function", "function"}. Other members stay. An
 * unknown "from" is ERR_DATA, or without `strict` kept as it is. ERR_DATA, too, when a call is not JSON; "conversations"
 * must be a list. */
int sharegpt_translate(json_t *record, bool strict, struct err *e);

/* Replaces a string member by what its JSON says, when that is of the type `want`. */
bool messages_unwrap(json_t *object, const char *key, json_type want);

#endif
