#include "eval/labels.h"

#include <stdlib.h>
#include <string.h>

static void
add(struct label_set *s, const struct label *l, bool seen)
{
	size_t k = (size_t)s->K++;
	s->name = xreallocarray(s->name, k + 1, sizeof *s->name);
	s->ids = xreallocarray(s->ids, k + 1, sizeof *s->ids);
	s->n_ids = xreallocarray(s->n_ids, k + 1, sizeof *s->n_ids);
	s->seen = xreallocarray(s->seen, k + 1, sizeof *s->seen);
	s->name[k] = xstrdup(l->name);
	s->ids[k] = xreallocarray(NULL, l->n_ids, sizeof **s->ids);
	memcpy(s->ids[k], l->ids, l->n_ids * sizeof **s->ids);
	s->n_ids[k] = (int)l->n_ids;
	s->seen[k] = seen;
	s->unseen += !seen;
}

/* Both tables are in order of name; so is their union. */
static void
merge(struct label_set *s, const struct label *a, size_t na, const struct label *b, size_t nb, bool have_train)
{
	for (size_t i = 0, j = 0; i < na || j < nb;) {
		int order = i == na ? 1 : j == nb ? -1 : strcmp(a[i].name, b[j].name);
		add(s, order <= 0 ? &a[i] : &b[j], order <= 0 || !have_train);
		i += order <= 0;
		j += order >= 0;
	}
}

static void
compare_tokens(struct label_set *s)
{
	s->prefix_free = true;
	s->same_first = xcalloc((size_t)s->K, sizeof *s->same_first);
	for (int i = 0; i < s->K; i++) {
		s->same_first[i] = i;
		for (int j = s->K - 1; j >= 0; j--) {
			if (j < i && s->ids[i][0] == s->ids[j][0])
				s->same_first[i] = j;
			if (i != j && s->n_ids[i] <= s->n_ids[j] &&
				memcmp(s->ids[i], s->ids[j], (size_t)s->n_ids[i] * sizeof **s->ids) == 0)
				s->prefix_free = false;
		}
	}
}

static int
check_tokens(const struct label_set *s, int V, struct err *e)
{
	for (int k = 0; k < s->K; k++) {
		if (s->n_ids[k] == 0)
			return err_set(e, ERR_DATA, "label '%s' has no tokens", s->name[k]);
		for (int i = 0; i < s->n_ids[k]; i++)
			if (s->ids[k][i] < 0 || s->ids[k][i] >= V)
				return err_set(e, ERR_DATA, "label '%s' has token %d, the model's vocabulary ends at %d: was it made "
					"with another tokenizer?", s->name[k], (int)s->ids[k][i], V - 1);
	}
	return 0;
}

int
label_set_init_tables(struct label_set *s, bool trained, const struct label *train, size_t n_train,
	const struct label *valid, size_t n_valid, int V, struct err *e)
{
	*s = (struct label_set){0};
	merge(s, train, n_train, valid, n_valid, trained);
	if (check_tokens(s, V, e) < 0) {
		label_set_release(s);
		return -1;
	}
	compare_tokens(s);
	label_trie_init(&s->trie, s->ids, s->n_ids, s->K, false, !s->prefix_free);
	label_trie_init(&s->first, s->ids, s->n_ids, s->K, true, false);
	return 0;
}

int
label_set_init(struct label_set *s, const struct dataset *train, const struct dataset *valid, int V, struct err *e)
{
	size_t na = 0, nb = 0;
	const struct label *a = train ? dataset_labels(train, &na) : NULL, *b = valid ? dataset_labels(valid, &nb) : NULL;
	return label_set_init_tables(s, train != NULL, a, na, b, nb, V, e);
}

void
label_set_release(struct label_set *s)
{
	for (int k = 0; k < s->K; k++) {
		free(s->name[k]);
		free(s->ids[k]);
	}
	free(s->name);
	free(s->ids);
	free(s->n_ids);
	free(s->same_first);
	free(s->seen);
	label_trie_release(&s->trie);
	label_trie_release(&s->first);
	*s = (struct label_set){0};
}

int
label_set_find(const struct label_set *s, const char *name, size_t n)
{
	for (int k = 0; k < s->K; k++)
		if (strlen(s->name[k]) == n && memcmp(s->name[k], name, n) == 0)
			return k;
	return -1;
}

/* ---- complaints ---- */

enum { NAMED_MAX = 5 };  /* labels that a message names */

/* A name between quotes, a question mark for what could steer a terminal. */
static void
put_name(struct buf *text, const char *name)
{
	buf_putc(text, '\'');
	for (; *name; name++)
		buf_putc(text, (unsigned char)*name < 0x20 || *name == 0x7f ? '?' : *name);
	buf_putc(text, '\'');
}

/* Appends "'a', 'b' and 3 more" of the labels that `want` picks; returns how many. */
static int
name_labels(const struct label_set *s, bool (*want)(const struct label_set *, int), struct buf *text)
{
	int n = 0;
	for (int k = 0; k < s->K; k++)
		if (want(s, k) && ++n <= NAMED_MAX) {
			buf_puts(text, n > 1 ? ", " : "");
			put_name(text, s->name[k]);
		}
	if (n > NAMED_MAX)
		buf_printf(text, " and %d more", n - NAMED_MAX);
	return n;
}

static bool
is_unseen(const struct label_set *s, int k)
{
	return !s->seen[k];
}

static bool
shares_first(const struct label_set *s, int k)
{
	if (s->same_first[k] != k)
		return true;
	for (int i = k + 1; i < s->K; i++)
		if (s->same_first[i] == k)
			return true;
	return false;
}

bool
label_set_complaint(const struct label_set *s, bool first_token, unsigned i, struct buf *text)
{
	buf_clear(text);
	int shared = 0;
	for (int k = 0; k < s->K; k++)
		shared += s->same_first[k] != k;
	if (s->unseen && i-- == 0) {
		buf_puts(text, s->unseen == 1 ? "a label was never trained on: " : "labels were never trained on: ");
		name_labels(s, is_unseen, text);
		return true;
	}
	if (shared && i-- == 0) {
		buf_puts(text, "labels begin with the same token as another: ");
		name_labels(s, shares_first, text);
		buf_puts(text, first_token ? "; --label-score first-token cannot tell them apart"
					   : "; they are told apart by all of their tokens");
		return true;
	}
	return false;
}
