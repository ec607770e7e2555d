/* What the tests of whole models share: configurations of every family, random weights, a few documents, and gradients
 * against differences of the loss. */
#ifndef HONE_TESTS_MODELS_H
#define HONE_TESTS_MODELS_H

#include "numeric.h"

#include "base/file.h"
#include "math/gemm.h"
#include "model/batch.h"

/* The dimensions are odd on purpose; every kind of parameter occurs. */
#define DIMS "\"vocab_size\":37,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"intermediate_size\":19,\"rms_norm_eps\":1e-5,"

static const char *const configs[] = {
	"{\"model_type\":\"llama\"," DIMS "\"hidden_size\":24,\"num_key_value_heads\":2,\"attention_bias\":true,\"mlp_bias\":true}",
	"{\"model_type\":\"llama\"," DIMS "\"hidden_size\":24,\"num_key_value_heads\":4,\"tie_word_embeddings\":true,"
		"\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,\"high_freq_factor\":4,"
		"\"original_max_position_embeddings\":16}}",
	"{\"model_type\":\"mistral\"," DIMS "\"hidden_size\":22,\"num_key_value_heads\":1,\"head_dim\":10,\"sliding_window\":3}",
	"{\"model_type\":\"qwen2\"," DIMS "\"hidden_size\":24,\"num_key_value_heads\":2,\"tie_word_embeddings\":true}",
	"{\"model_type\":\"qwen3\"," DIMS "\"hidden_size\":21,\"num_key_value_heads\":2,\"head_dim\":8,\"attention_bias\":true,"
		"\"use_sliding_window\":true,\"sliding_window\":4,\"max_window_layers\":1}",
	"{\"model_type\":\"gpt2\",\"vocab_size\":37,\"n_layer\":2,\"n_head\":4,\"n_embd\":20,\"n_inner\":19,\"n_positions\":32,"
		"\"scale_attn_by_inverse_layer_idx\":true}",
	"{\"model_type\":\"gpt_neox\"," DIMS "\"hidden_size\":24,\"rotary_pct\":0.7}",
	"{\"model_type\":\"gpt_neox\"," DIMS "\"hidden_size\":24,\"rotary_pct\":0.7,\"use_parallel_residual\":false,"
		"\"attention_bias\":false,\"tie_word_embeddings\":true}",
	"{\"model_type\":\"gemma3_text\"," DIMS "\"hidden_size\":21,\"num_key_value_heads\":2,\"head_dim\":8,\"sliding_window\":4,"
		"\"sliding_window_pattern\":2,\"query_pre_attn_scalar\":11}",
	"{\"model_type\":\"phi3\"," DIMS "\"hidden_size\":24,\"num_key_value_heads\":2,\"partial_rotary_factor\":0.7,"
		"\"max_position_embeddings\":64,\"original_max_position_embeddings\":8,"
		"\"rope_scaling\":{\"type\":\"su\",\"short_factor\":[1,2],\"long_factor\":[2,5]}}",
	"{\"model_type\":\"llama\"," DIMS "\"hidden_size\":24,\"num_key_value_heads\":1,\"max_position_embeddings\":8,"
		"\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2}}",
};
enum { N_CONFIGS = sizeof configs / sizeof *configs, V = 37, MAX_T = 64, MAX_LEN = 32 };

static char dir[] = "/tmp/test-model-XXXXXX";

static inline int
setup(void **state)
{
	(void)state;
	math_set_threads(0);
	return mkdtemp(dir) ? 0 : -1;
}

static inline int
teardown(void **state)
{
	(void)state;
	struct err e;
	return path_remove(dir, &e);
}

/* Norms near 1, biases of some size, matrices that keep the scale of what they multiply. */
static inline void
randomise(struct param *p, uint64_t seed)
{
	struct rng r;
	rng_init(&r, 7, seed);
	bool norm = p->init == INIT_ONE;
	double scale = p->rank > 1 ? 1 / sqrt(p->columns) : 0.2;
	for (size_t i = 0; i < param_size(p); i++)
		p->value[i] = (float)((norm ? 1 : 0) + scale * rng_normal(&r));
}

static inline void
open_model(struct model *m, const char *config)
{
	struct err e;
	char *path = path_join(dir, "config.json");
	if (file_write(path, true, config, strlen(config), &e) < 0 ||
		model_open(m, dir, &(struct model_options){.from_scratch = true}, &e) < 0)
		fail_msg("%s", e.msg);
	free(path);
	for (size_t i = 0; i < m->n_params; i++)
		randomise(&m->param[i], i);
}

