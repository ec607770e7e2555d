/* Whole models of a few thousand random weights: gradients against differences of the loss, and the promises that
 * packing, gradient checkpointing, threads, prefixes and the key-value cache change nothing. */
#include "numeric.h"

#include "base/file.h"
#include "math/gemm.h"
#include "model/batch.h"
#include "model/lora.h"

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

static int
setup(void **state)
{
	(void)state;
	math_set_threads(0);
	return mkdtemp(dir) ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	struct err e;
	return path_remove(dir, &e);
}

/* Norms near 1, biases of some size, matrices that keep the scale of what they multiply. */
static void
randomise(struct param *p, uint64_t seed)
{
	struct rng r;
	rng_init(&r, 7, seed);
	bool norm = p->init == INIT_ONE;
	double scale = p->rank > 1 ? 1 / sqrt(p->columns) : 0.2;
	for (size_t i = 0; i < param_size(p); i++)
		p->value[i] = (float)((norm ? 1 : 0) + scale * rng_normal(&r));
}

static void
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

static int32_t
token(int doc, int i)
{
	return (int32_t)((doc * 11 + i * 7 + i * i * 3) % V);
}

/* Document d with targets of several weights; the first token and every fourth are none. */
static void
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

static struct batch
all_documents(struct batch_builder *b)
{
	batch_clear(b);
	for (int d = 0; d < N_DOCS; d++)
		add_document(b, d);
	return batch_view(b);
}

/* The weighted sum of the loss; with coef also the gradients of coef times it, added to those that are there. */
static double
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

/* Derivative of the loss along u at p, from four points. */
static double
slope(struct model *m, const struct batch *b, struct param *p, const float *u)
{
	static const double step[] = {1, -1, 2, -2}, weight[] = {8, -8, -1, 1};
	const double h = 0.001;
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

static double
dot(const float *a, const float *b, size_t n)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += (double)a[i] * (double)b[i];
	return sum;
}

/* Along the gradient itself, where the slope is its length, mixed with a random direction. */
static void
check_parameter(struct model *m, const struct batch *b, struct param *p, uint64_t seed)
{
	size_t n = param_size(p);
	double length = sqrt(dot(p->grad, p->grad, n));
	float *u = random_floats(n, 1 / sqrt((double)n), seed);
	for (size_t i = 0; i < n; i++)
		u[i] += length > 0 ? (float)((double)p->grad[i] / length) : 0;
	double want = slope(m, b, p, u), got = dot(p->grad, u, n);
	if (!(fabs(want - got) < 1e-3 * length + 1e-3))
		fail_msg("%s %s: slope %.6g, by differences %.6g (gradient's length %.3g)", m->config.family->model_type, p->name, got, want,
			length);
	release_all();
}

static void
check_all(struct model *m, const struct batch *b)
{
	model_zero_grad(m);
	pass(m, b, 1, NULL);
	for (size_t i = 0; i < m->n_trained; i++)
		for (uint64_t seed = 0; seed < 2; seed++)
			check_parameter(m, b, m->trained[i], seed);
}

static void
test_gradients(void **state)
{
	(void)state;
	struct batch_builder bb = {0};
	struct batch b = all_documents(&bb);
	for (size_t c = 0; c < N_CONFIGS; c++) {
		struct model m;
		open_model(&m, configs[c]);
		model_train_all(&m);
		assert_int_equal(model_trained_parameters(&m), model_parameters(&m));
		model_reserve(&m, MAX_T, MAX_LEN, 0, KEEP_ALL);
		check_all(&m, &b);
		model_release(&m);
	}
	batch_release(&bb);
}

/* ---- promises ---- */

/* Every trained gradient, one after the other; held. */
static float *
all_gradients(const struct model *m, size_t *n)
{
	*n = model_trained_parameters(m);
	float *g = hold(xreallocarray(NULL, *n, sizeof *g)), *to = g;
	for (size_t i = 0; i < m->n_trained; to += param_size(m->trained[i++]))
		memcpy(to, m->trained[i]->grad, param_size(m->trained[i]) * sizeof *g);
	return g;
}

static float *
gradients_of(struct model *m, const struct batch *b, double *loss, size_t *n)
{
	model_zero_grad(m);
	*loss = pass(m, b, 0.125f, NULL);
	return all_gradients(m, n);
}

