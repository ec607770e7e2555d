#include "eval/generations.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "eval/row_seal.h"

enum { LINE_BYTES_MAX = 64 << 20 };

static const struct {
	const char *key, *name;
} figures[N_GENERATION_FIGURES] = {
	[GENERATION_EXACT] = {"generation/exact_match", "exact match"},
	[GENERATION_NORMALIZED] = {"generation/normalized_match", "normalized match"},
	[GENERATION_TOKEN_F1] = {"generation/token_f1", "token f1"},
	[GENERATION_ROUGE_L] = {"generation/rouge_l", "rouge-l"},
};

const char *
generation_key(int figure)
{
	return figures[figure].key;
}

int
generation_figure(const char *key)
{
	for (int i = 0; i < N_GENERATION_FIGURES; i++)
		if (strcmp(figures[i].key, key) == 0)
			return i;
	return -1;
}

/* ---- rows ---- */

void
generations_release(struct generations *g)
{
	for (size_t i = 0; i < g->n; i++) {
		free(g->row[i].reference);
		free(g->row[i].generated);
	}
	free(g->row);
	*g = (struct generations){0};
}

/* Raises the last row's figures to those against another reference, where these are higher. */
static void
match(struct generation *r, const char *reference, size_t n)
{
	struct text_match m;
	text_match(&m, r->generated, r->n_generated, reference, n);
	const double v[N_GENERATION_FIGURES] = {m.exact, m.normalized, m.token_f1, m.rouge_l};
	for (int i = 0; i < N_GENERATION_FIGURES; i++)
		r->figure[i] = fmax(r->figure[i], v[i]);
}

void
generations_add(struct generations *g, int64_t line, const char *generated, size_t n_generated, const char *reference,
	size_t n_reference)
{
	GROW(g->row, g->cap, g->n + 1);
	struct generation *r = &g->row[g->n++];
	*r = (struct generation){.line = line, .generated = xstrndup(generated, n_generated), .n_generated = n_generated,
		.reference = xstrndup(reference, n_reference), .n_reference = n_reference};
	match(r, reference, n_reference);
}

/* ---- files ---- */

static void
put_row(struct buf *b, const struct generation *r)
{
	json_t *o = json_object();
	if (r->line)
		json_object_set_new(o, "line", json_integer(r->line));
	json_object_set_new(o, "reference", json_stringn_nocheck(r->reference, r->n_reference));
	json_object_set_new(o, "generated", json_stringn_nocheck(r->generated, r->n_generated));
	char *text = json_dumps(o, 0);
	json_decref(o);
	buf_puts(b, text ? text : "{}");
	buf_putc(b, '\n');
	free(text);
}

void
generations_write(const struct generations *g, const json_t *provenance, struct out *out)
{
	struct buf b = {0};
	for (const struct generation *r = g->row; r < g->row + g->n; r++)
		put_row(&b, r);
	if (b.len)
		rows_write_sealed(b.data, b.len, provenance, out);
	buf_release(&b);
}

/* The references of a row: a text, or a list of at least one. */
static int
add_row(struct generations *g, const json_t *o, struct err *e)
{
	const json_t *generated = json_object_get(o, "generated"), *reference = json_object_get(o, "reference");
	const json_t *line = json_object_get(o, "line");
	if (!json_is_object(o))
		return err_set(e, ERR_DATA, "not an object");
	if (!json_is_string(generated))
		return err_set(e, ERR_DATA, "'generated' is %s; a text is wanted", generated ? "not a text" : "missing");
	if (line && !json_is_null(line) && (!json_is_integer(line) || json_integer_value(line) < 0))
		return err_set(e, ERR_DATA, "'line' is not a line number");
	const json_t *first = json_is_array(reference) ? json_array_get(reference, 0) : reference, *v;
	size_t i;
	if (!json_is_string(first))
		return err_set(e, ERR_DATA, "'reference' is %s; a text or a list of texts is wanted",
			reference ? "something else" : "missing");
	generations_add(g, json_is_integer(line) ? json_integer_value(line) : 0, json_string_value(generated),
		json_string_length(generated), json_string_value(first), json_string_length(first));
	json_array_foreach(reference, i, v) {
		if (!json_is_string(v))
			return err_set(e, ERR_DATA, "'reference' has something that is not a text");
		match(&g->row[g->n - 1], json_string_value(v), json_string_length(v));
	}
	return 0;
}

