/* Predictions files, read. */
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "eval/predictions_int.h"

struct reader {
	struct predictions *p;
	size_t name_cap;
	json_t *classes;  /* name -> class, numbered as first seen */
	bool begun;       /* a row was read */
	int64_t step;     /* of the rows taken so far; -1: they have none, or there are none */
	const char *file;
	uint64_t line;
	struct err *e;
};

static int
bad_row(const struct reader *r, const char *what)
{
	return err_set(r->e, ERR_DATA, "'%s': line %llu: %s", r->file, (unsigned long long)r->line, what);
}

/* The class of a name, added when new; -1 and an error when there are too many. */
static int
class_of(struct reader *r, const char *name)
{
	const json_t *known = json_object_get(r->classes, name);
	if (known)
		return (int)json_integer_value(known);
	struct predictions *p = r->p;
	if (p->n_classes == PREDICTIONS_CLASSES_MAX)
		return err_set(r->e, ERR_DATA, "'%s': line %llu: more than %d different classes", r->file,
			(unsigned long long)r->line, PREDICTIONS_CLASSES_MAX);
	GROW(p->name, r->name_cap, (size_t)p->n_classes + 1);
	p->name[p->n_classes] = xstrdup(name);
	json_object_set_new(r->classes, name, json_integer(p->n_classes));
	return p->n_classes++;
}

/* A member that is a class or null; it must be there, so that a misspelt key is not taken for an unknown. */
static int
read_class(struct reader *r, const json_t *o, const char *key, int *class)
{
	const json_t *v = json_object_get(o, key);
	if (json_is_null(v))
		return 0;
	if (!json_is_string(v))
		return err_set(r->e, ERR_DATA, "'%s': line %llu: '%s' is %s; a string or null is wanted",
			r->file, (unsigned long long)r->line, key, v ? "not a string" : "missing");
	*class = class_of(r, json_string_value(v));
	return *class < 0 ? -1 : 0;
}

static int
read_scores(struct reader *r, json_t *o)
{
	json_t *scores = json_object_get(o, "scores"), *v;
	const char *name;
	if (!scores || json_is_null(scores))
		return 0;
	if (!json_is_object(scores))
		return bad_row(r, "'scores' is not an object of class: probability");
	json_object_foreach(scores, name, v) {
		double x = json_is_number(v) ? json_number_value(v) : -1;
		if (!(x >= 0 && x <= 1))
			return err_set(r->e, ERR_DATA,
				"'%s': line %llu: the score of '%s' is not a number within 0 and 1", r->file,
				(unsigned long long)r->line, name);
		int class = class_of(r, name);
		if (class < 0)
			return -1;
		predictions_add_score(r->p, class, x);
	}
	return 0;
}

static int
read_outside(struct reader *r, const json_t *o, double *outside)
{
	const json_t *v = json_object_get(o, "outside");
	*outside = NAN;
	if (!v || json_is_null(v))
		return 0;
	*outside = json_is_number(v) ? json_number_value(v) : -1;
	return *outside >= 0 && *outside <= 1 ? 0 : bad_row(r, "'outside' is not a number within 0 and 1");
}

static void
forget_rows(struct reader *r)
{
	predictions_release(r->p);
	r->name_cap = 0;
	json_object_clear(r->classes);
}

/* 1 when the row is of the last step so far, 0 when it is of an earlier one. */
static int
read_step(struct reader *r, const json_t *o)
{
	const json_t *v = json_object_get(o, "step");
	int64_t step = v && !json_is_null(v) ? json_integer_value(v) : -1;
	if (v && !json_is_null(v) && (!json_is_integer(v) || step <= 0))
		return bad_row(r, "'step' is not a number of steps");
	if (r->begun && (step < 0) != (r->step < 0))
		return bad_row(r, step < 0 ? "'step' is missing, which rows before have" : "'step' is there, which rows before lack");
	r->begun = true;
	if (step < r->step)
		return 0;
	if (step > r->step)
		forget_rows(r);
	r->step = step;
	return 1;
}

static int
read_object(struct reader *r, json_t *o)
{
	if (!json_is_object(o))
		return bad_row(r, "not an object");
	if (r->p->n == INT_MAX)
		return bad_row(r, "more rows than can be counted");
	int rc = read_step(r, o);
	if (rc <= 0)
		return rc;
	struct prediction row = {.label = -1, .prediction = -1};
	const json_t *line = json_object_get(o, "line");
	if (line && !json_is_null(line) && (!json_is_integer(line) || json_integer_value(line) < 0))
		return bad_row(r, "'line' is not a line number");
	row.line = line ? json_integer_value(line) : 0;
	if (read_class(r, o, "label", &row.label) < 0 || read_class(r, o, "prediction", &row.prediction) < 0 ||
		read_outside(r, o, &row.outside) < 0)
		return -1;
	row.first = r->p->n_scores;
	*predictions_add_row(r->p) = row;
	return read_scores(r, o);
}

static int
read_row(struct reader *r, const char *text, size_t n)
{
	json_error_t je;
	json_t *o = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
	if (!o)
		return err_set(r->e, ERR_DATA, "'%s': line %llu, column %d: %s", r->file,
			(unsigned long long)r->line, je.column, je.text);
	int rc = read_object(r, o);
	json_decref(o);
	return rc;
}

static bool
is_blank(const char *text, size_t n)
{
	while (n && strchr(" \t\r", text[n - 1]) && text[n - 1])
		n--;
	return n == 0;
}

struct named {
	char *name;
	int class;
};

static int
by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	return strcmp(x->name, y->name);
}

/* Renumbers the classes in the order of their names, so that the order of rows does not matter. */
static void
sort_classes(struct predictions *p)
{
	size_t K = (size_t)p->n_classes;
	struct named *order = xcalloc(K, sizeof *order);
	int *rank = xcalloc(K + 1, sizeof *rank);
	for (size_t k = 0; k < K; k++)
		order[k] = (struct named){p->name[k], (int)k};
	qsort(order, K, sizeof *order, by_name);
	for (size_t k = 0; k < K; k++) {
		p->name[k] = order[k].name;
		rank[order[k].class] = (int)k;
	}
	for (size_t i = 0; i < p->n_scores; i++)
		p->score[i].class = rank[p->score[i].class];
	for (struct prediction *r = p->row; r < p->row + p->n; r++) {
		r->label = r->label < 0 ? -1 : rank[r->label];
		r->prediction = r->prediction < 0 ? -1 : rank[r->prediction];
		if (r->n_scores)
			qsort(p->score + r->first, r->n_scores, sizeof *p->score, predictions_by_class);
	}
	free(order);
	free(rank);
}

int
predictions_read_in(struct predictions *p, struct in *in, struct err *e)
{
	struct reader r = {.p = p, .classes = json_object(), .step = -1, .file = in->name, .e = e};
	const char *text;
	size_t n;
	int rc;
	*p = (struct predictions){0};
	while ((rc = in_line(in, PREDICTIONS_LINE_MAX, &text, &n, e)) > 0) {
		r.line++;
		if (!is_blank(text, n) && (rc = read_row(&r, text, n)) < 0)
			break;
	}
	json_decref(r.classes);
	p->step = r.step;
	if (rc == 0)
		sort_classes(p);
	return rc;
}

int
predictions_read(struct predictions *p, const char *path, struct err *e)
{
	struct in in;
	*p = (struct predictions){0};
	if (in_open_unpacked(&in, path, e) < 0)
		return -1;
	int rc = predictions_read_in(p, &in, e);
	in_close(&in);
	return rc;
}
