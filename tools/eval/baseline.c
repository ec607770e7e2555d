/* Whether one model is better than another, and whether that could be chance. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "eval.h"

const char *
test_name(enum test t)
{
	static const char *const names[] = {[TEST_NONE] = "none", [TEST_MCNEMAR] = "McNemar, exact",
		[TEST_PAIRED] = "paired bootstrap", [TEST_FIXED] = "bootstrap against a fixed figure"};
	return names[t];
}

bool
lower_is_better(const char *key)
{
	int figure = metrics_figure(key, &settings.betas);
	if (strcmp(key, "loss") == 0 || strcmp(key, "perplexity") == 0)
		return true;
	return figure >= 0 && metrics_lower_is_better(figure);
}

static struct bootstrap
bootstrap(void)
{
	return (struct bootstrap){settings.resamples, (uint64_t)settings.seed};
}

/* ---- the same rows ---- */

static const char *
label_of(const struct predictions *p, size_t row)
{
	return p->row[row].label < 0 ? NULL : p->name[p->row[row].label];
}

static int
same_rows(const struct subject *a, const struct subject *b, struct err *e)
{
	if (a->rows.n != b->rows.n)
		return err_set(e, ERR_DATA, "'%s' has %zu rows, '%s' has %zu: not of the same examples", a->path, a->rows.n,
			b->path, b->rows.n);
	for (size_t i = 0; i < a->rows.n; i++) {
		const char *x = label_of(&a->rows, i), *y = label_of(&b->rows, i);
		int64_t line = a->rows.row[i].line, other = b->rows.row[i].line;
		if ((line && other && line != other) || !x != !y || (x && strcmp(x, y) != 0))
			return err_set(e, ERR_DATA, "'%s' has line %lld with label '%s' where '%s' has line %lld with label '%s': not of the "
				"same examples", a->path, (long long)line, x ? x : "", b->path, (long long)other, y ? y : "");
	}
	return 0;
}

/* ---- tests ---- */

static bool
is_right(const struct predictions *p, size_t i)
{
	return p->row[i].label >= 0 && p->row[i].label == p->row[i].prediction;
}

/* Two-sided exact binomial p of `few` of n when each side is as likely. */
static double
sign_test(int64_t few, int64_t n)
{
	double sum = 0;
	for (int64_t k = 0; k <= few; k++)
		sum += exp(lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1) - (double)n * log(2));
	return fmin(1, 2 * sum);
}

/* McNemar (1947), exact: of the rows that one got right and the other wrong, which side has fewer? */
static double
mcnemar(const struct predictions *a, const struct predictions *b)
{
	int64_t only_a = 0, only_b = 0;
	for (size_t i = 0; i < a->n; i++) {
		only_a += is_right(a, i) && !is_right(b, i);
		only_b += is_right(b, i) && !is_right(a, i);
	}
	return sign_test(only_a < only_b ? only_a : only_b, only_a + only_b);
}

/* The same draws for every source of as many rows: they are a function of the seed and that number. */
static const double *
resampled(struct subject *s)
{
	const struct bootstrap boot = bootstrap();
	if (!s->resampled) {
		struct figure_rows r;
		figure_rows_init(&r, &s->rows, s->metrics.positive, &s->metrics.betas);
		s->resampled = metrics_resample(&r, &boot);
		figure_rows_release(&r);
	}
	return s->resampled;
}

/* p of "no difference" and the interval, of R values of b less those of a (NULL: a fixed figure, 0 after subtraction). */
static void
bootstrap_difference(struct difference *d, const double *b, const double *a, double fixed)
{
	size_t R = (size_t)settings.resamples;
	double *v = xcalloc(R, sizeof *v);
	for (size_t i = 0; i < R; i++)
		v[i] = b[i] - (a ? a[i] : fixed);
	d->p = bootstrap_p(v, R, 0);
	d->interval = bootstrap_interval(v, R);
	free(v);
}

static int
by_rows(struct difference *d, struct subject *a, struct subject *b, int figure, struct err *e)
{
	size_t at = (size_t)figure * (size_t)settings.resamples;
	if (same_rows(a, b, e) < 0)
		return -1;
	const double *va = resampled(a), *vb = resampled(b);
	if (va && vb) {
		bootstrap_difference(d, vb + at, va + at, 0);
		d->test = TEST_PAIRED;
	}
	if (figure == FIGURE_ACCURACY) {
		d->p = mcnemar(&a->rows, &b->rows);
		d->test = TEST_MCNEMAR;
	}
	d->rows = (size_t)b->metrics.examples;
	return 0;
}

