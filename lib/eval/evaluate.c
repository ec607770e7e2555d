#include "eval/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/micro.h"
#include "math/loss.h"

struct run {
	const struct eval_options *o;
	struct model *m;
	struct micro micro;
	float *lse;                     /* [rows] of the micro-batch that are asked of */
	int32_t *best;
	double *log_p;                  /* [examples][per_example]: by node, and behind them by label */
	size_t per_example;             /* nodes + K; 0 without labels */
	double *score;                  /* [K] of one example */
	size_t lse_cap, best_cap, log_p_cap;
	double loss, weight;
	uint64_t right_tokens, counted_tokens, right_examples, counted_examples;
};

/* ---- labels ---- */

int
eval_set_labels(struct eval_options *o, const struct label_set *labels, int n_classes, const char *positive,
	int *positive_class, int V, struct err *e)
{
	*positive_class = -1;
	if (labels->K == 0)
		return err_set(e, ERR_DATA, "no labels: classification metrics want prompt/completion or text/label records "
			"with at most 1000 different labels");
	if (n_classes && n_classes != labels->K)
		return err_set(e, ERR_DATA, "the data have %d classes, --classification-n-classes says %d", labels->K, n_classes);
	if (positive && (*positive_class = label_set_find(labels, positive, strlen(positive))) < 0)
		return err_set(e, ERR_DATA, "no example has the label '%s' that --classification-positive-class names", positive);
	if (!labels->prefix_free && !o->first_token && (o->eos < 0 || o->eos >= V))
		return err_set(e, ERR_CONFIG, "a label's tokens begin another's and the model has no EOS to tell them apart");
	o->labels = labels;
	return 0;
}

/* ---- how much room it takes ---- */

static const struct label_trie *
trie_of(const struct eval_options *o)
{
	return !o->labels ? NULL : o->first_token ? &o->labels->first : &o->labels->trie;
}

int
eval_rows(const struct dataset *d, const struct eval_options *o)
{
	const struct label_trie *t = trie_of(o);
	int need = (int)dataset_max_length(d) + (t ? t->rows : 0);
	return need > o->micro_tokens ? need : o->micro_tokens;
}

int
eval_max_length(const struct dataset *d, const struct eval_options *o)
{
	int longest = 0;
	for (int k = 0; o->labels && k < o->labels->K; k++)
		if (o->labels->n_ids[k] > longest)
			longest = o->labels->n_ids[k];
	return (int)dataset_max_length(d) + longest;
}

/* ---- what the logits say ---- */

/* Log-probabilities of one example. */
static double *
log_p_of(const struct run *r, size_t example)
{
	return r->log_p + example * r->per_example;
}

static void
settle(struct run *r, const struct want *w, double log_p, int32_t best)
{
	struct micro_example *x = &r->micro.example[w->example];
	if (w->node >= 0) {
		log_p_of(r, (size_t)w->example)[w->node] = log_p;
		return;
	}
	r->loss -= (double)w->weight * log_p;
	r->weight += (double)w->weight;
	if (w->counts) {
		r->counted_tokens++;
		r->right_tokens += best == w->id;
		x->counted = true;
		x->right &= best == w->id;
	}
}

static void
read_logits(void *ctx, int first, int n, float *logits)
{
	struct run *r = ctx;
	const struct micro *m = &r->micro;
	int V = r->m->config.V;
	log_sum_exp(r->lse, r->best, logits, n, V);
	for (int i = 0; i < n; i++)
		for (int32_t w = m->first_want[first + i]; w < m->first_want[first + i + 1]; w++)
			settle(r, &m->want[w], (double)logits[(size_t)i * (size_t)V + (size_t)m->want[w].id] - (double)r->lse[i], r->best[i]);
}

/* From log-probabilities to a prediction: softmax over the labels, in place; returns the most probable, or -1 when a
 * score is not a number. */
static int
choose(double *score, int K)
{
	int best = 0;
	double sum = 0, max;
	for (int k = 0; k < K; k++) {
		if (!isfinite(score[k]))
			return -1;
		if (score[k] > score[best])
			best = k;
	}
	max = score[best];
	for (int k = 0; k < K; k++)
		sum += score[k] = exp(score[k] - max);
	for (int k = 0; k < K; k++)
		score[k] /= sum;
	return best;
}

/* The probability of everything that is no label, out of log-probabilities of strings none of which begins another. By
 * the first-token rule labels that share theirs are one string. */
static double
outside(const struct eval_options *o, const double *score)
{
	double inside = 0;
	for (int k = 0; k < o->labels->K; k++)
		if (!o->first_token || o->labels->same_first[k] == k)
			inside += exp(score[k]);
	return 1 - inside;
}

