/* Tries of labels: every label's path spells it, what they share is there once, chains cover the rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "eval/trie.h"

enum { LABELS = 40, LENGTH = 6 };

static void
assert_spells(const struct label_trie *t, int label, const int32_t *ids, int n)
{
	int node = t->end[label];
	for (int i = n - 1; i >= 0; i--) {
		assert_true(node >= 0);
		assert_int_equal(t->depth[node], i + 1);
		assert_int_equal(t->token[node], ids[i]);
		node = t->parent[node];
	}
	assert_int_equal(node, -1);
}

/* No two nodes stand for the same tokens. */
static void
assert_distinct(const struct label_trie *t)
{
	for (int i = 0; i < t->n; i++)
		for (int k = 0; k < i; k++)
			assert_false(t->parent[i] == t->parent[k] && t->token[i] == t->token[k]);
}

static void
assert_chains(const struct label_trie *t)
{
	int rows = 0;
	for (int c = 0; c < t->n_chains; c++) {
		const struct label_chain *x = &t->chain[c];
		int above = t->parent[x->first];
		assert_int_equal(x->depth, t->depth[x->first] - 1);
		assert_int_equal(x->parent, above < 0 ? -1 : t->chain_of[above]);
		assert_true(x->parent < c);
		for (int i = 0; i < x->n; i++) {
			assert_int_equal(t->chain_of[x->first + i], c);
			assert_true(i == 0 || t->parent[x->first + i] == x->first + i - 1);
		}
		rows += x->n;
	}
	assert_int_equal(rows, t->rows);
	/* What something is predicted after has a row, nothing else. */
	for (int i = 0; i < t->n; i++) {
		bool needed = false;
		for (int k = 0; k < t->n; k++)
			needed |= t->parent[k] == i;
		for (int k = 0; t->with_end && k < t->K; k++)
			needed |= t->end[k] == i;
		assert_int_equal(needed, t->chain_of[i] >= 0);
	}
}

static void
by_hand(void **state)
{
	(void)state;
	int32_t a[] = {5, 6, 7}, b[] = {5, 6, 8, 10}, c[] = {5, 6, 8, 11}, d[] = {5, 9}, e[] = {10}, f[] = {14, 6, 7};
	int32_t *ids[] = {f, b, a, c, e, d};
	const int n[] = {3, 4, 3, 4, 1, 2};
	struct label_trie t;
	label_trie_init(&t, ids, n, 6, false, false);
	assert_int_equal(t.n, 11);
	assert_int_equal(t.rows, 5);        /* 5, 5 6, 5 6 8; 14, 14 6 */
	for (int k = 0; k < 6; k++)
		assert_spells(&t, k, ids[k], n[k]);
	assert_distinct(&t);
	assert_chains(&t);
	label_trie_release(&t);
	label_trie_init(&t, ids, n, 6, true, true);
	assert_int_equal(t.n, 3);
	assert_int_equal(t.rows, 0);
	assert_false(t.with_end);
	assert_int_equal(t.end[1], t.end[5]);
	label_trie_release(&t);
}

static void
at_random(void **state)
{
	(void)state;
	for (int round = 0; round < 60; round++) {
		struct rng g;
		struct label_trie t;
		int32_t text[LABELS][LENGTH], *ids[LABELS];
		int n[LABELS], K = 1 + round % LABELS;
		rng_init(&g, 5, (uint64_t)round);
		for (int k = 0; k < K; k++) {
			ids[k] = text[k];
			n[k] = 1 + (int)rng_below(&g, LENGTH);
			for (int i = 0; i < n[k]; i++)
				text[k][i] = (int32_t)rng_below(&g, 1 + (uint64_t)round % 4);
		}
		label_trie_init(&t, ids, n, K, false, round % 2);
		for (int k = 0; k < K; k++)
			assert_spells(&t, k, ids[k], n[k]);
		assert_distinct(&t);
		assert_chains(&t);
		label_trie_release(&t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_hand),
		cmocka_unit_test(at_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