/* ---- batches ---- */

static const int lengths[] = {9, 1, 12, 2, 5};
enum { N_DOCS = sizeof lengths / sizeof *lengths };

static inline int32_t
token(int doc, int i)
{
	return (int32_t)((doc * 11 + i * 7 + i * i * 3) % V);
}

/* Document d with targets of several weights; the first token and every fourth are none. */
static inline void
add_document(struct batch_builder *b, int d)
{
	int32_t ids[MAX_LEN] = {0};
	for (int i = 0; i < lengths[d]; i++)
		ids[i] = token(d, i);
	int row = batch_add_document(b, ids, lengths[d]);
	for (int i = 1; i < lengths[d]; i++)
		if (i % 4)
			batch_add_target(b, row + i - 1, ids[i], i % 3 ? 1 : 0.25f);
}

static inline struct batch
all_documents(struct batch_builder *b)
{
	batch_clear(b);
	for (int d = 0; d < N_DOCS; d++)
		add_document(b, d);
	return batch_view(b);
}

/* The weighted sum of the loss; with coef also the gradients of coef times it, added to those that are there. */
static inline double
pass(struct model *m, const struct batch *b, float coef, float *nll)
{
	float own[MAX_T];
	int32_t best[MAX_T];
	double sum = 0;
	nll = nll ? nll : own;
	model_forward(m, b);
	model_loss(m, b, coef, nll, best);
	if (coef != 0)
		model_backward(m, b);
	for (int i = 0; i < b->n_targets; i++)
		sum += (double)b->target_weight[i] * (double)nll[i];
	return sum;
}

/* ---- gradients against differences ---- */

/* Derivative of the loss along u at p, from four points: the nearer, the steeper the loss; far enough for rounding. */
static inline double
slope(struct model *m, const struct batch *b, struct param *p, const float *u, double length)
{
	static const double step[] = {1, -1, 2, -2}, weight[] = {8, -8, -1, 1};
	const double h = 0.004 / (1 + length / 4);
	float *start = copy_floats(p->value, param_size(p));
	double sum = 0;
	for (int s = 0; s < 4; s++) {
		for (size_t i = 0; i < param_size(p); i++)
			p->value[i] = (float)((double)start[i] + step[s] * h * (double)u[i]);
		sum += weight[s] * pass(m, b, 0, NULL);
	}
	memcpy(p->value, start, param_size(p) * sizeof *start);
	return sum / (12 * h);
}

static inline double
dot(const float *a, const float *b, size_t n)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += (double)a[i] * (double)b[i];
	return sum;
}

/* Along the gradient itself, where the slope is its length, mixed with a random direction. */
static inline void
check_parameter(struct model *m, const struct batch *b, struct param *p, uint64_t seed)
{
	size_t n = param_size(p);
	double length = sqrt(dot(p->grad, p->grad, n));
	float *u = random_floats(n, 1 / sqrt((double)n), seed);
	for (size_t i = 0; i < n; i++)
		u[i] += length > 0 ? (float)((double)p->grad[i] / length) : 0;
	double want = slope(m, b, p, u, length), got = dot(p->grad, u, n);
	if (!(fabs(want - got) < 1e-3 * length + 1e-3))
		fail_msg("%s %s: slope %.6g, by differences %.6g (gradient's length %.3g)", m->config.family->model_type, p->name, got, want,
			length);
	release_all();
}

static inline void
check_all(struct model *m, const struct batch *b)
{
	model_zero_grad(m);
	pass(m, b, 1, NULL);
	for (size_t i = 0; i < m->n_trained; i++)
		for (uint64_t seed = 0; seed < 2; seed++)
			check_parameter(m, b, m->trained[i], seed);
}

/* Every trained gradient, one after the other; held. */
static inline float *
all_gradients(const struct model *m, size_t *n)
{
	*n = model_trained_parameters(m);
	float *g = hold(xreallocarray(NULL, *n, sizeof *g)), *to = g;
	for (size_t i = 0; i < m->n_trained; to += param_size(m->trained[i++]))
		memcpy(to, m->trained[i]->grad, param_size(m->trained[i]) * sizeof *g);
	return g;
}

static inline float *
gradients_of(struct model *m, const struct batch *b, double *loss, size_t *n)
{
	model_zero_grad(m);
	*loss = pass(m, b, 0.125f, NULL);
	return all_gradients(m, n);
}

#endif
