#include "model/packing.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/plan.h"

void
packing_release(struct packing *p)
{
	free(p->order);
	free(p->shared);
	free(p->rows);
	free(p->first);
	*p = (struct packing){0};
}

/* ---- what an example needs ---- */

struct item {
	const int32_t *ids;
	uint32_t index;
	uint32_t rows;   /* that it has when it shares none */
	uint32_t reach;  /* how many of them it may share */
};

static struct item
item_of(const struct example *x, uint32_t index, enum packing_rows kind)
{
	uint32_t first = 0, last = 0;  /* targets; 0: none */
	for (struct target t = {0}; example_next_target(x, &t); last = t.at)
		first = first ? first : t.at;
	return (struct item){x->ids, index, kind == ROWS_ALL ? x->n : last, kind == ROWS_SHARED && first ? first - 1 : 0};
}

/* By what may be shared, so that examples that begin alike are neighbours. Ties keep their order. */
static int
by_beginning(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int order = memcmp(x->ids, y->ids, (x->reach < y->reach ? x->reach : y->reach) * sizeof *x->ids);
	if (order != 0)
		return order;
	if (x->reach != y->reach)
		return x->reach < y->reach ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static uint32_t
alike(const struct item *x, const struct item *y)
{
	uint32_t n = 0, most = x->reach < y->reach ? x->reach : y->reach;
	while (n < most && x->ids[n] == y->ids[n])
		n++;
	return n;
}

/* ---- groups of examples that share something ---- */

/* Where the documents end that the last example consists of, but for its own last one; ascending. */
struct path {
	uint32_t *end;
	size_t n, cap;
};

/* How many tokens the next example shares with the last one, when so many are alike: to the end of a document, of which a
 * new one is made where that pays. The path becomes what they share. */
static uint32_t
branch_off(struct path *p, uint32_t alike)
{
	while (p->n > 0 && p->end[p->n - 1] > alike)
		p->n--;
	uint32_t end = p->n > 0 ? p->end[p->n - 1] : 0;
	if (alike - end < SHARED_LEAST)
		return end;
	GROW(p->end, p->cap, p->n + 1);
	return p->end[p->n++] = alike;
}

/* The packing's order and `shared` become those of the sorted examples, group by group. rows[i] becomes that of group i, and
 * first[i], of one more, where it begins. Returns how many there are. */
static size_t
group(struct packing *p, const struct item *item, size_t n, uint64_t capacity, uint32_t *rows, size_t *first)
{
	struct path path = {0};
	size_t groups = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t shared = i ? branch_off(&path, alike(&item[i - 1], &item[i])) : 0;
		if (shared && capacity && rows[groups - 1] + (uint64_t)(item[i].rows - shared) > capacity)
			shared = 0;
		if (!shared) {
			path.n = 0;
			rows[groups] = 0;
			first[groups++] = i;
		}
		rows[groups - 1] += item[i].rows - shared;
		p->order[i] = item[i].index;
		p->shared[i] = shared;
	}
	first[groups] = n;
	free(path.end);
	return groups;
}

/* ---- micro-batches of groups ---- */

/* Brings the groups into the order of their micro-batches; `bin` says in which each is. */
static void
arrange(struct packing *p, size_t n, const size_t *group_first, const uint32_t *group_rows, const uint32_t *bin, size_t groups)
{
	uint32_t *order = xreallocarray(NULL, n, sizeof *order), *shared = xreallocarray(NULL, n, sizeof *shared);
	memcpy(order, p->order, n * sizeof *order);
	memcpy(shared, p->shared, n * sizeof *shared);
	GROW(p->first, p->first_cap, p->bins + 2);
	GROW(p->rows, p->rows_cap, p->bins);
	memset(p->first, 0, (p->bins + 2) * sizeof *p->first);
	memset(p->rows, 0, p->bins * sizeof *p->rows);
	for (size_t g = 0; g < groups; g++) {
		p->first[bin[g] + 2] += group_first[g + 1] - group_first[g];
		p->rows[bin[g]] += group_rows[g];
	}
	for (size_t b = 1; b < p->bins; b++)
		p->first[b + 1] += p->first[b];
	for (size_t g = 0; g < groups; g++) {
		size_t from = group_first[g], k = group_first[g + 1] - from, *to = &p->first[bin[g] + 1];
		memcpy(p->order + *to, order + from, k * sizeof *order);
		memcpy(p->shared + *to, shared + from, k * sizeof *shared);
		*to += k;
	}
	free(order);
	free(shared);
}