static bool
is_blank(const char *text, size_t n)
{
	return strspn(text, " \t\r") >= n;
}

static int
read_row(struct generations *g, const char *text, size_t n, struct err *e)
{
	json_error_t je;
	json_t *o = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &je);
	int rc = o ? add_row(g, o, e) : err_set(e, ERR_DATA, "column %d: %s", je.column, je.text);
	json_decref(o);
	return rc;
}

int
generations_read(struct generations *g, struct in *in, struct err *e)
{
	const char *text;
	size_t n;
	int rc;
	*g = (struct generations){0};
	for (uint64_t line = 1; (rc = in_line(in, LINE_BYTES_MAX, &text, &n, e)) > 0; line++)
		if (!is_blank(text, n) && read_row(g, text, n, e) < 0)
			return err_prefix(e, "'%s': line %llu: ", in->name, (unsigned long long)line);
	return rc;
}

/* ---- figures ---- */

struct pair {
	const struct generations *g, *minus;
};

static void
mean(void *ctx, const uint32_t *weight, double *out, void *scratch)
{
	const struct pair *p = ctx;
	(void)scratch;
	for (int k = 0; k < N_GENERATION_FIGURES; k++)
		out[k] = 0;
	for (size_t i = 0; i < p->g->n; i++)
		for (int k = 0; k < N_GENERATION_FIGURES; k++)
			out[k] += (weight ? weight[i] : 1) *
				(p->g->row[i].figure[k] - (p->minus ? p->minus->row[i].figure[k] : 0));
	for (int k = 0; k < N_GENERATION_FIGURES; k++)
		out[k] /= (double)p->g->n;
}

double *
generations_resample(const struct generations *g, const struct generations *minus, const struct bootstrap *b)
{
	struct pair p = {g, minus};
	const struct bootstrap_job job = {.n = g->n, .count = N_GENERATION_FIGURES, .f = mean, .ctx = &p};
	return bootstrap_run(b, &job);
}

void
generation_metrics_compute(struct generation_metrics *m, const struct generations *g, const struct bootstrap *b)
{
	size_t R = (size_t)b->resamples;
	struct pair p = {g, NULL};
	*m = (struct generation_metrics){.examples = g->n, .bootstrap = *b};
	mean(&p, NULL, m->figure, NULL);
	double *v = generations_resample(g, NULL, b);
	for (size_t i = 0; i < N_GENERATION_FIGURES; i++)
		m->interval[i] = v ? bootstrap_interval(v + i * R, R) : (struct interval){NAN, NAN};
	free(v);
}

json_t *
generation_metrics_json(const struct generation_metrics *m)
{
	json_t *o = json_pack("{s:I}", "generation/examples", (json_int_t)m->examples);
	for (int i = 0; i < N_GENERATION_FIGURES; i++)
		json_object_set_new(o, figures[i].key, json_number(m->figure[i]));
	if (!m->bootstrap.resamples)
		return o;
	json_t *all = json_pack("{s:f, s:i, s:I}", "level", 0.95, "resamples", m->bootstrap.resamples, "seed",
		(json_int_t)m->bootstrap.seed);
	for (int i = 0; i < N_GENERATION_FIGURES; i++) {
		const struct interval *x = &m->interval[i];
		json_object_set_new(all, figures[i].key + sizeof "generation/" - 1,
			isfinite(x->low) ? json_pack("[f, f]", x->low, x->high) : json_null());
	}
	json_object_set_new(o, "generation/intervals", all);
	return o;
}

void
generation_metrics_print(FILE *f, const struct generation_metrics *m)
{
	fprintf(f, "%-28s %zu\n", "generated", m->examples);
	for (int i = 0; i < N_GENERATION_FIGURES; i++)
		if (!isfinite(m->figure[i]))
			fprintf(f, "%-28s -\n", figures[i].name);
		else if (isfinite(m->interval[i].low))
			fprintf(f, "%-28s %.4f   %.4f to %.4f\n", figures[i].name, m->figure[i], m->interval[i].low,
				m->interval[i].high);
		else
			fprintf(f, "%-28s %.4f\n", figures[i].name, m->figure[i]);
}
