/* Whole models of a few thousand random weights: gradients against differences of the loss, and the promises that
 * packing, gradient checkpointing, threads, prefixes and the key-value cache change nothing. */
#include "models.h"

#include "model/lora.h"

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

/* Branches off a document, and off its branches, give what documents of their own with the same beginning give; also where
 * another document stands before it, whose length is not theirs. */
static void
test_branches(void **state)
{
	(void)state;
	enum { FIRST = 3, PROMPT = 8, BRANCH = 4, HALF = 2, ROWS = FIRST + PROMPT + 1 };
	for (size_t c = 0; c < N_CONFIGS; c++) {
		struct model m;
		struct batch_builder bb = {0}, full = {0};
		int32_t ids[3][PROMPT + BRANCH];
		for (int d = 0; d < 3; d++)
			for (int i = 0; i < PROMPT + BRANCH; i++)
				ids[d][i] = token(i < PROMPT ? 0 : d + 1, i);
		batch_add_document(&bb, ids[1] + PROMPT, FIRST);
		batch_add_document(&bb, ids[0], PROMPT + 1);
		for (int d = 0; d < 3; d++) {
			batch_add_twig(&bb, 1, PROMPT, ids[d] + PROMPT, HALF);
			batch_add_twig(&bb, bb.n_docs - 1, PROMPT + HALF, ids[d] + PROMPT + HALF, BRANCH - HALF);
			batch_add_document(&full, ids[d], PROMPT + BRANCH);
		}
		struct batch b = batch_view(&bb), f = batch_view(&full);
		f.length = PROMPT + 1;  /* where that matters, a branch turns as what it branches off */
		open_model(&m, configs[c]);
		model_reserve(&m, MAX_T, MAX_LEN, 0, KEEP_NOTHING);
		double *want = to_double(logits_of(&m, &f), (size_t)f.T * V);
		float *got = logits_of(&m, &b);
		for (int d = 0; d < 3; d++)
			assert_all_near(got + (ROWS + d * BRANCH) * V, want + (d * (PROMPT + BRANCH) + PROMPT) * V, BRANCH * V, 2e-5);
		release_all();
		model_release(&m);
		batch_release(&bb);
		batch_release(&full);
	}
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
