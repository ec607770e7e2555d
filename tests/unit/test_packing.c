/* Micro-batches of examples: every token where it belongs, what begins alike once, and the gradients of examples apart. */
#include "models.h"

#include "model/lora.h"
#include "model/packing.h"
#include "model/plan.h"

enum { EXAMPLES = 60, LONGEST = 120 };

struct made {
	int32_t ids[LONGEST];
	struct span spans[3];
};

/* An example whose targets are the last n - prompt tokens but for `quiet` at the end. */
static struct example
make(struct made *m, const int32_t *ids, int n, int prompt, int quiet)
{
	memcpy(m->ids, ids, (size_t)n * sizeof *ids);
	m->spans[0] = (struct span){(uint32_t)prompt, 0};
	m->spans[1] = (struct span){(uint32_t)(n - prompt - quiet), 1};
	m->spans[2] = (struct span){(uint32_t)quiet, 0};
	return (struct example){.ids = m->ids, .n = (uint32_t)n, .spans = m->spans, .n_spans = 3, .completion = (uint32_t)prompt};
}

/* ---- every token where it belongs ---- */

static uint32_t
last_target(const struct example *x)
{
	uint32_t end = x->spans[0].n + x->spans[1].n;
	return x->spans[1].n == 0 || end < 2 ? 0 : end - 1;
}

/* The document of a row, and whether document d sees it. */
static int
doc_of(const struct batch_builder *b, int row)
{
	int d = 0;
	while (row >= b->docs[d].q + b->docs[d].n)
		d++;
	return d;
}

static bool
continues(const struct batch_builder *b, int d, int ancestor)
{
	while (d != ancestor && b->docs[d].back)
		d -= b->docs[d].back;
	return d == ancestor;
}

/* Each row holds the token of its place; each target is where its example's document has the token before it. */
static void
check_targets(const struct batch_builder *b, const struct packing *p, size_t bin, const struct example *x)
{
	int t = 0;
	for (size_t i = p->first[bin]; i < p->first[bin + 1]; i++) {
		const struct example *own = &x[p->order[i]];
		uint32_t last = last_target(own);
		for (uint32_t k = own->spans[0].n; k <= last && last > 0; k++) {
			if (k == 0)
				continue;
			assert_int_equal(b->target_id[t], own->ids[k]);
			assert_true(t == 0 || b->target_row[t] > b->target_row[t - 1]);
			int doc = doc_of(b, b->target_row[t]);
			for (uint32_t j = 0; j < k; j++) {
				int row = batch_row(b, doc, (int)j);
				assert_int_equal(b->ids[row], own->ids[j]);
				assert_int_equal(b->pos[row], j);
			}
			assert_int_equal(batch_row(b, doc, (int)k - 1), b->target_row[t]);
			t++;
		}
	}
	assert_int_equal(t, b->n_targets);
}

/* What backward asks for: a document continues all of another, whose `below` are the rows of those that continue it. */
static void
check_documents(const struct batch_builder *b)
{
	for (int d = 0, row = 0; d < b->n_docs; row += b->docs[d++].n) {
		const struct attn_doc *x = &b->docs[d], *parent = x - x->back;
		assert_true(x->q == row && x->k == row && x->n > 0);
		assert_int_equal(x->n_prefix, x->back ? parent->n_prefix + parent->n : 0);
		int e = d + 1;
		while (e < b->n_docs && b->docs[e].q < x->q + x->n + x->below)
			assert_true(continues(b, e++, d));
		assert_int_equal(x->q + x->n + x->below, e < b->n_docs ? b->docs[e].q : b->T);
		for (; e < b->n_docs; e++)
			assert_false(continues(b, e, d));
	}
}

/* Returns the rows of all micro-batches. */
static uint64_t
check(const struct example *x, size_t n, uint64_t capacity, enum packing_rows kind)
{
	struct packing p = {0};
	struct batch_builder b = {0};
	bool seen[EXAMPLES] = {false};
	uint64_t rows = 0;
	packing_make(&p, x, n, capacity, kind);
	assert_int_equal(p.first[0], 0);
	assert_int_equal(p.first[p.bins], n);
	for (size_t bin = 0; bin < p.bins; bin++) {
		assert_true(p.first[bin + 1] > p.first[bin]);
		assert_int_equal(p.shared[p.first[bin]], 0);
		packing_fill(&p, bin, x, NULL, &b);
		check_targets(&b, &p, bin, x);
		check_documents(&b);
		for (size_t i = p.first[bin]; i < p.first[bin + 1]; i++) {
			assert_false(seen[p.order[i]]);
			seen[p.order[i]] = true;
		}
		assert_int_equal(b.T, p.rows[bin]);
		assert_true(capacity == 0 || b.T <= (int)capacity || b.n_docs == 1);
		rows += p.rows[bin];
	}
	packing_release(&p);
	batch_release(&b);
	return rows;
}