static void
test_checkpointing(void **state)
{
	(void)state;
	struct batch_builder bb = {0};
	struct batch b = all_documents(&bb);
	for (size_t c = 0; c < N_CONFIGS; c++) {
		struct model m;
		double loss, again;
		size_t n;
		open_model(&m, configs[c]);
		model_train_all(&m);
		model_reserve(&m, MAX_T, MAX_LEN, 0, KEEP_ALL);
		size_t bytes = model_work_bytes(&m);
		float *all = gradients_of(&m, &b, &loss, &n), *same = gradients_of(&m, &b, &again, &n);
		assert_same_floats(same, all, n);
		model_reserve(&m, MAX_T, MAX_LEN, 0, KEEP_INPUTS);
		assert_true(model_work_bytes(&m) < bytes);
		float *inputs = gradients_of(&m, &b, &again, &n);
		assert_true(again == loss);
		assert_same_floats(inputs, all, n);
		model_reserve(&m, MAX_T, MAX_LEN, 0, KEEP_NOTHING);
		assert_true(pass(&m, &b, 0, NULL) == loss);
		release_all();
		model_release(&m);
	}
	batch_release(&bb);
}

static void
test_packing(void **state)
{
	(void)state;
	struct batch_builder bb = {0}, one = {0};
	struct batch b = all_documents(&bb);
	for (size_t c = 0; c < N_CONFIGS; c++) {
		struct model m;
		float together[MAX_T], apart[MAX_T];
		int t = 0;
		size_t n;
		open_model(&m, configs[c]);
		model_train_all(&m);
		model_reserve(&m, MAX_T, MAX_LEN, 0, KEEP_ALL);
		model_zero_grad(&m);
		pass(&m, &b, 0.125f, together);
		float *all = all_gradients(&m, &n);
		double *want = to_double(all, n);
		model_zero_grad(&m);
		for (int d = N_DOCS - 1; d >= 0; d--) {
			batch_clear(&one);
			add_document(&one, d);
			struct batch alone = batch_view(&one);
			pass(&m, &alone, 0.125f, apart);
			t += alone.n_targets;
			for (int i = 0; i < alone.n_targets; i++)
				assert_near((double)apart[i], (double)together[b.n_targets - t + i], 1e-5 * (double)apart[i]);
		}
		assert_int_equal(t, b.n_targets);
		assert_all_near(all_gradients(&m, &n), want, n, 1e-5);
		release_all();
		model_release(&m);
	}
	batch_release(&bb);
	batch_release(&one);
}

static void
test_threads(void **state)
{
	(void)state;
	struct batch_builder bb = {0};
	struct batch b = all_documents(&bb);
	struct model m;
	double one, three;
	size_t n;
	open_model(&m, configs[4]);
	model_train_all(&m);
	math_set_threads(1);
	model_reserve(&m, MAX_T, MAX_LEN, 0, KEEP_ALL);
	float *all = gradients_of(&m, &b, &one, &n);
	double *want = to_double(all, n);
	math_set_threads(3);
	model_reserve(&m, MAX_T, MAX_LEN, 0, KEEP_ALL);
	float *got = gradients_of(&m, &b, &three, &n), *again = gradients_of(&m, &b, &three, &n);
	math_set_threads(0);
	assert_near(three, one, 1e-5 * one);
	assert_all_near(got, want, n, 1e-5);
	assert_same_floats(again, got, n);
	release_all();
	model_release(&m);
	batch_release(&bb);
}

/* ---- logits with prefixes and from the cache ---- */

static void
keep_logits(void *ctx, int first, int n, float *logits)
{
	memcpy((float *)ctx + (ptrdiff_t)first * V, logits, (size_t)n * V * sizeof *logits);
}

/* Logits [T,V] of every row of a batch; held. */
static float *
logits_of(struct model *m, const struct batch *b)
{
	int32_t rows[MAX_T];
	float *out = hold(xreallocarray(NULL, (size_t)b->T * V, sizeof *out));
	for (int i = 0; i < b->T; i++)
		rows[i] = i;
	model_forward(m, b);
	model_logits(m, rows, b->T, keep_logits, out);
	return out;
}

