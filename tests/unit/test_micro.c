/* Micro-batches of an evaluation: whatever examples share, every token that is asked for is asked of a row that has seen
 * what comes before it, and no two rows have seen the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "eval/micro.h"
#include "fmt/labels.h"

enum { EXAMPLES = 40, LENGTH = 30, EOS = 99 };

struct made {
	int32_t ids[LENGTH];
	struct span span[LENGTH];
	struct example x;
};

static struct made made[EXAMPLES];

/* An example of n of these tokens, the last of which are targets. */
static struct example *
make(struct made *e, const int32_t *ids, int n, int targets)
{
	uint32_t prompt = (uint32_t)(n - targets);
	memcpy(e->ids, ids, (size_t)n * sizeof *ids);
	e->x = (struct example){.ids = e->ids, .n = (uint32_t)n, .spans = e->span, .completion = prompt};
	if (prompt)
		e->span[e->x.n_spans++] = (struct span){prompt, 0};
	if (targets)
		e->span[e->x.n_spans++] = (struct span){(uint32_t)targets, 1};
	return &e->x;
}

/* Few different tokens, so that much is shared, and targets anywhere. */
static struct example *
make_random(struct made *e, struct rng *r)
{
	int n = 1 + (int)rng_below(r, LENGTH);
	e->x = (struct example){.ids = e->ids, .n = (uint32_t)n, .spans = e->span, .n_spans = (uint32_t)n,
		.completion = (uint32_t)rng_below(r, (uint64_t)n + 1)};
	for (int i = 0; i < n; i++) {
		e->ids[i] = rng_below(r, 5) ? 1 : (int32_t)rng_below(r, 3);
		e->span[i] = (struct span){1, rng_below(r, 3) ? 0 : 0.5f};
	}
	return &e->x;
}

/* ---- what rows have seen ---- */

static int32_t
token_of(const struct batch_builder *b, int doc, int t)
{
	const struct attn_doc *d = &b->docs[doc];
	return t < d->n_prefix ? token_of(b, doc - d->back, t) : b->ids[d->q + t - d->n_prefix];
}

/* All that a row has seen, itself last; returns how many tokens. */
static int
seen(const struct batch_builder *b, int row, int32_t *ids)
{
	int doc = 0;
	while (row >= b->docs[doc].q + b->docs[doc].n)
		doc++;
	int n = b->docs[doc].n_prefix + row - b->docs[doc].q + 1;
	assert_int_equal(b->pos[row], n - 1);
	for (int t = 0; t < n; t++)
		ids[t] = token_of(b, doc, t);
	return n;
}

/* Returns how many rows have seen what an earlier one has. */
static int
repeated_rows(const struct batch_builder *b)
{
	int32_t mine[2 * LENGTH], other[2 * LENGTH];
	int repeated = 0;
	for (int row = 0; row < b->T; row++) {
		int n = seen(b, row, mine), found = 0;
		for (int i = 0; i < row && !found; i++)
			found = seen(b, i, other) == n && memcmp(mine, other, (size_t)n * sizeof *mine) == 0;
		repeated += found;
	}
	return repeated;
}

/* Each target and each node of the trie is asked for once, behind what comes before it. */
static void
assert_asked(const struct micro *m)
{
	int32_t before[2 * LENGTH];
	uint32_t wanted = 0;
	for (size_t i = 0; i < m->n_wants; i++) {
		const struct want *w = &m->want[i];
		const struct example *x = &made[w->example].x;
		int n = seen(&m->batch, w->row, before), shared = w->node < 0 ? n : (int)x->completion;
		assert_memory_equal(before, x->ids, (size_t)shared * sizeof *before);
		if (w->node < 0) {
			assert_int_equal(w->id, x->ids[n]);
			assert_int_equal(w->counts, (uint32_t)n >= x->completion);
			assert_true(w->weight > 0);
			continue;
		}
		int above = w->node < m->trie->n ? m->trie->parent[w->node] : m->trie->end[w->node - m->trie->n];
		assert_int_equal(w->id, w->node < m->trie->n ? m->trie->token[w->node] : EOS);
		for (n--; above >= 0; above = m->trie->parent[above], n--)
			assert_int_equal(before[n], m->trie->token[above]);
		assert_int_equal(n + 1, x->completion);
	}
	for (size_t i = 0; i < m->n_examples; i++)
		wanted += example_targets(&made[i].x) + (m->example[i].scored ? (uint32_t)(m->trie->n + m->trie->with_end * m->trie->K) : 0);
	assert_int_equal(m->n_wants, wanted);
}

static void
assert_sorted(struct micro *m)
{
	micro_sort(m);
	for (size_t i = 1; i < m->n_wants; i++)
		assert_true(m->want[i - 1].row <= m->want[i].row);
	for (int i = 0; i < m->n_rows; i++) {
		assert_true(m->first_want[i] < m->first_want[i + 1]);
		for (int32_t w = m->first_want[i]; w < m->first_want[i + 1]; w++)
			assert_int_equal(m->want[w].row, m->row[i]);
	}
	assert_int_equal(m->first_want[m->n_rows], m->n_wants);
}

/* ---- tests ---- */

