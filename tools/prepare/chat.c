/* What the checks of chat data ask of a conversation. */
#include <stdlib.h>
#include <string.h>

#include "prepare.h"
#include "text/unicode.h"

/* What one record has of each; a record is counted once a check. */
struct found {
	bool keys, unknown_keys, roles, empty, empty_other, weights, odd_weights, target;
};

static bool
is_one_of(const char *s, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(s, *names) == 0)
			return true;
	return false;
}

static const char *
role_of(const json_t *message)
{
	const char *role = json_string_value(json_object_get(message, "role"));
	return role ? role : "";
}

static bool
is_assistant(const json_t *message)
{
	return strcmp(role_of(message), "assistant") == 0;
}

static bool
has_call(const json_t *message)
{
	return json_array_size(json_object_get(message, "tool_calls")) > 0 ||
		json_is_object(json_object_get(message, "function_call"));
}

static bool
is_empty(const json_t *content)
{
	const char *s = json_string_value(content);
	if (s)
		return uni_leading_space(s, json_string_length(content)) == json_string_length(content);
	return json_array_size(content) == 0;
}

/* A text, or a list of texts as {"type": "text", "text"}. */
static bool
is_text(const json_t *content)
{
	json_t *part;
	size_t i;
	json_array_foreach((json_t *)content, i, part) {
		const json_t *text = json_object_get(part, json_object_get(part, "text") ? "text" : "value");
		if (!json_is_string(part) && !json_is_string(text))
			return false;
	}
	return json_is_string(content) || json_is_array(content);
}

static void
check_content(struct found *f, const json_t *message)
{
	const json_t *content = json_object_get(message, "content");
	bool called = has_call(message);
	if ((!content && !called) || (content && !is_text(content) && !json_is_null(content)))
		f->keys = true;
	else if (!called && is_empty(content))
		*(is_assistant(message) ? &f->empty : &f->empty_other) = true;
}

static void
check_keys(struct chat_tallies *t, struct found *f, const json_t *message)
{
	static const char *const known[] = {"role", "content", "name", "tool_calls", "tool_call_id", "function_call",
		"weight", "loss_weight", "refusal", "audio", "reasoning_content", NULL};
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)message, key, v)
		if (!is_one_of(key, known)) {
			f->unknown_keys = true;
			if (!*t->unknown_key)
				snprintf(t->unknown_key, sizeof t->unknown_key, "%s", key);
		}
}

static void
check_role(struct chat_tallies *t, struct found *f, const json_t *message)
{
	static const char *const known[] = {"system", "developer", "user", "assistant", "tool", "function", NULL};
	if (is_one_of(role_of(message), known))
		return;
	f->roles = true;
	if (!*t->unknown_role)
		snprintf(t->unknown_role, sizeof t->unknown_role, "%s", role_of(message));
}

/* An answer is learned from unless its weight is 0; nothing else is. */
static void
check_weight(struct found *f, const json_t *message)
{
	const json_t *v = json_object_get(message, json_object_get(message, "weight") ? "weight" : "loss_weight");
	bool given = v && !json_is_null(v);
	double weight = given ? json_number_value(v) : 1;
	f->weights |= given && (!json_is_number(v) || weight < 0 || (weight > 0 && !is_assistant(message)));
	f->odd_weights |= given && weight != 0 && weight != 1;
	f->target |= is_assistant(message) && weight > 0;
}

static void
check_message(struct chat_tallies *t, struct found *f, const json_t *message)
{
	if (!json_is_string(json_object_get(message, "role"))) {
		f->keys = true;
		return;
	}
	check_role(t, f, message);
	check_content(f, message);
	check_keys(t, f, message);
	check_weight(f, message);
}