/* Two sequences are read into one cache, some tokens at a time. */
static void
check_cache(struct model *m, const int *chunks, int n_chunks)
{
	enum { LENGTH = 20, SECOND = 25 };
	int32_t ids[2][LENGTH], pos[2 * LENGTH];
	struct batch_builder bb = {0};
	for (int s = 0; s < 2; s++) {
		for (int i = 0; i < LENGTH; i++)
			ids[s][i] = token(s + 3, i);
		batch_add_document(&bb, ids[s], LENGTH);
	}
	struct batch whole = batch_view(&bb);
	model_reserve(m, MAX_T, MAX_LEN, 0, KEEP_NOTHING);
	double *want = to_double(logits_of(m, &whole), 2 * LENGTH * V);
	model_reserve(m, LENGTH, MAX_LEN, SECOND + LENGTH, KEEP_NOTHING);
	for (int s = 0; s < 2; s++)
		for (int c = 0, at = 0; c < n_chunks; at += chunks[c++]) {
			int base = s ? SECOND : 0;
			const struct attn_doc doc = {.n = chunks[c], .k = base + at, .prefix = base, .n_prefix = at};
			for (int i = 0; i < chunks[c]; i++)
				pos[i] = at + i;
			const struct batch b = {.T = chunks[c], .ids = ids[s] + at, .pos = pos, .docs = &doc, .n_docs = 1,
				.kv_row = base + at, .length = LENGTH};
			float *got = logits_of(m, &b);
			assert_all_near(got, want + (s * LENGTH + at) * V, (size_t)(chunks[c] * V), 2e-5);
		}
	release_all();
	batch_release(&bb);
}