/* A label's score is the sum along its path, and of its end where that counts. */
static void
score_labels(double *score, const struct label_trie *t, const double *log_p)
{
	for (int k = 0; k < t->K; k++) {
		score[k] = t->with_end ? log_p[t->n + k] : 0;
		for (int node = t->end[k]; node >= 0; node = t->parent[node])
			score[k] += log_p[node];
	}
}

static void
take_predictions(struct run *r, struct predictions *p)
{
	const struct label_trie *trie = r->micro.trie;
	for (size_t i = 0; i < r->micro.n_examples; i++) {
		const struct micro_example *x = &r->micro.example[i];
		if (!x->scored) {
			predictions_add(p, (int64_t)x->line, x->label, -1, NULL);
			continue;
		}
		score_labels(r->score, trie, log_p_of(r, i));
		double beyond = outside(r->o, r->score);
		int best = choose(r->score, trie->K);
		predictions_add(p, (int64_t)x->line, x->label, best, best < 0 ? NULL : r->score);
		if (best >= 0)
			predictions_outside(p, beyond);
	}
}

/* ---- running ---- */

static void
run_micro(struct run *r, struct eval_result *out)
{
	struct micro *m = &r->micro;
	micro_sort(m);
	GROW(r->lse, r->lse_cap, (size_t)m->n_rows);
	GROW(r->best, r->best_cap, (size_t)m->n_rows);
	GROW(r->log_p, r->log_p_cap, m->n_examples * r->per_example);
	if (m->n_rows) {
		struct batch b = batch_view(&m->batch);
		model_forward(r->m, &b);
		model_logits(r->m, m->row, m->n_rows, read_logits, r);
	}
	if (r->o->labels)
		take_predictions(r, &out->predictions);
	for (size_t i = 0; i < m->n_examples; i++)
		if (m->example[i].counted) {
			r->counted_examples++;
			r->right_examples += m->example[i].right;
		}
	micro_clear(m);
}

static void
add_example(struct run *r, const struct example *x, struct eval_result *out)
{
	int label = r->o->labels && x->label ? label_set_find(r->o->labels, x->label, x->label_len) : -1;
	if (!micro_add(&r->micro, x, label)) {
		run_micro(r, out);
		micro_add(&r->micro, x, label);
	}
	out->tokens += x->n;
	out->targets += example_targets(x);
}

static void
begin(struct run *r)
{
	const struct label_trie *trie = trie_of(r->o);
	r->micro = (struct micro){.trie = trie, .eos = r->o->eos, .apart = model_length_matters(r->m), .rows = r->o->micro_tokens};
	micro_init(&r->micro);
	if (!trie)
		return;
	r->per_example = (size_t)(trie->n + trie->K);
	r->score = xcalloc((size_t)trie->K, sizeof *r->score);
}

static void
release(struct run *r)
{
	micro_release(&r->micro);
	free(r->lse);
	free(r->best);
	free(r->log_p);
	free(r->score);
}

int
evaluate(struct model *m, struct dataset *d, const struct eval_options *o, struct eval_result *out, struct err *e)
{
	struct run r = {.o = o, .m = m};
	size_t n = dataset_count(d);
	int rc = 0;
	begin(&r);
	if (o->max_samples && o->max_samples < n)
		n = o->max_samples;
	*out = (struct eval_result){.examples = n};
	if (o->labels)
		predictions_init(&out->predictions, (const char *const *)o->labels->name, o->labels->K);
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct example x;
		if (dataset_read(d, i, &x, e) < 0 || example_fits(&x, m->config.V, i, e) < 0) {
			rc = -1;
			break;
		}
		add_example(&r, &x, out);
		if (o->progress && !o->progress(o->ctx, i, n))
			rc = err_set(e, ERR_TEMPFAIL, "stopped after %zu of %zu examples", i + 1, n);
	}
	if (rc == 0)
		run_micro(&r, out);
	if (rc == 0 && r.weight == 0)
		rc = err_set(e, ERR_DATA, "no target in any of the %zu examples: nothing to score", n);
	if (rc == 0 && !isfinite(r.loss))
		rc = err_set(e, ERR_DATA, "the loss is %g: the model's weights are not numbers", r.loss);
	out->loss = r.loss / r.weight;
	out->token_accuracy = (double)r.right_tokens / (double)r.counted_tokens;
	out->sequence_accuracy = (double)r.right_examples / (double)r.counted_examples;
	release(&r);
	if (rc < 0)
		predictions_release(&out->predictions);
	return rc;
}