static int
by_texts(struct difference *d, const struct subject *a, const struct subject *b, int figure, struct err *e)
{
	size_t R = (size_t)settings.resamples;
	const struct bootstrap boot = bootstrap();
	if (a->texts.n != b->texts.n)
		return err_set(e, ERR_DATA, "'%s' has %zu texts, '%s' has %zu: not of the same examples", a->path, a->texts.n,
			b->path, b->texts.n);
	for (size_t i = 0; i < a->texts.n; i++)
		if (strcmp(a->texts.row[i].reference, b->texts.row[i].reference) != 0)
			return err_set(e, ERR_DATA, "row %zu of '%s' and of '%s' want different texts: not of the same examples", i + 1,
				a->path, b->path);
	double *v = generations_resample(&b->texts, &a->texts, &boot);
	if (v) {
		bootstrap_difference(d, v + (size_t)figure * R, NULL, 0);
		d->test = TEST_PAIRED;
		d->rows = b->texts.n;
	}
	free(v);
	return 0;
}

/* Only b has rows: how often would its figure come out on the other side of a's? */
static void
against_fixed(struct difference *d, const double *v, size_t n, int figure)
{
	if (!v)
		return;
	bootstrap_difference(d, v + (size_t)figure * (size_t)settings.resamples, NULL, d->a);
	d->test = TEST_FIXED;
	d->rows = n;
}

static double
value(const struct subject *s, const char *key)
{
	const json_t *v = json_object_get(s->figures, key);
	return json_is_number(v) ? json_number_value(v) : NAN;
}

int
difference_find(struct difference *d, struct subject *a, struct subject *b, const char *key, struct err *e)
{
	int figure = metrics_figure(key, &settings.betas), text = generation_figure(key);
	const struct bootstrap boot = bootstrap();
	*d = (struct difference){.a = value(a, key), .b = value(b, key), .p = NAN, .interval = {NAN, NAN}};
	d->difference = d->b - d->a;
	if (isnan(d->difference))
		return 0;
	if (figure >= 0 && a->has_rows && b->has_rows)
		return by_rows(d, a, b, figure, e);
	if (text >= 0 && a->has_texts && b->has_texts)
		return by_texts(d, a, b, text, e);
	if (figure >= 0 && b->has_rows)
		against_fixed(d, resampled(b), (size_t)b->metrics.examples, figure);
	if (text >= 0 && b->has_texts) {
		double *v = generations_resample(&b->texts, NULL, &boot);
		against_fixed(d, v, b->texts.n, text);
		free(v);
	}
	return 0;
}

/* ---- the gate ---- */

static const char *
default_figure(const struct subject *s)
{
	return s->has_rows ? "classification/accuracy" : s->has_texts ? "generation/token_f1" : "loss";
}

/* What stands against passing; NULL: nothing. */
static const char *
objection(const struct difference *d, const char *key)
{
	double gain = lower_is_better(key) ? -d->difference : d->difference;
	bool significant = isnan(d->p) || d->p <= settings.significance;
	if (isnan(d->difference))
		return "one of the two has no value";
	if (strcmp(settings.baseline_rule, "not-worse") == 0)
		return gain < 0 && significant ? "it is worse" : NULL;
	if (!(gain > 0))
		return gain < 0 ? "it is worse" : "it is no better";
	return significant ? NULL : "it is better, but not significantly";
}

static json_t *
number_or_null(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *
verdict(const struct difference *d, const char *key, bool passed)
{
	json_t *interval = isfinite(d->interval.low) ? json_pack("[f, f]", d->interval.low, d->interval.high) : json_null();
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:o, s:I, s:f, s:s, s:b}", "file", settings.baseline, "figure", key,
		"value", number_or_null(d->b), "baseline", number_or_null(d->a), "difference", number_or_null(d->difference),
		"interval", interval, "test", test_name(d->test), "p", number_or_null(d->p), "rows", (json_int_t)d->rows,
		"significance", settings.significance, "rule", settings.baseline_rule, "passed", passed);
}

/* "'classification/accuracy' is 0.9, 0.85 in 'old.jsonl' (McNemar, exact: p 0.031, 600 rows)" */
static void
describe(struct buf *b, const struct difference *d, const char *key)
{
	char now[NUM_TEXT] = "undefined", before[NUM_TEXT] = "undefined";
	if (isfinite(d->b))
		snprintf(now, sizeof now, "%.6g", d->b);
	if (isfinite(d->a))
		snprintf(before, sizeof before, "%.6g", d->a);
	buf_printf(b, "'%s' is %s, and %s in '%s'", key, now, before, settings.baseline);
	if (d->test == TEST_NONE)
		buf_puts(b, " (no test: there are no rows to resample)");
	else
		buf_printf(b, " (%s: p %.3g over %zu rows, wanted is %g)", test_name(d->test), d->p, d->rows, settings.significance);
}

int
baseline_pass(struct subject *base, struct subject *s, struct err *e)
{
	struct difference d;
	struct buf text = {0};
	const char *key = settings.baseline_figure ? settings.baseline_figure : default_figure(s);
	if (difference_find(&d, base, s, key, e) < 0)
		return -1;
	const char *against = objection(&d, key);
	describe(&text, &d, key);
	json_object_set_new(s->figures, "baseline", verdict(&d, key, !against));
	if (against)
		log_error("not passed: %s: %s", against, text.data);
	else
		log_note("passed: %s", text.data);
	buf_release(&text);
	return !against;
}