static void
test_cache(void **state)
{
	(void)state;
	static const int single[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, mixed[] = {7, 1, 1, 6, 5};
	for (size_t c = 0; c < N_CONFIGS; c++) {
		struct model m;
		open_model(&m, configs[c]);
		check_cache(&m, single, 20);
		check_cache(&m, mixed, 5);
		model_release(&m);
	}
}

/* Branches off a document give what documents of their own with the same beginning give. */
static void
test_branches(void **state)
{
	(void)state;
	enum { PROMPT = 8, BRANCH = 4 };
	for (size_t c = 0; c < N_CONFIGS; c++) {
		struct model m;
		struct batch_builder bb = {0}, full = {0};
		int32_t ids[3][PROMPT + BRANCH];
		for (int d = 0; d < 3; d++)
			for (int i = 0; i < PROMPT + BRANCH; i++)
				ids[d][i] = token(i < PROMPT ? 0 : d + 1, i);
		batch_add_document(&bb, ids[0], PROMPT + 1);
		for (int d = 0; d < 3; d++) {
			batch_add_branch(&bb, 0, PROMPT, ids[d] + PROMPT, BRANCH);
			batch_add_document(&full, ids[d], PROMPT + BRANCH);
		}
		struct batch b = batch_view(&bb), f = batch_view(&full);
		f.length = PROMPT + 1;  /* where that matters, a branch turns as what it branches off */
		open_model(&m, configs[c]);
		model_reserve(&m, MAX_T, MAX_LEN, 0, KEEP_NOTHING);
		double *want = to_double(logits_of(&m, &f), (size_t)f.T * V);
		float *got = logits_of(&m, &b);
		for (int d = 0; d < 3; d++)
			assert_all_near(got + (PROMPT + 1 + d * BRANCH) * V, want + (d * (PROMPT + BRANCH) + PROMPT) * V, BRANCH * V, 2e-5);
		release_all();
		model_release(&m);
		batch_release(&bb);
		batch_release(&full);
	}
}

/* ---- adapters ---- */

/* An adapter on these modules, its B random too so that every gradient is there. */
static void
attach(struct model *m, json_t *targets, json_t *saved, double dropout)
{
	struct err e;
	struct adapter_config c;
	const struct adapter_config want = {.r = 3, .lora_alpha = 5, .lora_dropout = dropout, .target_modules = targets,
		.modules_to_save = saved};
	adapter_config_new(&c, &want);
	if (lora_attach(m, &c, 5, true, &e) < 0)
		fail_msg("%s", e.msg);
	adapter_config_release(&c);
	json_decref(targets);
	json_decref(saved);
	for (size_t i = 0; i < m->n_trained; i++)
		randomise(m->trained[i], 100 + i);
	model_reserve(m, MAX_T, MAX_LEN, 0, KEEP_ALL);
}

static void
test_lora(void **state)
{
	(void)state;
	struct batch_builder bb = {0};
	struct batch b = all_documents(&bb);
	for (size_t c = 0; c < N_CONFIGS; c++) {
		struct model m;
		open_model(&m, configs[c]);
		attach(&m, json_string("all-linear"), NULL, 0);
		assert_int_equal(m.n_trained, 2 * m.config.L * m.layer[0].n_linears);
		assert_null(m.embed->grad);
		check_all(&m, &b);
		model_release(&m);
	}
	batch_release(&bb);
}

/* A few modules of the upper layer, and one saved whole; nothing goes on below the lowest. */
static void
test_lora_partly(void **state)
{
	(void)state;
	struct batch_builder bb = {0};
	struct batch b = all_documents(&bb);
	struct model m;
	open_model(&m, configs[0]);
	attach(&m, json_pack("[s,s]", "layers.1.self_attn.q_proj", "layers.1.mlp.down_proj"), json_pack("[s]", "lm_head"), 0);
	assert_int_equal(m.n_trained, 2 * 2 + 1);
	assert_int_equal(m.lowest, 1);
	check_all(&m, &b);
	model_release(&m);

	/* The norms of the lowest layer are trained, too. */
	open_model(&m, configs[0]);
	attach(&m, json_pack("[s]", "layers.1.self_attn.q_proj"),
		json_pack("[s,s]", "layers.1.input_layernorm", "layers.1.post_attention_layernorm"), 0);
	assert_int_equal(m.n_trained, 2 + 2);
	check_all(&m, &b);
	model_release(&m);
	batch_release(&bb);
}

/* The same keys draw the same masks forward and backward, others others, and no keys none. */
static void
test_lora_dropout(void **state)
{
	(void)state;
	struct batch_builder bb = {0};
	struct batch b = all_documents(&bb);
	struct model m;
	open_model(&m, configs[4]);
	attach(&m, json_string("all-linear"), NULL, 0.3);
	uint64_t *key = xcalloc((size_t)b.T, sizeof *key);
	for (int t = 0; t < b.T; t++)
		key[t] = 12345 + (uint64_t)t;
	double none = pass(&m, &b, 0, NULL);
	b.row_key = key;
	double first = pass(&m, &b, 0, NULL);
	assert_true(first != none);
	assert_true(pass(&m, &b, 0, NULL) == first);
	check_all(&m, &b);
	key[0]++;
	assert_true(pass(&m, &b, 0, NULL) != first);
	b.row_key = NULL;
	assert_true(pass(&m, &b, 0, NULL) == none);
	free(key);
	model_release(&m);
	batch_release(&bb);
}

/* A new adapter changes nothing, as its B is zero, and only B has a gradient at first. */
static void
test_lora_starts_at_nothing(void **state)
{
	(void)state;
	struct batch_builder bb = {0};
	struct batch b = all_documents(&bb);
	struct model m;
	struct err e;
	struct adapter_config c;
	open_model(&m, configs[3]);
	model_reserve(&m, MAX_T, MAX_LEN, 0, KEEP_NOTHING);
	double before = pass(&m, &b, 0, NULL);
	json_t *targets = json_string("all-linear");
	adapter_config_new(&c, &(struct adapter_config){.r = 3, .lora_alpha = 5, .target_modules = targets});
	json_decref(targets);
	assert_int_equal(lora_attach(&m, &c, 5, true, &e), 0);
	model_reserve(&m, MAX_T, MAX_LEN, 0, KEEP_ALL);
	model_zero_grad(&m);
	assert_true(pass(&m, &b, 1, NULL) == before);
	for (size_t i = 0; i < m.n_trained; i++)
		assert_int_equal(dot(m.trained[i]->grad, m.trained[i]->grad, param_size(m.trained[i])) > 0, i % 2);
	adapter_config_release(&c);
	model_release(&m);
	batch_release(&bb);
}

/* ---- saving ---- */

static void
test_save(void **state)
{
	(void)state;
	for (size_t c = 0; c < N_CONFIGS; c++) {
		struct model m, again;
		struct err e;
		open_model(&m, configs[c]);
		if (model_save_weights(&m, dir, false, ST_F32, &e) < 0 || model_open(&again, dir, &(struct model_options){0}, &e) < 0)
			fail_msg("%s", e.msg);
		assert_int_equal(again.n_params, m.n_params);
		for (size_t i = 0; i < m.n_params; i++)
			assert_same_floats(again.param[i].value, m.param[i].value, param_size(&m.param[i]));
		model_release(&m);
		model_release(&again);
	}
}

/* ---- quantised ---- */

/* A model of the weights of `m`, saved in this dtype and loaded in so many bits. */
static void
open_in_bits(struct model *again, const struct model *m, enum st_dtype dtype, int bits)
{
	struct err e;
	if (model_save_weights(m, dir, false, dtype, &e) < 0 ||
		model_open(again, dir, &(struct model_options){.bits = bits}, &e) < 0)
		fail_msg("%s", e.msg);
}

/* The layers' matrices are quantised, all else stays; the model computes what one with the quantised values does. */
static void
check_bits(const char *config, enum st_dtype dtype, int bits)
{
	struct model m, quantised;
	struct batch_builder bb = {0};
	int count = 0;
	open_model(&m, config);
	open_in_bits(&quantised, &m, dtype, bits);
	struct batch b = all_documents(&bb);
	for (size_t i = 0; i < m.n_params; i++) {
		struct param *p = &m.param[i], *q = &quantised.param[i];
		bool linear = p->rank == 2 && p->layer >= 0 && p->layer < m.config.L;
		assert_int_equal(q->matrix.form == (bits == 8 ? MATRIX_INT8 : MATRIX_NF4), linear);
		param_read(q, 0, param_size(p), p->value);
		count += linear;
	}
	assert_int_equal(count, m.config.L * m.layer[0].n_linears);
	m.embedding_scale = quantised.embedding_scale;  /* of Gemma, rounded to what was saved */
	model_reserve(&m, MAX_T, MAX_LEN, 0, KEEP_NOTHING);
	model_reserve(&quantised, MAX_T, MAX_LEN, 0, KEEP_NOTHING);
	double want = pass(&m, &b, 0, NULL);
	assert_near(pass(&quantised, &b, 0, NULL), want, 1e-5 * fabs(want));
	batch_release(&bb);
	model_release(&m);
	model_release(&quantised);
}

static void
test_bits(void **state)
{
	(void)state;
	for (size_t c = 0; c < N_CONFIGS; c++) {
		check_bits(configs[c], c % 2 ? ST_F32 : ST_BF16, 8);
		check_bits(configs[c], c % 2 ? ST_F16 : ST_F64, 4);
	}
}

/* A module that is saved whole begins at the checkpoint's values, not at those that quantising left. */
static void
test_bits_saved_whole(void **state)
{
	(void)state;
	struct model m, quantised;
	struct adapter_config c;
	struct err e;
	open_model(&m, configs[0]);
	open_in_bits(&quantised, &m, ST_F32, 4);
	json_t *targets = json_string("all-linear"), *saved = json_pack("[s]", "down_proj");
	adapter_config_new(&c, &(struct adapter_config){.r = 3, .lora_alpha = 5, .target_modules = targets, .modules_to_save = saved});
	json_decref(targets);
	json_decref(saved);
	assert_int_equal(lora_attach(&quantised, &c, 5, true, &e), 0);
	for (int i = 0; i < m.config.L; i++) {
		const struct param *p = m.layer[i].down.first->w, *q = quantised.layer[i].down.first->w;
		assert_non_null(q->grad);
		assert_same_floats(q->value, p->value, param_size(p));
	}
	adapter_config_release(&c);
	model_release(&m);
	model_release(&quantised);
}

static void
test_bits_refused(void **state)
{
	(void)state;
	struct model m, quantised;
	struct err e;
	open_model(&m, configs[0]);
	m.layer[1].down.first->w->value[17] = INFINITY;
	assert_int_equal(model_save_weights(&m, dir, false, ST_BF16, &e), 0);
	for (int bits = 4; bits <= 8; bits += 4) {
		assert_int_equal(model_open(&quantised, dir, &(struct model_options){.bits = bits}, &e), -1);
		assert_int_equal(e.code, ERR_CONFIG);
		assert_non_null(strstr(e.msg, "'model.layers.1.mlp.down_proj.weight' holds an infinity"));
	}
	model_release(&m);
}

/* Gemma's factor is rounded to what the table is stored in. */
static void
test_embedding_scale(void **state)
{
	(void)state;
	static const struct {
		enum st_dtype dtype;
		float scale;
	} cases[] = {{ST_F32, 4.58257569f}, {ST_BF16, 4.59375f}, {ST_F16, 4.58203125f}};  /* the square root of 21 */
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct model m, again;
		struct err e;
		open_model(&m, configs[8]);
		assert_true(m.embedding_scale == 4.58257569f);
		assert_int_equal(model_save_weights(&m, dir, false, cases[i].dtype, &e), 0);
		assert_int_equal(model_open(&again, dir, &(struct model_options){0}, &e), 0);
		assert_true(again.embedding_scale == cases[i].scale);
		model_release(&m);
		model_release(&again);
	}
}

