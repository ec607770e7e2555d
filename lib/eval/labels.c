#include "eval/labels.h"

#include <stdlib.h>
#include <string.h>

static void
add(struct label_set *s, const struct label *l)
{
	size_t k = (size_t)s->K++;
	s->name = xreallocarray(s->name, k + 1, sizeof *s->name);
	s->ids = xreallocarray(s->ids, k + 1, sizeof *s->ids);
	s->n_ids = xreallocarray(s->n_ids, k + 1, sizeof *s->n_ids);
	s->name[k] = xstrdup(l->name);
	s->ids[k] = xreallocarray(NULL, l->n_ids, sizeof **s->ids);
	memcpy(s->ids[k], l->ids, l->n_ids * sizeof **s->ids);
	s->n_ids[k] = (int)l->n_ids;
}

/* Both tables are in order of name; so is their union. */
static void
merge(struct label_set *s, const struct label *a, size_t na, const struct label *b, size_t nb, bool have_train)
{
	for (size_t i = 0, j = 0; i < na || j < nb;) {
		int order = i == na ? 1 : j == nb ? -1 : strcmp(a[i].name, b[j].name);
		s->unseen += order > 0 && have_train;
		add(s, order <= 0 ? &a[i] : &b[j]);
		i += order <= 0;
		j += order >= 0;
	}
}

static void
compare_tokens(struct label_set *s)
{
	s->prefix_free = true;
	for (int i = 0; i < s->K; i++)
		for (int j = 0; j < s->K; j++) {
			if (i == j)
				continue;
			s->shared_first |= s->ids[i][0] == s->ids[j][0];
			if (s->n_ids[i] <= s->n_ids[j] &&
				memcmp(s->ids[i], s->ids[j], (size_t)s->n_ids[i] * sizeof **s->ids) == 0)
				s->prefix_free = false;
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
label_set_init(struct label_set *s, const struct dataset *train, const struct dataset *valid, int V, struct err *e)
{
	size_t na = 0, nb = 0;
	const struct label *a = train ? dataset_labels(train, &na) : NULL, *b = valid ? dataset_labels(valid, &nb) : NULL;
	*s = (struct label_set){0};
	merge(s, a, na, b, nb, train != NULL);
	if (check_tokens(s, V, e) < 0) {
		label_set_release(s);
		return -1;
	}
	compare_tokens(s);
	return 0;
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