/* Few tokens and nested beginnings of many lengths, with targets early and late and none at all. */
static void
many_at_random(void **state)
{
	(void)state;
	static struct made made[EXAMPLES];
	struct example x[EXAMPLES];
	struct rng r;
	uint64_t in_all = 0, saved = 0;
	rng_init(&r, 5, 0);
	for (int round = 0; round < 300; round++) {
		size_t n = 1 + rng_below(&r, EXAMPLES);
		for (size_t i = 0; i < n; i++) {
			int32_t ids[LONGEST];
			int length = 1 + (int)rng_below(&r, LONGEST), prompt = (int)rng_below(&r, (uint64_t)length + 1);
			int alike = i ? (int)rng_below(&r, LONGEST) : 0;
			const struct made *other = &made[i ? rng_below(&r, i) : 0];
			for (int k = 0; k < length; k++)
				ids[k] = k < alike ? other->ids[k] : (int32_t)rng_below(&r, 3);
			if (rng_below(&r, 3))
				prompt = length - (int)rng_below(&r, length < 3 ? (uint64_t)length : 3);
			x[i] = make(&made[i], ids, length, prompt, (int)rng_below(&r, (uint64_t)(length - prompt) + 1));
		}
		uint64_t capacity = rng_below(&r, 3) ? 100 + rng_below(&r, 2000) : 0;
		uint64_t all = check(x, n, capacity, ROWS_ALL), needed = check(x, n, capacity, ROWS_NEEDED);
		uint64_t shared = check(x, n, capacity, ROWS_SHARED);
		assert_true(shared <= needed && needed < all);
		in_all += needed;
		saved += needed - shared;
	}
	assert_true(saved > in_all / 4);
}

/* ---- by hand ---- */

static void
fill(int32_t *ids, int from, int n, int32_t id)
{
	for (int i = 0; i < n; i++)
		ids[from + i] = id;
}

/* Three begin with 20 tokens alike, two of them with 30; the fourth with 7, which are too few; of the fifth, which begins
 * as the first two do, the first 12 are all that precede the row of a target. */
static void
rows_by_hand(void **state)
{
	(void)state;
	static struct made made[5];
	int32_t ids[LONGEST];
	struct example x[5];
	struct packing p = {0};
	struct batch_builder b = {0};
	fill(ids, 0, 40, 1);
	x[0] = make(&made[0], ids, 40, 38, 0);
	fill(ids, 30, 10, 2);
	x[1] = make(&made[1], ids, 40, 38, 1);
	x[4] = make(&made[4], ids, 20, 13, 0);
	fill(ids, 20, 20, 3);
	x[2] = make(&made[2], ids, 40, 38, 0);
	fill(ids, 7, 33, 4);
	x[3] = make(&made[3], ids, 40, 38, 0);
	packing_make(&p, x, 5, 0, ROWS_SHARED);
	packing_fill(&p, 0, x, NULL, &b);
	static const uint32_t order[] = {4, 0, 1, 2, 3}, shared[] = {0, 12, 30, 20, 0};
	static const int n[] = {12, 7, 8, 10, 9, 8, 19, 39}, back[] = {0, 1, 2, 1, 1, 2, 4, 0};
	assert_memory_equal(p.order, order, sizeof order);
	assert_memory_equal(p.shared, shared, sizeof shared);
	assert_int_equal(b.n_docs, 8);
	for (int d = 0; d < 8; d++) {
		assert_int_equal(b.docs[d].n, n[d]);
		assert_int_equal(b.docs[d].back, back[d]);
	}
	assert_int_equal(b.docs[0].below, b.docs[7].q - 12);
	packing_release(&p);
	batch_release(&b);
}

/* A group that has no room in a micro-batch goes on in another one, with its beginning again. */
static void
room(void **state)
{
	(void)state;
	static struct made made[8];
	int32_t ids[LONGEST];
	struct example x[8];
	struct packing p = {0};
	fill(ids, 0, LONGEST, 1);
	for (int i = 0; i < 8; i++) {
		fill(ids, 50, 10, 2 + i);
		x[i] = make(&made[i], ids, 60, 58, 0);
	}
	packing_make(&p, x, 8, 90, ROWS_SHARED);
	static const uint32_t rows[] = {86, 86};
	assert_int_equal(p.bins, 2);
	assert_memory_equal(p.rows, rows, sizeof rows);
	assert_int_equal(p.first[1], 5 - 1);
	assert_int_equal(check(x, 8, 30, ROWS_SHARED), 8 * 59);
	packing_release(&p);
}