/* What old files hold besides parameters is passed over, and nothing else is. */
static void
test_buffers(void **state)
{
	(void)state;
	static const char *const extra[] = {"gpt_neox.layers.1.attention.bias", "gpt_neox.layers.0.attention.masked_bias",
		"gpt_neox.layers.0.attention.rotary_emb.inv_freq", "gpt_neox.layers.1.attention.dense.bias2"};
	struct model m, again;
	struct err e;
	open_model(&m, configs[6]);
	char *path = path_join(dir, "model.safetensors");
	struct st_tensor *decl = xcalloc(m.n_params + 1, sizeof *decl);
	for (size_t i = 0; i < m.n_params; i++)
		decl[i] = (struct st_tensor){.name = m.param[i].name, .dtype = ST_F32, .rank = m.param[i].rank,
			.shape = {m.param[i].rows, m.param[i].columns}};
	for (int x = 0; x < 4; x++) {
		decl[m.n_params] = (struct st_tensor){.name = extra[x], .dtype = ST_U8, .rank = 1, .shape = {1}};
		struct st_writer *w = st_create(path, true, decl, m.n_params + 1, &e);
		for (size_t i = 0; i < m.n_params; i++)
			st_write(w, m.param[i].value, param_size(&m.param[i]) * sizeof(float));
		st_write(w, "", 1);
		assert_int_equal(st_finish(w, &e), 0);
		int rc = model_open(&again, dir, &(struct model_options){0}, &e);
		assert_int_equal(rc, x < 3 ? 0 : -1);
		if (rc == 0)
			model_release(&again);
		else
			assert_non_null(strstr(e.msg, "'gpt_neox.layers.1.attention.dense.bias2' has no place in a gpt_neox model"));
	}
	free(decl);
	free(path);
	model_release(&m);
}

