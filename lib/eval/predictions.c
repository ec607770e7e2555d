#include "eval/predictions.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "eval/predictions_int.h"

void
predictions_init(struct predictions *p, const char *const *names, int K)
{
	assert(K >= 0 && K <= PREDICTIONS_CLASSES_MAX);
	*p = (struct predictions){.n_classes = K, .step = -1};
	p->name = xcalloc((size_t)K, sizeof *p->name);
	for (int i = 0; i < K; i++)
		p->name[i] = xstrdup(names[i]);
}

void
predictions_release(struct predictions *p)
{
	for (int i = 0; i < p->n_classes; i++)
		free(p->name[i]);
	free(p->name);
	free(p->row);
	free(p->score);
	*p = (struct predictions){0};
}

struct prediction *
predictions_add_row(struct predictions *p)
{
	GROW(p->row, p->cap, p->n + 1);
	struct prediction *r = &p->row[p->n++];
	*r = (struct prediction){.label = -1, .prediction = -1, .first = p->n_scores, .outside = NAN};
	return r;
}

void
predictions_add_score(struct predictions *p, int class, double v)
{
	GROW(p->score, p->score_cap, p->n_scores + 1);
	p->score[p->n_scores++] = (struct score){class, v};
	p->row[p->n - 1].n_scores++;
}

static bool
all_numbers(const double *v, int n)
{
	for (int i = 0; i < n; i++)
		if (isnan(v[i]))
			return false;
	return true;
}

void
predictions_add(struct predictions *p, int64_t line, int label, int prediction, const double *scores)
{
	assert(label >= -1 && label < p->n_classes && prediction >= -1 && prediction < p->n_classes);
	struct prediction *r = predictions_add_row(p);
	r->line = line;
	r->label = label;
	r->prediction = prediction;
	if (!scores || !all_numbers(scores, p->n_classes))
		return;
	for (int k = 0; k < p->n_classes; k++)
		predictions_add_score(p, k, fmin(fmax(scores[k], 0), 1));
}

void
predictions_outside(struct predictions *p, double outside)
{
	p->row[p->n - 1].outside = fmin(fmax(outside, 0), 1);
}

int
predictions_by_class(const void *a, const void *b)
{
	const struct score *x = a, *y = b;
	return (x->class > y->class) - (x->class < y->class);
}

double
predictions_score(const struct predictions *p, size_t row, int class)
{
	const struct prediction *r = &p->row[row];
	if (!r->n_scores)
		return NAN;
	struct score key = {.class = class};
	struct score *s = bsearch(&key, p->score + r->first, r->n_scores, sizeof key, predictions_by_class);
	return s ? s->p : 0;
}

int
predictions_class(const struct predictions *p, const char *name)
{
	for (int k = 0; k < p->n_classes; k++)
		if (strcmp(p->name[k], name) == 0)
			return k;
	return -1;
}
