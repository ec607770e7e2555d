/* Adapters on whole models of a few thousand random weights: gradients against differences of the loss, what is trained,
 * how it begins, and that packing and gradient checkpointing change nothing. */
#include "models.h"

#include "math/vector.h"
#include "model/lora.h"

/* An adapter, its values random so that every gradient is there; magnitudes half to one and a half of what they were. */
static void
attach_config(struct model *m, const struct adapter_config *want)
{
	struct err e;
	struct rng r;
	struct adapter_config c;
	adapter_config_new(&c, want);
	if (lora_attach(m, &c, 5, true, &e) < 0)
		fail_msg("%s", e.msg);
	adapter_config_release(&c);
	rng_init(&r, 8, 8);
	for (size_t i = 0; i < m->n_trained; i++)
		if (!m->trained[i]->scales)
			randomise(m->trained[i], 100 + i);
		else
			for (int j = 0; j < m->trained[i]->rows; j++)
				m->trained[i]->value[j] *= (float)(0.5 + rng_uniform(&r));
	lora_refresh(m);
	model_reserve(m, MAX_T, MAX_LEN, 0, KEEP_ALL);
}

/* On these modules, with some saved whole. */
static void
attach(struct model *m, json_t *targets, json_t *saved, double dropout)
{
	attach_config(m, &(struct adapter_config){.r = 3, .lora_alpha = 5, .lora_dropout = dropout, .target_modules = targets,
		.modules_to_save = saved});
	json_decref(targets);
	json_decref(saved);
}

/* On everything, with DoRA and all biases. */
static void
attach_dora(struct model *m, double dropout)
{
	const struct linear *l;
	json_t *targets = json_array();
	for (size_t i = 0; (l = model_module(m, i)); i++)
		json_array_append_new(targets, json_string(l->name));
	attach_config(m, &(struct adapter_config){.r = 3, .lora_alpha = 5, .lora_dropout = dropout, .target_modules = targets,
		.use_dora = true, .bias = "all"});
	json_decref(targets);
}

