/* Figures that exist already: of a run, of a file of rows, of an earlier hone-eval. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "eval.h"

enum { FIGURES_BYTES_MAX = 64 << 20, EVENT_MAX = 1 << 24, PEEKED = 1 << 16 };

static void
merge(struct subject *s, json_t *o)
{
	if (!s->figures)
		s->figures = json_object();
	json_object_update(s->figures, o);
	json_decref(o);
}

/* ---- figures of rows ---- */

static bool
has_labels(const struct predictions *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->row[i].label >= 0)
			return true;
	return false;
}

/* Of two classes the second in byte order is the positive one ("1" of "0" and "1") when none is named. */
static int
positive_class(const struct subject *s, int *class, struct err *e)
{
	*class = s->rows.n_classes == 2 ? 1 : -1;
	if (settings.positive && (*class = predictions_class(&s->rows, settings.positive)) < 0)
		return err_set(e, ERR_USAGE, "the positive class '%s' does not occur in '%s'", settings.positive, s->path);
	return 0;
}

static int
by_line(const void *a, const void *b)
{
	const struct prediction *x = a, *y = b;
	return (x->line > y->line) - (x->line < y->line);
}

/* Puts rows in the order of their lines where each has one of its own, so that files in any order can be paired. */
static void
sort_rows(struct predictions *p)
{
	struct prediction *v = xreallocarray(NULL, p->n + 1, sizeof *v);
	bool lines = true;
	memcpy(v, p->row, p->n * sizeof *v);
	qsort(v, p->n, sizeof *v, by_line);
	for (size_t i = 0; i < p->n; i++)
		lines = lines && v[i].line > 0 && (i == 0 || v[i].line != v[i - 1].line);
	if (lines)
		memcpy(p->row, v, p->n * sizeof *v);
	free(v);
}

static int
compute_rows(struct subject *s, struct err *e)
{
	struct metrics_options o = {.betas = settings.betas.v, .n_betas = settings.betas.n,
		.bootstrap = {settings.resamples, (uint64_t)settings.seed}};
	if (!has_labels(&s->rows))
		return err_set(e, ERR_DATA, "'%s': %s", s->path,
			s->rows.n ? "no row has a label to compare its prediction with" : "holds no predictions");
	sort_rows(&s->rows);
	if (positive_class(s, &o.positive, e) < 0 || metrics_compute(&s->metrics, &s->rows, &o, e) < 0)
		return -1;
	merge(s, metrics_json(&s->metrics));
	return 0;
}

int
subject_compute(struct subject *s, struct err *e)
{
	if (s->has_rows && compute_rows(s, e) < 0)
		return -1;
	if (s->has_texts) {
		const struct bootstrap b = {settings.resamples, (uint64_t)settings.seed};
		generation_metrics_compute(&s->written, &s->texts, &b);
		merge(s, generation_metrics_json(&s->written));
	}
	return 0;
}

/* ---- files of rows ---- */

/* Whether the first line of a file has this member; the peek suffices for what hone writes. */
static bool
begins_with_member(struct in *in, const char *member)
{
	struct err ignored;
	const uint8_t *p;
	long n = in_peek(in, &p, PEEKED, &ignored);
	if (n <= 0)
		return false;
	const uint8_t *end = memchr(p, '\n', (size_t)n);
	size_t len = strlen(member), line = end ? (size_t)(end - p) : (size_t)n;
	for (size_t i = 0; i + len <= line; i++)
		if (memcmp(p + i, member, len) == 0)
			return true;
	return false;
}

static int
read_rows(struct subject *s, struct in *in, struct err *e)
{
	if (begins_with_member(in, "\"generated\"")) {
		s->has_texts = true;
		return generations_read(&s->texts, in, e);
	}
	s->has_rows = true;
	return predictions_read_in(&s->rows, in, e);
}

int
subject_open_rows(struct subject *s, const char *path, struct err *e)
{
	struct in in;
	*s = (struct subject){.path = strcmp(path, "-") == 0 ? "standard input" : path};
	if (in_open_unpacked(&in, path, e) < 0)
		return -1;
	int rc = read_rows(s, &in, e);
	in_close(&in);
	return rc < 0 ? rc : subject_compute(s, e);
}