/* Where nothing is shared, micro-batches are plan_pack's, and in each the examples in the order of the step. */
static void
as_planned(void **state)
{
	(void)state;
	static struct made made[EXAMPLES];
	struct example x[EXAMPLES];
	uint32_t length[EXAMPLES], bin[EXAMPLES];
	struct packing p = {0};
	struct rng r;
	rng_init(&r, 6, 0);
	for (int i = 0; i < EXAMPLES; i++) {
		int32_t ids[LONGEST];
		length[i] = 2 + (uint32_t)rng_below(&r, LONGEST - 1);
		fill(ids, 0, LONGEST, 1);
		x[i] = make(&made[i], ids, (int)length[i], 1, 0);
	}
	packing_make(&p, x, EXAMPLES, 300, ROWS_ALL);
	assert_int_equal(p.bins, plan_pack(length, EXAMPLES, 300, bin));
	for (size_t b = 0; b < p.bins; b++)
		for (size_t i = p.first[b]; i < p.first[b + 1]; i++) {
			assert_int_equal(bin[p.order[i]], b);
			assert_true(i == p.first[b] || p.order[i] > p.order[i - 1]);
		}
	packing_release(&p);
}

/* ---- gradients ---- */

enum { ALIKE = 6 };

/* Two beginnings, of 14 tokens and of 24, and one example of its own; the first two of each kind are the same but for what
 * they end with. */
static void
some_examples(struct made *made, struct example *x)
{
	for (int i = 0; i < ALIKE; i++) {
		int32_t ids[MAX_LEN];
		int length = 26 + i % 4, alike = i < 2 ? 24 : i < 5 ? 14 : 0;
		for (int k = 0; k < length; k++)
			ids[k] = token(k < alike ? 0 : i + 1, k);
		x[i] = make(&made[i], ids, length, length - 2 - i % 2, i % 2);
	}
}

static float *
gradients(struct model *m, const struct example *x, uint64_t capacity, enum packing_rows kind, double *loss, int *rows, size_t *n)
{
	struct packing p = {0};
	struct batch_builder bb = {0};
	*loss = *rows = 0;
	model_zero_grad(m);
	packing_make(&p, x, ALIKE, capacity, kind);
	for (size_t bin = 0; bin < p.bins; bin++) {
		packing_fill(&p, bin, x, NULL, &bb);
		struct batch b = batch_view(&bb);
		*loss += pass(m, &b, 0.5f, NULL);
		*rows += b.T;
	}
	packing_release(&p);
	batch_release(&bb);
	return all_gradients(m, n);
}

static void
same_gradients(void **state)
{
	(void)state;
	struct made made[ALIKE];
	struct example x[ALIKE];
	int sharing = 0;
	some_examples(made, x);
	for (size_t c = 0; c < N_CONFIGS; c++) {
		struct model m;
		double loss, want;
		int rows, all;
		size_t n;
		open_model(&m, configs[c]);
		model_train_all(&m);
		model_reserve(&m, ALIKE * MAX_LEN, MAX_LEN, 0, c % 2 ? KEEP_INPUTS : KEEP_ALL);
		float *g = gradients(&m, x, 0, ROWS_ALL, &want, &all, &n);
		double *whole = to_double(g, n);
		if (!model_length_matters(&m))
			assert_all_near(gradients(&m, x, 60, ROWS_NEEDED, &loss, &rows, &n), whole, n, 1e-5);
		if (model_may_share(&m)) {
			assert_all_near(gradients(&m, x, 0, ROWS_SHARED, &loss, &rows, &n), whole, n, 1e-5);
			assert_near(loss, want, 1e-6 * want);
			assert_true(rows < all * 2 / 3);
			sharing++;
		}
		release_all();
		model_release(&m);
	}
	assert_int_equal(sharing, N_CONFIGS - 5);  /* but for those with windows and with ropes that follow the length */
}

/* Each document is to have masks of its own. */
static void
dropout_is_not_shared(void **state)
{
	(void)state;
	for (int drop = 0; drop < 2; drop++) {
		struct model m;
		struct err e;
		struct adapter_config c;
		open_model(&m, configs[0]);
		json_t *all = lora_all_linear(&m);
		const struct adapter_config want = {.r = 2, .lora_alpha = 4, .lora_dropout = drop ? 0.1 : 0, .base_model = dir,
			.target_modules = all};
		adapter_config_new(&c, &want);
		json_decref(all);
		if (lora_attach(&m, &c, 1, true, &e) < 0)
			fail_msg("%s", e.msg);
		model_reserve(&m, MAX_T, MAX_LEN, 0, KEEP_ALL);
		assert_int_equal(model_may_share(&m), !drop);
		adapter_config_release(&c);
		model_release(&m);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_by_hand),
		cmocka_unit_test(room),
		cmocka_unit_test(as_planned),
		cmocka_unit_test(many_at_random),
		cmocka_unit_test(same_gradients),
		cmocka_unit_test(dropout_is_not_shared),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