/* Keys of the rows, the same for a token of a document however it is packed; new. */
static uint64_t *
new_keys(const struct batch *b, uint64_t seed)
{
	uint64_t *key = xcalloc((size_t)b->T, sizeof *key);
	for (int d = 0; d < b->n_docs; d++)
		for (int i = 0; i < b->docs[d].n; i++)
			key[b->docs[d].q + i] = seed + (uint64_t)b->docs[d].n * 1000 + (uint64_t)i;
	return key;
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

/* Norms stay as they were while a value is moved, which is how they count in gradients. */
static void
test_dora(void **state)
{
	(void)state;
	struct batch_builder bb = {0};
	struct batch b = all_documents(&bb);
	for (size_t c = 0; c < N_CONFIGS; c++) {
		struct model m;
		open_model(&m, configs[c]);
		attach_dora(&m, 0);
		assert_int_equal(m.lowest, -1);
		assert_true(m.n_trained >= 3 * (2 * (size_t)m.layer[0].n_linears + 2));
		check_all(&m, &b);
		model_release(&m);
	}
	batch_release(&bb);
}

/* With dropout, and with activations computed again, to the same bits. */
static void
test_dora_checkpointing(void **state)
{
	(void)state;
	struct batch_builder bb = {0};
	struct batch b = all_documents(&bb);
	uint64_t *key = new_keys(&b, 1);
	b.row_key = key;
	for (size_t c = 0; c < N_CONFIGS; c++) {
		struct model m;
		double loss, again;
		size_t n;
		open_model(&m, configs[c]);
		attach_dora(&m, 0.3);
		float *all = gradients_of(&m, &b, &loss, &n);
		model_reserve(&m, MAX_T, MAX_LEN, 0, KEEP_INPUTS);
		float *inputs = gradients_of(&m, &b, &again, &n);
		assert_true(again == loss);
		assert_same_floats(inputs, all, n);
		if (c == 0) {
			model_reserve(&m, MAX_T, MAX_LEN, 0, KEEP_ALL);
			check_all(&m, &b);
		}
		release_all();
		model_release(&m);
	}
	free(key);
	batch_release(&bb);
}

/* A base in bf16 stays where it lies: norms and products expand it on the way. */
static void
test_dora_on_bf16(void **state)
{
	(void)state;
	struct batch_builder bb = {0};
	struct batch b = all_documents(&bb);
	struct model m, stored;
	struct err e;
	open_model(&m, configs[0]);
	if (model_save_weights(&m, dir, false, ST_BF16, &e) < 0 || model_open(&stored, dir, &(struct model_options){0}, &e) < 0)
		fail_msg("%s", e.msg);
	attach_dora(&stored, 0);
	assert_int_equal(stored.layer[0].linear[0].w->matrix.form, MATRIX_BF16);
	check_all(&stored, &b);
	/* The same values in fp32 give the same. */
	for (size_t i = 0; i < m.n_params; i++)
		if (!stored.param[i].value)
			param_read(&stored.param[i], 0, param_size(&m.param[i]), m.param[i].value);
		else
			for (size_t j = 0; j < param_size(&m.param[i]); j++)
				m.param[i].value[j] = bf16_to_f32(bf16_from_f32(m.param[i].value[j]));
	attach_dora(&m, 0);
	double want = pass(&m, &b, 0, NULL);
	for (size_t i = 0; i < m.n_trained; i++)
		memcpy(stored.trained[i]->value, m.trained[i]->value, param_size(m.trained[i]) * sizeof(float));
	lora_refresh(&stored);
	assert_near(pass(&stored, &b, 0, NULL), want, 1e-5 * want);
	model_release(&m);
	model_release(&stored);
	batch_release(&bb);
}

/* Saved whole, the two ends of a tied model part; otherwise an adapter on one leaves the table, and so the other. */
static void
test_tied(void **state)
{
	(void)state;
	static const char *const saved[][2] = {{"embed_tokens"}, {"lm_head"}, {"embed_tokens", "lm_head"}};
	static const int lowest[] = {-1, 0, -1};
	struct batch_builder bb = {0};
	struct batch b = all_documents(&bb);
	for (int i = 0; i < 3; i++) {
		struct model m;
		open_model(&m, configs[1]);
		json_t *names = json_pack("[s]", saved[i][0]);
		if (saved[i][1])
			json_array_append_new(names, json_string(saved[i][1]));
		attach(&m, json_pack("[s]", "q_proj"), names, 0);
		assert_int_equal(m.n_trained, 4 + (saved[i][1] ? 2 : 1));
		assert_int_equal(m.lowest, lowest[i]);
		assert_ptr_not_equal(m.head.w, m.embed);
		check_all(&m, &b);
		model_release(&m);
	}
	struct model m;
	open_model(&m, configs[1]);
	attach(&m, json_pack("[s]", "embed_tokens"), NULL, 0);
	assert_int_equal(m.n_trained, 2);
	assert_ptr_equal(m.head.w, m.embed);
	check_all(&m, &b);
	model_release(&m);
	batch_release(&bb);
}

/* The padding token's embedding is not trained, neither in the table nor in an adapter, as with torch. */
static void
test_padding(void **state)
{
	(void)state;
	static const char config[] = "{\"model_type\":\"llama\"," DIMS "\"hidden_size\":24,\"num_key_value_heads\":2,"
		"\"pad_token_id\":10}";
	struct batch_builder bb = {0};
	struct batch b = all_documents(&bb);
	int32_t pad = token(0, 1), other = token(0, 2);
	assert_int_equal(pad, 10);
	for (int full = 0; full < 2; full++) {
		struct model m;
		open_model(&m, config);
		if (full) {
			model_train_all(&m);
			model_reserve(&m, MAX_T, MAX_LEN, 0, KEEP_ALL);
		} else {
			attach(&m, json_pack("[s]", "embed_tokens"), NULL, 0);
		}
		model_zero_grad(&m);
		pass(&m, &b, 1, NULL);
		const float *grad = full ? m.embed->grad : m.embed_table.lora->A.grad;
		int by_token = full ? m.config.C : 1;
		assert_true(grad[pad * by_token] == 0 && grad[other * by_token] != 0);
		model_release(&m);
	}
	batch_release(&bb);
}

/* Noise is bounded by alpha / sqrt(L C) of each document, is drawn by the keys alone, and is not there without. */
static void
test_noise(void **state)
{
	(void)state;
	enum { ALPHA = 3 };
	struct batch_builder bb = {0}, one = {0};
	struct batch b = all_documents(&bb);
	struct model m;
	float together[MAX_T], apart[MAX_T];
	uint64_t *key = new_keys(&b, 7);
	open_model(&m, configs[0]);
	int C = m.config.C;
	attach(&m, json_pack("[s,s]", "embed_tokens", "q_proj"), NULL, 0);
	double quiet = pass(&m, &b, 0, NULL);
	b.noise = ALPHA;
	assert_true(pass(&m, &b, 0, NULL) == quiet);
	b.row_key = key;
	double first = pass(&m, &b, 0, together);
	assert_true(first != quiet && pass(&m, &b, 0, NULL) == first);
	check_all(&m, &b);

	/* Of a document alone it is the same. */
	for (int d = N_DOCS - 1, t = 0; d >= 0; d--) {
		batch_clear(&one);
		add_document(&one, d);
		struct batch alone = batch_view(&one);
		alone.noise = ALPHA;
		alone.row_key = key + b.docs[d].q;
		pass(&m, &alone, 0, apart);
		t += alone.n_targets;
		for (int i = 0; i < alone.n_targets; i++)
			assert_near((double)apart[i], (double)together[b.n_targets - t + i], 1e-5 * (double)apart[i]);
	}

	/* The noise itself, on embeddings of zeros. */
	vec_zero(m.embed_table.lora->B.value, param_size(&m.embed_table.lora->B));
	m.config.L = 0;
	float *x = m.work.x.data, *still = hold(xreallocarray(NULL, (size_t)b.T * (size_t)C, sizeof *still));
	model_forward(&m, &(struct batch){.T = b.T, .ids = b.ids, .pos = b.pos, .docs = b.docs, .n_docs = b.n_docs});
	memcpy(still, x, (size_t)b.T * (size_t)C * sizeof *x);
	model_forward(&m, &b);
	m.config.L = 2;
	double mean = 0, squares = 0;
	for (int d = 0; d < b.n_docs; d++)
		for (int i = b.docs[d].q * C; i < (b.docs[d].q + b.docs[d].n) * C; i++) {
			double noise = ((double)x[i] - (double)still[i]) * sqrt(b.docs[d].n * C) / ALPHA;
			assert_true(fabs(noise) <= 1 + 1e-5);
			mean += noise / (b.T * C);
			squares += noise * noise / (b.T * C);
		}
	assert_near(mean, 0, 0.06);
	assert_near(squares, 1.0 / 3, 0.03);
	release_all();
	free(key);
	model_release(&m);
	batch_release(&bb);
	batch_release(&one);
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

static void
spread_of(const struct param *p, double *largest, double *deviation)
{
	size_t n = param_size(p);
	*largest = magnitude(p->value, n);
	*deviation = sqrt(dot(p->value, p->value, n) / (double)n);
}

/* How adapters begin: PEFT's distributions, and DoRA's magnitudes, which change nothing. */
static void
test_lora_init(void **state)
{
	(void)state;
	enum { RANK = 64 };
	for (int gaussian = 0; gaussian < 2; gaussian++) {
		struct model m;
		struct err e;
		struct adapter_config c;
		double largest, deviation, bound;
		open_model(&m, configs[0]);
		json_t *targets = json_string(".*embed_tokens|.*_proj");
		adapter_config_new(&c, &(struct adapter_config){.r = RANK, .lora_alpha = 5, .use_dora = true, .gaussian = gaussian,
			.target_modules = targets});
		json_decref(targets);
		assert_int_equal(lora_attach(&m, &c, 5, true, &e), 0);
		const struct linear *l = &m.layer[1].linear[0];
		const struct lora *table = m.embed_table.lora;
		spread_of(&l->lora->A, &largest, &deviation);
		bound = gaussian ? 1.0 / RANK : 1 / sqrt(3.0 * l->in);
		assert_near(deviation, bound, 0.06 * bound);
		assert_true(gaussian || largest <= 1 / sqrt((double)l->in));
		spread_of(&l->lora->B, &largest, &deviation);
		assert_true(largest == 0);
		spread_of(&table->A, &largest, &deviation);
		assert_true(largest == 0);
		spread_of(&table->B, &largest, &deviation);
		assert_near(deviation, 1, 0.06);
		for (int j = 0; j < l->out; j++) {
			double norm = sqrt(dot(l->w->value + j * l->in, l->w->value + j * l->in, (size_t)l->in));
			assert_near((double)l->lora->magnitude.value[j], norm, 1e-6 * norm);
		}
		adapter_config_release(&c);
		model_release(&m);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lora),
		cmocka_unit_test(test_lora_partly),
		cmocka_unit_test(test_lora_dropout),
		cmocka_unit_test(test_lora_starts_at_nothing),
		cmocka_unit_test(test_lora_init),
		cmocka_unit_test(test_dora),
		cmocka_unit_test(test_dora_checkpointing),
		cmocka_unit_test(test_dora_on_bf16),
		cmocka_unit_test(test_tied),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_noise),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