/* ---- runs ---- */

static int
last_evaluation(struct subject *s, const char *path, struct err *e)
{
	struct in in;
	const char *line;
	size_t n;
	int rc;
	if (in_open(&in, path, e) < 0)
		return -1;
	while ((rc = in_line(&in, EVENT_MAX, &line, &n, e)) > 0) {
		json_t *event = json_loadb(line, n, 0, NULL);
		const char *kind = json_string_value(json_object_get(event, "event"));
		if (kind && strcmp(kind, "eval") == 0) {
			json_decref(s->figures);
			s->figures = json_incref(event);
		}
		json_decref(event);
	}
	in_close(&in);
	if (rc == 0 && !s->figures)
		rc = err_set(e, ERR_DATA, "'%s' has no evaluation: was the run given validation data (-v)?", path);
	return rc;
}

/* Rows of the step that the figures are of; the figures of the event stay, which rows of the same step only repeat. */
static int
read_run_rows(struct subject *s, const char *path, struct err *e)
{
	if (predictions_read(&s->rows, path, e) < 0)
		return -1;
	s->has_rows = s->rows.step == json_integer_value(json_object_get(s->figures, "step"));
	return s->has_rows ? subject_compute(s, e) : 0;
}

static int
open_run(struct subject *s, struct err *e)
{
	char *metrics = path_join(s->path, "metrics.jsonl"), *rows = path_join(s->path, "predictions.jsonl");
	int rc = path_exists(metrics) ? last_evaluation(s, metrics, e)
				      : err_set(e, ERR_DATA, "'%s' is no run of hone-train: no metrics.jsonl in it", s->path);
	if (rc == 0 && path_exists(rows))
		rc = read_run_rows(s, rows, e);
	free(metrics);
	free(rows);
	return rc;
}

/* ---- any of them ---- */

static bool
is_rows(const char *path)
{
	struct in in;
	struct err ignored;
	if (in_open_unpacked(&in, path, &ignored) < 0)
		return false;
	bool yes = begins_with_member(&in, "\"prediction\"") || begins_with_member(&in, "\"generated\"");
	in_close(&in);
	return yes;
}

int
subject_open(struct subject *s, const char *path, struct err *e)
{
	*s = (struct subject){.path = path};
	if (path_is_dir(path))
		return open_run(s, e);
	if (is_rows(path))
		return subject_open_rows(s, path, e);
	s->figures = json_read_file(path, FIGURES_BYTES_MAX, e);
	if (!s->figures)
		return e->code == ERR_DATA ? err_prefix(e, "neither predictions nor figures: ") : -1;
	if (!json_is_object(s->figures))
		return err_set(e, ERR_DATA, "'%s' is neither a run, nor predictions, nor the figures that --json prints", path);
	return 0;
}

void
subject_close(struct subject *s)
{
	json_decref(s->figures);
	json_decref(s->provenance);
	metrics_release(&s->metrics);
	free(s->resampled);
	predictions_release(&s->rows);
	generations_release(&s->texts);
	*s = (struct subject){0};
}

/* ---- for people ---- */

static void
print_number(const json_t *figures, const char *key, const char *name, int digits)
{
	const json_t *v = json_object_get(figures, key);
	if (json_is_integer(v))
		printf("%-28s %lld\n", name, (long long)json_integer_value(v));
	else if (json_is_real(v))
		printf("%-28s %.*f\n", name, digits, json_real_value(v));
	else if (v)
		printf("%-28s -\n", name);
}

void
subject_print(const struct subject *s)
{
	print_number(s->figures, "examples", "examples", 0);
	print_number(s->figures, "targets", "targets", 0);
	print_number(s->figures, "loss", "loss", 6);
	print_number(s->figures, "perplexity", "perplexity", 4);
	print_number(s->figures, "token_accuracy", "token accuracy", 4);
	print_number(s->figures, "sequence_accuracy", "sequence accuracy", 4);
	if (s->has_texts)
		generation_metrics_print(stdout, &s->written);
	if (s->has_rows)
		metrics_print(stdout, &s->metrics);
}
