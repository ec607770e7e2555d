#include "eval/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "math/loss.h"
#include "model/batch.h"

/* A log-probability that is asked for: of token `id` at `row`. */
struct want {
	int row;
	int32_t id;
	int example;      /* of the micro-batch */
	int node;         /* of the trie; behind them the end of each label; -1: a target of the data */
	float weight;     /* of a target */
	bool counts;      /* a target within the completion */
};

struct micro_example {
	uint64_t line;
	int label;        /* true class, or -1 */
	bool scored;      /* it has a prompt that the labels can follow */
	bool counted;     /* the completion has targets */
	bool right;       /* all of them are the most probable token */
};

struct run {
	const struct eval_options *o;
	struct model *m;
	struct batch_builder batch;
	struct want *want;
	struct micro_example *example;
	int32_t *rows, *first_want;     /* distinct rows in order, and where their wants begin */
	float *lse;
	int32_t *best;
	const struct label_trie *trie;  /* NULL without labels */
	int *chain_row, *chain_doc;     /* [n_chains] of the example being added: first row, place among the documents */
	double *log_p;                  /* [examples][nodes + K] */
	double *score;                  /* [K] of one example */
	size_t n_wants, want_cap, n_examples, example_cap, rows_cap, first_cap, lse_cap, best_cap, log_p_cap;
	int n_rows;
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

/* ---- building a micro-batch ---- */

static void
add_want(struct run *r, int row, int32_t id, int node, float weight, bool counts)
{
	GROW(r->want, r->want_cap, r->n_wants + 1);
	r->want[r->n_wants++] = (struct want){row, id, (int)r->n_examples, node, weight, counts};
}

static int
row_of(const struct run *r, int node)
{
	int chain = r->trie->chain_of[node];
	return r->chain_row[chain] + node - r->trie->chain[chain].first;
}

/* Adds the trie below the prompt, which begins at `row`, and asks for each node after the one before it. */
static void
add_labels(struct run *r, int row, int prompt)
{
	const struct label_trie *t = r->trie;
	int document = r->batch.n_docs - 1;
	for (int c = 0; c < t->n_chains; c++) {
		const struct label_chain *x = &t->chain[c];
		r->chain_doc[c] = r->batch.n_docs;
		r->chain_row[c] = batch_add_twig(&r->batch, x->parent < 0 ? document : r->chain_doc[x->parent], prompt + x->depth,
			t->token + x->first, x->n);
	}
	for (int i = 0; i < t->n; i++)
		add_want(r, t->parent[i] < 0 ? row + prompt - 1 : row_of(r, t->parent[i]), t->token[i], i, 0, false);
	for (int k = 0; t->with_end && k < t->K; k++)
		add_want(r, row_of(r, t->end[k]), r->o->eos, t->n + k, 0, false);
}

static void
add_example(struct run *r, const struct example *x)
{
	int row = batch_add_document(&r->batch, x->ids, (int)x->n);
	uint32_t t = 0;
	for (uint32_t s = 0; s < x->n_spans; s++)
		for (uint32_t i = 0; i < x->spans[s].n; i++, t++)
			if (x->spans[s].weight > 0 && t > 0)
				add_want(r, row + (int)t - 1, x->ids[t], -1, x->spans[s].weight, t >= x->completion);
	struct micro_example ex = {.line = x->line, .label = -1, .right = true};
	if (r->o->labels) {
		ex.label = x->label ? label_set_find(r->o->labels, x->label, x->label_len) : -1;
		ex.scored = x->completion > 0;
		if (ex.scored)
			add_labels(r, row, (int)x->completion);
	}
	GROW(r->example, r->example_cap, r->n_examples + 1);
	r->example[r->n_examples++] = ex;
}

static int
by_row(const void *a, const void *b)
{
	const struct want *x = a, *y = b;
	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

/* Sorts the wants by row and lists the rows. */
static void
list_rows(struct run *r)
{
	qsort(r->want, r->n_wants, sizeof *r->want, by_row);
	GROW(r->rows, r->rows_cap, r->n_wants);
	GROW(r->first_want, r->first_cap, r->n_wants + 1);
	GROW(r->lse, r->lse_cap, r->n_wants);
	GROW(r->best, r->best_cap, r->n_wants);
	r->n_rows = 0;
	for (size_t i = 0; i < r->n_wants; i++)
		if (i == 0 || r->want[i].row != r->want[i - 1].row) {
			r->first_want[r->n_rows] = (int32_t)i;
			r->rows[r->n_rows++] = r->want[i].row;
		}
	r->first_want[r->n_rows] = (int32_t)r->n_wants;
}

/* ---- what the logits say ---- */

static void
settle(struct run *r, const struct want *w, double log_p, int32_t best)
{
	if (w->node >= 0) {
		r->log_p[(size_t)w->example * (size_t)(r->trie->n + r->trie->K) + (size_t)w->node] = log_p;
		return;
	}
	r->loss -= (double)w->weight * log_p;
	r->weight += (double)w->weight;
	if (w->counts) {
		r->counted_tokens++;
		r->right_tokens += best == w->id;
		r->example[w->example].counted = true;
		r->example[w->example].right &= best == w->id;
	}
}

static void
read_logits(void *ctx, int first, int n, float *logits)
{
	struct run *r = ctx;
	int V = r->m->config.V;
	log_sum_exp(r->lse, r->best, logits, n, V);
	for (int i = 0; i < n; i++)
		for (int32_t w = r->first_want[first + i]; w < r->first_want[first + i + 1]; w++)
			settle(r, &r->want[w], (double)logits[(size_t)i * (size_t)V + (size_t)r->want[w].id] - (double)r->lse[i],
				r->best[i]);
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
	for (size_t i = 0; i < r->n_examples; i++) {
		const struct micro_example *x = &r->example[i];
		if (!x->scored) {
			predictions_add(p, (int64_t)x->line, x->label, -1, NULL);
			continue;
		}
		score_labels(r->score, r->trie, r->log_p + i * (size_t)(r->trie->n + r->trie->K));
		double beyond = outside(r->o, r->score);
		int best = choose(r->score, r->trie->K);
		predictions_add(p, (int64_t)x->line, x->label, best, best < 0 ? NULL : r->score);
		if (best >= 0)
			predictions_outside(p, beyond);
	}
}

/* ---- running ---- */

static void
run_micro(struct run *r, struct eval_result *out)
{
	if (!r->n_examples)
		return;
	list_rows(r);
	if (r->trie)
		GROW(r->log_p, r->log_p_cap, r->n_examples * (size_t)(r->trie->n + r->trie->K));
	struct batch b = batch_view(&r->batch);
	model_forward(r->m, &b);
	model_logits(r->m, r->rows, r->n_rows, read_logits, r);
	if (r->o->labels)
		take_predictions(r, &out->predictions);
	for (size_t i = 0; i < r->n_examples; i++)
		if (r->example[i].counted) {
			r->counted_examples++;
			r->right_examples += r->example[i].right;
		}
	batch_clear(&r->batch);
	r->n_wants = r->n_examples = 0;
}

/* Returns how many rows the labels of an example take. */
static int
begin_labels(struct run *r)
{
	r->trie = trie_of(r->o);
	if (!r->trie)
		return 0;
	r->chain_row = xcalloc((size_t)r->trie->n_chains, sizeof *r->chain_row);
	r->chain_doc = xcalloc((size_t)r->trie->n_chains, sizeof *r->chain_doc);
	r->score = xcalloc((size_t)r->trie->K, sizeof *r->score);
	return r->trie->rows;
}

static void
release(struct run *r)
{
	batch_release(&r->batch);
	free(r->want);
	free(r->example);
	free(r->rows);
	free(r->first_want);
	free(r->lse);
	free(r->best);
	free(r->chain_row);
	free(r->chain_doc);
	free(r->log_p);
	free(r->score);
}

int
evaluate(struct model *m, struct dataset *d, const struct eval_options *o, struct eval_result *out, struct err *e)
{
	struct run r = {.o = o, .m = m};
	size_t n = dataset_count(d);
	int rc = 0, branches = begin_labels(&r);
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
		if (r.batch.T + (int)x.n + branches > o->micro_tokens)
			run_micro(&r, out);
		add_example(&r, &x);
		out->tokens += x.n;
		out->targets += example_targets(&x);
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