void
packing_make(struct packing *p, const struct example *x, size_t n, uint64_t capacity, enum packing_rows kind)
{
	struct item *item = xreallocarray(NULL, n, sizeof *item);
	uint32_t *group_rows = xreallocarray(NULL, n, sizeof *group_rows), *bin = xreallocarray(NULL, n, sizeof *bin);
	size_t *group_first = xreallocarray(NULL, n + 1, sizeof *group_first);
	p->kind = kind;
	GROW(p->order, p->order_cap, n);
	GROW(p->shared, p->shared_cap, n);
	for (size_t i = 0; i < n; i++)
		item[i] = item_of(&x[i], (uint32_t)i, kind);
	qsort(item, n, sizeof *item, by_beginning);
	size_t groups = group(p, item, n, capacity, group_rows, group_first);
	p->bins = plan_pack(group_rows, groups, capacity, bin);
	arrange(p, n, group_first, group_rows, bin, groups);
	free(group_first);
	free(bin);
	free(group_rows);
	free(item);
}

/* ---- filling a micro-batch ---- */

static int
doc_end(const struct attn_doc *d)
{
	return d->n_prefix + d->n;
}

/* Adds the tokens from..to-1 of an example, of which what is before them is the document `parent` and what that continues. */
static int
add_piece(struct batch_builder *b, const struct example *x, int parent, uint32_t from, uint32_t to)
{
	if (from == 0)
		batch_add_document(b, x->ids, (int)to);
	else
		batch_add_twig(b, parent, (int)from, x->ids + from, (int)(to - from));
	return b->n_docs - 1;
}

/* Adds what example number i of the order has of its own, up to `rows`, and returns its last document. A document ends
 * where a later example branches off: at shared[j], unless one between branches off before. */
static int
add_own(struct batch_builder *b, const struct example *x, const uint32_t *shared, size_t i, size_t end, uint32_t rows)
{
	uint32_t from = shared[i];
	int parent = b->n_docs - 1;
	while (from && doc_end(&b->docs[parent]) > (int)from)
		parent -= b->docs[parent].back;
	while (from < rows) {
		uint32_t to = rows;
		for (size_t j = i + 1; j < end && shared[j] > from; j++)
			to = shared[j] < to ? shared[j] : to;
		parent = add_piece(b, x, parent, from, to);
		from = to;
	}
	return parent;
}

static void
add_targets(struct batch_builder *b, const struct example *x, int doc)
{
	for (struct target t = {0}; example_next_target(x, &t);)
		batch_add_target(b, batch_row(b, doc, (int)t.at - 1), x->ids[t.at], t.weight);
}

static void
set_keys(struct batch_builder *b, int doc, uint64_t key)
{
	for (int i = 0; i < b->docs[doc].n; i++)
		b->row_key[b->docs[doc].q + i] = key + (uint64_t)i;
}

void
packing_fill(const struct packing *p, size_t bin, const struct example *x, const uint64_t *key,
	struct batch_builder *b)
{
	size_t end = p->first[bin + 1];
	batch_clear(b);
	for (size_t i = p->first[bin]; i < end; i++) {
		const struct example *own = &x[p->order[i]];
		uint32_t n = item_of(own, 0, p->kind).rows;
		if (n == 0)
			continue;
		int doc = add_own(b, own, p->shared, i, end, n);
		add_targets(b, own, doc);
		if (key)
			set_keys(b, doc, key[p->order[i]]);
	}
	batch_count_below(b);
}
