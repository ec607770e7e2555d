/* Evaluation of a classification, and where its time goes:
 *
 *   evaluate DIR DTYPE [EXAMPLES LENGTH SHARED [LABELS]]
 *
 * DIR as tests/bench/make_model.sh makes it. Examples of LENGTH random tokens, of which the first SHARED are the same for
 * all, the last is the end of text and the last but one one of LABELS labels. Prints one JSON object; the first of two
 * evaluations is not counted. Tokens are those of the examples, whether they are computed or shared. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/worktime.h"
#include "eval/evaluate.h"
#include "math/gemm.h"
#include "worktimes.h"

enum { EOS = 2, FIRST = 10, MICRO_TOKENS = 2048 };  /* ids below FIRST stay out of texts */

struct setup {
	const char *dir, *dtype;
	int examples, length, shared, labels;
};

static int
add_examples(struct dataset_writer *w, const struct setup *s, int V, struct err *e)
{
	struct rng r;
	int32_t *ids = xreallocarray(NULL, (size_t)s->length, sizeof *ids);
	int prompt = s->length - 2, rc = 0;
	const struct span spans[] = {{(uint32_t)prompt, 0}, {2, 1}};
	rng_init(&r, 1, 1);
	for (int n = 0; n < s->examples && rc == 0; n++) {
		char label[16];
		for (int i = n ? s->shared : 0; i < prompt; i++)
			ids[i] = FIRST + (int32_t)rng_below(&r, (uint64_t)(V - FIRST));
		ids[prompt] = FIRST + n % s->labels;
		ids[prompt + 1] = EOS;
		struct example x = {.ids = ids, .n = (uint32_t)s->length, .spans = spans, .n_spans = 2, .completion = (uint32_t)prompt,
			.line = (uint64_t)n + 1, .label = label};
		x.label_len = (uint32_t)snprintf(label, sizeof label, "%d", n % s->labels);
		rc = dataset_add(w, &x, e);
	}
	free(ids);
	return rc;
}

/* A dataset of them, whose directory is removed at once: it stays readable while it is open. */
static struct dataset *
make_dataset(const struct setup *s, int V, struct err *e)
{
	char dir[] = "/tmp/hone-bench-XXXXXX", *path;
	struct dataset *d = NULL;
	if (!mkdtemp(dir)) {
		err_set(e, ERR_CANTCREAT, "'%s': no directory there", dir);
		return NULL;
	}
	path = path_join(dir, "data");
	struct dataset_writer *w = dataset_create(path, &(struct dataset_options){0}, e);
	if (w && add_examples(w, s, V, e) == 0) {
		json_t *info = json_pack("{s:i}", "eos_token_id", EOS);
		if (dataset_finish(w, info, e) == 0)
			d = dataset_open(path, e);
		json_decref(info);
	}
	struct err unlinked;
	path_remove(dir, &unlinked);
	free(path);
	return d;
}

static void
report(const struct setup *s, const struct model *m, const struct eval_result *r, double seconds, const double *spent)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:f, s:i}", "what", "hone", "method", "evaluate", "dtype",
		m->compute == NUM_BF16 ? "bf16" : "fp32", "model", s->dir, "threads", math_threads(), "documents", s->examples, "length",
		s->length, "shared", s->shared, "labels", s->labels, "tokens_per_second", (double)r->tokens / seconds, "peak_rss_mb",
		(int)(peak_rss_bytes() >> 20));
	print_worktimes(o, spent, seconds);
}

int
main(int argc, char **argv)
{
	struct err e;
	struct model m;
	struct label_set labels;
	struct eval_result result;
	math_start(argv);
	if (argc < 3)
		return 64;
	const struct setup s = {argv[1], argv[2], argc > 3 ? atoi(argv[3]) : 256, argc > 4 ? atoi(argv[4]) : 60,
		argc > 5 ? atoi(argv[5]) : 0, argc > 6 ? atoi(argv[6]) : 6};
	struct eval_options o = {.eos = EOS, .micro_tokens = MICRO_TOKENS};
	const struct model_options opt = {.compute = math_compute(s.dtype)};
	math_set_threads(0);
	if (model_open(&m, s.dir, &opt, &e) < 0)
		die(&e);
	struct dataset *d = make_dataset(&s, m.config.V, &e);
	int positive;
	if (!d || label_set_init(&labels, NULL, d, m.config.V, &e) < 0 ||
		eval_set_labels(&o, &labels, 0, NULL, &positive, m.config.V, &e) < 0)
		die(&e);
	model_reserve(&m, eval_rows(d, &o), eval_max_length(d, &o), 0, KEEP_NOTHING);
	double start = 0, spent[WORK_KINDS];
	for (int i = 0; i < 2; i++) {
		start = clock_seconds();
		for (int k = 0; k < WORK_KINDS; k++)
			spent[k] = work_seconds(k);
		if (evaluate(&m, d, &o, &result, &e) < 0)
			die(&e);
		predictions_release(&result.predictions);
	}
	double seconds = clock_seconds() - start;
	for (int k = 0; k < WORK_KINDS; k++)
		spent[k] = work_seconds(k) - spent[k];
	report(&s, &m, &result, seconds, spent);
	return 0;
}
