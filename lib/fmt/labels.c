#include "fmt/labels.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct entry {
	char *name;
	uint32_t name_len;
	int32_t *ids;  /* the completion, EOS included */
	uint32_t n_ids;
	uint64_t count;
};

struct labels {
	struct entry entries[LABELS_MAX];  /* in order of name */
	size_t n;
	uint64_t labelled;
	bool none;  /* something showed that this is no classification */
};

struct labels *
labels_new(void)
{
	return xcalloc(1, sizeof(struct labels));
}

void
labels_free(struct labels *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++) {
		free(l->entries[i].name);
		free(l->entries[i].ids);
	}
	free(l);
}

static int
compare(const struct entry *a, const struct example *x)
{
	uint32_t n = a->name_len < x->label_len ? a->name_len : x->label_len;
	int c = n ? memcmp(a->name, x->label, n) : 0;
	return c ? c : (a->name_len > x->label_len) - (a->name_len < x->label_len);
}

/* Where x's label stands, or belongs. */
static size_t
find(const struct labels *l, const struct example *x, bool *found)
{
	size_t low = 0, high = l->n;
	*found = false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = compare(&l->entries[mid], x);
		if (c == 0) {
			*found = true;
			return mid;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void
insert(struct labels *l, size_t at, const struct example *x)
{
	struct entry *entry = &l->entries[at];
	uint32_t n = x->n - x->completion;
	memmove(entry + 1, entry, (l->n - at) * sizeof *entry);
	*entry = (struct entry){
		.name = xstrndup(x->label, x->label_len),
		.name_len = x->label_len,
		.ids = xreallocarray(NULL, n, sizeof *entry->ids),
		.n_ids = n,
	};
	if (n)
		memcpy(entry->ids, x->ids + x->completion, n * sizeof *entry->ids);
	l->n++;
}

static bool
same_completion(const struct entry *entry, const struct example *x)
{
	uint32_t n = x->n - x->completion;
	return n == entry->n_ids && memcmp(entry->ids, x->ids + x->completion, n * sizeof *x->ids) == 0;
}

void
labels_add(struct labels *l, const struct example *x)
{
	if (!x->label || l->none)
		return;
	bool found;
	size_t at = find(l, x, &found);
	uint32_t n = x->n - x->completion;
	if (n == 0 || n > LABEL_TOKENS_MAX + 1 || (!found && l->n == LABELS_MAX) ||
		(found && !same_completion(&l->entries[at], x))) {
		l->none = true;
		return;
	}
	if (!found)
		insert(l, at, x);
	l->entries[at].count++;
	l->labelled++;
}

json_t *
labels_json(const struct labels *l, int64_t eos)
{
	if (l->none || l->n == 0 || 2 * l->n > l->labelled)
		return json_null();
	json_t *table = json_array();
	for (size_t i = 0; i < l->n; i++) {
		const struct entry *entry = &l->entries[i];
		uint32_t n = entry->n_ids - (entry->ids[entry->n_ids - 1] == eos);
		json_t *ids = json_array(), *label = json_object();
		for (uint32_t k = 0; k < n; k++)
			json_array_append_new(ids, json_integer(entry->ids[k]));
		json_object_set_new(label, "name", json_stringn(entry->name, entry->name_len));
		json_object_set_new(label, "ids", ids);
		json_object_set_new(label, "count", json_integer((json_int_t)entry->count));
		json_array_append_new(table, label);
		if (n == 0 || n > LABEL_TOKENS_MAX) {
			json_decref(table);
			return json_null();
		}
	}
	return table;
}