/* Which rows there are: nothing shared, all of it, some of it, a beginning, and more than there is. */
static void
rows_by_hand(void **state)
{
	(void)state;
	static const int32_t a[] = {1, 2, 3, 4, 5}, b[] = {1, 2, 3, 6, 7, 8}, c[] = {9, 2, 3}, d[] = {1, 2, 3, 6, 7, 8, 9, 9};
	struct micro m = {.rows = 100};
	micro_init(&m);
	const struct {
		const int32_t *ids;
		int n, targets, rows;
	} example[] = {
		{a, 5, 2, 4},    /* nothing is asked behind the last */
		{a, 5, 1, 4},    /* there already */
		{a, 3, 1, 4},    /* the beginning of it */
		{b, 6, 5, 6},    /* 6 and 7, behind 1 2 3; targets among what is shared */
		{c, 3, 1, 8},
		{b, 6, 6, 8},    /* the first token is no target, there is nothing before it */
		{d, 8, 1, 10},   /* 8 and 9, behind the one that is behind another */
		{d, 8, 0, 10},   /* no target, no row */
		{c, 1, 1, 10},
	};
	for (int i = 0; i < (int)(sizeof example / sizeof *example); i++) {
		assert_true(micro_add(&m, make(&made[i], example[i].ids, example[i].n, example[i].targets), -1));
		assert_int_equal(m.batch.T, example[i].rows);
	}
	assert_asked(&m);
	assert_int_equal(repeated_rows(&m.batch), 0);
	assert_sorted(&m);
	micro_release(&m);
}

static void
many_at_random(void **state)
{
	(void)state;
	int32_t a[] = {1, 1, 2}, b[] = {1}, c[] = {0, 2}, d[] = {0, 2, 1, 1};
	int32_t *label[] = {a, b, c, d};
	static const int n[] = {3, 1, 2, 4};
	struct label_trie trie;
	struct rng r;
	rng_init(&r, 3, 1);
	label_trie_init(&trie, label, n, 4, false, true);
	for (int i = 0; i < 200; i++) {
		struct micro m = {.trie = i % 2 ? &trie : NULL, .eos = EOS, .rows = EXAMPLES * (LENGTH + trie.rows)};
		micro_init(&m);
		for (int k = 0; k < EXAMPLES; k++)
			assert_true(micro_add(&m, make_random(&made[k], &r), -1));
		assert_asked(&m);
		if (!m.trie)
			assert_int_equal(repeated_rows(&m.batch), 0);
		assert_sorted(&m);
		micro_release(&m);
	}
	label_trie_release(&trie);
}

static int
twigs(const struct batch_builder *b, int doc)
{
	return b->docs[doc].back ? 1 + twigs(b, doc - b->docs[doc].back) : 0;
}

/* Each example has one token more than the one before: what they share does not become a chain without end. */
static void
ever_longer(void **state)
{
	(void)state;
	int32_t ids[LENGTH], longest[LABEL_TOKENS_MAX];
	int32_t *label[] = {longest};
	const int n = LABEL_TOKENS_MAX;
	struct label_trie trie;
	int deepest = 0;
	for (int i = 0; i < LENGTH; i++)
		ids[i] = i;
	for (int i = 0; i < n; i++)
		longest[i] = 50 + i;
	label_trie_init(&trie, label, &n, 1, false, true);
	struct micro m = {.trie = &trie, .eos = EOS, .rows = EXAMPLES * (LENGTH + trie.rows)};
	micro_init(&m);
	for (int i = 0; i + 1 < LENGTH; i++)
		assert_true(micro_add(&m, make(&made[i], ids, i + 2, 1), -1));
	for (int d = 0; d < m.batch.n_docs; d++)
		deepest = twigs(&m.batch, d) > deepest ? twigs(&m.batch, d) : deepest;
	assert_true(deepest > BATCH_TWIGS && deepest <= BATCH_TWIGS + 2);
	micro_release(&m);
	label_trie_release(&trie);
}

/* An empty micro-batch has room for any example; otherwise what counts is what an example adds. */
static void
room(void **state)
{
	(void)state;
	static const int32_t a[] = {1, 2, 3, 4, 5}, b[] = {1, 2, 3, 6, 7}, c[] = {8, 9};
	struct micro m = {.rows = 5};
	micro_init(&m);
	assert_true(micro_add(&m, make(&made[0], a, 5, 1), -1));
	assert_true(micro_add(&m, make(&made[1], b, 5, 1), -1));   /* 6 */
	assert_int_equal(m.batch.T, 5);
	assert_false(micro_add(&m, make(&made[2], c, 2, 1), -1));
	assert_true(micro_add(&m, make(&made[2], b, 4, 1), -1));   /* nothing */
	assert_true(micro_add(&m, make(&made[3], a, 5, 3), -1));
	assert_true(micro_add(&m, make(&made[4], a, 5, 2), -1));
	assert_false(micro_add(&m, make(&made[5], a, 5, 2), -1));  /* as many examples as rows */
	micro_clear(&m);
	m.rows = 1;
	assert_true(micro_add(&m, make(&made[0], a, 5, 1), -1));
	assert_int_equal(m.batch.T, 4);
	assert_false(micro_add(&m, &made[0].x, -1));
	micro_clear(&m);
	m.rows = 100;
	m.apart = true;
	assert_true(micro_add(&m, make(&made[0], a, 5, 1), -1) && micro_add(&m, make(&made[1], a, 5, 1), -1));
	assert_int_equal(m.batch.T, 10);
	micro_release(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_by_hand),
		cmocka_unit_test(many_at_random),
		cmocka_unit_test(ever_longer),
		cmocka_unit_test(room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