/* A new GPT-2 has what adds to the residual stream smaller by sqrt(2 layers); norms are nothing at first, whatever
 * their weights are stored as. */
static void
test_random(void **state)
{
	(void)state;
	for (size_t c = 0; c < N_CONFIGS; c++) {
		struct model m;
		struct err e;
		char *path = path_join(dir, "config.json");
		assert_int_equal(file_write(path, true, configs[c], strlen(configs[c]), &e), 0);
		assert_int_equal(model_open(&m, dir, &(struct model_options){.from_scratch = true}, &e), 0);
		free(path);
		bool gpt2 = strcmp(m.config.family->model_type, "gpt2") == 0;
		for (size_t i = 0; i < m.n_params; i++) {
			const struct param *p = &m.param[i];
			double rms = sqrt(dot(p->value, p->value, param_size(p)) / (double)param_size(p));
			bool residual = gpt2 && strstr(p->name, "c_proj.weight");
			if (p->rank > 1)
				assert_near(rms, residual ? 0.01 : 0.02, (residual ? 0.01 : 0.02) * 0.2);
			else if (strstr(p->name, "bias") || m.config.family->norm == NORM_RMS_OFFSET)
				assert_true(rms == 0);
			else
				assert_true(rms == 1);
		}
		model_release(&m);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gradients),
		cmocka_unit_test(test_checkpointing),
		cmocka_unit_test(test_packing),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_branches),
		cmocka_unit_test(test_lora),
		cmocka_unit_test(test_lora_partly),
		cmocka_unit_test(test_lora_dropout),
		cmocka_unit_test(test_lora_starts_at_nothing),
		cmocka_unit_test(test_save),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_bits_saved_whole),
		cmocka_unit_test(test_bits_refused),
		cmocka_unit_test(test_embedding_scale),
		cmocka_unit_test(test_buffers),
		cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
