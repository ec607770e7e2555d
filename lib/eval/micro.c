#include "eval/micro.h"

#include <stdlib.h>

#include "base/mem.h"
#include "fmt/labels.h"

void
micro_init(struct micro *m)
{
	if (!m->trie)
		return;
	m->chain_row = xcalloc((size_t)m->trie->n_chains, sizeof *m->chain_row);
	m->chain_doc = xcalloc((size_t)m->trie->n_chains, sizeof *m->chain_doc);
}

void
micro_release(struct micro *m)
{
	batch_release(&m->batch);
	free(m->example);
	free(m->want);
	free(m->row);
	free(m->first_want);
	free(m->chain_row);
	free(m->chain_doc);
}

void
micro_clear(struct micro *m)
{
	batch_clear(&m->batch);
	m->n_wants = m->n_examples = 0;
}

/* ---- wants ---- */

static void
add_want(struct micro *m, int row, int32_t id, int node, float weight, bool counts)
{
	GROW(m->want, m->want_cap, m->n_wants + 1);
	m->want[m->n_wants++] = (struct want){row, id, (int)m->n_examples, node, weight, counts};
}

static void
want_targets(struct micro *m, const struct example *x, int doc)
{
	for (struct target t = {0}; example_next_target(x, &t);)
		add_want(m, batch_row(&m->batch, doc, (int)t.at - 1), x->ids[t.at], -1, t.weight, t.at >= x->completion);
}

static int
row_of(const struct micro *m, int node)
{
	int chain = m->trie->chain_of[node];
	return m->chain_row[chain] + node - m->trie->chain[chain].first;
}

/* Adds the trie below the prompt, which document `doc` begins with, and asks for each node after the one before it. */
static void
add_labels(struct micro *m, int doc, int prompt)
{
	const struct label_trie *t = m->trie;
	int last = batch_row(&m->batch, doc, prompt - 1);
	for (int c = 0; c < t->n_chains; c++) {
		const struct label_chain *x = &t->chain[c];
		m->chain_doc[c] = m->batch.n_docs;
		m->chain_row[c] = batch_add_twig(&m->batch, x->parent < 0 ? doc : m->chain_doc[x->parent], prompt + x->depth,
			t->token + x->first, x->n);
	}
	for (int i = 0; i < t->n; i++)
		add_want(m, t->parent[i] < 0 ? last : row_of(m, t->parent[i]), t->token[i], i, 0, false);
	for (int k = 0; t->with_end && k < t->K; k++)
		add_want(m, row_of(m, t->end[k]), m->eos, t->n + k, 0, false);
}

/* ---- examples ---- */

/* How many of an example's tokens anything is asked after: those before its last target, and its prompt. */
static int
needed(const struct micro *m, const struct example *x)
{
	uint32_t n = m->trie ? x->completion : 0;
	if (m->apart)
		return (int)x->n;
	for (struct target t = {0}; example_next_target(x, &t);)
		n = t.at > n ? t.at : n;
	return (int)n;
}

bool
micro_add(struct micro *m, const struct example *x, int label)
{
	struct batch_builder *b = &m->batch;
	bool scored = m->trie && x->completion > 0;
	int n = needed(m, x), doc = -1, shared = m->apart ? 0 : batch_find(b, x->ids, n, &doc);
	int more = n - shared + (scored ? m->trie->rows : 0);
	if (m->n_examples && (b->T + more > m->rows || m->n_examples == (size_t)m->rows))
		return false;
	if (shared < n) {
		int parent = doc;
		doc = b->n_docs;
		if (shared)
			batch_add_twig(b, parent, shared, x->ids + shared, n - shared);
		else
			batch_add_document(b, x->ids, n);
	}
	want_targets(m, x, doc);
	if (scored)
		add_labels(m, doc, (int)x->completion);
	GROW(m->example, m->example_cap, m->n_examples + 1);
	m->example[m->n_examples++] = (struct micro_example){.line = x->line, .label = label, .scored = scored, .right = true};
	return true;
}

/* ---- rows ---- */

static int
by_row(const void *a, const void *b)
{
	const struct want *x = a, *y = b;
	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	if (x->example != y->example)
		return x->example < y->example ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

void
micro_sort(struct micro *m)
{
	qsort(m->want, m->n_wants, sizeof *m->want, by_row);
	GROW(m->row, m->row_cap, m->n_wants);
	GROW(m->first_want, m->first_cap, m->n_wants + 1);
	m->n_rows = 0;
	for (size_t i = 0; i < m->n_wants; i++)
		if (i == 0 || m->want[i].row != m->want[i - 1].row) {
			m->first_want[m->n_rows] = (int32_t)i;
			m->row[m->n_rows++] = m->want[i].row;
		}
	m->first_want[m->n_rows] = (int32_t)m->n_wants;
}