enum chat_verdict
chat_check(struct chat_tallies *t, const json_t *record, int file, uint64_t line)
{
	const json_t *all = json_object_get(record, "messages");
	struct found f = {0};
	json_t *message = NULL;
	size_t i;
	if (json_array_size(all) == 0) {
		tally_add(&t->list, file, line);
		return CHAT_WRONG;
	}
	json_array_foreach((json_t *)all, i, message)
		check_message(t, &f, message);
	bool wrong = f.keys || f.roles || f.weights, removed = f.empty || !f.target;
	const struct {
		bool on;
		struct tally *tally;
	} counts[] = {{f.keys, &t->keys}, {f.unknown_keys, &t->unknown_keys}, {f.roles, &t->roles},
		{f.empty && !wrong, &t->empty}, {f.empty_other, &t->empty_other}, {f.weights, &t->weights},
		{f.odd_weights, &t->odd_weights}, {!f.target && !wrong, &t->assistant},
		{!is_assistant(message) && !wrong && !removed, &t->last}};
	for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
		if (counts[k].on)
			tally_add(counts[k].tally, file, line);
	return wrong ? CHAT_WRONG : removed ? CHAT_REMOVED : CHAT_FINE;
}

char *
chat_context(const json_t *record)
{
	const json_t *all = json_object_get(record, "messages");
	size_t n = json_array_size(all);
	while (n > 0 && !is_assistant(json_array_get(all, n - 1)))
		n--;
	json_t *some = json_array();
	for (size_t i = 0; i + 1 < n; i++)
		json_array_append(some, json_array_get(all, i));
	char *text = json_dumps(some, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(some);
	return text;
}

/* ---- report ---- */

static unsigned long long
count(const struct tally *t)
{
	return (unsigned long long)t->n;
}

void
chat_report(struct data *d, const struct chat_tallies *t, bool skip)
{
	struct report *r = &d->report;
	enum level wrong = skip ? LEVEL_REPAIRED : LEVEL_ERROR;
	const char *left = skip ? "; left out" : "; --on-error skip leaves them out";
	const struct {
		enum check check;
		enum level level;
		const struct tally *tally;
		const char *what, *subject, *end;
	} all[] = {
		{CHECK_CHAT_MESSAGES, wrong, &t->list, "without a list of messages", "", left},
		{CHECK_CHAT_KEYS, wrong, &t->keys, "with a message without role or text", "", left},
		{CHECK_CHAT_UNKNOWN_KEYS, LEVEL_WARNING, &t->unknown_keys,
			"with keys in messages that chat templates do not know, as ", t->unknown_key, ""},
		{CHECK_CHAT_ROLES, wrong, &t->roles, "with an unknown role, as ", t->unknown_role, left},
		{CHECK_CHAT_EMPTY, LEVEL_WARNING, &t->empty_other, "with an empty message that is not the assistant's",
			"", ""},
		{CHECK_CHAT_EMPTY, LEVEL_REPAIRED, &t->empty, "with an empty answer; left out", "", ""},
		{CHECK_CHAT_ASSISTANT, LEVEL_WARNING, &t->last, "whose last message is not the assistant's", "", ""},
		{CHECK_CHAT_ASSISTANT, LEVEL_REPAIRED, &t->assistant, "without an answer to learn; left out", "", ""},
		{CHECK_CHAT_WEIGHTS, LEVEL_WARNING, &t->odd_weights, "with a weight other than 0 and 1", "", ""},
		{CHECK_CHAT_WEIGHTS, wrong, &t->weights,
			"with a weight that is not a number of at least 0, or above 0 and not the assistant's", "",
			left},
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		const char *quote = *all[i].subject ? "'" : "";
		if (all[i].tally->n)
			report_set(r, all[i].check, all[i].level, all[i].tally, "%llu %s%s%s%s%s", count(all[i].tally),
				all[i].what, quote, all[i].subject, quote, all[i].end);
		else if (r->of[all[i].check].level == LEVEL_UNSET)
			report_set(r, all[i].check, LEVEL_OK, NULL, "none wrong");
	}
}
